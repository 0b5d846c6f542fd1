//! What an adapter is like.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::wire::RequesterId;

use super::Faults;

/// What an adapter is like; the default is a card as published, on 127.0.0.2, without delay or faults.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterOptions {
    /// Address to listen on. A client on the same machine needs another one (of 127.0.0.0/8), because it must own the same
    /// port numbers.
    pub listen: Ipv4Addr,
    /// Ports 0x3000 to 0x3000 + tags − 1 are served: 1 to 256.
    pub tags: u16,
    /// Longest data of one completion in bytes, 64 to 4096.
    pub max_payload: u32,
    /// Read completion boundary in bytes: 64 or 128.
    pub boundary: u32,
    /// From the arrival of a request to its answer.
    pub delay: Duration,
    /// What the network does to datagrams.
    pub faults: Faults,
    /// Answer this requester only, as a root complex would route completions; `None`: anybody.
    pub requester: Option<RequesterId>,
}

impl AdapterOptions {
    /// The requester ID that the message API tells where no other is set: that of the published measurements.
    pub const USUAL_REQUESTER: RequesterId = RequesterId::from_bits(0x1b00);
}

impl Default for AdapterOptions {
    fn default() -> Self {
        Self {
            listen: Ipv4Addr::new(127, 0, 0, 2),
            tags: 256,
            max_payload: 256,
            boundary: 64,
            delay: Duration::ZERO,
            faults: Faults::default(),
            requester: None,
        }
    }
}
