//! Two copies of a kernel's code → the stretches in which they differ, each explained or not.

use std::ops::Range;

use crate::generate::Linked;

use super::Table;
use super::instruction::Found;
use super::relocation::{Relocation, WIDTH};
use super::sites::{Branches, Replacement, Site};

/// Bytes that are compared at a time: as fast as memory, where they are equal.
const AT_ONCE: usize = 4096;
/// Bytes that differ are one stretch as long as fewer than this many equal ones are between them.
const GAP: usize = 8;
/// The longest stretch, in bytes: what is longer is several.
const LONGEST_STRETCH: usize = 256;

/// A kernel's code, and where it changes.
#[derive(Debug)]
pub(super) struct Code<'c> {
    /// Its link addresses.
    pub(super) text: &'c Range<u64>,
    pub(super) linked: &'c Linked,
    pub(super) tables: &'c [Table],
    /// As its file has it.
    pub(super) expected: &'c [u8],
    /// By where they begin.
    pub(super) sites: &'c [Site],
    /// By the numbers in `sites`.
    pub(super) replacements: &'c [Replacement],
    /// Jumps and calls that the kernel changes wherever they stand.
    pub(super) branches: &'c Branches,
}

/// A stretch that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where in the code it is, in bytes from its first.
    pub range: Range<usize>,
    /// The table that has a place there.
    pub table: Option<usize>,
    /// The link address that the place leads to directly, where it is nothing but a jump or call out of the kernel's code.
    pub leads_to: Option<u64>,
    /// The link address that it leads to in the file, where it is nothing but a jump or call there.
    pub led_to: Option<u64>,
}

/// How much of the code a table has, and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableUse {
    /// Places in the code.
    pub places: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Places that differ and hold what may stand there.
    pub patched: u64,
    /// Places that differ and hold something else.
    pub unlike: u64,
}

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Bytes that were compared.
    pub compared: u64,
    /// Numbers that KASLR relocated.
    pub relocated: u64,
    /// What nothing explains.
    pub changes: Vec<Difference>,
    /// What a table explains: whole places.
    pub patches: Vec<Difference>,
    /// Each table's part.
    pub tables: Vec<TableUse>,
    /// Bytes at places of any table, each counted once.
    pub patchable: u64,
}

/// Compares code with what was found in memory, `slide` bytes above its link addresses.
pub(super) fn compare(code: &Code<'_>, found: &[u8], slide: u64) -> Outcome {
    let length = code.expected.len().min(found.len());
    let mut search = Search {
        code,
        expected: code.expected.get(..length).unwrap_or(&[]),
        found: found.get(..length).unwrap_or(&[]),
        relocation: &Relocation::new(slide, code.linked),
        is_open: vec![false; length],
    };
    let mut outcome = Outcome {
        compared: length as u64,
        tables: vec![TableUse::default(); code.tables.len()],
        ..Outcome::default()
    };
    outcome.relocated = search.relocations();
    search.patches(&mut outcome);
    outcome.changes = search.changes();
    outcome
}

struct Search<'s> {
    code: &'s Code<'s>,
    expected: &'s [u8],
    found: &'s [u8],
    relocation: &'s Relocation<'s>,
    /// Bytes that differ and are not explained yet.
    is_open: Vec<bool>,
}

impl<'s> Search<'s> {
    /// Opens all bytes that differ, and closes those of relocations. Says how many relocations there are.
    fn relocations(&mut self) -> u64 {
        let mut count = 0;
        let mut explained_to = 0;
        let pieces = self
            .expected
            .chunks(AT_ONCE)
            .zip(self.found.chunks(AT_ONCE));
        for (number, (expected, found)) in pieces.enumerate() {
            if expected == found {
                continue;
            }
            for (offset, (was, is)) in expected.iter().zip(found).enumerate() {
                let at = number * AT_ONCE + offset;
                if was == is || at < explained_to {
                    continue;
                }
                let mut starts = at.saturating_sub(WIDTH - 1)..=at;
                match starts.find(|start| self.is_relocated(*start)) {
                    Some(start) => {
                        explained_to = start + WIDTH;
                        count += 1;
                    }
                    None => self.is_open[at] = true,
                }
            }
        }
        count
    }

