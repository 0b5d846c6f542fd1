//! BTF, symbols and identity, wherever they come from → a profile.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use crate::profile::{
    Architecture, ByteOrder, Constants, FORMAT, Header, Kind, Origin, PercpuBase,
};

use super::btf::{self, Table};
use super::catalogue::Catalogue;
use super::dwarf::Variable;
use super::elf::Vmlinux;
use super::error::GenerateError;
use super::facts::{self, Identity, PERCPU_SECTION};
use super::image::{Image, Symbols};
use super::listed::{self, SymbolList};
use super::symbols::{self, SymbolLine};
use super::vmlinuz;
use super::write::ProfileText;
use super::{Options, Packing, unpack};

/// Longest file that is read whole.
const MAX_FILE: u64 = 2 << 30;

/// What a profile says in its header, apart from what types tell.
struct Facts {
    architecture: Architecture,
    banner: String,
    build_id: Option<String>,
    text: Option<u64>,
    text_physical: Option<u64>,
    percpu: Option<PercpuBase>,
}

impl Facts {
    fn header(self, find: impl Fn(&str) -> Option<u64>, catalogue: &Catalogue<'_>) -> Header {
        Header {
            format: FORMAT.to_owned(),
            kind: Kind::Layout,
            arch: self.architecture,
            release: self.banner.split(' ').nth(2).unwrap_or("").to_owned(),
            version: self.banner,
            build_id: self.build_id,
            pointer_size: 8,
            byte_order: ByteOrder::Little,
            made_by: concat!("nettlp-profile ", env!("CARGO_PKG_VERSION")).to_owned(),
            made_from: Origin::Btf,
            constants: Constants {
                text_link_address: self.text,
                text_physical_address: self.text_physical,
                thread_size: facts::thread_size(find, catalogue),
                percpu: self.percpu,
            },
        }
    }
}

/// The profile of a vmlinux by its BTF: from its section, with the symbol table if it has one, else with the symbols in its image.
pub(super) fn from_elf(path: &Path, options: &Options) -> Result<ProfileText, GenerateError> {
    let vmlinux = Vmlinux::open_with(path, &options.progress)?;
    let bytes = vmlinux.section_bytes(".BTF")?;
    let bytes = bytes.ok_or_else(|| GenerateError::NoBtf {
        path: path.to_owned(),
    })?;
    let (table, collected) = rayon::join(
        || vmlinux.symbol_table(),
        || Table::parse(&bytes, None).and_then(|records| btf::collect(&records)),
    );
    let table = match table {
        Ok(table) if options.system_map.is_none() => table,
        Ok(_) | Err(GenerateError::NoSymbols { .. }) => {
            return from_image_bytes(path, &read_whole(path)?, options);
        }
        Err(error) => return Err(error),
    };
    let collected = collected?;
    // BTF tells where per-CPU variables are, and of others only the names.
    let percpu = vmlinux.section(PERCPU_SECTION);
    let percpu = percpu.map_or(0, |section| section.header.sh_addr);
    let typed = collected.variables.iter().map(|variable| Variable {
        name: variable.name,
        address: variable.percpu.map(|place| percpu.wrapping_add(place)),
        ty: variable.ty.clone(),
        place: (0, 0),
    });
    let variables: Vec<Variable<'_>> = typed.collect();
    let identity = Identity::find(&vmlinux, &table)?;
    let (catalogue, lines) = rayon::join(
        || Catalogue::new(collected.types),
        || symbols::symbols(&vmlinux, &table, &variables),
    );
    let mut header = facts::header(&vmlinux, &table, &identity, &catalogue);
    header.made_from = Origin::Btf;
    finish(&header, catalogue, lines, options)
}

/// The profile of a kernel that boots, or of any compressed kernel.
pub(super) fn from_packed(path: &Path, options: &Options) -> Result<ProfileText, GenerateError> {
    let bytes = read_whole(path)?;
    let kernel = match Packing::of(&bytes) {
        Some(_) => unpack(&bytes, vmlinuz::MAX_KERNEL).map_err(|source| GenerateError::Packed {
            path: path.to_owned(),
            source,
        })?,
        None => vmlinuz::kernel(&bytes).map_err(|source| GenerateError::Vmlinuz {
            path: path.to_owned(),
            source,
        })?,
    };
    drop(bytes);
    if vmlinuz::is_vmlinuz(&kernel) {
        let inner = vmlinuz::kernel(&kernel).map_err(|source| GenerateError::Vmlinuz {
            path: path.to_owned(),
            source,
        })?;
        return from_image_bytes(path, &inner, options);
    }
    from_image_bytes(path, &kernel, options)
}

fn from_image_bytes(
    path: &Path,
    bytes: &[u8],
    options: &Options,
) -> Result<ProfileText, GenerateError> {
    let image = match bytes.starts_with(b"\x7fELF") {
        true => Image::of_elf(path, bytes)?,
        false => Image::of_memory(path, Architecture::Aarch64, bytes),
    };
    let symbols = match &options.system_map {
        Some(map) => image.symbols_of(owned_list(map)?)?,
        None => image.symbols()?,
    };
    from_image(&image, symbols, options)
}

