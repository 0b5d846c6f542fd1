//! Statements before they run: everything in them is checked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::lang::ast::{
    Assertion, Dumped, Expression, Pattern, Query, Quoted, SearchPlace, Statement, StatementKind,
    Stretch, Subject,
};
use crate::lang::catalog::Definitions;
use crate::lang::check::{check_expression, check_query, check_type};
use crate::lang::parse_program;
use crate::report::{Report, SourceText};

use super::Session;
use super::save::check_format;
use super::search::check_pattern;
use super::watch::check_interval;

/// Deepest chain of files that use each other.
const MOST_FILES: usize = 16;

impl Session {
    /// Finds what is wrong with a statement without executing it.
    pub(super) fn check_statement(
        &self,
        source: &Arc<SourceText>,
        statement: &Statement,
        definitions: &Definitions,
    ) -> Result<(), Vec<Report>> {
        let query =
            |query: &Query| check_query(&self.catalog, definitions, source, query).map(|_| ());
        let expression = |value: &Expression| {
            check_expression(&self.catalog, definitions, source, value).map(|_| ())
        };
        match &statement.kind {
            StatementKind::Query(checked) => query(checked),
            StatementKind::Print(print) => self.check_print(source, print, definitions),
            StatementKind::Let(definition) => expression(&definition.value),
            StatementKind::Explain(explain) => query(&explain.query),
            StatementKind::Assert(assert) => match &assert.condition {
                Assertion::Holds(condition) => expression(condition),
                Assertion::Empty(checked) | Assertion::NotEmpty(checked) => query(checked),
            },
            StatementKind::Read(read) => all(
                [
                    Some(&read.address),
                    read.length.as_ref(),
                    read.owner.as_ref(),
                ],
                expression,
            ),
            StatementKind::Translate(translate) => all(
                [Some(&translate.address), translate.owner.as_ref()],
                expression,
            ),
            StatementKind::Dump(dump) => match &dump.what {
                Dumped::Stretch(stretch) => all(parts_of(stretch), expression),
                Dumped::Code(task) | Dumped::Maps(task) => expression(task),
            },
            StatementKind::Disassemble(disassemble) => all(
                [
                    Some(&disassemble.address),
                    disassemble.count.as_ref(),
                    disassemble.owner.as_ref(),
                ],
                expression,
            ),
            StatementKind::Search(search) => {
                let pattern = match &search.pattern {
                    Pattern::Value(value) => Some(value),
                    pattern => {
                        check_pattern(source, pattern, statement.span)
                            .map_err(|report| vec![report])?;
                        None
                    }
                };
                let [first, second, third] = match &search.place {
                    SearchPlace::Stretch(stretch) => parts_of(stretch),
                    SearchPlace::Task(task) => [Some(task), None, None],
                    SearchPlace::Kernel | SearchPlace::Physical => [None; 3],
                };
                all(
                    [pattern, first, second, third, search.limit.as_ref()],
                    expression,
                )
            }
            StatementKind::Watch(watch) => {
                check_interval(source, watch).map_err(|report| vec![report])?;
                query(&watch.query)?;
                all([watch.until.as_ref(), watch.times.as_ref()], expression)
            }
            StatementKind::Save(save) => {
                check_format(source, &save.file).map_err(|report| vec![report])?;
                query(&save.query)
            }
            StatementKind::Describe(Subject::Type { name, path }) => {
                let ty = check_type(&self.catalog, definitions, source, name)?;
                self.member_described(source, &ty, path.as_ref())
                    .map(|_| ())
            }
            StatementKind::Describe(Subject::Name { name, path }) => {
                match self.type_called(&name.text) {
                    Some(ty) => self
                        .member_described(source, &ty, path.as_ref())
                        .map(|_| ()),
                    None => Ok(()),
                }
            }
            StatementKind::Show(show) => {
                self.check_show(source, show).map_err(|report| vec![report])
            }
            // What a definition means depends on where it is used; it is checked there.
            StatementKind::DefineWalk(_)
            | StatementKind::DefineFunction(_)
            | StatementKind::Use(_)
            | StatementKind::Set(_)
            | StatementKind::Describe(_) => Ok(()),
        }
    }

    /// Enters the definitions of another file; it may hold nothing else.
    pub(super) fn use_file(
        &self,
        source: &Arc<SourceText>,
        file: &Quoted,
        definitions: &mut Definitions,
        depth: usize,
    ) -> Result<(), Report> {
        let at = |report: Report| report.at(source, file.span.into(), "");
        if depth >= MOST_FILES {
            return Err(at(Report::error("files use each other without end")));
        }
        let path = beside(&source.name, &file.text);
        let text = std::fs::read_to_string(&path).map_err(|error| {
            at(Report::error(format!("{} cannot be read", path.display()))
                .with_note(error.to_string()))
        })?;
        let used = Arc::new(SourceText {
            name: path.display().to_string(),
            text,
        });
        let statements = parse_program(&used).map_err(first_of)?;
        for statement in &statements {
            match statement.kind {
                StatementKind::DefineFunction(_)
                | StatementKind::DefineWalk(_)
                | StatementKind::Use(_) => {
                    self.define(&used, statement, definitions, depth + 1)?;
                }
                _ => {
                    return Err(Report::error("a file that is used may hold definitions only")
                        .at(&used, statement.span.into(), "this is none")
                        .with_hint("`def NAME(…) = …`, `def walk NAME(…) as …` and `use` are definitions"));
                }
            }
        }
        Ok(())
    }
}

fn first_of(mut reports: Vec<Report>) -> Report {
    if reports.is_empty() {
        Report::error("the file cannot be parsed")
    } else {
        reports.swap_remove(0)
    }
}

/// A file name as seen from the file that names it.
fn beside(user: &str, name: &str) -> PathBuf {
    let path = Path::new(name);
    match Path::new(user).parent() {
        Some(folder) if path.is_relative() && !user.starts_with('<') => folder.join(path),
        _ => path.to_path_buf(),
    }
}

/// The expressions in a stretch.
fn parts_of(stretch: &Stretch) -> [Option<&Expression>; 3] {
    [
        Some(&stretch.address),
        Some(&stretch.length),
        stretch.owner.as_ref(),
    ]
}

/// Checks several parts of a statement, all mistakes together.
fn all<const N: usize>(
    parts: [Option<&Expression>; N],
    check: impl Fn(&Expression) -> Result<(), Vec<Report>>,
) -> Result<(), Vec<Report>> {
    let mut reports = Vec::new();
    for part in parts.into_iter().flatten() {
        if let Err(mut found) = check(part) {
            reports.append(&mut found);
        }
    }
    if reports.is_empty() {
        Ok(())
    } else {
        Err(reports)
    }
}
