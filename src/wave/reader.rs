//! What walkers and expressions hold: reads of physical and virtual addresses.
//!
//! Every read comes in two forms. `try_…` looks once: bytes that are here are given, bytes that are not are asked for, and the future
//! that is being polled is woken when they have come. The form without `try_` waits. [`Reader::attempt`] makes one future of many
//! `try_…` reads: it begins again, from the same depth, each time something has come.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::Poll;

use crate::addr::{PAGE_SIZE, PhysAddr, VirtAddr};
use crate::memory::ReadFailure;
use crate::paging::{AddressSpace, Step, Translation, TranslationFailure};

use super::engine::{Engine, Purpose};
use super::join::JoinHandle;

/// Why bytes could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The physical read failed.
    #[error("{failure} at physical {address}")]
    Memory {
        /// Where.
        address: PhysAddr,
        /// Why.
        failure: ReadFailure,
    },
    /// The virtual address does not translate.
    #[error("{failure} at {address}")]
    Translation {
        /// The virtual address.
        address: VirtAddr,
        /// Why.
        failure: TranslationFailure,
    },
    /// The range passes the end of the address space.
    #[error("{length} bytes at {address} pass the end of the address space")]
    Wraps {
        /// First address.
        address: VirtAddr,
        /// Bytes.
        length: u64,
    },
}

/// A chain of reads. Clones continue the same chain; [`Reader::fork`] starts one that goes on from here on its own.
#[derive(Clone, Debug)]
pub struct Reader {
    engine: Rc<Engine>,
    depth: Rc<Cell<u32>>,
}

impl Reader {
    pub(super) fn new(engine: Rc<Engine>) -> Self {
        Self {
            engine,
            depth: Rc::new(Cell::new(0)),
        }
    }

