//! Bare names: alias or column in scope, a `let`, a member of `self`, a constant, a kernel symbol, an enumerator - in this order.

use std::rc::Rc;

use crate::lang::ast::{Name, Span};
use crate::lang::typed::{Node, Property, SourceId, Typed};
use crate::profile::{PercpuBase, Symbol, SymbolKind, Type};
use crate::report::nearest;
use crate::value::{Value, ValueType};

use super::Checker;
use super::scope::{Scope, ScopeSource, typed};

/// What every element of a walk offers, with what it is.
static PROPERTIES: [(&str, Property, &str); 5] = [
    (
        "index",
        Property::Index,
        "its number: the place in an array, the key in an xarray, the CPU; else counted from 0",
    ),
    ("address", Property::Address, "its virtual address"),
    ("phys", Property::Phys, "its physical address"),
    (
        "depth",
        Property::Depth,
        "how many parents it has in a tree; of a frame, 1 where it was interrupted; 0 elsewhere",
    ),
    (
        "quality",
        Property::Quality,
        "`ok`, or `suspect: …` where the walk has a doubt, such as a list that changed while it was read",
    ),
];

/// The columns that every walk has, each with what it is.
pub fn built_in_columns() -> impl Iterator<Item = (&'static str, &'static str)> {
    PROPERTIES.iter().map(|(name, _, doc)| (*name, *doc))
}

