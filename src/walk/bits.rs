//! Bit masks: bitmaps, CPU masks, node masks (`include/linux/bitmap.h`), arrays of `unsigned long` with bit 0 first.

use std::ops::ControlFlow;

use crate::addr::VirtAddr;
use crate::paging::AddressSpace;
use crate::wave::Reader;

use super::{Element, End, MOST_ELEMENTS, Problem, Sink};

/// A bit mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits {
    /// Its first word.
    pub mask: VirtAddr,
    /// Bytes of a word, 1 to 8.
    pub word: u64,
    /// Bits that count.
    pub count: u64,
}

/// Bytes read at a time.
const AT_ONCE: u64 = 4096;

impl Bits {
    /// Hands over the word of each bit that is set, with the bit's number as index. The whole mask is asked for at once.
    pub async fn walk(&self, reader: &Reader, space: &AddressSpace, sink: &mut impl Sink) -> End {
        if !(1..=8).contains(&self.word) {
            return End::Stopped(Problem::BadNode {
                at: self.mask,
                what: "a mask of words that are no numbers",
            });
        }
        // The words are little-endian: bytes are in the order of their bits.
        let count = self.count.min(MOST_ELEMENTS as u64);
        let length = count.div_ceil(8);
        reader.prefetch(space, self.mask, length);
        let mut at = 0;
        while at < length {
            let here = (length - at).min(AT_ONCE);
            let mut bytes = vec![0; here as usize];
            let start = VirtAddr::new(self.mask.get().wrapping_add(at));
            if let Err(unreadable) = reader.read(space, start, &mut bytes).await {
                return End::Stopped(unreadable.into());
            }
            for (byte, bits) in (at..).zip(bytes) {
                for bit in (0..8).filter(|bit| bits >> bit & 1 == 1) {
                    let index = byte * 8 + bit;
                    let word = byte / self.word * self.word;
                    let address = VirtAddr::new(self.mask.get().wrapping_add(word));
                    if index < count
                        && let ControlFlow::Break(()) = sink(Element::new(address, index)).await
                    {
                        return End::Enough;
                    }
                }
            }
            at += here;
        }
        if self.count > count {
            return End::Stopped(Problem::TooMany(MOST_ELEMENTS));
        }
        End::Complete
    }
}
