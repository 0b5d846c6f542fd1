//! Queries → rows: walks inside walks, filters, groups, order, limits, set operations.

use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::rc::Rc;
use std::task::{Poll, ready};

use crate::lang::ast::{Direction, SetOperator};
use crate::lang::typed::{CheckedBody, CheckedQuery, Grouping, WalkBody};
use crate::plan::Windows;
use crate::value::{Reason, Value, compare};
use crate::wave::{Borrowed, Reader};

use super::ahead::Ahead;
use super::attempt::{self, Attempt, Scope, settle};
use super::collected::Collected;
use super::composed::bind;
use super::context::{Bound, Context, Environment};
use super::evaluate::{Known, rest};
use super::group;
use super::predict::predict;
use super::source;
use super::trial::Thin;

/// A query's rows: the cells of its columns.
pub(super) fn run<'a>(
    context: &'a Rc<Context>,
    query: &'a Rc<CheckedQuery>,
    environment: Environment,
    reader: Reader,
) -> Borrowed<'a, Vec<Vec<Value>>> {
    Box::pin(async move {
        let mut rows = match &query.body {
            CheckedBody::Walk(body) => walk_rows(context, query, body, environment, &reader).await,
            CheckedBody::Set {
                operator,
                left,
                right,
            } => {
                let mut sides = crate::wave::together(
                    &reader,
                    [left, right].map(|side| {
                        let environment = environment.clone();
                        move |reader: Reader| -> Borrowed<'_, Vec<Vec<Value>>> {
                            run(context, side, environment, reader)
                        }
                    }),
                )
                .await;
                let right = sides.pop().unwrap_or_default();
                let left = sides.pop().unwrap_or_default();
                combine(*operator, left, right)
            }
        };
        sort(&mut rows, &query.order);
        let skip = usize::try_from(query.offset).unwrap_or(usize::MAX);
        let count = query.limit.map_or(usize::MAX, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX)
        });
        let columns = query.columns.len();
        rows.into_iter()
            .skip(skip)
            .take(count)
            .map(|mut row| {
                row.truncate(columns);
                row
            })
            .collect()
    })
}

fn combine(
    operator: SetOperator,
    left: Vec<Vec<Value>>,
    right: Vec<Vec<Value>>,
) -> Vec<Vec<Value>> {
    let width = left.first().or(right.first()).map_or(0, Vec::len);
    if operator == SetOperator::Union {
        return group::distinct(left.into_iter().chain(right).collect(), width);
    }
    let keys: HashSet<Vec<u8>> = right.iter().map(|row| group::key(row)).collect();
    let wanted = operator == SetOperator::Intersect;
    let kept = left
        .into_iter()
        .filter(|row| keys.contains(&group::key(row)) == wanted)
        .collect();
    group::distinct(kept, width)
}

/// Sorts by columns; rows that compare equal stay in their order, nulls come last either way.
fn sort(rows: &mut [Vec<Value>], order: &[(usize, Direction)]) {
    if order.is_empty() {
        return;
    }
    rows.sort_by(|left, right| {
        for (column, direction) in order {
            let (Some(left), Some(right)) = (left.get(*column), right.get(*column)) else {
                continue;
            };
            let ordering = match (left.is_null(), right.is_null()) {
                (true, true) => Ordering::Equal,
                (true, false) => return Ordering::Greater,
                (false, true) => return Ordering::Less,
                (false, false) => compare(left, right).unwrap_or(Ordering::Equal),
            };
            let ordering = if *direction == Direction::Descending {
                ordering.reverse()
            } else {
                ordering
            };
            if ordering.is_ne() {
                return ordering;
            }
        }
        Ordering::Equal
    });
}

/// One run of a walk query, shared by all its rows.
#[derive(Debug)]
pub(super) struct WalkRun {
    pub(super) context: Rc<Context>,
    query: Rc<CheckedQuery>,
    pub(super) windows: Rc<Windows>,
    /// Rows after which no more are needed; `None`: all are.
    pub(super) enough: Option<usize>,
    /// Of the outermost walk of a trial.
    pub(super) thin: Option<Thin>,
}

impl WalkRun {
    pub(super) fn body(&self) -> Option<&WalkBody> {
        match &self.query.body {
            CheckedBody::Walk(body) => Some(body),
            CheckedBody::Set { .. } => None,
        }
    }

    /// How many rows of all queries of this execution are being computed: innermost ones, or those that hold sources.
    pub(super) fn live_rows(&self, is_innermost: bool) -> &Cell<usize> {
        &self.context.live_rows[usize::from(is_innermost)]
    }
}

