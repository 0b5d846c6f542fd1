//! The table of records → types: references followed, anonymous types named.
//!
//! One record may be the anonymous type of many names: BTF holds what is alike once. An anonymous type is therefore called after whoever
//! refers to it: the typedef, the member with the aggregate that it is in, or the variable.

use std::borrow::Cow;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::generate::definition::{Space, Spelling};
use crate::generate::error::{BtfProblem, GenerateError};

use super::table::{Kind, Table, word};

/// Types in types (arrays of typedefs of structs of …) that are followed.
pub(super) const MAX_DEPTH: u32 = 200;
/// Types in one spelling: function pointers take function pointers.
const MAX_SPELLING: usize = 1 << 10;
/// Longest name of an anonymous type, whose parts are the names around it.
const MAX_PATH: usize = 512;

/// An anonymous type and what it is called, without parentheses.
pub(super) type Anonymous = (u32, String);

/// The types, and what has been learnt of them.
#[derive(Debug)]
pub(super) struct Types<'t, 'a> {
    pub(super) table: &'t Table<'a>,
    /// What a typedef calls the anonymous type that it directly names.
    typedefs: FxHashMap<u32, &'a [u8]>,
    /// Whether the characters among the numbers say if they are signed: before Linux 5.15 none does.
    pub(super) signs_of_characters: bool,
    /// Shapes that are known.
    pub(super) shapes: FxHashMap<u32, u64>,
    /// Anonymous types that were referred to and are to be defined.
    pub(super) wanted: Vec<Anonymous>,
    seen: FxHashSet<Anonymous>,
}

impl<'t, 'a> Types<'t, 'a> {
    pub(super) fn new(table: &'t Table<'a>) -> Result<Self, GenerateError> {
        let mut types = Self {
            table,
            typedefs: FxHashMap::default(),
            signs_of_characters: tells_signs_of_characters(table),
            shapes: FxHashMap::default(),
            wanted: Vec::new(),
            seen: FxHashSet::default(),
        };
        for record in &table.records {
            if record.kind == Kind::Typedef {
                let target = types.unqualified(record.size_or_type)?;
                let found = table.record_of(target)?;
                if found.name.is_empty() && space_of(found.kind).is_some() {
                    types.typedefs.entry(target).or_insert(record.name);
                }
            }
        }
        Ok(types)
    }

    /// The type without `const` and its like.
    pub(super) fn unqualified(&self, number: u32) -> Result<u32, GenerateError> {
        let mut at = number;
        for _ in 0..MAX_DEPTH {
            let record = self.table.record_of(at)?;
            match record.kind {
                Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag => {
                    at = record.size_or_type;
                }
                _ => return Ok(at),
            }
        }
        Err(self.table.error(number, BtfProblem::TypeCycle))
    }

