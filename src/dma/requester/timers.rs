//! What time does: requests that were not answered are sent again, reads end at their deadline, tags end their rest.

use std::io;
use std::time::Duration;

use crate::dma::Moment;
use crate::memory::ReadFailure;
use crate::wire::Tag;

use super::Requester;
use super::attempt::{Attempt, is_certain, overlapping};
use super::evidence::PROMPT_ROUNDS;
use super::health::REFUSED_FOR;
use super::tags::TagState;

/// A tag whose port nobody listens on is not tried again for this time. Software adapters may serve a few tags only.
const CLOSED_FOR: Duration = Duration::from_millis(200);

/// After a request was answered twice, more of that is expected for this time: networks that double datagrams do it again.
const SECOND_ANSWERS_EXPECTED_FOR: Duration = Duration::from_secs(1);

/// Most requests repeated at a time because nothing was answered.
const MOST_PROBES: u32 = 8;

/// Losses of a read's first tries say something about the path; later ones about the address.
const TELLING_ROUNDS: u8 = 2;

impl Requester {
    /// Does what is due. To be called when no datagram is left to take and [`Requester::next_timer`] has come.
    pub(in crate::dma) fn timers(&mut self, now: Moment) {
        self.next_timer = None;
        self.repeat_lost(now);
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

    /// Everything that has arrived was taken, so that what should have and did not may be lost.
    pub(in crate::dma) fn drained(&mut self) {
        self.is_sweeping = false;
        let tags = &self.tags;
        let in_flight = |tag| (tags.state(tag) == TagState::InFlight).then(|| tags.attempt(tag));
        let oldest = self.evidence.oldest(in_flight);
        if oldest.is_some_and(|oldest| self.is_lost(oldest)) {
            self.wake_by(Moment::START);
        }
    }

    /// Asks again for what requests that are held lost have not brought.
    fn repeat_lost(&mut self, now: Moment) {
        let mut silent = std::mem::take(&mut self.silent);
        for tag in self.tags.in_flight().iter() {
            let attempt = self.tags.attempt(tag);
            let silent_at = self.silent_at(now, attempt);
            let is_overdue = silent_at <= now;
            if self.is_lost(attempt) || is_overdue && !self.is_first_try(attempt) {
                self.time_out(now, tag);
            } else if is_overdue {
                silent.push((attempt.number, tag));
            } else {
                self.wake_by(silent_at);
            }
        }
        if !silent.is_empty() {
            self.repeat_oldest(now, &mut silent);
        }
        silent.clear();
        self.silent = silent;
    }

    /// Whether a request may be one of many that wait for their turn. Before anything was ever answered there is no telling what is
    /// long.
    fn is_first_try(&self, attempt: &Attempt) -> bool {
        attempt.piece.round == 0 && self.round_trip.smoothed().is_some()
    }

    /// Nothing was answered for long after these requests were sent. A few of the oldest are repeated, as many more as more was lost
    /// of late: if the adapter only pauses, most are not lost, and if it does not, the next answer tells which are.
    fn repeat_oldest(&mut self, now: Moment, silent: &mut [(u64, Tag)]) {
        silent.sort_unstable();
        self.evidence.probed(now);
        let few = 1 + self.window.recent_losses().min(MOST_PROBES - 1) as usize;
        for (index, (_, tag)) in silent.iter().enumerate() {
            if index < few {
                self.time_out(now, *tag);
            } else {
                self.wake_by(self.silent_at(now, self.tags.attempt(*tag)));
            }
        }
    }

    /// Whether later requests were answered that should not have been before this one.
    fn is_lost(&self, attempt: &Attempt) -> bool {
        let round = attempt.piece.round;
        let patience = if round < PROMPT_ROUNDS {
            Duration::ZERO
        } else {
            self.round_trip.timeout_of_round(round - 1, true)
        };
        self.evidence.is_lost(attempt, patience)
    }

    /// When a request may be lost unless anything is answered. The time of one sent for the first time is counted from the last
    /// answer, since it may only wait for its turn; that of a repeated one from when it was sent.
    pub(super) fn silent_at(&self, now: Moment, attempt: &Attempt) -> Moment {
        let round = attempt.piece.round;
        let is_alive = self.health.is_alive(now);
        if round > 0 {
            return attempt.issued + self.round_trip.timeout_of_round(round, is_alive);
        }
        let (probed, probes) = self.evidence.last_probe();
        let last = self.health.last_answer().max(probed).max(attempt.issued);
        // Where nothing is lost, the other end's pauses are.
        let pause = match self.window.recent_losses() {
            0 => self.round_trip.pause(),
            _ => Duration::ZERO,
        };
        let timeout = self.round_trip.timeout_of_round(probes, is_alive);
        last + timeout.max(pause)
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
