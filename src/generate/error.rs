//! Why no profile can be made of a file.

use std::path::PathBuf;

use super::elf::SectionProblem;
use super::kallsyms::KallsymsProblem;
use super::unpack::UnpackError;
use super::vmlinuz::VmlinuzProblem;

/// Why no profile can be made. Offsets are bytes from the start of the file, or of the section that is named.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The file has no bytes.
    #[error("{} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{} is not an ELF file: {}", path.display(), kind.description())]
    NotElf {
        /// The file.
        path: PathBuf,
        /// What it looks like.
        kind: ForeignKind,
    },
    /// The ELF header or a table that it points to does not hold together.
    #[error("{what} of {} is damaged at {offset:#x}", path.display())]
    DamagedElf {
        /// The file.
        path: PathBuf,
        /// Which structure.
        what: &'static str,
        /// Where.
        offset: u64,
        /// What the ELF parser says.
        #[source]
        source: goblin::error::Error,
    },
    /// The file ends before something that it announces.
    #[error("{} is truncated: {what} at {offset:#x} needs {length:#x} bytes, the file has {file_length:#x}", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Which structure or section.
        what: String,
        /// Where it starts.
        offset: u64,
        /// Bytes that it should have.
        length: u64,
        /// Bytes of the file.
        file_length: u64,
    },
    /// An ELF file for a processor, word size or byte order that nothing else here could use.
    #[error("{} is for another architecture: {found}", path.display())]
    OtherArchitecture {
        /// The file.
        path: PathBuf,
        /// For which.
        found: String,
    },
    /// An ELF file that is not a linked program.
    #[error("{} is not a linked kernel: it is {kind}", path.display())]
    NotLinked {
        /// The file.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// A linked program for the right processor, but no kernel.
    #[error("{} is not a Linux kernel: it has no symbol `{symbol}`", path.display())]
    NotAKernel {
        /// The file.
        path: PathBuf,
        /// What every kernel has.
        symbol: &'static str,
    },
    /// No symbol table.
    #[error("{} has no symbol table", path.display())]
    NoSymbols {
        /// The file.
        path: PathBuf,
    },
    /// No DWARF.
    #[error("{} has no debug information (section .debug_info)", path.display())]
    NoDwarf {
        /// The file.
        path: PathBuf,
        /// Where a file of its own for the debug information was looked for.
        looked_for: Vec<PathBuf>,
    },
    /// Part of the debug information is in another file, which is not there (`.gnu_debugaltlink`).
    #[error("{} needs {} beside it: that has a part of its debug information", path.display(), name.display())]
    NoSupplementary {
        /// The file.
        path: PathBuf,
        /// What it calls the other.
        name: PathBuf,
        /// Where that was looked for.
        looked_for: Vec<PathBuf>,
    },
    /// A section that cannot be read.
    #[error("section {section} of {} at {offset:#x}: {problem}", path.display())]
    UnreadableSection {
        /// The file.
        path: PathBuf,
        /// Which.
        section: String,
        /// Bytes from the start of the file.
        offset: u64,
        /// What is wrong with it.
        #[source]
        problem: SectionProblem,
    },
    /// A compressed file or a package that does not follow its format.
    #[error("cannot unpack {}", path.display())]
    DamagedPacking {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: std::io::Error,
    },
    /// A compressed file or a package that unpacks to more than any kernel has.
    #[error("{} unpacks to more than {limit} bytes", path.display())]
    UnpacksToTooMuch {
        /// The file.
        path: PathBuf,
        /// Bytes that are taken.
        limit: u64,
    },
    /// What a file unpacks to could not be kept.
    #[error("cannot keep what {} unpacks to in {}", path.display(), folder.display())]
    NoSpace {
        /// The file.
        path: PathBuf,
        /// The folder of temporary files.
        folder: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A Debian package without a kernel with debug information.
    #[error("{} is a package that holds no file called vmlinux", path.display())]
    NoVmlinux {
        /// The package.
        path: PathBuf,
    },
    /// DWARF that cannot be read.
    #[error("{section}+{offset:#x}: {problem}")]
    Dwarf {
        /// The section.
        section: &'static str,
        /// Bytes from its start.
        offset: u64,
        /// What is wrong there.
        problem: DwarfProblem,
    },
    /// BTF that cannot be read.
    #[error(".BTF{}{}: {problem}", offset.map_or(String::new(), |offset| format!("+{offset:#x}")), number.map_or(String::new(), |number| format!(" type {number}")))]
    Btf {
        /// Bytes from its start, where that is known.
        offset: Option<u64>,
        /// The number of the type, where that is known.
        number: Option<u32>,
        /// What is wrong there.
        problem: BtfProblem,
    },
    /// No BTF.
    #[error("{} has no BTF (section .BTF)", path.display())]
    NoBtf {
        /// The file, or the target.
        path: PathBuf,
    },
    /// A compressed file that does not unpack.
    #[error("{} cannot be unpacked", path.display())]
    Packed {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: UnpackError,
    },
    /// A kernel that boots, but does not unpack.
    #[error("{} cannot be unpacked", path.display())]
    Vmlinuz {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: VmlinuzProblem,
    },
    /// An image without symbols of its own.
    #[error("{} has no symbols of its own: {problem}", path.display())]
    NoKallsyms {
        /// The file, or the target.
        path: PathBuf,
        /// What was looked for.
        problem: KallsymsProblem,
    },
    /// An image or a list that has functions, but no variables.
    #[error("{} has {count} symbols, but no `{symbol}`: it lists functions only", path.display())]
    FunctionsOnly {
        /// The file, or the target.
        path: PathBuf,
        /// What is missing.
        symbol: &'static str,
        /// How many symbols there are.
        count: usize,
    },
    /// Symbols that are not those of the image.
    #[error("{}: its symbols are not those of this image: `{symbol}` should be at {address:#x}", path.display())]
    OtherKernel {
        /// The file, or the target.
        path: PathBuf,
        /// What was looked for.
        symbol: &'static str,
        /// Where the symbols say that it is.
        address: u64,
    },
    /// A list of symbols that is none.
    #[error("{}:{line}: expected `address letter name`, found `{text}`", path.display())]
    BadSymbolList {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What it says.
        text: String,
    },
    /// A list of symbols whose addresses the kernel did not show.
    #[error("{}: every address is zero", path.display())]
    HiddenAddresses {
        /// The file.
        path: PathBuf,
    },
    /// Raw BTF, and no list of symbols.
    #[error("{} is BTF only: it has no symbols", path.display())]
    NoSymbolList {
        /// The file.
        path: PathBuf,
    },
    /// Nothing says which kernel it is.
    #[error("{} does not say which kernel it is from", path.display())]
    NoBanner {
        /// The file.
        path: PathBuf,
    },
    /// `--types` names a type that the kernel lacks.
    #[error("no type `{name}`")]
    UnknownType {
        /// What was asked for.
        name: String,
        /// A name that may have been meant.
        nearest: Option<String>,
    },
    /// `--symbols` names a symbol that the kernel lacks.
    #[error("no symbol `{name}`")]
    UnknownSymbol {
        /// What was asked for.
        name: String,
        /// A name that may have been meant.
        nearest: Option<String>,
    },
}

/// What a file that is not ELF looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignKind {
    /// A compressed kernel that boots (`vmlinuz`, `bzImage`).
    BootImage,
    /// A Debian package.
    DebianPackage,
    /// A file compressed with gzip, xz, zstd or bzip2.
    Compressed,
    /// Anything else.
    Unknown,
}

