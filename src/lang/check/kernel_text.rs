//! Walks of the comparison of the kernel's code with the file that it was booted from: what the library says of the tables that tell where
//! the kernel changes its code, seen with the kernel's types and symbols.

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use crate::generate::KernelFile;
use crate::kernel_text::{Comparison, Field, PlaceLength, Table};
use crate::lang::ast::{Name, Source};
use crate::lang::catalog::Catalog;
use crate::lang::typed::{CheckedSource, CheckedTraversal, SourceId};
use crate::profile::{Member, PatchLength, PatchTable, ProfileError, TextRows, Type};
use crate::value::ValueType;

use super::Checker;
use super::scope::ScopeSource;

/// What a check and a walk say where there is nothing to compare with.
const NO_FILE: &str = "no vmlinux is given: --vmlinux FILE";

impl Checker<'_> {
    /// A walk over rows of the comparison.
    pub(super) fn text_source(
        &mut self,
        id: SourceId,
        name: &Name,
        rows: TextRows,
        source: &Source,
    ) -> Option<ScopeSource> {
        self.refuse_owner(name, source)?;
        let comparison = match self.catalog.comparison() {
            Ok(comparison) => comparison,
            Err(problem) => {
                let hint = "start nettlp-q with the vmlinux (or vmlinuz) that the machine was booted from: --vmlinux FILE";
                self.error_with_hint(name.span, problem, "", hint);
                self.last_lacks();
                return None;
            }
        };
        let traversal = CheckedTraversal::Text { comparison, rows };
        Some(source_of_rows(id, name, source, traversal, columns(rows)))
    }

    /// What is of the whole kernel is of nothing else.
    pub(super) fn refuse_owner(&mut self, name: &Name, source: &Source) -> Option<()> {
        let Some(given) = source.owner.as_ref().or(source.root.as_ref()) else {
            return Some(());
        };
        let message = format!("`{}` is of the whole kernel", name.text);
        self.error(given.span, message, "leave `of …` or `from …` out");
        None
    }
}

/// A source of rows that have columns and are no elements.
pub(super) fn source_of_rows(
    id: SourceId,
    name: &Name,
    source: &Source,
    traversal: CheckedTraversal,
    cells: Vec<(String, ValueType)>,
) -> ScopeSource {
    let alias = source.alias.as_ref();
    let checked = CheckedSource {
        name: alias.map_or(&name.text, |alias| &alias.text).clone(),
        walk: name.text.clone(),
        id,
        element: Type::Void,
        traversal,
        filter: None,
        last: None,
        predictors: Vec::new(),
        optional: source.optional,
    };
    ScopeSource {
        source: Rc::new(checked),
        owner: None,
        cells,
        is_unknown: false,
    }
}

/// The columns of such rows, as `exec` fills them.
fn columns(rows: TextRows) -> Vec<(String, ValueType)> {
    let named = |columns: &[(&str, ValueType)]| {
        let named = columns.iter();
        named
            .map(|(name, kind)| ((*name).to_owned(), kind.clone()))
            .collect()
    };
    match rows {
        TextRows::Changes | TextRows::Patches => named(&[
            ("address", ValueType::Kernel(Type::Void.pointer_to())),
            ("symbol", ValueType::Text),
            ("length", ValueType::Integer),
            ("expected", ValueType::Bytes),
            ("found", ValueType::Bytes),
            ("place_of", ValueType::Text),
            ("leads_to", ValueType::Kernel(Type::Void.pointer_to())),
            ("led_to", ValueType::Kernel(Type::Void.pointer_to())),
        ]),
        TextRows::Tables => named(&[
            ("name", ValueType::Text),
            ("places", ValueType::Integer),
            ("bytes", ValueType::Integer),
            ("patched", ValueType::Integer),
            ("unlike", ValueType::Integer),
        ]),
    }
}

impl Catalog {
    /// How the kernel's code is compared with that of its file, or why it cannot be.
    fn comparison(&self) -> Result<Rc<Comparison>, String> {
        let made = self.comparison.get_or_init(|| {
            let file = self.kernel_file.as_ref().ok_or(NO_FILE)?;
            let text = self.library.kernel_text.as_ref();
            let text = text.ok_or("the walk library does not say where the kernel's code is")?;
            let tables = text.tables.iter();
            let tables = tables.map(|(name, table)| {
                Layout {
                    catalog: self,
                    file,
                }
                .of(name, table)
            });
            let tables = tables.collect::<Result<_, _>>()?;
            let comparison = Comparison::new(Rc::clone(file), &text.section, tables);
            comparison.map(Rc::new).map_err(|error| error.to_string())
        });
        made.clone()
    }
}

/// What a kernel's types, symbols and file say of a table.
struct Layout<'l> {
    catalog: &'l Catalog,
    file: &'l KernelFile,
}

