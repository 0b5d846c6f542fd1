//! Places → addresses.

use std::task::{Poll, ready};

use crate::addr::{PAGE_SIZE, VirtAddr};
use crate::lang::typed::{Node, Typed};
use crate::profile::Type;
use crate::value::{Place, Reason, Value, ValueType};

use super::attempt::{Attempt, Scope};
use super::context::Bound;
use super::evaluate::{self, value};

/// Objects up to this size, in bytes, are fetched whole when something in them is needed: one read takes as long for all of it.
const WHOLE: u64 = 512;

pub(super) fn place_value(attempt: &Attempt<'_>, typed: &Typed, scope: Scope<'_>) -> Poll<Value> {
    Poll::Ready(match ready!(place_of(attempt, typed, scope)) {
        Ok(address) => Value::Place(Place {
            address,
            ty: match &typed.kind {
                ValueType::Kernel(ty) => ty.clone(),
                _ => Type::Void,
            },
        }),
        Err(reason) => Value::Null(reason),
    })
}

/// The address that a place stands for.
pub(super) fn place_of(
    attempt: &Attempt<'_>,
    typed: &Typed,
    scope: Scope<'_>,
) -> Poll<Result<VirtAddr, Reason>> {
    Poll::Ready(match &typed.node {
        Node::Element(source) => match scope.environment.source(*source) {
            Some(Bound::Element(element)) => Ok(element.address),
            _ => Err(Reason::Absent),
        },
        Node::Symbol { address, moves, .. } => {
            let slide = if *moves {
                attempt.context.target.slide
            } else {
                0
            };
            Ok(VirtAddr::new(address.wrapping_add(slide)))
        }
        Node::At { base, offset, .. } => {
            ready!(place_of(attempt, base, scope)).map(|address| address.wrapping_offset(*offset))
        }
        Node::Follow(pointer) => address_in(ready!(value(attempt, pointer, scope))),
        Node::Entry { .. } => return entry(attempt, typed, scope),
        _ => match ready!(value(attempt, typed, scope)) {
            Value::Place(place) => Ok(place.address),
            Value::Null(reason) => Err(reason),
            _ => Err(Reason::OutOfRange),
        },
    })
}

fn entry(attempt: &Attempt<'_>, typed: &Typed, scope: Scope<'_>) -> Poll<Result<VirtAddr, Reason>> {
    let Node::Entry {
        base,
        index,
        size,
        count,
    } = &typed.node
    else {
        return Poll::Ready(Err(Reason::Absent));
    };
    let base = place_of(attempt, base, scope);
    let index = match ready!(evaluate::value(attempt, index, scope)) {
        Value::Null(reason) => return Poll::Ready(Err(reason)),
        index => index.as_integer(),
    };
    let base = match (ready!(base), index) {
        (Ok(base), Some(_)) => base,
        (Ok(_), None) => return Poll::Ready(Err(Reason::OutOfRange)),
        (Err(reason), _) => return Poll::Ready(Err(reason)),
    };
    let index = index.unwrap_or_default();
    if count.is_some_and(|count| index < 0 || index >= i128::from(count)) {
        return Poll::Ready(Err(Reason::OutOfRange));
    }
    let offset = index
        .checked_mul(i128::from(*size))
        .and_then(|offset| i64::try_from(offset).ok());
    Poll::Ready(match offset {
        Some(offset) => Ok(base.wrapping_offset(offset)),
        None => Err(Reason::Overflow),
    })
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

/// Asks for the rest of the small object that `place`, at `address`, lies in and that a pointer led to: as far as one read goes,
/// so that it costs none. A name kept inside its object is then here when the pointer to it is followed.
pub(super) fn prefetch_object(attempt: &Attempt<'_>, place: &Typed, address: VirtAddr) {
    let (mut outer, mut start) = (place, address);
    while let Node::At { base, offset, .. } = &outer.node {
        start = start.wrapping_offset(offset.wrapping_neg());
        outer = base;
    }
    if !matches!(outer.node, Node::Follow(_) | Node::Local(_)) {
        return;
    }
    let Some(size) = attempt.context.object_size(outer) else {
        return;
    };
    if size > WHOLE || start.checked_add(size).is_none() {
        return;
    }
    let page = address.get() - address.page_offset();
    let first = start.get().max(page);
    let end = (start.get() + size).min(page.saturating_add(PAGE_SIZE));
    if first < end {
        let space = attempt.context.space();
        attempt
            .reader
            .prefetch(space, VirtAddr::new(first), end - first);
    }
}
