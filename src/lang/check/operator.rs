//! Operators between two operands, and which types can stand beside each other.

use std::rc::Rc;

use crate::lang::ast::{BinaryOperator, Expression, Span};
use crate::lang::typed::{Node, Pattern, Typed};
use crate::profile::Type;
use crate::report::Report;
use crate::value::{Value, ValueType};

use super::Checker;
use super::scope::{Scope, typed};

impl Checker<'_> {
    /// `left operator right`.
    pub(super) fn binary(
        &mut self,
        operator: BinaryOperator,
        left: &Expression,
        right: &Expression,
        span: Span,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        if operator == BinaryOperator::Coalesce {
            return self.coalesce(left, right, span, scope);
        }
        let left = self.value(left, scope);
        let right = self.value(right, scope);
        let (left, right) = (left?, right?);
        match operator {
            BinaryOperator::Equal
            | BinaryOperator::NotEqual
            | BinaryOperator::Less
            | BinaryOperator::LessEqual
            | BinaryOperator::Greater
            | BinaryOperator::GreaterEqual => self.comparison(operator, left, right, span),
            BinaryOperator::Like | BinaryOperator::Matches => {
                self.pattern(operator, left, &right, span)
            }
            BinaryOperator::Has => {
                Some(binary_node(operator, left, right, ValueType::Boolean, span))
            }
            BinaryOperator::Add | BinaryOperator::Subtract => self.sum(operator, left, right, span),
            _ => {
                self.check_number(&left)?;
                self.check_number(&right)?;
                let kind = arithmetic_kind(&left, &right);
                Some(binary_node(operator, left, right, kind, span))
            }
        }
    }

    fn check_number(&mut self, operand: &Typed) -> Option<()> {
        if operand.kind.is_numeric() {
            return Some(());
        }
        self.error(
            operand.span,
            format!("a number is wanted here, and this is `{}`", operand.kind),
            "",
        );
        None
    }

    /// `a ?? b`. In the walk library an operand whose member this kernel lacks is left out, so that one definition fits several
    /// kernels.
    fn coalesce(
        &mut self,
        left: &Expression,
        right: &Expression,
        span: Span,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        let before = self.errors.len();
        let left = self.value(left, scope);
        let between = self.errors.len();
        let right = self.value(right, scope);
        let (left, right) = match (left, right) {
            (Some(left), Some(right)) => (left, right),
            (Some(only), None) | (None, Some(only)) if self.in_library => {
                self.errors.truncate(before);
                return Some(only);
            }
            (None, None) if self.in_library => {
                self.errors.truncate(between);
                return None;
            }
            _ => return None,
        };
        let kind = self.common_kind(&left, &right, span)?;
        Some(typed(Node::Coalesce(vec![left, right]), kind, span))
    }

    fn comparison(
        &mut self,
        operator: BinaryOperator,
        left: Typed,
        right: Typed,
        span: Span,
    ) -> Option<Typed> {
        for operand in [&left, &right] {
            // The value of a `let` in the same text is not known yet; its type is.
            let is_null = matches!(&operand.node, Node::Constant(Value::Null(_)));
            if is_null && operand.kind == ValueType::Any {
                self.error_with_hint(
                    operand.span,
                    "nothing is equal to null, not even null",
                    "compared with null here",
                    "write `x is null` or `x is not null`; a null *pointer* is `x = 0`",
                );
                return None;
            }
        }
        self.check_comparable(&left, &right, span)?;
        self.doubt(operator, &left, &right);
        Some(binary_node(operator, left, right, ValueType::Boolean, span))
    }

    /// Refuses comparisons that can never hold: text with numbers, structs with anything.
    pub(super) fn check_comparable(
        &mut self,
        left: &Typed,
        right: &Typed,
        span: Span,
    ) -> Option<()> {
        let text = |typed: &Typed| typed.kind.is_text() || typed.kind == ValueType::Bytes;
        let named = |typed: &Typed| matches!(typed.kind, ValueType::Kernel(Type::Enum(_)));
        for operand in [left, right] {
            if matches!(
                operand.kind,
                ValueType::Kernel(Type::Struct(_) | Type::Union(_) | Type::Array { .. })
            ) && !text(operand)
            {
                self.error(
                    operand.span,
                    format!("`{}` cannot be compared", operand.kind),
                    "compare one of its members, or its address with `&`",
                );
                return None;
            }
        }
        let numbers = left.kind.is_numeric() && right.kind.is_numeric();
        let texts = text(left) && text(right);
        let by_name = named(left) && text(right) || text(left) && named(right);
        let lists =
            matches!(left.kind, ValueType::List(_)) && matches!(right.kind, ValueType::List(_));
        if numbers || texts || by_name || lists {
            return Some(());
        }
        self.error(
            span,
            format!("`{}` and `{}` cannot be compared", left.kind, right.kind),
            "this can never hold",
        );
        None
    }

    fn pattern(
        &mut self,
        operator: BinaryOperator,
        left: Typed,
        right: &Typed,
        span: Span,
    ) -> Option<Typed> {
        if !left.kind.is_text() && left.kind != ValueType::Bytes {
            self.error(
                left.span,
                format!("text is wanted here, and this is `{}`", left.kind),
                "",
            );
            return None;
        }
        let Node::Constant(Value::Text(text)) = &right.node else {
            self.error(
                right.span,
                "the pattern must be a text that is written out",
                "",
            );
            return None;
        };
        let text = String::from_utf8_lossy(text).into_owned();
        let expression = if operator == BinaryOperator::Like {
            like_to_regex(&text)
        } else {
            text.clone()
        };
        match regex::bytes::RegexBuilder::new(&expression)
            .dot_matches_new_line(operator == BinaryOperator::Like)
            .build()
        {
            Ok(regex) => {
                let pattern = Rc::new(Pattern { text, regex });
                Some(typed(
                    Node::Matches(Box::new(left), pattern),
                    ValueType::Boolean,
                    span,
                ))
            }
            Err(error) => {
                let report = Report::error("the regular expression is not valid").at(
                    &self.source,
                    right.span.into(),
                    "",
                );
                self.errors.push(report.with_note(error.to_string()));
                None
            }
        }
    }

    /// `+` and `-`: numbers, text put together, pointers moved by elements or subtracted.
    fn sum(
        &mut self,
        operator: BinaryOperator,
        left: Typed,
        right: Typed,
        span: Span,
    ) -> Option<Typed> {
        if operator == BinaryOperator::Add
            && (left.kind.is_text() || right.kind.is_text())
            && left.kind != ValueType::Any
        {
            for operand in [&left, &right] {
                if !operand.kind.is_text() {
                    self.error_with_hint(
                        operand.span,
                        format!("text and `{}` cannot be put together", operand.kind),
                        "",
                        "use `format('%d', x)`",
                    );
                    return None;
                }
            }
            return Some(binary_node(operator, left, right, ValueType::Text, span));
        }
        self.check_number(&left)?;
        self.check_number(&right)?;
        match (pointer_target(&left), pointer_target(&right)) {
            (Some(target), None) => self.pointer_offset(operator, left, right, &target, span),
            (None, Some(target)) if operator == BinaryOperator::Add => {
                self.pointer_offset(operator, right, left, &target, span)
            }
            _ => {
                let kind = arithmetic_kind(&left, &right);
                Some(binary_node(operator, left, right, kind, span))
            }
        }
    }

    fn pointer_offset(
        &mut self,
        operator: BinaryOperator,
        pointer: Typed,
        index: Typed,
        target: &Type,
        span: Span,
    ) -> Option<Typed> {
        let stripped = self.strip(span, target)?;
        let size = match stripped {
            Type::Void | Type::Function(_) => 1,
            _ => i64::try_from(self.size_of(span, target)?).unwrap_or(i64::MAX),
        };
        let size = if operator == BinaryOperator::Subtract {
            -size
        } else {
            size
        };
        let kind = pointer.kind.clone();
        Some(typed(
            Node::PointerOffset {
                pointer: Box::new(pointer),
                index: Box::new(index),
                size,
            },
            kind,
            span,
        ))
    }

    /// The type that two alternatives have in common.
    pub(super) fn common_kind(
        &mut self,
        one: &Typed,
        other: &Typed,
        span: Span,
    ) -> Option<ValueType> {
        let null = |typed: &Typed| matches!(typed.node, Node::Constant(Value::Null(_)));
        let pointer = |typed: &Typed| pointer_target(typed).is_some();
        if null(one) || one.kind == ValueType::Any {
            return Some(other.kind.clone());
        }
        if null(other) || other.kind == ValueType::Any || one.kind == other.kind {
            return Some(one.kind.clone());
        }
        if one.kind.is_text() && other.kind.is_text() {
            return Some(ValueType::Text);
        }
        if pointer(one) && other.kind.is_numeric() {
            return Some(one.kind.clone());
        }
        if pointer(other) && one.kind.is_numeric() {
            return Some(other.kind.clone());
        }
        if one.kind.is_numeric() && other.kind.is_numeric() {
            return Some(arithmetic_kind(one, other));
        }
        self.error(
            span,
            format!("this is either `{}` or `{}`", one.kind, other.kind),
            "both must be of one kind",
        );
        None
    }
}

