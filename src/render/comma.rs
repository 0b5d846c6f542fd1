//! Rows → comma-separated values.
//!
//! A line of column names, then a line a row. Text is escaped as in a table, so a record is always one line; a null is an empty
//! field; addresses are `0x…`, durations nanoseconds, bytes hexadecimal digits, lists and structs JSON.

use std::io::{self, Write};

use super::cell::{address, hex, is_pointer};
use super::json;
use super::text::escape;
use crate::row::Rows;
use crate::value::{Value, ValueType};

/// Writes rows.
pub(super) fn write(rows: &Rows, out: &mut dyn Write) -> io::Result<()> {
    let columns = &rows.schema.columns;
    if columns.is_empty() {
        return Ok(());
    }
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(out);
    let names = columns
        .iter()
        .map(|column| escape(column.name.as_bytes()).into_owned());
    writer.write_record(names)?;
    for row in &rows.rows {
        let fields = row.cells.iter().zip(columns);
        let fields = fields
            .map(|(value, column)| field(value, &column.kind))
            .collect::<io::Result<Vec<_>>>()?;
        writer.write_record(fields)?;
    }
    writer.flush()
}

fn field(value: &Value, kind: &ValueType) -> io::Result<String> {
    Ok(match value {
        Value::Null(_) => String::new(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Integer(number) if is_pointer(kind) => address(*number),
        Value::Integer(number) | Value::Duration(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Text(bytes) => escape(bytes).into_owned(),
        Value::Bytes(bytes) => hex(bytes, ""),
        Value::Address(address) => format!("{address:#x}"),
        Value::Enumerator(_, Some(name)) => escape(name.as_bytes()).into_owned(),
        Value::Enumerator(number, None) => number.to_string(),
        Value::Place(place) => format!("{:#x}", place.address.get()),
        Value::Struct(_) | Value::List(_) => json::text(value)?,
    })
}
