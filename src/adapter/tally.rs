//! What an adapter has seen and done, counted where any thread may look.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($name:ident: $what:literal,)*) => {
        /// Counts that grow while the adapter runs.
        #[derive(Debug, Default)]
        pub(super) struct Tally {
            $(pub(super) $name: AtomicU64,)*
        }

        /// What an adapter has seen and done since it started.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct AdapterCounters {
            $(#[doc = concat!("Number of ", $what, ".")] pub $name: u64,)*
        }

        impl Tally {
            /// The counts as they are now.
            pub(super) fn snapshot(&self) -> AdapterCounters {
                AdapterCounters { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }

        impl fmt::Display for AdapterCounters {
            /// One count a line, the number first.
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(writeln!(formatter, "{:>12} {}", self.$name, $what)?;)*
                Ok(())
            }
        }
    };
}

counters! {
    reads: "read requests that were answered with data",
    bytes: "bytes read",
    completions: "completions sent",
    unsupported: "requests answered with Unsupported Request (no memory there)",
    aborted: "requests answered with Completer Abort",
    unanswered: "reads that the memory itself left without an answer",
    writes: "writes carried out",
    writes_ignored: "writes ignored (the memory is not writable there)",
    crossings: "requests left without an answer because they cross a multiple of 4 KiB",
    malformed: "datagrams left without an answer because they are malformed",
    misrouted: "requests left without an answer because of their requester ID",
    messages: "questions of the message API answered",
    configuration_reads: "configuration reads answered",
    configuration_writes: "configuration writes taken",
    lost_requests: "requests lost on purpose (--drop)",
    lost_completions: "completions lost on purpose (--drop)",
    duplicated: "completions duplicated on purpose (--duplicate)",
    reordered: "completions held back on purpose (--reorder)",
    corrupted: "completions with a flipped header bit (--corrupt)",
    send_failures: "datagrams that the system would not send",
}

/// One more.
pub(super) fn count(counter: &AtomicU64) {
    add(counter, 1);
}

/// Some more. Only the adapter's own thread adds, so no atomic addition is needed.
pub(super) fn add(counter: &AtomicU64, more: u64) {
    counter.store(
        counter.load(Ordering::Relaxed).wrapping_add(more),
        Ordering::Relaxed,
    );
}
