//! The walk library: entities over any kernel that has the types they need, as hand-written YAML.
//!
//! A library is the sum of its files, later ones extending or replacing what earlier ones define. The expressions in it are text
//! here; `lang` checks them against a kernel's types.

use std::collections::BTreeMap;

use serde::Deserialize;

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
    symbols: BTreeMap<String, String>,
    #[serde(default)]
    walks: BTreeMap<String, WalkFile>,
    #[serde(default)]
    columns: BTreeMap<String, BTreeMap<String, ColumnFile>>,
    #[serde(default)]
    functions: BTreeMap<String, FunctionFile>,
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
    list: Option<ListTraversal>,
    tree: Option<TreeTraversal>,
    array: Option<ArrayTraversal>,
    hlist: Option<LinkedTraversal>,
    llist: Option<LinkedTraversal>,
    plist: Option<LinkedTraversal>,
    rbtree: Option<RbtreeTraversal>,
    radix: Option<XarrayTraversal>,
    chain: Option<ChainTraversal>,
    ring: Option<RingTraversal>,
    branches: Option<BranchesTraversal>,
    xarray: Option<XarrayTraversal>,
    maple: Option<MapleTraversal>,
    per_cpu: Option<PerCpuTraversal>,
    slab: Option<SlabTraversal>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct VariantFile {
    #[serde(default)]
    needs: Vec<String>,
    #[serde(default)]
    root: Option<String>,
    list: Option<ListTraversal>,
    tree: Option<TreeTraversal>,
    array: Option<ArrayTraversal>,
    hlist: Option<LinkedTraversal>,
    llist: Option<LinkedTraversal>,
    plist: Option<LinkedTraversal>,
    rbtree: Option<RbtreeTraversal>,
    radix: Option<XarrayTraversal>,
    chain: Option<ChainTraversal>,
    ring: Option<RingTraversal>,
    branches: Option<BranchesTraversal>,
    xarray: Option<XarrayTraversal>,
    maple: Option<MapleTraversal>,
    per_cpu: Option<PerCpuTraversal>,
    slab: Option<SlabTraversal>,
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

/// An embedded doubly linked list (`include/linux/list.h`).
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ListTraversal {
    /// The list's head, a `struct list_head`, seen from the owner or root; left out: the root itself.
    #[serde(default)]
    pub head: Option<String>,
    /// The element's member that links it.
    pub link: String,
    /// Whether the owner or root is the first element.
    #[serde(default)]
    pub include_root: bool,
}

/// A list with a head of its own type: a hash list of any kind (`include/linux/list.h`, `list_nulls.h`, `list_bl.h`), a lock-less
/// list (`llist.h`) or a list by priority (`plist.h`).
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct LinkedTraversal {
    /// The list's head, seen from the owner or root: a `struct hlist_head`, `llist_head` …, as the link's type has it.
    pub head: String,
    /// The element's member that links it.
    pub link: String,
}

/// A red-black tree (`include/linux/rbtree.h`).
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct RbtreeTraversal {
    /// The `struct rb_root` or `struct rb_root_cached`, seen from the owner or root.
    pub root: String,
    /// The element's member that is its `struct rb_node`.
    pub link: String,
}

/// A tree by lists of children (`task_struct.children` and `sibling`), depth first, the root included.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct TreeTraversal {
    /// The element's member that is the head of its children's list.
    pub children: String,
    /// The child's member that links it.
    pub sibling: String,
    /// A walk of objects of the element whose children count as the element's own, in its order (the threads of a process).
    #[serde(default)]
    pub through: Option<String>,
}

/// An array of elements or of pointers to them.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ArrayTraversal {
    /// The array, or a pointer to its first entry.
    pub base: String,
    /// How many entries; left out: as many as the array's type says.
    #[serde(default)]
    pub count: Option<String>,
}

/// The objects of a slab cache that are in use (`mm/slub.c`).
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct SlabTraversal {
    /// The `struct kmem_cache`, or a pointer to it.
    pub cache: String,
}

/// A singly linked chain that ends with a null pointer or with its own beginning.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ChainTraversal {
    /// A pointer to the first element.
    pub first: String,
    /// The element's member that points to the next.
    pub next: String,
}

/// A window of numbers over an array whose entries are used again and again: number N is entry N modulo the length.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct RingTraversal {
    /// The array, or a pointer to its first entry.
    pub base: String,
    /// How many entries it has: a power of 2.
    pub length: String,
    /// The number of the oldest entry.
    pub first: String,
    /// The number of the newest entry, itself included.
    pub last: String,
}

/// A tree by pointers (`struct resource`), depth first: to the first child, and from child to child.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct BranchesTraversal {
    /// A pointer to the first element.
    pub first: String,
    /// The element's member that points to its first child.
    pub child: String,
    /// The element's member that points to its next sibling.
    pub sibling: String,
}

/// An xarray, radix tree or IDR (`include/linux/xarray.h`).
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct XarrayTraversal {
    /// The `struct xarray` (or `struct radix_tree_root`).
    pub root: String,
}

