//! The file that a kernel was booted from → its bytes at link addresses, for what compares a running kernel with them.
//!
//! A vmlinux, with or without debug information, packed or not, or the vmlinuz that holds one. Only what is asked for is read.

use std::ops::Range;
use std::path::{Path, PathBuf};

use goblin::elf::program_header::PT_LOAD;
use goblin::elf::section_header::SHT_NOBITS;

use crate::profile::Architecture;

use super::elf::{Section, Vmlinux};
use super::error::GenerateError;
use super::facts::{self, LOWEST_IMAGE_ADDRESS, PERCPU_SECTION};
use super::progress::Progress;

/// An opened kernel file.
#[derive(Debug)]
pub struct KernelFile {
    vmlinux: Vmlinux,
    build_id: Option<String>,
}

/// Where a kernel is linked to be. Addresses are those before KASLR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// Virtual addresses of its image.
    pub image: Range<u64>,
    /// Physical addresses of its image.
    pub physical: Range<u64>,
    /// Offsets of per-CPU variables, where they are offsets and no addresses of the image.
    pub per_cpu: Option<Range<u64>>,
}

impl KernelFile {
    /// Opens a file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, GenerateError> {
        let vmlinux = Vmlinux::open_alone(path.as_ref(), &Progress::default())?;
        let build_id = facts::build_id(&vmlinux)?;
        Ok(Self { vmlinux, build_id })
    }

    /// What errors call it.
    pub fn path(&self) -> PathBuf {
        self.vmlinux.path().to_owned()
    }

    /// Its GNU build ID, lower-case hexadecimal, where it has one.
    pub fn build_id(&self) -> Option<&str> {
        self.build_id.as_deref()
    }

    /// The processor that it is for.
    pub fn architecture(&self) -> Architecture {
        self.vmlinux.architecture
    }

    /// The addresses of a section that has bytes in the file.
    pub fn section(&self, name: &str) -> Option<Range<u64>> {
        self.vmlinux.section(name).and_then(addresses)
    }

    /// The addresses of the sections with bytes in the file whose names begin so, in the order of the file.
    pub fn sections_named(&self, prefix: &str) -> Vec<Range<u64>> {
        let sections = self.vmlinux.sections.iter();
        let named = sections.filter(|section| section.name.starts_with(prefix));
        named.filter_map(addresses).collect()
    }

    /// Up to `length` bytes at a link address, as far as its section goes; `None` where the file has none.
    pub fn bytes(&self, address: u64, length: u64) -> Result<Option<Vec<u8>>, GenerateError> {
        self.vmlinux.image_bytes(address, length)
    }

    /// Where it is linked to be, by the segments that are loaded to addresses of the kernel's image; `None` where there are none.
    pub fn linked(&self) -> Option<Linked> {
        let segments = self.vmlinux.segments().iter();
        let mut image = segments
            .filter(|segment| segment.p_type == PT_LOAD && segment.p_vaddr >= LOWEST_IMAGE_ADDRESS);
        let first = image.next()?;
        let end = |start: u64, length: u64| start.saturating_add(length);
        let mut linked = Linked {
            image: first.p_vaddr..end(first.p_vaddr, first.p_memsz),
            physical: first.p_paddr..end(first.p_paddr, first.p_memsz),
            per_cpu: None,
        };
        for segment in image {
            linked.image.end = linked.image.end.max(end(segment.p_vaddr, segment.p_memsz));
            linked.physical.end = linked
                .physical
                .end
                .max(end(segment.p_paddr, segment.p_memsz));
        }
        let per_cpu = self.section(PERCPU_SECTION);
        linked.per_cpu = per_cpu.filter(|range| range.start < LOWEST_IMAGE_ADDRESS);
        Some(linked)
    }
}

/// The addresses of a section of the image that has bytes.
fn addresses(section: &Section) -> Option<Range<u64>> {
    let header = &section.header;
    let has_bytes = header.sh_type != SHT_NOBITS && header.is_alloc();
    let end = header.sh_addr.checked_add(header.sh_size)?;
    has_bytes.then_some(header.sh_addr..end)
}
