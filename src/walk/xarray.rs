//! XArrays (`include/linux/xarray.h`), and the radix trees that IDRs and page caches were until Linux 4.19, and whose nodes are laid out
//! alike but marked otherwise (`include/linux/radix-tree.h` of 4.19).

use std::cell::Cell;
use std::ops::ControlFlow;
use std::rc::Rc;

use crate::addr::VirtAddr;
use crate::paging::AddressSpace;
use crate::wave::{JoinHandle, Reader};

use super::pace::{Pace, start_ahead};
use super::visits::Visits;
use super::{Element, End, MOST_ELEMENTS, Problem, Sink, is_kernel_pointer, little_endian};

/// What the low two bits of an entry say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryMarks {
    /// `include/linux/xarray.h`: 2 marks a node, or what is internal to the array; 1 and 3 a value.
    Xarray,
    /// `include/linux/radix-tree.h` until Linux 4.19: 1 marks a node, or a slot of the same node whose entry this index shares; 2 and 3 a
    /// value ("exceptional entry").
    RadixTree,
}

/// Where the kernel keeps what, taken from its types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XarrayLayout {
    /// What the low bits of an entry say.
    pub marks: EntryMarks,
    /// `xarray.xa_head`, or `radix_tree_root.rnode`.
    pub head: u64,
    /// `xa_node.shift` or `radix_tree_node.shift`, one byte.
    pub shift: u64,
    /// `slots` of the node.
    pub slots: u64,
    /// Entries of `slots`: 64, or 16 in small configurations.
    pub slot_count: u64,
}

/// An xarray.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Xarray {
    /// The `struct xarray`, or `struct radix_tree_root`.
    pub root: VirtAddr,
    /// Where the kernel keeps what.
    pub layout: XarrayLayout,
}

/// What the shift of a root is below: an index has 64 bits. Shifts fall from level to level, so this bounds the height too.
const INDEX_BITS: u64 = 64;

/// `XA_CHUNK_SIZE`, at most.
const MOST_SLOTS: u64 = 64;

/// What an entry of a slot is.
enum Entry {
    Nothing,
    Node(VirtAddr),
    Pointer(VirtAddr),
}

impl XarrayLayout {
    /// What an entry is that stands in a node whose slots begin at `slots_at`, or in the head (`None`).
    fn decode(&self, entry: u64, slots_at: Option<VirtAddr>) -> Entry {
        match self.marks {
            EntryMarks::Xarray => decode_xarray(entry),
            EntryMarks::RadixTree => {
                let slots = slots_at.map(|at| (at.get(), self.slots_length()));
                decode_radix_tree(entry, slots)
            }
        }
    }

    /// Bytes of a node's slots.
    fn slots_length(&self) -> u64 {
        self.slot_count.min(MOST_SLOTS) * 8
    }
}

/// `xa_is_internal`, `xa_is_node`, `xa_to_node`, `xa_is_value` and the radix tree's tag bits, in that order.
fn decode_xarray(entry: u64) -> Entry {
    match (entry & 3, entry) {
        (0, 0) | (1 | 3, _) => Entry::Nothing,
        (2, internal) if internal <= 4096 => Entry::Nothing,
        (2, internal) => Entry::Node(VirtAddr::new(internal - 2)),
        (_, pointer) => Entry::Pointer(VirtAddr::new(pointer)),
    }
}

/// `radix_tree_is_internal_node`, `is_sibling_entry`, `entry_to_node` and `radix_tree_exceptional_entry` (lib/radix-tree.c of 4.19).
/// `slots`: where the slots of the entry's own node begin, and their bytes.
fn decode_radix_tree(entry: u64, slots: Option<(u64, u64)>) -> Entry {
    let is_sibling =
        |entry: u64| slots.is_some_and(|(first, length)| (entry - 1).wrapping_sub(first) < length);
    match (entry & 3, entry) {
        (0, 0) | (2 | 3, _) => Entry::Nothing,
        (1, internal) if is_sibling(internal) => Entry::Nothing,
        (1, internal) => Entry::Node(VirtAddr::new(internal - 1)),
        (_, pointer) => Entry::Pointer(VirtAddr::new(pointer)),
    }
}

