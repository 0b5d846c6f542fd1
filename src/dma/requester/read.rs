//! Reads in progress: a buffer and a bitmap each, used again and again.

use std::ops::Range;

use crate::addr::PhysAddr;
use crate::dma::Moment;
use crate::memory::ReadRequest;

use super::bitmap::Bitmap;

/// Names a read in progress; a key of a read that has ended finds nothing, even after its place was given to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ReadKey {
    slot: u32,
    generation: u32,
}

/// A read in progress.
#[derive(Debug)]
pub(super) struct Read {
    /// The caller's name for it.
    pub(super) id: u64,
    pub(super) address: PhysAddr,
    pub(super) length: u16,
    pub(super) issued: Moment,
    pub(super) deadline: Moment,
    /// Whether its outcome is known and waits to be handed over.
    pub(super) is_settled: bool,
    generation: u32,
    is_used: bool,
    missing: u16,
    buffer: Box<[u8]>,
    present: Bitmap,
}

impl Read {
    fn new(max_read: u32) -> Self {
        Self {
            id: 0,
            address: PhysAddr::new(0),
            length: 0,
            issued: Moment::START,
            deadline: Moment::START,
            is_settled: false,
            generation: 0,
            is_used: false,
            missing: 0,
            buffer: vec![0; max_read as usize].into(),
            present: Bitmap::new(max_read),
        }
    }

    /// The bytes read.
    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.get(..usize::from(self.length)).unwrap_or(&[])
    }

    /// Whether every byte has arrived.
    pub(super) const fn is_whole(&self) -> bool {
        self.missing == 0
    }

    /// Puts `data` at `offset`, except over bytes that arrived before: the read keeps what it saw first.
    pub(super) fn place(&mut self, offset: u16, data: &[u8]) {
        let start = usize::from(offset);
        let Some(place) = self.buffer.get_mut(start..start + data.len()) else {
            return;
        };
        let range = offset..offset + data.len() as u16;
        if self.present.is_empty(range.clone()) {
            place.copy_from_slice(data);
        } else {
            for ((at, place), byte) in (offset..).zip(place).zip(data) {
                if !self.present.contains(at) {
                    *place = *byte;
                }
            }
        }
        self.missing -= self.present.insert(range).min(self.missing);
    }

    /// Forgets the bytes of `range`.
    pub(super) fn forget(&mut self, range: Range<u16>) {
        self.missing += self.present.remove(range);
    }

    /// Whether a byte of `range` is missing.
    pub(super) fn lacks_any(&self, range: Range<u16>) -> bool {
        !self.is_settled && self.missing_within(range).is_some()
    }

    /// From the first to the last missing byte of `range`; `None` where none is missing.
    pub(super) fn missing_within(&self, range: Range<u16>) -> Option<Range<u16>> {
        self.present.gap(range)
    }
}

/// All reads in progress.
#[derive(Debug)]
pub(super) struct Reads {
    max_read: u32,
    slots: Vec<Read>,
    free: Vec<u32>,
    /// Reads without an outcome.
    active: usize,
}

impl Reads {
    /// No reads; their buffers will hold `max_read` bytes.
    pub(super) const fn new(max_read: u32) -> Self {
        Self {
            max_read,
            slots: Vec::new(),
            free: Vec::new(),
            active: 0,
        }
    }

    /// Reads without an outcome.
    pub(super) const fn active(&self) -> usize {
        self.active
    }

