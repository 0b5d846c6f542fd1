//! What can be wrong with a program's text, and how to say so: every variant has its place and its evidence.

use std::sync::Arc;

use super::ast::Span;
use crate::report::{Report, SourceText};

/// Why a text is not a statement, or not an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// Something stands where something else should.
    #[error("{}", .0.message)]
    Unexpected(Box<Unexpected>),
    /// A text is not closed on its line.
    #[error("this text is not closed on its line")]
    UnclosedText {
        /// From its quote to the end of the line.
        span: Span,
    },
    /// A bracket is never closed.
    #[error("this `{bracket}` is never closed")]
    UnclosedBracket {
        /// `(` or `[`.
        bracket: String,
        /// Where it opens.
        span: Span,
        /// Whether the program ends before it is closed, so that more text could close it.
        at_end: bool,
    },
    /// A bracket closes nothing.
    #[error("this `{bracket}` closes nothing")]
    StrayBracket {
        /// `)` or `]`.
        bracket: String,
        /// Where it stands.
        span: Span,
    },
    /// A bracket closes one of another kind.
    #[error("`{closing}` closes a `{opening}`")]
    MismatchedBracket {
        /// `(` or `[`.
        opening: String,
        /// Where it opens.
        opened: Span,
        /// `)` or `]`.
        closing: String,
        /// Where it stands.
        span: Span,
    },
    /// A character that the language does not use.
    #[error("{shown} is not part of the language")]
    StrayCharacter {
        /// It, in backquotes, or its number if it cannot be seen.
        shown: String,
        /// Where it stands.
        span: Span,
        /// What to write instead, if that is known.
        instead: Option<&'static str>,
    },
    /// Brackets nest deeper than anything readable.
    #[error("brackets nest more than {limit} deep")]
    TooNested {
        /// The limit.
        limit: usize,
        /// The first bracket beyond it.
        span: Span,
    },
    /// Operators pile up higher than later stages can walk.
    #[error("operators or queries pile up more than {limit} deep")]
    TooDeep {
        /// The limit.
        limit: usize,
        /// The part that is too deep.
        span: Span,
    },
    /// A number with letters that mean nothing.
    #[error("`{written}` is not a number")]
    BadNumber {
        /// It, as written.
        written: String,
        /// Where it stands.
        span: Span,
        /// What is wrong with it, or how to write it.
        hint: &'static str,
    },
    /// A number beyond 64 bits.
    #[error("`{written}` does not fit in 64 bits")]
    NumberTooLarge {
        /// It, as written.
        written: String,
        /// Where it stands.
        span: Span,
    },
    /// A backslash with something after it that it cannot escape.
    #[error("`{written}` is not an escape")]
    BadEscape {
        /// The backslash and what follows.
        written: String,
        /// Where it stands.
        span: Span,
    },
    /// `h'…'` with something in it that is not pairs of hexadecimal digits.
    #[error("bytes are written as pairs of hexadecimal digits")]
    BadBytes {
        /// The first thing that is no pair.
        span: Span,
    },
    /// A file name, a message or a pattern that is no Unicode text.
    #[error("this text is not valid UTF-8")]
    NotUnicode {
        /// Where it stands.
        span: Span,
    },
    /// The same clause or option twice.
    #[error("a second `{clause}`")]
    Repeated {
        /// Its keyword.
        clause: &'static str,
        /// The first.
        first: Span,
        /// The second.
        span: Span,
    },
    /// `a < b < c`.
    #[error("comparisons do not chain")]
    ChainedComparison {
        /// The second comparison's operator.
        span: Span,
        /// Where the first comparison stands.
        first: Span,
    },
    /// `between` without its `and`.
    #[error("`between` wants two bounds joined by `and`")]
    BetweenWithoutAnd {
        /// From the lower bound to what follows it.
        span: Span,
    },
    /// The parse tree is not what the grammar promises: a defect of this program, told instead of a panic.
    #[error("the parser lost its way: a `{inside}` holds {found} where {wanted} should be")]
    Internal {
        /// The rule that was being read.
        inside: String,
        /// What it holds there.
        found: String,
        /// What was looked for.
        wanted: String,
        /// Where.
        span: Span,
    },
}

/// What stands where something else should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unexpected {
    /// One clause: what was expected and what is there.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What to say beside the mark; may be empty.
    pub label: String,
    /// What could have stood there, if there is too much of it for the message.
    pub notes: Vec<String>,
    /// What to write instead.
    pub hints: Vec<String>,
    /// Whether nothing is wrong but that the statement is not finished.
    pub at_end: bool,
}

impl SyntaxError {
    /// The error for a character that the language does not use.
    pub(super) fn stray(source: &str, span: Span) -> Self {
        let written = source.get(span.start..span.end).unwrap_or("");
        let character = written.chars().next().unwrap_or('\u{fffd}');
        let visible =
            !character.is_control() && !character.is_whitespace() && !is_invisible(character);
        let shown = if character == '`' {
            "a backquote".to_string()
        } else if visible {
            format!("`{character}`")
        } else {
            format!("the character U+{:04X}", u32::from(character))
        };
        Self::StrayCharacter {
            shown,
            span,
            instead: instead_of(character),
        }
    }

