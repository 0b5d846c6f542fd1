//! Physical ranges whose bytes are stretches of one file: what raw dumps, ELF cores and LiME dumps have in common.
//!
//! The file is read with `pread`, not mapped: a file that shrinks then gives a failed read where a mapping would kill the
//! process (SIGBUS), a hole in a guest's RAM file stays a hole where touching a mapping would fill it with pages, and no
//! unsafe code is needed. A read costs about half a microsecond, well below any round trip to an adapter.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::addr::{PhysAddr, PhysRange};

use super::error::Problem;
use super::{Notes, ReadFailure, Source};

/// A physical range and the stretch of the file that holds its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The addresses.
    pub range: PhysRange,
    /// Where in the file the byte of the first address is.
    pub offset: u64,
    /// Bytes in the file; the rest of the range reads as zeros.
    pub stored: u64,
}

impl Segment {
    /// The segment cut down to the addresses from `start` on; `start` lies inside.
    fn from(&self, start: PhysAddr) -> Self {
        let skipped = start.get() - self.range.start.get();
        Self {
            range: PhysRange::new(start, self.range.end),
            offset: self.offset.saturating_add(skipped),
            stored: self.stored.saturating_sub(skipped),
        }
    }

    /// The segment cut down to the addresses below `end`; `end` lies inside.
    fn until(&self, end: PhysAddr) -> Self {
        let range = PhysRange::new(self.range.start, end);
        Self {
            range,
            offset: self.offset,
            stored: self.stored.min(range.length()),
        }
    }
}

/// A file and the segments in it.
#[derive(Debug)]
pub struct SegmentedFile {
    file: File,
    /// Sorted by address, disjoint, none empty.
    segments: Vec<Segment>,
    notes: Notes,
}

impl SegmentedFile {
    /// The memory of these segments. Errors: two overlap, one reaches beyond the end of the file.
    pub fn new(file: File, mut segments: Vec<Segment>, notes: Notes) -> Result<Self, Problem> {
        let length = file
            .metadata()
            .map_err(Problem::io("read its length"))?
            .len();
        segments.retain(|segment| !segment.range.is_empty());
        segments.sort_by_key(|segment| segment.range.start);
        for segment in &segments {
            check_inside(segment, length)?;
        }
        for pair in segments.windows(2) {
            if let [first, second] = pair
                && second.range.start < first.range.end
            {
                return Err(Problem::Overlap {
                    first: first.range,
                    second: second.range,
                });
            }
        }
        Ok(Self {
            file,
            segments,
            notes,
        })
    }

    /// The segments, sorted by address.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The segment that holds `address`.
    fn segment_at(&self, address: PhysAddr) -> Option<&Segment> {
        let above = self
            .segments
            .partition_point(|segment| segment.range.start <= address);
        let segment = self.segments.get(above.checked_sub(1)?)?;
        segment.range.contains(address).then_some(segment)
    }

    /// Writes `bytes` from `address` on; all of them must be in the file.
    pub(super) fn store(&self, address: PhysAddr, bytes: &[u8]) -> Result<(), ReadFailure> {
        self.each_piece(address, bytes.len(), |at, offset, stored| {
            let piece = bytes.get(at.clone()).unwrap_or_default();
            if stored < piece.len() {
                return Err(ReadFailure::NotInImage);
            }
            self.file
                .write_all_at(piece, offset)
                .map_err(|_| ReadFailure::NotInImage)
        })
    }

    /// Calls `act` for each piece of `length` bytes from `address` on that lies in one segment, with its place among the
    /// bytes, its offset in the file and how many of its bytes are stored there.
    fn each_piece(
        &self,
        address: PhysAddr,
        length: usize,
        mut act: impl FnMut(std::ops::Range<usize>, u64, usize) -> Result<(), ReadFailure>,
    ) -> Result<(), ReadFailure> {
        let mut done = 0;
        while done < length {
            let at = address
                .checked_add(done as u64)
                .ok_or(ReadFailure::NotInImage)?;
            let segment = self.segment_at(at).ok_or(ReadFailure::NotInImage)?.from(at);
            let here =
                (length - done).min(usize::try_from(segment.range.length()).unwrap_or(usize::MAX));
            let stored = here.min(usize::try_from(segment.stored).unwrap_or(usize::MAX));
            act(done..done + here, segment.offset, stored)?;
            done += here;
        }
        Ok(())
    }
}

impl Source for SegmentedFile {
    fn copy(&self, address: PhysAddr, into: &mut [u8]) -> Result<(), ReadFailure> {
        self.each_piece(address, into.len(), |at, offset, stored| {
            let piece = into.get_mut(at).unwrap_or_default();
            let (from_file, zeros) = piece.split_at_mut(stored);
            zeros.fill(0);
            // A file that has become shorter since it was opened has no bytes here any more.
            self.file
                .read_exact_at(from_file, offset)
                .map_err(|_| ReadFailure::NotInImage)
        })
    }

    fn is_local_file(&self) -> bool {
        true
    }

    fn ram(&self) -> Option<Vec<PhysRange>> {
        let mut ram: Vec<PhysRange> = Vec::new();
        for segment in &self.segments {
            match ram.last_mut() {
                Some(last) if last.end == segment.range.start => last.end = segment.range.end,
                _ => ram.push(segment.range),
            }
        }
        Some(ram)
    }

    fn notes(&self) -> Notes {
        self.notes.clone()
    }
}

