//! What is wrong with a file that should be a memory, in words that say what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::addr::PhysRange;
use crate::report::Report;

use super::ReadFailure;
use super::ranges::RangeError;

/// A memory could not be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// A file could not be used.
    #[error("cannot use `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        problem: Problem,
    },
    /// A list of address ranges could not be understood.
    #[error("the address ranges are not understood")]
    Ranges(#[from] RangeError),
}

impl MemoryError {
    /// The problem, at home in a file.
    pub(super) fn file(path: &Path, problem: impl Into<Problem>) -> Self {
        Self::File {
            path: path.to_owned(),
            problem: problem.into(),
        }
    }

    /// What went wrong, where, and what to do next.
    pub fn report(&self) -> Report {
        let report = Report::from_error(self);
        match self {
            Self::File { problem, .. } => match problem.hint() {
                Some(hint) => report.with_hint(hint),
                None => report,
            },
            Self::Ranges(_) => report
                .with_hint("ranges are half-open and hexadecimal: `1000-9fc00,100000-bffe0000`"),
        }
    }
}

/// What is wrong with one file.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The system said no.
    #[error("cannot {action}")]
    Io {
        /// What was tried, for example "open it".
        action: &'static str,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A folder, socket or pipe.
    #[error("it is {0}, not a file")]
    NotAFile(&'static str),
    /// Nothing inside.
    #[error("it is empty")]
    Empty,
    /// Known by its first bytes as something that is not a memory image.
    #[error("it is {what}, not an image of physical memory")]
    NotAnImage {
        /// What it is.
        what: &'static str,
        /// What to do instead.
        hint: &'static str,
    },
    /// A recording was asked for and this is none.
    #[error("it is not a recording")]
    NotARecording,
    /// A recording of a later version of this program.
    #[error("it is a recording of format {found}, and this program reads format {known}")]
    RecordingVersion {
        /// The file's format.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// A recording whose frame contradicts itself.
    #[error("the frame at offset {offset:#x} of the recording is damaged: {what}")]
    RecordingDamaged {
        /// Of the frame in the file.
        offset: u64,
        /// What contradicts.
        what: &'static str,
    },
    /// More has been read than a recording may hold; what was read later is missing from it.
    #[error("the recording is full: it holds at most 1 GiB")]
    RecordingFull,
    /// Goblin could not read the ELF headers.
    #[error("its ELF headers are damaged")]
    Elf(#[source] goblin::error::Error),
    /// An ELF file for another kind of processor.
    #[error("it comes from a machine of another architecture ({0}); x86-64 is what is read here")]
    ForeignArchitecture(String),
    /// An ELF core whose segments have only virtual addresses.
    #[error(
        "it is the core of one process, not of a machine: its segments have no physical addresses"
    )]
    NoPhysicalAddresses,
    /// A header or a range promises bytes that the file does not have.
    #[error(
        "it is cut off: {what} reaches to offset {needed:#x}, and the file ends at {length:#x}"
    )]
    Truncated {
        /// What reaches too far.
        what: &'static str,
        /// End of it in the file, in bytes.
        needed: u64,
        /// Length of the file in bytes.
        length: u64,
    },
    /// A length or an address passes 2^64.
    #[error(
        "{what} at {start:#x} with {bytes:#x} bytes passes the end of the 64-bit address space"
    )]
    Overflow {
        /// What passes it.
        what: &'static str,
        /// Where it starts.
        start: u64,
        /// How long it is.
        bytes: u64,
    },
    /// Two ranges claim the same physical address.
    #[error("the ranges {first} and {second} overlap")]
    Overlap {
        /// The lower one.
        first: PhysRange,
        /// The one that starts inside it.
        second: PhysRange,
    },
    /// A header holds a value that no such file has.
    #[error("{what} is {found:#x}")]
    BadHeader {
        /// The field, and where it is.
        what: &'static str,
        /// What it holds.
        found: u64,
    },
    /// `--image-map` was given for a file that says itself what belongs where.
    #[error("it says itself where its ranges belong, so an image map contradicts it")]
    MapNotWanted,
    /// A write was tried where there are no bytes.
    #[error("cannot write at {at:#x}: {failure}")]
    Write {
        /// First address.
        at: u64,
        /// Why not.
        failure: ReadFailure,
    },
}

impl Problem {
    /// For `map_err`: the system refused `action`.
    pub(super) fn io(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, source }
    }

    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotAnImage { hint, .. } => Some(hint),
            Self::NotARecording => {
                Some("give dumps with `--image FILE`; recordings are made with `--record FILE`")
            }
            Self::RecordingVersion { .. } => {
                Some("use the program's version that recorded it, or record again")
            }
            Self::RecordingFull => {
                Some("take a dump of memory this large, and read it with --image")
            }
            Self::RecordingDamaged { .. } => Some("copy the recording again, or record again"),
            Self::Truncated { .. } => {
                Some("copy the file again, or take the dump again: its end is missing")
            }
            Self::NoPhysicalAddresses => Some(
                "dump the machine instead: /proc/vmcore after a crash, or QEMU's `dump-guest-memory` without `-p`",
            ),
            Self::Overlap { .. } => {
                Some("check the ranges: an address can come from one place only")
            }
            Self::MapNotWanted => Some("leave out --image-map: it is for raw dumps"),
            _ => None,
        }
    }
}
