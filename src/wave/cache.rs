//! Which bytes of physical memory this query has seen, in lines of 64 bytes, and who waits for those that are on their way.

use rustc_hash::FxHashMap;

use crate::addr::PhysAddr;
use crate::memory::ReadFailure;

use super::merge::LineRead;

/// Bytes in a line, the unit in which bytes are read and remembered: an x86 cache line and the smallest read completion boundary,
/// so a line is what the target's memory system hands over as one.
pub(super) const LINE: u64 = 64;

/// Lines in a block; blocks exist only to keep the index small.
pub(super) const LINES: u64 = 8;
const BLOCK: u64 = LINE * LINES;
const BLOCK_BYTES: usize = BLOCK as usize;
const LINE_BYTES: usize = LINE as usize;

/// Names a future that the executor polls.
pub(super) type TaskId = usize;

/// Eight lines. Bit *i* of the masks belongs to line *i*; a line is in at most one of the three states.
#[derive(Debug)]
struct Block {
    bytes: [u8; BLOCK_BYTES],
    ready: u8,
    pending: u8,
    failed: u8,
    /// Pending lines that were only guessed and have not been sent.
    guesses: u8,
    /// Lines that were sent as guesses and that nothing has looked at yet.
    unconfirmed: u8,
    /// Lines whose bytes rows or walks were made of.
    needed: u8,
    /// Lines that predictors looked at.
    consulted: u8,
    depths: [u32; LINES as usize],
    failures: [ReadFailure; LINES as usize],
    /// Who waits for which lines.
    waiters: Vec<(u8, TaskId)>,
}

impl Block {
    fn new() -> Self {
        Self {
            bytes: [0; BLOCK_BYTES],
            ready: 0,
            pending: 0,
            failed: 0,
            guesses: 0,
            unconfirmed: 0,
            needed: 0,
            consulted: 0,
            depths: [0; LINES as usize],
            failures: [ReadFailure::NotIssued; LINES as usize],
            waiters: Vec::new(),
        }
    }

    /// Lets `task` wait for a line, unless its outcome is known; whether it is not.
    fn add_waiter(&mut self, mask: u8, task: Option<TaskId>) -> bool {
        if (self.ready | self.failed) & mask != 0 {
            return false;
        }
        if let Some(task) = task {
            match self.waiters.last_mut() {
                Some((lines, last)) if *last == task => *lines |= mask,
                _ => self.waiters.push((mask, task)),
            }
        }
        true
    }

    /// Moves those who wait for a line to `woken`.
    fn wake(&mut self, mask: u8, woken: &mut Vec<TaskId>) {
        let waiting = self.waiters.extract_if(.., |(lines, _)| *lines & mask != 0);
        woken.extend(waiting.map(|(_, task)| task));
    }
}

/// The numbers of the lines that a stretch lies in.
fn lines(address: PhysAddr, length: u64) -> std::ops::RangeInclusive<u64> {
    let last = address.get().saturating_add(length.saturating_sub(1));
    address.get() / LINE..=last / LINE
}

/// What the cache knows of a stretch of memory.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    /// All bytes are here; the deepest of their reads was this deep.
    Ready(u32),
    /// A line of it could not be read.
    Failed(PhysAddr, ReadFailure, u32),
    /// Some line is not here yet.
    Missing,
}

/// For what bytes are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interest {
    /// For a row or a walk.
    Needs,
    /// To guess what will be needed.
    Predicts,
}

/// The lines that one query has read.
#[derive(Debug, Default)]
pub(super) struct Cache {
    index: FxHashMap<u64, u32>,
    #[expect(clippy::vec_box, reason = "growing moves no bytes")]
    blocks: Vec<Box<Block>>,
    /// Lines in any block's `unconfirmed`.
    unconfirmed: u64,
    /// Lines in any block's `consulted`.
    consulted: u64,
    /// Looked up last: consecutive reads are mostly neighbours.
    last: Option<(u64, u32)>,
}

impl Cache {
    fn find(&mut self, number: u64) -> Option<&mut Block> {
        let slot = match self.last {
            Some((last, slot)) if last == number => slot,
            _ => {
                let slot = *self.index.get(&number)?;
                self.last = Some((number, slot));
                slot
            }
        };
        self.blocks.get_mut(slot as usize).map(|block| &mut **block)
    }

