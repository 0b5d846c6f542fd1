//! Habits of other languages as tables: first words, signs, and words where an operator should be.

use super::{Advice, CLAUSE_ORDER, CLAUSE_WORDS};
use crate::lang::diagnose::{Situation, listed};
use crate::lang::expected::Expected;
use crate::lang::layout::STATEMENT_WORDS;
use crate::lang::scan::TokenKind;
use crate::report::nearest;

/// First words of other languages' statements.
const FOREIGN_STATEMENTS: &[(&[&str], &str)] = &[
    (
        &["from"],
        "a query begins with `walk`: `walk tasks select pid, comm`",
    ),
    (
        &[
            "insert", "update", "delete", "create", "drop", "alter", "write",
        ],
        "NQ only reads: nothing in the target can be changed from here",
    ),
    (
        &["if", "for", "foreach", "while", "loop", "begin", "return"],
        "NQ has no control flow: `where` chooses rows, `? :` chooses values",
    ),
    (
        &["import", "include", "load", "source", "require"],
        "definitions of another file are loaded with `use \"file.nq\"`",
    ),
    (
        &["var", "const", "int", "auto", "define", "alias"],
        "a name for a value is given with `let NAME = VALUE`",
    ),
    (
        &["fn", "function", "func", "macro"],
        "a function is defined with `def NAME(a, b) = EXPRESSION`",
    ),
    (
        &["with"],
        "a query is given a name with `def walk NAME() as QUERY`",
    ),
    (
        &["p", "echo", "eval", "px", "inspect"],
        "a value is shown with `print`, in hexadecimal with `print/x`",
    ),
    (
        &["desc", "ptype", "whatis", "struct", "union", "enum", "type"],
        "a type is shown with `describe struct task_struct`",
    ),
    (
        &["x", "rd", "hexdump", "peek", "dump"],
        "memory is shown with `read virt ADDRESS, LENGTH` or `read phys ADDRESS, LENGTH`",
    ),
    (
        &["vtop", "virt2phys", "pgd"],
        "an address is translated with `translate ADDRESS`",
    ),
    (
        &["ps", "pslist", "top"],
        "processes are `walk tasks select pid, comm, state`",
    ),
    (&["lsmod", "mod"], "modules are `walk modules select *`"),
    (
        &["info", "list", "ls"],
        "catalogues are `show walks`, `show types`, `show functions` …",
    ),
    (
        &["help", "man", "?"],
        "there are `show walks`, `show functions` and `describe NAME`",
    ),
];

/// The statement begins with something that begins none.
pub(super) fn no_statement(situation: &Situation<'_>) -> Option<Advice> {
    if situation.at != 0 || !situation.expects(Expected::Thing("a statement")) {
        return None;
    }
    let word = situation.text(0);
    let message = format!("a statement cannot begin with `{word}`");
    if situation.is(0, "select") {
        return Advice::message(
            "a query begins with its walk, not with `select`",
            sql_hint(situation),
        );
    }
    if situation.kind(0) == Some(TokenKind::Word) && situation.is(1, "=") {
        return Advice::message(
            message,
            format!("a name for a value is given with `let {word} = …`"),
        );
    }
    let foreign = FOREIGN_STATEMENTS
        .iter()
        .find(|(words, _)| situation.is_any(0, words));
    if let Some((_, hint)) = foreign {
        return Advice::message(message, *hint);
    }
    if situation.is_any(0, CLAUSE_WORDS) {
        return Advice::message(message, CLAUSE_ORDER);
    }
    if let Some(near) = nearest(&word.to_ascii_lowercase(), STATEMENT_WORDS.iter().copied()) {
        return Some(Advice {
            message: Some(message),
            label: Some(format!("did you mean `{near}`?")),
            ..Advice::default()
        });
    }
    let is_word = situation.kind(0) == Some(TokenKind::Word);
    if is_word && situation.is_any(1, &["select", "where", "from", "of"]) {
        return Advice::message(
            message,
            format!("a query begins with `walk`: `walk {word} …`"),
        );
    }
    let words: Vec<String> = STATEMENT_WORDS
        .iter()
        .map(|word| format!("`{word}`"))
        .collect();
    let mut advice = Advice::message(
        message,
        format!("to see a value: `print {}`", beginning(situation)),
    )?;
    advice
        .hints
        .push(format!("statements begin with {}", listed(&words)));
    Some(advice)
}

/// What the statement begins with, short enough for a hint.
fn beginning(situation: &Situation<'_>) -> String {
    let whole = between(situation, 0, situation.tokens.len()).unwrap_or("");
    let line = whole.lines().next().unwrap_or("");
    match line.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or("")),
        None => line.to_string(),
    }
}

/// `select A from B`, which begins at the place, turned round.
pub(super) fn sql_hint(situation: &Situation<'_>) -> String {
    let from = situation
        .tokens
        .iter()
        .position(|token| token.text(situation.source).eq_ignore_ascii_case("from"));
    let parts = from.and_then(|from| {
        let columns = between(situation, situation.at + 1, from)?;
        let walk = situation.tokens.get(from + 1)?;
        let rest = between(situation, from + 2, situation.tokens.len()).unwrap_or("");
        Some((columns, walk.text(situation.source), rest))
    });
    match parts {
        Some((columns, walk, rest)) => {
            let turned = format!("walk {walk} select {columns} {rest}");
            format!("write `{}`", turned.trim_end())
        }
        None => "for example `walk tasks select pid, comm`".to_string(),
    }
}

