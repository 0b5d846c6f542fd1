"""The first file system of a guest: busybox, the program under test in three forms, and the kernel's modules."""

import pathlib
import shutil
import subprocess
import tempfile

from .places import GUEST, Trouble, cache, run

# Forms of the one program: how a static, a position-independent and a dynamic executable look in memory differs.
FORMS = {
    "objects": ["-static"],
    "objects-pie": ["-static-pie"],
    "objects-dynamic": ["-pie"],
}


def programs():
    """Compiles the guest's program in every form; again only when a source is newer. Returns the folder."""
    folder = cache() / "guest"
    folder.mkdir(exist_ok=True)
    sources = sorted(GUEST.glob("*.c"))
    newest = max(path.stat().st_mtime for path in [*sources, *GUEST.glob("*.h")])
    for name, flags in FORMS.items():
        target = folder / name
        if not target.exists() or target.stat().st_mtime < newest:
            run("gcc", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", *flags, "-o", target, *sources, "-lpthread")
    return folder


def libraries(program):
    """The interpreter and the shared libraries of a dynamic program, by the paths that it asks for."""
    words = run("ldd", program).decode().split()
    return [pathlib.Path(word) for word in words if word.startswith("/")]


def build(kernel, target, demo=False):
    """Writes the compressed initramfs of a kernel to `target`; for the demo, with the programs that it plays."""
    played = run(programs() / "objects", "programs").decode().split() if demo else []
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        for folder in ("bin", "lib64", "usr/sbin", "usr/lib", "etc", "modules", "dev"):
            (root / folder).mkdir(parents=True)
        shutil.copy(shutil.which("busybox"), root / "bin/busybox")
        shutil.copy(GUEST / "init", root / "init")
        (root / "init").chmod(0o755)
        for form in FORMS:
            shutil.copy(programs() / form, root / "usr/sbin" / form)
        for path in played:
            (root / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(programs() / "objects-dynamic", root / path.lstrip("/"))
        for path in libraries(programs() / "objects-dynamic"):
            (root / path.relative_to("/")).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, root / path.relative_to("/"))
        for path in [*kernel.modules(), kernel.folder / "modules/order"]:
            shutil.copy(path, root / "modules")
        pack(root, target)


def pack(root, target):
    """Packs a folder as a gzip-compressed newc archive."""
    names = "".join(f"{path.relative_to(root)}\n" for path in sorted(root.rglob("*")))
    with open(target, "wb") as output:
        archive = subprocess.Popen(["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"], cwd=root, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE)
        packed = subprocess.Popen(["gzip", "-1"], stdin=archive.stdout, stdout=output)
        archive.stdout.close()
        archive.stdin.write(names.encode())
        archive.stdin.close()
        if archive.wait() or packed.wait():
            raise Trouble("the initramfs cannot be packed")
