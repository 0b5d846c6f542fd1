//! A raw dump, or the RAM file of a running QEMU guest: bytes of memory and nothing else.

use std::fs::File;

use super::error::Problem;
use super::{ImageMap, Notes, Segment, SegmentedFile};

/// The memory of a raw file, laid out as `map` says. Errors: a range of the map lies beyond the end of the file.
pub(super) fn open_raw(file: File, map: &ImageMap) -> Result<SegmentedFile, Problem> {
    let length = file
        .metadata()
        .map_err(Problem::io("read its length"))?
        .len();
    let segments = map
        .ranges(length)
        .iter()
        .map(|mapped| Segment {
            range: mapped.range,
            offset: mapped.offset,
            stored: mapped.range.length(),
        })
        .collect();
    SegmentedFile::new(file, segments, Notes::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::PhysAddr;
    use crate::memory::{ReadFailure, Source, parse_image_map};
    use std::io::Write;

    fn file() -> File {
        let mut file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..0x3000_u32).map(|at| (at >> 8) as u8).collect();
        file.write_all(&bytes).unwrap();
        file
    }

    #[test]
    fn without_a_map_address_is_offset() {
        let memory = open_raw(file(), &ImageMap::Identity).unwrap();
        let mut byte = [0];
        memory.copy(PhysAddr::new(0x2fff), &mut byte).unwrap();
        assert_eq!(byte, [0x2f]);
        assert_eq!(
            memory.copy(PhysAddr::new(0x3000), &mut byte),
            Err(ReadFailure::NotInImage)
        );
    }

    #[test]
    fn a_map_leaves_a_hole() {
        let map = parse_image_map("0-1000@0,100000000-100002000@1000").unwrap();
        let memory = open_raw(file(), &map).unwrap();
        let mut byte = [0];
        memory
            .copy(PhysAddr::new(0x1_0000_1f00), &mut byte)
            .unwrap();
        assert_eq!(byte, [0x2f]);
        assert_eq!(
            memory.copy(PhysAddr::new(0x1000), &mut byte),
            Err(ReadFailure::NotInImage)
        );
    }

    #[test]
    fn a_map_beyond_the_file_is_refused() {
        let map = parse_image_map("0-4000@0").unwrap();
        assert!(matches!(
            open_raw(file(), &map),
            Err(Problem::Truncated {
                needed: 0x4000,
                length: 0x3000,
                ..
            })
        ));
    }
}
