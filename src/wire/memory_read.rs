//! Memory read requests (MRd): the only TLP that asking questions needs.

use crate::addr::PhysAddr;

use super::request::{check_request, emit_request};
use super::tlp::{MAX_HEADER, field, format_and_type};
use super::{RequestPacket, RequesterId, Span, Tag, TlpKind, WireError};

/// A memory read request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MemoryReadRepr {
    /// Who asks, and to whom the completions go.
    pub requester: RequesterId,
    /// The request's name among the requester's outstanding requests.
    pub tag: Tag,
    /// What is asked for.
    pub span: Span,
}

impl MemoryReadRepr {
    /// A read of the `length` bytes at `address`; refused where they cross a multiple of 4 KiB.
    pub fn new(
        requester: RequesterId,
        tag: Tag,
        address: PhysAddr,
        length: u32,
    ) -> Result<Self, WireError> {
        Ok(Self {
            requester,
            tag,
            span: Span::of_bytes(address, length)?,
        })
    }

    /// Reads a request; refuses other TLPs, trailing bytes, and everything that a requester must not send.
    pub fn parse<T: AsRef<[u8]>>(packet: &RequestPacket<T>) -> Result<Self, WireError> {
        let tlp = packet.tlp();
        if tlp.kind() != TlpKind::MemoryRead {
            return Err(WireError::NotA {
                expected: "memory read request",
                found: tlp.format_and_type(),
            });
        }
        let span = check_request(packet)?;
        let have = tlp.payload().len();
        if have != 0 {
            return Err(WireError::DataLength { announced: 0, have });
        }
        Ok(Self {
            requester: packet.requester(),
            tag: packet.tag(),
            span,
        })
    }

    /// Writes the request to the start of `buffer`; returns its length, 12 or 16.
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, WireError> {
        let header = emit_request(buffer, self.requester, self.tag, &self.span)?;
        header[field::FORMAT_AND_TYPE] = if header.len() == MAX_HEADER {
            format_and_type::MEMORY_READ_4
        } else {
            format_and_type::MEMORY_READ_3
        };
        Ok(header.len())
    }
}
