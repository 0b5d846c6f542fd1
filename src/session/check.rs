//! `check`: queries whose rows are findings, each with a verdict that is never silence.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use crate::exec;
use crate::lang::ast::{
    Chosen, DefineCheck, DefineWalk, Name, Query, Span, Statement, StatementKind,
};
use crate::lang::catalog::{Catalog, Check, Definitions};
use crate::lang::check::check_query;
use crate::lang::parse_program;
use crate::plan::Plan;
use crate::profile;
use crate::report::{Report, SourceText, nearest};
use crate::row::{Incomplete, Rows};
use crate::wave::{Cost, Stopped};

use super::Session;
use super::execute::{query_text, statistics};
use super::library::{is_shipped, shipped_file};
use super::output::{Output, Statistics, Status};
use super::show::like;
use super::statements::beside;
use super::verdict::{Verdict, found_report, keep_those_in, own_table, refused, summary};

/// Enters a check that was written in NQ.
pub(super) fn define(
    source: &Arc<SourceText>,
    definition: &DefineCheck,
    definitions: &mut Definitions,
) {
    let meaning = definition.meaning.as_ref().map(|text| text.text.clone());
    let check = Check {
        doc: String::new(),
        meaning: meaning.unwrap_or_default(),
        query: Ok((Arc::clone(source), definition.query.clone())),
        of_library: false,
    };
    enter(&definition.name, check, definitions);
}

/// Enters a check, and a walk with the same rows.
fn enter(name: &Name, check: Check, definitions: &mut Definitions) {
    if let Ok((source, query)) = &check.query {
        let walk = DefineWalk {
            name: name.clone(),
            parameters: Vec::new(),
            query: query.clone(),
        };
        let entry = (Arc::clone(source), Rc::new(walk));
        definitions.walks.insert(name.text.clone(), entry);
    }
    definitions.checks.insert(name.text.clone(), Rc::new(check));
}

/// Enters the checks of walk libraries that were named (`-p`): those are in force without being asked for.
pub(super) fn define_from_outside(
    catalog: &Catalog,
    definitions: &mut Definitions,
) -> Result<(), Report> {
    define_of(catalog, definitions, |check| !is_shipped(&check.file))
}

/// Enters those checks of the walk library that are wanted.
fn define_of(
    catalog: &Catalog,
    definitions: &mut Definitions,
    is_wanted: impl Fn(&profile::Check) -> bool,
) -> Result<(), Report> {
    for (name, check) in &catalog.library.checks {
        if is_wanted(check) {
            let known = Check {
                doc: check.doc.clone(),
                meaning: check.finding.clone(),
                query: library_query(catalog, name, check)?,
                of_library: true,
            };
            let name = Name {
                text: name.clone(),
                span: Span::default(),
            };
            enter(&name, known, definitions);
        }
    }
    Ok(())
}

/// A query with the text it was written in, or what this kernel lacks for it.
type Found = Result<(Arc<SourceText>, Box<Query>), String>;

/// The query of a check of the walk library, or what this kernel lacks for all of its variants.
fn library_query(catalog: &Catalog, name: &str, check: &profile::Check) -> Result<Found, Report> {
    let mut missing = Vec::new();
    for variant in &check.variants {
        let unmet = catalog
            .unmet(&variant.needs)
            .map_err(|error| Report::from_error(&error))?;
        if !unmet.is_empty() {
            let unmet = unmet.into_iter().map(|need| format!("`{need}`"));
            missing.push(unmet.collect::<Vec<_>>().join(" and "));
            continue;
        }
        let source = Arc::new(SourceText {
            name: format!("{}: checks.{name}", check.file),
            text: variant.query.clone(),
        });
        let mut statements = parse_program(&source).map_err(first_of)?;
        return match (statements.pop(), statements.len()) {
            (
                Some(Statement {
                    kind: StatementKind::Query(query),
                    ..
                }),
                0,
            ) => Ok(Ok((source, query))),
            (last, _) => {
                let span = last.map_or_else(Span::default, |last| last.span);
                Err(
                    Report::error(format!("the check `{name}` is not one query"))
                        .at(&source, span.into(), "")
                        .with_hint("its rows are what is found: `walk … select …`"),
                )
            }
        };
    }
    Ok(Err(format!(
        "this kernel has no {}",
        missing.join(", and no ")
    )))
}

fn first_of(reports: Vec<Report>) -> Report {
    let unknown = || Report::error("a check of the walk library cannot be parsed");
    reports.into_iter().next().unwrap_or_else(unknown)
}

impl Session {
    /// Enters the checks of a shipped library, if the name is one's.
    pub(super) fn use_shipped(
        &self,
        name: &str,
        definitions: &mut Definitions,
    ) -> Result<bool, Report> {
        let Some(file) = self.shipped_checks(name) else {
            return Ok(false);
        };
        define_of(&self.catalog, definitions, |check| check.file == file)?;
        Ok(true)
    }

