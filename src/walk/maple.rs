//! Maple trees (`include/linux/maple_tree.h`, Linux 6.1 and later): ranges of indices that map to pointers.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::rc::Rc;

use crate::addr::VirtAddr;
use crate::paging::AddressSpace;
use crate::wave::{JoinHandle, Reader};

use super::pace::{Pace, start_ahead};
use super::visits::Visits;
use super::{Element, End, MOST_ELEMENTS, Problem, Sink, is_kernel_pointer, little_endian};

/// Where one kind of node keeps its pivots and slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeLayout {
    /// Bytes from the node's start to its pivots.
    pub pivots: u64,
    /// How many pivots.
    pub pivot_count: u64,
    /// Bytes from the node's start to its slots, of which there is one more than pivots.
    pub slots: u64,
    /// Bytes from the node's start to the one byte that says which slot is the last in use.
    pub end: u64,
}

/// Where the kernel keeps what, taken from its types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapleLayout {
    /// `maple_tree.ma_root`.
    pub root: u64,
    /// `sizeof(struct maple_node)`, 256.
    pub node_size: u64,
    /// `struct maple_range_64`: leaves and inner nodes of ordinary trees.
    pub range: NodeLayout,
    /// `struct maple_arange_64`: inner nodes of trees that track gaps.
    pub gap_range: NodeLayout,
}

/// A maple tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maple {
    /// The `struct maple_tree`.
    pub root: VirtAddr,
    /// Where the kernel keeps what.
    pub layout: MapleLayout,
}

/// `enum maple_type`, in an encoded node pointer's bits 3 to 6.
const MAPLE_LEAF_64: u64 = 1;
const MAPLE_RANGE_64: u64 = 2;
const MAPLE_ARANGE_64: u64 = 3;

/// Encoded node pointers carry type and flags in their low 8 bits (`MAPLE_NODE_MASK`).
const NODE_MASK: u64 = 255;

/// `XA_ZERO_ENTRY`: reserved, reads as empty.
const ZERO_ENTRY: u64 = 0x406;

/// `MAPLE_HEIGHT_MAX`.
const MOST_LEVELS: u32 = 31;

/// `xa_is_node`.
fn is_node(entry: u64) -> bool {
    entry & 3 == 2 && entry > 4096
}

/// What the concurrent walks of nodes share.
struct Shared {
    layout: MapleLayout,
    space: AddressSpace,
    visits: Visits,
    /// Entries of all nodes so far.
    entries: Cell<usize>,
    pace: Pace,
}

impl Shared {
    /// Counts the entries of one more node.
    fn count(&self, entries: usize) -> Result<(), Problem> {
        let count = self.entries.get().saturating_add(entries);
        self.entries.set(count);
        if count > MOST_ELEMENTS {
            Err(Problem::TooMany(count))
        } else {
            Ok(())
        }
    }
}

/// What a node holds, in order.
enum Slot {
    Element(Element),
    Node(JoinHandle<Vec<Self>>),
    /// A node that is not read before it is wanted.
    Later(Branch),
}

impl Slot {
    fn start(&mut self, reader: &Reader, shared: &Rc<Shared>) -> bool {
        let Self::Later(branch) = *self else {
            return false;
        };
        *self = Self::Node(spawn_node(reader, shared, branch));
        true
    }
}

/// A node to read: its encoded pointer and the indices that its parent gives it.
#[derive(Clone, Copy)]
struct Branch {
    encoded: u64,
    min: u64,
    max: u64,
    levels: u32,
}

impl Maple {
    /// Hands over the pointers in the order of their ranges, the first index of its range with each. All nodes of a level are read
    /// at the same time.
    pub async fn walk(&self, reader: &Reader, space: &AddressSpace, sink: &mut impl Sink) -> End {
        self.walk_at(Pace::All, reader, space, sink).await
    }

    /// As [`Maple::walk`], at another pace.
    pub async fn walk_at(
        &self,
        pace: Pace,
        reader: &Reader,
        space: &AddressSpace,
        sink: &mut impl Sink,
    ) -> End {
        let at = VirtAddr::new(self.root.get().wrapping_add(self.layout.root));
        let root = match reader.unsigned(space, at, 8).await {
            Ok(root) => root,
            Err(unreadable) => return End::Stopped(unreadable.into()),
        };
        let shared = Rc::new(Shared {
            layout: self.layout,
            space: space.clone(),
            visits: Visits::default(),
            entries: Cell::default(),
            pace,
        });
        let mut stack = Vec::new();
        if is_node(root) {
            stack.push(Slot::Later(Branch {
                encoded: root,
                min: 0,
                max: u64::MAX,
                levels: MOST_LEVELS,
            }));
        } else if root != 0 && root & 3 == 0 {
            stack.push(Slot::Element(Element::pointed_at(VirtAddr::new(root), 0)));
        }
        let mut taken = 0;
        while let Some(slot) = stack.pop() {
            match slot {
                Slot::Node(handle) => {
                    taken += 1;
                    stack.extend(handle.join(reader).await.into_iter().rev());
                }
                Slot::Later(branch) => {
                    stack.push(Slot::Node(spawn_node(reader, &shared, branch)));
                    start_ahead(&mut stack, taken, |slot| slot.start(reader, &shared));
                }
                Slot::Element(element) => {
                    if let ControlFlow::Break(()) = sink(element).await {
                        return shared.visits.enough();
                    }
                }
            }
        }
        shared.visits.end()
    }
}

