//! Which bytes of a read have arrived: a bit a byte, handled a word at a time.

use std::ops::Range;

/// Bits in a word.
const WORD: u16 = 64;

/// A bit a byte; set: it has arrived.
#[derive(Debug)]
pub(super) struct Bitmap(Box<[u64]>);

impl Bitmap {
    /// None of `bytes` has arrived.
    pub(super) fn new(bytes: u32) -> Self {
        Self(vec![0; bytes.div_ceil(u32::from(WORD)) as usize].into())
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.0.fill(0);
    }

    /// Sets the bits of `range`; how many were not set before.
    pub(super) fn insert(&mut self, range: Range<u16>) -> u16 {
        let mut new = 0;
        for (word, mask) in masks(range) {
            if let Some(word) = self.0.get_mut(word) {
                new += (mask & !*word).count_ones() as u16;
                *word |= mask;
            }
        }
        new
    }

    /// Unsets the bits of `range`; how many were set before.
    pub(super) fn remove(&mut self, range: Range<u16>) -> u16 {
        let mut old = 0;
        for (word, mask) in masks(range) {
            if let Some(word) = self.0.get_mut(word) {
                old += (mask & *word).count_ones() as u16;
                *word &= !mask;
            }
        }
        old
    }

    /// Whether no bit of `range` is set.
    pub(super) fn is_empty(&self, range: Range<u16>) -> bool {
        masks(range).all(|(word, mask)| self.word(word) & mask == 0)
    }

    /// Whether the bit at `at` is set.
    pub(super) fn contains(&self, at: u16) -> bool {
        self.word(usize::from(at / WORD)) & 1 << (at % WORD) != 0
    }

    /// From the first to the last unset bit of `range`; `None` where all are set.
    pub(super) fn gap(&self, range: Range<u16>) -> Option<Range<u16>> {
        let mut gap: Option<Range<u16>> = None;
        for (word, mask) in masks(range) {
            let unset = mask & !self.word(word);
            if unset != 0 {
                let base = word as u16 * WORD;
                let first = base + unset.trailing_zeros() as u16;
                let end = base + WORD - unset.leading_zeros() as u16;
                gap = Some(gap.map_or(first, |gap| gap.start)..end);
            }
        }
        gap
    }

    fn word(&self, index: usize) -> u64 {
        self.0.get(index).copied().unwrap_or(0)
    }
}

/// The words that `range` touches, each with the bits of it.
fn masks(range: Range<u16>) -> impl Iterator<Item = (usize, u64)> {
    let words = if range.is_empty() {
        0..0
    } else {
        range.start / WORD..(range.end - 1) / WORD + 1
    };
    words.map(move |word| {
        let base = word * WORD;
        let from = range.start.saturating_sub(base);
        let unused = (base + WORD).saturating_sub(range.end);
        (usize::from(word), u64::MAX >> unused & u64::MAX << from)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_a_set_of_bytes() {
        let mut random = fastrand::Rng::with_seed(3);
        let mut bitmap = Bitmap::new(512);
        let mut set = [false; 512];
        for _ in 0..5000 {
            let start = random.u16(0..512);
            let range = start..random.u16(start..=512);
            let bytes = usize::from(range.start)..usize::from(range.end);
            let present = set[bytes.clone()].iter().filter(|bit| **bit).count();
            let absent = |at: &usize| !set[*at];
            let first = bytes.clone().find(absent);
            let last = bytes.clone().rfind(absent);
            let gap = first
                .zip(last)
                .map(|(first, last)| first as u16..last as u16 + 1);
            assert_eq!(bitmap.gap(range.clone()), gap);
            assert_eq!(bitmap.is_empty(range.clone()), present == 0);
            if random.bool() {
                let new = bitmap.insert(range.clone());
                assert_eq!(usize::from(new), range.len() - present);
                set[bytes].fill(true);
            } else {
                assert_eq!(usize::from(bitmap.remove(range)), present);
                set[bytes].fill(false);
            }
            let at = random.u16(0..512);
            assert_eq!(bitmap.contains(at), set[usize::from(at)]);
        }
    }
}
