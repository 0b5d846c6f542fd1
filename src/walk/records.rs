//! Records of their own lengths, one behind the other in a buffer that is used round and round (`kernel/printk/printk.c` until Linux 5.9).

use std::ops::ControlFlow;

use crate::addr::VirtAddr;
use crate::paging::AddressSpace;
use crate::wave::Reader;

use super::{Element, End, Problem, Sink};

/// A buffer of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Records {
    /// Its first byte.
    pub base: VirtAddr,
    /// Its bytes.
    pub length: u64,
    /// Where the oldest record begins, in bytes from the buffer's start.
    pub first: u64,
    /// Where the newest record ends: at `first`, there is none.
    pub end: u64,
    /// Bytes of a record's fixed part: none is shorter.
    pub smallest: u64,
    /// From a record's start to the number of its bytes; 0 there says that the next record is at the buffer's start.
    pub size: u64,
    /// Bytes of that number, at most 8.
    pub size_width: u64,
}

/// Larger than any log (`LOG_BUF_LEN_MAX` is 2 GiB; what `log_buf_len` takes on real machines are some MiB).
const LARGEST: u64 = 1 << 31;
/// Bytes that are asked for at once.
const AHEAD: u64 = 4 * 1024 * 1024;

impl Records {
    /// Hands over the records from the oldest to the newest, numbered from 0. Up to 4 MiB of them take one round.
    pub async fn walk(&self, reader: &Reader, space: &AddressSpace, sink: &mut impl Sink) -> End {
        let wrong = |at, what| End::Stopped(Problem::BadNode { at, what });
        let is_inside = self.first < self.length && self.end <= self.length;
        if !is_inside || self.length > LARGEST {
            return wrong(
                self.base,
                "a buffer of records whose bounds are not inside it",
            );
        }
        if self.smallest == 0 {
            return wrong(self.base, "records without a length");
        }
        // Whether the records go on at the buffer's start, behind those at its end.
        let mut is_wrapped = self.end < self.first;
        let mut at = self.first;
        let mut fetched = at;
        let mut number = 0;
        while is_wrapped || at != self.end {
            let limit = if is_wrapped { self.length } else { self.end };
            let here = VirtAddr::new(self.base.get().wrapping_add(at));
            if at >= fetched {
                fetched = self.fetch(at, limit, reader, space);
                if is_wrapped && fetched == limit {
                    self.fetch(0, self.end, reader, space);
                }
            }
            let size = if limit - at < self.smallest {
                // No room for another one, not even for the mark.
                0
            } else {
                let size_at = here.wrapping_offset(self.size as i64);
                match reader
                    .unsigned(space, size_at, self.size_width.min(8) as usize)
                    .await
                {
                    Ok(size) => size,
                    Err(unreadable) => return End::Stopped(unreadable.into()),
                }
            };
            if size == 0 && is_wrapped {
                (is_wrapped, at, fetched) = (false, 0, 0);
                continue;
            }
            if size < self.smallest || size > limit - at {
                return wrong(here, "a record whose length cannot be");
            }
            if let ControlFlow::Break(()) = sink(Element::new(here, number)).await {
                return End::Enough;
            }
            number += 1;
            at += size;
            if is_wrapped && at == self.length {
                (is_wrapped, at, fetched) = (false, 0, 0);
            }
        }
        End::Complete
    }

    /// Asks for the bytes from `at` to `limit`, or the first of them; returns where they end.
    fn fetch(&self, at: u64, limit: u64, reader: &Reader, space: &AddressSpace) -> u64 {
        let length = (limit - at).min(AHEAD);
        let from = VirtAddr::new(self.base.get().wrapping_add(at));
        reader.prefetch(space, from, length);
        at + length
    }
}
