//! The GNU build ID among the notes of a kernel image.

/// Type of the note that holds the build ID (`NT_GNU_BUILD_ID`).
const BUILD_ID: u32 = 3;
const GNU: &[u8] = b"GNU\0";
/// Bytes of a note's header: the lengths of name and content, the type.
const HEADER: usize = 12;

/// The build ID in lower-case hexadecimal, from the bytes between `__start_notes` and `__stop_notes`: a sequence of notes whose
/// names and contents are padded to 4 bytes (System V ABI, "Note Section").
pub(super) fn build_id(mut notes: &[u8]) -> Option<String> {
    while let Some((header, rest)) = notes.split_at_checked(HEADER) {
        let word = |index: usize| -> Option<u32> {
            let bytes = header.get(index * 4..index * 4 + 4)?;
            bytes.try_into().ok().map(u32::from_le_bytes)
        };
        let name_length = usize::try_from(word(0)?).ok()?;
        let length = usize::try_from(word(1)?).ok()?;
        let (name, rest) = rest.split_at_checked(name_length.checked_next_multiple_of(4)?)?;
        let content = rest.get(..length)?;
        if word(2)? == BUILD_ID && name.get(..name_length)? == GNU && !content.is_empty() {
            return Some(content.iter().map(|byte| format!("{byte:02x}")).collect());
        }
        notes = rest
            .get(length.checked_next_multiple_of(4)?..)
            .unwrap_or(&[]);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::build_id;

    fn note(kind: u32, name: &[u8], content: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [name.len() as u32, content.len() as u32, kind] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        for part in [name, content] {
            bytes.extend_from_slice(part);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    #[test]
    fn the_build_id_is_found_among_other_notes() {
        let mut notes = note(6, b"Xen\0", b"linux\0");
        notes.extend(note(3, b"Xen\0", &[0; 8]));
        notes.extend(note(3, b"GNU\0", &[0x3b, 0x43, 0x0a]));
        assert_eq!(build_id(&notes).as_deref(), Some("3b430a"));
        assert_eq!(build_id(&note(1, b"GNU\0", &[1])), None);
        assert_eq!(build_id(&[]), None);
    }

    #[test]
    fn notes_that_lie_about_their_length_are_none() {
        let mut huge = note(3, b"GNU\0", &[1, 2, 3, 4]);
        huge[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(build_id(&huge), None);
        huge[0..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(build_id(&huge), None);
        assert_eq!(build_id(&note(3, b"GNU\0", &[1, 2, 3, 4])[..14]), None);
    }
}
