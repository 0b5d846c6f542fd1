//! Rows → columns of Apache Arrow, as an IPC stream or a Parquet file.
//!
//! Integers are signed 64-bit, or unsigned where a value or the column's C type needs that, or decimals where neither is wide enough;
//! addresses and objects that have not been read are unsigned 64-bit; durations are Arrow's, in nanoseconds; enumerators are their
//! names; bytes are binary; lists and structs are nested. Text is UTF-8, with bytes that are not written as `\xNN`. A column whose
//! values are of several types is text, each value as JSON. A null is a null. Walks that stopped early are told in the schema's
//! metadata under `incomplete`, a line each.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, DurationNanosecondArray, Float64Array,
    Int64Array, ListArray, RecordBatch, RecordBatchOptions, StringArray, StructArray, UInt64Array,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, Field, Fields, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use super::cell::is_pointer;
use super::json;
use crate::profile::{Encoding, Type};
use crate::row::Rows;
use crate::value::{Value, ValueType};

/// Decimal digits of the widest integer that a value can be (2^64 - 1 has 20).
const DIGITS: u8 = 20;

/// The key of the schema's metadata under which incomplete walks are told.
const INCOMPLETE: &str = "incomplete";

/// Writes an Arrow IPC stream: schema, rows, end. Streams may follow one another.
pub(super) fn write_stream(rows: &Rows, out: &mut dyn Write) -> io::Result<()> {
    let batch = batch(rows)?;
    let mut writer = StreamWriter::try_new(out, batch.schema_ref()).map_err(io::Error::other)?;
    writer.write(&batch).map_err(io::Error::other)?;
    writer.finish().map_err(io::Error::other)
}

/// Writes a Parquet file, its pages compressed with zstd.
pub(super) fn write_parquet(rows: &Rows, out: &mut dyn Write) -> io::Result<()> {
    let batch = batch(rows)?;
    let told = batch.schema_ref().metadata().get(INCOMPLETE).cloned();
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(Default::default()))
        .set_key_value_metadata(told.map(|told| vec![KeyValue::new(INCOMPLETE.to_owned(), told)]))
        .build();
    // The library wants a writer that can go to another thread, which this one need not be.
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties))
        .map_err(io::Error::other)?;
    writer.write(&batch).map_err(io::Error::other)?;
    writer.close().map_err(io::Error::other)?;
    out.write_all(&file)
}

/// The rows as columns.
fn batch(rows: &Rows) -> io::Result<RecordBatch> {
    let mut fields = Vec::with_capacity(rows.schema.columns.len());
    let mut arrays = Vec::with_capacity(rows.schema.columns.len());
    for (number, column) in rows.schema.columns.iter().enumerate() {
        let cells = rows.rows.iter().map(|row| row.cells.get(number));
        let values: Vec<_> = cells
            .map(|cell| cell.filter(|cell| !cell.is_null()))
            .collect();
        let array = array(&values, &column.kind)?;
        fields.push(Field::new(&column.name, array.data_type().clone(), true));
        arrays.push(array);
    }
    let mut schema = Schema::new(fields);
    if !rows.incomplete.is_empty() {
        let told = rows.incomplete.iter();
        let told: Vec<_> = told
            .map(|walk| format!("{}: {}", walk.walk, walk.why))
            .collect();
        schema.metadata = HashMap::from([(INCOMPLETE.to_owned(), told.join("\n"))]).into();
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.rows.len()));
    RecordBatch::try_new_with_options(Arc::new(schema), arrays, &options).map_err(io::Error::other)
}

/// What a column's values are made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Boolean,
    Integer,
    Unsigned,
    Float,
    Text,
    Bytes,
    Duration,
    List,
    Struct,
    Mixed,
}

