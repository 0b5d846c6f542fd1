//! What a program says, as a tree: statements, queries, expressions, type names, each with its place in the text.
//!
//! The tree is what was written, with nothing looked up: a bare name is a [`ExpressionKind::Name`], whatever it will turn
//! out to mean. Three things are settled here, because only the spelling differs:
//!
//! * `.` and `->` are one [`ExpressionKind::Member`]; `=` and `==` are one [`BinaryOperator::Equal`].
//! * `x not in (…)`, `x not like y`, `x not between a and b` and `x is not null` are [`UnaryOperator::Not`] over the plain form.
//! * A chain of `and` (or of `or`) is one [`ExpressionKind::Logical`] with all its operands, so that a long condition is wide
//!   and not deep.
//!
//! Parentheses leave no node; the span of what was in them includes them. No tree that the parser returns is deeper than
//! [`MAX_DEPTH`], so walking one by recursion is safe.

use std::fmt;
use std::ops::Range;

pub use super::actions::{
    Chosen, DefineCheck, Disassemble, Dump, Dumped, Pattern, Save, Search, SearchPlace, Stretch,
    Watch,
};

/// The deepest tree the parser returns, counted in expressions and queries inside each other; queries inside queries count
/// more, so that there are some twenty at most.
///
/// Whoever walks a tree by recursion with frames of up to 4 KiB a level stays within the 1 MiB stack of a thread.
pub const MAX_DEPTH: usize = 200;

/// A stretch of the program's text: byte offsets, `start` included, `end` not.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset just after the last byte.
    pub end: usize,
}

impl Span {
    /// The stretch from `start` up to, and without, `end`.
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The smallest stretch that holds both.
    #[must_use]
    pub fn to(self, other: Span) -> Span {
        Span::new(self.start.min(other.start), self.end.max(other.end))
    }

    /// The same stretch, `offset` bytes later: for a text that stands inside another one.
    #[must_use]
    pub fn shifted(self, offset: usize) -> Span {
        Span::new(
            self.start.saturating_add(offset),
            self.end.saturating_add(offset),
        )
    }
}

impl From<Span> for Range<usize> {
    fn from(span: Span) -> Self {
        span.start..span.end
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Span({}..{})", self.start, self.end)
    }
}

/// A name as written: of a walk, a member, a function, an alias, a setting …
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    /// Its letters; case matters.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// A quoted text that is not an expression: a file name, a message, a `like` pattern of `show`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// What the quotes hold, escapes resolved.
    pub text: String,
    /// Where it stands, quotes included.
    pub span: Span,
}

/// One statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// Which, and its parts.
    pub kind: StatementKind,
    /// From its first word to its last, without the `;`.
    pub span: Span,
}

/// The statements.
#[derive(Clone, Debug, PartialEq)]
pub enum StatementKind {
    /// `walk … select …`, alone or joined by set operations: rows.
    Query(Box<Query>),
    /// `print[/FORMAT] EXPR, …`.
    Print(Print),
    /// `describe NAME`: a type, a walk, a function, a symbol.
    Describe(Subject),
    /// `show WORD [like 'pattern']`.
    Show(Show),
    /// `let NAME = EXPR`.
    Let(Let),
    /// `def walk NAME(PARAMETERS) as QUERY`.
    DefineWalk(DefineWalk),
    /// `def check NAME ['what a finding means'] as QUERY`.
    DefineCheck(DefineCheck),
    /// `def NAME(PARAMETERS) = EXPR`.
    DefineFunction(DefineFunction),
    /// `use "file.nq"`.
    Use(Quoted),
    /// `check [NAME]`, `check like 'pattern'`.
    Check(Chosen),
    /// `explain [analyze] QUERY`.
    Explain(Explain),
    /// `assert … [, 'message']`.
    Assert(Assert),
    /// `set NAME VALUE`.
    Set(Set),
    /// `read phys|virt ADDRESS [, LENGTH] [of TASK]`.
    Read(Read),
    /// `translate ADDRESS [of TASK]`.
    Translate(Translate),
    /// `dump … to "FILE" [force]`.
    Dump(Dump),
    /// `disassemble ADDRESS [, INSTRUCTIONS] [of TASK]`.
    Disassemble(Disassemble),
    /// `search PATTERN in PLACE [limit N]`.
    Search(Search),
    /// `watch INTERVAL [diff] QUERY [until EXPR] [times N]`.
    Watch(Watch),
    /// `save QUERY to "FILE" [force]`.
    Save(Save),
}

