//! What a correct requester does: a test for each of the project's rules, by their numbers. The simulated adapter refuses, with a panic, every request that is not a legal memory read of its own
//! requester ID with all flag bits 0 inside 4 KiB and the maximum read request, or whose tag is still outstanding.

use std::time::Duration;

use crate::memory::{PhysicalMemory, ReadFailure};
use crate::wire::*;

use super::read_all;
use super::simulation::*;
use crate::dma::Dma;

const MILLISECOND: Duration = Duration::from_millis(1);

pub(super) fn plain() -> Conditions {
    Conditions::default()
}

pub(super) fn read(dma: &mut Dma, address: u64, length: u32) -> Result<Vec<u8>, ReadFailure> {
    read_all(dma, &[(address, length)]).remove(0)
}

/// Demands that 512 bytes at 0x1000 arrive, and nothing else, when the replies to the first request are bent.
pub(super) fn survives(bend: impl FnMut(Vec<Reply>) -> Vec<Reply> + 'static) -> Dma {
    let mut bend = bend;
    let (mut dma, world) = simulate(&options(), plain());
    world.borrow_mut().bend = Some(Box::new(
        move |number, _, replies| {
            if number == 0 { bend(replies) } else { replies }
        },
    ));
    assert_eq!(read(&mut dma, 0x1000, 512), Ok(bytes_at(0x1000, 512)));
    dma
}

#[test]
fn rule_1_reads_up_to_the_page_end_are_sent_and_none_beyond() {
    let (mut dma, _world) = simulate(&options(), plain());
    for length in [1, 3, 4, 64, 511, 512] {
        let address = 0x5000 - u64::from(length);
        assert_eq!(
            read(&mut dma, address, length),
            Ok(bytes_at(address, length))
        );
    }
}

#[test]
#[cfg_attr(debug_assertions, should_panic(expected = "breaks the rules"))]
fn rule_1_a_read_across_4_kib_is_refused() {
    let (mut dma, world) = simulate(&options(), plain());
    assert_eq!(read(&mut dma, 0x1ffc, 8), Err(ReadFailure::NotIssued));
    assert!(world.borrow().requests.is_empty());
}

#[test]
#[cfg_attr(debug_assertions, should_panic(expected = "breaks the rules"))]
fn rule_2_a_read_longer_than_allowed_is_refused() {
    let (mut dma, _world) = simulate(&options(), plain());
    assert_eq!(read(&mut dma, 0x1000, 513), Err(ReadFailure::NotIssued));
}

#[test]
fn rule_2_unaligned_bytes_do_not_stretch_a_request_beyond_the_maximum() {
    for max_read in [64, 128, 256, 512, 1024, 2048, 4096] {
        let mut options = options();
        options.max_read = max_read;
        let (mut dma, world) = simulate(&options, plain());
        let longest = max_read.min(4095);
        assert_eq!(
            read(&mut dma, 0x3001, longest),
            Ok(bytes_at(0x3001, longest))
        );
        let expected = if max_read == 4096 { 1 } else { 2 };
        assert_eq!(world.borrow().requests.len(), expected);
    }
}

#[test]
fn rule_4_every_alignment_and_small_length_gives_its_bytes() {
    let (mut dma, _world) = simulate(&options(), plain());
    let reads: Vec<(u64, u32)> = (0..9)
        .flat_map(|start| (1..20).map(move |length| (0x7000 + start, length)))
        .collect();
    for ((address, length), outcome) in reads.iter().zip(read_all(&mut dma, &reads)) {
        assert_eq!(outcome, Ok(bytes_at(*address, *length)));
    }
}

#[test]
fn rule_5_addresses_on_both_sides_of_4_gib_are_read() {
    let (mut dma, _world) = simulate(&options(), plain());
    for address in [0, 0xffff_fff0, 0x1_0000_0000, 0x00ff_ffff_ffff_ff00] {
        assert_eq!(read(&mut dma, address, 16), Ok(bytes_at(address, 16)));
    }
}

#[test]
fn rule_6_completions_are_placed_by_byte_count_not_by_arrival() {
    for max_payload in [64, 128, 256] {
        let conditions = Conditions {
            max_payload,
            ..plain()
        };
        let (mut dma, world) = simulate(&options(), conditions);
        world.borrow_mut().bend = Some(Box::new(|_, _, mut replies| {
            replies.reverse();
            replies
        }));
        assert_eq!(read(&mut dma, 0x1004, 500), Ok(bytes_at(0x1004, 500)));
        assert_eq!(dma.counters().retries, 0);
    }
}

#[test]
fn rule_6_a_page_in_one_completion_has_length_and_byte_count_0() {
    let mut options = options();
    options.max_read = 4096;
    let conditions = Conditions {
        max_payload: 4096,
        ..plain()
    };
    let (mut dma, _world) = simulate(&options, conditions);
    assert_eq!(read(&mut dma, 0x8000, 4096), Ok(bytes_at(0x8000, 4096)));
    assert_eq!(dma.counters().retries, 0);
}

