//! Comparisons of small made-up kernels: their code, their tables, what stands in memory.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::ops::Range;
use std::rc::Rc;

use crate::generate::KernelFile;
use crate::profile::Holds;

use super::{Comparison, Field, Outcome, PlaceLength, Table, TextError};

pub(super) const TEXT: u64 = 0xffff_ffff_8100_0000;
pub(super) const TABLE: u64 = 0xffff_ffff_8200_0000;
const PHYSICAL: u64 = 0x100_0000;
pub(super) const SLIDE: u64 = 0x2340_0000;
/// Bytes of the ELF header, of a program header, of a section header.
const HEADER: usize = 64;
const SEGMENT: usize = 56;
const SECTION: usize = 64;

/// What there is in a file: names, addresses, bytes of sections.
type Sections<'s> = &'s [(&'s str, u64, &'s [u8])];

/// A vmlinux with these sections, and a segment for each that is an address of the image.
pub(super) fn elf(sections: Sections<'_>) -> Vec<u8> {
    let in_image: Vec<_> = sections
        .iter()
        .filter(|(_, address, _)| *address >= TEXT)
        .collect();
    let mut names = vec![0];
    let mut content = Vec::new();
    let mut headers = vec![0; SECTION];
    let start = HEADER + SEGMENT * in_image.len();
    let mut header =
        |name: u32, kind: u32, flags: u64, address: u64, offset: usize, size: usize| {
            headers.extend(name.to_le_bytes());
            headers.extend(kind.to_le_bytes());
            for number in [flags, address, offset as u64, size as u64, 0, 1, 0] {
                headers.extend(number.to_le_bytes());
            }
            // Link and information share eight bytes.
        };
    for (name, address, bytes) in sections {
        // SHT_PROGBITS; SHF_ALLOC.
        header(
            names.len() as u32,
            1,
            2,
            *address,
            start + content.len(),
            bytes.len(),
        );
        names.extend(name.bytes().chain([0]));
        content.extend_from_slice(bytes);
    }
    let name = names.len() as u32;
    names.extend(b".shstrtab\0");
    header(name, 3, 0, 0, start + content.len(), names.len());
    content.extend(&names);
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // ET_EXEC, EM_X86_64.
    for half in [2_u16, 62] {
        file.extend(half.to_le_bytes());
    }
    file.extend(1_u32.to_le_bytes());
    let segments = in_image.len();
    for number in [TEXT, HEADER as u64, (start + content.len()) as u64] {
        file.extend(number.to_le_bytes());
    }
    file.extend(0_u32.to_le_bytes());
    let counts = [
        HEADER,
        SEGMENT,
        segments,
        SECTION,
        sections.len() + 2,
        sections.len() + 1,
    ];
    for half in counts {
        file.extend((half as u16).to_le_bytes());
    }
    for (_, address, bytes) in in_image {
        // PT_LOAD.
        file.extend(1_u32.to_le_bytes());
        file.extend(5_u32.to_le_bytes());
        let physical = address - TEXT + PHYSICAL;
        let size = bytes.len() as u64;
        for number in [start as u64, *address, physical, size, size, 0x1000] {
            file.extend(number.to_le_bytes());
        }
    }
    file.extend(content);
    file.extend(headers);
    file
}

pub(super) fn opened(bytes: &[u8]) -> Result<Rc<KernelFile>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vmlinux");
    std::fs::write(&path, bytes).unwrap();
    KernelFile::open(&path)
        .map(Rc::new)
        .map_err(|error| error.to_string())
}

/// Where a table of so many bytes is.
pub(super) fn range(length: u64) -> Vec<Range<u64>> {
    let range = TABLE..TABLE.saturating_add(length);
    std::iter::once(range).collect()
}

