//! Containers: their addresses and sizes are computed, and the walks of room `walk` run over them.

use std::ops::ControlFlow;
use std::rc::Rc;

use crate::addr::VirtAddr;
use crate::lang::typed::{CheckedSource, CheckedTraversal};
use crate::value::Reason;
use crate::walk::{
    Array, Bits, Branches, Chain, Element, End, Hlist, List, Maple, PageTables, PerCpu, Rbtree,
    Records, Rhashtable, Ring, Slab, SlabLayout, Tree, Trie, Xarray,
};
use crate::wave::Reader;

use super::ahead::{Ahead, teller};
use super::attempt;
use super::context::{Context, Environment};
use super::frames::frames;
use super::source::{number, place, walk_of};

/// Computes where a container is, and hands its elements to `sink`. Errors: why its place, or what tells its size, is not known.
pub(super) async fn run(
    context: &Rc<Context>,
    traversal: &CheckedTraversal,
    environment: &Environment,
    reader: &Reader,
    ahead: &Ahead,
    sink: &mut impl AsyncFnMut(Element) -> ControlFlow<()>,
) -> Result<End, Reason> {
    let space = context.space();
    let at = |typed| place(context, typed, environment, reader);
    let number_of = async |typed| number(attempt::value(context, typed, environment, reader).await);
    Ok(match traversal {
        CheckedTraversal::List { head, link, first } => {
            if let Some(first) = first {
                let first = at(first).await?;
                if sink(Element::new(first, 0)).await.is_break() {
                    return Ok(End::Enough);
                }
            }
            let shift = u64::from(first.is_some());
            let list = List {
                head: at(head).await?,
                link: *link,
            };
            list.walk(reader, space, &mut async |element: Element| {
                let index = element.index + shift;
                sink(Element { index, ..element }).await
            })
            .await
        }
        CheckedTraversal::Hlist { head, link, kind } => {
            Hlist {
                head: at(head).await?,
                link: *link,
                kind: *kind,
            }
            .walk(reader, space, sink)
            .await
        }
        CheckedTraversal::Rbtree { root, link, layout } => {
            let tree = Rbtree {
                root: at(root).await?,
                link: *link,
                layout: *layout,
            };
            let tell = teller(context, reader, &ahead.windows);
            tree.walk_at(ahead.pace, reader, space, tell, sink).await
        }
        CheckedTraversal::Tree {
            root,
            children,
            sibling,
            siblings,
            through,
        } => {
            let root = at(root).await?;
            let through = through.clone().map(|through| holders(context, through));
            let tree = Tree {
                root,
                children: *children,
                sibling: *sibling,
                siblings: *siblings,
                through,
            };
            let tell = teller(context, reader, &ahead.windows);
            tree.walk(reader, space, tell, sink).await
        }
        CheckedTraversal::Array {
            base,
            count,
            entries,
        } => {
            let base = at(base).await?;
            let count = number_of(count).await?;
            Array {
                base,
                count,
                entries: *entries,
            }
            .walk(reader, space, sink)
            .await
        }
        CheckedTraversal::Chain { first, next } => {
            let first = number_of(first).await?;
            Chain {
                first: VirtAddr::new(first),
                next: *next,
            }
            .walk(reader, space, sink)
            .await
        }
        CheckedTraversal::Ring {
            base,
            length,
            size,
            first,
            last,
        } => {
            Ring {
                base: at(base).await?,
                length: number_of(length).await?,
                size: *size,
                first: number_of(first).await?,
                last: number_of(last).await?,
            }
            .walk(sink)
            .await
        }
        CheckedTraversal::Records {
            base,
            length,
            first,
            end,
            smallest,
            size,
            size_width,
        } => {
            let records = Records {
                base: VirtAddr::new(number_of(base).await?),
                length: number_of(length).await?,
                first: number_of(first).await?,
                end: number_of(end).await?,
                smallest: *smallest,
                size: *size,
                size_width: *size_width,
            };
            records.walk(reader, space, sink).await
        }
        CheckedTraversal::Branches {
            first,
            child,
            sibling,
        } => {
            let first = number_of(first).await?;
            let tree = Branches {
                first: VirtAddr::new(first),
                child: *child,
                sibling: *sibling,
            };
            let tell = teller(context, reader, &ahead.windows);
            tree.walk(reader, space, tell, sink).await
        }
        CheckedTraversal::Trie {
            first,
            bits,
            children,
        } => {
            let trie = Trie {
                first: VirtAddr::new(number_of(first).await?),
                bits: *bits,
                children: *children,
            };
            let tell = teller(context, reader, &ahead.windows);
            trie.walk(reader, space, tell, sink).await
        }
        CheckedTraversal::Xarray { root, layout } => {
            Xarray {
                root: at(root).await?,
                layout: *layout,
            }
            .walk_at(ahead.pace, reader, space, sink)
            .await
        }
        CheckedTraversal::Maple { root, layout } => {
            Maple {
                root: at(root).await?,
                layout: *layout,
            }
            .walk_at(ahead.pace, reader, space, sink)
            .await
        }
        CheckedTraversal::PerCpu {
            symbol,
            offsets,
            mask,
            count,
        } => {
            let (symbol, offsets, mask) = (at(symbol).await?, at(offsets).await?, at(mask).await?);
            let count = number_of(count).await?;
            PerCpu {
                symbol,
                offsets,
                mask,
                count,
            }
            .walk(reader, space, sink)
            .await
        }
        CheckedTraversal::Slab {
            cache,
            pages,
            page_count,
            nodes,
            offsets,
            mask,
            cpus,
            layout,
        } => {
            Slab {
                cache: at(cache).await.map_err(no_cache)?,
                pages: at(pages).await?,
                page_count: number_of(page_count).await?,
                nodes: number_of(nodes).await?,
                direct_map: VirtAddr::new(context.target.direct_map),
                offsets: at(offsets).await?,
                mask: at(mask).await?,
                cpus: number_of(cpus).await?,
                layout: SlabLayout::clone(layout),
            }
            .walk(reader, space, sink)
            .await
        }
        CheckedTraversal::Rhashtable { root, link, layout } => {
            let table = Rhashtable {
                root: at(root).await?,
                link: *link,
                layout: *layout,
            };
            let tell = teller(context, reader, &ahead.windows);
            table.walk(reader, space, tell, sink).await
        }
        CheckedTraversal::Bits { mask, count, word } => {
            let mask = at(mask).await?;
            let (word, count) = (*word, number_of(count).await?);
            Bits { mask, word, count }.walk(reader, space, sink).await
        }
        CheckedTraversal::PageTables(root) => {
            let root = number_of(root).await?;
            if root == 0 {
                return Err(Reason::NullPointer);
            }
            PageTables {
                root: VirtAddr::new(root),
                direct_map: VirtAddr::new(context.target.direct_map),
            }
            .walk(reader, space, sink)
            .await
        }
        CheckedTraversal::Follow(pointer) => {
            let pointer = number_of(pointer).await?;
            if pointer == 0 {
                return Err(Reason::NullPointer);
            }
            let element = Element::pointed_at(VirtAddr::new(pointer), 0);
            match sink(element).await {
                ControlFlow::Continue(()) => End::Complete,
                ControlFlow::Break(()) => End::Enough,
            }
        }
        CheckedTraversal::Frames(checked) => {
            frames(context, checked, environment, reader)
                .await?
                .walk_at(ahead.pace, reader, space, sink)
                .await
        }
        CheckedTraversal::Through { .. }
        | CheckedTraversal::Union(_)
        | CheckedTraversal::Query(_)
        | CheckedTraversal::Text { .. }
        | CheckedTraversal::Image { .. } => End::Complete,
    })
}

/// Why a slab cache cannot be walked: one that is not found is no empty one.
fn no_cache(reason: Reason) -> Reason {
    match reason {
        Reason::NullPointer | Reason::Absent => Reason::Unavailable(
            "there is no such slab cache (`walk slabs select name` lists them)".into(),
        ),
        other => other,
    }
}

/// The objects whose children count as an element's own: the elements of a walk of it.
fn holders(
    context: &Rc<Context>,
    through: Rc<CheckedSource>,
) -> Rc<dyn Fn(Reader, VirtAddr) -> crate::walk::Holders> {
    let context = Rc::clone(context);
    Rc::new(move |reader, address| {
        let (context, through) = (Rc::clone(&context), Rc::clone(&through));
        Box::pin(async move {
            let (found, problem) = walk_of(&context, &through, address, &reader).await;
            if let Some(why) = problem {
                context.stopped(&through.name, why);
            }
            if found.is_empty() {
                vec![address]
            } else {
                found
            }
        })
    })
}
