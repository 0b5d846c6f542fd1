//! Predictors and queries that run again: they cost reads at most, and change no byte of an answer.

use super::*;

/// Reads one chain of `count` lines, each a page after the other, one after the other.
async fn chain(reader: Reader, count: u64) -> Vec<u8> {
    let mut all = Vec::new();
    for page in 0..count {
        all.extend(bytes(&reader, page * 4096, 8).await.unwrap());
    }
    all
}

#[test]
fn what_is_guessed_right_makes_rounds_one() {
    let (engine, _) = engine(FakeMemory::new(patterned(), Order::AtOnce));
    let (slow, cost) = run(&engine, |reader| chain(reader, 20));
    assert_eq!((cost.reads, cost.rounds, cost.guessed), (20, 20, 0));
    let (fast, cost) = run(&engine, |reader| {
        reader.predict(|reader| async move {
            for page in 0..20 {
                reader
                    .engine()
                    .prefetch(PhysAddr::new(page * 4096), 8, reader.depth());
            }
        });
        chain(reader, 20)
    });
    assert_eq!(fast, slow);
    assert!(cost.rounds <= 2 && cost.reads == 20, "{cost:?}");
}

#[test]
fn what_is_guessed_wrong_is_bounded_and_changes_nothing() {
    for order in [
        Order::AtOnce,
        Order::OneByOne,
        Order::LastFirst,
        Order::Random(7),
    ] {
        let (engine, _) = engine(FakeMemory::new(patterned(), order));
        let (right, _) = run(&engine, |reader| chain(reader, 20));
        let (guessed, cost) = run(&engine, |reader| {
            reader.predict(|reader| async move {
                // Neither what is needed nor, mostly, what exists; more than ever may be guessed.
                for number in 0..200_000 {
                    let address = PhysAddr::new(64 + number * 128);
                    reader.engine().prefetch(address, 8, reader.depth());
                }
            });
            chain(reader, 20)
        });
        assert_eq!(guessed, right);
        assert!(cost.guessed <= 17_000, "{cost:?}");
        assert!(cost.reads - cost.guessed <= 20, "{cost:?}");
    }
}

#[test]
fn a_predictor_that_never_ends_does_not_hold_a_query_up() {
    let (engine, _) = engine(FakeMemory::new(patterned(), Order::AtOnce));
    let (read, _) = run(&engine, |reader| {
        reader.predict(|_| std::future::pending::<()>());
        chain(reader, 3)
    });
    assert_eq!(read.len(), 24);
}

#[test]
fn predictors_that_are_switched_off_read_nothing() {
    let (engine, _) = engine(FakeMemory::new(patterned(), Order::AtOnce));
    engine.set_predictors(false);
    for _ in 0..2 {
        let (_, cost) = engine
            .run_again("chain", Budget::default(), |reader| {
                reader.predict(|reader| async move { drop(chain(reader, 60).await) });
                chain(reader, 5)
            })
            .unwrap();
        assert_eq!((cost.reads, cost.rounds, cost.guessed), (5, 5, 0));
    }
}

#[test]
fn a_query_that_runs_again_takes_one_round() {
    let (engine, _) = engine(FakeMemory::new(patterned(), Order::OneByOne));
    let ask = |name: &str| {
        engine
            .run_again(name, Budget::default(), |reader| chain(reader, 20))
            .unwrap()
    };
    let (first, cold) = ask("chain");
    let (other, _) = ask("another");
    let (again, warm) = ask("chain");
    assert_eq!((&first, &first), (&other, &again));
    assert_eq!((cold.reads, cold.rounds), (20, 20));
    assert_eq!((warm.reads, warm.rounds), (20, 1));
    assert_eq!(engine.fewest_reads(false), 20);
}

#[test]
fn a_query_that_runs_again_sees_what_memory_holds_now() {
    let (engine, ledger) = engine(FakeMemory::new(patterned(), Order::Random(3)));
    // Each page says which one is next.
    let follow = |reader: Reader| async move {
        let mut seen = vec![1];
        for _ in 0..8 {
            let page = u64::from(seen.last().unwrap() % 60);
            seen.push(bytes(&reader, page * 4096, 1).await.unwrap()[0]);
        }
        seen
    };
    let ask = || {
        engine
            .run_again("follow", Budget::default(), follow)
            .unwrap()
    };
    let (before, cold) = ask();
    let (same, warm) = ask();
    assert_eq!((&before, warm.rounds, warm.reads), (&same, 1, cold.reads));
    // The third page now leads elsewhere.
    let third = u64::from(before[2] % 60) * 4096;
    ledger.borrow_mut().changed.insert(third, before[3] ^ 0x15);
    let (after, changed) = ask();
    let expected = {
        engine.set_predictors(false);
        ask().0
    };
    assert_ne!(before, after);
    assert_eq!(after, expected);
    assert!(changed.rounds > 1, "{changed:?}");
    assert!(ledger.borrow().wrong.is_empty());
}
