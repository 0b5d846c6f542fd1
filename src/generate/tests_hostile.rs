//! Files that are no kernels, and kernels that somebody has damaged or made to do damage.

use std::fs;
use std::ops::Range;

use gimli::{EndianSlice, LittleEndian, UnitOffset};

use super::tests::fixture;
use super::{GenerateError, Options, ProfileText, from_vmlinux};

/// The error of a file with these bytes.
pub(super) fn error_of(bytes: &[u8]) -> GenerateError {
    let error = make(bytes).map(drop);
    error.expect_err("accepted")
}

pub(super) fn make(bytes: &[u8]) -> Result<ProfileText, GenerateError> {
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let path = folder.path().join("vmlinux");
    fs::write(&path, bytes).unwrap_or_else(|error| panic!("{error}"));
    from_vmlinux(&path, &Options::default())
}

fn bytes_of(name: &str) -> Vec<u8> {
    fs::read(fixture(name)).unwrap_or_else(|error| panic!("{error}"))
}

/// The fixture with some bytes replaced.
fn patched(patches: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = bytes_of("dwarf5");
    for (offset, replacement) in patches {
        bytes[*offset..offset + replacement.len()].copy_from_slice(replacement);
    }
    bytes
}

/// The fixture with a text replaced by one of the same length, wherever it is.
fn renamed(from: &str, to: &str) -> Vec<u8> {
    let mut bytes = bytes_of("dwarf5");
    let places: Vec<usize> = memchr::memmem::find_iter(&bytes, from).collect();
    assert!(!places.is_empty());
    for place in places {
        bytes[place..place + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}

#[test]
fn what_is_no_kernel_with_dwarf_is_told_apart() {
    let mut boot_image = vec![0; 0x210];
    boot_image[0x202..0x206].copy_from_slice(b"HdrS");
    let cases: [(Vec<u8>, &str); 14] = [
        (Vec::new(), " is empty"),
        (
            b"#!/bin/sh\n".to_vec(),
            " is not an ELF file: it does not start with 7f 45 4c 46",
        ),
        (
            boot_image,
            " is not an ELF file: it is a compressed kernel image (vmlinuz)",
        ),
        (
            b"\x1f\x8b\x08".to_vec(),
            " is not an ELF file: it is compressed",
        ),
        (b"BZh9".to_vec(), " is not an ELF file: it is compressed"),
        (
            patched(&[(18, &[0x16, 0])]),
            " is for another architecture: ELF machine 22 (S390)",
        ),
        (
            patched(&[(4, &[1])]),
            " is for another architecture: 32-bit",
        ),
        (
            patched(&[(5, &[2])]),
            " is for another architecture: big-endian",
        ),
        (
            patched(&[(16, &[1])]),
            " is not a linked kernel: it is a relocatable object (a module?)",
        ),
        (
            patched(&[(16, &[4])]),
            " is not a linked kernel: it is a memory dump",
        ),
        (
            renamed("\0.debug_info", "\0.nodebuginf"),
            " has no debug information (section .debug_info)",
        ),
        (
            renamed("linux_banner\0", "other_banner\0"),
            " is not a Linux kernel: it has no symbol `linux_banner`",
        ),
        (patched(&[(60, &[0, 0])]), " has no symbol table"),
        (
            bytes_of("dwarf5")[..40].to_vec(),
            " is truncated: the ELF header at 0x0 needs 0x40 bytes, the file has 0x28",
        ),
    ];
    for (bytes, message) in cases {
        let error = error_of(&bytes);
        assert!(
            error.to_string().ends_with(message),
            "{error} is not {message}"
        );
        assert!(!error.hints().is_empty(), "{error}");
    }
}

#[test]
fn what_cannot_be_read_is_told_with_the_reason() {
    for path in ["/nowhere/vmlinux", "/"] {
        let error = from_vmlinux(path, &Options::default())
            .map(drop)
            .expect_err("accepted");
        assert_eq!(error.to_string(), format!("cannot read {path}"));
        assert!(std::error::Error::source(&error).is_some());
    }
}

/// Where a section's header is in the file, and where its bytes are.
pub(super) fn section(bytes: &[u8], name: &str) -> (usize, Range<usize>) {
    let elf = goblin::elf::Elf::parse(bytes).unwrap_or_else(|error| panic!("{error}"));
    let named =
        |header: &&goblin::elf::SectionHeader| elf.shdr_strtab.get_at(header.sh_name) == Some(name);
    let index = elf.section_headers.iter().position(|header| named(&header));
    let index = index.unwrap_or_else(|| panic!("no {name}"));
    let header = elf.header.e_shoff as usize + index * 64;
    let range = elf.section_headers[index].file_range();
    (header, range.unwrap_or_default())
}

#[test]
fn dwarf_errors_tell_section_and_offset() {
    let mut bytes = bytes_of("dwarf5");
    let (_, info) = section(&bytes, ".debug_info");
    // The version of the first unit.
    bytes[info.start + 4] = 99;
    assert_eq!(
        error_of(&bytes).to_string(),
        ".debug_info+0x0: unknown DWARF version: 99"
    );
}

/// Offset of the entry of that name in the fixture's first unit, and where its type is.
fn entry(bytes: &[u8], name: &str) -> (u32, u32) {
    let load = |id: gimli::SectionId| {
        let elf = goblin::elf::Elf::parse(bytes).unwrap_or_else(|error| panic!("{error}"));
        let known = elf
            .section_headers
            .iter()
            .any(|header| elf.shdr_strtab.get_at(header.sh_name) == Some(id.name()));
        let range = if known {
            section(bytes, id.name()).1
        } else {
            0..0
        };
        Ok::<_, gimli::Error>(EndianSlice::new(&bytes[range], LittleEndian))
    };
    let find = || -> Result<Option<(u32, u32)>, gimli::Error> {
        let dwarf = gimli::Dwarf::load(load)?;
        let Some(header) = dwarf.units().next()? else {
            return Ok(None);
        };
        let unit = dwarf.unit(header)?;
        let mut entries = unit.entries();
        while let Some(entry) = entries.next_dfs()? {
            let Some(found) = entry.attr_value(gimli::DW_AT_name) else {
                continue;
            };
            let ty = match entry.attr_value(gimli::DW_AT_type) {
                Some(gimli::AttributeValue::UnitRef(UnitOffset(ty))) => ty as u32,
                _ => 0,
            };
            if dwarf.attr_string(&unit, found)?.slice() == name.as_bytes() {
                return Ok(Some((entry.offset().0 as u32, ty)));
            }
        }
        Ok(None)
    };
    let found = find().unwrap_or_else(|error| panic!("{error}"));
    found.unwrap_or_else(|| panic!("no {name}"))
}

/// Points the type reference of an entry somewhere else.
fn redirect(bytes: &mut [u8], name: &str, target: u32) {
    let (offset, old) = entry(bytes, name);
    let (_, info) = section(bytes, ".debug_info");
    // The first unit starts where the section does.
    let start = info.start + offset as usize;
    let near = &mut bytes[start..start + 24];
    let place =
        memchr::memmem::find(near, &old.to_le_bytes()).unwrap_or_else(|| panic!("no reference"));
    near[place..place + 4].copy_from_slice(&target.to_le_bytes());
}

#[test]
fn types_that_contain_themselves_are_refused() {
    for (name, target) in [
        ("atomic_t", "atomic_t"),
        ("usage", "everything"),
        ("fields", "everything"),
    ] {
        let mut bytes = bytes_of("dwarf5");
        let (target, _) = entry(&bytes, target);
        redirect(&mut bytes, name, target);
        let message = error_of(&bytes).to_string();
        assert!(
            message.ends_with("a type contains itself, or types nest too deeply"),
            "{name}: {message}"
        );
        assert!(message.starts_with(".debug_info+0x"), "{message}");
    }
}

#[test]
fn references_to_nowhere_are_refused_with_their_place() {
    let mut bytes = bytes_of("dwarf5");
    let (offset, _) = entry(&bytes, "usage");
    redirect(&mut bytes, "usage", 3);
    let expected = format!(".debug_info+{offset:#x}: the type at 0x3 does not exist");
    assert_eq!(error_of(&bytes).to_string(), expected);
}

#[test]
fn no_truncation_panics() {
    for name in ["dwarf5", "types4"] {
        let bytes = bytes_of(name);
        for length in (0..bytes.len()).step_by(211) {
            // The section headers are at the end: nothing that is shorter is whole.
            assert!(make(&bytes[..length]).is_err(), "{length}");
        }
    }
}

#[test]
fn no_flipped_bit_panics() {
    for (name, sections) in [
        ("dwarf4", &[".debug_info", ".debug_abbrev"][..]),
        ("types5", &[".debug_info"]),
        (
            "clang5",
            &[
                ".debug_info",
                ".debug_abbrev",
                ".debug_str_offsets",
                ".debug_addr",
            ],
        ),
    ] {
        let bytes = bytes_of(name);
        let mut places: Vec<usize> = (0..64).collect();
        let (header, _) = section(&bytes, ".debug_info");
        places.extend(header..header + 64);
        for wanted in sections {
            places.extend(section(&bytes, wanted).1);
        }
        for (turn, place) in places.into_iter().enumerate().step_by(7) {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1 << (turn % 8);
            // Much damage is not visible; what is made of it must be a profile all the same.
            if let Ok(text) = make(&damaged) {
                let loaded = crate::profile::LayoutProfile::from_bytes(text.to_text().into_bytes());
                let names = loaded.and_then(|profile| profile.type_names().map(Iterator::count));
                assert!(names.is_ok(), "{name} {place:#x}: {names:?}");
            }
        }
    }
}

#[test]
fn no_random_damage_to_debug_information_does_more_than_an_error() {
    let mut random = fastrand::Rng::with_seed(14);
    for name in ["dwarf3", "dwarf4", "dwarf5", "types4", "types5", "clang5"] {
        let bytes = bytes_of(name);
        let elf = goblin::elf::Elf::parse(&bytes).unwrap_or_else(|error| panic!("{error}"));
        let is_debug = |header: &&goblin::elf::SectionHeader| {
            let name = elf.shdr_strtab.get_at(header.sh_name);
            name.is_some_and(|name| name.starts_with(".debug_"))
        };
        let sections = elf.section_headers.iter().filter(is_debug);
        let places: Vec<usize> = sections
            .filter_map(|header| header.file_range())
            .flatten()
            .collect();
        for _ in 0..250 {
            let mut damaged = bytes.clone();
            for _ in 0..random.usize(1..9) {
                let place = places[random.usize(0..places.len())];
                damaged[place] = match random.u32(0..4) {
                    0 => 0,
                    1 => 0xff,
                    _ => random.u8(..),
                };
            }
            if let Err(error) = make(&damaged) {
                let told = error.to_string();
                assert!(
                    told.starts_with(".debug_") && told.contains("+0x"),
                    "{told}"
                );
            }
        }
    }
}
