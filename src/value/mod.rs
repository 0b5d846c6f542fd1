//! Bytes and a type → a typed value, and its text.
