//! Set operations between queries: both sides must have the same columns.

use std::rc::Rc;

use crate::lang::ast::{ExpressionKind, Query, SetOperation, Span};
use crate::lang::typed::{CheckedBody, CheckedQuery};
use crate::value::ValueType;

use super::Checker;
use super::scope::Scope;

impl Checker<'_> {
    /// Both sides, and the order of what comes of them.
    pub(super) fn set_operation(
        &mut self,
        operation: &SetOperation,
        query: &Query,
        outer: Option<&Scope<'_>>,
    ) -> Option<CheckedQuery> {
        let left = self.query(&operation.left, outer);
        let right = self.query(&operation.right, outer);
        let (left, right) = (left?, right?);
        if left.columns.len() != right.columns.len() {
            let (one, other) = (left.columns.len(), right.columns.len());
            let message = format!("one side has {one} columns and the other {other}");
            self.error(
                operation.right.span,
                message,
                "both sides need the same columns",
            );
            return None;
        }
        self.same_kinds(operation, &left, &right)?;
        let columns = left.columns.clone();
        let mut order = Vec::new();
        for key in &query.order_by {
            let number = match &key.value.kind {
                ExpressionKind::Name(name) => columns.iter().position(|(column, _)| column == name),
                _ => None,
            };
            let Some(number) = number else {
                let names: Vec<_> = columns
                    .iter()
                    .map(|(name, _)| format!("`{name}`"))
                    .collect();
                let label = format!("the columns are {}", names.join(", "));
                self.error(
                    key.value.span,
                    "after a set operation only its columns can be ordered by",
                    label,
                );
                return None;
            };
            order.push((number, key.direction));
        }
        let body = CheckedBody::Set {
            operator: operation.operator,
            left: Rc::new(left),
            right: Rc::new(right),
        };
        Some(CheckedQuery {
            body,
            order,
            limit: None,
            offset: 0,
            columns,
        })
    }

    /// Refuses sides of which one has text where the other has numbers: no row could be in both.
    fn same_kinds(
        &mut self,
        operation: &SetOperation,
        left: &CheckedQuery,
        right: &CheckedQuery,
    ) -> Option<()> {
        let span = operation.right.span;
        for ((name, one), (_, other)) in left.columns.iter().zip(&right.columns) {
            let (plain_one, plain_other) = (self.plain(one, span)?, self.plain(other, span)?);
            let differs = (plain_one.is_text() && plain_other.is_numeric())
                || (plain_one.is_numeric() && plain_other.is_text());
            if differs && *one != ValueType::Any && *other != ValueType::Any {
                let message = format!(
                    "the column `{name}` is `{one}` on one side and `{other}` on the other"
                );
                let label = "both sides need the same columns";
                self.error(span, message, label);
                return None;
            }
        }
        Some(())
    }

    /// A kind without the names that typedefs give it.
    fn plain(&mut self, kind: &ValueType, span: Span) -> Option<ValueType> {
        match kind {
            ValueType::Kernel(ty) => Some(ValueType::Kernel(self.strip(span, ty)?)),
            other => Some(other.clone()),
        }
    }
}
