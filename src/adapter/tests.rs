//! The adapter over real sockets, asked as LibTLP and as rude clients do.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::addr::PhysAddr;
use crate::memory::{Immediate, SparseMemory};
use crate::wire::{
    CONFIGURATION_PORT, ConfigurationRepr, LIBTLP_CONFIGURATION_PORT, MESSAGE_PORT, MemoryReadRepr,
    NettlpPacket, RequesterId, Tag,
};

/// Loopback addresses of the next adapter and its client, used by no other test.
fn addresses() -> (Ipv4Addr, Ipv4Addr) {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let host = NEXT.fetch_add(1, Ordering::Relaxed);
    // The process's number keeps several test runs apart.
    let run = (std::process::id() % 250) as u8;
    (
        Ipv4Addr::new(127, 41, run, host),
        Ipv4Addr::new(127, 42, run, host),
    )
}

fn memory() -> Immediate<SparseMemory> {
    let mut memory = SparseMemory::new();
    let bytes: Vec<u8> = (0..0x4000_u32).map(|at| (at ^ (at >> 8)) as u8).collect();
    memory.insert(PhysAddr::new(0x1_0000), &bytes);
    Immediate::new(memory)
}

fn expected(start: u64, length: usize) -> Vec<u8> {
    (start as u32..start as u32 + length as u32)
        .map(|at| (at ^ (at >> 8)) as u8)
        .collect()
}

struct Pair {
    adapter: RunningAdapter,
    local: Ipv4Addr,
}

impl Pair {
    fn new(change: impl FnOnce(&mut AdapterOptions)) -> Self {
        let (listen, local) = addresses();
        let mut options = AdapterOptions {
            listen,
            tags: 32,
            ..AdapterOptions::default()
        };
        change(&mut options);
        Self {
            adapter: Adapter::spawn(&options, memory()).unwrap(),
            local,
        }
    }

    fn socket(&self, local_port: u16, remote_port: u16) -> UdpSocket {
        let socket = UdpSocket::bind((self.local, local_port)).unwrap();
        socket
            .connect((self.adapter.address(), remote_port))
            .unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        socket
    }

    /// A socket as LibTLP has it: bound to the tag's port, connected to the adapter's same port.
    fn tag_socket(&self, tag: u8) -> UdpSocket {
        let port = Tag::new(tag).dma_port();
        self.socket(port, port)
    }
}

fn request(tag: u8, address: u64, length: u32) -> Vec<u8> {
    let requester = RequesterId::from_bits(0x1b00);
    let repr =
        MemoryReadRepr::new(requester, Tag::new(tag), PhysAddr::new(address), length).unwrap();
    let mut datagram = vec![0; 64];
    let end = 6 + repr.emit(&mut datagram[6..]).unwrap();
    datagram.truncate(end);
    datagram
}

fn receive(socket: &UdpSocket) -> Option<Vec<u8>> {
    let mut buffer = vec![0; 5000];
    let length = socket.recv(&mut buffer).ok()?;
    buffer.truncate(length);
    Some(buffer)
}

/// A read as LibTLP's `dma_read` sends and takes it: one socket, one request, completions appended in the order of arrival,
/// the last told by its Length against its Byte Count, nothing else looked at.
fn libtlp_read(socket: &UdpSocket, tag: u8, address: u64, count: usize) -> Option<Vec<u8>> {
    let mut datagram = vec![0_u8; 6];
    let first = (0x0f_u32 << (address & 3)) as u8 & 0x0f;
    let short = if count < 4 {
        !(0x0f_u32 << count) as u8 & 0x0f
    } else {
        0x0f
    };
    let in_first = ((u32::from(short) << (address & 3)) as u8) & first;
    let end = address + count as u64;
    let last_start = if end & 3 == 0 { end - 4 } else { end & !3 };
    let last = if last_start <= address & !3 {
        0
    } else {
        !(0x0f_u32 << (end - last_start)) as u8 & 0x0f
    };
    let dwords = (end - (address & !3)).div_ceil(4) as u16;
    let wide = address >= u64::from(u32::MAX);
    datagram.push(if wide { 0x20 } else { 0 });
    datagram.push(0);
    datagram.extend(dwords.to_be_bytes());
    datagram.extend([0x1b, 0x00, tag, last << 4 | in_first]);
    if wide {
        datagram.extend((address & !3).to_be_bytes());
    } else {
        datagram.extend((address as u32 & !3).to_be_bytes());
    }
    socket.send(&datagram).unwrap();
    let mut received = Vec::new();
    loop {
        let reply = receive(socket)?;
        let tlp = &reply[6..];
        assert_eq!(tlp[0], 0x4a, "a completion with data");
        let length = u16::from_be_bytes([tlp[2], tlp[3]]) & 0x3ff;
        let byte_count = u16::from_be_bytes([tlp[6], tlp[7]]) & 0xfff;
        let low = u16::from(tlp[11] & 3);
        let data = &tlp[12 + usize::from(low)..];
        if length == (low + byte_count + 3) >> 2 {
            received.extend_from_slice(&data[..usize::from(byte_count)]);
            return Some(received);
        }
        received.extend_from_slice(&data[..usize::from(length) << 2]);
    }
}

