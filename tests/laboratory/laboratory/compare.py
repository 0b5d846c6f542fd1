"""Compares what nettlp-q reads from a guest's memory with what /proc said in it, row by row.

What is not compared is written here and nowhere else: process 0 (the idle task, in the kernel's list and not in /proc),
the work queue that /proc appends to a worker's name, and the part of a kernel thread's name that does not fit the task.

The guest is frozen when it tells the truth, but a timer may still wake a kernel thread before it stops, and one that was awake
may have gone back to sleep: a kernel thread that changed between R and one of S, I and D is counted as `woken`, not as a
difference. More than WOKEN_LIMIT in one guest is a failure.
"""

import dataclasses
import json
import pathlib
import re

from . import network
from .entity import Entity, text
from .kernel_entities import KERNEL_ENTITIES
from .kernels import Kernel
from .places import Trouble
from .storage_entities import STORAGE_ENTITIES
from .table_entities import TABLE_ENTITIES
from .target import way
from .task_entities import TASK_ENTITIES

WOKEN_LIMIT = 3
NAME_LENGTH = 15
SHOWN = 12


@dataclasses.dataclass
class Result:
    """How one entity came out."""

    entity: str
    rows: int = 0
    differing: int = 0
    woken: int = 0
    differences: list = dataclasses.field(default_factory=list)
    stats: dict = dataclasses.field(default_factory=dict)

    def differs(self, text):
        """Counts one difference."""
        self.differing += 1
        self.differences.append(text)


class Truth:
    """The truth of one guest, by entity."""

    def __init__(self, folder):
        self.folder = folder
        self.kernel_threads = {row["pid"] for row in self.rows("tasks") if row["kthread"]}

    def raw(self, name):
        """The bytes of truth/raw/NAME, empty where the kernel has no such file."""
        path = self.folder / "truth/raw" / name
        return path.read_bytes() if path.exists() else b""

    def rows(self, entity):
        """The rows of truth/ENTITY.json."""
        return json.loads((self.folder / "truth" / f"{entity}.json").read_text())


def task_names(row, kthread):
    """The bytes of a task's name in memory, by what /proc says: `kworker/0:1-events` is called `kworker/0:1`, a rescuer by its queue."""
    raw = bytes.fromhex(row["comm_hex"])
    worker = re.match(rb"kworker/(?!R-)[^-+]*", raw)
    if kthread and worker:
        return worker.group()
    return raw[:NAME_LENGTH] if kthread else raw


def expected_tasks(truth):
    """Rows of `tasks`."""
    columns = ("pid", "tgid", "ppid", "state", "uid", "nr_threads")
    return [{**{column: row[column] for column in columns}, "comm": text(task_names(row, row["kthread"]))}
            for row in truth.rows("tasks")]


def expected_threads(truth):
    """Rows of `threads`."""
    return [{"pid": row["pid"], "tid": row["tid"], "state": row["state"],
             "comm": text(task_names(row, row["pid"] in truth.kernel_threads))} for row in truth.rows("threads")]


def expected_modules(truth):
    """Rows of `modules`."""
    return [{"name": row["name"], "size": row["size"], "refcount": row["refcount"], "state": row["state"],
             "used_by": row["used_by"], "base": row["base"]} for row in truth.rows("modules")]


def expected_vmas(truth):
    """Rows of `vmas`."""
    columns = ("pid", "start", "end", "perms", "offset", "dev", "inode", "path")
    return [{column: row[column] for column in columns} for row in truth.rows("vmas")]


def expected_files(truth):
    """Rows of `files`."""
    return [{"pid": row["pid"], "fd": row["fd"], "path": text(bytes.fromhex(row["path_hex"]))} for row in truth.rows("files")]


def preorder(truth):
    """(row, depth) of every process, depth first, as the kernel's lists of children have them; first the two that the idle task made."""
    by_pid = {row["pid"]: row for row in truth.rows("tasks")}
    waiting = [(pid, 1) for pid, row in sorted(by_pid.items(), reverse=True) if row["ppid"] == 0]
    while waiting:
        pid, depth = waiting.pop()
        yield by_pid[pid], depth
        children = [child for _, made in sorted(by_pid[pid]["children"].items(), key=lambda item: int(item[0])) for child in made]
        waiting += [(child, depth + 1) for child in reversed(children) if child in by_pid]


def expected_tree(truth):
    """Rows of `process_tree`; the idle task is row 0."""
    return [{"pid": row["pid"], "ppid": row["ppid"], "depth": depth, "position": position}
            for position, (row, depth) in enumerate(preorder(truth), 1)]


def expected_list(truth):
    """Rows of LibTLP's process list: its columns in its order."""
    return [{"PID": row["pid"], "STAT": row["state"], "COMMAND": text(task_names(row, row["kthread"])), "position": position}
            for position, (row, _) in enumerate(preorder(truth), 1)]


