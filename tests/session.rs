//! A session as a program that embeds it meets it: the built-in demo, asked through the library.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nettlp_q::profile::SearchPath;
use nettlp_q::report::{Report, SourceText};
use nettlp_q::row::Rows;
use nettlp_q::session::{
    BuiltInProfile, Output, Session, SessionOptions, Settings, Statistics, Status, demo,
};

/// Keeps what a session says.
#[derive(Default)]
struct Listener {
    rows: Vec<Rows>,
    reports: Vec<String>,
    texts: Vec<String>,
    statistics: Vec<Statistics>,
    /// Set when rows come: a user who presses Ctrl-C then.
    interrupts: Option<Arc<AtomicBool>>,
}

impl Output for Listener {
    fn rows(&mut self, rows: &Rows, _: &Settings) {
        self.rows.push(rows.clone());
        if let Some(cancel) = &self.interrupts {
            cancel.store(true, Ordering::Relaxed);
        }
    }

    fn text(&mut self, text: &str) {
        self.texts.push(text.to_owned());
    }

    fn report(&mut self, report: &Report) {
        self.reports.push(report.message.clone());
    }

    fn statistics(&mut self, statistics: &Statistics) {
        self.statistics.push(*statistics);
    }
}

fn session() -> Session {
    session_with(Vec::new())
}

fn session_with(profiles: Vec<std::path::PathBuf>) -> Session {
    Session::open(SessionOptions {
        memory: demo::memory().unwrap(),
        target: "the demo".to_owned(),
        profiles,
        built_in_profile: Some(BuiltInProfile::load(demo::profile)),
        variables: Vec::new(),
        ram: None,
        vmlinux: None,
        scan_budget: u64::MAX,
        search_path: SearchPath::default(),
    })
    .unwrap()
}

fn text(text: &str) -> Arc<SourceText> {
    Arc::new(SourceText {
        name: "test".to_owned(),
        text: text.to_owned(),
    })
}

#[test]
fn an_interrupt_between_statements_is_told_and_the_rest_is_not_run() {
    let mut session = session();
    let mut listener = Listener {
        interrupts: Some(session.cancel_flag()),
        ..Listener::default()
    };
    let status = session.run(&text("print 1; print 2; print 3"), &mut listener);
    assert_eq!(status, Status::Failed);
    assert_eq!(listener.rows.len(), 1);
    assert_eq!(
        listener.reports,
        ["cancelled: the last 2 statements were not run"]
    );
    // The next text is not touched by it.
    listener.interrupts = None;
    assert_eq!(
        session.run(&text("print 4"), &mut listener),
        Status::Complete
    );
}

/// Rows of a text, as they print.
fn rows(session: &mut Session, asked: &str) -> Vec<String> {
    let mut listener = Listener::default();
    let status = session.run(&text(asked), &mut listener);
    assert!(
        // A `check` that finds something is answered, too.
        status == Status::Complete || status == Status::Failed && asked.contains("\ncheck"),
        "{asked}: {:?}",
        listener.reports
    );
    listener
        .rows
        .iter()
        .map(|rows| format!("{rows:?}"))
        .collect()
}

fn scripts() -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        // Reads more than the demo's recording holds (`tests/examples.rs`).
        .filter(|path| !path.ends_with("kallsyms.nq"))
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect()
}

/// The walk library with predictors that are wrong: `wrong` stands for each pid, in place of its process.
fn wrong_predictors(wrong: &str) -> String {
    let library = include_str!("../profiles/linux/tasks.yaml");
    let column = format!("      wrong: {{doc: not a process, expr: \"{wrong}\"}}\n      leader:\n");
    let mut changed = library.replace("      leader:\n", &column);
    for predictor in ["pids.leader", "pids.task"] {
        changed = changed.replace(&format!("predict: [{predictor}"), "predict: [pids.wrong");
    }
    assert!(changed.matches("predict: [pids.wrong").count() == 3);
    changed
}

#[test]
fn rows_are_the_same_with_every_predictor_on_off_and_wrong_and_when_they_are_asked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = [
        // Another process's middle, another pid, anything, nothing, an address that is none.
        "(void *)(&init_task) + nr * 64",
        "(void *)task + 9728",
        "(void *)(0xffff888000000000 + nr * 4096)",
        "(void *)0",
        "(void *)0x1234567812345678",
    ];
    let mut others: Vec<Session> = wrong
        .iter()
        .enumerate()
        .map(|(number, wrong)| {
            let path = folder.path().join(format!("wrong{number}.yaml"));
            std::fs::write(&path, wrong_predictors(wrong)).unwrap();
            session_with(vec![path])
        })
        .collect();
    let mut off = session();
    off.set("predictors", "off").unwrap();
    others.push(off);
    let mut on = session();
    for script in scripts() {
        let expected = rows(&mut on, &script);
        assert_eq!(rows(&mut on, &script), expected, "again: {script}");
        for other in &mut others {
            assert_eq!(rows(other, &script), expected, "{script}");
        }
    }
}

#[test]
fn a_query_that_is_asked_again_takes_a_round_or_two() {
    let mut session = session();
    let asked = "walk tasks select pid, comm, state, exe";
    let mut cost = || {
        let mut listener = Listener::default();
        session.run(&text(asked), &mut listener);
        listener.statistics[0]
    };
    let (cold, warm) = (cost(), cost());
    assert!(cold.rounds > 5, "{cold:?}");
    assert!(warm.rounds <= 2, "{warm:?}");
    assert!(warm.reads <= cold.reads, "{warm:?} {cold:?}");
}

/// What `explain analyze` counts of a query, without the time.
fn counted(session: &mut Session, query: &str) -> String {
    let mut listener = Listener::default();
    session.run(&text(&format!("explain analyze {query}")), &mut listener);
    let measured = listener.texts.pop().unwrap_or_default();
    let lines = measured.lines().map(|line| match line.rsplit_once(", ") {
        Some((counts, _)) if line.starts_with("measured") => counts,
        _ => line,
    });
    lines.map(|line| format!("  {line}\n")).collect()
}

/// Exact counts beside the least. (A recording has only what was read when it was made: where reads are merged otherwise than then,
/// one that has lines of others in it fails and is made again line by line. So asking again costs more reads here than anywhere else.)
#[test]
fn queries_cost_what_they_did_with_the_least_beside() {
    let queries = [
        "walk tasks select pid, comm, state",
        "walk tasks select pid, comm, state, ppid, uid, exe",
        "walk tasks, files select pid, fd, path",
        "walk tasks, vmas select pid, start, end, flags, path",
        "walk tasks, threads select pid, tid",
        "walk process_tree select depth, pid, comm",
        "walk modules select name, size",
        "walk pids where leader is not null select nr",
        "walk run_queues select cpu, running, current, comm",
        "walk tasks where uid == 33 select pid, comm limit 3",
    ];
    let mut table = String::new();
    for query in queries {
        let mut session = session();
        let first = counted(&mut session, query);
        let again = counted(&mut session, query);
        table.push_str(&format!("{query}\n{first} again\n{again}"));
    }
    insta::assert_snapshot!(table);
}
