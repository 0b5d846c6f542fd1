//! Expressions → values, as far as the bytes that they need are here.
//!
//! Nothing here waits: what is missing is asked for, the rest of the expression is looked at for what else it will need, and the
//! attempt is made again when something has come. What is independent is asked for in the same round.

use std::rc::Rc;
use std::task::{Poll, ready};

use crate::lang::ast::LogicalOperator;
use crate::lang::typed::{Node, Property, SourceId, Typed};
use crate::value::{Reason, Value, decode_scalar};

use super::arithmetic;
use super::attempt::{Attempt, Scope};
use super::builtin;
use super::context::{Bound, Environment};
use super::group;
use super::looping::apply;
use super::operator::{between, binary, convert, is_in, unary};
use super::place::{place_of, place_value, prefetch_object};

/// The value of an expression; places become [`Value::Place`].
pub(super) fn value(attempt: &Attempt<'_>, typed: &Typed, scope: Scope<'_>) -> Poll<Value> {
    let evaluate = |typed| value(attempt, typed, scope);
    Poll::Ready(match &typed.node {
        Node::Constant(constant) => constant.clone(),
        Node::Local(number) => numbered(scope.locals, *number),
        Node::Aggregate(number) => numbered(&scope.environment.aggregates, *number),
        Node::Cell(source, number) => cell(scope.environment, *source, *number),
        Node::Property(source, property) => {
            return self::property(attempt, scope.environment, *source, *property);
        }
        Node::Element(_)
        | Node::Symbol { .. }
        | Node::At { .. }
        | Node::Follow(_)
        | Node::Entry { .. } => return place_value(attempt, typed, scope),
        Node::Load { .. } => return load(attempt, typed, scope),
        Node::Text { place, longest } => return text(attempt, place, *longest, scope),
        Node::AddressOf(place) => match ready!(place_of(attempt, place, scope)) {
            Ok(address) => Value::Address(address.get()),
            Err(reason) => Value::Null(reason),
        },
        Node::Convert(conversion, operand) => convert(conversion, ready!(evaluate(operand))),
        Node::Unary(operator, operand) => unary(*operator, ready!(evaluate(operand))),
        Node::Binary(operator, left, right) => {
            let (left, right) = ready!(both(attempt, left, right, scope));
            binary(*operator, left, right)
        }
        Node::PointerOffset {
            pointer,
            index,
            size,
        } => {
            let (pointer, index) = ready!(both(attempt, pointer, index, scope));
            arithmetic::pointer_offset(&pointer, &index, *size)
        }
        Node::Logical(operator, operands) => return logical(attempt, *operator, operands, scope),
        Node::Conditional(condition, then, otherwise) => {
            return conditional(attempt, [condition, then, otherwise], scope);
        }
        Node::Coalesce(operands) => return coalesce(attempt, operands, scope),
        Node::InList(operand, members) => {
            let operand = evaluate(operand);
            let members = ready!(all(attempt, members, scope));
            is_in(&ready!(operand), &members)
        }
        Node::InQuery(operand, nested) => {
            let operand = evaluate(operand);
            let members = ready!(attempt.list(nested, scope));
            is_in(&ready!(operand), &members)
        }
        Node::Between(operand, low, high) => {
            between(&ready!(all(attempt, [&**operand, low, high], scope)))
        }
        Node::IsNull(operand) => Value::Boolean(ready!(evaluate(operand)).is_null()),
        Node::Matches(operand, pattern) => match ready!(evaluate(operand)) {
            Value::Text(bytes) | Value::Bytes(bytes) => {
                Value::Boolean(pattern.regex.is_match(&bytes))
            }
            Value::Null(reason) => Value::Null(reason),
            _ => Value::Boolean(false),
        },
        Node::Call(function, arguments) => {
            let arguments = ready!(all(attempt, arguments, scope));
            return builtin::call(attempt, *function, &arguments);
        }
        Node::Apply(function, arguments) => {
            let arguments = ready!(all(attempt, arguments, scope));
            return apply(attempt, function, &arguments, scope);
        }
        Node::Query(nested) => Value::List(Rc::from(ready!(attempt.list(nested, scope)))),
        Node::Fold(aggregate, operand) => match ready!(evaluate(operand)) {
            Value::List(values) => group::fold(*aggregate, values.iter()),
            other => other,
        },
        Node::Exists(nested) => Value::Boolean(!ready!(attempt.rows(nested, scope)).is_empty()),
    })
}

