//! C abstract declarators ⇄ [`Type`]: `int (*(*)(void))[3]` (C11, section 6.7.7).
//!
//! Pure syntax: a name that is not built of C's own words for numbers becomes a typedef, and base types get the sizes of the LP64
//! data model; [`super::LayoutProfile`] replaces both by what the profile says.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use super::numbers::number_or_typedef;
use super::types::{FunctionType, Type};

/// Why a text is not a type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TypeSyntaxError {
    /// Something else was needed at a place.
    #[error("expected {expected} at column {column} of type `{text}`")]
    Expected {
        /// What was needed.
        expected: &'static str,
        /// Where, in characters, from 1.
        column: usize,
        /// All of the text.
        text: String,
    },
    /// Words that mean nothing together.
    #[error("`{words}` is not a type")]
    Words {
        /// The words.
        words: String,
    },
    /// More nesting than any kernel has.
    #[error("type `{text}` nests more than {MAX_DEPTH} levels deep")]
    TooDeep {
        /// The start of the text.
        text: String,
    },
}

/// Declarators in declarators that are followed.
const MAX_DEPTH: usize = 64;

/// The type that an abstract declarator spells.
pub(super) fn parse(text: &str) -> Result<Type, TypeSyntaxError> {
    let mut parser = Parser { text, at: 0 };
    let base = parser.specifier()?;
    let ty = parser.declarator(base, 0)?;
    if parser.peek().is_some() {
        return Err(parser.expected("the end"));
    }
    Ok(ty)
}

