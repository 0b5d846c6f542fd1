//! `kallsyms_names`, `kallsyms_markers` and `kallsyms_num_syms`: where the names are, proven by their markers.

use super::tokens::Tokens;

/// Names between markers.
const BLOCK: usize = 256;
/// More symbols than any kernel has.
const MAX_SYMBOLS: usize = 4 << 20;
/// The longest compressed name: `KSYM_NAME_LEN` is 512, and a length takes two bytes.
const MAX_NAME: usize = 514;
/// Bytes before the token table in which the markers are looked for.
const REACH: usize = 16 << 20;
/// Places that look like markers that are tried.
const MAX_CANDIDATES: usize = 1 << 10;
/// Markers beyond the last one that may be something else that grows.
const MAX_SURPLUS: usize = 4;
/// Fewest markers: a kernel with fewer than 257 symbols is none.
const MIN_MARKERS: usize = 2;

/// The compressed names of an image.
#[derive(Debug)]
pub(super) struct Names {
    /// Where the first one is.
    pub(super) start: usize,
    /// How many there are.
    pub(super) count: usize,
    /// Where that number is.
    pub(super) count_at: usize,
}

impl Names {
    /// The names whose markers lie before the token table.
    pub(super) fn before(bytes: &[u8], tokens: usize) -> Option<Self> {
        let lowest = tokens.saturating_sub(REACH) & !3;
        let mut tried = 0;
        // Markers have 8 bytes before Linux 4.20.
        for width in [4, 8] {
            let mut at = tokens & !3;
            while at > lowest && tried < MAX_CANDIDATES {
                at -= 4;
                if number(bytes, at, width) != Some(0) {
                    continue;
                }
                let markers = Markers::at(bytes, at, width, tokens);
                if markers.offsets.len() >= MIN_MARKERS {
                    tried += 1;
                    if let Some(names) = markers.names(bytes) {
                        return Some(names);
                    }
                }
            }
        }
        None
    }

    /// Type letter and name of every symbol.
    pub(super) fn decode(&self, bytes: &[u8], tokens: &Tokens) -> Vec<(u8, String)> {
        let mut names = Vec::with_capacity(self.count);
        let mut at = self.start;
        for _ in 0..self.count {
            let Some((name, next)) = compressed(bytes, at) else {
                break;
            };
            let mut text = Vec::with_capacity(32);
            for token in name {
                text.extend_from_slice(tokens.text(bytes, *token));
            }
            let (letter, name) = text.split_first().unwrap_or((&b'?', &[]));
            names.push((*letter, String::from_utf8_lossy(name).into_owned()));
            at = next;
        }
        names
    }
}

/// A run of growing numbers that may be markers.
struct Markers {
    start: usize,
    offsets: Vec<usize>,
}

impl Markers {
    /// The longest run from `start` whose steps are those of 256 names each.
    fn at(bytes: &[u8], start: usize, width: usize, end: usize) -> Self {
        let mut offsets = vec![0];
        let mut last = 0;
        let mut at = start + width;
        while at < end && offsets.len() < MAX_SYMBOLS / BLOCK {
            match number(bytes, at, width) {
                Some(next) if (last + 2 * BLOCK..last + MAX_NAME * BLOCK).contains(&next) => {
                    offsets.push(next);
                    last = next;
                }
                _ => break,
            }
            at += width;
        }
        Self { start, offsets }
    }

    /// The names that these are the markers of.
    fn names(&self, bytes: &[u8]) -> Option<Names> {
        let most = self.offsets.len();
        let least = most.saturating_sub(MAX_SURPLUS).max(MIN_MARKERS);
        for count in (least..=most).rev() {
            let last = *self.offsets.get(count - 1)?;
            let Some(latest) = self.start.checked_sub(last) else {
                continue;
            };
            let earliest = latest.saturating_sub(MAX_NAME * BLOCK) & !3;
            for start in (earliest..latest).rev().filter(|start| start % 4 == 0) {
                // The number of symbols is right before the names; before Linux 7.0 they are aligned to 8 bytes.
                for distance in [8, 4] {
                    let count_at = start.checked_sub(distance);
                    let told = count_at.and_then(|at| number(bytes, at, 4));
                    if let (Some(count_at), Some(told)) = (count_at, told)
                        && told.div_ceil(BLOCK) == count
                        && self.fits(bytes, start, told)
                    {
                        return Some(Names {
                            start,
                            count: told,
                            count_at,
                        });
                    }
                }
            }
        }
        None
    }

    /// Whether names from `start` on are where the markers say.
    fn fits(&self, bytes: &[u8], start: usize, count: usize) -> bool {
        let mut at = start;
        for index in 0..count {
            if index % BLOCK == 0 && self.offsets.get(index / BLOCK) != Some(&(at - start)) {
                return false;
            }
            match compressed(bytes, at) {
                Some((_, next)) if next <= self.start => at = next,
                _ => return false,
            }
        }
        // At most the padding of the markers is left.
        self.start - at < 8
    }
}

/// The compressed name at an offset, and where the next one is. Its length takes a second byte where it is more than 127 (Linux 6.1).
fn compressed(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let first = usize::from(*bytes.get(at)?);
    let (length, start) = match first {
        0 => return None,
        1..0x80 => (first, at + 1),
        _ => {
            let second = usize::from(*bytes.get(at + 1)?);
            (first & 0x7f | second << 7, at + 2)
        }
    };
    let name = bytes.get(start..start.checked_add(length)?)?;
    (length < MAX_NAME).then_some((name, start + length))
}

/// A little-endian number of 4 or 8 bytes.
fn number(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(width)?)?;
    let number = bytes
        .iter()
        .rev()
        .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    usize::try_from(number).ok()
}
