//! Arrays of elements or of pointers to them, rings, and chains of elements linked by a single pointer.

use std::ops::ControlFlow;

use rustc_hash::FxHashSet;

use crate::addr::VirtAddr;
use crate::paging::AddressSpace;
use crate::wave::Reader;

use super::{Element, End, MOST_ELEMENTS, Problem, Sink, is_kernel_pointer, little_endian};

/// What an array's entries are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entries {
    /// The elements themselves, each of this many bytes.
    Embedded(u64),
    /// Pointers to the elements; null ones stand for no element.
    Pointers,
}

/// An array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Array {
    /// Its first entry.
    pub base: VirtAddr,
    /// How many entries.
    pub count: u64,
    /// What they are.
    pub entries: Entries,
}

/// Pointers read at a time: one 4 KiB page of them.
const POINTERS_AT_ONCE: u64 = 512;

impl Array {
    /// Hands over the elements in order, with the entry's number as index.
    pub async fn walk(&self, reader: &Reader, space: &AddressSpace, sink: &mut impl Sink) -> End {
        if self.count > MOST_ELEMENTS as u64 {
            return End::Stopped(Problem::TooMany(MOST_ELEMENTS));
        }
        match self.entries {
            Entries::Embedded(size) => self.walk_embedded(size, sink).await,
            Entries::Pointers => self.walk_pointers(reader, space, sink).await,
        }
    }

    async fn walk_embedded(&self, size: u64, sink: &mut impl Sink) -> End {
        for index in 0..self.count {
            let Some(address) = index
                .checked_mul(size)
                .and_then(|offset| self.base.checked_add(offset))
            else {
                return End::Stopped(Problem::BadNode {
                    at: self.base,
                    what: "an array that passes the end of the address space",
                });
            };
            if let ControlFlow::Break(()) = sink(Element::new(address, index)).await {
                return End::Enough;
            }
        }
        End::Complete
    }

    async fn walk_pointers(
        &self,
        reader: &Reader,
        space: &AddressSpace,
        sink: &mut impl Sink,
    ) -> End {
        let mut index = 0;
        while index < self.count {
            let here = (self.count - index).min(POINTERS_AT_ONCE);
            let mut bytes = vec![0; (here * 8) as usize];
            let at = VirtAddr::new(self.base.get().wrapping_add(index * 8));
            if let Err(unreadable) = reader.read(space, at, &mut bytes).await {
                return End::Stopped(unreadable.into());
            }
            for (entry, bytes) in (index..).zip(bytes.chunks_exact(8)) {
                let pointer = little_endian(bytes);
                if pointer == 0 {
                    continue;
                }
                if let ControlFlow::Break(()) =
                    sink(Element::pointed_at(VirtAddr::new(pointer), entry)).await
                {
                    return End::Enough;
                }
            }
            index += here;
        }
        End::Complete
    }
}

/// A window of numbers over an array whose entries are used again and again: number N is entry N modulo the length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ring {
    /// Its first entry.
    pub base: VirtAddr,
    /// How many entries: a power of 2.
    pub length: u64,
    /// Bytes of an entry.
    pub size: u64,
    /// The number of the oldest entry.
    pub first: u64,
    /// The number of the newest entry, itself included; the one before `first` where there is none.
    pub last: u64,
}

impl Ring {
    /// Hands over the entries from the oldest to the newest, with their numbers as index.
    pub async fn walk(&self, sink: &mut impl Sink) -> End {
        let wrong = |what| {
            End::Stopped(Problem::BadNode {
                at: self.base,
                what,
            })
        };
        if !self.length.is_power_of_two() || self.length > MOST_ELEMENTS as u64 {
            return wrong("a ring whose length is no power of 2");
        }
        let newer = self.last.wrapping_sub(self.first);
        if newer == u64::MAX {
            return End::Complete;
        }
        if newer >= self.length {
            return wrong("a ring with more entries than it has room for");
        }
        for number in 0..=newer {
            let number = self.first.wrapping_add(number);
            let offset = (number & (self.length - 1)).checked_mul(self.size);
            let Some(address) = offset.and_then(|offset| self.base.checked_add(offset)) else {
                return wrong("a ring that passes the end of the address space");
            };
            if let ControlFlow::Break(()) = sink(Element::new(address, number)).await {
                return End::Enough;
            }
        }
        End::Complete
    }
}

/// A chain: each element holds a pointer to the next one's start; it ends with a null pointer or with its own beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The first element, or null.
    pub first: VirtAddr,
    /// Bytes from an element's start to its pointer to the next.
    pub next: u64,
}

impl Chain {
    /// Hands over the elements in order.
    pub async fn walk(&self, reader: &Reader, space: &AddressSpace, sink: &mut impl Sink) -> End {
        if self.first.get() != 0 && !is_kernel_pointer(self.first) {
            return End::Stopped(Problem::BadNode {
                at: self.first,
                what: "not a kernel pointer",
            });
        }
        let mut seen = FxHashSet::default();
        let mut at = self.first;
        while at.get() != 0 {
            if !seen.insert(at) {
                return if at == self.first {
                    End::Complete
                } else {
                    End::Stopped(Problem::Cycle(at))
                };
            }
            if seen.len() > MOST_ELEMENTS {
                return End::Stopped(Problem::TooMany(MOST_ELEMENTS));
            }
            if let ControlFlow::Break(()) = sink(Element::new(at, seen.len() as u64 - 1)).await {
                return End::Enough;
            }
            let link = VirtAddr::new(at.get().wrapping_add(self.next));
            at = match reader.pointer(space, link).await {
                Ok(next) if next.get() == 0 || is_kernel_pointer(next) => next,
                Ok(pointer) => return End::Stopped(Problem::WildPointer { at: link, pointer }),
                Err(unreadable) => return End::Stopped(unreadable.into()),
            };
        }
        End::Complete
    }
}
