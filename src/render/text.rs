//! Bytes of the target → text that is safe to show.
//!
//! Whoever runs a process on the target chooses what it is called. Shown text therefore never holds a character that a terminal
//! obeys (C0 and C1 controls, DEL), that is invisible, or that changes the order in which text is read (Unicode Standard Annex #9,
//! Unicode Technical Report #36). Each is written as NQ writes it in a literal, so that what is shown can be pasted into a query:
//! `\n`, `\x1b`, `\u{202e}`; bytes that are not UTF-8 are `\xNN`, and a backslash is `\\`.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Characters that are not shown as they are, besides controls: ranges of the Unicode character database.
const HIDDEN: [(char, char); 16] = [
    // Soft hyphen.
    ('\u{ad}', '\u{ad}'),
    // Combining grapheme joiner; Arabic letter mark.
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    // Hangul fillers, Khmer and Mongolian marks that show nothing.
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    // Zero-width spaces and joiners, directional marks.
    ('\u{200b}', '\u{200f}'),
    // Line and paragraph separators, bidirectional embeddings and overrides.
    ('\u{2028}', '\u{202e}'),
    // Word joiner, invisible operators, bidirectional isolates, deprecated format characters.
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    // Variation selectors; byte order mark; half-width filler; interlinear annotation.
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    // Musical format controls.
    ('\u{1d173}', '\u{1d17a}'),
    // Tags and supplementary variation selectors.
    ('\u{e0000}', '\u{e0fff}'),
];

/// Whether a terminal would obey this character, not show it, or show its neighbours in another order.
pub fn is_hidden(character: char) -> bool {
    character.is_control()
        || HIDDEN
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&character))
}

/// The text, safe to show on one line.
pub fn escape(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text)
            if !text
                .chars()
                .any(|character| character == '\\' || is_hidden(character)) =>
        {
            Cow::Borrowed(text)
        }
        _ => Cow::Owned(escape_all(bytes)),
    }
}

/// Text of this program that may quote the target or a script: only what [`is_hidden`] is escaped; lines stay lines.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_unprintable(character) {
            push(&mut shown, character);
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// The same text with `?` for each byte of what is hidden, so that every other byte keeps its place. Tabs and line feeds stay.
pub fn mask(text: &str) -> Cow<'_, str> {
    let is_masked = |character: char| is_unprintable(character) && character != '\t';
    if !text.chars().any(is_masked) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if !is_masked(character) {
            shown.push(character);
        } else if character == '\r' {
            shown.push(' ');
        } else {
            shown.extend(std::iter::repeat_n('?', character.len_utf8()));
        }
    }
    Cow::Owned(shown)
}

fn is_unprintable(character: char) -> bool {
    is_hidden(character) && character != '\n'
}

fn escape_all(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            push(&mut shown, character);
        }
        for byte in chunk.invalid() {
            // Writing to a String does not fail.
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}

fn push(shown: &mut String, character: char) {
    // Writing to a String does not fail.
    let _ = match character {
        '\\' => shown.write_str("\\\\"),
        '\n' => shown.write_str("\\n"),
        '\r' => shown.write_str("\\r"),
        '\t' => shown.write_str("\\t"),
        '\0'..='\x1f' | '\x7f' => write!(shown, "\\x{:02x}", u32::from(character)),
        hidden if is_hidden(hidden) => write!(shown, "\\u{{{:x}}}", u32::from(hidden)),
        plain => shown.write_char(plain),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_terminal_obeys_is_shown_as_nq_writes_it() {
        let cases: [(&[u8], &str); 8] = [
            (b"kworker/0:1", "kworker/0:1"),
            ("Grüße".as_bytes(), "Grüße"),
            (b"\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
            (b"a\nb\tc\rd\0e\x7f", r"a\nb\tc\rd\x00e\x7f"),
            (b"\xff\xc3", r"\xff\xc3"),
            ("\u{9b}31m".as_bytes(), r"\u{9b}31m"),
            ("\u{202e}cod.exe".as_bytes(), r"\u{202e}cod.exe"),
            (br"C:\x1b", r"C:\\x1b"),
        ];
        for (bytes, shown) in cases {
            assert_eq!(escape(bytes), shown);
        }
    }

    #[test]
    fn texts_of_this_program_keep_their_lines() {
        assert_eq!(printable("C:\\a\nb\x1b"), "C:\\a\nb\\x1b");
        assert_eq!(mask("a\u{9b}b\tc\r\n\x1bd"), "a??b\tc \n?d");
    }

    proptest! {
        #[test]
        fn a_mask_keeps_every_place(text: String) {
            let masked = mask(&text);
            prop_assert_eq!(masked.len(), text.len());
            prop_assert!(text.char_indices().all(|(position, _)| masked.is_char_boundary(position)));
        }

        #[test]
        fn nothing_hidden_is_shown(bytes: Vec<u8>) {
            prop_assert!(!escape(&bytes).chars().any(is_hidden));
        }

        #[test]
        fn no_two_texts_look_alike(left: Vec<u8>, right: Vec<u8>) {
            prop_assert_eq!(left == right, escape(&left) == escape(&right));
        }
    }
}
