//! Page-table formats as constants: what the walker reads instead of knowing.

use crate::addr::VirtAddr;

/// One level of a page table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// The level in Linux's words: `pgd`, `p4d`, `pud`, `pmd`, `pte`.
    pub name: &'static str,
    /// Lowest bit of the virtual address that selects the entry; an entry that maps a page maps `1 << shift` bytes.
    pub shift: u32,
    /// Bits of the virtual address that select the entry.
    pub index_bits: u32,
    /// When an entry maps a page.
    pub leaf: LeafRule,
    /// Bits that must be clear in a present entry that points to a table.
    pub table_reserved: u64,
    /// Bits that must be clear in a present entry that maps a page.
    pub leaf_reserved: u64,
}

/// When a present entry maps a page and does not point to the next table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeafRule {
    /// Never: it points to a table.
    Never,
    /// When its page-size bit (PS, bit 7) is set.
    PageSizeBit,
    /// Always: the last level.
    Always,
}

/// A page-table format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// For people: `x86-64, 4 levels`.
    pub name: &'static str,
    /// Levels, root first.
    pub levels: &'static [Level],
    /// Bits of a virtual address that are translated; the ones above are copies of the highest of them.
    pub virtual_bits: u32,
    /// Bits of an entry, and of the root register, that hold a physical address.
    pub address_mask: u64,
}

impl Format {
    /// Whether the bits above the translated ones are copies of the highest translated one (Intel SDM volume 1, 3.3.7.1).
    pub fn is_canonical(&self, address: VirtAddr) -> bool {
        let unused = 64 - self.virtual_bits;
        let number = address.get().cast_signed();
        (number << unused) >> unused == number
    }

    /// Whether `address` is in the half of the address space that belongs to the kernel. Meaningful for canonical addresses.
    pub fn is_kernel(&self, address: VirtAddr) -> bool {
        address.get() >> 63 == 1
    }
}

impl Level {
    /// Which entry of this level's table translates `address`.
    pub(super) fn index(&self, address: VirtAddr) -> u64 {
        (address.get() >> self.shift) & ((1 << self.index_bits) - 1)
    }

    /// Entries of a table of this level.
    pub const fn entries(&self) -> u64 {
        1 << self.index_bits
    }

    /// Bytes that an entry of this level maps, or that the tables below it map together.
    pub const fn page_size(&self) -> u64 {
        1 << self.shift
    }
}

/// Bits 51 to 12: the widest physical address that the architecture allows (52 bits).
const ADDRESS_51_12: u64 = 0x000f_ffff_ffff_f000;
/// PS, in an entry of a level that has no huge pages.
const PAGE_SIZE_BIT: u64 = 1 << 7;

const PGD_5: Level = upper("pgd", 48);
const P4D: Level = upper("p4d", 39);
const PGD_4: Level = upper("pgd", 39);
const PUD: Level = huge("pud", 30);
const PMD: Level = huge("pmd", 21);
const PTE: Level = Level {
    name: "pte",
    shift: 12,
    index_bits: 9,
    leaf: LeafRule::Always,
    table_reserved: 0,
    leaf_reserved: 0,
};

/// A level whose entries only point to tables.
const fn upper(name: &'static str, shift: u32) -> Level {
    Level {
        name,
        shift,
        index_bits: 9,
        leaf: LeafRule::Never,
        table_reserved: PAGE_SIZE_BIT,
        leaf_reserved: 0,
    }
}

/// A level whose entries may map huge pages: the address bits below the page must be clear, except bit 12, which is PAT.
const fn huge(name: &'static str, shift: u32) -> Level {
    Level {
        name,
        shift,
        index_bits: 9,
        leaf: LeafRule::PageSizeBit,
        table_reserved: 0,
        leaf_reserved: (1 << shift) - (1 << 13),
    }
}

/// x86-64 with 48-bit virtual addresses (Intel SDM volume 3A, 4.5, "4-level paging").
pub static X86_64_4_LEVEL: Format = Format {
    name: "x86-64, 4 levels",
    levels: &[PGD_4, PUD, PMD, PTE],
    virtual_bits: 48,
    address_mask: ADDRESS_51_12,
};

/// x86-64 with 57-bit virtual addresses, CR4.LA57 (Intel SDM volume 3A, 4.5, "5-level paging").
pub static X86_64_5_LEVEL: Format = Format {
    name: "x86-64, 5 levels",
    levels: &[PGD_5, P4D, PUD, PMD, PTE],
    virtual_bits: 57,
    address_mask: ADDRESS_51_12,
};
