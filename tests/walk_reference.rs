//! `docs/walks.md` is what the walk library's YAML says (`UPDATE_REFERENCE=1` writes it anew). Types of columns are those that the
//! demo's kernel gives them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use nettlp_q::lang::ast::StatementKind;
use nettlp_q::lang::catalog::{Catalog, Definitions};
use nettlp_q::lang::check::{check_expression, check_query};
use nettlp_q::lang::{parse_expression, parse_program};
use nettlp_q::profile::LayoutProfile;
use nettlp_q::report::SourceText;
use nettlp_q::session::{demo, shipped_library};
use serde_yaml::{Mapping, Value};

/// What a walk or a variant says besides its traversal.
const NOT_TRAVERSALS: [&str; 14] = [
    "doc", "element", "of", "owners", "root", "through", "where", "last", "predict", "select",
    "columns", "variants", "needs", "file",
];

const HEAD: &str = "# All walks

Made from `profiles/linux/*.yaml` by `UPDATE_REFERENCE=1 cargo test --test walk_reference`; types of columns are those of the built-in
demo's kernel (Debian's 6.12), and are left out where that kernel has not what the column needs. [walks-by-kernel.md](walks-by-kernel.md)
says which walks Debian's kernels have, and why not.

A walk's way is written as in the YAML: the first whose needs (`when`) the kernel meets is used. `from` is where it starts, `through`
the walk for each of whose elements there is a container, `where` what an element must meet. Columns of a type, further down, are
those of every walk whose elements are of it.
";

/// An address that is not read: only types are asked for.
const SOMEWHERE: &str = "0xffff888000000000";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn text_of<'a>(map: &'a Mapping, key: &str) -> Option<&'a str> {
    map.get(key).and_then(Value::as_str)
}

