//! Expressions → values.

use std::rc::Rc;

use crate::lang::ast::LogicalOperator;
use crate::lang::typed::{
    CheckedQuery, FunctionBody, LibraryFunction, Node, Property, SourceId, Typed,
};
use crate::value::{Reason, Value, decode_scalar};
use crate::wave::{Borrowed, Reader, together};

use super::arithmetic;
use super::builtin;
use super::context::{Bound, Context, Environment};
use super::group;
use super::operator::{between, binary, convert, is_in, unary};
use super::place::{place_of, place_value};
use super::query;

/// The value of an expression; places become [`Value::Place`].
pub(super) fn value<'a>(
    context: &'a Rc<Context>,
    typed: &'a Typed,
    environment: &'a Environment,
    reader: &'a Reader,
) -> Borrowed<'a, Value> {
    Box::pin(value_of(context, typed, environment, reader))
}

async fn value_of(
    context: &Rc<Context>,
    typed: &Typed,
    environment: &Environment,
    reader: &Reader,
) -> Value {
    let evaluate = |typed| value(context, typed, environment, reader);
    match &typed.node {
        Node::Constant(constant) => constant.clone(),
        Node::Local(number) => environment
            .locals
            .get(*number)
            .cloned()
            .unwrap_or(Value::Null(Reason::Absent)),
        Node::Aggregate(number) => environment
            .aggregates
            .get(*number)
            .cloned()
            .unwrap_or(Value::Null(Reason::Absent)),
        Node::Cell(source, number) => cell(environment, *source, *number),
        Node::Property(source, property) => {
            self::property(context, environment, *source, *property, reader).await
        }
        Node::Element(_)
        | Node::Symbol { .. }
        | Node::At { .. }
        | Node::Follow(_)
        | Node::Entry { .. } => place_value(context, typed, environment, reader).await,
        Node::Load { .. } => load(context, typed, environment, reader).await,
        Node::Text { place, longest } => {
            match place_of(context, place, environment, reader).await {
                Ok(address) => match reader.string(context.space(), address, *longest).await {
                    Ok(bytes) => Value::text(bytes),
                    Err(unreadable) => Value::unreadable(unreadable),
                },
                Err(reason) => Value::Null(reason),
            }
        }
        Node::AddressOf(place) => match place_of(context, place, environment, reader).await {
            Ok(address) => Value::Address(address.get()),
            Err(reason) => Value::Null(reason),
        },
        Node::Convert(conversion, operand) => convert(conversion, evaluate(operand).await),
        Node::Unary(operator, operand) => unary(*operator, evaluate(operand).await),
        Node::Binary(operator, left, right) => {
            let (left, right) = both(context, left, right, environment, reader).await;
            binary(*operator, left, right)
        }
        Node::PointerOffset {
            pointer,
            index,
            size,
        } => {
            let (pointer, index) = both(context, pointer, index, environment, reader).await;
            arithmetic::pointer_offset(&pointer, &index, *size)
        }
        Node::Logical(operator, operands) => {
            logical(context, *operator, operands, environment, reader).await
        }
        Node::Conditional(condition, then, otherwise) => match evaluate(condition).await {
            Value::Null(reason) => Value::Null(reason),
            truth if truth.truth() == Some(true) => evaluate(then).await,
            _ => evaluate(otherwise).await,
        },
        Node::Coalesce(operands) => {
            let mut last = Value::Null(Reason::Absent);
            for operand in operands {
                last = evaluate(operand).await;
                if !last.is_null() {
                    break;
                }
            }
            last
        }
        Node::InList(operand, members) => {
            let operand = evaluate(operand).await;
            let members = all(context, members, environment, reader).await;
            is_in(&operand, &members)
        }
        Node::InQuery(operand, nested) => {
            let operand = evaluate(operand).await;
            let members = list(context, nested, environment, reader).await;
            is_in(&operand, &members)
        }
        Node::Between(operand, low, high) => {
            let values = together(
                reader,
                [operand, low, high].map(|typed| {
                    move |reader: Reader| -> Borrowed<'_, Value> {
                        Box::pin(async move { value(context, typed, environment, &reader).await })
                    }
                }),
            )
            .await;
            between(&values)
        }
        Node::IsNull(operand) => Value::Boolean(evaluate(operand).await.is_null()),
        Node::Matches(operand, pattern) => match evaluate(operand).await {
            Value::Text(bytes) | Value::Bytes(bytes) => {
                Value::Boolean(pattern.regex.is_match(&bytes))
            }
            Value::Null(reason) => Value::Null(reason),
            _ => Value::Boolean(false),
        },
        Node::Call(function, arguments) => {
            let arguments = all(context, arguments, environment, reader).await;
            builtin::call(context, *function, arguments, reader).await
        }
        Node::Apply(function, arguments) => {
            let arguments = all(context, arguments, environment, reader).await;
            apply(context, function, arguments, environment, reader).await
        }
        Node::Query(nested) => {
            Value::List(Rc::from(list(context, nested, environment, reader).await))
        }
        Node::Fold(aggregate, operand) => match evaluate(operand).await {
            Value::List(values) => group::fold(*aggregate, values.iter()),
            other => other,
        },
        Node::Exists(nested) => {
            let rows = query::run(context, nested, environment.clone(), reader.clone()).await;
            Value::Boolean(!rows.is_empty())
        }
    }
}

