"""Boots a guest, waits until it has told the truth, and keeps its memory.

A guest's folder: `ram` (guest physical memory as one file), `image-map` (where it belongs), `truth/` (see truth.py),
`core.elf` (if asked for), `kernel` (a link into the cache), `meta.json`, `console.log`.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import struct
import time

from . import truth
from .initramfs import build
from .kernels import prepare
from .machine import PROCESSOR, Machine, bytes_of, image_map
from .packages import install_tools
from .places import Trouble, say

HEADER = struct.Struct("<16s5Q")
HEADER_SIZE = 4096
MAGIC = b"nettlp-q truth 1"
TIMEOUT = 900
VULNERABILITY = re.compile(r"^laboratory: vulnerability (\w+): ([^\r\n]*)", re.MULTILINE)
# Models of QEMU that have five-level page tables without being asked.
FIVE_LEVELS = (PROCESSOR, "Icelake-Server", "SapphireRapids")


class Plan:
    """What to boot, and what to keep of it."""

    def __init__(self, version, kaslr="on", levels=None, memory="256M", cpus=2, tasks=0, core=False, live=False, demo=False,
                 cpu=None, append=""):
        self.version = version
        self.kaslr = kaslr
        self.levels = levels
        self.memory = bytes_of(memory)
        self.cpus = cpus
        self.tasks = tasks
        self.core = core
        self.live = live
        self.demo = demo
        self.cpu = cpu or PROCESSOR
        self.append = append

    def cmdline(self):
        """The kernel command line; what the kernel does not know becomes the environment of the guest's init."""
        words = ["console=ttyS0", "quiet", "panic=-1", "net.ifnames=0", "random.trust_cpu=on"]
        # Debian boots without the vsyscall page; the guests without KASLR have it, so that it is compared somewhere.
        words += [] if self.kaslr == "on" else ["nokaslr", "vsyscall=xonly"]
        words += ["no5lvl"] if self.levels == 4 else []
        words += ["LAB_HOSTNAME=web1"] if self.demo else []
        words += [f"LAB_TASKS={self.tasks}", f"LAB_STOP={int(not self.live)}", f"LAB_DEMO={int(self.demo)}"]
        words += self.append.split()
        return " ".join(words)


def boot(plan, folder):
    """Boots the plan's guest into a folder, which is emptied first. Returns meta.json's content."""
    install_tools()
    kernel = prepare(plan.version)
    plan.levels = plan.levels or (5 if kernel.has_five_levels() and has_five_levels(plan.cpu) else 4)
    if plan.levels == 5 and not kernel.has_five_levels():
        raise Trouble(f"{kernel.release} is built without 5-level page tables: boot it with --levels 4")
    folder = pathlib.Path(folder).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "kernel").symlink_to(kernel.folder)
    initramfs = folder / "initramfs"
    build(kernel, initramfs, plan.demo)
    started = time.monotonic()
    machine = Machine(folder, kernel.vmlinuz, initramfs, plan.cmdline(), plan.memory, plan.cpus, plan.cpu)
    try:
        header = wait(machine, folder, plan)
        meta = describe(plan, kernel, machine, header, time.monotonic() - started)
        (folder / "image-map").write_text(image_map(plan.memory) + "\n")
        truth.save(records(folder, header), meta["own_pid"], folder / "truth")
        if plan.core:
            machine.dump(folder / "core.elf")
        (folder / "meta.json").write_text(json.dumps(meta, indent=2) + "\n")
    except BaseException:
        machine.end()
        raise
    if plan.live:
        machine.forget()
    else:
        machine.end()
        discard(folder)
    initramfs.unlink()
    say(f"{kernel.release} {meta['cmdline']}: {meta['seconds']} s")
    return meta


def has_five_levels(cpu):
    """Whether QEMU's software emulation of a processor can run with five-level page tables (its feature `la57`)."""
    model, *features = cpu.split(",")
    return "-la57" not in features and (model in FIVE_LEVELS or "+la57" in features)


def wait(machine, folder, plan):
    """Waits until the guest is ready; returns the header of its records."""
    deadline = time.monotonic() + TIMEOUT
    wanted = "running" if plan.live else "guest-panicked"
    while time.monotonic() < deadline:
        machine.check()
        # The state first: a guest that has stopped has written its records before.
        status = machine.status()
        with open(folder / "truth.records", "rb") as file:
            magic, ready, length, passes, settled, own_pid = HEADER.unpack(file.read(HEADER.size))
        if ready and status == wanted:
            if magic != MAGIC:
                raise Trouble("the guest's records do not start with their mark")
            if not settled and not plan.live and not plan.demo:
                raise Trouble(f"the guest did not come to rest in {passes} passes")
            return {"length": length, "passes": passes, "settled": bool(settled), "own_pid": own_pid}
        if not ready and status not in ("running", "prelaunch", "inmigrate"):
            break
        time.sleep(0.05)
    tail = machine.console.read_text(errors="replace").splitlines()[-15:]
    raise Trouble("the guest does not become ready; its console ends with\n  " + "\n  ".join(tail))


def records(folder, header):
    """The bytes of the guest's records."""
    with open(folder / "truth.records", "rb") as file:
        file.seek(HEADER_SIZE)
        return file.read(header["length"])


def describe(plan, kernel, machine, header, seconds):
    """What meta.json says."""
    return {
        "version": plan.version, "release": kernel.release, "kaslr": plan.kaslr == "on", "levels": plan.levels,
        "memory": plan.memory, "cpus": plan.cpus, "cpu": plan.cpu, "tasks": plan.tasks, "live": plan.live, "demo": plan.demo,
        "cmdline": plan.cmdline(), "own_pid": header["own_pid"], "passes": header["passes"], "settled": header["settled"],
        "vulnerabilities": vulnerabilities(machine.console.read_text(errors="replace")), "seconds": round(seconds, 1), "qemu_pid": machine.process.pid if plan.live else None,
        "qmp": str(machine.socket_path) if plan.live else None,
    }


def vulnerabilities(console):
    """What the guest said on its console of /sys/devices/system/cpu/vulnerabilities: the kernel's words by the name of the fault."""
    return dict(VULNERABILITY.findall(console))


def discard(folder):
    """Deletes what only a running guest needs."""
    for name in ("qemu.log", "truth.records"):
        (folder / name).unlink(missing_ok=True)


def end(folder):
    """Ends the QEMU of a guest that was left running; its RAM file stays as it is then."""
    folder = pathlib.Path(folder)
    meta = json.loads((folder / "meta.json").read_text())
    if meta["qemu_pid"] is None:
        raise Trouble(f"{folder} is not a live guest")
    command = pathlib.Path(f"/proc/{meta['qemu_pid']}/cmdline")
    if command.exists() and meta["qmp"].encode() in command.read_bytes():
        os.kill(meta["qemu_pid"], signal.SIGTERM)
    shutil.rmtree(pathlib.Path(meta["qmp"]).parent, ignore_errors=True)
    discard(folder)
