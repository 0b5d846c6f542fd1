//! Statements: each form has one function.

use super::Parsed;
use super::actions;
use super::cursor::{Cursor, Node};
use super::expression::{expression, expressions};
use super::grammar::Rule;
use super::grown::Tallest;
use super::literal::{self, quoted};
use super::query::{clause_value, query};
use super::types::{member_path, type_name};
use crate::lang::ast::{
    AddressSpace, Assert, Assertion, DefineFunction, DefineWalk, Explain, ExplainMode, Expression,
    Let, Name, Print, Query, Quoted, Read, Set, SettingValue, Show, Statement, StatementKind,
    Subject, Translate,
};

/// Reads a `statement`.
pub(super) fn statement(node: Node<'_>) -> Parsed<Statement> {
    let span = node.span();
    let form = node.only_child()?;
    let rule = form.rule();
    let kind = match rule {
        Rule::query => StatementKind::Query(rows(form)?),
        Rule::print => StatementKind::Print(print(form.children())?),
        Rule::describe => StatementKind::Describe(subject(form.children())?),
        Rule::show => StatementKind::Show(show(form.children())?),
        Rule::let_value => StatementKind::Let(let_value(form.children())?),
        Rule::define_walk => StatementKind::DefineWalk(define_walk(form.children())?),
        Rule::define_check => StatementKind::DefineCheck(actions::define_check(form.children())?),
        Rule::check => StatementKind::Check(actions::check(form.children())?),
        Rule::define_function => StatementKind::DefineFunction(define_function(form.children())?),
        Rule::use_file => StatementKind::Use(use_file(form.children())?),
        Rule::explain => StatementKind::Explain(explain(form.children())?),
        Rule::assert => StatementKind::Assert(assert(form.children())?),
        Rule::set => StatementKind::Set(set(form.children())?),
        Rule::read => StatementKind::Read(read(form.children())?),
        Rule::translate => StatementKind::Translate(translate(form.children())?),
        Rule::dump => StatementKind::Dump(actions::dump(form.children())?),
        Rule::disassemble => StatementKind::Disassemble(actions::disassemble(form.children())?),
        Rule::search => StatementKind::Search(actions::search(form.children())?),
        Rule::watch => StatementKind::Watch(actions::watch(form.children())?),
        Rule::save => StatementKind::Save(actions::save(form.children())?),
        _ => return form.misplaced(Rule::statement, "a statement"),
    };
    Ok(Statement { kind, span })
}

/// An expression right below the statement.
pub(super) fn value(node: Node<'_>) -> Parsed<Expression> {
    Ok(*expression(node, 1)?.tree)
}

/// A query right below the statement.
pub(super) fn rows(node: Node<'_>) -> Parsed<Box<Query>> {
    Ok(query(node, 1)?.tree)
}

fn print(mut parts: Cursor<'_>) -> Parsed<Print> {
    parts.expect(Rule::word_print)?;
    let format = match parts.take(Rule::print_format) {
        Some(format) => Some(format.only_child()?.name()),
        None => None,
    };
    let values = expressions(&mut parts, &mut Tallest::default(), 1)?;
    parts.finish()?;
    Ok(Print { format, values })
}

fn subject(mut parts: Cursor<'_>) -> Parsed<Subject> {
    parts.expect(Rule::word_describe)?;
    let node = parts.any("a subject")?;
    parts.finish()?;
    let rule = node.rule();
    if rule == Rule::symbol {
        return Ok(Subject::Symbol(node.only_child()?.name()));
    }
    let mut parts = node.clone().children();
    let first = parts.any("a name")?;
    let path = parts.take(Rule::member_path).map(member_path).transpose()?;
    match rule {
        Rule::subject_type => Ok(Subject::Type {
            name: type_name(first)?,
            path,
        }),
        Rule::subject_name => Ok(Subject::Name {
            name: first.name(),
            path,
        }),
        _ => node.misplaced(Rule::describe, "a subject"),
    }
}

fn show(mut parts: Cursor<'_>) -> Parsed<Show> {
    parts.expect(Rule::word_show)?;
    let catalogue = parts.expect(Rule::catalogue_name)?.name();
    let pattern = if parts.skip(Rule::word_like) {
        Some(quoted(&parts.expect(Rule::text)?)?)
    } else {
        None
    };
    parts.finish()?;
    Ok(Show { catalogue, pattern })
}

fn let_value(mut parts: Cursor<'_>) -> Parsed<Let> {
    parts.expect(Rule::word_let)?;
    let name = parts.expect(Rule::new_name)?.name();
    parts.expect(Rule::equals)?;
    let value = value(parts.expect(Rule::expression)?)?;
    parts.finish()?;
    Ok(Let { name, value })
}

