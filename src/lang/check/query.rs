//! Queries: sources, filters, columns, groups, order, limits.

use std::cell::RefCell;
use std::rc::Rc;

use rustc_hash::FxHashSet;

use crate::lang::ast::{
    Column, Columns, Direction, Expression, ExpressionKind, LogicalOperator, Query, QueryBody,
    Span, WalkQuery,
};
use crate::lang::typed::{CheckedBody, CheckedQuery, Grouping, Node, SourceId, Typed, WalkBody};
use crate::profile::Type;
use crate::value::{Value, ValueType};

use super::Checker;
use super::scope::{Groups, Scope, ScopeSource, typed};

impl Checker<'_> {
    /// A query; `outer` is what it sees of the query around it.
    pub(super) fn query(
        &mut self,
        query: &Query,
        outer: Option<&Scope<'_>>,
    ) -> Option<CheckedQuery> {
        let (limit, offset) = match &query.limit {
            Some(limit) => {
                let count = self.row_count(&limit.count);
                let offset = limit
                    .offset
                    .as_ref()
                    .map_or(Some(0), |offset| self.row_count(offset));
                (count.map(Some), offset)
            }
            None => (Some(None), Some(0)),
        };
        match &query.body {
            QueryBody::Walk(walk) => {
                let walked = self.walk_query(walk, query, outer);
                let ((body, columns, order), limit, offset) = (walked?, limit?, offset?);
                Some(CheckedQuery {
                    body: CheckedBody::Walk(Box::new(body)),
                    order,
                    limit,
                    offset,
                    columns,
                })
            }
            QueryBody::Set(operation) => {
                let checked = self.set_operation(operation, query, outer)?;
                Some(CheckedQuery {
                    limit: limit?,
                    offset: offset?,
                    ..checked
                })
            }
        }
    }

    fn row_count(&mut self, expression: &Expression) -> Option<u64> {
        let value = self.value(expression, &Scope::default())?;
        match &value.node {
            Node::Constant(Value::Integer(count)) => u64::try_from(*count).ok(),
            _ => None,
        }
        .or_else(|| {
            self.error(expression.span, "a number of rows is wanted here", "");
            None
        })
    }

    #[allow(clippy::type_complexity, reason = "used once")]
    fn walk_query(
        &mut self,
        walk: &WalkQuery,
        query: &Query,
        outer: Option<&Scope<'_>>,
    ) -> Option<(WalkBody, Vec<(String, ValueType)>, Vec<(usize, Direction)>)> {
        let mut scope = match outer {
            Some(outer) => outer.inner(),
            None => Scope::default(),
        };
        let first = self.next_source;
        let mut sources_are_right = Some(());
        for source in &walk.sources {
            let (checked, is_right) = self.source(source, &scope);
            let is_new = self.check_name_is_new(&checked, source.span, &scope);
            sources_are_right = sources_are_right.and(is_right).and(is_new);
            scope.sources.push(checked);
        }
        let filters = self.filters(walk, &scope, first);
        let known_keys = self.group_keys(walk, &scope);
        let are_known = known_keys.is_some();
        let keys = known_keys.unwrap_or_default();
        let grouped = !walk.group_by.is_empty() || self.has_aggregates(walk, query);
        let groups = Groups {
            aggregates: RefCell::default(),
            keys: keys
                .iter()
                .map(|key| (self.text_of(key.span), key.kind.clone()))
                .collect(),
            of_group: true,
            are_known,
        };
        let mut scope = Scope {
            groups: grouped.then_some(&groups),
            ..scope
        };
        let outputs = self.outputs(walk, &scope);
        // Mistakes in `where` and in `select` are told together.
        let (mut outputs, columns) = outputs?;
        for (output, (name, _)) in outputs.iter().zip(&columns) {
            scope.names.push((name.clone(), output.clone()));
        }
        let having = walk
            .having
            .as_ref()
            .map(|having| self.value(having, &scope));
        let order = self.order(query, &columns, &mut outputs, &scope);
        sources_are_right?;
        let (filters, order) = (filters?, order?);
        let having = match having {
            Some(having) => Some(having?),
            None => None,
        };
        if !are_known {
            return None;
        }
        let grouping = grouped.then(|| Grouping {
            keys,
            aggregates: groups.aggregates.take(),
            having,
        });
        let sources = scope
            .sources
            .iter()
            .map(|source| Rc::clone(&source.source))
            .collect();
        let body = WalkBody {
            sources,
            filters,
            outputs,
            distinct: walk.selection.distinct,
            grouping,
        };
        if outer.is_none() {
            let spans: Vec<_> = walk.sources.iter().map(|source| source.span).collect();
            self.doubt_sources(&body, &spans);
        }
        Some((body, columns, order))
    }

    fn check_name_is_new(
        &mut self,
        source: &ScopeSource,
        span: Span,
        scope: &Scope<'_>,
    ) -> Option<()> {
        let name = &source.source.name;
        if scope.sources.iter().any(|known| known.source.name == *name) {
            self.error_with_hint(
                span,
                format!("two sources are called `{name}`"),
                "the second one",
                format!("give it another name: `{name} as other`"),
            );
            return None;
        }
        Some(())
    }

    /// The conditions of `where`, each with the first source at which everything it names is known.
    fn filters(
        &mut self,
        walk: &WalkQuery,
        scope: &Scope<'_>,
        first: usize,
    ) -> Option<Vec<Vec<Typed>>> {
        let mut filters = vec![Vec::new(); scope.sources.len()];
        let conditions: Vec<&Expression> = match &walk.filter {
            None => Vec::new(),
            Some(Expression {
                kind:
                    ExpressionKind::Logical {
                        operator: LogicalOperator::And,
                        operands,
                    },
                ..
            }) => operands.iter().collect(),
            Some(condition) => vec![condition],
        };
        let mut complete = true;
        for condition in conditions {
            let Some(checked) = self.value(condition, scope) else {
                complete = false;
                continue;
            };
            let mut named = FxHashSet::default();
            named_sources(&checked, &mut named);
            let position = |id: &SourceId| {
                scope
                    .sources
                    .iter()
                    .position(|source| source.source.binds(*id))
            };
            let last = named
                .iter()
                .filter(|id| id.0 >= first)
                .filter_map(position)
                .max();
            // A condition under an `optional` source is judged with it; one without any source at the first.
            filters[last.unwrap_or(0)].push(checked);
        }
        complete.then_some(filters)
    }

    fn group_keys(&mut self, walk: &WalkQuery, scope: &Scope<'_>) -> Option<Vec<Typed>> {
        let mut keys = Vec::new();
        for key in &walk.group_by {
            // A key may be an alias of the select list.
            let aliased = match (&key.kind, &walk.selection.columns) {
                (ExpressionKind::Name(name), Columns::Listed(columns)) => columns
                    .iter()
                    .find(|column| {
                        column
                            .alias
                            .as_ref()
                            .is_some_and(|alias| alias.text == *name)
                    })
                    .map(|column| &column.value),
                _ => None,
            };
            keys.push(self.value(aliased.unwrap_or(key), scope));
        }
        keys.into_iter().collect()
    }

    fn has_aggregates(&self, walk: &WalkQuery, query: &Query) -> bool {
        let columns = match &walk.selection.columns {
            Columns::All => &[][..],
            Columns::Listed(columns) => columns.as_slice(),
        };
        columns.iter().any(|column| is_aggregate(&column.value))
            || walk.having.is_some()
            || query.order_by.iter().any(|key| is_aggregate(&key.value))
    }

    #[allow(clippy::type_complexity, reason = "used once")]
    fn outputs(
        &mut self,
        walk: &WalkQuery,
        scope: &Scope<'_>,
    ) -> Option<(Vec<Typed>, Vec<(String, ValueType)>)> {
        let mut outputs = Vec::new();
        let mut names = Vec::new();
        match &walk.selection.columns {
            Columns::All => {
                for source in &scope.sources {
                    for (name, value) in self.all_columns(source, walk.selection.span, scope)? {
                        names.push(name);
                        outputs.push(value);
                    }
                }
            }
            Columns::Listed(columns) => {
                let checked: Vec<_> = columns
                    .iter()
                    .map(|column| self.value(&column.value, scope))
                    .collect();
                for (column, value) in columns.iter().zip(checked) {
                    names.push(self.column_name(column));
                    outputs.push(value?);
                }
            }
        }
        let schema = crate::row::Schema::new(
            names
                .into_iter()
                .zip(outputs.iter().map(|output| output.kind.clone())),
        );
        let columns = schema
            .columns
            .into_iter()
            .map(|column| (column.name, column.kind))
            .collect();
        Some((outputs, columns))
    }

    /// What `select *` gives of a source: the columns that its walk declares for it, or else its element's members that have values.
    fn all_columns(
        &mut self,
        source: &ScopeSource,
        span: Span,
        scope: &Scope<'_>,
    ) -> Option<Vec<(String, Typed)>> {
        let mut names: Vec<String> = source.cells.iter().map(|(name, _)| name.clone()).collect();
        if let Some(walk) = self.catalog.library.walks.get(&source.source.walk) {
            names.extend(walk.select.iter().cloned());
            if walk.select.is_empty() {
                names.extend(walk.columns.keys().cloned());
            }
        }
        let mut columns = Vec::new();
        for name in names {
            let node = crate::lang::ast::Name {
                text: name.clone(),
                span,
            };
            let column = match self.column_of_source(source, &node, scope)? {
                Some(column) => column,
                None => {
                    let element = self.element(source, span, scope)?;
                    self.member(element, &node, true, span)?
                }
            };
            columns.push((name, self.read(column)?));
        }
        if columns.is_empty() && source.source.element != Type::Void {
            columns = self.scalar_members(source, span, scope)?;
        }
        Some(columns)
    }

    fn scalar_members(
        &mut self,
        source: &ScopeSource,
        span: Span,
        scope: &Scope<'_>,
    ) -> Option<Vec<(String, Typed)>> {
        let element = self.element(source, span, scope)?;
        let address = super::name::property_of(
            source.source.id,
            crate::lang::typed::Property::Address,
            span,
        );
        let mut columns = vec![("address".to_owned(), address)];
        let Ok((place, aggregate)) = self.as_struct(element)? else {
            return Some(columns);
        };
        for member in &aggregate.members {
            let value = super::member::at_member(place.clone(), member, span);
            let value = self.read(value)?;
            if !value.is_place() {
                columns.push((member.name.to_string(), value));
            }
        }
        Some(columns)
    }

    /// A column's name: its alias, else the last member of its path, else its text.
    fn column_name(&self, column: &Column) -> String {
        if let Some(alias) = &column.alias {
            return alias.text.clone();
        }
        match &column.value.kind {
            ExpressionKind::Name(name) | ExpressionKind::Symbol(name) => name.clone(),
            ExpressionKind::Member { member, .. } => member.text.clone(),
            _ => self.text_of(column.value.span),
        }
    }

    fn order(
        &mut self,
        query: &Query,
        columns: &[(String, ValueType)],
        outputs: &mut Vec<Typed>,
        scope: &Scope<'_>,
    ) -> Option<Vec<(usize, Direction)>> {
        let mut order = Vec::new();
        for key in &query.order_by {
            let named = match &key.value.kind {
                ExpressionKind::Name(name) => columns.iter().position(|(column, _)| column == name),
                _ => None,
            };
            let number = match named {
                Some(number) => number,
                None => {
                    outputs.push(self.value(&key.value, scope)?);
                    outputs.len() - 1
                }
            };
            order.push((number, key.direction));
        }
        Some(order)
    }
}

