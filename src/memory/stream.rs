//! Ranges of memory → all their bytes, piece by piece, as fast as the memory's window allows: for what reads a lot and once.
//!
//! What is promised: every byte of the ranges is in exactly one piece that is handed over, with its bytes or with the reason why
//! there are none; a piece that failed stops nothing. The memory in between is that of what is in flight, not of the ranges.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use crate::addr::{PAGE_SIZE, PhysAddr, PhysRange};

use super::{PhysicalMemory, ReadFailure, ReadRequest};

/// Reads between the oldest that has no outcome and the youngest that was submitted: what one slow read may hold back.
const MOST_AHEAD: usize = 4096;

/// In which order pieces are handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As the ranges have them; pieces that come early are kept until it is their turn.
    #[default]
    Given,
    /// As they come: nothing is kept or copied.
    Arrival,
}

/// A piece of what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Where it is. Pieces do not cross multiples of their longest length, so the first and the last of a range may be shorter.
    pub range: PhysRange,
    /// Its bytes, as many as the range is long, or why there are none.
    pub outcome: Result<&'a [u8], ReadFailure>,
}

/// What was handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streamed {
    /// Pieces, failed ones included.
    pub pieces: u64,
    /// Bytes of the pieces that did not fail.
    pub bytes: u64,
    /// Pieces that failed.
    pub failed: u64,
}

/// How to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// In which order pieces are handed over.
    pub order: Order,
    /// Longest piece in bytes; `None`, or more than the memory's longest read: that.
    pub longest: Option<u32>,
}

impl Stream {
    /// Reads the ranges, in their order, and hands every piece to `take` until all are handed over or it breaks. Then what is in
    /// flight is waited for, and thrown away. The memory must have no other reads in flight.
    pub fn run(
        self,
        memory: &mut dyn PhysicalMemory,
        ranges: &[PhysRange],
        take: &mut dyn FnMut(Piece<'_>) -> ControlFlow<()>,
    ) -> Streamed {
        let limits = memory.limits();
        let longest = self
            .longest
            .unwrap_or(limits.max_read)
            .clamp(1, limits.max_read);
        let mut pieces = cut(ranges, u64::from(longest)).peekable();
        // The memory queues what its window does not admit: as much again, so that it never waits for us.
        let most_bytes = u64::from(limits.window_bytes) * 2;
        let most_reads = u64::from(limits.window_reads) * 2;
        let mut flight = Flight::new(self.order, take);
        loop {
            while let Some(range) = pieces.peek()
                && flight.admits(range.length(), most_bytes, most_reads)
            {
                memory.submit(flight.depart(*range));
                pieces.next();
            }
            let before = flight.reads;
            if before == 0 {
                break;
            }
            memory.complete(&mut |id, outcome| flight.arrive(id, outcome));
            debug_assert!(
                flight.reads < before,
                "a memory with reads in flight must complete one"
            );
            if flight.reads == before {
                break;
            }
        }
        flight.streamed
    }
}

/// The ranges in pieces that end at multiples of `longest` and of 4 KiB.
fn cut(ranges: &[PhysRange], longest: u64) -> impl Iterator<Item = PhysRange> + '_ {
    ranges.iter().flat_map(move |range| {
        let mut at = range.start;
        std::iter::from_fn(move || {
            let left = range
                .end
                .get()
                .checked_sub(at.get())
                .filter(|&left| left > 0)?;
            let to_page_end = PAGE_SIZE - at.page_offset();
            let length = left.min(longest - at.get() % longest).min(to_page_end);
            let piece = PhysRange::of_length(at, length)?;
            at = piece.end;
            Some(piece)
        })
    })
}

/// A piece that was submitted.
enum Slot {
    InFlight(PhysRange),
    /// It is here, and one before it is not.
    Early(PhysRange, Result<Vec<u8>, ReadFailure>),
    HandedOver,
}

/// The pieces between the oldest without an outcome and the youngest.
struct Flight<'t> {
    order: Order,
    take: &'t mut dyn FnMut(Piece<'_>) -> ControlFlow<()>,
    slots: VecDeque<Slot>,
    /// The id of the first slot's read.
    first: u64,
    /// In flight.
    reads: u64,
    bytes: u64,
    is_stopped: bool,
    streamed: Streamed,
}

