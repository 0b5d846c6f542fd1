//! A kernel's memory, read twice over the same adapter → what each way costs: one tag and one read at a time, as LibTLP's programs do,
//! and nettlp-q's waves.
//!
//! Both list all processes, in one run of one program on one machine, and their rows are compared: what is measured is the same work.
//! Counters come first, because they hardly depend on the machine (nettlp-q's vary a little with the order of answers); times are the
//! best of several runs. The adapter is the one of this
//! program in a thread of its own, with a delay from each request to its answer that stands for the card and the network.

mod bulk;
mod error;
mod query;
mod serial;
mod single_tag;
mod table;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::adapter::{Adapter, AdapterOptions};
use crate::dma::{Dma, DmaOptions};
use crate::locate::{Kernel, LocateOptions, locate};
use crate::memory::PhysicalMemory;
use crate::profile::LayoutProfile;
use crate::report::Report;
use crate::session::Status;
use crate::wire::RequesterId;

pub use bulk::{Bulk, Throughput};
pub use error::BenchError;
pub use serial::Task;
pub use table::{bulk_table, list_table};

use query::{Conversation, names};
use serial::ProcessList;
use single_tag::SingleTag;

/// The query that is measured.
pub const QUERY: &str = "walk tasks select pid, comm, state";

/// A measurement that takes this long is not repeated.
const LONG: Duration = Duration::from_secs(10);

/// Time between two users of the same ports, beside the delay: answers to the first are no longer on their way.
const SETTLE: Duration = Duration::from_millis(20);

/// What the target's kernel looks like.
#[derive(Clone, Debug)]
pub enum Profile {
    /// A layout profile in a file.
    File(PathBuf),
    /// A layout profile at hand (the demo's).
    BuiltIn(Cow<'static, [u8]>),
}

impl Profile {
    fn open(&self) -> Result<LayoutProfile, BenchError> {
        Ok(match self {
            Self::File(path) => LayoutProfile::open(path)?,
            Self::BuiltIn(bytes) => LayoutProfile::from_bytes(bytes.clone())?,
        })
    }
}

/// Opens the memory that is measured, once for each delay.
pub type OpenMemory<'a> = dyn Fn() -> Result<Box<dyn PhysicalMemory + Send>, Report> + 'a;

/// What is measured.
pub struct Subject<'a> {
    /// The memory of a machine that is stopped.
    pub memory: &'a OpenMemory<'a>,
    /// Its kernel.
    pub profile: Profile,
}

impl std::fmt::Debug for Subject<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Subject {{ profile: {:?} }}", self.profile)
    }
}

/// How it is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BenchOptions {
    /// Address of the adapter.
    pub listen: Ipv4Addr,
    /// Address of the two requesters; another one, because they need the same ports.
    pub local: Ipv4Addr,
    /// From the arrival of a request to its answer; everything is measured at each.
    pub delays: Vec<Duration>,
    /// The best of so many runs counts; one that takes more than ten seconds is not repeated.
    pub repeat: u32,
    /// Bytes of RAM to read in bulk at the first delay of zero; 0: none.
    pub bulk: u64,
}

/// What one way cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    /// Rows that it gave.
    pub rows: u64,
    /// Reads that were sent.
    pub reads: u64,
    /// Longest chain of reads each of which needed the bytes of the one before.
    pub rounds: u64,
    /// Bytes that were asked for.
    pub bytes: u64,
    /// Reads that were sent again.
    pub retries: u64,
    /// Reads that failed.
    pub failed: u64,
    /// Best time of `runs`.
    pub elapsed: Duration,
    /// How often it was measured.
    pub runs: u32,
}

impl Measure {
    /// Keeps the faster of two.
    fn or_faster(self, other: Self) -> Self {
        let runs = self.runs + other.runs;
        let faster = if self.runs == 0 || (other.runs > 0 && other.elapsed < self.elapsed) {
            other
        } else {
            self
        };
        Self { runs, ..faster }
    }
}

