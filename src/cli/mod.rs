//! Arguments → session; exit status.

pub mod adapter;
pub mod bench;
mod bench_json;
mod complain;
mod console;
mod interrupt;
mod live;
mod named;
pub mod profile;
mod profile_tools;
mod progress;
pub mod query;
mod remote;
pub mod target;
