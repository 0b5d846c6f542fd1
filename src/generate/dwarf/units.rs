//! The debug sections of a vmlinux → its units, and attribute values as plain numbers, names and references.

use std::collections::HashMap;
use std::ops::Range;

use gimli::{
    AttributeValue, DebugAddrBase, DebugInfoUnitHeadersIter, DebugStrOffsetsBase, EndianSlice,
    LittleEndian, SectionId, UnitHeader, UnitSectionOffset, UnitType,
};
use rayon::prelude::*;

use crate::generate::elf::Vmlinux;
use crate::generate::error::{DwarfProblem, GenerateError};

use super::abbreviations::Tables;
use super::entry::Reference;

/// How the bytes of sections are read.
pub(super) type Reader<'a> = EndianSlice<'a, LittleEndian>;

/// More units than any kernel has.
const MAX_UNITS: usize = 1 << 20;

/// The longest name in bytes, those of source files included.
const MAX_NAME: usize = 4096;

/// The sections that types and variables are told by.
const SECTIONS: [SectionId; 7] = [
    SectionId::DebugInfo,
    SectionId::DebugTypes,
    SectionId::DebugAbbrev,
    SectionId::DebugStr,
    SectionId::DebugLineStr,
    SectionId::DebugStrOffsets,
    SectionId::DebugAddr,
];

/// What errors call the `.debug_info` of a supplementary file.
const SUPPLEMENTARY: &str = "the supplementary file's .debug_info";

/// The bytes of the debug sections of one file.
type SectionBytes = HashMap<&'static str, Vec<u8>>;

/// The bytes of the debug sections.
#[derive(Debug)]
pub(in crate::generate) struct Sections {
    main: SectionBytes,
    /// Those of the file that shares debug information with others (dwz).
    supplementary: SectionBytes,
}

impl Sections {
    /// Reads them, from wherever the debug information of a kernel is.
    pub(in crate::generate) fn read(vmlinux: &Vmlinux) -> Result<Self, GenerateError> {
        let path = vmlinux.path().to_owned();
        let file = vmlinux.with_debug_information();
        let main = read_sections(file)?;
        if main.get(".debug_info").is_none_or(Vec::is_empty) {
            return Err(GenerateError::NoDwarf {
                path,
                looked_for: vmlinux.looked_for().to_vec(),
            });
        }
        let supplementary = match file.supplementary()? {
            Some(file) => read_sections(&file)?,
            None => SectionBytes::new(),
        };
        Ok(Self {
            main,
            supplementary,
        })
    }
}

fn read_sections(file: &Vmlinux) -> Result<SectionBytes, GenerateError> {
    // Each is read, or unpacked, on a processor of its own.
    let read = SECTIONS.par_iter().filter_map(|id| {
        let bytes = file.section_bytes(id.name()).transpose()?;
        Some(bytes.map(|bytes| (id.name(), bytes)))
    });
    read.collect()
}

fn reader(sections: &SectionBytes, id: SectionId) -> Reader<'_> {
    let bytes = sections.get(id.name()).map_or(&[][..], Vec::as_slice);
    EndianSlice::new(bytes, LittleEndian)
}

/// All units of a vmlinux.
#[derive(Debug)]
pub(super) struct Units<'a> {
    /// The sections of the file itself and, if there is one, of the supplementary file.
    pub(super) dwarf: gimli::Dwarf<Reader<'a>>,
    /// Those in `.debug_info`, then those in that of the supplementary file, then those in `.debug_types`; each by offset.
    pub(super) headers: Vec<UnitHeader<Reader<'a>>>,
    /// Which of the headers are in `.debug_info`.
    main: Range<usize>,
    /// Which of the headers are in the supplementary file.
    supplementary: Range<usize>,
    /// Unit and offset in it, by type signature.
    signatures: HashMap<u64, (usize, u32)>,
    /// How their entries are written.
    pub(super) tables: Tables,
}

