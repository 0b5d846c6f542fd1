use clap::{CommandFactory, Parser};

use super::*;
use crate::addr::PhysAddr;
use crate::memory::{Immediate, ReadFailure, Recording, SparseMemory, read_batch};

#[derive(Debug, Parser)]
struct Program {
    #[command(flatten)]
    target: TargetArguments,
}

fn parse(arguments: &[&str]) -> Result<TargetArguments, String> {
    let all = std::iter::once(&"program").chain(arguments);
    Program::try_parse_from(all)
        .map(|program| program.target)
        .map_err(|error| error.to_string())
}

fn demo() -> Result<Box<dyn PhysicalMemory + Send>, Report> {
    let mut memory = SparseMemory::new();
    memory.insert(PhysAddr::new(0x1000), &[7; 16]);
    Ok(Box::new(Immediate::new(memory)))
}

fn open(arguments: &[&str]) -> Result<Target, Report> {
    parse(arguments).unwrap().open(&demo).map_err(Report::from)
}

fn range(start: u64, end: u64) -> PhysRange {
    PhysRange::new(PhysAddr::new(start), PhysAddr::new(end))
}

#[test]
fn the_flags_make_sense() {
    Program::command().debug_assert();
}

#[test]
fn without_a_target_the_demo_is_read() {
    assert_eq!(open(&[]).unwrap().origin, Origin::Demo { asked: false });
    let mut asked = open(&["--demo"]).unwrap();
    assert_eq!(asked.origin, Origin::Demo { asked: true });
    assert_eq!(
        read_batch(&mut asked.memory, &[range(0x1000, 0x1002)]),
        [Ok(vec![7, 7])]
    );
}

#[test]
fn two_targets_contradict_each_other() {
    for contradiction in [
        &["-r", "10.0.0.1", "--image", "x"][..],
        &["--image", "x", "--replay", "y"],
        &["--replay", "x", "--demo"],
        &["-r", "10.0.0.1", "--demo"],
        &["--image", "x", "-b", "1b:00"],
        &["-b", "1b:00", "-R", "10.0.0.1"],
        &["--replay", "x", "--image-map", "pc"],
        &["--replay", "x", "--pcap", "y"],
    ] {
        let message = parse(contradiction).unwrap_err();
        assert!(message.contains("cannot be used with"), "{message}");
    }
}

#[test]
fn a_flag_about_an_adapter_does_not_read_the_demo_by_mistake() {
    for flags in [
        &["-b", "1b:00"][..],
        &["-l", "127.0.0.1"],
        &["--window", "4096"],
        &["--pcap", "x"],
    ] {
        let report = open(flags).unwrap_err();
        assert!(report.message.starts_with(flags[0]), "{}", report.message);
        assert!(report.hints[0].contains("-r IP"));
    }
}

#[test]
fn an_adapter_without_a_requester_id_is_explained() {
    let report = open(&["-r", "127.0.0.9"]).unwrap_err();
    assert!(report.message.contains("requester ID"));
    assert!(report.hints.iter().any(|hint| hint.contains("-b BB:DD.F")));
    assert!(report.hints.iter().any(|hint| hint.contains("-R IP")));
}

#[test]
fn wrong_values_are_explained() {
    let problem = |arguments: &[&str]| parse(arguments).unwrap_err();
    assert!(problem(&["--ram", "2000-1000"]).contains("the end must lie above the start"));
    assert!(problem(&["-b", "1b"]).contains("like 1b:00.0"));
    assert!(problem(&["--tags", "0"]).contains("1..=256"));
    assert!(problem(&["-r", "example"]).contains("invalid IP"));
}

#[test]
fn only_ram_is_read_where_it_is_named() {
    let mut target = open(&["--ram", "1008-2000"]).unwrap();
    let outcomes = read_batch(
        &mut target.memory,
        &[range(0x1000, 0x1004), range(0x1008, 0x100c)],
    );
    assert_eq!(outcomes, [Err(ReadFailure::NotInRamMap), Ok(vec![7; 4])]);
}

#[test]
fn a_recording_replays_what_was_read_and_what_was_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r");
    let file = path.to_str().unwrap();
    let ranges = [range(0x1000, 0x1004), range(0x1008, 0x100c)];
    let mut live = open(&["--demo", "--ram", "1008-2000", "--record", file]).unwrap();
    let outcomes = read_batch(&mut live.memory, &ranges);
    live.recording.unwrap().finish().unwrap();
    let mut replayed = open(&["--replay", file]).unwrap();
    assert_eq!(read_batch(&mut replayed.memory, &ranges), outcomes);
    assert_eq!(replayed.memory.notes()["origin"], "built-in demo");
    // An image may be a recording too, and a recording is never written over itself.
    let mut image = open(&["--image", file]).unwrap();
    assert_eq!(read_batch(&mut image.memory, &ranges), outcomes);
    let report = open(&["--replay", file, "--record", file]).unwrap_err();
    assert!(report.message.contains("would overwrite"));
    assert!(Recording::from_bytes(&std::fs::read(&path).unwrap()).is_ok());
}
