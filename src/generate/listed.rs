//! Symbols as lists have them (System.map, /proc/kallsyms, the image's own table): a letter, an address, a name → the symbols of a
//! profile.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use rustc_hash::FxHashMap;

use crate::profile::{Architecture, PercpuBase, SymbolKind};

use super::btf::Variable;
use super::definition::Spelling;
use super::error::GenerateError;
use super::symbols::SymbolLine;

/// Below this, a per-CPU symbol is an offset; no image is linked there.
const LOWEST_IMAGE_ADDRESS: u64 = 0x100_0000;
/// Where x86-64 maps its image (`__START_KERNEL_map`, arch/x86/include/asm/page_64_types.h).
const START_KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;
/// Bytes from there to `_text` unless `CONFIG_PHYSICAL_START` is changed.
const PHYSICAL_START: u64 = 0x100_0000;

/// The architecture of a kernel whose image is there.
pub(super) fn architecture_of(text: u64) -> Architecture {
    match text {
        START_KERNEL_MAP.. => Architecture::X86_64,
        _ => Architecture::Aarch64,
    }
}

/// The physical address that an image is linked for, where its link address tells.
pub(super) fn linked_physical(architecture: Architecture, text: u64) -> Option<u64> {
    match architecture {
        Architecture::X86_64 => text.checked_sub(START_KERNEL_MAP),
        Architecture::Aarch64 => None,
    }
}

/// A symbol of a list. The letter is that of nm(1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) letter: u8,
    pub(super) address: u64,
}

/// A list of symbols.
#[derive(Clone, Debug)]
pub(super) struct SymbolList<'a> {
    symbols: Vec<Listed<'a>>,
    by_name: HashMap<String, u64>,
}

/// Symbols that tell where parts of the image are.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    percpu: Option<(u64, u64)>,
    read_only: Option<(u64, u64)>,
    data: Option<(u64, u64)>,
}

impl<'a> SymbolList<'a> {
    pub(super) fn new(symbols: Vec<Listed<'a>>) -> Self {
        // The first of a name, and of those the global one, is meant by it.
        let mut by_name = HashMap::with_capacity(symbols.len());
        for wants_local in [false, true] {
            let matching = symbols
                .iter()
                .filter(|symbol| symbol.letter.is_ascii_lowercase() == wants_local);
            for symbol in matching {
                if !by_name.contains_key(&*symbol.name) {
                    by_name.insert(symbol.name.to_string(), symbol.address);
                }
            }
        }
        Self { symbols, by_name }
    }

