//! `nettlp-q` as scripts see it: exit status, standard output, standard error.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs the program with nothing on standard input.
fn ask(arguments: &[&str]) -> Output {
    ask_with_input(arguments, b"")
}

fn ask_with_input(arguments: &[&str], input: &[u8]) -> Output {
    ask_with_profiles(arguments, input, Path::new("/nowhere"))
}

/// With profiles in a folder, and without those that the user of this machine has.
fn ask_with_profiles(arguments: &[&str], input: &[u8], profiles: &Path) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_nettlp-q"))
        .args(arguments)
        .env("NETTLP_PROFILE_PATH", profiles)
        .env("XDG_DATA_HOME", "/nowhere/data")
        .env("XDG_DATA_DIRS", "/nowhere/system")
        .env("XDG_CACHE_HOME", "/nowhere/cache")
        .env("XDG_CONFIG_HOME", profiles)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that ends before it has read everything is no failure of the test.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

#[track_caller]
fn assert_refused(output: &Output, status: i32, words: &[&str]) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{errors}");
    for word in words {
        assert!(errors.contains(word), "`{word}` is not in: {errors}");
    }
    assert!(output.stdout.is_empty(), "rows were printed");
    assert!(!errors.contains("panicked"), "{errors}");
}

/// Nothing is at the address: the driver is asked and does not answer.
#[test]
fn a_driver_that_does_not_answer_is_a_target_that_does_not() {
    let asked = ["-r", "127.45.1.1", "-l", "127.45.1.2", "-R", "127.45.1.3"];
    let output = ask(&[&asked[..], &["-e", "print 1"]].concat());
    assert_refused(&output, 4, &["-R asks the NetTLP driver", "-b BB:DD.F"]);
    // Without either flag the command itself is wrong.
    let output = ask(&[&asked[..4], &["-e", "print 1"]].concat());
    assert_refused(&output, 2, &["requester ID"]);
}

