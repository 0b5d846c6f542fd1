//! Properties over generated messages, and no panic on arbitrary bytes.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::addr::PhysAddr;
use crate::wire::memory_write::MemoryWriteRepr;
use crate::wire::*;

/// Any access that lies in one page: address and bytes, at least 1.
fn access() -> impl Strategy<Value = (PhysAddr, u32)> {
    (any::<u64>(), prop_oneof![1..16_u32, 1..=4096_u32]).prop_map(|(address, length)| {
        let room = 4096 - (address & 0xfff);
        (PhysAddr::new(address), length.min(room as u32))
    })
}

fn requester() -> impl Strategy<Value = RequesterId> {
    any::<u16>().prop_map(RequesterId::from_bits)
}

/// Any completion that can be emitted.
fn completion() -> impl Strategy<Value = CompletionRepr> {
    let success = (1..=4096_u16, 0..0x80_u8, any::<u16>()).prop_map(|(count, lower, pick)| {
        let most = (u16::from(lower & 3) + count).div_ceil(4).min(1024);
        (CompletionStatus::Success, count, lower, pick % (most + 1))
    });
    let failure = (1..8_u8, 1..=4096_u16, 0..0x80_u8)
        .prop_map(|(code, count, lower)| (CompletionStatus::from_code(code), count, lower, 0));
    (
        requester(),
        requester(),
        any::<u8>(),
        any::<bool>(),
        prop_oneof![success, failure],
    )
        .prop_map(|(completer, requester, tag, poisoned, rest)| {
            let (status, byte_count, lower_address, dwords) = rest;
            CompletionRepr {
                completer,
                requester,
                tag: Tag::new(tag),
                status,
                byte_count,
                lower_address,
                dwords,
                poisoned,
            }
        })
}

