//! A vmlinux file → its headers, its symbols and the bytes of the sections that are asked for; the rest of the file is not read.
//!
//! The file may come compressed or in a Debian package (`container`), its sections may be compressed (`packed`), and its symbols and debug
//! information may be in files of their own, which are found as debuggers find them (`companion`).
//!
//! Relocation sections are ignored: a linked kernel (ET_EXEC, ET_DYN) that still carries `.rela.debug_*`, as Debian's do, has them
//! applied already.

mod companion;
mod container;
mod packed;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use goblin::container::{Container, Ctx, Endian};
use goblin::elf::header::{self, Header};
use goblin::elf::program_header::{PT_LOAD, ProgramHeader};
use goblin::elf::section_header::{self, SectionHeader};
use goblin::elf::sym::Sym;
use rayon::prelude::*;

use crate::profile::Architecture;

use super::error::{ForeignKind, GenerateError};
use super::progress::Progress;

pub use packed::SectionProblem;

/// The only word size and byte order that get past [`Vmlinux::open_with`].
pub(super) const CONTEXT: Ctx = Ctx {
    container: Container::Big,
    le: Endian::Little,
};

/// Bytes of the 64-bit ELF header.
const HEADER_SIZE: u64 = 64;
/// Bytes of a 64-bit section header, program header and symbol.
const SECTION_HEADER_SIZE: u64 = 64;
const PROGRAM_HEADER_SIZE: u64 = 56;
const SYMBOL_SIZE: u64 = 24;

/// Bytes that one thread reads at a time.
const CHUNK: usize = 16 << 20;

/// An opened vmlinux.
#[derive(Debug)]
pub(super) struct Vmlinux {
    path: PathBuf,
    file: File,
    length: u64,
    pub(super) architecture: Architecture,
    pub(super) sections: Vec<Section>,
    segments: Vec<ProgramHeader>,
    /// The file that has the debug information, where that is another.
    debug: Option<Box<Vmlinux>>,
    /// Where such a file was looked for in vain.
    looked_for: Vec<PathBuf>,
}

/// What a file must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// A linked kernel.
    Kernel,
    /// What goes with one.
    Companion,
}

/// A section and its name.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) header: SectionHeader,
}

/// The symbol table and the names that it points to.
#[derive(Debug)]
pub(super) struct SymbolTable {
    pub(super) symbols: Vec<Sym>,
    names: Vec<u8>,
}

impl SymbolTable {
    /// The bytes of a symbol's name; empty where it points outside.
    pub(super) fn name(&self, symbol: &Sym) -> &[u8] {
        let rest = self.names.get(symbol.st_name..).unwrap_or(&[]);
        let length = memchr::memchr(0, rest).unwrap_or(rest.len());
        rest.get(..length).unwrap_or(&[])
    }

    /// The symbol of that name; global before local, then the first.
    pub(super) fn find(&self, name: &[u8]) -> Option<&Sym> {
        let mut named = self
            .symbols
            .iter()
            .filter(|symbol| self.name(symbol) == name);
        let first = named.next()?;
        let global = std::iter::once(first)
            .chain(named)
            .find(|symbol| symbol.st_bind() != 0);
        Some(global.unwrap_or(first))
    }
}

impl Vmlinux {
    /// Opens a file, unpacking it first where it is compressed or a Debian package, reads its headers, and finds the file that has its debug
    /// information, where that is another.
    pub(super) fn open_with(path: &Path, progress: &Progress) -> Result<Self, GenerateError> {
        let mut vmlinux = Self::open_as(path, Role::Kernel, progress)?;
        if !vmlinux.has_debug_information() {
            let (found, looked_for) = companion::debug_file(&vmlinux)?;
            vmlinux.debug = found.map(Box::new);
            vmlinux.looked_for = looked_for;
        }
        Ok(vmlinux)
    }