/// The profile of an image.
pub(super) fn from_image(
    image: &Image<'_>,
    symbols: Symbols,
    options: &Options,
) -> Result<ProfileText, GenerateError> {
    let bytes = image.btf()?;
    let text = symbols.list.find("_text");
    let facts = Facts {
        architecture: image.architecture,
        banner: symbols.banner,
        build_id: symbols.build_id,
        text,
        text_physical: text.and_then(|text| {
            let told = image.physical_address(text);
            told.or_else(|| listed::linked_physical(image.architecture, text))
        }),
        percpu: symbols.list.percpu_base(),
    };
    from_parts(bytes, None, facts, &symbols.list, options)
}

/// The profile of raw BTF, such as `/sys/kernel/btf/vmlinux`; of a module's with the kernel's as base.
pub(super) fn from_raw(path: &Path, options: &Options) -> Result<ProfileText, GenerateError> {
    let bytes = read_whole(path)?;
    let base = options.btf_base.as_deref().map(read_whole).transpose()?;
    let no_symbols = || GenerateError::NoSymbolList {
        path: path.to_owned(),
    };
    let map = options.system_map.as_deref().ok_or_else(no_symbols)?;
    let mut list = owned_list(map)?;
    let no_text = || GenerateError::FunctionsOnly {
        path: map.to_owned(),
        symbol: "_text",
        count: list.len(),
    };
    let text = list.find("_text").ok_or_else(no_text)?;
    let architecture = listed::architecture_of(text);
    let linked = list.linked_text(architecture).ok_or_else(no_text)?;
    list.move_by(linked.wrapping_sub(text));
    let facts = Facts {
        architecture,
        banner: banner(path, options)?,
        build_id: None,
        text: Some(linked),
        text_physical: listed::linked_physical(architecture, linked),
        percpu: list.percpu_base(),
    };
    from_parts(&bytes, base.as_deref(), facts, &list, options)
}

/// The kernel's banner: from the file that is named, or that of this machine if it is this machine's BTF.
fn banner(path: &Path, options: &Options) -> Result<String, GenerateError> {
    let here = Path::new("/proc/version");
    let file = match &options.banner {
        Some(file) => file.as_path(),
        None if path.starts_with("/sys/kernel/btf") => here,
        None => {
            return Err(GenerateError::NoBanner {
                path: path.to_owned(),
            });
        }
    };
    let text = read_whole(file)?;
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().find(|line| line.starts_with("Linux version "));
    line.map(|line| format!("{line}\n"))
        .ok_or_else(|| GenerateError::NoBanner {
            path: file.to_owned(),
        })
}

fn from_parts(
    bytes: &[u8],
    base: Option<&[u8]>,
    facts: Facts,
    list: &SymbolList<'_>,
    options: &Options,
) -> Result<ProfileText, GenerateError> {
    let base = base.map(|base| Table::parse(base, None)).transpose()?;
    let table = Table::parse(bytes, base.as_ref())?;
    let collected = btf::collect(&table)?;
    let catalogue = Catalogue::new(collected.types);
    let header = facts.header(|name| list.find(name), &catalogue);
    let lines = list.lines(&collected.variables);
    finish(&header, catalogue, lines, options)
}

/// Keeps what is asked for and writes it.
pub(super) fn finish(
    header: &Header,
    mut catalogue: Catalogue<'_>,
    mut lines: Vec<SymbolLine<'_>>,
    options: &Options,
) -> Result<ProfileText, GenerateError> {
    if !options.types.is_empty() {
        catalogue.keep_only(&options.types)?;
    }
    if !options.symbols.is_empty() {
        symbols::keep_only(&mut lines, &options.symbols)?;
    }
    Ok(ProfileText::new(header, &catalogue, &lines))
}

fn owned_list(path: &Path) -> Result<SymbolList<'static>, GenerateError> {
    let text = read_whole(path)?;
    SymbolList::parse(path, &text).map(SymbolList::into_owned)
}

/// Reads a file of reasonable length; those of /proc and /sys do not say theirs.
pub(super) fn read_whole(path: &Path) -> Result<Vec<u8>, GenerateError> {
    let unreadable = |source| GenerateError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let length = fs::metadata(path).map_or(0, |metadata| metadata.len());
    let mut bytes = Vec::with_capacity(usize::try_from(length.min(MAX_FILE)).unwrap_or(0));
    let taken = file.take(MAX_FILE + 1).read_to_end(&mut bytes);
    taken.map_err(unreadable)?;
    match bytes.len() as u64 > MAX_FILE {
        true => Err(unreadable(std::io::ErrorKind::FileTooLarge.into())),
        false => Ok(bytes),
    }
}
