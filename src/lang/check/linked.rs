//! Lists and trees that go from element to element by a member: what the member's type says of the walk and of the head that fits.

use crate::lang::ast::Span;
use crate::lang::typed::{CheckedTraversal, Typed};
use crate::profile::Type;
use crate::value::ValueType;
use crate::walk::{HlistKind, RbtreeLayout, RhashtableLayout, Siblings};

use super::Checker;
use super::member::at_member;

/// How elements with one type of link are walked.
struct Family {
    /// The traversal's name.
    traversal: &'static str,
    /// The type of the link.
    link: &'static str,
    /// The types that can be the head, each with the path in it of where the walk begins.
    heads: &'static [(&'static str, &'static str)],
    shape: Shape,
}

#[derive(Clone, Copy)]
enum Shape {
    /// [`CheckedTraversal::List`].
    List,
    /// [`CheckedTraversal::Hlist`].
    Hlist(HlistKind),
    /// A [`CheckedTraversal::List`] inside the head and the link.
    Plist,
    /// [`CheckedTraversal::Rbtree`].
    Rbtree,
    /// [`CheckedTraversal::Rhashtable`].
    Rhashtable,
}

const FAMILIES: [Family; 8] = [
    Family {
        traversal: "list",
        link: "struct list_head",
        heads: &[("struct list_head", "")],
        shape: Shape::List,
    },
    Family {
        traversal: "hlist",
        link: "struct hlist_node",
        heads: &[("struct hlist_head", "first")],
        shape: Shape::Hlist(HlistKind::Plain),
    },
    Family {
        traversal: "hlist",
        link: "struct hlist_nulls_node",
        heads: &[("struct hlist_nulls_head", "first")],
        shape: Shape::Hlist(HlistKind::Nulls),
    },
    Family {
        traversal: "hlist",
        link: "struct hlist_bl_node",
        heads: &[("struct hlist_bl_head", "first")],
        shape: Shape::Hlist(HlistKind::BitLock),
    },
    Family {
        traversal: "llist",
        link: "struct llist_node",
        heads: &[("struct llist_head", "first")],
        shape: Shape::Hlist(HlistKind::LockLess),
    },
    Family {
        traversal: "plist",
        link: "struct plist_node",
        heads: &[("struct plist_head", "node_list")],
        shape: Shape::Plist,
    },
    Family {
        traversal: "rbtree",
        link: "struct rb_node",
        heads: &[
            ("struct rb_root", "rb_node"),
            ("struct rb_root_cached", "rb_root.rb_node"),
        ],
        shape: Shape::Rbtree,
    },
    Family {
        traversal: "rhashtable",
        link: "struct rhash_head",
        heads: &[("struct rhashtable", "")],
        shape: Shape::Rhashtable,
    },
];

/// A member that links elements.
pub(super) struct Link<'a> {
    /// The element's type.
    pub(super) element: &'a Type,
    /// Bytes from the element's start.
    pub(super) offset: u64,
    /// The member's type.
    pub(super) ty: &'a Type,
}

