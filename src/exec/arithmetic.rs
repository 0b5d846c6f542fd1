//! 64-bit checked arithmetic: what does not fit is null with its reason, never a wrap.

use std::rc::Rc;

use crate::lang::ast::BinaryOperator;
use crate::value::{Reason, Value};

/// `left operator right` for the arithmetic operators, and texts put together.
pub(super) fn compute(operator: BinaryOperator, left: Value, right: Value) -> Value {
    match (left, right) {
        (Value::Null(reason), _) | (_, Value::Null(reason)) => Value::Null(reason),
        (Value::Text(left), Value::Text(right)) if operator == BinaryOperator::Add => {
            Value::Text(Rc::from([&*left, &*right].concat()))
        }
        (Value::Float(left), Value::Float(right)) => floats(operator, left, right),
        (Value::Float(left), right) => match right.as_integer() {
            Some(right) => floats(operator, left, right as f64),
            None => Value::Null(Reason::OutOfRange),
        },
        (left, Value::Float(right)) => match left.as_integer() {
            Some(left) => floats(operator, left as f64, right),
            None => Value::Null(Reason::OutOfRange),
        },
        (left, right) => {
            let duration =
                matches!(left, Value::Duration(_)) || matches!(right, Value::Duration(_));
            match (left.as_integer(), right.as_integer()) {
                (Some(left), Some(right)) => match (integers(operator, left, right), duration) {
                    (Value::Integer(number), true) => Value::Duration(number),
                    (number, _) => number,
                },
                _ => Value::Null(Reason::OutOfRange),
            }
        }
    }
}

fn integers(operator: BinaryOperator, left: i128, right: i128) -> Value {
    let result = match operator {
        BinaryOperator::Add => left.checked_add(right),
        BinaryOperator::Subtract => left.checked_sub(right),
        BinaryOperator::Multiply => left.checked_mul(right),
        BinaryOperator::Divide | BinaryOperator::Remainder if right == 0 => {
            return Value::Null(Reason::DivisionByZero);
        }
        BinaryOperator::Divide => left.checked_div(right),
        BinaryOperator::Remainder => left.checked_rem(right),
        BinaryOperator::BitAnd => Some(left & right),
        BinaryOperator::BitOr => Some(left | right),
        BinaryOperator::BitXor => Some(left ^ right),
        BinaryOperator::ShiftLeft | BinaryOperator::ShiftRight => {
            return shift(operator, left, right);
        }
        _ => None,
    };
    result.map_or(Value::Null(Reason::Overflow), Value::integer)
}

fn shift(operator: BinaryOperator, left: i128, right: i128) -> Value {
    match u32::try_from(right) {
        Ok(bits) if bits < 64 && operator == BinaryOperator::ShiftLeft => left
            .checked_shl(bits)
            .filter(|moved| moved >> bits == left)
            .map_or(Value::Null(Reason::Overflow), Value::integer),
        Ok(bits) if bits < 64 => Value::integer(left >> bits),
        _ => Value::Null(Reason::OutOfRange),
    }
}

fn floats(operator: BinaryOperator, left: f64, right: f64) -> Value {
    match operator {
        BinaryOperator::Add => Value::Float(left + right),
        BinaryOperator::Subtract => Value::Float(left - right),
        BinaryOperator::Multiply => Value::Float(left * right),
        BinaryOperator::Divide if right == 0.0 => Value::Null(Reason::DivisionByZero),
        BinaryOperator::Divide => Value::Float(left / right),
        BinaryOperator::Remainder if right == 0.0 => Value::Null(Reason::DivisionByZero),
        BinaryOperator::Remainder => Value::Float(left % right),
        _ => Value::Null(Reason::OutOfRange),
    }
}

/// `~x`: of a number that is not negative, its complement in 64 bits (as masks are used), else in two's complement.
pub(super) fn complement(operand: &Value) -> Value {
    match operand.as_integer() {
        Some(number) if number >= 0 => Value::Integer(i128::from(!(number as u64))),
        Some(number) => Value::integer(!number),
        None => Value::Null(Reason::OutOfRange),
    }
}

/// A pointer moved by elements, as the processor adds: modulo 2^64.
pub(super) fn pointer_offset(pointer: &Value, index: &Value, size: i64) -> Value {
    match (pointer, index) {
        (Value::Null(reason), _) | (_, Value::Null(reason)) => Value::Null(reason.clone()),
        _ => match (pointer.as_integer(), index.as_integer()) {
            (Some(pointer), Some(index)) => {
                let moved = index.wrapping_mul(i128::from(size));
                Value::Address((pointer.wrapping_add(moved)) as u64)
            }
            _ => Value::Null(Reason::OutOfRange),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integer(number: i128) -> Value {
        Value::Integer(number)
    }

    #[test]
    fn nothing_wraps() {
        let max = integer(i128::from(u64::MAX));
        assert_eq!(
            compute(BinaryOperator::Add, max.clone(), integer(1)),
            Value::Null(Reason::Overflow)
        );
        assert_eq!(
            compute(BinaryOperator::Multiply, max.clone(), max),
            Value::Null(Reason::Overflow)
        );
        assert_eq!(
            compute(BinaryOperator::Divide, integer(1), integer(0)),
            Value::Null(Reason::DivisionByZero)
        );
        assert_eq!(
            compute(BinaryOperator::ShiftLeft, integer(1), integer(63)),
            integer(1 << 63)
        );
        assert_eq!(
            compute(BinaryOperator::ShiftLeft, integer(2), integer(63)),
            Value::Null(Reason::Overflow)
        );
        assert_eq!(
            compute(BinaryOperator::ShiftRight, integer(1), integer(64)),
            Value::Null(Reason::OutOfRange)
        );
        assert_eq!(complement(&integer(0)), integer(i128::from(u64::MAX)));
    }

    #[test]
    fn pointers_move_by_elements() {
        assert_eq!(
            pointer_offset(&Value::Address(0x1000), &integer(3), 8),
            Value::Address(0x1018)
        );
        assert_eq!(
            pointer_offset(&Value::Address(0x1000), &integer(1), -8),
            Value::Address(0xff8)
        );
    }
}
