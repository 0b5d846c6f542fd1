//! Entry point; see `cli::profile`.

use std::process::ExitCode;

fn main() -> ExitCode {
    nettlp_q::cli::profile::run(std::env::args_os())
}
