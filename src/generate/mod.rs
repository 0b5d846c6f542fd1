//! vmlinux → layout profile.
//!
//! What it promises: every named type with all its members, every symbol, and the same bytes for the same input; an error that says
//! where and what to do for any other file, and memory in proportion to the sections that are read. What it refuses to know: what the
//! types are for.

mod catalogue;
mod definition;
mod dwarf;
mod elf;
mod error;
mod facts;
mod progress;
mod symbols;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_bombs;
#[cfg(test)]
mod tests_hostile;
#[cfg(test)]
mod tests_wrapped;
mod unpack;
mod write;

use std::path::Path;
use std::sync::Arc;

pub use elf::SectionProblem;
pub use error::{DwarfProblem, ForeignKind, GenerateError};
pub use progress::Progress;
pub use unpack::{Packing, UnpackError, unpack};
pub use write::ProfileText;

use catalogue::Catalogue;
use elf::Vmlinux;

/// What a profile is to hold.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// If not empty: only these types (`task_struct`, or `struct task_struct` where the bare name means several), and what they have
    /// inside them.
    pub types: Vec<String>,
    /// If not empty: only these symbols.
    pub symbols: Vec<String>,
    /// Told how far it is.
    pub progress: Arc<Progress>,
}

/// Makes the profile of a vmlinux with DWARF debug information.
pub fn from_vmlinux(
    path: impl AsRef<Path>,
    options: &Options,
) -> Result<ProfileText, GenerateError> {
    let vmlinux = Vmlinux::open_with(path.as_ref(), &options.progress)?;
    let table = vmlinux.symbol_table()?;
    let identity = facts::Identity::find(&vmlinux, &table)?;
    options.progress.begin("reading", 0);
    let sections = dwarf::Sections::read(&vmlinux)?;
    let declared = symbols::declared_elsewhere(&table);
    let collected = dwarf::collect(&sections, &declared, &options.progress)?;
    options.progress.begin("writing", 0);
    let mut catalogue = Catalogue::new(collected.types);
    let header = facts::header(&vmlinux, &table, &identity, &catalogue);
    let mut symbols = symbols::symbols(&vmlinux, &table, &collected.variables);
    if !options.types.is_empty() {
        catalogue.keep_only(&options.types)?;
    }
    if !options.symbols.is_empty() {
        symbols::keep_only(&mut symbols, &options.symbols)?;
    }
    Ok(ProfileText::new(&header, &catalogue, &symbols))
}
