//! The C types of one kernel build, as a layout profile tells them: what a type is called, how long it is, where its members are.
//!
//! Sizes and offsets are bytes unless a name says bits. `const`, `volatile` and `restrict` are dropped: they say nothing about
//! memory. Named types are names here, not contents; [`super::LayoutProfile`] gives the contents when they are asked for.

use std::fmt;
use std::sync::Arc;

use super::declarator;

/// A C type. Its `Display` is the C spelling without a variable's name (an abstract declarator): `struct list_head *[4]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// `void`, of no size.
    Void,
    /// A number that the compiler knows: `long unsigned int`.
    Base(Arc<BaseType>),
    /// A pointer to a type; its size is [`super::Header::pointer_size`].
    Pointer(Arc<Type>),
    /// An array.
    Array {
        /// What it is an array of.
        element: Arc<Type>,
        /// How many; `None` for an array of unknown length (`char[]`).
        count: Option<u64>,
    },
    /// A function; in memory only pointers to it occur.
    Function(Arc<FunctionType>),
    /// A struct by its name without the keyword: `task_struct`, `(atomic_t)` for the anonymous struct behind a typedef.
    Struct(Arc<str>),
    /// A union by its name without the keyword.
    Union(Arc<str>),
    /// An enumeration by its name without the keyword.
    Enum(Arc<str>),
    /// A typedef by its name.
    Typedef(Arc<str>),
}

impl Type {
    /// A pointer to this type.
    #[must_use]
    pub fn pointer_to(self) -> Self {
        Self::Pointer(Arc::new(self))
    }

    /// An array of `count` of this type (`None`: of unknown length).
    #[must_use]
    pub fn array_of(self, count: Option<u64>) -> Self {
        Self::Array {
            element: Arc::new(self),
            count,
        }
    }
}

impl Type {
    /// The C declaration of a variable or member of this type, without `;`: `void (*fn)(int)`.
    pub fn declare(&self, name: &str) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = declarator::spell_around(self, name.to_owned(), &mut text);
        text
    }
}

impl fmt::Display for Type {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        declarator::spell(self, formatter)
    }
}

/// How the bits of a base type are to be read (DWARF 5, section 5.1.1, `DW_AT_encoding`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encoding {
    /// Two's complement.
    Signed,
    /// A natural number.
    Unsigned,
    /// Zero or not.
    Boolean,
    /// A signed number that is usually a character (`char` on x86).
    SignedChar,
    /// An unsigned number that is usually a character.
    UnsignedChar,
    /// IEEE 754, or whatever the processor calls floating point.
    Float,
}

/// Every encoding with its name in a profile.
const ENCODINGS: [(Encoding, &str); 6] = [
    (Encoding::Signed, "signed"),
    (Encoding::Unsigned, "unsigned"),
    (Encoding::Boolean, "boolean"),
    (Encoding::SignedChar, "signed_char"),
    (Encoding::UnsignedChar, "unsigned_char"),
    (Encoding::Float, "float"),
];

impl Encoding {
    /// Its name in a profile: `signed_char`.
    pub fn name(self) -> &'static str {
        name_in(&ENCODINGS, self)
    }

    /// The encoding of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        value_in(&ENCODINGS, name)
    }
}

/// A type that the compiler knows without a declaration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BaseType {
    /// As the compiler spells it: `long unsigned int`.
    pub name: Arc<str>,
    /// Bytes.
    pub size: u64,
    /// How to read them.
    pub encoding: Encoding,
}

/// What a function takes and gives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FunctionType {
    /// What it returns; [`Type::Void`] for nothing.
    pub result: Type,
    /// What it takes, in order.
    pub parameters: Vec<Type>,
    /// Whether more may follow (`...`).
    pub variadic: bool,
}

/// Which of the two kinds of type with members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AggregateKind {
    /// Members one after the other.
    Struct,
    /// Members at the same place.
    Union,
}

impl AggregateKind {
    /// The C keyword.
    pub fn keyword(self) -> &'static str {
        match self {
            Self::Struct => "struct",
            Self::Union => "union",
        }
    }
}

/// A struct or union. Members of anonymous aggregates inside are members of it, with their offsets from its own start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregate {
    /// Struct or union.
    pub kind: AggregateKind,
    /// Without the keyword.
    pub name: Arc<str>,
    /// Bytes.
    pub size: u64,
    /// By offset, then bit offset, then as declared.
    pub members: Vec<Member>,
    /// Set where several types of the kernel share the name and this is not the one that most units agree on: a source file that has it.
    pub from: Option<String>,
}

