//! Members: `.` and `->`, through pointers, anonymous members and derived columns.

use std::sync::Arc;

use crate::lang::ast::{MemberPath, Name, PathStep, Span};
use crate::lang::typed::{Node, Typed};
use crate::profile::{Aggregate, Member, Type};
use crate::report::nearest;
use crate::value::ValueType;

use super::Checker;
use super::scope::typed;

/// Where a path of members leads.
pub(super) struct Reached {
    /// Bytes from the start of the type.
    pub(super) offset: u64,
    /// What is there.
    pub(super) ty: Type,
}

impl Checker<'_> {
    /// The struct that a value is or points to: its place and its layout. `None` (and no report) where it is neither.
    pub(super) fn as_struct(
        &mut self,
        object: Typed,
    ) -> Option<Result<(Typed, Arc<Aggregate>), Typed>> {
        let ValueType::Kernel(ty) = &object.kind else {
            return Some(Err(object));
        };
        let span = object.span;
        let stripped = self.strip(span, ty)?;
        let (place, ty) = match &stripped {
            Type::Struct(_) | Type::Union(_) => (object, stripped.clone()),
            Type::Pointer(target) => {
                let target = self.strip(span, target)?;
                if !matches!(target, Type::Struct(_) | Type::Union(_)) {
                    return Some(Err(object));
                }
                let pointer = self.read(object)?;
                (
                    typed(
                        Node::Follow(Box::new(pointer)),
                        ValueType::Kernel(target.clone()),
                        span,
                    ),
                    target,
                )
            }
            _ => return Some(Err(object)),
        };
        let aggregate = self.catalog.profile.aggregate(&ty);
        match self.profile(span, aggregate)? {
            Some(aggregate) => Some(Ok((place, aggregate))),
            None => {
                self.error(
                    span,
                    format!("this kernel's profile says nothing of `{ty}`"),
                    "its members are not known",
                );
                self.last_lacks();
                None
            }
        }
    }

    /// `object.member`.
    pub(super) fn member(
        &mut self,
        object: Typed,
        member: &Name,
        columns_first: bool,
        span: Span,
    ) -> Option<Typed> {
        let (place, aggregate) = match self.as_struct(object)? {
            Ok(found) => found,
            Err(object) => {
                self.error(
                    object.span,
                    format!("`{}` has no members", object.kind),
                    format!("`.{}` is asked of it here", member.text),
                );
                return None;
            }
        };
        let column = self
            .catalog
            .library
            .columns
            .get(&aggregate.as_type().to_string());
        let is_column = column.is_some_and(|columns| columns.contains_key(&member.text));
        match aggregate.member(&member.text) {
            Some(found) if !(columns_first && is_column) => Some(at_member(place, found, span)),
            _ if is_column => self.column_of(&aggregate.as_type(), place, member, span),
            _ => {
                self.no_member(&aggregate, member);
                None
            }
        }
    }

    /// The member of a place whose layout is known, without derived columns and without a report.
    pub(super) fn plain_member(
        &self,
        place: Typed,
        aggregate: &Aggregate,
        name: &str,
        span: Span,
    ) -> Option<Typed> {
        aggregate
            .member(name)
            .map(|member| at_member(place, member, span))
    }

    fn no_member(&mut self, aggregate: &Aggregate, member: &Name) {
        let ty = aggregate.as_type().to_string();
        let mut label = String::new();
        let columns = self.catalog.library.columns.get(&ty);
        let column =
            columns.and_then(|columns| nearest(&member.text, columns.keys().map(String::as_str)));
        let real = nearest(
            &member.text,
            aggregate.members.iter().map(|member| &*member.name),
        );
        match (column, real) {
            (Some(column), Some(real)) if column != real => {
                label = format!("did you mean `{column}` (column) or `{real}` (member)?");
            }
            (Some(name), _) | (None, Some(name)) => label = format!("did you mean `{name}`?"),
            (None, None) => {}
        }
        let name = &aggregate.name;
        self.error_with_hint(
            member.span,
            format!("`{name}` has no member `{}`", member.text),
            label,
            format!("`describe {ty}` lists its members and columns"),
        );
        self.last_lacks();
    }

    /// Follows a path of members inside a type, pointers excluded.
    pub(super) fn path_in(&mut self, container: &Type, path: &MemberPath) -> Option<Reached> {
        let mut reached = Reached {
            offset: 0,
            ty: container.clone(),
        };
        for step in &path.steps {
            let stripped = self.strip(path.span, &reached.ty)?;
            reached = match step {
                PathStep::Member(name) => {
                    let aggregate = self.catalog.profile.aggregate(&stripped);
                    let Some(aggregate) = self.profile(name.span, aggregate)? else {
                        self.error(name.span, format!("`{stripped}` has no members"), "");
                        return None;
                    };
                    let Some(member) = aggregate.member(&name.text) else {
                        self.no_member(&aggregate, name);
                        return None;
                    };
                    Reached {
                        offset: reached.offset.saturating_add(member.offset),
                        ty: member.ty.clone(),
                    }
                }
                PathStep::Index(index) => {
                    let Type::Array { element, .. } = &stripped else {
                        self.error(
                            path.span,
                            format!("`{stripped}` is no array"),
                            "indexed here",
                        );
                        return None;
                    };
                    let size = self.size_of(path.span, element)?;
                    let offset = reached.offset.saturating_add(size.saturating_mul(*index));
                    Reached {
                        offset,
                        ty: (**element).clone(),
                    }
                }
            };
        }
        Some(reached)
    }
}

/// The place of a member.
pub(super) fn at_member(place: Typed, member: &Member, span: Span) -> Typed {
    let (base, outer) = match place {
        // Members of members are one step.
        Typed {
            node:
                Node::At {
                    base,
                    offset,
                    bits: None,
                },
            ..
        } => (base, offset),
        place => (Box::new(place), 0),
    };
    let offset = outer.saturating_add(i64::try_from(member.offset).unwrap_or(i64::MAX));
    typed(
        Node::At {
            base,
            offset,
            bits: member.bits,
        },
        ValueType::Kernel(member.ty.clone()),
        span,
    )
}
