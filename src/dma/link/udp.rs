//! The real link: one UDP socket a tag, bound and connected to port `0x3000 + tag` at both ends.
//!
//! A connected socket receives from the adapter's address and port only, so what anyone else sends is dropped by the system; and
//! it reports an ICMP "port unreachable", so that a missing software adapter is noticed at once. All sockets are watched by one
//! epoll(7) from the start, so that waiting costs the same for one tag as for 256.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use socket2::{Domain, Protocol, Socket, Type};

use crate::wire::{Tag, TagSet};

use super::{Link, LinkError, Received};
use crate::dma::options::ipv4;
use crate::dma::{DmaError, DmaOptions, Moment};

/// Receive buffer asked for, in bytes: more than a whole window of answers to one port. The system may grant less.
const RECEIVE_BUFFER: usize = 1 << 20;

/// Answers are looked for again and again for this time before this program sleeps: a round trip takes 12 to 50 µs, and so does
/// falling asleep and waking up. Where answers take longer, looking for them is given up bit by bit.
const AWAKE_FOR: Duration = Duration::from_micros(50);

/// One UDP socket a tag.
pub struct UdpLink {
    /// In the order of their tags.
    sockets: Vec<UdpSocket>,
    first_tag: u8,
    local: Ipv4Addr,
    remote: Ipv4Addr,
    start: Instant,
    epoll: OwnedFd,
    /// Sockets that were found readable, one event each; its number is the tag.
    ready: Vec<epoll::Event>,
    /// How many of `ready` were read since.
    taken: usize,
    /// How long to look for answers before sleeping.
    awake_for: Duration,
}

impl UdpLink {
    /// Makes all sockets. Fails where a port is taken: the adapter answers to no other.
    pub fn open(options: &DmaOptions) -> Result<Self, DmaError> {
        options.check()?;
        let remote = ipv4(options.remote)?;
        let local = match options.local {
            Some(address) => ipv4(address)?,
            None => local_address(remote)?,
        };
        let unwatched = |error: rustix::io::Errno| DmaError::Socket {
            local: SocketAddrV4::new(local, 0).into(),
            remote: SocketAddrV4::new(remote, 0).into(),
            source: error.into(),
        };
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(unwatched)?;
        let mut sockets = Vec::with_capacity(usize::from(options.tag_count()));
        for tag in options.tag_list() {
            let port = tag.dma_port();
            let from = SocketAddrV4::new(local, port);
            let to = SocketAddrV4::new(remote, port);
            let taken = || DmaError::PortTaken {
                local: IpAddr::V4(local),
                port,
                tag,
            };
            let socket = connect(from, to, taken)?;
            let number = epoll::EventData::new_u64(tag.get().into());
            epoll::add(&epoll, &socket, number, epoll::EventFlags::IN).map_err(unwatched)?;
            sockets.push(socket);
        }
        Ok(Self {
            ready: Vec::with_capacity(sockets.len()),
            taken: 0,
            awake_for: AWAKE_FOR,
            sockets,
            first_tag: options.first_tag,
            local,
            remote,
            start: Instant::now(),
            epoll,
        })
    }

    /// The address that datagrams are sent from.
    pub const fn local(&self) -> Ipv4Addr {
        self.local
    }

    /// The adapter's address.
    pub const fn remote(&self) -> Ipv4Addr {
        self.remote
    }

    fn socket(&self, tag: Tag) -> Result<&UdpSocket, LinkError> {
        let index = usize::from(tag.get().wrapping_sub(self.first_tag));
        self.sockets.get(index).ok_or_else(|| LinkError {
            tag,
            source: io::Error::new(ErrorKind::NotConnected, "the tag has no socket"),
        })
    }

    /// Takes a datagram from one of the sockets that were found readable.
    fn receive_ready(&mut self, buffer: &mut [u8]) -> Result<Option<Received>, LinkError> {
        while let Some(event) = self.ready.get(self.taken) {
            let port = Tag::new(event.data.u64() as u8);
            // An error is fetched by receiving, like data.
            let received = self.socket(port)?.recv(buffer);
            self.taken += 1;
            match received {
                Ok(length) => return Ok(Some(Received { port, length })),
                // Whatever is still there is found again: the system tells of it until it was taken.
                Err(error) if is_passing(&error) => {}
                Err(source) => return Err(LinkError { tag: port, source }),
            }
        }
        Ok(None)
    }

