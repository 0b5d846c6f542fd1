//! When a request is held lost: by what was answered since, not by the clock alone.
//!
//! Up to 192 requests queue on their way, and the adapter may be a program that others keep from running, so how long an answer
//! takes says little. But requests are answered about in the order in which they were sent: when one that was sent well after
//! this one is answered and this one is not, it was lost (as RACK has it for TCP, RFC 8985, but with the distance counted between
//! the requests, so that a pause of the adapter adds nothing to it). Where nothing at all is answered for the time-out, only
//! the oldest requests are repeated; the answer to one of them then tells about the rest.

use std::collections::VecDeque;
use std::time::Duration;

use crate::dma::Moment;
use crate::wire::Tag;

use super::attempt::Attempt;

/// A request is held lost when one sent this much later was answered: datagrams that take different ways through network cards
/// overtake each other by an interrupt's delay.
const LEAST_TOLERANCE: Duration = Duration::from_micros(100);
/// Never more tolerance than this, whatever was overtaken.
const MOST_TOLERANCE: Duration = Duration::from_millis(2);
/// Answers in order after which most of a greater tolerance is gone.
const FORGOTTEN_AFTER: u32 = 8192;

/// Rounds whose requests are held lost by evidence without further waiting; later ones wait twice as long each time, so that an
/// address that is never answered does not use all tags.
pub(super) const PROMPT_ROUNDS: u8 = 2;

/// What answers tell about requests that have none.
#[derive(Debug)]
pub(super) struct Evidence {
    /// When the request was sent that was sent last of all that were answered.
    newest: Moment,
    tolerance: Duration,
    /// Requests of prompt rounds, in the order of sending; those that were answered are taken out when they come first.
    sent: VecDeque<(u64, Tag)>,
    /// When requests were repeated last because nothing was answered, and how often since the last answer.
    probed: Moment,
    probes: u8,
}

impl Default for Evidence {
    fn default() -> Self {
        Self {
            newest: Moment::START,
            tolerance: LEAST_TOLERANCE,
            sent: VecDeque::new(),
            probed: Moment::START,
            probes: 0,
        }
    }
}

impl Evidence {
    /// Notes a request that was sent.
    pub(super) fn sent(&mut self, tag: Tag, attempt: &Attempt) {
        if attempt.piece.round < PROMPT_ROUNDS {
            self.sent.push_back((attempt.number, tag));
        }
    }

    /// Notes the last completion for a request.
    pub(super) fn answered(&mut self, attempt: &Attempt) {
        self.probes = 0;
        let overtaken_by = self.newest.since(attempt.issued);
        if overtaken_by.is_zero() {
            self.newest = attempt.issued;
            self.tolerance -= (self.tolerance - LEAST_TOLERANCE) / FORGOTTEN_AFTER;
        } else {
            let wanted = (overtaken_by + overtaken_by / 4).min(MOST_TOLERANCE);
            self.tolerance = self.tolerance.max(wanted);
        }
    }

    /// Whether a request was lost, given what later ones tell; one of a late round is, if one was answered that was sent `patience`
    /// later.
    pub(super) fn is_lost(&self, attempt: &Attempt, patience: Duration) -> bool {
        self.newest >= attempt.issued + self.tolerance.max(patience)
    }

    /// The oldest request of a prompt round that is in flight, given how to look attempts up.
    pub(super) fn oldest<'a>(
        &mut self,
        in_flight: impl Fn(Tag) -> Option<&'a Attempt>,
    ) -> Option<&'a Attempt> {
        while let Some((number, tag)) = self.sent.front() {
            let attempt = in_flight(*tag).filter(|attempt| attempt.number == *number);
            if attempt.is_some() {
                return attempt;
            }
            self.sent.pop_front();
        }
        None
    }

    /// Notes that requests are repeated because nothing was answered.
    pub(super) fn probed(&mut self, now: Moment) {
        self.probed = now;
        self.probes = self.probes.saturating_add(1);
    }

    /// When requests were repeated last because nothing was answered, and how often since the last answer.
    pub(super) const fn last_probe(&self) -> (Moment, u8) {
        (self.probed, self.probes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The n-th of requests sent 10 µs apart.
    fn request(number: u64) -> Attempt {
        Attempt {
            number,
            issued: Moment::START + Duration::from_micros(10 * number),
            ..Attempt::default()
        }
    }

    #[test]
    fn a_request_is_lost_when_one_sent_well_after_it_was_answered() {
        let mut evidence = Evidence::default();
        evidence.answered(&request(19));
        assert!(!evidence.is_lost(&request(10), Duration::ZERO));
        evidence.answered(&request(20));
        assert!(evidence.is_lost(&request(10), Duration::ZERO));
        assert!(!evidence.is_lost(&request(11), Duration::ZERO));
        // What was repeated often waits longer.
        assert!(!evidence.is_lost(&request(10), Duration::from_millis(1)));
        assert!(!evidence.is_lost(&request(20), Duration::ZERO));
    }

    #[test]
    fn an_answer_that_was_overtaken_by_more_is_waited_for_from_then_on_and_not_for_ever() {
        let mut evidence = Evidence::default();
        evidence.answered(&request(100));
        evidence.answered(&request(60));
        assert!(!evidence.is_lost(&request(51), Duration::ZERO));
        assert!(evidence.is_lost(&request(50), Duration::ZERO));
        for number in 101..60_000 {
            evidence.answered(&request(number));
        }
        assert!(evidence.is_lost(&request(59_980), Duration::ZERO));
    }

    #[test]
    fn the_oldest_in_flight_is_found_past_those_that_were_answered() {
        let mut evidence = Evidence::default();
        let requests: Vec<Attempt> = (0..4).map(request).collect();
        for (tag, attempt) in (0..).zip(&requests) {
            evidence.sent(Tag::new(tag), attempt);
        }
        let in_flight = |tag: Tag| (tag.get() >= 2).then(|| &requests[usize::from(tag.get())]);
        assert_eq!(
            evidence.oldest(in_flight).map(|found| found.number),
            Some(2)
        );
        assert!(evidence.oldest(|_| None).is_none());
        assert!(evidence.sent.is_empty());
    }
}
