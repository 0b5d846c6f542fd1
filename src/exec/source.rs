//! Sources → elements: the container's address is computed, its walk is run.

use std::ops::ControlFlow;
use std::rc::Rc;

use crate::addr::VirtAddr;
use crate::lang::typed::{CheckedSource, CheckedTraversal, Typed};
use crate::value::{Place, Reason, Value};
use crate::walk::{
    Array, Bits, Branches, Chain, Element, End, Hlist, List, Maple, Pace, PerCpu, Rbtree,
    Rhashtable, Ring, Slab, SlabLayout, Tree, Trie, Xarray,
};
use crate::wave::{Borrowed, Reader};

use super::ahead::{Ahead, prefetch, teller};
use super::attempt::{self, Scope, settle};
use super::composed;
use super::condition::Judged;
use super::context::{Bound, Context, Environment};
use super::frames::frames;
use super::image;
use super::kernel_text;
use super::place::place_of;
use super::predict::{predict, predict_other_end};
use super::query::{self, WalkRun};

/// Hands a source's elements to `sink`; returns why the walk stopped before its end, if it did.
pub(super) async fn walk(
    run: &Rc<WalkRun>,
    number: usize,
    environment: &Environment,
    reader: &Reader,
    sink: &mut impl AsyncFnMut(Bound) -> ControlFlow<()>,
) -> Option<String> {
    let source = Rc::clone(run.body()?.sources.get(number)?);
    if let CheckedTraversal::Query(nested) = &source.traversal {
        for cells in query::run(&run.context, nested, environment.clone(), reader.clone()).await {
            if sink(Bound::Cells(Rc::from(cells))).await.is_break() {
                break;
            }
        }
        return None;
    }
    if let CheckedTraversal::Text { comparison, rows } = &source.traversal {
        return kernel_text::walk(&run.context, comparison, *rows, reader, sink).await;
    }
    if let CheckedTraversal::Image { table, range } = &source.traversal {
        return image::walk(&run.context, *table, range, reader, sink).await;
    }
    let thin = run.thin.as_ref().filter(|_| number == 0);
    let mut ahead = match thin {
        Some(thin) => thin.ahead(),
        None => Ahead::new(&run.windows, source.id),
    };
    if run.enough.is_some() {
        ahead.pace = Pace::AsWanted;
    }
    // A row that is not wanted is not read ahead either.
    if run.enough.is_none() {
        predict_other_end(&run.context, &source, environment, reader, &ahead.windows);
        if number == 0 {
            predict(&run.context, &source, environment, reader, &ahead);
        }
    }
    let mut elements = async |element: Element| {
        if thin.is_some_and(|thin| !thin.takes(&run.context, element.address)) {
            return ControlFlow::Continue(());
        }
        let windows = thin.map_or(&*ahead.windows, |thin| &thin.whole);
        prefetch(&run.context, reader, element.address, windows);
        sink(Bound::Element(element)).await
    };
    traverse(
        &run.context,
        &source,
        environment,
        reader,
        &ahead,
        &mut elements,
    )
    .await
}

/// Where a container is, or why that is not known.
pub(super) async fn place(
    context: &Rc<Context>,
    typed: &Typed,
    environment: &Environment,
    reader: &Reader,
) -> Result<VirtAddr, Reason> {
    settle(context, reader, |attempt| {
        place_of(attempt, typed, Scope::of(environment))
    })
    .await
}

/// Hands over what of a source's container, and what comes behind it, are elements.
pub(super) async fn traverse(
    context: &Rc<Context>,
    source: &CheckedSource,
    environment: &Environment,
    reader: &Reader,
    ahead: &Ahead,
    sink: &mut impl AsyncFnMut(Element) -> ControlFlow<()>,
) -> Option<String> {
    let Some(condition) = &source.filter else {
        return unconditional(context, source, environment, reader, ahead, sink).await;
    };
    let mut judged = Judged::new(context, source, condition, environment);
    let mut ended = false;
    let problem = unconditional(
        context,
        source,
        environment,
        reader,
        ahead,
        &mut async |element: Element| {
            prefetch(context, reader, element.address, &ahead.windows);
            let flow = judged.add(element, reader, sink).await;
            ended = flow.is_break();
            flow
        },
    )
    .await;
    if ended || judged.finish(reader, sink).await.is_break() {
        return None;
    }
    problem.or(judged.problem)
}

