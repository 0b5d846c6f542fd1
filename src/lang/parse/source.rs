//! The sources of a walk: names, traversals and queries, with their options.

use super::Parsed;
use super::cursor::{Cursor, Node};
use super::expression::expression;
use super::grammar::Rule;
use super::grown::Tallest;
use super::query::{alias, clause_value, query};
use super::types::{member_path, type_name};
use crate::lang::ast::{Source, SourceKind, Span, TraversalArgument};
use crate::lang::syntax_error::SyntaxError;

/// Reads a `source`.
pub(super) fn source(node: Node<'_>, tallest: &mut Tallest, depth: usize) -> Parsed<Source> {
    let span = node.span();
    let mut parts = node.children();
    let kind = source_kind(&mut parts, tallest, depth)?;
    let mut options = Options::default();
    while let Some(option) = parts.next() {
        options.add(option, tallest, depth)?;
    }
    Ok(Source {
        kind,
        owner: options.owner.map(|(value, _)| value),
        root: options.root.map(|(value, _)| value),
        alias: options.alias.map(|(name, _)| name),
        optional: options.optional.is_some(),
        span,
    })
}

fn source_kind(parts: &mut Cursor<'_>, tallest: &mut Tallest, depth: usize) -> Parsed<SourceKind> {
    let node = parts.any("a source")?;
    match node.rule() {
        Rule::walk_name => Ok(SourceKind::Walk(node.name())),
        Rule::traversal => traversal(node, tallest, depth),
        Rule::subquery => {
            let mut inner = node.children();
            inner.expect(Rule::open)?;
            let query = query(inner.expect(Rule::query)?, depth)?;
            Ok(SourceKind::Query(tallest.of(query)))
        }
        _ => node.misplaced(Rule::source, "a source"),
    }
}

/// What may follow a source, each once, with the place of the first.
#[derive(Default)]
struct Options {
    owner: Option<(crate::lang::ast::Expression, Span)>,
    root: Option<(crate::lang::ast::Expression, Span)>,
    alias: Option<(crate::lang::ast::Name, Span)>,
    optional: Option<((), Span)>,
}

impl Options {
    fn add(&mut self, node: Node<'_>, tallest: &mut Tallest, depth: usize) -> Parsed<()> {
        let span = node.span();
        match node.rule() {
            Rule::of_clause => {
                let value = clause_value(node, Rule::word_of, tallest, depth)?;
                put(&mut self.owner, value, "of", span)
            }
            Rule::from_clause => {
                let value = clause_value(node, Rule::word_from, tallest, depth)?;
                put(&mut self.root, value, "from", span)
            }
            Rule::alias => put(&mut self.alias, alias(node)?, "as", span),
            Rule::word_optional => put(&mut self.optional, (), "optional", span),
            _ => node.misplaced(Rule::source, "an option of a source"),
        }
    }
}

fn put<T>(place: &mut Option<(T, Span)>, value: T, clause: &'static str, span: Span) -> Parsed<()> {
    if let Some((_, first)) = place {
        let first = *first;
        return Err(Box::new(SyntaxError::Repeated {
            clause,
            first,
            span,
        }));
    }
    *place = Some((value, span));
    Ok(())
}

fn traversal(node: Node<'_>, tallest: &mut Tallest, depth: usize) -> Parsed<SourceKind> {
    let mut parts = node.children();
    let name = parts.expect(Rule::walk_name)?.name();
    let mut arguments = Vec::new();
    while let Some(argument) = parts.take(Rule::traversal_argument) {
        arguments.push(traversal_argument(argument.only_child()?, tallest, depth)?);
        parts.skip(Rule::comma);
    }
    parts.expect(Rule::close)?;
    parts.finish()?;
    Ok(SourceKind::Traversal { name, arguments })
}

fn traversal_argument(
    node: Node<'_>,
    tallest: &mut Tallest,
    depth: usize,
) -> Parsed<TraversalArgument> {
    if node.rule() == Rule::expression {
        let value = expression(node, depth)?;
        return Ok(TraversalArgument::Expression(*tallest.of(value)));
    }
    let mut parts = node.children();
    let container = type_name(parts.any("a type")?)?;
    let argument = match parts.take(Rule::member_path) {
        Some(path) => TraversalArgument::Member {
            container,
            path: member_path(path)?,
        },
        None => TraversalArgument::Type(container),
    };
    parts.finish()?;
    Ok(argument)
}
