//! A kernel image in a target's memory → its profile, with nothing known of it before.
//!
//! This room reads no memory itself: whoever does hands over the bytes around the banner, as far as they are known, and asks whether
//! they are enough. Constants lie together in an image: banner, table of symbols, notes and BTF follow each other within some 16 MiB.

use std::path::Path;

use crate::profile::Architecture;

use super::Options;
use super::error::GenerateError;
use super::from_btf::from_image;
use super::image::{Image, banner_in, banner_offset};
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
    /// The kernel's banner, without its newline, if the bytes hold it: with it, they hold the other constants that lie behind.
    pub fn banner(&self) -> Option<String> {
        let text = banner_in(self.bytes.get(banner_offset(self.bytes)?..)?)?;
        Some(text.trim_end().to_owned())
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

#[cfg(test)]
mod tests {
    use super::super::btf::tests::small_bytes;
    use super::super::kallsyms::tests::{ADDRESS, FORMS, Form, image};
    use super::*;

    const BANNER: &[u8] = b"Linux version 6.1.0 (someone@somewhere) (gcc) #7 SMP\n\0";
    /// What the linker left of a weak banner.
    const WEAK: &[u8] = b"Linux version 6.1.0 (someone@somewhere) (gcc) # SMP\n\0";
    /// Functions that fill the table.
    const FILLER: u64 = 600;

    /// A kernel in memory, moved by KASLR: tables, banners, notes, BTF.
    fn kernel(form: Form, variables: bool) -> Vec<u8> {
        let list = |banner: u64| {
            let mut symbols = vec![
                ("T_text".to_owned(), ADDRESS),
                ("Tstartup_64".to_owned(), ADDRESS),
            ];
            symbols.extend(
                (1..FILLER).map(|number| (format!("tfiller_{number}"), ADDRESS + number * 8 + 1)),
            );
            if variables {
                symbols.push(("Dlinux_banner".to_owned(), ADDRESS + banner));
                let notes = banner + BANNER.len() as u64;
                symbols.push(("R__start_notes".to_owned(), ADDRESS + notes));
                symbols.push(("R__stop_notes".to_owned(), ADDRESS + notes + 36));
            }
            symbols
        };
        let at = image(form, &list(1 << 20)).len() + WEAK.len();
        let mut bytes = image(form, &list(at as u64));
        bytes.extend_from_slice(WEAK);
        bytes.extend_from_slice(BANNER);
        for word in [4_u32, 20, 3] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(b"GNU\0");
        bytes.extend(0x10..0x24_u8);
        bytes.extend_from_slice(&small_bytes());
        bytes.extend_from_slice(&[0; 64]);
        bytes
    }

    fn profile(bytes: &[u8]) -> Result<LiveProfile, GenerateError> {
        let name = "test";
        LiveImage { name, bytes }.profile(&Options::default())
    }

    #[test]
    fn a_kernel_in_memory_tells_all_of_itself() {
        for form in FORMS {
            let made =
                profile(&kernel(form, true)).unwrap_or_else(|error| panic!("{form:?}: {error}"));
            assert_eq!(
                made.banner,
                "Linux version 6.1.0 (someone@somewhere) (gcc) #7 SMP"
            );
            assert_eq!(
                made.build_id.as_deref(),
                Some("101112131415161718191a1b1c1d1e1f20212223")
            );
            assert_eq!(made.image, 0, "{form:?}");
            let text = made.text.to_text();
            for line in [
                "made_from: btf",
                "  text_link_address: 0xffffffff81000000",
                "  text_physical_address: 0x1000000",
                "  _text: 0xffffffff81000000 text 0",
                "  filler_2: 0xffffffff81000011 text 0",
                "struct task:",
            ] {
                assert!(
                    text.lines().any(|found| found == line),
                    "{form:?}: no {line}"
                );
            }
        }
    }

    #[test]
    fn bytes_before_the_image_do_not_matter() {
        let mut bytes = vec![0x90; 8192];
        bytes.extend(kernel(FORMS[5], true));
        assert_eq!(profile(&bytes).expect("a kernel").image, 8192);
    }

    #[test]
    fn what_is_missing_is_said_with_what_to_give() {
        let error = profile(&kernel(FORMS[4], false)).expect_err("functions only");
        assert!(matches!(
            error,
            GenerateError::FunctionsOnly {
                symbol: "linux_banner",
                ..
            }
        ));
        assert!(error.hints()[0].contains("--system-map"));
        let mut no_types = kernel(FORMS[4], true);
        let end = no_types.len() - small_bytes().len() - 64;
        no_types.truncate(end);
        let error = profile(&no_types).expect_err("no BTF");
        assert!(matches!(error, GenerateError::NoBtf { .. }));
        assert!(error.hints()[0].contains("CONFIG_DEBUG_INFO_BTF"));
        let error = profile(&[0; 4096]).expect_err("nothing");
        assert!(matches!(error, GenerateError::NoKallsyms { .. }));
    }

    #[test]
    fn damaged_images_never_do_worse_than_an_error() {
        let mut random = fastrand::Rng::with_seed(5);
        let whole = kernel(FORMS[5], true);
        for _ in 0..300 {
            let mut flipped = whole.clone();
            for _ in 0..random.usize(1..10) {
                let at = random.usize(4096..flipped.len());
                flipped[at] = random.u8(..);
            }
            let _ = profile(&flipped);
        }
        for length in (0..whole.len()).step_by(101) {
            let _ = profile(&whole[..length]);
        }
    }
}
