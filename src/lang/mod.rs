//! Text → checked query; no memory anywhere.

mod actions;
pub mod ast;
pub mod catalog;
pub mod check;
mod diagnose;
mod expected;
pub mod frames;
pub mod function;
#[cfg(test)]
mod generated;
#[cfg(test)]
mod generated_actions;
mod habits;
mod layout;
mod operators;
pub mod parse;
pub mod print;
mod scan;
mod syntax_error;
pub mod typed;

pub use layout::MAX_NESTING;
pub use operators::precedence;
pub use parse::{Completeness, is_complete, parse_expression, parse_program, parse_statements};
pub use print::{print_program, print_statement};
pub use syntax_error::{SyntaxError, Unexpected};
