//! A kernel whose debug information is elsewhere → the file that has it, found as debuggers find it (GDB manual, "Debugging Information in
//! Separate Files"): by build ID, else by the name that the kernel gives, beside it and in the system's folder of such files.
//!
//! A file of another build is passed over: build IDs must be the same, or where there are none, the checksum.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::generate::error::GenerateError;
use crate::generate::facts::build_id;
use crate::generate::progress::Progress;

use super::{Role, Vmlinux};

/// Where distributions install debug information.
const SYSTEM: &str = "/usr/lib/debug";

/// The name and the CRC-32 of the file with the debug information.
const LINK: &str = ".gnu_debuglink";
/// The name and the build ID of a file with what several files share.
const SHARED_LINK: &str = ".gnu_debugaltlink";

/// Bytes that are summed at a time.
const BUFFER: usize = 1 << 20;

/// A name in a section, and the bytes after it.
struct Link {
    name: PathBuf,
    rest: Vec<u8>,
}

fn link(vmlinux: &Vmlinux, section: &str) -> Result<Option<Link>, GenerateError> {
    let Some(bytes) = vmlinux.section_bytes(section)? else {
        return Ok(None);
    };
    let Some(end) = memchr::memchr(0, &bytes).filter(|end| *end > 0) else {
        return Ok(None);
    };
    let (name, rest) = bytes.split_at(end);
    Ok(Some(Link {
        name: PathBuf::from(OsStr::from_bytes(name)),
        rest: rest.get(1..).unwrap_or(&[]).to_vec(),
    }))
}

/// The file with a kernel's debug information, or where it was looked for.
pub(super) fn debug_file(
    image: &Vmlinux,
) -> Result<(Option<Vmlinux>, Vec<PathBuf>), GenerateError> {
    let link = link(image, LINK)?;
    let identity = build_id(image)?;
    let candidates = candidates(
        image.path(),
        link.as_ref().map(|link| link.name.as_path()),
        identity.as_deref(),
        Path::new(SYSTEM),
    );
    // The checksum is at the next multiple of four bytes, little-endian as the file is.
    let sum = link.and_then(|link| {
        let name = link.name.as_os_str().len();
        let at = (name + 1).next_multiple_of(4) - (name + 1);
        let bytes = link.rest.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes))
    });
    for path in &candidates {
        if let Some(found) = open(path)?
            && is_of(&found, identity.as_deref(), sum)?
        {
            return Ok((Some(found), Vec::new()));
        }
    }
    Ok((None, candidates))
}

/// The file that `.gnu_debugaltlink` names. Without it the debug information has holes: that it is missing is an error.
pub(super) fn supplementary_file(vmlinux: &Vmlinux) -> Result<Option<Vmlinux>, GenerateError> {
    let Some(link) = link(vmlinux, SHARED_LINK)? else {
        return Ok(None);
    };
    let identity: String = link.rest.iter().map(|byte| format!("{byte:02x}")).collect();
    let beside = vmlinux.path().parent().unwrap_or(Path::new(""));
    let mut candidates = vec![beside.join(&link.name)];
    candidates.extend(link.name.file_name().map(|name| beside.join(name)));
    candidates.extend(by_build_id(&identity, Path::new(SYSTEM)));
    candidates.dedup();
    for path in &candidates {
        if let Some(found) = open(path)?
            && build_id(&found)?.is_none_or(|found| identity.is_empty() || found == identity)
        {
            return Ok(Some(found));
        }
    }
    Err(GenerateError::NoSupplementary {
        path: vmlinux.path().to_owned(),
        name: link.name,
        looked_for: candidates,
    })
}

/// A file that may be there.
fn open(path: &Path) -> Result<Option<Vmlinux>, GenerateError> {
    match path.is_file() {
        true => Vmlinux::open_as(path, Role::Companion, &Progress::default()).map(Some),
        false => Ok(None),
    }
}

/// Where the debug information may be, most certain first.
fn candidates(
    image: &Path,
    name: Option<&Path>,
    identity: Option<&str>,
    system: &Path,
) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    found.extend(identity.and_then(|identity| by_build_id(identity, system)));
    // The name is a file's name: it does not lead elsewhere.
    if let Some(name) = name.and_then(Path::file_name) {
        let absolute = std::path::absolute(image).unwrap_or_else(|_| image.to_owned());
        let folder = absolute.parent().unwrap_or(Path::new("/"));
        found.push(folder.join(name));
        found.push(folder.join(".debug").join(name));
        let below = folder.strip_prefix("/").unwrap_or(folder);
        found.push(system.join(below).join(name));
        // A link from a file to itself.
        found.retain(|path| *path != absolute);
    }
    found
}

/// `/usr/lib/debug/.build-id/ab/cdef….debug`.
fn by_build_id(identity: &str, system: &Path) -> Option<PathBuf> {
    let (folder, name) = identity
        .split_at_checked(2)
        .filter(|(_, name)| !name.is_empty())?;
    Some(
        system
            .join(".build-id")
            .join(folder)
            .join(format!("{name}.debug")),
    )
}

/// Whether a file with debug information is of this build.
fn is_of(found: &Vmlinux, identity: Option<&str>, sum: Option<u32>) -> Result<bool, GenerateError> {
    if !found.has_debug_information() {
        return Ok(false);
    }
    match (build_id(found)?, identity, sum) {
        (Some(theirs), Some(ours), _) => Ok(theirs == ours),
        (_, _, Some(sum)) => checksum(found)
            .map(|theirs| theirs == sum)
            .map_err(|source| GenerateError::Unreadable {
                path: found.path().to_owned(),
                source,
            }),
        _ => Ok(false),
    }
}

/// The CRC-32 of a whole file, as `.gnu_debuglink` has it.
fn checksum(file: &Vmlinux) -> io::Result<u32> {
    let mut sum = flate2::Crc::new();
    let mut buffer = vec![0; BUFFER];
    let mut at = 0;
    loop {
        match file.file.read_at(&mut buffer, at)? {
            0 => return Ok(sum.sum()),
            count => {
                sum.update(buffer.get(..count).unwrap_or(&[]));
                at += count as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_are_those_of_debuggers() {
        let places = candidates(
            Path::new("/boot/vmlinux-6.1"),
            Some(Path::new("../../etc/vmlinux-6.1.debug")),
            Some("abcdef01"),
            Path::new("/usr/lib/debug"),
        );
        let expected = [
            "/usr/lib/debug/.build-id/ab/cdef01.debug",
            "/boot/vmlinux-6.1.debug",
            "/boot/.debug/vmlinux-6.1.debug",
            "/usr/lib/debug/boot/vmlinux-6.1.debug",
        ];
        assert_eq!(places, expected.map(PathBuf::from));
        let itself = candidates(
            Path::new("/boot/vmlinux"),
            Some(Path::new("vmlinux")),
            Some("a"),
            Path::new("/usr/lib/debug"),
        );
        assert_eq!(itself.first(), Some(&PathBuf::from("/boot/.debug/vmlinux")));
    }
}
