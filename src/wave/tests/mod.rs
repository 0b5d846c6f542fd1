//! The room as its users see it: over a memory that watches every read.

mod budgets;
mod predictions;
mod rounds;
mod translated;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::future::Future;
use std::rc::Rc;

use proptest::prelude::*;

use super::fake::{FakeMemory, Ledger, Order, put};
use super::*;
use crate::addr::PhysAddr;
use crate::memory::{Limits, ReadFailure, SparseMemory};

const LIMITED: u64 = 64 * 4096;

/// What the test memory holds at an address.
fn byte_at(address: u64) -> u8 {
    (address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

/// Memory from 0 to [`LIMITED`] in which every byte tells where it is.
fn patterned() -> SparseMemory {
    let bytes: Vec<u8> = (0..LIMITED).map(byte_at).collect();
    let mut memory = SparseMemory::new();
    memory.insert(PhysAddr::new(0), &bytes);
    memory
}

/// An engine over a fake, with the fake's ledger.
fn engine(memory: FakeMemory) -> (Rc<Engine>, Rc<RefCell<Ledger>>) {
    let ledger = memory.ledger();
    (Engine::new(Box::new(memory)), ledger)
}

/// Runs one query with the usual budget.
fn run<T: 'static, F: Future<Output = T> + 'static>(
    engine: &Rc<Engine>,
    start: impl FnOnce(Reader) -> F,
) -> (T, Cost) {
    engine.run(Budget::default(), start).unwrap()
}

/// Reads a few bytes.
async fn bytes(reader: &Reader, address: u64, length: usize) -> Result<Vec<u8>, Unreadable> {
    let mut buffer = vec![0; length];
    reader.physical(PhysAddr::new(address), &mut buffer).await?;
    Ok(buffer)
}

/// Reads all these stretches at the same time, each in a future of its own.
async fn bytes_of_all(
    reader: Reader,
    wanted: Vec<(u64, usize)>,
) -> Vec<Result<Vec<u8>, Unreadable>> {
    let handles: Vec<_> = wanted
        .into_iter()
        .map(|(address, length)| {
            reader.spawn(move |reader| async move { bytes(&reader, address, length).await })
        })
        .collect();
    let mut all = Vec::new();
    for handle in handles {
        all.push(handle.join(&reader).await);
    }
    all
}

/// The reads that the memory saw, as address and length.
fn seen(ledger: &Rc<RefCell<Ledger>>) -> Vec<(u64, u32)> {
    ledger
        .borrow()
        .reads
        .iter()
        .map(|read| (read.address.get(), read.length))
        .collect()
}

fn orders() -> impl Strategy<Value = Order> {
    prop_oneof![
        Just(Order::AtOnce),
        Just(Order::OneByOne),
        Just(Order::LastFirst),
        any::<u64>().prop_map(Order::Random),
    ]
}

#[test]
fn neighbours_wanted_together_are_one_read() {
    let (engine, ledger) = engine(FakeMemory::new(patterned(), Order::AtOnce));
    let wanted = vec![(0x1008, 8), (0x1188, 8), (0x10c0, 64), (0x1100, 1)];
    let (_, cost) = run(&engine, |reader| bytes_of_all(reader, wanted));
    assert_eq!(seen(&ledger), [(0x1000, 0x1c0)]);
    assert_eq!((cost.reads, cost.bytes, cost.rounds), (1, 0x1c0, 1));
}

#[test]
fn reads_do_not_cross_pages_and_pages_need_no_second_round() {
    let (engine, ledger) = engine(FakeMemory::new(patterned(), Order::OneByOne));
    let (read, cost) = run(
        &engine,
        |reader| async move { bytes(&reader, 0x1ff8, 16).await },
    );
    assert_eq!(
        read.unwrap(),
        (0x1ff8..0x2008).map(byte_at).collect::<Vec<_>>()
    );
    assert_eq!(seen(&ledger), [(0x1fc0, 64), (0x2000, 64)]);
    assert_eq!((cost.reads, cost.rounds), (2, 1));
}

#[test]
fn a_block_that_many_want_is_read_once() {
    let (engine, ledger) = engine(FakeMemory::new(patterned(), Order::LastFirst));
    let wanted: Vec<_> = (0..200).map(|i| (0x3000 + i % 64, 8)).collect();
    let (all, cost) = run(&engine, |reader| async move {
        bytes_of_all(reader.clone(), wanted.clone()).await;
        bytes_of_all(reader, wanted).await
    });
    assert!(
        all.iter()
            .zip(0..)
            .all(|(read, i)| read.as_ref().unwrap()[0] == byte_at(0x3000 + i % 64))
    );
    assert_eq!(seen(&ledger), [(0x3000, 128)]);
    assert!(cost.cache_hits >= 200);
}

#[test]
fn the_window_is_kept_however_much_is_wanted() {
    for (max_read, window_bytes, window_reads) in [(512, 2048, 256), (4096, 16_384, 3), (64, 64, 1)]
    {
        let limits = Limits {
            max_read,
            window_bytes,
            window_reads,
        };
        let memory = FakeMemory::new(patterned(), Order::Random(7)).with_limits(limits);
        let (engine, ledger) = engine(memory);
        let wanted: Vec<_> = (0..LIMITED / 192).map(|i| (i * 192, 64)).collect();
        let (all, _) = run(&engine, |reader| bytes_of_all(reader, wanted));
        assert!(all.iter().all(Result::is_ok));
        let ledger = ledger.borrow();
        assert!(
            ledger.most_bytes <= 2 * u64::from(window_bytes),
            "{}",
            ledger.most_bytes
        );
        assert!(
            ledger.most_reads <= 2 * window_reads as usize,
            "{}",
            ledger.most_reads
        );
        assert_eq!(ledger.wrong, Vec::<String>::new());
    }
}

#[test]
fn a_window_smaller_than_a_read_still_lets_one_through() {
    let limits = Limits {
        max_read: 512,
        window_bytes: 64,
        window_reads: 0,
    };
    let (engine, ledger) =
        engine(FakeMemory::new(patterned(), Order::OneByOne).with_limits(limits));
    let (read, _) = run(
        &engine,
        |reader| async move { bytes(&reader, 0, 2048).await },
    );
    assert_eq!(read.unwrap().len(), 2048);
    assert_eq!(
        (ledger.borrow().most_reads, ledger.borrow().most_bytes),
        (1, 512)
    );
}

#[test]
fn a_failed_merged_read_is_tried_again_line_by_line_where_asked_for() {
    let (engine, ledger) = engine(FakeMemory::new(patterned(), Order::AtOnce));
    ledger
        .borrow_mut()
        .failing
        .insert(0x10c0, ReadFailure::UnsupportedRequest);
    let wanted = vec![(0x1000, 8), (0x10c8, 8), (0x1140, 8)];
    let (all, cost) = run(&engine, |reader| bytes_of_all(reader, wanted));
    assert_eq!(all[0].as_ref().unwrap()[0], byte_at(0x1000));
    assert_eq!(all[2].as_ref().unwrap()[0], byte_at(0x1140));
    let failure = ReadFailure::UnsupportedRequest;
    assert_eq!(
        all[1],
        Err(Unreadable::Memory {
            address: PhysAddr::new(0x10c8),
            failure
        })
    );
    assert_eq!(
        seen(&ledger),
        [(0x1000, 0x180), (0x1000, 64), (0x10c0, 64), (0x1140, 64)]
    );
    assert_eq!((cost.reads, cost.failed, cost.rounds), (4, 2, 1));
}

#[test]
fn a_line_that_only_lay_between_can_be_read_after_a_failure() {
    let (engine, ledger) = engine(FakeMemory::new(patterned(), Order::AtOnce));
    ledger
        .borrow_mut()
        .failing
        .insert(0x1000, ReadFailure::CompleterAbort);
    let (read, _) = run(&engine, |reader| async move {
        let first = bytes_of_all(reader.clone(), vec![(0x1000, 8), (0x1080, 8)]).await;
        assert!(first[0].is_err() && first[1].is_ok());
        bytes(&reader, 0x1040, 8).await
    });
    assert_eq!(read.unwrap()[0], byte_at(0x1040));
}

#[test]
fn a_target_that_does_not_answer_is_not_asked_line_by_line() {
    let (engine, ledger) = engine(FakeMemory::new(patterned(), Order::AtOnce));
    ledger
        .borrow_mut()
        .failing
        .insert(0x1000, ReadFailure::TimedOut);
    let (all, cost) = run(&engine, |reader| {
        bytes_of_all(reader, vec![(0x1000, 8), (0x1100, 8)])
    });
    assert!(all.iter().all(Result::is_err));
    assert_eq!(cost.reads, 1);
}

#[test]
fn addresses_at_the_end_of_the_address_space_fail_without_a_panic() {
    let (engine, _) = engine(FakeMemory::new(patterned(), Order::AtOnce));
    let wanted = vec![
        (u64::MAX, 1),
        (u64::MAX - 7, 8),
        (u64::MAX - 8, 8),
        (u64::MAX - 64, 1),
    ];
    let (all, _) = run(&engine, |reader| bytes_of_all(reader, wanted));
    assert!(all.iter().all(Result::is_err));
}

#[test]
fn a_future_that_nobody_will_wake_is_reported() {
    let (engine, _) = engine(FakeMemory::new(patterned(), Order::AtOnce));
    let outcome = engine.run(Budget::default(), |_| std::future::pending::<()>());
    assert_eq!(outcome.unwrap_err(), Stalled { tasks: 1 });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is wanted, in whatever order it comes: the bytes are those of the memory, and every read keeps the rules.
    #[test]
    fn bytes_are_those_of_the_memory(
        order in orders(),
        max_read in prop::sample::select(vec![64_u32, 128, 256, 512, 1024, 4096]),
        wanted in prop::collection::vec((0..LIMITED - 9000, 1_usize..9000), 1..24),
        absent in prop::collection::btree_set(0..LIMITED / 64, 0..4),
    ) {
        let limits = Limits { max_read, ..Limits::default() };
        let (engine, ledger) = engine(FakeMemory::new(patterned(), order).with_limits(limits));
        let absent: BTreeSet<u64> = absent.into_iter().map(|line| line * 64).collect();
        for line in &absent {
            ledger.borrow_mut().failing.insert(*line, ReadFailure::UnsupportedRequest);
        }
        let queries = wanted.clone();
        let (all, cost) = run(&engine, |reader| bytes_of_all(reader, queries));
        for (read, (address, length)) in all.into_iter().zip(wanted) {
            let end = address + length as u64;
            let broken = absent.range(address / 64 * 64..end).next().is_some();
            match read {
                Ok(read) => {
                    prop_assert!(!broken);
                    prop_assert_eq!(read, (address..end).map(byte_at).collect::<Vec<_>>());
                }
                Err(_) => prop_assert!(broken),
            }
        }
        let ledger = ledger.borrow();
        prop_assert!(ledger.wrong.is_empty(), "{:?}", ledger.wrong);
        prop_assert_eq!(cost.reads as usize, ledger.reads.len());
        prop_assert_eq!(cost.rounds, 1);
    }
}
