//! Serves memory as a NetTLP adapter would; see `cli::adapter`.

use std::process::ExitCode;

use nettlp_q::cli::adapter::main as serve;
use nettlp_q::session::demo;

fn main() -> ExitCode {
    serve(&demo::memory)
}
