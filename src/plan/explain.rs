//! A plan as text: sources, where each begins, what is read of each element, what reads ahead, what is computed.

use std::fmt::Write;

use crate::lang::typed::{
    CheckedBody, CheckedQuery, CheckedSource, CheckedTraversal, Node, Predictor, Typed, WalkBody,
};
use crate::profile::Type;
use crate::walk::HlistKind;

use super::coalesce::{USUAL_READ, Windows, reads};

/// The plan of a query, one line a step, nested queries indented.
pub fn explain(query: &CheckedQuery) -> String {
    let mut out = String::new();
    write_query(&mut out, query, 0);
    out
}

fn line(out: &mut String, depth: usize, text: &str) {
    let _ = writeln!(out, "{:width$}{text}", "", width = depth * 2);
}

fn write_query(out: &mut String, query: &CheckedQuery, depth: usize) {
    match &query.body {
        CheckedBody::Walk(body) => write_walk(out, body, depth),
        CheckedBody::Set {
            operator,
            left,
            right,
        } => {
            line(out, depth, &format!("{operator:?} of").to_lowercase());
            write_query(out, left, depth + 1);
            line(out, depth, "and");
            write_query(out, right, depth + 1);
        }
    }
    if !query.order.is_empty() {
        line(
            out,
            depth,
            &format!("sort all rows by {} key(s), nulls last", query.order.len()),
        );
    }
    if let Some(limit) = query.limit {
        let skipped = match query.offset {
            0 => String::new(),
            offset => format!(", having skipped {offset}"),
        };
        let reading = if query.streams() {
            ": nothing is read ahead, and trees are read node by node, as far as these rows need"
        } else {
            ""
        };
        line(
            out,
            depth,
            &format!("stop after {limit} row(s){skipped}{reading}"),
        );
    }
}

fn write_walk(out: &mut String, body: &WalkBody, depth: usize) {
    let windows = Windows::of(body);
    for (number, source) in body.sources.iter().enumerate() {
        let each = if number == 0 {
            "walk"
        } else {
            "for each: walk"
        };
        line(
            out,
            depth,
            &format!("{each} {}: {}", source.name, traversal(source)),
        );
        if let CheckedTraversal::Query(query) = &source.traversal {
            write_query(out, query, depth + 1);
        }
        let spans = windows.of_source(source.id);
        if !spans.is_empty() {
            let count = reads(&spans, USUAL_READ);
            let spans: Vec<_> = spans
                .iter()
                .map(|span| format!("{:#x}+{}", span.offset, span.length))
                .collect();
            line(
                out,
                depth + 1,
                &format!(
                    "read of each element, at once: {} ({count} read{})",
                    spans.join(", "),
                    if count == 1 { "" } else { "s" }
                ),
            );
        }
        for predictor in &source.predictors {
            let text = match predictor {
                Predictor::BothEnds => "read ahead: from the list's other end".to_owned(),
                Predictor::Walk { name, .. } => {
                    format!("read ahead: what `{name}` points to, breadth first")
                }
            };
            line(out, depth + 1, &text);
        }
        let filters = body.filters.get(number).map_or(0, Vec::len);
        if filters > 0 {
            line(
                out,
                depth + 1,
                &format!("keep those that {filters} condition(s) hold for"),
            );
        }
    }
    let deepest = body.outputs.iter().map(pointers).max().unwrap_or(0);
    line(
        out,
        depth,
        &format!(
            "compute {} column(s), all rows together; longest chain of pointers: {deepest}",
            body.outputs.len()
        ),
    );
    if let Some(grouping) = &body.grouping {
        line(
            out,
            depth,
            &format!(
                "group by {} key(s), {} aggregate(s)",
                grouping.keys.len(),
                grouping.aggregates.len()
            ),
        );
    }
}

/// How a source goes from element to element, in one line.
fn traversal(source: &CheckedSource) -> String {
    let condition = if source.filter.is_some() {
        ", those that its `where` holds for"
    } else {
        ""
    };
    format!(
        "{}{condition}",
        traversal_to(&source.element, &source.traversal)
    )
}

