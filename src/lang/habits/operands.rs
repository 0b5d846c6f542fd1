//! Habits about expressions: operators, literals, types, members.

use super::{Advice, CLAUSE_BEGINNINGS};
use crate::lang::diagnose::Situation;
use crate::lang::expected::Expected;
use crate::lang::scan::TokenKind;

/// `x !in (…)`.
pub(super) fn negated_with_a_sign(situation: &Situation<'_>) -> Option<Advice> {
    let words = ["in", "like", "matches", "between", "has", "null"];
    if situation.text(0) == "!" && situation.is_any(1, &words) {
        return Advice::hint(format!("write `not {}`", situation.text(1)));
    }
    None
}

/// `'it''s'`.
pub(super) fn doubled_quote(situation: &Situation<'_>) -> Option<Advice> {
    let (before, here) = (situation.token(-1)?, situation.token(0)?);
    let both = before.kind == TokenKind::Text && here.kind == TokenKind::Text;
    if both && before.span.end == here.span.start {
        return Advice::hint(
            "a quote inside a text is written `\\'`, or the text stands in \" quotes",
        );
    }
    None
}

/// `10 ms`, `4 K`.
pub(super) fn split_suffix(situation: &Situation<'_>) -> Option<Advice> {
    let suffixes = ["ns", "us", "ms", "s", "m", "h", "K", "M", "G"];
    let suffix = situation.text(0);
    if situation.kind(-1) == Some(TokenKind::Number) && suffixes.contains(&suffix) {
        return Advice::hint(format!(
            "a number and its suffix stand together: `{}{suffix}`",
            situation.text(-1)
        ));
    }
    None
}

/// `x is 5`.
pub(super) fn is_without_null(situation: &Situation<'_>) -> Option<Advice> {
    let after_is = situation.is(-1, "is") || situation.is(-1, "not") && situation.is(-2, "is");
    if !after_is || situation.at_end() || !situation.expects(Expected::Word("null")) {
        return None;
    }
    let sign = if situation.is(-1, "is") { "=" } else { "!=" };
    if situation.is(0, "empty") {
        return Advice::hint(
            "`is empty` goes with a query, in `assert (walk …) is empty`; a text is compared with `= ''`",
        );
    }
    Advice::hint(format!(
        "`is` goes with `null` only; compare with `{sign}`: `{sign} {}`",
        situation.text(0)
    ))
}

/// `pid not 5`.
pub(super) fn not_without_comparison(situation: &Situation<'_>) -> Option<Advice> {
    if situation.is(-1, "not")
        && situation.expects(Expected::Word("between"))
        && !situation.at_end()
    {
        return Advice::hint(
            "not equal is `!=`; behind a value, `not` goes with `in`, `like`, `matches`, `between` and `has`",
        );
    }
    None
}

/// `between 1, 5`.
pub(super) fn between_with_comma(situation: &Situation<'_>) -> Option<Advice> {
    if situation.text(0) == "," && situation.is(-2, "between") {
        return Advice::hint(format!(
            "the bounds are joined by `and`: `between {} and {}`",
            situation.text(-1),
            situation.text(1)
        ));
    }
    None
}

/// `struct task_struct` where a value should be.
pub(super) fn type_as_value(situation: &Situation<'_>) -> Option<Advice> {
    let tag = situation.text(-1);
    let joins_queries = situation.is(-1, "union") && situation.has_before("select");
    if joins_queries
        || !situation.is_any(-1, &["struct", "union", "enum"])
        || situation.kind(0) != Some(TokenKind::Word)
    {
        return None;
    }
    let name = situation.text(0);
    Advice::message(
        format!("`{tag} {name}` is a type, and a value should stand here"),
        format!(
            "a value is seen as another type with `({tag} {name} *)value`; `describe {tag} {name}` shows the type"
        ),
    )
}

/// `p.5`, `p->`, `p.(x)`.
pub(super) fn member_that_is_no_name(situation: &Situation<'_>) -> Option<Advice> {
    if !matches!(situation.text(-1), "." | "->") {
        return None;
    }
    if situation.kind(0) == Some(TokenKind::Number) {
        return Advice::hint(format!(
            "an element is reached with `[{}]`",
            situation.text(0)
        ));
    }
    Advice::hint(format!(
        "after `{}` comes a member's name",
        situation.text(-1)
    ))
}

/// `a ? b`.
pub(super) fn half_a_conditional(situation: &Situation<'_>) -> Option<Advice> {
    if situation.expects(Expected::Sign(":")) && !situation.is_any(0, &["then", "else"]) {
        return Advice::hint("a choice has three parts: `condition ? value : other`");
    }
    None
}

/// `where select …`, `pid > 1 and select …`.
pub(super) fn missing_operand(situation: &Situation<'_>) -> Option<Advice> {
    if !situation.expects_operand() || !situation.is_any(0, CLAUSE_BEGINNINGS) {
        return None;
    }
    let (before, word) = (situation.text(-1), situation.text(0));
    Some(Advice {
        message: Some(format!(
            "something is missing between `{before}` and `{word}`"
        )),
        hints: vec![format!(
            "if a member called `{word}` is meant: `self.{word}`"
        )],
        ..Advice::default()
    })
}
