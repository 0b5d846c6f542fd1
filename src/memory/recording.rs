//! The recording file: every block that was read, with its bytes or the kind of its failure, and labels in text.
//!
//! ```text
//! file    := MAGIC  version: u32  frame*
//! frame   := kind: u8  stored: u32  plain: u32  zstd frame of `stored` bytes, with checksum, that unpacks to `plain` bytes
//! kind    := 'N' labels | 'B' blocks | 'E' the end
//! labels  := (length: u32  key  length: u32  value)*          UTF-8
//! blocks  := (address: u64  length: u64  outcome: u8  bytes)* bytes only where outcome is 0
//! ```
//!
//! All numbers are little-endian. A writer that was killed leaves a last frame that is cut off: everything before it is read
//! and [`Recording::is_complete`] says that the end is missing. Of labels and blocks that come twice, the later ones count.
//! [`Recording::to_bytes`] writes the same set of blocks as the same bytes, sorted and merged.

use crate::addr::{PhysAddr, PhysRange};

use super::error::Problem;
use super::ranges::{parse_ranges, print_ranges};
use super::{Notes, ReadFailure, Run, SparseMemory};

/// What every recording begins with; the zero byte keeps it from being taken for text.
pub(super) const MAGIC: &[u8] = b"NQ-RECORDING\0\r\n\x1a";
/// Our version of the format.
const VERSION: u32 = 1;
/// Bytes of a frame before its zstd frame.
const FRAME_HEADER: usize = 9;
/// Longest frame that is believed, in plain bytes.
const LONGEST_FRAME: usize = 8 << 20;
/// Plain bytes after which a frame is ended: few, so that what is unpacked is still near when it is taken apart.
const FULL_FRAME: usize = 512 << 10;
/// Longest run in a frame, in bytes.
const LONGEST_RUN: usize = 1 << 20;
/// Addresses that one recording may describe, bytes or failures, before it is taken for a decompression bomb.
pub(super) const MOST_DESCRIBED: u64 = 1 << 30;
/// zstd level of [`Recording::to_bytes`]: small enough for a repository, quick enough for the end of a session.
const CANONICAL_LEVEL: i32 = 12;
/// zstd level of frames that are written while the session goes on.
const QUICK_LEVEL: i32 = 1;
/// The label that holds the RAM map.
const RAM: &str = "ram";

/// Failures by their number in the file. Numbers are never reused.
static FAILURES: [(u8, ReadFailure); 9] = [
    (1, ReadFailure::NotInRamMap),
    (2, ReadFailure::NotInImage),
    (3, ReadFailure::NotRecorded),
    (4, ReadFailure::UnsupportedRequest),
    (5, ReadFailure::CompleterAbort),
    (6, ReadFailure::Poisoned),
    (7, ReadFailure::TimedOut),
    (8, ReadFailure::Transport),
    (9, ReadFailure::NotIssued),
];

/// Whether a file that begins so is a recording.
pub fn is_recording(prefix: &[u8]) -> bool {
    prefix.starts_with(MAGIC)
}

/// Blocks and labels, on their way into or out of a file.
#[derive(Clone, Debug)]
pub struct Recording {
    blocks: SparseMemory,
    labels: Notes,
    complete: bool,
}

impl Default for Recording {
    fn default() -> Self {
        Self::new()
    }
}

impl Recording {
    /// A recording of nothing.
    pub fn new() -> Self {
        Self {
            blocks: SparseMemory::failing_with(ReadFailure::NotRecorded),
            labels: Notes::new(),
            complete: true,
        }
    }

    /// Keeps bytes that were read, over whatever was kept there.
    pub fn insert(&mut self, address: PhysAddr, bytes: &[u8]) {
        self.blocks.insert(address, bytes);
    }

    /// Keeps that reading `range` failed, except where bytes are known.
    pub fn insert_failure(&mut self, range: PhysRange, failure: ReadFailure) {
        self.blocks.insert_failure(range, failure);
    }

    /// Adds or replaces a label, for example the kernel's banner.
    pub fn label(&mut self, key: &str, value: &str) {
        self.labels.insert(key.to_owned(), value.to_owned());
    }

