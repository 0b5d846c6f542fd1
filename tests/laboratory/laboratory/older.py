"""A stopped guest of Linux 5.10 in the layouts of an older kernel: none between 4.19 and 5.9 is to be had as a package.

The guest's profile is rewritten, and what differs in memory is written into a copy of its RAM file: the radix trees that became xarrays,
the records of the kernel's log, chains with other ends. What such a guest's `/proc` said stays the truth, so that every row of it is
compared with what the library makes of the older layouts. Each step is a release whose changes are taken back, down to the one asked
for. What is not written down here is the same in both.
"""

import dataclasses
import json
import pathlib
import re
import shutil
import struct

from . import language
from .kernels import prepare
from .packages import version_key
from .places import Trouble, run
from .tamper import Ram, number, word

VERSION, OLDER = "5.10", ("5.4", "4.19")


@dataclasses.dataclass
class Step:
    """What one release changed in layouts, told as what was before it."""

    release: str
    # Types and enumerators that had another name.
    types: dict = dataclasses.field(default_factory=dict)
    enumerators: dict = dataclasses.field(default_factory=dict)
    # Members that had another name or another type; (struct, member): (name, type or None for the same).
    members: dict = dataclasses.field(default_factory=dict)
    # Whole types as they were: size, and members with the offsets of what became of them; None for a type that was not there.
    defined: dict = dataclasses.field(default_factory=dict)
    # Members and symbols that were not there yet.
    later_members: dict = dataclasses.field(default_factory=dict)
    later_symbols: list = dataclasses.field(default_factory=list)
    # Symbols that had another name and type.
    symbols: dict = dataclasses.field(default_factory=dict)
    # Entities of the laboratory that were not there yet (None), and columns that were not.
    lacks: dict = dataclasses.field(default_factory=dict)


def absent(*names):
    """Types that were not there."""
    return dict.fromkeys(f"struct {name}" for name in names)


