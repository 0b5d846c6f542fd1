//! Xarrays and maple trees.

use super::*;

/// Where the tree's own struct is.
const ROOT: u64 = 0x200;
const NODES: u64 = 0x10_0000;

const XARRAY: XarrayLayout = XarrayLayout {
    marks: EntryMarks::Xarray,
    head: 8,
    shift: 0,
    slots: 40,
    slot_count: 64,
};

/// `include/linux/maple_tree.h` for 64 bits.
const MAPLE: MapleLayout = MapleLayout {
    root: 8,
    node_size: 256,
    range: NodeLayout {
        pivots: 8,
        pivot_count: 15,
        slots: 128,
        end: 248,
    },
    gap_range: NodeLayout {
        pivots: 8,
        pivot_count: 9,
        slots: 80,
        end: 240,
    },
};
const LEAF: u64 = 1;
const RANGE: u64 = 2;
const ARANGE: u64 = 3;

fn marked(marks: EntryMarks) -> Container {
    Container::Xarray(Xarray {
        root: direct(ROOT),
        layout: XarrayLayout { marks, ..XARRAY },
    })
}

fn xarray() -> Container {
    marked(EntryMarks::Xarray)
}

/// What marks a node.
fn node_mark(marks: EntryMarks) -> u64 {
    match marks {
        EntryMarks::Xarray => 2,
        EntryMarks::RadixTree => 1,
    }
}

fn maple() -> Container {
    Container::Maple(Maple {
        root: direct(ROOT),
        layout: MAPLE,
    })
}

/// Puts nodes of 1 KiB one after the other.
struct Builder {
    memory: SparseMemory,
    next: u64,
}

impl Builder {
    fn new() -> Self {
        Self {
            memory: blank([ROOT]),
            next: NODES,
        }
    }

    fn node(&mut self) -> u64 {
        let node = self.next;
        self.next += 1024;
        self.memory.insert(PhysAddr::new(node), &[0; 1024]);
        node
    }

    fn set_root(&mut self, entry: u64) {
        put(&mut self.memory, ROOT + 8, entry);
    }

    /// An xarray node with these entries, and the nodes below it, whose pointers are marked.
    fn xa_node(&mut self, entries: &[(u64, u64)], shift: u64, mark: u64) -> u64 {
        let node = self.node();
        self.memory.insert(PhysAddr::new(node), &[shift as u8]);
        for group in entries.chunk_by(|one, other| one.0 >> shift == other.0 >> shift) {
            let slot = group[0].0 >> shift & 63;
            let entry = if shift == 0 {
                group[0].1
            } else {
                self.xa_node(group, shift - 6, mark) + DIRECT + mark
            };
            put(&mut self.memory, node + 40 + slot * 8, entry);
        }
        node
    }

    fn xarray(entries: &[(u64, u64)]) -> SparseMemory {
        Self::marked(entries, EntryMarks::Xarray)
    }

    fn marked(entries: &[(u64, u64)], marks: EntryMarks) -> SparseMemory {
        let mark = node_mark(marks);
        let mut builder = Self::new();
        let largest = entries.last().map_or(0, |entry| entry.0);
        let shift = (0..60)
            .step_by(6)
            .find(|shift| largest >> shift < 64)
            .unwrap_or(60);
        let root = match entries {
            [] => 0,
            [(0, entry)] => *entry,
            _ => builder.xa_node(entries, shift, mark) + DIRECT + mark,
        };
        builder.set_root(root);
        builder.memory
    }

    /// A maple node of this kind over consecutive ranges, each with its last index and its slot.
    fn maple_node(&mut self, kind: u64, slots: &[(u64, u64)]) -> u64 {
        let node = self.node();
        put(&mut self.memory, node, DIRECT + ROOT + 1);
        let layout = if kind == ARANGE {
            MAPLE.gap_range
        } else {
            MAPLE.range
        };
        for (number, (last, slot)) in (0..).zip(slots) {
            put(&mut self.memory, node + layout.slots + number * 8, *slot);
            if number < layout.pivot_count && *last != u64::MAX {
                put(&mut self.memory, node + layout.pivots + number * 8, *last);
            }
        }
        if kind == ARANGE || slots.len() < 15 {
            self.memory
                .insert(PhysAddr::new(node + layout.end), &[slots.len() as u8 - 1]);
        } else if slots.len() == 15 {
            put(&mut self.memory, node + layout.pivots + 14 * 8, slots[14].0);
        }
        (DIRECT + node) | kind << 3 | 4
    }

