//! Links: what carries datagrams to an adapter and back, one UDP port a tag; and wrappers that lose or record them.

mod lossy;
mod trace;
mod udp;

pub use lossy::{Faults, LossyLink};
pub use trace::TraceLink;
pub use udp::UdpLink;

pub(super) use udp::{connect, local_address};

use std::fmt;
use std::io;

use crate::wire::{Tag, TagSet};

use super::Moment;

/// A datagram that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// The tag whose port it came to: evidence, not proof, of the tag inside.
    pub port: Tag,
    /// Its bytes in the caller's buffer; as many as the buffer has where it was longer.
    pub length: usize,
}

/// The system refused to send or receive; often the echo of an earlier datagram that nobody was there to take.
#[derive(Debug, thiserror::Error)]
#[error("the port of tag {tag} cannot be used")]
pub struct LinkError {
    /// The tag whose port it happened on.
    pub tag: Tag,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// Something that carries datagrams to an adapter and back.
pub trait Link: fmt::Debug {
    /// The time, by the clock that deadlines refer to.
    fn now(&self) -> Moment;

    /// Sends a datagram from and to the port of `tag`. Does not block; a full socket buffer drops it, as a network would.
    fn send(&mut self, tag: Tag, datagram: &[u8]) -> Result<(), LinkError>;

    /// Puts a datagram that arrived at the port of one of `tags` into `buffer`, waiting until `deadline` at most. What is there
    /// already is handed over even when the deadline has passed; `None` says that nothing was. What arrived at other ports may
    /// be handed over as well, where leaving it would cost more than taking it.
    fn receive(
        &mut self,
        tags: &TagSet,
        deadline: Moment,
        buffer: &mut [u8],
    ) -> Result<Option<Received>, LinkError>;
}

impl Link for Box<dyn Link> {
    fn now(&self) -> Moment {
        (**self).now()
    }

    fn send(&mut self, tag: Tag, datagram: &[u8]) -> Result<(), LinkError> {
        (**self).send(tag, datagram)
    }

    fn receive(
        &mut self,
        tags: &TagSet,
        deadline: Moment,
        buffer: &mut [u8],
    ) -> Result<Option<Received>, LinkError> {
        (**self).receive(tags, deadline, buffer)
    }
}
