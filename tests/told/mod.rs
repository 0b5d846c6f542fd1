//! What a person reads of reports: shared by the tests of wrong programs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use nettlp_q::render;
use nettlp_q::report::Report;

/// The reports as a terminal without colours shows them.
pub(crate) fn told(reports: &[Report]) -> String {
    let mut bytes = Vec::new();
    for report in reports {
        render::report(report, false, &mut bytes).unwrap();
        bytes.push(b'\n');
    }
    String::from_utf8(bytes).unwrap()
}
