//! A session as a program that embeds it meets it: the built-in demo, asked through the library.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nettlp_q::report::{Report, SourceText};
use nettlp_q::row::Rows;
use nettlp_q::session::{Output, Session, SessionOptions, Settings, Statistics, Status, demo};

/// Keeps what a session says.
#[derive(Default)]
struct Listener {
    rows: Vec<Rows>,
    reports: Vec<String>,
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

    fn text(&mut self, _: &str) {}

    fn report(&mut self, report: &Report) {
        self.reports.push(report.message.clone());
    }

    fn statistics(&mut self, _: &Statistics) {}
}

fn session() -> Session {
    Session::open(SessionOptions {
        memory: demo::memory().unwrap(),
        target: "the demo".to_owned(),
        profiles: Vec::new(),
        built_in_profile: demo::profile(),
        variables: Vec::new(),
        ram: None,
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
