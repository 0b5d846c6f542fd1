//! The links that lose and that record.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

use crate::dma::{Dma, Faults, Link, LinkError, LossyLink, Moment, Received, TraceLink};
use crate::memory::PhysicalMemory;
use crate::wire::*;

use super::read_all;
use super::simulation::*;

/// A link whose far end sends back what it is sent, in order and at once.
#[derive(Debug, Default)]
struct Echo {
    now: Duration,
    sent: Rc<RefCell<Vec<Vec<u8>>>>,
    coming: VecDeque<(Tag, Vec<u8>)>,
}

impl Link for Echo {
    fn now(&self) -> Moment {
        Moment::after_start(self.now)
    }

    fn send(&mut self, tag: Tag, datagram: &[u8]) -> Result<(), LinkError> {
        self.sent.borrow_mut().push(datagram.to_vec());
        self.coming.push_back((tag, datagram.to_vec()));
        Ok(())
    }

    fn receive(
        &mut self,
        _tags: &TagSet,
        deadline: Moment,
        buffer: &mut [u8],
    ) -> Result<Option<Received>, LinkError> {
        let Some((port, datagram)) = self.coming.pop_front() else {
            self.now = self.now.max(deadline.since_start());
            return Ok(None);
        };
        let length = datagram.len();
        buffer[..length].copy_from_slice(&datagram);
        Ok(Some(Received { port, length }))
    }
}

fn all_tags() -> TagSet {
    let mut tags = TagSet::EMPTY;
    for number in 0..=255 {
        tags.insert(Tag::new(number));
    }
    tags
}

/// Sends 200 numbered datagrams of 40 bytes; what was sent beyond the faults, and what came back.
fn echo(faults: Faults) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let inner = Echo::default();
    let sent = Rc::clone(&inner.sent);
    let mut link = LossyLink::new(inner, faults);
    let mut buffer = vec![0; MAX_DATAGRAM];
    let mut came = Vec::new();
    for number in 0..200 {
        link.send(Tag::new(number), &[number; 40]).unwrap();
    }
    let end = Moment::after_start(Duration::from_secs(1));
    while let Some(received) = link.receive(&all_tags(), end, &mut buffer).unwrap() {
        assert_eq!(received.length, 40);
        came.push(buffer[..40].to_vec());
    }
    let sent = sent.borrow().clone();
    (sent, came)
}

#[test]
fn without_faults_everything_passes_in_order() {
    let (sent, came) = echo(Faults::default());
    let expected: Vec<Vec<u8>> = (0..200).map(|number| vec![number; 40]).collect();
    assert_eq!(sent, expected);
    assert_eq!(came, expected);
}

#[test]
fn the_same_seed_has_the_same_faults_and_another_has_others() {
    let faults = |seed| Faults {
        drop: 0.1,
        duplicate: 0.1,
        reorder: 0.2,
        depth: 8,
        corrupt: 0.1,
        seed,
    };
    assert_eq!(echo(faults(5)), echo(faults(5)));
    assert_ne!(echo(faults(5)), echo(faults(6)));
}

#[test]
fn each_fault_does_what_its_name_says() {
    let none = Faults {
        seed: 1,
        ..Faults::default()
    };
    let (sent, came) = echo(Faults { drop: 1.0, ..none });
    assert!(sent.is_empty() && came.is_empty());

    let (sent, came) = echo(Faults {
        duplicate: 1.0,
        ..none
    });
    assert_eq!((sent.len(), came.len()), (400, 800));

    let (sent, came) = echo(Faults {
        reorder: 0.5,
        depth: 32,
        ..none
    });
    assert!(!sent.is_sorted() && !came.is_sorted());
    let mut sorted = came.clone();
    sorted.sort();
    let expected: Vec<Vec<u8>> = (0..200).map(|number| vec![number; 40]).collect();
    assert_eq!(sorted, expected);

    let (sent, came) = echo(Faults {
        corrupt: 1.0,
        ..none
    });
    assert_eq!(sent, expected, "requests are never damaged");
    for (good, bad) in expected.iter().zip(&came) {
        let flipped = good.iter().zip(bad).map(|(good, bad)| good ^ bad);
        let flipped: Vec<u32> = flipped.map(u8::count_ones).collect();
        assert_eq!(flipped.iter().sum::<u32>(), 1);
        assert_eq!(flipped[18..], [0; 22], "data are never damaged");
    }
}

