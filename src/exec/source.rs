//! Sources → elements: the container's address is computed, its walk is run, predictors read ahead.

use std::ops::ControlFlow;
use std::rc::Rc;

use crate::addr::VirtAddr;
use crate::lang::typed::{CheckedSource, CheckedTraversal, Predictor, Typed};
use crate::plan::Window;
use crate::value::{Place, Reason, Value};
use crate::walk::{
    Array, Chain, Element, End, Hlist, List, Maple, Pace, PerCpu, Rbtree, Tree, Xarray,
};
use crate::wave::{Borrowed, Expectation, Reader};

use super::attempt::{self, Scope, settle};
use super::context::{Bound, Context, Environment};
use super::place::place_of;
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
    let windows: Rc<[Window]> = Rc::from(run.windows.of_source(source.id));
    // A row that is not wanted is not read ahead either.
    if run.enough.is_none() {
        predict_other_end(&run.context, &source, environment, reader, &windows);
        if number == 0 {
            predict(&run.context, &source, environment, reader, &windows);
        }
    }
    let enough = std::cell::Cell::new(false);
    let mut elements = async |element: Element| {
        prefetch(&run.context, reader, element.address, &windows);
        let flow = sink(Bound::Element(element)).await;
        enough.set(flow.is_break());
        flow
    };
    let pace = match run.enough {
        Some(_) => Pace::AsWanted,
        None => Pace::All,
    };
    let problem = traverse(
        &run.context,
        &source,
        environment,
        reader,
        &windows,
        pace,
        &mut elements,
    )
    .await;
    if !enough.get()
        && let Some(last) = &source.last
    {
        let last = attempt::value(&run.context, last, environment, reader).await;
        if let Some(address) = last
            .as_integer()
            .and_then(|address| u64::try_from(address).ok())
        {
            let _ = elements(Element::new(VirtAddr::new(address), 0)).await;
        }
    }
    problem
}

/// Asks for the bytes of an element that the query uses.
fn prefetch(context: &Context, reader: &Reader, address: VirtAddr, windows: &[Window]) {
    for window in windows {
        reader.prefetch(
            context.space(),
            address.wrapping_offset(window.offset),
            window.length,
        );
    }
}

/// What a tree tells of its elements before they are handed over.
fn teller(
    context: &Rc<Context>,
    reader: &Reader,
    windows: &Rc<[Window]>,
) -> impl Fn(VirtAddr) + use<> {
    let (context, reader, windows) = (Rc::clone(context), reader.clone(), Rc::clone(windows));
    move |address| prefetch(&context, &reader, address, &windows)
}

/// Where a container is, or why that is not known.
async fn place(
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

async fn traverse(
    context: &Rc<Context>,
    source: &CheckedSource,
    environment: &Environment,
    reader: &Reader,
    windows: &Rc<[Window]>,
    pace: Pace,
    sink: &mut impl AsyncFnMut(Element) -> ControlFlow<()>,
) -> Option<String> {
    match run_traversal(context, source, environment, reader, windows, pace, sink).await {
        Ok(End::Complete | End::Enough) => None,
        Ok(End::Stopped(problem)) => Some(problem.to_string()),
        // No container at all (a kernel thread has no mm, a dead task no files): no elements.
        Err(Reason::NullPointer | Reason::Absent) => None,
        Err(reason) => Some(format!("where it begins is not known: {reason}")),
    }
}

async fn run_traversal(
    context: &Rc<Context>,
    source: &CheckedSource,
    environment: &Environment,
    reader: &Reader,
    windows: &Rc<[Window]>,
    pace: Pace,
    sink: &mut impl AsyncFnMut(Element) -> ControlFlow<()>,
) -> Result<End, Reason> {
    let space = context.space();
    let at = |typed| place(context, typed, environment, reader);
    Ok(match &source.traversal {
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
            let tell = teller(context, reader, windows);
            tree.walk_at(pace, reader, space, tell, sink).await
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
            let tell = teller(context, reader, windows);
            tree.walk(reader, space, tell, sink).await
        }
        CheckedTraversal::Array {
            base,
            count,
            entries,
        } => {
            let base = at(base).await?;
            let count = number(attempt::value(context, count, environment, reader).await)?;
            Array {
                base,
                count,
                entries: *entries,
            }
            .walk(reader, space, sink)
            .await
        }
        CheckedTraversal::Chain { first, next } => {
            let first = number(attempt::value(context, first, environment, reader).await)?;
            Chain {
                first: VirtAddr::new(first),
                next: *next,
            }
            .walk(reader, space, sink)
            .await
        }
        CheckedTraversal::Xarray { root, layout } => {
            Xarray {
                root: at(root).await?,
                layout: *layout,
            }
            .walk_at(pace, reader, space, sink)
            .await
        }
        CheckedTraversal::Maple { root, layout } => {
            Maple {
                root: at(root).await?,
                layout: *layout,
            }
            .walk_at(pace, reader, space, sink)
            .await
        }
        CheckedTraversal::PerCpu {
            symbol,
            offsets,
            mask,
            count,
        } => {
            let (symbol, offsets, mask) = (at(symbol).await?, at(offsets).await?, at(mask).await?);
            let count = number(attempt::value(context, count, environment, reader).await)?;
            PerCpu {
                symbol,
                offsets,
                mask,
                count,
            }
            .walk(reader, space, sink)
            .await
        }
        CheckedTraversal::Query(_) => End::Complete,
    })
}

