//! Where the grammar gave up → what to tell: what stands there, what could have, and what people who write that usually mean.

use pest::error::{Error, ErrorVariant, InputLocation};

use super::ast::Span;
use super::expected::{Expected, expected};
use super::habits;
use super::layout::MAX_NESTING;
use super::parse::grammar::Rule;
use super::scan::{Token, TokenKind};
use super::syntax_error::{SyntaxError, Unexpected};

/// The more there is to choose from, the less a message that lists it helps: beyond this the list becomes a note.
const MOST_IN_MESSAGE: usize = 4;

/// The place where the grammar gave up, seen in tokens.
#[derive(Debug)]
pub(super) struct Situation<'s> {
    /// The program, without comments.
    pub(super) source: &'s str,
    /// The statement's tokens.
    pub(super) tokens: &'s [Token],
    /// Which of them cannot stand where it stands; one past the last if the statement is not finished.
    pub(super) at: usize,
    /// What could stand there.
    pub(super) expected: Vec<Expected>,
}

impl<'s> Situation<'s> {
    /// The token so many places after the wrong one (before it, if negative).
    pub(super) fn token(&self, distance: isize) -> Option<&'s Token> {
        self.tokens.get(self.at.checked_add_signed(distance)?)
    }

    /// What is written there; empty outside the statement.
    pub(super) fn text(&self, distance: isize) -> &'s str {
        self.token(distance)
            .map_or("", |token| token.text(self.source))
    }

    /// Whether this keyword is written there.
    pub(super) fn is(&self, distance: isize, word: &str) -> bool {
        self.text(distance).eq_ignore_ascii_case(word)
    }

    /// Whether one of these keywords is written there.
    pub(super) fn is_any(&self, distance: isize, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(distance, word))
    }

    /// What the token there looks like.
    pub(super) fn kind(&self, distance: isize) -> Option<TokenKind> {
        self.token(distance).map(|token| token.kind)
    }

    /// Whether this could stand at the place.
    pub(super) fn expects(&self, what: Expected) -> bool {
        self.expected.contains(&what)
    }

    /// Whether an operand could stand at the place.
    pub(super) fn expects_operand(&self) -> bool {
        self.expects(Expected::Thing("an expression")) || self.expects(Expected::Thing("a column"))
    }

    /// Whether this keyword is among the statement's tokens before the place.
    pub(super) fn has_before(&self, word: &str) -> bool {
        self.tokens
            .iter()
            .take(self.at)
            .any(|token| token.text(self.source).eq_ignore_ascii_case(word))
    }

    /// Whether the statement ended too early.
    pub(super) fn at_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    /// The place: the wrong token, or just behind the last.
    fn span(&self) -> Span {
        match (self.token(0), self.tokens.last()) {
            (Some(token), _) => token.span,
            (None, Some(last)) => Span::new(last.span.end, last.span.end),
            (None, None) => Span::default(),
        }
    }
}

/// What to tell about pest's error in the text that begins at byte `offset` of the program.
pub(super) fn explain(
    source: &str,
    offset: usize,
    tokens: &[Token],
    error: &Error<Rule>,
) -> SyntaxError {
    let position = match error.location {
        InputLocation::Pos(position) | InputLocation::Span((position, _)) => offset + position,
    };
    let ErrorVariant::ParsingError { positives, .. } = &error.variant else {
        return SyntaxError::TooNested {
            limit: MAX_NESTING,
            span: Span::new(position, position),
        };
    };
    let situation = Situation {
        source,
        tokens,
        at: tokens.partition_point(|token| token.span.end <= position),
        expected: in_human_words(positives),
    };
    SyntaxError::Unexpected(Box::new(describe(&situation)))
}

/// What the rules are called, each name once, the most telling first.
fn in_human_words(rules: &[Rule]) -> Vec<Expected> {
    let mut words: Vec<Expected> = rules
        .iter()
        .map(|rule| expected(*rule))
        .filter(|word| *word != Expected::Nothing)
        .collect();
    words.sort_by_key(|word| match word {
        Expected::Thing(thing) => (0, place_of(thing)),
        Expected::Word(word) => (1, place_of(word)),
        Expected::Sign(_) => (2, 0),
        Expected::Operator => (3, 0),
        Expected::End | Expected::Nothing => (4, 0),
    });
    let mut once = Vec::new();
    for word in words {
        if !once.contains(&word) {
            once.push(word);
        }
    }
    once
}

/// The clauses in the order in which they stand.
const CLAUSES: &[&str] = &[
    "of", "from", "as", "optional", "where", "select", "group by", "having", "order by", "limit",
    "offset",
];

/// Where a word stands among the clauses; before them, if it is none.
fn place_of(word: &str) -> usize {
    CLAUSES
        .iter()
        .position(|clause| *clause == word)
        .map_or(0, |place| place + 1)
}

fn describe(situation: &Situation<'_>) -> Unexpected {
    let advice = habits::advise(situation);
    let found = found(situation);
    let tellable: Vec<String> = situation
        .expected
        .iter()
        .filter(|expected| **expected != Expected::End)
        .map(|expected| expected.words())
        .collect();
    let (message, note) = match (advice.message, &advice.label) {
        (Some(message), _) => (message, None),
        (None, Some(_)) => (format!("{found} cannot stand here"), None),
        (None, None) => message(&found, &tellable, situation.at_end()),
    };
    let note = note.filter(|_| advice.hints.is_empty());
    Unexpected {
        message,
        span: advice.span.unwrap_or_else(|| situation.span()),
        label: advice.label.unwrap_or_default(),
        notes: note.into_iter().collect(),
        hints: advice.hints,
        at_end: situation.at_end(),
    }
}

/// What stands at the place.
fn found(situation: &Situation<'_>) -> String {
    match situation.kind(0) {
        None => "the end of the statement".to_string(),
        Some(TokenKind::Text) => "a text".to_string(),
        Some(TokenKind::Number) => format!("the number `{}`", situation.text(0)),
        Some(_) => format!("`{}`", situation.text(0)),
    }
}

/// The message, and a note if there is too much to choose from.
fn message(found: &str, expected: &[String], at_end: bool) -> (String, Option<String>) {
    if expected.is_empty() {
        return (format!("{found} cannot stand here"), None);
    }
    if expected.len() > MOST_IN_MESSAGE {
        let message = if at_end {
            "the statement is not finished".to_string()
        } else {
            format!("{found} cannot stand here")
        };
        return (
            message,
            Some(format!("here can stand {}", listed(expected))),
        );
    }
    (
        format!("expected {}, found {found}", listed(expected)),
        None,
    )
}

/// `a, b or c`.
pub(super) fn listed(items: &[String]) -> String {
    match items.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} or {last}", before.join(", ")),
    }
}
