//! The built-in demo: a recording of a real Debian kernel in a guest that looks like a small web server, with that kernel's profile.
//!
//! Both are made by `tests/laboratory/lab record-demo`; the recording holds the blocks that the scripts in `examples/` touch.

use std::borrow::Cow;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use memmap2::{Advice, MmapMut};
use zstd::zstd_safe;

use crate::memory::{PhysicalMemory, Replay};
use crate::report::Report;

pub(super) static RECORDING: &[u8] = include_bytes!("demo/recording");
static PROFILE: &[u8] = include_bytes!("demo/profile.yaml.zst");

/// Opens the recording.
pub fn memory() -> Result<Box<dyn PhysicalMemory + Send>, Report> {
    match Replay::from_bytes(RECORDING) {
        Ok(replay) => Ok(Box::new(replay)),
        Err(problem) => {
            Err(Report::error("the built-in recording is damaged").with_note(problem.to_string()))
        }
    }
}

/// The layout profile of the recorded kernel, as YAML; `None` if it is damaged. It is unpacked once and kept as long as the program runs.
pub fn profile() -> Option<Cow<'static, [u8]>> {
    static UNPACKED: OnceLock<Option<MmapMut>> = OnceLock::new();
    let text = UNPACKED.get_or_init(|| unpack(PROFILE)).as_ref()?;
    Some(Cow::Borrowed(text))
}

/// The longest profile that is taken, in bytes.
const MAX_PROFILE: usize = 256 << 20;

/// Unpacks zstd frames that stand one after the other (RFC 8878, section 3.1), each of which says how long its content is: on all
/// processors, as no frame needs another.
fn unpack(mut packed: &'static [u8]) -> Option<MmapMut> {
    let mut frames = Vec::new();
    let mut length: usize = 0;
    while !packed.is_empty() {
        let end = zstd_safe::find_frame_compressed_size(packed).ok()?;
        let (frame, rest) = packed.split_at_checked(end)?;
        let content = zstd_safe::get_frame_content_size(frame).ok()??;
        let content = usize::try_from(content).ok()?;
        length = length
            .checked_add(content)
            .filter(|length| *length <= MAX_PROFILE)?;
        frames.push((frame, content));
        packed = rest;
    }
    let mut text = MmapMut::map_anon(length).ok()?;
    // Only time depends on whether the system has large pages to give.
    let _ = text.advise(Advice::HugePage);
    let mut jobs = Vec::with_capacity(frames.len());
    let mut rest = &mut *text;
    for (frame, content) in frames {
        let (place, after) = rest.split_at_mut_checked(content)?;
        jobs.push((frame, place));
        rest = after;
    }
    let jobs = Mutex::new(jobs);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let is_whole = thread::scope(|scope| {
        let helpers: Vec<_> = (1..workers.min(MAX_WORKERS))
            .map(|_| scope.spawn(|| unpack_all(&jobs)))
            .collect();
        // Whatever happens to the helpers, what they have taken must have come out right.
        let mine = unpack_all(&jobs);
        helpers
            .into_iter()
            .all(|helper| helper.join().unwrap_or(false))
            && mine
    });
    is_whole.then_some(text)
}

/// More threads than this cost more to start than they save.
const MAX_WORKERS: usize = 8;

/// A frame and the place for its content.
type Job<'a> = (&'static [u8], &'a mut [u8]);

/// Unpacks frames until none is left; whether all were whole.
fn unpack_all(jobs: &Mutex<Vec<Job<'_>>>) -> bool {
    let Ok(mut unpacker) = zstd::bulk::Decompressor::new() else {
        return false;
    };
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Some((frame, place)) = next else {
            return true;
        };
        let expected = place.len();
        if unpacker.decompress_to_buffer(frame, place).ok() != Some(expected) {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::LayoutProfile;

    #[test]
    fn recording_and_profile_can_be_opened() {
        assert!(memory().is_ok());
        let profile = LayoutProfile::from_bytes(profile().unwrap()).unwrap();
        assert!(profile.structure("task_struct").unwrap().is_some());
    }

    #[test]
    fn frames_unpack_to_what_one_stream_of_them_does() {
        let whole = zstd::decode_all(PROFILE).unwrap();
        assert!(*unpack(PROFILE).unwrap() == *whole);
    }

    #[test]
    fn damaged_frames_are_refused() {
        assert!(unpack(b"").unwrap().is_empty());
        assert!(unpack(b"no frame at all").is_none());
        let cut = PROFILE.get(..PROFILE.len() - 1).unwrap();
        assert!(unpack(cut).is_none());
        // A frame that announces 2^60 bytes, in a raw block of one.
        let bomb = b"\x28\xb5\x2f\xfd\xe0\0\0\0\0\0\0\0\x10\x09\0\0A";
        assert!(unpack(bomb).is_none());
    }
}
