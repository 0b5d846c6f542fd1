//! What is kept of a debugging information entry: the types of one unit as a flat table.

use std::ops::Range;

/// What an entry says, as far as layouts are concerned. Tags that mean the same to a reader of memory are one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Base,
    Pointer,
    /// `const` and its like: the type behind it is meant.
    Qualifier,
    Typedef,
    Struct,
    Union,
    Enumeration,
    Array,
    Function,
    Member,
    Enumerator,
    /// One dimension of an array.
    Dimension,
    Parameter,
    /// `...` after the parameters.
    MoreParameters,
    Variable,
    /// A type of which nothing is known.
    Opaque,
}

impl Kind {
    /// Whether entries of a kind are types with a name of their own.
    pub(super) fn is_named_type(self) -> bool {
        matches!(
            self,
            Self::Base | Self::Typedef | Self::Struct | Self::Union | Self::Enumeration
        )
    }
}

/// A reference to another entry, as the attribute has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reference {
    /// No attribute: `void` where a type is expected.
    None,
    /// The entry of the same table, by index.
    Entry(u32),
    /// Bytes from the start of the unit; in a table that has been read, only where no entry is kept there.
    Unit(u32),
    /// Bytes from the start of `.debug_info` of the same file.
    Section(u64),
    /// Bytes from the start of `.debug_info` of the supplementary file.
    Supplementary(u64),
    /// The signature of a type unit.
    Signature(u64),
}

/// No entry.
pub(super) const NOTHING: u32 = u32::MAX;

/// How the constant of an enumerator was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Constant {
    /// Its bytes, of which there are so many; whether they are signed depends on the enumeration.
    Data(u8),
    /// A signed number.
    Signed,
    /// An unsigned number.
    Unsigned,
}

/// One entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) kind: Kind,
    /// Declared here, defined elsewhere (or nowhere).
    pub(super) is_declaration: bool,
    /// Enumerators only.
    pub(super) constant: Constant,
    /// `DW_ATE` of base types.
    pub(super) encoding: u8,
    /// Bytes from the start of the unit.
    pub(super) offset: u32,
    /// The entry that this one is a child of, [`NOTHING`] where that is not kept.
    pub(super) parent: u32,
    /// The first entry that is not below this one.
    pub(super) end: u32,
    /// Bits of a bit field, otherwise 0.
    pub(super) bit_size: u32,
    /// DWARF 2 and 3 count bit fields from the highest bit of their storage; negative where one reaches beyond it.
    pub(super) bits_from_top: Option<i32>,
    /// Empty where there is none.
    pub(super) name: &'a [u8],
    /// The type of it, or for variables that only refer to their declaration, that.
    pub(super) ty: Reference,
    /// Bytes; the number of elements of a dimension. `None` where it is not said.
    pub(super) size: Option<u64>,
    /// Bits from the start of the aggregate; the value of an enumerator; the address of a variable.
    pub(super) value: u64,
    /// Whether `value` is set.
    pub(super) has_value: bool,
}

/// The entries of one unit, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct UnitTable<'a> {
    pub(super) entries: Vec<Entry<'a>>,
    /// The unit's source file.
    pub(super) name: &'a [u8],
    /// Whether its types are C types.
    pub(super) is_c: bool,
    /// Whether it is of the supplementary file.
    pub(super) is_supplementary: bool,
    /// Where the unit's section is, for error messages.
    pub(super) section: &'static str,
    pub(super) section_offset: u64,
    /// Entry by offset: `by_offset[offset]` is right if that entry's offset is `offset`. Not cleared between units.
    by_offset: Vec<u32>,
    /// Whether entries are searched for instead.
    is_searched: bool,
    /// What the graph remembers about each entry.
    pub(super) memory: Vec<Memory>,
    /// The entries that are types with a name of their own, or variables.
    pub(super) items: Vec<u32>,
}

/// What the graph remembers about an entry.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Memory {
    /// What names an anonymous type.
    pub(super) owner: Owner,
    /// Hash of the type's spelling; 0: not computed.
    pub(super) spelling: u64,
    /// Hash of everything by value; 0: not computed.
    pub(super) shape: u64,
}

/// What an anonymous struct, union or enumeration is called after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Owner {
    #[default]
    Nobody,
    /// The entry, of the same or another table, whose name or type it is: a typedef, a member or a variable.
    Named { slot: u32, entry: u32 },
    /// A member without a name: its members are members of the aggregate around it.
    Transparent { slot: u32, entry: u32 },
}

/// Longest unit, in bytes, whose entries are looked up by a table instead of a search.
const MAX_INDEXED: u32 = 16 << 20;

impl<'a> UnitTable<'a> {
    /// A table that takes less memory and more time: entries are found by searching.
    pub(super) fn searched() -> Self {
        Self {
            is_searched: true,
            ..Self::default()
        }
    }

    /// Makes the table empty, keeping what it has allocated.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.memory.clear();
        self.items.clear();
    }

    /// Makes references within the unit lead to entries: they are followed again and again.
    pub(super) fn resolve(&mut self) {
        for index in 0..self.entries.len() {
            if let Some(Reference::Unit(offset)) = self.entries.get(index).map(|entry| entry.ty)
                && let Some(target) = self.find(offset)
                && let Some(entry) = self.entries.get_mut(index)
            {
                entry.ty = Reference::Entry(target);
            }
        }
    }

    /// Appends an entry and gives its index.
    pub(super) fn push(&mut self, entry: Entry<'a>) -> u32 {
        // The number of entries is limited far below 2^32 by the scanner.
        let index = u32::try_from(self.entries.len()).unwrap_or(NOTHING);
        if !self.is_searched && entry.offset < MAX_INDEXED {
            let offset = entry.offset as usize;
            if self.by_offset.len() <= offset {
                let length = (offset + 1).next_power_of_two();
                self.by_offset.resize(length, NOTHING);
            }
            self.by_offset[offset] = index;
        }
        if entry.kind == Kind::Variable || entry.kind.is_named_type() {
            self.items.push(index);
        }
        self.entries.push(entry);
        index
    }

    /// The entry at an offset from the start of the unit.
    pub(super) fn find(&self, offset: u32) -> Option<u32> {
        if !self.is_searched && offset < MAX_INDEXED {
            let index = *self.by_offset.get(offset as usize)?;
            let entry = self.entries.get(index as usize)?;
            return (entry.offset == offset).then_some(index);
        }
        let found = self
            .entries
            .binary_search_by_key(&offset, |entry| entry.offset);
        found.ok().and_then(|index| u32::try_from(index).ok())
    }

    /// The children of an entry that are kept, by index.
    pub(super) fn children(&self, parent: u32) -> impl Iterator<Item = u32> + use<'_, 'a> {
        let range = self.below(parent);
        let mut next = range.start;
        std::iter::from_fn(move || {
            let child = next;
            let entry = self.entries.get(child as usize)?;
            if child >= range.end {
                return None;
            }
            next = entry.end.max(child + 1);
            Some(child)
        })
    }

    /// Everything below an entry, by index.
    fn below(&self, parent: u32) -> Range<u32> {
        let end = self
            .entries
            .get(parent as usize)
            .map_or(0, |entry| entry.end);
        parent.saturating_add(1)..end
    }
}
