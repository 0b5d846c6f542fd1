//! The built-in functions of `lang::function`, executed.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::rc::Rc;
use std::task::{Poll, ready};

use sha2::{Digest, Sha256};

use crate::addr::VirtAddr;
use crate::lang::function::Builtin;
use crate::profile::Symbol;
use crate::value::{Reason, Value};

use super::attempt::Attempt;
use super::context::Context;
use super::format;

/// Longest text that `str` reads where nothing is said, in bytes: `PATH_MAX`.
const LONGEST_TEXT: u64 = 4096;

/// Longest stretch that `bytes` and `user` read, in bytes.
const LONGEST_BYTES: u64 = 1024 * 1024;

/// Calls a function. A null argument gives null, except where the function is about nulls.
pub(super) fn call(attempt: &Attempt<'_>, function: Builtin, arguments: &[Value]) -> Poll<Value> {
    if function == Builtin::Reason {
        return Poll::Ready(match arguments.first() {
            Some(Value::Null(reason)) => Value::text(reason.to_string()),
            _ => Value::Null(Reason::Absent),
        });
    }
    if !matches!(function, Builtin::Format | Builtin::Join)
        && let Some(null) = arguments.iter().find(|argument| argument.is_null())
    {
        return Poll::Ready(null.clone());
    }
    let context = attempt.context;
    Poll::Ready(match function {
        Builtin::Str => return text_at(attempt, arguments),
        Builtin::Bytes => return bytes_at(attempt, arguments),
        Builtin::User => return user_bytes(attempt, arguments),
        Builtin::Phys => match address(arguments.first()) {
            Some(address) => match ready!(attempt.reader.try_translate(context.space(), address)) {
                Ok(translation) => Value::Address(translation.physical.get()),
                Err(unreadable) => Value::unreadable(unreadable),
            },
            None => Value::Null(Reason::OutOfRange),
        },
        Builtin::Virt => {
            match number(arguments.first()).and_then(|number| u64::try_from(number).ok()) {
                Some(physical) => Value::Address(context.target.direct_map.wrapping_add(physical)),
                None => Value::Null(Reason::OutOfRange),
            }
        }
        Builtin::Hash => {
            let bytes = ready!(bytes_at(attempt, arguments));
            text(Some(&bytes)).map_or(bytes.clone(), |content| Value::text(sha256(content)))
        }
        Builtin::Sym => symbol_at(context, arguments),
        Builtin::OffsetOfSymbol => offset_of_symbol(context, arguments),
        Builtin::Symbol => symbol_named(context, arguments),
        _ => pure(function, arguments).unwrap_or(Value::Null(Reason::OutOfRange)),
    })
}

fn number(value: Option<&Value>) -> Option<i128> {
    value?.as_integer()
}

fn address(value: Option<&Value>) -> Option<VirtAddr> {
    let number = number(value)?;
    u64::try_from(number)
        .or_else(|_| i64::try_from(number).map(|number| number as u64))
        .ok()
        .map(VirtAddr::new)
}

fn text(value: Option<&Value>) -> Option<&[u8]> {
    match value? {
        Value::Text(bytes) | Value::Bytes(bytes) => Some(bytes),
        _ => None,
    }
}

fn text_at(attempt: &Attempt<'_>, arguments: &[Value]) -> Poll<Value> {
    let Some(at) = address(arguments.first()) else {
        return Poll::Ready(Value::Null(Reason::OutOfRange));
    };
    if at.get() < 4096 {
        return Poll::Ready(Value::Null(Reason::NullPointer));
    }
    let longest = match arguments.get(1) {
        Some(longest) => longest
            .as_integer()
            .and_then(|longest| u64::try_from(longest).ok()),
        None => Some(LONGEST_TEXT),
    };
    let Some(longest) = longest else {
        return Poll::Ready(Value::Null(Reason::OutOfRange));
    };
    let space = attempt.context.space();
    let text = attempt
        .reader
        .try_string(space, at, longest.min(LONGEST_TEXT));
    Poll::Ready(match ready!(text) {
        Ok(bytes) => Value::text(bytes),
        Err(unreadable) => Value::unreadable(unreadable),
    })
}

fn bytes_at(attempt: &Attempt<'_>, arguments: &[Value]) -> Poll<Value> {
    let Some(at) = address(arguments.first()) else {
        return Poll::Ready(Value::Null(Reason::OutOfRange));
    };
    read_bytes(attempt, attempt.context.space(), at, arguments.get(1))
}

fn user_bytes(attempt: &Attempt<'_>, arguments: &[Value]) -> Poll<Value> {
    let (Some(table), Some(at)) = (address(arguments.first()), address(arguments.get(1))) else {
        return Poll::Ready(Value::Null(Reason::OutOfRange));
    };
    let space = attempt.context.space();
    let table = match ready!(attempt.reader.try_translate(space, table)) {
        Ok(translation) => translation.physical,
        Err(unreadable) => return Poll::Ready(Value::unreadable(unreadable)),
    };
    read_bytes(attempt, &space.user(table), at, arguments.get(2))
}

