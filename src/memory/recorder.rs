//! Keeps every block that is read of a memory, for `--record FILE`.
//!
//! New blocks are appended to the file now and then, so that a killed session leaves what it read up to then; when the
//! session ends the file is written again as [`Recording::to_bytes`] has it. A block that was read twice is kept as it was
//! read last; a failure never replaces bytes.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;

use crate::addr::{PAGE_SIZE, PhysRange};

use super::error::{MemoryError, Problem};
use super::recording::{MOST_DESCRIBED, end_frame, head};
use super::{
    Completion, Counters, Limits, Notes, PhysicalMemory, ReadFailure, ReadRequest, Recording,
};

/// Blocks of this many bytes in all are appended to the file without being told.
const FLUSH_BYTES: usize = 1 << 20;

/// A memory that is recorded while it is read.
#[derive(Debug)]
pub struct Recorder<M> {
    inner: M,
    in_flight: FxHashMap<u64, PhysRange>,
    log: Arc<Mutex<Log>>,
}

/// The recording in progress, for whoever labels it and wants to know how it ended.
#[derive(Clone, Debug)]
pub struct RecordingHandle {
    log: Arc<Mutex<Log>>,
}

#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: File,
    /// Everything so far.
    all: Recording,
    /// What is not in the file yet.
    fresh: Recording,
    fresh_bytes: usize,
    /// The first thing that went wrong with the file, until somebody asks.
    problem: Option<Problem>,
    finished: bool,
}

impl<M: PhysicalMemory> Recorder<M> {
    /// Records what is read of `inner` into a new file at `path`, labelled with what `inner` says about itself. Errors: the
    /// file cannot be written.
    pub fn create(inner: M, path: &Path) -> Result<Self, MemoryError> {
        let mut log = Log::create(path).map_err(|problem| MemoryError::file(path, problem))?;
        for (key, value) in inner.notes() {
            log.label(&key, &value);
        }
        if let Some(ram) = inner.ram() {
            log.all.label_ram(&ram);
            log.fresh.label_ram(&ram);
        }
        Ok(Self {
            inner,
            in_flight: FxHashMap::default(),
            log: Arc::new(Mutex::new(log)),
        })
    }

    /// A handle to the recording, which outlives the memory.
    pub fn handle(&self) -> RecordingHandle {
        RecordingHandle {
            log: Arc::clone(&self.log),
        }
    }
}

impl RecordingHandle {
    /// Adds or replaces a label: the kernel's banner, the profile's build ID, where the recording comes from.
    pub fn label(&self, key: &str, value: &str) {
        lock(&self.log).label(key, value);
    }

    /// Appends to the file what was read since the last time. Errors: also those of earlier, unasked times.
    pub fn flush(&self) -> Result<(), MemoryError> {
        let mut log = lock(&self.log);
        log.flush();
        log.outcome()
    }

    /// Writes the whole recording in its final form. What is read later is not recorded any more.
    pub fn finish(&self) -> Result<(), MemoryError> {
        let mut log = lock(&self.log);
        log.finish();
        log.outcome()
    }

    /// Everything recorded so far.
    pub fn recording(&self) -> Recording {
        lock(&self.log).all.clone()
    }
}

