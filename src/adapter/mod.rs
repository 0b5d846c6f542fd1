//! The other end of the wire: a software NetTLP adapter that serves any memory as completions.
//!
//! It behaves as the card in its slot does: reads are answered in pieces cut at the read completion boundary, stamped with
//! the card's sequence and clock, sent from and to port 0x3000 + tag; addresses without memory give Unsupported Request;
//! malformed requests give silence. It also answers the driver's message API and the card's configuration space. Delay and
//! seeded faults stand for a network. What it refuses to know: kernels, queries, and who is asking.

mod answer;
mod backing;
mod batch;
mod configuration;
mod delay;
mod error;
mod faults;
mod options;
mod outlet;
mod server;
mod sockets;
mod tally;

pub use backing::Backing;
pub use error::AdapterError;
pub use faults::{Faults, Probability, ProbabilityError};
pub use options::AdapterOptions;
pub use server::{Adapter, AdapterHandle, RunningAdapter};
pub use tally::AdapterCounters;

#[cfg(test)]
mod tests;
