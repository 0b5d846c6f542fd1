//! The file that a kernel was booted from and the kernel's code in memory → where they differ, and what explains it.
//!
//! A kernel changes its own code: KASLR relocates it, alternatives and static keys patch it, tracers are switched on. Tables in the file say
//! where; the walk library says which tables there are and what may stand at their places. What is promised: a byte that differs is
//! explained by a relocation of exactly the kernel's slide, or lies at a place of a table and is what may stand there, or is handed over
//! as changed. What it refuses to know: which kernel it is, and how the bytes were read.

mod compare;
mod instruction;
mod relocation;
mod same;
mod sites;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_processors;

use std::cell::OnceCell;
use std::ops::Range;
use std::rc::Rc;

use crate::generate::{GenerateError, KernelFile, Linked};
use crate::profile::{Architecture, Holds};

pub use compare::{Difference, Outcome, TableUse};
use sites::{Places, sites};

/// Most bytes of code that are compared: more than any kernel has.
const MOST_TEXT: u64 = 256 << 20;

/// Why code cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// The code of other processors is patched in other ways.
    #[error("code is compared on x86_64, and {file} is for {}", architecture.name())]
    OtherArchitecture {
        /// The file.
        file: String,
        /// Its processor.
        architecture: Architecture,
    },
    /// The file has no code: it was made for debuggers.
    #[error("{file} has no bytes of `{section}`; it was made for debuggers: name the vmlinuz")]
    NoText {
        /// The file.
        file: String,
        /// The section that was looked for.
        section: String,
    },
    /// A table is not where its symbols say.
    #[error("{file} has no bytes at {start:#x}, where `{table}` should be")]
    NoTable {
        /// The file.
        file: String,
        /// Which table.
        table: String,
        /// Its first address.
        start: u64,
    },
    /// The file cannot be read.
    #[error("{message}")]
    File {
        /// What went wrong, with the file's name.
        message: String,
    },
}

impl TextError {
    fn of_file(error: &GenerateError) -> Self {
        let mut message = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        Self::File { message }
    }
}

/// A number in a table's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Bytes from the entry's start.
    pub offset: u64,
    /// Bytes of it, 1 to 8.
    pub size: u64,
}

/// How long the places of a table are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceLength {
    /// So many bytes.
    Bytes(u64),
    /// As the entry says.
    Field(Field),
    /// As long as the instruction that stands there in the file.
    Instruction,
}

/// A table of places that the kernel changes, with everything that can be known before reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// What its places are called.
    pub name: Rc<str>,
    /// Link addresses of the table.
    pub ranges: Vec<Range<u64>>,
    /// Bytes of an entry.
    pub entry: u64,
    /// Where the entry says where the place is.
    pub at: Field,
    /// Link addresses of places that no table lists.
    pub places: Vec<u64>,
    /// How long a place is.
    pub length: PlaceLength,
    /// Where the entry says where a jump leads.
    pub target: Option<Field>,
    /// Where the entry says where other instructions for the place are in the file, and how many bytes.
    pub replacement: Option<(Field, Field)>,
    /// Whether places end where symbols and entries say, instead of beginning there.
    pub before: bool,
    /// Link addresses of what may be copied there.
    pub copies: Option<Range<u64>>,
    /// What may stand there.
    pub holds: Vec<Holds>,
    /// The same, byte for byte.
    pub literals: Vec<Vec<u8>>,
}

/// A kernel's code as its file has it, ready to be compared.
#[derive(Debug)]
pub struct Comparison {
    file: Rc<KernelFile>,
    text: Range<u64>,
    linked: Linked,
    tables: Vec<Table>,
    loaded: OnceCell<Loaded>,
}

/// What is read of the file when code is first compared.
#[derive(Debug)]
struct Loaded {
    /// The code.
    text: Vec<u8>,
    /// Places in it that the kernel changes.
    places: Places,
}

impl Comparison {
    /// Bytes of a number that is relocated.
    pub const RELOCATION_WIDTH: u64 = relocation::WIDTH as u64;

    /// The comparison of a file's code, which is in `section`. Nothing of it is read yet.
    pub fn new(file: Rc<KernelFile>, section: &str, tables: Vec<Table>) -> Result<Self, TextError> {
        let name = file.path().display().to_string();
        if file.architecture() != Architecture::X86_64 {
            return Err(TextError::OtherArchitecture {
                file: name,
                architecture: file.architecture(),
            });
        }
        let text = file.section(section).filter(|text| {
            let length = text.end - text.start;
            length > 0 && length <= MOST_TEXT
        });
        match (text, file.linked()) {
            (Some(text), Some(linked)) => Ok(Self {
                file,
                text,
                linked,
                tables,
                loaded: OnceCell::new(),
            }),
            _ => Err(TextError::NoText {
                file: name,
                section: section.to_owned(),
            }),
        }
    }

    /// The link addresses of the code.
    pub fn text(&self) -> Range<u64> {
        self.text.clone()
    }

    /// The build ID of the file, lower-case hexadecimal, where it has one.
    pub fn build_id(&self) -> Option<&str> {
        self.file.build_id()
    }

    /// The name of a table by its number in [`Difference::table`].
    pub fn table(&self, number: usize) -> Option<&Rc<str>> {
        self.tables.get(number).map(|table| &table.name)
    }

    /// The code as the file has it.
    pub fn expected(&self) -> Result<&[u8], TextError> {
        Ok(&self.loaded()?.text)
    }

    /// Compares what was found in memory, from the first byte of the code on, where the kernel runs `slide` bytes above its link
    /// addresses. What could not be read counts as found if it is as expected.
    pub fn compare(&self, found: &[u8], slide: u64) -> Result<Outcome, TextError> {
        let loaded = self.loaded()?;
        Ok(compare::compare(
            &compare::Code {
                text: &self.text,
                linked: &self.linked,
                tables: &self.tables,
                expected: &loaded.text,
                sites: &loaded.places.sites,
                replacements: &loaded.places.replacements,
                branches: &loaded.places.branches,
            },
            found,
            slide,
        ))
    }

    fn loaded(&self) -> Result<&Loaded, TextError> {
        if let Some(loaded) = self.loaded.get() {
            return Ok(loaded);
        }
        let length = self.text.end - self.text.start;
        let bytes = self.file.bytes(self.text.start, length);
        let text = bytes
            .map_err(|error| TextError::of_file(&error))?
            .unwrap_or_default();
        let places = sites(&self.file, self.text.start, &text, &self.tables)?;
        Ok(self.loaded.get_or_init(|| Loaded { text, places }))
    }
}
