"""The guest's records, parsed: what /proc said, one JSON file an entity.

`truth/ENTITY.json` is an array of rows; the rows' keys are the columns' names of nettlp-q where it has such a column.
Text is UTF-8 in which a byte that does not belong there stands as `\\xNN`; where that matters, KEY_hex holds the exact
bytes. Addresses are numbers. `truth/raw/` holds files of the whole machine as they were (`proc_kallsyms`, `dev_kmsg` …).
"""

import ipaddress
import json
import re

TIMERS = {0: "off", 1: "on", 2: "keepalive", 3: "timewait", 4: "persist"}
METRIC_OF_NONE = 0xffffffff
TABLES = {"Local:": 255, "Main:": 254, "Default:": 253}
PF_KTHREAD = 0x200000
MAPS_LINE = re.compile(rb"([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) (\S+) (\d+)(?: +(.*))?")
TCP_STATES = {1: "ESTABLISHED", 2: "SYN_SENT", 3: "SYN_RECV", 4: "FIN_WAIT1", 5: "FIN_WAIT2", 6: "TIME_WAIT", 7: "CLOSE",
              8: "CLOSE_WAIT", 9: "LAST_ACK", 10: "LISTEN", 11: "CLOSING", 12: "NEW_SYN_RECV"}


def text(raw):
    """Bytes as text; what is not UTF-8 becomes `\\xNN`."""
    return raw.decode("utf-8", errors="backslashreplace")


def split(data):
    """The records as {path: bytes}, files and links alike."""
    found, at = {}, 0
    while at < len(data):
        end = data.index(b"\n", at)
        mark, _, length, path = data[at:end].split(b" ", 3)
        if mark != b"@":
            raise ValueError(f"record at {at} does not start with its mark")
        found[path.decode()] = data[end + 1:end + 1 + int(length)]
        at = end + 2 + int(length)
    return found


class Processes:
    """The records by process."""

    def __init__(self, found):
        self.found = found
        self.pids = sorted(int(match.group(1)) for match in (re.fullmatch(r"/proc/(\d+)/stat", path) for path in found) if match)
        self.by_pid = {pid: {} for pid in self.pids}
        for path, raw in found.items():
            match = re.match(r"/proc/(\d+)/(.*)", path)
            if match and int(match.group(1)) in self.by_pid:
                self.by_pid[int(match.group(1))][match.group(2)] = raw

    def under(self, pid, folder):
        """(number, rest of the path, bytes) for what a process has in a folder such as `fd`."""
        for path, raw in self.by_pid[pid].items():
            match = re.fullmatch(folder + r"/(\d+)(?:/(.*))?", path)
            if match:
                yield int(match.group(1)), match.group(2), raw


def stat_fields(raw):
    """The fields of a stat file behind the name: index 0 is the state (field 3 of proc(5))."""
    return raw[raw.rindex(b")") + 2:].split()


def status_fields(raw):
    """A status file as {key: words}; the name is left out, it may hold anything."""
    lines = [line.partition(b":") for line in raw.split(b"\n") if not line.startswith(b"Name:")]
    return {key.decode(): value.split() for key, _, value in lines}


def name_of(raw):
    """The bytes of a comm file without the line feed that ends it."""
    return raw[:-1] if raw.endswith(b"\n") else raw


def named(row, key, raw):
    """Adds a name to a row, as text and as bytes."""
    row[key] = text(raw)
    row[key + "_hex"] = raw.hex()
    return row


def details(fields, status, files):
    """What else is told of a process: by the names of its stat and status files."""
    told = {key: b" ".join(status[key]).decode() for key in status}
    numbers = dict(zip(("tty_nr", "utime", "stime", "priority", "nice", "vsize", "processor", "rt_priority", "policy"),
                       (int(fields[at]) for at in (4, 11, 12, 15, 16, 20, 36, 37, 38) if at < len(fields))))
    limits = [re.split(rb"  +", line)[:3] for line in files.get("limits", b"").splitlines()[1:]]
    return {**numbers, "status": told, "oom_score_adj": int(files.get("oom_score_adj", b"0")),
            "environ": text(files.get("environ", b"")), "statm": files.get("statm", b"").decode().split(),
            "limits": [[word.decode() for word in words] for words in limits]}


