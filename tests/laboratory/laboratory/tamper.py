"""Tampering in a copy of a stopped guest's RAM file: what a rootkit would leave is written there, and `use "integrity"` must find it.

Where to write is found by drgn in the guest's core, not by the program under test. One copy serves all: what is written is taken back.
"""

import contextlib
import dataclasses
import json
import pathlib
import re
import struct
import tempfile
import time

from . import kernels, language, target
from .places import Trouble, cache, run

SCRIPT = 'use "integrity"\ncheck'
GETDENTS64 = 217
PAGE_FAULT = 14
MODULE = "cpuid"
# include/linux/mm.h, VM_WRITE and VM_EXEC
WRITABLE_CODE = 0x2 | 0x4
RANGE = re.compile(r"(0x[0-9a-f]+)-(0x[0-9a-f]+)@(0x[0-9a-f]+)")
# Checks that a kernel may lack the symbols for, and the symbol.
MAY_LACK = {"hooked_system_calls_32": "ia32_sys_call_table"}


@dataclasses.dataclass
class Tampering:
    """One thing that is done to a kernel."""

    name: str
    # Kernel addresses, and what is written there.
    writes: list
    # For each check that must find it: what one of its rows must say.
    finds: dict


class Ram:
    """A copy of a guest's RAM file that can be written and put right again."""

    def __init__(self, path, image_map):
        self.file = open(path, "r+b")
        self.image_map = image_map
        self.before = []

    def write(self, physical, data):
        """Writes at a physical address, and remembers what was there."""
        self.file.seek(offset_in_file(self.image_map, physical))
        was = self.file.read(len(data))
        self.before.append((physical, was))
        self._put(physical, data)

    def restore(self):
        """Takes everything back, the last first."""
        while self.before:
            self._put(*self.before.pop())

    def _put(self, physical, data):
        self.file.seek(offset_in_file(self.image_map, physical))
        self.file.write(data)
        self.file.flush()


def offset_in_file(image_map, physical):
    """Where in a RAM file a physical address is."""
    for start, end, offset in RANGE.findall(image_map):
        if int(start, 16) <= physical < int(end, 16):
            return physical - int(start, 16) + int(offset, 16)
    raise Trouble(f"{physical:#x} is not in the image map {image_map}")


def word(value):
    """A pointer as it lies in memory."""
    return struct.pack("<Q", value)


def unlinked(link):
    """The writes that take an element out of its list, which goes on pointing into it."""
    ahead, behind = int(link.next.value_()), int(link.prev.value_())
    return [(behind, word(ahead)), (ahead + 8, word(behind))]


def gate_to(handler):
    """The words of an IDT gate that say which code is entered: at their distances from its start (include/asm/desc_defs.h)."""
    return [(0, struct.pack("<H", handler & 0xffff)), (6, struct.pack("<H", handler >> 16 & 0xffff)), (8, struct.pack("<I", handler >> 32))]


def tamperings(memory):
    """Everything that is done, at addresses that drgn finds. The code of a hook is `init_task`, which is none."""
    program, strange = memory.program, memory.address("init_task")
    users = [task for task in memory.tasks if task.mm and int(task.pid.value_()) > 1]
    victim, thief, writable = users[0], users[-2], users[1]
    first = memory.first
    modules = {module.name.string_().decode(): module for module in memory.modules()}
    module = modules.get(MODULE)
    if module is None:
        raise Trouble(f"the guest has no module `{MODULE}`")
    pid, table = int(victim.pid.value_()), memory.address("sys_call_table")
    shows = program["tcp4_seq_ops"].show.address_
    gates = memory.address("idt_table") + 16 * PAGE_FAULT
    credentials = [(pointer.address_, word(int(getattr(first, name).value_())))
                   for name, pointer in (("real_cred", thief.real_cred), ("cred", thief.cred))]
    mapping = anonymous_mapping(writable)
    flags = mapping.vm_flags
    hidden = {"tid": pid}
    written = {"pid": int(writable.pid.value_()), "start": f"{int(mapping.vm_start.value_()):#x}"}
    return [
        Tampering("task unlinked", unlinked(victim.tasks), {
            "hidden_tasks": {"pid": pid}, "hidden_threads": hidden, "hidden_tasks_in_control_groups": hidden, "hidden_tasks_in_slabs": hidden}),
        Tampering("module unlinked", unlinked(module.list), {
            "hidden_modules": {"module": MODULE}, "hidden_modules_in_tree": {"module": MODULE}, "hidden_modules_in_memory": {}}),
        Tampering("system call redirected", [(table + 8 * GETDENTS64, word(strange))], {
            "hooked_system_calls": {"nr": GETDENTS64, "handler": f"{strange:#x}"}}),
        Tampering("IDT gate redirected", [(gates + at, data) for at, data in gate_to(strange)], {
            "hooked_interrupt_gates": {"vector": PAGE_FAULT, "handler": f"{strange:#x}"}}),
        Tampering("seq_operations redirected", [(shows, word(strange))], {
            "hooked_sequence_files": {"name": "tcp", "table_of": "tcp4_seq_ops", "function": f"{strange:#x}"}}),
        Tampering("credential shared", credentials, {"shared_credentials": {"pids": f"1 {int(thief.pid.value_())}"}}),
        Tampering("mapping made writable code", [(flags.address_, word(int(flags.value_()) | WRITABLE_CODE))], {
            "writable_code": written, "unbacked_code": written}),
    ]


