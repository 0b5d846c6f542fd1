//! Bytes as LibTLP sends them and as root complexes answer: `emit(parse(b)) == b` for each.

use crate::addr::PhysAddr;
use crate::wire::memory_write::MemoryWriteRepr;
use crate::wire::*;

/// LibTLP's read of 1 byte at 0x747400000, tag 0, requester 1b:00.0 (the published latency benchmark).
const READ_1_BYTE: [u8; 16] = [
    0x20, 0x00, 0x00, 0x01, 0x1b, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x07, 0x47, 0x40, 0x00, 0x00,
];
/// The read of 512 bytes at 0x747400000, tag 15.
const READ_512_BYTES: [u8; 16] = [
    0x20, 0x00, 0x00, 0x80, 0x1b, 0x00, 0x0f, 0xff, 0x00, 0x00, 0x00, 0x07, 0x47, 0x40, 0x00, 0x00,
];
/// A read of 300 bytes at 0x2001 in the short form: 76 double words, first enables 1110, last 0001.
const READ_UNALIGNED: [u8; 12] = [
    0x00, 0x00, 0x00, 0x4c, 0x1b, 0x00, 0x03, 0x1e, 0x00, 0x00, 0x20, 0x00,
];
/// A whole page: Length 0 stands for 1024 double words.
const READ_PAGE: [u8; 12] = [
    0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x80, 0xff, 0x12, 0x34, 0x50, 0x00,
];
/// The zero-length read.
const READ_NOTHING: [u8; 12] = [
    0x00, 0x00, 0x00, 0x01, 0x1b, 0x00, 0x07, 0x00, 0x00, 0x10, 0x00, 0x00,
];

#[test]
fn memory_reads_are_read_and_written_back() {
    for (bytes, tag, address, length) in [
        (&READ_1_BYTE[..], 0, 0x7_4740_0000, 1),
        (&READ_512_BYTES, 15, 0x7_4740_0000, 512),
        (&READ_UNALIGNED, 3, 0x2001, 300),
        (&READ_PAGE, 0x80, 0x1234_5000, 4096),
        (&READ_NOTHING, 7, 0x10_0000, 0),
    ] {
        let packet = RequestPacket::new(bytes).unwrap();
        let read = MemoryReadRepr::parse(&packet).unwrap();
        assert_eq!(read.tag, Tag::new(tag));
        assert_eq!(read.span.range().start, PhysAddr::new(address));
        assert_eq!(read.span.range().length(), length);
        let mut again = [0xa5; 16];
        assert_eq!(read.emit(&mut again), Ok(bytes.len()));
        assert_eq!(&again[..bytes.len()], bytes);
        let made = MemoryReadRepr::new(
            packet.requester(),
            Tag::new(tag),
            PhysAddr::new(address),
            length as u32,
        );
        assert_eq!(made, Ok(read));
    }
}

/// A root complex (0000) answers 512 bytes with two completions of 256: byte count 512 and 256, lower address 0 both times.
fn completions_of_512() -> [Vec<u8>; 2] {
    [
        [
            0x4a, 0x00, 0x00, 0x40, 0x00, 0x00, 0x02, 0x00, 0x1b, 0x00, 0x0f, 0x00,
        ],
        [
            0x4a, 0x00, 0x00, 0x40, 0x00, 0x00, 0x01, 0x00, 0x1b, 0x00, 0x0f, 0x00,
        ],
    ]
    .map(|header: [u8; 12]| header.into_iter().chain([0x5a; 256]).collect())
}

/// Of a page read by 64 bytes: byte count 0 (4096) at lower address 0, then fc0 at 40.
fn completions_of_a_page() -> [Vec<u8>; 2] {
    [
        [
            0x4a, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x80, 0x00,
        ],
        [
            0x4a, 0x00, 0x00, 0x10, 0x00, 0x00, 0x0f, 0xc0, 0x02, 0x00, 0x80, 0x40,
        ],
    ]
    .map(|header: [u8; 12]| header.into_iter().chain([0x11; 64]).collect())
}

/// Unsupported request, completer abort, configuration retry and a reserved status: no data.
const FAILURES: [([u8; 12], CompletionStatus); 4] = [
    (
        [
            0x0a, 0x00, 0x00, 0x00, 0x00, 0x00, 0x20, 0x08, 0x1b, 0x00, 0x05, 0x38,
        ],
        CompletionStatus::UnsupportedRequest,
    ),
    (
        [
            0x0a, 0x00, 0x00, 0x00, 0x00, 0x00, 0x82, 0x00, 0x1b, 0x00, 0x06, 0x00,
        ],
        CompletionStatus::CompleterAbort,
    ),
    (
        [
            0x0a, 0x00, 0x00, 0x00, 0x00, 0x00, 0x40, 0x04, 0x1b, 0x00, 0x06, 0x00,
        ],
        CompletionStatus::ConfigurationRetry,
    ),
    (
        [
            0x0a, 0x00, 0x00, 0x00, 0x00, 0x00, 0xe0, 0x04, 0x1b, 0x00, 0x06, 0x00,
        ],
        CompletionStatus::Reserved(7),
    ),
];

