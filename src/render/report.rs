//! Reports → text with the source lines that they speak of.
//!
//! ```text
//! error: `task_struct` has no member `stat`
//!   ┌─ process-list.nq:3:19
//!   │
//! 3 │ walk tasks select stat, comm
//!   │                   ^^^^ did you mean `state`?
//! ```

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use codespan_reporting::diagnostic::{Diagnostic, Label, LabelStyle, Severity};
use codespan_reporting::files::SimpleFiles;
use codespan_reporting::term::termcolor::{Ansi, NoColor};
use codespan_reporting::term::{Config, emit_to_write_style};

use super::text::{mask, printable};
use crate::report::{self, Report, SourceText};

/// Writes a report. What it quotes of scripts and of the target cannot make a terminal do anything.
pub fn report(report: &Report, color: bool, out: &mut dyn Write) -> io::Result<()> {
    let mut files = SimpleFiles::new();
    let mut known = BTreeMap::new();
    let mut labels = Vec::new();
    for (number, label) in report.labels.iter().enumerate() {
        let source = *known
            .entry(Arc::as_ptr(&label.source))
            .or_insert_with(|| add(&mut files, &label.source));
        let style = if number == 0 {
            LabelStyle::Primary
        } else {
            LabelStyle::Secondary
        };
        let span = fitting(&label.source.text, &label.span);
        labels.push(Label::new(style, source, span).with_message(printable(&label.message)));
    }
    let notes = report
        .notes
        .iter()
        .map(|note| printable(note).into_owned())
        .chain(
            report
                .hints
                .iter()
                .map(|hint| format!("help: {}", printable(hint))),
        )
        .collect();
    let diagnostic = Diagnostic::new(severity(report.severity))
        .with_message(printable(&report.message))
        .with_labels(labels)
        .with_notes(notes);
    let text = drawn(&files, &diagnostic, color)?;
    // The line between a report and the next belongs to whoever writes the next.
    out.write_all(text.trim_end().as_bytes())?;
    out.write_all(b"\n")
}

fn add(files: &mut SimpleFiles<String, String>, source: &SourceText) -> usize {
    files.add(
        printable(&source.name).into_owned(),
        mask(&source.text).into_owned(),
    )
}

fn drawn(
    files: &SimpleFiles<String, String>,
    diagnostic: &Diagnostic<usize>,
    color: bool,
) -> io::Result<String> {
    let config = Config::default();
    let mut bytes = Vec::new();
    let outcome = if color {
        emit_to_write_style(&mut Ansi::new(&mut bytes), &config, files, diagnostic)
    } else {
        emit_to_write_style(&mut NoColor::new(&mut bytes), &config, files, diagnostic)
    };
    outcome.map_err(io::Error::other)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn severity(severity: report::Severity) -> Severity {
    match severity {
        report::Severity::Note => Severity::Note,
        report::Severity::Warning => Severity::Warning,
        report::Severity::Error => Severity::Error,
    }
}

/// The span, kept inside the text and between its characters.
fn fitting(text: &str, span: &std::ops::Range<usize>) -> std::ops::Range<usize> {
    let is_boundary = |position: &usize| text.is_char_boundary(*position);
    let start = (0..=span.start.min(text.len())).rfind(is_boundary);
    let start = start.unwrap_or(0);
    let end = (span.end.clamp(start, text.len())..=text.len()).find(is_boundary);
    start..end.unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::render::text::is_hidden;

    fn shown(report: &Report, color: bool) -> String {
        let mut out = Vec::new();
        super::report(report, color, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn source(text: &str) -> Arc<SourceText> {
        Arc::new(SourceText {
            name: "list.nq".to_owned(),
            text: text.to_owned(),
        })
    }

    #[test]
    fn a_report_points_into_its_text() {
        let source = source("# tasks\nwalk tasks select stat, comm\n");
        let report = Report::error("`task_struct` has no member `stat`")
            .at(&source, 26..30, "did you mean `state`?")
            .with_note("kernel \x1b[31m6.1")
            .with_hint("`describe tasks` lists columns");
        insta::assert_snapshot!(shown(&report, false), @r"
        error: `task_struct` has no member `stat`
          ┌─ list.nq:2:19
          │
        2 │ walk tasks select stat, comm
          │                   ^^^^ did you mean `state`?
          │
          = kernel \x1b[31m6.1
          = help: `describe tasks` lists columns
        ");
        assert!(shown(&report, true).contains("\x1b["));
    }

    #[test]
    fn a_report_without_a_place_is_short() {
        let report = Report::note("no target is named").with_hint("-r names an adapter");
        insta::assert_snapshot!(shown(&report, false), @r"
        note: no target is named
         = help: -r names an adapter
        ");
    }

    proptest! {
        #[test]
        fn no_report_panics_or_commands_a_terminal(text: String, message: String, start: usize, length in 0_usize..100) {
            let source = source(&text);
            let start = start % (text.len() + 2);
            let report = Report::warning(message.clone()).at(&source, start..start + length, message.clone()).with_note(message);
            let shown = shown(&report, false);
            prop_assert!(shown.chars().all(|character| character == '\n' || !is_hidden(character)), "{:?}", shown);
        }
    }
}
