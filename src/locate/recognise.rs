//! Several kernels that a memory may hold → the one that it does: a single sweep over the candidates, with a probe for each kernel.
//!
//! A probe is one read of the banner's first bytes, where that kernel would have it. Where one hits, the caller judges with the whole
//! profile ([`super::locate_at`]); the sweep goes on when the judge says no. Where nothing is recognised, the reads that were made
//! anyway tell what is there.

use crate::addr::{PhysAddr, PhysRange};
use crate::memory::{PhysicalMemory, read_batch};

use super::banner::{self, BannerScan, FoundBanner};
use super::candidates;
use super::landmarks::{MAX_IMAGE, START_KERNEL_MAP, banner_piece};
use super::reader::{Cost, Reader};
use super::search::{Probe, Search, Tally};
use super::strangers;
use super::{LocateError, LocateOptions};

/// Longest banner that is read to say which kernel is there.
const MAX_BANNER: u64 = 512;

/// What the beginning of a profile tells of a kernel: enough to know where its banner would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// `linux_banner`, without its final newline.
    pub banner: String,
    /// Link address of `linux_banner`.
    pub banner_address: u64,
    /// Link address of `_text`.
    pub text_address: u64,
}

impl Suspect {
    /// Distance of the banner from the image's first byte; `None` for what is no kernel that Linux could map, or no banner.
    fn banner_offset(&self) -> Option<u64> {
        let offset = self.banner_address.checked_sub(self.text_address)?;
        let possible = offset < MAX_IMAGE && self.text_address >= START_KERNEL_MAP;
        (possible && banner::is_banner(&self.banner)).then_some(offset)
    }
}

/// Why none of the suspects was recognised.
#[derive(Debug)]
pub struct Unrecognised {
    /// A banner that is there, if one was seen: that of the running kernel, most likely.
    pub banner: Option<FoundBanner>,
    /// What stands in the way.
    pub error: LocateError,
    /// What looking cost.
    pub cost: Cost,
}

/// Finds which of the suspects is in memory. `judge` is asked about each place that has a suspect's banner, with the suspect's number and
/// the address of the image's first byte, and ends the sweep by giving something. The memory must have no reads in flight.
///
/// Rounds and probes are those of [`super::locate`], with a probe for each suspect (for those that share one, together) at a candidate.
/// Only where nothing is recognised, at most [`LocateOptions::scan_budget`] bytes are searched for a banner.
pub fn recognise<T>(
    memory: &mut dyn PhysicalMemory,
    options: &LocateOptions,
    suspects: &[Suspect],
    judge: &mut dyn FnMut(&mut dyn PhysicalMemory, usize, PhysAddr) -> Option<T>,
) -> Result<(T, Cost), Unrecognised> {
    let ram = options.ram.clone().or_else(|| memory.ram());
    let groups = groups(suspects);
    let probes = groups.iter().map(|(probe, _)| *probe).collect();
    let lowest = lowest(suspects);
    let mut search = Search::for_any(candidates::stages(ram.as_deref(), lowest), probes);
    let mut reader = Reader::new(memory);
    while let Some(hit) = search.next_hit(&mut reader) {
        let numbers = groups
            .get(hit.probe)
            .map_or(&[][..], |(_, numbers)| numbers);
        for &number in numbers {
            if let Some(found) = judge(reader.memory(), number, hit.image) {
                return Ok((found, reader.cost));
            }
        }
    }
    let scan = ram.unwrap_or_else(|| search.readable_blocks());
    let cost = reader.cost;
    Err(explain(
        reader.memory(),
        &search.tally,
        &scan,
        options.scan_budget,
        cost,
    ))
}

