//! Physical memory as one small trait: reads in, an outcome per read out; and the things that are or wrap one.
//!
//! What every implementation promises: a read that was submitted is completed exactly once, with as many bytes as were asked
//! for or with the reason why there are none; reads may complete in any order; no bytes are ever invented. What the trait
//! refuses to know: virtual addresses, kernels, queries. There is no write in it.

mod batch;
mod cache;
mod elf_core;
mod error;
mod guard;
mod immediate;
mod kind;
mod lime;
mod meter;
mod open;
mod ranges;
mod raw;
mod recorder;
mod recording;
mod replay;
mod segments;
mod sparse;
mod stream;
mod writable;

pub use batch::read_batch;
pub use cache::Cache;
pub use error::{MemoryError, Problem};
pub use guard::Guard;
pub use immediate::{Immediate, Source};
pub use meter::Meter;
pub use open::open_image;
pub use ranges::{ImageMap, MappedRange, RangeError, parse_image_map, parse_ranges};
pub use recorder::{Recorder, RecordingHandle};
pub use recording::{Recording, is_recording};
pub use replay::{Replay, open_recording};
pub use segments::{Segment, SegmentedFile};
pub use sparse::{Run, SparseMemory};
pub use stream::{Order, Piece, Stream, Streamed, first_bytes};
pub use writable::WritableImage;

use std::collections::BTreeMap;

use crate::addr::{PhysAddr, PhysRange};

/// One read of physical memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRequest {
    /// Chosen by the caller, handed back with the outcome; not reused while the read is in flight.
    pub id: u64,
    /// First byte.
    pub address: PhysAddr,
    /// Bytes, at least 1 and at most [`Limits::max_read`]; the read does not cross a multiple of 4 KiB.
    pub length: u32,
}

impl ReadRequest {
    /// The addresses that the read covers.
    pub fn range(&self) -> PhysRange {
        PhysRange::new(
            self.address,
            self.address.wrapping_offset(i64::from(self.length)),
        )
    }
}

/// Why a read gave no bytes. Failures differ for a person who has to do something about them, so they are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ReadFailure {
    /// Outside the addresses that may be read (`--ram`, or the target's own map of its RAM); nothing was sent.
    #[error("not in the RAM map")]
    NotInRamMap,
    /// The image has no bytes for this address.
    #[error("not in the image")]
    NotInImage,
    /// The recording has no bytes for this address.
    #[error("not in the recording")]
    NotRecorded,
    /// The target's root complex answered Unsupported Request: no memory there, or the IOMMU keeps the adapter out.
    #[error("unsupported request")]
    UnsupportedRequest,
    /// The target's root complex answered Completer Abort.
    #[error("completer abort")]
    CompleterAbort,
    /// The completion was marked poisoned (EP): the data are known to be wrong.
    #[error("poisoned data")]
    Poisoned,
    /// No complete answer came, retries included.
    #[error("no answer in time")]
    TimedOut,
    /// The datagram could not be sent or received at all (the text of the system's error is in the transport's log).
    #[error("transport error")]
    Transport,
    /// Not asked for any more: the query was cancelled or its budget is used up.
    #[error("not issued")]
    NotIssued,
}

/// What a memory can take at once. Reads beyond it are queued by the memory, so these are figures to plan with, except
/// `max_read`, which no read may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest single read in bytes (PCIe: the maximum read request size), a power of two from 64 to 4096.
    pub max_read: u32,
    /// Bytes in flight that the transport carries without loss.
    pub window_bytes: u32,
    /// Reads in flight (PCIe: tags).
    pub window_reads: u32,
}

impl Default for Limits {
    /// 512-byte reads, 16 KiB in flight: what the NetTLP adapter's buffers hold, used for images too so that a query costs
    /// the same number of reads everywhere.
    fn default() -> Self {
        Self {
            max_read: 512,
            window_bytes: 16 * 1024,
            window_reads: 256,
        }
    }
}

/// Receives the outcome of one read: the id of the request, then its bytes or the reason why there are none.
pub type Completion<'a> = dyn FnMut(u64, Result<&[u8], ReadFailure>) + 'a;

/// Something whose physical memory can be read.
pub trait PhysicalMemory: std::fmt::Debug {
    /// What it can take at once.
    fn limits(&self) -> Limits;

    /// Takes a read. Does not block; the outcome comes out of [`PhysicalMemory::complete`], never out of this call.
    fn submit(&mut self, read: ReadRequest);

    /// Hands over the outcome of every submitted read that has one, waiting until there is at least one. Returns at once,
    /// having handed over nothing, if no read is in flight.
    fn complete(&mut self, completion: &mut Completion<'_>);

    /// Whether [`PhysicalMemory::read_now`] answers: whether reading one thing after the other costs no more than asking for many
    /// together, as it does for a file on this machine.
    fn answers_at_once(&self) -> bool {
        false
    }

    /// Fills `into` with the bytes from `address` on, or says why it cannot; then the content of `into` means nothing. Not to be
    /// called where [`PhysicalMemory::answers_at_once`] is false.
    fn read_now(&mut self, address: PhysAddr, into: &mut [u8]) -> Result<(), ReadFailure> {
        let _ = (address, into);
        Err(ReadFailure::NotIssued)
    }

    /// Addresses known to be RAM, sorted and disjoint, where the source knows (an image's segments, a RAM map). `None`: not known.
    fn ram(&self) -> Option<Vec<PhysRange>> {
        None
    }

    /// What the source says about itself, for example a recording's labels or an ELF core's VMCOREINFO text (key `vmcoreinfo`).
    fn notes(&self) -> Notes {
        Notes::new()
    }

    /// Counters for `--stats`; wrappers add theirs to those of what they wrap.
    fn counters(&self) -> Counters {
        Counters::default()
    }
}

/// What it cost. All since the memory was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Reads completed, failed ones included.
    pub reads: u64,
    /// Bytes delivered.
    pub bytes: u64,
    /// Reads that failed.
    pub failed: u64,
    /// Requests sent again because an answer did not come in time (dma only).
    pub retries: u64,
    /// Datagrams that were received and not used: duplicates, stale or malformed ones (dma only).
    pub discarded: u64,
}

impl Counters {
    /// Counts one completed read by what came of it: bytes delivered, or a failure.
    pub(crate) fn count(&mut self, outcome: &Result<usize, ReadFailure>) {
        self.reads += 1;
        match outcome {
            Ok(bytes) => self.bytes += *bytes as u64,
            Err(_) => self.failed += 1,
        }
    }
}

/// Facts about a memory as text by key, in the order of the keys.
pub type Notes = BTreeMap<String, String>;

impl<M: PhysicalMemory + ?Sized> PhysicalMemory for Box<M> {
    fn limits(&self) -> Limits {
        (**self).limits()
    }

    fn submit(&mut self, read: ReadRequest) {
        (**self).submit(read);
    }

    fn complete(&mut self, completion: &mut Completion<'_>) {
        (**self).complete(completion);
    }

    fn answers_at_once(&self) -> bool {
        (**self).answers_at_once()
    }

    fn read_now(&mut self, address: PhysAddr, into: &mut [u8]) -> Result<(), ReadFailure> {
        (**self).read_now(address, into)
    }

    fn ram(&self) -> Option<Vec<PhysRange>> {
        (**self).ram()
    }

    fn notes(&self) -> Notes {
        (**self).notes()
    }

    fn counters(&self) -> Counters {
        (**self).counters()
    }
}
