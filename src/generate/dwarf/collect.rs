//! All units → every type once, with how many units agree on it; and every variable at an address.
//!
//! Units are shared out to all processors, each taking the next unit in order. What each has found is merged by rules that do not
//! depend on which processor found it: counts add up, the definition of the first unit stays, the error of the first unit wins.

use std::borrow::Cow;
use std::collections::HashSet;
use std::collections::hash_map::Entry as MapEntry;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustc_hash::FxHashMap;

use crate::generate::definition::{Definition, Spelling};
use crate::generate::error::GenerateError;
use crate::generate::progress::Progress;

use super::entry::{Kind, NOTHING, Owner};
use super::graph::{Graph, Node};
use super::units::{Sections, Units};

/// A type as many units define it.
#[derive(Clone, Debug)]
pub(in crate::generate) struct Found<'a> {
    pub(in crate::generate) definition: Definition<'a>,
    /// See [`Spelling::Named`].
    pub(in crate::generate) shape: u64,
    /// How many units have it.
    pub(in crate::generate) units: u32,
    /// The first unit that has it, and where in it; unique.
    pub(in crate::generate) first: (usize, u32),
    /// The source file of that unit.
    pub(in crate::generate) source: Cow<'a, str>,
}

/// A variable that the debug information tells the type of.
#[derive(Clone, Debug)]
pub(in crate::generate) struct Variable<'a> {
    pub(in crate::generate) name: &'a [u8],
    /// Link address; `None` for a declaration without one.
    pub(in crate::generate) address: Option<u64>,
    pub(in crate::generate) ty: Spelling<'a>,
    /// Unit and offset; unique.
    pub(in crate::generate) place: (usize, u32),
}

/// Everything that the units tell.
#[derive(Debug, Default)]
pub(in crate::generate) struct Collected<'a> {
    /// In no particular order.
    pub(in crate::generate) types: Vec<Found<'a>>,
    /// In no particular order.
    pub(in crate::generate) variables: Vec<Variable<'a>>,
}

/// What one processor has found.
#[derive(Default)]
struct Share<'a> {
    /// By spelling and shape.
    types: FxHashMap<(u64, u64), Found<'a>>,
    variables: Vec<Variable<'a>>,
    /// The hashes of declared names that are in `variables`.
    declared: HashSet<&'a [u8]>,
    error: Option<(usize, GenerateError)>,
}

/// Reads all units. Types of variables that are only declared are collected for the names in `declared`.
pub(in crate::generate) fn collect<'a>(
    sections: &'a Sections,
    declared: &HashSet<&[u8]>,
    progress: &Progress,
) -> Result<Collected<'a>, GenerateError> {
    let units = Units::new(sections)?;
    let queue = Queue::default();
    progress.begin("collecting types", units.headers.len() as u64);
    let shares = rayon::broadcast(|_| work(&units, declared, &queue, progress));
    if !queue.is_connected.load(Ordering::Relaxed) {
        return merge(shares);
    }
    drop(shares);
    let mut share = Share::default();
    let mut graph = Graph::new(&units, declared);
    progress.begin("collecting types that units share", 0);
    graph.load_all()?;
    for unit in 0..units.headers.len() {
        share.take(&mut graph, unit, u32::try_from(unit).unwrap_or(NOTHING))?;
    }
    merge(vec![share])
}

/// What is left to do.
struct Queue {
    next: AtomicUsize,
    /// The first unit that could not be read. Units before it are still read: the first error is the one that is told.
    failed_at: AtomicUsize,
    /// Set when a unit refers to another: units cannot be read one by one.
    is_connected: AtomicBool,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            next: AtomicUsize::new(0),
            failed_at: AtomicUsize::new(usize::MAX),
            is_connected: AtomicBool::new(false),
        }
    }
}

/// Reads units, each on its own, until there are none left.
fn work<'a>(
    units: &Units<'a>,
    declared: &HashSet<&[u8]>,
    queue: &Queue,
    progress: &Progress,
) -> Share<'a> {
    let mut share = Share::default();
    let mut graph = Graph::new(units, declared);
    loop {
        let unit = queue.next.fetch_add(1, Ordering::Relaxed);
        let is_over = unit >= units.headers.len() || unit > queue.failed_at.load(Ordering::Relaxed);
        if is_over || queue.is_connected.load(Ordering::Relaxed) {
            return share;
        }
        progress.advance(1);
        let taken = match graph.load(unit) {
            Ok(false) => share.take(&mut graph, unit, 0),
            Ok(true) => {
                queue.is_connected.store(true, Ordering::Relaxed);
                return share;
            }
            Err(error) => Err(error),
        };
        if let Err(error) = taken {
            queue.failed_at.fetch_min(unit, Ordering::Relaxed);
            share.error = Some((unit, error));
            return share;
        }
    }
}

