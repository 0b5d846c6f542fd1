//! Names and types: syntax tree in, checked tree out, or every mistake that can be found together. Nothing is read from memory.

mod ad_hoc;
mod aggregate;
mod cast;
mod composed;
mod definition;
mod doubts;
mod expression;
mod frames;
mod function;
mod image;
mod kernel_text;
mod library;
mod linked;
mod member;
mod name;
mod operator;
mod query;
mod scope;
mod set_operation;
mod slab;
mod source;
mod stand_in;
mod traversal;

use std::rc::Rc;
use std::sync::Arc;

use crate::profile::{Enumeration, ProfileError, Type};
use crate::report::{Report, SourceText, nearest};
use crate::value::ValueType;

use super::ast::{self, Span, TypeBase, TypeName};
use super::catalog::{Catalog, Definitions};
use super::typed::{CheckedQuery, Node, Typed};

pub use ad_hoc::traversals;
pub use definition::{check_defined_walk, check_function};
pub use name::built_in_columns;
pub(super) use scope::Scope;

/// What came of checking: the tree, and warnings about what is right but hardly meant.
#[derive(Debug)]
pub struct Checked<T> {
    /// The checked tree.
    pub tree: T,
    /// Warnings.
    pub warnings: Vec<Report>,
}

/// Checks a query of `source`.
pub fn check_query(
    catalog: &Catalog,
    definitions: &Definitions,
    source: &Arc<SourceText>,
    query: &ast::Query,
) -> Result<Checked<CheckedQuery>, Vec<Report>> {
    let mut checker = Checker::new(catalog, definitions, source);
    let tree = checker.query(query, None);
    checker.finish(tree)
}

/// Checks an expression of `source` that stands alone, as in `print`. Its value is read where it can be: a scalar member gives its
/// value and not its place.
pub fn check_expression(
    catalog: &Catalog,
    definitions: &Definitions,
    source: &Arc<SourceText>,
    expression: &ast::Expression,
) -> Result<Checked<Typed>, Vec<Report>> {
    let mut checker = Checker::new(catalog, definitions, source);
    let tree = checker.value(expression, &Scope::default());
    checker.finish(tree)
}

/// The type that a type name in `source` stands for.
pub fn check_type(
    catalog: &Catalog,
    definitions: &Definitions,
    source: &Arc<SourceText>,
    name: &TypeName,
) -> Result<Type, Vec<Report>> {
    let mut checker = Checker::new(catalog, definitions, source);
    let tree = checker.type_named(name);
    checker.finish(tree).map(|checked| checked.tree)
}

/// Checks a member's path in a type: its offset in bytes from the start of the type, and its own type.
pub fn check_member(
    catalog: &Catalog,
    definitions: &Definitions,
    source: &Arc<SourceText>,
    ty: &Type,
    path: &ast::MemberPath,
) -> Result<(u64, Type), Vec<Report>> {
    let mut checker = Checker::new(catalog, definitions, source);
    let reached = checker.path_in(ty, path);
    let reached = reached.map(|reached| (reached.offset, reached.ty));
    checker.finish(reached).map(|checked| checked.tree)
}

/// Whether the walk of this name can be walked on this kernel; the reasons why not otherwise.
pub fn check_walk(catalog: &Catalog, name: &str) -> Result<(), Vec<Report>> {
    let text = Arc::new(SourceText {
        name: format!("walk {name}"),
        text: String::new(),
    });
    let definitions = Definitions::default();
    let mut checker = Checker::new(catalog, &definitions, &text);
    let tree = checker.walk_availability(name);
    checker.finish(tree).map(|_| ())
}