/// One column of values, `None` where there is none.
fn array(values: &[Option<&Value>], kind: &ValueType) -> io::Result<ArrayRef> {
    Ok(match class_of(values, kind) {
        Class::Boolean => {
            let truths = values.iter().map(|value| match value {
                Some(Value::Boolean(truth)) => Some(*truth),
                _ => None,
            });
            Arc::new(truths.collect::<BooleanArray>())
        }
        Class::Integer => integers(values, false)?,
        Class::Unsigned => integers(values, true)?,
        Class::Float => {
            let numbers = values.iter().map(|value| match value {
                Some(Value::Float(number)) => Some(*number),
                Some(Value::Integer(number)) => Some(*number as f64),
                _ => None,
            });
            Arc::new(numbers.collect::<Float64Array>())
        }
        Class::Text => {
            let texts = values.iter().map(|value| value.and_then(text_of));
            Arc::new(texts.collect::<StringArray>())
        }
        Class::Bytes => {
            let bytes = values.iter().map(|value| match value {
                Some(Value::Bytes(bytes)) => Some(bytes.to_vec()),
                _ => None,
            });
            Arc::new(bytes.collect::<BinaryArray>())
        }
        Class::Duration => {
            let numbers = values.iter().map(|value| value.and_then(small));
            Arc::new(numbers.collect::<DurationNanosecondArray>())
        }
        Class::List => list(values, kind)?,
        Class::Struct => structs(values)?,
        Class::Mixed => {
            let texts = values
                .iter()
                .map(|value| value.map(json::text).transpose())
                .collect::<io::Result<Vec<_>>>()?;
            Arc::new(StringArray::from(texts))
        }
    })
}

/// What all of the values are, or, where there are none, what the column's type says.
fn class_of(values: &[Option<&Value>], kind: &ValueType) -> Class {
    let mut present = values.iter().flatten();
    let Some(first) = present.next() else {
        return class_of_type(kind);
    };
    let class = class_of_value(first, kind);
    present.fold(class, |class, value| {
        match (class, class_of_value(value, kind)) {
            (class, other) if class == other => class,
            (Class::Integer, Class::Unsigned) | (Class::Unsigned, Class::Integer) => Class::Integer,
            (Class::Integer, Class::Float) | (Class::Float, Class::Integer) => Class::Float,
            _ => Class::Mixed,
        }
    })
}

fn class_of_value(value: &Value, kind: &ValueType) -> Class {
    match value {
        Value::Boolean(_) => Class::Boolean,
        Value::Integer(_) => match class_of_type(kind) {
            Class::Unsigned => Class::Unsigned,
            _ => Class::Integer,
        },
        Value::Float(_) => Class::Float,
        Value::Text(_) | Value::Enumerator(..) => Class::Text,
        Value::Bytes(_) => Class::Bytes,
        Value::Duration(number) if i64::try_from(*number).is_ok() => Class::Duration,
        Value::Address(_) | Value::Place(_) => Class::Unsigned,
        Value::List(_) => Class::List,
        Value::Struct(object) if object.members.is_empty() => Class::Mixed,
        Value::Struct(_) => Class::Struct,
        // A duration of centuries has no 64 bits for its nanoseconds.
        Value::Duration(_) | Value::Null(_) => Class::Mixed,
    }
}

fn class_of_type(kind: &ValueType) -> Class {
    match kind {
        ValueType::Boolean => Class::Boolean,
        ValueType::Integer => Class::Integer,
        ValueType::Float => Class::Float,
        ValueType::Bytes => Class::Bytes,
        ValueType::Duration => Class::Duration,
        ValueType::List(_) => Class::List,
        kind if is_pointer(kind) => Class::Unsigned,
        ValueType::Kernel(Type::Base(base)) => match base.encoding {
            Encoding::Boolean => Class::Boolean,
            Encoding::Float => Class::Float,
            Encoding::Unsigned if base.size >= 8 => Class::Unsigned,
            _ => Class::Integer,
        },
        ValueType::Any | ValueType::Text | ValueType::Kernel(_) => Class::Text,
    }
}

