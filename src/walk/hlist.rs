//! Lists with a head of one pointer and the link inside the element: the hash lists of `include/linux/list.h`, `list_nulls.h` and
//! `list_bl.h`, and the lock-less ones of `llist.h`.

use rustc_hash::FxHashSet;

use crate::addr::VirtAddr;
use crate::paging::AddressSpace;
use crate::wave::{Reader, Unreadable};

use super::list::{check, read_link};
use super::{Element, End, Problem, Sink};

/// Which of them: they differ in what bit 0 means and in whether a link knows the pointer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HlistKind {
    /// `struct hlist_head` and `hlist_node`: a null pointer ends it.
    Plain,
    /// `struct hlist_nulls_head` and `hlist_nulls_node`: an odd value, which says whose end it is, ends it.
    Nulls,
    /// `struct hlist_bl_head` and `hlist_bl_node`: bit 0 of the head is a lock, a null pointer ends it.
    BitLock,
    /// `struct llist_head` and `llist_node`: a null pointer ends it, and links know only the next one.
    LockLess,
}

/// A list: its head and where in an element its link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hlist {
    /// The pointer to the first link.
    pub head: VirtAddr,
    /// Bytes from an element's start to its link.
    pub link: u64,
    /// Which kind of list.
    pub kind: HlistKind,
}

impl Hlist {
    /// Hands over the elements in order. Each is handed over before its own link is read, so that its other bytes can be asked for
    /// in the same wave. What comes behind a broken link is lost, since there is no way back from the end.
    pub async fn walk(&self, reader: &Reader, space: &AddressSpace, sink: &mut impl Sink) -> End {
        match self.forward(reader, space, sink).await {
            Ok(end) => end,
            Err(problem) => End::Stopped(problem),
        }
    }

    async fn forward(
        &self,
        reader: &Reader,
        space: &AddressSpace,
        sink: &mut impl Sink,
    ) -> Result<End, Problem> {
        let mut seen = FxHashSet::default();
        let mut at = self.head;
        let mut next = self.unlocked(reader.pointer(space, at).await?);
        while !self.ends(next) {
            check(at, next, &mut seen)?;
            let start = VirtAddr::new(next.get().wrapping_sub(self.link));
            let element = Element::new(start, seen.len() as u64 - 1);
            let quality = element.quality.clone();
            if sink(element).await.is_break() {
                return Ok(End::Enough);
            }
            let (after, back) = self.neighbours(reader, space, next).await?;
            if let Some(back) = back.filter(|back| *back != at) {
                quality.suspect(format!("its back link is {back} instead of {at}"));
            }
            at = next;
            next = after;
        }
        Ok(End::Complete)
    }

    fn unlocked(&self, first: VirtAddr) -> VirtAddr {
        match self.kind {
            HlistKind::BitLock => VirtAddr::new(first.get() & !1),
            HlistKind::Plain | HlistKind::Nulls | HlistKind::LockLess => first,
        }
    }

    fn ends(&self, next: VirtAddr) -> bool {
        match self.kind {
            HlistKind::Nulls => next.get() & 1 == 1,
            HlistKind::Plain | HlistKind::BitLock | HlistKind::LockLess => next.get() == 0,
        }
    }

    /// The pointer in a link, and what the link takes for the pointer to itself, if its kind keeps that.
    async fn neighbours(
        &self,
        reader: &Reader,
        space: &AddressSpace,
        at: VirtAddr,
    ) -> Result<(VirtAddr, Option<VirtAddr>), Unreadable> {
        if self.kind == HlistKind::LockLess {
            return Ok((reader.pointer(space, at).await?, None));
        }
        let link = read_link(reader, space, at).await?;
        Ok((link.next, Some(link.prev)))
    }
}
