//! The checked tree: every name looked up, every expression with its type, every walk with its container's layout.
//!
//! Nothing here can fail to resolve any more; what can still go wrong is reading. Addresses are those of the kernel's link time:
//! `exec` adds where the running kernel really is.

use std::ops::Range;
use std::rc::Rc;

use crate::kernel_text::Comparison;
use crate::profile::{BitField, Enumeration, ImageTable, TextRows, Type};
use crate::value::{Value, ValueType};
use crate::walk::{
    Entries, HlistKind, MapleLayout, RbtreeLayout, RhashtableLayout, Siblings, SlabLayout,
    XarrayLayout,
};

use super::ast::{BinaryOperator, Direction, LogicalOperator, SetOperator, Span, UnaryOperator};
use super::frames::CheckedFrames;
use super::function::{Aggregate, Builtin};

/// Names a source of rows within one statement, nested queries included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub usize);

/// An expression with its type.
#[derive(Clone, Debug)]
pub struct Typed {
    /// Which, and its parts.
    pub node: Node,
    /// The type of its value, null aside.
    pub kind: ValueType,
    /// Where it was written, in the text of the statement or of the library's definition.
    pub span: Span,
}

/// What every element of a walk has besides its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Property {
    /// Its key, or its number from 0.
    Index,
    /// Its virtual address.
    Address,
    /// Its physical address.
    Phys,
    /// Levels below the root.
    Depth,
    /// `ok`, or what speaks against it.
    Quality,
}

/// A conversion of a number.
#[derive(Clone, Debug, PartialEq)]
pub enum Conversion {
    /// To this many bits, and whether the result is signed.
    Integer {
        /// 8 to 64.
        bits: u32,
        /// Two's complement.
        signed: bool,
    },
    /// To an enum's value, whose name is known where the enum has one for it.
    Enumerator {
        /// 8 to 64.
        bits: u32,
        /// Its enumerators; `None` where it is only declared.
        enumeration: Option<Rc<Enumeration>>,
    },
    /// To a truth.
    Boolean,
    /// To a pointer.
    Pointer,
    /// To floating point.
    Float,
}

/// The checked expressions. *Places* are those that stand for something in the target's memory: an element, a symbol, and what is
/// reached from one by members, indices and pointers; [`Node::Load`] and [`Node::Text`] read them.
#[derive(Clone, Debug)]
pub enum Node {
    /// Known before execution.
    Constant(Value),
    /// Place: the element of a source.
    Element(SourceId),
    /// Something that every element has.
    Property(SourceId, Property),
    /// A column of a source that is itself a query.
    Cell(SourceId, usize),
    /// A parameter or loop variable of a library function.
    Local(usize),
    /// Place: a symbol of the kernel image.
    Symbol {
        /// For messages and plans.
        name: Rc<str>,
        /// Link-time value.
        address: u64,
        /// Whether the running kernel's image has it at the slid address (per-CPU offsets and absolute symbols are not moved).
        moves: bool,
    },
    /// Place: inside another one.
    At {
        /// The outer place.
        base: Box<Typed>,
        /// Bytes from its start; negative for `container_of`.
        offset: i64,
        /// Which bits of the bytes there, for bit fields.
        bits: Option<BitField>,
    },
    /// Place: where a pointer points.
    Follow(Box<Typed>),
    /// Place: an entry of an array.
    Entry {
        /// The array's first entry.
        base: Box<Typed>,
        /// Which.
        index: Box<Typed>,
        /// Bytes of one.
        size: u64,
        /// How many the array has, where its type says.
        count: Option<u64>,
    },
    /// The scalar at a place.
    Load {
        /// Where.
        place: Box<Typed>,
        /// Its stripped type.
        ty: Type,
        /// Bytes to read.
        size: u64,
        /// Which bits of them.
        bits: Option<BitField>,
        /// The names of its values, for enums.
        enumeration: Option<Rc<Enumeration>>,
    },
    /// The text in a character array, up to a NUL.
    Text {
        /// Where.
        place: Box<Typed>,
        /// Longest it can be, in bytes.
        longest: u64,
    },
    /// A place's address.
    AddressOf(Box<Typed>),
    /// A number as another type.
    Convert(Conversion, Box<Typed>),
    /// An operator before one operand (the ones that places do not need).
    Unary(UnaryOperator, Box<Typed>),
    /// An operator between two operands.
    Binary(BinaryOperator, Box<Typed>, Box<Typed>),
    /// The address `index * size` bytes further on.
    PointerOffset {
        /// A pointer.
        pointer: Box<Typed>,
        /// How many elements on.
        index: Box<Typed>,
        /// Bytes of one; negative to go back.
        size: i64,
    },
    /// `and`, `or`.
    Logical(LogicalOperator, Vec<Typed>),
    /// `c ? a : b`.
    Conditional(Box<Typed>, Box<Typed>, Box<Typed>),
    /// The first that is not null.
    Coalesce(Vec<Typed>),
    /// Whether a value is one of several.
    InList(Box<Typed>, Vec<Typed>),
    /// Whether a value is among a query's rows.
    InQuery(Box<Typed>, Rc<CheckedQuery>),
    /// Both bounds included.
    Between(Box<Typed>, Box<Typed>, Box<Typed>),
    /// Whether there is no value.
    IsNull(Box<Typed>),
    /// Whether text is of a form.
    Matches(Box<Typed>, Rc<Pattern>),
    /// A built-in function.
    Call(Builtin, Vec<Typed>),
    /// A function of the walk library.
    Apply(Rc<LibraryFunction>, Vec<Typed>),
    /// A query's only column, as a list.
    Query(Rc<CheckedQuery>),
    /// An aggregate of a list's values.
    Fold(Aggregate, Box<Typed>),
    /// Whether a query has a row.
    Exists(Rc<CheckedQuery>),
    /// The result of an aggregate of the query, by its number.
    Aggregate(usize),
}

