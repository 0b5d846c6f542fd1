//! Datagrams that wait for their time: a queue by deadline, so that a delay never holds up another datagram.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Things that wait, the earliest deadline first; equal deadlines in the order of arrival.
#[derive(Debug)]
pub(super) struct DelayQueue<T> {
    waiting: BinaryHeap<Waiting<T>>,
    arrivals: u64,
}

#[derive(Debug)]
struct Waiting<T> {
    due: Instant,
    arrival: u64,
    thing: T,
}

impl<T> DelayQueue<T> {
    pub(super) fn new() -> Self {
        Self {
            waiting: BinaryHeap::new(),
            arrivals: 0,
        }
    }

    /// Keeps `thing` until `due`.
    pub(super) fn push(&mut self, due: Instant, thing: T) {
        self.arrivals += 1;
        self.waiting.push(Waiting {
            due,
            arrival: self.arrivals,
            thing,
        });
    }

    /// The next thing whose time has come.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<T> {
        if self.next_due()? > now {
            return None;
        }
        self.waiting.pop().map(|waiting| waiting.thing)
    }

    /// When the next thing is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.waiting.peek().map(|waiting| waiting.due)
    }
}

impl<T> Waiting<T> {
    /// The heap's greatest comes out first: the earliest.
    fn key(&self) -> std::cmp::Reverse<(Instant, u64)> {
        std::cmp::Reverse((self.due, self.arrival))
    }
}

impl<T> PartialEq for Waiting<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Waiting<T> {}

impl<T> PartialOrd for Waiting<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Waiting<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn things_come_out_by_deadline_and_then_by_arrival() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut queue = DelayQueue::new();
        for (due, thing) in [(20, 'c'), (10, 'a'), (10, 'b')] {
            queue.push(at(due), thing);
        }
        assert_eq!(queue.next_due(), Some(at(10)));
        assert_eq!(queue.pop_due(at(9)), None);
        assert_eq!(queue.pop_due(at(10)), Some('a'));
        assert_eq!(queue.pop_due(at(30)), Some('b'));
        assert_eq!(queue.pop_due(at(30)), Some('c'));
        assert_eq!(queue.next_due(), None);
    }
}
