//! Arbitrary trees for property tests: every form of the language, only as the parser can give it (but for spans).

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::ast::*;

/// Names, with those among them that look like keywords but are not reserved.
fn free_text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z_][a-z0-9_]{0,6}x",
        1 => select(vec![
            "limit", "order", "group", "offset", "distinct", "optional", "asc", "desc", "by", "count", "first", "state",
            "type", "list", "index", "h", "empty", "exists", "sizeof", "struct_", "print", "set", "Walk_", "to",
        ])
        .prop_map(str::to_string),
    ]
}

/// Members' names: any word.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        free_text(),
        select(vec![
            "from", "select", "in", "of", "as", "null", "self", "struct", "int", "not"
        ])
        .prop_map(str::to_string),
    ]
}

fn named(text: String) -> Name {
    Name {
        text,
        span: Span::default(),
    }
}

pub(super) fn free_name() -> impl Strategy<Value = Name> {
    free_text().prop_map(named)
}

fn any_name() -> impl Strategy<Value = Name> {
    any_text().prop_map(named)
}

pub(super) fn quoted() -> impl Strategy<Value = Quoted> {
    any::<String>().prop_map(|text| Quoted {
        text,
        span: Span::default(),
    })
}

fn of_kind(kind: ExpressionKind) -> Expression {
    Expression {
        kind,
        span: Span::default(),
    }
}

fn scaled(notation: Notation) -> impl Strategy<Value = Literal> {
    (0..=u64::MAX / notation.factor()).prop_map(move |count| Literal::Integer {
        value: count * notation.factor(),
        notation,
    })
}

pub(super) fn integer() -> impl Strategy<Value = Literal> {
    prop_oneof![
        scaled(Notation::Decimal),
        scaled(Notation::Hexadecimal),
        scaled(Notation::Binary),
        scaled(Notation::Kibi),
        scaled(Notation::Mebi),
        scaled(Notation::Gibi),
    ]
}

pub(super) fn duration() -> impl Strategy<Value = Literal> {
    let units = vec![
        DurationUnit::Nanoseconds,
        DurationUnit::Microseconds,
        DurationUnit::Milliseconds,
        DurationUnit::Seconds,
        DurationUnit::Minutes,
        DurationUnit::Hours,
    ];
    (0..1_000_000_u64, select(units)).prop_map(|(count, unit)| Literal::Duration {
        nanoseconds: count * unit.nanoseconds(),
        unit,
    })
}

fn literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        Just(Literal::Null),
        any::<bool>().prop_map(Literal::Boolean),
        integer(),
        (0.0..1e30_f64).prop_map(Literal::Float),
        any::<Vec<u8>>().prop_map(Literal::Text),
        any::<String>().prop_map(|text| Literal::Text(text.into_bytes())),
        any::<Vec<u8>>().prop_map(Literal::Bytes),
        duration(),
    ]
}

fn type_base() -> impl Strategy<Value = TypeBase> {
    prop_oneof![
        any_name().prop_map(TypeBase::Struct),
        any_name().prop_map(TypeBase::Union),
        any_name().prop_map(TypeBase::Enum),
        select(vec!["unsigned long", "int", "u32", "__s64", "void", "bool"])
            .prop_map(|text| TypeBase::Named(named(text.to_string()))),
    ]
}

/// A type that cannot be mistaken for an expression.
fn sure_type() -> impl Strategy<Value = TypeName> {
    let typedef = (free_name().prop_map(TypeBase::Named), 1..3_usize);
    let sure = (type_base(), 0..3_usize);
    (prop_oneof![typedef, sure], vec(0..100_u64, 0..2)).prop_map(
        |((base, pointers), dimensions)| TypeName {
            base,
            pointers,
            dimensions,
            span: Span::default(),
        },
    )
}

/// Also a bare typedef.
fn any_type() -> impl Strategy<Value = TypeName> {
    prop_oneof![sure_type(), bare_typedef()]
}

fn bare_typedef() -> impl Strategy<Value = TypeName> {
    free_name().prop_map(|name| TypeName {
        base: TypeBase::Named(name),
        pointers: 0,
        dimensions: Vec::new(),
        span: Span::default(),
    })
}

fn plain_type() -> impl Strategy<Value = TypeName> {
    any_name().prop_map(|name| TypeName {
        base: TypeBase::Struct(name),
        pointers: 0,
        dimensions: Vec::new(),
        span: Span::default(),
    })
}

