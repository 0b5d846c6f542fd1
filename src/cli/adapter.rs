//! `nettlp-adapter`: memory served as a NetTLP adapter would.

use std::io::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::adapter::{Adapter, AdapterHandle, AdapterOptions, Backing, Faults, Probability};
use crate::memory::{
    ImageMap, PhysicalMemory, WritableImage, open_image, open_recording, parse_image_map,
};
use crate::report::Report;
use crate::wire::RequesterId;

use super::complain::complain;

/// Opens the recording that is built into the program.
pub type OpenDemo<'a> = dyn Fn() -> Result<Box<dyn PhysicalMemory + Send>, Report> + 'a;

const EXAMPLE: &str = "\
Example, with adapter and client on one machine:

  nettlp-adapter --listen 127.0.0.2 --image guest.ram &
  nettlp-q -r 127.0.0.2 -l 127.0.0.1 -b 1b:00

They need two addresses because both own the same UDP ports (0x3000 + tag). All of 127.0.0.0/8 is there without
configuration.";

/// A software NetTLP adapter: serves a memory image, a recording, or the RAM file of a running QEMU guest
///
/// It answers NetTLP's datagrams as the real card in the target machine would, for nettlp-q, LibTLP's programs or a client
/// of your own. It prints `ready` when its ports are bound, and its counters on SIGUSR1 and when it is stopped (Ctrl-C,
/// SIGTERM).
#[derive(Debug, Parser)]
#[command(name = "nettlp-adapter", version, after_help = EXAMPLE)]
pub struct AdapterArguments {
    /// Address to listen on; its UDP ports 0x2fff, 0x3000-0x30ff, 0x4001 and 0x5001 are used
    #[arg(long, value_name = "IP", default_value = "127.0.0.2")]
    listen: Ipv4Addr,

    #[command(flatten)]
    source: Source,

    /// Where ranges of a raw image belong: `pc` or `q35` for a QEMU guest with RAM above 4 GiB, or START-END@OFFSET,...
    ///
    /// Numbers are hexadecimal; END is the first address that does not belong any more. Without it, a raw image is one range
    /// from address 0.
    #[arg(long, value_name = "MAP", value_parser = parse_image_map, conflicts_with_all = ["replay", "demo"])]
    image_map: Option<ImageMap>,

    /// Let memory writes (LibTLP's dma_write) change the raw image; without it they are counted and ignored
    #[arg(long, conflicts_with_all = ["replay", "demo"])]
    writable: bool,

    /// Longest data of one completion, in bytes (the target's Max_Payload_Size)
    #[arg(long, value_name = "BYTES", default_value_t = 256)]
    max_payload: u32,

    /// Read completion boundary in bytes, 64 or 128: where completions of one read may be cut
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    rcb: u32,

    /// Answer only this requester ID (and tell it to who asks); without it anybody is answered, as 1b:00.0 is told
    #[arg(long, value_name = "BB:DD.F")]
    requester: Option<RequesterId>,

    /// Time from a request to its answer, such as 100us or 2ms; requests do not wait for each other
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "0us")]
    delay: Duration,

    /// Lose this share of datagrams, requests as well as completions: 5% or 0.05
    #[arg(long, value_name = "P", default_value = "0")]
    drop: Probability,

    /// Send this share of completions twice
    #[arg(long, value_name = "P", default_value = "0")]
    duplicate: Probability,

    /// Hold this share of completions back so that later ones pass them
    #[arg(long, value_name = "P", default_value = "0")]
    reorder: Probability,

    /// Flip one bit in the headers of this share of completions
    #[arg(long, value_name = "P", default_value = "0")]
    corrupt: Probability,

    /// Where the decisions about faults start; the same seed decides the same
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// What is served: one of these.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// Memory image: a raw dump, an ELF core, a LiME dump, or the file behind a running guest's RAM
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,

    /// Recording made by `nettlp-q --record FILE`; addresses that it does not hold give Unsupported Request
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,

    /// The recording that is built into the program
    #[arg(long)]
    demo: bool,
}

impl AdapterArguments {
    fn options(&self) -> AdapterOptions {
        AdapterOptions {
            listen: self.listen,
            max_payload: self.max_payload,
            boundary: self.rcb,
            delay: self.delay,
            requester: self.requester,
            faults: Faults {
                drop: self.drop,
                duplicate: self.duplicate,
                reorder: self.reorder,
                corrupt: self.corrupt,
                seed: self.seed,
            },
            ..AdapterOptions::default()
        }
    }

    fn open(&self, demo: &OpenDemo<'_>) -> Result<Backing, Report> {
        let map = self.image_map.clone().unwrap_or_default();
        let opened = match (&self.source.image, &self.source.replay) {
            (Some(path), _) if self.writable => {
                WritableImage::open(path, &map).map(Backing::Writable)
            }
            (Some(path), _) => open_image(path, &map).map(Backing::ReadOnly),
            (None, Some(path)) => open_recording(path).map(Backing::from),
            (None, None) => return demo().map(Backing::ReadOnly),
        };
        opened.map_err(|error| error.report())
    }
}

