//! Memory that answers at once: read when it is needed, with a small memory of what was read last.
//!
//! Waves are for targets that are far away. Over a file on this machine a chain of reads costs no more than as many reads at the same
//! time, so nothing is asked for ahead of its need and nothing ever waits.

use crate::addr::PhysAddr;
use crate::memory::{PhysicalMemory, ReadFailure};

use super::budget::{Cost, Stopped};

/// Bytes that are read at a time: a system call takes hardly longer than for 8 of them, and small objects (credentials, dentries) lie
/// many to a page.
const BLOCK: u64 = 4096;

/// Blocks that are remembered, 8 MiB of them.
const SLOTS: usize = 2048;

/// No block has this number.
const NONE: u64 = u64::MAX;

/// The blocks that were read last: each has one slot, where it takes the place of another.
#[derive(Debug)]
pub(super) struct Local {
    numbers: Vec<u64>,
    bytes: Vec<u8>,
}

impl Local {
    pub(super) fn new() -> Self {
        Self {
            numbers: vec![NONE; SLOTS],
            bytes: vec![0; SLOTS * BLOCK as usize],
        }
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.numbers.fill(NONE);
    }

    /// Fills `buffer` from `address` on, reading what is not remembered.
    pub(super) fn copy(
        &mut self,
        memory: &mut dyn PhysicalMemory,
        cost: &mut Cost,
        max_reads: u64,
        address: PhysAddr,
        buffer: &mut [u8],
    ) -> Result<(), (PhysAddr, ReadFailure)> {
        let mut rest = buffer;
        let mut at = address;
        while !rest.is_empty() {
            let here = (BLOCK - at.get() % BLOCK).min(rest.len() as u64);
            let (piece, after) = rest.split_at_mut(here as usize);
            self.copy_within_block(memory, cost, max_reads, at, piece)
                .map_err(|failure| (at, failure))?;
            at = at.wrapping_offset(here as i64);
            rest = after;
        }
        Ok(())
    }

    fn copy_within_block(
        &mut self,
        memory: &mut dyn PhysicalMemory,
        cost: &mut Cost,
        max_reads: u64,
        address: PhysAddr,
        piece: &mut [u8],
    ) -> Result<(), ReadFailure> {
        let (number, start) = (address.get() / BLOCK, (address.get() % BLOCK) as usize);
        let slot = number as usize % SLOTS;
        let block = &mut self.bytes[slot * BLOCK as usize..][..BLOCK as usize];
        if self.numbers[slot] == number {
            cost.cache_hits += 1;
            piece.copy_from_slice(&block[start..start + piece.len()]);
            return Ok(());
        }
        if cost.reads >= max_reads {
            cost.stopped = Some(Stopped::Reads);
            return Err(ReadFailure::NotIssued);
        }
        cost.reads += 1;
        self.numbers[slot] = NONE;
        if memory
            .read_now(PhysAddr::new(number * BLOCK), block)
            .is_ok()
        {
            self.numbers[slot] = number;
            piece.copy_from_slice(&block[start..start + piece.len()]);
            cost.bytes += BLOCK;
            return Ok(());
        }
        // The block may lie at the edge of what the memory has.
        let outcome = memory.read_now(address, piece);
        match outcome {
            Ok(()) => cost.bytes += piece.len() as u64,
            Err(_) => cost.failed += 1,
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Guard, Immediate, SparseMemory, parse_ranges};

    fn read(
        memory: &mut dyn PhysicalMemory,
        local: &mut Local,
        address: u64,
        length: usize,
        most: u64,
    ) -> (Result<Vec<u8>, (PhysAddr, ReadFailure)>, Cost) {
        let mut cost = Cost::default();
        let mut buffer = vec![0xee; length];
        let outcome = local.copy(memory, &mut cost, most, PhysAddr::new(address), &mut buffer);
        (outcome.map(|()| buffer), cost)
    }

    fn counted() -> Guard<Immediate<SparseMemory>> {
        let mut sparse = SparseMemory::new();
        let bytes: Vec<u8> = (0..0x2000).map(|at| (at / 64) as u8).collect();
        sparse.insert(PhysAddr::new(0x1000), &bytes);
        Guard::new(Immediate::new(sparse), parse_ranges("1000-2f40").unwrap())
    }

    #[test]
    fn blocks_are_read_once_and_edges_byte_by_byte() {
        let (mut memory, mut local) = (counted(), Local::new());
        let (bytes, cost) = read(&mut memory, &mut local, 0x1ff8, 16, 4);
        assert_eq!(bytes, Ok([[63; 8], [64; 8]].concat()));
        assert_eq!((cost.reads, cost.bytes, cost.cache_hits), (2, 4104, 0));
        let (bytes, cost) = read(&mut memory, &mut local, 0x1200, 1, 4);
        assert_eq!(bytes, Ok(vec![8]));
        assert_eq!((cost.reads, cost.cache_hits), (0, 1));
        let (bytes, cost) = read(&mut memory, &mut local, 0x2f00, 0x40, 4);
        assert_eq!(bytes, Ok(vec![0x7c; 0x40]));
        assert_eq!((cost.reads, cost.bytes, cost.failed), (1, 0x40, 0));
        let (bytes, cost) = read(&mut memory, &mut local, 0x2f38, 16, 4);
        assert_eq!(
            bytes,
            Err((PhysAddr::new(0x2f38), ReadFailure::NotInRamMap))
        );
        assert_eq!(cost.failed, 1);
        local.clear();
        let (_, cost) = read(&mut memory, &mut local, 0x1200, 1, 4);
        assert_eq!(cost.reads, 1);
    }

    #[test]
    fn a_slot_holds_the_block_that_came_last() {
        let (mut memory, mut local) = (counted(), Local::new());
        let far = 0x1200 + BLOCK * SLOTS as u64;
        assert_eq!(read(&mut memory, &mut local, 0x1200, 1, 4).0, Ok(vec![8]));
        assert!(read(&mut memory, &mut local, far, 1, 4).0.is_err());
        assert_eq!(read(&mut memory, &mut local, 0x1200, 1, 4).0, Ok(vec![8]));
    }

    #[test]
    fn the_budget_ends_reading() {
        let (mut memory, mut local) = (counted(), Local::new());
        let (bytes, cost) = read(&mut memory, &mut local, 0x1000, 0x1f00, 1);
        assert_eq!(bytes, Err((PhysAddr::new(0x2000), ReadFailure::NotIssued)));
        assert_eq!((cost.reads, cost.stopped), (1, Some(Stopped::Reads)));
    }
}