struct Parser<'a> {
    text: &'a str,
    /// Byte position, always at a character boundary.
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn peek(&mut self) -> Option<char> {
        self.skip_space();
        self.rest().chars().next()
    }

    fn eat(&mut self, wanted: &str) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len();
        }
        found
    }

    fn expected(&self, expected: &'static str) -> TypeSyntaxError {
        TypeSyntaxError::Expected {
            expected,
            column: self.text.get(..self.at).unwrap_or("").chars().count() + 1,
            text: self.text.to_owned(),
        }
    }

    /// A C identifier with what profiles append to one: `foo#2`.
    fn word(&mut self) -> Option<&'a str> {
        self.skip_space();
        let rest = self.rest();
        if rest.starts_with(|first: char| first.is_ascii_digit() || first == '#') {
            return None;
        }
        let is_part =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '#' | '$') || !c.is_ascii();
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).filter(|word| !word.is_empty())
    }

    /// The name after `struct`, `union` or `enum`: an identifier, or the path of an anonymous type in parentheses.
    fn tag(&mut self) -> Result<Arc<str>, TypeSyntaxError> {
        if self.peek() != Some('(') {
            return self
                .word()
                .map(Arc::from)
                .ok_or_else(|| self.expected("a name"));
        }
        let rest = self.rest();
        let close = rest
            .find(')')
            .ok_or_else(|| self.expected("a closing `)`"))?;
        let tail = rest.get(close + 1..).unwrap_or("");
        let suffix = match tail.strip_prefix('#') {
            Some(number) => {
                1 + number.len()
                    - number
                        .trim_start_matches(|c: char| c.is_ascii_digit())
                        .len()
            }
            None => 0,
        };
        let length = close + 1 + suffix;
        self.at += length;
        Ok(Arc::from(rest.get(..length).unwrap_or("")))
    }

    /// Everything before the first `*`, `(` or `[`.
    fn specifier(&mut self) -> Result<Type, TypeSyntaxError> {
        let mut words: Vec<&str> = Vec::new();
        let mut tagged = None;
        while let Some(word) = self.word() {
            match word {
                "const" | "volatile" | "restrict" | "_Atomic" => {}
                "struct" => tagged = Some(Type::Struct(self.tag()?)),
                "union" => tagged = Some(Type::Union(self.tag()?)),
                "enum" => tagged = Some(Type::Enum(self.tag()?)),
                other => words.push(other),
            }
        }
        match (tagged, words.as_slice()) {
            (Some(tagged), []) => Ok(tagged),
            (None, []) => Err(self.expected("a type's name")),
            (None, ["void"]) => Ok(Type::Void),
            (None, words) => number_or_typedef(words),
            (Some(tagged), words) => Err(TypeSyntaxError::Words {
                words: format!("{tagged} {}", words.join(" ")),
            }),
        }
    }

    /// Pointers, arrays and parameters around `inner`.
    fn declarator(&mut self, inner: Type, depth: usize) -> Result<Type, TypeSyntaxError> {
        if depth > MAX_DEPTH {
            return Err(TypeSyntaxError::TooDeep {
                text: self.text.chars().take(80).collect(),
            });
        }
        let mut inner = inner;
        let mut pointers = 0;
        loop {
            if self.eat("*") {
                pointers += 1;
                if pointers > MAX_DEPTH {
                    return Err(self.expected("fewer `*`"));
                }
                inner = inner.pointer_to();
            } else if !self.eat_qualifier() {
                break;
            }
        }
        if !self.opens_group() {
            return self.suffixes(inner, depth);
        }
        // What is in the parentheses applies to what the suffixes after them make: read the suffixes first.
        let group = self.at;
        self.skip_group()?;
        let outer = self.suffixes(inner, depth)?;
        let end = std::mem::replace(&mut self.at, group + 1);
        let ty = self.declarator(outer, depth + 1)?;
        if !self.eat(")") {
            return Err(self.expected("`)`"));
        }
        self.at = end;
        Ok(ty)
    }

    fn eat_qualifier(&mut self) -> bool {
        let before = self.at;
        let qualifier = matches!(self.word(), Some("const" | "volatile" | "restrict"));
        if !qualifier {
            self.at = before;
        }
        qualifier
    }

    /// Whether a `(` here groups a declarator; otherwise it starts parameters.
    fn opens_group(&mut self) -> bool {
        if self.peek() != Some('(') {
            return false;
        }
        let inside = self.rest().get(1..).unwrap_or("").trim_start();
        inside.starts_with(['*', '(', '['])
    }

    /// Moves past the `)` that closes the `(` here.
    fn skip_group(&mut self) -> Result<(), TypeSyntaxError> {
        let mut depth = 0_usize;
        for (position, character) in self.rest().char_indices() {
            match character {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                self.at += position + 1;
                return Ok(());
            }
        }
        Err(self.expected("a closing `)`"))
    }

    /// `[4][2]` or `(int, char *)` after a declarator.
    fn suffixes(&mut self, inner: Type, depth: usize) -> Result<Type, TypeSyntaxError> {
        if self.eat("(") {
            let function = self.parameters(inner, depth)?;
            return Ok(Type::Function(Arc::new(function)));
        }
        let mut counts = Vec::new();
        while self.eat("[") {
            counts.push(self.count()?);
            if counts.len() > MAX_DEPTH {
                return Err(self.expected("fewer dimensions"));
            }
        }
        // The last dimension is the innermost.
        Ok(counts.into_iter().rev().fold(inner, Type::array_of))
    }

    fn count(&mut self) -> Result<Option<u64>, TypeSyntaxError> {
        if self.eat("]") {
            return Ok(None);
        }
        let rest = self.rest();
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let count = rest.get(..digits).and_then(|digits| digits.parse().ok());
        let count = count.ok_or_else(|| self.expected("a number of elements"))?;
        self.at += digits;
        if !self.eat("]") {
            return Err(self.expected("`]`"));
        }
        Ok(Some(count))
    }

    /// Parameters up to and with the closing `)`.
    fn parameters(&mut self, result: Type, depth: usize) -> Result<FunctionType, TypeSyntaxError> {
        let mut function = FunctionType {
            result,
            parameters: Vec::new(),
            variadic: false,
        };
        if self.eat(")") {
            return Ok(function);
        }
        loop {
            if self.eat("...") {
                function.variadic = true;
            } else {
                let base = self.specifier()?;
                function.parameters.push(self.declarator(base, depth + 1)?);
            }
            if self.eat(")") {
                break;
            }
            if function.variadic || !self.eat(",") {
                return Err(self.expected("`)`"));
            }
        }
        if function.parameters == [Type::Void] && !function.variadic {
            function.parameters.clear();
        }
        Ok(function)
    }
}

/// Writes the C spelling of a type, without a name.
pub(super) fn spell(ty: &Type, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    spell_around(ty, String::new(), out)
}

/// Writes the C declaration of something of that type: `inner` is its name, or empty.
pub(super) fn spell_around(ty: &Type, mut inner: String, out: &mut impl fmt::Write) -> fmt::Result {
    let mut ty = ty;
    let mut levels = 0;
    let base = loop {
        levels += 1;
        if levels > MAX_DEPTH * MAX_DEPTH {
            return out.write_str("...");
        }
        ty = match ty {
            Type::Pointer(target) => {
                inner.insert(0, '*');
                target
            }
            Type::Array { element, count } => {
                group_pointer(&mut inner);
                match count {
                    Some(count) => write!(inner, "[{count}]")?,
                    None => inner.push_str("[]"),
                }
                element
            }
            Type::Function(function) => {
                group_pointer(&mut inner);
                spell_parameters(function, &mut inner)?;
                &function.result
            }
            base => break base,
        };
    };
    spell_base(base, out)?;
    match inner.as_bytes().first() {
        None => Ok(()),
        Some(b'[') => out.write_str(&inner),
        Some(_) => write!(out, " {inner}"),
    }
}

