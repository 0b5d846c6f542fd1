//! The walk library: entities over any kernel that has the types they need, as hand-written YAML.
//!
//! A library is the sum of its files, later ones extending or replacing what earlier ones define. The expressions in it are text
//! here; `lang` checks them against a kernel's types.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::check::{Check, CheckFile, convert_check};
use super::frames::FramesTraversal;
use super::kernel_text::{KernelText, TextRows};
use super::traversal::{
    ArrayTraversal, BitsTraversal, BranchesTraversal, ChainTraversal, FollowTraversal,
    ImageTraversal, LinkedTraversal, ListTraversal, MapleTraversal, PageTablesTraversal,
    PerCpuTraversal, RbtreeTraversal, RecordsTraversal, RhashtableTraversal, RingTraversal,
    SlabTraversal, Traversal, TreeTraversal, TrieTraversal, XarrayTraversal,
};

/// The first line that every library file must have.
pub const LIBRARY_FORMAT: &str = "nettlp-walks/1";

/// Why a library file was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// The YAML is not of the schema.
    #[error("{file}: not a walk library")]
    Schema {
        /// Which file.
        file: String,
        /// Where and what.
        #[source]
        source: serde_yaml::Error,
    },
    /// The JSON that a file was made is not of the schema.
    #[error("{file}: not a walk library")]
    Json {
        /// Which file.
        file: String,
        /// Where and what.
        #[source]
        source: serde_json::Error,
    },
    /// Another version of the format.
    #[error("{file}: format is `{found}`, this program reads `{LIBRARY_FORMAT}`")]
    Format {
        /// Which file.
        file: String,
        /// What it says.
        found: String,
    },
    /// A definition that contradicts itself.
    #[error("{file}: {place}: {problem}")]
    Definition {
        /// Which file.
        file: String,
        /// Which definition, as a path of keys.
        place: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// A walk library file, as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LibraryFile {
    format: String,
    #[serde(default)]
    #[allow(dead_code, reason = "for people who read the file")]
    doc: String,
    #[serde(default)]
    constants: BTreeMap<String, i64>,
    #[serde(default)]
    per_cpu: Option<PerCpuArea>,
    #[serde(default)]
    page_structs: Option<PageStructs>,
    #[serde(default)]
    kernel_text: Option<KernelText>,
    #[serde(default)]
    symbols: BTreeMap<String, String>,
    #[serde(default)]
    walks: BTreeMap<String, WalkFile>,
    #[serde(default)]
    columns: BTreeMap<String, BTreeMap<String, ColumnFile>>,
    #[serde(default)]
    functions: BTreeMap<String, FunctionFile>,
    #[serde(default)]
    checks: BTreeMap<String, CheckFile>,
}

/// How the kernel lays out per-CPU variables.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct PerCpuArea {
    /// An array of offsets, one a CPU, to add to a per-CPU symbol's value.
    pub offsets: String,
    /// A bit mask of the CPUs that there can be.
    pub cpus: String,
    /// How many bits of the mask count.
    pub count: String,
}

/// Where the array of page structs is.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct PageStructs {
    /// A pointer to the first.
    pub base: String,
    /// How many there are.
    pub count: String,
    /// How many memory nodes the machine has.
    pub nodes: String,
}

