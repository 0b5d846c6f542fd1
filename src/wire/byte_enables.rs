//! Byte enables: which bytes of the first and of the last double word a request means (PCIe Base Specification, 2.2.5).

use super::WireError;

/// The byte enables of a request; bit 0 stands for the byte at the lowest address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ByteEnables {
    /// Of the first double word, 4 bits.
    pub first: u8,
    /// Of the last double word, 4 bits; 0 where there is only one.
    pub last: u8,
}

impl ByteEnables {
    /// For the `length` bytes from byte `offset` (0 to 3) of the first double word; no bytes at all give the zero-length request.
    pub const fn of_bytes(offset: u8, length: u32) -> Self {
        let offset = offset & 3;
        if length == 0 {
            return Self { first: 0, last: 0 };
        }
        let end = offset as u64 + length as u64;
        let from_offset = 0x0f << offset & 0x0f;
        if end <= 4 {
            let below_end = 0x0f >> (4 - end);
            return Self {
                first: from_offset & below_end,
                last: 0,
            };
        }
        let unused = (4 - end % 4) % 4;
        Self {
            first: from_offset,
            last: 0x0f >> unused,
        }
    }

    /// From the byte of a TLP header: last in the upper half, first in the lower.
    pub const fn from_byte(byte: u8) -> Self {
        Self {
            first: byte & 0x0f,
            last: byte >> 4,
        }
    }

    /// The byte of a TLP header.
    pub const fn to_byte(self) -> u8 {
        self.last << 4 | self.first & 0x0f
    }

    /// Refuses what section 2.2.5 forbids for a request of `dwords` double words, the first of them at an address that is a
    /// multiple of 8 or not: an empty end where there are several, a last one where there is one, gaps other than in one double
    /// word or an aligned pair.
    pub const fn check(self, dwords: u16, quad_aligned: bool) -> Result<(), WireError> {
        let legal = if dwords == 1 {
            self.last == 0
        } else if dwords == 2 && quad_aligned {
            self.first != 0 && self.last != 0
        } else {
            reaches_up(self.first) && reaches_down(self.last)
        };
        if legal {
            return Ok(());
        }
        Err(WireError::ByteEnables {
            first: self.first,
            last: self.last,
            dwords,
        })
    }
}

/// One unbroken run that ends at the highest byte.
const fn reaches_up(enables: u8) -> bool {
    matches!(enables, 0b1111 | 0b1110 | 0b1100 | 0b1000)
}

/// One unbroken run that starts at the lowest byte.
const fn reaches_down(enables: u8) -> bool {
    matches!(enables, 0b1111 | 0b0111 | 0b0011 | 0b0001)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_access_of_up_to_64_bytes_means_exactly_its_bytes() {
        for offset in 0..4_u8 {
            for length in 1..64_u32 {
                let enables = ByteEnables::of_bytes(offset, length);
                let dwords = (u32::from(offset) + length).div_ceil(4) as u16;
                enables.check(dwords, false).unwrap();
                for byte in 0..u32::from(dwords) * 4 {
                    let meant = (u32::from(offset)..u32::from(offset) + length).contains(&byte);
                    let bit = 1 << (byte % 4);
                    let enabled = match byte / 4 {
                        0 => enables.first & bit != 0,
                        dword if dword == u32::from(dwords) - 1 => enables.last & bit != 0,
                        _ => true,
                    };
                    assert_eq!(
                        enabled, meant,
                        "offset {offset} length {length} byte {byte}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_zero_length_request_enables_nothing() {
        assert_eq!(
            ByteEnables::of_bytes(3, 0),
            ByteEnables { first: 0, last: 0 }
        );
        assert_eq!(ByteEnables::of_bytes(0, 0).check(1, true), Ok(()));
    }

    #[test]
    fn the_specification_s_rules_hold_for_all_256_bytes() {
        for byte in 0..=255_u8 {
            let enables = ByteEnables::from_byte(byte);
            assert_eq!(enables.to_byte(), byte);
            assert_eq!(enables.check(1, true).is_ok(), byte & 0xf0 == 0);
            let both = byte & 0xf0 != 0 && byte & 0x0f != 0;
            assert_eq!(enables.check(2, true).is_ok(), both);
            let unbroken = [0xf, 0xe, 0xc, 0x8].contains(&(byte & 0xf))
                && [0xf, 0x7, 0x3, 0x1].contains(&(byte >> 4));
            assert_eq!(enables.check(2, false).is_ok(), unbroken);
            assert_eq!(enables.check(3, true).is_ok(), unbroken);
            assert_eq!(enables.check(1024, true).is_ok(), unbroken);
        }
    }
}