fn read_bytes(
    attempt: &Attempt<'_>,
    space: &crate::paging::AddressSpace,
    at: VirtAddr,
    length: Option<&Value>,
) -> Poll<Value> {
    let length = number(length)
        .and_then(|length| u64::try_from(length).ok())
        .filter(|length| *length <= LONGEST_BYTES);
    let Some(length) = length.and_then(|length| usize::try_from(length).ok()) else {
        return Poll::Ready(Value::Null(Reason::OutOfRange));
    };
    let mut bytes = vec![0; length];
    Poll::Ready(
        match ready!(attempt.reader.try_read(space, at, &mut bytes)) {
            Ok(()) => Value::Bytes(Rc::from(bytes)),
            Err(unreadable) => Value::unreadable(unreadable),
        },
    )
}

fn symbol_at(context: &Context, arguments: &[Value]) -> Value {
    match near_symbol(context, arguments) {
        Ok((symbol, 0)) => Value::text(&*symbol.name),
        Ok((symbol, offset)) => Value::text(format!("{}+{offset:#x}", symbol.name)),
        Err(reason) => Value::Null(reason),
    }
}

fn offset_of_symbol(context: &Context, arguments: &[Value]) -> Value {
    match near_symbol(context, arguments) {
        Ok((_, offset)) => Value::Integer(i128::from(offset)),
        Err(reason) => Value::Null(reason),
    }
}

/// The symbol at or below an address, and the distance in bytes.
fn near_symbol(context: &Context, arguments: &[Value]) -> Result<(Symbol, u64), Reason> {
    let at = address(arguments.first()).ok_or(Reason::OutOfRange)?;
    let linked = at.get().wrapping_sub(context.target.slide);
    match context.target.catalog.profile.symbol_at(linked) {
        Ok(Some(found)) => Ok(found),
        _ => Err(Reason::Unavailable("no symbol there".into())),
    }
}

/// SHA-256 (FIPS 180-4) in hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn symbol_named(context: &Context, arguments: &[Value]) -> Value {
    let name = text(arguments.first())
        .map(String::from_utf8_lossy)
        .unwrap_or_default();
    match context.target.catalog.profile.symbol(&name) {
        Ok(Some(symbol)) => Value::Address(symbol.address.wrapping_add(context.target.slide)),
        _ => Value::Null(Reason::Unavailable("no such symbol".into())),
    }
}

/// The functions that need nothing but their arguments.
fn pure(function: Builtin, arguments: &[Value]) -> Option<Value> {
    let first = arguments.first();
    Some(match function {
        Builtin::Abs => match first? {
            Value::Float(number) => Value::Float(number.abs()),
            other => Value::integer(other.as_integer()?.abs()),
        },
        Builtin::Bits => {
            let (number, high, low) = (
                number(first)?,
                number(arguments.get(1))?,
                number(arguments.get(2))?,
            );
            if !(0..64).contains(&low) || !(low..64).contains(&high) {
                return None;
            }
            Value::Integer((number >> low) & ((1i128 << (high - low + 1)) - 1))
        }
        Builtin::Fls => {
            let number = number(first)? as u64;
            Value::Integer(i128::from(64 - number.leading_zeros()))
        }
        Builtin::Format => return format::printf(text(first)?, arguments.get(1..)?),
        Builtin::Hex => Value::text(hex(number(first)?)),
        Builtin::Ip => Value::text(ip(first?)?),
        Builtin::Mac => Value::text(mac(first?)?),
        Builtin::Replace => Value::text(replaced(
            text(first)?,
            text(arguments.get(1))?,
            text(arguments.get(2))?,
        )),
        Builtin::Join => join(first?, arguments.get(1)),
        Builtin::Len => Value::Integer(match first? {
            Value::Text(bytes) | Value::Bytes(bytes) => bytes.len() as i128,
            Value::List(values) => values.len() as i128,
            Value::Place(place) => match &place.ty {
                crate::profile::Type::Array { count, .. } => i128::from((*count)?),
                _ => return None,
            },
            _ => return None,
        }),
        Builtin::Lower => Value::text(text(first)?.to_ascii_lowercase()),
        Builtin::Upper => Value::text(text(first)?.to_ascii_uppercase()),
        Builtin::Ntohs => Value::Integer(i128::from((number(first)? as u16).swap_bytes())),
        Builtin::Ntohl => Value::Integer(i128::from((number(first)? as u32).swap_bytes())),
        Builtin::SinceBoot => Value::Duration(number(first)?),
        Builtin::Popcount => Value::Integer(i128::from((number(first)? as u64).count_ones())),
        Builtin::Words => {
            let text = text(first)?;
            let end = text
                .iter()
                .rposition(|byte| *byte != 0)
                .map_or(0, |last| last + 1);
            Value::text(
                text[..end]
                    .iter()
                    .map(|byte| if *byte == 0 { b' ' } else { *byte })
                    .collect::<Vec<_>>(),
            )
        }
        Builtin::Substr => {
            let text = text(first)?;
            let start = usize::try_from(number(arguments.get(1))?)
                .ok()?
                .min(text.len());
            let length = match arguments.get(2) {
                Some(length) => usize::try_from(length.as_integer()?).ok()?,
                None => usize::MAX,
            };
            let end = start.saturating_add(length).min(text.len());
            Value::text(&text[start..end])
        }
        _ => return None,
    })
}

