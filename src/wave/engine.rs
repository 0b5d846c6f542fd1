//! The executor: polls futures until all of them wait for bytes, then reads.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use rustc_hash::FxHashMap;

use crate::addr::PhysAddr;
use crate::memory::{Counters, PhysicalMemory, ReadFailure, ReadRequest};

use super::budget::{Budget, Cost, Stalled, Stopped};
use super::cache::{Cache, LINE, Lookup, TaskId};
use super::merge::{LineRead, merge};
use super::reader::Reader;

pub(super) type Task = Pin<Box<dyn Future<Output = ()>>>;

struct Flight {
    read: LineRead,
    depth: u32,
}

/// What belongs to reading: the memory, what has been read, what is wanted.
struct Reading {
    memory: Box<dyn PhysicalMemory>,
    cache: Cache,
    wanted: Vec<u64>,
    queue: VecDeque<LineRead>,
    flights: FxHashMap<u64, Flight>,
    /// Reads that the memory has not completed and nobody waits for any more, with their lengths: those of a query that ended early.
    abandoned: FxHashMap<u64, u64>,
    next_id: u64,
    /// What the memory has taken and not completed, abandoned reads included.
    bytes_in_flight: u64,
    cost: Cost,
    budget: Budget,
    started: Instant,
    woken: Vec<TaskId>,
}

/// What belongs to scheduling: the live futures and which of them can go on.
#[derive(Default)]
struct Schedule {
    tasks: Vec<Option<Task>>,
    free: Vec<TaskId>,
    queued: Vec<bool>,
    ready: VecDeque<TaskId>,
}

impl Schedule {
    fn add(&mut self, task: Task) -> TaskId {
        let id = self.free.pop().unwrap_or_else(|| {
            self.tasks.push(None);
            self.queued.push(false);
            self.tasks.len() - 1
        });
        self.tasks[id] = Some(task);
        self.wake(id);
        id
    }

    fn wake(&mut self, id: TaskId) {
        if let Some(queued) = self.queued.get_mut(id)
            && !*queued
        {
            *queued = true;
            self.ready.push_back(id);
        }
    }

    fn live(&self) -> usize {
        self.tasks.iter().flatten().count()
    }
}

/// Owns a memory and runs queries over it, one at a time, on this thread.
pub struct Engine {
    reading: RefCell<Reading>,
    schedule: RefCell<Schedule>,
    current: Cell<Option<TaskId>>,
    /// Attempts since the current task was polled; a task that never waits yields now and then.
    unyielding: Cell<u32>,
    /// Whether bytes are asked for that nobody waits for.
    speculating: Cell<bool>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Engine")
            .field("memory", &self.reading.borrow().memory)
            .finish_non_exhaustive()
    }
}

/// Attempts after which a task lets others (and the budget's check) have a turn.
const YIELD_AFTER: u32 = 4096;

impl Engine {
    /// An engine over `memory`.
    pub fn new(memory: Box<dyn PhysicalMemory>) -> Rc<Self> {
        Rc::new(Self {
            reading: RefCell::new(Reading {
                memory,
                cache: Cache::default(),
                wanted: Vec::new(),
                queue: VecDeque::new(),
                flights: FxHashMap::default(),
                abandoned: FxHashMap::default(),
                next_id: 0,
                bytes_in_flight: 0,
                cost: Cost::default(),
                budget: Budget::default(),
                started: Instant::now(),
                woken: Vec::new(),
            }),
            schedule: RefCell::new(Schedule::default()),
            current: Cell::new(None),
            unyielding: Cell::new(0),
            speculating: Cell::new(false),
        })
    }

    /// Uses the memory directly, between queries, once it has completed what an earlier query left behind: the ids of those reads
    /// could be used again by `action`.
    pub fn with_memory<T>(&self, action: impl FnOnce(&mut dyn PhysicalMemory) -> T) -> T {
        let mut reading = self.reading.borrow_mut();
        reading.settle();
        action(&mut reading.memory)
    }

    /// The memory's own counters.
    pub fn counters(&self) -> Counters {
        self.reading.borrow().memory.counters()
    }

    /// What the query that runs has cost so far, or what the last one cost.
    pub fn cost(&self) -> Cost {
        let reading = self.reading.borrow();
        Cost {
            elapsed: reading.started.elapsed(),
            ..reading.cost
        }
    }

