//! Tree → canonical NQ text: what `explain`, error messages, column names and a formatter show.
//!
//! Reading the text again gives the same tree (but for its spans), and printing that gives the same text. Parentheses stand
//! only where the tree would be another without them; keywords are lower case, texts in single quotes.

mod actions;
mod expression;
mod literal;
mod query;
mod statement;
#[cfg(test)]
mod tests;

use std::fmt;

use self::expression::expression;
use self::query::{clauses, query};
use self::statement::statement;
use super::ast::{
    Expression, Literal, MemberPath, Name, PathStep, Query, Statement, TypeBase, TypeName,
};
use super::operators::Level;

/// A query wider than this stands with one clause to a line.
const LINE_WIDTH: usize = 100;

/// Several statements, each on lines of its own, ready to be a file.
pub fn print_program(statements: &[Statement]) -> String {
    statements
        .iter()
        .map(|statement| print_statement(statement) + "\n")
        .collect()
}

/// One statement, on one line or, if it is a wide query, one clause to a line.
pub fn print_statement(written: &Statement) -> String {
    statement(written, " ", |line| line.chars().count() <= LINE_WIDTH)
        .unwrap_or_else(|| statement(written, "\n", |_| true).unwrap_or_default())
}

/// Names with commas between them.
fn names(list: &[Name]) -> String {
    joined(list, |name| name.text.clone())
}

/// Things with commas between them.
fn joined<T>(list: &[T], shown: impl Fn(&T) -> String) -> String {
    list.iter().map(shown).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Statement {
    /// On one line.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&statement(self, " ", |_| true).unwrap_or_default())
    }
}

impl fmt::Display for Query {
    /// On one line.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&query(self))
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&expression(self, Level::Conditional))
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&literal::literal(self))
    }
}

impl fmt::Display for TypeName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.base {
            TypeBase::Struct(name) => write!(formatter, "struct {}", name.text)?,
            TypeBase::Union(name) => write!(formatter, "union {}", name.text)?,
            TypeBase::Enum(name) => write!(formatter, "enum {}", name.text)?,
            TypeBase::Named(name) => formatter.write_str(&name.text)?,
        }
        if self.pointers > 0 {
            write!(formatter, " {}", "*".repeat(self.pointers))?;
        }
        for dimension in &self.dimensions {
            write!(formatter, "[{dimension}]")?;
        }
        Ok(())
    }
}

impl fmt::Display for MemberPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.steps.iter().enumerate() {
            match step {
                PathStep::Member(name) if index == 0 => formatter.write_str(&name.text)?,
                PathStep::Member(name) => write!(formatter, ".{}", name.text)?,
                PathStep::Index(number) => write!(formatter, "[{number}]")?,
            }
        }
        Ok(())
    }
}