/// A compiled pattern of `like` or `matches`.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// As written.
    pub text: String,
    /// What `exec` runs over the bytes of the text.
    pub regex: regex::bytes::Regex,
}

/// A function of the walk library, or a derived column (then its only parameter is the struct).
#[derive(Clone, Debug)]
pub struct LibraryFunction {
    /// `path`, or `struct task_struct.ppid` for a column.
    pub name: String,
    /// How many of the locals are parameters.
    pub parameters: usize,
    /// Whether there is a loop in it, so that its results are worth keeping.
    pub loops: bool,
    /// What it computes.
    pub body: FunctionBody,
}

/// What a library function computes.
#[derive(Clone, Debug)]
pub enum FunctionBody {
    /// An expression over the parameters.
    Expression(Typed),
    /// A loop over state that follows the parameters in the locals.
    Loop {
        /// First values of the state, each seeing the locals before it.
        start: Vec<Typed>,
        /// Goes on as long as this holds.
        condition: Typed,
        /// The next state, computed from the present one.
        next: Vec<Typed>,
        /// The value, from the last state.
        result: Typed,
        /// Most steps.
        limit: u64,
    },
}

/// A source of rows.
#[derive(Clone, Debug)]
pub struct CheckedSource {
    /// What the query calls it.
    pub name: String,
    /// The walk's or traversal's own name.
    pub walk: String,
    /// Names it in [`Node::Element`].
    pub id: SourceId,
    /// The type of its elements; `Void` for a query.
    pub element: Type,
    /// How it goes from one to the next.
    pub traversal: CheckedTraversal,
    /// What does not hold for an element of the container makes it no element of the walk.
    pub filter: Option<Rc<Typed>>,
    /// One more element behind the container's, a pointer.
    pub last: Option<Typed>,
    /// Prefetch, in words that `exec` knows.
    pub predictors: Vec<Predictor>,
    /// Whether an outer row stays when it has none.
    pub optional: bool,
}

/// Something that tells which elements a walk will likely visit.
#[derive(Clone, Debug)]
pub enum Predictor {
    /// The list's other end.
    BothEnds,
    /// Pointers to elements that another walk gives.
    Walk {
        /// The other walk.
        source: Rc<CheckedSource>,
        /// A pointer to an element of the predicted walk, seen from the other walk's element.
        pointer: Typed,
        /// `pids.task`, for plans.
        name: String,
    },
}

