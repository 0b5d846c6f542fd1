//! The types of one unit as a graph: references followed, anonymous types named.
//!
//! Where units refer to each other (type units, link-time optimisation, dwz) the graph holds all of them: what an anonymous type is called
//! may be told by any unit, and must not depend on which was read first.

use std::collections::HashSet;

use crate::generate::definition::Space;
use crate::generate::error::{DwarfProblem, GenerateError};

use super::entry::{Entry, Kind, Memory, NOTHING, Owner, Reference, UnitTable};
use super::scan::scan;
use super::units::Units;

/// Types in types (arrays of typedefs of structs of …) that are followed.
pub(super) const MAX_DEPTH: u32 = 200;

/// Entries of all units together, where they must be held together.
const MAX_ENTRIES: usize = 8 << 20;

/// Members and parts of types' spellings that one processor makes of all units. A kernel has a few hundred thousand; but a few bytes of debug
/// information can ask for thousands of each, again and again.
const MAX_PARTS: usize = 8 << 20;

/// Bytes of a name that count as one of them.
pub(super) const BYTES_AS_DEAR_AS_A_PART: usize = 32;

/// What anonymous types are called after, most telling first.
const OWNERS: [Kind; 3] = [Kind::Typedef, Kind::Member, Kind::Variable];

/// An entry of a table of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub(super) slot: u32,
    pub(super) entry: u32,
}

/// One unit's types, or all units'.
#[derive(Debug)]
pub(super) struct Graph<'u, 'a> {
    units: &'u Units<'a>,
    /// Declared variables that are kept.
    wanted: &'u HashSet<&'u [u8]>,
    /// One, or one for each unit.
    tables: Vec<UnitTable<'a>>,
    /// How much has been made of all that was loaded, in parts of types.
    spent: usize,
}

impl<'u, 'a> Graph<'u, 'a> {
    /// A graph of nothing.
    pub(super) fn new(units: &'u Units<'a>, wanted: &'u HashSet<&'u [u8]>) -> Self {
        Self {
            units,
            wanted,
            tables: Vec::new(),
            spent: 0,
        }
    }

    /// Notes that some more is made, of an entry.
    pub(super) fn spend(&mut self, node: Node, parts: usize) -> Result<(), GenerateError> {
        self.spent = self.spent.saturating_add(parts);
        match self.spent > MAX_PARTS {
            true => Err(self.error(
                node,
                DwarfProblem::TooMany {
                    what: "members and parts of types",
                    limit: MAX_PARTS,
                },
            )),
            false => Ok(()),
        }
    }

    /// Makes it the graph of one unit. Gives whether the unit refers to others: then this graph is of no use.
    pub(super) fn load(&mut self, unit: usize) -> Result<bool, GenerateError> {
        let mut table = self.tables.pop().unwrap_or_default();
        scan(self.units, unit, self.wanted, &mut table)?;
        let refers_to_others = table.entries.iter().any(refers_to_other_unit);
        self.tables = vec![table];
        if !refers_to_others {
            self.name_anonymous_types()?;
        }
        Ok(refers_to_others)
    }

    /// Makes it the graph of all units; their slots are their numbers.
    pub(super) fn load_all(&mut self) -> Result<(), GenerateError> {
        self.tables.clear();
        let mut entries = 0;
        for unit in 0..self.units.headers.len() {
            let mut table = UnitTable::searched();
            scan(self.units, unit, self.wanted, &mut table)?;
            entries += table.entries.len();
            if entries > MAX_ENTRIES {
                let (section, offset) = self.units.place(unit);
                let problem = DwarfProblem::TooMany {
                    what: "types and members in units that refer to each other",
                    limit: MAX_ENTRIES,
                };
                return Err(GenerateError::Dwarf {
                    section,
                    offset,
                    problem,
                });
            }
            self.tables.push(table);
        }
        self.name_anonymous_types()
    }

