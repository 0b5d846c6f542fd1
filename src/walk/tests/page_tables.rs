//! Page tables of a process.

use super::*;

const TOP: u64 = 0x1000;
const PUD: u64 = 0x2000;
const PMD: u64 = 0x3000;
const PTE: u64 = 0x4000;
const PRESENT: u64 = 0x67;
const HUGE: u64 = 0x80;

fn tables(root: u64) -> Container {
    Container::PageTables(PageTables {
        root: direct(root),
        direct_map: direct(0),
    })
}

/// A table of each level, and pages of every size.
fn grow() -> SparseMemory {
    let mut memory = blank([TOP, PUD, PMD, PTE]);
    let entries = [
        (TOP, 0, PUD | PRESENT),
        (PUD, 0, PMD | PRESENT),
        (PUD, 2, 0x4000_0000 | PRESENT | HUGE),
        (PMD, 1, PTE | PRESENT),
        (PMD, 3, 0x20_0000 | PRESENT | HUGE | 1 << 63),
        // Without access, inverted; swapped out.
        (PTE, 3, !0x7000 & 0xf_ffff_ffff_f000 | 0x100),
        (PTE, 4, 0x9000 | PRESENT),
        (PTE, 511, 5 << 59 | 0x1e00),
        // What the kernel has in the upper half, and what Linux never writes.
        (TOP, 256, 0x8000 | PRESENT),
        (TOP, 3, 0xff00),
    ];
    for (table, number, entry) in entries {
        put(&mut memory, table + number * 8, entry);
    }
    memory
}

fn keyed(walked: &Walked) -> Vec<(u64, u64, u32)> {
    let of = |element: &Element| {
        let at = element.address.get() - DIRECT;
        (element.index, at, element.depth)
    };
    walked.elements.iter().map(of).collect()
}

#[test]
fn pages_come_by_address_with_their_level() {
    let walked = walk(tables(TOP), &grow());
    let expected = vec![
        (512 + 3, PTE + 24, 1),
        (512 + 4, PTE + 32, 1),
        (512 + 511, PTE + 4088, 1),
        (3 * 512, PMD + 24, 2),
        (2 * 512 * 512, PUD + 16, 3),
    ];
    assert_eq!((keyed(&walked), walked.end), (expected, End::Complete));
    assert_eq!(walked.cost.rounds, 4);
}

#[test]
fn tables_that_lead_to_themselves_are_read_once() {
    for (table, number) in [(PUD, 7), (PMD, 9), (PTE, 4)] {
        for ancestor in [TOP, PUD] {
            let mut memory = grow();
            put(&mut memory, table + number * 8, ancestor | PRESENT);
            let walked = walk(tables(TOP), &memory);
            // The last level maps pages, whatever is in them.
            let end = match table {
                PTE => End::Complete,
                _ => End::Stopped(Problem::Cycle(direct(ancestor))),
            };
            assert_eq!((walked.elements.len(), walked.end), (5, end));
        }
    }
}

#[test]
fn what_is_no_table_is_told_and_the_others_walked() {
    let mut memory = grow();
    put(&mut memory, PUD + 8 * 8, 0x2000 | PRESENT | HUGE);
    let walked = walk(tables(TOP), &memory);
    assert!(matches!(walked.end, End::Stopped(Problem::BadNode { .. })));
    assert_eq!(walked.elements.len(), 5);
    let walked = walk_without(tables(TOP), &grow(), &[PTE]);
    assert!(matches!(walked.end, End::Stopped(Problem::Unreadable(_))));
    assert_eq!(walked.elements.len(), 2);
    for wild in WILD {
        let root = VirtAddr::new(wild);
        let direct_map = direct(0);
        let walked = walk(
            Container::PageTables(PageTables { root, direct_map }),
            &grow(),
        );
        assert!(matches!(walked.end, End::Stopped(_)));
        assert_eq!(walked.elements, vec![]);
    }
}

#[test]
fn a_sink_that_has_enough_ends_the_walk() {
    let walked = walk_few(tables(TOP), &grow(), 2);
    assert_eq!((walked.elements.len(), walked.end), (2, End::Enough));
}
