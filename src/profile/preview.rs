//! A profile file → what tells its kernel, without reading the file: the header, and where the kernel keeps its banner.
//!
//! The header is the first document. `linux_banner` is one line of the last document, whose lines are sorted, so it is found by
//! halving the file: about as many blocks are read as the file's length has bits, whatever else is in it.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::error::ProfileError;
use super::header::Header;
use super::layout::{self, LayoutProfile};
use super::library::LIBRARY_FORMAT;
use super::lines;
use super::symbols::Fields;

/// Bytes that are read at a time.
const BLOCK: u64 = 4096;
/// Longest header that is read.
const LONGEST_HEADER: usize = 64 << 10;
/// Longest line that is read.
const LONGEST_LINE: usize = 64 << 10;
/// Longest file that is read whole where halving it does not find the banner (comments among its symbols, or no order).
const LONGEST_WHOLE: u64 = 256 << 20;

/// What tells which kernel a profile is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// The file.
    pub path: PathBuf,
    /// Bytes of the file.
    pub bytes: u64,
    /// The profile's header.
    pub header: Header,
    /// Link address of the first byte of the kernel image (`_text`); `None` in a profile that does not tell.
    pub text: Option<u64>,
    /// Link address of `linux_banner`; `None` in a profile without it.
    pub banner: Option<u64>,
}

impl Preview {
    /// Reads what is needed of a file. `Ok(None)`: it is a walk library, no layout profile.
    ///
    /// Errors: the file cannot be read, or does not start as a profile does, with line and column in the header.
    pub fn read(path: &Path) -> Result<Option<Self>, ProfileError> {
        let unreadable = |source| ProfileError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let mut blocks = Blocks::open(path).map_err(unreadable)?;
        let start = blocks.up_to_document_end().map_err(unreadable)?;
        let name = path.display().to_string();
        if is_library(&start) {
            return Ok(None);
        }
        let header_end = start.len() as u64;
        let header = layout::header_of(&name, start)?;
        let mut symbol = |wanted| -> Result<Option<u64>, ProfileError> {
            let found = blocks.symbol(header_end, wanted).map_err(unreadable)?;
            match found {
                None if blocks.length <= LONGEST_WHOLE => {
                    let found = LayoutProfile::open(path)?.symbol(wanted)?;
                    Ok(found.map(|symbol| symbol.address))
                }
                found => Ok(found),
            }
        };
        let text = match header.constants.text_link_address {
            Some(text) => Some(text),
            None => symbol("_text")?,
        };
        let banner = symbol("linux_banner")?;
        Ok(Some(Self {
            path: path.to_owned(),
            bytes: blocks.length,
            header,
            text,
            banner,
        }))
    }

    /// The kernel's banner without its final newline.
    pub fn banner_text(&self) -> &str {
        self.header.version.trim_end_matches(['\n', '\0'])
    }
}

/// Whether the first document is that of a walk library.
fn is_library(start: &[u8]) -> bool {
    let text = String::from_utf8_lossy(start);
    let format = text.lines().find_map(|line| line.strip_prefix("format:"));
    format.is_some_and(|format| format.trim() == LIBRARY_FORMAT)
}

/// A file that is read in blocks, each once.
struct Blocks {
    file: File,
    length: u64,
    known: HashMap<u64, Vec<u8>>,
}

