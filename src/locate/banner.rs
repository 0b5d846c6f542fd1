//! Banners of Linux kernels in physical memory, whichever kernel they belong to.

use std::collections::{BTreeSet, VecDeque};

use memchr::memmem;

use crate::addr::{PAGE_SIZE, PhysAddr, PhysRange};
use crate::memory::{PhysicalMemory, read_batch};

use super::candidates::merged;

/// How every banner begins (`linux_banner`, init/version-timestamp.c, before Linux 6.2 init/version.c).
pub(super) const PREFIX: &[u8] = b"Linux version ";
/// Longest banner that is believed.
const MAX_BANNER: usize = 512;
/// Bytes that are read together. Where the first page of so many cannot be read, the rest is not tried.
const CHUNK: u64 = 1 << 20;

/// A banner, and where its first byte is. It may be that of the running kernel, of the kernel before it, or a copy in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoundBanner {
    /// Where.
    pub address: PhysAddr,
    /// `Linux version 6.1.0 (…) #1 …`, printable, without the newline at its end.
    pub text: String,
}

/// A search through memory for everything that looks like `linux_banner`: begins with its first words, is printable, ends in a
/// newline and a NUL. Every byte of the ranges is read, so on a live target this takes as long as a dump of them.
#[derive(Debug)]
pub struct BannerScan {
    ranges: VecDeque<PhysRange>,
    found: VecDeque<FoundBanner>,
    seen: BTreeSet<String>,
    /// Readable bytes not yet judged to their end, and where they begin.
    tail: Vec<u8>,
    tail_start: PhysAddr,
    /// Bytes that were read so far, unreadable ones not counted.
    scanned: u64,
}

impl BannerScan {
    /// A scan of `ranges`, in the order of addresses.
    pub fn new(ranges: &[PhysRange]) -> Self {
        Self {
            ranges: merged(ranges).into(),
            found: VecDeque::new(),
            seen: BTreeSet::new(),
            tail: Vec::new(),
            tail_start: PhysAddr::new(0),
            scanned: 0,
        }
    }

    /// Bytes that were read so far, unreadable ones not counted.
    pub fn scanned(&self) -> u64 {
        self.scanned
    }

    /// Whether every range was read to its end.
    pub fn is_finished(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The next banner with a text not seen before; `None` at the end of the ranges, or when `budget` bytes in all have been read
    /// ([`BannerScan::is_finished`] tells which).
    pub fn next(&mut self, memory: &mut dyn PhysicalMemory, budget: u64) -> Option<FoundBanner> {
        loop {
            if let Some(found) = self.found.pop_front() {
                return Some(found);
            }
            if self.scanned >= budget {
                return None;
            }
            let range = self.ranges.front_mut()?;
            let chunk_end = (range.start.get() / CHUNK + 1).saturating_mul(CHUNK);
            let chunk = PhysRange::new(range.start, PhysAddr::new(chunk_end.min(range.end.get())));
            range.start = chunk.end;
            if range.is_empty() {
                self.ranges.pop_front();
            }
            self.scan(memory, chunk);
        }
    }

    fn scan(&mut self, memory: &mut dyn PhysicalMemory, chunk: PhysRange) {
        let mut pages = pages_of(chunk);
        let rest = pages.split_off(pages.len().min(1));
        let mut outcomes = read_batch(memory, &pages);
        if outcomes.iter().all(Result::is_ok) {
            pages.extend_from_slice(&rest);
            outcomes.extend(read_batch(memory, &rest));
        }
        for (page, outcome) in pages.iter().zip(outcomes) {
            match outcome {
                Ok(bytes) => self.append(page.start, &bytes),
                Err(_) => self.judge_tail(true),
            }
        }
        self.judge_tail(self.ranges.is_empty());
    }

    /// Adds readable bytes; what is not their continuation ends the stretch before.
    fn append(&mut self, start: PhysAddr, bytes: &[u8]) {
        self.scanned += bytes.len() as u64;
        if self.tail_start.checked_add(self.tail.len() as u64) != Some(start) {
            self.judge_tail(true);
        }
        if self.tail.is_empty() {
            self.tail_start = start;
        }
        self.tail.extend_from_slice(bytes);
    }

    /// Looks for banners. If more bytes may follow, those at the end that could be the beginning of one are kept.
    fn judge_tail(&mut self, last: bool) {
        let whole = match last {
            true => self.tail.len(),
            false => self.tail.len().saturating_sub(MAX_BANNER),
        };
        for at in memmem::find_iter(&self.tail, PREFIX).take_while(|&at| at < whole) {
            let Some(text) = self.tail.get(at..).and_then(parse) else {
                continue;
            };
            if self.seen.insert(text.clone()) {
                self.found.push_back(FoundBanner {
                    address: self.tail_start.wrapping_offset(at as i64),
                    text,
                });
            }
        }
        self.tail.drain(..whole);
        self.tail_start = self.tail_start.wrapping_offset(whole as i64);
    }
}

/// The banner at the start of `bytes`, without its newline; `None` if there is none.
pub(super) fn parse(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.get(..MAX_BANNER).unwrap_or(bytes);
    let end = bytes.windows(2).position(|pair| pair == b"\n\0")?;
    let text = std::str::from_utf8(bytes.get(..end)?).ok()?;
    is_banner(text).then(|| text.to_owned())
}

/// Whether a text, without its newline, is printable and has everything that `linux_banner` has and a log line need not have: a
/// release, who built it, the number of the build. Images since Linux 6.1 hold a second text without that number, which the linker
/// left of the weak definition in init/version.c.
pub(super) fn is_banner(text: &str) -> bool {
    let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let build = text.split(" #").skip(1);
    printable
        && text.as_bytes().starts_with(PREFIX)
        && text.contains(" (")
        && build
            .into_iter()
            .any(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

fn pages_of(range: PhysRange) -> Vec<PhysRange> {
    let mut pages = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let end = at.page_base().checked_add(PAGE_SIZE).unwrap_or(range.end);
        pages.push(PhysRange::new(at, end.min(range.end)));
        at = end;
    }
    pages
}