/// A table of distances of four bytes, each at its place.
pub(super) fn table(length: PlaceLength, holds: &[Holds]) -> Table {
    Table {
        name: Rc::from("places"),
        ranges: range(4),
        entry: 4,
        at: Field { offset: 0, size: 4 },
        places: Vec::new(),
        length,
        target: None,
        replacement: None,
        before: false,
        copies: None,
        holds: holds.to_vec(),
        literals: Vec::new(),
    }
}

/// The distance from the first entry of the table to a byte of the code.
pub(super) fn distance(to: u64) -> [u8; 4] {
    ((TEXT + to).wrapping_sub(TABLE) as u32).to_le_bytes()
}

/// Compares code with what stands in memory; the table has one place, where the code has `at`.
fn compared(text: &[u8], found: &[u8], at: u64, table: Table, slide: u64) -> Outcome {
    let entry = distance(at);
    let file = elf(&[(".text", TEXT, text), (".table", TABLE, &entry)]);
    let comparison = Comparison::new(opened(&file).unwrap(), ".text", vec![table]).unwrap();
    assert_eq!(comparison.expected().unwrap(), text);
    comparison.compare(found, slide).unwrap()
}

/// Sixteen bytes of nothing, and `instruction` at the fourth.
pub(super) fn code(instruction: &[u8]) -> Vec<u8> {
    let mut code = vec![0x90; 16];
    code[4..4 + instruction.len()].copy_from_slice(instruction);
    code
}

/// Whether a place of five bytes may hold `found`, with nothing left over.
fn may_hold(holds: &[Holds], found: &[u8]) -> bool {
    let call = code(&[0xe8, 0, 0, 0, 0]);
    let places = table(PlaceLength::Instruction, holds);
    let outcome = compared(&call, &code(found), 4, places, SLIDE);
    assert_eq!(outcome.tables[0].places, 1);
    assert_eq!(outcome.tables[0].bytes, 5);
    let is_explained = outcome.changes.is_empty();
    let part = outcome.tables[0];
    assert_eq!(
        (part.patched, part.unlike),
        (u64::from(is_explained), u64::from(!is_explained))
    );
    is_explained
}

#[test]
fn equal_code_is_clean_and_a_changed_byte_is_found() {
    let text = code(&[0x48, 0x89, 0xc3]);
    let nowhere = || table(PlaceLength::Bytes(1), &[]);
    let outcome = compared(&text, &text, 0, nowhere(), SLIDE);
    assert_eq!((outcome.compared, outcome.changes), (16, Vec::new()));
    let outcome = compared(&text, &code(&[0x48, 0x89, 0xcb]), 0, nowhere(), SLIDE);
    assert_eq!(outcome.changes.len(), 1);
    assert_eq!(outcome.changes[0].range, 6..7);
    assert_eq!(outcome.changes[0].table, None);
}

#[test]
fn changes_near_each_other_are_one_stretch() {
    let (text, mut found) = (vec![0x90; 1024], vec![0x90; 1024]);
    for at in [100, 103, 200, 208, 500] {
        found[at] = 0xcc;
    }
    let nowhere = table(PlaceLength::Bytes(1), &[]);
    let outcome = compared(&text, &found, 0, nowhere, 0);
    let ranges = outcome.changes.iter().map(|change| change.range.clone());
    assert_eq!(ranges.collect::<Vec<_>>(), [100..104, 200..209, 500..501]);
}

#[test]
fn only_a_number_that_is_an_address_and_grew_by_the_slide_is_relocated() {
    let with = |number: u32| code(&number.to_le_bytes());
    let relocated = |was: u32, is: u32| {
        let nowhere = table(PlaceLength::Bytes(1), &[]);
        let outcome = compared(&with(was), &with(is), 0, nowhere, SLIDE);
        (outcome.relocated, outcome.changes.len())
    };
    let slide = SLIDE as u32;
    assert_eq!(relocated(0x8100_0004, 0x8100_0004 + slide), (1, 0));
    // The physical address of the same.
    assert_eq!(relocated(0x0100_0004, 0x0100_0004 + slide), (1, 0));
    // By another distance; no address.
    assert_eq!(relocated(0x8100_0004, 0x8100_0004 + slide + 0x10_0000).0, 0);
    assert_eq!(relocated(0x1234_5678, 0x1234_5678 + slide).0, 0);
    assert_eq!(relocated(0x8100_0004, 0x8100_0004 - slide).0, 0);
}

