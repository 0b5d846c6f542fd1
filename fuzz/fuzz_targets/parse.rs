//! Any text as a program, as an expression and as what is typed at the prompt. What is taken reads the same once it is printed.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use nettlp_q::lang::{is_complete, parse_expression, parse_program, parse_statements};
use nettlp_q::report::SourceText;

fuzz_target!(|text: &str| {
    let source = Arc::new(SourceText {
        name: "fuzz".to_owned(),
        text: text.to_owned(),
    });
    if let Err(reports) = parse_program(&source) {
        for label in reports.iter().flat_map(|report| &report.labels) {
            assert!(text.get(label.span.clone()).is_some(), "{label:?}");
        }
    }
    let _ = parse_expression(text);
    let _ = is_complete(text);
    for statement in parse_statements(text).into_iter().flatten() {
        let printed = statement.to_string();
        let again = parse_statements(&printed);
        let again: Vec<_> = again.iter().flatten().map(ToString::to_string).collect();
        assert_eq!(again, [printed]);
    }
});
