//! A type as its source defines it, before names that several types share are told apart: what DWARF and BTF have in common.

use std::borrow::Cow;

use rustc_hash::FxHashMap;

use crate::profile::{BitField, Encoding};

/// The kinds of named type. Names are unique within a kind only, as C has it for tags and ordinary names; tags of different kinds do not
/// clash in a profile because their keyword is part of the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Space {
    Base,
    Typedef,
    Enum,
    Struct,
    Union,
}

/// A named type and what it is.
#[derive(Clone, Debug)]
pub(super) struct Definition<'a> {
    pub(super) space: Space,
    /// Without keyword; in parentheses for a type that is anonymous in C.
    pub(super) name: Cow<'a, str>,
    pub(super) body: Body<'a>,
}

/// What a named type is.
#[derive(Clone, Debug)]
pub(super) enum Body<'a> {
    /// A number.
    Base {
        /// Bytes.
        size: u64,
        encoding: Encoding,
    },
    /// Another name for a type.
    Typedef(Spelling<'a>),
    /// An enumeration.
    Enumeration {
        /// Bytes.
        size: u64,
        signed: bool,
        values: Vec<(Cow<'a, str>, i128)>,
    },
    /// A struct or union.
    Aggregate {
        /// Bytes.
        size: u64,
        /// By offset.
        members: Vec<MemberDefinition<'a>>,
    },
}

/// A member with its offset from the start of the named aggregate, however deep in anonymous ones it is.
#[derive(Clone, Debug)]
pub(super) struct MemberDefinition<'a> {
    pub(super) name: Cow<'a, str>,
    /// Bytes.
    pub(super) offset: u64,
    pub(super) bits: Option<BitField>,
    pub(super) ty: Spelling<'a>,
}

/// A type as it is referred to.
#[derive(Clone, Debug)]
pub(super) enum Spelling<'a> {
    Void,
    Named {
        space: Space,
        name: Cow<'a, str>,
        /// Which of the types of that name, if they differ: the shape of the definition that the source sees; 0 if it sees none.
        shape: u64,
    },
    Pointer(Box<Spelling<'a>>),
    Array(Box<Spelling<'a>>, Option<u64>),
    Function {
        result: Box<Spelling<'a>>,
        parameters: Vec<Spelling<'a>>,
        variadic: bool,
    },
}

/// Appends `#2` and so on to names that occur before: C has no such thing, but names are keys in a profile.
pub(super) fn distinguish<'a, T>(items: &mut [T], name: impl Fn(&mut T) -> &mut Cow<'a, str>) {
    // The next number of each name.
    let mut seen: FxHashMap<Cow<'a, str>, u32> = FxHashMap::default();
    for item in items {
        let name = name(item);
        if let Some(mut number) = seen.get(name).copied() {
            let mut free = format!("{name}#{number}");
            while seen.contains_key(free.as_str()) {
                number += 1;
                free = format!("{name}#{number}");
            }
            seen.insert(name.clone(), number + 1);
            *name = Cow::Owned(free);
        }
        seen.insert(name.clone(), 2);
    }
}
