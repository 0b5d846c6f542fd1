//! The frames of a stack as a library file writes them: where the stack, the kernel's tables and their numbers are.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The frames of a task's stack, by the kernel's own tables of how each instruction finds its caller (ORC,
/// `arch/x86/kernel/unwind_orc.c`). Expressions are seen from the owner.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct FramesTraversal {
    /// The stack's lowest address.
    pub lowest: String,
    /// Its bytes.
    pub size: String,
    /// What the task left on it.
    pub saved: SavedFrame,
    /// What an interrupt or exception leaves on it.
    pub registers: SavedRegisters,
    /// The kernel's own table.
    pub table: FrameTables,
    /// The tables of others.
    pub others: OtherTables,
    /// An entry of a table.
    pub entry: FrameEntry,
    /// Numbers of kinds of frames.
    pub kinds: KindNumbers,
    /// How kernels number registers: the one counts in which the entry for `table.function` finds the caller's stack pointer by the
    /// stack pointer.
    pub numbers: Vec<RegisterNumbering>,
}

/// What a task that gave up the CPU left on its stack.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct SavedFrame {
    /// Its address; 0 where the task left nothing, since it runs.
    pub at: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: String,
    /// The member that is the frame pointer.
    pub frame_pointer: String,
    /// The member that is the return address.
    pub return_address: String,
    /// What that is in a task that has not run yet.
    pub unstarted: String,
}

/// What an interrupt or exception leaves on the stack.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct SavedRegisters {
    /// Its type.
    #[serde(rename = "type")]
    pub ty: String,
    /// The member that is the address of the next instruction.
    pub instruction_pointer: String,
    /// The member that is the stack pointer.
    pub stack_pointer: String,
    /// The member that is the frame pointer.
    pub frame_pointer: String,
    /// The member that is the code segment.
    pub selector: String,
    /// Bits of it that say that a program ran, not the kernel.
    pub user: u64,
}

/// The kernel's own table of frames, as addresses and numbers.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct FrameTables {
    /// Where entries begin to hold.
    pub addresses: String,
    /// The entries.
    pub entries: String,
    /// How many there are.
    pub count: String,
    /// The first byte of the code that `blocks` is of, and the byte behind the last.
    pub code: [String; 2],
    /// The same of code that is given away after the start.
    pub initial_code: [String; 2],
    /// Numbers of entries, one for each block of code and one for what is behind them.
    pub blocks: String,
    /// How many numbers those are.
    pub block_count: String,
    /// Bytes of code in a block.
    pub block_size: u64,
    /// Any function.
    pub function: String,
}

/// The tables of others than the kernel, for the code at `address`; null where it is nobody's.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct OtherTables {
    /// The first byte of all their code, and the byte behind the last.
    pub code: [String; 2],
    /// Where entries begin to hold.
    pub addresses: String,
    /// The entries.
    pub entries: String,
    /// How many there are.
    pub count: String,
}

/// An entry of a table of frames, by its members.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct FrameEntry {
    /// Its type.
    #[serde(rename = "type")]
    pub ty: String,
    /// What is added to the register that the caller's stack pointer comes from.
    pub stack_offset: String,
    /// Which register that is.
    pub stack_register: String,
    /// What is added to the register that the caller's frame pointer is found by.
    pub frame_offset: String,
    /// Which register that is.
    pub frame_register: String,
    /// The kind of frame.
    pub kind: String,
    /// Whether the caller was interrupted; left out: the kind tells it.
    #[serde(default)]
    pub signal: Option<String>,
    /// Whether there is no caller; left out: the kind tells it.
    #[serde(default)]
    pub end: Option<String>,
}

/// Numbers of kinds of frames.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct KindNumbers {
    /// Code of which nothing is known.
    #[serde(default)]
    pub undefined: Option<u64>,
    /// Code that nothing called.
    #[serde(default)]
    pub end: Option<u64>,
    /// A call's.
    pub call: u64,
    /// Where all registers were saved.
    pub registers: u64,
    /// Where only those were saved that the processor itself saves.
    pub partial_registers: u64,
}

/// Numbers of registers.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct RegisterNumbering {
    /// None.
    pub undefined: u64,
    /// The caller's stack pointer.
    pub previous_stack_pointer: u64,
    /// The stack pointer.
    pub stack_pointer: u64,
    /// The frame pointer.
    pub frame_pointer: u64,
    /// What lies where the stack pointer points.
    pub stack_pointer_indirect: u64,
    /// What lies where the frame pointer and the offset point.
    pub frame_pointer_indirect: u64,
    /// Others, by the member of the saved registers that they are in.
    pub saved: BTreeMap<String, u64>,
}