/// A maple tree (`include/linux/maple_tree.h`).
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct MapleTraversal {
    /// The `struct maple_tree`.
    pub root: String,
}

/// A per-CPU variable, once a CPU.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct PerCpuTraversal {
    /// The variable's symbol.
    pub symbol: String,
}

/// How a walk goes from element to element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Traversal {
    /// See [`ListTraversal`].
    List(ListTraversal),
    /// A hash list; see [`LinkedTraversal`].
    Hlist(LinkedTraversal),
    /// A lock-less list; see [`LinkedTraversal`].
    Llist(LinkedTraversal),
    /// A list by priority; see [`LinkedTraversal`].
    Plist(LinkedTraversal),
    /// See [`RbtreeTraversal`].
    Rbtree(RbtreeTraversal),
    /// A radix tree, on kernels where that is an xarray; see [`XarrayTraversal`].
    Radix(XarrayTraversal),
    /// See [`TreeTraversal`].
    Tree(TreeTraversal),
    /// See [`ArrayTraversal`].
    Array(ArrayTraversal),
    /// See [`ChainTraversal`].
    Chain(ChainTraversal),
    /// See [`SlabTraversal`].
    Slab(SlabTraversal),
    /// See [`RingTraversal`].
    Ring(RingTraversal),
    /// See [`BranchesTraversal`].
    Branches(BranchesTraversal),
    /// See [`XarrayTraversal`].
    Xarray(XarrayTraversal),
    /// See [`MapleTraversal`].
    Maple(MapleTraversal),
    /// See [`PerCpuTraversal`].
    PerCpu(PerCpuTraversal),
}

/// One way to walk an entity, for kernels that have what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkVariant {
    /// What the kernel must have.
    pub needs: Vec<String>,
    /// Where it starts, for walks that belong to nobody.
    pub root: Option<String>,
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
    /// The type of its elements, as C spells it.
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
    /// Types of symbols, for profiles that do not know them.
    pub symbols: BTreeMap<String, String>,
    /// Entities by name.
    pub walks: BTreeMap<String, Walk>,
    /// Derived columns by type (as C spells it), then name.
    pub columns: BTreeMap<String, BTreeMap<String, Definition>>,
    /// Functions by name.
    pub functions: BTreeMap<String, Function>,
}

impl Library {
    /// Adds a file's definitions, replacing those of the same name. `file` is what to call it in messages.
    pub fn add(&mut self, file: &str, yaml: &str) -> Result<(), LibraryError> {
        let parsed: LibraryFile =
            serde_yaml::from_str(yaml).map_err(|source| LibraryError::Schema {
                file: file.to_owned(),
                source,
            })?;
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
        Ok(())
    }
}

fn problem(file: &str, place: &str, problem: &'static str) -> LibraryError {
    LibraryError::Definition {
        file: file.to_owned(),
        place: place.to_owned(),
        problem,
    }
}

/// The one traversal that a walk or variant names; `Ok(None)` where it names none.
macro_rules! traversal_of {
    ($from:expr) => {{
        let mut named = Vec::new();
        named.extend($from.list.map(Traversal::List));
        named.extend($from.hlist.map(Traversal::Hlist));
        named.extend($from.llist.map(Traversal::Llist));
        named.extend($from.plist.map(Traversal::Plist));
        named.extend($from.rbtree.map(Traversal::Rbtree));
        named.extend($from.radix.map(Traversal::Radix));
        named.extend($from.tree.map(Traversal::Tree));
        named.extend($from.array.map(Traversal::Array));
        named.extend($from.chain.map(Traversal::Chain));
        named.extend($from.slab.map(Traversal::Slab));
        named.extend($from.ring.map(Traversal::Ring));
        named.extend($from.branches.map(Traversal::Branches));
        named.extend($from.xarray.map(Traversal::Xarray));
        named.extend($from.maple.map(Traversal::Maple));
        named.extend($from.per_cpu.map(Traversal::PerCpu));
        if named.len() > 1 {
            Err("names more than one traversal")
        } else {
            Ok(named.pop())
        }
    }};
}

fn convert_walk(file: &str, name: &str, walk: WalkFile) -> Result<Walk, LibraryError> {
    let place = format!("walks.{name}");
    let columns = convert_columns(file, &format!("{place}.columns"), walk.columns)?;
    let mut variants = Vec::new();
    for variant in walk.variants {
        let traversal = traversal_of!(variant)
            .and_then(|traversal| traversal.ok_or("a variant names no traversal"))
            .map_err(|what| problem(file, &place, what))?;
        let root = variant.root.or_else(|| walk.root.clone());
        variants.push(WalkVariant {
            needs: variant.needs,
            root,
            traversal,
        });
    }
    if let Some(traversal) = traversal_of!(walk).map_err(|what| problem(file, &place, what))? {
        variants.push(WalkVariant {
            needs: walk.needs,
            root: walk.root,
            traversal,
        });
    }
    if variants.is_empty() {
        return Err(problem(
            file,
            &place,
            "names no traversal (list, hlist, llist, plist, rbtree, tree, branches, array, ring, chain, xarray, radix, maple, per_cpu or slab)",
        ));
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
}