def tasks(processes):
    """One row a process."""
    rows = []
    for pid in processes.pids:
        files = processes.by_pid[pid]
        # The leader's own stat file is read again in the guest's last sweep; the process's is not.
        fields, status = stat_fields(files.get(f"task/{pid}/stat", files["stat"])), status_fields(files["status"])
        row = {"pid": pid, "tgid": int(status["Tgid"][0]), "ppid": int(fields[1]), "state": fields[0].decode()}
        named(row, "comm", name_of(files["comm"]))
        row.update(zip(("uid", "euid", "suid", "fsuid"), map(int, status["Uid"])))
        row.update(zip(("gid", "egid", "sgid", "fsgid"), map(int, status["Gid"])))
        row["nr_threads"] = int(fields[17])
        row["kthread"] = bool(int(fields[6]) & PF_KTHREAD)
        row.update({"pgrp": int(fields[2]), "session": int(fields[3]), "start_ticks": int(fields[19])})
        row["exe"] = text(files["exe"]) if "exe" in files else None
        row["cwd"] = text(files["cwd"]) if "cwd" in files else None
        row["root"] = text(files["root"]) if "root" in files else None
        named(row, "cmdline", files.get("cmdline", b""))
        row["cgroup"] = text(files.get("cgroup", b"").rstrip(b"\n"))
        row["children"] = {tid: [int(word) for word in raw.split()] for tid, name, raw in processes.under(pid, "task")
                           if name == "children"}
        row["details"] = details(fields, status, files)
        row["namespaces"] = {path[3:]: text(raw) for path, raw in files.items() if path.startswith("ns/")}
        rows.append(row)
    return rows


def threads(processes):
    """One row a thread."""
    rows = []
    for pid in processes.pids:
        found = {}
        for tid, name, raw in processes.under(pid, "task"):
            found.setdefault(tid, {})[name] = raw
        for tid, files in sorted(found.items()):
            row = {"pid": pid, "tid": tid, "state": stat_fields(files["stat"])[0].decode(),
                   "status": {key: b" ".join(value).decode() for key, value in status_fields(files.get("status", b"")).items()},
                   "wchan": files.get("wchan", b"").decode(), "stack": files.get("stack", b"").decode().splitlines()}
            rows.append(named(row, "comm", name_of(files["comm"])))
    return rows


def module_files(found, folder):
    """One row a file of /sys/module/NAME/FOLDER."""
    matches = ((re.fullmatch(rf"/sys/module/([^/]+)/{folder}/(.+)", path), raw) for path, raw in found.items())
    return [{"module": match.group(1), "name": match.group(2), "value": text(raw.rstrip(b"\n"))} for match, raw in matches if match]


def unescaped(raw):
    """Undoes the octal escapes that seq_file writes for white space."""
    return re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match.group(1), 8)]), raw)


def vmas(processes):
    """One row a mapping; the vsyscall page, which belongs to no address space, is among them as in /proc."""
    rows = []
    for pid in processes.pids:
        for line in processes.by_pid[pid].get("maps", b"").splitlines():
            start, end, perms, offset, device, inode, path = MAPS_LINE.fullmatch(line).groups()
            rows.append({"pid": pid, "start": int(start, 16), "end": int(end, 16), "perms": perms.decode(),
                         "offset": int(offset, 16), "dev": device.decode(), "inode": int(inode),
                         "path": text(unescaped(path)) if path else None})
    return rows


def files(processes):
    """One row an open file."""
    rows = []
    for pid in processes.pids:
        details = {fd: status_fields(raw) for fd, _, raw in processes.under(pid, "fdinfo")}
        for fd, _, raw in sorted(processes.under(pid, "fd")):
            known = details.get(fd, {})
            row = {"pid": pid, "fd": fd, "pos": int(known["pos"][0]) if "pos" in known else None,
                   "flags": int(known["flags"][0], 8) if "flags" in known else None,
                   "inode": int(known["ino"][0]) if "ino" in known else None}
            rows.append(named(row, "path", raw))
    return rows


def modules(found):
    """One row a module."""
    rows = []
    for line in found["/proc/modules"].decode().splitlines():
        name, size, refcount, users, state, base, *taints = line.split()
        rows.append({"name": name, "size": int(size), "refcount": int(refcount),
                     "used_by": [user for user in users.split(",") if user not in ("", "-", "[permanent]")],
                     "permanent": "[permanent]" in users, "state": state, "base": int(base, 16),
                     "taints": taints[0].strip("()") if taints else ""})
    return rows


def mounts(processes):
    """One row a mount, for each mount namespace that speaks; `pid` is a process in it."""
    rows = []
    for pid in processes.pids:
        for line in processes.by_pid[pid].get("mountinfo", b"").splitlines():
            left, _, right = line.partition(b" - ")
            ident, parent, device, root, target, options, *optional = left.split(b" ")
            kind, source, super_options = right.split(b" ", 2)
            rows.append({"pid": pid, "id": int(ident), "parent": int(parent), "dev": device.decode(), "root": text(unescaped(root)),
                         "target": text(unescaped(target)), "options": options.decode(), "fstype": text(kind),
                         "source": text(unescaped(source)), "super_options": text(super_options), "propagation": b" ".join(optional).decode()})
    return rows


