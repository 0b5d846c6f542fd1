"""The whole matrix: which kernels are booted how, by which ways they are read, and what must hold for each."""

import dataclasses
import json
import pathlib
import shutil
import tempfile
import time

from . import boot, compare, compared, costs, kernels, language, older, origins, pahole, predictions, scripts, tamper, target
from .places import Trouble, cache, say

MANY = 1000
# What the guest needs for describing that many processes: nothing gives memory back while it tells the truth.
ROOMY = "512M"
QUICK = ("6.1", "6.12")
# The kernel of which there is a guest with MANY: scripts are measured on its first guest and on that one.
SCRIPTED = "6.1"
# Processors on which kernels patch their own code in other ways than on QEMU's `max`: an Intel one that needs IBRS at each entry and has
# its indirect jumps outside of the kernel, and an AMD one with other returns. The software emulation lacks what they tell of, which is
# forced; the kernel only writes registers that are ignored.
INTEL = "max,vendor=GenuineIntel,family=6,model=94,stepping=3,+spec-ctrl,x-force-features=on"
AMD = "max,vendor=AuthenticAMD,family=25,model=1,stepping=1,+ibpb,x-force-features=on"
# Calls are counted.
STUFFED = "spectre_v2=retpoline retbleed=stuff"
PROCESSORS = [("6.1", INTEL, ""), ("6.12", INTEL, STUFFED), ("6.12", AMD, ""), ("7", INTEL, "")]


@dataclasses.dataclass
class Guest:
    """One guest of the matrix, and the ways by which it is read."""

    version: str
    kaslr: str = "on"
    levels: int = 5
    memory: str = "256M"
    tasks: int = 0
    ways: tuple = ("image", "adapter")
    # Of a guest with another processor it is only checked that nothing is found on it.
    cpu: str = ""
    append: str = ""

    def title(self):
        """One line that tells it from the others."""
        extra = f", {self.tasks} more tasks" if self.tasks else ""
        extra += ", AMD" if "AMD" in self.cpu else ", Intel" if "Intel" in self.cpu else ""
        extra += f", {self.append}" if self.append else ""
        return f"{self.version}, KASLR {self.kaslr}, {self.levels}-level, {self.memory}{extra}"


def guests(quick, versions):
    """The guests of the run; each version in every form that it can take, or the two of QUICK in the forms that differ."""
    every_way = tuple(target.WAYS)
    if quick:
        return [
            Guest("6.1", ways=every_way), Guest("6.1", kaslr="off", levels=4), Guest("6.1", memory="5G", ways=("adapter",)),
            Guest("6.1", memory=ROOMY, tasks=MANY, ways=("adapter",)), Guest("6.12", ways=every_way), Guest("6.12", levels=4),
        ]
    found = []
    for version in versions:
        levels = (5, 4) if kernels.prepare(version).has_five_levels() else (4,)
        for level in levels:
            for kaslr in ("on", "off"):
                first = level == levels[0] and kaslr == "on"
                found.append(Guest(version, kaslr, level, ways=every_way if first else ("image", "adapter")))
        found.append(Guest(version, levels=levels[0], memory="5G", ways=("adapter",)))
    found += [Guest(version, ways=(), cpu=cpu, append=append) for version, cpu, append in PROCESSORS if version in versions]
    return [*found, Guest("6.1", memory=ROOMY, tasks=MANY, ways=("adapter", "faults"))]


def available(versions, score):
    """The versions that can be had; one of QUICK that cannot is a failure, another a line in the table."""
    found = []
    for version in versions:
        try:
            kernels.prepare(version)
            found.append(version)
        except Trouble as trouble:
            say(f"error: {trouble}")
            score.add(version, "download", None if version not in QUICK else False, str(trouble).splitlines()[0])
    return found


