//! Environment → the folders that profiles are looked for in, and the profiles there.
//!
//! The folders, in this order: those of `NETTLP_PROFILE_PATH` (separated by colons); then as the XDG Base Directory Specification 0.8 has
//! it `$XDG_DATA_HOME/nettlp-q/profiles` (by default under `~/.local/share`), `nettlp-q/profiles` in each of `$XDG_DATA_DIRS` (by default
//! `/usr/local/share` and `/usr/share`), and `$XDG_CACHE_HOME/nettlp-q/profiles` (by default under `~/.cache`), which programs fill.
//! Profiles are the files in them whose names end in `.yaml`.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use super::error::ProfileError;
use super::preview::Preview;

/// The variable with more folders.
pub const PATH_VARIABLE: &str = "NETTLP_PROFILE_PATH";

/// Where in a base directory profiles are.
const FOLDER: &str = "nettlp-q/profiles";
/// What `$XDG_DATA_DIRS` is where it is not set.
const DATA_DIRS: &str = "/usr/local/share:/usr/share";
/// Files of a folder that are looked at.
const MOST_FILES: usize = 4096;

/// The folders that profiles are looked for in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchPath {
    folders: Vec<PathBuf>,
    own: Option<PathBuf>,
    cache: Option<PathBuf>,
}

/// A file in the search path that is a profile, or should be one.
#[derive(Debug)]
pub struct Entry {
    /// The file.
    pub path: PathBuf,
    /// What it is of, or why it cannot be used.
    pub preview: Result<Preview, ProfileError>,
}

impl SearchPath {
    /// The path that an environment asks for; `variable` gives the value of a variable that is set. Relative folders are ignored in the
    /// XDG variables, as the specification demands, and taken from the working directory in [`PATH_VARIABLE`].
    pub fn from_environment(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let home = set("HOME").and_then(absolute);
        let base = |name, default: &str| {
            let given = set(name).and_then(absolute);
            let base = given.or_else(|| Some(home.as_ref()?.join(default)));
            base.map(|base| base.join(FOLDER))
        };
        let own = base("XDG_DATA_HOME", ".local/share");
        let cache = base("XDG_CACHE_HOME", ".cache");
        let more = set(PATH_VARIABLE).unwrap_or_default();
        let system = set("XDG_DATA_DIRS").unwrap_or_else(|| DATA_DIRS.into());
        let mut folders = Vec::new();
        let more = std::env::split_paths(&more).filter(|folder| !folder.as_os_str().is_empty());
        let system = std::env::split_paths(&system)
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join(FOLDER));
        let all = more.chain(own.clone()).chain(system).chain(cache.clone());
        for folder in all {
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        Self {
            folders,
            own,
            cache,
        }
    }

    /// The path of this process.
    pub fn of_this_process() -> Self {
        Self::from_environment(|name| std::env::var_os(name))
    }

    /// The folders in the order in which they are searched, whether or not they exist.
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// The folder that a person puts profiles into; `None` where the environment names no home.
    pub fn own_folder(&self) -> Option<&Path> {
        self.own.as_deref()
    }

    /// The file of the cache for a kernel of that build ID; `None` where there is no cache, or for what is no build ID (lower-case
    /// hexadecimal, an even number of digits).
    pub fn cached(&self, build_id: &str) -> Option<PathBuf> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let digits = (8..=128).contains(&build_id.len()) && build_id.len().is_multiple_of(2);
        let plain = digits && build_id.bytes().all(is_digit);
        let cache = self.cache.as_ref().filter(|_| plain)?;
        Some(cache.join(format!("{build_id}.yaml")))
    }

    /// The profiles, folder by folder, by name in each; walk libraries are passed over. What should be a profile and is not is among
    /// them, with why. A folder that is not there has none. Only the beginning and a few blocks of each file are read.
    pub fn entries(&self) -> Vec<Entry> {
        let files = self.folders.iter().flat_map(|folder| files(folder));
        let entries = files.filter_map(|path| {
            let preview = Preview::read(&path).transpose()?;
            Some(Entry { path, preview })
        });
        entries.collect()
    }
}

fn absolute(path: OsString) -> Option<PathBuf> {
    Some(PathBuf::from(path)).filter(|path| path.is_absolute())
}

/// Files that are called as profiles are, by name.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let yaml = paths.filter(|path| path.extension() == Some(OsStr::new("yaml")));
    let mut files: Vec<PathBuf> = yaml.filter(|path| path.is_file()).collect();
    files.sort();
    files.truncate(MOST_FILES);
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = include_str!("../../tests/fixtures/profile/small.yaml");

    fn path(variables: &[(&str, &str)]) -> SearchPath {
        SearchPath::from_environment(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    fn folders(variables: &[(&str, &str)]) -> Vec<String> {
        let path = path(variables);
        let folders = path.folders().iter();
        folders.map(|folder| folder.display().to_string()).collect()
    }

    #[test]
    fn folders_follow_the_specification() {
        assert_eq!(
            folders(&[("HOME", "/home/a")]),
            [
                "/home/a/.local/share/nettlp-q/profiles",
                "/usr/local/share/nettlp-q/profiles",
                "/usr/share/nettlp-q/profiles",
                "/home/a/.cache/nettlp-q/profiles",
            ]
        );
        assert_eq!(
            folders(&[
                ("HOME", "/home/a"),
                ("XDG_DATA_HOME", "/d"),
                ("XDG_DATA_DIRS", "/s:relative:/d"),
                ("XDG_CACHE_HOME", "relative"),
                (PATH_VARIABLE, "/more:here::/s/nettlp-q/profiles"),
            ]),
            [
                "/more",
                "here",
                "/s/nettlp-q/profiles",
                "/d/nettlp-q/profiles",
                "/home/a/.cache/nettlp-q/profiles",
            ]
        );
        assert_eq!(folders(&[("XDG_DATA_DIRS", "")]).len(), 2);
        assert_eq!(SearchPath::default().entries().len(), 0);
    }

    #[test]
    fn the_cache_takes_build_ids_and_nothing_else() {
        let path = path(&[("XDG_CACHE_HOME", "/c")]);
        let file = path.cached("3b43fad503487449");
        let expected = "/c/nettlp-q/profiles/3b43fad503487449.yaml";
        assert_eq!(file, Some(PathBuf::from(expected)));
        for odd in [
            "",
            "3b",
            "../../etc/passwd",
            "3B43FAD503487449",
            "3b43fad50",
        ] {
            assert_eq!(path.cached(odd), None, "{odd}");
        }
        assert_eq!(SearchPath::default().cached("3b43fad503487449"), None);
    }

    #[test]
    fn good_and_bad_profiles_are_listed() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        write("b.yaml", SMALL);
        write("a.yaml", "no profile");
        write("walks.yaml", "format: nettlp-walks/1\nwalks: {}\n");
        write("notes.txt", "not looked at");
        std::fs::create_dir(folder.path().join("c.yaml")).unwrap();
        let path = path(&[(PATH_VARIABLE, folder.path().to_str().unwrap())]);
        let entries = path.entries();
        let told: Vec<_> = entries
            .iter()
            .map(|entry| (entry.path.file_name().unwrap(), entry.preview.is_ok()))
            .collect();
        assert_eq!(
            told,
            [(OsStr::new("a.yaml"), false), (OsStr::new("b.yaml"), true)]
        );
    }
}