def address(raw):
    """`0100007F:1B59` as ("127.0.0.1", 7001): words of the machine's byte order, ports in plain hexadecimal."""
    words, _, port = raw.decode().partition(":")
    octets = b"".join(bytes.fromhex(words[at:at + 8])[::-1] for at in range(0, len(words), 8))
    return str(ipaddress.ip_address(octets)), int(port, 16)


def inet(processes, names, states):
    """One row a socket of /proc/PID/net/tcp and its like."""
    rows = []
    for pid in processes.pids:
        for name in names:
            for line in processes.by_pid[pid].get(f"net/{name}", b"").splitlines()[1:]:
                words = line.split()
                (local, lport), (remote, rport) = address(words[1]), address(words[2])
                waiting, queued = words[4].split(b":")
                state = int(words[3], 16)
                timer = TIMERS.get(int(words[5].split(b":")[0], 16))
                rows.append({"pid": pid, "table": name, "local": local, "lport": lport, "remote": remote, "rport": rport,
                             "state": states.get(state, state), "tx_queue": int(waiting, 16), "rx_queue": int(queued, 16),
                             "uid": int(words[7]), "inode": int(words[9]), "timer": timer, "retransmits": int(words[6], 16)})
    return rows


def unix(processes):
    """One row a UNIX socket."""
    rows = []
    for pid in processes.pids:
        for line in processes.by_pid[pid].get("net/unix", b"").splitlines()[1:]:
            words = line.split(b" ", 7) if b"  " not in line else re.split(rb" +", line, maxsplit=7)
            row = {"pid": pid, "type": int(words[4], 16), "state": int(words[5], 16), "inode": int(words[6]),
                   "flags": int(words[3], 16)}
            rows.append(named(row, "path", words[7] if len(words) > 7 else b""))
    return rows


def tables(processes, name):
    """(pid, words) of each line of /proc/PID/net/NAME, its heading too."""
    for pid in processes.pids:
        for line in processes.by_pid[pid].get(f"net/{name}", b"").decode().splitlines():
            yield pid, line.split()


def netlink(processes):
    """One row a netlink socket."""
    return [{"pid": pid, "protocol": int(words[1]), "port": int(words[2]), "groups": int(words[3], 16), "rx_queue": int(words[4]),
             "drops": int(words[8]), "inode": int(words[9])} for pid, words in tables(processes, "netlink") if words[0] != "sk"]


def packet(processes):
    """One row a packet socket."""
    types = {2: "dgram", 3: "raw"}
    return [{"pid": pid, "type": types[int(words[2])], "protocol": int(words[3], 16), "interface": int(words[4]),
             "running": words[5] == "1", "rx_queue": int(words[6]), "uid": int(words[7]), "inode": int(words[8])}
            for pid, words in tables(processes, "packet") if words[0] != "sk"]


def ipv6_addresses(processes):
    """One row an IPv6 address of a device."""
    scopes = {0x10: "host", 0x20: "link", 0x40: "site", 0x00: "global"}
    return [{"pid": pid, "address": str(ipaddress.ip_address(bytes.fromhex(words[0]))), "prefix": int(words[2], 16),
             "scope": scopes[int(words[3], 16) & 0xf0], "flags": int(words[4], 16), "device": words[5]}
            for pid, words in tables(processes, "if_inet6")]


def neighbours(processes):
    """One row a neighbour of ARP."""
    return [{"pid": pid, "ip": words[0], "mac": words[3], "device": words[5]}
            for pid, words in tables(processes, "arp") if words[0] != "IP"]


def ipv4_tries(processes):
    """One row a route of /proc/net/fib_trie: of all tables, with its scope and type."""
    rows, table, destination = [], None, None
    for pid, words in tables(processes, "fib_trie"):
        if words[0] in TABLES or words[0] == "Id":
            table = TABLES.get(words[0]) or int(words[1].rstrip(":"))
        elif words[0] == "|--":
            destination = words[1]
        elif words[0].startswith("/"):
            rows.append({"pid": pid, "table": table, "destination": destination, "prefix": int(words[0][1:]),
                         "scope": {"universe": "global"}.get(words[1], words[1]), "type": words[2].lower()})
    return rows


