//! LibTLP's faults that a requester can have (network faults make its reads wrong, for ever or with success reported): a test each.

use std::time::Duration;

use crate::memory::{PhysicalMemory, ReadFailure};
use crate::wire::*;

use super::conformance::{plain, read, survives};
use super::read_all;
use super::simulation::*;

#[test]
fn a_late_answer_does_not_become_the_next_read_s() {
    let mut options = options();
    options.tags = Some(1);
    options.quarantine = Duration::from_millis(60);
    options.timeout = Duration::from_millis(500);
    let (mut dma, world) = simulate(&options, plain());
    // The first answer comes 40 ms late, long after its request was given up.
    let held: std::rc::Rc<std::cell::RefCell<Vec<Reply>>> = std::rc::Rc::default();
    let hold = std::rc::Rc::clone(&held);
    world.borrow_mut().bend = Some(Box::new(move |number, _, replies| {
        if number == 0 {
            hold.borrow_mut().extend(replies);
            return Vec::new();
        }
        replies
    }));
    assert_eq!(read(&mut dma, 0x1000, 64), Ok(bytes_at(0x1000, 64)));
    for reply in held.borrow_mut().drain(..) {
        world.borrow_mut().inject(Duration::ZERO, reply);
    }
    for page in 2..20 {
        let address = page << 12;
        assert_eq!(read(&mut dma, address, 64), Ok(bytes_at(address, 64)));
    }
    assert_eq!(dma.counters().discarded, 1);
}

#[test]
fn a_duplicate_does_not_become_the_next_read_s() {
    for tags in [1, 2, 256] {
        let mut options = options();
        options.tags = Some(tags);
        let (mut dma, world) = simulate(&options, plain());
        world.borrow_mut().bend = Some(Box::new(|_, _, replies| {
            let twice = replies.iter().chain(&replies);
            twice.cloned().collect()
        }));
        for page in 0..300 {
            let address = page << 12;
            assert_eq!(read(&mut dma, address, 512), Ok(bytes_at(address, 512)));
        }
        assert_eq!(dma.counters().retries, 0);
    }
}

#[test]
fn a_leftover_from_long_ago_is_recognised_by_its_clock() {
    let mut options = options();
    options.tags = Some(1);
    let (mut dma, world) = simulate(&options, plain());
    let first: std::rc::Rc<std::cell::RefCell<Vec<Reply>>> = std::rc::Rc::default();
    let keep = std::rc::Rc::clone(&first);
    world.borrow_mut().bend = Some(Box::new(move |number, _, replies| {
        // A copy of the very first answer comes before each later one.
        if number == 0 {
            *keep.borrow_mut() = replies.clone();
        }
        let old = keep.borrow();
        old.iter().chain(&replies).cloned().collect()
    }));
    for page in 0..100 {
        let address = page << 12;
        assert_eq!(read(&mut dma, address, 64), Ok(bytes_at(address, 64)));
    }
}

#[test]
fn another_tag_or_requester_is_not_taken() {
    let dma = survives(|mut replies| {
        for (_, reply) in &mut replies {
            reply[14..17].copy_from_slice(&[0xde, 0xad, 0x77]);
        }
        replies
    });
    assert_eq!(dma.counters().discarded, 2);
}

#[test]
fn unaligned_reads_in_small_completions_are_put_together_right() {
    let conditions = Conditions {
        max_payload: 64,
        ..plain()
    };
    let (mut dma, _world) = simulate(&options(), conditions);
    assert_eq!(read(&mut dma, 0x1001, 300), Ok(bytes_at(0x1001, 300)));
}

#[test]
fn cut_stretched_empty_and_foreign_datagrams_are_not_used() {
    for length in [0, 1, 5, 6, 17, 18, 40, 4200] {
        let dma = survives(move |mut replies| {
            replies[0].1.resize(length, 0xcc);
            replies
        });
        assert_eq!(dma.counters().discarded, 1, "{length} bytes");
    }
}

#[test]
fn a_completion_that_claims_4095_bytes_for_one_is_not_used() {
    let (mut dma, world) = simulate(&options(), plain());
    world.borrow_mut().bend = Some(Box::new(|number, read, mut replies| {
        if number == 0 {
            let mut header = vec![0x4a, 0, 0, 0, 0, 0, 0x0f, 0xff, 0x1b, 0x00];
            header.extend([read.tag.get(), 3]);
            replies[0].1.truncate(6);
            replies[0].1.extend(header);
            replies[0].1.resize(18 + 4096, 0x66);
        }
        replies
    }));
    assert_eq!(read(&mut dma, 0x1003, 1), Ok(bytes_at(0x1003, 1)));
    assert_eq!(dma.counters().discarded, 1);
}

#[test]
fn a_port_that_nobody_listens_on_is_a_transport_error_soon() {
    let (mut dma, world) = simulate(&options(), plain());
    for number in 0..=255 {
        world.borrow_mut().closed.insert(Tag::new(number));
    }
    let reads: Vec<(u64, u32)> = (0..1000).map(|page| (page << 12, 512)).collect();
    let start = world.borrow().now();
    for outcome in read_all(&mut dma, &reads) {
        assert_eq!(outcome, Err(ReadFailure::Transport));
    }
    assert!(world.borrow().now() - start < Duration::from_millis(100));
    let text = dma.diagnostics();
    assert!(
        text.contains("nothing listens on the adapter's UDP port 12"),
        "{text}"
    );
}
