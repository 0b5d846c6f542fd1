//! Traversals: which container of which struct, and where the kernel keeps its parts.

use std::rc::Rc;

use crate::lang::ast::{Expression, ExpressionKind, Name, Source, SourceKind, Span};
use crate::lang::typed::{CheckedSource, CheckedTraversal, Node, Typed};
use crate::profile::{
    LinkedTraversal, Member, RbtreeTraversal, RecordsTraversal, RhashtableTraversal, RingTraversal,
    Traversal, TreeTraversal, Type,
};
use crate::value::{Value, ValueType};
use crate::walk::{Entries, EntryMarks, MapleLayout, NodeLayout, XarrayLayout};

use super::Checker;
use super::composed::Whole;
use super::linked::Link;
use super::scope::{Scope, typed};

impl Checker<'_> {
    /// A traversal of the library, seen from the owner, root or outer element that is `self` in `scope`.
    pub(super) fn library_traversal(
        &mut self,
        traversal: &Traversal,
        scope: &Scope<'_>,
        whole: &Whole<'_>,
    ) -> Option<CheckedTraversal> {
        let (element, place, span) = (whole.element, whole.place, whole.span);
        let base = scope.self_place.as_ref();
        match traversal {
            Traversal::List(list) => {
                let head = match &list.head {
                    Some(text) => {
                        self.library_expression(&format!("{place}.list.head"), text, scope)?
                    }
                    None => base.cloned()?,
                };
                let link = self.link(element, &list.link, span)?;
                let first = if list.include_root {
                    base.cloned()
                } else {
                    None
                };
                Some(CheckedTraversal::List {
                    head,
                    link: link.offset,
                    first,
                })
            }
            Traversal::Hlist(LinkedTraversal { head, link }) => {
                self.library_linked(["hlist", head, link], element, place, scope, span)
            }
            Traversal::Llist(LinkedTraversal { head, link }) => {
                self.library_linked(["llist", head, link], element, place, scope, span)
            }
            Traversal::Plist(LinkedTraversal { head, link }) => {
                self.library_linked(["plist", head, link], element, place, scope, span)
            }
            Traversal::Rbtree(RbtreeTraversal { root, link }) => {
                self.library_linked(["rbtree", root, link], element, place, scope, span)
            }
            Traversal::Rhashtable(RhashtableTraversal { root, link }) => {
                self.library_linked(["rhashtable", root, link], element, place, scope, span)
            }
            Traversal::Bits(bits) => {
                let mask =
                    self.library_expression(&format!("{place}.bits.mask"), &bits.mask, scope)?;
                let count = match &bits.count {
                    Some(text) => Some(self.library_expression(
                        &format!("{place}.bits.count"),
                        text,
                        scope,
                    )?),
                    None => None,
                };
                let place = format!("{place}.bits");
                self.told_of(&place, &bits.mask, |this, span| {
                    this.bits(Typed { span, ..mask }, count, span)
                })
                .map(|(traversal, _)| traversal)
            }
            Traversal::Follow(follow) => {
                let place = format!("{place}.follow.pointer");
                let pointer = self.library_expression(&place, &follow.pointer, scope)?;
                self.told_of(&place, &follow.pointer, |this, span| {
                    this.follow(Typed { span, ..pointer }, element)
                })
            }
            Traversal::PageTables(tables) => {
                let place = format!("{place}.page_tables.root");
                let root = self.library_expression(&place, &tables.root, scope)?;
                self.read(root).map(CheckedTraversal::PageTables)
            }
            Traversal::Union(_) | Traversal::Text(_) | Traversal::Image(_) => None,
            Traversal::Tree(tree) => self.library_tree(tree, base?.clone(), element, span),
            Traversal::Array(array) => {
                let base =
                    self.library_expression(&format!("{place}.array.base"), &array.base, scope)?;
                let count = match &array.count {
                    Some(text) => Some(self.library_expression(
                        &format!("{place}.array.count"),
                        text,
                        scope,
                    )?),
                    None => None,
                };
                let place = format!("{place}.array");
                self.told_of(&place, &array.base, |this, span| {
                    this.array(Typed { span, ..base }, count, span)
                })
                .map(|(traversal, _)| traversal)
            }
            Traversal::Chain(chain) => {
                let first =
                    self.library_expression(&format!("{place}.chain.first"), &chain.first, scope)?;
                let next = self.link(element, &chain.next, span)?.offset;
                Some(CheckedTraversal::Chain { first, next })
            }
            Traversal::Ring(ring) => self.library_ring(ring, place, scope, span),
            Traversal::Records(records) => {
                self.library_records(records, element, place, scope, span)
            }
            Traversal::Branches(tree) => {
                let place = format!("{place}.branches.first");
                Some(CheckedTraversal::Branches {
                    first: self.library_expression(&place, &tree.first, scope)?,
                    child: self.link(element, &tree.child, span)?.offset,
                    sibling: self.link(element, &tree.sibling, span)?.offset,
                })
            }
            Traversal::Trie(trie) => {
                let place = format!("{place}.trie.first");
                Some(CheckedTraversal::Trie {
                    first: self.library_expression(&place, &trie.first, scope)?,
                    bits: self.link(element, &trie.bits, span)?.offset,
                    children: self.link(element, &trie.children, span)?.offset,
                })
            }
            Traversal::Xarray(xarray) | Traversal::Radix(xarray) => {
                let name = match traversal {
                    Traversal::Radix(_) => "radix",
                    _ => "xarray",
                };
                let place = format!("{place}.{name}.root");
                let root = self.library_expression(&place, &xarray.root, scope)?;
                let layout = self.xarray_layout(span)?;
                Some(CheckedTraversal::Xarray { root, layout })
            }
            Traversal::Maple(maple) => {
                let root =
                    self.library_expression(&format!("{place}.maple.root"), &maple.root, scope)?;
                Some(CheckedTraversal::Maple {
                    root,
                    layout: self.maple_layout(span)?,
                })
            }
            Traversal::Frames(frames) => self.frames(frames, place, scope, span),
            Traversal::Slab(slab) => {
                let cache =
                    self.library_expression(&format!("{place}.slab.cache"), &slab.cache, scope)?;
                self.slab(cache, span)
            }
            Traversal::PerCpu(per_cpu) => {
                let symbol =
                    self.library_place(&format!("{place}.per_cpu.symbol"), &per_cpu.symbol, scope)?;
                self.per_cpu(symbol, span)
            }
        }
    }

    /// A ring of entries that lie side by side.
    fn library_ring(
        &mut self,
        ring: &RingTraversal,
        place: &str,
        scope: &Scope<'_>,
        span: Span,
    ) -> Option<CheckedTraversal> {
        let mut part = |name: &str, text: &str| {
            self.library_expression(&format!("{place}.ring.{name}"), text, scope)
        };
        let base = part("base", &ring.base)?;
        let length = part("length", &ring.length)?;
        let first = part("first", &ring.first)?;
        let last = part("last", &ring.last)?;
        match self.array(base, Some(length), span)?.0 {
            CheckedTraversal::Array {
                base,
                count: length,
                entries: Entries::Embedded(size),
            } => Some(CheckedTraversal::Ring {
                base,
                length,
                size,
                first,
                last,
            }),
            _ => {
                self.error(span, "a ring of pointers cannot be walked", "");
                None
            }
        }
    }

    /// A buffer of records, whose own lengths lead from one to the next.
    fn library_records(
        &mut self,
        records: &RecordsTraversal,
        element: &Type,
        place: &str,
        scope: &Scope<'_>,
        span: Span,
    ) -> Option<CheckedTraversal> {
        let mut part = |name: &str, text: &str| {
            self.library_expression(&format!("{place}.records.{name}"), text, scope)
        };
        let base = part("base", &records.base)?;
        let length = part("length", &records.length)?;
        let first = part("first", &records.first)?;
        let end = part("end", &records.end)?;
        let size = self.link(element, &records.size, span)?;
        Some(CheckedTraversal::Records {
            base,
            length,
            first,
            end,
            smallest: self.size_of(span, element)?,
            size: size.offset,
            size_width: self.size_of(span, &size.ty)?,
        })
    }

    /// A walk by a member of the elements: the traversal's name, the head or root, the member.
    fn library_linked(
        &mut self,
        [name, head, link]: [&str; 3],
        element: &Type,
        place: &str,
        scope: &Scope<'_>,
        span: Span,
    ) -> Option<CheckedTraversal> {
        let root = self.library_expression(&format!("{place}.{name}"), head, scope)?;
        let member = self.link(element, link, span)?;
        let link = Link {
            element,
            offset: member.offset,
            ty: &member.ty,
        };
        self.told_of(&format!("{place}.{name}"), head, |this, span| {
            this.linked(name, &link, Typed { span, ..root }, span)
        })
    }

    /// A member that links elements, by its path in the element.
    pub(super) fn link(&mut self, element: &Type, path: &str, span: Span) -> Option<Member> {
        self.layout_member(&element.to_string(), path, span)
    }

    /// A member that a traversal needs; a report where the kernel has none.
    pub(super) fn layout_member(&mut self, ty: &str, path: &str, span: Span) -> Option<Member> {
        let ty = self.library_type(ty, span)?;
        let found = self.catalog.find_path(&ty, path);
        let found = self.profile(span, found)?;
        if found.is_none() {
            self.error(
                span,
                format!("`{ty}` has no member `{path}` on this kernel"),
                "needed for this walk",
            );
            self.last_lacks();
        }
        found
    }

    pub(super) fn library_tree(
        &mut self,
        tree: &TreeTraversal,
        root: Typed,
        element: &Type,
        span: Span,
    ) -> Option<CheckedTraversal> {
        let children = self.link(element, &tree.children, span)?;
        let sibling = self.link(element, &tree.sibling, span)?;
        let siblings = self.siblings((element, &children.ty), (element, &sibling.ty), span)?;
        let through = match &tree.through {
            Some(walk) => Some(self.through(walk, element, span)?),
            None => None,
        };
        Some(CheckedTraversal::Tree {
            root,
            children: children.offset,
            sibling: sibling.offset,
            siblings,
            through,
        })
    }

    /// The walk whose elements' children count as an element's own; its owner is the first local.
    pub(super) fn through(
        &mut self,
        walk: &str,
        element: &Type,
        span: Span,
    ) -> Option<Rc<CheckedSource>> {
        let owner = typed(Node::Local(0), ValueType::Kernel(element.clone()), span);
        let scope = Scope {
            names: vec![("owner".to_owned(), owner)],
            ..Scope::default()
        };
        let source = Source {
            kind: SourceKind::Walk(Name {
                text: walk.to_owned(),
                span,
            }),
            owner: Some(Expression {
                kind: ExpressionKind::Name("owner".to_owned()),
                span,
            }),
            root: None,
            alias: None,
            optional: false,
            span,
        };
        self.right_source(&source, &scope)
            .map(|source| source.source)
    }

    /// An array and the type of its elements: entries that are pointers stand for what they point to.
    pub(super) fn array(
        &mut self,
        base: Typed,
        count: Option<Typed>,
        span: Span,
    ) -> Option<(CheckedTraversal, Type)> {
        let ValueType::Kernel(ty) = &base.kind else {
            self.error(base.span, format!("`{}` is no array", base.kind), "");
            return None;
        };
        let stripped = self.strip(span, ty)?;
        let (entry, typed_count, base) = match stripped {
            Type::Array { element, count } => ((*element).clone(), count, base),
            Type::Pointer(target) => {
                let pointer = self.read(base)?;
                let kind = ValueType::Kernel((*target).clone());
                (
                    (*target).clone(),
                    None,
                    typed(Node::Follow(Box::new(pointer)), kind, span),
                )
            }
            other => {
                self.error(
                    base.span,
                    format!("`{other}` is no array"),
                    "an array or a pointer to its first entry is wanted here",
                );
                return None;
            }
        };
        let count = match (count, typed_count) {
            (Some(count), _) => count,
            (None, Some(count)) => typed(
                Node::Constant(Value::Integer(i128::from(count))),
                ValueType::Integer,
                span,
            ),
            (None, None) => {
                self.error(
                    base.span,
                    "how many entries?",
                    "the type does not say: write `array(EXPRESSION, COUNT)`",
                );
                return None;
            }
        };
        let entry = self.strip(span, &entry)?;
        let (entries, element) = match entry {
            Type::Pointer(target) => (Entries::Pointers, self.strip(span, &target)?),
            other => (Entries::Embedded(self.size_of(span, &other)?), other),
        };
        Some((
            CheckedTraversal::Array {
                base,
                count,
                entries,
            },
            element,
        ))
    }

    /// The layout of xarrays, or of the radix trees that kernels had in their place until Linux 4.19.
    pub(super) fn xarray_layout(&mut self, span: Span) -> Option<XarrayLayout> {
        let radix_tree = self
            .catalog
            .aggregate(&Type::Struct("radix_tree_root".into()));
        let (marks, root, head, node) = if self.profile(span, radix_tree)?.is_some() {
            (
                EntryMarks::RadixTree,
                "struct radix_tree_root",
                "rnode",
                "struct radix_tree_node",
            )
        } else {
            (
                EntryMarks::Xarray,
                "struct xarray",
                "xa_head",
                "struct xa_node",
            )
        };
        let head = self.layout_member(root, head, span)?.offset;
        let shift = self.layout_member(node, "shift", span)?.offset;
        let slots = self.layout_member(node, "slots", span)?;
        let slot_count = self.array_count(&slots.ty, span)?;
        Some(XarrayLayout {
            marks,
            head,
            shift,
            slots: slots.offset,
            slot_count,
        })
    }

    pub(super) fn array_count(&mut self, ty: &Type, span: Span) -> Option<u64> {
        match self.strip(span, ty)? {
            Type::Array {
                count: Some(count), ..
            } if (1..=4096).contains(&count) => Some(count),
            other => {
                self.error(
                    span,
                    format!("`{other}` is not an array of the expected size"),
                    "",
                );
                self.last_lacks();
                None
            }
        }
    }

    pub(super) fn maple_layout(&mut self, span: Span) -> Option<MapleLayout> {
        let root = self
            .layout_member("struct maple_tree", "ma_root", span)?
            .offset;
        let node = Type::Struct("maple_node".into());
        let node_size = self.size_of(span, &node)?;
        let range = self.maple_node("struct maple_range_64", span)?;
        let gap_range = self.maple_node("struct maple_arange_64", span)?;
        Some(MapleLayout {
            root,
            node_size,
            range,
            gap_range,
        })
    }

    pub(super) fn maple_node(&mut self, ty: &str, span: Span) -> Option<NodeLayout> {
        let pivots = self.layout_member(ty, "pivot", span)?;
        let slots = self.layout_member(ty, "slot", span)?.offset;
        let end = self.layout_member(ty, "meta.end", span)?.offset;
        let pivot_count = self.array_count(&pivots.ty, span)?;
        Some(NodeLayout {
            pivots: pivots.offset,
            pivot_count,
            slots,
            end,
        })
    }

    pub(super) fn per_cpu(&mut self, symbol: Typed, span: Span) -> Option<CheckedTraversal> {
        let Some(area) = &self.catalog.library.per_cpu else {
            self.error(
                span,
                "the walk library does not say where per-CPU variables are",
                "",
            );
            return None;
        };
        let offsets = self.per_cpu_offsets(span)?;
        let mask = self.library_place("per_cpu.cpus", &area.cpus, &Scope::default())?;
        let count = self.library_expression("per_cpu.count", &area.count, &Scope::default())?;
        Some(CheckedTraversal::PerCpu {
            symbol,
            offsets,
            mask,
            count,
        })
    }

    /// The place of the array of per-CPU offsets.
    pub(super) fn per_cpu_offsets(&mut self, span: Span) -> Option<Typed> {
        let Some(area) = &self.catalog.library.per_cpu else {
            self.error(
                span,
                "the walk library does not say where per-CPU variables are",
                "",
            );
            return None;
        };
        self.library_place("per_cpu.offsets", &area.offsets, &Scope::default())
    }
}
