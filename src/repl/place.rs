//! The text before the cursor → what may be written there.

use std::ops::Range;

use super::token::{Kind, Token, is_keyword, is_name, tokens};

/// What may be written at the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A statement or a command.
    Start,
    /// A statement's first word, after `explain` or in parentheses.
    Query,
    /// The name of a walk.
    Walk,
    /// A clause: what may follow a source.
    Clause,
    /// A column of one of these walks, or any expression.
    Column(Vec<String>),
    /// An expression without a walk.
    Expression,
    /// A member of what this expression gives, after this beginning of a query (empty: none).
    Member {
        /// `walk tasks as t`
        sources: String,
        /// `t.mm`
        expression: String,
    },
    /// A member of this type.
    TypeMember(String),
    /// A kernel symbol, after `@`.
    Symbol,
    /// The name of a struct, union or enum.
    Type,
    /// Whatever `describe` takes.
    Subject,
    /// Whatever `show` takes.
    Catalogue,
    /// The name of a setting.
    Setting,
    /// The name of an output format.
    Format,
    /// Nothing: in a text, in a comment, in a number, after a name that is being made.
    Nothing,
}

/// The place of a cursor at the end of `before`, and the stretch of the word that has been begun there.
pub(super) fn place(before: &str) -> (Place, Range<usize>) {
    let mut tokens = statement(before);
    let end = before.len();
    let word = match tokens.last() {
        Some(token) if token.span.end == end => match token.kind {
            Kind::Word => tokens.pop().map_or(end..end, |token| token.span),
            Kind::Text | Kind::Comment | Kind::Number => return (Place::Nothing, end..end),
            Kind::Sign => end..end,
        },
        _ => end..end,
    };
    let begun = before.get(word.clone()).unwrap_or("");
    if begun.starts_with('@') {
        return (Place::Symbol, word.start + 1..word.end);
    }
    if begun.starts_with('$') {
        return (Place::Nothing, word);
    }
    (after(before, &tokens), word)
}

/// The tokens of the statement that the cursor is in.
fn statement(before: &str) -> Vec<Token> {
    let all = tokens(before);
    let start = all.iter().rposition(|token| token.text(before) == ";");
    all.into_iter()
        .skip(start.map_or(0, |position| position + 1))
        .collect()
}

/// What may follow these tokens.
fn after(source: &str, tokens: &[Token]) -> Place {
    let words: Vec<String> = tokens
        .iter()
        .map(|token| token.text(source).to_ascii_lowercase())
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some(last) = words.last() else {
        return Place::Start;
    };
    if matches!(*last, "." | "->") {
        return member(source, tokens, &words);
    }
    if matches!(*last, "struct" | "union" | "enum") {
        return Place::Type;
    }
    match words.as_slice() {
        ["show"] => Place::Catalogue,
        ["set"] => Place::Setting,
        ["set", "format"] | ["set", "format", "="] => Place::Format,
        ["describe"] => Place::Subject,
        ["explain"] => Place::Query,
        // A check is a walk too.
        ["check"] => Place::Walk,
        ["show" | "set" | "describe" | "use" | "check", ..] => Place::Nothing,
        ["let"] | ["def"] | ["def", "walk"] => Place::Nothing,
        _ => in_query(source, tokens, &words),
    }
}

/// What may follow in a query, or in an expression outside one.
fn in_query(source: &str, tokens: &[Token], words: &[&str]) -> Place {
    let Some(walk) = words.iter().rposition(|word| *word == "walk") else {
        return match words {
            [
                "print" | "let" | "assert" | "read" | "translate" | "def" | "dump" | "disassemble"
                | "search",
                ..,
            ] => Place::Expression,
            _ => Place::Query,
        };
    };
    let query = words.get(walk..).unwrap_or_default();
    let clause = query
        .iter()
        .rfind(|word| is_clause(word))
        .copied()
        .unwrap_or("walk");
    let last = query.last().copied().unwrap_or("");
    match (clause, last) {
        ("as", "as") | ("limit" | "offset", _) => Place::Nothing,
        ("walk", "walk" | ",") => Place::Walk,
        ("from", "from") => Place::Expression,
        ("of", "of") => Place::Expression,
        ("as" | "from" | "of" | "optional", ",") if !has_columns(query) => Place::Walk,
        ("walk" | "optional", _) => Place::Clause,
        ("as" | "from" | "of", _) if !has_columns(query) => Place::Clause,
        ("union" | "intersect" | "except", _) => Place::Query,
        ("order" | "group", _) => Place::Clause,
        _ => Place::Column(walks(source, tokens.get(walk..).unwrap_or_default())),
    }
}

