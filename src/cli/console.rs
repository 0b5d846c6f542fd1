//! A session's answers → standard output; all that is said about them → standard error.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::render::{self, Format, Options};
use crate::repl::Screen;
use crate::report::{Report, Severity};
use crate::row::Rows;
use crate::session::{Output, Settings, Statistics};

/// How what queries cost is told (`--stats`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StatisticsForm {
    /// Not at all.
    Silent,
    /// Rows and time, as the prompt does.
    Short,
    /// One line for people.
    Human,
    /// One JSON object a line.
    Json,
}

/// Both streams of the program.
///
/// Warnings and notes about a query come after its rows, so that a long answer does not hide them.
#[derive(Debug)]
pub(super) struct Console<O, E> {
    answers: O,
    remarks: E,
    format: Format,
    /// The last format that was written and that is not text.
    binary: Option<Format>,
    statistics: StatisticsForm,
    /// How tables look now: a terminal's width changes while it is used.
    table: fn() -> Options,
    /// Whether remarks are coloured.
    color: bool,
    /// Remarks about the query that runs, for after its rows; `None` between queries.
    pending: Option<Vec<Remark>>,
    /// Set to stop the session when nobody reads its answers any more.
    cancel: Arc<AtomicBool>,
    failure: Option<io::Error>,
}

#[derive(Debug)]
enum Remark {
    Report(Report),
    Statistics(Statistics),
}

impl Console<io::BufWriter<io::Stdout>, io::Stderr> {
    /// The program's own streams.
    pub(super) fn new(format: Format, statistics: StatisticsForm) -> Self {
        let color = io::stderr().is_terminal() && wants_color();
        Self::over(
            io::BufWriter::new(io::stdout()),
            io::stderr(),
            format,
            statistics,
            on_standard_output,
            color,
        )
    }
}

/// How tables look on standard output.
pub(super) fn on_standard_output() -> Options {
    let is_terminal = io::stdout().is_terminal();
    Options {
        width: render::terminal_width().filter(|_| is_terminal),
        color: is_terminal && wants_color(),
    }
}

/// Whether the user's environment allows colours (the variable `NO_COLOR`).
pub(super) fn wants_color() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    !is_set("NO_COLOR") && !dumb
}

impl<O: Write, E: Write> Console<O, E> {
    fn over(
        answers: O,
        remarks: E,
        format: Format,
        statistics: StatisticsForm,
        table: fn() -> Options,
        color: bool,
    ) -> Self {
        Self {
            answers,
            remarks,
            format,
            binary: None,
            statistics,
            table,
            color,
            pending: None,
            cancel: Arc::default(),
            failure: None,
        }
    }

    /// Lets a failure to write stop the session whose flag this is.
    pub(super) fn stops(&mut self, cancel: Arc<AtomicBool>) {
        self.cancel = cancel;
    }

    /// Tells what is left to tell. Gives why answers could not be written, if so; a reader that has gone away
    /// ([`io::ErrorKind::BrokenPipe`]) is such a failure too.
    pub(super) fn finish(&mut self) -> Option<io::Error> {
        self.flush_remarks();
        self.failure.take()
    }

    /// Writes an answer, unless an earlier one could not be written.
    fn answer(&mut self, write: impl FnOnce(&mut Self) -> io::Result<()>) {
        if self.failure.is_some() {
            return;
        }
        let outcome = write(self).and_then(|()| self.answers.flush());
        if let Err(error) = outcome {
            self.failure = Some(error);
            self.cancel.store(true, Ordering::Relaxed);
        }
    }

    /// Whether rows of a format may follow what has been written: nothing may follow a Parquet file, and a terminal shows text only.
    fn begin(&mut self, format: Format) -> io::Result<()> {
        if self.binary == Some(Format::Parquet) {
            return Err(io::Error::other(
                "a Parquet file holds the rows of one query: ask one, or `save` each to a file of its own",
            ));
        }
        if !format.is_binary() {
            return Ok(());
        }
        if (self.table)().width.is_some() {
            return Err(io::Error::other(format!(
                "{format} is not text, and standard output is a terminal: redirect it, or `save QUERY to 'rows.{format}'`"
            )));
        }
        self.binary = Some(format);
        Ok(())
    }

    /// At the prompt rows are followed by their number; what else was computed is not worth a line.
    fn drop_short_statistics(&mut self) {
        if self.statistics == StatisticsForm::Short
            && let Some(pending) = &mut self.pending
        {
            pending.retain(|remark| !matches!(remark, Remark::Statistics(_)));
        }
    }

    fn flush_remarks(&mut self) {
        for remark in self.pending.take().unwrap_or_default() {
            match remark {
                Remark::Report(report) => self.tell(&report),
                Remark::Statistics(statistics) => self.tell_statistics(&statistics),
            }
        }
    }