    /// Runs a query to its end: forgets what earlier ones read, polls `start`'s future and all that it spawns, and returns the
    /// future's output with its cost. Futures that the query leaves behind are dropped.
    pub fn run<T, F>(
        self: &Rc<Self>,
        budget: Budget,
        start: impl FnOnce(Reader) -> F,
    ) -> Result<(T, Cost), Stalled>
    where
        T: 'static,
        F: Future<Output = T> + 'static,
    {
        self.reading.borrow_mut().begin(budget);
        self.drop_tasks();
        let reader = Reader::new(Rc::clone(self));
        let root = reader.spawn(start);
        let outcome = loop {
            self.poll_ready();
            if let Some(output) = root.take() {
                break Ok(output);
            }
            if !self.read_some() {
                break Err(Stalled {
                    tasks: self.schedule.borrow().live(),
                });
            }
        };
        let cost = self.cost();
        self.reading.borrow_mut().abandon();
        self.drop_tasks();
        outcome.map(|output| (output, cost))
    }

    /// Drops all futures, with nothing borrowed that their own drops could want.
    fn drop_tasks(&self) {
        drop(self.schedule.take());
    }

    fn poll_ready(&self) {
        let mut context = Context::from_waker(Waker::noop());
        let mut polls = 0_u32;
        loop {
            // Where everything is in the cache nothing else looks at the budget.
            polls = polls.wrapping_add(1);
            if polls.is_multiple_of(YIELD_AFTER) {
                self.reading.borrow_mut().check_budget();
            }
            // The futures themselves borrow the schedule (to spawn), so nothing of it is held while one is polled.
            let Some((id, task)) = self.next_ready() else {
                break;
            };
            let Some(mut task) = task else { continue };
            self.current.set(Some(id));
            self.unyielding.set(0);
            let polled = task.as_mut().poll(&mut context);
            self.current.set(None);
            let mut schedule = self.schedule.borrow_mut();
            match polled {
                Poll::Pending => schedule.tasks[id] = Some(task),
                Poll::Ready(()) => schedule.free.push(id),
            }
        }
    }

    fn next_ready(&self) -> Option<(TaskId, Option<Task>)> {
        let mut schedule = self.schedule.borrow_mut();
        let id = schedule.ready.pop_front()?;
        schedule.queued[id] = false;
        Some((id, schedule.tasks[id].take()))
    }

    /// Sends what is wanted and takes what has come. Returns whether anything can have changed.
    fn read_some(&self) -> bool {
        let mut reading = self.reading.borrow_mut();
        reading.check_budget();
        reading.send();
        // With nothing of its own in flight, a query may still wait for room that an earlier one's reads take.
        let waited = !reading.flights.is_empty() || !reading.queue.is_empty();
        if waited {
            reading.receive();
        }
        let mut schedule = self.schedule.borrow_mut();
        let mut woken = std::mem::take(&mut reading.woken);
        let changed = waited || !woken.is_empty() || !schedule.ready.is_empty();
        for task in woken.drain(..) {
            schedule.wake(task);
        }
        reading.woken = woken;
        changed
    }

    /// Copies the bytes at `address`, or asks for them and registers the current task to be woken when they have come.
    pub(super) fn poll_read(
        &self,
        address: PhysAddr,
        buffer: &mut [u8],
        depth: &Cell<u32>,
    ) -> Poll<Result<(), (PhysAddr, ReadFailure)>> {
        let mut reading = self.reading.borrow_mut();
        if reading.cost.stopped.is_some() {
            return Poll::Ready(Err((address, ReadFailure::NotIssued)));
        }
        match reading.cache.copy(address, buffer) {
            Lookup::Ready(read_depth) => {
                reading.cost.cache_hits += 1;
                depth.set(depth.get().max(read_depth));
                Poll::Ready(Ok(()))
            }
            Lookup::Failed(at, failure, read_depth) => {
                depth.set(depth.get().max(read_depth));
                Poll::Ready(Err((at, failure)))
            }
            Lookup::Missing => {
                let Reading { cache, wanted, .. } = &mut *reading;
                let waiter = self.current.get().filter(|_| !self.speculating.get());
                let length = buffer.len() as u64;
                cache.want(address, length, depth.get() + 1, waiter, wanted);
                Poll::Pending
            }
        }
    }

    /// Whether the current task has gone on for so long that others (and the budget's check) get a turn; it is woken for its own.
    pub(super) fn must_yield(&self) -> bool {
        let count = self.unyielding.get() + 1;
        self.unyielding.set(count);
        if count < YIELD_AFTER {
            return false;
        }
        self.unyielding.set(0);
        let mut reading = self.reading.borrow_mut();
        if let Some(task) = self.current.get() {
            reading.woken.push(task);
        }
        reading.check_budget();
        true
    }

    /// Runs `action` without registering anybody for the bytes that it asks for.
    pub(super) fn without_waiting<T>(&self, action: impl FnOnce() -> T) -> T {
        let before = self.speculating.replace(true);
        let outcome = action();
        self.speculating.set(before);
        outcome
    }