/// The stored bytes of the segment lie in the file.
fn check_inside(segment: &Segment, length: u64) -> Result<(), Problem> {
    let needed = segment
        .offset
        .checked_add(segment.stored)
        .ok_or(Problem::Overflow {
            what: "a range of the file",
            start: segment.offset,
            bytes: segment.stored,
        })?;
    if needed > length {
        return Err(Problem::Truncated {
            what: "a memory range",
            needed,
            length,
        });
    }
    Ok(())
}

/// The parts of `segments` that no earlier one covers, for kinds of file in which one address may come twice.
pub(super) fn earliest_wins(segments: &[Segment]) -> Vec<Segment> {
    let mut kept: Vec<Segment> = Vec::with_capacity(segments.len());
    for segment in segments {
        let mut rest = *segment;
        let first_above = kept.partition_point(|other| other.range.end <= rest.range.start);
        let mut free = Vec::new();
        for other in kept.iter().skip(first_above) {
            if rest.range.is_empty() || other.range.start >= rest.range.end {
                break;
            }
            if rest.range.start < other.range.start {
                free.push(rest.until(other.range.start));
            }
            rest = if other.range.end < rest.range.end {
                rest.from(other.range.end)
            } else {
                rest.from(rest.range.end)
            };
        }
        free.push(rest);
        for piece in free {
            if !piece.range.is_empty() {
                let place = kept.partition_point(|other| other.range.start < piece.range.start);
                kept.insert(place, piece);
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use proptest::prelude::*;

    fn file_of(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn segment(start: u64, end: u64, offset: u64, stored: u64) -> Segment {
        Segment {
            range: PhysRange::new(PhysAddr::new(start), PhysAddr::new(end)),
            offset,
            stored,
        }
    }

    fn open(bytes: &[u8], segments: &[Segment]) -> Result<SegmentedFile, Problem> {
        SegmentedFile::new(file_of(bytes), segments.to_vec(), Notes::new())
    }

    #[test]
    fn a_read_may_cross_adjoining_segments_and_a_zero_tail() {
        let bytes: Vec<u8> = (1..=16).collect();
        let memory = open(
            &bytes,
            &[segment(0x18, 0x20, 0, 4), segment(0x10, 0x18, 8, 8)],
        )
        .unwrap();
        let mut into = [0xff; 16];
        memory.copy(PhysAddr::new(0x10), &mut into).unwrap();
        assert_eq!(
            into,
            [9, 10, 11, 12, 13, 14, 15, 16, 1, 2, 3, 4, 0, 0, 0, 0]
        );
        assert_eq!(
            memory.copy(PhysAddr::new(0x1f), &mut into[..2]),
            Err(ReadFailure::NotInImage)
        );
        assert_eq!(memory.ram(), Some(vec![segment(0x10, 0x20, 0, 0).range]));
        let mut last = [0; 2];
        assert_eq!(
            memory.copy(PhysAddr::new(u64::MAX), &mut last),
            Err(ReadFailure::NotInImage)
        );
    }

    #[test]
    fn a_file_that_shrinks_fails_the_read_and_not_the_process() {
        let memory = open(&[7; 8192], &[segment(0, 8192, 0, 8192)]).unwrap();
        memory.file.set_len(4096).unwrap();
        let mut into = [0; 8];
        assert_eq!(
            memory.copy(PhysAddr::new(4096), &mut into),
            Err(ReadFailure::NotInImage)
        );
        assert_eq!(memory.copy(PhysAddr::new(4088), &mut into), Ok(()));
    }

    #[test]
    fn overlaps_and_ranges_beyond_the_file_are_refused() {
        let overlap = open(&[0; 16], &[segment(0, 8, 0, 8), segment(7, 9, 0, 2)]);
        assert_eq!(
            overlap.unwrap_err().to_string(),
            "the ranges 0x0-0x8 and 0x7-0x9 overlap"
        );
        let beyond = open(&[0; 16], &[segment(0, 8, 9, 8)]);
        assert_eq!(
            beyond.unwrap_err().to_string(),
            "it is cut off: a memory range reaches to offset 0x11, and the file ends at 0x10"
        );
        assert!(matches!(
            open(&[0; 16], &[segment(0, 8, u64::MAX, 8)]),
            Err(Problem::Overflow { .. })
        ));
    }

    #[test]
    fn the_first_of_two_claims_wins() {
        let kept = earliest_wins(&[
            segment(0x10, 0x20, 100, 0x10),
            segment(0x00, 0x30, 200, 0x28),
        ]);
        assert_eq!(
            kept,
            [
                segment(0x00, 0x10, 200, 0x10),
                segment(0x10, 0x20, 100, 0x10),
                segment(0x20, 0x30, 232, 8)
            ]
        );
    }

    proptest! {
        #[test]
        fn earliest_wins_agrees_with_a_byte_by_byte_oracle(
            all in proptest::collection::vec((0u64..40, 1u64..20, 0u64..1000), 0..8)
        ) {
            let segments: Vec<Segment> = all
                .iter()
                .map(|&(start, length, offset)| segment(start, start + length, offset, length))
                .collect();
            let kept = earliest_wins(&segments);
            for address in 0..60 {
                let at = PhysAddr::new(address);
                let place = |segment: &Segment| segment.offset + address - segment.range.start.get();
                let first = segments.iter().find(|segment| segment.range.contains(at)).map(place);
                let found: Vec<u64> = kept.iter().filter(|segment| segment.range.contains(at)).map(place).collect();
                prop_assert_eq!(first.into_iter().collect::<Vec<u64>>(), found);
            }
        }
    }
}
