//! `nettlp-profile list`, `show`, `diff`, `check`: questions about profiles that are made already.

mod check;
mod diff;
mod list;
mod paper;
mod show;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use crate::profile::{LayoutProfile, Preview, ProfileError, SearchPath};
use crate::report::{Report, nearest};

use super::complain::complain;
use super::target::TargetArguments;

/// What the program calls itself in messages.
const PROGRAM: &str = "nettlp-profile";

/// Something that was asked for could not be done, or a check did not hold.
const FAILED: u8 = 1;
/// Digits of a build ID that are enough to mean one.
const SHORTEST_BUILD_ID: usize = 6;

/// The target does not answer, or is not the profile's kernel.
const NO_TARGET: u8 = 4;

/// What to do with profiles. A vmlinux with the name of one of these is given as `./list`.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum Tool {
    /// List the profiles that nettlp-q finds by itself
    ///
    /// They are the files *.yaml in the folders of NETTLP_PROFILE_PATH (separated by colons), in $XDG_DATA_HOME/nettlp-q/profiles (by
    /// default under ~/.local/share), in nettlp-q/profiles of each of $XDG_DATA_DIRS, and in $XDG_CACHE_HOME/nettlp-q/profiles (by
    /// default under ~/.cache). Exit status 1 if one of them cannot be used.
    List(ListArguments),
    /// Show types as C declares them, with offsets, sizes, holes and cache lines
    Show(ShowArguments),
    /// Show what is different between two kernels: types, members and symbols
    Diff(DiffArguments),
    /// Check that a profile is sound and, if a target is named, that it describes the target's kernel
    ///
    /// Exit status: 0 if everything is as it must be, 1 if the profile has problems, 4 if the target does not answer or is not the
    /// profile's kernel.
    #[command(mut_args = |argument| under_heading(argument, "Target (none: the profile is checked by itself)"))]
    Check(CheckArguments),
}

/// Arguments of `list`.
#[derive(Clone, Debug, Args)]
pub(super) struct ListArguments {
    /// How the list is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Form,
}

/// Arguments of `show`.
#[derive(Clone, Debug, Args)]
pub(super) struct ShowArguments {
    /// Profile that nettlp-profile wrote, or the beginning of the release or build ID of one that `list` shows
    #[arg(value_name = "FILE")]
    profile: PathBuf,
    /// Types: task_struct, 'struct pid', atomic_t, 'enum pid_type'
    #[arg(value_name = "TYPE", required = true)]
    types: Vec<String>,
    /// Show what is in the structs and unions inside, too
    #[arg(short, long)]
    expand: bool,
}

/// Arguments of `diff`.
#[derive(Clone, Debug, Args)]
pub(super) struct DiffArguments {
    /// Profile of the one kernel: a file, or the beginning of its release or build ID, as `list` shows them
    #[arg(value_name = "A")]
    first: PathBuf,
    /// Profile of the other
    #[arg(value_name = "B")]
    second: PathBuf,
    /// Types to compare, in full; without any, a summary of everything
    #[arg(value_name = "TYPE")]
    types: Vec<String>,
    /// Everything in full instead of the summary: every type, every symbol
    #[arg(long, conflicts_with = "types")]
    all: bool,
    /// How differences are printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Form,
}

/// Arguments of `check`.
#[derive(Clone, Debug, Args)]
pub(super) struct CheckArguments {
    /// Profile that nettlp-profile wrote, or the beginning of the release or build ID of one that `list` shows
    #[arg(value_name = "FILE")]
    profile: PathBuf,
    #[command(flatten)]
    target: TargetArguments,
}

/// How an answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people.
    Text,
    /// One JSON value.
    Json,
}

/// Puts the flags of the target under another heading.
fn under_heading(argument: clap::Arg, heading: &'static str) -> clap::Arg {
    match argument.get_help_heading().is_some() {
        true => argument.help_heading(heading),
        false => argument,
    }
}

/// Runs a tool and gives the program's exit status.
pub(super) fn run(tool: &Tool) -> ExitCode {
    let outcome = match tool {
        Tool::List(arguments) => list::run(arguments, &SearchPath::of_this_process()),
        Tool::Show(arguments) => show::run(arguments),
        Tool::Diff(arguments) => diff::run(arguments),
        Tool::Check(arguments) => check::run(arguments),
    };
    match outcome {
        Ok(status) => status.into(),
        Err(report) => {
            complain(PROGRAM, &report);
            FAILED.into()
        }
    }
}

