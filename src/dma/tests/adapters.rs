//! Adapters that are odd: few tags, bad ports, no stamps, restarts, floods; and what the counters say.

use std::time::Duration;

use crate::memory::{PhysicalMemory, ReadFailure};
use crate::wire::*;

use super::conformance::{plain, read};
use super::read_all;
use super::simulation::*;

#[test]
fn an_adapter_that_serves_sixteen_tags_is_read_all_the_same() {
    let (mut dma, world) = simulate(&options(), plain());
    for number in 16..=255 {
        world.borrow_mut().closed.insert(Tag::new(number));
    }
    let reads: Vec<(u64, u32)> = (0..500).map(|page| (page << 12, 512)).collect();
    for ((address, length), outcome) in reads.iter().zip(read_all(&mut dma, &reads)) {
        assert_eq!(outcome, Ok(bytes_at(*address, *length)));
    }
}

#[test]
fn sends_that_the_system_refuses_are_tried_again() {
    let (mut dma, world) = simulate(&options(), plain());
    world.borrow_mut().send_errors.extend([
        std::io::ErrorKind::NetworkUnreachable,
        std::io::ErrorKind::ConnectionRefused,
    ]);
    assert_eq!(read(&mut dma, 0x1000, 8), Ok(bytes_at(0x1000, 8)));
}

#[test]
fn one_flipped_bit_in_a_tag_does_not_give_the_data_to_another_read() {
    let (mut dma, world) = simulate(&options(), plain());
    world.borrow_mut().bend = Some(Box::new(|number, _, mut replies| {
        if number % 20 == 7 {
            // Byte 16 is the tag: the neighbour asks for as many bytes at the same place of another page.
            replies[0].1[16] ^= 1;
        }
        replies
    }));
    let reads: Vec<(u64, u32)> = (0..640).map(|page| (page << 12, 64)).collect();
    for ((address, length), outcome) in reads.iter().zip(read_all(&mut dma, &reads)) {
        assert_eq!(outcome, Ok(bytes_at(*address, *length)));
    }
}

#[test]
fn an_adapter_that_chooses_ports_badly_is_believed_by_the_tag() {
    let (mut dma, world) = simulate(&options(), plain());
    world.borrow_mut().bend = Some(Box::new(|_, read, replies| {
        let port = Tag::new(read.tag.get() ^ 1);
        replies
            .into_iter()
            .map(|(_, reply)| (port, reply))
            .collect()
    }));
    let reads: Vec<(u64, u32)> = (0..300).map(|page| (page << 12, 512)).collect();
    for ((address, length), outcome) in reads.iter().zip(read_all(&mut dma, &reads)) {
        assert_eq!(outcome, Ok(bytes_at(*address, *length)));
    }
}

#[test]
fn an_adapter_that_starts_anew_is_read_on() {
    let (mut dma, world) = simulate(&options(), plain());
    for page in 0..50 {
        let address = page << 12;
        assert_eq!(read(&mut dma, address, 512), Ok(bytes_at(address, 512)));
        if page == 20 {
            let mut world = world.borrow_mut();
            let Timestamp(now) = Timestamp::at(world.now());
            world.conditions.clock = now.wrapping_neg();
            world.restart();
        }
    }
    assert!(dma.counters().failed == 0 && dma.counters().retries < 20);
}

#[test]
fn an_adapter_without_stamps_is_read_too() {
    let conditions = Conditions {
        stamps: false,
        reply_loss: 0.05,
        ..plain()
    };
    let (mut dma, _world) = simulate(&options(), conditions);
    let reads: Vec<(u64, u32)> = (0..300).map(|page| (page << 12, 512)).collect();
    for ((address, length), outcome) in reads.iter().zip(read_all(&mut dma, &reads)) {
        assert_eq!(outcome, Ok(bytes_at(*address, *length)));
    }
}

#[test]
fn a_pause_of_any_length_makes_no_answer_look_old() {
    let (mut dma, world) = simulate(&options(), plain());
    for seconds in [1, 7, 9, 13, 14, 20, 27, 28, 60] {
        for page in 0..10 {
            let address = page << 12;
            assert_eq!(read(&mut dma, address, 64), Ok(bytes_at(address, 64)));
        }
        world.borrow_mut().sleep(Duration::from_secs(seconds));
    }
    assert_eq!(dma.counters().retries, 0);
}

#[test]
fn a_long_way_is_learned_from_answers_that_come_too_late() {
    let conditions = Conditions {
        distance: 5_000_000,
        ..plain()
    };
    let (mut dma, _world) = simulate(&options(), conditions);
    let reads: Vec<(u64, u32)> = (0..32).map(|page| (page << 12, 512)).collect();
    read_all(&mut dma, &reads);
    let at_first = dma.counters().retries;
    assert!((32..=4 * 32).contains(&at_first), "{at_first}");
    for _ in 0..10 {
        for ((address, length), outcome) in reads.iter().zip(read_all(&mut dma, &reads)) {
            assert_eq!(outcome, Ok(bytes_at(*address, *length)));
        }
    }
    assert_eq!(dma.counters().retries, at_first);
}

#[test]
fn a_flood_of_rubbish_does_not_stop_time() {
    let (mut dma, world) = simulate(&options(), plain());
    world.borrow_mut().answer = Box::new(|_| Answer::Silence);
    for number in 0..400_000_u32 {
        let delay = Duration::from_micros(5) * number;
        let reply = (Tag::new(0), vec![0xff; 20]);
        world.borrow_mut().inject(delay, reply);
    }
    let start = world.borrow().now();
    assert_eq!(read(&mut dma, 0x1000, 8), Err(ReadFailure::TimedOut));
    let waited = world.borrow().now() - start;
    assert!(waited < Duration::from_millis(1100), "{waited:?}");
    assert!(dma.counters().discarded > 1000);
}

#[test]
fn counters_say_what_it_cost() {
    let (mut dma, world) = simulate(&options(), plain());
    world.borrow_mut().answer = Box::new(|address| match address >> 12 {
        3 => Answer::Status(CompletionStatus::UnsupportedRequest),
        _ => Answer::Data,
    });
    read_all(&mut dma, &[(0x1000, 512), (0x2000, 8), (0x3000, 8)]);
    let counters = dma.counters();
    assert_eq!((counters.reads, counters.bytes), (3, 520));
    assert_eq!(
        (counters.failed, counters.retries, counters.discarded),
        (1, 0, 0)
    );
    let text = dma.diagnostics();
    assert!(
        text.starts_with("3 requests sent (0 of them again), 4 completions used"),
        "{text}"
    );
    assert!(text.contains("1 requests refused by the target"), "{text}");
}
