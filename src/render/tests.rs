//! What the formats look like, and what they promise for any bytes of any target.

use std::rc::Rc;
use std::sync::Arc;

use proptest::prelude::*;

use super::text::is_hidden;
use super::{Format, Options, plain, rows, table};
use crate::addr::VirtAddr;
use crate::row::{Row, Rows, Schema};
use crate::value::{Reason, StructValue, Value, ValueType};

pub(super) fn table_of(columns: &[(&str, ValueType)], cells: Vec<Vec<Value>>) -> Rows {
    let columns = columns
        .iter()
        .map(|(name, kind)| ((*name).to_owned(), kind.clone()));
    let rows = cells.into_iter().map(|cells| Row { cells }).collect();
    Rows {
        schema: Schema::new(columns),
        rows,
        incomplete: Vec::new(),
    }
}

fn written(value: &Rows, format: Format, options: &Options) -> String {
    let mut out = Vec::new();
    rows(value, format, options, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn processes() -> Rows {
    table_of(
        &[
            ("pid", ValueType::Integer),
            ("comm", ValueType::Text),
            ("mm", ValueType::Any),
            ("path", ValueType::Text),
        ],
        vec![
            vec![
                Value::Integer(0),
                Value::text("swapper/0"),
                Value::Null(Reason::NullPointer),
                Value::Null(Reason::NullPointer),
            ],
            vec![
                Value::Integer(1204),
                Value::text("evil\x1b[2J\n"),
                Value::Address(0xffff_8880_0512_3400),
                Value::text("/usr/lib/systemd/systemd-with-a-long-name --and arguments of it"),
            ],
        ],
    )
}

#[test]
fn a_table_elsewhere_has_whole_lines() {
    insta::assert_snapshot!(written(&processes(), Format::Table, &Options::default()), @r"
     pid  comm                           mm  path
    ───── ────────────── ─────────────────── ───────────────────────────────────────────────────────────────
       0  swapper/0                    null  null
    1204  evil\x1b[2J\n  0xffff888005123400  /usr/lib/systemd/systemd-with-a-long-name --and arguments of it
    ");
}

#[test]
fn a_table_on_a_terminal_fits_it() {
    let options = Options {
        width: Some(60),
        color: false,
    };
    let text = written(&processes(), Format::Table, &options);
    assert!(
        text.lines().all(|line| line.chars().count() <= 60),
        "{text}"
    );
    insta::assert_snapshot!(text, @r"
     pid  comm                           mm  path
    ───── ────────────── ─────────────────── ───────────────────
       0  swapper/0                    null  null
    1204  evil\x1b[2J\n  0xffff888005123400  /usr/lib/systemd/sy
                                             stemd-with-a-long-n
                                             ame --and arguments
                                             of it
    ");
}

#[test]
fn rows_that_cannot_fit_are_records() {
    let options = Options {
        width: Some(40),
        color: false,
    };
    insta::assert_snapshot!(written(&processes(), Format::Table, &options), @r"
    pid  = 0
    comm = swapper/0
    mm   = null (null pointer)
    path = null (null pointer)

    pid  = 1204
    comm = evil\x1b[2J\n
    mm   = 0xffff888005123400
    path = /usr/lib/systemd/systemd-with-a-long-name --and arguments of it
    ");
}

#[test]
fn colours_are_for_terminals() {
    let options = Options {
        width: None,
        color: true,
    };
    let text = written(&processes(), Format::Table, &options);
    assert!(
        text.contains("\x1b[1m") && text.contains("\x1b[2m"),
        "{text:?}"
    );
}

#[test]
fn structs_are_trees() {
    let inner = StructValue {
        type_name: "struct list_head".to_owned(),
        address: VirtAddr::new(0xffff_ffff_8100_0008),
        members: vec![
            (Arc::from("next"), Value::Address(0x10)),
            (Arc::from("prev"), Value::Null(Reason::NullPointer)),
        ],
    };
    let outer = StructValue {
        type_name: "struct task_struct".to_owned(),
        address: VirtAddr::new(0xffff_ffff_8100_0000),
        members: vec![
            (Arc::from("pid"), Value::Integer(0)),
            (Arc::from("comm"), Value::text("swap\"per")),
            (Arc::from("tasks"), Value::Struct(Rc::new(inner))),
            (
                Arc::from("cpus"),
                Value::List(vec![Value::Integer(0); 64].into()),
            ),
        ],
    };
    let printed = table_of(
        &[("expr", ValueType::Text), ("value", ValueType::Any)],
        vec![
            vec![
                Value::text("init_task"),
                Value::Struct(Rc::new(outer.clone())),
            ],
            vec![Value::text("1 + 1"), Value::Integer(2)],
        ],
    );
    insta::assert_snapshot!(written(&printed, Format::Table, &Options::default()), @r#"
    init_task = struct task_struct at 0xffffffff81000000 {
      .pid = 0,
      .comm = "swap\"per",
      .tasks = struct list_head at 0xffffffff81000008 {
        .next = 0x10,
        .prev = null (null pointer),
      },
      .cpus = [0 <repeats 64 times>],
    }
    1 + 1 = 2
    "#);
    let json = written(&printed, Format::Ndjson, &Options::default());
    let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(first["value"]["tasks"]["next"], "0x10");
    assert_eq!(first["value"]["cpus"].as_array().unwrap().len(), 64);
    let selected = table_of(
        &[("pid", ValueType::Integer), ("self", ValueType::Any)],
        vec![vec![
            Value::Integer(0),
            Value::List(vec![Value::Struct(Rc::new(outer))].into()),
        ]],
    );
    insta::assert_snapshot!(written(&selected, Format::Table, &Options::default()), @r#"
    pid  = 0
    self = [
      struct task_struct at 0xffffffff81000000 {
        .pid = 0,
        .comm = "swap\"per",
        .tasks = struct list_head at 0xffffffff81000008 {
          .next = 0x10,
          .prev = null (null pointer),
        },
        .cpus = [0 <repeats 64 times>],
      },
    ]
    "#);
}

#[test]
fn json_has_the_types_that_the_manual_promises() {
    let kinds = [
        Value::Integer(9_007_199_254_740_992),
        Value::Integer(9_007_199_254_740_993),
        Value::Integer(-9_007_199_254_740_993),
        Value::Address(0xffff_8880_0000_0000),
        Value::Duration(1_500_000_000),
        Value::Boolean(true),
        Value::Null(Reason::Overflow),
        Value::text(b"a\xffb\x9b"),
        Value::Bytes(Rc::from([0xde, 0xad].as_slice())),
        Value::Enumerator(1, Some(Arc::from("PIDTYPE_TGID"))),
        Value::Enumerator(7, None),
        Value::Float(0.5),
        Value::Float(f64::NAN),
        Value::List(vec![Value::Integer(1), Value::Null(Reason::Absent)].into()),
    ];
    let value = table_of(
        &[("x", ValueType::Any)],
        kinds.into_iter().map(|cell| vec![cell]).collect(),
    );
    insta::assert_snapshot!(written(&value, Format::Json, &Options::default()), @r#"
    [
    {"x":9007199254740992},
    {"x":"9007199254740993"},
    {"x":"-9007199254740993"},
    {"x":"0xffff888000000000"},
    {"x":1500000000},
    {"x":true},
    {"x":null},
    {"x":"a\\xffb\\x9b"},
    {"x":"dead"},
    {"x":"PIDTYPE_TGID"},
    {"x":7},
    {"x":0.5},
    {"x":"NaN"},
    {"x":[1,null]}
    ]
    "#);
}

#[test]
fn no_rows_are_an_answer_too() {
    let none = table_of(
        &[("pid", ValueType::Integer), ("comm", ValueType::Text)],
        Vec::new(),
    );
    assert_eq!(written(&none, Format::Json, &Options::default()), "[]\n");
    assert_eq!(written(&none, Format::Ndjson, &Options::default()), "");
    assert_eq!(
        written(&none, Format::Csv, &Options::default()),
        "pid,comm\n"
    );
    let table = written(&none, Format::Table, &Options::default());
    assert!(table.starts_with("pid  comm\n"), "{table}");
    let formats = Format::names().map(|format| format.parse::<Format>().unwrap());
    for format in formats.filter(|format| !format.is_binary()) {
        let nothing = written(&Rows::default(), format, &Options::default());
        assert_eq!(nothing, if format == Format::Json { "[]\n" } else { "" });
    }
}

#[test]
fn csv_quotes_what_needs_it() {
    let value = table_of(
        &[("a", ValueType::Text), ("b, c", ValueType::Any)],
        vec![
            vec![
                Value::text("say \"x\", y"),
                Value::Null(Reason::NullPointer),
            ],
            vec![Value::text("a\nb"), Value::Duration(5)],
        ],
    );
    insta::assert_snapshot!(written(&value, Format::Csv, &Options::default()), @r#"
    a,"b, c"
    "say ""x"", y",
    a\nb,5
    "#);
}

#[test]
fn hidden_characters_do_not_reach_a_terminal_through_json() {
    let value = table_of(
        &[("x", ValueType::Text)],
        vec![vec![Value::text("\u{9b}31m\u{202e}\u{e0041}\x7f")]],
    );
    let text = written(&value, Format::Ndjson, &Options::default());
    assert_eq!(text, "{\"x\":\"\\u009b31m\\u202e\\udb40\\udc41\\u007f\"}\n");
    let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(parsed["x"], "\u{9b}31m\u{202e}\u{e0041}\x7f");
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<Vec<u8>>().prop_map(Value::text),
        any::<String>().prop_map(Value::text),
        any::<Vec<u8>>().prop_map(|bytes| Value::Bytes(bytes.into())),
        any::<i64>().prop_map(|number| Value::Integer(number.into())),
        any::<f64>().prop_map(Value::Float),
        any::<i128>().prop_map(Value::Duration),
        any::<u64>().prop_map(Value::Address),
        any::<bool>().prop_map(Value::Boolean),
        (any::<i64>(), any::<Option<String>>())
            .prop_map(|(number, name)| Value::Enumerator(number.into(), name.map(Arc::from))),
        Just(Value::Null(Reason::NullPointer)),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|values| Value::List(values.into())),
            prop::collection::btree_map(any::<String>(), inner, 0..4).prop_map(|members| {
                let members = members
                    .into_iter()
                    .map(|(name, value)| (Arc::from(name), value))
                    .collect();
                Value::Struct(Rc::new(StructValue {
                    type_name: "struct \x1b".to_owned(),
                    address: VirtAddr::new(0),
                    members,
                }))
            }),
        ]
    })
}

prop_compose! {
    pub(super) fn any_rows()(names in prop::collection::vec(any::<String>(), 1..4))
        (rows in prop::collection::vec(prop::collection::vec(any_value(), names.len()), 0..4), names in Just(names)) -> Rows {
        let columns: Vec<_> = names.iter().map(|name| (name.as_str(), ValueType::Any)).collect();
        table_of(&columns, rows)
    }
}

proptest! {
    #[test]
    fn plain_tables_are_what_comfy_table_draws(value in any_rows()) {
        prop_assume!(!value.schema.columns.is_empty());
        let columns = table::columns(&value);
        let (mut plainly, mut drawn) = (Vec::new(), Vec::new());
        plain::write(&columns, value.rows.len(), &mut plainly).unwrap();
        table::draw(&value, &columns, &Options::default(), &mut drawn).unwrap();
        prop_assert_eq!(String::from_utf8(plainly).unwrap(), String::from_utf8(drawn).unwrap());
    }

    #[test]
    fn tables_of_anything_obey_nobody(value in any_rows(), width in prop::option::of(1_usize..200)) {
        let text = written(&value, Format::Table, &Options { width, color: false });
        prop_assert!(text.chars().all(|character| character == '\n' || !is_hidden(character)), "{:?}", text);
    }

    #[test]
    fn json_of_anything_is_json(value in any_rows()) {
        let text = written(&value, Format::Json, &Options::default());
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(parsed.as_array().unwrap().len(), value.rows.len());
        for line in written(&value, Format::Ndjson, &Options::default()).lines() {
            let parsed: serde_json::Value = serde_json::from_str(line).unwrap();
            prop_assert_eq!(parsed.as_object().unwrap().len(), value.schema.columns.len());
        }
        prop_assert!(text.chars().all(|character| character == '\n' || !is_hidden(character)), "{:?}", text);
    }

    #[test]
    fn csv_of_anything_reads_back(value in any_rows()) {
        let text = written(&value, Format::Csv, &Options::default());
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
        let records = reader.records().collect::<Result<Vec<_>, _>>().unwrap();
        prop_assert_eq!(records.len(), value.rows.len() + 1);
        prop_assert!(records.iter().all(|record| record.len() == value.schema.columns.len()));
        prop_assert!(text.chars().all(|character| character == '\n' || !is_hidden(character)), "{:?}", text);
    }
}
