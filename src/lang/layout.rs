//! Program → statements: where each begins and ends, and whether its quotes and brackets close.
//!
//! A statement ends at `;` or at a newline. A line continues the statement before it when it is inside brackets, when it
//! begins with a clause keyword or an operator, or when the line before it cannot be the end of anything (it ends with an
//! operator, a comma or a word that wants more). Because this is decided on tokens, a mistake in one statement does not
//! hide the next one, and the depth of nesting is known before the grammar, which recurses, runs.

use super::ast::Span;
use super::scan::{Token, TokenKind};
use super::syntax_error::SyntaxError;

/// How deep brackets and `? :` may nest in one statement.
///
/// The grammar recurses where brackets nest; together with [`super::ast::MAX_DEPTH`] this limit keeps reading within 768 KiB of
/// stack, measured in an unoptimised build over the texts of `parse/tests.rs`. Nobody reads an expression of half that depth.
pub const MAX_NESTING: usize = 64;

/// What ended a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// A `;`.
    Semicolon,
    /// A line that begins another one.
    Newline,
    /// The end of the program.
    EndOfText,
}

/// One statement's tokens.
#[derive(Debug)]
pub(super) struct Piece<'p> {
    /// Its tokens; at least one.
    pub(super) tokens: &'p [Token],
    /// What ended it.
    pub(super) ending: Ending,
    /// Why the grammar need not look at it.
    pub(super) problem: Option<SyntaxError>,
}

impl Piece<'_> {
    /// From its first token to its last.
    pub(super) fn span(&self) -> Span {
        match (self.tokens.first(), self.tokens.last()) {
            (Some(first), Some(last)) => first.span.to(last.span),
            _ => Span::default(),
        }
    }
}

/// Words that no statement begins with and that continue the one before when a line begins with them.
const CONTINUING_WORDS: &[&str] = &[
    "and",
    "as",
    "asc",
    "between",
    "by",
    "desc",
    "except",
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
    "of",
    "offset",
    "optional",
    "or",
    "order",
    "select",
    "union",
    "where",
];

/// Words that cannot be the last of a statement, unless they are names after a `.`.
const DANGLING_WORDS: &[&str] = &[
    "and",
    "as",
    "between",
    "except",
    "from",
    "has",
    "having",
    "in",
    "intersect",
    "is",
    "like",
    "matches",
    "not",
    "of",
    "or",
    "select",
    "union",
    "walk",
    "where",
];

/// Words that begin a statement; all want more when they stand alone, but `check`.
pub(super) const STATEMENT_WORDS: &[&str] = &[
    "walk",
    "print",
    "describe",
    "show",
    "let",
    "def",
    "use",
    "explain",
    "check",
    "assert",
    "set",
    "read",
    "translate",
    "dump",
    "disassemble",
    "search",
    "watch",
    "save",
];

/// Statements that take any word for a name, and after how many tokens: `set`'s value may be `order`,
/// `describe struct`'s type `from`.
const NAMING_STATEMENTS: &[(&str, usize)] = &[
    ("describe", 1),
    ("describe", 2),
    ("show", 1),
    ("set", 1),
    ("set", 2),
];

/// Words that want more after another word.
const DANGLING_PAIRS: &[(&str, &str)] = &[
    ("order", "by"),
    ("group", "by"),
    ("select", "distinct"),
    ("explain", "analyze"),
    ("read", "phys"),
    ("read", "virt"),
];

/// Cuts a program into its statements.
pub(super) fn pieces<'p>(source: &str, tokens: &'p [Token]) -> Vec<Piece<'p>> {
    let mut pieces = Vec::new();
    let mut start = 0;
    while let Some(rest) = tokens.get(start..).filter(|rest| !rest.is_empty()) {
        let cut = Cutter::new(source, rest).cut();
        if let Some(own) = rest.get(..cut.length).filter(|own| !own.is_empty()) {
            pieces.push(Piece {
                tokens: own,
                ending: cut.ending,
                problem: cut.problem,
            });
        }
        let semicolon = usize::from(cut.ending == Ending::Semicolon);
        start += (cut.length + semicolon).max(1);
    }
    pieces
}

/// What is wrong with the quotes and brackets of a text that is one expression, whatever its lines.
pub(super) fn problem_of_one(source: &str, tokens: &[Token]) -> Option<SyntaxError> {
    let mut cutter = Cutter::new(source, tokens);
    for (index, token) in tokens.iter().enumerate() {
        cutter.follow(index, token);
    }
    cutter.finish(tokens.len(), Ending::EndOfText).problem
}

/// Where the first statement of a row of tokens ends.
struct Cut {
    /// In tokens, without the `;`.
    length: usize,
    ending: Ending,
    problem: Option<SyntaxError>,
}

/// Something that is open: a bracket, or a `?` that waits for its `:`.
struct Opened {
    token: usize,
    is_bracket: bool,
}

/// Walks along the tokens of one statement.
struct Cutter<'p> {
    source: &'p str,
    tokens: &'p [Token],
    open: Vec<Opened>,
    /// How many of `open` are brackets.
    brackets: usize,
    /// The innermost bracket was never closed: what closes a bracket now belongs to a later statement.
    abandoned: bool,
    problem: Option<SyntaxError>,
}

