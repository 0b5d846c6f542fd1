//! The bytes of BTF → a table of its records.

use crate::generate::error::{BtfProblem, GenerateError};

/// What BTF begins with, read in the order of bytes of its machine.
const MAGIC: u16 = 0xeb9f;
/// Bytes of the shortest header.
const HEADER: usize = 24;
/// Bytes that every record has.
const RECORD: usize = 12;
/// More records than any kernel has: the largest that is known has 200 000.
const MAX_TYPES: usize = 4 << 20;

/// Kinds of record (include/uapi/linux/btf.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Void,
    Int,
    Pointer,
    Array,
    Struct,
    Union,
    Enum,
    Forward,
    Typedef,
    Volatile,
    Const,
    Restrict,
    Function,
    Prototype,
    Variable,
    Section,
    Float,
    DeclarationTag,
    TypeTag,
    Enum64,
    /// One that this program is too old for; its length is told by the header's layout of kinds.
    Unknown,
}

/// Kinds by number, with the bytes that follow a record: a fixed part, and so many for each of its elements.
const KINDS: [(Kind, usize, usize); 20] = [
    (Kind::Void, 0, 0),
    (Kind::Int, 4, 0),
    (Kind::Pointer, 0, 0),
    (Kind::Array, 12, 0),
    (Kind::Struct, 0, 12),
    (Kind::Union, 0, 12),
    (Kind::Enum, 0, 8),
    (Kind::Forward, 0, 0),
    (Kind::Typedef, 0, 0),
    (Kind::Volatile, 0, 0),
    (Kind::Const, 0, 0),
    (Kind::Restrict, 0, 0),
    (Kind::Function, 0, 0),
    (Kind::Prototype, 0, 8),
    (Kind::Variable, 4, 0),
    (Kind::Section, 0, 12),
    (Kind::Float, 0, 0),
    (Kind::DeclarationTag, 4, 0),
    (Kind::TypeTag, 0, 0),
    (Kind::Enum64, 0, 12),
];

/// One record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    pub(super) kind: Kind,
    /// What it means depends on the kind: bit fields in members, signed enumerators, forward declaration of a union.
    pub(super) flag: bool,
    /// Elements that follow.
    pub(super) count: usize,
    /// Empty where there is none.
    pub(super) name: &'a [u8],
    /// Bytes, or the number of another record.
    pub(super) size_or_type: u32,
    /// What follows the record.
    pub(super) rest: &'a [u8],
}

/// The records of BTF, those of its base first. A record's number is its place; number 0 is `void`.
#[derive(Clone, Debug)]
pub(in crate::generate) struct Table<'a> {
    pub(super) records: Vec<Record<'a>>,
    /// Strings of the base, then of the split part.
    strings: Vec<&'a [u8]>,
    /// Whether enumerations say if they are signed: the kernels that write `ENUM64` do (Linux 6.0).
    pub(super) tells_signs: bool,
}

/// The parts that a header points to.
struct Parts<'a> {
    types: &'a [u8],
    /// Where `types` starts.
    at: usize,
    strings: &'a [u8],
    /// Fixed and repeated bytes of kinds, two bytes and two bytes of flags each; empty before Linux 6.19.
    layout: &'a [u8],
}

impl<'a> Table<'a> {
    /// Reads BTF; `base` is what split BTF, that of a module, builds on.
    pub(in crate::generate) fn parse(
        bytes: &'a [u8],
        base: Option<&Table<'a>>,
    ) -> Result<Self, GenerateError> {
        let parts = parts(bytes)?;
        let mut table = match base {
            Some(base) => base.clone(),
            None => Self {
                records: vec![VOID],
                strings: Vec::new(),
                tells_signs: false,
            },
        };
        let is_split = base.is_some();
        table.strings.push(parts.strings);
        table.records.reserve(parts.types.len() / 24);
        let mut at = 0;
        while at < parts.types.len() {
            let place = parts.at + at;
            if table.records.len() >= MAX_TYPES {
                let problem = BtfProblem::TooMany {
                    what: "types",
                    limit: MAX_TYPES,
                };
                return Err(error(place, problem));
            }
            let (record, length) = table.record(&parts, at).map_err(|problem| match problem {
                BtfProblem::BadName(_) if !is_split => error(place, BtfProblem::SplitOrBadName),
                problem => error(place, problem),
            })?;
            table.tells_signs |= record.kind == Kind::Enum64
                || record.kind == Kind::Enum && record.flag && record.count > 0;
            table.records.push(record);
            at += length;
        }
        Ok(table)
    }