    pub(super) fn table(&self, slot: u32) -> Option<&UnitTable<'a>> {
        self.tables.get(slot as usize)
    }

    pub(super) fn entry(&self, node: Node) -> Option<&Entry<'a>> {
        self.table(node.slot)?.entries.get(node.entry as usize)
    }

    pub(super) fn memory(&mut self, node: Node) -> Option<&mut Memory> {
        let table = self.tables.get_mut(node.slot as usize)?;
        table.memory.get_mut(node.entry as usize)
    }

    pub(super) fn remembered(&self, node: Node) -> Memory {
        let table = self.table(node.slot);
        let memory = table.and_then(|table| table.memory.get(node.entry as usize));
        memory.copied().unwrap_or_default()
    }

    /// An error at an entry.
    pub(super) fn error(&self, node: Node, problem: DwarfProblem) -> GenerateError {
        let table = self.table(node.slot);
        let offset = self.entry(node).map_or(0, |entry| u64::from(entry.offset));
        GenerateError::Dwarf {
            section: table.map_or(".debug_info", |table| table.section),
            offset: table.map_or(0, |table| table.section_offset) + offset,
            problem,
        }
    }

    /// The entry that an entry's type reference leads to; `None` for `void`. Declarations by signature are followed.
    pub(super) fn target(&mut self, from: Node) -> Result<Option<Node>, GenerateError> {
        let Some(entry) = self.entry(from) else {
            return Ok(None);
        };
        let reference = entry.ty;
        let Some(node) = self.find(from, reference)? else {
            return Ok(None);
        };
        // In a unit that uses type units, a struct is a declaration that refers to its definition.
        match self.entry(node).map(|entry| (entry.kind, entry.ty)) {
            Some((Kind::Struct | Kind::Union, signature @ Reference::Signature(_))) => {
                self.find(node, signature)
            }
            _ => Ok(Some(node)),
        }
    }

    fn find(&mut self, from: Node, reference: Reference) -> Result<Option<Node>, GenerateError> {
        let (slot, offset, told) = match reference {
            Reference::None => return Ok(None),
            Reference::Entry(entry) => {
                let slot = from.slot;
                return Ok(Some(Node { slot, entry }));
            }
            Reference::Unit(offset) => (from.slot, offset, u64::from(offset)),
            Reference::Section(told)
            | Reference::Supplementary(told)
            | Reference::Signature(told) => {
                let found = match reference {
                    Reference::Signature(signature) => self.units.by_signature(signature),
                    Reference::Supplementary(offset) => self.units.at_section_offset(offset, true),
                    _ => {
                        let is_there = self
                            .table(from.slot)
                            .is_some_and(|table| table.is_supplementary);
                        self.units.at_section_offset(told, is_there)
                    }
                };
                let Some((unit, offset)) = found else {
                    return Err(self.error(from, DwarfProblem::DanglingReference(told)));
                };
                (u32::try_from(unit).unwrap_or(NOTHING), offset, told)
            }
        };
        let found = self.table(slot).and_then(|table| table.find(offset));
        match found {
            Some(entry) => Ok(Some(Node { slot, entry })),
            None => Err(self.error(from, DwarfProblem::DanglingReference(told))),
        }
    }

    /// The type of an entry without `const` and its like.
    pub(super) fn unqualified(&mut self, from: Node) -> Result<Option<Node>, GenerateError> {
        let mut node = from;
        for _ in 0..MAX_DEPTH {
            match self.target(node)? {
                Some(target) if self.kind(target) == Some(Kind::Qualifier) => node = target,
                other => return Ok(other),
            }
        }
        Err(self.error(from, DwarfProblem::TypeCycle))
    }

    pub(super) fn kind(&self, node: Node) -> Option<Kind> {
        self.entry(node).map(|entry| entry.kind)
    }

    /// Gives anonymous types the name of the typedef, else of the member, else of the variable that they are the type of.
    fn name_anonymous_types(&mut self) -> Result<(), GenerateError> {
        for kind in OWNERS {
            for slot in 0..u32::try_from(self.tables.len()).unwrap_or(NOTHING) {
                let count = self.table(slot).map_or(0, |table| table.entries.len());
                for entry in 0..u32::try_from(count).unwrap_or(NOTHING) {
                    let owner = Node { slot, entry };
                    if self.kind(owner) == Some(kind) {
                        self.claim(owner)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Makes an entry the owner of the anonymous type that its type is, or is made of.
    fn claim(&mut self, owner: Node) -> Result<(), GenerateError> {
        let Some(entry) = self.entry(owner) else {
            return Ok(());
        };
        let (kind, is_named) = (entry.kind, !entry.name.is_empty());
        let mut node = owner;
        for _ in 0..MAX_DEPTH {
            let Some(target) = self.target(node)? else {
                return Ok(());
            };
            let Some(found) = self.entry(target) else {
                return Ok(());
            };
            match found.kind {
                // A typedef of a pointer to an anonymous struct may be the second name of a declaration: not its owner, unless nobody is.
                Kind::Qualifier | Kind::Array | Kind::Pointer => node = target,
                Kind::Struct | Kind::Union | Kind::Enumeration if found.name.is_empty() => {
                    let claimed = Owner::Named {
                        slot: owner.slot,
                        entry: owner.entry,
                    };
                    let Node { slot, entry } = owner;
                    let transparent = Owner::Transparent { slot, entry };
                    if let Some(memory) = self.memory(target)
                        && memory.owner == Owner::Nobody
                    {
                        memory.owner = match kind == Kind::Member && !is_named {
                            true => transparent,
                            false => claimed,
                        };
                    }
                    return Ok(());
                }
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    pub(super) fn owner(&self, node: Node) -> Owner {
        self.remembered(node).owner
    }

    /// What an anonymous type is called: the name that owns it, with the names of the aggregates that it is a member of. `None` where there
    /// is no name to start from.
    pub(super) fn path(&self, node: Node) -> Option<String> {
        let mut parts: Vec<&[u8]> = Vec::new();
        let mut node = node;
        for _ in 0..MAX_DEPTH {
            let entry = self.entry(node)?;
            if !entry.name.is_empty() && entry.kind.is_named_type() {
                parts.push(entry.name);
                break;
            }
            let (Owner::Named { slot, entry } | Owner::Transparent { slot, entry }) =
                self.owner(node)
            else {
                parts.push(self.first_enumerator(node)?);
                break;
            };
            let owner = self.entry(Node { slot, entry })?;
            if !owner.name.is_empty() {
                parts.push(owner.name);
            }
            if owner.kind != Kind::Member {
                break;
            }
            node = Node {
                slot,
                entry: owner.parent,
            };
        }
        parts.reverse();
        let parts: Vec<_> = parts.into_iter().map(String::from_utf8_lossy).collect();
        Some(format!("({})", parts.join(".")))
    }

    fn first_enumerator(&self, node: Node) -> Option<&'a [u8]> {
        let table = self.table(node.slot)?;
        let first = table.children(node.entry).next()?;
        let entry = table.entries.get(first as usize)?;
        (entry.kind == Kind::Enumerator).then_some(entry.name)
    }

    pub(super) fn children(&self, node: Node) -> Vec<Node> {
        let Some(table) = self.table(node.slot) else {
            return Vec::new();
        };
        let slot = node.slot;
        table
            .children(node.entry)
            .map(|entry| Node { slot, entry })
            .collect()
    }
}

fn refers_to_other_unit(entry: &Entry<'_>) -> bool {
    !matches!(
        entry.ty,
        Reference::None | Reference::Entry(_) | Reference::Unit(_)
    )
}

/// The space of names that a type's name is in.
pub(super) fn space_of(kind: Kind) -> Option<Space> {
    match kind {
        Kind::Base => Some(Space::Base),
        Kind::Typedef => Some(Space::Typedef),
        Kind::Enumeration => Some(Space::Enum),
        Kind::Struct => Some(Space::Struct),
        Kind::Union => Some(Space::Union),
        _ => None,
    }
}
