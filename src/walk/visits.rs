//! What the concurrent parts of one walk share: where they have been, why one stopped, and whether anybody wants more.

use std::cell::{Cell, RefCell};

use rustc_hash::FxHashSet;

use crate::addr::VirtAddr;

use super::list::check;
use super::{End, Problem};

/// Where a walk has been, and why it stops.
#[derive(Default)]
pub(super) struct Visits {
    seen: RefCell<FxHashSet<VirtAddr>>,
    problem: RefCell<Option<Problem>>,
    ended: Cell<bool>,
}

impl Visits {
    /// Notes a visit; `false` where there was one before.
    pub(super) fn is_first(&self, at: VirtAddr) -> bool {
        self.seen.borrow_mut().insert(at)
    }

    /// How many places have been visited.
    pub(super) fn count(&self) -> usize {
        self.seen.borrow().len()
    }

    /// Notes a visit to what the pointer at `from` leads to, or says why not, as [`check`] does.
    pub(super) fn enter(&self, from: VirtAddr, to: VirtAddr) -> Result<(), Problem> {
        check(from, to, &mut self.seen.borrow_mut())
    }

    /// A part of the walk cannot go on. The first problem counts.
    pub(super) fn fail(&self, problem: Problem) {
        self.problem.borrow_mut().get_or_insert(problem);
    }

    /// Nobody wants more.
    pub(super) fn enough(&self) -> End {
        self.ended.set(true);
        End::Enough
    }

    /// Whether nobody wants more.
    pub(super) fn has_enough(&self) -> bool {
        self.ended.get()
    }

    /// How a walk ended that nobody cut short.
    pub(super) fn end(&self) -> End {
        match self.problem.borrow_mut().take() {
            Some(problem) => End::Stopped(problem),
            None => End::Complete,
        }
    }
}