    /// Reads the record at an offset of the types, and gives its length.
    fn record(&self, parts: &Parts<'a>, at: usize) -> Result<(Record<'a>, usize), BtfProblem> {
        let truncated = BtfProblem::Truncated {
            what: "a type",
            length: parts.types.len(),
        };
        let bytes = parts.types.get(at..).unwrap_or(&[]);
        let (Some(name), Some(info), Some(size_or_type)) =
            (word(bytes, 0), word(bytes, 1), word(bytes, 2))
        else {
            return Err(truncated);
        };
        let number = (info >> 24 & 0x1f) as usize;
        let count = (info & 0xffff) as usize;
        let known = KINDS.get(number).copied().filter(|_| number > 0);
        let (kind, fixed, repeated) = match known {
            Some(known) => known,
            None => match parts.layout.get(number * 4..number * 4 + 2) {
                Some(&[fixed, repeated]) => {
                    (Kind::Unknown, usize::from(fixed), usize::from(repeated))
                }
                _ => return Err(BtfProblem::UnknownKind(number)),
            },
        };
        let length = RECORD + fixed + repeated * count;
        let record = Record {
            kind,
            flag: info >> 31 != 0,
            count,
            name: self.string(name)?,
            size_or_type,
            rest: bytes.get(RECORD..length).ok_or(truncated)?,
        };
        Ok((record, length))
    }

    /// The string at an offset: those of a split part continue those of its base.
    pub(super) fn string(&self, offset: u32) -> Result<&'a [u8], BtfProblem> {
        let mut rest = offset as usize;
        for strings in &self.strings {
            if let Some(bytes) = strings.get(rest..).filter(|bytes| !bytes.is_empty()) {
                let length = memchr::memchr(0, bytes).unwrap_or(bytes.len());
                return Ok(bytes.get(..length).unwrap_or(bytes));
            }
            rest -= strings.len();
        }
        Err(BtfProblem::BadName(offset))
    }

    /// The record of that number.
    pub(super) fn record_of(&self, number: u32) -> Result<&Record<'a>, GenerateError> {
        let found = self.records.get(number as usize);
        found.ok_or_else(|| self.error(number, BtfProblem::DanglingReference(number)))
    }

    /// An error at a record; the offset that is told is its number, as BTF's own tools have it.
    pub(super) fn error(&self, number: u32, problem: BtfProblem) -> GenerateError {
        GenerateError::Btf {
            offset: None,
            number: Some(number),
            problem,
        }
    }
}

const VOID: Record<'static> = Record {
    kind: Kind::Void,
    flag: false,
    count: 0,
    name: &[],
    size_or_type: 0,
    rest: &[],
};

fn error(offset: usize, problem: BtfProblem) -> GenerateError {
    GenerateError::Btf {
        offset: Some(offset as u64),
        number: None,
        problem,
    }
}

/// The `index`th little-endian word of 32 bits.
pub(super) fn word(bytes: &[u8], index: usize) -> Option<u32> {
    let bytes = bytes.get(index * 4..index * 4 + 4)?;
    bytes.try_into().ok().map(u32::from_le_bytes)
}

fn parts(bytes: &[u8]) -> Result<Parts<'_>, GenerateError> {
    let truncated = |what| {
        let length = bytes.len();
        error(0, BtfProblem::Truncated { what, length })
    };
    let Some(&[a, b, version, _]) = bytes.first_chunk() else {
        return Err(truncated("the header"));
    };
    match u16::from_le_bytes([a, b]) {
        MAGIC => {}
        swapped if swapped.swap_bytes() == MAGIC => return Err(error(0, BtfProblem::BigEndian)),
        other => return Err(error(0, BtfProblem::NotBtf(other))),
    }
    if version != 1 {
        return Err(error(2, BtfProblem::Version(version)));
    }
    let field = |index| word(bytes, index).map(|word| word as usize);
    let length = field(1).ok_or_else(|| truncated("the header"))?;
    if length < HEADER || length > bytes.len() {
        return Err(truncated("the header"));
    }
    let part = |what, index: usize| {
        let start = field(index).and_then(|offset| offset.checked_add(length));
        let end = start.and_then(|start| start.checked_add(field(index + 1)?));
        let range = start.zip(end);
        let found = range.and_then(|(start, end)| Some((bytes.get(start..end)?, start)));
        found.ok_or_else(|| error(index * 4, BtfProblem::OutsideData { what }))
    };
    let (types, at) = part("the types", 2)?;
    let (strings, _) = part("the strings", 4)?;
    let layout = match length {
        32.. => part("the layout of kinds", 6)?.0,
        _ => &[],
    };
    Ok(Parts {
        types,
        at,
        strings,
        layout,
    })
}

/// The longest thing in `bytes` that looks like whole BTF: for images whose sections are not told. A kernel's own is by far the longest
/// that its image has.
pub(in crate::generate) fn find_blob(bytes: &[u8]) -> Option<&[u8]> {
    // Magic number, version 1, no flags.
    let starts = memchr::memmem::find_iter(bytes, b"\x9f\xeb\x01\x00");
    let found = starts.filter_map(|start| {
        let rest = bytes.get(start..)?;
        let parts = parts(rest).ok()?;
        let is_whole = parts.strings.first() == Some(&0)
            && parts.strings.last() == Some(&0)
            && word(parts.types, 2).is_some();
        let end_of = |part: &[u8]| (part.as_ptr() as usize) + part.len() - rest.as_ptr() as usize;
        let end = end_of(parts.types).max(end_of(parts.strings));
        rest.get(..end).filter(|_| is_whole)
    });
    found.max_by_key(|blob| blob.len())
}
