//! Order and equality of values.

use std::cmp::Ordering;

use super::Value;

/// How two values are ordered, or `None` where one is null or they have no common order. Numbers, addresses, enumerators, booleans
/// and durations compare as numbers; text and bytes bytewise; lists element by element.
pub fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Null(_), _) | (_, Value::Null(_)) => None,
        (Value::Text(left) | Value::Bytes(left), Value::Text(right) | Value::Bytes(right)) => {
            Some(left.cmp(right))
        }
        (Value::Enumerator(_, Some(name)), Value::Text(text)) => Some(name.as_bytes().cmp(text)),
        (Value::Text(text), Value::Enumerator(_, Some(name))) => {
            Some((**text).cmp(name.as_bytes()))
        }
        (Value::List(left), Value::List(right)) => compare_lists(left, right),
        (Value::Float(left), Value::Float(right)) => left.partial_cmp(right),
        (Value::Float(left), right) => left.partial_cmp(&(right.as_integer()? as f64)),
        (left, Value::Float(right)) => (left.as_integer()? as f64).partial_cmp(right),
        (left, right) => Some(left.as_integer()?.cmp(&right.as_integer()?)),
    }
}

fn compare_lists(left: &[Value], right: &[Value]) -> Option<Ordering> {
    for (left, right) in left.iter().zip(right) {
        match compare(left, right)? {
            Ordering::Equal => {}
            unequal => return Some(unequal),
        }
    }
    Some(left.len().cmp(&right.len()))
}

/// Whether two values are the same for `distinct`, `group by` and set operations, where null equals null.
pub fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Null(_), Value::Null(_)) => true,
        (Value::Struct(left), Value::Struct(right)) => left == right,
        _ => compare(left, right) == Some(Ordering::Equal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Reason;

    #[test]
    fn numbers_of_all_kinds_compare() {
        assert_eq!(
            compare(&Value::Integer(5), &Value::Address(4)),
            Some(Ordering::Greater)
        );
        assert_eq!(
            compare(&Value::Float(1.5), &Value::Integer(2)),
            Some(Ordering::Less)
        );
        assert_eq!(
            compare(&Value::text("a"), &Value::text("b")),
            Some(Ordering::Less)
        );
        assert_eq!(
            compare(&Value::Null(Reason::Absent), &Value::Integer(0)),
            None
        );
        assert!(equal(
            &Value::Null(Reason::Absent),
            &Value::Null(Reason::Overflow)
        ));
        assert!(!equal(&Value::text("1"), &Value::Integer(1)));
    }
}
