//! Memory without the profile's kernel in it: what is said instead.

use proptest::prelude::*;

use super::fake::{self, Fake, Machine, range};
use super::*;
use crate::memory::ReadFailure;

const MIB: u64 = 1 << 20;
const RAM: &[(u64, u64)] = &[(MIB, 128 * MIB)];

fn refused(machine: Machine) -> LocateError {
    refused_for(machine, &fake::profile())
}

fn refused_for(machine: Machine, profile: &LayoutProfile) -> LocateError {
    match locate(&mut machine.memory(), profile, &LocateOptions::default()) {
        Ok(kernel) => panic!("found at {}", kernel.image_physical),
        Err(error) => error,
    }
}

/// A machine with a kernel that is changed after it was made.
fn with(fake: &Fake, change: impl FnOnce(&mut Machine)) -> Machine {
    let mut machine = Machine::new(RAM).telling();
    fake.install(&mut machine);
    change(&mut machine);
    machine
}

fn rejection(error: &LocateError) -> (&'static str, &str) {
    match error {
        LocateError::NotVerified { rejections } => {
            let first = rejections.first();
            first.map_or(("", ""), |first| (first.check, first.detail.as_str()))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn another_kernel_is_shown_with_both_banners() {
    // Another release at the same distance, another build of the same release, and a kernel laid out differently.
    let other = "Linux version 5.4.0-other (a@b) (cc) #7 SMP Mon";
    let rebuilt = fake::VERSION.replace("#1 SMP", "#2 SMP");
    for banner in [other, rebuilt.as_str()] {
        let mut fake = Fake::at(32 * MIB);
        fake.banner = banner.to_owned();
        // Found by the probes alone, without a scan.
        let options = LocateOptions {
            scan_budget: 0,
            ..LocateOptions::default()
        };
        let mut memory = with(&fake, |_| {}).memory();
        let Err(error) = locate(&mut memory, &fake::profile(), &options) else {
            panic!("found");
        };
        let at = PhysAddr::new(32 * MIB + fake::BANNER);
        assert!(
            matches!(&error, LocateError::AnotherKernel { found, at: there, .. } if found == banner && *there == at),
            "{error:?}"
        );
        let notes = error.notes().join("\n");
        assert!(
            notes.contains(banner) && notes.contains(fake::VERSION),
            "{notes}"
        );
    }
    let mut elsewhere = Machine::new(RAM).telling();
    // Across the end of one chunk of the scan, in a page that is not the last.
    elsewhere.write(5 * MIB - 20, format!("{other}\n\0").as_bytes());
    let error = refused(elsewhere);
    assert!(
        matches!(&error, LocateError::AnotherKernel { found, at, .. } if found == other && at.get() == 5 * MIB - 20),
        "{error:?}"
    );
}

#[test]
fn what_is_only_like_a_banner_is_none() {
    let mut machine = Machine::new(RAM).telling();
    for (at, text) in [
        (2 * MIB, "Linux version 5.4.0 (a@b) #7 without an end"),
        (3 * MIB, "Linux version %s (%s)\n\0"),
        (4 * MIB, "Linux version 5.4.0 (a\u{1b}[2J@b) #7\n\0"),
        (5 * MIB, "Linux version 5.4.0\n\0"),
    ] {
        machine.write(at, text.as_bytes());
    }
    let error = refused(machine);
    let all = matches!(error, LocateError::NotFound { scanned, complete: true, .. } if scanned == 127 * MIB);
    assert!(all, "{error:?}");
}

#[test]
fn the_scan_keeps_to_its_budget_and_gives_each_text_once() {
    let mut machine = Machine::new(&[(MIB, 8 * MIB), (16 * MIB, 32 * MIB)]);
    let text = |number: u64| format!("Linux version {number} (a@b) #1");
    for (at, number) in [(2 * MIB, 1), (3 * MIB, 1), (8 * MIB - 64, 2), (16 * MIB, 3)] {
        machine.write(at, format!("{}\n\0", text(number)).as_bytes());
    }
    let mut memory = machine.memory();
    // The scan is told of more than there is: what cannot be read is passed over.
    let mut scan = BannerScan::new(&[range(0, 64 * MIB)]);
    let mut found = Vec::new();
    while let Some(banner) = scan.next(&mut memory, u64::MAX) {
        found.push((banner.address.get(), banner.text));
    }
    assert_eq!(
        found,
        [
            (2 * MIB, text(1)),
            (8 * MIB - 64, text(2)),
            (16 * MIB, text(3))
        ]
    );
    assert!(scan.is_finished());
    assert_eq!(scan.scanned(), 23 * MIB);
    let upper = [range(16 * MIB + 4096, 32 * MIB)];
    let (none, scan) = find_banner(&mut memory, Some(&upper), MIB);
    assert_eq!((none, scan.is_finished()), (None, false));
    assert!(scan.scanned() <= 2 * MIB);
    // Without a map, RAM is where it answers.
    let (first, scan) = find_banner(&mut memory, None, u64::MAX);
    assert_eq!(first.map(|found| found.text), Some(text(1)));
    assert!(!scan.is_finished());
}

#[test]
fn every_check_can_fail_and_says_why() {
    let mut fake = Fake::at(32 * MIB);
    fake.build_id = vec![0xff; 8];
    let error = refused(with(&fake, |_| {}));
    assert_eq!(
        rejection(&error),
        (
            "build ID",
            "expected 3b43fad503487449, found ffffffffffffffff"
        )
    );
    let mut fake = Fake::at(32 * MIB);
    fake.comm = b"\x1b]0;x\x07";
    let error = refused(with(&fake, |_| {}));
    assert_eq!(
        rejection(&error),
        (
            "init_task.comm",
            r"expected `swapper/0` or `swapper`, found `\x1b]0;x\x07`"
        )
    );
    let fake = Fake::at(32 * MIB);
    let error = refused(with(&fake, |machine| {
        machine.write(fake.image + fake::PHYS_BASE, &0x123_4000_u64.to_le_bytes());
    }));
    assert_eq!(
        rejection(&error),
        (
            "virtual slide",
            "phys_base 0x1234000 does not belong to an image at 0x2000000: it would be moved by -0x234000"
        )
    );
    let error = refused(with(&fake, |machine| {
        machine.write(fake.image + fake::TOP + 511 * 8, &[0; 8]);
    }));
    assert_eq!(
        rejection(&error),
        (
            "tables map the image",
            "0xffffffff9b2fff80 is not at 0x22fff80: not mapped: pgd entry 0x0 is not present (x86-64, 4 levels)"
        )
    );
    let direct = (fake.page_offset_base >> 39) % 512 * 8;
    let error = refused(with(&fake, |machine| {
        machine.write(
            fake.image + fake::TOP + direct,
            &0x40_0000_0067_u64.to_le_bytes(),
        );
    }));
    let (check, detail) = rejection(&error);
    assert_eq!(check, "tables map the direct map");
    assert!(
        detail.contains("cannot be read: unsupported request"),
        "{detail}"
    );
    assert!(!error.hints().is_empty());
}

#[test]
fn an_image_cut_short_says_what_is_missing() {
    let fake = Fake::at(32 * MIB);
    let mut machine = with(&fake, |_| {});
    machine.ram = vec![range(MIB, 32 * MIB + fake::PHYS_BASE - 16)];
    let error = refused(machine);
    assert_eq!(
        rejection(&error),
        (
            "init_task.comm",
            "cannot be read at 0x2410028: unsupported request"
        )
    );
}

#[test]
fn nobody_there_is_told_from_nothing_there() {
    let mut silent = Machine::new(&[]);
    silent.outside = Some(ReadFailure::TimedOut);
    let mut memory = silent.memory();
    let error = locate(&mut memory, &fake::profile(), &LocateOptions::default());
    assert!(
        matches!(error, Err(LocateError::NoAnswer { probes }) if probes <= 80),
        "{error:?}"
    );

    let error = refused(Machine::new(&[]));
    let text = error.to_string();
    assert!(
        matches!(error, LocateError::NothingReadable { .. }),
        "{error:?}"
    );
    assert!(text.contains("unsupported request"), "{text}");

    let error = refused(Machine::new(&[(MIB, 2 * MIB)]).telling());
    assert!(matches!(error, LocateError::NoCandidates), "{error:?}");

    let error = refused(Machine::new(RAM).telling());
    assert!(
        matches!(error, LocateError::NotFound { complete: true, .. }),
        "{error:?}"
    );
}

#[test]
fn a_lost_probe_is_not_silence() {
    // Half of the candidates time out, the kernel is among the others.
    let fake = Fake::at(100 * MIB);
    let mut machine = Machine::new(&[(96 * MIB, 128 * MIB)]);
    machine.outside = Some(ReadFailure::TimedOut);
    fake.install(&mut machine);
    let kernel = locate(
        &mut machine.memory(),
        &fake::profile(),
        &LocateOptions::default(),
    );
    assert_eq!(
        kernel.map(|kernel| kernel.image_physical.get()).ok(),
        Some(100 * MIB)
    );
}

#[test]
fn memory_of_another_architecture_is_recognised() {
    let mut machine = Machine::new(RAM).telling();
    let banner = "Linux version 6.1.0-arm64 (a@b) (cc) #1 SMP";
    machine.write(34 * MIB + 0x38, b"ARM\x64");
    machine.write(40 * MIB, format!("{banner}\n\0").as_bytes());
    let error = refused(machine);
    assert_eq!(
        error.notes(),
        [
            "its image begins at 0x2200000",
            &format!("its banner: {banner}")
        ]
    );
    assert_eq!(
        error.to_string(),
        "this is the memory of an aarch64 kernel, and the profile is for x86_64"
    );
}

#[test]
fn profiles_that_cannot_help_are_refused() {
    let missing = |symbol| {
        let machine = Machine::new(RAM).telling();
        refused_for(machine, &fake::profile_without(&[symbol])).to_string()
    };
    for symbol in [
        "linux_banner",
        "phys_base",
        "init_task",
        "init_top_pgt",
        "_end",
        "_text",
    ] {
        assert_eq!(
            missing(symbol),
            format!("the profile has no symbol `{symbol}`")
        );
    }
    for (from, to, expected) in [
        (
            "comm: 0x28",
            "tag: 0x28",
            "the profile has no `struct task_struct` with a member `comm`",
        ),
        (
            "x86_64",
            "aarch64",
            "the profile is for aarch64, and only x86_64 kernels can be located",
        ),
        (
            "Linux version 6.1",
            "Linux",
            "the profile's version is no kernel banner",
        ),
        (
            "phys_base: 0xffffffff81400010",
            "phys_base: 0x1000",
            "the profile's symbol `phys_base` at 0x1000 is outside the kernel image from 0xffffffff81000000 to 0xffffffff81a00000",
        ),
        (
            "_end: 0xffffffff81a00000",
            "_end: 0xffffffffffffffff",
            "the profile's kernel image from 0xffffffff81000000 to 0xffffffffffffffff is none that Linux maps",
        ),
    ] {
        let text = fake::profile_text(&[]);
        assert!(text.contains(from), "{from}");
        let error = refused_for(
            Machine::new(RAM),
            &fake::profile_of(text.replacen(from, to, 1)),
        );
        assert_eq!(error.to_string(), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is in the image and its tables, the search ends without a panic and within its price.
    #[test]
    fn hostile_images_end(
        offsets in prop::collection::vec((0_u64..fake::LENGTH, prop::collection::vec(any::<u8>(), 1..64)), 1..64),
        tables in prop::collection::vec((0_u64..0x9000, any::<u64>()), 0..64),
        five in any::<bool>(),
    ) {
        let mut fake = Fake::at(32 * MIB);
        if five {
            fake = fake.five_levels();
        }
        let mut machine = with(&fake, |_| {});
        for (offset, bytes) in offsets {
            machine.write(fake.image + offset, &bytes);
        }
        for (offset, entry) in tables {
            machine.write(fake.image + fake::TOP + offset / 8 * 8, &entry.to_le_bytes());
        }
        let outcome = locate(&mut machine.memory(), &fake::profile(), &LocateOptions::default());
        if let Ok(kernel) = outcome {
            prop_assert!(kernel.cost.rounds <= 7);
            prop_assert_eq!(kernel.image_physical.get(), fake.image);
        }
    }
}
