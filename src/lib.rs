//! Questions about the kernel memory of a running physical machine, asked over a NetTLP adapter.
//!
//! The rooms, in reading order; each may name only rooms above it (`ARCHITECTURE.md` has the picture, `tests/architecture.rs`
//! keeps it true).

pub mod addr;

pub mod report;

pub mod wire;

pub mod memory;

pub mod dma;

pub mod adapter;

pub mod paging;

pub mod wave;

pub mod profile;

pub mod generate;

pub mod locate;

pub mod value;

pub mod row;

pub mod walk;

pub mod kernel_text;

pub mod lang;

pub mod plan;

pub mod exec;

pub mod render;

pub mod session;

pub mod repl;

pub mod bench;

pub mod cli;
