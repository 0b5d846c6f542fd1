//! `nettlp-q`: statements on the command line, in a file or at the prompt → answers.
//!
//! Rows go to standard output, everything else to standard error. Ctrl-C stops the query that runs: what it has found is printed, the
//! rest of the script is not run, the exit status is 1; a second Ctrl-C ends the program at once (130, as a shell would say). At the
//! prompt Ctrl-C stops the query and nothing else, unless the query does not stop. When the reader of standard output goes away, the
//! program ends quietly.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;

use crate::generate;
use crate::memory::PhysicalMemory;
use crate::profile::SearchPath;
use crate::render::{self, Format};
use crate::repl;
use crate::report::{Report, SourceText};
use crate::session::{BANNER_LABEL, BuiltInProfile, Session, SessionOptions, Status, names_layout};

use super::adapter::OpenDemo;
use super::console::{Console, StatisticsForm, wants_color};
use super::interrupt;
use super::live;
use super::target::{Origin, Target, TargetArguments, Unopened};

/// What the program calls itself in messages.
const PROGRAM: &str = "nettlp-q";

/// How long a query at the prompt may take to stop before another Ctrl-C ends the program.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is built into the program.
pub struct Demo<'a> {
    /// Opens the recording of a real kernel.
    pub memory: &'a OpenDemo<'a>,
    /// The layout profile of that kernel.
    pub profile: fn() -> Option<Cow<'static, [u8]>>,
}

impl std::fmt::Debug for Demo<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Demo")
    }
}

/// Ask questions about the memory of a running Linux kernel, from another machine: over a NetTLP adapter, which reads the target's
/// memory by PCI Express. Memory images and recordings can be asked too. Nothing runs on the target, and nothing is written to it.
///
/// Questions are written in NQ, a small query language. With neither -e nor -f there is a prompt, which has `help`.
#[derive(Debug, Parser)]
#[command(name = "nettlp-q", version, after_help = EXAMPLES, after_long_help = EXAMPLES_AND_STATUS)]
pub struct QueryArguments {
    /// Run these statements; may be repeated
    #[arg(short, long = "execute", value_name = "STATEMENTS")]
    execute: Vec<String>,

    /// Run the statements of a script (`-`: of standard input)
    #[arg(short, long, value_name = "FILE.nq", conflicts_with = "execute")]
    file: Option<PathBuf>,

    /// What the target's kernel looks like: a profile that `nettlp-profile` wrote, or more walks; may be repeated
    ///
    /// Without a profile, the one of the target's kernel is looked for, by the kernel's banner, in the folders of
    /// NETTLP_PROFILE_PATH, $XDG_DATA_HOME/nettlp-q/profiles (by default under ~/.local/share), the same in XDG_DATA_DIRS, and
    /// $XDG_CACHE_HOME/nettlp-q/profiles. `nettlp-profile list` shows what is there. Where there is none, it is made of the
    /// target's memory and kept in the last of these.
    #[arg(short, long = "profile", value_name = "PROFILE.yaml")]
    profiles: Vec<PathBuf>,

    /// The vmlinux or vmlinuz that the target was booted from: its code is compared with that in memory
    ///
    /// The check `changed_text` of `use "integrity"` needs it. Take the file from the distribution's package, not from the target.
    #[arg(long, value_name = "FILE")]
    vmlinux: Option<PathBuf>,

    /// How rows are printed: table, json, ndjson, csv, arrow or parquet; `set format` in a script overrides it
    ///
    /// table: aligned columns that fit the terminal. json: an array for each query. ndjson: an object a line. csv: as RFC 4180, after
    /// a line of names. arrow: an Apache Arrow IPC stream for each query. parquet: an Apache Parquet file of one query. In JSON integers beyond 2^53 and addresses are strings, times are nanoseconds, nulls are null. Text of the
    /// target is escaped in every format, so that it cannot command a terminal.
    #[arg(short, long = "output", value_name = "FORMAT", value_parser = parse_format, default_value = "table")]
    output: Format,

    /// Tell on standard error what each query cost; as JSON with --stats=json
    #[arg(long, value_name = "json", num_args = 0..=1, require_equals = true, default_missing_value = "text", value_parser = ["text", "json"], hide_possible_values = true)]
    stats: Option<String>,

    /// Define a variable, which statements read as $NAME; may be repeated
    #[arg(short = 'D', long = "define", value_name = "NAME=VALUE", value_parser = parse_variable)]
    variables: Vec<(String, String)>,

