//! `nettlp-bench`: arguments → measurements, as tables on standard output and as JSON in a file.

use std::fs;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::bench::{
    BenchOptions, Outcome, Profile, QUERY, Subject, bulk_table, list_table, run as measure,
};
use crate::memory::{ImageMap, PhysicalMemory, open_image, parse_image_map};
use crate::render::{self, Format};
use crate::report::Report;
use crate::session::Status;

use super::adapter::parse_time;
use super::bench_json::{About, json};
use super::complain::complain;
use super::console::on_standard_output;
use super::query::Demo;

/// What the program calls itself in messages.
const PROGRAM: &str = "nettlp-bench";

const EXAMPLE: &str = "\
Examples:
  nettlp-bench --demo
      the built-in recording of a small machine: needs nothing, takes a few seconds
  nettlp-bench -p kernel.yaml --image guest/ram -o bench.json
      a memory image; `tests/laboratory/lab boot 6.1 --tasks 1000 -o guest` makes one

Exit status:
  0  everything was measured
  1  something could not be measured, or the two ways did not see the same
  2  wrong usage, or a profile or image that cannot be used
  4  the image does not hold the profile's kernel";

/// Measure what a process list costs over NetTLP: one read at a time, as LibTLP's programs read, and by nettlp-q
///
/// Starts a software NetTLP adapter over a memory image and lists all processes through it, over UDP on loopback, in both ways; the
/// rows must be the same. Counts of reads and of dependent rounds come first: they hardly depend on the machine. Times are the best of
/// several runs. A delay from each request to its answer stands for the card and the network. Then RAM is read in bulk.
#[derive(Debug, Parser)]
#[command(name = "nettlp-bench", version, after_help = EXAMPLE)]
pub struct BenchArguments {
    #[command(flatten)]
    source: Source,

    /// Where ranges of a raw image belong: `pc` or `q35` for a QEMU guest with RAM above 4 GiB, or START-END@OFFSET,...
    #[arg(long, value_name = "MAP", value_parser = parse_image_map, conflicts_with = "demo")]
    image_map: Option<ImageMap>,

    /// What the image's kernel looks like: a profile that `nettlp-profile` wrote
    #[arg(
        short,
        long,
        value_name = "PROFILE.yaml",
        required_unless_present = "demo",
        conflicts_with = "demo"
    )]
    profile: Option<PathBuf>,

    /// Times from a request to its answer, one measurement each
    #[arg(long, value_name = "TIME,...", value_parser = parse_delay, value_delimiter = ',', default_value = "0,12us,100us,1ms")]
    delay: Vec<Duration>,

    /// Measure so often and keep the best; what takes more than ten seconds is measured once
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,

    /// How much RAM to read in bulk, such as 64M or 1G, at most all there is; 0: none. Done at a delay of 0
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "256M")]
    bulk: u64,

    /// Address of the adapter, which uses its UDP ports 0x2fff, 0x3000-0x30ff, 0x4001 and 0x5001
    #[arg(long, value_name = "IP", default_value = "127.0.0.2")]
    listen: Ipv4Addr,

    /// Address that is read from, another one than --listen
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    local: Ipv4Addr,

    /// Write everything that was measured to FILE as JSON
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What is read: one of these.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// Image of a machine that is stopped: a raw dump, an ELF core or a LiME dump
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,

    /// The recording that is built into the program; it holds too little for reading in bulk
    #[arg(long)]
    demo: bool,
}

/// Why the program ends early.
type Refusal = (Report, Status);

/// The program.
pub fn main(demo: &Demo<'_>) -> ExitCode {
    let arguments = match BenchArguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Where the stream is closed there is nobody to tell.
            let _ = error.print();
            return u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    match arguments.run(demo) {
        Ok(()) => ExitCode::SUCCESS,
        Err((report, status)) => {
            complain(PROGRAM, &report);
            ExitCode::from(status.code())
        }
    }
}

impl BenchArguments {
    fn run(&self, demo: &Demo<'_>) -> Result<(), Refusal> {
        self.check().map_err(|report| (report, Status::Wrong))?;
        let open = || self.open(demo);
        let subject = Subject {
            memory: &open,
            profile: self.profile(demo)?,
        };
        say(&format!(
            "{} over an adapter at {}, read from {}",
            self.what(),
            self.listen,
            self.local
        ));
        let outcome = measure(&subject, &self.options(), &mut say)
            .map_err(|error| (error.report(), error.status()))?;
        show(&outcome).map_err(|report| (report, Status::Failed))?;
        match &self.output {
            Some(path) => self.write(&outcome, path),
            None => Ok(()),
        }
    }

    fn check(&self) -> Result<(), Report> {
        if self.listen == self.local {
            return Err(Report::error(format!(
                "--listen and --local are both {}",
                self.listen
            ))
            .with_note("the adapter and its client own the same UDP ports, so they need two addresses")
            .with_hint("all of 127.0.0.0/8 is there without configuration"));
        }
        Ok(())
    }

