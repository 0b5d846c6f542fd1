//! What evaluation sees: the kernel, and the elements and values that names stand for.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::lang::typed::{SourceId, Typed};
use crate::paging::AddressSpace;
use crate::row::Incomplete;
use crate::value::{Reason, Value, ValueType};
use crate::walk::Element;

use super::Target;
use super::looping::{LoopKey, LoopState};
use super::trial::Sample;

/// One query's execution.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) target: Target,
    pub(super) incomplete: RefCell<Vec<Incomplete>>,
    /// Rows of which it is not known whether their conditions hold, since memory could not be read: how many, and why the first.
    undecided: RefCell<Option<(u64, String)>>,
    /// How far the loops of library functions have come.
    loops: RefCell<FxHashMap<LoopKey, LoopState>>,
    /// Sizes of the objects that places lie in, by place.
    sizes: RefCell<FxHashMap<*const Typed, Option<u64>>>,
    /// Rows that are being computed: those with sources inside, those without.
    pub(super) live_rows: [Cell<usize>; 2],
    /// Of a trial: which rows are computed.
    pub(super) sample: Option<Sample>,
}

impl Context {
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            incomplete: RefCell::default(),
            undecided: RefCell::default(),
            loops: RefCell::default(),
            sizes: RefCell::default(),
            live_rows: Default::default(),
            sample: None,
        }
    }

    /// That of a trial.
    pub(super) fn sampling(target: Target, sample: Sample) -> Self {
        Self {
            sample: Some(sample),
            ..Self::new(target)
        }
    }

    /// Bytes of the object that `place`, a part of the query, stands for.
    pub(super) fn object_size(&self, place: &Typed) -> Option<u64> {
        let mut sizes = self.sizes.borrow_mut();
        *sizes
            .entry(std::ptr::from_ref(place))
            .or_insert_with(|| match &place.kind {
                ValueType::Kernel(ty) => self.target.catalog.profile.size_of(ty).ok().flatten(),
                _ => None,
            })
    }

    /// Takes a loop's state out, to go on with it.
    pub(super) fn take_loop(&self, key: &LoopKey) -> Option<LoopState> {
        self.loops.borrow_mut().remove(key)
    }

    /// Keeps a loop's state for the next attempt and for other rows.
    pub(super) fn keep_loop(&self, key: LoopKey, state: LoopState) {
        self.loops.borrow_mut().insert(key, state);
    }

    pub(super) fn space(&self) -> &AddressSpace {
        &self.target.space
    }

    /// Notes that nobody knows whether a row's conditions hold.
    pub(super) fn undecided(&self, reason: &Reason) {
        let mut undecided = self.undecided.borrow_mut();
        match &mut *undecided {
            Some((count, _)) => *count += 1,
            None => *undecided = Some((1, reason.to_string())),
        }
    }

    /// The rows left out because nobody knows whether their conditions hold.
    pub(super) fn left_out(&self) -> Option<Incomplete> {
        let (count, why) = self.undecided.take()?;
        Some(Incomplete {
            walk: "where".to_owned(),
            why: format!("{count} more may be rows, which memory does not tell: {why}"),
        })
    }

    /// Notes that a walk had to stop; the same words once.
    pub(super) fn stopped(&self, walk: &str, why: String) {
        let note = Incomplete {
            walk: walk.to_owned(),
            why,
        };
        let mut incomplete = self.incomplete.borrow_mut();
        if !incomplete.contains(&note) {
            incomplete.push(note);
        }
    }
}

/// What a source's name stands for in one row.
#[derive(Clone, Debug)]
pub(super) enum Bound {
    Element(Element),
    Cells(Rc<[Value]>),
    /// An `optional` source without elements.
    Missing,
}

#[derive(Debug)]
struct Link {
    id: SourceId,
    bound: Bound,
    outer: Option<Rc<Self>>,
}

/// What names stand for: elements of sources (a list that rows share), locals of functions, results of aggregates.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment {
    sources: Option<Rc<Link>>,
    pub(super) locals: Rc<[Value]>,
    pub(super) aggregates: Rc<[Value]>,
}

impl Environment {
    /// The same with one more source.
    pub(super) fn with_source(&self, id: SourceId, bound: Bound) -> Self {
        let link = Link {
            id,
            bound,
            outer: self.sources.clone(),
        };
        Self {
            sources: Some(Rc::new(link)),
            ..self.clone()
        }
    }

    /// The same with other locals.
    pub(super) fn with_locals(&self, locals: Vec<Value>) -> Self {
        Self {
            locals: Rc::from(locals),
            ..self.clone()
        }
    }

    /// Whether no source's name stands for anything.
    pub(super) fn is_outermost(&self) -> bool {
        self.sources.is_none()
    }

    /// What a source's name stands for.
    pub(super) fn source(&self, id: SourceId) -> Option<&Bound> {
        let mut link = self.sources.as_ref();
        while let Some(here) = link {
            if here.id == id {
                return Some(&here.bound);
            }
            link = here.outer.as_ref();
        }
        None
    }
}