/// `print[/FORMAT] EXPR, …`.
#[derive(Clone, Debug, PartialEq)]
pub struct Print {
    /// The letters after `/`, as in gdb: not judged yet.
    pub format: Option<Name>,
    /// What to print; at least one.
    pub values: Vec<Expression>,
}

/// What `describe` is to describe.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// A bare name, which may be anything: `describe tasks`, `describe task_struct.mm`, `describe init_task`.
    Name {
        /// The name.
        name: Name,
        /// The member of it that is meant, if any.
        path: Option<MemberPath>,
    },
    /// A type that says so: `describe struct task_struct`, `describe struct task_struct.mm`.
    Type {
        /// The type.
        name: TypeName,
        /// The member of it that is meant, if any.
        path: Option<MemberPath>,
    },
    /// A symbol that says so: `describe @init_task`.
    Symbol(Name),
}

/// `show WORD [like 'pattern']`.
#[derive(Clone, Debug, PartialEq)]
pub struct Show {
    /// Which catalogue: `walks`, `types`, `symbols` … not judged yet.
    pub catalogue: Name,
    /// Only the entries whose name is like this.
    pub pattern: Option<Quoted>,
}

/// `let NAME = EXPR`.
#[derive(Clone, Debug, PartialEq)]
pub struct Let {
    /// The new name.
    pub name: Name,
    /// What it stands for.
    pub value: Expression,
}

/// `def walk NAME(PARAMETERS) as QUERY`.
#[derive(Clone, Debug, PartialEq)]
pub struct DefineWalk {
    /// The new walk's name.
    pub name: Name,
    /// Its parameters' names.
    pub parameters: Vec<Name>,
    /// What it walks.
    pub query: Box<Query>,
}

/// `def NAME(PARAMETERS) = EXPR`.
#[derive(Clone, Debug, PartialEq)]
pub struct DefineFunction {
    /// The new function's name.
    pub name: Name,
    /// Its parameters' names.
    pub parameters: Vec<Name>,
    /// What it gives.
    pub body: Expression,
}

/// `explain [analyze] QUERY`.
#[derive(Clone, Debug, PartialEq)]
pub struct Explain {
    /// Whether to run it too.
    pub mode: ExplainMode,
    /// The query.
    pub query: Box<Query>,
}

/// How far `explain` goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExplainMode {
    /// The plan with its predicted reads; nothing is run.
    Plan,
    /// The plan, then a run of it with measured reads beside the predicted ones.
    Analyze,
}

/// `assert … [, 'message']`.
#[derive(Clone, Debug, PartialEq)]
pub struct Assert {
    /// What must hold.
    pub condition: Assertion,
    /// What to say when it does not.
    pub message: Option<Quoted>,
}

/// What an `assert` claims.
#[derive(Clone, Debug, PartialEq)]
pub enum Assertion {
    /// `assert EXPR`: it is true.
    Holds(Expression),
    /// `assert QUERY is empty`: no row.
    Empty(Box<Query>),
    /// `assert QUERY is not empty`: at least one row.
    NotEmpty(Box<Query>),
}

/// `set NAME VALUE`.
#[derive(Clone, Debug, PartialEq)]
pub struct Set {
    /// Which setting; not judged yet.
    pub name: Name,
    /// Its new value.
    pub value: SettingValue,
}

/// The value in a `set`.
#[derive(Clone, Debug, PartialEq)]
pub enum SettingValue {
    /// A bare word: `set format json`.
    Word(Name),
    /// A literal: `set max_reads 10000`, `set timeout 5s`, `set prompt 'nq> '`.
    Literal {
        /// The literal.
        value: Literal,
        /// Where it stands.
        span: Span,
    },
}

/// `read phys|virt ADDRESS [, LENGTH] [of TASK]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// Which addresses are meant.
    pub space: AddressSpace,
    /// The first byte.
    pub address: Expression,
    /// How many bytes, if said.
    pub length: Option<Expression>,
    /// Whose page tables translate, if not the kernel's.
    pub owner: Option<Expression>,
}

