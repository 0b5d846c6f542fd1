//! Tables of frames (`arch/x86/kernel/unwind_orc.c`): an address of code → the entry for it.
//!
//! A table has the addresses at which its entries begin to hold, each as a distance from where it stands, by address; beside it, the
//! entries. For the kernel's own code a second table says for each block of code where its entries begin, so that they are read at
//! once; others are narrowed down by many reads at the same time.

use crate::addr::VirtAddr;
use crate::paging::AddressSpace;
use crate::walk::{Problem, little_endian};
use crate::wave::Reader;

/// Bytes of an address in a table, and of a number in the table of blocks.
const NUMBER: u64 = 4;

/// Entries that are read at once: a block of 256 bytes of code has at most as many and those at its ends.
const AT_ONCE: u64 = 272;

/// Places that are looked at at the same time where there are more.
const PLACES: u64 = 64;

/// More entries than any table has: the kernel's own has half a million.
const MOST_ENTRIES: u64 = 1 << 26;

/// A table of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameTable {
    /// The addresses.
    pub addresses: VirtAddr,
    /// The entries.
    pub entries: VirtAddr,
    /// How many there are of each.
    pub count: u64,
}

/// The kernel's own table, and what finds a place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelTable {
    /// The table.
    pub table: FrameTable,
    /// The first byte of code that the blocks are of, and the byte behind the last.
    pub code: (VirtAddr, VirtAddr),
    /// The same of the code that is given away after the start; its entries are the last ones.
    pub initial_code: (VirtAddr, VirtAddr),
    /// For each block of code the number of its first entry, and the number of the last entry for the code behind them.
    pub blocks: VirtAddr,
    /// How many numbers those are.
    pub block_count: u64,
    /// Bytes of code in a block.
    pub block_size: u64,
}

/// Whether an address is in a range.
pub(super) fn holds((first, behind): (VirtAddr, VirtAddr), address: VirtAddr) -> bool {
    (first..behind).contains(&address)
}

/// The place `index` entries of `size` bytes behind `start`.
fn at(start: VirtAddr, index: u64, size: u64) -> VirtAddr {
    VirtAddr::new(start.get().wrapping_add(index.wrapping_mul(size)))
}

impl KernelTable {
    /// The bytes of the entry for an address, each `size` long; `None` where the address is no code of the kernel's own.
    pub(super) async fn find(
        &self,
        address: VirtAddr,
        size: u64,
        reader: &Reader,
        space: &AddressSpace,
    ) -> Result<Option<Vec<u8>>, Problem> {
        let (first, behind) = if let Some(block) = self.block(address) {
            self.block_entries(block, reader, space).await?
        } else if holds(self.initial_code, address) && self.block_count > 0 {
            let last = at(self.blocks, self.block_count - 1, NUMBER);
            let first = reader.unsigned(space, last, NUMBER as usize).await?;
            (first, self.table.count)
        } else {
            return Ok(None);
        };
        if first >= behind || behind > self.table.count {
            return Err(Problem::BadNode {
                at: self.blocks,
                what: "a table of blocks that does not fit its table of frames",
            });
        }
        let found = self
            .table
            .find_in((first, behind), address, size, reader, space);
        Ok(Some(found.await?))
    }

    /// The block that an address lies in.
    fn block(&self, address: VirtAddr) -> Option<u64> {
        if !holds(self.code, address) {
            return None;
        }
        let distance = address.get() - self.code.0.get();
        let block = distance.checked_div(self.block_size)?;
        (block.saturating_add(1) < self.block_count).then_some(block)
    }

    /// The numbers of a block's first entry and of the one behind its last.
    async fn block_entries(
        &self,
        block: u64,
        reader: &Reader,
        space: &AddressSpace,
    ) -> Result<(u64, u64), Problem> {
        let mut bytes = [0; 2 * NUMBER as usize];
        let place = at(self.blocks, block, NUMBER);
        reader.read(space, place, &mut bytes).await?;
        let (first, next) = bytes.split_at(NUMBER as usize);
        Ok((little_endian(first), little_endian(next).saturating_add(1)))
    }

    /// Reads ahead what the entries for some addresses are found by, and then all of them.
    pub(super) async fn foresee(
        &self,
        addresses: impl Iterator<Item = VirtAddr>,
        size: u64,
        reader: &Reader,
        space: &AddressSpace,
    ) {
        let mut blocks: Vec<_> = addresses
            .filter_map(|address| self.block(address))
            .collect();
        blocks.sort_unstable();
        blocks.dedup();
        for block in &blocks {
            let place = at(self.blocks, *block, NUMBER);
            reader.prefetch(space, place, 2 * NUMBER);
        }
        for block in blocks {
            if let Ok((first, behind)) = self.block_entries(block, reader, space).await
                && first < behind
                && behind - first <= AT_ONCE
            {
                let table = &self.table;
                let count = behind - first;
                let place = at(table.addresses, first, NUMBER);
                reader.prefetch(space, place, count * NUMBER);
                reader.prefetch(space, at(table.entries, first, size), count * size);
            }
        }
    }
}

impl FrameTable {
    /// The bytes of the entry for an address, each `size` long; `None` of an empty table.
    pub(super) async fn find(
        &self,
        address: VirtAddr,
        size: u64,
        reader: &Reader,
        space: &AddressSpace,
    ) -> Result<Option<Vec<u8>>, Problem> {
        if self.count == 0 {
            return Ok(None);
        }
        let found = self.find_in((0, self.count), address, size, reader, space);
        Ok(Some(found.await?))
    }

    /// The last of some entries that begins at or below an address, or else the first of them.
    async fn find_in(
        &self,
        (mut first, mut behind): (u64, u64),
        address: VirtAddr,
        size: u64,
        reader: &Reader,
        space: &AddressSpace,
    ) -> Result<Vec<u8>, Problem> {
        if behind > MOST_ENTRIES {
            return Err(Problem::BadNode {
                at: self.addresses,
                what: "a table of frames with more entries than any has",
            });
        }
        while behind - first > AT_ONCE {
            let stride = (behind - first).div_ceil(PLACES);
            let places = || (first..behind).step_by(stride as usize);
            for place in places() {
                reader.prefetch(space, at(self.addresses, place, NUMBER), NUMBER);
            }
            let mut below = first;
            for place in places() {
                let mut bytes = [0; NUMBER as usize];
                let at = at(self.addresses, place, NUMBER);
                reader.read(space, at, &mut bytes).await?;
                if begins(at, bytes) <= address {
                    below = place;
                }
            }
            (first, behind) = (below, behind.min(below + stride));
        }
        let start = at(self.addresses, first, NUMBER);
        let entries = at(self.entries, first, size);
        reader.prefetch(space, entries, (behind - first) * size);
        let mut bytes = vec![0; ((behind - first) * NUMBER) as usize];
        reader.read(space, start, &mut bytes).await?;
        let distances = bytes.as_chunks().0.iter().enumerate();
        let below = distances.rev().find(|(number, distance)| {
            begins(at(start, *number as u64, NUMBER), **distance) <= address
        });
        let number = below.map_or(0, |(number, _)| number as u64);
        let mut entry = vec![0; size as usize];
        let place = at(entries, number, size);
        reader.read(space, place, &mut entry).await?;
        Ok(entry)
    }
}

/// Where an entry begins to hold: the distance from where it stands.
fn begins(at: VirtAddr, distance: [u8; NUMBER as usize]) -> VirtAddr {
    at.wrapping_offset(i64::from(i32::from_le_bytes(distance)))
}