    fn options(&self) -> BenchOptions {
        BenchOptions {
            listen: self.listen,
            local: self.local,
            delays: self.delay.clone(),
            repeat: self.repeat,
            bulk: if self.source.demo { 0 } else { self.bulk },
        }
    }

    fn what(&self) -> String {
        match &self.source.image {
            Some(path) => path.display().to_string(),
            None => "the built-in demo".to_owned(),
        }
    }

    fn open(&self, demo: &Demo<'_>) -> Result<Box<dyn PhysicalMemory + Send>, Report> {
        match &self.source.image {
            Some(path) => {
                let map = self.image_map.clone().unwrap_or_default();
                open_image(path, &map).map_err(|error| error.report())
            }
            None => (demo.memory)(),
        }
    }

    fn profile(&self, demo: &Demo<'_>) -> Result<Profile, Refusal> {
        match &self.profile {
            Some(path) => Ok(Profile::File(path.clone())),
            None => (demo.profile)().map(Profile::BuiltIn).ok_or_else(|| {
                let report = Report::error("the built-in profile is damaged");
                (report, Status::Failed)
            }),
        }
    }

    fn write(&self, outcome: &Outcome, path: &Path) -> Result<(), Refusal> {
        let about = About {
            what: self.what(),
            query: QUERY,
            repeat: self.repeat,
        };
        fs::write(path, json(outcome, &about)).map_err(|error| {
            let report = Report::error(format!("cannot write {}", path.display()))
                .with_note(error.to_string());
            (report, Status::Failed)
        })?;
        say(&format!("wrote {}", path.display()));
        Ok(())
    }
}

/// Tells what is done now. Where standard error is closed there is nobody to tell.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{PROGRAM}: {text}");
}

/// Prints what was measured.
fn show(outcome: &Outcome) -> Result<(), Report> {
    let mut out = Vec::new();
    let missed = outcome.delays.iter().map(|at| at.missed).max().unwrap_or(0);
    let written = show_to(outcome, &mut out).and_then(|()| io::stdout().write_all(&out));
    if missed > 0 {
        say(&format!(
            "{missed} processes, children of threads that do not lead their process, are missed by reading one at a time"
        ));
    }
    match written {
        // Whoever reads the output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| {
            Report::error("cannot write to standard output").with_note(error.to_string())
        }),
    }
}

fn show_to(outcome: &Outcome, out: &mut dyn Write) -> io::Result<()> {
    let options = on_standard_output();
    render::rows(&list_table(&outcome.delays), Format::Table, &options, out)?;
    if let Some(bulk) = &outcome.bulk {
        writeln!(out)?;
        render::rows(&bulk_table(bulk), Format::Table, &options, out)?;
    }
    Ok(())
}

/// Reads a time such as `100us`; `0` needs no unit.
fn parse_delay(text: &str) -> Result<Duration, String> {
    match text.trim() {
        "0" => Ok(Duration::ZERO),
        text => parse_time(text),
    }
}

/// Reads a number of bytes such as `256M`.
fn parse_size(text: &str) -> Result<u64, String> {
    let refused = || format!("`{text}` is not a size such as 4096, 64M or 1G");
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim_end_matches("iB") {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return Err(refused()),
    };
    let number: u64 = number.parse().map_err(|_| refused())?;
    number.checked_mul(1 << shift).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(arguments: &[&str]) -> Result<BenchArguments, String> {
        let all = std::iter::once(&PROGRAM).chain(arguments);
        BenchArguments::try_parse_from(all).map_err(|error| error.to_string())
    }

    #[test]
    fn the_arguments_make_sense() {
        BenchArguments::command().debug_assert();
        let arguments = parse(&["--image", "ram", "-p", "k.yaml", "--bulk", "1G"]).unwrap();
        let options = arguments.options();
        let microseconds: Vec<u128> = options.delays.iter().map(Duration::as_micros).collect();
        assert_eq!(microseconds, [0, 12, 100, 1000]);
        assert_eq!((options.repeat, options.bulk), (3, 1 << 30));
        assert_ne!(options.listen, options.local);
    }

    #[test]
    fn one_memory_is_measured_with_its_profile() {
        assert!(parse(&[]).unwrap_err().contains("required"));
        assert!(
            parse(&["--image", "ram"])
                .unwrap_err()
                .contains("--profile")
        );
        assert!(
            parse(&["--demo", "-p", "k.yaml"])
                .unwrap_err()
                .contains("cannot be used with")
        );
        assert!(parse(&["--demo", "--image", "ram"]).is_err());
        assert!(parse(&["--demo", "--repeat", "0"]).is_err());
        assert!(
            parse(&["--demo", "--delay", "0,12"])
                .unwrap_err()
                .contains("`12` is not a time")
        );
        let same = parse(&["--demo", "--listen", "127.0.0.1"]).unwrap();
        assert!(same.check().unwrap_err().message.contains("127.0.0.1"));
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_size("4096"), Ok(4096));
        assert_eq!(parse_size("256M"), Ok(256 << 20));
        assert_eq!(parse_size("1GiB"), Ok(1 << 30));
        for wrong in ["", "M", "12q", "-1", "99999999999G"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }
}
