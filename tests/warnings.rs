//! What is right but hardly meant is told, and run all the same.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::Command;

/// What the built program warns of in a program on the demo, which it runs to its end.
fn warnings(program: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_nettlp-q"))
        .args(["--demo", "-e", program])
        .output()
        .unwrap();
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{program}\n{notes}");
    let mut told = Vec::new();
    for line in notes.lines() {
        if let Some(warning) = line.strip_prefix("warning: ") {
            told.push(warning.to_owned());
        } else if let Some(last) = told.last_mut() {
            last.push('\n');
            last.push_str(line);
        }
    }
    told
}

/// Each program with what the only warning says; nothing where there is none.
const TOLD: [(&str, &[&str]); 16] = [
    (
        "walk tasks, sockets where state = 'LISTEM' select inode",
        &["never 'LISTEM'", "did you mean `LISTEN`?", "'TIME_WAIT'"],
    ),
    (
        "walk tcp where state in ('LISTEN', 'NONE') select inode",
        &["never 'NONE'"],
    ),
    ("walk tcp where state = '77' select inode", &[]),
    ("walk tasks where state = 'X' select pid", &[]),
    (
        "walk tasks where __state < 0 select pid",
        &["never holds", "0 to 4294967295"],
    ),
    (
        "walk tasks where __state != 4294967296 select pid limit 1",
        &["always holds"],
    ),
    ("walk tasks where pid < 0 select pid", &[]),
    (
        "walk tasks, modules select pid, name limit 1",
        &["nothing connects `modules` with `tasks`"],
    ),
    (
        "walk tasks as t, tasks as p where p.pid = t.ppid select t.pid, p.comm limit 1",
        &[],
    ),
    (
        "walk tasks, files select pid limit 1",
        &["nothing of `files` is used"],
    ),
    ("walk tasks, files select distinct pid limit 1", &[]),
    ("walk tasks, files select count(*)", &[]),
    (
        "walk tasks as t where exists (walk files of t select fd) select pid limit 1",
        &[],
    ),
    ("walk tasks, machine select pid, release limit 1", &[]),
    (
        "walk (walk tasks select pid) as q, tasks as t where t.pid = q.pid select t.comm limit 1",
        &[],
    ),
    ("walk tasks select 1 as one limit 1", &[]),
];

#[test]
fn doubtful_queries_are_told_and_run() {
    for (program, parts) in TOLD {
        let told = warnings(program);
        assert_eq!(
            told.len(),
            usize::from(!parts.is_empty()),
            "{program}: {told:#?}"
        );
        for part in parts {
            assert!(told[0].contains(part), "{program}: {told:#?}");
        }
    }
}

/// What ends with another status on the demo: findings, and more than the recording holds.
const NOT_COMPLETE: [&str; 2] = ["integrity", "kallsyms"];

#[test]
fn no_example_is_doubtful() {
    for entry in std::fs::read_dir(format!("{}/examples", env!("CARGO_MANIFEST_DIR"))).unwrap() {
        let path = entry.unwrap().path();
        let is_complete = |name: &std::ffi::OsStr| NOT_COMPLETE.iter().all(|other| name != *other);
        if path.file_stem().is_some_and(is_complete) {
            let program = std::fs::read_to_string(&path).unwrap();
            assert_eq!(
                warnings(&program),
                Vec::<String>::new(),
                "{}",
                path.display()
            );
        }
    }
}
