//! Statements before they run: everything in them is checked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::lang::ast::{
    Assertion, Dumped, Expression, Pattern, Query, Quoted, SearchPlace, Statement, StatementKind,
    Stretch, Subject,
};
use crate::lang::catalog::Definitions;
use crate::lang::check::{
    check_defined_walk, check_expression, check_function, check_query, check_type,
};
use crate::lang::parse_program;
use crate::profile::Type;
use crate::report::{Report, SourceText};
use crate::value::ValueType;

use super::Session;
use super::execute::{set_in, text_at};
use super::library::near_shipped;
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
        let number = |value: &Expression| self.check_number(source, value, definitions);
        let task = |value: &Expression| self.check_task(source, value, definitions);
        match &statement.kind {
            StatementKind::Query(checked) => query(checked),
            StatementKind::Print(print) => self.check_print(source, print, definitions),
            StatementKind::Let(definition) => expression(&definition.value),
            StatementKind::Explain(explain) => query(&explain.query),
            StatementKind::Assert(assert) => match &assert.condition {
                Assertion::Holds(condition) => self.check_condition(source, condition, definitions),
                Assertion::Empty(checked) | Assertion::NotEmpty(checked) => query(checked),
            },
            StatementKind::Read(read) => both(
                all([Some(&read.address), read.length.as_ref()], number),
                all([read.owner.as_ref()], task),
            ),
            StatementKind::Translate(translate) => both(
                number(&translate.address),
                all([translate.owner.as_ref()], task),
            ),
            StatementKind::Dump(dump) => match &dump.what {
                Dumped::Stretch(stretch) => self.check_stretch(source, stretch, definitions),
                Dumped::Code(owner) | Dumped::Maps(owner) => task(owner),
                Dumped::Cache(file) => self.check_file(source, file, definitions),
            },
            StatementKind::Disassemble(disassemble) => both(
                all(
                    [Some(&disassemble.address), disassemble.count.as_ref()],
                    number,
                ),
                all([disassemble.owner.as_ref()], task),
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
                let place = match &search.place {
                    SearchPlace::Stretch(stretch) => {
                        self.check_stretch(source, stretch, definitions)
                    }
                    SearchPlace::Task(owner) => task(owner),
                    SearchPlace::Kernel | SearchPlace::Physical => Ok(()),
                };
                both(all([pattern, search.limit.as_ref()], expression), place)
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
            StatementKind::Check(chosen) => self
                .chosen_checks(Some((source, statement.span)), chosen, definitions)
                .map(|_| ())
                .map_err(|report| vec![report]),
            // Definitions may use those that come after them: see `check_definition`.
            StatementKind::DefineWalk(_)
            | StatementKind::DefineFunction(_)
            | StatementKind::DefineCheck(_)
            | StatementKind::Use(_)
            | StatementKind::Describe(Subject::Symbol(_)) => Ok(()),
            StatementKind::Set(set) => {
                set_in(&mut self.settings.clone(), source, set).map_err(|report| vec![report])
            }
        }
    }

    /// Refuses what no number can be made of where an address or a count is wanted.
    fn check_number(
        &self,
        source: &Arc<SourceText>,
        value: &Expression,
        definitions: &Definitions,
    ) -> Result<(), Vec<Report>> {
        let kind = self.checked_kind(source, value, definitions)?;
        let report = match &kind {
            ValueType::Text | ValueType::Bytes | ValueType::List(_) => {
                wanted(source, value, "a number or an address", &kind)
            }
            ValueType::Kernel(ty) => match self.catalog.profile.strip(ty) {
                Ok(Type::Struct(_) | Type::Union(_) | Type::Array { .. }) => {
                    wanted(source, value, "a number or an address", &kind)
                        .with_hint(format!("its address is `&{}`", text_at(source, value)))
                }
                _ => return Ok(()),
            },
            _ => return Ok(()),
        };
        Err(vec![report])
    }

    /// Refuses what neither holds nor fails where a condition is wanted.
    fn check_condition(
        &self,
        source: &Arc<SourceText>,
        value: &Expression,
        definitions: &Definitions,
    ) -> Result<(), Vec<Report>> {
        let kind = self.checked_kind(source, value, definitions)?;
        if kind.is_numeric() {
            return Ok(());
        }
        let text = text_at(source, value);
        Err(vec![wanted(source, value, "a condition", &kind).with_hint(
            format!("compare it, as in `{text} = …`, or write `{text} is not null`"),
        )])
    }

    /// Finds what is wrong with the body of a definition; `definitions` are those before and after it.
    pub(super) fn check_definition(
        &self,
        source: &Arc<SourceText>,
        statement: &Statement,
        definitions: &Definitions,
    ) -> Result<(), Vec<Report>> {
        match &statement.kind {
            StatementKind::DefineFunction(function) => {
                check_function(&self.catalog, definitions, source, function)
            }
            StatementKind::DefineWalk(walk) => {
                check_defined_walk(&self.catalog, definitions, source, walk)
            }
            StatementKind::DefineCheck(check) => {
                check_query(&self.catalog, definitions, source, &check.query).map(|_| ())
            }
            _ => Ok(()),
        }
    }

    /// Refuses what is no task after `of`.
    fn check_task(
        &self,
        source: &Arc<SourceText>,
        value: &Expression,
        definitions: &Definitions,
    ) -> Result<(), Vec<Report>> {
        let kind = self.checked_kind(source, value, definitions)?;
        if self.is_one_of(&kind, &["task_struct"]) {
            return Ok(());
        }
        Err(vec![wanted(source, value, "a task", &kind).with_hint(
            "its address with its type is one: `(struct task_struct *)0xffff888002ac8000`; `walk tasks select pid, address` shows addresses",
        )])
    }

    /// Refuses what has no page cache after `dump cache of`.
    fn check_file(
        &self,
        source: &Arc<SourceText>,
        value: &Expression,
        definitions: &Definitions,
    ) -> Result<(), Vec<Report>> {
        let kind = self.checked_kind(source, value, definitions)?;
        if self.is_one_of(&kind, &["file", "inode", "address_space"]) {
            return Ok(());
        }
        Err(vec![wanted(source, value, "a file or an inode", &kind).with_hint(
            "for example `task(1).mm.exe_file`; `walk tasks, files select pid, path, address` shows addresses, `(struct file *)0xffff888002ac8000` is the one there",
        )])
    }

    /// The type of an expression, once it has been checked.
    fn checked_kind(
        &self,
        source: &Arc<SourceText>,
        value: &Expression,
        definitions: &Definitions,
    ) -> Result<ValueType, Vec<Report>> {
        let checked = check_expression(&self.catalog, definitions, source, value)?;
        Ok(checked.tree.kind)
    }

    /// Whether a value is a struct of one of these names, or points to one; or will only be known when it is computed.
    fn is_one_of(&self, kind: &ValueType, names: &[&str]) -> bool {
        match kind {
            ValueType::Any => true,
            ValueType::Kernel(ty) => {
                let target = match self.catalog.profile.strip(ty) {
                    Ok(Type::Pointer(target)) => self.catalog.profile.strip(&target),
                    other => other,
                };
                matches!(target, Ok(Type::Struct(name)) if names.contains(&&*name))
            }
            _ => false,
        }
    }

    fn check_stretch(
        &self,
        source: &Arc<SourceText>,
        stretch: &Stretch,
        definitions: &Definitions,
    ) -> Result<(), Vec<Report>> {
        both(
            all([Some(&stretch.address), Some(&stretch.length)], |value| {
                self.check_number(source, value, definitions)
            }),
            all([stretch.owner.as_ref()], |value| {
                self.check_task(source, value, definitions)
            }),
        )
    }

    /// Enters the definitions of another file; it may hold nothing else.
    pub(super) fn use_file(
        &self,
        source: &Arc<SourceText>,
        file: &Quoted,
        definitions: &mut Definitions,
        depth: usize,
    ) -> Result<(), Report> {
        if self.use_shipped(&file.text, definitions)? {
            return Ok(());
        }
        let at = |report: Report| report.at(source, file.span.into(), "");
        if depth >= MOST_FILES {
            return Err(at(Report::error("files use each other without end")));
        }
        let path = beside(&source.name, &file.text);
        let text = std::fs::read_to_string(&path).map_err(|error| {
            let report = Report::error(format!("{} cannot be read", path.display()));
            let report = report.with_note(error.to_string());
            at(match near_shipped(&file.text) {
                Some(near) => report.with_hint(format!("did you mean `{near}`, which ships?")),
                None => report,
            })
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
                | StatementKind::DefineCheck(_)
                | StatementKind::Use(_) => {
                    self.define(&used, statement, definitions, depth + 1)?;
                }
                _ => {
                    return Err(Report::error("a file that is used may hold definitions only")
                        .at(&used, statement.span.into(), "this is none")
                        .with_hint("`def NAME(…) = …`, `def walk NAME(…) as …`, `def check NAME as …` and `use` are definitions"));
                }
            }
        }
        for statement in &statements {
            self.check_definition(&used, statement, definitions)
                .map_err(first_of)?;
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
pub(super) fn beside(user: &str, name: &str) -> PathBuf {
    let path = Path::new(name);
    match Path::new(user).parent() {
        Some(folder) if path.is_relative() && !user.starts_with('<') => folder.join(path),
        _ => path.to_path_buf(),
    }
}

/// What is wanted in a place, and what stands there.
fn wanted(source: &Arc<SourceText>, value: &Expression, what: &str, kind: &ValueType) -> Report {
    Report::error(format!("{what} is wanted here, and this is `{kind}`")).at(
        source,
        value.span.into(),
        "",
    )
}

/// The mistakes of two parts together.
fn both(one: Result<(), Vec<Report>>, other: Result<(), Vec<Report>>) -> Result<(), Vec<Report>> {
    match (one, other) {
        (Err(mut found), Err(mut more)) => {
            found.append(&mut more);
            Err(found)
        }
        (one, other) => one.and(other),
    }
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
