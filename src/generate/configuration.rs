//! The configuration that a kernel was built with and keeps in its image (`CONFIG_IKCONFIG`, kernel/configs.c): text that gzip packed, before
//! Linux 5.1 between marks in one array (`IKCFG_ST`, `IKCFG_ED`).

use super::unpack::{Packing, UnpackError, unpack};

/// The mark before it.
const MARK: &[u8] = b"IKCFG_ST";
/// Most bytes of the text.
const MOST_TEXT: usize = 16 << 20;
/// How an option is told that is off.
const OFF: (&str, &str) = ("# ", " is not set");

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationProblem {
    /// It is not packed by gzip.
    #[error("no configuration: {0:02x?} is not the beginning of what gzip packed")]
    NotPacked(Vec<u8>),
    /// It cannot be unpacked.
    #[error("the configuration cannot be unpacked: {0}")]
    Packed(#[from] UnpackError),
}

/// The options and their values, in the order of the file: `CONFIG_SMP` and `y`; `n` of one that is off. Quotes of texts are left out.
pub fn configuration(bytes: &[u8]) -> Result<Vec<(String, String)>, ConfigurationProblem> {
    let packed = bytes.strip_prefix(MARK).unwrap_or(bytes);
    if Packing::of(packed) != Some(Packing::Gzip) {
        let start = packed.iter().take(4).copied().collect();
        return Err(ConfigurationProblem::NotPacked(start));
    }
    let text = unpack(packed, MOST_TEXT)?;
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().filter_map(option).collect())
}

/// The option of a line; nothing where it is a comment or empty.
fn option(line: &str) -> Option<(String, String)> {
    let off = line.strip_prefix(OFF.0);
    let (name, value) = match off.and_then(|line| line.strip_suffix(OFF.1)) {
        Some(name) => (name, "n"),
        None => line.split_once('=').filter(|_| off.is_none())?,
    };
    let quoted = value.strip_prefix('"');
    let value = quoted
        .and_then(|value| value.strip_suffix('"'))
        .unwrap_or(value);
    Some((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const TEXT: &str = "#\n# Linux/x86 6.1 Kernel Configuration\n#\nCONFIG_SMP=y\n# CONFIG_XEN is not set\n\n\
                        CONFIG_NR_CPUS=8192\nCONFIG_CC=\"gcc (Debian) = 12\"\n# CONFIG_A=y\n";

    fn packed() -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(TEXT.as_bytes()).unwrap();
        packer.finish().unwrap()
    }

    fn pairs(bytes: &[u8]) -> Vec<(String, String)> {
        configuration(bytes).unwrap()
    }

    #[test]
    fn options_are_read_with_and_without_marks_and_what_is_behind_them_is_not() {
        let wanted = [
            ("CONFIG_SMP", "y"),
            ("CONFIG_XEN", "n"),
            ("CONFIG_NR_CPUS", "8192"),
            ("CONFIG_CC", "gcc (Debian) = 12"),
        ];
        let wanted = wanted.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let whole = packed();
        assert_eq!(pairs(&whole), wanted);
        let marked = [MARK, &whole, b"IKCFG_ED", &[0; 64]].concat();
        assert_eq!(pairs(&marked), wanted);
    }

    #[test]
    fn what_is_no_configuration_is_told() {
        for bytes in [b"".as_slice(), b"IKCFG_ST", b"BZh91AY", &[0; 4096]] {
            let error = configuration(bytes).unwrap_err();
            assert!(
                matches!(error, ConfigurationProblem::NotPacked(_)),
                "{error}"
            );
        }
        let whole = packed();
        for end in 3..whole.len() - 1 {
            assert!(configuration(&whole[..end]).is_err(), "{end}");
        }
    }
}
