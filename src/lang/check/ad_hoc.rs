//! Traversals that are written in a query: any container of any type, nothing declared.

use std::rc::Rc;

use crate::lang::ast::{
    Expression, ExpressionKind, Name, Source, Span, TraversalArgument, TypeBase, TypeName,
};
use crate::lang::typed::{CheckedSource, CheckedTraversal, Node, Typed};
use crate::profile::Type;
use crate::report::nearest;
use crate::value::ValueType;

use super::Checker;
use super::linked::Link;
use super::scope::{Scope, ScopeSource, typed};

/// Traversals that can be written in a query, each with an example.
static AD_HOC: [(&str, &str); 15] = [
    ("list", "list(struct module.list) from modules"),
    (
        "hlist",
        "hlist(struct task_struct.pid_links[0]) from init_struct_pid.tasks[0]",
    ),
    (
        "llist",
        "llist(struct mount.mnt_llist) from delayed_mntput_list",
    ),
    (
        "plist",
        "plist(struct swap_info_struct.list) from swap_active_head",
    ),
    (
        "rbtree",
        "rbtree(struct sched_entity.run_node) from percpu(runqueues, 0).cfs.tasks_timeline",
    ),
    (
        "rhashtable",
        "rhashtable(struct netlink_sock.node) from nl_table[0].hash",
    ),
    (
        "tree",
        "tree(struct task_struct.children, struct task_struct.sibling) from init_task",
    ),
    ("array", "array(init_task.signal.rlim)"),
    ("bits", "bits(__cpu_possible_mask.bits)"),
    (
        "chain",
        "chain(struct file_system_type.next) from file_systems",
    ),
    ("xarray", "xarray(struct pid) from init_pid_ns.idr.idr_rt"),
    ("radix", "radix(struct pid) from init_pid_ns.idr.idr_rt"),
    (
        "maple",
        "maple(struct vm_area_struct) from init_task.active_mm.mm_mt",
    ),
    ("percpu", "percpu(runqueues)"),
    ("slab", "slab('task_struct', struct task_struct)"),
];

/// Traversals that can be written in a query, each with an example.
pub fn traversals() -> &'static [(&'static str, &'static str)] {
    &AD_HOC
}

