//! A thousand seeds of loss, repetition, reordering, delay, damage and odd splits: every byte is right, every read ends.

use std::time::Duration;

use crate::memory::{PhysicalMemory, ReadFailure};
use crate::wire::CompletionStatus;

use super::read_all;
use super::simulation::*;

/// Reads of all sizes and alignments, some neighbours, some far apart; none crosses 4 KiB.
fn some_reads(random: &mut fastrand::Rng, count: usize, max_read: u32) -> Vec<(u64, u32)> {
    (0..count)
        .map(|_| {
            let page = random.u64(0..0x20_0000) << 12;
            let length = match random.u32(0..4) {
                0 => 8,
                1 => random.u32(1..=16),
                2 => random.u32(1..=max_read),
                _ => max_read,
            };
            let room = 4096 - length;
            let offset = match random.u32(0..3) {
                0 => random.u32(0..=room),
                1 => random.u32(0..=room) & !7,
                _ => random.u32(0..=room) & !(max_read - 1),
            };
            (page + u64::from(offset), length)
        })
        .collect()
}

/// Reads under the given conditions and demands every byte; returns the simulated time taken.
fn demand_all(conditions: Conditions, rounds: usize, max_read: u32) -> Duration {
    let mut random = fastrand::Rng::with_seed(conditions.seed ^ 0x5eed);
    let mut options = options();
    options.max_read = max_read;
    let described = format!("{conditions:?}");
    let (mut dma, world) = simulate(&options, conditions);
    let start = world.borrow().now();
    for round in 0..rounds {
        let reads = some_reads(&mut random, 50, max_read);
        let outcomes = read_all(&mut dma, &reads);
        for ((address, length), outcome) in reads.iter().zip(outcomes) {
            assert!(
                outcome == Ok(bytes_at(*address, *length)),
                "round {round}: {length} bytes at {address:#x}: {:?}\n{described}\n{}",
                outcome.err(),
                dma.diagnostics()
            );
        }
    }
    let end = world.borrow().now();
    end - start
}

/// Conditions of a kind that the seed chooses, on a target that splits as the seed chooses.
fn conditions(seed: u64) -> (Conditions, u32) {
    let mut random = fastrand::Rng::with_seed(seed);
    let (boundary, max_payload) =
        [(64, 64), (64, 128), (64, 256), (128, 128), (128, 256)][random.usize(0..5)];
    let loss = [0.0, 0.01, 0.05, 0.10, 0.15, 0.30][random.usize(0..6)];
    let mut chance = |probability: f64| if random.bool() { probability } else { 0.0 };
    let mut conditions = Conditions {
        seed,
        request_loss: loss,
        reply_loss: loss,
        duplicate_requests: chance(0.10),
        duplicate_replies: chance(0.10),
        reorder: chance(0.10),
        late: chance(0.05),
        corrupt: chance(0.15),
        distance: 5_000,
        boundary,
        max_payload,
        random_splits: random.bool(),
        sequence: random.u16(..),
        clock: random.u32(..),
        stamps: true,
    };
    // A doubled request whose copy dawdles past the next use of its tag cannot be told from the new one, until the first second
    // answer has been seen: on a long way that may be too late.
    if conditions.duplicate_requests == 0.0 {
        conditions.distance = [5_000, 100_000, 3_000_000][random.usize(0..3)];
    }
    (conditions, [128, 512, 512, 1024, 4096][random.usize(0..5)])
}

#[test]
fn a_thousand_seeds_of_everything_give_every_byte() {
    for seed in 0..1000 {
        let (conditions, max_read) = conditions(seed);
        demand_all(conditions, 2, max_read);
    }
}

#[test]
fn loss_of_three_datagrams_in_ten_each_way_slows_down_and_fails_nothing() {
    let time = |loss| {
        let conditions = Conditions {
            request_loss: loss,
            reply_loss: loss,
            seed: 77,
            ..Conditions::default()
        };
        demand_all(conditions, 20, 512)
    };
    let faultless = time(0.0);
    assert!(time(0.30) > faultless);
}

