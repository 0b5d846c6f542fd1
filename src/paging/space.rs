//! An address space: a format, the root of its tables, and the ranges that need no tables at all.

use crate::addr::{PhysAddr, VirtAddr};

use super::format::Format;
use super::walk::Walk;

/// A range of virtual addresses that the kernel maps to physical ones by adding a constant. Whether there is RAM behind every
/// address of it is another question: the map is arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearMap {
    /// First virtual address.
    pub virtual_start: VirtAddr,
    /// Bytes.
    pub length: u64,
    /// Where the first byte is.
    pub physical_start: PhysAddr,
    /// For people: `kernel image`, `direct map`.
    pub name: &'static str,
}

impl LinearMap {
    /// Where `address` is, and how many bytes from there on the map still covers; `None` outside the map.
    pub fn lookup(&self, address: VirtAddr) -> Option<(PhysAddr, u64)> {
        let offset = address.get().checked_sub(self.virtual_start.get())?;
        let contiguous = self.length.checked_sub(offset).filter(|&rest| rest > 0)?;
        Some((self.physical_start.checked_add(offset)?, contiguous))
    }
}

/// A virtual address space of the target. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressSpace {
    format: &'static Format,
    root: PhysAddr,
    linear: Vec<LinearMap>,
    encryption_mask: u64,
}

impl AddressSpace {
    /// The space whose top table is at `root`. As the value of CR3 may be given, everything in `root` that is no address
    /// (process-context ID, flags) is dropped.
    pub fn new(format: &'static Format, root: PhysAddr) -> Self {
        Self {
            format,
            root: PhysAddr::new(root.get() & format.address_mask),
            linear: Vec::new(),
            encryption_mask: 0,
        }
    }

    /// The same space with a range of kernel addresses that is translated without tables. Where maps overlap, the one added
    /// first wins. A map of addresses outside the kernel's half is never used.
    pub fn with_linear(mut self, map: LinearMap) -> Self {
        self.linear.push(map);
        self
    }

    /// The same space with memory-encryption bits (`sme_me_mask`, `cc_mask`) that are no part of an entry's address.
    pub fn with_encryption_mask(mut self, mask: u64) -> Self {
        self.encryption_mask = mask;
        self.root = PhysAddr::new(self.root.get() & !mask);
        self
    }

    /// A process's space: its own top table (`mm.pgd`, the kernel's copy; with page-table isolation that one maps the user half
    /// too), the same format, and this space's linear maps for kernel addresses.
    pub fn user(&self, root: PhysAddr) -> Self {
        let root = PhysAddr::new(root.get() & self.format.address_mask & !self.encryption_mask);
        Self {
            root,
            ..self.clone()
        }
    }

    /// The format of the tables.
    pub fn format(&self) -> &'static Format {
        self.format
    }

    /// Where the top table is.
    pub fn root(&self) -> PhysAddr {
        self.root
    }

    /// The ranges that need no tables, in the order in which they are tried.
    pub fn linear_maps(&self) -> &[LinearMap] {
        &self.linear
    }

    /// Memory-encryption bits that are stripped from entries; 0 where nothing is encrypted.
    pub fn encryption_mask(&self) -> u64 {
        self.encryption_mask
    }

    /// Begins the translation of `address`, which may already be its end (linear maps, addresses that are not canonical).
    pub fn translate(&self, address: VirtAddr) -> Walk {
        match self.linear(address) {
            Some((map, physical, contiguous)) => {
                Walk::finished_by_map(self, address, map, physical, contiguous)
            }
            None => self.translate_by_tables(address),
        }
    }

    /// As [`AddressSpace::translate`], but always by the tables: for checking that they agree with the linear maps.
    pub fn translate_by_tables(&self, address: VirtAddr) -> Walk {
        Walk::begin(self, address)
    }

    fn linear(&self, address: VirtAddr) -> Option<(&LinearMap, PhysAddr, u64)> {
        if !self.format.is_canonical(address) || !self.format.is_kernel(address) {
            return None;
        }
        self.linear.iter().find_map(|map| {
            let (physical, contiguous) = map.lookup(address)?;
            Some((map, physical, contiguous))
        })
    }
}
