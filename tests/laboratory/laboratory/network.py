"""What /proc said of the network, as rows of nettlp-q's walks.

Each file of /proc/PID/net speaks of one network namespace; the truth names the process that it was read of, and that process's
namespace is the column `netns`. Counters of bridges are not compared: before 5.11 their driver keeps them in a struct of its own.
"""

import collections
import ipaddress

UNIX_TYPES = {1: "stream", 2: "dgram", 5: "seqpacket"}
LISTENS = 0x10000
CONNECTED = 3
COUNTERS = ("rx_bytes", "rx_packets", "tx_bytes", "tx_packets")


def namespaces(truth):
    """The network namespace of each process, as a number."""
    named = {row["pid"]: row["namespaces"].get("net") for row in truth.rows("tasks")}
    return {pid: int(name.strip("net:[]")) for pid, name in named.items() if name}


def shown(address):
    """An address as inet_ntop writes it."""
    address = ipaddress.ip_address(address)
    mapped = address.ipv4_mapped if address.version == 6 else None
    return f"::ffff:{mapped}" if mapped else str(address)


def inet(truth, table):
    """Rows of `tcp`, `udp` or `raw`."""
    spaces = namespaces(truth)
    columns = ("lport", "rport", "state", "tx_queue", "rx_queue", "uid", "inode")
    return [{"netns": spaces[row["pid"]], "family": "inet6" if row["table"].endswith("6") else "inet", "local": shown(row["local"]),
             "remote": shown(row["remote"]), **{column: row[column] for column in columns}} for row in truth.rows(table)]


def unix(truth):
    """Rows of `unix`."""
    spaces = namespaces(truth)
    return [{"netns": spaces[row["pid"]], "inode": row["inode"], "type": UNIX_TYPES[row["type"]], "path": row["path"] or None,
             "state": "LISTEN" if row["flags"] & LISTENS else "CONNECTED" if row["state"] == CONNECTED else "UNCONNECTED"}
            for row in truth.rows("unix")]


def netdevs(truth):
    """Rows of `netdevs`."""
    spaces = namespaces(truth)
    return [{"netns": spaces[row["pid"]], "name": row["name"],
             **{counter: None if row["name"].startswith("br") else row[counter] for counter in COUNTERS}} for row in truth.rows("netdevs")]


def in_namespaces(truth, entity):
    """Rows that are as they are but for their namespace."""
    spaces = namespaces(truth)
    return [{**row, "netns": spaces[row["pid"]]} for row in truth.rows(entity)]


def ipv4_tries(truth):
    """Routes of all tables, those that differ in nothing that /proc/net/fib_trie tells counted."""
    columns = ("netns", "table", "destination", "prefix", "scope", "type")
    counts = collections.Counter(tuple(row[column] for column in columns) for row in in_namespaces(truth, "ipv4_tries"))
    return [{**dict(zip(columns, key)), "routes": count} for key, count in counts.items()]


def tcp_timers(truth):
    """Timers of TCP sockets."""
    spaces = namespaces(truth)
    return [{"netns": spaces[row["pid"]], "local": shown(row["local"]), "remote": shown(row["remote"]),
             **{column: row[column] for column in ("lport", "rport", "timer", "retransmits")}} for row in truth.rows("tcp")]


def sockets(truth):
    """Rows of `sockets`: descriptors that are sockets."""
    found = []
    for row in truth.rows("files"):
        path = row["path"] or ""
        if path.startswith("socket:["):
            found.append({"pid": row["pid"], "fd": row["fd"], "inode": int(path[8:-1])})
    return found
