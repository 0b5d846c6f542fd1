//! The parser at its limits: the deepest, the longest and the most arbitrary texts, in bounded stack and time.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::lang::ast::MAX_DEPTH;
use crate::lang::{MAX_NESTING, generated};

fn error_of(text: &str) -> SyntaxError {
    parse_statements(text)
        .into_iter()
        .find_map(Result::err)
        .unwrap_or_else(|| panic!("{text} was taken"))
}

/// Deep and long texts, all of them bounded by brackets, by operators or by nothing.
fn extremes(length: usize) -> Vec<String> {
    let nested = |open: &str, close: &str| {
        let depth = MAX_NESTING.min(length);
        format!("print {}1{}", open.repeat(depth), close.repeat(depth))
    };
    let mut texts = vec![
        nested("(", ")"),
        nested("-(", ")"),
        nested("a + b * -(", ")"),
        nested("f(1, ", ")"),
        nested("a[", "]"),
        nested("a ? ", " : b"),
        nested("x in (y, ", ")"),
        nested("a or b and not c between 1 and (", ")"),
        nested("exists (walk a where ", " select *)"),
        nested("x in (walk (walk b select *) of ", " select c)"),
        nested("(walk a where ", " select *)"),
        nested("sizeof(", ")"),
        nested("(struct a *)(", ")"),
        format!(
            "assert {}walk a select *{} is empty",
            "(".repeat(MAX_NESTING),
            ")".repeat(MAX_NESTING)
        ),
        format!("print {}1", "(".repeat(length)),
        format!("print {}", "a ? ".repeat(length)),
        format!("print {}", "((u32)".repeat(length)),
    ];
    for link in [
        "1 + ",
        "- ",
        "not ",
        "!",
        "(u32)",
        "(struct a *)",
        "1 ?? ",
        "a and ",
        "a or ",
        "*",
        "a ? b : ",
        "1, ",
    ] {
        texts.push(format!("print {}1", link.repeat(length)));
    }
    for link in [".b", "[0]", " is null", " in (1)", "->b"] {
        texts.push(format!("print a{}", link.repeat(length)));
    }
    texts.push(format!(
        "walk a select b{}",
        " union walk a select b".repeat(length)
    ));
    texts.push(format!("walk a{} select b", ", a".repeat(length)));
    texts.push(format!("print sizeof(struct a {})", "*".repeat(length)));
    texts.push(format!("print 'a{}'", "\\n".repeat(length)));
    texts
}

/// Reads, prints and drops on a stack of this size; an overflow would end the test program.
fn on_a_stack_of(bytes: usize, texts: Vec<String>) {
    std::thread::Builder::new()
        .stack_size(bytes)
        .spawn(move || {
            for text in texts {
                for statement in parse_statements(&text).into_iter().flatten() {
                    assert!(!statement.to_string().is_empty());
                }
                let _ = is_complete(&text);
            }
        })
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn depth_and_length_do_not_overflow_the_stack() {
    on_a_stack_of(1 << 20, extremes(10_000));
}

#[test]
fn what_is_too_deep_is_refused_clearly() {
    assert!(matches!(
        error_of(&format!("print {}1", "(".repeat(500))),
        SyntaxError::TooNested { .. }
    ));
    assert!(matches!(
        error_of(&format!("print {}1", "1 + ".repeat(500))),
        SyntaxError::TooDeep { .. }
    ));
    assert!(matches!(
        error_of(&format!("print {}1", "- ".repeat(500))),
        SyntaxError::TooDeep { .. }
    ));
    assert!(matches!(
        error_of(&format!("print a{}", ".b".repeat(500))),
        SyntaxError::TooDeep { .. }
    ));
    // Conditions and lists are wide, not deep.
    assert!(parse_expression(&format!("{}a", "a = 1 or ".repeat(5_000))).is_ok());
    assert!(parse_expression(&format!("{}1", "1 + ".repeat(MAX_DEPTH - 1))).is_ok());
}

#[test]
fn time_is_bounded() {
    let mut texts = extremes(10_000);
    for open in [
        "(",
        "((a)",
        "x in (",
        "f(",
        "a[",
        "assert (",
        "exists (walk (",
        "x in ((",
        "x in ((walk a where ",
        "sizeof(",
        "-(",
        "(a)(",
        "walk t((",
        "a ? ",
    ] {
        for close in ["", "1", "walk", ")"] {
            texts.push(format!("print {}{close}", open.repeat(60)));
            texts.push(format!(
                "assert {}{close}{}",
                open.repeat(30),
                ")".repeat(60)
            ));
            texts.push(format!(
                "walk t where {}{close}{}",
                open.repeat(30),
                ") select *".repeat(30)
            ));
        }
    }
    for text in texts {
        let start = Instant::now();
        let _ = parse_statements(&text);
        let shown: String = text.chars().take(60).collect();
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{shown}: {:?}",
            start.elapsed()
        );
    }
}

/// Pieces that arbitrary texts are made of, so that many of them get far into the grammar.
fn fragment() -> impl Strategy<Value = String> {
    let words = vec![
        "walk", "select", "where", "from", "of", "as", "order by", "limit", "group by", "union",
        "print", "let", "def", "assert", "is", "not", "null", "empty", "in", "like", "between",
        "and", "or", "exists", "sizeof", "struct", "(", ")", "[", "]", ",", ";", "\n", ".", "->",
        "*", "-", "&", "?", ":", "??", "=", "<", "'x'", "'", "\"", "h'de'", "1", "0x1f", "4K",
        "1.5", "5s", "a", "b_1", "@s", "$v", "#", "self", "é", "\u{202e}", "\0", "\\", "`", "{",
    ];
    prop_oneof![
        8 => proptest::sample::select(words).prop_map(|word| format!("{word} ")),
        1 => any::<String>(),
    ]
}

/// Everything the door offers, on any text; reports must point into it.
fn survives(text: &str) {
    let source = Arc::new(SourceText {
        name: "fuzz".to_string(),
        text: text.to_string(),
    });
    if let Err(reports) = parse_program(&source) {
        for label in reports.iter().flat_map(|report| &report.labels) {
            assert!(
                text.get(label.span.clone()).is_some(),
                "{text:?}: {label:?}"
            );
        }
    }
    if let Err(error) = parse_expression(text) {
        let span = error.span();
        assert!(
            text.get(span.start..span.end).is_some(),
            "{text:?}: {error:?}"
        );
        assert!(
            !matches!(error, SyntaxError::Internal { .. }),
            "{text:?}: {error}"
        );
    }
    for error in parse_statements(text).into_iter().filter_map(Result::err) {
        assert!(
            !matches!(error, SyntaxError::Internal { .. }),
            "{text:?}: {error}"
        );
    }
    let _ = is_complete(text);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        survives(&text);
    }

    #[test]
    fn any_row_of_words_is_read_or_refused(words in prop::collection::vec(fragment(), 0..40)) {
        survives(&words.concat());
    }
}

#[test]
fn mutated_programs_are_read_or_refused() {
    use proptest::collection::vec;
    let place = || (any::<proptest::sample::Index>(), fragment(), 0..6_usize);
    let mutants = move || (generated::statement(), vec(place(), 1..4)).boxed();
    generated::for_all(mutants, |(statement, places)| {
        let mut characters: Vec<char> = statement.to_string().chars().collect();
        for (place, inserted, removed) in places {
            let start = place.index(characters.len() + 1);
            let end = (start + removed).min(characters.len());
            characters.splice(start..end, inserted.chars());
        }
        survives(&characters.into_iter().collect::<String>());
    });
}
