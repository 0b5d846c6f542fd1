//! For tests: a kernel image small enough to be written by hand, its profile, and a machine's RAM to put it into.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::addr::{PhysAddr, PhysRange};
use crate::memory::{Immediate, ReadFailure, Source};
use crate::profile::LayoutProfile;

pub(super) const TEXT: u64 = 0xffff_ffff_8100_0000;
pub(super) const LENGTH: u64 = 0xa0_0000;
pub(super) const BANNER: u64 = 0x2f_ff80;
const PAGE_OFFSET_BASE: u64 = 0x30_0100;
const VMALLOC_BASE: u64 = 0x30_0108;
const VMEMMAP_BASE: u64 = 0x30_0110;
const L5_ENABLED: u64 = 0x30_0118;
pub(super) const NOTES: u64 = 0x31_0000;
pub(super) const PHYS_BASE: u64 = 0x40_0010;
pub(super) const TOP: u64 = 0x40_2000;
const LEVEL4: u64 = 0x40_4000;
const LEVEL3: u64 = 0x40_5000;
const LEVEL2: u64 = 0x40_6000;
/// Page tables that a real kernel has elsewhere: the direct map's, and the last level of the image's.
const OTHER_TABLES: u64 = 0x90_0000;
pub(super) const INIT_TASK: u64 = 0x41_0000;
pub(super) const COMM: u64 = 0x28;
pub(super) const IOMEM: u64 = 0x42_0000;
const MAX_PFN: u64 = 0x43_0000;

pub(super) const VERSION: &str =
    "Linux version 6.1.0-fake (nobody@nowhere) (a compiler) #1 SMP PREEMPT_DYNAMIC";
pub(super) const BUILD_ID: &str = "3b43fad503487449";

/// Symbols with their distances from `_text`.
const SYMBOLS: &[(&str, u64)] = &[
    ("__pgtable_l5_enabled", L5_ENABLED),
    ("__start_notes", NOTES),
    ("__stop_notes", NOTES + 0x40),
    ("_end", LENGTH),
    ("_text", 0),
    ("init_task", INIT_TASK),
    ("init_top_pgt", TOP),
    ("iomem_resource", IOMEM),
    ("level2_kernel_pgt", LEVEL2),
    ("level3_kernel_pgt", LEVEL3),
    ("level4_kernel_pgt", LEVEL4),
    ("linux_banner", BANNER),
    ("max_pfn", MAX_PFN),
    ("page_offset_base", PAGE_OFFSET_BASE),
    ("phys_base", PHYS_BASE),
    ("vmalloc_base", VMALLOC_BASE),
    ("vmemmap_base", VMEMMAP_BASE),
];

/// The profile of the fake kernel as text, without some symbols.
pub(super) fn profile_text(without: &[&str]) -> String {
    let symbols: String = SYMBOLS
        .iter()
        .filter(|(name, _)| !without.contains(name))
        .map(|(name, offset)| format!("  {name}: {:#x} data 8\n", TEXT + offset))
        .collect();
    format!(
        "format: nettlp-profile/1\nkind: layout\narch: x86_64\nrelease: 6.1.0-fake\nversion: \"{VERSION}\\n\"\n\
         build_id: \"{BUILD_ID}\"\npointer_size: 8\nbyte_order: little\nmade_by: a test\nmade_from: hand\n---\n\
         base:\n  char: 1 signed_char\n  long unsigned int: 8 unsigned\n---\n\
         struct resource:\n  size: 0x40\n  members:\n    start: 0x0 long unsigned int\n    end: 0x8 long unsigned int\n\
         \x20   name: 0x10 char *\n    parent: 0x28 struct resource *\n    sibling: 0x30 struct resource *\n    child: 0x38 struct resource *\n---\n\
         struct task_struct:\n  size: 0x60\n  members:\n    comm: {COMM:#x} char[16]\n---\nsymbols:\n{symbols}"
    )
}

pub(super) fn profile() -> LayoutProfile {
    profile_without(&[])
}

pub(super) fn profile_without(symbols: &[&str]) -> LayoutProfile {
    profile_of(profile_text(symbols))
}

