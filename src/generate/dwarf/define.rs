//! A type of the graph → its [`Definition`]: members flattened and placed, references spelled.

use std::borrow::Cow;

use crate::generate::definition::{Body, Definition, MemberDefinition, Spelling, distinguish};
use crate::generate::error::{DwarfProblem, GenerateError};
use crate::profile::{BitField, Encoding};

use super::entry::{Constant, Entry, Kind};
use super::graph::{BYTES_AS_DEAR_AS_A_PART, Graph, Node, space_of};

/// Members of one aggregate, those of anonymous ones inside included.
const MAX_MEMBERS: usize = 1 << 16;
/// Types in one spelling: function pointers take function pointers.
const MAX_SPELLING: usize = 1 << 10;
/// Anonymous aggregates in anonymous aggregates.
const MAX_NESTING: u32 = 64;

impl<'a> Graph<'_, 'a> {
    /// The definition of a named type, or of an anonymous one that has an owner.
    pub(super) fn define(&mut self, node: Node) -> Result<Option<Definition<'a>>, GenerateError> {
        let Some(entry) = self.entry(node).copied() else {
            return Ok(None);
        };
        let Some(space) = space_of(entry.kind) else {
            return Ok(None);
        };
        let body = match entry.kind {
            Kind::Base => Body::Base {
                size: entry.size.unwrap_or(0),
                encoding: encoding(&entry),
            },
            Kind::Typedef => Body::Typedef(self.spell_type_of(node)?),
            Kind::Enumeration => self.enumeration(node, &entry)?,
            _ => self.aggregate(node, &entry)?,
        };
        let name = self.name(node, &entry);
        Ok(Some(Definition { space, name, body }))
    }

    fn name(&self, node: Node, entry: &Entry<'a>) -> Cow<'a, str> {
        match entry.name {
            [] => Cow::Owned(self.path(node).unwrap_or_else(|| "(anonymous)".to_owned())),
            name => String::from_utf8_lossy(name),
        }
    }

    fn enumeration(&mut self, node: Node, entry: &Entry<'a>) -> Result<Body<'a>, GenerateError> {
        let underlying = self
            .unqualified(node)?
            .and_then(|base| self.entry(base).copied());
        let is_signed_type = underlying.is_some_and(|base| encoding(&base) == Encoding::Signed);
        let size = entry
            .size
            .or(underlying.and_then(|base| base.size))
            .unwrap_or(4);
        let mut values = Vec::new();
        for child in self.children(node) {
            if let Some(enumerator) = self
                .entry(child)
                .filter(|entry| entry.kind == Kind::Enumerator)
            {
                let value = constant(enumerator, size, is_signed_type);
                values.push((String::from_utf8_lossy(enumerator.name), value));
            }
        }
        let signed = is_signed_type || values.iter().any(|(_, value)| *value < 0);
        distinguish(&mut values, |(name, _)| name);
        Ok(Body::Enumeration {
            size,
            signed,
            values,
        })
    }

    fn aggregate(&mut self, node: Node, entry: &Entry<'a>) -> Result<Body<'a>, GenerateError> {
        let mut members = Vec::new();
        let mut visits = 0;
        self.flatten(node, 0, 0, &mut visits, &mut members)?;
        members.sort_by_key(|member| (member.offset, member.bits.map_or(0, |bits| bits.offset)));
        distinguish(&mut members, |member| &mut member.name);
        Ok(Body::Aggregate {
            size: entry.size.unwrap_or(0),
            members,
        })
    }

    /// Appends the members of an aggregate that starts at `base` bits.
    fn flatten(
        &mut self,
        node: Node,
        base: u64,
        depth: u32,
        visits: &mut usize,
        out: &mut Vec<MemberDefinition<'a>>,
    ) -> Result<(), GenerateError> {
        if depth > MAX_NESTING {
            return Err(self.error(node, DwarfProblem::TypeCycle));
        }
        for child in self.children(node) {
            let Some(member) = self
                .entry(child)
                .copied()
                .filter(|entry| entry.kind == Kind::Member)
            else {
                continue;
            };
            *visits += 1;
            self.spend(child, 1)?;
            if *visits > MAX_MEMBERS {
                let problem = DwarfProblem::TooMany {
                    what: "members in a type",
                    limit: MAX_MEMBERS,
                };
                return Err(self.error(child, problem));
            }
            let place = self.place(child, &member)?.checked_add(base);
            let place = place.ok_or_else(|| self.error(child, DwarfProblem::ImpossiblePlace))?;
            if !member.name.is_empty() {
                let ty = self.spell_type_of(child)?;
                out.push(MemberDefinition {
                    name: String::from_utf8_lossy(member.name),
                    offset: place / 8,
                    bits: self.bit_field(child, &member, place)?,
                    ty,
                });
            } else if let Some(inner) = self.unqualified(child)?
                && matches!(self.kind(inner), Some(Kind::Struct | Kind::Union))
            {
                self.flatten(inner, place, depth + 1, visits, out)?;
            }
        }
        Ok(())
    }

    /// Where a member starts, in bits from the start of its aggregate.
    fn place(&mut self, node: Node, member: &Entry<'a>) -> Result<u64, GenerateError> {
        let Some(from_top) = member.bits_from_top else {
            return Ok(member.value);
        };
        // DWARF 2 and 3, section 5.5.6: bits from the top of a storage unit, which is as long as the member says or its type is.
        let storage = match member.size {
            Some(size) => Some(size),
            None => self.size_of_type(node)?,
        };
        let from_start = storage
            .and_then(|size| i64::try_from(size).ok()?.checked_mul(8))
            .and_then(|bits| bits.checked_sub(i64::from(from_top)))
            .and_then(|bits| bits.checked_sub(i64::from(member.bit_size)));
        let place = from_start.and_then(|bits| member.value.checked_add_signed(bits));
        place.ok_or_else(|| self.error(node, DwarfProblem::ImpossiblePlace))
    }

    fn bit_field(
        &self,
        node: Node,
        member: &Entry<'a>,
        place: u64,
    ) -> Result<Option<BitField>, GenerateError> {
        match member.bit_size {
            0 if place.is_multiple_of(8) => Ok(None),
            size @ 1..=128 => Ok(Some(BitField {
                offset: (place % 8) as u32,
                size,
            })),
            _ => Err(self.error(node, DwarfProblem::ImpossiblePlace)),
        }
    }

    /// Bytes of an entry's type, where that is a number or a typedef of one.
    fn size_of_type(&mut self, node: Node) -> Result<Option<u64>, GenerateError> {
        let mut node = node;
        for _ in 0..MAX_NESTING {
            let Some(target) = self.unqualified(node)? else {
                return Ok(None);
            };
            match self.entry(target).copied() {
                Some(typedef) if typedef.kind == Kind::Typedef => node = target,
                other => return Ok(other.and_then(|entry| entry.size)),
            }
        }
        Err(self.error(node, DwarfProblem::TypeCycle))
    }

    /// The type of an entry, spelled.
    pub(super) fn spell_type_of(&mut self, node: Node) -> Result<Spelling<'a>, GenerateError> {
        let mut budget = MAX_SPELLING;
        self.spell_target(node, &mut budget)
    }

    fn spell_target(
        &mut self,
        node: Node,
        budget: &mut usize,
    ) -> Result<Spelling<'a>, GenerateError> {
        let Some(target) = self.unqualified(node)? else {
            return Ok(Spelling::Void);
        };
        let Some(entry) = self.entry(target).copied() else {
            return Ok(Spelling::Void);
        };
        self.spend(target, 1 + entry.name.len() / BYTES_AS_DEAR_AS_A_PART)?;
        *budget = budget.saturating_sub(1);
        if *budget == 0 {
            return Err(self.error(target, DwarfProblem::TypeCycle));
        }
        match entry.kind {
            Kind::Pointer => Ok(Spelling::Pointer(Box::new(
                self.spell_target(target, budget)?,
            ))),
            Kind::Array => self.spell_array(target, budget),
            Kind::Function => self.spell_function(target, budget),
            kind => match space_of(kind) {
                Some(space) => Ok(Spelling::Named {
                    space,
                    name: self.name(target, &entry),
                    shape: if entry.is_declaration {
                        0
                    } else {
                        self.shape(target, 0)?
                    },
                }),
                None => Ok(Spelling::Void),
            },
        }
    }

    fn spell_array(
        &mut self,
        node: Node,
        budget: &mut usize,
    ) -> Result<Spelling<'a>, GenerateError> {
        let mut spelling = self.spell_target(node, budget)?;
        let mut counts = Vec::new();
        for child in self.children(node) {
            if let Some(dimension) = self
                .entry(child)
                .filter(|entry| entry.kind == Kind::Dimension)
            {
                counts.push(dimension.size);
            }
        }
        *budget = budget.saturating_sub(counts.len());
        if *budget == 0 {
            return Err(self.error(node, DwarfProblem::TypeCycle));
        }
        if counts.is_empty() {
            counts.push(None);
        }
        for count in counts.into_iter().rev() {
            spelling = Spelling::Array(Box::new(spelling), count);
        }
        Ok(spelling)
    }

    fn spell_function(
        &mut self,
        node: Node,
        budget: &mut usize,
    ) -> Result<Spelling<'a>, GenerateError> {
        let result = Box::new(self.spell_target(node, budget)?);
        let mut parameters = Vec::new();
        let mut variadic = false;
        for child in self.children(node) {
            match self.kind(child) {
                Some(Kind::Parameter) => parameters.push(self.spell_target(child, budget)?),
                Some(Kind::MoreParameters) => variadic = true,
                _ => {}
            }
        }
        Ok(Spelling::Function {
            result,
            parameters,
            variadic,
        })
    }
}

