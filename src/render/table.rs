//! Rows → a table for people.
//!
//! A heading, a thin rule, a line a row; numbers are right-aligned. On a terminal the table fits its width: text wraps inside its
//! column, and where even that would leave columns too narrow to read, each row is written as a record. Elsewhere lines are as long
//! as they need to be, so that `grep` and `awk` see whole rows.

use std::io::{self, Write};

use comfy_table::{
    Attribute, Cell, CellAlignment, ColumnConstraint, ContentArrangement, ContentLineStyle,
    LineStyle, Table, TableStyle, Width,
};
use unicode_width::UnicodeWidthStr;

use super::cell::{is_pointer, write_cell};
use super::text::escape;
use super::{Options, plain, record};
use crate::profile::{Encoding, Type};
use crate::row::Rows;
use crate::value::{Value, ValueType};

/// Two spaces between columns (one of them padding), a thin rule below each heading.
const STYLE: TableStyle = TableStyle::new()
    .header_lines(ContentLineStyle::none().junction(' '))
    .header_separator(LineStyle::none().fill('─').junction(' '))
    .content_lines(ContentLineStyle::none().junction(' '));

/// Columns between two cells.
const GAP: usize = 2;

/// Text may be wrapped to this many columns, not to fewer.
const NARROWEST: usize = 16;

/// The most columns that a cell is given where lines are not limited; a longer one is cut visibly.
const LONGEST: usize = 60_000;

/// Columns of the terminal that standard output is; `None` where it is none or does not know (a serial line says 0).
pub fn terminal_width() -> Option<usize> {
    let width = Table::new().width().map(usize::from);
    width.filter(|width| *width >= NARROWEST)
}

/// Writes rows.
pub(super) fn write(rows: &Rows, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    if rows.schema.columns.is_empty() {
        return Ok(());
    }
    if record::is_print(rows) {
        return record::write_printed(rows, out);
    }
    if record::has_structs(rows) {
        return record::write(rows, out);
    }
    let columns = columns(rows);
    let needed: usize = columns.iter().map(|column| column.least + GAP).sum();
    match options.width {
        Some(width) if needed.saturating_sub(GAP) > width => record::write(rows, out),
        width if !options.color && fits(&columns, width) => {
            plain::write(&columns, rows.rows.len(), out)
        }
        _ => draw(rows, &columns, options, out),
    }
}

/// Whether nothing has to be wrapped.
fn fits(columns: &[Column], width: Option<usize>) -> bool {
    let whole: usize = columns.iter().map(|column| column.widest + GAP).sum();
    width.is_none_or(|width| whole.saturating_sub(GAP) <= width)
}

/// The texts of a column's cells, one after the other: hundreds of thousands of them are a few large allocations.
#[derive(Default)]
pub(super) struct Texts {
    all: String,
    /// Where each ends in `all`.
    ends: Vec<usize>,
}

impl Texts {
    fn push(&mut self, value: &Value, kind: &ValueType) {
        let start = self.all.len();
        write_cell(&mut self.all, value, kind);
        if self.all.len() - start > LONGEST {
            let short = shortened(&self.all[start..]);
            self.all.truncate(start);
            self.all.push_str(&short);
        }
        self.ends.push(self.all.len());
    }

    /// The text of a row's cell; empty where there is none.
    pub(super) fn get(&self, number: usize) -> &str {
        let start = number.checked_sub(1).map_or(0, |before| self.end(before));
        self.all.get(start..self.end(number)).unwrap_or_default()
    }

    fn end(&self, number: usize) -> usize {
        self.ends.get(number).copied().unwrap_or(self.all.len())
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).map(|number| self.get(number))
    }
}

/// What a column needs.
pub(super) struct Column {
    pub(super) heading: String,
    pub(super) cells: Texts,
    pub(super) right: bool,
    /// The width of its widest cell, and the width that it may be squeezed to.
    pub(super) widest: usize,
    least: usize,
}

pub(super) fn columns(rows: &Rows) -> Vec<Column> {
    let schema = rows.schema.columns.iter().enumerate();
    let columns = schema.map(|(number, column)| {
        let values = || rows.rows.iter().filter_map(|row| row.cells.get(number));
        let heading = escape(column.name.as_bytes()).into_owned();
        let mut cells = Texts::default();
        for value in values() {
            cells.push(value, &column.kind);
        }
        let widths = cells.iter().map(UnicodeWidthStr::width);
        let widest = widths.max().unwrap_or(0).max(heading.width()).max(1);
        let wraps = values().any(is_long_form);
        let least = if wraps {
            widest.min(NARROWEST.max(heading.width()))
        } else {
            widest
        };
        Column {
            heading,
            cells,
            right: is_right(values(), &column.kind),
            widest,
            least,
        }
    });
    columns.collect()
}

/// Whether a value may be wrapped.
fn is_long_form(value: &Value) -> bool {
    matches!(value, Value::Text(_) | Value::Bytes(_) | Value::List(_))
}

fn shortened(text: &str) -> String {
    let kept: String = text.chars().take(LONGEST / 2).collect();
    format!("{kept}… ({} bytes)", text.len())
}

/// Whether a column holds numbers: its values decide, and where all are null its type.
fn is_right<'v>(values: impl Iterator<Item = &'v Value>, kind: &ValueType) -> bool {
    let mut known = values.filter(|value| !value.is_null()).peekable();
    if known.peek().is_some() {
        known.all(|value| {
            matches!(
                value,
                Value::Integer(_) | Value::Float(_) | Value::Duration(_) | Value::Address(_)
            )
        })
    } else {
        is_number(kind)
    }
}

fn is_number(kind: &ValueType) -> bool {
    match kind {
        ValueType::Integer | ValueType::Float | ValueType::Duration => true,
        ValueType::Kernel(Type::Base(base)) => base.encoding != Encoding::Boolean,
        other => is_pointer(other),
    }
}

/// A table by comfy-table, which wraps and colours.
pub(super) fn draw(
    rows: &Rows,
    columns: &[Column],
    options: &Options,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(STYLE).force_no_tty();
    if options.color {
        table.enforce_styling();
    }
    let heading = |column: &Column| aligned(&column.heading, column).add_attribute(Attribute::Bold);
    table.set_header(columns.iter().map(heading));
    for (number, row) in rows.rows.iter().enumerate() {
        let cells = columns.iter().zip(&row.cells).map(|(column, value)| {
            let cell = aligned(column.cells.get(number), column);
            if value.is_null() {
                cell.add_attribute(Attribute::Dim)
            } else {
                cell
            }
        });
        table.add_row(cells);
    }
    arrange(&mut table, columns, options.width);
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn aligned(text: &str, column: &Column) -> Cell {
    let alignment = if column.right {
        CellAlignment::Right
    } else {
        CellAlignment::Left
    };
    Cell::new(text).set_alignment(alignment)
}

/// Gives columns that must not be wrapped the width that they need, and lets the others share the rest.
fn arrange(table: &mut Table, columns: &[Column], width: Option<usize>) {
    match width.and_then(|width| u16::try_from(width).ok()) {
        Some(width) => table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    for (number, column) in columns.iter().enumerate() {
        let Some(drawn) = table.column_mut(number) else {
            continue;
        };
        let padding = u16::from(number + 1 < columns.len());
        drawn.set_padding((0, padding));
        if column.least == column.widest {
            drawn.set_constraint(ColumnConstraint::ContentWidth);
        } else if let Ok(least) = u16::try_from(column.least) {
            let least = least.saturating_add(padding);
            drawn.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least)));
        }
    }
}
