//! The walk library that ships inside the program.

use crate::profile::{Library, LibraryError};
use crate::report::nearest;

/// The shipped files by their names in the repository, as the JSON that `build.rs` makes of each.
macro_rules! shipped {
    ($($name:literal)*) => {
        [$((
            concat!("profiles/linux/", $name, ".yaml"),
            include_str!(concat!(env!("OUT_DIR"), "/", $name, ".json")),
        )),*]
    };
}

/// The shipped files, in the order in which they are read; a line each.
const FILES: &[(&str, &str)] = &shipped! {
    "kernel"
    "tasks"
    "files"
    "memory"
    "modules"
    "time"
    "mounts"
    "log"
    "resources"
    "machine"
    "credentials"
    "stacks"
    "interrupts"
    "allocators"
    "tables"
    "network"
    "routes"
    "storage"
    "waiting"
    "text"
    "integrity"
};

/// The shipped walk library.
pub fn shipped_library() -> Result<Library, LibraryError> {
    let mut library = Library::default();
    for (name, json) in FILES {
        library.add_json(name, json)?;
    }
    Ok(library)
}

/// The shipped file of this name.
pub(super) fn shipped_file(name: &str) -> Option<&'static str> {
    let path = format!("profiles/linux/{name}.yaml");
    let found = FILES.iter().find(|(file, _)| *file == path);
    found.map(|(file, _)| *file)
}

/// The name of the shipped file that is nearest to this one, if one is near.
pub(super) fn near_shipped(name: &str) -> Option<&'static str> {
    let names = FILES.iter().map(|(file, _)| *file);
    let names =
        names.filter_map(|file| file.strip_prefix("profiles/linux/")?.strip_suffix(".yaml"));
    nearest(name, names)
}

/// Whether a definition's file is a shipped one.
pub(super) fn is_shipped(file: &str) -> bool {
    FILES.iter().any(|(shipped, _)| *shipped == file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_says_what_the_yaml_says() {
        let mut library = Library::default();
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        for (name, _) in FILES {
            let yaml = std::fs::read_to_string(root.join(name)).unwrap();
            library.add(name, &yaml).unwrap();
        }
        assert_eq!(shipped_library().unwrap(), library);
    }

    #[test]
    fn every_shipped_file_is_of_the_schema() {
        let library = shipped_library().unwrap();
        for walk in [
            "tasks",
            "threads",
            "children",
            "process_tree",
            "pids",
            "vmas",
            "files",
            "modules",
        ] {
            assert!(library.walks.contains_key(walk), "{walk}");
        }
    }
}
