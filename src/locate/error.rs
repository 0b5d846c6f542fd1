//! Why a kernel was not found, with the evidence, and what a person can do next.

use crate::addr::{PhysAddr, VirtAddr};
use crate::profile::ProfileError;

/// A place with the kernel's banner that is not the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Where the image would begin.
    pub at: PhysAddr,
    /// The check that failed, as [`super::Check::name`].
    pub check: &'static str,
    /// What was expected and what was found.
    pub detail: String,
    /// The whole banner that is there, where it is another one.
    pub other_banner: Option<String>,
}

impl std::fmt::Display for Rejection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "at {}: {}: {}", self.at, self.check, self.detail)
    }
}

/// Why a kernel was not found.
#[derive(Debug, thiserror::Error)]
pub enum LocateError {
    /// The profile is damaged.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The profile lacks a symbol that is needed to find its kernel.
    #[error("the profile has no symbol `{symbol}`")]
    MissingSymbol {
        /// The symbol.
        symbol: &'static str,
    },
    /// The profile lacks a member that is needed to verify its kernel.
    #[error("the profile has no `struct {structure}` with a member `{member}`")]
    MissingMember {
        /// Name of the struct.
        structure: &'static str,
        /// Its member.
        member: &'static str,
    },
    /// The profile does not say how its kernel announces itself.
    #[error("the profile's version is no kernel banner")]
    NoBannerInProfile,
    /// The profile's image has no believable extent.
    #[error("the profile's kernel image from {text:#x} to {end:#x} is none that Linux maps")]
    ImpossibleImage {
        /// Link address of `_text`.
        text: u64,
        /// Link address of `_end`.
        end: u64,
    },
    /// A symbol of the profile that must be in the kernel image is not.
    #[error(
        "the profile's symbol `{symbol}` at {address:#x} is outside the kernel image from {text:#x} to {end:#x}"
    )]
    SymbolOutsideImage {
        /// The symbol.
        symbol: &'static str,
        /// Its link address.
        address: u64,
        /// Link address of `_text`.
        text: u64,
        /// Link address of `_end`.
        end: u64,
    },
    /// The profile is for a processor that cannot be searched for yet.
    #[error("the profile is for {arch}, and only x86_64 kernels can be located")]
    UnsupportedArchitecture {
        /// The kernel's name for the processor.
        arch: &'static str,
    },
    /// There is no 2 MiB-aligned address in the RAM map that an image could be at.
    #[error("the RAM map has no room for a kernel image")]
    NoCandidates,
    /// Not a single read was answered.
    #[error("no answer to any of {probes} reads")]
    NoAnswer {
        /// How many reads.
        probes: u64,
    },
    /// Reads were answered, but none with bytes.
    #[error("none of {probes} reads gave any bytes ({failures})")]
    NothingReadable {
        /// How many reads.
        probes: u64,
        /// Why not, with how often.
        failures: String,
    },
    /// Memory can be read, and no Linux kernel was seen in it.
    #[error(
        "no Linux kernel found: {readable} of {probes} candidates are readable, {scanned} bytes searched for any banner"
    )]
    NotFound {
        /// Candidates that were probed.
        probes: u64,
        /// Of these, how many could be read.
        readable: u64,
        /// Bytes searched for the banner of any kernel.
        scanned: u64,
        /// Whether that was all memory known to be readable.
        complete: bool,
    },
    /// Another kernel than the profile's is there.
    #[error("the target runs another kernel than the profile describes")]
    AnotherKernel {
        /// The profile's banner.
        expected: String,
        /// The banner in memory.
        found: String,
        /// Where that banner is.
        at: PhysAddr,
    },
    /// The memory is that of another processor.
    #[error("this is the memory of an {found} kernel, and the profile is for x86_64")]
    AnotherArchitecture {
        /// The kernel's name for the processor.
        found: &'static str,
        /// Where its image begins.
        at: PhysAddr,
        /// Its banner, if one was seen.
        banner: Option<String>,
    },
    /// The profile's banner is there, but no kernel that is what the profile says.
    #[error("the profile's banner is in memory, but no kernel there passes verification ({})", first(.rejections))]
    NotVerified {
        /// Every place that was judged.
        rejections: Vec<Rejection>,
    },
    /// The kernel's tree of resources cannot be followed, so its RAM map would not be whole.
    #[error("cannot follow the resource tree at {at}: {problem}")]
    ResourceTree {
        /// Where.
        at: VirtAddr,
        /// What is wrong there.
        problem: String,
    },
}

fn first(rejections: &[Rejection]) -> String {
    rejections
        .first()
        .map(ToString::to_string)
        .unwrap_or_default()
}

impl LocateError {
    /// Facts that explain: both banners, every rejected place.
    pub fn notes(&self) -> Vec<String> {
        match self {
            Self::AnotherKernel {
                expected,
                found,
                at,
            } => vec![
                format!("the profile's kernel: {expected}"),
                format!("in memory at {at}:    {found}"),
            ],
            Self::AnotherArchitecture { at, banner, .. } => {
                let image = format!("its image begins at {at}");
                let banner = banner.iter().map(|text| format!("its banner: {text}"));
                std::iter::once(image).chain(banner).collect()
            }
            Self::NotVerified { rejections } => {
                rejections.iter().map(ToString::to_string).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What to do next, as plain sentences.
    pub fn hints(&self) -> Vec<String> {
        let hints: &[&str] = match self {
            Self::Profile(_) | Self::ResourceTree { .. } => &[],
            Self::MissingSymbol { .. }
            | Self::MissingMember { .. }
            | Self::NoBannerInProfile
            | Self::ImpossibleImage { .. }
            | Self::SymbolOutsideImage { .. } => &[
                "make the profile again from the kernel's vmlinux: nettlp-profile VMLINUX -o FILE",
            ],
            Self::UnsupportedArchitecture { .. } => &["use a profile of an x86_64 kernel"],
            Self::NoCandidates => &["check the ranges given with --ram or --image-map"],
            Self::NoAnswer { .. } => &[
                "check the adapter's address (--remote), the local address (--local) and that nothing filters UDP",
                "check the requester ID (--requester, or --requester-from to ask the target)",
            ],
            Self::NothingReadable { .. } => &[
                "check that the IOMMU lets the adapter see all RAM (iommu=off, or iommu=pt on the target)",
                "give the target's RAM with --ram, as its /proc/iomem lists it",
            ],
            Self::NotFound { complete: true, .. } => {
                &["check that this is the memory of a Linux machine"]
            }
            Self::NotFound { .. } => &[
                "give the target's RAM with --ram, as its /proc/iomem lists it",
                "check that this is the memory of a Linux machine",
            ],
            Self::AnotherKernel { .. } => {
                &["make a profile of the kernel that is there: nettlp-profile VMLINUX -o FILE"]
            }
            Self::AnotherArchitecture { .. } => &["only x86_64 kernels can be examined"],
            Self::NotVerified { .. } => &[
                "an image of a machine with more than 3 GiB has a hole below 4 GiB: say where its parts belong with --image-map",
                "an image that was cut short, or written while the machine booted, cannot be verified",
            ],
        };
        hints.iter().map(|&hint| hint.to_owned()).collect()
    }
}
