//! Statements that do more with memory than show it, as they are written.

use super::query::quoted;
use super::statement::{owner, space};
use crate::lang::ast::{
    Chosen, DefineCheck, Disassemble, Dump, Dumped, Expression, ExpressionKind, Pattern, Query,
    Quoted, Save, Search, SearchPlace, Stretch, Watch,
};

pub(super) fn dump(dump: &Dump) -> String {
    let what = match &dump.what {
        Dumped::Stretch(written) => stretch(written),
        Dumped::Code(task) => format!("code of {task}"),
        Dumped::Maps(task) => format!("maps of {task}"),
        Dumped::Cache(file) => format!("cache of {file}"),
    };
    format!("dump {what}{}", target(&dump.file, dump.force))
}

fn stretch(stretch: &Stretch) -> String {
    let space = match stretch.space {
        Some(named) => format!("{} ", space(named)),
        None => String::new(),
    };
    format!(
        "{space}{}, {}{}",
        stretch.address,
        stretch.length,
        owner(stretch.owner.as_ref())
    )
}

fn target(file: &Quoted, force: bool) -> String {
    format!(" to {}{}", quoted(file), if force { " force" } else { "" })
}

pub(super) fn disassemble(disassemble: &Disassemble) -> String {
    let count = match &disassemble.count {
        Some(count) => format!(", {count}"),
        None => String::new(),
    };
    format!(
        "disassemble {}{count}{}",
        disassemble.address,
        owner(disassemble.owner.as_ref())
    )
}

pub(super) fn search(search: &Search) -> String {
    let pattern = match &search.pattern {
        Pattern::Regex(text) => format!("matches {}", quoted(text)),
        Pattern::Bytes(bytes) => {
            let bytes = bytes.iter().map(|byte| match byte {
                Some(byte) => format!("{byte:02x}"),
                None => "??".to_owned(),
            });
            format!("h'{}'", bytes.collect::<Vec<_>>().join(" "))
        }
        Pattern::Value(value) => clinging(value),
    };
    let place = match &search.place {
        SearchPlace::Kernel => "kernel".to_owned(),
        SearchPlace::Physical => "phys".to_owned(),
        // A type's name in parentheses would be a cast.
        SearchPlace::Task(task) => match &task.kind {
            ExpressionKind::Name(name) if !["kernel", "phys"].contains(&&**name) => name.clone(),
            _ => format!("({task})"),
        },
        SearchPlace::Stretch(written) => stretch(written),
    };
    format!(
        "search {pattern} in {place}{}",
        counted("limit", search.limit.as_ref())
    )
}

/// An operand that an `in` can follow.
fn clinging(value: &Expression) -> String {
    format!("({value})")
}

fn counted(word: &str, count: Option<&Expression>) -> String {
    match count {
        Some(count) => format!(" {word} {count}"),
        None => String::new(),
    }
}

/// A condition as it can stand behind `select * until`, which is no product: what could be an operator is kept from being one.
fn behind_a_star(condition: &str) -> String {
    let first = condition.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let is_word = first.take(1).any(|word| {
        ["asc", "desc", "optional"]
            .iter()
            .any(|taken| word.eq_ignore_ascii_case(taken))
    });
    if is_word || condition.starts_with(['-', '*', '&']) {
        format!("({condition})")
    } else {
        condition.to_owned()
    }
}

pub(super) fn watch(watch: &Watch, rows: impl Fn(&Query) -> String) -> String {
    let diff = if watch.diff { "diff " } else { "" };
    let until = match &watch.until {
        Some(condition) => format!(" until {}", behind_a_star(&condition.to_string())),
        None => String::new(),
    };
    let times = counted("times", watch.times.as_ref());
    format!(
        "watch {} {diff}{}{until}{times}",
        watch.interval.0,
        rows(&watch.query)
    )
}

pub(super) fn save(save: &Save, rows: impl Fn(&Query) -> String) -> String {
    format!(
        "save {}{}",
        rows(&save.query),
        target(&save.file, save.force)
    )
}

/// A new check's name and what it means.
pub(super) fn named(check: &DefineCheck) -> String {
    match &check.meaning {
        Some(meaning) => format!("{} {}", check.name.text, quoted(meaning)),
        None => check.name.text.clone(),
    }
}

pub(super) fn check(chosen: &Chosen) -> String {
    match chosen {
        Chosen::All => "check".to_owned(),
        Chosen::Named(name) => format!("check {}", name.text),
        Chosen::Like(pattern) => format!("check like {}", quoted(pattern)),
    }
}