async fn walk_rows(
    context: &Rc<Context>,
    query: &Rc<CheckedQuery>,
    body: &WalkBody,
    environment: Environment,
    reader: &Reader,
) -> Vec<Vec<Value>> {
    let enough = query
        .limit
        .filter(|_| query.streams())
        .map(|limit| limit.saturating_add(query.offset));
    let windows = Rc::new(Windows::of(body));
    let is_tried = context.sample.is_some() && environment.is_outermost() && enough.is_none();
    let run = Rc::new(WalkRun {
        context: Rc::clone(context),
        query: Rc::clone(query),
        thin: is_tried.then(|| Thin::of(body, &windows)).flatten(),
        windows,
        enough: enough.map(|enough| usize::try_from(enough).unwrap_or(usize::MAX)),
    });
    predict_inner(&run, body, &environment, reader);
    let rows = if run.enough == Some(0) {
        Vec::new()
    } else {
        outer(run, 0, environment.clone(), reader.clone()).await
    };
    let rows = match &body.grouping {
        Some(grouping) => grouped(context, body, grouping, rows, &environment, reader).await,
        None => rows,
    };
    if body.distinct {
        group::distinct(rows, query.columns.len())
    } else {
        rows
    }
}

/// Starts what reads inner walks ahead, where no condition says that some of their containers are not wanted.
fn predict_inner(run: &Rc<WalkRun>, body: &WalkBody, environment: &Environment, reader: &Reader) {
    if run.enough.is_some() {
        return;
    }
    let unconditional = body.filters.iter().take_while(|filters| filters.is_empty());
    for source in body.sources.iter().skip(1).take(unconditional.count()) {
        let ahead = Ahead::new(&run.windows, source.id);
        predict(&run.context, source, environment, reader, &ahead);
    }
}

/// How far a row's computation has come.
#[derive(Debug, Default)]
pub(super) struct RowState {
    /// Whether its conditions hold, once that is known, and the reads that it took to know.
    wanted: Option<(bool, u32)>,
    conditions: Vec<Known>,
    cells: Vec<Known>,
}

impl RowState {
    /// Whether an element's conditions hold.
    fn is_wanted(
        &mut self,
        attempt: &Attempt<'_>,
        body: &WalkBody,
        number: usize,
        environment: &Environment,
    ) -> Poll<bool> {
        if let Some((wanted, depth)) = self.wanted {
            attempt.reader.set_depth(attempt.reader.depth().max(depth));
            return Poll::Ready(wanted);
        }
        let filters = body.filters.get(number).into_iter().flatten();
        let scope = Scope::of(environment);
        let verdicts = ready!(rest(attempt, filters, scope, &mut self.conditions));
        let wanted = verdicts.iter().all(|verdict| verdict.truth() == Some(true));
        let is_open = |verdict: &Value| verdict.truth() != Some(false);
        if !wanted
            && verdicts.iter().all(is_open)
            && let Some(reason) = verdicts.iter().find_map(unread)
        {
            attempt.context.undecided(reason);
        }
        self.wanted = Some((wanted, attempt.reader.depth()));
        Poll::Ready(wanted)
    }

    /// What is computed of one row of the sources: the columns, or what its group needs.
    fn cells(
        &mut self,
        attempt: &Attempt<'_>,
        body: &WalkBody,
        environment: &Environment,
    ) -> Poll<Vec<Value>> {
        let scope = Scope::of(environment);
        let Some(grouping) = &body.grouping else {
            return rest(attempt, &body.outputs, scope, &mut self.cells);
        };
        let arguments = grouping
            .aggregates
            .iter()
            .filter_map(|(_, argument)| argument.as_ref());
        let wanted = grouping.keys.iter().chain(arguments);
        let mut values = ready!(rest(attempt, wanted, scope, &mut self.cells)).into_iter();
        let mut cells: Vec<Value> = values.by_ref().take(grouping.keys.len()).collect();
        for (_, argument) in &grouping.aggregates {
            cells.push(match argument {
                Some(_) => values.next().unwrap_or(Value::Null(Reason::Absent)),
                None => Value::Boolean(true),
            });
        }
        Poll::Ready(cells)
    }

    /// The row of an element of the innermost source; none where its conditions do not hold.
    pub(super) fn innermost(
        &mut self,
        attempt: &Attempt<'_>,
        body: &WalkBody,
        number: usize,
        environment: &Environment,
    ) -> Poll<Vec<Vec<Value>>> {
        if ready!(self.is_wanted(attempt, body, number, environment)) {
            let cells = ready!(self.cells(attempt, body, environment));
            Poll::Ready(vec![cells])
        } else {
            Poll::Ready(Vec::new())
        }
    }
}

/// Why a condition that could not be computed for want of memory is null.
fn unread(verdict: &Value) -> Option<&Reason> {
    match verdict {
        Value::Null(reason @ (Reason::Unreadable(_) | Reason::Unavailable(_))) => Some(reason),
        _ => None,
    }
}