/// The program: serves until stopped. `demo` opens the built-in recording.
pub fn main(demo: &OpenDemo<'_>) -> ExitCode {
    let arguments = AdapterArguments::parse();
    match serve(&arguments, demo) {
        Ok(()) => ExitCode::SUCCESS,
        Err(report) => {
            complain("nettlp-adapter", &report);
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: &AdapterArguments, demo: &OpenDemo<'_>) -> Result<(), Report> {
    let memory = arguments.open(demo)?;
    let adapter = Adapter::bind(&arguments.options(), memory).map_err(|error| error.report())?;
    let handle = adapter.handle();
    obey_signals(handle.clone())?;
    // A reader that has gone away does not keep the adapter from serving.
    let mut output = std::io::stdout();
    let _ = writeln!(output, "ready").and_then(|()| output.flush());
    let outcome = adapter.run().map_err(|error| error.report());
    print_counters(&handle);
    outcome
}

/// Starts the thread that prints counters on SIGUSR1 and stops the adapter on SIGINT and SIGTERM.
fn obey_signals(handle: AdapterHandle) -> Result<(), Report> {
    let refused =
        |error: std::io::Error| Report::error("cannot take signals").with_note(error.to_string());
    let mut signals = Signals::new([SIGUSR1, SIGINT, SIGTERM]).map_err(refused)?;
    let obey = move || {
        for signal in signals.forever() {
            if signal == SIGUSR1 {
                print_counters(&handle);
            } else if let Err(error) = handle.stop() {
                complain("nettlp-adapter", &error.report());
            }
        }
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(obey)
        .map(|_| ())
        .map_err(refused)
}

fn print_counters(handle: &AdapterHandle) {
    let text = handle.counters().to_string();
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Units of time, with their length in nanoseconds; longer names first where one ends with another.
static UNITS: [(&str, u64); 5] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
];

/// Reads a time such as `100us`.
pub(super) fn parse_time(text: &str) -> Result<Duration, String> {
    let refused = || format!("`{text}` is not a time such as 100us, 2ms or 1s");
    let (number, unit) = UNITS
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))
        .ok_or_else(refused)?;
    let number: u64 = number.trim().parse().map_err(|_| refused())?;
    let nanoseconds = number.checked_mul(unit).ok_or_else(refused)?;
    Ok(Duration::from_nanos(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(arguments: &[&str]) -> Result<AdapterArguments, String> {
        let all = std::iter::once(&"nettlp-adapter").chain(arguments);
        AdapterArguments::try_parse_from(all).map_err(|error| error.to_string())
    }

    #[test]
    fn the_arguments_make_sense() {
        AdapterArguments::command().debug_assert();
        let arguments = parse(&[
            "--listen",
            "127.0.0.9",
            "--replay",
            "r",
            "--rcb",
            "128",
            "--delay",
            "100us",
            "--drop",
            "5%",
            "--seed",
            "9",
            "--requester",
            "1b:00",
        ]);
        let options = arguments.unwrap().options();
        assert_eq!(options.listen, Ipv4Addr::new(127, 0, 0, 9));
        assert_eq!((options.boundary, options.max_payload), (128, 256));
        assert_eq!(options.delay, Duration::from_micros(100));
        assert_eq!(options.faults.drop, Probability::new(0.05).unwrap());
        assert_eq!(options.requester, Some(RequesterId::from_bits(0x1b00)));
    }

    #[test]
    fn one_memory_is_served_and_no_more() {
        assert!(parse(&[]).unwrap_err().contains("required"));
        assert!(
            parse(&["--image", "a", "--demo"])
                .unwrap_err()
                .contains("cannot be used with")
        );
        assert!(parse(&["--replay", "a", "--writable"]).is_err());
        assert!(
            parse(&["--image", "a", "--image-map", "0-1000"])
                .unwrap_err()
                .contains("START-END@OFFSET")
        );
    }

    #[test]
    fn times_need_a_unit() {
        assert_eq!(parse_time("100us"), Ok(Duration::from_micros(100)));
        assert_eq!(parse_time("3 ms"), Ok(Duration::from_millis(3)));
        assert_eq!(parse_time("0s"), Ok(Duration::ZERO));
        for wrong in ["100", "us", "-1ms", "1.5s", "99999999999s", ""] {
            assert!(parse_time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_served_is_reported() {
        let no_demo: &OpenDemo<'_> = &|| Err(Report::error("no demo"));
        let arguments = parse(&["--image", "/nowhere/x"]).unwrap();
        let report = arguments.open(no_demo).unwrap_err();
        assert_eq!(report.message, "cannot use `/nowhere/x`");
        let arguments = parse(&["--demo"]).unwrap();
        assert_eq!(arguments.open(no_demo).unwrap_err().message, "no demo");
    }
}
