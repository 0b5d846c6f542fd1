//! Queries: walks, their clauses, and set operations between them.

use super::Parsed;
use super::cursor::{Cursor, Node};
use super::expression::{expression, expressions};
use super::grammar::Rule;
use super::grown::{GrownQuery, Tallest, check_depth};
use super::literal;
use super::operand::variable;
use super::source::source;
use crate::lang::ast::{
    Column, Columns, Direction, Expression, ExpressionKind, Limit, OrderKey, Query, QueryBody,
    Selection, SetOperation, SetOperator, Source, SourceKind, Span, WalkQuery,
};
use crate::lang::syntax_error::SyntaxError;

/// How many levels a query counts on the way down: reading one takes as much stack as so many operators.
const QUERY_WEIGHT: usize = 8;

/// Reads a `query` that stands `depth` levels below the statement.
pub(super) fn query(node: Node<'_>, depth: usize) -> Parsed<GrownQuery> {
    let span = node.span();
    let depth = depth + QUERY_WEIGHT;
    check_depth(depth, span)?;
    let mut parts = node.children();
    let body = set_operations(&mut parts, depth + 1)?;
    let mut tallest = Tallest::default();
    let order_by = match parts.take(Rule::order_clause) {
        Some(clause) => order_keys(clause, &mut tallest, depth + 1)?,
        None => Vec::new(),
    };
    let limit = parts.take(Rule::limit_clause).map(limit).transpose()?;
    parts.finish()?;
    if order_by.is_empty() && limit.is_none() {
        return Ok(body);
    }
    let body = tallest.of(reorderable(body)?);
    let query = Query {
        body: body.body,
        order_by,
        limit,
        span,
    };
    tallest.under(Box::new(query), span)
}

/// A query that can take an order and a limit: if it stood in parentheses with its own, all rows of it.
fn reorderable(query: GrownQuery) -> Parsed<GrownQuery> {
    if query.tree.order_by.is_empty() && query.tree.limit.is_none() {
        return Ok(query);
    }
    let span = query.tree.span;
    let mut tallest = Tallest::default();
    let source = Source {
        kind: SourceKind::Query(tallest.of(query)),
        owner: None,
        root: None,
        alias: None,
        optional: false,
        span,
    };
    let walk = WalkQuery {
        sources: vec![source],
        filter: None,
        selection: Selection {
            distinct: false,
            columns: Columns::All,
            span,
        },
        group_by: Vec::new(),
        having: None,
    };
    tallest.under(plain(QueryBody::Walk(walk), span), span)
}

/// A query without order and limit.
fn plain(body: QueryBody, span: Span) -> Box<Query> {
    Box::new(Query {
        body,
        order_by: Vec::new(),
        limit: None,
        span,
    })
}

/// `union` and `except` from left to right, between chains of `intersect`.
fn set_operations(parts: &mut Cursor<'_>, depth: usize) -> Parsed<GrownQuery> {
    let mut left = intersections(parts, depth)?;
    while let Some(operator) = next_operator(parts)? {
        parts.expect(Rule::set_operator)?;
        left = joined(operator, left, intersections(parts, depth)?)?;
    }
    Ok(left)
}

fn intersections(parts: &mut Cursor<'_>, depth: usize) -> Parsed<GrownQuery> {
    let mut left = query_term(parts.expect(Rule::query_term)?, depth)?;
    while next_operator(parts)? == Some(SetOperator::Intersect) {
        parts.expect(Rule::set_operator)?;
        let right = query_term(parts.expect(Rule::query_term)?, depth)?;
        left = joined(SetOperator::Intersect, left, right)?;
    }
    Ok(left)
}

/// The next set operator, without taking it.
fn next_operator(parts: &Cursor<'_>) -> Parsed<Option<SetOperator>> {
    let Some(node) = parts.clone().take(Rule::set_operator) else {
        return Ok(None);
    };
    let word = node.only_child()?;
    match word.rule() {
        Rule::word_union => Ok(Some(SetOperator::Union)),
        Rule::word_intersect => Ok(Some(SetOperator::Intersect)),
        Rule::word_except => Ok(Some(SetOperator::Except)),
        _ => word.misplaced(Rule::set_operator, "a set operator"),
    }
}

fn joined(operator: SetOperator, left: GrownQuery, right: GrownQuery) -> Parsed<GrownQuery> {
    let mut tallest = Tallest::default();
    let left = tallest.of(left);
    let right = tallest.of(right);
    let span = left.span.to(right.span);
    let operation = SetOperation {
        operator,
        left,
        right,
    };
    tallest.under(plain(QueryBody::Set(operation), span), span)
}

fn query_term(node: Node<'_>, depth: usize) -> Parsed<GrownQuery> {
    let span = node.span();
    let mut parts = node.children();
    if let Some(inner) = parts.take(Rule::query) {
        let mut grown = query(inner, depth)?;
        parts.expect(Rule::close)?;
        grown.tree.span = span;
        return Ok(grown);
    }
    let walk = parts.expect(Rule::walk_query)?;
    parts.finish()?;
    walk_query(walk, depth)
}