/// Checks one statement's trees. `None` everywhere means that a report was made, or that it depends on what is not known (see
/// `stand_in`).
pub(super) struct Checker<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) definitions: &'a Definitions,
    /// The text that spans refer to now.
    pub(super) source: Arc<SourceText>,
    pub(super) errors: Vec<Report>,
    pub(super) warnings: Vec<Report>,
    pub(super) next_source: usize,
    /// Whether a definition of the walk library is being checked: members before columns, and `??` forgives missing members.
    pub(super) in_library: bool,
    /// How deep definitions are inside each other.
    pub(super) nesting: usize,
    /// How often a definition was entered.
    pub(super) entered: usize,
}

/// Deepest chain of user definitions that use each other.
pub(super) const MOST_NESTING: usize = 32;

/// Most definitions that a statement enters, those inside others counted each time.
pub(super) const MOST_ENTERED: usize = 1 << 20;

impl<'a> Checker<'a> {
    pub(super) fn new(
        catalog: &'a Catalog,
        definitions: &'a Definitions,
        source: &Arc<SourceText>,
    ) -> Self {
        Self {
            catalog,
            definitions,
            source: Arc::clone(source),
            errors: Vec::new(),
            warnings: Vec::new(),
            next_source: 0,
            in_library: false,
            nesting: 0,
            entered: 0,
        }
    }

    fn finish<T>(self, tree: Option<T>) -> Result<Checked<T>, Vec<Report>> {
        match tree {
            Some(tree) if self.errors.is_empty() => Ok(Checked {
                tree,
                warnings: self.warnings,
            }),
            _ => Err(self.errors),
        }
    }

