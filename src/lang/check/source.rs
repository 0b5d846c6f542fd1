//! Sources: which walk, whose container, from which root, called what.

use std::rc::Rc;
use std::sync::Arc;

use crate::lang::ast::{DefineWalk, Expression, Name, Source, SourceKind, Span, TraversalArgument};
use crate::lang::typed::{CheckedSource, Node, Predictor, SourceId, Typed};
use crate::profile::{Traversal, Type, Walk, WalkVariant};
use crate::report::{Report, SourceText, nearest};
use crate::value::ValueType;

use super::Checker;
use super::ad_hoc::traversals;
use super::composed::Whole;
use super::function::given_count;
use super::query::{element_of, query_source};
use super::scope::{Scope, ScopeSource, typed};

impl Checker<'_> {
    /// One source of a query; what stands for it where it is refused, since the rest of the query can be checked all the same.
    pub(super) fn source(
        &mut self,
        source: &Source,
        scope: &Scope<'_>,
    ) -> (ScopeSource, Option<()>) {
        match self.right_source(source, scope) {
            Some(right) => (right, Some(())),
            None => (self.stand_in(source), None),
        }
    }

    /// One source of a query; `None` where it is refused.
    pub(super) fn right_source(
        &mut self,
        source: &Source,
        scope: &Scope<'_>,
    ) -> Option<ScopeSource> {
        let alias = source.alias.as_ref().map(|alias| alias.text.clone());
        match &source.kind {
            SourceKind::Query(query) => {
                let checked = self.query(query, Some(scope))?;
                let id = self.new_source();
                Some(query_source(
                    alias.unwrap_or_else(|| "query".to_owned()),
                    id,
                    checked,
                    source.optional,
                ))
            }
            SourceKind::Walk(name) => {
                if let Some((text, definition)) = self.definitions.walks.get(&name.text).cloned() {
                    return self.defined_walk(&text, &definition, &[], source, scope);
                }
                self.library_source(name, source, scope)
            }
            SourceKind::Traversal { name, arguments } => {
                if let Some((text, definition)) = self.definitions.walks.get(&name.text).cloned() {
                    return self.defined_walk(&text, &definition, arguments, source, scope);
                }
                self.ad_hoc_source(name, arguments, source, scope)
            }
        }
    }

    pub(super) fn new_source(&mut self) -> SourceId {
        let id = SourceId(self.next_source);
        self.next_source += 1;
        id
    }

    /// A walk that the user defined.
    fn defined_walk(
        &mut self,
        text: &Arc<SourceText>,
        definition: &DefineWalk,
        arguments: &[TraversalArgument],
        source: &Source,
        scope: &Scope<'_>,
    ) -> Option<ScopeSource> {
        if definition.parameters.len() != arguments.len() {
            let (wanted, given) = (definition.parameters.len(), arguments.len());
            let message = format!(
                "`{}` takes {wanted} {}, and {}",
                definition.name.text,
                if wanted == 1 { "argument" } else { "arguments" },
                given_count(given)
            );
            self.error(source.span, message, "");
            return None;
        }
        let mut inner = Scope::default();
        let mut complete = true;
        for (parameter, argument) in definition.parameters.iter().zip(arguments) {
            let TraversalArgument::Expression(argument) = argument else {
                self.error(source.span, "a walk takes values, and this is a type", "");
                return None;
            };
            match self.expression(argument, scope) {
                Some(value) => inner.names.push((parameter.text.clone(), value)),
                None => complete = false,
            }
        }
        if !complete {
            return None;
        }
        let checked = self.nested(text, source.span, false, |this| {
            this.query(&definition.query, Some(&inner))
        })?;
        let id = self.new_source();
        let name = source
            .alias
            .as_ref()
            .map_or(&definition.name.text, |alias| &alias.text);
        Some(query_source(name.clone(), id, checked, source.optional))
    }

    /// A walk of the library.
    fn library_source(
        &mut self,
        name: &Name,
        source: &Source,
        scope: &Scope<'_>,
    ) -> Option<ScopeSource> {
        let Some(walk) = self.catalog.library.walks.get(&name.text) else {
            let walks = self
                .catalog
                .library
                .walks
                .keys()
                .chain(self.definitions.walks.keys());
            let near = nearest(&name.text, walks.map(String::as_str));
            let label = near
                .map(|near| format!("did you mean `{near}`?"))
                .unwrap_or_default();
            let message = format!("there is no walk `{}`", name.text);
            match traversals().iter().find(|(known, _)| *known == name.text) {
                Some((known, example)) => {
                    let label = format!("`{known}` is a traversal, and needs arguments");
                    let hint = format!("for example `walk {example}`");
                    self.error_with_hint(name.span, message, label, hint);
                }
                None => self.error_with_hint(name.span, message, label, "`show walks` lists them"),
            }
            return None;
        };
        let id = self.new_source();
        self.library_walk(id, name, walk, source, scope)
    }

    /// A walk of the library whose elements are called `id`.
    pub(super) fn library_walk(
        &mut self,
        id: SourceId,
        name: &Name,
        walk: &Walk,
        source: &Source,
        scope: &Scope<'_>,
    ) -> Option<ScopeSource> {
        let variant = self.walk_variant(&name.text, walk, name.span)?;
        if let Traversal::Text(rows) = variant.traversal {
            return self.text_source(id, name, rows, source);
        }
        if let Traversal::Image(image) = &variant.traversal {
            return self.image_source(id, name, image, source);
        }
        let element = self.library_type(&variant.element, name.span)?;
        let (base, owner) = self.base(name, walk, &variant, source, scope)?;
        let place = format!("{}: walks.{}", walk.file, name.text);
        let whole = Whole {
            id,
            element: &element,
            owner: owner.as_ref(),
            place: &place,
            span: name.span,
        };
        let traversal = self.whole_traversal(&variant, base.clone(), &whole)?;
        let filter = self.element_condition(&variant, &traversal, &whole)?;
        let last = match (&walk.last, &base) {
            (Some(text), _) => {
                let scope = Scope {
                    self_place: base.clone(),
                    ..Scope::default()
                };
                Some(self.library_expression(&format!("{place}.last"), text, &scope)?)
            }
            _ => None,
        };
        // What predicts a walk predicts all its containers: a waste where only one object's is walked.
        let is_of_all = match &owner {
            None => walk.of.is_none(),
            Some(owner) => matches!(owner.node, Node::Element(_)),
        };
        let predictors = if is_of_all && self.is_default_root(&variant, source) {
            self.predictors(walk)
        } else {
            Vec::new()
        };
        let checked = CheckedSource {
            name: source
                .alias
                .as_ref()
                .map_or(&name.text, |alias| &alias.text)
                .clone(),
            walk: name.text.clone(),
            id,
            element,
            traversal,
            last,
            filter,
            predictors,
            optional: source.optional,
        };
        Some(ScopeSource {
            source: Rc::new(checked),
            owner,
            cells: Vec::new(),
            is_unknown: false,
        })
    }

    /// Predictors know the walk's own root only.
    fn is_default_root(&self, variant: &WalkVariant, source: &Source) -> bool {
        match &source.root {
            None => true,
            Some(root) => {
                variant.root.as_deref() == Some(self.text_of(root.span).trim_start_matches('@'))
            }
        }
    }

    pub(super) fn library_type(&mut self, text: &str, span: Span) -> Option<Type> {
        let parsed = self.catalog.profile.parse_type(text);
        self.profile(span, parsed)
    }

    /// The first variant whose needs the kernel meets.
    fn walk_variant(&mut self, name: &str, walk: &Walk, span: Span) -> Option<WalkVariant> {
        let mut missing = Vec::new();
        for variant in &walk.variants {
            let unmet = self.catalog.unmet(&variant.needs);
            let unmet = self.profile(span, unmet)?;
            if unmet.is_empty() {
                return Some(variant.clone());
            }
            missing.push(
                unmet
                    .into_iter()
                    .map(|need| format!("`{need}`"))
                    .collect::<Vec<_>>()
                    .join(" and "),
            );
        }
        let report = Report::error(format!("`{name}` cannot be walked on this kernel"));
        let report = report.lacking().at(&self.source, span.into(), "");
        self.errors.push(report.with_note(format!(
            "it needs {}, which this kernel has not",
            missing.join(", or ")
        )));
        None
    }

    /// What a walk starts from: the owner of its container, or its root. The second is the owner, for the walk's columns.
    fn base(
        &mut self,
        name: &Name,
        walk: &Walk,
        variant: &WalkVariant,
        source: &Source,
        scope: &Scope<'_>,
    ) -> Option<(Option<Typed>, Option<Typed>)> {
        if let Some(of) = &walk.of {
            let ty = self.library_type(of, name.span)?;
            let given = source.owner.as_ref().or(source.root.as_ref());
            let owner = match given {
                Some(owner) => self.given_owner(owner, &ty, &name.text, walk, scope)?,
                None => self.implied_owner(&ty, name, walk, variant, scope)?,
            };
            return Some((Some(owner.clone()), Some(owner)));
        }
        if let Some(owner) = &source.owner {
            let message = format!("`{}` belongs to nobody", name.text);
            self.error_with_hint(
                owner.span,
                message,
                "`of` is for walks of something",
                "leave `of …` out",
            );
            return None;
        }
        if let Some(root) = &source.root {
            if variant.through.is_some() || matches!(variant.traversal, Traversal::Union(_)) {
                let message = format!("`{}` is made of other walks", name.text);
                let label = "only a walk that has a root of its own can start elsewhere";
                self.error_with_hint(root.span, message, label, "leave `from …` out");
                return None;
            }
            let root = self.expression(root, scope)?;
            let root = match self.as_struct(root)? {
                Ok((place, _)) => place,
                Err(value) => value,
            };
            self.root_like_declared(&root, name, walk, variant)?;
            return Some((Some(root), None));
        }
        match &variant.root {
            Some(text) => {
                let place = format!("{}: walks.{}.root", walk.file, name.text);
                let root = self.library_place(&place, text, &Scope::default())?;
                Some((Some(root), None))
            }
            None => Some((None, None)),
        }
    }

    /// Refuses a root of another type than the declared one.
    fn root_like_declared(
        &mut self,
        root: &Typed,
        name: &Name,
        walk: &Walk,
        variant: &WalkVariant,
    ) -> Option<()> {
        let Some(declared) = &variant.root else {
            return Some(());
        };
        let place = format!("{}: walks.{}.root", walk.file, name.text);
        let wanted = self
            .library_place(&place, declared, &Scope::default())?
            .kind;
        let same = match (&wanted, &root.kind) {
            (ValueType::Kernel(wanted), ValueType::Kernel(given)) => {
                self.strip(root.span, wanted)? == self.strip(root.span, given)?
            }
            _ => root.kind == ValueType::Any,
        };
        if same {
            return Some(());
        }
        self.error(
            root.span,
            format!(
                "`{}` starts at a `{wanted}`, and this is `{}`",
                name.text, root.kind
            ),
            format!("for example `from {declared}`"),
        );
        None
    }

    /// The owner that an object of another type has.
    fn owner_by(&mut self, path: &str, from: Typed, name: &str, walk: &Walk) -> Option<Typed> {
        let scope = Scope {
            self_place: Some(from),
            ..Scope::default()
        };
        let place = format!("{}: walks.{name}.owners", walk.file);
        let owner = self.library_place(&place, path, &scope)?;
        Some(
            self.as_struct(owner)?
                .map_or_else(|value| value, |(place, _)| place),
        )
    }

    fn given_owner(
        &mut self,
        owner: &Expression,
        ty: &Type,
        name: &str,
        walk: &Walk,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        let span = owner.span;
        let owner = self.expression(owner, scope)?;
        let kind = owner.kind.to_string();
        match self.as_struct(owner)? {
            Ok((place, aggregate)) if aggregate.as_type() == *ty => Some(place),
            Ok((place, aggregate))
                if walk.owners.contains_key(&aggregate.as_type().to_string()) =>
            {
                let path = &walk.owners[&aggregate.as_type().to_string()];
                self.owner_by(path, place, name, walk)
            }
            _ => {
                self.error(
                    span,
                    format!("`{name}` is a walk of a `{ty}`, and this is `{kind}`"),
                    "",
                );
                None
            }
        }
    }

    /// The owner of a walk that nothing is said of: the nearest source that can be one, else the root that the walk declares.
    fn implied_owner(
        &mut self,
        ty: &Type,
        name: &Name,
        walk: &Walk,
        variant: &WalkVariant,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        for source in scope.all_sources() {
            let element = &source.source.element;
            if element == ty {
                return Some(element_of(source, name.span));
            }
            if let Some(path) = walk.owners.get(&element.to_string()) {
                let owner = element_of(source, name.span);
                return self.owner_by(path, owner, &name.text, walk);
            }
        }
        if let Some(root) = &variant.root {
            let place = format!("{}: walks.{}.root", walk.file, name.text);
            let root = self.library_place(&place, root, &Scope::default())?;
            return Some(
                self.as_struct(root)?
                    .map_or_else(|value| value, |(place, _)| place),
            );
        }
        if scope.all_sources().any(|source| source.is_unknown) {
            return None;
        }
        let walks = self.catalog.library.walks.iter();
        let giver = walks
            .filter(|(_, walk)| {
                walk.of.is_none() && self.catalog.element_of(walk) == ty.to_string()
            })
            .map(|(name, _)| name)
            .next_back();
        let hint = match giver {
            Some(giver) => format!(
                "write `walk {giver}, {} …`, or `{} of EXPRESSION`",
                name.text, name.text
            ),
            None => format!("write `{} of EXPRESSION`", name.text),
        };
        let message = format!(
            "`{}` is a walk of a `{ty}`, and no source before it gives one",
            name.text
        );
        self.error_with_hint(name.span, message, "whose?", hint);
        None
    }

    /// What prefetches a walk; one that this kernel cannot serve is left out, since rows do not depend on it.
    fn predictors(&mut self, walk: &Walk) -> Vec<Predictor> {
        let mut predictors = Vec::new();
        for text in &walk.predict {
            if text == "both_ends" {
                predictors.push(Predictor::BothEnds);
                continue;
            }
            let before = self.errors.len();
            if let Some((other, column)) = text.split_once('.')
                && let Some(predictor) = self.walk_predictor(text, other, column)
            {
                predictors.push(predictor);
            }
            self.errors.truncate(before);
        }
        predictors
    }

    fn walk_predictor(&mut self, text: &str, walk: &str, column: &str) -> Option<Predictor> {
        let name = |text: &str| Name {
            text: text.to_owned(),
            span: Span::default(),
        };
        let source = Source {
            kind: SourceKind::Walk(name(walk)),
            owner: None,
            root: None,
            alias: None,
            optional: false,
            span: Span::default(),
        };
        let source = self.library_source(&name(walk), &source, &Scope::default())?;
        let pointer = self.column_of_source(&source, &name(column), &Scope::default())??;
        let pointer = self.read(pointer)?;
        Some(Predictor::Walk {
            source: source.source,
            pointer,
            name: text.to_owned(),
        })
    }

    /// Checks that a walk can be walked, with an owner that stands for any.
    pub(super) fn walk_availability(&mut self, name: &str) -> Option<()> {
        let walk = self.catalog.library.walks.get(name)?;
        let span = Span::default();
        let mut scope = Scope::default();
        let mut owner = None;
        if let Some(of) = &walk.of {
            let ty = self.library_type(of, span)?;
            scope.names.push((
                "owner".to_owned(),
                typed(Node::Local(0), ValueType::Kernel(ty), span),
            ));
            owner = Some(Expression {
                kind: crate::lang::ast::ExpressionKind::Name("owner".to_owned()),
                span,
            });
        }
        let name = Name {
            text: name.to_owned(),
            span,
        };
        let kind = SourceKind::Walk(name.clone());
        let source = Source {
            kind,
            owner,
            root: None,
            alias: None,
            optional: false,
            span,
        };
        let source = self.library_source(&name, &source, &scope)?;
        for column in &walk.select {
            let column = Name {
                text: column.clone(),
                span,
            };
            if self
                .column_of_source(&source, &column, &Scope::default())?
                .is_none()
            {
                let element = element_of(&source, span);
                self.member(element, &column, true, span)?;
            }
        }
        Some(())
    }
}