fn member_path() -> impl Strategy<Value = MemberPath> {
    let step = prop_oneof![
        any_name().prop_map(PathStep::Member),
        (0..9_u64).prop_map(PathStep::Index)
    ];
    (any_name(), vec(step, 0..3)).prop_map(|(first, rest)| {
        let mut steps = vec![PathStep::Member(first)];
        steps.extend(rest);
        MemberPath {
            steps,
            span: Span::default(),
        }
    })
}

fn leaf() -> impl Strategy<Value = Expression> {
    prop_oneof![
        literal().prop_map(ExpressionKind::Literal),
        free_text().prop_map(ExpressionKind::Name),
        any_text().prop_map(ExpressionKind::Symbol),
        any_text().prop_map(ExpressionKind::Variable),
        Just(ExpressionKind::SelfElement),
        Just(ExpressionKind::CountRows),
        sure_type().prop_map(|name| ExpressionKind::SizeOf(SizeOperand::Type(name))),
        (any_type(), member_path())
            .prop_map(|(container, path)| ExpressionKind::OffsetOf { container, path }),
    ]
    .prop_map(of_kind)
}

/// An expression of a few levels.
pub(super) fn expression() -> BoxedStrategy<Expression> {
    leaf()
        .prop_recursive(3, 12, 3, |inner| {
            prop_oneof![operation(inner.clone()), form(inner)].prop_map(of_kind)
        })
        .boxed()
}

fn unary_operator() -> impl Strategy<Value = UnaryOperator> {
    select(vec![
        UnaryOperator::Not,
        UnaryOperator::Negate,
        UnaryOperator::Complement,
        UnaryOperator::Dereference,
        UnaryOperator::AddressOf,
    ])
}

fn binary_operator() -> impl Strategy<Value = BinaryOperator> {
    select(super::operators::all_binary().collect::<Vec<_>>())
}

/// A single query in the parentheses of `in` is the set itself, not a list of one.
fn in_set(mut list: Vec<Expression>) -> InSet {
    if list.len() > 1 {
        return InSet::List(list);
    }
    match list.pop().map(|only| only.kind) {
        Some(ExpressionKind::Query(rows)) => InSet::Query(rows),
        only => InSet::List(only.map(of_kind).into_iter().collect()),
    }
}

type Inner = BoxedStrategy<Expression>;

fn operation(inner: Inner) -> impl Strategy<Value = ExpressionKind> {
    let boxed = || inner.clone().prop_map(Box::new);
    let logical = select(vec![LogicalOperator::And, LogicalOperator::Or]);
    prop_oneof![
        (unary_operator(), boxed())
            .prop_map(|(operator, operand)| ExpressionKind::Unary { operator, operand }),
        (binary_operator(), boxed(), boxed()).prop_map(|(operator, left, right)| {
            ExpressionKind::Binary {
                operator,
                left,
                right,
            }
        }),
        (logical, vec(inner.clone(), 2..4))
            .prop_map(|(operator, operands)| ExpressionKind::Logical { operator, operands }),
        (boxed(), boxed(), boxed()).prop_map(|(condition, then, otherwise)| {
            ExpressionKind::Conditional {
                condition,
                then,
                otherwise,
            }
        }),
        (boxed(), boxed(), boxed()).prop_map(|(value, low, high)| ExpressionKind::Between {
            value,
            low,
            high
        }),
        (boxed(), vec(inner.clone(), 1..3)).prop_map(|(value, list)| ExpressionKind::In {
            value,
            set: in_set(list)
        }),
        boxed().prop_map(ExpressionKind::IsNull),
    ]
}

fn form(inner: Inner) -> impl Strategy<Value = ExpressionKind> {
    let boxed = || inner.clone().prop_map(Box::new);
    let function = "[a-z_]{1,5}x".prop_map(named);
    prop_oneof![
        (boxed(), any_name())
            .prop_map(|(object, member)| ExpressionKind::Member { object, member }),
        (boxed(), boxed()).prop_map(|(object, index)| ExpressionKind::Index { object, index }),
        (function, vec(inner.clone(), 0..3)).prop_map(|(function, arguments)| {
            ExpressionKind::Call {
                function,
                arguments,
            }
        }),
        (prop_oneof![sure_type(), bare_typedef()], boxed())
            .prop_map(|(to, operand)| ExpressionKind::Cast { to, operand }),
        boxed().prop_map(|value| ExpressionKind::SizeOf(SizeOperand::Expression(value))),
        (boxed(), any_type(), member_path()).prop_map(|(pointer, container, path)| {
            ExpressionKind::ContainerOf {
                pointer,
                container,
                path,
            }
        }),
        query(inner.clone()).prop_map(|rows| ExpressionKind::Exists(Box::new(rows))),
        ordered(walk_query(inner.clone()), inner.clone())
            .prop_map(|rows| ExpressionKind::Query(Box::new(rows))),
        (boxed(), ordered(walk_query(inner.clone()), inner.clone())).prop_map(|(value, rows)| {
            ExpressionKind::In {
                value,
                set: InSet::Query(Box::new(rows)),
            }
        }),
    ]
}

