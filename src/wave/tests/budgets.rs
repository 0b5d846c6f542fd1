//! Budgets end queries, nothing hangs, and what one query leaves behind does not touch the next.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::addr::PhysRange;
use crate::memory::read_batch;

/// Reads one line of each page, one after the other, up to the first failure.
async fn page_by_page(reader: Reader) -> Result<u64, Unreadable> {
    for page in 0..LIMITED / 4096 {
        bytes(&reader, page * 4096, 8).await?;
    }
    Ok(LIMITED / 4096)
}

/// Whether a read ended because the query did.
fn not_issued<T>(outcome: &Result<T, Unreadable>) -> bool {
    matches!(
        outcome,
        Err(Unreadable::Memory {
            failure: ReadFailure::NotIssued,
            ..
        })
    )
}

fn short() -> Budget {
    Budget {
        max_time: Duration::from_millis(30),
        ..Budget::default()
    }
}

#[test]
fn a_query_may_use_its_last_read() {
    let pages = LIMITED / 4096;
    for (max_reads, stopped) in [
        (pages, None),
        (pages - 1, Some(Stopped::Reads)),
        (0, Some(Stopped::Reads)),
    ] {
        let (engine, ledger) = engine(FakeMemory::new(patterned(), Order::AtOnce));
        let budget = Budget {
            max_reads,
            ..Budget::default()
        };
        let (outcome, cost) = engine.run(budget, page_by_page).unwrap();
        assert_eq!(cost.stopped, stopped);
        assert_eq!(not_issued(&outcome), stopped.is_some());
        assert_eq!(ledger.borrow().reads.len() as u64, max_reads);
    }
}

#[test]
fn a_wide_query_never_sends_more_than_it_may() {
    let (engine, ledger) = engine(FakeMemory::new(patterned(), Order::Random(3)));
    let wanted: Vec<_> = (0..500).map(|i| (i * 512, 8)).collect();
    let budget = Budget {
        max_reads: 100,
        ..Budget::default()
    };
    let (all, cost) = engine
        .run(budget, |reader| bytes_of_all(reader, wanted))
        .unwrap();
    assert_eq!(
        (cost.stopped, ledger.borrow().reads.len()),
        (Some(Stopped::Reads), 100)
    );
    assert!(all.iter().all(|read| read.is_ok() || not_issued(read)));
    assert!(all.iter().any(not_issued));
}

#[test]
fn cancelling_ends_every_future_with_not_issued() {
    let (engine, ledger) = engine(FakeMemory::new(patterned(), Order::LastFirst));
    let budget = Budget::default();
    ledger.borrow_mut().cancel_after = Some((10, Arc::clone(&budget.cancel)));
    let (outcome, cost) = engine.run(budget, page_by_page).unwrap();
    assert!(not_issued(&outcome));
    assert_eq!((cost.stopped, cost.reads), (Some(Stopped::Cancelled), 10));
}

#[test]
fn a_query_that_is_cancelled_before_it_starts_reads_nothing() {
    let (engine, ledger) = engine(FakeMemory::new(patterned(), Order::AtOnce));
    let budget = Budget {
        cancel: Arc::new(AtomicBool::new(true)),
        ..Budget::default()
    };
    let (outcome, cost) = engine.run(budget, page_by_page).unwrap();
    assert!(not_issued(&outcome));
    assert_eq!(
        (cost.stopped, ledger.borrow().reads.len()),
        (Some(Stopped::Cancelled), 0)
    );
}

#[test]
fn time_runs_out_in_a_loop_that_only_reads_what_is_here() {
    let (engine, ledger) = engine(FakeMemory::new(patterned(), Order::AtOnce));
    let started = Instant::now();
    let (turns, cost) = engine
        .run(short(), |reader| async move {
            let mut turns = 0_u64;
            while bytes(&reader, 0x1000, 8).await.is_ok() {
                turns += 1;
            }
            turns
        })
        .unwrap();
    assert!(turns > 1);
    assert_eq!(
        (cost.stopped, ledger.borrow().reads.len()),
        (Some(Stopped::Time), 1)
    );
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn time_runs_out_in_a_loop_over_a_line_that_failed() {
    let (engine, ledger) = engine(FakeMemory::new(patterned(), Order::AtOnce));
    ledger
        .borrow_mut()
        .failing
        .insert(0x1000, ReadFailure::UnsupportedRequest);
    let (_, cost) = engine
        .run(short(), |reader| async move {
            while !not_issued(&bytes(&reader, 0x1000, 8).await) {}
        })
        .unwrap();
    assert_eq!((cost.stopped, cost.reads), (Some(Stopped::Time), 1));
}

#[test]
fn time_runs_out_for_futures_that_start_others_without_end() {
    fn start_next(reader: &Reader, over: Rc<Cell<bool>>) {
        let _ = reader.spawn(|reader| async move {
            match bytes(&reader, 0x1000, 8).await {
                Ok(_) => start_next(&reader, over),
                Err(_) => over.set(true),
            }
        });
    }
    let (engine, _) = engine(FakeMemory::new(patterned(), Order::AtOnce));
    let (over, cost) = engine
        .run(short(), |reader| async move {
            let over = Rc::new(Cell::new(false));
            start_next(&reader, Rc::clone(&over));
            while bytes(&reader, 0x1000, 8).await.is_ok() {}
            over
        })
        .unwrap();
    assert!(over.get());
    assert_eq!(cost.stopped, Some(Stopped::Time));
}

#[test]
fn a_busy_future_leaves_turns_to_others() {
    let (engine, _) = engine(FakeMemory::new(patterned(), Order::AtOnce));
    let (pages, cost) = run(&engine, |reader| async move {
        let done = Rc::new(Cell::new(false));
        let told = Rc::clone(&done);
        let other = reader.spawn(|reader| async move {
            let pages = page_by_page(reader).await;
            told.set(true);
            pages
        });
        while !done.get() {
            bytes(&reader, 0x1000, 8).await.unwrap();
        }
        other.join(&reader).await
    });
    assert_eq!((pages, cost.stopped), (Ok(LIMITED / 4096), None));
}

/// Counts its drops, and uses the engine while it is dropped.
struct Guard(Rc<Cell<u32>>, Reader);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
        let _ = self.1.spawn(|_| async {});
    }
}