class Score:
    """What passed and what failed."""

    def __init__(self):
        self.lines = []
        self.tally = compared.Tally()
        self.scripts = {}  # what scripts cost on a small guest of a version

    def count(self, outcome):
        """How many checks passed (True), failed (False) or could not be made (None)."""
        return sum(good is outcome for _, _, good, _ in self.lines)

    def add(self, title, what, good, detail):
        """Notes one check."""
        self.lines.append((title, what, good, detail))

    def show(self):
        """Prints the final table and the closing line."""
        width = max((len(title) for title, *_ in self.lines), default=0)
        print()
        for title, what, good, detail in self.lines:
            word = {True: "ok", False: "FAILED", None: "absent"}[good]
            print(f"{word:6}  {title:{width}}  {what:12}  {detail}")
        print(f"\n{self.count(True)} passed, {self.count(False)} failed")


def run(quick, programs, only=()):
    """Boots and compares everything; returns whether all of it passed."""
    score, folder = Score(), pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=cache()))
    try:
        versions = available(only or (QUICK if quick else kernels.SUITES), score)
        for version in versions:
            check_layouts(version, programs, score)
        for guest in guests(quick, versions):
            if guest.version in versions:
                try_guest(guest, folder / "guest", programs, score)
        check_refusal(folder / "guest", programs, score)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    score.show()
    if not quick:
        score.tally.write()
    return score.count(True) > 0 and score.count(False) == 0


def check_layouts(version, programs, score):
    """Every struct and union of the kernel's profile beside what pahole reads from its BTF."""
    started, kernel = time.monotonic(), kernels.prepare(version)
    try:
        result = pahole.compare(kernel.vmlinux, programs.profile(kernel), "btf")
    except Trouble as trouble:
        score.add(kernel.release, "pahole", False, str(trouble).splitlines()[0])
        return
    for line in result.details():
        say(line)
    score.add(kernel.release, "pahole", result.good(), f"{result.line()}, {time.monotonic() - started:.1f} s")


def try_guest(guest, folder, programs, score):
    """Boots one guest and reads it by its ways; trouble with one is a failed check and not the end of the run."""
    plan = boot.Plan(guest.version, guest.kaslr, guest.levels, guest.memory, tasks=guest.tasks, core="core" in guest.ways,
                     cpu=guest.cpu, append=guest.append)
    try:
        boot.boot(plan, folder)
    except Trouble as trouble:
        score.add(guest.title(), "boot", False, str(trouble).splitlines()[0])
        say(f"error: {trouble}")
        return
    if guest.cpu:
        check_clean(guest, folder, programs, score)
        return
    for name in guest.ways:
        release = json.loads((folder / "meta.json").read_text())["release"]
        compare_by(name, guest.title(), folder, programs, score, guest.version, release)
    if "core" in guest.ways:
        check_origins(guest, folder, programs, score)
        check_language(guest, folder, programs, score)
        check_tampering(guest.title(), folder, programs, score)
    if "core" in guest.ways and guest.version == older.VERSION:
        for version in older.OLDER:
            check_older(version, folder, programs, score)
    if guest.tasks:
        check_cost(guest, folder, programs, score)
        check_predictions(guest, folder, programs, score)
    if guest.version == SCRIPTED:
        check_scripts(guest, folder, programs, score)


def compare_by(name, title, folder, programs, score, version, release):
    """Every row of a guest by one way."""
    started = time.monotonic()
    try:
        results = compare.compare(folder, name, programs)
    except Trouble as trouble:
        score.add(title, name, False, str(trouble).splitlines()[0])
        say(f"error: {trouble}")
        return
    differing = compare.show(f"{title}, {name}", results)
    score.tally.add(version, release, results)
    rows = sum(result.rows for result in results)
    score.add(title, name, differing == 0, f"{rows} rows, {differing} differing, {time.monotonic() - started:.1f} s")


def check_origins(guest, folder, programs, score):
    """Profiles from BTF, from vmlinuz alone and from memory alone."""
    try:
        for what, good, detail in origins.check(folder, programs):
            score.add(guest.title(), f"from {what}", good, detail)
    except Trouble as trouble:
        score.add(guest.title(), "origins", False, str(trouble).splitlines()[0])
        say(f"error: {trouble}")


def check_language(guest, folder, programs, score):
    """Every operator and function of NQ beside drgn."""
    try:
        result = language.compare(folder, programs)
    except Trouble as trouble:
        score.add(guest.title(), "language", False, str(trouble).splitlines()[0])
        say(f"error: {trouble}")
        return
    differing = language.show(f"{guest.title()}, language", result)
    score.tally.add_language(guest.version, result.compared, differing)
    score.add(guest.title(), "language", differing == 0 and result.compared >= 80, result.line())


