//! Habits about the forms of statements: parentheses, quotes, definitions, lines.

use super::Advice;
use crate::lang::diagnose::Situation;
use crate::lang::expected::Expected;
use crate::lang::layout::STATEMENT_WORDS;
use crate::lang::scan::TokenKind;

/// `in 1, 2`, `exists walk …`, `sizeof struct x`, `def f x = …`.
pub(super) fn missing_parenthesis(situation: &Situation<'_>) -> Option<Advice> {
    if situation.text(0) == ")" && situation.text(-1) == "(" && situation.is(-2, "in") {
        return Advice::message(
            "an empty list holds nothing",
            "name at least one value, or a query",
        );
    }
    if !situation.expects(Expected::Sign("(")) || situation.text(0) == "(" {
        return None;
    }
    let word = situation.text(-1).to_ascii_lowercase();
    let hint = match word.as_str() {
        "in" => "a list, or a query, stands in parentheses: `in (1, 2, 3)`".to_string(),
        "exists" => "the query stands in parentheses: `exists (walk …)`".to_string(),
        "sizeof" => "the type stands in parentheses: `sizeof(struct task_struct)`".to_string(),
        _ if situation.has_before("def") => {
            format!("parameters stand in parentheses: `def {word}(x) = …`")
        }
        _ => format!("a `(` follows `{word}`"),
    };
    Advice::message(format!("expected `(` after `{word}`"), hint)
}

/// `use file.nq`, `like %d`, `show types like task%`.
pub(super) fn missing_quotes(situation: &Situation<'_>) -> Option<Advice> {
    if situation.is(-1, "use") && !situation.at_end() {
        return Advice::hint("a file's name stands in quotes: `use \"walks.nq\"`");
    }
    if situation.is(-2, "show") && !situation.at_end() {
        let (catalogue, pattern) = (situation.text(-1), situation.text(0));
        return Advice::hint(format!("write `show {catalogue} like '{pattern}%'`"));
    }
    if situation.text(-1) == ","
        && situation.expects(Expected::Thing("a text in quotes"))
        && !situation.expects_operand()
    {
        return Advice::hint("the message stands in quotes");
    }
    let pattern = ["like", "matches"];
    let bare = situation.is_any(-1, &pattern) && !situation.at_end();
    let percent = situation.text(-1) == "%" && situation.is_any(-3, &pattern);
    if bare || percent {
        return Advice::hint("a pattern stands in quotes: `comm like 'kworker%'`");
    }
    None
}

/// `as 'process id'`, `describe 'task_struct'`.
pub(super) fn needless_quotes(situation: &Situation<'_>) -> Option<Advice> {
    let name_wanted = situation.expected.iter().any(|expected| match expected {
        Expected::Thing(thing) => thing.contains("name"),
        _ => false,
    });
    if situation.kind(0) == Some(TokenKind::Text) && name_wanted {
        return Advice::hint("a name stands without quotes; it is made of letters, digits and `_`");
    }
    None
}

/// `describe (x)`.
pub(super) fn describe_what(situation: &Situation<'_>) -> Option<Advice> {
    if !situation.is(-1, "describe") {
        return None;
    }
    Advice::message(
        "expected the name of a type, a walk, a function or a symbol",
        "for example `describe struct task_struct`, `describe tasks`, `describe @init_task`",
    )
}

/// `let x 5`, `def f(x) as …`, `def walk w() = …`.
pub(super) fn half_a_definition(situation: &Situation<'_>) -> Option<Advice> {
    let in_definition = situation.tokens.first().is_some_and(|first| {
        ["let", "def"]
            .iter()
            .any(|word| first.text(situation.source).eq_ignore_ascii_case(word))
    });
    if !in_definition {
        return None;
    }
    if situation.expects(Expected::Sign("=")) {
        return Advice::hint(
            "a name and its meaning are joined by `=`: `let low = 0x1000`, `def twice(x) = x + x`",
        );
    }
    if situation.expects(Expected::Word("as"))
        && situation.has_before("walk")
        && !situation.has_before("as")
    {
        return Advice::hint(
            "a walk and its query are joined by `as`: `def walk idle() as walk tasks where pid = 0 select *`",
        );
    }
    None
}

/// `read 0x1000`.
pub(super) fn read_without_space(situation: &Situation<'_>) -> Option<Advice> {
    if situation.expects(Expected::Word("phys")) {
        return Advice::hint("say which addresses are meant: `read phys …` or `read virt …`");
    }
    None
}

/// `dump phys 0 to "FILE"`.
pub(super) fn dump_without_length(situation: &Situation<'_>) -> Option<Advice> {
    if situation.is(0, "to") && situation.has_before("dump") {
        return Advice::hint(
            "say how many bytes: `dump phys 0x1000, 4K to \"FILE\"`; `dump code of TASK`, `dump maps of TASK` and `dump cache of FILE` know it themselves",
        );
    }
    None
}

/// `print 1 print 2`.
pub(super) fn second_statement(situation: &Situation<'_>) -> Option<Advice> {
    let whole = situation.expects(Expected::End);
    if whole && situation.is_any(0, STATEMENT_WORDS) {
        return Advice::hint("two statements on one line stand apart with `;`");
    }
    None
}

/// A line that was meant as a statement and belongs to the one before, because that is not finished.
pub(super) fn swallowed_line(situation: &Situation<'_>) -> Option<Advice> {
    let begins = |distance: isize| {
        let token = situation.token(distance)?;
        let is_statement = token.first_on_line && situation.is_any(distance, STATEMENT_WORDS);
        is_statement.then_some(token)
    };
    let is_later = |distance: isize| situation.token(distance - 1).is_some();
    let distance = [0, -1, -2]
        .into_iter()
        .find(|distance| begins(*distance).is_some() && is_later(*distance))?;
    let (before, word) = (situation.text(distance - 1), situation.text(distance));
    let reason = if situation.expects(Expected::Sign(")")) || situation.expects(Expected::Sign("]"))
    {
        "a bracket that was opened before is still open".to_string()
    } else {
        format!("the line before ends with `{before}` and so goes on here")
    };
    Some(Advice {
        message: Some(format!("`{word}` does not begin a statement here")),
        span: begins(distance).map(|token| token.span),
        hints: vec![reason],
        ..Advice::default()
    })
}
