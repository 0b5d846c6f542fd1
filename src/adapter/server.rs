//! An adapter at work: datagrams in, answers out, in a thread of its own.

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use crate::wire::MAX_DATAGRAM;

use super::answer::Responder;
use super::outlet::Outlet;
use super::sockets::{Ports, Ready, Service};
use super::tally::{Tally, count};
use super::{AdapterCounters, AdapterError, AdapterOptions, Backing};

/// An adapter whose ports are bound, and which does not answer yet.
#[derive(Debug)]
pub struct Adapter {
    ports: Ports,
    responder: Responder,
    outlet: Outlet,
    tally: Arc<Tally>,
    listen: Ipv4Addr,
}

impl Adapter {
    /// Binds all ports. Errors: an option is out of range, a port is taken or not ours to take.
    pub fn bind(
        options: &AdapterOptions,
        memory: impl Into<Backing>,
    ) -> Result<Self, AdapterError> {
        check(options)?;
        let tally = Arc::new(Tally::default());
        Ok(Self {
            ports: Ports::bind(options.listen, options.tags)?,
            responder: Responder::new(options, memory.into(), Arc::clone(&tally)),
            outlet: Outlet::new(options, Arc::clone(&tally)),
            tally,
            listen: options.listen,
        })
    }

    /// Binds all ports and answers in a thread of its own.
    pub fn spawn(
        options: &AdapterOptions,
        memory: impl Into<Backing>,
    ) -> Result<RunningAdapter, AdapterError> {
        Self::bind(options, memory)?.start()
    }

    /// The address it listens on.
    pub fn listen(&self) -> Ipv4Addr {
        self.listen
    }

    /// What counts and stops it, from any thread.
    pub fn handle(&self) -> AdapterHandle {
        AdapterHandle {
            wake: self.ports.wake(),
            tally: Arc::clone(&self.tally),
        }
    }

    /// Answers in a thread of its own.
    pub fn start(self) -> Result<RunningAdapter, AdapterError> {
        let (handle, listen) = (self.handle(), self.listen);
        let thread = std::thread::Builder::new()
            .name("nettlp-adapter".to_owned())
            .spawn(move || self.run())
            .map_err(AdapterError::io("start a thread"))?;
        Ok(RunningAdapter {
            listen,
            handle,
            thread: Some(thread),
        })
    }

    /// Answers until stopped. Errors: the system would not let it wait for datagrams.
    pub fn run(mut self) -> Result<(), AdapterError> {
        // One byte more than any datagram has, so that a longer one shows.
        let mut buffer = vec![0; MAX_DATAGRAM + 1];
        let mut ready = Ready::new();
        while !ready.is_woken() {
            self.outlet.send_due(&self.ports);
            self.ports.wait(self.outlet.time_to_next(), &mut ready)?;
            while let Some(port) = ready.next() {
                if self.serve(port, &mut buffer) {
                    ready.note_served(port);
                }
            }
        }
        Ok(())
    }

    /// Takes and answers one datagram of a port; whether there was one.
    fn serve(&mut self, port: usize, buffer: &mut [u8]) -> bool {
        let Some((service, length, sender)) = self.ports.receive(port, buffer) else {
            return false;
        };
        let datagram = buffer.get(..length).unwrap_or_default();
        let reply = match service {
            Service::Dma(_) => {
                self.serve_tlp(datagram, *sender.ip());
                return true;
            }
            Service::Message => self.responder.message(datagram),
            Service::Configuration => self.responder.configuration(datagram).map(Vec::from),
        };
        if let Some(reply) = reply
            && self.ports.send(port, &reply, sender).is_err()
        {
            count(&self.tally.send_failures);
        }
        true
    }

    /// The card answers to the port that the tag says, whatever port the request came from.
    fn serve_tlp(&mut self, datagram: &[u8], sender: Ipv4Addr) {
        let Self {
            ports,
            responder,
            outlet,
            ..
        } = self;
        if outlet.loses_request() {
            return;
        }
        let now = Instant::now();
        responder.tlp(datagram, &mut |tag, completion| {
            outlet.answer(ports, now, sender, tag, completion);
        });
        outlet.flush(ports);
    }
}

fn check(options: &AdapterOptions) -> Result<(), AdapterError> {
    if !(1..=256).contains(&options.tags) {
        return Err(AdapterError::Tags(options.tags));
    }
    if ![64, 128].contains(&options.boundary) {
        return Err(AdapterError::Boundary(options.boundary));
    }
    if !(64..=4096).contains(&options.max_payload) || !options.max_payload.is_power_of_two() {
        return Err(AdapterError::MaxPayload(options.max_payload));
    }
    Ok(())
}

/// What counts and stops an adapter, from any thread.
#[derive(Clone, Debug)]
pub struct AdapterHandle {
    wake: Arc<OwnedFd>,
    tally: Arc<Tally>,
}

impl AdapterHandle {
    /// What the adapter has done so far.
    pub fn counters(&self) -> AdapterCounters {
        self.tally.snapshot()
    }

    /// Lets [`Adapter::run`] return.
    pub fn stop(&self) -> Result<(), AdapterError> {
        rustix::io::write(&*self.wake, &1_u64.to_ne_bytes())
            .map(|_| ())
            .map_err(|error| AdapterError::io("stop the adapter")(error.into()))
    }
}

/// An adapter that answers until it is stopped or dropped.
#[derive(Debug)]
pub struct RunningAdapter {
    listen: Ipv4Addr,
    handle: AdapterHandle,
    thread: Option<JoinHandle<Result<(), AdapterError>>>,
}

impl RunningAdapter {
    /// The address it listens on.
    pub fn address(&self) -> Ipv4Addr {
        self.listen
    }

    /// What it has done so far.
    pub fn counters(&self) -> AdapterCounters {
        self.handle.counters()
    }

    /// Stops it and frees its ports. Errors: those of the system that made it stop before.
    pub fn stop(mut self) -> Result<AdapterCounters, AdapterError> {
        self.join()?;
        Ok(self.counters())
    }

    fn join(&mut self) -> Result<(), AdapterError> {
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        self.handle.stop()?;
        match thread.join() {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Drop for RunningAdapter {
    fn drop(&mut self) {
        // Nobody is left to tell; a panic of the thread was printed when it happened.
        if let Some(thread) = self.thread.take()
            && self.handle.stop().is_ok()
        {
            let _ = thread.join();
        }
    }
}
