//! What goes to which stream, in which order.

use std::time::Duration;

use super::*;
use crate::row::{Row, Schema};
use crate::value::{Reason, Value, ValueType};

fn rows(cells: Vec<Value>) -> Rows {
    let schema = Schema::new([("pid".to_owned(), ValueType::Integer)]);
    let rows = cells
        .into_iter()
        .map(|cell| Row { cells: vec![cell] })
        .collect();
    Rows {
        schema,
        rows,
        incomplete: Vec::new(),
    }
}

fn statistics() -> Statistics {
    Statistics {
        rows: 1,
        reads: 40,
        rounds: 6,
        bytes: 10_240,
        retries: 1,
        cache_hits: 3,
        failed: 2,
        elapsed: Duration::from_micros(1_500),
    }
}

fn console(form: StatisticsForm) -> Console<Vec<u8>, Vec<u8>> {
    Console::over(
        Vec::new(),
        Vec::new(),
        Format::Csv,
        form,
        Options::default,
        false,
    )
}

fn remarks(console: &Console<Vec<u8>, Vec<u8>>) -> String {
    String::from_utf8(console.remarks.clone()).unwrap()
}

#[test]
fn remarks_come_after_the_rows_they_are_about() {
    let mut console = console(StatisticsForm::Human);
    console.statistics(&statistics());
    console.report(&Report::warning("the walk `tasks` is incomplete"));
    assert_eq!(remarks(&console), "");
    console.rows(
        &rows(vec![Value::Null(Reason::NullPointer)]),
        &Settings::default(),
    );
    assert_eq!(console.answers, b"pid\n\"\"\n");
    assert_eq!(
        remarks(&console),
        "1 row: 40 reads (2 failed) in 6 rounds, 10240 bytes, 3 cache hits, 1 retry, 1.5ms\n\
         warning: the walk `tasks` is incomplete\n\
         note: 1 cell is null: null pointer (1)\n"
    );
    assert!(console.finish().is_none());
}

#[test]
fn errors_do_not_wait() {
    let mut console = console(StatisticsForm::Short);
    console.statistics(&statistics());
    console.report(&Report::error("the target does not answer any more"));
    assert_eq!(
        remarks(&console),
        "error: the target does not answer any more\n"
    );
    console.statistics(&statistics());
    console.rows(&rows(vec![Value::Integer(1)]), &Settings::default());
    assert!(remarks(&console).ends_with("\n1 row in 1.5ms\n"));
}

#[test]
fn statistics_for_programs_are_one_line_each() {
    let mut console = console(StatisticsForm::Json);
    console.statistics(&statistics());
    console.statistics(&statistics());
    assert!(console.finish().is_none());
    let text = remarks(&console);
    assert_eq!(text.lines().count(), 2);
    for line in text.lines() {
        let parsed: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(parsed["elapsed_us"], 1_500);
        assert_eq!(parsed["cache_hits"], 3);
    }
}

#[test]
fn a_script_chooses_its_format() {
    let mut console = console(StatisticsForm::Silent);
    let mut settings = Settings::default();
    settings.set("format", "ndjson").unwrap();
    console.rows(&rows(vec![Value::Integer(1)]), &settings);
    assert_eq!(console.answers, b"{\"pid\":1}\n");
    console.text("one line\x1b");
    assert_eq!(console.answers, b"{\"pid\":1}\none line\\x1b\n");
}

/// A pipe whose reader has gone away.
struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_goes_away_stops_the_session() {
    let mut console = Console::over(
        Broken,
        Vec::new(),
        Format::Table,
        StatisticsForm::Silent,
        Options::default,
        false,
    );
    let cancel = Arc::new(AtomicBool::new(false));
    console.stops(Arc::clone(&cancel));
    console.rows(&rows(vec![Value::Integer(1)]), &Settings::default());
    assert!(cancel.load(Ordering::Relaxed));
    console.text("more");
    assert_eq!(
        console.finish().map(|error| error.kind()),
        Some(io::ErrorKind::BrokenPipe)
    );
}