/// A traversal with everything that can be known before reading.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one a source, not one a row"
)]
pub enum CheckedTraversal {
    /// See [`crate::walk::List`].
    List {
        /// Place of the head.
        head: Typed,
        /// Offset of the link in an element.
        link: u64,
        /// Place of an element that comes before the list's.
        first: Option<Typed>,
    },
    /// See [`crate::walk::Hlist`].
    Hlist {
        /// Place of the head.
        head: Typed,
        /// Offset of the link in an element.
        link: u64,
        /// Which kind of list.
        kind: HlistKind,
    },
    /// See [`crate::walk::Rbtree`].
    Rbtree {
        /// Place of the `struct rb_root`.
        root: Typed,
        /// Offset of the node in an element.
        link: u64,
        /// The kernel's layout.
        layout: RbtreeLayout,
    },
    /// See [`crate::walk::Tree`].
    Tree {
        /// Place of the first element.
        root: Typed,
        /// Offset of the head of the children's list.
        children: u64,
        /// Offset of the link in a child.
        sibling: u64,
        /// Which kind of list that is.
        siblings: Siblings,
        /// Walk (of the element) whose elements' children count as the element's own.
        through: Option<Rc<CheckedSource>>,
    },
    /// See [`crate::walk::Array`].
    Array {
        /// Place of the first entry.
        base: Typed,
        /// How many.
        count: Typed,
        /// What they are.
        entries: Entries,
    },
    /// See [`crate::walk::Chain`].
    Chain {
        /// Pointer to the first element.
        first: Typed,
        /// Offset of the pointer to the next.
        next: u64,
    },
    /// See [`crate::walk::Ring`].
    Ring {
        /// Place of the first entry.
        base: Typed,
        /// How many there are.
        length: Typed,
        /// Bytes of one.
        size: u64,
        /// Number of the oldest.
        first: Typed,
        /// Number of the newest.
        last: Typed,
    },
    /// See [`crate::walk::Records`].
    Records {
        /// Pointer to the buffer.
        base: Typed,
        /// Bytes of the buffer.
        length: Typed,
        /// Where the oldest record begins.
        first: Typed,
        /// Where the newest record ends.
        end: Typed,
        /// Bytes of the element's type.
        smallest: u64,
        /// Offset of a record's length.
        size: u64,
        /// Bytes of that.
        size_width: u64,
    },
    /// See [`crate::walk::Branches`].
    Branches {
        /// Pointer to the first element.
        first: Typed,
        /// Offset of the pointer to the first child.
        child: u64,
        /// Offset of the pointer to the next sibling.
        sibling: u64,
    },
    /// See [`crate::walk::Trie`].
    Trie {
        /// Pointer to the first node.
        first: Typed,
        /// Offset of the number of pointers, as a power of two.
        bits: u64,
        /// Offset of the pointers.
        children: u64,
    },
    /// See [`crate::walk::Xarray`].
    Xarray {
        /// Place of the root.
        root: Typed,
        /// The kernel's layout.
        layout: XarrayLayout,
    },
    /// See [`crate::walk::Maple`].
    Maple {
        /// Place of the root.
        root: Typed,
        /// The kernel's layout.
        layout: MapleLayout,
    },
    /// See [`crate::walk::PerCpu`].
    PerCpu {
        /// Place of the symbol.
        symbol: Typed,
        /// Place of `__per_cpu_offset`.
        offsets: Typed,
        /// Place of the mask of possible CPUs.
        mask: Typed,
        /// Bits of it that count.
        count: Typed,
    },
    /// See [`crate::walk::Slab`].
    Slab {
        /// Place of the cache.
        cache: Typed,
        /// Place of the first page struct.
        pages: Typed,
        /// How many page structs.
        page_count: Typed,
        /// How many memory nodes.
        nodes: Typed,
        /// Place of `__per_cpu_offset`.
        offsets: Typed,
        /// Place of the mask of possible CPUs.
        mask: Typed,
        /// Bits of it that count.
        cpus: Typed,
        /// The kernel's layout.
        layout: Rc<SlabLayout>,
    },
    /// See [`crate::walk::Rhashtable`].
    Rhashtable {
        /// Place of the table.
        root: Typed,
        /// Offset of the link in an element.
        link: u64,
        /// The kernel's layout.
        layout: RhashtableLayout,
    },
    /// See [`crate::walk::PageTables`]: a pointer to the top table.
    PageTables(Typed),
    /// See [`crate::walk::Bits`].
    Bits {
        /// Place of the first word.
        mask: Typed,
        /// Bits that count.
        count: Typed,
        /// Bytes of a word.
        word: u64,
    },
    /// What a pointer points to, if it is not null.
    Follow(Typed),
    /// For each element of an outer walk, in its order, the elements of the container that the inner one finds there.
    Through {
        /// The outer walk, which no name of the query stands for.
        outer: Rc<CheckedSource>,
        /// The container, seen from the outer element; its elements have the same [`SourceId`] as those of the whole.
        inner: Rc<Self>,
    },
    /// The elements of several walks, one after the other; they all have the same [`SourceId`] as those of the whole.
    Union(Vec<Rc<CheckedSource>>),
    /// See [`crate::walk::Frames`].
    Frames(Rc<CheckedFrames>),
    /// Rows of another query.
    Query(Rc<CheckedQuery>),
    /// Rows of the comparison of the kernel's code with its vmlinux.
    Text {
        /// What is compared.
        comparison: Rc<Comparison>,
        /// Which rows.
        rows: TextRows,
    },
    /// Rows of a table of the kernel's image.
    Image {
        /// What it holds.
        table: ImageTable,
        /// The link addresses of what is read.
        range: Range<u64>,
    },
}