    /// Labels the recording with the RAM map of what is recorded, so that the replay knows it too.
    pub fn label_ram(&mut self, ram: &[PhysRange]) {
        self.label(RAM, &print_ranges(ram));
    }

    /// The labels.
    pub fn labels(&self) -> &Notes {
        &self.labels
    }

    /// The blocks.
    pub fn blocks(&self) -> &SparseMemory {
        &self.blocks
    }

    /// Whether the file had its end; `false` after a writer that was killed.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The memory that was recorded.
    pub fn into_memory(self) -> SparseMemory {
        let mut memory = self.blocks;
        let ram = self.labels.get(RAM).and_then(|ram| parse_ranges(ram).ok());
        memory.set_ram(ram);
        memory.set_notes(self.labels);
        memory
    }

    /// Reads a file. Errors: not a recording, of another version, or damaged; a missing end is none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Problem> {
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(Problem::NotARecording)?;
        let mut recording = Self::new();
        recording.complete = false;
        let Some(version) = take_u32(&mut rest) else {
            return Ok(recording);
        };
        if version != VERSION {
            return Err(Problem::RecordingVersion {
                found: version,
                known: VERSION,
            });
        }
        let mut described = 0;
        let mut plain = Vec::new();
        let mut unpacker = zstd::bulk::Decompressor::new().ok();
        while let Some(frame) = Frame::take(&mut rest) {
            let offset = (bytes.len() - rest.len() - frame.stored.len() - FRAME_HEADER) as u64;
            let damaged = |what| Problem::RecordingDamaged { offset, what };
            frame
                .unpack(unpacker.as_mut(), &mut plain)
                .map_err(damaged)?;
            recording.complete = false;
            match frame.kind {
                b'N' => recording.read_labels(&plain).map_err(damaged)?,
                b'B' => recording
                    .read_blocks(&plain, &mut described)
                    .map_err(damaged)?,
                b'E' => recording.complete = true,
                _ => return Err(damaged("its kind is unknown")),
            }
        }
        recording.complete &= rest.is_empty();
        Ok(recording)
    }

    /// The file: the same bytes for the same blocks and labels, in whatever order they were recorded.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut file = head();
        file.extend(self.frames(CANONICAL_LEVEL));
        file.extend(end_frame());
        file
    }

    /// The labels and blocks as frames that can follow [`head`] or other frames.
    pub(super) fn quick_frames(&self) -> Vec<u8> {
        self.frames(QUICK_LEVEL)
    }

    fn frames(&self, level: i32) -> Vec<u8> {
        let mut frames = Vec::new();
        let mut plain = Vec::new();
        for (key, value) in &self.labels {
            for text in [key, value] {
                let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
                plain.extend_from_slice(&length.to_le_bytes());
                plain.extend_from_slice(text.as_bytes());
            }
        }
        if !plain.is_empty() {
            frames.extend(frame(b'N', &plain, level));
            plain.clear();
        }
        for (start, run) in self.blocks.runs(LONGEST_RUN) {
            if plain.len() >= FULL_FRAME {
                frames.extend(frame(b'B', &plain, level));
                plain.clear();
            }
            write_run(&mut plain, start, &run);
        }
        if !plain.is_empty() {
            frames.extend(frame(b'B', &plain, level));
        }
        frames
    }

    fn read_labels(&mut self, mut plain: &[u8]) -> Result<(), &'static str> {
        while !plain.is_empty() {
            let key = take_text(&mut plain)?;
            let value = take_text(&mut plain)?;
            self.labels.insert(key, value);
        }
        Ok(())
    }

    fn read_blocks(&mut self, mut plain: &[u8], described: &mut u64) -> Result<(), &'static str> {
        while !plain.is_empty() {
            let (Some(address), Some(length), Some(&[outcome])) = (
                take_u64(&mut plain),
                take_u64(&mut plain),
                take(&mut plain, 1),
            ) else {
                return Err("a block is cut off");
            };
            *described = described.saturating_add(length);
            if *described > MOST_DESCRIBED {
                return Err("it describes more than 1 GiB");
            }
            let range = PhysRange::of_length(PhysAddr::new(address), length)
                .ok_or("a block passes the end of the address space")?;
            if outcome == 0 {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                let bytes = take(&mut plain, length).ok_or("a block is cut off")?;
                self.insert(range.start, bytes);
            } else {
                let failure = FAILURES.iter().find(|(number, _)| *number == outcome);
                let (_, failure) = failure.ok_or("the kind of a failure is unknown")?;
                self.insert_failure(range, *failure);
            }
        }
        Ok(())
    }
}

