//! Trees by lists of children.

use std::cell::Cell;

use super::*;

const CHILDREN: u64 = 0x40;
const SIBLING: u64 = 0x10;

fn tree(root: u64) -> Tree {
    Tree {
        root: direct(root),
        children: CHILDREN,
        sibling: SIBLING,
        siblings: Siblings::List,
        through: None,
    }
}

/// Elements and, for each but the first, the number of its parent, which comes before it.
fn grow(elements: &[u64], parents: &[usize]) -> SparseMemory {
    let mut memory = blank(elements.iter().copied());
    for (number, element) in elements.iter().enumerate() {
        let children = (1..elements.len()).filter(|child| parents[*child] == number);
        let mut links = vec![element + CHILDREN];
        links.extend(children.map(|child| elements[child] + SIBLING));
        for (at, link) in links.iter().enumerate() {
            let next = links[(at + 1) % links.len()];
            point(&mut memory, *link, next);
            point(&mut memory, next + 8, *link);
        }
    }
    memory
}

/// Depth first, parents first: address and depth.
fn expected(elements: &[u64], parents: &[usize]) -> Vec<(u64, u32)> {
    let mut found = Vec::new();
    let mut stack = vec![(0, 0)];
    while let Some((number, depth)) = stack.pop() {
        found.push((DIRECT + elements[number], depth));
        let children = (1..elements.len()).filter(|child| parents[*child] == number);
        stack.extend(children.rev().map(|child| (child, depth + 1)));
    }
    found
}

fn depths(walked: &Walked) -> Vec<(u64, u32)> {
    walked
        .elements
        .iter()
        .map(|element| (element.address.get(), element.depth))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn parents_before_children_in_order(
        elements in places(),
        drawn in prop::collection::vec(any::<prop::sample::Index>(), 60),
        order in orders(),
    ) {
        prop_assume!(!elements.is_empty());
        let parents: Vec<usize> = (0..elements.len()).map(|number| drawn[number].index(number.max(1))).collect();
        let memory = FakeMemory::new(grow(&elements, &parents), order);
        let walked = walk_with(Container::Tree(tree(elements[0])), memory, Budget::default(), usize::MAX);
        prop_assert_eq!(depths(&walked), expected(&elements, &parents));
        prop_assert_eq!(&walked.end, &End::Complete);
        prop_assert!(walked.elements.iter().map(|element| element.index).eq(0..elements.len() as u64));
    }
}

/// 0 has children 1 and 2; 1 has 3 and 4.
const FIVE: [u64; 5] = [0x5000, 0x2000, 0x9100, 0x3300, 0x7700];
const PARENTS: [usize; 5] = [0, 0, 0, 1, 1];

fn addresses(numbers: &[usize]) -> Vec<u64> {
    numbers
        .iter()
        .map(|number| DIRECT + FIVE[*number])
        .collect()
}

#[test]
fn children_of_other_holders_count_too() {
    // The tree of 1 hangs on 0 not by a list but because 0 speaks for 1 as well.
    let memory = grow(&FIVE, &[0, 9, 0, 1, 1]);
    let through = |_: Reader, address: VirtAddr| -> Holders {
        Box::pin(async move {
            if address == direct(FIVE[0]) {
                vec![address, direct(FIVE[1])]
            } else {
                vec![address]
            }
        })
    };
    let tree = Tree {
        through: Some(Rc::new(through)),
        ..tree(FIVE[0])
    };
    let walked = walk(Container::Tree(tree), &memory);
    assert_eq!(
        (walked.addresses(), walked.end),
        (addresses(&[0, 2, 3, 4]), End::Complete)
    );
}

/// As [`grow`], with children on lists with a head of one pointer.
fn grow_hlists(elements: &[u64], parents: &[usize]) -> SparseMemory {
    let mut memory = blank(elements.iter().copied());
    for (number, element) in elements.iter().enumerate() {
        let children = (1..elements.len()).filter(|child| parents[*child] == number);
        let mut before = element + CHILDREN;
        for link in children.map(|child| elements[child] + SIBLING) {
            point(&mut memory, before, link);
            point(&mut memory, link + 8, before);
            before = link;
        }
        put(&mut memory, before, 0);
    }
    memory
}

#[test]
fn children_may_hang_on_hash_lists() {
    let tree = Tree {
        siblings: Siblings::Hlist(HlistKind::Plain),
        ..tree(FIVE[0])
    };
    let mut memory = grow_hlists(&FIVE, &PARENTS);
    let walked = walk(Container::Tree(tree.clone()), &memory);
    assert_eq!(depths(&walked), expected(&FIVE, &PARENTS));
    assert_eq!((walked.doubtful(), walked.end), (vec![], End::Complete));
    point(&mut memory, FIVE[3] + CHILDREN, FIVE[1] + SIBLING);
    let walked = walk(Container::Tree(tree), &memory);
    assert_eq!(walked.end, End::Stopped(Problem::Cycle(direct(FIVE[1]))));
    assert_eq!(walked.addresses(), addresses(&[0, 1, 3, 4, 2]));
}

