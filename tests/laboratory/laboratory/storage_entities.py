"""What is compared of disks, cached pages, counters of memory, keys and BPF links: with /proc, /sys/block and mincore."""

import stat

from .entity import Entity, text

# Ticks of the kernel in milliseconds, as Debian builds it.
TICK = 4
# The guest's disk of which a part is cached, and the process that has it open (guest/storage.c).
CACHED, HOLDER = "/dev/loop3", "with-cached"
DISKSTATS = ("reads", "reads_merged", "sectors_read", "read_ms", "writes", "writes_merged", "sectors_written", "write_ms", "in_flight",
             "busy_ms")
# Limits that the kernel works out when it is asked, and a counter that exists in /proc only.
NOT_KEPT = ("nr_dirty_threshold", "nr_dirty_background_threshold", "nr_unstable")
# What reading /proc itself, and what still runs in the kernel, counts on.
MOVING = ("nr_free_pages", "nr_free_pages_blocks", "nr_slab_reclaimable", "nr_slab_unreclaimable", "numa_hit", "numa_local",
          "pgalloc_dma32", "pgalloc_normal", "pgfree", "pgfault", "pgactivate", "pgreuse", "pgdeactivate", "nr_page_table_pages",
          "nr_zone_active_anon", "nr_zone_inactive_anon", "nr_active_anon", "nr_inactive_anon", "nr_anon_pages", "nr_kernel_stack",
          "nr_mapped", "nr_file_pages", "nr_shmem")


def expected_partitions(truth):
    """Rows of `block_devices` that have a size."""
    rows = [line.split() for line in truth.raw("proc_partitions").decode().splitlines()[2:]]
    return [{"name": words[3], "dev": f"{words[0]}:{words[1]}", "kilobytes": int(words[2])} for words in rows]


def expected_disks(truth):
    """Rows of `block_devices` that are disks: what /sys/block tells of them."""
    rows = []
    for line in truth.raw("proc_diskstats").decode().splitlines():
        name = line.split()[2]
        if truth.raw(f"sys_block_{name}_ro"):
            rows.append({"name": name, "read_only": truth.raw(f"sys_block_{name}_ro").strip() == b"1",
                         "removable": truth.raw(f"sys_block_{name}_removable").strip() == b"1"})
    return rows


def expected_diskstats(truth):
    """Rows of `block_devices`: what was read and written."""
    rows = [line.split() for line in truth.raw("proc_diskstats").decode().splitlines()]
    return [{"name": words[2], **dict(zip(DISKSTATS, map(int, words[3:])))} for words in rows]


def expected_cached_pages(truth):
    """Rows of `cached_pages` of the disk that is partly cached, by what mincore said; each page begins with its number."""
    return [{"page": page, "text": f"page {page} of a disk that is partly cached"}
            for page, mark in enumerate(truth.raw("cached").decode()) if mark == "1"]


def expected_huge_pages(_):
    """The row of a file of 4 MiB in huge pages: nothing of it is missing, and each entry leads to the page that it is for."""
    return [{"bytes": 4 << 20, "wrong": 0}]


def expected_pipes(truth):
    """Rows of `pipes`, by what FIONREAD and F_GETPIPE_SZ said of each process's."""
    rows = [map(int, line.split()) for line in truth.raw("pipes").decode().splitlines()]
    return [dict(zip(("pid", "fd", "inode", "bytes", "size"), row)) for row in rows]


def expected_names(truth):
    """Rows of `dentry_tree`: what nftw found in a folder; the bytes of a folder are the file system's own affair."""
    rows = []
    for line in truth.raw("names").decode().splitlines():
        inode, mode, size, links, path = line.split()
        mode = int(mode, 8)
        rows.append({"inode": int(inode), "mode": stat.filemode(mode), "links": int(links),
                     "size": None if stat.S_ISDIR(mode) else int(size), "path": text(bytes.fromhex(path))})
    return rows


def vmstat(moving):
    """Rows of `vmstat`, those that rest or those that do not."""
    def expected(truth):
        rows = [line.split() for line in truth.raw("proc_vmstat").decode().splitlines()]
        return [{"name": name, "value": int(value)} for name, value in rows if name not in NOT_KEPT and (name in MOVING) == moving]
    return expected


