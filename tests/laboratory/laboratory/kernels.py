"""Debian kernels in the cache: a bootable image, its vmlinux with DWARF, its symbols and a few of its modules.

A kernel in the cache is a folder `kernels/RELEASE/` with `vmlinuz`, `vmlinux`, `config`, `System.map` (where the
packages hold the real one), `modules/*.ko` and `modules/order` (file names, dependencies first).
"""

import dataclasses
import lzma
import pathlib
import re
import shutil

from .packages import Suite, unpack, version_key
from .places import Trouble, cache, run, say

# What each version that the laboratory knows is looked up in; the first suite that has it wins. A version is a
# prefix in whole numbers: "7" is the newest 7.x.
SUITES = {
    "5.10": ["bullseye-security", "bullseye"],
    "6.1": ["bookworm-security", "bookworm"],
    "6.12": ["bookworm-security", "trixie-security", "trixie"],
    "7": ["trixie-backports"],
}
EVERYWHERE = ["bullseye", "bookworm-security", "bookworm", "trixie-security", "trixie", "trixie-backports"]

# Modules that the guests load, with whatever they depend on; one that a kernel has built in or lacks is skipped.
MODULES = [
    "dummy", "bridge", "8021q", "veth", "overlay", "loop", "fuse", "vfat", "nls_cp437", "nls_ascii", "nf_tables",
    "nf_conntrack", "configfs", "tun", "dm-mod", "qemu_fw_cfg", "cpuid",
]

RELEASE = re.compile(r"^linux-image-(\d.*-cloud-amd64)-dbg$")


@dataclasses.dataclass
class Kernel:
    """One kernel of the cache."""

    version: str
    folder: pathlib.Path

    @property
    def release(self):
        """What `uname -r` says in the guest."""
        return self.folder.name

    @property
    def vmlinuz(self):
        """The bootable image."""
        return self.folder / "vmlinuz"

    @property
    def vmlinux(self):
        """The ELF with DWARF and symbols."""
        return self.folder / "vmlinux"

    @property
    def profile(self):
        """Where the profile that `nettlp-profile` makes of it is kept."""
        return self.folder / "profile.yaml"

    def modules(self):
        """The module files, dependencies first."""
        return [self.folder / "modules" / name for name in (self.folder / "modules/order").read_text().split()]

    def has_five_levels(self):
        """Whether the kernel can run with five-level page tables: by its configuration, or because it always can."""
        config = (self.folder / "config").read_text()
        return "CONFIG_X86_5LEVEL=y" in config or (
            "CONFIG_X86_5LEVEL is not set" not in config and version_key(self.release) >= version_key("6.17"))


def matches(release, version):
    """Whether "6.1.0-56-cloud-amd64" is a "6.1": by whole numbers, so "6.12…" is not."""
    return re.match(re.escape(version) + r"(?!\d)", release) is not None


def cached(version):
    """The newest kernel of this version in the cache, or None."""
    folders = [path.parent for path in (cache() / "kernels").glob("*/complete")]
    found = sorted((path for path in folders if matches(path.name, version)), key=lambda path: version_key(path.name))
    return Kernel(version, found[-1]) if found else None


def prepare(version):
    """The kernel of this version, from the cache or else from the archive."""
    kernel = cached(version)
    if kernel is None:
        kernel = fetch(version)
    return kernel


def fetch(version):
    """Downloads the newest kernel of this version that the archive still serves with its debug symbols."""
    reasons = []
    for name in SUITES.get(version, EVERYWHERE):
        try:
            suite = Suite(name)
            return assemble(suite, version, newest(suite, version))
        except Trouble as trouble:
            say(f"no {version} from {name}")
            reasons.append(f"{name}: {trouble}")
    raise Trouble(f"no kernel {version} could be had\n" + "\n".join(reasons))


def newest(suite, version):
    """The newest release of this version in a suite that comes with debug symbols."""
    found = [match.group(1) for match in map(RELEASE.match, suite.names(r"^linux-image-.*cloud-amd64-dbg$")) if match]
    found = [release for release in found if matches(release, version)]
    if not found:
        raise Trouble("the suite has none with debug symbols")
    return found[-1]


