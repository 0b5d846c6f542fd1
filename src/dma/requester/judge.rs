//! What becomes of a datagram: used for the read it answers, or discarded.

use crate::dma::Moment;
use crate::memory::ReadFailure;
use crate::wire::{
    CompletionPacket, CompletionRepr, CompletionStatus, NettlpPacket, NettlpRepr, Tag,
};

use super::attempt::{Arrived, Piece, is_certain, is_in_order, overlapping, place};
use super::tags::TagState;
use super::{CERTAIN_BLOCK, Requester};

/// The same bytes came poisoned so often: they are.
const POISON_BELIEVED: u8 = 3;

impl Requester {
    /// Takes a datagram that came to the port of tag `port`.
    pub(in crate::dma) fn take(&mut self, now: Moment, port: Tag, datagram: &[u8]) {
        self.statistics.received += 1;
        match self.judge(now, port, datagram) {
            Some(()) => self.statistics.answered += 1,
            None => self.counters.discarded += 1,
        }
    }

    /// Uses the datagram; `None` where it is not one to be used.
    fn judge(&mut self, now: Moment, port: Tag, datagram: &[u8]) -> Option<()> {
        let packet = NettlpPacket::new(datagram).ok()?;
        let stamp = NettlpRepr::parse(&packet);
        let tlp = CompletionPacket::new(packet.tlp()).ok()?;
        let completion = CompletionRepr::parse(&tlp).ok()?;
        if completion.requester != self.id {
            return None;
        }
        self.check_tag(now, completion.tag, stamp)?;
        match completion.status {
            CompletionStatus::Success => {
                self.take_data(now, port, &completion, stamp, tlp.valid_data())
            }
            // A reserved status is to be treated as an unsupported request (2.2.9).
            CompletionStatus::UnsupportedRequest | CompletionStatus::Reserved(_) => self
                .take_failure(
                    now,
                    port,
                    &completion,
                    stamp,
                    ReadFailure::UnsupportedRequest,
                ),
            CompletionStatus::CompleterAbort => {
                self.take_failure(now, port, &completion, stamp, ReadFailure::CompleterAbort)
            }
            // Legal for configuration requests only: malformed here.
            CompletionStatus::ConfigurationRetry => None,
        }
    }

    /// Refuses completions for tags under which nothing is expected, repeats, and what the adapter stamped before the request
    /// was sent.
    fn check_tag(&mut self, now: Moment, tag: Tag, stamp: NettlpRepr) -> Option<()> {
        let state = self.tags.state(tag);
        if state == TagState::Unusable {
            return None;
        }
        let entry = self.tags.entry(tag);
        if entry.has_seen(stamp) {
            return None;
        }
        if state == TagState::Free || entry.is_spoilt {
            // Not a datagram that came twice but a second answer: the request came twice.
            self.note_second_answer(now);
            return None;
        }
        let floor = entry.attempt.floor;
        if !stamp.is_unstamped() && floor.is_some_and(|floor| !stamp.is_after(&floor)) {
            entry.attempt.stale_seen = true;
            return None;
        }
        Some(())
    }