impl Aggregate {
    /// The member of that name, those of anonymous aggregates included.
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| &*member.name == name)
    }

    /// The type that this is the content of.
    pub fn as_type(&self) -> Type {
        match self.kind {
            AggregateKind::Struct => Type::Struct(Arc::clone(&self.name)),
            AggregateKind::Union => Type::Union(Arc::clone(&self.name)),
        }
    }
}

/// A member of a struct or union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: Arc<str>,
    /// Bytes from the start of the aggregate; of a bit field: the byte that holds its lowest bit.
    pub offset: u64,
    /// Set for a bit field.
    pub bits: Option<BitField>,
    /// What is there.
    pub ty: Type,
}

/// Which bits of the bytes from [`Member::offset`], read as a little-endian number, are a bit field.
///
/// `(offset + size + 7) / 8` bytes hold all of it; they never reach beyond the aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BitField {
    /// The lowest bit, 0 to 7.
    pub offset: u32,
    /// How many bits, at least 1 and at most 128.
    pub size: u32,
}

/// An enumeration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enumeration {
    /// Without the keyword; `(FIRST)`, after its first enumerator, for one that has no name of any kind.
    pub name: Arc<str>,
    /// Bytes.
    pub size: u64,
    /// Whether values of it may be negative.
    pub signed: bool,
    /// Names and values, as declared. Several names may have one value.
    pub values: Vec<(Arc<str>, i128)>,
    /// As [`Aggregate::from`].
    pub from: Option<String>,
}

impl Enumeration {
    /// The value of an enumerator.
    pub fn value(&self, name: &str) -> Option<i128> {
        let found = self.values.iter().find(|(known, _)| &**known == name);
        found.map(|(_, value)| *value)
    }

    /// The first enumerator of a value.
    pub fn name_of(&self, value: i128) -> Option<&Arc<str>> {
        let found = self.values.iter().find(|(_, known)| *known == value);
        found.map(|(name, _)| name)
    }
}

/// What a symbol stands for, decided by the section that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SymbolKind {
    /// Executable.
    Text,
    /// Initialised and writable.
    Data,
    /// Initialised and not writable.
    ReadOnly,
    /// Zero at start, writable.
    Bss,
    /// One for each CPU; the address is that of the original, see [`super::PercpuBase`].
    PerCpu,
    /// A number, not an address.
    Absolute,
    /// Anything else.
    Other,
}

/// Every kind of symbol with its name in a profile.
const SYMBOL_KINDS: [(SymbolKind, &str); 7] = [
    (SymbolKind::Text, "text"),
    (SymbolKind::Data, "data"),
    (SymbolKind::ReadOnly, "rodata"),
    (SymbolKind::Bss, "bss"),
    (SymbolKind::PerCpu, "percpu"),
    (SymbolKind::Absolute, "absolute"),
    (SymbolKind::Other, "other"),
];

impl SymbolKind {
    /// Its name in a profile: `rodata`.
    pub fn name(self) -> &'static str {
        name_in(&SYMBOL_KINDS, self)
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        value_in(&SYMBOL_KINDS, name)
    }
}

/// A symbol of the kernel image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Its name; `name#2` and so on where several share one.
    pub name: Arc<str>,
    /// Link address (before KASLR moves it); for [`SymbolKind::PerCpu`] see [`super::PercpuBase`].
    pub address: u64,
    /// Bytes; 0 where the symbol table does not say.
    pub size: u64,
    /// What it stands for.
    pub kind: SymbolKind,
    /// Its C type, where the debug information has a variable at the address.
    pub ty: Option<Type>,
}

/// The name of a value in a table that holds all values of its type.
fn name_in<T: Copy + PartialEq>(table: &[(T, &'static str)], value: T) -> &'static str {
    let found = table.iter().find(|(known, _)| *known == value);
    found.map_or("", |(_, name)| name)
}

/// The value of a name in such a table.
fn value_in<T: Copy>(table: &[(T, &'static str)], name: &str) -> Option<T> {
    let found = table.iter().find(|(_, known)| *known == name);
    found.map(|(value, _)| *value)
}
