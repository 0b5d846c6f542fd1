//! Text → checked query; no memory anywhere.
