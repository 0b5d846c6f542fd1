//! Entry point; see `cli`.
fn main() {}