impl ForeignKind {
    /// What the first bytes of a file look like.
    pub(super) fn of(start: &[u8]) -> Self {
        let magic = |offset: usize, wanted: &[u8]| {
            start
                .get(offset..)
                .is_some_and(|rest| rest.starts_with(wanted))
        };
        // "HdrS" at 0x202: the Linux/x86 boot protocol; "ARMd" at 56: the arm64 image header.
        if magic(0x202, b"HdrS") || magic(56, b"ARMd") {
            Self::BootImage
        } else if magic(0, b"!<arch>\n") {
            Self::DebianPackage
        } else if [&b"\x1f\x8b"[..], b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"BZh"]
            .iter()
            .any(|wanted| magic(0, wanted))
        {
            Self::Compressed
        } else {
            Self::Unknown
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::BootImage => "it is a compressed kernel image (vmlinuz)",
            Self::DebianPackage => "it is an archive or a Debian package",
            Self::Compressed => "it is compressed",
            Self::Unknown => "it does not start with 7f 45 4c 46",
        }
    }
}

/// What is wrong with debug information.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DwarfProblem {
    /// It does not follow the DWARF standard.
    #[error("{0}")]
    Malformed(gimli::Error),
    /// A reference to a type leads nowhere.
    #[error("the type at {0:#x} does not exist")]
    DanglingReference(u64),
    /// A type that contains itself.
    #[error("a type contains itself, or types nest too deeply")]
    TypeCycle,
    /// More than any kernel has, and than can be held.
    #[error("more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are taken.
        limit: usize,
    },
    /// A bit field that reaches beyond 128 bits, or an offset beyond 64 bits.
    #[error("a member at an impossible place")]
    ImpossiblePlace,
}

