//! Arbitrary statements that do more with memory than show it, for property tests.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::ast::*;
use super::generated::{duration, expression, free_name, integer, limit, query, quoted};

/// A statement of any of these forms.
pub(super) fn action() -> BoxedStrategy<StatementKind> {
    prop_oneof![
        dump(),
        disassemble(),
        search(),
        watch(),
        save(),
        define_check(),
        check()
    ]
    .boxed()
}

fn rows() -> impl Strategy<Value = Box<Query>> {
    query(expression()).prop_map(Box::new)
}

fn count() -> impl Strategy<Value = Option<Expression>> {
    option::of(limit().prop_map(|limit| limit.count))
}

fn stretch() -> impl Strategy<Value = Box<Stretch>> {
    let space = option::of(select(vec![AddressSpace::Physical, AddressSpace::Virtual]));
    (space, expression(), expression(), option::of(expression())).prop_map(
        |(space, address, length, owner)| {
            Box::new(Stretch {
                space,
                address,
                length,
                owner,
            })
        },
    )
}

fn dump() -> impl Strategy<Value = StatementKind> {
    let what = prop_oneof![
        stretch().prop_map(Dumped::Stretch),
        expression().prop_map(Dumped::Code),
        expression().prop_map(Dumped::Maps),
        expression().prop_map(Dumped::Cache),
    ];
    (what, quoted(), any::<bool>())
        .prop_map(|(what, file, force)| StatementKind::Dump(Dump { what, file, force }))
}

fn disassemble() -> impl Strategy<Value = StatementKind> {
    let part = || option::of(expression());
    (expression(), part(), part()).prop_map(|(address, count, owner)| {
        StatementKind::Disassemble(Disassemble {
            address,
            count,
            owner,
        })
    })
}

fn search() -> impl Strategy<Value = StatementKind> {
    let not_bytes =
        |value: &Expression| !matches!(value.kind, ExpressionKind::Literal(Literal::Bytes(_)));
    let pattern = prop_oneof![
        quoted().prop_map(Pattern::Regex),
        vec(option::of(any::<u8>()), 0..4).prop_map(Pattern::Bytes),
        // Bytes alone are a pattern of bytes.
        expression()
            .prop_filter("bytes", not_bytes)
            .prop_map(Pattern::Value),
    ];
    let place = prop_oneof![
        Just(SearchPlace::Kernel),
        Just(SearchPlace::Physical),
        expression().prop_map(SearchPlace::Task),
        stretch().prop_map(SearchPlace::Stretch),
    ];
    (pattern, place, count()).prop_map(|(pattern, place, limit)| {
        StatementKind::Search(Search {
            pattern,
            place,
            limit,
        })
    })
}

fn watch() -> impl Strategy<Value = StatementKind> {
    let interval = prop_oneof![integer(), duration()];
    (
        interval,
        any::<bool>(),
        rows(),
        option::of(expression()),
        count(),
    )
        .prop_map(|(interval, diff, query, until, times)| {
            StatementKind::Watch(Watch {
                interval: (interval, Span::default()),
                diff,
                query,
                until,
                times,
            })
        })
}

fn save() -> impl Strategy<Value = StatementKind> {
    (rows(), quoted(), any::<bool>())
        .prop_map(|(query, file, force)| StatementKind::Save(Save { query, file, force }))
}

fn define_check() -> impl Strategy<Value = StatementKind> {
    (free_name(), option::of(quoted()), rows()).prop_map(|(name, meaning, query)| {
        StatementKind::DefineCheck(DefineCheck {
            name,
            meaning,
            query,
        })
    })
}

fn check() -> impl Strategy<Value = StatementKind> {
    prop_oneof![
        Just(Chosen::All),
        free_name().prop_map(Chosen::Named),
        quoted().prop_map(Chosen::Like),
    ]
    .prop_map(StatementKind::Check)
}
