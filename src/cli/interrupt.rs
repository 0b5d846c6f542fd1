//! Ctrl-C → the session's cancel flag, and a way out where that does not help.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;

/// Exit status when Ctrl-C ends the program: 128 and the signal's number, as shells count.
const INTERRUPTED: i32 = 130;

/// What a Ctrl-C means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// Stop the query.
    Cancel,
    /// The query is stopping already.
    Wait,
    /// Nothing stops it: end the program.
    End,
}

/// Sets `cancel` on Ctrl-C. Another Ctrl-C ends the program if the session has not come to an end of what it does within `patience`
/// after the first.
pub(super) fn obey(cancel: Arc<AtomicBool>, patience: Duration) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT])?;
    let listen = move || {
        let mut first = None;
        for _ in signals.forever() {
            let pending = cancel.load(Ordering::Relaxed);
            match meaning(
                pending,
                first.map(|first: Instant| first.elapsed()),
                patience,
            ) {
                Meaning::Cancel => {
                    first = Some(Instant::now());
                    cancel.store(true, Ordering::Relaxed);
                }
                Meaning::Wait => {}
                Meaning::End => {
                    let _ = writeln!(io::stderr(), "nettlp-q: interrupted");
                    std::process::exit(INTERRUPTED);
                }
            }
        }
    };
    std::thread::Builder::new()
        .name("interrupts".to_owned())
        .spawn(listen)
        .map(|_| ())
}

/// What a Ctrl-C means when the flag is `pending` (the session clears it when it begins the next text) and the first one came
/// `since` ago.
fn meaning(pending: bool, since: Option<Duration>, patience: Duration) -> Meaning {
    match since {
        Some(since) if pending && since >= patience => Meaning::End,
        Some(_) if pending => Meaning::Wait,
        _ => Meaning::Cancel,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cancels_and_the_next_ends_when_patience_is_over() {
        let patience = Duration::from_secs(2);
        let soon = Some(Duration::from_millis(100));
        let late = Some(Duration::from_secs(3));
        assert_eq!(meaning(false, None, patience), Meaning::Cancel);
        assert_eq!(meaning(true, soon, patience), Meaning::Wait);
        assert_eq!(meaning(true, late, patience), Meaning::End);
        assert_eq!(meaning(true, soon, Duration::ZERO), Meaning::End);
        // The query of the first has ended; this is another one.
        assert_eq!(meaning(false, late, patience), Meaning::Cancel);
    }
}
