//! Asynchronous reads merged into waves: the executor, the block cache, translation, dependent-round counting.
//!
//! Walkers and expressions are ordinary `async` functions over a [`Reader`]; nothing in them knows about batching. The
//! executor polls every live future until each waits for bytes, merges what they wait for into few reads, sends as many as the
//! memory takes, and wakes the waiters of each completion at once: there is no barrier between waves.
//!
//! What this room promises: within one [`Engine`], a byte is read at most once, so one query sees one value for one address;
//! `rounds` is the length of the longest chain of reads each of which needed the bytes of the one before. What it refuses to
//! know: kernels, types, queries.
//!
//! A memory that answers at once (a file on this machine) is read when something is needed, and only the blocks that were read last are
//! remembered: nothing waits there, so nothing is asked for ahead, and a query over any number of objects takes little memory. An
//! image that changes meanwhile can then show two values for one address.

mod budget;
mod cache;
mod engine;
#[cfg(test)]
pub(crate) mod fake;
mod guesses;
mod join;
mod local;
mod merge;
mod reader;
mod reading;
mod recollection;
#[cfg(test)]
mod tests;
mod together;

pub use budget::{Budget, Cost, Stalled, Stopped};
pub use engine::Engine;
pub use join::JoinHandle;
pub use reader::{Expectation, Reader, Unreadable};
pub use together::{Borrowed, together};
