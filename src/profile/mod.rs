//! What a kernel looks like, as data: types and symbols (layout profiles), walks, columns and functions (the walk library).
//!
//! A layout profile is what `nettlp-profile` writes: one kernel build in plain YAML, one document a type. It promises that loading
//! costs a scan and a question costs one document; it refuses to know how profiles are made and what memory holds.
//!
//! # The file
//!
//! Documents, each separated from the next by a line `---`, in this order:
//!
//! 1. the header ([`Header`]), which starts with `format: nettlp-profile/1`;
//! 2. `base:`, the numbers that the compiler knows: `int: 4 signed` (bytes, [`Encoding`]);
//! 3. `typedefs:`, sorted by name: `pid_t: __kernel_pid_t`;
//! 4. a document for each `enum`, then each `struct`, then each `union`, sorted by name, keyed by keyword and name:
//!
//!    ```yaml
//!    struct task_struct:
//!      size: 0x2600
//!      members:
//!        __state: 0x18 unsigned int
//!        tasks: 0x8a0 struct list_head
//!        in_execve: 0x924:4:1 unsigned int
//!    ```
//!
//!    A member has its offset in bytes and its type. A bit field has the byte that holds its lowest bit, that bit's number in the byte, and
//!    how many bits there are, read as a little-endian number ([`BitField`]).
//! 5. `symbols:`, sorted by name: `init_task: 0xffffffff82a1aa40 data 9728 struct task_struct` (link address, [`SymbolKind`], bytes, type
//!    if known).
//!
//! Types are C abstract declarators, as pahole spells them, without `const` and its like.
//!
//! **Anonymous types.** Members of an anonymous struct or union are members of the type around it. An anonymous type that has a name in
//! another way is called by it in parentheses: `struct (atomic_t)` behind the typedef `atomic_t`, `struct (dentry.d_lockref)` of the
//! member `d_lockref` of `struct dentry`, `union (a.b.c)` one level deeper, `struct (name)` of the variable `name`. An enumeration without
//! any name is called by its first enumerator: `enum (LONELY)`.
//!
//! **Names that several types share.** The type that most units of the kernel agree on keeps the name; the others are `struct foo#2`,
//! `struct foo#3`, with the source file that has them in `from:` (for typedefs: in a comment). References lead to the type that their
//! source meant. Symbols that share a name are numbered too: global ones first, then by address.

mod check;
mod compare;
mod declarator;
mod document;
mod error;
mod examine;
mod frames;
mod header;
mod kernel_text;
mod layout;
mod library;
mod lines;
mod numbers;
mod outline;
mod preview;
mod schema;
mod search_path;
mod symbols;
pub mod text;
mod traversal;
mod types;

#[cfg(test)]
mod tests;

pub use check::{Check, CheckVariant};
pub use compare::{
    Change, Comparison, Difference, Place, SymbolRetyped, TypeChange, compare, compare_types,
};
pub use declarator::TypeSyntaxError;
pub use error::ProfileError;
pub use examine::{Examination, Finding, Gravity, examine};
pub use frames::{
    FrameEntry, FrameTables, FramesTraversal, KindNumbers, OtherTables, RegisterNumbering,
    SavedFrame, SavedRegisters,
};
pub use header::{Architecture, ByteOrder, Constants, FORMAT, Header, Kind, Origin, PercpuBase};
pub use kernel_text::{Holds, KernelText, PatchLength, PatchTable, TextRows};
pub use layout::LayoutProfile;
pub use library::{
    Definition, ExpressionVariant, Function, Iterate, LIBRARY_FORMAT, Library, LibraryError,
    PageStructs, PerCpuArea, Walk, WalkVariant,
};
pub use outline::{Outline, Row, Summary, outline};
pub use preview::Preview;
pub use search_path::{Entry, PATH_VARIABLE, SearchPath};
pub use traversal::{
    ArrayTraversal, BitsTraversal, BranchesTraversal, ChainTraversal, FollowTraversal, ImageTable,
    ImageTraversal, LinkedTraversal, ListTraversal, MapleTraversal, PageTablesTraversal,
    PerCpuTraversal, RbtreeTraversal, RecordsTraversal, RhashtableTraversal, RingTraversal,
    SlabTraversal, Traversal, TreeTraversal, TrieTraversal, XarrayTraversal,
};
pub use types::{
    Aggregate, AggregateKind, BaseType, BitField, Encoding, Enumeration, FunctionType, Member,
    Symbol, SymbolKind, Type,
};
