//! Places → values that can be shown: structs and arrays are read whole, once.

use std::rc::Rc;
use std::task::{Poll, ready};

use crate::addr::VirtAddr;
use crate::profile::{Member, Type};
use crate::value::{Place, Reason, StructValue, Value, decode_scalar, is_character};
use crate::wave::Reader;

use super::context::Context;

/// Largest object that is read to be shown, in bytes.
const LARGEST: u64 = 64 * 1024;

/// Most entries of an array that are shown.
const MOST_ENTRIES: u64 = 256;

/// Levels of structs in structs that are shown.
const MOST_LEVELS: u32 = 8;

/// Reads every place in the rows' cells, all at the same time.
pub(super) async fn rows(context: &Rc<Context>, reader: &Reader, rows: &mut [Vec<Value>]) {
    let is_place = |cell: &Value| matches!(cell, Value::Place(_));
    if !rows.iter().flatten().any(is_place) {
        return;
    }
    reader
        .attempt(|reader| {
            let (start, mut deepest) = (reader.depth(), reader.depth());
            let mut is_whole = true;
            for cell in rows.iter_mut().flatten() {
                if let Value::Place(place) = cell {
                    reader.set_depth(start);
                    match read(context, reader, place) {
                        Poll::Ready(shown) => *cell = shown,
                        Poll::Pending => is_whole = false,
                    }
                    deepest = deepest.max(reader.depth());
                }
            }
            reader.set_depth(deepest);
            if is_whole {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
}

fn read(context: &Context, reader: &Reader, place: &Place) -> Poll<Value> {
    let size = match context.target.catalog.profile.size_of(&place.ty) {
        Ok(Some(size)) if size > 0 => size,
        // A symbol of unknown type, a flexible array: its address is what can be said.
        _ => return Poll::Ready(Value::Address(place.address.get())),
    };
    let Some(size) = usize::try_from(size.min(LARGEST)).ok() else {
        return Poll::Ready(Value::Null(Reason::OutOfRange));
    };
    let mut bytes = vec![0; size];
    let outcome = ready!(reader.try_read(context.space(), place.address, &mut bytes));
    Poll::Ready(match outcome {
        Ok(()) => decode(context, &bytes, &place.ty, place.address, MOST_LEVELS),
        Err(unreadable) => Value::unreadable(unreadable),
    })
}

fn decode(context: &Context, bytes: &[u8], ty: &Type, address: VirtAddr, levels: u32) -> Value {
    let profile = &context.target.catalog.profile;
    let Ok(stripped) = profile.strip(ty) else {
        return Value::Null(Reason::OutOfRange);
    };
    match &stripped {
        Type::Struct(_) | Type::Union(_) => {
            let Ok(Some(aggregate)) = profile.aggregate(&stripped) else {
                return Value::Address(address.get());
            };
            if levels == 0 {
                return Value::Address(address.get());
            }
            let members = aggregate.members.iter().map(|member| {
                (
                    member.name.clone(),
                    decode_member(context, bytes, member, address, levels - 1),
                )
            });
            let members = members.collect();
            Value::Struct(Rc::new(StructValue {
                type_name: ty.to_string(),
                address,
                members,
            }))
        }
        Type::Array { element, count } => {
            decode_array(context, bytes, element, *count, address, levels)
        }
        Type::Enum(name) => {
            let enumeration = profile.enumeration(name).ok().flatten();
            decode_scalar(bytes, &stripped, None, enumeration.as_deref())
                .unwrap_or(Value::Null(Reason::OutOfRange))
        }
        _ => decode_scalar(bytes, &stripped, None, None).unwrap_or(Value::Null(Reason::OutOfRange)),
    }
}

fn decode_member(
    context: &Context,
    bytes: &[u8],
    member: &Member,
    base: VirtAddr,
    levels: u32,
) -> Value {
    let profile = &context.target.catalog.profile;
    let size = match (&member.bits, profile.size_of(&member.ty)) {
        (Some(bits), _) => u64::from((bits.offset + bits.size).div_ceil(8)),
        (None, Ok(Some(size))) => size,
        _ => 0,
    };
    let range = usize::try_from(member.offset)
        .ok()
        .zip(usize::try_from(member.offset.saturating_add(size)).ok());
    let Some(bytes) = range.and_then(|(start, end)| bytes.get(start..end)) else {
        return Value::Null(Reason::Unavailable("too large to show".into()));
    };
    let address = VirtAddr::new(base.get().wrapping_add(member.offset));
    match member.bits {
        Some(_) => match profile.strip(&member.ty) {
            Ok(ty) => decode_scalar(bytes, &ty, member.bits, None)
                .unwrap_or(Value::Null(Reason::OutOfRange)),
            Err(_) => Value::Null(Reason::OutOfRange),
        },
        None => decode(context, bytes, &member.ty, address, levels),
    }
}

fn decode_array(
    context: &Context,
    bytes: &[u8],
    element: &Type,
    count: Option<u64>,
    address: VirtAddr,
    levels: u32,
) -> Value {
    let profile = &context.target.catalog.profile;
    let Ok(stripped) = profile.strip(element) else {
        return Value::Null(Reason::OutOfRange);
    };
    if is_character(&stripped) {
        let end = bytes
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(bytes.len());
        return Value::text(&bytes[..end]);
    }
    let size = match profile.size_of(&stripped) {
        Ok(Some(size)) if size > 0 => size,
        _ => return Value::Address(address.get()),
    };
    let entries = (0..count.unwrap_or(0).min(MOST_ENTRIES)).map_while(|number| {
        let start = usize::try_from(number * size).ok()?;
        let entry = bytes.get(start..start.checked_add(usize::try_from(size).ok()?)?)?;
        Some(decode(
            context,
            entry,
            &stripped,
            VirtAddr::new(address.get().wrapping_add(number * size)),
            levels,
        ))
    });
    Value::List(entries.collect())
}
