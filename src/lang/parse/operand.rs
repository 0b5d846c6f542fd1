//! Operands: what an expression's operators stand between, with the members and indices that cling to it.

use super::Parsed;
use super::cursor::{Cursor, Node};
use super::expression::{expression, expressions};
use super::grammar::Rule;
use super::grown::{GrownExpression, Tallest, check_depth};
use super::literal;
use super::query::query;
use super::types::{member_path, type_name};
use crate::lang::ast::{ExpressionKind, SizeOperand};

/// Takes one operand from the row.
pub(super) fn operand(row: &mut Cursor<'_>, depth: usize) -> Parsed<GrownExpression> {
    let node = row.any("an operand")?;
    check_depth(depth, node.span())?;
    let mut object = primary(node, depth + 1)?;
    while let Some(Rule::member | Rule::index) = row.peek() {
        object = postfixed(object, row.any("a member")?, depth + 1)?;
    }
    Ok(object)
}

fn postfixed(object: GrownExpression, node: Node<'_>, depth: usize) -> Parsed<GrownExpression> {
    let end = node.span();
    let rule = node.rule();
    let mut parts = node.children();
    let mut tallest = Tallest::default();
    let object = tallest.of(object);
    let span = object.span.to(end);
    let kind = if rule == Rule::member {
        let member = parts.expect(Rule::member_name)?.name();
        ExpressionKind::Member { object, member }
    } else {
        let index = tallest.of(expression(parts.expect(Rule::expression)?, depth)?);
        parts.expect(Rule::close_index)?;
        ExpressionKind::Index { object, index }
    };
    parts.finish()?;
    tallest.expression(kind, span)
}

fn primary(node: Node<'_>, depth: usize) -> Parsed<GrownExpression> {
    let leaf = |kind| Tallest::default().expression(kind, node.span());
    match node.rule() {
        Rule::word_self => leaf(ExpressionKind::SelfElement),
        Rule::value_name => leaf(ExpressionKind::Name(node.text().to_string())),
        Rule::count_rows => leaf(ExpressionKind::CountRows),
        Rule::literal => leaf(ExpressionKind::Literal(literal::literal(node.clone())?)),
        Rule::symbol => leaf(ExpressionKind::Symbol(only_text(node.clone())?)),
        Rule::variable => variable(node),
        Rule::size_of => size_of(node, depth),
        Rule::offset_of => offset_of(node),
        Rule::container_of => container_of(node, depth),
        Rule::exists => exists(node, depth),
        Rule::call => call(node, depth),
        Rule::value_query => value_query(node, depth),
        Rule::group => group(node, depth),
        _ => node.misplaced(Rule::expression, "an operand"),
    }
}

fn only_text(node: Node<'_>) -> Parsed<String> {
    Ok(node.only_child()?.text().to_string())
}

/// Reads a `variable`.
pub(super) fn variable(node: Node<'_>) -> Parsed<GrownExpression> {
    let span = node.span();
    let kind = ExpressionKind::Variable(only_text(node)?);
    Tallest::default().expression(kind, span)
}

/// Parentheses leave no node, but they count for the span.
fn group(node: Node<'_>, depth: usize) -> Parsed<GrownExpression> {
    let span = node.span();
    let mut parts = node.children();
    let mut grown = expression(parts.expect(Rule::expression)?, depth)?;
    parts.expect(Rule::close)?;
    grown.tree.span = span;
    Ok(grown)
}

fn call(node: Node<'_>, depth: usize) -> Parsed<GrownExpression> {
    let span = node.span();
    let mut parts = node.children();
    let mut tallest = Tallest::default();
    let function = parts.expect(Rule::function_name)?.name();
    let arguments = expressions(&mut parts, &mut tallest, depth)?;
    parts.expect(Rule::close)?;
    parts.finish()?;
    let kind = ExpressionKind::Call {
        function,
        arguments,
    };
    tallest.expression(kind, span)
}

/// A query in parentheses: the list of its only column's values.
fn value_query(node: Node<'_>, depth: usize) -> Parsed<GrownExpression> {
    let span = node.span();
    let mut parts = node.children();
    let mut tallest = Tallest::default();
    let query = tallest.of(query(parts.expect(Rule::query)?, depth)?);
    parts.expect(Rule::close)?;
    tallest.expression(ExpressionKind::Query(query), span)
}

fn exists(node: Node<'_>, depth: usize) -> Parsed<GrownExpression> {
    let span = node.span();
    let mut parts = node.children();
    parts.expect(Rule::word_exists)?;
    let mut inner = parts.expect(Rule::subquery)?.children();
    let mut tallest = Tallest::default();
    inner.expect(Rule::open)?;
    let query = tallest.of(query(inner.expect(Rule::query)?, depth)?);
    tallest.expression(ExpressionKind::Exists(query), span)
}

fn size_of(node: Node<'_>, depth: usize) -> Parsed<GrownExpression> {
    let span = node.span();
    let mut parts = node.children();
    let mut tallest = Tallest::default();
    parts.expect(Rule::word_sizeof)?;
    parts.expect(Rule::open)?;
    let operand = match parts.take(Rule::sure_type) {
        Some(written) => SizeOperand::Type(type_name(written)?),
        None => {
            let inner = expression(parts.expect(Rule::expression)?, depth)?;
            SizeOperand::Expression(tallest.of(inner))
        }
    };
    parts.expect(Rule::close)?;
    tallest.expression(ExpressionKind::SizeOf(operand), span)
}

fn offset_of(node: Node<'_>) -> Parsed<GrownExpression> {
    let span = node.span();
    let mut parts = node.children();
    parts.expect(Rule::word_offsetof)?;
    parts.expect(Rule::open)?;
    let container = type_name(parts.expect(Rule::any_type)?)?;
    parts.expect(Rule::comma)?;
    let path = member_path(parts.expect(Rule::member_path)?)?;
    parts.expect(Rule::close)?;
    Tallest::default().expression(ExpressionKind::OffsetOf { container, path }, span)
}

fn container_of(node: Node<'_>, depth: usize) -> Parsed<GrownExpression> {
    let span = node.span();
    let mut parts = node.children();
    let mut tallest = Tallest::default();
    parts.expect(Rule::word_container_of)?;
    parts.expect(Rule::open)?;
    let pointer = tallest.of(expression(parts.expect(Rule::expression)?, depth)?);
    parts.expect(Rule::comma)?;
    let container = type_name(parts.expect(Rule::any_type)?)?;
    parts.expect(Rule::comma)?;
    let path = member_path(parts.expect(Rule::member_path)?)?;
    parts.expect(Rule::close)?;
    let kind = ExpressionKind::ContainerOf {
        pointer,
        container,
        path,
    };
    tallest.expression(kind, span)
}
