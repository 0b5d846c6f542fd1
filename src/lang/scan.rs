//! Text → tokens, without judging them: enough to see lines, brackets, quotes and words.
//!
//! The grammar does not read these; [`super::layout`] cuts statements with them and error messages name what was found by
//! them. The scanner never fails: what is no token of the language is a [`TokenKind::Stray`].

use super::ast::Span;

/// What a token looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A name or a keyword.
    Word,
    /// Anything that begins with a digit.
    Number,
    /// A quoted text or `h'…'`, closed on its line.
    Text,
    /// A quoted text that its line does not close.
    UnclosedText,
    /// `@name` or `$name`.
    Sigil,
    /// `(` or `[`.
    Open,
    /// `)` or `]`.
    Close,
    /// `;`
    Semicolon,
    /// An operator, a comma, a dot; other languages' operators too.
    Sign,
    /// A character that has no place in the language.
    Stray,
}

/// One token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// What it looks like.
    pub(super) kind: TokenKind,
    /// Where it stands.
    pub(super) span: Span,
    /// No token before it stands on the same line.
    pub(super) first_on_line: bool,
}

impl Token {
    /// What is written there.
    pub(super) fn text<'t>(&self, source: &'t str) -> &'t str {
        source.get(self.span.start..self.span.end).unwrap_or("")
    }
}

/// Signs of more than one character, the longer first; those of other languages are here so that a message shows them whole.
const LONG_SIGNS: &[&str] = &[
    "===", "!==", "<=>", "<<=", ">>=", "->", "&&", "||", "??", "==", "!=", "<=", ">=", "<<", ">>",
    "<>", "=>", "=<", ":=", "++", "--", "+=", "-=", "|=", "&=", "^=", "//", "/*", "*/", "**", "::",
    "..",
];

/// Signs of one character.
const SHORT_SIGNS: &str = "=<>!&|?+-*/%^~:.,@$";

/// Cuts `source` into tokens; white space and comments leave none.
pub(super) fn scan(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut first_on_line = true;
    let mut position = 0;
    while let Some(rest) = source.get(position..) {
        let Some(first) = rest.chars().next() else {
            break;
        };
        let skipped = blank_length(rest, first);
        if skipped > 0 {
            first_on_line |= first == '\n';
            position += skipped;
            continue;
        }
        let (kind, length) = token_at(rest, first);
        let span = Span::new(position, position + length);
        tokens.push(Token {
            kind,
            span,
            first_on_line,
        });
        first_on_line = false;
        position = span.end;
    }
    tokens
}

/// How many bytes of `rest` show nothing: one white-space character, or a comment.
fn blank_length(rest: &str, first: char) -> usize {
    match first {
        ' ' | '\t' | '\r' | '\n' => 1,
        '#' => rest.find('\n').unwrap_or(rest.len()),
        _ => 0,
    }
}

/// The token that `rest` begins with, and its length.
fn token_at(rest: &str, first: char) -> (TokenKind, usize) {
    match first {
        'h' | 'H' if rest.get(1..2) == Some("'") => bytes_token(rest),
        'a'..='z' | 'A'..='Z' | '_' => (TokenKind::Word, name_length(rest)),
        '0'..='9' => (TokenKind::Number, number_length(rest)),
        '\'' | '"' => text_token(rest, first),
        '@' | '$' => sigil_token(rest),
        '(' | '[' => (TokenKind::Open, 1),
        ')' | ']' => (TokenKind::Close, 1),
        ';' => (TokenKind::Semicolon, 1),
        _ => sign_token(rest, first),
    }
}

fn is_name_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

fn name_length(rest: &str) -> usize {
    rest.find(|character| !is_name_character(character))
        .unwrap_or(rest.len())
}

fn number_length(rest: &str) -> usize {
    let digits = rest
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(rest.len());
    let fraction = rest.get(digits..).unwrap_or("");
    let after_point = fraction
        .strip_prefix('.')
        .filter(|after| after.starts_with(|character: char| character.is_ascii_digit()));
    match after_point {
        Some(after) => digits + 1 + name_length(after),
        None => name_length(rest),
    }
}

fn sigil_token(rest: &str) -> (TokenKind, usize) {
    let after = rest.get(1..).unwrap_or("");
    let named =
        after.starts_with(|character: char| character.is_ascii_alphabetic() || character == '_');
    if named {
        (TokenKind::Sigil, 1 + name_length(after))
    } else {
        (TokenKind::Sign, 1)
    }
}

fn sign_token(rest: &str, first: char) -> (TokenKind, usize) {
    if let Some(sign) = LONG_SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        return (TokenKind::Sign, sign.len());
    }
    let kind = if SHORT_SIGNS.contains(first) {
        TokenKind::Sign
    } else {
        TokenKind::Stray
    };
    (kind, first.len_utf8())
}

fn text_token(rest: &str, quote: char) -> (TokenKind, usize) {
    let mut escaped = false;
    for (offset, character) in rest.char_indices().skip(1) {
        match character {
            '\n' => return (TokenKind::UnclosedText, offset),
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return (TokenKind::Text, offset + 1),
            _ => {}
        }
    }
    (TokenKind::UnclosedText, rest.len())
}

fn bytes_token(rest: &str) -> (TokenKind, usize) {
    let inside = rest.get(2..).unwrap_or("");
    match inside.find(['\'', '\n']) {
        Some(end) if inside.get(end..end + 1) == Some("'") => (TokenKind::Text, end + 3),
        Some(end) => (TokenKind::UnclosedText, end + 2),
        None => (TokenKind::UnclosedText, rest.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(source: &str) -> Vec<(TokenKind, &str)> {
        scan(source)
            .iter()
            .map(|token| (token.kind, token.text(source)))
            .collect()
    }

    #[test]
    fn words_numbers_texts_and_signs() {
        use TokenKind::{Close, Number, Open, Sigil, Sign, Text, Word};
        assert_eq!(
            shown("f(1.5, 4K, @x)->y <> h'de' 'it\\'s' 1.x # no"),
            [
                (Word, "f"),
                (Open, "("),
                (Number, "1.5"),
                (Sign, ","),
                (Number, "4K"),
                (Sign, ","),
                (Sigil, "@x"),
                (Close, ")"),
                (Sign, "->"),
                (Word, "y"),
                (Sign, "<>"),
                (Text, "h'de'"),
                (Text, "'it\\'s'"),
                (Number, "1"),
                (Sign, "."),
                (Word, "x"),
            ]
        );
    }

    #[test]
    fn a_text_ends_with_its_line() {
        assert_eq!(
            shown("'open\nnext"),
            [
                (TokenKind::UnclosedText, "'open"),
                (TokenKind::Word, "next")
            ]
        );
        assert_eq!(shown("h'de\n"), [(TokenKind::UnclosedText, "h'de")]);
        assert_eq!(shown("'\\"), [(TokenKind::UnclosedText, "'\\")]);
    }

    #[test]
    fn lines_are_seen_through_comments() {
        let firsts: Vec<bool> = scan("a b # c\n# d\n  e f")
            .iter()
            .map(|token| token.first_on_line)
            .collect();
        assert_eq!(firsts, [true, false, true, false]);
    }

    #[test]
    fn any_character_is_a_token() {
        assert_eq!(
            shown("é“\0"),
            [
                (TokenKind::Stray, "é"),
                (TokenKind::Stray, "“"),
                (TokenKind::Stray, "\0")
            ]
        );
    }
}
