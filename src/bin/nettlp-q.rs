//! Asks questions about kernel memory; see `cli::query`.

use std::process::ExitCode;

use nettlp_q::cli::query::{Demo, main as ask};
use nettlp_q::session::demo;

fn main() -> ExitCode {
    ask(&Demo {
        memory: &demo::memory,
        profile: demo::profile,
    })
}
