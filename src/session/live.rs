//! A memory of which nothing is known → the profile of the kernel that runs there, kept for the next time.

use std::fs;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;

use crate::addr::{PhysAddr, PhysRange};
use crate::generate::{GenerateError, LiveImage, Options};
use crate::locate::{UnknownCost, UnknownProgress, find_unknown, plan_unknown};
use crate::memory::PhysicalMemory;
use crate::profile::SearchPath;
use crate::report::Report;

use super::choose::{no_profile_of, with_recipe};

/// Bytes of a live target that are searched for a banner where nothing else leads to its kernel.
const SCAN_BUDGET: u64 = 256 << 20;

/// A profile made of a target's memory.
#[derive(Debug)]
pub struct LiveProfile {
    /// The profile's text.
    pub text: String,
    /// How many types and symbols it has.
    pub types: usize,
    /// See `types`.
    pub symbols: usize,
    /// The kernel's banner, without its newline.
    pub banner: String,
    /// Its build ID.
    pub build_id: Option<String>,
    /// Where the first byte of its image is.
    pub image: PhysAddr,
    /// What finding it cost.
    pub cost: UnknownCost,
}

/// What [`profile_of`] will do to this memory, to be said before it does.
pub fn announce(memory: &dyn PhysicalMemory, ram: Option<&[PhysRange]>) -> Report {
    let plan = plan_unknown(memory, ram);
    let probes = match plan.is_ram_known {
        true => format!(
            "it reads 8 bytes at each multiple of 2 MiB of its RAM, at most {} reads",
            plan.probes
        ),
        false => format!(
            "its RAM is not known: it reads 8 bytes at each multiple of 2 MiB where PCs have RAM, {} reads below 2 GiB, more above",
            plan.probes
        ),
    };
    let found = format!(
        "where a task's stack begins there, it reads up to 256 KiB more to tell whether it is the first task's; before that one lie the constants: {} MiB or a little more, about {} reads",
        plan.bytes >> 20,
        plan.reads
    );
    let otherwise = format!(
        "only if that leads nowhere, it reads up to {} MiB in search of a banner",
        SCAN_BUDGET >> 20
    );
    let report =
        Report::note("the target's kernel is looked for in its memory, to make its profile")
            .with_note(probes)
            .with_note(found)
            .with_note(otherwise);
    match plan.is_ram_known {
        true => report,
        false => report.with_hint("name its RAM with --ram (`grep RAM /proc/iomem` on the target) and nothing else is read"),
    }
}

/// Finds the kernel, reads its types and symbols, makes the profile. `name` is the target, for messages.
pub fn profile_of(
    memory: &mut dyn PhysicalMemory,
    ram: Option<&[PhysRange]>,
    name: &str,
    options: &Options,
    watch: &mut dyn FnMut(UnknownProgress),
) -> Result<LiveProfile, Report> {
    let budget = if memory.answers_at_once() {
        u64::MAX
    } else {
        SCAN_BUDGET
    };
    let mut outcome: Option<Result<LiveProfile, (GenerateError, String)>> = None;
    let cost = find_unknown(memory, ram, budget, watch, &mut |constants| {
        let bytes = &constants.bytes;
        let image = LiveImage { name, bytes };
        let Some(banner) = image.banner() else {
            return ControlFlow::Continue(());
        };
        match image.profile(options) {
            Ok(found) => {
                outcome = Some(Ok(LiveProfile {
                    types: found.text.types,
                    symbols: found.text.symbols,
                    text: found.text.to_text(),
                    banner: found.banner,
                    build_id: found.build_id,
                    image: constants.start.wrapping_offset(found.image),
                    cost: UnknownCost::default(),
                }));
                ControlFlow::Break(())
            }
            Err(error) => {
                // The first kernel that was found, with most of it, says best what is missing.
                if outcome.is_none() || !constants.is_all {
                    outcome = Some(Err((error, banner)));
                }
                ControlFlow::Continue(())
            }
        }
    });
    match outcome {
        Some(Ok(profile)) => Ok(LiveProfile { cost, ..profile }),
        Some(Err((error, banner))) => Err(unusable(&error, &banner, &cost)),
        None => Err(nothing(name, &cost)),
    }
}

/// There is a kernel, and its memory is not enough to make its profile.
fn unusable(error: &GenerateError, banner: &str, cost: &UnknownCost) -> Report {
    let mut report = no_profile_of(banner)
        .with_note(format!("none can be made of its memory: {error}"))
        .with_note(spent(cost));
    report.hints = error.hints();
    with_recipe(report, banner, &SearchPath::of_this_process())
}

fn nothing(name: &str, cost: &UnknownCost) -> Report {
    let report = Report::error(format!("no Linux kernel was found in {name}"));
    let report = match cost.scanned {
        true => report.with_note("neither the stack of a first task nor a banner leads to one"),
        false => report.with_note("nothing answers, or nothing can be read"),
    };
    report.with_note(spent(cost)).with_hint(
        "check the target's address and IOMMU, or name its RAM with --ram; with a profile (-p), more is said about what is there",
    )
}

fn spent(cost: &UnknownCost) -> String {
    format!(
        "{} reads of 8 bytes and {} MiB were read",
        cost.probes,
        cost.bytes >> 20
    )
}

/// Keeps a profile under its build ID for the next time; gives where. `None` where there is no build ID or no folder.
pub fn keep(profile: &LiveProfile) -> io::Result<Option<PathBuf>> {
    let path = SearchPath::of_this_process();
    let Some(path) = profile.build_id.as_deref().and_then(|id| path.cached(id)) else {
        return Ok(None);
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let written = fs::File::create(&beside)
        .and_then(|mut file| file.write_all(profile.text.as_bytes()))
        .and_then(|()| fs::rename(&beside, &path));
    if let Err(error) = written {
        // The first error is the one to tell.
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    Ok(Some(path))
}
