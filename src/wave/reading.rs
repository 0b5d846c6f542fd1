//! What belongs to reading: the memory, what has been read, what is wanted, what is guessed.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Instant;

use rustc_hash::FxHashMap;

use crate::addr::PhysAddr;
use crate::memory::{PhysicalMemory, ReadFailure, ReadRequest};

use super::budget::{Budget, Cost, Stopped};
use super::cache::{Cache, Interest, LINE, Lookup, TaskId};
use super::guesses::Guesses;
use super::local::Local;
use super::merge::{LineRead, merge};

struct Flight {
    read: LineRead,
    depth: u32,
    /// Whether it was sent as a guess.
    guessed: bool,
}

/// Who asks for bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    /// To be woken when they have come.
    pub(super) waiter: Option<TaskId>,
    /// Whether they are for a predictor, and no row needs them that is known yet.
    pub(super) predicts: bool,
    /// Whether a predictor will likely ask for them, so that asking can wait as long as there is something else to wait for.
    pub(super) patient: bool,
}

/// The memory and one query's use of it.
pub(super) struct Reading {
    pub(super) memory: Box<dyn PhysicalMemory>,
    pub(super) cache: Cache,
    wanted: Vec<u64>,
    guessed: Vec<u64>,
    /// Guessed lines that have just turned out to be needed.
    promoted: Vec<u64>,
    queue: VecDeque<LineRead>,
    guesses: Guesses,
    flights: FxHashMap<u64, Flight>,
    /// Reads that the memory has not completed and nobody waits for any more, with their lengths: those of a query that ended early.
    abandoned: FxHashMap<u64, u64>,
    next_id: u64,
    /// What the memory has taken and not completed, abandoned reads included.
    bytes_in_flight: u64,
    pub(super) cost: Cost,
    budget: Budget,
    pub(super) started: Instant,
    /// Predictors at work that walks may wait for.
    pub(super) expectations: usize,
    /// Whether nothing was on its way when all that was wanted had been sent, and nothing has come since.
    nothing_comes: bool,
    /// Those who wait for predictors.
    patient: Vec<TaskId>,
    pub(super) woken: Vec<TaskId>,
    /// What takes the place of all of the above but the memory, where that answers at once.
    local: Option<Local>,
    /// Whether waves are read even from such a memory.
    pub(super) always_in_waves: bool,
}

impl Reading {
    pub(super) fn new(memory: Box<dyn PhysicalMemory>) -> Self {
        Self {
            memory,
            cache: Cache::default(),
            wanted: Vec::new(),
            guessed: Vec::new(),
            promoted: Vec::new(),
            queue: VecDeque::new(),
            guesses: Guesses::default(),
            flights: FxHashMap::default(),
            abandoned: FxHashMap::default(),
            next_id: 0,
            bytes_in_flight: 0,
            cost: Cost::default(),
            budget: Budget::default(),
            started: Instant::now(),
            expectations: 0,
            nothing_comes: false,
            patient: Vec::new(),
            woken: Vec::new(),
            local: None,
            always_in_waves: false,
        }
    }

    /// Forgets what an earlier query read.
    pub(super) fn begin(&mut self, budget: Budget) {
        self.abandon();
        self.cache = Cache::default();
        self.guesses = Guesses::default();
        self.cost = Cost::default();
        self.nothing_comes = false;
        self.budget = budget;
        self.started = Instant::now();
        let local = self.local.take();
        if self.memory.answers_at_once() && !self.always_in_waves {
            let mut local = local.unwrap_or_else(Local::new);
            local.clear();
            self.local = Some(local);
        }
    }

    /// Whether bytes are had when they are asked for, so that there is nothing to be gained by asking early.
    pub(super) fn is_local(&self) -> bool {
        self.local.is_some()
    }

    /// Reads in flight are left to the memory; their ids are never used again, so late outcomes mean nothing.
    pub(super) fn abandon(&mut self) {
        self.wanted.clear();
        self.guessed.clear();
        self.queue.clear();
        self.guesses.clear();
        self.patient.clear();
        self.woken.clear();
        let left = self
            .flights
            .drain()
            .map(|(id, flight)| (id, flight.read.bytes()));
        self.abandoned.extend(left);
    }

    /// Waits for the reads that were abandoned.
    pub(super) fn settle(&mut self) {
        while !self.abandoned.is_empty() {
            let before = self.abandoned.len();
            self.receive();
            if self.abandoned.len() == before {
                // A memory that hands over nothing has nothing in flight.
                break;
            }
        }
    }

