//! Statements that do more with memory than show it: each form has one function.

use super::Parsed;
use super::cursor::{Cursor, Node};
use super::grammar::Rule;
use super::grown::Tallest;
use super::literal::{self, quoted};
use super::operand::operand;
use super::query::{clause_value, row_count};
use super::statement::{owner, rows, value};
use crate::lang::ast::{
    AddressSpace, Chosen, DefineCheck, Disassemble, Dump, Dumped, Expression, Pattern, Quoted,
    Save, Search, SearchPlace, Stretch, Watch,
};

pub(super) fn dump(mut parts: Cursor<'_>) -> Parsed<Dump> {
    parts.expect(Rule::word_dump)?;
    let what = match parts.take(Rule::process) {
        Some(process) => of_process(process.children())?,
        None => Dumped::Stretch(Box::new(stretch(parts.expect(Rule::stretch)?.children())?)),
    };
    let (file, force) = target(&mut parts)?;
    parts.finish()?;
    Ok(Dump { what, file, force })
}

fn of_process(mut parts: Cursor<'_>) -> Parsed<Dumped> {
    let what = if parts.skip(Rule::word_code) {
        Dumped::Code
    } else if parts.skip(Rule::word_cache) {
        Dumped::Cache
    } else {
        parts.expect(Rule::word_maps)?;
        Dumped::Maps
    };
    let task = clause_value(
        parts.expect(Rule::of_clause)?,
        Rule::word_of,
        &mut Tallest::default(),
        1,
    )?;
    parts.finish()?;
    Ok(what(task))
}

fn stretch(mut parts: Cursor<'_>) -> Parsed<Stretch> {
    let space = space(&mut parts);
    let address = value(parts.expect(Rule::expression)?)?;
    parts.expect(Rule::comma)?;
    let stretch = Stretch {
        space,
        address,
        length: value(parts.expect(Rule::expression)?)?,
        owner: owner(&mut parts)?,
    };
    parts.finish()?;
    Ok(stretch)
}

fn space(parts: &mut Cursor<'_>) -> Option<AddressSpace> {
    if parts.skip(Rule::word_phys) {
        Some(AddressSpace::Physical)
    } else if parts.skip(Rule::word_virt) {
        Some(AddressSpace::Virtual)
    } else {
        None
    }
}

/// `to "FILE" [force]`
fn target(parts: &mut Cursor<'_>) -> Parsed<(Quoted, bool)> {
    parts.expect(Rule::word_to)?;
    let file = quoted(&parts.expect(Rule::text)?)?;
    Ok((file, parts.skip(Rule::word_force)))
}

pub(super) fn disassemble(mut parts: Cursor<'_>) -> Parsed<Disassemble> {
    parts.expect(Rule::word_disassemble)?;
    let address = value(parts.expect(Rule::expression)?)?;
    let count = if parts.skip(Rule::comma) {
        Some(value(parts.expect(Rule::expression)?)?)
    } else {
        None
    };
    let owner = owner(&mut parts)?;
    parts.finish()?;
    Ok(Disassemble {
        address,
        count,
        owner,
    })
}

pub(super) fn search(mut parts: Cursor<'_>) -> Parsed<Search> {
    parts.expect(Rule::word_search)?;
    let pattern = pattern(parts.expect(Rule::pattern)?.children())?;
    parts.expect(Rule::word_in)?;
    let place = place(parts.expect(Rule::place)?.children())?;
    let limit = limit(&mut parts, Rule::word_limit)?;
    parts.finish()?;
    Ok(Search {
        pattern,
        place,
        limit,
    })
}

fn pattern(mut parts: Cursor<'_>) -> Parsed<Pattern> {
    let pattern = if parts.skip(Rule::word_matches) {
        Pattern::Regex(quoted(&parts.expect(Rule::text)?)?)
    } else if let Some(bytes) = parts.take(Rule::wild_bytes) {
        Pattern::Bytes(literal::wild_bytes(&bytes)?)
    } else {
        Pattern::Value(*operand(&mut parts, 1)?.tree)
    };
    parts.finish()?;
    Ok(pattern)
}

fn place(mut parts: Cursor<'_>) -> Parsed<SearchPlace> {
    if parts.skip(Rule::word_kernel) {
        parts.finish()?;
        return Ok(SearchPlace::Kernel);
    }
    let space = space(&mut parts);
    let Some(first) = parts.take(Rule::expression) else {
        parts.finish()?;
        return Ok(SearchPlace::Physical);
    };
    let address = value(first)?;
    if !parts.skip(Rule::comma) {
        parts.finish()?;
        return Ok(SearchPlace::Task(address));
    }
    let stretch = Stretch {
        space,
        address,
        length: value(parts.expect(Rule::expression)?)?,
        owner: owner(&mut parts)?,
    };
    parts.finish()?;
    Ok(SearchPlace::Stretch(Box::new(stretch)))
}

/// A count after a word, if the word is there.
fn limit(parts: &mut Cursor<'_>, word: Rule) -> Parsed<Option<Expression>> {
    if parts.skip(word) {
        row_count(parts.expect(Rule::row_count)?).map(Some)
    } else {
        Ok(None)
    }
}

pub(super) fn watch(mut parts: Cursor<'_>) -> Parsed<Watch> {
    parts.expect(Rule::word_watch)?;
    let written = parts.expect(Rule::number)?;
    let interval = (literal::number(&written)?, written.span());
    let diff = parts.skip(Rule::word_diff);
    let query = rows(parts.expect(Rule::query)?)?;
    let until = parts.take(Rule::until_clause).map(condition).transpose()?;
    let times = match parts.take(Rule::times_clause) {
        Some(clause) => limit(&mut clause.children(), Rule::word_times)?,
        None => None,
    };
    parts.finish()?;
    Ok(Watch {
        interval,
        diff,
        query,
        until,
        times,
    })
}

fn condition(clause: Node<'_>) -> Parsed<Expression> {
    clause_value(clause, Rule::word_until, &mut Tallest::default(), 1)
}

pub(super) fn save(mut parts: Cursor<'_>) -> Parsed<Save> {
    parts.expect(Rule::word_save)?;
    let query = rows(parts.expect(Rule::query)?)?;
    let (file, force) = target(&mut parts)?;
    parts.finish()?;
    Ok(Save { query, file, force })
}

pub(super) fn define_check(mut parts: Cursor<'_>) -> Parsed<DefineCheck> {
    parts.expect(Rule::word_def)?;
    parts.expect(Rule::word_check)?;
    let name = parts.expect(Rule::new_name)?.name();
    let meaning = match parts.take(Rule::text) {
        Some(text) => Some(quoted(&text)?),
        None => None,
    };
    parts.expect(Rule::word_as)?;
    let query = rows(parts.expect(Rule::query)?)?;
    parts.finish()?;
    Ok(DefineCheck {
        name,
        meaning,
        query,
    })
}

pub(super) fn check(mut parts: Cursor<'_>) -> Parsed<Chosen> {
    parts.expect(Rule::word_check)?;
    let chosen = if parts.skip(Rule::word_like) {
        Chosen::Like(quoted(&parts.expect(Rule::text)?)?)
    } else {
        match parts.take(Rule::new_name) {
            Some(name) => Chosen::Named(name.name()),
            None => Chosen::All,
        }
    };
    parts.finish()?;
    Ok(chosen)
}
