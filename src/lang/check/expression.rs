//! Expressions: one small function for each construct.

use std::rc::Rc;

use crate::lang::ast::{
    BinaryOperator, Expression, ExpressionKind, InSet, Literal, LogicalOperator, Name, Query, Span,
    UnaryOperator,
};
use crate::lang::typed::{CheckedQuery, Conversion, Node, Typed};
use crate::profile::{Encoding, Type};
use crate::value::{Reason, Value, ValueType};

use super::Checker;
use super::scope::{Scope, typed};

impl Checker<'_> {
    /// An expression whose value is wanted: scalars and text are read, structs stay places.
    pub(super) fn value(&mut self, expression: &Expression, scope: &Scope<'_>) -> Option<Typed> {
        let checked = self.expression(expression, scope)?;
        self.read(checked)
    }

    /// An expression; members, elements and symbols stay places.
    pub(super) fn expression(
        &mut self,
        expression: &Expression,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        let span = expression.span;
        if let Some(key) = self.group_key(expression, scope) {
            return Some(key);
        }
        match &expression.kind {
            ExpressionKind::Literal(literal) => Some(literal_value(literal, span)),
            ExpressionKind::Name(name) => self.name(name, span, scope),
            ExpressionKind::Symbol(name) => self.symbol_named(name, span),
            ExpressionKind::Variable(name) => self.variable(name, span),
            ExpressionKind::SelfElement => self.self_element(span, scope),
            ExpressionKind::Member { object, member } => {
                self.member_access(object, member, span, scope)
            }
            ExpressionKind::Index { object, index } => self.index(object, index, span, scope),
            ExpressionKind::Call {
                function,
                arguments,
            } => self.call(function, arguments, span, scope),
            ExpressionKind::CountRows => self.count_rows(span, scope),
            ExpressionKind::Unary { operator, operand } => {
                self.unary(*operator, operand, span, scope)
            }
            ExpressionKind::Binary {
                operator,
                left,
                right,
            } => self.binary(*operator, left, right, span, scope),
            ExpressionKind::Logical { operator, operands } => {
                self.logical(*operator, operands, span, scope)
            }
            ExpressionKind::Conditional {
                condition,
                then,
                otherwise,
            } => self.conditional(condition, then, otherwise, span, scope),
            ExpressionKind::Cast { to, operand } => self.cast(to, operand, span, scope),
            ExpressionKind::SizeOf(operand) => self.size_operator(operand, span, scope),
            ExpressionKind::OffsetOf { container, path } => self.offset_of(container, path, span),
            ExpressionKind::ContainerOf {
                pointer,
                container,
                path,
            } => self.container_of(pointer, container, path, span, scope),
            ExpressionKind::In { value, set } => self.is_in(value, set, span, scope),
            ExpressionKind::Between { value, low, high } => {
                self.between(value, low, high, span, scope)
            }
            ExpressionKind::IsNull(operand) => {
                let operand = self.value(operand, scope)?;
                Some(typed(
                    Node::IsNull(Box::new(operand)),
                    ValueType::Boolean,
                    span,
                ))
            }
            ExpressionKind::Exists(query) => {
                let query = self.nested_query(query, scope)?;
                Some(typed(Node::Exists(query), ValueType::Boolean, span))
            }
            ExpressionKind::Query(query) => self.query_operand(query, span, scope),
        }
    }

    /// A query in parentheses: the list of its only column's values.
    pub(super) fn query_operand(
        &mut self,
        query: &Query,
        span: Span,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        let checked = self.one_column(query, scope)?;
        let element = checked
            .columns
            .first()
            .map_or(ValueType::Any, |(_, kind)| kind.clone());
        Some(typed(
            Node::Query(checked),
            ValueType::List(Box::new(element)),
            span,
        ))
    }

    /// A nested query, which sees the names around it.
    pub(super) fn nested_query(
        &mut self,
        query: &Query,
        scope: &Scope<'_>,
    ) -> Option<Rc<CheckedQuery>> {
        self.query(query, Some(scope)).map(Rc::new)
    }

    pub(super) fn one_column(
        &mut self,
        query: &Query,
        scope: &Scope<'_>,
    ) -> Option<Rc<CheckedQuery>> {
        let checked = self.nested_query(query, scope)?;
        if checked.columns.len() == 1 {
            return Some(checked);
        }
        let count = checked.columns.len();
        self.error(
            query.span,
            format!("a query with one column is wanted here, and this one has {count}"),
            "",
        );
        None
    }

    pub(super) fn symbol_named(&mut self, name: &str, span: Span) -> Option<Typed> {
        match self.symbol(name, span)? {
            Some(found) => Some(found),
            None => {
                let near = self.catalog.profile.symbol_names().ok().and_then(|names| {
                    let names: Vec<_> = names.collect();
                    crate::report::nearest(name, names.iter().map(AsRef::as_ref)).map(str::to_owned)
                });
                let label = near
                    .map(|near| format!("did you mean `@{near}`?"))
                    .unwrap_or_default();
                self.error(span, format!("this kernel has no symbol `{name}`"), label);
                self.last_lacks();
                None
            }
        }
    }

    pub(super) fn variable(&mut self, name: &str, span: Span) -> Option<Typed> {
        let Some(value) = self.definitions.variables.get(name) else {
            self.error_with_hint(
                span,
                format!("the variable `${name}` is not defined"),
                "",
                format!("give it on the command line: -D {name}=VALUE"),
            );
            return None;
        };
        let kind = match value {
            Value::Integer(_) => ValueType::Integer,
            Value::Text(_) => ValueType::Text,
            _ => ValueType::Any,
        };
        Some(typed(Node::Constant(value.clone()), kind, span))
    }

    /// `object.member`: a source's column or member, or a member of a value.
    pub(super) fn member_access(
        &mut self,
        object: &Expression,
        member: &Name,
        span: Span,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        if let ExpressionKind::Name(name) = &object.kind
            && scope.name(name).is_none()
            && let Some(source) = scope.source(name)
        {
            let source = source.clone();
            if member.text == "self" {
                return self.element(&source, span, scope);
            }
            if let Some(found) = self.column_of_source(&source, member, scope)? {
                return Some(Typed { span, ..found });
            }
            if !source.cells.is_empty() {
                let names: Vec<_> = source
                    .cells
                    .iter()
                    .map(|(name, _)| format!("`{name}`"))
                    .collect();
                self.error(
                    member.span,
                    format!("`{name}` has no column `{}`", member.text),
                    format!("it has {}", names.join(", ")),
                );
                return None;
            }
            let element = self.element(&source, object.span, scope)?;
            return self.member(element, member, true, span);
        }
        let members_first = self.in_library || matches!(object.kind, ExpressionKind::SelfElement);
        let before = self.errors.len();
        let found = self
            .expression(object, scope)
            .and_then(|object| self.member(object, member, !members_first, span));
        if found.is_none() {
            self.suggest_alias(before, object, scope);
        }
        found
    }

    /// `object[index]`: of an array, a pointer, a text or a list.
    /// An expression whose place in memory is meant: of a name that is a member and a column, the member.
    pub(super) fn place_expression(
        &mut self,
        expression: &Expression,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        let ExpressionKind::Member { object, member } = &expression.kind else {
            return self.expression(expression, scope);
        };
        if let ExpressionKind::Name(name) = &object.kind
            && scope.source(name).is_some()
        {
            return self.expression(expression, scope);
        }
        let object = self.expression(object, scope)?;
        self.member(object, member, false, expression.span)
    }

    pub(super) fn index(
        &mut self,
        object: &Expression,
        index: &Expression,
        span: Span,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        let object = self.place_expression(object, scope)?;
        let index = self.number(index, scope)?;
        let ValueType::Kernel(ty) = &object.kind else {
            self.error(
                object.span,
                format!("`{}` cannot be indexed", object.kind),
                "an array or a pointer is wanted here",
            );
            return None;
        };
        let stripped = self.strip(span, ty)?;
        let (element, count, base) = match stripped {
            Type::Array { element, count } => ((*element).clone(), count, object),
            Type::Pointer(target) => {
                let pointer = self.read(object)?;
                let place = typed(
                    Node::Follow(Box::new(pointer)),
                    ValueType::Kernel((*target).clone()),
                    span,
                );
                ((*target).clone(), None, place)
            }
            other => {
                self.error(
                    object.span,
                    format!("`{other}` cannot be indexed"),
                    "an array or a pointer is wanted here",
                );
                return None;
            }
        };
        let size = self.size_of(span, &element)?;
        let node = Node::Entry {
            base: Box::new(base),
            index: Box::new(index),
            size,
            count: count.filter(|count| *count > 0),
        };
        Some(typed(node, ValueType::Kernel(element), span))
    }

    /// A numeric operand.
    pub(super) fn number(&mut self, expression: &Expression, scope: &Scope<'_>) -> Option<Typed> {
        let operand = self.value(expression, scope)?;
        if operand.kind.is_numeric() {
            return Some(operand);
        }
        self.error(
            operand.span,
            format!("a number is wanted here, and this is `{}`", operand.kind),
            "",
        );
        None
    }

    pub(super) fn unary(
        &mut self,
        operator: UnaryOperator,
        operand: &Expression,
        span: Span,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        match operator {
            UnaryOperator::Dereference => self.dereference(operand, span, scope),
            UnaryOperator::AddressOf => {
                let operand = self.place_expression(operand, scope)?;
                let address = self.address_of(operand)?;
                Some(Typed { span, ..address })
            }
            UnaryOperator::Not => {
                let operand = self.value(operand, scope)?;
                Some(typed(
                    Node::Unary(operator, Box::new(operand)),
                    ValueType::Boolean,
                    span,
                ))
            }
            UnaryOperator::Negate | UnaryOperator::Complement => {
                let operand = self.number(operand, scope)?;
                let kind = if operand.kind == ValueType::Float {
                    ValueType::Float
                } else {
                    ValueType::Integer
                };
                let narrow = narrow_unsigned(&operand.kind);
                let result = typed(Node::Unary(operator, Box::new(operand)), kind, span);
                Some(match narrow {
                    // As in C: the complement of an unsigned int is one.
                    Some(ty) if operator == UnaryOperator::Complement => typed(
                        Node::Convert(UNSIGNED_INT, Box::new(result)),
                        ValueType::Kernel(ty),
                        span,
                    ),
                    _ => result,
                })
            }
        }
    }

    pub(super) fn dereference(
        &mut self,
        operand: &Expression,
        span: Span,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        let operand = self.value(operand, scope)?;
        let target = match &operand.kind {
            ValueType::Kernel(Type::Pointer(target)) => (**target).clone(),
            ValueType::Kernel(Type::Array { element, .. }) => {
                let kind = ValueType::Kernel((**element).clone());
                return Some(typed(
                    Node::At {
                        base: Box::new(operand),
                        offset: 0,
                        bits: None,
                    },
                    kind,
                    span,
                ));
            }
            other => {
                let message = format!("`{other}` is no pointer");
                self.error(span, message, "`*` needs one");
                return None;
            }
        };
        if matches!(self.strip(span, &target)?, Type::Void) {
            self.error_with_hint(
                span,
                "a `void *` points to nothing that could be read",
                "",
                "cast it first: `*(struct T *)x`",
            );
            return None;
        }
        Some(typed(
            Node::Follow(Box::new(operand)),
            ValueType::Kernel(target),
            span,
        ))
    }

    /// The address of a place.
    pub(super) fn address_of(&mut self, operand: Typed) -> Option<Typed> {
        let span = operand.span;
        let ValueType::Kernel(ty) = &operand.kind else {
            self.error(span, format!("`{}` has no address", operand.kind), "");
            return None;
        };
        let is_place = operand.is_place()
            || matches!(ty, Type::Struct(_) | Type::Union(_) | Type::Array { .. });
        if !is_place {
            self.error(
                span,
                "this is a value and not a place in memory",
                "`&` needs a member, a symbol or an element",
            );
            return None;
        }
        let kind = ValueType::Kernel(ty.clone().pointer_to());
        Some(typed(Node::AddressOf(Box::new(operand)), kind, span))
    }

    pub(super) fn logical(
        &mut self,
        operator: LogicalOperator,
        operands: &[Expression],
        span: Span,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        let checked: Vec<_> = operands
            .iter()
            .map(|operand| self.value(operand, scope))
            .collect();
        let operands: Vec<Typed> = checked.into_iter().collect::<Option<_>>()?;
        Some(typed(
            Node::Logical(operator, operands),
            ValueType::Boolean,
            span,
        ))
    }

    pub(super) fn conditional(
        &mut self,
        condition: &Expression,
        then: &Expression,
        otherwise: &Expression,
        span: Span,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        let condition = self.value(condition, scope);
        let then = self.value(then, scope);
        let otherwise = self.value(otherwise, scope);
        let (condition, then, otherwise) = (condition?, then?, otherwise?);
        let kind = self.common_kind(&then, &otherwise, span)?;
        let node = Node::Conditional(Box::new(condition), Box::new(then), Box::new(otherwise));
        Some(typed(node, kind, span))
    }

    pub(super) fn is_in(
        &mut self,
        value: &Expression,
        set: &InSet,
        span: Span,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        let value = self.value(value, scope)?;
        let node = match set {
            InSet::List(members) => {
                let checked: Vec<_> = members
                    .iter()
                    .map(|member| self.value(member, scope))
                    .collect();
                let members: Vec<Typed> = checked.into_iter().collect::<Option<_>>()?;
                for member in &members {
                    self.check_comparable(&value, member, member.span)?;
                    self.doubt(BinaryOperator::Equal, &value, member);
                }
                Node::InList(Box::new(value), members)
            }
            InSet::Query(query) => Node::InQuery(Box::new(value), self.one_column(query, scope)?),
        };
        Some(typed(node, ValueType::Boolean, span))
    }

    pub(super) fn between(
        &mut self,
        value: &Expression,
        low: &Expression,
        high: &Expression,
        span: Span,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        let (value, low, high) = (
            self.value(value, scope),
            self.value(low, scope),
            self.value(high, scope),
        );
        let (value, low, high) = (value?, low?, high?);
        self.check_comparable(&value, &low, low.span)?;
        self.check_comparable(&value, &high, high.span)?;
        Some(typed(
            Node::Between(Box::new(value), Box::new(low), Box::new(high)),
            ValueType::Boolean,
            span,
        ))
    }
}

