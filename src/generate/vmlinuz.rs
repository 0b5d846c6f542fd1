//! A kernel that boots → the kernel that it unpacks.
//!
//! x86: the setup header says where the compressed kernel is (Documentation/arch/x86/boot.rst, `payload_offset`). EFI zboot images
//! (drivers/firmware/efi/libstub/zboot-header.S) do too. Where neither is there, or what they say does not unpack, everything that looks
//! like the start of compressed data is tried.

use memchr::memmem;

use super::unpack::{Packing, UnpackError, packings, unpack};

/// Bytes of an unpacked kernel that are accepted: twice the largest kernels with everything built in.
pub(super) const MAX_KERNEL: usize = 512 << 20;
/// Starts of compressed data that are tried: each may unpack to something else.
const MAX_TRIES: usize = 32;
/// What a kernel begins with: ELF, or the arm64 image header at byte 56.
const ELF: &[u8] = b"\x7fELF";
const ARM64: &[u8] = b"ARM\x64";

/// Why nothing was unpacked.
#[derive(Debug, thiserror::Error)]
pub enum VmlinuzProblem {
    /// The header says where the kernel is, but it does not unpack.
    #[error("the kernel that the header tells of, at {offset:#x}")]
    Payload {
        /// Where, in bytes from the start of the file.
        offset: usize,
        /// What went wrong.
        #[source]
        source: UnpackError,
    },
    /// Nothing in it unpacks to a kernel.
    #[error(
        "nothing in its {length:#x} bytes unpacks to a kernel ({tried} places looked like compressed data)"
    )]
    Nothing {
        /// Bytes of the file.
        length: usize,
        /// Places that were tried.
        tried: usize,
    },
}

/// Whether bytes are a kernel that boots, or look like one from their start.
pub(super) fn is_vmlinuz(bytes: &[u8]) -> bool {
    bytes.get(0x202..0x206) == Some(b"HdrS") || zboot_payload(bytes).is_some()
}

/// The kernel that is in a kernel that boots.
pub(super) fn kernel(bytes: &[u8]) -> Result<Vec<u8>, VmlinuzProblem> {
    let told = bzimage_payload(bytes).or_else(|| zboot_payload(bytes));
    let mut problem = None;
    if let Some((offset, length)) = told {
        let end = offset.saturating_add(length).min(bytes.len());
        let payload = bytes.get(offset..end).unwrap_or(&[]);
        match unpack(payload, MAX_KERNEL) {
            Ok(kernel) if is_kernel(&kernel) => return Ok(kernel),
            Ok(_) => {}
            // A payload may also be stored as it is.
            Err(_) if is_kernel(payload) => return Ok(payload.to_vec()),
            Err(source) => problem = Some(VmlinuzProblem::Payload { offset, source }),
        }
    }
    let mut tried = 0;
    let mut starts: Vec<usize> = packings()
        .filter(|packing| *packing != Packing::Lzma)
        .flat_map(|packing| memmem::find_iter(bytes, packing.magic()).take(MAX_TRIES))
        .collect();
    starts.sort_unstable();
    for start in starts.into_iter().take(MAX_TRIES) {
        tried += 1;
        match bytes.get(start..).map(|rest| unpack(rest, MAX_KERNEL)) {
            Some(Ok(kernel)) if is_kernel(&kernel) => return Ok(kernel),
            _ => {}
        }
    }
    let length = bytes.len();
    Err(problem.unwrap_or(VmlinuzProblem::Nothing { length, tried }))
}

fn is_kernel(bytes: &[u8]) -> bool {
    bytes.starts_with(ELF) || bytes.get(56..60) == Some(ARM64)
}

/// Offset and length of what an x86 boot image unpacks, from protocol 2.08 on.
fn bzimage_payload(bytes: &[u8]) -> Option<(usize, usize)> {
    const SETUP_SECTORS: usize = 0x1f1;
    const SECTOR: usize = 512;
    if bytes.get(0x202..0x206)? != b"HdrS" || half(bytes, 0x206)? < 0x208 {
        return None;
    }
    let sectors = match bytes.get(SETUP_SECTORS)? {
        0 => 4,
        sectors => usize::from(*sectors),
    };
    let start = (sectors + 1) * SECTOR;
    Some((start.checked_add(word(bytes, 0x248)?)?, word(bytes, 0x24c)?))
}

fn zboot_payload(bytes: &[u8]) -> Option<(usize, usize)> {
    if bytes.get(..2)? != b"MZ" || bytes.get(4..8)? != b"zimg" {
        return None;
    }
    Some((word(bytes, 8)?, word(bytes, 12)?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?;
    bytes.try_into().ok().map(u16::from_le_bytes)
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at + 4)?;
    usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn kernel_bytes() -> Vec<u8> {
        let mut kernel = ELF.to_vec();
        kernel.extend((0..20_000_u32).flat_map(u32::to_le_bytes));
        kernel
    }

    fn gzipped(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("in memory");
        encoder.finish().expect("in memory")
    }

    /// A bzImage with one sector of setup; its payload is 64 bytes behind it.
    fn bzimage(payload: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 2048 + 64];
        image[0x1f1] = 3;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x206..0x208].copy_from_slice(&0x20f_u16.to_le_bytes());
        image[0x248..0x24c].copy_from_slice(&64_u32.to_le_bytes());
        image[0x24c..0x250].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        image.extend_from_slice(payload);
        image.extend_from_slice(&[0; 100]);
        image
    }

    #[test]
    fn the_payload_is_where_the_header_says() {
        let image = bzimage(&gzipped(&kernel_bytes()));
        assert!(is_vmlinuz(&image));
        assert_eq!(kernel(&image).expect("unpacks"), kernel_bytes());
    }

    #[test]
    fn a_wrong_header_is_made_good_by_searching() {
        let mut image = bzimage(&gzipped(&kernel_bytes()));
        image[0x248] = 0;
        assert_eq!(kernel(&image).expect("unpacks"), kernel_bytes());
        image[0x202] = 0;
        assert_eq!(kernel(&image).expect("unpacks"), kernel_bytes());
    }

    #[test]
    fn zboot_images_say_where_too() {
        let payload = gzipped(&kernel_bytes());
        let mut image = vec![0; 64];
        image[..2].copy_from_slice(b"MZ");
        image[4..8].copy_from_slice(b"zimg");
        image[8..12].copy_from_slice(&64_u32.to_le_bytes());
        image[12..16].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        image.extend_from_slice(&payload);
        assert_eq!(kernel(&image).expect("unpacks"), kernel_bytes());
    }

    #[test]
    fn damage_is_told_with_its_place() {
        let whole = bzimage(&gzipped(&kernel_bytes()));
        for length in (0..whole.len()).step_by(97) {
            match kernel(&whole[..length]) {
                Ok(found) => assert_eq!(found, kernel_bytes()),
                Err(VmlinuzProblem::Payload { offset, .. }) => assert_eq!(offset, 2048 + 64),
                Err(VmlinuzProblem::Nothing { length: told, .. }) => assert_eq!(told, length),
            }
        }
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..300 {
            let mut flipped = whole.clone();
            let at = random.usize(0x1f0..flipped.len());
            flipped[at] ^= 1 << random.u32(0..8);
            let _ = kernel(&flipped);
        }
    }

    #[test]
    fn what_unpacks_to_no_kernel_is_none() {
        let error = kernel(&bzimage(&gzipped(&[1; 5000]))).expect_err("no kernel");
        assert!(error.to_string().contains("unpacks to a kernel"), "{error}");
    }
}
