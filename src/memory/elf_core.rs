//! ELF cores of a whole machine: kdump's `/proc/vmcore` and QEMU's `dump-guest-memory`.
//!
//! Segments count by their physical address. kexec describes the kernel's text in a segment of its own beside the RAM that
//! holds it, so one address may come twice; the first segment in the file wins. Notes are for the VMCOREINFO text only; the
//! registers that kdump and QEMU keep there are not needed.

use std::fs::File;
use std::os::unix::fs::FileExt;

use goblin::container::{Container, Ctx, Endian};
use goblin::elf::Elf;
use goblin::elf::header::{
    EI_CLASS, EI_DATA, ELFCLASS64, ELFDATA2LSB, EM_X86_64, ET_CORE, ET_DYN, ET_EXEC, ET_REL,
    Header, machine_to_str,
};
use goblin::elf::note::NoteDataIterator;
use goblin::elf::program_header::{PT_LOAD, PT_NOTE, ProgramHeader};

use crate::addr::{PhysAddr, PhysRange};

use super::error::Problem;
use super::segments::earliest_wins;
use super::{Notes, Segment, SegmentedFile};

/// The key under which the VMCOREINFO text is found in [`super::PhysicalMemory::notes`].
const VMCOREINFO: &str = "vmcoreinfo";
/// Size of an ELF-64 header, of a program header and of a section header, in bytes.
const ELF_HEADER: u64 = 64;
const PROGRAM_HEADER: u64 = 56;
const SECTION_HEADER: u64 = 64;
/// Number of program headers that says "see `sh_info` of section 0" (QEMU writes it for more than 65 534 ranges).
const PN_XNUM: u16 = 0xffff;
/// More program headers than this are refused: 16 million ranges are no machine.
const MOST_HEADERS: u64 = 1 << 24;
/// Notes larger than this are not looked at, in bytes. A few hundred processors' registers take well under 1 MiB.
const MOST_NOTES: u64 = 16 << 20;

/// The memory in an ELF core. Errors: another architecture, not a core, no physical addresses, damaged or cut off.
pub(super) fn open_elf_core(file: File) -> Result<SegmentedFile, Problem> {
    let length = file
        .metadata()
        .map_err(Problem::io("read its length"))?
        .len();
    let header = read_header(&file, length)?;
    let programs = read_programs(&file, length, &header)?;
    let loads: Vec<&ProgramHeader> = programs
        .iter()
        .filter(|program| program.p_type == PT_LOAD && program.p_memsz.max(program.p_filesz) > 0)
        .collect();
    if !have_physical_addresses(&loads) {
        return Err(Problem::NoPhysicalAddresses);
    }
    let segments = loads
        .iter()
        .filter(|program| program.p_paddr != u64::MAX)
        .map(|program| segment_of(program))
        .collect::<Result<Vec<Segment>, Problem>>()?;
    let notes = read_notes(&file, length, &programs)?;
    SegmentedFile::new(file, earliest_wins(&segments), notes)
}

/// The header, if it is one of a core of an x86-64 machine.
fn read_header(file: &File, length: u64) -> Result<Header, Problem> {
    let bytes = read(file, length, "the ELF header", 0, ELF_HEADER.min(length))?;
    let header = Elf::parse_header(&bytes).map_err(Problem::Elf)?;
    if header.e_machine != EM_X86_64 {
        return Err(Problem::ForeignArchitecture(
            machine_to_str(header.e_machine).to_owned(),
        ));
    }
    let layout = (header.e_ident[EI_CLASS], header.e_ident[EI_DATA]);
    if layout != (ELFCLASS64, ELFDATA2LSB) {
        return Err(Problem::ForeignArchitecture(
            "32-bit or big-endian".to_owned(),
        ));
    }
    let not_an_image = |what, hint| Err(Problem::NotAnImage { what, hint });
    match header.e_type {
        ET_CORE => Ok(header),
        ET_EXEC | ET_DYN => not_an_image(
            "an ELF program or kernel (a vmlinux?)",
            "make its profile with `nettlp-profile VMLINUX -o PROFILE.yaml` and give that with `-p`",
        ),
        ET_REL => not_an_image(
            "an ELF object or kernel module",
            "--image wants a dump of memory",
        ),
        other => Err(Problem::BadHeader {
            what: "the type in the ELF header",
            found: u64::from(other),
        }),
    }
}

