//! The image itself → the header of its profile: which kernel it is, and what its types cannot tell.

use goblin::elf::note::{NT_GNU_BUILD_ID, NoteDataIterator};
use goblin::elf::section_header::SHT_NOTE;

use crate::profile::{
    Architecture, ByteOrder, Constants, FORMAT, Header, Kind, Origin, PercpuBase,
};

use super::catalogue::Catalogue;
use super::definition::{Body, Space};
use super::elf::{CONTEXT, SymbolTable, Vmlinux};
use super::error::GenerateError;

/// Longest banner that is taken: the kernel's own is a few hundred bytes.
const MAX_BANNER: u64 = 4096;

/// Below this, a per-CPU symbol is an offset; no image is linked there.
pub(super) const LOWEST_IMAGE_ADDRESS: u64 = 0x100_0000;

/// The section of per-CPU variables.
pub(super) const PERCPU_SECTION: &str = ".data..percpu";

/// What identifies a kernel.
#[derive(Debug)]
pub(super) struct Identity {
    banner: String,
    build_id: Option<String>,
}

impl Identity {
    /// Finds banner and build ID in the image.
    pub(super) fn find(vmlinux: &Vmlinux, symbols: &SymbolTable) -> Result<Self, GenerateError> {
        let not_a_kernel = || GenerateError::NotAKernel {
            path: vmlinux.path().to_owned(),
            symbol: "linux_banner",
        };
        let symbol = symbols.find(b"linux_banner").ok_or_else(not_a_kernel)?;
        let bytes = vmlinux
            .image_bytes(symbol.st_value, MAX_BANNER)?
            .ok_or_else(not_a_kernel)?;
        let banner = bytes.split(|byte| *byte == 0).next().unwrap_or(&[]);
        Ok(Self {
            banner: String::from_utf8_lossy(banner).into_owned(),
            build_id: build_id(vmlinux)?,
        })
    }

    /// `uname -r`: the third word of `Linux version 6.1.0-56-cloud-amd64 (…`.
    fn release(&self) -> &str {
        self.banner.split(' ').nth(2).unwrap_or("")
    }
}

/// The header of the profile.
pub(super) fn header(
    vmlinux: &Vmlinux,
    symbols: &SymbolTable,
    identity: &Identity,
    catalogue: &Catalogue<'_>,
) -> Header {
    let text = symbols.find(b"_text").map(|symbol| symbol.st_value);
    Header {
        format: FORMAT.to_owned(),
        kind: Kind::Layout,
        arch: vmlinux.architecture,
        release: identity.release().to_owned(),
        version: identity.banner.clone(),
        build_id: identity.build_id.clone(),
        pointer_size: match vmlinux.architecture {
            Architecture::X86_64 | Architecture::Aarch64 => 8,
        },
        byte_order: ByteOrder::Little,
        made_by: concat!("nettlp-profile ", env!("CARGO_PKG_VERSION")).to_owned(),
        made_from: Origin::Dwarf,
        constants: Constants {
            text_link_address: text,
            text_physical_address: text.and_then(|text| vmlinux.physical_address(text)),
            thread_size: thread_size(
                |name| symbols.find(name.as_bytes()).map(|symbol| symbol.st_value),
                catalogue,
            ),
            percpu: percpu_base(vmlinux, symbols),
        },
    }
}

/// Symbols around the first task's stack, which is `THREAD_SIZE` long (include/asm-generic/vmlinux.lds.h, `INIT_TASK_DATA`; renamed in
/// Linux 6.10).
const STACK_BOUNDS: [(&str, &str); 2] = [
    ("__start_init_stack", "__end_init_stack"),
    ("__start_init_task", "__end_init_task"),
];

/// Bytes of a kernel stack. `union thread_union` (include/linux/sched.h) is as long, but only in the debug information where a unit
/// uses it.
pub(super) fn thread_size(
    find: impl Fn(&str) -> Option<u64>,
    catalogue: &Catalogue<'_>,
) -> Option<u64> {
    let around_stack = STACK_BOUNDS
        .iter()
        .find_map(|(start, end)| find(end)?.checked_sub(find(start)?));
    let size = around_stack.or_else(
        || match catalogue.find(Space::Union, "thread_union")?.body {
            Body::Aggregate { size, .. } => Some(size),
            _ => None,
        },
    );
    size.filter(|size| size.is_power_of_two() && *size >= 4096)
}

/// Per-CPU variables are linked at 0 where the kernel addresses them relative to a segment (x86-64 before Linux 6.15).
fn percpu_base(vmlinux: &Vmlinux, symbols: &SymbolTable) -> Option<PercpuBase> {
    let section = vmlinux
        .section(PERCPU_SECTION)
        .map(|section| section.header.sh_addr);
    let start = symbols
        .find(b"__per_cpu_start")
        .map(|symbol| symbol.st_value);
    match section.or(start)? {
        address if address < LOWEST_IMAGE_ADDRESS => Some(PercpuBase::ZeroBased),
        _ => Some(PercpuBase::Image),
    }
}

/// The build ID in hexadecimal, if the file has one.
pub(super) fn build_id(vmlinux: &Vmlinux) -> Result<Option<String>, GenerateError> {
    for section in &vmlinux.sections {
        if section.header.sh_type != SHT_NOTE {
            continue;
        }
        let bytes = vmlinux.section_bytes(&section.name)?.unwrap_or_default();
        if let Some(build_id) = build_id_of_notes(&bytes) {
            return Ok(Some(build_id));
        }
    }
    Ok(None)
}

/// The build ID among ELF notes. A note that cannot be read ends the search: the build ID is worth having, not worth failing for.
pub(super) fn build_id_of_notes(bytes: &[u8]) -> Option<String> {
    let mut notes = NoteDataIterator {
        data: bytes,
        size: bytes.len(),
        offset: 0,
        ctx: (4, CONTEXT),
    }
    .map_while(Result::ok);
    let note = notes.find(|note| note.n_type == NT_GNU_BUILD_ID && note.name == "GNU")?;
    Some(note.desc.iter().map(|byte| format!("{byte:02x}")).collect())
}
