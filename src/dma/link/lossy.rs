//! A link that loses, doubles, delays and damages datagrams, the same ones for the same seed.

use std::collections::VecDeque;
use std::time::Duration;

use crate::wire::{CompletionRepr, MAX_DATAGRAM, NettlpRepr, Tag, TagSet};

use super::{Link, LinkError, Received};
use crate::dma::Moment;

/// Longest time that a reordered datagram is held back when no others come to overtake it.
const LONGEST_HOLD: Duration = Duration::from_millis(5);

/// Most datagrams held back at once.
const MOST_HELD: usize = 4096;

/// What happens to datagrams, each probability from 0 to 1 and in either direction unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// A datagram is lost.
    pub drop: f64,
    /// A datagram arrives twice.
    pub duplicate: f64,
    /// A datagram is overtaken by up to `depth` later ones.
    pub reorder: f64,
    /// How many may overtake.
    pub depth: u32,
    /// One bit of an answer's NetTLP or TLP header is flipped. Requests are never damaged: on real hardware a flipped bit could
    /// make a write of a read. Data are not damaged either, since no checksum could tell.
    pub corrupt: f64,
    /// Chooses which.
    pub seed: u64,
}

/// A datagram that others overtake.
#[derive(Debug)]
struct Held {
    port: Tag,
    bytes: Vec<u8>,
    /// How many may still pass it.
    overtaken_by: u32,
    /// When it goes even if none do.
    until: Moment,
}

impl Held {
    fn is_due(&self, now: Moment) -> bool {
        self.overtaken_by == 0 || self.until <= now
    }
}

/// A link with faults.
#[derive(Debug)]
pub struct LossyLink<L> {
    inner: L,
    faults: Faults,
    random: fastrand::Rng,
    outgoing: VecDeque<Held>,
    incoming: VecDeque<Held>,
}

impl<L: Link> LossyLink<L> {
    /// Puts faults on `inner`.
    pub fn new(inner: L, faults: Faults) -> Self {
        Self {
            inner,
            faults,
            random: fastrand::Rng::with_seed(faults.seed),
            outgoing: VecDeque::new(),
            incoming: VecDeque::new(),
        }
    }

    fn happens(&mut self, probability: f64) -> bool {
        self.random.f64() < probability
    }

    /// Decides how often a datagram goes on (0, 1 or 2 times), and whether it is held back first.
    fn fate(&mut self) -> (u32, Option<u32>) {
        if self.happens(self.faults.drop) {
            return (0, None);
        }
        let copies = if self.happens(self.faults.duplicate) {
            2
        } else {
            1
        };
        let held = self.happens(self.faults.reorder);
        let overtaken_by = self.random.u32(1..=self.faults.depth.max(1));
        (copies, held.then_some(overtaken_by))
    }

    fn hold(&self, port: Tag, bytes: &[u8], overtaken_by: u32) -> Held {
        Held {
            port,
            bytes: bytes.to_vec(),
            overtaken_by,
            until: self.inner.now() + LONGEST_HOLD,
        }
    }

    /// Sends what was held back long enough.
    fn send_due(&mut self) -> Result<(), LinkError> {
        let now = self.inner.now();
        for held in take_due(&mut self.outgoing, now) {
            self.inner.send(held.port, &held.bytes)?;
        }
        Ok(())
    }

    fn damage(&mut self, datagram: &mut [u8]) {
        let header = (NettlpRepr::LENGTH + CompletionRepr::HEADER).min(datagram.len());
        if header > 0 && self.happens(self.faults.corrupt) {
            let byte = self.random.usize(0..header);
            datagram[byte] ^= 1 << self.random.u8(0..8);
        }
    }

    /// Takes one datagram that arrived through its fate: held, lost, or into `buffer` (the copy of a doubled one is held).
    fn pass(&mut self, received: Received, buffer: &mut [u8]) -> Option<Received> {
        for held in &mut self.incoming {
            held.overtaken_by = held.overtaken_by.saturating_sub(1);
        }
        let bytes = buffer.get_mut(..received.length)?;
        let (copies, overtaken_by) = self.fate();
        if copies == 0 {
            return None;
        }
        for _ in 1..copies {
            self.hold_incoming(received.port, bytes, overtaken_by.unwrap_or(0));
        }
        self.damage(bytes);
        match overtaken_by {
            None => Some(received),
            Some(overtaken_by) => {
                self.hold_incoming(received.port, bytes, overtaken_by);
                None
            }
        }
    }

    /// Hands over one datagram that was held back long enough and that someone waits for.
    fn receive_due(&mut self, tags: &TagSet, buffer: &mut [u8]) -> Option<Received> {
        let now = self.inner.now();
        let due = self
            .incoming
            .iter()
            .position(|held| held.is_due(now) && tags.contains(held.port))?;
        let held = self.incoming.remove(due)?;
        let length = held.bytes.len().min(buffer.len());
        buffer[..length].copy_from_slice(&held.bytes[..length]);
        Some(Received {
            port: held.port,
            length,
        })
    }

    /// When the next datagram that is held back and that someone waits for goes at the latest.
    fn next_due(&self, tags: &TagSet) -> Option<Moment> {
        let incoming = self.incoming.iter().filter(|held| tags.contains(held.port));
        let held = self.outgoing.iter().chain(incoming);
        held.map(|held| held.until).min()
    }

    /// Holds an arrived datagram back; the oldest is lost where nobody has waited for thousands.
    fn hold_incoming(&mut self, port: Tag, bytes: &[u8], overtaken_by: u32) {
        let held = self.hold(port, bytes, overtaken_by);
        self.incoming.push_back(held);
        if self.incoming.len() > MOST_HELD {
            self.incoming.pop_front();
        }
    }
}

/// Takes out what was held back long enough, in order of arrival.
fn take_due(queue: &mut VecDeque<Held>, now: Moment) -> Vec<Held> {
    let mut due = Vec::new();
    while let Some(at) = queue.iter().position(|held| held.is_due(now)) {
        due.extend(queue.remove(at));
    }
    due
}

impl<L: Link> Link for LossyLink<L> {
    fn now(&self) -> Moment {
        self.inner.now()
    }

    fn send(&mut self, tag: Tag, datagram: &[u8]) -> Result<(), LinkError> {
        for held in &mut self.outgoing {
            held.overtaken_by = held.overtaken_by.saturating_sub(1);
        }
        let (copies, overtaken_by) = self.fate();
        for _ in 0..copies {
            match overtaken_by {
                None => self.inner.send(tag, datagram)?,
                Some(overtaken_by) => {
                    let held = self.hold(tag, datagram, overtaken_by);
                    self.outgoing.push_back(held);
                }
            }
        }
        self.send_due()
    }

    fn receive(
        &mut self,
        tags: &TagSet,
        deadline: Moment,
        buffer: &mut [u8],
    ) -> Result<Option<Received>, LinkError> {
        debug_assert!(buffer.len() >= MAX_DATAGRAM);
        loop {
            self.send_due()?;
            if let Some(received) = self.receive_due(tags, buffer) {
                return Ok(Some(received));
            }
            let until = self
                .next_due(tags)
                .map_or(deadline, |due| due.min(deadline));
            match self.inner.receive(tags, until, buffer)? {
                Some(received) => {
                    if let Some(received) = self.pass(received, buffer) {
                        return Ok(Some(received));
                    }
                }
                None if until >= deadline => return Ok(None),
                None => {}
            }
        }
    }
}
