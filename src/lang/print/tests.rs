//! Printing and reading are inverse to each other, for written programs and for generated ones.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::generated;
use super::*;
use crate::lang::{parse_expression, parse_statements};

/// A tree as text, without its spans.
fn without_spans(tree: &impl fmt::Debug) -> String {
    let spans = regex::Regex::new(r"Span\(\d+\.\.\d+\)").unwrap();
    spans.replace_all(&format!("{tree:?}"), "_").into_owned()
}

fn read(text: &str) -> Vec<Statement> {
    parse_statements(text)
        .into_iter()
        .map(|result| result.unwrap_or_else(|error| panic!("{error}: {error:?}\n{text}")))
        .collect()
}

/// Prints, reads and prints again.
fn goes_round(statements: &[Statement]) {
    let printed = print_program(statements);
    let again = read(&printed);
    assert_eq!(
        without_spans(&again.as_slice()),
        without_spans(&statements),
        "{printed}"
    );
    assert_eq!(print_program(&again), printed);
}

#[test]
fn every_program_of_the_repository_goes_round() {
    let mut seen = 0;
    for folder in ["tests/programs/right", "examples"] {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "nq") {
                let statements = read(&std::fs::read_to_string(&path).unwrap());
                assert!(!statements.is_empty(), "{}", path.display());
                goes_round(&statements);
                seen += 1;
            }
        }
    }
    assert!(seen >= 3);
}

#[test]
fn the_canonical_form_of_the_samples() {
    for name in ["queries", "expressions", "statements"] {
        let text = std::fs::read_to_string(format!("tests/programs/right/{name}.nq")).unwrap();
        insta::assert_snapshot!(name, print_program(&read(&text)));
    }
}

#[test]
fn parentheses_stand_where_they_must() {
    for (written, printed) in [
        ("((a))", "a"),
        ("(a * b) + c", "a * b + c"),
        ("a * (b + c)", "a * (b + c)"),
        ("a - (b - c)", "a - (b - c)"),
        ("(a ?? b) ?? c", "(a ?? b) ?? c"),
        ("a ?? (b ?? c)", "a ?? b ?? c"),
        ("!(a in (1))", "a not in (1)"),
        ("not (a = b)", "not a = b"),
        ("(not a) = b", "(not a) = b"),
        ("a && (b && c)", "a and (b and c)"),
        ("(a || b) and c", "(a or b) and c"),
        ("*(p.q)", "*p.q"),
        ("(*p).q", "(*p).q"),
        ("-(-x)", "- -x"),
        ("- -x", "- -x"),
        ("(pid_t)(-x)", "(pid_t)(-x)"),
        ("(pid_t)x->y", "(pid_t)x.y"),
        ("(u32)(-x)", "(u32)-x"),
        ("(pid_t)(optional.x)", "(pid_t)(optional.x)"),
        ("(pid_t)(desc)", "(pid_t)(desc)"),
        ("((pid_t)x)->y", "((pid_t)x).y"),
        ("x not between (1) and (2 + 3)", "x not between 1 and 2 + 3"),
        (
            "(a ? b : c) ? d : (e ? f : g)",
            "(a ? b : c) ? d : e ? f : g",
        ),
        ("\"it's\"", "'it\\'s'"),
        ("'\\u{202e}\\x1b\\xff\\u{e9}'", "'\\u{202e}\\x1b\\xffé'"),
    ] {
        let tree = parse_expression(written).unwrap();
        assert_eq!(tree.to_string(), printed, "{written}");
    }
}

#[test]
fn wide_queries_stand_one_clause_to_a_line() {
    let text = "walk tasks as t, files of t as f where t.pid > 1 and f.path like '/dev/%' and t.comm != 'systemd' select t.pid, f.fd limit 5";
    let printed = print_program(&read(text));
    assert_eq!(
        printed,
        "walk tasks as t, files of t as f\n\
         where t.pid > 1 and f.path like '/dev/%' and t.comm != 'systemd'\n\
         select t.pid, f.fd\n\
         limit 5\n"
    );
}

#[test]
fn generated_programs_go_round() {
    let programs = || vec(generated::statement(), 1..4).boxed();
    generated::for_all(programs, |program| goes_round(&program));
}

#[test]
fn generated_expressions_go_round() {
    generated::for_all(generated::expression, |value| {
        let printed = value.to_string();
        let again = parse_expression(&printed)
            .unwrap_or_else(|error| panic!("{error}: {error:?}\n{printed}"));
        assert_eq!(without_spans(&again), without_spans(&value), "{printed}");
    });
}