    /// The shipped file of this name, if it has checks.
    fn shipped_checks(&self, name: &str) -> Option<&'static str> {
        let file = shipped_file(name)?;
        let checks = &self.catalog.library.checks;
        checks
            .values()
            .any(|check| check.file == file)
            .then_some(file)
    }

    /// Says so where a file has the name of a shipped library, which is what `use` takes.
    pub(super) fn tell_of_shadow(
        &self,
        source: &SourceText,
        statement: &Statement,
        output: &mut dyn Output,
    ) {
        let StatementKind::Use(file) = &statement.kind else {
            return;
        };
        if self.shipped_checks(&file.text).is_some() && beside(&source.name, &file.text).exists() {
            output.report(
                &Report::warning(format!(
                    "`{}` is the shipped library; the file of that name is not read",
                    file.text
                ))
                .with_hint(format!("the file is `use \"./{}\"`", file.text)),
            );
        }
    }

    /// The checks that are meant, in the order of their names.
    pub(super) fn chosen_checks(
        &self,
        place: Option<(&Arc<SourceText>, Span)>,
        chosen: &Chosen,
        definitions: &Definitions,
    ) -> Result<Vec<(String, Rc<Check>)>, Report> {
        let wanted = |name: &str| match chosen {
            Chosen::All => true,
            Chosen::Named(wanted) => name == wanted.text,
            Chosen::Like(pattern) => like(name, &pattern.text),
        };
        let found: Vec<_> = definitions
            .checks
            .iter()
            .filter(|(name, _)| wanted(name))
            .map(|(name, check)| (name.clone(), Rc::clone(check)))
            .collect();
        if !found.is_empty() {
            return Ok(found);
        }
        Err(no_such_check(place, chosen, definitions))
    }

    /// Runs checks: a table of all, then the rows of each that found any.
    pub(super) fn check(
        &mut self,
        chosen: &Chosen,
        output: &mut dyn Output,
    ) -> Result<Status, Status> {
        let checks = self
            .chosen_checks(None, chosen, &self.definitions)
            .map_err(|report| {
                output.report(&report);
                Status::Wrong
            })?;
        let mut total = Statistics::default();
        let mut verdicts = Vec::new();
        let mut cut_short = None;
        for (name, check) in checks {
            match self.verdict(&name, &check, &mut total, output) {
                Ok(verdict) => verdicts.push((name, check, verdict)),
                Err(status) => {
                    cut_short = Some(status);
                    break;
                }
            }
        }
        // What was found before the rest could not be looked at is told all the same.
        match cut_short {
            Some(status) if verdicts.is_empty() => return Err(status),
            _ => {}
        }
        total.rows = verdicts.len() as u64;
        output.statistics(&total);
        output.rows(&summary(&verdicts), &self.settings);
        let mut worst = Status::Complete;
        for (name, check, verdict) in &verdicts {
            worst = worst.max(verdict.status());
            if let Verdict::Mistaken(reports) = verdict {
                for report in reports {
                    output.report(report);
                }
            }
            if let Verdict::Finding(rows, _) = verdict {
                output.report(&found_report(name, check, rows.rows.len()));
                output.rows(&own_table(name, rows), &self.settings);
            }
        }
        cut_short.map_or(Ok(worst), Err)
    }

    fn verdict(
        &mut self,
        name: &str,
        check: &Check,
        total: &mut Statistics,
        output: &mut dyn Output,
    ) -> Result<Verdict, Status> {
        let (source, query) = match &check.query {
            Ok((source, query)) => (source, query),
            Err(missing) => return Ok(Verdict::NotApplicable(missing.clone())),
        };
        let checked = match check_query(&self.catalog, &self.meant_by(check), source, query) {
            Ok(checked) => checked.tree,
            Err(reports) => return Ok(refused(reports)),
        };
        let (plan, words) = (Plan::new(checked), query_text(source, query));
        let (mut rows, mut gap) = self.look(name, &plan, words, total, output)?;
        if rows.rows.is_empty() {
            return Ok(gap.map_or(Verdict::Clean(String::new()), Verdict::Incomplete));
        }
        // Two views of a running kernel are never of the same moment: what is only passing is gone when it is looked for again.
        let (again, why) = self.look(name, &plan, words, total, output)?;
        let before = rows.rows.len();
        if why.is_none() {
            keep_those_in(&mut rows.rows, &again.rows);
        } else {
            gap = gap.or(why);
        }
        let gone = match before - rows.rows.len() {
            0 => String::new(),
            gone => format!("{gone} of {before} rows were gone when looked for again"),
        };
        Ok(match (rows.rows.is_empty(), gap) {
            (true, None) => Verdict::Clean(gone),
            (true, Some(why)) => Verdict::Incomplete(why),
            (false, Some(why)) => Verdict::Finding(rows, why),
            (false, None) => Verdict::Finding(rows, gone),
        })
    }

    /// The definitions that a check's names mean.
    fn meant_by(&self, check: &Check) -> Cow<'_, Definitions> {
        if check.of_library {
            Cow::Owned(Definitions::default())
        } else {
            Cow::Borrowed(&self.definitions)
        }
    }

    /// Runs a check's query once: its rows, and what may be missing from them.
    fn look(
        &mut self,
        name: &str,
        plan: &Plan,
        words: &str,
        total: &mut Statistics,
        output: &mut dyn Output,
    ) -> Result<(Rows, Option<String>), Status> {
        let found = self.attached.found(&self.catalog, output)?;
        let retries = found.engine.counters().retries;
        found.engine.set_predictors(self.settings.predictors);
        let outcome = exec::run_in_full(&found.engine, &found.target, plan, words, self.budget());
        let (rows, cost, left_out) = outcome.map_err(|stalled| {
            output.report(&Report::from_error(&stalled).with_hint(format!(
                "this is a defect of nettlp-q; please report the check `{name}`"
            )));
            Status::Failed
        })?;
        add(total, &statistics(&found, &rows, &cost, retries));
        let gap = self.gap(&rows, &cost, left_out, output)?;
        Ok((rows, gap))
    }

    /// What may be missing from a check's rows, in words.
    fn gap(
        &self,
        rows: &Rows,
        cost: &Cost,
        left_out: Option<Incomplete>,
        output: &mut dyn Output,
    ) -> Result<Option<String>, Status> {
        if cost.stopped == Some(Stopped::Cancelled) {
            output.report(&Report::warning("the checks were cancelled"));
            return Err(Status::Failed);
        }
        if cost.reads > 0 && cost.unanswered >= cost.reads {
            self.judge(rows, cost, output)?;
        }
        let mut reasons: Vec<String> = rows
            .incomplete
            .iter()
            .chain(&left_out)
            .map(|gap| format!("{}: {}", gap.walk, gap.why))
            .collect();
        if cost.unanswered > 0 {
            reasons.push(format!(
                "{} reads were not answered in time",
                cost.unanswered
            ));
        }
        if let Some(stopped) = cost.stopped {
            reasons.push(format!("stopped before its end: {stopped}"));
        }
        Ok((!reasons.is_empty()).then(|| reasons.join("; ")))
    }

    /// Every check that there is, for `show checks`.
    pub(super) fn checks(&self) -> Vec<Vec<String>> {
        let mut all = self.definitions.clone();
        // What cannot be parsed was refused when it was to be used.
        let _ = define_of(&self.catalog, &mut all, |check| is_shipped(&check.file));
        all.checks.extend(self.definitions.checks.clone());
        all.checks
            .iter()
            .map(|(name, check)| {
                let in_force = match self.definitions.checks.contains_key(name) {
                    true => "yes",
                    false => "no",
                };
                vec![
                    name.clone(),
                    in_force.to_owned(),
                    self.availability(check),
                    check.doc.clone(),
                    check.meaning.clone(),
                ]
            })
            .collect()
    }

    /// Whether a check can be run on this kernel, or what is missing.
    fn availability(&self, check: &Check) -> String {
        match &check.query {
            Err(missing) => missing.clone(),
            Ok((source, query)) => {
                match check_query(&self.catalog, &self.meant_by(check), source, query) {
                    Ok(_) => "yes".to_owned(),
                    Err(reports) => match refused(reports) {
                        mistaken @ Verdict::Mistaken(_) => {
                            format!("{}: {}", mistaken.word(), mistaken.why())
                        }
                        verdict => verdict.why(),
                    },
                }
            }
        }
    }
}

