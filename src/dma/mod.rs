//! Physical memory over NetTLP: reads become read requests in UDP datagrams, completions become their bytes.
//!
//! Three parts: the requester (no sockets, no clock), links that carry datagrams, and [`Dma`], which turns the one with the other
//! and is a [`PhysicalMemory`]. Nothing here can write memory or configuration: no such message is ever named.

mod device;
mod error;
mod link;
mod moment;
mod options;
mod requester;

#[cfg(test)]
mod tests;

pub use device::{ConfigurationSpace, LinkParameters, bar4, msix, requester_id};
pub use error::DmaError;
pub use link::{Faults, Link, LinkError, LossyLink, Received, TraceLink, UdpLink};
pub use moment::Moment;
pub use options::DmaOptions;

use std::io::ErrorKind;
use std::time::Duration;

use crate::memory::{Completion, Counters, Limits, PhysicalMemory, ReadRequest};
use crate::wire::MAX_DATAGRAM;

use self::requester::{REQUEST_LENGTH, Requester};

/// Datagrams taken after a read has ended before its outcome is handed over: enough to keep batches together, few enough to keep
/// the caller from waiting.
const MOST_TAKEN: u32 = 256;

/// Datagrams that have arrived go before timers, so that a pause of this program is not taken for the network's; but not for longer
/// than this.
const LONGEST_FLOOD: Duration = Duration::from_millis(10);

/// The memory behind a NetTLP adapter.
#[derive(Debug)]
pub struct Dma {
    link: Box<dyn Link>,
    requester: Requester,
    buffer: Box<[u8]>,
    /// Datagrams taken since there was none left.
    flood: u32,
}

impl Dma {
    /// Opens the ports of all tags towards an adapter. Nothing is sent yet, so an adapter that is not there is noticed by the
    /// first read.
    pub fn open(options: &DmaOptions) -> Result<Self, DmaError> {
        let link = UdpLink::open(options)?;
        Self::over(Box::new(link), options)
    }

    /// The memory behind an adapter that `link` leads to, for wrapped links.
    pub fn over(link: Box<dyn Link>, options: &DmaOptions) -> Result<Self, DmaError> {
        options.check()?;
        Ok(Self {
            link,
            requester: Requester::new(options),
            // One more than any datagram, so that a longer one does not look like a whole one.
            buffer: vec![0; MAX_DATAGRAM + 1].into(),
            flood: 0,
        })
    }

    /// What was sent and what came back, in one line, for messages about reads that failed.
    pub fn diagnostics(&self) -> String {
        let statistics = self.requester.statistics();
        let counters = self.requester.counters();
        let mut text = format!(
            "{} requests sent ({} of them again), {} completions used, {} of {} datagrams discarded",
            statistics.sent,
            counters.retries,
            statistics.answered,
            counters.discarded,
            statistics.received,
        );
        if statistics.refused > 0 {
            text += &format!(", {} requests refused by the target", statistics.refused);
        }
        if let Some(time) = self.requester.round_trip() {
            text += &format!(", round trip {time:.1?}");
        }
        match self.requester.health().last_error() {
            None => text,
            Some((tag, ErrorKind::ConnectionRefused, _)) => format!(
                "{text}; nothing listens on the adapter's UDP port {}",
                tag.dma_port()
            ),
            Some((tag, _, error)) => {
                format!(
                    "{text}; last system error on UDP port {}: {error}",
                    tag.dma_port()
                )
            }
        }
    }

    /// Sends what may be sent now.
    fn transmit(&mut self) {
        let now = self.link.now();
        let mut request = [0; REQUEST_LENGTH];
        while let Some((tag, length)) = self.requester.next_request(now, &mut request) {
            let datagram = request.get(..length).unwrap_or(&request);
            if let Err(error) = self.link.send(tag, datagram) {
                self.requester.refuse(now, tag, &error.source);
            }
        }
    }

    /// Everything that had arrived some time ago was taken: there is nothing left, or as many datagrams came since as there are
    /// ports.
    fn note_drained(&mut self) {
        self.flood = 0;
        self.requester.drained();
    }

    /// Whether datagrams keep coming so fast that time would never get its turn.
    fn timer_is_overdue(&self, now: Moment) -> bool {
        let timer = self.requester.next_timer();
        timer.is_some_and(|timer| now.since(timer) > LONGEST_FLOOD)
    }

    /// Takes one datagram, or does what time demands when there is none by then; whether there was one.
    fn receive(&mut self, is_waiting: bool) -> bool {
        let deadline = match self.requester.next_timer() {
            Some(timer) if is_waiting => timer,
            _ => Moment::START,
        };
        let tags = self.requester.listening();
        match self.link.receive(&tags, deadline, &mut self.buffer) {
            Ok(Some(Received { port, length })) => {
                let datagram = self.buffer.get(..length).unwrap_or(&self.buffer);
                let now = self.link.now();
                self.requester.take(now, port, datagram);
                self.flood += 1;
                if self.flood >= MOST_TAKEN {
                    self.note_drained();
                }
                if self.timer_is_overdue(now) {
                    self.requester.timers(now);
                }
                true
            }
            Ok(None) => {
                self.note_drained();
                let now = self.link.now();
                if self.requester.next_timer().is_none_or(|timer| timer <= now) {
                    self.requester.timers(now);
                }
                false
            }
            Err(error) => {
                let now = self.link.now();
                self.requester.refuse(now, error.tag, &error.source);
                true
            }
        }
    }
}

impl PhysicalMemory for Dma {
    fn limits(&self) -> Limits {
        self.requester.limits()
    }

    fn submit(&mut self, read: ReadRequest) {
        self.requester.submit(read);
        self.transmit();
    }

    fn complete(&mut self, completion: &mut Completion<'_>) {
        let mut taken = 0;
        while self.requester.is_busy() {
            self.transmit();
            let is_waiting = !self.requester.has_ended();
            if !self.receive(is_waiting) && !is_waiting {
                break;
            }
            if !is_waiting {
                taken += 1;
                if taken >= MOST_TAKEN {
                    break;
                }
            }
        }
        while self.requester.hand_over(completion) {}
        self.transmit();
    }

    fn counters(&self) -> Counters {
        self.requester.counters()
    }
}
