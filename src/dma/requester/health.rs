//! Whether anyone is there: what was heard last, what the system refused.

use std::io;
use std::time::Duration;

use crate::dma::Moment;
use crate::wire::Tag;

/// Refusals, and the time over which they must go on, before reads are given up.
const REFUSALS: u32 = 3;
pub(super) const REFUSED_FOR: Duration = Duration::from_millis(50);

/// An adapter that answered within this time is alive.
const ALIVE_FOR: Duration = Duration::from_secs(1);

/// What is known of the adapter's presence.
#[derive(Debug, Default)]
pub(in crate::dma) struct Health {
    last_answer: Option<Moment>,
    /// When the system first refused since the last answer, and how often since.
    refused_since: Option<Moment>,
    refusals: u32,
    /// Whether a read waited its full time while nothing at all was answered.
    is_silent: bool,
    last_error: Option<(Tag, io::ErrorKind, String)>,
}

impl Health {
    /// A completion came that could be used.
    pub(super) fn answered(&mut self, now: Moment) {
        self.last_answer = Some(now);
        self.refused_since = None;
        self.refusals = 0;
        self.is_silent = false;
    }

    /// The system refused to send or receive.
    pub(super) fn refused(&mut self, now: Moment, tag: Tag, error: &io::Error) {
        self.refused_since.get_or_insert(now);
        self.refusals = self.refusals.saturating_add(1);
        self.last_error = Some((tag, error.kind(), error.to_string()));
    }

    /// When the system first refused since the last answer.
    pub(super) fn refused_since(&self) -> Option<Moment> {
        self.refused_since
    }

    /// Whether the system has refused often enough, and for long enough, to give up.
    pub(super) fn is_refused(&self, now: Moment) -> bool {
        self.refusals >= REFUSALS
            && self
                .refused_since
                .is_some_and(|since| now.since(since) >= REFUSED_FOR)
    }

    /// Starts counting refusals anew, for the reads to come.
    pub(super) fn forgive(&mut self) {
        self.refused_since = None;
        self.refusals = 0;
    }

    /// Whether something was answered lately.
    pub(super) fn is_alive(&self, now: Moment) -> bool {
        self.last_answer
            .is_some_and(|last| now.since(last) < ALIVE_FOR)
    }

    /// When something was answered last; the start where nothing ever was.
    pub(super) fn last_answer(&self) -> Moment {
        self.last_answer.unwrap_or(Moment::START)
    }

    /// Whether anything was answered since `moment`.
    pub(super) fn answered_since(&self, moment: Moment) -> bool {
        self.last_answer.is_some_and(|last| last >= moment)
    }

    /// A read waited its full time and nothing at all was answered meanwhile.
    pub(super) fn fell_silent(&mut self) {
        self.is_silent = true;
    }

    /// How long a new read waits: its full time, or a tenth of it while nobody is there.
    pub(super) fn patience(&self, timeout: Duration) -> Duration {
        if self.is_silent {
            timeout / 10
        } else {
            timeout
        }
    }

    /// What the system said last, and on which tag's port.
    pub(in crate::dma) fn last_error(&self) -> Option<(Tag, io::ErrorKind, &str)> {
        self.last_error
            .as_ref()
            .map(|(tag, kind, text)| (*tag, *kind, text.as_str()))
    }
}
