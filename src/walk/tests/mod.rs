//! Every container, built here from the kernel's headers and not from the walkers' code: honest ones with random contents, then
//! hostile ones.

mod branches;
mod frames;
mod gaslight;
mod hlists;
mod lists;
mod nodes;
mod page_tables;
mod rbtrees;
mod sequences;
mod slabs;
mod tables;
mod trees;
mod tries;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::rc::Rc;

use proptest::prelude::*;

use super::*;
use crate::addr::PhysAddr;
use crate::memory::{ReadFailure, SparseMemory};
use crate::paging::AddressSpace;
use crate::wave::fake::{DIRECT, FakeMemory, Order, direct, put, space};
use crate::wave::{Budget, Cost, Engine, Reader};

/// Anything that has `walk`, boxed so that one harness runs them all.
#[derive(Clone, Debug)]
enum Container {
    List(List),
    Hlist(Hlist),
    Rbtree(Rbtree),
    Array(Array),
    Chain(Chain),
    Ring(Ring),
    Records(Records),
    Branches(Branches),
    Frames(Frames),
    Tree(Tree),
    Trie(Trie),
    Xarray(Xarray),
    Maple(Maple),
    PerCpu(PerCpu),
    Slab(Slab),
    Rhashtable(Rhashtable),
    Bits(Bits),
    PageTables(PageTables),
}

impl Container {
    async fn walk(
        &self,
        pace: Pace,
        reader: &Reader,
        space: &AddressSpace,
        sink: &mut impl Sink,
    ) -> End {
        match self {
            Self::List(list) => list.walk(reader, space, sink).await,
            Self::Hlist(list) => list.walk(reader, space, sink).await,
            Self::Rbtree(tree) => tree.walk_at(pace, reader, space, |_| {}, sink).await,
            Self::Array(array) => array.walk(reader, space, sink).await,
            Self::Chain(chain) => chain.walk(reader, space, sink).await,
            Self::Ring(ring) => ring.walk(sink).await,
            Self::Records(records) => records.walk(reader, space, sink).await,
            Self::Branches(tree) => tree.walk(reader, space, |_| {}, sink).await,
            Self::Frames(frames) => frames.walk_at(pace, reader, space, sink).await,
            Self::Trie(trie) => trie.walk(reader, space, |_| {}, sink).await,
            Self::Tree(tree) => tree.walk(reader, space, |_| {}, sink).await,
            Self::Xarray(xarray) => xarray.walk_at(pace, reader, space, sink).await,
            Self::Maple(maple) => maple.walk_at(pace, reader, space, sink).await,
            Self::PerCpu(variable) => variable.walk(reader, space, sink).await,
            Self::Slab(slab) => slab.walk(reader, space, sink).await,
            Self::Rhashtable(table) => table.walk(reader, space, |_| {}, sink).await,
            Self::Bits(bits) => bits.walk(reader, space, sink).await,
            Self::PageTables(tables) => tables.walk(reader, space, sink).await,
        }
    }
}

/// What a walk came to.
#[derive(Debug)]
struct Walked {
    elements: Vec<Element>,
    end: End,
    cost: Cost,
}

impl Walked {
    fn addresses(&self) -> Vec<u64> {
        self.elements
            .iter()
            .map(|element| element.address.get())
            .collect()
    }

    fn keyed(&self) -> Vec<(u64, u64)> {
        self.elements
            .iter()
            .map(|element| (element.index, element.address.get()))
            .collect()
    }

    /// Positions of the elements that something speaks against.
    fn doubtful(&self) -> Vec<usize> {
        (0..)
            .zip(&self.elements)
            .filter(|(_, element)| element.quality.doubt().is_some())
            .map(|(at, _)| at)
            .collect()
    }
}

/// Walks over a fake memory; the sink takes at most `most` elements.
fn walk_with(container: Container, memory: FakeMemory, budget: Budget, most: usize) -> Walked {
    walk_at(Pace::All, container, memory, budget, most)
}

/// Walks as a query does that wants no more than `most`.
fn walk_few(container: Container, memory: &SparseMemory, most: usize) -> Walked {
    let memory = FakeMemory::new(memory.clone(), Order::AtOnce);
    walk_at(Pace::AsWanted, container, memory, Budget::default(), most)
}

fn walk_at(
    pace: Pace,
    container: Container,
    memory: FakeMemory,
    budget: Budget,
    most: usize,
) -> Walked {
    let ledger = memory.ledger();
    let engine = Engine::new(Box::new(memory));
    let elements = Rc::new(RefCell::new(Vec::new()));
    let taken = Rc::clone(&elements);
    let (end, cost) = engine
        .run(budget, move |reader| async move {
            let mut sink = async |element: Element| {
                taken.borrow_mut().push(element);
                if taken.borrow().len() >= most {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            };
            container.walk(pace, &reader, &space(), &mut sink).await
        })
        .unwrap();
    assert_eq!(ledger.borrow().wrong, Vec::<String>::new());
    Walked {
        elements: elements.take(),
        end,
        cost,
    }
}

fn walk(container: Container, memory: &SparseMemory) -> Walked {
    walk_with(
        container,
        FakeMemory::new(memory.clone(), Order::AtOnce),
        Budget::default(),
        usize::MAX,
    )
}

/// Walks with these lines unreadable.
fn walk_without(container: Container, memory: &SparseMemory, lines: &[u64]) -> Walked {
    let memory = FakeMemory::new(memory.clone(), Order::LastFirst);
    for line in lines {
        memory
            .ledger()
            .borrow_mut()
            .failing
            .insert(line / 64 * 64, ReadFailure::UnsupportedRequest);
    }
    walk_with(container, memory, Budget::default(), usize::MAX)
}

/// A gibibyte of nothing would cost too much: pages of zeroes where the test puts something.
fn blank(pages: impl IntoIterator<Item = u64>) -> SparseMemory {
    let mut memory = SparseMemory::new();
    for page in pages {
        memory.insert(PhysAddr::new(page / 4096 * 4096), &[0; 4096]);
    }
    memory
}

/// A word that points to a physical address.
fn point(memory: &mut SparseMemory, at: u64, to: u64) {
    put(memory, at, DIRECT + to);
}

/// Links that point where no kernel object is: null, user space, unaligned, not canonical, error pointer, all ones.
const WILD: [u64; 6] = [
    0,
    0x7fff_1234_5678,
    DIRECT + 0x1001,
    0x1234_5678_9abc_def0,
    0xffff_ffff_ffff_fff2,
    u64::MAX,
];

/// Physical addresses for objects, 256 bytes each, in an order of their own.
fn places() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::btree_set(16_u64..4096, 0..60)
        .prop_map(|numbers: BTreeSet<u64>| {
            numbers
                .into_iter()
                .map(|number| number * 256)
                .collect::<Vec<_>>()
        })
        .prop_shuffle()
}

fn orders() -> impl Strategy<Value = Order> {
    prop_oneof![
        Just(Order::AtOnce),
        Just(Order::OneByOne),
        Just(Order::LastFirst),
        any::<u64>().prop_map(Order::Random),
    ]
}
