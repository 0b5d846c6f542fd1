//! What memory is read: the target flags, which all programs that read memory share.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use crate::addr::PhysRange;
use crate::locate::LocateOptions;
use crate::memory::{
    Guard, ImageMap, PhysicalMemory, RangeError, Recorder, RecordingHandle, open_image,
    open_recording, parse_image_map, parse_ranges,
};
use crate::report::Report;
use crate::wire::RequesterId;

use super::adapter::OpenDemo;
use super::named;
use super::remote::{Remote, open_remote};

/// The flags that say which memory is read, and how.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Target (the built-in demo where none is named)")]
pub struct TargetArguments {
    /// Read a machine through its NetTLP adapter at this address; needs -b or -R
    #[arg(short, long, value_name = "IP", conflicts_with_all = ["image", "replay", "demo"])]
    remote: Option<Ipv4Addr>,

    /// Address of this machine to send from; by default the system chooses
    #[arg(short, long, value_name = "IP", conflicts_with_all = NOT_REMOTE)]
    local: Option<Ipv4Addr>,

    /// PCIe requester ID of the adapter in the target machine, as `lspci` prints it there: 1b:00 or 1b:00.0
    #[arg(short = 'b', long, value_name = "BB:DD.F", conflicts_with_all = NOT_REMOTE)]
    requester: Option<RequesterId>,

    /// Ask the NetTLP driver on the target for the requester ID; IP is the target's own address, not the adapter's
    #[arg(short = 'R', long, value_name = "IP", conflicts_with = "requester", conflicts_with_all = NOT_REMOTE)]
    requester_from: Option<Ipv4Addr>,

    /// Read a memory image: a raw dump, an ELF core (/proc/vmcore, QEMU's dump-guest-memory) or a LiME dump
    #[arg(long, value_name = "FILE", conflicts_with_all = ["replay", "demo"])]
    image: Option<PathBuf>,

    /// Where ranges of a raw image belong: `pc` or `q35` for a QEMU guest with RAM above 4 GiB, or START-END@OFFSET,...
    ///
    /// Numbers are hexadecimal; END is the first address that does not belong any more. Without it, a raw image is one range
    /// from address 0.
    #[arg(long, value_name = "MAP", value_parser = parse_image_map, requires = "image", conflicts_with_all = ["replay", "demo"])]
    image_map: Option<ImageMap>,

    /// Read a recording made with --record
    #[arg(long, value_name = "FILE", conflicts_with = "demo")]
    replay: Option<PathBuf>,

    /// Read the recording of a real kernel that is built into the program
    #[arg(long)]
    demo: bool,

    /// Read the target that the file of targets calls so; other flags add to what the file says
    ///
    /// The file is ~/.config/nettlp-q/targets.yaml ($XDG_CONFIG_HOME): under each name what the flags would say, for example
    /// `web1: {remote: 192.168.10.1, requester: 1b:00}`.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["remote", "image", "image_map", "replay", "demo"])]
    target: Option<String>,

    /// Physical addresses that may be read, START-END,... in hexadecimal; anything else is refused before it is sent
    ///
    /// END is the first address that does not belong any more. Reading what is not RAM can have effects on the target: an
    /// address may be a register of a device. /proc/iomem on the target (as root) lists "System RAM", with the last address
    /// that belongs: add one.
    #[arg(long, value_name = "RANGES", value_parser = parse_ram)]
    ram: Option<RamMap>,

    /// Longest read request in bytes (the target's Max_Read_Request_Size); default 512
    #[arg(long, value_name = "BYTES", conflicts_with_all = NOT_REMOTE)]
    max_read_request: Option<u32>,

    /// Bytes asked for and not yet answered; default 16384, which is what the adapter's buffers hold
    #[arg(long, value_name = "BYTES", conflicts_with_all = NOT_REMOTE)]
    window: Option<u32>,

