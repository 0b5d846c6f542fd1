//! `nettlp-profile`: arguments → a layout profile on standard output or in a file.

use std::ffi::OsString;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use crate::generate::{self, Options, Source};
use crate::report::Report;

use super::complain::complain;
use super::live;
use super::profile_tools::{self, Tool};
use super::progress::shown;
use super::target::TargetArguments;

/// What the program calls itself in messages.
const PROGRAM: &str = "nettlp-profile";

/// Something that was asked for could not be done.
const FAILED: u8 = 1;
/// The arguments are wrong.
const WRONG_USAGE: u8 = 2;

/// Write the layout profile of a kernel: where every member of every type is, and where every symbol is.
///
/// The profile is plain YAML, one document a type, and comes to standard output or, with -o, into a file.
#[derive(Debug, Parser)]
#[command(
    name = "nettlp-profile",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    override_usage = "nettlp-profile VMLINUX [OPTIONS]\n       nettlp-profile --live [OPTIONS]\n       nettlp-profile list|show|diff|check ..."
)]
struct Arguments {
    #[command(subcommand)]
    tool: Option<Tool>,
    /// The kernel: vmlinux with debug information or BTF, compressed or in a Debian package; /boot/vmlinuz-…; or BTF alone
    /// (/sys/kernel/btf/vmlinux)
    ///
    /// A file that is called like one of the commands is given with its folder: ./list
    #[arg(
        value_name = "VMLINUX",
        required_unless_present = "live",
        conflicts_with = "live"
    )]
    vmlinux: Option<PathBuf>,
    /// Make the profile of the kernel that runs in the target's memory, of which nothing need be known
    #[arg(long)]
    live: bool,
    /// Which description of types to take; auto: DWARF where there is any, else BTF
    #[arg(long, value_enum, value_name = "KIND", default_value = "auto")]
    from: From,
    /// Symbols from a System.map or from the text of /proc/kallsyms
    #[arg(long, value_name = "FILE")]
    system_map: Option<PathBuf>,
    /// The kernel's BTF, for the BTF of a module
    #[arg(long, value_name = "FILE")]
    btf_base: Option<PathBuf>,
    /// The text of the target's /proc/version, for BTF that comes without its kernel
    #[arg(long, value_name = "FILE")]
    banner: Option<PathBuf>,
    /// Write to FILE, which is replaced only when the profile is complete
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only these types and the types inside them; what they point to stays a name
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    types: Vec<String>,
    /// Only these symbols
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    symbols: Vec<String>,
    #[command(flatten)]
    target: TargetArguments,
}

/// Values of `--from`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum From {
    Auto,
    Dwarf,
    Btf,
}

impl std::convert::From<From> for Source {
    fn from(from: From) -> Self {
        match from {
            From::Auto => Self::Auto,
            From::Dwarf => Self::Dwarf,
            From::Btf => Self::Btf,
        }
    }
}

/// Runs the program with its arguments, the program's name first, and gives its exit status.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors, and there is nobody left to tell if they cannot be printed.
            let _ = error.print();
            return if error.use_stderr() {
                WRONG_USAGE.into()
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    if let Some(tool) = &arguments.tool {
        return profile_tools::run(tool);
    }
    match make(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(report) => {
            complain(PROGRAM, &report);
            FAILED.into()
        }
    }
}

fn make(arguments: &Arguments) -> Result<(), Report> {
    let options = Options {
        types: arguments.types.clone(),
        symbols: arguments.symbols.clone(),
        source: arguments.from.into(),
        system_map: arguments.system_map.clone(),
        btf_base: arguments.btf_base.clone(),
        banner: arguments.banner.clone(),
        progress: Arc::default(),
    };
    let Some(vmlinux) = &arguments.vmlinux else {
        return live_profile(arguments, &options);
    };
    let made = shown(&options.progress, || generate::from_file(vmlinux, &options));
    let profile = made.map_err(|error| {
        let mut report = Report::from_error(&error);
        report.hints = error.hints();
        report
    })?;
    write(arguments, &|out| profile.write_to(out))
}

/// What puts a profile into a file or a pipe.
type Put<'a> = dyn Fn(&mut dyn Write) -> io::Result<()> + 'a;

fn live_profile(arguments: &Arguments, options: &Options) -> Result<(), Report> {
    let no_demo = || {
        Err(Report::error("--live needs a target")
            .with_hint("name an adapter (-r IP) or an image (--image FILE)"))
    };
    let mut target = arguments.target.open(&no_demo)?;
    let name = target.origin.to_string();
    let tell = |report: &Report| complain(PROGRAM, report);
    let made = live::make(&mut target.memory, &name, options, &tell)?;
    if let Some(recording) = target.recording {
        recording.finish().map_err(|error| error.report())?;
    }
    write(arguments, &|out| out.write_all(made.text.as_bytes()))
}

fn write(arguments: &Arguments, put: &Put<'_>) -> Result<(), Report> {
    match &arguments.output {
        Some(path) => write_file(put, path).map_err(|error| {
            Report::error(format!("cannot write {}", path.display())).with_note(error.to_string())
        }),
        None => match write_to(put, io::stdout().lock()) {
            // Whoever reads the output has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result.map_err(|error| {
                Report::error("cannot write to standard output").with_note(error.to_string())
            }),
        },
    }
}

/// Writes beside the file first: a profile that exists is whole. What is not a regular file (a pipe, a terminal) is written to directly.
fn write_file(put: &Put<'_>, path: &Path) -> io::Result<()> {
    if path.exists() && !path.metadata()?.is_file() {
        return write_to(put, fs::File::create(path)?);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = path.with_file_name(name);
    let written = fs::File::create(&beside)
        .and_then(|file| write_to(put, file))
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&beside);
    }
    written
}

fn write_to(put: &Put<'_>, out: impl Write) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, out);
    put(&mut out)?;
    out.flush()
}
