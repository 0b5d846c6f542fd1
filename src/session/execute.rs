//! Statements, executed: each a small function.

use std::sync::Arc;

use crate::exec;
use crate::lang::ast::{
    Assert, Assertion, Expression, Literal, Print, Query, Set, SettingValue, Statement,
    StatementKind,
};
use crate::lang::check::{Checked, check_expression, check_query};
use crate::lang::typed::Typed;
use crate::plan::Plan;
use crate::report::{Report, SourceText};
use crate::row::{Row, Rows, Schema};
use crate::value::{Value, ValueType};
use crate::wave::{Budget, Cost, Stalled, Stopped};

use super::attach::Found;
use super::output::{Output, Statistics, Status};
use super::{Session, Settings, wrong};

/// A value with what it was called.
type Named = (String, ValueType, Value);

impl Session {
    /// Executes one statement that was checked before.
    pub(super) fn execute(
        &mut self,
        source: &Arc<SourceText>,
        statement: &Statement,
        output: &mut dyn Output,
    ) -> Status {
        let outcome = match &statement.kind {
            StatementKind::Query(query) => self.query(source, query, output),
            StatementKind::Print(print) => self.print(source, print, output),
            StatementKind::Assert(assert) => self.assert(source, assert, output),
            StatementKind::Explain(explain) => {
                self.explain(source, &explain.query, explain.mode, output)
            }
            StatementKind::Read(read) => self.read(source, read, output),
            StatementKind::Translate(translate) => self.translate(source, translate, output),
            StatementKind::Dump(dump) => self.dump(source, dump, output),
            StatementKind::Disassemble(disassemble) => {
                self.disassemble(source, disassemble, output)
            }
            StatementKind::Check(chosen) => self.check(chosen, output),
            StatementKind::Search(search) => self.search(source, search, statement.span, output),
            StatementKind::Watch(watch) => self.watch(source, watch, output),
            StatementKind::Save(save) => self.save(source, save, output),
            StatementKind::Describe(subject) => self.describe(source, subject, output),
            StatementKind::Show(show) => self.show(show, output),
            StatementKind::Set(set) => match set_in(&mut self.settings, source, set) {
                Ok(()) => Ok(Status::Complete),
                Err(report) => {
                    output.report(&report);
                    Err(Status::Wrong)
                }
            },
            StatementKind::Let(definition) => self
                .values(source, std::slice::from_ref(&definition.value), output)
                .map(|mut values| {
                    if let Some((_, kind, value)) = values.pop() {
                        self.definitions
                            .values
                            .insert(definition.name.text.clone(), (kind, value));
                    }
                    Status::Complete
                }),
            StatementKind::DefineFunction(_)
            | StatementKind::DefineWalk(_)
            | StatementKind::DefineCheck(_)
            | StatementKind::Use(_) => {
                self.tell_of_shadow(source, statement, output);
                let mut definitions = self.definitions.clone();
                match self.define(source, statement, &mut definitions, 0) {
                    Ok(()) => {
                        self.definitions = definitions;
                        Ok(Status::Complete)
                    }
                    Err(report) => {
                        output.report(&report);
                        Err(Status::Wrong)
                    }
                }
            }
        };
        outcome.unwrap_or_else(|status| status)
    }

    pub(super) fn budget(&self) -> Budget {
        Budget {
            max_reads: self.settings.max_reads,
            max_time: self.settings.timeout,
            cancel: Arc::clone(&self.cancel),
        }
    }

    /// Takes a checked tree and tells its warnings.
    pub(super) fn accept<T>(
        &self,
        checked: Result<Checked<T>, Vec<Report>>,
        output: &mut dyn Output,
    ) -> Result<T, Status> {
        match checked {
            Ok(checked) => {
                for warning in &checked.warnings {
                    output.report(warning);
                }
                Ok(checked.tree)
            }
            Err(reports) => Err(wrong(&reports, output)),
        }
    }

    pub(super) fn query(
        &mut self,
        source: &Arc<SourceText>,
        query: &Query,
        output: &mut dyn Output,
    ) -> Result<Status, Status> {
        let (mut rows, status) = self.rows(source, query, output)?;
        let total = rows.rows.len();
        if let Some(most) = self
            .settings
            .max_rows
            .and_then(|most| usize::try_from(most).ok())
            && total > most
        {
            rows.rows.truncate(most);
            output.report(&Report::note(format!(
                "{most} of {total} rows are shown (`set max_rows 0` shows all)"
            )));
        }
        output.rows(&rows, &self.settings);
        Ok(status)
    }

