//! Any text asked of the built-in demo: checked, planned, executed on a recorded kernel and rendered. Statements that write files, read
//! files or wait are left out.
#![no_main]

use std::cell::RefCell;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use nettlp_q::lang::ast::StatementKind;
use nettlp_q::lang::parse_statements;
use nettlp_q::profile::SearchPath;
use nettlp_q::render::{self, Format};
use nettlp_q::report::{Report, SourceText};
use nettlp_q::row::Rows;
use nettlp_q::session::{
    BuiltInProfile, Output, Session, SessionOptions, Settings, Statistics, demo,
};

/// Renders all and keeps nothing.
struct Nowhere;

impl Output for Nowhere {
    fn rows(&mut self, rows: &Rows, _: &Settings) {
        for format in Format::names().filter_map(|name| name.parse().ok()) {
            let mut out = std::io::sink();
            render::rows(rows, format, &render::Options::default(), &mut out)
                .expect("a sink takes all");
        }
    }

    fn text(&mut self, text: &str) {
        let _ = render::text::printable(text);
    }

    fn report(&mut self, report: &Report) {
        let _ = render::report(report, false, &mut std::io::sink());
    }

    fn statistics(&mut self, _: &Statistics) {}
}

fn session() -> Session {
    let mut session = Session::open(SessionOptions {
        memory: demo::memory().expect("the demo is whole"),
        target: "the demo".to_owned(),
        profiles: Vec::new(),
        built_in_profile: Some(BuiltInProfile::load(demo::profile)),
        variables: Vec::new(),
        ram: None,
        vmlinux: None,
        scan_budget: 1 << 20,
        search_path: SearchPath::default(),
    })
    .expect("the demo is whole");
    for (name, value) in [("max_reads", "2000"), ("max_rows", "200"), ("timeout", "2s")] {
        session.set(name, value).expect("a setting");
    }
    session
}

thread_local! {
    static SESSION: RefCell<Session> = RefCell::new(session());
}

/// Whether nothing happens but reading the demo.
fn is_harmless(kind: &StatementKind) -> bool {
    matches!(
        kind,
        StatementKind::Query(_)
            | StatementKind::Print(_)
            | StatementKind::Describe(_)
            | StatementKind::Explain(_)
            | StatementKind::Assert(_)
            | StatementKind::Read(_)
            | StatementKind::Translate(_)
            | StatementKind::Disassemble(_)
    )
}

fuzz_target!(|text: &str| {
    let statements: Vec<_> = parse_statements(text).into_iter().flatten().collect();
    if statements.is_empty() || !statements.iter().all(|one| is_harmless(&one.kind)) {
        return;
    }
    let source = Arc::new(SourceText {
        name: "fuzz".to_owned(),
        text: text.to_owned(),
    });
    SESSION.with_borrow_mut(|session| {
        session.run(&source, &mut Nowhere);
    });
});
