//! Which objects are free: on a slab's list, on a CPU's, in a sheaf.

use std::ops::ControlFlow;

use rustc_hash::FxHashSet;

use crate::addr::VirtAddr;
use crate::paging::AddressSpace;
use crate::wave::{Borrowed, Reader, Unreadable, together};

use super::super::list::List;
use super::super::{Element, End, Problem, little_endian};
use super::pages::SlabPage;
use super::{Facts, Free, Held, SheafLayout, Slab, objects};

/// What CPUs and nodes hold back.
#[derive(Debug, Default)]
pub(super) struct HeldBack {
    /// Beginnings of lists.
    lists: Vec<VirtAddr>,
    /// Single objects.
    pub(super) objects: FxHashSet<VirtAddr>,
}

/// More objects than a sheaf holds (`kmem_cache_args.sheaf_capacity` is tens).
const MOST_IN_SHEAF: u64 = 4096;

/// `MAX_NUMNODES` of the largest configuration.
const MOST_NODES: u64 = 1024;

/// What is held back of a cache's objects.
pub(super) async fn held(
    slab: &Slab,
    reader: &Reader,
    space: &AddressSpace,
) -> Result<HeldBack, Problem> {
    let mut held = HeldBack::default();
    match &slab.layout.held {
        Held::List {
            cpu_slab,
            free_list,
        } => {
            for copy in slab.per_cpu(*cpu_slab, reader, space).await? {
                let at = VirtAddr::new(copy.get().wrapping_add(*free_list));
                let list = reader.pointer(space, at).await?;
                held.lists.extend((list.get() != 0).then_some(list));
            }
        }
        Held::Sheaves(layout) => {
            let sheaves = sheaves(slab, layout, reader, space).await?;
            let starts = sheaves.into_iter().map(|sheaf| {
                move |reader: Reader| -> Borrowed<'_, _> {
                    Box::pin(async move { in_sheaf(sheaf, layout, &reader, space).await })
                }
            });
            for objects in together(reader, starts).await {
                held.objects.extend(objects?);
            }
        }
    }
    Ok(held)
}

/// The sheaves of all CPUs, and the full ones of all nodes.
async fn sheaves(
    slab: &Slab,
    layout: &SheafLayout,
    reader: &Reader,
    space: &AddressSpace,
) -> Result<Vec<VirtAddr>, Problem> {
    let mut found = Vec::new();
    for copy in slab.per_cpu(layout.cpu_sheaves, reader, space).await? {
        for offset in &layout.of_cpu {
            let at = VirtAddr::new(copy.get().wrapping_add(*offset));
            found.push(reader.pointer(space, at).await?);
        }
    }
    let (first, stride) = layout.barns;
    for number in 0..slab.nodes.min(MOST_NODES) {
        let at = slab.cache.get().wrapping_add(first + number * stride);
        let barn = reader.pointer(space, VirtAddr::new(at)).await?;
        if barn.get() == 0 {
            continue;
        }
        let full = List {
            head: VirtAddr::new(barn.get().wrapping_add(layout.full)),
            link: layout.link,
        };
        let mut take = async |element: Element| {
            found.push(element.address);
            ControlFlow::Continue(())
        };
        if let End::Stopped(problem) = full.walk(reader, space, &mut take).await {
            return Err(problem);
        }
    }
    found.retain(|sheaf| sheaf.get() != 0);
    Ok(found)
}

/// The objects in a sheaf.
async fn in_sheaf(
    sheaf: VirtAddr,
    layout: &SheafLayout,
    reader: &Reader,
    space: &AddressSpace,
) -> Result<Vec<VirtAddr>, Problem> {
    let at = |offset| VirtAddr::new(sheaf.get().wrapping_add(offset));
    let count = reader.unsigned(space, at(layout.size), 4).await?;
    if count > MOST_IN_SHEAF {
        return Err(Problem::BadNode {
            at: sheaf,
            what: "a sheaf with more objects than any holds",
        });
    }
    let mut bytes = vec![0; usize::try_from(count * 8).unwrap_or(0)];
    reader.read(space, at(layout.objects), &mut bytes).await?;
    let words = bytes.chunks_exact(8).map(little_endian);
    Ok(words.map(VirtAddr::new).collect())
}

/// The objects of a slab that are on a list of free ones.
pub(super) async fn of_slab(
    slab: &SlabPage,
    facts: Facts,
    held: &HeldBack,
    reader: &Reader,
    space: &AddressSpace,
) -> Free {
    let all: FxHashSet<VirtAddr> = objects(slab, facts).collect();
    let on_cpus = held.lists.iter().filter(|list| all.contains(list));
    let own = (slab.free_list.get() != 0).then_some(&slab.free_list);
    let mut free = Free {
        objects: FxHashSet::default(),
        doubt: None,
    };
    let lists: Vec<VirtAddr> = own.into_iter().chain(on_cpus).copied().collect();
    if !lists.is_empty() {
        // All links at once: lists go through a slab in an order of their own.
        for object in &all {
            let link = VirtAddr::new(object.get().wrapping_add(facts.link));
            reader.prefetch(space, link, 8);
        }
    }
    for list in lists {
        if let Err(why) = follow(list, &all, facts, &mut free.objects, reader, space).await {
            free.doubt = Some(format!(
                "the free list of its slab cannot be followed: {why}"
            ));
        }
    }
    free
}

/// Follows a list of free objects from its first one.
async fn follow(
    first: VirtAddr,
    all: &FxHashSet<VirtAddr>,
    facts: Facts,
    free: &mut FxHashSet<VirtAddr>,
    reader: &Reader,
    space: &AddressSpace,
) -> Result<(), String> {
    let mut at = first;
    while at.get() != 0 {
        if !all.contains(&at) {
            return Err(format!("{at} is no object of it"));
        }
        if !free.insert(at) {
            return Err(format!("{at} is on it twice"));
        }
        let link = VirtAddr::new(at.get().wrapping_add(facts.link));
        let stored = reader
            .unsigned(space, link, 8)
            .await
            .map_err(|unreadable: Unreadable| unreadable.to_string())?;
        at = decoded(stored, link, facts, all);
    }
    Ok(())
}

/// A link as it is meant: hardened ones are mixed with the cache's secret and their own place, whose bytes are turned round since
/// Linux 5.7 and its stable predecessors (`mm/slub.c`, `freelist_ptr_decode`). No type tells which: it is the one that leads to an object
/// of the slab, or to the list's end.
fn decoded(stored: u64, at: VirtAddr, facts: Facts, all: &FxHashSet<VirtAddr>) -> VirtAddr {
    let Some(random) = facts.random else {
        return VirtAddr::new(stored);
    };
    let mixed = stored ^ random;
    let turned = VirtAddr::new(mixed ^ at.get().swap_bytes());
    let plain = VirtAddr::new(mixed ^ at.get());
    let leads = |to: VirtAddr| to.get() == 0 || all.contains(&to);
    if !leads(turned) && leads(plain) {
        plain
    } else {
        turned
    }
}
