//! What the page tables themselves say about a candidate: they must lead to it, by both ways that a kernel has.

use crate::addr::{PhysAddr, VirtAddr};
use crate::memory::ReadFailure;
use crate::paging::{AddressSpace, Format, Step, Walk, X86_64_4_LEVEL, X86_64_5_LEVEL};

use super::verify::Verifier;

/// Where a kernel's regions begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Regions {
    pub(super) page_offset_base: VirtAddr,
    pub(super) vmalloc_base: VirtAddr,
    pub(super) vmemmap_base: VirtAddr,
}

/// What a format means for the layout of kernel addresses (Documentation/arch/x86/x86_64/mm.rst).
struct FormatFacts {
    format: &'static Format,
    /// Beginnings of the direct map in kernels without the variable `page_offset_base`, newest first (Linux 4.20 moved it to make
    /// room for the LDT).
    direct_maps: &'static [u64],
    vmalloc_base: u64,
    vmemmap_base: u64,
    /// Bits of a physical address (`MAX_PHYSMEM_BITS`), which bound the direct map.
    physical_bits: u32,
}

const FORMATS: &[FormatFacts] = &[
    FormatFacts {
        format: &X86_64_4_LEVEL,
        direct_maps: &[0xffff_8880_0000_0000, 0xffff_8800_0000_0000],
        vmalloc_base: 0xffff_c900_0000_0000,
        vmemmap_base: 0xffff_ea00_0000_0000,
        physical_bits: 46,
    },
    FormatFacts {
        format: &X86_64_5_LEVEL,
        direct_maps: &[0xff11_0000_0000_0000, 0xff10_0000_0000_0000],
        vmalloc_base: 0xffa0_0000_0000_0000,
        vmemmap_base: 0xffd4_0000_0000_0000,
        physical_bits: 52,
    },
];

fn facts(format: &'static Format) -> &'static FormatFacts {
    let found = FORMATS.iter().find(|facts| facts.format == format);
    found.unwrap_or(&FORMATS[0])
}

/// The regions of a kernel that has no variables for them.
pub(super) fn regions(format: &'static Format) -> Regions {
    let facts = facts(format);
    let direct = facts.direct_maps.first().copied().unwrap_or(0);
    Regions {
        page_offset_base: VirtAddr::new(direct),
        vmalloc_base: VirtAddr::new(facts.vmalloc_base),
        vmemmap_base: VirtAddr::new(facts.vmemmap_base),
    }
}

/// Longest direct map that a format has room for, in bytes.
pub(super) fn direct_map_limit(format: &'static Format) -> u64 {
    1 << facts(format).physical_bits
}

/// A format and a direct map that the tables agree with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mapped {
    pub(super) format: &'static Format,
    pub(super) page_offset_base: VirtAddr,
}

/// What the tables say: for the image and for the direct map, whether they lead where they must, and the evidence.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) image: (bool, String),
    pub(super) direct: (bool, String),
    pub(super) mapped: Option<Mapped>,
}

/// One thing that a format would have to be true of.
struct Claim {
    format: &'static Format,
    /// The beginning of the direct map, if that is what is claimed.
    direct_map: Option<VirtAddr>,
    physical: PhysAddr,
    walk: Walk,
}

/// Walks to the banner and to `init_task` by every format and every possible direct map at once, without the linear maps, which are
/// what is to be verified.
pub(super) fn find(
    verifier: &mut Verifier<'_, '_>,
    formats: &[&'static Format],
    slide: u64,
    encryption_mask: u64,
) -> Found {
    let mut claims: Vec<Claim> = Vec::new();
    for &format in formats {
        claims.extend(claims_of(verifier, format, slide, encryption_mask));
    }
    let walks = claims.iter().map(|claim| claim.walk).collect();
    let ends = verifier.reader.finish_walks(walks);
    let judged: Vec<(Claim, bool, String)> = claims
        .into_iter()
        .zip(ends)
        .map(|(claim, (walk, failure))| {
            let (holds, evidence) = judge(&walk, failure, claim.physical);
            (claim, holds, evidence)
        })
        .collect();
    conclude(&judged)
}

fn claims_of(
    verifier: &Verifier<'_, '_>,
    format: &'static Format,
    slide: u64,
    encryption_mask: u64,
) -> Vec<Claim> {
    let marks = verifier.landmarks;
    let space = AddressSpace::new(format, verifier.address(marks.top_table))
        .with_encryption_mask(encryption_mask);
    let mut claims = vec![Claim {
        format,
        direct_map: None,
        physical: verifier.address(marks.banner),
        walk: space.translate(marks.virtual_address(marks.banner, slide)),
    }];
    let variable = verifier.optional(marks.page_offset_base);
    let bases = match &variable {
        Some(base) => std::slice::from_ref(base),
        None => facts(format).direct_maps,
    };
    let physical = verifier.address(marks.init_task);
    claims.extend(bases.iter().map(|&base| {
        let address = VirtAddr::new(base.wrapping_add(physical.get()));
        Claim {
            format,
            direct_map: Some(VirtAddr::new(base)),
            physical,
            walk: space.translate(address),
        }
    }));
    claims
}

/// Takes the first format of which an image claim and a direct-map claim hold; the evidence of a failure is that of all claims.
fn conclude(judged: &[(Claim, bool, String)]) -> Found {
    let image = judged
        .iter()
        .find(|(claim, holds, _)| *holds && claim.direct_map.is_none());
    let Some((image, _, image_evidence)) = image else {
        return Found {
            image: (false, evidence(judged, |claim| claim.direct_map.is_none())),
            direct: (false, String::new()),
            mapped: None,
        };
    };
    let format = image.format;
    let direct = judged.iter().find_map(|(claim, holds, evidence)| {
        let base = claim
            .direct_map
            .filter(|_| *holds && claim.format == format)?;
        Some((base, evidence.clone()))
    });
    Found {
        image: (true, format!("{image_evidence} ({})", format.name)),
        direct: match &direct {
            Some((_, evidence)) => (true, evidence.clone()),
            None => (
                false,
                evidence(judged, |claim| {
                    claim.direct_map.is_some() && claim.format == format
                }),
            ),
        },
        mapped: direct.map(|(page_offset_base, _)| Mapped {
            format,
            page_offset_base,
        }),
    }
}

fn evidence(judged: &[(Claim, bool, String)], which: impl Fn(&Claim) -> bool) -> String {
    let texts: Vec<String> = judged
        .iter()
        .filter(|(claim, _, _)| which(claim))
        .map(|(claim, _, evidence)| format!("{evidence} ({})", claim.format.name))
        .collect();
    texts.join("; ")
}

/// Whether a walk ended at `expected`, and in words where it ended.
fn judge(walk: &Walk, failure: Option<ReadFailure>, expected: PhysAddr) -> (bool, String) {
    let address = walk.address();
    match (walk.step(), failure) {
        (Step::Done(found), _) if found.physical == expected => {
            (true, format!("{address} is at {expected}"))
        }
        (Step::Done(found), _) => (
            false,
            format!("{address} is at {} and not at {expected}", found.physical),
        ),
        (Step::Fault(reason), _) => (false, format!("{address} is not at {expected}: {reason}")),
        (Step::Read(entry), failure) => {
            let reason = failure
                .map(|failure| failure.to_string())
                .unwrap_or_default();
            let text = format!("{address}: the entry at {entry} cannot be read: {reason}");
            (false, text)
        }
    }
}