    fn find_or_add(&mut self, number: u64) -> &mut Block {
        let slot = match self.last {
            Some((last, slot)) if last == number => slot,
            _ => {
                let next = u32::try_from(self.blocks.len()).unwrap_or(u32::MAX);
                let slot = *self.index.entry(number).or_insert(next);
                if slot == next {
                    self.blocks.push(Box::new(Block::new()));
                }
                self.last = Some((number, slot));
                slot
            }
        };
        &mut self.blocks[slot as usize]
    }

    /// Copies `buffer.len()` bytes from `address` on, where all of them are here.
    pub(super) fn copy(
        &mut self,
        address: PhysAddr,
        buffer: &mut [u8],
        interest: Interest,
    ) -> Lookup {
        let mut at = address.get();
        let mut filled = 0;
        let mut depth = 0;
        let (mut confirmed, mut consulted) = (0, 0);
        while filled < buffer.len() {
            let Some(block) = self.find(at / BLOCK) else {
                return Lookup::Missing;
            };
            let line = (at % BLOCK / LINE) as usize;
            let mask = 1u8 << line;
            if block.failed & mask != 0 {
                return Lookup::Failed(PhysAddr::new(at), block.failures[line], block.depths[line]);
            }
            if block.ready & mask == 0 {
                return Lookup::Missing;
            }
            depth = depth.max(block.depths[line]);
            match interest {
                Interest::Predicts => {
                    consulted += u64::from(block.consulted & mask == 0);
                    block.consulted |= mask;
                }
                Interest::Needs => block.needed |= mask,
            }
            confirmed += u64::from(block.unconfirmed & mask != 0);
            block.unconfirmed &= !mask;
            let start = (at % BLOCK) as usize;
            let count = (LINE_BYTES - start % LINE_BYTES).min(buffer.len() - filled);
            buffer[filled..filled + count].copy_from_slice(&block.bytes[start..start + count]);
            filled += count;
            at = at.wrapping_add(count as u64);
        }
        self.unconfirmed -= confirmed.min(self.unconfirmed);
        self.consulted += consulted;
        Lookup::Ready(depth)
    }

    /// Makes `task` wait for the missing lines of a stretch; those that nobody waits for yet are pushed on `wanted` by number, those
    /// that were guessed and have not been sent on `promoted`.
    pub(super) fn want(
        &mut self,
        address: PhysAddr,
        length: u64,
        depth: u32,
        task: Option<TaskId>,
        wanted: &mut Vec<u64>,
        promoted: &mut Vec<u64>,
    ) {
        for number in lines(address, length) {
            let block = self.find_or_add(number / LINES);
            let line = (number % LINES) as usize;
            let mask = 1u8 << line;
            if !block.add_waiter(mask, task) {
                continue;
            }
            if block.pending & mask == 0 {
                block.pending |= mask;
                block.depths[line] = depth;
                wanted.push(number);
            } else if block.guesses & mask != 0 {
                block.depths[line] = block.depths[line].min(depth);
                promoted.push(number);
            }
        }
    }

    /// Lets `task` wait for the missing lines of a stretch without asking for them, where nobody has asked for any; whether it does.
    pub(super) fn wait(&mut self, address: PhysAddr, length: u64, task: Option<TaskId>) -> bool {
        let is_unasked = lines(address, length).all(|number| {
            let mask = 1u8 << (number % LINES);
            let block = self.find(number / LINES);
            block.is_none_or(|block| (block.ready | block.failed | block.pending) & mask == 0)
        });
        if is_unasked {
            for number in lines(address, length) {
                let block = self.find_or_add(number / LINES);
                block.add_waiter(1u8 << (number % LINES), task);
            }
        }
        is_unasked
    }

    /// As [`Cache::want`], for a predictor.
    pub(super) fn guess(
        &mut self,
        address: PhysAddr,
        length: u64,
        depth: u32,
        task: Option<TaskId>,
        guessed: &mut Vec<u64>,
    ) {
        for number in lines(address, length) {
            let block = self.find_or_add(number / LINES);
            let line = (number % LINES) as usize;
            let mask = 1u8 << line;
            if block.add_waiter(mask, task) && block.pending & mask == 0 {
                block.pending |= mask;
                block.guesses |= mask;
                block.depths[line] = depth;
                guessed.push(number);
            }
        }
    }

