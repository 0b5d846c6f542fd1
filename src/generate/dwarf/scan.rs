//! One unit's bytes → the table of its types and variables; everything about code is passed over.

use std::collections::HashSet;

use gimli::constants as dw;
use gimli::{
    Abbreviation, Abbreviations, AttributeValue, DwAt, EntriesRaw, UnitHeader, UnitOffset,
};

use crate::generate::error::{DwarfProblem, GenerateError};

use super::entry::{Constant, Entry, Kind, NOTHING, Reference, UnitTable};
use super::origin::complete;
use super::plan::{Plan, is_part_of, plan_of};
use super::units::{Reader, Units, Values};

/// More entries about types than any unit has, link-time optimised ones included.
const MAX_ENTRIES: usize = 4 << 20;

/// Reads a unit into `table`, which is cleared first. Declarations of variables are kept if their name is in `wanted`.
pub(super) fn scan<'a>(
    units: &Units<'a>,
    unit: usize,
    wanted: &HashSet<&[u8]>,
    table: &mut UnitTable<'a>,
) -> Result<(), GenerateError> {
    table.clear();
    let Some(header) = units.headers.get(unit) else {
        return Ok(());
    };
    let dwarf = units.dwarf_of(unit);
    (table.section, table.section_offset) = units.place(unit);
    table.is_supplementary = units.is_supplementary(unit);
    let abbreviations = units.abbreviations(unit)?;
    let mut scanner = Scanner {
        units,
        unit,
        values: Values::new(dwarf, header.encoding()),
        header,
        abbreviations: &abbreviations,
        wanted,
        table,
        plans: Vec::new(),
        open: Vec::new(),
        at: header.header_size() as u64,
    };
    let result = scanner
        .root()
        .and_then(|raw| raw.map_or(Ok(()), |raw| scanner.entries(raw)));
    let (section, offset) = (
        scanner.table.section,
        scanner.table.section_offset + scanner.at,
    );
    result.map_err(|problem| GenerateError::Dwarf {
        section,
        offset,
        problem,
    })
}

pub(super) struct Scanner<'u, 'a> {
    pub(super) units: &'u Units<'a>,
    pub(super) unit: usize,
    pub(super) values: Values<'u, 'a>,
    pub(super) header: &'u UnitHeader<Reader<'a>>,
    pub(super) abbreviations: &'u Abbreviations,
    wanted: &'u HashSet<&'u [u8]>,
    table: &'u mut UnitTable<'a>,
    /// By abbreviation code.
    plans: Vec<Plan>,
    /// The entries that the next one is below, outermost first; [`NOTHING`] for those that are not kept.
    open: Vec<u32>,
    /// The entry that is being read, from the start of the unit.
    at: u64,
}

type Raw<'u, 'a> = EntriesRaw<'u, Reader<'a>>;

impl From<gimli::Error> for DwarfProblem {
    fn from(error: gimli::Error) -> Self {
        Self::Malformed(error)
    }
}

impl<'u, 'a> Scanner<'u, 'a> {
    /// Reads the unit's own entry; gives the entries after it, or nothing for a unit that is not C.
    fn root(&mut self) -> Result<Option<Raw<'u, 'a>>, DwarfProblem> {
        let mut raw = self.header.entries_raw(self.abbreviations, None)?;
        let Some(abbreviation) = raw.read_abbreviation()? else {
            return Ok(None);
        };
        let mut attributes = Vec::new();
        raw.read_attributes(abbreviation.attributes(), &mut attributes)?;
        // The bases first: the name may need them.
        for attribute in &attributes {
            match attribute.value() {
                AttributeValue::DebugStrOffsetsBase(base) => self.values.str_offsets = base,
                AttributeValue::DebugAddrBase(base) => self.values.addresses = base,
                _ => {}
            }
        }
        self.table.name = &[];
        // Type units and partial units need not say their language.
        self.table.is_c = true;
        for attribute in &attributes {
            match attribute.name() {
                dw::DW_AT_name => self.table.name = self.values.text(attribute.raw_value())?,
                dw::DW_AT_language => self.table.is_c = is_c(attribute.value()),
                _ => {}
            }
        }
        let is_wanted = self.table.is_c && abbreviation.has_children();
        self.open.push(NOTHING);
        Ok(is_wanted.then_some(raw))
    }

