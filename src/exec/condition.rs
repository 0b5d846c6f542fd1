//! `where` of a walk: what of its container is an element. All conditions are computed at the same time, the walk goes on meanwhile.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::task::Poll;

use crate::lang::typed::{CheckedSource, Typed};
use crate::value::{Reason, Value};
use crate::walk::Element;
use crate::wave::{JoinHandle, Reader};

use super::attempt::{self, Scope, once};
use super::composed::bind;
use super::context::{Bound, Context, Environment};
use super::evaluate;

/// Conditions that are computed at the same time.
const MOST_CONDITIONS: usize = 4096;

/// Whether something is an element.
#[derive(Debug)]
enum Verdict {
    /// With the reads that it took to know.
    Known(Value, u32),
    Coming(JoinHandle<Value>),
}

/// What may be elements, in order, with what is known of their conditions.
#[derive(Debug)]
pub(super) struct Judged<'a> {
    context: &'a Rc<Context>,
    source: &'a CheckedSource,
    condition: &'a Rc<Typed>,
    environment: &'a Environment,
    pending: VecDeque<(Element, Verdict)>,
    /// Why it is not known of one whether it is an element.
    pub(super) problem: Option<String>,
}

impl<'a> Judged<'a> {
    pub(super) fn new(
        context: &'a Rc<Context>,
        source: &'a CheckedSource,
        condition: &'a Rc<Typed>,
        environment: &'a Environment,
    ) -> Self {
        Self {
            context,
            source,
            condition,
            environment,
            pending: VecDeque::new(),
            problem: None,
        }
    }

    /// Takes one more, and hands over those before it that are known to be elements.
    pub(super) async fn add(
        &mut self,
        element: Element,
        reader: &Reader,
        sink: &mut impl AsyncFnMut(Element) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let verdict = self.judge(&element, reader);
        self.pending.push_back((element, verdict));
        while let Some((_, Verdict::Known(..))) = self.pending.front() {
            self.hand_over_first(reader, sink).await?;
        }
        if self.pending.len() >= MOST_CONDITIONS {
            self.hand_over_first(reader, sink).await?;
        }
        ControlFlow::Continue(())
    }

    /// Hands over the rest.
    pub(super) async fn finish(
        &mut self,
        reader: &Reader,
        sink: &mut impl AsyncFnMut(Element) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        while !self.pending.is_empty() {
            self.hand_over_first(reader, sink).await?;
        }
        ControlFlow::Continue(())
    }

    fn judge(&self, element: &Element, reader: &Reader) -> Verdict {
        let bound = Bound::Element(element.clone());
        let environment = bind(self.environment, self.source, bound);
        let chain = reader.fork();
        let now = once(self.context, &chain, |attempt| {
            evaluate::value(attempt, self.condition, Scope::of(&environment))
        });
        if let Poll::Ready(value) = now {
            return Verdict::Known(value, chain.depth());
        }
        let (context, condition) = (Rc::clone(self.context), Rc::clone(self.condition));
        Verdict::Coming(reader.spawn(move |reader| async move {
            attempt::value(&context, &condition, &environment, &reader).await
        }))
    }

    async fn hand_over_first(
        &mut self,
        reader: &Reader,
        sink: &mut impl AsyncFnMut(Element) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let Some((element, verdict)) = self.pending.pop_front() else {
            return ControlFlow::Continue(());
        };
        // The walk itself does not depend on what its elements are like.
        let walked = reader.depth();
        let value = match verdict {
            Verdict::Known(value, depth) => {
                reader.set_depth(walked.max(depth));
                value
            }
            Verdict::Coming(value) => value.join(reader).await,
        };
        if let Value::Null(reason @ (Reason::Unreadable(_) | Reason::Unavailable(_))) = &value {
            let at = element.address;
            self.problem
                .get_or_insert(format!("whether {at} is an element is not known: {reason}"));
        }
        let judged = reader.depth();
        let flow = if value.truth() == Some(true) {
            sink(element).await
        } else {
            ControlFlow::Continue(())
        };
        if reader.depth() == judged {
            reader.set_depth(walked);
        }
        flow
    }
}