/// What was measured at one delay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AtDelay {
    /// From the arrival of a request to its answer.
    pub delay: Duration,
    /// Finding and verifying the kernel, which nettlp-q does once for each target; the serial list is told where it is.
    pub locate: Measure,
    /// One tag, one read, one field at a time.
    pub serial: Measure,
    /// nettlp-q's first query of a session.
    pub query: Measure,
    /// The same query once more in the same session.
    pub again: Measure,
    /// Processes that the serial list does not see: children of threads that do not lead their process.
    pub missed: u64,
}

impl AtDelay {
    /// How many times as many rounds the serial list takes.
    pub fn rounds_ratio(&self) -> f64 {
        self.serial.rounds as f64 / (self.query.rounds as f64).max(1.0)
    }

    /// How many times as long the serial list takes.
    pub fn time_ratio(&self) -> f64 {
        self.serial.elapsed.as_secs_f64() / self.query.elapsed.as_secs_f64().max(1e-9)
    }
}

/// All that was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The kernel's banner, as its profile has it.
    pub banner: String,
    /// Its release.
    pub release: String,
    /// One entry for each delay, in the order in which they were given.
    pub delays: Vec<AtDelay>,
    /// Much memory at once, at a delay of zero.
    pub bulk: Option<Bulk>,
}

/// The way to the adapter.
#[derive(Clone, Copy, Debug)]
struct Link {
    remote: Ipv4Addr,
    local: Ipv4Addr,
    requester: RequesterId,
}

impl Link {
    /// All that nettlp-q does by default.
    fn options(&self) -> DmaOptions {
        DmaOptions {
            local: Some(IpAddr::V4(self.local)),
            ..DmaOptions::new(IpAddr::V4(self.remote), self.requester)
        }
    }
}

/// Measures. `say` is told what begins, for people who wait.
///
/// Errors: the memory, the profile or the ports cannot be used; the kernel is not there; the two ways did not see the same.
pub fn run(
    subject: &Subject<'_>,
    options: &BenchOptions,
    say: &mut dyn FnMut(&str),
) -> Result<Outcome, BenchError> {
    let profile = subject.profile.open()?;
    let mut outcome = Outcome {
        banner: profile.header().version.trim_end().to_owned(),
        release: profile.header().release.clone(),
        ..Outcome::default()
    };
    for &delay in &options.delays {
        let memory = (subject.memory)()
            .map_err(|report| BenchError::Told(Box::new(report), Status::Wrong))?;
        let ram = memory.ram();
        let adapter = AdapterOptions {
            listen: options.listen,
            delay,
            ..AdapterOptions::default()
        };
        let adapter = Adapter::spawn(&adapter, memory)?;
        let bench = Bench {
            link: Link {
                remote: options.listen,
                local: options.local,
                requester: AdapterOptions::USUAL_REQUESTER,
            },
            profile: &profile,
            subject: &subject.profile,
            repeat: options.repeat.max(1),
            delay,
        };
        outcome.delays.push(bench.lists(say)?);
        if delay.is_zero() && outcome.bulk.is_none() && options.bulk > 0 {
            outcome.bulk = match ram {
                Some(ram) => {
                    say("reading RAM in bulk");
                    Some(bulk::bulk(&bench.link, &ram, options.bulk, bench.repeat)?)
                }
                None => {
                    say("the memory does not know where RAM is: nothing is read in bulk");
                    None
                }
            };
        }
        adapter.stop()?;
    }
    Ok(outcome)
}

/// Everything at one delay.
struct Bench<'b> {
    link: Link,
    profile: &'b LayoutProfile,
    subject: &'b Profile,
    repeat: u32,
    delay: Duration,
}

