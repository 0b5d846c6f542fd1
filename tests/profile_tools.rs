//! `nettlp-profile list`, `show`, `diff` and `check` from the outside: what they print where, and their exit status.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const SHAPES: &str = include_str!("fixtures/profile/shapes.yaml");

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/profile");
    path.join(name).to_str().unwrap().to_owned()
}

/// Runs the program where no profile is in the search path but those of a folder.
fn run_with(profiles: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nettlp-profile"))
        .args(arguments)
        .env("NETTLP_PROFILE_PATH", profiles)
        .env("XDG_DATA_HOME", "/nowhere/data")
        .env("XDG_DATA_DIRS", "/nowhere/system")
        .env("XDG_CACHE_HOME", "/nowhere/cache")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

fn run(arguments: &[&str]) -> Output {
    run_with(Path::new("/nowhere"), arguments)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Everything that a run says, with folders that differ from run to run and machine to machine called by other names.
fn told(output: &Output, folder: Option<&Path>) -> String {
    let all = format!(
        "status {}\n--- stdout\n{}--- stderr\n{}",
        output.status.code().unwrap_or(-1),
        text(&output.stdout),
        text(&output.stderr)
    );
    let all = all.replace(env!("CARGO_MANIFEST_DIR"), "REPOSITORY");
    match folder {
        Some(folder) => all.replace(folder.to_str().unwrap(), "FOLDER"),
        None => all,
    }
}

/// A folder with edited copies of the profile of shapes.
fn copies(files: &[(&str, &[(&str, &str)])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, edits) in files {
        let mut text = SHAPES.to_owned();
        for (from, to) in *edits {
            assert!(text.contains(from), "{from}");
            text = text.replacen(from, to, 1);
        }
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn path(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_owned()
}

#[test]
fn good_profiles_are_listed_and_bad_ones_told() {
    let folder = copies(&[
        ("a.yaml", &[]),
        (
            "b.yaml",
            &[("release: 6.1.0-shapes", "release: 5.10.0-odd")],
        ),
        (
            "no-build-id.yaml",
            &[(
                "build_id: \"3b43fad5034874490492495d552c0af6a5fab235\"\n",
                "",
            )],
        ),
        ("bad-header.yaml", &[("arch: x86_64", "arch: vax")]),
        ("bad-symbols.yaml", &[("  _end: ", "  zzz: ")]),
    ]);
    fs::write(folder.path().join("text.yaml"), "nothing\n").unwrap();
    fs::write(folder.path().join("cut.yaml"), &SHAPES[..700]).unwrap();
    fs::write(
        folder.path().join("walks.yaml"),
        "format: nettlp-walks/1\nwalks: {}\n",
    )
    .unwrap();
    let output = run_with(folder.path(), &["list"]);
    insta::assert_snapshot!("list", told(&output, Some(folder.path())));
    let output = run_with(folder.path(), &["list", "--format", "json"]);
    let listed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(listed["profiles"][0]["release"], "6.1.0-shapes");
    assert_eq!(
        listed["profiles"][0]["build_id"],
        "3b43fad5034874490492495d552c0af6a5fab235"
    );
    assert_eq!(listed["profiles"][0]["types"], 15);
    assert_eq!(listed["profiles"][0]["symbols"], 7);
    insta::assert_snapshot!("list_nothing", told(&run(&["list"]), None));
}

#[test]
fn types_are_shown_as_c_declares_them() {
    let shapes = fixture("shapes.yaml");
    for (name, arguments) in [
        ("show_struct", &["struct shape"][..]),
        ("show_expanded", &["shape#2", "struct shape", "--expand"]),
        (
            "show_others",
            &["color", "atomic_t", "union either", "handler_t"],
        ),
        ("show_several", &["shape"]),
        ("show_unknown", &["struct shap"]),
        ("show_symbol", &["init_task"]),
    ] {
        let all: Vec<&str> = ["show", &shapes]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        insta::assert_snapshot!(name, told(&run(&all), None));
    }
}

#[test]
fn differences_are_summed_up_or_told_in_full() {
    let folder = copies(&[
        ("a.yaml", &[]),
        (
            "b.yaml",
            &[
                ("release: 6.1.0-shapes", "release: 6.2.0-shapes"),
                ("size: 0xa8", "size: 0xb0"),
                ("half: 0x70 int", "half: 0x78 long int"),
                ("kind: 0x74", "kind: 0x70"),
                ("    number: 0x68 long int\n", ""),
                ("    tail: 0xa8", "    width: 0xa8 int\n    tail: 0xb0"),
                ("three: \"0x8:1:3", "three: \"0x8:1:4"),
                ("GREEN: 1", "GREEN: 2\n    BLUE: 3"),
                ("pid_t: int", "pid_t: long int"),
                ("union either:", "union neither:"),
                ("  start_kernel:", "  start_kennel:"),
                ("data 8 long int", "data 8 unsigned int"),
            ],
        ),
    ]);
    let (a, b) = (path(&folder, "a.yaml"), path(&folder, "b.yaml"));
    for (name, arguments) in [
        ("diff_summary", &["diff", &a, &b][..]),
        (
            "diff_types",
            &["diff", &a, &b, "shape", "color", "task_struct"],
        ),
        ("diff_all", &["diff", &a, &b, "--all"]),
        ("diff_same", &["diff", &a, &b, "struct inner"]),
        (
            "diff_json",
            &[
                "diff",
                &a,
                &b,
                "--format",
                "json",
                "color",
                "union either",
                "struct shape",
            ],
        ),
        ("diff_unknown", &["diff", &a, &b, "colour"]),
    ] {
        insta::assert_snapshot!(name, told(&run(arguments), Some(folder.path())));
    }
    let output = run(&["diff", &a, &b, "--all", "--format", "json"]);
    let all: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(all["symbols"]["added"], serde_json::json!(["start_kennel"]));
    assert_eq!(all["summary"]["symbols_retyped"], 1);
    assert_eq!(text(&run(&["diff", &a, &a]).stdout).lines().count(), 5);
}

#[test]
fn profiles_in_the_path_are_named_by_their_kernel() {
    let folder = copies(&[
        ("x.yaml", &[]),
        (
            "y.yaml",
            &[
                ("release: 6.1.0-shapes", "release: 6.1.0-shapes-rt"),
                ("3b43fad5", "4b43fad5"),
            ],
        ),
        (
            "z.yaml",
            &[("release: 6.1.0-shapes", "release: 6.12.0-shapes")],
        ),
    ]);
    for (name, status, words) in [
        ("6.1.0-shapes", 0, ""),
        ("6.1.0-shapes-r", 0, ""),
        ("4b43fa", 0, ""),
        (
            "6.1",
            1,
            "`6.1` may be any of 6.1.0-shapes, 6.1.0-shapes-rt",
        ),
        ("6.12", 0, ""),
        ("4b4", 1, "cannot read profile 4b4"),
        ("7.0", 1, "cannot read profile 7.0"),
    ] {
        let output = run_with(folder.path(), &["show", name, "struct inner"]);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{name}: {errors}");
        assert!(errors.contains(words), "{name}: {errors}");
    }
}

#[test]
fn a_sound_profile_is_sound() {
    insta::assert_snapshot!(
        "check_sound",
        told(&run(&["check", &fixture("shapes.yaml")]), None)
    );
}

#[test]
fn what_is_wrong_with_a_profile_is_told() {
    let folder = copies(&[(
        "wrong.yaml",
        &[
            ("release: 6.1.0-shapes", "release: 6.2.0-shapes"),
            ("build_id: \"3b43", "build_id: \"xyz"),
            ("half: 0x70 int", "half: 0x6c int"),
            ("either: 0x90 union", "either: 0x8c union"),
            ("matrix: 0x98 char[2][3]", "matrix: 0x98 char[200][3]"),
            (
                "fn: 0x18 void (*)(struct inner *, ...)",
                "fn: 0x18 struct absent",
            ),
            ("third: 0x10 atomic_t", "third: 0x10 struct shape"),
            ("count: 0x0 atomic_t", "count: 0x0 typo_t"),
            ("pid_t: int", "pid_t: pit_t\n  pit_t: pid_t"),
            ("GREEN: 1", "GREEN: 0x1ffffffff"),
            ("other: 0x0 pid_t", "other: what"),
            (
                "start_kernel: 0xffffffff81400000",
                "start_kernel: 0xffffffff71400000",
            ),
            ("data 32 struct", "data 16 struct"),
            ("  linux_banner:", "  linux_bonner:"),
        ],
    )]);
    let output = run(&["check", &path(&folder, "wrong.yaml")]);
    insta::assert_snapshot!("check_wrong", told(&output, Some(folder.path())));
}

#[test]
fn a_profile_is_checked_against_a_target() {
    let folder = tempfile::tempdir().unwrap();
    let profile = nettlp_q::session::demo::profile().unwrap();
    let demo = path(&folder, "demo.yaml");
    fs::write(&demo, &profile).unwrap();
    let output = run(&["check", &demo, "--demo"]);
    let told = text(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{told}{}",
        text(&output.stderr)
    );
    for line in [
        "  banner: as in",
        "  init_task.comm: as in",
        "  build ID: as in",
        "swapper/0",
    ] {
        assert!(told.contains(line), "{told} lacks {line}");
    }
    // Another kernel than the profile's.
    let image = path(&folder, "ram");
    let banner = b"Linux version 6.1.0-other (a@b) (a compiler) #1 SMP\n\0";
    let mut bytes = vec![0; 32 << 20];
    bytes[0x123_4560..0x123_4560 + banner.len()].copy_from_slice(banner);
    fs::write(&image, bytes).unwrap();
    let output = run(&["check", &fixture("shapes.yaml"), "--image", &image]);
    assert_eq!(output.status.code(), Some(4));
    let errors = text(&output.stderr);
    assert!(errors.contains("another kernel"), "{errors}");
    assert!(errors.contains("6.1.0-other"), "{errors}");
    let output = run(&["check", &demo, "--image", "/nowhere/ram"]);
    assert_eq!(output.status.code(), Some(1));
}

/// Runs every tool on a profile; none may end in another way than with an answer or a message.
fn survive(file: &str) -> Vec<i32> {
    let runs: [&[&str]; 5] = [
        &["check", file],
        &["show", file, "bomb", "--expand"],
        &["show", file, "shape", "task_struct", "atomic_t", "--expand"],
        &["diff", file, file, "--all"],
        &["diff", file, &fixture("shapes.yaml"), "--all"],
    ];
    let statuses = runs.iter().map(|arguments| {
        let output = run(arguments);
        let errors = text(&output.stderr);
        assert!(!errors.contains("panicked"), "{arguments:?}: {errors}");
        assert!(output.stdout.len() < 64 << 20, "{arguments:?}");
        output
            .status
            .code()
            .unwrap_or_else(|| panic!("{arguments:?} was killed"))
    });
    statuses.collect()
}

#[test]
fn hostile_profiles_are_survived() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, types: &str, typedefs: &str| -> String {
        let text = SHAPES
            .replacen(
                "---\nstruct inner:",
                &format!("{types}---\nstruct inner:"),
                1,
            )
            .replacen("  atomic_t: struct (atomic_t)\n", typedefs, 1);
        let file = path(&folder, name);
        fs::write(&file, text).unwrap();
        file
    };
    let atomic = "  atomic_t: struct (atomic_t)\n";
    let aggregate = |name: &str, members: &str| {
        format!("---\nstruct {name}:\n  size: 0x8\n  members:\n{members}")
    };
    // Each holds the next twice: 2^100 members when expanded.
    let mut doubling = String::new();
    for level in 0..100 {
        let name = if level == 0 {
            "bomb".to_owned()
        } else {
            format!("b{level}")
        };
        let next = level + 1;
        doubling.push_str(&aggregate(
            &name,
            &format!("    x: 0x0 struct b{next}\n    y: 0x0 struct b{next}\n"),
        ));
    }
    doubling.push_str(&aggregate("b100", "    z: 0x0 int\n"));
    let mut chain = String::new();
    for level in 0..20_000 {
        let name = if level == 0 {
            "bomb".to_owned()
        } else {
            format!("b{level}")
        };
        chain.push_str(&aggregate(
            &name,
            &format!("    x: 0x0 struct b{}\n", level + 1),
        ));
    }
    let itself = aggregate(
        "bomb",
        "    a: 0x0 struct bomb\n    b: 0x0 struct bomb[4]\n",
    );
    let absurd = aggregate(
        "bomb",
        "    a: 0xffffffffffffffff char[18446744073709551615]\n    b: \"0xffffffffffffffff:7:128 int\"\n    c: 0x0 int[4294967295][4294967295][4294967295]\n",
    )
    .replace("size: 0x8", "size: 0xffffffffffffffff");
    let bomb = aggregate(
        "bomb",
        "    a: 0x0 loop_t\n    b: 0x0 ring_t\n    c: 0x0 self_t *\n",
    );
    let loops = "  atomic_t: atomic_u\n  atomic_u: atomic_t\n";
    let typedefs = "  atomic_t: struct (atomic_t)\n";
    for (name, types, typedefs) in [
        ("doubling.yaml", doubling.as_str(), atomic),
        ("chain.yaml", &chain, atomic),
        ("itself.yaml", &itself, atomic),
        ("absurd.yaml", &absurd, atomic),
        ("loops.yaml", &bomb, loops),
        ("typedefs.yaml", &bomb, typedefs),
    ] {
        let file = write(name, types, typedefs);
        let statuses = survive(&file);
        if name != "doubling.yaml" {
            assert_eq!(statuses[0], 1, "{name} is not sound");
        }
    }
    // Typedefs that are arrays of, and pointers to, themselves.
    let text = SHAPES
        .replacen(
            "  pid_t: int\n",
            "  pid_t: pid_t[1]\n  self_t: self_t *\n",
            1,
        )
        .replacen(
            "    other: 0x0 pid_t\n",
            "    other: 0x0 pid_t\n    more: 0x0 self_t\n",
            1,
        );
    let file = path(&folder, "selves.yaml");
    fs::write(&file, text).unwrap();
    assert_eq!(survive(&file)[0], 1);
}

#[test]
fn truncated_and_flipped_profiles_are_survived() {
    let folder = tempfile::tempdir().unwrap();
    let file = path(&folder, "k.yaml");
    for length in (0..SHAPES.len()).step_by(301) {
        fs::write(&file, &SHAPES[..length]).unwrap();
        survive(&file);
    }
    for position in (0..SHAPES.len()).step_by(173) {
        let mut bytes = SHAPES.as_bytes().to_vec();
        bytes[position] ^= 0x15;
        fs::write(&file, bytes).unwrap();
        survive(&file);
    }
}

#[test]
fn a_terminal_is_not_commanded_by_a_profile() {
    let folder = copies(&[("k.yaml", &[("drivers/odd.c", "\"drivers/\\e[2Jodd.c\"")])]);
    let output = run(&["show", &path(&folder, "k.yaml"), "struct shape#2"]);
    let told = text(&output.stdout);
    assert!(
        told.contains("odd.c") && !told.contains('\u{1b}'),
        "{told:?}"
    );
}

#[test]
fn wrong_arguments_are_status_2_and_files_that_are_none_1() {
    let shapes = fixture("shapes.yaml");
    for arguments in [
        &["show"][..],
        &["show", &shapes],
        &["diff", &shapes],
        &["check"],
        &["list", "--format", "xml"],
        &["diff", &shapes, &shapes, "--all", "shape"],
        &["check", &shapes, "--demo", "--image", "x"],
    ] {
        assert_eq!(run(arguments).status.code(), Some(2), "{arguments:?}");
    }
    for arguments in [
        &["show", "/nowhere/k.yaml", "pid"][..],
        &["show", "Cargo.toml", "pid"],
        &["diff", &shapes, "/dev/null"],
        &["check", "src"],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(text(&output.stderr).contains("help: "), "{arguments:?}");
    }
    // A flag of the target without its companion.
    let output = run(&["check", &shapes, "-b", "1b:00"]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_kernel_that_is_called_like_a_command_is_given_with_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let vmlinux =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dwarf/vmlinux-dwarf5");
    fs::copy(vmlinux, folder.path().join("list")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_nettlp-profile"))
        .arg("./list")
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("format: nettlp-profile/1\n"));
    let help = text(&run(&["--help"]).stdout);
    for word in ["list", "show", "diff", "check", "./list", "VMLINUX"] {
        assert!(help.contains(word), "{help}");
    }
    let help = text(&run(&["check", "--help"]).stdout);
    assert!(
        help.contains("Target (none:") && !help.contains("built-in demo where"),
        "{help}"
    );
}
