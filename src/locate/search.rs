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
    /// Where the readable probes were.
    probed: Vec<PhysAddr>,
    /// Failed probes by reason.
    pub(super) failures: BTreeMap<String, u64>,
    /// Probes that ended without any word from the target, while nothing else had been heard.
    unanswered: u64,
    /// Candidates with a banner of another kernel at the very place.
    pub(super) strangers: Vec<PhysAddr>,
    /// Where those banners are.
    pub(super) strange_banners: Vec<PhysAddr>,
}

/// Bytes that tell one kernel, at a distance from its image's first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Probe<'l> {
    /// Bytes from the image's first.
    pub(super) offset: u64,
    /// What must be there.
    pub(super) expected: &'l [u8],
}

impl Probe<'_> {
    /// Bytes from the image's first to one past the last probed.
    fn span(&self) -> u64 {
        self.offset.saturating_add(self.expected.len() as u64)
    }
}

/// A candidate at which a probe found what it looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    /// Where the image would begin.
    pub(super) image: PhysAddr,
    /// Which of the probes.
    pub(super) probe: usize,
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
    /// What is probed at every candidate.
    probes: Vec<Probe<'l>>,
    /// The candidate whose turn it is, the bytes from it to the end of its range, the probe that is next.
    current: Option<(PhysAddr, u64, usize)>,
    hits: VecDeque<Hit>,
    readable_before_stage: usize,
    pub(super) tally: Tally,
}

impl<'l> Search<'l> {
    /// A search through `stages` for `expected` at `offset` from a candidate.
    pub(super) fn new(stages: Vec<Stage>, offset: u64, expected: &'l [u8]) -> Self {
        Self::for_any(stages, vec![Probe { offset, expected }])
    }

    /// A search through `stages` for any of the probes: one sweep, whatever their number. They are fewer than the bytes from one
    /// candidate to the next.
    pub(super) fn for_any(stages: Vec<Stage>, probes: Vec<Probe<'l>>) -> Self {
        Self {
            stages: stages.into(),
            candidates: None,
            probes,
            current: None,
            hits: VecDeque::new(),
            readable_before_stage: 0,
            tally: Tally::default(),
        }
    }

    /// The next candidate with a banner that is looked for, or `None` at the end of the search.
    pub(super) fn next_hit(&mut self, reader: &mut Reader<'_>) -> Option<Hit> {
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
            let shortest = self.probes.iter().map(Probe::span).min().unwrap_or(0);
            self.candidates = Some(Candidates::new(stage.ranges, shortest));
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
            while in_flight < room && self.submit_next(memory) {
                in_flight += 1;
            }
            if in_flight == 0 {
                break;
            }
            memory.complete(&mut |id, outcome| {
                in_flight = in_flight.saturating_sub(1);
                self.judge(id, outcome);
            });
        }
        reader.cost.probes += self.tally.probes - before;
    }

    /// Submits the next probe. Its id is the candidate's address and, in the bits that are zero there, the probe's number.
    fn submit_next(&mut self, memory: &mut dyn PhysicalMemory) -> bool {
        let Some((candidate, number)) = self.next_probe() else {
            self.candidates = None;
            return false;
        };
        let Some(probe) = self.probes.get(number) else {
            return false;
        };
        memory.submit(ReadRequest {
            id: candidate.get() + number as u64,
            // Candidates are made such that the probed bytes do not pass the end of the address space.
            address: PhysAddr::new(candidate.get().wrapping_add(probe.offset)),
            length: u32::try_from(probe.expected.len()).unwrap_or(0),
        });
        true
    }

    /// The next probe whose bytes lie in the same range as the candidate.
    fn next_probe(&mut self) -> Option<(PhysAddr, usize)> {
        loop {
            if let Some((candidate, room, number)) = &mut self.current {
                while let Some(probe) = self.probes.get(*number) {
                    *number += 1;
                    if probe.span() <= *room {
                        return Some((*candidate, *number - 1));
                    }
                }
            }
            let candidates = self.candidates.as_mut()?;
            self.current = None;
            let candidate = candidates.next()?;
            self.current = Some((candidate, candidates.room(), 0));
        }
    }

    fn judge(&mut self, id: u64, outcome: Result<&[u8], ReadFailure>) {
        self.tally.probes += 1;
        let within = id % super::candidates::ALIGNMENT;
        let image = PhysAddr::new(id - within);
        let number = usize::try_from(within).unwrap_or(usize::MAX);
        let Some(probe) = self.probes.get(number) else {
            return;
        };
        let at = PhysAddr::new(image.get().wrapping_add(probe.offset));
        match outcome {
            Ok(bytes) => {
                self.tally.readable.push(image);
                self.tally.probed.push(at);
                if bytes == probe.expected {
                    self.hits.push_back(Hit {
                        image,
                        probe: number,
                    });
                } else if bytes.starts_with(PREFIX) && self.tally.strangers.len() < MAX_STRANGERS {
                    self.tally.strangers.push(image);
                    self.tally.strange_banners.push(at);
                }
            }
            Err(failure) => self.tally.failed(failure),
        }
    }

    /// Where RAM was seen: the aligned block around every probe that could be read.
    pub(super) fn readable_blocks(&self) -> Vec<PhysRange> {
        let alignment = super::candidates::ALIGNMENT;
        let blocks = self.tally.probed.iter().filter_map(|probed| {
            PhysRange::of_length(PhysAddr::new(probed.get() & !(alignment - 1)), alignment)
        });
        super::candidates::merged(&blocks.collect::<Vec<_>>())
    }
}
