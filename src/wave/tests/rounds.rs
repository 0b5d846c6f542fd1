//! Rounds are the longest chain of reads that needed one another, counted without a clock.

use super::*;

/// Pages apart, so that no read serves two nodes.
fn node(number: u64) -> u64 {
    0x10_0000 + number * 4096
}

/// Nodes in a row, each of which points to the next; the last holds 0.
fn chain(memory: &mut SparseMemory, first: u64, length: u64) {
    for number in first..first + length {
        let next = if number + 1 < first + length {
            node(number + 1)
        } else {
            0
        };
        memory.insert(PhysAddr::new(node(number)), &[0; 64]);
        put(memory, node(number), next);
    }
}

/// Follows a chain and counts its nodes.
async fn follow(reader: &Reader, mut at: u64) -> u64 {
    let mut count = 0;
    while at != 0 {
        let word = bytes(reader, at, 8).await.unwrap();
        at = u64::from_le_bytes(word.try_into().unwrap());
        count += 1;
    }
    count
}

fn chains(lengths: &[u64]) -> (SparseMemory, Vec<u64>) {
    let mut memory = SparseMemory::new();
    let mut starts = Vec::new();
    let mut first = 0;
    for length in lengths {
        chain(&mut memory, first, *length);
        starts.push(node(first));
        first += length;
    }
    (memory, starts)
}

#[test]
fn a_chain_of_n_pointers_is_n_rounds() {
    for length in [1, 2, 37] {
        let (memory, starts) = chains(&[length]);
        let (engine, _) = engine(FakeMemory::new(memory, Order::AtOnce));
        let (count, cost) = run(
            &engine,
            |reader| async move { follow(&reader, starts[0]).await },
        );
        assert_eq!(
            (count, u64::from(cost.rounds), cost.reads),
            (length, length, length)
        );
    }
}

#[test]
fn n_reads_that_need_nothing_are_one_round() {
    let (engine, _) = engine(FakeMemory::new(patterned(), Order::OneByOne));
    let wanted: Vec<_> = (0..64).map(|page| (page * 4096, 8)).collect();
    let (_, cost) = run(&engine, |reader| bytes_of_all(reader, wanted));
    assert_eq!((cost.rounds, cost.reads), (1, 64));
}

#[test]
fn what_is_read_after_a_join_depends_on_what_was_joined() {
    let (memory, starts) = chains(&[1, 2, 1]);
    let (engine, _) = engine(FakeMemory::new(memory, Order::AtOnce));
    let (depths, cost) = run(&engine, |reader| async move {
        follow(&reader, starts[0]).await;
        let start = starts[1];
        let child = reader.spawn(move |reader| async move { follow(&reader, start).await });
        let before = reader.depth();
        child.join(&reader).await;
        let joined = reader.depth();
        follow(&reader, starts[2]).await;
        (before, joined, reader.depth())
    });
    assert_eq!(depths, (1, 3, 4));
    assert_eq!(cost.rounds, 4);
}

#[test]
fn a_fork_goes_on_alone() {
    let (memory, starts) = chains(&[1, 5, 1]);
    let (engine, _) = engine(FakeMemory::new(memory, Order::AtOnce));
    let (depths, cost) = run(&engine, |reader| async move {
        follow(&reader, starts[0]).await;
        let fork = reader.fork();
        follow(&fork, starts[1]).await;
        follow(&reader, starts[2]).await;
        (fork.depth(), reader.depth())
    });
    assert_eq!(depths, (6, 2));
    assert_eq!(cost.rounds, 6);
}

#[test]
fn together_takes_as_long_as_its_longest_part() {
    let (memory, starts) = chains(&[3, 5, 1]);
    let (engine, _) = engine(FakeMemory::new(memory, Order::LastFirst));
    let ((counts, depth), cost) = run(&engine, |reader| async move {
        let branch = |start: u64| {
            move |reader: Reader| -> Borrowed<'static, u64> {
                Box::pin(async move { follow(&reader, start).await })
            }
        };
        let counts = together(&reader, [branch(starts[0]), branch(starts[1])]).await;
        follow(&reader, starts[2]).await;
        (counts, reader.depth())
    });
    assert_eq!((counts, depth, cost.rounds), (vec![3, 5], 6, 6));
}

#[test]
fn a_chain_that_was_read_ahead_adds_no_rounds() {
    let (memory, starts) = chains(&[20]);
    let (engine, _) = engine(FakeMemory::new(memory, Order::OneByOne));
    let (count, cost) = run(&engine, |reader| async move {
        let space = crate::wave::fake::space();
        for number in 0..20 {
            reader.prefetch(&space, crate::wave::fake::direct(node(number)), 8);
        }
        follow(&reader, starts[0]).await
    });
    assert_eq!((count, cost.rounds, cost.reads), (20, 1, 20));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn result_and_rounds_do_not_depend_on_the_order_of_completions(
        lengths in prop::collection::vec(1_u64..12, 1..20),
        order in orders(),
    ) {
        let (memory, starts) = chains(&lengths);
        let (engine, ledger) = engine(FakeMemory::new(memory, order));
        let (counts, cost) = run(&engine, |reader| async move {
            let handles: Vec<_> = starts
                .into_iter()
                .map(|start| reader.spawn(move |reader| async move { follow(&reader, start).await }))
                .collect();
            let mut counts = Vec::new();
            for handle in handles {
                counts.push(handle.join(&reader).await);
            }
            counts
        });
        prop_assert_eq!(&counts, &lengths);
        prop_assert_eq!(Some(u64::from(cost.rounds)), lengths.iter().copied().max());
        prop_assert_eq!(cost.reads, lengths.iter().sum::<u64>());
        prop_assert!(ledger.borrow().wrong.is_empty());
    }
}
