//! DWARF (versions 2 to 5) → definitions of types, and variables.
//!
//! `units` finds the units, `abbreviations` how their entries are written, `scan` makes a table of each unit, `graph` follows references within and between
//! tables, `hash` tells types apart, `define` makes definitions of what it finds, `collect` does so for all units on all processors. Units in other languages than C
//! are passed over: their types are not what the kernel's C code has in memory.

mod abbreviations;
mod collect;
mod define;
mod entry;
mod graph;
mod hash;
mod origin;
mod plan;
mod scan;
mod units;

pub(super) use collect::{Found, Variable, collect};
pub(super) use units::Sections;
