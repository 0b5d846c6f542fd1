//! What was measured → rows for people: counters first, then times, then how many times more.

use std::time::Duration;

use crate::row::{Row, Rows, Schema};
use crate::value::{Value, ValueType};

use super::{AtDelay, Bulk, Measure, Throughput};

/// The lists of processes: three rows for each delay and one for finding the kernel.
pub fn list_table(delays: &[AtDelay]) -> Rows {
    let rows = delays.iter().flat_map(|at| {
        [
            list_row(at.delay, "one at a time", &at.serial, None),
            list_row(at.delay, "nettlp-q", &at.query, Some(&at.serial)),
            list_row(at.delay, "nettlp-q again", &at.again, Some(&at.serial)),
            list_row(at.delay, "(find the kernel)", &at.locate, None),
        ]
    });
    let columns = [
        ("delay", ValueType::Text),
        ("way", ValueType::Text),
        ("rows", ValueType::Integer),
        ("reads", ValueType::Integer),
        ("rounds", ValueType::Integer),
        ("bytes", ValueType::Integer),
        ("sent again", ValueType::Integer),
        ("time", ValueType::Text),
        ("fewer rounds", ValueType::Text),
        ("faster", ValueType::Text),
    ];
    table(columns, rows.collect())
}

/// Much memory at once.
pub fn bulk_table(bulk: &Bulk) -> Rows {
    let rows = vec![
        bulk_row("1 tag, 512 bytes", &bulk.single, None),
        bulk_row("all tags, 512 bytes", &bulk.window, Some(&bulk.single)),
        bulk_row("all tags, 64 bytes", &bulk.small, None),
        bulk_row("16 tags, 64 bytes", &bulk.small_few_tags, None),
    ];
    let columns = [
        ("way", ValueType::Text),
        ("reads", ValueType::Integer),
        ("bytes", ValueType::Integer),
        ("failed", ValueType::Integer),
        ("sent again", ValueType::Integer),
        ("time", ValueType::Text),
        ("reads/s", ValueType::Integer),
        ("MB/s", ValueType::Text),
        ("faster", ValueType::Text),
    ];
    table(columns, rows)
}

fn table<const N: usize>(columns: [(&str, ValueType); N], rows: Vec<Row>) -> Rows {
    Rows {
        schema: Schema::new(columns.map(|(name, kind)| (name.to_owned(), kind))),
        rows,
        incomplete: Vec::new(),
    }
}

fn list_row(delay: Duration, way: &str, cost: &Measure, than: Option<&Measure>) -> Row {
    let fewer = than.map(|than| times(than.rounds as f64 / (cost.rounds as f64).max(1.0)));
    let faster =
        than.map(|than| times(than.elapsed.as_secs_f64() / cost.elapsed.as_secs_f64().max(1e-9)));
    Row {
        cells: vec![
            Value::text(time(delay)),
            Value::text(way),
            count(cost.rows),
            count(cost.reads),
            count(cost.rounds),
            count(cost.bytes),
            count(cost.retries),
            Value::text(time(cost.elapsed)),
            Value::text(fewer.unwrap_or_default()),
            Value::text(faster.unwrap_or_default()),
        ],
    }
}

fn bulk_row(way: &str, speed: &Throughput, than: Option<&Throughput>) -> Row {
    let faster = than.map(|than| times(speed.bytes_a_second() / than.bytes_a_second().max(1e-9)));
    Row {
        cells: vec![
            Value::text(way),
            count(speed.reads),
            count(speed.bytes),
            count(speed.failed),
            count(speed.retries),
            Value::text(time(speed.elapsed)),
            Value::integer(speed.reads_a_second().round() as i128),
            Value::text(format!("{:.1}", speed.bytes_a_second() / 1e6)),
            Value::text(faster.unwrap_or_default()),
        ],
    }
}

fn count(number: u64) -> Value {
    Value::integer(i128::from(number))
}

/// A ratio with what digits it deserves: `8.4x`, `512x`.
fn times(ratio: f64) -> String {
    if ratio < 100.0 {
        format!("{ratio:.1}x")
    } else {
        format!("{ratio:.0}x")
    }
}

/// A time for people: `0`, `12 us`, `63.2 ms`, `6.81 s`.
pub(super) fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match () {
        () if time.is_zero() => "0".to_owned(),
        () if seconds < 1e-3 => format!("{} us", digits(seconds * 1e6)),
        () if seconds < 1.0 => format!("{} ms", digits(seconds * 1e3)),
        () => format!("{} s", digits(seconds)),
    }
}

/// Three digits, and no zeros behind the point of a round number.
fn digits(number: f64) -> String {
    if number.fract() == 0.0 || number >= 100.0 {
        format!("{number:.0}")
    } else if number >= 10.0 {
        format!("{number:.1}")
    } else {
        format!("{number:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits() {
        let texts = [
            0,
            12_000,
            1_000_000,
            63_249_000,
            6_812_000_000,
            65_000_000_000,
        ]
        .map(|nanoseconds| time(Duration::from_nanos(nanoseconds)));
        assert_eq!(texts, ["0", "12 us", "1 ms", "63.2 ms", "6.81 s", "65 s"]);
        assert_eq!(
            (times(8.41), times(1151.4)),
            ("8.4x".to_owned(), "1151x".to_owned())
        );
    }

    #[test]
    fn ratios_are_of_the_serial_list() {
        let measure = |rounds, milliseconds| Measure {
            rounds,
            elapsed: Duration::from_millis(milliseconds),
            ..Measure::default()
        };
        let at = AtDelay {
            serial: measure(603, 60),
            query: measure(6, 5),
            again: measure(6, 4),
            ..AtDelay::default()
        };
        let rows = list_table(&[at]);
        let last = |row: usize| rows.rows[row].cells[8..].to_vec();
        assert_eq!(last(0), [Value::text(""), Value::text("")]);
        assert_eq!(last(1), [Value::text("100x"), Value::text("12.0x")]);
        assert_eq!(last(2), [Value::text("100x"), Value::text("15.0x")]);
        assert_eq!((at.rounds_ratio(), at.time_ratio()), (100.5, 12.0));
    }
}
