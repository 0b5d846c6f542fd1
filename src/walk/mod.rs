//! Kernel containers in the kernel's words: list, hash list, lock-less list, tree by children or by pointers, red-black tree, trie, array,
//! ring, buffer of records, chain, xarray, maple tree, resizable hash table, bit mask, per-CPU variable, slab cache, frames of a stack,
//! page tables.
//!
//! A walk turns a container's address and layout into its elements' addresses, in the container's order, and hands each to its
//! sink as early as it knows it. Every walk is bounded, notices cycles, and says how it ended; it never recurses on the stack. Which
//! container of which struct is walked comes from outside: no kernel type is named here except those of the containers themselves.

mod array;
mod bits;
mod branches;
mod frames;
mod hlist;
mod list;
mod maple;
mod pace;
mod page_tables;
mod per_cpu;
mod rbtree;
mod records;
mod rhashtable;
mod slab;
#[cfg(test)]
mod tests;
mod tree;
mod trie;
mod visits;
mod xarray;

use std::cell::RefCell;
use std::fmt;
use std::ops::ControlFlow;
use std::rc::Rc;

use crate::addr::VirtAddr;
use crate::wave::Unreadable;

pub use array::{Array, Chain, Entries, Ring};
pub use bits::Bits;
pub use branches::Branches;
pub use frames::{
    EntryLayout, Field, FrameKinds, FrameTable, Frames, FramesLayout, KernelTable, OtherTables,
    RegisterNumbers, RegistersLayout, SavedLayout, TableFinder, TableFound,
};
pub use hlist::{Hlist, HlistKind};
pub use list::List;
pub use maple::{Maple, MapleLayout, NodeLayout};
pub use pace::Pace;
pub use page_tables::PageTables;
pub use per_cpu::PerCpu;
pub use rbtree::{Rbtree, RbtreeLayout};
pub use records::Records;
pub use rhashtable::{Rhashtable, RhashtableLayout};
pub use slab::{Held, SheafLayout, Slab, SlabLayout, SlabMark};
pub use tree::{Holders, Siblings, Tree};
pub use trie::Trie;
pub use xarray::{EntryMarks, Xarray, XarrayLayout};

/// More elements than any container of a kernel has (`pid_max` is at most 4 194 304): a walk that gets there is being led astray.
pub const MOST_ELEMENTS: usize = 16 * 1024 * 1024;

/// An element of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// Its first byte.
    pub address: VirtAddr,
    /// Its key where the container has keys (an array's index, an xarray's index, a CPU), else its number from 0.
    pub index: u64,
    /// Levels below the root, in trees; of a frame 1 where it was interrupted; of an entry of a page table its level, 1 for the last.
    pub depth: u32,
    /// What is known against it; may be noted after the element was handed over.
    pub quality: Quality,
    /// The element of an outer walk whose container it is in, where there is one.
    pub outer: Option<Rc<Self>>,
}

impl Element {
    /// An element that nothing is known against.
    pub fn new(address: VirtAddr, index: u64) -> Self {
        Self {
            address,
            index,
            depth: 0,
            quality: Quality::default(),
            outer: None,
        }
    }

    /// The element that entry `index` of a container points to; suspect where no kernel object can be there.
    pub fn pointed_at(address: VirtAddr, index: u64) -> Self {
        let element = Self::new(address, index);
        if !is_kernel_pointer(address) {
            element
                .quality
                .suspect(format!("entry {index} is no kernel pointer"));
        }
        element
    }
}

/// What speaks against an element; shared, since a walk may learn it later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quality(Rc<RefCell<Option<String>>>);

impl Quality {
    /// Notes a doubt; the first stays.
    pub fn suspect(&self, why: String) {
        self.0.borrow_mut().get_or_insert(why);
    }

    /// The doubt, if there is one.
    pub fn doubt(&self) -> Option<String> {
        self.0.borrow().clone()
    }
}

/// Why a walk stopped before its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A link could not be read.
    #[error("a link could not be read: {0}")]
    Unreadable(#[from] Unreadable),
    /// A link points where no kernel object can be.
    #[error("the link at {at} holds {pointer}, which is no kernel pointer")]
    WildPointer {
        /// Where the link is.
        at: VirtAddr,
        /// What it holds.
        pointer: VirtAddr,
    },
    /// A link holds the value that the kernel leaves in removed list entries (`include/linux/poison.h`).
    #[error("the entry at {0} was removed from its list while it was walked")]
    Poisoned(VirtAddr),
    /// An element came twice.
    #[error("the links form a cycle at {0}")]
    Cycle(VirtAddr),
    /// More elements than a kernel can have.
    #[error("no end after {0} elements")]
    TooMany(usize),
    /// A node that cannot be what it is taken for.
    #[error("the node at {at} is not valid: {what}")]
    BadNode {
        /// Where.
        at: VirtAddr,
        /// Why.
        what: &'static str,
    },
}

/// How a walk ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With its last element.
    Complete,
    /// Because its sink wanted no more.
    Enough,
    /// Before its last element.
    Stopped(Problem),
}

impl fmt::Display for End {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete => formatter.write_str("complete"),
            Self::Enough => formatter.write_str("ended early, as asked"),
            Self::Stopped(problem) => write!(formatter, "{problem}"),
        }
    }
}

/// Takes elements as they are found; `Break` ends the walk.
pub trait Sink: AsyncFnMut(Element) -> ControlFlow<()> {}

impl<F: AsyncFnMut(Element) -> ControlFlow<()>> Sink for F {}

/// Bytes in the machine's order as a number; bits beyond 64 are lost.
fn little_endian(bytes: &[u8]) -> u64 {
    let highest_first = bytes.iter().rev();
    highest_first.fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Whether a link may hold this: in the kernel's half of the address space and aligned as every object with a link is.
fn is_kernel_pointer(pointer: VirtAddr) -> bool {
    pointer.get() >> 56 == 0xff && pointer.get().is_multiple_of(4)
}
