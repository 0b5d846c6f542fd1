//! Where in this memory is a kernel of which nothing is known: no profile, no banner, no address.
//!
//! A kernel's writable data begins at a multiple of 2 MiB with the stack of its first task, and that stack's last word is a magic number
//! (`set_task_stack_end_magic`, kernel/fork.c; `STACK_END_MAGIC`, include/uapi/linux/magic.h). So one short read for each 2 MiB of RAM finds
//! it. Other tasks' stacks have the number too, some at such multiples; behind the first task's is the task itself, with its name. The
//! constants, with the banner, lie right before. Where no magic number leads to a kernel, all memory is searched for a banner.

use std::ops::ControlFlow;

use crate::addr::{PhysAddr, PhysRange};
use crate::memory::{PhysicalMemory, Piece, Stream};

use super::candidates;
use super::reader::Reader;
use super::search::{Hit, Search};
use super::{BannerScan, find_banner};

/// `STACK_END_MAGIC` as it is in memory.
const STACK_END: &[u8] = b"\x9d\x6e\xac\x57\x00\x00\x00\x00";
/// Bytes of constants that are read at first, more by more, and at most.
const FIRST_WINDOW: u64 = 12 << 20;
const WINDOW_STEP: u64 = 2 << 20;
const MAX_WINDOW: u64 = 48 << 20;
/// Bytes before and behind a banner that hold the other constants.
const BEFORE_BANNER: u64 = 4 << 20;
const BEHIND_BANNER: u64 = 40 << 20;
/// The name of the first task (init/init_task.c) without what follows the `r`, and how far behind the stack's end it is looked for: of
/// kernels from 5.10 to 7.3 it is within 110 KiB.
const FIRST_TASK: &[u8] = b"swapper";
const TO_FIRST_TASK: u64 = 256 << 10;
/// Magic numbers without that name behind them that are tried all the same, when no other leads to a kernel.
const MAX_NAMELESS: usize = 4;
/// Magic numbers that are looked at.
const MAX_HITS: usize = 4096;

/// What a search will read, about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownPlan {
    /// Reads of 8 bytes, at most; where no RAM map is known, those of the first stage.
    pub probes: u64,
    /// Bytes of constants that are read once a kernel is found, about.
    pub bytes: u64,
    /// Reads that those take, about.
    pub reads: u64,
    /// Whether the RAM is known; if not, places where PCs have RAM are tried.
    pub is_ram_known: bool,
}

/// How far a search is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownProgress {
    /// Probing; a probe found a magic number there.
    Hit(PhysAddr),
    /// So many bytes of constants are read.
    Constants(u64),
    /// So many bytes were searched for a banner.
    Scanned(u64),
}

/// Bytes that may hold a kernel's constants.
#[derive(Clone, Debug)]
pub struct Constants {
    /// Where the first is.
    pub start: PhysAddr,
    /// Zeros where nothing could be read.
    pub bytes: Vec<u8>,
    /// Whether there are no more to come for this place.
    pub is_all: bool,
}

/// What finding cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnknownCost {
    /// Reads of 8 bytes.
    pub probes: u64,
    /// Bytes of constants, and of all memory where that was searched.
    pub bytes: u64,
    /// Whether all memory was searched.
    pub scanned: bool,
}

/// What [`find_unknown`] will do in this memory.
pub fn plan_unknown(memory: &dyn PhysicalMemory, ram: Option<&[PhysRange]>) -> UnknownPlan {
    let known = ram.map(<[PhysRange]>::to_vec).or_else(|| memory.ram());
    let is_ram_known = known.is_some();
    let stages = candidates::stages(known.as_deref(), candidates::ALIGNMENT);
    let first = stages.first().map_or(&[][..], |stage| &stage.ranges);
    let length: u64 = first.iter().map(PhysRange::length).sum();
    let max_read = u64::from(memory.limits().max_read.clamp(1, 4096));
    UnknownPlan {
        probes: length / candidates::ALIGNMENT,
        bytes: FIRST_WINDOW,
        reads: FIRST_WINDOW / max_read,
        is_ram_known,
    }
}

