//! Plan and memory → rows, in waves.