impl Checker<'_> {
    /// What a bare name stands for.
    pub(super) fn name(&mut self, name: &str, span: Span, scope: &Scope<'_>) -> Option<Typed> {
        if let Some(found) = scope.name(name) {
            if found.is_unknown() {
                return None;
            }
            return Some(Typed {
                span,
                ..found.clone()
            });
        }
        let name_node = Name {
            text: name.to_owned(),
            span,
        };
        for (level, scope_here) in scope.chain().enumerate() {
            if self.in_library {
                if let Some(found) = self.member_in_scope(&name_node, scope_here, scope)? {
                    return Some(found);
                }
                if let Some(found) = self.column_in_scope(&name_node, scope_here, scope)? {
                    return Some(found);
                }
                continue;
            }
            if let Some(found) = self.column_in_scope(&name_node, scope_here, scope)? {
                return Some(found);
            }
            if level == 0
                && let Some(found) = self.let_or_constant(name, span)
            {
                return Some(found);
            }
            if let Some(found) = self.member_in_scope(&name_node, scope_here, scope)? {
                return Some(found);
            }
        }
        if let Some(found) = self.let_or_constant(name, span) {
            return Some(found);
        }
        if let Some(source) = scope.source(name) {
            let source = source.clone();
            return self.element(&source, span, scope);
        }
        if let Some(found) = self.symbol(name, span)? {
            return Some(found);
        }
        if let Some(found) = self.enumerator(name, span)? {
            return Some(found);
        }
        self.unknown_name(name, span, scope);
        None
    }

    /// The element of a source, unless a group is being computed.
    pub(super) fn element(
        &mut self,
        source: &ScopeSource,
        span: Span,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        if source.is_unknown {
            return None;
        }
        self.refuse_in_group(span, scope)?;
        if source.source.element == Type::Void {
            self.error(
                span,
                format!(
                    "`{}` is a query, which has columns and no element",
                    source.source.name
                ),
                "",
            );
            return None;
        }
        let kind = ValueType::Kernel(source.source.element.clone());
        Some(typed(Node::Element(source.source.id), kind, span))
    }

    /// What `self` is.
    pub(super) fn self_element(&mut self, span: Span, scope: &Scope<'_>) -> Option<Typed> {
        for scope_here in scope.chain() {
            if let Some(place) = &scope_here.self_place {
                return Some(Typed {
                    span,
                    ..place.clone()
                });
            }
            if let Some(source) = scope_here.sources.last() {
                let source = source.clone();
                return self.element(&source, span, scope);
            }
        }
        self.error(
            span,
            "there is no `self` here",
            "`self` is the element of a walk",
        );
        None
    }

    /// In what is computed of a group, only keys and aggregates make sense.
    fn refuse_in_group(&mut self, span: Span, scope: &Scope<'_>) -> Option<()> {
        match scope.groups {
            Some(groups) if groups.of_group && !groups.are_known => None,
            Some(groups) if groups.of_group => {
                self.error_with_hint(
                    span,
                    "a value of single rows in a query that makes groups",
                    "neither grouped by nor inside an aggregate",
                    "add it to `group by`, or use `first(…)`, `collect(…)` or another aggregate",
                );
                None
            }
            _ => Some(()),
        }
    }

    /// A column by its bare name: of the innermost source first, then of the others, where two that have it are an error.
    fn column_in_scope(
        &mut self,
        name: &Name,
        here: &Scope<'_>,
        scope: &Scope<'_>,
    ) -> Option<Option<Typed>> {
        if self.in_library
            && let Some(place) = &here.self_place
            && let Some(found) = self.column_if_any(place.clone(), name)?
        {
            return Some(Some(found));
        }
        let Some((innermost, outer)) = here.sources.split_last() else {
            return Some(None);
        };
        if let Some(found) = self.column_of_source(innermost, name, scope)? {
            return Some(Some(found));
        }
        if outer.iter().any(|source| source.is_unknown) {
            return None;
        }
        // The properties that every walk has are those of the innermost one.
        let mut found: Vec<(String, Typed)> = Vec::new();
        for source in outer.iter().rev() {
            if let Some(column) = self.column_of_source(source, name, scope)? {
                found.push((source.source.name.clone(), column));
            }
        }
        match found.as_slice() {
            [] => Some(None),
            [(_, column)] => Some(Some(column.clone())),
            [(one, _), (other, _), ..] => {
                let message = format!("`{}` is ambiguous", name.text);
                let label = format!("`{one}` and `{other}` both have it");
                let hint = format!("write `{one}.{}` or `{other}.{}`", name.text, name.text);
                self.error_with_hint(name.span, message, label, hint);
                None
            }
        }
    }

    /// A column of one source: the walk's own, then those of the element's type, then the properties.
    pub(super) fn column_of_source(
        &mut self,
        source: &ScopeSource,
        name: &Name,
        scope: &Scope<'_>,
    ) -> Option<Option<Typed>> {
        if source.is_unknown {
            return None;
        }
        if let Some(number) = source.cells.iter().position(|(cell, _)| *cell == name.text) {
            self.refuse_in_group(name.span, scope)?;
            let kind = source.cells[number].1.clone();
            return Some(Some(typed(
                Node::Cell(source.source.id, number),
                kind,
                name.span,
            )));
        }
        if let Some(found) = self.walk_column(source, name, scope)? {
            return Some(Some(found));
        }
        let element = source.source.element.clone();
        if element != Type::Void {
            let place = typed(
                Node::Element(source.source.id),
                ValueType::Kernel(element),
                name.span,
            );
            if let Some(found) = self.column_if_any(place, name)? {
                self.refuse_in_group(name.span, scope)?;
                return Some(Some(found));
            }
        }
        let property = PROPERTIES
            .iter()
            .find(|(property, ..)| *property == name.text);
        let Some((_, property, _)) = property else {
            return Some(None);
        };
        self.refuse_in_group(name.span, scope)?;
        Some(Some(property_of(source.source.id, *property, name.span)))
    }

    /// A derived column of a place's type, if the library has one of that name.
    fn column_if_any(&mut self, place: Typed, name: &Name) -> Option<Option<Typed>> {
        let ValueType::Kernel(ty) = &place.kind else {
            return Some(None);
        };
        let ty = self.strip(name.span, ty)?;
        let known = self.catalog.library.columns.get(&ty.to_string());
        if known.is_some_and(|columns| columns.contains_key(&name.text)) {
            return self.column_of(&ty, place, name, name.span).map(Some);
        }
        Some(None)
    }

    /// A member of `self`, or of a source further out.
    fn member_in_scope(
        &mut self,
        name: &Name,
        here: &Scope<'_>,
        scope: &Scope<'_>,
    ) -> Option<Option<Typed>> {
        let own = here.self_place.clone();
        let walked = here
            .sources
            .iter()
            .rev()
            .filter(|source| source.source.element != Type::Void);
        let elements = walked.map(|source| super::query::element_of(source, name.span));
        let places: Vec<Typed> = own.into_iter().chain(elements).collect();
        for place in places {
            if let Ok((place, aggregate)) = self.as_struct(place)?
                && let Some(found) = self.plain_member(place, &aggregate, &name.text, name.span)
            {
                self.refuse_in_group(name.span, scope)?;
                return Some(Some(found));
            }
        }
        Some(None)
    }

    fn let_or_constant(&mut self, name: &str, span: Span) -> Option<Typed> {
        if !self.in_library
            && let Some((kind, value)) = self.definitions.values.get(name)
        {
            return Some(typed(Node::Constant(value.clone()), kind.clone(), span));
        }
        let constant = self.catalog.library.constants.get(name)?;
        Some(typed(
            Node::Constant(Value::Integer(i128::from(*constant))),
            ValueType::Integer,
            span,
        ))
    }

    /// A kernel symbol of this name, as the place it names.
    pub(super) fn symbol(&mut self, name: &str, span: Span) -> Option<Option<Typed>> {
        let found = self.catalog.profile.symbol(name);
        let Some(symbol) = self.profile(span, found)? else {
            return Some(None);
        };
        let ty = match (&symbol.ty, self.catalog.library.symbols.get(name)) {
            (Some(ty), _) => ty.clone(),
            (None, Some(declared)) => self.library_type(declared, span)?,
            (None, None) => Type::Void,
        };
        let kind = ValueType::Kernel(ty);
        let node = Node::Symbol {
            name: Rc::from(name),
            address: symbol.address,
            moves: self.moves(&symbol),
        };
        Some(Some(typed(node, kind, span)))
    }

    /// Whether the running kernel's address of a symbol differs from the linked one by the virtual slide.
    fn moves(&self, symbol: &Symbol) -> bool {
        match symbol.kind {
            SymbolKind::PerCpu => {
                self.catalog.profile.header().constants.percpu == Some(PercpuBase::Image)
            }
            SymbolKind::Absolute => false,
            _ => true,
        }
    }

    fn enumerator(&mut self, name: &str, span: Span) -> Option<Option<Typed>> {
        let found = self.catalog.profile.enumerator(name);
        let Some((enumeration, number)) = self.profile(span, found)? else {
            return Some(None);
        };
        let value = Value::Enumerator(number, enumeration.name_of(number).cloned());
        let kind = ValueType::Kernel(Type::Enum(enumeration.name.clone()));
        Some(Some(typed(Node::Constant(value), kind, span)))
    }

    fn unknown_name(&mut self, name: &str, span: Span, scope: &Scope<'_>) {
        let mut known: Vec<String> = Vec::new();
        for scope_here in scope.chain() {
            known.extend(scope_here.names.iter().map(|(name, _)| name.clone()));
            for source in &scope_here.sources {
                known.extend(self.names_of(source));
            }
        }
        known.extend(self.definitions.values.keys().cloned());
        let mut label = nearest(name, known.iter().map(String::as_str))
            .map(|name| format!("did you mean `{name}`?"));
        if label.is_none() && name.len() > 3 {
            label = self.suggest_symbol(name);
        }
        let innermost = scope
            .all_sources()
            .next()
            .map(|source| source.source.element.to_string());
        let message = match innermost {
            Some(element) if element != "void" => {
                format!(
                    "`{name}` is no column or member of `{element}`, and no symbol of this kernel"
                )
            }
            _ => format!("nothing is called `{name}`"),
        };
        self.error(span, message, label.unwrap_or_default());
        // What is called by a name alone may be a member, a symbol or a number of another kernel.
        self.last_lacks();
    }

    fn suggest_symbol(&self, name: &str) -> Option<String> {
        let names: Vec<_> = self.catalog.profile.symbol_names().ok()?.collect();
        let near = nearest(name, names.iter().map(AsRef::as_ref))?;
        Some(format!("did you mean the symbol `{near}`?"))
    }

    /// Columns and members of a source, for suggestions.
    fn names_of(&self, source: &ScopeSource) -> Vec<String> {
        let mut names: Vec<String> = source.cells.iter().map(|(name, _)| name.clone()).collect();
        names.extend(PROPERTIES.iter().map(|(name, ..)| (*name).to_owned()));
        let library = &self.catalog.library;
        names.extend(
            library
                .walks
                .get(&source.source.walk)
                .into_iter()
                .flat_map(|walk| walk.columns.keys().cloned()),
        );
        let element = source.source.element.to_string();
        names.extend(
            library
                .columns
                .get(&element)
                .into_iter()
                .flat_map(|columns| columns.keys().cloned()),
        );
        if let Ok(Some(aggregate)) = self.catalog.aggregate(&source.source.element) {
            names.extend(
                aggregate
                    .members
                    .iter()
                    .map(|member| member.name.to_string()),
            );
        }
        names
    }
}

/// A property of a source's elements.
pub(super) fn property_of(id: SourceId, property: Property, span: Span) -> Typed {
    let kind = match property {
        Property::Index | Property::Depth => ValueType::Integer,
        Property::Address | Property::Phys => ValueType::Kernel(Type::Void.pointer_to()),
        Property::Quality => ValueType::Text,
    };
    typed(Node::Property(id, property), kind, span)
}
