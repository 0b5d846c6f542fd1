//! Profile, memory and definitions; runs text in five visible steps (parse, check, plan, execute, rows); turns any room's error
//! into a report.
//!
//! Nothing is read before everything in a text has parsed and checked; the kernel is looked for when the first statement needs it.
//! A statement either takes effect whole or leaves no trace in the session's definitions.

mod attach;
mod check;
mod choose;
pub mod demo;
mod describe;
mod disassemble;
mod dump;
mod execute;
mod explain;
mod inspect;
mod library;
pub mod live;
mod output;
mod profiles;
mod prompt;
mod save;
mod search;
mod settings;
mod show;
mod statements;
mod stretch;
#[cfg(test)]
mod tests_composed;
#[cfg(test)]
mod tests_containers;
mod verdict;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::addr::PhysRange;
use crate::lang::ast::{Statement, StatementKind};
use crate::lang::catalog::{Catalog, Definitions};
use crate::lang::parse_program;
use crate::locate::LocateOptions;
use crate::memory::PhysicalMemory;
use crate::profile::{LayoutProfile, SearchPath};
use crate::report::{Report, SourceText};
use crate::value::{Reason, Value, ValueType};

use attach::Attached;

pub use choose::BANNER_LABEL;

pub use library::shipped_library;
pub use output::{Output, Statistics, Status};
pub use profiles::{BuiltInProfile, names_layout};
pub use settings::Settings;
pub use show::catalogues;

/// What a session is opened with.
#[derive(Debug)]
pub struct SessionOptions {
    /// What is asked.
    pub memory: Box<dyn PhysicalMemory>,
    /// What the target is, for people: `image ram.bin`, `adapter 192.168.10.1`.
    pub target: String,
    /// Layout profiles and walk libraries (`-p`), told apart by content.
    pub profiles: Vec<PathBuf>,
    /// A layout profile that is at hand already (the demo's).
    pub built_in_profile: Option<BuiltInProfile>,
    /// Variables of the script (`-D`), read as `$name`.
    pub variables: Vec<(String, String)>,
    /// Addresses that may be probed for the kernel (`--ram`).
    pub ram: Option<Vec<PhysRange>>,
    /// The file that the target's kernel was booted from (`--vmlinux`), for the comparison of its code.
    pub vmlinux: Option<PathBuf>,
    /// Bytes that may be read to say which other kernel is there, where the profile's is not: on a live target few, as nobody waits
    /// minutes for a message; of an image all.
    pub scan_budget: u64,
    /// Where the profile is looked for if `profiles` has no layout profile and none is built in.
    pub search_path: SearchPath,
}

/// Makes the text of the profile of the kernel that runs in a memory.
pub type MakeProfile<'m> =
    &'m mut dyn FnMut(&mut dyn PhysicalMemory) -> Result<String, (Report, Status)>;

/// A conversation about one target.
#[derive(Debug)]
pub struct Session {
    catalog: Rc<Catalog>,
    definitions: Definitions,
    settings: Settings,
    target_name: String,
    attached: Attached,
    cancel: Arc<AtomicBool>,
}

impl Session {
    /// Opens a session: loads the profile and the walk library. The target is not touched yet, unless no profile is named: then its
    /// kernel is looked for, to find the profile that describes it.
    pub fn open(options: SessionOptions) -> Result<Self, (Report, Status)> {
        Self::open_with(options, None)
    }

    /// As [`Session::open`]; where the search path has no profile of the target's kernel either, `make` gives the text of one.
    pub fn open_or_make(
        options: SessionOptions,
        make: MakeProfile<'_>,
    ) -> Result<Self, (Report, Status)> {
        Self::open_with(options, Some(make))
    }

    fn open_with(
        options: SessionOptions,
        make: Option<MakeProfile<'_>>,
    ) -> Result<Self, (Report, Status)> {
        let loaded = profiles::load(&options.profiles, options.built_in_profile)?;
        let mut memory = options.memory;
        let locate = LocateOptions {
            ram: options.ram,
            scan_budget: options.scan_budget,
        };
        let (layout, kernel) = match loaded.layout {
            Some(layout) => (layout, None),
            None => choose::choose_or_make(&mut memory, &locate, &options.search_path, make)?,
        };
        let mut definitions = Definitions {
            variables: variables(options.variables),
            ..Definitions::default()
        };
        let vmlinux = options.vmlinux.as_deref();
        let kernel_file = vmlinux.map(|path| profiles::kernel_file(path, &layout));
        let kernel_file = kernel_file
            .transpose()
            .map_err(|report| (report, Status::Wrong))?;
        let catalog = Catalog::new(layout, loaded.library).with_kernel_file(kernel_file);
        let catalog = Rc::new(catalog);
        check::define_from_outside(&catalog, &mut definitions)
            .map_err(|report| (report, Status::Wrong))?;
        Ok(Self {
            catalog,
            definitions,
            settings: Settings::default(),
            target_name: options.target,
            attached: Attached::new(memory, locate).with_kernel(kernel),
            cancel: Arc::new(AtomicBool::new(false)),
        })
    }

