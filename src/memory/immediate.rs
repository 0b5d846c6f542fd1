//! A memory out of anything that can copy bytes at once: files, pages in memory, recordings.
//!
//! The queue between submit and complete is here and nowhere else, so that a source has one method to write.

use std::fmt::Debug;

use crate::addr::{PhysAddr, PhysRange};

use super::{Completion, Counters, Limits, Notes, PhysicalMemory, ReadFailure, ReadRequest};

/// Something that answers a read without waiting.
pub trait Source: Debug {
    /// Fills `into` with the bytes from `address` on, or says why it cannot. On failure the content of `into` means nothing.
    fn copy(&self, address: PhysAddr, into: &mut [u8]) -> Result<(), ReadFailure>;

    /// See [`PhysicalMemory::answers_at_once`]: not for what stands for a target that answers over a link, a recording for example.
    fn is_local_file(&self) -> bool {
        false
    }

    /// See [`PhysicalMemory::ram`].
    fn ram(&self) -> Option<Vec<PhysRange>> {
        None
    }

    /// See [`PhysicalMemory::notes`].
    fn notes(&self) -> Notes {
        Notes::new()
    }
}

/// The memory that a [`Source`] is.
#[derive(Debug)]
pub struct Immediate<S> {
    source: S,
    queue: Vec<ReadRequest>,
    buffer: Vec<u8>,
    counters: Counters,
}

impl<S: Source> Immediate<S> {
    /// The memory behind `source`.
    pub fn new(source: S) -> Self {
        Self {
            source,
            queue: Vec::new(),
            buffer: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// What answers the reads.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// What answers the reads, to change it.
    pub fn source_mut(&mut self) -> &mut S {
        &mut self.source
    }
}

impl<S: Source> PhysicalMemory for Immediate<S> {
    fn limits(&self) -> Limits {
        Limits::default()
    }

    fn submit(&mut self, read: ReadRequest) {
        self.queue.push(read);
    }

    fn complete(&mut self, completion: &mut Completion<'_>) {
        for read in self.queue.drain(..) {
            let length = read.length as usize;
            if self.buffer.len() < length {
                self.buffer.resize(length, 0);
            }
            let bytes = &mut self.buffer[..length];
            let outcome = self.source.copy(read.address, bytes);
            self.counters.count(&outcome.map(|()| length));
            completion(read.id, outcome.map(|()| &*bytes));
        }
    }

    fn answers_at_once(&self) -> bool {
        self.source.is_local_file()
    }

    fn read_now(&mut self, address: PhysAddr, into: &mut [u8]) -> Result<(), ReadFailure> {
        let outcome = self.source.copy(address, into);
        self.counters.count(&outcome.map(|()| into.len()));
        outcome
    }

    fn ram(&self) -> Option<Vec<PhysRange>> {
        self.source.ram()
    }

    fn notes(&self) -> Notes {
        self.source.notes()
    }

    fn counters(&self) -> Counters {
        self.counters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Numbers;

    impl Source for Numbers {
        fn copy(&self, address: PhysAddr, into: &mut [u8]) -> Result<(), ReadFailure> {
            if address.get() >= 0x100 {
                return Err(ReadFailure::NotInImage);
            }
            for (index, byte) in into.iter_mut().enumerate() {
                *byte = address.get() as u8 + index as u8;
            }
            Ok(())
        }
    }

    #[test]
    fn every_read_is_completed_once_and_counted() {
        let mut memory = Immediate::new(Numbers);
        for (id, address, length) in [(7, 0x10, 3), (9, 0x100, 1)] {
            memory.submit(ReadRequest {
                id,
                address: PhysAddr::new(address),
                length,
            });
        }
        let mut seen = Vec::new();
        memory.complete(&mut |id, outcome| seen.push((id, outcome.map(<[u8]>::to_vec))));
        memory.complete(&mut |id, _| panic!("read {id} came twice"));
        assert_eq!(
            seen,
            [
                (7, Ok(vec![0x10, 0x11, 0x12])),
                (9, Err(ReadFailure::NotInImage))
            ]
        );
        let counters = memory.counters();
        assert_eq!((counters.reads, counters.bytes, counters.failed), (2, 3, 1));
    }
}
