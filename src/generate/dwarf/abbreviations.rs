//! A unit → its abbreviations, at a cost in proportion to the section that they are in.
//!
//! A table that several units share is parsed once. Nothing in DWARF keeps tables of different units from overlapping: what is parsed
//! altogether is limited to a few times the section, which only damaged or hostile files exceed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use gimli::{Abbreviations, Section};

use crate::generate::error::{DwarfProblem, GenerateError};

use super::units::Units;

/// How many times the section may be parsed.
const MAX_TIMES: usize = 4;

/// Attributes of an entry; compilers use two dozen. An attribute need not take any byte of the entry.
const MAX_ATTRIBUTES: usize = 256;

/// A table that several units use, once it has been parsed.
type Shared = OnceLock<Result<Arc<Abbreviations>, Refusal>>;

/// Why a table is not taken.
#[derive(Clone, Debug)]
struct Refusal(u64, DwarfProblem);

impl From<Refusal> for GenerateError {
    fn from(Refusal(offset, problem): Refusal) -> Self {
        Self::Dwarf {
            section: ".debug_abbrev",
            offset,
            problem,
        }
    }
}

/// The tables of all units.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// How many units use the table at an offset (of the supplementary file if true), and the table if one of them wants it kept.
    by_offset: HashMap<(bool, usize), (u32, Shared)>,
    /// Bytes of tables that have been parsed.
    parsed: AtomicUsize,
}

impl Tables {
    /// Notes that a unit uses a table.
    pub(super) fn add(&mut self, is_supplementary: bool, offset: usize) {
        let (users, _) = self
            .by_offset
            .entry((is_supplementary, offset))
            .or_default();
        *users = users.saturating_add(1);
    }
}

impl Units<'_> {
    /// The abbreviations of a unit, for reading all of it once.
    pub(super) fn abbreviations(&self, unit: usize) -> Result<Arc<Abbreviations>, GenerateError> {
        self.table(unit, false)
    }

    /// The abbreviations of a unit, for reading an entry of it now and then.
    pub(super) fn kept_abbreviations(
        &self,
        unit: usize,
    ) -> Result<Arc<Abbreviations>, GenerateError> {
        self.table(unit, true)
    }

    fn table(&self, unit: usize, is_kept: bool) -> Result<Arc<Abbreviations>, GenerateError> {
        let Some(header) = self.headers.get(unit) else {
            return Ok(Arc::default());
        };
        let offset = header.debug_abbrev_offset().0;
        let key = (self.is_supplementary(unit), offset);
        let table = match self.tables.by_offset.get(&key) {
            Some((users, shared)) if is_kept || *users > 1 => {
                shared.get_or_init(|| self.parse(unit, offset)).clone()
            }
            _ => self.parse(unit, offset),
        };
        table.map_err(GenerateError::from)
    }

    fn parse(&self, unit: usize, offset: usize) -> Result<Arc<Abbreviations>, Refusal> {
        let section = &self.dwarf_of(unit).debug_abbrev;
        let bytes = section.reader().slice();
        let refusal = |problem| Refusal(offset as u64, problem);
        let too_many = |what, limit| refusal(DwarfProblem::TooMany { what, limit });
        let (length, attributes) = measure(bytes.get(offset..).unwrap_or(&[]));
        if attributes > MAX_ATTRIBUTES {
            return Err(too_many("attributes of an abbreviation", MAX_ATTRIBUTES));
        }
        let limit = bytes.len().saturating_mul(MAX_TIMES);
        let before = self.tables.parsed.fetch_add(length, Ordering::Relaxed);
        if before.saturating_add(length) > limit {
            return Err(too_many("bytes of abbreviations that overlap", limit));
        }
        let table = section.abbreviations(gimli::DebugAbbrevOffset(offset));
        table
            .map(Arc::new)
            .map_err(|error| refusal(DwarfProblem::Malformed(error)))
    }
}

/// Bytes of a table, and the most attributes that one of its abbreviations has.
fn measure(table: &[u8]) -> (usize, usize) {
    let mut rest = table;
    let mut most = 0;
    // Code, tag, whether there are children; pairs of attribute and form until both are 0.
    while let Some(1..) = number(&mut rest) {
        number(&mut rest);
        rest = rest.get(1..).unwrap_or(&[]);
        let mut attributes = 0;
        while let (Some(name), Some(form)) = (number(&mut rest), number(&mut rest)) {
            if (name, form) == (0, 0) {
                break;
            }
            if form == u64::from(gimli::DW_FORM_implicit_const.0) {
                number(&mut rest);
            }
            attributes += 1;
        }
        most = most.max(attributes);
    }
    (table.len() - rest.len(), most)
}

/// The low bits of a LEB128 number, which is passed over.
fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    let mut shift = 0;
    loop {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        if shift < 64 {
            value |= u64::from(byte & 0x7f) << shift;
        }
        shift += 7;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_measured() {
        let table = [
            1, 0x11, 1, 3, 8, 0x49, 0x13, 0, 0, 2, 0x24, 0, 3, 0x21, 0x7f, 0, 0, 0, 9, 9,
        ];
        assert_eq!(measure(&table), (18, 2));
        for length in 0..18 {
            assert!(measure(&table[..length]).0 <= length);
        }
        assert_eq!(measure(&[0x80; 40]), (40, 0));
    }
}