/// All program headers.
fn read_programs(file: &File, length: u64, header: &Header) -> Result<Vec<ProgramHeader>, Problem> {
    let context = Ctx::new(Container::Big, Endian::Little);
    let count = if header.e_phnum == PN_XNUM {
        let section = read(
            file,
            length,
            "section header 0",
            header.e_shoff,
            SECTION_HEADER,
        )?;
        let info = section.get(44..48).and_then(|info| info.try_into().ok());
        u64::from(u32::from_le_bytes(info.unwrap_or_default()))
    } else {
        u64::from(header.e_phnum)
    };
    if count > MOST_HEADERS {
        return Err(Problem::BadHeader {
            what: "the number of program headers",
            found: count,
        });
    }
    let table = read(
        file,
        length,
        "the program headers",
        header.e_phoff,
        count * PROGRAM_HEADER,
    )?;
    ProgramHeader::parse(&table, 0, usize::try_from(count).unwrap_or(0), context)
        .map_err(Problem::Elf)
}

/// A process's core has no physical addresses: all of them are 0, at virtual addresses of user space.
fn have_physical_addresses(loads: &[&ProgramHeader]) -> bool {
    let user_space = |program: &&ProgramHeader| program.p_vaddr != 0 && program.p_vaddr >> 63 == 0;
    loads.iter().any(|program| program.p_paddr != 0)
        || (loads.len() <= 1 && !loads.iter().any(user_space))
}

fn segment_of(program: &ProgramHeader) -> Result<Segment, Problem> {
    let bytes = program.p_memsz.max(program.p_filesz);
    let range =
        PhysRange::of_length(PhysAddr::new(program.p_paddr), bytes).ok_or(Problem::Overflow {
            what: "an ELF segment",
            start: program.p_paddr,
            bytes,
        })?;
    Ok(Segment {
        range,
        offset: program.p_offset,
        stored: program.p_filesz,
    })
}

/// The VMCOREINFO text, where a note has it. Notes that do not parse are not worth losing a dump for.
fn read_notes(file: &File, length: u64, programs: &[ProgramHeader]) -> Result<Notes, Problem> {
    let mut found = Notes::new();
    for program in programs {
        if program.p_type != PT_NOTE || program.p_filesz > MOST_NOTES {
            continue;
        }
        let data = read(
            file,
            length,
            "the notes",
            program.p_offset,
            program.p_filesz,
        )?;
        let notes = NoteDataIterator {
            data: &data,
            size: data.len(),
            offset: 0,
            // The kernel and QEMU align notes to 4 bytes in 64-bit cores too.
            ctx: (4, Ctx::new(Container::Big, Endian::Little)),
        };
        for note in notes.map_while(Result::ok) {
            if note.name == "VMCOREINFO" {
                let text = String::from_utf8_lossy(note.desc);
                found.insert(
                    VMCOREINFO.to_owned(),
                    text.trim_end_matches('\0').to_owned(),
                );
            }
        }
    }
    Ok(found)
}

/// `bytes` bytes of the file from `offset` on.
fn read(
    file: &File,
    length: u64,
    what: &'static str,
    offset: u64,
    bytes: u64,
) -> Result<Vec<u8>, Problem> {
    let needed = offset.checked_add(bytes).ok_or(Problem::Overflow {
        what,
        start: offset,
        bytes,
    })?;
    if needed > length {
        return Err(Problem::Truncated {
            what,
            needed,
            length,
        });
    }
    let mut buffer = vec![0; usize::try_from(bytes).unwrap_or(0)];
    file.read_exact_at(&mut buffer, offset)
        .map_err(Problem::io("read its headers"))?;
    Ok(buffer)
}

#[cfg(test)]
#[path = "tests_elf_core.rs"]
mod tests;