#[test]
fn reads_through_a_lossy_link_are_right() {
    for seed in 0..30 {
        let faults = Faults {
            drop: 0.05,
            duplicate: 0.05,
            reorder: 0.10,
            depth: 32,
            corrupt: 0.05,
            seed,
        };
        let (link, world) = simulated_link(&options(), Conditions::default());
        world.borrow_mut().checks_tags = false;
        let link = Box::new(LossyLink::new(link, faults));
        let mut dma = Dma::over(link, &options()).unwrap();
        let reads: Vec<(u64, u32)> = (0..400).map(|page| ((page << 12) + 7, 300)).collect();
        for ((address, length), outcome) in reads.iter().zip(read_all(&mut dma, &reads)) {
            assert!(outcome == Ok(bytes_at(*address, *length)), "seed {seed}");
        }
        assert!(dma.counters().retries > 0);
    }
}

/// A file in memory that can be looked at while it is written.
#[derive(Clone, Default)]
struct SharedFile(Rc<RefCell<Vec<u8>>>);

impl Write for SharedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_trace_is_a_capture_with_correct_headers() {
    let file = SharedFile::default();
    let (local, remote) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(192, 168, 10, 1));
    let (link, world) = simulated_link(&options(), Conditions::default());
    let link = TraceLink::new(link, file.clone(), local, remote).unwrap();
    let mut dma = Dma::over(Box::new(link), &options()).unwrap();
    assert_eq!(
        read_all(&mut dma, &[(0x1000, 512)]),
        [Ok(bytes_at(0x1000, 512))]
    );

    let file = file.0.borrow();
    assert_eq!(file[..8], [0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0]);
    assert_eq!(file[20..24], [101, 0, 0, 0]);
    let mut packets = Vec::new();
    let mut rest = &file[24..];
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        assert_eq!(rest[8..12], rest[12..16]);
        packets.push(&rest[16..16 + length]);
        rest = &rest[16 + length..];
    }
    // One request and two completions of 256 bytes.
    let lengths: Vec<usize> = packets.iter().map(|packet| packet.len()).collect();
    assert_eq!(lengths, [28 + 18, 28 + 18 + 256, 28 + 18 + 256]);
    for (packet, (from, to)) in
        packets
            .iter()
            .zip([(local, remote), (remote, local), (remote, local)])
    {
        assert_eq!((packet[0], packet[9]), (0x45, 17));
        assert_eq!(
            usize::from(u16::from_be_bytes([packet[2], packet[3]])),
            packet.len()
        );
        let sum: u32 = packet[..20]
            .chunks(2)
            .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
            .sum();
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff, "IPv4 checksum");
        assert_eq!(packet[12..16], from.octets());
        assert_eq!(packet[16..20], to.octets());
        assert_eq!(packet[20..24], [0x30, 0x00, 0x30, 0x00]);
        let udp = usize::from(u16::from_be_bytes([packet[24], packet[25]]));
        assert_eq!(udp, packet.len() - 20);
    }
    let request = RequestPacket::new(&packets[0][34..]).unwrap();
    let request = MemoryReadRepr::parse(&request).unwrap();
    assert_eq!(request, world.borrow().requests[0].1);
}

/// A disk that is full.
struct Full;

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The file's own header still fits.
        if bytes.len() == 24 {
            return Ok(24);
        }
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_trace_that_cannot_be_written_does_not_stop_the_datagrams() {
    let local = Ipv4Addr::LOCALHOST;
    let mut link = TraceLink::new(Echo::default(), Full, local, local).unwrap();
    link.send(Tag::new(3), &[1, 2, 3]).unwrap();
    let mut buffer = [0; 10];
    let received = link.receive(&all_tags(), Moment::START, &mut buffer);
    let expected = Received {
        port: Tag::new(3),
        length: 3,
    };
    assert_eq!(received.unwrap(), Some(expected));
    let failure = link.failure().map(io::Error::kind);
    assert_eq!(failure, Some(io::ErrorKind::StorageFull));
}
