//! Type names and member paths in C's words.

use pest::Parser as _;

use super::Parsed;
use super::cursor::{Cursor, Node};
use super::grammar::{Grammar, Rule};
use super::literal;
use crate::lang::ast::{MemberPath, Name, PathStep, TypeBase, TypeName};

/// Reads an `any_type`, a `sure_type`, a `named_type` or a `plain_type`.
pub(super) fn type_name(node: Node<'_>) -> Parsed<TypeName> {
    let span = node.span();
    let mut children = node.children();
    let base = base(&mut children)?;
    let mut pointers = 0;
    while children.skip(Rule::star) {
        pointers += 1;
    }
    let mut dimensions = Vec::new();
    while let Some(dimension) = children.take(Rule::dimension) {
        dimensions.push(count(dimension)?);
    }
    children.finish()?;
    Ok(TypeName {
        base,
        pointers,
        dimensions,
        span,
    })
}

fn base(children: &mut Cursor<'_>) -> Parsed<TypeBase> {
    let node = children.any("a type")?;
    match node.rule() {
        Rule::tagged_type => tagged(node),
        Rule::c_words => c_words(node),
        Rule::type_name | Rule::fixed_width => Ok(TypeBase::Named(node.name())),
        _ => node.misplaced(children.parent(), "a type"),
    }
}

fn tagged(node: Node<'_>) -> Parsed<TypeBase> {
    let mut children = node.children();
    let tag = children.any("`struct`, `union` or `enum`")?;
    let name = children.expect(Rule::tag_name)?.name();
    match tag.rule() {
        Rule::word_struct => Ok(TypeBase::Struct(name)),
        Rule::word_union => Ok(TypeBase::Union(name)),
        Rule::word_enum => Ok(TypeBase::Enum(name)),
        _ => tag.misplaced(Rule::tagged_type, "`struct`, `union` or `enum`"),
    }
}

fn c_words(node: Node<'_>) -> Parsed<TypeBase> {
    let span = node.span();
    let mut children = node.children();
    let mut words = Vec::new();
    while let Some(word) = children.take(Rule::c_word) {
        words.push(word.text());
    }
    children.finish()?;
    let text = words.join(" ");
    Ok(TypeBase::Named(Name { text, span }))
}

/// Reads a `dimension`.
fn count(node: Node<'_>) -> Parsed<u64> {
    let mut children = node.children();
    let count = literal::integer(&children.expect(Rule::number)?)?;
    children.expect(Rule::close_index)?;
    Ok(count)
}

/// Reads a `member_path`.
pub(super) fn member_path(node: Node<'_>) -> Parsed<MemberPath> {
    let span = node.span();
    let mut steps = Vec::new();
    let mut children = node.children();
    while let Some(step) = children.next() {
        steps.push(match step.rule() {
            Rule::member_name => PathStep::Member(step.name()),
            Rule::dimension => PathStep::Index(count(step)?),
            _ => return step.misplaced(Rule::member_path, "a member or an index"),
        });
    }
    Ok(MemberPath { steps, span })
}

/// Whether a type's name cannot be mistaken for an expression: the grammar's `sure_type`.
pub(in crate::lang) fn is_sure_type_name(name: &TypeName) -> bool {
    let named = match &name.base {
        TypeBase::Named(named) => &named.text,
        _ => return true,
    };
    name.pointers > 0
        || Grammar::parse(Rule::fixed_width, named).is_ok()
        || Grammar::parse(Rule::c_words, named).is_ok()
}
