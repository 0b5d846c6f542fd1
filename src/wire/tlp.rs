//! The first double word, which all TLPs share.

use super::WireError;
use super::bytes::{be16, byte};

/// Longest TLP header in bytes: four double words.
pub const MAX_HEADER: usize = 16;

/// Shortest TLP header in bytes: three double words.
pub(super) const MIN_HEADER: usize = 12;

pub(super) mod field {
    //! Byte offsets and bit masks of the first double word.
    pub(in crate::wire) const FORMAT_AND_TYPE: usize = 0;
    pub(in crate::wire) const HINTS: usize = 1;
    pub(in crate::wire) const FLAGS_AND_LENGTH: usize = 2;

    pub(in crate::wire) const FOUR_DWORDS: u8 = 0x20;
    pub(in crate::wire) const DIGEST: u16 = 0x8000;
    pub(in crate::wire) const POISONED: u16 = 0x4000;
    pub(in crate::wire) const LENGTH: u16 = 0x03ff;
}

/// Format and type bytes of the TLPs that NetTLP carries.
pub(super) mod format_and_type {
    pub(in crate::wire) const MEMORY_READ_3: u8 = 0x00;
    pub(in crate::wire) const MEMORY_READ_4: u8 = 0x20;
    pub(in crate::wire) const MEMORY_WRITE_3: u8 = 0x40;
    pub(in crate::wire) const MEMORY_WRITE_4: u8 = 0x60;
    pub(in crate::wire) const COMPLETION: u8 = 0x0a;
    pub(in crate::wire) const COMPLETION_WITH_DATA: u8 = 0x4a;
}

/// What a TLP is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlpKind {
    /// MRd.
    MemoryRead,
    /// MWr.
    MemoryWrite,
    /// Cpl.
    Completion,
    /// CplD.
    CompletionWithData,
    /// Anything else, with its format and type byte.
    Other(u8),
}

/// Access to the fields that all TLPs share.
#[derive(Clone, Copy, Debug)]
pub struct TlpPacket<T>(T);

impl<T: AsRef<[u8]>> TlpPacket<T> {
    /// A view of `buffer`, which starts at the TLP; refused where it is shorter than the header that its format announces.
    pub fn new(buffer: T) -> Result<Self, WireError> {
        let packet = Self(buffer);
        let have = packet.bytes().len();
        let need = packet.header_length();
        if have < need {
            return Err(WireError::Truncated {
                what: "a TLP header",
                need,
                have,
            });
        }
        Ok(packet)
    }

    /// What the TLP is.
    pub fn kind(&self) -> TlpKind {
        match self.format_and_type() {
            format_and_type::MEMORY_READ_3 | format_and_type::MEMORY_READ_4 => TlpKind::MemoryRead,
            format_and_type::MEMORY_WRITE_3 | format_and_type::MEMORY_WRITE_4 => {
                TlpKind::MemoryWrite
            }
            format_and_type::COMPLETION => TlpKind::Completion,
            format_and_type::COMPLETION_WITH_DATA => TlpKind::CompletionWithData,
            other => TlpKind::Other(other),
        }
    }

    /// Byte 0.
    pub fn format_and_type(&self) -> u8 {
        byte(self.bytes(), field::FORMAT_AND_TYPE)
    }

    /// Byte 1: traffic class in bits 6-4, tag bits 9 and 8 in bits 7 and 3, ordering and processing hints.
    pub fn hints(&self) -> u8 {
        byte(self.bytes(), field::HINTS)
    }

    /// TD: a digest follows the data.
    pub fn has_digest(&self) -> bool {
        self.flags() & field::DIGEST != 0
    }

    /// EP: the data are poisoned.
    pub fn is_poisoned(&self) -> bool {
        self.flags() & field::POISONED != 0
    }

    /// Relaxed ordering (bit 1) and no snoop (bit 0).
    pub fn attributes(&self) -> u8 {
        (self.flags() >> 12) as u8 & 3
    }

    /// AT: 0 untranslated, 1 translation request, 2 translated.
    pub fn address_type(&self) -> u8 {
        (self.flags() >> 10) as u8 & 3
    }

    /// Double words of data, 1 to 1024.
    pub fn dwords(&self) -> u16 {
        match self.length_field() {
            0 => 1024,
            dwords => dwords,
        }
    }

    /// The Length field as it stands: 0 means 1024 double words, or nothing in a completion without data.
    pub fn length_field(&self) -> u16 {
        self.flags() & field::LENGTH
    }

    /// Bytes of the header: 12 or 16.
    pub fn header_length(&self) -> usize {
        if self.format_and_type() & field::FOUR_DWORDS == 0 {
            MIN_HEADER
        } else {
            MAX_HEADER
        }
    }

    /// The bytes behind the header, however many the Length field announces.
    pub fn payload(&self) -> &[u8] {
        self.bytes().get(self.header_length()..).unwrap_or(&[])
    }

    /// The whole buffer.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_ref()
    }

    fn flags(&self) -> u16 {
        be16(self.bytes(), field::FLAGS_AND_LENGTH)
    }

    /// Refuses what no message here may have: hints other than `allowed_hints`, a digest, attributes, an address type.
    pub(super) fn check_plain(&self, allowed_hints: u8) -> Result<(), WireError> {
        let hints = self.hints() & !allowed_hints;
        if hints != 0 {
            return Err(WireError::TrafficClass(hints));
        }
        if self.has_digest() {
            return Err(WireError::Digest);
        }
        if self.attributes() != 0 {
            return Err(WireError::Attributes(self.attributes()));
        }
        if self.address_type() != 0 {
            return Err(WireError::AddressType(self.address_type()));
        }
        Ok(())
    }

    /// Refuses data that are not as long as the Length field says.
    pub(super) fn check_data(&self) -> Result<(), WireError> {
        let announced = usize::from(self.dwords()) * 4;
        let have = self.payload().len();
        if announced != have {
            return Err(WireError::DataLength { announced, have });
        }
        Ok(())
    }
}

/// The Length field that says `dwords`, 1 to 1024: ten bits, so that no count can spill into the address type beside it.
pub(super) const fn length_field(dwords: u16) -> u16 {
    dwords & field::LENGTH
}
