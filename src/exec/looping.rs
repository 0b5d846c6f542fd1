//! Functions of the walk library → values; loops keep their state between attempts, and what one row has computed is there for all.
//!
//! That is sound because one query sees one value for one address, and a function sees nothing but memory and its arguments.

use std::rc::Rc;
use std::task::{Poll, ready};

use crate::lang::typed::{FunctionBody, LibraryFunction, Typed};
use crate::value::{Reason, Value};

use super::attempt::{Attempt, Scope};
use super::evaluate::{all, value};

/// A loop's function and the numbers that it was called with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct LoopKey {
    function: *const LibraryFunction,
    arguments: [u64; MOST_ARGUMENTS],
}

/// Loops of more parameters are computed for each row anew.
const MOST_ARGUMENTS: usize = 3;

impl LoopKey {
    /// The key of a call, if its arguments are numbers or places.
    fn new(function: &Rc<LibraryFunction>, arguments: &[Value]) -> Option<Self> {
        let mut numbers = [0; MOST_ARGUMENTS];
        if arguments.len() > MOST_ARGUMENTS {
            return None;
        }
        for (number, argument) in numbers.iter_mut().zip(arguments) {
            *number = u64::try_from(argument.as_integer()?).ok()?;
        }
        Some(Self {
            function: Rc::as_ptr(function),
            arguments: numbers,
        })
    }
}

/// How far a loop has come.
#[derive(Debug)]
pub(super) struct LoopState {
    /// Parameters, then state.
    locals: Vec<Value>,
    /// Reads one after the other that this took.
    depth: u32,
    steps: u64,
    result: Option<Value>,
}

impl LoopState {
    fn new(arguments: &[Value], depth: u32) -> Self {
        Self {
            locals: arguments.to_vec(),
            depth,
            steps: 0,
            result: None,
        }
    }
}

/// Calls a function of the walk library.
pub(super) fn apply(
    attempt: &Attempt<'_>,
    function: &Rc<LibraryFunction>,
    arguments: &[Value],
    scope: Scope<'_>,
) -> Poll<Value> {
    let key = if function.loops {
        LoopKey::new(function, arguments)
    } else {
        None
    };
    if let (FunctionBody::Expression(body), None) = (&function.body, key) {
        return value(attempt, body, scope.with_locals(arguments));
    }
    let known = key.and_then(|key| attempt.context.take_loop(&key));
    let is_new = known.is_none();
    let mut state = known.unwrap_or_else(|| LoopState::new(arguments, attempt.reader.depth()));
    let (outcome, is_loop) = match &function.body {
        FunctionBody::Loop { .. } => (go_on(attempt, function, &mut state, scope), true),
        FunctionBody::Expression(body) => (once(attempt, body, &mut state, scope), false),
    };
    // What was had at once of the loops inside is had at once again: they are kept, each by itself, and are fewer.
    let is_worth_keeping = is_loop || !is_new || outcome.is_pending();
    if let (Some(key), true) = (key, is_worth_keeping) {
        attempt.context.keep_loop(key, state);
    }
    outcome
}

/// Computes an expression with loops in it, for the first row that wants it.
fn once(
    attempt: &Attempt<'_>,
    body: &Typed,
    state: &mut LoopState,
    scope: Scope<'_>,
) -> Poll<Value> {
    let reader = attempt.reader;
    if let Some(result) = &state.result {
        reader.set_depth(reader.depth().max(state.depth));
        return Poll::Ready(result.clone());
    }
    last(attempt, body, state, scope)
}

/// Runs a loop as far as the bytes for it are here.
fn go_on(
    attempt: &Attempt<'_>,
    function: &LibraryFunction,
    state: &mut LoopState,
    scope: Scope<'_>,
) -> Poll<Value> {
    let FunctionBody::Loop {
        start,
        condition,
        next,
        result,
        limit,
    } = &function.body
    else {
        return Poll::Ready(Value::Null(Reason::Absent));
    };
    let reader = attempt.reader;
    reader.set_depth(reader.depth().max(state.depth));
    if let Some(result) = &state.result {
        return Poll::Ready(result.clone());
    }
    let parameters = function.parameters.min(state.locals.len());
    while let Some(first) = start.get(state.locals.len() - parameters) {
        let first = ready!(value(attempt, first, scope.with_locals(&state.locals)));
        state.locals.push(first);
        state.depth = reader.depth();
    }
    while state.steps < *limit {
        let here = scope.with_locals(&state.locals);
        let Poll::Ready(truth) = value(attempt, condition, here) else {
            attempt.speculate(|| {
                let _ = all(attempt, next, here);
            });
            return Poll::Pending;
        };
        match truth {
            Value::Null(reason) => return Poll::Ready(finish(state, Value::Null(reason))),
            truth if truth.truth() != Some(true) => {
                return last(attempt, result, state, scope);
            }
            _ => {}
        }
        let Poll::Ready(following) = all(attempt, next, here) else {
            look_ahead(attempt, &function.body, parameters, &state.locals, scope);
            return Poll::Pending;
        };
        state.locals.truncate(parameters);
        state.locals.extend(following);
        state.depth = reader.depth();
        state.steps += 1;
    }
    Poll::Ready(finish(state, Value::Null(Reason::LoopLimit(*limit))))
}

/// Steps that a loop looks ahead.
const AHEAD: usize = 4;

/// Goes on without what is missing, to ask for what later steps need: a path's next directory does not depend on this one's name.
fn look_ahead(
    attempt: &Attempt<'_>,
    body: &FunctionBody,
    parameters: usize,
    locals: &[Value],
    scope: Scope<'_>,
) {
    let FunctionBody::Loop {
        condition, next, ..
    } = body
    else {
        return;
    };
    attempt.speculate(|| {
        let mut locals = locals.to_vec();
        for _ in 0..AHEAD {
            let here = scope.with_locals(&locals);
            let truth = match value(attempt, condition, here) {
                Poll::Ready(truth) => truth.truth(),
                Poll::Pending => Some(true),
            };
            if truth != Some(true) {
                break;
            }
            let start = attempt.reader.depth();
            let mut deepest = start;
            let mut following = locals[..parameters].to_vec();
            for next in next {
                attempt.reader.set_depth(start);
                following.push(match value(attempt, next, here) {
                    Poll::Ready(value) => {
                        deepest = deepest.max(attempt.reader.depth());
                        value
                    }
                    Poll::Pending => Value::Null(Reason::Absent),
                });
            }
            attempt.reader.set_depth(deepest);
            locals = following;
        }
    });
}

fn last(
    attempt: &Attempt<'_>,
    result: &Typed,
    state: &mut LoopState,
    scope: Scope<'_>,
) -> Poll<Value> {
    let result = ready!(value(attempt, result, scope.with_locals(&state.locals)));
    state.depth = attempt.reader.depth();
    Poll::Ready(finish(state, result))
}

fn finish(state: &mut LoopState, result: Value) -> Value {
    state.result = Some(result.clone());
    state.locals = Vec::new();
    result
}
