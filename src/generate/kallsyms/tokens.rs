//! `kallsyms_token_table` and `kallsyms_token_index`: what each byte of a compressed name stands for.

use std::ops::Range;

/// The tokens of the digits, which stand for themselves in every kernel, with the end of the token before.
pub(super) const DIGITS: &[u8] = b"\x000\x001\x002\x003\x004\x005\x006\x007\x008\x009\x00";

const TOKENS: usize = 256;
/// The longest that is believed; names are at most 512 bytes.
const MAX_TOKEN: usize = 512;
/// Most zero bytes between table and index.
const MAX_PADDING: usize = 16;

/// The tokens of an image.
#[derive(Debug)]
pub(super) struct Tokens {
    /// Where the table starts.
    pub(super) start: usize,
    /// Where the index ends.
    pub(super) end: usize,
    tokens: Vec<Range<usize>>,
}

impl Tokens {
    /// The table that has [`DIGITS`] at an offset, if its index says the same.
    pub(super) fn around(bytes: &[u8], digits: usize) -> Option<Self> {
        let zero = usize::from(b'0');
        let first = digits + 1;
        let mut end = first;
        for _ in zero..TOKENS {
            let rest = bytes.get(end..bytes.len().min(end + MAX_TOKEN))?;
            end += memchr::memchr(0, rest)? + 1;
        }
        for index in end..end + MAX_PADDING {
            if let Some(tokens) = Self::with_index(bytes, first, index) {
                return Some(tokens);
            }
            if bytes.get(index) != Some(&0) {
                return None;
            }
        }
        None
    }

    /// `first` is where the token of `0` starts.
    fn with_index(bytes: &[u8], first: usize, index: usize) -> Option<Self> {
        let end = index.checked_add(TOKENS * 2)?;
        let (words, _) = bytes.get(index..end)?.as_chunks::<2>();
        let offsets: Vec<usize> = words
            .iter()
            .map(|word| usize::from(u16::from_le_bytes(*word)))
            .collect();
        let start = first.checked_sub(*offsets.get(usize::from(b'0'))?)?;
        let mut tokens = Vec::with_capacity(TOKENS);
        let mut next = 0;
        for offset in offsets {
            if offset != next {
                return None;
            }
            let at = start + offset;
            let rest = bytes.get(at..index.min(at + MAX_TOKEN))?;
            let length = memchr::memchr(0, rest)?;
            tokens.push(at..at + length);
            next = offset + length + 1;
        }
        Some(Self { start, end, tokens })
    }

    /// What a byte of a compressed name stands for.
    pub(super) fn text<'a>(&self, bytes: &'a [u8], token: u8) -> &'a [u8] {
        let range = self.tokens.get(usize::from(token)).cloned();
        range.and_then(|range| bytes.get(range)).unwrap_or(&[])
    }
}