pub(super) fn profile_of(text: String) -> LayoutProfile {
    LayoutProfile::from_bytes(text.into_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

/// A machine's RAM: zeros where nothing was written, unsupported requests outside, every read remembered.
#[derive(Debug, Default)]
pub(super) struct Machine {
    pub(super) ram: Vec<PhysRange>,
    /// Whether it tells where its RAM is, as an image does.
    pub(super) tells: bool,
    /// What reads outside RAM end in.
    pub(super) outside: Option<ReadFailure>,
    pages: HashMap<u64, Vec<u8>>,
    pub(super) log: RefCell<Vec<PhysRange>>,
}

impl Machine {
    pub(super) fn new(ram: &[(u64, u64)]) -> Self {
        Self {
            ram: ram.iter().map(|&(start, end)| range(start, end)).collect(),
            ..Self::default()
        }
    }

    pub(super) fn telling(mut self) -> Self {
        self.tells = true;
        self
    }

    pub(super) fn write(&mut self, mut at: u64, bytes: &[u8]) {
        for &byte in bytes {
            let page = self.pages.entry(at / 4096).or_insert_with(|| vec![0; 4096]);
            page[(at % 4096) as usize] = byte;
            at += 1;
        }
    }

    pub(super) fn memory(self) -> Immediate<Self> {
        Immediate::new(self)
    }
}

impl Source for Machine {
    fn copy(&self, address: PhysAddr, into: &mut [u8]) -> Result<(), ReadFailure> {
        let wanted = range(address.get(), address.get().wrapping_add(into.len() as u64));
        self.log.borrow_mut().push(wanted);
        if !self.ram.iter().any(|ram| ram.contains_range(&wanted)) {
            return Err(self.outside.unwrap_or(ReadFailure::UnsupportedRequest));
        }
        for (index, byte) in into.iter_mut().enumerate() {
            let at = address.get() + index as u64;
            let page = self.pages.get(&(at / 4096));
            *byte = page.map_or(0, |page| page[(at % 4096) as usize]);
        }
        Ok(())
    }

    fn ram(&self) -> Option<Vec<PhysRange>> {
        self.tells.then(|| self.ram.clone())
    }
}

pub(super) fn range(start: u64, end: u64) -> PhysRange {
    PhysRange::new(PhysAddr::new(start), PhysAddr::new(end))
}

/// A kernel in memory; change a field to make it another one.
#[derive(Clone, Debug)]
pub(super) struct Fake {
    /// Where `_text` is.
    pub(super) image: u64,
    pub(super) slide: u64,
    pub(super) levels: usize,
    pub(super) page_offset_base: u64,
    pub(super) banner: String,
    pub(super) build_id: Vec<u8>,
    pub(super) comm: &'static [u8],
    pub(super) max_pfn: u64,
    /// The image is mapped by 4 KiB pages.
    pub(super) small_pages: bool,
    /// The direct map is made of 4 KiB pages, where a real one has large ones.
    pub(super) small_direct_map: bool,
}

impl Fake {
    pub(super) fn at(image: u64) -> Self {
        Self {
            image,
            slide: 0x1a00_0000,
            levels: 4,
            page_offset_base: 0xffff_9480_4000_0000,
            banner: VERSION.to_owned(),
            build_id: vec![0x3b, 0x43, 0xfa, 0xd5, 0x03, 0x48, 0x74, 0x49],
            comm: b"swapper/0",
            max_pfn: 0x14_0000,
            small_pages: false,
            small_direct_map: false,
        }
    }

    pub(super) fn five_levels(mut self) -> Self {
        self.levels = 5;
        self.page_offset_base = 0xff2d_ad80_4000_0000;
        self
    }

    pub(super) fn phys_base(&self) -> u64 {
        self.image
            .wrapping_sub(self.slide)
            .wrapping_sub(TEXT - 0xffff_ffff_8000_0000)
    }

    /// Writes the image and its page tables.
    pub(super) fn install(&self, machine: &mut Machine) {
        let mut note = Vec::new();
        note.extend(
            [4_u32, self.build_id.len() as u32, 3]
                .map(u32::to_le_bytes)
                .concat(),
        );
        note.extend(b"GNU\0");
        note.extend(&self.build_id);
        for (offset, bytes) in [
            (BANNER, format!("{}\n\0", self.banner).as_bytes()),
            (NOTES, &note),
            (INIT_TASK + COMM, self.comm),
        ] {
            machine.write(self.image + offset, bytes);
        }
        for (offset, number) in [
            (PHYS_BASE, self.phys_base()),
            (PAGE_OFFSET_BASE, self.page_offset_base),
            (VMALLOC_BASE, 0xffff_a1c0_0000_0000),
            (VMEMMAP_BASE, 0xffff_e680_0000_0000),
            (L5_ENABLED, u64::from(self.levels == 5)),
            (MAX_PFN, self.max_pfn),
        ] {
            machine.write(self.image + offset, &number.to_le_bytes());
        }
        self.install_tables(machine);
    }

    fn install_tables(&self, machine: &mut Machine) {
        let virtual_text = TEXT.wrapping_add(self.slide);
        let mut next = self.image + OTHER_TABLES;
        // The image, by its static tables.
        let mut tables = vec![self.image + TOP];
        tables.extend((self.levels == 5).then_some(self.image + LEVEL4));
        tables.extend([self.image + LEVEL3, self.image + LEVEL2]);
        let tables = tables.as_slice();
        for megabytes in (0..LENGTH).step_by(2 << 20) {
            let (at, physical) = (virtual_text + megabytes, self.image + megabytes);
            if self.small_pages {
                let chain = [tables, &[next]].concat();
                for offset in (0..2 << 20).step_by(4096) {
                    map(machine, &chain, at + offset, physical + offset, 12);
                }
                next += 4096;
            } else {
                map(machine, tables, at, physical, 21);
            }
        }
        // The direct map of the 2 MiB that hold init_task, by tables of its own.
        let mut chain = vec![self.image + TOP];
        while chain.len() < self.levels {
            chain.push(next);
            next += 4096;
        }
        let physical = (self.image + INIT_TASK) & !0x1f_ffff;
        let at = self.page_offset_base.wrapping_add(physical);
        if self.small_direct_map {
            for offset in (0..2 << 20).step_by(4096) {
                map(machine, &chain, at + offset, physical + offset, 12);
            }
        } else {
            map(machine, &chain[..self.levels - 1], at, physical, 21);
        }
    }
}

/// Writes the entries that map one page through the given tables, root first.
fn map(machine: &mut Machine, tables: &[u64], at: u64, physical: u64, page_shift: u32) {
    let mut shift = page_shift + 9 * (tables.len() as u32 - 1);
    for (index, table) in tables.iter().enumerate() {
        let slot = table + ((at >> shift) % 512) * 8;
        let entry = match tables.get(index + 1) {
            Some(next) => next | 0x67,
            None if page_shift == 21 => physical | 0x1e3,
            None => physical | 0x163,
        };
        machine.write(slot, &entry.to_le_bytes());
        shift = shift.saturating_sub(9);
    }
}
