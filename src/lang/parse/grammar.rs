//! The parser that pest makes of `grammar/nq.pest`.

// The rules are public in a private module: pest writes them so.
#![allow(unreachable_pub)]

/// Recognises NQ; what it finds is read through [`super::cursor`].
#[derive(Debug, pest_derive::Parser)]
#[grammar = "grammar/nq.pest"]
pub struct Grammar;
