//! Lines for standard output: written at once, and without what a terminal would obey.

use std::io::{self, Write};

use crate::report::Report;

/// Writes a text. Whoever reads it may go away before its end; names in a damaged file may hold anything.
pub(super) fn print(text: &str) -> Result<(), Report> {
    let clean = text.replace(
        |c: char| c.is_control() && c != '\n' && c != '\t',
        "\u{fffd}",
    );
    let mut out = io::stdout().lock();
    match out.write_all(clean.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.map_err(|error| {
            Report::error("cannot write to standard output").with_note(error.to_string())
        }),
    }
}

/// Writes a JSON value and a newline.
pub(super) fn print_json(value: &serde_json::Value) -> Result<(), Report> {
    print(&format!("{value:#}\n"))
}

/// Rows of cells in columns as wide as the longest cell; the first row names them. Columns whose number is in `right` are aligned to
/// the right.
pub(super) fn columns(rows: &[Vec<String>], right: &[usize]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            match right.contains(&column) {
                true => line.push_str(&format!("{cell:>width$}  ")),
                false => line.push_str(&format!("{cell:<width$}  ")),
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A number with its noun, in the plural where it is not one: `3 types`.
pub(super) fn counted(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}