fn write_run(plain: &mut Vec<u8>, start: PhysAddr, run: &Run) {
    let mut header = |length: u64, outcome: u8| {
        plain.extend_from_slice(&start.get().to_le_bytes());
        plain.extend_from_slice(&length.to_le_bytes());
        plain.push(outcome);
    };
    match run {
        Run::Bytes(bytes) => {
            header(bytes.len() as u64, 0);
            plain.extend_from_slice(bytes);
        }
        Run::Failed(length, failure) => {
            let number = FAILURES.iter().find(|(_, known)| known == failure);
            header(*length, number.map_or(u8::MAX, |(number, _)| *number));
        }
    }
}

/// What a recording begins with.
pub(super) fn head() -> Vec<u8> {
    [MAGIC, &VERSION.to_le_bytes()].concat()
}

/// What a recording ends with.
pub(super) fn end_frame() -> Vec<u8> {
    frame(b'E', &[], QUICK_LEVEL)
}

/// One frame around `plain`, which is at most [`LONGEST_FRAME`] long.
fn frame(kind: u8, plain: &[u8], level: i32) -> Vec<u8> {
    let packed = compress(plain, level).unwrap_or_default();
    let mut frame = vec![kind];
    for length in [packed.len(), plain.len()] {
        frame.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    }
    frame.extend(packed);
    frame
}

/// A zstd frame with its checksum. Fails only where zstd cannot get memory.
fn compress(plain: &[u8], level: i32) -> std::io::Result<Vec<u8>> {
    let mut compressor = zstd::bulk::Compressor::new(level)?;
    compressor.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true))?;
    compressor.compress(plain)
}

/// A frame as it is in the file.
struct Frame<'a> {
    kind: u8,
    stored: &'a [u8],
    plain: usize,
}

impl<'a> Frame<'a> {
    /// The next frame, or `None` (with `rest` as it was) where the file ends before the frame does.
    fn take(rest: &mut &'a [u8]) -> Option<Self> {
        let mut ahead = *rest;
        let &[kind] = take(&mut ahead, 1)? else {
            return None;
        };
        let stored = take_u32(&mut ahead)? as usize;
        let plain = take_u32(&mut ahead)? as usize;
        let stored = take(&mut ahead, stored)?;
        *rest = ahead;
        Some(Self {
            kind,
            stored,
            plain,
        })
    }

    /// Unpacks it into `plain`, in place of what was there.
    fn unpack(
        &self,
        unpacker: Option<&mut zstd::bulk::Decompressor<'_>>,
        plain: &mut Vec<u8>,
    ) -> Result<(), &'static str> {
        if self.plain > LONGEST_FRAME {
            return Err("it is longer than any frame is");
        }
        plain.resize(self.plain, 0);
        let length = unpacker
            .ok_or("there is no memory to unpack it")?
            .decompress_to_buffer(self.stored, plain.as_mut_slice())
            .map_err(|_| "it does not unpack, or its checksum is wrong")?;
        if length != self.plain {
            return Err("it unpacks to another length than it says");
        }
        Ok(())
    }
}

/// Cuts the first `length` bytes off `rest`.
fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn take_text(rest: &mut &[u8]) -> Result<String, &'static str> {
    let length = take_u32(rest).ok_or("a label is cut off")?;
    let bytes = take(rest, length as usize).ok_or("a label is cut off")?;
    String::from_utf8(bytes.to_vec()).map_err(|_| "a label is not UTF-8")
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    take(rest, 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn take_u64(rest: &mut &[u8]) -> Option<u64> {
    take(rest, 8)?.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
#[path = "tests_recording.rs"]
mod tests;
