//! Fake kernels in fake machines: found wherever KASLR can put them, at the price that was promised.

use super::fake::{self, Fake, LENGTH, Machine, TEXT, range};
use super::*;
use crate::memory::Immediate;
use crate::paging::Step;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const HOLE: &[(u64, u64)] = &[(0, 0xa_0000), (MIB, 3 * GIB), (4 * GIB, 5 * GIB)];

fn found(machine: Machine, profile: &LayoutProfile) -> (Kernel, Immediate<Machine>) {
    let mut memory = machine.memory();
    match locate(&mut memory, profile, &LocateOptions::default()) {
        Ok(kernel) => (kernel, memory),
        Err(error) => panic!("{error}: {:?}", error.notes()),
    }
}

fn check(fake: &Fake, machine: Machine) -> Kernel {
    let ram = machine.tells.then(|| machine.ram.clone());
    let (kernel, memory) = found(machine, &fake::profile());
    assert_eq!(kernel.image_physical.get(), fake.image);
    assert_eq!(kernel.phys_base, fake.phys_base());
    assert_eq!(kernel.virtual_slide, fake.slide);
    assert_eq!(kernel.page_offset_base.get(), fake.page_offset_base);
    assert_eq!(kernel.vmalloc_base.get(), 0xffff_a1c0_0000_0000);
    assert_eq!(kernel.vmemmap_base.get(), 0xffff_e680_0000_0000);
    assert_eq!(usize::from(kernel.levels), fake.levels);
    assert_eq!(kernel.banner, fake::VERSION);
    assert_eq!(kernel.build_id.as_deref(), Some(fake::BUILD_ID));
    let passed = kernel
        .checks
        .iter()
        .all(|c| c.outcome == CheckOutcome::Passed);
    assert!(passed && kernel.checks.len() == 6, "{:#?}", kernel.checks);
    let expected = PhysAddr::new(fake.image + 0x1234);
    for address in [
        kernel.symbol_address(TEXT + 0x1234),
        VirtAddr::new(fake.page_offset_base.wrapping_add(fake.image + 0x1234)),
    ] {
        let step = kernel.space.translate(address).step();
        assert!(
            matches!(step, Step::Done(at) if at.physical == expected),
            "{step:?}"
        );
    }
    let direct = kernel
        .space
        .linear_maps()
        .iter()
        .find(|map| map.name == "direct map");
    assert_eq!(direct.map(|map| map.length), Some(fake.max_pfn * 4096));
    let log = memory.source().log.borrow();
    if let Some(ram) = ram {
        let outside = log
            .iter()
            .find(|read| !ram.iter().any(|ram| ram.contains_range(read)));
        assert_eq!(outside, None, "a read outside RAM");
    }
    let mut probed: Vec<u64> = log
        .iter()
        .filter(|read| read.length() < 512)
        .map(|read| read.start.get())
        .collect();
    probed.sort_unstable();
    probed.dedup();
    assert_eq!(
        probed.len() as u64,
        kernel.cost.probes,
        "a candidate probed twice"
    );
    assert_eq!(log.len() as u64, kernel.cost.probes + kernel.cost.reads);
    kernel
}

#[test]
fn found_wherever_kaslr_puts_it() {
    for image in [
        16 * MIB,
        0x5a20_0000,
        3 * GIB - LENGTH,
        4 * GIB,
        0x1_3a20_0000,
    ] {
        for slide in [0, 0x1a00_0000, GIB - 2 * MIB - 16 * MIB] {
            for five_levels in [false, true] {
                for small in [false, true] {
                    let mut fake = Fake::at(image & !0x1f_ffff);
                    fake.slide = slide;
                    fake.small_pages = small;
                    fake.small_direct_map = small;
                    if five_levels {
                        fake = fake.five_levels();
                    }
                    let mut machine = Machine::new(HOLE).telling();
                    fake.install(&mut machine);
                    let kernel = check(&fake, machine);
                    assert!(kernel.cost.rounds <= 6, "{:?}", kernel.cost);
                    let mut blind = Machine::new(HOLE);
                    fake.install(&mut blind);
                    check(&fake, blind);
                }
            }
        }
    }
}

#[test]
fn the_search_stops_at_the_first_verified_hit() {
    let fake = Fake::at(16 * MIB);
    let mut machine = Machine::new(&[(MIB, 64 * GIB)]).telling();
    fake.install(&mut machine);
    let kernel = check(&fake, machine);
    // One window of probes, where the map has 32 767 candidates.
    assert!(kernel.cost.probes <= 512, "{:?}", kernel.cost);
    assert_eq!(kernel.cost.rounds, 4, "{:?}", kernel.cost);
}

#[test]
fn a_map_of_64_gigabytes_costs_one_round() {
    let fake = Fake::at(64 * GIB - 16 * MIB).five_levels();
    let mut machine = Machine::new(&[(MIB, 3 * GIB), (4 * GIB, 64 * GIB)]).telling();
    fake.install(&mut machine);
    let mut fake = fake;
    fake.max_pfn = 0x100_0000;
    fake.install(&mut machine);
    let kernel = check(&fake, machine);
    assert!(
        kernel.cost.probes <= 63 * GIB / (2 * MIB),
        "{:?}",
        kernel.cost
    );
    assert!(kernel.cost.rounds <= 6, "{:?}", kernel.cost);
}

