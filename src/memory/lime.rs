//! LiME dumps, format 1: ranges of memory, each behind a header of 32 bytes (`doc/README.md` of LiME; little-endian: magic,
//! version, first address, last address, 8 reserved bytes).

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::addr::{PhysAddr, PhysRange};

use super::error::Problem;
use super::{Notes, Segment, SegmentedFile};

const MAGIC: u32 = 0x4c69_4d45;
const VERSION: u32 = 1;
const HEADER: u64 = 32;

/// The memory in a LiME dump. Errors: a damaged or cut off header, ranges that overlap or pass the end of the file.
pub(super) fn open_lime(file: File) -> Result<SegmentedFile, Problem> {
    let length = file
        .metadata()
        .map_err(Problem::io("read its length"))?
        .len();
    let mut segments = Vec::new();
    let mut at = 0;
    while at < length {
        let segment = read_segment(&file, at, length)?;
        at = segment.offset + segment.stored;
        segments.push(segment);
    }
    SegmentedFile::new(file, segments, Notes::new())
}

/// The range whose header is at offset `at`; its bytes end inside the file.
fn read_segment(file: &File, at: u64, length: u64) -> Result<Segment, Problem> {
    let truncated = |needed| Problem::Truncated {
        what: "a LiME range",
        needed,
        length,
    };
    let offset = at + HEADER;
    if offset > length {
        return Err(truncated(offset));
    }
    let mut header = [0; HEADER as usize];
    file.read_exact_at(&mut header, at)
        .map_err(Problem::io("read a LiME header"))?;
    check(
        "the magic of a LiME range",
        u64::from(MAGIC),
        number(&header, 0, 4),
    )?;
    check(
        "the version of a LiME range",
        u64::from(VERSION),
        number(&header, 4, 4),
    )?;
    let (first, last) = (number(&header, 8, 8), number(&header, 16, 8));
    let overflow = || Problem::Overflow {
        what: "a LiME range",
        start: first,
        bytes: last.wrapping_sub(first),
    };
    if last < first {
        return Err(Problem::BadHeader {
            what: "the last address of a LiME range, which lies below its first,",
            found: last,
        });
    }
    let bytes = (last - first).checked_add(1).ok_or_else(overflow)?;
    let range = PhysRange::of_length(PhysAddr::new(first), bytes).ok_or_else(overflow)?;
    let end = offset.checked_add(bytes).ok_or_else(overflow)?;
    if end > length {
        return Err(truncated(end));
    }
    Ok(Segment {
        range,
        offset,
        stored: bytes,
    })
}

fn check(what: &'static str, expected: u64, found: u64) -> Result<(), Problem> {
    if found == expected {
        Ok(())
    } else {
        Err(Problem::BadHeader { what, found })
    }
}

/// The little-endian number of `bytes` bytes at `at`.
fn number(header: &[u8], at: usize, bytes: usize) -> u64 {
    let digits = header.get(at..at + bytes).unwrap_or_default();
    digits
        .iter()
        .rev()
        .fold(0, |number, digit| number << 8 | u64::from(*digit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Source;
    use proptest::prelude::*;
    use std::io::Write;

    fn range(first: u64, last: u64, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&MAGIC.to_le_bytes());
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&first.to_le_bytes());
        bytes.extend_from_slice(&last.to_le_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(data);
        bytes
    }

    fn open(bytes: &[u8]) -> Result<SegmentedFile, Problem> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        open_lime(file)
    }

    #[test]
    fn ranges_come_back_and_the_last_address_belongs() {
        let bytes = [
            range(0x1000, 0x1003, &[1, 2, 3, 4]),
            range(0x1004, 0x1005, &[5, 6]),
        ]
        .concat();
        let memory = open(&bytes).unwrap();
        let mut into = [0; 6];
        memory.copy(PhysAddr::new(0x1000), &mut into).unwrap();
        assert_eq!(into, [1, 2, 3, 4, 5, 6]);
        assert_eq!(memory.ram().unwrap().len(), 1);
    }

    #[test]
    fn damaged_dumps_are_refused() {
        let truncated = |bytes: &[u8]| matches!(open(bytes), Err(Problem::Truncated { .. }));
        assert!(truncated(&range(0, 3, &[1, 2, 3])));
        assert!(truncated(&[range(0, 0, &[1]), vec![0x45]].concat()));
        assert!(matches!(
            open(&range(0, u64::MAX, &[])),
            Err(Problem::Overflow { .. })
        ));
        assert!(matches!(
            open(&range(u64::MAX, u64::MAX, &[1])),
            Err(Problem::Overflow { .. })
        ));
        assert!(matches!(
            open(&range(5, 4, &[])),
            Err(Problem::BadHeader { found: 4, .. })
        ));
        assert!(matches!(
            open(&[range(0, 3, &[0; 4]), range(2, 2, &[0])].concat()),
            Err(Problem::Overlap { .. })
        ));
        let mut version = range(0, 0, &[1]);
        version[4] = 2;
        assert_eq!(
            open(&version).unwrap_err().to_string(),
            "the version of a LiME range is 0x2"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_behind_a_header_are_handled(
            first in any::<u64>(), last in any::<u64>(), rest in proptest::collection::vec(any::<u8>(), 0..80)
        ) {
            let _ = open(&range(first, last, &rest));
        }
    }
}
