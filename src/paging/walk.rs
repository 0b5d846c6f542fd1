//! One translation in progress: asks for entries, is given them, ends.

use std::fmt;

use crate::addr::{PhysAddr, VirtAddr};

use super::TranslationFailure;
use super::entry::{self, EntryFlags, EntryKind};
use super::format::{Format, Level};
use super::space::{AddressSpace, LinearMap};

/// Bytes of a page-table entry.
const ENTRY_SIZE: u64 = 8;
/// Levels of the deepest format; the trace needs no allocation.
const MAX_LEVELS: usize = 5;

/// What a walk needs or has found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It needs the little-endian 8-byte entry at this address, which is a multiple of 8.
    Read(PhysAddr),
    /// It is done.
    Done(Translation),
    /// There is no translation.
    Fault(TranslationFailure),
}

/// Where a virtual address is in physical memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// The physical address of the byte.
    pub physical: PhysAddr,
    /// Bytes of the page that the tables map (4 KiB, 2 MiB, 1 GiB); for a linear map, its whole length.
    pub page_size: u64,
    /// Bytes from `physical` on that are contiguous in both address spaces: to the end of the page or of the linear map.
    pub contiguous: u64,
    /// What the tables allow; `None` for a linear map, where they were not read.
    pub permissions: Option<Permissions>,
    /// Name of the linear map that gave the answer, if one did.
    pub linear_map: Option<&'static str>,
}

/// What the tables of all levels together allow (Intel SDM volume 3A, 4.6): each level can only take away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// Writes are allowed at every level.
    pub writable: bool,
    /// User-mode accesses are allowed at every level.
    pub user: bool,
    /// No level forbids instruction fetches.
    pub executable: bool,
    /// The page's protection key, 0 to 15.
    pub protection_key: u8,
}

/// An entry that a walk has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VisitedEntry {
    /// Its level.
    pub level: &'static Level,
    /// Where it is.
    pub address: PhysAddr,
    /// What it is.
    pub entry: u64,
}

impl VisitedEntry {
    /// Its flags as words.
    pub fn flags(&self) -> EntryFlags {
        EntryFlags::new(self.entry, self.level)
    }
}

impl fmt::Display for VisitedEntry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} entry at {}: {:#018x} ({})",
            self.level.name,
            self.address,
            self.entry,
            self.flags()
        )
    }
}

/// The translation of one virtual address, in progress or at its end. Holds no reference and allocates nothing.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    format: &'static Format,
    encryption_mask: u64,
    address: VirtAddr,
    step: Step,
    permissions: Permissions,
    /// Entries seen, root first; the level that is wanted next is the one after them.
    visited: [Option<VisitedEntry>; MAX_LEVELS],
    depth: usize,
}

impl Walk {
    pub(super) fn begin(space: &AddressSpace, address: VirtAddr) -> Self {
        let mut walk = Self::new(space, address);
        if space.format().is_canonical(address) {
            walk.want(space.root());
        }
        walk
    }

    pub(super) fn finished_by_map(
        space: &AddressSpace,
        address: VirtAddr,
        map: &LinearMap,
        physical: PhysAddr,
        contiguous: u64,
    ) -> Self {
        let mut walk = Self::new(space, address);
        walk.step = Step::Done(Translation {
            physical,
            page_size: map.length,
            contiguous,
            permissions: None,
            linear_map: Some(map.name),
        });
        walk
    }

    /// A walk that has seen nothing; its step is that of an address that is not canonical until it is given another.
    fn new(space: &AddressSpace, address: VirtAddr) -> Self {
        Self {
            format: space.format(),
            encryption_mask: space.encryption_mask(),
            address,
            step: Step::Fault(TranslationFailure::NonCanonical {
                address,
                virtual_bits: space.format().virtual_bits,
            }),
            permissions: Permissions {
                writable: true,
                user: true,
                executable: true,
                protection_key: 0,
            },
            visited: [None; MAX_LEVELS],
            depth: 0,
        }
    }

    /// The address that is being translated.
    pub fn address(&self) -> VirtAddr {
        self.address
    }

    /// What the walk needs or has found out.
    pub fn step(&self) -> Step {
        self.step
    }

    /// Gives the walk the entry that it wants. Has no effect on a walk that wants none.
    pub fn supply(&mut self, entry: u64) {
        let Step::Read(address) = self.step else {
            return;
        };
        let (Some(level), Some(slot)) = (
            self.format.levels.get(self.depth),
            self.visited.get_mut(self.depth),
        ) else {
            return;
        };
        *slot = Some(VisitedEntry {
            level,
            address,
            entry,
        });
        self.depth += 1;
        self.judge(level, entry);
    }

    /// The entries seen so far, root first. Empty for an address in a linear map.
    pub fn trace(&self) -> impl Iterator<Item = &VisitedEntry> {
        self.visited.iter().flatten()
    }

    /// Sets the next step from an entry.
    fn judge(&mut self, level: &'static Level, entry: u64) {
        if entry & entry::PRESENT == 0 {
            let failure = entry::not_present(self.format, level, entry, self.encryption_mask);
            self.step = Step::Fault(failure);
            return;
        }
        let kind = level.kind_of(entry, self.format, self.encryption_mask);
        if let EntryKind::Reserved(bits) = kind {
            self.step = Step::Fault(TranslationFailure::ReservedBits {
                level: level.name,
                entry,
                bits,
            });
            return;
        }
        self.permissions.writable &= entry & entry::WRITABLE != 0;
        self.permissions.user &= entry & entry::USER != 0;
        self.permissions.executable &= entry & entry::NO_EXECUTE == 0;
        match kind {
            EntryKind::Table(table) => self.want(table),
            _ => self.finish(level, entry & !self.encryption_mask),
        }
    }

    /// Wants the entry for the address in the table at `table`, at the level that is next.
    fn want(&mut self, table: PhysAddr) {
        if let Some(level) = self.format.levels.get(self.depth) {
            // A table is 4 KiB aligned (the mask saw to it), so its entries lie below the end of the address space.
            let entry = PhysAddr::new(table.get() | (level.index(self.address) * ENTRY_SIZE));
            self.step = Step::Read(entry);
        }
    }

    fn finish(&mut self, level: &'static Level, entry: u64) {
        let within = level.page_size() - 1;
        let offset = self.address.get() & within;
        self.permissions.protection_key = EntryFlags::new(entry, level).protection_key();
        self.step = Step::Done(Translation {
            physical: PhysAddr::new((entry & self.format.address_mask & !within) | offset),
            page_size: level.page_size(),
            contiguous: level.page_size() - offset,
            permissions: Some(self.permissions),
            linear_map: None,
        });
    }
}