    /// Set from outside to stop what runs; the session clears it when the next text begins.
    pub fn cancel_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancel)
    }

    /// The layout profile that is used.
    pub fn profile(&self) -> &LayoutProfile {
        &self.catalog.profile
    }

    /// The banner of the target's kernel, once it was found.
    pub fn banner(&self) -> Option<&str> {
        self.attached.banner()
    }

    /// What `set` has set.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Changes a setting as `set NAME VALUE` does.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Report> {
        self.settings.set(name, value)
    }

    /// Walks, their columns, functions and definitions: what completion offers besides keywords.
    pub fn names(&self) -> Vec<String> {
        let library = &self.catalog.library;
        let mut names: Vec<String> = library.walks.keys().cloned().collect();
        names.extend(
            library
                .walks
                .values()
                .flat_map(|walk| walk.columns.keys().cloned()),
        );
        names.extend(
            library
                .columns
                .values()
                .flat_map(|columns| columns.keys().cloned()),
        );
        names.extend(library.functions.keys().cloned());
        names.extend(
            crate::lang::function::FUNCTIONS
                .iter()
                .map(|entry| entry.name.to_owned()),
        );
        names.extend(
            crate::lang::function::AGGREGATES
                .iter()
                .map(|(name, ..)| (*name).to_owned()),
        );
        names.extend(self.definitions.values.keys().cloned());
        names.extend(self.definitions.functions.keys().cloned());
        names.extend(self.definitions.walks.keys().cloned());
        names.sort();
        names.dedup();
        names
    }

    /// Runs a text: all of it is parsed and checked before its first statement is executed. Returns the worst that happened.
    pub fn run(&mut self, source: &Arc<SourceText>, output: &mut dyn Output) -> Status {
        self.cancel.store(false, Ordering::Relaxed);
        let statements = match parse_program(source) {
            Ok(statements) => statements,
            Err(reports) => return wrong(&reports, output),
        };
        if let Err(reports) = self.check_all(source, &statements) {
            return wrong(&reports, output);
        }
        let mut worst = Status::Complete;
        for (statement, after) in statements.iter().zip((0..statements.len()).rev()) {
            let status = self.execute(source, statement, output);
            worst = worst.max(status);
            if status == Status::NoTarget || output.is_closed() {
                break;
            }
            if after > 0 && self.cancel.load(Ordering::Relaxed) {
                let what = match after {
                    1 => "the last statement was".to_owned(),
                    _ => format!("the last {after} statements were"),
                };
                output.report(&Report::warning(format!("cancelled: {what} not run")));
                return worst.max(Status::Failed);
            }
        }
        worst
    }

    /// Checks every statement against the definitions that those before it will have made.
    fn check_all(
        &self,
        source: &Arc<SourceText>,
        statements: &[Statement],
    ) -> Result<(), Vec<Report>> {
        let mut definitions = self.definitions.clone();
        let mut found = Vec::new();
        for statement in statements {
            let checked = self.check_statement(source, statement, &definitions);
            found.push(checked.err().unwrap_or_default());
            if let Err(report) = self.define(source, statement, &mut definitions, 0) {
                found
                    .last_mut()
                    .into_iter()
                    .for_each(|found| found.push(report.clone()));
            }
        }
        for (statement, found) in statements.iter().zip(&mut found) {
            let checked = self.check_definition(source, statement, &definitions);
            found.append(&mut checked.err().unwrap_or_default());
        }
        // A mistake in a definition is found where it is made and where it is used.
        let mut reports: Vec<Report> = Vec::new();
        for report in found.into_iter().flatten() {
            if !reports.contains(&report) {
                reports.push(report);
            }
        }
        if reports.is_empty() {
            Ok(())
        } else {
            Err(reports)
        }
    }

    /// Enters what a statement defines. The value of a `let` is not known before it is executed; its type is.
    fn define(
        &self,
        source: &Arc<SourceText>,
        statement: &Statement,
        definitions: &mut Definitions,
        depth: usize,
    ) -> Result<(), Report> {
        match &statement.kind {
            StatementKind::Let(definition) => {
                let kind = crate::lang::check::check_expression(
                    &self.catalog,
                    definitions,
                    source,
                    &definition.value,
                )
                .map_or(ValueType::Any, |checked| checked.tree.kind);
                definitions.values.insert(
                    definition.name.text.clone(),
                    (kind, Value::Null(Reason::Absent)),
                );
            }
            StatementKind::DefineFunction(definition) => {
                let entry = (Arc::clone(source), Rc::new(definition.clone()));
                definitions
                    .functions
                    .insert(definition.name.text.clone(), entry);
            }
            StatementKind::DefineWalk(definition) => {
                let entry = (Arc::clone(source), Rc::new(definition.clone()));
                definitions
                    .walks
                    .insert(definition.name.text.clone(), entry);
            }
            StatementKind::DefineCheck(definition) => {
                check::define(source, definition, definitions);
            }
            StatementKind::Use(file) => return self.use_file(source, file, definitions, depth),
            _ => {}
        }
        Ok(())
    }
}

fn wrong(reports: &[Report], output: &mut dyn Output) -> Status {
    for report in reports {
        output.report(report);
    }
    Status::Wrong
}

/// `-D name=value`: an integer where it reads as one, else text.
fn variables(given: Vec<(String, String)>) -> BTreeMap<String, Value> {
    given
        .into_iter()
        .map(|(name, text)| {
            let number = match text.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16).ok().map(i128::from),
                None => text.parse::<i64>().ok().map(i128::from),
            };
            let value = number.map_or_else(|| Value::text(&text), Value::Integer);
            (name, value)
        })
        .collect()
}
