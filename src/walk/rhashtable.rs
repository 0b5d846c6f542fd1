//! Resizable hash tables (`include/linux/rhashtable.h`, `lib/rhashtable.c`): a table of buckets, each the head of a chain that ends
//! with an odd value; while a table is being resized, elements are in it or in the one that it grows into.

use std::ops::ControlFlow;
use std::rc::Rc;

use crate::addr::VirtAddr;
use crate::paging::AddressSpace;
use crate::wave::{JoinHandle, Reader};

use super::visits::Visits;
use super::{Element, End, MOST_ELEMENTS, Problem, Sink, is_kernel_pointer, little_endian};

/// Where the kernel keeps what, taken from its types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RhashtableLayout {
    /// `rhashtable.tbl`.
    pub table: u64,
    /// `bucket_table.size`, four bytes.
    pub size: u64,
    /// `bucket_table.nest`, four bytes.
    pub nest: u64,
    /// `bucket_table.future_tbl`.
    pub future: u64,
    /// `bucket_table.buckets`.
    pub buckets: u64,
}

/// A resizable hash table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhashtable {
    /// The `struct rhashtable`.
    pub root: VirtAddr,
    /// Bytes from an element's start to its `struct rhash_head`.
    pub link: u64,
    /// Where the kernel keeps what.
    pub layout: RhashtableLayout,
}

/// Buckets read at a time: one 4 KiB page of them.
const BUCKETS_AT_ONCE: u64 = 512;

/// More tables than there are at the same time: one is resized into the next.
const MOST_TABLES: usize = 8;

/// What the concurrent walks of chains share.
struct Shared {
    space: AddressSpace,
    link: u64,
    visits: Visits,
    tell: Box<dyn Fn(VirtAddr)>,
}

impl Rhashtable {
    /// Hands over the elements, bucket by bucket. All buckets are read at the same time, and all chains; `tell` hears of each element
    /// as soon as it is known.
    pub async fn walk(
        &self,
        reader: &Reader,
        space: &AddressSpace,
        tell: impl Fn(VirtAddr) + 'static,
        sink: &mut impl Sink,
    ) -> End {
        let shared = Rc::new(Shared {
            space: space.clone(),
            link: self.link,
            visits: Visits::default(),
            tell: Box::new(tell),
        });
        let mut chains = Vec::new();
        let problem = self.tables(reader, &shared, &mut chains).await.err();
        let mut index = 0;
        for chain in chains {
            for address in chain.join(reader).await {
                if let ControlFlow::Break(()) = sink(Element::new(address, index)).await {
                    return End::Enough;
                }
                index += 1;
            }
        }
        problem.map_or_else(|| shared.visits.end(), End::Stopped)
    }

    /// Starts the chains of the table and of those that it is being resized into.
    async fn tables(
        &self,
        reader: &Reader,
        shared: &Rc<Shared>,
        chains: &mut Vec<JoinHandle<Vec<VirtAddr>>>,
    ) -> Result<(), Problem> {
        let mut at = self.root.wrapping_offset(self.layout.table as i64);
        for _ in 0..MOST_TABLES {
            let table = reader.pointer(&shared.space, at).await?;
            if table.get() == 0 {
                return Ok(());
            }
            if !is_kernel_pointer(table) {
                return Err(Problem::WildPointer { at, pointer: table });
            }
            self.buckets(reader, shared, table, chains).await?;
            at = table.wrapping_offset(self.layout.future as i64);
        }
        Err(Problem::Cycle(at))
    }

    async fn buckets(
        &self,
        reader: &Reader,
        shared: &Rc<Shared>,
        table: VirtAddr,
        chains: &mut Vec<JoinHandle<Vec<VirtAddr>>>,
    ) -> Result<(), Problem> {
        let space = &shared.space;
        let number = |offset: u64| table.wrapping_offset(offset as i64);
        reader.prefetch(space, table, self.layout.buckets + 64);
        let nest = reader.unsigned(space, number(self.layout.nest), 4).await?;
        let size = reader.unsigned(space, number(self.layout.size), 4).await?;
        let what = match (nest, size) {
            (0, size) if size <= MOST_ELEMENTS as u64 => None,
            (0, _) => Some("a table of more buckets than a kernel can have"),
            _ => Some("its buckets are in pages of pages, which is not understood"),
        };
        if let Some(what) = what {
            return Err(Problem::BadNode { at: table, what });
        }
        let first = number(self.layout.buckets);
        reader.prefetch(space, first, size * 8);
        let mut bucket = 0;
        while bucket < size {
            let here = (size - bucket).min(BUCKETS_AT_ONCE);
            let mut bytes = vec![0; (here * 8) as usize];
            let at = first.wrapping_offset((bucket * 8) as i64);
            reader.read(space, at, &mut bytes).await?;
            for (number, head) in (0..).zip(bytes.chunks_exact(8)) {
                let head = little_endian(head);
                let at = at.wrapping_offset(number * 8);
                chains.extend(start_chain(reader, shared, at, head));
            }
            bucket += here;
        }
        Ok(())
    }
}

/// Starts a bucket's chain, if it has elements. Bit 0 of a pointer to one is the bucket's lock; an empty bucket is null, or, before
/// buckets had locks in them, an odd value that is no pointer or points to the bucket.
fn start_chain(
    reader: &Reader,
    shared: &Rc<Shared>,
    at: VirtAddr,
    head: u64,
) -> Option<JoinHandle<Vec<VirtAddr>>> {
    let first = head & !1;
    let is_marker = || first == at.get() || !is_kernel_pointer(VirtAddr::new(first));
    if first == 0 || (head & 1 == 1 && is_marker()) {
        return None;
    }
    let shared = Rc::clone(shared);
    Some(reader.spawn(move |reader| async move {
        let mut elements = Vec::new();
        if let Err(problem) = chain(&reader, &shared, at, first, &mut elements).await {
            shared.visits.fail(problem);
        }
        elements
    }))
}

async fn chain(
    reader: &Reader,
    shared: &Shared,
    mut at: VirtAddr,
    first: u64,
    elements: &mut Vec<VirtAddr>,
) -> Result<(), Problem> {
    let mut link = first;
    while link & 1 == 0 && link != 0 {
        shared.visits.enter(at, VirtAddr::new(link))?;
        at = VirtAddr::new(link);
        let element = VirtAddr::new(link.wrapping_sub(shared.link));
        (shared.tell)(element);
        elements.push(element);
        link = reader.unsigned(&shared.space, at, 8).await?;
    }
    Ok(())
}
