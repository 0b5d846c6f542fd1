//! Tries: a node holds a power of two of pointers to nodes, itself (`net/ipv4/fib_trie.c`).

use std::ops::ControlFlow;
use std::rc::Rc;

use crate::addr::VirtAddr;
use crate::paging::AddressSpace;
use crate::wave::{JoinHandle, Reader};

use super::visits::Visits;
use super::{Element, End, Problem, Sink, little_endian};

/// A trie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trie {
    /// The first node, or null.
    pub first: VirtAddr,
    /// Bytes from a node's start to the byte that tells how many pointers it holds, as a power of two; 0 for none.
    pub bits: u64,
    /// Bytes from a node's start to its first pointer.
    pub children: u64,
}

/// More than any node has: a node is one allocation, of at most 2^19 pointers.
const MOST_BITS: u8 = 19;

/// What the concurrent walks of branches share.
struct Shared {
    trie: Trie,
    space: AddressSpace,
    visits: Visits,
    tell: Box<dyn Fn(VirtAddr)>,
}

/// The nodes that a node points to, each with what it points to, to come.
struct Children(Vec<(VirtAddr, JoinHandle<Self>)>);

impl Drop for Children {
    /// Taken apart one by one, since a target chooses how deep they are and the stack is small.
    fn drop(&mut self) {
        let mut left = std::mem::take(&mut self.0);
        while let Some((_, handle)) = left.pop() {
            if let Some(mut children) = handle.take() {
                left.append(&mut children.0);
            }
        }
    }
}

impl Trie {
    /// Hands over the nodes depth first, parents before children, children in the order of their places. All children of a node
    /// are read at the same time; `tell` hears of each node as soon as it is known.
    pub async fn walk(
        &self,
        reader: &Reader,
        space: &AddressSpace,
        tell: impl Fn(VirtAddr) + 'static,
        sink: &mut impl Sink,
    ) -> End {
        if self.first.get() == 0 {
            return End::Complete;
        }
        let shared = Rc::new(Shared {
            trie: *self,
            space: space.clone(),
            visits: Visits::default(),
            tell: Box::new(tell),
        });
        let mut stack = Vec::new();
        match shared.start(reader, self.first, self.first) {
            Ok(first) => stack.push((0, first)),
            Err(problem) => return End::Stopped(problem),
        }
        let mut index = 0;
        while let Some((depth, (address, children))) = stack.pop() {
            let element = Element {
                depth,
                ..Element::new(address, index)
            };
            if let ControlFlow::Break(()) = sink(element).await {
                return shared.visits.enough();
            }
            index += 1;
            let mut children = children.join(reader).await;
            let below = std::mem::take(&mut children.0);
            stack.extend(below.into_iter().rev().map(|child| (depth + 1, child)));
        }
        shared.visits.end()
    }
}

impl Shared {
    /// A node that the pointer at `from` leads to, with the reading of what it points to.
    fn start(
        self: &Rc<Self>,
        reader: &Reader,
        from: VirtAddr,
        node: VirtAddr,
    ) -> Result<(VirtAddr, JoinHandle<Children>), Problem> {
        self.visits.enter(from, node)?;
        (self.tell)(node);
        let shared = Rc::clone(self);
        let children = reader.spawn(move |reader| async move {
            let mut children = Vec::new();
            if let Err(problem) = shared.read(&reader, node, &mut children).await {
                shared.visits.fail(problem);
            }
            Children(children)
        });
        Ok((node, children))
    }

    /// Reads the pointers of a node and starts what they lead to.
    async fn read(
        self: &Rc<Self>,
        reader: &Reader,
        node: VirtAddr,
        children: &mut Vec<(VirtAddr, JoinHandle<Children>)>,
    ) -> Result<(), Problem> {
        if self.visits.has_enough() {
            return Ok(());
        }
        let mut bits = [0];
        let at = VirtAddr::new(node.get().wrapping_add(self.trie.bits));
        reader.read(&self.space, at, &mut bits).await?;
        let [bits] = bits;
        if bits == 0 {
            return Ok(());
        }
        if bits > MOST_BITS {
            return Err(Problem::BadNode {
                at: node,
                what: "a trie's node with more pointers than an allocation can hold",
            });
        }
        let first = VirtAddr::new(node.get().wrapping_add(self.trie.children));
        let mut bytes = vec![0; 8 << bits];
        reader.read(&self.space, first, &mut bytes).await?;
        for (place, bytes) in (0u64..).zip(bytes.chunks_exact(8)) {
            let child = VirtAddr::new(little_endian(bytes));
            if child.get() != 0 {
                let from = VirtAddr::new(first.get().wrapping_add(place * 8));
                children.push(self.start(reader, from, child)?);
            }
        }
        Ok(())
    }
}
