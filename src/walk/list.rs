//! Doubly linked circular lists with the link inside the element (`include/linux/list.h`).

use std::ops::ControlFlow;

use rustc_hash::FxHashSet;

use crate::addr::VirtAddr;
use crate::paging::AddressSpace;
use crate::wave::{Reader, Unreadable};

use super::{Element, End, MOST_ELEMENTS, Problem, Sink, is_kernel_pointer, little_endian};

/// `LIST_POISON1` and `LIST_POISON2` with x86-64's `POISON_POINTER_DELTA` (`include/linux/poison.h`): what `list_del` leaves behind.
const POISON: [u64; 2] = [0xdead_0000_0000_0100, 0xdead_0000_0000_0122];

/// A list: its head and where in an element its link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List {
    /// The `struct list_head` that belongs to no element.
    pub head: VirtAddr,
    /// Bytes from an element's start to its link.
    pub link: u64,
}

/// A `struct list_head`.
#[derive(Clone, Copy)]
pub(super) struct Link {
    pub(super) next: VirtAddr,
    /// The previous link, or, in hash lists, the pointer that points here.
    pub(super) prev: VirtAddr,
}

impl List {
    /// Hands over the elements in order. Each is handed over before its own link is read, so that its other bytes can be asked for
    /// in the same wave. Where the way forward is broken, the elements that can still be reached from the end follow, and the walk
    /// says that it is not complete.
    pub async fn walk(&self, reader: &Reader, space: &AddressSpace, sink: &mut impl Sink) -> End {
        let mut seen = FxHashSet::default();
        match self.forward(reader, space, sink, &mut seen).await {
            End::Stopped(problem @ Problem::TooMany(_)) => End::Stopped(problem),
            End::Stopped(problem) => {
                for element in self.rest_from_the_end(reader, space, &seen).await {
                    element
                        .quality
                        .suspect(format!("found from the end of the list only: {problem}"));
                    if sink(element).await.is_break() {
                        break;
                    }
                }
                End::Stopped(problem)
            }
            end => end,
        }
    }

    async fn forward(
        &self,
        reader: &Reader,
        space: &AddressSpace,
        sink: &mut impl Sink,
        seen: &mut FxHashSet<VirtAddr>,
    ) -> End {
        let mut link = match read_link(reader, space, self.head).await {
            Ok(link) => link,
            Err(unreadable) => return End::Stopped(unreadable.into()),
        };
        let mut at = self.head;
        while link.next != self.head {
            if let Err(problem) = check(at, link.next, seen) {
                return End::Stopped(problem);
            }
            // What is handed on is asked for, deeper than by a predictor that will get here.
            reader.until_foreseen(space, link.next, 16).await;
            let element = self.element(link.next, seen.len() as u64 - 1);
            let quality = element.quality.clone();
            if let ControlFlow::Break(()) = sink(element).await {
                return End::Enough;
            }
            let previous = at;
            at = link.next;
            link = match read_link(reader, space, at).await {
                Ok(link) => link,
                Err(unreadable) => return End::Stopped(unreadable.into()),
            };
            if link.prev != previous {
                quality.suspect(format!(
                    "its back link is {} instead of {previous}",
                    link.prev
                ));
            }
        }
        End::Complete
    }

    /// The elements between the last one of the list and one that was seen, in list order.
    async fn rest_from_the_end(
        &self,
        reader: &Reader,
        space: &AddressSpace,
        seen: &FxHashSet<VirtAddr>,
    ) -> Vec<Element> {
        let mut found = FxHashSet::default();
        let mut elements = Vec::new();
        let mut at = self.head;
        while let Ok(link) = read_link(reader, space, at).await {
            if link.prev == self.head
                || seen.contains(&link.prev)
                || check(at, link.prev, &mut found).is_err()
            {
                break;
            }
            at = link.prev;
            elements.push(at);
        }
        let first = seen.len() as u64;
        elements
            .iter()
            .rev()
            .zip(first..)
            .map(|(link, index)| self.element(*link, index))
            .collect()
    }

    /// Reads the list from its end backwards, telling each element's address: a prediction of what [`List::walk`] will visit.
    pub async fn predict(
        &self,
        reader: &Reader,
        space: &AddressSpace,
        mut tell: impl FnMut(VirtAddr),
    ) {
        let mut seen = FxHashSet::default();
        let mut at = self.head;
        while let Ok(link) = read_link(reader, space, at).await {
            if link.prev == self.head || check(at, link.prev, &mut seen).is_err() {
                break;
            }
            at = link.prev;
            tell(self.element(at, 0).address);
        }
    }

    fn element(&self, link: VirtAddr, index: u64) -> Element {
        Element::new(VirtAddr::new(link.get().wrapping_sub(self.link)), index)
    }
}

/// Two pointers that lie side by side.
pub(super) async fn read_link(
    reader: &Reader,
    space: &AddressSpace,
    at: VirtAddr,
) -> Result<Link, Unreadable> {
    let mut bytes = [0; 16];
    reader.read_patiently(space, at, &mut bytes).await?;
    let (next, prev) = bytes.split_at(8);
    let address = |bytes: &[u8]| VirtAddr::new(little_endian(bytes));
    Ok(Link {
        next: address(next),
        prev: address(prev),
    })
}

/// Accepts `to` as the neighbour of `at` and remembers it, or says why not.
pub(super) fn check(
    at: VirtAddr,
    to: VirtAddr,
    seen: &mut FxHashSet<VirtAddr>,
) -> Result<(), Problem> {
    if POISON.contains(&to.get()) {
        return Err(Problem::Poisoned(at));
    }
    if !is_kernel_pointer(to) {
        return Err(Problem::WildPointer { at, pointer: to });
    }
    if seen.len() >= MOST_ELEMENTS {
        return Err(Problem::TooMany(seen.len()));
    }
    if !seen.insert(to) {
        return Err(Problem::Cycle(to));
    }
    Ok(())
}
