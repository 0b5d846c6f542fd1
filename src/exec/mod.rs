//! Plan and memory → rows, in waves.
//!
//! Every row, walk and column of a query advances at the same time; what each waits for is merged by `wave`. A failed read is a
//! null with its reason; a walk that had to stop is named in the answer.

mod ahead;
mod arithmetic;
mod attempt;
mod builtin;
mod collected;
mod composed;
mod condition;
mod container;
mod context;
mod evaluate;
mod format;
mod frames;
mod group;
mod image;
mod kernel_text;
mod looping;
mod materialize;
mod operator;
mod place;
mod predict;
mod query;
mod source;
mod trial;

use std::rc::Rc;

use crate::lang::catalog::Catalog;
use crate::lang::typed::Typed;
use crate::paging::AddressSpace;
use crate::plan::Plan;
use crate::row::{Incomplete, Row, Rows, Schema};
use crate::value::Value;
use crate::wave::{Budget, Cost, Engine, Stalled};

use context::{Context, Environment};

pub use trial::{Basis, Prediction, predict_cost};

/// The kernel that is asked: where it is and what its types are.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its kernel address space.
    pub space: Rc<AddressSpace>,
    /// To add to link-time addresses of the image.
    pub slide: u64,
    /// Where the direct map of physical memory begins.
    pub direct_map: u64,
    /// The build ID in its image, lower-case hexadecimal, where it could be read.
    pub build_id: Option<Rc<str>>,
    /// Its types and symbols.
    pub catalog: Rc<Catalog>,
}

/// Runs a query. A query that is run again under the same name reads what it read before at once.
pub fn run(
    engine: &Rc<Engine>,
    target: &Target,
    plan: &Plan,
    name: &str,
    budget: Budget,
) -> Result<(Rows, Cost), Stalled> {
    let (rows, cost, _) = run_in_full(engine, target, plan, name, budget)?;
    Ok((rows, cost))
}

/// As [`run`]; rows of which memory does not tell whether they are any are a gap in the answer too, told apart from it.
pub fn run_in_full(
    engine: &Rc<Engine>,
    target: &Target,
    plan: &Plan,
    name: &str,
    budget: Budget,
) -> Result<(Rows, Cost, Option<Incomplete>), Stalled> {
    let context = Rc::new(Context::new(target.clone()));
    let columns = plan.query.columns.clone();
    let query = Rc::clone(&plan.query);
    let for_query = Rc::clone(&context);
    let (rows, cost) = engine.run_again(name, budget, move |reader| async move {
        let mut rows = query::run(&for_query, &query, Environment::default(), reader.clone()).await;
        materialize::rows(&for_query, &reader, &mut rows).await;
        rows
    })?;
    let rows = rows.into_iter().map(|cells| Row { cells }).collect();
    let incomplete = context.incomplete.take();
    Ok((
        Rows {
            schema: Schema::new(columns),
            rows,
            incomplete,
        },
        cost,
        context.left_out(),
    ))
}

/// Computes expressions that stand alone; structs are read whole.
pub fn evaluate(
    engine: &Rc<Engine>,
    target: &Target,
    expressions: Vec<Typed>,
    budget: Budget,
) -> Result<(Vec<Value>, Cost), Stalled> {
    let context = Rc::new(Context::new(target.clone()));
    engine.run(budget, move |reader| async move {
        let environment = Environment::default();
        let values = attempt::all(&context, &expressions, &environment, &reader).await;
        let mut rows = [values];
        materialize::rows(&context, &reader, &mut rows).await;
        let [values] = rows;
        values
    })
}
