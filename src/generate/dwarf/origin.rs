//! A variable that only refers to its declaration → its name and its type, wherever that declaration is.

use gimli::UnitOffset;
use gimli::constants as dw;

use crate::generate::error::{DwarfProblem, GenerateError};

use super::entry::{Entry, Reference};
use super::scan::Scanner;
use super::units::{Units, Values};

/// Variables that refer to variables.
const MAX_ORIGINS: usize = 4;

/// Adds the name and the type of the declaration that a variable refers to, or of what that refers to in turn.
pub(super) fn complete<'a>(
    scanner: &Scanner<'_, 'a>,
    entry: &mut Entry<'a>,
    origin: Reference,
) -> Result<(), DwarfProblem> {
    let units = scanner.units;
    let (mut unit, mut next) = (scanner.unit, origin);
    for _ in 0..MAX_ORIGINS {
        let Some((target, offset)) = find(units, unit, next) else {
            break;
        };
        unit = target;
        next = match unit == scanner.unit {
            true => take(
                entry,
                UnitOffset(offset as usize),
                &scanner.values,
                scanner.header,
                scanner.abbreviations,
            )?,
            false => {
                let Some(header) = units.headers.get(unit) else {
                    break;
                };
                // A unit whose abbreviations are damaged is told about when it is read itself.
                let abbreviations = match units.kept_abbreviations(unit) {
                    Ok(abbreviations) => abbreviations,
                    Err(GenerateError::Dwarf { problem, .. }) => return Err(problem),
                    Err(_) => break,
                };
                let values = Values::new(units.dwarf_of(unit), header.encoding());
                let had_type = entry.ty != Reference::None;
                let next = take(
                    entry,
                    UnitOffset(offset as usize),
                    &values,
                    header,
                    &abbreviations,
                )?;
                if !had_type {
                    entry.ty = seen_from_outside(units, unit, entry.ty);
                }
                next
            }
        };
    }
    Ok(())
}

/// The unit that a reference of another leads to, and the offset in it.
fn find(units: &Units<'_>, from: usize, reference: Reference) -> Option<(usize, u32)> {
    match reference {
        Reference::Unit(offset) => Some((from, offset)),
        Reference::Section(offset) => units.at_section_offset(offset, units.is_supplementary(from)),
        Reference::Supplementary(offset) => units.at_section_offset(offset, true),
        // Only tables have entries.
        Reference::None | Reference::Entry(_) | Reference::Signature(_) => None,
    }
}

/// A reference of a unit as one that means the same in another.
fn seen_from_outside(units: &Units<'_>, unit: usize, reference: Reference) -> Reference {
    let offset = match reference {
        Reference::Unit(offset) => units.place(unit).1 + u64::from(offset),
        Reference::Section(offset) => offset,
        other => return other,
    };
    match units.is_supplementary(unit) {
        true => Reference::Supplementary(offset),
        false => Reference::Section(offset),
    }
}

/// Adds what the entry at an offset tells, and gives what that refers to.
fn take<'a>(
    entry: &mut Entry<'a>,
    offset: UnitOffset,
    values: &Values<'_, 'a>,
    header: &gimli::UnitHeader<super::units::Reader<'a>>,
    abbreviations: &gimli::Abbreviations,
) -> Result<Reference, DwarfProblem> {
    let mut next = Reference::None;
    let mut raw = header.entries_raw(abbreviations, Some(offset))?;
    let Some(abbreviation) = raw.read_abbreviation()? else {
        return Ok(next);
    };
    for spec in abbreviation.attributes() {
        let value = raw.read_attribute(*spec)?.raw_value();
        match spec.name() {
            dw::DW_AT_name if entry.name.is_empty() => entry.name = values.text(value)?,
            dw::DW_AT_type if entry.ty == Reference::None => {
                entry.ty = Values::reference(value).unwrap_or(Reference::None);
            }
            dw::DW_AT_specification | dw::DW_AT_abstract_origin => {
                next = Values::reference(value).unwrap_or(Reference::None);
            }
            _ => {}
        }
    }
    Ok(next)
}
