//! Rows → a note on why cells are null.

use std::collections::BTreeMap;

use crate::memory::ReadFailure;
use crate::report::Report;
use crate::row::Rows;
use crate::value::{Reason, Value};
use crate::wave::Unreadable;

/// A note such as `3 cells are null: null pointer (2), not in the RAM map (1)`, the most frequent reason first. Cells that are null
/// because the query says so (`null`, an `optional` source without rows) are not counted; `None` where there are no others.
pub fn note_of_nulls(rows: &Rows) -> Option<Report> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for value in rows.rows.iter().flat_map(|row| &row.cells) {
        if let Value::Null(reason) = value
            && let Some(kind) = kind(reason)
        {
            *counts.entry(kind).or_default() += 1;
        }
    }
    let total: u64 = counts.values().sum();
    if total == 0 {
        return None;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let reasons = counts
        .iter()
        .map(|(kind, count)| format!("{kind} ({count})"));
    let reasons = reasons.collect::<Vec<_>>().join(", ");
    let cells = if total == 1 { "cell is" } else { "cells are" };
    Some(Report::note(format!("{total} {cells} null: {reasons}")))
}

/// The reason without the address that makes each one different.
fn kind(reason: &Reason) -> Option<String> {
    match reason {
        Reason::Absent => None,
        Reason::Unreadable(Unreadable::Memory {
            failure: ReadFailure::NotIssued,
            ..
        }) => Some(reason.to_string()),
        Reason::Unreadable(Unreadable::Memory { failure, .. }) => Some(failure.to_string()),
        Reason::Unreadable(Unreadable::Translation { failure, .. }) => {
            // `not mapped: PTE entry 0x… is not present`: the words before the colon are the kind.
            let text = failure.to_string();
            Some(text.split(':').next().unwrap_or_default().to_owned())
        }
        Reason::Unreadable(Unreadable::Wraps { .. }) => {
            Some("past the end of the address space".to_owned())
        }
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::PhysAddr;
    use crate::row::{Row, Schema};
    use crate::value::ValueType;

    fn rows(cells: Vec<Value>) -> Rows {
        let schema = Schema::new([("x".to_owned(), ValueType::Any)]);
        let rows = cells
            .into_iter()
            .map(|cell| Row { cells: vec![cell] })
            .collect();
        Rows {
            schema,
            rows,
            incomplete: Vec::new(),
        }
    }

    fn unreadable(address: u64, failure: ReadFailure) -> Value {
        let address = PhysAddr::new(address);
        Value::unreadable(Unreadable::Memory { address, failure })
    }

    #[test]
    fn reasons_are_counted_whatever_their_addresses() {
        let cells = vec![
            Value::Null(Reason::NullPointer),
            unreadable(0x1000, ReadFailure::NotInRamMap),
            unreadable(0x2000, ReadFailure::NotInRamMap),
            Value::Null(Reason::Absent),
            Value::Integer(1),
        ];
        let note = note_of_nulls(&rows(cells)).unwrap();
        assert_eq!(
            note.message,
            "3 cells are null: not in the RAM map (2), null pointer (1)"
        );
    }

    #[test]
    fn nothing_to_explain_is_not_explained() {
        assert_eq!(
            note_of_nulls(&rows(vec![Value::Integer(1), Value::Null(Reason::Absent)])),
            None
        );
        let note = note_of_nulls(&rows(vec![Value::Null(Reason::Overflow)])).unwrap();
        assert_eq!(note.message, "1 cell is null: integer overflow (1)");
    }
}
