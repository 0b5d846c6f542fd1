//! The walker against an independent oracle (a builder of tables, and a list of regions to look addresses up in), the
//! encodings against hand-made entries, and tables that lie.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// Page tables in a sparse memory, made without the walker's constants.
struct Builder {
    entries: HashMap<u64, u64>,
    root: u64,
    next_table: u64,
    /// Lowest bit of the index at each level, root first.
    shifts: &'static [u32],
    regions: Vec<Region>,
}

/// A page and where it is: the oracle's whole knowledge.
#[derive(Clone, Copy, Debug)]
struct Region {
    start: u64,
    length: u64,
    physical: u64,
}

const SHIFTS_4: &[u32] = &[39, 30, 21, 12];
const SHIFTS_5: &[u32] = &[48, 39, 30, 21, 12];

impl Builder {
    fn new(levels: usize) -> Self {
        Self {
            entries: HashMap::new(),
            root: 0x0012_3000,
            next_table: 0x0012_4000,
            shifts: if levels == 5 { SHIFTS_5 } else { SHIFTS_4 },
            regions: Vec::new(),
        }
    }

    fn space(&self) -> AddressSpace {
        let format = if self.shifts.len() == 5 {
            &X86_64_5_LEVEL
        } else {
            &X86_64_4_LEVEL
        };
        AddressSpace::new(format, PhysAddr::new(self.root))
    }

    /// Maps a page of `1 << size_shift` bytes, or does nothing where something is mapped already.
    fn map(&mut self, start: u64, size_shift: u32, physical: u64, noise: u64) {
        let length = 1_u64 << size_shift;
        let end = start.wrapping_add(length - 1);
        if self
            .regions
            .iter()
            .any(|region| start <= region.start + (region.length - 1) && region.start <= end)
        {
            return;
        }
        let mut table = self.root;
        for &shift in self.shifts {
            let slot = table + ((start >> shift) % 512) * 8;
            if shift == size_shift {
                let page_size_bit = if shift == 12 { 0 } else { 0x80 };
                self.entries
                    .insert(slot, physical | page_size_bit | noise | 1);
                break;
            }
            if !self.entries.contains_key(&slot) {
                self.entries.insert(slot, self.next_table | 0x63);
                self.next_table += 0x1000;
            }
            table = self.entries[&slot] & 0x000f_ffff_ffff_f000;
        }
        self.regions.push(Region {
            start,
            length,
            physical,
        });
    }

    fn look_up(&self, address: u64) -> Option<(u64, u64, u64)> {
        let region = self.regions.iter().find(|region| {
            address >= region.start && address <= region.start + (region.length - 1)
        })?;
        let offset = address - region.start;
        Some((
            region.physical + offset,
            region.length - offset,
            region.length,
        ))
    }
}

/// Runs a walk over a memory, and tells the number of entries it took.
fn run(mut walk: Walk, memory: impl Fn(u64) -> u64) -> (Step, usize) {
    for reads in 0.. {
        match walk.step() {
            Step::Read(address) => {
                assert_eq!(address.get() % 8, 0);
                walk.supply(memory(address.get()));
            }
            end => {
                assert_eq!(walk.trace().count(), reads);
                return (end, reads);
            }
        }
    }
    unreachable!()
}

fn sign_extend(address: u64, bits: u32) -> u64 {
    (((address << (64 - bits)) as i64) >> (64 - bits)) as u64
}

prop_compose! {
    /// A page anywhere: few distinct upper indexes, so that pages share tables and meet each other.
    fn a_page()(
        upper in prop::sample::select(vec![0_u64, 1, 0x1ff, 0x100, 0xfe, 0x1_fffe]),
        middle in 0_u64..3,
        lower in 0_u64..0x4_0000,
        size_shift in prop::sample::select(vec![12_u32, 21, 30]),
        frame in 0_u64..(1 << 39),
        noise in prop::sample::select(vec![0_u64, 0x6, 0x60, 1 << 8, 1 << 63, 0xf << 59, 0x7ff << 52]),
        pat in any::<bool>(),
    ) -> (u64, u32, u64, u64) {
        let address = (upper << 39) | (middle << 30) | (lower << 12);
        let page = !((1_u64 << size_shift) - 1);
        let physical = (frame << 12) & page & 0x000f_ffff_ffff_f000;
        let pat_bit = if size_shift == 12 { 0x80 } else { 0x1000 };
        (address & page, size_shift, physical, noise | if pat { pat_bit } else { 0 })
    }
}