fn merge(shares: Vec<Share<'_>>) -> Result<Collected<'_>, GenerateError> {
    let mut first_error: Option<(usize, GenerateError)> = None;
    let mut all: FxHashMap<(u64, u64), Found<'_>> = FxHashMap::default();
    let mut variables = Vec::new();
    for share in shares {
        if let Some((unit, error)) = share.error
            && first_error.as_ref().is_none_or(|(first, _)| unit < *first)
        {
            first_error = Some((unit, error));
        }
        variables.extend(share.variables);
        if all.is_empty() {
            all = share.types;
            continue;
        }
        for (key, found) in share.types {
            match all.entry(key) {
                MapEntry::Vacant(vacant) => {
                    vacant.insert(found);
                }
                MapEntry::Occupied(mut known) => {
                    let units = known.get().units.saturating_add(found.units);
                    if found.first < known.get().first {
                        known.insert(found);
                    }
                    known.get_mut().units = units;
                }
            }
        }
    }
    match first_error {
        Some((_, error)) => Err(error),
        None => Ok(Collected {
            types: all.into_values().collect(),
            variables,
        }),
    }
}

impl<'a> Share<'a> {
    /// Adds what a unit, which is in a slot of the graph, tells.
    fn take(
        &mut self,
        graph: &mut Graph<'_, 'a>,
        unit: usize,
        slot: u32,
    ) -> Result<(), GenerateError> {
        let count = graph.table(slot).map_or(0, |table| table.items.len());
        for number in 0..count {
            let item = graph
                .table(slot)
                .and_then(|table| table.items.get(number))
                .copied();
            let node = Node {
                slot,
                entry: item.unwrap_or(NOTHING),
            };
            match graph.kind(node) {
                Some(Kind::Variable) => self.take_variable(graph, unit, node)?,
                Some(_) => self.take_type(graph, unit, node)?,
                None => {}
            }
        }
        Ok(())
    }

    fn take_type(
        &mut self,
        graph: &mut Graph<'_, 'a>,
        unit: usize,
        node: Node,
    ) -> Result<(), GenerateError> {
        let Some(entry) = graph.entry(node).copied() else {
            return Ok(());
        };
        let is_named = match graph.owner(node) {
            _ if !entry.name.is_empty() => true,
            Owner::Named { .. } => graph.path(node).is_some(),
            // Its members are those of the aggregate around it.
            Owner::Transparent { .. } => false,
            // An enumeration is used for its enumerators too.
            Owner::Nobody => entry.kind == Kind::Enumeration,
        };
        if entry.is_declaration || !is_named {
            return Ok(());
        }
        let key = (graph.spelling(node, 0)?, graph.shape(node, 0)?);
        match self.types.entry(key) {
            MapEntry::Occupied(mut known) => {
                let units = &mut known.get_mut().units;
                *units = units.saturating_add(1);
            }
            MapEntry::Vacant(vacant) => {
                if let Some(definition) = graph.define(node)? {
                    // Type units do not say which file they are from.
                    let source = match graph.table(node.slot).map_or(&[][..], |table| table.name) {
                        [] => &b"a type unit"[..],
                        name => name,
                    };
                    vacant.insert(Found {
                        definition,
                        shape: key.1,
                        units: 1,
                        first: (unit, entry.offset),
                        source: String::from_utf8_lossy(source),
                    });
                }
            }
        }
        Ok(())
    }

    fn take_variable(
        &mut self,
        graph: &mut Graph<'_, 'a>,
        unit: usize,
        node: Node,
    ) -> Result<(), GenerateError> {
        let Some(entry) = graph.entry(node).copied() else {
            return Ok(());
        };
        // One declaration of a name is enough; the merge keeps that of the first unit.
        if entry.name.is_empty() || !entry.has_value && !self.declared.insert(entry.name) {
            return Ok(());
        }
        self.variables.push(Variable {
            name: entry.name,
            address: entry.has_value.then_some(entry.value),
            ty: graph.spell_type_of(node)?,
            place: (unit, entry.offset),
        });
        Ok(())
    }
}
