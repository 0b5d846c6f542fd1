//! Small files that ask for much: each must be answered, or refused with its place, in little time and memory.

use std::time::{Duration, Instant};

use super::tests::fixture;
use super::tests_hostile::{make, section};

/// More than any of these may take, even where many tests run at once on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

const END: [u8; 2] = [0, 0];

/// One abbreviation: code, tag, whether there are children, attributes with their forms.
fn abbreviation(code: u8, tag: u8, has_children: bool, attributes: &[[u8; 2]]) -> Vec<u8> {
    let mut bytes = vec![code, tag, u8::from(has_children)];
    bytes.extend(attributes.iter().flatten());
    bytes.extend(END);
    bytes
}

/// A DWARF 4 unit: its header and its entries.
fn unit(abbreviations: usize, entries: &[u8]) -> Vec<u8> {
    let length = u32::try_from(entries.len() + 7).unwrap_or_default();
    let offset = u32::try_from(abbreviations).unwrap_or_default();
    let header = [
        &length.to_le_bytes()[..],
        &[4, 0],
        &offset.to_le_bytes(),
        &[8],
    ];
    [&header.concat(), entries].concat()
}

/// The fixture with other debug information, at the end of the file.
fn kernel(abbreviations: &[u8], info: &[u8]) -> Vec<u8> {
    let mut bytes = std::fs::read(fixture("dwarf5")).unwrap_or_else(|error| panic!("{error}"));
    for (name, content) in [(".debug_abbrev", abbreviations), (".debug_info", info)] {
        let (header, _) = section(&bytes, name);
        let place = (bytes.len() as u64).to_le_bytes();
        let length = (content.len() as u64).to_le_bytes();
        bytes[header + 24..header + 32].copy_from_slice(&place);
        bytes[header + 32..header + 40].copy_from_slice(&length);
        bytes.extend(content);
    }
    bytes
}

/// The error, or the number of types.
fn outcome(abbreviations: &[u8], info: &[u8]) -> Result<usize, String> {
    let started = Instant::now();
    let made = make(&kernel(abbreviations, info));
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
    made.map(|text| text.types)
        .map_err(|error| error.to_string())
}

const UNIT: u8 = 0x11;
const STRUCT: u8 = 0x13;
const MEMBER: u8 = 0x0d;
const ENUM: u8 = 0x04;
const ENUMERATOR: u8 = 0x28;
const POINTER: u8 = 0x0f;
const NAME_AS_STRING: [u8; 2] = [0x03, 0x08];
const TYPE: [u8; 2] = [0x49, 0x13];
const SIZE: [u8; 2] = [0x0b, 0x0b];
const VALUE: [u8; 2] = [0x1c, 0x0b];

#[test]
fn abbreviations_with_too_many_attributes_are_refused() {
    // Each is a flag that takes no byte of the entry.
    let table = [
        abbreviation(1, UNIT, true, &[]),
        abbreviation(2, STRUCT, false, &[[0x3c, 0x19]; 300]),
        vec![0],
    ];
    let entries = [&[1][..], &[2; 10_000], &[0]].concat();
    assert_eq!(
        outcome(&table.concat(), &unit(0, &entries)),
        Err(".debug_abbrev+0x0: more than 256 attributes of an abbreviation".to_owned())
    );
}

#[test]
fn tables_that_overlap_are_refused_once_they_cost_too_much() {
    // Each unit's table starts one abbreviation later than the one before, and all end at the same place.
    let mut table = Vec::new();
    let mut info = Vec::new();
    for number in 0..10_000_u16 {
        let code = [number as u8 | 0x80, (number >> 7) as u8 + 1];
        info.extend(unit(table.len(), &code));
        table.extend(code);
        table.extend([UNIT, 0, 0, 0]);
    }
    table.push(0);
    let refused = outcome(&table, &info).unwrap_err();
    assert!(
        refused.ends_with("bytes of abbreviations that overlap"),
        "{refused}"
    );
    // The same table for all is parsed once.
    let info = unit(0, &[0x80, 1]).repeat(20_000);
    assert_eq!(outcome(&table, &info), Ok(0));
}

#[test]
fn anonymous_members_cannot_multiply_without_end() {
    let table = [
        abbreviation(1, UNIT, true, &[]),
        abbreviation(2, STRUCT, true, &[SIZE]),
        abbreviation(3, MEMBER, false, &[NAME_AS_STRING, TYPE]),
        abbreviation(4, STRUCT, true, &[NAME_AS_STRING, SIZE]),
        abbreviation(5, MEMBER, false, &[TYPE]),
        abbreviation(6, POINTER, false, &[]),
        vec![0],
    ];
    // 11 bytes of header, one of the unit's own entry.
    let pointer = 12_u32;
    let anonymous = pointer + 1;
    let mut entries = vec![1, 6, 2, 8];
    for number in 0..50_000_u32 {
        let name = format!("\u{3}m{number}\0");
        entries.extend(name.as_bytes());
        entries.extend(pointer.to_le_bytes());
    }
    entries.push(0);
    for number in 0..2_000_u32 {
        entries.extend(format!("\u{4}s{number}\0\u{8}").as_bytes());
        entries.push(5);
        entries.extend(anonymous.to_le_bytes());
        entries.push(0);
    }
    entries.push(0);
    let refused = outcome(&table.concat(), &unit(0, &entries)).unwrap_err();
    assert!(refused.starts_with(".debug_info+0x"), "{refused}");
    assert!(
        refused.ends_with("more than 8388608 members and parts of types"),
        "{refused}"
    );
}

#[test]
fn a_name_that_comes_again_and_again_is_numbered_in_time() {
    let table = [
        abbreviation(1, UNIT, true, &[]),
        abbreviation(2, ENUM, true, &[NAME_AS_STRING, SIZE]),
        abbreviation(3, ENUMERATOR, false, &[NAME_AS_STRING, VALUE]),
        vec![0],
    ];
    let mut entries = b"\x01\x02e\0\x04".to_vec();
    entries.extend(b"\x03A\0\x01".repeat(200_000));
    entries.extend(END);
    assert_eq!(outcome(&table.concat(), &unit(0, &entries)), Ok(1));
}

#[test]
fn entries_may_nest_as_deeply_as_they_like() {
    let table = [
        abbreviation(1, UNIT, true, &[]),
        abbreviation(2, STRUCT, true, &[NAME_AS_STRING, SIZE]),
        vec![0],
    ];
    let entries = [&[1][..], &b"\x02s\0\x01".repeat(300_000)].concat();
    assert_eq!(outcome(&table.concat(), &unit(0, &entries)), Ok(1));
}

#[test]
fn names_without_end_are_refused() {
    let table = [
        abbreviation(1, UNIT, true, &[]),
        abbreviation(2, STRUCT, false, &[NAME_AS_STRING, SIZE]),
        vec![0],
    ];
    let entries = [&[1, 2][..], &[b'n'; 5000], &[0, 1, 0]].concat();
    assert_eq!(
        outcome(&table.concat(), &unit(0, &entries)),
        Err(".debug_info+0xc: more than 4096 bytes of a name".to_owned())
    );
}
