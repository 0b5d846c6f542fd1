//! A memory and the profiles in the search path → the profile of the kernel that runs there, with the kernel, verified.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::addr::PhysAddr;
use crate::locate::{
    FoundBanner, Kernel, LocateError, LocateOptions, Suspect, Unrecognised, locate_at, recognise,
};
use crate::memory::PhysicalMemory;
use crate::profile::{Entry, LayoutProfile, Preview, SearchPath};
use crate::report::Report;

use super::MakeProfile;
use super::attach;
use super::output::Status;

/// The label of a recording that says of which kernel it is: its banner.
pub const BANNER_LABEL: &str = "banner";

/// A profile that fits.
pub(super) struct Chosen {
    pub(super) layout: LayoutProfile,
    pub(super) kernel: Kernel,
}

/// The profile of the target's kernel, from the search path or, where that has none, made; with the kernel, if it was found already.
pub(super) fn choose_or_make(
    memory: &mut Box<dyn PhysicalMemory>,
    options: &LocateOptions,
    path: &SearchPath,
    make: Option<MakeProfile<'_>>,
) -> Result<(Arc<LayoutProfile>, Option<Kernel>), (Report, Status)> {
    let found = |chosen: Chosen| (Arc::new(chosen.layout), Some(chosen.kernel));
    let Some(make) = make else {
        return choose(memory, options, path).map(found);
    };
    // Which kernel it is, is told by whoever makes its profile.
    let options = LocateOptions {
        scan_budget: 0,
        ..options.clone()
    };
    if let Ok(chosen) = choose(memory, &options, path) {
        return Ok(found(chosen));
    }
    let text = make(&mut **memory)?;
    let layout = LayoutProfile::from_bytes(text.into_bytes())
        .map_err(|error| (Report::from_error(&error), Status::Failed))?;
    Ok((Arc::new(layout), None))
}

/// Finds the profile of the target's kernel. Files of the path are read as little as possible; only where a banner is found is the
/// profile loaded, and the kernel verified by it.
pub(super) fn choose(
    memory: &mut Box<dyn PhysicalMemory>,
    options: &LocateOptions,
    path: &SearchPath,
) -> Result<Chosen, (Report, Status)> {
    let shelf = Shelf::new(path.entries());
    let mut refused: Vec<(PathBuf, String)> = Vec::new();
    let recognised = recognise(
        memory,
        options,
        &shelf.suspects,
        &mut |memory, number, image| {
            let preview = shelf.previews.get(number)?;
            let layout = match LayoutProfile::open(&preview.path) {
                Ok(layout) => layout,
                Err(error) => {
                    refused.push((preview.path.clone(), error.to_string()));
                    return None;
                }
            };
            match locate_at(memory, &layout, options, image) {
                Ok(kernel) => Some(Chosen { layout, kernel }),
                Err(error) => {
                    refused.push((preview.path.clone(), reason(&error)));
                    None
                }
            }
        },
    );
    match recognised {
        Ok((mut chosen, cost)) => {
            chosen.kernel.cost.probes += cost.probes;
            chosen.kernel.cost.rounds += cost.rounds;
            Ok(chosen)
        }
        Err(mut unrecognised) => {
            // A recording has the banner only where its own profile has it, and may say it of itself.
            if unrecognised.banner.is_none() {
                unrecognised.banner = memory.notes().remove(BANNER_LABEL).map(labelled);
            }
            let report = none_fits(&unrecognised, &shelf, &refused, path);
            Err((report, Status::NoTarget))
        }
    }
}

/// What is in the path, taken apart.
struct Shelf {
    /// Profiles that can be looked for.
    previews: Vec<Preview>,
    /// The same, as the search takes them.
    suspects: Vec<Suspect>,
    /// Files that cannot be used, with why.
    broken: Vec<(PathBuf, String)>,
}

impl Shelf {
    fn new(entries: Vec<Entry>) -> Self {
        let mut shelf = Self {
            previews: Vec::new(),
            suspects: Vec::new(),
            broken: Vec::new(),
        };
        for Entry { path, preview } in entries {
            match preview {
                Ok(preview) => match suspect(&preview) {
                    Some(suspect) => {
                        shelf.suspects.push(suspect);
                        shelf.previews.push(preview);
                    }
                    None => shelf.broken.push((
                        path,
                        "it does not tell where its kernel has its banner".to_owned(),
                    )),
                },
                Err(error) => shelf.broken.push((path, error.to_string())),
            }
        }
        shelf
    }
}

fn suspect(preview: &Preview) -> Option<Suspect> {
    Some(Suspect {
        banner: preview.banner_text().to_owned(),
        banner_address: preview.banner?,
        text_address: preview.text?,
    })
}

fn labelled(text: String) -> FoundBanner {
    let printable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    FoundBanner {
        address: PhysAddr::new(0),
        text: text.chars().map(printable).collect(),
    }
}

/// The one fact that decided, without the sentence around it.
fn reason(error: &LocateError) -> String {
    error
        .notes()
        .into_iter()
        .next()
        .unwrap_or_else(|| error.to_string())
}

