//! The requester: reads in, requests out, completions in, outcomes out; no sockets and no clock in it.
//!
//! A read becomes one request, or several where its bytes are unaligned. Each request has a tag of its own; a request that is held
//! lost is sent again *under another tag*: as it was if nothing came, otherwise for the missing bytes only and never
//! across a 128-byte block, where the seven bits of a completion's lower address prove its place. What arrives is matched by the TLP's tag and must agree with the
//! request in every field; what does not is counted and forgotten.
//!
//! Promised: every read ends exactly once, within its deadline; no byte is delivered that a flipped header bit, a duplicate or a
//! late answer could have put in the wrong place. Not promised, because NetTLP has no checksum over data: that data bits are right.

mod attempt;
mod bitmap;
mod evidence;
mod health;
mod judge;
mod read;
mod round_trip;
mod stamps;
mod tags;
mod timers;
mod window;

use std::collections::VecDeque;
use std::time::Duration;

use crate::addr::PhysAddr;
use crate::memory::{Counters, Limits, ReadFailure, ReadRequest};
use crate::wire::{MemoryReadRepr, NettlpRepr, RequesterId, Tag, TagSet, split_request};

use self::attempt::{Attempt, Piece};
use self::evidence::Evidence;
use self::health::Health;
use self::read::{ReadKey, Reads};
use self::round_trip::RoundTrip;
use self::stamps::{Routing, Stamps};
use self::tags::{TagState, Tags};
use self::window::Window;
use super::{DmaOptions, Moment};

/// Most requests in flight. The adapter counts waiting requests in 8 bits and stalls at 256; tags beyond this number are there so
/// that quarantine does not stop the flow.
const MOST_IN_FLIGHT: u32 = 192;

/// Most reads with a request sent and no outcome yet; bounds memory where nothing is answered.
const MOST_ACTIVE: usize = 1024;

/// While requests wait to be repeated, or tags are short, new reads begin no closer together than this.
const TRICKLE: Duration = Duration::from_millis(50);

/// A request for what is missing of an answer stays inside one block of this size: the lower address has seven bits.
const CERTAIN_BLOCK: u32 = 128;

/// After so many requests the ports of free tags are looked at: fewer than there are tags, so that repeats are noticed before a tag
/// is used again, and many enough to cost nothing.
const SWEEP_EVERY: u64 = 96;

/// Bytes of the longest datagram that is sent: NetTLP header and a read request of four double words.
pub(super) const REQUEST_LENGTH: usize = NettlpRepr::LENGTH + crate::wire::MAX_HEADER;

/// How a read ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// All bytes are there, in the read's buffer.
    Whole(ReadKey),
    /// It failed; the id is the caller's.
    Failed(u64, ReadFailure),
}

/// What was sent and what came back.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Statistics {
    /// Requests sent.
    pub(super) sent: u64,
    /// Completions used.
    pub(super) answered: u64,
    /// Datagrams received, used or not.
    pub(super) received: u64,
    /// Unsupported requests and completer aborts.
    pub(super) refused: u64,
    /// Sends and receives that the system refused.
    pub(super) system_errors: u64,
}

/// The state of all reads towards one adapter.
#[derive(Debug)]
pub(super) struct Requester {
    id: RequesterId,
    max_read: u32,
    timeout: Duration,
    quarantine: Duration,
    /// Submitted, nothing sent yet.
    waiting: VecDeque<ReadRequest>,
    /// Requests to send for the first time, of the reads just admitted.
    fresh: VecDeque<Piece>,
    /// Requests to send again.
    again: VecDeque<Piece>,
    /// Whose turn it is, so that reads nobody answers do not starve the others.
    again_first: bool,
    last_admission: Moment,
    reads: Reads,
    tags: Tags,
    window: Window,
    round_trip: RoundTrip,
    evidence: Evidence,
    /// Requests that nothing was answered after, while they are looked through: number and tag.
    silent: Vec<(u64, Tag)>,
    stamps: Stamps,
    routing: Routing,
    health: Health,
    ended: VecDeque<Ended>,
    next_timer: Option<Moment>,
    /// A request was answered twice, so more of that is expected until then.
    second_answers_until: Option<Moment>,
    /// Whether the ports of free tags are listened to as well, to notice what comes twice.
    is_sweeping: bool,
    counters: Counters,
    statistics: Statistics,
}

