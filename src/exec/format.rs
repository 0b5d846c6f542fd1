//! `format('…', …)`: C's printf for the conversions that text forms of kernel values need.

use crate::value::{Reason, Value};

/// A value as text, as the functions that build texts see it.
pub(super) fn plain(value: &Value) -> Vec<u8> {
    match value {
        Value::Text(bytes) | Value::Bytes(bytes) => bytes.to_vec(),
        Value::Boolean(truth) => truth.to_string().into_bytes(),
        Value::Integer(number) | Value::Duration(number) => number.to_string().into_bytes(),
        Value::Float(number) => number.to_string().into_bytes(),
        Value::Address(address) => format!("{address:#x}").into_bytes(),
        Value::Enumerator(_, Some(name)) => name.as_bytes().to_vec(),
        Value::Enumerator(number, None) => number.to_string().into_bytes(),
        Value::Place(place) => format!("{}", place.address).into_bytes(),
        Value::Null(_) => b"null".to_vec(),
        Value::Struct(_) => Vec::new(),
        Value::List(values) => values.iter().map(plain).collect::<Vec<_>>().join(&b','),
    }
}

/// A conversion specification: `%[-0][WIDTH]LETTER`.
struct Specification {
    left: bool,
    zeros: bool,
    width: usize,
    letter: u8,
}

/// Widest field that is made, in characters.
const WIDEST: usize = 4096;

fn specification(
    template: &mut std::iter::Peekable<impl Iterator<Item = u8>>,
) -> Option<Specification> {
    let mut found = Specification {
        left: false,
        zeros: false,
        width: 0,
        letter: 0,
    };
    loop {
        match template.next()? {
            b'-' => found.left = true,
            b'0' if found.width == 0 => found.zeros = true,
            digit @ b'0'..=b'9' => {
                found.width = (found.width * 10 + usize::from(digit - b'0')).min(WIDEST)
            }
            b'l' | b'h' | b'z' => {}
            letter => {
                found.letter = letter;
                return Some(found);
            }
        }
    }
}

/// The template with its conversions replaced. A null value makes the result null; an unknown conversion or a missing value `None`.
pub(super) fn printf(template: &[u8], values: &[Value]) -> Option<Value> {
    let mut out = Vec::new();
    let mut values = values.iter();
    let mut template = template.iter().copied().peekable();
    while let Some(byte) = template.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let specification = specification(&mut template)?;
        if specification.letter == b'%' {
            out.push(b'%');
            continue;
        }
        let value = values.next()?;
        if let Value::Null(reason) = value {
            return Some(Value::Null(reason.clone()));
        }
        let converted = convert(specification.letter, value)?;
        pad(&mut out, &converted, &specification);
    }
    if out.len() > WIDEST * 16 {
        Some(Value::Null(Reason::OutOfRange))
    } else {
        Some(Value::text(out))
    }
}

fn convert(letter: u8, value: &Value) -> Option<Vec<u8>> {
    let number = || value.as_integer();
    Some(match letter {
        b'd' | b'i' | b'u' => number()?.to_string().into_bytes(),
        b'x' => format!("{:x}", number()? as u64).into_bytes(),
        b'X' => format!("{:X}", number()? as u64).into_bytes(),
        b'o' => format!("{:o}", number()? as u64).into_bytes(),
        b'c' => vec![u8::try_from(number()?).ok()?],
        b's' => plain(value),
        b'p' => format!("{:#x}", number()? as u64).into_bytes(),
        _ => return None,
    })
}

fn pad(out: &mut Vec<u8>, converted: &[u8], specification: &Specification) {
    let missing = specification.width.saturating_sub(converted.len());
    let numeric = specification.letter != b's' && specification.letter != b'c';
    match (specification.left, specification.zeros && numeric) {
        (true, _) => {
            out.extend_from_slice(converted);
            out.extend(std::iter::repeat_n(b' ', missing));
        }
        (false, true) => {
            let (sign, digits) = if converted.first() == Some(&b'-') {
                converted.split_at(1)
            } else {
                converted.split_at(0)
            };
            out.extend_from_slice(sign);
            out.extend(std::iter::repeat_n(b'0', missing));
            out.extend_from_slice(digits);
        }
        (false, false) => {
            out.extend(std::iter::repeat_n(b' ', missing));
            out.extend_from_slice(converted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_are_those_of_printf() {
        let formatted = |template: &str, values: &[Value]| printf(template.as_bytes(), values);
        let integer = Value::Integer;
        assert_eq!(
            formatted("%02x:%02x", &[integer(8), integer(1)]),
            Some(Value::text("08:01"))
        );
        assert_eq!(
            formatted("[%5d|%-5d|%05d]", &[integer(-3), integer(3), integer(-3)]),
            Some(Value::text("[   -3|3    |-0003]"))
        );
        assert_eq!(
            formatted("%c%s%%", &[integer(65), Value::text("b")]),
            Some(Value::text("Ab%"))
        );
        assert_eq!(formatted("%d", &[]), None);
        assert_eq!(formatted("%", &[]), None);
        assert!(
            formatted("%d", &[Value::Null(Reason::NullPointer)])
                .unwrap()
                .is_null()
        );
    }
}
