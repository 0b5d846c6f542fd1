//! What a memory request asks for: whole double words, and which of their bytes.

use crate::addr::{PAGE_SIZE, PhysAddr, PhysRange};

use super::{ByteEnables, WireError};

/// Double words at an address with their byte enables; what a memory request's Length, byte enables and address fields say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// Address of the first double word, a multiple of 4.
    pub address: PhysAddr,
    /// Double words, 1 to 1024.
    pub dwords: u16,
    /// Which bytes of the first and the last of them.
    pub enables: ByteEnables,
}

impl Span {
    /// The span of the `length` bytes at `address`; no bytes give the zero-length request (one double word, nothing enabled),
    /// which PCIe uses as a flush. Refused where it would cross a multiple of 4 KiB.
    pub const fn of_bytes(address: PhysAddr, length: u32) -> Result<Self, WireError> {
        if length as u64 > PAGE_SIZE - address.page_offset() {
            return Err(WireError::CrossesPage {
                address,
                bytes: length,
            });
        }
        let offset = (address.get() & 3) as u8;
        let dwords = match length {
            0 => 1,
            // At most 1024: the bytes lie in one page.
            _ => (offset as u32 + length).div_ceil(4) as u16,
        };
        Ok(Self {
            address: PhysAddr::new(address.get() & !3),
            dwords,
            enables: ByteEnables::of_bytes(offset, length),
        })
    }

    /// Refuses what no memory request may ask for: an unaligned address, no or too many double words, a crossing of 4 KiB
    /// (2.2.7), byte enables that 2.2.5 forbids.
    pub const fn check(&self) -> Result<(), WireError> {
        let low = self.address.get() & 3;
        if low != 0 {
            return Err(WireError::AddressBits(low as u8));
        }
        let bytes = self.dwords as u32 * 4;
        if self.dwords == 0 || self.dwords > 1024 {
            return Err(WireError::TooLong(bytes as u64));
        }
        if self.address.page_offset() + bytes as u64 > PAGE_SIZE {
            return Err(WireError::CrossesPage {
                address: self.address,
                bytes,
            });
        }
        self.enables.check(self.dwords, self.address.get() & 7 == 0)
    }

    /// Whether nothing is asked for: the zero-length request.
    pub const fn is_flush(&self) -> bool {
        self.dwords == 1 && self.enables.first == 0
    }

    /// Address of the first enabled byte; of the double word in a zero-length request.
    pub fn first_byte(&self) -> PhysAddr {
        let skipped = match self.enables.first {
            0 => 0,
            first => first.trailing_zeros(),
        };
        self.address.wrapping_offset(i64::from(skipped))
    }

    /// Bytes from the first to the last enabled one: the Byte Count of the first completion (2.2.9, table "Calculating Byte
    /// Count from Length and Byte Enables"). 1 for a zero-length request.
    pub fn byte_count(&self) -> u32 {
        if self.is_flush() {
            return 1;
        }
        let last = match self.enables.last {
            0 => self.enables.first,
            last => last,
        };
        let unused = u32::from(last & 0x0f).leading_zeros().saturating_sub(28);
        let skipped = self.enables.first.trailing_zeros().min(4);
        (u32::from(self.dwords) * 4).saturating_sub(unused + skipped)
    }

    /// The bytes from the first to the last enabled one; empty for a zero-length request.
    pub fn range(&self) -> PhysRange {
        let start = self.first_byte();
        let length = if self.is_flush() {
            0
        } else {
            self.byte_count()
        };
        PhysRange::new(start, start.wrapping_offset(i64::from(length)))
    }

    /// Whether the byte at `offset` from [`Span::address`] is enabled.
    pub const fn enables_byte(&self, offset: u32) -> bool {
        let dword = offset / 4;
        let bit = 1 << (offset % 4);
        if dword == 0 {
            self.enables.first & bit != 0
        } else if dword + 1 < self.dwords as u32 {
            true
        } else {
            dword + 1 == self.dwords as u32 && self.enables.last & bit != 0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_access_inside_a_page_gives_its_own_range_back() {
        for start in (0..16).chain(4080..4096) {
            for length in (1..40).chain(4000..=4096) {
                let address = PhysAddr::new(0x7_4740_0000 + start);
                let span = Span::of_bytes(address, length);
                if start + u64::from(length) > 4096 {
                    assert_eq!(
                        span,
                        Err(WireError::CrossesPage {
                            address,
                            bytes: length
                        })
                    );
                    continue;
                }
                let span = span.unwrap();
                assert_eq!(span.check(), Ok(()));
                assert_eq!(span.byte_count(), length);
                let end = PhysAddr::new(address.get() + u64::from(length));
                assert_eq!(span.range(), PhysRange::new(address, end));
                for offset in 0..u32::from(span.dwords) * 4 {
                    let byte = span.address.wrapping_offset(i64::from(offset));
                    assert_eq!(span.enables_byte(offset), span.range().contains(byte));
                }
            }
        }
    }

    #[test]
    fn byte_counts_are_those_of_the_specification_s_table() {
        // First BE, last BE, double words, byte count: the rows of the table in 2.2.9.
        for (first, last, dwords, count) in [
            (0b1001, 0, 1, 4),
            (0b0101, 0, 1, 3),
            (0b1010, 0, 1, 3),
            (0b0011, 0, 1, 2),
            (0b0110, 0, 1, 2),
            (0b1100, 0, 1, 2),
            (0b0001, 0, 1, 1),
            (0b1000, 0, 1, 1),
            (0b0000, 0, 1, 1),
            (0b1111, 0b1111, 16, 64),
            (0b1111, 0b0111, 16, 63),
            (0b1111, 0b0001, 16, 61),
            (0b1110, 0b1111, 16, 63),
            (0b1100, 0b0011, 16, 60),
            (0b1000, 0b0001, 2, 2),
        ] {
            let span = Span {
                address: PhysAddr::new(0x1000),
                dwords,
                enables: ByteEnables { first, last },
            };
            assert_eq!(span.byte_count(), count, "{span:?}");
        }
    }

    #[test]
    fn the_4_kib_rule_and_the_length_field_are_checked() {
        let span = |address, dwords| Span {
            address: PhysAddr::new(address),
            dwords,
            enables: ByteEnables {
                first: 0xf,
                last: if dwords == 1 { 0 } else { 0xf },
            },
        };
        assert_eq!(span(0x1000, 1024).check(), Ok(()));
        assert_eq!(
            span(0x1004, 1024).check(),
            Err(WireError::CrossesPage {
                address: PhysAddr::new(0x1004),
                bytes: 4096
            })
        );
        assert_eq!(span(0x1000, 1025).check(), Err(WireError::TooLong(4100)));
        assert_eq!(span(0x1000, 0).check(), Err(WireError::TooLong(0)));
        assert_eq!(span(0x1002, 1).check(), Err(WireError::AddressBits(2)));
        assert_eq!(span(0xffff_ffff_ffff_fffc, 1).check(), Ok(()));
    }
}
