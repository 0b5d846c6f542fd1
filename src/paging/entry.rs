//! What the bits of one page-table entry mean, present or not.

use std::fmt;

use crate::addr::PhysAddr;

use super::TranslationFailure;
use super::format::{Format, LeafRule, Level};

pub(super) const PRESENT: u64 = 1 << 0;
pub(super) const WRITABLE: u64 = 1 << 1;
pub(super) const USER: u64 = 1 << 2;
pub(super) const PAGE_SIZE_BIT: u64 = 1 << 7;
const GLOBAL: u64 = 1 << 8;
pub(super) const NO_EXECUTE: u64 = 1 << 63;
const PROTECTION_KEY_SHIFT: u32 = 59;
const PROTECTION_KEY_MASK: u64 = 0xf;

/// Flag bits of a present entry, lowest first (Intel SDM volume 3A, tables 4-15 to 4-20). PAT is bit 12 of a huge page's entry
/// and bit 7 of a last-level one, where PS has no meaning: [`EntryFlags`] picks the right reading by level.
const FLAG_NAMES: &[(u64, &str)] = &[
    (PRESENT, "present"),
    (WRITABLE, "writable"),
    (USER, "user"),
    (1 << 3, "write-through"),
    (1 << 4, "cache-disable"),
    (1 << 5, "accessed"),
    (1 << 6, "dirty"),
    (GLOBAL, "global"),
    (NO_EXECUTE, "no-execute"),
];

/// Lowest swap type that may be something else than a swap area. `MAX_SWAPFILES` is 32 less one for hardware errors, one for
/// markers, up to 3 for migration and up to 4 for devices (include/linux/swap.h); areas are numbered from 0, so a real one with
/// such a number would be the 24th of a machine.
pub(super) const FIRST_SPECIAL_SWAP_TYPE: u8 = 23;

/// The flags of an entry as words: `present, writable, huge, global, no-execute`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryFlags {
    entry: u64,
    level: &'static Level,
}

impl EntryFlags {
    pub(super) fn new(entry: u64, level: &'static Level) -> Self {
        Self { entry, level }
    }

    /// Whether the entry is present; without it, the other bits mean what Linux wants them to mean.
    pub fn present(self) -> bool {
        self.entry & PRESENT != 0
    }

    /// Whether the entry maps a page and does not point to a table.
    pub fn leaf(self) -> bool {
        is_leaf(self.level, self.entry)
    }

    /// The protection key of a page, 0 to 15 (Intel SDM volume 3A, 4.6.2).
    pub fn protection_key(self) -> u8 {
        ((self.entry >> PROTECTION_KEY_SHIFT) & PROTECTION_KEY_MASK) as u8
    }

    /// The words, lowest bit first; `huge` and `pat` where the level has them.
    pub fn names(self) -> Vec<&'static str> {
        let set = |bit: u64| self.entry & bit != 0;
        if !self.present() {
            return vec!["not present"];
        }
        let mut names: Vec<&'static str> = FLAG_NAMES
            .iter()
            .filter(|(bit, _)| set(*bit))
            .map(|(_, name)| *name)
            .collect();
        let (huge, pat) = match self.level.leaf {
            LeafRule::Never => (false, false),
            LeafRule::PageSizeBit => (self.leaf(), self.leaf() && set(1 << 12)),
            LeafRule::Always => (false, set(PAGE_SIZE_BIT)),
        };
        names.extend(huge.then_some("huge"));
        names.extend(pat.then_some("pat"));
        names
    }
}

impl fmt::Display for EntryFlags {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.names().join(", "))?;
        if self.present() && self.leaf() && self.protection_key() != 0 {
            write!(formatter, ", protection key {}", self.protection_key())?;
        }
        Ok(())
    }
}

/// What an entry leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// Nothing.
    Empty,
    /// The next table, at this address.
    Table(PhysAddr),
    /// A page: present, or where Linux notes what became of it (swapped out, without access, on the move).
    Page,
    /// Nothing that the processor accepts: it is present and has these bits set that must be clear.
    Reserved(u64),
}

impl Level {
    /// What an entry of this level leads to; bits of `encryption_mask` are no part of its address.
    pub fn kind_of(&self, entry: u64, format: &Format, encryption_mask: u64) -> EntryKind {
        if entry & PRESENT == 0 {
            return if entry == 0 || self.leaf == LeafRule::Never {
                EntryKind::Empty
            } else {
                EntryKind::Page
            };
        }
        let plain = entry & !encryption_mask;
        let leaf = is_leaf(self, plain);
        let bits = plain
            & if leaf {
                self.leaf_reserved
            } else {
                self.table_reserved
            };
        match (bits, leaf) {
            (0, true) => EntryKind::Page,
            (0, false) => EntryKind::Table(PhysAddr::new(plain & format.address_mask)),
            (bits, _) => EntryKind::Reserved(bits),
        }
    }
}

/// Whether a present entry of this level maps a page.
pub(super) fn is_leaf(level: &Level, entry: u64) -> bool {
    match level.leaf {
        LeafRule::Never => false,
        LeafRule::PageSizeBit => entry & PAGE_SIZE_BIT != 0,
        LeafRule::Always => true,
    }
}

/// What an entry without the present bit means to Linux.
///
/// `PROT_NONE` is the global bit (`_PAGE_PROTNONE`) over an inverted frame number; a huge page that is being split keeps only
/// its page-size bit (`pmd_present` looks at all three); everything else that is not zero is a swap entry:
/// `type` in bits 63 to 59, the inverted `offset` in bits 58 to 9 (pgtable_64.h, "Encode/decode swap entries").
pub(super) fn not_present(
    format: &Format,
    level: &'static Level,
    entry: u64,
    encryption_mask: u64,
) -> TranslationFailure {
    let name = level.name;
    if entry == 0 || level.leaf == LeafRule::Never {
        return TranslationFailure::NotPresent { level: name, entry };
    }
    if entry & GLOBAL != 0 {
        let frame = !entry & format.address_mask & !encryption_mask & !(level.page_size() - 1);
        let frame = PhysAddr::new(frame);
        return TranslationFailure::ProtNone {
            level: name,
            entry,
            frame,
        };
    }
    if entry & PAGE_SIZE_BIT != 0 {
        return match level.leaf {
            LeafRule::PageSizeBit => TranslationFailure::Invalidated { level: name, entry },
            LeafRule::Never | LeafRule::Always => {
                TranslationFailure::NotPresent { level: name, entry }
            }
        };
    }
    swap_entry(name, entry)
}

fn swap_entry(level: &'static str, entry: u64) -> TranslationFailure {
    const TYPE_BITS: u32 = 5;
    const OFFSET_FIRST_BIT: u32 = 9;
    let kind = (entry >> (64 - TYPE_BITS)) as u8;
    let offset = (!entry << TYPE_BITS) >> (TYPE_BITS + OFFSET_FIRST_BIT);
    if kind < FIRST_SPECIAL_SWAP_TYPE {
        TranslationFailure::Swapped {
            level,
            entry,
            area: kind,
            offset,
        }
    } else {
        TranslationFailure::Special {
            level,
            entry,
            kind,
            offset,
        }
    }
}
