"""Every operator and function of NQ on a real kernel, beside the same value computed by drgn.

What this kernel has not (a symbol, a type, a member; maple trees before 6.1) is counted as absent where drgn does not find it either.
"""

import importlib.util
import json
import pathlib
import re
import sys

from . import kernels, target
from .places import Trouble, cache, run, say

SHOWN = 12

# Addresses, and numbers that no JSON number holds exactly, are texts in JSON.
NUMBER = re.compile(r"0x[0-9a-f]+|-?[0-9]{16,}")


def install_drgn():
    """Installs the Python package drgn into the laboratory's cache if it is missing."""
    folder = cache() / "python"
    if folder.is_dir() and str(folder) not in sys.path:
        sys.path.append(str(folder))
    if importlib.util.find_spec("drgn") is None:
        say("installing drgn")
        run(sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, "drgn")
        sys.path.append(str(folder))
        importlib.invalidate_caches()


def plain(value):
    """A value as nettlp-q writes it in JSON, so that addresses and numbers compare."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, str) and NUMBER.fullmatch(value):
        return int(value, 0)
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return value


def same(one, other):
    """Whether two values are equal; numbers with fractions to twelve digits; truth is no number."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) or isinstance(other, float):
        return (isinstance(one, (int, float)) and isinstance(other, (int, float))
                and abs(one - other) <= 1e-12 * max(abs(one), abs(other), 1))
    return isinstance(one, bool) == isinstance(other, bool) and one == other


class Comparison:
    """What was compared, and how it came out."""

    def __init__(self):
        self.compared = 0
        self.absent = []
        self.differences = []

    def add(self, what, computed, expected):
        """Compares one value or the rows of one query."""
        self.compared += 1
        if not same(computed, expected):
            self.differences.append(f"{what}\n    NQ   {str(computed)[:300]}\n    drgn {str(expected)[:300]}")

    def line(self):
        """The outcome in words."""
        return f"{self.compared} compared, {len(self.differences)} differing, {len(self.absent)} absent"


def expectation(compute, memory):
    """What drgn says; `None` where it knows no such thing of this kernel."""
    try:
        return [plain(compute(memory))]
    except (AttributeError, KeyError, LookupError):
        return None


def compare(folder, programs):
    """Compares everything on a guest with a core."""
    install_drgn()
    from . import expressions
    folder = pathlib.Path(folder)
    if not (folder / "core.elf").exists():
        raise Trouble(f"{folder} has no core.elf: boot it with --core")
    meta = json.loads((folder / "meta.json").read_text())
    profile = programs.profile(kernels.prepare(meta["version"]))
    memory, result = expressions.Memory(folder), Comparison()

    def ask(words):
        return programs.query(target.image_flags(folder), profile, words)

    def judge(what, answer, computed, wanted):
        if answer.status == 0 and wanted is not None:
            result.add(what, plain(computed), wanted[0])
        elif answer.status == 2 and wanted is None:
            result.absent.append(what)
        else:
            result.add(what, f"status {answer.status}: {answer.notes.strip()[:400]}", wanted[0] if wanted else "not there")

    known = [(text, expectation(compute, memory)) for text, compute in expressions.VALUES]
    texts = [text for text, wanted in known if wanted is not None]
    together = ask(["-e", "\n".join(f"print {text}" for text in texts)])
    values = iter(together.rows) if together.status == 0 and len(together.rows) == len(texts) else None
    for text, wanted in known:
        answer = together if values and wanted is not None else ask(["-e", f"print {text}"])
        row = next(values) if answer is together else (answer.rows or [{}])[0]
        judge(text, answer, row.get("value"), wanted)
    for text, compute, is_ordered in expressions.QUERIES:
        wanted, answer = expectation(compute, memory), ask(["-e", text])
        rows = [list(row.values()) for row in answer.rows]
        if wanted is not None and not is_ordered:
            rows, wanted = sorted(map(plain, rows), key=repr), [sorted(wanted[0], key=repr)]
        judge(text, answer, rows, wanted)
    compare_clock(folder, ask, result)
    return result


def compare_clock(folder, ask, result):
    """The time since boot beside /proc/uptime, which was read before the guest was stopped: a second or two earlier."""
    uptime = float((folder / "truth/raw/proc_uptime").read_text().split()[0])
    answer = ask(["-e", "print boot_clock(), ago(task(1).start_time)"])
    values = [row["value"] for row in answer.rows]
    clock = values[0] / 1e9 if values and isinstance(values[0], int) else None
    result.add("boot_clock() beside /proc/uptime", clock is not None and -0.05 <= clock - uptime <= 5, True)
    result.add("ago(task(1).start_time) is the time since boot, or nearly", len(values) == 2 and isinstance(values[1], int)
               and 0 <= values[0] - values[1] < 3e9, True)


def show(title, result):
    """Prints the differences, and one line; returns how many differ."""
    for difference in result.differences[:SHOWN]:
        print(f"  {difference}")
    for what in result.absent:
        print(f"  absent: {what}")
    print(f"{title}: {result.line()}", flush=True)
    return len(result.differences)
