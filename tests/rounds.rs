//! No script of `examples/` takes more dependent rounds on the demo than `tests/fixtures/rounds.txt` says (`UPDATE_REFERENCE=1` writes
//! it anew; read what grew). How they grow with the number of rows is `tests/laboratory/lab scripts`' to tell: `docs/scripts.md`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The most rounds that a statement of the script takes.
fn rounds(script: &Path) -> u64 {
    let answer = Command::new(env!("CARGO_BIN_EXE_nettlp-q"))
        .args(["--demo", "-o", "csv", "--stats=json", "-f"])
        .arg(script)
        .output()
        .unwrap();
    let notes = String::from_utf8_lossy(&answer.stderr);
    let stats = notes.lines().filter(|line| line.starts_with('{'));
    let rounds = stats.map(|line| {
        let stats: serde_json::Value = serde_json::from_str(line).unwrap();
        stats["rounds"].as_u64().unwrap()
    });
    rounds.max().unwrap_or_default()
}

#[test]
fn no_script_takes_more_rounds_than_it_did() {
    let table = root().join("tests/fixtures/rounds.txt");
    let entries = std::fs::read_dir(root().join("examples")).unwrap();
    let scripts = entries.map(|entry| entry.unwrap().path());
    let scripts = scripts.filter(|path| path.extension().is_some_and(|ending| ending == "nq"));
    let measured: BTreeMap<String, u64> = scripts
        .map(|script| {
            let name = script.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, rounds(&script))
        })
        .collect();
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        let mut text = String::new();
        for (name, rounds) in &measured {
            writeln!(text, "{name} {rounds}").unwrap();
        }
        std::fs::write(table, text).unwrap();
        return;
    }
    let text = std::fs::read_to_string(table).unwrap();
    let known: BTreeMap<&str, u64> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, most)| (name, most.parse().unwrap()))
        .collect();
    let mut failed = Vec::new();
    for (name, rounds) in &measured {
        match known.get(name.as_str()) {
            Some(most) if rounds <= most => {}
            Some(most) => failed.push(format!("{name}: {rounds} rounds, at most {most}")),
            None => failed.push(format!("{name}: {rounds} rounds; no line in rounds.txt")),
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
