//! `group by` and aggregates.

use crate::lang::ast::{Expression, Span};
use crate::lang::function::Aggregate;
use crate::lang::typed::{Node, Typed};
use crate::value::ValueType;

use super::Checker;
use super::scope::{Groups, Scope, typed};

impl Checker<'_> {
    /// The local that holds a `group by` expression, where what is computed of a group repeats one.
    pub(super) fn group_key(
        &mut self,
        expression: &Expression,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        let groups = scope.groups.filter(|groups| groups.of_group)?;
        let text = self.text_of(expression.span);
        let number = groups.keys.iter().position(|(key, _)| *key == text)?;
        let kind = groups.keys[number].1.clone();
        Some(typed(Node::Local(number), kind, expression.span))
    }

    /// The program's text at a span, white space made one.
    pub(super) fn text_of(&self, span: Span) -> String {
        let text = self
            .source
            .text
            .get(span.start..span.end)
            .unwrap_or_default();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// `count(*)`.
    pub(super) fn count_rows(&mut self, span: Span, scope: &Scope<'_>) -> Option<Typed> {
        let groups = self.groups_for("count(*)", span, scope)?;
        Some(add_aggregate(
            groups,
            Aggregate::Count,
            None,
            ValueType::Integer,
            span,
        ))
    }

    /// `sum(x)` and its like.
    pub(super) fn aggregate_call(
        &mut self,
        aggregate: Aggregate,
        arguments: &[Expression],
        span: Span,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        let [argument] = arguments else {
            self.error(
                span,
                format!(
                    "an aggregate takes one argument, and {} are given",
                    arguments.len()
                ),
                "",
            );
            return None;
        };
        // `sum((walk … select size))` is the sum of a list.
        if let crate::lang::ast::ExpressionKind::Query(query) = &argument.kind {
            return self.aggregate_of_query(aggregate, query, span, scope);
        }
        let groups = self.groups_for(&self.text_of(span), span, scope)?;
        let row_groups = Groups {
            aggregates: std::cell::RefCell::default(),
            keys: Vec::new(),
            of_group: false,
            are_known: true,
        };
        let row_scope = Scope {
            parent: scope.parent,
            sources: scope.sources.clone(),
            names: Vec::new(),
            self_place: None,
            groups: Some(&row_groups),
        };
        let before = self.errors.len();
        let argument = self.value(argument, &row_scope)?;
        if !row_groups.aggregates.borrow().is_empty() {
            self.errors.truncate(before);
            self.error(span, "an aggregate inside an aggregate", "");
            return None;
        }
        if matches!(aggregate, Aggregate::Sum | Aggregate::Average) && !argument.kind.is_numeric() {
            self.error(
                argument.span,
                format!("a number is wanted here, and this is `{}`", argument.kind),
                "",
            );
            return None;
        }
        let kind = result_kind(aggregate, &argument.kind);
        Some(add_aggregate(groups, aggregate, Some(argument), kind, span))
    }

    /// An aggregate of the values of a query in parentheses.
    fn aggregate_of_query(
        &mut self,
        aggregate: Aggregate,
        query: &crate::lang::ast::Query,
        span: Span,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        let list = self.query_operand(query, query.span, scope)?;
        let element = match &list.kind {
            ValueType::List(element) => (**element).clone(),
            _ => ValueType::Any,
        };
        Some(typed(
            Node::Fold(aggregate, Box::new(list)),
            result_kind(aggregate, &element),
            span,
        ))
    }

    fn groups_for<'s>(
        &mut self,
        what: &str,
        span: Span,
        scope: &'s Scope<'_>,
    ) -> Option<&'s Groups> {
        match scope.groups {
            Some(groups) if groups.of_group => Some(groups),
            Some(_) => {
                self.error(span, format!("`{what}` inside an aggregate"), "");
                None
            }
            None => {
                self.error_with_hint(
                    span,
                    format!("`{what}` is an aggregate, and there are no groups here"),
                    "",
                    "aggregates belong into `select`, `having` or `order by`; to filter groups use `having`",
                );
                None
            }
        }
    }
}

/// What an aggregate of values of a type gives.
pub(super) fn result_kind(aggregate: Aggregate, argument: &ValueType) -> ValueType {
    match aggregate {
        Aggregate::Count => ValueType::Integer,
        Aggregate::Average => ValueType::Float,
        Aggregate::Sum if *argument != ValueType::Float && *argument != ValueType::Duration => {
            ValueType::Integer
        }
        Aggregate::Collect => ValueType::List(Box::new(argument.clone())),
        _ => argument.clone(),
    }
}

fn add_aggregate(
    groups: &Groups,
    aggregate: Aggregate,
    argument: Option<Typed>,
    kind: ValueType,
    span: Span,
) -> Typed {
    let mut aggregates = groups.aggregates.borrow_mut();
    aggregates.push((aggregate, argument));
    typed(Node::Aggregate(aggregates.len() - 1), kind, span)
}
