//! What a kernel does to its code on processors that need it: returns and calls that are led elsewhere.

use std::ops::Range;

use crate::profile::Holds;

use super::tests::{SLIDE, TABLE, TEXT, code, distance, elf, opened, range, table};
use super::{Comparison, Difference, Field, PlaceLength, Table};

#[test]
fn a_jump_of_a_replacement_that_becomes_a_return_may_become_a_jump_to_other_code() {
    const OTHER: u64 = 0xffff_ffff_8300_0000;
    let to = |at: u64, from: u64| (at.wrapping_sub(from) as u32).to_le_bytes();
    // An alternative of eight bytes: mov %rax,%rbx; jmp to the first byte of the code (struct alt_instr), and the place of its jump.
    let entry = [
        to(TEXT + 4, TABLE).as_slice(),
        &to(OTHER, TABLE + 4),
        &[8, 8],
        &to(OTHER + 3, TABLE + 10),
    ]
    .concat();
    let jump = |from: u64, target: u64| {
        let bytes = [0x48, 0x89, 0xc3, 0xe9];
        [bytes.as_slice(), &to(target, from + 8)].concat()
    };
    let field = |offset, size| Field { offset, size };
    let changes = |returns: u64, found: &[u8]| {
        let text = code(&[0x90; 8]);
        let file = elf(&[
            (".text", TEXT, &text),
            (".table", TABLE, &entry),
            (".other", OTHER, &jump(OTHER, TEXT)),
        ]);
        let alternatives = Table {
            ranges: range(10),
            entry: 10,
            replacement: Some((field(4, 4), field(9, 1))),
            ..table(PlaceLength::Field(field(8, 1)), &[Holds::Replacement])
        };
        let returns = Table {
            ranges: std::iter::once(TABLE + 10..TABLE + 10 + returns).collect(),
            ..table(PlaceLength::Instruction, &[Holds::Return, Holds::Jump])
        };
        let made = Comparison::new(opened(&file).unwrap(), ".text", vec![alternatives, returns]);
        let outcome = made.unwrap().compare(&code(found), SLIDE).unwrap();
        outcome.changes.len()
    };
    let elsewhere = jump(TEXT + 4, TEXT + 2);
    assert_eq!(changes(4, &elsewhere), 0);
    assert_eq!(
        changes(4, &[0x48, 0x89, 0xc3, 0xc3, 0xcc, 0xcc, 0xcc, 0xcc]),
        0
    );
    // Out of the code; one that no table lists.
    assert_ne!(changes(4, &jump(TEXT + 4, TEXT + 0x10_0000)), 0);
    assert_ne!(changes(0, &elsewhere), 0);
}

/// What counts a call: four bytes that do something.
const COUNTER: [u8; 4] = [0x48, 0xff, 0x04, 0x24];

/// The changes of 32 bytes of code, of which the first are a call of the function at 20, with four empty bytes before it, and of which
/// `copies` are told.
fn counted(copies: &Range<u64>, found: &[u8]) -> Vec<Difference> {
    let file = elf(&[
        (".text", TEXT, &uncounted()),
        (".table", TABLE, &distance(0)),
        (".other", copies.start, &COUNTER),
    ]);
    let calls = Table {
        copies: Some(copies.clone()),
        ..table(PlaceLength::Instruction, &[Holds::CallOfCopy])
    };
    let counters = Table {
        ranges: Vec::new(),
        places: vec![TEXT + 5, TEXT + 20],
        before: true,
        copies: Some(copies.clone()),
        ..table(PlaceLength::Bytes(4), &[Holds::Copy])
    };
    let made = Comparison::new(opened(&file).unwrap(), ".text", vec![calls, counters]).unwrap();
    let outcome = made.compare(found, SLIDE).unwrap();
    // The call has no empty bytes.
    assert_eq!(outcome.tables[1].places, 1);
    outcome.changes
}

fn uncounted() -> Vec<u8> {
    let mut text = vec![0x90; 32];
    text[..5].copy_from_slice(&[0xe8, 15, 0, 0, 0]);
    text
}

#[test]
fn a_call_may_be_led_over_a_counter_before_the_function() {
    let copies = 0xffff_ffff_8300_0000..0xffff_ffff_8300_0004;
    let mut text = uncounted();
    assert!(counted(&copies, &text).is_empty());
    text[1] = 11;
    text[16..20].copy_from_slice(&COUNTER);
    assert!(counted(&copies, &text).is_empty());
    // Something else before the function; a call of something else.
    text[19] = 0x25;
    assert_eq!(counted(&copies, &text)[0].range, 16..20);
    text[19] = 0x24;
    text[1] = 12;
    let changes = counted(&copies, &text);
    assert_eq!(changes[0].range, 1..2);
    assert_eq!(changes[0].led_to, Some(TEXT + 20));
    // Nothing is counted where the kernel has no counter.
    text[1] = 11;
    let nothing = copies.start..copies.start;
    assert_eq!(counted(&nothing, &text).len(), 2);
}