def ipv4_ways(processes):
    """One row a route of /proc/net/route: of the main table, with its way."""
    rows = []
    for pid, words in tables(processes, "route"):
        if words[0] != "Iface":
            destination, gateway, mask = (address((words[at] + ":0").encode())[0] for at in (1, 2, 7))
            rows.append({"pid": pid, "device": None if words[0] == "*" else words[0], "destination": destination,
                         "gateway": None if gateway == "0.0.0.0" else gateway, "metric": int(words[6]),
                         "prefix": int(ipaddress.ip_address(mask)).bit_count()})
    return rows


def ipv6_routes(processes):
    """One row a route of /proc/net/ipv6_route, without those that stand for no route, one for each table."""
    rows = []
    for pid, words in tables(processes, "ipv6_route"):
        destination, gateway = (str(ipaddress.ip_address(bytes.fromhex(words[at]))) for at in (0, 4))
        metric = int(words[5], 16)
        if metric != METRIC_OF_NONE:
            rows.append({"pid": pid, "destination": destination, "prefix": int(words[1], 16),
                         "gateway": None if gateway == "::" else gateway, "metric": metric, "flags": int(words[8], 16), "device": words[9]})
    return rows


def netdevs(processes):
    """One row a network device."""
    rows = []
    for pid in processes.pids:
        for line in processes.by_pid[pid].get("net/dev", b"").splitlines()[2:]:
            name, _, counters = line.partition(b":")
            numbers = [int(word) for word in counters.split()]
            rows.append({"pid": pid, "name": name.strip().decode(), "rx_bytes": numbers[0], "rx_packets": numbers[1],
                         "tx_bytes": numbers[8], "tx_packets": numbers[9]})
    return rows


def resources(raw):
    """One row a resource of /proc/iomem or /proc/ioports."""
    rows = []
    for line in raw.decode().splitlines():
        range_, _, name = line.partition(" : ")
        start, _, end = range_.strip().partition("-")
        rows.append({"start": int(start, 16), "end": int(end, 16), "name": name, "depth": (len(line) - len(line.lstrip())) // 2})
    return rows


def kmsg(found):
    """One row a record of the kernel's log."""
    rows = []
    for line in found.get("/dev/kmsg", b"").splitlines():
        head, _, message = line.partition(b";")
        words = head.split(b",")
        if line.startswith(b" ") or len(words) < 4:
            continue
        priority = int(words[0])
        message = re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes([int(match.group(1), 16)]), message)
        rows.append({"seq": int(words[1]), "time_us": int(words[2]), "level": priority & 7, "facility": priority >> 3,
                     "text": text(message), "caller": next((word[7:].decode() for word in words[4:] if word.startswith(b"caller=")), None)})
    return rows


def entities(data):
    """Everything that the records tell, as {entity: rows}."""
    found = split(data)
    processes = Processes(found)
    return {
        "tasks": tasks(processes), "threads": threads(processes), "vmas": vmas(processes), "files": files(processes),
        "modules": modules(found), "mounts": mounts(processes), "tcp": inet(processes, ("tcp", "tcp6"), TCP_STATES),
        "udp": inet(processes, ("udp", "udp6"), TCP_STATES), "unix": unix(processes), "netdevs": netdevs(processes),
        "iomem": resources(found["/proc/iomem"]), "ioports": resources(found.get("/proc/ioports", b"")), "kmsg": kmsg(found),
        "raw": inet(processes, ("raw", "raw6"), TCP_STATES), "netlink": netlink(processes), "packet": packet(processes),
        "ipv6_addresses": ipv6_addresses(processes), "neighbours": neighbours(processes),
        "ipv4_tries": ipv4_tries(processes), "ipv4_ways": ipv4_ways(processes), "ipv6_routes": ipv6_routes(processes),
        "module_parameters": module_files(found, "parameters"), "module_sections": module_files(found, "sections"),
    }, {path: raw for path, raw in found.items() if not re.match(r"/proc/\d+/|/sys/module/", path)}


def save(data, own_pid, folder):
    """Writes the folder `truth/` of a guest."""
    (folder / "raw").mkdir(parents=True)
    rows, raw = entities(data)
    for entity, content in rows.items():
        lines = ",\n".join(json.dumps(row, ensure_ascii=True) for row in content)
        (folder / f"{entity}.json").write_text(f"[\n{lines}\n]\n" if content else "[]\n")
    for path, content in raw.items():
        (folder / "raw" / path.strip("/").replace("/", "_")).write_bytes(content)
    if own_pid not in [row["pid"] for row in rows["tasks"]]:
        raise ValueError(f"process {own_pid}, which tells the truth, is not in it")