    fn is_relocated(&self, start: usize) -> bool {
        let number = |bytes: &[u8]| {
            let bytes = bytes.get(start..start.checked_add(WIDTH)?)?;
            <[u8; WIDTH]>::try_from(bytes).ok()
        };
        let address = self.code.text.start.wrapping_add(start as u64);
        match (number(self.expected), number(self.found)) {
            (Some(expected), Some(found)) => self.relocation.explains(address, expected, found),
            _ => false,
        }
    }

    /// Closes the bytes of places that hold what may stand there.
    fn patches(&mut self, outcome: &mut Outcome) {
        let mut counted_to = 0;
        for site in self.code.sites {
            let range = site.range();
            let (Some(found), Some(table), Some(part)) = (
                self.at(site),
                self.code.tables.get(site.table),
                outcome.tables.get_mut(site.table),
            ) else {
                continue;
            };
            part.places += 1;
            part.bytes += site.length as u64;
            outcome.patchable += range.end.saturating_sub(range.start.max(counted_to)) as u64;
            counted_to = counted_to.max(range.end);
            if !self.is_open[range.clone()].contains(&true) {
                continue;
            }
            if !found.is_allowed_by(table) {
                continue;
            }
            part.patched += 1;
            self.is_open[range.clone()].fill(false);
            outcome.patches.push(Difference {
                range,
                table: Some(site.table),
                leads_to: found.leads_out(),
                led_to: found.led_to(),
            });
        }
        // A place that another table explains is not unlike what may stand there.
        for site in self.code.sites {
            let is_open = self.is_open.get(site.range());
            if let (Some(true), Some(part)) = (
                is_open.map(|is_open| is_open.contains(&true)),
                outcome.tables.get_mut(site.table),
            ) {
                part.unlike += 1;
            }
        }
    }

    /// The stretches of what is still open. None goes beyond the place that it begins in.
    fn changes(&self) -> Vec<Difference> {
        let mut changes: Vec<Difference> = Vec::new();
        let mut last_site = None;
        let open = self.is_open.iter().enumerate().filter(|(_, open)| **open);
        for (at, _) in open {
            let site = self.site_at(at);
            let found = || site.and_then(|site| self.at(site));
            match changes.last_mut() {
                Some(last)
                    if site == last_site
                        && at - last.range.end < GAP
                        && at - last.range.start < LONGEST_STRETCH =>
                {
                    last.range.end = at + 1;
                }
                _ => changes.push(Difference {
                    range: at..at + 1,
                    table: site.map(|site| site.table),
                    leads_to: found().and_then(|found| found.leads_out()),
                    led_to: found().and_then(|found| found.led_to()),
                }),
            }
            last_site = site;
        }
        changes
    }

    /// What was found at a place; nothing where it reaches beyond the code.
    fn at(&self, site: &Site) -> Option<Found<'s>> {
        let (code, found) = (self.code, self.found);
        Some(Found {
            address: code.text.start.wrapping_add(site.start as u64),
            bytes: found.get(site.range())?,
            target: site.target,
            expected: code.expected.get(site.range())?,
            replacement: site
                .replacement
                .and_then(|number| code.replacements.get(number)),
            relocation: self.relocation,
            branches: code.branches,
        })
    }

    /// The place of a table that a byte is in.
    fn site_at(&self, at: usize) -> Option<&'s Site> {
        let sites = self.code.sites;
        let before = sites.partition_point(|site| site.start <= at);
        let near = sites.get(..before)?.iter().rev();
        let mut near = near.take_while(|site| site.start + LONGEST_STRETCH >= at);
        near.find(|site| site.range().end > at)
    }
}