    /// Copies the bytes at `address`, or asks for them.
    pub(super) fn poll_read(
        &mut self,
        address: PhysAddr,
        buffer: &mut [u8],
        depth: &Cell<u32>,
        asker: Asker,
    ) -> Poll<Result<(), (PhysAddr, ReadFailure)>> {
        if self.cost.stopped.is_some() {
            return Poll::Ready(Err((address, ReadFailure::NotIssued)));
        }
        if let Some(local) = &mut self.local {
            let max_reads = self.budget.max_reads;
            let (memory, cost) = (&mut self.memory, &mut self.cost);
            return Poll::Ready(local.copy(memory, cost, max_reads, address, buffer));
        }
        let interest = if asker.predicts {
            Interest::Predicts
        } else {
            Interest::Needs
        };
        match self.cache.copy(address, buffer, interest) {
            Lookup::Ready(read_depth) => {
                self.cost.cache_hits += 1;
                depth.set(depth.get().max(read_depth));
                Poll::Ready(Ok(()))
            }
            Lookup::Failed(at, failure, read_depth) => {
                depth.set(depth.get().max(read_depth));
                Poll::Ready(Err((at, failure)))
            }
            Lookup::Missing => {
                let waits = asker.patient && self.is_patient();
                if waits && self.cache.wait(address, buffer.len() as u64, asker.waiter) {
                    self.patient.extend(asker.waiter);
                    return Poll::Pending;
                }
                self.ask(address, buffer.len() as u64, depth.get() + 1, asker);
                Poll::Pending
            }
        }
    }

