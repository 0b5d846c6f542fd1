//! Real sockets on loopback.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::dma::{Dma, DmaError, DmaOptions};
use crate::memory::{PhysicalMemory, ReadFailure};
use crate::wire::*;

use super::simulation::{REQUESTER, byte_at, bytes_at};
use super::{addresses, read_all};

/// A thread that answers reads on the ports of the first tags of an address.
struct SmallAdapter {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl SmallAdapter {
    fn start(address: Ipv4Addr, tags: u8) -> Self {
        let sockets: Vec<UdpSocket> = (0..tags)
            .map(|tag| {
                let port = Tag::new(tag).dma_port();
                let socket = UdpSocket::bind(SocketAddrV4::new(address, port)).unwrap();
                socket.set_nonblocking(true).unwrap();
                socket
            })
            .collect();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut sequence = 0;
            let start = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                let mut is_idle = true;
                for socket in &sockets {
                    is_idle &= !answer(socket, &mut sequence, start);
                }
                if is_idle {
                    std::thread::sleep(Duration::from_micros(100));
                }
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for SmallAdapter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Answers one request, if there is one.
fn answer(socket: &UdpSocket, sequence: &mut u16, start: Instant) -> bool {
    let mut buffer = [0; MAX_DATAGRAM];
    let Ok((length, from)) = socket.recv_from(&mut buffer) else {
        return false;
    };
    let request = RequestPacket::new(&buffer[6..length]).unwrap();
    let read = MemoryReadRepr::parse(&request).unwrap();
    for piece in split_completion(&read.span, 64, 256) {
        let completion = CompletionRepr {
            completer: RequesterId::from_bits(0),
            requester: read.requester,
            tag: read.tag,
            status: CompletionStatus::Success,
            byte_count: piece.byte_count,
            lower_address: piece.lower_address(),
            dwords: piece.dwords,
            poisoned: false,
        };
        *sequence = sequence.wrapping_add(1);
        let stamp = NettlpRepr {
            sequence: Sequence(*sequence),
            timestamp: Timestamp::at(start.elapsed()),
        };
        let mut datagram = vec![0; 18];
        stamp.emit(&mut datagram).unwrap();
        completion.emit(&mut datagram[6..]).unwrap();
        let first = piece.address.get() & !3;
        datagram.extend((first..first + u64::from(piece.dwords) * 4).map(byte_at));
        socket.send_to(&datagram, from).unwrap();
    }
    true
}

/// Options for the pair of addresses of one test.
fn options(test: u8, tags: u16) -> DmaOptions {
    let (remote, local) = addresses(test);
    let mut options = DmaOptions::new(IpAddr::V4(remote), REQUESTER);
    options.local = Some(IpAddr::V4(local));
    options.tags = Some(tags);
    options
}

#[test]
fn reads_over_real_sockets_are_right() {
    let _adapter = SmallAdapter::start(addresses(1).0, 8);
    let mut dma = Dma::open(&options(1, 8)).unwrap();
    let reads: Vec<(u64, u32)> = (0..300)
        .map(|page| ((page << 12) + page, 1 + (page as u32 * 7) % 512))
        .collect();
    for ((address, length), outcome) in reads.iter().zip(read_all(&mut dma, &reads)) {
        assert_eq!(outcome, Ok(bytes_at(*address, *length)));
    }
    assert_eq!(dma.counters().reads, 300);
}

#[test]
fn two_clients_cannot_have_the_same_port_and_are_told_so() {
    let first = Dma::open(&options(2, 4)).unwrap();
    let error = Dma::open(&options(2, 4)).unwrap_err();
    assert!(matches!(error, DmaError::PortTaken { port: 12288, .. }));
    let text = error.to_string();
    let port = format!("UDP port 12288 of {}", addresses(2).1);
    assert!(
        text.contains(&port) && text.contains("stop the other NetTLP client"),
        "{text}"
    );
    // With tags of their own both can work.
    let mut other = options(2, 4);
    other.first_tag = 4;
    Dma::open(&other).unwrap();
    drop(first);
    Dma::open(&options(2, 4)).unwrap();
}

#[test]
fn an_adapter_that_is_not_there_is_noticed_at_once() {
    let mut dma = Dma::open(&options(3, 16)).unwrap();
    let start = Instant::now();
    let outcomes = read_all(&mut dma, &[(0x1000, 8), (0x2000, 512)]);
    assert_eq!(
        outcomes,
        [Err(ReadFailure::Transport), Err(ReadFailure::Transport)]
    );
    assert!(start.elapsed() < Duration::from_millis(900));
    let text = dma.diagnostics();
    assert!(
        text.contains("nothing listens on the adapter's UDP port"),
        "{text}"
    );
}

#[test]
fn an_adapter_that_says_nothing_is_an_error_within_a_second() {
    let silent: Vec<UdpSocket> = (0..4)
        .map(|tag| UdpSocket::bind((addresses(4).0, Tag::new(tag).dma_port())).unwrap())
        .collect();
    let mut dma = Dma::open(&options(4, 4)).unwrap();
    let start = Instant::now();
    assert_eq!(
        read_all(&mut dma, &[(0x1000, 8)]),
        [Err(ReadFailure::TimedOut)]
    );
    let waited = start.elapsed();
    assert!(
        waited > Duration::from_millis(990) && waited < Duration::from_millis(1500),
        "{waited:?}"
    );
    drop(silent);
}

#[test]
fn what_others_send_to_the_port_is_not_received() {
    let (remote, local) = addresses(5);
    let _adapter = SmallAdapter::start(remote, 1);
    let mut dma = Dma::open(&options(5, 1)).unwrap();
    // From the right port of a wrong address, and from a wrong port of the right one.
    let stranger = UdpSocket::bind((addresses(55).0, 12288)).unwrap();
    let neighbour = UdpSocket::bind((remote, 4000)).unwrap();
    for page in 0..50 {
        let forged = [
            0, 9, 0, 0, 0, 9, 0x4a, 0, 0, 1, 0, 0, 0, 4, 0x1b, 0, 0, 0, 0xba, 0xdb, 0xad, 0xba,
        ];
        stranger.send_to(&forged, (local, 12288)).unwrap();
        neighbour.send_to(&forged, (local, 12288)).unwrap();
        let address = page << 12;
        assert_eq!(
            read_all(&mut dma, &[(address, 4)]),
            [Ok(bytes_at(address, 4))]
        );
    }
    assert_eq!(dma.counters().discarded, 0);
}

#[test]
fn options_that_cannot_work_are_refused() {
    let refused = |change: &dyn Fn(&mut DmaOptions)| {
        let mut options = options(6, 4);
        change(&mut options);
        Dma::open(&options).unwrap_err()
    };
    let error = refused(&|options| options.max_read = 100);
    assert!(matches!(error, DmaError::MaxRead(100)));
    let error = refused(&|options| options.max_read = 8192);
    assert!(matches!(error, DmaError::MaxRead(8192)));
    let error = refused(&|options| options.window_bytes = 511);
    assert!(matches!(error, DmaError::Window { window: 511, .. }));
    let error = refused(&|options| options.tags = Some(0));
    assert!(matches!(error, DmaError::Tags { count: 0, .. }));
    let error = refused(&|options| options.first_tag = 253);
    assert!(matches!(error, DmaError::Tags { first: 253, .. }));
    let error = refused(&|options| options.remote = "::1".parse().unwrap());
    assert!(matches!(error, DmaError::NotIpv4(_)));
    let error = refused(&|options| options.local = Some("203.0.113.9".parse().unwrap()));
    assert!(matches!(error, DmaError::NoLocalAddress(_)), "{error:?}");
}

#[test]
fn the_local_address_is_found_where_none_is_given() {
    let (remote, _) = addresses(7);
    let local = crate::dma::link::local_address(remote).unwrap();
    assert!(local.is_loopback() && local != remote, "{local}");
}
