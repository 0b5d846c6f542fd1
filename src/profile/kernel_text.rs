//! Where a kernel changes its own code, as a library file writes it: the tables that tell it where, and what may stand there then.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The kernel's code, and the tables of the places in it that the kernel changes.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct KernelText {
    /// The section of a vmlinux with all code that stays in memory.
    pub section: String,
    /// Tables, by what their places are called. One that a vmlinux has not tells of no places.
    pub tables: BTreeMap<String, PatchTable>,
}

/// A table of places. Exactly one of `between`, `sections` and `symbols` says where it is.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct PatchTable {
    /// What the kernel does there, and the kernel source that says so.
    #[allow(dead_code, reason = "for people who read the file")]
    pub doc: String,
    /// The symbols of its first byte and of the first byte after it.
    #[serde(default)]
    pub between: Option<[String; 2]>,
    /// The sections of a vmlinux whose names begin so.
    #[serde(default)]
    pub sections: Option<String>,
    /// No table: symbols, which are the places themselves; with `*` at the end all that begin so.
    #[serde(default)]
    pub symbols: Vec<String>,
    /// The type of an entry; needed but for `symbols`.
    #[serde(default)]
    pub entry: Option<String>,
    /// The entry's member that says where the place is; left out: the entry itself is that. Four bytes: the distance from themselves;
    /// eight bytes: an address.
    #[serde(default)]
    pub at: Option<String>,
    /// How long a place is: bytes, a member of the entry, or `instruction`: as long as the instruction there. With `before: true` bytes
    /// are counted backwards, and `copies` is a length too: that of what is copied.
    pub length: PatchLength,
    /// The entry's member, written as `at` is, that says where `jump_to_target` leads.
    #[serde(default)]
    pub target: Option<String>,
    /// The entry's member, written as `at` is, that says where what `replacement` allows is in the vmlinux.
    #[serde(default)]
    pub replacement: Option<String>,
    /// The entry's member that says how long that is.
    #[serde(default)]
    pub replacement_length: Option<String>,
    /// Whether each place ends where the symbol or the entry says, instead of beginning there.
    #[serde(default)]
    pub before: bool,
    /// The symbols of the first byte of what `copy` allows, and of the first byte after it.
    #[serde(default)]
    pub copies: Option<[String; 2]>,
    /// What may stand there besides what the vmlinux has.
    #[serde(default)]
    pub holds: Vec<Holds>,
    /// What may stand there byte for byte, in hexadecimal digits.
    #[serde(default)]
    pub bytes: Vec<String>,
}

/// How long a place is.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(untagged)]
pub enum PatchLength {
    /// So many bytes.
    Bytes(u64),
    /// As the entry's member says; `instruction`: as long as the instruction that stands there; `copies`: as long as what is copied.
    Member(String),
}

/// What may stand at a place that the kernel changes.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    /// Instructions that do nothing.
    NoOperation,
    /// A near jump to the entry's target, and nothing else but what does nothing.
    JumpToTarget,
    /// A near jump to the kernel's code, and nothing else but what does nothing or is not reached.
    Jump,
    /// A near call of the kernel's code, and nothing else but what does nothing.
    Call,
    /// A near call of anything: of code that the kernel makes at run time.
    CallOfAnything,
    /// A return, and behind it what is not reached.
    Return,
    /// One byte that is an instruction's prefix for another or no lock.
    LockPrefix,
    /// A number, whatever it is.
    Number,
    /// The instructions that the entry names as the replacement, or those of the vmlinux, with or without what does nothing.
    Replacement,
    /// The instructions between the symbols of `copies`, moved to where the vmlinux has nothing but what does nothing.
    Copy,
    /// The call that the vmlinux has, or one of a copy that ends where that call leads.
    CallOfCopy,
    /// Instructions, none of which jumps to or calls directly what is not the kernel's code.
    Code,
}

/// Which rows a walk of the comparison has.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum TextRows {
    /// What no relocation and no table explains.
    Changes,
    /// What a table explains.
    Patches,
    /// The tables themselves: how much of the code each has.
    Tables,
}