    /// What was typed without a flag before it.
    #[arg(hide = true)]
    stray: Vec<String>,

    #[command(flatten)]
    target: TargetArguments,
}

macro_rules! examples {
    () => {
        "\
Examples:
  nettlp-q -e 'walk tasks select pid, comm, state'
      the processes of the built-in demo: a recording of a real kernel
  nettlp-q -r 192.168.10.1 -b 1b:00 -p kernel.yaml
      a prompt for the machine that holds the adapter at 192.168.10.1 (PCIe device 1b:00.0);
      kernel.yaml describes its kernel: `nettlp-profile /boot/vmlinuz-… -o kernel.yaml` writes it;
      without -p it is made of the target's memory"
    };
}

/// The end of `-h`.
const EXAMPLES: &str = examples!();

/// The end of `--help`.
const EXAMPLES_AND_STATUS: &str = concat!(
    "\
Exit status:
  0  everything was done
  1  a statement failed, an `assert` did not hold, or Ctrl-C stopped a query
  2  wrong usage, or statements that do not parse or check; nothing was read
  3  rows were printed, but a walk is incomplete
  4  the target does not answer, or is not the profile's kernel

",
    examples!()
);

/// What to do where no profile can be made of the target's memory.
const NAME_A_PROFILE: &str = "or make the profile of a file and name it: nettlp-profile /boot/vmlinuz-… -o kernel.yaml, then -p kernel.yaml";

/// Why the program ends early.
type Refusal = (Report, Status);

/// The program.
pub fn main(demo: &Demo<'_>) -> ExitCode {
    let arguments = match QueryArguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Where the stream is closed there is nobody to tell.
            let _ = error.print();
            return u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    let status = arguments.run(demo).unwrap_or_else(|(report, status)| {
        tell(&report);
        status
    });
    ExitCode::from(status.code())
}