fn number(value: Value) -> Result<u64, Reason> {
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
async fn walk_of(
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
    let problem = boxed_traverse(context, walk, &environment, reader, &mut found).await;
    (found, problem)
}

/// As [`traverse`], on the heap: trees call it for walks of their own.
fn boxed_traverse<'a>(
    context: &'a Rc<Context>,
    source: &'a CheckedSource,
    environment: &'a Environment,
    reader: &'a Reader,
    found: &'a mut Vec<VirtAddr>,
) -> Borrowed<'a, Option<String>> {
    Box::pin(async move {
        let windows: Rc<[Window]> = Rc::from([]);
        let mut sink = async |element: Element| {
            found.push(element.address);
            ControlFlow::Continue(())
        };
        traverse(
            context,
            source,
            environment,
            reader,
            &windows,
            Pace::All,
            &mut sink,
        )
        .await
    })
}

/// Starts what reads a list from its other end. Nothing waits for it, and nothing but time depends on it.
fn predict_other_end(
    context: &Rc<Context>,
    source: &Rc<CheckedSource>,
    environment: &Environment,
    reader: &Reader,
    windows: &Rc<[Window]>,
) {
    let both_ends = |predictor: &Predictor| matches!(predictor, Predictor::BothEnds);
    if !source.predictors.iter().any(both_ends) {
        return;
    }
    let (context, source) = (Rc::clone(context), Rc::clone(source));
    let (environment, windows) = (environment.clone(), Rc::clone(windows));
    reader.predict(move |reader| async move {
        if let CheckedTraversal::List { head, link, .. } = &source.traversal
            && let Ok(head) = place(&context, head, &environment, &reader).await
        {
            let tell = |address| prefetch(&context, &reader, address, &windows);
            List { head, link: *link }
                .predict(&reader, context.space(), tell)
                .await;
        }
    });
}

/// Starts what other walks say of a walk's elements: once for all its containers, since those walks have one root.
pub(super) fn predict(
    context: &Rc<Context>,
    source: &Rc<CheckedSource>,
    environment: &Environment,
    reader: &Reader,
    windows: &Rc<[Window]>,
) {
    for number in 0..source.predictors.len() {
        let (context, source) = (Rc::clone(context), Rc::clone(source));
        let (environment, windows) = (environment.clone(), Rc::clone(windows));
        reader.predict(move |reader| async move {
            let Some(Predictor::Walk {
                source: other,
                pointer,
                ..
            }) = source.predictors.get(number)
            else {
                return;
            };
            reader.until_surprised().await;
            let expectation = reader.expect();
            let guess = Rc::new(Guess {
                context,
                source: Rc::clone(&source),
                pointer: pointer.clone(),
                windows,
                _expectation: expectation,
            });
            predict_by_walk(&guess, other, &environment, &reader).await;
        });
    }
}

/// What a walk's elements say of another walk's.
struct Guess {
    context: Rc<Context>,
    /// The walk that is predicted.
    source: Rc<CheckedSource>,
    pointer: Typed,
    windows: Rc<[Window]>,
    /// Walks wait for these guesses.
    _expectation: Expectation,
}

/// Reads ahead what another walk's elements point to.
async fn predict_by_walk(
    guess: &Rc<Guess>,
    other: &Rc<CheckedSource>,
    environment: &Environment,
    reader: &Reader,
) {
    let mut sink = async |element: Element| {
        let inner = environment.with_source(other.id, Bound::Element(element));
        let guess = Rc::clone(guess);
        reader.predict(move |reader| async move { guess.follow(inner, reader).await });
        ControlFlow::Continue(())
    };
    let none: Rc<[Window]> = Rc::from([]);
    traverse(
        &guess.context,
        other,
        environment,
        reader,
        &none,
        Pace::All,
        &mut sink,
    )
    .await;
}

impl Guess {
    /// Reads an element ahead, and where its children hang.
    async fn follow(&self, environment: Environment, reader: Reader) {
        let target = attempt::value(&self.context, &self.pointer, &environment, &reader).await;
        let Some(address) = target
            .as_integer()
            .and_then(|address| u64::try_from(address).ok())
        else {
            return;
        };
        let address = VirtAddr::new(address);
        prefetch(&self.context, &reader, address, &self.windows);
        if let CheckedTraversal::Tree {
            through: Some(through),
            ..
        } = &self.source.traversal
        {
            // What is wrong with a guess is nobody's business.
            let (holders, _) = walk_of(&self.context, through, address, &reader).await;
            for holder in holders {
                prefetch(&self.context, &reader, holder, &self.windows);
            }
        }
    }
}
