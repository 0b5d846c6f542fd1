"""A stopped guest of Linux 5.10 in the layouts of an older kernel: none between 4.19 and 5.9 is to be had as a package.

The guest's profile is rewritten, and what differs in memory is written into a copy of its RAM file: the radix trees that became xarrays,
the records of the kernel's log, chains with other ends. What such a guest's `/proc` said stays the truth, so that every row of it is
compared with what the library makes of the older layouts. Each step is a release whose changes are taken back, down to the one asked
for: `layouts.py` has them. What is not written down there or here is the same in both.
"""

import json
import pathlib
import shutil
import struct

from . import language
from .kernels import prepare
from .layouts import ROOM, rewrite_profile, steps
from .places import Trouble, run
from .tamper import Ram, number, word

VERSION, OLDER = "5.10", ("5.4", "4.19")
# Scripts of examples/ that ask for nothing but what these kernels lack.
LACKS_SCRIPTS = ["bpf-links"]
# fs/proc/generic.c and fs/proc/proc_net.c before 5.6
PROC_OPERATIONS = {"proc_seq_ops": "proc_seq_fops", "proc_single_ops": "proc_single_fops", "proc_net_seq_ops": "proc_net_seq_fops",
                   "proc_net_single_ops": "proc_net_single_fops"}
VARIABLES = {"log_first_seq": "u64", "log_next_seq": "u64", "log_first_idx": "u32", "log_next_idx": "u32"}


class Memory:
    """What is read of the guest by drgn, and written into the copy of its RAM file."""

    def __init__(self, folder, ram):
        language.install_drgn()
        from drgn.helpers.linux.mm import follow_phys
        from . import expressions
        self.program = expressions.Memory(folder).program
        self.kernel = self.program["init_mm"].address_of_()
        self.follow = follow_phys
        self.ram = ram

    def read(self, address, size):
        """Bytes as the guest had them."""
        return self.program.read(address, size)

    def write(self, address, data):
        """Writes at a virtual address, page by page."""
        while data:
            here = min(len(data), 0x1000 - address % 0x1000)
            self.ram.write(int(self.follow(self.kernel, address)), data[:here])
            address, data = address + here, data[here:]


def rewrite_trees(memory):
    """Marks of xarray nodes and values become those of radix trees; returns how many entries were written.
    Until 4.19 a node was marked with 1 and a value with 2 (include/linux/radix-tree.h); since then with 2 and with 1 or 3."""
    from drgn import Object
    from drgn.helpers.linux.slab import find_slab_cache, slab_cache_for_each_allocated_object
    cache = find_slab_cache(memory.program, "radix_tree_node")
    nodes = list(slab_cache_for_each_allocated_object(cache, "struct xa_node"))
    written = 0

    def mark(at, entry):
        nonlocal written
        value = number(entry)
        kind = value & 3
        if kind == 2 and value > 4096:
            value -= 1
        elif kind in (1, 3):
            value = value & ~3 | 2
        else:
            return
        memory.write(at, word(value))
        written += 1
    for node in nodes:
        for slot in node.slots:
            mark(slot.address_, slot)
        head = number(node.array)
        # Nodes that were made in advance are in no tree.
        if head >> 47 and not number(node.parent):
            entry = Object(memory.program, "struct xarray", address=head).xa_head
            if number(entry) == node.value_() + 2:
                mark(entry.address_, entry)
    return written


def log_records(memory):
    """The records of the kernel's log, the oldest first, each as its struct printk_info and its text (kernel/printk/printk_ringbuffer.c
    of 5.10). drgn's own reader takes the number in front of a text that was laid at the ring's start for text."""
    ring, texts = memory.program["prb"].desc_ring, memory.program["prb"].text_data_ring
    count, bits = 1 << number(ring.count_bits), number(texts.size_bits)
    for position in range(number(ring.tail_id.counter), number(ring.head_id.counter) + 1):
        block, info = ring.descs[position % count].text_blk_lpos, ring.infos[position % count]
        state = number(ring.descs[position % count].state_var.counter) >> 62 & 3
        if state not in (1, 2):
            continue
        begin, after = number(block.begin), number(block.next)
        if begin & 1:
            yield info, b""
            continue
        start = begin % (1 << bits) if begin >> bits == (after - 1) >> bits else 0
        yield info, memory.read(number(texts.data) + start + 8, number(info.text_len))


