//! Virtual → physical addresses: page-table formats are tables of constants, one walker reads them.
//!
//! The walker has no memory and no I/O in it. It says which 8-byte entry it wants next ([`Step::Read`]), is given it
//! ([`Walk::supply`]) and ends in a [`Translation`] or in the reason why there is none. It promises to end after as many
//! entries as the format has levels, whatever the entries say, so tables that point at themselves cost what honest ones
//! cost. It refuses to know where the entries come from, and which kernel they belong to, except for the encodings of
//! not-present entries, which are Linux's.
//!
//! Sources: Intel SDM volume 3A chapter 4 and AMD APM volume 2 chapter 5 (formats, reserved bits); Linux
//! `arch/x86/include/asm/pgtable_64.h`, `pgtable-invert.h`, `pgtable_types.h` (what a not-present entry means).

mod entry;
mod format;
mod space;
mod walk;

#[cfg(test)]
mod tests;

pub use entry::{EntryFlags, EntryKind};
pub use format::{Format, LeafRule, Level, X86_64_4_LEVEL, X86_64_5_LEVEL};
pub use space::{AddressSpace, LinearMap};
pub use walk::{Permissions, Step, Translation, VisitedEntry, Walk};

use crate::addr::{PhysAddr, VirtAddr};

/// Why a virtual address has no physical one. Not-present entries are told apart as far as their encoding allows, because
/// they mean different things to a person: nothing there, paged out, there but not accessible, on the move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TranslationFailure {
    /// The upper bits are not copies of the highest translated bit; the processor refuses such an address before any table.
    #[error("{address} is not a canonical {virtual_bits}-bit address")]
    NonCanonical {
        /// The address asked for.
        address: VirtAddr,
        /// Bits that the format translates.
        virtual_bits: u32,
    },
    /// Nothing is mapped: the entry is empty, or has an encoding that Linux does not use.
    #[error("not mapped: {level} entry {entry:#x} is not present")]
    NotPresent {
        /// Level of the entry, in Linux's words.
        level: &'static str,
        /// The entry.
        entry: u64,
    },
    /// The page is in a swap area, not in memory.
    #[error("swapped out: {level} entry {entry:#x} names page {offset:#x} of swap area {area}")]
    Swapped {
        /// Level of the entry.
        level: &'static str,
        /// The entry.
        entry: u64,
        /// Number of the swap area (`/proc/swaps` lists them in this order).
        area: u8,
        /// Page in that area.
        offset: u64,
    },
    /// A swap entry with one of the numbers that no swap area gets: the page is migrating, has a hardware error, lives in a
    /// device, or the entry is a marker of userfaultfd. Which number means which depends on the kernel's configuration.
    #[error(
        "not in memory: {level} entry {entry:#x} is a migration, hardware-error, device or marker entry (kind {kind}, offset {offset:#x})"
    )]
    Special {
        /// Level of the entry.
        level: &'static str,
        /// The entry.
        entry: u64,
        /// The swap type, 23 to 31.
        kind: u8,
        /// What the kernel put in the place of the page number: for a migration or a hardware error, the page frame number.
        offset: u64,
    },
    /// The page is in memory, but the process may not touch it (`mprotect(PROT_NONE)`, NUMA balancing). Linux stores its frame
    /// number inverted (L1TF); it is reported and not followed.
    #[error("no access: {level} entry {entry:#x} is PROT_NONE for the page at {frame}")]
    ProtNone {
        /// Level of the entry.
        level: &'static str,
        /// The entry.
        entry: u64,
        /// First byte of the page, with the inversion undone.
        frame: PhysAddr,
    },
    /// A huge page that Linux has marked invalid for the time it takes to split it (`pmd_mkinvalid`): on a live target, read
    /// again.
    #[error("huge page in transition: {level} entry {entry:#x} is marked invalid")]
    Invalidated {
        /// Level of the entry.
        level: &'static str,
        /// The entry.
        entry: u64,
    },
    /// A present entry has bits set that the processor wants clear: the tables are damaged, being written, or no page tables.
    #[error("not a valid page table: {level} entry {entry:#x} has reserved bits {bits:#x}")]
    ReservedBits {
        /// Level of the entry.
        level: &'static str,
        /// The entry.
        entry: u64,
        /// Those of its bits that must be clear.
        bits: u64,
    },
}
