//! Keeps the bytes of reads that succeeded, until told that they may have changed.
//!
//! A live target's memory changes, so nothing here decides by itself when a block is too old: whoever knows where one
//! question ends and the next begins calls [`Cache::invalidate`]. Failures are not kept.

use rustc_hash::FxHashMap;

use crate::addr::{PhysAddr, PhysRange};

use super::{
    Completion, Counters, Limits, Notes, PhysicalMemory, ReadFailure, ReadRequest, Source,
    SparseMemory,
};

/// A memory whose blocks are remembered.
#[derive(Debug)]
pub struct Cache<M> {
    inner: M,
    blocks: SparseMemory,
    most_pages: usize,
    /// Reads whose bytes will be kept: those submitted since the last [`Cache::invalidate`].
    in_flight: FxHashMap<u64, PhysAddr>,
    ready: Vec<(u64, Vec<u8>)>,
    hits: u64,
}

impl<M: PhysicalMemory> Cache<M> {
    /// Remembers blocks in up to `most_pages` pages of 4 KiB (at about 8 KiB each), then forgets all and starts again.
    pub fn new(inner: M, most_pages: usize) -> Self {
        Self {
            inner,
            blocks: SparseMemory::failing_with(ReadFailure::NotIssued),
            most_pages,
            in_flight: FxHashMap::default(),
            ready: Vec::new(),
            hits: 0,
        }
    }

    /// Forgets every block; reads in flight are still answered, and not kept.
    pub fn invalidate(&mut self) {
        self.blocks.clear();
        self.in_flight.clear();
    }

    /// Reads that were answered from here.
    pub fn hits(&self) -> u64 {
        self.hits
    }
}

impl<M: PhysicalMemory> PhysicalMemory for Cache<M> {
    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    fn submit(&mut self, read: ReadRequest) {
        let mut bytes = vec![0; read.length as usize];
        if self.blocks.copy(read.address, &mut bytes).is_ok() {
            self.hits += 1;
            self.ready.push((read.id, bytes));
        } else {
            self.in_flight.insert(read.id, read.address);
            self.inner.submit(read);
        }
    }

    fn complete(&mut self, completion: &mut Completion<'_>) {
        if !self.ready.is_empty() {
            for (id, bytes) in self.ready.drain(..) {
                completion(id, Ok(&bytes));
            }
            return;
        }
        let Self {
            inner,
            blocks,
            most_pages,
            in_flight,
            ..
        } = self;
        inner.complete(&mut |id, outcome| {
            if let (Some(address), Ok(bytes)) = (in_flight.remove(&id), outcome) {
                if blocks.pages() >= *most_pages {
                    blocks.clear();
                }
                blocks.insert(address, bytes);
            }
            completion(id, outcome);
        });
    }

    fn ram(&self) -> Option<Vec<PhysRange>> {
        self.inner.ram()
    }

    fn notes(&self) -> Notes {
        self.inner.notes()
    }

    fn counters(&self) -> Counters {
        self.inner.counters()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Immediate, read_batch};

    fn cache(most_pages: usize) -> Cache<Immediate<SparseMemory>> {
        let mut sparse = SparseMemory::new();
        sparse.insert(PhysAddr::new(0), &[1; 0x3000]);
        Cache::new(Immediate::new(sparse), most_pages)
    }

    fn read(memory: &mut dyn PhysicalMemory, start: u64, length: u64) -> Vec<u8> {
        let range = PhysRange::of_length(PhysAddr::new(start), length).unwrap();
        read_batch(memory, &[range]).remove(0).unwrap_or_default()
    }

    #[test]
    fn a_block_is_read_once_until_invalidated() {
        let mut memory = cache(16);
        assert_eq!(read(&mut memory, 0x1000, 64), [1; 64]);
        memory
            .inner
            .source_mut()
            .insert(PhysAddr::new(0x1000), &[2; 64]);
        assert_eq!(read(&mut memory, 0x1010, 16), [1; 16]);
        assert_eq!((memory.hits(), memory.counters().reads), (1, 1));
        memory.invalidate();
        assert_eq!(read(&mut memory, 0x1010, 16), [2; 16]);
        assert_eq!((memory.hits(), memory.counters().reads), (1, 2));
    }

    #[test]
    fn a_read_sent_before_invalidation_is_answered_and_not_kept() {
        let mut memory = cache(16);
        memory.submit(ReadRequest {
            id: 1,
            address: PhysAddr::new(0x1000),
            length: 8,
        });
        memory.invalidate();
        let mut seen = 0;
        memory.complete(&mut |_, outcome| seen += outcome.map_or(0, <[u8]>::len));
        assert_eq!(seen, 8);
        read(&mut memory, 0x1000, 8);
        assert_eq!(memory.hits(), 0);
    }

    #[test]
    fn failures_are_asked_again_and_room_is_bounded() {
        let mut memory = cache(1);
        read(&mut memory, 0x8000, 8);
        read(&mut memory, 0x8000, 8);
        assert_eq!(memory.counters().failed, 2);
        for page in [0, 0x1000, 0x2000, 0] {
            read(&mut memory, page, 8);
        }
        assert_eq!((memory.hits(), memory.blocks.pages()), (0, 1));
    }
}
