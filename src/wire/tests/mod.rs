//! The messages against bytes as they are on the wire, against arbitrary bytes, and against the rules for requesters.

mod captured;
mod properties;
mod rules;
