//! The six bytes before every TLP: the adapter's sequence number and clock.
//!
//! Together they are a 48-bit identity: a repeat is a duplicated datagram, a gap in the sequence a lost one, a timestamp older
//! than the request a stale one. Both wrap, so they are only ever compared as distances.

use std::time::Duration;

use super::WireError;
use super::bytes::{be16, be32};

mod field {
    pub(super) const SEQUENCE: usize = 0;
    pub(super) const TIMESTAMP: usize = 2;
}

/// The adapter's count of emitted TLPs of any tag and kind; wraps at 65 536 (every 56 ms at full speed).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sequence(pub u16);

impl Sequence {
    /// How far `self` lies behind `other` in the order of emission, -32 768 to 32 767; negative where `self` came later.
    pub const fn distance_to(self, other: Self) -> i16 {
        other.0.wrapping_sub(self.0) as i16
    }
}

/// The adapter's clock when it emitted the TLP, in ticks of 6.4 ns (156.25 MHz); wraps every 27.5 s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Timestamp(pub u32);

impl Timestamp {
    /// Ticks from `self` to `other`, negative where `other` is earlier; meaningful for less than 13.7 s.
    pub const fn ticks_to(self, other: Self) -> i32 {
        other.0.wrapping_sub(self.0) as i32
    }

    /// The clock's reading `time` after it stood at 0.
    pub const fn at(time: Duration) -> Self {
        // 6.4 ns = 32/5 ns; the cast keeps the low 32 bits, which is how the counter wraps.
        Self((time.as_nanos() * 5 / 32) as u32)
    }

    /// The time from `self` to a later reading `other`, modulo 27.5 s.
    pub const fn duration_to(self, other: Self) -> Duration {
        Duration::from_nanos(other.0.wrapping_sub(self.0) as u64 * 32 / 5)
    }
}

/// Access to the NetTLP header of a datagram and to the TLP behind it.
#[derive(Clone, Copy, Debug)]
pub struct NettlpPacket<T>(T);

impl<T: AsRef<[u8]>> NettlpPacket<T> {
    /// A view of `buffer`; refused where it is shorter than the header.
    pub fn new(buffer: T) -> Result<Self, WireError> {
        let have = buffer.as_ref().len();
        if have < NettlpRepr::LENGTH {
            return Err(WireError::Truncated {
                what: "a NetTLP header",
                need: NettlpRepr::LENGTH,
                have,
            });
        }
        Ok(Self(buffer))
    }

    /// The sequence number.
    pub fn sequence(&self) -> Sequence {
        Sequence(be16(self.0.as_ref(), field::SEQUENCE))
    }

    /// The timestamp.
    pub fn timestamp(&self) -> Timestamp {
        Timestamp(be32(self.0.as_ref(), field::TIMESTAMP))
    }

    /// The bytes behind the header.
    pub fn tlp(&self) -> &[u8] {
        self.0.as_ref().get(NettlpRepr::LENGTH..).unwrap_or(&[])
    }
}

/// A NetTLP header. Requests carry zeros: the adapter throws theirs away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NettlpRepr {
    /// The adapter's count of emitted TLPs.
    pub sequence: Sequence,
    /// The adapter's clock at emission.
    pub timestamp: Timestamp,
}

impl NettlpRepr {
    /// Bytes of the header.
    pub const LENGTH: usize = 6;

    /// Reads the header; there is nothing in it that could be wrong.
    pub fn parse<T: AsRef<[u8]>>(packet: &NettlpPacket<T>) -> Self {
        Self {
            sequence: packet.sequence(),
            timestamp: packet.timestamp(),
        }
    }

    /// Writes the header to the start of `buffer`; returns its length.
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, WireError> {
        let have = buffer.len();
        let header = buffer.get_mut(..Self::LENGTH).ok_or(WireError::Truncated {
            what: "a NetTLP header",
            need: Self::LENGTH,
            have,
        })?;
        header[field::SEQUENCE..field::TIMESTAMP].copy_from_slice(&self.sequence.0.to_be_bytes());
        header[field::TIMESTAMP..].copy_from_slice(&self.timestamp.0.to_be_bytes());
        Ok(Self::LENGTH)
    }

    /// Whether the adapter emitted `self` after `other`: by the clock, and within one tick by the sequence.
    pub const fn is_after(&self, other: &Self) -> bool {
        match other.timestamp.ticks_to(self.timestamp) {
            0 => other.sequence.distance_to(self.sequence) > 0,
            ticks => ticks > 0,
        }
    }

    /// Whether both numbers are zero: an adapter that does not stamp what it sends.
    pub const fn is_unstamped(&self) -> bool {
        self.sequence.0 == 0 && self.timestamp.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(sequence: u16, timestamp: u32) -> NettlpRepr {
        NettlpRepr {
            sequence: Sequence(sequence),
            timestamp: Timestamp(timestamp),
        }
    }

    #[test]
    fn order_survives_the_wrap_of_both_counters() {
        assert!(stamp(0, 5).is_after(&stamp(0xffff, 5)));
        assert!(!stamp(0xffff, 5).is_after(&stamp(0, 5)));
        assert!(stamp(0, 3).is_after(&stamp(1, u32::MAX)));
        assert!(!stamp(1, u32::MAX).is_after(&stamp(0, 3)));
        assert!(!stamp(7, 7).is_after(&stamp(7, 7)));
        assert_eq!(Sequence(0xfffe).distance_to(Sequence(2)), 4);
        assert_eq!(Sequence(2).distance_to(Sequence(0xfffe)), -4);
        assert_eq!(Timestamp(u32::MAX).ticks_to(Timestamp(1)), 2);
    }

    #[test]
    fn a_tick_is_6_4_nanoseconds() {
        // The distance measured in a published capture: 404 690 ticks in 2.587 ms.
        let elapsed =
            Timestamp(0xffff_0000).duration_to(Timestamp(0xffff_0000_u32.wrapping_add(404_690)));
        assert_eq!(elapsed, Duration::from_nanos(2_590_016));
        assert_eq!(Timestamp::at(Duration::from_nanos(64)), Timestamp(10));
        assert_eq!(
            Timestamp::at(Duration::from_secs(28)),
            Timestamp((28_000_000_000_u64 * 5 / 32) as u32)
        );
    }
}