    /// What was found wrong, where the tree is not wanted.
    fn mistakes(self) -> Result<(), Vec<Report>> {
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(self.errors)
        }
    }

    /// Makes a report that points at `span`.
    pub(super) fn error(
        &mut self,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) {
        let report = Report::error(message).at(&self.source, span.into(), label);
        self.errors.push(report);
    }

    /// The last error is of what this kernel, or what is known of it, lacks.
    pub(super) fn last_lacks(&mut self) {
        if let Some(report) = self.errors.last_mut() {
            report.lacks = true;
        }
    }

    /// As [`Checker::error`], with what to do next.
    pub(super) fn error_with_hint(
        &mut self,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let report = Report::error(message)
            .at(&self.source, span.into(), label)
            .with_hint(hint);
        self.errors.push(report);
    }

    /// Takes what the profile gives, or reports why it gives nothing.
    pub(super) fn profile<T>(&mut self, span: Span, outcome: Result<T, ProfileError>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(error) => {
                let report =
                    Report::from_error(&error).at(&self.source, span.into(), "needed here");
                self.errors.push(report);
                None
            }
        }
    }

    /// A type without its typedefs.
    pub(super) fn strip(&mut self, span: Span, ty: &Type) -> Option<Type> {
        let stripped = self.catalog.profile.strip(ty);
        self.profile(span, stripped)
    }

    /// The size of a type; a report where it has none.
    pub(super) fn size_of(&mut self, span: Span, ty: &Type) -> Option<u64> {
        let size = self.catalog.profile.size_of(ty);
        match self.profile(span, size)? {
            Some(size) => Some(size),
            None => {
                self.error(
                    span,
                    format!("the size of `{ty}` is not known"),
                    "needed here",
                );
                self.last_lacks();
                None
            }
        }
    }

    /// The type that a type name stands for; named structs, unions and enums must exist.
    pub(super) fn type_named(&mut self, name: &TypeName) -> Option<Type> {
        let (mut ty, spelled, place) = match &name.base {
            TypeBase::Struct(tag) => (
                Type::Struct(Arc::from(tag.text.as_str())),
                format!("struct {}", tag.text),
                tag,
            ),
            TypeBase::Union(tag) => (
                Type::Union(Arc::from(tag.text.as_str())),
                format!("union {}", tag.text),
                tag,
            ),
            TypeBase::Enum(tag) => (
                Type::Enum(Arc::from(tag.text.as_str())),
                format!("enum {}", tag.text),
                tag,
            ),
            TypeBase::Named(words) => {
                let parsed = self.catalog.profile.parse_type(&words.text);
                (self.profile(words.span, parsed)?, words.text.clone(), words)
            }
        };
        if !self.type_exists(place.span, &ty)? {
            let label = self.suggest_type(&spelled);
            self.error(
                place.span,
                format!("this kernel has no type `{spelled}`"),
                label,
            );
            self.last_lacks();
            return None;
        }
        for _ in 0..name.pointers {
            ty = ty.pointer_to();
        }
        for count in name.dimensions.iter().rev() {
            ty = ty.array_of(Some(*count));
        }
        Some(ty)
    }

    fn type_exists(&mut self, span: Span, ty: &Type) -> Option<bool> {
        let profile = &self.catalog.profile;
        let exists = match ty {
            Type::Struct(_) | Type::Union(_) => profile.aggregate(ty).map(|found| found.is_some()),
            Type::Enum(name) => profile.enumeration(name).map(|found| found.is_some()),
            Type::Typedef(name) => profile.typedef(name).map(|found| found.is_some()),
            _ => Ok(true),
        };
        self.profile(span, exists)
    }

    /// `did you mean …`, or nothing.
    pub(super) fn suggest_type(&self, spelled: &str) -> String {
        let Ok(names) = self.catalog.profile.type_names() else {
            return String::new();
        };
        let names: Vec<_> = names.collect();
        nearest(spelled, names.iter().map(AsRef::as_ref))
            .map(|name| format!("did you mean `{name}`?"))
            .unwrap_or_default()
    }

    /// The scalar or text at a place; anything else as it is.
    pub(super) fn read(&mut self, typed: Typed) -> Option<Typed> {
        let ValueType::Kernel(ty) = &typed.kind else {
            return Some(typed);
        };
        let stripped = self.strip(typed.span, ty)?;
        if !typed.is_place() {
            return Some(Typed {
                kind: ValueType::Kernel(stripped),
                ..typed
            });
        }
        let span = typed.span;
        match &stripped {
            Type::Base(_) | Type::Pointer(_) | Type::Enum(_) => self.load(typed, stripped),
            Type::Array { element, count } => {
                let element = self.strip(span, element)?;
                if !crate::value::is_character(&element) {
                    return Some(Typed {
                        kind: ValueType::Kernel(stripped),
                        ..typed
                    });
                }
                let longest = count.filter(|count| *count > 0).unwrap_or(4096);
                let node = Node::Text {
                    place: Box::new(typed),
                    longest,
                };
                Some(Typed {
                    node,
                    kind: ValueType::Text,
                    span,
                })
            }
            _ => Some(Typed {
                kind: ValueType::Kernel(stripped),
                ..typed
            }),
        }
    }

    /// The enumerators of a type that is an enum, where the profile tells them.
    pub(super) fn enumeration_of(
        &mut self,
        span: Span,
        ty: &Type,
    ) -> Option<Option<Rc<Enumeration>>> {
        let Type::Enum(name) = ty else {
            return Some(None);
        };
        let found = self.catalog.profile.enumeration(name);
        let found = self.profile(span, found)?;
        Some(found.map(|enumeration| Rc::new((*enumeration).clone())))
    }

    fn load(&mut self, place: Typed, ty: Type) -> Option<Typed> {
        let span = place.span;
        let enumeration = self.enumeration_of(span, &ty)?;
        let size = self.size_of(span, &ty)?;
        let bits = match &place.node {
            Node::At { bits, .. } => *bits,
            _ => None,
        };
        let size = bits.map_or(size, |bits| {
            u64::from((bits.offset + bits.size).div_ceil(8))
        });
        let kind = ValueType::Kernel(ty.clone());
        Some(Typed {
            node: Node::Load {
                place: Box::new(place),
                ty,
                size,
                bits,
                enumeration,
            },
            kind,
            span,
        })
    }
}