    /// Reads System.map or /proc/kallsyms; symbols of modules are left out.
    pub(super) fn parse(path: &Path, text: &'a [u8]) -> Result<Self, GenerateError> {
        let mut symbols = Vec::with_capacity(text.len() / 40);
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let bad = || GenerateError::BadSymbolList {
                path: path.to_owned(),
                line: index + 1,
                text: String::from_utf8_lossy(line).chars().take(60).collect(),
            };
            if line.is_empty() {
                continue;
            }
            let line = std::str::from_utf8(line).map_err(|_| bad())?;
            let mut words = line.split_ascii_whitespace();
            let address = words.next().filter(|word| word.len() >= 8);
            let address = address.and_then(|word| u64::from_str_radix(word, 16).ok());
            let (Some(address), Some(&[letter]), Some(name)) =
                (address, words.next().map(str::as_bytes), words.next())
            else {
                return Err(bad());
            };
            // What follows is `[module]`.
            if words.next().is_none() {
                symbols.push(Listed {
                    name: name.into(),
                    letter,
                    address,
                });
            }
        }
        if symbols.iter().all(|symbol| symbol.address == 0) {
            return Err(GenerateError::HiddenAddresses {
                path: path.to_owned(),
            });
        }
        Ok(Self::new(symbols))
    }

    /// The same list, of its own.
    pub(super) fn into_owned(self) -> SymbolList<'static> {
        let symbols = self.symbols.into_iter().map(|symbol| Listed {
            name: symbol.name.into_owned().into(),
            ..symbol
        });
        SymbolList {
            symbols: symbols.collect(),
            by_name: self.by_name,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.symbols.len()
    }

    /// The address of a symbol.
    pub(super) fn find(&self, name: &str) -> Option<u64> {
        self.by_name.get(name).copied()
    }

    /// What per-CPU addresses mean.
    pub(super) fn percpu_base(&self) -> Option<PercpuBase> {
        match self.find("__per_cpu_start")? {
            address if address < LOWEST_IMAGE_ADDRESS => Some(PercpuBase::ZeroBased),
            _ => Some(PercpuBase::Image),
        }
    }

    /// Where `_text` was linked, however far KASLR has moved it since. `phys_startup_64` is not moved: it is an absolute symbol
    /// (arch/x86/kernel/vmlinux.lds.S).
    pub(super) fn linked_text(&self, architecture: Architecture) -> Option<u64> {
        let text = self.find("_text")?;
        if architecture != Architecture::X86_64 {
            return Some(text);
        }
        let entry = self.find("startup_64").zip(self.find("phys_startup_64"));
        let distance =
            entry.and_then(|(entry, physical)| physical.checked_sub(entry.checked_sub(text)?));
        Some(START_KERNEL_MAP + distance.unwrap_or(PHYSICAL_START))
    }

    /// Moves everything that is in the image.
    pub(super) fn move_by(&mut self, distance: u64) {
        let bounds = self.bounds();
        // Offsets into the per-CPU area, and the symbol of its end, are in no image.
        let is_fixed = |symbol: &Listed<'_>| {
            symbol.address < LOWEST_IMAGE_ADDRESS || kind(symbol, &bounds) == SymbolKind::Absolute
        };
        for symbol in &mut self.symbols {
            if !is_fixed(symbol) {
                symbol.address = symbol.address.wrapping_add(distance);
            }
        }
        *self = Self::new(std::mem::take(&mut self.symbols));
    }

    /// The symbols of a profile, by name; those of one name are numbered as [`super::symbols::symbols`] does.
    pub(super) fn lines<'t>(&self, variables: &'t [Variable<'t>]) -> Vec<SymbolLine<'t>> {
        let bounds = self.bounds();
        let types = VariableTypes::new(variables, self.find("__per_cpu_start").unwrap_or(0));
        let mut sorted: Vec<&Listed<'_>> = self
            .symbols
            .iter()
            .filter(|symbol| !symbol.name.is_empty() && !symbol.name.starts_with(".L"))
            .collect();
        let key = |symbol: &Listed<'_>| (symbol.letter.is_ascii_lowercase(), symbol.address);
        sorted.sort_unstable_by(|a, b| a.name.cmp(&b.name).then_with(|| key(a).cmp(&key(b))));
        sorted.dedup_by(|a, b| a.name == b.name && a.address == b.address);
        let mut lines: Vec<SymbolLine<'_>> = Vec::with_capacity(sorted.len());
        let mut number = 0;
        let mut previous = "";
        for symbol in sorted {
            number = if symbol.name == previous {
                number + 1
            } else {
                1
            };
            previous = &symbol.name;
            let kind = kind(symbol, &bounds);
            let is_data = !matches!(
                kind,
                SymbolKind::Absolute | SymbolKind::Text | SymbolKind::Other
            );
            lines.push(SymbolLine {
                name: if number == 1 {
                    symbol.name.to_string()
                } else {
                    format!("{}#{number}", symbol.name)
                },
                address: symbol.address,
                size: 0,
                kind,
                ty: types.of(symbol).filter(|_| is_data),
            });
        }
        lines.sort_by(|a, b| a.name.cmp(&b.name));
        lines.dedup_by(|a, b| a.name == b.name);
        lines
    }

    fn bounds(&self) -> Bounds {
        let between = |start, end| self.find(start).zip(self.find(end));
        Bounds {
            percpu: between("__per_cpu_start", "__per_cpu_end"),
            read_only: between("__start_rodata", "__end_rodata"),
            data: between("_sdata", "_edata"),
        }
    }
}

/// The types of variables, by what symbols are matched with.
struct VariableTypes<'t> {
    /// By name; `None` where several have it.
    by_name: FxHashMap<&'t [u8], Option<&'t Spelling<'t>>>,
    /// Per-CPU ones by address.
    by_address: FxHashMap<(&'t [u8], u64), &'t Spelling<'t>>,
}

impl<'t> VariableTypes<'t> {
    fn new(variables: &'t [Variable<'t>], percpu: u64) -> Self {
        let mut types = Self {
            by_name: FxHashMap::default(),
            by_address: FxHashMap::default(),
        };
        for variable in variables {
            if let Some(place) = variable.percpu {
                let address = percpu.wrapping_add(place);
                types
                    .by_address
                    .insert((variable.name, address), &variable.ty);
            }
            // Other variables may have the name of a per-CPU one.
            if variable.percpu.is_none() {
                let known = types.by_name.entry(variable.name);
                known
                    .and_modify(|ty| *ty = None)
                    .or_insert(Some(&variable.ty));
            }
        }
        types
    }

    fn of(&self, symbol: &Listed<'_>) -> Option<&'t Spelling<'t>> {
        let name = symbol.name.as_bytes();
        let here = self.by_address.get(&(name, symbol.address)).copied();
        here.or_else(|| self.by_name.get(name).copied().flatten())
    }
}

