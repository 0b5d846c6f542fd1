//! Types in expressions: casts, `sizeof`, `offsetof`, `container_of`.

use crate::lang::ast::{
    Expression, ExpressionKind, MemberPath, Name, SizeOperand, Span, TypeBase, TypeName,
};
use crate::lang::typed::{Conversion, Node, Typed};
use crate::profile::{Encoding, Type};
use crate::value::{Value, ValueType};

use super::Checker;
use super::scope::{Scope, typed};

impl Checker<'_> {
    pub(super) fn cast(
        &mut self,
        to: &TypeName,
        operand: &Expression,
        span: Span,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        let ty = self.type_named(to)?;
        let operand = self.value(operand, scope)?;
        let stripped = self.strip(to.span, &ty)?;
        let conversion = match &stripped {
            Type::Pointer(_) => Conversion::Pointer,
            Type::Enum(_) => {
                let bits = u32::try_from(self.size_of(span, &stripped)? * 8).unwrap_or(32);
                let enumeration = self.enumeration_of(to.span, &stripped)?;
                Conversion::Enumerator { bits, enumeration }
            }
            Type::Base(base) => match base.encoding {
                Encoding::Boolean => Conversion::Boolean,
                Encoding::Float => Conversion::Float,
                encoding => {
                    let signed = matches!(encoding, Encoding::Signed | Encoding::SignedChar);
                    Conversion::Integer {
                        bits: u32::try_from(base.size * 8).unwrap_or(64).min(64),
                        signed,
                    }
                }
            },
            _ => {
                let hint = format!("cast an address to a pointer and follow it: `*({ty} *)x`");
                self.error_with_hint(to.span, format!("nothing can be cast to `{ty}`"), "", hint);
                return None;
            }
        };
        let place = matches!(
            operand.kind,
            ValueType::Kernel(Type::Array { .. } | Type::Struct(_) | Type::Union(_))
        );
        let operand = if place && conversion == Conversion::Pointer {
            self.address_of(operand)?
        } else {
            operand
        };
        if !operand.kind.is_numeric() {
            self.error(
                operand.span,
                format!("`{}` cannot be cast to `{ty}`", operand.kind),
                "",
            );
            return None;
        }
        let kind = ValueType::Kernel(if conversion == Conversion::Pointer {
            ty
        } else {
            stripped
        });
        Some(typed(
            Node::Convert(conversion, Box::new(operand)),
            kind,
            span,
        ))
    }

    pub(super) fn size_operator(
        &mut self,
        operand: &SizeOperand,
        span: Span,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        let ty = match operand {
            SizeOperand::Type(name) => self.type_named(name)?,
            SizeOperand::Expression(expression) => self.type_or_value(expression, scope)?,
        };
        let size = self.size_of(span, &ty)?;
        Some(typed(
            Node::Constant(Value::Integer(i128::from(size))),
            ValueType::Integer,
            span,
        ))
    }

    /// The type of an expression; a bare name that names no value is taken for a type.
    pub(super) fn type_or_value(
        &mut self,
        expression: &Expression,
        scope: &Scope<'_>,
    ) -> Option<Type> {
        let errors = self.errors.len();
        let checked = self.place_expression(expression, scope);
        if let Some(Typed {
            kind: ValueType::Kernel(ty),
            ..
        }) = &checked
        {
            return Some(ty.clone());
        }
        if let ExpressionKind::Name(name) = &expression.kind {
            self.errors.truncate(errors);
            let base = TypeBase::Named(Name {
                text: name.clone(),
                span: expression.span,
            });
            return self.type_named(&TypeName {
                base,
                pointers: 0,
                dimensions: Vec::new(),
                span: expression.span,
            });
        }
        if checked.is_some() {
            self.error(
                expression.span,
                "this has no size in the kernel's memory",
                "",
            );
        }
        None
    }

    pub(super) fn offset_of(
        &mut self,
        container: &TypeName,
        path: &MemberPath,
        span: Span,
    ) -> Option<Typed> {
        let ty = self.type_named(container)?;
        let reached = self.path_in(&ty, path)?;
        Some(typed(
            Node::Constant(Value::Integer(i128::from(reached.offset))),
            ValueType::Integer,
            span,
        ))
    }

    /// `container_of(pointer, struct T, member)`: a pointer to the `struct T` around a member.
    pub(super) fn container_of(
        &mut self,
        pointer: &Expression,
        container: &TypeName,
        path: &MemberPath,
        span: Span,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        let ty = self.type_named(container)?;
        let reached = self.path_in(&ty, path)?;
        let pointer = self.expression(pointer, scope)?;
        let place = match &pointer.kind {
            ValueType::Kernel(Type::Struct(_) | Type::Union(_) | Type::Array { .. }) => pointer,
            _ => {
                let pointer = self.read(pointer)?;
                if !pointer.kind.is_numeric() {
                    self.error(
                        pointer.span,
                        format!("a pointer is wanted here, and this is `{}`", pointer.kind),
                        "",
                    );
                    return None;
                }
                typed(
                    Node::Follow(Box::new(pointer)),
                    ValueType::Kernel(reached.ty),
                    span,
                )
            }
        };
        let offset = -i64::try_from(reached.offset).unwrap_or(i64::MAX);
        let outer = typed(
            Node::At {
                base: Box::new(place),
                offset,
                bits: None,
            },
            ValueType::Kernel(ty.clone()),
            span,
        );
        self.address_of(outer)
    }
}
