"""What every shipped script costs over UDP on a small guest and on a large one, and the rule that no script's dependent rounds grow
with the number of rows. Writes docs/scripts.md."""

import contextlib
import dataclasses
import json
import pathlib

from . import kernels, target
from .places import REPOSITORY, Trouble, say

EXAMPLES = REPOSITORY / "examples"
PAGE = REPOSITORY / "docs/scripts.md"
RUNS = 3

# What rounds may grow by between the guests: trees are a level or two higher, and the order of answers differs from run to run.
SLACK = 6

# Scripts whose rounds may grow further, each with the structure of the kernel that is the reason.
CHAINS = {"page-cache": "the inodes of a file system are one list, `super_block.s_inodes`"}

# What puts the shipped checks in force.
CHECKS = 'use "integrity"'

HEAD = """# What the shipped scripts cost

Made by `tests/laboratory/lab scripts SMALL LARGE`: every script of `examples/`, over UDP, on a guest with {small} processes and on one
with {large} (kernel {release}). *Rounds* is the longest chain of dependent reads of a statement (of `check`: of one check), *reads* and *rows* are those of all
statements of the script. Rounds vary a little with the order of answers; of up to {runs} runs the one with the fewest counts.

The command fails when the rounds of a script on the large guest are more than {slack} above those on the small one, unless the script
stands in the last table.

| script | what it answers | rows | rounds | reads |
|---|---|---|---|---|
"""


@dataclasses.dataclass
class Cost:
    """What one script cost on one guest."""

    status: int
    rows: int = 0
    rounds: int = 0
    reads: int = 0
    notes: str = ""


def about(script):
    """The first comment of a script: what it answers."""
    for line in script.read_text().splitlines():
        if line.startswith("#"):
            return line.lstrip("# ").rstrip().replace("|", "\\|")
    return ""


def measure(script, flags, profile, programs):
    """Runs a script once."""
    cost = cost_of(programs.query(flags, profile, ["-f", script], output="csv"))
    if cost.status == 0 and "check" in script.read_text().split():
        cost.rounds = longest_check(flags, profile, programs)
    return cost


def cost_of(answer):
    """What an answer cost: the rows and reads of all its statements, the rounds of the longest."""
    cost = Cost(answer.status, notes=answer.notes)
    for line in answer.notes.splitlines():
        with contextlib.suppress(ValueError):
            stats = json.loads(line) if line.startswith("{") else {}
            cost.rows += stats.get("rows", 0)
            cost.reads += stats.get("reads", 0)
            cost.rounds = max(cost.rounds, stats.get("rounds", 0))
    return cost


def longest_check(flags, profile, programs):
    """The rounds of the longest shipped check. `check` asks one query after the other and tells what all of them cost together, which
    varies by as much as all of them vary; the rule is for each."""
    listed = programs.query(flags, profile, ["-e", f"{CHECKS}\nshow checks"])
    names = [row["name"] for row in listed.rows if row["in_force"] == "yes" and row["available"] == "yes"]
    if not names:
        raise Trouble(f"no check can be run: status {listed.status}: {listed.notes}")
    each = cost_of(programs.query(flags, profile, ["-e", "\n".join([CHECKS, *(f"walk {name} select *" for name in names)])], output="csv"))
    if each.status != 0:
        raise Trouble(f"a check cannot be walked: status {each.status}: {each.notes}")
    return each.rounds


def best(script, flags, profile, programs, most=0):
    """The run with the fewest rounds, of one that is within `most` or of RUNS."""
    runs = []
    while len(runs) < RUNS:
        runs.append(measure(script, flags, profile, programs))
        if runs[-1].status != 0 or runs[-1].rounds <= most:
            break
    return min(runs, key=lambda cost: cost.rounds)


def on_guest(folder, programs, before=None):
    """The cost of every script on a guest, by name; `before` are those on the small guest."""
    meta = json.loads((folder / "meta.json").read_text())
    profile = programs.profile_of(folder, kernels.prepare(meta["version"]))
    costs = {}
    with target.adapter(programs, folder) as flags:
        for script in sorted(EXAMPLES.glob("*.nq")):
            most = before[script.stem].rounds + SLACK if before else 0
            costs[script.stem] = best(script, flags, profile, programs, most)
            say(f"{folder.name}: {script.stem}: {costs[script.stem].rounds} rounds, {costs[script.stem].reads} reads")
    return costs


def processes(folder):
    """How many processes /proc showed in a guest."""
    return len(json.loads((folder / "truth/tasks.json").read_text()))


def judge(name, small, large):
    """Why a script does not keep the rule; nothing if it does."""
    for cost in (small, large):
        if cost.status != 0:
            last = cost.notes.strip().splitlines()[-1:]
            return f"status {cost.status}: {' '.join(last)}"
    if name not in CHAINS and large.rounds > small.rounds + SLACK:
        return f"rounds grow from {small.rounds} to {large.rounds} while rows go from {small.rows} to {large.rows}"
    return None


def page(costs, head):
    """docs/scripts.md."""
    lines = []
    for name, (small, large) in costs.items():
        cells = [f"[{name}](../examples/{name}.nq)", about(EXAMPLES / f"{name}.nq")]
        cells += [f"{getattr(small, what)} / {getattr(large, what)}" for what in ("rows", "rounds", "reads")]
        lines.append("| " + " | ".join(cells) + " |\n")
    text = head + "".join(lines)
    if CHAINS:
        text += "\nRounds of these may grow, because the kernel's structure is a chain that can only be followed:\n\n| script | why |\n|---|---|\n"
        text += "".join(f"| {name} | {why} |\n" for name, why in sorted(CHAINS.items()))
    return text


def check(small, large, programs, output=PAGE):
    """Measures both guests, writes the page where `output` names one, and returns what fails, in words."""
    small, large = pathlib.Path(small), pathlib.Path(large)
    for folder in (small, large):
        if not (folder / "meta.json").exists():
            raise Trouble(f"{folder} holds no guest: make one with `lab boot`")
    first = on_guest(small, programs)
    second = on_guest(large, programs, first)
    costs = {name: (cost, second[name]) for name, cost in first.items()}
    judged = {name: judge(name, *pair) for name, pair in costs.items()}
    if output:
        release = json.loads((large / "meta.json").read_text())["release"]
        head = HEAD.format(small=processes(small), large=processes(large), release=release, runs=RUNS, slack=SLACK)
        output.write_text(page(costs, head))
    return [f"{name}: {why}" for name, why in judged.items() if why]