/// Several expressions at the same time.
pub(super) async fn all(
    context: &Rc<Context>,
    typed: &[Typed],
    environment: &Environment,
    reader: &Reader,
) -> Vec<Value> {
    if let [only] = typed {
        return vec![value(context, only, environment, reader).await];
    }
    together(
        reader,
        typed.iter().map(|typed| {
            move |reader: Reader| -> Borrowed<'_, Value> {
                Box::pin(async move { value(context, typed, environment, &reader).await })
            }
        }),
    )
    .await
}

async fn both(
    context: &Rc<Context>,
    left: &Typed,
    right: &Typed,
    environment: &Environment,
    reader: &Reader,
) -> (Value, Value) {
    // Constants need no future of their own.
    if let Node::Constant(right) = &right.node {
        return (
            value(context, left, environment, reader).await,
            right.clone(),
        );
    }
    let mut values = together(
        reader,
        [left, right].map(|typed| {
            move |reader: Reader| -> Borrowed<'_, Value> {
                Box::pin(async move { value(context, typed, environment, &reader).await })
            }
        }),
    )
    .await;
    let right = values.pop().unwrap_or(Value::Null(Reason::Absent));
    let left = values.pop().unwrap_or(Value::Null(Reason::Absent));
    (left, right)
}

/// The values of a nested query's only column.
async fn list(
    context: &Rc<Context>,
    nested: &Rc<CheckedQuery>,
    environment: &Environment,
    reader: &Reader,
) -> Vec<Value> {
    let rows = query::run(context, nested, environment.clone(), reader.clone()).await;
    rows.into_iter()
        .filter_map(|cells| cells.into_iter().next())
        .collect()
}

fn cell(environment: &Environment, source: SourceId, number: usize) -> Value {
    match environment.source(source) {
        Some(Bound::Cells(cells)) => cells
            .get(number)
            .cloned()
            .unwrap_or(Value::Null(Reason::Absent)),
        _ => Value::Null(Reason::Absent),
    }
}

async fn property(
    context: &Rc<Context>,
    environment: &Environment,
    source: SourceId,
    property: Property,
    reader: &Reader,
) -> Value {
    let Some(Bound::Element(element)) = environment.source(source) else {
        return Value::Null(Reason::Absent);
    };
    match property {
        Property::Index => Value::Integer(i128::from(element.index)),
        Property::Depth => Value::Integer(i128::from(element.depth)),
        Property::Address => Value::Address(element.address.get()),
        Property::Quality => match element.quality.doubt() {
            Some(doubt) => Value::text(format!("suspect: {doubt}")),
            None => Value::text("ok"),
        },
        Property::Phys => match reader.translate(context.space(), element.address).await {
            Ok(translation) => Value::Address(translation.physical.get()),
            Err(unreadable) => Value::unreadable(unreadable),
        },
    }
}

async fn load(
    context: &Rc<Context>,
    typed: &Typed,
    environment: &Environment,
    reader: &Reader,
) -> Value {
    let Node::Load {
        place,
        ty,
        size,
        bits,
        enumeration,
    } = &typed.node
    else {
        return Value::Null(Reason::Absent);
    };
    let address = match place_of(context, place, environment, reader).await {
        Ok(address) => address,
        Err(reason) => return Value::Null(reason),
    };
    let mut bytes = [0; 16];
    let Some(bytes) = usize::try_from(*size)
        .ok()
        .and_then(|size| bytes.get_mut(..size))
    else {
        return Value::Null(Reason::OutOfRange);
    };
    match reader.read(context.space(), address, bytes).await {
        Ok(()) => decode_scalar(bytes, ty, *bits, enumeration.as_deref())
            .unwrap_or(Value::Null(Reason::OutOfRange)),
        Err(unreadable) => Value::unreadable(unreadable),
    }
}

/// SQL's three-valued logic: what decides, decides; else an unknown operand makes the result unknown.
async fn logical(
    context: &Rc<Context>,
    operator: LogicalOperator,
    operands: &[Typed],
    environment: &Environment,
    reader: &Reader,
) -> Value {
    let deciding = operator == LogicalOperator::Or;
    let mut unknown = None;
    for operand in operands {
        let operand = value(context, operand, environment, reader).await;
        match (operand.truth(), operand) {
            (Some(truth), _) if truth == deciding => return Value::Boolean(deciding),
            (None, null) => {
                unknown.get_or_insert(null);
            }
            _ => {}
        }
    }
    unknown.unwrap_or(Value::Boolean(!deciding))
}

/// A function of the walk library.
async fn apply(
    context: &Rc<Context>,
    function: &Rc<LibraryFunction>,
    arguments: Vec<Value>,
    environment: &Environment,
    reader: &Reader,
) -> Value {
    let mut inner = environment.with_locals(arguments);
    match &function.body {
        FunctionBody::Expression(body) => value(context, body, &inner, reader).await,
        FunctionBody::Loop {
            start,
            condition,
            next,
            result,
            limit,
        } => {
            for first in start {
                let first = value(context, first, &inner, reader).await;
                let mut locals = inner.locals.to_vec();
                locals.push(first);
                inner = environment.with_locals(locals);
            }
            for _ in 0..*limit {
                match value(context, condition, &inner, reader).await {
                    Value::Null(reason) => return Value::Null(reason),
                    truth if truth.truth() != Some(true) => {
                        return value(context, result, &inner, reader).await;
                    }
                    _ => {}
                }
                let mut locals =
                    inner.locals[..function.parameters.min(inner.locals.len())].to_vec();
                locals.extend(all(context, next, &inner, reader).await);
                inner = environment.with_locals(locals);
            }
            Value::Null(Reason::LoopLimit(*limit))
        }
    }
}