fn is_clause(word: &str) -> bool {
    const CLAUSES: &[&str] = &[
        "walk",
        "as",
        "from",
        "of",
        "optional",
        "where",
        "select",
        "group",
        "by",
        "having",
        "order",
        "limit",
        "offset",
        "union",
        "intersect",
        "except",
    ];
    CLAUSES.contains(&word)
}

/// Whether a query has come past its sources.
fn has_columns(query: &[&str]) -> bool {
    query
        .iter()
        .any(|word| matches!(*word, "select" | "where" | "having" | "by"))
}

/// Names among a query's sources; those that are no walks do no harm.
fn walks(source: &str, query: &[Token]) -> Vec<String> {
    let names = sources(source, query)
        .iter()
        .filter(|token| token.kind == Kind::Word);
    names
        .map(|token| token.text(source))
        .filter(|name| !is_keyword(name))
        .map(str::to_owned)
        .collect()
}

/// The tokens of a query up to its first clause.
fn sources<'t>(source: &str, query: &'t [Token]) -> &'t [Token] {
    let ends = |token: &Token| {
        ["where", "select"]
            .iter()
            .any(|word| word.eq_ignore_ascii_case(token.text(source)))
    };
    let end = query.iter().position(ends).unwrap_or(query.len());
    query.get(..end).unwrap_or_default()
}

/// A member of the path that ends at the last token, a `.` or `->`.
fn member(source: &str, tokens: &[Token], words: &[&str]) -> Place {
    let Some(end) = tokens.len().checked_sub(1) else {
        return Place::Nothing;
    };
    let start = path_start(source, tokens, end);
    let text = |from: usize, to: usize| {
        let start = tokens.get(from).map_or(0, |token| token.span.start);
        let end = to
            .checked_sub(1)
            .and_then(|last| tokens.get(last))
            .map_or(0, |token| token.span.end);
        source.get(start..end).unwrap_or("").to_owned()
    };
    let before = start.checked_sub(1).and_then(|before| words.get(before));
    match before {
        Some(&("struct" | "union")) => return Place::TypeMember(text(start, start + 1)),
        Some(&"describe") => return Place::TypeMember(text(start, start + 1)),
        _ if start == end => return Place::Nothing,
        _ => {}
    }
    let expression = text(start, end);
    let walk = words.iter().rposition(|word| *word == "walk");
    let query = walk.map(|walk| tokens.get(walk..).unwrap_or_default());
    let beginning = query.map(|query| sources(source, query));
    let is_past = beginning
        .zip(query)
        .is_some_and(|(beginning, query)| beginning.len() < query.len());
    let sources = match (walk, beginning) {
        (Some(walk), Some(beginning)) if is_past => text(walk, walk + beginning.len()),
        _ => String::new(),
    };
    Place::Member {
        sources,
        expression,
    }
}

/// Where the path that ends before `end` begins: names, `.`, `->`, and brackets with what is in them.
fn path_start(source: &str, tokens: &[Token], end: usize) -> usize {
    let mut start = end;
    let mut depth = 0_usize;
    let mut wants_name = true;
    while let Some(token) = start.checked_sub(1).and_then(|before| tokens.get(before)) {
        match token.text(source) {
            ")" | "]" => depth += 1,
            "(" | "[" if depth > 0 => {
                depth -= 1;
                // Before `(…)` may stand a function's name, before `[…]` stands the array.
                wants_name = true;
            }
            _ if depth > 0 => {}
            "." | "->" if !wants_name => wants_name = true,
            name if wants_name && is_path_name(name, token.kind) => wants_name = false,
            _ => break,
        }
        start -= 1;
    }
    start
}

