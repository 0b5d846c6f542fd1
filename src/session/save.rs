//! `save`: rows to a file.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use crate::lang::ast::{Quoted, Save};
use crate::render::{self, Format};
use crate::report::{Report, SourceText};

use super::Session;
use super::dump::create;
use super::output::{Output, Status};

/// What the end of a file's name says about its format.
const FORMATS: [(&str, Format); 6] = [
    ("csv", Format::Csv),
    ("ndjson", Format::Ndjson),
    ("json", Format::Json),
    ("arrow", Format::Arrow),
    ("parquet", Format::Parquet),
    ("txt", Format::Table),
];

/// The format that a file's name asks for.
fn format_of(file: &Quoted) -> Option<Format> {
    let end = Path::new(&file.text).extension()?.to_str()?;
    let known = FORMATS.iter().find(|(known, _)| *known == end)?;
    Some(known.1)
}

/// What is wrong with the name of a file to save to.
pub(super) fn check_format(source: &Arc<SourceText>, file: &Quoted) -> Result<(), Report> {
    if format_of(file).is_some() {
        return Ok(());
    }
    let ends: Vec<_> = FORMATS.iter().map(|(end, _)| format!(".{end}")).collect();
    Err(Report::error("the file's name does not say its format")
        .at(source, file.span.into(), "")
        .with_hint(format!("it may end in {}", ends.join(", "))))
}

impl Session {
    pub(super) fn save(
        &mut self,
        source: &Arc<SourceText>,
        save: &Save,
        output: &mut dyn Output,
    ) -> Result<Status, Status> {
        let format = format_of(&save.file).unwrap_or(Format::Csv);
        let path = Path::new(&save.file.text);
        let file = create(source, &save.file, path, save.force, output)?;
        let (rows, status) = self.rows(source, &save.query, output)?;
        let mut out = BufWriter::new(file);
        let written = render::rows(&rows, format, &render::Options::default(), &mut out)
            .and_then(|()| out.flush());
        if let Err(error) = written {
            let report = Report::error(format!("{} could not be written", path.display()));
            output.report(&report.with_note(error.to_string()));
            return Err(Status::Failed);
        }
        output.text(&format!("{} rows in {}\n", rows.rows.len(), path.display()));
        Ok(status)
    }
}
