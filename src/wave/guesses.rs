//! Reads that predictors propose, in the order of their proposals, until they are sent or turn out to be needed.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::merge::LineRead;

/// Reads that are waiting to be guessed right.
#[derive(Debug, Default)]
pub(super) struct Guesses {
    /// By first line.
    reads: FxHashMap<u64, LineRead>,
    /// First lines; one whose read has been taken is skipped.
    order: VecDeque<u64>,
    /// Lines of the longest.
    longest: u64,
}

impl Guesses {
    /// Proposes a read. No line of it is in another.
    pub(super) fn add(&mut self, read: LineRead) {
        self.longest = self.longest.max(u64::from(read.count));
        self.reads.insert(read.first, read);
        self.order.push_back(read.first);
    }

    /// Takes the read that was proposed first.
    pub(super) fn next(&mut self) -> Option<LineRead> {
        loop {
            let first = self.order.pop_front()?;
            if let Some(read) = self.reads.remove(&first) {
                return Some(read);
            }
        }
    }

    /// Proposes a read again, before all others.
    pub(super) fn put_back(&mut self, read: LineRead) {
        self.reads.insert(read.first, read);
        self.order.push_front(read.first);
    }

    /// Takes the read that covers a line.
    pub(super) fn take(&mut self, line: u64) -> Option<LineRead> {
        let first = (line.saturating_sub(self.longest)..=line)
            .rev()
            .find(|first| {
                let read = self.reads.get(first);
                read.is_some_and(|read| line - first < u64::from(read.count))
            })?;
        self.reads.remove(&first)
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_come_in_order_unless_they_are_needed_before() {
        let read = |first, count| LineRead {
            first,
            count,
            wanted: 1,
        };
        let mut guesses = Guesses::default();
        for first in [100, 40, 64] {
            guesses.add(read(first, 8));
        }
        assert_eq!(guesses.take(48), None);
        assert_eq!(guesses.take(47), Some(read(40, 8)));
        assert_eq!(guesses.take(47), None);
        assert_eq!(guesses.next(), Some(read(100, 8)));
        guesses.put_back(read(100, 8));
        assert_eq!(guesses.next(), Some(read(100, 8)));
        assert_eq!(guesses.next(), Some(read(64, 8)));
        assert_eq!(guesses.next(), None);
    }
}
