"""What making a profile costs: time and peak memory of nettlp-profile, beside pahole on the same file in the same run."""

import os
import pathlib
import subprocess
import tempfile
import time

from .places import Trouble, cache

# Bounds of a full profile from DWARF: seconds, MB of memory (mapped file pages included), and how much faster than pahole.
SECONDS, MEGABYTES, TIMES = 2.0, 700, 5.0
# The bound of a profile from BTF, in seconds.
BTF_SECONDS = 0.15


def run_once(command):
    """Runs a command with nothing to read; (seconds by the clock, seconds of processors, peak resident MB)."""
    words, started = [str(word) for word in command], time.monotonic()
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # wait4 tells the peak of this very process; ru_maxrss counts mapped file pages too.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Trouble(f"`{' '.join(words)}` ended with status {process.returncode}")
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000


def best(runs, command):
    """The quickest of several runs by the clock, with the least of the others' figures that it can have had."""
    results = [run_once(command) for _ in range(runs)]
    return tuple(min(column) for column in zip(*results))


def show(name, result):
    """One line of the table."""
    wall, processor, memory = result
    print(f"{name:34} {wall:8.2f} s {processor:8.2f} s {memory:8.0f} MB", flush=True)


def takes_btf(programs):
    """Whether this nettlp-profile can be told to read BTF."""
    told = subprocess.run([programs.folder / "nettlp-profile", "--help"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return b"--from" in told.stdout


def measure(kernel, programs, runs):
    """Prints what it costs; whether every bound is kept."""
    maker = programs.folder / "nettlp-profile"
    print(f"{kernel.release}, {kernel.vmlinux.stat().st_size / 1e6:.0f} MB, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, "
          f"best of {runs}")
    print(f"{'':34} {'clock':>10} {'processors':>10} {'peak':>11}")
    with tempfile.TemporaryDirectory(prefix="cost-", dir=cache()) as name:
        out = pathlib.Path(name) / "profile.yaml"
        # The file is in the page cache before anything is measured, for both.
        run_once([maker, kernel.vmlinux, "-o", out])
        first = out.read_bytes()
        ours = best(runs, [maker, kernel.vmlinux, "-o", out])
        show("nettlp-profile", ours)
        same = out.read_bytes() == first
        pahole = best(max(1, min(runs, 3)), ["pahole", "-F", "dwarf", "--sizes", kernel.vmlinux])
        show("pahole -F dwarf --sizes", pahole)
        btf = None
        if takes_btf(programs):
            btf = best(runs, [maker, "--from", "btf", kernel.vmlinux, "-o", out])
            show("nettlp-profile --from btf", btf)
    checks = [
        (ours[0] <= SECONDS, f"{ours[0]:.2f} s (at most {SECONDS})"),
        (ours[2] <= MEGABYTES, f"{ours[2]:.0f} MB (at most {MEGABYTES})"),
        (pahole[0] / ours[0] >= TIMES, f"{pahole[0] / ours[0]:.1f} times as fast as pahole (at least {TIMES:.0f})"),
        (same, f"{len(first)} bytes, the same each time"),
    ]
    if btf:
        checks.append((btf[0] <= BTF_SECONDS, f"BTF in {btf[0] * 1000:.0f} ms (at most {BTF_SECONDS * 1000:.0f})"))
    for good, detail in checks:
        print("ok    " if good else "FAILED", detail)
    return all(good for good, _ in checks)