/// A query.
#[derive(Clone, Debug)]
pub struct CheckedQuery {
    /// Where its rows come from.
    pub body: CheckedBody,
    /// What to order by, most significant first: the number of a column (hidden ones included) and the direction.
    pub order: Vec<(usize, Direction)>,
    /// Most rows.
    pub limit: Option<u64>,
    /// Rows to skip first.
    pub offset: u64,
    /// Names and types of its columns.
    pub columns: Vec<(String, ValueType)>,
}

impl CheckedQuery {
    /// Whether a row can be given before all are known: nothing is sorted, grouped or compared with the others.
    pub fn streams(&self) -> bool {
        match &self.body {
            CheckedBody::Walk(body) => {
                self.order.is_empty() && body.grouping.is_none() && !body.distinct
            }
            CheckedBody::Set { .. } => false,
        }
    }
}

/// Where a query's rows come from.
#[derive(Clone, Debug)]
pub enum CheckedBody {
    /// Walks.
    Walk(Box<WalkBody>),
    /// Two queries.
    Set {
        /// How they are combined.
        operator: SetOperator,
        /// Before the operator.
        left: Rc<CheckedQuery>,
        /// After it.
        right: Rc<CheckedQuery>,
    },
}

/// Walks, what of them is kept, and what is computed of each.
#[derive(Clone, Debug)]
pub struct WalkBody {
    /// Outermost first.
    pub sources: Vec<Rc<CheckedSource>>,
    /// For each source the conditions that can be judged as soon as its element is known.
    pub filters: Vec<Vec<Typed>>,
    /// The columns; behind them those that only `order by` needs. With grouping, over keys and aggregates.
    pub outputs: Vec<Typed>,
    /// `distinct`.
    pub distinct: bool,
    /// `group by`, or aggregates without it (one group).
    pub grouping: Option<Grouping>,
}

/// How rows become groups.
#[derive(Clone, Debug)]
pub struct Grouping {
    /// What the rows of a group have in common.
    pub keys: Vec<Typed>,
    /// What is computed of each group.
    pub aggregates: Vec<(Aggregate, Option<Typed>)>,
    /// Which groups are kept; over keys (as [`Node::Local`]) and aggregates.
    pub having: Option<Typed>,
}

impl Typed {
    /// The expressions that this one is made of, nested queries left out.
    pub fn children(&self) -> Vec<&Self> {
        match &self.node {
            Node::Constant(_)
            | Node::Element(_)
            | Node::Property(..)
            | Node::Cell(..)
            | Node::Local(_)
            | Node::Symbol { .. }
            | Node::Query(_)
            | Node::Exists(_)
            | Node::Aggregate(_) => Vec::new(),
            Node::At { base: child, .. }
            | Node::Follow(child)
            | Node::Load { place: child, .. }
            | Node::Text { place: child, .. }
            | Node::AddressOf(child)
            | Node::Convert(_, child)
            | Node::Unary(_, child)
            | Node::InQuery(child, _)
            | Node::IsNull(child)
            | Node::Matches(child, _)
            | Node::Fold(_, child) => vec![child],
            Node::Entry { base, index, .. } => vec![base, index],
            Node::PointerOffset { pointer, index, .. } => vec![pointer, index],
            Node::Binary(_, left, right) => vec![left, right],
            Node::Conditional(one, two, three) | Node::Between(one, two, three) => {
                vec![one, two, three]
            }
            Node::Logical(_, children)
            | Node::Coalesce(children)
            | Node::Call(_, children)
            | Node::Apply(_, children) => children.iter().collect(),
            Node::InList(child, members) => std::iter::once(&**child).chain(members).collect(),
        }
    }

