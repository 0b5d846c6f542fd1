//! A typed way through pest's pairs: every step says which rule it wants, and a step that fails is an error, not a panic.

use pest::iterators::{Pair, Pairs};

use super::Parsed;
use super::grammar::Rule;
use crate::lang::ast::{Name, Span};
use crate::lang::syntax_error::SyntaxError;

/// One node of the parse tree.
#[derive(Clone, Debug)]
pub(super) struct Node<'i> {
    pair: Pair<'i, Rule>,
    /// Where the text that pest saw begins in the program.
    offset: usize,
}

impl<'i> Node<'i> {
    /// Which rule it is.
    pub(super) fn rule(&self) -> Rule {
        self.pair.as_rule()
    }

    /// Where it stands, without the white space that pest lets a rule end with when its last parts are absent.
    pub(super) fn span(&self) -> Span {
        let start = self.offset + self.pair.as_span().start();
        Span::new(start, start + self.text().len())
    }

    /// What is written there.
    pub(super) fn text(&self) -> &'i str {
        self.pair.as_str().trim_ascii_end()
    }

    /// It as a name.
    pub(super) fn name(&self) -> Name {
        Name {
            text: self.text().to_string(),
            span: self.span(),
        }
    }

    /// The way through its children.
    pub(super) fn children(self) -> Cursor<'i> {
        Cursor {
            parent: self.rule(),
            end: self.span().end,
            offset: self.offset,
            pairs: self.pair.into_inner(),
        }
    }

    /// Its single child.
    pub(super) fn only_child(self) -> Parsed<Node<'i>> {
        let mut children = self.children();
        let child = children.any("a part")?;
        children.finish()?;
        Ok(child)
    }

    /// The error for a node of a rule that has no place here.
    pub(super) fn misplaced<T>(&self, inside: Rule, wanted: &str) -> Parsed<T> {
        Err(Box::new(SyntaxError::Internal {
            inside: format!("{inside:?}"),
            found: format!("`{:?}`", self.rule()),
            wanted: wanted.to_string(),
            span: self.span(),
        }))
    }
}

/// The children of a node, from first to last.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'i> {
    parent: Rule,
    end: usize,
    offset: usize,
    pairs: Pairs<'i, Rule>,
}

impl<'i> Cursor<'i> {
    /// The way through what pest found in a text that begins at byte `offset` of the program.
    pub(super) fn of_whole(pairs: Pairs<'i, Rule>, parent: Rule, offset: usize) -> Self {
        Self {
            parent,
            end: offset,
            offset,
            pairs,
        }
    }

    /// The rule whose children these are.
    pub(super) fn parent(&self) -> Rule {
        self.parent
    }

    /// The rule of the next child.
    pub(super) fn peek(&self) -> Option<Rule> {
        self.pairs.peek().map(|pair| pair.as_rule())
    }

    /// The next child, whatever it is.
    pub(super) fn next(&mut self) -> Option<Node<'i>> {
        let offset = self.offset;
        self.pairs.next().map(|pair| Node { pair, offset })
    }

    /// The next child, which must be there.
    pub(super) fn any(&mut self, wanted: &str) -> Parsed<Node<'i>> {
        match self.next() {
            Some(node) => Ok(node),
            None => self.ended(wanted),
        }
    }

    /// The next child, which must be of this rule.
    pub(super) fn expect(&mut self, rule: Rule) -> Parsed<Node<'i>> {
        let wanted = format!("`{rule:?}`");
        let node = self.any(&wanted)?;
        if node.rule() == rule {
            Ok(node)
        } else {
            node.misplaced(self.parent, &wanted)
        }
    }

    /// The next child if it is of this rule.
    pub(super) fn take(&mut self, rule: Rule) -> Option<Node<'i>> {
        if self.peek() == Some(rule) {
            self.next()
        } else {
            None
        }
    }

    /// Steps over the next child if it is of this rule, and says whether it was.
    pub(super) fn skip(&mut self, rule: Rule) -> bool {
        self.take(rule).is_some()
    }

    /// Nothing may be left.
    pub(super) fn finish(mut self) -> Parsed<()> {
        match self.next() {
            None => Ok(()),
            Some(node) => node.misplaced(self.parent, "its end"),
        }
    }

    fn ended<T>(&self, wanted: &str) -> Parsed<T> {
        Err(Box::new(SyntaxError::Internal {
            inside: format!("{:?}", self.parent),
            found: "nothing more".to_string(),
            wanted: wanted.to_string(),
            span: Span::new(self.end, self.end),
        }))
    }
}
