//! `explain`: how a query will be read, what that will likely cost, and what it did.

use std::sync::Arc;

use crate::exec::{self, Basis, Prediction};
use crate::lang::ast::{ExplainMode, Query};
use crate::lang::check::check_query;
use crate::plan::{Plan, explain};
use crate::report::SourceText;
use crate::row::Rows;
use crate::wave::Cost;

use super::Session;
use super::attach::Found;
use super::execute::{query_text, tell_stalled};
use super::output::{Output, Status};

impl Session {
    pub(super) fn explain(
        &mut self,
        source: &Arc<SourceText>,
        query: &Query,
        mode: ExplainMode,
        output: &mut dyn Output,
    ) -> Result<Status, Status> {
        let checked = check_query(&self.catalog, &self.definitions, source, query);
        let tree = self.accept(checked, output)?;
        output.text(&explain(&tree));
        let plan = Plan::new(tree);
        let found = self.attached.found(&self.catalog, output)?;
        let name = query_text(source, query);
        found.engine.set_predictors(self.settings.predictors);
        found.engine.set_always_in_waves(true);
        let outcome = self.explained(&found, &plan, name, mode, output);
        found.engine.set_always_in_waves(false);
        outcome
    }

    /// Tells what a query will cost, and what it did.
    fn explained(
        &self,
        found: &Found,
        plan: &Plan,
        name: &str,
        mode: ExplainMode,
        output: &mut dyn Output,
    ) -> Result<Status, Status> {
        let Found { engine, target, .. } = found;
        let prediction = exec::predict_cost(engine, target, plan, name, self.budget())
            .map_err(|stalled| tell_stalled(&stalled, output))?;
        let spent = engine.cost();
        if prediction.basis != Basis::LastRun && spent.unanswered > 0 {
            // What is told of a target that does not answer is worth nothing.
            return self.judge(&Rows::default(), &spent, output);
        }
        output.text(&predicted(&prediction));
        if mode == ExplainMode::Plan {
            return Ok(Status::Complete);
        }
        let (rows, cost) = exec::run(engine, target, plan, name, self.budget())
            .map_err(|stalled| tell_stalled(&stalled, output))?;
        output.text(&measured(found, rows.rows.len(), &cost));
        self.judge(&rows, &cost, output)
    }
}

/// What a query will likely cost.
fn predicted(prediction: &Prediction) -> String {
    let Prediction {
        reads,
        rounds,
        basis,
    } = prediction;
    match basis {
        Basis::LastRun => {
            format!(
                "predicted: {reads} reads in {rounds} dependent round, as it was asked before\n"
            )
        }
        Basis::Trial {
            elements: 0,
            reads: spent,
            ..
        } => format!(
            "predicted: {reads} reads in {rounds} dependent rounds, from a trial that took {spent} reads\n"
        ),
        Basis::Trial {
            elements,
            computed,
            reads: spent,
        } => format!(
            "predicted: {reads} reads in {rounds} dependent rounds, from a trial of {computed} of {elements} elements in {spent} reads\n"
        ),
        Basis::Unfinished(stopped) => format!(
            "predicted: more than {reads} reads in more than {rounds} dependent rounds; the trial was stopped there: {stopped}\n"
        ),
    }
}

/// What a query cost, beside the least that it could have cost.
fn measured(found: &Found, rows: usize, cost: &Cost) -> String {
    let engine = &found.engine;
    format!(
        "measured: {rows} rows, {} reads in {} dependent rounds, {} bytes, {:?}\n\
         of these reads {} were predictors' guesses\n\
         what was needed fits into {} reads at the fewest, with what predictors looked at into {}; it lies in {} blocks of 512 bytes\n",
        cost.reads,
        cost.rounds,
        cost.bytes,
        cost.elapsed,
        cost.guessed,
        engine.fewest_reads(false),
        engine.fewest_reads(true),
        engine.blocks(true)
    )
}
