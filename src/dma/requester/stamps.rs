//! What the adapter's sequence numbers, clock and ports tell about a datagram: duplicate, stale, astray.

use std::time::Duration;

use crate::dma::Moment;
use crate::wire::{NettlpRepr, Sequence, Timestamp};

/// Stamps remembered a tag.
const REMEMBERED: usize = 16;

/// The stamps of the completions that were used last under one tag.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    stamps: [NettlpRepr; REMEMBERED],
    filled: usize,
    next: usize,
}

impl Seen {
    /// Remembers a stamp, in place of the oldest.
    pub(super) fn insert(&mut self, stamp: NettlpRepr) {
        self.stamps[self.next] = stamp;
        self.next = (self.next + 1) % REMEMBERED;
        self.filled = (self.filled + 1).min(REMEMBERED);
    }

    /// Whether the stamp is one of those remembered. One flipped bit in the timestamp does not hide a duplicate: the same
    /// sequence number comes back only 65 536 completions later, when the clock differs in more than a bit.
    pub(super) fn contains(&self, stamp: NettlpRepr) -> bool {
        !stamp.is_unstamped()
            && self.stamps.iter().take(self.filled).any(|seen| {
                let Timestamp(ours) = seen.timestamp;
                let Timestamp(theirs) = stamp.timestamp;
                seen.sequence == stamp.sequence && (ours ^ theirs).count_ones() <= 1
            })
    }
}

/// Stamps that the floor is the median of.
const SAMPLES: usize = 5;

/// How long a floor holds: far below the 13.7 s after which "earlier" and "later" change places.
const FLOOR_LASTS: Duration = Duration::from_secs(8);

/// What the adapter's clock showed lately. A request's answers are stamped after it; what is stamped before is a leftover of an
/// earlier request with the same tag.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stamps {
    last: [NettlpRepr; SAMPLES],
    /// How many of `last` are filled.
    filled: usize,
    next: usize,
    updated: Moment,
}

impl Stamps {
    /// Takes the stamp of a completion that was used.
    pub(super) fn insert(&mut self, stamp: NettlpRepr, now: Moment) {
        if stamp.is_unstamped() {
            return;
        }
        if now.since(self.updated) > FLOOR_LASTS {
            self.reset();
        }
        self.last[self.next] = stamp;
        self.next = (self.next + 1) % SAMPLES;
        self.filled = (self.filled + 1).min(SAMPLES);
        self.updated = now;
    }

    /// A stamp that the adapter had surely passed by now. The median of the last five (the lower one while there are fewer), so
    /// that a flipped bit in one or two of them neither lifts it into the future nor drops it.
    pub(super) fn floor(&self, now: Moment) -> Option<NettlpRepr> {
        if now.since(self.updated) > FLOOR_LASTS {
            return None;
        }
        let mut last = self.last;
        let sorted = last.get_mut(..self.filled)?;
        let reference = sorted.first()?.timestamp;
        sorted.sort_unstable_by_key(|stamp| {
            let Sequence(sequence) = stamp.sequence;
            (reference.ticks_to(stamp.timestamp), sequence)
        });
        sorted.get((self.filled - 1) / 2).copied()
    }

    /// Forgets everything: the adapter's clock was not what it seemed, or the adapter started anew.
    pub(super) fn reset(&mut self) {
        self.filled = 0;
        self.next = 0;
    }
}

/// Completions that came to another tag's port before the adapter is known to choose ports badly.
const FEW: u32 = 8;
/// And their share: more than one in this many.
const SHARE: u32 = 8;
/// Completions after which older ones count half.
const HALVED_AT: u32 = 1024;

/// Whether the port that a completion came to may be used as evidence.
///
/// Completions are matched by the TLP's tag. The adapter also derives the port from the tag, so a completion whose tag and port
/// disagree has most likely a flipped bit in its tag and would be taken for another read's: it is refused and asked for again.
/// But the adapter samples the port at a moment when it can be wrong; one that does so often is found out here, and then
/// the tag alone decides.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Routing {
    agreed: u32,
    disagreed: u32,
}

impl Routing {
    /// Takes a completion that is right in everything else; whether to use it.
    pub(super) fn admits(&mut self, agrees: bool) -> bool {
        if self.agreed + self.disagreed >= HALVED_AT {
            self.agreed /= 2;
            self.disagreed /= 2;
        }
        if agrees {
            self.agreed += 1;
            return true;
        }
        self.disagreed += 1;
        self.disagreed > FEW && self.disagreed * SHARE > self.agreed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(sequence: u16, timestamp: u32) -> NettlpRepr {
        NettlpRepr {
            sequence: Sequence(sequence),
            timestamp: Timestamp(timestamp),
        }
    }

    #[test]
    fn duplicates_are_found_through_one_flipped_clock_bit() {
        let mut seen = Seen::default();
        seen.insert(stamp(5, 0x1000));
        assert!(seen.contains(stamp(5, 0x1000)));
        assert!(seen.contains(stamp(5, 0x1000 ^ 1 << 31)));
        assert!(!seen.contains(stamp(6, 0x1000)));
        assert!(!seen.contains(stamp(5, 0x1003)));
        assert!(!seen.contains(stamp(0, 0)) && !seen.contains(stamp(0, 1)));
        for sequence in 100..116 {
            seen.insert(stamp(sequence, 0x2000));
        }
        assert!(!seen.contains(stamp(5, 0x1000)));
    }

    #[test]
    fn the_floor_is_a_median_over_the_wrap_that_one_flipped_bit_does_not_move() {
        let mut stamps = Stamps::default();
        let start = Moment::START;
        assert_eq!(stamps.floor(start), None);
        for (sequence, ticks) in [(0xfffe, -20), (0xffff, -10), (0, 4), (1, 10)] {
            stamps.insert(stamp(sequence, ticks as u32), start);
        }
        assert_eq!(stamps.floor(start), Some(stamp(0xffff, -10_i32 as u32)));
        stamps.insert(stamp(2, 20 | 1 << 30), start);
        assert_eq!(stamps.floor(start), Some(stamp(0, 4)));
        let later = start + Duration::from_secs(9);
        assert_eq!(stamps.floor(later), None);
        stamps.insert(stamp(3, 30), later);
        assert_eq!(stamps.floor(later), Some(stamp(3, 30)));
        stamps.reset();
        assert_eq!(stamps.floor(later), None);
    }

    #[test]
    fn ports_are_evidence_until_the_adapter_is_known_to_choose_them_badly() {
        let mut routing = Routing::default();
        for _ in 0..500 {
            for _ in 0..99 {
                assert!(routing.admits(true));
            }
            assert!(!routing.admits(false));
        }
        let mut routing = Routing::default();
        let refused = (0..100).filter(|_| !routing.admits(false)).count();
        assert_eq!(refused, FEW as usize);
    }
}
