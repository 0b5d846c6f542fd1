//! What KASLR does to code when a kernel boots (arch/x86/boot/compressed/misc.c, handle_relocations): numbers of four bytes that are addresses
//! of the image, and the lower halves of those of eight, grow by the slide; distances from the image to per-CPU offsets shrink by it.
//!
//! A linked kernel often has no list of its relocations any more. A number counts as relocated if it differs by exactly the slide, and was
//! what is relocated: an address in the image, virtual or physical, or the distance to a per-CPU variable.

use std::ops::Range;

use crate::generate::Linked;

/// Bytes of a number that is relocated; of those of eight, the upper half stays as it is.
pub(super) const WIDTH: usize = 4;

/// The longest number that an instruction may have behind the distance that it holds (Intel SDM volume 2, section 2.2.1.6).
const LONGEST_IMMEDIATE: u64 = 8;

/// How a kernel was relocated.
#[derive(Debug)]
pub(super) struct Relocation<'l> {
    slide: u32,
    linked: &'l Linked,
}

impl<'l> Relocation<'l> {
    /// The relocation of a kernel that runs `slide` bytes above its link addresses.
    pub(super) fn new(slide: u64, linked: &'l Linked) -> Self {
        Self {
            slide: slide as u32,
            linked,
        }
    }

    /// Whether the number at a link address is relocated and else unchanged.
    pub(super) fn explains(&self, address: u64, expected: [u8; WIDTH], found: [u8; WIDTH]) -> bool {
        let (was, is) = (u32::from_le_bytes(expected), u32::from_le_bytes(found));
        if self.slide == 0 {
            return false;
        }
        if is.wrapping_sub(was) == self.slide {
            let Linked {
                image, physical, ..
            } = self.linked;
            let low = |range: &Range<u64>| range.start as u32..=range.end as u32;
            // Distances from the beginning of physical memory, or of the image, are numbers of the same kind.
            return low(image).contains(&was) || u64::from(was) <= physical.end;
        }
        was.wrapping_sub(is) == self.slide && self.is_per_cpu(address, was)
    }

    /// Whether an instruction that led to a per-CPU variable at `was`, relative to itself, leads to the same when it now seems to lead to
    /// `is`: the kernel moved, and the variable did not.
    pub(super) fn moves_per_cpu(&self, was: u64, is: u64) -> bool {
        let per_cpu = self.linked.per_cpu.as_ref();
        let is_one = per_cpu.is_some_and(|per_cpu| (per_cpu.start..=per_cpu.end).contains(&was));
        is_one && was.wrapping_sub(is) as u32 == self.slide
    }

    /// Whether the distance at a link address leads to a per-CPU variable.
    fn is_per_cpu(&self, address: u64, distance: u32) -> bool {
        let Some(per_cpu) = &self.linked.per_cpu else {
            return false;
        };
        let distance = i64::from(distance as i32);
        let behind = address.wrapping_add(WIDTH as u64);
        let variable = behind.wrapping_add_signed(distance);
        let furthest = variable.wrapping_add(LONGEST_IMMEDIATE);
        (per_cpu.start..=per_cpu.end.saturating_add(LONGEST_IMMEDIATE)).contains(&furthest)
    }
}