async fn source_rows(
    run: Rc<WalkRun>,
    number: usize,
    environment: Environment,
    reader: Reader,
) -> Vec<Vec<Value>> {
    let Some(body) = run.body() else {
        return Vec::new();
    };
    let Some(source) = body.sources.get(number) else {
        return Vec::new();
    };
    let mut collected = Collected::new(&run, number, &reader);
    let mut any = false;
    let walked = source::walk(
        &run,
        number,
        &environment,
        &reader,
        &mut async |bound: Bound| {
            any = true;
            let element = bind(&environment, source, bound);
            collected.add(element, &reader).await
        },
    )
    .await;
    if let Some(why) = walked {
        run.context.stopped(&source.name, why);
    }
    if !any && source.optional {
        let inner = environment.with_source(source.id, Bound::Missing);
        return filtered(Rc::clone(&run), number, inner, reader.clone()).await;
    }
    collected.finish(&reader).await
}

/// The rows of one element, if its conditions hold.
pub(super) async fn filtered(
    run: Rc<WalkRun>,
    number: usize,
    environment: Environment,
    reader: Reader,
) -> Vec<Vec<Value>> {
    let Some(body) = run.body() else {
        return Vec::new();
    };
    let mut state = RowState::default();
    if number + 1 == body.sources.len() {
        settle(&run.context, &reader, |attempt| {
            state.innermost(attempt, body, number, &environment)
        })
        .await
    } else if settle(&run.context, &reader, |attempt| {
        state.is_wanted(attempt, body, number, &environment)
    })
    .await
    {
        outer(Rc::clone(&run), number + 1, environment, reader).await
    } else {
        Vec::new()
    }
}

/// [`source_rows`] on the heap: it calls itself for the sources inside.
fn outer(
    run: Rc<WalkRun>,
    number: usize,
    environment: Environment,
    reader: Reader,
) -> Borrowed<'static, Vec<Vec<Value>>> {
    Box::pin(source_rows(run, number, environment, reader))
}

/// The rows of the groups.
async fn grouped(
    context: &Rc<Context>,
    body: &WalkBody,
    grouping: &Grouping,
    rows: Vec<Vec<Value>>,
    environment: &Environment,
    reader: &Reader,
) -> Vec<Vec<Value>> {
    let keys = grouping.keys.len();
    let mut groups = group::groups(rows, keys);
    if groups.is_empty() && keys == 0 {
        // Aggregates of no rows are one row.
        groups.push(Vec::new());
    }
    let mut out = Vec::new();
    for rows in groups {
        let aggregates = grouping
            .aggregates
            .iter()
            .enumerate()
            .map(|(number, (aggregate, _))| {
                group::fold(
                    *aggregate,
                    rows.iter().filter_map(|row| row.get(keys + number)),
                )
            });
        let locals = rows
            .first()
            .map_or_else(Vec::new, |row| row[..keys.min(row.len())].to_vec());
        let mut environment = environment.with_locals(locals);
        environment.aggregates = aggregates.collect();
        if let Some(having) = &grouping.having
            && attempt::value(context, having, &environment, reader)
                .await
                .truth()
                != Some(true)
        {
            continue;
        }
        out.push(attempt::all(context, &body.outputs, &environment, reader).await);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Reason;

    #[test]
    fn sorting_is_stable_and_puts_nulls_last() {
        let row = |a: Option<i128>, b: i128| {
            vec![
                a.map_or(Value::Null(Reason::Absent), Value::Integer),
                Value::Integer(b),
            ]
        };
        let mut rows = vec![
            row(None, 0),
            row(Some(1), 1),
            row(Some(2), 2),
            row(Some(1), 3),
        ];
        sort(&mut rows, &[(0, Direction::Descending)]);
        let order: Vec<_> = rows
            .iter()
            .map(|row| row[1].as_integer().unwrap())
            .collect();
        assert_eq!(order, [2, 1, 3, 0]);
    }

    #[test]
    fn set_operations_are_those_of_sql() {
        let rows = |numbers: &[i128]| {
            numbers
                .iter()
                .map(|n| vec![Value::Integer(*n)])
                .collect::<Vec<_>>()
        };
        assert_eq!(
            combine(SetOperator::Union, rows(&[1, 1, 2]), rows(&[2, 3])),
            rows(&[1, 2, 3])
        );
        assert_eq!(
            combine(SetOperator::Except, rows(&[1, 1, 2]), rows(&[2, 3])),
            rows(&[1])
        );
        assert_eq!(
            combine(SetOperator::Intersect, rows(&[1, 2, 2]), rows(&[2, 3])),
            rows(&[2])
        );
    }
}