impl Requester {
    /// A requester with nothing to do; the options are taken as checked.
    pub(super) fn new(options: &DmaOptions) -> Self {
        Self {
            id: options.requester,
            max_read: options.max_read,
            timeout: options.timeout,
            quarantine: options.quarantine,
            waiting: VecDeque::new(),
            fresh: VecDeque::new(),
            again: VecDeque::new(),
            again_first: false,
            last_admission: Moment::START,
            reads: Reads::new(options.max_read),
            tags: Tags::new(options.tag_list()),
            window: Window::new(options.window_bytes, options.max_read),
            round_trip: RoundTrip::default(),
            evidence: Evidence::default(),
            silent: Vec::new(),
            stamps: Stamps::default(),
            routing: Routing::default(),
            health: Health::default(),
            ended: VecDeque::new(),
            next_timer: None,
            second_answers_until: None,
            is_sweeping: false,
            counters: Counters::default(),
            statistics: Statistics::default(),
        }
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            max_read: self.max_read,
            window_bytes: self.window.most_bytes(),
            window_reads: MOST_IN_FLIGHT.min(self.tags.usable().len() as u32),
        }
    }

    pub(super) const fn counters(&self) -> Counters {
        self.counters
    }

    pub(super) const fn statistics(&self) -> Statistics {
        self.statistics
    }

    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.round_trip.smoothed()
    }

    pub(super) const fn health(&self) -> &Health {
        &self.health
    }

    /// Takes a read; one that breaks the rules for reads fails without being sent.
    pub(super) fn submit(&mut self, read: ReadRequest) {
        let to_page_end = crate::addr::PAGE_SIZE - read.address.page_offset();
        let legal = read.length >= 1
            && read.length <= self.max_read
            && u64::from(read.length) <= to_page_end;
        debug_assert!(legal, "{read:?} breaks the rules for reads");
        if legal {
            self.waiting.push_back(read);
        } else {
            self.end_failed(read.id, ReadFailure::NotIssued);
        }
    }

    /// Whether any read has no outcome yet.
    pub(super) fn is_busy(&self) -> bool {
        !self.waiting.is_empty() || self.reads.active() > 0
    }

    /// Whether outcomes wait to be handed over.
    pub(super) fn has_ended(&self) -> bool {
        !self.ended.is_empty()
    }

    /// The tags on whose ports something may arrive that matters.
    pub(super) fn listening(&self) -> TagSet {
        if self.is_sweeping {
            self.tags.usable()
        } else {
            self.tags.expecting()
        }
    }

    /// When [`Requester::timers`] has to be called at the latest, if no datagram comes before.
    pub(super) fn next_timer(&self) -> Option<Moment> {
        self.next_timer
    }

    /// Hands over one outcome, if there is one.
    pub(super) fn hand_over(&mut self, completion: &mut crate::memory::Completion<'_>) -> bool {
        match self.ended.pop_front() {
            None => false,
            Some(Ended::Failed(id, failure)) => {
                completion(id, Err(failure));
                true
            }
            Some(Ended::Whole(key)) => {
                if let Some(read) = self.reads.get(key) {
                    completion(read.id, Ok(read.bytes()));
                }
                self.reads.release(key);
                true
            }
        }
    }

    /// Writes the next request that may be sent now into `buffer`; its tag and length.
    pub(super) fn next_request(
        &mut self,
        now: Moment,
        buffer: &mut [u8; REQUEST_LENGTH],
    ) -> Option<(Tag, usize)> {
        let (piece, is_retry) = self.next_piece(now)?;
        let Some(tag) = self.tags.take() else {
            self.put_back(piece, is_retry);
            return None;
        };
        let address = self.reads.get(piece.read)?.address;
        let attempt = Attempt {
            piece,
            address: address.wrapping_offset(i64::from(piece.offset)),
            issued: now,
            number: self.statistics.sent,
            floor: self.stamps.floor(now),
            stale_seen: false,
        };
        let length = self.emit(tag, &attempt, buffer)?;
        self.wake_by(self.silent_at(now, &attempt));
        self.evidence.sent(tag, &attempt);
        self.tags.start(tag, attempt);
        self.window.add(piece.length);
        self.statistics.sent += 1;
        self.is_sweeping |= self.statistics.sent.is_multiple_of(SWEEP_EVERY);
        self.counters.retries += u64::from(is_retry);
        Some((tag, length))
    }

    /// The request's bytes. Every piece was cut to lie in a page, so there is always a request to write.
    fn emit(
        &self,
        tag: Tag,
        attempt: &Attempt,
        buffer: &mut [u8; REQUEST_LENGTH],
    ) -> Option<usize> {
        let length = u32::from(attempt.piece.length);
        let request = MemoryReadRepr::new(self.id, tag, attempt.address, length).ok()?;
        let header = NettlpRepr::default().emit(buffer).ok()?;
        let tlp = request.emit(buffer.get_mut(header..)?).ok()?;
        Some(header + tlp)
    }

    /// Chooses what to send next, alternating between new requests and repeated ones; `None` where the window is full.
    fn next_piece(&mut self, now: Moment) -> Option<(Piece, bool)> {
        self.drop_settled();
        if self.fresh.is_empty() {
            self.admit(now);
        }
        let again_first = self.again_first || self.fresh.is_empty();
        let is_retry = again_first && !self.again.is_empty();
        let queue = if is_retry {
            &mut self.again
        } else {
            &mut self.fresh
        };
        let piece = *queue.front()?;
        if !self.window.admits(piece.length, MOST_IN_FLIGHT) {
            return None;
        }
        queue.pop_front();
        self.again_first = !is_retry;
        Some((piece, is_retry))
    }

    fn put_back(&mut self, piece: Piece, is_retry: bool) {
        let queue = if is_retry {
            &mut self.again
        } else {
            &mut self.fresh
        };
        queue.push_front(piece);
    }

    /// Drops requests whose read has ended, or whose bytes a late answer brought meanwhile.
    fn drop_settled(&mut self) {
        for queue in [&mut self.fresh, &mut self.again] {
            while let Some(piece) = queue.front() {
                let read = self.reads.get(piece.read);
                if read.is_some_and(|read| read.lacks_any(piece.range())) {
                    break;
                }
                queue.pop_front();
            }
        }
    }

    /// Gives the next waiting read a buffer and cuts it into requests, if there is room for one more in flight.
    fn admit(&mut self, now: Moment) {
        // What has to be repeated goes first, so that the reads begun are done before their time is up; but reads that nobody
        // answers, which repeat for ever, leave a place for others now and then.
        let is_congested = (!self.again.is_empty() || self.tags.is_short())
            && now.since(self.last_admission) < TRICKLE;
        let is_full = self.reads.active() >= MOST_ACTIVE || !self.window.admits(0, MOST_IN_FLIGHT);
        if is_congested || is_full {
            return;
        }
        let Some(request) = self.waiting.pop_front() else {
            return;
        };
        let deadline = now + self.health.patience(self.timeout);
        let key = self.reads.admit(&request, now, deadline);
        self.last_admission = now;
        self.wake_by(deadline);
        let start = request.address.get();
        for (address, length) in
            split_request(request.address, u64::from(request.length), self.max_read)
        {
            self.fresh.push_back(Piece {
                read: key,
                // A read lies in one page: both fit.
                offset: (address.get() - start) as u16,
                length: length as u16,
                round: 0,
                poisoned: 0,
            });
        }
    }

    /// Queues the request for `piece`, none of which came, as it was: most likely it was the request that was lost.
    fn send_whole_again(&mut self, piece: Piece) {
        self.again.push_back(Piece {
            round: piece.round.saturating_add(1),
            ..piece
        });
    }

    /// Queues requests for what is missing of `piece`, block by block.
    fn send_again(&mut self, piece: Piece) {
        let Some(read) = self.reads.get(piece.read) else {
            return;
        };
        let block = u64::from(CERTAIN_BLOCK.min(self.max_read));
        let start = read.address.get();
        let end = start + u64::from(piece.offset) + u64::from(piece.length);
        let mut at = start + u64::from(piece.offset);
        while at < end {
            let block_end = ((at | (block - 1)) + 1).min(end);
            let range = (at - start) as u16..(block_end - start) as u16;
            if let Some(missing) = read.missing_within(range) {
                self.again.push_back(Piece {
                    read: piece.read,
                    offset: missing.start,
                    length: missing.end - missing.start,
                    round: piece.round.saturating_add(1),
                    poisoned: piece.poisoned,
                });
            }
            at = block_end;
        }
    }

    /// Ends a read whose bytes are all there.
    fn end_whole(&mut self, key: ReadKey) {
        if let Some(read) = self.reads.get_mut(key) {
            read.is_settled = true;
            self.counters.reads += 1;
            self.counters.bytes += u64::from(read.length);
            self.reads.settle();
            self.ended.push_back(Ended::Whole(key));
        }
    }

    /// Ends an active read with a failure; requests still in flight for it go into quarantine.
    fn fail(&mut self, key: ReadKey, failure: ReadFailure, now: Moment) {
        let Some(read) = self.reads.get(key) else {
            return;
        };
        let id = read.id;
        self.end_failed(id, failure);
        self.reads.settle();
        self.reads.release(key);
        for tag in self.tags.in_flight().iter() {
            if self.tags.attempt(tag).piece.read == key {
                self.retire(tag, now + self.quarantine);
            }
        }
    }

    fn end_failed(&mut self, id: u64, failure: ReadFailure) {
        self.counters.reads += 1;
        self.counters.failed += 1;
        self.ended.push_back(Ended::Failed(id, failure));
    }

    /// Takes a tag out of flight without an answer; it may be used again after `until`.
    fn retire(&mut self, tag: Tag, until: Moment) {
        if self.tags.state(tag) == TagState::InFlight {
            self.window.remove(self.tags.attempt(tag).piece.length);
        }
        self.tags.quarantine(tag, until);
        self.wake_by(until);
    }

    fn wake_by(&mut self, moment: Moment) {
        self.next_timer = Some(self.next_timer.map_or(moment, |next| next.min(moment)));
    }
}

/// The lower address field of a completion that starts here.
const fn lower_address(address: PhysAddr) -> u8 {
    (address.get() & 0x7f) as u8
}
