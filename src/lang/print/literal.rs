//! Literals as they are written.

use crate::lang::ast::{Literal, Notation};

/// One literal.
pub(super) fn literal(value: &Literal) -> String {
    match value {
        Literal::Null => "null".to_string(),
        Literal::Boolean(value) => value.to_string(),
        Literal::Integer { value, notation } => integer(*value, *notation),
        Literal::Float(value) => float(*value),
        Literal::Text(bytes) => text(bytes),
        Literal::Bytes(bytes) => format!("h'{}'", pairs(bytes)),
        Literal::Duration { nanoseconds, unit } => {
            format!("{}{}", nanoseconds / unit.nanoseconds(), unit.suffix())
        }
    }
}

fn integer(value: u64, notation: Notation) -> String {
    match notation {
        Notation::Decimal => value.to_string(),
        Notation::Hexadecimal => format!("{value:#x}"),
        Notation::Binary => format!("{value:#b}"),
        Notation::Kibi | Notation::Mebi | Notation::Gibi => {
            format!("{}{}", value / notation.factor(), notation.suffix())
        }
    }
}

/// Without an exponent, and with a point even if it is whole, so that it is read as a fraction again.
fn float(value: f64) -> String {
    let digits = value.to_string();
    if digits.contains('.') {
        digits
    } else {
        format!("{digits}.0")
    }
}

fn pairs(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(" ")
}

/// A text in single quotes, with escapes for what cannot be seen and for what is not UTF-8.
pub(super) fn text(bytes: &[u8]) -> String {
    let mut shown = String::from("'");
    for chunk in bytes.utf8_chunks() {
        shown.extend(chunk.valid().chars().map(escaped));
        for byte in chunk.invalid() {
            shown.push_str(&format!("\\x{byte:02x}"));
        }
    }
    shown.push('\'');
    shown
}

fn escaped(character: char) -> String {
    match character {
        '\n' => "\\n".to_string(),
        '\t' => "\\t".to_string(),
        '\r' => "\\r".to_string(),
        '\0' => "\\0".to_string(),
        '\\' => "\\\\".to_string(),
        '\'' => "\\'".to_string(),
        ' ' => " ".to_string(),
        _ if character.is_ascii_control() => format!("\\x{:02x}", u32::from(character)),
        _ if is_visible(character) => character.to_string(),
        _ => format!("\\u{{{:x}}}", u32::from(character)),
    }
}

/// Whether a reader sees the character, and sees it where it stands: Rust's own judgement of what to escape, which covers
/// controls, unassigned characters and blanks, and the marks that turn the direction of writing.
fn is_visible(character: char) -> bool {
    let invisible = matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let whole = character.escape_debug().count() == 1 || matches!(character, '"');
    !invisible && !character.is_control() && !character.is_whitespace() && whole
}
