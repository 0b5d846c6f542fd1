//! `nettlp-profile check`: whether a profile is sound, and whether it is of the target's kernel.

use std::fmt::Write;

use crate::cli::target::Origin;
use crate::locate::{CheckOutcome, Kernel, LocateError, LocateOptions, check_landmarks, locate};
use crate::profile::{Examination, Gravity, LayoutProfile, examine};
use crate::report::Report;
use crate::session::demo;

use super::super::complain::complain;
use super::paper::{counted, print};
use super::{CheckArguments, FAILED, NO_TARGET, PROGRAM, open};

pub(super) fn run(arguments: &CheckArguments) -> Result<u8, Report> {
    let profile = open(&arguments.profile)?;
    let examination = examine(&profile);
    let landmarks = check_landmarks(&profile);
    let sound = !examination.has_problems() && landmarks.is_ok();
    let mut text = findings(&profile, &examination);
    if let Err(error) = &landmarks {
        let _ = writeln!(
            text,
            "problem: its kernel cannot be found in memory: {error}"
        );
    }
    if sound {
        text.push_str("the profile is sound\n");
    }
    print(&text)?;
    let status = if sound { 0 } else { FAILED };
    match arguments.target.origin()? {
        Origin::Demo { asked: false } => Ok(status),
        _ if landmarks.is_err() => Ok(status),
        _ => {
            let found = against_target(arguments, &profile)?;
            Ok(if found { status } else { NO_TARGET })
        }
    }
}

fn findings(profile: &LayoutProfile, examination: &Examination) -> String {
    let header = profile.header();
    let mut text = format!(
        "{}: Linux {}, build ID {}\n{}, {}, {}\n",
        profile.name(),
        header.release,
        header.build_id.as_deref().unwrap_or("not known"),
        counted(examination.types, "type"),
        counted(examination.members, "member"),
        counted(examination.symbols, "symbol"),
    );
    for finding in &examination.findings {
        let word = match finding.gravity {
            Gravity::Problem => "problem",
            Gravity::Remark => "remark",
        };
        let colon = if finding.place.is_empty() { "" } else { ": " };
        let _ = writeln!(text, "{word}: {}{colon}{}", finding.place, finding.what);
    }
    if examination.stopped {
        text.push_str("problem: there is more; the examination ended here\n");
    }
    text
}

/// Finds the kernel in the target's memory and tells what was compared; whether it is there.
fn against_target(arguments: &CheckArguments, profile: &LayoutProfile) -> Result<bool, Report> {
    let mut target = arguments.target.open(&demo::memory)?;
    let options = LocateOptions {
        ram: None,
        scan_budget: target.origin.scan_budget(),
    };
    let found = locate(&mut target.memory, profile, &options);
    if let Some(recording) = target.recording {
        recording.finish().map_err(|error| error.report())?;
    }
    match found {
        Ok(kernel) => {
            print(&comparison(&target.origin, &kernel))?;
            Ok(true)
        }
        Err(error) => {
            complain(PROGRAM, &not_found(&error));
            Ok(false)
        }
    }
}

fn comparison(origin: &Origin, kernel: &Kernel) -> String {
    let mut text = format!(
        "{origin} runs the profile's kernel, at {} ({} probes, {} reads)\n",
        kernel.image_physical, kernel.cost.probes, kernel.cost.reads
    );
    for check in &kernel.checks {
        let word = match check.outcome {
            CheckOutcome::Passed => "as in the profile",
            CheckOutcome::Failed => "not as in the profile",
            CheckOutcome::Skipped => "not compared",
        };
        let _ = writeln!(text, "  {}: {word}: {}", check.name, check.detail);
    }
    text
}

fn not_found(error: &LocateError) -> Report {
    let mut report = Report::error(error.to_string());
    report.notes = error.notes();
    report.hints = error.hints();
    report
}