impl Blocks {
    fn open(path: &Path) -> io::Result<Self> {
        // Opening a pipe would wait for whoever writes into it.
        if !path.metadata()?.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a regular file",
            ));
        }
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(Self {
            file,
            length,
            known: HashMap::new(),
        })
    }

    /// The block that holds a position, from its own start; short at the end of the file.
    fn block(&mut self, number: u64) -> io::Result<&[u8]> {
        if !self.known.contains_key(&number) {
            let start = number.saturating_mul(BLOCK);
            let length = self.length.saturating_sub(start).min(BLOCK);
            let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
            self.file.read_exact_at(&mut bytes, start)?;
            self.known.insert(number, bytes);
        }
        Ok(self.known.get(&number).map_or(&[], Vec::as_slice))
    }

    /// The bytes from a position to the end of its block.
    fn from(&mut self, position: u64) -> io::Result<&[u8]> {
        let within = usize::try_from(position % BLOCK).unwrap_or(0);
        let block = self.block(position / BLOCK)?;
        Ok(block.get(within..).unwrap_or(&[]))
    }

    /// The first document, up to the line that ends it; cut where it is longer than any header.
    fn up_to_document_end(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while bytes.len() < LONGEST_HEADER && (bytes.len() as u64) < self.length {
            let more = self.from(bytes.len() as u64)?.to_vec();
            bytes.extend_from_slice(&more);
            // A separator in the very first line begins the first document.
            let body = bytes.get(1..).unwrap_or(&[]);
            if let Some(end) = memchr::memmem::find(body, b"\n---") {
                bytes.truncate(end + 2);
                break;
            }
        }
        bytes.truncate(LONGEST_HEADER);
        Ok(bytes)
    }

    /// The address of a symbol, by halving what follows `low`; `None` where it is not found that way.
    fn symbol(&mut self, low: u64, wanted: &str) -> io::Result<Option<u64>> {
        let (mut low, mut high) = (low, self.length);
        while low < high {
            let middle = low + (high - low) / 2;
            let start = match self.line_start(middle, low)? {
                Some(start) if start < high => start,
                _ => {
                    high = middle;
                    continue;
                }
            };
            let Some(line) = self.line(start)? else {
                return Ok(None);
            };
            match place(&line, wanted) {
                (Ordering::Equal, address) => return Ok(address),
                (Ordering::Greater, _) => high = middle,
                (Ordering::Less, _) => low = start + line.len() as u64 + 1,
            }
        }
        Ok(None)
    }

    /// Where the first line that starts at or after `position` does; `low` is the start of a line.
    fn line_start(&mut self, position: u64, low: u64) -> io::Result<Option<u64>> {
        if position == low {
            return Ok(Some(low));
        }
        let before = position - 1;
        let length = self.length_to_newline(before)?;
        Ok(length.map(|length| before + length + 1))
    }

    /// Bytes from a position to the next newline, or `None` where there is none within a line's longest length.
    fn length_to_newline(&mut self, position: u64) -> io::Result<Option<u64>> {
        let mut length: u64 = 0;
        while length < LONGEST_LINE as u64 && position + length < self.length {
            let rest = self.from(position + length)?;
            if let Some(newline) = memchr::memchr(b'\n', rest) {
                return Ok(Some(length + newline as u64));
            }
            length += rest.len() as u64;
        }
        Ok(None)
    }

    /// The line that starts at a position, without its newline; `None` where it is too long for a profile's.
    fn line(&mut self, start: u64) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        while line.len() < LONGEST_LINE && start + (line.len() as u64) < self.length {
            let rest = self.from(start + line.len() as u64)?;
            if let Some(newline) = memchr::memchr(b'\n', rest) {
                line.extend_from_slice(rest.get(..newline).unwrap_or(rest));
                return Ok(Some(line));
            }
            line.extend_from_slice(rest);
        }
        Ok((line.len() < LONGEST_LINE).then_some(line))
    }
}

