//! Red-black trees: honest, knotted, too deep, lying.

use super::*;

const ROOT: u64 = 0x808;
/// Bytes from an element's start to its node.
const LINK: u64 = 0x20;
const LAYOUT: RbtreeLayout = RbtreeLayout {
    parent_color: 0,
    right: 8,
    left: 16,
};
const LEFT: u64 = LINK + 16;
const RIGHT: u64 = LINK + 8;
/// Seven elements: a tree of three full levels.
const SEVEN: [u64; 7] = [0x5000, 0x2000, 0x9100, 0x3300, 0x7700, 0x1200, 0x4400];

fn rbtree() -> Container {
    Container::Rbtree(Rbtree {
        root: direct(ROOT),
        link: LINK,
        layout: LAYOUT,
    })
}

/// Hangs the elements, in order, as a balanced tree on the pointer at `at`; levels are black and red in turn.
fn hang(memory: &mut SparseMemory, elements: &[u64], at: u64, parent: u64, level: u64) {
    if elements.is_empty() {
        return;
    }
    let (before, rest) = elements.split_at(elements.len() / 2);
    let (middle, behind) = (rest[0], &rest[1..]);
    point(memory, at, middle + LINK);
    put(memory, middle + LINK, parent | (level + 1) & 1);
    let node = DIRECT + middle + LINK;
    hang(memory, before, middle + LEFT, node, level + 1);
    hang(memory, behind, middle + RIGHT, node, level + 1);
}

fn tree(elements: &[u64]) -> SparseMemory {
    let mut memory = blank(elements.iter().copied().chain([ROOT]));
    hang(&mut memory, elements, ROOT, 0, 0);
    memory
}

fn virtuals(elements: &[u64]) -> Vec<u64> {
    elements.iter().map(|element| DIRECT + element).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn all_elements_in_order_and_a_round_a_level(elements in places(), order in orders()) {
        let memory = FakeMemory::new(tree(&elements), order);
        let walked = walk_with(rbtree(), memory, Budget::default(), usize::MAX);
        prop_assert_eq!(walked.addresses(), virtuals(&elements));
        prop_assert_eq!(&walked.end, &End::Complete);
        prop_assert_eq!(walked.doubtful(), Vec::<usize>::new());
        prop_assert!(walked.elements.iter().map(|element| element.index).eq(0..elements.len() as u64));
        let levels = walked.elements.iter().map(|element| u64::from(element.depth) + 1).max().unwrap_or(0);
        prop_assert_eq!(levels, u64::from((elements.len() + 1).next_power_of_two().trailing_zeros()));
        // In any other order a read for a deeper node may bring one that is not so deep, and be counted for it.
        if matches!(order, Order::AtOnce) {
            prop_assert!(u64::from(walked.cost.rounds) <= levels + 1);
        }
    }

    /// A link to any node that is in the tree already, from any side of any node.
    #[test]
    fn a_cycle_is_said_and_no_element_comes_twice(from in 0..7_usize, to in 0..7_usize, side in prop::sample::select(vec![LEFT, RIGHT])) {
        let mut memory = tree(&SEVEN);
        point(&mut memory, SEVEN[from] + side, SEVEN[to] + LINK);
        let walked = walk(rbtree(), &memory);
        let addresses = walked.addresses();
        let distinct: BTreeSet<u64> = addresses.iter().copied().collect();
        prop_assert_eq!(distinct.len(), addresses.len());
        prop_assert!(walked.cost.reads <= 20);
        let links = [(3, 1, LEFT), (3, 5, RIGHT), (1, 0, LEFT), (1, 2, RIGHT), (5, 4, LEFT), (5, 6, RIGHT)];
        let honest = walked.end == End::Complete && walked.doubtful().is_empty();
        prop_assert_eq!(honest, links.contains(&(from, to, side)));
    }
}

#[test]
fn levels_are_the_depths() {
    let walked = walk(rbtree(), &tree(&SEVEN));
    let depths: Vec<u32> = walked
        .elements
        .iter()
        .map(|element| element.depth)
        .collect();
    assert_eq!(depths, [2, 1, 2, 0, 2, 1, 2]);
}

#[test]
fn an_empty_tree_has_no_elements() {
    let walked = walk(rbtree(), &tree(&[]));
    assert_eq!(
        (walked.addresses(), walked.end),
        (Vec::new(), End::Complete)
    );
}

#[test]
fn a_sink_that_has_enough_ends_the_walk() {
    let memory = FakeMemory::new(tree(&SEVEN), Order::AtOnce);
    let walked = walk_with(rbtree(), memory, Budget::default(), 2);
    assert_eq!(
        (walked.addresses(), walked.end),
        (virtuals(&SEVEN[..2]), End::Enough)
    );
}

