//! The kernel's code: all of it is read at once, compared with that of its file, and what is asked for of the result is handed over.

use std::ops::{ControlFlow, Range};
use std::rc::Rc;

use crate::addr::{PAGE_SIZE, VirtAddr};
use crate::kernel_text::{Comparison, Difference, Outcome};
use crate::profile::TextRows;
use crate::value::{Reason, Value};
use crate::wave::Reader;

use super::context::{Bound, Context};

/// Bytes that are asked for by one future.
const AT_ONCE: usize = 64 << 10;

/// Most changed stretches that are handed over: as many as a kernel has functions that can be traced.
const MOST_CHANGES: usize = 65_536;

/// Hands over rows of the comparison; returns why it is not whole, if it is not.
pub(super) async fn walk(
    context: &Context,
    comparison: &Comparison,
    rows: TextRows,
    reader: &Reader,
    sink: &mut impl AsyncFnMut(Bound) -> ControlFlow<()>,
) -> Option<String> {
    if let Some(problem) = other_kernel(context, comparison) {
        return Some(problem);
    }
    let expected = match comparison.expected() {
        Ok(expected) => expected,
        Err(error) => return Some(error.to_string()),
    };
    let text = comparison.text();
    let (found, mut problem) = found(context, reader, text.start, expected).await;
    let outcome = match comparison.compare(&found, context.target.slide) {
        Ok(outcome) => outcome,
        Err(error) => return Some(error.to_string()),
    };
    let cells = Cells {
        context,
        comparison,
        expected,
        found: &found,
    };
    let differences = match rows {
        TextRows::Changes => match outcome.changes.get(..MOST_CHANGES) {
            Some(some) if some.len() < outcome.changes.len() => {
                let more = outcome.changes.len() - some.len();
                problem.get_or_insert_with(|| {
                    format!("{more} more stretches differ: is it the file of the kernel that runs?")
                });
                some
            }
            _ => outcome.changes.as_slice(),
        },
        TextRows::Patches => outcome.patches.as_slice(),
        TextRows::Tables => {
            for row in cells.tables(&outcome) {
                if sink(Bound::Cells(row)).await.is_break() {
                    return None;
                }
            }
            return problem;
        }
    };
    for difference in differences {
        if sink(Bound::Cells(cells.of(difference))).await.is_break() {
            return None;
        }
    }
    problem
}

/// Refuses the file of another kernel.
fn other_kernel(context: &Context, comparison: &Comparison) -> Option<String> {
    let running = context.target.build_id.as_deref()?;
    let of_file = comparison.build_id()?;
    (running != of_file).then(|| {
        format!("the vmlinux has build ID {of_file}, and the running kernel {running}: it is the file of another kernel")
    })
}

/// The code in memory, which is linked to begin at `start`. What cannot be read is taken to be as expected, and told.
async fn found(
    context: &Context,
    reader: &Reader,
    start: u64,
    expected: &[u8],
) -> (Vec<u8>, Option<String>) {
    let space = context.space();
    let at = |offset: usize| {
        let linked = start.wrapping_add(offset as u64);
        VirtAddr::new(linked.wrapping_add(context.target.slide))
    };
    reader.prefetch(space, at(0), expected.len() as u64);
    let mut found = expected.to_vec();
    let mut missing: Option<(u64, String)> = None;
    for (number, piece) in found.chunks_mut(AT_ONCE).enumerate() {
        let offset = number * AT_ONCE;
        // Pieces do not depend on one another.
        if reader.fork().read(space, at(offset), piece).await.is_ok() {
            continue;
        }
        for page in pages(at(offset), piece.len()) {
            let Some(bytes) = piece.get_mut(page.clone()) else {
                continue;
            };
            let address = at(offset + page.start);
            if let Err(unreadable) = reader.fork().read(space, address, bytes).await {
                let was = expected.get(offset + page.start..offset + page.end);
                for (byte, was) in bytes.iter_mut().zip(was.unwrap_or(&[])) {
                    *byte = *was;
                }
                let (count, _) = missing.get_or_insert((0, unreadable.to_string()));
                *count += page.len() as u64;
            }
        }
    }
    let missing = missing
        .map(|(count, why)| format!("{count} bytes of the kernel's code could not be read: {why}"));
    (found, missing)
}

/// The pages of a stretch, as distances from its first byte.
fn pages(start: VirtAddr, length: usize) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let to_page_end = PAGE_SIZE - start.wrapping_offset(at as i64).page_offset();
        let here = (length - at).min(to_page_end as usize);
        let page = at..at + here;
        at = page.end;
        (here > 0).then_some(page)
    })
}

/// What rows are made of.
struct Cells<'c> {
    context: &'c Context,
    comparison: &'c Comparison,
    expected: &'c [u8],
    found: &'c [u8],
}

impl Cells<'_> {
    /// `address`, `symbol`, `length`, `expected`, `found`, `place_of`, `leads_to`, `led_to`.
    fn of(&self, difference: &Difference) -> Rc<[Value]> {
        let range = difference.range.clone();
        let linked = self.comparison.text().start + range.start as u64;
        let running = |linked: u64| Value::Address(linked.wrapping_add(self.context.target.slide));
        let absent = || Value::Null(Reason::Absent);
        let bytes = |of: &[u8]| {
            let bytes = of.get(range.clone()).unwrap_or(&[]);
            Value::Bytes(Rc::from(bytes))
        };
        let table = difference.table;
        let table = table.and_then(|table| self.comparison.table(table));
        Rc::from([
            running(linked),
            self.symbol(linked),
            Value::Integer(range.len() as i128),
            bytes(self.expected),
            bytes(self.found),
            table.map_or_else(absent, |name| Value::text(&**name)),
            difference.leads_to.map_or_else(absent, running),
            difference.led_to.map_or_else(absent, running),
        ])
    }

    /// The symbol that a link address is in, with the distance from it.
    fn symbol(&self, linked: u64) -> Value {
        let profile = &self.context.target.catalog.profile;
        match profile.symbol_at(linked) {
            Ok(Some((symbol, 0))) => Value::text(&*symbol.name),
            Ok(Some((symbol, offset))) => Value::text(format!("{}+{offset:#x}", symbol.name)),
            _ => Value::Null(Reason::Absent),
        }
    }

    /// `name`, `places`, `bytes`, `patched`, `unlike`: of all that is compared, of relocations, of each table.
    fn tables(&self, outcome: &Outcome) -> Vec<Rc<[Value]>> {
        let number = |number: u64| Value::Integer(i128::from(number));
        let row = |name: &str, numbers: [u64; 4]| -> Rc<[Value]> {
            let cells = std::iter::once(Value::text(name));
            cells.chain(numbers.map(number)).collect()
        };
        let width = Comparison::RELOCATION_WIDTH;
        let unlike = outcome.changes.len() as u64;
        let patched = outcome.patches.len() as u64;
        let places = outcome.tables.iter().map(|part| part.places).sum();
        let mut rows = vec![
            row("all code", [0, outcome.compared, 0, unlike]),
            row(
                "relocations",
                [
                    outcome.relocated,
                    outcome.relocated * width,
                    outcome.relocated,
                    0,
                ],
            ),
            row("all places", [places, outcome.patchable, patched, 0]),
        ];
        for (number, part) in outcome.tables.iter().enumerate() {
            let name = self.comparison.table(number);
            let name = name.map_or("", |name| name);
            rows.push(row(
                name,
                [part.places, part.bytes, part.patched, part.unlike],
            ));
        }
        rows
    }
}