    /// A chain of its own that depends on all that this one has read so far.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            engine: Rc::clone(&self.engine),
            depth: Rc::new(Cell::new(self.depth.get())),
        }
    }

    /// Makes later reads of this chain depend on one that is `depth` deep.
    pub(super) fn absorb(&self, depth: u32) {
        self.depth.set(self.depth.get().max(depth));
    }

    /// Reads this chain's last bytes depended on, one after the other.
    pub fn depth(&self) -> u32 {
        self.depth.get()
    }

    /// Goes on from another depth: for parts of an attempt that do not depend on one another.
    pub fn set_depth(&self, depth: u32) {
        self.depth.set(depth);
    }

    /// Tries `action` until it is ready, beginning each time from the depth that the chain has now.
    pub async fn attempt<T>(&self, mut action: impl FnMut(&Self) -> Poll<T>) -> T {
        let depth = self.depth.get();
        poll_fn(|_| {
            if self.engine.must_yield() {
                return Poll::Pending;
            }
            self.depth.set(depth);
            let polled = action(self);
            if polled.is_pending() {
                self.depth.set(depth);
            }
            polled
        })
        .await
    }

    /// Runs `action`; nothing is woken when the bytes come that it asks for.
    pub fn glance<T>(&self, action: impl FnOnce(&Self) -> T) -> T {
        self.engine.without_waiting(|| action(self))
    }

    /// The engine that this chain reads through.
    pub fn engine(&self) -> &Rc<Engine> {
        &self.engine
    }

    /// Starts a future that runs beside this one; `start` gets a chain forked from this one.
    pub fn spawn<T, F>(&self, start: impl FnOnce(Self) -> F) -> JoinHandle<T>
    where
        T: 'static,
        F: Future<Output = T> + 'static,
    {
        let child = self.fork();
        let handle = JoinHandle::new(Rc::clone(&self.engine), Rc::clone(&child.depth));
        self.engine
            .spawn_task(handle.task(start(child)), Purpose::Answer);
        handle
    }

    /// Starts a predictor: what it, and all that it starts, asks for is read when nothing else is wanted, within bounds that the engine
    /// sets, and not at all where predictors are off. It ends with the query at the latest.
    pub fn predict<F>(&self, start: impl FnOnce(Self) -> F)
    where
        F: Future<Output = ()> + 'static,
    {
        if !self.engine.has_predictors() {
            return;
        }
        let child = self.fork();
        self.engine
            .spawn_task(Box::pin(start(child)), Purpose::Prediction);
    }

    /// Waits while all that a query needs was foreseen when it began.
    pub async fn until_surprised(&self) {
        poll_fn(|_| {
            if self.engine.is_foreseen() {
                self.engine.wake_when_surprised();
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }

    /// Fills `buffer` from physical memory, if its bytes are here.
    pub fn try_physical(
        &self,
        address: PhysAddr,
        buffer: &mut [u8],
    ) -> Poll<Result<(), Unreadable>> {
        if address.checked_add(buffer.len() as u64).is_none() {
            return Poll::Ready(Err(Unreadable::Memory {
                address,
                failure: ReadFailure::NotInRamMap,
            }));
        }
        self.engine
            .poll_read(address, buffer, &self.depth)
            .map_err(|(address, failure)| Unreadable::Memory { address, failure })
    }

    /// Fills `buffer` from physical memory.
    pub async fn physical(&self, address: PhysAddr, buffer: &mut [u8]) -> Result<(), Unreadable> {
        self.attempt(|reader| reader.try_physical(address, buffer))
            .await
    }

    /// Translates a virtual address, if the page-table entries are here that it takes where arithmetic is not enough.
    pub fn try_translate(
        &self,
        space: &AddressSpace,
        address: VirtAddr,
    ) -> Poll<Result<Translation, Unreadable>> {
        let mut walk = space.translate(address);
        loop {
            match walk.step() {
                Step::Done(translation) => return Poll::Ready(Ok(translation)),
                Step::Fault(failure) => {
                    return Poll::Ready(Err(Unreadable::Translation { address, failure }));
                }
                Step::Read(entry) => {
                    let mut bytes = [0; 8];
                    match self.try_physical(entry, &mut bytes) {
                        Poll::Ready(Ok(())) => walk.supply(u64::from_le_bytes(bytes)),
                        Poll::Ready(Err(unreadable)) => return Poll::Ready(Err(unreadable)),
                        Poll::Pending => return Poll::Pending,
                    }
                }
            }
        }
    }

    /// Translates a virtual address, reading page-table entries where arithmetic is not enough.
    pub async fn translate(
        &self,
        space: &AddressSpace,
        address: VirtAddr,
    ) -> Result<Translation, Unreadable> {
        self.attempt(|reader| reader.try_translate(space, address))
            .await
    }

    /// Fills `buffer` from virtual memory, if all its bytes are here. Those that are not are all asked for.
    pub fn try_read(
        &self,
        space: &AddressSpace,
        address: VirtAddr,
        buffer: &mut [u8],
    ) -> Poll<Result<(), Unreadable>> {
        let length = buffer.len() as u64;
        if length == 0 {
            return Poll::Ready(Ok(()));
        }
        if address.checked_add(length - 1).is_none() {
            return Poll::Ready(Err(Unreadable::Wraps { address, length }));
        }
        let (start, mut deepest) = (self.depth(), self.depth());
        let mut filled = 0;
        let mut is_whole = true;
        while filled < buffer.len() {
            let at = address.wrapping_offset(filled as i64);
            // Pages do not depend on one another.
            self.set_depth(start);
            let to_page_end = (PAGE_SIZE - at.page_offset()) as usize;
            let rest = buffer.len() - filled;
            let (here, polled) = match self.try_translate(space, at) {
                Poll::Ready(Ok(translation)) => {
                    let contiguous = usize::try_from(translation.contiguous);
                    let here = contiguous.unwrap_or(usize::MAX).min(rest);
                    let piece = &mut buffer[filled..filled + here];
                    (here, self.try_physical(translation.physical, piece))
                }
                Poll::Ready(Err(unreadable)) => (0, Poll::Ready(Err(unreadable))),
                Poll::Pending => (to_page_end.min(rest), Poll::Pending),
            };
            match polled {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(unreadable)) => return Poll::Ready(Err(unreadable)),
                Poll::Pending => is_whole = false,
            }
            deepest = deepest.max(self.depth());
            filled += here;
        }
        self.set_depth(deepest);
        if is_whole {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    /// Fills `buffer` from virtual memory. All pages are asked for at once.
    pub async fn read(
        &self,
        space: &AddressSpace,
        address: VirtAddr,
        buffer: &mut [u8],
    ) -> Result<(), Unreadable> {
        self.attempt(|reader| reader.try_read(space, address, buffer))
            .await
    }
    /// As [`Reader::read`], for bytes that a predictor will likely ask for: they are asked for here when it has not and there is
    /// nothing else to wait for. So a walk from link to link does not run ahead of those who see many links at once.
    pub async fn read_patiently(
        &self,
        space: &AddressSpace,
        address: VirtAddr,
        buffer: &mut [u8],
    ) -> Result<(), Unreadable> {
        self.attempt(|reader| {
            reader
                .engine
                .patiently(|| reader.try_read(space, address, buffer))
        })
        .await
    }

    /// Waits until somebody has asked for bytes that a predictor will likely ask for, as long as [`Reader::read_patiently`] would wait.
    pub async fn until_foreseen(&self, space: &AddressSpace, address: VirtAddr, length: u64) {
        let Step::Done(translation) = space.translate(address).step() else {
            return;
        };
        poll_fn(|_| self.engine.poll_foreseen(translation.physical, length)).await;
    }

    /// Says that a predictor is at work that sees far: walks may wait for it until all that it gave this to have dropped it.
    pub fn expect(&self) -> Expectation {
        self.engine.expect(1);
        Expectation(Rc::clone(&self.engine))
    }

    /// Asks for the bytes of a virtual range without waiting for them; addresses that arithmetic cannot translate are walked in
    /// the background, all pages together.
    pub fn prefetch(&self, space: &AddressSpace, address: VirtAddr, length: u64) {
        let mut at = address;
        let mut left = length;
        while left > 0 {
            let here = left.min(PAGE_SIZE - at.page_offset());
            match space.translate(at).step() {
                Step::Done(translation) => {
                    self.engine
                        .prefetch(translation.physical, here, self.depth.get())
                }
                Step::Fault(_) => {}
                Step::Read(_) => self.prefetch_by_walk(space.clone(), at, here),
            }
            at = at.wrapping_offset(here as i64);
            left -= here;
        }
    }

    fn prefetch_by_walk(&self, space: AddressSpace, at: VirtAddr, length: u64) {
        let _ = self.spawn(|reader| async move {
            if let Ok(translation) = reader.translate(&space, at).await {
                reader
                    .engine
                    .prefetch(translation.physical, length, reader.depth.get());
            }
        });
    }

    /// A little-endian unsigned integer of `size` bytes, 1 to 8.
    pub async fn unsigned(
        &self,
        space: &AddressSpace,
        address: VirtAddr,
        size: usize,
    ) -> Result<u64, Unreadable> {
        let mut bytes = [0; 8];
        self.read(space, address, &mut bytes[..size.min(8)]).await?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// A pointer.
    pub async fn pointer(
        &self,
        space: &AddressSpace,
        address: VirtAddr,
    ) -> Result<VirtAddr, Unreadable> {
        Ok(VirtAddr::new(self.unsigned(space, address, 8).await?))
    }

    /// The bytes from `address` up to a NUL or `longest` bytes, whichever comes first, without the NUL; if they are here.
    pub fn try_string(
        &self,
        space: &AddressSpace,
        address: VirtAddr,
        longest: u64,
    ) -> Poll<Result<Vec<u8>, Unreadable>> {
        /// Looked at at a time.
        const PIECE: u64 = 64;
        /// Read at a time: one read of it costs no more than one of 8 bytes, and hardly a name of the kernel is longer.
        const LIKELY: u64 = 256;
        let mut text = Vec::new();
        let mut at = address;
        while (text.len() as u64) < longest {
            let here = (PIECE - at.get() % PIECE).min(longest - text.len() as u64);
            let mut piece = [0; PIECE as usize];
            let piece = &mut piece[..here as usize];
            match self.try_read(space, at, piece) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(unreadable)) => return Poll::Ready(Err(unreadable)),
                Poll::Pending => {
                    let to_page_end = PAGE_SIZE - at.page_offset();
                    let more = LIKELY.min(to_page_end).min(longest - text.len() as u64);
                    self.prefetch(space, at, more);
                    return Poll::Pending;
                }
            }
            if let Some(end) = piece.iter().position(|byte| *byte == 0) {
                text.extend_from_slice(&piece[..end]);
                break;
            }
            text.extend_from_slice(piece);
            at = at.wrapping_offset(here as i64);
        }
        Poll::Ready(Ok(text))
    }
}

/// A predictor is at work: see [`Reader::expect`].
#[derive(Debug)]
pub struct Expectation(Rc<Engine>);

impl Drop for Expectation {
    fn drop(&mut self) {
        self.0.expect(-1);
    }
}
