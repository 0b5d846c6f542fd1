//! What stands in for what is not known: a source whose walk was refused, a parameter of a definition that has no type.
//!
//! A value that is not known is no mistake: whatever is made of it is not known either, and no report is made of it. So the other
//! mistakes of a statement are told beside the one about an unknown walk, and none of them is a consequence of it.

use std::rc::Rc;

use crate::lang::ast::{Expression, ExpressionKind, Source, SourceKind, Span, TraversalArgument};
use crate::lang::typed::{CheckedSource, CheckedTraversal, Node, Typed};
use crate::profile::Type;
use crate::report::nearest;
use crate::value::ValueType;

use super::Checker;
use super::scope::{Scope, ScopeSource, typed};

/// No local of a checked tree has this number.
const UNKNOWN: usize = usize::MAX;

/// A value that nothing is known of.
pub(super) fn unknown(span: Span) -> Typed {
    typed(Node::Local(UNKNOWN), ValueType::Any, span)
}

impl Typed {
    /// Whether nothing is known of this value.
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self.node, Node::Local(UNKNOWN))
    }
}

impl Checker<'_> {
    /// What stands for a source that was refused: with its element's type where that is known all the same, so that columns and
    /// members can be checked.
    pub(super) fn stand_in(&mut self, source: &Source) -> ScopeSource {
        let before = self.errors.len();
        let (walk, element, owner) = self.what_is_walked(source).unwrap_or_default();
        self.errors.truncate(before);
        let name = match (&source.alias, &source.kind) {
            (Some(alias), _) => alias.text.clone(),
            (None, SourceKind::Walk(name) | SourceKind::Traversal { name, .. }) => {
                name.text.clone()
            }
            (None, SourceKind::Query(_)) => "query".to_owned(),
        };
        let checked = CheckedSource {
            name,
            walk,
            id: self.new_source(),
            element: element.clone().unwrap_or(Type::Void),
            traversal: CheckedTraversal::List {
                head: unknown(source.span),
                link: 0,
                first: None,
            },
            filter: None,
            last: None,
            predictors: Vec::new(),
            optional: source.optional,
        };
        let owner = owner.map(|ty| typed(Node::Local(UNKNOWN), ValueType::Kernel(ty), source.span));
        ScopeSource {
            source: Rc::new(checked),
            owner,
            cells: Vec::new(),
            // Rows have columns that their walk alone knows.
            is_unknown: matches!(element, None | Some(Type::Void)),
        }
    }

    /// The walk's name, its elements' type and its owner's, as far as they can be told without its root.
    fn what_is_walked(&mut self, source: &Source) -> Option<(String, Option<Type>, Option<Type>)> {
        match &source.kind {
            SourceKind::Query(_) => None,
            SourceKind::Walk(name) if self.definitions.walks.contains_key(&name.text) => None,
            SourceKind::Walk(name) => {
                let walk = self.catalog.library.walks.get(&name.text)?;
                let element = self.library_type(self.catalog.element_of(walk), name.span)?;
                let owner = match &walk.of {
                    Some(of) => Some(self.library_type(of, name.span)?),
                    None => None,
                };
                Some((name.text.clone(), Some(element), owner))
            }
            SourceKind::Traversal { name, .. }
                if self.definitions.walks.contains_key(&name.text) =>
            {
                None
            }
            SourceKind::Traversal { name, arguments } => {
                let element = match arguments.first()? {
                    TraversalArgument::Type(ty) => self.type_named(ty)?,
                    TraversalArgument::Member { container, .. } => self.type_named(container)?,
                    TraversalArgument::Expression(_) => return None,
                };
                Some((name.text.clone(), Some(element), None))
            }
        }
    }

    /// Where `object` of `object.member` is what a source is not called here: says what it is called, instead of what was said since
    /// there were `before` reports.
    pub(super) fn suggest_alias(&mut self, before: usize, object: &Expression, scope: &Scope<'_>) {
        let ExpressionKind::Name(name) = &object.kind else {
            return;
        };
        if self.errors.len() == before {
            return;
        }
        let meant = scope.all_sources().map(|source| &source.source);
        let meant = meant
            .filter(|source| source.name != source.walk)
            .find(|source| *name == source.walk || nearest(name, [source.walk.as_str()]).is_some())
            .map(|source| (source.name.clone(), source.walk.clone()));
        let Some((alias, walk)) = meant else {
            return;
        };
        self.errors.truncate(before);
        let message = if *name == walk {
            format!("`{walk}` is called `{alias}` here")
        } else {
            format!("nothing is called `{name}`")
        };
        self.error(object.span, message, format!("did you mean `{alias}`?"));
    }
}
