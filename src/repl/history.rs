//! Where what was typed is kept: `$XDG_STATE_HOME/nettlp-q/history` (XDG Base Directory Specification 0.8), by default under
//! `~/.local/state`. Where nothing can be kept the prompt works all the same and remembers until it ends.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use rustyline::history::FileHistory;
use rustyline::{Editor, Helper};

/// The file, if there is a place for it.
#[derive(Debug)]
pub(super) struct History {
    file: Option<PathBuf>,
}

impl History {
    /// Finds the place and makes its folder.
    pub(super) fn find() -> Self {
        let folder = folder(std::env::var_os("XDG_STATE_HOME"), std::env::var_os("HOME"));
        let file = folder
            .filter(|folder| fs::create_dir_all(folder).is_ok())
            .map(|folder| folder.join("history"));
        Self { file }
    }

    /// Remembers what was typed in earlier sessions.
    pub(super) fn load<H: Helper>(&self, editor: &mut Editor<H, FileHistory>) {
        if let Some(file) = &self.file {
            // The first session has no history; a file that cannot be read is none.
            let _ = editor.load_history(file);
        }
    }

    /// Remembers what was typed, at once, so that a session that is killed loses nothing.
    pub(super) fn keep<H: Helper>(&self, editor: &mut Editor<H, FileHistory>, typed: &str) {
        let _ = editor.add_history_entry(typed.trim_end());
        if let Some(file) = &self.file {
            let _ = editor.append_history(file);
        }
    }
}

/// The program's folder for what it remembers. Relative paths in the environment are ignored, as the specification demands.
fn folder(state: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let state = state
        .and_then(absolute)
        .or_else(|| Some(home.and_then(absolute)?.join(Path::new(".local/state"))));
    state.map(|state| state.join("nettlp-q"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_follows_the_specification() {
        let found = |state: Option<&str>, home: Option<&str>| {
            folder(state.map(OsString::from), home.map(OsString::from))
        };
        assert_eq!(
            found(Some("/s"), Some("/h")),
            Some(PathBuf::from("/s/nettlp-q"))
        );
        assert_eq!(
            found(Some("relative"), Some("/h")),
            Some(PathBuf::from("/h/.local/state/nettlp-q"))
        );
        assert_eq!(found(Some(""), None), None);
    }
}
