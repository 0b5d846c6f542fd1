//! Wrong programs are first-class: every `tests/wrong/parse/*.nq` has its snapshot, read by a person.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod told;

use std::sync::Arc;

use nettlp_q::lang::parse_program;
use nettlp_q::report::SourceText;

use told::told;

#[test]
fn wrong_programs_are_told_so() {
    insta::glob!("wrong/parse/*.nq", |path| {
        let text = std::fs::read_to_string(path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let source = Arc::new(SourceText { name, text });
        let reports = parse_program(&source).expect_err("a wrong program was taken for right");
        insta::with_settings!({ omit_expression => true }, {
            insta::assert_snapshot!(told(&reports));
        });
    });
}