fn walk_query(node: Node<'_>, depth: usize) -> Parsed<GrownQuery> {
    let span = node.span();
    let mut parts = node.children();
    let mut tallest = Tallest::default();
    parts.expect(Rule::word_walk)?;
    let mut sources = Vec::new();
    while let Some(written) = parts.take(Rule::source) {
        sources.push(source(written, &mut tallest, depth)?);
        parts.skip(Rule::comma);
    }
    let before = parts.take(Rule::where_clause);
    let selection = selection(parts.expect(Rule::select_clause)?, &mut tallest, depth)?;
    let after = parts.take(Rule::where_clause);
    let filter = filter(before, after, &mut tallest, depth)?;
    let group_by = match parts.take(Rule::group_clause) {
        Some(clause) => group_keys(clause, &mut tallest, depth)?,
        None => Vec::new(),
    };
    let having = match parts.take(Rule::having_clause) {
        Some(clause) => Some(clause_value(
            clause,
            Rule::word_having,
            &mut tallest,
            depth,
        )?),
        None => None,
    };
    parts.finish()?;
    let walk = WalkQuery {
        sources,
        filter,
        selection,
        group_by,
        having,
    };
    tallest.under(plain(QueryBody::Walk(walk), span), span)
}

/// The one `where`, on whichever side of `select` it stands.
fn filter(
    before: Option<Node<'_>>,
    after: Option<Node<'_>>,
    tallest: &mut Tallest,
    depth: usize,
) -> Parsed<Option<Expression>> {
    match (before, after) {
        (Some(first), Some(second)) => Err(Box::new(SyntaxError::Repeated {
            clause: "where",
            first: first.span(),
            span: second.span(),
        })),
        (Some(clause), None) | (None, Some(clause)) => {
            clause_value(clause, Rule::word_where, tallest, depth).map(Some)
        }
        (None, None) => Ok(None),
    }
}

/// The expression of a clause that is a keyword and an expression.
pub(super) fn clause_value(
    clause: Node<'_>,
    keyword: Rule,
    tallest: &mut Tallest,
    depth: usize,
) -> Parsed<Expression> {
    let mut parts = clause.children();
    parts.expect(keyword)?;
    let value = expression(parts.expect(Rule::expression)?, depth)?;
    parts.finish()?;
    Ok(*tallest.of(value))
}

fn selection(clause: Node<'_>, tallest: &mut Tallest, depth: usize) -> Parsed<Selection> {
    let span = clause.span();
    let mut parts = clause.children();
    parts.expect(Rule::word_select)?;
    let distinct = parts.skip(Rule::distinct);
    let columns = if parts.skip(Rule::everything) {
        Columns::All
    } else {
        Columns::Listed(columns(&mut parts, tallest, depth)?)
    };
    parts.finish()?;
    Ok(Selection {
        distinct,
        columns,
        span,
    })
}

fn columns(parts: &mut Cursor<'_>, tallest: &mut Tallest, depth: usize) -> Parsed<Vec<Column>> {
    let mut columns = Vec::new();
    while let Some(node) = parts.take(Rule::column) {
        let mut column = node.children();
        let value = *tallest.of(expression(column.expect(Rule::expression)?, depth)?);
        let alias = column.take(Rule::alias).map(alias).transpose()?;
        columns.push(Column { value, alias });
        parts.skip(Rule::comma);
    }
    Ok(columns)
}

/// Reads an `alias`.
pub(super) fn alias(node: Node<'_>) -> Parsed<crate::lang::ast::Name> {
    let mut parts = node.children();
    parts.expect(Rule::word_as)?;
    Ok(parts.expect(Rule::new_name)?.name())
}

fn group_keys(clause: Node<'_>, tallest: &mut Tallest, depth: usize) -> Parsed<Vec<Expression>> {
    let mut parts = clause.children();
    parts.expect(Rule::word_group)?;
    parts.expect(Rule::word_by)?;
    let keys = expressions(&mut parts, tallest, depth)?;
    parts.finish()?;
    Ok(keys)
}

fn order_keys(clause: Node<'_>, tallest: &mut Tallest, depth: usize) -> Parsed<Vec<OrderKey>> {
    let mut parts = clause.children();
    parts.expect(Rule::word_order)?;
    parts.expect(Rule::word_by)?;
    let mut keys = Vec::new();
    while let Some(node) = parts.take(Rule::order_key) {
        let mut key = node.children();
        let value = *tallest.of(expression(key.expect(Rule::expression)?, depth)?);
        let direction = match key.peek() {
            Some(Rule::word_desc) => Direction::Descending,
            _ => Direction::Ascending,
        };
        keys.push(OrderKey { value, direction });
        parts.skip(Rule::comma);
    }
    parts.finish()?;
    Ok(keys)
}

fn limit(clause: Node<'_>) -> Parsed<Limit> {
    let mut parts = clause.children();
    parts.expect(Rule::word_limit)?;
    let count = row_count(parts.expect(Rule::row_count)?)?;
    let offset = if parts.skip(Rule::word_offset) {
        Some(row_count(parts.expect(Rule::row_count)?)?)
    } else {
        None
    };
    parts.finish()?;
    Ok(Limit { count, offset })
}

pub(super) fn row_count(node: Node<'_>) -> Parsed<Expression> {
    let child = node.only_child()?;
    if child.rule() == Rule::variable {
        return variable(child).map(|grown| *grown.tree);
    }
    literal::integer(&child)?;
    Ok(Expression {
        kind: ExpressionKind::Literal(literal::number(&child)?),
        span: child.span(),
    })
}
