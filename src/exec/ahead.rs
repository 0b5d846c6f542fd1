//! What of elements is asked for as soon as their addresses are known.

use std::rc::Rc;

use crate::addr::VirtAddr;
use crate::lang::typed::SourceId;
use crate::plan::{Window, Windows};
use crate::walk::Pace;
use crate::wave::Reader;

use super::context::Context;

/// What is asked for of elements as soon as they are known.
#[derive(Clone, Debug, Default)]
pub(super) struct Ahead {
    /// Of a walk's elements.
    pub(super) windows: Rc<[Window]>,
    /// Of those of all walks of the query, hidden ones included.
    all: Rc<Windows>,
    /// Whether all elements will be wanted.
    pub(super) pace: Pace,
}

impl Ahead {
    pub(super) fn new(all: &Rc<Windows>, source: SourceId) -> Self {
        Self {
            windows: Rc::from(all.of_source(source)),
            all: Rc::clone(all),
            pace: Pace::All,
        }
    }

    /// The same for another walk's elements.
    pub(super) fn of(&self, source: SourceId) -> Self {
        Self {
            pace: self.pace,
            ..Self::new(&self.all, source)
        }
    }
}

/// Asks for the bytes of an element that the query uses.
pub(super) fn prefetch(context: &Context, reader: &Reader, address: VirtAddr, windows: &[Window]) {
    for window in windows {
        reader.prefetch(
            context.space(),
            address.wrapping_offset(window.offset),
            window.length,
        );
    }
}

/// What a tree tells of its elements before they are handed over.
pub(super) fn teller(
    context: &Rc<Context>,
    reader: &Reader,
    windows: &Rc<[Window]>,
) -> impl Fn(VirtAddr) + use<> {
    let (context, reader, windows) = (Rc::clone(context), reader.clone(), Rc::clone(windows));
    move |address| prefetch(&context, &reader, address, &windows)
}
