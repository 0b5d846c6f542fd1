//! The bytes of a compressed section → the bytes that were compressed.
//!
//! Two ways: `SHF_COMPRESSED` with a header (gABI, "Section Compression"; zlib and zstd), and the older one of GNU, sections called
//! `.zdebug_…` that start with `ZLIB`. What a section claims to unpack to is bounded by what it is packed in.

use std::io::{self, Read};

use crate::generate::unpack::MAX_ZSTD_WINDOW;

/// `ch_type` (elf.h).
const ELFCOMPRESS_ZLIB: u32 = 1;
const ELFCOMPRESS_ZSTD: u32 = 2;

/// Bytes of a 64-bit `Elf64_Chdr`, and of what the older way has instead.
const HEADER: usize = 24;
const OLD_HEADER: usize = 12;

/// zlib reaches 1032 bytes for each; debug information is packed to a fifth.
const MAX_RATIO: u64 = 1100;
/// The longest section that is read, in bytes: DWARF's 32-bit offsets end here.
pub(super) const MAX_LENGTH: u64 = 4 << 30;

/// Why a section cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SectionProblem {
    /// It is shorter than its header.
    #[error("it ends within the header of its compression")]
    NoHeader,
    /// Compressed with something else.
    #[error("its compression (type {0}) is neither zlib nor zstd")]
    UnknownKind(u32),
    /// More than such a section can hold.
    #[error("it claims to have {0} bytes")]
    Claim(u64),
    /// The compressed bytes do not follow their format.
    #[error("its compressed bytes are damaged")]
    Damaged(#[source] io::Error),
    /// Another length than its header says.
    #[error("it unpacks to {found} bytes or more instead of {expected}")]
    Length {
        /// What the header says.
        expected: u64,
        /// What came out.
        found: u64,
    },
}

/// Unpacks a section with `SHF_COMPRESSED`.
pub(super) fn unpack(bytes: &[u8]) -> Result<Vec<u8>, SectionProblem> {
    let (header, packed) = bytes
        .split_at_checked(HEADER)
        .ok_or(SectionProblem::NoHeader)?;
    let word = |at: usize| header.get(at..at + 8).and_then(|word| word.try_into().ok());
    let length = word(8).map_or(0, u64::from_le_bytes);
    // The upper half is reserved.
    let kind = word(0).map_or(0, u64::from_le_bytes) as u32;
    match kind {
        ELFCOMPRESS_ZLIB => take(flate2::bufread::ZlibDecoder::new(packed), packed, length),
        ELFCOMPRESS_ZSTD => {
            let decoder = zstd::stream::read::Decoder::with_buffer(packed);
            let mut decoder = decoder.map_err(SectionProblem::Damaged)?;
            let window = decoder.window_log_max(MAX_ZSTD_WINDOW);
            window.map_err(SectionProblem::Damaged)?;
            take(decoder, packed, length)
        }
        other => Err(SectionProblem::UnknownKind(other)),
    }
}

/// Unpacks a section `.zdebug_…`.
pub(super) fn unpack_old(bytes: &[u8]) -> Result<Vec<u8>, SectionProblem> {
    let (header, packed) = bytes
        .split_at_checked(OLD_HEADER)
        .ok_or(SectionProblem::NoHeader)?;
    let length = match header.strip_prefix(b"ZLIB").map(TryInto::try_into) {
        Some(Ok(length)) => u64::from_be_bytes(length),
        _ => return Err(SectionProblem::NoHeader),
    };
    take(flate2::bufread::ZlibDecoder::new(packed), packed, length)
}

fn take(decoder: impl Read, packed: &[u8], expected: u64) -> Result<Vec<u8>, SectionProblem> {
    let limit = (packed.len() as u64)
        .saturating_mul(MAX_RATIO)
        .min(MAX_LENGTH);
    if expected > limit {
        return Err(SectionProblem::Claim(expected));
    }
    let mut bytes = Vec::new();
    if bytes
        .try_reserve_exact(usize::try_from(expected).unwrap_or(usize::MAX))
        .is_err()
    {
        return Err(SectionProblem::Claim(expected));
    }
    // One byte more tells a section that is longer than it says.
    let read = decoder.take(expected + 1).read_to_end(&mut bytes);
    read.map_err(SectionProblem::Damaged)?;
    match bytes.len() as u64 {
        found if found == expected => Ok(bytes),
        found => Err(SectionProblem::Length { expected, found }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(kind: u32, length: u64) -> Vec<u8> {
        let mut bytes = kind.to_le_bytes().to_vec();
        bytes.extend([0; 4]);
        bytes.extend(length.to_le_bytes());
        bytes.extend(1_u64.to_le_bytes());
        bytes
    }

    fn zstd_section(text: &[u8], claim: u64) -> Vec<u8> {
        let packed = zstd::encode_all(text, 3).unwrap_or_default();
        [header(ELFCOMPRESS_ZSTD, claim), packed].concat()
    }

    #[test]
    fn a_section_must_unpack_to_the_length_that_it_claims() {
        let text = b"struct task_struct struct task_struct".repeat(9);
        let length = text.len() as u64;
        let section = zstd_section(&text, length);
        assert_eq!(unpack(&section).unwrap_or_default(), text);
        for claim in [0, length - 1, length + 1] {
            let problem = unpack(&zstd_section(&text, claim)).map(drop);
            let told = matches!(problem, Err(SectionProblem::Length { expected, .. }) if expected == claim);
            assert!(told, "{claim}: {problem:?}");
        }
        for cut in 0..section.len() {
            assert!(unpack(&section[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn claims_beyond_what_can_be_are_refused_before_memory_is_taken() {
        for section in [
            zstd_section(b"x", u64::MAX),
            zstd_section(b"x", 1 << 40),
            [header(ELFCOMPRESS_ZLIB, 1 << 33), vec![0; 64]].concat(),
        ] {
            let problem = unpack(&section).map(drop);
            assert!(
                matches!(problem, Err(SectionProblem::Claim(_))),
                "{problem:?}"
            );
        }
        let old = [&b"ZLIB"[..], &u64::MAX.to_be_bytes(), b"x"].concat();
        let problem = unpack_old(&old).map(drop);
        assert!(
            matches!(problem, Err(SectionProblem::Claim(u64::MAX))),
            "{problem:?}"
        );
    }

    #[test]
    fn a_bomb_costs_what_it_claims_and_no_more() {
        // A gigabyte of zeros is 32 KiB: of what was claimed, a megabyte, no more than a byte beyond is made.
        let packed = zstd::encode_all(io::repeat(0).take(1 << 30), 1).unwrap_or_default();
        let section = [header(ELFCOMPRESS_ZSTD, 1 << 20), packed].concat();
        let problem = unpack(&section).map(drop);
        assert!(
            matches!(
                problem,
                Err(SectionProblem::Length {
                    found: 1_048_577,
                    ..
                })
            ),
            "{problem:?}"
        );
    }

    #[test]
    fn other_kinds_are_named() {
        let problem = unpack(&header(7, 1)).map(drop);
        assert!(
            matches!(problem, Err(SectionProblem::UnknownKind(7))),
            "{problem:?}"
        );
        assert!(matches!(unpack(b"short"), Err(SectionProblem::NoHeader)));
        assert!(matches!(
            unpack_old(b"GZIP12345678"),
            Err(SectionProblem::NoHeader)
        ));
    }
}