    /// Notes that a guessed read is sent.
    pub(super) fn sent(&mut self, read: LineRead) {
        self.clear_guesses(read);
        for number in read.wanted_lines() {
            let block = self.find_or_add(number / LINES);
            let mask = 1u8 << (number % LINES);
            let is_new = block.unconfirmed & mask == 0;
            block.unconfirmed |= mask;
            self.unconfirmed += u64::from(is_new);
        }
    }

    /// Whether a line is only guessed, and not sent.
    pub(super) fn is_guess(&mut self, number: u64) -> bool {
        let mask = 1u8 << (number % LINES);
        self.find(number / LINES)
            .is_some_and(|block| block.guesses & mask != 0)
    }

    /// Notes that the lines of a read are needed, or sent.
    pub(super) fn clear_guesses(&mut self, read: LineRead) {
        for number in read.lines() {
            let block = self.find_or_add(number / LINES);
            block.guesses &= !(1u8 << (number % LINES));
        }
    }

    /// Notes that the lines of a read are guessed again.
    pub(super) fn mark_guesses(&mut self, read: LineRead) {
        for number in read.lines() {
            let block = self.find_or_add(number / LINES);
            block.guesses |= 1u8 << (number % LINES);
        }
    }

    /// Lines that were sent as guesses and that nothing has needed yet, not even for other guesses.
    pub(super) fn unconfirmed(&self) -> u64 {
        self.unconfirmed
    }

    /// Lines that predictors looked at.
    pub(super) fn consulted(&self) -> u64 {
        self.consulted
    }

    /// The lines whose bytes rows or walks were made of.
    pub(super) fn needed_lines(&self) -> Vec<u64> {
        self.lines_with(|block| block.needed)
    }

    /// The lines that predictors looked at.
    pub(super) fn consulted_lines(&self) -> Vec<u64> {
        self.lines_with(|block| block.consulted)
    }

    fn lines_with(&self, mask: impl Fn(&Block) -> u8) -> Vec<u64> {
        let mut found = Vec::new();
        for (number, slot) in &self.index {
            if let Some(block) = self.blocks.get(*slot as usize) {
                let mask = mask(block);
                let of_block = (0..LINES).filter(|line| mask & (1 << line) != 0);
                found.extend(of_block.map(|line| number * LINES + line));
            }
        }
        found.sort_unstable();
        found
    }

    /// How deep the read of a wanted line is to be.
    pub(super) fn depth(&mut self, number: u64) -> u32 {
        self.find(number / LINES)
            .map_or(0, |block| block.depths[(number % LINES) as usize])
    }

    /// Marks the lines that a read covers without anybody having asked for them, so that nobody asks for them twice. A guessed read
    /// can still turn out to be needed for any of them.
    pub(super) fn cover(&mut self, read: LineRead, interest: Interest) {
        for number in read.lines() {
            let block = self.find_or_add(number / LINES);
            let mask = 1u8 << (number % LINES);
            if (block.ready | block.failed | block.pending) & mask == 0 {
                block.pending |= mask;
                if interest == Interest::Predicts {
                    block.guesses |= mask;
                }
            }
        }
    }

    /// Whether somebody waits for a line.
    pub(super) fn is_awaited(&mut self, number: u64) -> bool {
        let mask = 1u8 << (number % LINES);
        self.find(number / LINES)
            .is_some_and(|block| block.waiters.iter().any(|(lines, _)| lines & mask != 0))
    }

    /// Takes a line's bytes and moves those who wait for its block to `woken`. A line that is here already keeps the bytes that the
    /// query has seen.
    pub(super) fn store(&mut self, number: u64, bytes: &[u8], depth: u32, woken: &mut Vec<TaskId>) {
        let block = self.find_or_add(number / LINES);
        let line = (number % LINES) as usize;
        let mask = 1u8 << line;
        block.pending &= !mask;
        if block.ready & mask == 0 && bytes.len() == LINE_BYTES {
            block.bytes[line * LINE_BYTES..][..LINE_BYTES].copy_from_slice(bytes);
            block.ready |= mask;
            block.failed &= !mask;
            block.depths[line] = depth;
        }
        block.wake(mask, woken);
    }

