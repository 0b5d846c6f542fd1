//! Every script in `examples/` runs on the built-in demo and gives rows; the sentence of the README comes first.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::process::{Command, Output};

fn ask(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nettlp-q"))
        .args(arguments)
        .output()
        .unwrap()
}

/// What reads more than the demo's recording holds, and says so.
const BEYOND_THE_DEMO: [&str; 1] = ["kallsyms"];

#[test]
fn every_example_answers_on_the_demo() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut scripts: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    scripts.sort();
    assert!(scripts.len() >= 15);
    for script in scripts {
        let name = script.to_str().unwrap();
        let answer = ask(&["--demo", "-o", "ndjson", "-f", name]);
        let notes = String::from_utf8_lossy(&answer.stderr);
        if BEYOND_THE_DEMO
            .iter()
            .any(|beyond| script.ends_with(format!("{beyond}.nq")))
        {
            assert_eq!(answer.status.code(), Some(3), "{name}: {notes}");
            assert!(notes.contains("not in the recording"), "{name}: {notes}");
            continue;
        }
        // The demo's guest has writable code, and `check` says so.
        let finds = i32::from(name.ends_with("/integrity.nq"));
        assert_eq!(answer.status.code(), Some(finds), "{name}: {notes}");
        assert!(!notes.contains("not in the recording"), "{name}: {notes}");
    }
}

#[test]
fn mistakes_in_where_and_select_are_told_together() {
    let answer = ask(&[
        "--demo",
        "-e",
        "walk tasks where comm = 5 select pid, nosuch(pid)",
    ]);
    let notes = String::from_utf8_lossy(&answer.stderr);
    assert_eq!(answer.status.code(), Some(2), "{notes}");
    assert!(
        notes.contains("cannot be compared") && notes.contains("no function `nosuch`"),
        "{notes}"
    );
}

#[test]
fn libtlps_process_list_has_its_columns_and_its_order() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/process-list.nq");
    let answer = ask(&["--demo", "-o", "csv", "-f", script.to_str().unwrap()]);
    let text = String::from_utf8(answer.stdout).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("PhyAddr,PID,STAT,COMMAND"));
    assert!(lines.next().unwrap().ends_with(",0,R,swapper/0"));
    let pids: Vec<u32> = lines
        .map(|line| line.split(',').nth(1).unwrap().parse().unwrap())
        .collect();
    // Depth first: all that process 1 started comes before kthreadd, which is process 2.
    assert_eq!(pids[0], 1);
    assert!(pids.iter().position(|pid| *pid == 2).unwrap() > 1);
}

#[test]
fn a_profile_that_is_cut_short_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.yaml");
    let whole = include_str!("fixtures/profile/small.yaml");
    let end = whole.rfind("\nsymbols:").unwrap();
    std::fs::write(&path, &whole[..end]).unwrap();
    let answer = ask(&[
        "--demo",
        "-p",
        path.to_str().unwrap(),
        "-e",
        "walk tasks select pid",
    ]);
    let notes = String::from_utf8_lossy(&answer.stderr);
    assert_eq!(answer.status.code(), Some(2), "{notes}");
    assert!(
        notes.contains("has no symbols") || notes.contains("cut.yaml"),
        "{notes}"
    );
}
