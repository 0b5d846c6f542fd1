//! Where in this memory is this kernel: image, slides, page-table root, direct map - found by its banner, verified by facts.
//!
//! The image is probed for at 2 MiB steps; everything in it then has a known distance from its first byte. A banner proves nothing
//! (files, logs and dead kernels have banners too): a candidate is the running kernel when its idle task, its build ID and its
//! own page tables say so, and the search goes on when they do not. This room promises never to read outside the RAM map and to
//! count what it costs; it refuses to guess.
//!
//! The model: `pa = va - 0xffffffff80000000 + phys_base` for the image (arch/x86/include/asm/page_64.h, `__phys_addr`).

mod banner;
mod candidates;
mod error;
mod landmarks;
mod notes;
mod ram_map;
mod reader;
mod recognise;
mod search;
mod strangers;
mod tables;
mod unknown;
mod verify;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_refusals;

pub use banner::{BannerScan, FoundBanner};
pub use error::{LocateError, Rejection};
pub use ram_map::ram_map;
pub use reader::Cost;
pub use recognise::{Suspect, Unrecognised, recognise};
pub use unknown::{
    Constants, UnknownCost, UnknownPlan, UnknownProgress, find_unknown, plan_unknown,
};

use crate::addr::{PhysAddr, PhysRange, VirtAddr};
use crate::memory::PhysicalMemory;
use crate::paging::AddressSpace;
use crate::profile::LayoutProfile;

use landmarks::Landmarks;
use reader::Reader;
use search::Search;
use verify::Verifier;

/// A kernel that was found and verified.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Where `_text`, the first byte of the image, is.
    pub image_physical: PhysAddr,
    /// The kernel's variable `phys_base`; may be "negative" (modulo 2^64).
    pub phys_base: u64,
    /// What KASLR added to the link addresses of image symbols, in bytes; a multiple of 2 MiB.
    pub virtual_slide: u64,
    /// Where the direct map of physical memory begins.
    pub page_offset_base: VirtAddr,
    /// Where the array of `struct page` begins.
    pub vmemmap_base: VirtAddr,
    /// Where the vmalloc area begins.
    pub vmalloc_base: VirtAddr,
    /// Levels of the page tables: 4 or 5.
    pub levels: u8,
    /// The kernel's address space, with the image and the direct map as linear maps.
    pub space: AddressSpace,
    /// `linux_banner` without its final newline.
    pub banner: String,
    /// The GNU build ID in the image's notes, lower-case hexadecimal, where it could be read.
    pub build_id: Option<String>,
    /// The RAM map that the search was given; empty where there was none ([`ram_map()`] asks the kernel).
    pub ram: Vec<PhysRange>,
    /// What was verified, in order.
    pub checks: Vec<Check>,
    /// Places with the kernel's banner that were passed over, and why.
    pub rejections: Vec<Rejection>,
    /// What finding it cost.
    pub cost: Cost,
}

impl Kernel {
    /// The virtual address of an image symbol, from its link address.
    pub fn symbol_address(&self, link_address: u64) -> VirtAddr {
        VirtAddr::new(link_address.wrapping_add(self.virtual_slide))
    }
}

/// One fact that was verified, or could not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was checked: `banner`, `init_task.comm`, `build ID`, `virtual slide`, `tables map the image`, `tables map the direct map`.
    pub name: &'static str,
    /// How it went.
    pub outcome: CheckOutcome,
    /// The evidence, in words; bytes from the target are escaped.
    pub detail: String,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckOutcome {
    /// As expected.
    Passed,
    /// Not as expected.
    Failed,
    /// There was nothing to compare.
    Skipped,
}

/// How to search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocateOptions {
    /// Addresses that may be probed. `None`: what the memory knows of itself, else the places where PCs have RAM, with reads that
    /// fail meaning that there is none.
    pub ram: Option<Vec<PhysRange>>,
    /// Bytes that may be read to say which other kernel is there when the profile's is not. For an image, everything is cheap
    /// (`u64::MAX`); over DMA, 256 MiB, the default, is the work of about a second.
    pub scan_budget: u64,
}