/// How a base type's bits are read (`DW_ATE`).
fn encoding(entry: &Entry<'_>) -> Encoding {
    match gimli::DwAte(entry.encoding) {
        gimli::DW_ATE_boolean => Encoding::Boolean,
        gimli::DW_ATE_signed => Encoding::Signed,
        gimli::DW_ATE_signed_char => Encoding::SignedChar,
        gimli::DW_ATE_unsigned_char | gimli::DW_ATE_UTF => Encoding::UnsignedChar,
        gimli::DW_ATE_float | gimli::DW_ATE_complex_float | gimli::DW_ATE_decimal_float => {
            Encoding::Float
        }
        _ => Encoding::Unsigned,
    }
}

/// The value of an enumerator: data forms do not say whether their highest bit is a sign.
fn constant(enumerator: &Entry<'_>, size: u64, is_signed: bool) -> i128 {
    let value = enumerator.value;
    match enumerator.constant {
        Constant::Signed if is_signed || size >= 8 || value < 1 << 63 => {
            i128::from(value.cast_signed())
        }
        // An unsigned type whose constant was written as a negative number.
        Constant::Signed => i128::from(value & ((1 << (size * 8)) - 1)),
        Constant::Data(bytes) if is_signed && u64::from(bytes) == size => {
            let unused = 64 - u32::from(bytes) * 8;
            i128::from((value << unused).cast_signed() >> unused)
        }
        _ => i128::from(value),
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::{NOTHING, Reference};
    use super::*;

    fn enumerator(constant: Constant, value: u64) -> Entry<'static> {
        Entry {
            kind: Kind::Enumerator,
            is_declaration: false,
            constant,
            encoding: 0,
            offset: 0,
            parent: NOTHING,
            end: 1,
            bit_size: 0,
            bits_from_top: None,
            name: b"E",
            ty: Reference::None,
            size: None,
            value,
            has_value: false,
        }
    }

    #[test]
    fn the_sign_of_an_enumerator_depends_on_its_form_and_its_type() {
        let minus_one = u64::MAX;
        for (form, value, size, is_signed, expected) in [
            (Constant::Data(1), 0xff, 4, true, 255),
            (Constant::Data(4), 0xffff_ffff, 4, true, -1),
            (Constant::Data(4), 0xffff_ffff, 4, false, 0xffff_ffff),
            (Constant::Data(8), minus_one, 8, true, -1),
            (
                Constant::Data(8),
                minus_one,
                8,
                false,
                i128::from(minus_one),
            ),
            (Constant::Signed, minus_one, 4, true, -1),
            (Constant::Signed, minus_one, 4, false, 0xffff_ffff),
            (Constant::Signed, 5, 4, false, 5),
            (
                Constant::Unsigned,
                minus_one,
                8,
                true,
                i128::from(minus_one),
            ),
        ] {
            let entry = enumerator(form, value);
            assert_eq!(
                constant(&entry, size, is_signed),
                expected,
                "{form:?} {value:#x}"
            );
        }
    }

    #[test]
    fn names_that_occur_twice_are_numbered() {
        let mut names: Vec<Cow<'_, str>> = ["a", "b", "a", "a#2", "a"].map(Cow::Borrowed).to_vec();
        distinguish(&mut names, |name| name);
        assert_eq!(names.join(" "), "a b a#2 a#2#2 a#3");
    }
}