/// What the concurrent walks of nodes share.
struct Shared {
    layout: XarrayLayout,
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

/// What a node holds, in the order of its slots.
enum Slot {
    Element(Element),
    Node(JoinHandle<Vec<Self>>),
    /// A node that is not read before it is wanted.
    Later(Branch),
}

/// A node, the index of its first slot, and what its shift must be below.
#[derive(Clone, Copy)]
struct Branch {
    node: VirtAddr,
    first: u64,
    above: u64,
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

impl Xarray {
    /// Hands over the pointers in the order of their indices, value entries left out. All nodes of a level are read at the same time.
    pub async fn walk(&self, reader: &Reader, space: &AddressSpace, sink: &mut impl Sink) -> End {
        self.walk_at(Pace::All, reader, space, sink).await
    }

    /// As [`Xarray::walk`], at another pace.
    pub async fn walk_at(
        &self,
        pace: Pace,
        reader: &Reader,
        space: &AddressSpace,
        sink: &mut impl Sink,
    ) -> End {
        let head = VirtAddr::new(self.root.get().wrapping_add(self.layout.head));
        let entry = match reader.unsigned(space, head, 8).await {
            Ok(entry) => entry,
            Err(unreadable) => return End::Stopped(unreadable.into()),
        };
        let shared = Rc::new(Shared {
            layout: self.layout,
            space: space.clone(),
            visits: Visits::default(),
            entries: Cell::default(),
            pace,
        });
        let mut stack = match self.layout.decode(entry, None) {
            Entry::Nothing => Vec::new(),
            Entry::Pointer(pointer) => vec![Slot::Element(Element::pointed_at(pointer, 0))],
            Entry::Node(node) => vec![Slot::Later(Branch {
                node,
                first: 0,
                above: INDEX_BITS,
            })],
        };
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

/// Reads a node; its shift must be below that of its parent.
async fn read_node(
    reader: &Reader,
    shared: &Rc<Shared>,
    branch: Branch,
) -> Result<Vec<Slot>, Problem> {
    let Branch { node, first, above } = branch;
    if !is_kernel_pointer(node) {
        return Err(Problem::BadNode {
            at: node,
            what: "not a kernel pointer",
        });
    }
    if shared.visits.has_enough() {
        return Ok(Vec::new());
    }
    if !shared.visits.is_first(node) {
        return Err(Problem::Cycle(node));
    }
    let layout = shared.layout;
    let slots_at = node.wrapping_offset(layout.slots as i64);
    let slots_length = layout.slots_length();
    reader.prefetch(&shared.space, slots_at, slots_length);
    let shift = reader
        .unsigned(&shared.space, node.wrapping_offset(layout.shift as i64), 1)
        .await?;
    if shift >= above {
        return Err(Problem::BadNode {
            at: node,
            what: "its shift is not below that of its parent",
        });
    }
    let mut bytes = vec![0; slots_length as usize];
    reader.read(&shared.space, slots_at, &mut bytes).await?;
    let mut slots = Vec::new();
    for (number, bytes) in (0u64..).zip(bytes.chunks_exact(8)) {
        let entry = little_endian(bytes);
        let index = first.wrapping_add(number.wrapping_shl(shift as u32));
        match layout.decode(entry, Some(slots_at)) {
            Entry::Nothing => {}
            Entry::Pointer(pointer) => {
                slots.push(Slot::Element(Element::pointed_at(pointer, index)))
            }
            Entry::Node(node) => {
                let mut slot = Slot::Later(Branch {
                    node,
                    first: index,
                    above: shift,
                });
                if shared.pace == Pace::All {
                    slot.start(reader, shared);
                }
                slots.push(slot);
            }
        }
    }
    shared.count(slots.len())?;
    Ok(slots)
}