/// Finds kernels and hands over what may be their constants, more and more of them, until `take` has what it needs or there are no
/// more. Reads nothing outside `ram`, the memory's own map, or the places where PCs have RAM. The memory must have no reads in flight.
pub fn find_unknown(
    memory: &mut dyn PhysicalMemory,
    ram: Option<&[PhysRange]>,
    scan_budget: u64,
    watch: &mut dyn FnMut(UnknownProgress),
    take: &mut dyn FnMut(&Constants) -> ControlFlow<()>,
) -> UnknownCost {
    let known = ram.map(<[PhysRange]>::to_vec).or_else(|| memory.ram());
    let stages = candidates::stages(known.as_deref(), candidates::ALIGNMENT);
    let mut cost = UnknownCost::default();
    let mut search = Search::new(stages, 0, STACK_END);
    let mut reader = Reader::new(memory);
    let mut nameless = Vec::new();
    for _ in 0..MAX_HITS {
        let Some(Hit { image: data, .. }) = search.next_hit(&mut reader) else {
            break;
        };
        cost.probes = search.tally.probes;
        watch(UnknownProgress::Hit(data));
        let blocks = known.clone().unwrap_or_else(|| search.readable_blocks());
        let range = range_of(&blocks, data);
        if !has_first_task(reader.memory(), range, data, &mut cost) {
            nameless.push((range, data));
            continue;
        }
        if before(reader.memory(), range.start, data, &mut cost, watch, take).is_break() {
            return cost;
        }
    }
    cost.probes = search.tally.probes;
    for (range, data) in nameless.into_iter().take(MAX_NAMELESS) {
        if before(reader.memory(), range.start, data, &mut cost, watch, take).is_break() {
            return cost;
        }
    }
    if search.tally.unanswered() {
        return cost;
    }
    let scanned = known.unwrap_or_else(|| search.readable_blocks());
    around_banners(
        reader.memory(),
        &scanned,
        scan_budget,
        &mut cost,
        watch,
        take,
    );
    cost
}

/// The range that holds an address; an empty one where none does.
fn range_of(ranges: &[PhysRange], address: PhysAddr) -> PhysRange {
    let holds = ranges.iter().find(|range| range.contains(address));
    holds.copied().unwrap_or(PhysRange::new(address, address))
}

/// Whether the first task's name is behind the end of a stack.
fn has_first_task(
    memory: &mut dyn PhysicalMemory,
    range: PhysRange,
    stack: PhysAddr,
    cost: &mut UnknownCost,
) -> bool {
    let end = stack
        .get()
        .saturating_add(TO_FIRST_TASK)
        .min(range.end.get());
    let behind = PhysRange::new(stack, PhysAddr::new(end.max(stack.get())));
    let bytes = read(memory, behind, cost, &mut |_| {});
    memchr::memmem::find(&bytes, FIRST_TASK).is_some()
}

/// Hands over the bytes before an address, more and more of them.
fn before(
    memory: &mut dyn PhysicalMemory,
    lowest: PhysAddr,
    end: PhysAddr,
    cost: &mut UnknownCost,
    watch: &mut dyn FnMut(UnknownProgress),
    take: &mut dyn FnMut(&Constants) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut constants = Constants {
        start: end,
        bytes: Vec::new(),
        is_all: false,
    };
    let mut step = FIRST_WINDOW;
    while !constants.is_all {
        let start = constants.start.get();
        let next = start.saturating_sub(step).max(lowest.get());
        let range = PhysRange::new(PhysAddr::new(next), constants.start);
        let mut bytes = read(memory, range, cost, watch);
        bytes.append(&mut constants.bytes);
        constants.bytes = bytes;
        constants.start = range.start;
        constants.is_all = next <= lowest.get() || constants.bytes.len() as u64 >= MAX_WINDOW;
        take(&constants)?;
        step = WINDOW_STEP;
    }
    ControlFlow::Continue(())
}

/// Hands over the bytes around every banner.
fn around_banners(
    memory: &mut dyn PhysicalMemory,
    ram: &[PhysRange],
    budget: u64,
    cost: &mut UnknownCost,
    watch: &mut dyn FnMut(UnknownProgress),
    take: &mut dyn FnMut(&Constants) -> ControlFlow<()>,
) {
    cost.scanned = true;
    let (mut found, mut scan): (_, BannerScan) = find_banner(memory, Some(ram), budget);
    while let Some(banner) = found {
        watch(UnknownProgress::Scanned(scan.scanned()));
        let at = banner.address.page_base().get();
        let holds = ram.iter().find(|range| range.contains(banner.address));
        let (lowest, highest) =
            holds.map_or((at, at), |range| (range.start.get(), range.end.get()));
        let start = PhysAddr::new(at.saturating_sub(BEFORE_BANNER).max(lowest));
        let end = PhysAddr::new(at.saturating_add(BEHIND_BANNER).min(highest));
        let constants = Constants {
            start,
            bytes: read(memory, PhysRange::new(start, end), cost, watch),
            is_all: true,
        };
        if take(&constants).is_break() {
            break;
        }
        found = scan.next(memory, budget);
    }
    cost.bytes += scan.scanned();
}

