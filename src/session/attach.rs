//! A memory → a kernel that was found in it and verified, when it is first needed.

use std::rc::Rc;

use crate::exec::Target;
use crate::lang::catalog::Catalog;
use crate::locate::{Kernel, LocateError, LocateOptions, locate, ram_map};
use crate::memory::{Guard, PhysicalMemory};
use crate::report::Report;
use crate::wave::Engine;

use super::output::{Output, Status};

/// The target, before and after its kernel was found.
#[derive(Debug)]
pub(super) struct Attached {
    memory: Option<Box<dyn PhysicalMemory>>,
    options: LocateOptions,
    /// A kernel that was verified when its profile was chosen.
    located: Option<Kernel>,
    found: Option<Found>,
}

/// A target whose kernel is known.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) engine: Rc<Engine>,
    pub(super) target: Target,
    pub(super) kernel: Rc<Kernel>,
}

impl Attached {
    pub(super) fn new(memory: Box<dyn PhysicalMemory>, options: LocateOptions) -> Self {
        Self {
            memory: Some(memory),
            options,
            located: None,
            found: None,
        }
    }

    /// The target with a kernel that was verified already.
    pub(super) fn with_kernel(mut self, kernel: Option<Kernel>) -> Self {
        self.located = kernel;
        self
    }

    /// The banner of the kernel, once it was found.
    pub(super) fn banner(&self) -> Option<&str> {
        let found = self.found.as_ref().map(|found| found.kernel.as_ref());
        found
            .or(self.located.as_ref())
            .map(|kernel| kernel.banner.as_str())
    }

    /// The kernel, looked for when this is first called.
    pub(super) fn found(
        &mut self,
        catalog: &Rc<Catalog>,
        output: &mut dyn Output,
    ) -> Result<Found, Status> {
        if let Some(found) = &self.found {
            return Ok(found.clone());
        }
        let Some(mut memory) = self.memory.take() else {
            output.report(&Report::error("the target was lost"));
            return Err(Status::NoTarget);
        };
        let known = self.options.ram.clone().or_else(|| memory.ram());
        let located = match self.located.take() {
            Some(kernel) => Ok(kernel),
            None => locate(&mut memory, &catalog.profile, &self.options),
        };
        let kernel = match located {
            Ok(kernel) => kernel,
            Err(error) => {
                self.memory = Some(memory);
                output.report(&report(&error));
                return Err(Status::NoTarget);
            }
        };
        if known.is_none() {
            memory = guarded(memory, catalog, &kernel, output);
        }
        let target = Target {
            space: Rc::new(kernel.space.clone()),
            slide: kernel.virtual_slide,
            direct_map: kernel.page_offset_base.get(),
            build_id: kernel.build_id.as_deref().map(Rc::from),
            catalog: Rc::clone(catalog),
        };
        let found = Found {
            engine: Engine::new(memory),
            target,
            kernel: Rc::new(kernel),
        };
        self.found = Some(found.clone());
        Ok(found)
    }
}

/// A live target's memory behind its own map of its RAM, so that no pointer, however wild, makes us read a device.
fn guarded(
    mut memory: Box<dyn PhysicalMemory>,
    catalog: &Catalog,
    kernel: &Kernel,
    output: &mut dyn Output,
) -> Box<dyn PhysicalMemory> {
    match ram_map(&mut memory, &catalog.profile, kernel) {
        Ok(ram) => Box::new(Guard::new(memory, ram)),
        Err(error) => {
            output.report(
                &Report::warning(
                    "the target's RAM map could not be read; reads are not kept to its RAM",
                )
                .with_note(error.to_string())
                .with_hint("name its RAM with --ram, from `grep RAM /proc/iomem` on the target"),
            );
            memory
        }
    }
}

/// What kept a kernel from being found, told to a person.
pub(super) fn report(error: &LocateError) -> Report {
    let mut report = Report::error(error.to_string());
    report.notes = error.notes();
    report.hints = error
        .hints()
        .into_iter()
        .map(|hint| hint.to_string())
        .collect();
    report
}
