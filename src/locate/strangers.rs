//! No kernel that fits the profile: what is there instead.

use crate::addr::{PhysAddr, PhysRange};
use crate::memory::{PhysicalMemory, read_batch};

use super::banner::{self, BannerScan, FoundBanner};
use super::candidates::Candidates;
use super::landmarks::Landmarks;
use super::search::Tally;
use super::{LocateError, Rejection};

/// An image of another architecture begins with a header that says so.
struct ImageHeader {
    architecture: &'static str,
    /// Bytes from the image's first.
    offset: u64,
    magic: &'static [u8],
}

/// Headers by architecture: Documentation/arch/arm64/booting.rst, Documentation/arch/riscv/boot-image-header.rst.
const IMAGE_HEADERS: &[ImageHeader] = &[
    ImageHeader {
        architecture: "aarch64",
        offset: 0x38,
        magic: b"ARM\x64",
    },
    ImageHeader {
        architecture: "riscv64",
        offset: 0x38,
        magic: b"RSC\x05",
    },
];
/// Bytes of an image that hold the magics.
const HEADER_LENGTH: u64 = 64;

/// What is needed to find out.
pub(super) struct Inquiry<'a> {
    pub(super) memory: &'a mut dyn PhysicalMemory,
    pub(super) landmarks: &'a Landmarks,
    pub(super) tally: &'a Tally,
    /// Where memory is known to be readable.
    pub(super) ranges: &'a [PhysRange],
    /// Bytes that may be read.
    pub(super) budget: u64,
}

impl Inquiry<'_> {
    /// The error that says most about what is there. `rejections` are the places that had the profile's banner.
    pub(super) fn explain(mut self, mut rejections: Vec<Rejection>) -> LocateError {
        let tally = self.tally;
        if tally.probes == 0 {
            return LocateError::NoCandidates;
        }
        if tally.unanswered() {
            return LocateError::NoAnswer {
                probes: tally.probes,
            };
        }
        if tally.readable.is_empty() {
            return LocateError::NothingReadable {
                probes: tally.probes,
                failures: list(tally),
            };
        }
        let all_others = rejections.iter_mut().map(|rejection| {
            rejection
                .other_banner
                .take()
                .map(|text| (rejection.at, text))
        });
        match all_others.collect::<Option<Vec<_>>>() {
            // Every place with the beginning of the banner has another one in the end: another build of the same release.
            Some(others) => match others.into_iter().next() {
                Some((image, text)) => {
                    let at = PhysAddr::new(image.get().saturating_add(self.landmarks.banner));
                    self.another(FoundBanner { address: at, text })
                }
                None => self.search(),
            },
            None => LocateError::NotVerified { rejections },
        }
    }

    /// Looks for any kernel: where another build of the same release would have its banner, then everywhere.
    fn search(&mut self) -> LocateError {
        if let Some(found) = self.banner_at_strangers() {
            return self.another(found);
        }
        let foreign = self.foreign_image();
        let mut scan = BannerScan::new(self.ranges);
        let found = scan.next(self.memory, self.budget);
        match (foreign, found) {
            (Some((architecture, at)), found) => LocateError::AnotherArchitecture {
                found: architecture,
                at,
                banner: found.map(|found| found.text),
            },
            (None, Some(found)) if found.text == self.landmarks.banner_text => {
                LocateError::NotVerified {
                    rejections: vec![misplaced(&found)],
                }
            }
            (None, Some(found)) => self.another(found),
            (None, None) => LocateError::NotFound {
                probes: self.tally.probes,
                readable: self.tally.readable.len() as u64,
                scanned: scan.scanned(),
                complete: scan.is_finished(),
            },
        }
    }

    fn another(&self, found: FoundBanner) -> LocateError {
        LocateError::AnotherKernel {
            expected: self.landmarks.banner_text.clone(),
            found: found.text,
            at: found.address,
        }
    }

    fn banner_at_strangers(&mut self) -> Option<FoundBanner> {
        let marks = self.landmarks;
        let strangers = self.tally.strangers.iter();
        let ranges: Vec<PhysRange> = strangers
            .filter_map(|&image| marks.range(image, marks.banner, 512))
            .collect();
        let outcomes = read_batch(self.memory, &ranges);
        ranges.iter().zip(outcomes).find_map(|(range, outcome)| {
            Some(FoundBanner {
                address: range.start,
                text: banner::parse(&outcome.ok()?)?,
            })
        })
    }

    /// A 2 MiB-aligned image header of another architecture: one short read for each candidate.
    fn foreign_image(&mut self) -> Option<(&'static str, PhysAddr)> {
        let ranges: Vec<PhysRange> = Candidates::new(self.ranges.to_vec(), HEADER_LENGTH)
            .filter_map(|candidate| PhysRange::of_length(candidate, HEADER_LENGTH))
            .collect();
        let outcomes = read_batch(self.memory, &ranges);
        ranges.iter().zip(outcomes).find_map(|(range, outcome)| {
            let bytes = outcome.ok()?;
            let header = IMAGE_HEADERS.iter().find(|header| {
                let at = usize::try_from(header.offset).ok();
                at.and_then(|at| bytes.get(at..))
                    .is_some_and(|bytes| bytes.starts_with(header.magic))
            })?;
            Some((header.architecture, range.start))
        })
    }
}

/// The profile's banner at a place where no image can be: a copy, or an image whose parts are not where they belong.
fn misplaced(found: &FoundBanner) -> Rejection {
    Rejection {
        at: found.address,
        check: "banner",
        detail:
            "it is here, but not where it would be in an image that begins at a multiple of 2 MiB"
                .to_owned(),
        other_banner: None,
    }
}

/// Failed probes by reason, in words.
pub(super) fn list(tally: &Tally) -> String {
    let failures = tally.failures.iter();
    let texts: Vec<String> = failures
        .map(|(failure, count)| format!("{count} x {failure}"))
        .collect();
    texts.join(", ")
}
