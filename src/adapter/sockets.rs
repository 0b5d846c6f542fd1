//! The ports of an adapter and waiting on all of them at once.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, sendmsg};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, epoll, eventfd, poll};
use socket2::{Domain, Socket, Type};

use crate::wire::{CONFIGURATION_PORT, LIBTLP_CONFIGURATION_PORT, MESSAGE_PORT, Tag};

use super::AdapterError;

/// Receive buffer of a port in bytes: a tag may have many requests waiting where a client reuses it quickly.
const RECEIVE_BUFFER: usize = 256 * 1024;
/// Events that one wait takes: all tags' ports, the other services' and the wake-up.
const EVENTS: usize = 260;
/// Datagrams after which ports are looked at again though others have something: seldom, since what is found then may have come
/// after what others have.
const LOOK_AFTER: u32 = 65_536;
/// A port is told of when something arrives, once, so that ports are served in the order of arrival: one that is told of again and
/// again while it has anything would keep its place in the queue and be served before others.
const WATCHED: epoll::EventFlags = epoll::EventFlags::IN.union(epoll::EventFlags::ET);
/// Event number of the wake-up; ports have their index.
const WAKE: u64 = u64::MAX;

/// What a port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// DMA with this tag.
    Dma(Tag),
    /// The driver's message API.
    Message,
    /// Configuration space.
    Configuration,
}

impl Service {
    fn port(self, libtlp: bool) -> u16 {
        match self {
            Self::Dma(tag) => tag.dma_port(),
            Self::Message => MESSAGE_PORT,
            Self::Configuration if libtlp => LIBTLP_CONFIGURATION_PORT,
            Self::Configuration => CONFIGURATION_PORT,
        }
    }
}

/// Which ports have datagrams, in the order in which they came.
///
/// A port is told of once for what arrives, so one datagram is taken each time it is told of. Where two came before that, the
/// second is found later: when nothing else is there, all ports that had a datagram are looked at again.
pub(super) struct Ready {
    events: Vec<epoll::Event>,
    ports: VecDeque<usize>,
    /// Ports that had a datagram and may have another.
    doubtful: Vec<usize>,
    /// Whether a port is one of those.
    is_doubtful: Vec<bool>,
    /// Datagrams taken since those were looked at.
    served: u32,
    is_woken: bool,
}

impl Ready {
    /// No port has anything.
    pub(super) fn new() -> Self {
        Self {
            events: Vec::with_capacity(EVENTS),
            ports: VecDeque::with_capacity(2 * EVENTS),
            doubtful: Vec::with_capacity(EVENTS),
            is_doubtful: vec![false; EVENTS],
            served: 0,
            is_woken: false,
        }
    }

    /// The next port, by index.
    pub(super) fn next(&mut self) -> Option<usize> {
        self.ports.pop_front()
    }

    /// Notes that a port had a datagram.
    pub(super) fn note_served(&mut self, port: usize) {
        self.served += 1;
        match self.is_doubtful.get_mut(port) {
            Some(is_doubtful) if *is_doubtful => return,
            Some(is_doubtful) => *is_doubtful = true,
            None => {}
        }
        self.doubtful.push(port);
    }

    /// Whether somebody woke the adapter up.
    pub(super) const fn is_woken(&self) -> bool {
        self.is_woken
    }

    /// Takes the events of a wait over, and the doubtful ports where there are none or it is high time.
    fn take_events(&mut self) {
        for event in self.events.drain(..) {
            match usize::try_from(event.data.u64()) {
                Ok(port) if event.data.u64() != WAKE => self.ports.push_back(port),
                _ => self.is_woken = true,
            }
        }
        if self.ports.is_empty() || self.served >= LOOK_AFTER {
            self.served = 0;
            self.is_doubtful.fill(false);
            self.ports.extend(self.doubtful.drain(..));
        }
    }
}

/// All ports, bound.
#[derive(Debug)]
pub(super) struct Ports {
    /// DMA ports first, in the order of their tags.
    sockets: Vec<(Service, UdpSocket)>,
    epoll: OwnedFd,
    wake: Arc<OwnedFd>,
}

