"""What is compared of the kernel as a whole: mounts, its log, resources, the machine, interrupts, slabs and tables.

`PID.parent.mount` and the like come from truth/ENTITY.json; what is a plain file of /proc is taken from truth/raw.
"""

from .entity import Entity, text

LEVELS = ("emerg", "alert", "crit", "err", "warn", "notice", "info", "debug")
FACILITIES = ("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news")
SECOND = 1_000_000_000


def mounts_query(truth):
    """Asks for the mounts that the processes see from their roots which speak for a namespace and a root."""
    pids = sorted({row["pid"] for row in truth.rows("mounts")})
    return (f"walk tasks as t, mounts of t as m where t.pid in ({', '.join(map(str, pids))}) and mount_is_under(m.self, t.fs.root) "
            "select t.pid as pid, m.id as id, m.parent as parent, m.source as source, m.target as target, m.fstype as fstype, "
            "m.options as options, m.root as root, m.dev as dev, m.propagation as propagation, m.super_options as super_options")


def expected_mounts(truth):
    """Rows of `mounts`."""
    columns = ("pid", "id", "parent", "source", "target", "fstype", "options", "root", "dev", "propagation")
    return [{**{column: row[column] for column in columns}, "super_options": row["super_options"].split(",")[0]}
            for row in truth.rows("mounts")]


def expected_file_systems(truth):
    """Rows of `file_systems`."""
    lines = truth.raw("proc_filesystems").decode().splitlines()
    return [{"name": line.split("\t")[1], "needs_device": not line.startswith("nodev"), "position": position}
            for position, line in enumerate(lines)]


def expected_kmsg(truth):
    """Rows of `kmsg`."""
    return [{"seq": row["seq"], "us": row["time_us"], "level": LEVELS[row["level"]], "facility":
             FACILITIES[row["facility"]] if row["facility"] < len(FACILITIES) else str(row["facility"]), "text": row["text"],
             "position": position} for position, row in enumerate(truth.rows("kmsg"))]


def resources(table):
    """Rows of `iomem` or `ioports`."""
    return lambda truth: [{**row, "position": position} for position, row in enumerate(truth.rows(table))]


def expected_machine(truth):
    """The row of `machine`."""
    load = truth.raw("proc_loadavg").decode().split()
    seconds = float(truth.raw("proc_uptime").split()[0])
    stat = dict(line.split(None, 1) for line in truth.raw("proc_stat").decode().splitlines())
    return [{"hostname": "laboratory", "banner": truth.raw("proc_version").decode(),
             "cmdline": truth.raw("proc_cmdline").decode().strip(), "uptime": int(seconds * SECOND), "load1": load[0],
             "load5": load[1], "load15": load[2], "processes": int(load[3].split("/")[1]), "boot_time": int(stat["btime"]),
             "forks": int(stat["processes"]), "cpus": sum(line.startswith("cpu") for line in stat) - 1}]


KERNEL_ENTITIES = [
    Entity("mounts", mounts_query, ("pid", "id"),
           ("parent", "source", "target", "fstype", "options", "root", "dev", "propagation", "super_options"), expected_mounts),
    Entity("file_systems", "walk file_systems select name, needs_device", ("name",), ("needs_device", "position"),
           expected_file_systems, ordered=True),
    Entity("kmsg", "walk kmsg where valid select seq, time / 1000 as us, level, facility, text", ("seq",),
           ("us", "level", "facility", "text", "position"), expected_kmsg, ordered=True),
    Entity("iomem", "walk iomem select start, end, name, depth", ("start", "end", "name"), ("depth", "position"),
           resources("iomem"), ordered=True),
    Entity("ioports", "walk ioports select start, end, name, depth", ("start", "end", "name"), ("depth", "position"),
           resources("ioports"), ordered=True),
    Entity("machine", "walk machine select hostname, banner, cmdline, uptime, load1, load5, load15, processes, boot_time, forks, cpus",
           ("hostname",), ("banner", "cmdline", "uptime", "load1", "load5", "load15", "processes", "boot_time", "forks", "cpus"),
           expected_machine, near={"uptime": (SECOND // 50, 2 * SECOND)}),
]
