//! Why there is no DMA at all, or no answer from the card or its driver.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::wire::{Tag, WireError};

/// What keeps a link from being opened, or a question about the card from being answered.
#[derive(Debug, thiserror::Error)]
pub enum DmaError {
    /// NetTLP is defined over IPv4 only.
    #[error("NetTLP needs IPv4 addresses, {0} is none")]
    NotIpv4(IpAddr),
    /// The longest read is not one that PCIe knows.
    #[error("a maximum read request of {0} bytes is not a power of two from 64 to 4096")]
    MaxRead(u32),
    /// The window is too small for one read.
    #[error("a window of {window} bytes does not hold one read of {max_read}")]
    Window {
        /// Bytes in flight allowed.
        window: u32,
        /// Longest read in bytes.
        max_read: u32,
    },
    /// No tags, or tags beyond 255.
    #[error("{count} tags from tag {first} on are not within 0 to 255")]
    Tags {
        /// First tag.
        first: u8,
        /// Tags wanted.
        count: u16,
    },
    /// Someone else has the port that a tag needs.
    #[error(
        "UDP port {port} of {local}, where answers for tag {tag} arrive, is taken by another program: stop the other NetTLP client, or give each \
         its own local address or tags"
    )]
    PortTaken {
        /// Local address.
        local: IpAddr,
        /// The port.
        port: u16,
        /// The tag that needs it.
        tag: Tag,
    },
    /// Someone else has the port of the configuration space.
    #[error(
        "UDP port {port} of {local}, where answers from configuration space arrive, is taken by another program"
    )]
    ConfigurationPortTaken {
        /// Local address.
        local: IpAddr,
        /// The port.
        port: u16,
    },
    /// The local address is not one of this machine's.
    #[error("this machine has no address {0} to send from")]
    NoLocalAddress(IpAddr),
    /// There is no route to the adapter.
    #[error("there is no route to {remote}")]
    NoRoute {
        /// The adapter.
        remote: IpAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A socket could not be made or used.
    #[error("cannot use a UDP socket from {local} to {remote}")]
    Socket {
        /// Local address and port.
        local: SocketAddr,
        /// The adapter's.
        remote: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A question about the card was not answered.
    #[error("{remote} did not answer {tries} questions for {subject} within {waited:?}")]
    NoAnswer {
        /// What was asked for.
        subject: &'static str,
        /// Whom.
        remote: SocketAddr,
        /// How often.
        tries: u32,
        /// How long.
        waited: Duration,
    },
    /// Nothing listens where the question went.
    #[error("nothing listens at {remote} to answer for {subject}")]
    NobodyThere {
        /// What was asked for.
        subject: &'static str,
        /// Whom.
        remote: SocketAddr,
    },
    /// The answer is not one.
    #[error("the answer of {remote} for {subject} cannot be used")]
    BadAnswer {
        /// What was asked for.
        subject: &'static str,
        /// Who answered.
        remote: SocketAddr,
        /// What is wrong with it.
        #[source]
        source: WireError,
    },
    /// The configuration space's list of capabilities holds no PCI Express capability within its bounds.
    #[error(
        "the configuration space at {remote} has no PCI Express capability (the list ends at {at:#04x})"
    )]
    NoExpressCapability {
        /// The adapter.
        remote: IpAddr,
        /// The last capability pointer followed.
        at: u8,
    },
}
