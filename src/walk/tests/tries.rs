//! Tries: nodes that hold a power of two of pointers to nodes.

use super::*;

const BITS: u64 = 5;
const CHILDREN: u64 = 8;

fn trie(first: Option<&u64>) -> Container {
    Container::Trie(Trie {
        first: first.map_or(VirtAddr::new(0), |first| direct(*first)),
        bits: BITS,
        children: CHILDREN,
    })
}

/// Nodes of four pointers each; a node's parent comes before it and its place there is its number modulo four, or the next that is
/// free. Returns the memory, and each node's depth in the order of the walk.
fn grow(nodes: &[u64], parents: &[usize]) -> (SparseMemory, Vec<(u64, u32)>) {
    let mut memory = blank(nodes.iter().copied());
    let mut children = vec![[None; 4]; nodes.len()];
    for number in 1..nodes.len() {
        let free = |holder: &usize| children[*holder].iter().any(Option::is_none);
        let holder = (0..number)
            .cycle()
            .skip(parents[number])
            .find(free)
            .unwrap_or(0);
        let place = (0..4)
            .map(|step| (number + step) % 4)
            .find(|place| children[holder][*place].is_none())
            .unwrap_or(0);
        children[holder][place] = Some(number);
        put_byte(&mut memory, nodes[holder] + BITS, 2);
        point(
            &mut memory,
            nodes[holder] + CHILDREN + 8 * place as u64,
            nodes[number],
        );
    }
    let mut expected = Vec::new();
    let mut stack: Vec<(usize, u32)> = (0..nodes.len().min(1)).map(|first| (first, 0)).collect();
    while let Some((number, depth)) = stack.pop() {
        expected.push((DIRECT + nodes[number], depth));
        let below = children[number].iter().rev().flatten();
        stack.extend(below.map(|child| (*child, depth + 1)));
    }
    (memory, expected)
}

fn put_byte(memory: &mut SparseMemory, at: u64, byte: u8) {
    put(memory, at & !7, u64::from(byte) << (8 * (at & 7)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn parents_before_children_by_their_places(
        nodes in places(),
        choices in prop::collection::vec(any::<prop::sample::Index>(), 64),
        order in orders(),
    ) {
        let parents: Vec<usize> = (0..nodes.len()).map(|number| choices[number].index(number + 1)).collect();
        let (memory, expected) = grow(&nodes, &parents);
        let walked = walk_with(trie(nodes.first()), FakeMemory::new(memory, order), Budget::default(), usize::MAX);
        let found: Vec<_> = walked.elements.iter().map(|element| (element.address.get(), element.depth)).collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(&walked.end, &End::Complete);
    }
}

#[test]
fn all_nodes_of_a_level_are_read_at_the_same_time() {
    let nodes: Vec<u64> = (0..85).map(|number| 0x10000 + number * 4096).collect();
    let parents: Vec<usize> = (0..85usize)
        .map(|number| number.saturating_sub(1) / 4)
        .collect();
    let walked = walk(trie(nodes.first()), &grow(&nodes, &parents).0);
    assert_eq!((walked.elements.len(), walked.end), (85, End::Complete));
    assert!(walked.cost.rounds <= 9, "{:?}", walked.cost);
}

#[test]
fn hostile_tries_end() {
    let nodes = [0x10000, 0x11000, 0x12000];
    let (honest, _) = grow(&nodes, &[0, 0, 1]);
    let mut cycle = honest.clone();
    put_byte(&mut cycle, 0x12000 + BITS, 1);
    point(&mut cycle, 0x12000 + CHILDREN, 0x10000);
    let walked = walk(trie(nodes.first()), &cycle);
    assert_eq!(walked.end, End::Stopped(Problem::Cycle(direct(0x10000))));
    let mut wild = honest.clone();
    put_byte(&mut wild, 0x12000 + BITS, 1);
    put(&mut wild, 0x12000 + CHILDREN, 7);
    let walked = walk(trie(nodes.first()), &wild);
    assert!(matches!(
        walked.end,
        End::Stopped(Problem::WildPointer { .. })
    ));
    let mut huge = honest.clone();
    put_byte(&mut huge, 0x12000 + BITS, 63);
    let walked = walk(trie(nodes.first()), &huge);
    assert!(matches!(walked.end, End::Stopped(Problem::BadNode { .. })));
    assert_eq!(walked.elements.len(), 3);
    let walked = walk_with(
        trie(nodes.first()),
        FakeMemory::new(honest, Order::AtOnce),
        Budget::default(),
        1,
    );
    assert_eq!((walked.elements.len(), walked.end), (1, End::Enough));
    assert_eq!(
        walk(trie(None), &SparseMemory::default()).end,
        End::Complete
    );
}
