//! Trees by lists or hash lists of children: an element's children hang on a list in it, each linked by a member of its own.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::rc::Rc;

use crate::addr::VirtAddr;
use crate::paging::AddressSpace;
use crate::wave::{JoinHandle, Reader};

use super::visits::Visits;
use super::{Element, End, Hlist, HlistKind, List, MOST_ELEMENTS, Problem, Sink};

/// A future that gives the objects whose children count as an element's own (a process's threads), the element included.
pub type Holders = Pin<Box<dyn Future<Output = Vec<VirtAddr>>>>;

/// What the children of an element hang on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Siblings {
    /// A circular list; see [`List`].
    List,
    /// A list with a head of one pointer; see [`Hlist`].
    Hlist(HlistKind),
}

/// A tree.
#[derive(Clone)]
pub struct Tree {
    /// The first element.
    pub root: VirtAddr,
    /// Bytes from an element's start to the head of its children's list.
    pub children: u64,
    /// Bytes from a child's start to its link in that list.
    pub sibling: u64,
    /// Which kind of list that is.
    pub siblings: Siblings,
    /// Whose children count as an element's own; `None`: only the element's.
    pub through: Option<Rc<dyn Fn(Reader, VirtAddr) -> Holders>>,
}

impl std::fmt::Debug for Tree {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Tree")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

/// What the concurrent walks of subtrees share.
struct Shared {
    tree: Tree,
    space: AddressSpace,
    visits: Visits,
    tell: Box<dyn Fn(VirtAddr)>,
}

/// An element with its subtree, to come.
struct Subtree {
    element: Element,
    children: Vec<JoinHandle<Self>>,
}

impl Drop for Subtree {
    /// Subtrees that nobody joined hold one another as deep as the tree is; they are taken apart one by one, since a target chooses
    /// that depth and the stack is small.
    fn drop(&mut self) {
        let mut left = std::mem::take(&mut self.children);
        while let Some(handle) = left.pop() {
            if let Some(mut subtree) = handle.take() {
                left.append(&mut subtree.children);
            }
        }
    }
}

impl Tree {
    /// Hands over the elements depth first, parents before children, siblings in their list's order. All subtrees are read at the
    /// same time; `tell` hears of each element as soon as it is known.
    pub async fn walk(
        &self,
        reader: &Reader,
        space: &AddressSpace,
        tell: impl Fn(VirtAddr) + 'static,
        sink: &mut impl Sink,
    ) -> End {
        let shared = Rc::new(Shared {
            tree: self.clone(),
            space: space.clone(),
            visits: Visits::default(),
            tell: Box::new(tell),
        });
        shared.visits.is_first(self.root);
        let mut stack = vec![spawn_subtree(reader, &shared, self.root, 0)];
        let mut index = 0;
        while let Some(handle) = stack.pop() {
            let mut subtree = handle.join(reader).await;
            stack.extend(std::mem::take(&mut subtree.children).into_iter().rev());
            if let ControlFlow::Break(()) = sink(Element {
                index,
                ..subtree.element.clone()
            })
            .await
            {
                return shared.visits.enough();
            }
            index += 1;
        }
        shared.visits.end()
    }

    /// Hands over the children whose list has its head at `head`.
    async fn siblings_of(
        &self,
        head: VirtAddr,
        reader: &Reader,
        space: &AddressSpace,
        sink: &mut impl Sink,
    ) -> End {
        let link = self.sibling;
        match self.siblings {
            Siblings::List => List { head, link }.walk(reader, space, sink).await,
            Siblings::Hlist(kind) => Hlist { head, link, kind }.walk(reader, space, sink).await,
        }
    }
}

fn spawn_subtree(
    reader: &Reader,
    shared: &Rc<Shared>,
    address: VirtAddr,
    depth: u32,
) -> JoinHandle<Subtree> {
    (shared.tell)(address);
    let shared = Rc::clone(shared);
    reader.spawn(move |reader| async move {
        let holders = match &shared.tree.through {
            Some(through) => through(reader.clone(), address).await,
            None => vec![address],
        };
        let lists: Vec<_> = holders
            .into_iter()
            .map(|holder| spawn_children(&reader, &shared, holder, depth + 1))
            .collect();
        let mut children = Vec::new();
        for list in lists {
            children.extend(list.join(&reader).await);
        }
        Subtree {
            element: Element {
                depth,
                ..Element::new(address, 0)
            },
            children,
        }
    })
}

/// The subtrees of one holder's children.
fn spawn_children(
    reader: &Reader,
    shared: &Rc<Shared>,
    holder: VirtAddr,
    depth: u32,
) -> JoinHandle<Vec<JoinHandle<Subtree>>> {
    let shared = Rc::clone(shared);
    reader.spawn(move |reader| async move {
        let head = VirtAddr::new(holder.get().wrapping_add(shared.tree.children));
        let mut subtrees = Vec::new();
        let mut take = async |child: Element| {
            if shared.visits.has_enough() {
                return ControlFlow::Break(());
            }
            let known = !shared.visits.is_first(child.address);
            let count = shared.visits.count();
            if known || count > MOST_ELEMENTS {
                let problem = if known {
                    Problem::Cycle(child.address)
                } else {
                    Problem::TooMany(count)
                };
                shared.visits.fail(problem);
                return ControlFlow::Break(());
            }
            subtrees.push(spawn_subtree(&reader, &shared, child.address, depth));
            ControlFlow::Continue(())
        };
        let end = shared
            .tree
            .siblings_of(head, &reader, &shared.space, &mut take)
            .await;
        if let End::Stopped(problem) = end {
            shared.visits.fail(problem);
        }
        subtrees
    })
}
