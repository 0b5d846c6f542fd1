//! Datagrams to one port, gathered to be sent with one system call: the completions of a read.
//!
//! The system cuts what is sent at once into datagrams of one size (UDP_SEGMENT), of which only the last may be shorter. What
//! arrives is the same as if each had been sent by itself.

use std::net::Ipv4Addr;

use crate::wire::Tag;

use super::sockets::Ports;
use super::tally::{Tally, count};

/// Bytes sent at once at most: what an IPv4 packet holds, and some room.
const MOST: usize = 60_000;
/// Datagrams sent at once at most: the system takes 64.
const MOST_DATAGRAMS: usize = 64;

/// Datagrams that wait for others to the same port.
#[derive(Debug)]
pub(super) struct Batch {
    to: Ipv4Addr,
    tag: Tag,
    /// Bytes of each, but for the last.
    each: usize,
    bytes: Vec<u8>,
}

impl Batch {
    /// With nothing in it.
    pub(super) const fn new() -> Self {
        Self {
            to: Ipv4Addr::UNSPECIFIED,
            tag: Tag::new(0),
            each: 0,
            bytes: Vec::new(),
        }
    }

    /// Takes a datagram; sends what was gathered before where this one does not fit to it.
    pub(super) fn add(
        &mut self,
        ports: &Ports,
        tally: &Tally,
        to: Ipv4Addr,
        tag: Tag,
        datagram: &[u8],
    ) {
        if (self.to, self.tag) != (to, tag) || !self.has_room(datagram.len()) {
            self.send(ports, tally);
        }
        if self.bytes.is_empty() {
            (self.to, self.tag, self.each) = (to, tag, datagram.len());
        }
        self.bytes.extend_from_slice(datagram);
    }

    /// Whether a datagram of `length` bytes may follow those that are there.
    fn has_room(&self, length: usize) -> bool {
        let gathered = self.bytes.len();
        gathered == 0
            || length <= self.each
                && gathered.is_multiple_of(self.each)
                && gathered + length <= MOST.min(self.each * MOST_DATAGRAMS)
    }

    /// Sends what was gathered.
    pub(super) fn send(&mut self, ports: &Ports, tally: &Tally) {
        if self.bytes.is_empty() {
            return;
        }
        let is_one = self.bytes.len() <= self.each;
        let is_sent = !is_one
            && ports
                .send_several(self.tag, &self.bytes, self.each, self.to)
                .is_ok();
        if !is_sent {
            // One alone, or on a way that does not take several at once, such as one of long datagrams.
            for datagram in self.bytes.chunks(self.each.max(1)) {
                if ports.send_dma(self.tag, datagram, self.to).is_err() {
                    count(&tally.send_failures);
                }
            }
        }
        self.bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_datagrams_of_one_size_go_together_and_a_shorter_one_ends_them() {
        let mut batch = Batch::new();
        assert!(batch.has_room(5000));
        batch.each = 274;
        batch.bytes = vec![0; 274];
        assert!(batch.has_room(274) && batch.has_room(20) && !batch.has_room(275));
        batch.bytes.extend([0; 20]);
        assert!(!batch.has_room(20));
        batch.bytes = vec![0; 63 * 274];
        assert!(batch.has_room(274));
        batch.bytes = vec![0; 64 * 274];
        assert!(!batch.has_room(1));
    }
}
