//! Stretches of memory, however large: where each piece of them is, and their bytes as fast as the memory gives them.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::task::Poll;

use crate::addr::{PAGE_SIZE, PhysAddr, PhysRange, VirtAddr};
use crate::memory::{Order, ReadFailure, Stream};
use crate::paging::AddressSpace;
use crate::wave::Reader;

use super::Session;
use super::attach::Found;
use super::execute::tell_stalled;
use super::output::{Output, Status};

/// Pages that are translated at the same time.
const PAGES: usize = 4096;

/// A part of a stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Its first byte, as an address of the space that the stretch is in.
    pub(super) address: u64,
    /// Bytes.
    pub(super) length: u64,
    /// Where it is in physical memory; `None`: not mapped.
    pub(super) physical: Option<PhysAddr>,
}

/// Bytes of a stretch, or how many cannot be had.
pub(super) enum Bytes<'b> {
    /// They are here.
    Here(&'b [u8]),
    /// So many bytes are not mapped.
    NotMapped(u64),
    /// So many bytes could not be read.
    Failed(u64, ReadFailure),
}

/// The parts of a physical stretch: one.
pub(super) fn physical_parts(start: u64, length: u64) -> Vec<Part> {
    vec![Part {
        address: start,
        length,
        physical: Some(PhysAddr::new(start)),
    }]
}

/// The parts of a virtual stretch, in order; neighbours that are together in physical memory too are one.
async fn virtual_parts(reader: Reader, space: AddressSpace, start: u64, length: u64) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let end = start.saturating_add(length);
    let mut at = start;
    while at < end {
        let found = reader
            .attempt(|reader| translate_some(reader, &space, at, end))
            .await;
        for part in found {
            at = part.address + part.length;
            match parts.last_mut() {
                Some(last) if follows(last, &part) => last.length += part.length,
                _ => parts.push(part),
            }
        }
    }
    parts
}

/// Whether a part goes on where another one ends.
fn follows(before: &Part, part: &Part) -> bool {
    match (before.physical, part.physical) {
        (None, None) => true,
        (Some(before_at), Some(at)) => before_at.checked_add(before.length) == Some(at),
        _ => false,
    }
}

/// Translates the first pages from `start` on, all of them at the same time.
fn translate_some(reader: &Reader, space: &AddressSpace, start: u64, end: u64) -> Poll<Vec<Part>> {
    let depth = reader.depth();
    let mut parts = Vec::new();
    let mut is_whole = true;
    let mut at = start;
    for _ in 0..PAGES {
        if at >= end {
            break;
        }
        reader.set_depth(depth);
        let to_page_end = (PAGE_SIZE - at % PAGE_SIZE).min(end - at);
        let (length, physical) = match reader.try_translate(space, VirtAddr::new(at)) {
            Poll::Ready(Ok(found)) => (found.contiguous.clamp(1, end - at), Some(found.physical)),
            Poll::Ready(Err(_)) => (to_page_end, None),
            Poll::Pending => {
                is_whole = false;
                (to_page_end, None)
            }
        };
        parts.push(Part {
            address: at,
            length,
            physical,
        });
        at += length;
    }
    if is_whole {
        Poll::Ready(parts)
    } else {
        Poll::Pending
    }
}

impl Session {
    /// Where the pieces of a virtual stretch are.
    pub(super) fn parts(
        &self,
        found: &Found,
        space: &AddressSpace,
        start: u64,
        length: u64,
        output: &mut dyn Output,
    ) -> Result<Vec<Part>, Status> {
        let space = space.clone();
        let translated = found.engine.run(self.budget(), move |reader| {
            virtual_parts(reader, space, start, length)
        });
        match translated {
            Ok((parts, _)) => Ok(parts),
            Err(stalled) => Err(tell_stalled(&stalled, output)),
        }
    }

    /// Reads parts and hands over their bytes in order, with the address of the first; until `take` breaks or Ctrl-C is pressed.
    /// Whether all were handed over.
    pub(super) fn stream(
        &self,
        found: &Found,
        parts: &[Part],
        take: &mut dyn FnMut(u64, Bytes<'_>) -> ControlFlow<()>,
    ) -> bool {
        for group in
            parts.chunk_by(|before, after| before.physical.is_some() == after.physical.is_some())
        {
            let flow = match group.first().and_then(|part| part.physical) {
                Some(_) => self.stream_mapped(found, group, take),
                None => group
                    .iter()
                    .try_for_each(|part| take(part.address, Bytes::NotMapped(part.length))),
            };
            if flow.is_break() {
                return false;
            }
        }
        true
    }

    /// [`Session::stream`] for parts all of which are mapped.
    fn stream_mapped(
        &self,
        found: &Found,
        parts: &[Part],
        take: &mut dyn FnMut(u64, Bytes<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let ranges: Vec<PhysRange> = parts
            .iter()
            .filter_map(|part| PhysRange::of_length(part.physical?, part.length))
            .collect();
        let stream = Stream {
            order: Order::Given,
            longest: None,
        };
        let (mut part, mut done) = (0, 0);
        let mut flow = ControlFlow::Continue(());
        found.engine.with_memory(|memory| {
            stream.run(memory, &ranges, &mut |piece| {
                let length = piece.range.length();
                let address = parts.get(part).map_or(0, |part| part.address) + done;
                done += length;
                if parts.get(part).is_some_and(|part| done >= part.length) {
                    (part, done) = (part + 1, 0);
                }
                flow = if self.cancel.load(Ordering::Relaxed) {
                    ControlFlow::Break(())
                } else {
                    take(
                        address,
                        match piece.outcome {
                            Ok(bytes) => Bytes::Here(bytes),
                            Err(failure) => Bytes::Failed(length, failure),
                        },
                    )
                };
                flow
            })
        });
        flow
    }
}
