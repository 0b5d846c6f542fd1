//! The tag table: which tags are free, in flight, or late; and what is known of each.

use std::collections::VecDeque;

use crate::dma::Moment;
use crate::wire::{NettlpRepr, Tag, TagSet};

use super::attempt::{Arrived, Attempt};
use super::stamps::Seen;

/// Tags kept for repeated requests where many are lost: a window of the longest reads and half as many again. Each loss takes
/// its tag away for the quarantine, so under heavy loss the number of tags bounds the speed.
const KEPT_FOR_REPEATS: usize = 48;

/// What a tag is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum TagState {
    /// Not given to this requester.
    #[default]
    Unusable,
    /// Nothing is expected for it.
    Free,
    /// A request was sent and is awaited.
    InFlight,
    /// A request was given up; its answer may still come. Not used for another request before the moment given.
    Late(Moment),
}

/// A tag's entry.
#[derive(Debug, Default)]
pub(super) struct Entry {
    state: TagState,
    pub(super) attempt: Attempt,
    /// The completions that came for the attempt.
    pub(super) arrived: Vec<Arrived>,
    /// Bytes that came for the attempt.
    received: u16,
    /// Whether nothing more is used of the attempt: it contradicted itself, or was answered to the end.
    pub(super) is_spoilt: bool,
    /// Whether all of the attempt was asked for again in one request, which alone may answer now.
    pub(super) is_superseded: bool,
    was_used: bool,
    /// Stamps of completions that were used, also for earlier requests of this tag.
    pub(super) seen: Seen,
}

impl Entry {
    /// Notes a completion that was used; whether it was the last that is to come.
    pub(super) fn note(&mut self, arrived: Arrived) -> bool {
        self.seen.insert(arrived.stamp);
        self.received += arrived.length;
        self.arrived.push(arrived);
        self.received >= self.attempt.piece.length
    }

    /// Whether `stamp` is that of a completion used before.
    pub(super) fn has_seen(&self, stamp: NettlpRepr) -> bool {
        self.seen.contains(stamp) || self.arrived.iter().any(|arrived| arrived.stamp == stamp)
    }
}

/// The table.
#[derive(Debug)]
pub(super) struct Tags {
    entries: Box<[Entry; 256]>,
    /// The tag that has been free the longest comes first, so that a tag rests as long as possible.
    free: VecDeque<Tag>,
    in_flight: TagSet,
    late: TagSet,
    /// Those of the late whose answer came: they rest because a second one may.
    resting: TagSet,
    usable: TagSet,
}

impl Tags {
    /// All of `tags` free.
    pub(super) fn new(tags: impl Iterator<Item = Tag>) -> Self {
        let mut entries: Box<[Entry; 256]> = Box::new(std::array::from_fn(|_| Entry::default()));
        let free: VecDeque<Tag> = tags.collect();
        let mut usable = TagSet::EMPTY;
        for tag in &free {
            entries[usize::from(tag.get())].state = TagState::Free;
            usable.insert(*tag);
        }
        Self {
            entries,
            in_flight: TagSet::EMPTY,
            late: TagSet::EMPTY,
            resting: TagSet::EMPTY,
            usable,
            free,
        }
    }

    /// The tags there are.
    pub(super) const fn usable(&self) -> TagSet {
        self.usable
    }

    pub(super) fn entry(&mut self, tag: Tag) -> &mut Entry {
        &mut self.entries[usize::from(tag.get())]
    }

    pub(super) fn attempt(&self, tag: Tag) -> &Attempt {
        &self.entries[usize::from(tag.get())].attempt
    }

    pub(super) fn state(&self, tag: Tag) -> TagState {
        self.entries[usize::from(tag.get())].state
    }

    pub(super) const fn in_flight(&self) -> TagSet {
        self.in_flight
    }

    /// Tags for which an answer may come.
    pub(super) fn expecting(&self) -> TagSet {
        self.in_flight.union(&self.late)
    }

    /// Takes a free tag, if there is one; it is free no more.
    pub(super) fn take(&mut self) -> Option<Tag> {
        self.free.pop_front()
    }

    /// Starts an attempt under a tag that was taken.
    pub(super) fn start(&mut self, tag: Tag, attempt: Attempt) {
        let entry = self.entry(tag);
        entry.state = TagState::InFlight;
        entry.attempt = attempt;
        entry.arrived.clear();
        entry.received = 0;
        entry.is_spoilt = false;
        entry.is_superseded = false;
        entry.was_used = true;
        self.in_flight.insert(tag);
    }