fn spawn_node(reader: &Reader, shared: &Rc<Shared>, branch: Branch) -> JoinHandle<Vec<Slot>> {
    let shared = Rc::clone(shared);
    reader.spawn(move |reader| async move {
        match read_node(&reader, &shared, branch).await {
            Ok(slots) => slots,
            Err(problem) => {
                shared.visits.fail(problem);
                Vec::new()
            }
        }
    })
}

async fn read_node(
    reader: &Reader,
    shared: &Rc<Shared>,
    branch: Branch,
) -> Result<Vec<Slot>, Problem> {
    let at = VirtAddr::new(branch.encoded & !NODE_MASK);
    let kind = branch.encoded >> 3 & 0xf;
    let layout = match kind {
        MAPLE_LEAF_64 | MAPLE_RANGE_64 => shared.layout.range,
        MAPLE_ARANGE_64 => shared.layout.gap_range,
        _ => {
            return Err(Problem::BadNode {
                at,
                what: "its type is none that a maple tree has",
            });
        }
    };
    if !is_kernel_pointer(at) {
        return Err(Problem::BadNode {
            at,
            what: "not a kernel pointer",
        });
    }
    if branch.levels == 0 {
        return Err(Problem::BadNode {
            at,
            what: "deeper than a maple tree can be",
        });
    }
    if shared.visits.has_enough() {
        return Ok(Vec::new());
    }
    if !shared.visits.is_first(at) {
        return Err(Problem::Cycle(at));
    }
    let mut bytes = vec![0; shared.layout.node_size.min(4096) as usize];
    reader.read(&shared.space, at, &mut bytes).await?;
    let node = Node {
        bytes: &bytes,
        layout,
    };
    let parent = node.word(0);
    if parent & !NODE_MASK == at.get() {
        return Err(Problem::BadNode {
            at,
            what: "it was removed from its tree while it was walked",
        });
    }
    let children: Vec<_> = slots_of(&node, kind, branch).collect();
    shared.count(children.len())?;
    Ok(children
        .into_iter()
        .map(|child| match child {
            Child::Node(child) => {
                let mut slot = Slot::Later(child);
                if shared.pace == Pace::All {
                    slot.start(reader, shared);
                }
                slot
            }
            Child::Pointer(pointer, first) => {
                Slot::Element(Element::pointed_at(VirtAddr::new(pointer), first))
            }
        })
        .collect())
}

/// A node's bytes.
struct Node<'a> {
    bytes: &'a [u8],
    layout: NodeLayout,
}

impl Node<'_> {
    /// The 64-bit word at `offset`, 0 where the node has no such bytes.
    fn word(&self, offset: u64) -> u64 {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = start
            .checked_add(8)
            .and_then(|end| self.bytes.get(start..end))
            .unwrap_or(&[]);
        little_endian(bytes)
    }

    fn pivot(&self, number: u64) -> u64 {
        self.word(self.layout.pivots.saturating_add(number.saturating_mul(8)))
    }

    fn slot(&self, number: u64) -> u64 {
        self.word(self.layout.slots.saturating_add(number.saturating_mul(8)))
    }

    fn meta_end(&self) -> u64 {
        let byte = usize::try_from(self.layout.end)
            .ok()
            .and_then(|at| self.bytes.get(at));
        u64::from(byte.copied().unwrap_or(0))
    }

    /// The last slot in use (`ma_data_end` in `lib/maple_tree.c`).
    fn data_end(&self, kind: u64, max: u64) -> u64 {
        let last = self.layout.pivot_count;
        let end = if kind == MAPLE_ARANGE_64 {
            self.meta_end()
        } else {
            match self.pivot(last.saturating_sub(1)) {
                0 => self.meta_end(),
                pivot if pivot == max => last.saturating_sub(1),
                _ => last,
            }
        };
        end.min(last)
    }
}

enum Child {
    Node(Branch),
    Pointer(u64, u64),
}

/// The entries of a node with the indices they stand for; empty ones left out.
fn slots_of<'a>(node: &'a Node<'_>, kind: u64, branch: Branch) -> impl Iterator<Item = Child> + 'a {
    let end = node.data_end(kind, branch.max);
    (0..=end).filter_map(move |number| {
        let first = if number == 0 {
            branch.min
        } else {
            node.pivot(number - 1).checked_add(1)?
        };
        let last = match number {
            _ if number == node.layout.pivot_count => branch.max,
            _ => match node.pivot(number) {
                0 if number > 0 => branch.max,
                pivot => pivot,
            },
        };
        let entry = node.slot(number);
        if entry == 0 || entry == ZERO_ENTRY {
            None
        } else if kind == MAPLE_LEAF_64 {
            (entry & 3 == 0).then_some(Child::Pointer(entry, first))
        } else {
            Some(Child::Node(Branch {
                encoded: entry,
                min: first,
                max: last,
                levels: branch.levels - 1,
            }))
        }
    })
}
