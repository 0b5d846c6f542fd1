//! The `symbols:` document: lines → symbols by name and by address.

use super::declarator;
use super::header::PercpuBase;
use super::lines::{BadLine, SortedLines};
use super::schema::number;
use super::types::{Symbol, SymbolKind};

/// What a symbol's line says after the name.
pub(super) struct Fields<'a> {
    pub(super) address: u64,
    kind: SymbolKind,
    size: u64,
    ty: Option<&'a str>,
}

impl<'a> Fields<'a> {
    /// Takes `0xffffffff82a1b4c0 data 9792 struct task_struct` apart.
    pub(super) fn of(value: &'a str, at: usize) -> Result<Self, BadLine> {
        let mut words = value.splitn(4, ' ');
        let address = words.next().and_then(number);
        let kind = words.next().and_then(SymbolKind::from_name);
        let size = words.next().and_then(number);
        match (address, kind, size) {
            (Some(address), Some(kind), Some(size)) => Ok(Self {
                address,
                kind,
                size,
                ty: words.next(),
            }),
            _ => Err(BadLine {
                at,
                problem: format!("expected `address kind size type`, found `{value}`"),
            }),
        }
    }
}

/// The symbol on the line that starts at `start`.
pub(super) fn symbol_on(
    text: &str,
    lines: &SortedLines,
    start: usize,
) -> Result<Option<Symbol>, BadLine> {
    let Some((name, value, at)) = lines.entry(text, start) else {
        return Ok(None);
    };
    let fields = Fields::of(value, at)?;
    let ty = fields.ty.map(declarator::parse).transpose();
    let ty = ty.map_err(|error| BadLine {
        at,
        problem: error.to_string(),
    })?;
    Ok(Some(Symbol {
        name: name.into(),
        address: fields.address,
        size: fields.size,
        kind: fields.kind,
        ty,
    }))
}

/// Lines by address.
#[derive(Debug, Default)]
pub(super) struct AddressIndex {
    /// Address, bytes, start of the line; by address, then longest first, then by line.
    entries: Vec<(u64, u64, u32)>,
}

/// Symbols before an address that are looked at: symbols inside symbols are rare and few.
const LOOK_BACK: usize = 64;

impl AddressIndex {
    /// Indexes every symbol whose address is one: not absolute ones, nor per-CPU ones that are offsets.
    pub(super) fn new(
        text: &str,
        lines: &SortedLines,
        percpu: Option<PercpuBase>,
    ) -> Result<Self, BadLine> {
        let starts = lines.starts(text)?;
        let mut entries = Vec::with_capacity(starts.len());
        for start in starts {
            let Some((_, value, at)) = lines.entry(text, *start as usize) else {
                continue;
            };
            let Fields {
                address,
                kind,
                size,
                ..
            } = Fields::of(value, at)?;
            let is_offset = kind == SymbolKind::PerCpu && percpu != Some(PercpuBase::Image);
            if kind != SymbolKind::Absolute && !is_offset {
                entries.push((address, size, *start));
            }
        }
        entries.sort_unstable_by_key(|(address, size, line)| (*address, u64::MAX - *size, *line));
        Ok(Self { entries })
    }

    /// The start of the line of the symbol that holds `address`: the nearest one at or below it that is long enough or of unknown length.
    pub(super) fn find(&self, address: u64) -> Option<usize> {
        let after = self
            .entries
            .partition_point(|(start, _, _)| *start <= address);
        let below = self.entries.get(..after)?.iter().rev().take(LOOK_BACK);
        let mut passed_a_shorter_one = false;
        let mut best: Option<&(u64, u64, u32)> = None;
        for entry in below {
            let (start, size, _) = *entry;
            if best.is_some_and(|(found, _, _)| *found != start) {
                break;
            }
            let holds = match size {
                0 => !passed_a_shorter_one,
                size => address - start < size,
            };
            // Of several at one address the longest, which comes last here.
            if holds {
                best = Some(entry);
            }
            passed_a_shorter_one |= size > 0 && !holds;
        }
        best.map(|(_, _, line)| *line as usize)
    }
}
