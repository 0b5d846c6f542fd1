//! Questions about the card itself: the message API, answered by the NetTLP driver on the target, and the card's configuration
//! space, answered by the adapter. Read-only: no configuration write is ever sent.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use crate::wire::{
    CONFIGURATION_PORT, ConfigurationCommand, ConfigurationPacket, ConfigurationRepr, MESSAGE_PORT,
    MSIX_ENTRIES, MessageReply, MessageRequest, MsixEntry, RequesterId, WireError,
};

use super::DmaError;
use super::link::{connect, local_address};
use super::options::ipv4;

/// First wait for an answer before the question is repeated; doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// Longest answer: the MSI-X table.
const LONGEST_ANSWER: usize = 192;

/// Asks the driver on the target for the card's requester ID. `local` is the address to ask from, `timeout` bounds the whole call.
pub fn requester_id(
    remote: IpAddr,
    local: Option<IpAddr>,
    timeout: Duration,
) -> Result<RequesterId, DmaError> {
    message(
        MessageRequest::RequesterId,
        remote,
        local,
        timeout,
        |reply| match reply {
            MessageReply::RequesterId(id) => Some(id),
            _ => None,
        },
    )
}

/// Asks the driver on the target for the physical address of the card's BAR4.
pub fn bar4(remote: IpAddr, local: Option<IpAddr>, timeout: Duration) -> Result<u64, DmaError> {
    message(
        MessageRequest::Bar4,
        remote,
        local,
        timeout,
        |reply| match reply {
            MessageReply::Bar4(address) => Some(address),
            _ => None,
        },
    )
}

/// Asks the driver on the target for the card's MSI-X table.
pub fn msix(
    remote: IpAddr,
    local: Option<IpAddr>,
    timeout: Duration,
) -> Result<Box<[MsixEntry; MSIX_ENTRIES]>, DmaError> {
    message(
        MessageRequest::Msix,
        remote,
        local,
        timeout,
        |reply| match reply {
            MessageReply::Msix(entries) => Some(entries),
            _ => None,
        },
    )
}

/// Asks the message API one question, from a port of its own, so that no earlier question's answer can be taken for this one's.
fn message<T>(
    request: MessageRequest,
    remote: IpAddr,
    local: Option<IpAddr>,
    timeout: Duration,
    pick: impl Fn(MessageReply) -> Option<T>,
) -> Result<T, DmaError> {
    let (local, remote) = addresses(local, remote)?;
    let from = SocketAddrV4::new(local, 0);
    let to = SocketAddrV4::new(remote, MESSAGE_PORT);
    let no_ports = || DmaError::NoLocalAddress(IpAddr::V4(local));
    let question = Question {
        socket: connect(from, to, no_ports)?,
        local: from,
        remote: to,
        subject: request.subject(),
        timeout,
    };
    question.ask(&request.emit(), |bytes| {
        match MessageReply::parse(request, bytes) {
            Ok(reply) => pick(reply).map(Ok),
            Err(error) => Some(Err(error)),
        }
    })
}

/// The local address to use towards the remote one, and that.
fn addresses(local: Option<IpAddr>, remote: IpAddr) -> Result<(Ipv4Addr, Ipv4Addr), DmaError> {
    let remote = ipv4(remote)?;
    let local = match local {
        Some(address) => ipv4(address)?,
        None => local_address(remote)?,
    };
    Ok((local, remote))
}

/// A socket towards someone who answers one kind of question.
#[derive(Debug)]
struct Question {
    socket: UdpSocket,
    local: SocketAddrV4,
    remote: SocketAddrV4,
    subject: &'static str,
    timeout: Duration,
}

impl Question {
    /// Sends the question, again and again while nothing comes back. `judge` says what an arrived datagram is: not the answer
    /// (`None`), the answer, or one that cannot be used.
    fn ask<T>(
        &self,
        question: &[u8],
        judge: impl Fn(&[u8]) -> Option<Result<T, WireError>>,
    ) -> Result<T, DmaError> {
        self.socket
            .set_nonblocking(false)
            .map_err(|source| self.failed(source))?;
        let start = Instant::now();
        let mut wait = FIRST_WAIT;
        let mut tries = 0;
        while start.elapsed() < self.timeout {
            self.socket
                .send(question)
                .map_err(|source| self.failed(source))?;
            tries += 1;
            let until = start + (start.elapsed() + wait).min(self.timeout);
            if let Some(answer) = self.listen(until, &judge)? {
                return answer.map_err(|source| DmaError::BadAnswer {
                    subject: self.subject,
                    remote: self.remote.into(),
                    source,
                });
            }
            wait *= 2;
        }
        Err(DmaError::NoAnswer {
            subject: self.subject,
            remote: self.remote.into(),
            tries,
            waited: self.timeout,
        })
    }