#[test]
fn libtlp_reads_what_is_there() {
    let pair = Pair::new(|_| {});
    let socket = pair.tag_socket(0);
    for length in [1, 2, 3, 4, 5, 8, 16, 63, 64, 255, 256, 257, 300, 512] {
        let read = libtlp_read(&socket, 0, 0x1_0100, length);
        assert_eq!(read, Some(expected(0x100, length)), "{length}");
    }
    for (start, length) in [(1, 1), (3, 2), (5, 100), (0xff2, 14), (0xfff, 1)] {
        let read = libtlp_read(&socket, 0, 0x1_0000 + start, length);
        assert_eq!(read, Some(expected(start, length)), "{start}");
    }
}

#[test]
fn completions_go_from_and_to_the_port_of_the_tag() {
    let pair = Pair::new(|_| {});
    let owner = pair.tag_socket(7);
    let other = UdpSocket::bind((pair.local, 0)).unwrap();
    let to = (pair.adapter.address(), Tag::new(3).dma_port());
    other.send_to(&request(7, 0x1_0000, 4), to).unwrap();
    // Connected to the adapter's port of tag 7: nothing from another port would come in.
    assert_eq!(receive(&owner).unwrap()[18..], expected(0, 4));
}

#[test]
fn every_tlp_has_the_next_sequence_and_a_later_time() {
    let pair = Pair::new(|_| {});
    let sockets: Vec<UdpSocket> = (0..4).map(|tag| pair.tag_socket(tag)).collect();
    let mut stamps = Vec::new();
    for tag in [0_u8, 3, 1, 2] {
        let socket = &sockets[usize::from(tag)];
        socket.send(&request(tag, 0x1_0000, 512)).unwrap();
        for _ in 0..2 {
            let datagram = receive(socket).unwrap();
            let packet = NettlpPacket::new(&datagram).unwrap();
            stamps.push((packet.sequence(), packet.timestamp()));
        }
    }
    for pair in stamps.windows(2) {
        assert_eq!(pair[0].0.distance_to(pair[1].0), 1);
        assert!(pair[0].1.ticks_to(pair[1].1) >= 0);
    }
}

#[test]
fn a_delay_holds_up_each_request_and_not_the_next() {
    let delay = Duration::from_millis(40);
    let pair = Pair::new(|options| options.delay = delay);
    let sockets: Vec<UdpSocket> = (0..32).map(|tag| pair.tag_socket(tag)).collect();
    let start = Instant::now();
    for (tag, socket) in sockets.iter().enumerate() {
        socket.send(&request(tag as u8, 0x1_0000, 64)).unwrap();
    }
    assert!(receive(&sockets[0]).is_some());
    assert!(start.elapsed() >= delay);
    for socket in &sockets[1..] {
        assert!(receive(socket).is_some());
    }
    // One after the other they would take 1.28 s.
    assert!(start.elapsed() < 10 * delay, "{:?}", start.elapsed());
}

fn always() -> Probability {
    Probability::new(1.0).unwrap()
}

#[test]
fn faults_do_what_they_are_called() {
    let pair = Pair::new(|options| options.faults.drop = always());
    let socket = pair.tag_socket(0);
    socket
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    socket.send(&request(0, 0x1_0000, 4)).unwrap();
    assert_eq!(receive(&socket), None);
    assert_eq!(pair.adapter.counters().lost_requests, 1);

    let pair = Pair::new(|options| {
        options.faults.duplicate = always();
        options.faults.reorder = always();
    });
    let socket = pair.tag_socket(0);
    socket.send(&request(0, 0x1_0000, 4)).unwrap();
    let first = receive(&socket).unwrap();
    assert_eq!(receive(&socket), Some(first));
    let counters = pair.adapter.counters();
    assert_eq!((counters.duplicated, counters.reordered), (1, 1));

    let pair = Pair::new(|options| options.faults.corrupt = always());
    let clean = Pair::new(|_| {});
    let corrupt_and_clean: Vec<Vec<u8>> = [&pair, &clean]
        .map(|pair| {
            let socket = pair.tag_socket(0);
            socket.send(&request(0, 0x1_0000, 64)).unwrap();
            receive(&socket).unwrap()
        })
        .to_vec();
    assert_eq!(corrupt_and_clean[0][18..], corrupt_and_clean[1][18..]);
    assert_eq!(pair.adapter.counters().corrupted, 1);
}

