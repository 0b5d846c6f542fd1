//! The way out: delay, the card's stamp, and then what the network does to a datagram.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::wire::{NettlpRepr, Sequence, Tag, Timestamp};

use super::AdapterOptions;
use super::batch::Batch;
use super::delay::DelayQueue;
use super::faults::Fortune;
use super::sockets::Ports;
use super::tally::{Tally, count};

/// A datagram that waits.
#[derive(Debug)]
struct Parcel {
    to: Ipv4Addr,
    tag: Tag,
    datagram: Vec<u8>,
    stage: Stage,
}

/// How far a waiting datagram has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// In the target: not stamped yet.
    Answered,
    /// On the network.
    Sent,
}

/// Stamps and sends completions.
#[derive(Debug)]
pub(super) struct Outlet {
    started: Instant,
    sequence: Sequence,
    delay: Duration,
    fortune: Fortune,
    waiting: DelayQueue<Parcel>,
    /// Memory of datagrams that have gone, for those to come.
    spare: Vec<Vec<u8>>,
    batch: Batch,
    tally: Arc<Tally>,
}

impl Outlet {
    pub(super) fn new(options: &AdapterOptions, tally: Arc<Tally>) -> Self {
        Self {
            started: Instant::now(),
            sequence: Sequence::default(),
            delay: options.delay,
            fortune: Fortune::new(options.faults),
            waiting: DelayQueue::new(),
            spare: Vec::new(),
            batch: Batch::new(),
            tally,
        }
    }

    /// Whether the network loses the request that has just arrived.
    pub(super) fn loses_request(&mut self) -> bool {
        let lost = self.fortune.loses_request();
        if lost {
            count(&self.tally.lost_requests);
        }
        lost
    }

    /// Takes an answer to the request that arrived at `now`.
    pub(super) fn answer(
        &mut self,
        ports: &Ports,
        now: Instant,
        to: Ipv4Addr,
        tag: Tag,
        datagram: &mut [u8],
    ) {
        if self.delay.is_zero() {
            self.emit(ports, now, to, tag, datagram);
        } else {
            self.wait(now + self.delay, to, tag, datagram, Stage::Answered);
        }
    }

    /// Sends everything whose time has come.
    pub(super) fn send_due(&mut self, ports: &Ports) {
        if self.waiting.next_due().is_none() {
            return;
        }
        let now = Instant::now();
        while let Some(mut parcel) = self.waiting.pop_due(now) {
            match parcel.stage {
                Stage::Answered => {
                    self.emit(ports, now, parcel.to, parcel.tag, &mut parcel.datagram);
                }
                Stage::Sent => self.deliver(ports, parcel.to, parcel.tag, &parcel.datagram),
            }
            self.spare.push(parcel.datagram);
        }
        self.flush(ports);
    }

    /// How long until something is due.
    pub(super) fn time_to_next(&self) -> Option<Duration> {
        let due = self.waiting.next_due()?;
        Some(due.saturating_duration_since(Instant::now()))
    }

    /// Stamps a datagram as the card does when it leaves, and hands it to the network.
    fn emit(&mut self, ports: &Ports, now: Instant, to: Ipv4Addr, tag: Tag, datagram: &mut [u8]) {
        let header = NettlpRepr {
            sequence: self.sequence,
            timestamp: Timestamp::at(now.duration_since(self.started)),
        };
        if header.emit(datagram).is_err() {
            return;
        }
        self.sequence = Sequence(self.sequence.0.wrapping_add(1));
        let fate = self.fortune.fate();
        if let Some(bit) = fate.flipped
            && let Some(byte) = datagram.get_mut((bit / 8) as usize)
        {
            *byte ^= 1 << (bit % 8);
            count(&self.tally.corrupted);
        }
        if let Some(later) = fate.again {
            count(&self.tally.duplicated);
            self.wait(now + later, to, tag, datagram, Stage::Sent);
        }
        if fate.lost {
            count(&self.tally.lost_completions);
        } else if let Some(later) = fate.held {
            count(&self.tally.reordered);
            self.wait(now + later, to, tag, datagram, Stage::Sent);
        } else {
            self.deliver(ports, to, tag, datagram);
        }
    }

    fn wait(&mut self, due: Instant, to: Ipv4Addr, tag: Tag, datagram: &[u8], stage: Stage) {
        let mut copy = self.spare.pop().unwrap_or_default();
        copy.clear();
        copy.extend_from_slice(datagram);
        self.waiting.push(
            due,
            Parcel {
                to,
                tag,
                datagram: copy,
                stage,
            },
        );
    }

    fn deliver(&mut self, ports: &Ports, to: Ipv4Addr, tag: Tag, datagram: &[u8]) {
        self.batch.add(ports, &self.tally, to, tag, datagram);
    }

    /// Sends what was kept to go together with what might have followed.
    pub(super) fn flush(&mut self, ports: &Ports) {
        self.batch.send(ports, &self.tally);
    }
}
