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


# How much of a load average is left after five seconds (include/linux/sched/loadavg.h, EXP_1 and the others, of FIXED_1).
LEFT = {"load1": 1884 / 2048, "load5": 2014 / 2048, "load15": 2037 / 2048}
# Both of two numbers are rounded to hundredths, and the kernel rounds to 2048ths.
ROUNDING = 0.011


def load_later(told, found):
    """The load averages, if the kernel computed them once more after the truth was told: for one number of active tasks all three are
    what calc_load (kernel/sched/loadavg.c) makes of those that were told."""
    def follows(column, active):
        made = float(told[column]) * LEFT[column] + active * (1 - LEFT[column])
        return abs(float(found[column]) - made) <= ROUNDING
    active_tasks = range(int(told["processes"]) + 1)
    return tuple(LEFT) if any(all(follows(column, active) for column in LEFT) for active in active_tasks) else ()


def expected_irqs(truth):
    """Rows of `irqs`: those that /proc/interrupts shows by number."""
    rows = []
    lines = truth.raw("proc_interrupts").decode().splitlines()
    cpus = len(lines[0].split())
    for line in lines[1:]:
        words = line.split()
        if words[0].rstrip(":").isdigit():
            hwirq, _, kind = words[cpus + 2].partition("-")
            rows.append({"irq": int(words[0][:-1]), "total": sum(map(int, words[1:cpus + 1])), "chip": words[cpus + 1],
                         "hwirq": int(hwirq), "type": kind, "name": " ".join(words[cpus + 3:])})
    return rows


def expected_softirqs(truth):
    """Rows of `softirqs`."""
    rows = [line.split() for line in truth.raw("proc_softirqs").decode().splitlines()[1:]]
    return [{"name": words[0][:-1], "total": sum(map(int, words[1:]))} for words in rows]


def expected_cpus(truth):
    """Rows of `cpus`."""
    rows = []
    for part in truth.raw("proc_cpuinfo").decode().strip().split("\n\n"):
        told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in part.splitlines())}
        rows.append({"cpu": int(told["processor"]), "vendor": told["vendor_id"], "model_name": told["model name"],
                     "family": int(told["cpu family"]), "model": int(told["model"]), "stepping": int(told["stepping"]),
                     "microcode": int(told["microcode"], 0), "cache_size": int(told["cache size"].split()[0]) * 1024,
                     "online": True})
    return rows


def expected_cpu_times(truth):
    """Rows of `cpu_times`: what is counted alike with and without ticks, in nanoseconds."""
    rows = []
    for line in truth.raw("proc_stat").decode().splitlines():
        words = line.split()
        if words[0].startswith("cpu") and words[0] != "cpu":
            rows.append({"cpu": int(words[0][3:]), **{name: int(words[at]) * TICK for name, at in CPU_TIMES.items()}})
    return rows


def expected_vm_events(truth):
    """The sum of `vm_events`."""
    told = dict(line.split() for line in truth.raw("proc_vmstat").decode().splitlines())
    return [{"read_kb": int(told["pgpgin"]), "written_kb": int(told["pgpgout"]), "faults": int(told["pgfault"]),
             "major_faults": int(told["pgmajfault"]), "swapped_in": int(told["pswpin"]), "swapped_out": int(told["pswpout"])}]


TICK = 10_000_000
CPU_TIMES = {"user": 1, "nice": 2, "system": 3, "irq": 6, "softirq": 7, "steal": 8, "guest": 9}
EVENTS = ("read_kb", "written_kb", "faults", "major_faults", "swapped_in", "swapped_out")


def expected_vmallocs(truth):
    """Rows of `vmallocs` by their place in /proc/vmallocinfo, which tells no addresses; the callers that are of modules left out."""
    rows = []
    for position, line in enumerate(truth.raw("proc_vmallocinfo").decode().splitlines()):
        words = line.split()
        if "unpurged" not in line:
            known = len(words) > 2 and "/" in words[2] and (len(words) < 4 or not words[3].startswith("["))
            rows.append({"index": position, "size": int(words[1]), "caller": words[2].rpartition("/")[0].removesuffix("+0x0") if known else None})
    return rows


def expected_zones(truth):
    """Rows of `zones`: numbers of pages of those that have any."""
    rows, row = [], None
    for line in truth.raw("proc_zoneinfo").decode().splitlines():
        words = line.split()
        if line.startswith("Node"):
            row = {"node": int(words[1].rstrip(",")), "name": words[3]}
            rows.append(row)
        elif words[:2] == ["pages", "free"]:
            row["free"] = int(words[2])
        elif words and words[0] in ("min", "low", "high", "spanned", "present", "managed", "start_pfn:"):
            row.setdefault(words[0].rstrip(":"), int(words[1]))
    return [row for row in rows if row.get("present")]


