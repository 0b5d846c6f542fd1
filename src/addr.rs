//! Physical and virtual addresses: the one place where addresses become numbers.
//!
//! Addresses are opaque newtypes; arithmetic on them is explicit and, where it can leave the address space, checked.
//! This module knows nothing of memory, kernels or page tables.

use std::fmt;
use std::ops::Range;

/// Bytes in the smallest page of every architecture we read, 4 KiB. A PCIe memory request never crosses a multiple of it
/// (PCI Express Base Specification, "Memory Requests must not specify an Address/Length combination which causes a Memory
/// Space access to cross a 4-KB boundary").
pub const PAGE_SIZE: u64 = 4096;

/// A physical address of the target machine, in bytes, as a PCIe device sees it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhysAddr(u64);

/// A virtual address in one of the target's address spaces, in bytes, canonical or not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VirtAddr(u64);

macro_rules! address_methods {
    ($name:ident, $what:literal) => {
        impl $name {
            #[doc = concat!("The ", $what, " address with this number.")]
            pub const fn new(number: u64) -> Self {
                Self(number)
            }

            /// The address as a number.
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The address `bytes` further on, or `None` past the end of the address space.
            pub const fn checked_add(self, bytes: u64) -> Option<Self> {
                match self.0.checked_add(bytes) {
                    Some(number) => Some(Self(number)),
                    None => None,
                }
            }

            /// The address `bytes` further on (backwards where negative), modulo 2^64 as the processor computes it.
            pub const fn wrapping_offset(self, bytes: i64) -> Self {
                Self(self.0.wrapping_add_signed(bytes))
            }

            /// The start of the 4 KiB page that holds this address.
            pub const fn page_base(self) -> Self {
                Self(self.0 & !(PAGE_SIZE - 1))
            }

            /// Bytes from the start of the 4 KiB page to this address.
            pub const fn page_offset(self) -> u64 {
                self.0 & (PAGE_SIZE - 1)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{:#x}", self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{:#x}", self.0)
            }
        }
    };
}

address_methods!(PhysAddr, "physical");
address_methods!(VirtAddr, "virtual");

/// A half-open range of physical addresses.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PhysRange {
    /// First address inside.
    pub start: PhysAddr,
    /// First address beyond.
    pub end: PhysAddr,
}

impl PhysRange {
    /// The range from `start` to just before `end`; empty where `end` is not above `start`.
    pub const fn new(start: PhysAddr, end: PhysAddr) -> Self {
        Self { start, end }
    }

    /// The range of `length` bytes from `start`, or `None` where it would pass the end of the address space.
    pub const fn of_length(start: PhysAddr, length: u64) -> Option<Self> {
        match start.checked_add(length) {
            Some(end) => Some(Self { start, end }),
            None => None,
        }
    }

    /// Bytes in the range.
    pub const fn length(&self) -> u64 {
        self.end.0.saturating_sub(self.start.0)
    }

    /// Whether nothing is inside.
    pub const fn is_empty(&self) -> bool {
        self.length() == 0
    }

    /// Whether `address` is inside.
    pub const fn contains(&self, address: PhysAddr) -> bool {
        self.start.0 <= address.0 && address.0 < self.end.0
    }

    /// Whether every byte of `other` is inside.
    pub const fn contains_range(&self, other: &Self) -> bool {
        self.start.0 <= other.start.0 && other.end.0 <= self.end.0
    }

    /// The addresses as numbers, for slicing.
    pub const fn numbers(&self) -> Range<u64> {
        self.start.0..self.end.0
    }
}

impl fmt::Debug for PhysRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.start, self.end)
    }
}

impl fmt::Display for PhysRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_wrap_like_the_processor() {
        assert_eq!(
            VirtAddr::new(0).wrapping_offset(-8),
            VirtAddr::new(u64::MAX - 7)
        );
        assert_eq!(PhysAddr::new(u64::MAX).checked_add(1), None);
        assert_eq!(PhysAddr::new(0x1fff).page_base(), PhysAddr::new(0x1000));
        assert_eq!(PhysAddr::new(0x1fff).page_offset(), 0xfff);
    }

    #[test]
    fn ranges_are_half_open() {
        let range = PhysRange::new(PhysAddr::new(0x1000), PhysAddr::new(0x2000));
        assert!(range.contains(PhysAddr::new(0x1000)));
        assert!(!range.contains(PhysAddr::new(0x2000)));
        assert_eq!(range.length(), 0x1000);
        assert!(range.contains_range(&range));
    }
}
