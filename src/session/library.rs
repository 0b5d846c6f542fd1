//! The walk library that ships inside the program.

use crate::profile::{Library, LibraryError};

/// The shipped files, by their names in the repository.
const FILES: [(&str, &str); 6] = [
    (
        "profiles/linux/kernel.yaml",
        include_str!("../../profiles/linux/kernel.yaml"),
    ),
    (
        "profiles/linux/tasks.yaml",
        include_str!("../../profiles/linux/tasks.yaml"),
    ),
    (
        "profiles/linux/files.yaml",
        include_str!("../../profiles/linux/files.yaml"),
    ),
    (
        "profiles/linux/memory.yaml",
        include_str!("../../profiles/linux/memory.yaml"),
    ),
    (
        "profiles/linux/modules.yaml",
        include_str!("../../profiles/linux/modules.yaml"),
    ),
    (
        "profiles/linux/network.yaml",
        include_str!("../../profiles/linux/network.yaml"),
    ),
];

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
