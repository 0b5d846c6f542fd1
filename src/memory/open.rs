//! Opens whatever holds memory, told apart by content.

use std::fs::{File, FileType};
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::Path;

use super::elf_core::open_elf_core;
use super::error::{MemoryError, Problem};
use super::kind::{Kind, PREFIX, kind_of};
use super::lime::open_lime;
use super::raw::open_raw;
use super::{ImageMap, Immediate, PhysicalMemory, open_recording};

/// Opens a raw dump, an ELF core, a LiME dump or a recording. `map` is for raw dumps.
///
/// Errors: it cannot be read; it is of another kind, cut off or damaged; a map was given for a file that needs none.
pub fn open_image(
    path: &Path,
    map: &ImageMap,
) -> Result<Box<dyn PhysicalMemory + Send>, MemoryError> {
    let at_home = |problem: Problem| MemoryError::file(path, problem);
    let file = open_file(path).map_err(at_home)?;
    let kind = kind_of_file(&file).map_err(at_home)?;
    if kind != Kind::Raw && *map != ImageMap::Identity {
        return Err(at_home(Problem::MapNotWanted));
    }
    let segments = match kind {
        Kind::Recording => return Ok(Box::new(open_recording(path)?)),
        Kind::Raw => open_raw(file, map),
        Kind::Elf => open_elf_core(file),
        Kind::Lime => open_lime(file),
    };
    Ok(Box::new(Immediate::new(segments.map_err(at_home)?)))
}

/// Opens a file, refusing what could block or has no content.
fn open_file(path: &Path) -> Result<File, Problem> {
    let about = std::fs::metadata(path).map_err(Problem::io("open it"))?;
    if let Some(what) = not_a_file(about.file_type()) {
        return Err(Problem::NotAFile(what));
    }
    File::open(path).map_err(Problem::io("open it"))
}

fn not_a_file(kind: FileType) -> Option<&'static str> {
    if kind.is_dir() {
        Some("a folder")
    } else if kind.is_fifo() {
        Some("a pipe")
    } else if kind.is_socket() {
        Some("a socket")
    } else if kind.is_char_device() || kind.is_block_device() {
        Some("a device")
    } else {
        None
    }
}

/// The kind of an open file.
pub(super) fn kind_of_file(file: &File) -> Result<Kind, Problem> {
    let mut prefix = vec![0; PREFIX];
    let mut length = 0;
    while let Some(rest) = prefix.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, length as u64) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Problem::io("read it")(error)),
        }
    }
    prefix.truncate(length);
    kind_of(&prefix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::{PhysAddr, PhysRange};
    use crate::memory::{Recording, parse_image_map, read_batch};
    use proptest::prelude::*;

    fn open(bytes: &[u8]) -> Result<Box<dyn PhysicalMemory + Send>, MemoryError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        open_image(file.path(), &ImageMap::Identity)
    }

    fn first_bytes(memory: &mut dyn PhysicalMemory) -> Vec<u8> {
        let range = PhysRange::new(PhysAddr::new(0x1000), PhysAddr::new(0x1004));
        read_batch(memory, &[range]).remove(0).unwrap()
    }

    #[test]
    fn kinds_are_opened_by_content() {
        let mut raw = vec![0; 0x2000];
        raw[0x1000..0x1004].copy_from_slice(&[1, 2, 3, 4]);
        assert_eq!(first_bytes(&mut open(&raw).unwrap()), [1, 2, 3, 4]);
        let mut recording = Recording::new();
        recording.insert(PhysAddr::new(0x1000), &[5, 6, 7, 8]);
        assert_eq!(
            first_bytes(&mut open(&recording.to_bytes()).unwrap()),
            [5, 6, 7, 8]
        );
        let mut lime = b"EMiL\x01\0\0\0".to_vec();
        lime.extend(0x1000_u64.to_le_bytes());
        lime.extend(0x1003_u64.to_le_bytes());
        lime.extend([0, 0, 0, 0, 0, 0, 0, 0, 9, 8, 7, 6]);
        assert_eq!(first_bytes(&mut open(&lime).unwrap()), [9, 8, 7, 6]);
    }

    #[test]
    fn refusals_say_what_and_what_next() {
        let refusal = |bytes: &[u8]| {
            let report = open(bytes).unwrap_err().report();
            assert!(report.message.starts_with("cannot use `/"));
            (report.notes.concat(), report.hints.concat())
        };
        let (what, next) = refusal(b"KDUMP   \x06\0\0\0");
        assert_eq!(
            what,
            "it is a compressed kdump, not an image of physical memory"
        );
        assert!(next.contains("makedumpfile -d 0 -E"));
        assert_eq!(refusal(b"").0, "it is empty");
        assert!(refusal(b"\x1f\x8b\x08\0\0\0").1.contains("gzip -d"));
        let folder = tempfile::tempdir().unwrap();
        let of_folder = open_image(folder.path(), &ImageMap::Identity).unwrap_err();
        assert_eq!(of_folder.report().notes, ["it is a folder, not a file"]);
        let missing = open_image(&folder.path().join("x"), &ImageMap::Identity).unwrap_err();
        assert_eq!(missing.report().notes[0], "cannot open it");
    }

    #[test]
    fn a_map_is_for_raw_files_only() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), Recording::new().to_bytes()).unwrap();
        let map = parse_image_map("0-1000@0").unwrap();
        let report = open_image(file.path(), &map).unwrap_err().report();
        assert!(report.hints[0].contains("leave out --image-map"));
    }

    proptest! {
        #[test]
        fn any_file_is_opened_or_refused(
            magic in prop_oneof![Just(&b""[..]), Just(&b"\x7fELF\x02\x01\x01"[..]), Just(&b"EMiL\x01\0\0\0"[..]), Just(super::super::recording::MAGIC)],
            rest in proptest::collection::vec(any::<u8>(), 0..200)
        ) {
            if let Ok(mut memory) = open(&[magic, rest.as_slice()].concat()) {
                let range = PhysRange::new(PhysAddr::new(0), PhysAddr::new(0x20));
                let _ = read_batch(&mut memory, &[range]);
            }
        }
    }
}
