"""Debian packages by name: tools installed where missing, kernels downloaded without installing them.

The address of the archive is whatever the machine's own apt sources say, so a mirror or a proxy that serves the
machine serves the laboratory too. Other suites than the machine's get a private list and private state folders:
nothing of the machine's apt configuration is changed.
"""

import os
import pathlib
import re
import shutil
import subprocess

from .places import Trouble, cache, run, say

KEYRING = pathlib.Path("/usr/share/keyrings/debian-archive-keyring.gpg")

# A program that the laboratory runs, and the package that brings it.
TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "cpio": "cpio",
    "zstd": "zstd",
    "xz": "xz-utils",
    "gcc": "gcc",
    "pahole": "dwarves",
}


def install_tools():
    """Installs the packages of the tools that are missing; needs root only if something is."""
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if not pathlib.Path("/usr/include/stdio.h").exists():
        missing.append("libc6-dev")
    if not missing:
        return
    if os.geteuid() != 0:
        raise Trouble(f"these packages are missing: install them as root with `apt-get install {' '.join(missing)}`")
    say(f"installing {' '.join(missing)}")
    quiet = {"env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
    run("apt-get", "update", "-qq", **quiet)
    run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing, **quiet)


def archives():
    """The machine's archives as {label: address}, for example {"Debian": "…/debian/"}."""
    text = run("apt-get", "indextargets", "--format", "$(LABEL)|$(REPO_URI)", "Identifier: Packages").decode()
    found = {}
    for line in text.splitlines():
        label, _, address = line.partition("|")
        found.setdefault(label, address)
    if "Debian" not in found:
        raise Trouble("this machine's apt sources name no Debian archive: run `apt-get update`, or run on Debian")
    return found


def version_key(name):
    """Sorts package names as people number kernels: 6.1.0-9 before 6.1.0-10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


class Suite:
    """One suite of the archive ("trixie-backports") with its own package list."""

    def __init__(self, name):
        self.name = name
        label = "Debian-Security" if name.endswith("-security") else "Debian"
        self.folder = cache() / "apt" / name
        address = archives().get(label)
        if address is None:
            raise Trouble(f"this machine's apt sources name no {label} archive")
        for part in ("lists/partial", "cache/archives/partial", "packages"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
        (self.folder / "sources").write_text(f"deb {signed}{address} {name} main\n")
        run("apt-get", *self.options(), "update", "-qq")

    def options(self):
        """The options that point apt at this suite and at nothing of the machine's."""
        settings = {
            "Dir::Etc::sourcelist": self.folder / "sources",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State::lists": self.folder / "lists",
            "Dir::Cache": self.folder / "cache",
            "APT::Sandbox::User": "root",
            "APT::Update::Post-Invoke": "",
            "Acquire::Retries": "3",
        }
        return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]

    def names(self, pattern):
        """The names of packages that match, oldest version first."""
        text = run("apt-cache", *self.options(), "search", "--names-only", pattern).decode()
        return sorted({line.split(" ", 1)[0] for line in text.splitlines() if line}, key=version_key)

    def download(self, name):
        """Downloads one package; returns its file."""
        folder = self.folder / "packages" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        say(f"downloading {name}")
        run("apt-get", *self.options(), "download", "-qq", name, cwd=folder)
        files = list(folder.glob("*.deb"))
        if len(files) != 1:
            raise Trouble(f"`apt-get download {name}` left {len(files)} files instead of one")
        return files[0]


def unpack(package, folder, *patterns):
    """Extracts the files that match the tar patterns from a package, without installing it."""
    folder.mkdir(parents=True, exist_ok=True)
    reader = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE)
    command = ["tar", "-x", "-C", folder, "--no-same-owner", "--wildcards", *patterns]
    status = subprocess.run(command, stdin=reader.stdout, stderr=subprocess.DEVNULL).returncode
    reader.stdout.close()
    reader.wait()
    return status == 0
