//! The same list asked of nettlp-q: a session over all tags, as `nettlp-q -r` opens one.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::addr::PhysAddr;
use crate::dma::Dma;
use crate::locate::LocateOptions;
use crate::profile::{LayoutProfile, SearchPath};
use crate::report::{Report, Severity, SourceText};
use crate::row::{Row, Rows};
use crate::session::{
    BuiltInProfile, Output, Session, SessionOptions, Settings, Statistics, Status,
};
use crate::value::Value;

use super::serial::{OLD_STATE, STATE, Task};
use super::{BenchError, Link, Measure, Profile, QUERY};

/// A statement that needs the kernel and reads nothing of it: it makes the session find the kernel.
const ATTACH: &str = "print 1";

/// A session whose kernel is found and that has been asked nothing yet.
#[derive(Debug)]
pub(super) struct Conversation {
    session: Session,
}

impl Conversation {
    /// Opens the ports, the profile and the session, and lets it find the kernel.
    pub(super) fn open(link: &Link, profile: &Profile) -> Result<Self, BenchError> {
        let dma = Dma::open(&link.options())?;
        let (profiles, built_in_profile) = match profile {
            Profile::File(path) => (vec![path.clone()], None),
            Profile::BuiltIn(bytes) => {
                let bytes = bytes.clone();
                (Vec::new(), Some(BuiltInProfile::load(move || Some(bytes))))
            }
        };
        let session = Session::open(SessionOptions {
            memory: Box::new(dma),
            target: format!("adapter {}", IpAddr::V4(link.remote)),
            profiles,
            built_in_profile,
            variables: Vec::new(),
            ram: None,
            vmlinux: None,
            scan_budget: LocateOptions::default().scan_budget,
            search_path: SearchPath::default(),
        });
        let session =
            session.map_err(|(report, status)| BenchError::Told(Box::new(report), status))?;
        let mut conversation = Self { session };
        conversation.ask(ATTACH)?;
        Ok(conversation)
    }

    /// Asks the query that is measured. The time is that from the text to the rows: parsing, checking and planning included.
    pub(super) fn measure(&mut self) -> Result<(Rows, Measure), BenchError> {
        let answer = self.ask(QUERY)?;
        let counted = answer.statistics;
        let measure = Measure {
            rows: counted.rows,
            reads: counted.reads,
            rounds: counted.rounds,
            bytes: counted.bytes,
            retries: counted.retries,
            failed: counted.failed,
            elapsed: answer.elapsed,
            runs: 1,
        };
        Ok((answer.rows, measure))
    }

    /// The processes of a walk with what the serial list knows of each, for comparison.
    pub(super) fn list(
        &mut self,
        walk: &str,
        profile: &LayoutProfile,
    ) -> Result<Vec<Task>, BenchError> {
        let task = profile.structure("task_struct")?;
        let is_new = task.is_some_and(|task| task.member(STATE).is_some());
        let state = if is_new { STATE } else { OLD_STATE };
        let text = format!("walk {walk} select phys, pid, self.{state} as raw, comm");
        let answer = self.ask(&text)?;
        answer.rows.rows.iter().map(task_of).collect()
    }

    fn ask(&mut self, text: &str) -> Result<Answer, BenchError> {
        let source = Arc::new(SourceText {
            name: "<bench>".to_owned(),
            text: text.to_owned(),
        });
        let mut answer = Answer::default();
        let started = Instant::now();
        let status = self.session.run(&source, &mut answer);
        answer.elapsed = started.elapsed();
        if status == Status::Complete {
            return Ok(answer);
        }
        let worst = answer
            .reports
            .into_iter()
            .max_by_key(|report| report.severity)
            .unwrap_or_else(|| Report::error("the query was not answered"));
        Err(BenchError::Told(Box::new(worst), status))
    }
}

/// What a text gave.
#[derive(Debug, Default)]
struct Answer {
    rows: Rows,
    statistics: Statistics,
    elapsed: Duration,
    reports: Vec<Report>,
}

impl Output for Answer {
    fn rows(&mut self, rows: &Rows, _: &Settings) {
        self.rows = rows.clone();
    }

    fn text(&mut self, _: &str) {}

    fn report(&mut self, report: &Report) {
        if report.severity > Severity::Note {
            self.reports.push(report.clone());
        }
    }

    fn statistics(&mut self, statistics: &Statistics) {
        self.statistics = *statistics;
    }
}

/// Process ids and names of the rows of [`QUERY`], sorted: what two answers to it have in common whatever their order.
pub(super) fn names(rows: &Rows) -> Vec<(i128, Vec<u8>)> {
    let mut names: Vec<_> = rows
        .rows
        .iter()
        .filter_map(|row| match row.cells.as_slice() {
            [pid, comm, ..] => Some((pid.as_integer()?, text(comm)?)),
            _ => None,
        })
        .collect();
    names.sort();
    names
}

/// A row of the query for comparison.
fn task_of(row: &Row) -> Result<Task, BenchError> {
    let [physical, pid, state, comm] = row.cells.as_slice() else {
        return Err(unreadable(row));
    };
    let task = || {
        Some(Task {
            physical: PhysAddr::new(u64::try_from(physical.as_integer()?).ok()?),
            pid: i32::try_from(pid.as_integer()?).ok()?,
            state: low_half(state)?,
            comm: text(comm)?,
        })
    };
    task().ok_or_else(|| unreadable(row))
}

/// The low 32 bits of a state, whatever its type.
fn low_half(state: &Value) -> Option<u32> {
    state.as_integer().map(|number| number as u32)
}

fn text(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Text(bytes) | Value::Bytes(bytes) => Some(bytes.to_vec()),
        _ => None,
    }
}

fn unreadable(row: &Row) -> BenchError {
    BenchError::Differs {
        what: "the columns of a process",
        example: format!("nettlp-q gave {:?}", row.cells),
    }
}
