//! Compressed bytes → the bytes that were compressed: every format that kernels and their debug files come in.
//!
//! What it promises: never more than the limit of the caller, nor more than 192 MiB of working memory besides, whatever the input
//! claims. The formats are those of the kernel's `lib/decompress.c`; what follows the compressed bytes (a kernel's payload ends with its
//! unpacked length) is ignored.

use std::io::{self, Read};

/// Working memory that a decompressor may take, in KiB: the kernel's own xz and zstd use dictionaries of 128 MiB.
pub(super) const MAX_DICTIONARY_KIB: u32 = 192 << 10;
/// The same for zstd, as a power of two of bytes.
pub(super) const MAX_ZSTD_WINDOW: u32 = 27;

/// How bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// RFC 1952.
    Gzip,
    /// The .xz file format, with its filters for machine code.
    Xz,
    /// The older .lzma format.
    Lzma,
    /// RFC 8878.
    Zstd,
    /// The legacy frame of LZ4, which is the one that kernels use.
    Lz4,
    /// bzip2.
    Bzip2,
    /// LZO1X in the frame of lzop.
    Lzo,
}

/// What the first bytes of each format are; `.lzma` has no magic number, these are its usual properties and the end of its dictionary's size.
const MAGICS: [(Packing, &[u8]); 7] = [
    (Packing::Gzip, b"\x1f\x8b\x08"),
    (Packing::Xz, b"\xfd7zXZ\x00"),
    (Packing::Lzma, b"\x5d\x00\x00"),
    (Packing::Zstd, b"\x28\xb5\x2f\xfd"),
    (Packing::Lz4, b"\x02\x21\x4c\x18"),
    (Packing::Bzip2, b"BZh"),
    (Packing::Lzo, b"\x89LZO\x00\r\n\x1a\n"),
];

impl Packing {
    /// The format that bytes start with, if they start with one.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let found = MAGICS.iter().find(|(_, magic)| bytes.starts_with(magic));
        found.map(|(packing, _)| *packing)
    }

    /// The format's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Lzma => "lzma",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
            Self::Bzip2 => "bzip2",
            Self::Lzo => "lzo",
        }
    }

    /// The first bytes of the format.
    pub(super) fn magic(self) -> &'static [u8] {
        let found = MAGICS.iter().find(|(packing, _)| *packing == self);
        found.map_or(&[], |(_, magic)| magic)
    }
}

/// All formats, for those that search.
pub(super) fn packings() -> impl Iterator<Item = Packing> {
    MAGICS.iter().map(|(packing, _)| *packing)
}

/// Why bytes cannot be unpacked. Offsets are bytes from the start of the compressed bytes.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// They start with no format's magic number.
    #[error("not compressed in a known format (gzip, xz, lzma, zstd, lz4, bzip2, lzo)")]
    Unknown,
    /// They do not follow their format, or end too early.
    #[error("the {} data is damaged or ends early near {offset:#x}", packing.name())]
    Damaged {
        /// The format.
        packing: Packing,
        /// How many bytes had been taken when it was noticed.
        offset: usize,
        /// What the decompressor says.
        #[source]
        source: io::Error,
    },
    /// They unpack to more than is accepted.
    #[error("the {} data unpacks to more than {limit} bytes", packing.name())]
    TooLong {
        /// The format.
        packing: Packing,
        /// Bytes that were accepted.
        limit: usize,
    },
}

/// Unpacks what `bytes` start with; further streams of the same format that follow at once are appended. `limit` is in bytes.
pub fn unpack(bytes: &[u8], limit: usize) -> Result<Vec<u8>, UnpackError> {
    let packing = Packing::of(bytes).ok_or(UnpackError::Unknown)?;
    let mut rest = bytes;
    let mut out = Vec::new();
    loop {
        let done = unpack_stream(packing, &mut rest, limit, &mut out);
        if out.len() > limit {
            return Err(UnpackError::TooLong { packing, limit });
        }
        done.map_err(|source| UnpackError::Damaged {
            packing,
            offset: bytes.len() - rest.len(),
            source,
        })?;
        if !rest.starts_with(packing.magic()) || packing == Packing::Lzma {
            return Ok(out);
        }
    }
}

/// Appends one stream to `out`, which grows to at most one byte more than `limit`.
fn unpack_stream(
    packing: Packing,
    rest: &mut &[u8],
    limit: usize,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    match packing {
        Packing::Gzip => take(flate2::bufread::GzDecoder::new(rest), limit, out),
        Packing::Xz => {
            let reader = lzma_rust2::XzReader::new_mem_limit(rest, false, MAX_DICTIONARY_KIB);
            take(reader, limit, out)
        }
        Packing::Lzma => {
            let reader = lzma_rust2::LzmaReader::new_mem_limit(rest, MAX_DICTIONARY_KIB, None)?;
            take(reader, limit, out)
        }
        Packing::Zstd => {
            let mut reader = zstd::stream::read::Decoder::with_buffer(rest)?.single_frame();
            reader.window_log_max(MAX_ZSTD_WINDOW)?;
            take(reader, limit, out)
        }
        Packing::Bzip2 => take(bzip2::bufread::BzDecoder::new(rest), limit, out),
        Packing::Lz4 => lz4_frame(rest, limit, out),
        Packing::Lzo => lzop_frame(rest, limit, out),
    }
}

