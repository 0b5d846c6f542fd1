//! Walks made of walks: one that goes through the elements of another, one that is several in turn, and the condition that says what
//! of a container is an element.

use std::rc::Rc;
use std::sync::Arc;

use crate::lang::ast::{Expression, ExpressionKind, Name, Source, SourceKind, Span};
use crate::lang::typed::{CheckedSource, CheckedTraversal, Node, Property, SourceId, Typed};
use crate::profile::{Traversal, Type, WalkVariant};
use crate::report::{SourceText, nearest};
use crate::value::{Value, ValueType};
use crate::walk::Entries;

use super::Checker;
use super::name::property_of;
use super::query::element_of;
use super::scope::{Scope, ScopeSource, typed};

/// What the walks inside a walk of the library are checked for.
pub(super) struct Whole<'a> {
    /// What its elements, and those of the walks inside it, are called.
    pub(super) id: SourceId,
    /// The type of its elements.
    pub(super) element: &'a Type,
    /// The object whose container is walked.
    pub(super) owner: Option<&'a Typed>,
    /// File and definition, for messages.
    pub(super) place: &'a str,
    /// Where the query names it.
    pub(super) span: Span,
}

impl Checker<'_> {
    /// How a walk of the library goes on from `base`: from there, or through another walk, or as one after the other.
    pub(super) fn whole_traversal(
        &mut self,
        variant: &WalkVariant,
        base: Option<Typed>,
        whole: &Whole<'_>,
    ) -> Option<CheckedTraversal> {
        if let Traversal::Union(walks) = &variant.traversal {
            return self.union_of(walks, whole);
        }
        let Some(through) = &variant.through else {
            let scope = Scope {
                self_place: base,
                ..Scope::default()
            };
            return self.library_traversal(&variant.traversal, &scope, whole);
        };
        let place = format!("{}.through", whole.place);
        let outer = self.hidden_walk(&place, through, None, whole.owner)?;
        let scope = Scope {
            names: names_of_element(outer.source.id, whole.owner, whole.span),
            self_place: Some(element_of(&outer, whole.span)),
            sources: vec![outer_source(&outer.source, whole.owner)],
            ..Scope::default()
        };
        let inner = self.library_traversal(&variant.traversal, &scope, whole)?;
        Some(CheckedTraversal::Through {
            outer: outer.source,
            inner: Rc::new(inner),
        })
    }

    fn union_of(&mut self, walks: &[String], whole: &Whole<'_>) -> Option<CheckedTraversal> {
        let mut checked = Vec::new();
        for walk in walks {
            let place = format!("{}.union", whole.place);
            let part = self.hidden_walk(&place, walk, Some(whole.id), whole.owner)?;
            let (given, wanted) = (&part.source.element, whole.element);
            if given != wanted {
                let message =
                    format!("`{walk}` is a walk of `{given}`, and the whole of `{wanted}`");
                return self.told_of(&place, walk, |this, span| {
                    this.error(span, message, "");
                    None
                });
            }
            checked.push(part.source);
        }
        Some(CheckedTraversal::Union(checked))
    }

    /// A walk that a definition at `place` names and no query: of the whole's owner, where it is of something.
    fn hidden_walk(
        &mut self,
        place: &str,
        name: &str,
        id: Option<SourceId>,
        owner: Option<&Typed>,
    ) -> Option<ScopeSource> {
        self.told_of(place, name, |this, span| {
            let Some(walk) = this.catalog.library.walks.get(name) else {
                let known = this.catalog.library.walks.keys().map(String::as_str);
                let label = nearest(name, known).map(|near| format!("did you mean `{near}`?"));
                let message = format!("there is no walk `{name}`");
                this.error(span, message, label.unwrap_or_default());
                return None;
            };
            if let (Some(of), None) = (&walk.of, owner) {
                let message =
                    format!("`{name}` is a walk of a `{of}`, and this one belongs to nobody");
                this.error(span, message, format!("it needs `of: {of}` too"));
                return None;
            }
            let named = |text: &str| Name {
                text: text.to_owned(),
                span,
            };
            let source = Source {
                kind: SourceKind::Walk(named(name)),
                owner: walk.of.as_ref().map(|_| Expression {
                    kind: ExpressionKind::Name("owner".to_owned()),
                    span,
                }),
                root: None,
                alias: Some(named("outer")),
                optional: false,
                span,
            };
            let scope = Scope {
                names: owner
                    .map(|owner| ("owner".to_owned(), owner.clone()))
                    .into_iter()
                    .collect(),
                ..Scope::default()
            };
            let id = id.unwrap_or_else(|| this.new_source());
            let found = this.library_walk(id, &named(name), walk, &source, &scope)?;
            if found.cells.is_empty() {
                return Some(found);
            }
            let message = format!("`{name}` has rows and no elements");
            this.error(span, message, "it cannot be part of another walk");
            None
        })
    }

    /// Checks what the library says at `place` in the words of `text`, all of which the span is.
    pub(super) fn told_of<T>(
        &mut self,
        place: &str,
        text: &str,
        check: impl FnOnce(&mut Self, Span) -> Option<T>,
    ) -> Option<T> {
        let source = Arc::new(SourceText {
            name: place.to_owned(),
            text: text.to_owned(),
        });
        let span = Span {
            start: 0,
            end: text.len(),
        };
        self.nested(&source, span, true, |this| check(this, span))
    }

    /// The condition that an element must meet.
    pub(super) fn element_condition(
        &mut self,
        variant: &WalkVariant,
        traversal: &CheckedTraversal,
        whole: &Whole<'_>,
    ) -> Option<Option<Rc<Typed>>> {
        let Some(text) = &variant.filter else {
            return Some(None);
        };
        let scope = element_scope(whole.id, whole.element, traversal, whole.owner, whole.span);
        let place = format!("{}.where", whole.place);
        let condition = self.library_expression(&place, text, &scope)?;
        Some(Some(Rc::new(condition)))
    }

    /// What a pointer points to, as an element.
    pub(super) fn follow(&mut self, pointer: Typed, element: &Type) -> Option<CheckedTraversal> {
        let target = match &pointer.kind {
            ValueType::Kernel(ty) => match self.strip(pointer.span, ty)? {
                Type::Pointer(target) => Some(self.strip(pointer.span, &target)?),
                _ => None,
            },
            _ => None,
        };
        if target.is_some_and(|target| target == *element) {
            return Some(CheckedTraversal::Follow(pointer));
        }
        let message = format!(
            "a pointer to a `{element}` is wanted here, and this is `{}`",
            pointer.kind
        );
        self.error(pointer.span, message, "");
        None
    }

    /// The bits of a mask, and the type of its words.
    pub(super) fn bits(
        &mut self,
        mask: Typed,
        count: Option<Typed>,
        span: Span,
    ) -> Option<(CheckedTraversal, Type)> {
        let is_counted = count.is_some();
        let (place, kind) = (mask.span, mask.kind.clone());
        let (array, element) = self.array(mask, count, span)?;
        let (
            CheckedTraversal::Array {
                base,
                count,
                entries: Entries::Embedded(word),
            },
            Type::Base(_),
        ) = (array, &element)
        else {
            let message = format!("a mask is an array of numbers, and this is `{kind}`");
            self.error(
                place,
                message,
                "for example `bits(__cpu_possible_mask.bits)`",
            );
            return None;
        };
        let count = match (is_counted, count.node) {
            (false, Node::Constant(Value::Integer(words))) => {
                let bits = words.saturating_mul(i128::from(word)).saturating_mul(8);
                let node = Node::Constant(Value::Integer(bits));
                typed(node, ValueType::Integer, span)
            }
            (_, node) => Typed { node, ..count },
        };
        Some((
            CheckedTraversal::Bits {
                mask: base,
                count,
                word,
            },
            element,
        ))
    }
}