/// A suffix binds tighter than `*`: `*` must be put in parentheses before one.
fn group_pointer(inner: &mut String) {
    if inner.starts_with('*') {
        inner.insert(0, '(');
        inner.push(')');
    }
}

fn spell_parameters(function: &FunctionType, out: &mut String) -> fmt::Result {
    out.push('(');
    for (index, parameter) in function.parameters.iter().enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        write!(out, "{comma}{parameter}")?;
    }
    match (function.variadic, function.parameters.is_empty()) {
        (true, true) => out.push_str("..."),
        (true, false) => out.push_str(", ..."),
        (false, true) => out.push_str("void"),
        (false, false) => {}
    }
    out.push(')');
    Ok(())
}

fn spell_base(ty: &Type, out: &mut impl fmt::Write) -> fmt::Result {
    match ty {
        Type::Base(base) => out.write_str(&base.name),
        Type::Struct(name) => write!(out, "struct {name}"),
        Type::Union(name) => write!(out, "union {name}"),
        Type::Enum(name) => write!(out, "enum {name}"),
        Type::Typedef(name) => out.write_str(name),
        _ => out.write_str("void"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_parsed_is_spelled_the_same() {
        for text in [
            "void",
            "int",
            "long unsigned int",
            "void *",
            "char[16]",
            "char[]",
            "int[3][4]",
            "struct task_struct *[4]",
            "int (*)[3]",
            "void (*)(struct work_struct *)",
            "int (*)(const_typedef, char *, ...)",
            "int (void)",
            "int (*(*)(void))[3]",
            "void (*(*[8])(int))(void)",
            "struct (task_struct.foo)[2]",
            "struct foo#2 **",
            "enum (FIRST)#3",
            "u32",
            "void (*[2])(struct (a.b) *)",
        ] {
            let ty = parse(text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(ty.to_string(), text);
        }
    }

    #[test]
    fn order_of_words_and_qualifiers_do_not_matter() {
        for (text, spelling) in [
            ("unsigned long", "long unsigned int"),
            ("unsigned", "unsigned int"),
            ("long long", "long long int"),
            ("signed", "int"),
            ("signed long int", "long int"),
            ("unsigned short", "short unsigned int"),
            ("char signed", "signed char"),
            ("unsigned __int128", "__int128 unsigned"),
            ("const char *const *", "char **"),
            ("  struct   list_head*", "struct list_head *"),
            ("long double", "long double"),
        ] {
            let ty = parse(text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(ty.to_string(), spelling);
        }
    }

    #[test]
    fn arrays_nest_from_the_left() {
        let Ok(Type::Array { element, count }) = parse("int[3][4]") else {
            panic!("not an array");
        };
        assert_eq!(count, Some(3));
        assert_eq!(element.to_string(), "int[4]");
    }

    #[test]
    fn wrong_texts_are_refused_and_pointed_at() {
        for (text, message) in [
            ("", "expected a type's name at column 1 of type ``"),
            ("struct", "expected a name at column 7 of type `struct`"),
            (
                "int[x]",
                "expected a number of elements at column 5 of type `int[x]`",
            ),
            (
                "int[99999999999999999999]",
                "expected a number of elements at column 5 of type `int[99999999999999999999]`",
            ),
            (
                "int (*",
                "expected a closing `)` at column 5 of type `int (*`",
            ),
            ("int 4", "expected the end at column 5 of type `int 4`"),
            ("unsigned u32", "`unsigned u32` is not a type"),
            ("long char", "`long char` is not a type"),
            ("struct a b", "`struct a b` is not a type"),
            (
                "int (*)(int",
                "expected `)` at column 12 of type `int (*)(int`",
            ),
        ] {
            assert_eq!(
                parse(text).map_err(|error| error.to_string()),
                Err(message.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn hostile_depth_is_an_error_and_quick() {
        let deep = format!("int {}*{}", "(".repeat(5000), ")".repeat(5000));
        assert!(parse(&deep).is_err());
        assert!(parse(&format!("int {}", "*".repeat(5000))).is_err());
        let calls = format!("int {}", "(int ".repeat(5000));
        assert!(parse(&calls).is_err());
    }
}