#[test]
fn the_other_services_answer_whoever_asks() {
    let pair = Pair::new(|_| {});
    let message = pair.socket(0, MESSAGE_PORT);
    message.send(&[2, 0, 0, 0]).unwrap();
    assert_eq!(receive(&message), Some(vec![0x00, 0x1b]));
    for port in [CONFIGURATION_PORT, LIBTLP_CONFIGURATION_PORT] {
        let socket = pair.socket(port, port);
        let mut packet = [0; ConfigurationRepr::LENGTH];
        ConfigurationRepr::read(0).emit(&mut packet).unwrap();
        socket.send(&packet).unwrap();
        assert_eq!(receive(&socket).unwrap()[2..], [0x80, 0x22, 0x37, 0x76]);
    }
}

#[test]
fn a_taken_port_is_named_with_a_way_out() {
    let pair = Pair::new(|_| {});
    let options = AdapterOptions {
        listen: pair.adapter.address(),
        tags: 1,
        ..AdapterOptions::default()
    };
    let report = Adapter::bind(&options, memory()).unwrap_err().report();
    assert_eq!(
        report.message,
        format!("cannot listen on {}:12288", options.listen)
    );
    assert!(report.hints[0].contains("another loopback address"));
    let address = pair.adapter.stop().map(|_| options.listen).unwrap();
    assert_eq!(Adapter::bind(&options, memory()).unwrap().listen(), address);
    let foreign = AdapterOptions {
        listen: Ipv4Addr::new(192, 0, 2, 1),
        ..options
    };
    let report = Adapter::bind(&foreign, memory()).unwrap_err().report();
    assert!(report.hints[0].contains("no interface"));
}

#[test]
fn options_out_of_range_are_refused() {
    let refused = |change: fn(&mut AdapterOptions)| {
        let mut options = AdapterOptions::default();
        change(&mut options);
        Adapter::bind(&options, memory()).unwrap_err().to_string()
    };
    assert_eq!(
        refused(|options| options.tags = 257),
        "257 tags are not between 1 and 256"
    );
    assert_eq!(
        refused(|options| options.boundary = 32),
        "a read completion boundary of 32 bytes is neither 64 nor 128"
    );
    assert_eq!(
        refused(|options| options.max_payload = 100),
        "a maximum payload of 100 bytes is not a power of two from 64 to 4096"
    );
}

#[test]
fn ports_are_served_in_the_order_in_which_requests_came() {
    let (listen, local) = addresses();
    let ports = sockets::Ports::bind(listen, 32).unwrap();
    let client = UdpSocket::bind((local, 0)).unwrap();
    let mut ready = sockets::Ready::new();
    let mut buffer = [0; 64];
    for round in 0..50_u8 {
        // Another order each time, and other ports: some had requests before, some had none for long.
        let tags = (0..32).map(|tag| (tag * 5 + round) & 31);
        let tags: Vec<u8> = tags.take(usize::from(round) * 7 % 32 + 1).collect();
        for tag in &tags {
            let port = Tag::new(*tag).dma_port();
            client.send_to(&[*tag], (listen, port)).unwrap();
        }
        let mut served = Vec::new();
        while served.len() < tags.len() {
            ports.wait(None, &mut ready).unwrap();
            while let Some(port) = ready.next() {
                if ports.receive(port, &mut buffer).is_some() {
                    served.push(port as u8);
                    ready.note_served(port);
                }
            }
        }
        assert_eq!(served, tags);
    }
}

#[test]
fn many_requests_at_one_port_are_all_answered_and_hold_up_no_other() {
    let pair = Pair::new(|_| {});
    let (many, one) = (pair.tag_socket(1), pair.tag_socket(2));
    for _ in 0..100 {
        many.send(&request(1, 0x1_0000, 64)).unwrap();
    }
    one.send(&request(2, 0x1_0040, 64)).unwrap();
    assert_eq!(receive(&one).unwrap()[18..], expected(0x40, 64));
    for _ in 0..100 {
        assert_eq!(receive(&many).unwrap()[18..], expected(0, 64));
    }
}

#[test]
fn completions_of_all_sizes_arrive_as_datagrams_of_their_own() {
    for max_payload in [64, 128, 256, 1024, 4096] {
        for delay in [0, 1] {
            let pair = Pair::new(|options| {
                options.max_payload = max_payload;
                options.delay = Duration::from_millis(delay);
            });
            let socket = pair.tag_socket(3);
            for (start, length) in [(0, 4096), (0, 512), (4, 508), (0x30, 600), (1, 1000)] {
                socket.send(&request(3, 0x1_0000 + start, length)).unwrap();
                let mut bytes = Vec::new();
                while bytes.len() < length as usize {
                    let answer = receive(&socket).unwrap();
                    let tlp = crate::wire::CompletionPacket::new(&answer[6..]).unwrap();
                    bytes.extend_from_slice(tlp.valid_data());
                }
                assert_eq!(bytes, expected(start, length as usize));
            }
        }
    }
}
