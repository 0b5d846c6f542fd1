//! How accesses become TLPs: the requester's cuts (4 KiB, maximum read request or payload) and the completer's (read completion
//! boundary, maximum payload).

use crate::addr::{PAGE_SIZE, PhysAddr};

use super::Span;

/// Cuts the `length` bytes at `address` into requests of at most `limit` bytes (maximum read request size for reads, maximum
/// payload size for writes), none of which crosses a multiple of 4 KiB. The limit bounds the Length field, so it counts whole
/// double words: 512 unaligned bytes are more than one request of 512. A limit below 4 is taken as 4.
pub fn split_request(address: PhysAddr, length: u64, limit: u32) -> RequestPieces {
    RequestPieces {
        next: address.get(),
        left: length,
        limit: u64::from(limit.clamp(4, PAGE_SIZE as u32)) & !3,
    }
}

/// The requests of [`split_request`], in address order: address and bytes of each.
#[derive(Clone, Copy, Debug)]
pub struct RequestPieces {
    next: u64,
    left: u64,
    limit: u64,
}

impl Iterator for RequestPieces {
    type Item = (PhysAddr, u32);

    fn next(&mut self) -> Option<(PhysAddr, u32)> {
        if self.left == 0 {
            return None;
        }
        let address = PhysAddr::new(self.next);
        let to_limit = self.limit - (self.next & 3);
        let to_page_end = PAGE_SIZE - address.page_offset();
        let length = self.left.min(to_limit).min(to_page_end);
        self.next = self.next.wrapping_add(length);
        self.left -= length;
        // At most 4096.
        Some((address, length as u32))
    }
}

/// One completion of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompletionPiece {
    /// Address of its first valid byte.
    pub address: PhysAddr,
    /// Valid bytes.
    pub length: u16,
    /// Its Byte Count field: bytes still to come, its own included.
    pub byte_count: u16,
    /// Double words of data, padding at both ends included.
    pub dwords: u16,
}

impl CompletionPiece {
    /// Its Lower Address field.
    pub const fn lower_address(&self) -> u8 {
        (self.address.get() & 0x7f) as u8
    }
}

/// Cuts the answer to a read of `span` into completions: each at most `max_payload` bytes of data, each but the last ending on a
/// multiple of `boundary` (the read completion boundary, 64 or 128). `max_payload` below `boundary` is taken as `boundary`.
pub fn split_completion(span: &Span, boundary: u32, max_payload: u32) -> CompletionPieces {
    let boundary = u64::from(boundary.max(4)).next_power_of_two();
    CompletionPieces {
        next: span.first_byte().get(),
        left: u64::from(span.byte_count()),
        boundary,
        max_payload: u64::from(max_payload).max(boundary),
    }
}

/// The completions of [`split_completion`], in address order.
#[derive(Clone, Copy, Debug)]
pub struct CompletionPieces {
    next: u64,
    left: u64,
    boundary: u64,
    max_payload: u64,
}

impl Iterator for CompletionPieces {
    type Item = CompletionPiece;

    fn next(&mut self) -> Option<CompletionPiece> {
        if self.left == 0 {
            return None;
        }
        let skipped = self.next & 3;
        let fits = self.max_payload - skipped;
        let length = if self.left <= fits {
            self.left
        } else {
            let past_boundary = self.next.wrapping_add(fits) & (self.boundary - 1);
            fits - past_boundary
        };
        let piece = CompletionPiece {
            address: PhysAddr::new(self.next),
            length: length as u16,
            byte_count: self.left as u16,
            dwords: (skipped + length).div_ceil(4) as u16,
        };
        self.next = self.next.wrapping_add(length);
        self.left -= length;
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_cover_the_access_and_keep_the_rules() {
        for limit in [64, 128, 512, 4096] {
            for start in [0_u64, 1, 3, 4, 60, 4093, 4095, 8191] {
                for length in [1_u64, 2, 7, 63, 512, 513, 4096, 10_000] {
                    let mut at = start;
                    for (address, bytes) in split_request(PhysAddr::new(start), length, limit) {
                        assert_eq!(address.get(), at);
                        let span = Span::of_bytes(address, bytes).unwrap();
                        assert!(u32::from(span.dwords) * 4 <= limit);
                        at += u64::from(bytes);
                    }
                    assert_eq!(at, start + length);
                }
            }
        }
    }

    #[test]
    fn a_limit_counts_whole_double_words() {
        let cuts: Vec<_> = split_request(PhysAddr::new(0x1001), 512, 512).collect();
        assert_eq!(
            cuts,
            [(PhysAddr::new(0x1001), 511), (PhysAddr::new(0x1200), 1)]
        );
    }

    #[test]
    fn completions_are_those_of_the_published_captures() {
        // A root complex answers 512 bytes with two completions of 256.
        let span = Span::of_bytes(PhysAddr::new(0x7_4740_0000), 512).unwrap();
        let pieces: Vec<_> = split_completion(&span, 64, 256)
            .map(|piece| (piece.byte_count, piece.lower_address(), piece.dwords))
            .collect();
        assert_eq!(pieces, [(512, 0, 64), (256, 0, 64)]);
        // Another answers 4096 with 64 completions of 64: BC 000 LA 00, BC fc0 LA 40, BC f80 LA 00 ...
        let span = Span::of_bytes(PhysAddr::new(0x1000), 4096).unwrap();
        let pieces: Vec<_> = split_completion(&span, 64, 64)
            .map(|piece| (piece.byte_count & 0xfff, piece.lower_address()))
            .collect();
        assert_eq!(pieces[..3], [(0, 0), (0xfc0, 0x40), (0xf80, 0)]);
        assert_eq!(pieces.len(), 64);
    }

    #[test]
    fn completions_cover_the_read_and_keep_the_rules() {
        for (boundary, max_payload) in [(64, 64), (64, 128), (64, 256), (128, 128), (128, 512)] {
            for start in 0..132_u64 {
                for length in [1_u32, 3, 4, 61, 64, 65, 127, 130, 300, 512] {
                    let span = Span::of_bytes(PhysAddr::new(0x2000 + start), length).unwrap();
                    let mut at = span.first_byte().get();
                    for piece in split_completion(&span, boundary, max_payload) {
                        assert_eq!(piece.address.get(), at);
                        assert!(u32::from(piece.dwords) * 4 <= max_payload);
                        at += u64::from(piece.length);
                        let left = u64::from(piece.byte_count - piece.length);
                        assert_eq!(at + left, 0x2000 + start + u64::from(length));
                        assert!(left == 0 || at.is_multiple_of(u64::from(boundary)));
                    }
                }
            }
        }
    }
}
