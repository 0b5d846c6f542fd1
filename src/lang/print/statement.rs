//! Statements as they are written.

use super::actions;
use super::query::quoted;
use super::{clauses, joined, names};
use crate::lang::ast::{
    AddressSpace, Assert, Assertion, Explain, ExplainMode, Expression, Print, Query, Read, Set,
    SettingValue, Show, Statement, StatementKind, Subject,
};

/// A statement whose clauses are joined by `between`, if `fits` agrees to it.
pub(super) fn statement(
    statement: &Statement,
    between: &str,
    fits: impl Fn(&str) -> bool,
) -> Option<String> {
    let rows = |query: &Query| clauses(query).join(between);
    let text = match &statement.kind {
        StatementKind::Query(query) => rows(query),
        StatementKind::Print(written) => print(written),
        StatementKind::Describe(subject) => format!("describe {}", described(subject)),
        StatementKind::Show(written) => show(written),
        StatementKind::Let(written) => format!("let {} = {}", written.name.text, written.value),
        StatementKind::DefineWalk(written) => {
            let (name, parameters) = (&written.name.text, names(&written.parameters));
            format!(
                "def walk {name}({parameters}) as{between}{}",
                rows(&written.query)
            )
        }
        StatementKind::DefineCheck(written) => {
            format!(
                "def check {} as{between}{}",
                actions::named(written),
                rows(&written.query)
            )
        }
        StatementKind::Check(chosen) => actions::check(chosen),
        StatementKind::DefineFunction(written) => {
            let (name, parameters) = (&written.name.text, names(&written.parameters));
            format!("def {name}({parameters}) = {}", written.body)
        }
        StatementKind::Use(file) => format!("use {}", quoted(file)),
        StatementKind::Explain(Explain { mode, query }) => match mode {
            ExplainMode::Plan => format!("explain {}", rows(query)),
            ExplainMode::Analyze => format!("explain analyze {}", rows(query)),
        },
        StatementKind::Assert(written) => assert(written, rows),
        StatementKind::Set(written) => set(written),
        StatementKind::Read(written) => read(written),
        StatementKind::Translate(written) => {
            format!(
                "translate {}{}",
                written.address,
                owner(written.owner.as_ref())
            )
        }
        StatementKind::Dump(written) => actions::dump(written),
        StatementKind::Disassemble(written) => actions::disassemble(written),
        StatementKind::Search(written) => actions::search(written),
        StatementKind::Watch(written) => actions::watch(written, rows),
        StatementKind::Save(written) => actions::save(written, rows),
    };
    fits(&text).then_some(text)
}

fn print(print: &Print) -> String {
    let values = joined(&print.values, ToString::to_string);
    match &print.format {
        Some(format) => format!("print/{} {values}", format.text),
        None => format!("print {values}"),
    }
}

fn described(subject: &Subject) -> String {
    match subject {
        Subject::Symbol(name) => format!("@{}", name.text),
        Subject::Name { name, path: None } => name.text.clone(),
        Subject::Name {
            name,
            path: Some(path),
        } => format!("{}.{path}", name.text),
        Subject::Type { name, path: None } => name.to_string(),
        Subject::Type {
            name,
            path: Some(path),
        } => format!("{name}.{path}"),
    }
}

fn show(show: &Show) -> String {
    match &show.pattern {
        Some(pattern) => format!("show {} like {}", show.catalogue.text, quoted(pattern)),
        None => format!("show {}", show.catalogue.text),
    }
}

fn assert(assert: &Assert, rows: impl Fn(&Query) -> String) -> String {
    let claim = match &assert.condition {
        Assertion::Holds(value) => value.to_string(),
        Assertion::Empty(query) => format!("{} is empty", rows(query)),
        Assertion::NotEmpty(query) => format!("{} is not empty", rows(query)),
    };
    match &assert.message {
        Some(message) => format!("assert {claim}, {}", quoted(message)),
        None => format!("assert {claim}"),
    }
}

fn set(set: &Set) -> String {
    match &set.value {
        SettingValue::Word(word) => format!("set {} {}", set.name.text, word.text),
        SettingValue::Literal { value, .. } => format!("set {} {value}", set.name.text),
    }
}

fn read(read: &Read) -> String {
    let space = space(read.space);
    let length = match &read.length {
        Some(length) => format!(", {length}"),
        None => String::new(),
    };
    let owner = owner(read.owner.as_ref());
    format!("read {space} {}{length}{owner}", read.address)
}

pub(super) fn owner(owner: Option<&Expression>) -> String {
    match owner {
        Some(owner) => format!(" of {owner}"),
        None => String::new(),
    }
}

pub(super) fn space(space: AddressSpace) -> &'static str {
    match space {
        AddressSpace::Physical => "phys",
        AddressSpace::Virtual => "virt",
    }
}