/// Where a line is, seen from the line of the symbol that is wanted, and the symbol's address if it is that line. All that is no
/// symbol comes before the symbols.
fn place(line: &[u8], wanted: &str) -> (Ordering, Option<u64>) {
    let text = std::str::from_utf8(line).ok();
    let entry = text.and_then(|text| text.strip_prefix("  "));
    let entry = entry.filter(|entry| !entry.starts_with([' ', '#']));
    let symbol = entry.and_then(|entry| {
        let (name, value) = lines::split(entry)?;
        let fields = Fields::of(value, 0).ok()?;
        Some((name, fields.address))
    });
    match symbol {
        Some((name, address)) => match name.as_ref().cmp(wanted) {
            Ordering::Equal => (Ordering::Equal, Some(address)),
            other => (other, None),
        },
        None => (Ordering::Less, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = include_str!("../../tests/fixtures/profile/small.yaml");

    fn preview(text: &[u8]) -> Result<Option<Preview>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let preview = Preview::read(file.path());
        preview.map_err(|error| {
            let path = file.path().display().to_string();
            error.to_string().replace(&path, "k.yaml")
        })
    }

    /// A profile with many types and symbols, the banner among them.
    fn large(symbols: usize) -> String {
        let (header, _) = SMALL.split_once("---\n").unwrap();
        let mut text = format!("{header}---\ntypedefs:\n  pid_t: int\n");
        for number in 0..2000 {
            text.push_str(&format!(
                "---\nstruct t{number}:\n  size: 0x8\n  members:\n    a: 0x0 long int\n"
            ));
        }
        text.push_str("---\nsymbols:\n");
        let mut names: Vec<String> = (0..symbols).map(|n| format!("s{n:06}")).collect();
        names.extend((0..symbols).map(|n| format!("a{n:06}")));
        names.push("linux_banner".to_owned());
        names.sort();
        for (number, name) in names.iter().enumerate() {
            let address = if name == "linux_banner" {
                0xffff_ffff_8212_3450
            } else {
                0xffff_ffff_8100_0000 + number as u64
            };
            text.push_str(&format!("  {name}: {address:#x} text 1\n"));
        }
        text
    }

    #[test]
    fn header_and_banner_are_found() {
        let preview = preview(large(5000).as_bytes()).unwrap().unwrap();
        assert_eq!(preview.header.release, "6.1.0-made-by-hand");
        assert_eq!(preview.text, Some(0xffff_ffff_8100_0000));
        assert_eq!(preview.banner, Some(0xffff_ffff_8212_3450));
        assert!(preview.banner_text().ends_with("#1"));
    }

    #[test]
    fn few_blocks_of_the_file_are_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = large(50_000);
        std::fs::write(file.path(), &text).unwrap();
        let mut blocks = Blocks::open(file.path()).unwrap();
        let header = blocks.up_to_document_end().unwrap();
        let found = blocks.symbol(header.len() as u64, "linux_banner").unwrap();
        assert_eq!(found, Some(0xffff_ffff_8212_3450));
        let read = blocks.known.len();
        assert!(read <= 32, "{read} blocks of {}", text.len() as u64 / BLOCK);
        assert_eq!(blocks.symbol(0, "linux_bannes").unwrap(), None);
        for name in ["a000000", "s049999"] {
            assert!(blocks.symbol(0, name).unwrap().is_some(), "{name}");
        }
    }

    #[test]
    fn a_profile_without_a_banner_has_none() {
        let found = preview(SMALL.as_bytes()).unwrap().unwrap();
        assert_eq!(found.banner, None);
        let text = large(10).replace(
            "---\nsymbols:\n",
            "---\nsymbols:\n  # a comment, which is not where halving expects one\n",
        );
        let found = preview(text.as_bytes()).unwrap().unwrap();
        assert_eq!(found.banner, Some(0xffff_ffff_8212_3450));
    }

    #[test]
    fn what_is_no_profile_is_told_apart() {
        assert_eq!(preview(b"format: nettlp-walks/1\nwalks: {}\n"), Ok(None));
        assert!(
            preview(b"")
                .unwrap_err()
                .contains("is not a layout profile")
        );
        assert!(
            preview(b"\xff\xfe")
                .unwrap_err()
                .contains("is not a profile")
        );
        let broken = SMALL.replacen("arch: x86_64", "arch: vax", 1);
        assert!(
            preview(broken.as_bytes())
                .unwrap_err()
                .starts_with("k.yaml:3:7: arch: unknown variant `vax`")
        );
        assert!(Preview::read(Path::new("/nowhere/k.yaml")).is_err());
        assert!(Preview::read(Path::new("/dev/null")).is_err());
    }

    #[test]
    fn no_truncation_panics() {
        let text = large(20);
        let end = text.len();
        for length in (0..600).step_by(7).chain((end - 600..end).step_by(31)) {
            let _ = preview(&text.as_bytes()[..length]);
        }
    }
}