fn source_kind(inner: Inner) -> impl Strategy<Value = SourceKind> {
    let argument = prop_oneof![
        sure_type().prop_map(TraversalArgument::Type),
        (plain_type(), member_path())
            .prop_map(|(container, path)| TraversalArgument::Member { container, path }),
        inner.prop_map(TraversalArgument::Expression),
    ];
    prop_oneof![
        free_name().prop_map(SourceKind::Walk),
        (free_name(), vec(argument, 0..3))
            .prop_map(|(name, arguments)| SourceKind::Traversal { name, arguments }),
    ]
}

fn source(inner: Inner) -> impl Strategy<Value = Source> {
    let (owner, root) = (option::of(inner.clone()), option::of(inner.clone()));
    (
        source_kind(inner),
        owner,
        root,
        option::of(free_name()),
        any::<bool>(),
    )
        .prop_map(|(kind, owner, root, alias, optional)| Source {
            kind,
            owner,
            root,
            alias,
            optional,
            span: Span::default(),
        })
}

fn selection(inner: Inner) -> impl Strategy<Value = Selection> {
    let column =
        (inner, option::of(free_name())).prop_map(|(value, alias)| Column { value, alias });
    let columns = prop_oneof![
        1 => Just(Columns::All),
        4 => vec(column, 1..3).prop_map(Columns::Listed),
    ];
    (any::<bool>(), columns).prop_map(|(distinct, columns)| Selection {
        distinct,
        columns,
        span: Span::default(),
    })
}

fn walk_query(inner: Inner) -> impl Strategy<Value = QueryBody> {
    (
        vec(source(inner.clone()), 1..3),
        option::of(inner.clone()),
        selection(inner.clone()),
        vec(inner.clone(), 0..2),
        option::of(inner),
    )
        .prop_map(|(sources, filter, selection, group_by, having)| {
            QueryBody::Walk(WalkQuery {
                sources,
                filter,
                selection,
                group_by,
                having,
            })
        })
}

pub(super) fn limit() -> impl Strategy<Value = Limit> {
    let count = prop_oneof![
        integer().prop_map(ExpressionKind::Literal),
        any_text().prop_map(ExpressionKind::Variable)
    ]
    .prop_map(of_kind)
    .boxed();
    (count.clone(), option::of(count)).prop_map(|(count, offset)| Limit { count, offset })
}

fn ordered(body: impl Strategy<Value = QueryBody>, inner: Inner) -> impl Strategy<Value = Query> {
    let direction = select(vec![Direction::Ascending, Direction::Descending]);
    let key = (inner, direction).prop_map(|(value, direction)| OrderKey { value, direction });
    (body, vec(key, 0..3), option::of(limit())).prop_map(|(body, order_by, limit)| Query {
        body,
        order_by,
        limit,
        span: Span::default(),
    })
}

pub(super) fn query(inner: Inner) -> BoxedStrategy<Query> {
    let walk = ordered(walk_query(inner.clone()), inner.clone());
    walk.prop_recursive(2, 4, 2, move |rows| {
        let operator = select(vec![
            SetOperator::Union,
            SetOperator::Intersect,
            SetOperator::Except,
        ]);
        let set = (operator, rows.clone(), rows.clone()).prop_map(|(operator, left, right)| {
            QueryBody::Set(SetOperation {
                operator,
                left: Box::new(left),
                right: Box::new(right),
            })
        });
        let nested = (rows, selection(inner.clone())).prop_map(|(rows, selection)| {
            let source = Source {
                kind: SourceKind::Query(Box::new(rows)),
                owner: None,
                root: None,
                alias: None,
                optional: false,
                span: Span::default(),
            };
            QueryBody::Walk(WalkQuery {
                sources: vec![source],
                filter: None,
                selection,
                group_by: Vec::new(),
                having: None,
            })
        });
        ordered(prop_oneof![set, nested], inner.clone())
    })
    .boxed()
}