/// `0x…`, with a sign before it where the number is negative.
fn hex(number: i128) -> String {
    if number < 0 {
        format!("-{:#x}", -number)
    } else {
        format!("{number:#x}")
    }
}

fn join(list: &Value, separator: Option<&Value>) -> Value {
    let Value::List(values) = list else {
        return list.clone();
    };
    let separator = text(separator).unwrap_or(b",");
    let parts: Vec<Vec<u8>> = values
        .iter()
        .filter(|value| !value.is_null())
        .map(format::plain)
        .collect();
    Value::text(parts.join(separator))
}

/// An address as `inet_ntop` writes it; `None` where it has neither 4 nor 16 bytes.
fn ip(address: &Value) -> Option<String> {
    let octets: &[u8] = match address {
        Value::Text(bytes) | Value::Bytes(bytes) => bytes,
        // The number is what the bytes in their order are on a little-endian machine.
        number => &u32::try_from(number.as_integer()?).ok()?.to_le_bytes(),
    };
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return Some(Ipv4Addr::from(octets).to_string());
    }
    let octets = <[u8; 16]>::try_from(octets).ok()?;
    // Addresses that only embed an IPv4 address show it.
    Some(match octets {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] if (a, b) != (0, 0) => {
            format!("::{}", Ipv4Addr::new(a, b, c, d))
        }
        _ => Ipv6Addr::from(octets).to_string(),
    })
}

/// Longest hardware address, in bytes (`MAX_ADDR_LEN`, include/linux/netdevice.h).
const LONGEST_MAC: usize = 32;

fn mac(address: &Value) -> Option<String> {
    let (Value::Text(octets) | Value::Bytes(octets)) = address else {
        return None;
    };
    if octets.len() > LONGEST_MAC {
        return None;
    }
    let pairs: Vec<String> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    Some(pairs.join(":"))
}

fn replaced(text: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(byte) = rest.first() {
        if !old.is_empty() && rest.starts_with(old) {
            out.extend_from_slice(new);
            rest = &rest[old.len()..];
        } else {
            out.push(*byte);
            rest = &rest[1..];
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(octets: &[u8]) -> Option<String> {
        ip(&Value::Bytes(Rc::from(octets)))
    }

    #[test]
    fn addresses_are_written_as_inet_ntop_does() {
        assert_eq!(ip(&Value::Integer(0x0100_007f)).unwrap(), "127.0.0.1");
        assert_eq!(
            ip(&Value::Integer(i128::from(u32::MAX))).unwrap(),
            "255.255.255.255"
        );
        assert_eq!(ip(&Value::Integer(1 << 32)), None);
        assert_eq!(shown(&[192, 0, 2, 7]).unwrap(), "192.0.2.7");
        for text in [
            "::",
            "::1",
            "fe80::1:2",
            "2001:db8::1:0:0:1",
            "::ffff:127.0.0.1",
            "::1.2.3.4",
            "1:2:3:4:5:6:7:8",
        ] {
            let address: Ipv6Addr = text.parse().unwrap();
            assert_eq!(shown(&address.octets()).unwrap(), text);
        }
        assert_eq!(shown(&[1, 2, 3]), None);
    }

    #[test]
    fn hardware_addresses_are_pairs() {
        let bytes = |octets: &[u8]| Value::Bytes(Rc::from(octets));
        assert_eq!(mac(&bytes(&[2, 0, 0xfe])).unwrap(), "02:00:fe");
        assert_eq!(mac(&bytes(&[])).unwrap(), "");
        assert_eq!(mac(&bytes(&[0; 33])), None);
        assert_eq!(mac(&Value::Integer(5)), None);
    }

    #[test]
    fn replacing_takes_every_place_once() {
        assert_eq!(replaced(b"aXXbX", b"X", b"yX"), b"ayXyXbyX");
        assert_eq!(replaced(b"ab", b"", b"x"), b"ab");
        assert_eq!(replaced(b"", b"a", b"b"), b"");
    }
}
