//! Habits about the clauses of a query: their words, their order, what they take.

use super::foreign::sql_hint;
use super::{Advice, CLAUSE_BEGINNINGS, CLAUSE_ORDER};
use crate::lang::diagnose::Situation;
use crate::lang::expected::Expected;
use crate::report::nearest;

/// `select *, pid`, `select t.*`, `sum(*)`.
pub(super) fn star_with_others(situation: &Situation<'_>) -> Option<Advice> {
    if situation.text(-1) == "*" && situation.is_any(-2, &["select", "distinct"]) {
        return Advice::hint("`*` stands alone: it means all columns; else list the columns");
    }
    if situation.text(0) == "*" && matches!(situation.text(-1), "." | "->") {
        return Advice::hint("only `select *` means all columns; of one source, list them");
    }
    if situation.text(-1) == "*" && situation.text(-2) == "(" && situation.text(0) == ")" {
        return Advice::hint("only `count(*)` takes `*`");
    }
    None
}

/// `order pid`, `group uid`.
pub(super) fn missing_by(situation: &Situation<'_>) -> Option<Advice> {
    if situation.expects(Expected::Word("by")) {
        let word = situation.text(-1).to_ascii_lowercase();
        let what = if situation.at_end() {
            "pid"
        } else {
            situation.text(0)
        };
        return Advice::hint(format!("write `{word} by {what}`"));
    }
    None
}

/// `limit 5, 10`, `limit -1`, `limit all`.
pub(super) fn limit_with_comma(situation: &Situation<'_>) -> Option<Advice> {
    if situation.text(0) == "," && situation.is(-2, "limit") {
        let (skip, count) = (situation.text(-1), situation.text(1));
        return Advice::hint(format!("write `limit {count} offset {skip}`"));
    }
    if situation.expects(Expected::Thing("a number of rows")) {
        return Advice::hint("a number of rows is a whole number, or a `$variable`");
    }
    None
}

/// `in ((walk …) union (walk …))`.
pub(super) fn set_in_parentheses(situation: &Situation<'_>) -> Option<Advice> {
    let joins = situation.is_any(0, &["union", "intersect", "except"]);
    if joins && situation.text(-1) == ")" && situation.expects(Expected::Sign(")")) {
        return Advice::hint(
            "among values, the first walk of a set operation stands without parentheses of its own",
        );
    }
    None
}

/// `walk select pid from tasks`, `walk where …`.
pub(super) fn walk_without_name(situation: &Situation<'_>) -> Option<Advice> {
    if situation.is(-1, "walk") && situation.is(0, "select") {
        return Advice::hint(sql_hint(situation));
    }
    if situation.is(-1, "walk") && !situation.at_end() {
        return Advice::hint(
            "after `walk` comes what to walk: `walk tasks select …`; `show walks` lists them",
        );
    }
    None
}

/// `walk tasks select pid from init_task`.
pub(super) fn from_after_select(situation: &Situation<'_>) -> Option<Advice> {
    if situation.is_any(0, &["from", "of", "optional"])
        && situation.has_before("select")
        && !situation.expects_operand()
    {
        let word = situation.text(0).to_ascii_lowercase();
        return Advice::hint(format!(
            "`{word}` belongs to the walk, before `select`: `walk tasks {word} …`"
        ));
    }
    None
}

/// `walk tasks where pid = 1`.
pub(super) fn missing_select(situation: &Situation<'_>) -> Option<Advice> {
    let ends =
        situation.at_end() || situation.is_any(0, CLAUSE_BEGINNINGS) || situation.text(0) == ")";
    let comes_later = situation
        .tokens
        .iter()
        .skip(situation.at)
        .any(|token| token.text(situation.source).eq_ignore_ascii_case("select"));
    if !situation.expects(Expected::Word("select")) || !ends || comes_later {
        return None;
    }
    Advice::message(
        "this query does not say what to select",
        "add `select *` for all columns, or `select pid, comm`",
    )
}

/// `… order by pid where pid > 5`.
pub(super) fn clause_out_of_order(situation: &Situation<'_>) -> Option<Advice> {
    let clauses = ["where", "select", "group", "having", "order", "limit"];
    if situation.has_before("walk") && situation.is_any(0, &clauses) && !situation.expects_operand()
    {
        return Advice::hint(CLAUSE_ORDER);
    }
    None
}

/// `assert walk tasks select pid`.
pub(super) fn claim_without_is(situation: &Situation<'_>) -> Option<Advice> {
    let claims = situation
        .tokens
        .first()
        .is_some_and(|first| first.text(situation.source).eq_ignore_ascii_case("assert"));
    if claims && situation.expects(Expected::Word("is empty")) {
        return Advice::hint(
            "say what the query's rows should be: `assert walk … is empty` or `is not empty`",
        );
    }
    None
}

/// `explain print 1`.
pub(super) fn explain_what_has_no_plan(situation: &Situation<'_>) -> Option<Advice> {
    if situation.is_any(-1, &["explain", "analyze"])
        && !situation.at_end()
        && !situation.is(0, "walk")
    {
        if let Some(near) = nearest(&situation.text(0).to_ascii_lowercase(), ["walk", "analyze"]) {
            return Some(Advice {
                label: Some(format!("did you mean `{near}`?")),
                ..Advice::default()
            });
        }
        return Advice::hint("only queries have a plan: `explain walk … select …`");
    }
    None
}