impl Checker<'_> {
    /// A traversal that is written in the query.
    pub(super) fn ad_hoc_source(
        &mut self,
        name: &Name,
        arguments: &[TraversalArgument],
        source: &Source,
        scope: &Scope<'_>,
    ) -> Option<ScopeSource> {
        let (traversal, element) = match (name.text.as_str(), arguments) {
            ("list", [link]) => self.ad_hoc_list(link, source, scope)?,
            ("tree", [children, sibling]) => self.ad_hoc_tree(children, sibling, source, scope)?,
            ("array", [TraversalArgument::Expression(base)]) => {
                let base = self.expression(base, scope)?;
                self.array(base, None, name.span)?
            }
            (
                "array",
                [
                    TraversalArgument::Expression(base),
                    TraversalArgument::Expression(count),
                ],
            ) => {
                let base = self.expression(base, scope)?;
                let count = self.number(count, scope)?;
                self.array(base, Some(count), name.span)?
            }
            ("chain", [next]) => {
                let (element, next, member) = self.member_argument(next, source.span)?;
                if !matches!(self.strip(source.span, &member)?, Type::Pointer(_)) {
                    self.error(
                        source.span,
                        format!("a chain's member points to the next one, and this is `{member}`"),
                        "for example `chain(struct file_system_type.next) from file_systems`",
                    );
                    return None;
                }
                let first = self.root_value(source, name, scope)?;
                (CheckedTraversal::Chain { first, next }, element)
            }
            ("bits", [TraversalArgument::Expression(mask)]) => {
                let mask = self.expression(mask, scope)?;
                self.bits(mask, None, name.span)?
            }
            (
                "bits",
                [
                    TraversalArgument::Expression(mask),
                    TraversalArgument::Expression(count),
                ],
            ) => {
                let mask = self.expression(mask, scope)?;
                let count = self.number(count, scope)?;
                self.bits(mask, Some(count), name.span)?
            }
            ("hlist" | "llist" | "plist" | "rbtree" | "rhashtable", [link]) => {
                self.ad_hoc_linked(name, link, source, scope)?
            }
            ("xarray" | "radix", [element]) => {
                let element = self.type_argument(element, source.span)?;
                let root = self.root_place(source, name, scope)?;
                let layout = self.xarray_layout(name.span)?;
                let root = self.container(&name.text, root, "struct xarray")?;
                (CheckedTraversal::Xarray { root, layout }, element)
            }
            ("maple", [element]) => {
                let element = self.type_argument(element, source.span)?;
                let root = self.root_place(source, name, scope)?;
                let root = self.container("maple", root, "struct maple_tree")?;
                (
                    CheckedTraversal::Maple {
                        root,
                        layout: self.maple_layout(name.span)?,
                    },
                    element,
                )
            }
            ("slab", [TraversalArgument::Expression(cache), element]) => {
                let element = self.type_argument(element, source.span)?;
                let cache = self.slab_cache(cache, name, scope)?;
                (self.slab(cache, name.span)?, element)
            }
            ("percpu", [TraversalArgument::Expression(symbol)]) => {
                let symbol = self.expression(symbol, scope)?;
                let ValueType::Kernel(element) = symbol.kind.clone() else {
                    self.error(
                        symbol.span,
                        format!(
                            "a per-CPU variable is wanted here, and this is `{}`",
                            symbol.kind
                        ),
                        "for example `percpu(runqueues)`",
                    );
                    return None;
                };
                (self.per_cpu(symbol, name.span)?, element)
            }
            _ => {
                self.unknown_traversal(name);
                return None;
            }
        };
        let checked = CheckedSource {
            name: source
                .alias
                .as_ref()
                .map_or(&name.text, |alias| &alias.text)
                .clone(),
            walk: name.text.clone(),
            id: self.new_source(),
            element,
            traversal,
            last: None,
            filter: None,
            predictors: Vec::new(),
            optional: source.optional,
        };
        Some(ScopeSource {
            source: Rc::new(checked),
            owner: None,
            cells: Vec::new(),
            is_unknown: false,
        })
    }

    pub(super) fn unknown_traversal(&mut self, name: &Name) {
        if let Some((_, example)) = AD_HOC.iter().find(|(known, _)| *known == name.text) {
            let message = format!("these are not the arguments of `{}`", name.text);
            self.error(name.span, message, format!("for example `{example}`"));
            return;
        }
        let near = nearest(&name.text, AD_HOC.iter().map(|(known, _)| *known));
        let names: Vec<_> = AD_HOC
            .iter()
            .map(|(known, _)| format!("`{known}`"))
            .collect();
        let label = near.map_or_else(
            || format!("known are {}", names.join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        self.error(
            name.span,
            format!("there is no traversal `{}`", name.text),
            label,
        );
    }

    pub(super) fn ad_hoc_list(
        &mut self,
        link: &TraversalArgument,
        source: &Source,
        scope: &Scope<'_>,
    ) -> Option<(CheckedTraversal, Type)> {
        let (element, link, member) = self.member_argument(link, source.span)?;
        if member.to_string() != "struct list_head" {
            let link = Link {
                element: &element,
                offset: link,
                ty: &member,
            };
            self.wrong_link("list", &link, source.span);
            return None;
        }
        let name = Name {
            text: "list".to_owned(),
            span: source.span,
        };
        let root = self.root_place(source, &name, scope)?;
        if root.kind == ValueType::Kernel(element.clone()) {
            let offset = i64::try_from(link).unwrap_or(i64::MAX);
            let node = Node::At {
                base: Box::new(root.clone()),
                offset,
                bits: None,
            };
            let head = typed(node, ValueType::Kernel(member), root.span);
            return Some((
                CheckedTraversal::List {
                    head,
                    link,
                    first: Some(root),
                },
                element,
            ));
        }
        if root.kind != ValueType::Kernel(member.clone()) {
            let whole = element.to_string();
            self.wrong_root("a list", &root, &["struct list_head", &whole]);
            return None;
        }
        Some((
            CheckedTraversal::List {
                head: root,
                link,
                first: None,
            },
            element,
        ))
    }

    /// A list or tree that goes from element to element by a member.
    fn ad_hoc_linked(
        &mut self,
        name: &Name,
        link: &TraversalArgument,
        source: &Source,
        scope: &Scope<'_>,
    ) -> Option<(CheckedTraversal, Type)> {
        let (element, offset, ty) = self.member_argument(link, source.span)?;
        let link = Link {
            element: &element,
            offset,
            ty: &ty,
        };
        let root = self.root_place(source, name, scope)?;
        let traversal = self.linked(&name.text, &link, root, source.span)?;
        Some((traversal, element))
    }

    pub(super) fn ad_hoc_tree(
        &mut self,
        children: &TraversalArgument,
        sibling: &TraversalArgument,
        source: &Source,
        scope: &Scope<'_>,
    ) -> Option<(CheckedTraversal, Type)> {
        let (element, children, head) = self.member_argument(children, source.span)?;
        let (other, sibling, link) = self.member_argument(sibling, source.span)?;
        let siblings = self.siblings((&element, &head), (&other, &link), source.span)?;
        if element != other {
            self.error(
                source.span,
                format!("both members must be of one type, not of `{element}` and `{other}`"),
                "",
            );
            return None;
        }
        let name = Name {
            text: "tree".to_owned(),
            span: source.span,
        };
        let root = self.root_place(source, &name, scope)?;
        if root.kind != ValueType::Kernel(element.clone()) {
            self.error(
                root.span,
                format!(
                    "the tree's root must be a `{element}`, and this is `{}`",
                    root.kind
                ),
                "",
            );
            return None;
        }
        Some((
            CheckedTraversal::Tree {
                root,
                children,
                sibling,
                siblings,
                through: None,
            },
            element,
        ))
    }

    /// `from EXPR` as a place: pointers are followed.
    pub(super) fn root_place(
        &mut self,
        source: &Source,
        name: &Name,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        let Some(root) = &source.root else {
            self.missing_root(source, name);
            return None;
        };
        let root = self.expression(root, scope)?;
        self.followed(root)
    }

    pub(super) fn root_value(
        &mut self,
        source: &Source,
        name: &Name,
        scope: &Scope<'_>,
    ) -> Option<Typed> {
        match &source.root {
            Some(root) => {
                let first = self.expression(root, scope)?;
                if let ValueType::Kernel(ty) = &first.kind
                    && let Type::Struct(_) | Type::Union(_) = self.strip(first.span, ty)?
                {
                    let message = format!("a chain starts at a pointer, and this is `{ty}`");
                    let hint = format!("`&{}` points to it", self.text_of(root.span));
                    self.error_with_hint(root.span, message, "", hint);
                    return None;
                }
                self.number(root, scope)
            }
            None => {
                self.missing_root(source, name);
                None
            }
        }
    }

    pub(super) fn missing_root(&mut self, source: &Source, name: &Name) {
        let example = AD_HOC
            .iter()
            .find(|(known, _)| *known == name.text)
            .map_or("", |(_, example)| example);
        self.error(
            source.span,
            format!("`{}` needs to know where to start", name.text),
            format!("for example `{example}`"),
        );
    }

    pub(super) fn members_of_type(&self, container: &Type, wanted: &str) -> Vec<String> {
        let Ok(Some(aggregate)) = self.catalog.aggregate(container) else {
            return Vec::new();
        };
        let members = aggregate
            .members
            .iter()
            .filter(|member| member.ty.to_string() == wanted);
        members
            .take(8)
            .map(|member| format!("`{}`", member.name))
            .collect()
    }

    /// `struct T.member` as an argument: the type, the member's offset, the member's type.
    pub(super) fn member_argument(
        &mut self,
        argument: &TraversalArgument,
        span: Span,
    ) -> Option<(Type, u64, Type)> {
        match argument {
            TraversalArgument::Member { container, path } => {
                let ty = self.type_named(container)?;
                let reached = self.path_in(&ty, path)?;
                Some((ty, reached.offset, reached.ty))
            }
            TraversalArgument::Expression(Expression {
                kind: ExpressionKind::Member { object, member },
                span,
            }) => {
                let ExpressionKind::Name(name) = &object.kind else {
                    self.error(
                        *span,
                        "a member of a type is wanted here",
                        "for example `struct module.list`",
                    );
                    return None;
                };
                let base = TypeBase::Struct(Name {
                    text: name.clone(),
                    span: object.span,
                });
                let ty = self.type_named(&TypeName {
                    base,
                    pointers: 0,
                    dimensions: Vec::new(),
                    span: object.span,
                })?;
                let found = self.layout_member(&ty.to_string(), &member.text, member.span)?;
                Some((ty, found.offset, found.ty))
            }
            _ => {
                self.error(
                    span,
                    "a member of a type is wanted here",
                    "for example `struct module.list`",
                );
                None
            }
        }
    }

    pub(super) fn type_argument(
        &mut self,
        argument: &TraversalArgument,
        span: Span,
    ) -> Option<Type> {
        match argument {
            TraversalArgument::Type(name) => self.type_named(name),
            _ => {
                self.error(span, "a type is wanted here", "for example `struct pid`");
                None
            }
        }
    }
}