    /// Ready when somebody has asked for the bytes at `address`, or when it is not worth waiting for predictors.
    pub(super) fn poll_foreseen(
        &mut self,
        address: PhysAddr,
        length: u64,
        waiter: Option<TaskId>,
    ) -> Poll<()> {
        let waits = !self.is_local() && self.cost.stopped.is_none() && self.is_patient();
        if waits && self.cache.wait(address, length, waiter) {
            self.patient.extend(waiter);
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Asks for bytes.
    pub(super) fn ask(&mut self, address: PhysAddr, length: u64, depth: u32, asker: Asker) {
        if self.cost.stopped.is_some() || self.is_local() {
            return;
        }
        let Self {
            cache,
            wanted,
            guessed,
            promoted,
            ..
        } = self;
        if asker.predicts {
            cache.guess(address, length, depth, asker.waiter, guessed);
        } else {
            cache.want(address, length, depth, asker.waiter, wanted, promoted);
            self.promote();
        }
    }

    /// What was a guess is needed: it goes before the other guesses.
    fn promote(&mut self) {
        while let Some(line) = self.promoted.pop() {
            match self.guesses.take(line) {
                Some(read) => {
                    self.cache.clear_guesses(read);
                    self.queue.push_back(read);
                }
                // It was to become a read with others that are guessed now; or it was in the read before.
                None if self.cache.is_guess(line) => {
                    self.cache.clear_guesses(LineRead::of(line));
                    self.wanted.push(line);
                }
                None => {}
            }
        }
    }

    /// Asks for lines that this query needed when it last ran, all at once.
    pub(super) fn recall(&mut self, lines: &[u64]) {
        for line in lines {
            let address = PhysAddr::new(line * LINE);
            self.cache.guess(address, LINE, 1, None, &mut self.guessed);
        }
        self.send();
    }

    pub(super) fn check_budget(&mut self) {
        if self.cost.stopped.is_some() {
            return;
        }
        self.cost.stopped = if self.budget.cancel.load(Ordering::Relaxed) {
            Some(Stopped::Cancelled)
        } else if self.started.elapsed() >= self.budget.max_time {
            Some(Stopped::Time)
        } else {
            None
        };
    }

    /// Whether it is worth waiting for predictors: they are at work, and their guesses come true.
    fn is_patient(&self) -> bool {
        self.expectations > 0 && !self.nothing_comes && self.cache.unconfirmed() < UNCONFIRMED / 2
    }

    /// Wakes those who waited for predictors, unless that is still worth it.
    pub(super) fn end_patience(&mut self) {
        if !self.patient.is_empty() && !self.is_patient() {
            self.woken.append(&mut self.patient);
        }
    }

    /// Called when all that is wanted has been sent: with nothing on its way, predictors do not get further either.
    pub(super) fn end_vain_patience(&mut self) {
        self.nothing_comes = self.flights.is_empty();
        self.end_patience();
    }

    /// Whether anything is on its way or waits for room.
    pub(super) fn is_waiting(&self) -> bool {
        !self.flights.is_empty() || !self.queue.is_empty()
    }

    /// Merges what is wanted and submits as much as the memory takes without queueing much itself, so that what becomes wanted
    /// meanwhile can still be merged. What is needed goes before what is guessed.
    pub(super) fn send(&mut self) {
        let max_read = self.memory.limits().max_read;
        for read in merge(&mut self.wanted, max_read) {
            self.cache.cover(read, Interest::Needs);
            self.queue.push_back(read);
        }
        let cache = &mut self.cache;
        self.guessed.retain(|line| cache.is_guess(*line));
        for read in merge(&mut self.guessed, max_read) {
            self.cache.cover(read, Interest::Predicts);
            self.guesses.add(read);
        }
        if self.cost.stopped.is_some() {
            self.fail_all();
            return;
        }
        while let Some(read) = self.queue.pop_front() {
            if !self.has_room(read) {
                self.queue.push_front(read);
                return;
            }
            if self.cost.reads >= self.budget.max_reads {
                self.queue.push_front(read);
                self.cost.stopped = Some(Stopped::Reads);
                self.fail_all();
                return;
            }
            self.submit(read, false);
        }
        while self.may_guess()
            && let Some(read) = self.guesses.next()
        {
            if !self.has_room(read) {
                self.guesses.put_back(read);
                return;
            }
            self.cache.sent(read);
            self.cost.guessed += 1;
            self.submit(read, true);
        }
    }

    fn has_room(&self, read: LineRead) -> bool {
        let limits = self.memory.limits();
        let reads_in_flight = self.flights.len() + self.abandoned.len();
        let fits = self.bytes_in_flight + read.bytes() <= u64::from(limits.window_bytes) * 2
            && reads_in_flight < limits.window_reads as usize * 2;
        fits || reads_in_flight == 0
    }

    /// Guesses that nothing has confirmed, and an eighth of what only led to guesses, are bounded by a share of what the query reads;
    /// and they never use up its budget.
    fn may_guess(&self) -> bool {
        self.cost.reads < self.budget.max_reads / 2
            && self.cache.unconfirmed() + self.cache.consulted() / 8
                < UNCONFIRMED + self.cost.reads / 4
    }

    fn submit(&mut self, read: LineRead, guessed: bool) {
        let depth = read
            .wanted_lines()
            .map(|number| self.cache.depth(number))
            .max()
            .unwrap_or(0);
        let length = read.bytes();
        let id = self.next_id;
        self.next_id += 1;
        let flight = Flight {
            read,
            depth,
            guessed,
        };
        self.flights.insert(id, flight);
        self.bytes_in_flight += length;
        self.cost.reads += 1;
        self.cost.bytes += length;
        self.cost.rounds = self.cost.rounds.max(depth);
        self.memory.submit(ReadRequest {
            id,
            address: PhysAddr::new(read.first * LINE),
            length: length as u32,
        });
    }

    /// Gives up what is on its way.
    fn fail_all(&mut self) {
        for (id, flight) in self.flights.drain() {
            self.abandoned.insert(id, flight.read.bytes());
            self.queue.push_back(flight.read);
        }
        while let Some(read) = self.queue.pop_front().or_else(|| self.guesses.next()) {
            for number in read.lines() {
                self.cache
                    .fail(number, ReadFailure::NotIssued, 0, &mut self.woken);
            }
        }
    }

    /// Takes what has come, waiting for something where nothing has.
    pub(super) fn receive(&mut self) {
        self.nothing_comes = false;
        let Self {
            memory,
            cache,
            flights,
            abandoned,
            queue,
            guesses,
            woken,
            cost,
            bytes_in_flight,
            ..
        } = self;
        memory.complete(&mut |id, outcome| {
            if let Some(bytes) = abandoned.remove(&id) {
                *bytes_in_flight = bytes_in_flight.saturating_sub(bytes);
            }
            let Some(flight) = flights.remove(&id) else {
                return;
            };
            let Flight { read, depth, .. } = flight;
            *bytes_in_flight = bytes_in_flight.saturating_sub(read.bytes());
            match outcome {
                Ok(bytes) => {
                    for (number, line) in (read.first..).zip(bytes.chunks(LINE as usize)) {
                        cache.store(number, line, depth, woken);
                    }
                }
                Err(failure) => {
                    cost.failed += 1;
                    if matches!(failure, ReadFailure::TimedOut | ReadFailure::Transport) {
                        cost.unanswered += 1;
                    }
                    for line in fail_read(cache, &flight, failure, woken) {
                        if flight.guessed && !cache.is_awaited(line.first) {
                            cache.mark_guesses(line);
                            guesses.add(line);
                        } else {
                            queue.push_back(line);
                        }
                    }
                }
            }
        });
    }
}

/// Lines that predictors may have asked for before anything confirms them, to which a quarter of the reads sent is added.
const UNCONFIRMED: u64 = 16 * 1024;

/// A read that failed says nothing of its single lines: those that somebody asked for are to be asked for again one by one, the
/// others are forgotten. Gives the former.
fn fail_read(
    cache: &mut Cache,
    flight: &Flight,
    failure: ReadFailure,
    woken: &mut Vec<TaskId>,
) -> Vec<LineRead> {
    let Flight { read, depth, .. } = *flight;
    // A target that does not answer at all is not asked eight times more.
    if read.count == 1 || failure == ReadFailure::TimedOut || failure == ReadFailure::Transport {
        for number in read.lines() {
            cache.fail(number, failure, depth, woken);
        }
        return Vec::new();
    }
    let mut again = Vec::new();
    for (bit, number) in read.lines().enumerate() {
        if read.wanted & (1 << bit) != 0 {
            again.push(LineRead::of(number));
        } else {
            cache.uncover(number, woken);
        }
    }
    again
}
