//! What data frames get: types, nested columns, and the same values from Arrow and from Parquet.

use std::rc::Rc;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt64Type};
use arrow_array::{Array, RecordBatch};
use arrow_ipc::reader::StreamReader;
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use proptest::prelude::*;

use super::tests::{any_rows, table_of};
use super::{Format, Options, rows};
use crate::addr::VirtAddr;
use crate::row::{Incomplete, Rows};
use crate::value::{Reason, StructValue, Value, ValueType};

fn written(value: &Rows, format: Format) -> Vec<u8> {
    let mut out = Vec::new();
    rows(value, format, &Options::default(), &mut out).unwrap();
    out
}

fn of_stream(value: &Rows) -> RecordBatch {
    let bytes = written(value, Format::Arrow);
    let mut batches = StreamReader::try_new(&bytes[..], None).unwrap();
    let batch = batches.next().unwrap().unwrap();
    assert!(batches.next().is_none());
    batch
}

/// `None` where there are no rows.
fn of_parquet(value: &Rows) -> Option<RecordBatch> {
    let bytes = bytes::Bytes::from(written(value, Format::Parquet));
    let mut batches = ParquetRecordBatchReader::try_new(bytes, 1 << 20).unwrap();
    batches.next().map(Result::unwrap)
}

fn column(kind: ValueType, values: Vec<Value>) -> Rows {
    table_of(
        &[("x", kind)],
        values.into_iter().map(|value| vec![value]).collect(),
    )
}

fn type_of(kind: ValueType, values: Vec<Value>) -> DataType {
    of_stream(&column(kind, values))
        .column(0)
        .data_type()
        .clone()
}

#[test]
fn columns_have_the_types_that_the_manual_promises() {
    let utf8 = DataType::Utf8;
    let cases = [
        (vec![Value::Boolean(true)], DataType::Boolean),
        (vec![Value::Integer(-1)], DataType::Int64),
        (vec![Value::Integer(1 << 63)], DataType::UInt64),
        (
            vec![Value::Integer(-1), Value::Integer(1 << 63)],
            DataType::Decimal128(20, 0),
        ),
        (
            vec![Value::Integer(1), Value::Float(0.5)],
            DataType::Float64,
        ),
        (vec![Value::text("a"), Value::text(b"\xff")], utf8.clone()),
        (vec![Value::Enumerator(1, Some("A".into()))], utf8.clone()),
        (vec![Value::Bytes(Rc::from([0_u8, 255]))], DataType::Binary),
        (vec![Value::Address(1)], DataType::UInt64),
        (vec![Value::text("a"), Value::Integer(1)], utf8.clone()),
    ];
    for (values, expected) in cases {
        let told = format!("{values:?}");
        assert_eq!(type_of(ValueType::Any, values), expected, "{told}");
    }
    assert_eq!(type_of(ValueType::Integer, vec![]), DataType::Int64);
    let nothing = vec![Value::Null(Reason::Absent)];
    assert_eq!(type_of(ValueType::Boolean, nothing), DataType::Boolean);
}

#[test]
fn values_are_the_targets() {
    let batch = of_stream(&column(
        ValueType::Text,
        vec![
            Value::text(b"sh\xffell"),
            Value::Null(Reason::NullPointer),
            Value::text("\u{1b}[2J"),
        ],
    ));
    let texts: Vec<_> = batch.column(0).as_string::<i32>().iter().collect();
    assert_eq!(texts, [Some("sh\\xffell"), None, Some("\u{1b}[2J")]);
}

#[test]
fn lists_and_structs_are_nested() {
    let object = |pid| {
        Value::Struct(Rc::new(StructValue {
            type_name: "struct pair".to_owned(),
            address: VirtAddr::new(0),
            members: vec![
                (Arc::from("pid"), Value::Integer(pid)),
                (Arc::from("mm"), Value::Address(7)),
            ],
        }))
    };
    let list = |values: Vec<Value>| Value::List(Rc::from(values));
    let values = vec![
        list(vec![object(1), object(2)]),
        Value::Null(Reason::Absent),
        list(vec![]),
        list(vec![object(3), Value::Null(Reason::Absent)]),
    ];
    let batch = of_stream(&column(ValueType::Any, values));
    let lists = batch.column(0).as_list::<i32>();
    let lengths: Vec<_> = lists
        .iter()
        .map(|list| list.map(|list| list.len()))
        .collect();
    assert_eq!(lengths, [Some(2), None, Some(0), Some(2)]);
    let objects = lists.values().as_struct();
    let pids = objects.column_by_name("pid").unwrap();
    let pids: Vec<_> = pids.as_primitive::<Int64Type>().iter().collect();
    assert_eq!(pids, [Some(1), Some(2), Some(3), None]);
    let spaces = objects.column_by_name("mm").unwrap();
    assert_eq!(spaces.as_primitive::<UInt64Type>().value(0), 7);
    assert!(objects.is_null(3));
}

#[test]
fn what_is_incomplete_is_in_the_metadata() {
    let mut rows = column(ValueType::Integer, vec![Value::Integer(1)]);
    rows.incomplete.push(Incomplete {
        walk: "tasks".to_owned(),
        why: "not in the RAM map".to_owned(),
    });
    let expected = "tasks: not in the RAM map";
    let stream = of_stream(&rows).schema();
    assert_eq!(stream.metadata().get("incomplete").unwrap(), expected);
    let bytes = bytes::Bytes::from(written(&rows, Format::Parquet));
    let file = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    let notes = file.metadata().file_metadata().key_value_metadata();
    let told = notes.unwrap().iter().find(|note| note.key == "incomplete");
    assert_eq!(told.unwrap().value.as_deref(), Some(expected));
}

proptest! {
    #[test]
    fn parquet_of_anything_holds_what_arrow_holds(value in any_rows()) {
        let stream = of_stream(&value);
        prop_assert_eq!(stream.num_rows(), value.rows.len());
        match of_parquet(&value) {
            Some(parquet) => prop_assert_eq!(stream.columns(), parquet.columns()),
            None => prop_assert_eq!(stream.num_rows(), 0),
        }
    }
}