def assemble(suite, version, release):
    """Downloads the packages of one release and keeps what the laboratory needs of them."""
    folder = cache() / "kernels" / release
    work = cache() / "kernels" / f".{release}"
    for path in (folder, work):
        shutil.rmtree(path, ignore_errors=True)
    (folder / "modules").mkdir(parents=True)
    image = first_existing(suite, f"linux-image-{release}-unsigned", f"linux-binary-{release}", f"linux-image-{release}")
    take(suite, image, work, "./boot/*", "./lib/modules/*.ko*", "./usr/lib/modules/*")
    for extra in suite.names("^" + re.escape(f"linux-modules-{release}") + "$"):
        take(suite, extra, work, "./lib/modules/*", "./usr/lib/modules/*")
    for extra in suite.names("^" + re.escape(f"linux-base-{release}") + "$"):
        take(suite, extra, work, "./boot/*", "./lib/modules/*", "./usr/lib/modules/*")
    take(suite, f"linux-image-{release}-dbg", work, "*/vmlinux*", "*/System.map*")
    keep_one(work, folder / "vmlinuz", "**/vmlinuz*")
    keep_one(work, folder / "vmlinux", "usr/lib/debug/**/vmlinux*")
    keep_one(work, folder / "config", "**/boot/config-*", "**/modules/*/config")
    keep_symbols(work, folder / "System.map")
    keep_modules(work, folder / "modules")
    shutil.rmtree(work)
    (folder / "complete").write_text(f"{suite.name}\n")
    return Kernel(version, folder)


def first_existing(suite, *names):
    """The first of these packages that the suite has."""
    for name in names:
        if suite.names("^" + re.escape(name) + "$"):
            return name
    raise Trouble(f"suite {suite.name} has none of {', '.join(names)}")


def take(suite, name, work, *patterns):
    """Downloads a package, extracts the patterns that it has, and deletes the package."""
    package = suite.download(name)
    for pattern in patterns:
        unpack(package, work, pattern)
    shutil.rmtree(package.parent)


def keep_one(work, target, *patterns):
    """Moves the one file that matches a pattern to its place in the cache."""
    for pattern in patterns:
        files = [path for path in work.glob(pattern) if path.is_file() and not path.is_symlink()]
        if files:
            shutil.move(files[0], target)
            return
    raise Trouble(f"the packages hold no {' or '.join(patterns)}")


def keep_symbols(work, target):
    """Keeps System.map if it is the real one: the image packages hold a line of text in its place."""
    for path in work.glob("**/System.map*"):
        if path.stat().st_size > 1_000_000:
            shutil.move(path, target)


def keep_modules(work, target):
    """Keeps MODULES and what they depend on, decompressed, and writes the order in which they load."""
    files = {module_name(path): path for path in work.glob("**/*.ko*")}
    order = []

    def visit(name):
        if name in files and name not in order:
            code = decompressed(files[name])
            for needed in dependencies(code):
                visit(needed)
            (target / f"{name}.ko").write_bytes(code)
            order.append(name)

    for wanted in MODULES:
        visit(wanted.replace("-", "_"))
    (target / "order").write_text("".join(f"{name}.ko\n" for name in order))


def module_name(path):
    """The name that /proc/modules shows: "dm-mod.ko.xz" is dm_mod."""
    return path.name.split(".ko")[0].replace("-", "_")


def decompressed(path):
    """A module's ELF bytes, whatever the package compressed it with."""
    if path.suffix == ".xz":
        return lzma.decompress(path.read_bytes())
    if path.suffix == ".zst":
        return run("zstd", "-dcq", path)
    return path.read_bytes()


def dependencies(code):
    """The names in a module's `depends=` line."""
    match = re.search(rb"\0depends=([^\0]*)\0", code)
    names = match.group(1).decode() if match else ""
    return [name.replace("-", "_") for name in names.split(",") if name]
