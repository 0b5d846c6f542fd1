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
MODULE, WITHOUT_FOLDER = "cpuid", "configfs"
DISGUISE = "kworker/0:9"
# include/linux/mm.h, VM_WRITE and VM_EXEC
WRITABLE_CODE = 0x2 | 0x4
RANGE = re.compile(r"(0x[0-9a-f]+)-(0x[0-9a-f]+)@(0x[0-9a-f]+)")
# A function of nothing but arithmetic, in which the kernel patches nothing behind the place of its tracers.
ARITHMETIC, BEHIND_TRACERS = "int_sqrt", 16
# A function that is traced, and what stands at the place of its tracers: nothing, in five bytes.
TRACED, NOTHING = "commit_creds", (bytes.fromhex("0f1f440000"), bytes.fromhex("6666666690"))
CHANGED_TEXT = "changed_text"
# A call of five bytes; a jump by a register, of the upper eight with a prefix. Bytes of the kernel's code in which such calls are looked for.
CALL, JUMP = re.compile(rb"\xe8(?=(.{4}))", re.DOTALL), re.compile(rb"\x41?\xff[\xe0-\xe7]")
SEARCHED, LAST = 4 << 20, (1 << 64) - 16
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
    ahead, behind = number(link.next), number(link.prev)
    return [(behind, word(ahead)), (ahead + 8, word(behind))]


def gate_to(handler):
    """The words of an IDT gate that say which code is entered: at their distances from its start (include/asm/desc_defs.h)."""
    return [(0, struct.pack("<H", handler & 0xffff)), (6, struct.pack("<H", handler >> 16 & 0xffff)), (8, struct.pack("<I", handler >> 32))]


def tamperings(memory):
    """Everything that is done, at addresses that drgn finds. The code of a hook is `init_task`, which is none."""
    users = [task for task in memory.tasks if task.mm and number(task.pid) > 1]
    if len(users) < 6:
        raise Trouble("the guest has too few processes to tamper with")
    strange = memory.address("init_task")
    return [*hidden(memory, users), *hooked(memory, strange), *misused(memory, users), *rewritten(memory, strange)]


def number(thing):
    """A drgn object as a number."""
    return int(thing.value_())


def hidden(memory, users):
    """Tasks and modules that are taken out of lists."""
    modules = {module.name.string_().decode(): module for module in memory.modules()}
    for name in (MODULE, WITHOUT_FOLDER):
        if name not in modules:
            raise Trouble(f"the guest has no module `{name}`")
    victim, nameless = users[0], users[2]
    thread, named = {"tid": number(victim.pid)}, {"module": MODULE}
    leader = nameless.thread_pid.tasks[memory.program["PIDTYPE_TGID"]].first
    return [
        Tampering("task unlinked", unlinked(victim.tasks), {
            "hidden_tasks": {"pid": number(victim.pid)}, "hidden_threads": thread, "hidden_tasks_in_control_groups": thread,
            "hidden_tasks_in_slabs": thread}),
        Tampering("process id taken away", [(leader.address_, word(0))], {"tasks_without_pid": {"pid": number(nameless.pid)}}),
        Tampering("module unlinked", unlinked(modules[MODULE].list), {
            "hidden_modules": named, "hidden_modules_in_tree": named, "hidden_modules_in_memory": {}}),
        Tampering("module's folder taken away", unlinked(modules[WITHOUT_FOLDER].mkobj.kobj.entry), {
            "modules_without_folder": {"name": WITHOUT_FOLDER}}),
    ]


