//! The walk library that ships inside the program.

use crate::profile::{Library, LibraryError};

/// The shipped files by their names in the repository, with their text.
macro_rules! shipped {
    ($($name:literal)*) => {
        [$((
            concat!("profiles/linux/", $name, ".yaml"),
            include_str!(concat!("../../profiles/linux/", $name, ".yaml")),
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
    "interrupts"
    "allocators"
    "tables"
    "network"
};

/// The shipped walk library.
pub fn shipped_library() -> Result<Library, LibraryError> {
    let mut library = Library::default();
    for (name, text) in FILES {
        library.add(name, text)?;
    }
    Ok(library)
}

#[cfg(test)]
mod tests {
    use super::*;

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