/// Only what hangs on the broken link is lost.
#[test]
fn wild_links_lose_their_subtree_only() {
    for wild in WILD.into_iter().filter(|wild| *wild != 0) {
        let mut memory = tree(&SEVEN);
        put(&mut memory, SEVEN[3] + LEFT, wild);
        let walked = walk(rbtree(), &memory);
        let problem = Problem::WildPointer {
            at: direct(SEVEN[3] + LEFT),
            pointer: VirtAddr::new(wild),
        };
        assert_eq!(
            (walked.addresses(), walked.end),
            (virtuals(&SEVEN[3..]), End::Stopped(problem))
        );
    }
}

#[test]
fn a_root_that_is_wild_or_unreadable_is_said() {
    for wild in WILD.into_iter().filter(|wild| *wild != 0) {
        let mut memory = tree(&SEVEN);
        put(&mut memory, ROOT, wild);
        let problem = Problem::WildPointer {
            at: direct(ROOT),
            pointer: VirtAddr::new(wild),
        };
        assert_eq!(walk(rbtree(), &memory).end, End::Stopped(problem));
    }
    let walked = walk_without(rbtree(), &tree(&SEVEN), &[ROOT]);
    assert!(matches!(walked.end, End::Stopped(Problem::Unreadable(_))));
}

#[test]
fn a_node_that_cannot_be_read_is_an_element_without_a_subtree() {
    let walked = walk_without(rbtree(), &tree(&SEVEN), &[SEVEN[1] + LINK]);
    assert_eq!(
        walked.addresses(),
        virtuals(&[SEVEN[1], SEVEN[3], SEVEN[4], SEVEN[5], SEVEN[6]])
    );
    assert!(matches!(walked.end, End::Stopped(Problem::Unreadable(_))));
}

#[test]
fn a_poisoned_link_says_that_its_node_was_removed() {
    let mut memory = tree(&SEVEN);
    put(&mut memory, SEVEN[3] + RIGHT, 0xdead_0000_0000_0100);
    let walked = walk(rbtree(), &memory);
    assert_eq!(
        (walked.addresses(), walked.end),
        (
            virtuals(&SEVEN[..4]),
            End::Stopped(Problem::Poisoned(direct(SEVEN[3] + RIGHT)))
        )
    );
}

#[test]
fn a_parent_link_that_points_elsewhere_makes_its_element_suspect() {
    let mut memory = tree(&SEVEN);
    put(&mut memory, SEVEN[2] + LINK, DIRECT + SEVEN[5] + LINK);
    let walked = walk(rbtree(), &memory);
    assert_eq!(
        (walked.addresses(), &walked.end, walked.doubtful()),
        (virtuals(&SEVEN), &End::Complete, vec![2])
    );
}

/// A chain of nodes, as no rebalanced tree is, is left after as many levels as one can have.
#[test]
fn a_tree_that_is_too_deep_is_left() {
    let elements: Vec<u64> = (16..1016).map(|number| number * 256).collect();
    let mut memory = blank(elements.iter().copied().chain([ROOT]));
    let mut at = ROOT;
    let mut parent = 0;
    for element in &elements {
        point(&mut memory, at, element + LINK);
        put(&mut memory, element + LINK, parent);
        parent = DIRECT + element + LINK;
        at = element + RIGHT;
    }
    let walked = walk(rbtree(), &memory);
    assert_eq!(walked.addresses(), virtuals(&elements[..64]));
    assert!(matches!(walked.end, End::Stopped(Problem::BadNode { .. })));
}

/// Of fifty thousand elements ten are wanted: what is read is the way to the first, and the ten.
#[test]
fn few_elements_of_a_large_tree_cost_few_reads() {
    let elements: Vec<u64> = (1..50_001).map(|number| 0x1_0000 + number * 64).collect();
    let memory = tree(&elements);
    let walked = walk_few(rbtree(), &memory, 10);
    assert_eq!(walked.addresses(), virtuals(&elements[..10]));
    assert_eq!(walked.end, End::Enough);
    assert!(
        walked.cost.reads <= 1 + 16 + 10,
        "{} reads",
        walked.cost.reads
    );
    let all = walk_few(rbtree(), &memory, usize::MAX);
    assert_eq!(all.addresses(), virtuals(&elements));
    assert_eq!(all.end, End::Complete);
    assert!(all.cost.rounds < 1000, "{} rounds", all.cost.rounds);
}
