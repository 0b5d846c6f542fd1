//! From target flags through real datagrams to a software adapter and back: the bytes are those of the memory, whatever the
//! network does.

// In a test, a panic is the report.
#![allow(clippy::unwrap_used)]

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU8, Ordering};

use clap::Parser;
use nettlp_q::adapter::{Adapter, AdapterOptions, Probability, RunningAdapter};
use nettlp_q::addr::{PhysAddr, PhysRange};
use nettlp_q::cli::target::{Origin, Target, TargetArguments};
use nettlp_q::memory::{Immediate, PhysicalMemory, ReadFailure, SparseMemory, read_batch};
use nettlp_q::report::Report;
use nettlp_q::wire::RequesterId;

#[derive(Debug, Parser)]
struct Program {
    #[command(flatten)]
    target: TargetArguments,
}

fn open(arguments: &[&str]) -> Result<Target, Report> {
    let all = std::iter::once(&"program").chain(arguments);
    let program = Program::try_parse_from(all).unwrap();
    let opened = program.target.open(&|| Err(Report::error("no demo here")));
    opened.map_err(Report::from)
}

/// Loopback addresses of the next adapter and its client, used by no other test.
fn addresses() -> (Ipv4Addr, Ipv4Addr) {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let host = NEXT.fetch_add(1, Ordering::Relaxed);
    let run = (std::process::id() % 250) as u8;
    (
        Ipv4Addr::new(127, 43, run, host),
        Ipv4Addr::new(127, 44, run, host),
    )
}

const START: u64 = 0x10_0000;
const LENGTH: u64 = 0x10_0000;

/// A megabyte of numbers, of which no two words are equal.
fn content() -> Vec<u8> {
    (0..LENGTH / 4)
        .flat_map(|word| (word as u32).wrapping_mul(0x9e37_79b1).to_le_bytes())
        .collect()
}

fn adapter(listen: Ipv4Addr, change: impl FnOnce(&mut AdapterOptions)) -> RunningAdapter {
    let mut memory = SparseMemory::new();
    memory.insert(PhysAddr::new(START), &content());
    let mut options = AdapterOptions {
        listen,
        ..AdapterOptions::default()
    };
    change(&mut options);
    Adapter::spawn(&options, Immediate::new(memory)).unwrap()
}

fn range(start: u64, end: u64) -> PhysRange {
    PhysRange::new(PhysAddr::new(start), PhysAddr::new(end))
}

#[test]
fn bytes_survive_a_bad_network() {
    let (listen, local) = addresses();
    let adapter = adapter(listen, |options| {
        options.faults.drop = Probability::new(0.05).unwrap();
        options.faults.duplicate = Probability::new(0.05).unwrap();
        options.faults.reorder = Probability::new(0.1).unwrap();
        options.faults.corrupt = Probability::new(0.02).unwrap();
        options.faults.seed = 42;
    });
    let (listen, local) = (listen.to_string(), local.to_string());
    let mut target = open(&["-r", &listen, "-l", &local, "-b", "1b:00"]).unwrap();
    let outcomes = read_batch(&mut target.memory, &[range(START, START + LENGTH)]);
    assert!(outcomes == [Ok(content())], "the bytes differ");
    let (there, here) = (adapter.counters(), target.memory.counters());
    assert!(there.lost_completions > 0 && there.duplicated > 0 && there.reordered > 0);
    assert!(here.retries > 0 && here.discarded > 0, "{here:?}");
}

#[test]
fn the_driver_tells_the_requester_id_and_others_get_no_answer() {
    let (listen, local) = addresses();
    let adapter = adapter(listen, |options| {
        options.requester = Some(RequesterId::from_bits(0x0300));
    });
    let (listen, local) = (listen.to_string(), local.to_string());
    let read = |flags: &[&str]| {
        let network = ["-r", &listen, "-l", &local, "--tags", "4"];
        let mut target = open(&[&network, flags].concat()).unwrap();
        assert!(matches!(target.origin, Origin::Adapter(_)));
        read_batch(&mut target.memory, &[range(START, START + 4)]).remove(0)
    };
    assert_eq!(read(&["-R", &listen]), Ok(content()[..4].to_vec()));
    assert_eq!(read(&["-b", "1b:00"]), Err(ReadFailure::TimedOut));
    assert!(adapter.counters().misrouted > 0);
}

#[test]
fn a_recording_of_the_wire_replays_without_it() {
    let (listen, local) = addresses();
    let adapter = adapter(listen, |_| {});
    let folder = tempfile::tempdir().unwrap();
    let (recording, pcap) = (folder.path().join("r"), folder.path().join("d.pcap"));
    let (recording, pcap) = (recording.to_str().unwrap(), pcap.to_str().unwrap());
    let (listen, local) = (listen.to_string(), local.to_string());
    let ranges = [
        range(START + 0x123, START + 0x4567),
        range(START + LENGTH, START + LENGTH + 8),
        range(0x1000, 0x1008),
    ];
    let mut live = open(&[
        "-r",
        &listen,
        "-l",
        &local,
        "-b",
        "1b:00",
        "--record",
        recording,
        "--pcap",
        pcap,
        "--ram",
        "100000-300000",
    ])
    .unwrap();
    let outcomes = read_batch(&mut live.memory, &ranges);
    assert_eq!(outcomes[0], Ok(content()[0x123..0x4567].to_vec()));
    assert_eq!(outcomes[1], Err(ReadFailure::UnsupportedRequest));
    assert_eq!(outcomes[2], Err(ReadFailure::NotInRamMap));
    drop(live);
    let sent = adapter.stop().unwrap();
    let mut replayed = open(&["--replay", recording]).unwrap();
    assert_eq!(read_batch(&mut replayed.memory, &ranges), outcomes);
    let datagrams = std::fs::metadata(pcap).unwrap().len();
    assert!(datagrams > sent.bytes, "{datagrams} bytes in the pcap file");
}