    fn entries(&mut self, mut raw: Raw<'u, 'a>) -> Result<(), DwarfProblem> {
        while !raw.is_empty() && !self.open.is_empty() {
            self.at = raw.next_offset().0 as u64;
            let Some(abbreviation) = raw.read_abbreviation()? else {
                self.close();
                continue;
            };
            let kept = match self.plan(abbreviation) {
                Plan::SkipTree => {
                    self.skip_tree(&mut raw, abbreviation)?;
                    continue;
                }
                Plan::Keep(kind) => self.keep(&mut raw, abbreviation, kind)?,
                Plan::Part(kind) if self.is_part_here(kind) => {
                    self.keep(&mut raw, abbreviation, kind)?
                }
                Plan::Variable | Plan::Declaration => self.keep_variable(&mut raw, abbreviation)?,
                Plan::Skip | Plan::Part(_) | Plan::Unknown => {
                    raw.skip_attributes(abbreviation.attributes())?;
                    NOTHING
                }
            };
            if abbreviation.has_children() {
                self.open.push(kept);
            }
        }
        while !self.open.is_empty() {
            self.close();
        }
        let entries = self.table.entries.len();
        self.table.memory.resize_with(entries, Default::default);
        self.table.resolve();
        Ok(())
    }

    fn plan(&mut self, abbreviation: &Abbreviation) -> Plan {
        // Compilers number abbreviations from 1 without gaps; other numbers are looked at again each time.
        let Some(code) = usize::try_from(abbreviation.code())
            .ok()
            .filter(|code| *code < 1 << 16)
        else {
            return plan_of(abbreviation);
        };
        if self.plans.len() <= code {
            self.plans.resize(code + 1, Plan::Unknown);
        }
        let plan = &mut self.plans[code];
        if *plan == Plan::Unknown {
            *plan = plan_of(abbreviation);
        }
        *plan
    }

    fn parent(&self) -> u32 {
        self.open.last().copied().unwrap_or(NOTHING)
    }

    fn is_part_here(&self, kind: Kind) -> bool {
        let parent = self.table.entries.get(self.parent() as usize);
        parent.is_some_and(|parent| is_part_of(kind, parent.kind))
    }

    fn close(&mut self) {
        let end = u32::try_from(self.table.entries.len()).unwrap_or(NOTHING);
        if let Some(index) = self.open.pop()
            && let Some(entry) = self.table.entries.get_mut(index as usize)
        {
            entry.end = end;
        }
    }

    /// Jumps to the sibling that the entry names.
    fn skip_tree(
        &mut self,
        raw: &mut Raw<'u, 'a>,
        abbreviation: &Abbreviation,
    ) -> Result<(), DwarfProblem> {
        let mut sibling = None;
        for spec in abbreviation.attributes() {
            if spec.name() == dw::DW_AT_sibling {
                let value = raw.read_attribute(*spec)?.raw_value();
                sibling = Values::reference(value);
            } else {
                raw.skip_attributes(std::slice::from_ref(spec))?;
            }
        }
        let next = raw.next_offset().0;
        match sibling {
            Some(Reference::Unit(sibling)) if sibling as usize >= next => {
                *raw = self
                    .header
                    .entries_raw(self.abbreviations, Some(UnitOffset(sibling as usize)))?;
            }
            // Not a place further on: look at the children after all.
            _ => self.open.push(NOTHING),
        }
        Ok(())
    }

