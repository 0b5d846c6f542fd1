//! What `set NAME VALUE` sets.

use std::time::Duration;

use crate::render::Format;
use crate::report::{Report, nearest};

/// Limits and forms of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How rows are written; `None`: what the command line or the terminal asks for.
    pub format: Option<Format>,
    /// Most reads of a query.
    pub max_reads: u64,
    /// Most rows that are shown of a query.
    pub max_rows: Option<u64>,
    /// Most wall time of a query.
    pub timeout: Duration,
    /// Whether what will likely be needed is read ahead; rows are the same either way.
    pub predictors: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            format: None,
            max_reads: 1_000_000,
            max_rows: None,
            timeout: Duration::from_secs(600),
            predictors: true,
        }
    }
}

/// Settings by name, with what each is for.
const NAMES: [(&str, &str); 5] = [
    (
        "format",
        "how rows are written: table, json, ndjson, csv, arrow or parquet",
    ),
    ("max_reads", "most reads of a query"),
    ("max_rows", "most rows that are shown of a query (0: all)"),
    ("timeout", "most time of a query, for example 5s"),
    (
        "predictors",
        "whether what will likely be needed is read ahead (on or off); rows are the same",
    ),
];

impl Settings {
    /// Changes a setting; the text is what stands in the statement.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Report> {
        match name {
            "format" => self.format = Some(format(name, value)?),
            "max_reads" => self.max_reads = number(name, value)?.max(1),
            "max_rows" => self.max_rows = Some(number(name, value)?).filter(|rows| *rows > 0),
            "predictors" => self.predictors = switch(name, value)?,
            "timeout" => self.timeout = duration(name, value)?,
            _ => {
                let known = NAMES.map(|(name, _)| name);
                let mut report = Report::error(format!("there is no setting `{name}`"));
                if let Some(near) = nearest(name, known) {
                    report = report.with_hint(format!("did you mean `{near}`?"));
                }
                return Err(report.with_hint("`show settings` lists them"));
            }
        }
        Ok(())
    }

    /// Every setting with its value and what it is for.
    pub fn list(&self) -> Vec<(&'static str, String, &'static str)> {
        let values = [
            self.format.map_or_else(
                || "as the command line says".to_owned(),
                |format| format.to_string(),
            ),
            self.max_reads.to_string(),
            self.max_rows
                .map_or_else(|| "all".to_owned(), |rows| rows.to_string()),
            format!("{:?}", self.timeout),
            if self.predictors { "on" } else { "off" }.to_owned(),
        ];
        NAMES
            .iter()
            .zip(values)
            .map(|((name, doc), value)| (*name, value, *doc))
            .collect()
    }
}

fn bad_value(name: &str, value: &str, wanted: &str) -> Report {
    Report::error(format!("`{name}` cannot be `{value}`")).with_hint(format!("it takes {wanted}"))
}

fn format(name: &str, value: &str) -> Result<Format, Report> {
    let known = Format::names().find(|known| *known == value);
    known.and_then(|known| known.parse().ok()).ok_or_else(|| {
        let names: Vec<_> = Format::names().collect();
        bad_value(name, value, &format!("one of {}", names.join(", ")))
    })
}

fn number(name: &str, value: &str) -> Result<u64, Report> {
    value
        .parse()
        .map_err(|_| bad_value(name, value, "a number"))
}

fn switch(name: &str, value: &str) -> Result<bool, Report> {
    match value {
        "on" | "true" => Ok(true),
        "off" | "false" => Ok(false),
        _ => Err(bad_value(name, value, "on or off")),
    }
}

/// A duration with its unit.
fn duration(name: &str, value: &str) -> Result<Duration, Report> {
    let digits = value
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(value.len());
    let (number, unit) = value.split_at(digits);
    let milliseconds = match unit {
        "ms" => 1,
        "s" | "" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => {
            return Err(bad_value(
                name,
                value,
                "a duration, for example 250ms, 5s or 2m",
            ));
        }
    };
    let number: u64 = number
        .parse()
        .map_err(|_| bad_value(name, value, "a duration, for example 5s"))?;
    Ok(Duration::from_millis(number.saturating_mul(milliseconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked() {
        let mut settings = Settings::default();
        settings.set("timeout", "250ms").unwrap();
        assert_eq!(settings.timeout, Duration::from_millis(250));
        settings.set("max_rows", "0").unwrap();
        assert_eq!(settings.max_rows, None);
        settings.set("predictors", "off").unwrap();
        assert!(!settings.predictors);
        assert!(settings.set("predictors", "perhaps").is_err());
        assert!(settings.set("format", "xml").is_err());
        let report = settings.set("timout", "5s").unwrap_err();
        assert_eq!(report.hints[0], "did you mean `timeout`?");
    }
}