proptest! {
    #[test]
    fn agrees_with_the_list_of_regions(
        levels in prop::sample::select(vec![4_usize, 5]),
        pages in prop::collection::vec(a_page(), 1..24),
        probes in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>()), 32),
    ) {
        let mut builder = Builder::new(levels);
        let bits = if levels == 5 { 57 } else { 48 };
        for (address, size_shift, physical, noise) in pages {
            builder.map(sign_extend(address, bits), size_shift, physical, noise);
        }
        let space = builder.space();
        for (index, random) in probes {
            let region = *index.get(&builder.regions);
            // Inside, both edges, just outside, and anywhere.
            for address in [
                region.start + random % region.length,
                region.start,
                region.start + (region.length - 1),
                region.start.wrapping_sub(1),
                region.start.wrapping_add(region.length),
                sign_extend(random, bits),
            ] {
                let (step, reads) = run(space.translate(VirtAddr::new(address)), |at| {
                    builder.entries.get(&at).copied().unwrap_or(0)
                });
                prop_assert!(reads <= levels);
                match (step, builder.look_up(address)) {
                    (Step::Done(found), Some((physical, contiguous, page_size))) => {
                        prop_assert_eq!(found.physical.get(), physical);
                        prop_assert_eq!(found.contiguous, contiguous);
                        prop_assert_eq!(found.page_size, page_size);
                    }
                    (Step::Fault(TranslationFailure::NotPresent { entry: 0, .. }), None) => {}
                    (Step::Fault(TranslationFailure::NonCanonical { .. }), None) => {
                        prop_assert_ne!(sign_extend(address, bits), address);
                    }
                    (step, expected) => prop_assert!(false, "{:#x}: {:?}, expected {:?}", address, step, expected),
                }
            }
        }
    }

    /// Whatever the tables hold, a walk ends after at most as many entries as there are levels, in a sane result.
    #[test]
    fn ends_on_any_entries(address in any::<u64>(), entries in prop::collection::vec(any::<u64>(), 5), present in any::<bool>(), mask in any::<u64>()) {
        for format in [&X86_64_4_LEVEL, &X86_64_5_LEVEL] {
            let space = AddressSpace::new(format, PhysAddr::new(0x1000)).with_encryption_mask(mask);
            let mut walk = space.translate(VirtAddr::new(address));
            for entry in &entries {
                walk.supply(if present { *entry | 1 } else { *entry });
            }
            prop_assert!(!matches!(walk.step(), Step::Read(_)));
            if let Step::Done(found) = walk.step() {
                prop_assert!(found.physical.get() < 1 << 52);
                prop_assert!(found.contiguous <= found.page_size);
                prop_assert_eq!(found.physical.get() % found.page_size, address % found.page_size);
            }
            let _ = walk.trace().map(ToString::to_string).collect::<Vec<_>>();
        }
    }
}

#[test]
fn canonical_addresses_by_format() {
    let cases: &[(u64, bool, bool)] = &[
        (0, true, true),
        (0x0000_7fff_ffff_ffff, true, true),
        (0x0000_8000_0000_0000, false, true),
        (0xffff_7fff_ffff_ffff, false, true),
        (0xffff_8000_0000_0000, true, true),
        (0x00ff_ffff_ffff_ffff, false, true),
        (0x0100_0000_0000_0000, false, false),
        (0xfeff_ffff_ffff_ffff, false, false),
        (0xff00_0000_0000_0000, false, true),
        (u64::MAX, true, true),
    ];
    for &(address, four, five) in cases {
        let address = VirtAddr::new(address);
        assert_eq!(X86_64_4_LEVEL.is_canonical(address), four, "{address}");
        assert_eq!(X86_64_5_LEVEL.is_canonical(address), five, "{address}");
    }
    let space = AddressSpace::new(&X86_64_4_LEVEL, PhysAddr::new(0x1000));
    let address = VirtAddr::new(0x0000_8000_0000_0000);
    let failure = TranslationFailure::NonCanonical {
        address,
        virtual_bits: 48,
    };
    assert_eq!(space.translate(address).step(), Step::Fault(failure));
    assert_eq!(
        failure.to_string(),
        "0x800000000000 is not a canonical 48-bit address"
    );
}