fn literal_value(literal: &Literal, span: Span) -> Typed {
    let (value, kind) = match literal {
        Literal::Null => (Value::Null(Reason::Absent), ValueType::Any),
        Literal::Boolean(truth) => (Value::Boolean(*truth), ValueType::Boolean),
        Literal::Integer { value, .. } => (Value::Integer(i128::from(*value)), ValueType::Integer),
        Literal::Float(number) => (Value::Float(*number), ValueType::Float),
        Literal::Text(bytes) => (Value::text(bytes), ValueType::Text),
        Literal::Bytes(bytes) => (Value::Bytes(Rc::from(bytes.as_slice())), ValueType::Bytes),
        Literal::Duration { nanoseconds, .. } => (
            Value::Duration(i128::from(*nanoseconds)),
            ValueType::Duration,
        ),
    };
    typed(Node::Constant(value), kind, span)
}

/// What C computes with where an operand is an `unsigned int`.
const UNSIGNED_INT: Conversion = Conversion::Integer {
    bits: 32,
    signed: false,
};

/// The type of an operand that is C's `unsigned int`; narrower ones become `int` before C computes with them.
fn narrow_unsigned(kind: &ValueType) -> Option<Type> {
    match kind {
        ValueType::Kernel(ty @ Type::Base(base))
            if base.encoding == Encoding::Unsigned && base.size == 4 =>
        {
            Some(ty.clone())
        }
        _ => None,
    }
}
