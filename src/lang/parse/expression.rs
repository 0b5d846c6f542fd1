//! Expressions: pest's flat row of operands and operators → a tree, by climbing the table of precedence.

use super::Parsed;
use super::cursor::{Cursor, Node};
use super::grammar::Rule;
use super::grown::{GrownExpression, Tallest, check_depth};
use super::operand::operand;
use super::query::query;
use super::types::type_name;
use crate::lang::ast::{
    BinaryOperator, Expression, ExpressionKind, InSet, LogicalOperator, Span, UnaryOperator,
};
use crate::lang::operators::{self, Infix, Level};
use crate::lang::syntax_error::SyntaxError;

/// Reads an `expression` that stands `depth` levels below the statement.
pub(super) fn expression(node: Node<'_>, depth: usize) -> Parsed<GrownExpression> {
    let mut row = node.children();
    let grown = climb(&mut row, Level::Conditional, depth)?;
    row.finish()?;
    Ok(grown)
}

/// What can follow an operand in the row.
enum Follower {
    Binary(BinaryOperator, Level),
    Logical(LogicalOperator, Level),
    /// `? then :`
    Conditional,
    /// `[not] like`, `[not] between` …
    WordComparison,
    /// `is [not] null`
    NullTest,
    /// `[not] in (…)`
    Membership,
}

impl Follower {
    fn level(&self) -> Level {
        match self {
            Self::Binary(_, level) | Self::Logical(_, level) => *level,
            Self::Conditional => Level::Conditional,
            Self::WordComparison | Self::NullTest | Self::Membership => Level::Relation,
        }
    }
}

/// Looks at what follows an operand without taking it.
fn follower(row: &Cursor<'_>) -> Parsed<Option<(Follower, Span)>> {
    let Some(node) = row.clone().next() else {
        return Ok(None);
    };
    let follower = match node.rule() {
        Rule::operator => match operators::infix(node.text()) {
            Some(Infix::Binary(operator, level)) => Follower::Binary(operator, level),
            Some(Infix::Logical(operator, level)) => Follower::Logical(operator, level),
            None => return node.misplaced(row.parent(), "a known operator"),
        },
        Rule::conditional => Follower::Conditional,
        Rule::word_comparison => Follower::WordComparison,
        Rule::null_test => Follower::NullTest,
        Rule::membership => Follower::Membership,
        _ => return node.misplaced(row.parent(), "an operator"),
    };
    Ok(Some((follower, node.span())))
}

/// Takes from the row all that binds at least as tightly as `loosest`.
fn climb(row: &mut Cursor<'_>, loosest: Level, depth: usize) -> Parsed<GrownExpression> {
    let mut left = prefixed(row, depth)?;
    while let Some((next, span)) = follower(row)? {
        let level = next.level();
        if level < loosest {
            break;
        }
        left = grow(row, left, &next, depth + 1)?;
        if level.is_comparison() {
            refuse_chain(row, level, span)?;
        }
    }
    Ok(left)
}

/// `a < b < c` is neither what C makes of it nor what people mean by it.
fn refuse_chain(row: &Cursor<'_>, level: Level, first: Span) -> Parsed<()> {
    match follower(row)? {
        Some((next, span)) if next.level() == level => {
            Err(Box::new(SyntaxError::ChainedComparison { span, first }))
        }
        _ => Ok(()),
    }
}

/// An operand with what stands before it.
fn prefixed(row: &mut Cursor<'_>, depth: usize) -> Parsed<GrownExpression> {
    let Some(rule) = row.peek() else {
        return operand(row, depth);
    };
    match rule {
        Rule::word_not | Rule::prefix_operator => {
            let sign = row.any("an operator")?;
            check_depth(depth, sign.span())?;
            let Some(operator) = operators::prefix(sign.text()) else {
                return sign.misplaced(row.parent(), "a known operator");
            };
            let inner = match rule {
                Rule::word_not => climb(row, Level::Not, depth + 1)?,
                _ => prefixed(row, depth + 1)?,
            };
            unary(operator, sign.span(), inner)
        }
        Rule::cast => {
            let written = row.any("a cast")?;
            let start = written.span();
            check_depth(depth, start)?;
            let to = type_name(written.only_child()?)?;
            let mut tallest = Tallest::default();
            let operand = tallest.of(prefixed(row, depth + 1)?);
            let span = start.to(operand.span);
            tallest.expression(ExpressionKind::Cast { to, operand }, span)
        }
        _ => operand(row, depth),
    }
}

