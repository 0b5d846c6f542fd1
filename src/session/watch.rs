//! `watch`: a query again and again, and what became of its rows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::lang::ast::{Literal, Watch};
use crate::report::{Report, SourceText};
use crate::row::{Column, Row, Rows, Schema};
use crate::value::{Value, ValueType};

use super::Session;
use super::output::{Output, Status};

/// How often Ctrl-C is looked for between two runs.
const LOOK: Duration = Duration::from_millis(20);

/// The shortest interval: more often than this a machine is not to be asked by mistake.
const SHORTEST: Duration = Duration::from_millis(1);

/// An interval as it is written: a duration, or whole seconds.
fn interval(written: &Literal) -> Option<Duration> {
    let interval = match written {
        Literal::Duration { nanoseconds, .. } => Duration::from_nanos(*nanoseconds),
        Literal::Integer { value, .. } => Duration::from_secs(*value),
        _ => return None,
    };
    (interval >= SHORTEST).then_some(interval)
}

/// What is wrong with an interval.
pub(super) fn check_interval(source: &Arc<SourceText>, watch: &Watch) -> Result<(), Report> {
    let (written, span) = &watch.interval;
    match interval(written) {
        Some(_) => Ok(()),
        None => Err(Report::error("this is no interval")
            .at(source, (*span).into(), "")
            .with_hint("write for example `500ms`, `2s` or `1m`; at least 1ms")),
    }
}

impl Session {
    pub(super) fn watch(
        &mut self,
        source: &Arc<SourceText>,
        watch: &Watch,
        output: &mut dyn Output,
    ) -> Result<Status, Status> {
        let interval = interval(&watch.interval.0).unwrap_or(SHORTEST);
        let mut left = match &watch.times {
            Some(times) => Some(self.number(source, times, output)?),
            None => None,
        };
        let mut before: Option<Rows> = None;
        let mut worst = Status::Complete;
        while left != Some(0) {
            let begun = Instant::now();
            let (rows, status) = self.rows(source, &watch.query, output)?;
            worst = worst.max(status);
            if watch.diff {
                let changed = changes(before.as_ref(), &rows);
                if before.is_none() || !changed.rows.is_empty() {
                    output.rows(&changed, &self.settings);
                }
                before = Some(rows);
            } else {
                output.rows(&rows, &self.settings);
            }
            left = left.map(|left| left - 1);
            if left == Some(0) || output.is_closed() || self.is_reached(source, watch, output)? {
                break;
            }
            if !self.sleep_until(begun + interval) {
                break;
            }
        }
        Ok(worst)
    }

    /// Whether what is watched for has happened.
    fn is_reached(
        &mut self,
        source: &Arc<SourceText>,
        watch: &Watch,
        output: &mut dyn Output,
    ) -> Result<bool, Status> {
        let Some(until) = &watch.until else {
            return Ok(false);
        };
        let values = self.values(source, std::slice::from_ref(until), output)?;
        Ok(values.first().and_then(|(_, _, value)| value.truth()) == Some(true))
    }

    /// Sleeps; whether nobody pressed Ctrl-C.
    fn sleep_until(&self, end: Instant) -> bool {
        loop {
            if self.cancel.load(Ordering::Relaxed) {
                return false;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(LOOK));
        }
    }
}

/// What names a row: its first cell, and the how-many-eth of that it is.
type Key = (String, usize);

fn keyed(rows: &Rows) -> BTreeMap<Key, &Row> {
    let mut seen = BTreeMap::new();
    let mut keyed = BTreeMap::new();
    for row in &rows.rows {
        let first = format!("{:?}", row.cells.first());
        let number = seen.entry(first.clone()).or_insert(0);
        keyed.insert((first, *number), row);
        *number += 1;
    }
    keyed
}

/// The rows that are new, changed or gone, with a first column that says which. Rows with the same first cell are the same row.
fn changes(before: Option<&Rows>, now: &Rows) -> Rows {
    let mark = Column {
        name: "change".to_owned(),
        kind: ValueType::Text,
    };
    let columns = std::iter::once(mark).chain(now.schema.columns.iter().cloned());
    let empty = Rows::default();
    let (old, new) = (keyed(before.unwrap_or(&empty)), keyed(now));
    let mut rows = Vec::new();
    let marked = |word: &str, row: &Row| Row {
        cells: std::iter::once(Value::text(word))
            .chain(row.cells.iter().cloned())
            .collect(),
    };
    for (key, row) in &old {
        if !new.contains_key(key) {
            rows.push(marked("gone", row));
        }
    }
    for (key, row) in &new {
        match old.get(key) {
            None => rows.push(marked("new", row)),
            Some(known) if known != row => rows.push(marked("changed", row)),
            Some(_) => {}
        }
    }
    Rows {
        schema: Schema {
            columns: columns.collect(),
        },
        rows,
        incomplete: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(cells: &[(i128, &str)]) -> Rows {
        let columns = [("pid", ValueType::Integer), ("state", ValueType::Text)];
        Rows {
            schema: Schema::new(columns.map(|(name, kind)| (name.to_owned(), kind))),
            rows: cells
                .iter()
                .map(|(pid, state)| Row {
                    cells: vec![Value::Integer(*pid), Value::text(state)],
                })
                .collect(),
            incomplete: Vec::new(),
        }
    }

    #[test]
    fn rows_are_new_changed_or_gone() {
        let changed = changes(
            Some(&rows(&[(1, "S"), (2, "R"), (3, "S")])),
            &rows(&[(1, "S"), (3, "D"), (4, "R"), (4, "Z")]),
        );
        let told: Vec<_> = changed
            .rows
            .iter()
            .map(|row| {
                row.cells
                    .iter()
                    .map(|cell| match cell {
                        Value::Text(text) => String::from_utf8_lossy(text).into_owned(),
                        other => format!("{}", other.as_integer().unwrap()),
                    })
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect();
        assert_eq!(told, ["gone 2 R", "changed 3 D", "new 4 R", "new 4 Z"]);
        assert_eq!(changed.schema.columns[0].name, "change");
        assert!(
            changes(Some(&rows(&[(1, "S")])), &rows(&[(1, "S")]))
                .rows
                .is_empty()
        );
    }

    #[test]
    fn intervals_are_durations_or_seconds() {
        let seconds = |value| Literal::Integer {
            value,
            notation: crate::lang::ast::Notation::Decimal,
        };
        assert_eq!(interval(&seconds(2)), Some(Duration::from_secs(2)));
        assert_eq!(interval(&seconds(0)), None);
        assert_eq!(interval(&Literal::Boolean(true)), None);
    }
}