impl<'t> Flight<'t> {
    fn new(order: Order, take: &'t mut dyn FnMut(Piece<'_>) -> ControlFlow<()>) -> Self {
        Self {
            order,
            take,
            slots: VecDeque::new(),
            first: 0,
            reads: 0,
            bytes: 0,
            is_stopped: false,
            streamed: Streamed::default(),
        }
    }

    fn admits(&self, length: u64, most_bytes: u64, most_reads: u64) -> bool {
        let fits = self.bytes + length <= most_bytes && self.reads < most_reads;
        !self.is_stopped && self.slots.len() < MOST_AHEAD && (fits || self.reads == 0)
    }

    fn depart(&mut self, range: PhysRange) -> ReadRequest {
        let id = self.first + self.slots.len() as u64;
        self.slots.push_back(Slot::InFlight(range));
        self.reads += 1;
        self.bytes += range.length();
        ReadRequest {
            id,
            address: range.start,
            // A piece is at most a page.
            length: range.length() as u32,
        }
    }

    fn arrive(&mut self, id: u64, outcome: Result<&[u8], ReadFailure>) {
        let index = id
            .checked_sub(self.first)
            .and_then(|index| usize::try_from(index).ok());
        let Some(slot) = index.and_then(|index| self.slots.get_mut(index)) else {
            return;
        };
        let Slot::InFlight(range) = *slot else {
            return;
        };
        self.reads -= 1;
        self.bytes -= range.length();
        if self.order == Order::Arrival || index == Some(0) {
            *slot = Slot::HandedOver;
            self.hand_over(range, outcome);
        } else {
            *slot = Slot::Early(range, outcome.map(<[u8]>::to_vec));
        }
        self.advance();
    }

    /// Hands over what was early and is not any more, and forgets the slots that are done with.
    fn advance(&mut self) {
        while let Some(slot) = self.slots.pop_front() {
            match slot {
                Slot::HandedOver => {}
                Slot::Early(range, outcome) => {
                    self.hand_over(range, outcome.as_deref().map_err(|failure| *failure));
                }
                Slot::InFlight(_) => {
                    self.slots.push_front(slot);
                    return;
                }
            }
            self.first += 1;
        }
    }

    fn hand_over(&mut self, range: PhysRange, outcome: Result<&[u8], ReadFailure>) {
        if self.is_stopped {
            return;
        }
        self.streamed.pieces += 1;
        match outcome {
            Ok(bytes) => self.streamed.bytes += bytes.len() as u64,
            Err(_) => self.streamed.failed += 1,
        }
        self.is_stopped = (self.take)(Piece { range, outcome }).is_break();
    }
}