def expected_free_areas(truth):
    """Rows of `free_areas`."""
    lines = [line.replace(",", " ").split() for line in truth.raw("proc_buddyinfo").decode().splitlines()]
    return [{"node": int(words[1]), "zone": words[3], "order": order, "free": int(count)} for words in lines
            for order, count in enumerate(words[4:])]


def expected_slabs(truth):
    """Rows of `slabs`, without those that opened and closed files fill while the last files of /proc are read."""
    rows = [line.split() for line in truth.raw("proc_slabinfo").decode().splitlines()[2:]]
    return [{"name": words[0], "active": int(words[1]), "total": int(words[2]), "object_size": int(words[3]),
             "per_slab": int(words[4]), "pages_per_slab": int(words[5]), "slabs": int(words[14])} for words in rows
            if words[0] not in FILE_CACHES]


def expected_swaps(truth):
    """Rows of `swaps`."""
    rows = [line.split() for line in truth.raw("proc_swaps").decode().splitlines()[1:]]
    return [{"path": words[0], "type": words[1], "size": int(words[2]) * 1024, "used": int(words[3]) * 1024,
             "priority": int(words[4])} for words in rows]


def expected_meminfo(truth):
    """The row of `meminfo`."""
    told = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in truth.raw("proc_meminfo").decode().splitlines()}
    return [{column: told[name] for column, name in MEMINFO.items()}]


def expected_module_symbols(truth):
    """Rows of `module_symbols`, in the order of /proc/kallsyms within each module."""
    rows, counts = [], {}
    modules = {row["name"] for row in truth.rows("modules")}
    for line in truth.raw("proc_kallsyms").decode().splitlines():
        words = line.split()
        name = words[3][1:-1] if len(words) > 3 else None
        if name in modules:
            counts[name] = counts.get(name, -1) + 1
            rows.append({"module": name, "number": counts[name], "value": int(words[0], 16), "type": words[1].lower(),
                         "name": words[2]})
    return rows


def expected_kallsyms(truth):
    """Rows of `kallsyms`: /proc/kallsyms without what belongs to modules, tracers and BPF programs, in its order."""
    lines = (line.split() for line in truth.raw("proc_kallsyms").decode().splitlines() if "\t" not in line)
    return [{"position": position, "address": f"{int(address, 16):#x}", "type": letter, "name": name}
            for position, (address, letter, name) in enumerate(lines)]


def expected_module_parameters(truth):
    """Rows of `module_parameters`: those of loaded modules that /sys shows, but for one that a module shows with a function of its own."""
    modules = {row["name"] for row in truth.rows("modules")}
    return [row for row in truth.rows("module_parameters") if row["module"] in modules and row["name"] != "check_copy_up"]


def expected_module_sections(truth):
    """Rows of `module_sections`."""
    return [{**row, "start": int(row["value"], 16)} for row in truth.rows("module_sections")]


MEMINFO = {
    "total": "MemTotal", "free": "MemFree", "available": "MemAvailable", "buffers": "Buffers", "cached": "Cached",
    "active_anon": "Active(anon)", "inactive_anon": "Inactive(anon)", "active_file": "Active(file)",
    "inactive_file": "Inactive(file)", "unevictable": "Unevictable", "dirty": "Dirty", "writeback": "Writeback",
    "anonymous": "AnonPages", "mapped": "Mapped", "shared": "Shmem", "slab": "Slab", "slab_reclaimable": "SReclaimable",
    "kernel_stacks": "KernelStack", "page_tables": "PageTables", "committed": "Committed_AS", "swap_total": "SwapTotal",
    "swap_free": "SwapFree",
}
# Pages that CPUs count, take and give back while the machine stops.
MOVING = {column: (256 << 10, 256 << 10) for column in MEMINFO if column not in ("total", "swap_total", "swap_free")}
ZONE_COLUMNS = ("free", "managed", "present", "spanned", "start_pfn", "min", "low", "high")
# What the files in /proc that are read after slabinfo add to.
FILE_CACHES = ("filp", "dentry", "proc_inode_cache", "seq_file", "lsm_file_cache", "lsm_inode_cache")
SLAB_COLUMNS = ("active", "total", "object_size", "per_slab", "pages_per_slab", "slabs")

