"""What is compared of tasks besides the lists of them: credentials, signals, scheduling, limits, namespaces, memory.

The process that tells the truth goes on running while it tells, so what counts is not compared of it.
"""

import json

from .entity import Entity

POLICIES = {0: "other", 1: "fifo", 2: "rr", 3: "batch", 5: "idle", 6: "deadline", 7: "ext"}
LIMITS = ("cpu", "fsize", "data", "stack", "core", "rss", "nproc", "nofile", "memlock", "as", "locks", "sigpending", "msgqueue",
          "nice", "rtprio", "rttime")
NAMESPACES = ("mnt", "net", "uts", "ipc", "cgroup", "time", "pid", "user")
TICK = 10_000_000


def own_pid(truth):
    """The process that told the truth."""
    return json.loads((truth.folder / "meta.json").read_text())["own_pid"]


def expected_credentials(truth):
    """Rows of `tasks`, columns of credentials."""
    rows = []
    for row in truth.rows("tasks"):
        status = row["details"]["status"]
        rows.append({**{key: row[key] for key in ("pid", "uid", "euid", "suid", "fsuid", "gid", "egid", "sgid", "fsgid")},
                     "groups": status["Groups"], "cap_inheritable": status["CapInh"], "cap_permitted": status["CapPrm"],
                     "cap_effective": status["CapEff"], "cap_bounding": status["CapBnd"], "cap_ambient": status["CapAmb"],
                     "no_new_privs": status["NoNewPrivs"] == "1", "seccomp": int(status["Seccomp"]),
                     "tracer": int(status["TracerPid"]), "oom_score_adj": row["details"]["oom_score_adj"]})
    return rows


def expected_signals(truth):
    """Rows of `threads`, columns of signals."""
    return [{"pid": row["pid"], "tid": row["tid"], **dict(zip(
        ("signals_pending", "signals_pending_process", "signals_blocked", "signals_ignored", "signals_caught"),
        (row["status"][key] for key in ("SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt"))))} for row in truth.rows("threads")]


def terminal(number):
    """What ps calls a terminal, by its number."""
    major, minor = number >> 8 & 0xfff, number & 0xff | number >> 12 & 0xfff00
    return None if number == 0 else f"pts/{minor + (major - 136) * 256}" if 136 <= major <= 143 else f"{major}:{minor}"


def expected_scheduling(truth):
    """Rows of `tasks`, columns of scheduling."""
    rows = []
    for row in truth.rows("tasks"):
        details = row["details"]
        switches = {} if row["pid"] == own_pid(truth) else {
            "voluntary_switches": int(details["status"]["voluntary_ctxt_switches"]),
            "involuntary_switches": int(details["status"]["nonvoluntary_ctxt_switches"])}
        rows.append({"pid": row["pid"], "nice": details["nice"], "priority": details["priority"], "cpu": details["processor"],
                     "rt_priority": details["rt_priority"], "policy": POLICIES[details["policy"]], "pgrp": row["pgrp"],
                     "session": row["session"], "tty": terminal(details["tty_nr"]), "umask": details["status"].get("Umask"),
                     "cpu_time": (details["utime"] + details["stime"]) * TICK, **switches})
    return [row for row in rows if "voluntary_switches" in row and not row["pid"] in truth.kernel_threads]


def expected_limits(truth):
    """Rows of `rlimits`."""
    return [{"pid": row["pid"], "name": name, "soft": words[1], "hard": words[2]} for row in truth.rows("tasks")
            for name, words in zip(LIMITS, row["details"]["limits"])]


def expected_namespaces(truth):
    """Rows of `tasks`, numbers of namespaces; a process that has ended has no longer all of them."""
    return [{"pid": row["pid"], **{f"{name}_ns": int(row["namespaces"][name].split("[")[1][:-1]) for name in NAMESPACES},
             "ns_pid": int(row["details"]["status"]["NSpid"].split()[-1])} for row in truth.rows("tasks")
            if all(name in row["namespaces"] for name in NAMESPACES)]


def expected_sizes(truth):
    """Rows of `tasks`, sizes of memory; of those that have some, the one that tells the truth left out."""
    return [{"pid": row["pid"], "vsize": int(row["details"]["statm"][0]) * 4096, "rss": int(row["details"]["statm"][1]) * 4096}
            for row in truth.rows("tasks") if row["details"]["statm"][:1] not in ([], ["0"]) and row["pid"] != own_pid(truth)]


def of_tasks(name, columns, expected, condition="", **more):
    """An entity that is `tasks` with other columns."""
    return Entity(name, f"walk tasks {condition} select pid, " + ", ".join(columns), ("pid",), columns, expected, **more)


def scheduling_query(truth):
    """Asks for scheduling of user processes but the one that tells the truth."""
    return f"walk tasks where not kthread and pid != {own_pid(truth)} select pid, " + ", ".join(SCHEDULING)


def sizes_query(truth):
    """Asks for sizes of all processes that have memory but the one that tells the truth."""
    return f"walk tasks where mm != 0 and pid != {own_pid(truth)} select pid, vsize, rss"


class Stacks(Entity):
    """A scan of stacks finds more than the kernel's unwinder, but all of that, in its order."""

    def differs(self, column, expected, found):
        """Whether a function that the unwinder tells is missing or out of order."""
        left = iter((found or "").split())
        return not all(function in left for function in expected.split())


# Threads of the kernel that may run once more before the machine stops.
RESTLESS = ("rcu_", "kworker/", "ksoftirqd/", "migration/")


