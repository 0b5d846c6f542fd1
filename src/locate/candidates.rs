//! Which physical addresses may hold the first byte of a kernel image, in the order in which they are tried.

use crate::addr::{PhysAddr, PhysRange};

/// The image begins at a multiple of this (`CONFIG_PHYSICAL_ALIGN`, at least 2 MiB on x86-64).
pub(super) const ALIGNMENT: u64 = 2 << 20;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Ranges of addresses that are probed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stage {
    pub(super) ranges: Vec<PhysRange>,
    /// Left out where the stage before it found no readable address: RAM above 4 GiB begins at 4 GiB and has no end before a
    /// beginning.
    pub(super) only_after_ram: bool,
}

/// Where to look without a RAM map. Nothing between 3 and 4 GiB, where PCs have device registers, which a read may change.
const BLIND_STAGES: &[(u64, u64, bool)] = &[
    (16 * MIB, 2 * GIB, false),
    (4 * GIB, 8 * GIB, false),
    (8 * GIB, 16 * GIB, true),
    (16 * GIB, 32 * GIB, true),
    (32 * GIB, 64 * GIB, true),
    (2 * GIB, 3 * GIB, false),
];

/// The stages of a search: all of the RAM map at once, or likely places first where there is none. `lowest` is the address
/// for which the image is linked.
pub(super) fn stages(ram: Option<&[PhysRange]>, lowest: u64) -> Vec<Stage> {
    match ram {
        Some(ram) => vec![Stage {
            ranges: merged(ram),
            only_after_ram: false,
        }],
        None => BLIND_STAGES
            .iter()
            .enumerate()
            .map(|(index, &(start, end, only_after_ram))| {
                let start = match index {
                    0 => start.min(lowest.max(ALIGNMENT)),
                    _ => start,
                };
                Stage {
                    ranges: vec![PhysRange::new(PhysAddr::new(start), PhysAddr::new(end))],
                    only_after_ram,
                }
            })
            .collect(),
    }
}

/// The ranges sorted, without empty ones, with those that touch made one.
pub(super) fn merged(ranges: &[PhysRange]) -> Vec<PhysRange> {
    let mut sorted: Vec<PhysRange> = ranges.iter().copied().filter(|r| !r.is_empty()).collect();
    sorted.sort_unstable_by_key(|range| (range.start, range.end));
    let mut merged: Vec<PhysRange> = Vec::with_capacity(sorted.len());
    for range in sorted {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// Multiples of [`ALIGNMENT`] at which an image could begin, such that it and the probed bytes lie in one range. Address 0, which
/// holds the firmware's tables, is none.
#[derive(Clone, Debug)]
pub(super) struct Candidates {
    ranges: std::vec::IntoIter<PhysRange>,
    current: Option<PhysRange>,
    next: u64,
    /// Bytes from the image's first to one past the last probed.
    span: u64,
}

impl Candidates {
    pub(super) fn new(ranges: Vec<PhysRange>, span: u64) -> Self {
        Self {
            ranges: ranges.into_iter(),
            current: None,
            next: 0,
            span,
        }
    }

    /// Bytes from the candidate that was given last to the end of its range.
    pub(super) fn room(&self) -> u64 {
        let candidate = self.next.saturating_sub(ALIGNMENT);
        self.current
            .map_or(0, |range| range.end.get().saturating_sub(candidate))
    }
}

impl Iterator for Candidates {
    type Item = PhysAddr;

    fn next(&mut self) -> Option<PhysAddr> {
        loop {
            if let Some(range) = self.current {
                let candidate = PhysAddr::new(self.next);
                let end = candidate.checked_add(self.span);
                if end.is_some_and(|end| end <= range.end) {
                    self.next = self.next.saturating_add(ALIGNMENT);
                    return Some(candidate);
                }
                self.current = None;
            }
            let range = self.ranges.next()?;
            let first = range.start.get().max(1).checked_next_multiple_of(ALIGNMENT);
            if let Some(first) = first {
                self.next = first;
                self.current = Some(range);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, end: u64) -> PhysRange {
        PhysRange::new(PhysAddr::new(start), PhysAddr::new(end))
    }

    fn numbers(ranges: &[PhysRange], span: u64) -> Vec<u64> {
        Candidates::new(merged(ranges), span)
            .map(PhysAddr::get)
            .collect()
    }

    #[test]
    fn candidates_stay_inside_the_map() {
        // The span must fit: 0x60_0000 + 0x10_0000 passes the end of the first range.
        let ram = [
            range(0x80_0000, 0x80_0000),
            range(0, 0x65_0000),
            range(0xa0_0001, 0xe0_0000),
        ];
        assert_eq!(numbers(&ram, 0x10_0000), [0x20_0000, 0x40_0000, 0xc0_0000]);
        assert_eq!(
            numbers(&ram, 0x5_0000),
            [0x20_0000, 0x40_0000, 0x60_0000, 0xc0_0000]
        );
        assert!(numbers(&[range(u64::MAX - 0x10_0000, u64::MAX)], 1).is_empty());
        // Ranges that touch are one range to an image that lies across the seam.
        let split = [range(0x20_0000, 0x30_0000), range(0x30_0000, 0x60_0000)];
        assert_eq!(numbers(&split, 0x18_0000), [0x20_0000, 0x40_0000]);
    }

    #[test]
    fn nothing_is_probed_among_device_registers() {
        let span = 0x112_0000;
        for stage in stages(None, 16 * MIB) {
            for candidate in Candidates::new(stage.ranges, span) {
                let end = candidate.get() + span;
                assert!(end <= 3 * GIB || candidate.get() >= 4 * GIB, "{candidate}");
                assert!(candidate.get() >= 16 * MIB && end <= 64 * GIB);
            }
        }
    }

    #[test]
    fn an_image_linked_low_is_looked_for_low() {
        let first = |lowest| {
            stages(None, lowest)
                .into_iter()
                .flat_map(|stage| Candidates::new(stage.ranges, 0x1000))
                .next()
        };
        assert_eq!(first(2 * MIB), Some(PhysAddr::new(2 * MIB)));
        assert_eq!(first(0), Some(PhysAddr::new(2 * MIB)));
        assert_eq!(first(16 * MIB), Some(PhysAddr::new(16 * MIB)));
    }
}
