//! Memory in blocks, here and there: what tests are made of, what recordings and caches keep.
//!
//! Known bytes are kept by page, with the stretches of it that are known or have failed beside them, so that blocks of any size and order, overlapping or
//! not, cost the same and read back as one.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::addr::{PAGE_SIZE, PhysAddr, PhysRange};

use super::{Notes, ReadFailure, Source};

const PAGE: usize = PAGE_SIZE as usize;

/// What is known of a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    Unknown,
    Known,
    Failed(ReadFailure),
}

/// Bytes of a page of which the same is known, from where the stretch before them ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    /// Bytes from the start of the page to the stretch's end; at most [`PAGE`].
    end: usize,
    cell: Cell,
}

#[derive(Clone, Debug)]
struct Page {
    /// The known bytes, one stretch after the other: of most pages little is known.
    bytes: Vec<u8>,
    /// All of the page, in order; no two neighbours of the same kind.
    stretches: Vec<Stretch>,
}

impl Page {
    fn new() -> Self {
        Self {
            bytes: Vec::new(),
            stretches: vec![Stretch {
                end: PAGE,
                cell: Cell::Unknown,
            }],
        }
    }

    fn insert(&mut self, within: Range<usize>, bytes: &[u8]) {
        if bytes.len() != within.len() || within.end > PAGE {
            return;
        }
        let replaced = self.known_before(within.start)..self.known_before(within.end);
        if replaced.start == self.bytes.len() {
            self.bytes.extend_from_slice(bytes);
        } else {
            self.bytes.splice(replaced, bytes.iter().copied());
        }
        self.mark(within, Cell::Known, |_| true);
    }

    /// How many bytes before `place` are known: where those from there on are kept.
    fn known_before(&self, place: usize) -> usize {
        let known = self.placed(0).filter(|(_, cell)| *cell == Cell::Known);
        let before = known.take_while(|(stretch, _)| stretch.start < place);
        before
            .map(|(stretch, _)| stretch.end.min(place) - stretch.start)
            .sum()
    }

    /// The bytes of a stretch that is known, or of a part of one.
    fn bytes(&self, within: Range<usize>) -> Option<&[u8]> {
        let start = self.known_before(within.start);
        self.bytes.get(start..start.checked_add(within.len())?)
    }

    /// Makes the bytes in `within` that `replaces` agrees to into `new`.
    fn mark(&mut self, within: Range<usize>, new: Cell, replaces: impl Fn(Cell) -> bool) {
        // The stretches that `within` touches, and one more at each side, which may become one with them.
        let first = self
            .stretches
            .partition_point(|stretch| stretch.end <= within.start)
            .saturating_sub(1);
        let past = self
            .stretches
            .partition_point(|stretch| stretch.end < within.end)
            .saturating_add(2)
            .min(self.stretches.len());
        let mut fresh = Vec::with_capacity(past.saturating_sub(first) + 2);
        for (old, cell) in self.placed(first).take(past.saturating_sub(first)) {
            let inside = old.start.max(within.start)..old.end.min(within.end);
            if inside.is_empty() || !replaces(cell) {
                extend(&mut fresh, old.end, cell);
                continue;
            }
            if old.start < inside.start {
                extend(&mut fresh, inside.start, cell);
            }
            extend(&mut fresh, inside.end, new);
            if inside.end < old.end {
                extend(&mut fresh, old.end, cell);
            }
        }
        self.stretches.splice(first..past, fresh);
    }

    /// The bytes in `within`, or the first failure among them; `None` where one is unknown.
    fn read(&self, within: Range<usize>) -> Option<Result<&[u8], ReadFailure>> {
        let first = self
            .stretches
            .partition_point(|stretch| stretch.end <= within.start);
        for stretch in self.stretches.get(first..)? {
            match stretch.cell {
                Cell::Unknown => return None,
                Cell::Failed(failure) => return Some(Err(failure)),
                Cell::Known if stretch.end >= within.end => break,
                Cell::Known => {}
            }
        }
        self.bytes(within).map(Ok)
    }

    /// Where each stretch from the one of this number on is, and what is known of it.
    fn placed(&self, first: usize) -> impl Iterator<Item = (Range<usize>, Cell)> + '_ {
        let before = first
            .checked_sub(1)
            .and_then(|last| self.stretches.get(last));
        let mut start = before.map_or(0, |stretch| stretch.end);
        self.stretches.iter().skip(first).map(move |stretch| {
            let within = start..stretch.end;
            start = stretch.end;
            (within, stretch.cell)
        })
    }
}

/// Puts a stretch behind the others, or makes it part of the last where that is of the same kind.
fn extend(stretches: &mut Vec<Stretch>, end: usize, cell: Cell) {
    match stretches.last_mut() {
        Some(last) if last.cell == cell => last.end = end,
        _ => stretches.push(Stretch { end, cell }),
    }
}

/// A stretch of addresses of which the same is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Run {
    /// These are the bytes.
    Bytes(Vec<u8>),
    /// Reading this many bytes failed so.
    Failed(u64, ReadFailure),
}

/// Blocks of bytes, and of failures, at physical addresses.
#[derive(Clone, Debug)]
pub struct SparseMemory {
    pages: BTreeMap<u64, Page>,
    absent: ReadFailure,
    notes: Notes,
    ram: Option<Vec<PhysRange>>,
}

impl Default for SparseMemory {
    fn default() -> Self {
        Self::new()
    }
}

