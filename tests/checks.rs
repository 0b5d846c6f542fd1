//! Checks as a user meets them: verdicts, exit statuses, formats, checks of an outside file, and what `use "integrity"` takes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::cell::Cell;
use std::path::Path;
use std::process::{Command, Output};
use std::rc::Rc;
use std::sync::Arc;

use nettlp_q::addr::PhysRange;
use nettlp_q::memory::{Completion, Limits, Notes, PhysicalMemory, ReadFailure, ReadRequest};
use nettlp_q::profile::SearchPath;
use nettlp_q::report::{Report, SourceText};
use nettlp_q::row::Rows;
use nettlp_q::session::{
    self, BuiltInProfile, Session, SessionOptions, Settings, Statistics, Status, demo,
};

fn ask_in(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nettlp-q"))
        .current_dir(folder)
        .arg("--demo")
        .args(arguments)
        .output()
        .unwrap()
}

fn ask(arguments: &[&str]) -> (Option<i32>, String, String) {
    told(&ask_in(Path::new("."), arguments))
}

fn told(answer: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        answer.status.code(),
        text(&answer.stdout),
        text(&answer.stderr),
    )
}

const OUTSIDE: &str = "
format: nettlp-walks/1
checks:
  first_process:
    doc: The first process.
    finding: There must be one.
    query: walk tasks where pid = 1 select pid, comm
  nobody:
    doc: A process without a number.
    finding: There can be none.
    query: walk tasks where pid = -1 select pid
  other_kernel:
    doc: What this kernel has not.
    finding: Nothing.
    needs: ['@no_such_symbol', task_struct.no_such_member]
    query: walk tasks select pid
  other_member:
    doc: What this kernel has not either.
    finding: Nothing.
    query: walk tasks where no_such_member = 1 select pid
  elsewhere:
    doc: One spelling for each kernel.
    finding: Nothing.
    variants:
      - {needs: ['@no_such_symbol'], query: walk tasks select pid}
      - {needs: ['@init_task'], query: walk tasks where pid = -2 select pid}
";

#[test]
fn checks_of_an_outside_file_are_in_force_and_each_has_a_verdict() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("own.yaml"), OUTSIDE).unwrap();
    let answer = ask_in(
        folder.path(),
        &["-p", "own.yaml", "-o", "csv", "-e", "check"],
    );
    let (status, rows, notes) = told(&answer);
    assert_eq!(status, Some(1), "{notes}");
    let lines: Vec<&str> = rows.lines().collect();
    assert_eq!(lines[0], "check,verdict,findings,why");
    assert_eq!(lines[1], "elsewhere,clean,0,");
    assert_eq!(lines[2], "first_process,finding,1,");
    assert_eq!(lines[3], "nobody,clean,0,");
    assert!(
        lines[4].starts_with("other_kernel,not applicable,0,")
            && lines[4].contains("`@no_such_symbol`")
            && lines[4].contains("`task_struct.no_such_member`"),
        "{rows}"
    );
    assert!(
        lines[5].starts_with("other_member,not applicable,0,")
            && lines[5].contains("`no_such_member`"),
        "{rows}"
    );
    assert!(rows.contains("check,pid,comm\nfirst_process,1,"), "{rows}");
    assert!(notes.contains("There must be one."), "{notes}");
}

const MISTAKEN: &str = "
format: nettlp-walks/1
functions:
  of_nothing:
    doc: Asks a query for its element.
    example: of_nothing()
    expr: \"exists (walk array(@init_task.thread_pid) as p select p.value)\"
checks:
  with_function:
    doc: By a function that is wrong.
    finding: Nothing.
    query: walk tasks where of_nothing() select pid
  without_walk:
    doc: Of what no kernel has.
    finding: Nothing.
    query: walk taskses select pid
  wrong_type:
    doc: Names are no numbers, whatever the kernel.
    finding: Nothing.
    query: walk tasks where comm matches '(' select pid
  older_kernel:
    doc: What this kernel has not, and nothing else.
    finding: Nothing.
    query: walk tasks where exists (walk list(struct no_such.link) from @no_such as n select n.address) select pid
";

