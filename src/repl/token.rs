//! What is typed → stretches for colour and completion. The language's own scanner serves its messages; this one also keeps comments
//! and needs no more than it shows.

use std::ops::Range;

/// What a stretch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or keyword; with `@` or `$` before it too.
    Word,
    /// A number with its unit.
    Number,
    /// A text, closed or not.
    Text,
    /// From `#` to the end of the line.
    Comment,
    /// One character of anything else, or `->`.
    Sign,
}

/// A stretch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Range<usize>,
}

impl Token {
    /// What is written there.
    pub(super) fn text<'t>(&self, source: &'t str) -> &'t str {
        source.get(self.span.clone()).unwrap_or("")
    }
}

/// Everything but white space.
pub(super) fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut position = 0;
    while let Some(first) = source.get(position..).and_then(|rest| rest.chars().next()) {
        let rest = source.get(position..).unwrap_or("");
        if first.is_whitespace() {
            position += first.len_utf8();
            continue;
        }
        let (kind, length) = token(rest, first);
        tokens.push(Token {
            kind,
            span: position..position + length,
        });
        position += length;
    }
    tokens
}

fn token(rest: &str, first: char) -> (Kind, usize) {
    match first {
        '#' => (Kind::Comment, rest.find('\n').unwrap_or(rest.len())),
        '\'' | '"' => (Kind::Text, text_length(rest, first)),
        '@' | '$' => (
            Kind::Word,
            1 + name_length(rest.get(1..).unwrap_or_default()),
        ),
        '0'..='9' => (Kind::Number, name_length(rest)),
        _ if is_name(first) => (Kind::Word, name_length(rest)),
        '-' if rest.starts_with("->") => (Kind::Sign, 2),
        _ => (Kind::Sign, first.len_utf8()),
    }
}

pub(super) fn is_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

fn name_length(rest: &str) -> usize {
    rest.find(|character| !is_name(character))
        .unwrap_or(rest.len())
}

/// The length of a quoted text that ends at its quote or with its line.
fn text_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (position, character) in rest.char_indices().skip(1) {
        match character {
            '\n' => return position,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return position + character.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

/// Words that mean something to the language, in lower case.
pub(super) const CLAUSE_WORDS: &[&str] = &[
    "and",
    "as",
    "asc",
    "between",
    "by",
    "desc",
    "distinct",
    "except",
    "exists",
    "from",
    "group",
    "has",
    "having",
    "in",
    "intersect",
    "is",
    "like",
    "limit",
    "matches",
    "not",
    "null",
    "of",
    "offset",
    "optional",
    "or",
    "order",
    "select",
    "true",
    "false",
    "union",
    "where",
    "empty",
];

/// Words that begin statements.
pub(super) const STATEMENT_WORDS: &[&str] = &[
    "assert",
    "check",
    "def",
    "describe",
    "explain",
    "let",
    "print",
    "read",
    "set",
    "show",
    "translate",
    "dump",
    "disassemble",
    "search",
    "watch",
    "save",
    "use",
    "walk",
];

/// Whether a word is a keyword.
pub(super) fn is_keyword(word: &str) -> bool {
    CLAUSE_WORDS
        .iter()
        .chain(STATEMENT_WORDS)
        .any(|keyword| keyword.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stretches_are_found() {
        let source = "print 'it\\'s', @init_task->pid # x";
        let found: Vec<_> = tokens(source)
            .iter()
            .map(|token| (token.kind, token.text(source)))
            .collect();
        assert_eq!(
            found,
            [
                (Kind::Word, "print"),
                (Kind::Text, "'it\\'s'"),
                (Kind::Sign, ","),
                (Kind::Word, "@init_task"),
                (Kind::Sign, "->"),
                (Kind::Word, "pid"),
                (Kind::Comment, "# x"),
            ]
        );
    }

    #[test]
    fn statements_begin_with_words_that_the_language_knows() {
        for word in STATEMENT_WORDS {
            let alone = crate::lang::is_complete(word);
            let wanted = match *word {
                "check" => crate::lang::Completeness::Complete,
                _ => crate::lang::Completeness::Incomplete,
            };
            assert_eq!(alone, wanted, "{word}");
        }
    }

    proptest! {
        #[test]
        fn stretches_never_overlap_and_skip_only_space(source: String) {
            let mut end = 0;
            for token in tokens(&source) {
                prop_assert!(source[end..token.span.start].chars().all(char::is_whitespace));
                prop_assert!(token.span.end > token.span.start);
                end = token.span.end;
            }
            prop_assert!(source[end..].chars().all(char::is_whitespace));
        }
    }
}