#[test]
fn a_long_queue_under_heavy_loss_is_worked_off_without_a_failure() {
    for (seed, tags) in [(1, 256), (2, 32)] {
        let mut options = options();
        options.tags = Some(tags);
        let conditions = Conditions {
            seed,
            request_loss: 0.30,
            reply_loss: 0.30,
            ..Conditions::default()
        };
        let (mut dma, _world) = simulate(&options, conditions);
        let reads: Vec<(u64, u32)> = (0..1500).map(|page| (page << 12, 512)).collect();
        for ((address, length), outcome) in reads.iter().zip(read_all(&mut dma, &reads)) {
            assert_eq!(outcome, Ok(bytes_at(*address, *length)));
        }
    }
}

#[test]
fn every_legal_first_split_of_every_alignment_is_assembled() {
    for (boundary, max_payload) in [(64, 64), (64, 128), (64, 256), (128, 128), (128, 256)] {
        for seed in 0..20 {
            let conditions = Conditions {
                seed,
                boundary,
                max_payload,
                random_splits: true,
                reorder: 0.5,
                ..Conditions::default()
            };
            let (mut dma, _world) = simulate(&options(), conditions);
            let reads: Vec<(u64, u32)> = (0..130)
                .flat_map(|start| {
                    let address = 0x4000 * (start + 1) + start;
                    [(address, 300), (address, 512), (address, 1)]
                })
                .collect();
            for ((address, length), outcome) in reads.iter().zip(read_all(&mut dma, &reads)) {
                assert_eq!(outcome, Ok(bytes_at(*address, *length)));
            }
            assert_eq!(dma.counters().discarded, 0);
        }
    }
}

#[test]
fn sequence_and_clock_may_wrap_at_any_moment() {
    for step in 0..200_u32 {
        let conditions = Conditions {
            seed: u64::from(step),
            sequence: (step as u16).wrapping_mul(3).wrapping_neg(),
            clock: (step * 4000).wrapping_neg(),
            duplicate_replies: 0.2,
            reorder: 0.2,
            ..Conditions::default()
        };
        demand_all(conditions, 3, 512);
    }
}

#[test]
fn failures_are_told_apart_under_loss_and_harm_no_other_read() {
    use CompletionStatus as Status;
    let answers = [
        (Answer::Data, None),
        (
            Answer::Status(Status::UnsupportedRequest),
            Some(ReadFailure::UnsupportedRequest),
        ),
        (
            Answer::Status(Status::CompleterAbort),
            Some(ReadFailure::CompleterAbort),
        ),
        (
            Answer::Status(Status::Reserved(6)),
            Some(ReadFailure::UnsupportedRequest),
        ),
        (Answer::Poisoned, Some(ReadFailure::Poisoned)),
        (Answer::Silence, Some(ReadFailure::TimedOut)),
    ];
    for seed in 0..60 {
        let (mut conditions, max_read) = conditions(seed);
        // A flipped bit in a completion without data can turn one failure into another: the status has no check.
        conditions.corrupt = 0.0;
        let mut options = options();
        options.max_read = max_read;
        let (mut dma, world) = simulate(&options, conditions);
        world.borrow_mut().answer =
            Box::new(move |address| answers[(address >> 12) as usize % 6].0);
        let reads: Vec<(u64, u32)> = (0..120)
            .map(|page| ((page << 12) + page * 8, 8 + (page as u32 % 5) * 20))
            .collect();
        let outcomes = read_all(&mut dma, &reads);
        for ((address, length), outcome) in reads.iter().zip(outcomes) {
            let expected = match answers[(*address >> 12) as usize % 6].1 {
                None => Ok(bytes_at(*address, *length)),
                Some(failure) => Err(failure),
            };
            assert!(
                outcome == expected,
                "seed {seed} address {address:#x}: {:?}\n{:?}",
                outcome.err(),
                world.borrow().conditions,
            );
        }
        let counters = dma.counters();
        assert_eq!((counters.reads, counters.failed), (120, 100));
    }
}

#[test]
fn few_tags_are_enough_under_loss() {
    for seed in 0..40 {
        let mut options = options();
        options.tags = Some(16);
        options.timeout = Duration::from_secs(3);
        let conditions = Conditions {
            seed,
            request_loss: 0.02,
            reply_loss: 0.02,
            duplicate_replies: 0.05,
            ..Conditions::default()
        };
        let (mut dma, _world) = simulate(&options, conditions);
        let mut random = fastrand::Rng::with_seed(seed);
        let reads = some_reads(&mut random, 100, 512);
        for ((address, length), outcome) in reads.iter().zip(read_all(&mut dma, &reads)) {
            assert_eq!(outcome, Ok(bytes_at(*address, *length)));
        }
    }
}
