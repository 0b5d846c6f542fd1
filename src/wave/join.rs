//! The outputs of spawned futures.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::Poll;

use super::cache::TaskId;
use super::engine::{Engine, Task};
use super::reader::Reader;

/// The output of a spawned future, to come.
pub struct JoinHandle<T> {
    state: Rc<JoinState<T>>,
    engine: Rc<Engine>,
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("JoinHandle").finish_non_exhaustive()
    }
}

pub(super) struct JoinState<T> {
    output: RefCell<Option<T>>,
    waiter: Cell<Option<TaskId>>,
    /// The depth that the future has reached; its waiter goes on from there.
    depth: Rc<Cell<u32>>,
}

impl<T: 'static> JoinHandle<T> {
    pub(super) fn new(engine: Rc<Engine>, depth: Rc<Cell<u32>>) -> Self {
        let state = JoinState {
            output: RefCell::new(None),
            waiter: Cell::new(None),
            depth,
        };
        Self {
            state: Rc::new(state),
            engine,
        }
    }

    /// Wraps `future` so that its output comes out of this handle.
    pub(super) fn task(&self, future: impl Future<Output = T> + 'static) -> Task {
        let state = Rc::clone(&self.state);
        let engine = Rc::clone(&self.engine);
        Box::pin(async move {
            let output = future.await;
            *state.output.borrow_mut() = Some(output);
            if let Some(waiter) = state.waiter.take() {
                engine.wake(waiter);
            }
        })
    }

    /// The output, if it is there.
    pub(crate) fn take(&self) -> Option<T> {
        self.state.output.borrow_mut().take()
    }

    /// Waits for the output. What `reader` reads from here on depends on what the future read.
    pub async fn join(self, reader: &Reader) -> T {
        let output = poll_fn(|_| match self.take() {
            Some(output) => Poll::Ready(output),
            None => {
                self.state.waiter.set(self.engine.current());
                Poll::Pending
            }
        })
        .await;
        reader.absorb(self.state.depth.get());
        output
    }
}