fn define_walk(mut parts: Cursor<'_>) -> Parsed<DefineWalk> {
    parts.expect(Rule::word_def)?;
    parts.expect(Rule::word_walk)?;
    let name = parts.expect(Rule::new_name)?.name();
    let parameters = match parts.take(Rule::parameters) {
        Some(list) => parameters(list)?,
        None => Vec::new(),
    };
    parts.expect(Rule::word_as)?;
    let query = rows(parts.expect(Rule::query)?)?;
    parts.finish()?;
    Ok(DefineWalk {
        name,
        parameters,
        query,
    })
}

fn define_function(mut parts: Cursor<'_>) -> Parsed<DefineFunction> {
    parts.expect(Rule::word_def)?;
    let name = parts.expect(Rule::new_name)?.name();
    let parameters = parameters(parts.expect(Rule::parameters)?)?;
    parts.expect(Rule::equals)?;
    let body = value(parts.expect(Rule::expression)?)?;
    parts.finish()?;
    Ok(DefineFunction {
        name,
        parameters,
        body,
    })
}

fn parameters(node: Node<'_>) -> Parsed<Vec<Name>> {
    let mut parts = node.children();
    parts.expect(Rule::open)?;
    let mut names = Vec::new();
    while let Some(name) = parts.take(Rule::new_name) {
        names.push(name.name());
        parts.skip(Rule::comma);
    }
    parts.expect(Rule::close)?;
    parts.finish()?;
    Ok(names)
}

fn use_file(mut parts: Cursor<'_>) -> Parsed<Quoted> {
    parts.expect(Rule::word_use)?;
    let file = quoted(&parts.expect(Rule::text)?)?;
    parts.finish()?;
    Ok(file)
}

fn explain(mut parts: Cursor<'_>) -> Parsed<Explain> {
    parts.expect(Rule::word_explain)?;
    let mode = if parts.skip(Rule::word_analyze) {
        ExplainMode::Analyze
    } else {
        ExplainMode::Plan
    };
    let query = rows(parts.expect(Rule::query)?)?;
    parts.finish()?;
    Ok(Explain { mode, query })
}

fn assert(mut parts: Cursor<'_>) -> Parsed<Assert> {
    parts.expect(Rule::word_assert)?;
    let claim = parts.any("a claim")?;
    let condition = match claim.rule() {
        Rule::emptiness => emptiness(claim.children())?,
        Rule::expression => Assertion::Holds(value(claim)?),
        _ => return claim.misplaced(Rule::assert, "a claim"),
    };
    let message = if parts.skip(Rule::comma) {
        Some(quoted(&parts.expect(Rule::text)?)?)
    } else {
        None
    };
    parts.finish()?;
    Ok(Assert { condition, message })
}

fn emptiness(mut parts: Cursor<'_>) -> Parsed<Assertion> {
    let query = rows(parts.expect(Rule::query)?)?;
    parts.expect(Rule::claim_is)?;
    let not = parts.skip(Rule::word_not);
    parts.expect(Rule::word_empty)?;
    parts.finish()?;
    Ok(if not {
        Assertion::NotEmpty(query)
    } else {
        Assertion::Empty(query)
    })
}

fn set(mut parts: Cursor<'_>) -> Parsed<Set> {
    parts.expect(Rule::word_set)?;
    let name = parts.expect(Rule::setting_name)?.name();
    parts.skip(Rule::equals);
    let written = parts.expect(Rule::setting_value)?.only_child()?;
    parts.finish()?;
    let value = match written.rule() {
        Rule::setting_word => SettingValue::Word(written.name()),
        _ => SettingValue::Literal {
            span: written.span(),
            value: literal::literal(written)?,
        },
    };
    Ok(Set { name, value })
}

fn read(mut parts: Cursor<'_>) -> Parsed<Read> {
    parts.expect(Rule::word_read)?;
    let word = parts.any("`phys` or `virt`")?;
    let space = match word.rule() {
        Rule::word_phys => AddressSpace::Physical,
        Rule::word_virt => AddressSpace::Virtual,
        _ => return word.misplaced(Rule::read, "`phys` or `virt`"),
    };
    let address = value(parts.expect(Rule::expression)?)?;
    let length = if parts.skip(Rule::comma) {
        Some(value(parts.expect(Rule::expression)?)?)
    } else {
        None
    };
    let owner = owner(&mut parts)?;
    parts.finish()?;
    Ok(Read {
        space,
        address,
        length,
        owner,
    })
}

fn translate(mut parts: Cursor<'_>) -> Parsed<Translate> {
    parts.expect(Rule::word_translate)?;
    let address = value(parts.expect(Rule::expression)?)?;
    let owner = owner(&mut parts)?;
    parts.finish()?;
    Ok(Translate { address, owner })
}

/// `of TASK`, if it is there.
pub(super) fn owner(parts: &mut Cursor<'_>) -> Parsed<Option<Expression>> {
    parts
        .take(Rule::of_clause)
        .map(|clause| clause_value(clause, Rule::word_of, &mut Tallest::default(), 1))
        .transpose()
}
