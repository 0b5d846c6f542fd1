//! BTF that is made here, whole and damaged.

use super::{Table, collect, find_blob};
use crate::generate::catalogue::Catalogue;
use crate::generate::error::{BtfProblem, GenerateError};
use crate::generate::write::ProfileText;
use crate::profile::{Architecture, ByteOrder, Constants, FORMAT, Header, Kind, Origin};

/// BTF in the making.
#[derive(Default)]
struct Builder {
    types: Vec<u8>,
    strings: Vec<u8>,
    /// Length of the strings of what this is split from.
    base: u32,
    layout: Vec<u8>,
}

impl Builder {
    fn new() -> Self {
        Self {
            strings: vec![0],
            ..Self::default()
        }
    }

    fn name(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let at = self.strings.len() as u32 + self.base;
        self.strings.extend_from_slice(name.as_bytes());
        self.strings.push(0);
        at
    }

    /// A record; `rest` are words, in which names are put by `name` before.
    fn add(&mut self, name: &str, kind: u32, flag: bool, count: usize, value: u32, rest: &[u32]) {
        let name = self.name(name);
        let info = u32::from(flag) << 31 | kind << 24 | count as u32;
        for word in [name, info, value].iter().chain(rest) {
            self.types.extend_from_slice(&word.to_le_bytes());
        }
    }

    fn int(&mut self, name: &str, size: u32, encoding: u32) {
        self.add(name, 1, false, 0, size, &[(encoding << 24) | (size * 8)]);
    }

    fn structure(
        &mut self,
        name: &str,
        kind: u32,
        flag: bool,
        size: u32,
        members: &[(&str, u32, u32)],
    ) {
        let mut rest = Vec::new();
        for (name, ty, place) in members {
            rest.extend([self.name(name), *ty, *place]);
        }
        self.add(name, kind, flag, members.len(), size, &rest);
    }

    fn enumeration(
        &mut self,
        name: &str,
        kind: u32,
        flag: bool,
        size: u32,
        values: &[(&str, i64)],
    ) {
        let mut rest = Vec::new();
        for (name, value) in values {
            rest.push(self.name(name));
            rest.push(*value as u32);
            if kind == 19 {
                rest.push((*value >> 32) as u32);
            }
        }
        self.add(name, kind, flag, values.len(), size, &rest);
    }