    /// Waits for the answer until a moment.
    fn listen<T>(
        &self,
        until: Instant,
        judge: impl Fn(&[u8]) -> Option<Result<T, WireError>>,
    ) -> Result<Option<Result<T, WireError>>, DmaError> {
        let mut buffer = [0; LONGEST_ANSWER + 1];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.socket
                .set_read_timeout(Some(left))
                .map_err(|source| self.failed(source))?;
            match self.socket.recv(&mut buffer) {
                Ok(length) => {
                    if let Some(answer) = judge(buffer.get(..length).unwrap_or(&buffer)) {
                        return Ok(Some(answer));
                    }
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    fn failed(&self, source: std::io::Error) -> DmaError {
        if source.kind() == ErrorKind::ConnectionRefused {
            return DmaError::NobodyThere {
                subject: self.subject,
                remote: self.remote.into(),
            };
        }
        DmaError::Socket {
            local: self.local.into(),
            remote: self.remote.into(),
            source,
        }
    }
}

/// What the card was told about the sizes and tags it may use (Device Control and Link Control of its PCI Express capability).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkParameters {
    /// Max_Read_Request_Size in bytes: the longest read the card may ask for.
    pub max_read: u32,
    /// Max_Payload_Size in bytes: the longest data in one TLP.
    pub max_payload: u32,
    /// Whether 8-bit tags are enabled; 32 tags otherwise.
    pub extended_tags: bool,
    /// The root's read completion boundary in bytes, 64 or 128.
    pub completion_boundary: u32,
    /// Whether the card may issue requests at all (Bus Master Enable).
    pub bus_master: bool,
}

mod register {
    //! Double words (byte offset / 4) and bits of configuration space (PCIe Base Specification, 7.5).
    pub(super) const COMMAND_AND_STATUS: u16 = 1;
    pub(super) const CAPABILITIES_POINTER: u16 = 13;
    /// Double words from the PCI Express capability's first.
    pub(super) const DEVICE_CONTROL: u16 = 2;
    pub(super) const LINK_CONTROL: u16 = 4;

    pub(super) const BUS_MASTER: u32 = 1 << 2;
    pub(super) const HAS_CAPABILITIES: u32 = 1 << 20;
    pub(super) const EXPRESS_CAPABILITY: u32 = 0x10;
    pub(super) const EXTENDED_TAGS: u32 = 1 << 8;
    pub(super) const BOUNDARY_128: u32 = 1 << 3;
    /// Capabilities start behind the standard header.
    pub(super) const FIRST_CAPABILITY: u8 = 0x40;
    /// As many capabilities as fit: a longer list goes in circles.
    pub(super) const MOST_CAPABILITIES: usize = 48;
}

/// The card's configuration space.
#[derive(Debug)]
pub struct ConfigurationSpace {
    question: Question,
}

impl ConfigurationSpace {
    /// Opens the port that the adapter answers to; `timeout` bounds each read. Fails where another program has the port.
    pub fn open(
        remote: IpAddr,
        local: Option<IpAddr>,
        timeout: Duration,
    ) -> Result<Self, DmaError> {
        let (local, remote) = addresses(local, remote)?;
        let from = SocketAddrV4::new(local, CONFIGURATION_PORT);
        let to = SocketAddrV4::new(remote, CONFIGURATION_PORT);
        let taken = || DmaError::ConfigurationPortTaken {
            local: IpAddr::V4(local),
            port: CONFIGURATION_PORT,
        };
        Ok(Self {
            question: Question {
                socket: connect(from, to, taken)?,
                local: from,
                remote: to,
                subject: "configuration space",
                timeout,
            },
        })
    }

    /// Reads a double word; `dword_address` is 0 to 1023, the byte offset divided by 4.
    pub fn read(&self, dword_address: u16) -> Result<u32, DmaError> {
        let mut packet = [0; ConfigurationRepr::LENGTH];
        ConfigurationRepr::read(dword_address)
            .emit(&mut packet)
            .map_err(|source| DmaError::BadAnswer {
                subject: self.question.subject,
                remote: self.question.remote.into(),
                source,
            })?;
        self.question.ask(&packet, |bytes| {
            let answer = ConfigurationPacket::new(bytes)
                .and_then(|packet| ConfigurationRepr::parse(&packet));
            match answer {
                Ok(answer)
                    if answer.command == ConfigurationCommand::Read
                        && answer.dword_address == dword_address =>
                {
                    Some(Ok(answer.data))
                }
                // The answer to an earlier question, asked twice.
                Ok(_) => None,
                Err(error) => Some(Err(error)),
            }
        })
    }

    /// Reads what the card was told about sizes and tags.
    pub fn link_parameters(&self) -> Result<LinkParameters, DmaError> {
        let command = self.read(register::COMMAND_AND_STATUS)?;
        let express = self.express_capability(command)?;
        let device = self.read(express + register::DEVICE_CONTROL)?;
        let link = self.read(express + register::LINK_CONTROL)?;
        // Codes 0 to 5 stand for 128 to 4096 bytes; 6 and 7 are reserved.
        let size = |shift: u32| 128 << ((device >> shift) & 7).min(5);
        Ok(LinkParameters {
            max_read: size(12),
            max_payload: size(5),
            extended_tags: device & register::EXTENDED_TAGS != 0,
            completion_boundary: if link & register::BOUNDARY_128 == 0 {
                64
            } else {
                128
            },
            bus_master: command & register::BUS_MASTER != 0,
        })
    }

    /// Follows the list of capabilities to the PCI Express one; its double-word address.
    fn express_capability(&self, command_and_status: u32) -> Result<u16, DmaError> {
        let mut at = 0;
        if command_and_status & register::HAS_CAPABILITIES != 0 {
            at = capability_pointer(self.read(register::CAPABILITIES_POINTER)?);
            for _ in 0..register::MOST_CAPABILITIES {
                if at < register::FIRST_CAPABILITY {
                    break;
                }
                let head = self.read(u16::from(at) / 4)?;
                if head & 0xff == register::EXPRESS_CAPABILITY {
                    return Ok(u16::from(at) / 4);
                }
                at = capability_pointer(head >> 8);
            }
        }
        Err(DmaError::NoExpressCapability {
            remote: IpAddr::V4(*self.question.remote.ip()),
            at,
        })
    }
}

/// The offset that the lowest byte points to; its two lowest bits are reserved.
const fn capability_pointer(register: u32) -> u8 {
    register as u8 & 0xfc
}
