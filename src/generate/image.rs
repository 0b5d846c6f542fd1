//! The bytes of a kernel image, unpacked from a file or read from memory → what a profile is made of: BTF, symbols, identity.

use std::path::{Path, PathBuf};

use goblin::elf::header::{self, Header};
use goblin::elf::program_header::{PT_LOAD, PT_NOTE, ProgramHeader};
use goblin::elf::section_header::SectionHeader;
use memchr::memmem;

use crate::profile::Architecture;

use super::btf::find_blob;
use super::elf::CONTEXT;
use super::error::GenerateError;
use super::facts::build_id_of_notes;
use super::kallsyms::{self, AddressEncoding, KallsymsProblem};
use super::listed::SymbolList;

/// How every banner begins (`linux_banner`, init/version-timestamp.c).
const BANNER: &[u8] = b"Linux version ";
/// Longest banner that is believed.
const MAX_BANNER: usize = 512;
/// Longest notes that are believed.
const MAX_NOTES: u64 = 64 << 10;

/// Where an image is taken to be whose place nothing tells: far from what is no address.
const SOMEWHERE: u64 = 0xffff_ffff_a000_0000;

/// An image.
#[derive(Debug)]
pub(super) struct Image<'a> {
    /// What errors call it.
    pub(super) path: PathBuf,
    pub(super) architecture: Architecture,
    pieces: Vec<Piece<'a>>,
    /// The section `.BTF`, where sections are told.
    btf: Option<&'a [u8]>,
    /// The notes, where they are told.
    notes: Option<&'a [u8]>,
}

/// Bytes that are together in the image.
#[derive(Clone, Copy, Debug)]
struct Piece<'a> {
    /// Virtual address of the first; `None` in an image that was found in memory.
    address: Option<u64>,
    physical: Option<u64>,
    bytes: &'a [u8],
}

/// What an image says of itself besides its types.
#[derive(Debug)]
pub(super) struct Symbols {
    /// With link addresses.
    pub(super) list: SymbolList<'static>,
    pub(super) banner: String,
    pub(super) build_id: Option<String>,
    /// Bytes from the start of the piece to `_text`; may be "negative".
    pub(super) text: u64,
}

impl<'a> Image<'a> {
    /// An image as a linked ELF file.
    pub(super) fn of_elf(path: &Path, bytes: &'a [u8]) -> Result<Self, GenerateError> {
        let damaged = |what, offset, source| GenerateError::DamagedElf {
            path: path.to_owned(),
            what,
            offset,
            source,
        };
        let header = goblin::elf::Elf::parse_header(bytes)
            .map_err(|source| damaged("the ELF header", 0, source))?;
        let architecture = architecture(path, &header)?;
        let count = usize::from(header.e_phnum);
        let start = usize::try_from(header.e_phoff).unwrap_or(usize::MAX);
        let segments = match bytes.len().checked_sub(start) {
            Some(left) if left >= count * 56 => ProgramHeader::parse(bytes, start, count, CONTEXT)
                .map_err(|source| damaged("the program header table", header.e_phoff, source))?,
            _ => {
                return Err(truncated(
                    path,
                    "the program header table",
                    start,
                    count * 56,
                    bytes,
                ));
            }
        };
        let mut image = Self {
            path: path.to_owned(),
            architecture,
            pieces: Vec::new(),
            btf: section(bytes, &header, b".BTF"),
            notes: section(bytes, &header, b".notes"),
        };
        for segment in segments {
            let found = range(bytes, segment.p_offset, segment.p_filesz);
            let Some(found) = found else {
                let (start, length) = (segment.p_offset as usize, segment.p_filesz as usize);
                return Err(truncated(path, "a segment", start, length, bytes));
            };
            match segment.p_type {
                PT_LOAD => image.pieces.push(Piece {
                    address: Some(segment.p_vaddr),
                    physical: Some(segment.p_paddr),
                    bytes: found,
                }),
                PT_NOTE => image.notes = image.notes.or(Some(found)),
                _ => {}
            }
        }
        Ok(image)
    }