    /// A tree over ranges that together cover all indices.
    fn maple(ranges: &[(u64, u64)], inner: u64, fill: usize) -> SparseMemory {
        let mut builder = Self::new();
        let mut level = ranges.to_vec();
        let mut kind = LEAF;
        loop {
            let most = if kind == ARANGE {
                fill.clamp(3, 10)
            } else {
                fill
            };
            level = level
                .chunks(most)
                .map(|slots| (slots.last().unwrap().0, builder.maple_node(kind, slots)))
                .collect();
            kind = inner;
            if let [(_, root)] = level[..] {
                builder.set_root(root | 2);
                return builder.memory;
            }
        }
    }
}

fn entries() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let index = prop_oneof![
        0_u64..64,
        0_u64..5000,
        any::<u64>().prop_map(|index| index >> 12)
    ];
    prop::collection::btree_map(
        index,
        (0_u64..1 << 30).prop_map(|number| DIRECT + number * 8),
        0..40,
    )
    .prop_map(|map| map.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn xarrays_and_radix_trees_give_their_pointers_by_index(
        entries in entries(),
        marks in prop::sample::select(vec![EntryMarks::Xarray, EntryMarks::RadixTree]),
        order in orders(),
    ) {
        let memory = FakeMemory::new(Builder::marked(&entries, marks), order);
        let walked = walk_with(marked(marks), memory, Budget::default(), usize::MAX);
        prop_assert_eq!(walked.keyed(), entries);
        prop_assert_eq!(&walked.end, &End::Complete);
        prop_assert!(walked.cost.rounds <= 11, "a round a level");
    }

    #[test]
    fn maple_trees_give_their_ranges_in_order(
        ranges in prop::collection::vec((1_u64..100_000, any::<bool>()), 1..300),
        inner in prop::sample::select(vec![RANGE, ARANGE]),
        fill in 2_usize..=16,
        order in orders(),
    ) {
        let mut covered = Vec::new();
        let mut expected = Vec::new();
        let mut first = 0;
        for (number, (length, used)) in (0..).zip(ranges) {
            let pointer = DIRECT + number * 64;
            covered.push((first + length - 1, if used { pointer } else { 0 }));
            expected.extend(used.then_some((first, pointer)));
            first += length;
        }
        covered.push((u64::MAX, 0));
        let memory = FakeMemory::new(Builder::maple(&covered, inner, fill), order);
        let walked = walk_with(maple(), memory, Budget::default(), usize::MAX);
        prop_assert_eq!(walked.keyed(), expected);
        prop_assert_eq!(&walked.end, &End::Complete);
        prop_assert_eq!(walked.doubtful(), Vec::<usize>::new());
    }

    /// One byte of a node changed: the walk ends, within the reads that so few nodes can cost.
    #[test]
    fn any_byte_may_lie(at in 0_u64..1024, byte in any::<u8>(), node in 0_u64..4, kind in 0..3) {
        let old = EntryMarks::RadixTree;
        let (container, mut memory) = match kind {
            0 => (maple(), small_maple()),
            1 => (xarray(), small_xarray()),
            _ => (marked(old), Builder::marked(&SMALL, old)),
        };
        memory.insert(PhysAddr::new(NODES + node * 1024 + at), &[byte]);
        let walked = walk(container, &memory);
        prop_assert!(walked.cost.reads < 200);
        prop_assert!(walked.elements.len() <= 200);
    }
}

/// Root, and three nodes below it: indices 5, 70 and 140.
const SMALL: [(u64, u64); 3] = [(5, DIRECT), (70, DIRECT + 8), (140, DIRECT + 16)];

fn small_xarray() -> SparseMemory {
    Builder::xarray(&SMALL)
}

/// Three leaves (first) and a root that tracks gaps.
fn small_maple() -> SparseMemory {
    Builder::maple(
        &[
            (9, DIRECT),
            (19, 0),
            (29, DIRECT + 8),
            (39, 0),
            (49, DIRECT + 16),
            (u64::MAX, 0),
        ],
        ARANGE,
        2,
    )
}

const MAPLE_TOP: u64 = NODES + 3 * 1024;

#[test]
fn the_small_trees_are_what_the_hostile_tests_take_them_for() {
    assert_eq!(
        walk(xarray(), &small_xarray()).keyed(),
        [(5, DIRECT), (70, DIRECT + 8), (140, DIRECT + 16)]
    );
    assert_eq!(
        walk(maple(), &small_maple()).keyed(),
        [(0, DIRECT), (20, DIRECT + 8), (40, DIRECT + 16)]
    );
}