    /// Notes that a line could not be read and moves those who wait for its block to `woken`.
    pub(super) fn fail(
        &mut self,
        number: u64,
        failure: ReadFailure,
        depth: u32,
        woken: &mut Vec<TaskId>,
    ) {
        let block = self.find_or_add(number / LINES);
        let line = (number % LINES) as usize;
        let mask = 1u8 << line;
        block.pending &= !mask;
        if block.ready & mask == 0 {
            block.failed |= mask;
            block.failures[line] = failure;
            block.depths[line] = depth;
        }
        block.wake(mask, woken);
    }

    /// Forgets that a line was on its way: it was covered by a read that failed, and nobody had asked for it.
    pub(super) fn uncover(&mut self, number: u64, woken: &mut Vec<TaskId>) {
        let block = self.find_or_add(number / LINES);
        let mask = 1u8 << (number % LINES);
        block.pending &= !mask;
        block.wake(mask, woken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_wanted_once_and_keeps_its_first_bytes() {
        let mut cache = Cache::default();
        let mut wanted = Vec::new();
        let mut woken = Vec::new();
        let mut want = |address, length, depth, task| {
            let address = PhysAddr::new(address);
            let mut promoted = Vec::new();
            cache.want(
                address,
                length,
                depth,
                Some(task),
                &mut wanted,
                &mut promoted,
            );
            assert!(promoted.is_empty());
        };
        want(0x10c0, 80, 1, 7);
        want(0x10c8, 8, 5, 8);
        assert_eq!(wanted, vec![0x43, 0x44]);
        cache.store(0x43, &[1; 64], 1, &mut woken);
        cache.store(0x44, &[2; 64], 1, &mut woken);
        assert_eq!(woken, vec![7, 8]);
        cache.store(0x43, &[9; 64], 2, &mut woken);
        let mut bytes = [0; 80];
        assert_eq!(
            cache.copy(PhysAddr::new(0x10c0), &mut bytes, Interest::Needs),
            Lookup::Ready(1)
        );
        assert_eq!((bytes[0], bytes[63], bytes[64]), (1, 1, 2));
    }

    #[test]
    fn failures_are_remembered_by_line() {
        let mut cache = Cache::default();
        let mut woken = Vec::new();
        cache.fail(2, ReadFailure::UnsupportedRequest, 3, &mut woken);
        let mut bytes = [0; 8];
        assert_eq!(
            cache.copy(PhysAddr::new(0x88), &mut bytes, Interest::Needs),
            Lookup::Failed(PhysAddr::new(0x88), ReadFailure::UnsupportedRequest, 3)
        );
        assert_eq!(
            cache.copy(PhysAddr::new(0xc0), &mut bytes, Interest::Needs),
            Lookup::Missing
        );
    }

    #[test]
    fn a_guess_is_promoted_before_it_is_sent_and_confirmed_after() {
        let mut cache = Cache::default();
        let (mut guessed, mut wanted, mut promoted) = (Vec::new(), Vec::new(), Vec::new());
        cache.guess(PhysAddr::new(0x40), 128, 3, None, &mut guessed);
        assert_eq!(guessed, vec![1, 2]);
        let address = PhysAddr::new(0x40);
        cache.want(address, 8, 2, Some(7), &mut wanted, &mut promoted);
        assert!(wanted.is_empty());
        assert_eq!((promoted, cache.depth(1)), (vec![1], 2));
        assert!(cache.is_guess(1));
        cache.sent(LineRead::of(2));
        assert!(!cache.is_guess(2));
        assert_eq!(cache.unconfirmed(), 1);
        cache.store(2, &[5; 64], 3, &mut Vec::new());
        let mut bytes = [0; 8];
        cache.copy(PhysAddr::new(0x80), &mut bytes, Interest::Predicts);
        assert_eq!((cache.unconfirmed(), cache.consulted()), (0, 1));
        cache.copy(PhysAddr::new(0x80), &mut bytes, Interest::Needs);
        assert_eq!((cache.unconfirmed(), cache.consulted()), (0, 1));
        assert_eq!(
            (cache.needed_lines(), cache.consulted_lines()),
            (vec![2], vec![2])
        );
    }
}
