//! `nettlp-profile list`: the profiles in the search path, as a table or as JSON.

use std::path::Path;

use serde_json::json;

use crate::profile::{Entry, LayoutProfile, Preview, ProfileError, SearchPath};
use crate::report::{Report, Severity};

use super::super::complain::complain;
use super::paper::{columns, print, print_json};
use super::{FAILED, Form, ListArguments, PROGRAM};

/// Digits of a build ID that are shown to people.
const DIGITS: usize = 12;

/// A profile that can be used.
struct Line {
    preview: Preview,
    types: usize,
    symbols: usize,
}

pub(super) fn run(arguments: &ListArguments, path: &SearchPath) -> Result<u8, Report> {
    let mut lines = Vec::new();
    let mut problems = Vec::new();
    for Entry { path, preview } in path.entries() {
        match preview.and_then(line) {
            Ok(line) if line.symbols == 0 => problems.push(cut_short(&path)),
            Ok(line) => lines.push(line),
            Err(error) => problems.push(unusable(&path, &error)),
        }
    }
    match arguments.format {
        Form::Json => print_json(&as_json(&lines, path))?,
        Form::Text if lines.is_empty() => print(&nothing(path))?,
        Form::Text => print(&as_text(&lines))?,
    }
    for problem in &problems {
        complain(PROGRAM, problem);
    }
    Ok(if problems.is_empty() { 0 } else { FAILED })
}

fn unusable(path: &Path, error: &ProfileError) -> Report {
    let report = Report::from_error(error);
    let name = path.display().to_string();
    let message = match report.message.contains(&name) {
        true => report.message,
        false => format!("{name}: {}", report.message),
    };
    Report {
        severity: Severity::Warning,
        message,
        ..report
    }
    .with_hint("make the profile again, or remove the file")
}

fn cut_short(path: &Path) -> Report {
    Report::warning(format!("{}: the profile has no symbols", path.display()))
        .with_note("symbols are the last part of a profile: the file is cut short, or was made without them")
        .with_hint("make the profile again, or remove the file")
}

/// Counts what is in a profile: all of it is read.
fn line(preview: Preview) -> Result<Line, ProfileError> {
    let profile = LayoutProfile::open(&preview.path)?;
    Ok(Line {
        types: profile.type_count()?,
        symbols: profile.symbol_names()?.count(),
        preview,
    })
}

fn as_text(lines: &[Line]) -> String {
    let titles = ["RELEASE", "BUILD ID", "TYPES", "SYMBOLS", "SIZE", "PATH"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    for line in lines {
        let header = &line.preview.header;
        let build_id = header.build_id.as_deref().unwrap_or("-");
        rows.push(vec![
            header.release.clone(),
            build_id.chars().take(DIGITS).collect(),
            line.types.to_string(),
            line.symbols.to_string(),
            size(line.preview.bytes),
            line.preview.path.display().to_string(),
        ]);
    }
    columns(&rows, &[2, 3, 4])
}

fn as_json(lines: &[Line], path: &SearchPath) -> serde_json::Value {
    let profiles = lines.iter().map(|line| {
        let header = &line.preview.header;
        json!({
            "release": header.release,
            "banner": line.preview.banner_text(),
            "build_id": header.build_id,
            "arch": header.arch.name(),
            "types": line.types,
            "symbols": line.symbols,
            "bytes": line.preview.bytes,
            "path": line.preview.path.display().to_string(),
        })
    });
    let folders = path.folders().iter();
    json!({
        "folders": folders.map(|folder| folder.display().to_string()).collect::<Vec<_>>(),
        "profiles": profiles.collect::<Vec<_>>(),
    })
}

/// Where profiles would be found.
fn nothing(path: &SearchPath) -> String {
    let mut text = "no profiles; they are looked for in\n".to_owned();
    for folder in path.folders() {
        let absent = match folder.is_dir() {
            true => "",
            false => " (absent)",
        };
        text.push_str(&format!("  {}{absent}\n", folder.display()));
    }
    if let Some(own) = path.own_folder() {
        let own = own.display();
        text.push_str(&format!(
            "make one: mkdir -p {own} && nettlp-profile VMLINUX -o {own}/NAME.yaml\n"
        ));
    }
    text
}

/// Bytes as a person reads them.
fn size(bytes: u64) -> String {
    let tenths = |unit: u64| format!("{}.{}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", tenths(1 << 10)),
        _ => format!("{} MiB", tenths(1 << 20)),
    }
}
