//! One request under one tag, and the completions that came for it.

use std::ops::Range;

use crate::addr::PhysAddr;
use crate::dma::Moment;
use crate::wire::{LARGEST_BYTE_COUNT, MIN_COMPLETION_BOUNDARY, NettlpRepr};

use super::read::ReadKey;

/// Bytes of a read that one request asks for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Piece {
    pub(super) read: ReadKey,
    /// First byte, from the start of the read.
    pub(super) offset: u16,
    /// Bytes.
    pub(super) length: u16,
    /// How often bytes of this piece were asked for before.
    pub(super) round: u8,
    /// How often they came marked poisoned.
    pub(super) poisoned: u8,
}

impl Piece {
    /// The bytes, from the start of the read.
    pub(super) fn range(&self) -> Range<u16> {
        self.offset..self.offset + self.length
    }
}

/// A request that was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub(super) piece: Piece,
    /// Physical address of the first byte.
    pub(super) address: PhysAddr,
    pub(super) issued: Moment,
    /// How many requests were sent before.
    pub(super) number: u64,
    /// What the adapter had stamped when the request was sent: its answers are stamped later.
    pub(super) floor: Option<NettlpRepr>,
    /// Whether something arrived for this tag that looked older than the request.
    pub(super) stale_seen: bool,
}

impl Default for Attempt {
    fn default() -> Self {
        Self {
            piece: Piece::default(),
            address: PhysAddr::new(0),
            issued: Moment::START,
            number: 0,
            floor: None,
            stale_seen: false,
        }
    }
}

/// A completion that was used for an attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived {
    /// First byte, from the start of the attempt.
    pub(super) offset: u16,
    /// Bytes.
    pub(super) length: u16,
    /// Bytes that its data have room for, padding behind included.
    pub(super) room: u16,
    pub(super) stamp: NettlpRepr,
    /// Whether its bytes were put into the read's buffer.
    pub(super) placed: bool,
}

impl Arrived {
    fn overlaps(&self, offset: u16, length: u16) -> bool {
        self.offset < offset + length && offset < self.offset + self.length
    }
}

/// Where a completion's data belong in an attempt of `length` bytes from `address`, first byte and bytes, if its fields agree with
/// each other: byte count and lower address name the same place, and it starts and ends where completions may (2.3.1.1).
/// `room` is what its double words hold from the lower address on; behind a last byte there are at most three of padding.
pub(super) fn place(
    address: u64,
    length: u16,
    byte_count: u16,
    lower_address: u8,
    room: u16,
) -> Option<(u16, u16)> {
    let offset = length.checked_sub(byte_count)?;
    let valid = room.min(byte_count);
    let start = address.wrapping_add(u64::from(offset));
    let end = start.wrapping_add(u64::from(valid));
    let starts_well = offset == 0 || start.is_multiple_of(MIN_COMPLETION_BOUNDARY);
    let ends_well = if valid == byte_count {
        room - valid < 4
    } else {
        end.is_multiple_of(MIN_COMPLETION_BOUNDARY)
    };
    let agrees = (start & 0x7f) as u8 == lower_address;
    (valid > 0 && starts_well && ends_well && agrees).then_some((offset, valid))
}

/// Whether no flipped bit in the byte count could have brought a completion to `offset` from a place that nothing else has taken
/// (`is_taken`, given an offset and bytes). The lower seven bits of the byte count are checked by the lower address; the five
/// above are not.
pub(super) fn is_certain(
    address: u64,
    length: u16,
    offset: u16,
    room: u16,
    is_taken: impl Fn(u16, u16) -> bool,
) -> bool {
    let start = address.wrapping_add(u64::from(offset));
    let lower_address = super::lower_address(PhysAddr::new(start));
    let field = (length - offset) % LARGEST_BYTE_COUNT;
    (7..12).all(|bit| {
        let byte_count = match field ^ 1 << bit {
            0 => LARGEST_BYTE_COUNT,
            byte_count => byte_count,
        };
        match place(address, length, byte_count, lower_address, room) {
            Some((elsewhere, valid)) => is_taken(elsewhere, valid),
            None => true,
        }
    })
}