def expected_stacks(truth):
    """Rows of `stack`: the functions of each thread's stack but the entry of the system call, which no call leads to, one whose memory
    was given away after the start, those of modules, which a scan does not name, and those that an exception came to. The process that
    tells the truth runs, and its threads; restless threads are left out."""
    rows = []
    for row in truth.rows("threads"):
        functions = [line.split()[1].rpartition("/")[0] for before, line in zip(["", *row["stack"]], row["stack"])
                     if not line.endswith("]") and " asm_exc_" not in before]
        if row["pid"] != own_pid(truth) and functions and not row["comm"].startswith(RESTLESS):
            rows.append({"pid": row["pid"], "tid": row["tid"], "stack": " ".join(
                name for name in functions if not name.startswith(("entry_", "ret_from_fork_asm", "devtmpfsd")))})
    return rows


def rested(truth):
    """The condition that leaves out the process that tells the truth and restless threads."""
    rest = "".join(f" and substr(h.comm, 0, {len(name)}) != '{name}'" for name in RESTLESS)
    return f"t.pid > 0 and t.pid != {own_pid(truth)}{rest}"


def stacks_query(truth):
    """Asks for what may be return addresses on the stacks of all threads but those of the process that tells the truth."""
    return (f"walk tasks as t, threads of t as h, stack of h as s where {rested(truth)} and s.is_return "
            "select t.pid as pid, h.tid as tid, join(collect(s.function), ' ') as stack group by t.pid, h.tid")


def expected_frames(truth):
    """Rows of `frames`: every line of /proc/PID/task/TID/stack, the functions that put tasks to sleep left out as there."""
    rows = []
    for row in truth.rows("threads"):
        lines = [line.split()[1:] for line in row["stack"]]
        if row["pid"] != own_pid(truth) and lines and not row["comm"].startswith(RESTLESS):
            names = [" ".join([words[0].rpartition("/")[0], *words[1:]]) for words in lines]
            rows.append({"pid": row["pid"], "tid": row["tid"], "frames": " < ".join(names), "found": "orc"})
    return rows


def frames_query(truth):
    """Asks for the frames of all threads but those that a scan of stacks leaves out too."""
    return (f"walk tasks as t, threads of t as h, frames of h as f where {rested(truth)} and not is_scheduler((unsigned long)f.value) "
            "select t.pid as pid, h.tid as tid, join(collect(f.function), ' < ') as frames, min(f.found) as found group by t.pid, h.tid")


PAGE = 4096


def expected_pages(truth):
    """Rows of `page_tables`, a row for each 4 KiB: what /proc/PID/pagemap said of some processes."""
    rows = []
    for line in truth.raw("pages").decode().splitlines():
        pid, page, entry = line.split()
        entry = int(entry, 16)
        rows.append({"pid": int(pid), "page": int(page, 16), "present": entry >> 63 == 1,
                     "frame": entry & (1 << 55) - 1 if entry >> 63 == 1 else None})
    return rows


def pages_query(truth):
    """Asks for the pages of those processes; pagemap leaves out what the kernel lends them ([vvar])."""
    pids = sorted({row["pid"] for row in expected_pages(truth)})
    lent = "".join(f" and not (t.pid = {row['pid']} and p.start between {row['start']} and {row['end'] - 1})" for row in truth.rows("vmas")
                   if row["pid"] in pids and (row["path"] or "").startswith("[vvar"))
    return (f"walk tasks as t, page_tables of t as p where t.pid in ({', '.join(map(str, pids))}){lent} "
            "select t.pid as pid, p.index as page, p.size as size, p.frame as frame, p.present as present")


def single_pages(row):
    """A row of a large page as rows of 4 KiB."""
    return [{**row, "page": row["page"] + at, "frame": None if row["frame"] is None else row["frame"] + at} for at in range(row["size"] // PAGE)]


CREDENTIALS = ("uid", "euid", "suid", "fsuid", "gid", "egid", "sgid", "fsgid", "groups", "cap_inheritable", "cap_permitted",
               "cap_effective", "cap_bounding", "cap_ambient", "no_new_privs", "seccomp", "tracer", "oom_score_adj")
SIGNALS = ("signals_pending", "signals_pending_process", "signals_blocked", "signals_ignored", "signals_caught")
# What a process may still have run after its times were told, before nothing else ran.
RAN_LATER = 10 * TICK
SCHEDULING = ("nice", "priority", "cpu", "rt_priority", "policy", "pgrp", "session", "tty", "umask", "cpu_time",
              "voluntary_switches", "involuntary_switches")
NUMBERS = (*(f"{name}_ns" for name in NAMESPACES), "ns_pid")

TASK_ENTITIES = [
    of_tasks("credentials", CREDENTIALS, expected_credentials),
    Entity("signals", "walk tasks as t, threads of t as h select t.pid as pid, h.tid as tid, "
           + ", ".join(f"h.{name} as {name}" for name in SIGNALS), ("pid", "tid"), SIGNALS, expected_signals),
    Entity("scheduling", scheduling_query, ("pid",), SCHEDULING, expected_scheduling, near={"cpu_time": (TICK, RAN_LATER)}),
    Entity("rlimits", "walk tasks as t, rlimits of t as r select t.pid as pid, r.name as name, r.soft as soft, r.hard as hard",
           ("pid", "name"), ("soft", "hard"), expected_limits),
    of_tasks("namespaces", NUMBERS, expected_namespaces, "where nsproxy != 0"),
    Stacks("stacks", stacks_query, ("pid", "tid"), ("stack",), expected_stacks),
    Entity("frames", frames_query, ("pid", "tid"), ("frames", "found"), expected_frames),
    Entity("page_tables", pages_query, ("pid", "page"), ("frame", "present"), expected_pages, unfold=single_pages),
    Entity("sizes", sizes_query, ("pid",), ("vsize", "rss"), expected_sizes),
]