def hooked(memory, strange):
    """Tables of functions in which an entry leads to what is no code."""
    program, code = memory.program, f"{strange:#x}"
    table, gates = memory.address("sys_call_table"), memory.address("idt_table") + 16 * PAGE_FAULT

    def redirected(what, pointer, check, **says):
        return Tampering(f"{what} redirected", [(pointer.address_, word(strange))], {check: says})

    return [
        Tampering("system call redirected", [(table + 8 * GETDENTS64, word(strange))], {
            "hooked_system_calls": {"nr": GETDENTS64, "handler": code}}),
        Tampering("IDT gate redirected", [(gates + at, data) for at, data in gate_to(strange)], {
            "hooked_interrupt_gates": {"vector": PAGE_FAULT, "handler": code}}),
        redirected("seq_operations", program["tcp4_seq_ops"].show, "hooked_sequence_files", name="tcp", table_of="tcp4_seq_ops", function=code),
        # The root of a mounted file system, too.
        Tampering("folder of /proc redirected", [(program["proc_root"].proc_dir_ops.iterate_shared.address_, word(strange))], {
            "hooked_proc_files": {"name": "/proc", "function": code}, "hooked_file_systems": {"function": code}}),
        redirected("soft interrupt", program["softirq_vec"][3].action, "hooked_interrupt_handlers", kind="softirq", number=3),
        redirected("sockets' files", program["socket_file_ops"].read_iter, "hooked_open_files", function=code),
        redirected("tmpfs", program["shmem_ops"].statfs, "hooked_file_systems", table_of="shmem_ops", function=code),
        redirected("notifier", program["module_notify_list"].head.notifier_call, "hooked_module_notifiers", notifier_call=code),
        redirected("tracer", program["ftrace_list_end"].func, "strange_tracers", called=code),
        redirected("program loader", program["elf_format"].load_binary, "strange_program_loaders", called=code),
    ]


def misused(memory, users):
    """Processes with what is not theirs: another's credentials, a kernel thread's name, memory that is writable code."""
    first, thief, writable, disguised = memory.first, users[-2], users[1], users[3]
    credentials = [(pointer.address_, word(number(owned))) for pointer, owned in ((thief.real_cred, first.real_cred), (thief.cred, first.cred))]
    mapping = anonymous_mapping(writable)
    flags = mapping.vm_flags
    written = {"pid": number(writable.pid), "start": f"{number(mapping.vm_start):#x}"}
    return [
        Tampering("credential shared", credentials, {"shared_credentials": {"pids": f"1 {number(thief.pid)}"}}),
        Tampering("named as kernel thread", [(disguised.comm.address_, DISGUISE.encode() + bytes(16 - len(DISGUISE)))], {
            "disguised_programs": {"pid": number(disguised.pid), "comm": DISGUISE}}),
        Tampering("mapping made writable code", [(flags.address_, word(number(flags) | WRITABLE_CODE))], {
            "writable_code": written, "unbacked_code": written}),
    ]


def rewritten(memory, strange):
    """Code of the kernel that is not what it was: one bit of a function, and a call where a tracer would be called, of what is none."""
    at = memory.address(ARITHMETIC) + BEHIND_TRACERS
    was = memory.program.read(at, 1)[0]
    start = memory.address(TRACED)
    code = memory.program.read(start, 16)
    place = next((start + code.index(nothing) for nothing in NOTHING if nothing in code), None)
    if place is None:
        raise Trouble(f"`{TRACED}` has no place for tracers: {code.hex()}")
    call = b"\xe8" + struct.pack("<i", strange - (place + 5))
    return [
        *elsewhere(memory),
        Tampering("code changed", [(at, bytes([was ^ 1]))], {
            "changed_text": {"symbol": f"{ARITHMETIC}+{BEHIND_TRACERS:#x}", "length": 1, "place_of": None}}),
        Tampering("function intercepted", [(place, call)], {"changed_text": {"place_of": "traced functions", "leads_to": f"{strange:#x}"}}),
    ]


def elsewhere(memory):
    """What only some processors have: code that counts calls in the empty space before a function, indirect jumps outside of the kernel."""
    found = []
    start, counter = memory.address(TRACED), counter_of(memory)
    if counter and memory.program.read(start - len(counter), 4) == counter[:4]:
        found.append(Tampering("call counter changed", [(start - 1, b"\x06")], {"changed_text": {"place_of": "call counters"}}))
    thunk = indirect_jump(memory)
    if thunk is not None:
        code = memory.program.read(thunk, 3)
        # jmp *%reg, of an upper register with a prefix: by the register beside it.
        at = thunk + (2 if code[0] == 0x41 else 1)
        other = memory.program.read(at, 1)[0] ^ 1
        found.append(Tampering("indirect jump changed", [(at, bytes([other]))], {
            "changed_text": {"place_of": "retpolines", "leads_to": f"{thunk:#x}"}}))
    return found


