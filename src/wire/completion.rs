//! Completions, without data (Cpl) and with (CplD) (PCIe Base Specification, 2.2.9 and 2.3.1.1).

use super::bytes::{be16, byte};
use super::tlp::{MIN_HEADER, field as tlp_field, format_and_type, length_field};
use super::{RequesterId, Tag, TlpKind, TlpPacket, WireError};

mod field {
    pub(super) const COMPLETER: usize = 4;
    pub(super) const STATUS_AND_BYTE_COUNT: usize = 6;
    pub(super) const REQUESTER: usize = 8;
    pub(super) const TAG: usize = 10;
    pub(super) const LOWER_ADDRESS: usize = 11;

    pub(super) const BYTE_COUNT_MODIFIED: u16 = 0x1000;
    pub(super) const BYTE_COUNT: u16 = 0x0fff;
    /// Attribute bit 2, ID-based ordering, in byte 1: a completer may set it whatever the request had.
    pub(super) const ID_BASED_ORDERING: u8 = 0x04;
}

/// Longest byte count in bytes; the field says it as 0.
pub const LARGEST_BYTE_COUNT: u16 = 4096;

/// Smallest read completion boundary in bytes: every completion but a read's last ends on a multiple of it (2.3.1.1).
pub const MIN_COMPLETION_BOUNDARY: u64 = 64;

/// Completion status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CompletionStatus {
    /// SC, 0.
    Success,
    /// UR, 1: nothing there answers to the address, or the IOMMU keeps the requester out.
    UnsupportedRequest,
    /// CRS, 2: legal for configuration requests only.
    ConfigurationRetry,
    /// CA, 4.
    CompleterAbort,
    /// 3, 5, 6 or 7, to be treated as an unsupported request (2.2.9).
    Reserved(u8),
}

impl CompletionStatus {
    /// The status with this 3-bit code.
    pub const fn from_code(code: u8) -> Self {
        match code & 7 {
            0 => Self::Success,
            1 => Self::UnsupportedRequest,
            2 => Self::ConfigurationRetry,
            4 => Self::CompleterAbort,
            reserved => Self::Reserved(reserved),
        }
    }

    /// The 3-bit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::UnsupportedRequest => 1,
            Self::ConfigurationRetry => 2,
            Self::CompleterAbort => 4,
            Self::Reserved(code) => code & 7,
        }
    }
}

/// Access to the fields of a completion.
#[derive(Clone, Copy, Debug)]
pub struct CompletionPacket<T>(TlpPacket<T>);

impl<T: AsRef<[u8]>> CompletionPacket<T> {
    /// A view of `buffer`, which starts at the TLP; refused where it is shorter than its header.
    pub fn new(buffer: T) -> Result<Self, WireError> {
        TlpPacket::new(buffer).map(Self)
    }

    /// The fields that all TLPs share.
    pub fn tlp(&self) -> &TlpPacket<T> {
        &self.0
    }

    /// Who answers.
    pub fn completer(&self) -> RequesterId {
        RequesterId::from_bits(be16(self.0.bytes(), field::COMPLETER))
    }

    /// How it went.
    pub fn status(&self) -> CompletionStatus {
        CompletionStatus::from_code((self.status_and_byte_count() >> 13) as u8)
    }

    /// BCM: set by PCI-X bridges only.
    pub fn is_byte_count_modified(&self) -> bool {
        self.status_and_byte_count() & field::BYTE_COUNT_MODIFIED != 0
    }

    /// Bytes still to come, this completion's included: 1 to 4096.
    pub fn byte_count(&self) -> u16 {
        match self.status_and_byte_count() & field::BYTE_COUNT {
            0 => LARGEST_BYTE_COUNT,
            bytes => bytes,
        }
    }

    /// Who asked.
    pub fn requester(&self) -> RequesterId {
        RequesterId::from_bits(be16(self.0.bytes(), field::REQUESTER))
    }

    /// Which request is answered.
    pub fn tag(&self) -> Tag {
        Tag::new(byte(self.0.bytes(), field::TAG))
    }

    /// Byte 11: the low seven bits of the address of the first valid byte, and a reserved bit.
    pub fn lower_address(&self) -> u8 {
        byte(self.0.bytes(), field::LOWER_ADDRESS)
    }

    /// The valid bytes among the data: from the lower address on, as many as the byte count leaves.
    pub fn valid_data(&self) -> &[u8] {
        let skipped = usize::from(self.lower_address() & 3);
        let data = self.0.payload().get(skipped..).unwrap_or(&[]);
        data.get(..usize::from(self.byte_count())).unwrap_or(data)
    }

    fn status_and_byte_count(&self) -> u16 {
        be16(self.0.bytes(), field::STATUS_AND_BYTE_COUNT)
    }
}

