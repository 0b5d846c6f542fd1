//! Hashes that stand in for names and contents while thousands of units repeat the same types.
//!
//! `spelling` says what a type is called, so that two units that mean the same name agree; `shape` says what it is, by value, so that two
//! types of one name are told apart. Each is computed once for an entry.

use std::hash::Hasher;

use rustc_hash::FxHasher;

use crate::generate::error::{DwarfProblem, GenerateError};

use super::entry::{Constant, Entry, Kind};
use super::graph::{BYTES_AS_DEAR_AS_A_PART, Graph, MAX_DEPTH, Node};

/// What is being computed and must not be asked for: a type that needs it contains itself.
const IN_PROGRESS: u64 = 1;

impl<'a> Graph<'_, 'a> {
    /// Hash of how the type of an entry is spelled.
    pub(super) fn spelling_of_type(
        &mut self,
        from: Node,
        depth: u32,
    ) -> Result<u64, GenerateError> {
        match self.unqualified(from)? {
            Some(target) => self.spelling(target, depth),
            None => Ok(hash(&[2])),
        }
    }

    /// Hash of how a type is spelled.
    pub(super) fn spelling(&mut self, node: Node, depth: u32) -> Result<u64, GenerateError> {
        match self.remembered(node).spelling {
            0 if depth < MAX_DEPTH => {}
            0 | IN_PROGRESS => return Err(self.error(node, DwarfProblem::TypeCycle)),
            known => return Ok(known),
        }
        self.remember_spelling(node, IN_PROGRESS);
        let spelling = self.compute_spelling(node, depth + 1)?;
        self.remember_spelling(node, spelling);
        Ok(spelling)
    }

    fn remember_spelling(&mut self, node: Node, spelling: u64) {
        if let Some(memory) = self.memory(node) {
            memory.spelling = spelling;
        }
    }

    fn compute_spelling(&mut self, node: Node, depth: u32) -> Result<u64, GenerateError> {
        let Some(entry) = self.entry(node).copied() else {
            return Ok(hash(&[2]));
        };
        let seed = entry.kind as u64 + 16;
        match entry.kind {
            Kind::Pointer => Ok(hash(&[seed, self.spelling_of_type(node, depth)?])),
            Kind::Qualifier => self.spelling_of_type(node, depth),
            Kind::Array | Kind::Function => {
                let mut words = vec![seed, self.spelling_of_type(node, depth)?];
                for child in self.children(node) {
                    let Some(part) = self.entry(child).copied() else {
                        continue;
                    };
                    match part.kind {
                        Kind::Parameter => words.push(self.spelling_of_type(child, depth)?),
                        Kind::Dimension => words.push(part.size.map_or(u64::MAX, |size| size + 1)),
                        Kind::MoreParameters => words.push(3),
                        _ => {}
                    }
                }
                Ok(hash(&words))
            }
            Kind::Opaque => Ok(hash(&[2])),
            _ if entry.name.is_empty() => {
                let path = self.path(node).unwrap_or_default();
                self.spend(node, path.len() / BYTES_AS_DEAR_AS_A_PART)?;
                Ok(hash_name(seed, path.as_bytes()))
            }
            _ => Ok(hash_name(seed, entry.name)),
        }
    }

    /// Hash of what the type of an entry is by value.
    fn shape_of_type(&mut self, from: Node, depth: u32) -> Result<u64, GenerateError> {
        match self.unqualified(from)? {
            Some(target) => self.shape(target, depth),
            None => Ok(0),
        }
    }

    /// Hash of what a type is: its size, its members' names, places and types, and what those are in turn where they are inside it.
    pub(super) fn shape(&mut self, node: Node, depth: u32) -> Result<u64, GenerateError> {
        match self.remembered(node).shape {
            0 if depth < MAX_DEPTH => {}
            0 | IN_PROGRESS => return Err(self.error(node, DwarfProblem::TypeCycle)),
            known => return Ok(known),
        }
        self.remember_shape(node, IN_PROGRESS);
        let shape = self.compute_shape(node, depth + 1)?;
        self.remember_shape(node, shape);
        Ok(shape)
    }

    fn remember_shape(&mut self, node: Node, shape: u64) {
        if let Some(memory) = self.memory(node) {
            memory.shape = shape;
        }
    }

    fn compute_shape(&mut self, node: Node, depth: u32) -> Result<u64, GenerateError> {
        let Some(entry) = self.entry(node).copied() else {
            return Ok(hash(&[4]));
        };
        match entry.kind {
            Kind::Base => Ok(hash(&[u64::from(entry.encoding), entry.size.unwrap_or(0)])),
            Kind::Qualifier => self.shape_of_type(node, depth),
            Kind::Typedef | Kind::Array => {
                let spelling = self.spelling_of_type(node, depth)?;
                Ok(hash(&[spelling, self.shape_of_type(node, depth)?]))
            }
            Kind::Struct | Kind::Union | Kind::Enumeration if entry.is_declaration => {
                Ok(hash(&[5]))
            }
            Kind::Enumeration => Ok(self.enumeration_shape(node, &entry)),
            Kind::Struct | Kind::Union => self.aggregate_shape(node, &entry, depth),
            _ => Ok(hash(&[6])),
        }
    }

    fn enumeration_shape(&self, node: Node, entry: &Entry<'a>) -> u64 {
        let mut hasher = FxHasher::default();
        hasher.write_u64(entry.size.unwrap_or(0));
        let Some(table) = self.table(node.slot) else {
            return 0;
        };
        for child in table.children(node.entry) {
            if let Some(enumerator) = table.entries.get(child as usize) {
                hasher.write(enumerator.name);
                hasher.write_u64(enumerator.value);
                hasher.write_u8(u8::from(enumerator.constant == Constant::Signed));
            }
        }
        not_reserved(hasher.finish())
    }

    fn aggregate_shape(
        &mut self,
        node: Node,
        entry: &Entry<'a>,
        depth: u32,
    ) -> Result<u64, GenerateError> {
        let mut hasher = FxHasher::default();
        hasher.write_u64(entry.kind as u64);
        hasher.write_u64(entry.size.unwrap_or(0));
        let mut next = node.entry.saturating_add(1);
        while next < entry.end {
            let child = Node {
                slot: node.slot,
                entry: next,
            };
            let Some(member) = self.entry(child).copied() else {
                break;
            };
            // What is below types that are defined inside is passed over.
            next = member.end.max(next + 1);
            if member.parent != node.entry || member.kind != Kind::Member {
                continue;
            }
            hasher.write(member.name);
            hasher.write_u64(member.value);
            hasher.write_u32(member.bit_size);
            hasher.write_i32(member.bits_from_top.unwrap_or(i32::MIN));
            hasher.write_u64(self.spelling_of_type(child, depth)?);
            hasher.write_u64(self.shape_of_type(child, depth)?);
        }
        Ok(not_reserved(hasher.finish()))
    }
}

fn hash(words: &[u64]) -> u64 {
    let mut hasher = FxHasher::default();
    for word in words {
        hasher.write_u64(*word);
    }
    not_reserved(hasher.finish())
}

fn hash_name(seed: u64, name: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write_u64(seed);
    hasher.write(name);
    not_reserved(hasher.finish())
}

/// 0 and 1 have meanings of their own.
fn not_reserved(hash: u64) -> u64 {
    hash | 2
}
