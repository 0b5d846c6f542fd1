//! Hashes that tell types of one name apart: by what they are, not by how often BTF holds them.

use std::hash::Hasher;

use rustc_hash::FxHasher;

use crate::generate::error::{BtfProblem, GenerateError};

use super::table::{Kind, Record, word};
use super::types::{MAX_DEPTH, Types};

/// What is being computed and must not be asked for: a type that needs it contains itself.
const IN_PROGRESS: u64 = 1;

impl<'a> Types<'_, 'a> {
    /// Hash of what a type is: its size, its members' names, places and types, and what those are in turn where they are inside it.
    pub(super) fn shape(&mut self, number: u32, depth: u32) -> Result<u64, GenerateError> {
        match self.shapes.get(&number) {
            Some(&IN_PROGRESS) => return Err(self.table.error(number, BtfProblem::TypeCycle)),
            Some(known) => return Ok(*known),
            None if depth > MAX_DEPTH => {
                return Err(self.table.error(number, BtfProblem::TypeCycle));
            }
            None => {}
        }
        self.shapes.insert(number, IN_PROGRESS);
        let record = *self.table.record_of(number)?;
        let mut hasher = FxHasher::default();
        hasher.write_u8(record.kind as u8);
        hasher.write(record.name);
        match record.kind {
            Kind::Int | Kind::Float | Kind::Enum | Kind::Enum64 => {
                hasher.write_u32(record.size_or_type);
                self.hash_contents(&record, &mut hasher);
            }
            Kind::Struct | Kind::Union => {
                hasher.write_u32(record.size_or_type);
                self.hash_members(number, &record, &mut hasher, depth)?;
            }
            Kind::Typedef => self.hash_value(record.size_or_type, &mut hasher, depth + 1)?,
            _ => {}
        }
        // 0 and 1 have meanings of their own.
        let shape = hasher.finish() | 2;
        self.shapes.insert(number, shape);
        Ok(shape)
    }

    /// Enumerators with their names, not with where BTF keeps them.
    fn hash_contents(&self, record: &Record<'a>, hasher: &mut FxHasher) {
        let words = match record.kind {
            Kind::Enum => 2,
            Kind::Enum64 => 3,
            _ => return hasher.write(record.rest),
        };
        for index in 0..record.count {
            for part in 0..words {
                let word = word(record.rest, index * words + part).unwrap_or(0);
                match part {
                    0 => hasher.write(self.table.string(word).unwrap_or(&[])),
                    _ => hasher.write_u32(word),
                }
            }
        }
    }

    fn hash_members(
        &mut self,
        number: u32,
        record: &Record<'a>,
        hasher: &mut FxHasher,
        depth: u32,
    ) -> Result<(), GenerateError> {
        for index in 0..record.count {
            let [name, ty, place] =
                [0, 1, 2].map(|part| word(record.rest, index * 3 + part).unwrap_or(0));
            let name = self.table.string(name);
            hasher.write(name.map_err(|problem| self.table.error(number, problem))?);
            hasher.write_u32(place);
            self.hash_value(ty, hasher, depth + 1)?;
        }
        Ok(())
    }

    /// A type that is inside another: arrays and typedefs are followed, what is behind a pointer is a name.
    fn hash_value(
        &mut self,
        number: u32,
        hasher: &mut FxHasher,
        depth: u32,
    ) -> Result<(), GenerateError> {
        let mut number = self.unqualified(number)?;
        let mut is_behind_pointer = false;
        for _ in 0..MAX_DEPTH {
            let record = *self.table.record_of(number)?;
            hasher.write_u8(match record.kind {
                // A struct that is declared only and one that is defined have the same name.
                Kind::Forward if !record.flag => Kind::Struct as u8,
                Kind::Forward => Kind::Union as u8,
                kind => kind as u8,
            });
            match record.kind {
                Kind::Pointer => {
                    is_behind_pointer = true;
                    number = self.unqualified(record.size_or_type)?;
                }
                Kind::Array => {
                    hasher.write_u32(word(record.rest, 2).unwrap_or(0));
                    number = self.unqualified(word(record.rest, 0).unwrap_or(0))?;
                }
                Kind::Struct
                | Kind::Union
                | Kind::Enum
                | Kind::Enum64
                | Kind::Int
                | Kind::Float
                | Kind::Typedef
                    if !is_behind_pointer =>
                {
                    hasher.write_u64(self.shape(number, depth)?);
                    return Ok(());
                }
                _ => {
                    hasher.write(record.name);
                    return Ok(());
                }
            }
        }
        Err(self.table.error(number, BtfProblem::TypeCycle))
    }
}