/// A completion of a memory read, or of another request that has an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CompletionRepr {
    /// Who answers.
    pub completer: RequesterId,
    /// Who asked.
    pub requester: RequesterId,
    /// Which request is answered.
    pub tag: Tag,
    /// How it went.
    pub status: CompletionStatus,
    /// Bytes still to come, this completion's included: 1 to 4096.
    pub byte_count: u16,
    /// Low seven bits of the address of the first valid byte.
    pub lower_address: u8,
    /// Double words of data, 0 to 1024; 0 is a completion without data.
    pub dwords: u16,
    /// EP: the data are known to be wrong.
    pub poisoned: bool,
}

impl CompletionRepr {
    /// Bytes of the header.
    pub const HEADER: usize = MIN_HEADER;

    /// Reads a completion; the data, where there are any, are the packet's. Refuses other TLPs; data of another length than
    /// announced, or longer than the byte count needs; data beside a failure; attributes, since requests have none; byte count
    /// modified. An ID-based-ordering hint is allowed and not kept.
    pub fn parse<T: AsRef<[u8]>>(packet: &CompletionPacket<T>) -> Result<Self, WireError> {
        let tlp = packet.tlp();
        let with_data = match tlp.kind() {
            TlpKind::Completion => false,
            TlpKind::CompletionWithData => true,
            _ => {
                return Err(WireError::NotA {
                    expected: "completion",
                    found: tlp.format_and_type(),
                });
            }
        };
        tlp.check_plain(field::ID_BASED_ORDERING)?;
        if packet.is_byte_count_modified() {
            return Err(WireError::ByteCountModified);
        }
        let have = tlp.payload().len();
        if with_data {
            tlp.check_data()?;
        } else if have != 0 {
            return Err(WireError::DataLength { announced: 0, have });
        }
        let repr = Self {
            completer: packet.completer(),
            requester: packet.requester(),
            tag: packet.tag(),
            status: packet.status(),
            byte_count: packet.byte_count(),
            lower_address: packet.lower_address(),
            dwords: if with_data { tlp.dwords() } else { 0 },
            poisoned: tlp.is_poisoned(),
        };
        repr.check()?;
        Ok(repr)
    }

    /// Writes the header to the start of `buffer`; returns its length. The data follow it.
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, WireError> {
        self.check()?;
        let have = buffer.len();
        let header = buffer.get_mut(..Self::HEADER).ok_or(WireError::Truncated {
            what: "a completion header",
            need: Self::HEADER,
            have,
        })?;
        header[tlp_field::FORMAT_AND_TYPE] = if self.dwords == 0 {
            format_and_type::COMPLETION
        } else {
            format_and_type::COMPLETION_WITH_DATA
        };
        header[tlp_field::HINTS] = 0;
        let poisoned = if self.poisoned {
            tlp_field::POISONED
        } else {
            0
        };
        header[tlp_field::FLAGS_AND_LENGTH..field::COMPLETER]
            .copy_from_slice(&(length_field(self.dwords) | poisoned).to_be_bytes());
        header[field::COMPLETER..field::STATUS_AND_BYTE_COUNT]
            .copy_from_slice(&self.completer.bits().to_be_bytes());
        let status = u16::from(self.status.code()) << 13;
        let byte_count = self.byte_count & field::BYTE_COUNT;
        header[field::STATUS_AND_BYTE_COUNT..field::REQUESTER]
            .copy_from_slice(&(status | byte_count).to_be_bytes());
        header[field::REQUESTER..field::TAG].copy_from_slice(&self.requester.bits().to_be_bytes());
        header[field::TAG] = self.tag.get();
        header[field::LOWER_ADDRESS] = self.lower_address;
        Ok(Self::HEADER)
    }

    /// Valid bytes among the data: `dwords × 4 − (lower address & 3)`, less the padding behind the last of the read.
    pub fn valid_bytes(&self) -> u16 {
        (self.dwords * 4)
            .saturating_sub(u16::from(self.lower_address & 3))
            .min(self.byte_count)
    }

    /// Whether this completion's data end the read.
    pub fn is_last(&self) -> bool {
        self.valid_bytes() == self.byte_count
    }

    /// Refuses values that no completion can have.
    fn check(&self) -> Result<(), WireError> {
        if self.lower_address > 0x7f {
            return Err(WireError::LowerAddress(self.lower_address));
        }
        if self.dwords != 0 && self.status != CompletionStatus::Success {
            return Err(WireError::DataWithFailure(self.status.code()));
        }
        let needed = (self.lower_address & 3) as u32 + u32::from(self.byte_count);
        if !(1..=LARGEST_BYTE_COUNT).contains(&self.byte_count)
            || self.dwords > 1024
            || u32::from(self.dwords) > needed.div_ceil(4)
        {
            return Err(WireError::ByteCount {
                byte_count: self.byte_count,
                dwords: self.dwords,
                lower_address: self.lower_address,
            });
        }
        Ok(())
    }
}