/// Which addresses a `read` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressSpace {
    /// `phys`: what the PCIe request carries.
    Physical,
    /// `virt`: what the target's page tables translate.
    Virtual,
}

/// `translate ADDRESS [of TASK]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Translate {
    /// The virtual address.
    pub address: Expression,
    /// Whose page tables, if not the kernel's.
    pub owner: Option<Expression>,
}

/// Rows: a walk, or two queries joined by a set operation; then ordered, then cut.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Where the rows come from.
    pub body: QueryBody,
    /// `order by`: most significant first; empty for the walk's own order.
    ///
    /// After a set operation it orders the whole, as in SQL.
    pub order_by: Vec<OrderKey>,
    /// `limit N [offset N]`.
    pub limit: Option<Limit>,
    /// All of it, with the parentheses around it.
    pub span: Span,
}

/// Where a query's rows come from.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "queries are boxed wherever they stand, and most are walks"
)]
pub enum QueryBody {
    /// `walk … select …`.
    Walk(WalkQuery),
    /// `QUERY union QUERY` and its like.
    Set(SetOperation),
}

/// `walk SOURCE, … [where …] select … [group by …] [having …]`.
#[derive(Clone, Debug, PartialEq)]
pub struct WalkQuery {
    /// What is walked, outermost first; at least one.
    pub sources: Vec<Source>,
    /// `where`, whether it stood before or after `select`.
    pub filter: Option<Expression>,
    /// `select`.
    pub selection: Selection,
    /// `group by`.
    pub group_by: Vec<Expression>,
    /// `having`.
    pub having: Option<Expression>,
}

/// `QUERY union QUERY`; `intersect` binds tighter than the others, which go from left to right, as in SQL.
#[derive(Clone, Debug, PartialEq)]
pub struct SetOperation {
    /// Which.
    pub operator: SetOperator,
    /// The query before it. It has an order or a limit of its own only if it stood in parentheses.
    pub left: Box<Query>,
    /// The query after it; likewise.
    pub right: Box<Query>,
}

/// Set operations between queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SetOperator {
    /// Rows of either.
    Union,
    /// Rows of both.
    Intersect,
    /// Rows of the left one that the right one does not have.
    Except,
}

/// One source of a walk: what, whose, from where, called what.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// What is walked.
    pub kind: SourceKind,
    /// `of EXPR`: the object that owns the container.
    pub owner: Option<Expression>,
    /// `from EXPR`: the root to start at.
    pub root: Option<Expression>,
    /// `as NAME`.
    pub alias: Option<Name>,
    /// `optional`: an outer row stays when this source is empty (a left join).
    pub optional: bool,
    /// All of it.
    pub span: Span,
}

/// What a source walks.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceKind {
    /// A walk of the library or of a `def walk` without arguments.
    Walk(Name),
    /// `list(struct module.list)`, `array(EXPR, COUNT)` … or a `def walk` with arguments: the checker knows the names.
    Traversal {
        /// Which traversal.
        name: Name,
        /// What stands between its parentheses.
        arguments: Vec<TraversalArgument>,
    },
    /// A query in parentheses.
    Query(Box<Query>),
}

/// One argument of a traversal.
///
/// Only what can be nothing but a type is read as one (`struct T`, `unsigned int`, `u32`, `T *`): `list(module.list)` is an
/// [`TraversalArgument::Expression`], and it is for the checker to see that `module` names a type.
#[derive(Clone, Debug, PartialEq)]
pub enum TraversalArgument {
    /// `struct T`.
    Type(TypeName),
    /// `struct T.member`.
    Member {
        /// The type that has the member.
        container: TypeName,
        /// The way to it.
        path: MemberPath,
    },
    /// Anything else: a symbol, a pointer, a count.
    Expression(Expression),
}

/// `select [distinct] …`.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// Equal rows are kept once.
    pub distinct: bool,
    /// Which columns.
    pub columns: Columns,
    /// From the word `select` to the last column.
    pub span: Span,
}

/// The columns of a `select`.
#[derive(Clone, Debug, PartialEq)]
pub enum Columns {
    /// `*`: all of the sources' own.
    All,
    /// These, in this order; at least one.
    Listed(Vec<Column>),
}

