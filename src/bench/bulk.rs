//! Much memory at once: the whole window against the single tag, and how many small reads a second there are.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::addr::PhysRange;
use crate::dma::{Dma, DmaOptions};
use crate::memory::{Order, PhysicalMemory, Stream, first_bytes};

use super::single_tag::{OneByOne, SingleTag};
use super::{BenchError, LONG, Link};

/// What the single tag reads, in bytes; it is slow, and what it does in a second does not depend on how long it does it.
const SAMPLE: u64 = 4 << 20;
/// What is read in small reads, in bytes.
const SMALL_SAMPLE: u64 = 8 << 20;
/// Bytes of a small read: what a cache line is, and what LibTLP's `tlpperf -L 64` reads.
const SMALL: u32 = 64;
/// Bytes of the single tag's reads: the longest that the card takes.
const LONGEST: usize = 512;
/// Tags of `tlpperf -N 16`.
const FEW_TAGS: u16 = 16;

/// How fast memory was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throughput {
    /// Reads, failed ones included.
    pub reads: u64,
    /// Bytes that came.
    pub bytes: u64,
    /// Reads that failed.
    pub failed: u64,
    /// Requests sent again.
    pub retries: u64,
    /// Best time of `runs`.
    pub elapsed: Duration,
    /// How often it was measured.
    pub runs: u32,
}

impl Throughput {
    /// Bytes a second.
    pub fn bytes_a_second(&self) -> f64 {
        self.bytes as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Reads a second.
    pub fn reads_a_second(&self) -> f64 {
        self.reads as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// How fast much memory is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bulk {
    /// One tag, one read of 512 bytes at a time.
    pub single: Throughput,
    /// The whole window, in the longest reads.
    pub window: Throughput,
    /// All tags, in reads of 64 bytes.
    pub small: Throughput,
    /// 16 tags, in reads of 64 bytes.
    pub small_few_tags: Throughput,
}

/// Reads the first `size` bytes of `ram` in all ways, `repeat` times at most each.
pub(super) fn bulk(
    link: &Link,
    ram: &[PhysRange],
    size: u64,
    repeat: u32,
) -> Result<Bulk, BenchError> {
    let (sample, small) = (
        first_bytes(ram, SAMPLE.min(size)),
        first_bytes(ram, SMALL_SAMPLE.min(size)),
    );
    compare(link, &sample)?;
    let all_tags = link.options();
    let few_tags = DmaOptions {
        tags: Some(FEW_TAGS),
        ..all_tags.clone()
    };
    Ok(Bulk {
        single: best(repeat, || {
            single(link, &sample).map(|(throughput, _)| throughput)
        })?,
        window: best(repeat, || stream(&all_tags, &first_bytes(ram, size), None))?,
        small: best(repeat, || stream(&all_tags, &small, Some(SMALL)))?,
        small_few_tags: best(repeat, || stream(&few_tags, &small, Some(SMALL)))?,
    })
}

/// The best of several runs; a long one is not repeated.
fn best(
    repeat: u32,
    mut run: impl FnMut() -> Result<Throughput, BenchError>,
) -> Result<Throughput, BenchError> {
    let mut best = run()?;
    let mut last = best.elapsed;
    let mut runs = 1;
    while runs < repeat && last < LONG {
        let next = run()?;
        last = next.elapsed;
        runs += 1;
        if next.elapsed < best.elapsed {
            best = next;
        }
    }
    Ok(Throughput { runs, ..best })
}

/// Both ways must read the same bytes, or their speeds mean nothing.
fn compare(link: &Link, ranges: &[PhysRange]) -> Result<(), BenchError> {
    let (_, expected) = single(link, ranges)?;
    let mut memory = Dma::open(&link.options())?;
    let mut bytes = Vec::with_capacity(expected.len());
    Stream::default().run(&mut memory, ranges, &mut |piece| {
        bytes.extend_from_slice(piece.outcome.unwrap_or_default());
        ControlFlow::Continue(())
    });
    if bytes == expected {
        return Ok(());
    }
    let same = bytes
        .iter()
        .zip(&expected)
        .take_while(|(one, other)| one == other);
    Err(BenchError::Differs {
        what: "the first bytes of RAM",
        example: format!(
            "{} and {} bytes, of which the first {} are equal",
            expected.len(),
            bytes.len(),
            same.count()
        ),
    })
}

fn single(link: &Link, ranges: &[PhysRange]) -> Result<(Throughput, Vec<u8>), BenchError> {
    let mut tag = SingleTag::open(link.local, link.remote, link.requester)?;
    let length: u64 = ranges.iter().map(PhysRange::length).sum();
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    let mut rest = bytes.as_mut_slice();
    let started = Instant::now();
    for range in ranges {
        let length = usize::try_from(range.length()).unwrap_or(0).min(rest.len());
        let (whole, after) = rest.split_at_mut(length);
        let mut at = range.start;
        for piece in whole.chunks_mut(LONGEST) {
            tag.read(at, piece)?;
            at = at.wrapping_offset(piece.len() as i64);
        }
        rest = after;
    }
    let throughput = Throughput {
        reads: tag.reads,
        bytes: tag.bytes,
        elapsed: started.elapsed(),
        runs: 1,
        ..Throughput::default()
    };
    Ok((throughput, bytes))
}

fn stream(
    options: &DmaOptions,
    ranges: &[PhysRange],
    longest: Option<u32>,
) -> Result<Throughput, BenchError> {
    let mut memory = Dma::open(options)?;
    let how = Stream {
        order: Order::Arrival,
        longest,
    };
    let started = Instant::now();
    let streamed = how.run(&mut memory, ranges, &mut |_| ControlFlow::Continue(()));
    Ok(Throughput {
        reads: streamed.pieces,
        bytes: streamed.bytes,
        failed: streamed.failed,
        retries: memory.counters().retries,
        elapsed: started.elapsed(),
        runs: 1,
    })
}
