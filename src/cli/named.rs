//! `--target NAME`: a file of named targets → the flags that a name stands for.
//!
//! The file is `nettlp-q/targets.yaml` in `$XDG_CONFIG_HOME` (by default `~/.config`), else in each of `$XDG_CONFIG_DIRS` (by default
//! `/etc/xdg`), as the XDG Base Directory Specification 0.8 has it. It says of each name what the flags would say:
//!
//! ```yaml
//! web1:
//!   remote: 192.168.10.1
//!   requester: 1b:00
//!   ram: 1000-9fc00,100000-80000000
//! dump:
//!   image: dumps/web1.lime      # from the file's own folder
//! ```

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Parser;

use crate::report::{Report, nearest};

use super::target::{Origin, TargetArguments};

/// What the file is called in a base directory.
const FILE: &str = "nettlp-q/targets.yaml";
/// What `$XDG_CONFIG_DIRS` is where it is not set.
const CONFIG_DIRS: &str = "/etc/xdg";
/// Longest file that is read, in bytes.
const LONGEST: u64 = 1 << 20;
/// Flags that a target may have, besides `demo`.
const FLAGS: [&str; 11] = [
    "remote",
    "local",
    "requester",
    "requester-from",
    "image",
    "image-map",
    "replay",
    "ram",
    "max-read-request",
    "window",
    "tags",
];
/// Those that name a file.
const FILES: [&str; 2] = ["image", "replay"];

/// What the flags of a target are parsed with.
#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
struct Flags {
    #[command(flatten)]
    target: TargetArguments,
}

