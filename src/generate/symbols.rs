//! The symbol table and the variables that DWARF tells the types of → the symbols of a profile.

use std::collections::{HashMap, HashSet};

use goblin::elf::section_header::{SHN_ABS, SHN_UNDEF, SHT_NOBITS};
use goblin::elf::sym::{
    STB_GLOBAL, STB_LOCAL, STT_FILE, STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE, STT_OBJECT, STT_SECTION,
    Sym,
};

use crate::profile::SymbolKind;
use crate::report::nearest;

use super::definition::Spelling;
use super::dwarf::Variable;
use super::elf::{Section, SymbolTable, Vmlinux};
use super::error::GenerateError;
use super::facts::PERCPU_SECTION;

/// A symbol with its final name.
#[derive(Debug)]
pub(super) struct SymbolLine<'a> {
    pub(super) name: String,
    pub(super) address: u64,
    /// Bytes; 0 where the table does not say.
    pub(super) size: u64,
    pub(super) kind: SymbolKind,
    pub(super) ty: Option<&'a Spelling<'a>>,
}

/// The names of symbols that linker scripts define: only a declaration can tell their type.
pub(super) fn declared_elsewhere(table: &SymbolTable) -> HashSet<&[u8]> {
    let is_script = |symbol: &&Sym| {
        let is_defined = symbol.st_shndx != SHN_UNDEF as usize;
        symbol.st_bind() == STB_GLOBAL && is_untyped(symbol) && is_defined
    };
    table
        .symbols
        .iter()
        .filter(is_script)
        .map(|symbol| table.name(symbol))
        .collect()
}

/// Whether the table says nothing of what is at a symbol.
fn is_untyped(symbol: &Sym) -> bool {
    match symbol.st_type() {
        STT_NOTYPE => true,
        STT_OBJECT => symbol.st_size == 0,
        _ => false,
    }
}

/// How the compiler names places that are none of the source's: string literals, jump tables.
const COMPILER_LABEL: &[u8] = b".L";

/// All symbols but the compiler's own labels, by name. Those of one name are numbered: global before local, then by address.
pub(super) fn symbols<'a>(
    vmlinux: &Vmlinux,
    table: &SymbolTable,
    variables: &'a [Variable<'a>],
) -> Vec<SymbolLine<'a>> {
    let types = VariableTypes::new(variables);
    let is_wanted = |symbol: &&Sym| {
        symbol.st_shndx != SHN_UNDEF as usize && !matches!(symbol.st_type(), STT_SECTION | STT_FILE)
    };
    let mut found: Vec<(&[u8], &Sym)> = Vec::with_capacity(table.symbols.len());
    found.extend(
        table
            .symbols
            .iter()
            .filter(is_wanted)
            .map(|symbol| (table.name(symbol), symbol)),
    );
    found.retain(|(name, _)| !name.is_empty() && !name.starts_with(COMPILER_LABEL));
    found.sort_unstable_by_key(|(name, symbol)| {
        (
            *name,
            symbol.st_bind() == STB_LOCAL,
            symbol.st_value,
            symbol.st_size,
            symbol.st_shndx,
        )
    });
    found.dedup_by_key(|(name, symbol)| (*name, symbol.st_value, symbol.st_size));
    let mut lines = Vec::with_capacity(found.len());
    let mut number = 0;
    let mut previous: &[u8] = &[];
    for (name, symbol) in found {
        number = if name == previous { number + 1 } else { 1 };
        previous = name;
        let text = String::from_utf8_lossy(name);
        let kind = kind(vmlinux, symbol);
        lines.push(SymbolLine {
            name: if number == 1 {
                text.into_owned()
            } else {
                format!("{text}#{number}")
            },
            address: symbol.st_value,
            size: symbol.st_size,
            kind,
            ty: types.of(name, symbol, kind),
        });
    }
    lines.sort_by(|a, b| a.name.cmp(&b.name));
    // Names that differ only in bytes that are not UTF-8 look the same now.
    lines.dedup_by(|a, b| a.name == b.name);
    lines
}

