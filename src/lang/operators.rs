//! The operators as tables: how each is spelt and what binds tighter than what. The parser and the printer read these.
//!
//! The order is C's, with the words fitted in: `??` looser than `or`, `not` between `and` and `|`, the word comparisons
//! beside `<`. As in C, `&`, `^` and `|` bind looser than the comparisons: `flags & 4 = 4` is `flags & (4 = 4)`.

use super::ast::{BinaryOperator, LogicalOperator, UnaryOperator};

/// How tightly something binds; the later, the tighter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// `c ? a : b`; groups from the right.
    Conditional,
    /// `??`; groups from the right.
    Coalesce,
    /// `or`.
    Or,
    /// `and`.
    And,
    /// `not`, before its operand.
    Not,
    /// `|`.
    BitOr,
    /// `^`.
    BitXor,
    /// `&`.
    BitAnd,
    /// `= !=`; does not chain.
    Equality,
    /// `< <= > >=`, `in`, `like`, `is null` …; does not chain.
    Relation,
    /// `<< >>`.
    Shift,
    /// `+ -`.
    Sum,
    /// `* / %`.
    Product,
    /// `- ~ * & !` and casts, before their operand.
    Prefix,
    /// `.member`, `[index]`, behind their operand.
    Postfix,
}

/// All levels, loosest first.
const LEVELS: &[Level] = &[
    Level::Conditional,
    Level::Coalesce,
    Level::Or,
    Level::And,
    Level::Not,
    Level::BitOr,
    Level::BitXor,
    Level::BitAnd,
    Level::Equality,
    Level::Relation,
    Level::Shift,
    Level::Sum,
    Level::Product,
    Level::Prefix,
    Level::Postfix,
];

impl Level {
    /// The next tighter one.
    pub(super) fn tighter(self) -> Level {
        LEVELS
            .iter()
            .copied()
            .find(|level| *level > self)
            .unwrap_or(Level::Postfix)
    }

    /// What belongs to a level beside the operators of the tables, and what is special about it.
    fn others(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Conditional => (&["c ? a : b"], "groups from the right"),
            Self::Coalesce => (&[], "the first that is not null; groups from the right"),
            Self::Or => (&["or", "||"], ""),
            Self::And => (&["and", "&&"], ""),
            Self::Not => (
                &[],
                "before its operand; `!` is `not` that binds like the signs",
            ),
            Self::BitOr | Self::BitXor | Self::BitAnd => (&[], ""),
            Self::Equality => (&["=="], "does not chain"),
            Self::Relation => (
                &["between a and b", "in (…)", "is null"],
                "each word also with `not`; does not chain",
            ),
            Self::Shift => (&[], ""),
            Self::Sum => (&[], "of two texts, `+` joins them"),
            Self::Product => (&[], ""),
            Self::Prefix => (&["!", "(TYPE)"], "before its operand"),
            Self::Postfix => (&[".member", "->member", "[index]"], "behind its operand"),
        }
    }

    /// Whether `a < b < c` is a mistake at this level.
    pub(super) fn is_comparison(self) -> bool {
        matches!(self, Self::Equality | Self::Relation)
    }

    /// Whether `a ?? b ?? c` is `a ?? (b ?? c)` at this level.
    pub(super) fn groups_from_the_right(self) -> bool {
        matches!(self, Self::Conditional | Self::Coalesce)
    }
}

/// Binary operators: which, how it is printed, how tightly it binds.
const BINARY: &[(BinaryOperator, &str, Level)] = &[
    (BinaryOperator::Coalesce, "??", Level::Coalesce),
    (BinaryOperator::BitOr, "|", Level::BitOr),
    (BinaryOperator::BitXor, "^", Level::BitXor),
    (BinaryOperator::BitAnd, "&", Level::BitAnd),
    (BinaryOperator::Equal, "=", Level::Equality),
    (BinaryOperator::NotEqual, "!=", Level::Equality),
    (BinaryOperator::Less, "<", Level::Relation),
    (BinaryOperator::LessEqual, "<=", Level::Relation),
    (BinaryOperator::Greater, ">", Level::Relation),
    (BinaryOperator::GreaterEqual, ">=", Level::Relation),
    (BinaryOperator::Like, "like", Level::Relation),
    (BinaryOperator::Matches, "matches", Level::Relation),
    (BinaryOperator::Has, "has", Level::Relation),
    (BinaryOperator::ShiftLeft, "<<", Level::Shift),
    (BinaryOperator::ShiftRight, ">>", Level::Shift),
    (BinaryOperator::Add, "+", Level::Sum),
    (BinaryOperator::Subtract, "-", Level::Sum),
    (BinaryOperator::Multiply, "*", Level::Product),
    (BinaryOperator::Divide, "/", Level::Product),
    (BinaryOperator::Remainder, "%", Level::Product),
];

