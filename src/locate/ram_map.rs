//! The target's own map of its RAM, from its tree of resources (what `/proc/iomem` shows).

use std::collections::HashSet;

use crate::addr::{PAGE_SIZE, PhysAddr, PhysRange, VirtAddr};
use crate::memory::{PhysicalMemory, ReadFailure};
use crate::paging::Step;
use crate::profile::LayoutProfile;

use super::candidates::merged;
use super::reader::Reader;
use super::{Kernel, LocateError};

/// More resources than any machine lists.
const MAX_RESOURCES: usize = 65_536;
/// How names of RAM begin: `System RAM`, `System RAM (kmem)`, `System RAM (virtio_mem)`.
const SYSTEM_RAM: &[u8] = b"System RAM";

/// Distances in `struct resource` (include/linux/ioport.h).
struct Layout {
    start: u64,
    end: u64,
    name: u64,
    sibling: u64,
    child: u64,
    size: u64,
}

impl Layout {
    fn new(profile: &LayoutProfile) -> Result<Self, LocateError> {
        let structure = "resource";
        let resource = profile.structure(structure)?;
        let offset = |member: &'static str| {
            let found = resource.as_ref().and_then(|found| found.member(member));
            found
                .map(|member| member.offset)
                .ok_or(LocateError::MissingMember { structure, member })
        };
        let mut layout = Self {
            start: offset("start")?,
            end: offset("end")?,
            name: offset("name")?,
            sibling: offset("sibling")?,
            child: offset("child")?,
            size: 0,
        };
        let members = [
            layout.start,
            layout.end,
            layout.name,
            layout.sibling,
            layout.child,
        ];
        let last = members.into_iter().max().unwrap_or(0);
        layout.size = last.saturating_add(8).min(PAGE_SIZE);
        Ok(layout)
    }
}

/// A resource as it is in memory.
struct Resource {
    start: u64,
    end: u64,
    name: VirtAddr,
    links: [VirtAddr; 2],
}

/// The ranges that the kernel calls System RAM, sorted and merged. The tree is followed breadth first, so it takes as many rounds as its
/// longest path has members (every top-level resource is one) and one for the names, which is why [`super::locate`] does not do it.
///
/// Fails rather than returning a part: what is missing from a RAM map would be refused later.
pub fn ram_map(
    memory: &mut dyn PhysicalMemory,
    profile: &LayoutProfile,
    kernel: &Kernel,
) -> Result<Vec<PhysRange>, LocateError> {
    let layout = Layout::new(profile)?;
    let symbol = "iomem_resource";
    let root = profile.symbol(symbol)?;
    let root = root.ok_or(LocateError::MissingSymbol { symbol })?;
    let mut reader = Virtual {
        reader: Reader::new(memory),
        kernel,
    };
    let mut wave = vec![kernel.symbol_address(root.address)];
    let mut seen: HashSet<VirtAddr> = wave.iter().copied().collect();
    let mut resources = Vec::new();
    while !wave.is_empty() {
        let known = resources.len();
        resources.extend(read_resources(&mut reader, &layout, &wave)?);
        let links = resources
            .iter()
            .skip(known)
            .flat_map(|found: &Resource| found.links);
        wave = links
            .filter(|link| link.get() != 0 && seen.insert(*link))
            .collect();
        if let Some(&at) = wave.first().filter(|_| seen.len() > MAX_RESOURCES) {
            let problem = format!("more than {MAX_RESOURCES} resources");
            return Err(LocateError::ResourceTree { at, problem });
        }
    }
    let names: Vec<(VirtAddr, u64)> = resources
        .iter()
        .map(|resource| (resource.name, SYSTEM_RAM.len() as u64))
        .collect();
    let names = reader.read(&names);
    let ram: Vec<PhysRange> = resources
        .iter()
        .zip(names)
        .filter(|(_, name)| name.as_ref().is_ok_and(|name| name == SYSTEM_RAM))
        .filter_map(|(resource, _)| range_of(resource))
        .collect();
    Ok(merged(&ram))
}