    /// Where it is.
    pub fn span(&self) -> Span {
        match self {
            Self::Unexpected(unexpected) => unexpected.span,
            Self::UnclosedText { span }
            | Self::UnclosedBracket { span, .. }
            | Self::StrayBracket { span, .. }
            | Self::MismatchedBracket { span, .. }
            | Self::StrayCharacter { span, .. }
            | Self::TooNested { span, .. }
            | Self::TooDeep { span, .. }
            | Self::BadNumber { span, .. }
            | Self::NumberTooLarge { span, .. }
            | Self::BadEscape { span, .. }
            | Self::BadBytes { span }
            | Self::NotUnicode { span }
            | Self::Repeated { span, .. }
            | Self::ChainedComparison { span, .. }
            | Self::BetweenWithoutAnd { span }
            | Self::Internal { span, .. } => *span,
        }
    }

    /// Whether more text could make it right: the prompt then asks for another line.
    pub fn wants_more(&self) -> bool {
        match self {
            Self::Unexpected(unexpected) => unexpected.at_end,
            Self::UnclosedBracket { at_end, .. } => *at_end,
            _ => false,
        }
    }

    /// It as a report into `source`, in which the text that was parsed begins at byte `offset`.
    pub fn report(&self, source: &Arc<SourceText>, offset: usize) -> Report {
        let main = self.span().shifted(offset);
        let mut report = Report::error(self.to_string()).at(source, main.into(), self.label());
        if let Some((span, label)) = self.other_place() {
            report = report.at(source, span.shifted(offset).into(), label);
        }
        if let Self::Unexpected(unexpected) = self {
            report.notes.extend(unexpected.notes.iter().cloned());
            report.hints.extend(unexpected.hints.iter().cloned());
        }
        report.hints.extend(self.advice());
        report
    }

    /// What to say beside the main mark.
    fn label(&self) -> &str {
        match self {
            Self::Unexpected(unexpected) => &unexpected.label,
            Self::UnclosedText { .. } => "opened here",
            Self::UnclosedBracket { .. } => "opened here",
            _ => "",
        }
    }

    /// A second place that explains the first.
    fn other_place(&self) -> Option<(Span, &'static str)> {
        match self {
            Self::MismatchedBracket { opened, .. } => Some((*opened, "opened here")),
            Self::Repeated { first, .. } => Some((*first, "the first is here")),
            Self::ChainedComparison { first, .. } => Some((*first, "already a comparison")),
            _ => None,
        }
    }

    /// What to do about it.
    fn advice(&self) -> Option<String> {
        let text = match self {
            Self::UnclosedText { .. } => {
                "a text ends on the line it begins on; `\\n` in it is a newline, `\\'` a quote"
            }
            Self::StrayCharacter { instead, .. } => return instead.map(str::to_string),
            Self::TooNested { .. } => "give the inner part a name with `let`",
            Self::TooDeep { .. } => "give a part of it a name with `let`, or use `in (…)`",
            Self::BadNumber { hint, .. } => hint,
            Self::NumberTooLarge { .. } => "the largest is 0xffffffffffffffff",
            Self::BadEscape { .. } => {
                "escapes are \\n \\t \\r \\0 \\\\ \\' \\\" \\x41 \\u{e9}; a backslash itself is `\\\\`"
            }
            Self::BadBytes { .. } => "for example h'de ad be ef'",
            Self::NotUnicode { .. } => "leave out the `\\x` escapes from 80 to ff",
            Self::Repeated {
                clause: "where", ..
            } => "join the conditions with `and`",
            Self::ChainedComparison { .. } => {
                "write `a < b and b < c`, or put one comparison in parentheses"
            }
            Self::BetweenWithoutAnd { .. } => "for example `pid between 1 and 100`",
            Self::Internal { .. } => {
                "please report this with the statement; it is a defect of nettlp-q"
            }
            Self::MismatchedBracket { opening, .. } => {
                return Some(format!(
                    "close it with `{}`",
                    super::layout::partner(opening)
                ));
            }
            _ => return None,
        };
        Some(text.to_string())
    }
}

/// Characters that people paste without seeing them.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Characters of other languages, keyboards and word processors, and what NQ has in their place.
const INSTEAD: &[(&str, &str)] = &[
    ("‘’‚‛“”„‟«»", "quote texts with plain ' or \""),
    ("`", "names need no quotes; texts stand in ' or \""),
    ("–—−‐‑", "minus is the plain -"),
    ("×∗⋅·", "times is *"),
    ("÷", "divided by is /"),
    ("≠", "not equal is !="),
    ("≤", "less or equal is <="),
    ("≥", "greater or equal is >="),
    ("…", "there is no ellipsis; write the list out"),
    ("→", "member access is `.` or `->`"),
    ("{}", "there are no blocks; brackets are ( ) and [ ]"),
    (
        "\\",
        "a line continues by itself when it begins with a clause word or an operator",
    ),
    (
        "\u{a0}\u{2000}\u{2002}\u{2003}\u{2009}\u{202f}\u{3000}",
        "it looks like a space; write a plain space",
    ),
    (
        "\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}",
        "it is invisible; delete it",
    ),
];

fn instead_of(character: char) -> Option<&'static str> {
    let listed = INSTEAD
        .iter()
        .find(|(characters, _)| characters.contains(character))
        .map(|(_, instead)| *instead);
    if listed.is_none() && character.is_alphabetic() {
        return Some(
            "names are made of the letters a to z, digits and _; other letters stand only in texts",
        );
    }
    listed
}
