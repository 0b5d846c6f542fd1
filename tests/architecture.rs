//! Keeps the map of ARCHITECTURE.md true: the rooms and their order, who may use which outside crate, the size of files.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read the sources fails"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Most lines of code in a file; tests, comments and blank lines are not counted.
const MOST_LINES: usize = 500;

/// Outside crates that only some rooms may use. Crates that are not here (thiserror, rustc_hash, memchr) are free.
const CRATES: &[(&str, &[&str])] = &[
    ("strsim", &["report"]),
    ("goblin", &["memory", "generate"]),
    ("memmap2", &["session"]),
    ("zstd", &["memory", "generate", "session"]),
    ("flate2", &["generate"]),
    ("lzma_rust2", &["generate"]),
    ("lz4_flex", &["generate"]),
    ("bzip2", &["generate"]),
    ("lzo", &["generate"]),
    ("tar", &["generate"]),
    ("tempfile", &["generate"]),
    ("indicatif", &["cli"]),
    ("socket2", &["dma", "adapter"]),
    ("nix", &["adapter"]),
    ("rustix", &["memory", "dma", "adapter", "bench"]),
    ("serde_yaml", &["profile", "cli"]),
    ("serde", &["profile", "render"]),
    ("gimli", &["generate"]),
    ("rayon", &["generate"]),
    ("pest", &["lang"]),
    ("pest_derive", &["lang"]),
    ("regex", &["lang", "exec", "session"]),
    ("sha2", &["exec"]),
    ("iced_x86", &["kernel_text", "session"]),
    ("comfy_table", &["render"]),
    ("serde_json", &["render", "cli", "profile"]),
    ("csv", &["render"]),
    ("arrow_array", &["render"]),
    ("arrow_buffer", &["render"]),
    ("arrow_ipc", &["render"]),
    ("arrow_schema", &["render"]),
    ("parquet", &["render"]),
    ("codespan_reporting", &["render"]),
    ("unicode_width", &["render", "repl"]),
    ("rustyline", &["repl"]),
    ("clap", &["cli"]),
    ("indicatif", &["cli"]),
    ("signal_hook", &["cli", "repl"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The rooms, in the order in which `src/lib.rs` declares them.
fn rooms() -> Vec<String> {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let declared = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    declared.map(str::to_owned).collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The files of a room: `src/ROOM.rs` or all of `src/ROOM/`.
fn files_of(room: &str) -> Vec<PathBuf> {
    let single = root().join("src").join(format!("{room}.rs"));
    if single.exists() {
        vec![single]
    } else {
        rust_files(&root().join("src").join(room))
    }
}

/// Whether a file, or the rest of one from its test module on, is only compiled for tests.
fn is_test_file(path: &Path) -> bool {
    let name = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    let in_folder = path.components().any(|part| part.as_os_str() == "tests");
    name.starts_with("tests") || name == "fake" || in_folder
}

/// A file's code: without comments, blank lines and what follows `#[cfg(test)]`.
fn code(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().map(str::trim);
    let code = lines.take_while(|line| *line != "mod tests {");
    code.filter(|line| !line.is_empty() && !line.starts_with("//"))
        .map(str::to_owned)
        .collect()
}

/// What a line names as `PREFIX::NAME`.
fn named_after(line: &str, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for part in line.split(prefix).skip(1) {
        let name: String = part
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        names.push(name);
    }
    names
}

#[test]
fn a_room_names_only_rooms_above_it() {
    let rooms = rooms();
    let mut wrong = Vec::new();
    for (number, room) in rooms.iter().enumerate() {
        for path in files_of(room)
            .into_iter()
            .filter(|path| !is_test_file(path))
        {
            for line in code(&path) {
                for named in named_after(&line, "crate::") {
                    if let Some(other) = rooms.iter().position(|known| *known == named)
                        && other > number
                    {
                        wrong.push(format!(
                            "{}: {room} names {named}, which is below it",
                            path.display()
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn outside_crates_stay_in_their_rooms() {
    let mut wrong = BTreeSet::new();
    for room in rooms() {
        for path in files_of(&room)
            .into_iter()
            .filter(|path| !is_test_file(path))
        {
            for line in code(&path) {
                for (outside, allowed) in CRATES {
                    let used = line.starts_with(&format!("use {outside}::"))
                        || line.contains(&format!(" {outside}::"))
                        || line.contains(&format!("({outside}::"))
                        || line.contains(&format!("<{outside}::"))
                        || line.contains(&format!("&{outside}::"));
                    if used && !allowed.contains(&room.as_str()) {
                        wrong.insert(format!("{}: {room} uses {outside}", path.display()));
                    }
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{}",
        wrong.into_iter().collect::<Vec<_>>().join("\n")
    );
}

#[test]
fn every_folder_is_on_the_map() {
    let rooms = rooms();
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for room in &rooms {
        assert!(
            map.contains(&format!("| `{room}` |")),
            "ARCHITECTURE.md does not show `{room}`"
        );
    }
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = name.trim_end_matches(".rs");
        assert!(
            rooms.iter().any(|room| room == name) || ["lib", "bin"].contains(&name),
            "src/{name} is not declared in src/lib.rs"
        );
    }
    let shown: Vec<&str> = map
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let order: Vec<&str> = shown
        .into_iter()
        .filter(|name| rooms.iter().any(|room| room == name))
        .collect();
    assert_eq!(
        order, rooms,
        "ARCHITECTURE.md shows the rooms in another order than src/lib.rs"
    );
    assert!(
        map.lines().count() <= 120,
        "ARCHITECTURE.md has more than 120 lines"
    );
}

#[test]
fn files_stay_small() {
    let mut wrong = Vec::new();
    for path in rust_files(&root().join("src"))
        .into_iter()
        .filter(|path| !is_test_file(path))
    {
        let lines = code(&path).len();
        if lines > MOST_LINES {
            wrong.push(format!("{}: {lines} lines of code", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_query_engine_cannot_write() {
    // Reading is the default and cannot become writing: no room of the query path names the wire's writes or a writable image.
    for room in [
        "paging", "wave", "locate", "walk", "lang", "plan", "exec", "session", "repl",
    ] {
        for path in files_of(room) {
            for line in code(&path) {
                for word in ["MemoryWrite", "WritableImage"] {
                    assert!(
                        !line.contains(word),
                        "{}: {room} names {word}",
                        path.display()
                    );
                }
            }
        }
    }
}

#[test]
fn unsafe_code_is_in_one_file() {
    let mut allowed = Vec::new();
    for path in rust_files(&root().join("src")) {
        if code(&path)
            .iter()
            .any(|line| line.contains("allow(unsafe_code"))
        {
            allowed.push(path);
        }
    }
    assert!(
        allowed.len() <= 1,
        "more than one file allows unsafe code: {allowed:?}"
    );
}