/// The first `most` bytes of sorted ranges.
pub fn first_bytes(ranges: &[PhysRange], most: u64) -> Vec<PhysRange> {
    let mut left = most;
    let mut first = Vec::new();
    for range in ranges {
        let length = range.length().min(left);
        if length == 0 {
            continue;
        }
        left -= length;
        let end = PhysAddr::new(range.start.get() + length);
        first.push(PhysRange::new(range.start, end));
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Completion, Counters, Immediate, Limits, SparseMemory};

    /// Hands over one read a call, the youngest first, and watches how much is in flight.
    #[derive(Debug)]
    struct Backwards {
        inner: Immediate<SparseMemory>,
        limits: Limits,
        waiting: Vec<ReadRequest>,
        most: usize,
    }

    impl PhysicalMemory for Backwards {
        fn limits(&self) -> Limits {
            self.limits
        }

        fn submit(&mut self, read: ReadRequest) {
            assert!(read.length <= self.limits.max_read);
            self.waiting.push(read);
            self.most = self.most.max(self.waiting.len());
        }

        fn complete(&mut self, completion: &mut Completion<'_>) {
            if let Some(read) = self.waiting.pop() {
                self.inner.submit(read);
                self.inner.complete(completion);
            }
        }

        fn counters(&self) -> Counters {
            self.inner.counters()
        }
    }

    fn range(start: u64, end: u64) -> PhysRange {
        PhysRange::new(PhysAddr::new(start), PhysAddr::new(end))
    }

    /// Two pages of content from 0x1000 and nothing at 0x3000.
    fn memory(window_bytes: u32) -> Backwards {
        let mut sparse = SparseMemory::new();
        let content: Vec<u8> = (0..0x2000_u32).map(|at| (at / 7) as u8).collect();
        sparse.insert(PhysAddr::new(0x1000), &content);
        Backwards {
            inner: Immediate::new(sparse),
            limits: Limits {
                window_bytes,
                ..Limits::default()
            },
            waiting: Vec::new(),
            most: 0,
        }
    }

    type Taken = Vec<(u64, Result<Vec<u8>, ReadFailure>)>;

    fn all(memory: &mut Backwards, how: Stream, ranges: &[PhysRange]) -> (Taken, Streamed) {
        let mut taken = Vec::new();
        let streamed = how.run(memory, ranges, &mut |piece| {
            if let Ok(bytes) = piece.outcome {
                assert_eq!(bytes.len() as u64, piece.range.length());
            }
            taken.push((piece.range.start.get(), piece.outcome.map(<[u8]>::to_vec)));
            ControlFlow::Continue(())
        });
        (taken, streamed)
    }

    #[test]
    fn pieces_are_in_order_however_they_come() {
        let mut memory = memory(2048);
        let (taken, streamed) = all(&mut memory, Stream::default(), &[range(0x1010, 0x3000)]);
        let bytes: Vec<u8> = taken
            .iter()
            .flat_map(|(_, outcome)| outcome.clone().unwrap())
            .collect();
        let expected: Vec<u8> = (0x10..0x2000_u32).map(|at| (at / 7) as u8).collect();
        assert_eq!(bytes, expected);
        assert!(taken.is_sorted_by_key(|(at, _)| *at));
        assert_eq!(
            (taken[0].1.as_ref().unwrap().len(), taken[1].0),
            (0x1f0, 0x1200)
        );
        assert_eq!((streamed.pieces, streamed.bytes), (16, 0x1ff0));
        // Twice the window of four reads.
        assert_eq!(memory.most, 8);
    }

    #[test]
    fn as_they_come_nothing_waits_and_nothing_is_missing() {
        let how = Stream {
            order: Order::Arrival,
            longest: Some(64),
        };
        let mut memory = memory(1 << 20);
        let (mut taken, streamed) = all(
            &mut memory,
            how,
            &[range(0x2000, 0x2100), range(0x1000, 0x1040)],
        );
        assert_eq!(taken[0].0, 0x1000);
        taken.sort_by_key(|(at, _)| *at);
        let starts: Vec<u64> = taken.iter().map(|(at, _)| *at).collect();
        assert_eq!(starts, [0x1000, 0x2000, 0x2040, 0x2080, 0x20c0]);
        assert_eq!((streamed.pieces, streamed.bytes), (5, 0x140));
    }

    #[test]
    fn a_piece_that_fails_stops_nothing() {
        for order in [Order::Given, Order::Arrival] {
            let how = Stream {
                order,
                longest: Some(4096),
            };
            let (taken, streamed) = all(
                &mut memory(2048),
                how,
                &[range(0x2e00, 0x3100), range(0x1000, 0x1200)],
            );
            assert_eq!(
                (streamed.pieces, streamed.failed, streamed.bytes),
                (3, 1, 0x400)
            );
            let failed = taken.iter().find(|(_, outcome)| outcome.is_err()).unwrap();
            assert_eq!(failed, &(0x3000, Err(ReadFailure::NotInImage)));
        }
    }

    #[test]
    fn the_taker_can_stop_and_the_memory_is_left_idle() {
        for order in [Order::Given, Order::Arrival] {
            let how = Stream {
                order,
                longest: None,
            };
            let mut memory = memory(2048);
            let mut count = 0;
            let streamed = how.run(&mut memory, &[range(0x1000, 0x3000)], &mut |_| {
                count += 1;
                if count == 3 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
            assert_eq!((count, streamed.pieces), (3, 3));
            assert!(memory.waiting.is_empty());
            // In the given order the last read that comes is the first piece, and all others are here by then.
            assert!(order == Order::Given || memory.counters().reads < 16);
        }
    }

    #[test]
    fn nothing_is_read_of_nothing() {
        let (taken, streamed) = all(
            &mut memory(2048),
            Stream::default(),
            &[range(0x1000, 0x1000)],
        );
        assert_eq!((taken.len(), streamed), (0, Streamed::default()));
    }

    #[test]
    fn the_first_bytes_of_ranges() {
        let ranges = [range(0x1000, 0x2000), range(0x8000, 0x9000)];
        assert_eq!(first_bytes(&ranges, 0x800), [range(0x1000, 0x1800)]);
        assert_eq!(
            first_bytes(&ranges, 0x1001),
            [range(0x1000, 0x2000), range(0x8000, 0x8001)]
        );
        assert_eq!(first_bytes(&ranges, u64::MAX), ranges);
    }
}