impl Layout<'_> {
    fn of(&self, name: &str, table: &PatchTable) -> Result<Table, String> {
        let wrong = |problem: String| format!("kernel_text.tables.{name}: {problem}");
        let of_profile = |error: ProfileError| error.to_string();
        let copies = self.copies(table).map_err(of_profile)?;
        // A kernel that has not what is copied copies it nowhere.
        let (ranges, places) = match table.copies.is_some() && copies.is_none() {
            true => (Vec::new(), Vec::new()),
            false => (
                self.ranges(table).map_err(of_profile)?,
                self.places(table).map_err(of_profile)?,
            ),
        };
        let mut layout = Table {
            name: Rc::from(name),
            ranges,
            entry: 0,
            at: Field { offset: 0, size: 0 },
            places,
            length: PlaceLength::Instruction,
            target: None,
            replacement: None,
            before: table.before,
            copies,
            holds: table.holds.clone(),
            literals: Vec::new(),
        };
        for digits in &table.bytes {
            let bytes = literal(digits);
            let bytes = bytes.ok_or_else(|| wrong(format!("`{digits}` is not hexadecimal")))?;
            layout.literals.push(bytes);
        }
        // A kernel that has not the table may lack the type of its entries, too.
        if layout.ranges.is_empty() {
            match &table.length {
                PatchLength::Bytes(length) => layout.length = PlaceLength::Bytes(*length),
                PatchLength::Member(member) if member == "copies" => {
                    let copies = layout.copies.as_ref();
                    let length = copies.map_or(0, |copies| copies.end.saturating_sub(copies.start));
                    layout.length = PlaceLength::Bytes(length);
                }
                PatchLength::Member(_) => {}
            }
            return Ok(layout);
        }
        let entry = table.entry.as_deref();
        let entry = entry.ok_or_else(|| wrong("a table needs the type of its entries".into()))?;
        let profile = &self.catalog.profile;
        let ty = profile.parse_type(entry);
        let ty = ty.map_err(|error| wrong(error.to_string()))?;
        let size = profile.size_of(&ty).ok().flatten();
        layout.entry = size.ok_or_else(|| wrong(format!("the profile has no `{entry}`")))?;
        let field = |member: &str| self.field(&ty, member).map_err(wrong);
        layout.at = match &table.at {
            Some(member) => field(member)?,
            None => Field {
                offset: 0,
                size: layout.entry,
            },
        };
        layout.length = match &table.length {
            PatchLength::Bytes(length) => PlaceLength::Bytes(*length),
            PatchLength::Member(member) if member == "instruction" => PlaceLength::Instruction,
            PatchLength::Member(member) => PlaceLength::Field(field(member)?),
        };
        layout.target = table.target.as_deref().map(field).transpose()?;
        if let (Some(at), Some(length)) = (&table.replacement, &table.replacement_length) {
            layout.replacement = Some((field(at)?, field(length)?));
        }
        Ok(layout)
    }

    fn field(&self, ty: &Type, member: &str) -> Result<Field, String> {
        let found = self.catalog.find_path(ty, member);
        let found = found.map_err(|error| error.to_string())?;
        let missing = || format!("`{ty}` has no member `{member}` of 1, 2, 4 or 8 bytes");
        let Member {
            offset, bits, ty, ..
        } = found.ok_or_else(missing)?;
        let size = self.catalog.profile.size_of(&ty);
        let size = size.map_err(|error| error.to_string())?;
        match size {
            Some(size @ (1 | 2 | 4 | 8)) if bits.is_none() => Ok(Field { offset, size }),
            _ => Err(missing()),
        }
    }

    /// Where the parts of a table are; none where this kernel has it not.
    fn ranges(&self, table: &PatchTable) -> Result<Vec<Range<u64>>, ProfileError> {
        let mut ranges = Vec::new();
        if let Some([first, behind]) = &table.between {
            let at = |name: &str| self.catalog.profile.symbol(name);
            if let (Some(first), Some(behind)) = (at(first)?, at(behind)?) {
                ranges.push(first.address..behind.address);
            }
        }
        if let Some(prefix) = &table.sections {
            ranges.extend(self.file.sections_named(prefix));
        }
        ranges.retain(|range| range.start < range.end);
        Ok(ranges)
    }

    /// Where what is copied is; nothing where this kernel copies nothing.
    fn copies(&self, table: &PatchTable) -> Result<Option<Range<u64>>, ProfileError> {
        let Some([first, behind]) = &table.copies else {
            return Ok(None);
        };
        let at = |name: &str| self.catalog.profile.symbol(name);
        let (Some(first), Some(behind)) = (at(first)?, at(behind)?) else {
            return Ok(None);
        };
        Ok(Some(first.address..behind.address))
    }

    /// The addresses of symbols that are places themselves.
    fn places(&self, table: &PatchTable) -> Result<Vec<u64>, ProfileError> {
        let profile = &self.catalog.profile;
        let mut names: Vec<Arc<str>> = Vec::new();
        for symbol in &table.symbols {
            match symbol.strip_suffix('*') {
                None => names.push(Arc::from(symbol.as_str())),
                Some(prefix) => names.extend(
                    profile
                        .symbol_names()?
                        .filter(|name| name.starts_with(prefix))
                        .map(|name| Arc::from(&*name)),
                ),
            }
        }
        let mut places = Vec::new();
        for name in names {
            places.extend(profile.symbol(&name)?.map(|symbol| symbol.address));
        }
        places.sort_unstable();
        places.dedup();
        Ok(places)
    }
}

/// Bytes of pairs of hexadecimal digits, with or without spaces between them.
fn literal(digits: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = digits.bytes().filter(|digit| *digit != b' ').collect();
    let pairs = digits.chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        let is_pair = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
        u8::from_str_radix(pair, 16).ok().filter(|_| is_pair)
    });
    pairs.collect()
}
