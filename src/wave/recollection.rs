//! What queries needed when they last ran: the best prediction of what they need when they run again.

use std::collections::VecDeque;

/// Queries that are remembered.
const MOST_QUERIES: usize = 16;

/// Lines that are remembered of all of them together: 8 bytes each.
const MOST_LINES: usize = 1 << 20;

/// The lines that the latest queries needed, by the queries' names, latest last.
#[derive(Debug, Default)]
pub(super) struct Recollection(VecDeque<(String, Vec<u64>)>);

impl Recollection {
    /// What a query needed, by line, if it is remembered.
    pub(super) fn of(&self, name: &str) -> Option<&[u64]> {
        let (_, lines) = self.0.iter().find(|(known, _)| known == name)?;
        Some(lines)
    }

    /// Remembers what a query needed, instead of what it needed before; the oldest others are forgotten where it is too much.
    pub(super) fn keep(&mut self, name: &str, lines: Vec<u64>) {
        self.0.retain(|(known, _)| known != name);
        self.0.push_back((name.to_owned(), lines));
        while self.0.len() > MOST_QUERIES || self.lines() > MOST_LINES {
            self.0.pop_front();
        }
    }

    fn lines(&self) -> usize {
        self.0.iter().map(|(_, lines)| lines.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_remembered() {
        let mut recollection = Recollection::default();
        for number in 0..=MOST_QUERIES {
            recollection.keep(&number.to_string(), vec![number as u64]);
        }
        assert_eq!(recollection.of("0"), None);
        assert_eq!(recollection.of("1"), Some(&[1][..]));
        recollection.keep("1", vec![7, 8]);
        assert_eq!(recollection.of("1"), Some(&[7, 8][..]));
        recollection.keep("large", vec![0; MOST_LINES]);
        assert_eq!((recollection.of("1"), recollection.0.len()), (None, 1));
        recollection.keep("too large", vec![0; MOST_LINES + 1]);
        assert!(recollection.0.is_empty());
    }
}