#[test]
fn distances_to_per_cpu_offsets_shrink_by_the_slide() {
    // mov %gs:0x20(%rip),%eax: the distance from the next instruction, at 12, to offset 0x20.
    let distance = 0x20_u64.wrapping_sub(TEXT + 12) as u32;
    let with = |number: u32| {
        let mut bytes = vec![0x65, 0x8b, 0x05];
        bytes.extend(number.to_le_bytes());
        let mut text = vec![0x90; 5];
        text.extend(bytes);
        text.resize(16, 0x90);
        text
    };
    let file = |per_cpu: u64| {
        elf(&[
            (".text", TEXT, with(distance).as_slice()),
            (".data..percpu", per_cpu, &[0; 64]),
        ])
    };
    let changes = |file: &[u8], found: u32| {
        let comparison = Comparison::new(opened(file).unwrap(), ".text", Vec::new()).unwrap();
        let outcome = comparison.compare(&with(found), SLIDE).unwrap();
        outcome.changes.len()
    };
    let slide = SLIDE as u32;
    assert_eq!(changes(&file(0), distance.wrapping_sub(slide)), 0);
    assert_ne!(changes(&file(0), distance.wrapping_add(slide)), 0);
    // Where per-CPU variables are in the image nothing shrinks.
    assert_ne!(changes(&file(TABLE), distance.wrapping_sub(slide)), 0);
}

#[test]
fn places_hold_what_their_table_says() {
    let nothing = [0x0f, 0x1f, 0x44, 0, 0];
    let inside = [0xe8, 0xf7, 0xff, 0xff, 0xff];
    let outside = [0xe8, 0, 0, 0x10, 0];
    let to_text = [0xe9, 0xf7, 0xff, 0xff, 0xff];
    assert!(may_hold(&[Holds::NoOperation], &nothing));
    assert!(may_hold(
        &[Holds::NoOperation],
        &[0x66, 0x66, 0x66, 0x66, 0x90]
    ));
    assert!(!may_hold(&[Holds::NoOperation], &inside));
    assert!(!may_hold(
        &[Holds::NoOperation],
        &[0xcc, 0x90, 0x90, 0x90, 0x90]
    ));
    assert!(may_hold(&[Holds::Call], &inside));
    assert!(!may_hold(&[Holds::Call], &outside));
    assert!(!may_hold(&[Holds::Call], &to_text));
    assert!(may_hold(&[Holds::CallOfAnything], &outside));
    assert!(!may_hold(&[Holds::CallOfAnything], &to_text));
    assert!(may_hold(&[Holds::Jump], &to_text));
    assert!(may_hold(&[Holds::Return], &[0xc3, 0xcc, 0xcc, 0xcc, 0xcc]));
    assert!(!may_hold(&[Holds::Return], &[0xc3, 0xcc, 0x48, 0x89, 0xc3]));
    assert!(may_hold(&[Holds::Number], &outside));
    // lfence; jmp *%rax: leads nowhere directly. push; jmp out.
    assert!(may_hold(&[Holds::Code], &[0x0f, 0xae, 0xe8, 0xff, 0xe0]));
    assert!(!may_hold(&[Holds::Code], &[0xe9, 0, 0, 0x10, 0]));
    // Half an instruction.
    assert!(!may_hold(&[Holds::Code], &[0x90, 0x90, 0x90, 0x48, 0x89]));
    assert!(!may_hold(&[], &nothing));
}

