//! Objects of a slab cache that are in use (`mm/slub.c`): those of all its slabs that are on no free list.
//!
//! Full slabs are on no list, so the array of page structs is gone through, as the kernel's own validation does; that is 64 bytes for
//! each 4 KiB of memory. What is free is known from three places: the list of each slab, and what each CPU (and, since Linux 6.18,
//! each node) holds back for the next allocation.

mod free;
mod pages;

use std::ops::ControlFlow;

use rustc_hash::FxHashSet;

use crate::addr::VirtAddr;
use crate::paging::AddressSpace;
use crate::wave::{Borrowed, Reader, together};

use super::per_cpu::PerCpu;
use super::{Element, End, Problem, Sink};

use pages::SlabPage;

/// Where the kernel keeps what, taken from its types. Offsets are in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlabLayout {
    /// `kmem_cache.size`: bytes from an object to the next.
    pub size: u64,
    /// `kmem_cache.offset`: where in a free object the pointer to the next is.
    pub link: u64,
    /// `kmem_cache.red_left_pad`: bytes before each object.
    pub padding: Option<u64>,
    /// `kmem_cache.random`, with which links are encoded (`CONFIG_SLAB_FREELIST_HARDENED`).
    pub random: Option<u64>,
    /// Bytes of a `struct page`.
    pub page_size: u64,
    /// `slab_cache` of `struct slab`, or of `struct page` before Linux 5.17.
    pub cache: u64,
    /// Its `freelist`.
    pub free_list: u64,
    /// Its bit field `objects`: byte, bit and bits.
    pub objects: (u64, u32, u32),
    /// What tells that a page struct is a slab's.
    pub mark: SlabMark,
    /// What CPUs hold back.
    pub held: Held,
}

/// What tells a slab's page struct from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlabMark {
    /// A bit of the 8 bytes of flags at this offset: `PG_slab`.
    Flag {
        /// Bytes from the start.
        offset: u64,
        /// Which bit.
        bit: u32,
    },
    /// The highest byte of the 4 bytes of the type at this offset: `PGTY_slab` (since Linux 6.12).
    Type {
        /// Bytes from the start.
        offset: u64,
        /// What it is.
        value: u32,
    },
}

/// Free objects that are on no slab's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// `kmem_cache.cpu_slab`, per CPU, and in it `freelist`.
    List {
        /// The pointer in the cache.
        cpu_slab: u64,
        /// The list in what it points to.
        free_list: u64,
    },
    /// `kmem_cache.cpu_sheaves`, per CPU: arrays of objects.
    Sheaves(SheafLayout),
}

/// Where sheaves are kept (`mm/slub.c`, since Linux 6.18).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SheafLayout {
    /// `kmem_cache.cpu_sheaves`.
    pub cpu_sheaves: u64,
    /// Pointers to sheaves in `struct slub_percpu_sheaves`: `main`, `spare`, `rcu_free`.
    pub of_cpu: Vec<u64>,
    /// `slab_sheaf.size`: how many objects it holds.
    pub size: u64,
    /// `slab_sheaf.objects`.
    pub objects: u64,
    /// Pointers to `struct node_barn` in the cache: the first, and the bytes from one to the next.
    pub barns: (u64, u64),
    /// `node_barn.sheaves_full`.
    pub full: u64,
    /// `slab_sheaf.barn_list`.
    pub link: u64,
}

/// A cache whose objects are walked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slab {
    /// The `struct kmem_cache`.
    pub cache: VirtAddr,
    /// The first page struct: `vmemmap_base`.
    pub pages: VirtAddr,
    /// How many there are: `max_pfn`.
    pub page_count: u64,
    /// Where the direct map of physical memory begins.
    pub direct_map: VirtAddr,
    /// `__per_cpu_offset`.
    pub offsets: VirtAddr,
    /// The mask of possible CPUs.
    pub mask: VirtAddr,
    /// Bits of it that count.
    pub cpus: u64,
    /// Memory nodes: `nr_node_ids`.
    pub nodes: u64,
    /// Where the kernel keeps what.
    pub layout: SlabLayout,
}

/// What a cache says of its objects.
#[derive(Clone, Copy, Debug)]
struct Facts {
    size: u64,
    link: u64,
    padding: u64,
    random: Option<u64>,
}

/// Slabs that are looked at at the same time.
const AT_ONCE: usize = 1024;