/// What binds how tightly, the tightest first: the operators of a level, and what is special about it.
pub fn precedence() -> Vec<(String, &'static str)> {
    let rows = LEVELS.iter().rev().map(|level| {
        let binary = BINARY
            .iter()
            .filter(|(_, _, own)| own == level)
            .map(|(_, printed, _)| *printed);
        let unary = UNARY
            .iter()
            .filter(|(operator, _)| operator.level() == *level)
            .map(|(_, printed)| *printed);
        let (others, remark) = level.others();
        let spellings: Vec<_> = unary.chain(binary).chain(others.iter().copied()).collect();
        (spellings.join("  "), remark)
    });
    rows.collect()
}

/// Second spellings.
const ALIASES: &[(&str, &str)] = &[("==", "="), ("&&", "and"), ("||", "or")];

/// Prefix operators and how they are printed.
const UNARY: &[(UnaryOperator, &str)] = &[
    (UnaryOperator::Not, "not"),
    (UnaryOperator::Negate, "-"),
    (UnaryOperator::Complement, "~"),
    (UnaryOperator::Dereference, "*"),
    (UnaryOperator::AddressOf, "&"),
];

/// What a sign or word between two operands means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Infix {
    /// Two operands, always.
    Binary(BinaryOperator, Level),
    /// Two or more operands.
    Logical(LogicalOperator, Level),
}

/// What `written` means between two operands.
pub(super) fn infix(written: &str) -> Option<Infix> {
    let lower = written.to_ascii_lowercase();
    let spelling = ALIASES
        .iter()
        .find(|(alias, _)| *alias == lower)
        .map_or(lower.as_str(), |(_, spelling)| spelling);
    match spelling {
        "and" => Some(Infix::Logical(LogicalOperator::And, Level::And)),
        "or" => Some(Infix::Logical(LogicalOperator::Or, Level::Or)),
        _ => BINARY
            .iter()
            .find(|(_, printed, _)| *printed == spelling)
            .map(|(operator, _, level)| Infix::Binary(*operator, *level)),
    }
}

/// What `written` means before an operand.
pub(super) fn prefix(written: &str) -> Option<UnaryOperator> {
    if written == "!" {
        return Some(UnaryOperator::Not);
    }
    UNARY
        .iter()
        .find(|(_, printed)| printed.eq_ignore_ascii_case(written))
        .map(|(operator, _)| *operator)
}

/// Every binary operator, for tests that try them all.
#[cfg(test)]
pub(super) fn all_binary() -> impl Iterator<Item = BinaryOperator> {
    BINARY.iter().map(|(operator, _, _)| *operator)
}

impl BinaryOperator {
    /// How it is written.
    pub fn spelling(self) -> &'static str {
        self.row().0
    }

    /// How tightly it binds.
    pub(super) fn level(self) -> Level {
        self.row().1
    }

    fn row(self) -> (&'static str, Level) {
        BINARY
            .iter()
            .find(|(operator, _, _)| *operator == self)
            .map_or(("", Level::Postfix), |(_, printed, level)| {
                (printed, *level)
            })
    }
}

impl LogicalOperator {
    /// How it is written.
    pub fn spelling(self) -> &'static str {
        match self {
            Self::And => "and",
            Self::Or => "or",
        }
    }

    /// How tightly it binds.
    pub(super) fn level(self) -> Level {
        match self {
            Self::And => Level::And,
            Self::Or => Level::Or,
        }
    }
}

impl UnaryOperator {
    /// How it is written.
    pub fn spelling(self) -> &'static str {
        UNARY
            .iter()
            .find(|(operator, _)| *operator == self)
            .map_or("", |(_, printed)| printed)
    }

    /// How tightly it binds.
    pub(super) fn level(self) -> Level {
        if self == Self::Not {
            Level::Not
        } else {
            Level::Prefix
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_read_back() {
        for (operator, printed, level) in BINARY {
            assert_eq!(infix(printed), Some(Infix::Binary(*operator, *level)));
            assert_eq!(operator.spelling(), *printed);
        }
        for (operator, printed) in UNARY {
            assert_eq!(prefix(printed), Some(*operator));
        }
        assert_eq!(infix("&&"), infix("AND"));
        assert_eq!(infix("=="), infix("="));
        assert_eq!(infix("==="), None);
    }

    #[test]
    fn levels_are_listed_in_order() {
        assert!(LEVELS.is_sorted());
        assert_eq!(Level::Prefix.tighter(), Level::Postfix);
    }
}
