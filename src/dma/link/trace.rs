//! A link that writes every datagram to a capture file that Wireshark opens.
//!
//! The file is a pcap with nanosecond times and link type RAW (each packet starts at its IPv4 header); headers are rebuilt from the
//! addresses and the tag's port, with a correct IPv4 checksum and, as the adapter does it, no UDP checksum.

use std::fmt;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::wire::{Tag, TagSet};

use super::{Link, LinkError, Received};
use crate::dma::Moment;

/// pcap with nanosecond times, in the byte order of this file.
const MAGIC: u32 = 0xa1b2_3c4d;
/// LINKTYPE_RAW: the packet starts at its IP header.
const LINK_TYPE_RAW: u32 = 101;
/// Longest packet: any datagram.
const SNAP_LENGTH: u32 = 65_535;

const IPV4_HEADER: usize = 20;
const UDP_HEADER: usize = 8;

/// A link that records what passes.
pub struct TraceLink<L, W> {
    inner: L,
    output: W,
    local: Ipv4Addr,
    remote: Ipv4Addr,
    /// Wall-clock time of the inner link's start.
    epoch: Duration,
    /// Why the record is incomplete, if it is.
    failure: Option<io::Error>,
}

impl<L: Link, W: Write> TraceLink<L, W> {
    /// Records what passes through `inner`, between `local` and `remote`, into `output` (best buffered). Fails where the file's
    /// header cannot be written.
    pub fn new(inner: L, mut output: W, local: Ipv4Addr, remote: Ipv4Addr) -> io::Result<Self> {
        let mut header = Vec::with_capacity(24);
        header.extend(MAGIC.to_le_bytes());
        header.extend(2_u16.to_le_bytes());
        header.extend(4_u16.to_le_bytes());
        header.extend([0; 8]);
        header.extend(SNAP_LENGTH.to_le_bytes());
        header.extend(LINK_TYPE_RAW.to_le_bytes());
        output.write_all(&header)?;
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let epoch = wall.saturating_sub(inner.now().since_start());
        Ok(Self {
            inner,
            output,
            local,
            remote,
            epoch,
            failure: None,
        })
    }

    /// Why the record is incomplete: the first error of writing it. Reading memory goes on without.
    pub const fn failure(&self) -> Option<&io::Error> {
        self.failure.as_ref()
    }

    fn record(&mut self, from: Ipv4Addr, to: Ipv4Addr, port: u16, datagram: &[u8]) {
        if self.failure.is_some() {
            return;
        }
        let time = self.epoch + self.inner.now().since_start();
        let packet = packet_headers(from, to, port, datagram.len());
        let length = (packet.len() + datagram.len()) as u32;
        let mut record = Vec::with_capacity(16 + packet.len());
        // Seconds are 32 bits in the format, good until 2106.
        record.extend((time.as_secs() as u32).to_le_bytes());
        record.extend(time.subsec_nanos().to_le_bytes());
        record.extend(length.to_le_bytes());
        record.extend(length.to_le_bytes());
        record.extend(packet);
        let written = self
            .output
            .write_all(&record)
            .and_then(|()| self.output.write_all(datagram));
        self.failure = written.err();
    }
}

/// The IPv4 and UDP headers before `length` bytes (RFC 791, RFC 768).
fn packet_headers(
    from: Ipv4Addr,
    to: Ipv4Addr,
    port: u16,
    length: usize,
) -> [u8; IPV4_HEADER + UDP_HEADER] {
    let mut header = [0; IPV4_HEADER + UDP_HEADER];
    let udp_length = (UDP_HEADER + length) as u16;
    header[0] = 0x45;
    header[2..4].copy_from_slice(&(IPV4_HEADER as u16 + udp_length).to_be_bytes());
    header[6] = 0x40; // do not fragment
    header[8] = 64;
    header[9] = 17;
    header[12..16].copy_from_slice(&from.octets());
    header[16..20].copy_from_slice(&to.octets());
    let checksum = internet_checksum(&header[..IPV4_HEADER]);
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    header[20..22].copy_from_slice(&port.to_be_bytes());
    header[22..24].copy_from_slice(&port.to_be_bytes());
    header[24..26].copy_from_slice(&udp_length.to_be_bytes());
    header
}

/// The Internet checksum (RFC 1071) of an even number of bytes.
fn internet_checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks_exact(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

impl<L: Link, W: Write> Link for TraceLink<L, W> {
    fn now(&self) -> Moment {
        self.inner.now()
    }

    fn send(&mut self, tag: Tag, datagram: &[u8]) -> Result<(), LinkError> {
        self.record(self.local, self.remote, tag.dma_port(), datagram);
        self.inner.send(tag, datagram)
    }

    fn receive(
        &mut self,
        tags: &TagSet,
        deadline: Moment,
        buffer: &mut [u8],
    ) -> Result<Option<Received>, LinkError> {
        let received = self.inner.receive(tags, deadline, buffer)?;
        if let Some(Received { port, length }) = received {
            let datagram = buffer.get(..length).unwrap_or(buffer);
            self.record(self.remote, self.local, port.dma_port(), datagram);
        }
        Ok(received)
    }
}

impl<L: fmt::Debug, W> fmt::Debug for TraceLink<L, W> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TraceLink")
            .field("inner", &self.inner)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}
