//! A candidate image → a kernel, if independent facts agree that it is the one that runs.

use crate::addr::{PhysAddr, PhysRange, VirtAddr};
use crate::memory::ReadFailure;
use crate::paging::{AddressSpace, Format, LinearMap, X86_64_4_LEVEL, X86_64_5_LEVEL};

use super::candidates::ALIGNMENT;
use super::landmarks::{FiveWhen, Landmarks};
use super::reader::Reader;
use super::tables::{self, Regions};
use super::{Check, CheckOutcome, Kernel, Rejection, banner, notes};

/// Bytes of virtual addresses among which KASLR places the image (`KERNEL_IMAGE_SIZE` with `CONFIG_RANDOMIZE_BASE`).
const SLIDE_WINDOW: u64 = 1 << 30;
/// Bytes of `task_struct.comm` (`TASK_COMM_LEN`).
const COMM_LENGTH: u64 = 16;
/// What the first task is called on machines with several processors, and with one.
const IDLE_TASKS: &[&[u8]] = &[b"swapper/0", b"swapper"];
/// Longest notes section that is read.
const MAX_NOTES: u64 = 4096;
/// Bytes of a page table.
const TABLE: u64 = 4096;
/// Entries of an upper static table that a walk to the image can use: the last ones.
const TABLE_END: u64 = 64;

/// One candidate being judged.
pub(super) struct Verifier<'a, 'm> {
    pub(super) reader: &'a mut Reader<'m>,
    pub(super) landmarks: &'a Landmarks,
    pub(super) image: PhysAddr,
    checks: Vec<Check>,
    /// The whole banner found, where it is another kernel's.
    other_banner: Option<String>,
}

/// A check that failed; the evidence is the last of the checks.
struct Failed;

impl<'a, 'm> Verifier<'a, 'm> {
    pub(super) fn new(reader: &'a mut Reader<'m>, landmarks: &'a Landmarks, at: PhysAddr) -> Self {
        Self {
            reader,
            landmarks,
            image: at,
            checks: Vec::new(),
            other_banner: None,
        }
    }

    /// The kernel at the candidate, or why it is none. Costs one round for all facts, then as many as the page tables need.
    pub(super) fn verify(mut self, ram: &[PhysRange]) -> Result<Kernel, Rejection> {
        self.reader.forget();
        self.reader.fetch(self.wanted());
        self.judge(ram).map_err(|Failed| {
            let failed = self.checks.pop();
            Rejection {
                at: self.image,
                check: failed.as_ref().map_or("image", |check| check.name),
                detail: failed.map(|check| check.detail).unwrap_or_default(),
                other_banner: self.other_banner.take(),
            }
        })
    }

    /// Everything that can be read at once: facts, and the page tables that the walks will probably go through.
    fn wanted(&self) -> Vec<PhysRange> {
        let marks = self.landmarks;
        let banner = marks.banner_text.len() as u64 + 2;
        let notes = marks.notes.map_or((0, 0), |(start, stop)| {
            (start, stop.saturating_sub(start).min(MAX_NOTES))
        });
        let optional = [
            marks.page_offset_base,
            marks.vmalloc_base,
            marks.vmemmap_base,
            marks.level_flag.map(|flag| flag.offset),
            marks.max_pfn,
            marks.encryption_mask,
        ];
        let (last, upper) = marks.static_tables.split_last().unzip();
        let upper = upper.unwrap_or(&[]).iter();
        [
            (marks.banner, banner),
            (marks.phys_base, 8),
            (marks.comm, COMM_LENGTH),
            notes,
            (marks.top_table, TABLE),
        ]
        .into_iter()
        .chain(optional.into_iter().flatten().map(|offset| (offset, 8)))
        .chain(upper.map(|table| (table + TABLE - TABLE_END, TABLE_END)))
        .chain(last.map(|&table| (table, TABLE)))
        .filter_map(|(offset, length)| marks.range(self.image, offset, length))
        .collect()
    }

