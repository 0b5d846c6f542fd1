//! A value → text for people, on one line.

use std::fmt::Write as _;

use super::text::escape;
use crate::profile::Type;
use crate::value::{Value, ValueType};

/// What a null looks like in a table. Text that reads the same is put in quotes, so that it cannot be mistaken for one.
pub(super) const NULL: &str = "null";

/// So many equal values in a row and more are written once.
const REPEATS: usize = 8;

/// A cell of a table.
pub(super) fn cell(value: &Value, kind: &ValueType) -> String {
    let mut text = String::new();
    write_cell(&mut text, value, kind);
    text
}

/// Appends a cell of a table.
pub(super) fn write_cell(out: &mut String, value: &Value, kind: &ValueType) {
    // Writing to a String does not fail.
    let _ = match value {
        Value::Text(bytes) if **bytes == *NULL.as_bytes() => write!(out, "'{NULL}'"),
        Value::Text(bytes) => out.write_str(&escape(bytes)),
        Value::Integer(number) if is_pointer(kind) => out.write_str(&address(*number)),
        // The formatting of 128 bits is several times as slow.
        Value::Integer(number) => match i64::try_from(*number) {
            Ok(number) => write!(out, "{number}"),
            Err(_) => write!(out, "{number}"),
        },
        other => out.write_str(&inner(other)),
    };
}

/// Whether an integer of this type is an address.
pub(super) fn is_pointer(kind: &ValueType) -> bool {
    matches!(
        kind,
        ValueType::Kernel(Type::Pointer(_) | Type::Function(_))
    )
}

/// An address; one that is no 64-bit number stays a number.
pub(super) fn address(number: i128) -> String {
    match u64::try_from(number) {
        Ok(number) => format!("{number:#x}"),
        Err(_) => number.to_string(),
    }
}