/// The text from one token to before another.
fn between<'s>(situation: &Situation<'s>, from: usize, to: usize) -> Option<&'s str> {
    let first = situation.tokens.get(from)?;
    let last = situation.tokens.get(to.checked_sub(1)?)?;
    situation.source.get(first.span.start..last.span.end)
}

/// Signs of other languages.
const FOREIGN_SIGNS: &[(&[&str], &str)] = &[
    (&["<>", "!=="], "not equal is `!=`"),
    (&["==="], "equal is `=` or `==`"),
    (&["=>"], "greater or equal is `>=`"),
    (&["=<"], "less or equal is `<=`"),
    (
        &[":=", "<-"],
        "a value is given to a name with `let NAME = VALUE`",
    ),
    (
        &["--", "//", "/*", "*/"],
        "a comment begins with `#` and goes to the end of the line",
    ),
    (
        &["++", "+=", "-=", "|=", "&=", "^=", "<<=", ">>="],
        "NQ changes nothing; a new name for a new value is `let NAME = VALUE`",
    ),
    (
        &["**"],
        "there is no power; shift with `<<` for powers of two",
    ),
    (&["::", ".."], "a member is reached with `.` or `->`"),
    (&["<=>"], "compare with `<`, `=` or `>`"),
    (
        &["@", "$"],
        "`@` and `$` stand right before a name: `@init_task`, `$limit`",
    ),
];

pub(super) fn foreign_sign(situation: &Situation<'_>) -> Option<Advice> {
    let (_, hint) = FOREIGN_SIGNS
        .iter()
        .find(|(signs, _)| signs.contains(&situation.text(0)))?;
    Advice::message(format!("`{}` is not an operator", situation.text(0)), *hint)
        .filter(|_| situation.kind(0) == Some(TokenKind::Sign))
}

/// Words of other languages that stand where an operator or a clause should.
const FOREIGN_WORDS: &[(&[&str], &str)] = &[
    (
        &[
            "join", "inner", "left", "right", "outer", "cross", "on", "using",
        ],
        "sources are listed, each using those before it: `walk tasks as t, files of t as f`; `optional` makes it a left join",
    ),
    (
        &["case", "when", "then", "else", "if"],
        "a choice is `condition ? value : other`",
    ),
    (
        &["contains", "includes"],
        "`flags has VM_EXEC` for flags and lists, `comm like '%sh%'` for texts",
    ),
    (
        &["regexp", "rlike", "regex", "similar"],
        "a regular expression is `comm matches '^kworker'`",
    ),
    (
        &["ilike"],
        "`lower(comm) like 'kworker%'` does not care for case",
    ),
    (
        &["startswith", "endswith"],
        "`comm like 'kworker%'` compares beginnings, `like '%d'` ends",
    ),
    (
        &["xor"],
        "bits are joined with `^`; conditions differ with `!=`",
    ),
    (&["mod"], "the remainder is `%`"),
    (&["div"], "integers are divided with `/`"),
    (&["eq", "equals"], "equal is `=`"),
    (&["ne", "neq"], "not equal is `!=`"),
    (&["descending"], "write `desc`"),
    (&["ascending"], "write `asc`, or nothing"),
    (&["nulls"], "nulls always come last"),
    (
        &["top", "first", "fetch"],
        "the first rows are had with `limit 10`, at the end of the query",
    ),
    (
        &["all"],
        "set operations stand alone: `union`, `intersect`, `except`",
    ),
    (
        &["minus", "difference"],
        "rows of one query without those of another: `… except walk …`",
    ),
    (&["sort", "orderby"], "rows are sorted with `order by`"),
    (&["groupby"], "rows are grouped with `group by`"),
    (
        &["to", "into"],
        "rows go to a file with `save QUERY to \"rows.csv\"`",
    ),
    (
        &["isnull", "notnull", "exists"],
        "write `is null` or `is not null`",
    ),
];

pub(super) fn foreign_word(situation: &Situation<'_>) -> Option<Advice> {
    if situation.is_any(-1, &["top", "first"]) && situation.kind(0) == Some(TokenKind::Number) {
        return Advice::hint(format!(
            "write `limit {}` at the end of the query",
            situation.text(0)
        ));
    }
    if situation.is(0, "offset") && situation.expects(Expected::Word("limit")) {
        return Advice::hint("`offset` follows a `limit`: `limit 10 offset 5`");
    }
    if situation.kind(0) != Some(TokenKind::Word) {
        return None;
    }
    // The `to` of a `save` is right; what is missing is something before it.
    if situation.is(0, "to") && situation.has_before("save") {
        return None;
    }
    let (_, hint) = FOREIGN_WORDS
        .iter()
        .find(|(words, _)| situation.is_any(0, words))?;
    Advice::hint(*hint)
}