def anonymous_mapping(task):
    """A mapping of a process that is no file's, and not its stack or heap."""
    from drgn.helpers.linux.mm import for_each_vma
    for vma in for_each_vma(task.mm):
        if not vma.vm_file and not vma.vm_ops and int(vma.vm_start.value_()) > int(task.mm.brk.value_()):
            return vma
    raise Trouble(f"process {int(task.pid.value_())} has no anonymous mapping")


def judge(rows, status, expected, lacking=()):
    """What is wrong with the answer of `check`, in words; nothing where it found what is expected and nothing else."""
    verdicts = {row["check"]: row for row in rows if "verdict" in row}
    wrong = [] if verdicts else ["there are no verdicts"]
    for name, row in verdicts.items():
        wanted = "finding" if name in expected else "not applicable" if name in lacking else "clean"
        if row["verdict"] != wanted:
            wrong.append(f"{name}: {row['verdict']} ({row['why'] or row['findings']}), not {wanted}")
    for name, says in expected.items():
        found = [row for row in rows if row["check"] == name and "verdict" not in row]
        if not any(says.items() <= row.items() for row in found):
            wrong.append(f"{name}: no row says {says}; {found[:2]}")
    if status != (1 if expected else 0):
        wrong.append(f"exit status {status}")
    return wrong


def check(folder, programs):
    """The clean guest, each tampering by itself, and all together: name, whether all is as it must be, and words."""
    language.install_drgn()
    from . import expressions
    from drgn.helpers.linux.mm import follow_phys
    folder = pathlib.Path(folder)
    if not (folder / "core.elf").exists():
        raise Trouble(f"{folder} has no core.elf: boot it with --core")
    meta = json.loads((folder / "meta.json").read_text())
    profile = programs.profile(kernels.prepare(meta["version"]))
    memory = expressions.Memory(folder)
    lacking = [name for name, symbol in MAY_LACK.items() if not has_symbol(memory, symbol)]
    done, kernel = tamperings(memory), memory.program["init_mm"].address_of_()
    with copied(folder) as (ram, flags):
        for name, chosen in [("clean", []), *((one.name, [one]) for one in done), ("all together", done)]:
            for address, data in (write for one in chosen for write in one.writes):
                ram.write(int(follow_phys(kernel, address)), data)
            started = time.monotonic()
            answer = programs.query(flags, profile, ["-e", SCRIPT])
            ram.restore()
            expected = {check: says for one in chosen for check, says in one.finds.items()}
            wrong = judge(answer.rows, answer.status, expected, lacking)
            checks = sum("verdict" in row for row in answer.rows)
            seen = ", ".join(expected) or "no finding"
            yield name, not wrong, "; ".join(wrong) or f"{checks} checks, {time.monotonic() - started:.1f} s: {seen}"


def has_symbol(memory, name):
    """Whether the kernel has a symbol of this name."""
    try:
        memory.address(name)
    except LookupError:
        return False
    return True


@contextlib.contextmanager
def copied(folder):
    """A copy of the guest's RAM file, with the flags that read it; it needs no more room than the guest wrote to."""
    with tempfile.TemporaryDirectory(prefix="tamper-", dir=cache()) as scratch:
        copy = pathlib.Path(scratch) / "ram"
        run("cp", "--sparse=always", "--reflink=auto", folder / "ram", copy)
        image_map = (folder / "image-map").read_text().strip()
        yield Ram(copy, image_map), ["--image", str(copy), "--image-map", image_map]