    fn bytes(&self) -> Vec<u8> {
        let header = if self.layout.is_empty() { 24 } else { 32 };
        let types = self.types.len() as u32;
        let strings = self.strings.len() as u32;
        let mut bytes = vec![0x9f, 0xeb, 1, 0];
        let mut words = vec![header, 0, types, types, strings];
        if header == 32 {
            words.extend([types + strings, self.layout.len() as u32]);
            words.push(0);
            words.pop();
        }
        for word in words {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.resize(header as usize, 0);
        for part in [&self.types, &self.strings, &self.layout] {
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

/// Number 1 int, 2 char, 3 unsigned char, 4 pointer to char, and so on.
fn small() -> Builder {
    let mut btf = Builder::new();
    btf.int("int", 4, 1);
    btf.int("char", 1, 1);
    btf.int("unsigned char", 1, 0);
    btf.add("", 2, false, 0, 2, &[]);
    btf.add("", 3, false, 0, 0, &[2, 1, 16]);
    // 6: an anonymous union, transparent in 8; 7: an anonymous struct, the type of a member and of a typedef.
    btf.structure("", 5, false, 8, &[("u", 1, 0), ("v", 4, 0)]);
    btf.structure("", 4, false, 4, &[("counter", 1, 0)]);
    btf.structure(
        "task",
        4,
        true,
        40,
        &[
            ("comm", 5, 0),
            ("low", 1, 3 << 24 | 128),
            ("high", 1, 5 << 24 | 131),
            ("", 6, 192),
            ("usage", 7, 256),
            ("next", 9, 320),
        ],
    );
    btf.add("", 2, false, 0, 8, &[]);
    btf.add("atomic_t", 8, false, 0, 7, &[]);
    btf.enumeration(
        "state",
        6,
        false,
        4,
        &[("RUNNING", 0), ("DEAD", 0x8000_0000)],
    );
    btf.enumeration("wide", 19, true, 8, &[("LOW", -1), ("WIDE", 1 << 40)]);
    // 13: int (*)(struct task *, ...)
    btf.add("", 13, false, 2, 1, &[0, 9, 0, 0]);
    btf.add("", 2, false, 0, 13, &[]);
    btf.add("handler", 8, false, 0, 14, &[]);
    btf.add("elsewhere", 7, true, 0, 0, &[]);
    btf.add("", 10, false, 0, 16, &[]);
    btf.add("", 2, false, 0, 17, &[]);
    btf.add("there", 8, false, 0, 18, &[]);
    btf.add("half", 16, false, 0, 2, &[]);
    btf.add("runqueues", 14, false, 0, 8, &[1]);
    btf.add(".data..percpu", 15, false, 1, 64, &[21, 16, 40]);
    btf.enumeration("", 6, true, 4, &[("FREE", -5)]);
    btf
}

/// The bytes of a small kernel's BTF.
pub(in crate::generate) fn small_bytes() -> Vec<u8> {
    small().bytes()
}

fn profile(bytes: &[u8], base: Option<&[u8]>) -> Result<String, GenerateError> {
    let base = base.map(|base| Table::parse(base, None)).transpose()?;
    let table = Table::parse(bytes, base.as_ref())?;
    let collected = collect(&table)?;
    let catalogue = Catalogue::new(collected.types);
    let header = Header {
        format: FORMAT.to_owned(),
        kind: Kind::Layout,
        arch: Architecture::X86_64,
        release: String::new(),
        version: String::new(),
        build_id: None,
        pointer_size: 8,
        byte_order: ByteOrder::Little,
        made_by: String::new(),
        made_from: Origin::Btf,
        constants: Constants::default(),
    };
    let text = ProfileText::new(&header, &catalogue, &[]).to_text();
    let types = text.split_once("---\n").map(|(_, types)| types.to_owned());
    Ok(types.unwrap_or_default())
}

fn problem(bytes: &[u8]) -> BtfProblem {
    match profile(bytes, None) {
        Err(GenerateError::Btf { problem, .. }) => problem,
        other => panic!("no problem with BTF: {other:?}"),
    }
}

#[test]
fn every_kind_is_written_as_dwarf_is() {
    let text = profile(&small().bytes(), None).expect("good BTF");
    insta::assert_snapshot!(text, @r#"
    base:
      char: 1 signed_char
      half: 2 float
      int: 4 signed
      unsigned char: 1 unsigned_char
    ---
    typedefs:
      atomic_t: struct (atomic_t)
      handler: int (*)(struct task *, ...)
      there: union elsewhere *
    ---
    enum (FREE):
      size: 4
      signed: true
      values:
        FREE: -5
    ---
    enum state:
      size: 4
      values:
        RUNNING: 0
        DEAD: 2147483648
    ---
    enum wide:
      size: 8
      signed: true
      values:
        LOW: -1
        WIDE: 1099511627776
    ---
    struct (atomic_t):
      size: 0x4
      members:
        counter: 0x0 int
    ---
    struct (task.usage):
      size: 0x4
      members:
        counter: 0x0 int
    ---
    struct task:
      size: 0x28
      members:
        comm: 0x0 char[16]
        low: 0x10:0:3 int
        high: 0x10:3:5 int
        u: 0x18 int
        v: 0x18 char *
        usage: 0x20 struct (task.usage)
        next: 0x28 struct task *
    ---
    symbols: {}
    "#);
}

#[test]
fn per_cpu_variables_have_their_place() {
    let bytes = small().bytes();
    let table = Table::parse(&bytes, None).expect("good BTF");
    let collected = collect(&table).expect("good BTF");
    let found: Vec<_> = collected
        .variables
        .iter()
        .map(|variable| (variable.name, variable.percpu))
        .collect();
    assert_eq!(found, [(&b"runqueues"[..], Some(16))]);
}

#[test]
fn split_btf_continues_its_base() {
    let base = small();
    let mut split = Builder {
        base: base.strings.len() as u32,
        ..Builder::default()
    };
    split.strings.clear();
    split.structure("module_thing", 4, false, 8, &[("task", 9, 0)]);
    let text = profile(&split.bytes(), Some(&base.bytes())).expect("good BTF");
    assert!(
        text.contains("struct module_thing:\n  size: 0x8\n  members:\n    task: 0x0 struct task *")
    );
    assert_eq!(problem(&split.bytes()), BtfProblem::SplitOrBadName);
}

#[test]
fn types_of_one_name_are_told_apart() {
    let mut btf = small();
    btf.structure("task", 4, false, 4, &[("other", 1, 0)]);
    let text = profile(&btf.bytes(), None).expect("good BTF");
    // The first is referred to.
    assert!(text.contains("struct task#2:\n  size: 0x4\n"));
    btf.structure("task", 4, false, 4, &[("other", 1, 0)]);
    let text = profile(&btf.bytes(), None).expect("good BTF");
    assert!(!text.contains("task#3"), "what is alike is one type");
}

#[test]
fn kinds_of_the_future_are_passed_over_where_their_length_is_told() {
    let mut btf = small();
    btf.add("new", 25, false, 1, 0, &[7, 7, 7]);
    assert_eq!(problem(&btf.bytes()), BtfProblem::UnknownKind(25));
    btf.layout = vec![0; 26 * 4];
    btf.layout[25 * 4] = 8;
    btf.layout[25 * 4 + 1] = 4;
    let text = profile(&btf.bytes(), None).expect("the length is told");
    assert!(text.contains("struct task:"));
}

#[test]
fn other_formats_are_named() {
    let bytes = small().bytes();
    let changed = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        problem(&bytes)
    };
    let mut swapped = bytes.clone();
    swapped.swap(0, 1);
    assert_eq!(problem(&swapped), BtfProblem::BigEndian);
    assert_eq!(changed(2, 9), BtfProblem::Version(9));
    assert_eq!(changed(0, 0x7f), BtfProblem::NotBtf(0xeb7f));
    assert!(matches!(changed(15, 0xff), BtfProblem::OutsideData { .. }));
}

#[test]
fn types_without_end_are_refused() {
    // A typedef of itself, a struct in itself, an array of itself, a qualifier of itself.
    for (kind, rest) in [(8, vec![]), (10, vec![]), (3, vec![1, 1, 2]), (2, vec![])] {
        let mut btf = Builder::new();
        btf.add(
            if kind == 8 { "loop" } else { "" },
            kind,
            false,
            0,
            1,
            &rest,
        );
        btf.structure("holder", 4, false, 8, &[("m", 1, 0)]);
        let outcome = profile(&btf.bytes(), None);
        assert!(outcome.is_err(), "kind {kind}: {outcome:?}");
    }
    let mut btf = Builder::new();
    btf.structure("inside", 4, false, 8, &[("m", 1, 0)]);
    assert_eq!(problem(&btf.bytes()), BtfProblem::TypeCycle);
}

#[test]
fn small_input_makes_no_large_output() {
    // Each anonymous struct holds the next one twice: 2^30 names.
    let mut btf = Builder::new();
    btf.int("int", 4, 1);
    btf.structure("top", 4, false, 8, &[("a", 3, 0), ("b", 3, 0)]);
    for number in 3..33 {
        btf.structure(
            "",
            4,
            false,
            8,
            &[("a", number + 1, 0), ("b", number + 1, 0)],
        );
    }
    btf.structure("", 4, false, 8, &[("end", 1, 0)]);
    let started = std::time::Instant::now();
    let outcome = profile(&btf.bytes(), None);
    assert!(
        matches!(
            &outcome,
            Err(GenerateError::Btf {
                problem: BtfProblem::TooMany { .. },
                ..
            })
        ),
        "{:?}",
        outcome.map(|text| text.len())
    );
    assert!(started.elapsed().as_secs() < 30);
}

#[test]
fn btf_cut_anywhere_is_an_error() {
    let bytes = small().bytes();
    for length in 0..bytes.len() {
        let outcome = profile(&bytes[..length], None);
        assert!(outcome.is_err(), "{length} bytes of {}", bytes.len());
    }
}

#[test]
fn flipped_bits_never_do_worse_than_an_error() {
    let bytes = small().bytes();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let _ = profile(&flipped, None);
    }
    let mut random = fastrand::Rng::with_seed(11);
    for _ in 0..2000 {
        let mut flipped = bytes.clone();
        for _ in 0..random.usize(1..20) {
            let at = random.usize(24..flipped.len());
            flipped[at] = random.u8(..);
        }
        let _ = profile(&flipped, None);
    }
}

#[test]
fn btf_is_found_among_other_bytes() {
    let bytes = small().bytes();
    let mut image = vec![7; 1000];
    image.extend_from_slice(b"\x9f\xeb\x01\x00\x18\x00\x00\x00");
    image.extend_from_slice(&[0xff; 100]);
    image.extend_from_slice(&bytes);
    image.extend_from_slice(&[1; 1000]);
    assert_eq!(find_blob(&image), Some(bytes.as_slice()));
    assert_eq!(find_blob(&image[..image.len() - 1001]), None);
}
