//! Arrays, chains and per-CPU variables.

use super::*;

const BASE: u64 = 0x4_0008;

fn pointers(count: u64) -> Container {
    Container::Array(Array {
        base: direct(BASE),
        count,
        entries: Entries::Pointers,
    })
}

fn words(words: &[u64]) -> SparseMemory {
    let mut memory = blank([BASE, BASE + 4096, BASE + 8192, BASE + 3 * 4096]);
    for (number, word) in (0..).zip(words) {
        put(&mut memory, BASE + number * 8, *word);
    }
    memory
}

const NEXT: u64 = 0x28;

fn chain(elements: &[u64], last: u64) -> (Container, SparseMemory) {
    let mut memory = blank(elements.iter().copied());
    for pair in elements.windows(2) {
        point(&mut memory, pair[0] + NEXT, pair[1]);
    }
    if let Some(end) = elements.last() {
        put(&mut memory, end + NEXT, last);
    }
    let first = elements
        .first()
        .map_or(VirtAddr::new(0), |first| direct(*first));
    (Container::Chain(Chain { first, next: NEXT }), memory)
}

const OFFSETS: u64 = 0x1000;
const MASK: u64 = 0x2_0000;
const SYMBOL: u64 = 0xffff_ffff_8200_1000;

fn per_cpu(count: u64) -> Container {
    Container::PerCpu(PerCpu {
        symbol: VirtAddr::new(SYMBOL),
        offsets: direct(OFFSETS),
        mask: direct(MASK),
        count,
    })
}

/// 8 KiB of offsets that are 7 times the CPU's number, and a mask.
fn cpus(mask: &[u8]) -> SparseMemory {
    let mut memory = blank((0..18).map(|page| OFFSETS + page * 4096).chain([MASK]));
    for cpu in 0..8192 {
        put(&mut memory, OFFSETS + cpu * 8, cpu * 7);
    }
    memory.insert(PhysAddr::new(MASK), mask);
    memory
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn embedded_elements_lie_side_by_side(count in 0_u64..500, size in 0_u64..5000) {
        let array = Array { base: direct(BASE), count, entries: Entries::Embedded(size) };
        let walked = walk(Container::Array(array), &SparseMemory::new());
        let expected: Vec<_> = (0..count).map(|index| (index, DIRECT + BASE + index * size)).collect();
        prop_assert_eq!(walked.keyed(), expected);
        prop_assert_eq!((walked.end, walked.cost.reads), (End::Complete, 0));
    }

    #[test]
    fn pointers_keep_their_numbers_and_nulls_are_left_out(
        present in prop::collection::vec(any::<bool>(), 0..1400),
        order in orders(),
    ) {
        let entries: Vec<u64> =
            (0..).zip(&present).map(|(number, here)| if *here { DIRECT + number * 64 } else { 0 }).collect();
        let memory = FakeMemory::new(words(&entries), order);
        let walked = walk_with(pointers(entries.len() as u64), memory, Budget::default(), usize::MAX);
        let expected: Vec<_> = (0..).zip(entries).filter(|(_, word)| *word != 0).collect();
        prop_assert_eq!(walked.keyed(), expected);
        prop_assert_eq!(walked.end, End::Complete);
    }

    #[test]
    fn chains_in_order(elements in places(), closed in any::<bool>()) {
        let last = elements.first().filter(|_| closed).map_or(0, |first| DIRECT + first);
        let (chain, memory) = chain(&elements, last);
        let walked = walk(chain, &memory);
        prop_assert_eq!(walked.addresses(), elements.iter().map(|element| DIRECT + element).collect::<Vec<_>>());
        prop_assert_eq!(walked.end, End::Complete);
    }

    #[test]
    fn a_copy_for_each_possible_cpu(mask in prop::collection::vec(any::<u8>(), 40), count in 0_u64..320) {
        let walked = walk(per_cpu(count), &cpus(&mask));
        let expected: Vec<_> = (0..count)
            .filter(|cpu| mask[(cpu / 8) as usize] >> (cpu % 8) & 1 == 1)
            .map(|cpu| (cpu, SYMBOL + cpu * 7))
            .collect();
        prop_assert_eq!(walked.keyed(), expected);
        prop_assert_eq!(&walked.end, &End::Complete);
        prop_assert!(walked.cost.rounds <= 1, "offsets are read ahead");
    }
}

#[test]
fn lying_counts_are_refused_or_end_where_the_memory_does() {
    for count in [1 << 32, u64::MAX] {
        for entries in [Entries::Pointers, Entries::Embedded(64)] {
            let array = Array {
                base: direct(BASE),
                count,
                entries,
            };
            let walked = walk(Container::Array(array), &SparseMemory::new());
            assert_eq!(walked.end, End::Stopped(Problem::TooMany(MOST_ELEMENTS)));
            assert_eq!((walked.elements.len(), walked.cost.reads), (0, 0));
        }
    }
    let walked = walk(pointers(MOST_ELEMENTS as u64), &words(&[DIRECT; 512]));
    assert!(matches!(walked.end, End::Stopped(Problem::Unreadable(_))));
    assert_eq!(walked.elements.len(), 512);
    assert!(walked.cost.reads < 64);
}