SOCKETS = "walk {} select netns, family, local, lport, remote, rport, state, tx_queue, rx_queue, uid, inode"
SOCKET_KEY = ("netns", "family", "local", "lport", "remote", "rport")
SOCKET_COLUMNS = ("state", "tx_queue", "rx_queue", "uid", "inode")

ENTITIES = [
    Entity("tasks", "walk tasks select pid, tgid, ppid, comm, state, uid, nr_threads", ("pid",),
           ("tgid", "ppid", "comm", "state", "uid", "nr_threads"), expected_tasks),
    Entity("threads", "walk tasks as t, threads of t as h select t.pid as pid, h.tid as tid, h.comm as comm, h.state as state",
           ("pid", "tid"), ("comm", "state"), expected_threads),
    Entity("modules", "walk modules select name, size, refcount, state, used_by, base", ("name",),
           ("size", "refcount", "state", "used_by", "base"), expected_modules),
    Entity("vmas", "walk tasks as t, vmas of t as v select t.pid as pid, v.start as start, v.end as end, v.perms as perms, "
           "v.offset as offset, v.dev as dev, v.inode as inode, v.path as path", ("pid", "start"),
           ("end", "perms", "offset", "dev", "inode", "path"), expected_vmas),
    Entity("files", "walk tasks as t, files of t as f select t.pid as pid, f.fd as fd, f.path as path", ("pid", "fd"),
           ("path",), expected_files),
    Entity("tree", "walk process_tree select pid, ppid, depth", ("pid",), ("ppid", "depth", "position"), expected_tree, ordered=True),
    Entity("process-list", "examples/process-list.nq", ("PID",), ("STAT", "COMMAND", "position"), expected_list, ordered=True),
    Entity("tcp", SOCKETS.format("tcp"), SOCKET_KEY, SOCKET_COLUMNS, lambda truth: network.inet(truth, "tcp")),
    Entity("udp", SOCKETS.format("udp"), SOCKET_KEY, SOCKET_COLUMNS, lambda truth: network.inet(truth, "udp")),
    Entity("raw", SOCKETS.format("raw"), SOCKET_KEY, SOCKET_COLUMNS, lambda truth: network.inet(truth, "raw")),
    Entity("unix", "walk unix select netns, inode, type, state, path", ("netns", "inode"), ("type", "state", "path"), network.unix),
    Entity("netlink", "walk netlink select netns, protocol, port, groups, rx_queue, drops, inode", ("netns", "protocol", "port"),
           ("groups", "rx_queue", "drops", "inode"), lambda truth: network.in_namespaces(truth, "netlink")),
    Entity("packet", "walk packet select netns, inode, type, protocol, interface, running, rx_queue, uid", ("netns", "inode"),
           ("type", "protocol", "interface", "running", "rx_queue", "uid"), lambda truth: network.in_namespaces(truth, "packet")),
    Entity("netdevs", "walk netdevs select netns, name, " +
           ", ".join(f"kind = 'bridge' ? null : {counter} as {counter}" for counter in network.COUNTERS),
           ("netns", "name"), network.COUNTERS, network.netdevs,
           near={"rx_bytes": (0, 2000), "rx_packets": (0, 20), "tx_bytes": (0, 2000), "tx_packets": (0, 20)}),
    Entity("ipv6", "walk ipv6_addresses select netns, device, address, prefix, scope, flags", ("netns", "device", "address"),
           ("prefix", "scope", "flags"), lambda truth: network.in_namespaces(truth, "ipv6_addresses")),
    Entity("arp", "walk neighbours where family = 'inet' and state != 'NOARP' select netns, device, ip, mac", ("netns", "device", "ip"),
           ("mac",), lambda truth: network.in_namespaces(truth, "neighbours")),
    Entity("tcp_timers", "walk tcp select netns, local, lport, remote, rport, timer, retransmits", ("netns", "local", "lport", "remote", "rport"),
           ("timer", "retransmits"), network.tcp_timers, near={"retransmits": (0, 1)}),
    Entity("ipv4_tries", "walk ipv4_routes select netns, table, destination, prefix, scope, type, count(*) as routes "
           "group by netns, table, destination, prefix, scope, type", ("netns", "table", "destination", "prefix", "scope", "type"),
           ("routes",), network.ipv4_tries),
    Entity("ipv4_ways", "walk ipv4_routes where table = 254 and type not in ('broadcast', 'multicast') select netns, destination, prefix, "
           "metric, gateway, device", ("netns", "destination", "prefix", "metric"), ("gateway", "device"),
           lambda truth: network.in_namespaces(truth, "ipv4_ways")),
    Entity("ipv6_routes", "walk ipv6_routes where metric < 0xffffffff select netns, destination, prefix, gateway, device, metric, flags",
           ("netns", "destination", "prefix", "device", "metric"), ("gateway", "flags"),
           lambda truth: network.in_namespaces(truth, "ipv6_routes")),
    Entity("sockets", "walk tasks, sockets select pid, fd, inode", ("pid", "fd"), ("inode",), network.sockets),
    *TASK_ENTITIES,
    *KERNEL_ENTITIES,
    *TABLE_ENTITIES,
    *STORAGE_ENTITIES,
]


