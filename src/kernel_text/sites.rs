//! The tables of a kernel's file → the places in its code that it changes.

use std::ops::Range;

use crate::generate::KernelFile;
use crate::profile::Holds;

use super::{Field, PlaceLength, Table, TextError, instruction};

/// The longest place, in bytes: `alt_instr.instrlen` is one byte.
const LONGEST_PLACE: u64 = 255;
/// Most bytes of a table.
const MOST_TABLE: u64 = 64 << 20;
/// The longest entry, in bytes, that makes sense.
const LONGEST_ENTRY: u64 = 4096;

/// A place in the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Site {
    /// Bytes from the first of the code.
    pub(super) start: usize,
    /// Bytes.
    pub(super) length: usize,
    /// Which table says so.
    pub(super) table: usize,
    /// The link address that a jump may lead to.
    pub(super) target: Option<u64>,
    /// Which replacement may stand there.
    pub(super) replacement: Option<usize>,
}

/// Instructions that the kernel may put at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Replacement {
    /// Their link address, from which their jumps and calls are counted.
    pub(super) address: u64,
    /// They themselves.
    pub(super) bytes: Vec<u8>,
}

impl Site {
    /// Where in the code it is.
    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.start + self.length
    }
}

/// Places that a kernel changes.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Those in its code, by where they begin.
    pub(super) sites: Vec<Site>,
    /// Instructions that it may put there.
    pub(super) replacements: Vec<Replacement>,
    /// Jumps and calls that are changed wherever they stand.
    pub(super) branches: Branches,
}

/// Jumps and calls that a kernel changes in its code and in replacements.
#[derive(Debug, Default)]
pub(super) struct Branches {
    /// The link addresses of the kernel's code.
    pub(super) text: Range<u64>,
    /// Link addresses of jumps that become returns, sorted.
    returns: Vec<u64>,
    /// Link addresses of calls that may be led over a copy, sorted.
    calls: Vec<u64>,
    /// What is copied.
    pub(super) copies: Vec<Replacement>,
}

impl Branches {
    /// Whether the jump at a link address becomes a return.
    pub(super) fn is_return(&self, address: u64) -> bool {
        self.returns.binary_search(&address).is_ok()
    }

    /// Whether a call at a link address that leads to `leads` reaches `to` over nothing but a copy.
    pub(super) fn is_over_copy(&self, address: u64, leads: u64, to: u64) -> bool {
        let mut copies = self.copies.iter();
        self.calls.binary_search(&address).is_ok()
            && copies.any(|copied| to.wrapping_sub(copied.bytes.len() as u64) == leads)
    }
}

/// All places. The code `text` begins at link address `start`.
pub(super) fn sites(
    file: &KernelFile,
    start: u64,
    text: &[u8],
    tables: &[Table],
) -> Result<Places, TextError> {
    let mut places = Places::default();
    places.branches.text = start..start.wrapping_add(text.len() as u64);
    for (number, table) in tables.iter().enumerate() {
        let code = Code {
            start,
            text,
            table,
            number,
        };
        let symbols = table.places.iter();
        let sites = symbols.filter_map(|place| code.site(*place, code.length(*place, &[])?));
        let sites = sites.filter(|site| code.is_possible(site));
        places.sites.extend(sites);
        let returns = table.holds.contains(&Holds::Return);
        let calls = table.holds.contains(&Holds::CallOfCopy);
        if let Some(copied) = copied(file, table)?
            && !places.branches.copies.contains(&copied)
        {
            places.branches.copies.push(copied);
        }
        for range in &table.ranges {
            let bytes = bytes_of(file, table, range)?;
            for (entry, bytes) in code.entries(range.start, &bytes) {
                let address = address_in(table.at, entry, bytes);
                if returns {
                    places.branches.returns.extend(address);
                }
                if calls {
                    places.branches.calls.extend(address);
                }
                let Some(site) = code.site_of(entry, bytes) else {
                    continue;
                };
                let replacement = replacement_of(file, table, entry, bytes)?;
                places.sites.push(Site {
                    replacement: replacement.as_ref().map(|_| places.replacements.len()),
                    ..site
                });
                places.replacements.extend(replacement);
            }
        }
    }
    places.sites.sort_unstable();
    places.branches.returns.sort_unstable();
    places.branches.calls.sort_unstable();
    Ok(places)
}

/// What a table copies.
fn copied(file: &KernelFile, table: &Table) -> Result<Option<Replacement>, TextError> {
    let Some(range) = &table.copies else {
        return Ok(None);
    };
    let length = range.end.saturating_sub(range.start);
    if !(1..=LONGEST_PLACE).contains(&length) {
        return Ok(None);
    }
    let bytes = file.bytes(range.start, length);
    let bytes = bytes.map_err(|error| TextError::of_file(&error))?;
    Ok(bytes.map(|bytes| Replacement {
        address: range.start,
        bytes,
    }))
}

