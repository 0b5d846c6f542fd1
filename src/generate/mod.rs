//! vmlinux, vmlinuz, BTF, or the image in a target's memory → layout profile.
//!
//! What it promises: every named type with all its members, every symbol, and the same bytes for the same input; an error that says
//! where and what to do for any other file, and memory in proportion to the sections that are read. What it refuses to know: what the
//! types are for.

mod btf;
mod catalogue;
mod configuration;
mod definition;
mod dwarf;
mod elf;
mod error;
mod facts;
mod from_btf;
mod image;
mod kallsyms;
mod kernel_file;
mod listed;
mod live;
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
mod vmlinuz;
mod write;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use configuration::{ConfigurationProblem, configuration};
pub use elf::SectionProblem;
pub use error::{BtfProblem, DwarfProblem, ForeignKind, GenerateError};
pub use kallsyms::{KallsymsProblem, OwnSymbol, own_symbols};
pub use kernel_file::{KernelFile, Linked};
pub use live::{LiveImage, LiveProfile};
pub use progress::Progress;
pub use unpack::{Packing, UnpackError, unpack};
pub use vmlinuz::VmlinuzProblem;
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
    /// Which description of types is taken.
    pub source: Source,
    /// Symbols from a System.map or the text of /proc/kallsyms instead of those in the file.
    pub system_map: Option<PathBuf>,
    /// What split BTF, that of a module, builds on.
    pub btf_base: Option<PathBuf>,
    /// A file with the text of the kernel's /proc/version, for BTF that comes without the kernel.
    pub banner: Option<PathBuf>,
}

/// Which description of types is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// DWARF where there is any, else BTF.
    #[default]
    Auto,
    /// DWARF.
    Dwarf,
    /// BTF.
    Btf,
}

/// Makes the profile of any file that holds a kernel or its types: what it is, is told by its first bytes.
pub fn from_file(path: impl AsRef<Path>, options: &Options) -> Result<ProfileText, GenerateError> {
    let path = path.as_ref();
    if options.source == Source::Dwarf {
        return from_vmlinux(path, options);
    }
    let mut start = Vec::new();
    let unreadable = |source| GenerateError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    file.take(1024)
        .read_to_end(&mut start)
        .map_err(unreadable)?;
    if start.starts_with(b"\x9f\xeb") || start.starts_with(b"\xeb\x9f") {
        return from_btf::from_raw(path, options);
    }
    if vmlinuz::is_vmlinuz(&start) {
        return from_btf::from_packed(path, options);
    }
    let is_elf = start.starts_with(b"\x7fELF");
    if options.source == Source::Auto {
        let found = from_vmlinux(path, options);
        match found {
            Err(GenerateError::NoDwarf { .. } | GenerateError::NoSymbols { .. }) => {}
            Err(GenerateError::NotElf {
                kind: ForeignKind::Compressed,
                ..
            }) => {}
            found => return found,
        }
    }
    match is_elf {
        true => from_btf::from_elf(path, options),
        false => from_btf::from_packed(path, options),
    }
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
