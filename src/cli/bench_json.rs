//! What was measured → JSON, for figures and for comparing machines. Times are microseconds.

use std::time::Duration;

use serde_json::{Value, json};

use crate::bench::{AtDelay, Bulk, Measure, Outcome, Throughput};

/// What the figures are about.
#[derive(Debug)]
pub(super) struct About {
    /// The image.
    pub(super) what: String,
    /// The query of nettlp-q.
    pub(super) query: &'static str,
    /// The best of so many runs.
    pub(super) repeat: u32,
}

/// The whole file.
pub(super) fn json(outcome: &Outcome, about: &About) -> String {
    let file = json!({
        "format": "nettlp-bench/1",
        "program": format!("nettlp-bench {}", env!("CARGO_PKG_VERSION")),
        "image": about.what,
        "kernel": outcome.release,
        "banner": outcome.banner,
        "processor": processor(),
        "query": about.query,
        "repeat": about.repeat,
        "delays": outcome.delays.iter().map(at_delay).collect::<Vec<_>>(),
        "bulk": outcome.bulk.as_ref().map(bulk),
    });
    format!("{file:#}\n")
}

fn at_delay(at: &AtDelay) -> Value {
    json!({
        "delay_us": microseconds(at.delay),
        "serial": measure(&at.serial),
        "query": measure(&at.query),
        "again": measure(&at.again),
        "locate": measure(&at.locate),
        "missed": at.missed,
        "times_fewer_rounds": rounded(at.rounds_ratio()),
        "times_faster": rounded(at.time_ratio()),
    })
}

fn measure(cost: &Measure) -> Value {
    json!({
        "rows": cost.rows,
        "reads": cost.reads,
        "rounds": cost.rounds,
        "bytes": cost.bytes,
        "retries": cost.retries,
        "failed": cost.failed,
        "elapsed_us": microseconds(cost.elapsed),
        "runs": cost.runs,
    })
}

fn bulk(bulk: &Bulk) -> Value {
    json!({
        "single_tag_512": throughput(&bulk.single),
        "all_tags_512": throughput(&bulk.window),
        "all_tags_64": throughput(&bulk.small),
        "16_tags_64": throughput(&bulk.small_few_tags),
        "times_faster": rounded(bulk.window.bytes_a_second() / bulk.single.bytes_a_second().max(1e-9)),
    })
}

fn throughput(speed: &Throughput) -> Value {
    json!({
        "reads": speed.reads,
        "bytes": speed.bytes,
        "failed": speed.failed,
        "retries": speed.retries,
        "elapsed_us": microseconds(speed.elapsed),
        "reads_per_second": speed.reads_a_second().round() as u64,
        "bytes_per_second": speed.bytes_a_second().round() as u64,
        "runs": speed.runs,
    })
}

fn microseconds(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e3
}

fn rounded(ratio: f64) -> f64 {
    (ratio * 100.0).round() / 100.0
}

/// The processor of this machine, as it calls itself, where the system tells.
fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_counters_times_and_ratios() {
        let cost = |rounds, milliseconds| Measure {
            rounds,
            elapsed: Duration::from_millis(milliseconds),
            ..Measure::default()
        };
        let outcome = Outcome {
            release: "6.1".to_owned(),
            delays: vec![AtDelay {
                delay: Duration::from_micros(12),
                serial: cost(603, 60),
                query: cost(6, 5),
                ..AtDelay::default()
            }],
            bulk: Some(Bulk::default()),
            ..Outcome::default()
        };
        let about = About {
            what: "ram".to_owned(),
            query: "walk tasks select pid",
            repeat: 3,
        };
        let file: Value = serde_json::from_str(&json(&outcome, &about)).unwrap();
        assert_eq!(file["format"], "nettlp-bench/1");
        let at = &file["delays"][0];
        assert_eq!(
            (&at["delay_us"], &at["times_faster"]),
            (&json!(12.0), &json!(12.0))
        );
        assert_eq!(at["serial"]["rounds"], 603);
        assert_eq!(at["times_fewer_rounds"], 100.5);
        assert_eq!(at["query"]["elapsed_us"], 5000.0);
        assert_eq!(file["bulk"]["all_tags_64"]["reads"], 0);
    }
}
