//! A memory for tests that looks at what is asked of it: it counts, keeps every read, answers in any order and fails where told.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::addr::{PAGE_SIZE, PhysAddr, VirtAddr};
use crate::memory::{
    Completion, Immediate, Limits, PhysicalMemory, ReadFailure, ReadRequest, SparseMemory,
};
use crate::paging::{AddressSpace, LinearMap, X86_64_4_LEVEL};

/// How the fake hands over what has come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    /// Everything at once, as submitted.
    AtOnce,
    /// One read a call, the oldest first.
    OneByOne,
    /// One read a call, the youngest first.
    LastFirst,
    /// A few reads a call, drawn by this seed.
    Random(u64),
}

/// What the fake saw and what it is to do; the test keeps a handle on it.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// All reads, in the order in which they were submitted.
    pub(crate) reads: Vec<ReadRequest>,
    /// Lines (by address) that fail, and all reads that cover one of them.
    pub(crate) failing: HashMap<u64, ReadFailure>,
    /// Most bytes in flight at any time.
    pub(crate) most_bytes: u64,
    /// Most reads in flight at any time.
    pub(crate) most_reads: usize,
    /// Breaches of what the trait promises its callers may rely on.
    pub(crate) wrong: Vec<String>,
    /// Bytes (by address) that have changed since the fake was made.
    pub(crate) changed: HashMap<u64, u8>,
    /// Set when this many reads were submitted.
    pub(crate) cancel_after: Option<(usize, Arc<AtomicBool>)>,
}

/// The memory.
#[derive(Debug)]
pub(crate) struct FakeMemory {
    inner: Immediate<SparseMemory>,
    ledger: Rc<RefCell<Ledger>>,
    limits: Limits,
    order: Order,
    random: fastrand::Rng,
    waiting: Vec<ReadRequest>,
    ids: BTreeSet<u64>,
}

impl FakeMemory {
    /// A fake with this content.
    pub(crate) fn new(content: SparseMemory, order: Order) -> Self {
        let seed = match order {
            Order::Random(seed) => seed,
            Order::AtOnce | Order::OneByOne | Order::LastFirst => 0,
        };
        Self {
            inner: Immediate::new(content),
            ledger: Rc::default(),
            limits: Limits::default(),
            order,
            random: fastrand::Rng::with_seed(seed),
            waiting: Vec::new(),
            ids: BTreeSet::new(),
        }
    }

    /// With other limits than the usual ones.
    pub(crate) fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What it saw, and the place to tell it what shall fail.
    pub(crate) fn ledger(&self) -> Rc<RefCell<Ledger>> {
        Rc::clone(&self.ledger)
    }

    fn judge(&self, read: ReadRequest, ledger: &mut Ledger) {
        let (start, length) = (read.address.get(), u64::from(read.length));
        if length == 0 || read.length > self.limits.max_read {
            ledger
                .wrong
                .push(format!("{read:?} has a forbidden length"));
        }
        if !start.is_multiple_of(64) || !length.is_multiple_of(64) {
            ledger.wrong.push(format!("{read:?} is not made of lines"));
        }
        if start / PAGE_SIZE != (start + (length - 1)) / PAGE_SIZE {
            ledger.wrong.push(format!("{read:?} crosses 4 KiB"));
        }
        if self.ids.contains(&read.id) {
            ledger
                .wrong
                .push(format!("{read:?} has an id that is in flight"));
        }
    }

    fn next(&mut self) -> ReadRequest {
        match self.order {
            Order::AtOnce | Order::OneByOne => self.waiting.remove(0),
            Order::LastFirst => self.waiting.pop().unwrap(),
            Order::Random(_) => {
                let at = self.random.usize(..self.waiting.len());
                self.waiting.swap_remove(at)
            }
        }
    }
}

impl PhysicalMemory for FakeMemory {
    fn limits(&self) -> Limits {
        self.limits
    }

    fn submit(&mut self, read: ReadRequest) {
        let ledger = Rc::clone(&self.ledger);
        let mut ledger = ledger.borrow_mut();
        self.judge(read, &mut ledger);
        self.ids.insert(read.id);
        self.waiting.push(read);
        ledger.reads.push(read);
        let bytes = self.waiting.iter().map(|read| u64::from(read.length)).sum();
        ledger.most_bytes = ledger.most_bytes.max(bytes);
        ledger.most_reads = ledger.most_reads.max(self.waiting.len());
        if let Some((count, cancel)) = &ledger.cancel_after
            && ledger.reads.len() >= *count
        {
            cancel.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }

    fn complete(&mut self, completion: &mut Completion<'_>) {
        let count = match self.order {
            Order::AtOnce => self.waiting.len(),
            Order::OneByOne | Order::LastFirst => 1,
            Order::Random(_) => self.random.usize(1..4),
        };
        for _ in 0..count.min(self.waiting.len()) {
            let read = self.next();
            self.ids.remove(&read.id);
            let lines = (read.address.get()..)
                .step_by(64)
                .take(read.length as usize / 64);
            let failure = lines
                .into_iter()
                .find_map(|line| self.ledger.borrow().failing.get(&line).copied());
            match failure {
                Some(failure) => completion(read.id, Err(failure)),
                None => {
                    self.inner.submit(read);
                    let ledger = self.ledger.borrow();
                    self.inner.complete(&mut |id, outcome| {
                        let mut bytes = outcome.map(<[u8]>::to_vec);
                        for (address, byte) in &ledger.changed {
                            let offset = address.checked_sub(read.address.get());
                            let place = offset.and_then(|at| usize::try_from(at).ok());
                            if let (Ok(bytes), Some(at)) = (&mut bytes, place)
                                && let Some(place) = bytes.get_mut(at)
                            {
                                *place = *byte;
                            }
                        }
                        completion(id, bytes.as_deref().map_err(|failure| *failure));
                    });
                }
            }
        }
    }
}

/// Where [`space`] has physical address 0.
pub(crate) const DIRECT: u64 = 0xffff_8880_0000_0000;

/// The virtual address of a physical one.
pub(crate) fn direct(physical: u64) -> VirtAddr {
    VirtAddr::new(DIRECT + physical)
}

/// 1 TiB of direct map, and tables at 0 (which hold nothing unless a test puts them there).
pub(crate) fn space() -> AddressSpace {
    AddressSpace::new(&X86_64_4_LEVEL, PhysAddr::new(0)).with_linear(LinearMap {
        virtual_start: VirtAddr::new(DIRECT),
        length: 1 << 40,
        physical_start: PhysAddr::new(0),
        name: "direct map",
    })
}

/// Puts a little-endian word at a physical address.
pub(crate) fn put(memory: &mut SparseMemory, physical: u64, word: u64) {
    memory.insert(PhysAddr::new(physical), &word.to_le_bytes());
}
