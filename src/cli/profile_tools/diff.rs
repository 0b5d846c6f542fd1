//! `nettlp-profile diff`: what is different between two kernels, as text or as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::profile::{
    Change, Comparison, Difference, Header, LayoutProfile, Place, TypeChange, compare,
    compare_types,
};
use crate::report::Report;

use super::paper::{counted, print, print_json};
use super::{DiffArguments, Form, damaged, no_such_type, open, type_names};

pub(super) fn run(arguments: &DiffArguments) -> Result<u8, Report> {
    let first = open(&arguments.first)?;
    let second = open(&arguments.second)?;
    let compared = if arguments.types.is_empty() {
        compare(&first, &second)
    } else {
        let names = names(&first, &second, &arguments.types)?;
        compare_types(&first, &second, &names)
    };
    let comparison = compared.map_err(|error| damaged(&error))?;
    let depth = if !arguments.types.is_empty() {
        Depth::Types
    } else if arguments.all {
        Depth::Everything
    } else {
        Depth::Summary
    };
    let headers = (first.header(), second.header());
    match arguments.format {
        Form::Text => print(&as_text(headers, &comparison, depth))?,
        Form::Json => print_json(&as_json(headers, &comparison, depth))?,
    }
    Ok(0)
}

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    /// How many of what.
    Summary,
    /// Some types.
    Types,
    /// All types and symbols.
    Everything,
}

/// The types that are meant, by the names that either profile has for them.
fn names(
    first: &LayoutProfile,
    second: &LayoutProfile,
    wanted: &[String],
) -> Result<Vec<String>, Report> {
    let mut names = Vec::new();
    for wanted in wanted {
        let known = names.len();
        for profile in [first, second] {
            names.extend(type_names(profile, wanted).map_err(|error| damaged(&error))?);
        }
        if names.len() == known {
            return Err(
                no_such_type(second, wanted).with_note(format!("nor has {} one", first.name()))
            );
        }
    }
    Ok(names)
}

/// Numbers of differences.
#[derive(Default)]
struct Totals {
    added: usize,
    removed: usize,
    changed: usize,
    members_added: usize,
    members_removed: usize,
    members_moved: usize,
    members_retyped: usize,
}

impl Totals {
    fn of(comparison: &Comparison) -> Self {
        let mut totals = Self::default();
        for change in &comparison.types {
            match &change.change {
                Change::Added => totals.added += 1,
                Change::Removed => totals.removed += 1,
                Change::Changed(differences) => {
                    totals.changed += 1;
                    differences.iter().for_each(|found| totals.count(found));
                }
            }
        }
        totals
    }

    fn count(&mut self, difference: &Difference) {
        match difference {
            Difference::MemberAdded { .. } => self.members_added += 1,
            Difference::MemberRemoved { .. } => self.members_removed += 1,
            Difference::MemberMoved { .. } => self.members_moved += 1,
            Difference::MemberRetyped { .. } => self.members_retyped += 1,
            _ => {}
        }
    }
}

fn as_text(headers: (&Header, &Header), comparison: &Comparison, depth: Depth) -> String {
    let mut text = String::new();
    for (sign, header) in [("---", headers.0), ("+++", headers.1)] {
        let build_id = header.build_id.as_deref().unwrap_or("no build ID");
        let _ = writeln!(text, "{sign} {} ({build_id})", header.release);
    }
    if depth != Depth::Summary {
        for change in &comparison.types {
            push_type(change, &mut text);
        }
    }
    if depth == Depth::Everything {
        push_symbols(comparison, &mut text);
    }
    match depth {
        Depth::Types if comparison.types.is_empty() => text.push_str("no difference\n"),
        Depth::Types => {}
        Depth::Summary | Depth::Everything => push_summary(comparison, depth, &mut text),
    }
    text
}

fn push_type(change: &TypeChange, text: &mut String) {
    match &change.change {
        Change::Added => {
            let _ = writeln!(text, "+ {}", change.name);
        }
        Change::Removed => {
            let _ = writeln!(text, "- {}", change.name);
        }
        Change::Changed(differences) => {
            let size = differences.iter().find_map(|difference| match difference {
                Difference::Size { from, to } => Some(format!(": {from} -> {to} bytes")),
                _ => None,
            });
            let _ = writeln!(text, "~ {}{}", change.name, size.unwrap_or_default());
            for difference in differences {
                push_difference(difference, text);
            }
        }
    }
}

fn push_difference(difference: &Difference, text: &mut String) {
    let _ = match difference {
        // It is beside the name.
        Difference::Size { .. } => Ok(()),
        Difference::Meaning { from, to } => writeln!(text, "    {from} -> {to}"),
        Difference::MemberAdded { name, at, ty } => writeln!(text, "  + {name}: {at} {ty}"),
        Difference::MemberRemoved { name, at, ty } => writeln!(text, "  - {name}: {at} {ty}"),
        Difference::MemberMoved { name, from, to } => {
            writeln!(text, "    {name}: {from} -> {to}")
        }
        Difference::MemberRetyped { name, from, to } => {
            writeln!(text, "    {name}: {from} -> {to}")
        }
        Difference::EnumeratorAdded { name, value } => writeln!(text, "  + {name} = {value}"),
        Difference::EnumeratorRemoved { name, value } => writeln!(text, "  - {name} = {value}"),
        Difference::EnumeratorChanged { name, from, to } => {
            writeln!(text, "    {name} = {from} -> {to}")
        }
    };
}

