//! Groups and aggregates; equality of rows for `distinct` and set operations.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::rc::Rc;

use crate::lang::function::Aggregate;
use crate::value::{Reason, Value, compare};

/// A row's cells in a form that is equal exactly when the cells are (null equals null; numbers by value, whatever their type).
pub(super) fn key(cells: &[Value]) -> Vec<u8> {
    let mut key = Vec::new();
    for cell in cells {
        push_key(&mut key, cell);
    }
    key
}

fn push_key(key: &mut Vec<u8>, cell: &Value) {
    let mut tagged = |tag: u8, bytes: &[u8]| {
        key.push(tag);
        key.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        key.extend_from_slice(bytes);
    };
    match cell {
        Value::Null(_) => tagged(0, &[]),
        Value::Text(bytes) | Value::Bytes(bytes) => tagged(1, bytes),
        Value::Float(number) => tagged(2, &number.to_bits().to_le_bytes()),
        Value::Struct(value) => tagged(3, &value.address.get().to_le_bytes()),
        Value::List(values) => {
            tagged(4, &(values.len() as u64).to_le_bytes());
            for value in values.iter() {
                push_key(key, value);
            }
        }
        other => tagged(5, &other.as_integer().unwrap_or(0).to_le_bytes()),
    }
}

/// Rows without those that equal an earlier one.
pub(super) fn distinct(rows: Vec<Vec<Value>>, columns: usize) -> Vec<Vec<Value>> {
    let mut seen = std::collections::HashSet::new();
    rows.into_iter()
        .filter(|row| seen.insert(key(&row[..columns.min(row.len())])))
        .collect()
}

/// Rows that begin with the same `keys` cells, together, in the order of their first rows.
pub(super) fn groups(rows: Vec<Vec<Value>>, keys: usize) -> Vec<Vec<Vec<Value>>> {
    let mut numbers: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut groups: Vec<Vec<Vec<Value>>> = Vec::new();
    for row in rows {
        let number = *numbers
            .entry(key(&row[..keys.min(row.len())]))
            .or_insert(groups.len());
        if number == groups.len() {
            groups.push(Vec::new());
        }
        groups[number].push(row);
    }
    groups
}

/// An aggregate of values. Nulls are left out, except by `collect`, `first` and `last`.
pub(super) fn fold<'a>(
    aggregate: Aggregate,
    values: impl Iterator<Item = &'a Value> + Clone,
) -> Value {
    let known = values.clone().filter(|value| !value.is_null());
    match aggregate {
        Aggregate::Count => Value::Integer(known.count() as i128),
        Aggregate::Collect => Value::List(values.cloned().collect::<Rc<[Value]>>()),
        Aggregate::First => values
            .clone()
            .next()
            .cloned()
            .unwrap_or(Value::Null(Reason::Absent)),
        Aggregate::Last => values
            .last()
            .cloned()
            .unwrap_or(Value::Null(Reason::Absent)),
        Aggregate::Min => extreme(known, Ordering::Less),
        Aggregate::Max => extreme(known, Ordering::Greater),
        Aggregate::Sum => sum(known),
        Aggregate::Average => average(known),
    }
}

fn extreme<'a>(values: impl Iterator<Item = &'a Value>, wanted: Ordering) -> Value {
    let best = values.reduce(|best, value| {
        if compare(value, best) == Some(wanted) {
            value
        } else {
            best
        }
    });
    best.cloned().unwrap_or(Value::Null(Reason::Absent))
}

fn sum<'a>(values: impl Iterator<Item = &'a Value>) -> Value {
    let mut sum = Value::Integer(0);
    for value in values {
        sum = super::arithmetic::compute(crate::lang::ast::BinaryOperator::Add, sum, value.clone());
    }
    sum
}

fn average<'a>(values: impl Iterator<Item = &'a Value>) -> Value {
    let (mut count, mut sum) = (0u64, 0.0);
    for value in values {
        let number = match value {
            Value::Float(number) => *number,
            other => match other.as_integer() {
                Some(number) => number as f64,
                None => continue,
            },
        };
        count += 1;
        sum += number;
    }
    if count == 0 {
        Value::Null(Reason::Absent)
    } else {
        Value::Float(sum / count as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aggregates_leave_nulls_out() {
        let values = [
            Value::Integer(3),
            Value::Null(Reason::Absent),
            Value::Integer(5),
        ];
        assert_eq!(fold(Aggregate::Count, values.iter()), Value::Integer(2));
        assert_eq!(fold(Aggregate::Sum, values.iter()), Value::Integer(8));
        assert_eq!(fold(Aggregate::Average, values.iter()), Value::Float(4.0));
        assert_eq!(fold(Aggregate::Max, values.iter()), Value::Integer(5));
        assert!(fold(Aggregate::Min, [].iter()).is_null());
    }

    #[test]
    fn keys_are_equal_exactly_when_cells_are() {
        assert_eq!(key(&[Value::Integer(5)]), key(&[Value::Address(5)]));
        assert_ne!(key(&[Value::text("5")]), key(&[Value::Integer(5)]));
        assert_ne!(
            key(&[Value::text("a"), Value::text("bc")]),
            key(&[Value::text("ab"), Value::text("c")])
        );
        assert_eq!(
            key(&[Value::Null(Reason::Absent)]),
            key(&[Value::Null(Reason::Overflow)])
        );
    }
}
