//! A target and its adapter in this process: every request is checked, every answer can be bent, and time is counted, not waited for.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::Duration;

use crate::dma::{Dma, DmaOptions, Link, LinkError, Moment, Received};
use crate::wire::*;

/// The requester ID of the simulated adapter.
pub(super) const REQUESTER: RequesterId = RequesterId::from_bits(0x1b00);

/// How the target answers at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Data,
    Poisoned,
    Status(CompletionStatus),
    Silence,
}

/// What happens on the way and how the target splits; probabilities from 0 to 1.
#[derive(Clone, Debug)]
pub(super) struct Conditions {
    pub(super) seed: u64,
    pub(super) request_loss: f64,
    pub(super) reply_loss: f64,
    pub(super) duplicate_requests: f64,
    pub(super) duplicate_replies: f64,
    /// A datagram is up to 400 µs late: overtaken by dozens.
    pub(super) reorder: f64,
    /// A datagram is 2 to 20 ms late: beyond any retransmission timer, but both ways together within the quarantine of tags.
    pub(super) late: f64,
    /// One bit of a reply's 18 header bytes is flipped.
    pub(super) corrupt: f64,
    /// One way through the network, in nanoseconds.
    pub(super) distance: u64,
    pub(super) boundary: u32,
    pub(super) max_payload: u32,
    /// Cut at any legal place instead of as late as possible.
    pub(super) random_splits: bool,
    pub(super) sequence: u16,
    pub(super) clock: u32,
    /// Whether the adapter stamps its datagrams.
    pub(super) stamps: bool,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            seed: 0,
            request_loss: 0.0,
            reply_loss: 0.0,
            duplicate_requests: 0.0,
            duplicate_replies: 0.0,
            reorder: 0.0,
            late: 0.0,
            corrupt: 0.0,
            distance: 5_000,
            boundary: 64,
            max_payload: 256,
            random_splits: false,
            sequence: 65_500,
            clock: u32::MAX - 40_000,
            stamps: true,
        }
    }
}

/// A datagram from the adapter: the port that it comes to, and its bytes.
pub(super) type Reply = (Tag, Vec<u8>);

/// Bends the replies to the n-th request.
type Bend = Box<dyn FnMut(usize, &MemoryReadRepr, Vec<Reply>) -> Vec<Reply>>;

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    RequestArrives(Vec<u8>),
    ReplyArrives(u8, Vec<u8>),
}

/// How long the adapter is busy with the n-th request, in nanoseconds; the next ones wait meanwhile.
type Service = Box<dyn Fn(usize) -> u64>;

/// A request that was sent under a tag and how many of the bytes asked for were delivered.
#[derive(Debug)]
struct Outstanding {
    sent: u64,
    missing: i64,
}

/// Target, adapter and network.
pub(super) struct World {
    pub(super) conditions: Conditions,
    pub(super) answer: Box<dyn Fn(u64) -> Answer>,
    pub(super) bend: Option<Bend>,
    pub(super) service: Service,
    /// When the adapter has worked off what waits for it.
    busy_until: u64,
    /// Errors that the system reports for the next sends.
    pub(super) send_errors: VecDeque<std::io::ErrorKind>,
    /// Tags whose ports nobody listens on.
    pub(super) closed: TagSet,
    /// Requests as they were sent: time in nanoseconds, request.
    pub(super) requests: Vec<(u64, MemoryReadRepr)>,
    /// Most bytes outstanding at a time.
    pub(super) most_outstanding: i64,
    pub(super) max_read: u32,
    /// Whether a tag used twice is a fault; not where something between the client and here doubles requests.
    pub(super) checks_tags: bool,
    random: fastrand::Rng,
    now: u64,
    order: u64,
    sequence: u16,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    /// What arrived at each tag's port, and which ports have something.
    mailboxes: Vec<VecDeque<Vec<u8>>>,
    filled: TagSet,
    refusals: VecDeque<u8>,
    outstanding: HashMap<u8, Outstanding>,
    outstanding_bytes: i64,
    arrived: usize,
}

