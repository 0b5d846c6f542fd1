//! The real link: one UDP socket a tag, bound and connected to port `0x3000 + tag` at both ends.
//!
//! A connected socket receives from the adapter's address and port only, so what anyone else sends is dropped by the system; and
//! it reports an ICMP "port unreachable", so that a missing software adapter is noticed at once.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, Socket, Type};

use crate::wire::{Tag, TagSet};

use super::{Link, LinkError, Received};
use crate::dma::options::ipv4;
use crate::dma::{DmaError, DmaOptions, Moment};

/// Receive buffer asked for, in bytes: more than a whole window of answers to one port. The system may grant less.
const RECEIVE_BUFFER: usize = 1 << 20;

/// One UDP socket a tag.
#[derive(Debug)]
pub struct UdpLink {
    sockets: Vec<(Tag, UdpSocket)>,
    first_tag: u8,
    local: Ipv4Addr,
    remote: Ipv4Addr,
    start: Instant,
    /// Tags whose sockets poll(2) found readable and that were not read since.
    ready: VecDeque<Tag>,
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
            sockets.push((tag, connect(from, to, taken)?));
        }
        Ok(Self {
            sockets,
            first_tag: options.first_tag,
            local,
            remote,
            start: Instant::now(),
            ready: VecDeque::with_capacity(usize::from(options.tag_count())),
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
        match self.sockets.get(index) {
            Some((_, socket)) => Ok(socket),
            None => Err(LinkError {
                tag,
                source: io::Error::new(ErrorKind::NotConnected, "the tag has no socket"),
            }),
        }
    }

    /// Waits until one of the sockets of `tags` is readable or the deadline is there; whether any is readable.
    fn wait(&mut self, tags: &TagSet, deadline: Moment) -> Result<bool, io::Error> {
        let left = deadline.since(self.now());
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let mut waited_for = Vec::with_capacity(tags.len());
        let mut tag_of = Vec::with_capacity(tags.len());
        for (tag, socket) in &self.sockets {
            if tags.contains(*tag) {
                waited_for.push(PollFd::new(socket, PollFlags::IN));
                tag_of.push(*tag);
            }
        }
        match poll(&mut waited_for, Some(&timeout)) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        for (waited_for, tag) in waited_for.iter().zip(tag_of) {
            // An error is fetched by receiving, like data.
            if !waited_for.revents().is_empty() {
                self.ready.push_back(tag);
            }
        }
        Ok(!self.ready.is_empty())
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
        tags: &TagSet,
        deadline: Moment,
        buffer: &mut [u8],
    ) -> Result<Option<Received>, LinkError> {
        loop {
            while let Some(port) = self.ready.pop_front() {
                match self.socket(port)?.recv(buffer) {
                    Ok(length) => return Ok(Some(Received { port, length })),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) if error.kind() == ErrorKind::Interrupted => {
                        self.ready.push_front(port);
                    }
                    Err(source) => return Err(LinkError { tag: port, source }),
                }
            }
            let any = self.wait(tags, deadline).map_err(|source| LinkError {
                tag: Tag::new(self.first_tag),
                source,
            })?;
            if !any && self.now() >= deadline {
                return Ok(None);
            }
        }
    }
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
