//! The rows of a source's elements, in the elements' order, however early or late each is known.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::task::Poll;

use crate::value::Value;
use crate::wave::{JoinHandle, Reader};

use super::attempt::once;
use super::context::Environment;
use super::query::{RowState, WalkRun, filtered};

/// Innermost rows that are computed at the same time: far more than a transport has in flight, few enough to stay small. Elements
/// beyond them are read ahead all the same.
const MOST_INNERMOST: usize = 4096;

/// As many for rows whose inner sources are walked.
const MOST_OUTER: usize = 16 * 1024;

/// The rows of one element.
#[derive(Debug)]
enum Rows {
    /// Computed.
    Known(Vec<Vec<Value>>),
    /// Being computed.
    Coming(JoinHandle<Vec<Vec<Value>>>),
    /// Not begun: what names stand for, and the reads that led there.
    Waiting(Environment, u32),
}

/// Rows in the order of their elements, as far as they are wanted.
#[derive(Debug)]
pub(super) struct Collected {
    run: Rc<WalkRun>,
    /// Which source's elements they belong to.
    number: usize,
    is_innermost: bool,
    /// Reads for rows; a walk does not depend on them.
    reader: Reader,
    pending: VecDeque<Rows>,
    /// How many of the pending, from the first on, have been begun.
    begun: usize,
    rows: Vec<Vec<Value>>,
}

impl Collected {
    pub(super) fn new(run: &Rc<WalkRun>, number: usize, reader: &Reader) -> Self {
        let sources = run.body().map_or(0, |body| body.sources.len());
        Self {
            run: Rc::clone(run),
            number,
            is_innermost: number + 1 >= sources,
            reader: reader.fork(),
            pending: VecDeque::new(),
            begun: 0,
            rows: Vec::new(),
        }
    }

    /// Takes one more element. Where only so many rows are wanted, no more elements are begun than could give them.
    pub(super) async fn add(&mut self, element: Environment, walked: &Reader) -> ControlFlow<()> {
        self.pending
            .push_back(Rows::Waiting(element, walked.depth()));
        self.begin();
        let Some(enough) = self.run.enough else {
            return ControlFlow::Continue(());
        };
        while self.rows.len() + self.pending.len() >= enough && !self.pending.is_empty() {
            self.join_first().await;
        }
        // How far the walk goes depends on what it has given.
        walked.set_depth(walked.depth().max(self.reader.depth()));
        if self.rows.len() >= enough {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// All rows.
    pub(super) async fn finish(mut self, walked: &Reader) -> Vec<Vec<Value>> {
        while !self.pending.is_empty() {
            self.join_first().await;
        }
        walked.set_depth(walked.depth().max(self.reader.depth()));
        self.rows
    }

    /// Begins waiting elements as far as there may be more rows in progress.
    fn begin(&mut self) {
        let most = if self.is_innermost {
            MOST_INNERMOST
        } else {
            MOST_OUTER
        };
        while self.run.live_rows(self.is_innermost).get() < most && self.begin_next() {
            if self.begun == 1 {
                self.take_known();
            }
        }
    }

    /// Begins the first waiting element, if there is one.
    fn begin_next(&mut self) -> bool {
        let Some(Rows::Waiting(element, depth)) = self.pending.get(self.begun) else {
            return false;
        };
        let rows = self.start(element.clone(), *depth);
        self.pending[self.begun] = rows;
        self.begun += 1;
        true
    }

    /// Moves the rows that are known and first in order to where they belong.
    fn take_known(&mut self) {
        while let Some(Rows::Known(rows)) = self.pending.front_mut() {
            self.rows.append(rows);
            self.pending.pop_front();
            self.begun = self.begun.saturating_sub(1);
        }
    }

    async fn join_first(&mut self) {
        self.begin();
        if self.begun == 0 {
            // The others that are in progress are not ours: one of our own may always be.
            self.begin_next();
        }
        if let Some(Rows::Coming(_)) = self.pending.front()
            && let Some(Rows::Coming(handle)) = self.pending.pop_front()
        {
            self.begun = self.begun.saturating_sub(1);
            let mut rows = handle.join(&self.reader).await;
            self.rows.append(&mut rows);
        }
        self.take_known();
    }

    /// Computes an element's row if all its bytes are here, as they are where something has read ahead; otherwise begins it.
    fn start(&self, element: Environment, depth: u32) -> Rows {
        let Self {
            run,
            number,
            is_innermost,
            reader,
            ..
        } = self;
        let (number, is_innermost) = (*number, *is_innermost);
        let before = reader.depth();
        reader.set_depth(depth);
        if is_innermost && let Some(body) = run.body() {
            let computed = once(&run.context, reader, |attempt| {
                RowState::default().innermost(attempt, body, number, &element)
            });
            if let Poll::Ready(rows) = computed {
                reader.set_depth(before.max(reader.depth()));
                return Rows::Known(rows);
            }
            reader.set_depth(depth);
        }
        let begun = Rc::clone(run);
        run.live_rows(is_innermost).update(|live| live + 1);
        let rows = reader.spawn(move |reader| async move {
            let rows = filtered(Rc::clone(&begun), number, element, reader).await;
            begun
                .live_rows(is_innermost)
                .update(|live| live.saturating_sub(1));
            rows
        });
        reader.set_depth(before);
        Rows::Coming(rows)
    }
}
