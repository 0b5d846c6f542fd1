use proptest::prelude::*;

use super::*;
use crate::adapter::AdapterCounters;
use crate::addr::PhysRange;
use crate::memory::{ImageMap, Immediate, SparseMemory, WritableImage};
use crate::wire::{CompletionPacket, LARGEST_BYTE_COUNT};

const ADAPTER_ID: RequesterId = RequesterId::from_bits(0x1b00);

/// 16 KiB of numbers at 0x10000, and one range for each way to fail.
fn memory() -> SparseMemory {
    let mut memory = SparseMemory::new();
    let bytes: Vec<u8> = (0..0x4000_u32).map(|at| (at ^ (at >> 8)) as u8).collect();
    memory.insert(PhysAddr::new(0x1_0000), &bytes);
    memory.insert(PhysAddr::new(0x3_0000), &[1; 4]);
    for (at, failure) in [
        (0x2_0000, ReadFailure::UnsupportedRequest),
        (0x2_1000, ReadFailure::CompleterAbort),
        (0x2_2000, ReadFailure::Poisoned),
        (0x2_3000, ReadFailure::TimedOut),
    ] {
        let range = PhysRange::of_length(PhysAddr::new(at), 0x1000).unwrap();
        memory.insert_failure(range, failure);
    }
    memory
}

struct Bench {
    responder: Responder,
    tally: Arc<Tally>,
}

impl Bench {
    fn new(options: &AdapterOptions, backing: impl Into<Backing>) -> Self {
        let tally = Arc::new(Tally::default());
        Self {
            responder: Responder::new(options, backing.into(), Arc::clone(&tally)),
            tally,
        }
    }

    fn usual() -> Self {
        Self::new(&AdapterOptions::default(), Immediate::new(memory()))
    }

    /// The TLPs that answer a datagram.
    fn answers(&mut self, datagram: &[u8]) -> Vec<Vec<u8>> {
        let mut answers = Vec::new();
        self.responder.tlp(datagram, &mut |_, datagram| {
            answers.push(datagram[NettlpRepr::LENGTH..].to_vec());
        });
        answers
    }

    fn counters(&self) -> AdapterCounters {
        self.tally.snapshot()
    }
}

fn read_request(address: u64, length: u32) -> Vec<u8> {
    let request =
        MemoryReadRepr::new(ADAPTER_ID, Tag::new(9), PhysAddr::new(address), length).unwrap();
    let mut datagram = vec![0; 64];
    let end = 6 + request.emit(&mut datagram[6..]).unwrap();
    datagram.truncate(end);
    datagram
}

fn parse(tlp: &[u8]) -> CompletionRepr {
    CompletionRepr::parse(&CompletionPacket::new(tlp).unwrap()).unwrap()
}

/// The bytes that the completions of one read carry, checked for the order and splits that hardware keeps.
fn assemble(tlps: &[Vec<u8>], address: u64, length: u32, boundary: u64, longest: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    for tlp in tlps {
        let repr = parse(tlp);
        let at = address + bytes.len() as u64;
        assert_eq!(repr.status, CompletionStatus::Success);
        assert_eq!(u64::from(repr.lower_address), at & 0x7f);
        assert_eq!(u32::from(repr.byte_count), length - bytes.len() as u32);
        assert!(repr.dwords * 4 <= longest);
        assert!(bytes.is_empty() || at.is_multiple_of(boundary));
        assert_eq!((repr.requester, repr.tag), (ADAPTER_ID, Tag::new(9)));
        let packet = CompletionPacket::new(tlp).unwrap();
        bytes.extend_from_slice(packet.valid_data());
    }
    bytes
}

#[test]
fn reads_come_back_in_pieces_as_options_say() {
    for (boundary, max_payload, pieces) in [(64, 256, 2), (64, 128, 4), (128, 512, 1), (64, 64, 8)]
    {
        let options = AdapterOptions {
            boundary,
            max_payload,
            ..AdapterOptions::default()
        };
        let mut bench = Bench::new(&options, Immediate::new(memory()));
        let answers = bench.answers(&read_request(0x1_0200, 512));
        assert_eq!(answers.len(), pieces);
        let bytes = assemble(&answers, 0x1_0200, 512, boundary.into(), max_payload as u16);
        let expected: Vec<u8> = (0x200..0x400_u32)
            .map(|at| (at ^ (at >> 8)) as u8)
            .collect();
        assert_eq!(bytes, expected);
        assert_eq!(bench.counters().completions, pieces as u64);
        assert_eq!((bench.counters().reads, bench.counters().bytes), (1, 512));
    }
}

