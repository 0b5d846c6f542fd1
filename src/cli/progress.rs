//! Work that takes its time → a bar on a terminal meanwhile.

use std::io::IsTerminal;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::generate::Progress;

/// What is done sooner is not worth a bar.
const PATIENCE: Duration = Duration::from_millis(500);
/// Between two drawings.
const INTERVAL: Duration = Duration::from_millis(100);

/// Does some work and meanwhile shows how far it is: on standard error, if that is a terminal, and only if it takes long. Nothing is
/// left of the bar afterwards.
pub(super) fn shown<T>(progress: &Progress, work: impl FnOnce() -> T) -> T {
    if !std::io::stderr().is_terminal() {
        return work();
    }
    thread::scope(|scope| {
        let (done, is_done) = mpsc::channel::<()>();
        scope.spawn(move || draw(progress, &is_done));
        let result = work();
        // Also dropped, and so told, if the work panics.
        drop(done);
        result
    })
}

/// Draws until the other end of the channel is gone.
fn draw(progress: &Progress, is_done: &mpsc::Receiver<()>) {
    let goes_on = |wait| is_done.recv_timeout(wait) == Err(RecvTimeoutError::Timeout);
    if !goes_on(PATIENCE) {
        return;
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = |template: &str| {
        ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ")
    };
    let of_total = style("{msg} [{bar:40}] {percent:>3} % {elapsed}");
    let unknown = style("{spinner} {msg} {elapsed}");
    while goes_on(INTERVAL) {
        let (so_far, total) = progress.so_far();
        bar.set_style(if total > 0 {
            of_total.clone()
        } else {
            unknown.clone()
        });
        bar.set_length(total);
        bar.set_position(so_far);
        bar.set_message(progress.step());
        bar.tick();
    }
    bar.finish_and_clear();
}