fn binary_node(
    operator: BinaryOperator,
    left: Typed,
    right: Typed,
    kind: ValueType,
    span: Span,
) -> Typed {
    typed(
        Node::Binary(operator, Box::new(left), Box::new(right)),
        kind,
        span,
    )
}

fn pointer_target(typed: &Typed) -> Option<Type> {
    match &typed.kind {
        ValueType::Kernel(Type::Pointer(target)) => Some((**target).clone()),
        _ => None,
    }
}

/// What arithmetic on two numbers gives.
fn arithmetic_kind(left: &Typed, right: &Typed) -> ValueType {
    let float = |kind: &ValueType| {
        *kind == ValueType::Float
            || matches!(kind, ValueType::Kernel(Type::Base(base)) if base.encoding == crate::profile::Encoding::Float)
    };
    if float(&left.kind) || float(&right.kind) {
        ValueType::Float
    } else if left.kind == ValueType::Duration || right.kind == ValueType::Duration {
        ValueType::Duration
    } else {
        ValueType::Integer
    }
}

/// SQL's `like`: `%` is any text, `_` any character, `\` makes the next one ordinary.
fn like_to_regex(pattern: &str) -> String {
    let mut regex = String::from("(?s-u)^");
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '%' => regex.push_str(".*"),
            '_' => regex.push('.'),
            '\\' => regex.push_str(&literal(characters.next().unwrap_or('\\'))),
            other => regex.push_str(&literal(other)),
        }
    }
    regex.push('$');
    regex
}

/// A character's bytes as a regular expression over bytes.
fn literal(character: char) -> String {
    let mut buffer = [0; 4];
    character
        .encode_utf8(&mut buffer)
        .bytes()
        .map(|byte| format!("\\x{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_is_anchored_and_literal() {
        let regex = |pattern: &str| regex::bytes::Regex::new(&like_to_regex(pattern)).unwrap();
        assert!(regex("kworker%").is_match(b"kworker/0:0"));
        assert!(!regex("worker").is_match(b"kworker"));
        assert!(regex("a.c").is_match(b"a.c") && !regex("a.c").is_match(b"abc"));
        assert!(regex("a_c").is_match(b"a\xffc"));
        assert!(regex("50\\%").is_match(b"50%"));
    }
}