/// Integers as 64 bits, signed unless `unsigned` or a value asks for more; as decimals where neither kind holds all of them.
fn integers(values: &[Option<&Value>], unsigned: bool) -> io::Result<ArrayRef> {
    let numbers: Vec<_> = values
        .iter()
        .map(|value| value.and_then(Value::as_integer))
        .collect();
    let fits = |holds: fn(i128) -> bool| numbers.iter().flatten().all(|number| holds(*number));
    let is_signed = fits(|number| i64::try_from(number).is_ok());
    let is_unsigned = fits(|number| u64::try_from(number).is_ok());
    if is_unsigned && (unsigned || !is_signed) {
        let numbers = numbers.iter();
        let numbers = numbers.map(|number| number.and_then(|number| u64::try_from(number).ok()));
        return Ok(Arc::new(numbers.collect::<UInt64Array>()));
    }
    if is_signed {
        let numbers = numbers.iter();
        let numbers = numbers.map(|number| number.and_then(|number| i64::try_from(number).ok()));
        return Ok(Arc::new(numbers.collect::<Int64Array>()));
    }
    let decimals = Decimal128Array::from(numbers).with_precision_and_scale(DIGITS, 0);
    Ok(Arc::new(decimals.map_err(io::Error::other)?))
}

fn small(value: &Value) -> Option<i64> {
    i64::try_from(value.as_integer()?).ok()
}

/// Text, or an enumerator's name; its number where it has none.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Text(bytes) => Some(json::unicode(bytes).into_owned()),
        Value::Enumerator(_, Some(name)) => Some(name.to_string()),
        Value::Enumerator(number, None) => Some(number.to_string()),
        _ => None,
    }
}

/// Lists: where each ends, and all that is in them as one column.
fn list(values: &[Option<&Value>], kind: &ValueType) -> io::Result<ArrayRef> {
    let lists: Vec<Option<&[Value]>> = values
        .iter()
        .map(|value| match value {
            Some(Value::List(inside)) => Some(&**inside),
            _ => None,
        })
        .collect();
    let inside: Vec<_> = lists
        .iter()
        .flatten()
        .flat_map(|list| list.iter())
        .map(|value| Some(value).filter(|value| !value.is_null()))
        .collect();
    if i32::try_from(inside.len()).is_err() {
        return Err(io::Error::other("lists of more than 2^31 values"));
    }
    let inside = array(&inside, json::element(kind))?;
    let field = Arc::new(Field::new_list_field(inside.data_type().clone(), true));
    let lengths = lists.iter().map(|list| list.map_or(0, <[Value]>::len));
    let offsets = OffsetBuffer::from_lengths(lengths);
    let present: NullBuffer = lists.iter().map(Option::is_some).collect();
    nested(ListArray::try_new(field, offsets, inside, Some(present)))
}

/// Structs: a column for each member of the first of them, found by its place.
fn structs(values: &[Option<&Value>]) -> io::Result<ArrayRef> {
    let objects: Vec<_> = values
        .iter()
        .map(|value| match value {
            Some(Value::Struct(object)) => Some(object),
            _ => None,
        })
        .collect();
    let Some(first) = objects.iter().flatten().next() else {
        return Ok(Arc::new(StringArray::new_null(values.len())));
    };
    let mut fields = Vec::with_capacity(first.members.len());
    let mut arrays = Vec::with_capacity(first.members.len());
    for (number, (name, _)) in first.members.iter().enumerate() {
        let members = objects.iter().map(|object| {
            let (other, value) = object.as_ref()?.members.get(number)?;
            Some(value).filter(|value| other == name && !value.is_null())
        });
        let array = array(&members.collect::<Vec<_>>(), &ValueType::Any)?;
        fields.push(Field::new(&**name, array.data_type().clone(), true));
        arrays.push(array);
    }
    let present: NullBuffer = objects.iter().map(Option::is_some).collect();
    nested(StructArray::try_new(
        Fields::from(fields),
        arrays,
        Some(present),
    ))
}

fn nested<A: arrow_array::Array + 'static>(made: Result<A, ArrowError>) -> io::Result<ArrayRef> {
    Ok(Arc::new(made.map_err(io::Error::other)?))
}