    /// Frees a tag whose request was answered to the end.
    pub(super) fn release(&mut self, tag: Tag) {
        if matches!(self.state(tag), TagState::InFlight | TagState::Late(_)) {
            self.in_flight.remove(tag);
            self.late.remove(tag);
            self.resting.remove(tag);
            self.entry(tag).state = TagState::Free;
            self.free.push_back(tag);
        }
    }

    /// Gives a request up: its tag rests until the moment given.
    pub(super) fn quarantine(&mut self, tag: Tag, until: Moment) {
        if matches!(self.state(tag), TagState::InFlight | TagState::Late(_)) {
            self.in_flight.remove(tag);
            self.late.insert(tag);
            self.entry(tag).state = TagState::Late(until);
        }
    }

    /// Lets a tag whose request was answered to the end rest until the moment given.
    pub(super) fn rest(&mut self, tag: Tag, until: Moment) {
        self.quarantine(tag, until);
        self.entry(tag).is_spoilt = true;
        self.resting.insert(tag);
    }

    /// Whether so many tags wait for answers that will hardly come that the others are needed for what has to be repeated.
    pub(super) fn is_short(&self) -> bool {
        let all = self.usable.len();
        self.late.len() - self.resting.len() > all - KEPT_FOR_REPEATS.min(all / 2)
    }

    /// Lets all free tags that were ever used rest until the moment given.
    pub(super) fn rest_free(&mut self, until: Moment) {
        let entries = &mut self.entries;
        let late = &mut self.late;
        let resting = &mut self.resting;
        self.free.retain(|tag| {
            let entry = &mut entries[usize::from(tag.get())];
            if entry.was_used {
                entry.state = TagState::Late(until);
                entry.is_spoilt = true;
                late.insert(*tag);
                resting.insert(*tag);
            }
            !entry.was_used
        });
    }

    /// Frees the tags that rested long enough; when the next one will have.
    pub(super) fn end_quarantines(&mut self, now: Moment) -> Option<Moment> {
        let mut next: Option<Moment> = None;
        for tag in self.late.iter() {
            match self.state(tag) {
                TagState::Late(until) if until > now => {
                    next = Some(next.map_or(until, |next| next.min(until)));
                }
                _ => self.release(tag),
            }
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn tags(count: u8) -> Tags {
        Tags::new((0..count).map(Tag::new))
    }

    #[test]
    fn a_tag_given_up_rests_and_the_longest_free_is_used_next() {
        let mut tags = tags(2);
        let first = tags.take().unwrap();
        tags.start(first, Attempt::default());
        let rest = Moment::START + Duration::from_millis(50);
        tags.quarantine(first, rest);
        assert_eq!(tags.take(), Some(Tag::new(1)));
        tags.start(Tag::new(1), Attempt::default());
        assert_eq!(tags.take(), None);
        assert_eq!(tags.expecting().len(), 2);
        assert_eq!(tags.end_quarantines(Moment::START), Some(rest));
        assert_eq!(tags.take(), None);
        assert_eq!(tags.end_quarantines(rest), None);
        assert_eq!(tags.take(), Some(first));
    }

    #[test]
    fn free_tags_that_were_used_can_be_made_to_rest() {
        let mut tags = tags(2);
        let tag = tags.take().unwrap();
        tags.start(tag, Attempt::default());
        tags.release(tag);
        let rest = Moment::START + Duration::from_millis(50);
        tags.rest_free(rest);
        assert_eq!((tags.take(), tags.take()), (Some(Tag::new(1)), None));
        assert!(tags.expecting().contains(tag));
        tags.end_quarantines(rest);
        assert_eq!(tags.take(), Some(tag));
    }

    #[test]
    fn a_free_tag_cannot_be_released_twice() {
        let mut tags = tags(1);
        let tag = tags.take().unwrap();
        tags.start(tag, Attempt::default());
        tags.release(tag);
        tags.release(tag);
        tags.quarantine(tag, Moment::START);
        assert_eq!((tags.take(), tags.take()), (Some(tag), None));
        assert_eq!(tags.state(Tag::new(9)), TagState::Unusable);
    }
}