/// What the expressions about a walk's elements see: the element as `self`, its properties, the walk's `owner` and, where it goes
/// through another walk, the `outer` element.
pub(super) fn element_scope(
    id: SourceId,
    element: &Type,
    traversal: &CheckedTraversal,
    owner: Option<&Typed>,
    span: Span,
) -> Scope<'static> {
    let outer = match traversal {
        CheckedTraversal::Through { outer, .. } => Some(outer_source(outer, owner)),
        _ => None,
    };
    let node = Node::Element(id);
    Scope {
        self_place: Some(typed(node, ValueType::Kernel(element.clone()), span)),
        names: names_of_element(id, owner, span),
        sources: outer.into_iter().collect(),
        ..Scope::default()
    }
}

fn outer_source(outer: &Rc<CheckedSource>, owner: Option<&Typed>) -> ScopeSource {
    ScopeSource {
        source: Rc::clone(outer),
        owner: owner.cloned(),
        cells: Vec::new(),
        is_unknown: false,
    }
}

fn names_of_element(id: SourceId, owner: Option<&Typed>, span: Span) -> Vec<(String, Typed)> {
    let properties = [
        ("index", Property::Index),
        ("depth", Property::Depth),
        ("address", Property::Address),
    ];
    let properties =
        properties.map(|(name, property)| (name.to_owned(), property_of(id, property, span)));
    let owner = owner.map(|owner| ("owner".to_owned(), owner.clone()));
    properties.into_iter().chain(owner).collect()
}