fn traversal_to(element: &Type, traversal: &CheckedTraversal) -> String {
    match traversal {
        CheckedTraversal::List { link, .. } => format!(
            "list of `{element}`, linked at {link:#x}; a round an element, less what is read ahead"
        ),
        CheckedTraversal::Hlist { link, kind, .. } => {
            let name = match kind {
                HlistKind::Plain => "hlist",
                HlistKind::Nulls => "hlist_nulls",
                HlistKind::BitLock => "hlist_bl",
                HlistKind::LockLess => "llist",
            };
            format!("{name} of `{element}`, linked at {link:#x}; a round an element")
        }
        CheckedTraversal::Rbtree { link, .. } => {
            format!("red-black tree of `{element}`, linked at {link:#x}; a round a level")
        }
        CheckedTraversal::Tree { .. } => format!("tree of `{element}`, all subtrees together"),
        CheckedTraversal::Array { .. } => format!("array of `{element}`, one round"),
        CheckedTraversal::Chain { .. } => format!("chain of `{element}`; a round an element"),
        CheckedTraversal::Ring { .. } => format!("ring of `{element}`, one round"),
        CheckedTraversal::Records { .. } => {
            format!("records of `{element}` in a buffer, 4 MiB a round")
        }
        CheckedTraversal::Branches { .. } => {
            format!("tree of `{element}` by pointers; a round a sibling, all branches together")
        }
        CheckedTraversal::Trie { .. } => {
            format!("trie of `{element}`; a round or two a level, all branches together")
        }
        CheckedTraversal::Xarray { .. } => format!("xarray of `{element}`; a round a level"),
        CheckedTraversal::Maple { .. } => format!("maple tree of `{element}`; a round a level"),
        CheckedTraversal::Slab { .. } => {
            format!(
                "objects of a slab cache as `{element}`; reads the page structs of all memory, 64 bytes a page"
            )
        }
        CheckedTraversal::PerCpu { .. } => format!("per-CPU `{element}`, one round"),
        CheckedTraversal::Rhashtable { link, .. } => {
            format!(
                "resizable hash table of `{element}`, linked at {link:#x}; a round an element of the longest chain"
            )
        }
        CheckedTraversal::Bits { .. } => format!("set bits of words `{element}`, one round"),
        CheckedTraversal::PageTables(_) => {
            format!("page tables, each page's entry as `{element}`; a round a level")
        }
        CheckedTraversal::Follow(_) => format!("the `{element}` that a pointer points to"),
        CheckedTraversal::Through { outer, inner } => format!(
            "{}; all at the same time, for each of `{}` ({})",
            traversal_to(element, inner),
            outer.walk,
            self::traversal(outer)
        ),
        CheckedTraversal::Union(walks) => {
            let walks: Vec<_> = walks
                .iter()
                .map(|walk| format!("`{}` ({})", walk.walk, self::traversal(walk)))
                .collect();
            format!(
                "one after the other, read at the same time: {}",
                walks.join(", ")
            )
        }
        CheckedTraversal::Frames(_) => {
            format!("frames of a stack by `{element}`; a few rounds, all frames together")
        }
        CheckedTraversal::Query(_) => "the rows of a query".to_owned(),
        CheckedTraversal::Text { comparison, .. } => {
            let text = comparison.text();
            format!(
                "the kernel's code beside its vmlinux, {} bytes, one round",
                text.end - text.start
            )
        }
        CheckedTraversal::Image { range, .. } => {
            format!(
                "a table of the kernel's image, {} bytes, one round",
                range.end.saturating_sub(range.start)
            )
        }
    }
}

/// Pointers that must be followed one after the other to compute an expression, loops counted once.
fn pointers(typed: &Typed) -> usize {
    let inside = typed
        .children()
        .into_iter()
        .map(pointers)
        .max()
        .unwrap_or(0);
    match &typed.node {
        Node::Load { .. } | Node::Text { .. } => inside + 1,
        Node::Apply(function, _) => match &function.body {
            crate::lang::typed::FunctionBody::Expression(body) => inside + pointers(body),
            crate::lang::typed::FunctionBody::Loop { result, next, .. } => {
                inside + next.iter().chain([result]).map(pointers).max().unwrap_or(0)
            }
        },
        _ => inside,
    }
}