/// What is wrong with BTF.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BtfProblem {
    /// It begins with something else.
    #[error("not BTF: it begins with {0:#06x}, not 0xeb9f")]
    NotBtf(u16),
    /// It is of a machine with the other order of bytes.
    #[error("big-endian BTF, of a machine that nothing else here could read")]
    BigEndian,
    /// Another version of the format.
    #[error("version {0} of BTF, only 1 is known")]
    Version(u8),
    /// It ends too early.
    #[error("{what} does not end within {length:#x} bytes")]
    Truncated {
        /// What.
        what: &'static str,
        /// Bytes that there are.
        length: usize,
    },
    /// The header points outside.
    #[error("the header says that {what} are outside the data")]
    OutsideData {
        /// What.
        what: &'static str,
    },
    /// A kind of type that this program is too old for.
    #[error("kind {0} of type, which is not known")]
    UnknownKind(usize),
    /// A name outside the strings.
    #[error("a name at {0:#x}, outside the strings")]
    BadName(u32),
    /// The same, where there is no base.
    #[error("a name outside the strings: this may be split BTF, of a module")]
    SplitOrBadName,
    /// A reference to a type that does not exist.
    #[error("type {0} does not exist")]
    DanglingReference(u32),
    /// A type that contains itself.
    #[error("a type contains itself, or types nest too deeply")]
    TypeCycle,
    /// More than any kernel has, and than can be held.
    #[error("more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are taken.
        limit: usize,
    },
    /// A bit field that reaches beyond 128 bits.
    #[error("a member at an impossible place")]
    ImpossiblePlace,
}

impl GenerateError {
    /// What a person can do about it, where there is something.
    pub fn hints(&self) -> Vec<String> {
        let dbg = "install the kernel's debug symbols (Debian: linux-image-…-dbg) and pass its vmlinux, for example /usr/lib/debug/boot/vmlinux-$(uname -r)";
        let hint = match self {
            Self::NoDwarf { looked_for, .. } if !looked_for.is_empty() => {
                return vec![dbg.to_owned(), listed(looked_for)];
            }
            Self::NoDwarf { .. } | Self::NoSymbols { .. } => dbg.to_owned(),
            Self::NoBtf { .. } => format!("the kernel was built without CONFIG_DEBUG_INFO_BTF: {dbg}"),
            Self::NoKallsyms { .. } => "the kernel may be built without CONFIG_KALLSYMS: pass its list of symbols with --system-map /boot/System.map-…".to_owned(),
            Self::FunctionsOnly { .. } => format!("a kernel built without CONFIG_KALLSYMS_ALL lists functions only; pass its whole list with --system-map /boot/System.map-… (Debian: in linux-image-…-dbg), or {dbg}"),
            Self::OtherKernel { .. } => "pass the System.map of the same build".to_owned(),
            Self::BadSymbolList { .. } => "--system-map takes a System.map or the text of /proc/kallsyms; Debian's /boot/System.map-… only says where the real one is: in linux-image-…-dbg".to_owned(),
            Self::HiddenAddresses { .. } => "read /proc/kallsyms as root, with kernel.kptr_restrict below 2".to_owned(),
            Self::NoSymbolList { .. } => "pass the kernel's symbols: --system-map /boot/System.map-$(uname -r), or the text of /proc/kallsyms read as root".to_owned(),
            Self::NoBanner { .. } => "pass the text of the target's /proc/version: --banner FILE".to_owned(),
            Self::Btf { problem: BtfProblem::SplitOrBadName, .. } => "pass the kernel's BTF as base: --btf-base /sys/kernel/btf/vmlinux".to_owned(),
            Self::Packed { .. } | Self::Vmlinuz { .. } | Self::Btf { .. } => "the file may have been copied or downloaded incompletely: compare its size or checksum with the original".to_owned(),
            Self::NotElf { kind: ForeignKind::BootImage, .. } => dbg.to_owned(),
            Self::NotElf { kind: ForeignKind::DebianPackage, .. } => "unpack it and pass the vmlinux inside".to_owned(),
            Self::NotElf { kind: ForeignKind::Compressed, .. } => "decompress it first".to_owned(),
            Self::NotElf { .. } | Self::NotAKernel { .. } | Self::NotLinked { .. } | Self::Empty { .. } => {
                "pass the kernel's vmlinux, with debug information if there is one, or its vmlinuz".to_owned()
            }
            Self::OtherArchitecture { .. } => "kernels for x86_64 and aarch64 can be read".to_owned(),
            Self::Truncated { .. } | Self::DamagedElf { .. } => "the file may have been copied or downloaded incompletely: compare its size or checksum with the original".to_owned(),
            Self::NoSupplementary { looked_for, .. } => return vec![listed(looked_for)],
            Self::NoVmlinux { .. } => "pass the package with the kernel's debug symbols: linux-image-…-dbg".to_owned(),
            Self::NoSpace { .. } => "name a folder with more space: TMPDIR=/var/tmp".to_owned(),
            Self::DamagedPacking { .. } | Self::UnreadableSection { .. } => "the file may have been copied or downloaded incompletely: compare its size or checksum with the original".to_owned(),
            Self::UnknownType { nearest: Some(name), .. } | Self::UnknownSymbol { nearest: Some(name), .. } => format!("did you mean `{name}`?"),
            _ => return Vec::new(),
        };
        vec![hint]
    }
}

fn listed(looked_for: &[PathBuf]) -> String {
    let places: Vec<_> = looked_for
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    format!("a file of its own was looked for as {}", places.join(", "))
}