#[test]
fn addresses_above_4_gib_are_read_with_the_long_header() {
    let mut high = memory();
    high.insert(PhysAddr::new(0x1_2345_0000), &[7; 64]);
    let mut bench = Bench::new(&AdapterOptions::default(), Immediate::new(high));
    let request = read_request(0x1_2345_0003, 6);
    assert_eq!(request.len(), 22);
    let answers = bench.answers(&request);
    assert_eq!(assemble(&answers, 0x1_2345_0003, 6, 64, 256), [7; 6]);
    // The long form with an address below 4 GiB reaches nothing.
    let mut long = read_request(0x1_0001_0000, 4);
    long[14..18].fill(0);
    assert_eq!(
        parse(&bench.answers(&long)[0]).status,
        CompletionStatus::UnsupportedRequest
    );
}

#[test]
fn failures_of_the_memory_become_what_a_root_complex_says() {
    let mut bench = Bench::usual();
    let mut status = |address| {
        let answers = bench.answers(&read_request(address, 8));
        answers.first().map(|tlp| {
            let repr = parse(tlp);
            (repr.status, repr.dwords, repr.poisoned)
        })
    };
    let unsupported = Some((CompletionStatus::UnsupportedRequest, 0, false));
    assert_eq!(status(0x9_0000), unsupported);
    assert_eq!(status(0x2_0000), unsupported);
    // Four bytes are there, eight are asked for.
    assert_eq!(status(0x3_0000), unsupported);
    assert_eq!(
        status(0x2_1000),
        Some((CompletionStatus::CompleterAbort, 0, false))
    );
    assert_eq!(status(0x2_2000), Some((CompletionStatus::Success, 2, true)));
    assert_eq!(status(0x2_3000), None);
    let counters = bench.counters();
    assert_eq!(
        (counters.unsupported, counters.aborted, counters.unanswered),
        (3, 1, 1)
    );
}

#[test]
fn poisoned_data_are_not_what_an_earlier_read_left_behind() {
    let mut bench = Bench::usual();
    bench.answers(&read_request(0x1_0011, 8));
    let answers = bench.answers(&read_request(0x2_2000, 8));
    assert_eq!(answers[0][CompletionRepr::HEADER..], [0; 8]);
}

#[test]
fn a_zero_length_read_says_only_whether_memory_is_there() {
    let mut bench = Bench::usual();
    let answers = bench.answers(&read_request(0x1_0010, 0));
    let repr = parse(&answers[0]);
    assert_eq!((repr.byte_count, repr.dwords), (1, 1));
    assert_eq!(answers[0][CompletionRepr::HEADER..], [0; 4]);
    let answers = bench.answers(&read_request(0x9_0000, 0));
    assert_eq!(
        parse(&answers[0]).status,
        CompletionStatus::UnsupportedRequest
    );
}

#[test]
fn malformed_requests_meet_silence_and_are_counted() {
    let good = read_request(0x1_0000, 512);
    let edit = |at: usize, byte: u8| {
        let mut datagram = good.clone();
        datagram[at] = byte;
        datagram
    };
    let mut bench = Bench::usual();
    // The address becomes 0x10e80: 512 bytes from there cross 0x11000.
    let mut crossing = good.clone();
    crossing[16..18].copy_from_slice(&[0x0e, 0x80]);
    assert!(bench.answers(&crossing).is_empty());
    assert_eq!(bench.counters().crossings, 1);
    let malformed = [
        edit(13, 0xf0), // first byte enables 0 of many double words
        edit(13, 0x5f), // last byte enables with a gap
        edit(7, 0x10),  // traffic class 1
        edit(8, 0x80),  // a digest that is not there
        edit(6, 0x01),  // a locked read
        edit(6, 0x4a),  // a completion
        edit(17, 0x01), // reserved address bits
        [&good[..], &[0]].concat(),
        good[..17].to_vec(),
        good[..5].to_vec(),
        Vec::new(),
    ];
    for datagram in &malformed {
        assert!(bench.answers(datagram).is_empty(), "{datagram:02x?}");
    }
    assert_eq!(bench.counters().malformed, malformed.len() as u64);
    // A translation request is well formed, and nothing supports it.
    let translation = bench.answers(&edit(8, 0x04));
    assert_eq!(
        parse(&translation[0]).status,
        CompletionStatus::UnsupportedRequest
    );
}

#[test]
fn a_set_requester_is_the_only_one_answered() {
    let options = AdapterOptions {
        requester: Some(RequesterId::from_bits(0x0300)),
        ..AdapterOptions::default()
    };
    let mut bench = Bench::new(&options, Immediate::new(memory()));
    assert!(bench.answers(&read_request(0x1_0000, 8)).is_empty());
    assert_eq!(bench.counters().misrouted, 1);
    let reply = bench.responder.message(&MessageRequest::RequesterId.emit());
    assert_eq!(reply, Some(vec![0x00, 0x03]));
}

