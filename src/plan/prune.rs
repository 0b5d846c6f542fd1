//! The first pass: which bytes of each source's elements a query uses, pruned to the members that it names, so that they can be read
//! as soon as the element's address is known.

use rustc_hash::FxHashMap;

use crate::lang::typed::{
    CheckedBody, CheckedQuery, CheckedSource, CheckedTraversal, FunctionBody, Node, SourceId,
    Typed, WalkBody,
};
use crate::walk::HlistKind;

use super::coalesce::Window;

/// The stretches of each source's elements that are used, in no order, overlapping as they may.
#[derive(Clone, Debug, Default)]
pub(super) struct Used(pub(super) FxHashMap<SourceId, Vec<Window>>);

/// A place that is a constant distance from an element.
#[derive(Clone, Copy)]
struct Base {
    source: SourceId,
    offset: i64,
}

impl Used {
    /// What a walk query uses of its sources' elements.
    pub(super) fn of(body: &WalkBody) -> Self {
        let mut used = Self::default();
        used.collect_body(body);
        used
    }

    /// What a walk itself uses of its elements, and of those of walks that it goes through.
    pub(super) fn of_source(source: &CheckedSource) -> Self {
        let mut used = Self::default();
        used.collect_source(source);
        used
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
            CheckedTraversal::Branches { child, sibling, .. } => {
                link(*child, 8);
                link(*sibling, 8);
            }
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