def plain(column, cell):
    """A cell as the truth writes it: addresses as numbers, lists as lists, no text and no value alike."""
    if isinstance(cell, str) and cell.startswith("0x") and column == "value":
        return int(cell, 0)
    if isinstance(cell, str) and column in ("start", "end", "base", "offset", "inode", "size") and cell[:2] == "0x":
        return int(cell, 0)
    if column == "used_by":
        return [name for name in cell.split(",") if name] if isinstance(cell, str) else cell or []
    if column == "path" and cell == "":
        return None
    return cell


def keyed(entity, rows, result):
    """Rows by their key, without process 0; a key that comes twice is a difference."""
    found = {}
    for position, row in enumerate(rows):
        row = {column: plain(column, cell) for column, cell in row.items()}
        if entity.ordered:
            row["position"] = position
        key = tuple(row.get(column) for column in entity.key)
        if row.get("pid", row.get("PID")) == 0:
            continue
        if key in found:
            result.differs(f"{entity.name} {key}: the row comes twice")
        found[key] = row
    return found


def is_woken(column, expected, found, key, truth):
    """Whether a difference is a kernel thread that woke, or went back to sleep, after the truth was told."""
    between = {expected, found}
    return column in ("state", "STAT") and "R" in between and between & {"S", "I", "D"} and key[0] in truth.kernel_threads


def compare_rows(entity, truth, answer):
    """The result of one entity."""
    result = Result(entity.name, stats=answer.stats)
    if answer.status != 0:
        notes = answer.notes.strip().splitlines()[-6:]
        result.differs(f"{entity.name}: nettlp-q ends with status {answer.status}\n    " + "\n    ".join(notes))
    expected = {tuple(row[column] for column in entity.key): row for row in entity.expected(truth)}
    rows = [part for row in answer.rows for part in entity.unfold(row)] if entity.unfold else answer.rows
    found = keyed(entity, rows, result)
    result.rows = len(expected)
    for key, row in expected.items():
        other = found.pop(key, None)
        if other is None:
            result.differs(f"{entity.name} {key}: in /proc, not in memory: {row}")
            continue
        wrong = [column for column in entity.columns if entity.differs(column, row[column], other.get(column))]
        later = entity.later(row, other) if wrong and entity.later else ()
        wrong = [column for column in wrong if column not in later]
        woken = [column for column in wrong if is_woken(column, row[column], other.get(column), key, truth)]
        result.woken += len(woken)
        shown = [f"{column}: /proc {row[column]!r}, memory {other.get(column)!r}" for column in wrong if column not in woken]
        if shown:
            result.differs(f"{entity.name} {key}: {'; '.join(shown)}")
    for key, row in found.items():
        result.differs(f"{entity.name} {key}: in memory, not in /proc: {row}")
    if result.woken > WOKEN_LIMIT:
        result.differs(f"{entity.name}: {result.woken} kernel threads were woken after the truth was told")
    return result


def compare(folder, name, programs, profile=None, entities=ENTITIES):
    """Compares entities of a guest by one way; returns the results. `profile` gives the profile of a Kernel, or
    None where nettlp-q is to make its own; by default it is the one in the guest's folder, else that of DWARF."""
    folder = pathlib.Path(folder)
    if not (folder / "meta.json").exists():
        raise Trouble(f"{folder} holds no guest: make one with `lab boot`")
    meta = json.loads((folder / "meta.json").read_text())
    kernel = Kernel(meta["version"], (folder / "kernel").resolve())
    truth = Truth(folder)
    profile = profile(kernel) if profile else programs.profile_of(folder, kernel)
    with way(name, programs, folder) as ask:
        chosen = [had for entity in entities if (had := entity.without(meta.get("lacks", {})))]
        return [compare_rows(entity, truth, ask(profile, entity.words(truth))) for entity in chosen]


def show(title, results):
    """Prints the table of one comparison, and what differs."""
    print(f"\n{title}")
    costs = ("reads", "rounds", "retries", "failed")
    print(f"  {'entity':14}{'rows':>7}{'differing':>11}{'woken':>7}" + "".join(f"{name:>9}" for name in costs) + f"{'ms':>9}")
    for result in results:
        cells = [result.stats.get(name, "-") for name in costs]
        cells.append(f"{result.stats['elapsed_us'] / 1000:.1f}" if "elapsed_us" in result.stats else "-")
        print(f"  {result.entity:14}{result.rows:7}{result.differing:11}{result.woken:7}" + "".join(f"{cell:>9}" for cell in cells))
    for result in results:
        for difference in result.differences[:SHOWN]:
            print(f"    {difference}")
        if len(result.differences) > SHOWN:
            print(f"    … and {len(result.differences) - SHOWN} more in {result.entity}")
    return sum(result.differing for result in results)