fn unary(operator: UnaryOperator, start: Span, inner: GrownExpression) -> Parsed<GrownExpression> {
    let mut tallest = Tallest::default();
    let operand = tallest.of(inner);
    let span = start.to(operand.span);
    tallest.expression(ExpressionKind::Unary { operator, operand }, span)
}

/// Takes one operator and what is behind it.
fn grow(
    row: &mut Cursor<'_>,
    left: GrownExpression,
    next: &Follower,
    depth: usize,
) -> Parsed<GrownExpression> {
    let sign = row.any("an operator")?;
    check_depth(depth, sign.span())?;
    match next {
        Follower::Binary(operator, level) => binary(row, left, *operator, *level, depth),
        Follower::Logical(operator, level) => logical(row, left, *operator, *level, depth),
        Follower::Conditional => conditional(row, left, sign, depth),
        Follower::WordComparison => word_comparison(row, left, sign, depth),
        Follower::NullTest => null_test(left, sign),
        Follower::Membership => membership(left, sign, depth),
    }
}

fn binary(
    row: &mut Cursor<'_>,
    left: GrownExpression,
    operator: BinaryOperator,
    level: Level,
    depth: usize,
) -> Parsed<GrownExpression> {
    let loosest = if level.groups_from_the_right() {
        level
    } else {
        level.tighter()
    };
    let mut tallest = Tallest::default();
    let left = tallest.of(left);
    let right = tallest.of(climb(row, loosest, depth)?);
    let span = left.span.to(right.span);
    let kind = ExpressionKind::Binary {
        operator,
        left,
        right,
    };
    tallest.expression(kind, span)
}

/// The whole chain of one logical operator.
fn logical(
    row: &mut Cursor<'_>,
    left: GrownExpression,
    operator: LogicalOperator,
    level: Level,
    depth: usize,
) -> Parsed<GrownExpression> {
    let mut tallest = Tallest::default();
    let mut span = left.tree.span;
    let mut operands = vec![*tallest.of(left)];
    loop {
        let operand = *tallest.of(climb(row, level.tighter(), depth)?);
        span = span.to(operand.span);
        operands.push(operand);
        let goes_on =
            matches!(follower(row)?, Some((Follower::Logical(next, _), _)) if next == operator);
        if !goes_on {
            break;
        }
        row.expect(Rule::operator)?;
    }
    tallest.expression(ExpressionKind::Logical { operator, operands }, span)
}

fn conditional(
    row: &mut Cursor<'_>,
    left: GrownExpression,
    sign: Node<'_>,
    depth: usize,
) -> Parsed<GrownExpression> {
    let mut tallest = Tallest::default();
    let condition = tallest.of(left);
    let mut parts = sign.children();
    parts.expect(Rule::question)?;
    let then = tallest.of(expression(parts.expect(Rule::expression)?, depth)?);
    parts.expect(Rule::colon)?;
    let otherwise = tallest.of(climb(row, Level::Conditional, depth)?);
    let span = condition.span.to(otherwise.span);
    let kind = ExpressionKind::Conditional {
        condition,
        then,
        otherwise,
    };
    tallest.expression(kind, span)
}