#[test]
fn rule_6_a_wrong_byte_count_lower_address_or_length_is_not_used() {
    // Offsets in the datagram: byte count 12 and 13, lower address 17, length 8 and 9.
    for (at, bits) in [
        (12, 0x01),
        (13, 0x40),
        (13, 0x04),
        (17, 0x40),
        (17, 0x01),
        (9, 0x10),
    ] {
        let dma = survives(move |mut replies| {
            replies[0].1[at] ^= bits;
            replies
        });
        assert!(dma.counters().discarded >= 1, "byte {at} bits {bits:#x}");
    }
}

#[test]
fn rule_7_a_failure_frees_the_tag_at_once() {
    let mut options = options();
    options.tags = Some(1);
    let (mut dma, world) = simulate(&options, plain());
    world.borrow_mut().answer = Box::new(|address| match address >> 12 {
        0 => Answer::Status(CompletionStatus::UnsupportedRequest),
        1 => Answer::Status(CompletionStatus::CompleterAbort),
        _ => Answer::Data,
    });
    let start = world.borrow().now();
    for _ in 0..20 {
        assert_eq!(read(&mut dma, 0, 8), Err(ReadFailure::UnsupportedRequest));
        assert_eq!(
            read(&mut dma, 0x1000, 512),
            Err(ReadFailure::CompleterAbort)
        );
        assert_eq!(read(&mut dma, 0x2000, 8), Ok(bytes_at(0x2000, 8)));
    }
    assert!(world.borrow().now() - start < MILLISECOND);
    assert_eq!(dma.counters().retries, 0);
}

#[test]
fn rule_7_a_reserved_status_is_an_unsupported_request() {
    for code in [3, 5, 6, 7] {
        let (mut dma, world) = simulate(&options(), plain());
        let status = CompletionStatus::from_code(code);
        world.borrow_mut().answer = Box::new(move |_| Answer::Status(status));
        let outcome = read(&mut dma, 0x1000, 64);
        assert_eq!(outcome, Err(ReadFailure::UnsupportedRequest));
    }
}

#[test]
fn rule_7_what_cannot_answer_a_memory_read_is_not_used() {
    // A configuration retry, success without data, and data beside a failure.
    for (format, status, keep) in [(0x0a, 0x40, 18), (0x0a, 0x00, 18), (0x4a, 0x20, usize::MAX)] {
        let dma = survives(move |mut replies| {
            let reply = &mut replies[0].1;
            reply[6] = format;
            reply[12] |= status;
            reply.truncate(keep.min(reply.len()));
            replies
        });
        assert!(dma.counters().discarded >= 1);
    }
}

#[test]
fn rule_8_poisoned_data_are_never_data_but_one_flipped_bit_is_no_poison() {
    let (mut dma, world) = simulate(&options(), plain());
    world.borrow_mut().answer = Box::new(|_| Answer::Poisoned);
    assert_eq!(read(&mut dma, 0x1000, 512), Err(ReadFailure::Poisoned));
    let dma = survives(|mut replies| {
        replies[1].1[8] |= 0x40;
        replies
    });
    assert_eq!(dma.counters().failed, 0);
}

#[test]
fn rule_8_a_modified_byte_count_is_not_used() {
    let dma = survives(|mut replies| {
        replies[0].1[12] |= 0x10;
        replies
    });
    assert_eq!(dma.counters().discarded, 1);
}

#[test]
fn rule_9_only_the_missing_bytes_are_asked_for_again_and_under_other_tags() {
    let (mut dma, world) = simulate(&options(), plain());
    world.borrow_mut().bend = Some(Box::new(|number, _, mut replies| {
        if number == 0 {
            replies.pop();
        }
        replies
    }));
    assert_eq!(read(&mut dma, 0x1000, 512), Ok(bytes_at(0x1000, 512)));
    let world = world.borrow();
    let asked: Vec<_> = world
        .requests
        .iter()
        .map(|(_, read)| (read.tag.get(), read.span.range().numbers()))
        .collect();
    assert_eq!(
        asked,
        [
            (0, 0x1000..0x1200),
            (1, 0x1100..0x1180),
            (2, 0x1180..0x1200)
        ]
    );
    let waited = world.requests[1].0 - world.requests[0].0;
    assert!((1_000_000..1_100_000).contains(&waited), "{waited} ns");
    assert_eq!(dma.counters().retries, 2);
}

#[test]
fn rule_9_waiting_times_double_up_to_50_ms_while_nobody_answers() {
    let (mut dma, world) = simulate(&options(), plain());
    world.borrow_mut().answer = Box::new(|_| Answer::Silence);
    assert_eq!(read(&mut dma, 0x1000, 64), Err(ReadFailure::TimedOut));
    let times: Vec<u64> = world.borrow().requests.iter().map(|(at, _)| *at).collect();
    let gaps: Vec<u64> = times
        .windows(2)
        .map(|pair| (pair[1] - pair[0]) / 1_000_000)
        .collect();
    assert_eq!(gaps[..8], [1, 2, 4, 8, 16, 32, 50, 50]);
}

