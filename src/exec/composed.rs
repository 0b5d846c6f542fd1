//! Walks made of walks → elements: containers in the order of the elements that hold them, or walks in turn. All of them are walked at
//! the same time; what comes out is in order.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll, Waker};

use crate::addr::VirtAddr;
use crate::lang::typed::{CheckedSource, CheckedTraversal};
use crate::walk::Element;
use crate::wave::{JoinHandle, Reader};

use super::ahead::{Ahead, prefetch};
use super::context::{Bound, Context, Environment};
use super::source::{boxed_container, boxed_traverse};

/// Containers that are walked at the same time: more than a transport has in flight. What the outer elements hold of the others is
/// read ahead all the same.
const MOST_CONTAINERS: usize = 4096;

/// What came of one container: its elements, and why its walk stopped before the end, if it did.
type Contents = (Vec<Element>, Option<String>);

/// What the walks of all containers share.
#[derive(Debug)]
struct Shared {
    context: Rc<Context>,
    environment: Environment,
    ahead: Ahead,
    /// Nobody wants more elements.
    ended: Cell<bool>,
}

impl Shared {
    fn new(context: &Rc<Context>, environment: &Environment, ahead: &Ahead) -> Rc<Self> {
        Rc::new(Self {
            context: Rc::clone(context),
            environment: environment.clone(),
            ahead: ahead.clone(),
            ended: Cell::new(false),
        })
    }

    /// Takes an element as soon as it is known, so that what is read of it is asked for.
    fn take(&self, reader: &Reader, element: Element, found: &mut Vec<Element>) -> ControlFlow<()> {
        if self.ended.get() {
            return ControlFlow::Break(());
        }
        prefetch(&self.context, reader, element.address, &self.ahead.windows);
        found.push(element);
        ControlFlow::Continue(())
    }
}

/// Hands over elements in order, numbered over the whole.
struct Handing<'a, S> {
    sink: &'a mut S,
    count: u64,
    problem: Option<String>,
}

impl<S: AsyncFnMut(Element) -> ControlFlow<()>> Handing<'_, S> {
    async fn hand_over(
        &mut self,
        contents: Contents,
        outer: Option<&Rc<Element>>,
    ) -> ControlFlow<()> {
        let (elements, problem) = contents;
        self.problem = self.problem.take().or(problem);
        for element in elements {
            let index = self.count;
            self.count += 1;
            let outer = outer.cloned();
            (self.sink)(Element {
                index,
                outer,
                ..element
            })
            .await?;
        }
        ControlFlow::Continue(())
    }
}

/// The elements of several walks, one walk after the other.
pub(super) async fn union(
    context: &Rc<Context>,
    walks: &[Rc<CheckedSource>],
    environment: &Environment,
    reader: &Reader,
    ahead: &Ahead,
    sink: &mut impl AsyncFnMut(Element) -> ControlFlow<()>,
) -> Option<String> {
    let shared = Shared::new(context, environment, ahead);
    let running: Vec<JoinHandle<Contents>> = walks
        .iter()
        .map(|walk| {
            let (shared, walk) = (Rc::clone(&shared), Rc::clone(walk));
            reader.spawn(move |reader| async move {
                let mut found = Vec::new();
                let (environment, ahead) = (&shared.environment, &shared.ahead);
                let mut take = |element| shared.take(&reader, element, &mut found);
                let context = &shared.context;
                let problem =
                    boxed_traverse(context, &walk, environment, &reader, ahead, &mut take).await;
                (found, problem)
            })
        })
        .collect();
    let mut handing = Handing {
        sink,
        count: 0,
        problem: None,
    };
    for walk in running {
        let contents = walk.join(reader).await;
        if handing.hand_over(contents, None).await.is_break() {
            shared.ended.set(true);
            return None;
        }
    }
    handing.problem
}

/// The elements of the containers that the elements of `outer` hold.
pub(super) async fn through(
    context: &Rc<Context>,
    (outer, inner): (&Rc<CheckedSource>, &Rc<CheckedTraversal>),
    environment: &Environment,
    reader: &Reader,
    ahead: &Ahead,
    sink: &mut impl AsyncFnMut(Element) -> ControlFlow<()>,
) -> Option<String> {
    let mut containers = Containers {
        shared: Shared::new(context, environment, ahead),
        outer: Rc::clone(outer),
        inner: Rc::clone(inner),
        reader: reader.fork(),
        pending: VecDeque::new(),
        begun: 0,
    };
    let outer_ahead = ahead.of(outer.id);
    let problem = boxed_traverse(
        context,
        outer,
        environment,
        reader,
        &outer_ahead,
        &mut |element| {
            prefetch(context, reader, element.address, &outer_ahead.windows);
            containers.add(element, reader.depth());
            ControlFlow::Continue(())
        },
    )
    .await;
    let mut handing = Handing {
        sink,
        count: 0,
        problem,
    };
    while let Some((contents, holder)) = containers.next(reader).await {
        if handing.hand_over(contents, Some(&holder)).await.is_break() {
            containers.shared.ended.set(true);
            return None;
        }
    }
    handing.problem
}

