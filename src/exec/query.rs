//! Queries → rows: walks inside walks, filters, groups, order, limits, set operations.

use std::cmp::Ordering;
use std::collections::{HashSet, VecDeque};
use std::ops::ControlFlow;
use std::rc::Rc;

use crate::lang::ast::{Direction, SetOperator};
use crate::lang::typed::{CheckedBody, CheckedQuery, Grouping, WalkBody};
use crate::plan::Windows;
use crate::value::{Value, compare};
use crate::wave::{Borrowed, JoinHandle, Reader};

use super::context::{Bound, Context, Environment};
use super::evaluate;
use super::group;
use super::source;

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
pub(super) struct WalkRun {
    pub(super) context: Rc<Context>,
    query: Rc<CheckedQuery>,
    pub(super) windows: Windows,
    /// Rows after which no more are needed; `None`: all are.
    pub(super) enough: Option<usize>,
}

impl WalkRun {
    pub(super) fn body(&self) -> Option<&WalkBody> {
        match &self.query.body {
            CheckedBody::Walk(body) => Some(body),
            CheckedBody::Set { .. } => None,
        }
    }
}

async fn walk_rows(
    context: &Rc<Context>,
    query: &Rc<CheckedQuery>,
    body: &WalkBody,
    environment: Environment,
    reader: &Reader,
) -> Vec<Vec<Value>> {
    let streams = query.order.is_empty() && body.grouping.is_none() && !body.distinct;
    let enough = query
        .limit
        .filter(|_| streams)
        .map(|limit| limit.saturating_add(query.offset));
    let run = Rc::new(WalkRun {
        context: Rc::clone(context),
        query: Rc::clone(query),
        windows: Windows::of(body),
        enough: enough.map(|enough| usize::try_from(enough).unwrap_or(usize::MAX)),
    });
    let rows = if run.enough == Some(0) {
        Vec::new()
    } else {
        level(run, 0, environment.clone(), reader.clone()).await
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

/// The rows that the sources from number `level` on give, within one row of those before.
pub(super) fn level(
    run: Rc<WalkRun>,
    number: usize,
    environment: Environment,
    reader: Reader,
) -> Borrowed<'static, Vec<Vec<Value>>> {
    Box::pin(async move {
        let Some(body) = run.body() else {
            return Vec::new();
        };
        match body.sources.get(number) {
            None => vec![row(&run, body, &environment, &reader).await],
            Some(_) => source_rows(run, number, environment, reader).await,
        }
    })
}

/// What is computed of one row of the sources: the columns, or what its group needs.
async fn row(
    run: &WalkRun,
    body: &WalkBody,
    environment: &Environment,
    reader: &Reader,
) -> Vec<Value> {
    match &body.grouping {
        None => evaluate::all(&run.context, &body.outputs, environment, reader).await,
        Some(grouping) => {
            let mut cells = evaluate::all(&run.context, &grouping.keys, environment, reader).await;
            for (_, argument) in &grouping.aggregates {
                cells.push(match argument {
                    Some(argument) => {
                        evaluate::value(&run.context, argument, environment, reader).await
                    }
                    None => Value::Boolean(true),
                });
            }
            cells
        }
    }
}

/// Rows in the order of their elements, as far as they are wanted.
struct Collected {
    pending: VecDeque<JoinHandle<Vec<Vec<Value>>>>,
    rows: Vec<Vec<Value>>,
    enough: Option<usize>,
}

impl Collected {
    /// Takes one more element's rows. Where only so many rows are wanted, no more elements are begun than could give them.
    async fn add(&mut self, rows: JoinHandle<Vec<Vec<Value>>>, reader: &Reader) -> ControlFlow<()> {
        self.pending.push_back(rows);
        let Some(enough) = self.enough else {
            return ControlFlow::Continue(());
        };
        while self.rows.len() + self.pending.len() >= enough {
            let Some(first) = self.pending.pop_front() else {
                break;
            };
            self.rows.extend(first.join(reader).await);
        }
        if self.rows.len() >= enough {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    async fn finish(mut self, reader: &Reader) -> Vec<Vec<Value>> {
        while let Some(next) = self.pending.pop_front() {
            self.rows.extend(next.join(reader).await);
        }
        self.rows
    }
}

async fn source_rows(
    run: Rc<WalkRun>,
    number: usize,
    environment: Environment,
    reader: Reader,
) -> Vec<Vec<Value>> {
    let Some(source) = run
        .body()
        .and_then(|body| body.sources.get(number))
        .cloned()
    else {
        return Vec::new();
    };
    let mut collected = Collected {
        pending: VecDeque::new(),
        rows: Vec::new(),
        enough: run.enough,
    };
    let mut any = false;
    let walked = source::walk(
        &run,
        number,
        &environment,
        &reader,
        &mut async |bound: Bound| {
            any = true;
            let inner = environment.with_source(source.id, bound);
            let run = Rc::clone(&run);
            let rows = reader.spawn(move |reader| filtered(run, number, inner, reader));
            collected.add(rows, &reader).await
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
async fn filtered(
    run: Rc<WalkRun>,
    number: usize,
    environment: Environment,
    reader: Reader,
) -> Vec<Vec<Value>> {
    if let Some(filters) = run.body().and_then(|body| body.filters.get(number)) {
        let verdicts = evaluate::all(&run.context, filters, &environment, &reader).await;
        if verdicts.iter().any(|verdict| verdict.truth() != Some(true)) {
            return Vec::new();
        }
    }
    level(run, number + 1, environment, reader).await
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
            && evaluate::value(context, having, &environment, reader)
                .await
                .truth()
                != Some(true)
        {
            continue;
        }
        out.push(evaluate::all(context, &body.outputs, &environment, reader).await);
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
