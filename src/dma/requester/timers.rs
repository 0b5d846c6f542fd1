//! What time does: requests that were not answered are sent again, reads end at their deadline, tags end their rest.

use std::io;
use std::time::Duration;

use crate::dma::Moment;
use crate::memory::ReadFailure;
use crate::wire::Tag;

use super::Requester;
use super::attempt::{is_certain, overlapping};
use super::health::REFUSED_FOR;

/// A tag whose port nobody listens on is not tried again for this time. Software adapters may serve a few tags only.
const CLOSED_FOR: Duration = Duration::from_millis(200);

/// After a request was answered twice, more of that is expected for this time: networks that double datagrams do it again.
const SECOND_ANSWERS_EXPECTED_FOR: Duration = Duration::from_secs(1);

/// Losses of a read's first tries say something about the path; later ones about the address.
const TELLING_ROUNDS: u8 = 2;

impl Requester {
    /// Does what is due. To be called when no datagram is left to take and [`Requester::next_timer`] has come.
    pub(in crate::dma) fn timers(&mut self, now: Moment) {
        self.next_timer = None;
        for tag in self.tags.in_flight().iter() {
            let retransmit_at = self.tags.attempt(tag).retransmit_at;
            if retransmit_at <= now {
                self.time_out(now, tag);
            } else {
                self.wake_by(retransmit_at);
            }
        }
        self.end_expired(now);
        if self.health.is_refused(now) {
            self.fail_all(now, ReadFailure::Transport);
            self.health.forgive();
        } else if let Some(since) = self.health.refused_since() {
            self.wake_by((since + REFUSED_FOR).max(now + Duration::from_millis(1)));
        }
        if let Some(until) = self.tags.end_quarantines(now) {
            self.wake_by(until);
        }
        if let Some(deadline) = self.reads.next_deadline() {
            self.wake_by(deadline);
        }
    }

    /// The system refused to send or receive on a tag's port: what was sent there is lost, and if that goes on, nobody is there.
    pub(in crate::dma) fn refuse(&mut self, now: Moment, tag: Tag, error: &io::Error) {
        self.statistics.system_errors += 1;
        self.health.refused(now, tag, error);
        self.wake_by(now + REFUSED_FOR);
        if self.tags.in_flight().contains(tag) {
            self.give_up(tag, now + CLOSED_FOR);
        }
    }

    /// Everything that has arrived was taken.
    pub(in crate::dma) fn drained(&mut self) {
        self.is_sweeping = false;
    }

    /// How long to wait for an answer to a request of this round.
    pub(super) fn retransmission_time(&self, now: Moment, round: u8) -> Duration {
        let is_alive = self.health.is_alive(now);
        self.round_trip.timeout_of_round(round, is_alive)
    }

    /// Notes that a request was answered twice: it was doubled on its way, and so may others have been whose second answer is still
    /// to come and would look like the answer to whatever the tag is used for next. So tags rest from now on.
    pub(super) fn note_second_answer(&mut self, now: Moment) {
        if self.rest_until(now).is_none() {
            self.tags.rest_free(now + self.quarantine);
        }
        self.second_answers_until = Some(now + SECOND_ANSWERS_EXPECTED_FOR);
        self.wake_by(now + self.quarantine);
    }

    /// Until when a tag whose answer has just come rests; `None`: it need not.
    pub(super) fn rest_until(&self, now: Moment) -> Option<Moment> {
        let expected = self.second_answers_until.is_some_and(|until| until > now);
        expected.then(|| now + self.quarantine)
    }

    /// A request was not answered in full: what is missing is asked for again, the tag rests.
    fn time_out(&mut self, now: Moment, tag: Tag) {
        let attempt = *self.tags.attempt(tag);
        if attempt.stale_seen {
            // All that came looked older than the request. If the adapter was restarted, everything always will.
            self.stamps.reset();
        }
        if attempt.piece.round < TELLING_ROUNDS {
            let round_trip = self.round_trip.smoothed();
            let apart = round_trip.unwrap_or_else(|| self.round_trip.timeout());
            self.window.lost(now, apart);
        }
        self.give_up(tag, now + self.quarantine);
    }

    /// Waits no longer for the answer under this tag, which may be used again after `until`; what is missing is asked for again. If
    /// nothing came, most likely the request was lost, and it is repeated as it was.
    fn give_up(&mut self, tag: Tag, until: Moment) {
        self.forget_uncertain(tag);
        self.retire(tag, until);
        let entry = self.tags.entry(tag);
        entry.is_superseded = entry.arrived.is_empty();
        let piece = entry.attempt.piece;
        if entry.is_superseded {
            self.send_whole_again(piece);
        } else {
            self.send_again(piece);
        }
    }

    /// Forgets the bytes of completions whose place one flipped bit could have changed, now that the attempt will not be
    /// completed, which would have proved them.
    fn forget_uncertain(&mut self, tag: Tag) {
        let mut arrived = std::mem::take(&mut self.tags.entry(tag).arrived);
        let attempt = *self.tags.attempt(tag);
        let (address, length) = (attempt.address.get(), attempt.piece.length);
        for index in 0..arrived.len() {
            let (before, after) = arrived.split_at(index);
            let Some((this, after)) = after.split_first() else {
                break;
            };
            let is_taken = |offset, valid| {
                overlapping(before, offset, valid).is_some()
                    || overlapping(after, offset, valid).is_some()
            };
            if is_certain(address, length, this.offset, this.room, is_taken) {
                continue;
            }
            let start = attempt.piece.offset + this.offset;
            if let Some(read) = self.reads.unsettled(attempt.piece.read) {
                read.forget(start..start + this.length);
            }
            arrived[index].placed = false;
        }
        self.tags.entry(tag).arrived = arrived;
    }

    /// Ends the reads whose time is up. If nothing at all was answered while one of them waited, nobody is there, and all others
    /// have failed as well, sent or not.
    fn end_expired(&mut self, now: Moment) {
        while let Some((key, issued)) = self.reads.first_expired(now) {
            let is_silent = !self.health.answered_since(issued);
            self.fail(key, ReadFailure::TimedOut, now);
            if is_silent {
                self.health.fell_silent();
                self.fail_all(now, ReadFailure::TimedOut);
            }
        }
    }

    fn fail_all(&mut self, now: Moment, failure: ReadFailure) {
        while let Some(key) = self.reads.first_unsettled() {
            self.fail(key, failure, now);
        }
        while let Some(read) = self.waiting.pop_front() {
            self.end_failed(read.id, failure);
        }
    }
}