    /// An image, or the part of it with its constants, as it is in memory.
    pub(super) fn of_memory(path: &Path, architecture: Architecture, bytes: &'a [u8]) -> Self {
        Self {
            path: path.to_owned(),
            architecture,
            pieces: vec![Piece {
                address: None,
                physical: None,
                bytes,
            }],
            btf: None,
            notes: None,
        }
    }

    /// The image's BTF.
    pub(super) fn btf(&self) -> Result<&'a [u8], GenerateError> {
        let searched = || {
            let blobs = self
                .pieces
                .iter()
                .filter_map(|piece| find_blob(piece.bytes));
            blobs.max_by_key(|blob| blob.len())
        };
        self.btf
            .filter(|bytes| !bytes.is_empty())
            .or_else(searched)
            .ok_or_else(|| GenerateError::NoBtf {
                path: self.path.clone(),
            })
    }

    /// The symbols that the image holds itself, and what they lead to.
    pub(super) fn symbols(&self) -> Result<Symbols, GenerateError> {
        let mut problem = KallsymsProblem::NoTokens(0);
        for piece in &self.pieces {
            match kallsyms::find(piece.bytes, piece.address.unwrap_or(SOMEWHERE)) {
                Ok(found) => {
                    let list = SymbolList::new(found.symbols);
                    return self.identified(piece, list, found.encoding);
                }
                Err(KallsymsProblem::NoTokens(_)) => {}
                Err(other) => problem = other,
            }
        }
        Err(GenerateError::NoKallsyms {
            path: self.path.clone(),
            problem,
        })
    }

    /// Symbols from elsewhere, for an image whose own table lacks some.
    pub(super) fn symbols_of(
        &self,
        mut list: SymbolList<'static>,
    ) -> Result<Symbols, GenerateError> {
        // /proc/kallsyms has addresses as KASLR has moved them.
        let first = self.pieces.first().and_then(|piece| piece.address);
        if let (Some(first), Some(text)) = (first, list.find("_text")) {
            list.move_by(first.wrapping_sub(text));
        }
        let banner = self.required(&list, "linux_banner")?;
        let holds = |piece: &&Piece<'_>| {
            piece
                .address
                .is_some_and(|start| banner.wrapping_sub(start) < piece.bytes.len() as u64)
        };
        match self.pieces.iter().find(holds) {
            Some(piece) => self.identified(piece, list, AddressEncoding::Absolute),
            None => Err(GenerateError::OtherKernel {
                path: self.path.clone(),
                symbol: "linux_banner",
                address: banner,
            }),
        }
    }

    fn required(&self, list: &SymbolList<'_>, symbol: &'static str) -> Result<u64, GenerateError> {
        list.find(symbol)
            .ok_or_else(|| GenerateError::FunctionsOnly {
                path: self.path.clone(),
                symbol,
                count: list.len(),
            })
    }

    fn identified(
        &self,
        piece: &Piece<'a>,
        mut list: SymbolList<'static>,
        encoding: AddressEncoding,
    ) -> Result<Symbols, GenerateError> {
        let banner_at = self.required(&list, "linux_banner")?;
        let other = || GenerateError::OtherKernel {
            path: self.path.clone(),
            symbol: "linux_banner",
            address: banner_at,
        };
        // In memory, the banner tells where the image is; unless addresses are told relative to where they are.
        let start = match (piece.address, encoding) {
            (Some(address), _) => address,
            (None, AddressEncoding::PlaceRelative) => SOMEWHERE,
            (None, _) => {
                let offset = banner_offset(piece.bytes).ok_or_else(other)?;
                banner_at.wrapping_sub(offset as u64)
            }
        };
        let at = |address: u64| usize::try_from(address.wrapping_sub(start)).ok();
        let banner = at(banner_at).and_then(|at| piece.bytes.get(at..));
        let banner = banner.and_then(banner_in).ok_or_else(other)?;
        let text = list.find("_text").ok_or_else(other)?;
        let linked = match piece.address {
            Some(_) => text,
            None => list.linked_text(self.architecture).ok_or_else(other)?,
        };
        let notes = list.find("__start_notes").zip(list.find("__stop_notes"));
        let notes = notes.and_then(|(from, to)| {
            let length = to.checked_sub(from).filter(|length| *length < MAX_NOTES)?;
            piece
                .bytes
                .get(at(from)?..)?
                .get(..usize::try_from(length).ok()?)
        });
        let build_id = self.notes.or(notes).and_then(build_id_of_notes);
        list.move_by(linked.wrapping_sub(text));
        Ok(Symbols {
            list,
            banner,
            build_id,
            text: text.wrapping_sub(start),
        })
    }

    /// The physical address that a link address is loaded at.
    pub(super) fn physical_address(&self, address: u64) -> Option<u64> {
        self.pieces.iter().find_map(|piece| {
            let offset = address.checked_sub(piece.address?)?;
            let is_inside = offset < piece.bytes.len() as u64;
            piece.physical.filter(|_| is_inside)?.checked_add(offset)
        })
    }
}