def expected_bpf_links(truth):
    """Rows of `bpf_links`: each hangs where guest/kernel.c hung it."""
    targets = {1: "module_load", 3: "/linked", 6: "br0"}
    rows = [line.split() for line in truth.raw("bpf_links").decode().splitlines()]
    return [{"id": int(words[0]), "type": int(words[1]), "program": int(words[2]), "target": targets[int(words[1])]} for words in rows]


def told_keys(truth):
    """Lines of /proc/keys by number: keys that its reader may see."""
    return {line.split()[0]: line.split(None, 8) for line in truth.raw("proc_keys").decode().splitlines()}


def keys_query(truth):
    """Asks for the keys of /proc/keys; a user or group of nobody is written there as 65534."""
    numbers = ", ".join(f"'{serial}'" for serial in told_keys(truth))
    return (f"walk keys where serial in ({numbers}) select serial, perm, uid = 0xffffffff ? 65534 : uid as uid, "
            "gid = 0xffffffff ? 65534 : gid as gid, substr(type, 0, 9) as type, type = 'keyring' ? description : null as description")


def expected_keys(truth):
    """Rows of `keys`; only of keyrings what stands behind the name can be told from it."""
    return [{"serial": serial, "perm": words[4], "uid": int(words[5]), "gid": int(words[6]), "type": words[7],
             "description": words[8].rpartition(": ")[0] if words[7] == "keyring" else None} for serial, words in told_keys(truth).items()]


STORAGE_ENTITIES = [
    Entity("partitions", "walk block_devices where size > 0 select name, dev, size / 1K as kilobytes", ("name",), ("dev", "kilobytes"),
           expected_partitions),
    Entity("disks", "walk block_devices where kind = 'disk' select name, read_only, removable", ("name",), ("read_only", "removable"),
           expected_disks),
    Entity("diskstats", "walk block_devices select name, reads, reads_merged, bytes_read / SECTOR as sectors_read, "
           "read_time / 1ms as read_ms, writes, writes_merged, bytes_written / SECTOR as sectors_written, write_time / 1ms as write_ms, "
           f"in_flight, busy_ticks * {TICK} as busy_ms", ("name",), DISKSTATS, expected_diskstats),
    Entity("cached_pages", f"walk tasks as t, files of t as f, cached_pages of f as p where t.comm = '{HOLDER}' and f.path = '{CACHED}' "
           "select p.index as page, str(p.data, 60) as text", ("page",), ("text",), expected_cached_pages),
    Entity("huge_pages", f"walk tasks as t, files of t as f, cached_pages of f as p where t.comm = '{HOLDER}' and f.path = '/tmp/huge/pages' "
           "select sum(p.size) as bytes, sum(str(p.data, 60) = format('page %d of a disk that is partly cached', p.index) ? 0 : 1) as wrong",
           ("bytes",), ("wrong",), expected_huge_pages),
    Entity("vmstat", f"walk vmstat where name not in {NOT_KEPT + MOVING} select name, value", ("name",), ("value",), vmstat(False)),
    Entity("vmstat_moving", f"walk vmstat where name in {MOVING} select name, value", ("name",), ("value",), vmstat(True),
           near={"value": (4096, 4096)}),
    Entity("pipes", "walk tasks as t, pipes of t as p select t.pid as pid, p.fd as fd, p.inode as inode, p.bytes as bytes, p.size as size",
           ("pid", "fd"), ("inode", "bytes", "size"), expected_pipes),
    Entity("names", "walk tasks as t, files of t as f, dentry_tree of f.f_path as d where t.comm = 'with-names' and f.path = '/tmp/names' "
           "and not d.negative and not d.deleted select mounted_path(f.f_path.mnt, &d.self) as path, d.inode as inode, d.mode as mode, "
           "d.links as links, substr(d.mode, 0, 1) = 'd' ? null : d.size as size", ("path",), ("inode", "mode", "links", "size"), expected_names),
    Entity("keys", keys_query, ("serial",), ("perm", "uid", "gid", "type", "description"), expected_keys),
    Entity("bpf_links", "walk bpf_links as l select l.id as id, (int)l.self.type as type, l.program as program, l.target as target", ("id",),
           ("type", "program", "target"), expected_bpf_links),
]