    /// Requests in flight at most, 1 to 256, each with a UDP port of its own; default 256
    #[arg(long, value_name = "N", conflicts_with_all = NOT_REMOTE, value_parser = clap::value_parser!(u16).range(1..=256))]
    tags: Option<u16>,

    /// Keep every block that is read in FILE, for --replay
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,

    /// Keep every datagram in FILE, for Wireshark and tcpdump
    #[arg(long, value_name = "FILE", conflicts_with_all = NOT_REMOTE)]
    pcap: Option<PathBuf>,
}

/// What a flag about the network contradicts.
const NOT_REMOTE: [&str; 3] = ["image", "replay", "demo"];

/// Addresses that may be read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct RamMap(Vec<PhysRange>);

fn parse_ram(text: &str) -> Result<RamMap, RangeError> {
    parse_ranges(text).map(RamMap)
}

/// Where memory comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A machine, through its adapter at this address.
    Adapter(Ipv4Addr),
    /// An image.
    Image(PathBuf),
    /// A recording.
    Recording(PathBuf),
    /// The built-in recording; whether somebody asked for it or named no target at all.
    Demo {
        /// `--demo` was given.
        asked: bool,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Adapter(remote) => write!(formatter, "NetTLP adapter {remote}"),
            Self::Image(path) => write!(formatter, "image {}", path.display()),
            Self::Recording(path) => write!(formatter, "recording {}", path.display()),
            Self::Demo { .. } => write!(formatter, "built-in demo"),
        }
    }
}

impl Origin {
    /// Bytes that may be read to say which kernel is there, where it is not the one that was looked for.
    pub fn scan_budget(&self) -> u64 {
        match self {
            Self::Adapter(_) => LocateOptions::default().scan_budget,
            _ => u64::MAX,
        }
    }
}

/// A memory, ready to be read.
#[derive(Debug)]
pub struct Target {
    /// The memory, guarded and recorded as the flags say.
    pub memory: Box<dyn PhysicalMemory>,
    /// Where it comes from.
    pub origin: Origin,
    /// The recording in progress (`--record`): to label it, and to ask in the end whether it could be written.
    pub recording: Option<RecordingHandle>,
}

/// Why a target could not be opened.
#[derive(Debug)]
pub enum Unopened {
    /// Flags that make no sense, or a file or port that cannot be used.
    Wrong(Report),
    /// The target was asked, and did not answer.
    Unanswered(Report),
}

impl From<Report> for Unopened {
    fn from(report: Report) -> Self {
        Self::Wrong(report)
    }
}

impl From<Unopened> for Report {
    fn from(unopened: Unopened) -> Self {
        match unopened {
            Unopened::Wrong(report) | Unopened::Unanswered(report) => report,
        }
    }
}

impl TargetArguments {
    /// Opens what the flags name; `demo` opens the built-in recording.
    ///
    /// Errors: flags that contradict each other or lack a companion; a file, port or adapter that cannot be used; with `-R` a target
    /// that does not answer.
    pub fn open(&self, demo: &OpenDemo<'_>) -> Result<Target, Unopened> {
        if let Some(name) = &self.target {
            return self.with_named(name)?.open(demo);
        }
        let origin = self.origin()?;
        let mut memory = self.open_origin(&origin, demo)?;
        if let Some(RamMap(ranges)) = &self.ram {
            memory = Box::new(Guard::new(memory, ranges.clone()));
        }
        let mut recording = None;
        if let Some(path) = &self.record {
            let (recorder, handle) = record(memory, path, &origin)?;
            recording = Some(handle);
            memory = Box::new(recorder);
        }
        Ok(Target {
            memory,
            origin,
            recording,
        })
    }

    /// Where the flags say that memory comes from.
    pub fn origin(&self) -> Result<Origin, Report> {
        if let Some(name) = &self.target {
            return self.with_named(name)?.origin();
        }
        match (&self.remote, &self.image, &self.replay) {
            (Some(remote), _, _) => Ok(Origin::Adapter(*remote)),
            (_, Some(path), _) => Ok(Origin::Image(path.clone())),
            (_, _, Some(path)) => Ok(Origin::Recording(path.clone())),
            _ => match self.flag_without_remote() {
                Some(flag) => Err(Report::error(format!("{flag} needs an adapter to talk to"))
                    .with_hint("name the adapter's address with -r IP")),
                None => Ok(Origin::Demo { asked: self.demo }),
            },
        }
    }