#[test]
fn without_a_map_the_search_does_not_climb_past_the_end_of_ram() {
    let mut memory = Machine::new(&[(0, 0xa_0000), (MIB, 256 * MIB)]).memory();
    let error = locate(&mut memory, &fake::profile(), &LocateOptions::default());
    assert!(
        matches!(error, Err(LocateError::NotFound { .. })),
        "{error:?}"
    );
    let log = memory.source().log.borrow();
    let highest = log.iter().map(|read| read.end.get()).max().unwrap_or(0);
    assert!(highest <= 8 * GIB, "{highest:#x}");
    let registers = range(3 * GIB, 4 * GIB);
    assert!(!log.iter().any(|read| registers.contains(read.start)));
}

#[test]
fn kernels_without_the_variables_have_the_constants() {
    let variables = [
        "page_offset_base",
        "vmalloc_base",
        "vmemmap_base",
        "max_pfn",
    ];
    for (five_levels, base, vmalloc, vmemmap) in [
        (
            false,
            0xffff_8880_0000_0000_u64,
            0xffff_c900_0000_0000_u64,
            0xffff_ea00_0000_0000_u64,
        ),
        (
            false,
            0xffff_8800_0000_0000,
            0xffff_c900_0000_0000,
            0xffff_ea00_0000_0000,
        ),
        (
            true,
            0xff11_0000_0000_0000,
            0xffa0_0000_0000_0000,
            0xffd4_0000_0000_0000,
        ),
    ] {
        let mut fake = Fake::at(0x3a20_0000);
        if five_levels {
            fake = fake.five_levels();
        }
        fake.page_offset_base = base;
        let mut machine = Machine::new(HOLE).telling();
        fake.install(&mut machine);
        let (kernel, _) = found(machine, &fake::profile_without(&variables));
        assert_eq!(kernel.page_offset_base.get(), base);
        assert_eq!(kernel.vmalloc_base.get(), vmalloc);
        assert_eq!(kernel.vmemmap_base.get(), vmemmap);
        // Without max_pfn, the RAM map says how long the direct map is.
        let direct = kernel
            .space
            .linear_maps()
            .iter()
            .find(|map| map.name == "direct map");
        assert_eq!(direct.map(|map| map.length), Some(5 * GIB));
    }
}

#[test]
fn levels_are_found_out_where_the_kernel_does_not_say() {
    for fake in [Fake::at(0x3a20_0000), Fake::at(0x3a20_0000).five_levels()] {
        let mut machine = Machine::new(HOLE).telling();
        fake.install(&mut machine);
        let without = ["__pgtable_l5_enabled", "level4_kernel_pgt", "__start_notes"];
        let (kernel, _) = found(machine, &fake::profile_without(&without));
        assert_eq!(usize::from(kernel.levels), fake.levels);
        let build_id = kernel.checks.iter().find(|check| check.name == "build ID");
        assert_eq!(
            build_id.map(|check| check.outcome),
            Some(CheckOutcome::Skipped)
        );
    }
}

#[test]
fn copies_of_the_banner_do_not_fool_it() {
    let real = Fake::at(0x1_1000_0000);
    let mut machine = Machine::new(HOLE).telling();
    real.install(&mut machine);
    // A copy of the file: the whole image as it is before anything ran, with tables for address 0.
    let mut file = Fake::at(0);
    file.slide = 0;
    file.comm = b"swapper";
    let mut at_zero = Machine::new(HOLE);
    file.install(&mut at_zero);
    let copy = |machine: &mut Machine, to: u64, from: &Machine| {
        let mut bytes = vec![0; LENGTH as usize];
        crate::memory::Source::copy(from, PhysAddr::new(real.image), &mut bytes)
            .unwrap_or_default();
        machine.write(to, &bytes);
    };
    let mut file_bytes = vec![0; (LENGTH - MIB) as usize];
    assert!(crate::memory::Source::copy(&at_zero, PhysAddr::new(MIB), &mut file_bytes).is_ok());
    machine.write(0x600_0000 + MIB, &file_bytes);
    // A banner and nothing else.
    let banner = format!("{}\n\0", fake::VERSION);
    machine.write(0x300_0000 + fake::BANNER, banner.as_bytes());
    // The kernel before kexec: the same build, its page tables used for something else since.
    let before = Fake::at(0x1000_0000);
    before.install(&mut machine);
    machine.write(before.image + fake::TOP, &[0xcc; 4096]);
    // A copy of the running image, byte for byte: its tables lead to the original.
    let mut source = Machine::new(HOLE);
    real.install(&mut source);
    copy(&mut machine, 0x2000_0000, &source);
    let kernel = check(&real, machine);
    let rejected: Vec<(u64, &str)> = kernel
        .rejections
        .iter()
        .map(|rejection| (rejection.at.get(), rejection.check))
        .collect();
    assert_eq!(
        rejected,
        [
            (0x300_0000, "init_task.comm"),
            (0x600_0000, "tables map the image"),
            (0x1000_0000, "tables map the image"),
            (0x2000_0000, "virtual slide"),
        ]
    );
}