/// Reads a range with as many reads in flight as the memory takes.
fn read(
    memory: &mut dyn PhysicalMemory,
    range: PhysRange,
    cost: &mut UnknownCost,
    watch: &mut dyn FnMut(UnknownProgress),
) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(range.length()).unwrap_or(0)];
    let mut done = 0;
    let mut take = |piece: Piece<'_>| {
        let offset = piece.range.start.get() - range.start.get();
        let end = offset + piece.range.length();
        if let Ok(found) = piece.outcome
            && let (Ok(start), Ok(end)) = (usize::try_from(offset), usize::try_from(end))
            && let Some(space) = bytes.get_mut(start..end)
        {
            space.copy_from_slice(found);
        }
        let before = done;
        done += piece.range.length();
        if before >> 18 != done >> 18 {
            watch(UnknownProgress::Constants(done));
        }
        ControlFlow::Continue(())
    };
    let streamed = Stream::default().run(memory, &[range], &mut take);
    cost.bytes += streamed.bytes;
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Immediate, ReadFailure, Source};

    #[derive(Debug)]
    struct Bytes(Vec<u8>);

    impl Source for Bytes {
        fn copy(&self, address: PhysAddr, into: &mut [u8]) -> Result<(), ReadFailure> {
            let start = address.get() as usize;
            let found = self.0.get(start..start + into.len());
            into.copy_from_slice(found.ok_or(ReadFailure::NotIssued)?);
            Ok(())
        }

        fn ram(&self) -> Option<Vec<PhysRange>> {
            let end = PhysAddr::new(self.0.len() as u64);
            Some(vec![PhysRange::new(PhysAddr::new(0), end)])
        }
    }

    /// 64 MiB with a stack's end at 40 MiB and a word before it.
    fn image() -> Vec<u8> {
        let mut bytes = vec![0; 64 << 20];
        bytes[40 << 20..(40 << 20) + 8].copy_from_slice(STACK_END);
        bytes[(40 << 20) - 100..(40 << 20) - 95].copy_from_slice(b"hello");
        bytes[(40 << 20) + 0x1_1000..(40 << 20) + 0x1_1009].copy_from_slice(b"swapper/0");
        // The stack of another task.
        bytes[30 << 20..(30 << 20) + 8].copy_from_slice(STACK_END);
        // Not at a multiple of 2 MiB: not looked at.
        bytes[(5 << 20) + 4096..(5 << 20) + 4104].copy_from_slice(STACK_END);
        bytes
    }

    #[test]
    fn the_constants_end_where_the_first_stack_begins() {
        let mut memory = Immediate::new(Bytes(image()));
        let mut seen = Vec::new();
        let cost = find_unknown(&mut memory, None, 0, &mut |_| {}, &mut |constants| {
            let end = constants.bytes.len();
            assert_eq!(&constants.bytes[end - 100..end - 95], b"hello");
            seen.push((constants.start.get(), end as u64));
            ControlFlow::Break(())
        });
        assert_eq!(seen, [(28 << 20, 12 << 20)]);
        assert!(cost.probes <= 32 && !cost.scanned);
        assert_eq!(cost.bytes, (12 << 20) + 2 * TO_FIRST_TASK);
    }

    #[test]
    fn a_stack_without_its_task_is_tried_last() {
        let mut bytes = image();
        bytes[(40 << 20) + 0x1_1000] = b'x';
        let mut memory = Immediate::new(Bytes(bytes));
        let mut starts = Vec::new();
        find_unknown(&mut memory, None, 0, &mut |_| {}, &mut |constants| {
            starts.push(constants.start.get() >> 20);
            match starts.contains(&28) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        assert_eq!((starts.first(), starts.last()), (Some(&18), Some(&28)));
    }

    #[test]
    fn more_is_handed_over_until_the_ram_ends() {
        let mut memory = Immediate::new(Bytes(image()));
        let mut starts = Vec::new();
        let ram = [PhysRange::new(
            PhysAddr::new(24 << 20),
            PhysAddr::new(64 << 20),
        )];
        find_unknown(&mut memory, Some(&ram), 0, &mut |_| {}, &mut |constants| {
            starts.push((constants.start.get() >> 20, constants.is_all));
            ControlFlow::Continue(())
        });
        let first: Vec<_> = starts.iter().take(3).copied().collect();
        assert_eq!(first, [(28, false), (26, false), (24, true)]);
    }
}