/// Opens a profile that is named on the command line: a file, or where there is none of that name the beginning of the release or of the
/// build ID of a profile in the search path.
fn open(named: &Path) -> Result<LayoutProfile, Report> {
    let path = match named.exists() {
        true => named.to_owned(),
        false => in_search_path(named, &SearchPath::of_this_process())?,
    };
    let path = path.as_path();
    LayoutProfile::open(path).map_err(|error| {
        let report = damaged(&error);
        match error {
            ProfileError::Unreadable { .. } => report
                .with_hint("`nettlp-profile list` shows the profiles that are found by themselves"),
            ProfileError::NotAProfile { .. } | ProfileError::NotText { .. } => {
                report.with_hint(format!(
                    "if it is a kernel, make its profile first: nettlp-profile {} -o kernel.yaml",
                    path.display()
                ))
            }
            _ => report.with_hint("make the profile again: nettlp-profile VMLINUX -o FILE"),
        }
    })
}

/// The file of the only kernel in the search path whose release or build ID begins so; what was named where none does.
fn in_search_path(named: &Path, path: &SearchPath) -> Result<PathBuf, Report> {
    let Some(name) = named.to_str().filter(|name| !name.contains('/')) else {
        return Ok(named.to_owned());
    };
    let previews = path
        .entries()
        .into_iter()
        .filter_map(|entry| entry.preview.ok());
    let mut found: Vec<Preview> = previews
        .filter(|preview| {
            let build_id = preview.header.build_id.as_deref().unwrap_or("");
            let short = name.len() < SHORTEST_BUILD_ID;
            preview.header.release.starts_with(name) || (!short && build_id.starts_with(name))
        })
        .collect();
    // The same build in several folders, and a release that is the beginning of another.
    if let Some(exact) = found
        .iter()
        .position(|preview| preview.header.release == name)
    {
        return Ok(found.swap_remove(exact).path);
    }
    // `6.1` is 6.1.0 rather than 6.12.
    let is_whole = |preview: &Preview| {
        let rest = preview.header.release.strip_prefix(name);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    if found.iter().any(is_whole) {
        found.retain(is_whole);
    }
    let first = found.first().map(|preview| preview.header.clone());
    if found
        .iter()
        .any(|preview| Some(&preview.header) != first.as_ref())
    {
        let mut releases: Vec<&str> = found.iter().map(|p| p.header.release.as_str()).collect();
        releases.dedup();
        return Err(
            Report::error(format!("`{name}` may be any of {}", releases.join(", ")))
                .with_hint("say more of the release or of the build ID, or name the file"),
        );
    }
    Ok(found
        .into_iter()
        .next()
        .map_or_else(|| named.to_owned(), |preview| preview.path))
}

fn damaged(error: &ProfileError) -> Report {
    Report::from_error(error)
}

/// The names by which a profile knows the type that somebody names: with its keyword, or without where only one kind of type has the
/// name. Of a struct and a typedef with one name (`struct module`, `module`) both are meant.
fn type_names(profile: &LayoutProfile, wanted: &str) -> Result<Vec<String>, ProfileError> {
    let wanted = wanted.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((keyword, name)) = wanted.split_once(' ')
        && ["struct", "union", "enum"].contains(&keyword)
    {
        let known = match keyword {
            "struct" => profile.structure(name)?.is_some(),
            "union" => profile.union(name)?.is_some(),
            _ => profile.enumeration(name)?.is_some(),
        };
        return Ok(if known { vec![wanted] } else { Vec::new() });
    }
    let mut names = Vec::new();
    if profile.structure(&wanted)?.is_some() {
        names.push(format!("struct {wanted}"));
    }
    if profile.union(&wanted)?.is_some() {
        names.push(format!("union {wanted}"));
    }
    if profile.enumeration(&wanted)?.is_some() {
        names.push(format!("enum {wanted}"));
    }
    if profile.typedef(&wanted)?.is_some() {
        names.push(wanted);
    }
    Ok(names)
}

/// No type has the name: what else has it, or has nearly.
fn no_such_type(profile: &LayoutProfile, wanted: &str) -> Report {
    let report = Report::error(format!("{}: no type `{wanted}`", profile.name()));
    if let Ok(Some(symbol)) = profile.symbol(wanted) {
        return match symbol.ty {
            Some(ty) => report.with_hint(format!("`{wanted}` is a symbol, of type `{ty}`")),
            None => report.with_hint(format!("`{wanted}` is a symbol, of unknown type")),
        };
    }
    let Ok(names) = profile.type_names() else {
        return report;
    };
    let names: Vec<String> = names.map(|name| name.into_owned()).collect();
    let bare = |name: &str| -> String {
        name.split_once(' ')
            .map_or(name, |(_, bare)| bare)
            .to_owned()
    };
    let known: Vec<String> = match wanted.contains(' ') {
        true => names,
        false => names.iter().map(|name| bare(name)).collect(),
    };
    match nearest(wanted, known.iter().map(String::as_str)) {
        Some(near) => report.with_hint(format!("did you mean `{near}`?")),
        None => report,
    }
}