#[test]
fn a_child_that_is_its_own_ancestor_ends_its_branch() {
    // The list of 3's children holds the link of an ancestor, or its own.
    for ancestor in [0, 1, 3] {
        let mut memory = grow(&FIVE, &PARENTS);
        point(&mut memory, FIVE[3] + CHILDREN, FIVE[ancestor] + SIBLING);
        let walked = walk(Container::Tree(tree(FIVE[0])), &memory);
        assert_eq!(
            walked.end,
            End::Stopped(Problem::Cycle(direct(FIVE[ancestor])))
        );
        assert_eq!(walked.addresses(), addresses(&[0, 1, 3, 4, 2]));
        assert!(walked.cost.reads < 30);
    }
}

#[test]
fn wild_and_unreadable_lists_leave_the_other_branches() {
    for wild in WILD {
        let mut memory = grow(&FIVE, &PARENTS);
        put(&mut memory, FIVE[1] + CHILDREN, wild);
        put(&mut memory, FIVE[1] + CHILDREN + 8, wild);
        let walked = walk(Container::Tree(tree(FIVE[0])), &memory);
        assert!(matches!(
            walked.end,
            End::Stopped(Problem::WildPointer { .. })
        ));
        assert_eq!(walked.addresses(), addresses(&[0, 1, 2]));
    }
    let walked = walk_without(
        Container::Tree(tree(FIVE[0])),
        &grow(&FIVE, &PARENTS),
        &[FIVE[1] + CHILDREN],
    );
    assert!(matches!(walked.end, End::Stopped(Problem::Unreadable(_))));
    assert_eq!(walked.addresses(), addresses(&[0, 1, 2]));
}

#[test]
fn a_sink_that_has_enough_stops_the_branches_too() {
    let (elements, parents) = tower(1000);
    let memory = FakeMemory::new(grow_tower(&elements), Order::AtOnce);
    let walked = walk_with(
        Container::Tree(tree(elements[0])),
        memory,
        Budget::default(),
        3,
    );
    assert_eq!(
        (depths(&walked), walked.end),
        (expected(&elements[..3], &parents[..3]), End::Enough)
    );
    assert!(walked.cost.reads < 20);
}

/// So deep that anything that recurses by level ends the process.
const DEEP: usize = 60_000;

fn tower(height: usize) -> (Vec<u64>, Vec<usize>) {
    let elements = (1..=height as u64).map(|number| number * 128).collect();
    (
        elements,
        (0..height).map(|number| number.saturating_sub(1)).collect(),
    )
}

/// Each element the only child of the one before.
fn grow_tower(elements: &[u64]) -> SparseMemory {
    let mut memory = blank((0..=elements.len() as u64 / 32).map(|page| page * 4096));
    for (number, element) in elements.iter().enumerate() {
        let child = elements
            .get(number + 1)
            .map_or(element + CHILDREN, |child| child + SIBLING);
        for (from, to) in [(element + CHILDREN, child), (child, element + CHILDREN)] {
            point(&mut memory, from, to);
            point(&mut memory, to + 8, from);
        }
    }
    memory
}

#[test]
fn a_tree_of_any_depth_is_walked_without_recursion() {
    let (elements, _) = tower(DEEP);
    let memory = FakeMemory::new(grow_tower(&elements), Order::AtOnce);
    let walked = walk_with(
        Container::Tree(tree(elements[0])),
        memory,
        Budget::default(),
        usize::MAX,
    );
    assert_eq!((walked.elements.len(), walked.end), (DEEP, End::Complete));
    assert_eq!(walked.elements[DEEP - 1].depth as usize, DEEP - 1);
}

#[test]
fn a_deep_tree_that_was_walked_ahead_is_dropped_without_recursion() {
    let (elements, _) = tower(DEEP);
    let engine = Engine::new(Box::new(FakeMemory::new(
        grow_tower(&elements),
        Order::AtOnce,
    )));
    let told = Rc::new(Cell::new(0));
    let tree = tree(elements[0]);
    let (end, _) = engine
        .run(Budget::default(), move |reader| async move {
            let counter = Rc::clone(&told);
            let mut sink = async |_: Element| {
                // The branches go on while the sink is busy with something else.
                let mut other = 1 << 36;
                while told.get() < DEEP {
                    let _ = reader.unsigned(&space(), direct(other), 8).await;
                    other += 4096;
                }
                ControlFlow::Break(())
            };
            let tell = move |_| counter.set(counter.get() + 1);
            tree.walk(&reader, &space(), tell, &mut sink).await
        })
        .unwrap();
    assert_eq!(end, End::Enough);
}
