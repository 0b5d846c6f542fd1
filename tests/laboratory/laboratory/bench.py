"""Guests of several sizes, measured by nettlp-bench: docs/bench.json, and docs/bench.svg from it.

The JSON: `command` (what to run to do it again) and `guests`, each what nettlp-bench wrote of one guest.
"""

import json
import pathlib
import shlex
import shutil
import subprocess
import tempfile

from . import boot, figure, kernels, target
from .places import REPOSITORY, Trouble, cache, say

FORMAT = "nettlp-bench-guests/1"
DOCS = REPOSITORY / "docs"
# Memory for so many tasks: a process of the guest takes about 100 KiB.
MEMORY = ((500, "256M"), (2000, "512M"), (5000, "2G"), (20000, "4G"))


def bench(version, tasks, guests, output, programs, options):
    """Boots or takes guests, measures them and writes the two files."""
    program = programs.folder / "nettlp-bench"
    if not program.exists():
        raise Trouble(f"{program} is missing: run `cargo build --release` first")
    output = pathlib.Path(output)
    output.mkdir(parents=True, exist_ok=True)
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=cache()))
    try:
        found = [measure(program, programs, pathlib.Path(folder), scratch, options) for folder in guests]
        for number in () if guests else tasks:
            boot.boot(boot.Plan(version, memory=memory_for(number), tasks=number), scratch / "guest")
            found.append(measure(program, programs, scratch / "guest", scratch, options))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    numbers = ",".join(str(number) for number in sorted(guest["tasks"] for guest in found))
    result = {"format": FORMAT, "command": f"tests/laboratory/lab bench --tasks {numbers}", "guests": found}
    (output / "bench.json").write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    (output / "bench.svg").write_text(figure.figure(result))
    return output / "bench.json", output / "bench.svg"


def redraw(output):
    """Draws the figure of a bench.json again."""
    output = pathlib.Path(output)
    (output / "bench.svg").write_text(figure.figure(json.loads((output / "bench.json").read_text())))


def memory_for(tasks):
    """RAM of a guest with so many tasks."""
    for most, memory in MEMORY:
        if tasks <= most:
            return memory
    raise Trouble(f"guests have at most {MEMORY[-1][0]} tasks")


def measure(program, programs, folder, scratch, options):
    """What nettlp-bench says of one guest."""
    meta = json.loads((folder / "meta.json").read_text())
    kernel = kernels.prepare(meta["version"])
    if kernel.release != meta["release"]:
        raise Trouble(f"{folder} runs {meta['release']}, the cache holds {kernel.release}: boot the guest again")
    written = scratch / "bench.json"
    command = [program, *target.image_flags(folder), "-p", programs.profile(kernel), "-o", written, *options]
    say(f"{meta['tasks']} tasks: {shlex.join(str(word) for word in command)}")
    if subprocess.run(command, stdin=subprocess.DEVNULL).returncode != 0:
        raise Trouble(f"nettlp-bench failed on {folder}")
    found = json.loads(written.read_text())
    # Where the guest's folder was is of no interest; what was in it is.
    found["image"] = f"guest of {meta['release']} with {meta['tasks']} more tasks, KASLR {'on' if meta['kaslr'] else 'off'}"
    return {"tasks": meta["tasks"], **found}