    fn take_data(
        &mut self,
        now: Moment,
        port: Tag,
        completion: &CompletionRepr,
        stamp: NettlpRepr,
        data: &[u8],
    ) -> Option<()> {
        let tag = completion.tag;
        let padding = u16::from(completion.lower_address & 3);
        let room = (completion.dwords * 4).saturating_sub(padding);
        let entry = self.tags.entry(tag);
        let attempt = entry.attempt;
        let (address, length) = (attempt.address.get(), attempt.piece.length);
        let (offset, valid) = place(
            address,
            length,
            completion.byte_count,
            completion.lower_address,
            room,
        )?;
        let block = u64::from(CERTAIN_BLOCK);
        let is_doubtful = !stamp.is_unstamped() && address % block + u64::from(length) > block;
        if overlapping(&entry.arrived, offset, valid).is_some() {
            // Two completions with different stamps claim the same bytes: the request was answered twice, or one of them has a
            // flipped bit in its byte count. Inside one block the lower address proves the place, so the second is a repeat;
            // otherwise neither is believed.
            self.note_second_answer(now);
            if is_doubtful {
                self.spoil(now, tag);
            }
            return None;
        }
        if !self.routing.admits(port == tag) {
            return None;
        }
        let entry = self.tags.entry(tag);
        if is_doubtful && !is_in_order(&entry.arrived, offset, stamp) {
            self.spoil(now, tag);
            return None;
        }
        let is_in_flight = self.tags.state(tag) == TagState::InFlight;
        let entry = self.tags.entry(tag);
        let believed = is_in_flight
            || !entry.is_superseded
                && is_certain(address, length, offset, room, |offset, valid| {
                    overlapping(&entry.arrived, offset, valid).is_some()
                });
        let placed = believed && !completion.poisoned;
        let is_last = entry.note(Arrived {
            offset,
            length: valid,
            room,
            stamp,
            placed,
        });
        self.note_answer(now, stamp);
        if is_last {
            self.finish_attempt(now, tag);
        }
        let piece = Piece {
            offset: attempt.piece.offset + offset,
            length: valid,
            ..attempt.piece
        };
        if completion.poisoned {
            self.take_poison(now, piece);
        } else if placed && let Some(read) = self.reads.unsettled(piece.read) {
            read.place(piece.offset, data);
            if read.is_whole() {
                self.end_whole(piece.read);
            }
        }
        Some(())
    }

    /// Poisoned data are asked for again before they are believed to be: EP is one bit, and a flipped one must not make a failure of
    /// a good read.
    fn take_poison(&mut self, now: Moment, piece: Piece) {
        if self.reads.unsettled(piece.read).is_none() {
            return;
        }
        let poisoned = piece.poisoned + 1;
        if poisoned >= POISON_BELIEVED {
            self.fail(piece.read, ReadFailure::Poisoned, now);
        } else {
            self.send_again(Piece { poisoned, ..piece });
        }
    }

    /// A completion that says why there are no data ends the read. Its byte count and lower address are not looked at: root
    /// complexes differ in what they put there.
    fn take_failure(
        &mut self,
        now: Moment,
        port: Tag,
        completion: &CompletionRepr,
        stamp: NettlpRepr,
        failure: ReadFailure,
    ) -> Option<()> {
        let tag = completion.tag;
        if !self.routing.admits(port == tag) {
            return None;
        }
        self.statistics.refused += 1;
        self.note_answer(now, stamp);
        let entry = self.tags.entry(tag);
        entry.seen.insert(stamp);
        let key = entry.attempt.piece.read;
        self.finish_attempt(now, tag);
        if self.reads.unsettled(key).is_some() {
            self.fail(key, failure, now);
        }
        Some(())
    }

    /// Believes nothing that came for this attempt: forgets its bytes, asks for them again.
    fn spoil(&mut self, now: Moment, tag: Tag) {
        let was_in_flight = self.tags.state(tag) == TagState::InFlight;
        let entry = self.tags.entry(tag);
        entry.is_spoilt = true;
        let piece = entry.attempt.piece;
        if !was_in_flight {
            return;
        }
        if let Some(read) = self.reads.unsettled(piece.read) {
            read.forget(piece.range());
        }
        self.retire(tag, now + self.quarantine);
        self.send_again(piece);
    }

    /// The request under this tag was answered to the end: the tag is free, or rests while second answers are about.
    fn finish_attempt(&mut self, now: Moment, tag: Tag) {
        let attempt = *self.tags.attempt(tag);
        let is_late = self.tags.state(tag) != TagState::InFlight;
        if !is_late {
            self.window.remove(attempt.piece.length);
            self.window.answered(attempt.piece.length);
        }
        self.round_trip.sample(now.since(attempt.issued), is_late);
        self.evidence.answered(&attempt);
        match self.rest_until(now) {
            None => self.tags.release(tag),
            Some(until) => {
                self.tags.rest(tag, until);
                self.wake_by(until);
            }
        }
    }

    fn note_answer(&mut self, now: Moment, stamp: NettlpRepr) {
        self.health.answered(now);
        self.stamps.insert(stamp, now);
    }
}