impl<'p> Cutter<'p> {
    fn new(source: &'p str, tokens: &'p [Token]) -> Self {
        Self {
            source,
            tokens,
            open: Vec::new(),
            brackets: 0,
            abandoned: false,
            problem: None,
        }
    }

    fn cut(mut self) -> Cut {
        for (index, token) in self.tokens.iter().enumerate() {
            if token.kind == TokenKind::Semicolon {
                return self.finish(index, Ending::Semicolon);
            }
            if self.begins_another(index, token) {
                return self.finish(index, Ending::Newline);
            }
            self.follow(index, token);
            if self.abandoned {
                return self.finish(index, Ending::Newline);
            }
        }
        let length = self.tokens.len();
        self.finish(length, Ending::EndOfText)
    }

    /// Whether the token begins the next statement.
    fn begins_another(&self, index: usize, token: &Token) -> bool {
        index > 0
            && token.first_on_line
            && self.brackets == 0
            && !continues(self.source, token)
            && !is_dangling(self.source, self.tokens.get(..index).unwrap_or(&[]))
    }

    /// Keeps count of what is open, and of what is wrong.
    fn follow(&mut self, index: usize, token: &Token) {
        match token.kind {
            TokenKind::Open => self.push(index, true),
            TokenKind::Close => self.close(index, token),
            TokenKind::Sign if token.text(self.source) == "?" => self.push(index, false),
            TokenKind::Sign if token.text(self.source) == ":" => {
                self.open.pop_if(|opened| !opened.is_bracket);
            }
            TokenKind::UnclosedText => self.fail(SyntaxError::UnclosedText { span: token.span }),
            TokenKind::Stray => self.fail(SyntaxError::stray(self.source, token.span)),
            _ => {}
        }
    }

    fn push(&mut self, token: usize, is_bracket: bool) {
        self.open.push(Opened { token, is_bracket });
        self.brackets += usize::from(is_bracket);
        if self.open.len() > MAX_NESTING {
            let span = self.span_of(token);
            self.fail(SyntaxError::TooNested {
                limit: MAX_NESTING,
                span,
            });
        }
    }

    fn close(&mut self, index: usize, token: &Token) {
        while self.open.pop_if(|opened| !opened.is_bracket).is_some() {}
        let closing = token.text(self.source);
        let Some(opened) = self.open.pop() else {
            self.fail(SyntaxError::StrayBracket {
                bracket: closing.to_string(),
                span: token.span,
            });
            return;
        };
        let opening = self.text_of(opened.token);
        let fits = partner(opening) == closing;
        if !fits && self.next_statement_after(opened.token, index).is_some() {
            self.open.push(opened);
            self.abandoned = true;
            return;
        }
        self.brackets = self.brackets.saturating_sub(1);
        if !fits {
            let error = SyntaxError::MismatchedBracket {
                opening: opening.to_string(),
                opened: self.span_of(opened.token),
                closing: closing.to_string(),
                span: token.span,
            };
            self.fail(error);
        }
    }

    /// Keeps the first problem only: the ones after it may be its consequences.
    fn fail(&mut self, problem: SyntaxError) {
        self.problem.get_or_insert(problem);
    }

    fn finish(mut self, length: usize, ending: Ending) -> Cut {
        let unclosed = self.open.iter().rev().find(|opened| opened.is_bracket);
        let Some(token) = unclosed.map(|opened| opened.token) else {
            return Cut {
                length,
                ending,
                problem: self.problem,
            };
        };
        let error = SyntaxError::UnclosedBracket {
            bracket: self.text_of(token).to_string(),
            span: self.span_of(token),
            at_end: ending == Ending::EndOfText,
        };
        let Some(earlier) = self.next_statement_after(token, length) else {
            self.fail(error);
            return Cut {
                length,
                ending,
                problem: self.problem,
            };
        };
        let end = self.span_of(earlier).start;
        let own = self.problem.take().filter(|own| own.span().start < end);
        Cut {
            length: earlier,
            ending: Ending::Newline,
            problem: Some(own.unwrap_or(error)),
        }
    }

    /// A bracket that never closes would swallow the rest of the program: the first line after it that looks like a
    /// statement of its own is taken for one.
    fn next_statement_after(&self, token: usize, length: usize) -> Option<usize> {
        let candidates = self.tokens.get(..length)?;
        candidates
            .iter()
            .enumerate()
            .skip(token + 1)
            .find(|(_, candidate)| {
                candidate.first_on_line && is_one_of(self.source, candidate, STATEMENT_WORDS)
            })
            .map(|(index, _)| index)
    }

    fn span_of(&self, token: usize) -> Span {
        self.tokens
            .get(token)
            .map_or_else(Span::default, |token| token.span)
    }

    fn text_of(&self, token: usize) -> &'p str {
        self.tokens
            .get(token)
            .map_or("", |token| token.text(self.source))
    }
}