    /// A type, spelled. `owner` is what an anonymous type in it is called after.
    pub(super) fn spell(
        &mut self,
        number: u32,
        owner: &str,
    ) -> Result<Spelling<'a>, GenerateError> {
        let mut budget = MAX_SPELLING;
        self.spell_within(number, Some(owner), &mut budget)
    }

    /// What a typedef is another name for. Where it is one for a pointer to an anonymous type that another typedef names directly, that one
    /// is the owner: `typedef struct { … } thing_t, *thing_p;`.
    pub(super) fn spell_typedef(
        &mut self,
        number: u32,
        name: &str,
    ) -> Result<Spelling<'a>, GenerateError> {
        let mut target = self.unqualified(number)?;
        let is_direct = space_of(self.table.record_of(target)?.kind).is_some();
        for _ in 0..MAX_DEPTH {
            let record = self.table.record_of(target)?;
            target = self.unqualified(match record.kind {
                Kind::Pointer => record.size_or_type,
                Kind::Array => word(record.rest, 0).unwrap_or(0),
                _ => break,
            })?;
        }
        let direct = self.typedefs.get(&target).copied();
        match direct.filter(|_| !is_direct) {
            Some(owner) => self.spell(number, &String::from_utf8_lossy(owner)),
            None => self.spell(number, name),
        }
    }

    fn spell_within(
        &mut self,
        number: u32,
        owner: Option<&str>,
        budget: &mut usize,
    ) -> Result<Spelling<'a>, GenerateError> {
        let number = self.unqualified(number)?;
        let record = *self.table.record_of(number)?;
        *budget = budget.saturating_sub(1);
        if *budget == 0 {
            return Err(self.table.error(number, BtfProblem::TypeCycle));
        }
        match record.kind {
            Kind::Pointer => {
                let target = self.spell_within(record.size_or_type, owner, budget)?;
                Ok(Spelling::Pointer(Box::new(target)))
            }
            Kind::Array => {
                let [element, _, count] = [0, 1, 2].map(|index| word(record.rest, index));
                let element = self.spell_within(element.unwrap_or(0), owner, budget)?;
                let count = count.filter(|count| *count > 0).map(u64::from);
                Ok(Spelling::Array(Box::new(element), count))
            }
            Kind::Prototype => self.spell_function(&record, budget),
            kind => match space_of(kind) {
                Some(space) => self.spell_named(number, space, owner),
                None if kind == Kind::Forward => Ok(Spelling::Named {
                    space: if record.flag {
                        Space::Union
                    } else {
                        Space::Struct
                    },
                    name: String::from_utf8_lossy(record.name),
                    shape: 0,
                }),
                None => Ok(Spelling::Void),
            },
        }
    }

    fn spell_function(
        &mut self,
        record: &super::table::Record<'a>,
        budget: &mut usize,
    ) -> Result<Spelling<'a>, GenerateError> {
        let result = Box::new(self.spell_within(record.size_or_type, None, budget)?);
        let mut parameters = Vec::with_capacity(record.count);
        let mut variadic = false;
        for index in 0..record.count {
            let name = word(record.rest, index * 2).unwrap_or(0);
            let ty = word(record.rest, index * 2 + 1).unwrap_or(0);
            if name == 0 && ty == 0 && index + 1 == record.count {
                variadic = true;
            } else {
                parameters.push(self.spell_within(ty, None, budget)?);
            }
        }
        Ok(Spelling::Function {
            result,
            parameters,
            variadic,
        })
    }

    fn spell_named(
        &mut self,
        number: u32,
        space: Space,
        owner: Option<&str>,
    ) -> Result<Spelling<'a>, GenerateError> {
        let record = *self.table.record_of(number)?;
        let name = if record.name.is_empty() {
            Cow::Owned(self.anonymous_name(number, owner))
        } else {
            String::from_utf8_lossy(record.name)
        };
        Ok(Spelling::Named {
            space,
            name,
            shape: self.shape(number, 0)?,
        })
    }

    /// What an anonymous type is called, and notes that it is to be defined.
    fn anonymous_name(&mut self, number: u32, owner: Option<&str>) -> String {
        let Some(path) = owner.map(str::to_owned) else {
            let first = self.first_enumerator(number);
            return format!("({})", first.unwrap_or("anonymous".into()));
        };
        let name = format!("({path})");
        if path.len() <= MAX_PATH && self.seen.insert((number, path.clone())) {
            self.wanted.push((number, path));
        }
        name
    }

    /// Whether an anonymous type was called after something.
    pub(super) fn is_owned(&self, number: u32) -> bool {
        self.typedefs.contains_key(&number)
    }

    pub(super) fn first_enumerator(&self, number: u32) -> Option<Cow<'a, str>> {
        let record = self.table.record_of(number).ok()?;
        match record.kind {
            Kind::Enum | Kind::Enum64 => {
                let name = self.table.string(word(record.rest, 0)?).ok()?;
                Some(String::from_utf8_lossy(name))
            }
            _ => None,
        }
    }
}

fn tells_signs_of_characters(table: &Table<'_>) -> bool {
    let signed = table
        .records
        .iter()
        .find(|record| record.kind == Kind::Int && record.name == b"signed char");
    signed.is_some_and(|record| word(record.rest, 0).unwrap_or(0) >> 24 != 0)
}

/// The space of names that a type's name is in.
pub(super) fn space_of(kind: Kind) -> Option<Space> {
    match kind {
        Kind::Int | Kind::Float => Some(Space::Base),
        Kind::Typedef => Some(Space::Typedef),
        Kind::Enum | Kind::Enum64 => Some(Space::Enum),
        Kind::Struct => Some(Space::Struct),
        Kind::Union => Some(Space::Union),
        _ => None,
    }
}
