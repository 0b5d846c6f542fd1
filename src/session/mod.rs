//! Profile, memory and definitions; runs text; turns any room's error into a report.