fn kind(symbol: &Listed<'_>, bounds: &Bounds) -> SymbolKind {
    let is_in = |range: Option<(u64, u64)>| {
        range.is_some_and(|(start, end)| (start..end).contains(&symbol.address))
    };
    // Kernels whose per-CPU symbols are offsets list them as absolute.
    if is_in(bounds.percpu) {
        return SymbolKind::PerCpu;
    }
    match symbol.letter.to_ascii_lowercase() {
        b'a' => SymbolKind::Absolute,
        // The data of kernels that keep trampolines in it can be executed.
        b't' | b'w' if is_in(bounds.data) => SymbolKind::Data,
        b't' | b'w' | b'i' => SymbolKind::Text,
        b'd' | b'v' | b'g' if is_in(bounds.read_only) => SymbolKind::ReadOnly,
        b'd' | b'v' | b'g' => SymbolKind::Data,
        b'r' => SymbolKind::ReadOnly,
        b'b' | b's' | b'c' => SymbolKind::Bss,
        _ => SymbolKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::definition::Space;

    const MAP: &str = "\
0000000000000000 D __per_cpu_start
0000000000000040 D cleanup_list
0000000000034000 D __per_cpu_end
0000000001000b53 A phys_startup_64
ffffffff81000000 T _text
ffffffff81000b53 T startup_64
ffffffff81000b53 t twice
ffffffff81000c00 T twice
ffffffff82000000 D __start_rodata
ffffffff82000010 D linux_banner
ffffffff82000020 D __end_rodata
ffffffff82600000 D init_task
ffffffff8340aa80 b cleanup_list
";

    fn parse(text: &str) -> Result<SymbolList<'_>, GenerateError> {
        SymbolList::parse(Path::new("map"), text.as_bytes())
    }

    fn named<'a>(name: &str) -> Spelling<'a> {
        Spelling::Named {
            space: Space::Struct,
            name: name.to_owned().into(),
            shape: 0,
        }
    }

    #[test]
    fn kinds_and_types_are_those_of_the_place() {
        let variables = [
            Variable {
                name: b"cleanup_list",
                percpu: Some(0x40),
                ty: named("hlist_head"),
            },
            Variable {
                name: b"init_task",
                percpu: None,
                ty: named("task_struct"),
            },
        ];
        let list = parse(MAP).unwrap();
        let lines = list.lines(&variables);
        let told: Vec<String> = lines
            .iter()
            .map(|line| format!("{} {} {}", line.name, line.kind.name(), line.ty.is_some()))
            .collect();
        for expected in [
            "cleanup_list percpu true",
            "cleanup_list#2 bss false",
            "init_task data true",
            "linux_banner rodata false",
            "phys_startup_64 absolute false",
            "twice text false",
            "twice#2 text false",
        ] {
            assert!(
                told.iter().any(|line| line == expected),
                "{told:?} lacks {expected}"
            );
        }
        // The global one comes first.
        assert_eq!(list.find("twice"), Some(0xffff_ffff_8100_0c00));
    }

    #[test]
    fn what_kaslr_moved_is_moved_back() {
        let slide = 0x1c00_0000;
        let moved: String = MAP
            .lines()
            .map(|line| {
                let (address, rest) = line.split_at(16);
                let address = u64::from_str_radix(address, 16).unwrap();
                let by = if address >= START_KERNEL_MAP {
                    slide
                } else {
                    0
                };
                format!("{:016x}{rest}\n", address + by)
            })
            .chain(["ffffffffc0000000 t function\t[module]\n".to_owned()])
            .collect();
        let mut list = parse(&moved).unwrap();
        let text = list.find("_text").unwrap();
        let linked = list.linked_text(Architecture::X86_64).unwrap();
        assert_eq!(
            (text, linked),
            (0xffff_ffff_9d00_0000, 0xffff_ffff_8100_0000)
        );
        list.move_by(linked.wrapping_sub(text));
        assert_eq!(list.symbols, parse(MAP).unwrap().symbols);
    }

    #[test]
    fn what_is_no_list_is_told_with_its_line() {
        for (text, line) in [
            (
                "The real System.map is in the linux-image-…-dbg package\n",
                1,
            ),
            ("ffffffff81000000 T _text\nffffffff81000000 T\n", 2),
            ("ffffffff81000000 T _text\n\nffffffff81000000 TT x\n", 3),
            ("81 T _text\n", 1),
        ] {
            match parse(text) {
                Err(GenerateError::BadSymbolList { line: told, .. }) => assert_eq!(told, line),
                other => panic!("{other:?}"),
            }
        }
        let hidden = parse("0000000000000000 T _text\n");
        assert!(matches!(hidden, Err(GenerateError::HiddenAddresses { .. })));
    }
}