/// One column: `EXPR [as NAME]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// What it holds.
    pub value: Expression,
    /// What to call it.
    pub alias: Option<Name>,
}

/// One key of an `order by`.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderKey {
    /// What to order by.
    pub value: Expression,
    /// Which way.
    pub direction: Direction,
}

/// Which way an `order by` goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first: `asc`, or nothing.
    #[default]
    Ascending,
    /// Largest first: `desc`.
    Descending,
}

/// `limit N [offset N]`; each is an integer literal or a `$variable`.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// At most so many rows.
    pub count: Expression,
    /// After skipping so many.
    pub offset: Option<Expression>,
}

/// One expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    /// Which, and its parts.
    pub kind: ExpressionKind,
    /// All of it, with the parentheses around it.
    pub span: Span,
}

/// The expressions.
#[derive(Clone, Debug, PartialEq)]
pub enum ExpressionKind {
    /// `10`, `'text'`, `null` …
    Literal(Literal),
    /// A bare name: alias, column, `let`, member of `self`, symbol or enumerator; the checker decides.
    Name(String),
    /// `@name`: always the kernel's symbol. The name is without the `@`.
    Symbol(String),
    /// `$name`: a variable of the script. The name is without the `$`.
    Variable(String),
    /// `self`: the element of the innermost source.
    SelfElement,
    /// `object.member` or `object->member`.
    Member {
        /// A struct, a union, a pointer to one, or a source's name.
        object: Box<Expression>,
        /// The member, which may be called like a keyword.
        member: Name,
    },
    /// `object[index]`.
    Index {
        /// An array or a pointer.
        object: Box<Expression>,
        /// Which of its elements.
        index: Box<Expression>,
    },
    /// `function(argument, …)`: built in, defined by `def`, or an aggregate.
    Call {
        /// The function's name.
        function: Name,
        /// Its arguments; there may be none.
        arguments: Vec<Expression>,
    },
    /// `count(*)`: how many rows.
    CountRows,
    /// `-x`, `not x` …
    Unary {
        /// Which.
        operator: UnaryOperator,
        /// What it works on.
        operand: Box<Expression>,
    },
    /// `x + y`, `x like y` …
    Binary {
        /// Which.
        operator: BinaryOperator,
        /// Before it.
        left: Box<Expression>,
        /// After it.
        right: Box<Expression>,
    },
    /// `x and y and …` or `x or y or …`, judged from left to right until one decides.
    Logical {
        /// Which.
        operator: LogicalOperator,
        /// At least two. One that is itself such a chain of the same operator stood in parentheses.
        operands: Vec<Expression>,
    },
    /// `condition ? then : otherwise`.
    Conditional {
        /// What decides.
        condition: Box<Expression>,
        /// The value if it holds.
        then: Box<Expression>,
        /// The value if it does not.
        otherwise: Box<Expression>,
    },
    /// `(type)operand`.
    Cast {
        /// The type to see it as.
        to: TypeName,
        /// What to see.
        operand: Box<Expression>,
    },
    /// `sizeof(…)`.
    SizeOf(SizeOperand),
    /// `offsetof(struct T, member.path)`.
    OffsetOf {
        /// The type that has the member.
        container: TypeName,
        /// The way to it.
        path: MemberPath,
    },
    /// `container_of(pointer, struct T, member.path)`.
    ContainerOf {
        /// Points to the member.
        pointer: Box<Expression>,
        /// The type that has the member.
        container: TypeName,
        /// The way to it.
        path: MemberPath,
    },
    /// `value in (…)`.
    In {
        /// What is looked for.
        value: Box<Expression>,
        /// Where.
        set: InSet,
    },
    /// `value between low and high`, both included.
    Between {
        /// What is compared.
        value: Box<Expression>,
        /// The least that is in.
        low: Box<Expression>,
        /// The most that is in.
        high: Box<Expression>,
    },
    /// `value is null`.
    IsNull(Box<Expression>),
    /// `exists (QUERY)`: it has a row.
    Exists(Box<Query>),
    /// `(QUERY)`: the values of its only column, as a list.
    Query(Box<Query>),
}

/// What stands in `sizeof(…)`.
#[derive(Clone, Debug, PartialEq)]
pub enum SizeOperand {
    /// What can be nothing but a type: `struct T`, `unsigned long`, `u32`, `T *`.
    Type(TypeName),
    /// Anything else. A typedef's bare name is here too (`sizeof(pid_t)`): if it names no value, the checker takes it for a
    /// type.
    Expression(Box<Expression>),
}

