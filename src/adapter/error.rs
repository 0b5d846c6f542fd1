//! Why an adapter could not start.

use std::io;
use std::net::Ipv4Addr;

use crate::report::Report;

/// An adapter could not start.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// A port could not be bound.
    #[error("cannot listen on {address}:{port}")]
    Bind {
        /// The address.
        address: Ipv4Addr,
        /// The port.
        port: u16,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Something else that the system refused.
    #[error("cannot {action}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Not a number of tags.
    #[error("{0} tags are not between 1 and 256")]
    Tags(u16),
    /// Not a read completion boundary.
    #[error("a read completion boundary of {0} bytes is neither 64 nor 128")]
    Boundary(u32),
    /// Not a maximum payload.
    #[error("a maximum payload of {0} bytes is not a power of two from 64 to 4096")]
    MaxPayload(u32),
}

impl AdapterError {
    /// For `map_err`: the system refused `action`.
    pub(super) fn io(action: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { action, source }
    }

    /// What went wrong, where, and what to do next.
    pub fn report(&self) -> Report {
        let report = Report::from_error(self);
        match self {
            Self::Bind {
                address, source, ..
            } => match bind_hint(*address, source) {
                Some(hint) => report.with_hint(hint),
                None => report,
            },
            _ => report,
        }
    }
}

fn bind_hint(address: Ipv4Addr, source: &io::Error) -> Option<String> {
    match source.kind() {
        io::ErrorKind::AddrInUse => Some(format!(
            "another nettlp-adapter or nettlp-q may hold {address}; use another loopback address such as 127.0.0.3"
        )),
        io::ErrorKind::AddrNotAvailable => Some(format!(
            "{address} belongs to no interface of this machine; on one machine alone, 127.0.0.2 always works"
        )),
        // EMFILE: 256 tags take 256 sockets.
        _ if source.raw_os_error() == Some(24) => {
            Some("allow more open files: `ulimit -n 2048`".to_owned())
        }
        _ => None,
    }
}
