//! Small kernels, made by three compilers' settings (`tests/fixtures/dwarf/make.sh`), through the whole room.

use std::path::{Path, PathBuf};

use crate::profile::{LayoutProfile, PercpuBase};

use super::{Options, from_vmlinux};

/// Made from the same source by GCC; they must give the same profile.
const GCC: [&str; 5] = ["dwarf5", "dwarf4", "dwarf3", "types4", "types5"];

/// What they must give, but for the build ID.
const EXPECTED: &str = include_str!("../../tests/fixtures/dwarf/expected.yaml");

pub(super) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/dwarf")
        .join(format!("vmlinux-{name}"))
}

fn text_of(path: &Path, options: &Options) -> String {
    let profile = from_vmlinux(path, options);
    profile.unwrap_or_else(|error| panic!("{error}")).to_text()
}

fn load(text: String) -> LayoutProfile {
    LayoutProfile::from_bytes(text.into_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

fn without_build_id(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("build_id"));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn every_dwarf_of_a_kernel_gives_the_same_profile() {
    for name in GCC {
        let text = text_of(&fixture(name), &Options::default());
        // Type units do not know their source file.
        let text = text.replace("from: a type unit", "from: other.c");
        assert_eq!(without_build_id(&text), EXPECTED, "{name}");
    }
}

#[test]
fn clang_is_understood() -> Result<(), crate::profile::ProfileError> {
    let profile = load(text_of(&fixture("clang5"), &Options::default()));
    let place = |aggregate: &str, member: &str| {
        let aggregate = profile.structure(aggregate)?;
        let member = aggregate.as_ref().and_then(|found| found.member(member));
        Ok::<_, crate::profile::ProfileError>(member.map(|found| {
            (
                found.offset,
                found.bits.map(|bits| (bits.offset, bits.size)),
                found.ty.to_string(),
            )
        }))
    };
    assert_eq!(
        place("packed_bits", "rest")?,
        Some((4, Some((5, 59)), "unsigned long".to_owned()))
    );
    assert_eq!(
        place("bits", "high")?,
        Some((2, Some((7, 9)), "int".to_owned()))
    );
    assert_eq!(
        place("everything", "inner_second")?,
        Some((0x18, None, "int".to_owned()))
    );
    assert_eq!(
        place("other", "twice")?,
        Some((0x18, None, "struct twice#2".to_owned()))
    );
    let counter = profile
        .symbol("percpu_counter")?
        .and_then(|symbol| symbol.ty);
    assert_eq!(counter, Some(profile.parse_type("long unsigned")?));
    Ok(())
}

#[test]
fn every_document_is_what_the_loader_takes() -> Result<(), crate::profile::ProfileError> {
    let text = text_of(&fixture("dwarf5"), &Options::default());
    for document in text.split("---\n") {
        let parsed: Result<serde_yaml::Value, _> = serde_yaml::from_str(document);
        assert!(parsed.is_ok(), "{document}");
    }
    let profile = load(text);
    for name in profile.type_names()? {
        let ty = profile.parse_type(&name)?;
        let known = match ty.to_string().split(' ').next() {
            Some("struct" | "union") => profile.aggregate(&ty)?.is_some(),
            Some("enum") => profile
                .enumeration(name.trim_start_matches("enum "))?
                .is_some(),
            _ => profile.typedef(&name)?.is_some(),
        };
        assert!(known, "{name}");
    }
    for name in profile.symbol_names()? {
        assert!(profile.symbol(&name)?.is_some(), "{name}");
    }
    assert_eq!(
        profile.header().constants.percpu,
        Some(PercpuBase::ZeroBased)
    );
    Ok(())
}

#[test]
fn the_bytes_do_not_depend_on_the_threads() {
    for name in ["dwarf5", "types4", "types5"] {
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let pool = pool.unwrap_or_else(|error| panic!("{error}"));
            pool.install(|| text_of(&fixture(name), &Options::default()))
        };
        let one = with(1);
        for threads in [2, 3, 8, 8, 8, 8] {
            assert_eq!(with(threads), one, "{name}");
        }
    }
}

#[test]
fn a_selection_holds_what_it_needs() {
    let options = Options {
        types: vec!["other".to_owned(), "enum sign".to_owned()],
        symbols: vec!["hidden_other".to_owned()],
        ..Options::default()
    };
    let text = text_of(&fixture("dwarf5"), &options);
    let keys: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with(' ') && line.ends_with(':'))
        .collect();
    assert_eq!(
        keys,
        [
            "constants:",
            "base:",
            "typedefs:",
            "enum sign:",
            "struct list_head:",
            "struct other:",
            "struct shared:",
            "struct twice#2:",
            "symbols:",
        ]
    );
    assert!(text.contains("  same_name_t: struct twice#2\n"));
    assert!(!text.contains("atomic_t"));
    assert!(text.ends_with("symbols:\n  hidden_other: 0xffffffff810041c0 bss 48 struct other\n"));
}

#[test]
fn a_selection_of_nothing_known_is_refused_with_the_nearest_name() {
    let options = |types: &str, symbols: &str| Options {
        types: types.split_terminator(',').map(str::to_owned).collect(),
        symbols: symbols.split_terminator(',').map(str::to_owned).collect(),
        ..Options::default()
    };
    for (options, message, hint) in [
        (
            options("struct list_haed", ""),
            "no type `struct list_haed`",
            "did you mean `list_head`?",
        ),
        (
            options("", "linux_baner"),
            "no symbol `linux_baner`",
            "did you mean `linux_banner`?",
        ),
    ] {
        let error = from_vmlinux(fixture("dwarf5"), &options)
            .map(drop)
            .expect_err("accepted");
        assert_eq!(error.to_string(), message);
        assert_eq!(error.hints(), [hint]);
    }
}
