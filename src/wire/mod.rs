//! Datagram bytes ⇄ NetTLP header, memory requests, completions, message API, configuration packets; pure, no I/O.
//!
//! Each message has two types: a *packet*, which gives access to the fields of a byte buffer and never judges them, and a
//! *repr*, which judges (`parse`) and writes (`emit`) and never holds payload. What is promised: `parse` never panics and
//! refuses whatever the specification forbids, keeping the offending value; `parse(emit(x)) == x`; what `emit` writes in a
//! request has traffic class, digest, poison, attributes and address type 0 because no type here can hold anything else.
//!
//! Reading needs nothing that can write: memory writes live in [`memory_write`] alone, which is deliberately not re-exported.
//!
//! Followed: the NetTLP adapter's register transfer code for the 6-byte header and the ports, LibTLP for the message API and
//! the configuration packet, the PCI Express Base Specification (sections named where they are used) for TLPs.

mod byte_enables;
mod bytes;
mod completion;
mod configuration;
mod error;
mod memory_read;
pub mod memory_write;
mod message;
mod nettlp;
mod port;
mod request;
mod requester_id;
mod span;
mod split;
mod tag;
mod tlp;

#[cfg(test)]
mod tests;

pub use byte_enables::ByteEnables;
pub use completion::{
    CompletionPacket, CompletionRepr, CompletionStatus, LARGEST_BYTE_COUNT, MIN_COMPLETION_BOUNDARY,
};
pub use configuration::{ConfigurationCommand, ConfigurationPacket, ConfigurationRepr};
pub use error::WireError;
pub use memory_read::MemoryReadRepr;
pub use message::{MSIX_ENTRIES, MessageReply, MessageRequest, MsixEntry};
pub use nettlp::{NettlpPacket, NettlpRepr, Sequence, Timestamp};
pub use port::{
    CONFIGURATION_PORT, DEVICE_PORT_BASE, DMA_PORT_BASE, LIBTLP_CONFIGURATION_PORT, MESSAGE_PORT,
};
pub use request::RequestPacket;
pub use requester_id::RequesterId;
pub use span::Span;
pub use split::{
    CompletionPiece, CompletionPieces, RequestPieces, split_completion, split_request,
};
pub use tag::{Tag, TagSet};
pub use tlp::{MAX_HEADER, TlpKind, TlpPacket};

/// Longest datagram that NetTLP can carry: its header, a TLP header of 4 double words and 4096 bytes of data.
pub const MAX_DATAGRAM: usize = NettlpRepr::LENGTH + MAX_HEADER + 4096;
