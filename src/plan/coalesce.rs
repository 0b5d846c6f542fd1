//! The second pass: stretches that a query uses → windows that are read, disjoint and in order, and how many reads they take.

use rustc_hash::FxHashMap;

use crate::lang::typed::{CheckedSource, SourceId, WalkBody};

use super::prune::Used;

/// Bytes of the longest read that most targets take: the maximum read request size that NetTLP's adapter is configured with.
pub(super) const USUAL_READ: u64 = 512;

/// Bytes of a line, the least that is read.
const LINE: i64 = 64;

/// A stretch of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// Bytes from the element's start.
    pub offset: i64,
    /// Bytes.
    pub length: u64,
}

impl Window {
    /// The first byte behind it.
    fn end(&self) -> i64 {
        self.offset.saturating_add_unsigned(self.length)
    }
}

/// The windows of each source.
#[derive(Clone, Debug, Default)]
pub struct Windows(FxHashMap<SourceId, Vec<Window>>);

impl Windows {
    /// The windows of a walk query's sources.
    pub fn of(body: &WalkBody) -> Self {
        let mut windows = Used::of(body).0;
        for spans in windows.values_mut() {
            unite(spans);
        }
        Self(windows)
    }

    /// The same, but for one source of whose elements only what its own walk reads of them is left.
    #[must_use]
    pub fn with_links_only(&self, source: &CheckedSource) -> Self {
        let mut windows = self.0.clone();
        let mut links = Used::of_source(source).0.remove(&source.id);
        unite(links.get_or_insert_default());
        windows.insert(source.id, links.unwrap_or_default());
        Self(windows)
    }

    /// The windows of one source, disjoint, in order.
    pub fn of_source(&self, source: SourceId) -> Vec<Window> {
        self.0.get(&source).cloned().unwrap_or_default()
    }
}

/// Reads of at most `longest` bytes that windows take, where no page boundary lies between them: as the reader of waves does, lines of
/// 64 bytes are read, and those near one another together.
pub fn reads(windows: &[Window], longest: u64) -> usize {
    reads_but(windows, longest, &[])
}

/// Reads that it takes more to read `some` of the lines of `whole` windows first, and the rest later, than to read all of them at once.
pub fn reads_beyond(some: &[Window], whole: &[Window]) -> u64 {
    let apart = reads(some, USUAL_READ) + reads_but(whole, USUAL_READ, some);
    apart.saturating_sub(reads(whole, USUAL_READ)) as u64
}

/// As [`reads`], of lines that do not touch `present` windows.
fn reads_but(windows: &[Window], longest: u64, present: &[Window]) -> usize {
    let longest = i64::try_from(longest).unwrap_or(i64::MAX).max(LINE);
    let is_present = |line: i64| {
        let end = line.saturating_add(LINE);
        present
            .iter()
            .any(|window| window.offset < end && window.end() > line)
    };
    let mut count = 0;
    let mut reach = i64::MIN;
    for window in windows {
        let mut line = window.offset.div_euclid(LINE).saturating_mul(LINE);
        while line < window.end() {
            if line.saturating_add(LINE) > reach && !is_present(line) {
                count += 1;
                reach = line.saturating_add(longest);
            }
            line = line.saturating_add(LINE);
        }
    }
    count
}

/// Sorts spans and unites those that touch or overlap.
fn unite(spans: &mut Vec<Window>) {
    spans.sort_unstable();
    let mut united: Vec<Window> = Vec::new();
    for span in spans.drain(..) {
        match united.last_mut() {
            Some(last) if span.offset <= last.end() => {
                let end = last.end().max(span.end());
                last.length = u64::try_from(end.saturating_sub(last.offset)).unwrap_or(0);
            }
            _ => united.push(span),
        }
    }
    *spans = united;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(offset: i64, length: u64) -> Window {
        Window { offset, length }
    }

    #[test]
    fn touching_spans_are_one() {
        let mut spans = vec![window(40, 8), window(8, 16), window(24, 4), window(44, 16)];
        unite(&mut spans);
        assert_eq!(spans, vec![window(8, 20), window(40, 20)]);
    }

    #[test]
    fn windows_near_one_another_are_one_read() {
        assert_eq!(reads(&[], 512), 0);
        assert_eq!(reads(&[window(0, 8), window(500, 8)], 512), 1);
        assert_eq!(reads(&[window(0, 8), window(508, 8)], 512), 2);
        assert_eq!(
            reads(
                &[window(0x8b0, 16), window(0x980, 4), window(0xbe8, 8)],
                512
            ),
            2
        );
        assert_eq!(reads(&[window(60, 8)], 64), 2);
        assert_eq!(reads(&[window(-8, 16)], 512), 1);
        assert_eq!(reads(&[window(0, 4096)], 512), 8);
        assert_eq!(reads(&[window(i64::MAX - 8, u64::MAX)], 512), 1);
    }
}
