//! Values of a profile → the text that the loader, and any YAML reader, takes back.

use std::fmt::Write as _;

/// Plain words that some YAML version reads as something other than text (YAML 1.1, sections 2.4 and the type repository), lower case.
const RESERVED: [&str; 10] = [
    "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan",
];

/// Appends a scalar, plain where every YAML version reads it as text, in double quotes where not.
pub fn push_scalar(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push_str(text);
    } else {
        push_quoted(out, text);
    }
}

/// Appends a scalar that starts with a number, as members and symbols do: `0x10 struct list_head`.
pub fn push_numbered(out: &mut String, number: &str, text: &str) {
    if is_safe_inside(text) {
        out.push_str(number);
        out.push(' ');
        out.push_str(text);
    } else {
        push_quoted(out, &format!("{number} {text}"));
    }
}

/// Appends a scalar in double quotes.
pub fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                out.push('\\');
                out.push(character);
            }
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            // YAML has no short form for what JSON readers, or a person's terminal, would stumble over.
            c if c.is_control() || !c.is_ascii() => {
                let code = u32::from(c);
                let (letter, width) = if code > 0xffff { ('U', 8) } else { ('u', 4) };
                // Writing to a String does not fail.
                let _ = write!(out, "\\{letter}{code:0width$x}");
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Whether every YAML version reads the text, written plainly in block style, as that very text.
///
/// Stricter than YAML: it must start with a letter or `_`, and hold nothing but what C spellings are made of.
fn is_plain(text: &str) -> bool {
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let is_word = text.len() <= 5 && RESERVED.iter().any(|word| word.eq_ignore_ascii_case(text));
    starts_well && !is_word && is_safe_inside(text)
}

/// Whether the text can follow other plain text of a scalar.
pub fn is_safe_inside(text: &str) -> bool {
    let is_safe = |c: u8| c.is_ascii_alphanumeric() || b"_ .,*()[]#$/+-".contains(&c);
    text.bytes().all(is_safe)
        && !text.contains(" #")
        && !text.starts_with('#')
        && !text.ends_with(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_come_back_as_they_were() {
        for text in [
            "init_task",
            "y",
            "No",
            "NULL",
            "~",
            "12",
            "0x10",
            "1e3",
            ".nan",
            "struct foo#2 *",
            "a #b",
            "a: b",
            "<<",
            "=",
            "void (*)(int, char *)",
            "",
            " lead",
            "trail ",
            "\"quoted\\",
            "new\nline",
            "tab\t",
            "\u{1b}[31m",
            "é\u{1f600}",
            "- a",
            "? a",
            "[x]",
            "{x}",
            "&a",
            "*a",
            "!t",
            "|",
            ">",
            "%a",
            "@a",
            "`a",
            "x::y<z>",
            "2026-11-23",
            "1:30",
            "on",
            "Infinity",
            "yes",
        ] {
            let mut out = String::new();
            push_scalar(&mut out, text);
            let back: String =
                serde_yaml::from_str(&out).unwrap_or_else(|error| panic!("{out}: {error}"));
            assert_eq!(back, text);
            let mut map = format!("{out}: ");
            push_scalar(&mut map, text);
            let back: std::collections::BTreeMap<String, String> =
                serde_yaml::from_str(&map).unwrap_or_else(|error| panic!("{map}: {error}"));
            assert_eq!(back.get(text).map(String::as_str), Some(text));
        }
    }

    #[test]
    fn ordinary_spellings_stay_plain() {
        for text in [
            "task_struct",
            "struct (task_struct.foo)[2]",
            "void (*)(struct work_struct *, ...)",
            "foo#2",
            "x.isra.0",
        ] {
            assert!(is_plain(text), "{text}");
        }
    }
}
