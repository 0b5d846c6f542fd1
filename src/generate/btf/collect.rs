//! The table → every type once, and the types of the variables that it tells.

use std::collections::hash_map::Entry as MapEntry;

use rustc_hash::FxHashMap;

use crate::generate::definition::{Space, Spelling};
use crate::generate::dwarf::Found;
use crate::generate::error::{BtfProblem, GenerateError};

use super::table::{Kind, Table, word};
use super::types::{Types, space_of};

/// Definitions that are made, those of anonymous types under every name that they have included.
const MAX_DEFINITIONS: usize = 1 << 18;

/// Everything that BTF tells.
#[derive(Debug, Default)]
pub(in crate::generate) struct Collected<'a> {
    /// In no particular order.
    pub(in crate::generate) types: Vec<Found<'a>>,
    pub(in crate::generate) variables: Vec<Variable<'a>>,
}

/// A variable that BTF tells the type of.
#[derive(Clone, Debug)]
pub(in crate::generate) struct Variable<'a> {
    pub(in crate::generate) name: &'a [u8],
    /// Bytes from the start of the per-CPU section, for those in it.
    pub(in crate::generate) percpu: Option<u64>,
    pub(in crate::generate) ty: Spelling<'a>,
}

/// The section of per-CPU variables.
const PERCPU: &[u8] = b".data..percpu";

/// Makes definitions of everything in the table.
pub(in crate::generate) fn collect<'a>(table: &Table<'a>) -> Result<Collected<'a>, GenerateError> {
    let mut types = Types::new(table)?;
    let references = count_references(table);
    let mut found: FxHashMap<(Space, String, u64), Found<'a>> = FxHashMap::default();
    let mut collected = Collected::default();
    let mut take = |types: &mut Types<'_, 'a>, number: u32, path: Option<&str>| {
        take(types, number, path, &references, &mut found)
    };
    let places = percpu_places(table);
    let numbers = 0..u32::try_from(table.records.len()).unwrap_or(u32::MAX);
    for number in numbers.clone() {
        let record = table.record_of(number)?;
        if record.kind == Kind::Variable {
            let owner = String::from_utf8_lossy(record.name).into_owned();
            let ty = types.spell(record.size_or_type, &owner)?;
            collected.variables.push(Variable {
                name: record.name,
                percpu: places.get(&number).copied(),
                ty,
            });
        } else if space_of(record.kind).is_some() && !record.name.is_empty() {
            take(&mut types, number, None)?;
        }
        while let Some((number, path)) = types.wanted.pop() {
            take(&mut types, number, Some(&path))?;
        }
    }
    // An enumeration is used for its enumerators too, whether or not anything has its type.
    for number in numbers {
        let record = table.record_of(number)?;
        let is_enumeration = matches!(record.kind, Kind::Enum | Kind::Enum64);
        let is_free = references.get(number as usize) == Some(&0) && !types.is_owned(number);
        if is_enumeration && record.name.is_empty() && is_free {
            let first = types.first_enumerator(number).map(|name| name.into_owned());
            if let Some(first) = first {
                take(&mut types, number, Some(&first))?;
            }
        }
    }
    collected.types = found.into_values().collect();
    Ok(collected)
}

fn take<'a>(
    types: &mut Types<'_, 'a>,
    number: u32,
    path: Option<&str>,
    references: &[u32],
    found: &mut FxHashMap<(Space, String, u64), Found<'a>>,
) -> Result<(), GenerateError> {
    if found.len() > MAX_DEFINITIONS {
        let problem = BtfProblem::TooMany {
            what: "definitions",
            limit: MAX_DEFINITIONS,
        };
        return Err(types.table.error(number, problem));
    }
    let shape = types.shape(number, 0)?;
    let Some(definition) = types.define(number, path)? else {
        return Ok(());
    };
    let units = references.get(number as usize).copied().unwrap_or(0);
    let key = (definition.space, definition.name.to_string(), shape);
    match found.entry(key) {
        MapEntry::Occupied(mut known) => {
            let units = known.get().units.saturating_add(units);
            known.get_mut().units = units;
        }
        MapEntry::Vacant(vacant) => {
            vacant.insert(Found {
                definition,
                shape,
                units,
                first: (0, number),
                source: format!("BTF type {number}").into(),
            });
        }
    }
    Ok(())
}

/// Where per-CPU variables are in their section.
fn percpu_places(table: &Table<'_>) -> FxHashMap<u32, u64> {
    let sections = table
        .records
        .iter()
        .filter(|record| record.kind == Kind::Section && record.name == PERCPU);
    let places = sections.flat_map(|section| {
        (0..section.count).filter_map(|index| {
            let variable = word(section.rest, index * 3)?;
            Some((variable, u64::from(word(section.rest, index * 3 + 1)?)))
        })
    });
    places.collect()
}

/// How many records refer to each.
fn count_references(table: &Table<'_>) -> Vec<u32> {
    let mut counts = vec![0_u32; table.records.len()];
    let mut count = |number: Option<u32>| {
        if let Some(count) = number.and_then(|number| counts.get_mut(number as usize)) {
            *count = count.saturating_add(1);
        }
    };
    for record in &table.records {
        match record.kind {
            Kind::Array => count(word(record.rest, 0)),
            Kind::Struct | Kind::Union => {
                (0..record.count).for_each(|index| count(word(record.rest, index * 3 + 1)));
            }
            Kind::Prototype => {
                count(Some(record.size_or_type));
                (0..record.count).for_each(|index| count(word(record.rest, index * 2 + 1)));
            }
            Kind::Pointer
            | Kind::Typedef
            | Kind::Volatile
            | Kind::Const
            | Kind::Restrict
            | Kind::Function
            | Kind::Variable
            | Kind::TypeTag => count(Some(record.size_or_type)),
            _ => {}
        }
    }
    counts
}
