//! How far the making of a profile is, for whoever shows it meanwhile.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What is being done, and how much of it. Written by the workers, read by anybody at any time.
#[derive(Debug, Default)]
pub struct Progress {
    step: Mutex<&'static str>,
    done: AtomicU64,
    total: AtomicU64,
}

impl Progress {
    /// What is being done, in the form "unpacking"; empty before anything is.
    pub fn step(&self) -> &'static str {
        *self.step.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much of it is done, and how much there is; 0 where that is not known.
    pub fn so_far(&self) -> (u64, u64) {
        let total = self.total.load(Ordering::Relaxed);
        (self.done.load(Ordering::Relaxed).min(total), total)
    }

    /// Begins something else.
    pub(super) fn begin(&self, step: &'static str, total: u64) {
        self.total.store(0, Ordering::Relaxed);
        self.done.store(0, Ordering::Relaxed);
        *self.step.lock().unwrap_or_else(PoisonError::into_inner) = step;
        self.total.store(total, Ordering::Relaxed);
    }

    /// Notes that more of it is done.
    pub(super) fn advance(&self, amount: u64) {
        self.done.fetch_add(amount, Ordering::Relaxed);
    }
}

/// A reader that notes what is read.
pub(super) struct Counted<'p, R> {
    pub(super) reader: R,
    pub(super) progress: &'p Progress,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.progress.advance(count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_starts_at_nothing_and_ends_at_its_total() {
        let progress = Progress::default();
        assert_eq!((progress.step(), progress.so_far()), ("", (0, 0)));
        progress.begin("reading", 3);
        let mut reader = Counted {
            reader: &b"four"[..],
            progress: &progress,
        };
        let mut text = String::new();
        assert!(reader.read_to_string(&mut text).is_ok());
        assert_eq!((progress.step(), progress.so_far()), ("reading", (3, 3)));
        progress.begin("writing", 0);
        progress.advance(9);
        assert_eq!(progress.so_far(), (0, 0));
    }
}
