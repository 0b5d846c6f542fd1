//! Traversals as a library file writes them: which container of which struct, seen from the owner, the root or the outer element.

use serde::Deserialize;

use super::frames::FramesTraversal;
use super::kernel_text::TextRows;

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

/// A tree by lists or hash lists of children (`task_struct.children` and `sibling`), depth first, the root included.
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

/// A table of the kernel's image that is read whole and taken apart: what is between symbols.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ImageTraversal {
    /// What it is.
    pub holds: ImageTable,
    /// Symbols: from the lowest of them to the highest is read. One that a kernel has not is left out.
    pub between: Vec<String>,
    /// Bytes behind the highest symbol that are read too.
    #[serde(default)]
    pub behind: u64,
}

/// What a table of the kernel's image holds.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ImageTable {
    /// The kernel's own symbols (`kernel/kallsyms.c`): rows of name, address, type and whether the profile has it there.
    Symbols,
    /// The configuration that the kernel was built with, packed by gzip (`kernel/configs.c`): rows of name and value.
    Configuration,
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
    /// The number of the newest entry, itself included; the one before the oldest where there is none.
    pub last: String,
}

/// Records of their own lengths, one behind the other in a buffer that is used round and round, as the kernel's log was until Linux 5.9
/// (`kernel/printk/printk.c`). A record whose length is 0 says that the next one is at the buffer's start.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct RecordsTraversal {
    /// A pointer to the buffer.
    pub base: String,
    /// The buffer's bytes.
    pub length: String,
    /// Where the oldest record begins, in bytes from the buffer's start.
    pub first: String,
    /// Where the newest record ends, in bytes from the buffer's start.
    pub end: String,
    /// The element's member that tells its bytes.
    pub size: String,
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

/// A trie whose nodes hold pointers to nodes (`net/ipv4/fib_trie.c`), depth first.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct TrieTraversal {
    /// A pointer to the first node.
    pub first: String,
    /// The node's member (one byte) that says how many pointers it holds, as a power of two; 0 for none.
    pub bits: String,
    /// The node's array of pointers to nodes.
    pub children: String,
}

/// An xarray (`include/linux/xarray.h`), or the radix tree that stood in its place until Linux 4.19; an IDR is one of them.
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

/// A resizable hash table (`include/linux/rhashtable-types.h`), bucket by bucket.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct RhashtableTraversal {
    /// The `struct rhashtable`, seen from the owner or root.
    pub root: String,
    /// The element's member that is its `struct rhash_head`.
    pub link: String,
}

/// The bits of a mask that are set (`include/linux/bitmap.h`, `cpumask.h`): each element is the word that has the bit, its index the
/// bit's number.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct BitsTraversal {
    /// The array of words, or a pointer to the first of them.
    pub mask: String,
    /// How many bits count; left out: as many as the array's type says.
    #[serde(default)]
    pub count: Option<String>,
}

/// The object that a pointer points to; none where it is null. Behind `through`, one for each of the outer elements.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct FollowTraversal {
    /// A pointer to the element.
    pub pointer: String,
}

/// Page tables in the format of the target's processor, of a process: each element is the entry of a page, its index the page's number, its
/// depth the level of the entry, 1 for the last.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct PageTablesTraversal {
    /// A pointer to the top table.
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
    /// The same by its older name; see [`XarrayTraversal`].
    Radix(XarrayTraversal),
    /// See [`TreeTraversal`].
    Tree(TreeTraversal),
    /// See [`ArrayTraversal`].
    Array(ArrayTraversal),
    /// See [`ChainTraversal`].
    Chain(ChainTraversal),
    /// See [`SlabTraversal`].
    Slab(SlabTraversal),
    /// See [`RecordsTraversal`].
    Records(RecordsTraversal),
    /// See [`RingTraversal`].
    Ring(RingTraversal),
    /// See [`BranchesTraversal`].
    Branches(BranchesTraversal),
    /// See [`TrieTraversal`].
    Trie(TrieTraversal),
    /// See [`XarrayTraversal`].
    Xarray(XarrayTraversal),
    /// See [`MapleTraversal`].
    Maple(MapleTraversal),
    /// See [`PerCpuTraversal`].
    PerCpu(PerCpuTraversal),
    /// See [`RhashtableTraversal`].
    Rhashtable(RhashtableTraversal),
    /// See [`BitsTraversal`].
    Bits(BitsTraversal),
    /// See [`FollowTraversal`].
    Follow(FollowTraversal),
    /// See [`FramesTraversal`].
    Frames(Box<FramesTraversal>),
    /// See [`PageTablesTraversal`].
    PageTables(PageTablesTraversal),
    /// The elements of other walks by their names, one walk after the other.
    Union(Vec<String>),
    /// Rows of the comparison of the kernel's code with its vmlinux.
    Text(TextRows),
    /// A table of the kernel's image.
    Image(ImageTraversal),
}