    /// Asks for bytes without waiting for them.
    pub(super) fn prefetch(&self, address: PhysAddr, length: u64, depth: u32) {
        let mut reading = self.reading.borrow_mut();
        if reading.cost.stopped.is_none() {
            let Reading { cache, wanted, .. } = &mut *reading;
            cache.want(address, length, depth + 1, None, wanted);
        }
    }

    pub(super) fn spawn_task(&self, task: Task) {
        self.schedule.borrow_mut().add(task);
    }

    pub(super) fn wake(&self, id: TaskId) {
        self.schedule.borrow_mut().wake(id);
    }

    /// The task that is being polled.
    pub(super) fn current(&self) -> Option<TaskId> {
        self.current.get()
    }
}

impl Reading {
    fn begin(&mut self, budget: Budget) {
        self.abandon();
        self.cache = Cache::default();
        self.cost = Cost::default();
        self.budget = budget;
        self.started = Instant::now();
    }

    /// Reads in flight are left to the memory; their ids are never used again, so late outcomes mean nothing.
    fn abandon(&mut self) {
        self.wanted.clear();
        self.queue.clear();
        self.woken.clear();
        let left = self
            .flights
            .drain()
            .map(|(id, flight)| (id, flight.read.bytes()));
        self.abandoned.extend(left);
    }

    /// Waits for the reads that were abandoned.
    fn settle(&mut self) {
        while !self.abandoned.is_empty() {
            let before = self.abandoned.len();
            self.receive();
            if self.abandoned.len() == before {
                // A memory that hands over nothing has nothing in flight.
                break;
            }
        }
    }

    fn check_budget(&mut self) {
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

    /// Merges what is wanted and submits as much as the memory takes without queueing much itself, so that what becomes wanted
    /// meanwhile can still be merged.
    fn send(&mut self) {
        let limits = self.memory.limits();
        let Self {
            cache,
            wanted,
            queue,
            ..
        } = self;
        for read in merge(wanted, limits.max_read) {
            for number in read.first..read.first + u64::from(read.count) {
                cache.cover(number);
            }
            queue.push_back(read);
        }
        if self.cost.stopped.is_some() {
            self.fail_all();
            return;
        }
        let window_bytes = u64::from(limits.window_bytes) * 2;
        let window_reads = limits.window_reads as usize * 2;
        while let Some(read) = self.queue.pop_front() {
            let reads_in_flight = self.flights.len() + self.abandoned.len();
            let fits = self.bytes_in_flight + read.bytes() <= window_bytes
                && reads_in_flight < window_reads;
            if !fits && reads_in_flight > 0 {
                self.queue.push_front(read);
                break;
            }
            if self.cost.reads >= self.budget.max_reads {
                self.queue.push_front(read);
                self.cost.stopped = Some(Stopped::Reads);
                self.fail_all();
                return;
            }
            self.submit(read);
        }
    }

    fn submit(&mut self, read: LineRead) {
        let depth = read
            .wanted_lines()
            .map(|number| self.cache.depth(number))
            .max()
            .unwrap_or(0);
        let length = read.bytes();
        let id = self.next_id;
        self.next_id += 1;
        self.flights.insert(id, Flight { read, depth });
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
        for read in self.queue.drain(..) {
            for number in read.first..read.first + u64::from(read.count) {
                self.cache
                    .fail(number, ReadFailure::NotIssued, 0, &mut self.woken);
            }
        }
    }

    fn receive(&mut self) {
        let Self {
            memory,
            cache,
            flights,
            abandoned,
            queue,
            woken,
            cost,
            bytes_in_flight,
            ..
        } = self;
        memory.complete(&mut |id, outcome| {
            if let Some(bytes) = abandoned.remove(&id) {
                *bytes_in_flight = bytes_in_flight.saturating_sub(bytes);
            }
            let Some(Flight { read, depth }) = flights.remove(&id) else {
                return;
            };
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
                    fail_read(cache, queue, read, failure, depth, woken);
                }
            }
        });
    }
}

/// A read that failed says nothing of its single lines: those that somebody asked for are asked for again one by one, the others
/// are forgotten.
fn fail_read(
    cache: &mut Cache,
    queue: &mut VecDeque<LineRead>,
    read: LineRead,
    failure: ReadFailure,
    depth: u32,
    woken: &mut Vec<TaskId>,
) {
    // A target that does not answer at all is not asked eight times more.
    if read.count == 1 || failure == ReadFailure::TimedOut || failure == ReadFailure::Transport {
        for number in read.first..read.first + u64::from(read.count) {
            cache.fail(number, failure, depth, woken);
        }
        return;
    }
    for bit in 0..u64::from(read.count) {
        let number = read.first + bit;
        if read.wanted & (1 << bit) != 0 {
            queue.push_back(LineRead {
                first: number,
                count: 1,
                wanted: 1,
            });
        } else {
            cache.uncover(number, woken);
        }
    }
}