impl Bench<'_> {
    /// Both lists, and whether they are the same.
    fn lists(&self, say: &mut dyn FnMut(&str)) -> Result<AtDelay, BenchError> {
        let delay = match self.delay {
            Duration::ZERO => "no delay".to_owned(),
            delay => format!("delay {}", table::time(delay)),
        };
        say(&format!("{delay}: finding the kernel"));
        let (kernel, locate) = self.locate()?;
        say(&format!("{delay}: nettlp-q, `{QUERY}`"));
        let (expected, query, again) = self.ask()?;
        say(&format!("{delay}: one read at a time"));
        let list = ProcessList::new(self.profile, &kernel)?;
        let (seen, serial) = self.serial(&list)?;
        Ok(AtDelay {
            delay: self.delay,
            locate,
            serial,
            query,
            again,
            missed: missed(&seen, &expected)?,
        })
    }

    fn locate(&self) -> Result<(Kernel, Measure), BenchError> {
        self.settle();
        let mut memory = Dma::open(&self.link.options())?;
        let started = Instant::now();
        let kernel = locate(&mut memory, self.profile, &LocateOptions::default())?;
        let elapsed = started.elapsed();
        let counters = memory.counters();
        let measure = Measure {
            rows: 1,
            reads: kernel.cost.probes + kernel.cost.reads,
            rounds: kernel.cost.rounds,
            bytes: counters.bytes,
            retries: counters.retries,
            failed: counters.failed,
            elapsed,
            runs: 1,
        };
        Ok((kernel, measure))
    }

    /// nettlp-q in sessions of its own, cold and once more; and the processes for comparison.
    fn ask(&self) -> Result<(Vec<Task>, Measure, Measure), BenchError> {
        let (mut cold, mut warm) = (Measure::default(), Measure::default());
        let mut tasks = Vec::new();
        while cold.runs < self.repeat {
            self.settle();
            let mut conversation = Conversation::open(&self.link, self.subject)?;
            let (first, query) = conversation.measure()?;
            let (second, again) = conversation.measure()?;
            if tasks.is_empty() {
                tasks = conversation.list("tasks", self.profile)?;
            }
            same_names(&tasks, &names(&first))?;
            same_names(&tasks, &names(&second))?;
            cold = cold.or_faster(query);
            warm = warm.or_faster(again);
        }
        Ok((tasks, cold, warm))
    }

    fn serial(&self, list: &ProcessList) -> Result<(Vec<Task>, Measure), BenchError> {
        let mut best = Measure::default();
        loop {
            self.settle();
            let mut tag = SingleTag::open(self.link.local, self.link.remote, self.link.requester)?;
            let started = Instant::now();
            let tasks = list.read(&mut tag)?;
            let elapsed = started.elapsed();
            best = best.or_faster(Measure {
                rows: tasks.len() as u64,
                reads: tag.reads,
                // Each read waits for the one before it.
                rounds: tag.reads,
                bytes: tag.bytes,
                elapsed,
                runs: 1,
                ..Measure::default()
            });
            if best.runs >= self.repeat || elapsed >= LONG {
                return Ok((tasks, best));
            }
        }
    }

    fn settle(&self) {
        std::thread::sleep(SETTLE + self.delay * 2);
    }
}

/// Refuses answers to the query that are not about these processes.
fn same_names(tasks: &[Task], names: &[(i128, Vec<u8>)]) -> Result<(), BenchError> {
    let mut expected: Vec<_> = tasks
        .iter()
        .map(|task| (i128::from(task.pid), task.comm.clone()))
        .collect();
    expected.sort();
    if expected == names {
        return Ok(());
    }
    Err(BenchError::Differs {
        what: "two answers of nettlp-q",
        example: format!("{} and {} processes", expected.len(), names.len()),
    })
}

/// How many of `expected` the serial list did not see; all that it saw must be among them.
fn missed(seen: &[Task], expected: &[Task]) -> Result<u64, BenchError> {
    let all: std::collections::HashSet<&Task> = expected.iter().collect();
    match seen.iter().find(|task| !all.contains(task)) {
        None => Ok(expected.len().saturating_sub(seen.len()) as u64),
        Some(task) => Err(BenchError::Differs {
            what: "the lists of processes",
            example: format!("only one read at a time sees {task:?}"),
        }),
    }
}