fn take(reader: impl Read, limit: usize, out: &mut Vec<u8>) -> io::Result<()> {
    let room = (limit - out.len().min(limit)) as u64 + 1;
    reader.take(room).read_to_end(out).map(|_| ())
}

/// Takes bytes from the start of what is left.
fn cut<'a>(rest: &mut &'a [u8], length: usize) -> io::Result<&'a [u8]> {
    let (taken, left) = rest
        .split_at_checked(length)
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    *rest = left;
    Ok(taken)
}

fn big_endian(rest: &mut &[u8], length: usize) -> io::Result<usize> {
    let bytes = cut(rest, length)?;
    Ok(bytes
        .iter()
        .fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// The space for a block at the end of `out`, or none if it would pass the limit, in which case `out` passes it.
fn block(out: &mut Vec<u8>, length: usize, limit: usize) -> Option<&mut [u8]> {
    let start = out.len();
    let end = start.saturating_add(length);
    if end > limit {
        out.resize(limit + 1, 0);
        return None;
    }
    out.resize(end, 0);
    out.get_mut(start..)
}

/// Bytes of every block of a legacy LZ4 frame but the last, unpacked.
const LZ4_BLOCK: usize = 8 << 20;
/// More than such a block takes if it cannot be compressed.
const MAX_LZ4_PACKED: usize = LZ4_BLOCK + LZ4_BLOCK / 255 + 16;

/// The legacy frame of LZ4 (lz4_Frame_format.md, "Legacy frame"): blocks with their length before them, until a short one.
fn lz4_frame(rest: &mut &[u8], limit: usize, out: &mut Vec<u8>) -> io::Result<()> {
    cut(rest, 4)?;
    loop {
        let word = cut(rest, 4)?;
        let packed = word
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | usize::from(*byte));
        if packed > MAX_LZ4_PACKED {
            return Err(damaged("a block that is longer than blocks are"));
        }
        let packed = cut(rest, packed)?;
        let start = out.len();
        // One byte more than may be kept tells a block that is too long from one that is not.
        let space = LZ4_BLOCK.min(limit - start.min(limit) + 1);
        out.resize(start + space, 0);
        let unpacked = lz4_flex::block::decompress_into(packed, &mut out[start..]);
        let length = match unpacked {
            Ok(length) => length,
            Err(lz4_flex::block::DecompressError::OutputTooSmall { .. }) if space < LZ4_BLOCK => {
                return Ok(());
            }
            Err(error) => {
                out.truncate(start);
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        };
        out.truncate(start + length);
        // What is left after the last block of a kernel's payload is its unpacked length.
        if length < LZ4_BLOCK || rest.len() <= 4 || out.len() > limit {
            return Ok(());
        }
    }
}

/// Most bytes of a block that lzop makes (lzop's own limit is 64 MiB).
const MAX_LZO_BLOCK: usize = 64 << 20;

/// The flags of an lzop header (lzop, `conf.h`).
mod lzop_flag {
    pub(super) const ADLER32_UNPACKED: usize = 0x1;
    pub(super) const ADLER32_PACKED: usize = 0x2;
    pub(super) const EXTRA_FIELD: usize = 0x40;
    pub(super) const CRC32_UNPACKED: usize = 0x100;
    pub(super) const CRC32_PACKED: usize = 0x200;
    pub(super) const FILTER: usize = 0x800;
}

/// The frame of lzop, as the kernel's `lib/decompress_unlzo.c` reads it. Checksums are passed over.
fn lzop_frame(rest: &mut &[u8], limit: usize, out: &mut Vec<u8>) -> io::Result<()> {
    let flags = lzop_header(rest)?;
    let checksums = |wanted: [usize; 2]| {
        wanted
            .iter()
            .map(|flag| 4 * usize::from(flags & flag != 0))
            .sum::<usize>()
    };
    let of_unpacked = checksums([lzop_flag::ADLER32_UNPACKED, lzop_flag::CRC32_UNPACKED]);
    let of_packed = checksums([lzop_flag::ADLER32_PACKED, lzop_flag::CRC32_PACKED]);
    loop {
        let unpacked = big_endian(rest, 4)?;
        if unpacked == 0 {
            return Ok(());
        }
        let packed = big_endian(rest, 4)?;
        if unpacked > MAX_LZO_BLOCK || packed > unpacked {
            return Err(damaged("a block with an impossible length"));
        }
        let skipped = of_unpacked + if packed < unpacked { of_packed } else { 0 };
        cut(rest, skipped)?;
        let bytes = cut(rest, packed)?;
        let Some(space) = block(out, unpacked, limit) else {
            return Ok(());
        };
        if packed == unpacked {
            space.copy_from_slice(bytes);
            continue;
        }
        let length = lzo::decompress_into(bytes, space)
            .map_err(|error| damaged(&format!("an LZO block: {error:?}")))?;
        if length != unpacked {
            return Err(damaged("a block that is shorter than it says"));
        }
    }
}

/// Passes over the header of an lzop file and gives its flags.
fn lzop_header(rest: &mut &[u8]) -> io::Result<usize> {
    cut(rest, Packing::Lzo.magic().len())?;
    let version = big_endian(rest, 2)?;
    // Since version 0.940 there are a level and the high half of the time.
    let is_newer = version >= 0x940;
    // Version of the library, version needed (newer only), method, level (newer only).
    cut(rest, if is_newer { 6 } else { 3 })?;
    let flags = big_endian(rest, 4)?;
    if flags & lzop_flag::FILTER != 0 {
        return Err(damaged("an lzop filter, which kernels do not use"));
    }
    // Mode and time.
    cut(rest, if is_newer { 12 } else { 8 })?;
    let name = big_endian(rest, 1)?;
    cut(rest, name + 4)?;
    if flags & lzop_flag::EXTRA_FIELD != 0 {
        let length = big_endian(rest, 4)?;
        cut(rest, length.saturating_add(4))?;
    }
    Ok(flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same text in every format; `tests/fixtures/packed/make.sh` makes them.
    const PACKED: [(Packing, &[u8]); 7] = [
        (
            Packing::Gzip,
            include_bytes!("../../tests/fixtures/packed/text.gz"),
        ),
        (
            Packing::Xz,
            include_bytes!("../../tests/fixtures/packed/text.xz"),
        ),
        (
            Packing::Lzma,
            include_bytes!("../../tests/fixtures/packed/text.lzma"),
        ),
        (
            Packing::Zstd,
            include_bytes!("../../tests/fixtures/packed/text.zst"),
        ),
        (
            Packing::Lz4,
            include_bytes!("../../tests/fixtures/packed/text.lz4"),
        ),
        (
            Packing::Bzip2,
            include_bytes!("../../tests/fixtures/packed/text.bz2"),
        ),
        (
            Packing::Lzo,
            include_bytes!("../../tests/fixtures/packed/text.lzo"),
        ),
    ];

    fn text() -> Vec<u8> {
        "Linux version 6.1.0 of a kernel that is not: every format must give these bytes. "
            .repeat(40)
            .into_bytes()
    }

    #[test]
    fn every_format_unpacks_with_anything_behind_it() {
        for (packing, packed) in PACKED {
            assert_eq!(Packing::of(packed), Some(packing));
            let mut with_length = packed.to_vec();
            with_length.extend(3240_u32.to_le_bytes());
            for bytes in [packed, &with_length] {
                let unpacked = unpack(bytes, 1 << 20)
                    .unwrap_or_else(|error| panic!("{}: {error} ({:?})", packing.name(), error));
                assert_eq!(unpacked, text(), "{}", packing.name());
            }
        }
    }

    #[test]
    fn streams_that_follow_are_appended() {
        for (packing, packed) in PACKED {
            if packing == Packing::Lzma {
                continue;
            }
            let unpacked = unpack(&packed.repeat(2), 1 << 20).unwrap();
            assert_eq!(unpacked, text().repeat(2), "{}", packing.name());
        }
    }

    #[test]
    fn the_limit_holds_to_the_byte() {
        for (packing, packed) in PACKED {
            assert!(unpack(packed, 3240).is_ok(), "{}", packing.name());
            for limit in [0, 1, 3239] {
                let error = unpack(packed, limit).unwrap_err();
                let is_limit =
                    matches!(error, UnpackError::TooLong { limit: told, .. } if told == limit);
                assert!(is_limit, "{} {limit}: {error}", packing.name());
            }
        }
    }

    #[test]
    fn a_stream_cut_anywhere_is_an_error_or_the_whole_text() {
        for (packing, packed) in PACKED {
            for length in 0..packed.len() {
                match unpack(&packed[..length], 1 << 20) {
                    // Only checksums and end marks are missing.
                    Ok(unpacked) => assert_eq!(unpacked, text(), "{} {length}", packing.name()),
                    Err(UnpackError::Damaged { offset, .. }) => assert!(offset <= length),
                    Err(UnpackError::Unknown) => assert!(length < 9),
                    Err(error) => panic!("{} {length}: {error}", packing.name()),
                }
            }
        }
    }

    #[test]
    fn flipped_bits_never_do_worse_than_an_error() {
        for (_, packed) in PACKED {
            for bit in 0..packed.len() * 8 {
                let mut flipped = packed.to_vec();
                flipped[bit / 8] ^= 1 << (bit % 8);
                if let Ok(unpacked) = unpack(&flipped, 1 << 16) {
                    assert!(unpacked.len() <= 1 << 16);
                }
            }
        }
    }
}
