//! `docs/language.md` is true: its lists are what the program's tables say (`UPDATE_REFERENCE=1` writes them anew), its examples run
//! on the built-in demo, and its wrong examples are refused.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use nettlp_q::lang::check::{built_in_columns, traversals};
use nettlp_q::lang::function::{AGGREGATES, FUNCTIONS};
use nettlp_q::lang::precedence;
use nettlp_q::profile::SearchPath;
use nettlp_q::report::{Report, SourceText};
use nettlp_q::row::Rows;
use nettlp_q::session::{
    BuiltInProfile, Output, Session, SessionOptions, Settings, Statistics, Status, catalogues,
    demo, shipped_library,
};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn reference() -> String {
    std::fs::read_to_string(root().join("docs/language.md")).unwrap()
}

/// A table of Markdown; `|` in a cell would end it.
fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
    for row in rows {
        let cells: Vec<_> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        writeln!(text, "| {} |", cells.join(" | ")).unwrap();
    }
    text
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

/// The statements, in the order of the grammar, as the comments of its rules tell them.
fn statements() -> String {
    let grammar = std::fs::read_to_string(root().join("grammar/nq.pest")).unwrap();
    let lines: Vec<&str> = grammar.lines().collect();
    let start = lines
        .iter()
        .position(|line| *line == "statement = {")
        .unwrap();
    let rules = lines[start + 1..]
        .iter()
        .take_while(|line| **line != "}")
        .map(|line| line.trim_start_matches(['|', ' ']));
    let mut text = String::new();
    for rule in rules {
        // A query's form is told at its first part.
        let rule = if rule == "query" { "walk_query" } else { rule };
        let is_rule = |line: &&str| line.starts_with(&format!("{rule} = "));
        let at = lines.iter().position(is_rule).unwrap();
        let comment: Vec<&str> = lines[..at]
            .iter()
            .rev()
            .map_while(|line| line.strip_prefix("/// "))
            .collect();
        let comment: Vec<&str> = comment.into_iter().rev().collect();
        writeln!(text, "* {}", comment.join(" ")).unwrap();
    }
    text
}

fn functions() -> String {
    let built_in = FUNCTIONS.iter().map(|entry| {
        vec![
            code(&entry.signature()),
            entry.doc.to_owned(),
            code(entry.example),
        ]
    });
    let library = shipped_library().unwrap();
    let declared = library.functions.iter().map(|(name, function)| {
        let parameters: Vec<_> = function
            .parameters
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        vec![
            code(&format!("{name}({})", parameters.join(", "))),
            function.definition.doc.clone(),
            code(&function.example),
        ]
    });
    table(
        &["function", "what it gives", "example"],
        built_in.chain(declared),
    )
}

/// What stands between the marks of this name.
fn generated(name: &str) -> String {
    let owned = |rows: &[(&str, &str)], head: &[&str]| {
        let rows = rows
            .iter()
            .map(|(name, doc)| vec![code(name), (*doc).to_owned()]);
        table(head, rows.collect::<Vec<_>>())
    };
    match name {
        "columns" => owned(
            &built_in_columns().collect::<Vec<_>>(),
            &["column", "what it is"],
        ),
        "aggregates" => {
            let rows: Vec<_> = AGGREGATES
                .iter()
                .map(|(name, _, doc)| (*name, *doc))
                .collect();
            owned(&rows, &["aggregate", "what it gives"])
        }
        "traversals" => {
            let rows = traversals().iter();
            let rows =
                rows.map(|(name, example)| vec![code(name), code(&format!("walk {example} …"))]);
            table(&["traversal", "example"], rows)
        }
        "operators" => {
            let rows = precedence().into_iter();
            let rows = rows.map(|(operators, remark)| vec![code(&operators), remark.to_owned()]);
            table(&["operators", ""], rows)
        }
        "functions" => functions(),
        "statements" => statements(),
        "catalogues" => {
            let rows = catalogues().iter();
            let rows =
                rows.map(|(name, columns)| vec![code(&format!("show {name}")), columns.join(", ")]);
            table(&["catalogue", "columns"], rows)
        }
        "settings" => {
            let settings = Settings::default().list();
            let rows = settings.into_iter();
            let rows = rows.map(|(name, value, doc)| vec![code(name), value, doc.to_owned()]);
            table(&["setting", "at first", "what it is"], rows)
        }
        _ => panic!("nothing generates `{name}`"),
    }
}

