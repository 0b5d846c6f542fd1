//! The message API: questions about the card that the NetTLP driver on the target answers. Little-endian, unlike all else.

use super::{RequesterId, WireError};

/// Entries of the card's MSI-X table.
pub const MSIX_ENTRIES: usize = 16;

/// Bytes of an MSI-X entry in a reply.
const ENTRY_LENGTH: usize = 12;

/// A question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageRequest {
    /// Where is BAR4?
    Bar4,
    /// What is the card's requester ID?
    RequesterId,
    /// What is in the MSI-X table?
    Msix,
}

impl MessageRequest {
    /// Bytes of a request.
    pub const LENGTH: usize = 4;

    /// Reads a request.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let word: [u8; Self::LENGTH] = bytes.try_into().map_err(|_| WireError::Truncated {
            what: "a message request",
            need: Self::LENGTH,
            have: bytes.len(),
        })?;
        match u32::from_le_bytes(word) {
            1 => Ok(Self::Bar4),
            2 => Ok(Self::RequesterId),
            3 => Ok(Self::Msix),
            unknown => Err(WireError::MessageRequest(unknown)),
        }
    }

    /// The request's bytes.
    pub const fn emit(self) -> [u8; Self::LENGTH] {
        self.number().to_le_bytes()
    }

    /// What is asked for, in words.
    pub const fn subject(self) -> &'static str {
        match self {
            Self::Bar4 => "the BAR4 address",
            Self::RequesterId => "the requester ID",
            Self::Msix => "the MSI-X table",
        }
    }

    /// Bytes of the reply.
    pub const fn reply_length(self) -> usize {
        match self {
            Self::Bar4 => 8,
            Self::RequesterId => 2,
            Self::Msix => MSIX_ENTRIES * ENTRY_LENGTH,
        }
    }

    const fn number(self) -> u32 {
        match self {
            Self::Bar4 => 1,
            Self::RequesterId => 2,
            Self::Msix => 3,
        }
    }
}

/// One entry of the MSI-X table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MsixEntry {
    /// Where an interrupt is written to.
    pub address: u64,
    /// What is written.
    pub data: u32,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageReply {
    /// BAR4's physical address.
    Bar4(u64),
    /// The card's requester ID.
    RequesterId(RequesterId),
    /// The MSI-X table.
    Msix(Box<[MsixEntry; MSIX_ENTRIES]>),
}

impl MessageReply {
    /// Reads the reply to `request`; refused where it has another length. A reply does not say what it answers.
    pub fn parse(request: MessageRequest, bytes: &[u8]) -> Result<Self, WireError> {
        let wrong_length = WireError::MessageReply {
            request: request.subject(),
            need: request.reply_length(),
            have: bytes.len(),
        };
        if bytes.len() != request.reply_length() {
            return Err(wrong_length);
        }
        Ok(match request {
            MessageRequest::Bar4 => Self::Bar4(little_endian(bytes)),
            MessageRequest::RequesterId => {
                Self::RequesterId(RequesterId::from_bits(little_endian(bytes) as u16))
            }
            MessageRequest::Msix => {
                let mut entries = [MsixEntry::default(); MSIX_ENTRIES];
                for (entry, bytes) in entries.iter_mut().zip(bytes.chunks_exact(ENTRY_LENGTH)) {
                    let (address, data) = bytes.split_at(8);
                    entry.address = little_endian(address);
                    entry.data = little_endian(data) as u32;
                }
                Self::Msix(Box::new(entries))
            }
        })
    }

    /// Writes the reply to the start of `buffer`; returns its length.
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, WireError> {
        let need = self.request().reply_length();
        let have = buffer.len();
        let bytes = buffer.get_mut(..need).ok_or(WireError::Truncated {
            what: "a message reply",
            need,
            have,
        })?;
        match self {
            Self::Bar4(address) => bytes.copy_from_slice(&address.to_le_bytes()),
            Self::RequesterId(id) => bytes.copy_from_slice(&id.bits().to_le_bytes()),
            Self::Msix(entries) => {
                for (bytes, entry) in bytes.chunks_exact_mut(ENTRY_LENGTH).zip(entries.iter()) {
                    bytes[..8].copy_from_slice(&entry.address.to_le_bytes());
                    bytes[8..].copy_from_slice(&entry.data.to_le_bytes());
                }
            }
        }
        Ok(need)
    }

    /// The question that this answers.
    pub const fn request(&self) -> MessageRequest {
        match self {
            Self::Bar4(_) => MessageRequest::Bar4,
            Self::RequesterId(_) => MessageRequest::RequesterId,
            Self::Msix(_) => MessageRequest::Msix,
        }
    }
}

/// Up to eight bytes as a number.
fn little_endian(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .take(8)
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_the_driver_s_numbers() {
        for (request, bytes) in [
            (MessageRequest::Bar4, [1, 0, 0, 0]),
            (MessageRequest::RequesterId, [2, 0, 0, 0]),
            (MessageRequest::Msix, [3, 0, 0, 0]),
        ] {
            assert_eq!(request.emit(), bytes);
            assert_eq!(MessageRequest::parse(&bytes), Ok(request));
        }
        assert_eq!(
            MessageRequest::parse(&[0, 0, 0, 1]),
            Err(WireError::MessageRequest(0x0100_0000))
        );
        assert!(matches!(
            MessageRequest::parse(&[1, 0, 0]),
            Err(WireError::Truncated { have: 3, .. })
        ));
    }

    #[test]
    fn replies_are_little_endian_and_packed() {
        let id = MessageReply::parse(MessageRequest::RequesterId, &[0x00, 0x1b]);
        assert_eq!(
            id,
            Ok(MessageReply::RequesterId(RequesterId::from_bits(0x1b00)))
        );
        let bar = [0x00, 0x00, 0x40, 0x47, 0x07, 0, 0, 0];
        let bar = MessageReply::parse(MessageRequest::Bar4, &bar);
        assert_eq!(bar, Ok(MessageReply::Bar4(0x7_4740_0000)));

        let mut entries = [MsixEntry::default(); MSIX_ENTRIES];
        entries[1] = MsixEntry {
            address: 0xfee0_0000,
            data: 0x4021,
        };
        let reply = MessageReply::Msix(Box::new(entries));
        let mut buffer = [0xaa; 192];
        assert_eq!(reply.emit(&mut buffer), Ok(192));
        assert_eq!(
            buffer[12..24],
            [0, 0, 0xe0, 0xfe, 0, 0, 0, 0, 0x21, 0x40, 0, 0]
        );
        assert_eq!(
            MessageReply::parse(MessageRequest::Msix, &buffer),
            Ok(reply)
        );
    }

    #[test]
    fn a_reply_of_another_length_is_refused() {
        assert_eq!(
            MessageReply::parse(MessageRequest::Msix, &[0; 191]),
            Err(WireError::MessageReply {
                request: "the MSI-X table",
                need: 192,
                have: 191
            })
        );
    }
}