/// A value on one line, as YAML writes it in braces.
fn flow(value: &Value) -> String {
    match value {
        Value::Mapping(map) => {
            let entries: Vec<_> = map
                .iter()
                .map(|(key, value)| format!("{}: {}", flow(key), flow(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        Value::Sequence(items) => {
            let items: Vec<_> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Value::String(text) => text.clone(),
        Value::Bool(is) => is.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Tagged(_) => String::new(),
    }
}

/// A traversal on one line; of parts that have parts of their own it is enough to know that they are there.
fn way_of(traversal: &Value) -> String {
    let Value::Mapping(map) = traversal else {
        return flow(traversal);
    };
    let parts = map.iter().map(|(name, part)| {
        let is_deep = match part {
            Value::Mapping(_) => true,
            Value::Sequence(items) => items.iter().any(Value::is_mapping),
            _ => false,
        };
        let part = if is_deep {
            "…".to_owned()
        } else {
            flow(part)
        };
        format!("{}: {part}", flow(name))
    });
    format!("{{{}}}", parts.collect::<Vec<_>>().join(", "))
}

/// Code in Markdown.
fn code(text: &str) -> String {
    format!("`{text}`")
}

fn cell(text: &str) -> String {
    text.trim().replace('\n', " ").replace('|', "\\|")
}

/// The demo's kernel, asked for types.
struct Demo {
    catalog: Catalog,
    definitions: Definitions,
}

impl Demo {
    fn new() -> Self {
        let bytes = demo::profile().unwrap().into_owned();
        let profile = LayoutProfile::from_bytes(bytes).unwrap();
        Self {
            catalog: Catalog::new(Arc::new(profile), shipped_library().unwrap()),
            definitions: Definitions::default(),
        }
    }

    /// The type of a column of a walk.
    fn of_walk(&self, name: &str, owner: Option<&str>, column: &str) -> Option<String> {
        let of = owner.map_or_else(String::new, |owner| format!(" of ({owner} *){SOMEWHERE}"));
        let source = Arc::new(SourceText {
            name: "walks.md".to_owned(),
            text: format!("walk {name}{of} select {column}"),
        });
        let statement = parse_program(&source).ok()?.pop()?;
        let StatementKind::Query(query) = statement.kind else {
            return None;
        };
        let checked = check_query(&self.catalog, &self.definitions, &source, &query).ok()?;
        Some(checked.tree.columns.first()?.1.to_string())
    }

    /// The type of a column of a type.
    fn of_type(&self, ty: &str, column: &str) -> Option<String> {
        let text = format!("(({ty} *){SOMEWHERE}).{column}");
        let expression = parse_expression(&text).ok()?;
        let source = Arc::new(SourceText {
            name: "walks.md".to_owned(),
            text,
        });
        let checked =
            check_expression(&self.catalog, &self.definitions, &source, &expression).ok()?;
        Some(checked.tree.kind.to_string())
    }
}

/// A way to walk: its traversal and what belongs to it.
fn way(walk: &Mapping, variant: &Mapping) -> Option<String> {
    let (kind, traversal) = variant.iter().find(|(key, _)| {
        key.as_str()
            .is_some_and(|key| !NOT_TRAVERSALS.contains(&key))
    })?;
    let mut text = code(&format!("{}: {}", flow(kind), way_of(traversal)));
    let said = |key| text_of(variant, key).or_else(|| text_of(walk, key));
    for (word, key) in [("from", "root"), ("through", "through"), ("where", "where")] {
        if let Some(said) = said(key) {
            write!(text, " {word} {}", code(said)).unwrap();
        }
    }
    if let Some(needs) = variant.get("needs").and_then(Value::as_sequence) {
        let needs: Vec<_> = needs.iter().map(|need| code(&flow(need))).collect();
        if !needs.is_empty() {
            write!(text, ", when {}", needs.join(", ")).unwrap();
        }
    }
    Some(text)
}

fn ways(walk: &Mapping) -> Vec<String> {
    let variants = walk.get("variants").and_then(Value::as_sequence);
    let variants = variants.into_iter().flatten().filter_map(Value::as_mapping);
    variants
        .chain([walk])
        .filter_map(|variant| way(walk, variant))
        .collect()
}

/// A table of columns; `type_of` gives their types.
fn columns(map: &Mapping, type_of: impl Fn(&str) -> Option<String>) -> String {
    let mut text = "| column | type | what it is |\n|---|---|---|\n".to_owned();
    for (name, column) in map {
        let name = name.as_str().unwrap();
        let doc = column
            .as_mapping()
            .and_then(|column| text_of(column, "doc"));
        let ty = type_of(name).map(|ty| code(&ty)).unwrap_or_default();
        writeln!(
            text,
            "| {} | {ty} | {} |",
            code(name),
            cell(doc.unwrap_or_default())
        )
        .unwrap();
    }
    text
}

/// GitHub's name of a heading that is a type's columns.
fn anchor(ty: &str) -> String {
    format!("columns-of-{}", ty.replace(' ', "-"))
}

fn one_walk(demo: &Demo, name: &str, walk: &Mapping, with_columns: &BTreeSet<String>) -> String {
    let (of, element) = (text_of(walk, "of"), text_of(walk, "element").unwrap());
    let mut text = format!(
        "\n### `{name}`\n\n{}\n\n* each is a {}",
        text_of(walk, "doc").unwrap().trim(),
        code(element)
    );
    if with_columns.contains(element) {
        write!(text, " with [its columns](#{})", anchor(element)).unwrap();
    }
    if let Some(of) = of {
        write!(text, ", of a {}", code(of)).unwrap();
    }
    for (owner, expression) in walk
        .get("owners")
        .and_then(Value::as_mapping)
        .into_iter()
        .flatten()
    {
        let (owner, expression) = (code(&flow(owner)), code(&flow(expression)));
        write!(text, ", or of a {owner} by its {expression}").unwrap();
    }
    for way in ways(walk) {
        write!(text, "\n* {way}").unwrap();
    }
    for (key, words) in [
        ("last", "one more at the end"),
        ("predict", "read ahead by"),
    ] {
        if let Some(value) = walk.get(key) {
            write!(text, "\n* {words}: {}", code(&flow(value))).unwrap();
        }
    }
    text.push('\n');
    if let Some(own) = walk.get("columns").and_then(Value::as_mapping) {
        let table = columns(own, |column| demo.of_walk(name, of, column));
        write!(text, "\n{table}").unwrap();
    }
    text
}

/// The comment that a file begins with: which files of the kernel it is about.
fn preface(yaml: &str) -> String {
    let lines: Vec<_> = yaml
        .lines()
        .map_while(|line| line.strip_prefix('#'))
        .map(str::trim)
        .collect();
    lines.join(" ")
}

/// The shipped files, by name.
fn files() -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(root().join("profiles/linux")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let yaml = paths.filter(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    yaml.map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, std::fs::read_to_string(path).unwrap())
    })
    .collect()
}

fn page() -> String {
    let demo = Demo::new();
    let files = files();
    let parsed: BTreeMap<&String, Mapping> = files
        .iter()
        .map(|(name, yaml)| (name, serde_yaml::from_str(yaml).unwrap()))
        .collect();
    let mut of_types: BTreeMap<String, Mapping> = BTreeMap::new();
    let all = parsed.values().filter_map(|file| file.get("columns"));
    for (ty, found) in all.filter_map(Value::as_mapping).flatten() {
        let columns = of_types.entry(flow(ty)).or_default();
        columns.extend(found.as_mapping().unwrap().clone());
    }
    let with_columns: BTreeSet<String> = of_types.keys().cloned().collect();
    let mut text = HEAD.to_owned();
    for (name, file) in &parsed {
        let Some(walks) = file.get("walks").and_then(Value::as_mapping) else {
            continue;
        };
        let said = preface(&files[*name]);
        write!(text, "\n## {name}\n\n{said}\n").unwrap();
        for (walk, body) in walks {
            let body = body.as_mapping().unwrap();
            text.push_str(&one_walk(
                &demo,
                walk.as_str().unwrap(),
                body,
                &with_columns,
            ));
        }
    }
    for (ty, found) in &of_types {
        let table = columns(found, |column| demo.of_type(ty, column));
        write!(text, "\n## Columns of `{ty}`\n\n{table}").unwrap();
    }
    text
}

#[test]
fn the_page_of_walks_is_what_the_yaml_says() {
    let path = root().join("docs/walks.md");
    let made = page();
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(path, made).unwrap();
    } else {
        assert!(
            std::fs::read_to_string(path).unwrap() == made,
            "the YAML says something else; run this test with UPDATE_REFERENCE=1 and read what changed"
        );
    }
}

#[test]
fn every_walk_of_the_library_is_on_the_page() {
    let page = std::fs::read_to_string(root().join("docs/walks.md")).unwrap();
    for name in shipped_library().unwrap().walks.keys() {
        assert!(page.contains(&format!("### `{name}`\n")), "{name}");
    }
}
