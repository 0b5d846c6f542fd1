//! What a query may cost, and what it did cost.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// What one query may cost. Where a limit is reached, reads fail with [`crate::memory::ReadFailure::NotIssued`] and the query ends by itself.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Reads sent to the memory.
    pub max_reads: u64,
    /// Wall time.
    pub max_time: Duration,
    /// Set from outside (Ctrl-C) to stop.
    pub cancel: Arc<AtomicBool>,
}

impl Default for Budget {
    /// A million reads, ten minutes.
    fn default() -> Self {
        Self {
            max_reads: 1_000_000,
            max_time: Duration::from_secs(600),
            cancel: Arc::new(AtomicBool::new(false)),
        }
    }
}

/// What one query cost, counted without a clock except for `elapsed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Reads sent to the memory.
    pub reads: u64,
    /// Those of them that a predictor asked for before anything else did.
    pub guessed: u64,
    /// The longest chain of reads each of which needed the bytes of the one before.
    pub rounds: u32,
    /// Bytes asked for by those reads.
    pub bytes: u64,
    /// Reads that failed.
    pub failed: u64,
    /// Those of them that the target did not answer at all: what they would have given is missing from the result.
    pub unanswered: u64,
    /// Requests for bytes that were here already.
    pub cache_hits: u64,
    /// Wall time from the start of the query to its last row.
    pub elapsed: Duration,
    /// Why the query was ended before its end, if it was.
    pub stopped: Option<Stopped>,
}

/// Why a query was ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// From outside (Ctrl-C).
    Cancelled,
    /// [`Budget::max_reads`] were sent.
    Reads,
    /// [`Budget::max_time`] passed.
    Time,
}

impl fmt::Display for Stopped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Cancelled => "cancelled",
            Self::Reads => "the limit of reads is used up (`set max_reads N`)",
            Self::Time => "the time limit is used up (`set timeout DURATION`)",
        })
    }
}

/// The executor found every future waiting for something that nobody will do: a defect of this program, not of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the executor stalled with {tasks} futures waiting and no read in flight")]
pub struct Stalled {
    /// Futures that never finished.
    pub tasks: usize,
}
