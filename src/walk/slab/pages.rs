//! The array of page structs → the slabs of a cache.

use crate::addr::VirtAddr;
use crate::paging::AddressSpace;
use crate::wave::{Borrowed, Reader, Unreadable, together};

use super::super::{Problem, little_endian};
use super::{Slab, SlabLayout, SlabMark};

/// A slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SlabPage {
    /// Its first byte.
    pub(super) start: VirtAddr,
    /// Its own list of free objects.
    pub(super) free_list: VirtAddr,
    /// How many objects it has, free ones included.
    pub(super) objects: u64,
}

/// Bytes of the array that are read at a time; a hole in memory is a hole in the array in larger pieces than that.
const PIECE: u64 = 4096;

/// Pieces that are read at the same time.
const AT_ONCE: u64 = 2048;

/// More page structs than a machine has: 64 TiB of memory.
const MOST_PAGES: u64 = 1 << 34;

/// The slabs of the cache by address.
pub(super) async fn slabs(
    slab: &Slab,
    reader: &Reader,
    space: &AddressSpace,
) -> Result<Vec<SlabPage>, Problem> {
    let layout = &slab.layout;
    if slab.page_count > MOST_PAGES || !(32..=PIECE).contains(&layout.page_size) {
        return Err(Problem::BadNode {
            at: slab.pages,
            what: "an array of page structs of no sensible size",
        });
    }
    let each = PIECE / layout.page_size;
    let pieces = slab.page_count.div_ceil(each);
    let mut found = Vec::new();
    let mut first = 0;
    while first < pieces {
        let batch = first..pieces.min(first + AT_ONCE);
        let starts = batch.map(|piece| {
            move |reader: Reader| -> Borrowed<'_, _> {
                Box::pin(async move { slabs_in(slab, piece * each, each, &reader, space).await })
            }
        });
        for piece in together(reader, starts).await {
            found.extend(piece?);
        }
        first += AT_ONCE;
    }
    Ok(found)
}

/// The slabs of the cache among `count` pages from page number `first` on.
async fn slabs_in(
    slab: &Slab,
    first: u64,
    count: u64,
    reader: &Reader,
    space: &AddressSpace,
) -> Result<Vec<SlabPage>, Unreadable> {
    let layout = &slab.layout;
    let count = count.min(slab.page_count - first);
    let at = VirtAddr::new(slab.pages.get().wrapping_add(first * layout.page_size));
    let mut bytes = vec![0; usize::try_from(count * layout.page_size).unwrap_or(0)];
    match reader.read(space, at, &mut bytes).await {
        Ok(()) => {}
        Err(Unreadable::Translation { .. }) => return Ok(Vec::new()),
        Err(unreadable) => return Err(unreadable),
    }
    let stride = usize::try_from(layout.page_size).unwrap_or(usize::MAX);
    let structs = (first..).zip(bytes.chunks_exact(stride));
    let ours = structs.filter(|(_, page)| is_slab_of(page, layout, slab.cache));
    Ok(ours
        .map(|(number, page)| SlabPage {
            start: VirtAddr::new(slab.direct_map.get().wrapping_add(number << 12)),
            free_list: VirtAddr::new(field(page, layout.free_list, 8)),
            objects: {
                let (byte, bit, bits) = layout.objects;
                field(page, byte, 4) >> bit & ((1 << bits) - 1)
            },
        })
        .collect())
}

fn is_slab_of(page: &[u8], layout: &SlabLayout, cache: VirtAddr) -> bool {
    field(page, layout.cache, 8) == cache.get()
        && match layout.mark {
            SlabMark::Flag { offset, bit } => field(page, offset, 8) >> bit & 1 == 1,
            SlabMark::Type { offset, value } => field(page, offset, 4) >> 24 == u64::from(value),
        }
}

/// Up to `size` bytes of a struct as a number; what lies beyond its end is 0.
fn field(bytes: &[u8], offset: u64, size: usize) -> u64 {
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let bytes = bytes.get(start..).unwrap_or(&[]);
    little_endian(&bytes[..bytes.len().min(size)])
}
