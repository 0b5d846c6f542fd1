//! Rows → JSON.
//!
//! Integers are numbers up to ±2^53 (RFC 8259, section 6: beyond that readers disagree) and strings of digits beyond; addresses
//! are strings `"0x…"`; durations are nanoseconds; enumerators are their names, or their number where the type has no name for
//! it; bytes are strings of hexadecimal digits; a null is `null`. Text is UTF-8; bytes that are not are written as `\xNN`.
//! Numbers that JSON does not have are the strings `NaN`, `inf` and `-inf`.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::ser::{CompactFormatter, Formatter};

use super::cell::{address, hex, is_pointer};
use super::text::is_hidden;
use crate::row::{Row, Rows, Schema};
use crate::value::{Value, ValueType};

/// Integers from here on lose digits in readers that have only IEEE 754 doubles.
const EXACT: u128 = 1 << 53;

/// Writes one array, each row on its own line.
pub(super) fn write_array(rows: &Rows, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"[")?;
    for (number, row) in rows.rows.iter().enumerate() {
        out.write_all(if number == 0 { b"\n" } else { b",\n" })?;
        write_one(&JsonRow(&rows.schema, row), out)?;
    }
    out.write_all(if rows.rows.is_empty() {
        b"]\n"
    } else {
        b"\n]\n"
    })
}

/// Writes one object a line.
pub(super) fn write_lines(rows: &Rows, out: &mut dyn Write) -> io::Result<()> {
    for row in &rows.rows {
        write_one(&JsonRow(&rows.schema, row), out)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// A value by itself.
pub(super) fn text(value: &Value) -> io::Result<String> {
    let mut bytes = Vec::new();
    write_one(&JsonValue(value, &ValueType::Any), &mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn write_one(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(out, Careful(CompactFormatter));
    Ok(value.serialize(&mut serializer)?)
}

/// A row as an object.
struct JsonRow<'a>(&'a Schema, &'a Row);

impl Serialize for JsonRow<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.1.cells.len()))?;
        for (column, value) in self.0.columns.iter().zip(&self.1.cells) {
            object.serialize_entry(&column.name, &JsonValue(value, &column.kind))?;
        }
        object.end()
    }
}

/// A value of a column of this type.
struct JsonValue<'a>(&'a Value, &'a ValueType);

impl Serialize for JsonValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null(_) => serializer.serialize_unit(),
            Value::Boolean(truth) => serializer.serialize_bool(*truth),
            Value::Integer(number) if is_pointer(self.1) => {
                serializer.serialize_str(&address(*number))
            }
            Value::Integer(number) | Value::Duration(number) => integer(*number, serializer),
            Value::Float(number) if number.is_finite() => serializer.serialize_f64(*number),
            Value::Float(number) => serializer.serialize_str(&number.to_string()),
            Value::Text(bytes) => serializer.serialize_str(&unicode(bytes)),
            Value::Bytes(bytes) => serializer.serialize_str(&hex(bytes, "")),
            Value::Address(address) => serializer.serialize_str(&format!("{address:#x}")),
            Value::Enumerator(_, Some(name)) => serializer.serialize_str(name),
            Value::Enumerator(number, None) => integer(*number, serializer),
            Value::Place(place) => serializer.serialize_str(&format!("{:#x}", place.address.get())),
            Value::Struct(object) => {
                let mut map = serializer.serialize_map(Some(object.members.len()))?;
                for (name, value) in &object.members {
                    map.serialize_entry(&**name, &JsonValue(value, &ValueType::Any))?;
                }
                map.end()
            }
            Value::List(values) => {
                let mut list = serializer.serialize_seq(Some(values.len()))?;
                for value in &**values {
                    list.serialize_element(&JsonValue(value, element(self.1)))?;
                }
                list.end()
            }
        }
    }
}

/// The type of a list's values.
pub(super) fn element(kind: &ValueType) -> &ValueType {
    match kind {
        ValueType::List(element) => element,
        _ => &ValueType::Any,
    }
}

fn integer<S: Serializer>(number: i128, serializer: S) -> Result<S::Ok, S::Error> {
    match i64::try_from(number) {
        Ok(small) if number.unsigned_abs() <= EXACT => serializer.serialize_i64(small),
        _ => serializer.serialize_str(&number.to_string()),
    }
}

/// The text, with bytes that are not UTF-8 written as `\xNN`.
pub(super) fn unicode(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    Cow::Owned(text)
}

/// JSON that shows nothing unexpected on a terminal: characters that a terminal obeys or does not show, and that JSON allows
/// unescaped (DEL, C1 controls, bidirectional overrides …), are written as `\uXXXX`. Readers get the same text.
struct Careful(CompactFormatter);

impl Formatter for Careful {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut shown = 0;
        for (position, character) in fragment
            .char_indices()
            .filter(|(_, character)| is_hidden(*character))
        {
            self.0
                .write_string_fragment(writer, fragment.get(shown..position).unwrap_or(""))?;
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            shown = position + character.len_utf8();
        }
        self.0
            .write_string_fragment(writer, fragment.get(shown..).unwrap_or(""))
    }
}
