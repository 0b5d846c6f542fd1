//! Program → statements, or everything that is wrong with it.
//!
//! Four steps, each with its own file: tokens (`scan`), statements (`layout`), the grammar (pest), the tree
//! (the files of this folder). A statement that fails does not keep the others from being read, so that one run tells all
//! mistakes; of one statement the first is told.

mod actions;
mod cursor;
mod expression;
#[cfg(test)]
mod extremes;
pub(super) mod grammar;
mod grown;
mod literal;
mod operand;
mod query;
mod source;
mod statement;
#[cfg(test)]
mod tests;
mod types;

pub(super) use self::types::is_sure_type_name;

use std::sync::Arc;

use pest::Parser as _;

use self::cursor::{Cursor, Node};
use self::grammar::{Grammar, Rule};
use super::ast::{Expression, Span, Statement};
use super::diagnose;
use super::layout::{self, Ending, Piece};
use super::scan::{Token, scan};
use super::syntax_error::SyntaxError;
use crate::report::{Report, SourceText};

/// What reading a part of the tree gives; boxed, since recursion carries it.
type Parsed<T> = Result<T, Box<SyntaxError>>;

/// Whether the prompt should run what was typed or ask for another line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// Run it: it is whole, or wrong in a way that more text cannot mend.
    Complete,
    /// Its last statement is right so far but not finished.
    Incomplete,
}

/// Reads a program: its statements in order, or one report for every statement that is wrong.
pub fn parse_program(source: &Arc<SourceText>) -> Result<Vec<Statement>, Vec<Report>> {
    let mut statements = Vec::new();
    let mut reports = Vec::new();
    for result in parse_statements(&source.text) {
        match result {
            Ok(statement) => statements.push(statement),
            Err(error) => reports.push(error.report(source, 0)),
        }
    }
    if reports.is_empty() {
        Ok(statements)
    } else {
        Err(reports)
    }
}

/// Reads each statement of a program by itself.
pub fn parse_statements(text: &str) -> Vec<Result<Statement, SyntaxError>> {
    let tokens = scan(text);
    let plain = without_comments(text, &tokens);
    layout::pieces(text, &tokens)
        .into_iter()
        .map(|piece| parse_piece(&plain, piece))
        .collect()
}

/// Reads a text that is one expression, as columns and functions are written in YAML. Spans count from its first byte.
pub fn parse_expression(text: &str) -> Result<Expression, SyntaxError> {
    let tokens = scan(text);
    if let Some(problem) = layout::problem_of_one(text, &tokens) {
        return Err(problem);
    }
    let plain = without_comments(text, &tokens);
    let whole = Span::new(0, plain.len());
    let node = recognise(Rule::whole_expression, &plain, whole, &tokens)?;
    expression::expression(node, 1)
        .map(|grown| *grown.tree)
        .map_err(|error| *error)
}

/// Whether Enter should run `text`, or a next line can still complete its last statement.
pub fn is_complete(text: &str) -> Completeness {
    let tokens = scan(text);
    let plain = without_comments(text, &tokens);
    let Some(last) = layout::pieces(text, &tokens).pop() else {
        return Completeness::Complete;
    };
    if last.ending == Ending::Semicolon {
        return Completeness::Complete;
    }
    match parse_piece(&plain, last) {
        Err(error) if error.wants_more() => Completeness::Incomplete,
        _ => Completeness::Complete,
    }
}

/// The same text with spaces where its comments were, so that every byte keeps its place.
fn without_comments(text: &str, tokens: &[Token]) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut position = 0;
    for token in tokens {
        blank(
            &mut plain,
            text.get(position..token.span.start).unwrap_or(""),
        );
        plain.push_str(token.text(text));
        position = token.span.end;
    }
    blank(&mut plain, text.get(position..).unwrap_or(""));
    plain
}

/// What is between tokens is white space and comments.
fn blank(plain: &mut String, between: &str) {
    plain.extend(between.bytes().map(|byte| match byte {
        b'\n' => '\n',
        _ => ' ',
    }));
}

fn parse_piece(plain: &str, piece: Piece<'_>) -> Result<Statement, SyntaxError> {
    if let Some(problem) = piece.problem {
        return Err(problem);
    }
    let span = piece.span();
    let node = recognise(Rule::whole_statement, plain, span, piece.tokens)?;
    statement::statement(node).map_err(|error| *error)
}

/// Lets the grammar read a stretch of the program, which holds `tokens`, and gives the node below the whole.
fn recognise<'i>(
    rule: Rule,
    plain: &'i str,
    span: Span,
    tokens: &[Token],
) -> Result<Node<'i>, SyntaxError> {
    let text = plain.get(span.start..span.end).unwrap_or("");
    let pairs = Grammar::parse(rule, text)
        .map_err(|error| diagnose::explain(plain, span.start, tokens, &error))?;
    let mut whole = Cursor::of_whole(pairs, rule, span.start);
    whole
        .expect(rule)
        .and_then(|node| node.children().any("a statement or an expression"))
        .map_err(|error| *error)
}
