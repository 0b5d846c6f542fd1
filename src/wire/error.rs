//! Why bytes are not the message they should be, with the offending value.

use crate::addr::PhysAddr;

/// What [`parse`](super) refuses, and what cannot be emitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Fewer bytes than the message needs, or a buffer too small to emit into.
    #[error("{what} needs {need} bytes, there are {have}")]
    Truncated {
        /// The message or part of it.
        what: &'static str,
        /// Bytes needed.
        need: usize,
        /// Bytes there are.
        have: usize,
    },
    /// The data after a TLP header are not as long as its Length field says.
    #[error("the length field announces {announced} bytes of data, {have} follow the header")]
    DataLength {
        /// Bytes announced by the header.
        announced: usize,
        /// Bytes behind the header.
        have: usize,
    },
    /// Another kind of TLP.
    #[error("format and type {found:#04x} are not those of a {expected}")]
    NotA {
        /// The kind that was to be parsed.
        expected: &'static str,
        /// Byte 0 of the TLP.
        found: u8,
    },
    /// Byte 1 of the header (traffic class, tag bits 9 and 8, hints) is not zero.
    #[error("traffic class and hint bits are {0:#04x} instead of 0")]
    TrafficClass(u8),
    /// A digest (TD): the request that is answered had none, and the adapter checks none.
    #[error("a TLP digest is announced")]
    Digest,
    /// A request with poisoned data (EP).
    #[error("the request is marked poisoned")]
    PoisonedRequest,
    /// Attributes (relaxed ordering, no snoop) other than 0.
    #[error("attributes are {0:#04b} instead of 0")]
    Attributes(u8),
    /// Address type other than 0: a translation request, or an address that claims to be translated already.
    #[error("address type is {0:#04b} instead of 0")]
    AddressType(u8),
    /// A 4-double-word header for an address that must use the 3-double-word form.
    #[error("address {0} below 4 GiB in a header of four double words")]
    LongHeader(PhysAddr),
    /// The two lowest bits of the address field are reserved.
    #[error("reserved low bits of the address field are {0:#04b}")]
    AddressBits(u8),
    /// Byte enables that the specification forbids (section 2.2.5).
    #[error(
        "byte enables first {first:#06b} last {last:#06b} are illegal for {dwords} double words"
    )]
    ByteEnables {
        /// First double word's byte enables.
        first: u8,
        /// Last double word's byte enables.
        last: u8,
        /// Double words requested.
        dwords: u16,
    },
    /// A request that crosses a multiple of 4 KiB: a malformed TLP, never answered.
    #[error("{bytes} bytes at {address} cross a multiple of 4 KiB")]
    CrossesPage {
        /// First byte.
        address: PhysAddr,
        /// Bytes.
        bytes: u32,
    },
    /// An access of more bytes than a Length field can say.
    #[error("{0} bytes are more than a request of 4096 can hold")]
    TooLong(u64),
    /// A byte count outside 1 to 4096, or one that the data of the completion exceed.
    #[error(
        "byte count {byte_count} does not fit {dwords} double words at lower address {lower_address:#04x}"
    )]
    ByteCount {
        /// Bytes still to come, this completion included.
        byte_count: u16,
        /// Double words of data.
        dwords: u16,
        /// Low seven bits of the first valid byte's address.
        lower_address: u8,
    },
    /// BCM: only PCI-X bridges set it.
    #[error("byte count modified is set")]
    ByteCountModified,
    /// Data in a completion that reports a failure.
    #[error("a completion with status {0} carries data")]
    DataWithFailure(u8),
    /// Bit 7 of the lower address byte is reserved.
    #[error("reserved bit of lower address {0:#04x} is set")]
    LowerAddress(u8),
    /// Not a requester ID as a person writes it.
    #[error(
        "{text:?} is not a requester ID: {reason} (it is written bus:device.function in hexadecimal, like 1b:00.0)"
    )]
    RequesterId {
        /// What was written.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A message API request of unknown number.
    #[error("message request {0} is none of 1 (BAR4), 2 (requester ID), 3 (MSI-X)")]
    MessageRequest(u32),
    /// A message API reply of another length.
    #[error("the reply to {request} has {have} bytes instead of {need}")]
    MessageReply {
        /// What was asked for.
        request: &'static str,
        /// Bytes a reply has.
        need: usize,
        /// Bytes it had.
        have: usize,
    },
    /// A configuration command that is neither read (0) nor write (1).
    #[error("configuration command {0} is neither 0 (read) nor 1 (write)")]
    ConfigurationCommand(u8),
    /// A double-word address beyond the 4 KiB of configuration space.
    #[error("configuration double word {0:#x} is beyond the configuration space")]
    ConfigurationAddress(u16),
}
