//! Slab caches: lists of slabs and of CPUs, hardened links, slabs of others, lists that lie.

use super::*;

const CACHE: u64 = 0x1000;
const OFFSETS: u64 = 0x2000;
const MASK: u64 = 0x2800;
const CPU: u64 = 0x3000;
const PAGES: u64 = 0x10_0000;
const RANDOM: u64 = 0x1234_5678_9abc_def0;
const SIZE: u64 = 256;
const LINK: u64 = 0x80;
/// Page numbers of two slabs of the cache.
const SLABS: [u64; 2] = [0x40, 0x51];

fn layout() -> SlabLayout {
    SlabLayout {
        size: 0x18,
        link: 0x28,
        padding: None,
        random: Some(0xb8),
        page_size: 64,
        cache: 0x8,
        free_list: 0x20,
        objects: (0x2a, 0, 15),
        mark: SlabMark::Type {
            offset: 0x30,
            value: 0xf5,
        },
        held: Held::List {
            cpu_slab: 0,
            free_list: 0,
        },
    }
}

fn slab() -> Container {
    Container::Slab(Slab {
        cache: direct(CACHE),
        pages: direct(PAGES),
        page_count: 128,
        direct_map: VirtAddr::new(DIRECT),
        nodes: 1,
        offsets: direct(OFFSETS),
        mask: direct(MASK),
        cpus: 4,
        layout: layout(),
    })
}

fn object(page: u64, number: u64) -> u64 {
    page * 4096 + number * SIZE
}

/// A list of free objects, its links mixed as the kernel does it; gives what its beginning is.
fn free_list(memory: &mut SparseMemory, objects: &[u64]) -> u64 {
    free_list_mixed(memory, objects, u64::swap_bytes)
}

/// The same, each link mixed with what this makes of its own place.
fn free_list_mixed(memory: &mut SparseMemory, objects: &[u64], mixed: fn(u64) -> u64) -> u64 {
    for (number, object) in objects.iter().enumerate() {
        let next = objects.get(number + 1).map_or(0, |next| DIRECT + next);
        let at = DIRECT + object + LINK;
        put(memory, object + LINK, next ^ RANDOM ^ mixed(at));
    }
    objects.first().map_or(0, |first| DIRECT + first)
}

fn page(memory: &mut SparseMemory, number: u64, cache: u64, free: u64, kind: u64) {
    let at = PAGES + number * 64;
    put(memory, at + 0x8, cache);
    put(memory, at + 0x20, free);
    put(memory, at + 0x28, 16 << 16);
    put(memory, at + 0x30, kind << 24);
}

/// Two slabs of 16 objects: of the first, objects 3 and 9 are free and CPU 2 holds 5 back; the second is full.
fn memory() -> SparseMemory {
    memory_mixed(u64::swap_bytes)
}

/// The same, with links mixed with what this makes of their own places.
fn memory_mixed(mixed: fn(u64) -> u64) -> SparseMemory {
    let others = [CACHE, OFFSETS, CPU, PAGES, PAGES + 0x1000];
    let mut memory = blank(others.into_iter().chain(SLABS.map(|page| page * 4096)));
    put(&mut memory, CACHE, DIRECT + CPU - 0x100);
    put(&mut memory, CACHE + 0x18, SIZE);
    put(&mut memory, CACHE + 0x28, LINK);
    put(&mut memory, CACHE + 0xb8, RANDOM);
    put(&mut memory, MASK, 0b0100);
    put(&mut memory, OFFSETS + 16, 0x100);
    let [first, second] = SLABS;
    let on_list = [object(first, 9), object(first, 3)];
    let list = free_list_mixed(&mut memory, &on_list, mixed);
    page(&mut memory, first, DIRECT + CACHE, list, 0xf5);
    page(&mut memory, second, DIRECT + CACHE, 0, 0xf5);
    let held = free_list_mixed(&mut memory, &[object(first, 5)], mixed);
    put(&mut memory, CPU, held);
    // Of another cache; and one that was ours and is no slab any more.
    page(&mut memory, 0x48, DIRECT + 0x7000, 0, 0xf5);
    page(&mut memory, 0x49, DIRECT + CACHE, 0, 0xf0);
    memory
}

fn used() -> Vec<u64> {
    let [first, second] = SLABS;
    let of_first = (0..16).filter(|number| ![3, 5, 9].contains(number));
    let of_first = of_first.map(|number| DIRECT + object(first, number));
    of_first
        .chain((0..16).map(|number| DIRECT + object(second, number)))
        .collect()
}

#[test]
fn objects_in_use_are_those_on_no_list() {
    let walked = walk(slab(), &memory());
    assert_eq!(walked.end, End::Complete);
    assert_eq!(walked.addresses(), used());
    assert_eq!(walked.doubtful(), Vec::<usize>::new());
    assert!(walked.cost.rounds <= 8, "{:?}", walked.cost);
}

/// Before Linux 5.7 a link is mixed with its own place as it is.
#[test]
fn links_that_are_mixed_as_they_used_to_be_are_followed_too() {
    let walked = walk(slab(), &memory_mixed(|place| place));
    assert_eq!(
        (walked.addresses(), walked.end.clone()),
        (used(), End::Complete)
    );
    assert_eq!(walked.doubtful(), Vec::<usize>::new());
}

#[test]
fn a_list_that_leaves_its_slab_makes_its_objects_suspect() {
    let mut memory = memory();
    let [first, _] = SLABS;
    put(&mut memory, object(first, 9) + LINK, 0x4141_4141_4141_4141);
    let walked = walk(slab(), &memory);
    assert_eq!(walked.end, End::Complete);
    // Object 3 cannot be told from one in use any more.
    assert_eq!(walked.elements.len(), used().len() + 1);
    assert_eq!(walked.doubtful(), (0..14).collect::<Vec<_>>());
}

#[test]
fn a_list_that_returns_to_itself_ends() {
    let mut memory = memory();
    let [first, _] = SLABS;
    let twice = [object(first, 9), object(first, 3), object(first, 9)];
    free_list(&mut memory, &twice);
    let at = DIRECT + object(first, 9) + LINK;
    let to = DIRECT + object(first, 3);
    put(
        &mut memory,
        object(first, 9) + LINK,
        to ^ RANDOM ^ at.swap_bytes(),
    );
    let walked = walk(slab(), &memory);
    assert_eq!(walked.addresses(), used());
    assert_eq!(walked.doubtful(), (0..13).collect::<Vec<_>>());
}

#[test]
fn sizes_that_no_cache_has_end_the_walk() {
    for (at, value) in [(0x18, 0), (0x18, 4), (0x18, 0x7fff_ffff), (0x28, SIZE)] {
        let mut memory = memory();
        put(&mut memory, CACHE + at, value);
        let walked = walk(slab(), &memory);
        assert!(matches!(walked.end, End::Stopped(Problem::BadNode { .. })));
    }
}
