//! The frames of a stack, checked: what has to be computed before they are walked.

use std::rc::Rc;

use crate::walk::FramesLayout;

use super::typed::Typed;

/// What [`crate::walk::Frames`] are walked by: addresses and numbers, seen from the owner of the stack.
#[derive(Clone, Debug)]
pub struct CheckedFrames {
    /// The stack's lowest address.
    pub lowest: Typed,
    /// Its bytes.
    pub size: Typed,
    /// What the task left on it; 0 or null where it left nothing.
    pub saved: Typed,
    /// The first instruction of a task that has not run yet.
    pub unstarted: Typed,
    /// Any function.
    pub function: Typed,
    /// The kernel's own table.
    pub table: CheckedTable,
    /// The first byte of its code, and the byte behind the last.
    pub code: [Typed; 2],
    /// The same of code that is given away after the start.
    pub initial_code: [Typed; 2],
    /// Numbers of entries by block of code.
    pub blocks: Typed,
    /// How many those are.
    pub block_count: Typed,
    /// Bytes of code in a block.
    pub block_size: u64,
    /// The first byte of others' code, and the byte behind the last.
    pub other_code: [Typed; 2],
    /// The table for an address of that code, which is the first local.
    pub others: Rc<CheckedTable>,
    /// The kernel's layout.
    pub layout: Rc<FramesLayout>,
}

/// A table of frames.
#[derive(Clone, Debug)]
pub struct CheckedTable {
    /// Where entries begin to hold.
    pub addresses: Typed,
    /// The entries.
    pub entries: Typed,
    /// How many there are.
    pub count: Typed,
}

impl CheckedFrames {
    /// The expressions that are computed once a stack.
    pub fn expressions(&self) -> impl Iterator<Item = &Typed> {
        let ends = self.code.iter().chain(&self.initial_code);
        let ends = ends.chain(&self.other_code);
        [
            &self.lowest,
            &self.size,
            &self.saved,
            &self.unstarted,
            &self.function,
            &self.table.addresses,
            &self.table.entries,
            &self.table.count,
            &self.blocks,
            &self.block_count,
        ]
        .into_iter()
        .chain(ends)
    }
}