/// Suspects by the probe that tells them: builds of one release may share theirs. Without any suspect there is one probe for any banner
/// at an image's first byte, where none is: it tells whether memory can be read at all.
fn groups(suspects: &[Suspect]) -> Vec<(Probe<'_>, Vec<usize>)> {
    let mut groups: Vec<(Probe<'_>, Vec<usize>)> = Vec::new();
    for (number, suspect) in suspects.iter().enumerate() {
        let Some(offset) = suspect.banner_offset() else {
            continue;
        };
        let (offset, expected) = banner_piece(offset, &suspect.banner);
        let probe = Probe { offset, expected };
        match groups.iter_mut().find(|(known, _)| *known == probe) {
            Some((_, numbers)) => numbers.push(number),
            None => groups.push((probe, vec![number])),
        }
    }
    if groups.is_empty() {
        let probe = Probe {
            offset: 0,
            expected: banner::PREFIX,
        };
        groups.push((probe, Vec::new()));
    }
    groups.truncate(usize::try_from(candidates::ALIGNMENT).unwrap_or(usize::MAX));
    groups
}

/// The lowest address that any of the suspects is linked for; the kernel is not loaded below it.
fn lowest(suspects: &[Suspect]) -> u64 {
    let linked = suspects
        .iter()
        .filter_map(|suspect| suspect.text_address.checked_sub(START_KERNEL_MAP));
    linked.min().unwrap_or(candidates::ALIGNMENT)
}

/// What is there instead.
fn explain(
    memory: &mut dyn PhysicalMemory,
    tally: &Tally,
    ranges: &[PhysRange],
    budget: u64,
    cost: Cost,
) -> Unrecognised {
    let without_banner = |error| Unrecognised {
        banner: None,
        error,
        cost,
    };
    if tally.probes == 0 {
        return without_banner(LocateError::NoCandidates);
    }
    if tally.unanswered() {
        return without_banner(LocateError::NoAnswer {
            probes: tally.probes,
        });
    }
    if tally.readable.is_empty() {
        return without_banner(LocateError::NothingReadable {
            probes: tally.probes,
            failures: strangers::list(tally),
        });
    }
    let mut scan = BannerScan::new(ranges);
    let strange = strange_banner(memory, tally);
    let banner = strange.or_else(|| scan.next(memory, budget));
    let error = LocateError::NotFound {
        probes: tally.probes,
        readable: tally.readable.len() as u64,
        scanned: scan.scanned(),
        complete: scan.is_finished(),
    };
    Unrecognised {
        banner,
        error,
        cost,
    }
}

/// The banner of another build, where a suspect would have had its own.
fn strange_banner(memory: &mut dyn PhysicalMemory, tally: &Tally) -> Option<FoundBanner> {
    let places = tally.strange_banners.iter();
    let ranges: Vec<PhysRange> = places
        .filter_map(|&at| PhysRange::of_length(at, MAX_BANNER))
        .collect();
    let outcomes = read_batch(memory, &ranges);
    ranges.iter().zip(outcomes).find_map(|(range, outcome)| {
        Some(FoundBanner {
            address: range.start,
            text: banner::parse(&outcome.ok()?)?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locate::fake::{self, BANNER, Fake, Machine, TEXT, VERSION, range};
    use crate::locate::{Kernel, locate_at};

    const GIB: u64 = 1 << 30;

    /// The kernel, the number of its suspect, the cost; or why there is none.
    type Answer = Result<(Kernel, usize, Cost), Unrecognised>;

    fn suspect(banner: &str, offset: u64) -> Suspect {
        Suspect {
            banner: banner.to_owned(),
            banner_address: TEXT.wrapping_add(offset),
            text_address: TEXT,
        }
    }

    /// Suspects of which only number 2 is right; number 1 has the beginning of its banner at another place.
    fn suspects() -> Vec<Suspect> {
        vec![
            suspect("Linux version 5.10.0 (a@b) (gcc) #1 SMP", 0x1c_0000),
            suspect(VERSION, 0x2f_0000),
            suspect(VERSION, BANNER),
            suspect("Linux version 6.12.0 (a@b) (gcc) #1 SMP", 0x70_0000),
            suspect("no banner", 0x100),
            suspect(VERSION, 1 << 40),
        ]
    }

    fn ask(machine: Machine, suspects: &[Suspect]) -> (Answer, Vec<PhysRange>) {
        let profile = fake::profile();
        let mut memory = machine.memory();
        let options = LocateOptions::default();
        let found = recognise(
            &mut memory,
            &options,
            suspects,
            &mut |memory, number, image| {
                let kernel = locate_at(memory, &profile, &options, image).ok()?;
                Some((kernel, number))
            },
        );
        let found = found.map(|((kernel, number), cost)| (kernel, number, cost));
        let log = memory.source().log.borrow().clone();
        (found, log)
    }

    #[test]
    fn the_right_one_of_several_is_recognised_in_one_sweep() {
        let mut machine = Machine::new(&[(0, 0xa_0000), (1 << 20, GIB)]).telling();
        Fake::at(0x1240_0000).install(&mut machine);
        let (found, log) = ask(machine, &suspects());
        let Ok((kernel, number, cost)) = found else {
            panic!("not recognised: {found:?}");
        };
        assert_eq!((kernel.image_physical.get(), number), (0x1240_0000, 2));
        // Four suspects with a probe, at each candidate up to the image, and what was in flight.
        assert!(
            cost.probes <= (0x1240_0000 / (2 << 20)) * 4 + 600,
            "{cost:?}"
        );
        let outside = log
            .iter()
            .find(|read| !range(1 << 20, GIB).contains_range(read));
        assert_eq!(outside, None);
    }

    #[test]
    fn another_kernel_is_named() {
        for others in [
            vec![],
            vec![suspect(
                "Linux version 5.10.0 (a@b) (gcc) #1 SMP",
                0x1c_0000,
            )],
            // Another build of the same release, with its banner at the same place.
            vec![suspect(
                "Linux version 6.1.0-fake (a@b) (gcc) #2 SMP",
                BANNER,
            )],
        ] {
            let mut machine = Machine::new(&[(1 << 20, GIB)]).telling();
            Fake::at(0x340_0000).install(&mut machine);
            let (found, _) = ask(machine, &others);
            let Err(unrecognised) = found else {
                panic!("recognised");
            };
            let banner = unrecognised.banner.map(|found| found.text);
            assert_eq!(banner.as_deref(), Some(VERSION));
        }
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let silent = |outside| {
            let mut machine = Machine::new(&[]);
            machine.outside = Some(outside);
            let (found, _) = ask(machine, &suspects());
            found.err().map(|unrecognised| unrecognised.error)
        };
        use crate::memory::ReadFailure::{TimedOut, UnsupportedRequest};
        let error = silent(TimedOut);
        assert!(
            matches!(error, Some(LocateError::NoAnswer { .. })),
            "{error:?}"
        );
        let error = silent(UnsupportedRequest);
        assert!(
            matches!(error, Some(LocateError::NothingReadable { .. })),
            "{error:?}"
        );
        let (found, _) = ask(Machine::new(&[(0x20_0000, 0x60_0000)]).telling(), &[]);
        let error = found.err().map(|unrecognised| unrecognised.error);
        assert!(
            matches!(error, Some(LocateError::NotFound { complete: true, .. })),
            "{error:?}"
        );
    }
}