KERNEL_ENTITIES = [
    Entity("mounts", mounts_query, ("pid", "id"),
           ("parent", "source", "target", "fstype", "options", "root", "dev", "propagation", "super_options"), expected_mounts),
    Entity("file_systems", "walk file_systems select name, needs_device", ("name",), ("needs_device", "position"),
           expected_file_systems, ordered=True),
    Entity("kmsg", "walk kmsg select seq, time / 1000 as us, level, facility, text", ("seq",),
           ("us", "level", "facility", "text", "position"), expected_kmsg, ordered=True),
    Entity("iomem", "walk iomem select start, end, name, depth", ("start", "end", "name"), ("depth", "position"),
           resources("iomem"), ordered=True),
    Entity("ioports", "walk ioports select start, end, name, depth", ("start", "end", "name"), ("depth", "position"),
           resources("ioports"), ordered=True),
    Entity("machine", "walk machine select hostname, banner, cmdline, uptime, load1, load5, load15, processes, boot_time, forks, cpus",
           ("hostname",), ("banner", "cmdline", "uptime", "load1", "load5", "load15", "processes", "boot_time", "forks", "cpus"),
           expected_machine, near={"uptime": (SECOND // 50, 2 * SECOND)}, later=load_later),
    Entity("irqs", "walk irqs where action != 0 select irq, total, chip, hwirq, type, name", ("irq",),
           ("total", "chip", "hwirq", "type", "name"), expected_irqs, near={"total": (0, 20)}),
    Entity("softirqs", "walk softirqs select name, total", ("name",), ("total",), expected_softirqs, near={"total": (0, 2000)}),
    Entity("cpus", "walk cpus select cpu, online, vendor, model_name, family, model, stepping, microcode, cache_size", ("cpu",),
           ("online", "vendor", "model_name", "family", "model", "stepping", "microcode", "cache_size"), expected_cpus),
    Entity("zones", "walk nodes, zones as z where z.present > 0 select z.node as node, z.name as name, "
           + ", ".join(f"z.{column} as {column}" for column in ZONE_COLUMNS), ("node", "name"), ZONE_COLUMNS, expected_zones,
           near={"free": (64, 64)}),
    Entity("free_areas", "walk nodes as n, zones as z, free_areas as f where z.present > 0 select n.node as node, z.name as zone, "
           "f.order as order, f.free as free", ("node", "zone", "order"), ("free",), expected_free_areas, near={"free": (3, 3)}),
    Entity("vmallocs", "walk vmallocs select index, size, caller", ("index",), ("size", "caller"), expected_vmallocs),
    Entity("slabs", f"walk slabs where name not in {FILE_CACHES} select name, active, total, object_size, per_slab, pages_per_slab, slabs", ("name",), SLAB_COLUMNS,
           expected_slabs, near={"active": (64, 64), "total": (64, 64), "slabs": (8, 8)}),
    Entity("swaps", "walk swaps select path, type, size, used, priority", ("path",), ("type", "size", "used", "priority"),
           expected_swaps),
    Entity("meminfo", "walk meminfo select " + ", ".join(MEMINFO), ("total",), tuple(MEMINFO), expected_meminfo, near=MOVING),
    Entity("module_symbols", "walk modules as m, module_symbols of m as s select m.name as module, s.index as number, s.name as name, "
           "s.value as value, s.type as type", ("module", "number"), ("name", "value", "type"), expected_module_symbols),
    Entity("kallsyms", "walk kallsyms select address, type, name", ("position",), ("address", "type", "name"), expected_kallsyms, ordered=True),
    Entity("module_params", "walk modules as m, module_parameters of m as p where p.mode != '0000' and p.name != 'check_copy_up' select m.name as module, "
           "p.name as name, p.value as value", ("module", "name"), ("value",), expected_module_parameters),
    Entity("module_sects", "walk modules as m, module_sections of m as s select m.name as module, s.name as name, s.start as start",
           ("module", "name"), ("start",), expected_module_sections),
    Entity("cpu_times", "walk cpu_times select cpu, " + ", ".join(f"{name} / 1ns as {name}" for name in CPU_TIMES), ("cpu",),
           tuple(CPU_TIMES), expected_cpu_times, near={name: (TICK, 200 * TICK) for name in CPU_TIMES}),
    Entity("vm_events", "walk vm_events select " + ", ".join(f"sum({name}) as {name}" for name in EVENTS), ("read_kb",), EVENTS,
           expected_vm_events, near={"faults": (0, 2000)}),
]
