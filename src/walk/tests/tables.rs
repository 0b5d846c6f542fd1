//! Resizable hash tables and bit masks.

use super::*;

const ROOT: u64 = 0x1000;
const TABLE: u64 = 0x2000;
const NEXT_TABLE: u64 = 0x6000;
const LINK: u64 = 0x18;
const LAYOUT: RhashtableLayout = RhashtableLayout {
    table: 0,
    size: 0,
    nest: 4,
    future: 0x20,
    buckets: 0x40,
};

fn table() -> Container {
    Container::Rhashtable(Rhashtable {
        root: direct(ROOT),
        link: LINK,
        layout: LAYOUT,
    })
}

/// Puts a table of buckets at `at`; each chain ends with the marker of its bucket, its head is locked if `locked` says so.
fn put_table(memory: &mut SparseMemory, at: u64, chains: &[Vec<u64>], locked: bool) {
    put(memory, at, chains.len() as u64);
    for (bucket, chain) in (at + LAYOUT.buckets..).step_by(8).zip(chains) {
        let mut link = bucket;
        for element in chain {
            let lock = u64::from(locked && link == bucket);
            put(memory, link, DIRECT + element + LINK + lock);
            link = element + LINK;
        }
        if !chain.is_empty() {
            put(memory, link, DIRECT + bucket + 1);
        }
    }
}

fn memory(chains: &[Vec<u64>], locked: bool) -> SparseMemory {
    let elements = chains.iter().flatten().copied();
    let tables = (0..5).map(|page| TABLE + page * 4096);
    let mut memory = blank(elements.chain([ROOT]).chain(tables));
    point(&mut memory, ROOT, TABLE);
    put_table(&mut memory, TABLE, chains, locked);
    memory
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn all_elements_bucket_by_bucket(
        elements in places(),
        cuts in prop::collection::vec(0..60_usize, 1..200),
        locked in any::<bool>(),
        order in orders(),
    ) {
        let elements: Vec<u64> = elements.iter().map(|element| element + 0x10_0000).collect();
        let mut chains = vec![Vec::new(); cuts.len()];
        for (number, element) in elements.iter().enumerate() {
            chains[cuts[number % cuts.len()] % cuts.len()].push(*element);
        }
        let longest = chains.iter().map(Vec::len).max().unwrap_or(0);
        let expected: Vec<u64> = chains.iter().flatten().map(|element| DIRECT + element).collect();
        let memory = FakeMemory::new(memory(&chains, locked), order);
        let walked = walk_with(table(), memory, Budget::default(), usize::MAX);
        prop_assert_eq!(walked.addresses(), expected);
        prop_assert_eq!(walked.end, End::Complete);
        prop_assert!(walked.cost.rounds as usize <= longest + 4);
    }

    #[test]
    fn bits_that_are_set(bytes in prop::collection::vec(any::<u8>(), 0..300), spare in 0_u64..9) {
        let count = (bytes.len() as u64 * 8).saturating_sub(spare);
        let mut memory = blank([ROOT]);
        memory.insert(PhysAddr::new(ROOT), &bytes);
        let bits = Bits { mask: direct(ROOT), word: 8, count };
        let walked = walk(Container::Bits(bits), &memory);
        let set = |bit: &u64| bytes[(bit / 8) as usize] >> (bit % 8) & 1 == 1;
        let expected: Vec<_> =
            (0..count).filter(set).map(|bit| (bit, DIRECT + ROOT + bit / 64 * 8)).collect();
        prop_assert_eq!(walked.keyed(), expected);
        prop_assert_eq!(walked.end, End::Complete);
    }
}

#[test]
fn empty_buckets_are_null_or_markers_of_any_age() {
    let mut memory = memory(&vec![Vec::new(); 4], false);
    let bucket = TABLE + LAYOUT.buckets;
    for (number, word) in [0, 1, (77 << 1) | 1, DIRECT + bucket + 24 + 1]
        .into_iter()
        .enumerate()
    {
        put(&mut memory, bucket + number as u64 * 8, word);
    }
    let walked = walk(table(), &memory);
    assert_eq!((walked.addresses(), walked.end), (vec![], End::Complete));
}

#[test]
fn a_table_that_is_resized_is_walked_with_its_successor() {
    let mut memory = memory(&[vec![0x20_0000], vec![]], false);
    memory.insert(PhysAddr::new(0x21_0000), &[0; 4096]);
    point(&mut memory, TABLE + LAYOUT.future, NEXT_TABLE);
    put_table(&mut memory, NEXT_TABLE, &[vec![], vec![0x21_0000]], true);
    let walked = walk(table(), &memory);
    assert_eq!(walked.addresses(), [DIRECT + 0x20_0000, DIRECT + 0x21_0000]);
    assert_eq!(walked.end, End::Complete);
}

#[test]
fn hostile_tables_end() {
    let chain = [vec![0x20_0000, 0x20_1000]];
    let mut cycle = memory(&chain, false);
    point(&mut cycle, 0x20_1000 + LINK, 0x20_0000 + LINK);
    let walked = walk(table(), &cycle);
    let again = Problem::Cycle(direct(0x20_0000 + LINK));
    assert_eq!(
        (walked.elements.len(), walked.end),
        (2, End::Stopped(again))
    );
    for (word, what) in [
        (
            u64::from(u32::MAX),
            "a table of more buckets than a kernel can have",
        ),
        (
            1 << 32,
            "its buckets are in pages of pages, which is not understood",
        ),
    ] {
        let mut memory = memory(&chain, false);
        put(&mut memory, TABLE, word);
        let at = direct(TABLE);
        let walked = walk(table(), &memory);
        assert_eq!(walked.end, End::Stopped(Problem::BadNode { at, what }));
    }
    let mut endless = memory(&chain, false);
    point(&mut endless, TABLE + LAYOUT.future, TABLE);
    assert!(matches!(
        walk(table(), &endless).end,
        End::Stopped(Problem::Cycle(_))
    ));
    for wild in WILD.into_iter().filter(|wild| wild & 1 == 0 && *wild != 0) {
        let mut memory = memory(&chain, false);
        put(&mut memory, 0x20_0000 + LINK, wild);
        assert!(matches!(
            walk(table(), &memory).end,
            End::Stopped(Problem::WildPointer { .. })
        ));
    }
}
