//! Lists with a head of one pointer, of every kind: honest, knotted, poisoned, lying.

use super::*;

const HEAD: u64 = 0x800;
/// Bytes from an element's start to its link.
const LINK: u64 = 0x58;
const KINDS: [HlistKind; 4] = [
    HlistKind::Plain,
    HlistKind::Nulls,
    HlistKind::BitLock,
    HlistKind::LockLess,
];
const FIVE: [u64; 5] = [0x5000, 0x2000, 0x9100, 0x3300, 0x7700];

fn list(kind: HlistKind) -> Container {
    Container::Hlist(Hlist {
        head: direct(HEAD),
        link: LINK,
        kind,
    })
}

/// What is in the last link: `NULLS_MARKER(21)` or null.
fn end(kind: HlistKind) -> u64 {
    if kind == HlistKind::Nulls { 43 } else { 0 }
}

/// A list through these elements; a lock-less one has other bytes where others have `pprev`, a locked one has its lock taken.
fn linked(kind: HlistKind, elements: &[u64]) -> SparseMemory {
    let mut memory = blank(elements.iter().copied().chain([HEAD]));
    let mut at = HEAD;
    for element in elements {
        let link = element + LINK;
        let lock = u64::from(kind == HlistKind::BitLock && at == HEAD);
        put(&mut memory, at, DIRECT + link + lock);
        if kind == HlistKind::LockLess {
            put(&mut memory, link + 8, 0x1234_5678);
        } else {
            point(&mut memory, link + 8, at);
        }
        at = link;
    }
    put(&mut memory, at, end(kind));
    memory
}

fn virtuals(elements: &[u64]) -> Vec<u64> {
    elements.iter().map(|element| DIRECT + element).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn all_elements_in_order(elements in places(), order in orders()) {
        for kind in KINDS {
            let memory = FakeMemory::new(linked(kind, &elements), order);
            let walked = walk_with(list(kind), memory, Budget::default(), usize::MAX);
            prop_assert_eq!(walked.addresses(), virtuals(&elements));
            prop_assert_eq!(&walked.end, &End::Complete);
            prop_assert_eq!(walked.doubtful(), Vec::<usize>::new());
            prop_assert!(walked.elements.iter().map(|element| element.index).eq(0..elements.len() as u64));
            prop_assert!(walked.cost.rounds as usize <= elements.len() + 1);
        }
    }

    #[test]
    fn a_cycle_of_any_length_ends(from in 0..5_usize, to in 0..5_usize) {
        prop_assume!(to <= from);
        for kind in KINDS {
            let mut memory = linked(kind, &FIVE);
            point(&mut memory, FIVE[from] + LINK, FIVE[to] + LINK);
            let walked = walk(list(kind), &memory);
            prop_assert_eq!(&walked.end, &End::Stopped(Problem::Cycle(direct(FIVE[to] + LINK))));
            prop_assert_eq!(walked.addresses(), virtuals(&FIVE[..=from]));
            prop_assert!(walked.cost.reads <= 12);
        }
    }
}

#[test]
fn an_empty_list_has_no_elements_locked_or_not() {
    for kind in KINDS {
        let walked = walk(list(kind), &linked(kind, &[]));
        assert_eq!(
            (walked.addresses(), walked.end),
            (Vec::new(), End::Complete)
        );
    }
    let mut memory = linked(HlistKind::BitLock, &[]);
    put(&mut memory, HEAD, 1);
    let walked = walk(list(HlistKind::BitLock), &memory);
    assert_eq!(
        (walked.addresses(), walked.end),
        (Vec::new(), End::Complete)
    );
}

#[test]
fn a_sink_that_has_enough_ends_the_walk() {
    for kind in KINDS {
        let memory = FakeMemory::new(linked(kind, &FIVE), Order::AtOnce);
        let walked = walk_with(list(kind), memory, Budget::default(), 2);
        assert_eq!(
            (walked.addresses(), walked.end),
            (virtuals(&FIVE[..2]), End::Enough)
        );
        assert!(walked.cost.reads <= 2);
    }
}

#[test]
fn wild_links_end_the_walk_where_they_are() {
    for kind in KINDS {
        for wild in WILD {
            let mut memory = linked(kind, &FIVE);
            put(&mut memory, FIVE[1] + LINK, wild);
            let ends = match kind {
                HlistKind::Nulls => wild & 1 == 1,
                _ => wild == 0,
            };
            let walked = walk(list(kind), &memory);
            let expected = if ends {
                End::Complete
            } else {
                End::Stopped(Problem::WildPointer {
                    at: direct(FIVE[1] + LINK),
                    pointer: VirtAddr::new(wild),
                })
            };
            assert_eq!(
                (walked.addresses(), walked.end),
                (virtuals(&FIVE[..2]), expected)
            );
        }
    }
}

#[test]
fn a_poisoned_link_says_that_its_entry_was_removed() {
    for kind in KINDS {
        let mut memory = linked(kind, &FIVE);
        put(&mut memory, FIVE[2] + LINK, 0xdead_0000_0000_0100);
        let walked = walk(list(kind), &memory);
        assert_eq!(
            (walked.addresses(), walked.end),
            (
                virtuals(&FIVE[..3]),
                End::Stopped(Problem::Poisoned(direct(FIVE[2] + LINK)))
            )
        );
    }
}

#[test]
fn a_link_back_that_points_elsewhere_makes_its_element_suspect() {
    for kind in KINDS {
        let mut memory = linked(kind, &FIVE);
        point(&mut memory, FIVE[3] + LINK + 8, HEAD);
        let walked = walk(list(kind), &memory);
        assert_eq!(
            (walked.addresses(), &walked.end),
            (virtuals(&FIVE), &End::Complete)
        );
        let doubtful = match kind {
            HlistKind::LockLess => vec![],
            _ => vec![3],
        };
        assert_eq!(walked.doubtful(), doubtful);
    }
}

#[test]
fn what_cannot_be_read_ends_the_walk() {
    for kind in KINDS {
        let memory = linked(kind, &FIVE);
        let walked = walk_without(list(kind), &memory, &[HEAD]);
        assert!(walked.elements.is_empty());
        assert!(matches!(walked.end, End::Stopped(Problem::Unreadable(_))));
        let walked = walk_without(list(kind), &memory, &[FIVE[2] + LINK]);
        assert_eq!(walked.addresses(), virtuals(&FIVE[..3]));
        assert!(matches!(walked.end, End::Stopped(Problem::Unreadable(_))));
    }
}
