//! Checked query → plan that a person can print, in passes: members used (`prune`), windows read (`coalesce`), what reads ahead and what
//! must be waited for (`explain`, with the conditions that the checker put to the earliest source that has their bytes).

mod coalesce;
mod explain;
mod prune;

use std::rc::Rc;

use crate::lang::typed::CheckedQuery;

pub use coalesce::{Window, Windows, reads, reads_beyond};
pub use explain::explain;

/// A query that is ready to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What to run.
    pub query: Rc<CheckedQuery>,
}

impl Plan {
    /// Plans a query.
    pub fn new(query: CheckedQuery) -> Self {
        Self {
            query: Rc::new(query),
        }
    }
}
