"""What `explain` says that scripts will cost, beside what they cost over UDP. Writes docs/predictions.md."""

import dataclasses
import json
import pathlib
import re

from . import kernels, scripts, target
from .places import REPOSITORY, Trouble, say

PAGE = REPOSITORY / "docs/predictions.md"
RUNS = 6

# How far a prediction may be from what is measured, as a part of that.
NEAR = 0.2

# The scripts whose predictions are held to that: the questions that the language was made for.
HELD = ("more-than-n-threads", "largest-by-rss", "files-by-file-system", "who-listens", "d-state-stacks", "modules-symbols", "deleted-but-open",
        "executable-and-writable", "pids-not-in-tasks", "shared-credentials", "ancestry", "nice-values")

PREDICTED = re.compile(r"^predicted: (?:more than )?(\d+) reads in (?:more than )?(\d+) dependent", re.MULTILINE)
MEASURED = re.compile(r"^measured: \d+ rows, (\d+) reads in (\d+) dependent", re.MULTILINE)

HEAD = """# What `explain` predicts

Made by `tests/laboratory/lab explain GUEST…`: `explain analyze` of the walk of every script of `examples/` that has one, over UDP, on
{guests}. Each cell is *predicted* / *measured*. The command fails when a prediction for one of the scripts in bold is more than
{near:.0%} from what is measured. Rounds vary a little with the order of answers; the nearest of up to {runs} runs counts.

| script | {columns} |
|---|{lines}
"""


@dataclasses.dataclass
class Outcome:
    """A prediction beside what was measured."""

    predicted: tuple  # reads, rounds
    measured: tuple

    def error(self):
        """How far the worse of the two is from what was measured, as a part of that."""
        return max(abs(one - other) / max(other, 1) for one, other in zip(self.predicted, self.measured))


def explained(script):
    """A script whose first walk is explained; None for one without a walk."""
    text = script.read_text()
    found = re.search(r"^walk\b", text, re.MULTILINE)
    return f"{text[:found.start()]}explain analyze {text[found.start():]}" if found else None


def outcome_of(text):
    """What an answer predicts and measures; None if it does not say."""
    predicted, measured = PREDICTED.search(text), MEASURED.search(text)
    if not predicted or not measured:
        return None
    return Outcome(tuple(map(int, predicted.groups())), tuple(map(int, measured.groups())))


def measure(program, flags, profile, programs):
    """The nearest of several runs, or the first that is near."""
    outcomes = []
    while len(outcomes) < RUNS:
        answer = programs.query(flags, profile, ["-e", program], output="csv")
        outcome = outcome_of(answer.rows.decode(errors="replace")) if isinstance(answer.rows, bytes) else None
        if answer.status != 0 or outcome is None:
            raise Trouble(f"status {answer.status}: {answer.notes}")
        outcomes.append(outcome)
        if outcome.error() <= NEAR:
            break
    return min(outcomes, key=Outcome.error)


def on_guest(folder, programs, names=None):
    """Predictions of scripts on a guest, by name; of all that have a walk, if none are named."""
    folder = pathlib.Path(folder)
    meta = json.loads((folder / "meta.json").read_text())
    profile = programs.profile(kernels.prepare(meta["version"]))
    found = {}
    with target.adapter(programs, folder) as flags:
        for script in sorted(scripts.EXAMPLES.glob("*.nq")):
            program = explained(script) if names is None or script.stem in names else None
            if program:
                found[script.stem] = measure(program, flags, profile, programs)
    return found


def far(outcomes):
    """Which of the scripts that are held to it are predicted badly, in words."""
    missing = [f"{name}: no prediction" for name in HELD if name not in outcomes]
    return missing + [f"{name}: predicted {outcome.predicted}, measured {outcome.measured} reads and rounds"
                      for name, outcome in outcomes.items() if name in HELD and outcome.error() > NEAR]


def page(guests):
    """docs/predictions.md; `guests` are pairs of a guest's words and its outcomes."""
    columns = " | ".join(f"reads, {words} | rounds" for words, _ in guests)
    head = HEAD.format(guests=" and ".join(f"a guest with {words}" for words, _ in guests), near=NEAR, runs=RUNS, columns=columns,
                       lines="---|" * (2 * len(guests)))
    lines = []
    for name in guests[0][1]:
        cells = []
        for _, outcomes in guests:
            outcome = outcomes.get(name)
            cells += [f"{one} / {other}" for one, other in zip(outcome.predicted, outcome.measured)] if outcome else ["", ""]
        link = f"[{name}](../examples/{name}.nq)"
        lines.append(f"| {f'**{link}**' if name in HELD else link} | {' | '.join(cells)} |\n")
    near = [sum(outcome.error() <= NEAR for outcome in outcomes.values()) for _, outcomes in guests]
    return head + "".join(lines) + f"\nWithin {NEAR:.0%}: {' and '.join(map(str, near))} of {len(guests[0][1])}.\n"


def check(folders, programs, output=PAGE):
    """Measures guests, writes the page, and returns what is predicted badly, in words."""
    guests, failed = [], []
    for folder in map(pathlib.Path, folders):
        if not (folder / "meta.json").exists():
            raise Trouble(f"{folder} holds no guest: make one with `lab boot`")
        outcomes = on_guest(folder, programs)
        say(f"{folder}: {len(outcomes)} scripts")
        guests.append((f"{scripts.processes(folder)} processes", outcomes))
        failed += far(outcomes)
    output.write_text(page(guests))
    return failed