impl<'a> Units<'a> {
    /// Finds the units.
    pub(super) fn new(sections: &'a Sections) -> Result<Self, GenerateError> {
        let load = |id| Ok::<_, gimli::Error>(reader(&sections.main, id));
        let mut dwarf =
            gimli::Dwarf::load(load).map_err(|error| problem(".debug_info", 0, error))?;
        let load = |id| Ok::<_, gimli::Error>(reader(&sections.supplementary, id));
        dwarf
            .load_sup(load)
            .map_err(|error| problem(SUPPLEMENTARY, 0, error))?;
        let infos = dwarf.units();
        let shared = dwarf.sup().map(gimli::Dwarf::units);
        let types = dwarf.type_units();
        let mut units = Self {
            dwarf,
            headers: Vec::new(),
            main: 0..0,
            supplementary: 0..0,
            signatures: HashMap::new(),
            tables: Tables::default(),
        };
        units.add_all(infos, false)?;
        units.main = 0..units.headers.len();
        if let Some(shared) = shared {
            units.add_all(shared, true)?;
        }
        units.supplementary = units.main.end..units.headers.len();
        let mut types = types;
        while let Some(header) = types
            .next()
            .map_err(|error| problem(".debug_types", 0, error))?
        {
            units.add(header, false)?;
        }
        Ok(units)
    }

    fn add_all(
        &mut self,
        mut headers: DebugInfoUnitHeadersIter<Reader<'a>>,
        is_supplementary: bool,
    ) -> Result<(), GenerateError> {
        let section = if is_supplementary {
            SUPPLEMENTARY
        } else {
            ".debug_info"
        };
        // The next unit starts where the last one that was found ends.
        let mut end = 0;
        while let Some(header) = headers
            .next()
            .map_err(|error| problem(section, end, error))?
        {
            end = place(&header).1 + header.length_including_self() as u64;
            self.add(header, is_supplementary)?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        header: UnitHeader<Reader<'a>>,
        is_supplementary: bool,
    ) -> Result<(), GenerateError> {
        if self.headers.len() >= MAX_UNITS {
            let (section, offset) = place(&header);
            let problem = DwarfProblem::TooMany {
                what: "units",
                limit: MAX_UNITS,
            };
            return Err(GenerateError::Dwarf {
                section,
                offset,
                problem,
            });
        }
        if let UnitType::Type {
            type_signature,
            type_offset,
        } = header.type_()
            && let Ok(offset) = u32::try_from(type_offset.0)
        {
            self.signatures
                .insert(type_signature.0, (self.headers.len(), offset));
        }
        self.tables
            .add(is_supplementary, header.debug_abbrev_offset().0);
        self.headers.push(header);
        Ok(())
    }

    /// Whether a unit is in the supplementary file.
    pub(super) fn is_supplementary(&self, unit: usize) -> bool {
        self.supplementary.contains(&unit)
    }

    /// Section and offset of a unit.
    pub(super) fn place(&self, unit: usize) -> (&'static str, u64) {
        let (section, offset) = self.headers.get(unit).map_or((".debug_info", 0), place);
        match self.is_supplementary(unit) {
            true => (SUPPLEMENTARY, offset),
            false => (section, offset),
        }
    }

    /// The sections that a unit's bytes refer to.
    pub(super) fn dwarf_of(&self, unit: usize) -> &gimli::Dwarf<Reader<'a>> {
        match self.dwarf.sup() {
            Some(supplementary) if self.is_supplementary(unit) => supplementary,
            _ => &self.dwarf,
        }
    }

    /// The unit that holds an offset of `.debug_info`, of the supplementary file's or of the main one's, and the offset in it.
    pub(super) fn at_section_offset(
        &self,
        offset: u64,
        in_supplementary: bool,
    ) -> Option<(usize, u32)> {
        let range = match in_supplementary {
            true => self.supplementary.clone(),
            false => self.main.clone(),
        };
        let infos = self.headers.get(range.clone())?;
        let after = infos.partition_point(|header| place(header).1 <= offset);
        let index = after.checked_sub(1)?;
        let header = infos.get(index)?;
        let inside = offset - place(header).1;
        let holds = inside < header.length_including_self() as u64;
        holds.then_some((range.start + index, u32::try_from(inside).ok()?))
    }

    /// The unit of a type signature, and the offset of the type in it.
    pub(super) fn by_signature(&self, signature: u64) -> Option<(usize, u32)> {
        self.signatures.get(&signature).copied()
    }
}

/// Section and offset of a unit's header.
fn place(header: &UnitHeader<Reader<'_>>) -> (&'static str, u64) {
    let UnitSectionOffset(offset) = header.offset();
    (header.section().name(), offset as u64)
}