#[test]
fn a_mistake_in_a_check_is_told_as_one_and_not_as_what_the_kernel_lacks() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("own.yaml"), MISTAKEN).unwrap();
    let named = ["-p", "own.yaml", "-o", "csv", "-e"];
    let (status, rows, notes) = told(&ask_in(folder.path(), &[&named[..], &["check"]].concat()));
    assert_eq!(status, Some(2), "{rows}{notes}");
    let verdict = |name: &str| {
        let line = rows.lines().find(|line| line.starts_with(name)).unwrap();
        line.split(',').nth(1).unwrap().to_owned()
    };
    assert_eq!(verdict("older_kernel"), "not applicable", "{rows}");
    for name in ["with_function", "without_walk", "wrong_type"] {
        assert_eq!(verdict(name), "mistaken", "{rows}");
        assert!(
            notes.contains(&format!("own.yaml: checks.{name}")),
            "{notes}"
        );
    }
    assert!(notes.contains("did you mean `tasks`?"), "{notes}");
    let shown = told(&ask_in(
        folder.path(),
        &[&named[..], &["show checks"]].concat(),
    ))
    .1;
    assert!(
        shown.contains("mistaken: there is no walk `taskses`"),
        "{shown}"
    );
}

#[test]
fn a_clean_check_ends_well_and_every_format_can_be_read() {
    let program = "def check nobody as walk tasks where pid = -1 select pid; check";
    for format in ["table", "json", "ndjson", "csv"] {
        let (status, rows, notes) = ask(&["-o", format, "-e", program]);
        assert_eq!(status, Some(0), "{notes}");
        assert!(rows.contains("nobody") && rows.contains("clean"), "{rows}");
    }
}

#[test]
fn code_is_compared_only_with_the_file_that_the_kernel_was_booted_from() {
    let program = "use \"integrity\"; check changed_text";
    let (status, rows, notes) = ask(&["-o", "csv", "-e", program]);
    assert_eq!(status, Some(0), "{notes}");
    let verdict = "changed_text,not applicable,0,no vmlinux is given: --vmlinux FILE";
    assert!(rows.contains(verdict), "{rows}");
    let (status, _, notes) = ask(&["-e", "walk text_changes select *"]);
    assert_eq!(status, Some(2), "{notes}");
    assert!(notes.contains("no vmlinux is given"), "{notes}");
    let other = "tests/fixtures/dwarf/vmlinux-dwarf5";
    let (status, rows, notes) = ask(&["--vmlinux", other, "-e", program]);
    assert_eq!((status, rows.as_str()), (Some(2), ""), "{notes}");
    assert!(notes.contains("is the file of another kernel"), "{notes}");
    let (status, rows, notes) = ask(&["--vmlinux", "Cargo.toml", "-e", program]);
    assert_eq!((status, rows.as_str()), (Some(2), ""), "{notes}");
    assert!(notes.contains("Cargo.toml is not an ELF file"), "{notes}");
}

#[test]
fn memory_that_cannot_be_read_is_not_clean() {
    let program = "def check unread as walk tasks as t where *(int *)(0xffff888000000000 + t.pid * 4096) = 7 select t.pid; check";
    let (status, rows, notes) = ask(&["-o", "csv", "-e", program]);
    assert_eq!(status, Some(3), "{notes}");
    assert!(
        rows.contains("unread,incomplete,0,") && rows.contains("which memory does not tell"),
        "{rows}"
    );
}

#[test]
fn the_shipped_name_is_no_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("integrity"), "def one() = 1").unwrap();
    let shown = "use \"integrity\"; show checks like 'hidden_tasks'";
    let answer = ask_in(folder.path(), &["-o", "csv", "-e", shown]);
    let (status, rows, notes) = told(&answer);
    assert_eq!(status, Some(0), "{notes}");
    assert!(rows.contains("hidden_tasks,yes,yes,"), "{rows}");
    assert!(
        notes.contains("the file of that name is not read"),
        "{notes}"
    );
    let file = "use \"./integrity\"; print one()";
    let (status, _, notes) = told(&ask_in(folder.path(), &["-e", file]));
    assert_eq!(status, Some(0), "{notes}");
}

