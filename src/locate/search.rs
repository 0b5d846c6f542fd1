//! The search for an image: probes flow through the memory's window until one of them finds the banner.

use std::collections::{BTreeMap, VecDeque};

use crate::addr::{PhysAddr, PhysRange};
use crate::memory::{PhysicalMemory, ReadFailure, ReadRequest};

use super::banner::PREFIX;
use super::candidates::{Candidates, Stage};
use super::reader::Reader;

/// Probes in flight until the first answer: an adapter that is not there costs these, not the whole map.
const FIRST_PROBES: usize = 16;
/// Probes without any answer after which nobody is believed to be there.
const SILENCE: u64 = 64;
/// Addresses of banners of other kernels that are remembered.
const MAX_STRANGERS: usize = 8;

/// What the probes found, besides hits.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Probes answered, failed ones included.
    pub(super) probes: u64,
    /// Candidates at which the probe could be read.
    pub(super) readable: Vec<PhysAddr>,
    /// Failed probes by reason.
    pub(super) failures: BTreeMap<String, u64>,
    /// Probes that ended without any word from the target, while nothing else had been heard.
    unanswered: u64,
    /// Candidates with a banner of another kernel at the very place.
    pub(super) strangers: Vec<PhysAddr>,
}

impl Tally {
    /// Whether there were probes and no word came back to any of them.
    pub(super) fn unanswered(&self) -> bool {
        self.probes > 0 && self.unanswered == self.probes
    }

    /// Whether there is no point in probing on.
    fn silent(&self) -> bool {
        self.unanswered >= SILENCE && self.unanswered()
    }

    fn failed(&mut self, failure: ReadFailure) {
        *self.failures.entry(failure.to_string()).or_default() += 1;
        if matches!(failure, ReadFailure::TimedOut | ReadFailure::Transport) {
            self.unanswered += 1;
        }
    }
}

/// A search in progress.
#[derive(Debug)]
pub(super) struct Search<'l> {
    stages: VecDeque<Stage>,
    candidates: Option<Candidates>,
    /// Distance of the probed bytes from the image's first, and what they must be.
    offset: u64,
    expected: &'l [u8],
    hits: VecDeque<PhysAddr>,
    readable_before_stage: usize,
    pub(super) tally: Tally,
}

impl<'l> Search<'l> {
    /// A search through `stages` for `expected` at `offset` from a candidate.
    pub(super) fn new(stages: Vec<Stage>, offset: u64, expected: &'l [u8]) -> Self {
        Self {
            stages: stages.into(),
            candidates: None,
            offset,
            expected,
            hits: VecDeque::new(),
            readable_before_stage: 0,
            tally: Tally::default(),
        }
    }

    /// The next candidate with the banner, or `None` at the end of the search.
    pub(super) fn next_hit(&mut self, reader: &mut Reader<'_>) -> Option<PhysAddr> {
        loop {
            if let Some(hit) = self.hits.pop_front() {
                return Some(hit);
            }
            if self.tally.silent() {
                return None;
            }
            if self.candidates.is_none() && !self.next_stage(reader) {
                return None;
            }
            self.probe_until_hit(reader);
        }
    }

    /// Goes on to the next stage that is worth it: one more round.
    fn next_stage(&mut self, reader: &mut Reader<'_>) -> bool {
        let found_ram = self.tally.readable.len() > self.readable_before_stage;
        while let Some(stage) = self.stages.pop_front() {
            if stage.only_after_ram && !found_ram {
                continue;
            }
            self.readable_before_stage = self.tally.readable.len();
            let span = self.offset.saturating_add(self.expected.len() as u64);
            self.candidates = Some(Candidates::new(stage.ranges, span));
            reader.cost.rounds += 1;
            return true;
        }
        false
    }

    /// Keeps probes in flight until one hits or the stage is used up. No read is in flight afterwards.
    fn probe_until_hit(&mut self, reader: &mut Reader<'_>) {
        let before = self.tally.probes;
        let memory = reader.memory();
        let limits = memory.limits();
        let length = u32::try_from(self.expected.len()).unwrap_or(0);
        let window = usize::try_from(limits.window_reads)
            .unwrap_or(1)
            .saturating_mul(2)
            .max(FIRST_PROBES);
        let mut in_flight: usize = 0;
        loop {
            let room = if !self.hits.is_empty() || self.tally.silent() {
                0
            } else if self.tally.unanswered == self.tally.probes {
                FIRST_PROBES
            } else {
                window
            };
            while in_flight < room && self.submit_next(memory, length) {
                in_flight += 1;
            }
            if in_flight == 0 {
                break;
            }
            memory.complete(&mut |candidate, outcome| {
                in_flight = in_flight.saturating_sub(1);
                self.judge(PhysAddr::new(candidate), outcome);
            });
        }
        reader.cost.probes += self.tally.probes - before;
    }

    /// Submits the next probe; its id is the candidate's address.
    fn submit_next(&mut self, memory: &mut dyn PhysicalMemory, length: u32) -> bool {
        let next = self.candidates.as_mut().and_then(Iterator::next);
        let Some(candidate) = next else {
            self.candidates = None;
            return false;
        };
        // Candidates are made such that the probed bytes do not pass the end of the address space.
        let address = PhysAddr::new(candidate.get().wrapping_add(self.offset));
        memory.submit(ReadRequest {
            id: candidate.get(),
            address,
            length,
        });
        true
    }

    fn judge(&mut self, candidate: PhysAddr, outcome: Result<&[u8], ReadFailure>) {
        self.tally.probes += 1;
        match outcome {
            Ok(bytes) => {
                self.tally.readable.push(candidate);
                if bytes == self.expected {
                    self.hits.push_back(candidate);
                } else if bytes.starts_with(PREFIX) && self.tally.strangers.len() < MAX_STRANGERS {
                    self.tally.strangers.push(candidate);
                }
            }
            Err(failure) => self.tally.failed(failure),
        }
    }

    /// Where RAM was seen: the aligned block around every probe that could be read.
    pub(super) fn readable_blocks(&self) -> Vec<PhysRange> {
        let alignment = super::candidates::ALIGNMENT;
        let blocks = self.tally.readable.iter().filter_map(|candidate| {
            let probed = candidate.checked_add(self.offset)?.get();
            PhysRange::of_length(PhysAddr::new(probed & !(alignment - 1)), alignment)
        });
        super::candidates::merged(&blocks.collect::<Vec<_>>())
    }
}
