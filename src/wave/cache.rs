//! Which bytes of physical memory this query has seen, in lines of 64 bytes, and who waits for those that are on their way.

use rustc_hash::FxHashMap;

use crate::addr::PhysAddr;
use crate::memory::ReadFailure;

/// Bytes in a line, the unit in which bytes are read and remembered: an x86 cache line and the smallest read completion boundary,
/// so a line is what the target's memory system hands over as one.
pub(super) const LINE: u64 = 64;

/// Lines in a block; blocks exist only to keep the index small.
const LINES: u64 = 8;
const BLOCK: u64 = LINE * LINES;
const BLOCK_BYTES: usize = BLOCK as usize;
const LINE_BYTES: usize = LINE as usize;

/// Names a future that the executor polls.
pub(super) type TaskId = usize;

/// Eight lines. Bit *i* of the masks belongs to line *i*; a line is in at most one of the three states.
#[derive(Debug)]
struct Block {
    bytes: [u8; BLOCK_BYTES],
    ready: u8,
    pending: u8,
    failed: u8,
    depths: [u32; LINES as usize],
    failures: [ReadFailure; LINES as usize],
    waiters: Vec<TaskId>,
}

impl Block {
    fn new() -> Self {
        Self {
            bytes: [0; BLOCK_BYTES],
            ready: 0,
            pending: 0,
            failed: 0,
            depths: [0; LINES as usize],
            failures: [ReadFailure::NotIssued; LINES as usize],
            waiters: Vec::new(),
        }
    }
}

/// What the cache knows of a stretch of memory.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    /// All bytes are here; the deepest of their reads was this deep.
    Ready(u32),
    /// A line of it could not be read.
    Failed(PhysAddr, ReadFailure, u32),
    /// Some line is not here yet.
    Missing,
}

/// The lines that one query has read.
#[derive(Debug, Default)]
pub(super) struct Cache {
    index: FxHashMap<u64, u32>,
    blocks: Vec<Block>,
    /// Looked up last: consecutive reads are mostly neighbours.
    last: Option<(u64, u32)>,
}

impl Cache {
    fn find(&mut self, number: u64) -> Option<&mut Block> {
        let slot = match self.last {
            Some((last, slot)) if last == number => slot,
            _ => {
                let slot = *self.index.get(&number)?;
                self.last = Some((number, slot));
                slot
            }
        };
        self.blocks.get_mut(slot as usize)
    }

    fn find_or_add(&mut self, number: u64) -> &mut Block {
        let next = u32::try_from(self.blocks.len()).unwrap_or(u32::MAX);
        let slot = *self.index.entry(number).or_insert(next);
        if slot == next {
            self.blocks.push(Block::new());
        }
        &mut self.blocks[slot as usize]
    }

    /// Copies `buffer.len()` bytes from `address` on, where all of them are here.
    pub(super) fn copy(&mut self, address: PhysAddr, buffer: &mut [u8]) -> Lookup {
        let mut at = address.get();
        let mut filled = 0;
        let mut depth = 0;
        while filled < buffer.len() {
            let Some(block) = self.find(at / BLOCK) else {
                return Lookup::Missing;
            };
            let line = (at % BLOCK / LINE) as usize;
            let mask = 1u8 << line;
            if block.failed & mask != 0 {
                return Lookup::Failed(PhysAddr::new(at), block.failures[line], block.depths[line]);
            }
            if block.ready & mask == 0 {
                return Lookup::Missing;
            }
            depth = depth.max(block.depths[line]);
            let start = (at % BLOCK) as usize;
            let count = (LINE_BYTES - start % LINE_BYTES).min(buffer.len() - filled);
            buffer[filled..filled + count].copy_from_slice(&block.bytes[start..start + count]);
            filled += count;
            at = at.wrapping_add(count as u64);
        }
        Lookup::Ready(depth)
    }

    /// Makes `task` wait for the missing lines of a stretch; those that nobody waits for yet are pushed on `wanted` by number.
    /// Returns how many lines are missing.
    pub(super) fn want(
        &mut self,
        address: PhysAddr,
        length: u64,
        depth: u32,
        task: Option<TaskId>,
        wanted: &mut Vec<u64>,
    ) -> u64 {
        let first = address.get() / LINE;
        let last = address.get().saturating_add(length.saturating_sub(1)) / LINE;
        let mut missing = 0;
        for number in first..=last {
            let block = self.find_or_add(number / LINES);
            let line = (number % LINES) as usize;
            let mask = 1u8 << line;
            if (block.ready | block.failed) & mask != 0 {
                continue;
            }
            missing += 1;
            if block.pending & mask == 0 {
                block.pending |= mask;
                block.depths[line] = depth;
                wanted.push(number);
            }
            if let Some(task) = task
                && block.waiters.last() != Some(&task)
            {
                block.waiters.push(task);
            }
        }
        missing
    }