proptest! {
    #[test]
    fn reads_survive_emission((address, length) in access(), requester in requester(), tag: u8) {
        let read = MemoryReadRepr::new(requester, Tag::new(tag), address, length).unwrap();
        let mut buffer = [0xa5; 16];
        let end = read.emit(&mut buffer).unwrap();
        let packet = RequestPacket::new(&buffer[..end]).unwrap();
        prop_assert_eq!(MemoryReadRepr::parse(&packet), Ok(read));
        prop_assert_eq!(read.span.range().start, address);
        prop_assert_eq!(read.span.range().length(), u64::from(length));
        prop_assert_eq!(end == 16, address.get() >= 1 << 32);
    }

    #[test]
    fn writes_survive_emission((address, length) in access(), requester in requester(), tag: u8) {
        let write = MemoryWriteRepr::new(requester, Tag::new(tag), address, length).unwrap();
        let data: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
        let mut buffer = vec![0xa5; MAX_DATAGRAM];
        let end = write.emit_with_data(&data, &mut buffer).unwrap();
        let packet = RequestPacket::new(&buffer[..end]).unwrap();
        prop_assert_eq!(MemoryWriteRepr::parse(&packet), Ok(write));
        let before = (address.get() & 3) as usize;
        prop_assert_eq!(&packet.tlp().payload()[before..before + data.len()], &data[..]);
    }

    #[test]
    fn completions_survive_emission(completion in completion()) {
        let mut buffer = vec![0x77; 12 + usize::from(completion.dwords) * 4];
        prop_assert_eq!(completion.emit(&mut buffer), Ok(12));
        let packet = CompletionPacket::new(&buffer[..]).unwrap();
        prop_assert_eq!(CompletionRepr::parse(&packet), Ok(completion));
        let valid = if completion.dwords == 0 { 0 } else { completion.valid_bytes() };
        prop_assert_eq!(packet.valid_data().len(), usize::from(valid));
    }

    #[test]
    fn nettlp_headers_survive_emission(sequence: u16, timestamp: u32) {
        let header = NettlpRepr { sequence: Sequence(sequence), timestamp: Timestamp(timestamp) };
        let mut buffer = [0; 6];
        header.emit(&mut buffer).unwrap();
        prop_assert_eq!(NettlpRepr::parse(&NettlpPacket::new(buffer).unwrap()), header);
    }

    #[test]
    fn configuration_packets_survive_both_ways(bytes: [u8; 6]) {
        let packet = ConfigurationPacket::new(bytes).unwrap();
        if let Ok(configuration) = ConfigurationRepr::parse(&packet) {
            let mut again = [0; 6];
            prop_assert_eq!(configuration.emit(&mut again), Ok(6));
            prop_assert_eq!(again, bytes);
        }
    }

    #[test]
    fn an_emitted_read_is_nothing_else((address, length) in access(), requester in requester(), tag: u8) {
        let read = MemoryReadRepr::new(requester, Tag::new(tag), address, length).unwrap();
        let mut buffer = [0xff; 16];
        read.emit(&mut buffer).unwrap();
        prop_assert!(buffer[0] == 0x00 || buffer[0] == 0x20);
        prop_assert_eq!((buffer[1], buffer[2] & 0xfc), (0, 0));
    }

    #[test]
    fn what_parses_is_written_back_unchanged(mut bytes in vec(any::<u8>(), 16..40), kind in 0..6_usize) {
        // Mostly legal heads, so that more than a few of the arrays parse.
        bytes[0] = [0x00, 0x20, 0x40, 0x60, 0x0a, 0x4a][kind];
        bytes[1] = 0;
        bytes[2] &= 0x40;
        let header = if bytes[0] & 0x20 == 0 { 12 } else { 16 };
        if bytes[0] & 0x40 == 0 {
            bytes.truncate(header);
        }
        bytes[3] = ((bytes.len() - header) / 4).max(1) as u8;
        if kind < 4 {
            bytes[7] &= if bytes[3] == 1 { 0x0f } else { 0xff };
            bytes[header - 1] &= 0xfc;
        } else {
            bytes[6] &= 0x0f;
            bytes[11] &= 0x7f;
        }
        let packet = RequestPacket::new(&bytes[..]).unwrap();
        if let Ok(read) = MemoryReadRepr::parse(&packet) {
            let mut again = [0; 16];
            let end = read.emit(&mut again).unwrap();
            prop_assert_eq!(&again[..end], &bytes[..]);
        }
        if let Ok(write) = MemoryWriteRepr::parse(&packet) {
            let mut again = bytes.clone();
            write.emit(&mut again).unwrap();
            prop_assert_eq!(&again, &bytes);
        }
        let packet = CompletionPacket::new(&bytes[..]);
        if let Ok(completion) = packet.and_then(|packet| CompletionRepr::parse(&packet)) {
            let mut again = bytes.clone();
            // A completion without data has a reserved Length field, which is not kept.
            if completion.dwords == 0 {
                bytes[3] = 0;
            }
            completion.emit(&mut again).unwrap();
            prop_assert_eq!(&again, &bytes);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..80)) {
        if let Ok(packet) = NettlpPacket::new(&bytes[..]) {
            let _ = (NettlpRepr::parse(&packet), packet.tlp().len());
        }
        if let Ok(packet) = TlpPacket::new(&bytes[..]) {
            let _ = (packet.kind(), packet.payload().len(), packet.dwords());
        }
        if let Ok(packet) = RequestPacket::new(&bytes[..]) {
            let _ = (MemoryReadRepr::parse(&packet), MemoryWriteRepr::parse(&packet));
            let span = packet.span();
            let _ = (span.byte_count(), span.range(), span.is_flush(), span.enables_byte(9));
            let pieces = split_completion(&span, 64, 256);
            prop_assert!(pieces.count() <= 65);
        }
        if let Ok(packet) = CompletionPacket::new(&bytes[..]) {
            let _ = (CompletionRepr::parse(&packet), packet.valid_data().len());
        }
        if let Ok(packet) = ConfigurationPacket::new(&bytes[..]) {
            let _ = ConfigurationRepr::parse(&packet);
        }
        let _ = MessageRequest::parse(&bytes);
        for request in [MessageRequest::Bar4, MessageRequest::RequesterId, MessageRequest::Msix] {
            let _ = MessageReply::parse(request, &bytes);
        }
    }

    #[test]
    fn requester_ids_survive_text(bits: u16, text in "[0-9a-f:.]{0,9}") {
        let id = RequesterId::from_bits(bits);
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        let _ = text.parse::<RequesterId>();
    }

    #[test]
    fn splits_cover_without_gap_or_overlap(address: u64, length in 1..20_000_u64, limit in 0..5000_u32) {
        let address = PhysAddr::new(address >> 1);
        let mut at = address.get();
        for (start, bytes) in split_request(address, length, limit) {
            prop_assert_eq!(start.get(), at);
            prop_assert!(MemoryReadRepr::new(RequesterId::default(), Tag::new(0), start, bytes).is_ok());
            at += u64::from(bytes);
        }
        prop_assert_eq!(at, address.get() + length);
    }
}
