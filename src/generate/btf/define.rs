//! A record → its [`Definition`]: members flattened and placed, references spelled.

use std::borrow::Cow;

use crate::generate::definition::{Body, Definition, MemberDefinition, distinguish};
use crate::generate::error::{BtfProblem, GenerateError};
use crate::profile::{BitField, Encoding};

use super::table::{Kind, Record, word};
use super::types::{Types, space_of};

/// Members of one aggregate, those of anonymous ones inside included.
const MAX_MEMBERS: usize = 1 << 16;
/// Anonymous aggregates in anonymous aggregates.
const MAX_NESTING: u32 = 64;

/// The flags of `BTF_INT_ENCODING`.
const INT_SIGNED: u32 = 1;
const INT_BOOLEAN: u32 = 4;

/// An aggregate that is being flattened.
struct Flattening<'n, 'a> {
    /// What anonymous types in it are called after.
    path: &'n str,
    visits: usize,
    members: Vec<MemberDefinition<'a>>,
}

impl<'a> Types<'_, 'a> {
    /// The definition of a named type, or of an anonymous one that is called `path`.
    pub(super) fn define(
        &mut self,
        number: u32,
        path: Option<&str>,
    ) -> Result<Option<Definition<'a>>, GenerateError> {
        let record = *self.table.record_of(number)?;
        let Some(space) = space_of(record.kind) else {
            return Ok(None);
        };
        let name = match path {
            Some(path) => Cow::Owned(format!("({path})")),
            None => String::from_utf8_lossy(record.name),
        };
        let inner_path = path
            .map_or_else(|| name.clone(), Cow::Borrowed)
            .into_owned();
        let body = match record.kind {
            Kind::Int | Kind::Float => self.number(&record),
            Kind::Typedef => Body::Typedef(self.spell_typedef(record.size_or_type, &inner_path)?),
            Kind::Enum | Kind::Enum64 => self.enumeration(number, &record)?,
            _ => self.aggregate(number, &inner_path)?,
        };
        Ok(Some(Definition { space, name, body }))
    }

    fn number(&self, record: &Record<'a>) -> Body<'a> {
        let flags = word(record.rest, 0).unwrap_or(0) >> 24;
        let is_signed = flags & INT_SIGNED != 0;
        let encoding = match record.name {
            _ if record.kind == Kind::Float => Encoding::Float,
            // Before Linux 5.13 there was no other kind for them.
            b"float" | b"double" | b"long double" => Encoding::Float,
            _ if flags & INT_BOOLEAN != 0 => Encoding::Boolean,
            b"signed char" => Encoding::SignedChar,
            b"char" if is_signed || !self.signs_of_characters => Encoding::SignedChar,
            _ if record.size_or_type == 1 && !is_signed => Encoding::UnsignedChar,
            _ if is_signed => Encoding::Signed,
            _ => Encoding::Unsigned,
        };
        Body::Base {
            size: u64::from(record.size_or_type),
            encoding,
        }
    }

    fn enumeration(&self, number: u32, record: &Record<'a>) -> Result<Body<'a>, GenerateError> {
        let mut values = Vec::with_capacity(record.count);
        let words = if record.kind == Kind::Enum64 { 3 } else { 2 };
        for index in 0..record.count {
            let part = |part| word(record.rest, index * words + part).unwrap_or(0);
            let name = self.table.string(part(0));
            let name = name.map_err(|problem| self.table.error(number, problem))?;
            let value = if words == 3 {
                let value = u64::from(part(1)) | u64::from(part(2)) << 32;
                match record.flag {
                    true => i128::from(value.cast_signed()),
                    false => i128::from(value),
                }
            } else if record.flag || !self.table.tells_signs {
                i128::from(part(1).cast_signed())
            } else {
                i128::from(part(1))
            };
            values.push((String::from_utf8_lossy(name), value));
        }
        let signed = values.iter().any(|(_, value)| *value < 0);
        distinguish(&mut values, |(name, _)| name);
        Ok(Body::Enumeration {
            size: u64::from(record.size_or_type),
            signed,
            values,
        })
    }

    fn aggregate(&mut self, number: u32, path: &str) -> Result<Body<'a>, GenerateError> {
        let mut flattening = Flattening {
            path,
            visits: 0,
            members: Vec::new(),
        };
        self.flatten(number, 0, 0, &mut flattening)?;
        let mut members = flattening.members;
        members.sort_by_key(|member| (member.offset, member.bits.map_or(0, |bits| bits.offset)));
        distinguish(&mut members, |member| &mut member.name);
        Ok(Body::Aggregate {
            size: u64::from(self.table.record_of(number)?.size_or_type),
            members,
        })
    }

    /// Appends the members of an aggregate that starts at `base` bits.
    fn flatten(
        &mut self,
        number: u32,
        base: u64,
        depth: u32,
        flattening: &mut Flattening<'_, 'a>,
    ) -> Result<(), GenerateError> {
        if depth > MAX_NESTING {
            return Err(self.table.error(number, BtfProblem::TypeCycle));
        }
        let record = *self.table.record_of(number)?;
        for index in 0..record.count {
            flattening.visits += 1;
            if flattening.visits > MAX_MEMBERS {
                let problem = BtfProblem::TooMany {
                    what: "members in a type",
                    limit: MAX_MEMBERS,
                };
                return Err(self.table.error(number, problem));
            }
            let [name, ty, place] =
                [0, 1, 2].map(|part| word(record.rest, index * 3 + part).unwrap_or(0));
            let name = self.table.string(name);
            let name = name.map_err(|problem| self.table.error(number, problem))?;
            // With the flag, the highest byte of the offset is the size of a bit field.
            let (bits, place) = match record.flag {
                true => (place >> 24, place & 0xff_ffff),
                false => (0, place),
            };
            let (inner, bits, shift) = self.old_bit_field(ty, bits)?;
            let place = base + u64::from(place) + u64::from(shift);
            if !name.is_empty() {
                let owner = format!("{}.{}", flattening.path, String::from_utf8_lossy(name));
                let ty = self.spell(inner, &owner)?;
                flattening.members.push(MemberDefinition {
                    name: String::from_utf8_lossy(name),
                    offset: place / 8,
                    bits: self.bit_field(number, bits, place)?,
                    ty,
                });
            } else if matches!(
                self.table.record_of(inner)?.kind,
                Kind::Struct | Kind::Union
            ) {
                self.flatten(inner, place, depth + 1, flattening)?;
            }
        }
        Ok(())
    }

    /// A member's type without qualifiers, its bits and how many come before them: before Linux 5.0, a bit field had a type of its own.
    fn old_bit_field(&self, ty: u32, bits: u32) -> Result<(u32, u32, u32), GenerateError> {
        let inner = self.unqualified(ty)?;
        let record = self.table.record_of(inner)?;
        if bits == 0 && record.kind == Kind::Int {
            let encoding = word(record.rest, 0).unwrap_or(0);
            let (shift, own_bits) = (encoding >> 16 & 0xff, encoding & 0xff);
            if own_bits != 0 && u64::from(own_bits) < u64::from(record.size_or_type) * 8 {
                return Ok((inner, own_bits, shift));
            }
        }
        Ok((inner, bits, 0))
    }

    fn bit_field(
        &self,
        number: u32,
        bits: u32,
        place: u64,
    ) -> Result<Option<BitField>, GenerateError> {
        match bits {
            0 if place.is_multiple_of(8) => Ok(None),
            size @ 1..=128 => Ok(Some(BitField {
                offset: (place % 8) as u32,
                size,
            })),
            _ => Err(self.table.error(number, BtfProblem::ImpossiblePlace)),
        }
    }
}