    /// Starts a read, in a slot that was used before if there is one.
    pub(super) fn admit(
        &mut self,
        request: &ReadRequest,
        now: Moment,
        deadline: Moment,
    ) -> ReadKey {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Read::new(self.max_read));
            (self.slots.len() - 1) as u32
        });
        self.active += 1;
        let read = &mut self.slots[slot as usize];
        read.id = request.id;
        read.address = request.address;
        // A read is at most 4096 bytes: the requester checked.
        read.length = request.length as u16;
        read.missing = read.length;
        read.issued = now;
        read.deadline = deadline;
        read.is_settled = false;
        read.is_used = true;
        read.present.clear();
        ReadKey {
            slot,
            generation: read.generation,
        }
    }

    /// The read of this name, if it has not been released.
    pub(super) fn get(&self, key: ReadKey) -> Option<&Read> {
        let read = self.slots.get(key.slot as usize)?;
        (read.is_used && read.generation == key.generation).then_some(read)
    }

    /// The same, to change it.
    pub(super) fn get_mut(&mut self, key: ReadKey) -> Option<&mut Read> {
        let read = self.slots.get_mut(key.slot as usize)?;
        (read.is_used && read.generation == key.generation).then_some(read)
    }

    /// The read of this name, if it still waits for bytes.
    pub(super) fn unsettled(&mut self, key: ReadKey) -> Option<&mut Read> {
        self.get_mut(key).filter(|read| !read.is_settled)
    }

    /// Notes that one more read has its outcome.
    pub(super) const fn settle(&mut self) {
        self.active = self.active.saturating_sub(1);
    }

    /// Frees a read's slot.
    pub(super) fn release(&mut self, key: ReadKey) {
        if let Some(read) = self.get_mut(key) {
            read.is_used = false;
            read.generation = read.generation.wrapping_add(1);
            self.free.push(key.slot);
        }
    }

    /// A read that still waits for bytes though its deadline has come; and when it was first sent.
    pub(super) fn first_expired(&self, now: Moment) -> Option<(ReadKey, Moment)> {
        self.unsettled_reads()
            .find(|(_, read)| read.deadline <= now)
            .map(|(key, read)| (key, read.issued))
    }

    /// Any read that still waits for bytes.
    pub(super) fn first_unsettled(&self) -> Option<ReadKey> {
        self.unsettled_reads().next().map(|(key, _)| key)
    }

    /// The earliest deadline of a read that still waits for bytes.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.unsettled_reads().map(|(_, read)| read.deadline).min()
    }

    fn unsettled_reads(&self) -> impl Iterator<Item = (ReadKey, &Read)> {
        self.slots.iter().enumerate().filter_map(|(slot, read)| {
            let key = ReadKey {
                slot: slot as u32,
                generation: read.generation,
            };
            (read.is_used && !read.is_settled).then_some((key, read))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(length: u32) -> ReadRequest {
        ReadRequest {
            id: 7,
            address: PhysAddr::new(0x1000),
            length,
        }
    }

    #[test]
    fn bytes_are_placed_in_any_order_and_first_come_stays() {
        let mut reads = Reads::new(512);
        let key = reads.admit(&request(130), Moment::START, Moment::START);
        let read = reads.get_mut(key).unwrap();
        read.place(100, &[2; 30]);
        assert_eq!(read.missing_within(0..130), Some(0..100));
        assert_eq!(read.missing_within(90..130), Some(90..100));
        read.place(60, &[1; 50]);
        read.place(0, &[3; 60]);
        assert!(read.is_whole() && !read.lacks_any(0..130));
        assert_eq!(read.bytes()[55..65], [3, 3, 3, 3, 3, 1, 1, 1, 1, 1]);
        assert_eq!(read.bytes()[98..102], [1, 1, 2, 2]);
        read.forget(10..20);
        assert_eq!(read.missing_within(0..130), Some(10..20));
    }

    #[test]
    fn a_key_of_an_ended_read_finds_nothing() {
        let mut reads = Reads::new(512);
        let key = reads.admit(&request(4), Moment::START, Moment::START);
        reads.settle();
        reads.release(key);
        reads.release(key);
        let next = reads.admit(&request(4), Moment::START, Moment::START);
        assert!(reads.get(key).is_none() && reads.get(next).is_some());
        assert_eq!((next.slot, reads.active()), (0, 1));
        let another = reads.admit(&request(4), Moment::START, Moment::START);
        assert_eq!(another.slot, 1);
    }
}