fn architecture(path: &Path, header: &Header) -> Result<Architecture, GenerateError> {
    let is_little = header.e_ident[header::EI_DATA] == header::ELFDATA2LSB;
    let is_wide = header.e_ident[header::EI_CLASS] == header::ELFCLASS64;
    match header.e_machine {
        header::EM_X86_64 if is_little && is_wide => Ok(Architecture::X86_64),
        header::EM_AARCH64 if is_little && is_wide => Ok(Architecture::Aarch64),
        machine => Err(GenerateError::OtherArchitecture {
            path: path.to_owned(),
            found: format!(
                "ELF machine {machine} ({})",
                header::machine_to_str(machine)
            ),
        }),
    }
}

fn truncated(path: &Path, what: &str, offset: usize, length: usize, bytes: &[u8]) -> GenerateError {
    GenerateError::Truncated {
        path: path.to_owned(),
        what: what.to_owned(),
        offset: offset as u64,
        length: length as u64,
        file_length: bytes.len() as u64,
    }
}

fn range(bytes: &[u8], start: u64, length: u64) -> Option<&[u8]> {
    let start = usize::try_from(start).ok()?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    bytes.get(start..end)
}

/// The bytes of a section; `None` also where the sections cannot be read: they are not needed.
fn section<'a>(bytes: &'a [u8], header: &Header, name: &[u8]) -> Option<&'a [u8]> {
    let count = usize::from(header.e_shnum);
    let table = range(bytes, header.e_shoff, count as u64 * 64)?;
    let headers = SectionHeader::parse_from(table, 0, count, CONTEXT).ok()?;
    let names = headers.get(usize::from(header.e_shstrndx))?;
    let names = range(bytes, names.sh_offset, names.sh_size)?;
    let found = headers.iter().find(|header| {
        let rest = names.get(header.sh_name..).unwrap_or(&[]);
        rest.strip_prefix(name)
            .is_some_and(|rest| rest.first() == Some(&0))
    })?;
    range(bytes, found.sh_offset, found.sh_size)
}

/// Where the banner is: printable, with a build number, ended by a newline and NUL. (Images since Linux 6.1 hold a second text without the
/// number.)
pub(super) fn banner_offset(bytes: &[u8]) -> Option<usize> {
    memmem::find_iter(bytes, BANNER).find(|at| {
        let text = bytes.get(*at..).and_then(banner_in).unwrap_or_default();
        let mut builds = text.split(" #").skip(1);
        text.contains(" (") && builds.any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    })
}

/// The banner at the start of bytes, its newline included.
pub(super) fn banner_in(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.get(..MAX_BANNER).unwrap_or(bytes);
    let end = memchr::memchr(0, bytes)?;
    let text = std::str::from_utf8(bytes.get(..end)?).ok()?;
    let is_banner = text.starts_with("Linux version ")
        && text.ends_with('\n')
        && text
            .trim_end()
            .bytes()
            .all(|byte| matches!(byte, b' '..=b'~'));
    is_banner.then(|| text.to_owned())
}