    fn keep(
        &mut self,
        raw: &mut Raw<'u, 'a>,
        abbreviation: &Abbreviation,
        kind: Kind,
    ) -> Result<u32, DwarfProblem> {
        if self.table.entries.len() >= MAX_ENTRIES {
            return Err(DwarfProblem::TooMany {
                what: "types and members in a unit",
                limit: MAX_ENTRIES,
            });
        }
        let mut entry = self.blank(kind)?;
        let mut storage = 0;
        let mut rest = abbreviation.attributes();
        while let Some((spec, after)) = rest.split_first() {
            // What is of no use is passed over as far as it goes: mostly that takes an addition.
            let useless = rest.iter().take_while(|spec| !is_of_use(spec.name()));
            if let Some((skipped, after)) = rest
                .split_at_checked(useless.count())
                .filter(|(skipped, _)| !skipped.is_empty())
            {
                raw.skip_attributes(skipped)?;
                rest = after;
                continue;
            }
            let value = raw.read_attribute_inline(*spec)?.raw_value();
            self.apply(&mut entry, &mut storage, spec.name(), value)?;
            rest = after;
        }
        entry.value = entry
            .value
            .checked_add(storage)
            .ok_or(DwarfProblem::ImpossiblePlace)?;
        Ok(self.table.push(entry))
    }

    /// Keeps a variable that has an address, or whose declaration is wanted.
    fn keep_variable(
        &mut self,
        raw: &mut Raw<'u, 'a>,
        abbreviation: &Abbreviation,
    ) -> Result<u32, DwarfProblem> {
        let mut entry = self.blank(Kind::Variable)?;
        let mut origin = None;
        for spec in abbreviation.attributes() {
            match spec.name() {
                dw::DW_AT_location => {
                    let value = raw.read_attribute(*spec)?.raw_value();
                    let address = self.values.address(value)?;
                    (entry.value, entry.has_value) = (address.unwrap_or(0), address.is_some());
                }
                dw::DW_AT_specification | dw::DW_AT_abstract_origin => {
                    origin = Values::reference(raw.read_attribute(*spec)?.raw_value());
                }
                name @ (dw::DW_AT_name | dw::DW_AT_type | dw::DW_AT_declaration) => {
                    let value = raw.read_attribute(*spec)?.raw_value();
                    self.apply(&mut entry, &mut 0, name, value)?;
                }
                _ => raw.skip_attributes(std::slice::from_ref(spec))?,
            }
        }
        let is_wanted = entry.is_declaration && self.wanted.contains(entry.name);
        if !entry.has_value && !is_wanted || self.table.entries.len() >= MAX_ENTRIES {
            return Ok(NOTHING);
        }
        if let Some(origin) = origin {
            complete(self, &mut entry, origin)?;
        }
        Ok(self.table.push(entry))
    }

    fn blank(&self, kind: Kind) -> Result<Entry<'a>, DwarfProblem> {
        let too_long = DwarfProblem::TooMany {
            what: "bytes in a unit",
            limit: u32::MAX as usize,
        };
        let index = u32::try_from(self.table.entries.len()).unwrap_or(NOTHING);
        Ok(Entry {
            kind,
            is_declaration: false,
            constant: Constant::Unsigned,
            encoding: 0,
            offset: u32::try_from(self.at).map_err(|_| too_long)?,
            parent: self.parent(),
            end: index.saturating_add(1),
            bit_size: 0,
            bits_from_top: None,
            name: &[],
            ty: Reference::None,
            size: None,
            value: 0,
            has_value: false,
        })
    }

    /// Notes one attribute. `location` gets the bits of a member's location, which comes on top of its bit offset.
    fn apply(
        &self,
        entry: &mut Entry<'a>,
        location: &mut u64,
        name: DwAt,
        value: AttributeValue<Reader<'a>>,
    ) -> Result<(), DwarfProblem> {
        match name {
            dw::DW_AT_name => entry.name = self.values.text(value)?,
            dw::DW_AT_type | dw::DW_AT_signature => {
                if let Some(reference) = Values::reference(value) {
                    entry.ty = reference;
                }
            }
            dw::DW_AT_byte_size | dw::DW_AT_count => entry.size = value.udata_value(),
            dw::DW_AT_upper_bound => entry.size = length_of_last_index(value),
            dw::DW_AT_encoding => entry.encoding = value.u8_value().unwrap_or(0),
            dw::DW_AT_declaration => entry.is_declaration = value == AttributeValue::Flag(true),
            dw::DW_AT_bit_size => entry.bit_size = bits(value)?,
            dw::DW_AT_bit_offset => entry.bits_from_top = Some(bits_from_top(value)?),
            dw::DW_AT_data_bit_offset => entry.value = value.udata_value().unwrap_or(0),
            dw::DW_AT_data_member_location => {
                let bytes = self
                    .values
                    .member_location(value)?
                    .ok_or(DwarfProblem::ImpossiblePlace)?;
                *location = bytes.checked_mul(8).ok_or(DwarfProblem::ImpossiblePlace)?;
            }
            dw::DW_AT_const_value => (entry.constant, entry.value) = constant(value),
            _ => {}
        }
        Ok(())
    }
}

