//! Red-black trees with the node inside the element (`include/linux/rbtree_types.h`, `lib/rbtree.c`).

use std::rc::Rc;

use crate::addr::VirtAddr;
use crate::paging::AddressSpace;
use crate::wave::{JoinHandle, Reader, Unreadable};

use super::pace::{Pace, levels_ahead};
use super::visits::Visits;
use super::{Element, End, Problem, Sink};

/// Where the kernel keeps what in a `struct rb_node`, taken from its types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RbtreeLayout {
    /// `rb_node.__rb_parent_color`: the parent's address and, in its low bits, the colour.
    pub parent_color: u64,
    /// `rb_node.rb_left`.
    pub left: u64,
    /// `rb_node.rb_right`.
    pub right: u64,
}

/// A red-black tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rbtree {
    /// The pointer to the topmost node: a `struct rb_root`.
    pub root: VirtAddr,
    /// Bytes from an element's start to its node.
    pub link: u64,
    /// Where the kernel keeps what.
    pub layout: RbtreeLayout,
}

/// More levels than a red-black tree of [`super::MOST_ELEMENTS`] elements has (2·log2(n + 1), 49). Nodes hold one another that deep.
const MOST_LEVELS: u32 = 64;

/// The bits of `__rb_parent_color` that are no address (`__rb_parent`).
const COLOR: u64 = 3;

/// What the concurrent walks of nodes share.
struct Shared {
    tree: Rbtree,
    space: AddressSpace,
    visits: Visits,
    pace: Pace,
    tell: Box<dyn Fn(VirtAddr)>,
}

/// An element with what comes before and behind it, to come.
struct Subtree {
    element: Element,
    left: Option<Step>,
    right: Option<Step>,
}

/// What is still to be handed over.
enum Step {
    Node(JoinHandle<Subtree>),
    /// A node that is not read before it is wanted.
    Later(Child),
    Element(Element),
}

/// A node: the pointer to it is at `at`, and it should name this parent.
#[derive(Clone, Copy)]
struct Child {
    at: VirtAddr,
    node: VirtAddr,
    parent: VirtAddr,
    depth: u32,
    /// How many levels below it are read without being wanted yet.
    ahead: u32,
}

impl Step {
    /// A child, asked for at once where all are wanted.
    fn of(reader: &Reader, shared: &Rc<Shared>, child: Child) -> Option<Self> {
        if shared.pace == Pace::All || child.ahead > 0 {
            spawn_node(reader, shared, child).map(Self::Node)
        } else {
            Some(Self::Later(child))
        }
    }
}

/// A node's three words, the colour taken off.
struct Links {
    parent: VirtAddr,
    left: VirtAddr,
    right: VirtAddr,
}

impl Rbtree {
    /// Hands over the elements in the tree's order, each with its levels below the root. All nodes of a level are read at the same
    /// time; `tell` hears of each element as soon as it is known. Where a link is broken, what hangs on it is left out, and the walk
    /// says that it is not complete.
    pub async fn walk(
        &self,
        reader: &Reader,
        space: &AddressSpace,
        tell: impl Fn(VirtAddr) + 'static,
        sink: &mut impl Sink,
    ) -> End {
        self.walk_at(Pace::All, reader, space, tell, sink).await
    }

    /// As [`Rbtree::walk`], at another pace.
    pub async fn walk_at(
        &self,
        pace: Pace,
        reader: &Reader,
        space: &AddressSpace,
        tell: impl Fn(VirtAddr) + 'static,
        sink: &mut impl Sink,
    ) -> End {
        let top = match reader.pointer(space, self.root).await {
            Ok(top) => top,
            Err(unreadable) => return End::Stopped(unreadable.into()),
        };
        let shared = Rc::new(Shared {
            tree: *self,
            space: space.clone(),
            visits: Visits::default(),
            pace,
            tell: Box::new(tell),
        });
        let top = Child {
            at: self.root,
            node: top,
            parent: VirtAddr::new(0),
            depth: 0,
            ahead: 0,
        };
        let mut stack = vec![Step::Later(top)];
        let mut index = 0;
        while let Some(step) = stack.pop() {
            match step {
                Step::Node(handle) => {
                    let subtree = handle.join(reader).await;
                    stack.extend(subtree.right);
                    stack.push(Step::Element(subtree.element));
                    stack.extend(subtree.left);
                }
                Step::Later(child) => {
                    let ahead = levels_ahead(index);
                    let child = Child { ahead, ..child };
                    stack.extend(spawn_node(reader, &shared, child).map(Step::Node));
                }
                Step::Element(element) => {
                    if sink(Element { index, ..element }).await.is_break() {
                        return shared.visits.enough();
                    }
                    index += 1;
                }
            }
        }
        shared.visits.end()
    }
}

/// Starts to read a node; `None` where there is none or where it cannot be one.
fn spawn_node(reader: &Reader, shared: &Rc<Shared>, child: Child) -> Option<JoinHandle<Subtree>> {
    let Child {
        at,
        node,
        parent,
        depth,
        ahead,
    } = child;
    if node.get() == 0 || shared.visits.has_enough() {
        return None;
    }
    if depth >= MOST_LEVELS {
        shared.visits.fail(Problem::BadNode {
            at: node,
            what: "it is deeper than any red-black tree",
        });
        return None;
    }
    if let Err(problem) = shared.visits.enter(at, node) {
        shared.visits.fail(problem);
        return None;
    }
    let address = VirtAddr::new(node.get().wrapping_sub(shared.tree.link));
    (shared.tell)(address);
    let shared = Rc::clone(shared);
    Some(reader.spawn(move |reader| async move {
        let element = Element {
            depth,
            ..Element::new(address, 0)
        };
        let [left, right] = match read_node(&reader, &shared, node).await {
            Ok(links) => {
                if links.parent != parent {
                    element.quality.suspect(format!(
                        "its parent link is {} instead of {parent}",
                        links.parent
                    ));
                }
                let layout = shared.tree.layout;
                [(layout.left, links.left), (layout.right, links.right)].map(|(offset, child)| {
                    let child = Child {
                        at: node.wrapping_offset(offset as i64),
                        node: child,
                        parent: node,
                        depth: depth + 1,
                        ahead: ahead.saturating_sub(1),
                    };
                    Step::of(&reader, &shared, child)
                })
            }
            Err(unreadable) => {
                shared.visits.fail(unreadable.into());
                [None, None]
            }
        };
        Subtree {
            element,
            left,
            right,
        }
    }))
}

async fn read_node(reader: &Reader, shared: &Shared, node: VirtAddr) -> Result<Links, Unreadable> {
    let layout = shared.tree.layout;
    let at = |offset: u64| node.wrapping_offset(offset as i64);
    for offset in [layout.parent_color, layout.left, layout.right] {
        reader.prefetch(&shared.space, at(offset), 8);
    }
    let word = async |offset| reader.unsigned(&shared.space, at(offset), 8).await;
    Ok(Links {
        parent: VirtAddr::new(word(layout.parent_color).await? & !COLOR),
        left: VirtAddr::new(word(layout.left).await?),
        right: VirtAddr::new(word(layout.right).await?),
    })
}
