//! BTF (BPF type format, Documentation/bpf/btf.rst of the kernel) → definitions of types, and types of variables.
//!
//! `table` makes a table of the records, `types` follows references and names anonymous types as the DWARF path does, `define` makes
//! definitions, `collect` finds every type once. What BTF does not say: which of the types of one name most units agree on (the one
//! that most other types refer to keeps the name), whether an array of no elements was written `[]` or `[0]`, how many dimensions an
//! array has (pahole multiplies them), and the values of enumerators beyond 32 bits before Linux 6.0.

mod collect;
mod define;
mod shape;
mod table;
#[cfg(test)]
pub(super) mod tests;
mod types;

pub(super) use collect::{Variable, collect};
pub(super) use table::{Table, find_blob};