/// Several expressions at the same time: all are looked at, whether or not the first is ready.
pub(super) fn all<'t>(
    attempt: &Attempt<'_>,
    typed: impl IntoIterator<Item = &'t Typed>,
    scope: Scope<'_>,
) -> Poll<Vec<Value>> {
    let typed = typed.into_iter();
    let start = attempt.reader.depth();
    let (mut deepest, mut is_whole) = (start, true);
    let mut values = Vec::with_capacity(typed.size_hint().0);
    for typed in typed {
        attempt.reader.set_depth(start);
        match value(attempt, typed, scope) {
            Poll::Ready(value) => values.push(value),
            Poll::Pending => is_whole = false,
        }
        deepest = deepest.max(attempt.reader.depth());
    }
    attempt.reader.set_depth(deepest);
    if is_whole {
        Poll::Ready(values)
    } else {
        Poll::Pending
    }
}

/// A value with the reads that it took.
pub(super) type Known = Option<(Value, u32)>;

/// As [`all`], with the values that earlier attempts have found, which are not computed again.
pub(super) fn rest<'t>(
    attempt: &Attempt<'_>,
    typed: impl IntoIterator<Item = &'t Typed>,
    scope: Scope<'_>,
    known: &mut Vec<Known>,
) -> Poll<Vec<Value>> {
    let typed = typed.into_iter();
    known.reserve(typed.size_hint().0.saturating_sub(known.len()));
    let start = attempt.reader.depth();
    let (mut deepest, mut is_whole) = (start, true);
    for (number, typed) in typed.enumerate() {
        if number == known.len() {
            known.push(None);
        }
        if known[number].is_none() {
            attempt.reader.set_depth(start);
            match value(attempt, typed, scope) {
                Poll::Ready(value) => known[number] = Some((value, attempt.reader.depth())),
                Poll::Pending => is_whole = false,
            }
        }
        if let Some((_, depth)) = &known[number] {
            deepest = deepest.max(*depth);
        }
    }
    attempt.reader.set_depth(deepest);
    if is_whole {
        let known = std::mem::take(known);
        Poll::Ready(
            known
                .into_iter()
                .flatten()
                .map(|(value, _)| value)
                .collect(),
        )
    } else {
        Poll::Pending
    }
}

fn both(
    attempt: &Attempt<'_>,
    left: &Typed,
    right: &Typed,
    scope: Scope<'_>,
) -> Poll<(Value, Value)> {
    let start = attempt.reader.depth();
    let left = value(attempt, left, scope);
    let deepest = attempt.reader.depth();
    attempt.reader.set_depth(start);
    let right = value(attempt, right, scope);
    attempt
        .reader
        .set_depth(deepest.max(attempt.reader.depth()));
    Poll::Ready((ready!(left), ready!(right)))
}

fn numbered(values: &[Value], number: usize) -> Value {
    let value = values.get(number).cloned();
    value.unwrap_or(Value::Null(Reason::Absent))
}

fn cell(environment: &Environment, source: SourceId, number: usize) -> Value {
    match environment.source(source) {
        Some(Bound::Cells(cells)) => numbered(cells, number),
        _ => Value::Null(Reason::Absent),
    }
}

fn property(
    attempt: &Attempt<'_>,
    environment: &Environment,
    source: SourceId,
    property: Property,
) -> Poll<Value> {
    let Some(Bound::Element(element)) = environment.source(source) else {
        return Poll::Ready(Value::Null(Reason::Absent));
    };
    Poll::Ready(match property {
        Property::Index => Value::Integer(i128::from(element.index)),
        Property::Depth => Value::Integer(i128::from(element.depth)),
        Property::Address => Value::Address(element.address.get()),
        Property::Quality => match element.quality.doubt() {
            Some(doubt) => Value::text(format!("suspect: {doubt}")),
            None => Value::text("ok"),
        },
        Property::Phys => {
            let space = attempt.context.space();
            match ready!(attempt.reader.try_translate(space, element.address)) {
                Ok(translation) => Value::Address(translation.physical.get()),
                Err(unreadable) => Value::unreadable(unreadable),
            }
        }
    })
}