impl Ports {
    /// Binds the ports of `tags` tags and of the other services at `address`.
    pub(super) fn bind(address: Ipv4Addr, tags: u16) -> Result<Self, AdapterError> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)
            .map_err(|error| AdapterError::io("wait for datagrams")(error.into()))?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| AdapterError::io("make a wake-up")(error.into()))?;
        let mut ports = Self {
            sockets: Vec::with_capacity(usize::from(tags) + 3),
            epoll,
            wake: Arc::new(wake),
        };
        ports.watch(&ports.wake, WAKE)?;
        let dma = (0..tags)
            .filter_map(|tag| u8::try_from(tag).ok())
            .map(|tag| (Service::Dma(Tag::new(tag)), false));
        let others = [
            (Service::Message, false),
            (Service::Configuration, false),
            (Service::Configuration, true),
        ];
        for (service, libtlp) in dma.chain(others) {
            let port = service.port(libtlp);
            let socket = bind(address, port).map_err(|source| AdapterError::Bind {
                address,
                port,
                source,
            })?;
            ports.watch(&socket, ports.sockets.len() as u64)?;
            ports.sockets.push((service, socket));
        }
        Ok(ports)
    }

    fn watch(&self, source: impl AsFd, number: u64) -> Result<(), AdapterError> {
        let data = epoll::EventData::new_u64(number);
        epoll::add(&self.epoll, source, data, WATCHED)
            .map_err(|error| AdapterError::io("wait for datagrams")(error.into()))
    }

    /// What wakes a waiting adapter from another thread.
    pub(super) fn wake(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.wake)
    }

    /// Waits until datagrams come, at most for `timeout`, and puts into `ready` where they are.
    pub(super) fn wait(
        &self,
        timeout: Option<Duration>,
        ready: &mut Ready,
    ) -> Result<(), AdapterError> {
        let mut at_once = None;
        if !ready.doubtful.is_empty() || timeout.is_some_and(|timeout| timeout.is_zero()) {
            at_once = Some(timespec(Duration::ZERO));
        } else if let Some(timeout) = timeout {
            // epoll counts in milliseconds; poll on the epoll descriptor itself counts in nanoseconds.
            let mut whole = [PollFd::new(&self.epoll, PollFlags::IN)];
            unless_interrupted(poll(&mut whole, Some(&timespec(timeout))))?;
            at_once = Some(timespec(Duration::ZERO));
        }
        let room = rustix::buffer::spare_capacity(&mut ready.events);
        unless_interrupted(epoll::wait(&self.epoll, room, at_once.as_ref()))?;
        ready.take_events();
        Ok(())
    }

    /// Takes one datagram from a port, if there is one: what the port is for, its length, and who sent it.
    pub(super) fn receive(
        &self,
        port: usize,
        buffer: &mut [u8],
    ) -> Option<(Service, usize, SocketAddrV4)> {
        let (service, socket) = self.sockets.get(port)?;
        let (length, sender) = socket.recv_from(buffer).ok()?;
        match sender {
            SocketAddr::V4(sender) => Some((*service, length, sender)),
            SocketAddr::V6(_) => None,
        }
    }

    /// Sends from a port.
    pub(super) fn send(&self, port: usize, datagram: &[u8], to: SocketAddrV4) -> io::Result<()> {
        let Some((_, socket)) = self.sockets.get(port) else {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        };
        socket.send_to(datagram, to).map(|_| ())
    }

    /// Sends from the port of `tag` to the same port at `to`.
    pub(super) fn send_dma(&self, tag: Tag, datagram: &[u8], to: Ipv4Addr) -> io::Result<()> {
        self.send(usize::from(tag.get()), datagram, dma_address(tag, to))
    }

    /// The same for several datagrams of `each` bytes, one behind the other; the last may be shorter.
    pub(super) fn send_several(
        &self,
        tag: Tag,
        datagrams: &[u8],
        each: usize,
        to: Ipv4Addr,
    ) -> io::Result<()> {
        let Some((_, socket)) = self.sockets.get(usize::from(tag.get())) else {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        };
        let each = u16::try_from(each).map_err(|_| io::ErrorKind::InvalidInput)?;
        let address = SockaddrIn::from(dma_address(tag, to));
        let parts = [IoSlice::new(datagrams)];
        let cut = [ControlMessage::UdpGsoSegments(&each)];
        let flags = MsgFlags::empty();
        sendmsg(socket.as_raw_fd(), &parts, &cut, flags, Some(&address))?;
        Ok(())
    }
}

const fn dma_address(tag: Tag, host: Ipv4Addr) -> SocketAddrV4 {
    SocketAddrV4::new(host, tag.dma_port())
}

fn bind(address: Ipv4Addr, port: u16) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    // The system may allow less; then a burst may be lost, as on a network.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddrV4::new(address, port).into())?;
    Ok(socket.into())
}

/// A signal is no reason to stop: the caller waits again.
fn unless_interrupted(waited: rustix::io::Result<usize>) -> Result<(), AdapterError> {
    match waited {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(AdapterError::io("wait for datagrams")(error.into())),
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}
