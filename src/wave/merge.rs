//! Many wanted lines in, few reads out.

use crate::addr::PAGE_SIZE;

use super::cache::LINE;

/// A read of neighbouring lines. `wanted` has bit *i* set where somebody asked for line `first + i`; the others lie between wanted
/// ones and come along for nothing (a read of 512 bytes takes as long as one of 64).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LineRead {
    pub(super) first: u64,
    pub(super) count: u32,
    pub(super) wanted: u64,
}

impl LineRead {
    /// A read of one line.
    pub(super) const fn of(line: u64) -> Self {
        Self {
            first: line,
            count: 1,
            wanted: 1,
        }
    }

    /// How long it is.
    pub(super) fn bytes(self) -> u64 {
        u64::from(self.count) * LINE
    }

    /// The numbers of its lines.
    pub(super) fn lines(self) -> impl Iterator<Item = u64> {
        self.first..self.first + u64::from(self.count)
    }

    /// The numbers of the lines that somebody asked for.
    pub(super) fn wanted_lines(self) -> impl Iterator<Item = u64> {
        (0..u64::from(self.count))
            .filter(move |bit| self.wanted & (1 << bit) != 0)
            .map(move |bit| self.first + bit)
    }
}

/// Covers the wanted lines with the fewest reads of at most `max_read` bytes that do not cross 4 KiB, taking the lines in address
/// order (greedy is optimal for covering points on a line with intervals of one length). Empties `wanted`.
pub(super) fn merge(wanted: &mut Vec<u64>, max_read: u32) -> Vec<LineRead> {
    let longest = (u64::from(max_read) / LINE).clamp(1, PAGE_SIZE / LINE);
    wanted.sort_unstable();
    wanted.dedup();
    let mut reads: Vec<LineRead> = Vec::new();
    for number in wanted.drain(..) {
        match reads.last_mut() {
            Some(read) if number - read.first < longest && same_page(number, read.first) => {
                read.count = u32::try_from(number - read.first + 1).unwrap_or(1);
                read.wanted |= 1 << (number - read.first);
            }
            _ => reads.push(LineRead::of(number)),
        }
    }
    reads
}

fn same_page(one: u64, other: u64) -> bool {
    one * LINE / PAGE_SIZE == other * LINE / PAGE_SIZE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_share_a_read_and_pages_do_not() {
        let mut wanted = vec![70, 0, 5, 63, 64, 7, 8];
        let reads = merge(&mut wanted, 512);
        let spans: Vec<_> = reads.iter().map(|read| (read.first, read.count)).collect();
        assert_eq!(spans, vec![(0, 8), (8, 1), (63, 1), (64, 7)]);
        assert_eq!(reads[0].wanted, 0b1010_0001);
        assert_eq!(reads[0].wanted_lines().collect::<Vec<_>>(), vec![0, 5, 7]);
        assert!(wanted.is_empty());
    }

    #[test]
    fn every_wanted_line_is_covered_within_the_limits() {
        for max_read in [64, 128, 256, 512, 1024, 4096] {
            let lines: Vec<u64> = (0..500).map(|i| i * i % 4099).collect();
            let reads = merge(&mut lines.clone(), max_read);
            for number in lines {
                assert!(
                    reads
                        .iter()
                        .any(|read| read.wanted_lines().any(|line| line == number))
                );
            }
            for read in reads {
                assert!(
                    read.count * 64 <= max_read
                        && same_page(read.first, read.first + u64::from(read.count) - 1)
                );
            }
        }
    }
}
