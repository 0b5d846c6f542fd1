//! Rows and reports → table, JSON, NDJSON, CSV, text.