def counter_of(memory):
    """What the kernel copies before functions to count calls; nothing on kernels that never do."""
    if not has_symbol(memory, "skl_call_thunk_template"):
        return b""
    start, end = memory.address("skl_call_thunk_template"), memory.address("skl_call_thunk_tail")
    return memory.program.read(start, end - start)


def indirect_jump(memory):
    """Where the first call that the kernel led out of its own code, to nothing but a jump by a register, leads; None where there is none."""
    if not has_symbol(memory, "its_page"):
        return None
    start, end = memory.address("_stext"), memory.address("_etext")
    code = memory.program.read(start, min(SEARCHED, end - start))
    for call in CALL.finditer(code):
        target = start + call.end() + 4 + struct.unpack("<i", call.group(1))[0]
        if end <= target < LAST and JUMP.match(readable(memory, target, 3)):
            return target
    return None


def readable(memory, address, length):
    """Bytes at an address; none where nothing is mapped."""
    try:
        return memory.program.read(address, length)
    except LookupError:
        return b""
    except Exception as error:  # drgn's own, which is imported with drgn only
        if type(error).__name__ != "FaultError":
            raise
        return b""


def anonymous_mapping(task):
    """A mapping of a process that is no file's, and not its stack or heap."""
    from drgn.helpers.linux.mm import for_each_vma
    for vma in for_each_vma(task.mm):
        if not vma.vm_file and not vma.vm_ops and number(vma.vm_start) > number(task.mm.brk):
            return vma
    raise Trouble(f"process {number(task.pid)} has no anonymous mapping")


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
    booted = kernels.prepare(meta["version"])
    profile = programs.profile_of(folder, booted)
    memory = expressions.Memory(folder)
    lacking = [name for name, symbol in MAY_LACK.items() if not has_symbol(memory, symbol)]
    done, kernel = tamperings(memory), memory.program["init_mm"].address_of_()
    vmlinux = ["--vmlinux", booted.vmlinux]
    if "older" in meta:
        # The code is that of the kernel that was booted, whose BPF leads to what the older layouts do not know.
        vmlinux, done = [], [one for one in done if CHANGED_TEXT not in one.finds]
        lacking.append(CHANGED_TEXT)
    with copied(folder) as (ram, flags):
        for name, chosen in [("clean", []), *((one.name, [one]) for one in done), ("all together", done)]:
            for address, data in (write for one in chosen for write in one.writes):
                ram.write(int(follow_phys(kernel, address)), data)
            started = time.monotonic()
            answer = programs.query(flags, profile, [*vmlinux, "-e", SCRIPT])
            ram.restore()
            expected = {check: says for one in chosen for check, says in one.finds.items()}
            wrong = judge(answer.rows, answer.status, expected, lacking)
            checks = sum("verdict" in row for row in answer.rows)
            seen = ", ".join(expected) or "no finding"
            yield name, not wrong, "; ".join(wrong) or f"{checks} checks, {time.monotonic() - started:.1f} s: {seen}"


def clean(folder, programs):
    """Whether nothing is found on a guest as it is, which needs no core; and words."""
    booted = kernels.prepare(json.loads((folder / "meta.json").read_text())["version"])
    profile, words = programs.profile_of(folder, booted), ["--vmlinux", booted.vmlinux, "-e", SCRIPT]
    answer = programs.query(target.image_flags(folder), profile, words)
    without = [row["check"] for row in answer.rows if row.get("verdict") == "not applicable"]
    wrong = judge(answer.rows, answer.status, {}, [name for name in without if name in MAY_LACK])
    return not wrong, "; ".join(wrong) or f"{sum('verdict' in row for row in answer.rows)} checks, no finding"


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