fn is_path_name(name: &str, kind: Kind) -> bool {
    kind == Kind::Word && !is_keyword(name) && name.ends_with(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(before: &str) -> Place {
        place(before).0
    }

    fn columns(walks: &[&str]) -> Place {
        Place::Column(walks.iter().map(|walk| (*walk).to_owned()).collect())
    }

    fn member_of(sources: &str, expression: &str) -> Place {
        Place::Member {
            sources: sources.to_owned(),
            expression: expression.to_owned(),
        }
    }

    #[test]
    fn statements_and_their_first_words() {
        for before in ["", "wa", "  ", "print 1; ", "print 1; sh"] {
            assert_eq!(of(before), Place::Start, "{before}");
        }
        assert_eq!(of("show "), Place::Catalogue);
        assert_eq!(of("show wal"), Place::Catalogue);
        assert_eq!(of("set "), Place::Setting);
        assert_eq!(of("set format js"), Place::Format);
        assert_eq!(of("describe ta"), Place::Subject);
        assert_eq!(of("describe struct ta"), Place::Type);
        assert_eq!(
            of("describe task_struct.co"),
            Place::TypeMember("task_struct".to_owned())
        );
        assert_eq!(of("explain "), Place::Query);
        assert_eq!(of("print in"), Place::Expression);
        assert_eq!(of("print @ini"), Place::Symbol);
        assert_eq!(of("print (struct ta"), Place::Type);
    }

    #[test]
    fn queries_clause_by_clause() {
        assert_eq!(of("walk "), Place::Walk);
        assert_eq!(of("walk ta"), Place::Walk);
        assert_eq!(of("walk tasks "), Place::Clause);
        assert_eq!(of("walk tasks, fi"), Place::Walk);
        assert_eq!(of("walk tasks as t, fi"), Place::Walk);
        assert_eq!(of("walk tasks from init"), Place::Expression);
        assert_eq!(of("walk tasks from init_task sel"), Place::Clause);
        assert_eq!(of("walk tasks select "), columns(&["tasks"]));
        assert_eq!(of("walk tasks select pid, co"), columns(&["tasks"]));
        assert_eq!(
            of("walk tasks as t, files of t select pid, fd "),
            columns(&["tasks", "t", "files", "t"])
        );
        assert_eq!(of("walk tasks\nwhere pid > 1 and co"), columns(&["tasks"]));
        assert_eq!(of("walk tasks select pid order by "), columns(&["tasks"]));
        assert_eq!(of("walk tasks select pid order "), Place::Clause);
        assert_eq!(of("walk tasks select pid as "), Place::Nothing);
        assert_eq!(of("walk tasks select pid limit "), Place::Nothing);
        assert_eq!(of("walk a select x except "), Place::Query);
        assert_eq!(of("walk a select x except walk "), Place::Walk);
    }

    #[test]
    fn members_of_paths() {
        assert_eq!(of("print init_task."), member_of("", "init_task"));
        assert_eq!(
            of("walk tasks select mm->ow"),
            member_of("walk tasks", "mm")
        );
        assert_eq!(
            of("walk tasks as t where t.mm.ow"),
            member_of("walk tasks as t", "t.mm")
        );
        assert_eq!(of("print pid, task(1).mm."), member_of("", "task(1).mm"));
        assert_eq!(of("print a[1]."), member_of("", "a[1]"));
        assert_eq!(of("print 1 + x."), member_of("", "x"));
    }

    #[test]
    fn nothing_is_offered_where_nothing_is_known() {
        for before in ["print 'wa", "# wal", "print 12", "let x", "print $x"] {
            assert_eq!(of(before), Place::Nothing, "{before}");
        }
    }

    #[test]
    fn the_word_that_is_begun() {
        assert_eq!(place("walk ta").1, 5..7);
        assert_eq!(place("print @ini").1, 7..10);
        assert_eq!(place("walk ").1, 5..5);
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(before in "[a-z.,;()\\[\\]@$'\"# \n\u{e9}>-]{0,40}") {
            let (_, word) = place(&before);
            proptest::prop_assert!(before.get(word).is_some());
        }

        #[test]
        fn no_statement_panics(words in proptest::collection::vec(proptest::sample::select(vec!["walk", "a", ".", ",", "(", ")", "select", "as", "struct", "@", "->", "of", "describe"]), 0..12)) {
            let text = words.join(" ");
            let (_, word) = place(&text);
            proptest::prop_assert!(text.get(word).is_some());
        }
    }
}