# The newest first; file names are those of the kernel before the release.
STEPS = [
    # kernel/printk/printk.c, with CONFIG_PRINTK_CALLER; the ring buffer is 896fbe20b4e2.
    Step("5.10", defined={
        "struct printk_log": (0x14, ["ts_nsec: 0x0 u64", "len: 0x8 u16", "text_len: 0xa u16", "dict_len: 0xc u16", "facility: 0xe u8",
                                     "flags: 0xf:0:5 u8", "level: 0xf:5:3 u8", "caller_id: 0x10 u32"]),
        **absent("printk_ringbuffer", "prb_desc", "prb_desc_ring", "prb_data_ring", "prb_data_blk_lpos", "printk_info")},
        later_symbols=["prb", "printk_rb_static", "printk_rb_dynamic", "_printk_rb_static_descs", "_printk_rb_static_infos"]),
    # include/linux/mmzone.h (slab pages were counted as pages), include/linux/seccomp.h
    Step("5.9", enumerators={"NR_SLAB_RECLAIMABLE_B": "NR_SLAB_RECLAIMABLE", "NR_SLAB_UNRECLAIMABLE_B": "NR_SLAB_UNRECLAIMABLE"},
         later_members={"seccomp": ["filter_count"]}),
    # kernel/module.c: the name is where 5.10 has battr.attr.name (ed66f991bb19); kernel/bpf/syscall.c
    Step("5.8", defined={"struct module_sect_attr": (0x40, ["name: 0x0 char *", "address: 0x38 long unsigned int"]), **absent("bpf_link")},
         later_symbols=["link_idr"], lacks={"bpf_links": None}),
    # include/linux/bpf.h: programs were in the list of bpf_kallsyms themselves. mm/slub.c
    Step("5.7", members={("bpf_prog_aux", "ksym.lnode"): ("ksym_lnode", None)}, defined=absent("bpf_ksym")),
    # fs/proc/internal.h, include/linux/pipe_fs_i.h, include/linux/nsproxy.h
    Step("5.6", members={("proc_dir_entry", "proc_ops"): ("proc_fops", "struct file_operations *"), ("pipe_inode_info", "rd_wait"): ("wait", None)},
         defined=absent("proc_ops", "time_namespace"),
         later_members={"pipe_inode_info": ["wr_wait"], "nsproxy": ["time_ns", "time_ns_for_children"]},
         later_symbols=["proc_seq_ops", "proc_single_ops", "proc_net_seq_ops", "proc_net_single_ops"], lacks={"namespaces": ["time_ns"]}),
    # include/linux/sched.h, include/linux/kernfs.h, include/linux/netdevice.h, include/net/inet_hashtables.h, include/linux/pipe_fs_i.h
    Step("5.5", members={("task_struct", "start_boottime"): ("real_start_time", None), ("kernfs_node", "id"): ("id", "union kernfs_node_id"),
                         ("pcpu_lstats", "packets"): ("packets", "u64"), ("pcpu_lstats", "bytes"): ("bytes", "u64"),
                         ("pipe_inode_info", "head"): ("nrbufs", None), ("pipe_inode_info", "tail"): ("curbuf", None),
                         ("pipe_inode_info", "ring_size"): ("buffers", None)},
         defined={"union kernfs_node_id": (0x8, ["ino: 0x0 u32", "generation: 0x4 u32", "id: 0x0 u64"])},
         later_members={"inet_listen_hashbucket": ["nulls_head"], "pipe_inode_info": ["max_usage"]}),
    # include/linux/net.h, include/net/ip6_fib.h, include/net/ip_fib.h
    Step("5.3", members={("socket", "wq"): ("wq", "struct socket_wq *"), ("fib6_info", "fib6_nh"): ("fib6_nh", "struct fib6_nh")},
         later_members={"fib_info": ["nh"], "fib6_info": ["nh"]}, defined=absent("nexthop")),
    # include/linux/rhashtable.h, include/linux/cgroup-defs.h, include/linux/module.h, include/linux/vmalloc.h, include/net/ip_fib.h
    # and include/net/ip6_fib.h: the members are those that struct fib_nh_common has since.
    Step("5.2", members={("bucket_table", "buckets"): ("buckets", "struct rhash_head *[]")},
         defined={
             "struct fib_nh": (0x70, ["nh_dev: 0x0 struct net_device *", "nh_oif: 0x8 int", "nh_scope: 0xc unsigned char",
                                      "nh_flags: 0xf unsigned char", "nh_lwtstate: 0x10 struct lwtunnel_state *", "nh_gw: 0x18 __be32",
                                      "nh_weight: 0x28 int", "nh_hash: 0x48 struct hlist_node", "nh_parent: 0x58 struct fib_info *",
                                      "nh_tclassid: 0x60 __u32", "nh_saddr: 0x64 __be32", "nh_saddr_genid: 0x68 int"]),
             "struct fib6_nh": (0x60, ["nh_dev: 0x0 struct net_device *", "nh_flags: 0xf unsigned char",
                                       "nh_lwtstate: 0x10 struct lwtunnel_state *", "nh_gw: 0x18 struct in6_addr", "nh_weight: 0x28 int"]),
             **absent("fib_nh_common", "rhash_lock_head")},
         later_members={"fib_info": ["fib_nh_is_v6"], "css_set": ["dying_tasks"], "mod_kallsyms": ["typetab"], "vmap_area": ["subtree_max_size"]}),
    # include/linux/mm_types.h
    Step("5.1", members={("mm_struct", "pinned_vm"): ("pinned_vm", "long unsigned int")}),
    # include/linux/mmzone.h, include/linux/mm.h (ca79b0c211af), include/linux/fs.h
    Step("5.0", members={("zone", "managed_pages"): ("managed_pages", "long unsigned int"), ("zone", "_watermark"): ("watermark", None),
                         ("file_lock", "fl_blocker"): ("fl_next", None), ("file_lock", "fl_blocked_member"): ("fl_block", None)},
         later_members={"zone": ["watermark_boost"], "file_lock": ["fl_blocked_requests"]},
         symbols={"_totalram_pages": ("totalram_pages", "long unsigned int")}),
    # include/linux/radix-tree.h; the names and marks changed by f8d5d0cc145c and 3159f943aafd.
    Step("4.20", types={"xarray": "radix_tree_root", "xa_node": "radix_tree_node"},
         members={("radix_tree_root", "xa_flags"): ("gfp_mask", None), ("radix_tree_root", "xa_head"): ("rnode", "struct radix_tree_node *"),
                  ("radix_tree_node", "nr_values"): ("exceptional", None), ("radix_tree_node", "array"): ("root", None)}),
]
# Scripts of examples/ that ask for nothing but what these kernels lack.
LACKS_SCRIPTS = ["bpf-links"]
# Where what is new here is put: room that nothing of an older kernel uses.
ROOM = "_printk_rb_static_infos"
# fs/proc/generic.c and fs/proc/proc_net.c before 5.6
PROC_OPERATIONS = {"proc_seq_ops": "proc_seq_fops", "proc_single_ops": "proc_single_fops", "proc_net_seq_ops": "proc_net_seq_fops",
                   "proc_net_single_ops": "proc_net_single_fops"}
VARIABLES = {"log_first_seq": "u64", "log_next_seq": "u64", "log_first_idx": "u32", "log_next_idx": "u32"}


def steps(older):
    """The steps from 5.10 down to a version."""
    return [step for step in STEPS if version_key(step.release) > version_key(older)]


