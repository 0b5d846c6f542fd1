//! Trees by pointers: an element points to its first child and to its next sibling (`include/linux/ioport.h`).

use std::ops::ControlFlow;
use std::rc::Rc;

use crate::addr::VirtAddr;
use crate::paging::AddressSpace;
use crate::wave::{JoinHandle, Reader};

use super::visits::Visits;
use super::{Element, End, Problem, Sink};

/// A tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branches {
    /// The first element, or null.
    pub first: VirtAddr,
    /// Bytes from an element's start to its pointer to its first child.
    pub child: u64,
    /// Bytes from an element's start to its pointer to its next sibling.
    pub sibling: u64,
}

/// What the concurrent walks of branches share.
struct Shared {
    tree: Branches,
    space: AddressSpace,
    visits: Visits,
    tell: Box<dyn Fn(VirtAddr)>,
}

/// A run of siblings, each with the run of its children, to come.
struct Run {
    depth: u32,
    elements: Vec<(VirtAddr, Option<JoinHandle<Self>>)>,
}

impl Drop for Run {
    /// Runs that nobody joined hold one another as deep as the tree is; they are taken apart one by one, since a target chooses
    /// that depth and the stack is small.
    fn drop(&mut self) {
        let mut left: Vec<_> = self.elements.drain(..).filter_map(|(_, run)| run).collect();
        while let Some(handle) = left.pop() {
            if let Some(mut run) = handle.take() {
                left.extend(run.elements.drain(..).filter_map(|(_, run)| run));
            }
        }
    }
}

impl Branches {
    /// Hands over the elements depth first, parents before children, siblings in their order. The children of an element are read
    /// at the same time as its next sibling; `tell` hears of each element as soon as it is known.
    pub async fn walk(
        &self,
        reader: &Reader,
        space: &AddressSpace,
        tell: impl Fn(VirtAddr) + 'static,
        sink: &mut impl Sink,
    ) -> End {
        let shared = Rc::new(Shared {
            tree: *self,
            space: space.clone(),
            visits: Visits::default(),
            tell: Box::new(tell),
        });
        let mut stack: Vec<(u32, VirtAddr, Option<JoinHandle<Run>>)> = Vec::new();
        let mut next = Some(spawn_run(reader, &shared, self.first, 0));
        let mut index = 0;
        loop {
            if let Some(run) = next.take() {
                let mut run = run.join(reader).await;
                let depth = run.depth;
                let elements = std::mem::take(&mut run.elements);
                stack.extend(
                    elements
                        .into_iter()
                        .rev()
                        .map(|(address, children)| (depth, address, children)),
                );
            }
            let Some((depth, address, children)) = stack.pop() else {
                break;
            };
            let element = Element {
                depth,
                ..Element::new(address, index)
            };
            if let ControlFlow::Break(()) = sink(element).await {
                return shared.visits.enough();
            }
            index += 1;
            next = children;
        }
        shared.visits.end()
    }
}

fn spawn_run(reader: &Reader, shared: &Rc<Shared>, first: VirtAddr, depth: u32) -> JoinHandle<Run> {
    let shared = Rc::clone(shared);
    reader.spawn(move |reader| async move {
        let mut elements = Vec::new();
        if let Err(problem) = read_run(&reader, &shared, first, depth, &mut elements).await {
            shared.visits.fail(problem);
        }
        Run { depth, elements }
    })
}

/// Follows a run of siblings, starting the runs of their children.
async fn read_run(
    reader: &Reader,
    shared: &Rc<Shared>,
    first: VirtAddr,
    depth: u32,
    elements: &mut Vec<(VirtAddr, Option<JoinHandle<Run>>)>,
) -> Result<(), Problem> {
    let tree = shared.tree;
    let mut from = first;
    let mut at = first;
    while at.get() != 0 && !shared.visits.has_enough() {
        shared.visits.enter(from, at)?;
        (shared.tell)(at);
        let child_at = VirtAddr::new(at.get().wrapping_add(tree.child));
        let sibling_at = VirtAddr::new(at.get().wrapping_add(tree.sibling));
        elements.push((at, None));
        reader.prefetch(&shared.space, sibling_at, 8);
        let child = reader.pointer(&shared.space, child_at).await?;
        if child.get() != 0
            && let Some((_, children)) = elements.last_mut()
        {
            *children = Some(spawn_run(reader, shared, child, depth + 1));
        }
        from = sibling_at;
        at = reader.pointer(&shared.space, sibling_at).await?;
    }
    Ok(())
}
