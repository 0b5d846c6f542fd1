//! Slab caches: which one, and where the kernel keeps its parts.

use std::rc::Rc;

use crate::lang::ast::{Expression, ExpressionKind, Literal, Name, Span};
use crate::lang::typed::{CheckedTraversal, Typed};
use crate::profile::{Member, Type};
use crate::walk::{Held, SheafLayout, SlabLayout, SlabMark};

use super::Checker;
use super::scope::Scope;

/// The function of the library that finds a cache by its name.
const CACHE_BY_NAME: &str = "slab_cache";

impl Checker<'_> {
    /// The cache that a query names: by its name, or by an expression.
    pub(super) fn slab_cache(
        &mut self,
        cache: &Expression,
        traversal: &Name,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        if let ExpressionKind::Literal(Literal::Text(_)) = &cache.kind {
            let function = Name {
                text: CACHE_BY_NAME.to_owned(),
                span: traversal.span,
            };
            let name = std::slice::from_ref(cache);
            return self.call_library(&function, name, cache.span, scope);
        }
        self.expression(cache, scope)
    }

    /// The objects of a cache that are in use.
    pub(super) fn slab(&mut self, cache: Typed, span: Span) -> Option<CheckedTraversal> {
        let cache = self.followed(cache)?;
        let cache = self.container("slab", cache, "struct kmem_cache")?;
        let library = &self.catalog.library;
        let (Some(area), Some(structs)) = (library.per_cpu.clone(), library.page_structs.clone())
        else {
            self.error(
                span,
                "the walk library does not say where page structs and per-CPU variables are",
                "",
            );
            return None;
        };
        let scope = Scope::default();
        let pages = self.library_expression("page_structs.base", &structs.base, &scope)?;
        Some(CheckedTraversal::Slab {
            cache,
            pages: self.followed(pages)?,
            page_count: self.library_expression("page_structs.count", &structs.count, &scope)?,
            nodes: self.library_expression("page_structs.nodes", &structs.nodes, &scope)?,
            offsets: self.per_cpu_offsets(span)?,
            mask: self.library_place("per_cpu.cpus", &area.cpus, &scope)?,
            cpus: self.library_expression("per_cpu.count", &area.count, &scope)?,
            layout: Rc::new(self.slab_layout(span)?),
        })
    }

    fn slab_layout(&mut self, span: Span) -> Option<SlabLayout> {
        let cache = "struct kmem_cache";
        let page = if self
            .optional_member("struct slab", "slab_cache", span)?
            .is_some()
        {
            "struct slab"
        } else {
            "struct page"
        };
        let objects = self.layout_member(page, "objects", span)?;
        let bits = objects
            .bits
            .map_or((0, 32), |bits| (bits.offset, bits.size));
        Some(SlabLayout {
            size: self.layout_member(cache, "size", span)?.offset,
            link: self.layout_member(cache, "offset", span)?.offset,
            padding: self.optional_offset(cache, "red_left_pad", span)?,
            random: self.optional_offset(cache, "random", span)?,
            page_size: self.size_of(span, &Type::Struct("page".into()))?,
            cache: self.layout_member(page, "slab_cache", span)?.offset,
            free_list: self.layout_member(page, "freelist", span)?.offset,
            objects: (objects.offset, bits.0, bits.1),
            mark: self.slab_mark(span)?,
            held: self.slab_held(cache, span)?,
        })
    }

    /// What tells a slab's page struct from others: a flag, or since Linux 6.12 a type.
    fn slab_mark(&mut self, span: Span) -> Option<SlabMark> {
        let flag = self.catalog.profile.enumerator("PG_slab");
        if let Some((holder, bit)) = self.profile(span, flag)?
            && &*holder.name == "pageflags"
        {
            return Some(SlabMark::Flag {
                offset: self.layout_member("struct page", "flags", span)?.offset,
                bit: u32::try_from(bit).unwrap_or(0).min(63),
            });
        }
        let kind = self.catalog.profile.enumerator("PGTY_slab");
        if let Some((_, value)) = self.profile(span, kind)? {
            return Some(SlabMark::Type {
                offset: self.layout_member("struct page", "page_type", span)?.offset,
                value: u32::try_from(value).unwrap_or(0),
            });
        }
        self.error(
            span,
            "this kernel's profile does not say how slabs' pages are told from others",
            "`PG_slab` in `enum pageflags`, or `PGTY_slab`, is needed",
        );
        self.last_lacks();
        None
    }

    /// Where CPUs hold free objects back.
    fn slab_held(&mut self, cache: &str, span: Span) -> Option<Held> {
        let Some(cpu_sheaves) = self.optional_offset(cache, "cpu_sheaves", span)? else {
            return Some(Held::List {
                cpu_slab: self.layout_member(cache, "cpu_slab", span)?.offset,
                free_list: self
                    .layout_member("struct kmem_cache_cpu", "freelist", span)?
                    .offset,
            });
        };
        let mut of_cpu = Vec::new();
        for member in ["main", "spare", "rcu_free"] {
            of_cpu.push(
                self.layout_member("struct slub_percpu_sheaves", member, span)?
                    .offset,
            );
        }
        let (size, objects, link) = ("size", "objects", "barn_list");
        let sheaf = "struct slab_sheaf";
        Some(Held::Sheaves(SheafLayout {
            cpu_sheaves,
            of_cpu,
            size: self.layout_member(sheaf, size, span)?.offset,
            objects: self.layout_member(sheaf, objects, span)?.offset,
            barns: self.barns(cache, span)?,
            full: self
                .layout_member("struct node_barn", "sheaves_full", span)?
                .offset,
            link: self.layout_member(sheaf, link, span)?.offset,
        }))
    }

    /// Where a cache has its nodes' barns: the first, and the bytes from one to the next.
    fn barns(&mut self, cache: &str, span: Span) -> Option<(u64, u64)> {
        let per_node = "struct kmem_cache_per_node_ptrs";
        if let Some(barn) = self.optional_offset(per_node, "barn", span)? {
            let first = self.layout_member(cache, "per_node", span)?.offset;
            let each = self.size_of(span, &Type::Struct("kmem_cache_per_node_ptrs".into()))?;
            return Some((first.saturating_add(barn), each));
        }
        // Linux 6.18 had the barn behind another pointer; then what a node holds back cannot be told.
        let nodes = self.layout_member(cache, "node", span)?.offset;
        self.error(
            span,
            "this kernel's nodes hold free objects back in a way that is not known",
            format!("`{cache}.per_node` is needed; it has `node` at {nodes:#x}"),
        );
        self.last_lacks();
        None
    }

    /// A member where the kernel has it; no report where it has not.
    fn optional_member(&mut self, ty: &str, path: &str, span: Span) -> Option<Option<Member>> {
        let ty = self.catalog.profile.parse_type(ty);
        let ty = self.profile(span, ty)?;
        let found = self.catalog.find_path(&ty, path);
        self.profile(span, found)
    }

    fn optional_offset(&mut self, ty: &str, path: &str, span: Span) -> Option<Option<u64>> {
        let member = self.optional_member(ty, path, span)?;
        Some(member.map(|member| member.offset))
    }
}