/// More bytes than the objects of any cache have (`KMALLOC_MAX_CACHE_SIZE` is 8 KiB, other caches may be larger).
const LARGEST_OBJECT: u64 = 1 << 22;

impl Slab {
    /// Hands over the objects that are in use by address, counted from 0. Objects of a slab whose free list cannot be followed are
    /// handed over as suspect, free ones among them. Parts of the array of page structs that are not mapped stand for no memory.
    pub async fn walk(&self, reader: &Reader, space: &AddressSpace, sink: &mut impl Sink) -> End {
        match self.go(reader, space, sink).await {
            Ok(end) => end,
            Err(problem) => End::Stopped(problem),
        }
    }

    async fn go(
        &self,
        reader: &Reader,
        space: &AddressSpace,
        sink: &mut impl Sink,
    ) -> Result<End, Problem> {
        let facts = self.facts(reader, space).await?;
        let held = free::held(self, reader, space).await?;
        let slabs = pages::slabs(self, reader, space).await?;
        let mut index = 0;
        for batch in slabs.chunks(AT_ONCE) {
            let held = &held;
            let starts = batch.iter().map(|slab| {
                move |reader: Reader| -> Borrowed<'_, Free> {
                    Box::pin(async move { free::of_slab(slab, facts, held, &reader, space).await })
                }
            });
            let free = together(reader, starts).await;
            for (slab, free) in batch.iter().zip(free) {
                let is_used =
                    |at: &VirtAddr| !free.objects.contains(at) && !held.objects.contains(at);
                for address in objects(slab, facts).filter(is_used) {
                    let element = Element::new(address, index);
                    if let Some(doubt) = &free.doubt {
                        element.quality.suspect(doubt.clone());
                    }
                    index += 1;
                    if let ControlFlow::Break(()) = sink(element).await {
                        return Ok(End::Enough);
                    }
                }
            }
        }
        Ok(End::Complete)
    }

    async fn facts(&self, reader: &Reader, space: &AddressSpace) -> Result<Facts, Problem> {
        let layout = &self.layout;
        reader.prefetch(space, self.cache, 512);
        let at = |offset| VirtAddr::new(self.cache.get().wrapping_add(offset));
        let padding = match layout.padding {
            Some(offset) => reader.unsigned(space, at(offset), 4).await?,
            None => 0,
        };
        let random = match layout.random {
            Some(offset) => Some(reader.unsigned(space, at(offset), 8).await?),
            None => None,
        };
        let facts = Facts {
            size: reader.unsigned(space, at(layout.size), 4).await?,
            link: reader.unsigned(space, at(layout.link), 4).await?,
            padding,
            random,
        };
        let fits = (8..=LARGEST_OBJECT).contains(&facts.size)
            && facts.link <= facts.size - 8
            && facts.padding < facts.size;
        if fits {
            Ok(facts)
        } else {
            Err(Problem::BadNode {
                at: self.cache,
                what: "a slab cache whose objects have no sensible size",
            })
        }
    }

    /// The per-CPU copies of what a member of the cache points to.
    async fn per_cpu(
        &self,
        member: u64,
        reader: &Reader,
        space: &AddressSpace,
    ) -> Result<Vec<VirtAddr>, Problem> {
        let pointer = VirtAddr::new(self.cache.get().wrapping_add(member));
        let symbol = reader.pointer(space, pointer).await?;
        let mut copies = Vec::new();
        if symbol.get() == 0 {
            return Ok(copies);
        }
        let variable = PerCpu {
            symbol,
            offsets: self.offsets,
            mask: self.mask,
            count: self.cpus,
        };
        let mut take = async |element: Element| {
            copies.push(element.address);
            ControlFlow::Continue(())
        };
        match variable.walk(reader, space, &mut take).await {
            End::Stopped(problem) => Err(problem),
            End::Complete | End::Enough => Ok(copies),
        }
    }
}

/// The objects of a slab, used or not, by address.
fn objects(slab: &SlabPage, facts: Facts) -> impl Iterator<Item = VirtAddr> + use<> {
    let first = slab.start.get().wrapping_add(facts.padding);
    (0..slab.objects).map(move |number| VirtAddr::new(first.wrapping_add(number * facts.size)))
}

/// Objects of a slab that are on its own list or on a CPU's.
struct Free {
    objects: FxHashSet<VirtAddr>,
    doubt: Option<String>,
}
