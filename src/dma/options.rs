//! How to reach an adapter and how much to ask of it.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::wire::{RequesterId, Tag};

use super::DmaError;

/// Tags that a UDP port can name.
const ALL_TAGS: u16 = 256;

/// How to reach an adapter and how much to ask of it; [`DmaOptions::new`] has the values that the published adapter bears.
#[derive(Clone, Debug)]
pub struct DmaOptions {
    /// The adapter's address.
    pub remote: IpAddr,
    /// The address to send from; `None`: the one that the system would choose.
    pub local: Option<IpAddr>,
    /// The adapter's bus, device and function on the target: what its completions are addressed to.
    pub requester: RequesterId,
    /// Longest read request in bytes, a power of two from 64 to 4096; not above the card's Max_Read_Request_Size.
    pub max_read: u32,
    /// Most bytes asked for and not yet answered. The adapter's return buffer holds 16 KiB and silently drops what does not fit.
    pub window_bytes: u32,
    /// Tags to use, each with a UDP port of its own; `None`: all 256 (or all from `first_tag` on).
    pub tags: Option<u16>,
    /// First tag to use, so that several clients can share one adapter.
    pub first_tag: u8,
    /// A read that has no complete answer after this time, retries included, has failed.
    pub timeout: Duration,
    /// A tag that was not answered is not used again for this time: its answer may still be on the way (PCIe completers may take
    /// 50 ms).
    pub quarantine: Duration,
}

impl DmaOptions {
    /// Reads of 512 bytes, 16 KiB in flight, all tags, an error after a second.
    pub const fn new(remote: IpAddr, requester: RequesterId) -> Self {
        Self {
            remote,
            local: None,
            requester,
            max_read: 512,
            window_bytes: 16 * 1024,
            tags: None,
            first_tag: 0,
            timeout: Duration::from_secs(1),
            quarantine: Duration::from_millis(50),
        }
    }

    /// Refuses values that cannot work.
    pub fn check(&self) -> Result<(), DmaError> {
        if !self.max_read.is_power_of_two() || !(64..=4096).contains(&self.max_read) {
            return Err(DmaError::MaxRead(self.max_read));
        }
        if self.window_bytes < self.max_read {
            return Err(DmaError::Window {
                window: self.window_bytes,
                max_read: self.max_read,
            });
        }
        let count = self.tag_count();
        if count == 0 || u16::from(self.first_tag) + count > ALL_TAGS {
            return Err(DmaError::Tags {
                first: self.first_tag,
                count,
            });
        }
        Ok(())
    }

    /// The tags to use, lowest first.
    pub fn tag_list(&self) -> impl Iterator<Item = Tag> + use<> {
        let first = self.first_tag;
        (0..self.tag_count()).map(move |index| Tag::new(first.wrapping_add(index as u8)))
    }

    /// How many tags there are to use.
    pub fn tag_count(&self) -> u16 {
        self.tags
            .unwrap_or(ALL_TAGS - u16::from(self.first_tag))
            .min(ALL_TAGS)
    }
}

/// The IPv4 address in `address`.
pub(super) fn ipv4(address: IpAddr) -> Result<Ipv4Addr, DmaError> {
    match address {
        IpAddr::V4(address) => Ok(address),
        IpAddr::V6(_) => Err(DmaError::NotIpv4(address)),
    }
}
