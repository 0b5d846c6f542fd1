//! Trees with their height: how the parser keeps what it builds within [`MAX_DEPTH`].

use super::Parsed;
use crate::lang::ast::{Expression, ExpressionKind, MAX_DEPTH, Query, Span};
use crate::lang::syntax_error::SyntaxError;

/// A tree and how many levels it has.
#[derive(Debug)]
pub(super) struct Grown<T> {
    /// The tree.
    pub(super) tree: T,
    /// Levels of expressions and queries inside each other; at least 1.
    pub(super) height: usize,
}

/// An expression and its height; boxed, so that the recursion that builds it moves pointers and stays shallow.
pub(super) type GrownExpression = Grown<Box<Expression>>;

/// A query and its height, likewise.
pub(super) type GrownQuery = Grown<Box<Query>>;

/// The height of the tallest of several trees.
#[derive(Debug, Default)]
pub(super) struct Tallest(usize);

impl Tallest {
    /// Takes the tree and remembers its height.
    pub(super) fn of<T>(&mut self, grown: Grown<T>) -> T {
        self.0 = self.0.max(grown.height);
        grown.tree
    }

    /// The tree that stands on those seen so far.
    pub(super) fn under<T>(self, tree: T, span: Span) -> Parsed<Grown<T>> {
        let height = self.0 + 1;
        check_depth(height, span)?;
        Ok(Grown { tree, height })
    }

    /// The expression that stands on those seen so far.
    pub(super) fn expression(self, kind: ExpressionKind, span: Span) -> Parsed<GrownExpression> {
        self.under(Box::new(Expression { kind, span }), span)
    }
}

/// Refuses what is deeper than [`MAX_DEPTH`]: on the way down, before a recursion; on the way up, before a tree is built.
pub(super) fn check_depth(depth: usize, span: Span) -> Parsed<()> {
    if depth <= MAX_DEPTH {
        return Ok(());
    }
    Err(Box::new(SyntaxError::TooDeep {
        limit: MAX_DEPTH,
        span,
    }))
}