    fn judge(&mut self, ram: &[PhysRange]) -> Result<Kernel, Failed> {
        self.check_banner()?;
        self.check_comm()?;
        let build_id = self.check_build_id()?;
        let phys_base = self.fact("phys_base", self.landmarks.phys_base)?;
        let slide = self.check_slide(phys_base)?;
        let encryption_mask = self.encryption_mask();
        let found = tables::find(self, &self.formats(), slide, encryption_mask);
        let spaces = self.conclude(found)?;
        let regions = self.regions(&spaces);
        let direct_map = LinearMap {
            virtual_start: regions.page_offset_base,
            length: self.direct_map_length(ram, spaces.format),
            physical_start: PhysAddr::new(0),
            name: "direct map",
        };
        let image_map = LinearMap {
            virtual_start: self.landmarks.virtual_address(0, slide),
            length: self.landmarks.length,
            physical_start: self.image,
            name: "kernel image",
        };
        let space = AddressSpace::new(spaces.format, self.address(self.landmarks.top_table))
            .with_encryption_mask(encryption_mask)
            .with_linear(image_map)
            .with_linear(direct_map);
        Ok(Kernel {
            image_physical: self.image,
            phys_base,
            virtual_slide: slide,
            page_offset_base: regions.page_offset_base,
            vmemmap_base: regions.vmemmap_base,
            vmalloc_base: regions.vmalloc_base,
            levels: u8::try_from(spaces.format.levels.len()).unwrap_or(u8::MAX),
            space,
            banner: self.landmarks.banner_text.clone(),
            build_id,
            ram: ram.to_vec(),
            checks: std::mem::take(&mut self.checks),
            rejections: Vec::new(),
            cost: self.reader.cost,
        })
    }

    fn check_banner(&mut self) -> Result<(), Failed> {
        let expected = self.landmarks.banner_text.as_str();
        let length = expected.len() as u64 + 2;
        let bytes = self.bytes("banner", self.landmarks.banner, length)?;
        let same = bytes.strip_prefix(expected.as_bytes());
        let whole = same.is_some_and(|rest| rest.starts_with(b"\n\0") || rest.starts_with(b"\0"));
        let detail = if whole {
            expected.to_owned()
        } else {
            let other = self.whole_banner();
            let shown = other.clone().unwrap_or_else(|| escaped(&bytes));
            self.other_banner = other;
            format!("expected `{expected}`, found `{shown}`")
        };
        self.check("banner", whole, detail)
    }

    /// The banner at the candidate, whatever its length.
    fn whole_banner(&mut self) -> Option<String> {
        let range = self
            .landmarks
            .range(self.image, self.landmarks.banner, 512)?;
        self.reader.fetch([range]);
        banner::parse(&self.reader.bytes(range).ok()?)
    }

    fn check_comm(&mut self) -> Result<(), Failed> {
        let bytes = self.bytes("init_task.comm", self.landmarks.comm, COMM_LENGTH)?;
        let comm = bytes.split(|&byte| byte == 0).next().unwrap_or(&[]);
        let idle = IDLE_TASKS.contains(&comm);
        let detail = match idle {
            true => escaped(comm),
            false => format!(
                "expected `swapper/0` or `swapper`, found `{}`",
                escaped(comm)
            ),
        };
        self.check("init_task.comm", idle, detail)
    }

    /// The build ID in the image. Equality is only asked for where both sides have one: notes may be missing from a profile.
    fn check_build_id(&mut self) -> Result<Option<String>, Failed> {
        const NAME: &str = "build ID";
        let range = self.landmarks.notes.and_then(|(start, stop)| {
            let length = stop.saturating_sub(start).min(MAX_NOTES);
            self.landmarks.range(self.image, start, length)
        });
        let found = range
            .and_then(|range| self.reader.bytes(range).ok())
            .and_then(|bytes| notes::build_id(&bytes));
        match (&self.landmarks.build_id, &found) {
            (Some(expected), Some(found)) => {
                let same = expected == found;
                let detail = match same {
                    true => found.clone(),
                    false => format!("expected {expected}, found {found}"),
                };
                self.check(NAME, same, detail)?;
            }
            (None, _) => self.skip(NAME, "the profile has none"),
            (_, None) => self.skip(NAME, "none could be read from the image"),
        }
        Ok(found)
    }

    /// How far KASLR moved the image's virtual addresses (arch/x86/kernel/head64.c: `phys_base` is the difference between where the
    /// image is and where its virtual addresses, less `__START_KERNEL_map`, say).
    fn check_slide(&mut self, phys_base: u64) -> Result<u64, Failed> {
        let slide = self
            .image
            .get()
            .wrapping_sub(phys_base)
            .wrapping_sub(self.landmarks.linked_physical());
        let possible = slide < SLIDE_WINDOW && slide.is_multiple_of(ALIGNMENT);
        let detail = match possible {
            true => format!("{slide:#x}"),
            false => {
                let sign = if slide.cast_signed() < 0 { "-" } else { "" };
                let moved = slide.cast_signed().unsigned_abs();
                format!(
                    "phys_base {phys_base:#x} does not belong to an image at {}: it would be moved by {sign}{moved:#x}",
                    self.image
                )
            }
        };
        self.check("virtual slide", possible, detail)?;
        Ok(slide)
    }