#[test]
fn literals_are_held_byte_for_byte() {
    let call = code(&[0xe8, 0, 0, 0, 0]);
    let trap = [0x67, 0x48, 0x0f, 0xb9, 0x3a];
    let changes = |found: &[u8]| {
        let places = Table {
            literals: vec![trap.to_vec()],
            ..table(PlaceLength::Instruction, &[])
        };
        compared(&call, &code(found), 4, places, SLIDE)
            .changes
            .len()
    };
    assert_eq!(changes(&trap), 0);
    assert_eq!(changes(&[0x67, 0x48, 0x0f, 0xb9, 0x3b]), 1);
}

#[test]
fn a_replacement_is_moved_and_relocated_and_nothing_else() {
    const OTHER: u64 = 0xffff_ffff_8300_0000;
    // Where, where the replacement is, how many bytes there are, how many it has (struct alt_instr).
    let to = |at: u64, from: u64| (at.wrapping_sub(from) as u32).to_le_bytes();
    let entry = [
        to(TEXT + 4, TABLE).as_slice(),
        &to(OTHER, TABLE + 4),
        &[11, 8],
    ]
    .concat();
    let to_text = |from: u64| to(TEXT, from + 5);
    // A call of the code; a push of its address, which is relocated.
    let address = |slide: u64| ((TEXT + slide) as u32).to_le_bytes();
    let replacement = [[0xe8].as_slice(), &to_text(OTHER), &[0x48, 0x89, 0xc3]].concat();
    let pushes = [[0x68].as_slice(), &address(0), &[0x48, 0x89, 0xc3]].concat();
    let changes = |replacement: &[u8], found: &[u8]| {
        let text = code(&[0x90; 11]);
        let file = elf(&[
            (".text", TEXT, &text),
            (".table", TABLE, &entry),
            (".other", OTHER, replacement),
        ]);
        let field = |offset, size| Field { offset, size };
        let alternatives = Table {
            ranges: range(10),
            entry: 10,
            replacement: Some((field(4, 4), field(9, 1))),
            ..table(PlaceLength::Field(field(8, 1)), &[Holds::Replacement])
        };
        let made = Comparison::new(opened(&file).unwrap(), ".text", vec![alternatives]);
        made.unwrap()
            .compare(&code(found), SLIDE)
            .unwrap()
            .changes
            .len()
    };
    let moved = [
        [0xe8].as_slice(),
        &to_text(TEXT + 4),
        &[0x48, 0x89, 0xc3, 0x0f, 0x1f, 0x00],
    ]
    .concat();
    assert_eq!(changes(&replacement, &moved), 0);
    // As it stands in the file it would call something else.
    assert_ne!(
        changes(
            &replacement,
            &[replacement.as_slice(), &[0x0f, 0x1f, 0x00]].concat()
        ),
        0
    );
    // Another register; one instruction less; the file's own no-ops in one piece.
    let mut other = moved.clone();
    other[7] = 0xcb;
    assert_ne!(changes(&replacement, &other), 0);
    assert_ne!(
        changes(&replacement, &[&moved[..5], &[0x90; 6]].concat()),
        0
    );
    assert_eq!(
        changes(
            &replacement,
            &[[0x66, 0x90].as_slice(), &[0x90; 9]].concat()
        ),
        0
    );
    let relocated = [
        [0x68].as_slice(),
        &address(SLIDE),
        &[0x48, 0x89, 0xc3, 0x90, 0x90, 0x90],
    ]
    .concat();
    assert_eq!(changes(&pushes, &relocated), 0);
    let wrong = [
        [0x68].as_slice(),
        &address(SLIDE + 1),
        &[0x48, 0x89, 0xc3, 0x90, 0x90, 0x90],
    ]
    .concat();
    assert_ne!(changes(&pushes, &wrong), 0);
}

