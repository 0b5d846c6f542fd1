//! Bytes and a type → a typed value; comparison and the types that expressions have.
//!
//! A value never pretends: what could not be read or computed is [`Value::Null`] with its reason. This room knows C's and DWARF's
//! types, not the kernel's entities; it does no reading.

mod compare;
mod decode;
mod kind;

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

pub use compare::{compare, equal};
pub use decode::{decode_scalar, scalar_size};
pub use kind::{ValueType, is_character};

use crate::addr::VirtAddr;
use crate::memory::ReadFailure;
use crate::profile::Type;
use crate::wave::Unreadable;

/// Why there is no value.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// Written as `null`, or the empty side of an `optional` source.
    Absent,
    /// A null pointer was to be followed.
    NullPointer,
    /// The bytes could not be read.
    Unreadable(Unreadable),
    /// An integer result does not fit into 64 bits.
    Overflow,
    /// Division or remainder by zero.
    DivisionByZero,
    /// An index, length or shift outside what the operand has.
    OutOfRange,
    /// A loop of a walk-library function did not end within its limit.
    LoopLimit(u64),
    /// Something that the running kernel has not, in words.
    Unavailable(Rc<str>),
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => formatter.write_str("null"),
            Self::NullPointer => formatter.write_str("null pointer"),
            Self::Unreadable(Unreadable::Memory {
                failure: ReadFailure::NotIssued,
                ..
            }) => formatter.write_str("budget exhausted"),
            Self::Unreadable(unreadable) => write!(formatter, "{unreadable}"),
            Self::Overflow => formatter.write_str("integer overflow"),
            Self::DivisionByZero => formatter.write_str("division by zero"),
            Self::OutOfRange => formatter.write_str("out of range"),
            Self::LoopLimit(limit) => write!(formatter, "no end after {limit} steps"),
            Self::Unavailable(what) => formatter.write_str(what),
        }
    }
}

/// A typed object in the target's kernel address space that has not been read.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Its first byte.
    pub address: VirtAddr,
    /// Its type.
    pub ty: Type,
}

/// A struct or union with the values of its members.
#[derive(Clone, Debug, PartialEq)]
pub struct StructValue {
    /// Its type, as C spells it.
    pub type_name: String,
    /// Where it was read.
    pub address: VirtAddr,
    /// Members in the order of their offsets.
    pub members: Vec<(Arc<str>, Value)>,
}

/// What an expression gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// No value, and why.
    Null(Reason),
    /// True or false.
    Boolean(bool),
    /// An integer between -2^63 and 2^64 - 1.
    Integer(i128),
    /// A floating-point number.
    Float(f64),
    /// Text as the target has it: bytes, mostly UTF-8, never trusted.
    Text(Rc<[u8]>),
    /// Bytes that are not text.
    Bytes(Rc<[u8]>),
    /// Nanoseconds.
    Duration(i128),
    /// A pointer's value.
    Address(u64),
    /// An enumerator: its number and, where the type has one for it, its name.
    Enumerator(i128, Option<Arc<str>>),
    /// Something that lies in memory and has not been read.
    Place(Place),
    /// A struct that has been read.
    Struct(Rc<StructValue>),
    /// Several values.
    List(Rc<[Value]>),
}

impl Value {
    /// Text from a string of this program.
    pub fn text(text: impl AsRef<[u8]>) -> Self {
        Self::Text(Rc::from(text.as_ref()))
    }

    /// An integer, or null where it does not fit into 64 bits, signed or unsigned.
    pub fn integer(number: i128) -> Self {
        if (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&number) {
            Self::Integer(number)
        } else {
            Self::Null(Reason::Overflow)
        }
    }

    /// Null because of a failed read.
    pub fn unreadable(unreadable: Unreadable) -> Self {
        Self::Null(Reason::Unreadable(unreadable))
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null(_))
    }

    /// As a number, where it is one: integers, booleans, enumerators, addresses, durations (nanoseconds), places (their address).
    pub fn as_integer(&self) -> Option<i128> {
        match self {
            Self::Integer(number) | Self::Enumerator(number, _) | Self::Duration(number) => {
                Some(*number)
            }
            Self::Boolean(truth) => Some(i128::from(*truth)),
            Self::Address(address) => Some(i128::from(*address)),
            Self::Place(place) => Some(i128::from(place.address.get())),
            _ => None,
        }
    }

    /// As a truth, as C has it: zero, a null pointer and empty text are false. `None` for null and for what has no truth.
    pub fn truth(&self) -> Option<bool> {
        match self {
            Self::Null(_) => None,
            Self::Float(number) => Some(*number != 0.0),
            Self::Text(bytes) | Self::Bytes(bytes) => Some(!bytes.is_empty()),
            Self::List(values) => Some(!values.is_empty()),
            Self::Struct(_) => Some(true),
            other => other.as_integer().map(|number| number != 0),
        }
    }
}