/// Which kernel runs there, why no profile fits, and how to make the one that does.
fn none_fits(
    unrecognised: &Unrecognised,
    shelf: &Shelf,
    refused: &[(PathBuf, String)],
    path: &SearchPath,
) -> Report {
    let banner = unrecognised
        .banner
        .as_ref()
        .map(|found| found.text.as_str());
    let mut report = match banner {
        Some(banner) => no_profile_of(banner),
        None => {
            let mut report = attach::report(&unrecognised.error);
            report.notes.insert(
                0,
                "no profile is given, so the kernel itself was looked for".to_owned(),
            );
            report
        }
    };
    for (path, reason) in refused {
        report = report.with_note(format!("{}: {reason}", path.display()));
    }
    for (path, reason) in shelf.broken.iter().take(3) {
        report = report.with_note(format!("{} cannot be used: {reason}", path.display()));
    }
    report = report.with_note(searched(shelf.previews.len(), path));
    match banner {
        Some(banner) => with_recipe(report, banner, path),
        None => report.with_hint(
            "or name a profile: -p kernel.yaml (`nettlp-profile vmlinux -o kernel.yaml` makes it)",
        ),
    }
}

/// That there is no profile of the kernel with this banner.
pub(super) fn no_profile_of(banner: &str) -> Report {
    let release = release(banner);
    Report::error(format!(
        "no profile of the target's kernel, Linux {release}"
    ))
    .with_note(format!("in its memory: {banner}"))
}

/// How many profiles were compared, and where they were looked for.
fn searched(profiles: usize, path: &SearchPath) -> String {
    let folders = path.folders().iter().filter(|folder| folder.is_dir());
    let folders: Vec<String> = folders.map(|folder| folder.display().to_string()).collect();
    match (profiles, folders.is_empty()) {
        (_, true) => {
            "none of the folders of the profile path exists (`nettlp-profile list` shows them)"
                .to_owned()
        }
        (0, false) => format!("no profiles in {}", folders.join(", ")),
        (1, false) => format!(
            "it is not the kernel of the only profile in {}",
            folders.join(", ")
        ),
        (count, false) => format!(
            "it is none of the {count} kernels with a profile in {}",
            folders.join(", ")
        ),
    }
}

/// `uname -r`: the third word of a banner.
fn release(banner: &str) -> &str {
    banner.split(' ').nth(2).unwrap_or("?")
}

/// Where distributions put a kernel with debug information: a word of the banner, the package, the file.
const DEBUG_PACKAGES: [(&str, &str, &str); 5] = [
    (
        "Debian",
        "linux-image-{}-dbg",
        "/usr/lib/debug/boot/vmlinux-{}",
    ),
    (
        "Ubuntu",
        "linux-image-{}-dbgsym",
        "/usr/lib/debug/boot/vmlinux-{}",
    ),
    (
        "Red Hat",
        "kernel-debuginfo-{}",
        "/usr/lib/debug/lib/modules/{}/vmlinux",
    ),
    (
        "fedora",
        "kernel-debuginfo-{}",
        "/usr/lib/debug/lib/modules/{}/vmlinux",
    ),
    (
        "SUSE",
        "kernel-default-debuginfo",
        "/usr/lib/debug/boot/vmlinux-{}.debug",
    ),
];

/// Appends the command that makes the profile of a kernel and puts it where it is found.
pub(super) fn with_recipe(report: Report, banner: &str, path: &SearchPath) -> Report {
    let release = release(banner);
    let known = DEBUG_PACKAGES
        .iter()
        .find(|(word, ..)| banner.contains(word));
    let (vmlinux, from) = match known {
        Some((_, package, file)) => (
            file.replace("{}", release),
            format!(" (from the package {})", package.replace("{}", release)),
        ),
        None => (
            "vmlinux".to_owned(),
            ", with the kernel's vmlinux with debug information".to_owned(),
        ),
    };
    let quoted = quoted(&vmlinux);
    let make = match path.own_folder() {
        Some(folder) => {
            let file = folder.join(format!("{}.yaml", file_name(release)));
            format!(
                "make it, once{from}: mkdir -p {} && nettlp-profile {quoted} -o {}",
                quoted_path(folder),
                quoted_path(&file)
            )
        }
        None => format!(
            "make it, once{from}: nettlp-profile {quoted} -o kernel.yaml, and name it: -p kernel.yaml"
        ),
    };
    report.with_hint(make)
}

/// A release as the name of a file: it comes from the target's memory and may hold anything printable.
fn file_name(release: &str) -> String {
    let plain = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' | '+' | '~' => c,
        _ => '_',
    };
    let name: String = release.chars().map(plain).take(128).collect();
    name.trim_start_matches(['.', '-']).to_owned()
}

fn quoted_path(path: &Path) -> String {
    quoted(&path.display().to_string())
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_cannot_write_the_command_that_is_offered() {
        let banner = "Linux version 6.1;rm$IFS-rf~ (a@b) (Debian) #1 SMP";
        let report = with_recipe(Report::error("none"), banner, &SearchPath::default());
        assert_eq!(
            report.hints,
            [
                "make it, once (from the package linux-image-6.1;rm$IFS-rf~-dbg): nettlp-profile '/usr/lib/debug/boot/vmlinux-6.1;rm$IFS-rf~' -o kernel.yaml, and name it: -p kernel.yaml"
            ]
        );
        assert_eq!(file_name("../x/6.1"), "_x_6.1");
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }
}