def pack_record(info, text):
    """A struct printk_log with its text and what belongs to it (kernel/printk/printk.c of 5.9, log_store)."""
    named = [(b"SUBSYSTEM=", info.dev_info.subsystem), (b"DEVICE=", info.dev_info.device)]
    pairs = b"\0".join(name + value.string_() for name, value in named if value.string_())
    length = (20 + len(text) + len(pairs) + 3) & ~3
    head = struct.pack("<QHHHBBI", number(info.ts_nsec), length, len(text), len(pairs), number(info.facility), number(info.level) << 5,
                       number(info.caller_id))
    return (head + text + pairs).ljust(length, b"\0")


def rewrite_log(memory, room, length):
    """Puts the log's records into a buffer of `length` bytes, round its end, and the variables in front of it; returns how many."""
    program, found = memory.program, list(log_records(memory))
    records, first_seq = [pack_record(*record) for record in found], number(found[0][0].seq)
    total = sum(map(len, records))
    buffer_at = room + 8 * len(VARIABLES)
    size = min(length - 8 * len(VARIABLES), total + 4096) & ~3
    # From the middle on, so that the records go round the end.
    buffer, at, first = bytearray(size), size // 2 & ~3, None
    for record in records:
        if at + len(record) + 20 > size:
            buffer[at:at + 20] = bytes(20)
            at = 0
        first = at if first is None else first
        buffer[at:at + len(record)] = record
        at += len(record)
    values = {"log_first_seq": (first_seq, 8), "log_next_seq": (first_seq + len(records), 8), "log_first_idx": (first, 4), "log_next_idx": (at, 4)}
    for place, name in enumerate(VARIABLES):
        value, width = values[name]
        memory.write(room + 8 * place, value.to_bytes(width, "little"))
    memory.write(buffer_at, bytes(buffer))
    memory.write(program["log_buf"].address_, word(buffer_at))
    memory.write(program["log_buf_len"].address_, struct.pack("<I", size))
    return len(records)


def rewrite_listeners(memory):
    """Ends of the chains of listening sockets: null, not odd (include/net/inet_hashtables.h before 5.5). Returns how many chains."""
    from drgn import container_of
    chains = 0
    for bucket in memory.program["tcp_hashinfo"].listening_hash:
        link, at = bucket.nulls_head.first, bucket.nulls_head.address_
        while not number(link) & 1:
            at, link = number(link), link.next
        if at != bucket.nulls_head.address_:
            chains += 1
        memory.write(at, word(0))
    return chains


def rewrite_waiters(memory):
    """Locks that wait are linked through one member that is also the head of those that wait for them (include/linux/fs.h of 4.19);
    returns how many wait."""
    from drgn import Object
    from drgn.helpers.linux.list import list_for_each_entry
    from drgn.helpers.linux.slab import find_slab_cache, slab_cache_for_each_allocated_object
    program, waiting = memory.program, 0
    offset = program.type("struct file_lock").member("fl_blocked_member").offset
    for lock in slab_cache_for_each_allocated_object(find_slab_cache(program, "file_lock_cache"), "struct file_lock"):
        waiters = list(list_for_each_entry("struct file_lock", lock.fl_blocked_requests.address_of_(), "fl_blocked_member"))
        links = [number(lock) + offset, *(waiter.fl_blocked_member.address_of_().value_() for waiter in waiters)] if waiters else []
        for here, ahead in zip(links, links[1:] + links[:1]):
            memory.write(here, word(ahead))
            memory.write(ahead + 8, word(here))
        waiting += len(waiters)
    return waiting


def rewrite_attached(memory):
    """Programs of control groups are in the lists themselves, not by links (include/linux/bpf-cgroup.h before 5.7); returns how many were
    not."""
    from drgn import container_of
    from drgn.helpers.linux.cgroup import css_for_each_descendant_pre
    from drgn.helpers.linux.list import list_for_each_entry
    moved = 0
    for state in css_for_each_descendant_pre(memory.program["cgrp_dfl_root"].cgrp.self.address_of_()):
        for head in container_of(state, "struct cgroup", "self").bpf.progs:
            for entry in list_for_each_entry("struct bpf_prog_list", head.address_of_(), "node"):
                if not number(entry.prog):
                    memory.write(entry.prog.address_, word(number(entry.link.link.prog)))
                    moved += 1
    return moved


