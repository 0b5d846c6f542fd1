//! A small kernel in everything that kernels and their debug information come in (`tests/fixtures/dwarf/derive.sh`), whole and damaged.

use std::fs;
use std::path::{Path, PathBuf};

use super::tests::fixture;
use super::tests_hostile::{error_of, make, section};
use super::{GenerateError, Options, SectionProblem, from_vmlinux};

fn wrapped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/dwarf/wrapped")
        .join(name)
}

fn bytes_of(name: &str) -> Vec<u8> {
    fs::read(wrapped(name)).unwrap_or_else(|error| panic!("{error}"))
}

fn text_of(path: &Path) -> String {
    let profile = from_vmlinux(path, &Options::default());
    profile
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .to_text()
}

/// An empty folder.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"))
}

fn copy(name: &str, to: &Path) {
    fs::copy(wrapped(name), to).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn every_wrapping_gives_the_same_profile() {
    let expected = text_of(&fixture("dwarf5"));
    for name in [
        "vmlinux-zlib",
        "vmlinux-zstd",
        "vmlinux-zlib-gnu",
        "vmlinux-stripped",
        "vmlinux.xz",
        "vmlinux.zstd",
        "vmlinux.gzip",
        "vmlinux.bzip2",
        "kernel-dbg.deb",
    ] {
        assert!(text_of(&wrapped(name)) == expected, "{name}");
    }
}

#[test]
fn types_that_several_files_share_are_found_where_they_are() {
    // Shared units do not say which source file they are from.
    let plain = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with("build_id"));
        let lines = lines.map(|line| line.split(" # ").next().unwrap_or(line));
        let lines = lines.filter(|line| !line.starts_with("  from:"));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    for (name, original) in [
        ("vmlinux-dwz", "dwarf5"),
        ("vmlinux-dwz5", "dwarf5"),
        ("vmlinux-dwz4", "dwarf4"),
    ] {
        let expected = text_of(&fixture(original));
        let found = text_of(&wrapped(name));
        assert_eq!(plain(&found), plain(&expected), "{name}");
    }
}

#[test]
fn files_that_are_elsewhere_are_named_when_they_are_not_there() {
    let folder = folder();
    let path = folder.path().join("vmlinux");
    let error = || {
        let error = from_vmlinux(&path, &Options::default()).map(drop);
        error.expect_err("accepted")
    };
    copy("vmlinux-stripped", &path);
    // Neither symbols nor debug information.
    assert!(matches!(error(), GenerateError::NoSymbols { .. }));
    // Of another build: its build ID differs.
    let debug = folder.path().join("vmlinux-stripped.debug");
    let mut other = bytes_of("vmlinux-stripped.debug");
    let (_, note) = section(&other, ".notes");
    other[note.end - 1] ^= 1;
    fs::write(&debug, &other).unwrap_or_else(|error| panic!("{error}"));
    assert!(matches!(error(), GenerateError::NoSymbols { .. }));
    copy("vmlinux-stripped.debug", &debug);
    assert_eq!(text_of(&path), text_of(&fixture("dwarf5")));

    copy("vmlinux-dwz5", &path);
    let told = error();
    assert!(
        matches!(told, GenerateError::NoSupplementary { .. }),
        "{told}"
    );
    assert!(told.hints()[0].contains("vmlinux-dwz5.sup"), "{told:?}");
}

#[test]
fn a_package_without_a_vmlinux_says_so() {
    let mut package = b"!<arch>\n".to_vec();
    let member = |name: &str, content: &[u8]| {
        let header = format!(
            "{name:16}{:12}{:6}{:6}{:8}{:<10}`\n",
            0,
            0,
            0,
            100_644,
            content.len()
        );
        let padding = if content.len() % 2 == 1 { "\n" } else { "" };
        [header.as_bytes(), content, padding.as_bytes()].concat()
    };
    package.extend(member("debian-binary", b"2.0\n"));
    let error = error_of(&package);
    assert!(matches!(error, GenerateError::NoVmlinux { .. }), "{error}");
    package.extend(member("data.tar", &[0; 1024]));
    let error = error_of(&package);
    assert!(matches!(error, GenerateError::NoVmlinux { .. }), "{error}");
    package.truncate(100);
    let error = error_of(&package);
    assert!(
        matches!(error, GenerateError::DamagedPacking { .. }),
        "{error}"
    );
}

#[test]
fn damaged_sections_are_named_with_their_place() {
    let mut bytes = bytes_of("vmlinux-zlib");
    let (_, range) = section(&bytes, ".debug_info");
    // The length in the header of the compression.
    bytes[range.start + 15] = 0x7f;
    let error = error_of(&bytes);
    let expected = format!(
        "section .debug_info of {{}} at {:#x}: it claims",
        range.start
    );
    let (before, after) = expected.split_once("{}").unwrap_or_default();
    let told = error.to_string();
    assert!(told.starts_with(before) && told.contains(after), "{told}");
    assert!(!error.hints().is_empty());
    bytes[range.start] = 9;
    assert!(matches!(
        error_of(&bytes),
        GenerateError::UnreadableSection {
            problem: SectionProblem::UnknownKind(9),
            ..
        }
    ));
}

#[test]
fn no_damage_to_a_wrapping_does_more_than_an_error() {
    let mut random = fastrand::Rng::with_seed(4);
    for name in [
        "vmlinux-zlib",
        "vmlinux-zstd",
        "vmlinux-zlib-gnu",
        "vmlinux.xz",
        "vmlinux.zstd",
        "vmlinux.gzip",
        "vmlinux.bzip2",
        "kernel-dbg.deb",
    ] {
        let bytes = bytes_of(name);
        for _ in 0..60 {
            let mut damaged = bytes.clone();
            for _ in 0..random.usize(1..4) {
                let place = random.usize(0..damaged.len());
                damaged[place] ^= 1 << random.u32(0..8);
            }
            // A profile or an error; what is not seen is as good as not there.
            let _ = make(&damaged);
            damaged.truncate(random.usize(0..damaged.len()));
            let _ = make(&damaged);
        }
    }
}