impl QueryArguments {
    fn run(&self, demo: &Demo<'_>) -> Result<Status, Refusal> {
        let script = self.script().map_err(wrong)?;
        self.check_output().map_err(wrong)?;
        let profile = self.built_in_profile(demo).map_err(wrong)?;
        let target = self.open_target(demo).map_err(|unopened| match unopened {
            Unopened::Wrong(report) => wrong(report),
            Unopened::Unanswered(report) => (report, Status::NoTarget),
        })?;
        let recording = target.recording.clone();
        let mut session = self.open_session(target, profile)?;
        let mut console = Console::new(self.output, self.statistics_form(script.is_some()));
        let cancel = session.cancel_flag();
        let patience = if script.is_some() {
            Duration::ZERO
        } else {
            PATIENCE
        };
        console.stops(Arc::clone(&cancel));
        interrupt::obey(cancel, patience).map_err(|error| {
            let report = Report::error("cannot take signals").with_note(error.to_string());
            (report, Status::Failed)
        })?;
        let status = match &script {
            Some(script) => session.run(script, &mut console),
            None => prompt(&mut session, &mut console)?,
        };
        if let Some(recording) = recording {
            if let Some(banner) = session.banner() {
                recording.label(BANNER_LABEL, banner);
            }
            recording
                .finish()
                .map_err(|error| (error.report(), Status::Failed))?;
        } else {
            // Nothing of it has to be ended, and the system takes all memory back at once.
            std::mem::forget(session);
        }
        match console.finish() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                let report =
                    Report::error("the answer cannot be written").with_note(error.to_string());
                Err((report, Status::Failed))
            }
            _ => Ok(status),
        }
    }

    /// A terminal shows text only.
    fn check_output(&self) -> Result<(), Report> {
        let format = self.output;
        if !format.is_binary() || !io::stdout().is_terminal() {
            return Ok(());
        }
        Err(
            Report::error(format!("{format} is not text, and standard output is a terminal"))
                .with_hint(format!(
                    "redirect it: {PROGRAM} -o {format} … > rows.{format}; or at the prompt: save QUERY to 'rows.{format}'"
                )),
        )
    }

    /// The statements to run; `None` where they are to be typed.
    fn script(&self) -> Result<Option<Arc<SourceText>>, Report> {
        if let Some(stray) = self.stray.first() {
            return Err(stray_argument(stray));
        }
        if !self.execute.is_empty() {
            return Ok(Some(source("<-e>", self.execute.join("\n"))));
        }
        match &self.file {
            Some(path) if path != Path::new("-") => {
                let bytes = std::fs::read(path)
                    .map_err(|error| unreadable(&path.display().to_string(), &error))?;
                text(&path.display().to_string(), bytes).map(Some)
            }
            None if io::stdin().is_terminal() => Ok(None),
            _ => {
                let mut bytes = Vec::new();
                let outcome = io::stdin().lock().read_to_end(&mut bytes);
                outcome.map_err(|error| unreadable("standard input", &error))?;
                text("<stdin>", bytes).map(Some)
            }
        }
    }

    /// The demo's profile, where the demo is asked by it.
    fn built_in_profile(&self, demo: &Demo<'_>) -> Result<Option<BuiltInProfile>, Report> {
        let is_demo = matches!(self.target.origin()?, Origin::Demo { .. });
        let is_asked = is_demo && !names_layout(&self.profiles);
        Ok(is_asked.then(|| BuiltInProfile::load(demo.profile)))
    }

    fn open_target(&self, demo: &Demo<'_>) -> Result<Target, Unopened> {
        if matches!(self.target.origin()?, Origin::Demo { asked: false }) {
            let note = Report::note(
                "no target is named, so the built-in demo is asked: a recording of a real kernel",
            )
            .with_hint(
                "name an adapter (-r IP) or an image (--image FILE); --demo silences this note",
            );
            tell(&note);
        }
        self.target.open(demo.memory)
    }

    /// Opens the session. Where no profile is named, the target's kernel is looked for in the profile path; of one that is not there,
    /// the profile is made of its memory, if that is whole.
    fn open_session(
        &self,
        target: Target,
        profile: Option<BuiltInProfile>,
    ) -> Result<Session, Refusal> {
        let is_whole = matches!(target.origin, Origin::Adapter(_) | Origin::Image(_));
        let name = target.origin.to_string();
        let options = self.session_options(target, profile);
        let is_named = options.built_in_profile.is_some() || names_layout(&self.profiles);
        let mut is_made = false;
        let mut make = |memory: &mut dyn PhysicalMemory| {
            is_made = true;
            let made = live::make(memory, &name, &generate::Options::default(), &tell);
            made.map(|made| made.text)
                .map_err(|report| (report.with_hint(NAME_A_PROFILE), Status::NoTarget))
        };
        let session = if is_whole {
            Session::open_or_make(options, &mut make)?
        } else {
            Session::open(options)?
        };
        if !is_named && !is_made {
            tell(&Report::note(format!(
                "the target runs Linux {}, of which {} is the profile",
                session.profile().header().release,
                session.profile().name()
            )));
        }
        Ok(session)
    }

    fn session_options(&self, target: Target, profile: Option<BuiltInProfile>) -> SessionOptions {
        SessionOptions {
            scan_budget: target.origin.scan_budget(),
            memory: target.memory,
            target: target.origin.to_string(),
            profiles: self.profiles.clone(),
            built_in_profile: profile,
            variables: self.variables.clone(),
            ram: None,
            vmlinux: self.vmlinux.clone(),
            search_path: SearchPath::of_this_process(),
        }
    }

    fn statistics_form(&self, is_script: bool) -> StatisticsForm {
        match self.stats.as_deref() {
            Some("json") => StatisticsForm::Json,
            Some(_) => StatisticsForm::Human,
            None if is_script => StatisticsForm::Silent,
            None => StatisticsForm::Short,
        }
    }
}

/// Where standard error is closed there is nobody to tell.
fn tell(report: &Report) {
    let color = io::stderr().is_terminal() && wants_color();
    let _ = render::report(report, color, &mut io::stderr());
}

fn wrong(report: Report) -> Refusal {
    (report, Status::Wrong)
}

fn prompt<O: io::Write, E: io::Write>(
    session: &mut Session,
    console: &mut Console<O, E>,
) -> Result<Status, Refusal> {
    let options = repl::Options {
        color: io::stdout().is_terminal() && wants_color(),
    };
    repl::run(session, console, &options).map_err(|report| (report, Status::Failed))?;
    Ok(Status::Complete)
}

fn source(name: &str, text: String) -> Arc<SourceText> {
    let name = name.to_owned();
    Arc::new(SourceText { name, text })
}

