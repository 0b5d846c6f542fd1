//! A target whose kernel is not known → its profile, said before, shown while, and summed up after it is made. On standard error.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::generate::Options;
use crate::locate::UnknownProgress;
use crate::memory::PhysicalMemory;
use crate::report::Report;
use crate::session::live::{LiveProfile, announce, keep, profile_of};

/// Makes the profile of the kernel in this memory and keeps it in the cache. `tell` prints a report.
pub(super) fn make(
    memory: &mut dyn PhysicalMemory,
    name: &str,
    options: &Options,
    tell: &dyn Fn(&Report),
) -> Result<LiveProfile, Report> {
    tell(&announce(memory, None));
    let bar = bar();
    let made = profile_of(memory, None, name, options, &mut |progress| {
        bar.set_message(match progress {
            UnknownProgress::Hit(at) => format!("the first task's stack may be at {at:?}"),
            UnknownProgress::Constants(bytes) => {
                format!("reading types and symbols: {} KiB", bytes >> 10)
            }
            UnknownProgress::Scanned(bytes) => {
                format!("searching for a banner: {} MiB", bytes >> 20)
            }
        });
    });
    bar.finish_and_clear();
    let made = made?;
    let mut report = Report::note(format!("found {}", made.banner)).with_note(format!(
        "its image is at {:#x}; {} types and {} symbols; {} reads of 8 bytes, then {} KiB",
        made.image.get(),
        made.types,
        made.symbols,
        made.cost.probes,
        made.cost.bytes >> 10
    ));
    // What is kept is whole.
    if options.types.is_empty() && options.symbols.is_empty() {
        match keep(&made) {
            Ok(Some(path)) => report = report.with_note(format!("kept as {}", path.display())),
            Ok(None) => {}
            Err(error) => tell(
                &Report::warning("the profile cannot be kept for the next time")
                    .with_note(error.to_string()),
            ),
        }
    }
    tell(&report);
    Ok(made)
}

/// A line that says what is done; nothing where standard error is no terminal.
fn bar() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.set_message("searching for the kernel");
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
