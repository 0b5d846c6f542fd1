//! Literals: their letters → their values.

use super::Parsed;
use super::cursor::Node;
use super::grammar::Rule;
use crate::lang::ast::{DurationUnit, Literal, Notation, Quoted, Span};
use crate::lang::syntax_error::SyntaxError;

/// Suffixes that multiply an integer.
const SIZES: &[(&str, Notation)] = &[
    ("K", Notation::Kibi),
    ("M", Notation::Mebi),
    ("G", Notation::Gibi),
];

/// Suffixes that make a duration.
const UNITS: &[(&str, DurationUnit)] = &[
    ("ns", DurationUnit::Nanoseconds),
    ("us", DurationUnit::Microseconds),
    ("ms", DurationUnit::Milliseconds),
    ("s", DurationUnit::Seconds),
    ("m", DurationUnit::Minutes),
    ("h", DurationUnit::Hours),
];

const HINT_SUFFIX: &str =
    "sizes end in K, M or G (powers of 1024), durations in ns, us, ms, s, m or h";
const HINT_OCTAL: &str =
    "a leading 0 would be octal in C and decimal elsewhere; write it in decimal, or as 0x…";
const HINT_HEXADECIMAL: &str = "after 0x come the digits 0 to 9 and a to f";
const HINT_BINARY: &str = "after 0b come the digits 0 and 1";
const HINT_UNDERSCORE: &str = "digits stand together, without `_`";
const HINT_FRACTION: &str = "a number with a fraction has no suffix and no exponent";
const HINT_C_SUFFIX: &str = "numbers need no U or L; every integer has 64 bits";

impl Notation {
    /// What the written digits are multiplied by.
    pub fn factor(self) -> u64 {
        match self {
            Self::Decimal | Self::Hexadecimal | Self::Binary => 1,
            Self::Kibi => 1 << 10,
            Self::Mebi => 1 << 20,
            Self::Gibi => 1 << 30,
        }
    }

    /// What follows the digits.
    pub fn suffix(self) -> &'static str {
        SIZES
            .iter()
            .find(|(_, notation)| *notation == self)
            .map_or("", |(suffix, _)| suffix)
    }
}

impl DurationUnit {
    /// Its length in nanoseconds.
    pub fn nanoseconds(self) -> u64 {
        match self {
            Self::Nanoseconds => 1,
            Self::Microseconds => 1_000,
            Self::Milliseconds => 1_000_000,
            Self::Seconds => 1_000_000_000,
            Self::Minutes => 60_000_000_000,
            Self::Hours => 3_600_000_000_000,
        }
    }

    /// What follows the digits.
    pub fn suffix(self) -> &'static str {
        UNITS
            .iter()
            .find(|(_, unit)| *unit == self)
            .map_or("", |(suffix, _)| suffix)
    }
}

/// Reads a `literal`.
pub(super) fn literal(node: Node<'_>) -> Parsed<Literal> {
    let child = node.only_child()?;
    match child.rule() {
        Rule::number => number(&child),
        Rule::text => text(&child).map(Literal::Text),
        Rule::bytes => bytes(&child).map(Literal::Bytes),
        Rule::word_true => Ok(Literal::Boolean(true)),
        Rule::word_false => Ok(Literal::Boolean(false)),
        Rule::word_null => Ok(Literal::Null),
        _ => child.misplaced(Rule::literal, "a literal"),
    }
}

/// Reads a `number`.
pub(super) fn number(node: &Node<'_>) -> Parsed<Literal> {
    let written = node.text();
    let bad = |hint| {
        Box::new(SyntaxError::BadNumber {
            written: written.to_string(),
            span: node.span(),
            hint,
        })
    };
    let too_large = || {
        Box::new(SyntaxError::NumberTooLarge {
            written: written.to_string(),
            span: node.span(),
        })
    };
    if written.contains('.') {
        return float(written).ok_or_else(|| bad(HINT_FRACTION));
    }
    let lower = written.to_ascii_lowercase();
    if let Some(digits) = lower.strip_prefix("0x") {
        return radix(digits, 16, Notation::Hexadecimal, too_large, || {
            bad(HINT_HEXADECIMAL)
        });
    }
    if let Some(digits) = lower.strip_prefix("0b") {
        return radix(digits, 2, Notation::Binary, too_large, || bad(HINT_BINARY));
    }
    let end = written
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(written.len());
    let (digits, suffix) = written.split_at(end);
    if digits.len() > 1 && digits.starts_with('0') {
        return Err(bad(HINT_OCTAL));
    }
    let count: u64 = digits.parse().map_err(|_| too_large())?;
    with_suffix(count, suffix, too_large).unwrap_or_else(|| Err(bad(suffix_hint(suffix))))
}

/// A number of rows, elements or the like: an integer and nothing else.
pub(super) fn integer(node: &Node<'_>) -> Parsed<u64> {
    match number(node)? {
        Literal::Integer { value, .. } => Ok(value),
        _ => Err(Box::new(SyntaxError::BadNumber {
            written: node.text().to_string(),
            span: node.span(),
            hint: "only a whole number can stand here",
        })),
    }
}

fn float(written: &str) -> Option<Literal> {
    let plain = written
        .chars()
        .all(|character| character.is_ascii_digit() || character == '.');
    let value: f64 = written.parse().ok().filter(|_| plain)?;
    value.is_finite().then_some(Literal::Float(value))
}

fn radix(
    digits: &str,
    base: u32,
    notation: Notation,
    too_large: impl Fn() -> Box<SyntaxError>,
    bad: impl Fn() -> Box<SyntaxError>,
) -> Parsed<Literal> {
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(base)) {
        return Err(bad());
    }
    let value = u64::from_str_radix(digits, base).map_err(|_| too_large())?;
    Ok(Literal::Integer { value, notation })
}

