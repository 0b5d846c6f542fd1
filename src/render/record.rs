//! A row → its columns one below the other, structs as indented trees.
//!
//! For structs, which have no place in a column, and for rows that are wider than the terminal:
//!
//! ```text
//! init_task = struct task_struct at 0xffffffff8340c940 {
//!   .__state = 0,
//!   .comm = "swapper/0",
//! }
//! ```

use std::io::{self, Write};

use super::cell::{NULL, cell, entries, inner};
use super::text::escape;
use crate::row::{Row, Rows};
use crate::value::{Reason, StructValue, Value, ValueType};

/// Columns of the rows that `print` gives.
const PRINTED: [&str; 2] = ["expr", "value"];

/// Columns that a list may take on one line.
const LINE: usize = 100;

/// Whether these rows are those of a `print`.
pub fn is_print(rows: &Rows) -> bool {
    let names = rows
        .schema
        .columns
        .iter()
        .map(|column| column.name.as_str());
    names.eq(PRINTED)
}

/// Whether a cell holds a struct, itself or in a list.
pub(super) fn has_structs(rows: &Rows) -> bool {
    rows.rows
        .iter()
        .flat_map(|row| &row.cells)
        .any(holds_struct)
}

fn holds_struct(value: &Value) -> bool {
    match value {
        Value::Struct(_) => true,
        Value::List(values) => values.iter().any(holds_struct),
        _ => false,
    }
}

/// Writes each row of a `print` as `expression = value`.
pub(super) fn write_printed(rows: &Rows, out: &mut dyn Write) -> io::Result<()> {
    for row in &rows.rows {
        let [name, value] = row.cells.as_slice() else {
            continue;
        };
        let name = cell(name, &ValueType::Any);
        writeln!(out, "{name} = {}", tree(value, &ValueType::Any, 0))?;
    }
    Ok(())
}

/// Writes each row as `column = value` lines, names aligned, with an empty line between rows.
pub(super) fn write(rows: &Rows, out: &mut dyn Write) -> io::Result<()> {
    let names = rows
        .schema
        .columns
        .iter()
        .map(|column| escape(column.name.as_bytes()));
    let names: Vec<_> = names.collect();
    let width = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0);
    for (number, row) in rows.rows.iter().enumerate() {
        if number > 0 {
            writeln!(out)?;
        }
        write_row(rows, row, &names, width, out)?;
    }
    Ok(())
}

fn write_row<N: AsRef<str>>(
    rows: &Rows,
    row: &Row,
    names: &[N],
    width: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    for ((column, name), value) in rows.schema.columns.iter().zip(names).zip(&row.cells) {
        writeln!(
            out,
            "{:<width$} = {}",
            name.as_ref(),
            tree(value, &column.kind, 0)
        )?;
    }
    Ok(())
}

/// A value over as many lines as it needs; the first stands behind what is already on its line, the others are indented.
fn tree(value: &Value, kind: &ValueType, level: usize) -> String {
    match value {
        Value::Null(Reason::Absent) => NULL.to_owned(),
        Value::Null(reason) => format!(
            "{NULL} ({})",
            escape(reason.to_string().as_bytes()).into_owned()
        ),
        Value::Struct(object) => tree_of_struct(object, level),
        Value::List(values) => tree_of_list(values, level),
        Value::Text(_) if level > 0 => inner(value),
        other => cell(other, kind),
    }
}

fn tree_of_struct(object: &StructValue, level: usize) -> String {
    let indent = "  ".repeat(level);
    let name = escape(object.type_name.as_bytes());
    let mut text = format!("{name} at {:#x} {{\n", object.address.get());
    for (member, value) in &object.members {
        let member = escape(member.as_bytes());
        let value = tree(value, &ValueType::Any, level + 1);
        text.push_str(&format!("{indent}  .{member} = {value},\n"));
    }
    text.push_str(&format!("{indent}}}"));
    text
}

fn tree_of_list(values: &[Value], level: usize) -> String {
    let flat = !values.iter().any(holds_struct);
    let texts = if flat {
        entries(values)
    } else {
        values
            .iter()
            .map(|value| tree(value, &ValueType::Any, level + 1))
            .collect()
    };
    let length: usize = texts.iter().map(|text| text.chars().count() + 2).sum();
    if flat && length <= LINE {
        return format!("[{}]", texts.join(", "));
    }
    let indent = "  ".repeat(level);
    let lines = if flat { filled(&texts) } else { texts };
    let lines = lines.iter().map(|line| format!("{indent}  {line},\n"));
    format!("[\n{}{indent}]", lines.collect::<String>())
}

/// Short texts, as many on a line as fit.
fn filled(texts: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for text in texts {
        match lines.last_mut() {
            Some(line) if line.chars().count() + text.chars().count() + 2 <= LINE => {
                line.push_str(", ");
                line.push_str(text);
            }
            _ => lines.push(text.clone()),
        }
    }
    lines
}