#[test]
fn futures_that_a_query_leaves_behind_are_dropped() {
    let (engine, _) = engine(FakeMemory::new(patterned(), Order::OneByOne));
    let drops = Rc::new(Cell::new(0));
    let counter = Rc::clone(&drops);
    run(&engine, |reader| async move {
        for page in 0..5 {
            let guard = Guard(Rc::clone(&counter), reader.clone());
            let _ = reader.spawn(move |reader| async move {
                let _ = bytes(&reader, page * 4096, 8).await;
                std::future::pending::<()>().await;
                drop(guard);
            });
        }
        bytes(&reader, 0x9000, 8).await.unwrap();
    });
    assert_eq!(drops.get(), 5);
}

/// Leaves reads of the first pages in flight.
fn leave_reads_behind(engine: &Rc<Engine>) {
    run(engine, |reader| async move {
        for page in 0..20 {
            let _ = reader.spawn(move |reader| async move { bytes(&reader, page * 4096, 8).await });
        }
        bytes(&reader, 0x3_0000, 8).await.unwrap();
    });
}

#[test]
fn late_completions_do_not_disturb_the_next_query() {
    let limits = Limits {
        window_bytes: 640,
        ..Limits::default()
    };
    for order in [Order::LastFirst, Order::OneByOne, Order::Random(5)] {
        let memory = FakeMemory::new(patterned(), order).with_limits(limits);
        let (engine, ledger) = engine(memory);
        for _ in 0..5 {
            leave_reads_behind(&engine);
            let wanted: Vec<_> = (0..60).map(|page| (page * 4096 + 128, 8)).collect();
            let (all, cost) = run(&engine, |reader| bytes_of_all(reader, wanted));
            for (page, read) in (0..).zip(all) {
                assert_eq!(read.unwrap()[0], byte_at(page * 4096 + 128));
            }
            assert_eq!((cost.reads, cost.rounds, cost.stopped), (60, 1, None));
        }
        assert_eq!(ledger.borrow().wrong, Vec::<String>::new());
        assert!(
            ledger.borrow().most_bytes <= 2 * 640,
            "{}",
            ledger.borrow().most_bytes
        );
    }
}

#[test]
fn direct_use_of_the_memory_gets_its_own_bytes() {
    let (engine, ledger) = engine(FakeMemory::new(patterned(), Order::LastFirst));
    leave_reads_behind(&engine);
    let range = PhysRange::of_length(PhysAddr::new(0x2_0000), 4096).unwrap();
    let read = engine.with_memory(|memory| read_batch(memory, &[range]));
    assert_eq!(
        read[0].as_ref().unwrap(),
        &(0x2_0000..0x2_1000).map(byte_at).collect::<Vec<_>>()
    );
    assert_eq!(ledger.borrow().wrong, Vec::<String>::new());
}

#[test]
fn an_engine_is_as_good_as_new_after_a_query_that_ended_badly() {
    let (engine, ledger) = engine(FakeMemory::new(patterned(), Order::LastFirst));
    let cancelled = Budget::default();
    cancelled.cancel.store(true, Ordering::Relaxed);
    assert!(engine.run(cancelled, page_by_page).unwrap().0.is_err());
    let few = Budget {
        max_reads: 7,
        ..Budget::default()
    };
    assert!(engine.run(few, page_by_page).unwrap().0.is_err());
    assert!(
        engine
            .run(Budget::default(), |_| std::future::pending::<()>())
            .is_err()
    );
    let (outcome, cost) = run(&engine, page_by_page);
    assert_eq!(
        (outcome, cost.stopped, cost.reads),
        (Ok(LIMITED / 4096), None, LIMITED / 4096)
    );
    assert_eq!(ledger.borrow().wrong, Vec::<String>::new());
}
