//! The parser through its public door: programs in, trees or reports out.

use super::*;
use crate::lang::ast::{
    BinaryOperator, Columns, Direction, ExpressionKind, Literal, LogicalOperator, Notation, Query,
    QueryBody, SetOperator, SizeOperand, SourceKind, StatementKind, TraversalArgument, TypeBase,
    UnaryOperator, WalkQuery,
};

fn one(text: &str) -> Statement {
    let mut statements: Vec<Statement> = parse_statements(text)
        .into_iter()
        .map(|result| result.unwrap_or_else(|error| panic!("{text}: {error}")))
        .collect();
    assert_eq!(statements.len(), 1, "{text}");
    statements.pop().unwrap()
}

fn query_of(text: &str) -> Query {
    match one(text).kind {
        StatementKind::Query(query) => *query,
        other => panic!("{text}: {other:?}"),
    }
}

fn walk_of(text: &str) -> WalkQuery {
    match query_of(text).body {
        QueryBody::Walk(walk) => walk,
        other => panic!("{text}: {other:?}"),
    }
}

fn value_of(text: &str) -> Expression {
    parse_expression(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Which part of the text an expression claims to be.
fn text_at(text: &str, span: Span) -> &str {
    &text[span.start..span.end]
}

#[test]
fn the_first_sentence() {
    let text = "walk tasks from init_task select pid, comm, state";
    let walk = walk_of(text);
    assert!(matches!(&walk.sources[0].kind, SourceKind::Walk(name) if name.text == "tasks"));
    let root = walk.sources[0].root.as_ref().unwrap();
    assert_eq!(root.kind, ExpressionKind::Name("init_task".to_string()));
    assert_eq!(text_at(text, root.span), "init_task");
    let Columns::Listed(columns) = &walk.selection.columns else {
        panic!("no columns");
    };
    let names: Vec<&str> = columns
        .iter()
        .map(|column| text_at(text, column.value.span))
        .collect();
    assert_eq!(names, ["pid", "comm", "state"]);
}

#[test]
fn every_clause_finds_its_place() {
    let text = "walk tasks as t, files of t from x as f optional\nselect distinct t.pid as p, fd\n\
                where t.pid > 1\ngroup by p\nhaving count(*) > 2\norder by p desc, fd limit 3 offset $n # end";
    let query = query_of(text);
    assert_eq!(
        text_at(text, query.span),
        text.strip_suffix(" # end").unwrap()
    );
    let directions: Vec<Direction> = query.order_by.iter().map(|key| key.direction).collect();
    assert_eq!(directions, [Direction::Descending, Direction::Ascending]);
    let limit = query.limit.unwrap();
    assert_eq!(text_at(text, limit.count.span), "3");
    assert_eq!(
        limit.offset.unwrap().kind,
        ExpressionKind::Variable("n".to_string())
    );
    let QueryBody::Walk(walk) = query.body else {
        panic!("no walk");
    };
    let second = &walk.sources[1];
    assert_eq!(
        text_at(text, second.span),
        "files of t from x as f optional"
    );
    assert!(second.optional && second.owner.is_some() && second.root.is_some());
    assert_eq!(second.alias.as_ref().unwrap().text, "f");
    assert!(walk.selection.distinct);
    assert_eq!(
        text_at(text, walk.selection.span),
        "select distinct t.pid as p, fd"
    );
    assert_eq!(text_at(text, walk.filter.unwrap().span), "t.pid > 1");
    assert_eq!(walk.group_by.len(), 1);
    assert!(walk.having.is_some());
}

#[test]
fn traversals_tell_types_from_values() {
    let walk =
        walk_of("walk list(struct module.list[2], struct T, T *, a.b, 1 + 1) from m select *");
    let SourceKind::Traversal { name, arguments } = &walk.sources[0].kind else {
        panic!("no traversal");
    };
    assert_eq!(name.text, "list");
    assert!(
        matches!(&arguments[0], TraversalArgument::Member { path, .. } if path.steps.len() == 2)
    );
    assert!(matches!(&arguments[1], TraversalArgument::Type(name) if name.pointers == 0));
    assert!(matches!(&arguments[2], TraversalArgument::Type(name) if name.pointers == 1));
    assert!(matches!(&arguments[3], TraversalArgument::Expression(_)));
    assert!(matches!(&arguments[4], TraversalArgument::Expression(_)));
}

#[test]
fn intersect_binds_tighter_and_order_belongs_to_the_whole() {
    let query =
        query_of("walk a select x union walk b select x intersect walk c select x order by x");
    assert_eq!(query.order_by.len(), 1);
    let QueryBody::Set(union) = query.body else {
        panic!("no set operation");
    };
    assert_eq!(union.operator, SetOperator::Union);
    assert!(union.right.order_by.is_empty());
    assert!(
        matches!(union.right.body, QueryBody::Set(ref inner) if inner.operator == SetOperator::Intersect)
    );
}

#[test]
fn precedence_is_that_of_c() {
    for (written, grouped) in [
        (
            "a | b ^ c & d = e < f << g + h * -i.j",
            "a | (b ^ (c & (d = (e < (f << (g + (h * (-(i.j)))))))))",
        ),
        ("a - b - c", "(a - b) - c"),
        ("a ?? b ?? c", "a ?? (b ?? c)"),
        ("a ? b : c ? d : e", "a ? b : (c ? d : e)"),
        ("a or b and c or d", "a or (b and c) or d"),
        ("not a = b and c", "(not (a = b)) and c"),
        ("!a = b", "(!a) = b"),
        ("a ?? b or c", "a ?? (b or c)"),
        ("x between 1 and 2 and y", "(x between 1 and 2) and y"),
        ("a + b is null", "(a + b) is null"),
        ("a in (1) and b", "(a in (1)) and b"),
        ("(u32)a + b", "((u32)a) + b"),
        ("*a.b[1]", "*((a.b)[1])"),
        ("a like b + c", "a like (b + c)"),
    ] {
        assert_eq!(
            value_of(written).to_string(),
            value_of(grouped).to_string(),
            "{written}"
        );
    }
}

#[test]
fn casts_are_told_from_arithmetic() {
    let is_cast = |text: &str| matches!(value_of(text).kind, ExpressionKind::Cast { .. });
    for text in [
        "(struct sock *)x",
        "(struct sock)x",
        "(T *)x",
        "(T *)-x",
        "(T **)*x",
        "(u32)-x",
        "(u32)*x",
        "(__s64)&x",
        "(unsigned long)-x",
        "(T)x",
        "(T)(x)",
        "(T)1",
        "(T)'x'",
        "(T)@x",
        "(T)$x",
        "(T)~x",
        "(T)!x",
        "(T)self",
        "(T)sizeof(x)",
        "(T)null",
    ] {
        assert!(is_cast(text), "{text}");
    }
    for text in [
        "(T) - x",
        "(T) + x",
        "(T) * x",
        "(T) & x",
        "(T)",
        "(T).x",
        "(T)[1]",
        "(T) in (1)",
        "(T) and x",
        "(T) like 'x'",
        "(T) is null",
        "(T) not in (1)",
        "(T) ? a : b",
        "(a * b)",
        "(a.b)(1) + 0".strip_suffix("(1) + 0").unwrap(),
    ] {
        assert!(!is_cast(text), "{text}");
    }
    // A cast to a bare name leaves the clauses alone.
    assert_eq!(
        query_of("walk t select a order by (x) desc limit 5")
            .order_by
            .len(),
        1
    );
    assert!(walk_of("walk t from (x) optional select a").sources[0].optional);
}

#[test]
fn sizes_of_types_and_of_values() {
    let operand = |text: &str| match value_of(text).kind {
        ExpressionKind::SizeOf(operand) => operand,
        other => panic!("{other:?}"),
    };
    assert!(
        matches!(operand("sizeof(struct a[2])"), SizeOperand::Type(name) if name.dimensions == [2])
    );
    assert!(
        matches!(operand("sizeof(unsigned  long)"), SizeOperand::Type(name)
        if matches!(&name.base, TypeBase::Named(name) if name.text == "unsigned long"))
    );
    assert!(matches!(operand("sizeof(T *)"), SizeOperand::Type(_)));
    assert!(matches!(operand("sizeof(T)"), SizeOperand::Expression(_)));
    assert!(matches!(
        operand("sizeof(a * b)"),
        SizeOperand::Expression(_)
    ));
}

#[test]
fn one_tree_for_every_spelling() {
    let equal = |left: &str, right: &str| {
        assert_eq!(value_of(left).to_string(), value_of(right).to_string());
    };
    equal("a->b", "a.b");
    equal("a == b", "a = b");
    equal("a && b || !c", "a AND b Or Not c");
    equal("a not like b", "not (a like b)");
    equal("a is not null", "not (a is null)");
    let ExpressionKind::Logical { operator, operands } = value_of("a or b or c or d").kind else {
        panic!("no chain");
    };
    assert_eq!((operator, operands.len()), (LogicalOperator::Or, 4));
}

#[test]
fn literals_have_their_values() {
    let literal = |text: &str| match value_of(text).kind {
        ExpressionKind::Literal(literal) => literal,
        other => panic!("{other:?}"),
    };
    let integer = |value, notation| Literal::Integer { value, notation };
    assert_eq!(literal("0"), integer(0, Notation::Decimal));
    assert_eq!(
        literal("0xFFFFffffFFFFffff"),
        integer(u64::MAX, Notation::Hexadecimal)
    );
    assert_eq!(literal("4K"), integer(4096, Notation::Kibi));
    assert_eq!(literal("1.25"), Literal::Float(1.25));
    assert_eq!(
        literal("'a\\x41\\u{e9}\\n'"),
        Literal::Text(b"aA\xc3\xa9\n".to_vec())
    );
    assert_eq!(
        literal("h'de AD 00ff'"),
        Literal::Bytes(vec![0xde, 0xad, 0, 0xff])
    );
    assert!(matches!(
        literal("250ms"),
        Literal::Duration {
            nanoseconds: 250_000_000,
            ..
        }
    ));
    assert_eq!(literal("NULL"), Literal::Null);
    for wrong in [
        "18446744073709551616",
        "17179869184G",
        "0x10000000000000000",
        "5124096h",
    ] {
        assert!(
            matches!(
                parse_expression(wrong),
                Err(SyntaxError::NumberTooLarge { .. })
            ),
            "{wrong}"
        );
    }
}

#[test]
fn every_word_is_a_name_behind_a_dot() {
    let text = "self.from.select.in.limit.order.null.not.as";
    let mut value = value_of(text);
    let mut members = Vec::new();
    while let ExpressionKind::Member { object, member } = value.kind {
        members.push(member.text);
        value = *object;
    }
    members.reverse();
    assert_eq!(
        members,
        [
            "from", "select", "in", "limit", "order", "null", "not", "as"
        ]
    );
}

#[test]
fn spans_include_parentheses_and_nothing_else() {
    let text = "  ( a  +  b )  *  c   # product";
    let value = value_of(text);
    assert_eq!(text_at(text, value.span), "( a  +  b )  *  c");
    let ExpressionKind::Binary { operator, left, .. } = value.kind else {
        panic!("no product");
    };
    assert_eq!(operator, BinaryOperator::Multiply);
    assert_eq!(text_at(text, left.span), "( a  +  b )");
    let program = "print 1\nprint  x . y  ;";
    let spans: Vec<&str> = parse_statements(program)
        .into_iter()
        .map(|result| text_at(program, result.unwrap().span))
        .collect();
    assert_eq!(spans, ["print 1", "print  x . y"]);
}

#[test]
fn errors_of_all_statements_are_told() {
    let text = "walk tasks selct pid\nprint 1\nprint (2\nprint 3 +;let = 4";
    let source = Arc::new(SourceText {
        name: "test".to_string(),
        text: text.to_string(),
    });
    let reports = parse_program(&source).unwrap_err();
    let starts: Vec<&str> = reports
        .iter()
        .map(|report| &text[report.labels[0].span.start..])
        .map(|rest| rest.split([' ', '\n']).next().unwrap())
        .collect();
    assert_eq!(starts, ["selct", "(2", ";let", "="]);
    assert_eq!(reports[0].labels[0].message, "did you mean `select`?");
}

#[test]
fn the_prompt_knows_what_is_finished() {
    for whole in [
        "",
        "# nothing",
        "walk tasks select pid",
        "walk tasks;",
        "print 1 +;",
        "prnt 1",
        "print 'open",
        "print 1)",
        "print 0x",
        "walk tasks select pid;\n# more",
        "print (1]",
    ] {
        assert_eq!(is_complete(whole), Completeness::Complete, "{whole}");
    }
    for part in [
        "walk tasks",
        "walk",
        "walk tasks from init_task",
        "walk tasks select",
        "print (1",
        "print 1 +",
        "print f(1,",
        "print 1;\nwalk t",
        "explain",
        "def f(x) =",
        "def walk w() as",
        "walk t select a order",
        "print a ? b",
        "assert walk t select a",
        "print x in",
        "walk a select x union",
    ] {
        assert_eq!(is_complete(part), Completeness::Incomplete, "{part}");
    }
}

#[test]
fn unary_operators_have_their_own_nodes() {
    for (text, operator) in [
        ("-x", UnaryOperator::Negate),
        ("~x", UnaryOperator::Complement),
        ("*x", UnaryOperator::Dereference),
        ("&x", UnaryOperator::AddressOf),
        ("!x", UnaryOperator::Not),
        ("not x", UnaryOperator::Not),
    ] {
        assert!(
            matches!(value_of(text).kind, ExpressionKind::Unary { operator: found, .. } if found == operator)
        );
    }
}
