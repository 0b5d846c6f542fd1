//! What went wrong (or is worth knowing), as plain data: message, place in the text, notes, hints.
//!
//! Any room's error can be told as a [`Report`]; `render` draws it. This module knows no colours, widths or streams.

use std::ops::Range;
use std::sync::Arc;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; results are what they should be.
    Note,
    /// Results may not be what was meant.
    Warning,
    /// What was asked could not be done.
    Error,
}

/// A piece of text that somebody wrote and that reports point into: a script, a statement, a YAML file.
#[derive(Debug, PartialEq, Eq)]
pub struct SourceText {
    /// What to call it, for example a file name or `<prompt>`.
    pub name: String,
    /// All of it.
    pub text: String,
}

/// A marked stretch of a source text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The text that is pointed into.
    pub source: Arc<SourceText>,
    /// Byte range in it.
    pub span: Range<usize>,
    /// What to say beside the mark; may be empty.
    pub message: String,
}

/// One thing to tell a person: what, where, what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How bad it is.
    pub severity: Severity,
    /// One lower-case clause without a full stop.
    pub message: String,
    /// Where; the first is the main one.
    pub labels: Vec<Label>,
    /// Facts that explain, for example both kernels' banners.
    pub notes: Vec<String>,
    /// What to do next: a command, an option, a nearer name.
    pub hints: Vec<String>,
    /// Whether something is only missing here: of another kernel, or with another file, the same text may well have a meaning.
    pub lacks: bool,
}

impl Report {
    /// A report with nothing but its message.
    pub fn new(severity: Severity, message: impl Into<String>) -> Self {
        Self {
            severity,
            message: message.into(),
            labels: Vec::new(),
            notes: Vec::new(),
            hints: Vec::new(),
            lacks: false,
        }
    }

    /// An error with nothing but its message.
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, message)
    }

    /// A warning with nothing but its message.
    pub fn warning(message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, message)
    }

    /// A note with nothing but its message.
    pub fn note(message: impl Into<String>) -> Self {
        Self::new(Severity::Note, message)
    }

    /// An error whose message and notes are an error value and the chain of its sources.
    pub fn from_error(error: &dyn std::error::Error) -> Self {
        let mut report = Self::error(error.to_string());
        let mut source = error.source();
        while let Some(cause) = source {
            report.notes.push(cause.to_string());
            source = cause.source();
        }
        report
    }

    /// The message with its notes, on one line.
    pub fn summary(&self) -> String {
        let mut parts = vec![self.message.as_str()];
        parts.extend(self.notes.iter().map(String::as_str));
        parts.join(": ")
    }

    /// The same report, pointing at `span` of `source` too.
    #[must_use]
    pub fn at(
        mut self,
        source: &Arc<SourceText>,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Self {
        self.labels.push(Label {
            source: Arc::clone(source),
            span,
            message: message.into(),
        });
        self
    }

    /// The same report with one more explaining fact.
    #[must_use]
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// The same report of what is only missing here.
    #[must_use]
    pub fn lacking(mut self) -> Self {
        self.lacks = true;
        self
    }

    /// The same report with one more thing to do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

/// The candidate nearest to `name`, if one is near enough that a person may have meant it.
///
/// Near enough: an edit distance of at most a third of the name's length (at least 1), or a name that merely adds or
/// lacks underscores.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (name.chars().count() / 3).max(1);
    let bare = name.replace('_', "");
    candidates
        .into_iter()
        .filter(|candidate| *candidate != name)
        .map(|candidate| {
            let same_letters = candidate.replace('_', "") == bare;
            let distance = if same_letters {
                0
            } else {
                strsim::damerau_levenshtein(name, candidate)
            };
            (distance, candidate)
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, candidate)| (*distance, candidate.len()))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_finds_slips_and_underscores() {
        assert_eq!(
            nearest("stat", ["state", "static_prio", "comm"]),
            Some("state")
        );
        assert_eq!(nearest("state", ["__state", "stack"]), Some("__state"));
        assert_eq!(nearest("banana", ["state", "comm"]), None);
    }
}