    /// Opens a file by itself, as [`Vmlinux::open_with`] does, or the kernel in one that boots; no other file is looked for.
    pub(super) fn open_alone(path: &Path, progress: &Progress) -> Result<Self, GenerateError> {
        let opened = container::open_bootable(path, progress)?;
        Self::open_opened(path, opened, Role::Kernel)
    }

    fn open_as(path: &Path, role: Role, progress: &Progress) -> Result<Self, GenerateError> {
        Self::open_opened(path, container::open(path, progress)?, role)
    }

    fn open_opened(
        path: &Path,
        opened: container::Opened,
        role: Role,
    ) -> Result<Self, GenerateError> {
        let container::Opened { file, length } = opened;
        let mut vmlinux = Self {
            path: path.to_owned(),
            file,
            length,
            architecture: Architecture::X86_64,
            sections: Vec::new(),
            segments: Vec::new(),
            debug: None,
            looked_for: Vec::new(),
        };
        let header = vmlinux.read_header(role)?;
        vmlinux.sections = vmlinux.read_sections(&header)?;
        let table_length = PROGRAM_HEADER_SIZE * u64::from(header.e_phnum);
        let table = vmlinux.read("the program header table", header.e_phoff, table_length)?;
        let segments = ProgramHeader::parse(&table, 0, usize::from(header.e_phnum), CONTEXT);
        vmlinux.segments = segments.map_err(|source| {
            vmlinux.damaged("the program header table", header.e_phoff, source)
        })?;
        Ok(vmlinux)
    }

    /// The file that has the debug information: this one, or the one that goes with it.
    pub(super) fn with_debug_information(&self) -> &Self {
        self.debug.as_deref().unwrap_or(self)
    }

    /// Where another file with the debug information was looked for in vain.
    pub(super) fn looked_for(&self) -> &[PathBuf] {
        &self.looked_for
    }

    /// The file that several share debug information in (`.gnu_debugaltlink`, as dwz makes it), if this one has such a link.
    pub(super) fn supplementary(&self) -> Result<Option<Self>, GenerateError> {
        companion::supplementary_file(self)
    }

    fn has_debug_information(&self) -> bool {
        [".debug_info", ".zdebug_info"].iter().any(|name| {
            self.section(name)
                .is_some_and(|section| section.header.sh_type != section_header::SHT_NOBITS)
        })
    }

