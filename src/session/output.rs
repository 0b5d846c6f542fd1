//! Where a session's answers go.

use std::time::Duration;

use crate::report::Report;
use crate::row::Rows;

use super::Settings;

/// Takes what statements give. Rows and text are answers; reports and statistics are about them.
pub trait Output {
    /// The rows of a query.
    fn rows(&mut self, rows: &Rows, settings: &Settings);

    /// An answer that is not rows: descriptions, hexdumps, plans.
    fn text(&mut self, text: &str);

    /// Something to tell a person.
    fn report(&mut self, report: &Report);

    /// What a query cost.
    fn statistics(&mut self, statistics: &Statistics);

    /// Whether nobody can see what is written any more.
    fn is_closed(&self) -> bool {
        false
    }
}

/// What a query cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Rows given.
    pub rows: u64,
    /// Reads sent to the memory.
    pub reads: u64,
    /// Longest chain of reads each of which needed the bytes of the one before.
    pub rounds: u64,
    /// Bytes asked for.
    pub bytes: u64,
    /// Requests sent again because no answer came.
    pub retries: u64,
    /// Requests for bytes that had been read already.
    pub cache_hits: u64,
    /// Reads that failed.
    pub failed: u64,
    /// Wall time.
    pub elapsed: Duration,
}

/// How a text went, as an exit status; the worst of its statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Everything was done.
    Complete = 0,
    /// Rows were given, and a walk is incomplete. (Exit status 3; less bad than a statement that failed.)
    Incomplete = 3,
    /// A statement failed or an `assert` did not hold.
    Failed = 1,
    /// The text does not parse or check; nothing was read.
    Wrong = 2,
    /// The target does not answer or is not the profile's kernel.
    NoTarget = 4,
}

impl Status {
    /// The worse of two.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        let badness = |status| match status {
            Self::Complete => 0,
            Self::Incomplete => 1,
            Self::Failed => 2,
            Self::Wrong => 3,
            Self::NoTarget => 4,
        };
        if badness(other) > badness(self) {
            other
        } else {
            self
        }
    }

    /// The program's exit status.
    pub fn code(self) -> u8 {
        self as u8
    }
}