/// What is kept of an outer element whose container waits for its turn; there may be hundreds of thousands.
#[derive(Debug)]
struct Holder {
    address: VirtAddr,
    index: u64,
    depth: u32,
    /// The reads that led to it.
    reads: u32,
    outer: Option<Rc<Element>>,
}

impl Holder {
    fn element(&self) -> Rc<Element> {
        Rc::new(Element {
            depth: self.depth,
            outer: self.outer.clone(),
            ..Element::new(self.address, self.index)
        })
    }
}

/// An outer element's container.
#[derive(Debug)]
enum Container {
    Waiting(Holder),
    Coming(JoinHandle<Contents>, Rc<Element>),
    Known(Contents, Rc<Element>),
    /// Known to hold nothing.
    Empty,
}

/// Containers in the order of the elements that hold them.
struct Containers {
    shared: Rc<Shared>,
    outer: Rc<CheckedSource>,
    inner: Rc<CheckedTraversal>,
    /// Reads for containers; the outer walk does not depend on them.
    reader: Reader,
    pending: VecDeque<Container>,
    /// How many of the pending, from the first on, have been begun.
    begun: usize,
}

impl Containers {
    fn add(&mut self, element: Element, reads: u32) {
        self.pending.push_back(Container::Waiting(Holder {
            address: element.address,
            index: element.index,
            depth: element.depth,
            reads,
            outer: element.outer,
        }));
        self.begin();
    }

    /// The next container's contents, with the element that holds it; `reader` depends on them.
    async fn next(&mut self, reader: &Reader) -> Option<(Contents, Rc<Element>)> {
        loop {
            self.begin();
            let container = self.pending.pop_front()?;
            self.begun = self.begun.saturating_sub(1);
            match container {
                Container::Empty => {}
                Container::Known(contents, holder) => {
                    reader.set_depth(reader.depth().max(self.reader.depth()));
                    return Some((contents, holder));
                }
                Container::Coming(contents, holder) => {
                    return Some((contents.join(reader).await, holder));
                }
                // Nothing can be waiting where all before it has been taken, and it would be begun.
                Container::Waiting(_) => {}
            }
        }
    }

    /// Begins waiting containers as far as there may be more in progress. Empty ones at the front are forgotten.
    fn begin(&mut self) {
        while self.begun < MOST_CONTAINERS {
            let Some(Container::Waiting(holder)) = self.pending.get(self.begun) else {
                return;
            };
            let begun = self.start(holder);
            if self.begun == 0 && matches!(begun, Container::Empty) {
                self.pending.pop_front();
                continue;
            }
            self.pending[self.begun] = begun;
            self.begun += 1;
        }
    }

    /// Walks a container at once if all that it takes is here, as it is for empty ones where their heads were read ahead; otherwise
    /// begins to.
    fn start(&self, holder: &Holder) -> Container {
        let element = holder.element();
        let environment = bind(
            &self.shared.environment,
            &self.outer,
            Bound::Element((*element).clone()),
        );
        let chain = self.reader.fork();
        chain.set_depth(holder.reads);
        let walked = contents(
            Rc::clone(&self.shared),
            Rc::clone(&self.inner),
            environment,
            chain.clone(),
        );
        let mut walking: Pin<Box<dyn Future<Output = Contents>>> = Box::pin(walked);
        let polled = self.reader.glance(|_| {
            walking
                .as_mut()
                .poll(&mut TaskContext::from_waker(Waker::noop()))
        });
        match polled {
            Poll::Ready((elements, None)) if elements.is_empty() => {
                self.reader
                    .set_depth(self.reader.depth().max(chain.depth()));
                Container::Empty
            }
            Poll::Ready(contents) => {
                self.reader
                    .set_depth(self.reader.depth().max(chain.depth()));
                Container::Known(contents, element)
            }
            Poll::Pending => {
                let coming = self.reader.spawn(move |reader| async move {
                    let contents = walking.await;
                    reader.set_depth(chain.depth());
                    contents
                });
                Container::Coming(coming, element)
            }
        }
    }
}

/// The elements of one container.
async fn contents(
    shared: Rc<Shared>,
    inner: Rc<CheckedTraversal>,
    environment: Environment,
    reader: Reader,
) -> Contents {
    let mut found = Vec::new();
    let problem = boxed_container(
        &shared.context,
        &inner,
        &environment,
        &reader,
        &shared.ahead,
        &mut |element| shared.take(&reader, element, &mut found),
    )
    .await;
    (found, problem)
}

/// What names stand for where `source` has come to an element: that element, and those of the walks that it went through.
pub(super) fn bind(environment: &Environment, source: &CheckedSource, bound: Bound) -> Environment {
    let mut inner = environment.with_source(source.id, bound.clone());
    let Bound::Element(element) = &bound else {
        return inner;
    };
    let (mut walk, mut element) = (source, element);
    while let (CheckedTraversal::Through { outer, .. }, Some(holder)) =
        (&walk.traversal, &element.outer)
    {
        inner = inner.with_source(outer.id, Bound::Element((**holder).clone()));
        (walk, element) = (outer, holder);
    }
    inner
}