/// What to say where no check is meant.
fn no_such_check(
    place: Option<(&Arc<SourceText>, Span)>,
    chosen: &Chosen,
    definitions: &Definitions,
) -> Report {
    let names = definitions.checks.keys().map(String::as_str);
    let (message, span, near) = match chosen {
        _ if definitions.checks.is_empty() => ("no checks are in force".to_owned(), None, None),
        Chosen::All => ("there is no check".to_owned(), None, None),
        Chosen::Named(name) => (
            format!("there is no check `{}` in force", name.text),
            Some(name.span),
            nearest(&name.text, names),
        ),
        Chosen::Like(pattern) => (
            format!("no check is like `{}`", pattern.text),
            Some(pattern.span),
            None,
        ),
    };
    let hint = if definitions.checks.is_empty() {
        "`use \"integrity\"` takes the shipped ones, `def check NAME as QUERY` makes one; `show checks` lists them"
    } else {
        "`show checks` lists them"
    };
    let label = near.map_or_else(String::new, |near| format!("did you mean `{near}`?"));
    let report = Report::error(message).with_hint(hint);
    match place {
        Some((source, whole)) => report.at(source, span.unwrap_or(whole).into(), label),
        None => report,
    }
}

fn add(total: &mut Statistics, one: &Statistics) {
    total.reads += one.reads;
    total.rounds += one.rounds;
    total.bytes += one.bytes;
    total.retries += one.retries;
    total.cache_hits += one.cache_hits;
    total.failed += one.failed;
    total.elapsed += one.elapsed;
}
