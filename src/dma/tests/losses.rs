//! What is taken for a loss and what is not: queues and pauses of the adapter cost nothing, lost requests are noticed soon.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use crate::dma::Dma;
use crate::memory::PhysicalMemory;

use super::conformance::{plain, read};
use super::read_all;
use super::simulation::*;

/// What an adapter takes for a request, in nanoseconds: 192 of them wait 1.3 ms.
const SERVICE: u64 = 6_800;

/// Reads of 64 bytes, each in a page of its own.
fn many_reads() -> Vec<(u64, u32)> {
    (0..4000).map(|page| (page << 12, 64)).collect()
}

/// A memory behind an adapter that works requests off one after the other.
fn busy(service: impl Fn(usize) -> u64 + 'static) -> (Dma, Rc<RefCell<World>>) {
    let (dma, world) = simulate(&options(), plain());
    world.borrow_mut().service = Box::new(service);
    (dma, world)
}

/// Reads everything and demands every byte.
fn demand(dma: &mut Dma, reads: &[(u64, u32)]) {
    for ((address, length), outcome) in reads.iter().zip(read_all(dma, reads)) {
        assert_eq!(outcome, Ok(bytes_at(*address, *length)));
    }
}

#[test]
fn requests_that_wait_for_their_turn_are_not_lost() {
    // From the start, and after single reads have shown how fast an answer can be.
    for before in [0, 100] {
        let (mut dma, _world) = busy(|_| SERVICE);
        for page in 0..before {
            read(&mut dma, page << 12, 64).unwrap();
        }
        demand(&mut dma, &many_reads());
        assert_eq!(dma.counters().retries, 0, "after {before} single reads");
    }
}

#[test]
fn longest_reads_that_wait_for_their_turn_are_not_lost_either() {
    let (mut dma, _world) = busy(|_| 40_000);
    let reads: Vec<(u64, u32)> = (0..1000).map(|page| (page << 12, 512)).collect();
    demand(&mut dma, &reads);
    assert_eq!(dma.counters().retries, 0);
}

#[test]
fn an_adapter_that_pauses_is_asked_again_a_few_times_only() {
    // Another program gets the processor for 4 ms, three times.
    let pause = |number: usize| match number % 1000 {
        999 => 4_000_000,
        _ => SERVICE,
    };
    let (mut dma, _world) = busy(pause);
    demand(&mut dma, &many_reads());
    let retries = dma.counters().retries;
    assert!(retries <= 8, "{retries} retries");
}

#[test]
fn a_lost_request_is_repeated_once_later_ones_are_answered() {
    let (mut dma, world) = busy(|_| 1_000);
    // The answers to every hundredth request are lost.
    world.borrow_mut().bend = Some(Box::new(|number, _, replies| match number % 100 {
        50 => Vec::new(),
        _ => replies,
    }));
    demand(&mut dma, &many_reads());
    let world = world.borrow();
    let of_page = |page: u64| {
        let sent = world.requests.iter();
        sent.filter(move |(_, read)| read.span.address.get() >> 12 == page)
    };
    let waits: Vec<Duration> = (0..4000)
        .filter_map(|page| {
            let mut times = of_page(page).map(|(at, _)| *at);
            let (first, second) = (times.next()?, times.next()?);
            Some(Duration::from_nanos(second - first))
        })
        .collect();
    // A round trip behind 192 others, and the time by which one may overtake another; at the end there are no later ones, and the
    // time-out is waited for.
    let soon = waits
        .iter()
        .filter(|wait| **wait < Duration::from_micros(310));
    assert!(waits.len() >= 30, "{}", waits.len());
    assert!(soon.count() >= waits.len() - 2, "{waits:?}");
}

#[test]
fn many_losses_cost_no_more_than_their_tags_rest() {
    // One datagram in twenty is lost either way. Each loss takes a tag away for 50 ms, so 256 tags bear about 5000 losses a second.
    let conditions = Conditions {
        request_loss: 0.05,
        reply_loss: 0.05,
        ..plain()
    };
    let (mut dma, world) = simulate(&options(), conditions);
    let start = world.borrow().now();
    demand(&mut dma, &many_reads());
    let time = world.borrow().now() - start;
    let losses = dma.counters().retries as u32;
    assert!(
        time < Duration::from_secs(1) * losses / 3500,
        "{losses} losses in {time:?}"
    );
}
