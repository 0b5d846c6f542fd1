//! Computations tried until everything that they need has been read.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Poll, ready};

use crate::lang::typed::{CheckedQuery, Typed};
use crate::value::Value;
use crate::wave::{Borrowed, Reader, together};

use super::context::{Context, Environment};
use super::evaluate;
use super::query;

/// The rows of a query inside an expression.
type Rows = Rc<[Vec<Value>]>;

/// What names stand for while an expression is computed: those of its row, and the locals of the function that it stands in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'a> {
    pub(super) environment: &'a Environment,
    pub(super) locals: &'a [Value],
}

impl<'a> Scope<'a> {
    pub(super) fn of(environment: &'a Environment) -> Self {
        Self {
            environment,
            locals: &environment.locals,
        }
    }

    /// The same inside a function.
    pub(super) fn with_locals(self, locals: &'a [Value]) -> Self {
        Self { locals, ..self }
    }
}

/// A query that stands inside an expression, with what its outer names stand for.
#[derive(Debug)]
struct Nested {
    query: Rc<CheckedQuery>,
    environment: Environment,
    /// Reads that what it depends on took.
    depth: u32,
}

/// Nested queries of one computation: those that have been run, and those that have to be.
#[derive(Debug, Default)]
struct Queries {
    answered: RefCell<Vec<(Nested, Rows)>>,
    wanted: RefCell<Vec<Nested>>,
}

/// One look at a computation: what can be computed is, what it lacks is asked for.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    pub(super) context: &'a Rc<Context>,
    pub(super) reader: &'a Reader,
    queries: &'a Queries,
    speculating: Cell<bool>,
}

impl Attempt<'_> {
    /// Runs `action` only for the bytes that it asks for.
    pub(super) fn speculate(&self, action: impl FnOnce()) {
        let before = self.speculating.replace(true);
        let depth = self.reader.depth();
        self.reader.glance(|_| action());
        self.reader.set_depth(depth);
        self.speculating.set(before);
    }

    /// Whether this is only for the bytes that it asks for.
    pub(super) fn is_speculating(&self) -> bool {
        self.speculating.get()
    }

    /// The values of a nested query's only column.
    pub(super) fn list(&self, query: &Rc<CheckedQuery>, scope: Scope<'_>) -> Poll<Vec<Value>> {
        let rows = ready!(self.rows(query, scope));
        Poll::Ready(
            rows.iter()
                .filter_map(|cells| cells.first().cloned())
                .collect(),
        )
    }

    /// The rows of a nested query; one that has not been run is noted to be run before the next attempt.
    pub(super) fn rows(&self, query: &Rc<CheckedQuery>, scope: Scope<'_>) -> Poll<Rows> {
        let is_this = |nested: &Nested| {
            Rc::ptr_eq(&nested.query, query) && *nested.environment.locals == *scope.locals
        };
        for (nested, rows) in &*self.queries.answered.borrow() {
            if is_this(nested) {
                self.reader.set_depth(self.reader.depth().max(nested.depth));
                return Poll::Ready(Rc::clone(rows));
            }
        }
        let mut wanted = self.queries.wanted.borrow_mut();
        if !self.speculating.get() && !wanted.iter().any(is_this) {
            wanted.push(Nested {
                query: Rc::clone(query),
                environment: scope.environment.with_locals(scope.locals.to_vec()),
                depth: self.reader.depth(),
            });
        }
        Poll::Pending
    }
}

/// Makes attempts until one succeeds. What `reader` reads afterwards depends on all that it took.
pub(super) async fn settle<T>(
    context: &Rc<Context>,
    reader: &Reader,
    mut action: impl FnMut(&Attempt<'_>) -> Poll<T>,
) -> T {
    let start = reader.depth();
    let queries = Queries::default();
    loop {
        reader.set_depth(start);
        let tried = reader.attempt(|reader| {
            let attempt = Attempt {
                context,
                reader,
                queries: &queries,
                speculating: Cell::new(false),
            };
            match action(&attempt) {
                Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
                Poll::Pending if !queries.wanted.borrow().is_empty() => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        });
        if let Some(outcome) = tried.await {
            return outcome;
        }
        let wanted = queries.wanted.take();
        answer(context, reader, &queries, wanted).await;
    }
}

/// Runs nested queries, all at the same time.
async fn answer(context: &Rc<Context>, reader: &Reader, queries: &Queries, wanted: Vec<Nested>) {
    let runs = wanted.into_iter().map(|mut nested| {
        move |reader: Reader| -> Borrowed<'_, (Nested, Rows)> {
            Box::pin(async move {
                reader.set_depth(nested.depth);
                let environment = nested.environment.clone();
                let rows = query::run(context, &nested.query, environment, reader.clone()).await;
                nested.depth = reader.depth();
                (nested, Rc::from(rows))
            })
        }
    });
    let answers = together(reader, runs).await;
    queries.answered.borrow_mut().extend(answers);
}

/// Tries a computation once, for what is here; what is not is asked for, but nobody is woken when it comes. What `reader` reads
/// afterwards depends on all that this took.
pub(super) fn once<T>(
    context: &Rc<Context>,
    reader: &Reader,
    action: impl FnOnce(&Attempt<'_>) -> Poll<T>,
) -> Poll<T> {
    let queries = Queries::default();
    reader.glance(|reader| {
        action(&Attempt {
            context,
            reader,
            queries: &queries,
            speculating: Cell::new(false),
        })
    })
}

/// The value of an expression; places become [`Value::Place`].
pub(super) async fn value(
    context: &Rc<Context>,
    typed: &Typed,
    environment: &Environment,
    reader: &Reader,
) -> Value {
    settle(context, reader, |attempt| {
        evaluate::value(attempt, typed, Scope::of(environment))
    })
    .await
}

/// The values of several expressions, computed at the same time.
pub(super) async fn all(
    context: &Rc<Context>,
    typed: &[Typed],
    environment: &Environment,
    reader: &Reader,
) -> Vec<Value> {
    settle(context, reader, |attempt| {
        evaluate::all(attempt, typed, Scope::of(environment))
    })
    .await
}
