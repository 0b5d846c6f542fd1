//! Definitions where they are made: of a parameter nothing is known, all else must be right.

use std::sync::Arc;

use crate::lang::ast::{DefineFunction, DefineWalk, Name};
use crate::lang::catalog::{Catalog, Definitions};
use crate::report::{Report, SourceText};

use super::Checker;
use super::scope::Scope;
use super::stand_in::unknown;

/// Checks the body of `def NAME(…) = …`; `definitions` are those that it may use.
pub fn check_function(
    catalog: &Catalog,
    definitions: &Definitions,
    source: &Arc<SourceText>,
    definition: &DefineFunction,
) -> Result<(), Vec<Report>> {
    let mut checker = Checker::new(catalog, definitions, source);
    let _ = checker.expression(&definition.body, &parameters(&definition.parameters));
    checker.mistakes()
}

/// Checks the query of `def walk NAME(…) as …`; `definitions` are those that it may use.
pub fn check_defined_walk(
    catalog: &Catalog,
    definitions: &Definitions,
    source: &Arc<SourceText>,
    definition: &DefineWalk,
) -> Result<(), Vec<Report>> {
    let mut checker = Checker::new(catalog, definitions, source);
    let _ = checker.query(&definition.query, Some(&parameters(&definition.parameters)));
    checker.mistakes()
}

fn parameters(names: &[Name]) -> Scope<'static> {
    Scope {
        names: names
            .iter()
            .map(|name| (name.text.clone(), unknown(name.span)))
            .collect(),
        ..Scope::default()
    }
}
