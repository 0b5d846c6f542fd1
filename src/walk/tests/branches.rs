//! Trees by pointers to a first child and a next sibling.

use super::*;

const CHILD: u64 = 0x38;
const NEXT: u64 = 0x30;

fn tree(first: Option<&u64>) -> Container {
    Container::Branches(Branches {
        first: first.map_or(VirtAddr::new(0), |first| direct(*first)),
        child: CHILD,
        sibling: NEXT,
    })
}

/// Elements and, for each, the number of its parent, which comes before it; its own number: it hangs from nothing.
fn grow(elements: &[u64], parents: &[usize]) -> SparseMemory {
    let mut memory = blank(elements.iter().copied());
    let of = |parent: usize| {
        let hangs = move |child: &usize| {
            if parent == usize::MAX {
                parents[*child] == *child
            } else {
                parents[*child] == parent && *child != parent
            }
        };
        (0..elements.len()).filter(hangs).collect::<Vec<_>>()
    };
    for parent in (0..elements.len()).chain([usize::MAX]) {
        let children = of(parent);
        if let (Some(first), Some(holder)) = (children.first(), elements.get(parent)) {
            point(&mut memory, holder + CHILD, elements[*first]);
        }
        for pair in children.windows(2) {
            point(&mut memory, elements[pair[0]] + NEXT, elements[pair[1]]);
        }
    }
    memory
}

/// Depth first, parents first: address and depth.
fn expected(elements: &[u64], parents: &[usize]) -> Vec<(u64, u32)> {
    let mut found = Vec::new();
    let tops = (0..elements.len()).filter(|number| parents[*number] == *number);
    let mut stack: Vec<(usize, u32)> = tops.rev().map(|top| (top, 0)).collect();
    while let Some((number, depth)) = stack.pop() {
        found.push((DIRECT + elements[number], depth));
        let children =
            (0..elements.len()).filter(|child| parents[*child] == number && *child != number);
        stack.extend(children.rev().map(|child| (child, depth + 1)));
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn parents_before_children_in_order(
        elements in places(),
        choices in prop::collection::vec(any::<prop::sample::Index>(), 64),
        order in orders(),
    ) {
        let parents: Vec<usize> = (0..elements.len()).map(|number| choices[number].index(number + 1)).collect();
        let memory = FakeMemory::new(grow(&elements, &parents), order);
        let walked = walk_with(tree(elements.first()), memory, Budget::default(), usize::MAX);
        let found: Vec<_> = walked.elements.iter().map(|element| (element.address.get(), element.depth)).collect();
        prop_assert_eq!(found, expected(&elements, &parents));
        prop_assert_eq!(&walked.end, &End::Complete);
        let numbers: Vec<_> = walked.elements.iter().map(|element| element.index).collect();
        prop_assert_eq!(numbers, (0..elements.len() as u64).collect::<Vec<_>>());
    }
}

#[test]
fn branches_are_read_at_the_same_time() {
    let elements: Vec<u64> = (0..30).map(|number| 0x10000 + number * 4096).collect();
    let mut parents = vec![0, 1, 2];
    parents.extend((3..30).map(|number| number % 3));
    let walked = walk(tree(elements.first()), &grow(&elements, &parents));
    assert_eq!((walked.elements.len(), walked.end), (30, End::Complete));
    assert!(walked.cost.rounds <= 13, "{:?}", walked.cost);
}

#[test]
fn cycles_and_wild_links_end_a_tree() {
    let elements = [0x10000, 0x11000, 0x12000];
    let honest = grow(&elements, &[0, 0, 1]);
    for (at, to) in [
        (0x12000 + CHILD, 0x10000),
        (0x11000 + NEXT, 0x11000),
        (0x10000 + CHILD, 0x10000),
    ] {
        let mut memory = honest.clone();
        point(&mut memory, at, to);
        let walked = walk(tree(elements.first()), &memory);
        assert_eq!(walked.end, End::Stopped(Problem::Cycle(direct(to))));
    }
    for wild in &WILD[1..] {
        let mut memory = honest.clone();
        put(&mut memory, 0x11000 + NEXT, *wild);
        let walked = walk(tree(elements.first()), &memory);
        let pointer = VirtAddr::new(*wild);
        let at = direct(0x11000 + NEXT);
        assert_eq!(
            walked.end,
            End::Stopped(Problem::WildPointer { at, pointer })
        );
        assert_eq!(walked.elements.len(), 3);
    }
}

#[test]
fn a_tree_may_be_deep_unreadable_or_left_early() {
    let elements: Vec<u64> = (0..20_000).map(|number| 0x10_0000 + number * 256).collect();
    let memory = grow_chain(&elements);
    let walked = walk(tree(elements.first()), &memory);
    assert_eq!((walked.elements.len(), walked.end), (20_000, End::Complete));
    let fake = FakeMemory::new(memory.clone(), Order::AtOnce);
    let walked = walk_with(tree(elements.first()), fake, Budget::default(), 1);
    assert_eq!((walked.elements.len(), walked.end), (1, End::Enough));
    let walked = walk_without(tree(elements.first()), &memory, &[elements[5] + CHILD]);
    assert!(matches!(walked.end, End::Stopped(Problem::Unreadable(_))));
    assert_eq!(walked.elements.len(), 6);
}

/// Each element the only child of the one before it.
fn grow_chain(elements: &[u64]) -> SparseMemory {
    let mut memory = blank(elements.iter().copied());
    for pair in elements.windows(2) {
        point(&mut memory, pair[0] + CHILD, pair[1]);
    }
    memory
}
