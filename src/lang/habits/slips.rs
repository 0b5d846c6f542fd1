//! Slips: mistyped keywords, keywords as names, forgotten or superfluous commas.

use super::{Advice, CLAUSE_BEGINNINGS, CLAUSE_WORDS, begins_operand};
use crate::lang::diagnose::Situation;
use crate::lang::expected::Expected;
use crate::lang::scan::TokenKind;
use crate::report::nearest;

/// `select pid,` and then nothing, or the next clause.
pub(super) fn dangling_comma(situation: &Situation<'_>) -> Option<Advice> {
    let nothing =
        situation.at_end() || situation.is_any(0, CLAUSE_BEGINNINGS) || situation.text(0) == ")";
    if situation.text(-1) != "," || !nothing {
        return None;
    }
    Some(Advice {
        message: Some("nothing follows this comma".to_string()),
        span: situation.token(-1).map(|comma| comma.span),
        hints: vec!["go on with another item, or leave the comma out".to_string()],
        ..Advice::default()
    })
}

/// `mm-> where …`: behind a `.` every word is a name.
pub(super) fn swallowed_keyword(situation: &Situation<'_>) -> Option<Advice> {
    let sign = situation.text(-2);
    if !matches!(sign, "." | "->") || !situation.is_any(-1, CLAUSE_BEGINNINGS) {
        return None;
    }
    let word = situation.text(-1);
    Some(Advice {
        message: Some(format!(
            "`{word}` is a member's name here, since it follows `{sign}`"
        )),
        span: situation.token(-1).map(|token| token.span),
        hints: vec![format!(
            "write a member after `{sign}`, or leave the `{sign}` out"
        )],
        ..Advice::default()
    })
}

/// A keyword with a slip in it.
pub(super) fn mistyped_word(situation: &Situation<'_>) -> Option<Advice> {
    let word = situation.text(0).to_ascii_lowercase();
    if situation.kind(0) != Some(TokenKind::Word) || word.len() < 3 {
        return None;
    }
    let mut candidates: Vec<&str> = situation
        .expected
        .iter()
        .filter_map(|expected| match expected {
            Expected::Word(word) => word.split(' ').next(),
            _ => None,
        })
        .collect();
    if situation.expects(Expected::Operator) {
        candidates.extend(["and", "like", "matches", "between", "has", "not"]);
    }
    if situation.expects(Expected::Thing("`union`, `intersect` or `except`")) {
        candidates.extend(["union", "intersect", "except"]);
    }
    let near = nearest(&word, candidates)?;
    Some(Advice {
        label: Some(format!("did you mean `{near}`?")),
        ..Advice::default()
    })
}

/// `select distnct pid`, `where nto x`: the slip was taken for a name, and what follows it is what surprises.
pub(super) fn mistyped_word_before(situation: &Situation<'_>) -> Option<Advice> {
    let before = situation.token(-1)?;
    let word = situation.text(-1).to_ascii_lowercase();
    let joins = matches!(situation.text(-2), "." | "->");
    if before.kind != TokenKind::Word || joins || word.len() < 3 || !begins_operand(situation) {
        return None;
    }
    let near = nearest(&word, ["distinct", "not", "exists", "sizeof"])?;
    Some(Advice {
        message: Some(format!("`{}` cannot stand here", situation.text(-1))),
        label: Some(format!("did you mean `{near}`?")),
        span: Some(before.span),
        ..Advice::default()
    })
}

/// `select from, of`.
pub(super) fn keyword_as_name(situation: &Situation<'_>) -> Option<Advice> {
    let word = situation.text(0);
    if !situation.is_any(0, CLAUSE_WORDS) {
        return None;
    }
    if situation.expects(Expected::Thing("a name")) {
        return Advice::hint(format!("`{word}` is a keyword; choose another name"));
    }
    if situation.expects_operand() {
        return Advice::hint(format!(
            "`{word}` is a keyword; a member of that name is `self.{word}`"
        ));
    }
    None
}

/// `walk tasks t`, `select pid p`, `select pid comm`.
pub(super) fn missing_as_or_comma(situation: &Situation<'_>) -> Option<Advice> {
    if !begins_operand(situation) || situation.expects_operand() {
        return None;
    }
    let (before, here) = (situation.text(-1), situation.text(0));
    let mut hints = Vec::new();
    if situation.kind(0) == Some(TokenKind::Word) && situation.expects(Expected::Word("as")) {
        hints.push(format!(
            "another name is given with `as`: `{before} as {here}`"
        ));
    }
    if situation.expects(Expected::Sign(",")) {
        hints.push(format!(
            "items of a list have commas between them: `{before}, {here}`"
        ));
    }
    (!hints.is_empty()).then(|| Advice {
        hints,
        ..Advice::default()
    })
}
