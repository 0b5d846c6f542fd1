//! Arguments → session; exit status.
