//! Which bytes of each source's elements a query uses: pruned to the members named, so that they can be read as soon as the
//! element's address is known.

use rustc_hash::FxHashMap;

use crate::lang::typed::{
    CheckedBody, CheckedQuery, CheckedSource, CheckedTraversal, FunctionBody, Node, SourceId,
    Typed, WalkBody,
};
use crate::walk::HlistKind;

/// A stretch of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// Bytes from the element's start.
    pub offset: i64,
    /// Bytes.
    pub length: u64,
}

/// The windows of each source.
#[derive(Clone, Debug, Default)]
pub struct Windows(FxHashMap<SourceId, Vec<Window>>);

/// A place that is a constant distance from an element.
#[derive(Clone, Copy)]
struct Base {
    source: SourceId,
    offset: i64,
}

impl Windows {
    /// The windows of a walk query's sources.
    pub fn of(body: &WalkBody) -> Self {
        let mut windows = Self::default();
        windows.collect_body(body);
        for spans in windows.0.values_mut() {
            merge(spans);
        }
        windows
    }

    /// The windows of one source, disjoint, in order.
    pub fn of_source(&self, source: SourceId) -> Vec<Window> {
        self.0.get(&source).cloned().unwrap_or_default()
    }

    fn collect_body(&mut self, body: &WalkBody) {
        for source in &body.sources {
            self.collect_source(source);
        }
        for expression in body.filters.iter().flatten().chain(&body.outputs) {
            self.collect(expression, &[]);
        }
        if let Some(grouping) = &body.grouping {
            let arguments = grouping
                .aggregates
                .iter()
                .filter_map(|(_, argument)| argument.as_ref());
            for expression in grouping.keys.iter().chain(arguments) {
                self.collect(expression, &[]);
            }
        }
    }

    fn collect_source(&mut self, source: &CheckedSource) {
        for expression in source.expressions() {
            // A place that is used as a container is read where it begins.
            if let Some(base) = resolve(expression, &[]) {
                self.add(base, 16);
            }
            self.collect(expression, &[]);
        }
        self.collect_links(source.id, &source.traversal);
    }

    /// What a traversal itself reads of the elements of `id`.
    fn collect_links(&mut self, id: SourceId, traversal: &CheckedTraversal) {
        let mut link = |offset: u64, length| {
            self.add(
                Base {
                    source: id,
                    offset: i64::try_from(offset).unwrap_or(i64::MAX),
                },
                length,
            );
        };
        match traversal {
            CheckedTraversal::List { link: offset, .. } => link(*offset, 16),
            CheckedTraversal::Tree {
                children,
                sibling,
                through,
                ..
            } => {
                link(*children, 16);
                link(*sibling, 16);
                if let Some(through) = through {
                    self.collect_through(id, through);
                }
            }
            CheckedTraversal::Hlist {
                link: offset,
                kind: HlistKind::LockLess,
                ..
            } => link(*offset, 8),
            CheckedTraversal::Hlist { link: offset, .. } => link(*offset, 16),
            CheckedTraversal::Rbtree { link: offset, .. } => link(*offset, 24),
            CheckedTraversal::Chain { next, .. } => link(*next, 8),
            CheckedTraversal::Rhashtable { link: offset, .. } => link(*offset, 8),
            CheckedTraversal::Through { outer, inner } => {
                self.collect_source(outer);
                self.collect_links(id, inner);
            }
            CheckedTraversal::Union(walks) => {
                for walk in walks {
                    self.collect_source(walk);
                }
            }
            CheckedTraversal::Query(query) => self.collect_query(query),
            _ => {}
        }
    }

    /// What the walk to those whose children count as an element's own reads of elements.
    fn collect_through(&mut self, source: SourceId, through: &CheckedSource) {
        let element = Some(Base { source, offset: 0 });
        for expression in through.expressions() {
            self.collect(expression, &[element]);
        }
        if let CheckedTraversal::List { link, .. } = &through.traversal {
            let offset = i64::try_from(*link).unwrap_or(i64::MAX);
            self.add(Base { source, offset }, 16);
        }
    }

    fn collect_query(&mut self, query: &CheckedQuery) {
        match &query.body {
            CheckedBody::Walk(body) => self.collect_body(body),
            CheckedBody::Set { left, right, .. } => {
                self.collect_query(left);
                self.collect_query(right);
            }
        }
    }

    fn add(&mut self, base: Base, length: u64) {
        self.0.entry(base.source).or_default().push(Window {
            offset: base.offset,
            length,
        });
    }

    /// Notes what an expression reads at constant distances from elements; `locals` are the bases that a function's parameters stand
    /// for.
    fn collect(&mut self, typed: &Typed, locals: &[Option<Base>]) {
        match &typed.node {
            Node::Load { place, size, .. } => {
                if let Some(base) = resolve(place, locals) {
                    self.add(base, *size);
                }
            }
            Node::Text { place, longest } => {
                if let Some(base) = resolve(place, locals) {
                    self.add(base, (*longest).min(256));
                }
            }
            Node::Apply(function, arguments) => {
                let bases: Vec<_> = arguments
                    .iter()
                    .map(|argument| resolve(argument, locals))
                    .collect();
                if let FunctionBody::Expression(body) = &function.body {
                    self.collect(body, &bases);
                }
            }
            _ => {}
        }
        for child in typed.children() {
            self.collect(child, locals);
        }
        for query in typed.queries() {
            self.collect_query(query);
        }
    }
}

fn resolve(typed: &Typed, locals: &[Option<Base>]) -> Option<Base> {
    match &typed.node {
        Node::Element(source) => Some(Base {
            source: *source,
            offset: 0,
        }),
        Node::Local(number) => locals.get(*number).copied().flatten(),
        Node::At { base, offset, .. } => {
            let base = resolve(base, locals)?;
            Some(Base {
                offset: base.offset.checked_add(*offset)?,
                ..base
            })
        }
        _ => None,
    }
}

/// Sorts spans and unites those that touch or overlap.
fn merge(spans: &mut Vec<Window>) {
    spans.sort_unstable();
    let mut merged: Vec<Window> = Vec::new();
    for span in spans.drain(..) {
        let end = |window: &Window| window.offset.saturating_add_unsigned(window.length);
        match merged.last_mut() {
            Some(last) if span.offset <= end(last) => {
                let united = end(last).max(end(&span));
                last.length = u64::try_from(united.saturating_sub(last.offset)).unwrap_or(0);
            }
            _ => merged.push(span),
        }
    }
    *spans = merged;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn touching_spans_are_one() {
        let window = |offset, length| Window { offset, length };
        let mut spans = vec![window(40, 8), window(8, 16), window(24, 4), window(44, 16)];
        merge(&mut spans);
        assert_eq!(spans, vec![window(8, 20), window(40, 20)]);
    }
}
