//! Arguments → session; exit status.

pub mod adapter;
mod complain;
mod console;
mod interrupt;
pub mod profile;
pub mod query;
mod remote;
pub mod target;