/// As [`traverse`], whatever the walk's condition says.
async fn unconditional(
    context: &Rc<Context>,
    source: &CheckedSource,
    environment: &Environment,
    reader: &Reader,
    ahead: &Ahead,
    sink: &mut impl AsyncFnMut(Element) -> ControlFlow<()>,
) -> Option<String> {
    let mut enough = false;
    let mut count = 0;
    let mut counted = async |element: Element| {
        count += 1;
        let flow = sink(element).await;
        enough = flow.is_break();
        flow
    };
    let problem = match &source.traversal {
        CheckedTraversal::Through { outer, inner } => {
            let walks = (outer, inner);
            composed::through(context, walks, environment, reader, ahead, &mut counted).await
        }
        CheckedTraversal::Union(walks) => {
            composed::union(context, walks, environment, reader, ahead, &mut counted).await
        }
        plain => container(context, plain, environment, reader, ahead, &mut counted).await,
    };
    if !enough
        && let Some(last) = &source.last
        && let Ok(address) = number(attempt::value(context, last, environment, reader).await)
    {
        let _ = sink(Element::new(VirtAddr::new(address), count)).await;
    }
    problem
}

/// The elements of one container.
async fn container(
    context: &Rc<Context>,
    traversal: &CheckedTraversal,
    environment: &Environment,
    reader: &Reader,
    ahead: &Ahead,
    sink: &mut impl AsyncFnMut(Element) -> ControlFlow<()>,
) -> Option<String> {
    match run_traversal(context, traversal, environment, reader, ahead, sink).await {
        Ok(End::Complete | End::Enough) => None,
        Ok(End::Stopped(problem)) => Some(problem.to_string()),
        // No container at all (a kernel thread has no mm, a dead task no files): no elements.
        Err(Reason::NullPointer | Reason::Absent) => None,
        Err(reason) => Some(format!("where it begins is not known: {reason}")),
    }
}

async fn run_traversal(
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
            through,
        } => {
            let root = at(root).await?;
            let through = through.clone().map(|through| holders(context, through));
            let tree = Tree {
                root,
                children: *children,
                sibling: *sibling,
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

pub(super) fn number(value: Value) -> Result<u64, Reason> {
    match value {
        Value::Null(reason) => Err(reason),
        value => value
            .as_integer()
            .and_then(|number| u64::try_from(number).ok())
            .ok_or(Reason::OutOfRange),
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

/// The elements of a walk of the object at `address`, and why it stopped before its end, if it did.
pub(super) async fn walk_of(
    context: &Rc<Context>,
    walk: &CheckedSource,
    address: VirtAddr,
    reader: &Reader,
) -> (Vec<VirtAddr>, Option<String>) {
    let owner = Value::Place(Place {
        address,
        ty: walk.element.clone(),
    });
    let environment = Environment::default().with_locals(vec![owner]);
    let mut found = Vec::new();
    let mut take = |element: Element| {
        found.push(element.address);
        ControlFlow::Continue(())
    };
    let ahead = Ahead::default();
    let problem = boxed_traverse(context, walk, &environment, reader, &ahead, &mut take).await;
    (found, problem)
}

/// Takes elements at once.
type Taking<'a> = dyn FnMut(Element) -> ControlFlow<()> + 'a;

/// As [`traverse`], on the heap: walks call it for walks of their own.
pub(super) fn boxed_traverse<'a>(
    context: &'a Rc<Context>,
    source: &'a CheckedSource,
    environment: &'a Environment,
    reader: &'a Reader,
    ahead: &'a Ahead,
    take: &'a mut Taking<'_>,
) -> Borrowed<'a, Option<String>> {
    Box::pin(async move {
        let mut sink = async |element: Element| take(element);
        traverse(context, source, environment, reader, ahead, &mut sink).await
    })
}

/// As [`container`], on the heap.
pub(super) fn boxed_container<'a>(
    context: &'a Rc<Context>,
    traversal: &'a CheckedTraversal,
    environment: &'a Environment,
    reader: &'a Reader,
    ahead: &'a Ahead,
    take: &'a mut Taking<'_>,
) -> Borrowed<'a, Option<String>> {
    Box::pin(async move {
        let mut sink = async |element: Element| take(element);
        container(context, traversal, environment, reader, ahead, &mut sink).await
    })
}
