//! Reads of physical memory in aligned blocks, each read once, with the cost counted exactly.

use std::collections::HashMap;

use crate::addr::{PhysAddr, PhysRange};
use crate::memory::{PhysicalMemory, ReadFailure, read_batch};
use crate::paging::{Step, Walk};

/// What finding a kernel cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Reads that asked "is the kernel here": at most one for each 2 MiB candidate.
    pub probes: u64,
    /// Reads of everything else, in blocks of the memory's longest read.
    pub reads: u64,
    /// The longest chain of reads each of which needed the bytes, or the failure, of the ones before it.
    pub rounds: u64,
}

/// Longest block; a memory that takes shorter reads is read in those.
const LONGEST_BLOCK: u32 = 512;
/// Shortest block, so that a memory with a strange limit is still read: the shortest maximum read request of PCIe is 128.
const SHORTEST_BLOCK: u32 = 64;

/// A memory with a cache of the blocks that were read.
#[derive(Debug)]
pub(super) struct Reader<'m> {
    memory: &'m mut dyn PhysicalMemory,
    block: u64,
    blocks: HashMap<u64, Result<Vec<u8>, ReadFailure>>,
    /// What it cost so far.
    pub(super) cost: Cost,
}

impl<'m> Reader<'m> {
    pub(super) fn new(memory: &'m mut dyn PhysicalMemory) -> Self {
        let block = memory
            .limits()
            .max_read
            .clamp(SHORTEST_BLOCK, LONGEST_BLOCK);
        Self {
            memory,
            block: u64::from(block),
            blocks: HashMap::new(),
            cost: Cost::default(),
        }
    }

    /// The memory, for reads that are no blocks; the caller counts them.
    pub(super) fn memory(&mut self) -> &mut dyn PhysicalMemory {
        self.memory
    }

    /// Forgets all blocks: the next candidate is not judged by bytes of the last one.
    pub(super) fn forget(&mut self) {
        self.blocks.clear();
    }

    /// Reads what is not known yet of the ranges, all at once: one round, or none if everything is known.
    pub(super) fn fetch(&mut self, ranges: impl IntoIterator<Item = PhysRange>) {
        let mut missing: Vec<u64> = ranges
            .into_iter()
            .flat_map(|range| self.blocks_of(range))
            .filter(|start| !self.blocks.contains_key(start))
            .collect();
        missing.sort_unstable();
        missing.dedup();
        if missing.is_empty() {
            return;
        }
        let wanted: Vec<PhysRange> = missing
            .iter()
            .filter_map(|&start| PhysRange::of_length(PhysAddr::new(start), self.block))
            .collect();
        let outcomes = read_batch(self.memory, &wanted);
        self.cost.rounds += 1;
        self.cost.reads += wanted.len() as u64;
        for (range, outcome) in wanted.iter().zip(outcomes) {
            self.blocks.insert(range.start.get(), outcome);
        }
    }

    /// The bytes of a range that was fetched, or the first failure in it.
    pub(super) fn bytes(&self, range: PhysRange) -> Result<Vec<u8>, ReadFailure> {
        let mut bytes = Vec::with_capacity(usize::try_from(range.length()).unwrap_or(0));
        for start in self.blocks_of(range) {
            let block = match self.blocks.get(&start) {
                Some(Ok(block)) => block,
                Some(Err(failure)) => return Err(*failure),
                None => return Err(ReadFailure::NotIssued),
            };
            let from = range.start.get().saturating_sub(start);
            let to = (range.end.get() - start).min(self.block);
            let piece = usize::try_from(from)
                .ok()
                .zip(usize::try_from(to).ok())
                .and_then(|(from, to)| block.get(from..to));
            bytes.extend_from_slice(piece.ok_or(ReadFailure::NotIssued)?);
        }
        Ok(bytes)
    }

    /// A little-endian number of 8 bytes that was fetched.
    pub(super) fn u64(&self, at: PhysAddr) -> Result<u64, ReadFailure> {
        self.number::<8>(at).map(u64::from_le_bytes)
    }

    /// A little-endian number of 4 bytes that was fetched.
    pub(super) fn u32(&self, at: PhysAddr) -> Result<u32, ReadFailure> {
        self.number::<4>(at).map(u32::from_le_bytes)
    }

    fn number<const N: usize>(&self, at: PhysAddr) -> Result<[u8; N], ReadFailure> {
        let range = PhysRange::of_length(at, N as u64).ok_or(ReadFailure::NotIssued)?;
        let bytes = self.bytes(range)?;
        bytes.try_into().map_err(|_| ReadFailure::NotIssued)
    }

    /// Starts of the blocks that hold a range.
    fn blocks_of(&self, range: PhysRange) -> impl Iterator<Item = u64> + use<> {
        let first = range.start.get() & !(self.block - 1);
        let step = usize::try_from(self.block).unwrap_or(usize::MAX);
        (first..range.end.get()).step_by(step)
    }

    /// Takes all walks to their end together: as many rounds as the deepest of them needs. A walk whose next entry cannot be read
    /// stops, with the failure beside it.
    pub(super) fn finish_walks(&mut self, walks: Vec<Walk>) -> Vec<(Walk, Option<ReadFailure>)> {
        let mut walks: Vec<(Walk, Option<ReadFailure>)> =
            walks.into_iter().map(|walk| (walk, None)).collect();
        loop {
            let wanted: Vec<PhysRange> = walks.iter().filter_map(wanted_entry).collect();
            if wanted.is_empty() {
                return walks;
            }
            self.fetch(wanted);
            for (walk, failure) in &mut walks {
                if let Step::Read(at) = walk.step() {
                    match self.u64(at) {
                        Ok(entry) => walk.supply(entry),
                        Err(reason) => *failure = Some(reason),
                    }
                }
            }
        }
    }
}

fn wanted_entry((walk, failure): &(Walk, Option<ReadFailure>)) -> Option<PhysRange> {
    match (walk.step(), failure) {
        (Step::Read(at), None) => PhysRange::of_length(at, 8),
        _ => None,
    }
}
