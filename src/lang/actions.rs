//! The parts of statements that do more with memory than show it: `dump`, `disassemble`, `search`, `watch`, `save`; and `check`.

use super::ast::{AddressSpace, Expression, Literal, Name, Query, Quoted, Span};

/// So many bytes from an address on.
#[derive(Clone, Debug, PartialEq)]
pub struct Stretch {
    /// Which addresses are meant; virtual ones where it is not said.
    pub space: Option<AddressSpace>,
    /// The first byte.
    pub address: Expression,
    /// How many.
    pub length: Expression,
    /// Whose page tables translate, if not the kernel's.
    pub owner: Option<Expression>,
}

/// `dump … to "FILE" [force]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Dump {
    /// What is written.
    pub what: Dumped,
    /// The file, or the folder for `maps`.
    pub file: Quoted,
    /// Whether files that exist are written over.
    pub force: bool,
}

/// What `dump` writes.
#[derive(Clone, Debug, PartialEq)]
pub enum Dumped {
    /// A stretch of memory.
    Stretch(Box<Stretch>),
    /// `code of TASK`: the program's instructions, from `mm.start_code` to `mm.end_code`.
    Code(Expression),
    /// `maps of TASK`: each of its mappings, to a file of its own.
    Maps(Expression),
    /// `cache of FILE`: what is in memory of a file's contents, of an open file, an inode or an address_space.
    Cache(Expression),
}

/// `disassemble ADDRESS [, INSTRUCTIONS] [of TASK]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Disassemble {
    /// The first instruction.
    pub address: Expression,
    /// How many instructions, if said.
    pub count: Option<Expression>,
    /// Whose page tables translate, if not the kernel's.
    pub owner: Option<Expression>,
}

/// `search PATTERN in PLACE [limit N]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// What is searched for.
    pub pattern: Pattern,
    /// Where.
    pub place: SearchPlace,
    /// How many finds are enough.
    pub limit: Option<Expression>,
}

/// What `search` searches for.
#[derive(Clone, Debug, PartialEq)]
pub enum Pattern {
    /// `matches 'REGEX'`.
    Regex(Quoted),
    /// `h'de ad ?? ef'`: bytes, those that may be anything being `None`.
    Bytes(Vec<Option<u8>>),
    /// A text, a number, an address or bytes.
    Value(Expression),
}

/// Where `search` searches.
#[derive(Clone, Debug, PartialEq)]
pub enum SearchPlace {
    /// `kernel`: the kernel's image.
    Kernel,
    /// `phys`: all RAM.
    Physical,
    /// What a process has mapped.
    Task(Expression),
    /// A stretch of memory.
    Stretch(Box<Stretch>),
}

/// `watch INTERVAL [diff] QUERY [until EXPR] [times N]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Watch {
    /// Between the beginnings of two runs: a duration, or whole seconds.
    pub interval: (Literal, Span),
    /// Whether only what is new, changed or gone is shown.
    pub diff: bool,
    /// What is asked.
    pub query: Box<Query>,
    /// Watching ends when this holds.
    pub until: Option<Expression>,
    /// Watching ends after so many runs.
    pub times: Option<Expression>,
}

/// `save QUERY to "FILE" [force]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Save {
    /// Whose rows.
    pub query: Box<Query>,
    /// The file; its name's end says the format.
    pub file: Quoted,
    /// Whether a file that exists is written over.
    pub force: bool,
}

/// `def check NAME ['what a finding means'] as QUERY`.
#[derive(Clone, Debug, PartialEq)]
pub struct DefineCheck {
    /// The new check's name; a walk of the same name has the same rows.
    pub name: Name,
    /// What a row of it means.
    pub meaning: Option<Quoted>,
    /// The query whose rows are findings.
    pub query: Box<Query>,
}

/// Which checks `check` runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Chosen {
    /// All that are in force.
    All,
    /// The one of this name.
    Named(Name),
    /// Those whose name is like this.
    Like(Quoted),
}