/// The sources that an expression names, nested queries included.
pub(super) fn named_sources(expression: &Typed, named: &mut FxHashSet<SourceId>) {
    match &expression.node {
        Node::Element(id) | Node::Property(id, _) | Node::Cell(id, _) => {
            named.insert(*id);
        }
        _ => {}
    }
    for child in expression.children() {
        named_sources(child, named);
    }
    for query in expression.queries() {
        sources_of_query(query, named);
    }
}

fn sources_of_query(query: &CheckedQuery, named: &mut FxHashSet<SourceId>) {
    match &query.body {
        CheckedBody::Set { left, right, .. } => {
            sources_of_query(left, named);
            sources_of_query(right, named);
        }
        CheckedBody::Walk(walk) => {
            for source in &walk.sources {
                for expression in source.expressions() {
                    named_sources(expression, named);
                }
            }
            for expression in walk.filters.iter().flatten().chain(&walk.outputs) {
                named_sources(expression, named);
            }
        }
    }
}

/// Whether an expression is, or contains, an aggregate of the query it stands in.
fn is_aggregate(expression: &Expression) -> bool {
    match &expression.kind {
        ExpressionKind::CountRows => true,
        ExpressionKind::Call {
            function,
            arguments,
        } => {
            let of_query = matches!(
                arguments.as_slice(),
                [Expression {
                    kind: ExpressionKind::Query(_),
                    ..
                }]
            );
            (crate::lang::function::find_aggregate(&function.text).is_some() && !of_query)
                || arguments.iter().any(is_aggregate)
        }
        ExpressionKind::Unary { operand, .. }
        | ExpressionKind::Cast { operand, .. }
        | ExpressionKind::IsNull(operand) => is_aggregate(operand),
        ExpressionKind::Member { object, .. } => is_aggregate(object),
        ExpressionKind::Index { object, index } => is_aggregate(object) || is_aggregate(index),
        ExpressionKind::Binary { left, right, .. } => is_aggregate(left) || is_aggregate(right),
        ExpressionKind::Logical { operands, .. } => operands.iter().any(is_aggregate),
        ExpressionKind::Conditional {
            condition,
            then,
            otherwise,
        } => is_aggregate(condition) || is_aggregate(then) || is_aggregate(otherwise),
        ExpressionKind::Between { value, low, high } => {
            is_aggregate(value) || is_aggregate(low) || is_aggregate(high)
        }
        ExpressionKind::In { value, .. } => is_aggregate(value),
        _ => false,
    }
}

/// A query as a source: its columns are its cells.
pub(super) fn query_source(
    name: String,
    id: SourceId,
    query: CheckedQuery,
    optional: bool,
) -> ScopeSource {
    let cells = query.columns.clone();
    let source = crate::lang::typed::CheckedSource {
        walk: name.clone(),
        name,
        id,
        element: Type::Void,
        traversal: crate::lang::typed::CheckedTraversal::Query(Rc::new(query)),
        last: None,
        filter: None,
        predictors: Vec::new(),
        optional,
    };
    ScopeSource {
        source: Rc::new(source),
        owner: None,
        cells,
        is_unknown: false,
    }
}

/// A scope's name for what a span stands for.
pub(super) fn element_of(source: &ScopeSource, span: Span) -> Typed {
    typed(
        Node::Element(source.source.id),
        ValueType::Kernel(source.source.element.clone()),
        span,
    )
}