fn load(attempt: &Attempt<'_>, typed: &Typed, scope: Scope<'_>) -> Poll<Value> {
    let Node::Load {
        place,
        ty,
        size,
        bits,
        enumeration,
    } = &typed.node
    else {
        return Poll::Ready(Value::Null(Reason::Absent));
    };
    let address = match ready!(place_of(attempt, place, scope)) {
        Ok(address) => address,
        Err(reason) => return Poll::Ready(Value::Null(reason)),
    };
    let mut bytes = [0; 16];
    let Some(bytes) = usize::try_from(*size)
        .ok()
        .and_then(|size| bytes.get_mut(..size))
    else {
        return Poll::Ready(Value::Null(Reason::OutOfRange));
    };
    match attempt
        .reader
        .try_read(attempt.context.space(), address, bytes)
    {
        Poll::Ready(Ok(())) => Poll::Ready(
            decode_scalar(bytes, ty, *bits, enumeration.as_deref())
                .unwrap_or(Value::Null(Reason::OutOfRange)),
        ),
        Poll::Ready(Err(unreadable)) => Poll::Ready(Value::unreadable(unreadable)),
        Poll::Pending => {
            prefetch_object(attempt, place, address);
            Poll::Pending
        }
    }
}

fn text(attempt: &Attempt<'_>, place: &Typed, longest: u64, scope: Scope<'_>) -> Poll<Value> {
    let address = match ready!(place_of(attempt, place, scope)) {
        Ok(address) => address,
        Err(reason) => return Poll::Ready(Value::Null(reason)),
    };
    let space = attempt.context.space();
    match attempt.reader.try_string(space, address, longest) {
        Poll::Ready(Ok(bytes)) => Poll::Ready(Value::text(bytes)),
        Poll::Ready(Err(unreadable)) => Poll::Ready(Value::unreadable(unreadable)),
        Poll::Pending => {
            prefetch_object(attempt, place, address);
            Poll::Pending
        }
    }
}

/// `condition ? then : otherwise`. While the condition is not known, both sides say what they would need; but not of conditions
/// inside conditions, most sides of which are never taken.
fn conditional(
    attempt: &Attempt<'_>,
    [condition, then, otherwise]: [&Typed; 3],
    scope: Scope<'_>,
) -> Poll<Value> {
    let Poll::Ready(truth) = value(attempt, condition, scope) else {
        if !attempt.is_speculating() {
            for side in [then, otherwise] {
                attempt.speculate(|| {
                    let _ = value(attempt, side, scope);
                });
            }
        }
        return Poll::Pending;
    };
    match truth {
        Value::Null(reason) => Poll::Ready(Value::Null(reason)),
        truth if truth.truth() == Some(true) => value(attempt, then, scope),
        _ => value(attempt, otherwise, scope),
    }
}

/// The first operand that is not null.
fn coalesce(attempt: &Attempt<'_>, operands: &[Typed], scope: Scope<'_>) -> Poll<Value> {
    let mut last = Value::Null(Reason::Absent);
    for operand in operands {
        last = ready!(value(attempt, operand, scope));
        if !last.is_null() {
            break;
        }
    }
    Poll::Ready(last)
}

/// SQL's three-valued logic: what decides, decides; else an unknown operand makes the result unknown.
fn logical(
    attempt: &Attempt<'_>,
    operator: LogicalOperator,
    operands: &[Typed],
    scope: Scope<'_>,
) -> Poll<Value> {
    let deciding = operator == LogicalOperator::Or;
    let mut unknown = None;
    for (number, operand) in operands.iter().enumerate() {
        let Poll::Ready(operand) = value(attempt, operand, scope) else {
            attempt.speculate(|| {
                let _ = all(attempt, operands.iter().skip(number + 1), scope);
            });
            return Poll::Pending;
        };
        match (operand.truth(), operand) {
            (Some(truth), _) if truth == deciding => {
                return Poll::Ready(Value::Boolean(deciding));
            }
            (None, null) => {
                unknown.get_or_insert(null);
            }
            _ => {}
        }
    }
    Poll::Ready(unknown.unwrap_or(Value::Boolean(!deciding)))
}
