"""What is compared of tables of functions and registered objects: those of them that /proc or a system call can show."""

import re

from .entity import Entity


def locks(waiting):
    """Rows of `locks` or of `lock_waiters`: those of /proc/locks that are held, or wait."""
    def expected(truth):
        rows = []
        for line in truth.raw("proc_locks").decode().splitlines():
            words = line.split()
            if (words[1] == "->") == waiting:
                kind, _, access, pid, file, start, end = words[2:] if waiting else words[1:]
                device, _, inode = file.rpartition(":")
                rows.append({"kind": kind, "access": access, "pid": int(pid), "dev": device, "inode": int(inode),
                             "start": int(start), "end": end})
        return rows
    return expected


def expected_tty_drivers(truth):
    """Rows of `tty_drivers`, without the devices that /proc/tty/drivers shows before them."""
    rows = []
    for line in truth.raw("proc_tty_drivers").decode().splitlines():
        driver, name, major, minors, *_ = line.split()
        if not driver.startswith("/dev/"):
            first, _, last = minors.partition("-")
            rows.append({"driver": driver, "name": name.removeprefix("/dev/"), "major": int(major), "minor": int(first),
                         "count": int(last or first) - int(first) + 1})
    return rows


def expected_crypto(truth):
    """Rows of `crypto`; how many hold an algorithm is not compared, /proc counts itself."""
    rows = []
    for part in truth.raw("proc_crypto").decode().strip().split("\n\n"):
        told = dict((word.strip() for word in line.split(":", 1)) for line in part.splitlines())
        rows.append({"name": told["name"], "driver": told["driver"], "module": told["module"], "priority": int(told["priority"]),
                     "position": len(rows)})
    return rows


def expected_pci_devices(truth):
    """Rows of `pci_devices`."""
    rows = []
    for line in truth.raw("proc_bus_pci_devices").decode().splitlines():
        words = line.split("\t")
        place, ids = int(words[0], 16), words[1]
        rows.append({"slot": f"0000:{place >> 8:02x}:{place >> 3 & 31:02x}.{place & 7}", "vendor": ids[:4], "device": ids[4:],
                     "irq": int(words[2], 16), "driver": words[17] or None if len(words) > 17 else None})
    return rows


def expected_kprobes(truth):
    """Rows of `kprobes`."""
    lines = truth.raw("sys_kernel_debug_kprobes_list").decode().splitlines()
    return [{"base": int(line.split()[0], 16), "symbol": line.split()[2].removesuffix("+0x0")} for line in lines]


def late(truth):
    """A time after which only timers expire that do not when the machine stops, in nanoseconds from boot."""
    return int(re.search(rb"now at (\d+)", truth.raw("proc_timer_list")).group(1)) + 5_000_000_000


def expected_hrtimers(truth):
    """Rows of `hrtimers` that expire late enough to be there still, by the clocks that count from boot."""
    rows, cpu, clock = [], None, None
    for line in truth.raw("proc_timer_list").decode().splitlines():
        words = line.split()
        if line.startswith("cpu:"):
            cpu = int(words[1])
        elif words[:1] == ["clock"]:
            clock = int(words[1][:-1])
        elif line.startswith("Tick Device"):
            break
        elif re.match(r" #\d+:", line):
            function = words[2].rstrip(",")
        elif line.startswith(" # expires at"):
            expires = int(words[3].split("-")[1])
            if expires > late(truth):
                rows.append({"cpu": cpu, "clock": clock, "function": function, "expires": expires})
    return rows


def ipc(name, columns):
    """Rows of /proc/sysvipc/NAME by names of its columns."""
    def expected(truth):
        lines = [line.split() for line in truth.raw(f"proc_sysvipc_{name}").decode().splitlines()]
        rows = [dict(zip(lines[0], words)) for words in lines[1:]]
        return [{**{column: int(row[key]) for column, key in columns.items()}, "perms": row["perms"]} for row in rows]
    return expected


def expected_bpf_programs(truth):
    """Rows of `bpf_programs`."""
    rows = [line.split() for line in truth.raw("bpf_programs").decode().splitlines()]
    return [{"id": int(words[0]), "type": int(words[1]), "tag": words[2], "name": words[3]} for words in rows]


def expected_bpf_maps(truth):
    """Rows of `bpf_maps`."""
    rows = [line.split() for line in truth.raw("bpf_maps").decode().splitlines()]
    return [{**dict(zip(("id", "type", "key_size", "value_size", "max_entries"), map(int, words))), "name": words[5]}
            for words in rows]


SHARED = {"key": "key", "id": "shmid", "size": "size", "attached": "nattch", "creator": "cpid", "last": "lpid", "uid": "uid",
          "gid": "gid"}
SEMAPHORES = {"key": "key", "id": "semid", "count": "nsems", "uid": "uid", "gid": "gid"}
QUEUES = {"key": "key", "id": "msqid", "bytes": "cbytes", "messages": "qnum", "uid": "uid", "gid": "gid"}


def of_locks(name, sources, waiting):
    """An entity of file locks."""
    columns = ("kind", "access", "pid", "dev", "inode", "start", "end")
    return Entity(name, f"walk {sources} as l select " + ", ".join(f"l.{column} as {column}" for column in columns),
                  ("inode", "start", "end", "pid"), columns, locks(waiting))


def of_ipc(name, file, columns):
    """An entity of System V IPC."""
    compared = (*columns, "perms")
    return Entity(name, f"walk {name} select " + ", ".join(compared), ("id",), compared, ipc(file, columns))


TABLE_ENTITIES = [
    of_locks("locks", "locks", False),
    of_locks("lock_waiters", "locks, lock_waiters", True),
    Entity("tty_drivers", "walk tty_drivers select driver, name, major, minor, count", ("driver",), ("name", "major", "minor", "count"),
           expected_tty_drivers),
    Entity("crypto", "walk crypto select name, driver, module, priority", ("driver",), ("name", "module", "priority", "position"),
           expected_crypto, ordered=True),
    Entity("pci_devices", "walk pci_root_buses, pci_buses, pci_devices as d select d.slot as slot, d.vendor as vendor, "
           "d.device as device, d.irq as irq, d.driver as driver", ("slot",), ("vendor", "device", "irq", "driver"),
           expected_pci_devices),
    Entity("kprobes", "walk kprobes as k select k.at as base, k.symbol as symbol", ("base",), ("symbol",),
           expected_kprobes),
    Entity("hrtimers", lambda truth: "walk hrtimers as h "
           f"where h.self.node.expires > {late(truth)} select h.cpu as cpu, h.clock as clock, h.function as function, "
           "h.self.node.expires as expires", ("cpu", "clock", "expires"), ("function",), expected_hrtimers),
    of_ipc("shared_memory", "shm", SHARED),
    of_ipc("semaphores", "sem", SEMAPHORES),
    of_ipc("message_queues", "msg", QUEUES),
    Entity("bpf_programs", "walk bpf_programs as p select p.id as id, (int)p.self.type as type, p.tag as tag, p.name as name", ("id",),
           ("type", "tag", "name"), expected_bpf_programs),
    Entity("bpf_maps", "walk bpf_maps as m select m.id as id, (int)m.map_type as type, m.key_size as key_size, "
           "m.value_size as value_size, m.max_entries as max_entries, m.name as name", ("id",),
           ("type", "key_size", "value_size", "max_entries", "name"), expected_bpf_maps),
]
