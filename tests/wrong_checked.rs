//! Wrong programs that parse, each in the folder of the stage that refuses it, with the built-in demo's kernel: names that there are
//! none of (`tests/wrong/names`), things that do not go together (`tests/wrong/types`), and what only turns out when it is
//! executed (`tests/wrong/run`). Every snapshot was read by a person.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod told;

use std::path::Path;
use std::sync::Arc;

use nettlp_q::profile::SearchPath;
use nettlp_q::render::{self, Format};
use nettlp_q::report::{Report, SourceText};
use nettlp_q::row::Rows;
use nettlp_q::session::{
    BuiltInProfile, Output, Session, SessionOptions, Settings, Statistics, Status, demo,
};

use told::told;

/// Keeps what a person reads, in order.
#[derive(Default)]
struct Told {
    text: String,
}

impl Output for Told {
    fn rows(&mut self, rows: &Rows, _: &Settings) {
        let mut bytes = Vec::new();
        render::rows(rows, Format::Table, &render::Options::default(), &mut bytes).unwrap();
        self.text.push_str(&String::from_utf8(bytes).unwrap());
    }

    fn text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn report(&mut self, report: &Report) {
        self.text.push_str(&told(std::slice::from_ref(report)));
    }

    fn statistics(&mut self, _: &Statistics) {}
}

fn session() -> Session {
    Session::open(SessionOptions {
        memory: demo::memory().unwrap(),
        target: "the demo".to_owned(),
        profiles: Vec::new(),
        built_in_profile: Some(BuiltInProfile::load(demo::profile)),
        variables: Vec::new(),
        ram: None,
        vmlinux: None,
        scan_budget: u64::MAX,
        search_path: SearchPath::default(),
    })
    .unwrap()
}

/// Runs a program; what it told, and how it ended.
fn run(session: &mut Session, path: &Path) -> (String, Status) {
    let source = Arc::new(SourceText {
        name: path.file_name().unwrap().to_string_lossy().into_owned(),
        text: std::fs::read_to_string(path).unwrap(),
    });
    let mut output = Told::default();
    let status = session.run(&source, &mut output);
    (output.text, status)
}

/// Programs that the checker refuses: none leaves a trace, so that one session serves them all.
macro_rules! refused {
    ($name:ident, $programs:literal) => {
        #[test]
        fn $name() {
            let mut session = session();
            insta::glob!($programs, |path| {
                let (text, status) = run(&mut session, path);
                assert_eq!(status, Status::Wrong, "{}", path.display());
                insta::with_settings!({ omit_expression => true }, {
                    insta::assert_snapshot!(text);
                });
            });
        }
    };
}

refused!(unknown_names_are_refused, "wrong/names/*.nq");
refused!(wrong_types_are_refused, "wrong/types/*.nq");

#[test]
fn what_fails_when_executed_is_told() {
    insta::glob!("wrong/run/*.nq", |path| {
        let (text, status) = run(&mut session(), path);
        assert!(
            matches!(status, Status::Failed | Status::Incomplete),
            "{}: {status:?}",
            path.display()
        );
        insta::with_settings!({ omit_expression => true }, {
            insta::assert_snapshot!(text);
        });
    });
}
