//! Tables of the kernel's image that are read whole, all at once, and taken apart: the kernel's own symbols, its configuration.

use std::ops::{ControlFlow, Range};
use std::rc::Rc;

use rustc_hash::FxHashSet;

use crate::addr::{PAGE_SIZE, VirtAddr};
use crate::generate::{self, OwnSymbol};
use crate::profile::ImageTable;
use crate::value::Value;
use crate::wave::Reader;

use super::context::{Bound, Context};

/// Most bytes of a table: more than any kernel has.
const MOST_BYTES: u64 = 64 << 20;
/// Bytes that are asked for by one future.
const AT_ONCE: usize = 64 << 10;

/// Hands over the rows of a table at these link addresses; returns why there are none or not all, if so.
pub(super) async fn walk(
    context: &Context,
    table: ImageTable,
    range: &Range<u64>,
    reader: &Reader,
    sink: &mut impl AsyncFnMut(Bound) -> ControlFlow<()>,
) -> Option<String> {
    // Whole pages: parts of tables are aligned, counted from the image's first byte.
    let start = range.start & !(PAGE_SIZE - 1);
    let length = range.end.saturating_sub(start);
    if length > MOST_BYTES {
        return Some(format!("a table of {length} bytes is none of a kernel"));
    }
    let slide = context.target.slide;
    let at = VirtAddr::new(start.wrapping_add(slide));
    let bytes = match read(context, reader, at, length as usize).await {
        Ok(bytes) => bytes,
        Err(problem) => return Some(problem),
    };
    let rows = match table {
        ImageTable::Symbols => generate::own_symbols(&bytes, at.get())
            .map(|symbols| symbol_rows(context, symbols))
            .map_err(|problem| problem.to_string()),
        ImageTable::Configuration => {
            let skipped = (range.start - start) as usize;
            generate::configuration(bytes.get(skipped..).unwrap_or(&[]))
                .map(|options| {
                    options
                        .into_iter()
                        .map(|(name, value)| vec![Value::text(name), Value::text(value)])
                        .collect()
                })
                .map_err(|problem| problem.to_string())
        }
    };
    let rows: Vec<Vec<Value>> = match rows {
        Ok(rows) => rows,
        Err(problem) => return Some(problem),
    };
    for row in rows {
        if sink(Bound::Cells(Rc::from(row))).await.is_break() {
            return None;
        }
    }
    None
}

/// Bytes of the image, all asked for at once.
async fn read(
    context: &Context,
    reader: &Reader,
    at: VirtAddr,
    length: usize,
) -> Result<Vec<u8>, String> {
    let space = context.space();
    reader.prefetch(space, at, length as u64);
    let mut bytes = vec![0; length];
    for (number, piece) in bytes.chunks_mut(AT_ONCE).enumerate() {
        let here = at.wrapping_offset((number * AT_ONCE) as i64);
        // Pieces do not depend on one another.
        let outcome = reader.fork().read(space, here, piece).await;
        outcome
            .map_err(|unreadable| format!("a part of the table could not be read: {unreadable}"))?;
    }
    Ok(bytes)
}

/// `name`, `address`, `type`, `in_profile`, in the order of the kernel's table.
fn symbol_rows(context: &Context, symbols: Vec<OwnSymbol>) -> Vec<Vec<Value>> {
    let known = profiled(context);
    let slide = context.target.slide;
    let rows = symbols.into_iter().map(|symbol| {
        let linked = symbol.address.wrapping_sub(slide);
        // Addresses of per-CPU variables are offsets, which do not move.
        let in_profile = [linked, symbol.address]
            .into_iter()
            .any(|address| known.contains(&(address, symbol.name.clone())));
        vec![
            Value::text(symbol.name),
            Value::Address(symbol.address),
            Value::text(char::from(symbol.letter).to_string()),
            Value::Boolean(in_profile),
        ]
    });
    rows.collect()
}

/// The profile's symbols by link address and name, without the numbers of those that share one.
fn profiled(context: &Context) -> FxHashSet<(u64, String)> {
    let profile = &context.target.catalog.profile;
    let mut known = FxHashSet::default();
    let Ok(names) = profile.symbol_names() else {
        return known;
    };
    for name in names {
        if let Ok(Some(symbol)) = profile.symbol(&name) {
            let plain = match name.rsplit_once('#') {
                Some((plain, number)) if number.bytes().all(|digit| digit.is_ascii_digit()) => {
                    plain
                }
                _ => &name,
            };
            known.insert((symbol.address, plain.to_owned()));
        }
    }
    known
}
