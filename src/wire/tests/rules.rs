//! The encoding rules for a correct requester (PCIe Base Specification, 2.2; the numbers are those of the project's list), and
//! LibTLP's encoding faults, one test each.

use crate::addr::PhysAddr;
use crate::wire::memory_write::MemoryWriteRepr;
use crate::wire::*;

fn read(address: u64, length: u32) -> Result<Vec<u8>, WireError> {
    let requester = RequesterId::from_bits(0x1b00);
    let read = MemoryReadRepr::new(requester, Tag::new(5), PhysAddr::new(address), length)?;
    let mut buffer = vec![0xff; 16];
    let length = read.emit(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

fn parse_read(bytes: &[u8]) -> Result<MemoryReadRepr, WireError> {
    MemoryReadRepr::parse(&RequestPacket::new(bytes)?)
}

fn parse_completion(bytes: &[u8]) -> Result<CompletionRepr, WireError> {
    CompletionRepr::parse(&CompletionPacket::new(bytes)?)
}

#[test]
fn rule_1_a_request_that_crosses_4_kib_cannot_be_made_or_accepted() {
    let crossing = WireError::CrossesPage {
        address: PhysAddr::new(0x1ffc),
        bytes: 8,
    };
    assert_eq!(read(0x1ffc, 8), Err(crossing.clone()));
    let mut bytes = read(0x1ff8, 8).unwrap();
    bytes[11] = 0xfc;
    assert_eq!(parse_read(&bytes), Err(crossing));
}

#[test]
fn rule_2_length_0_means_1024_double_words_and_no_count_reaches_the_bits_beside_it() {
    assert_eq!(read(0x1000, 4096).unwrap()[2..4], [0, 0]);
    assert_eq!(read(0x1000, 4092).unwrap()[2..4], [0x03, 0xff]);
    for length in 0..=4096 {
        assert_eq!(read(0x1000, length).unwrap()[2] & 0xfc, 0);
    }
    for length in [4097, 8192, 16_384, 65_536, u32::MAX] {
        assert!(read(0x1000, length).is_err());
    }
}

#[test]
fn rule_4_illegal_byte_enables_are_refused() {
    for (dwords, enables) in [
        (1, 0x1f),
        (2, 0x0f),
        (2, 0xf0),
        (3, 0xf5),
        (3, 0xaf),
        (4, 0x00),
    ] {
        let mut bytes = read(0x1000, 4).unwrap();
        bytes[3] = dwords;
        bytes[7] = enables;
        assert_eq!(
            parse_read(&bytes),
            Err(WireError::ByteEnables {
                first: enables & 0xf,
                last: enables >> 4,
                dwords: u16::from(dwords)
            })
        );
    }
}

#[test]
fn rule_5_the_long_header_is_used_from_4_gib_on_and_not_below() {
    assert_eq!(read(0xffff_fffc, 4).unwrap().len(), 12);
    assert_eq!(read(0xffff_ffff, 1).unwrap().len(), 12);
    assert_eq!(read(0x1_0000_0000, 1).unwrap().len(), 16);
    let mut bytes = read(0x1_0000_0000, 4).unwrap();
    bytes[11] = 0;
    assert_eq!(
        parse_read(&bytes),
        Err(WireError::LongHeader(PhysAddr::new(0)))
    );
}

#[test]
fn rule_5_and_13_every_emitted_request_has_class_digest_poison_attributes_and_address_type_0() {
    for address in [0, 0x1003, 0xffff_f000, 0x7_4740_0000, !0xfff] {
        for length in [0, 1, 5, 64, 512, 4093] {
            let bytes = read(address, length).unwrap();
            assert!(bytes[0] == 0x00 || bytes[0] == 0x20);
            assert_eq!(bytes[1], 0);
            assert_eq!(bytes[2] & !0x03, 0);
            assert_eq!(bytes[bytes.len() - 1] & 3, 0);
        }
    }
}

#[test]
fn rule_5_requests_with_any_of_these_bits_set_are_refused() {
    let good = read(0x7_4740_0000, 64).unwrap();
    for (at, bits, error) in [
        (1, 0x10, WireError::TrafficClass(0x10)),
        (1, 0x80, WireError::TrafficClass(0x80)),
        (2, 0x80, WireError::Digest),
        (2, 0x40, WireError::PoisonedRequest),
        (2, 0x10, WireError::Attributes(1)),
        (2, 0x20, WireError::Attributes(2)),
        (2, 0x04, WireError::AddressType(1)),
        (2, 0x08, WireError::AddressType(2)),
        (15, 0x02, WireError::AddressBits(2)),
    ] {
        let mut bytes = good.clone();
        bytes[at] |= bits;
        assert_eq!(parse_read(&bytes), Err(error));
    }
}

#[test]
fn rule_6_a_byte_count_of_0_means_4096() {
    let mut bytes = vec![
        0x4a, 0, 0, 0, 0, 0, 0, 0, 0x1b, 0, 5, 0, // then 4096 bytes of data
    ];
    bytes.resize(12 + 4096, 0x33);
    let completion = parse_completion(&bytes).unwrap();
    assert_eq!((completion.byte_count, completion.dwords), (4096, 1024));
    assert!(completion.is_last());
}

#[test]
fn rule_6_data_longer_than_the_byte_count_needs_are_refused() {
    let bytes = [
        0x4a, 0, 0, 2, 0, 0, 0, 4, 0x1b, 0, 5, 0, 1, 2, 3, 4, 5, 6, 7, 8,
    ];
    assert_eq!(
        parse_completion(&bytes),
        Err(WireError::ByteCount {
            byte_count: 4,
            dwords: 2,
            lower_address: 0
        })
    );
}

#[test]
fn rule_7_a_failure_has_no_data() {
    let bytes = [0x4a, 0, 0, 1, 0, 0, 0x20, 4, 0x1b, 0, 5, 0, 1, 2, 3, 4];
    assert_eq!(parse_completion(&bytes), Err(WireError::DataWithFailure(1)));
}

#[test]
fn rule_7_every_status_code_is_told_apart() {
    use CompletionStatus as Status;
    let expected = [
        Status::Success,
        Status::UnsupportedRequest,
        Status::ConfigurationRetry,
        Status::Reserved(3),
        Status::CompleterAbort,
        Status::Reserved(5),
        Status::Reserved(6),
        Status::Reserved(7),
    ];
    for (code, expected) in (0..8).zip(expected) {
        let bytes = [0x0a, 0, 0, 0, 0, 0, code << 5, 4, 0x1b, 0, 5, 0];
        assert_eq!(parse_completion(&bytes).unwrap().status, expected);
        assert_eq!(expected.code(), code);
    }
}

#[test]
fn rule_8_poison_is_kept_and_a_modified_byte_count_refused() {
    let mut bytes = [0x4a, 0, 0x40, 1, 0, 0, 0, 4, 0x1b, 0, 5, 0, 1, 2, 3, 4];
    assert!(parse_completion(&bytes).unwrap().poisoned);
    bytes[6] = 0x10;
    assert_eq!(parse_completion(&bytes), Err(WireError::ByteCountModified));
}

#[test]
fn completions_with_bits_that_a_plain_request_cannot_cause_are_refused() {
    let good = [0x4a, 0, 0, 1, 0, 0, 0, 4, 0x1b, 0, 5, 0, 1, 2, 3, 4];
    for (at, bits, error) in [
        (1, 0x70, WireError::TrafficClass(0x70)),
        (2, 0x80, WireError::Digest),
        (2, 0x10, WireError::Attributes(1)),
        (2, 0x04, WireError::AddressType(1)),
        (11, 0x80, WireError::LowerAddress(0x80)),
    ] {
        let mut bytes = good;
        bytes[at] |= bits;
        assert_eq!(parse_completion(&bytes), Err(error));
    }
    let mut hinted = good;
    hinted[1] = 0x04;
    assert!(parse_completion(&hinted).is_ok());
}

#[test]
fn libtlp_the_udp_length_must_be_that_of_the_tlp() {
    // LibTLP takes a payload cut short for a whole one, and bytes past it for data.
    let good = [0x4a, 0, 0, 1, 0, 0, 0, 4, 0x1b, 0, 5, 0, 1, 2, 3, 4];
    for cut in 0..good.len() {
        assert!(parse_completion(&good[..cut]).is_err(), "{cut} bytes");
    }
    let longer: Vec<u8> = good.into_iter().chain([0]).collect();
    assert_eq!(
        parse_completion(&longer),
        Err(WireError::DataLength {
            announced: 4,
            have: 5
        })
    );
    let request: Vec<u8> = read(0x1000, 4).unwrap().into_iter().chain([0]).collect();
    assert_eq!(
        parse_read(&request),
        Err(WireError::DataLength {
            announced: 0,
            have: 1
        })
    );
}

#[test]
fn libtlp_a_configuration_packet_padded_by_ethernet_is_no_read_request() {
    // What LibTLP's configuration port does to the adapter: 12 zero bytes look like a read of 4096 bytes at 0 with no enables.
    assert_eq!(
        parse_read(&[0; 12]),
        Err(WireError::ByteEnables {
            first: 0,
            last: 0,
            dwords: 1024
        })
    );
}

#[test]
fn a_write_must_carry_what_it_announces() {
    let requester = RequesterId::from_bits(0x1b00);
    let write = MemoryWriteRepr::new(requester, Tag::new(0), PhysAddr::new(0x1001), 6).unwrap();
    let mut buffer = [0xff; 20];
    assert_eq!(
        write.emit_with_data(&[1, 2, 3], &mut buffer),
        Err(WireError::DataLength {
            announced: 6,
            have: 3
        })
    );
    assert_eq!(
        write.emit_with_data(&[1, 2, 3, 4, 5, 6], &mut buffer),
        Ok(20)
    );
    assert_eq!(buffer[12..], [0, 1, 2, 3, 4, 5, 6, 0]);
    let cut = RequestPacket::new(&buffer[..16]).unwrap();
    assert_eq!(
        MemoryWriteRepr::parse(&cut),
        Err(WireError::DataLength {
            announced: 8,
            have: 4
        })
    );
}

#[test]
fn too_small_a_buffer_is_an_error_with_both_lengths() {
    let requester = RequesterId::from_bits(0x1b00);
    let read = MemoryReadRepr::new(requester, Tag::new(0), PhysAddr::new(1 << 32), 4).unwrap();
    assert_eq!(
        read.emit(&mut [0; 15]),
        Err(WireError::Truncated {
            what: "a memory request header",
            need: 16,
            have: 15
        })
    );
    assert_eq!(
        WireError::Truncated {
            what: "a memory request header",
            need: 16,
            have: 15
        }
        .to_string(),
        "a memory request header needs 16 bytes, there are 15"
    );
}
