//! Rows and reports → table, tree, JSON, NDJSON, CSV, Arrow, Parquet.
//!
//! Everything that comes from the target is escaped before it reaches a stream, whether that is a terminal or not: a process can
//! call itself anything. This room writes to the writer that it is given and knows no streams of its own.

mod cell;
mod columnar;
mod comma;
mod format;
mod json;
mod nulls;
mod plain;
mod record;
mod report;
mod table;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_columnar;
pub mod text;

use std::io::{self, Write};

pub use format::{Format, UnknownFormat};
pub use nulls::note_of_nulls;
pub use record::is_print;
pub use report::report;
pub use table::terminal_width;

use crate::row::Rows;

/// How a table is to look; the formats for programs do not depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Columns of the terminal; `None` where the output is no terminal: lines are as long as they need to be.
    pub width: Option<usize>,
    /// Whether headings are bold and nulls dim.
    pub color: bool,
}

/// Writes rows in a format.
pub fn rows(rows: &Rows, format: Format, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Table => table::write(rows, options, out),
        Format::Json => json::write_array(rows, out),
        Format::Ndjson => json::write_lines(rows, out),
        Format::Csv => comma::write(rows, out),
        Format::Arrow => columnar::write_stream(rows, out),
        Format::Parquet => columnar::write_parquet(rows, out),
    }
}

/// A duration in nanoseconds as NQ writes one: `1.5s`.
pub fn duration(nanoseconds: i128) -> String {
    cell::duration(nanoseconds)
}