/// The addresses of a resource, whose end is the last byte inside; `None` where they are none.
fn range_of(resource: &Resource) -> Option<PhysRange> {
    let end = resource
        .end
        .checked_add(1)
        .filter(|&end| end > resource.start)?;
    Some(PhysRange::new(
        PhysAddr::new(resource.start),
        PhysAddr::new(end),
    ))
}

fn read_resources(
    reader: &mut Virtual<'_>,
    layout: &Layout,
    wave: &[VirtAddr],
) -> Result<Vec<Resource>, LocateError> {
    let wanted: Vec<(VirtAddr, u64)> = wave.iter().map(|&at| (at, layout.size)).collect();
    let outcomes = reader.read(&wanted);
    wave.iter()
        .zip(outcomes)
        .map(|(&at, outcome)| {
            let bytes = outcome.map_err(|problem| LocateError::ResourceTree { at, problem })?;
            let number = |offset| number_at(&bytes, offset);
            Ok(Resource {
                start: number(layout.start),
                end: number(layout.end),
                name: VirtAddr::new(number(layout.name)),
                links: [layout.sibling, layout.child].map(|link| VirtAddr::new(number(link))),
            })
        })
        .collect()
}

/// The number at an offset; 0, which is no address, past the end of a struct that a profile made too short.
fn number_at(bytes: &[u8], offset: u64) -> u64 {
    usize::try_from(offset)
        .ok()
        .and_then(|offset| bytes.get(offset..)?.first_chunk::<8>())
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Reads by virtual address.
struct Virtual<'a> {
    reader: Reader<'a>,
    kernel: &'a Kernel,
}

impl Virtual<'_> {
    /// Reads all ranges together: the page tables of all of them first, where any are needed, then the bytes.
    fn read(&mut self, ranges: &[(VirtAddr, u64)]) -> Vec<Result<Vec<u8>, String>> {
        let pieces: Vec<Vec<(VirtAddr, u64)>> = ranges
            .iter()
            .map(|&(at, length)| by_page(at, length))
            .collect();
        let walks = pieces.iter().flatten();
        let walks = walks
            .map(|&(at, _)| self.kernel.space.translate(at))
            .collect();
        let mut ends = self.reader.finish_walks(walks).into_iter();
        let places: Vec<Result<Vec<PhysRange>, String>> = pieces
            .iter()
            .map(|pieces| {
                let ends: Vec<_> = ends.by_ref().take(pieces.len()).collect();
                ends.into_iter()
                    .zip(pieces)
                    .map(|((walk, failure), &(_, length))| place(walk.step(), failure, length))
                    .collect()
            })
            .collect();
        self.reader
            .fetch(places.iter().flatten().flatten().copied());
        places.into_iter().map(|place| self.join(place?)).collect()
    }

    fn join(&self, place: Vec<PhysRange>) -> Result<Vec<u8>, String> {
        let mut whole = Vec::new();
        for range in place {
            let bytes = self.reader.bytes(range);
            whole.extend(bytes.map_err(|failure| format!("{}: {failure}", range.start))?);
        }
        Ok(whole)
    }
}

fn place(step: Step, failure: Option<ReadFailure>, length: u64) -> Result<PhysRange, String> {
    match step {
        Step::Done(found) => PhysRange::of_length(found.physical, length)
            .ok_or_else(|| format!("{} is past the end of memory", found.physical)),
        Step::Fault(reason) => Err(reason.to_string()),
        Step::Read(entry) => {
            let reason = failure
                .map(|failure| failure.to_string())
                .unwrap_or_default();
            Err(format!(
                "the page-table entry at {entry} cannot be read: {reason}"
            ))
        }
    }
}

/// A range of virtual addresses, cut at page boundaries.
fn by_page(start: VirtAddr, length: u64) -> Vec<(VirtAddr, u64)> {
    let mut pieces = Vec::new();
    let (mut at, mut left) = (start, length);
    while left > 0 {
        let piece = left.min(PAGE_SIZE - at.page_offset());
        pieces.push((at, piece));
        at = VirtAddr::new(at.get().wrapping_add(piece));
        left -= piece;
    }
    pieces
}
