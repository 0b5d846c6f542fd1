//! Memory that is full of plausible lies: most words point back into it. Every walk ends, within its budget and without a panic.
//! (After Case and others, "Gaslight: A comprehensive fuzzing architecture for memory forensics frameworks", DFRWS 2017.)

use std::time::Duration;

use super::*;

const PAGES: u64 = 16;
const SIZE: u64 = PAGES * 4096;

fn word(random: &mut fastrand::Rng) -> u64 {
    let inside = DIRECT + random.u64(..SIZE / 8) * 8;
    match random.u32(..20) {
        0..9 => inside,
        9..12 => inside | 2,
        12..14 => inside & !255 | random.u64(..5) << 3 | random.u64(..8),
        14 => random.u64(..64),
        15 => 0,
        16 => 0xdead_0000_0000_0100,
        17 => inside + random.u64(..8),
        18 => DIRECT + SIZE + random.u64(..1 << 20),
        _ => random.u64(..),
    }
}

fn lies(random: &mut fastrand::Rng) -> SparseMemory {
    let bytes: Vec<u8> = (0..SIZE / 8)
        .flat_map(|_| word(random).to_le_bytes())
        .collect();
    let mut memory = SparseMemory::new();
    memory.insert(PhysAddr::new(0), &bytes);
    memory
}

fn containers(random: &mut fastrand::Rng) -> Vec<Container> {
    let mut at = || direct(random.u64(..SIZE / 8) * 8);
    let kinds = [
        HlistKind::Plain,
        HlistKind::Nulls,
        HlistKind::BitLock,
        HlistKind::LockLess,
    ];
    let hlists = kinds.map(|kind| {
        Container::Hlist(Hlist {
            head: at(),
            link: 0x58,
            kind,
        })
    });
    let rbtree = Container::Rbtree(Rbtree {
        root: at(),
        link: 0x20,
        layout: RbtreeLayout {
            parent_color: 0,
            right: 8,
            left: 16,
        },
    });
    let range = NodeLayout {
        pivots: 8,
        pivot_count: 15,
        slots: 128,
        end: 248,
    };
    let gap_range = NodeLayout {
        pivots: 8,
        pivot_count: 9,
        slots: 80,
        end: 240,
    };
    let layout = MapleLayout {
        root: 8,
        node_size: 256,
        range,
        gap_range,
    };
    let others = [
        Container::List(List {
            head: at(),
            link: 0x58,
        }),
        Container::Chain(Chain {
            first: at(),
            next: 0x28,
        }),
        Container::Array(Array {
            base: at(),
            count: 5000,
            entries: Entries::Pointers,
        }),
        Container::Tree(Tree {
            root: at(),
            children: 0x40,
            sibling: 0x50,
            siblings: Siblings::List,
            through: None,
        }),
        Container::Xarray(Xarray {
            root: at(),
            layout: XarrayLayout {
                marks: EntryMarks::Xarray,
                head: 8,
                shift: 0,
                slots: 40,
                slot_count: 64,
            },
        }),
        Container::Maple(Maple { root: at(), layout }),
        Container::Records(Records {
            base: at(),
            length: 8192,
            first: 4096,
            end: 64,
            smallest: 16,
            size: 8,
            size_width: 2,
        }),
        Container::PerCpu(PerCpu {
            symbol: at(),
            offsets: at(),
            mask: at(),
            count: 512,
        }),
    ];
    let frames = Container::Frames(frames(at));
    let others = others.into_iter().chain([rbtree, frames]);
    hlists.into_iter().chain(others).collect()
}

/// A stack whose tables lie among the lies too, all of which is code.
fn frames(mut at: impl FnMut() -> VirtAddr) -> Frames {
    let table = FrameTable {
        addresses: at(),
        entries: at(),
        count: 5000,
    };
    let half = direct(SIZE / 2);
    Frames {
        lowest: direct(0),
        size: SIZE,
        saved: at(),
        unstarted: at(),
        function: at(),
        kernel: KernelTable {
            table,
            code: (direct(0), half),
            initial_code: (half, direct(SIZE)),
            blocks: at(),
            block_count: 300,
            block_size: 256,
        },
        others: OtherTables {
            code: (direct(SIZE), VirtAddr::new(u64::MAX)),
            find: Rc::new(move |_, address| {
                let table = address.get().is_multiple_of(2).then_some(table);
                Box::pin(async move { table })
            }),
        },
        layout: Rc::new(super::frames::layout()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn every_walk_ends(seed in any::<u64>(), order in orders(), max_reads in prop::sample::select(vec![3_u64, 50, 5000])) {
        let mut random = fastrand::Rng::with_seed(seed);
        let memory = lies(&mut random);
        for container in containers(&mut random) {
            let budget = Budget { max_reads, max_time: Duration::from_secs(60), ..Budget::default() };
            let walked = walk_with(container.clone(), FakeMemory::new(memory.clone(), order), budget, usize::MAX);
            prop_assert!(walked.cost.reads <= max_reads);
            prop_assert!(walked.cost.reads <= 3 * SIZE / 64, "{:?} cost {} reads", container, walked.cost.reads);
            prop_assert_ne!(walked.cost.stopped, Some(crate::wave::Stopped::Time));
            let cut_short = walked.cost.stopped.is_some();
            prop_assert!(!cut_short || walked.end != End::Complete, "a walk cut short is not complete");
        }
    }
}