fn write_request(address: u64, data: &[u8]) -> Vec<u8> {
    let length = data.len() as u32;
    let request =
        MemoryWriteRepr::new(ADAPTER_ID, Tag::new(9), PhysAddr::new(address), length).unwrap();
    let mut datagram = vec![0; 64];
    let end = 6 + request.emit_with_data(data, &mut datagram[6..]).unwrap();
    datagram.truncate(end);
    datagram
}

#[test]
fn writes_are_ignored_unless_the_image_is_writable() {
    let mut bench = Bench::usual();
    assert!(
        bench
            .answers(&write_request(0x1_0001, &[0xee; 5]))
            .is_empty()
    );
    assert_eq!(bench.counters().writes_ignored, 1);
    let answers = bench.answers(&read_request(0x1_0000, 8));
    assert_eq!(
        answers[0][CompletionRepr::HEADER..],
        [0, 1, 2, 3, 4, 5, 6, 7]
    );

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), [0; 64]).unwrap();
    let image = WritableImage::open(file.path(), &ImageMap::Identity).unwrap();
    let mut bench = Bench::new(&AdapterOptions::default(), Backing::Writable(image));
    assert!(bench.answers(&write_request(0x11, &[0xee; 5])).is_empty());
    // Byte enables with a gap: bytes 0 and 2 of one double word.
    let mut gap = write_request(0x20, &[1, 2, 3, 4]);
    gap[13] = 0x05;
    bench.answers(&gap);
    bench.answers(&write_request(0x40, &[1]));
    let counters = bench.counters();
    assert_eq!((counters.writes, counters.writes_ignored), (2, 1));
    let bytes = std::fs::read(file.path()).unwrap();
    assert_eq!(bytes[0x10..0x18], [0, 0xee, 0xee, 0xee, 0xee, 0xee, 0, 0]);
    assert_eq!(bytes[0x20..0x24], [1, 0, 3, 0]);
    let answers = bench.answers(&read_request(0x10, 8));
    assert_eq!(answers[0][CompletionRepr::HEADER..], bytes[0x10..0x18]);
}

#[test]
fn the_message_api_and_configuration_space_answer() {
    let mut bench = Bench::usual();
    let ask = |request: MessageRequest| {
        let reply = bench.responder.message(&request.emit()).unwrap();
        MessageReply::parse(request, &reply).unwrap()
    };
    assert_eq!(ask(MessageRequest::Bar4), MessageReply::Bar4(BAR4));
    assert_eq!(
        ask(MessageRequest::RequesterId),
        MessageReply::RequesterId(AdapterOptions::USUAL_REQUESTER)
    );
    assert!(matches!(ask(MessageRequest::Msix), MessageReply::Msix(_)));
    assert_eq!(bench.responder.message(&[9, 0, 0, 0]), None);
    let mut packet = [0; ConfigurationRepr::LENGTH];
    ConfigurationRepr::read(0).emit(&mut packet).unwrap();
    let reply = bench.responder.configuration(&packet).unwrap();
    assert_eq!(reply[2..], [0x80, 0x22, 0x37, 0x76]);
    assert_eq!(bench.responder.configuration(&packet[..5]), None);
    assert_eq!(bench.counters().malformed, 2);
}

proptest! {
    #[test]
    fn any_read_in_memory_comes_back_whole(
        start in 0_u64..0x4000, length in 1_u32..=4096, boundary in prop_oneof![Just(64_u32), Just(128)],
        max_payload in prop_oneof![Just(64_u32), Just(128), Just(256), Just(512), Just(4096)]
    ) {
        let length = length.min(0x1000 - (start & 0xfff) as u32);
        let options = AdapterOptions { boundary, max_payload, ..AdapterOptions::default() };
        let mut bench = Bench::new(&options, Immediate::new(memory()));
        let answers = bench.answers(&read_request(0x1_0000 + start, length));
        let longest = (max_payload.max(boundary) as u16).min(LARGEST_BYTE_COUNT);
        let bytes = assemble(&answers, 0x1_0000 + start, length, boundary.into(), longest);
        let expected: Vec<u8> = (start as u32..start as u32 + length).map(|at| (at ^ (at >> 8)) as u8).collect();
        prop_assert_eq!(bytes, expected);
    }

    #[test]
    fn any_datagram_is_answered_by_well_formed_completions_or_silence(
        kind in prop_oneof![Just(0x00_u8), Just(0x20), Just(0x40), Just(0x60), any::<u8>()],
        mut rest in proptest::collection::vec(any::<u8>(), 0..40)
    ) {
        if let Some(byte) = rest.get_mut(6) {
            *byte = kind;
        }
        let mut bench = Bench::usual();
        for tlp in bench.answers(&rest) {
            parse(&tlp);
        }
        bench.responder.message(&rest);
        bench.responder.configuration(&rest);
    }
}
