//! The first document of a layout profile: which kernel it describes and what its types cannot tell.

use serde::Deserialize;

/// What the first line of every profile says after `format: `.
pub const FORMAT: &str = "nettlp-profile/1";

/// The first document of a layout profile.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Always [`FORMAT`].
    pub format: String,
    /// What the file describes.
    pub kind: Kind,
    /// The processor.
    pub arch: Architecture,
    /// `uname -r`: `6.1.0-56-cloud-amd64`.
    pub release: String,
    /// The bytes of `linux_banner` up to the NUL, the final newline included: what a running kernel is recognised by.
    pub version: String,
    /// The GNU build ID, lower-case hexadecimal.
    #[serde(default)]
    pub build_id: Option<String>,
    /// Bytes of a pointer: 4 or 8.
    pub pointer_size: u64,
    /// The order of bytes in memory.
    pub byte_order: ByteOrder,
    /// The program that wrote the file, with its version.
    pub made_by: String,
    /// What it was made from.
    pub made_from: Origin,
    /// Facts that types cannot tell.
    #[serde(default)]
    pub constants: Constants,
}

/// What a profile describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Types and symbols of one kernel build.
    Layout,
}

/// A processor architecture, by the name that the kernel gives it (`uname -m`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
pub enum Architecture {
    /// 64-bit x86.
    #[serde(rename = "x86_64")]
    X86_64,
    /// 64-bit Arm.
    #[serde(rename = "aarch64")]
    Aarch64,
}

impl Architecture {
    /// The kernel's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }
}

/// The order of bytes of a number in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ByteOrder {
    /// Lowest first.
    Little,
}

/// What a layout profile was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// DWARF debug information of a vmlinux.
    Dwarf,
    /// BPF type format.
    Btf,
    /// A person.
    Hand,
}

/// Facts of a kernel build that its types cannot tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constants {
    /// Where `_text` is linked: the virtual address that KASLR moves away from.
    #[serde(default)]
    pub text_link_address: Option<u64>,
    /// The physical address that the image is linked for (the load address of the program header that holds `_text`).
    #[serde(default)]
    pub text_physical_address: Option<u64>,
    /// Bytes of a kernel stack (`THREAD_SIZE`).
    #[serde(default)]
    pub thread_size: Option<u64>,
    /// What the addresses of per-CPU symbols mean.
    #[serde(default)]
    pub percpu: Option<PercpuBase>,
}

/// What the address of a per-CPU symbol means. Either way a CPU's copy is at `__per_cpu_offset[cpu]` + the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PercpuBase {
    /// An offset into the per-CPU area; KASLR does not move it (x86-64 before Linux 6.15).
    ZeroBased,
    /// An address of the image, which KASLR moves first (x86-64 from Linux 6.15 on, other processors).
    Image,
}

impl PercpuBase {
    /// Its name in a profile.
    pub fn name(self) -> &'static str {
        match self {
            Self::ZeroBased => "zero_based",
            Self::Image => "image",
        }
    }
}
