//! The loader, by a profile made by hand.

use super::*;

const SMALL: &str = include_str!("../../tests/fixtures/profile/small.yaml");

fn small() -> LayoutProfile {
    LayoutProfile::from_bytes(SMALL.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

fn broken(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "{from}");
    SMALL.replacen(from, to, 1)
}

/// Something asked of a profile.
type Question = fn(&LayoutProfile) -> Result<(), ProfileError>;

fn error_of(text: String, question: Question) -> String {
    let answer = LayoutProfile::from_named_bytes("k.yaml", text.into_bytes());
    match answer.and_then(|profile| question(&profile)) {
        Ok(()) => panic!("accepted"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_header_says_which_kernel() {
    let profile = small();
    let header = profile.header();
    assert_eq!(header.arch, Architecture::X86_64);
    assert!(header.version.ends_with("#1\n"));
    assert_eq!(
        header.constants.text_link_address,
        Some(0xffff_ffff_8100_0000)
    );
    assert_eq!(header.constants.percpu, Some(PercpuBase::ZeroBased));
}

#[test]
fn members_are_where_the_profile_says() -> Result<(), ProfileError> {
    let profile = small();
    let Some(task) = profile.structure("task_struct")? else {
        panic!("no task_struct");
    };
    let told: Vec<String> = task
        .members
        .iter()
        .map(|m| format!("{} {:#x} {}", m.name, m.offset, m.ty))
        .collect();
    assert_eq!(
        told,
        [
            "__state 0x0 unsigned int",
            "flag 0x4 unsigned int",
            "usage 0x8 atomic_t",
            "tasks 0x10 struct list_head",
            "pid 0x20 pid_t",
            "comm 0x28 char[16]",
            "fn 0x38 void (*)(struct task_struct *, int)",
            "table 0x40 struct list_head[2]",
            "y 0x60 char[]",
        ]
    );
    assert_eq!(
        task.member("flag").and_then(|m| m.bits),
        Some(BitField { offset: 3, size: 1 })
    );
    assert_eq!((task.size, &task.from), (0x60, &None));
    let odd = profile.structure("list_head#2")?;
    assert_eq!(
        odd.and_then(|odd| odd.from.clone()).as_deref(),
        Some("drivers/odd.c")
    );
    assert_eq!(profile.structure("nothing")?, None);
    Ok(())
}

#[test]
fn typedefs_lead_to_what_they_stand_for() -> Result<(), ProfileError> {
    let profile = small();
    let strip = |text: &str| {
        profile
            .parse_type(text)
            .and_then(|ty| profile.strip(&ty))
            .map(|ty| ty.to_string())
    };
    assert_eq!(strip("pid_t")?, "int");
    assert_eq!(strip("y")?, "unsigned int");
    assert_eq!(strip("atomic_t")?, "struct (atomic_t)");
    assert_eq!(strip("unknown_t")?, "unknown_t");
    assert_eq!(strip("atomic_t *")?, "atomic_t *");
    let atomic = profile.aggregate(&profile.parse_type("atomic_t")?)?;
    assert_eq!(atomic.map(|found| found.size), Some(4));
    let cycle = strip("loop_a").map_err(|error| error.to_string());
    assert_eq!(
        cycle,
        Err("<profile>: typedef `loop_a` is defined by itself".to_owned())
    );
    Ok(())
}

#[test]
fn sizes_follow_the_profile() -> Result<(), ProfileError> {
    let profile = small();
    for (text, size) in [
        ("void", None),
        ("void *", Some(8)),
        ("unsigned long", Some(8)),
        ("short", Some(2)),
        ("pid_t[3][4]", Some(48)),
        ("struct task_struct", Some(0x60)),
        ("union thread_union", Some(0x4000)),
        ("enum pid_type", Some(4)),
        ("struct absent", None),
        ("char[]", None),
        ("int (int)", None),
        ("char[18446744073709551615][2]", None),
    ] {
        assert_eq!(profile.size_of(&profile.parse_type(text)?)?, size, "{text}");
    }
    Ok(())
}

#[test]
fn enumerators_are_found_wherever_they_are() -> Result<(), ProfileError> {
    let profile = small();
    let find = |name: &str| {
        let found = profile.enumerator(name)?;
        Ok::<_, ProfileError>(found.map(|(holder, value)| (holder.name.to_string(), value)))
    };
    assert_eq!(find("PIDTYPE_TGID")?, Some(("pid_type".to_owned(), 1)));
    assert_eq!(
        find("MINUS")?,
        Some(("(MINUS)".to_owned(), i128::from(i64::MIN)))
    );
    assert_eq!(find("PIDTYPE")?, None);
    assert_eq!(find("values")?, None);
    let Some(kinds) = profile.enumeration("pid_type")? else {
        panic!("no pid_type");
    };
    assert_eq!(kinds.name_of(1).map(|name| &**name), Some("PIDTYPE_TGID"));
    Ok(())
}

#[test]
fn symbols_are_found_by_name() -> Result<(), ProfileError> {
    let profile = small();
    let Some(init_task) = profile.symbol("init_task")? else {
        panic!("no init_task");
    };
    assert_eq!(init_task.address, 0xffff_ffff_8200_1000);
    assert_eq!((init_task.size, init_task.kind), (96, SymbolKind::Data));
    assert_eq!(init_task.ty, Some(Type::Struct("task_struct".into())));
    let second = profile.symbol("init_task#2")?;
    assert_eq!(
        second.map(|s| (s.kind, s.ty)),
        Some((SymbolKind::ReadOnly, None))
    );
    assert_eq!(profile.symbol("init")?, None);
    assert_eq!(profile.symbol_names()?.count(), 10);
    let names: Vec<_> = profile.type_names()?.collect();
    assert!(names.contains(&"union thread_union".into()) && names.contains(&"pid_t".into()));
    Ok(())
}

#[test]
fn symbols_are_found_by_address() -> Result<(), ProfileError> {
    let profile = small();
    for (address, expected) in [
        (0xffff_ffff_8100_0000, Some(("_text", 0))),
        (0xffff_ffff_8100_0080, Some(("_text", 0x80))),
        (0xffff_ffff_8100_013f, Some(("start_kernel", 0x3f))),
        (0xffff_ffff_8100_0140, None),
        (0xffff_ffff_8100_0310, Some(("asm_entry", 0x10))),
        (0xffff_ffff_8200_0010, Some(("inside", 0))),
        (0xffff_ffff_8200_0018, Some(("big", 0x18))),
        (0xffff_ffff_8200_1060, None),
        (0x1234, None),
        (7, None),
    ] {
        let found = profile.symbol_at(address)?;
        let found = found
            .as_ref()
            .map(|(symbol, offset)| (&*symbol.name, *offset));
        assert_eq!(found, expected, "{address:#x}");
    }
    Ok(())
}

#[test]
fn damage_is_told_with_file_line_and_column() {
    let structure = |profile: &LayoutProfile| profile.structure("list_head").map(drop);
    let symbol = |profile: &LayoutProfile| profile.symbol("start_kernel").map(drop);
    let cases: [(&str, &str, Question, &str); 8] = [
        (
            "kind: layout",
            "kind: walks",
            |_| Ok(()),
            "k.yaml:2:7: kind: unknown variant `walks`, expected `layout`",
        ),
        (
            "nettlp-profile/1",
            "nettlp-profile/9",
            |_| Ok(()),
            "k.yaml:1:1: format `nettlp-profile/9` is not one that this program reads (`nettlp-profile/1`)",
        ),
        (
            "arch: x86_64",
            "arch: vax",
            |_| Ok(()),
            "k.yaml:3:7: arch: unknown variant `vax`, expected `x86_64` or `aarch64`",
        ),
        (
            "percpu:",
            "per_cpu:",
            |_| Ok(()),
            "k.yaml:15:3: constants: unknown field `per_cpu`, expected one of `text_link_address`, `text_physical_address`, `thread_size`, `percpu`",
        ),
        (
            "union thread_union:",
            "struct list_head:",
            |_| Ok(()),
            "k.yaml:78:1: a second document `struct list_head`",
        ),
        (
            "prev: 0x8 struct list_head *",
            "prev: 8",
            structure,
            "k.yaml:57:11: struct list_head.members.prev: expected `offset type` or `offset:bit:bits type`, found `8`",
        ),
        (
            "prev: 0x8",
            "next: 0x8",
            structure,
            "k.yaml:56:5: struct list_head.members: `next` occurs twice",
        ),
        (
            "text 64",
            "txt 64",
            symbol,
            "k.yaml:93:17: expected `address kind size type`, found `0xffffffff81000100 txt 64`",
        ),
    ];
    for (from, to, question, message) in cases {
        assert_eq!(error_of(broken(from, to), question), message);
    }
}

#[test]
fn what_is_no_profile_is_refused() {
    for (bytes, message) in [
        (
            &b""[..],
            "<profile> is not a layout profile: it does not start with `format: nettlp-profile/1`",
        ),
        (
            b"walks:\n",
            "<profile> is not a layout profile: it does not start with `format: nettlp-profile/1`",
        ),
        (
            b"format: \xff",
            "<profile> is not a profile: byte 0x8 is not UTF-8",
        ),
    ] {
        let error = LayoutProfile::from_bytes(bytes)
            .map(drop)
            .map_err(|error| error.to_string());
        assert_eq!(error, Err(message.to_owned()));
    }
    assert!(matches!(
        LayoutProfile::open("/nowhere/k.yaml"),
        Err(ProfileError::Unreadable { .. })
    ));
}

#[test]
fn no_truncation_or_flipped_byte_panics() {
    let ask_everything = |bytes: Vec<u8>| {
        let Ok(profile) = LayoutProfile::from_bytes(bytes) else {
            return;
        };
        for name in ["task_struct", "list_head", "(atomic_t)"] {
            let _ = profile.structure(name);
        }
        let _ = (
            profile.enumerator("MINUS"),
            profile.typedef("pid_t"),
            profile.symbol("init_task"),
        );
        let _ = (
            profile.symbol_at(0xffff_ffff_8200_0018),
            profile.union("thread_union"),
        );
    };
    for length in 0..SMALL.len() {
        ask_everything(SMALL.as_bytes()[..length].to_vec());
    }
    for position in 0..SMALL.len() {
        let mut bytes = SMALL.as_bytes().to_vec();
        bytes[position] ^= 1 << (position % 7);
        ask_everything(bytes);
    }
}

#[test]
fn a_profile_is_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&small());
}
