//! Schema and rows: the only thing that leaves exec.