impl Checker<'_> {
    /// The walk named `traversal` from the head at `root` by a member; a report where the two do not fit each other or the walk.
    pub(super) fn linked(
        &mut self,
        traversal: &str,
        link: &Link<'_>,
        root: Typed,
        span: Span,
    ) -> Option<CheckedTraversal> {
        let spelled = self.strip(span, link.ty)?.to_string();
        let Some(family) = FAMILIES
            .iter()
            .find(|family| family.traversal == traversal && family.link == spelled)
        else {
            self.wrong_link(traversal, link, span);
            return None;
        };
        let begin = self.head(family, root)?;
        Some(match family.shape {
            Shape::List => CheckedTraversal::List {
                head: begin,
                link: link.offset,
                first: None,
            },
            Shape::Hlist(kind) => CheckedTraversal::Hlist {
                head: begin,
                link: link.offset,
                kind,
            },
            Shape::Plist => {
                let inside = self.layout_member(family.link, "node_list", span)?.offset;
                CheckedTraversal::List {
                    head: begin,
                    link: link.offset.saturating_add(inside),
                    first: None,
                }
            }
            Shape::Rbtree => CheckedTraversal::Rbtree {
                root: begin,
                link: link.offset,
                layout: self.rbtree_layout(span)?,
            },
            Shape::Rhashtable => CheckedTraversal::Rhashtable {
                root: begin,
                link: link.offset,
                layout: self.rhashtable_layout(span)?,
            },
        })
    }

    /// Where a family's walk begins in a head.
    fn head(&mut self, family: &Family, root: Typed) -> Option<Typed> {
        let span = root.span;
        let root = self.followed(root)?;
        let spelled = self.spelled(&root)?;
        let Some((head, path)) = family.heads.iter().find(|(head, _)| *head == spelled) else {
            let wanted: Vec<_> = family.heads.iter().map(|(head, _)| *head).collect();
            let what = format!("`{}` by a `{}`", family.traversal, family.link);
            self.wrong_root(&what, &root, &wanted);
            return None;
        };
        if path.is_empty() {
            return Some(root);
        }
        let member = self.layout_member(head, path, span)?;
        Some(at_member(root, &member, span))
    }

    /// What the children of a tree's elements hang on, by the head's type and the link's, each with the type that it is a member of; a
    /// report where the two do not fit each other.
    pub(super) fn siblings(
        &mut self,
        (parent, head): (&Type, &Type),
        (child, link): (&Type, &Type),
        span: Span,
    ) -> Option<Siblings> {
        let head_type = self.strip(span, head)?.to_string();
        let link_type = self.strip(span, link)?.to_string();
        let by_head = |family: &&Family| matches!(family.heads, [(ty, _)] if *ty == head_type);
        let (siblings, wanted) = match FAMILIES.iter().find(by_head) {
            Some(Family {
                shape: Shape::Hlist(kind),
                link,
                ..
            }) => (Siblings::Hlist(*kind), *link),
            Some(Family {
                shape: Shape::List,
                link,
                ..
            }) => (Siblings::List, *link),
            _ => {
                let (element, ty, offset) = (parent, head, 0);
                self.wrong_link(
                    "list",
                    &Link {
                        element,
                        offset,
                        ty,
                    },
                    span,
                );
                return None;
            }
        };
        if link_type != wanted {
            let (element, ty, offset) = (child, link, 0);
            let traversal = if siblings == Siblings::List {
                "list"
            } else {
                "hlist"
            };
            self.wrong_link(
                traversal,
                &Link {
                    element,
                    offset,
                    ty,
                },
                span,
            );
            return None;
        }
        Some(siblings)
    }

    /// A container of one type that `root` must be; a report where it is another.
    pub(super) fn container(
        &mut self,
        traversal: &str,
        root: Typed,
        wanted: &str,
    ) -> Option<Typed> {
        if self.spelled(&root)? == wanted {
            return Some(root);
        }
        self.wrong_root(&format!("`{traversal}`"), &root, &[wanted]);
        None
    }

    /// A struct, or what a pointer to a struct points to.
    pub(super) fn followed(&mut self, root: Typed) -> Option<Typed> {
        match self.as_struct(root)? {
            Ok((place, _)) => Some(place),
            Err(root) if root.is_place() => Some(root),
            Err(root) => {
                let message = format!("`{}` is no place in memory to start from", root.kind);
                self.error(root.span, message, "");
                None
            }
        }
    }

    fn spelled(&mut self, root: &Typed) -> Option<String> {
        Some(match &root.kind {
            ValueType::Kernel(ty) => self.strip(root.span, ty)?.to_string(),
            other => other.to_string(),
        })
    }

    /// The member is of a type that this traversal does not go by.
    pub(super) fn wrong_link(&mut self, traversal: &str, link: &Link<'_>, span: Span) {
        let named = |family: &&Family| family.traversal == traversal;
        let wanted: Vec<_> = FAMILIES.iter().filter(named).map(|one| one.link).collect();
        let spelled = link.ty.to_string();
        let label = match FAMILIES.iter().find(|family| family.link == spelled) {
            Some(other) => format!("`{}` walks by a `{spelled}`", other.traversal),
            None if is_array_of(link.ty, &wanted) => {
                "it is an array of them: name one entry, as in `pid_links[0]`".to_owned()
            }
            None => self.those_of(link.element, &wanted),
        };
        let message = format!("the member is a `{spelled}` and not a {}", either(&wanted));
        self.error(span, message, label);
    }

    /// What a walk is to start from is of a type that it cannot start from.
    pub(super) fn wrong_root(&mut self, what: &str, root: &Typed, wanted: &[&str]) {
        let label = match &root.kind {
            ValueType::Kernel(ty) if is_array_of(ty, wanted) => {
                "it is an array of them: name one entry, as in `[0]`".to_owned()
            }
            ValueType::Kernel(ty @ (Type::Struct(_) | Type::Union(_))) => self.those_of(ty, wanted),
            _ => String::new(),
        };
        let message = format!(
            "{what} starts at a {}, and this is `{}`",
            either(wanted),
            root.kind
        );
        self.error(root.span, message, label);
    }

    /// Which members of a type are of a wanted one.
    fn those_of(&self, container: &Type, wanted: &[&str]) -> String {
        let fitting: Vec<_> = wanted
            .iter()
            .flat_map(|wanted| self.members_of_type(container, wanted))
            .collect();
        if fitting.is_empty() {
            format!("no member of `{container}` is one")
        } else {
            format!("`{container}` has {}", fitting.join(", "))
        }
    }

    fn rbtree_layout(&mut self, span: Span) -> Option<RbtreeLayout> {
        let mut offset = |member| Some(self.layout_member("struct rb_node", member, span)?.offset);
        Some(RbtreeLayout {
            parent_color: offset("__rb_parent_color")?,
            left: offset("rb_left")?,
            right: offset("rb_right")?,
        })
    }
}

impl Checker<'_> {
    fn rhashtable_layout(&mut self, span: Span) -> Option<RhashtableLayout> {
        let table = self.layout_member("struct rhashtable", "tbl", span)?.offset;
        let mut offset = |member| {
            let member = self.layout_member("struct bucket_table", member, span)?;
            Some(member.offset)
        };
        Some(RhashtableLayout {
            table,
            size: offset("size")?,
            nest: offset("nest")?,
            future: offset("future_tbl")?,
            buckets: offset("buckets")?,
        })
    }
}

fn is_array_of(ty: &Type, wanted: &[&str]) -> bool {
    matches!(ty, Type::Array { element, .. } if wanted.contains(&element.to_string().as_str()))
}

/// `A`, `B` or `C`.
fn either(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}
