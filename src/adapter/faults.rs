//! What a bad network does to datagrams, decided by a seed.

use std::str::FromStr;
use std::time::Duration;

/// A probability, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Probability(f64);

/// A text is not a probability.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a probability, such as 5% or 0.05")]
pub struct ProbabilityError(String);

impl Probability {
    /// Never.
    pub const NEVER: Self = Self(0.0);

    /// The probability `value`, or `None` outside 0 to 1.
    pub fn new(value: f64) -> Option<Self> {
        (0.0..=1.0).contains(&value).then_some(Self(value))
    }
}

impl FromStr for Probability {
    type Err = ProbabilityError;

    /// Reads `5%` or `0.05`.
    fn from_str(text: &str) -> Result<Self, ProbabilityError> {
        let refused = || ProbabilityError(text.to_owned());
        let (number, scale) = match text.trim().strip_suffix('%') {
            Some(percent) => (percent.trim_end(), 100.0),
            None => (text.trim(), 1.0),
        };
        let value: f64 = number.parse().map_err(|_| refused())?;
        Self::new(value / scale).ok_or_else(refused)
    }
}

/// How often what happens. Decisions follow from the seed and the order of datagrams, nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// A datagram is lost, a request as well as a completion.
    pub drop: Probability,
    /// A completion arrives twice, the second time up to 1 ms later.
    pub duplicate: Probability,
    /// A completion is held back for up to 300 µs, so that later ones pass it.
    pub reorder: Probability,
    /// One bit of a completion's header flips. Data stay whole: they have no checksum but Ethernet's, so nobody could tell.
    pub corrupt: Probability,
    /// Where the decisions start.
    pub seed: u64,
}

/// Bytes in which [`Faults::corrupt`] flips a bit: NetTLP header and completion header.
const HEADERS: u64 = 18;
/// Longest time that a completion is held back, in microseconds.
const LONGEST_HOLD: u64 = 300;
/// Longest time between a completion and its duplicate, in microseconds.
const LATEST_DUPLICATE: u64 = 1000;

/// What happens to one completion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fate {
    /// It is lost.
    pub(super) lost: bool,
    /// It is held back for this long.
    pub(super) held: Option<Duration>,
    /// It comes again after this long.
    pub(super) again: Option<Duration>,
    /// This bit flips, counted from the datagram's first byte's lowest bit.
    pub(super) flipped: Option<u64>,
}

/// The decisions in their order.
#[derive(Debug)]
pub(super) struct Fortune {
    faults: Faults,
    random: fastrand::Rng,
}

impl Fortune {
    pub(super) fn new(faults: Faults) -> Self {
        Self {
            faults,
            random: fastrand::Rng::with_seed(faults.seed),
        }
    }

    /// Whether the next request is lost.
    pub(super) fn loses_request(&mut self) -> bool {
        self.happens(self.faults.drop)
    }

    /// What happens to the next completion.
    pub(super) fn fate(&mut self) -> Fate {
        let faults = self.faults;
        let lost = self.happens(faults.drop);
        let held = self.happens(faults.reorder);
        let again = self.happens(faults.duplicate);
        let flipped = self.happens(faults.corrupt);
        Fate {
            lost,
            held: held.then(|| Duration::from_micros(20 + self.below(LONGEST_HOLD - 20))),
            again: again.then(|| Duration::from_micros(self.below(LATEST_DUPLICATE))),
            flipped: flipped.then(|| self.below(HEADERS * 8)),
        }
    }

    fn happens(&mut self, probability: Probability) -> bool {
        probability != Probability::NEVER && self.random.f64() < probability.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.random.u64(..limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_read_as_percent_or_fraction() {
        let read = |text: &str| text.parse::<Probability>();
        assert_eq!(read("5%"), read("0.05"));
        assert_eq!(read(" 100 % "), Ok(Probability(1.0)));
        assert_eq!(read("0"), Ok(Probability::NEVER));
        for wrong in ["5", "101%", "-1%", "five", "", "%", "nan", "inf"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    fn bad_network() -> Faults {
        Faults {
            drop: Probability(0.1),
            duplicate: Probability(0.2),
            reorder: Probability(0.3),
            corrupt: Probability(0.4),
            seed: 7,
        }
    }

    #[test]
    fn the_same_seed_decides_the_same_and_about_as_often_as_asked() {
        let fates = || {
            let mut fortune = Fortune::new(bad_network());
            std::iter::repeat_with(move || fortune.fate())
                .take(10_000)
                .collect::<Vec<Fate>>()
        };
        assert_eq!(fates(), fates());
        let share = |happened: fn(&Fate) -> bool| {
            fates().iter().filter(|fate| happened(fate)).count() as f64 / 10_000.0
        };
        assert!((share(|fate| fate.lost) - 0.1).abs() < 0.02);
        assert!((share(|fate| fate.again.is_some()) - 0.2).abs() < 0.02);
        assert!((share(|fate| fate.held.is_some()) - 0.3).abs() < 0.02);
        assert!((share(|fate| fate.flipped.is_some()) - 0.4).abs() < 0.02);
        assert!(
            fates()
                .iter()
                .all(|fate| fate.flipped.unwrap_or(0) < HEADERS * 8)
        );
    }

    #[test]
    fn without_faults_nothing_happens() {
        let mut fortune = Fortune::new(Faults::default());
        assert!((0..1000).all(|_| fortune.fate() == Fate::default() && !fortune.loses_request()));
    }
}