/// A walk that has come to `level` through honest tables and is given `entry` there.
fn at_level(level: &str, entry: u64) -> Walk {
    let space = AddressSpace::new(&X86_64_5_LEVEL, PhysAddr::new(0x1000));
    let mut walk = space.translate(VirtAddr::new(0x1234_5678));
    for known in X86_64_5_LEVEL.levels {
        if known.name == level {
            walk.supply(entry);
            return walk;
        }
        walk.supply(0x2067);
    }
    panic!("no level {level}");
}

#[test]
fn not_present_entries_are_told_apart() {
    use TranslationFailure as F;
    // The swap entries are made as the kernel makes them: (type << 59) | (~offset << 14 >> 5).
    let swapped = |kind: u64, offset: u64| (kind << 59) | ((!offset << 14) >> 5);
    // A PROT_NONE entry of frame 0x12345: inverted frame number, accessed and global bit, not present.
    let prot_none = (!(0x12345_u64 << 12) & 0x000f_ffff_ffff_f000) | 0x120;
    let huge_prot_none = (!(0x4000_0000_u64) & 0x000f_ffff_ffe0_0000) | 0x1a0;
    let cases: &[(&'static str, u64, F)] = &[
        ("pgd", 0, not_present("pgd", 0)),
        ("pgd", 0x8000, not_present("pgd", 0x8000)),
        ("pte", 0, not_present("pte", 0)),
        ("pte", 0x80, not_present("pte", 0x80)),
        (
            "pte",
            swapped(0, 0x1234),
            F::Swapped {
                level: "pte",
                entry: swapped(0, 0x1234),
                area: 0,
                offset: 0x1234,
            },
        ),
        (
            "pte",
            swapped(22, 7) | 0xe,
            F::Swapped {
                level: "pte",
                entry: swapped(22, 7) | 0xe,
                area: 22,
                offset: 7,
            },
        ),
        (
            "pmd",
            swapped(24, 0x99999),
            F::Special {
                level: "pmd",
                entry: swapped(24, 0x99999),
                kind: 24,
                offset: 0x99999,
            },
        ),
        (
            "pte",
            prot_none,
            F::ProtNone {
                level: "pte",
                entry: prot_none,
                frame: PhysAddr::new(0x1234_5000),
            },
        ),
        (
            "pmd",
            huge_prot_none,
            F::ProtNone {
                level: "pmd",
                entry: huge_prot_none,
                frame: PhysAddr::new(0x4000_0000),
            },
        ),
        (
            "pmd",
            0x8000_0000_1220_00e6,
            F::Invalidated {
                level: "pmd",
                entry: 0x8000_0000_1220_00e6,
            },
        ),
    ];
    for &(level, entry, failure) in cases {
        assert_eq!(
            at_level(level, entry).step(),
            Step::Fault(failure),
            "{entry:#x}"
        );
    }
}

fn not_present(level: &'static str, entry: u64) -> TranslationFailure {
    TranslationFailure::NotPresent { level, entry }
}

#[test]
fn reserved_bits_are_refused() {
    let cases: &[(&'static str, u64, u64)] = &[
        ("pgd", 0x2000 | 0x80 | 1, 0x80),
        ("p4d", 0x2000 | 0x80 | 1, 0x80),
        ("pud", 0x4000_0000 | 0x20_0000 | 0x81, 0x20_0000),
        ("pmd", 0x20_0000 | 0x2000 | 0x81, 0x2000),
    ];
    for &(level, entry, bits) in cases {
        let failure = TranslationFailure::ReservedBits { level, entry, bits };
        assert_eq!(at_level(level, entry).step(), Step::Fault(failure));
    }
}

#[test]
fn encryption_bits_are_no_address() {
    let c_bit = 1_u64 << 47;
    let space = AddressSpace::new(&X86_64_4_LEVEL, PhysAddr::new(c_bit | 0x1018))
        .with_encryption_mask(c_bit);
    assert_eq!(space.root(), PhysAddr::new(0x1000));
    assert_eq!(
        space.user(PhysAddr::new(c_bit | 0x5000)).root(),
        PhysAddr::new(0x5000)
    );
    let mut walk = space.translate(VirtAddr::new(0x1238));
    for table in [0x2067, 0x3067, 0x4067] {
        walk.supply(c_bit | table);
    }
    assert_eq!(walk.step(), Step::Read(PhysAddr::new(0x4008)));
    walk.supply(c_bit | 0x9067);
    let Step::Done(found) = walk.step() else {
        panic!("{:?}", walk.step());
    };
    assert_eq!(found.physical, PhysAddr::new(0x9238));
}

#[test]
fn permissions_are_what_every_level_allows() {
    let space = AddressSpace::new(&X86_64_4_LEVEL, PhysAddr::new(0x1000));
    let mut walk = space.translate(VirtAddr::new(0));
    for entry in [0x2067, 0x3065, 1 << 63 | 0x4067, 0x5067 | 5 << 59] {
        walk.supply(entry);
    }
    let Step::Done(found) = walk.step() else {
        panic!("{:?}", walk.step());
    };
    assert_eq!(
        found.permissions,
        Some(Permissions {
            writable: false,
            user: true,
            executable: false,
            protection_key: 5
        })
    );
    let trace: Vec<String> = walk.trace().map(ToString::to_string).collect();
    assert_eq!(
        trace,
        [
            "pgd entry at 0x1000: 0x0000000000002067 (present, writable, user, accessed, dirty)",
            "pud entry at 0x2000: 0x0000000000003065 (present, user, accessed, dirty)",
            "pmd entry at 0x3000: 0x8000000000004067 (present, writable, user, accessed, dirty, no-execute)",
            "pte entry at 0x4000: 0x2800000000005067 (present, writable, user, accessed, dirty, protection key 5)",
        ]
    );
}

#[test]
fn huge_pages_say_so_and_bit_12_is_pat() {
    let walk = at_level("pmd", 0x0000_0001_2340_1000 | 0xe7);
    let Step::Done(found) = walk.step() else {
        panic!("{:?}", walk.step());
    };
    assert_eq!(
        found.physical,
        PhysAddr::new(0x1_2340_0000 + (0x1234_5678 & 0x1f_ffff))
    );
    let last = walk.trace().last().map(|visited| visited.flags());
    assert_eq!(
        last.map(|flags| flags.to_string()).as_deref(),
        Some("present, writable, user, accessed, dirty, huge, pat")
    );
}

#[test]
fn linear_maps_serve_kernel_addresses_only() {
    let map = |start: u64, length, physical, name| LinearMap {
        virtual_start: VirtAddr::new(start),
        length,
        physical_start: PhysAddr::new(physical),
        name,
    };
    let space = AddressSpace::new(&X86_64_4_LEVEL, PhysAddr::new(0x1000))
        .with_linear(map(
            0xffff_ffff_8000_0000,
            0x8000_0000,
            0x100_0000,
            "kernel image",
        ))
        .with_linear(map(0xffff_8880_0000_0000, 0x1_0000, 0, "direct map"))
        .with_linear(map(0, 1 << 40, 0, "a mistake"))
        .user(PhysAddr::new(0x7000));
    let image = space.translate(VirtAddr::new(u64::MAX));
    let expected = Translation {
        physical: PhysAddr::new(0x8000_0000 + 0xff_ffff),
        page_size: 0x8000_0000,
        contiguous: 1,
        permissions: None,
        linear_map: Some("kernel image"),
    };
    assert_eq!(image.step(), Step::Done(expected));
    assert_eq!(image.trace().count(), 0);
    let direct = space.translate(VirtAddr::new(0xffff_8880_0000_1234));
    assert!(matches!(direct.step(), Step::Done(found) if found.contiguous == 0x1_0000 - 0x1234));
    // Past the end of the direct map, and in the user half: by the process's own table.
    let past = space.translate(VirtAddr::new(0xffff_8880_0001_0000));
    assert_eq!(past.step(), Step::Read(PhysAddr::new(0x7000 + 0x111 * 8)));
    let user = space.translate(VirtAddr::new(0x1000));
    assert_eq!(user.step(), Step::Read(PhysAddr::new(0x7000)));
    assert!(matches!(
        space.translate_by_tables(VirtAddr::new(u64::MAX)).step(),
        Step::Read(_)
    ));
}

#[test]
fn tables_that_point_at_themselves_end() {
    // Every entry of the one table points to the table: at the last level it is a page.
    for format in [&X86_64_4_LEVEL, &X86_64_5_LEVEL] {
        let space = AddressSpace::new(format, PhysAddr::new(0x1000));
        let (step, reads) = run(space.translate(VirtAddr::new(0xabc)), |_| 0x1067);
        assert_eq!(reads, format.levels.len());
        assert!(matches!(step, Step::Done(found) if found.physical == PhysAddr::new(0x1abc)));
    }
}

#[test]
fn an_entry_nobody_asked_for_changes_nothing() {
    let mut walk = at_level("pte", 0x9067);
    let before = walk.step();
    walk.supply(0);
    assert_eq!(walk.step(), before);
    assert_eq!(walk.trace().count(), 5);
}