def rewrite_pipes(memory):
    """What waits in a pipe is told by its first buffer and how many there are (include/linux/pipe_fs_i.h before 5.5); returns how many
    pipes."""
    from drgn import cast
    from drgn.helpers.linux.fs import for_each_file
    from drgn.helpers.linux.pid import for_each_task
    program, pipes = memory.program, {}
    functions = program["pipefifo_fops"].address_
    for task in for_each_task(program):
        for _, file in for_each_file(task) if number(task.files) else ():
            if number(file.f_op) == functions:
                pipe = cast("struct pipe_inode_info *", file.private_data)
                pipes[number(pipe)] = pipe
    for pipe in pipes.values():
        head, tail = number(pipe.head), number(pipe.tail)
        memory.write(pipe.head.address_, struct.pack("<I", head - tail & 0xffffffff))
        memory.write(pipe.tail.address_, struct.pack("<I", tail & number(pipe.ring_size) - 1))
    return len(pipes)


def rewrite_free_lists(memory):
    """Links of free objects are mixed with their own place as it is (mm/slub.c before 5.7: 1ad53d9fa3f6); returns how many there are."""
    from drgn.helpers.linux.cpumask import for_each_possible_cpu
    from drgn.helpers.linux.percpu import per_cpu_ptr
    from drgn.helpers.linux.slab import for_each_slab_cache
    program, links = memory.program, 0
    kind = program.type("struct page")
    caches = {number(cache): (number(cache.random), number(cache.offset)) for cache in for_each_slab_cache(program)}
    lists = {number(cache): [number(per_cpu_ptr(cache.cpu_slab, cpu).freelist) for cpu in for_each_possible_cpu(program)]
             for cache in for_each_slab_cache(program)}
    flag, cache_at, list_at = 1 << number(program["PG_slab"]), kind.member("slab_cache").offset, kind.member("freelist").offset
    pages = memory.read(number(program["vmemmap_base"]), kind.size * number(program["max_pfn"]))
    for at in range(0, len(pages), kind.size):
        if int.from_bytes(pages[at:at + 8], "little") & flag:
            cache = int.from_bytes(pages[at + cache_at:at + cache_at + 8], "little")
            lists[cache].append(int.from_bytes(pages[at + list_at:at + list_at + 8], "little"))
    for cache, (random, offset) in caches.items():
        for item in lists[cache]:
            while item:
                link = item + offset
                mixed = int.from_bytes(memory.read(link, 8), "little")
                item = mixed ^ random ^ int.from_bytes(link.to_bytes(8, "big"), "little")
                memory.write(link, word(item ^ random ^ link))
                links += 1
    return links


def rewrite_sockets(memory):
    """The wait queue of a socket is reached by a pointer, which was beside it (include/linux/net.h before 5.3); here it points to where
    it stands itself, whose first word is a lock. Returns how many sockets."""
    from drgn.helpers.linux.slab import find_slab_cache, slab_cache_for_each_allocated_object
    sockets = list(slab_cache_for_each_allocated_object(find_slab_cache(memory.program, "sock_inode_cache"), "struct socket_alloc"))
    for one in sockets:
        memory.write(one.socket.wq.address_, word(one.socket.wq.address_))
    return len(sockets)


def rewrite_module_symbols(memory):
    """Type letters of modules' symbols stand in the symbols (kernel/module.c before 5.2, add_kallsyms); returns how many."""
    from drgn.helpers.linux.list import list_for_each_entry
    written = 0
    for module in list_for_each_entry("struct module", memory.program["modules"].address_of_(), "list"):
        names = module.kallsyms
        for index in range(number(names.num_symtab)):
            memory.write(names.symtab[index].st_info.address_, struct.pack("<B", number(names.typetab[index]) & 0xff))
            written += 1
    return written


def rewrite_proc(memory, at, end):
    """Operations of files below /proc are those of any file (fs/proc/internal.h before 5.6): for each struct proc_ops a struct
    file_operations is put into the room from `at` to `end`; returns how many entries point to one, and where each is, by the address of
    what it was."""
    from drgn.helpers.linux.net import for_each_net
    from drgn.helpers.linux.rbtree import rbtree_inorder_for_each_entry
    program = memory.program
    kind = program.type("struct file_operations")
    offsets = {member.name: member.offset for member in kind.members}
    made, entries = {}, 0
    waiting = [program["proc_root"].address_of_(), *(net.proc_net for net in for_each_net(program))]
    while waiting:
        for entry in rbtree_inorder_for_each_entry("struct proc_dir_entry", waiting.pop().subdir.address_of_(), "subdir_node"):
            if number(entry.mode) & 0o170000 == 0o040000:
                waiting.append(entry)
                continue
            operations = number(entry.proc_ops)
            if number(entry.mode) & 0o170000 != 0o100000 or not operations:
                continue
            if operations not in made:
                if at + kind.size > end:
                    raise Trouble("there is no room for so many kinds of files below /proc")
                made[operations] = at
                image = bytearray(kind.size)
                for member in program.type("struct proc_ops").members:
                    name = member.name.removeprefix("proc_")
                    name = {"ioctl": "unlocked_ioctl"}.get(name, name)
                    if name in offsets and name != "flags":
                        image[offsets[name]:offsets[name] + 8] = word(number(getattr(entry.proc_ops, member.name)))
                memory.write(at, bytes(image))
                at += kind.size
            memory.write(entry.proc_ops.address_, word(made[operations]))
            entries += 1
    return entries, made