    /// How deep the read of a wanted line is to be.
    pub(super) fn depth(&mut self, number: u64) -> u32 {
        self.find(number / LINES)
            .map_or(0, |block| block.depths[(number % LINES) as usize])
    }

    /// Marks a line that a read covers without anybody having asked for it, so that nobody asks for it twice.
    pub(super) fn cover(&mut self, number: u64) {
        let block = self.find_or_add(number / LINES);
        let mask = 1u8 << (number % LINES);
        if (block.ready | block.failed) & mask == 0 {
            block.pending |= mask;
        }
    }

    /// Takes a line's bytes and moves those who wait for its block to `woken`. A line that is here already keeps the bytes that the
    /// query has seen.
    pub(super) fn store(&mut self, number: u64, bytes: &[u8], depth: u32, woken: &mut Vec<TaskId>) {
        let block = self.find_or_add(number / LINES);
        let line = (number % LINES) as usize;
        let mask = 1u8 << line;
        block.pending &= !mask;
        if block.ready & mask == 0 && bytes.len() == LINE_BYTES {
            block.bytes[line * LINE_BYTES..][..LINE_BYTES].copy_from_slice(bytes);
            block.ready |= mask;
            block.failed &= !mask;
            block.depths[line] = depth;
        }
        woken.append(&mut block.waiters);
    }

    /// Notes that a line could not be read and moves those who wait for its block to `woken`.
    pub(super) fn fail(
        &mut self,
        number: u64,
        failure: ReadFailure,
        depth: u32,
        woken: &mut Vec<TaskId>,
    ) {
        let block = self.find_or_add(number / LINES);
        let line = (number % LINES) as usize;
        let mask = 1u8 << line;
        block.pending &= !mask;
        if block.ready & mask == 0 {
            block.failed |= mask;
            block.failures[line] = failure;
            block.depths[line] = depth;
        }
        woken.append(&mut block.waiters);
    }

    /// Forgets that a line was on its way: it was covered by a read that failed, and nobody had asked for it.
    pub(super) fn uncover(&mut self, number: u64, woken: &mut Vec<TaskId>) {
        let block = self.find_or_add(number / LINES);
        block.pending &= !(1u8 << (number % LINES));
        woken.append(&mut block.waiters);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_wanted_once_and_keeps_its_first_bytes() {
        let mut cache = Cache::default();
        let mut wanted = Vec::new();
        let mut woken = Vec::new();
        assert_eq!(
            cache.want(PhysAddr::new(0x10c0), 80, 1, Some(7), &mut wanted),
            2
        );
        assert_eq!(
            cache.want(PhysAddr::new(0x10c8), 8, 5, Some(8), &mut wanted),
            1
        );
        assert_eq!(wanted, vec![0x43, 0x44]);
        cache.store(0x43, &[1; 64], 1, &mut woken);
        cache.store(0x44, &[2; 64], 1, &mut woken);
        assert_eq!(woken, vec![7, 8]);
        cache.store(0x43, &[9; 64], 2, &mut woken);
        let mut bytes = [0; 80];
        assert_eq!(
            cache.copy(PhysAddr::new(0x10c0), &mut bytes),
            Lookup::Ready(1)
        );
        assert_eq!((bytes[0], bytes[63], bytes[64]), (1, 1, 2));
    }

    #[test]
    fn failures_are_remembered_by_line() {
        let mut cache = Cache::default();
        let mut woken = Vec::new();
        cache.fail(2, ReadFailure::UnsupportedRequest, 3, &mut woken);
        let mut bytes = [0; 8];
        assert_eq!(
            cache.copy(PhysAddr::new(0x88), &mut bytes),
            Lookup::Failed(PhysAddr::new(0x88), ReadFailure::UnsupportedRequest, 3)
        );
        assert_eq!(cache.copy(PhysAddr::new(0xc0), &mut bytes), Lookup::Missing);
    }
}
