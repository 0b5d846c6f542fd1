//! The debug sections of a vmlinux → its units, and attribute values as plain numbers, names and references.

use std::collections::HashMap;

use gimli::{
    AttributeValue, DebugAddrBase, DebugStrOffsetsBase, EndianSlice, LittleEndian, SectionId,
    UnitHeader, UnitSectionOffset, UnitType,
};

use crate::generate::elf::Vmlinux;
use crate::generate::error::{DwarfProblem, GenerateError};

use super::entry::Reference;

/// How the bytes of sections are read.
pub(super) type Reader<'a> = EndianSlice<'a, LittleEndian>;

/// More units than any kernel has.
const MAX_UNITS: usize = 1 << 20;

/// The sections that types and variables are told by.
const SECTIONS: [SectionId; 8] = [
    SectionId::DebugInfo,
    SectionId::DebugTypes,
    SectionId::DebugAbbrev,
    SectionId::DebugStr,
    SectionId::DebugLineStr,
    SectionId::DebugStrOffsets,
    SectionId::DebugAddr,
    SectionId::DebugLoc,
];

/// The bytes of the debug sections.
#[derive(Debug)]
pub(in crate::generate) struct Sections {
    bytes: HashMap<&'static str, Vec<u8>>,
}

impl Sections {
    /// Reads them.
    pub(in crate::generate) fn read(vmlinux: &Vmlinux) -> Result<Self, GenerateError> {
        let mut bytes = HashMap::new();
        for id in SECTIONS {
            if let Some(section) = vmlinux.section_bytes(id.name())? {
                bytes.insert(id.name(), section);
            } else if vmlinux
                .section(&id.name().replace(".debug", ".zdebug"))
                .is_some()
            {
                return Err(GenerateError::CompressedSection {
                    section: id.name().to_owned(),
                });
            }
        }
        if bytes.get(".debug_info").is_none_or(Vec::is_empty) {
            return Err(GenerateError::NoDwarf {
                path: vmlinux.path().to_owned(),
            });
        }
        Ok(Self { bytes })
    }

    fn reader(&self, id: SectionId) -> Reader<'_> {
        let bytes = self.bytes.get(id.name()).map_or(&[][..], Vec::as_slice);
        EndianSlice::new(bytes, LittleEndian)
    }
}

/// All units of a vmlinux.
#[derive(Debug)]
pub(super) struct Units<'a> {
    pub(super) dwarf: gimli::Dwarf<Reader<'a>>,
    /// By section, then by offset.
    pub(super) headers: Vec<UnitHeader<Reader<'a>>>,
    /// How many of the headers are in `.debug_info`.
    in_debug_info: usize,
    /// Unit and offset in it, by type signature.
    signatures: HashMap<u64, (usize, u32)>,
}

impl<'a> Units<'a> {
    /// Finds the units.
    pub(super) fn new(sections: &'a Sections) -> Result<Self, GenerateError> {
        let load = |id| Ok::<_, gimli::Error>(sections.reader(id));
        let dwarf = gimli::Dwarf::load(load).map_err(|error| problem(".debug_info", 0, error))?;
        let mut units = Self {
            dwarf,
            headers: Vec::new(),
            in_debug_info: 0,
            signatures: HashMap::new(),
        };
        let mut infos = units.dwarf.units();
        while let Some(header) = infos
            .next()
            .map_err(|error| problem(".debug_info", units.end(), error))?
        {
            units.add(header)?;
        }
        units.in_debug_info = units.headers.len();
        let mut types = units.dwarf.type_units();
        while let Some(header) = types
            .next()
            .map_err(|error| problem(".debug_types", 0, error))?
        {
            units.add(header)?;
        }
        Ok(units)
    }

    fn add(&mut self, header: UnitHeader<Reader<'a>>) -> Result<(), GenerateError> {
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
        self.headers.push(header);
        Ok(())
    }

    /// Where the last unit that was found ends: the next one starts there.
    fn end(&self) -> u64 {
        self.headers.last().map_or(0, |header| {
            place(header).1 + header.length_including_self() as u64
        })
    }

    /// The unit that holds an offset of `.debug_info`, and the offset in it.
    pub(super) fn at_section_offset(&self, offset: u64) -> Option<(usize, u32)> {
        let infos = self.headers.get(..self.in_debug_info)?;
        let after = infos.partition_point(|header| place(header).1 <= offset);
        let index = after.checked_sub(1)?;
        let header = infos.get(index)?;
        let inside = offset - place(header).1;
        let holds = inside < header.length_including_self() as u64;
        holds.then_some((index, u32::try_from(inside).ok()?))
    }

    /// The unit of a type signature, and the offset of the type in it.
    pub(super) fn by_signature(&self, signature: u64) -> Option<(usize, u32)> {
        self.signatures.get(&signature).copied()
    }
}

/// Section and offset of a unit.
pub(super) fn place(header: &UnitHeader<Reader<'_>>) -> (&'static str, u64) {
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

impl<'a> Values<'_, 'a> {
    /// The bytes of a string; empty where the attribute is none.
    pub(super) fn text(&self, value: AttributeValue<Reader<'a>>) -> gimli::Result<&'a [u8]> {
        let string = match value {
            AttributeValue::String(string) => string,
            AttributeValue::DebugStrRef(offset) => self.dwarf.debug_str.get_str(offset)?,
            AttributeValue::DebugLineStrRef(offset) => self.dwarf.debug_line_str.get_str(offset)?,
            AttributeValue::DebugStrOffsetsIndex(index) => {
                let offsets = &self.dwarf.debug_str_offsets;
                let offset =
                    offsets.get_str_offset(self.encoding.format, self.str_offsets, index)?;
                self.dwarf.debug_str.get_str(offset)?
            }
            _ => return Ok(&[]),
        };
        Ok(string.slice())
    }

    /// What an attribute refers to.
    pub(super) fn reference(value: AttributeValue<Reader<'a>>) -> Option<Reference> {
        match value {
            AttributeValue::UnitRef(offset) => u32::try_from(offset.0).ok().map(Reference::Unit),
            AttributeValue::DebugInfoRef(offset) => Some(Reference::Section(offset.0 as u64)),
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
