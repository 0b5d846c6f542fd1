//! Operators on values.

use crate::lang::ast::{BinaryOperator, UnaryOperator};
use crate::lang::typed::Conversion;
use crate::value::{Reason, Value, compare, equal};

use super::arithmetic;

pub(super) fn convert(conversion: &Conversion, operand: Value) -> Value {
    if operand.is_null() {
        return operand;
    }
    if let (Value::Float(number), Conversion::Float) = (&operand, conversion) {
        return Value::Float(*number);
    }
    let number = match &operand {
        Value::Float(number) => Some(*number as i128),
        other => other.as_integer(),
    };
    let Some(number) = number else {
        return Value::Null(Reason::OutOfRange);
    };
    match conversion {
        Conversion::Integer { bits, signed } => Value::Integer(truncated(number, *bits, *signed)),
        Conversion::Enumerator { bits, enumeration } => {
            let signed = enumeration.as_ref().is_none_or(|found| found.signed);
            let number = truncated(number, *bits, signed);
            let name = enumeration.as_ref().and_then(|found| found.name_of(number));
            Value::Enumerator(number, name.cloned())
        }
        Conversion::Boolean => Value::Boolean(number != 0),
        Conversion::Pointer => Value::Address(number as u64),
        Conversion::Float => Value::Float(number as f64),
    }
}

/// The lowest `bits` of a number, 1 to 64.
fn truncated(number: i128, bits: u32, signed: bool) -> i128 {
    let shift = 128 - bits.clamp(1, 64);
    let moved = number << shift;
    if signed {
        moved >> shift
    } else {
        ((moved as u128) >> shift) as i128
    }
}

pub(super) fn unary(operator: UnaryOperator, operand: Value) -> Value {
    match (operator, operand) {
        (_, Value::Null(reason)) => Value::Null(reason),
        (UnaryOperator::Not, operand) => match operand.truth() {
            Some(truth) => Value::Boolean(!truth),
            None => Value::Null(Reason::Absent),
        },
        (UnaryOperator::Negate, Value::Float(number)) => Value::Float(-number),
        (UnaryOperator::Negate, operand) => operand
            .as_integer()
            .map_or(Value::Null(Reason::OutOfRange), |n| Value::integer(-n)),
        (UnaryOperator::Complement, operand) => arithmetic::complement(&operand),
        (UnaryOperator::Dereference | UnaryOperator::AddressOf, operand) => operand,
    }
}

pub(super) fn binary(operator: BinaryOperator, left: Value, right: Value) -> Value {
    use std::cmp::Ordering;
    let ordered = |test: fn(Ordering) -> bool| match (&left, &right) {
        (Value::Null(reason), _) | (_, Value::Null(reason)) => Value::Null(reason.clone()),
        _ => Value::Boolean(compare(&left, &right).is_some_and(test)),
    };
    match operator {
        BinaryOperator::Equal => ordered(Ordering::is_eq),
        BinaryOperator::NotEqual => match ordered(Ordering::is_eq) {
            Value::Boolean(truth) => Value::Boolean(!truth),
            null => null,
        },
        BinaryOperator::Less => ordered(Ordering::is_lt),
        BinaryOperator::LessEqual => ordered(Ordering::is_le),
        BinaryOperator::Greater => ordered(Ordering::is_gt),
        BinaryOperator::GreaterEqual => ordered(Ordering::is_ge),
        BinaryOperator::Has => has(left, right),
        _ => arithmetic::compute(operator, left, right),
    }
}

/// `flags has BIT`: all bits of the right side are set; a list holds the value; a text contains the other.
pub(super) fn has(left: Value, right: Value) -> Value {
    match (&left, &right) {
        (Value::Null(reason), _) | (_, Value::Null(reason)) => Value::Null(reason.clone()),
        (Value::List(values), wanted) => {
            Value::Boolean(values.iter().any(|value| equal(value, wanted)))
        }
        (Value::Text(text) | Value::Bytes(text), Value::Text(part) | Value::Bytes(part)) => {
            Value::Boolean(
                part.is_empty() || text.windows(part.len()).any(|window| *window == **part),
            )
        }
        _ => match (left.as_integer(), right.as_integer()) {
            (Some(flags), Some(bit)) => Value::Boolean(flags & bit == bit),
            _ => Value::Null(Reason::OutOfRange),
        },
    }
}

pub(super) fn is_in(operand: &Value, members: &[Value]) -> Value {
    if operand.is_null() {
        return operand.clone();
    }
    if members
        .iter()
        .any(|member| compare(operand, member).is_some_and(std::cmp::Ordering::is_eq))
    {
        return Value::Boolean(true);
    }
    // An unknown member might have been the one.
    members
        .iter()
        .find(|member| member.is_null())
        .cloned()
        .unwrap_or(Value::Boolean(false))
}

pub(super) fn between(values: &[Value]) -> Value {
    let [operand, low, high] = values else {
        return Value::Null(Reason::Absent);
    };
    if let Some(null) = values.iter().find(|value| value.is_null()) {
        return null.clone();
    }
    let within = compare(operand, low).is_some_and(std::cmp::Ordering::is_ge)
        && compare(operand, high).is_some_and(std::cmp::Ordering::is_le);
    Value::Boolean(within)
}