impl SparseMemory {
    /// Memory with nothing in it; reads of what is not there fail with [`ReadFailure::NotInImage`].
    pub fn new() -> Self {
        Self::failing_with(ReadFailure::NotInImage)
    }

    /// Memory with nothing in it; reads of what is not there fail with `absent`.
    pub fn failing_with(absent: ReadFailure) -> Self {
        Self {
            pages: BTreeMap::new(),
            absent,
            notes: Notes::new(),
            ram: None,
        }
    }

    /// Puts `bytes` at `address`, over whatever was there. Bytes past the end of the address space are left out.
    pub fn insert(&mut self, address: PhysAddr, bytes: &[u8]) {
        for (number, within, at) in pieces(address, bytes.len() as u64) {
            let page = self.pages.entry(number).or_insert_with(Page::new);
            page.insert(within, bytes.get(at).unwrap_or_default());
        }
    }

    /// Makes reads in `range` fail with `failure`, except where bytes are known: what was read once stays readable.
    pub fn insert_failure(&mut self, range: PhysRange, failure: ReadFailure) {
        for (number, within, _) in pieces(range.start, range.length()) {
            let page = self.pages.entry(number).or_insert_with(Page::new);
            page.mark(within, Cell::Failed(failure), |cell| cell != Cell::Known);
        }
    }

    /// The addresses that [`Source::ram`] will give.
    pub fn set_ram(&mut self, ram: Option<Vec<PhysRange>>) {
        self.ram = ram;
    }

    /// What [`Source::notes`] will give.
    pub fn set_notes(&mut self, notes: Notes) {
        self.notes = notes;
    }

    /// Forgets all blocks.
    pub fn clear(&mut self) {
        self.pages.clear();
    }

    /// Number of 4 KiB pages of which something is known.
    pub fn pages(&self) -> usize {
        self.pages.len()
    }

    /// Everything known, sorted by address and merged: no two runs that touch could be one. A run of bytes is cut where it
    /// would pass `longest` bytes (at least 4 KiB).
    pub fn runs(&self, longest: usize) -> impl Iterator<Item = (PhysAddr, Run)> + '_ {
        let longest = longest.max(PAGE);
        let mut pieces = self.pieces_of_pages().peekable();
        std::iter::from_fn(move || {
            let (start, first) = pieces.next()?;
            let mut run = first;
            while let Some((_, more)) = pieces.next_if(|(next, more)| {
                Some(*next) == start.checked_add(run.length()) && run.takes(more, longest)
            }) {
                run.append(more);
            }
            Some((start, run))
        })
    }

    /// Runs within pages.
    fn pieces_of_pages(&self) -> impl Iterator<Item = (PhysAddr, Run)> + '_ {
        self.pages.iter().flat_map(|(number, page)| {
            page.placed(0).filter_map(move |(within, cell)| {
                let start = PhysAddr::new(number * PAGE_SIZE + within.start as u64);
                let run = match cell {
                    Cell::Unknown => return None,
                    Cell::Failed(failure) => Run::Failed(within.len() as u64, failure),
                    Cell::Known => Run::Bytes(page.bytes(within)?.to_vec()),
                };
                Some((start, run))
            })
        })
    }
}

impl Run {
    /// Bytes covered.
    pub fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Failed(length, _) => *length,
        }
    }

    /// Whether `more` right behind this would be part of it.
    fn takes(&self, more: &Self, longest: usize) -> bool {
        match (self, more) {
            (Self::Bytes(bytes), Self::Bytes(more)) => bytes.len() + more.len() <= longest,
            (Self::Failed(_, failure), Self::Failed(_, other)) => failure == other,
            _ => false,
        }
    }

    fn append(&mut self, more: Self) {
        match (self, more) {
            (Self::Bytes(bytes), Self::Bytes(more)) => bytes.extend(more),
            (Self::Failed(length, _), more) => *length += more.length(),
            (Self::Bytes(_), Self::Failed(..)) => {}
        }
    }
}

impl Source for SparseMemory {
    fn copy(&self, address: PhysAddr, into: &mut [u8]) -> Result<(), ReadFailure> {
        if address
            .checked_add((into.len() as u64).saturating_sub(1))
            .is_none()
        {
            return Err(self.absent);
        }
        for (number, within, at) in pieces(address, into.len() as u64) {
            let page = self.pages.get(&number).ok_or(self.absent)?;
            let bytes = page.read(within).ok_or(self.absent)??;
            if let Some(target) = into.get_mut(at) {
                target.copy_from_slice(bytes);
            }
        }
        Ok(())
    }

    fn ram(&self) -> Option<Vec<PhysRange>> {
        self.ram.clone()
    }

    fn notes(&self) -> Notes {
        self.notes.clone()
    }
}

/// Cuts `length` bytes from `address` on at 4 KiB boundaries: page number, place within the page, place among the bytes.
fn pieces(
    address: PhysAddr,
    length: u64,
) -> impl Iterator<Item = (u64, Range<usize>, Range<usize>)> {
    // The last byte of the address space is its own end; a length that passes it is cut there.
    let length = length.min((u64::MAX - address.get()).saturating_add(1));
    let mut done = 0_u64;
    std::iter::from_fn(move || {
        if done >= length {
            return None;
        }
        let at = address.get() + done;
        let offset = at % PAGE_SIZE;
        let here = (PAGE_SIZE - offset).min(length - done);
        let place = |from: u64| from as usize..(from + here) as usize;
        let piece = (at / PAGE_SIZE, place(offset), place(done));
        done += here;
        Some(piece)
    })
}

#[cfg(test)]
#[path = "tests_sparse.rs"]
mod tests;