/// `lib/radix-tree.c` of 4.19: an exceptional entry has bit 1 set, and an entry of several slots stands in the first of them, to which the
/// others point with the mark of a node.
#[test]
fn exceptional_and_sibling_entries_of_a_radix_tree_are_no_elements() {
    let mut memory = Builder::marked(&SMALL, EntryMarks::RadixTree);
    let leaf = NODES + 1024;
    let slot = |number: u64| leaf + 40 + number * 8;
    put(&mut memory, slot(6), DIRECT + slot(5) + 1);
    put(&mut memory, slot(63), DIRECT + slot(5) + 1);
    put(&mut memory, slot(7), 2);
    put(&mut memory, slot(8), 0xffff_ffff_ffff_fff2);
    let walked = walk(marked(EntryMarks::RadixTree), &memory);
    assert_eq!(
        (walked.keyed(), walked.end),
        (SMALL.to_vec(), End::Complete)
    );
}

#[test]
fn values_and_reserved_entries_are_no_pointers() {
    for entry in [1, 3, 0x402, 0x406, 6, 0xffff_ffff_ffff_f801] {
        let mut builder = Builder::new();
        builder.set_root(entry);
        let walked = walk(xarray(), &builder.memory);
        assert_eq!(
            (walked.elements.len(), walked.end),
            (0, End::Complete),
            "{entry:#x}"
        );
    }
}

#[test]
fn an_xarray_whose_shifts_do_not_fall_is_refused() {
    for (node, shift) in [(0, 64), (0, 255), (1, 6), (1, 12), (2, 63)] {
        let mut memory = small_xarray();
        memory.insert(PhysAddr::new(NODES + node * 1024), &[shift]);
        let walked = walk(xarray(), &memory);
        let at = direct(NODES + node * 1024);
        assert!(
            matches!(walked.end, End::Stopped(Problem::BadNode { at: bad, .. }) if bad == at),
            "{}",
            walked.end
        );
        assert_eq!(
            walked.elements.len(),
            if node == 0 { 0 } else { 2 },
            "other nodes are still walked"
        );
    }
}

#[test]
fn nodes_that_point_at_themselves_or_above_are_cycles() {
    for (from, to) in [(0, 0), (1, 1), (1, 0), (2, 1)] {
        let mut memory = small_xarray();
        put(
            &mut memory,
            NODES + from * 1024 + 40,
            DIRECT + NODES + to * 1024 + 2,
        );
        let walked = walk(xarray(), &memory);
        assert!(
            matches!(
                walked.end,
                End::Stopped(Problem::Cycle(_) | Problem::BadNode { .. })
            ),
            "{}",
            walked.end
        );
        assert!(walked.cost.reads < 40);
        let mut memory = small_maple();
        put(
            &mut memory,
            MAPLE_TOP + 80 + 8 * from,
            (DIRECT + MAPLE_TOP) | ARANGE << 3 | 4,
        );
        let walked = walk(maple(), &memory);
        assert_eq!(walked.end, End::Stopped(Problem::Cycle(direct(MAPLE_TOP))));
        assert_eq!(walked.elements.len(), 2);
    }
}

#[test]
fn maple_nodes_of_a_kind_that_does_not_exist_are_refused() {
    for kind in [0, 4, 5, 9, 15] {
        let mut memory = small_maple();
        put(
            &mut memory,
            MAPLE_TOP + 88,
            (DIRECT + NODES + 1024) | kind << 3 | 4,
        );
        let walked = walk(maple(), &memory);
        assert!(
            matches!(walked.end, End::Stopped(Problem::BadNode { .. })),
            "{kind}: {}",
            walked.end
        );
        assert_eq!(walked.addresses(), [DIRECT, DIRECT + 16]);
    }
}

#[test]
fn a_maple_node_that_is_its_own_parent_is_dead() {
    let mut memory = small_maple();
    put(&mut memory, NODES, DIRECT + NODES);
    let walked = walk(maple(), &memory);
    assert!(matches!(walked.end, End::Stopped(Problem::BadNode { .. })));
    assert_eq!(walked.addresses(), [DIRECT + 8, DIRECT + 16]);
}

#[test]
fn wild_roots_nodes_and_elements() {
    for wild in [
        0x7fff_1234_5602_u64,
        0x1234_5678_9abc_de02,
        0xffff_ffff_ffff_ff02 | RANGE << 3,
    ] {
        let mut builder = Builder::new();
        builder.set_root(wild);
        for container in [xarray(), maple()] {
            let walked = walk(container, &builder.memory);
            assert!(
                matches!(walked.end, End::Stopped(_)),
                "{wild:#x}: {}",
                walked.end
            );
            assert_eq!(walked.elements, []);
        }
    }
    let mut memory = small_xarray();
    put(&mut memory, NODES + 1024 + 40 + 5 * 8, 0x7fff_0000);
    assert_eq!(walk(xarray(), &memory).doubtful(), [0]);
    let mut memory = small_maple();
    put(&mut memory, NODES + 128, 0x7fff_0000);
    assert_eq!(walk(maple(), &memory).doubtful(), [0]);
}

