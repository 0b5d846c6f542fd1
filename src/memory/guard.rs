//! Lets reads through only where RAM is: anything else is refused before a request is built.
//!
//! An address in another device's BAR would be a read of its registers, with side effects on the target.

use crate::addr::{PhysAddr, PhysRange};

use super::{Completion, Counters, Limits, Notes, PhysicalMemory, ReadFailure, ReadRequest};

/// A memory of which only some ranges may be read.
#[derive(Debug)]
pub struct Guard<M> {
    inner: M,
    /// Sorted, disjoint, merged where they touch.
    allowed: Vec<PhysRange>,
    /// Reads that will complete as refused.
    refused: Vec<u64>,
    refusals: u64,
}

impl<M: PhysicalMemory> Guard<M> {
    /// Allows reads that lie whole inside `allowed`.
    pub fn new(inner: M, mut allowed: Vec<PhysRange>) -> Self {
        allowed.retain(|range| !range.is_empty());
        allowed.sort_by_key(|range| range.start);
        let mut merged: Vec<PhysRange> = Vec::with_capacity(allowed.len());
        for range in allowed {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        Self {
            inner,
            allowed: merged,
            refused: Vec::new(),
            refusals: 0,
        }
    }

    fn allows(&self, range: &PhysRange) -> bool {
        let above = self
            .allowed
            .partition_point(|allowed| allowed.start <= range.start);
        above
            .checked_sub(1)
            .and_then(|below| self.allowed.get(below))
            .is_some_and(|allowed| !range.is_empty() && allowed.contains_range(range))
    }
}

impl<M: PhysicalMemory> PhysicalMemory for Guard<M> {
    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    fn submit(&mut self, read: ReadRequest) {
        if self.allows(&read.range()) {
            self.inner.submit(read);
        } else {
            self.refused.push(read.id);
        }
    }

    fn complete(&mut self, completion: &mut Completion<'_>) {
        if self.refused.is_empty() {
            self.inner.complete(completion);
            return;
        }
        for id in self.refused.drain(..) {
            self.refusals += 1;
            completion(id, Err(ReadFailure::NotInRamMap));
        }
    }

    fn answers_at_once(&self) -> bool {
        self.inner.answers_at_once()
    }

    fn read_now(&mut self, address: PhysAddr, into: &mut [u8]) -> Result<(), ReadFailure> {
        let range = address
            .checked_add(into.len() as u64)
            .map(|end| PhysRange::new(address, end));
        if range.is_some_and(|range| self.allows(&range)) {
            self.inner.read_now(address, into)
        } else {
            self.refusals += 1;
            Err(ReadFailure::NotInRamMap)
        }
    }

    fn ram(&self) -> Option<Vec<PhysRange>> {
        Some(self.allowed.clone())
    }

    fn notes(&self) -> Notes {
        self.inner.notes()
    }

    fn counters(&self) -> Counters {
        let inner = self.inner.counters();
        Counters {
            reads: inner.reads + self.refusals,
            failed: inner.failed + self.refusals,
            ..inner
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Immediate, SparseMemory, parse_ranges, read_batch};

    fn guarded(ram: &str) -> Guard<Immediate<SparseMemory>> {
        let mut sparse = SparseMemory::new();
        sparse.insert(PhysAddr::new(0), &[1; 0x3000]);
        Guard::new(Immediate::new(sparse), parse_ranges(ram).unwrap())
    }

    fn range(start: u64, end: u64) -> PhysRange {
        PhysRange::new(PhysAddr::new(start), PhysAddr::new(end))
    }

    #[test]
    fn only_whole_reads_inside_pass() {
        let mut memory = guarded("1000-1800,1800-2000");
        let outcomes = read_batch(
            &mut memory,
            &[
                range(0x17f0, 0x1810),
                range(0xfff, 0x1000),
                range(0x1ff0, 0x2010),
                range(0x1ff0, 0x2000),
            ],
        );
        let refused = Err(ReadFailure::NotInRamMap);
        assert_eq!(
            outcomes,
            [
                Ok(vec![1; 0x20]),
                refused.clone(),
                refused,
                Ok(vec![1; 0x10])
            ]
        );
        assert_eq!(memory.ram(), Some(vec![range(0x1000, 0x2000)]));
        assert_eq!(memory.inner.counters().failed, 0);
        assert_eq!(memory.counters().failed, 2);
    }

    #[test]
    fn a_read_that_wraps_around_is_refused() {
        let mut memory = guarded("0-ffffffffffffffff");
        memory.submit(ReadRequest {
            id: 1,
            address: PhysAddr::new(u64::MAX - 3),
            length: 8,
        });
        let mut seen = None;
        memory.complete(&mut |_, outcome| seen = Some(outcome.map(<[u8]>::len)));
        assert_eq!(seen, Some(Err(ReadFailure::NotInRamMap)));
    }
}