    /// Where standard error is closed there is nobody to tell.
    fn tell(&mut self, report: &Report) {
        let _ = render::report(report, self.color, &mut self.remarks);
    }

    fn tell_statistics(&mut self, statistics: &Statistics) {
        let line = match self.statistics {
            StatisticsForm::Silent => return,
            StatisticsForm::Short => self.dim(&short(statistics)),
            StatisticsForm::Human => self.dim(&long(statistics)),
            StatisticsForm::Json => json(statistics),
        };
        let _ = writeln!(self.remarks, "{line}");
    }

    fn dim(&self, line: &str) -> String {
        if self.color {
            format!("\x1b[2m{line}\x1b[0m")
        } else {
            line.to_owned()
        }
    }
}

impl<O: Write, E: Write> Output for Console<O, E> {
    fn rows(&mut self, rows: &Rows, settings: &Settings) {
        let format = settings.format.unwrap_or(self.format);
        self.answer(|console| {
            console.begin(format)?;
            render::rows(rows, format, &(console.table)(), &mut console.answers)
        });
        if let Some(note) = render::note_of_nulls(rows)
            && self.failure.is_none()
        {
            self.report(&note);
        }
        if render::is_print(rows) {
            self.drop_short_statistics();
        }
        self.flush_remarks();
    }

    fn text(&mut self, text: &str) {
        let shown = render::text::printable(text);
        if self.binary.is_some() || self.format.is_binary() {
            let _ = self.remarks.write_all(shown.as_bytes());
            return;
        }
        self.answer(|console| {
            console.answers.write_all(shown.as_bytes())?;
            if shown.is_empty() || shown.ends_with('\n') {
                Ok(())
            } else {
                console.answers.write_all(b"\n")
            }
        });
        self.drop_short_statistics();
        self.flush_remarks();
    }

    fn report(&mut self, report: &Report) {
        match &mut self.pending {
            Some(pending) if report.severity < Severity::Error => {
                pending.push(Remark::Report(report.clone()));
            }
            _ => {
                self.drop_short_statistics();
                self.flush_remarks();
                self.tell(report);
            }
        }
    }

    fn statistics(&mut self, statistics: &Statistics) {
        self.drop_short_statistics();
        self.flush_remarks();
        self.pending = Some(vec![Remark::Statistics(*statistics)]);
    }

    fn is_closed(&self) -> bool {
        self.failure.is_some()
    }
}

impl<O: Write, E: Write> Screen for Console<O, E> {
    fn end_statement(&mut self) {
        self.drop_short_statistics();
        self.flush_remarks();
    }
}

/// The line of `--stats=json`: numbers only, so nothing in it needs escaping.
fn json(statistics: &Statistics) -> String {
    let fields = [
        ("rows", u128::from(statistics.rows)),
        ("reads", u128::from(statistics.reads)),
        ("rounds", u128::from(statistics.rounds)),
        ("bytes", u128::from(statistics.bytes)),
        ("retries", u128::from(statistics.retries)),
        ("cache_hits", u128::from(statistics.cache_hits)),
        ("failed", u128::from(statistics.failed)),
        ("elapsed_us", statistics.elapsed.as_micros()),
    ];
    let fields = fields.map(|(name, number)| format!("\"{name}\":{number}"));
    format!("{{{}}}", fields.join(","))
}

/// `12 rows in 1.5ms`
fn short(statistics: &Statistics) -> String {
    format!(
        "{} in {}",
        count(statistics.rows, "row"),
        elapsed(statistics)
    )
}

/// `12 rows: 40 reads in 6 rounds, 10240 bytes, 3 cache hits, 0 retries, 1.5ms`
fn long(statistics: &Statistics) -> String {
    let failed = match statistics.failed {
        0 => String::new(),
        failed => format!(" ({failed} failed)"),
    };
    format!(
        "{}: {}{failed} in {}, {}, {}, {}, {}",
        count(statistics.rows, "row"),
        count(statistics.reads, "read"),
        count(statistics.rounds, "round"),
        count(statistics.bytes, "byte"),
        count(statistics.cache_hits, "cache hit"),
        count_irregular(statistics.retries, "retry", "retries"),
        elapsed(statistics),
    )
}

fn elapsed(statistics: &Statistics) -> String {
    let nanoseconds = i128::try_from(statistics.elapsed.as_nanos()).unwrap_or(i128::MAX);
    render::duration(nanoseconds)
}

fn count(number: u64, thing: &str) -> String {
    count_irregular(number, thing, &format!("{thing}s"))
}

fn count_irregular(number: u64, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

#[cfg(test)]
#[path = "tests_console.rs"]
mod tests;