#[test]
fn jumps_inside_a_replacement_move_with_it_and_jumps_over_nothing_are_nothing() {
    let steps = |bytes: &[u8], address| {
        super::same::Steps::of(bytes, address)
            .map(|steps| format!("{:?}", steps).matches("bytes").count())
    };
    // jmp over two breakpoints; the same one byte short of it; over a move.
    assert_eq!(steps(&[0xeb, 2, 0xcc, 0xcc], TEXT), Some(0));
    assert_eq!(steps(&[0xeb, 3, 0xcc, 0xcc], TEXT), Some(1));
    // One jump over another one over nothing.
    assert_eq!(steps(&[0xeb, 4, 0xeb, 2, 0xcc, 0xcc], TEXT), Some(0));
    assert_eq!(steps(&[0xeb, 3, 0x48, 0x89, 0xc3], TEXT), Some(2));
    // A return and what fills the place; a breakpoint that is reached.
    assert_eq!(steps(&[0xc3, 0xcc, 0xcc], TEXT), Some(1));
    assert_eq!(steps(&[0x48, 0x89, 0xc3, 0xcc], TEXT), Some(2));
    assert_eq!(steps(&[0x48, 0x89], TEXT), None);
}

#[test]
fn a_lock_prefix_may_only_become_no_lock() {
    let locked = code(&[0xf0, 0x48, 0xff, 0x00]);
    let holds = |byte: u8| {
        let prefixes = table(PlaceLength::Bytes(1), &[Holds::LockPrefix]);
        let found = code(&[byte, 0x48, 0xff, 0x00]);
        compared(&locked, &found, 4, prefixes, 0).changes.is_empty()
    };
    assert!(holds(0x3e));
    assert!(!holds(0x90));
}

#[test]
fn a_static_key_leads_to_its_target_only() {
    // code, target, key: 4, 4 and 8 bytes.
    let entry = [
        distance(4),
        ((TEXT + 14).wrapping_sub(TABLE + 4) as u32).to_le_bytes(),
        [0; 4],
        [0; 4],
    ]
    .concat();
    let text = code(&[0x0f, 0x1f, 0x44, 0, 0]);
    let file = elf(&[(".text", TEXT, &text), (".table", TABLE, &entry)]);
    let keys = Table {
        ranges: range(16),
        entry: 16,
        target: Some(Field { offset: 4, size: 4 }),
        ..table(
            PlaceLength::Instruction,
            &[Holds::NoOperation, Holds::JumpToTarget],
        )
    };
    let comparison = Comparison::new(opened(&file).unwrap(), ".text", vec![keys]).unwrap();
    let changes = |found: &[u8]| comparison.compare(&code(found), SLIDE).unwrap().changes;
    assert!(changes(&[0xe9, 5, 0, 0, 0]).is_empty());
    let elsewhere = changes(&[0xe9, 4, 0, 0, 0]);
    assert_eq!(elsewhere.len(), 1);
    assert_eq!((elsewhere[0].table, elsewhere[0].leads_to), (Some(0), None));
}

#[test]
fn a_jump_out_of_the_code_tells_where() {
    let text = code(&[0xe8, 0, 0, 0, 0]);
    let found = code(&[0xe9, 0, 0, 0x10, 0]);
    let places = table(PlaceLength::Instruction, &[Holds::NoOperation]);
    let outcome = compared(&text, &found, 4, places, SLIDE);
    assert_eq!(outcome.changes[0].leads_to, Some(TEXT + 9 + 0x10_0000));
}

#[test]
fn a_change_ends_where_the_next_place_begins() {
    let text = code(&[0xe8, 0, 0, 0, 0, 0xe8, 0, 0, 0, 0]);
    let found = code(&[0xe8, 0, 0, 0x10, 0, 0xe8, 0, 0, 0x20, 0]);
    let entries = [
        distance(4),
        ((TEXT + 9).wrapping_sub(TABLE + 4) as u32).to_le_bytes(),
    ]
    .concat();
    let file = elf(&[(".text", TEXT, &text), (".table", TABLE, &entries)]);
    let places = Table {
        ranges: range(8),
        ..table(PlaceLength::Instruction, &[Holds::Call])
    };
    let comparison = Comparison::new(opened(&file).unwrap(), ".text", vec![places]).unwrap();
    let changes = comparison.compare(&found, SLIDE).unwrap().changes;
    let leads = changes.iter().map(|change| change.leads_to);
    let wanted = [TEXT + 9 + 0x10_0000, TEXT + 14 + 0x20_0000].map(Some);
    assert_eq!(leads.collect::<Vec<_>>(), wanted);
}

