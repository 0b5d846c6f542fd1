//! Files named by `-p` → a layout profile, where one is named, and a walk library.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::generate::KernelFile;
use crate::profile::{LIBRARY_FORMAT, LayoutProfile, Library};
use crate::report::Report;

use super::library::{is_shipped, shipped_library};
use super::output::Status;

/// What the files hold.
pub(super) struct Loaded {
    /// `None` where no layout profile was named.
    pub(super) layout: Option<Arc<LayoutProfile>>,
    pub(super) library: Library,
}

/// A layout profile that no file holds. It is unpacked and opened on a thread of its own, while the target is being opened.
#[derive(Debug)]
pub struct BuiltInProfile(Loading);

#[derive(Debug)]
enum Loading {
    Going(JoinHandle<Result<LayoutProfile, Report>>),
    Done(Box<Result<LayoutProfile, Report>>),
}

impl BuiltInProfile {
    /// Begins to load the profile whose text `unpack` gives, or nothing if it is damaged.
    pub fn load(
        unpack: impl FnOnce() -> Option<Cow<'static, [u8]>> + Clone + Send + 'static,
    ) -> Self {
        let on_thread = unpack.clone();
        let thread = std::thread::Builder::new().name("profile".to_owned());
        Self(match thread.spawn(|| open_built_in(on_thread)) {
            Ok(thread) => Loading::Going(thread),
            Err(_) => Loading::Done(Box::new(open_built_in(unpack))),
        })
    }

    /// Waits for the profile. Error: it is damaged.
    fn opened(self) -> Result<LayoutProfile, Report> {
        match self.0 {
            Loading::Going(thread) => thread.join().unwrap_or_else(|_| Err(damaged())),
            Loading::Done(opened) => *opened,
        }
    }
}

fn open_built_in(
    unpack: impl FnOnce() -> Option<Cow<'static, [u8]>>,
) -> Result<LayoutProfile, Report> {
    let text = unpack().ok_or_else(damaged)?;
    LayoutProfile::from_bytes(text).map_err(|error| Report::from_error(&error))
}

fn damaged() -> Report {
    Report::error("the built-in profile is damaged")
}

/// Bytes of a file that tell what it is.
const HEAD: u64 = 4096;

/// Loads the files. Walk libraries extend the shipped one in their order; the last layout profile counts.
pub(super) fn load(
    paths: &[PathBuf],
    built_in: Option<BuiltInProfile>,
) -> Result<Loaded, (Report, Status)> {
    let library = shipped_library();
    let mut library = library.map_err(|error| (Report::from_error(&error), Status::Failed))?;
    let mut layout = None;
    for path in paths {
        if is_library(path).map_err(|report| (report, Status::Wrong))? {
            let text = std::fs::read_to_string(path)
                .map_err(|error| (cannot_read(path, &error), Status::Wrong))?;
            library
                .add(&called(path), &text)
                .map_err(|error| (Report::from_error(&error), Status::Wrong))?;
        } else {
            let opened = LayoutProfile::open(path)
                .map_err(|error| (not_a_profile(path, &error), Status::Wrong))?;
            if !opened
                .symbol_names()
                .is_ok_and(|mut names| names.next().is_some())
            {
                return Err((cut_short(path), Status::Wrong));
            }
            layout = Some(opened);
        }
    }
    if layout.is_none()
        && let Some(built_in) = built_in
    {
        let opened = built_in.opened();
        layout = Some(opened.map_err(|report| (report, Status::Failed))?);
    }
    Ok(Loaded {
        layout: layout.map(Arc::new),
        library,
    })
}

/// What to call a file: not as one that ships, wherever it lies.
fn called(path: &Path) -> String {
    let name = path.display().to_string();
    if is_shipped(&name) {
        format!("./{name}")
    } else {
        name
    }
}

/// Whether one of the files is, or is taken for, a layout profile. Files that cannot be read are, so that loading them says why not.
pub fn names_layout(paths: &[PathBuf]) -> bool {
    let is_layout = |path: &PathBuf| !is_library(path).unwrap_or(false);
    paths.iter().any(is_layout)
}

/// Whether a file is a walk library (else it is taken for a layout profile, which says what is wrong if it is neither).
fn is_library(path: &Path) -> Result<bool, Report> {
    let mut head = Vec::new();
    let file = File::open(path).map_err(|error| cannot_read(path, &error))?;
    file.take(HEAD)
        .read_to_end(&mut head)
        .map_err(|error| cannot_read(path, &error))?;
    let head = String::from_utf8_lossy(&head);
    let format = head.lines().find_map(|line| line.strip_prefix("format:"));
    Ok(format.is_some_and(|format| format.trim() == LIBRARY_FORMAT))
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Report {
    Report::error(format!("{} cannot be read", path.display()))
        .with_note(error.to_string())
        .with_hint("-p takes a layout profile that `nettlp-profile` wrote, or a walk library")
}

fn not_a_profile(path: &Path, error: &dyn std::error::Error) -> Report {
    let mut report = Report::from_error(error);
    if !report.message.contains(&path.display().to_string()) {
        report.message = format!("{}: {}", path.display(), report.message);
    }
    report.with_hint("make a profile of the target's kernel: nettlp-profile vmlinux -o kernel.yaml")
}

fn cut_short(path: &Path) -> Report {
    Report::error(format!("{}: the profile has no symbols", path.display()))
        .with_note("symbols are the last part of a profile: the file is cut short, or was made without them")
        .with_hint("make it again: nettlp-profile vmlinux -o kernel.yaml")
}

/// What `--vmlinux` takes.
const NAME_KERNEL_FILE: &str = "name the vmlinux or vmlinuz of the kernel that runs";

/// Opens the file that the kernel of a profile was booted from; one of another kernel is refused.
pub(super) fn kernel_file(path: &Path, layout: &LayoutProfile) -> Result<KernelFile, Report> {
    let file = KernelFile::open(path).map_err(|error| {
        // What `hints` asks for a profile's sake (debug information) is not needed here.
        Report::from_error(&error).with_hint(NAME_KERNEL_FILE)
    })?;
    let profile = layout.header();
    match (file.build_id(), profile.build_id.as_deref()) {
        (Some(of_file), Some(of_profile)) if of_file != of_profile => {
            let message = format!("{} is the file of another kernel", path.display());
            Err(Report::error(message)
                .with_note(format!(
                    "its build ID is {of_file}, that of the profile's kernel ({}) is {of_profile}",
                    profile.release
                ))
                .with_hint(NAME_KERNEL_FILE))
        }
        _ => Ok(file),
    }
}
