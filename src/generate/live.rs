//! A kernel image in a target's memory → its profile, with nothing known of it before.
//!
//! This room reads no memory itself: whoever does hands over the bytes around the banner, as far as they are known, and asks whether
//! they are enough. Constants lie together in an image: banner, table of symbols, notes and BTF follow each other within some 16 MiB.

use std::path::Path;

use crate::profile::Architecture;

use super::Options;
use super::error::GenerateError;
use super::from_btf::from_image;
use super::image::{Image, banner_offset};
use super::write::ProfileText;

/// The bytes of an image from a page at or before its banner on.
#[derive(Debug)]
pub struct LiveImage<'a> {
    /// What errors call the target.
    pub name: &'a str,
    /// The bytes, in the order of physical addresses.
    pub bytes: &'a [u8],
}

/// What was made of an image in memory.
#[derive(Debug)]
pub struct LiveProfile {
    /// The profile; its addresses are those that the kernel was linked at.
    pub text: ProfileText,
    /// The kernel's banner, without its newline.
    pub banner: String,
    /// Its build ID, lower-case hexadecimal.
    pub build_id: Option<String>,
    /// Bytes from the first byte that was handed over to the first of the image; mostly negative.
    pub image: i64,
}

impl LiveImage<'_> {
    /// Whether the bytes hold a kernel's banner: with it, they hold the other constants that lie behind.
    pub fn has_banner(&self) -> bool {
        banner_offset(self.bytes).is_some()
    }

    /// Makes the profile.
    pub fn profile(&self, options: &Options) -> Result<LiveProfile, GenerateError> {
        let path = Path::new(self.name);
        let image = Image::of_memory(path, Architecture::X86_64, self.bytes);
        let symbols = image.symbols()?;
        let banner = symbols.banner.trim_end().to_owned();
        let build_id = symbols.build_id.clone();
        let start = symbols.text.cast_signed();
        Ok(LiveProfile {
            text: from_image(&image, symbols, options)?,
            banner,
            build_id,
            image: start,
        })
    }
}