#[test]
fn given_ram_is_all_that_is_read() {
    let fake = Fake::at(0x2000_0000);
    let mut machine = Machine::new(HOLE).telling();
    fake.install(&mut machine);
    let mut memory = machine.memory();
    let ram = vec![range(0x1f00_0000, 0x2200_0000)];
    let options = LocateOptions {
        ram: Some(ram.clone()),
        ..LocateOptions::default()
    };
    let kernel = locate(&mut memory, &fake::profile(), &options).map_err(|error| error.to_string());
    assert_eq!(kernel.map(|kernel| kernel.ram), Ok(ram.clone()));
    let log = memory.source().log.borrow();
    assert!(log.iter().all(|read| ram[0].contains_range(read)));
}

/// Writes a resource at a distance from the image and gives its virtual address in the direct map.
fn resource(machine: &mut Machine, fake: &Fake, offset: u64, name: &str, numbers: [u64; 4]) {
    let direct = |offset: u64| match offset {
        0 => 0,
        _ => fake.page_offset_base.wrapping_add(fake.image + offset),
    };
    let [start, end, sibling, child] = numbers;
    let at = fake.image + offset;
    machine.write(at + 0x100, format!("{name}\0").as_bytes());
    for (member, value) in [
        (0, start),
        (8, end),
        (0x10, direct(offset + 0x100)),
        (0x30, direct(sibling)),
        (0x38, direct(child)),
    ] {
        machine.write(at + member, &value.to_le_bytes());
    }
}

#[test]
fn the_kernel_tells_its_ram_map() -> Result<(), LocateError> {
    let fake = Fake::at(0x2000_0000);
    let mut machine = Machine::new(HOLE).telling();
    fake.install(&mut machine);
    let nodes = [
        (fake::IOMEM, "PCI mem", [0, u64::MAX, 0, 0x50_0000]),
        (0x50_0000, "Reserved", [0, 0xfff, 0x50_1000, 0]),
        (0x50_1000, "System RAM", [0x1000, 0x9_ffff, 0x50_2000, 0]),
        // A name that lies across two pages.
        (
            0x50_2efa,
            "System RAM",
            [0x10_0000, 0xbfff_ffff, 0x50_4000, 0x50_6000],
        ),
        (
            0x50_4000,
            "ACPI Tables",
            [0xfed0_0000, 0xfed0_0fff, 0x50_5000, 0],
        ),
        (
            0x50_5000,
            "CXL Window 0",
            [0x1_0000_0000, 0x3_0000_0000, 0, 0x50_7000],
        ),
        (0x50_6000, "Kernel code", [0x2000_0000, 0x2010_0000, 0, 0]),
        (
            0x50_7000,
            "System RAM (kmem)",
            [0x1_0000_0000, 0x1_3fff_ffff, 0x50_8000, 0],
        ),
        // It ends, though it points back, and a resource of no bytes is none.
        (
            0x50_8000,
            "System RAM",
            [0x5000, 0x4fff, 0x50_1000, 0x50_8000],
        ),
    ];
    for (offset, name, mut numbers) in nodes {
        if numbers[2] == 0x50_2000 {
            numbers[2] = 0x50_2efa;
        }
        resource(&mut machine, &fake, offset, name, numbers);
    }
    let profile = fake::profile();
    let (kernel, mut memory) = found(machine, &profile);
    let ram = ram_map(&mut memory, &profile, &kernel)?;
    assert_eq!(
        ram,
        [
            range(0x1000, 0xa_0000),
            range(0x10_0000, 3 * GIB),
            range(4 * GIB, 5 * GIB)
        ]
    );
    Ok(())
}

#[test]
fn a_broken_resource_tree_gives_no_part_of_a_map() {
    let fake = Fake::at(0x2000_0000);
    let mut machine = Machine::new(HOLE).telling();
    fake.install(&mut machine);
    resource(
        &mut machine,
        &fake,
        fake::IOMEM,
        "PCI mem",
        [0, 0, 0, 0x50_0000],
    );
    resource(
        &mut machine,
        &fake,
        0x50_0000,
        "System RAM",
        [0x1000, 0x9_ffff, 0, 0],
    );
    machine.write(
        fake.image + 0x50_0030,
        &0xdead_0000_0000_0100_u64.to_le_bytes(),
    );
    let profile = fake::profile();
    let (kernel, mut memory) = found(machine, &profile);
    let error = ram_map(&mut memory, &profile, &kernel).map_err(|error| error.to_string());
    assert_eq!(
        error,
        Err(
            "cannot follow the resource tree at 0xdead000000000100: 0xdead000000000100 is not a canonical 48-bit address"
                .to_owned()
        )
    );
}