    /// The queries that stand inside this expression.
    pub fn queries(&self) -> Vec<&Rc<CheckedQuery>> {
        let mut queries: Vec<_> = self
            .children()
            .into_iter()
            .flat_map(Self::queries)
            .collect();
        if let Node::Query(query) | Node::Exists(query) | Node::InQuery(_, query) = &self.node {
            queries.push(query);
        }
        queries
    }

    /// Whether a loop of the walk library stands in it.
    pub fn loops(&self) -> bool {
        matches!(&self.node, Node::Apply(function, _) if function.loops)
            || self.children().into_iter().any(Self::loops)
    }

    /// Whether it stands for something in the target's memory that has not been read.
    pub fn is_place(&self) -> bool {
        matches!(
            self.node,
            Node::Element(_)
                | Node::Symbol { .. }
                | Node::At { .. }
                | Node::Follow(_)
                | Node::Entry { .. }
        )
    }
}

impl CheckedSource {
    /// The expressions that its container's address and extent come from, those of hidden walks included.
    pub fn expressions(&self) -> Vec<&Typed> {
        let mut expressions: Vec<&Typed> = self.last.iter().chain(self.filter.as_deref()).collect();
        self.traversal.collect_expressions(&mut expressions);
        expressions
    }

    /// Whether its elements, or those of the outer walks that it goes through, are what `id` stands for.
    pub fn binds(&self, id: SourceId) -> bool {
        let outer = match &self.traversal {
            CheckedTraversal::Through { outer, .. } => outer.binds(id),
            CheckedTraversal::Union(walks) => walks.iter().any(|walk| walk.binds(id)),
            _ => false,
        };
        self.id == id || outer
    }
}

impl CheckedTraversal {
    fn collect_expressions<'a>(&'a self, expressions: &mut Vec<&'a Typed>) {
        match self {
            Self::List { head, first, .. } => {
                expressions.push(head);
                expressions.extend(first);
            }
            Self::Hlist { head, .. } => expressions.push(head),
            Self::Tree { root, .. }
            | Self::Rbtree { root, .. }
            | Self::Rhashtable { root, .. }
            | Self::Xarray { root, .. }
            | Self::Maple { root, .. } => expressions.push(root),
            Self::Array { base, count, .. }
            | Self::Bits {
                mask: base, count, ..
            } => expressions.extend([base, count]),
            Self::Chain { first, .. }
            | Self::Branches { first, .. }
            | Self::Trie { first, .. }
            | Self::PageTables(first)
            | Self::Follow(first) => {
                expressions.push(first);
            }
            Self::Ring {
                base,
                length,
                first,
                last,
                ..
            } => expressions.extend([base, length, first, last]),
            Self::Records {
                base,
                length,
                first,
                end,
                ..
            } => expressions.extend([base, length, first, end]),
            Self::PerCpu {
                symbol,
                offsets,
                mask,
                count,
            } => {
                expressions.extend([symbol, offsets, mask, count]);
            }
            Self::Slab {
                cache,
                pages,
                page_count,
                nodes,
                offsets,
                mask,
                cpus,
                ..
            } => expressions.extend([cache, pages, page_count, nodes, offsets, mask, cpus]),
            Self::Through { outer, inner } => {
                expressions.extend(outer.expressions());
                inner.collect_expressions(expressions);
            }
            Self::Union(walks) => {
                for walk in walks {
                    expressions.extend(walk.expressions());
                }
            }
            Self::Frames(frames) => expressions.extend(frames.expressions()),
            Self::Query(_) | Self::Text { .. } | Self::Image { .. } => {}
        }
    }
}
