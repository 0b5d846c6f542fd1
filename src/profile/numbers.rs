//! C's words for numbers → base types, in whatever order they are written.

use std::sync::Arc;

use super::declarator::TypeSyntaxError;
use super::types::{BaseType, Encoding, Type};

/// C's words for numbers, counted, so that order does not matter: `unsigned long` is `long unsigned int`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct NumberWords {
    signed: u32,
    unsigned: u32,
    short: u32,
    long: u32,
    int: u32,
    char: u32,
    int128: u32,
    float: u32,
    double: u32,
    boolean: u32,
}

impl NumberWords {
    /// The words of a base type's name, in a form that is the same for all spellings of one type; `None` if another word is among them.
    pub(super) fn of(name: &str) -> Option<Self> {
        let mut words = Self::default();
        for word in name.split_ascii_whitespace() {
            words.add(word)?;
        }
        Some(words.canonical())
    }

    fn add(&mut self, word: &str) -> Option<()> {
        let count = match word {
            "signed" => &mut self.signed,
            "unsigned" => &mut self.unsigned,
            "short" => &mut self.short,
            "long" => &mut self.long,
            "int" => &mut self.int,
            "char" => &mut self.char,
            "__int128" => &mut self.int128,
            "float" => &mut self.float,
            "double" => &mut self.double,
            "_Bool" => &mut self.boolean,
            _ => return None,
        };
        *count = count.saturating_add(1);
        Some(())
    }

    /// `int` is implied by its companions, `signed` by everything but `char` and a bare `signed`.
    fn canonical(mut self) -> Self {
        let alone = self.short + self.char + self.int128 + self.float + self.double + self.boolean;
        let modified = self.short + self.long + self.signed + self.unsigned;
        if self.int <= 1 && alone.saturating_sub(self.short) == 0 && modified + self.int > 0 {
            self.int = 1;
        }
        if self.signed == 1 && self.char == 0 {
            self.signed = 0;
        }
        self
    }
}

/// Base types of the LP64 data model, by the spelling that GCC uses.
const LP64: [(&str, u64, Encoding); 18] = [
    ("_Bool", 1, Encoding::Boolean),
    ("char", 1, Encoding::SignedChar),
    ("signed char", 1, Encoding::SignedChar),
    ("unsigned char", 1, Encoding::UnsignedChar),
    ("short int", 2, Encoding::Signed),
    ("short unsigned int", 2, Encoding::Unsigned),
    ("int", 4, Encoding::Signed),
    ("unsigned int", 4, Encoding::Unsigned),
    ("long int", 8, Encoding::Signed),
    ("long unsigned int", 8, Encoding::Unsigned),
    ("long long int", 8, Encoding::Signed),
    ("long long unsigned int", 8, Encoding::Unsigned),
    ("__int128", 16, Encoding::Signed),
    ("__int128 unsigned", 16, Encoding::Unsigned),
    ("float", 4, Encoding::Float),
    ("double", 8, Encoding::Float),
    ("long double", 16, Encoding::Float),
    ("__float128", 16, Encoding::Float),
];

/// A base type where all words are C's own, a typedef where it is one other word.
pub(super) fn number_or_typedef(words: &[&str]) -> Result<Type, TypeSyntaxError> {
    let name = words.join(" ");
    let Some(wanted) = NumberWords::of(&name) else {
        return match words {
            [name] => Ok(Type::Typedef(Arc::from(*name))),
            _ => Err(TypeSyntaxError::Words { words: name }),
        };
    };
    let known = LP64
        .iter()
        .find(|(known, _, _)| NumberWords::of(known) == Some(wanted));
    let (name, size, encoding) = known.ok_or(TypeSyntaxError::Words { words: name })?;
    Ok(Type::Base(Arc::new(BaseType {
        name: Arc::from(*name),
        size: *size,
        encoding: *encoding,
    })))
}