#[test]
fn addresses_of_eight_bytes_and_a_short_last_entry_are_places_too() {
    // struct paravirt_patch_site: an address, a type, a length; filled up to 16 bytes but for the last.
    let mut entries = (TEXT + 1).to_le_bytes().to_vec();
    entries.extend([0, 2, 0, 0, 0, 0, 0, 0]);
    entries.extend((TEXT + 4).to_le_bytes());
    entries.extend([0, 5]);
    let text = code(&[0xe8, 0, 0, 0, 0]);
    let file = elf(&[(".text", TEXT, &text), (".table", TABLE, &entries)]);
    let calls = Table {
        ranges: range(entries.len() as u64),
        entry: 16,
        at: Field { offset: 0, size: 8 },
        ..table(
            PlaceLength::Field(Field { offset: 9, size: 1 }),
            &[Holds::Code],
        )
    };
    let comparison = Comparison::new(opened(&file).unwrap(), ".text", vec![calls]).unwrap();
    let outcome = comparison.compare(&text, 0).unwrap();
    assert_eq!(
        (
            outcome.tables[0].places,
            outcome.tables[0].bytes,
            outcome.patchable
        ),
        (2, 7, 7)
    );
}

#[test]
fn what_is_not_there_is_told() {
    let text = [0x90; 16];
    let debug = elf(&[(".debug_info", 0, &[0; 8])]);
    let error = Comparison::new(opened(&debug).unwrap(), ".text", Vec::new()).unwrap_err();
    assert!(matches!(error, TextError::NoText { .. }), "{error}");
    let file = elf(&[(".text", TEXT, &text)]);
    let places = table(PlaceLength::Bytes(1), &[]);
    let comparison = Comparison::new(opened(&file).unwrap(), ".text", vec![places]).unwrap();
    let error = comparison.compare(&text, 0).unwrap_err();
    assert!(matches!(error, TextError::NoTable { .. }), "{error}");
    assert!(opened(b"no kernel").is_err());
}

#[test]
fn no_file_and_no_table_makes_it_panic() {
    let text = code(&[0xe8, 0, 0, 0, 0]);
    let whole = elf(&[(".text", TEXT, &text), (".table", TABLE, &distance(4))]);
    let extremes = [0, 1, 4, u64::MAX];
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        let Ok(file) = opened(&bytes) else { continue };
        let places = table(PlaceLength::Instruction, &[Holds::Code]);
        if let Ok(comparison) = Comparison::new(file, ".text", vec![places]) {
            let _ = comparison.compare(&text, SLIDE);
        }
    }
    let file = opened(&whole).unwrap();
    for number in extremes {
        let field = Field {
            offset: number,
            size: number,
        };
        for length in [PlaceLength::Bytes(number), PlaceLength::Field(field)] {
            let places = Table {
                before: number % 2 == 1,
                copies: Some(number..number.wrapping_add(4)),
                ranges: range(number),
                entry: number,
                at: field,
                places: vec![number, TEXT + 15, TEXT + 16],
                target: Some(field),
                replacement: Some((field, field)),
                ..table(
                    length,
                    &[
                        Holds::Code,
                        Holds::JumpToTarget,
                        Holds::Copy,
                        Holds::CallOfCopy,
                    ],
                )
            };
            let made = Comparison::new(Rc::clone(&file), ".text", vec![places]);
            let _ = made.unwrap().compare(&code(&[1]), number);
        }
    }
}