#[test]
fn every_shipped_check_can_be_had_on_the_demos_kernel_but_those_of_older_ones() {
    let (status, rows, notes) = ask(&["-o", "ndjson", "-e", "show checks"]);
    assert_eq!(status, Some(0), "{notes}");
    assert!(rows.lines().count() >= 30, "{rows}");
    for line in rows.lines() {
        let is_older = line.contains("\"hooked_system_calls_32\"");
        let needs_a_file = line.contains("\"available\":\"no vmlinux is given: --vmlinux FILE\"");
        assert_eq!(needs_a_file, line.contains("\"changed_text\""), "{line}");
        let is_there = !is_older && !needs_a_file;
        assert!(line.contains("\"available\":\"yes\"") == is_there, "{line}");
        assert!(line.contains("\"in_force\":\"no\""), "{line}");
        assert!(
            !line.contains("\"doc\":\"\"") && !line.contains("\"finding\":\"\""),
            "{line}"
        );
    }
}

#[test]
fn a_check_that_is_no_query_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let written = "format: nettlp-walks/1\nchecks:\n  odd: {doc: d, finding: f, query: print 1}\n";
    std::fs::write(folder.path().join("odd.yaml"), written).unwrap();
    let answer = ask_in(folder.path(), &["-p", "odd.yaml", "-e", "print 1"]);
    let (status, _, notes) = told(&answer);
    assert_eq!(status, Some(2), "{notes}");
    assert!(
        notes.contains("`odd` is not one query") && notes.contains("odd.yaml: checks.odd"),
        "{notes}"
    );
}

/// The demo, whose adapter is unplugged after so many reads.
#[derive(Debug)]
struct Unplugged {
    memory: Box<dyn PhysicalMemory>,
    left: Rc<Cell<u64>>,
    unanswered: Vec<u64>,
}

impl PhysicalMemory for Unplugged {
    fn limits(&self) -> Limits {
        self.memory.limits()
    }

    fn submit(&mut self, read: ReadRequest) {
        match self.left.get().checked_sub(1) {
            Some(left) => {
                self.left.set(left);
                self.memory.submit(read);
            }
            None => self.unanswered.push(read.id),
        }
    }

    fn complete(&mut self, completion: &mut Completion<'_>) {
        for id in self.unanswered.drain(..) {
            completion(id, Err(ReadFailure::TimedOut));
        }
        self.memory.complete(completion);
    }

    fn ram(&self) -> Option<Vec<PhysRange>> {
        self.memory.ram()
    }

    fn notes(&self) -> Notes {
        self.memory.notes()
    }
}

#[derive(Default)]
struct Heard {
    tables: Vec<Rows>,
    reports: Vec<String>,
}

impl session::Output for Heard {
    fn rows(&mut self, rows: &Rows, _: &Settings) {
        self.tables.push(rows.clone());
    }

    fn text(&mut self, _: &str) {}

    fn report(&mut self, report: &Report) {
        self.reports.push(report.message.clone());
    }

    fn statistics(&mut self, _: &Statistics) {}
}

/// Runs a text where so many reads are answered: what was heard, how it ended, and how many answers were left over.
fn run_with(answers: u64, text: &str) -> (Heard, Status, u64) {
    let left = Rc::new(Cell::new(answers));
    let mut session = Session::open(SessionOptions {
        memory: Box::new(Unplugged {
            memory: demo::memory().unwrap(),
            left: Rc::clone(&left),
            unanswered: Vec::new(),
        }),
        target: "the demo".to_owned(),
        profiles: Vec::new(),
        built_in_profile: Some(BuiltInProfile::load(demo::profile)),
        variables: Vec::new(),
        ram: None,
        vmlinux: None,
        scan_budget: u64::MAX,
        search_path: SearchPath::default(),
    })
    .unwrap();
    let mut heard = Heard::default();
    let source = Arc::new(SourceText {
        name: "test".to_owned(),
        text: text.to_owned(),
    });
    let status = session.run(&source, &mut heard);
    (heard, status, left.get())
}

#[test]
fn an_adapter_that_is_unplugged_takes_no_verdict_away_that_was_reached() {
    let first = "def check a as walk modules where name = '' select name\n";
    let plenty = 1_000_000;
    let (_, status, left) = run_with(plenty, &format!("{first}check a"));
    assert_eq!(status, Status::Complete);
    let both = format!("{first}def check b as walk tasks where pid = -1 select pid\ncheck");
    let (heard, status, _) = run_with(plenty - left, &both);
    assert_eq!(status, Status::NoTarget, "{:?}", heard.tables);
    assert!(heard.reports[0].contains("does not answer any more"));
    let table = &heard.tables[0];
    assert_eq!(table.rows.len(), 1);
    assert_eq!(
        table.rows[0].cells[1],
        nettlp_q::value::Value::text("clean")
    );
}
