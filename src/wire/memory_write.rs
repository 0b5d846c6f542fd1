//! Memory write requests (MWr), for software adapters and for the one command that writes; nothing that reads names this module.

use crate::addr::PhysAddr;

use super::request::{check_request, emit_request};
use super::tlp::{MAX_HEADER, field, format_and_type};
use super::{RequestPacket, RequesterId, Span, Tag, TlpKind, WireError};

/// A memory write request; its data are whole double words, of which the byte enables say what is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MemoryWriteRepr {
    /// Who writes.
    pub requester: RequesterId,
    /// Not used by PCIe (there is no answer); it chooses the UDP port.
    pub tag: Tag,
    /// Where to.
    pub span: Span,
}

impl MemoryWriteRepr {
    /// A write of `length` bytes, at least 1, to `address`; refused where they cross a multiple of 4 KiB.
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

    /// Reads a request; refuses other TLPs, data of another length than announced, and everything that must not be sent. The
    /// data are the packet's payload.
    pub fn parse<T: AsRef<[u8]>>(packet: &RequestPacket<T>) -> Result<Self, WireError> {
        let tlp = packet.tlp();
        if tlp.kind() != TlpKind::MemoryWrite {
            return Err(WireError::NotA {
                expected: "memory write request",
                found: tlp.format_and_type(),
            });
        }
        let span = check_request(packet)?;
        tlp.check_data()?;
        Ok(Self {
            requester: packet.requester(),
            tag: packet.tag(),
            span,
        })
    }

    /// Writes the header to the start of `buffer`; returns its length, 12 or 16. The data follow it, padded to
    /// [`MemoryWriteRepr::data_length`].
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, WireError> {
        let header = emit_request(buffer, self.requester, self.tag, &self.span)?;
        header[field::FORMAT_AND_TYPE] = if header.len() == MAX_HEADER {
            format_and_type::MEMORY_WRITE_4
        } else {
            format_and_type::MEMORY_WRITE_3
        };
        Ok(header.len())
    }

    /// Writes header and data, with zeros in the bytes that are not enabled; returns the length of both. Refused where `data`
    /// are not the bytes from the first to the last enabled one.
    pub fn emit_with_data(&self, data: &[u8], buffer: &mut [u8]) -> Result<usize, WireError> {
        let announced = usize::try_from(self.span.range().length()).unwrap_or(usize::MAX);
        if data.len() != announced {
            return Err(WireError::DataLength {
                announced,
                have: data.len(),
            });
        }
        let header = self.emit(buffer)?;
        let length = header + self.data_length();
        let have = buffer.len();
        let payload = buffer.get_mut(header..length).ok_or(WireError::Truncated {
            what: "a memory write request",
            need: length,
            have,
        })?;
        payload.fill(0);
        let before = (self.span.first_byte().get() - self.span.address.get()) as usize;
        payload[before..before + data.len()].copy_from_slice(data);
        Ok(length)
    }

    /// Bytes of data behind the header, padding included.
    pub const fn data_length(&self) -> usize {
        self.span.dwords as usize * 4
    }
}