/// What stands after `in`.
#[derive(Clone, Debug, PartialEq)]
pub enum InSet {
    /// `(a, b, …)`; at least one.
    List(Vec<Expression>),
    /// `(QUERY)`, of one column.
    Query(Box<Query>),
}

/// Operators before one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnaryOperator {
    /// `not x`, `!x`.
    Not,
    /// `-x`.
    Negate,
    /// `~x`.
    Complement,
    /// `*x`.
    Dereference,
    /// `&x`.
    AddressOf,
}

/// `and` and `or`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogicalOperator {
    /// `and`, `&&`.
    And,
    /// `or`, `||`.
    Or,
}

/// Operators between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOperator {
    /// `a ?? b`: the first that is not null.
    Coalesce,
    /// `|`.
    BitOr,
    /// `^`.
    BitXor,
    /// `&`.
    BitAnd,
    /// `=`, `==`.
    Equal,
    /// `!=`.
    NotEqual,
    /// `<`.
    Less,
    /// `<=`.
    LessEqual,
    /// `>`.
    Greater,
    /// `>=`.
    GreaterEqual,
    /// `like`: `%` any text, `_` any character.
    Like,
    /// `matches`: a regular expression.
    Matches,
    /// `has`: a flag is set, a list holds.
    Has,
    /// `<<`.
    ShiftLeft,
    /// `>>`.
    ShiftRight,
    /// `+`.
    Add,
    /// `-`.
    Subtract,
    /// `*`.
    Multiply,
    /// `/`.
    Divide,
    /// `%`.
    Remainder,
}

/// A value that is written out.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// `null`.
    Null,
    /// `true`, `false`.
    Boolean(bool),
    /// `10`, `0x1f`, `0b101`, `4K`.
    Integer {
        /// Its value, a suffix already counted in.
        value: u64,
        /// How it was written.
        notation: Notation,
    },
    /// `1.5`: finite, not negative.
    Float(f64),
    /// `'text'`: bytes, since an escape may name any byte and memory need not be UTF-8.
    Text(Vec<u8>),
    /// `h'de ad'`.
    Bytes(Vec<u8>),
    /// `250ms`.
    Duration {
        /// Its length.
        nanoseconds: u64,
        /// The unit it was written in; the length is a multiple of it.
        unit: DurationUnit,
    },
}

/// How an integer was written; a value with a suffix is a multiple of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Notation {
    /// `10`.
    Decimal,
    /// `0x1f`.
    Hexadecimal,
    /// `0b101`.
    Binary,
    /// `4K`: times 2^10.
    Kibi,
    /// `2M`: times 2^20.
    Mebi,
    /// `1G`: times 2^30.
    Gibi,
}

/// Units of durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DurationUnit {
    /// `ns`.
    Nanoseconds,
    /// `us`.
    Microseconds,
    /// `ms`.
    Milliseconds,
    /// `s`.
    Seconds,
    /// `m`.
    Minutes,
    /// `h`.
    Hours,
}

/// A type in C's words: `struct sock *`, `u32`, `unsigned long`, `struct list_head[4]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeName {
    /// What the pointers point to and the arrays hold.
    pub base: TypeBase,
    /// How many `*` follow.
    pub pointers: usize,
    /// The `[N]` that follow, outermost first: elements each.
    pub dimensions: Vec<u64>,
    /// All of it.
    pub span: Span,
}

/// The first words of a type name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeBase {
    /// `struct NAME`.
    Struct(Name),
    /// `union NAME`.
    Union(Name),
    /// `enum NAME`.
    Enum(Name),
    /// A typedef's name, or C's own words with one space between them (`unsigned long`), in the order they were written.
    Named(Name),
}

/// The way from a type to a member inside it: `se.load.weight`, `cpus[2].mask`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberPath {
    /// At least one; the first is a member.
    pub steps: Vec<PathStep>,
    /// All of it.
    pub span: Span,
}

/// One step of a [`MemberPath`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathStep {
    /// `.member`.
    Member(Name),
    /// `[N]`: the element's number.
    Index(u64),
}
