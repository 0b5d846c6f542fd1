//! Counts what passes.

use super::{Completion, Counters, Limits, Notes, PhysicalMemory, ReadRequest};
use crate::addr::PhysRange;

/// A memory whose reads are counted from when the meter was put in.
#[derive(Debug)]
pub struct Meter<M> {
    inner: M,
    before: Counters,
    counted: Counters,
}

impl<M: PhysicalMemory> Meter<M> {
    /// Counts the reads of `inner` from zero.
    pub fn new(inner: M) -> Self {
        Self {
            before: inner.counters(),
            inner,
            counted: Counters::default(),
        }
    }

    /// Counts from zero again.
    pub fn reset(&mut self) {
        self.before = self.inner.counters();
        self.counted = Counters::default();
    }
}

impl<M: PhysicalMemory> PhysicalMemory for Meter<M> {
    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    fn submit(&mut self, read: ReadRequest) {
        self.inner.submit(read);
    }

    fn complete(&mut self, completion: &mut Completion<'_>) {
        let counted = &mut self.counted;
        self.inner.complete(&mut |id, outcome| {
            counted.count(&outcome.map(<[u8]>::len));
            completion(id, outcome);
        });
    }

    fn ram(&self) -> Option<Vec<PhysRange>> {
        self.inner.ram()
    }

    fn notes(&self) -> Notes {
        self.inner.notes()
    }

    /// Reads, bytes and failures as they passed here; retries and discarded datagrams as the transport below counts them.
    fn counters(&self) -> Counters {
        let inner = self.inner.counters();
        Counters {
            retries: inner.retries - self.before.retries.min(inner.retries),
            discarded: inner.discarded - self.before.discarded.min(inner.discarded),
            ..self.counted
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::{PhysAddr, PhysRange};
    use crate::memory::{Immediate, SparseMemory, read_batch};

    #[test]
    fn reads_bytes_and_failures_are_counted_from_zero() {
        let mut sparse = SparseMemory::new();
        sparse.insert(PhysAddr::new(0x1000), &[1; 0x1000]);
        let mut inner = Immediate::new(sparse);
        let ranges = [
            PhysRange::new(PhysAddr::new(0x1000), PhysAddr::new(0x1300)),
            PhysRange::new(PhysAddr::new(0x2000), PhysAddr::new(0x2001)),
        ];
        read_batch(&mut inner, &ranges);
        let mut meter = Meter::new(inner);
        read_batch(&mut meter, &ranges);
        let expected = Counters {
            reads: 3,
            bytes: 0x300,
            failed: 1,
            ..Counters::default()
        };
        assert_eq!(meter.counters(), expected);
        meter.reset();
        assert_eq!(meter.counters(), Counters::default());
    }
}
