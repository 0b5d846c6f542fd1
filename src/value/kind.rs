//! The types that expressions have before anything is read.

use std::fmt;

use crate::profile::{Encoding, Type};

/// The type of an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueType {
    /// Not known before execution (null, or an operand whose type was already reported as wrong).
    Any,
    /// True or false.
    Boolean,
    /// A 64-bit integer, signed or unsigned.
    Integer,
    /// A floating-point number.
    Float,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
    /// A duration in nanoseconds.
    Duration,
    /// Several values of one type.
    List(Box<ValueType>),
    /// A type of the kernel: a base type, an enum, a pointer, a struct, an array.
    Kernel(Type),
}

impl ValueType {
    /// Whether a number can be made of it. Typedefs must have been stripped.
    pub fn is_numeric(&self) -> bool {
        match self {
            Self::Any | Self::Boolean | Self::Integer | Self::Float | Self::Duration => true,
            Self::Kernel(ty) => matches!(
                ty,
                Type::Base(_) | Type::Enum(_) | Type::Pointer(_) | Type::Function(_)
            ),
            Self::Text | Self::Bytes | Self::List(_) => false,
        }
    }

    /// Whether it is text, or an array of characters that is read as text.
    pub fn is_text(&self) -> bool {
        match self {
            Self::Any | Self::Text => true,
            Self::Kernel(Type::Array { element, .. }) => is_character(element),
            _ => false,
        }
    }
}

/// Whether a stripped type is C's `char` in any signedness.
pub fn is_character(ty: &Type) -> bool {
    match ty {
        Type::Base(base) => {
            base.size == 1 && matches!(base.encoding, Encoding::SignedChar | Encoding::UnsignedChar)
        }
        _ => false,
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => formatter.write_str("any"),
            Self::Boolean => formatter.write_str("bool"),
            Self::Integer => formatter.write_str("integer"),
            Self::Float => formatter.write_str("float"),
            Self::Text => formatter.write_str("text"),
            Self::Bytes => formatter.write_str("bytes"),
            Self::Duration => formatter.write_str("duration"),
            Self::List(element) => write!(formatter, "list of {element}"),
            Self::Kernel(ty) => write!(formatter, "{ty}"),
        }
    }
}