    /// What errors call the file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn read_header(&mut self, role: Role) -> Result<Header, GenerateError> {
        if self.length == 0 {
            return Err(GenerateError::Empty {
                path: self.path.clone(),
            });
        }
        let start = self.read("the start", 0, self.length.min(1024))?;
        if !start.starts_with(header::ELFMAG) {
            return Err(GenerateError::NotElf {
                path: self.path.clone(),
                kind: ForeignKind::of(&start),
            });
        }
        let bytes = self.read("the ELF header", 0, HEADER_SIZE)?;
        let parsed = goblin::elf::Elf::parse_header(&bytes)
            .map_err(|source| self.damaged("the ELF header", 0, source))?;
        self.architecture = self.check_architecture(&parsed)?;
        let kind = match parsed.e_type {
            _ if role == Role::Companion => return Ok(parsed),
            header::ET_EXEC | header::ET_DYN => return Ok(parsed),
            // Its sections are not where the running kernel has them.
            header::ET_REL => "a relocatable object (a module?)",
            header::ET_CORE => "a memory dump",
            _ => "of an unknown ELF type",
        };
        Err(GenerateError::NotLinked {
            path: self.path.clone(),
            kind,
        })
    }

    fn check_architecture(&self, header: &Header) -> Result<Architecture, GenerateError> {
        let other = |found: String| GenerateError::OtherArchitecture {
            path: self.path.clone(),
            found,
        };
        if header.e_ident[header::EI_CLASS] != header::ELFCLASS64 {
            return Err(other("32-bit".to_owned()));
        }
        if header.e_ident[header::EI_DATA] != header::ELFDATA2LSB {
            return Err(other("big-endian".to_owned()));
        }
        match header.e_machine {
            header::EM_X86_64 => Ok(Architecture::X86_64),
            header::EM_AARCH64 => Ok(Architecture::Aarch64),
            machine => Err(other(format!(
                "ELF machine {machine} ({})",
                header::machine_to_str(machine)
            ))),
        }
    }

    fn read_sections(&self, header: &Header) -> Result<Vec<Section>, GenerateError> {
        const WHAT: &str = "the section header table";
        let count = usize::from(header.e_shnum);
        let table = self.read(
            WHAT,
            header.e_shoff,
            SECTION_HEADER_SIZE * u64::from(header.e_shnum),
        )?;
        let damaged = |source| self.damaged(WHAT, header.e_shoff, source);
        // No sections at all: what is missing is told when it is looked for.
        let headers = match count {
            0 => Vec::new(),
            _ => SectionHeader::parse_from(&table, 0, count, CONTEXT).map_err(damaged)?,
        };
        let names = match headers.get(usize::from(header.e_shstrndx)) {
            Some(names) => self.read("the section names", names.sh_offset, names.sh_size)?,
            None => Vec::new(),
        };
        let sections = headers.into_iter().map(|header| {
            let rest = names.get(header.sh_name..).unwrap_or(&[]);
            let name = rest.split(|byte| *byte == 0).next().unwrap_or(&[]);
            Section {
                name: String::from_utf8_lossy(name).into_owned(),
                header,
            }
        });
        Ok(sections.collect())
    }

    /// The section of that name, if the file has it.
    pub(super) fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// The bytes of a section of the file, unpacked; `None` where there is no such section or it has no bytes in the file. `.debug_info`
    /// finds `.zdebug_info` too.
    pub(super) fn section_bytes(&self, name: &str) -> Result<Option<Vec<u8>>, GenerateError> {
        let old = name
            .strip_prefix(".debug_")
            .and_then(|rest| self.section(&format!(".zdebug_{rest}")));
        let Some(section) = self.section(name).or(old) else {
            return Ok(None);
        };
        let header = &section.header;
        if header.sh_type == section_header::SHT_NOBITS {
            return Ok(None);
        }
        let bytes = self.read(
            &format!("section {}", section.name),
            header.sh_offset,
            header.sh_size,
        )?;
        let unpacked = if header.sh_flags & u64::from(section_header::SHF_COMPRESSED) != 0 {
            packed::unpack(&bytes)
        } else if section.name.starts_with(".zdebug_") {
            packed::unpack_old(&bytes)
        } else {
            Ok(bytes)
        };
        unpacked
            .map(Some)
            .map_err(|problem| self.unreadable_section(section, problem))
    }

    fn unreadable_section(&self, section: &Section, problem: SectionProblem) -> GenerateError {
        GenerateError::UnreadableSection {
            path: self.path.clone(),
            section: section.name.clone(),
            offset: section.header.sh_offset,
            problem,
        }
    }

    /// The symbols of `.symtab`, which may be in the file with the debug information.
    pub(super) fn symbol_table(&self) -> Result<SymbolTable, GenerateError> {
        match (self.own_symbol_table()?, &self.debug) {
            (Some(table), _) => Ok(table),
            (None, Some(debug)) => debug.symbol_table(),
            (None, None) => Err(GenerateError::NoSymbols {
                path: self.path.clone(),
            }),
        }
    }

    fn own_symbol_table(&self) -> Result<Option<SymbolTable>, GenerateError> {
        let is_table = |section: &&Section| section.header.sh_type == section_header::SHT_SYMTAB;
        let Some(table) = self.sections.iter().find(is_table) else {
            return Ok(None);
        };
        let Some(bytes) = self.section_bytes(&table.name)? else {
            return Ok(None);
        };
        let count = bytes.len() / SYMBOL_SIZE as usize;
        let damaged = |source| self.damaged("the symbol table", table.header.sh_offset, source);
        let symbols = Sym::parse(&bytes, 0, count, CONTEXT).map_err(damaged)?;
        let Some(names) = self.sections.get(table.header.sh_link as usize) else {
            return Ok(None);
        };
        let names = self.read(
            "the symbol names",
            names.header.sh_offset,
            names.header.sh_size,
        )?;
        Ok(Some(SymbolTable { symbols, names }))
    }

    /// The section of a symbol of [`Self::symbol_table`], as it is in the image: a file with nothing but debug information numbers sections
    /// as the image did before it was stripped, and has no bytes in them.
    pub(super) fn section_of(&self, symbol: &Sym) -> Option<&Section> {
        let has_symbols = |vmlinux: &Self| {
            let mut sections = vmlinux.sections.iter();
            sections.any(|section| section.header.sh_type == section_header::SHT_SYMTAB)
        };
        match &self.debug {
            Some(debug) if !has_symbols(self) => {
                let section = debug.sections.get(symbol.st_shndx)?;
                self.section(&section.name).or(Some(section))
            }
            _ => self.sections.get(symbol.st_shndx),
        }
    }

    /// Up to `limit` bytes of the image at a link address, as far as its section goes; `None` where the file has none.
    pub(super) fn image_bytes(
        &self,
        address: u64,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, GenerateError> {
        let holds = |section: &&Section| {
            let header = &section.header;
            header.sh_type != section_header::SHT_NOBITS
                && header.is_alloc()
                && address
                    .checked_sub(header.sh_addr)
                    .is_some_and(|offset| offset < header.sh_size)
        };
        let Some(Section { name, header }) = self.sections.iter().find(holds) else {
            return Ok(None);
        };
        let offset = address - header.sh_addr;
        let length = limit.min(header.sh_size - offset);
        let start = header.sh_offset.saturating_add(offset);
        self.read(&format!("section {name}"), start, length)
            .map(Some)
    }

    /// What of the file is loaded where.
    pub(super) fn segments(&self) -> &[ProgramHeader] {
        &self.segments
    }

    /// The physical address that a link address is loaded at.
    pub(super) fn physical_address(&self, address: u64) -> Option<u64> {
        self.segments.iter().find_map(|segment| {
            let offset = address.checked_sub(segment.p_vaddr)?;
            let inside = segment.p_type == PT_LOAD && offset < segment.p_memsz;
            inside
                .then(|| segment.p_paddr.checked_add(offset))
                .flatten()
        })
    }

    /// Reads a range of the file, in parallel where it is long.
    fn read(&self, what: &str, offset: u64, length: u64) -> Result<Vec<u8>, GenerateError> {
        let truncated = || GenerateError::Truncated {
            path: self.path.clone(),
            what: what.to_owned(),
            offset,
            length,
            file_length: self.length,
        };
        let end = offset.checked_add(length);
        // A file may have holes: its length alone is no reason to take that much memory.
        if end.is_none_or(|end| end > self.length) || length > packed::MAX_LENGTH {
            return Err(truncated());
        }
        let mut bytes = vec![0; usize::try_from(length).map_err(|_| truncated())?];
        let chunks = bytes.par_chunks_mut(CHUNK).enumerate();
        chunks
            .try_for_each(|(index, chunk)| {
                let at = offset + (index * CHUNK) as u64;
                self.file.read_exact_at(chunk, at)
            })
            .map_err(|source| GenerateError::Unreadable {
                path: self.path.clone(),
                source,
            })?;
        Ok(bytes)
    }

    fn damaged(
        &self,
        what: &'static str,
        offset: u64,
        source: goblin::error::Error,
    ) -> GenerateError {
        GenerateError::DamagedElf {
            path: self.path.clone(),
            what,
            offset,
            source,
        }
    }
}