fn text(name: &str, bytes: Vec<u8>) -> Result<Arc<SourceText>, Report> {
    match String::from_utf8(bytes) {
        Ok(text) => Ok(source(name, text)),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let before = error.as_bytes().get(..valid).unwrap_or_default();
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            Err(Report::error(format!("{name} is not text in UTF-8"))
                .with_note(format!("line {line}, byte {valid} is not"))
                .with_hint("a script is plain text; a kernel or profile is named by other options (see --help)"))
        }
    }
}

fn unreadable(name: &str, error: &io::Error) -> Report {
    Report::error(format!("{name} cannot be read")).with_note(error.to_string())
}

/// Something without a flag, which is most likely a statement or a script.
fn stray_argument(stray: &str) -> Report {
    let report = Report::error(format!("`{stray}` stands without an option before it"));
    if Path::new(stray).exists() {
        report.with_hint(format!("to run a script: {PROGRAM} -f {stray}"))
    } else {
        report.with_hint(format!("to run statements: {PROGRAM} -e '{stray}'"))
    }
}

fn parse_format(name: &str) -> Result<Format, String> {
    name.parse::<Format>()
        .map_err(|error| format!("{error}; {}", error.hint()))
}

/// Reads `NAME=VALUE`.
fn parse_variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("a variable is NAME=VALUE, for example -D user=1000")?;
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || character == '_');
    if is_name {
        Ok((name.to_owned(), value.to_owned()))
    } else {
        Err(format!(
            "`{name}` is no name: names are letters, digits and `_`"
        ))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(arguments: &[&str]) -> Result<QueryArguments, String> {
        let all = std::iter::once(&PROGRAM).chain(arguments);
        QueryArguments::try_parse_from(all).map_err(|error| error.to_string())
    }

    #[test]
    fn the_arguments_make_sense() {
        QueryArguments::command().debug_assert();
        let arguments = parse(&[
            "-e", "print 1", "-e", "print 2", "-o", "JSON", "-D", "a=b=c", "-p", "x", "-p", "y",
        ])
        .unwrap();
        assert_eq!(arguments.output, Format::Json);
        assert_eq!(arguments.variables, [("a".to_owned(), "b=c".to_owned())]);
        assert_eq!(arguments.profiles.len(), 2);
        let script = arguments.script().unwrap().unwrap();
        assert_eq!(
            (script.name.as_str(), script.text.as_str()),
            ("<-e>", "print 1\nprint 2")
        );
    }

    #[test]
    fn statistics_take_their_form_behind_an_equals_sign() {
        let form =
            |arguments: &[&str], is_script| parse(arguments).unwrap().statistics_form(is_script);
        assert_eq!(form(&["--stats"], true), StatisticsForm::Human);
        assert_eq!(form(&["--stats=json"], false), StatisticsForm::Json);
        assert_eq!(form(&[], true), StatisticsForm::Silent);
        assert_eq!(form(&[], false), StatisticsForm::Short);
        assert!(parse(&["--stats=xml"]).is_err());
    }

    #[test]
    fn wrong_arguments_are_told_what_is_right() {
        assert!(
            parse(&["-o", "jsn"])
                .unwrap_err()
                .contains("did you mean `json`?")
        );
        assert!(
            parse(&["-o", "xml"])
                .unwrap_err()
                .contains("formats: table, json, ndjson, csv")
        );
        assert!(parse(&["-D", "9x=1"]).unwrap_err().contains("is no name"));
        assert!(parse(&["-D", "x"]).unwrap_err().contains("NAME=VALUE"));
        assert!(parse(&["-e", "print 1", "-f", "x.nq"]).is_err());
    }

    #[test]
    fn stray_words_are_statements_or_scripts() {
        let report = parse(&["walk tasks select *"])
            .unwrap()
            .script()
            .unwrap_err();
        assert_eq!(
            report.hints,
            ["to run statements: nettlp-q -e 'walk tasks select *'"]
        );
        let report = parse(&["Cargo.toml"]).unwrap().script().unwrap_err();
        assert_eq!(report.hints, ["to run a script: nettlp-q -f Cargo.toml"]);
    }

    #[test]
    fn scripts_are_utf8() {
        let report = text("x.nq", b"print 1\nprint '\xff'".to_vec()).unwrap_err();
        assert_eq!(report.message, "x.nq is not text in UTF-8");
        assert_eq!(report.notes, ["line 2, byte 15 is not"]);
    }
}