impl Default for LocateOptions {
    fn default() -> Self {
        Self {
            ram: None,
            scan_budget: 256 << 20,
        }
    }
}

/// Finds and verifies the kernel that the profile describes. The memory must have no reads in flight.
///
/// Rounds: one for all of a RAM map (without one, one for each stage of the search), one for every fact, and up to four for the
/// page tables. Probes: at most one for each 2 MiB candidate.
pub fn locate(
    memory: &mut dyn PhysicalMemory,
    profile: &LayoutProfile,
    options: &LocateOptions,
) -> Result<Kernel, LocateError> {
    let landmarks = Landmarks::new(profile)?;
    let ram = options.ram.clone().or_else(|| memory.ram());
    let (offset, expected) = landmarks.probe();
    let stages = candidates::stages(ram.as_deref(), landmarks.linked_physical());
    let mut reader = Reader::new(memory);
    let mut search = Search::new(stages, offset, expected);
    let mut rejections = Vec::new();
    while let Some(hit) = search.next_hit(&mut reader) {
        let verifier = Verifier::new(&mut reader, &landmarks, hit.image);
        match verifier.verify(ram.as_deref().unwrap_or(&[])) {
            Ok(kernel) => {
                return Ok(Kernel {
                    rejections,
                    ..kernel
                });
            }
            Err(rejection) => rejections.push(rejection),
        }
    }
    let scan = ram.unwrap_or_else(|| search.readable_blocks());
    let stranger = strangers::Inquiry {
        memory: reader.memory(),
        landmarks: &landmarks,
        tally: &search.tally,
        ranges: &scan,
        budget: options.scan_budget,
    };
    Err(stranger.explain(rejections))
}

/// Verifies the kernel that the profile describes at one place, without any search: `image` is where its first byte would be. The memory
/// must have no reads in flight. Costs what [`locate`] costs after its probes.
pub fn locate_at(
    memory: &mut dyn PhysicalMemory,
    profile: &LayoutProfile,
    options: &LocateOptions,
    image: PhysAddr,
) -> Result<Kernel, LocateError> {
    let landmarks = Landmarks::new(profile)?;
    let ram = options.ram.clone().or_else(|| memory.ram());
    let mut reader = Reader::new(memory);
    let verifier = Verifier::new(&mut reader, &landmarks, image);
    verifier
        .verify(ram.as_deref().unwrap_or(&[]))
        .map_err(|rejection| LocateError::NotVerified {
            rejections: vec![rejection],
        })
}

/// Whether a profile has what finding its kernel needs: a banner, and symbols that lie in the image.
pub fn check_landmarks(profile: &LayoutProfile) -> Result<(), LocateError> {
    Landmarks::new(profile).map(drop)
}

/// The first banner of any Linux kernel in `ram`, and the scan to go on with; for a target whose kernel is not known. Where no map is
/// given and the memory has none, the places where PCs have RAM are probed, as [`locate`] does, and what can be read is scanned.
///
/// A banner may be a copy: only [`locate`], with the profile of that kernel, verifies. At most about `budget` bytes are scanned.
pub fn find_banner(
    memory: &mut dyn PhysicalMemory,
    ram: Option<&[PhysRange]>,
    budget: u64,
) -> (Option<FoundBanner>, BannerScan) {
    let known = ram.map(<[PhysRange]>::to_vec).or_else(|| memory.ram());
    let ranges = known.unwrap_or_else(|| {
        let stages = candidates::stages(None, candidates::ALIGNMENT);
        let mut search = Search::new(stages, 0, banner::PREFIX);
        let mut reader = Reader::new(memory);
        while search.next_hit(&mut reader).is_some() {}
        search.readable_blocks()
    });
    let mut scan = BannerScan::new(&ranges);
    (scan.next(memory, budget), scan)
}
