//! What the profile knows of a kernel image, as distances from its first byte: where to look once the image is found.

use crate::addr::{PAGE_SIZE, PhysAddr, PhysRange, VirtAddr};
use crate::profile::{Architecture, LayoutProfile};

use super::LocateError;

/// Longest image that is believed: Linux maps at most 1 GiB for it (`KERNEL_IMAGE_SIZE`).
pub(super) const MAX_IMAGE: u64 = 1 << 30;
/// Where the kernel's image mapping begins (`__START_KERNEL_map`, arch/x86/include/asm/page_64_types.h).
pub(super) const START_KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;
/// Bytes of the banner that a probe compares. "Linux version ", the release and the builder fit.
const PROBE_LENGTH: usize = 64;

/// Static page tables of the image, upper levels first: the walk to any address of the image goes through them, so they are read
/// before it is known that it does.
const STATIC_TABLES: &[&str] = &[
    "level4_kernel_pgt",
    "level3_kernel_pgt",
    "level2_kernel_pgt",
];
/// Names of the top page table, newest first.
const TOP_TABLES: &[&str] = &["init_top_pgt", "swapper_pg_dir", "init_level4_pgt"];

/// How an image says whether it runs with five levels of page tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LevelFlag {
    /// Distance of the 4-byte variable.
    pub(super) offset: u64,
    /// The value that means five levels; any other means four.
    pub(super) five: FiveWhen,
}

/// See [`LevelFlag`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FiveWhen {
    NotZero,
    Equals(u32),
}

const LEVEL_FLAGS: &[(&str, FiveWhen)] = &[
    ("__pgtable_l5_enabled", FiveWhen::NotZero),
    ("pgdir_shift", FiveWhen::Equals(48)),
];

/// Distances from `_text`, in bytes.
#[derive(Clone, Debug)]
pub(super) struct Landmarks {
    /// Link address of `_text`.
    pub(super) text: u64,
    /// Bytes from `_text` to `_end`.
    pub(super) length: u64,
    /// The banner that the kernel must have, without its final newline.
    pub(super) banner_text: String,
    pub(super) build_id: Option<String>,
    pub(super) banner: u64,
    pub(super) phys_base: u64,
    pub(super) top_table: u64,
    pub(super) static_tables: Vec<u64>,
    pub(super) init_task: u64,
    /// `init_task.comm`.
    pub(super) comm: u64,
    pub(super) page_offset_base: Option<u64>,
    pub(super) vmalloc_base: Option<u64>,
    pub(super) vmemmap_base: Option<u64>,
    pub(super) level_flag: Option<LevelFlag>,
    pub(super) max_pfn: Option<u64>,
    pub(super) encryption_mask: Option<u64>,
    /// First and one past the last byte of the notes.
    pub(super) notes: Option<(u64, u64)>,
}

impl Landmarks {
    pub(super) fn new(profile: &LayoutProfile) -> Result<Self, LocateError> {
        let header = profile.header();
        if header.arch != Architecture::X86_64 {
            let arch = header.arch.name();
            return Err(LocateError::UnsupportedArchitecture { arch });
        }
        let banner_text = header.version.trim_end_matches(['\n', '\0']).to_owned();
        if !super::banner::is_banner(&banner_text) {
            return Err(LocateError::NoBannerInProfile);
        }
        let image = Image::new(profile)?;
        let init_task = image.required("init_task")?;
        Ok(Self {
            text: image.text,
            length: image.length,
            banner_text,
            build_id: header.build_id.clone(),
            banner: image.required("linux_banner")?,
            phys_base: image.required("phys_base")?,
            top_table: image.first_of(TOP_TABLES)?,
            static_tables: image.present(STATIC_TABLES)?,
            init_task,
            comm: init_task.saturating_add(comm_offset(profile)?),
            page_offset_base: image.offset("page_offset_base")?,
            vmalloc_base: image.offset("vmalloc_base")?,
            vmemmap_base: image.offset("vmemmap_base")?,
            level_flag: image.level_flag()?,
            max_pfn: image.offset("max_pfn")?,
            encryption_mask: image.offset("sme_me_mask")?,
            notes: image
                .offset("__start_notes")?
                .zip(image.offset("__stop_notes")?),
        })
    }

    /// The piece of the banner that a probe reads: its distance from `_text`, and the bytes that must be there.
    pub(super) fn probe(&self) -> (u64, &[u8]) {
        banner_piece(self.banner, &self.banner_text)
    }

    /// Where an image symbol is when `_text` is at `image`.
    pub(super) fn range(&self, image: PhysAddr, offset: u64, length: u64) -> Option<PhysRange> {
        PhysRange::of_length(image.checked_add(offset)?, length)
    }