/// Keeps only the symbols that are asked for, with all numbers of their names.
pub(super) fn keep_only(
    lines: &mut Vec<SymbolLine<'_>>,
    names: &[String],
) -> Result<(), GenerateError> {
    for name in names {
        if lines
            .binary_search_by(|line| line.name.as_str().cmp(name))
            .is_err()
        {
            let known = lines.iter().map(|line| line.name.as_str());
            return Err(GenerateError::UnknownSymbol {
                name: name.clone(),
                nearest: nearest(name, known).map(str::to_owned),
            });
        }
    }
    let wanted: HashSet<&str> = names.iter().map(String::as_str).collect();
    lines.retain(|line| {
        let bare = line
            .name
            .split_once('#')
            .map_or(line.name.as_str(), |(bare, _)| bare);
        wanted.contains(line.name.as_str()) || wanted.contains(bare)
    });
    Ok(())
}

fn kind(vmlinux: &Vmlinux, symbol: &Sym) -> SymbolKind {
    if symbol.st_shndx == SHN_ABS as usize {
        return SymbolKind::Absolute;
    }
    let Some(section) = vmlinux.section_of(symbol) else {
        return SymbolKind::Other;
    };
    let header = &section.header;
    let is_function = matches!(symbol.st_type(), STT_FUNC | STT_GNU_IFUNC);
    if section.name == PERCPU_SECTION {
        SymbolKind::PerCpu
    } else if !header.is_alloc() {
        SymbolKind::Other
    } else if is_function || header.is_executable() && !holds_data(section, symbol) {
        SymbolKind::Text
    } else if header.sh_type == SHT_NOBITS {
        SymbolKind::Bss
    } else if header.is_writable() && !section.name.starts_with(".rodata") {
        SymbolKind::Data
    } else {
        SymbolKind::ReadOnly
    }
}

/// Whether what is at a symbol of an executable section is data all the same: `.data` is executable too in kernels that keep trampolines in it.
fn holds_data(section: &Section, symbol: &Sym) -> bool {
    symbol.st_type() == STT_OBJECT || section.header.is_writable()
}

/// Variables by what symbols are matched with.
struct VariableTypes<'a> {
    by_address: HashMap<u64, Vec<&'a Variable<'a>>>,
    declared: HashMap<&'a [u8], &'a Variable<'a>>,
}

impl<'a> VariableTypes<'a> {
    fn new(variables: &'a [Variable<'a>]) -> Self {
        let mut sorted: Vec<&Variable<'_>> = variables.iter().collect();
        sorted.sort_unstable_by_key(|variable| variable.place);
        let mut types = Self {
            by_address: HashMap::with_capacity(sorted.len()),
            declared: HashMap::new(),
        };
        for variable in sorted {
            match variable.address {
                Some(address) => types.by_address.entry(address).or_default().push(variable),
                None => {
                    types.declared.entry(variable.name).or_insert(variable);
                }
            }
        }
        types
    }

    /// The type of a symbol: of the variable of its name at its address; of any variable there if it is an object (an alias); of the
    /// declaration of its name if it is neither.
    fn of(&self, name: &[u8], symbol: &Sym, kind: SymbolKind) -> Option<&'a Spelling<'a>> {
        let is_data = !matches!(
            kind,
            SymbolKind::Absolute | SymbolKind::Text | SymbolKind::Other
        );
        let here = match self.by_address.get(&symbol.st_value) {
            Some(here) if is_data => here.as_slice(),
            _ => &[],
        };
        // A static variable of a function is `name.123` in the symbol table.
        let source_name = name.split(|byte| *byte == b'.').next().unwrap_or(name);
        let named = here
            .iter()
            .find(|variable| variable.name == name || variable.name == source_name);
        let alias = here
            .first()
            .filter(|_| symbol.st_type() == STT_OBJECT && symbol.st_size > 0);
        let declared = self.declared.get(name).filter(|_| is_untyped(symbol));
        named.or(alias).or(declared).map(|variable| &variable.ty)
    }
}
