//! Why nothing could be measured, or nothing that could be compared.

use std::io;

use crate::adapter::AdapterError;
use crate::addr::PhysAddr;
use crate::dma::DmaError;
use crate::locate::LocateError;
use crate::profile::ProfileError;
use crate::report::Report;
use crate::session::Status;
use crate::wire::{CompletionStatus, WireError};

/// Why nothing could be measured, or nothing that could be compared.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The memory could not be opened, a session not be begun or a query not be answered; the report says why.
    #[error("{}", .0.summary())]
    Told(Box<Report>, Status),
    /// The adapter could not start.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// The requester could not start.
    #[error(transparent)]
    Dma(#[from] DmaError),
    /// The profile cannot be used.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The kernel was not found.
    #[error(transparent)]
    Locate(#[from] LocateError),
    /// The profile lacks what the serial process list reads.
    #[error("the profile has no `struct task_struct` with a member `{member}`")]
    NoMember {
        /// The member.
        member: &'static str,
    },
    /// There is no first task to begin with.
    #[error("the profile's `init_task` is not in the kernel image")]
    NoRoot,
    /// The system refused something to the single tag.
    #[error("cannot {action}")]
    System {
        /// What was tried.
        action: &'static str,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A datagram for the single tag is none of NetTLP's.
    #[error("the single tag received what is no completion")]
    Wire(#[from] WireError),
    /// The single tag had no answer; like LibTLP it does not ask twice.
    #[error("no answer to the single tag's read at {address}")]
    NoAnswer {
        /// What was read.
        address: PhysAddr,
    },
    /// The single tag was answered without data.
    #[error("the single tag's read at {address} was answered with {status:?}")]
    Refused {
        /// What was read.
        address: PhysAddr,
        /// The answer.
        status: CompletionStatus,
    },
    /// An answer that belongs to no read of the single tag.
    #[error("an answer that is not to the single tag's read at {address}")]
    Stranger {
        /// What was read.
        address: PhysAddr,
    },
    /// The two ways of reading did not see the same.
    #[error("{what} differ between the single tag and nettlp-q")]
    Differs {
        /// What differs.
        what: &'static str,
        /// An example.
        example: String,
    },
}

impl BenchError {
    /// For `map_err`: the system refused `action`.
    pub(super) fn system(action: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::System { action, source }
    }

    /// What went wrong, where, and what to do next.
    pub fn report(&self) -> Report {
        match self {
            Self::Told(report, _) => (**report).clone(),
            Self::Adapter(error) => error.report(),
            Self::Locate(error) => {
                let mut report = Report::error(error.to_string());
                report.notes = error.notes();
                let hints = error.hints().into_iter();
                report.hints = hints.map(|hint| hint.to_string()).collect();
                report
            }
            Self::System { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                Report::from_error(self).with_hint(
                    "another NetTLP client may hold the address; give another loopback address with --local",
                )
            }
            Self::Differs { example, .. } => Report::from_error(self)
                .with_note(example)
                .with_hint("is the image that of a stopped machine? a running one changes between two measurements"),
            _ => Report::from_error(self),
        }
    }

    /// The exit status that says it.
    pub fn status(&self) -> Status {
        match self {
            Self::Told(_, status) => *status,
            Self::Profile(_) | Self::NoMember { .. } => Status::Wrong,
            Self::Locate(_) => Status::NoTarget,
            _ => Status::Failed,
        }
    }
}