    /// The formats that the kernel may use: the one that it says, or both where it does not say.
    fn formats(&self) -> Vec<&'static Format> {
        let five = self.landmarks.level_flag.and_then(|flag| {
            let value = self.reader.u32(self.address(flag.offset)).ok()?;
            Some(match flag.five {
                FiveWhen::NotZero => value != 0,
                FiveWhen::Equals(five) => value == five,
            })
        });
        match five {
            Some(true) => vec![&X86_64_5_LEVEL],
            Some(false) => vec![&X86_64_4_LEVEL],
            None => vec![&X86_64_4_LEVEL, &X86_64_5_LEVEL],
        }
    }

    /// The bit that marks encrypted pages in page-table entries, where the kernel uses one and it is a possible one.
    fn encryption_mask(&self) -> u64 {
        let mask = self.optional(self.landmarks.encryption_mask);
        mask.filter(|mask| mask.is_power_of_two() && (1 << 32..1 << 52).contains(mask))
            .unwrap_or(0)
    }

    /// Turns the outcome of the page-table walks into checks.
    fn conclude(&mut self, found: tables::Found) -> Result<tables::Mapped, Failed> {
        self.check("tables map the image", found.image.0, found.image.1)?;
        self.check("tables map the direct map", found.direct.0, found.direct.1)?;
        found.mapped.ok_or(Failed)
    }

    /// Where the kernel's regions begin: variables of the kernel, or the constants of kernels without them.
    fn regions(&self, mapped: &tables::Mapped) -> Regions {
        let constant = tables::regions(mapped.format);
        let variable = |offset, constant| self.optional(offset).map_or(constant, VirtAddr::new);
        Regions {
            page_offset_base: mapped.page_offset_base,
            vmalloc_base: variable(self.landmarks.vmalloc_base, constant.vmalloc_base),
            vmemmap_base: variable(self.landmarks.vmemmap_base, constant.vmemmap_base),
        }
    }

    /// Bytes of the direct map: to the end of memory as the kernel knows it (`max_pfn`), else as the RAM map has it, never past what
    /// the format leaves room for. Holes are inside; the map says where a byte would be, not whether there is one.
    fn direct_map_length(&self, ram: &[PhysRange], format: &'static Format) -> u64 {
        let most = tables::direct_map_limit(format);
        let pages = self.optional(self.landmarks.max_pfn);
        let known = pages
            .and_then(|pages| pages.checked_mul(crate::addr::PAGE_SIZE))
            .filter(|&length| length > self.image.get() && length <= most);
        let ram_end = ram.iter().map(|range| range.end.get()).max();
        known.or(ram_end).unwrap_or(most).min(most)
    }

    /// Where a distance from `_text` is.
    pub(super) fn address(&self, offset: u64) -> PhysAddr {
        PhysAddr::new(self.image.get().saturating_add(offset))
    }

    /// A variable that kernels need not have, or that need not be readable.
    pub(super) fn optional(&self, offset: Option<u64>) -> Option<u64> {
        self.reader.u64(self.address(offset?)).ok()
    }

    fn fact(&mut self, name: &'static str, offset: u64) -> Result<u64, Failed> {
        let outcome = self.reader.u64(self.address(offset));
        self.readable(name, offset, outcome)
    }

    fn bytes(&mut self, name: &'static str, offset: u64, length: u64) -> Result<Vec<u8>, Failed> {
        let range = self.landmarks.range(self.image, offset, length);
        let outcome = range.map_or(Err(ReadFailure::NotIssued), |range| {
            self.reader.bytes(range)
        });
        self.readable(name, offset, outcome)
    }

    fn readable<T>(
        &mut self,
        name: &'static str,
        offset: u64,
        outcome: Result<T, ReadFailure>,
    ) -> Result<T, Failed> {
        outcome.map_err(|failure| {
            let detail = format!("cannot be read at {}: {failure}", self.address(offset));
            self.record(name, CheckOutcome::Failed, detail);
            Failed
        })
    }

    fn check(&mut self, name: &'static str, passed: bool, detail: String) -> Result<(), Failed> {
        let outcome = match passed {
            true => CheckOutcome::Passed,
            false => CheckOutcome::Failed,
        };
        self.record(name, outcome, detail);
        passed.then_some(()).ok_or(Failed)
    }

    fn skip(&mut self, name: &'static str, why: &str) {
        self.record(name, CheckOutcome::Skipped, why.to_owned());
    }

    fn record(&mut self, name: &'static str, outcome: CheckOutcome, detail: String) {
        self.checks.push(Check {
            name,
            outcome,
            detail,
        });
    }
}

/// Bytes from memory as text that a terminal can be shown.
fn escaped(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
