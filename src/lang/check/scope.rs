//! What names mean where.

use std::cell::RefCell;
use std::rc::Rc;

use crate::lang::ast::Span;
use crate::lang::function::Aggregate;
use crate::lang::typed::{CheckedSource, Typed};
use crate::value::ValueType;

/// A source as names see it.
#[derive(Clone, Debug)]
pub(crate) struct ScopeSource {
    pub(crate) source: Rc<CheckedSource>,
    /// The object whose container is walked.
    pub(crate) owner: Option<Typed>,
    /// Columns, where the source is a query.
    pub(crate) cells: Vec<(String, ValueType)>,
    /// Nothing is known of it: it was refused, and any name could be one of its columns.
    pub(crate) is_unknown: bool,
}

/// Aggregates are being collected: where they go, and what the groups have in common.
#[derive(Debug)]
pub(crate) struct Groups {
    /// The aggregates found so far.
    pub(crate) aggregates: RefCell<Vec<(Aggregate, Option<Typed>)>>,
    /// The `group by` expressions' text and types; they are the locals of what is computed of a group.
    pub(crate) keys: Vec<(String, ValueType)>,
    /// Whether what is checked now is computed of a group (and not of a row).
    pub(crate) of_group: bool,
    /// Whether the `group by` expressions are known: no value can be said to be none of them otherwise.
    pub(crate) are_known: bool,
}

/// What names mean in one place; scopes of nested queries see those around them.
#[derive(Debug, Default)]
pub(crate) struct Scope<'a> {
    pub(crate) parent: Option<&'a Scope<'a>>,
    /// Outermost first.
    pub(crate) sources: Vec<ScopeSource>,
    /// Parameters, loop variables, aliases.
    pub(crate) names: Vec<(String, Typed)>,
    /// What `self` is, where it is not the innermost source's element.
    pub(crate) self_place: Option<Typed>,
    pub(crate) groups: Option<&'a Groups>,
}

impl<'a> Scope<'a> {
    /// An inner scope that sees this one.
    pub(crate) fn inner(&'a self) -> Self {
        Scope {
            parent: Some(self),
            ..Scope::default()
        }
    }

    /// This scope and those around it, innermost first.
    pub(crate) fn chain(&self) -> impl Iterator<Item = &Scope<'a>> {
        std::iter::successors(Some(self), |scope| scope.parent)
    }

    /// All sources in sight, innermost first.
    pub(crate) fn all_sources(&self) -> impl Iterator<Item = &ScopeSource> {
        self.chain().flat_map(|scope| scope.sources.iter().rev())
    }

    /// A parameter, loop variable or alias.
    pub(crate) fn name(&self, name: &str) -> Option<&Typed> {
        self.chain()
            .find_map(|scope| scope.names.iter().rev().find(|(known, _)| known == name))
            .map(|(_, typed)| typed)
    }

    /// A source by its alias or walk name.
    pub(crate) fn source(&self, name: &str) -> Option<&ScopeSource> {
        self.all_sources().find(|source| source.source.name == name)
    }
}

/// A typed node at a span.
pub(crate) fn typed(node: crate::lang::typed::Node, kind: ValueType, span: Span) -> Typed {
    Typed { node, kind, span }
}