    /// Runs a query, telling what it cost and what is missing from its answer.
    pub(super) fn rows(
        &mut self,
        source: &Arc<SourceText>,
        query: &Query,
        output: &mut dyn Output,
    ) -> Result<(Rows, Status), Status> {
        let checked = check_query(&self.catalog, &self.definitions, source, query);
        let plan = Plan::new(self.accept(checked, output)?);
        let found = self.attached.found(&self.catalog, output)?;
        let retries = found.engine.counters().retries;
        let name = query_text(source, query);
        found.engine.set_predictors(self.settings.predictors);
        let (rows, cost) = exec::run(&found.engine, &found.target, &plan, name, self.budget())
            .map_err(|stalled| tell_stalled(&stalled, output))?;
        output.statistics(&statistics(&found, &rows, &cost, retries));
        let status = self.judge(&rows, &cost, output)?;
        Ok((rows, status))
    }

    /// What the cost and the gaps of an answer say about the statement.
    pub(super) fn judge(
        &self,
        rows: &Rows,
        cost: &Cost,
        output: &mut dyn Output,
    ) -> Result<Status, Status> {
        if cost.reads > 0 && cost.unanswered >= cost.reads {
            output.report(
                &Report::error(format!(
                    "the target {} does not answer any more",
                    self.target_name
                ))
                .with_note(format!(
                    "none of the {} reads of this query was answered",
                    cost.reads
                ))
                .with_hint("is the adapter still connected and the target still running?"),
            );
            return Err(Status::NoTarget);
        }
        for incomplete in &rows.incomplete {
            output.report(
                &Report::warning(format!("the walk `{}` is incomplete", incomplete.walk))
                    .with_note(incomplete.why.clone()),
            );
        }
        if cost.unanswered > 0 {
            output.report(
                &Report::warning(format!(
                    "{} reads were not answered in time",
                    cost.unanswered
                ))
                .with_note("their cells are null, and rows may be missing")
                .with_hint("run the query again; if it stays so, look at the link to the adapter"),
            );
            return Ok(Status::Incomplete);
        }
        if let Some(stopped) = cost.stopped {
            output.report(&Report::warning(format!(
                "the query was stopped before its end: {stopped}"
            )));
            return Ok(if stopped == Stopped::Cancelled {
                Status::Failed
            } else {
                Status::Incomplete
            });
        }
        Ok(if rows.incomplete.is_empty() {
            Status::Complete
        } else {
            Status::Incomplete
        })
    }

    /// Computes expressions, each with its text.
    pub(super) fn values(
        &mut self,
        source: &Arc<SourceText>,
        expressions: &[Expression],
        output: &mut dyn Output,
    ) -> Result<Vec<Named>, Status> {
        let mut trees: Vec<Typed> = Vec::new();
        for expression in expressions {
            let checked = check_expression(&self.catalog, &self.definitions, source, expression);
            trees.push(self.accept(checked, output)?);
        }
        let kinds: Vec<ValueType> = trees.iter().map(|tree| tree.kind.clone()).collect();
        let found = self.attached.found(&self.catalog, output)?;
        let retries = found.engine.counters().retries;
        let (values, cost) = exec::evaluate(&found.engine, &found.target, trees, self.budget())
            .map_err(|stalled| tell_stalled(&stalled, output))?;
        let none = Rows::default();
        let counted = Statistics {
            rows: values.len() as u64,
            ..statistics(&found, &none, &cost, retries)
        };
        output.statistics(&counted);
        self.judge(&none, &cost, output)?;
        let texts = expressions
            .iter()
            .map(|expression| text_at(source, expression));
        Ok(texts
            .zip(kinds)
            .zip(values)
            .map(|((text, kind), value)| (text, kind, value))
            .collect())
    }

    pub(super) fn print(
        &mut self,
        source: &Arc<SourceText>,
        print: &Print,
        output: &mut dyn Output,
    ) -> Result<Status, Status> {
        let format = print.format.as_ref().map(|format| format.text.clone());
        let values = self.values(source, &print.values, output)?;
        let columns = [("expr", ValueType::Text), ("value", ValueType::Any)];
        let schema = Schema::new(columns.map(|(name, kind)| (name.to_owned(), kind)));
        let target = self.attached.found(&self.catalog, output)?.target;
        let rows = values
            .into_iter()
            .map(|(text, _, value)| {
                let value = match &format {
                    Some(letters) => super::describe::formatted(letters, value, &target),
                    None => value,
                };
                Row {
                    cells: vec![Value::text(text), value],
                }
            })
            .collect();
        output.rows(
            &Rows {
                schema,
                rows,
                incomplete: Vec::new(),
            },
            &self.settings,
        );
        Ok(Status::Complete)
    }