/// A statement of any form.
pub(super) fn statement() -> BoxedStrategy<Statement> {
    let rows = || query(expression()).prop_map(Box::new);
    prop_oneof![
        3 => rows().prop_map(StatementKind::Query),
        3 => value_statement(),
        2 => definition(),
        2 => naming_statement(),
        1 => (select(vec![ExplainMode::Plan, ExplainMode::Analyze]), rows())
            .prop_map(|(mode, query)| StatementKind::Explain(Explain { mode, query })),
        1 => assertion(),
        2 => super::generated_actions::action(),
    ]
    .prop_map(|kind| Statement {
        kind,
        span: Span::default(),
    })
    .boxed()
}

fn value_statement() -> impl Strategy<Value = StatementKind> {
    let format = option::of("[a-z0-9]{1,3}".prop_map(named));
    let space = select(vec![AddressSpace::Physical, AddressSpace::Virtual]);
    let owner = || option::of(expression());
    prop_oneof![
        (format, vec(expression(), 1..3))
            .prop_map(|(format, values)| StatementKind::Print(Print { format, values })),
        (space, expression(), option::of(expression()), owner()).prop_map(
            |(space, address, length, owner)| StatementKind::Read(Read {
                space,
                address,
                length,
                owner
            })
        ),
        (expression(), owner())
            .prop_map(|(address, owner)| StatementKind::Translate(Translate { address, owner })),
    ]
}

fn definition() -> impl Strategy<Value = StatementKind> {
    let parameters = || vec(free_name(), 0..3);
    prop_oneof![
        (free_name(), expression())
            .prop_map(|(name, value)| StatementKind::Let(Let { name, value })),
        (free_name(), parameters(), expression()).prop_map(|(name, parameters, body)| {
            StatementKind::DefineFunction(DefineFunction {
                name,
                parameters,
                body,
            })
        }),
        (free_name(), parameters(), query(expression())).prop_map(|(name, parameters, query)| {
            StatementKind::DefineWalk(DefineWalk {
                name,
                parameters,
                query: Box::new(query),
            })
        }),
        quoted().prop_map(StatementKind::Use),
    ]
}

fn naming_statement() -> impl Strategy<Value = StatementKind> {
    let subject = prop_oneof![
        ("[a-z]{1,6}x".prop_map(named), option::of(member_path()))
            .prop_map(|(name, path)| Subject::Name { name, path }),
        (plain_type(), option::of(member_path()))
            .prop_map(|(name, path)| Subject::Type { name, path }),
        any_name().prop_map(Subject::Symbol),
    ];
    let value = prop_oneof![
        "[a-z]{1,6}x".prop_map(|text| SettingValue::Word(named(text))),
        literal().prop_map(|value| SettingValue::Literal {
            value,
            span: Span::default()
        }),
    ];
    prop_oneof![
        subject.prop_map(StatementKind::Describe),
        (any_name(), option::of(quoted()))
            .prop_map(|(catalogue, pattern)| StatementKind::Show(Show { catalogue, pattern })),
        (any_name(), value).prop_map(|(name, value)| StatementKind::Set(Set { name, value })),
    ]
}

fn assertion() -> impl Strategy<Value = StatementKind> {
    let rows = || query(expression()).prop_map(Box::new);
    let condition = prop_oneof![
        expression().prop_map(Assertion::Holds),
        rows().prop_map(Assertion::Empty),
        rows().prop_map(Assertion::NotEmpty),
    ];
    (condition, option::of(quoted()))
        .prop_map(|(condition, message)| StatementKind::Assert(Assert { condition, message }))
}

/// Runs a property over generated trees; the generator of an unoptimised build needs more stack than a test has.
pub(super) fn for_all<T: std::fmt::Debug>(
    strategy: impl Fn() -> BoxedStrategy<T> + Send + 'static,
    property: impl Fn(T) + Send + 'static,
) {
    let run = move || {
        let default = ProptestConfig::default();
        // These trees are large: a quarter of the usual number of cases, which PROPTEST_CASES still multiplies.
        let config = ProptestConfig {
            cases: default.cases / 4,
            failure_persistence: None,
            ..default
        };
        proptest::test_runner::TestRunner::new(config)
            .run(&strategy(), |tree| {
                property(tree);
                Ok(())
            })
            .unwrap();
    };
    std::thread::Builder::new()
        .stack_size(64 << 20)
        .spawn(run)
        .unwrap()
        .join()
        .unwrap();
}