#[test]
fn help_is_for_newcomers() {
    for flag in ["-h", "--help"] {
        let output = ask(&[flag]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(text.starts_with("Ask questions"), "{text}");
        let examples = text.split("Examples:").nth(1).unwrap();
        assert_eq!(examples.matches("\n  nettlp-q ").count(), 2, "{text}");
    }
    let version = String::from_utf8(ask(&["--version"]).stdout).unwrap();
    assert_eq!(version, format!("nettlp-q {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_is_told_and_is_2() {
    assert_refused(
        &ask(&["--demo", "-o", "xml", "-e", "print 1"]),
        2,
        &["xml", "table, json, ndjson, csv"],
    );
    assert_refused(
        &ask(&["--demo", "-D", "x", "-e", "print 1"]),
        2,
        &["NAME=VALUE"],
    );
    assert_refused(
        &ask(&["walk tasks select pid"]),
        2,
        &["nettlp-q -e 'walk tasks select pid'"],
    );
    assert_refused(&ask(&["--demo", "--image", "x"]), 2, &["--demo", "--image"]);
    assert_refused(&ask(&["--stats=xml", "-e", "print 1"]), 2, &["xml"]);
    assert_refused(&ask(&["-b", "1b:00", "-e", "print 1"]), 2, &["-r IP"]);
}

#[test]
fn files_that_cannot_be_read_are_named() {
    assert_refused(
        &ask(&["-f", "/nowhere/list.nq"]),
        2,
        &["/nowhere/list.nq", "No such file"],
    );
    assert_refused(
        &ask(&["--image", "/nowhere/ram", "-e", "print 1"]),
        2,
        &["/nowhere/ram"],
    );
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("odd.nq");
    std::fs::write(&script, b"print 1\nprint '\xff'\n").unwrap();
    assert_refused(
        &ask(&["-f", path(&script)]),
        2,
        &["odd.nq", "UTF-8", "line 2"],
    );
    assert_refused(
        &ask_with_input(&["-f", "-"], b"\xff"),
        2,
        &["<stdin>", "UTF-8"],
    );
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn an_image_needs_a_profile() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("ram");
    std::fs::write(&image, vec![0; 1 << 20]).unwrap();
    let output = ask(&["--image", path(&image), "-e", "print 1"]);
    assert_refused(
        &output,
        4,
        &[
            "8 bytes at each multiple of 2 MiB",
            "no Linux kernel",
            "nettlp-profile",
        ],
    );
    let output = ask(&[
        "--image",
        path(&image),
        "-p",
        "/nowhere.yaml",
        "-e",
        "print 1",
    ]);
    assert_refused(&output, 2, &["/nowhere.yaml"]);
    let output = ask(&["--image", path(&image), "-p", path(&image), "-e", "print 1"]);
    assert_refused(&output, 2, &[path(&image)]);
}

/// Runs statements on the demo; they are expected to succeed.
#[track_caller]
fn demo(arguments: &[&str]) -> (String, String) {
    let output = ask(&[&["--demo"], arguments].concat());
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{errors}");
    (String::from_utf8(output.stdout).unwrap(), errors)
}

const TASKS: &str = "walk tasks from init_task select pid, comm, state limit 3";

#[test]
fn the_sentence_that_must_work_first() {
    let (rows, errors) = demo(&["-e", TASKS]);
    let lines: Vec<&str> = rows.lines().collect();
    assert_eq!(lines.len(), 5, "{rows}");
    assert_eq!(
        lines[0].split_whitespace().collect::<Vec<_>>(),
        ["pid", "comm", "state"]
    );
    assert_eq!(
        lines[2].split_whitespace().collect::<Vec<_>>()[..2],
        ["0", "swapper/0"]
    );
    assert_eq!(errors, "", "an answer without gaps needs no remarks");
}

#[test]
fn the_demo_is_asked_when_no_target_is_named_and_that_is_said() {
    let output = ask(&["-e", TASKS]);
    assert_eq!(output.status.code(), Some(0));
    assert!(!output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("built-in demo"));
}

#[test]
fn formats_are_what_programs_read() {
    let (text, _) = demo(&["-o", "json", "-e", TASKS]);
    let rows: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(rows[0]["pid"], 0);
    assert_eq!(rows[0]["comm"], "swapper/0");
    assert_eq!(rows[0]["state"], "R");
    let (text, _) = demo(&["-o", "ndjson", "-e", TASKS]);
    assert_eq!(text.lines().count(), 3);
    let (text, _) = demo(&["-o", "csv", "-e", TASKS]);
    assert!(
        text.starts_with("pid,comm,state\n0,swapper/0,R\n"),
        "{text}"
    );
    // Addresses are texts, nulls are nulls.
    let (text, errors) = demo(&[
        "-o",
        "ndjson",
        "-e",
        "walk tasks where pid = 0 select address, exe",
    ]);
    let row: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(
        row["address"].as_str().unwrap().starts_with("0xffff"),
        "{text}"
    );
    assert!(row["exe"].is_null());
    assert!(
        errors.contains("1 cell is null: null pointer (1)"),
        "{errors}"
    );
}

#[test]
fn a_script_overrides_the_format_and_reads_variables() {
    let script = "set format csv; walk tasks where pid = $pid select pid, comm, $name as name";
    let (text, _) = demo(&[
        "-o",
        "json",
        "-D",
        "pid=1",
        "-D",
        "name=first one",
        "-e",
        script,
    ]);
    assert!(text.starts_with("pid,comm,name\n1,"), "{text}");
    assert!(text.ends_with(",first one\n"), "{text}");
}

#[test]
fn statements_come_from_standard_input_too() {
    let output = ask_with_input(&["--demo", "-o", "csv"], b"print 6 * 7\n");
    assert_eq!(output.stdout, b"expr,value\n6 * 7,42\n");
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("answer.nq");
    std::fs::write(&script, "# a question\nprint 6 * 7 ;\n").unwrap();
    let (text, _) = demo(&["-f", path(&script)]);
    assert_eq!(text, "6 * 7 = 42\n");
}

#[test]
fn what_a_query_cost_is_one_line_of_json() {
    let (_, errors) = demo(&["--stats=json", "-e", TASKS, "-e", TASKS]);
    assert_eq!(errors.lines().count(), 2, "{errors}");
    for line in errors.lines() {
        let cost: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(cost["rows"], 3);
        for field in ["reads", "rounds", "bytes", "elapsed_us"] {
            assert!(cost[field].as_u64().unwrap() > 0, "{field}: {line}");
        }
        for field in ["retries", "cache_hits", "failed"] {
            assert!(cost[field].is_u64(), "{field}: {line}");
        }
    }
    let (_, errors) = demo(&["--stats", "-e", TASKS]);
    assert!(errors.starts_with("3 rows: "), "{errors}");
}

#[test]
fn statements_that_fail_have_their_exit_statuses() {
    let refused = |statements| ask(&["--demo", "-e", statements]);
    assert_refused(
        &refused("walk tasks slect pid"),
        2,
        &["did you mean `select`?", "<-e>:1:12"],
    );
    assert_refused(&refused("walk tasks select nonsense"), 2, &["nonsense"]);
    // Nothing is printed when anything does not check.
    assert_refused(&refused("print 1; print $nope"), 2, &["$nope", "-D nope="]);
    assert_refused(&refused("set format xml"), 2, &["xml"]);
    assert_refused(
        &refused("assert 1 = 2, 'numbers are odd'"),
        1,
        &["numbers are odd"],
    );
    let output = refused("assert walk tasks where pid = 1 select pid is empty; print 2");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("2 = 2"));
}

#[test]
fn a_walk_that_stops_early_is_3() {
    let output = ask(&[
        "--demo",
        "-e",
        "set max_reads 1; walk tasks select pid, comm",
    ]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{errors}");
    assert!(errors.contains("stopped before its end"), "{errors}");
    assert!(!output.stdout.is_empty());
}

#[test]
fn another_kernel_is_4() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("ram");
    std::fs::write(&image, vec![0; 32 << 20]).unwrap();
    let profile = folder.path().join("demo.yaml");
    let text = nettlp_q::session::demo::profile().unwrap();
    std::fs::write(&profile, text).unwrap();
    let output = ask(&["--image", path(&image), "-p", path(&profile), "-e", TASKS]);
    assert_refused(&output, 4, &["help: "]);
}

/// `nettlp-q … | head -1`, and a script that goes on for long after nobody reads it any more.
#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_nettlp-q"))
        .args(["--demo", "-e", TASKS, "-e", TASKS])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_full_disk_is_an_error() {
    let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else {
        return;
    };
    let output = Command::new(env!("CARGO_BIN_EXE_nettlp-q"))
        .args(["--demo", "-e", TASKS])
        .stdin(Stdio::null())
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot be written"));
}

/// The recording of the demo, which is the memory of a real kernel, as a file.
const RECORDING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/session/demo/recording");

#[test]
fn the_profile_of_the_kernel_is_found_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let text = nettlp_q::session::demo::profile().unwrap();
    let text = String::from_utf8(text.into_owned()).unwrap();
    // Another build of the same release, and a kernel with its banner elsewhere, come first.
    let banner = text
        .lines()
        .find(|line| line.starts_with("version: "))
        .unwrap();
    let another = banner.replace(" SMP ", " SMP PREEMPT ");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("a.yaml", &text.replace(banner, &another));
    let line = text
        .lines()
        .find(|line| line.starts_with("  linux_banner: "))
        .unwrap();
    write(
        "b.yaml",
        &text.replace(line, "  linux_banner: 0xffffffff82654320 rodata 8"),
    );
    write("broken.yaml", "no profile\n");
    write("right.yaml", &text);
    let output = ask_with_profiles(&["--replay", RECORDING, "-e", TASKS], b"", folder.path());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert!(errors.contains("right.yaml is the profile"), "{errors}");
    let (expected, _) = demo(&["-e", TASKS]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

#[test]
fn a_kernel_without_a_profile_is_named_with_the_way_to_make_it() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("ram");
    let banner = b"Linux version 6.1.0-9-amd64 (a@b) (gcc (Debian)) #1 SMP Debian 6.1.27-1\n\0";
    let mut bytes = vec![0; 32 << 20];
    bytes[0x123_4560..0x123_4560 + banner.len()].copy_from_slice(banner);
    std::fs::write(&image, bytes).unwrap();
    for profiles in [folder.path(), Path::new("/nowhere")] {
        let arguments = ["--image", path(&image), "-e", TASKS];
        let output = ask_with_profiles(&arguments, b"", profiles);
        assert_refused(
            &output,
            4,
            &[
                "no profile of the target's kernel, Linux 6.1.0-9-amd64",
                "in its memory: Linux version 6.1.0-9-amd64 (a@b)",
                "(from the package linux-image-6.1.0-9-amd64-dbg): mkdir -p /nowhere/data/nettlp-q/profiles && nettlp-profile /usr/lib/debug/boot/vmlinux-6.1.0-9-amd64 -o /nowhere/data/nettlp-q/profiles/6.1.0-9-amd64.yaml",
            ],
        );
    }
}

#[test]
fn a_target_can_have_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let ask = |arguments: &[&str]| ask_with_profiles(arguments, b"", folder.path());
    let output = ask(&["--target", "web1", "-e", TASKS]);
    assert_refused(&output, 2, &["no target is called `web1`", "targets.yaml"]);
    std::fs::create_dir(folder.path().join("nettlp-q")).unwrap();
    let file = folder.path().join("nettlp-q/targets.yaml");
    std::fs::write(&file, "toy:\n  demo: true\ndump:\n  image: ram\n").unwrap();
    let output = ask(&["--target", "toy", "-e", TASKS]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*errors), (Some(0), ""));
    let (expected, _) = demo(&["-e", TASKS]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    for (arguments, words) in [
        (&["--target", "tyo"][..], &["did you mean `toy`?"][..]),
        (&["--target", "toy", "--demo"], &["cannot be used with"]),
        (
            &["--target", "dump", "-b", "1b:00"],
            &["-b is for an adapter"],
        ),
        (&["--target", "dump"], &["nettlp-q/ram"]),
    ] {
        let output = ask(&[arguments, &["-e", TASKS]].concat());
        assert_refused(&output, 2, words);
    }
}
