"""What queries may cost on a guest with many processes, without a clock: dependent rounds, and reads beside the fewest possible."""

import dataclasses
import re

from . import kernels, target

MEASURED = re.compile(
    r"measured: (\d+) rows, (\d+) reads in (\d+) dependent rounds.*? predictors looked at into (\d+); it lies in (\d+) blocks", re.DOTALL)


RUNS = 3


@dataclasses.dataclass
class Cost:
    """A query with the most that it may cost."""

    query: str
    rounds: int  # the first time
    ratio: float  # reads beside the fewest that have in them what was needed and what predictors looked at; 0: not bounded
    blocks: float = 0  # reads beside the distinct blocks of 512 bytes in which that lies; 0: not bounded
    again: int = 2  # rounds when the same query is asked once more


# The guest's deepest path has 27 parts, and eight of another's have names that lie outside their directory entries; a maple tree of
# a thousand mappings is three levels high.
COSTS = [
    Cost("walk tasks from init_task select pid, comm, state", 8, 1.15),
    Cost("walk tasks select pid, ppid, uid, exe", 8 + 6, 1.15),
    Cost("walk tasks, threads select tid, threads.comm", 10, 1.2),
    Cost("walk process_tree select pid, comm, state", 10, 1.2),
    Cost("walk tasks, files select pid, fd, path", 8 + 27 + 10, 0, 1.2),
    Cost("walk tasks, vmas select pid, start, end, perms", 13, 0, 1.2),
]


def measure(cost, flags, profile, programs):
    """Runs a query twice in one session; whether it kept within its cost, and what it cost, in words."""
    words = ["-e", f"explain analyze {cost.query}", "-e", cost.query]
    answer = programs.query(flags, profile, words, output="csv")
    found = MEASURED.search(answer.rows.decode(errors="replace")) if isinstance(answer.rows, bytes) else None
    if answer.status != 0 or not found:
        return False, f"{cost.query}: status {answer.status}: {answer.notes}"
    rows, reads, rounds, fewest, blocks = map(int, found.groups())
    again, ratio, by_block = answer.stats.get("rounds", 0), reads / max(fewest, 1), reads / max(blocks, 1)
    good = (0 < rounds <= cost.rounds and 0 < again <= cost.again
            and (not cost.ratio or ratio <= cost.ratio) and (not cost.blocks or by_block <= cost.blocks))
    detail = (f"{cost.query}: {rows} rows, {reads} reads, {ratio:.2f} of the fewest{limit(cost.ratio)}, {by_block:.2f} of the blocks"
              f"{limit(cost.blocks)}; {rounds} rounds{limit(cost.rounds)}, again {again}{limit(cost.again)}")
    return good, detail


def limit(most):
    """A bound, in words."""
    return f" (at most {most})" if most else ""


def check(folder, version, programs):
    """Every cost on a guest, over UDP: pairs of whether it is kept, and words."""
    profile = programs.profile(kernels.prepare(version))
    with target.adapter(programs, folder) as flags:
        return [best_of(RUNS, cost, flags, profile, programs) for cost in COSTS]


def best_of(runs, cost, flags, profile, programs):
    """The first of several runs that keeps within the cost, or the last: the order in which answers come differs from run to run."""
    for number in range(1, runs + 1):
        good, detail = measure(cost, flags, profile, programs)
        if good or number == runs:
            return good, detail if number == 1 else f"{detail} (run {number} of {runs})"
    return False, "not run"
