//! Sources → elements: the container's address is computed, its walk is run.

use std::ops::ControlFlow;
use std::rc::Rc;

use crate::addr::VirtAddr;
use crate::lang::typed::{CheckedSource, CheckedTraversal, Typed};
use crate::value::{Place, Reason, Value};
use crate::walk::{Element, End, Pace};
use crate::wave::{Borrowed, Reader};

use super::ahead::{Ahead, prefetch};
use super::attempt::{self, Scope, settle};
use super::composed;
use super::condition::Judged;
use super::container;
use super::context::{Bound, Context, Environment};
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
    match container::run(context, traversal, environment, reader, ahead, sink).await {
        Ok(End::Complete | End::Enough) => None,
        Ok(End::Stopped(problem)) => Some(problem.to_string()),
        // No container at all (a kernel thread has no mm, a dead task no files): no elements.
        Err(Reason::NullPointer | Reason::Absent) => None,
        Err(reason) => Some(format!("where it begins is not known: {reason}")),
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

/// As [`container()`], on the heap.
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
