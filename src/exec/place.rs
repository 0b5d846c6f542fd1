//! Places → addresses.

use std::rc::Rc;

use crate::addr::VirtAddr;
use crate::lang::typed::{Node, Typed};
use crate::profile::Type;
use crate::value::{Place, Reason, Value, ValueType};
use crate::wave::{Borrowed, Reader};

use super::context::{Bound, Context, Environment};
use super::evaluate::value;

pub(super) async fn place_value(
    context: &Rc<Context>,
    typed: &Typed,
    environment: &Environment,
    reader: &Reader,
) -> Value {
    let ty = match &typed.kind {
        ValueType::Kernel(ty) => ty.clone(),
        _ => Type::Void,
    };
    match place_of(context, typed, environment, reader).await {
        Ok(address) => Value::Place(Place { address, ty }),
        Err(reason) => Value::Null(reason),
    }
}

/// The address that a place stands for.
pub(super) fn place_of<'a>(
    context: &'a Rc<Context>,
    typed: &'a Typed,
    environment: &'a Environment,
    reader: &'a Reader,
) -> Borrowed<'a, Result<VirtAddr, Reason>> {
    match place_now(context, typed, environment) {
        Some(known) => Box::pin(std::future::ready(known)),
        None => Box::pin(place_by_reading(context, typed, environment, reader)),
    }
}

/// The address of a place where it takes no reading.
pub(super) fn place_now(
    context: &Context,
    typed: &Typed,
    environment: &Environment,
) -> Option<Result<VirtAddr, Reason>> {
    match &typed.node {
        Node::Element(source) => Some(match environment.source(*source) {
            Some(Bound::Element(element)) => Ok(element.address),
            _ => Err(Reason::Absent),
        }),
        Node::Symbol { address, moves, .. } => {
            let slide = if *moves { context.target.slide } else { 0 };
            Some(Ok(VirtAddr::new(address.wrapping_add(slide))))
        }
        Node::At { base, offset, .. } => Some(
            place_now(context, base, environment)?.map(|address| address.wrapping_offset(*offset)),
        ),
        Node::Local(number) => match environment.locals.get(*number)? {
            Value::Place(place) => Some(Ok(place.address)),
            Value::Null(reason) => Some(Err(reason.clone())),
            _ => None,
        },
        _ => None,
    }
}

pub(super) async fn place_by_reading(
    context: &Rc<Context>,
    typed: &Typed,
    environment: &Environment,
    reader: &Reader,
) -> Result<VirtAddr, Reason> {
    match &typed.node {
        Node::At { base, offset, .. } => Ok(place_of(context, base, environment, reader)
            .await?
            .wrapping_offset(*offset)),
        Node::Follow(pointer) => address_in(value(context, pointer, environment, reader).await),
        Node::Entry {
            base,
            index,
            size,
            count,
        } => {
            let base = place_of(context, base, environment, reader).await?;
            let index = match value(context, index, environment, reader).await {
                Value::Null(reason) => return Err(reason),
                index => index.as_integer().ok_or(Reason::OutOfRange)?,
            };
            if count.is_some_and(|count| index < 0 || index >= i128::from(count)) {
                return Err(Reason::OutOfRange);
            }
            let offset = index
                .checked_mul(i128::from(*size))
                .and_then(|offset| i64::try_from(offset).ok());
            Ok(base.wrapping_offset(offset.ok_or(Reason::Overflow)?))
        }
        _ => match value(context, typed, environment, reader).await {
            Value::Place(place) => Ok(place.address),
            Value::Null(reason) => Err(reason),
            _ => Err(Reason::OutOfRange),
        },
    }
}

/// Where a pointer's value points; addresses in the first page are null pointers that something was added to.
pub(super) fn address_in(pointer: Value) -> Result<VirtAddr, Reason> {
    match pointer {
        Value::Null(reason) => Err(reason),
        Value::Place(place) => Ok(place.address),
        pointer => match pointer.as_integer() {
            Some(number) if (0..4096).contains(&number) => Err(Reason::NullPointer),
            Some(number) => u64::try_from(number)
                .map(VirtAddr::new)
                .map_err(|_| Reason::Overflow),
            None => Err(Reason::OutOfRange),
        },
    }
}
