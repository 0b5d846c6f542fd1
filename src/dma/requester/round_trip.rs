//! How long to wait for an answer: a smoothed round-trip time and its variation (RFC 6298, with the bounds of a machine room).

use std::time::Duration;

/// Before anything is known: twenty times the worst round trip ever published for the adapter (48 µs).
const FIRST: Duration = Duration::from_millis(1);
/// Never less, so that an interrupt's delay is not taken for a loss.
const LEAST: Duration = Duration::from_micros(200);
/// Never more: PCIe completers answer within 50 ms or not at all.
const MOST: Duration = Duration::from_millis(50);
/// Never more while others are answered: what is missing was lost, and many tries are what gets a read through heavy loss.
const MOST_WHILE_ALIVE: Duration = Duration::from_millis(20);

/// Answers after which most of the longest time is forgotten.
const FORGOTTEN_AFTER: u32 = 512;

/// Answers in a row that came too late before they are believed to be the rule.
const LATE_IN_A_ROW: u32 = 4;

/// The estimate. Answers are matched by tag, so each is an unambiguous sample.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RoundTrip {
    /// Smoothed time and its mean deviation; `None` before the first sample.
    estimate: Option<(Duration, Duration)>,
    /// The longest time of late; less with every answer, so that pauses of the other end are remembered for a while.
    longest: Duration,
    /// Answers that came after their request had been given up, since the last one that came in time.
    late: u32,
}

impl RoundTrip {
    /// Takes the time between a request and its last completion. Single late answers were stuck somewhere and say nothing; where
    /// all are late, the path is slower than believed.
    pub(super) fn sample(&mut self, time: Duration, is_late: bool) {
        self.late = if is_late {
            self.late.saturating_add(1)
        } else {
            0
        };
        if is_late && self.late < LATE_IN_A_ROW {
            return;
        }
        self.estimate = Some(match self.estimate {
            None => (time, time / 2),
            Some((smoothed, deviation)) => {
                // One pause of this program must not slow recovery down for long.
                let time = time.min(self.timeout() * 8);
                self.longest -= self.longest / FORGOTTEN_AFTER;
                self.longest = self.longest.max(time);
                let off = smoothed.abs_diff(time);
                ((smoothed * 7 + time) / 8, (deviation * 3 + off) / 4)
            }
        });
    }

    /// The smoothed time, where known.
    pub(super) fn smoothed(&self) -> Option<Duration> {
        self.estimate.map(|(smoothed, _)| smoothed)
    }

    /// How long to wait for the answer to a first request.
    pub(super) fn timeout(&self) -> Duration {
        let wanted = match self.estimate {
            None => FIRST,
            Some((smoothed, deviation)) => smoothed + deviation * 4,
        };
        wanted.clamp(LEAST, MOST)
    }

    /// How long the other end may pause: somewhat longer than it did of late.
    pub(super) fn pause(&self) -> Duration {
        (self.longest + self.longest / 4).min(MOST)
    }

    /// How long to wait for the answer after `round` tries that had none: twice as long each time, within bounds.
    pub(super) fn timeout_of_round(&self, round: u8, is_alive: bool) -> Duration {
        let most = if is_alive { MOST_WHILE_ALIVE } else { MOST };
        let first = self.timeout();
        (first * (1 << round.min(10))).min(most.max(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn micros(number: u64) -> Duration {
        Duration::from_micros(number)
    }

    #[test]
    fn starts_at_a_millisecond_and_follows_the_samples() {
        let mut round_trip = RoundTrip::default();
        assert_eq!(round_trip.timeout(), micros(1000));
        for _ in 0..50 {
            round_trip.sample(micros(12), false);
        }
        assert_eq!(round_trip.timeout(), LEAST);
        for _ in 0..3 {
            round_trip.sample(micros(3000), true);
        }
        assert_eq!(round_trip.timeout(), LEAST);
        for _ in 0..100 {
            round_trip.sample(micros(3000), true);
        }
        assert!(round_trip.timeout() > micros(3000) && round_trip.timeout() < micros(5000));
        for _ in 0..100 {
            round_trip.sample(Duration::from_secs(3), false);
        }
        assert_eq!(round_trip.timeout(), MOST);
    }

    #[test]
    fn backs_off_twofold_and_within_bounds() {
        let round_trip = RoundTrip::default();
        let times = |is_alive| {
            [0, 1, 2, 4, 5, 6, 255]
                .map(|round| round_trip.timeout_of_round(round, is_alive).as_millis())
        };
        assert_eq!(times(false), [1, 2, 4, 16, 32, 50, 50]);
        assert_eq!(times(true), [1, 2, 4, 16, 20, 20, 20]);
    }
}
