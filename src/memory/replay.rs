//! A recording, answering the reads that it holds.

use std::path::Path;

use super::error::{MemoryError, Problem};
use super::{Immediate, Recording, SparseMemory};

/// The memory of a recording: any part of what was read, failures included; the rest was [`super::ReadFailure::NotRecorded`].
pub type Replay = Immediate<SparseMemory>;

impl Replay {
    /// The memory that a recording's bytes hold, for example of a recording that is part of the program.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Problem> {
        Ok(Self::new(Recording::from_bytes(bytes)?.into_memory()))
    }
}

/// Opens what `--record` wrote. Errors: it cannot be read, is no recording, or is damaged.
pub fn open_recording(path: &Path) -> Result<Replay, MemoryError> {
    let bytes = std::fs::read(path)
        .map_err(Problem::io("read it"))
        .map_err(|problem| MemoryError::file(path, problem))?;
    Replay::from_bytes(&bytes).map_err(|problem| MemoryError::file(path, problem))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::{PhysAddr, PhysRange};
    use crate::memory::{PhysicalMemory, ReadFailure, read_batch};

    #[test]
    fn a_replay_serves_parts_of_blocks() {
        let mut recording = Recording::new();
        recording.insert(PhysAddr::new(0x1000), &[1, 2, 3, 4]);
        recording.label("from", "a test");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.recording");
        std::fs::write(&path, recording.to_bytes()).unwrap();
        let mut replay = open_recording(&path).unwrap();
        let range = |start, end| PhysRange::new(PhysAddr::new(start), PhysAddr::new(end));
        assert_eq!(
            read_batch(&mut replay, &[range(0x1001, 0x1003), range(0x1003, 0x1005)]),
            [Ok(vec![2, 3]), Err(ReadFailure::NotRecorded)]
        );
        assert_eq!(replay.notes()["from"], "a test");
        assert_eq!(replay.counters().failed, 1);
    }

    #[test]
    fn another_file_is_refused_with_a_way_out() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [0; 100]).unwrap();
        let report = open_recording(file.path()).unwrap_err().report();
        assert!(report.notes[0].contains("not a recording"));
        assert!(report.hints[0].contains("--image"));
        assert!(open_recording(Path::new("/nowhere/at/all")).is_err());
    }
}