/// The log, even after a panic elsewhere: it is consistent between any two calls.
fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Log {
    fn create(path: &Path) -> Result<Self, Problem> {
        let mut file = File::create(path).map_err(Problem::io("create it"))?;
        file.write_all(&head())
            .map_err(Problem::io("write to it"))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            all: Recording::new(),
            fresh: Recording::new(),
            fresh_bytes: 0,
            problem: None,
            finished: false,
        })
    }

    fn label(&mut self, key: &str, value: &str) {
        self.all.label(key, value);
        self.fresh.label(key, value);
    }

    fn keep(&mut self, range: PhysRange, outcome: Result<&[u8], ReadFailure>) {
        if self.finished {
            return;
        }
        if self.all.blocks().pages() as u64 >= MOST_DESCRIBED / PAGE_SIZE {
            self.note(Err(Problem::RecordingFull));
            return;
        }
        for recording in [&mut self.all, &mut self.fresh] {
            match outcome {
                Ok(bytes) => recording.insert(range.start, bytes),
                Err(failure) => recording.insert_failure(range, failure),
            }
        }
        self.fresh_bytes += outcome.map_or(0, <[u8]>::len);
        if self.fresh_bytes >= FLUSH_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.finished {
            return;
        }
        let frames = std::mem::take(&mut self.fresh).quick_frames();
        self.fresh_bytes = 0;
        let written = self.file.write_all(&frames);
        self.note(written.map_err(Problem::io("write to it")));
    }

    /// A regular file is replaced in one step; anything else (a pipe, `/dev/null`) gets its end appended.
    fn finish(&mut self) {
        if self.finished {
            return;
        }
        let regular = self.file.metadata().is_ok_and(|about| about.is_file());
        let written = if regular {
            replace(&self.path, &self.all.to_bytes())
        } else {
            self.flush();
            self.file.write_all(&end_frame())
        };
        self.note(written.map_err(Problem::io("write to it")));
        self.finished = true;
    }

    fn note(&mut self, written: Result<(), Problem>) {
        if let Err(problem) = written {
            self.problem.get_or_insert(problem);
        }
    }

    fn outcome(&mut self) -> Result<(), MemoryError> {
        match self.problem.take() {
            Some(problem) => Err(MemoryError::file(&self.path, problem)),
            None => Ok(()),
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Writes beside `path` and renames, so that there is a whole recording at every moment.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    std::fs::write(&part, bytes)?;
    std::fs::rename(&part, path)
}

impl<M: PhysicalMemory> PhysicalMemory for Recorder<M> {
    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    fn submit(&mut self, read: ReadRequest) {
        self.in_flight.insert(read.id, read.range());
        self.inner.submit(read);
    }

    fn complete(&mut self, completion: &mut Completion<'_>) {
        let Self {
            inner,
            in_flight,
            log,
        } = self;
        inner.complete(&mut |id, outcome| {
            if let Some(range) = in_flight.remove(&id) {
                lock(log).keep(range, outcome);
            }
            completion(id, outcome);
        });
    }

    fn ram(&self) -> Option<Vec<PhysRange>> {
        self.inner.ram()
    }

    fn notes(&self) -> Notes {
        self.inner.notes()
    }

    fn counters(&self) -> Counters {
        self.inner.counters()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::PhysAddr;
    use crate::memory::{Immediate, SparseMemory, open_recording, read_batch};

    fn range(start: u64, end: u64) -> PhysRange {
        PhysRange::new(PhysAddr::new(start), PhysAddr::new(end))
    }

    fn memory() -> Immediate<SparseMemory> {
        let mut sparse = SparseMemory::new();
        sparse.insert(PhysAddr::new(0x1000), &[5; 0x1000]);
        sparse.set_ram(Some(vec![range(0x1000, 0x2000)]));
        Immediate::new(sparse)
    }

    #[test]
    fn what_was_read_is_replayed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r");
        let mut recorder = Recorder::create(memory(), &path).unwrap();
        let handle = recorder.handle();
        let ranges = [range(0x1100, 0x1500), range(0x3000, 0x3004)];
        let live = read_batch(&mut recorder, &ranges);
        handle.label("banner", "Linux");
        drop(recorder);
        handle.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), handle.recording().to_bytes());
        let mut replay = open_recording(&path).unwrap();
        assert_eq!(read_batch(&mut replay, &ranges), live);
        assert_eq!(
            read_batch(&mut replay, &[range(0x1000, 0x1001)]),
            [Err(ReadFailure::NotRecorded)]
        );
        assert_eq!(replay.ram(), Some(vec![range(0x1000, 0x2000)]));
        assert_eq!(replay.notes()["banner"], "Linux");
    }

    #[test]
    fn what_was_flushed_survives_a_killed_session() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r");
        let mut recorder = Recorder::create(memory(), &path).unwrap();
        read_batch(&mut recorder, &[range(0x1000, 0x1008)]);
        recorder.handle().flush().unwrap();
        let killed = std::fs::read(&path).unwrap();
        let recording = Recording::from_bytes(&killed).unwrap();
        assert!(!recording.is_complete());
        assert_eq!(recording.blocks().pages(), 1);
        drop(recorder);
        let finished = Recording::from_bytes(&std::fs::read(&path).unwrap()).unwrap();
        assert!(finished.is_complete());
    }

    #[test]
    fn a_file_that_cannot_be_written_is_reported() {
        let nowhere = Path::new("/nowhere/r");
        let refused = Recorder::create(memory(), nowhere).unwrap_err().report();
        assert_eq!(refused.message, "cannot use `/nowhere/r`");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gone").join("r");
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        let recorder = Recorder::create(memory(), &path).unwrap();
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
        assert!(recorder.handle().finish().is_err());
        assert!(recorder.handle().finish().is_ok());
    }

    #[test]
    fn a_device_is_not_replaced_by_a_file() {
        let mut recorder = Recorder::create(memory(), Path::new("/dev/null")).unwrap();
        read_batch(&mut recorder, &[range(0x1000, 0x1008)]);
        recorder.handle().finish().unwrap();
        assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
    }
}
