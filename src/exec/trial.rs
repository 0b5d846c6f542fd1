//! What a query will cost, from a trial: its outermost walks are walked for their links, then rows of some elements are computed, and of
//! twice as many, until enough has been read to tell. No row is given.
//!
//! What the last step added, when what rows have in common had been read by those before, is what every further row is taken to add.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::addr::VirtAddr;
use crate::lang::typed::{CheckedTraversal, SourceId, WalkBody};
use crate::plan::{Plan, Window, Windows, reads_beyond};
use crate::wave::{Budget, Engine, Reader, Stalled, Stopped};

use super::ahead::{Ahead, prefetch};
use super::context::{Context, Environment};
use super::{Target, materialize, query};

/// Most reads of a trial.
const MOST_READS: u64 = 1 << 16;

/// A trial that has spent as many reads computes no more rows.
const ENOUGH_READS: u64 = 4096;

/// Elements whose rows the first step computes, about.
const FIRST_ELEMENTS: u64 = 256;

/// Elements that follow one another and are computed together: what lies side by side is read together.
const NEIGHBOURS: usize = 16;

/// What a prediction comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The same query has run before, and what it needed is asked for at once.
    LastRun,
    /// A trial.
    Trial {
        /// Elements of the outermost walks.
        elements: u64,
        /// Those of which the rows were computed.
        computed: u64,
        /// Reads of the trial.
        reads: u64,
    },
    /// A trial that was not completed: the query takes more than is predicted.
    Unfinished(Stopped),
}

/// What a query will likely cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prediction {
    /// Reads.
    pub reads: u64,
    /// Longest chain of reads each of which needs the bytes of the one before.
    pub rounds: u32,
    /// Where this is known from.
    pub basis: Basis,
}

/// The elements of an outermost walk.
#[derive(Debug)]
struct Walked {
    elements: Vec<VirtAddr>,
    /// What is read of each in the first step.
    links: Vec<Window>,
    /// What the query reads of each.
    whole: Vec<Window>,
}

impl Walked {
    /// One of so many elements, evenly. The last of each stretch: a smaller share's elements are all in a larger one that it divides.
    fn one_of(&self, every: usize) -> FxHashSet<VirtAddr> {
        let stretches = self.elements.chunks(NEIGHBOURS);
        let chosen = stretches.skip(every.saturating_sub(1)).step_by(every);
        chosen.flatten().copied().collect()
    }

    /// Reads that the query makes in one and the trial, which reads links first, in more.
    fn beyond(&self) -> u64 {
        let elements = self.elements.len() as u64;
        elements.saturating_mul(reads_beyond(&self.links, &self.whole))
    }

    /// Asks for what the query reads of an element, as deep as its links were: the query asks for both at once.
    fn ask(&self, context: &Context, reader: &Reader, element: VirtAddr) {
        let Some(link) = self.links.first() else {
            return;
        };
        reader.set_depth(0);
        let link = element.wrapping_offset(link.offset);
        let read = reader.glance(|reader| reader.try_read(context.space(), link, &mut [0; 8]));
        if read.is_ready() && reader.depth() > 0 {
            reader.set_depth(reader.depth() - 1);
            prefetch(context, reader, element, &self.whole);
        }
    }
}

/// The outermost walks: a query that is made of others has several.
type Walks = BTreeMap<SourceId, Walked>;

/// Of which elements of the outermost walks a step of a trial computes the rows.
#[derive(Debug)]
pub(super) struct Sample {
    chosen: FxHashMap<SourceId, FxHashSet<VirtAddr>>,
    walked: RefCell<Walks>,
}

/// An outermost walk in a trial.
#[derive(Debug)]
pub(super) struct Thin {
    source: SourceId,
    /// What is read of every element.
    windows: Rc<Windows>,
    /// What the query reads of an element.
    pub(super) whole: Vec<Window>,
}

impl Thin {
    /// What of a walk query is read in a trial, if its outermost walk is one that a trial computes a share of: a query in its place has
    /// an outermost walk of its own.
    pub(super) fn of(body: &WalkBody, whole: &Windows) -> Option<Self> {
        let outermost = body.sources.first()?;
        if matches!(outermost.traversal, CheckedTraversal::Query(_)) {
            return None;
        }
        let source = outermost.id;
        Some(Self {
            source,
            windows: Rc::new(whole.with_links_only(outermost)),
            whole: whole.of_source(source),
        })
    }

    /// What is asked for of all elements.
    pub(super) fn ahead(&self) -> Ahead {
        Ahead::new(&self.windows, self.source)
    }

    /// Takes note of an element; whether its rows are computed.
    pub(super) fn takes(&self, context: &Context, address: VirtAddr) -> bool {
        let Some(sample) = &context.sample else {
            return true;
        };
        let mut walked = sample.walked.borrow_mut();
        let walked = walked.entry(self.source).or_insert_with(|| Walked {
            elements: Vec::new(),
            links: self.windows.of_source(self.source),
            whole: self.whole.clone(),
        });
        walked.elements.push(address);
        let chosen = sample.chosen.get(&self.source);
        chosen.is_some_and(|chosen| chosen.contains(&address))
    }
}

/// A trial's state after a step.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    elements: u64,
    computed: u64,
    /// Reads so far.
    reads: u64,
    /// What the query is predicted to read.
    predicted: u64,
}

impl Step {
    /// The part of all elements whose rows are computed.
    fn share(&self) -> f64 {
        self.computed as f64 / self.elements.max(1) as f64
    }

