//! How far a walk reads ahead of what is wanted.

/// How many nodes have been taken for each one that is read ahead.
const TAKEN_FOR_EACH_AHEAD: usize = 8;

/// How far a walk of a tree of nodes reads ahead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// All elements are wanted: all nodes of a level are read at the same time, a round a level.
    #[default]
    All,
    /// A few may do: a node is read when its elements are wanted, and a few more only when it turned out that many are.
    AsWanted,
}

/// Elements of a binary tree after which what is wanted next is read as a whole: the next subtree in order is about as large as what
/// was taken so far.
const FEW: u64 = 16;

/// How many levels of a binary tree's next subtree are read at once, after so many elements.
pub(super) fn levels_ahead(taken: u64) -> u32 {
    if taken < FEW { 0 } else { u32::MAX }
}

/// Starts to read the next nodes of a stack, of which the last is the next: the more of them, the more were taken.
pub(super) fn start_ahead<T>(stack: &mut [T], taken: usize, mut start: impl FnMut(&mut T) -> bool) {
    let mut left = taken / TAKEN_FOR_EACH_AHEAD;
    for slot in stack.iter_mut().rev() {
        if left == 0 {
            return;
        }
        left -= usize::from(start(slot));
    }
}