def rewrite_routes(memory):
    """Routes of IPv6 with a gateway are marked as such (net/ipv6/route.c before 5.2, RTF_GATEWAY); returns how many."""
    from drgn.helpers.linux.list import hlist_for_each_entry
    from drgn.helpers.linux.net import for_each_net
    marked = 0
    for net in for_each_net(memory.program):
        for bucket in (net.ipv6.fib_table_hash[index] for index in range(256)):
            for table in hlist_for_each_entry("struct fib6_table", bucket.address_of_(), "tb6_hlist"):
                nodes = [table.tb6_root.address_of_()]
                while nodes:
                    node = nodes.pop()
                    nodes += [child for child in (node.left, node.right, node.subtree) if number(child)]
                    # Nodes that only lead to others have a leaf too (RTN_RTINFO).
                    route = node.leaf
                    while number(node.fn_flags) & 0x4 and number(route):
                        if number(route.fib6_nh[0].nh_common.nhc_gw_family):
                            memory.write(route.fib6_flags.address_, struct.pack("<I", number(route.fib6_flags) | 0x2))
                            marked += 1
                        route = route.fib6_next
    return marked


# What is written into memory, by the release whose changes it takes back.
REWRITES = {
    "5.7": [("links of free objects", rewrite_free_lists), ("programs of control groups", rewrite_attached)], "5.5": [("chains of listening sockets", rewrite_listeners), ("pipes", rewrite_pipes)],
    "5.3": [("sockets", rewrite_sockets)], "5.2": [("symbols of modules", rewrite_module_symbols), ("routes of IPv6 with a gateway", rewrite_routes)],
    "5.0": [("waiting locks", rewrite_waiters)], "4.20": [("marks of radix trees", rewrite_trees)],
}


def make(folder, output, older, programs):
    """Makes the folder of a guest of an older kernel from that of a stopped one of 5.10; returns what was written, in words."""
    folder, output = pathlib.Path(folder), pathlib.Path(output)
    if not (folder / "core.elf").exists():
        raise Trouble(f"{folder} has no core.elf: boot it with --core")
    meta = json.loads((folder / "meta.json").read_text())
    if meta["version"] != VERSION:
        raise Trouble(f"{folder} is a guest of {meta['version']}: only one of {VERSION} can be made older")
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    shutil.copy(folder / "image-map", output)
    lacks = {name: columns for step in steps(older) for name, columns in step.lacks.items()}
    (output / "meta.json").write_text(json.dumps(meta | {"older": older, "lacks": lacks}, indent=2))
    for name in ("core.elf", "truth", "kernel"):
        (output / name).symlink_to((folder / name).resolve())
    run("cp", "--sparse=always", "--reflink=auto", folder / "ram", output / "ram")
    memory = Memory(folder, Ram(output / "ram", (folder / "image-map").read_text().strip()))
    room = memory.program.symbol(ROOM)
    half = room.size // 2
    # The log and the files below /proc are taken back to what was before 5.6 in any case.
    said = [f"{rewrite_log(memory, room.address, half)} records of the log"]
    files, operations = rewrite_proc(memory, room.address + half, room.address + room.size)
    said.append(f"{files} files below /proc with {len(operations)} tables of functions")
    for step in steps(older):
        said += [f"{rewrite(memory)} {what}" for what, rewrite in REWRITES.get(step.release, [])]
    variables = {name: (8 * place, 8, kind) for place, (name, kind) in enumerate(VARIABLES.items())}
    for was, name in PROC_OPERATIONS.items():
        made = operations.get(memory.program.symbol(was).address)
        if made is not None:
            variables[name] = (made - room.address, memory.program.type("struct file_operations").size, "struct file_operations")
    text = rewrite_profile(programs.profile(prepare(VERSION)).read_text(), older, variables)
    (output / "profile.yaml").write_text(text)
    return said