    /// What was typed, and where nothing was typed what the file of targets says under the name.
    fn with_named(&self, name: &str) -> Result<Self, Report> {
        let file = named::named(name, |variable| std::env::var_os(variable))?;
        if file.remote.is_none()
            && let Some(flag) = self.flag_without_remote()
        {
            return Err(Report::error(format!(
                "{flag} is for an adapter, and the target `{name}` is none"
            )));
        }
        let typed = self.clone();
        // Either flag says who the requester is.
        let asks = typed.requester.is_some() || typed.requester_from.is_some();
        let (requester, requester_from) = match asks {
            true => (typed.requester, typed.requester_from),
            false => (file.requester, file.requester_from),
        };
        Ok(Self {
            target: None,
            remote: file.remote,
            image: file.image,
            image_map: file.image_map,
            replay: file.replay,
            demo: file.demo,
            requester,
            requester_from,
            local: typed.local.or(file.local),
            ram: typed.ram.or(file.ram),
            max_read_request: typed.max_read_request.or(file.max_read_request),
            window: typed.window.or(file.window),
            tags: typed.tags.or(file.tags),
            record: typed.record,
            pcap: typed.pcap,
        })
    }

    /// A flag that is about an adapter, where none is named: the demo must not be read by mistake.
    fn flag_without_remote(&self) -> Option<&'static str> {
        [
            ("-b", self.requester.is_some()),
            ("-R", self.requester_from.is_some()),
            ("-l", self.local.is_some()),
            ("--max-read-request", self.max_read_request.is_some()),
            ("--window", self.window.is_some()),
            ("--tags", self.tags.is_some()),
            ("--pcap", self.pcap.is_some()),
        ]
        .into_iter()
        .find_map(|(flag, given)| given.then_some(flag))
    }

    fn open_origin(
        &self,
        origin: &Origin,
        demo: &OpenDemo<'_>,
    ) -> Result<Box<dyn PhysicalMemory>, Unopened> {
        match origin {
            Origin::Adapter(remote) => open_remote(&Remote {
                remote: *remote,
                local: self.local,
                requester: self.requester,
                requester_from: self.requester_from,
                max_read: self.max_read_request,
                window: self.window,
                tags: self.tags,
                pcap: self.pcap.as_deref(),
            }),
            Origin::Image(path) => {
                let map = self.image_map.clone().unwrap_or_default();
                let image = open_image(path, &map).map_err(|error| error.report())?;
                Ok(image)
            }
            Origin::Recording(path) => {
                let replay = open_recording(path).map_err(|error| error.report())?;
                Ok(Box::new(replay))
            }
            Origin::Demo { .. } => {
                let memory = demo()?;
                Ok(memory)
            }
        }
    }
}

type RecordedMemory = Recorder<Box<dyn PhysicalMemory>>;

/// Records `memory` into a file that is not the one it comes from.
fn record(
    memory: Box<dyn PhysicalMemory>,
    path: &Path,
    origin: &Origin,
) -> Result<(RecordedMemory, RecordingHandle), Report> {
    if let Origin::Image(source) | Origin::Recording(source) = origin
        && is_same_file(path, source)
    {
        return Err(Report::error(format!(
            "--record would overwrite `{}`, which is being read",
            path.display()
        ))
        .with_hint("record into another file"));
    }
    let recorder = Recorder::create(memory, path).map_err(|error| error.report())?;
    let handle = recorder.handle();
    handle.label("origin", &origin.to_string());
    Ok((recorder, handle))
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

#[cfg(test)]
#[path = "tests_target.rs"]
mod tests;
