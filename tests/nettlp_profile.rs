//! `nettlp-profile` from the outside: what it prints where, and its exit status.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dwarf/vmlinux-dwarf5")
}

fn run(arguments: &[&str]) -> Output {
    let program = Command::new(env!("CARGO_BIN_EXE_nettlp-profile"))
        .args(arguments)
        .output();
    program.unwrap_or_else(|error| panic!("{error}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_profile_comes_to_standard_output() {
    let fixture = fixture();
    let output = run(&[
        &fixture.to_string_lossy(),
        "--types",
        "list_head,color",
        "--symbols",
        "percpu_list",
    ]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stderr), "");
    let profile = text(&output.stdout);
    assert!(profile.starts_with("format: nettlp-profile/1\nkind: layout\narch: x86_64\n"));
    assert!(profile.contains(
        "\nstruct list_head:\n  size: 0x10\n  members:\n    next: 0x0 struct list_head *\n"
    ));
    assert!(profile.ends_with("symbols:\n  percpu_list: 0x10 percpu 16 struct list_head\n"));
}

#[test]
fn a_file_is_replaced_only_by_a_whole_profile() {
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let path = folder.path().join("kernel.yaml");
    let name = path.to_string_lossy().into_owned();
    let output = run(&[&fixture().to_string_lossy(), "-o", &name]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written.contains("struct everything:"));
    let output = run(&["/dev/null", "-o", &name]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), written);
    let left: Vec<_> = fs::read_dir(folder.path()).into_iter().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn what_cannot_be_done_is_told_with_what_to_do() {
    let fixture = fixture().to_string_lossy().into_owned();
    for (arguments, lines) in [
        (
            &["/nowhere/vmlinux"][..],
            &[
                "error: cannot read /nowhere/vmlinux",
                "No such file or directory",
            ][..],
        ),
        (
            &["/dev/null"],
            &[
                "error: /dev/null is empty",
                "help: pass the kernel's vmlinux, with debug information if there is one, or its vmlinuz",
            ],
        ),
        (
            &[&fixture, "--types", "list_haed"],
            &[
                "error: no type `list_haed`",
                "help: did you mean `list_head`?",
            ],
        ),
        (
            &[&fixture, "-o", "/nowhere/kernel.yaml"],
            &[
                "error: cannot write /nowhere/kernel.yaml",
                "No such file or directory",
            ],
        ),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert_eq!(text(&output.stdout), "");
        let told = text(&output.stderr);
        for line in lines {
            assert!(told.contains(line), "{told} lacks {line}");
        }
    }
}

#[test]
fn other_ways_to_a_profile_say_what_they_lack() {
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap_or_else(|error| panic!("{error}"));
        path.to_string_lossy().into_owned()
    };
    let btf = file("btf", b"\x9f\xeb\x01\x00");
    let map = file("System.map", b"ffffffff81000000 T _text\nnonsense\n");
    let hidden = file(
        "kallsyms",
        b"0000000000000000 T _text\n0000000000000000 T _end\n",
    );
    let ram = file("ram", &[0; 1 << 20]);
    let fixture = fixture().to_string_lossy().into_owned();
    for (arguments, lines) in [
        (&[&*btf][..], &["it has no symbols", "--system-map"][..]),
        (
            &[&btf, "--system-map", &map],
            &[
                "System.map:2: expected `address letter name`",
                "linux-image-…-dbg",
            ],
        ),
        (
            &[&btf, "--system-map", &hidden],
            &["every address is zero", "kptr_restrict"],
        ),
        (
            &[&fixture, "--from", "btf"],
            &["has no BTF", "CONFIG_DEBUG_INFO_BTF"],
        ),
        (&["--live"], &["--live needs a target", "-r IP"]),
        (
            &["--live", "--image", &ram],
            &["at most 0 reads", "no Linux kernel was found in image"],
        ),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let told = text(&output.stderr);
        for line in lines {
            assert!(told.contains(line), "{told} lacks {line}");
        }
    }
    assert_eq!(run(&["--live", &fixture]).status.code(), Some(2));
}

#[test]
fn wrong_usage_is_status_2_and_help_lists_what_there_is() {
    assert_eq!(run(&[]).status.code(), Some(2));
    assert_eq!(run(&["--from", "moon", "vmlinux"]).status.code(), Some(2));
    let help = run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    for option in [
        "VMLINUX",
        "--output",
        "--types",
        "--symbols",
        "--from",
        "--system-map",
        "--live",
    ] {
        assert!(text(&help.stdout).contains(option), "{option}");
    }
}