/// Something that gimli could not read.
pub(super) fn problem(section: &'static str, offset: u64, error: gimli::Error) -> GenerateError {
    GenerateError::Dwarf {
        section,
        offset,
        problem: DwarfProblem::Malformed(error),
    }
}

/// What is needed to read the attribute values of one unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values<'u, 'a> {
    pub(super) dwarf: &'u gimli::Dwarf<Reader<'a>>,
    pub(super) encoding: gimli::Encoding,
    pub(super) str_offsets: DebugStrOffsetsBase<usize>,
    pub(super) addresses: DebugAddrBase<usize>,
}

impl<'u, 'a> Values<'u, 'a> {
    /// For a unit of such an encoding; its own entry may tell other bases.
    pub(super) fn new(dwarf: &'u gimli::Dwarf<Reader<'a>>, encoding: gimli::Encoding) -> Self {
        Self {
            dwarf,
            encoding,
            str_offsets: DebugStrOffsetsBase::default_for_encoding_and_file(
                encoding,
                gimli::DwarfFileType::Main,
            ),
            addresses: DebugAddrBase(0),
        }
    }

    /// The bytes of a string; empty where the attribute is none.
    pub(super) fn text(&self, value: AttributeValue<Reader<'a>>) -> Result<&'a [u8], DwarfProblem> {
        let string = match value {
            AttributeValue::String(string) => string,
            AttributeValue::DebugStrRef(offset) => self.dwarf.debug_str.get_str(offset)?,
            AttributeValue::DebugLineStrRef(offset) => self.dwarf.debug_line_str.get_str(offset)?,
            AttributeValue::DebugStrRefSup(offset) => self.dwarf.sup_string(offset)?,
            AttributeValue::DebugStrOffsetsIndex(index) => {
                let offsets = &self.dwarf.debug_str_offsets;
                let offset =
                    offsets.get_str_offset(self.encoding.format, self.str_offsets, index)?;
                self.dwarf.debug_str.get_str(offset)?
            }
            _ => return Ok(&[]),
        };
        match string.slice() {
            name if name.len() <= MAX_NAME => Ok(name),
            _ => Err(DwarfProblem::TooMany {
                what: "bytes of a name",
                limit: MAX_NAME,
            }),
        }
    }

    /// What an attribute refers to.
    pub(super) fn reference(value: AttributeValue<Reader<'a>>) -> Option<Reference> {
        match value {
            AttributeValue::UnitRef(offset) => u32::try_from(offset.0).ok().map(Reference::Unit),
            AttributeValue::DebugInfoRef(offset) => Some(Reference::Section(offset.0 as u64)),
            AttributeValue::DebugInfoRefSup(offset) => {
                Some(Reference::Supplementary(offset.0 as u64))
            }
            AttributeValue::DebugTypesRef(signature) => Some(Reference::Signature(signature.0)),
            _ => None,
        }
    }

    /// The address that a location is, if it is one and nothing else.
    pub(super) fn address(&self, value: AttributeValue<Reader<'a>>) -> gimli::Result<Option<u64>> {
        let Some(expression) = value.exprloc_value() else {
            return Ok(None);
        };
        let mut operations = expression.operations(self.encoding);
        let address = match operations.next()? {
            Some(gimli::Operation::Address { address }) => address,
            Some(gimli::Operation::AddressIndex { index }) => {
                let size = self.encoding.address_size;
                self.dwarf
                    .debug_addr
                    .get_address(size, self.addresses, index)?
            }
            _ => return Ok(None),
        };
        Ok(operations.next()?.is_none().then_some(address))
    }

    /// Bytes from the start of an aggregate: a number, or in DWARF 2 an expression that adds one.
    pub(super) fn member_location(
        &self,
        value: AttributeValue<Reader<'a>>,
    ) -> gimli::Result<Option<u64>> {
        if let Some(offset) = value.udata_value() {
            return Ok(Some(offset));
        }
        let Some(expression) = value.exprloc_value() else {
            return Ok(None);
        };
        Ok(match expression.operations(self.encoding).next()? {
            Some(
                gimli::Operation::PlusConstant { value }
                | gimli::Operation::UnsignedConstant { value },
            ) => Some(value),
            _ => None,
        })
    }
}