#[test]
fn a_node_that_cannot_be_read_leaves_the_others() {
    let walked = walk_without(xarray(), &small_xarray(), &[NODES + 2048]);
    assert!(matches!(walked.end, End::Stopped(Problem::Unreadable(_))));
    assert_eq!(walked.addresses(), [DIRECT, DIRECT + 16]);
    let walked = walk_without(maple(), &small_maple(), &[NODES + 1024]);
    assert!(matches!(walked.end, End::Stopped(Problem::Unreadable(_))));
    assert_eq!(walked.addresses(), [DIRECT, DIRECT + 16]);
    for container in [xarray(), maple()] {
        let walked = walk_without(container, &small_maple(), &[ROOT]);
        assert!(matches!(walked.end, End::Stopped(Problem::Unreadable(_))));
    }
}

#[test]
fn a_tower_of_maple_nodes_ends() {
    let mut builder = Builder::new();
    let mut top = builder.maple_node(LEAF, &[(u64::MAX, DIRECT)]);
    for _ in 0..100 {
        top = builder.maple_node(RANGE, &[(u64::MAX, top)]);
    }
    builder.set_root(top | 2);
    let walked = walk(maple(), &builder.memory);
    assert!(matches!(walked.end, End::Stopped(Problem::BadNode { .. })));
    assert!(walked.cost.rounds < 40);
}

#[test]
fn layouts_that_no_kernel_has_do_no_harm() {
    let huge = NodeLayout {
        pivots: u64::MAX,
        pivot_count: u64::MAX,
        slots: u64::MAX - 3,
        end: u64::MAX,
    };
    let none = NodeLayout {
        pivots: 0,
        pivot_count: 0,
        slots: 0,
        end: 0,
    };
    for node in [huge, none] {
        for node_size in [0, 256, u64::MAX] {
            let layout = MapleLayout {
                root: 8,
                node_size,
                range: node,
                gap_range: node,
            };
            walk(
                Container::Maple(Maple {
                    root: direct(ROOT),
                    layout,
                }),
                &small_maple(),
            );
        }
    }
    for slot_count in [0, u64::MAX / 8, u64::MAX] {
        let layout = XarrayLayout {
            marks: EntryMarks::Xarray,
            head: 8,
            shift: u64::MAX,
            slots: u64::MAX,
            slot_count,
        };
        walk(
            Container::Xarray(Xarray {
                root: direct(ROOT),
                layout,
            }),
            &small_xarray(),
        );
    }
}

/// Of a hundred thousand entries ten are wanted: a node a level is read, and none beside them.
#[test]
fn few_entries_of_a_large_xarray_cost_few_reads() {
    let entries: Vec<_> = (1..100_001)
        .map(|index| (index, DIRECT + index * 8))
        .collect();
    let memory = Builder::xarray(&entries);
    let walked = walk_few(xarray(), &memory, 10);
    assert_eq!(walked.keyed(), entries[..10]);
    assert_eq!(walked.end, End::Enough);
    // The root's pointer, and in each of three nodes the shift and the slots.
    assert!(
        walked.cost.reads <= 1 + 3 * 2,
        "{} reads",
        walked.cost.reads
    );
    let all = walk_few(xarray(), &memory, usize::MAX);
    assert_eq!(all.keyed(), entries);
    assert_eq!(all.end, End::Complete);
    assert!(all.cost.rounds < 100, "{} rounds", all.cost.rounds);
}

#[test]
fn few_entries_of_a_large_maple_tree_cost_few_reads() {
    let ranges: Vec<_> = (0..100_000)
        .map(|number| (number * 10 + 9, DIRECT + number * 64))
        .chain([(u64::MAX, 0)])
        .collect();
    let memory = Builder::maple(&ranges, ARANGE, 16);
    let walked = walk_few(maple(), &memory, 10);
    let expected: Vec<_> = (0..10)
        .map(|number| (number * 10, DIRECT + number * 64))
        .collect();
    assert_eq!(walked.keyed(), expected);
    // A leaf of 16 entries, below four levels of at most 10.
    assert!(walked.cost.reads <= 1 + 6, "{} reads", walked.cost.reads);
    let all = walk_few(maple(), &memory, usize::MAX);
    assert_eq!(all.elements.len(), 100_000);
    assert_eq!(all.end, End::Complete);
    assert!(all.cost.rounds < 1000, "{} rounds", all.cost.rounds);
}