/// The replacement that an entry names.
fn replacement_of(
    file: &KernelFile,
    table: &Table,
    entry: u64,
    bytes: &[u8],
) -> Result<Option<Replacement>, TextError> {
    let Some((at, length)) = table.replacement else {
        return Ok(None);
    };
    let (Some(address), Some(length)) = (address_in(at, entry, bytes), number_in(length, bytes))
    else {
        return Ok(None);
    };
    if length == 0 {
        let bytes = Vec::new();
        return Ok(Some(Replacement { address, bytes }));
    }
    let found = file.bytes(address, length.min(LONGEST_PLACE));
    let found = found.map_err(|error| TextError::of_file(&error))?;
    Ok(found.map(|bytes| Replacement { address, bytes }))
}

/// The bytes of a table.
fn bytes_of(file: &KernelFile, table: &Table, range: &Range<u64>) -> Result<Vec<u8>, TextError> {
    let length = range.end.saturating_sub(range.start).min(MOST_TABLE);
    if length == 0 {
        return Ok(Vec::new());
    }
    let bytes = file.bytes(range.start, length);
    let bytes = bytes.map_err(|error| TextError::of_file(&error))?;
    bytes.ok_or_else(|| TextError::NoTable {
        file: file.path().display().to_string(),
        table: table.name.to_string(),
        start: range.start,
    })
}

/// The code, as one table speaks of it.
struct Code<'c> {
    start: u64,
    text: &'c [u8],
    table: &'c Table,
    number: usize,
}

impl Code<'_> {
    /// Entries with their link addresses.
    fn entries<'b>(
        &self,
        table_start: u64,
        bytes: &'b [u8],
    ) -> impl Iterator<Item = (u64, &'b [u8])> {
        let is_possible = (1..=LONGEST_ENTRY).contains(&self.table.entry);
        let size = if is_possible { self.table.entry } else { 1 };
        let bytes = if is_possible { bytes } else { &[] };
        let size = size as usize;
        (table_start..).step_by(size).zip(bytes.chunks(size))
    }

    /// The place that an entry tells of; one outside of the code, which is gone once the kernel runs, is left out.
    fn site_of(&self, entry: u64, bytes: &[u8]) -> Option<Site> {
        let place = address_in(self.table.at, entry, bytes)?;
        let site = self.site(place, self.length(place, bytes)?)?;
        let target = self.table.target;
        Some(Site {
            target: target.and_then(|target| address_in(target, entry, bytes)),
            ..site
        })
    }

    /// Bytes of a place.
    fn length(&self, place: u64, entry: &[u8]) -> Option<u64> {
        match self.table.length {
            PlaceLength::Bytes(length) => Some(length),
            PlaceLength::Field(field) => number_in(field, entry),
            PlaceLength::Instruction => {
                let offset = usize::try_from(place.checked_sub(self.start)?).ok()?;
                instruction::length(self.text.get(offset..)?, place)
            }
        }
    }

    /// Whether a place is one: where nothing but a copy may stand, the file has nothing yet.
    fn is_possible(&self, site: &Site) -> bool {
        let is_for_copies = self.table.holds == [Holds::Copy];
        let bytes = self.text.get(site.range()).unwrap_or(&[]);
        let address = self.start.wrapping_add(site.start as u64);
        !is_for_copies || instruction::is_empty(bytes, address)
    }

    fn site(&self, place: u64, length: u64) -> Option<Site> {
        let place = match self.table.before {
            true => place.checked_sub(length)?,
            false => place,
        };
        let start = usize::try_from(place.checked_sub(self.start)?).ok()?;
        if !(1..=LONGEST_PLACE).contains(&length) {
            return None;
        }
        let length = length as usize;
        let end = start.checked_add(length)?;
        (end <= self.text.len()).then_some(Site {
            start,
            length,
            table: self.number,
            target: None,
            replacement: None,
        })
    }
}

/// A little-endian number in an entry. The last entry of a table may lack what fills it up (`.parainstructions`).
fn number_in(field: Field, entry: &[u8]) -> Option<u64> {
    let start = usize::try_from(field.offset).ok()?;
    let end = start.checked_add(usize::try_from(field.size).ok()?)?;
    let bytes = entry.get(start..end)?;
    let mut number = [0; 8];
    number.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(u64::from_le_bytes(number))
}

/// The address that an entry holds: eight bytes are one, four are the distance to it from themselves (`include/asm/alternative.h`).
fn address_in(field: Field, entry: u64, bytes: &[u8]) -> Option<u64> {
    let number = number_in(field, bytes)?;
    match field.size {
        8 => Some(number),
        4 => {
            let here = entry.wrapping_add(field.offset);
            Some(here.wrapping_add_signed(i64::from(number as u32 as i32)))
        }
        _ => None,
    }
}