#[test]
fn completions_are_read_and_written_back() {
    let failures = FAILURES.iter().map(|(bytes, _)| bytes.to_vec());
    let all = completions_of_512()
        .into_iter()
        .chain(completions_of_a_page())
        .chain(failures);
    for bytes in all {
        let packet = CompletionPacket::new(&bytes[..]).unwrap();
        let completion = CompletionRepr::parse(&packet).unwrap();
        let mut again = bytes.clone();
        again[..12].fill(0xa5);
        assert_eq!(completion.emit(&mut again), Ok(12));
        assert_eq!(again, bytes);
    }
}

#[test]
fn completion_fields_say_what_the_captures_mean() {
    let [first, second] = completions_of_512();
    let first = CompletionRepr::parse(&CompletionPacket::new(&first[..]).unwrap()).unwrap();
    let second = CompletionRepr::parse(&CompletionPacket::new(&second[..]).unwrap()).unwrap();
    assert_eq!((first.byte_count, first.valid_bytes()), (512, 256));
    assert!(!first.is_last() && second.is_last());
    let [page, _] = completions_of_a_page();
    let page = CompletionRepr::parse(&CompletionPacket::new(&page[..]).unwrap()).unwrap();
    assert_eq!((page.byte_count, page.valid_bytes()), (4096, 64));
    for (bytes, status) in FAILURES {
        let packet = CompletionPacket::new(&bytes[..]).unwrap();
        let completion = CompletionRepr::parse(&packet).unwrap();
        assert_eq!((completion.status, completion.dwords), (status, 0));
        assert_eq!(completion.valid_bytes(), 0);
    }
}

#[test]
fn valid_data_leave_out_the_padding_at_both_ends() {
    // 5 bytes at ...6: two bytes of padding before, one behind.
    let bytes = [
        0x4a, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x05, 0x1b, 0x00, 0x00, 0x06, 0xee, 0xee, 1, 2,
        3, 4, 5, 0xee,
    ];
    let packet = CompletionPacket::new(&bytes[..]).unwrap();
    assert_eq!(packet.valid_data(), [1, 2, 3, 4, 5]);
    let completion = CompletionRepr::parse(&packet).unwrap();
    assert_eq!((completion.valid_bytes(), completion.is_last()), (5, true));
}

#[test]
fn memory_writes_are_read_and_written_back() {
    // 0xdeadbeef to 0x1000, and two bytes to 0x747400003.
    let short = [
        0x40, 0x00, 0x00, 0x01, 0x1b, 0x00, 0x00, 0x0f, 0x00, 0x00, 0x10, 0x00, 0xde, 0xad, 0xbe,
        0xef,
    ];
    let long = [
        0x60, 0x00, 0x00, 0x02, 0x1b, 0x00, 0x01, 0x18, 0x00, 0x00, 0x00, 0x07, 0x47, 0x40, 0x00,
        0x00, 0x00, 0x00, 0x00, 0xca, 0xfe, 0x00, 0x00, 0x00,
    ];
    for (bytes, data) in [
        (&short[..], &[0xde, 0xad, 0xbe, 0xef][..]),
        (&long[..], &[0xca, 0xfe][..]),
    ] {
        let packet = RequestPacket::new(bytes).unwrap();
        let write = MemoryWriteRepr::parse(&packet).unwrap();
        let mut again = vec![0xa5; bytes.len()];
        assert_eq!(write.emit_with_data(data, &mut again), Ok(bytes.len()));
        assert_eq!(again, bytes);
        assert_eq!(
            MemoryReadRepr::parse(&packet),
            Err(WireError::NotA {
                expected: "memory read request",
                found: bytes[0]
            })
        );
    }
}

#[test]
fn the_nettlp_header_stands_before_the_tlp() {
    // Sequence and clock as in a published capture: 536, 537, … across tags and kinds.
    let datagram: Vec<u8> = [0x02, 0x18, 0x12, 0x34, 0x56, 0x78]
        .into_iter()
        .chain(READ_PAGE)
        .collect();
    let packet = NettlpPacket::new(&datagram[..]).unwrap();
    let header = NettlpRepr::parse(&packet);
    assert_eq!(header.sequence, Sequence(536));
    assert_eq!(header.timestamp, Timestamp(0x1234_5678));
    assert_eq!(packet.tlp(), READ_PAGE);
    let mut again = [0; 6];
    assert_eq!(header.emit(&mut again), Ok(6));
    assert_eq!(again, datagram[..6]);
}