/// `[not] like|matches|has x`, `[not] between a and b`.
fn word_comparison(
    row: &mut Cursor<'_>,
    left: GrownExpression,
    sign: Node<'_>,
    depth: usize,
) -> Parsed<GrownExpression> {
    let mut words = sign.children();
    let not = words.take(Rule::word_not).map(|word| word.span());
    let word = words.any("a comparison")?;
    let positive = match word.rule() {
        Rule::word_like => binary(row, left, BinaryOperator::Like, Level::Relation, depth)?,
        Rule::word_matches => binary(row, left, BinaryOperator::Matches, Level::Relation, depth)?,
        Rule::word_has => binary(row, left, BinaryOperator::Has, Level::Relation, depth)?,
        Rule::word_between => between(row, left, depth)?,
        _ => return word.misplaced(Rule::word_comparison, "a comparison"),
    };
    negated_if(not, positive)
}

fn between(row: &mut Cursor<'_>, left: GrownExpression, depth: usize) -> Parsed<GrownExpression> {
    let mut tallest = Tallest::default();
    let value = tallest.of(left);
    let low = tallest.of(climb(row, Level::Shift, depth)?);
    match follower(row)? {
        Some((Follower::Logical(LogicalOperator::And, _), _)) => row.expect(Rule::operator)?,
        other => {
            let end = other.map_or(low.span, |(_, span)| span);
            let span = low.span.to(end);
            return Err(Box::new(SyntaxError::BetweenWithoutAnd { span }));
        }
    };
    let high = tallest.of(climb(row, Level::Shift, depth)?);
    let span = value.span.to(high.span);
    tallest.expression(ExpressionKind::Between { value, low, high }, span)
}

fn null_test(left: GrownExpression, sign: Node<'_>) -> Parsed<GrownExpression> {
    let end = sign.span();
    let mut words = sign.children();
    words.expect(Rule::word_is)?;
    let not = words.take(Rule::word_not).map(|word| word.span());
    let mut tallest = Tallest::default();
    let value = tallest.of(left);
    let span = value.span.to(end);
    let positive = tallest.expression(ExpressionKind::IsNull(value), span)?;
    negated_if(not, positive)
}

fn membership(left: GrownExpression, sign: Node<'_>, depth: usize) -> Parsed<GrownExpression> {
    let end = sign.span();
    let mut parts = sign.children();
    let not = parts.take(Rule::word_not).map(|word| word.span());
    parts.expect(Rule::word_in)?;
    parts.expect(Rule::open)?;
    let mut tallest = Tallest::default();
    let value = tallest.of(left);
    let set = match parts.take(Rule::query) {
        Some(node) => InSet::Query(tallest.of(query(node, depth)?)),
        None => in_set(expressions(&mut parts, &mut tallest, depth)?),
    };
    parts.expect(Rule::close)?;
    parts.finish()?;
    let span = value.span.to(end);
    let positive = tallest.expression(ExpressionKind::In { value, set }, span)?;
    negated_if(not, positive)
}

/// `in ((walk …))` looks for rows of the query, not in a list of one list.
fn in_set(mut values: Vec<Expression>) -> InSet {
    match values.pop() {
        Some(Expression {
            kind: ExpressionKind::Query(rows),
            ..
        }) if values.is_empty() => InSet::Query(rows),
        Some(last) => {
            values.push(last);
            InSet::List(values)
        }
        None => InSet::List(values),
    }
}

/// `x not in y` is `not (x in y)`.
fn negated_if(not: Option<Span>, positive: GrownExpression) -> Parsed<GrownExpression> {
    match not {
        Some(_) => {
            let span = positive.tree.span;
            unary(UnaryOperator::Not, span, positive)
        }
        None => Ok(positive),
    }
}

/// Expressions with commas between them.
pub(super) fn expressions(
    parts: &mut Cursor<'_>,
    tallest: &mut Tallest,
    depth: usize,
) -> Parsed<Vec<Expression>> {
    let mut list = Vec::new();
    while let Some(node) = parts.take(Rule::expression) {
        list.push(*tallest.of(expression(node, depth)?));
        parts.skip(Rule::comma);
    }
    Ok(list)
}