class Profile:
    """The text of a profile, document by document: the head, types, symbols."""

    def __init__(self, text):
        self.text = text

    def replace(self, pattern, replacement, what):
        """Replaces every match of a regular expression of lines; there must be one."""
        self.text, count = re.subn(pattern, replacement, self.text, flags=re.MULTILINE)
        if not count:
            raise Trouble(f"the profile has no {what}: has the kernel changed?")

    def document(self, kind):
        """The pattern of a type's document: its head, and its lines."""
        return rf"^{re.escape(kind)}:\n(?:  .*\n)+"

    def in_document(self, kind, pattern, replacement):
        """Replaces in one type."""
        def inner(match):
            text, count = re.subn(pattern, replacement, match.group(0), flags=re.MULTILINE)
            if not count:
                raise Trouble(f"`{kind}` has no match for {pattern}")
            return text
        self.replace(self.document(kind), inner, kind)

    def define(self, kind, size, members):
        """Puts a type in the place of the one that has this name, or in front of `struct zone`."""
        lines = "".join(f"    {member}\n" for member in members)
        text = f"{kind}:\n  size: {size:#x}\n  members:\n{lines}"
        if re.search(self.document(kind), self.text, re.MULTILINE):
            self.replace(self.document(kind), lambda _: text, kind)
        else:
            self.replace(r"^struct zone:\n", lambda match: f"{text}---\n{match.group(0)}", "struct zone")

    def nested(self, kind, outer, inner):
        """The offset, and the type, of a member of a member."""
        lines = re.search(self.document(kind), self.text, re.MULTILINE)
        at, member = re.search(rf"^    {outer}: (0x[0-9a-f]+) (.*)$", lines.group(0), re.MULTILINE).groups()
        lines = re.search(self.document(member), self.text, re.MULTILINE)
        further, kind = re.search(rf"^    {inner}: (0x[0-9a-f]+) (.*)$", lines.group(0), re.MULTILINE).groups()
        return int(at, 16) + int(further, 16), kind

    def drop(self, kind):
        """Takes a type away."""
        self.replace(self.document(kind) + r"(?:---\n)?", "", kind)

    def address(self, symbol):
        """A symbol's address, as linked."""
        found = re.search(rf"^  {symbol}: (0x[0-9a-f]+) ", self.text, re.MULTILINE)
        if found is None:
            raise Trouble(f"the profile has no symbol `{symbol}`")
        return int(found.group(1), 16)


def rewrite_profile(text, older, variables):
    """The profile of 5.10 as one of an older kernel. `variables`: what is new in memory, by name: how far it is from `ROOM`, its bytes,
    its type."""
    profile = Profile(text)
    room = profile.address(ROOM)
    for step in steps(older):
        take_back(profile, step)
    for name, (distance, size, kind) in variables.items():
        profile.text += f"  {name}: {room + distance:#x} data {size} {kind}\n"
    # Symbols are looked up by their order.
    head, symbols = profile.text.split("\nsymbols:\n")
    return f"{head}\nsymbols:\n" + "".join(f"{line}\n" for line in sorted(symbols.splitlines(), key=name_of))


def take_back(profile, step):
    """Takes the changes of one release back."""
    for new, old in step.types.items():
        profile.replace(rf"\bstruct {new}\b", f"struct {old}", f"struct {new}")
    for (owner, member), (name, kind) in step.members.items():
        outer, _, inner = member.partition(".")
        if inner:
            offset, kind = profile.nested(f"struct {owner}", outer, inner)
            profile.in_document(f"struct {owner}", rf"^    {outer}: .*$", f"    {name}: {offset:#x} {kind}")
        else:
            end = r"\2" if kind is None else kind
            profile.in_document(f"struct {owner}", rf"^    {member}: (\S+) (.*)$", rf"    {name}: \1 {end}")
    for owner, members in step.later_members.items():
        for member in members:
            profile.in_document(f"struct {owner}", rf"^    {member}: .*\n", "")
    for kind, definition in step.defined.items():
        if definition is None:
            profile.drop(kind)
        else:
            profile.define(kind, *definition)
    for new, (old, kind) in step.symbols.items():
        profile.replace(rf"^  {new}: (\S+ \S+ \S+) .*$", rf"  {old}: \1 {kind}", new)
    for new, old in step.enumerators.items():
        profile.replace(rf"^(\s+){new}: ", rf"\g<1>{old}: ", new)
    for name in step.later_symbols:
        profile.text = re.sub(rf"^  {name}: .*\n", "", profile.text, flags=re.MULTILINE)


def name_of(line):
    """The name in a line of a symbol."""
    return line.split(": ", 1)[0].strip().strip('"').encode()


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
    "5.7": [("links of free objects", rewrite_free_lists)], "5.5": [("chains of listening sockets", rewrite_listeners), ("pipes", rewrite_pipes)],
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
