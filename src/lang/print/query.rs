//! Queries as they are written, clause by clause.

use super::joined;
use super::literal::text;
use crate::lang::ast::{
    Column, Columns, Direction, Limit, OrderKey, Query, QueryBody, Selection, SetOperation,
    SetOperator, Source, SourceKind, TraversalArgument, WalkQuery,
};

/// A query on one line.
pub(super) fn query(rows: &Query) -> String {
    clauses(rows).join(" ")
}

/// The clauses of a query; joined by spaces or by newlines they are the same query.
pub(super) fn clauses(rows: &Query) -> Vec<String> {
    let mut clauses = match &rows.body {
        QueryBody::Walk(walk) => walk_clauses(walk),
        QueryBody::Set(operation) => set_clauses(operation),
    };
    if !rows.order_by.is_empty() {
        clauses.push(format!("order by {}", joined(&rows.order_by, order_key)));
    }
    clauses.extend(rows.limit.as_ref().map(limit));
    clauses
}

fn walk_clauses(walk: &WalkQuery) -> Vec<String> {
    let mut clauses = vec![format!("walk {}", joined(&walk.sources, source))];
    clauses.extend(walk.filter.as_ref().map(|filter| format!("where {filter}")));
    clauses.push(selection(&walk.selection));
    if !walk.group_by.is_empty() {
        let keys = joined(&walk.group_by, ToString::to_string);
        clauses.push(format!("group by {keys}"));
    }
    clauses.extend(
        walk.having
            .as_ref()
            .map(|having| format!("having {having}")),
    );
    clauses
}

fn source(source: &Source) -> String {
    let mut words = vec![match &source.kind {
        SourceKind::Walk(name) => name.text.clone(),
        SourceKind::Traversal { name, arguments } => {
            format!("{}({})", name.text, joined(arguments, argument))
        }
        SourceKind::Query(rows) => format!("({})", query(rows)),
    }];
    words.extend(source.owner.as_ref().map(|owner| format!("of {owner}")));
    words.extend(source.root.as_ref().map(|root| format!("from {root}")));
    words.extend(
        source
            .alias
            .as_ref()
            .map(|alias| format!("as {}", alias.text)),
    );
    if source.optional {
        words.push("optional".to_string());
    }
    words.join(" ")
}

fn argument(argument: &TraversalArgument) -> String {
    match argument {
        TraversalArgument::Type(name) => name.to_string(),
        TraversalArgument::Member { container, path } => format!("{container}.{path}"),
        TraversalArgument::Expression(value) => value.to_string(),
    }
}

fn selection(selection: &Selection) -> String {
    let columns = match &selection.columns {
        Columns::All => "*".to_string(),
        Columns::Listed(list) => listed(list, selection.distinct),
    };
    let distinct = if selection.distinct { "distinct " } else { "" };
    format!("select {distinct}{columns}")
}

/// A first column that begins with the name `distinct` stands in parentheses, else it would be the keyword.
fn listed(columns: &[Column], distinct: bool) -> String {
    let text = joined(columns, column);
    let Some(first) = columns.first() else {
        return text;
    };
    let value = first.value.to_string();
    let word: String = value
        .chars()
        .take_while(|character| character.is_ascii_alphanumeric() || *character == '_')
        .collect();
    if distinct || !word.eq_ignore_ascii_case("distinct") {
        return text;
    }
    format!("({value}){}", text.get(value.len()..).unwrap_or(""))
}

fn column(column: &Column) -> String {
    match &column.alias {
        Some(alias) => format!("{} as {}", column.value, alias.text),
        None => column.value.to_string(),
    }
}

fn order_key(key: &OrderKey) -> String {
    match key.direction {
        Direction::Ascending => key.value.to_string(),
        Direction::Descending => format!("{} desc", key.value),
    }
}

fn limit(limit: &Limit) -> String {
    match &limit.offset {
        Some(offset) => format!("limit {} offset {offset}", limit.count),
        None => format!("limit {}", limit.count),
    }
}

/// `intersect` binds tighter than the others.
fn tightness(operator: SetOperator) -> u8 {
    match operator {
        SetOperator::Union | SetOperator::Except => 0,
        SetOperator::Intersect => 1,
    }
}

fn set_clauses(operation: &SetOperation) -> Vec<String> {
    let word = match operation.operator {
        SetOperator::Union => "union",
        SetOperator::Intersect => "intersect",
        SetOperator::Except => "except",
    };
    let tightness = tightness(operation.operator);
    let mut clauses = side(&operation.left, tightness);
    let mut right = side(&operation.right, tightness + 1).into_iter();
    clauses.push(format!("{word} {}", right.next().unwrap_or_default()));
    clauses.extend(right);
    clauses
}

/// One side of a set operation, in parentheses unless it binds at least so tightly.
fn side(rows: &Query, least: u8) -> Vec<String> {
    let binds = match &rows.body {
        QueryBody::Walk(_) => true,
        QueryBody::Set(inner) => tightness(inner.operator) >= least,
    };
    if binds && rows.order_by.is_empty() && rows.limit.is_none() {
        clauses(rows)
    } else {
        vec![format!("({})", query(rows))]
    }
}

/// A text that is not an expression.
pub(super) fn quoted(value: &crate::lang::ast::Quoted) -> String {
    text(value.text.as_bytes())
}
