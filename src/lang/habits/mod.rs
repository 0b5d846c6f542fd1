//! What people write who know SQL, C, gdb or crash better than NQ, and what they mean by it.
//!
//! Each habit is a row of a table or one small function that looks at the place where the grammar gave up. The first that
//! recognises something answers.

mod clauses;
mod foreign;
mod forms;
mod operands;
mod slips;

use super::ast::Span;
use super::diagnose::Situation;
use super::scan::TokenKind;

/// What to tell beyond "this cannot stand here".
#[derive(Debug, Default)]
pub(super) struct Advice {
    /// A better message than the list of what could stand there.
    pub(in crate::lang) message: Option<String>,
    /// What to say beside the mark.
    pub(in crate::lang) label: Option<String>,
    /// What to write instead.
    pub(in crate::lang) hints: Vec<String>,
    /// A better place to mark.
    pub(in crate::lang) span: Option<Span>,
}
impl Advice {
    fn hint(text: impl Into<String>) -> Option<Self> {
        Some(Self {
            hints: vec![text.into()],
            ..Self::default()
        })
    }

    fn message(message: impl Into<String>, hint: impl Into<String>) -> Option<Self> {
        Some(Self {
            message: Some(message.into()),
            hints: vec![hint.into()],
            ..Self::default()
        })
    }
}

/// One habit.
type Habit = fn(&Situation<'_>) -> Option<Advice>;

/// All habits, the more particular first.
const HABITS: &[Habit] = &[
    foreign::foreign_sign,
    foreign::no_statement,
    forms::swallowed_line,
    operands::negated_with_a_sign,
    slips::dangling_comma,
    clauses::star_with_others,
    operands::doubled_quote,
    operands::split_suffix,
    clauses::missing_by,
    forms::missing_parenthesis,
    forms::missing_quotes,
    forms::needless_quotes,
    forms::describe_what,
    operands::is_without_null,
    operands::not_without_comparison,
    operands::between_with_comma,
    slips::swallowed_keyword,
    operands::type_as_value,
    operands::member_that_is_no_name,
    clauses::limit_with_comma,
    operands::half_a_conditional,
    forms::half_a_definition,
    forms::read_without_space,
    forms::dump_without_length,
    clauses::claim_without_is,
    clauses::explain_what_has_no_plan,
    clauses::walk_without_name,
    clauses::set_in_parentheses,
    slips::mistyped_word,
    slips::mistyped_word_before,
    foreign::foreign_word,
    clauses::from_after_select,
    clauses::missing_select,
    operands::missing_operand,
    clauses::clause_out_of_order,
    forms::second_statement,
    slips::keyword_as_name,
    slips::missing_as_or_comma,
];

/// What to tell about this place.
pub(super) fn advise(situation: &Situation<'_>) -> Advice {
    HABITS
        .iter()
        .find_map(|habit| habit(situation))
        .unwrap_or_default()
}

/// The order of a query's clauses.
const CLAUSE_ORDER: &str =
    "a query's clauses stand in this order: walk, where, select, group by, having, order by, limit";

/// Words that begin a clause.
const CLAUSE_BEGINNINGS: &[&str] = &[
    "except",
    "group",
    "having",
    "intersect",
    "limit",
    "order",
    "select",
    "union",
    "walk",
    "where",
];

/// Words that begin a clause or join operands: not names, unless behind a `.`.
const CLAUSE_WORDS: &[&str] = &[
    "and",
    "as",
    "between",
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
    "or",
    "order",
    "select",
    "union",
    "walk",
    "where",
];

/// Whether what stands at the place would be an operand if one could stand there.
fn begins_operand(situation: &Situation<'_>) -> bool {
    match situation.kind(0) {
        Some(TokenKind::Word) => !situation.is_any(0, CLAUSE_WORDS),
        Some(TokenKind::Number | TokenKind::Text | TokenKind::Sigil) => true,
        _ => false,
    }
}