#[test]
fn rule_9_an_adapter_that_is_not_there_is_an_error_within_its_time() {
    let (mut dma, world) = simulate(&options(), plain());
    world.borrow_mut().answer = Box::new(|_| Answer::Silence);
    let reads: Vec<(u64, u32)> = (0..5000).map(|page| (page << 12, 512)).collect();
    let start = world.borrow().now();
    for outcome in read_all(&mut dma, &reads) {
        assert_eq!(outcome, Err(ReadFailure::TimedOut));
    }
    let first = world.borrow().now();
    assert!(first - start < Duration::from_millis(1010), "{first:?}");
    // The next ones are told sooner, and when it comes back all is well.
    assert_eq!(read(&mut dma, 0x1000, 8), Err(ReadFailure::TimedOut));
    let second = world.borrow().now();
    assert!(second - first < Duration::from_millis(110), "{second:?}");
    world.borrow_mut().answer = Box::new(|_| Answer::Data);
    assert_eq!(read(&mut dma, 0x1000, 8), Ok(bytes_at(0x1000, 8)));
    let text = dma.diagnostics();
    assert!(
        text.contains("requests sent") && text.contains("1 completions used"),
        "{text}"
    );
}

#[test]
fn rule_9_an_address_that_is_never_answered_harms_no_other() {
    let (mut dma, world) = simulate(&options(), plain());
    world.borrow_mut().answer = Box::new(|address| match (address >> 12) % 4 {
        0 => Answer::Silence,
        _ => Answer::Data,
    });
    let reads: Vec<(u64, u32)> = (0..400).map(|page| (page << 12, 64)).collect();
    for ((address, length), outcome) in reads.iter().zip(read_all(&mut dma, &reads)) {
        match (address >> 12) % 4 {
            0 => assert_eq!(outcome, Err(ReadFailure::TimedOut)),
            _ => assert_eq!(outcome, Ok(bytes_at(*address, *length))),
        }
    }
}

#[test]
fn rule_10_few_tags_are_reused_only_after_their_answer_or_their_rest() {
    // The simulated adapter checks it at every request.
    let mut options = options();
    options.tags = Some(4);
    options.first_tag = 40;
    let (mut dma, world) = simulate(&options, plain());
    world.borrow_mut().answer = Box::new(|address| match address >> 12 {
        7 => Answer::Silence,
        _ => Answer::Data,
    });
    let reads: Vec<(u64, u32)> = (0..60).map(|page| (page << 12, 512)).collect();
    let outcomes = read_all(&mut dma, &reads);
    assert_eq!(
        outcomes.iter().filter(|outcome| outcome.is_ok()).count(),
        59
    );
    let world = world.borrow();
    let tags = world.requests.iter().map(|(_, read)| read.tag.get());
    assert!(tags.clone().all(|tag| (40..44).contains(&tag)));
    let silent: Vec<_> = world
        .requests
        .iter()
        .filter(|(_, read)| read.span.address.get() >> 12 == 7)
        .collect();
    assert!(silent.len() > 10, "{}", silent.len());
}

#[test]
fn rule_11_a_completion_for_another_requester_is_not_used() {
    let dma = survives(|mut replies| {
        replies[0].1[14] ^= 0x01;
        replies
    });
    assert_eq!(dma.counters().discarded, 1);
}

#[test]
fn rule_12_no_more_is_outstanding_than_the_adapter_s_buffer_holds() {
    let (mut dma, world) = simulate(&options(), plain());
    let reads: Vec<(u64, u32)> = (0..2000)
        .map(|page| (page << 12, if page % 3 == 0 { 512 } else { 64 }))
        .collect();
    read_all(&mut dma, &reads);
    let most = world.borrow().most_outstanding;
    assert!((12_000..=16_384).contains(&most), "{most}");
    let limits = dma.limits();
    assert_eq!((limits.window_bytes, limits.window_reads), (16_384, 192));
}

#[test]
fn many_requests_are_in_flight_from_the_start() {
    let (mut dma, world) = simulate(&options(), plain());
    let reads: Vec<(u64, u32)> = (0..64).map(|page| (page << 12, 64)).collect();
    let start = world.borrow().now();
    read_all(&mut dma, &reads);
    // One after the other would take 64 round trips of 11 µs.
    assert!(world.borrow().now() - start < Duration::from_micros(60));
}

#[test]
fn losses_narrow_the_window_and_answers_widen_it_again() {
    let (mut dma, world) = simulate(&options(), plain());
    let reads: Vec<(u64, u32)> = (0..100).map(|page| (page << 12, 512)).collect();
    world.borrow_mut().conditions.reply_loss = 0.5;
    read_all(&mut dma, &reads);
    world.borrow_mut().conditions.reply_loss = 0.0;
    world.borrow_mut().sleep(100 * MILLISECOND);
    let outstanding = |dma: &mut Dma, count: usize| {
        world.borrow_mut().count_anew();
        read_all(dma, &reads[..count]);
        world.borrow().most_outstanding
    };
    let narrow = outstanding(&mut dma, 20);
    assert!(narrow < 8192, "{narrow}");
    for _ in 0..20 {
        read_all(&mut dma, &reads);
    }
    let wide = outstanding(&mut dma, 100);
    assert!(wide > 15_000, "{wide}");
}