    /// The virtual address of a distance, moved by KASLR.
    pub(super) fn virtual_address(&self, offset: u64, slide: u64) -> VirtAddr {
        VirtAddr::new(self.text.wrapping_add(offset).wrapping_add(slide))
    }

    /// The physical address for which the image is linked; the kernel is not loaded below it.
    pub(super) fn linked_physical(&self) -> u64 {
        self.text.saturating_sub(START_KERNEL_MAP)
    }
}

/// The piece of a banner that a probe reads, of a banner at a distance from the image's first byte: the piece's distance, and the
/// bytes that must be there. It does not cross a 4 KiB boundary, so that a candidate costs one read; where the banner does, the
/// longer side counts.
pub(super) fn banner_piece(banner: u64, text: &str) -> (u64, &[u8]) {
    let text = text.as_bytes();
    let to_boundary = usize::try_from(PAGE_SIZE - banner % PAGE_SIZE).unwrap_or(0);
    let (before, after) = text.split_at_checked(to_boundary).unwrap_or((text, &[]));
    let enough = before.len() >= PROBE_LENGTH || before.len() >= after.len();
    let (offset, piece) = if enough {
        (banner, before)
    } else {
        (banner.saturating_add(before.len() as u64), after)
    };
    (offset, piece.get(..PROBE_LENGTH).unwrap_or(piece))
}

/// The extent of the image, to judge symbols by.
struct Image<'p> {
    profile: &'p LayoutProfile,
    text: u64,
    length: u64,
}

impl<'p> Image<'p> {
    fn new(profile: &'p LayoutProfile) -> Result<Self, LocateError> {
        let address = |symbol: &'static str| -> Result<u64, LocateError> {
            let found = profile.symbol(symbol)?;
            Ok(found.ok_or(LocateError::MissingSymbol { symbol })?.address)
        };
        let text = match profile.header().constants.text_link_address {
            Some(text) => text,
            None => address("_text")?,
        };
        let end = address("_end")?;
        match end.checked_sub(text) {
            Some(length) if length <= MAX_IMAGE && text >= START_KERNEL_MAP => Ok(Self {
                profile,
                text,
                length,
            }),
            _ => Err(LocateError::ImpossibleImage { text, end }),
        }
    }

    fn offset(&self, symbol: &'static str) -> Result<Option<u64>, LocateError> {
        let Some(found) = self.profile.symbol(symbol)? else {
            return Ok(None);
        };
        let offset = found.address.checked_sub(self.text);
        let inside = offset.filter(|&offset| offset < self.length);
        inside.map(Some).ok_or(LocateError::SymbolOutsideImage {
            symbol,
            address: found.address,
            text: self.text,
            end: self.text + self.length,
        })
    }

    fn required(&self, symbol: &'static str) -> Result<u64, LocateError> {
        self.offset(symbol)?
            .ok_or(LocateError::MissingSymbol { symbol })
    }

    fn present(&self, symbols: &[&'static str]) -> Result<Vec<u64>, LocateError> {
        let offsets = symbols.iter().map(|symbol| self.offset(symbol));
        offsets.filter_map(Result::transpose).collect()
    }

    fn first_of(&self, symbols: &[&'static str]) -> Result<u64, LocateError> {
        let found = self.present(symbols)?.first().copied();
        found.ok_or(LocateError::MissingSymbol {
            symbol: symbols.first().copied().unwrap_or(""),
        })
    }

    fn level_flag(&self) -> Result<Option<LevelFlag>, LocateError> {
        for &(symbol, five) in LEVEL_FLAGS {
            if let Some(offset) = self.offset(symbol)? {
                return Ok(Some(LevelFlag { offset, five }));
            }
        }
        Ok(None)
    }
}

fn comm_offset(profile: &LayoutProfile) -> Result<u64, LocateError> {
    let missing = LocateError::MissingMember {
        structure: "task_struct",
        member: "comm",
    };
    let Some(task) = profile.structure("task_struct")? else {
        return Err(missing);
    };
    task.member("comm")
        .map(|member| member.offset)
        .ok_or(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locate::fake;

    #[test]
    fn a_probe_never_crosses_a_page() {
        let Ok(mut marks) = Landmarks::new(&fake::profile()) else {
            panic!("no landmarks");
        };
        let text = marks.banner_text.clone();
        let length = text.len() as u64;
        for distance in 0..=4096 {
            marks.banner = 0x30_0000 - distance;
            let (offset, piece) = marks.probe();
            let last = offset + piece.len() as u64 - 1;
            assert_eq!(offset / PAGE_SIZE, last / PAGE_SIZE, "{offset:#x}");
            assert!(
                piece.len() <= PROBE_LENGTH && piece.len() as u64 >= length.div_ceil(2).min(64)
            );
            let start = (offset - marks.banner) as usize;
            assert_eq!(&text.as_bytes()[start..start + piece.len()], piece);
        }
    }
}