/// The attributes that [`Scanner::apply`] takes, and locations.
fn is_of_use(name: DwAt) -> bool {
    matches!(
        name,
        dw::DW_AT_name
            | dw::DW_AT_type
            | dw::DW_AT_signature
            | dw::DW_AT_byte_size
            | dw::DW_AT_count
            | dw::DW_AT_upper_bound
            | dw::DW_AT_encoding
            | dw::DW_AT_declaration
            | dw::DW_AT_bit_size
            | dw::DW_AT_bit_offset
            | dw::DW_AT_data_bit_offset
            | dw::DW_AT_data_member_location
            | dw::DW_AT_const_value
            | dw::DW_AT_location
    )
}

fn bits(value: AttributeValue<Reader<'_>>) -> Result<u32, DwarfProblem> {
    let bits = value
        .udata_value()
        .and_then(|bits| u32::try_from(bits).ok());
    bits.filter(|bits| *bits < 1 << 16)
        .ok_or(DwarfProblem::ImpossiblePlace)
}

/// Clang writes negative numbers as large ones.
fn bits_from_top(value: AttributeValue<Reader<'_>>) -> Result<i32, DwarfProblem> {
    let bits = match value {
        AttributeValue::Sdata(bits) => Some(bits),
        other => other.udata_value().map(u64::cast_signed),
    };
    let bits = bits.and_then(|bits| i32::try_from(bits).ok());
    bits.ok_or(DwarfProblem::ImpossiblePlace)
}

/// The number of elements of an array whose last index is given; -1 is that of an empty one.
fn length_of_last_index(value: AttributeValue<Reader<'_>>) -> Option<u64> {
    match value {
        AttributeValue::Sdata(last) => u64::try_from(last.wrapping_add(1)).ok(),
        other => other.udata_value().map(|last| last.wrapping_add(1)),
    }
}

fn constant(value: AttributeValue<Reader<'_>>) -> (Constant, u64) {
    match value {
        AttributeValue::Data1(data) => (Constant::Data(1), u64::from(data)),
        AttributeValue::Data2(data) => (Constant::Data(2), u64::from(data)),
        AttributeValue::Data4(data) => (Constant::Data(4), u64::from(data)),
        AttributeValue::Data8(data) => (Constant::Data(8), data),
        AttributeValue::Sdata(data) => (Constant::Signed, data.cast_unsigned()),
        other => (Constant::Unsigned, other.udata_value().unwrap_or(0)),
    }
}

/// Whether a unit's `DW_AT_language` is C, or assembler, which has no types of its own.
fn is_c(value: AttributeValue<Reader<'_>>) -> bool {
    let AttributeValue::Language(language) = value else {
        return true;
    };
    [
        dw::DW_LANG_C,
        dw::DW_LANG_C89,
        dw::DW_LANG_C99,
        dw::DW_LANG_C11,
        dw::DW_LANG_C17,
        // C23, not in gimli yet.
        gimli::DwLang(0x3e),
        dw::DW_LANG_Mips_Assembler,
        gimli::DwLang(0x31),
    ]
    .contains(&language)
}
