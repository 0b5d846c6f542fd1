//! The names of output formats.

use std::fmt;
use std::str::FromStr;

use crate::report::nearest;

/// How rows are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns for people.
    #[default]
    Table,
    /// One JSON array with an object for each row.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// Comma-separated values, quoted as RFC 4180 says, with a line of column names; lines end with a line feed alone, as Unix
    /// tools expect.
    Csv,
    /// An Apache Arrow IPC stream for each query, one after the other.
    Arrow,
    /// An Apache Parquet file, which holds the rows of one query.
    Parquet,
}

/// Every format by name.
const FORMATS: [(&str, Format); 6] = [
    ("table", Format::Table),
    ("json", Format::Json),
    ("ndjson", Format::Ndjson),
    ("csv", Format::Csv),
    ("arrow", Format::Arrow),
    ("parquet", Format::Parquet),
];

impl Format {
    /// The names that [`Format::from_str`] takes.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FORMATS.iter().map(|(name, _)| *name)
    }

    /// Whether it is not text: no terminal can show it.
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Arrow | Self::Parquet)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = FORMATS.iter().find(|(_, format)| format == self);
        formatter.write_str(name.map_or("", |(name, _)| name))
    }
}

/// A format that nobody has heard of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no output format is called `{name}`")]
pub struct UnknownFormat {
    /// What was asked for.
    pub name: String,
}

impl UnknownFormat {
    /// What to write instead.
    pub fn hint(&self) -> String {
        match nearest(&self.name, Format::names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!(
                "formats: {}",
                Format::names().collect::<Vec<_>>().join(", ")
            ),
        }
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = FORMATS
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        known
            .map(|(_, format)| *format)
            .ok_or_else(|| UnknownFormat {
                name: name.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for (name, format) in FORMATS {
            assert_eq!(name.parse(), Ok(format));
            assert_eq!(format.to_string(), name);
        }
        assert_eq!("JSON".parse(), Ok(Format::Json));
    }

    #[test]
    fn a_wrong_name_gets_help() {
        let error = "jsn".parse::<Format>().unwrap_err();
        assert_eq!(error.to_string(), "no output format is called `jsn`");
        assert_eq!(error.hint(), "did you mean `json`?");
        let error = "xml".parse::<Format>().unwrap_err();
        assert_eq!(
            error.hint(),
            "formats: table, json, ndjson, csv, arrow, parquet"
        );
    }
}