/// A value inside another one, where text needs quotes.
pub(super) fn inner(value: &Value) -> String {
    match value {
        Value::Null(_) => NULL.to_owned(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Text(bytes) => quoted(bytes),
        Value::Bytes(bytes) => hex(bytes, " "),
        Value::Duration(nanoseconds) => duration(*nanoseconds),
        Value::Address(address) => format!("{address:#x}"),
        Value::Enumerator(_, Some(name)) => escape(name.as_bytes()).into_owned(),
        Value::Enumerator(number, None) => number.to_string(),
        Value::Place(place) => format!("{:#x}", place.address.get()),
        Value::Struct(object) => {
            let members = object.members.iter();
            let members = members
                .map(|(name, value)| format!(".{} = {}", escape(name.as_bytes()), inner(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
        Value::List(values) => format!("[{}]", entries(values).join(", ")),
    }
}

/// The entries of a list; a long run of equal ones is one entry that says so, as gdb writes it.
pub(super) fn entries(values: &[Value]) -> Vec<String> {
    let runs = values.chunk_by(|left, right| left == right);
    let texts = runs.flat_map(|run| {
        let text = run.first().map(inner).unwrap_or_default();
        if run.len() < REPEATS {
            vec![text; run.len()]
        } else {
            vec![format!("{text} <repeats {} times>", run.len())]
        }
    });
    texts.collect()
}

fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", escape(bytes).replace('"', "\\\""))
}

/// Two digits for each byte.
pub(super) fn hex(bytes: &[u8], separator: &str) -> String {
    let mut text = String::with_capacity(bytes.len() * (2 + separator.len()));
    for byte in bytes {
        if !text.is_empty() {
            text.push_str(separator);
        }
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Units of time below a minute, in nanoseconds, longest first.
const UNITS: [(u128, &str); 4] = [
    (1_000_000_000, "s"),
    (1_000_000, "ms"),
    (1_000, "us"),
    (1, "ns"),
];

/// Units of time from a minute on, in seconds, longest first.
const LONG_UNITS: [(u128, &str); 3] = [(86_400, "d"), (3_600, "h"), (60, "m")];

/// A duration as NQ writes one: `1.5s`, `250ms`; from a minute on `3h 2m 5.25s`. Below a minute it is rounded to thousandths of its
/// unit, above to thousandths of a second.
pub(super) fn duration(nanoseconds: i128) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let total = nanoseconds.unsigned_abs();
    if total == 0 {
        return "0s".to_owned();
    }
    let mut parts = Vec::new();
    let mut seconds = total / 1_000_000_000;
    if seconds >= 60 {
        for (length, unit) in LONG_UNITS {
            if seconds >= length {
                parts.push(format!("{}{unit}", seconds / length));
                seconds %= length;
            }
        }
        let rest = seconds * 1_000_000_000 + total % 1_000_000_000;
        if rest >= 1_000_000 {
            parts.push(format!("{}s", decimal(rest, 1_000_000_000)));
        }
    } else if let Some((length, unit)) = UNITS.iter().find(|(length, _)| total >= *length) {
        parts.push(format!("{}{unit}", decimal(total, *length)));
    }
    format!("{sign}{}", parts.join(" "))
}

/// `number / unit` with at most three decimals (the rest is cut off), without trailing zeros.
fn decimal(number: u128, unit: u128) -> String {
    let thousandths = (number % unit) * 1_000 / unit;
    let text = format!("{}.{thousandths:03}", number / unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::sync::Arc;

    use super::*;
    use crate::addr::VirtAddr;
    use crate::value::{Reason, StructValue};

    fn shown(value: Value) -> String {
        cell(&value, &ValueType::Any)
    }

    #[test]
    fn durations_are_written_as_nq_reads_them() {
        let cases = [
            (0, "0s"),
            (999, "999ns"),
            (1_500, "1.5us"),
            (250_000_000, "250ms"),
            (1_500_000_000, "1.5s"),
            (-1_234_567_890, "-1.234s"),
            (300_000_000_000, "5m"),
            (11_045_250_000_000, "3h 4m 5.25s"),
            (86_400_000_000_001, "1d"),
        ];
        for (nanoseconds, text) in cases {
            assert_eq!(shown(Value::Duration(nanoseconds)), text);
        }
        assert!(!duration(i128::MIN).is_empty());
    }

    #[test]
    fn values_are_told_apart() {
        assert_eq!(shown(Value::Null(Reason::Absent)), "null");
        assert_eq!(shown(Value::text("null")), "'null'");
        assert_eq!(shown(Value::text("a\"b")), "a\"b");
        assert_eq!(
            shown(Value::Address(0xffff_8880_0000_1000)),
            "0xffff888000001000"
        );
        assert_eq!(
            shown(Value::Bytes(Rc::from([0xde, 0xad].as_slice()))),
            "de ad"
        );
        assert_eq!(
            shown(Value::Enumerator(2, Some(Arc::from("PIDTYPE_PGID")))),
            "PIDTYPE_PGID"
        );
        assert_eq!(shown(Value::Enumerator(-7, None)), "-7");
        let pointer = ValueType::Kernel(Type::Void.pointer_to());
        assert_eq!(cell(&Value::Integer(0x1000), &pointer), "0x1000");
        assert_eq!(cell(&Value::Integer(-1), &pointer), "-1");
    }

    #[test]
    fn compound_values_stay_on_one_line() {
        let list: Rc<[Value]> = Rc::from([Value::Integer(1), Value::text("a\nb\"")].as_slice());
        let object = StructValue {
            type_name: "struct thing".to_owned(),
            address: VirtAddr::new(0x10),
            members: vec![
                (Arc::from("pid"), Value::Integer(3)),
                (Arc::from("list"), Value::List(list)),
            ],
        };
        assert_eq!(
            shown(Value::Struct(Rc::new(object))),
            r#"{.pid = 3, .list = [1, "a\nb\""]}"#
        );
        let zeros = vec![Value::Integer(0); 300];
        assert_eq!(shown(Value::List(zeros.into())), "[0 <repeats 300 times>]");
    }
}
