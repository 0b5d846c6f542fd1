//! What memory reads and memory writes have in common: requester, tag, byte enables, address (PCIe Base Specification, 2.2.7).

use crate::addr::PhysAddr;

use super::bytes::{be16, be32, byte};
use super::tlp::{MAX_HEADER, MIN_HEADER, field as tlp_field, length_field};
use super::{ByteEnables, RequesterId, Span, Tag, TlpPacket, WireError};

mod field {
    pub(super) const REQUESTER: usize = 4;
    pub(super) const TAG: usize = 6;
    pub(super) const BYTE_ENABLES: usize = 7;
    pub(super) const ADDRESS: usize = 8;
}

/// First address that needs the header of four double words.
const FOUR_GIB: u64 = 1 << 32;

/// Access to the fields of a memory request.
#[derive(Clone, Copy, Debug)]
pub struct RequestPacket<T>(TlpPacket<T>);

impl<T: AsRef<[u8]>> RequestPacket<T> {
    /// A view of `buffer`, which starts at the TLP; refused where it is shorter than its header.
    pub fn new(buffer: T) -> Result<Self, WireError> {
        TlpPacket::new(buffer).map(Self)
    }

    /// The fields that all TLPs share.
    pub fn tlp(&self) -> &TlpPacket<T> {
        &self.0
    }

    /// Who asks.
    pub fn requester(&self) -> RequesterId {
        RequesterId::from_bits(be16(self.0.bytes(), field::REQUESTER))
    }

    /// The request's name among the requester's requests.
    pub fn tag(&self) -> Tag {
        Tag::new(byte(self.0.bytes(), field::TAG))
    }

    /// Which bytes of the first and last double word.
    pub fn enables(&self) -> ByteEnables {
        ByteEnables::from_byte(byte(self.0.bytes(), field::BYTE_ENABLES))
    }

    /// The address field, reserved low bits included.
    pub fn address(&self) -> PhysAddr {
        let high = u64::from(be32(self.0.bytes(), field::ADDRESS));
        if self.0.header_length() == MIN_HEADER {
            return PhysAddr::new(high);
        }
        PhysAddr::new(high << 32 | u64::from(be32(self.0.bytes(), field::ADDRESS + 4)))
    }

    /// Length, byte enables and address together, unchecked.
    pub fn span(&self) -> Span {
        Span {
            address: self.address(),
            dwords: self.0.dwords(),
            enables: self.enables(),
        }
    }
}

/// Judges what is common to all memory requests and gives back what is asked for.
pub(super) fn check_request<T: AsRef<[u8]>>(packet: &RequestPacket<T>) -> Result<Span, WireError> {
    let tlp = packet.tlp();
    tlp.check_plain(0)?;
    if tlp.is_poisoned() {
        return Err(WireError::PoisonedRequest);
    }
    let span = packet.span();
    if tlp.header_length() == MAX_HEADER && span.address.get() < FOUR_GIB {
        return Err(WireError::LongHeader(span.address));
    }
    span.check()?;
    Ok(span)
}

/// Writes everything of a request's header but its format and type byte, which only the caller's module knows; returns the
/// header, 16 bytes long if and only if the address is at or above 4 GiB.
pub(super) fn emit_request<'b>(
    buffer: &'b mut [u8],
    requester: RequesterId,
    tag: Tag,
    span: &Span,
) -> Result<&'b mut [u8], WireError> {
    span.check()?;
    let address = span.address.get();
    let need = if address < FOUR_GIB {
        MIN_HEADER
    } else {
        MAX_HEADER
    };
    let have = buffer.len();
    let header = buffer.get_mut(..need).ok_or(WireError::Truncated {
        what: "a memory request header",
        need,
        have,
    })?;
    header[tlp_field::HINTS] = 0;
    header[tlp_field::FLAGS_AND_LENGTH..field::REQUESTER]
        .copy_from_slice(&length_field(span.dwords).to_be_bytes());
    header[field::REQUESTER..field::TAG].copy_from_slice(&requester.bits().to_be_bytes());
    header[field::TAG] = tag.get();
    header[field::BYTE_ENABLES] = span.enables.to_byte();
    // The low half of the address is the last word of either form.
    header[field::ADDRESS..field::ADDRESS + 4]
        .copy_from_slice(&((address >> 32) as u32).to_be_bytes());
    header[need - 4..].copy_from_slice(&(address as u32).to_be_bytes());
    Ok(header)
}