/// The flags that a name stands for, by the files that an environment names; `variable` gives the value of a variable that is set.
///
/// Errors: there is no file, no such name, or what it says is no target.
pub(super) fn named(
    name: &str,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<TargetArguments, Report> {
    let files = files(variable);
    let Some(file) = files.iter().find(|file| file.is_file()) else {
        let report = Report::error(format!(
            "no target is called `{name}`: there is no file of targets"
        ));
        return Err(match files.first() {
            Some(file) => report.with_hint(format!(
                "write {}, for example\n{name}:\n  remote: 192.168.10.1\n  requester: 1b:00",
                file.display()
            )),
            None => report.with_hint("set HOME or XDG_CONFIG_HOME to where it is"),
        });
    };
    let unreadable = |problem: String| {
        Report::error(format!("{} cannot be read", file.display())).with_note(problem)
    };
    match file.metadata() {
        Ok(metadata) if metadata.len() > LONGEST => {
            return Err(unreadable(format!("it is longer than {LONGEST} bytes")));
        }
        _ => {}
    }
    let text = std::fs::read_to_string(file).map_err(|error| unreadable(error.to_string()))?;
    target(name, &text, file)
}

/// The files in the order in which they are looked for.
fn files(variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    let absolute = |value: OsString| Some(PathBuf::from(value)).filter(|path| path.is_absolute());
    let own = set("XDG_CONFIG_HOME")
        .and_then(absolute)
        .or_else(|| Some(set("HOME").and_then(absolute)?.join(".config")));
    let system = set("XDG_CONFIG_DIRS").unwrap_or_else(|| CONFIG_DIRS.into());
    let system = std::env::split_paths(&system).filter(|folder| folder.is_absolute());
    let folders = own.into_iter().chain(system);
    folders.map(|folder| folder.join(FILE)).collect()
}

/// The flags of one target of a file's text.
fn target(name: &str, text: &str, file: &Path) -> Result<TargetArguments, Report> {
    let shown = file.display();
    let parsed: Result<serde_yaml::Mapping, _> = serde_yaml::from_str(text);
    let targets = parsed.map_err(|error| {
        Report::error(format!("{shown} is no file of targets"))
            .with_note(error.to_string())
            .with_hint(
                "it has lines `NAME:` and under each, indented, lines like `remote: 192.168.10.1`",
            )
    })?;
    let names: Vec<&str> = targets
        .keys()
        .filter_map(serde_yaml::Value::as_str)
        .collect();
    let Some(entries) = targets.get(name) else {
        let report = Report::error(format!("{shown}: no target is called `{name}`"));
        return Err(match nearest(name, names.iter().copied()) {
            Some(near) => report.with_hint(format!("did you mean `{near}`?")),
            None => report.with_hint(format!("there are: {}", names.join(", "))),
        });
    };
    let entries = entries.as_mapping().ok_or_else(|| {
        Report::error(format!("{shown}: `{name}` says nothing"))
            .with_hint("give it lines like `remote: 192.168.10.1`, indented")
    })?;
    let mut words = Vec::new();
    for (key, value) in entries {
        words.extend(flag(name, key, value, file)?);
    }
    let flags = Flags::try_parse_from(words).map_err(|error| {
        let told = error.to_string();
        let what = told
            .lines()
            .next()
            .unwrap_or("")
            .trim_start_matches("error: ");
        Report::error(format!("{shown}: target `{name}`: {what}"))
    })?;
    match flags.target.origin()? {
        Origin::Demo { asked: false } => Err(Report::error(format!(
            "{shown}: target `{name}` says of no memory"
        ))
        .with_hint("give it one of remote, image, replay or demo")),
        _ => Ok(flags.target),
    }
}

/// A line of a target as the words of a command line.
fn flag(
    name: &str,
    key: &serde_yaml::Value,
    value: &serde_yaml::Value,
    file: &Path,
) -> Result<Vec<OsString>, Report> {
    let refused =
        |what: String| Report::error(format!("{}: target `{name}`: {what}", file.display()));
    let key = key.as_str().unwrap_or("");
    let text = match value {
        serde_yaml::Value::String(text) => text.clone(),
        serde_yaml::Value::Number(number) => number.to_string(),
        serde_yaml::Value::Bool(asked) if key == "demo" => {
            return Ok(asked.then(|| "--demo".into()).into_iter().collect());
        }
        _ => return Err(refused(format!("`{key}` needs a text or a number"))),
    };
    if !FLAGS.contains(&key) {
        let report = refused(format!("`{key}` is nothing that a target has"));
        return Err(match nearest(key, FLAGS) {
            Some(near) => report.with_hint(format!("did you mean `{near}`?")),
            None => report.with_hint(format!("there are: {}", FLAGS.join(", "))),
        });
    }
    let value = match (FILES.contains(&key), file.parent()) {
        (true, Some(folder)) => folder.join(text).into_os_string(),
        _ => text.into(),
    };
    // One word, so that a value is never taken for another flag.
    let mut word = OsString::from(format!("--{key}="));
    word.push(value);
    Ok(vec![word])
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGETS: &str = "web1:\n  remote: 192.168.10.1\n  requester: 1b:00\n  window: 8192\ndump:\n  image: dumps/a.lime\n  ram: 1000-2000\ntoy:\n  demo: true\nempty:\nodd:\n  remote: nowhere\nevil:\n  image: --demo\n";

    fn ask(name: &str) -> Result<Origin, String> {
        let target = target(name, TARGETS, Path::new("/c/targets.yaml"));
        let origin = target.and_then(|target| target.origin());
        origin.map_err(|report| format!("{}; {}", report.message, report.hints.join(", ")))
    }

    #[test]
    fn names_stand_for_flags() {
        assert_eq!(ask("web1"), Ok(Origin::Adapter([192, 168, 10, 1].into())));
        assert_eq!(ask("dump"), Ok(Origin::Image("/c/dumps/a.lime".into())));
        assert_eq!(ask("toy"), Ok(Origin::Demo { asked: true }));
        assert_eq!(ask("evil"), Ok(Origin::Image("/c/--demo".into())));
    }

    #[test]
    fn what_is_no_target_is_told() {
        let told = |name| ask(name).unwrap_err();
        assert_eq!(
            told("wbe1"),
            "/c/targets.yaml: no target is called `wbe1`; did you mean `web1`?"
        );
        assert!(told("nothing").contains("there are: web1, dump, toy"));
        assert!(told("empty").contains("`empty` says nothing"));
        assert!(told("odd").starts_with("/c/targets.yaml: target `odd`: invalid value 'nowhere'"));
        for (text, part) in [
            ("a: {remoet: 1.2.3.4}", "did you mean `remote`?"),
            ("a: {remote: [1]}", "`remote` needs a text or a number"),
            ("a: {record: x}", "`record` is nothing that a target has"),
            ("- a", "is no file of targets"),
            ("a: {image: x, replay: y}", "cannot be used with"),
            ("a: {ram: 1000-2000}", "says of no memory"),
            ("a: {requester: '1b:00'}", "-b needs an adapter"),
        ] {
            let report = target("a", text, Path::new("/c/targets.yaml")).unwrap_err();
            let told = format!("{}; {}", report.message, report.hints.join(", "));
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn the_file_is_where_the_specification_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join(".config/nettlp-q");
        let variable = |name: &str| (name == "HOME").then(|| folder.path().into());
        let report = named("toy", variable).unwrap_err();
        assert!(report.hints[0].contains(".config/nettlp-q/targets.yaml"));
        std::fs::create_dir_all(&home).unwrap();
        std::fs::write(home.join("targets.yaml"), TARGETS).unwrap();
        let origin = named("toy", variable).unwrap().origin();
        assert_eq!(origin, Ok(Origin::Demo { asked: true }));
    }
}