/// A struct with the fields given and one for each traversal, and the traversal that it names.
macro_rules! with_traversals {
    ($(#[$attribute:meta])* struct $name:ident { $($fields:tt)* }) => {
        with_traversals! {
            $(#[$attribute])*
            struct $name { $($fields)* }
            list: ListTraversal => List,
            hlist: LinkedTraversal => Hlist,
            llist: LinkedTraversal => Llist,
            plist: LinkedTraversal => Plist,
            rbtree: RbtreeTraversal => Rbtree,
            rhashtable: RhashtableTraversal => Rhashtable,
            tree: TreeTraversal => Tree,
            array: ArrayTraversal => Array,
            bits: BitsTraversal => Bits,
            chain: ChainTraversal => Chain,
            ring: RingTraversal => Ring,
            records: RecordsTraversal => Records,
            branches: BranchesTraversal => Branches,
            trie: TrieTraversal => Trie,
            follow: FollowTraversal => Follow,
            frames: Box<FramesTraversal> => Frames,
            xarray: XarrayTraversal => Xarray,
            radix: XarrayTraversal => Radix,
            maple: MapleTraversal => Maple,
            per_cpu: PerCpuTraversal => PerCpu,
            slab: SlabTraversal => Slab,
            page_tables: PageTablesTraversal => PageTables,
            union: Vec<String> => Union,
            text: TextRows => Text,
            image: ImageTraversal => Image,
        }
    };
    (
        $(#[$attribute:meta])*
        struct $name:ident { $($(#[$of_field:meta])* $field:ident: $type:ty,)* }
        $($traversal:ident: $written:ty => $kind:ident,)*
    ) => {
        $(#[$attribute])*
        struct $name {
            $($(#[$of_field])* $field: $type,)*
            $($traversal: Option<$written>,)*
        }

        impl $name {
            /// The one traversal that it names; `Ok(None)` where it names none.
            fn traversal(&mut self) -> Result<Option<Traversal>, &'static str> {
                let mut named = Vec::new();
                $(named.extend(self.$traversal.take().map(Traversal::$kind));)*
                match named.len() {
                    0 | 1 => Ok(named.pop()),
                    _ => Err("names more than one traversal"),
                }
            }
        }
    };
}

/// What a walk or variant without a traversal is told.
const NO_TRAVERSAL: &str = "names no traversal (list, hlist, llist, plist, rbtree, rhashtable, tree, branches, trie, array, ring, records, bits, chain, follow, frames, xarray, radix, maple, per_cpu, slab, page_tables, union, text or image)";

with_traversals! {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct WalkFile {
        doc: String,
        element: String,
        #[serde(default)]
        of: Option<String>,
        #[serde(default)]
        owners: BTreeMap<String, String>,
        #[serde(default)]
        root: Option<String>,
        #[serde(default)]
        through: Option<String>,
        #[serde(default, rename = "where")]
        filter: Option<String>,
        #[serde(default)]
        last: Option<String>,
        #[serde(default)]
        predict: Vec<String>,
        #[serde(default)]
        select: Vec<String>,
        #[serde(default)]
        columns: BTreeMap<String, ColumnFile>,
        #[serde(default)]
        variants: Vec<VariantFile>,
        #[serde(default)]
        needs: Vec<String>,
    }
}

with_traversals! {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct VariantFile {
        #[serde(default)]
        needs: Vec<String>,
        #[serde(default)]
        element: Option<String>,
        #[serde(default)]
        root: Option<String>,
        #[serde(default)]
        through: Option<String>,
        #[serde(default, rename = "where")]
        filter: Option<String>,
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnFile {
    #[serde(default)]
    doc: String,
    #[serde(default)]
    expr: Option<String>,
    #[serde(default)]
    needs: Vec<String>,
    #[serde(default)]
    variants: Vec<ExpressionVariant>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FunctionFile {
    doc: String,
    #[serde(default)]
    example: String,
    /// `NAME: TYPE`, in order.
    #[serde(default)]
    parameters: Vec<String>,
    #[serde(default)]
    expr: Option<String>,
    #[serde(default)]
    needs: Vec<String>,
    #[serde(default)]
    variants: Vec<ExpressionVariant>,
    #[serde(default)]
    iterate: Option<Iterate>,
}

/// A spelling of an expression for kernels that have what it needs.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ExpressionVariant {
    /// What the kernel must have: `struct.member`, `struct NAME`, `@symbol`, `!…` for the opposite.
    #[serde(default)]
    pub needs: Vec<String>,
    /// The expression.
    pub expr: String,
}

/// A loop over named state, for what has no fixed depth: paths, ancestries.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Iterate {
    /// The state: name and first value, each seeing the parameters and the ones before.
    pub start: Vec<BTreeMap<String, String>>,
    /// Goes on as long as this holds.
    #[serde(rename = "while")]
    pub condition: String,
    /// New values, all computed from the old ones at the same time.
    pub next: BTreeMap<String, String>,
    /// The function's value, seeing the last state.
    pub result: String,
    /// Steps after which the value is null.
    pub limit: u64,
}

/// One way to walk an entity, for kernels that have what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkVariant {
    /// What the kernel must have.
    pub needs: Vec<String>,
    /// The type of its elements, as C spells it: the walk's own, unless this kernel keeps them as something else.
    pub element: String,
    /// Where it starts, for walks that belong to nobody.
    pub root: Option<String>,
    /// The name of an outer walk: for each of its elements, in its order, there is a container, which is seen from that element.
    pub through: Option<String>,
    /// A condition: what it does not hold for is no element.
    pub filter: Option<String>,
    /// How it goes on.
    pub traversal: Traversal,
}

/// An entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    /// The file that defines it.
    pub file: String,
    /// What it is, for people.
    pub doc: String,
    /// The type of its elements, as C spells it; a variant may have its own.
    pub element: String,
    /// The type of the object that owns the container, for walks of something.
    pub of: Option<String>,
    /// Other types that have such an owner, with the expression that leads to it: a task has a mount namespace.
    pub owners: BTreeMap<String, String>,
    /// An expression, seen from the owner or root: one more element behind those of the container, where it is not null.
    pub last: Option<String>,
    /// Walks and strategies that prefetch: `both_ends`, or `WALK.COLUMN`, a pointer to an element.
    pub predict: Vec<String>,
    /// What `select *` gives, in order; empty: the walk's own columns.
    pub select: Vec<String>,
    /// Columns that only this walk has.
    pub columns: BTreeMap<String, Definition>,
    /// The first whose needs are met is used.
    pub variants: Vec<WalkVariant>,
}

/// A derived column, or the body of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The file that defines it.
    pub file: String,
    /// What it is, for people.
    pub doc: String,
    /// The first whose needs are met is used.
    pub variants: Vec<ExpressionVariant>,
}

/// A function of the library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// What it computes; its expression if it is not a loop.
    pub definition: Definition,
    /// A call, for people.
    pub example: String,
    /// Names and types, as written.
    pub parameters: Vec<(String, String)>,
    /// The loop, if it is one.
    pub iterate: Option<Iterate>,
}

/// All that the loaded files define.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Library {
    /// Numbers that the kernel has only as macros.
    pub constants: BTreeMap<String, i64>,
    /// Per-CPU layout.
    pub per_cpu: Option<PerCpuArea>,
    /// Where the array of page structs is.
    pub page_structs: Option<PageStructs>,
    /// Where the kernel changes its own code.
    pub kernel_text: Option<KernelText>,
    /// Types of symbols, for profiles that do not know them.
    pub symbols: BTreeMap<String, String>,
    /// Entities by name.
    pub walks: BTreeMap<String, Walk>,
    /// Derived columns by type (as C spells it), then name.
    pub columns: BTreeMap<String, BTreeMap<String, Definition>>,
    /// Functions by name.
    pub functions: BTreeMap<String, Function>,
    /// Checks by name.
    pub checks: BTreeMap<String, Check>,
}

impl Library {
    /// Adds a file's definitions, replacing those of the same name. `file` is what to call it in messages.
    pub fn add(&mut self, file: &str, yaml: &str) -> Result<(), LibraryError> {
        let parsed = serde_yaml::from_str(yaml).map_err(|source| LibraryError::Schema {
            file: file.to_owned(),
            source,
        })?;
        self.extend(file, parsed)
    }

    /// As [`Library::add`], of a file that was made JSON.
    pub fn add_json(&mut self, file: &str, json: &str) -> Result<(), LibraryError> {
        let parsed = serde_json::from_str(json).map_err(|source| LibraryError::Json {
            file: file.to_owned(),
            source,
        })?;
        self.extend(file, parsed)
    }

    fn extend(&mut self, file: &str, parsed: LibraryFile) -> Result<(), LibraryError> {
        if parsed.format != LIBRARY_FORMAT {
            return Err(LibraryError::Format {
                file: file.to_owned(),
                found: parsed.format,
            });
        }
        self.constants.extend(parsed.constants);
        self.symbols.extend(parsed.symbols);
        self.per_cpu = parsed.per_cpu.or(self.per_cpu.take());
        self.page_structs = parsed.page_structs.or(self.page_structs.take());
        self.kernel_text = parsed.kernel_text.or(self.kernel_text.take());
        for (name, walk) in parsed.walks {
            let walk = convert_walk(file, &name, walk)?;
            self.walks.insert(name, walk);
        }
        for (ty, columns) in parsed.columns {
            let place = format!("columns.{ty}");
            let columns = convert_columns(file, &place, columns)?;
            self.columns.entry(ty).or_default().extend(columns);
        }
        for (name, function) in parsed.functions {
            let function = convert_function(file, &name, function)?;
            self.functions.insert(name, function);
        }
        for (name, check) in parsed.checks {
            let check = convert_check(file, &name, check)?;
            self.checks.insert(name, check);
        }
        Ok(())
    }
}

pub(super) fn problem(file: &str, place: &str, problem: &'static str) -> LibraryError {
    LibraryError::Definition {
        file: file.to_owned(),
        place: place.to_owned(),
        problem,
    }
}

fn convert_walk(file: &str, name: &str, mut walk: WalkFile) -> Result<Walk, LibraryError> {
    let place = format!("walks.{name}");
    let wrong = |what| problem(file, &place, what);
    let columns = convert_columns(
        file,
        &format!("{place}.columns"),
        std::mem::take(&mut walk.columns),
    )?;
    let own = walk.traversal().map_err(wrong)?;
    let mut variants = Vec::new();
    for mut variant in std::mem::take(&mut walk.variants) {
        let traversal = variant
            .traversal()
            .and_then(|traversal| traversal.ok_or("a variant names no traversal"))
            .map_err(wrong)?;
        variants.push(WalkVariant {
            needs: variant.needs,
            element: variant.element.unwrap_or_else(|| walk.element.clone()),
            root: variant.root.or_else(|| walk.root.clone()),
            through: variant.through.or_else(|| walk.through.clone()),
            filter: variant.filter.or_else(|| walk.filter.clone()),
            traversal,
        });
    }
    if let Some(traversal) = own {
        variants.push(WalkVariant {
            needs: walk.needs,
            element: walk.element.clone(),
            root: walk.root,
            through: walk.through,
            filter: walk.filter,
            traversal,
        });
    }
    if variants.is_empty() {
        return Err(wrong(NO_TRAVERSAL));
    }
    for variant in &variants {
        contradiction(variant).map_or(Ok(()), |what| Err(wrong(what)))?;
    }
    Ok(Walk {
        file: file.to_owned(),
        doc: walk.doc,
        element: walk.element,
        of: walk.of,
        owners: walk.owners,
        last: walk.last,
        predict: walk.predict,
        select: walk.select,
        columns,
        variants,
    })
}

/// What in a variant cannot be meant together.
fn contradiction(variant: &WalkVariant) -> Option<&'static str> {
    match &variant.traversal {
        Traversal::Union(walks) if walks.is_empty() => Some("a union of no walks"),
        Traversal::Union(_) if variant.through.is_some() => {
            Some("a union goes through nothing: its walks may")
        }
        Traversal::Union(_) if variant.root.is_some() => {
            Some("a union has no root: its walks have")
        }
        Traversal::Text(_) | Traversal::Image(_)
            if variant.through.is_some() || variant.root.is_some() || variant.filter.is_some() =>
        {
            Some("what is read of the kernel's image has no `root`, `through` or `where`")
        }
        _ if variant.through.is_some() && variant.root.is_some() => {
            Some("has both a `root` and a walk that it goes `through`")
        }
        _ => None,
    }
}

fn convert_columns(
    file: &str,
    place: &str,
    columns: BTreeMap<String, ColumnFile>,
) -> Result<BTreeMap<String, Definition>, LibraryError> {
    columns
        .into_iter()
        .map(|(name, column)| {
            let place = format!("{place}.{name}");
            let definition = convert_definition(
                file,
                &place,
                column.doc,
                column.needs,
                column.expr,
                column.variants,
            )?;
            Ok((name, definition))
        })
        .collect()
}

fn convert_definition(
    file: &str,
    place: &str,
    doc: String,
    needs: Vec<String>,
    expr: Option<String>,
    mut variants: Vec<ExpressionVariant>,
) -> Result<Definition, LibraryError> {
    if let Some(expr) = expr {
        variants.push(ExpressionVariant { needs, expr });
    }
    if variants.is_empty() {
        return Err(problem(file, place, "has no `expr` and no `variants`"));
    }
    Ok(Definition {
        file: file.to_owned(),
        doc,
        variants,
    })
}

fn convert_function(
    file: &str,
    name: &str,
    function: FunctionFile,
) -> Result<Function, LibraryError> {
    let place = format!("functions.{name}");
    let mut parameters = Vec::new();
    for parameter in &function.parameters {
        let (name, ty) = parameter
            .split_once(':')
            .ok_or_else(|| problem(file, &place, "a parameter is written `NAME: TYPE`"))?;
        parameters.push((name.trim().to_owned(), ty.trim().to_owned()));
    }
    let definition = match &function.iterate {
        Some(_) if function.expr.is_some() || !function.variants.is_empty() => {
            return Err(problem(file, &place, "has both an expression and a loop"));
        }
        Some(_) => {
            let variants = vec![ExpressionVariant {
                needs: function.needs,
                expr: String::new(),
            }];
            Definition {
                file: file.to_owned(),
                doc: function.doc,
                variants,
            }
        }
        None => convert_definition(
            file,
            &place,
            function.doc,
            function.needs,
            function.expr,
            function.variants,
        )?,
    };
    Ok(Function {
        definition,
        example: function.example,
        parameters,
        iterate: function.iterate,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "
format: nettlp-walks/1
walks:
  tasks:
    doc: Processes.
    element: struct task_struct
    root: init_task
    list: {head: tasks, link: tasks, include_root: true}
    predict: [pids.task, both_ends]
columns:
  struct task_struct:
    ppid: {doc: parent, expr: real_parent.tgid}
functions:
  twice: {doc: Twice., parameters: ['x: int'], expr: 2 * x}
";

    #[test]
    fn a_file_is_read_and_a_later_one_replaces() {
        let mut library = Library::default();
        library.add("small.yaml", SMALL).unwrap();
        assert_eq!(library.walks["tasks"].variants.len(), 1);
        assert_eq!(
            library.functions["twice"].parameters,
            vec![("x".to_owned(), "int".to_owned())]
        );
        let other = SMALL.replace("real_parent.tgid", "parent.tgid");
        library.add("other.yaml", &other).unwrap();
        assert_eq!(
            library.columns["struct task_struct"]["ppid"].variants[0].expr,
            "parent.tgid"
        );
    }

    #[test]
    fn mistakes_name_file_and_place() {
        let mut library = Library::default();
        let unknown = SMALL.replace("    root:", "    roots:");
        let error = library.add("small.yaml", &unknown).unwrap_err();
        assert!(matches!(error, LibraryError::Schema { .. }), "{error}");
        let two = SMALL.replace("    predict:", "    maple: {root: x}\n    predict:");
        let error = library.add("small.yaml", &two).unwrap_err().to_string();
        assert_eq!(
            error,
            "small.yaml: walks.tasks: names more than one traversal"
        );
    }

    #[test]
    fn what_cannot_be_meant_together_is_refused() {
        let list = "    list: {head: tasks, link: tasks, include_root: true}";
        for (written, problem) in [
            ("    union: [a, b]", "a union has no root: its walks have"),
            ("    union: []", "a union of no walks"),
            (
                "    through: rows\n    follow: {pointer: next}",
                "has both a `root` and a walk that it goes `through`",
            ),
            (
                "    through: rows\n    union: [a]",
                "a union goes through nothing: its walks may",
            ),
            ("    where: 1", NO_TRAVERSAL),
        ] {
            let file = SMALL.replace(list, written);
            let error = Library::default().add("small.yaml", &file).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("small.yaml: walks.tasks: {problem}")
            );
        }
    }
}