/// The byte at an address of the target.
pub(super) fn byte_at(address: u64) -> u8 {
    (address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

/// The bytes of a read.
pub(super) fn bytes_at(address: u64, length: u32) -> Vec<u8> {
    (0..u64::from(length))
        .map(|offset| byte_at(address + offset))
        .collect()
}

/// Options for a simulated adapter.
pub(super) fn options() -> DmaOptions {
    DmaOptions::new(IpAddr::V4(Ipv4Addr::LOCALHOST), REQUESTER)
}

/// A memory over a simulated adapter, and the simulation to look at and to bend.
pub(super) fn simulate(options: &DmaOptions, conditions: Conditions) -> (Dma, Rc<RefCell<World>>) {
    let (link, world) = simulated_link(options, conditions);
    (Dma::over(link, options).unwrap(), world)
}

/// A link to a simulated adapter.
pub(super) fn simulated_link(
    options: &DmaOptions,
    conditions: Conditions,
) -> (Box<dyn Link>, Rc<RefCell<World>>) {
    let world = Rc::new(RefCell::new(World::new(conditions, options.max_read)));
    (Box::new(SimulatedLink(Rc::clone(&world))), world)
}

impl World {
    fn new(conditions: Conditions, max_read: u32) -> Self {
        Self {
            answer: Box::new(|_| Answer::Data),
            bend: None,
            service: Box::new(|_| 0),
            busy_until: 0,
            send_errors: VecDeque::new(),
            closed: TagSet::EMPTY,
            requests: Vec::new(),
            most_outstanding: 0,
            max_read,
            checks_tags: true,
            random: fastrand::Rng::with_seed(conditions.seed),
            now: 1_000_000,
            order: 0,
            sequence: conditions.sequence,
            events: BinaryHeap::new(),
            mailboxes: vec![VecDeque::new(); 256],
            filled: TagSet::EMPTY,
            refusals: VecDeque::new(),
            outstanding: HashMap::new(),
            outstanding_bytes: 0,
            arrived: 0,
            conditions,
        }
    }

    pub(super) fn now(&self) -> Duration {
        Duration::from_nanos(self.now)
    }

    /// Lets time pass.
    pub(super) fn sleep(&mut self, time: Duration) {
        self.now += time.as_nanos() as u64;
    }

    /// Counts what is outstanding anew; what was lost before does not count.
    pub(super) fn count_anew(&mut self) {
        self.outstanding.clear();
        self.outstanding_bytes = 0;
        self.most_outstanding = 0;
    }

    /// The adapter starts anew: it counts from zero.
    pub(super) fn restart(&mut self) {
        self.sequence = 0;
    }

    /// Puts a datagram on the way to the client.
    pub(super) fn inject(&mut self, delay: Duration, reply: Reply) {
        let at = self.now + delay.as_nanos() as u64;
        self.push(at, Event::ReplyArrives(reply.0.get(), reply.1));
    }

    fn happens(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.random.f64() < probability
    }

    fn push(&mut self, at: u64, event: Event) {
        self.order += 1;
        self.events.push(Reverse((at, self.order, event)));
    }

    /// One way through the network, in nanoseconds.
    fn delay(&mut self) -> u64 {
        let mut delay = self.conditions.distance + self.random.u64(0..1_000);
        if self.happens(self.conditions.reorder) {
            delay += self.random.u64(0..400_000);
        }
        if self.happens(self.conditions.late) {
            delay += self.random.u64(2_000_000..20_000_000);
        }
        delay
    }

    /// What a correct adapter's user may send, and nothing else.
    fn check_request(&mut self, port: Tag, datagram: &[u8]) -> MemoryReadRepr {
        let packet = NettlpPacket::new(datagram).expect("a NetTLP header");
        assert!(NettlpRepr::parse(&packet).is_unstamped());
        let request = RequestPacket::new(packet.tlp()).expect("a TLP header");
        let read = MemoryReadRepr::parse(&request).expect("a legal memory read");
        assert_eq!(read.tag, port, "the port is that of the tag");
        assert_eq!(read.requester, REQUESTER);
        assert!(u32::from(read.span.dwords) * 4 <= self.max_read, "{read:?}");
        assert!(!read.span.is_flush());
        let tag = port.get();
        if let Some(outstanding) = self.outstanding.get(&tag) {
            let rested = self.now - outstanding.sent >= 50_000_000;
            assert!(
                outstanding.missing <= 0 || rested || !self.checks_tags,
                "tag {tag} is used while its request is outstanding"
            );
        }
        let missing = i64::from(read.span.byte_count());
        let sent = self.now;
        let before = self.outstanding.insert(tag, Outstanding { sent, missing });
        self.outstanding_bytes += missing - before.map_or(0, |before| before.missing.max(0));
        self.most_outstanding = self.most_outstanding.max(self.outstanding_bytes);
        read
    }

    fn send(&mut self, port: Tag, datagram: &[u8]) -> Result<(), LinkError> {
        self.now += 300;
        if let Some(kind) = self.send_errors.pop_front() {
            let source = kind.into();
            return Err(LinkError { tag: port, source });
        }
        let read = self.check_request(port, datagram);
        self.requests.push((self.now, read));
        if self.closed.contains(port) {
            self.refusals.push_back(port.get());
            self.outstanding.remove(&port.get());
            return Ok(());
        }
        let copies = 1 + u32::from(self.happens(self.conditions.duplicate_requests));
        for _ in 0..copies {
            if !self.happens(self.conditions.request_loss) {
                let arrival = self.now + self.delay();
                let served = self.serve(arrival);
                self.push(served, Event::RequestArrives(datagram.to_vec()));
            }
        }
        Ok(())
    }

    /// When a request that arrives then is answered, after those that came before it.
    fn serve(&mut self, arrival: u64) -> u64 {
        match (self.service)(self.requests.len()) {
            0 => arrival,
            busy => {
                self.busy_until = self.busy_until.max(arrival) + busy;
                self.busy_until
            }
        }
    }

    /// The target answers, the adapter stamps.
    fn answer(&mut self, datagram: &[u8]) {
        let request = RequestPacket::new(&datagram[NettlpRepr::LENGTH..]).unwrap();
        let read = MemoryReadRepr::parse(&request).unwrap();
        let number = self.arrived;
        self.arrived += 1;
        let mut replies = self.replies(&read);
        if let Some(mut bend) = self.bend.take() {
            replies = bend(number, &read, replies);
            self.bend = Some(bend);
        }
        for (port, mut reply) in replies {
            if self.happens(self.conditions.corrupt) {
                let header = 18.min(reply.len());
                let byte = self.random.usize(0..header);
                reply[byte] ^= 1 << self.random.u8(0..8);
            }
            let copies = 1 + u32::from(self.happens(self.conditions.duplicate_replies));
            for _ in 0..copies {
                if !self.happens(self.conditions.reply_loss) {
                    let at = self.now + self.delay();
                    self.push(at, Event::ReplyArrives(port.get(), reply.clone()));
                }
            }
        }
    }

    /// The completions of a read, stamped, in order.
    fn replies(&mut self, read: &MemoryReadRepr) -> Vec<Reply> {
        let answer = (self.answer)(read.span.first_byte().get());
        if answer == Answer::Silence {
            return Vec::new();
        }
        let mut replies = Vec::new();
        for piece in self.split(&read.span) {
            let (status, dwords) = match answer {
                Answer::Status(status) => (status, 0),
                _ => (CompletionStatus::Success, piece.dwords),
            };
            let completion = CompletionRepr {
                completer: RequesterId::from_bits(0),
                requester: read.requester,
                tag: read.tag,
                status,
                byte_count: piece.byte_count,
                lower_address: piece.lower_address(),
                dwords,
                poisoned: answer == Answer::Poisoned,
            };
            let data = piece.address.get() & !3;
            let data: Vec<u8> = (data..data + u64::from(dwords) * 4).map(byte_at).collect();
            replies.push((read.tag, self.stamped(&completion, &data)));
            if dwords == 0 {
                break;
            }
        }
        replies
    }

    /// A datagram with the next sequence number and the clock's reading.
    pub(super) fn stamped(&mut self, completion: &CompletionRepr, data: &[u8]) -> Vec<u8> {
        let mut stamp = NettlpRepr::default();
        if self.conditions.stamps {
            let Timestamp(ticks) = Timestamp::at(Duration::from_nanos(self.now));
            stamp.timestamp = Timestamp(ticks.wrapping_add(self.conditions.clock));
            stamp.sequence = Sequence(self.sequence);
            self.sequence = self.sequence.wrapping_add(1);
        }
        // A completion takes its time on the wire, so no two have the same stamp.
        self.now += 70;
        let mut datagram = vec![0; 18];
        stamp.emit(&mut datagram).unwrap();
        completion.emit(&mut datagram[6..]).unwrap();
        datagram.extend_from_slice(data);
        datagram
    }

    fn split(&mut self, span: &Span) -> Vec<CompletionPiece> {
        let (boundary, most) = (self.conditions.boundary, self.conditions.max_payload);
        if !self.conditions.random_splits {
            return split_completion(span, boundary, most).collect();
        }
        // Any sequence of legal cuts: each ends on a boundary and is no longer than the longest payload.
        let mut pieces = Vec::new();
        let mut rest = *span;
        loop {
            let units = most / boundary;
            let longest = boundary * self.random.u32(1..=units);
            let piece = split_completion(&rest, boundary, longest).next().unwrap();
            pieces.push(piece);
            let left = u32::from(piece.byte_count - piece.length);
            if left == 0 {
                return pieces;
            }
            let next = piece.address.wrapping_offset(i64::from(piece.length));
            rest = Span::of_bytes(next, left).unwrap();
        }
    }

    fn deliver(&mut self, port: u8, datagram: &[u8], buffer: &mut [u8]) -> Received {
        let length = datagram.len().min(buffer.len());
        buffer[..length].copy_from_slice(&datagram[..length]);
        let parsed = NettlpPacket::new(datagram)
            .and_then(|packet| CompletionPacket::new(packet.tlp().to_vec()))
            .and_then(|packet| CompletionRepr::parse(&packet));
        if let Ok(completion) = parsed
            && let Some(outstanding) = self.outstanding.get_mut(&completion.tag.get())
        {
            let before = outstanding.missing.max(0);
            outstanding.missing = match completion.status {
                CompletionStatus::Success => {
                    outstanding.missing - i64::from(completion.valid_bytes())
                }
                _ => 0,
            };
            self.outstanding_bytes -= before - outstanding.missing.max(0);
        }
        Received {
            port: Tag::new(port),
            length,
        }
    }

    fn receive(
        &mut self,
        tags: &TagSet,
        deadline: Moment,
        buffer: &mut [u8],
    ) -> Result<Option<Received>, LinkError> {
        loop {
            if let Some(tag) = self.refusals.pop_front() {
                let source = std::io::ErrorKind::ConnectionRefused.into();
                let tag = Tag::new(tag);
                return Err(LinkError { tag, source });
            }
            for tag in self.filled.iter().filter(|tag| tags.contains(*tag)) {
                let mail = &mut self.mailboxes[usize::from(tag.get())];
                let datagram = mail.pop_front();
                if mail.is_empty() {
                    self.filled.remove(tag);
                }
                if let Some(datagram) = datagram {
                    return Ok(Some(self.deliver(tag.get(), &datagram, buffer)));
                }
            }
            let until = self.now.max(deadline.since_start().as_nanos() as u64);
            let is_due = self
                .events
                .peek()
                .is_some_and(|Reverse((at, _, _))| *at <= until);
            if !is_due {
                self.now = until;
                return Ok(None);
            }
            if let Some(Reverse((at, _, event))) = self.events.pop() {
                self.now = self.now.max(at);
                match event {
                    Event::RequestArrives(datagram) => self.answer(&datagram),
                    Event::ReplyArrives(port, datagram) => {
                        self.mailboxes[usize::from(port)].push_back(datagram);
                        self.filled.insert(Tag::new(port));
                    }
                }
            }
        }
    }
}

/// The client's end of the simulation.
struct SimulatedLink(Rc<RefCell<World>>);

impl Link for SimulatedLink {
    fn now(&self) -> Moment {
        Moment::after_start(self.0.borrow().now())
    }

    fn send(&mut self, tag: Tag, datagram: &[u8]) -> Result<(), LinkError> {
        self.0.borrow_mut().send(tag, datagram)
    }

    fn receive(
        &mut self,
        tags: &TagSet,
        deadline: Moment,
        buffer: &mut [u8],
    ) -> Result<Option<Received>, LinkError> {
        self.0.borrow_mut().receive(tags, deadline, buffer)
    }
}

impl std::fmt::Debug for SimulatedLink {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SimulatedLink")
    }
}
