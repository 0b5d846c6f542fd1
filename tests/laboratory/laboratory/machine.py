"""A QEMU machine whose RAM is a file: started, asked over QMP, stopped."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import tempfile
import time

from .places import Trouble

GIB = 1 << 30
# QEMU's "pc" machine keeps RAM below this address, and the rest from 4 GiB, once there is more than LOW_LIMIT of it.
LOW_LIMIT = 0xE0000000
LOW_SPLIT = 0xC0000000
HIGH = 4 * GIB
# Room for what /proc says of 10 000 processes, as a hole in a file.
TRUTH_SIZE = 256 << 20
# All that the software emulation can do.
PROCESSOR = "max"


def bytes_of(text):
    """"256M" or "5G" as a number of bytes."""
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    try:
        return int(text[:-1]) * units[text[-1].upper()]
    except (ValueError, KeyError, IndexError):
        raise Trouble(f"`{text}` is not an amount of memory: write 256M or 5G") from None


def image_map(size):
    """Where the RAM file belongs in physical memory, as `--image-map` takes it: ranges without their last address."""
    if size < LOW_LIMIT:
        return f"0x0-{size:#x}@0x0"
    return f"0x0-{LOW_SPLIT:#x}@0x0,{HIGH:#x}-{HIGH + size - LOW_SPLIT:#x}@{LOW_SPLIT:#x}"


class Machine:
    """One running QEMU."""

    def __init__(self, folder, vmlinuz, initramfs, cmdline, memory, cpus, cpu):
        self.folder = folder
        self.sockets = pathlib.Path(tempfile.mkdtemp(prefix="nettlp-lab-"))
        self.socket_path = self.sockets / "qmp"
        self.console = folder / "console.log"
        # One thread for all processors: with one each, QEMU 7.2 now and then runs a stale int3 of the kernel's text
        # patching, and the guest dies. It is no slower, because the guest mostly waits for one processor anyway.
        command = [
            "qemu-system-x86_64", "-accel", "tcg,thread=single", "-cpu", cpu, "-smp", str(cpus), "-m", str(memory >> 20),
            "-object", f"memory-backend-file,id=ram,size={memory},mem-path={folder / 'ram'},share=on",
            "-object", f"memory-backend-file,id=truth,size={TRUTH_SIZE},mem-path={folder / 'truth.records'},share=on",
            "-machine", "pc,memory-backend=ram", "-device", "ivshmem-plain,memdev=truth", "-device", "vmcoreinfo",
            "-device", "pvpanic", "-action", "panic=pause", "-no-reboot", "-display", "none", "-nodefaults", "-no-user-config",
            "-serial", f"file:{self.console}", "-qmp", f"unix:{self.socket_path},server=on,wait=off",
            "-kernel", str(vmlinuz), "-initrd", str(initramfs), "-append", cmdline,
        ]
        self.log = open(folder / "qemu.log", "wb")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True)
        self.channel = self._connect()
        self.ask("qmp_capabilities")

    def _connect(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            self.check()
            try:
                channel = socket.socket(socket.AF_UNIX)
                channel.connect(str(self.socket_path))
                channel.settimeout(300)
                lines = channel.makefile("rw", encoding="utf-8")
                lines.readline()
                return lines
            except (FileNotFoundError, ConnectionRefusedError):
                time.sleep(0.05)
        raise Trouble("QEMU does not open its control socket")

    def check(self):
        """Raises if QEMU has ended."""
        if self.process.poll() is not None:
            text = (self.folder / "qemu.log").read_text(errors="replace")
            raise Trouble(f"QEMU ended with status {self.process.returncode}: {text.strip()}")

    def ask(self, command, **arguments):
        """Runs a QMP command and returns what it returns; events on the way are dropped."""
        try:
            self.channel.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
            self.channel.flush()
        except OSError:
            last = self.console.read_text(errors="replace").strip().splitlines()[-2:]
            raise Trouble(f"QEMU has ended before {command}; the guest's last words: {' | '.join(last)}") from None
        while line := self.channel.readline():
            answer = json.loads(line)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise Trouble(f"QEMU refuses {command}: {answer['error']['desc']}")
        raise Trouble(f"QEMU closed its control socket during {command}")

    def status(self):
        """QEMU's word for what the machine does: "running", "guest-panicked" …"""
        return self.ask("query-status")["status"]

    def dump(self, target):
        """Writes the guest's memory as an ELF core."""
        self.ask("dump-guest-memory", paging=False, protocol=f"file:{target}")

    def end(self):
        """Ends QEMU; the RAM file stays."""
        if self.process.poll() is None:
            try:
                self.ask("quit")
                self.process.wait(30)
            except (Trouble, OSError, ValueError, subprocess.TimeoutExpired):
                self.process.kill()
                self.process.wait()
        self.forget()

    def forget(self):
        """Closes what this program holds of QEMU, which may live on."""
        with contextlib.suppress(OSError):
            self.channel.close()
        self.log.close()
        if self.process.poll() is not None:
            for path in self.sockets.glob("*"):
                os.unlink(path)
            self.sockets.rmdir()