/// The literal for digits and what follows them; `None` if that is no suffix.
fn with_suffix(
    count: u64,
    suffix: &str,
    too_large: impl Fn() -> Box<SyntaxError>,
) -> Option<Parsed<Literal>> {
    let scaled = |factor: u64| count.checked_mul(factor).ok_or_else(&too_large);
    if suffix.is_empty() {
        let notation = Notation::Decimal;
        return Some(Ok(Literal::Integer {
            value: count,
            notation,
        }));
    }
    if let Some((_, notation)) = SIZES.iter().find(|(size, _)| *size == suffix) {
        let notation = *notation;
        return Some(scaled(notation.factor()).map(|value| Literal::Integer { value, notation }));
    }
    let (_, unit) = UNITS.iter().find(|(unit, _)| *unit == suffix)?;
    let unit = *unit;
    Some(scaled(unit.nanoseconds()).map(|nanoseconds| Literal::Duration { nanoseconds, unit }))
}

fn suffix_hint(suffix: &str) -> &'static str {
    let is_c = suffix.chars().all(|character| "uUlL".contains(character));
    if is_c {
        HINT_C_SUFFIX
    } else if suffix.starts_with('_') {
        HINT_UNDERSCORE
    } else {
        HINT_SUFFIX
    }
}

/// The bytes of a `text`, escapes resolved.
pub(super) fn text(node: &Node<'_>) -> Parsed<Vec<u8>> {
    let written = node.text();
    let inside = written
        .get(1..written.len().saturating_sub(1))
        .unwrap_or("");
    let mut bytes = Vec::with_capacity(inside.len());
    let mut rest = inside;
    while let Some(position) = rest.find('\\') {
        let (plain, escaped) = rest.split_at(position);
        bytes.extend_from_slice(plain.as_bytes());
        let start = node.span().start + 1 + (inside.len() - escaped.len());
        let length =
            escape(escaped, &mut bytes).map_err(|length| bad_escape(escaped, start, length))?;
        rest = escaped.get(length..).unwrap_or("");
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

fn bad_escape(escaped: &str, start: usize, length: usize) -> Box<SyntaxError> {
    let written: String = escaped.chars().take(length).collect();
    let span = Span::new(start, start + written.len());
    Box::new(SyntaxError::BadEscape { written, span })
}

/// Resolves the escape that `escaped` begins with and gives its length; or how many characters of it to show as wrong.
fn escape(escaped: &str, bytes: &mut Vec<u8>) -> Result<usize, usize> {
    let kind = escaped.chars().nth(1).ok_or(1_usize)?;
    let single = match kind {
        'n' => b'\n',
        't' => b'\t',
        'r' => b'\r',
        '0' => 0,
        '\\' => b'\\',
        '\'' => b'\'',
        '"' => b'"',
        'x' => {
            let digits = escaped.get(2..4).ok_or(2_usize)?;
            bytes.push(hexadecimal_pair(digits).ok_or(4_usize)?);
            return Ok(4);
        }
        'u' => return unicode_escape(escaped, bytes),
        _ => return Err(2),
    };
    bytes.push(single);
    Ok(2)
}

fn unicode_escape(escaped: &str, bytes: &mut Vec<u8>) -> Result<usize, usize> {
    let digits = escaped
        .strip_prefix("\\u{")
        .and_then(|rest| rest.split_once('}'))
        .map(|(digits, _)| digits)
        .ok_or(2_usize)?;
    let shown = digits.chars().count() + 4;
    let plain = digits.len() <= 6 && digits.chars().all(|digit| digit.is_ascii_hexdigit());
    let number = u32::from_str_radix(digits, 16)
        .ok()
        .filter(|_| plain)
        .ok_or(shown)?;
    let character = char::from_u32(number).ok_or(shown)?;
    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Ok(digits.len() + 4)
}

fn hexadecimal_pair(digits: &str) -> Option<u8> {
    let plain = digits.len() == 2 && digits.chars().all(|digit| digit.is_ascii_hexdigit());
    plain.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

/// A `text` that is for people or for the file system, and so must be Unicode.
pub(super) fn quoted(node: &Node<'_>) -> Parsed<Quoted> {
    let span = node.span();
    let text =
        String::from_utf8(text(node)?).map_err(|_| Box::new(SyntaxError::NotUnicode { span }))?;
    Ok(Quoted { text, span })
}

/// The bytes of an `h'…'`: pairs of hexadecimal digits, with or without white space between pairs.
fn bytes(node: &Node<'_>) -> Parsed<Vec<u8>> {
    let bytes: Option<Vec<u8>> = wild_bytes(node)?.into_iter().collect();
    bytes.ok_or_else(|| Box::new(SyntaxError::BadBytes { span: node.span() }))
}

/// As [`bytes`], where `??` stands for any byte.
pub(super) fn wild_bytes(node: &Node<'_>) -> Parsed<Vec<Option<u8>>> {
    let written = node.text();
    let inside = written
        .get(2..written.len().saturating_sub(1))
        .unwrap_or("");
    let mut bytes = Vec::new();
    for word in inside.split_ascii_whitespace() {
        let start = word.as_ptr() as usize - written.as_ptr() as usize + node.span().start;
        let bad = || {
            let span = Span::new(start, start + word.len());
            Box::new(SyntaxError::BadBytes { span })
        };
        if word.len() % 2 != 0 || !word.is_ascii() {
            return Err(bad());
        }
        for pair in 0..word.len() / 2 {
            let digits = word.get(pair * 2..pair * 2 + 2).unwrap_or("");
            bytes.push(match digits {
                "??" => None,
                _ => Some(hexadecimal_pair(digits).ok_or_else(bad)?),
            });
        }
    }
    Ok(bytes)
}