    /// Looks which sockets are readable now; whether any is.
    fn look(&mut self) -> Result<bool, io::Error> {
        self.ready.clear();
        self.taken = 0;
        let room = rustix::buffer::spare_capacity(&mut self.ready);
        match epoll::wait(&self.epoll, room, Some(&Timespec::default())) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(!self.ready.is_empty()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until a socket is readable or the deadline is there, whichever comes first: at first awake, then asleep.
    fn wait(&mut self, deadline: Moment) -> Result<bool, io::Error> {
        let start = self.now();
        let awake_until = deadline.min(start + self.awake_for);
        while self.now() < awake_until {
            // Where the adapter is a program that waits for this processor, it gets it.
            std::thread::yield_now();
            if self.look()? {
                return Ok(true);
            }
        }
        let left = deadline.since(self.now());
        if left.is_zero() {
            return Ok(false);
        }
        self.awake_for /= 2;
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        // epoll counts in milliseconds; poll on the epoll descriptor itself counts in nanoseconds.
        let mut whole = [PollFd::new(&self.epoll, PollFlags::IN)];
        match poll(&mut whole, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is_any = self.look()?;
        if is_any && self.now().since(start) < AWAKE_FOR * 2 {
            self.awake_for = AWAKE_FOR;
        }
        Ok(is_any)
    }
}

impl fmt::Debug for UdpLink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("UdpLink")
            .field("local", &self.local)
            .field("remote", &self.remote)
            .field("first_tag", &self.first_tag)
            .field("tags", &self.sockets.len())
            .finish_non_exhaustive()
    }
}

impl Link for UdpLink {
    fn now(&self) -> Moment {
        Moment::after_start(self.start.elapsed())
    }

    fn send(&mut self, tag: Tag, datagram: &[u8]) -> Result<(), LinkError> {
        let socket = self.socket(tag)?;
        loop {
            match socket.send(datagram) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_full(&error) => return Ok(()),
                Err(source) => return Err(LinkError { tag, source }),
            }
        }
    }

    fn receive(
        &mut self,
        _tags: &TagSet,
        deadline: Moment,
        buffer: &mut [u8],
    ) -> Result<Option<Received>, LinkError> {
        let tag = Tag::new(self.first_tag);
        let failed = |source| LinkError { tag, source };
        loop {
            if let Some(received) = self.receive_ready(buffer)? {
                return Ok(Some(received));
            }
            let is_any = self.look().map_err(failed)? || self.wait(deadline).map_err(failed)?;
            if !is_any && self.now() >= deadline {
                return Ok(None);
            }
        }
    }
}

/// Whether receiving is to be tried again when the system says so.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Whether the system had no room for the datagram: it is lost, as on a network, and sent again when its time is up.
fn is_full(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
        || error.raw_os_error() == Some(rustix::io::Errno::NOBUFS.raw_os_error())
}

/// The address that the system would send from to reach `remote`. Binding to it, and not to every address, keeps other addresses'
/// ports free: adapter and client can live on one machine.
pub(in crate::dma) fn local_address(remote: Ipv4Addr) -> Result<Ipv4Addr, DmaError> {
    let no_route = |source| DmaError::NoRoute {
        remote: IpAddr::V4(remote),
        source,
    };
    let probe = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).map_err(no_route)?;
    // Connecting a datagram socket sends nothing: it only looks the route up.
    probe
        .connect((remote, crate::wire::MESSAGE_PORT))
        .map_err(no_route)?;
    match probe.local_addr().map_err(no_route)? {
        SocketAddr::V4(address) => Ok(*address.ip()),
        SocketAddr::V6(address) => Err(DmaError::NotIpv4(IpAddr::V6(*address.ip()))),
    }
}

/// A nonblocking UDP socket from one address and port to another; `taken` says what it means that the local port is not free.
pub(in crate::dma) fn connect(
    from: SocketAddrV4,
    to: SocketAddrV4,
    taken: impl FnOnce() -> DmaError,
) -> Result<UdpSocket, DmaError> {
    let failed = |source| DmaError::Socket {
        local: from.into(),
        remote: to.into(),
        source,
    };
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).map_err(failed)?;
    socket
        .set_recv_buffer_size(RECEIVE_BUFFER)
        .map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    if let Err(error) = socket.bind(&from.into()) {
        return Err(match error.kind() {
            ErrorKind::AddrInUse => taken(),
            ErrorKind::AddrNotAvailable => DmaError::NoLocalAddress(IpAddr::V4(*from.ip())),
            _ => failed(error),
        });
    }
    match socket.connect(&to.into()) {
        Ok(()) => Ok(socket.into()),
        Err(source)
            if matches!(
                source.kind(),
                ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable
            ) =>
        {
            Err(DmaError::NoRoute {
                remote: IpAddr::V4(*to.ip()),
                source,
            })
        }
        Err(error) => Err(failed(error)),
    }
}