#[test]
fn an_array_that_passes_the_end_of_the_address_space_stops_there() {
    let base = VirtAddr::new(u64::MAX - 1000);
    let embedded = Array {
        base,
        count: 100,
        entries: Entries::Embedded(100),
    };
    let walked = walk(Container::Array(embedded), &SparseMemory::new());
    assert_eq!(walked.elements.len(), 11);
    assert!(matches!(walked.end, End::Stopped(Problem::BadNode { .. })));
    let huge = Array {
        base,
        count: 100,
        entries: Entries::Embedded(u64::MAX),
    };
    assert_eq!(
        walk(Container::Array(huge), &SparseMemory::new())
            .elements
            .len(),
        1
    );
    let pointers = Array {
        base,
        count: 1000,
        entries: Entries::Pointers,
    };
    assert!(matches!(
        walk(Container::Array(pointers), &SparseMemory::new()).end,
        End::Stopped(_)
    ));
}

#[test]
fn wild_entries_of_an_array_are_marked() {
    let walked = walk(
        pointers(7),
        &words(&[
            DIRECT,
            WILD[1],
            WILD[2],
            WILD[3],
            WILD[4],
            WILD[5],
            DIRECT + 64,
        ]),
    );
    assert_eq!(
        (walked.elements.len(), walked.end.clone()),
        (7, End::Complete)
    );
    assert_eq!(walked.doubtful(), vec![1, 2, 3, 4, 5]);
}

#[test]
fn a_cycle_of_any_length_ends_a_chain() {
    let elements = [0x5000, 0x2000, 0x9100, 0x3300];
    for to in 1..4 {
        let (chain, memory) = chain(&elements, DIRECT + elements[to]);
        let walked = walk(chain, &memory);
        assert_eq!(
            walked.end,
            End::Stopped(Problem::Cycle(direct(elements[to])))
        );
        assert_eq!((walked.elements.len(), walked.cost.reads), (4, 4));
    }
}

#[test]
fn wild_links_end_a_chain() {
    for wild in &WILD[1..] {
        let (first, memory) = chain(&[0x5000, 0x2000], *wild);
        let walked = walk(first, &memory);
        let problem = Problem::WildPointer {
            at: direct(0x2000 + NEXT),
            pointer: VirtAddr::new(*wild),
        };
        assert_eq!(
            (walked.elements.len(), walked.end),
            (2, End::Stopped(problem))
        );
        let wild_first = Chain {
            first: VirtAddr::new(*wild),
            next: NEXT,
        };
        let walked = walk(Container::Chain(wild_first), &memory);
        assert_eq!(walked.elements, [], "{wild:#x}");
        assert!(matches!(walked.end, End::Stopped(Problem::BadNode { .. })));
    }
    let (chain, memory) = chain(&[0x5000, 0x2000], 0);
    let walked = walk_without(chain, &memory, &[0x5000 + NEXT]);
    assert!(matches!(walked.end, End::Stopped(Problem::Unreadable(_))));
    assert_eq!(walked.elements.len(), 1);
}

#[test]
fn a_count_of_cpus_that_no_kernel_has_is_said() {
    for count in [8193, 1 << 32, u64::MAX] {
        let walked = walk(per_cpu(count), &cpus(&[0xff; 1024]));
        assert_eq!(walked.elements.len(), 8192);
        assert_eq!(walked.end, End::Stopped(Problem::TooMany(8192)));
    }
}

#[test]
fn a_mask_or_an_offset_that_cannot_be_read_is_said() {
    let walked = walk_without(per_cpu(16), &cpus(&[0xff; 2]), &[MASK]);
    assert!(matches!(walked.end, End::Stopped(Problem::Unreadable(_))));
    assert_eq!(walked.elements, []);
    let walked = walk_without(per_cpu(16), &cpus(&[0xff; 2]), &[OFFSETS + 64]);
    assert!(matches!(walked.end, End::Stopped(Problem::Unreadable(_))));
    assert_eq!(walked.elements.len(), 8);
}

fn ring(length: u64, first: u64, last: u64) -> Container {
    Container::Ring(Ring {
        base: direct(BASE),
        length,
        size: 24,
        first,
        last,
    })
}

#[test]
fn a_ring_is_walked_from_its_oldest_number_to_its_newest() {
    for first in [0, 3, 0xffff_ffff_ffff_fffe] {
        let walked = walk(ring(8, first, first.wrapping_add(5)), &SparseMemory::new());
        let expected: Vec<_> = (0..6)
            .map(|step| first.wrapping_add(step))
            .map(|number| (number, DIRECT + BASE + number % 8 * 24))
            .collect();
        assert_eq!(walked.keyed(), expected);
        assert_eq!((walked.end, walked.cost.reads), (End::Complete, 0));
    }
}