fn push_symbols(comparison: &Comparison, text: &mut String) {
    for name in &comparison.symbols_removed {
        let _ = writeln!(text, "- symbol {name}");
    }
    for name in &comparison.symbols_added {
        let _ = writeln!(text, "+ symbol {name}");
    }
    for symbol in &comparison.symbols_retyped {
        let _ = writeln!(
            text,
            "~ symbol {}: {} -> {}",
            symbol.name, symbol.from, symbol.to
        );
    }
}

fn push_summary(comparison: &Comparison, depth: Depth, text: &mut String) {
    let totals = Totals::of(comparison);
    let _ = writeln!(
        text,
        "types:   {} the same, {} added, {} removed, {} changed",
        comparison.types_same, totals.added, totals.removed, totals.changed
    );
    let _ = writeln!(
        text,
        "members: {} added, {} removed, {} moved, {} retyped, in types of both",
        totals.members_added, totals.members_removed, totals.members_moved, totals.members_retyped
    );
    let _ = writeln!(
        text,
        "symbols: {} in both, {} added, {} removed, {} retyped",
        comparison.symbols_same,
        comparison.symbols_added.len(),
        comparison.symbols_removed.len(),
        comparison.symbols_retyped.len()
    );
    let differences = comparison.types.len();
    if depth == Depth::Summary && differences > 0 {
        let _ = writeln!(
            text,
            "name types to see what changed in them, or --all for {}",
            counted(differences, "difference")
        );
    }
}

fn as_json(headers: (&Header, &Header), comparison: &Comparison, depth: Depth) -> Value {
    let kernel = |header: &Header| json!({"release": header.release, "build_id": header.build_id});
    let totals = Totals::of(comparison);
    let mut value = json!({
        "a": kernel(headers.0),
        "b": kernel(headers.1),
        "summary": {
            "types_same": comparison.types_same,
            "types_added": totals.added,
            "types_removed": totals.removed,
            "types_changed": totals.changed,
            "members_added": totals.members_added,
            "members_removed": totals.members_removed,
            "members_moved": totals.members_moved,
            "members_retyped": totals.members_retyped,
        },
    });
    if depth != Depth::Types
        && let Some(summary) = value.get_mut("summary")
    {
        summary["symbols_same"] = comparison.symbols_same.into();
        summary["symbols_added"] = comparison.symbols_added.len().into();
        summary["symbols_removed"] = comparison.symbols_removed.len().into();
        summary["symbols_retyped"] = comparison.symbols_retyped.len().into();
    }
    if depth != Depth::Summary {
        value["types"] = comparison.types.iter().map(type_json).collect();
    }
    if depth == Depth::Everything {
        let retyped = comparison.symbols_retyped.iter();
        let retyped = retyped.map(|s| json!({"name": s.name, "from": s.from, "to": s.to}));
        value["symbols"] = json!({
            "added": comparison.symbols_added,
            "removed": comparison.symbols_removed,
            "retyped": retyped.collect::<Vec<_>>(),
        });
    }
    value
}

fn type_json(change: &TypeChange) -> Value {
    match &change.change {
        Change::Added => json!({"name": change.name, "change": "added"}),
        Change::Removed => json!({"name": change.name, "change": "removed"}),
        Change::Changed(differences) => json!({
            "name": change.name,
            "change": "changed",
            "differences": differences.iter().map(difference_json).collect::<Vec<_>>(),
        }),
    }
}

fn difference_json(difference: &Difference) -> Value {
    match difference {
        Difference::Size { from, to } => json!({"what": "size", "from": from, "to": to}),
        Difference::Meaning { from, to } => json!({"what": "meaning", "from": from, "to": to}),
        Difference::MemberAdded { name, at, ty } => {
            json!({"what": "member added", "name": name, "to": place_json(*at), "type": ty})
        }
        Difference::MemberRemoved { name, at, ty } => {
            json!({"what": "member removed", "name": name, "from": place_json(*at), "type": ty})
        }
        Difference::MemberMoved { name, from, to } => {
            json!({"what": "member moved", "name": name, "from": place_json(*from), "to": place_json(*to)})
        }
        Difference::MemberRetyped { name, from, to } => {
            json!({"what": "member retyped", "name": name, "from": from, "to": to})
        }
        // A value may not fit into the numbers that JSON readers have.
        Difference::EnumeratorAdded { name, value } => {
            json!({"what": "enumerator added", "name": name, "to": value.to_string()})
        }
        Difference::EnumeratorRemoved { name, value } => {
            json!({"what": "enumerator removed", "name": name, "from": value.to_string()})
        }
        Difference::EnumeratorChanged { name, from, to } => {
            json!({"what": "enumerator changed", "name": name, "from": from.to_string(), "to": to.to_string()})
        }
    }
}

fn place_json(place: Place) -> Value {
    match place.bits {
        Some(bits) => json!({"offset": place.offset, "bit": bits.offset, "bits": bits.size}),
        None => json!({"offset": place.offset}),
    }
}
