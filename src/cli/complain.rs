//! Reports on standard error, for programs that have no text to point into.

use std::io::Write;

use crate::report::{Report, Severity};

/// Writes message, notes and hints, one a line. Where standard error is closed there is nobody to tell.
pub(super) fn complain(program: &str, report: &Report) {
    let _ = std::io::stderr().write_all(text(program, report).as_bytes());
}

fn text(program: &str, report: &Report) -> String {
    let severity = match report.severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let mut text = format!("{program}: {severity}: {}\n", report.message);
    for note in &report.notes {
        text.push_str(&format!("  {note}\n"));
    }
    for hint in &report.hints {
        text.push_str(&format!("  help: {hint}\n"));
    }
    // Names from damaged files may hold anything; a terminal must not act on it.
    text.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_character_reaches_the_terminal() {
        let report = Report::error("no type `\u{1b}[2Jx`");
        assert_eq!(text("p", &report), "p: error: no type `\u{fffd}[2Jx`\n");
    }

    #[test]
    fn what_where_and_what_next_have_a_line_each() {
        let report = Report::error("cannot use `x`")
            .with_note("it is empty")
            .with_hint("dump it again");
        assert_eq!(
            text("nettlp-adapter", &report),
            "nettlp-adapter: error: cannot use `x`\n  it is empty\n  help: dump it again\n"
        );
    }
}
