//! XArrays, and the radix trees and IDRs that are xarrays since Linux 4.20 (`include/linux/xarray.h`).

use std::cell::Cell;
use std::ops::ControlFlow;
use std::rc::Rc;

use crate::addr::VirtAddr;
use crate::paging::AddressSpace;
use crate::wave::{JoinHandle, Reader};

use super::pace::{Pace, start_ahead};
use super::visits::Visits;
use super::{Element, End, MOST_ELEMENTS, Problem, Sink, is_kernel_pointer, little_endian};

/// Where the kernel keeps what, taken from its types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XarrayLayout {
    /// `xarray.xa_head`.
    pub head: u64,
    /// `xa_node.shift`, one byte.
    pub shift: u64,
    /// `xa_node.slots`.
    pub slots: u64,
    /// Entries of `slots`: 64, or 16 in small configurations.
    pub slot_count: u64,
}

/// An xarray.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Xarray {
    /// The `struct xarray`.
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

/// `xa_is_internal`, `xa_is_node`, `xa_to_node`, `xa_is_value` and the radix tree's tag bits, in that order.
fn decode(entry: u64) -> Entry {
    match (entry & 3, entry) {
        (0, 0) | (1 | 3, _) => Entry::Nothing,
        (2, internal) if internal <= 4096 => Entry::Nothing,
        (2, internal) => Entry::Node(VirtAddr::new(internal - 2)),
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
        let mut stack = match decode(entry) {
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
    let slots_length = layout.slot_count.min(MOST_SLOTS) * 8;
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
        match decode(entry) {
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