def check_tampering(title, folder, programs, score):
    """What a rootkit leaves, written into the guest's RAM, is found, and nothing else."""
    try:
        for what, good, detail in tamper.check(folder, programs):
            score.add(title, "tamper", good, f"{what}: {detail}")
    except Trouble as trouble:
        score.add(title, "tamper", False, str(trouble).splitlines()[0])
        say(f"error: {trouble}")


def check_older(version, folder, programs, score):
    """The same guest in the layouts of an older kernel: its rows, what is tampered with, and every script."""
    title, output = f"{older.VERSION} in the layouts of {version}", folder.with_name("older")
    try:
        older.make(folder, output, version, programs)
    except Trouble as trouble:
        score.add(title, "older", False, str(trouble).splitlines()[0])
        say(f"error: {trouble}")
        return
    for name in ("image", "adapter"):
        compare_by(name, title, output, programs, score, version, title)
    check_tampering(title, output, programs, score)
    failed = [name for name, cost in scripts.on_guest(output, programs).items() if cost.status and name not in older.LACKS_SCRIPTS]
    score.add(title, "scripts", not failed, f"{len(failed)} scripts fail: {', '.join(failed)}" if failed else "all scripts run")
    shutil.rmtree(output)


def check_clean(guest, folder, programs, score):
    """A guest to which nothing was done has no finding."""
    started, meta = time.monotonic(), json.loads((folder / "meta.json").read_text())
    good, detail = tamper.clean(folder, programs)
    told = ", ".join(f"{fault}: {meta['vulnerabilities'].get(fault, '?')}" for fault in ("spectre_v2", "retbleed"))
    score.add(guest.title(), "clean", good, f"{detail}, {time.monotonic() - started:.1f} s ({told})")


def check_cost(guest, folder, programs, score):
    """The cost of queries over UDP: dependent rounds, and reads beside the fewest possible."""
    for good, detail in costs.check(folder, guest.version, programs):
        score.add(guest.title(), "cost", good, detail)


def check_predictions(guest, folder, programs, score):
    """What `explain` says that the questions the language was made for will cost, beside what they cost."""
    try:
        outcomes = predictions.on_guest(folder, programs, predictions.HELD)
    except Trouble as trouble:
        score.add(guest.title(), "explain", False, str(trouble).splitlines()[0])
        return
    failed = predictions.far(outcomes)
    for line in failed:
        say(line)
    worst = max((outcome.error() for outcome in outcomes.values()), default=0)
    score.add(guest.title(), "explain", not failed, f"{len(outcomes)} predictions, the worst {worst:.0%} off")


def check_scripts(guest, folder, programs, score):
    """The rounds of every shipped script beside those that it took on the first guest of this kernel, which is small."""
    small = score.scripts.get(guest.version)
    if small is not None and not guest.tasks:
        return
    try:
        costs = scripts.on_guest(folder, programs, small)
    except Trouble as trouble:
        score.add(guest.title(), "scripts", False, str(trouble).splitlines()[0])
        return
    if small is None:
        score.scripts[guest.version] = costs
        return
    failed = [f"{name}: {why}" for name, cost in costs.items() if (why := scripts.judge(name, small[name], cost))]
    for line in failed:
        say(line)
    score.add(guest.title(), "scripts", not failed, f"{len(costs)} scripts, rounds of {len(failed)} grow or fail")


def check_refusal(folder, programs, score):
    """The profile of another kernel is refused with status 4, not believed."""
    if not (folder / "meta.json").exists():
        return
    release = json.loads((folder / "meta.json").read_text())["release"]
    for path in sorted((cache() / "kernels").glob("*/profile.yaml")):
        if path.parent.name != release:
            answer = programs.query(target.image_flags(folder), path, ["-e", "walk tasks select pid"])
            detail = f"profile of {path.parent.name}: status {answer.status}, {len(answer.rows)} rows"
            score.add(release, "refusal", answer.status == 4 and not answer.rows, detail)
            return