/// What closes a bracket.
pub(super) fn partner(opening: &str) -> &'static str {
    if opening == "[" { "]" } else { ")" }
}

/// Whether the token is one of these keywords.
pub(super) fn is_one_of(source: &str, token: &Token, words: &[&str]) -> bool {
    token.kind == TokenKind::Word
        && words
            .iter()
            .any(|word| word.eq_ignore_ascii_case(token.text(source)))
}

/// Whether a line that begins with this token belongs to the statement before it.
fn continues(source: &str, token: &Token) -> bool {
    match token.kind {
        TokenKind::Sign | TokenKind::Close => true,
        TokenKind::Open => token.text(source) == "[",
        _ => is_one_of(source, token, CONTINUING_WORDS),
    }
}

/// Whether these tokens cannot be a whole statement because of how they end.
fn is_dangling(source: &str, tokens: &[Token]) -> bool {
    let Some((last, before)) = tokens.split_last() else {
        return false;
    };
    let previous = before.last().map(|token| token.text(source));
    match last.kind {
        TokenKind::Sign => !is_all_columns(last.text(source), previous),
        TokenKind::Word if matches!(previous, Some("." | "->")) => false,
        TokenKind::Word if is_named_there(source, before) => false,
        TokenKind::Word => {
            is_one_of(source, last, DANGLING_WORDS)
                || previous.is_none()
                    && is_one_of(source, last, STATEMENT_WORDS)
                    && !is_one_of(source, last, &["check"])
                || previous.is_some_and(|first| is_dangling_pair(first, last.text(source)))
        }
        _ => false,
    }
}

/// Whether a word after these tokens is a name, whatever it reads.
fn is_named_there(source: &str, before: &[Token]) -> bool {
    NAMING_STATEMENTS.iter().any(|(statement, place)| {
        before.len() == *place
            && before
                .first()
                .is_some_and(|first| is_one_of(source, first, &[statement]))
    })
}

/// `select *` may be the end; any other sign wants more.
fn is_all_columns(sign: &str, previous: Option<&str>) -> bool {
    let after_select = previous.is_some_and(|word| {
        word.eq_ignore_ascii_case("select") || word.eq_ignore_ascii_case("distinct")
    });
    sign == "*" && after_select
}

fn is_dangling_pair(first: &str, second: &str) -> bool {
    DANGLING_PAIRS
        .iter()
        .any(|pair| pair.0.eq_ignore_ascii_case(first) && pair.1.eq_ignore_ascii_case(second))
}

#[cfg(test)]
mod tests {
    use super::super::scan::scan;
    use super::*;

    fn cut(source: &str) -> Vec<(String, bool)> {
        let tokens = scan(source);
        pieces(source, &tokens)
            .iter()
            .map(|piece| {
                let span = piece.span();
                let text = source[span.start..span.end].replace('\n', "/");
                (text, piece.problem.is_none())
            })
            .collect()
    }

    fn good(source: &str, expected: &[&str]) {
        let expected: Vec<(String, bool)> = expected
            .iter()
            .map(|text| ((*text).to_string(), true))
            .collect();
        assert_eq!(cut(source), expected, "{source}");
    }

    #[test]
    fn newlines_and_semicolons_end_statements() {
        good(
            "print 1\nprint 2; print 3;;\n",
            &["print 1", "print 2", "print 3"],
        );
        good("# nothing\n\n;", &[]);
    }

    #[test]
    fn clauses_and_operators_continue() {
        good(
            "walk tasks\nselect pid,\n  comm\nwhere pid\n  > 5\nprint 1",
            &["walk tasks/select pid,/  comm/where pid/  > 5", "print 1"],
        );
        good("print (1\n+\n2)\nprint 3", &["print (1/+/2)", "print 3"]);
        good(
            "walk a select *\nwalk b select x.from\nunion\nwalk c select d",
            &[
                "walk a select *",
                "walk b select x.from/union/walk c select d",
            ],
        );
        good(
            "def walk w() as\nwalk t select *\nexplain\nwalk t select *",
            &["def walk w() as/walk t select *", "explain/walk t select *"],
        );
    }

    #[test]
    fn a_mistake_stays_in_its_statement() {
        let cut = cut("print (1 + 2\nprint 3\nprint 'x\nprint 4]\nprint 5");
        let shown: Vec<(&str, bool)> = cut.iter().map(|(text, ok)| (text.as_str(), *ok)).collect();
        assert_eq!(
            shown,
            [
                ("print (1 + 2", false),
                ("print 3", true),
                ("print 'x", false),
                ("print 4]", false),
                ("print 5", true),
            ]
        );
    }

    #[test]
    fn question_marks_nest_but_do_not_hold_lines_together() {
        good("print a ? b : c\nprint 1", &["print a ? b : c", "print 1"]);
        let deep = format!("print {}", "a ? ".repeat(MAX_NESTING + 1));
        assert!(!cut(&deep)[0].1);
        let flat = format!("print {} 0", "a ? 1 : ".repeat(MAX_NESTING * 4));
        assert!(cut(&flat)[0].1);
    }
}
