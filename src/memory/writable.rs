//! A raw image that may be written, for the software adapter only.
//!
//! The trait that questions are asked through has no write; this is a type of its own, and nothing above the adapter
//! names it.

use std::fs::OpenOptions;
use std::path::Path;

use crate::addr::PhysAddr;

use super::error::{MemoryError, Problem};
use super::kind::Kind;
use super::open::kind_of_file;
use super::raw::open_raw;
use super::{ImageMap, Immediate, ReadFailure, SegmentedFile};

/// A raw image, opened for reading and writing.
#[derive(Debug)]
pub struct WritableImage {
    memory: Immediate<SegmentedFile>,
}

impl WritableImage {
    /// Opens a raw image. Errors: those of [`super::open_image`], and any kind of file that is not raw.
    pub fn open(path: &Path, map: &ImageMap) -> Result<Self, MemoryError> {
        let at_home = |problem: Problem| MemoryError::file(path, problem);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(Problem::io("open it for writing"))
            .map_err(at_home)?;
        if kind_of_file(&file).map_err(at_home)? != Kind::Raw {
            return Err(at_home(Problem::NotAnImage {
                what: "a dump with headers",
                hint: "only raw images can be written; leave out --writable",
            }));
        }
        let segments = open_raw(file, map).map_err(at_home)?;
        Ok(Self {
            memory: Immediate::new(segments),
        })
    }

    /// Writes `bytes` from `address` on. Errors: some of the addresses are not in the image.
    pub fn write(&mut self, address: PhysAddr, bytes: &[u8]) -> Result<(), ReadFailure> {
        self.memory.source().store(address, bytes)
    }

    /// The same memory, to read.
    pub fn memory(&mut self) -> &mut Immediate<SegmentedFile> {
        &mut self.memory
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Source;

    #[test]
    fn written_bytes_are_read_back_and_in_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [0; 16]).unwrap();
        let mut image = WritableImage::open(file.path(), &ImageMap::Identity).unwrap();
        image.write(PhysAddr::new(3), &[1, 2]).unwrap();
        let mut into = [0; 4];
        image
            .memory()
            .source()
            .copy(PhysAddr::new(2), &mut into)
            .unwrap();
        assert_eq!(into, [0, 1, 2, 0]);
        assert_eq!(std::fs::read(file.path()).unwrap()[3..5], [1, 2]);
        assert_eq!(
            image.write(PhysAddr::new(15), &[1, 2]),
            Err(ReadFailure::NotInImage)
        );
    }

    #[test]
    fn dumps_with_headers_are_not_written() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"EMiL\x01\0\0\0").unwrap();
        assert!(WritableImage::open(file.path(), &ImageMap::Identity).is_err());
    }
}