/// The first of the arrived completions that shares a byte with this place.
pub(super) fn overlapping(arrived: &[Arrived], offset: u16, length: u16) -> Option<&Arrived> {
    arrived.iter().find(|other| other.overlaps(offset, length))
}

/// Whether a completion at `offset` was emitted after those before it and before those behind it: the completions of one request
/// come in address order (2.3.1.1), whatever the network does to them, and the adapter counts them in that order.
pub(super) fn is_in_order(arrived: &[Arrived], offset: u16, stamp: NettlpRepr) -> bool {
    arrived.iter().all(|other| {
        let is_later = other.stamp.sequence.distance_to(stamp.sequence) > 0;
        is_later == (other.offset < offset)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Sequence, Timestamp};

    fn arrived(offset: u16, length: u16) -> Arrived {
        Arrived {
            offset,
            length,
            room: length,
            stamp: NettlpRepr::default(),
            placed: true,
        }
    }

    #[test]
    fn a_place_must_agree_with_the_lower_address_and_the_boundary() {
        assert_eq!(place(0x1000, 512, 512, 0, 256), Some((0, 256)));
        assert_eq!(place(0x1000, 512, 256, 0, 256), Some((256, 256)));
        assert_eq!(place(0x1030, 300, 300, 0x30, 16), Some((0, 16)));
        assert_eq!(place(0x1030, 299, 283, 0x40, 284), Some((16, 283)));
        // More to come than was asked for, another lower address, a start or an end off the boundary, nothing at all.
        assert_eq!(place(0x1000, 512, 513, 0, 256), None);
        assert_eq!(place(0x1000, 512, 256, 0x40, 256), None);
        assert_eq!(place(0x1000, 512, 480, 0x20, 480), None);
        assert_eq!(place(0x1000, 512, 512, 0, 100), None);
        assert_eq!(place(0x1000, 512, 512, 0, 0), None);
        // Four bytes of padding are a double word too many.
        assert_eq!(place(0x1000, 512, 256, 0, 260), None);
    }

    fn certain(length: u16, offset: u16, room: u16, others: &[Arrived]) -> bool {
        is_certain(0x1000, length, offset, room, |offset, valid| {
            overlapping(others, offset, valid).is_some()
        })
    }

    #[test]
    fn completions_of_one_request_are_counted_in_address_order() {
        let stamp = |sequence| NettlpRepr {
            sequence: Sequence(sequence),
            timestamp: Timestamp(0),
        };
        let before = Arrived {
            stamp: stamp(0xffff),
            ..arrived(0, 128)
        };
        let behind = Arrived {
            stamp: stamp(3),
            ..arrived(256, 128)
        };
        assert!(is_in_order(&[before, behind], 128, stamp(0)));
        assert!(!is_in_order(&[before, behind], 128, stamp(4)));
        assert!(!is_in_order(&[before, behind], 128, stamp(0xfffe)));
        assert!(!is_in_order(&[before], 128, stamp(0xffff)));
    }

    #[test]
    fn a_place_is_certain_when_no_flipped_bit_leads_to_an_empty_one() {
        // Two completions of 256 of 512 bytes: neither byte count can become the other by one bit.
        assert!(certain(512, 0, 256, &[]));
        // The second could be one of 256 bytes from offset 128, were that empty.
        assert!(!certain(512, 256, 256, &[]));
        assert!(certain(512, 256, 256, &[arrived(0, 256)]));
        // Completions of 128: byte count 256 could have been 384.
        assert!(!certain(512, 256, 128, &[arrived(0, 128)]));
        let others = [arrived(0, 128), arrived(128, 128), arrived(384, 128)];
        assert!(certain(512, 256, 128, &others));
        // A last completion of 255 bytes could be one of 256 with 511 to come.
        assert!(!is_certain(0x1d00, 511, 256, 256, |_, _| false));
        // Inside one block of 128 every place is certain.
        for offset in [0, 64] {
            assert!(certain(128, offset, 64, &[]));
        }
    }
}
