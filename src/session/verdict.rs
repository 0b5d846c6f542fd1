//! What came of checks, and the tables that tell it.

use std::rc::Rc;

use crate::lang::catalog::Check;
use crate::report::Report;
use crate::row::{Column, Row, Rows, Schema};
use crate::value::{Value, ValueType};

use super::output::Status;

/// Rows of a finding's own table; `walk NAME select *` shows all.
const MOST_ROWS: usize = 1000;

/// What came of one check.
pub(super) enum Verdict {
    /// What was looked for is not there; what was to be said about it.
    Clean(String),
    /// Rows, and what may be missing from them.
    Finding(Rows, String),
    /// What this kernel lacks.
    NotApplicable(String),
    /// Nothing was found, and not everything could be looked at.
    Incomplete(String),
    /// What is wrong with its text, whatever the kernel.
    Mistaken(Vec<Report>),
}

impl Verdict {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Clean(_) => "clean",
            Self::Finding(..) => "finding",
            Self::NotApplicable(_) => "not applicable",
            Self::Incomplete(_) => "incomplete",
            Self::Mistaken(_) => "mistaken",
        }
    }

    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Finding(rows, _) => rows.rows.len(),
            _ => 0,
        }
    }

    pub(super) fn why(&self) -> String {
        match self {
            Self::Clean(why)
            | Self::Finding(_, why)
            | Self::NotApplicable(why)
            | Self::Incomplete(why) => why.clone(),
            Self::Mistaken(reports) => in_words(reports),
        }
    }

    pub(super) fn status(&self) -> Status {
        match self {
            Self::Clean(_) | Self::NotApplicable(_) => Status::Complete,
            Self::Finding(..) => Status::Failed,
            Self::Incomplete(_) => Status::Incomplete,
            Self::Mistaken(_) => Status::Wrong,
        }
    }
}

/// What is told of a check's text, on one line; with the name that may be meant.
pub(super) fn in_words(reports: &[Report]) -> String {
    let words = reports.iter().map(|report| {
        let labels = report.labels.iter().map(|label| &label.message);
        let near = labels.filter(|label| label.starts_with("did you mean"));
        let parts = std::iter::once(&report.message).chain(&report.notes);
        let parts: Vec<&str> = parts.chain(near).map(String::as_str).collect();
        parts.join(": ")
    });
    words.collect::<Vec<_>>().join("; ")
}

/// What a check's text is, if it cannot be run: a mistake, or of what this kernel lacks.
pub(super) fn refused(reports: Vec<Report>) -> Verdict {
    match reports.iter().all(|report| report.lacks) {
        true => Verdict::NotApplicable(in_words(&reports)),
        false => Verdict::Mistaken(reports.into_iter().filter(|report| !report.lacks).collect()),
    }
}

/// Keeps the rows that are among others, which mostly come in the same order: each is looked for behind the last that was found.
pub(super) fn keep_those_in(rows: &mut Vec<Row>, others: &[Row]) {
    let mut next = 0;
    rows.retain(|row| {
        let (before, behind) = others.split_at(next);
        let found = behind.iter().position(|other| other == row);
        let found = found.map(|place| next + place);
        let found = found.or_else(|| before.iter().position(|other| other == row));
        next = found.map_or(next, |place| place + 1);
        found.is_some()
    });
}

/// One row a check.
pub(super) fn summary(verdicts: &[(String, Rc<Check>, Verdict)]) -> Rows {
    let columns = [
        ("check", ValueType::Text),
        ("verdict", ValueType::Text),
        ("findings", ValueType::Integer),
        ("why", ValueType::Text),
    ];
    let rows = verdicts.iter().map(|(name, _, verdict)| Row {
        cells: vec![
            Value::text(name),
            Value::text(verdict.word()),
            Value::Integer(verdict.rows() as i128),
            Value::text(verdict.why()),
        ],
    });
    Rows {
        schema: Schema::new(columns.map(|(name, kind)| (name.to_owned(), kind))),
        rows: rows.collect(),
        incomplete: Vec::new(),
    }
}

pub(super) fn found_report(name: &str, check: &Check, rows: usize) -> Report {
    let mut report = Report::error(format!(
        "the check `{name}` found {rows} {}",
        if rows == 1 { "row" } else { "rows" }
    ));
    for text in [&check.doc, &check.meaning] {
        if !text.is_empty() {
            report = report.with_note(text.clone());
        }
    }
    if rows > MOST_ROWS {
        report = report.with_note(format!(
            "the first {MOST_ROWS} are shown; `walk {name} select *` shows all"
        ));
    }
    report
}

/// The rows of a finding, each with the check that found it: so they can be told apart where tables follow each other.
pub(super) fn own_table(name: &str, rows: &Rows) -> Rows {
    let mark = Column {
        name: "check".to_owned(),
        kind: ValueType::Text,
    };
    let columns = std::iter::once(mark).chain(rows.schema.columns.iter().cloned());
    let marked = rows.rows.iter().take(MOST_ROWS).map(|row| Row {
        cells: std::iter::once(Value::text(name))
            .chain(row.cells.iter().cloned())
            .collect(),
    });
    Rows {
        schema: Schema::new(columns.map(|column| (column.name, column.kind))),
        rows: marked.collect(),
        incomplete: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(numbers: impl IntoIterator<Item = i128>) -> Vec<Row> {
        let row = |number| Row {
            cells: vec![Value::Integer(number)],
        };
        numbers.into_iter().map(row).collect()
    }

    #[test]
    fn what_is_there_both_times_is_kept_in_whatever_order() {
        for (first, again, kept) in [
            (vec![1, 2, 3], vec![1, 2, 3], vec![1, 2, 3]),
            (vec![1, 2, 3], vec![3, 1], vec![1, 3]),
            (vec![1, 1, 2], vec![2, 1], vec![1, 1, 2]),
            (vec![1], vec![], vec![]),
        ] {
            let mut found = rows(first);
            keep_those_in(&mut found, &rows(again));
            assert_eq!(found, rows(kept));
        }
    }

    #[test]
    fn many_rows_are_looked_for_again_in_no_time() {
        let mut found = rows(0..200_000);
        let start = std::time::Instant::now();
        keep_those_in(&mut found, &rows(0..200_000));
        assert_eq!(found.len(), 200_000);
        assert!(start.elapsed() < std::time::Duration::from_secs(2));
    }
}
