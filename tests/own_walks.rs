//! A walk, a column and another spelling of a shipped column come from a file outside the repository, without a rebuild.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What someone might write who has only the program.
const MY_WALKS: &str = "
format: nettlp-walks/1
doc: Walks that nobody ships.
walks:
  my_children:
    doc: What the idle task started, by its own list.
    element: struct task_struct
    root: init_task
    list: {head: children, link: sibling}
    columns:
      twice: {doc: Its number twice., expr: 2 * pid}
columns:
  struct task_struct:
    answer: {doc: A new column., expr: 41 + pid}
    ppid: {doc: Another spelling of a shipped column., expr: 1000 + real_parent.tgid}
";

/// Runs the program in another folder than the repository's.
fn ask(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nettlp-q"))
        .args(["--demo", "-o", "csv"])
        .args(arguments)
        .current_dir(folder)
        .env("NETTLP_PROFILE_PATH", "/nowhere")
        .env("XDG_DATA_HOME", "/nowhere/data")
        .env("XDG_CONFIG_HOME", "/nowhere/config")
        .output()
        .unwrap()
}

fn rows(output: &Output) -> Vec<String> {
    let notes = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{notes}");
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn written(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("my-walks.yaml");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_new_walk_with_its_own_column() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(folder.path(), MY_WALKS);
    let mine = ["-p", file.to_str().unwrap()];
    let query = "walk my_children select pid, comm, twice";
    let answer = ask(folder.path(), &[mine[0], mine[1], "-e", query]);
    let rows = rows(&answer);
    assert_eq!(rows[..3], ["pid,comm,twice", "1,systemd,2", "2,kthreadd,4"]);
    let without = ask(folder.path(), &["-e", query]);
    let notes = String::from_utf8_lossy(&without.stderr);
    assert_eq!(without.status.code(), Some(2), "{notes}");
    assert!(notes.contains("my_children"), "{notes}");
}

#[test]
fn it_is_listed_and_described_as_a_shipped_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(folder.path(), MY_WALKS);
    let statements = "show walks like 'my_%'; describe my_children";
    let answer = ask(
        folder.path(),
        &["-p", file.to_str().unwrap(), "-e", statements],
    );
    let text = rows(&answer).join("\n");
    for word in [
        "my_children,,struct task_struct,yes",
        "Its number twice.",
        "A new column.",
        "my-walks.yaml",
    ] {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

#[test]
fn a_new_column_of_a_shipped_walk_and_another_spelling_of_a_shipped_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(folder.path(), MY_WALKS);
    let query = "walk tasks where pid = 1 select pid, ppid, answer";
    let answer = ask(folder.path(), &["-p", file.to_str().unwrap(), "-e", query]);
    assert_eq!(rows(&answer), ["pid,ppid,answer", "1,1000,42"]);
    let shipped = ask(
        folder.path(),
        &["-e", "walk tasks where pid = 1 select pid, ppid"],
    );
    assert_eq!(rows(&shipped), ["pid,ppid", "1,0"]);
}

#[test]
fn a_mistake_in_it_is_told_with_file_and_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(
        folder.path(),
        &MY_WALKS.replace("link: sibling", "links: sibling"),
    );
    let answer = ask(
        folder.path(),
        &[
            "-p",
            file.to_str().unwrap(),
            "-e",
            "walk my_children select pid",
        ],
    );
    let notes = String::from_utf8_lossy(&answer.stderr);
    assert_eq!(answer.status.code(), Some(2), "{notes}");
    assert!(
        notes.contains("my-walks.yaml") && notes.contains("links"),
        "{notes}"
    );
}