    /// Refuses formats that `print` does not know.
    pub(super) fn check_print(
        &self,
        source: &Arc<SourceText>,
        print: &Print,
        definitions: &crate::lang::catalog::Definitions,
    ) -> Result<(), Vec<Report>> {
        let mut reports = Vec::new();
        if let Some(format) = &print.format
            && !(format.text.len() == 1 && "xduotcsaz".contains(&format.text))
        {
            reports.push(
                Report::error(format!("there is no format `/{}`", format.text))
                    .at(source, format.span.into(), "")
                    .with_hint("x hexadecimal, d decimal, u unsigned, o octal, t binary, c character, s text, a address with symbol, z hexadecimal with zeros"),
            );
        }
        for value in &print.values {
            if let Err(mut found) = check_expression(&self.catalog, definitions, source, value) {
                reports.append(&mut found);
            }
        }
        if reports.is_empty() {
            Ok(())
        } else {
            Err(reports)
        }
    }

    pub(super) fn assert(
        &mut self,
        source: &Arc<SourceText>,
        assert: &Assert,
        output: &mut dyn Output,
    ) -> Result<Status, Status> {
        let mut null_because = None;
        let (held, span, rows) = match &assert.condition {
            Assertion::Holds(condition) => {
                let values = self.values(source, std::slice::from_ref(condition), output)?;
                let held = values.first().and_then(|(_, _, value)| value.truth()) == Some(true);
                if let Some((_, _, Value::Null(reason))) = values.first() {
                    null_because = Some(reason.to_string());
                }
                (held, condition.span, None)
            }
            Assertion::Empty(query) => {
                let (rows, _) = self.rows(source, query, output)?;
                (rows.rows.is_empty(), query.span, Some(rows))
            }
            Assertion::NotEmpty(query) => {
                let (rows, _) = self.rows(source, query, output)?;
                (!rows.rows.is_empty(), query.span, None)
            }
        };
        if held {
            return Ok(Status::Complete);
        }
        let message = assert
            .message
            .as_ref()
            .map_or("the assertion does not hold", |message| &message.text);
        let report = Report::error(message).at(source, span.into(), "does not hold");
        output.report(&match null_because {
            Some(reason) => report.with_note(format!("it is null: {reason}")),
            None => report,
        });
        if let Some(rows) = rows {
            output.rows(&rows, &self.settings);
        }
        Err(Status::Failed)
    }
}

/// Tells of a query that cannot go on, which none should.
pub(super) fn tell_stalled(stalled: &Stalled, output: &mut dyn Output) -> Status {
    output.report(
        &Report::from_error(stalled)
            .with_hint("this is a defect of nettlp-q; please report the query"),
    );
    Status::Failed
}

/// An expression's text, white space made one.
pub(super) fn text_at(source: &SourceText, expression: &Expression) -> String {
    let text = source
        .text
        .get(expression.span.start..expression.span.end)
        .unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a query is remembered by: its words.
pub(super) fn query_text<'s>(source: &'s SourceText, query: &Query) -> &'s str {
    let text = source.text.get(query.span.start..query.span.end);
    text.unwrap_or_default().trim()
}

/// Executes a `set`; the mark of what is wrong stands at the name or at the value.
pub(super) fn set_in(
    settings: &mut Settings,
    source: &Arc<SourceText>,
    set: &Set,
) -> Result<(), Report> {
    let (value, value_span) = match &set.value {
        SettingValue::Word(word) => (word.text.clone(), word.span),
        SettingValue::Literal { value, span } => (literal_text(value), *span),
    };
    let known = settings
        .list()
        .iter()
        .any(|(name, ..)| *name == set.name.text);
    let span = if known { value_span } else { set.name.span };
    settings
        .set(&set.name.text, &value)
        .map_err(|report| report.at(source, span.into(), ""))
}

/// A literal as `set` takes it.
fn literal_text(literal: &Literal) -> String {
    match literal {
        Literal::Null => "null".to_owned(),
        Literal::Boolean(truth) => truth.to_string(),
        Literal::Integer { value, .. } => value.to_string(),
        Literal::Float(number) => number.to_string(),
        Literal::Text(bytes) | Literal::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Literal::Duration { nanoseconds, .. } => format!("{}ms", nanoseconds / 1_000_000),
    }
}

pub(super) fn statistics(
    found: &Found,
    rows: &Rows,
    cost: &Cost,
    retries_before: u64,
) -> Statistics {
    Statistics {
        rows: rows.rows.len() as u64,
        reads: cost.reads,
        rounds: u64::from(cost.rounds),
        bytes: cost.bytes,
        retries: found
            .engine
            .counters()
            .retries
            .saturating_sub(retries_before),
        cache_hits: cost.cache_hits,
        failed: cost.failed,
        elapsed: cost.elapsed,
    }
}
