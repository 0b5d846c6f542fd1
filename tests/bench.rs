//! `nettlp-bench` as scripts see it: exit status, tables on standard output, JSON in a file.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::{Command, Output};

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nettlp-bench"))
        .args(arguments)
        .output()
        .unwrap()
}

#[track_caller]
fn assert_refused(output: &Output, status: i32, words: &[&str]) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{errors}");
    for word in words {
        assert!(errors.contains(word), "`{word}` is not in: {errors}");
    }
    assert!(output.stdout.is_empty() && !errors.contains("panicked"));
}

#[test]
fn help_says_what_is_measured() {
    let output = bench(&["--help"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(
        text.starts_with("Measure what a process list costs"),
        "{text}"
    );
    assert!(
        text.contains("Examples:") && text.contains("Exit status:"),
        "{text}"
    );
}

#[test]
fn wrong_usage_is_2() {
    assert_refused(&bench(&[]), 2, &["--image", "--demo"]);
    assert_refused(&bench(&["--image", "ram"]), 2, &["--profile"]);
    assert_refused(&bench(&["--demo", "--delay", "12"]), 2, &["100us"]);
    assert_refused(
        &bench(&["--demo", "--listen", "127.0.92.1", "--local", "127.0.92.1"]),
        2,
        &["two addresses"],
    );
    assert_refused(
        &bench(&["--image", "/nowhere/ram", "-p", "/nowhere/k.yaml"]),
        2,
        &["/nowhere/k.yaml"],
    );
}

#[test]
fn the_demo_is_measured_and_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bench.json");
    let output = bench(&[
        "--demo",
        "--delay",
        "0",
        "--repeat",
        "1",
        "--listen",
        "127.0.92.2",
        "--local",
        "127.0.92.3",
        "-o",
        file.to_str().unwrap(),
    ]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert!(errors.contains("one read at a time"), "{errors}");
    let table = String::from_utf8(output.stdout).unwrap();
    let heading = table.lines().next().unwrap();
    let at = |word: &str| heading.find(word).unwrap();
    assert!(at("reads") < at("rounds") && at("rounds") < at("time") && at("time") < at("faster"));
    assert!(table.contains("nettlp-q again"), "{table}");
    let text = std::fs::read_to_string(file).unwrap();
    assert!(
        text.contains("\"nettlp-bench/1\"") && text.contains("\"times_faster\""),
        "{text}"
    );
}
