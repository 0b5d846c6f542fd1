use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::memory::{ReadFailure, Source};

/// A program header in the making.
#[derive(Clone, Copy, Default)]
struct Program {
    kind: u32,
    offset: u64,
    virtual_address: u64,
    physical_address: u64,
    stored: u64,
    length: u64,
}

fn load(physical_address: u64, offset: u64, stored: u64, length: u64) -> Program {
    Program {
        kind: PT_LOAD,
        offset,
        virtual_address: 0xffff_8880_0000_0000_u64.wrapping_add(physical_address),
        physical_address,
        stored,
        length,
    }
}

/// Offset of the data behind `count` program headers.
fn data_offset(count: usize) -> u64 {
    ELF_HEADER + PROGRAM_HEADER * count as u64
}

fn elf(kind: u16, machine: u16, programs: &[Program], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend_from_slice(&kind.to_le_bytes());
    bytes.extend_from_slice(&machine.to_le_bytes());
    bytes.extend_from_slice(&1_u32.to_le_bytes());
    for number in [0_u64, ELF_HEADER, 0] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&0_u32.to_le_bytes());
    for number in [64_u16, 56, programs.len() as u16, 64, 0, 0] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    for program in programs {
        bytes.extend_from_slice(&program.kind.to_le_bytes());
        bytes.extend_from_slice(&7_u32.to_le_bytes());
        for number in [
            program.offset,
            program.virtual_address,
            program.physical_address,
            program.stored,
            program.length,
            0,
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }
    bytes.extend_from_slice(data);
    bytes
}

fn core(programs: &[Program], data: &[u8]) -> Vec<u8> {
    elf(ET_CORE, EM_X86_64, programs, data)
}

fn open(bytes: &[u8]) -> Result<SegmentedFile, Problem> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    open_elf_core(file)
}

#[test]
fn segments_are_found_by_physical_address_with_zero_tails() {
    let at = data_offset(2);
    let memory = open(&core(
        &[load(0x1000, at, 4, 8), load(0x10_0000, at + 4, 4, 4)],
        &[1, 2, 3, 4, 5, 6, 7, 8],
    ))
    .unwrap();
    let mut into = [0xff; 8];
    memory.copy(PhysAddr::new(0x1000), &mut into).unwrap();
    assert_eq!(into, [1, 2, 3, 4, 0, 0, 0, 0]);
    memory
        .copy(PhysAddr::new(0x10_0000), &mut into[..4])
        .unwrap();
    assert_eq!(into[..4], [5, 6, 7, 8]);
    assert_eq!(
        memory.copy(PhysAddr::new(0x2000), &mut into),
        Err(ReadFailure::NotInImage)
    );
}

#[test]
fn the_kernel_text_of_kexec_may_overlap_its_ram() {
    let at = data_offset(2);
    let text_first = open(&core(
        &[load(0x1004, at, 4, 4), load(0x1000, at + 4, 12, 12)],
        &[1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4],
    ));
    let mut into = [0; 12];
    text_first
        .unwrap()
        .copy(PhysAddr::new(0x1000), &mut into)
        .unwrap();
    assert_eq!(into, [2, 2, 2, 2, 1, 1, 1, 1, 4, 4, 4, 4]);
}

#[test]
fn the_vmcoreinfo_text_is_kept_and_other_notes_are_not() {
    let note = |name: &str, text: &str| {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&(name.len() as u32 + 1).to_le_bytes());
        bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&0_u32.to_le_bytes());
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend_from_slice(text.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    };
    let data = [
        note("CORE", "registers"),
        note("QEMU", "more registers"),
        note("VMCOREINFO", "OSRELEASE=6.1.0\nPAGESIZE=4096\n"),
    ]
    .concat();
    let notes = Program {
        kind: PT_NOTE,
        offset: data_offset(2),
        stored: data.len() as u64,
        ..Program::default()
    };
    let memory = open(&core(&[notes, load(0, data_offset(2), 4, 4)], &data)).unwrap();
    assert_eq!(
        memory.notes().into_iter().collect::<Vec<_>>(),
        [(
            "vmcoreinfo".to_owned(),
            "OSRELEASE=6.1.0\nPAGESIZE=4096\n".to_owned()
        )]
    );
}

#[test]
fn other_elf_files_are_refused_by_name() {
    let problem = |bytes: &[u8]| open(bytes).unwrap_err().to_string();
    let some = [load(0, 0, 4, 4)];
    assert_eq!(
        problem(&elf(ET_CORE, 183, &some, &[])),
        "it comes from a machine of another architecture (AARCH64); x86-64 is what is read here"
    );
    assert_eq!(
        problem(&elf(ET_EXEC, EM_X86_64, &some, &[])),
        "it is an ELF program or kernel (a vmlinux?), not an image of physical memory"
    );
    assert_eq!(
        problem(&elf(0x77, EM_X86_64, &some, &[])),
        "the type in the ELF header is 0x77"
    );
    let mut narrow = elf(ET_CORE, EM_X86_64, &some, &[]);
    narrow[4] = 1;
    assert!(problem(&narrow).contains("32-bit or big-endian"));
    let of_a_process = |address| Program {
        virtual_address: address,
        physical_address: 0,
        ..load(0, 0, 4, 4)
    };
    assert!(
        problem(&core(
            &[of_a_process(0x40_0000), of_a_process(0x7fff_0000_0000)],
            &[]
        ))
        .starts_with("it is the core of one process")
    );
    assert!(open(&core(&[of_a_process(0)], &[])).is_ok());
}

#[test]
fn damaged_cores_are_refused() {
    let truncated = |bytes: &[u8]| matches!(open(bytes), Err(Problem::Truncated { .. }));
    let whole = core(&[load(0, data_offset(1), 4, 4)], &[1, 2, 3, 4]);
    assert!(open(&whole).is_ok());
    assert!(truncated(&whole[..whole.len() - 1]));
    assert!(truncated(&whole[..80]));
    assert!(matches!(open(&whole[..32]), Err(Problem::Elf(_))));
    assert!(matches!(
        open(&core(&[load(u64::MAX - 2, 0, 4, 4)], &[])),
        Err(Problem::Overflow { .. })
    ));
    assert!(matches!(
        open(&core(&[load(0, u64::MAX - 2, 4, 4)], &[])),
        Err(Problem::Overflow { .. })
    ));
    let mut many = whole.clone();
    many[56..58].copy_from_slice(&PN_XNUM.to_le_bytes());
    many[40..48].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(open(&many).is_err());
}

proptest! {
    #[test]
    fn flipping_any_byte_of_a_core_never_panics(at in 0usize..124, byte in any::<u8>()) {
        let mut bytes = core(&[load(0x1000, data_offset(1), 4, 0x1000)], &[1, 2, 3, 4]);
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        if let Ok(memory) = open(&bytes) {
            let mut into = [0; 64];
            let _ = memory.copy(PhysAddr::new(0x1000), &mut into);
        }
    }

    #[test]
    fn any_bytes_behind_the_magic_are_handled(rest in proptest::collection::vec(any::<u8>(), 0..256)) {
        let _ = open(&[b"\x7fELF\x02\x01\x01", rest.as_slice()].concat());
    }
}