    /// A step after this one. What the trial reads in more parts than the query, `beyond`, is in the reads of each element.
    fn next(&self, elements: u64, computed: u64, reads: u64, beyond: u64) -> Self {
        let mut next = Self {
            elements,
            computed,
            reads,
            predicted: 0,
        };
        let added = next.reads.saturating_sub(self.reads) as f64;
        let further = if next.share() > self.share() {
            added / (next.share() - self.share()) * (1.0 - next.share())
        } else {
            0.0
        };
        next.predicted = (next.reads + further as u64).saturating_sub(beyond);
        next
    }
}

/// Tells what a query will likely cost. Where the query of that name has run before, that is told without a read. Rows are computed, and
/// reads are spent, as far as `budget` and the bounds of a trial allow; nothing is remembered of them.
pub fn predict_cost(
    engine: &Rc<Engine>,
    target: &Target,
    plan: &Plan,
    name: &str,
    budget: Budget,
) -> Result<Prediction, Stalled> {
    if let Some(reads) = engine.recalled_reads(name) {
        return Ok(Prediction {
            reads,
            rounds: 1,
            basis: Basis::LastRun,
        });
    }
    let budget = Budget {
        max_reads: budget.max_reads.min(MOST_READS),
        ..budget
    };
    let (target, plan) = (target.clone(), plan.clone());
    let (last, cost) = engine.run(budget, move |reader| Trial { target, plan }.run(reader))?;
    let basis = match cost.stopped {
        Some(stopped) => Basis::Unfinished(stopped),
        None => Basis::Trial {
            elements: last.elements,
            computed: last.computed,
            reads: cost.reads,
        },
    };
    Ok(Prediction {
        reads: match cost.stopped {
            Some(_) => cost.reads,
            None => last.predicted,
        },
        rounds: cost.rounds,
        basis,
    })
}

/// A query that is tried.
struct Trial {
    target: Target,
    plan: Plan,
}

impl Trial {
    /// All steps; gives the last.
    async fn run(self, reader: Reader) -> Step {
        let reads = || reader.engine().cost().reads;
        let (walked, _) = self.step(&Walks::new(), usize::MAX, &reader).await;
        let elements = walked.values().map(|walked| walked.elements.len() as u64);
        let longest = elements.clone().max().unwrap_or(0);
        let elements = elements.sum();
        let beyond = walked.values().map(Walked::beyond).sum();
        let mut last = Step::default().next(elements, 0, reads(), 0);
        let reads_of_links = last.reads;
        let mut every = (longest / FIRST_ELEMENTS).max(1).next_power_of_two() as usize;
        if longest == 0 {
            return last;
        }
        loop {
            let (_, computed) = self.step(&walked, every, &reader).await;
            last = last.next(elements, computed, reads(), beyond);
            let spent = last.reads.saturating_sub(reads_of_links);
            if every == 1 || spent >= ENOUGH_READS {
                break;
            }
            every /= 2;
        }
        // What has been read is part of what the query reads.
        last.predicted = last.predicted.max(reader.engine().fewest_reads(true));
        last
    }

    /// Runs the query, with the rows of one of `every` elements. It begins where the query begins; what steps before it have read is
    /// here, with its depth. Gives the elements that were walked and how many were computed.
    async fn step(&self, walked: &Walks, every: usize, reader: &Reader) -> (Walks, u64) {
        let of = |(source, walked): (&SourceId, &Walked)| (*source, walked.one_of(every));
        let chosen: FxHashMap<_, _> = walked.iter().map(of).collect();
        let computed = chosen.values().map(|chosen| chosen.len() as u64).sum();
        let sample = Sample {
            chosen,
            walked: RefCell::default(),
        };
        let context = Rc::new(Context::sampling(self.target.clone(), sample));
        let reader = reader.fork();
        for (source, walked) in walked {
            let chosen = context
                .sample
                .as_ref()
                .and_then(|sample| sample.chosen.get(source));
            for element in chosen.into_iter().flatten() {
                walked.ask(&context, &reader, *element);
            }
        }
        reader.set_depth(0);
        let environment = Environment::default();
        let mut rows = query::run(&context, &self.plan.query, environment, reader.clone()).await;
        materialize::rows(&context, &reader, &mut rows).await;
        let walked = context.sample.as_ref().map(|sample| sample.walked.take());
        (walked.unwrap_or_default(), computed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smaller_share_is_part_of_a_larger_one() {
        let walked = Walked {
            elements: (0..1000).map(VirtAddr::new).collect(),
            links: Vec::new(),
            whole: Vec::new(),
        };
        assert!(walked.one_of(usize::MAX).is_empty());
        for every in [1, 2, 4, 8] {
            let larger = walked.one_of(every);
            assert!(walked.one_of(every * 2).is_subset(&larger));
            assert!(larger.len() * every >= 1000 - every * NEIGHBOURS, "{every}");
        }
        assert_eq!(walked.one_of(1).len(), 1000);
    }

    #[test]
    fn what_the_last_rows_added_is_what_further_ones_are_taken_to_add() {
        // Links of 1000 elements, a read each; the rows of 100 need 50 reads that they share and 3 each, in two parts.
        let links = Step::default().next(1000, 0, 1000, 0);
        let first = links.next(1000, 100, 1000 + 50 + 300, 1000);
        let second = first.next(1000, 200, 1000 + 50 + 600, 1000);
        assert_eq!(second.predicted, 50 + 3000);
        let whole = second.next(1000, 1000, 1000 + 50 + 3000, 1000);
        assert_eq!(whole.predicted, 50 + 3000);
    }
}
