//! Checks as a user meets them: verdicts, exit statuses, formats, checks of an outside file, and what `use "integrity"` takes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::process::{Command, Output};

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
        assert!(line.contains("\"available\":\"yes\"") != is_older, "{line}");
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
