//! The executor: polls futures until all of them wait for bytes, then reads.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::addr::PhysAddr;
use crate::memory::{Counters, PhysicalMemory, ReadFailure};

use super::budget::{Budget, Cost, Stalled};
use super::cache::{LINES, TaskId};
use super::merge::merge;
use super::reader::Reader;
use super::reading::{Asker, Reading};
use super::recollection::Recollection;

pub(super) type Task = Pin<Box<dyn Future<Output = ()>>>;

/// What belongs to scheduling: the live futures and which of them can go on.
#[derive(Default)]
struct Schedule {
    tasks: Vec<Option<Task>>,
    free: Vec<TaskId>,
    queued: Vec<bool>,
    /// Which of them are predictors' and those that predictors started.
    predicting: Vec<bool>,
    ready: VecDeque<TaskId>,
}

impl Schedule {
    fn add(&mut self, task: Task, predicts: bool) -> TaskId {
        let id = self.free.pop().unwrap_or_else(|| {
            self.tasks.push(None);
            self.queued.push(false);
            self.predicting.push(false);
            self.tasks.len() - 1
        });
        self.tasks[id] = Some(task);
        self.predicting[id] = predicts;
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
    /// Whether reads wait for predictors.
    patient: Cell<bool>,
    /// Whether the task that is polled is a predictor's.
    predicting: Cell<bool>,
    /// Which lines earlier queries needed.
    recollection: RefCell<Recollection>,
    /// Whether this query's lines were asked for at its beginning, as it has run before.
    recalled: Cell<bool>,
    /// Predictors that wait for this query to meet something new.
    unsurprised: RefCell<Vec<TaskId>>,
    /// Whether predictors may read.
    predicts: Cell<bool>,
}

/// What a future is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Rows depend on it.
    Answer,
    /// It only reads ahead.
    Prediction,
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

/// A query that comes again and takes more rounds than this has met something new.
const FORESEEN_ROUNDS: u32 = 6;

impl Engine {
    /// An engine over `memory`.
    pub fn new(memory: Box<dyn PhysicalMemory>) -> Rc<Self> {
        Rc::new(Self {
            reading: RefCell::new(Reading::new(memory)),
            schedule: RefCell::new(Schedule::default()),
            current: Cell::new(None),
            unyielding: Cell::new(0),
            speculating: Cell::new(false),
            patient: Cell::new(false),
            predicting: Cell::new(false),
            recollection: RefCell::default(),
            recalled: Cell::new(false),
            unsurprised: RefCell::default(),
            predicts: Cell::new(true),
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

    /// Lets predictors read, or not. They are on at first; rows never depend on them.
    pub fn set_predictors(&self, on: bool) {
        self.predicts.set(on);
    }

    /// Whether predictors may read: they are on, and the memory is far enough away.
    pub fn has_predictors(&self) -> bool {
        self.predicts.get() && !self.reading.borrow().is_local()
    }

    /// Reads in waves even where the memory answers at once, or no longer: so that what is counted is what a live target would cost.
    pub fn set_always_in_waves(&self, on: bool) {
        self.reading.borrow_mut().always_in_waves = on;
    }

    /// As [`Engine::run`], for a query that may come again: what it needs is remembered under `name`, and asked for all at once when
    /// a query of that name begins. Where memory has changed meanwhile, what was asked for in vain costs reads and nothing else.
    pub fn run_again<T, F>(
        self: &Rc<Self>,
        name: &str,
        budget: Budget,
        start: impl FnOnce(Reader) -> F,
    ) -> Result<(T, Cost), Stalled>
    where
        T: 'static,
        F: Future<Output = T> + 'static,
    {
        self.reading.borrow_mut().begin(budget);
        let is_local = self.reading.borrow().is_local();
        let recalled = self.has_predictors()
            && match self.recollection.borrow_mut().of(name) {
                Some(lines) => {
                    self.reading.borrow_mut().recall(lines);
                    true
                }
                None => false,
            };
        self.recalled.set(recalled);
        let (output, cost) = self.go(start)?;
        if cost.stopped.is_none() && !is_local {
            let needed = self.reading.borrow().cache.needed_lines();
            self.recollection.borrow_mut().keep(name, needed);
        }
        Ok((output, cost))
    }

    /// In how many reads a query of this name, which has run before, asks at its beginning for what it needed then; `None`: it does not.
    pub fn recalled_reads(&self, name: &str) -> Option<u64> {
        let recollection = self.recollection.borrow();
        let lines = self.predicts.get().then(|| recollection.of(name))??;
        Some(self.merged(lines.to_vec()))
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
        self.recalled.set(false);
        self.go(start)
    }

    fn go<T, F>(self: &Rc<Self>, start: impl FnOnce(Reader) -> F) -> Result<(T, Cost), Stalled>
    where
        T: 'static,
        F: Future<Output = T> + 'static,
    {
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
        self.unsurprised.borrow_mut().clear();
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
            let Some((id, task, predicts)) = self.next_ready() else {
                break;
            };
            let Some(mut task) = task else { continue };
            self.current.set(Some(id));
            self.predicting.set(predicts);
            self.unyielding.set(0);
            let polled = task.as_mut().poll(&mut context);
            self.current.set(None);
            self.predicting.set(false);
            let mut schedule = self.schedule.borrow_mut();
            match polled {
                Poll::Pending => schedule.tasks[id] = Some(task),
                Poll::Ready(()) => schedule.free.push(id),
            }
        }
    }

    fn next_ready(&self) -> Option<(TaskId, Option<Task>, bool)> {
        let mut schedule = self.schedule.borrow_mut();
        let id = schedule.ready.pop_front()?;
        schedule.queued[id] = false;
        let predicts = schedule.predicting[id];
        Some((id, schedule.tasks[id].take(), predicts))
    }

    /// Sends what is wanted and takes what has come. Returns whether anything can have changed.
    fn read_some(&self) -> bool {
        let mut reading = self.reading.borrow_mut();
        reading.check_budget();
        reading.send();
        reading.end_vain_patience();
        // With nothing of its own in flight, a query may still wait for room that an earlier one's reads take.
        let waited = reading.is_waiting();
        if waited {
            reading.receive();
        }
        let mut schedule = self.schedule.borrow_mut();
        let mut woken = std::mem::take(&mut reading.woken);
        if reading.cost.rounds > FORESEEN_ROUNDS {
            woken.append(&mut self.unsurprised.borrow_mut());
        }
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
        let asker = Asker {
            waiter: self.current.get().filter(|_| !self.speculating.get()),
            predicts: self.predicting.get(),
            patient: self.patient.get(),
        };
        let mut reading = self.reading.borrow_mut();
        reading.poll_read(address, buffer, depth, asker)
    }

    /// Ready when somebody has asked for the bytes at `address`, or when it is not worth waiting for predictors.
    pub(super) fn poll_foreseen(&self, address: PhysAddr, length: u64) -> Poll<()> {
        let waiter = self.current.get().filter(|_| !self.speculating.get());
        let mut reading = self.reading.borrow_mut();
        reading.poll_foreseen(address, length, waiter)
    }

    /// Runs `action`, whose reads wait for predictors as long as that is worth it.
    pub(super) fn patiently<T>(&self, action: impl FnOnce() -> T) -> T {
        let before = self.patient.replace(true);
        let outcome = action();
        self.patient.set(before);
        outcome
    }

    /// Counts predictors that walks may wait for.
    pub(super) fn expect(&self, change: isize) {
        let mut reading = self.reading.borrow_mut();
        reading.expectations = reading.expectations.saturating_add_signed(change);
        reading.end_patience();
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
        let asker = Asker {
            waiter: None,
            predicts: self.predicting.get(),
            patient: false,
        };
        let mut reading = self.reading.borrow_mut();
        reading.ask(address, length, depth + 1, asker);
    }

    /// Starts a future; what a predictor starts is a predictor.
    pub(super) fn spawn_task(&self, task: Task, purpose: Purpose) {
        let predicts = purpose == Purpose::Prediction || self.predicting.get();
        self.schedule.borrow_mut().add(task, predicts);
    }

    /// Whether what this query needs was asked for at its beginning and has been enough so far: then there is nothing to predict.
    pub(super) fn is_foreseen(&self) -> bool {
        self.recalled.get() && self.reading.borrow().cost.rounds <= FORESEEN_ROUNDS
    }

    /// Wakes the current task when [`Engine::is_foreseen`] no longer holds.
    pub(super) fn wake_when_surprised(&self) {
        self.unsurprised.borrow_mut().extend(self.current.get());
    }

    /// The fewest reads of at most `max_read` bytes, none across 4 KiB, that have in them every byte that the last query needed, or
    /// that it needed or its predictors looked at.
    pub fn fewest_reads(&self, with_predictors: bool) -> u64 {
        self.merged(self.lines(with_predictors))
    }

    /// In how many reads lines fit.
    fn merged(&self, mut lines: Vec<u64>) -> u64 {
        let max_read = self.reading.borrow().memory.limits().max_read;
        merge(&mut lines, max_read).len() as u64
    }

    /// In how many aligned blocks of 512 bytes those bytes lie.
    pub fn blocks(&self, with_predictors: bool) -> u64 {
        let mut blocks = self.lines(with_predictors);
        for line in &mut blocks {
            *line /= LINES;
        }
        blocks.sort_unstable();
        blocks.dedup();
        blocks.len() as u64
    }

    /// The lines that the last query needed, or that it needed or its predictors looked at.
    fn lines(&self, with_predictors: bool) -> Vec<u64> {
        let reading = self.reading.borrow();
        let mut lines = reading.cache.needed_lines();
        if with_predictors {
            lines.extend(reading.cache.consulted_lines());
        }
        lines
    }

    pub(super) fn wake(&self, id: TaskId) {
        self.schedule.borrow_mut().wake(id);
    }

    /// The task that is being polled.
    pub(super) fn current(&self) -> Option<TaskId> {
        self.current.get()
    }
}
