//! What a file is, told from its first bytes and never from its name.

use super::error::Problem;

/// How many bytes of a file are enough to tell its kind: the boot sector of a bzImage says so at 0x202.
pub(super) const PREFIX: usize = 0x1000;

/// A kind of file that holds memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Bytes of memory and nothing else.
    Raw,
    /// An ELF file; whether it is a core is in its header.
    Elf,
    /// A LiME dump of version 1.
    Lime,
    /// Our own recording.
    Recording,
}

/// Magic bytes of a kind we read.
static KNOWN: [(&[u8], Kind); 3] = [
    (b"\x7fELF", Kind::Elf),
    // 0x4c694d45, little-endian.
    (b"EMiL", Kind::Lime),
    (super::recording::MAGIC, Kind::Recording),
];

/// A kind that people may mistake for a memory image, with what to do instead.
struct Mistaken {
    offset: usize,
    magic: &'static [u8],
    what: &'static str,
    hint: &'static str,
}

const fn mistaken(
    offset: usize,
    magic: &'static [u8],
    what: &'static str,
    hint: &'static str,
) -> Mistaken {
    Mistaken {
        offset,
        magic,
        what,
        hint,
    }
}

const DECOMPRESS: &str =
    "decompress it first, for example with `zstd -d`, `xz -d`, `gzip -d`, `bzip2 -d` or `lz4 -d`";
const AS_ELF: &str = "take the dump as ELF: `makedumpfile -d 0 -E /proc/vmcore FILE` (makedumpfile cannot turn a compressed dump into ELF afterwards), \
     or `dump-guest-memory FILE` in QEMU";
const PROFILE: &str = "kernels and their types are read by `nettlp-profile`";
const DISK: &str = "dump the memory of the machine, not its disk";

static MISTAKEN: [Mistaken; 18] = [
    mistaken(0, b"KDUMP   ", "a compressed kdump", AS_ELF),
    mistaken(0, b"DISKDUMP", "a compressed diskdump", AS_ELF),
    mistaken(
        0,
        b"makedumpfile\0",
        "a flattened makedumpfile dump",
        "put it together with `makedumpfile -R FILE`, having dumped with `makedumpfile -d 0 -E -F`",
    ),
    mistaken(
        0,
        b"AVML",
        "a compressed AVML dump",
        "convert it with `avml-convert IN OUT`",
    ),
    mistaken(0, b"\x1f\x8b\x08", "compressed by gzip", DECOMPRESS),
    mistaken(0, b"\xfd7zXZ\0", "compressed by xz", DECOMPRESS),
    mistaken(0, b"\x28\xb5\x2f\xfd", "compressed by zstd", DECOMPRESS),
    mistaken(0, b"BZh", "compressed by bzip2", DECOMPRESS),
    mistaken(0, b"\x04\x22\x4d\x18", "compressed by lz4", DECOMPRESS),
    mistaken(0, b"PK\x03\x04", "a zip archive", "unpack it first"),
    mistaken(0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"),
    mistaken(257, b"ustar", "a tar archive", "unpack it first"),
    mistaken(0, b"QFI\xfb", "a qcow2 disk image", DISK),
    mistaken(0, b"KDMV", "a VMware disk image", DISK),
    mistaken(
        0,
        b"PAGEDU",
        "a Windows crash dump",
        "only Linux targets are read here",
    ),
    mistaken(0, b"\x9f\xeb\x01", "BTF, the types of a kernel", PROFILE),
    mistaken(0x202, b"HdrS", "a compressed kernel (vmlinuz)", PROFILE),
    mistaken(
        0,
        b"!<arch>\n",
        "an ar archive or a Debian package",
        "unpack it first",
    ),
];

/// The kind of the file that begins with `prefix` (as many of the first [`PREFIX`] bytes as it has).
pub(super) fn kind_of(prefix: &[u8]) -> Result<Kind, Problem> {
    if prefix.is_empty() {
        return Err(Problem::Empty);
    }
    if let Some((_, kind)) = KNOWN.iter().find(|(magic, _)| prefix.starts_with(magic)) {
        return Ok(*kind);
    }
    let found = MISTAKEN.iter().find(|mistaken| {
        prefix
            .get(mistaken.offset..)
            .is_some_and(|rest| rest.starts_with(mistaken.magic))
    });
    if let Some(&Mistaken { what, hint, .. }) = found {
        return Err(Problem::NotAnImage { what, hint });
    }
    if is_text(prefix) {
        return Err(Problem::NotAnImage {
            what: "text",
            hint: "`-p` takes profiles and `-f` scripts; --image wants a dump of memory",
        });
    }
    Ok(Kind::Raw)
}

/// Whether every byte is printable ASCII or white space. The first page of a machine's memory never is.
fn is_text(prefix: &[u8]) -> bool {
    prefix
        .iter()
        .all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(prefix: &[u8]) -> String {
        let problem = kind_of(prefix).unwrap_err();
        assert!(problem.hint().is_some() || matches!(problem, Problem::Empty));
        problem.to_string()
    }

    #[test]
    fn kinds_are_told_by_content() {
        assert_eq!(kind_of(b"\x7fELF\x02").unwrap(), Kind::Elf);
        assert_eq!(kind_of(&0x4c69_4d45_u32.to_le_bytes()).unwrap(), Kind::Lime);
        assert_eq!(kind_of(&[0; 64]).unwrap(), Kind::Raw);
        assert_eq!(
            kind_of(super::super::recording::MAGIC).unwrap(),
            Kind::Recording
        );
    }

    #[test]
    fn every_mistake_has_a_name_and_a_way_out() {
        for mistaken in &MISTAKEN {
            let mut prefix = vec![0; mistaken.offset];
            prefix.extend_from_slice(mistaken.magic);
            let message = refused(&prefix);
            assert!(message.contains(mistaken.what), "{message}");
        }
        assert_eq!(refused(b""), "it is empty");
        assert_eq!(
            refused(b"walk tasks\n"),
            "it is text, not an image of physical memory"
        );
    }
}
