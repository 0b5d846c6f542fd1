//! One read, one tag, one socket, one answer at a time: how LibTLP's programs read, in its leanest form.
//!
//! A read is one datagram, a sleep in poll(2) until there is something to receive, and one receive for each completion: what
//! LibTLP's `dma_read` does, written from the facts of the protocol. Unlike it, an answer is checked against what was asked for.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::addr::PhysAddr;
use crate::wire::{
    CompletionPacket, CompletionRepr, CompletionStatus, MAX_DATAGRAM, MAX_HEADER, MemoryReadRepr,
    NettlpPacket, NettlpRepr, RequesterId, Tag, split_request,
};

use super::BenchError;

/// How long an answer may take before the measurement is given up, in seconds. Nothing is sent again, as in LibTLP.
const PATIENCE: i64 = 2;

/// The tag; its number says which port.
const TAG: Tag = Tag::new(0);

/// Something that reads one piece of memory at a time and waits for it.
pub(super) trait OneByOne {
    /// Fills `into` with the bytes from `address` on.
    fn read(&mut self, address: PhysAddr, into: &mut [u8]) -> Result<(), BenchError>;
}

/// One tag of an adapter.
#[derive(Debug)]
pub(super) struct SingleTag {
    socket: UdpSocket,
    requester: RequesterId,
    buffer: Box<[u8]>,
    /// Requests sent.
    pub(super) reads: u64,
    /// Bytes asked for.
    pub(super) bytes: u64,
}

impl SingleTag {
    /// A socket from the port of tag 0 at `local` to the same port at `remote`.
    pub(super) fn open(
        local: Ipv4Addr,
        remote: Ipv4Addr,
        requester: RequesterId,
    ) -> Result<Self, BenchError> {
        let port = TAG.dma_port();
        let socket = UdpSocket::bind(SocketAddrV4::new(local, port))
            .map_err(BenchError::system("bind the port of the single tag"))?;
        socket
            .connect(SocketAddrV4::new(remote, port))
            .map_err(BenchError::system("connect the port of the single tag"))?;
        Ok(Self {
            socket,
            requester,
            buffer: vec![0; MAX_DATAGRAM + 1].into(),
            reads: 0,
            bytes: 0,
        })
    }

    fn send(&mut self, address: PhysAddr, length: u32) -> Result<(), BenchError> {
        let mut request = [0; NettlpRepr::LENGTH + MAX_HEADER];
        let (stamp, tlp) = request.split_at_mut(NettlpRepr::LENGTH);
        let end = NettlpRepr::default().emit(stamp)?
            + MemoryReadRepr::new(self.requester, TAG, address, length)?.emit(tlp)?;
        self.reads += 1;
        self.bytes += u64::from(length);
        self.socket
            .send(request.get(..end).unwrap_or(&request))
            .map_err(BenchError::system("send a request"))?;
        Ok(())
    }

    /// Sleeps until there is a datagram, and takes it.
    fn receive(&mut self, address: PhysAddr) -> Result<usize, BenchError> {
        let patience = Timespec {
            tv_sec: PATIENCE,
            tv_nsec: 0,
        };
        let mut waited_for = [PollFd::new(&self.socket, PollFlags::IN)];
        loop {
            match poll(&mut waited_for, Some(&patience)) {
                Ok(0) => return Err(BenchError::NoAnswer { address }),
                Ok(_) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(BenchError::system("wait for an answer")(error.into())),
            }
        }
        self.socket
            .recv(&mut self.buffer)
            .map_err(BenchError::system("receive an answer"))
    }

    /// Reads what one request may ask for.
    fn read_piece(&mut self, address: PhysAddr, into: &mut [u8]) -> Result<(), BenchError> {
        let length = into.len() as u32;
        self.send(address, length)?;
        loop {
            let received = self.receive(address)?;
            let datagram = self.buffer.get(..received).unwrap_or(&self.buffer);
            if place(datagram, self.requester, address, into)? {
                return Ok(());
            }
        }
    }
}

impl OneByOne for SingleTag {
    fn read(&mut self, address: PhysAddr, into: &mut [u8]) -> Result<(), BenchError> {
        let mut rest = into;
        // A request never crosses 4 KiB: there, and only there, one read becomes two.
        for (start, length) in split_request(address, rest.len() as u64, 4096) {
            let (piece, after) = rest.split_at_mut(length as usize);
            self.read_piece(start, piece)?;
            rest = after;
        }
        Ok(())
    }
}

/// Puts the bytes of a completion where they belong; whether they are the last.
fn place(
    datagram: &[u8],
    requester: RequesterId,
    address: PhysAddr,
    into: &mut [u8],
) -> Result<bool, BenchError> {
    let stamped = NettlpPacket::new(datagram)?;
    let packet = CompletionPacket::new(stamped.tlp())?;
    let completion = CompletionRepr::parse(&packet)?;
    let stranger = BenchError::Stranger { address };
    if completion.tag != TAG || completion.requester != requester {
        return Err(stranger);
    }
    if completion.status != CompletionStatus::Success || completion.poisoned {
        return Err(BenchError::Refused {
            address,
            status: completion.status,
        });
    }
    let data = packet.valid_data();
    let place = into
        .len()
        .checked_sub(usize::from(completion.byte_count))
        .and_then(|start| into.get_mut(start..start + data.len()));
    place.ok_or(stranger)?.copy_from_slice(data);
    Ok(completion.is_last())
}
