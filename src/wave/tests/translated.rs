//! Reads of virtual memory: strings, ranges over several pages, page tables.

use super::*;
use crate::addr::VirtAddr;
use crate::paging::TranslationFailure;
use crate::wave::fake::{direct, space};

/// In the kernel's half, not in the direct map.
const MAPPED: u64 = 0xffff_c900_0000_0000;

/// Page tables (at 0, out of the pattern's pages) that map consecutive pages from [`MAPPED`] on to these frames; 0 maps nothing.
fn map(memory: &mut SparseMemory, frames: &[u64]) {
    for table in 0..4 {
        memory.insert(PhysAddr::new(table * 4096), &[0; 4096]);
    }
    for (table, shift) in [(0, 39), (1, 30), (2, 21)] {
        put(
            memory,
            table * 4096 + (MAPPED >> shift) % 512 * 8,
            ((table + 1) * 4096) | 0x63,
        );
    }
    for (number, frame) in (0..).zip(frames) {
        put(
            memory,
            3 * 4096 + number * 8,
            if *frame == 0 { 0 } else { frame | 0x63 },
        );
    }
}

#[test]
fn pages_that_lie_apart_are_read_in_one_wave() {
    let frames = [0x9000, 0x2_0000, 0x7000, 0x3_0000];
    let mut memory = patterned();
    map(&mut memory, &frames);
    let (engine, ledger) = engine(FakeMemory::new(memory, Order::OneByOne));
    let (read, cost) = run(&engine, |reader| async move {
        let mut buffer = vec![0; 3 * 4096];
        let outcome = reader
            .read(&space(), VirtAddr::new(MAPPED + 100), &mut buffer)
            .await;
        outcome.map(|()| buffer)
    });
    let all: Vec<u8> = frames
        .iter()
        .flat_map(|frame| *frame..frame + 4096)
        .map(byte_at)
        .collect();
    assert_eq!(read.unwrap(), &all[100..100 + 3 * 4096]);
    assert_eq!(cost.rounds, 5, "four levels of tables, then all the pages");
    assert_eq!(ledger.borrow().wrong, Vec::<String>::new());
}

#[test]
fn a_page_that_is_not_mapped_fails_the_read_and_says_where() {
    let mut memory = patterned();
    map(&mut memory, &[0x9000, 0, 0x7000]);
    let (engine, _) = engine(FakeMemory::new(memory, Order::AtOnce));
    let (outcome, _) = run(&engine, |reader| async move {
        reader
            .read(&space(), VirtAddr::new(MAPPED), &mut vec![0; 3 * 4096])
            .await
    });
    let failure = TranslationFailure::NotPresent {
        level: "pte",
        entry: 0,
    };
    assert_eq!(
        outcome,
        Err(Unreadable::Translation {
            address: VirtAddr::new(MAPPED + 4096),
            failure
        })
    );
}

#[test]
fn addresses_that_wrap_or_are_not_canonical_fail() {
    let (engine, _) = engine(FakeMemory::new(patterned(), Order::AtOnce));
    let (outcomes, cost) = run(&engine, |reader| async move {
        let mut outcomes = Vec::new();
        for address in [
            u64::MAX,
            u64::MAX - 6,
            0x1234_0000_0000_0000,
            0xff00_0000_0000_0000,
        ] {
            outcomes.push(reader.unsigned(&space(), VirtAddr::new(address), 8).await);
        }
        outcomes
    });
    assert!(matches!(outcomes[0], Err(Unreadable::Wraps { .. })));
    assert!(
        outcomes[2..]
            .iter()
            .all(|outcome| matches!(outcome, Err(Unreadable::Translation { .. })))
    );
    assert!(outcomes[1].is_err());
    assert!(cost.reads <= 1);
}

#[test]
fn tables_that_point_at_themselves_end() {
    let mut memory = patterned();
    let entries: Vec<u8> = (0..512).flat_map(|_| 0x63_u64.to_le_bytes()).collect();
    memory.insert(PhysAddr::new(0), &entries);
    let (engine, _) = engine(FakeMemory::new(memory, Order::AtOnce));
    let (word, cost) = run(&engine, |reader| async move {
        reader.unsigned(&space(), VirtAddr::new(MAPPED), 8).await
    });
    assert_eq!(word, Ok(0x63));
    assert!(cost.reads <= 5);
}

fn string_at(
    memory: SparseMemory,
    address: VirtAddr,
    longest: u64,
) -> (Result<Vec<u8>, Unreadable>, Cost) {
    let (engine, _) = engine(FakeMemory::new(memory, Order::AtOnce));
    run(&engine, |reader| async move {
        reader
            .attempt(|reader| reader.try_string(&space(), address, longest))
            .await
    })
}

#[test]
fn strings_end_at_a_nul_or_at_their_longest() {
    let text: Vec<u8> = (0..300).map(|i| b'a' + (i % 26) as u8).collect();
    let mut memory = SparseMemory::new();
    memory.insert(PhysAddr::new(0x1f00), &[0xff; 0x400]);
    memory.insert(PhysAddr::new(0x1fb3), &text);
    memory.insert(PhysAddr::new(0x1fb3 + 300), &[0]);
    for longest in [0, 1, 63, 64, 65, 299, 300, 301, u64::MAX] {
        let (read, _) = string_at(memory.clone(), direct(0x1fb3), longest);
        assert_eq!(read.unwrap(), text[..300.min(longest) as usize]);
    }
    let (empty, _) = string_at(memory, direct(0x1fb3 + 300), 16);
    assert_eq!(empty.unwrap(), b"");
}

#[test]
fn a_string_does_not_need_what_lies_after_its_nul() {
    let mut memory = SparseMemory::new();
    memory.insert(PhysAddr::new(0x1fc0), &[b'x'; 63]);
    memory.insert(PhysAddr::new(0x1fff), &[0]);
    let (read, cost) = string_at(memory.clone(), direct(0x1ff0), 4096);
    assert_eq!((read.unwrap(), cost.reads), (vec![b'x'; 15], 1));
    memory.insert(PhysAddr::new(0x1fff), b"x");
    assert!(
        string_at(memory, direct(0x1ff0), 4096).0.is_err(),
        "no end, and the next page is missing"
    );
}
