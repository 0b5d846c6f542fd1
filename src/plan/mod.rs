//! Checked query → plan that a person can print: which bytes of each element are read together, how often something must be waited
//! for.

mod explain;
mod windows;

use std::rc::Rc;

use crate::lang::typed::CheckedQuery;

pub use explain::explain;
pub use windows::{Window, Windows};

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
