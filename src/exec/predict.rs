//! What reads ahead of walks: from a list's other end, and what other walks say of a walk's elements. Nothing but time depends on it.

use std::ops::ControlFlow;
use std::rc::Rc;

use crate::addr::VirtAddr;
use crate::lang::typed::{CheckedSource, CheckedTraversal, Predictor, Typed};
use crate::plan::Window;
use crate::walk::{Element, List};
use crate::wave::{Expectation, Reader};

use super::ahead::{Ahead, prefetch};
use super::attempt;
use super::context::{Bound, Context, Environment};
use super::source::{place, traverse, walk_of};

/// Starts what reads a list from its other end. Nothing waits for it, and nothing but time depends on it.
pub(super) fn predict_other_end(
    context: &Rc<Context>,
    source: &Rc<CheckedSource>,
    environment: &Environment,
    reader: &Reader,
    windows: &Rc<[Window]>,
) {
    let both_ends = |predictor: &Predictor| matches!(predictor, Predictor::BothEnds);
    if !source.predictors.iter().any(both_ends) {
        return;
    }
    let (context, source) = (Rc::clone(context), Rc::clone(source));
    let (environment, windows) = (environment.clone(), Rc::clone(windows));
    reader.predict(move |reader| async move {
        if let CheckedTraversal::List { head, link, .. } = &source.traversal
            && let Ok(head) = place(&context, head, &environment, &reader).await
        {
            let tell = |address| prefetch(&context, &reader, address, &windows);
            List { head, link: *link }
                .predict(&reader, context.space(), tell)
                .await;
        }
    });
}

/// Starts what other walks say of a walk's elements: once for all its containers, since those walks have one root.
pub(super) fn predict(
    context: &Rc<Context>,
    source: &Rc<CheckedSource>,
    environment: &Environment,
    reader: &Reader,
    ahead: &Ahead,
) {
    for number in 0..source.predictors.len() {
        let (context, source) = (Rc::clone(context), Rc::clone(source));
        let (environment, windows) = (environment.clone(), Rc::clone(&ahead.windows));
        reader.predict(move |reader| async move {
            let Some(Predictor::Walk {
                source: other,
                pointer,
                ..
            }) = source.predictors.get(number)
            else {
                return;
            };
            reader.until_surprised().await;
            let expectation = reader.expect();
            let guess = Rc::new(Guess {
                context,
                source: Rc::clone(&source),
                pointer: pointer.clone(),
                windows,
                _expectation: expectation,
            });
            predict_by_walk(&guess, other, &environment, &reader).await;
        });
    }
}

/// What a walk's elements say of another walk's.
struct Guess {
    context: Rc<Context>,
    /// The walk that is predicted.
    source: Rc<CheckedSource>,
    pointer: Typed,
    windows: Rc<[Window]>,
    /// Walks wait for these guesses.
    _expectation: Expectation,
}

/// Reads ahead what another walk's elements point to.
async fn predict_by_walk(
    guess: &Rc<Guess>,
    other: &Rc<CheckedSource>,
    environment: &Environment,
    reader: &Reader,
) {
    let mut sink = async |element: Element| {
        let inner = environment.with_source(other.id, Bound::Element(element));
        let guess = Rc::clone(guess);
        reader.predict(move |reader| async move { guess.follow(inner, reader).await });
        ControlFlow::Continue(())
    };
    let none = Ahead::default();
    traverse(&guess.context, other, environment, reader, &none, &mut sink).await;
}

impl Guess {
    /// Reads an element ahead, and where its children hang.
    async fn follow(&self, environment: Environment, reader: Reader) {
        let target = attempt::value(&self.context, &self.pointer, &environment, &reader).await;
        let Some(address) = target
            .as_integer()
            .and_then(|address| u64::try_from(address).ok())
        else {
            return;
        };
        let address = VirtAddr::new(address);
        prefetch(&self.context, &reader, address, &self.windows);
        if let CheckedTraversal::Tree {
            through: Some(through),
            ..
        } = &self.source.traversal
        {
            // What is wrong with a guess is nobody's business.
            let (holders, _) = walk_of(&self.context, through, address, &reader).await;
            for holder in holders {
                prefetch(&self.context, &reader, holder, &self.windows);
            }
        }
    }
}
