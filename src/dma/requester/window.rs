//! How much may be in flight: additive increase, multiplicative decrease on losses, between a floor and what was allowed.
//!
//! A full buffer loses many datagrams of a window, a bad cable one here and there; only the former is mended by sending less. So
//! the window is halved where losses are frequent among the last requests, not for a single one.

use std::time::Duration;

use crate::dma::Moment;

/// The window never shrinks below this many bytes: four reads of 512 keep the round trips overlapping.
const FLOOR: u32 = 2048;

/// Lost among the last 32 requests, so many halve the window. Where a network loses one datagram in twenty, whatever the window,
/// a read of 512 bytes (three datagrams) is lost in one of seven cases: five of 32.
const FREQUENT: u32 = 10;

/// Bytes and requests in flight, and how many bytes may be.
#[derive(Debug)]
pub(super) struct Window {
    most: u32,
    floor: u32,
    /// What a window full of answers adds, in bytes.
    step: u32,
    allowed: u32,
    bytes: u32,
    requests: u32,
    /// The last requests, latest in bit 0; set: lost.
    history: u32,
    /// No second halving before this: losses come in groups.
    halve_after: Moment,
}

impl Window {
    /// A fully open window of `most` bytes.
    pub(super) fn new(most: u32, max_read: u32) -> Self {
        Self {
            most,
            floor: FLOOR.max(max_read).min(most),
            step: max_read,
            allowed: most,
            bytes: 0,
            requests: 0,
            history: 0,
            halve_after: Moment::START,
        }
    }

    /// The most that was allowed from the start.
    pub(super) const fn most_bytes(&self) -> u32 {
        self.most
    }

    /// Whether a request of `length` bytes may be sent now; one always may when none is in flight.
    pub(super) const fn admits(&self, length: u16, most_requests: u32) -> bool {
        self.requests == 0
            || self.requests < most_requests && self.bytes + length as u32 <= self.allowed
    }

    /// How many of the last 32 requests were lost.
    pub(super) const fn recent_losses(&self) -> u32 {
        self.history.count_ones()
    }

    /// Counts a request in.
    pub(super) const fn add(&mut self, length: u16) {
        self.bytes += length as u32;
        self.requests += 1;
    }

    /// Counts a request out.
    pub(super) const fn remove(&mut self, length: u16) {
        self.bytes = self.bytes.saturating_sub(length as u32);
        self.requests = self.requests.saturating_sub(1);
    }

    /// Opens a little, for `length` bytes that were answered.
    pub(super) fn answered(&mut self, length: u16) {
        self.history <<= 1;
        let more = u64::from(self.step) * u64::from(length) / u64::from(self.allowed.max(1));
        self.allowed = self
            .allowed
            .saturating_add(more.max(1) as u32)
            .min(self.most);
    }

    /// Takes a loss; halves if there were many, once in `round_trip`.
    pub(super) fn lost(&mut self, now: Moment, round_trip: Duration) {
        self.history = self.history << 1 | 1;
        if self.history.count_ones() >= FREQUENT && now >= self.halve_after {
            self.history = 0;
            self.allowed = (self.allowed / 2).max(self.floor);
            self.halve_after = now + round_trip;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_once_a_round_trip_down_to_the_floor_and_grows_back() {
        let mut window = Window::new(16_384, 512);
        let trip = Duration::from_micros(100);
        let lose = |window: &mut Window, round| {
            for _ in 0..FREQUENT {
                window.lost(Moment::START + trip * round, trip);
            }
        };
        lose(&mut window, 0);
        lose(&mut window, 0);
        assert_eq!(window.allowed, 8192);
        for round in 1..10 {
            lose(&mut window, round);
        }
        assert_eq!(window.allowed, FLOOR);
        // A window full of answers adds one read.
        for _ in 0..4 {
            window.answered(512);
        }
        assert!(
            (2500..=2560).contains(&window.allowed),
            "{}",
            window.allowed
        );
        for _ in 0..2000 {
            window.answered(512);
        }
        assert_eq!(window.allowed, 16_384);
    }

    #[test]
    fn a_loss_here_and_there_changes_nothing() {
        let mut window = Window::new(16_384, 512);
        for round in 0..100 {
            window.lost(Moment::START + Duration::from_millis(round), Duration::ZERO);
            for _ in 0..8 {
                window.answered(512);
            }
        }
        assert_eq!(window.allowed, 16_384);
    }

    #[test]
    fn bounds_bytes_and_requests_but_never_stops() {
        let mut window = Window::new(4096, 4096);
        assert!(window.admits(4096, 192));
        window.add(4096);
        assert!(!window.admits(1, 192));
        window.remove(4096);
        for _ in 0..192 {
            assert!(window.admits(8, 192));
            window.add(8);
        }
        assert!(!window.admits(8, 192));
        window.remove(8);
        assert!(window.admits(8, 192));
    }
}
