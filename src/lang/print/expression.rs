//! Expressions as they are written, with the parentheses that precedence asks for.

use super::joined;
use super::literal::literal;
use super::query::query;
use crate::lang::ast::{
    BinaryOperator, Expression, ExpressionKind, InSet, Query, SizeOperand, TypeName, UnaryOperator,
};
use crate::lang::operators::Level;
use crate::lang::parse::is_sure_type_name;

/// An expression where only what binds at least as tightly as `loosest` can stand bare.
pub(super) fn expression(value: &Expression, loosest: Level) -> String {
    let text = bare(&value.kind);
    if level(&value.kind) < loosest {
        format!("({text})")
    } else {
        text
    }
}

/// How tightly an expression binds, as it is printed.
fn level(kind: &ExpressionKind) -> Level {
    match kind {
        ExpressionKind::Conditional { .. } => Level::Conditional,
        ExpressionKind::Logical { operator, .. } => operator.level(),
        ExpressionKind::Binary { operator, .. } => operator.level(),
        ExpressionKind::In { .. } | ExpressionKind::Between { .. } | ExpressionKind::IsNull(_) => {
            Level::Relation
        }
        ExpressionKind::Unary { operator, operand } => match operator {
            UnaryOperator::Not if has_negated_form(&operand.kind) => Level::Relation,
            _ => operator.level(),
        },
        ExpressionKind::Cast { .. } => Level::Prefix,
        _ => Level::Postfix,
    }
}

/// Whether `not` over it is written inside it: `x not in (…)`.
fn has_negated_form(kind: &ExpressionKind) -> bool {
    match kind {
        ExpressionKind::In { .. } | ExpressionKind::Between { .. } | ExpressionKind::IsNull(_) => {
            true
        }
        ExpressionKind::Binary { operator, .. } => matches!(
            operator,
            BinaryOperator::Like | BinaryOperator::Matches | BinaryOperator::Has
        ),
        _ => false,
    }
}

/// The expression without parentheses around it; one flat match.
fn bare(kind: &ExpressionKind) -> String {
    match kind {
        ExpressionKind::Literal(value) => literal(value),
        ExpressionKind::Name(name) => name.clone(),
        ExpressionKind::Symbol(name) => format!("@{name}"),
        ExpressionKind::Variable(name) => format!("${name}"),
        ExpressionKind::SelfElement => "self".to_string(),
        ExpressionKind::CountRows => "count(*)".to_string(),
        ExpressionKind::Member { object, member } => {
            format!("{}.{}", expression(object, Level::Postfix), member.text)
        }
        ExpressionKind::Index { object, index } => {
            format!("{}[{index}]", expression(object, Level::Postfix))
        }
        ExpressionKind::Call {
            function,
            arguments,
        } => format!(
            "{}({})",
            function.text,
            joined(arguments, ToString::to_string)
        ),
        ExpressionKind::Unary { operator, operand } => unary(*operator, operand),
        ExpressionKind::Binary {
            operator,
            left,
            right,
        } => binary(*operator, left, right, ""),
        ExpressionKind::Logical { operator, operands } => {
            let tighter = operator.level().tighter();
            let operands: Vec<String> = operands
                .iter()
                .map(|operand| expression(operand, tighter))
                .collect();
            operands.join(&format!(" {} ", operator.spelling()))
        }
        ExpressionKind::Conditional {
            condition,
            then,
            otherwise,
        } => format!(
            "{} ? {then} : {otherwise}",
            expression(condition, Level::Coalesce)
        ),
        ExpressionKind::Cast { to, operand } => cast(to, operand),
        ExpressionKind::SizeOf(SizeOperand::Type(name)) => format!("sizeof({name})"),
        ExpressionKind::SizeOf(SizeOperand::Expression(value)) => format!("sizeof({value})"),
        ExpressionKind::OffsetOf { container, path } => format!("offsetof({container}, {path})"),
        ExpressionKind::ContainerOf {
            pointer,
            container,
            path,
        } => format!("container_of({pointer}, {container}, {path})"),
        ExpressionKind::In { value, set } => membership(value, set, ""),
        ExpressionKind::Between { value, low, high } => between(value, low, high, ""),
        ExpressionKind::IsNull(value) => format!("{} is null", expression(value, Level::Shift)),
        ExpressionKind::Exists(rows) => format!("exists ({})", query(rows)),
        ExpressionKind::Query(rows) => format!("({})", beginning_with_walk(rows)),
    }
}

/// A query among expressions begins with `walk`; one that begins with a parenthesis becomes the source of one that does.
fn beginning_with_walk(rows: &Query) -> String {
    let text = query(rows);
    if text.starts_with('(') {
        format!("walk ({text}) select *")
    } else {
        text
    }
}

fn unary(operator: UnaryOperator, operand: &Expression) -> String {
    if operator == UnaryOperator::Not {
        return negated(operand);
    }
    let sign = operator.spelling();
    let text = expression(operand, Level::Prefix);
    // `--x` reads as a comment elsewhere and `&&x` as a conjunction: NQ takes neither. Parentheses, of which only so many may nest,
    // are not needed to keep them apart.
    if text.starts_with(sign) && matches!(sign, "-" | "&") {
        format!("{sign} {text}")
    } else {
        format!("{sign}{text}")
    }
}

/// `not` over an expression, inside it where the language has a form for that.
fn negated(operand: &Expression) -> String {
    match &operand.kind {
        ExpressionKind::In { value, set } => membership(value, set, "not "),
        ExpressionKind::Between { value, low, high } => between(value, low, high, "not "),
        ExpressionKind::IsNull(value) => format!("{} is not null", expression(value, Level::Shift)),
        ExpressionKind::Binary {
            operator,
            left,
            right,
        } if has_negated_form(&operand.kind) => binary(*operator, left, right, "not "),
        _ => format!("not {}", expression(operand, Level::Not)),
    }
}

fn binary(operator: BinaryOperator, left: &Expression, right: &Expression, not: &str) -> String {
    let level = operator.level();
    let (before, after) = if level.groups_from_the_right() {
        (level.tighter(), level)
    } else if level.is_comparison() {
        (level.tighter(), level.tighter())
    } else {
        (level, level.tighter())
    };
    format!(
        "{} {not}{} {}",
        expression(left, before),
        operator.spelling(),
        expression(right, after)
    )
}

fn between(value: &Expression, low: &Expression, high: &Expression, not: &str) -> String {
    let bound = |value| expression(value, Level::Shift);
    format!(
        "{} {not}between {} and {}",
        bound(value),
        bound(low),
        bound(high)
    )
}

fn membership(value: &Expression, set: &InSet, not: &str) -> String {
    let inside = match set {
        InSet::List(values) => joined(values, ToString::to_string),
        InSet::Query(rows) => beginning_with_walk(rows),
    };
    format!("{} {not}in ({inside})", expression(value, Level::Shift))
}

/// A type that is a bare name is read as one only before what no operator could precede.
fn cast(to: &TypeName, operand: &Expression) -> String {
    let text = expression(operand, Level::Prefix);
    if is_sure_type_name(to) || begins_like_an_operand(&text) {
        format!("({to}){text}")
    } else {
        format!("({to})({text})")
    }
}

/// Whether the text begins with what can only be an operand.
fn begins_like_an_operand(text: &str) -> bool {
    let end = text.find(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    let first = text.get(..end.unwrap_or(text.len())).unwrap_or("");
    let is_direction = ["asc", "desc", "optional"]
        .iter()
        .any(|word| first.eq_ignore_ascii_case(word));
    !is_direction && !text.starts_with(['-', '*', '&'])
}
