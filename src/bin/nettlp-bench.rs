//! Measures what questions cost; see `cli::bench`.

use std::process::ExitCode;

use nettlp_q::cli::bench::main as measure;
use nettlp_q::cli::query::Demo;
use nettlp_q::session::demo;

fn main() -> ExitCode {
    measure(&Demo {
        memory: &demo::memory,
        profile: demo::profile,
    })
}