/// The reference with its generated parts made anew.
fn made_anew(text: &str) -> String {
    let mut made = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<!-- generated: ") {
        let (name, after) = after.split_once(" -->").unwrap();
        let (_, after) = after.split_once("<!-- end -->").unwrap();
        let part = generated(name);
        write!(
            made,
            "{before}<!-- generated: {name} -->\n{part}<!-- end -->"
        )
        .unwrap();
        rest = after;
    }
    made + rest
}

#[test]
fn lists_are_what_the_tables_say() {
    let text = reference();
    let made = made_anew(&text);
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(root().join("docs/language.md"), made).unwrap();
    } else {
        assert!(
            made == text,
            "the tables say something else; run this test with UPDATE_REFERENCE=1 and read what changed"
        );
    }
}

/// Keeps reports, and lets rows go.
#[derive(Default)]
struct Heard {
    reports: Vec<String>,
}

impl Output for Heard {
    fn rows(&mut self, _: &Rows, _: &Settings) {}

    fn text(&mut self, _: &str) {}

    fn report(&mut self, report: &Report) {
        self.reports.push(report.message.clone());
    }

    fn statistics(&mut self, _: &Statistics) {}
}

/// The ```` ```nq ```` blocks, each with whether it is marked as wrong.
fn examples(text: &str) -> Vec<(bool, String)> {
    let mut examples = Vec::new();
    for block in text.split("\n```nq").skip(1) {
        let (mark, rest) = block.split_once('\n').unwrap();
        let (program, _) = rest.split_once("\n```").unwrap();
        assert!(["", " wrong"].contains(&mark), "an unknown mark: {mark}");
        examples.push((!mark.is_empty(), program.to_owned()));
    }
    examples
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

fn run(session: &mut Session, program: &str) -> (Status, Vec<String>) {
    let source = Arc::new(SourceText {
        name: "language.md".to_owned(),
        text: program.to_owned(),
    });
    let mut heard = Heard::default();
    let status = session.run(&source, &mut heard);
    (status, heard.reports)
}

#[test]
fn examples_do_what_the_reference_says() {
    let text = reference();
    // What examples write lands there.
    let folder = tempfile::tempdir().unwrap();
    std::env::set_current_dir(folder.path()).unwrap();
    let mut session = session();
    let mut failed = Vec::new();
    for (is_wrong, program) in examples(&text) {
        let (status, reports) = run(&mut session, &program);
        let is_right = match status {
            Status::Wrong => is_wrong,
            Status::Complete | Status::Incomplete => !is_wrong,
            Status::Failed | Status::NoTarget => false,
        };
        if !is_right {
            failed.push(format!("{program}\n  {status:?}: {reports:?}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

/// Examples that speak of an element stand in a query; what the demo does not hold may be null, but all of them check.
#[test]
fn examples_of_functions_can_be_run() {
    let mut session = session();
    let library = shipped_library().unwrap();
    let declared = library
        .functions
        .values()
        .map(|function| function.example.as_str());
    let mut failed = Vec::new();
    for example in FUNCTIONS.iter().map(|entry| entry.example).chain(declared) {
        let program = format!("walk tasks where pid = 1 select {example}");
        let (status, reports) = run(&mut session, &program);
        if !matches!(status, Status::Complete | Status::Incomplete) {
            failed.push(format!("{example}: {status:?} {reports:?}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
