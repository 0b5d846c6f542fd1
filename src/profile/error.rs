//! Why a profile cannot be used.

use std::path::PathBuf;

use super::declarator::TypeSyntaxError;

/// Why a profile, or one thing in it, cannot be used. Lines and columns count from 1.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The file cannot be read.
    #[error("cannot read profile {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The file is not text.
    #[error("{profile} is not a profile: byte {offset:#x} is not UTF-8")]
    NotText {
        /// The file.
        profile: String,
        /// Bytes from its start.
        offset: usize,
    },
    /// The file is text, but does not start as a layout profile does.
    #[error(
        "{profile} is not a layout profile: it does not start with `format: {}`",
        super::FORMAT
    )]
    NotAProfile {
        /// The file.
        profile: String,
    },
    /// Something in the file is not as it must be.
    #[error("{profile}:{line}:{column}: {problem}")]
    Malformed {
        /// The file.
        profile: String,
        /// Where.
        line: usize,
        /// Where.
        column: usize,
        /// What is wrong there.
        problem: String,
    },
    /// Following typedefs does not end.
    #[error("{profile}: typedef `{name}` is defined by itself")]
    Cycle {
        /// The file.
        profile: String,
        /// One of the typedefs of the cycle.
        name: String,
    },
    /// A text that should name a type does not.
    #[error(transparent)]
    TypeSyntax(#[from] TypeSyntaxError),
}
