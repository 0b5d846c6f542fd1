//! `explain` of whole questions: what it says that they will cost, beside what they do.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::process::Command;

/// The statements that the language was made for; the walk of each is its last statement.
const QUESTIONS: [&str; 12] = [
    "more-than-n-threads",
    "largest-by-rss",
    "files-by-file-system",
    "who-listens",
    "d-state-stacks",
    "modules-symbols",
    "deleted-but-open",
    "executable-and-writable",
    "pids-not-in-tasks",
    "shared-credentials",
    "ancestry",
    "nice-values",
];

/// What the built program answers to a program on the demo.
fn answer(program: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_nettlp-q"))
        .args(["--demo", "-e", program])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{program}\n{text}");
    text
}

/// The script with its walk explained.
fn explained(script: &str, explain: &str) -> String {
    let path = format!("{}/examples/{script}.nq", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).unwrap();
    let walk = text.find("\nwalk ").unwrap() + 1;
    format!("{}{explain} {}", &text[..walk], &text[walk..])
}

/// The numbers of the line that begins with `word`.
fn numbers(text: &str, word: &str) -> Vec<u64> {
    let line = text.lines().find(|line| line.starts_with(word)).unwrap();
    let words = line.split(|letter: char| !letter.is_ascii_digit());
    words.filter_map(|word| word.parse().ok()).collect()
}

fn is_near(predicted: u64, measured: u64) -> bool {
    predicted.abs_diff(measured) * 5 <= measured
}

#[test]
fn predicted_and_measured_costs_agree() {
    for script in QUESTIONS {
        let text = answer(&explained(script, "explain analyze"));
        let [reads, rounds] = numbers(&text, "predicted: ")[..2] else {
            panic!("{text}");
        };
        let [_, read, deep] = numbers(&text, "measured: ")[..3] else {
            panic!("{text}");
        };
        assert!(
            is_near(reads, read) && is_near(rounds, deep),
            "{script}: {text}"
        );
    }
}

#[test]
fn a_plan_tells_what_it_comes_from_and_gives_no_rows() {
    let text = answer("explain walk tasks select pid, comm, state");
    assert!(
        text.contains("dependent rounds, from a trial of "),
        "{text}"
    );
    assert!(!text.contains("systemd"), "{text}");
    let text = answer("explain walk tasks select pid limit 3");
    assert!(text.contains("from a trial that took "), "{text}");
}

#[test]
fn a_query_that_was_asked_is_predicted_from_that() {
    let text = answer("explain analyze walk tasks select pid\nexplain walk tasks select pid");
    let last = text.lines().last().unwrap();
    assert!(
        last.ends_with("in 1 dependent round, as it was asked before"),
        "{text}"
    );
}

#[test]
fn a_trial_keeps_to_the_limit_of_reads() {
    let text = answer("set max_reads 20\nexplain walk tasks select pid, comm");
    assert!(
        text.contains("predicted: more than 20 reads in more than "),
        "{text}"
    );
}