#[test]
fn a_ring_whose_newest_is_the_one_before_its_oldest_is_empty() {
    for first in [0, 5, 8] {
        let walked = walk(ring(8, first, first.wrapping_sub(1)), &SparseMemory::new());
        assert_eq!((walked.keyed(), walked.end), (vec![], End::Complete));
    }
}

#[test]
fn a_ring_that_holds_more_than_it_has_room_for_is_refused() {
    for (length, first, last) in [(8, 0, 8), (8, 5, 3), (0, 0, 0), (7, 0, 1), (1 << 40, 0, 1)] {
        let walked = walk(ring(length, first, last), &SparseMemory::new());
        assert!(matches!(walked.end, End::Stopped(Problem::BadNode { .. })));
        assert_eq!(walked.elements, vec![]);
    }
    let walked = walk(ring(8, 2, 9), &SparseMemory::new());
    assert_eq!((walked.elements.len(), walked.end), (8, End::Complete));
}

/// Bytes of a buffer of records.
const LOG: u64 = 1 << 12;

fn records(first: u64, end: u64) -> Container {
    Container::Records(Records {
        base: direct(BASE),
        length: LOG,
        first,
        end,
        smallest: 16,
        size: 8,
        size_width: 2,
    })
}

/// Puts records of these lengths one behind the other from `at` on, as `log_store` does (`kernel/printk/printk.c` of 4.19): one that
/// would leave no room for a further fixed part begins at the buffer's start, and a length of 0 stands where it was to be. Returns where
/// each begins, and where the last one ends.
fn stored(memory: &mut SparseMemory, at: u64, lengths: &[u64]) -> (Vec<u64>, u64) {
    let mut at = at;
    let mut starts = Vec::new();
    let mut put_length = |at: u64, length: u64| {
        memory.insert(PhysAddr::new(BASE + at), &[0xee; 8]);
        memory.insert(PhysAddr::new(BASE + at + 8), &(length as u16).to_le_bytes());
    };
    for length in lengths {
        if at + length + 16 > LOG {
            put_length(at, 0);
            at = 0;
        }
        put_length(at, *length);
        starts.push(at);
        at += length;
    }
    (starts, at)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn records_are_walked_from_the_oldest_to_the_newest(
        first in (0..(LOG - 16) / 4).prop_map(|words| words * 4),
        lengths in prop::collection::vec((4_u64..40).prop_map(|words| words * 4), 0..25),
    ) {
        // What `stored` puts never passes what it began with: 25 records of 156 bytes and the gap at the end fill less than the buffer.
        let mut memory = SparseMemory::new();
        memory.insert(PhysAddr::new(BASE - 8), &[0; LOG as usize + 64]);
        let (starts, end) = stored(&mut memory, first, &lengths);
        prop_assume!(lengths.iter().sum::<u64>() + 200 < LOG);
        let walked = walk(records(first, end), &memory);
        let expected: Vec<_> = (0..).zip(&starts).map(|(number, at)| (number, DIRECT + BASE + at)).collect();
        prop_assert_eq!(&walked.end, &End::Complete);
        prop_assert_eq!(walked.keyed(), expected);
        prop_assert!(walked.cost.rounds <= 1);
    }

    #[test]
    fn any_length_of_a_record_may_lie(at in 0_u64..512, bytes in any::<[u8; 2]>(), first in 0_u64..LOG, end in 0_u64..=LOG) {
        let mut memory = SparseMemory::new();
        memory.insert(PhysAddr::new(BASE - 8), &[0; LOG as usize + 64]);
        stored(&mut memory, first & !3, &[64; 40]);
        memory.insert(PhysAddr::new(BASE + at * 8), &bytes);
        let walked = walk(records(first, end), &memory);
        prop_assert!(walked.elements.len() as u64 <= LOG / 16 + 1);
        prop_assert!(walked.cost.rounds <= 2);
    }
}

#[test]
fn bounds_and_lengths_that_cannot_be_end_a_walk_of_records() {
    let blank = |length: u64| {
        let mut memory = SparseMemory::new();
        memory.insert(PhysAddr::new(BASE - 8), &[0; LOG as usize + 64]);
        stored(&mut memory, 0, &[length]);
        memory
    };
    for (first, end, length) in [
        (LOG, 0, 32),
        (0, LOG + 1, 32),
        (0, 64, 8),
        (0, 64, 0),
        (0, 64, 80),
    ] {
        let walked = walk(records(first, end), &blank(length));
        assert!(
            matches!(walked.end, End::Stopped(Problem::BadNode { .. })),
            "{first} {end} {length}: {:?}",
            walked.end
        );
        assert_eq!(walked.elements, []);
    }
    let walked = walk_without(records(0, 64), &blank(32), &[BASE]);
    assert!(matches!(walked.end, End::Stopped(Problem::Unreadable(_))));
}
