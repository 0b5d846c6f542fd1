"""A stopped guest of Linux 5.10 in the layouts that Linux 4.19 had: no kernel between 4.19 and 5.9 is to be had as a package.

The guest's profile is rewritten, and what differs in memory is written into a copy of its RAM file: the radix trees that became xarrays,
the records of the kernel's log, chains with other ends. What such a guest's `/proc` said stays the truth, so that every row of it is
compared with what the library makes of the older layouts. Each change names where it comes from: the release, and the kernel's commit
or file. What is not written down here is the same in both.
"""

import json
import pathlib
import re
import shutil
import struct

from . import language
from .kernels import prepare
from .places import Trouble, run
from .tamper import Ram, number, word

VERSION, OLDER = "5.10", "4.19"
# Types that have another name.
RENAMED_TYPES = {
    # 4.20: f8d5d0cc145c, 3159f943aafd
    "xarray": "radix_tree_root", "xa_node": "radix_tree_node",
}
# Members that have another name, another type, or both; (struct, member): (name, type or None for the same).
MEMBERS = {
    ("radix_tree_root", "xa_flags"): ("gfp_mask", None),
    ("radix_tree_root", "xa_head"): ("rnode", "struct radix_tree_node *"),
    ("radix_tree_node", "nr_values"): ("exceptional", None),
    ("radix_tree_node", "array"): ("root", None),
    # 5.5: cf25e24db61c
    ("task_struct", "start_boottime"): ("real_start_time", None),
    # 5.0: 9705bea5f833, a921444382b4
    ("zone", "managed_pages"): ("managed_pages", "long unsigned int"),
    ("zone", "_watermark"): ("watermark", None),
    # 5.5: 67c0496e87d1
    ("kernfs_node", "id"): ("id", "union kernfs_node_id"),
    # 5.6: d56c0d45f0e2
    ("proc_dir_entry", "proc_ops"): ("proc_fops", "struct file_operations *"),
    # 5.2: 8f0db018006a
    ("bucket_table", "buckets"): ("buckets", "struct rhash_head *[]"),
    # 5.0: d6367d624137, ada5c1da8660
    ("file_lock", "fl_blocker"): ("fl_next", None),
    ("file_lock", "fl_blocked_member"): ("fl_block", None),
    # 5.6: 0ddad21d3e99
    ("pipe_inode_info", "rd_wait"): ("wait", None),
    # 5.3: 333f7909a857
    ("socket", "wq"): ("wq", "struct socket_wq *"),
    # 5.3: f88d8ea67fbd
    ("fib6_info", "fib6_nh"): ("fib6_nh", "struct fib6_nh"),
    # 5.0: 70f8a3ca68d3
    ("mm_struct", "pinned_vm"): ("pinned_vm", "long unsigned int"),
    # 5.5: fd2f4737870e
    ("pcpu_lstats", "packets"): ("packets", "u64"),
    ("pcpu_lstats", "bytes"): ("bytes", "u64"),
}
# Members that came later.
DROPPED_MEMBERS = {
    "fib_info": ["nh", "fib_nh_is_v6"],  # 5.3: dcb1ecb50edf; 5.2: 4c7e8084fd46
    "fib6_info": ["nh"],  # 5.3: f88d8ea67fbd
    "file_lock": ["fl_blocked_requests"],  # 5.0: ada5c1da8660
    "pipe_inode_info": ["wr_wait"],  # 5.6: 0ddad21d3e99
    "seccomp": ["filter_count"],  # 5.9: c818c03b661c
    "nsproxy": ["time_ns", "time_ns_for_children"],  # 5.6: 769071ac9f20
    "css_set": ["dying_tasks"],  # 5.2: c03cd7738a83
    "mod_kallsyms": ["typetab"],  # 5.2: 1c7651f43777
    "inet_listen_hashbucket": ["nulls_head"],  # 5.5: 8dbd76e79a16
    "vmap_area": ["subtree_max_size"],  # 5.2: 68ad4a330433
    "zone": ["watermark_boost"],  # 5.0: 1c30844d2dfe
}
DROPPED_TYPES = [
    "printk_ringbuffer", "prb_desc", "prb_desc_ring", "prb_data_ring", "prb_data_blk_lpos", "printk_info",  # 5.10: 896fbe20b4e2
    "bpf_link",  # 5.8: 70ed506c3bbc
    "bpf_ksym",  # 5.7: bfea9a8574f3
    "rhash_lock_head",  # 5.2: 8f0db018006a
    "proc_ops",  # 5.6: d56c0d45f0e2
    "time_namespace",  # 5.6: 769071ac9f20
    "nexthop",  # 5.3: 430a049190de
]
# Whole types as they were, with the offsets of what became of their members.
TYPES = {
    # include/net/ip_fib.h of 4.19; the members are those of struct fib_nh_common since 5.2 (f1741730dd18).
    "struct fib_nh": (0x70, ["nh_dev: 0x0 struct net_device *", "nh_oif: 0x8 int", "nh_scope: 0xc unsigned char",
                             "nh_flags: 0xf unsigned char", "nh_lwtstate: 0x10 struct lwtunnel_state *", "nh_gw: 0x18 __be32",
                             "nh_weight: 0x28 int", "nh_hash: 0x48 struct hlist_node", "nh_parent: 0x58 struct fib_info *",
                             "nh_tclassid: 0x60 __u32", "nh_saddr: 0x64 __be32", "nh_saddr_genid: 0x68 int"]),
    # include/net/ip6_fib.h of 4.19
    "struct fib6_nh": (0x60, ["nh_dev: 0x0 struct net_device *", "nh_flags: 0xf unsigned char",
                              "nh_lwtstate: 0x10 struct lwtunnel_state *", "nh_gw: 0x18 struct in6_addr", "nh_weight: 0x28 int"]),
    "struct fib_nh_common": None,
    # kernel/module.c of 4.19; the name is where 5.10 has battr.attr.name (5.8: ed66f991bb19).
    "struct module_sect_attr": (0x40, ["name: 0x0 char *", "address: 0x38 long unsigned int"]),
    # include/linux/kernfs.h of 4.19
    "union kernfs_node_id": (0x8, ["ino: 0x0 u32", "generation: 0x4 u32", "id: 0x0 u64"]),
    # kernel/printk/printk.c of 5.9, with CONFIG_PRINTK_CALLER (5.1: 15ff2069cb7f)
    "struct printk_log": (0x14, ["ts_nsec: 0x0 u64", "len: 0x8 u16", "text_len: 0xa u16", "dict_len: 0xc u16", "facility: 0xe u8",
                                 "flags: 0xf:0:5 u8", "level: 0xf:5:3 u8", "caller_id: 0x10 u32"]),
}
RENAMED_SYMBOLS = {
    # 5.0: ca79b0c211af
    "_totalram_pages": ("totalram_pages", "long unsigned int"),
}
DROPPED_SYMBOLS = [
    "proc_seq_ops", "proc_single_ops", "proc_net_seq_ops", "proc_net_single_ops",  # 5.6: d56c0d45f0e2
    "prb", "printk_rb_static", "printk_rb_dynamic", "_printk_rb_static_descs", "_printk_rb_static_infos",  # 5.10: 896fbe20b4e2
    "link_idr",  # 5.8: a3b80e107894
]
# enum node_stat_item and zone_stat_item of 4.19. 5.9: d42f3245c7e2, 991e7673859e; 4.20: b29940c1abd7
RENAMED_ENUMERATORS = {"NR_SLAB_RECLAIMABLE_B": "NR_SLAB_RECLAIMABLE", "NR_SLAB_UNRECLAIMABLE_B": "NR_SLAB_UNRECLAIMABLE"}
# Entities that a kernel of 4.19 has not, and columns.
LACKS = {"bpf_links": None, "namespaces": ["time_ns"]}
# Scripts of examples/ that ask for nothing else.
LACKS_SCRIPTS = ["bpf-links"]
# Where what is new here is put: room that nothing of an older kernel uses.
ROOM = "_printk_rb_static_infos"
# fs/proc/generic.c and fs/proc/proc_net.c before 5.6
PROC_OPERATIONS = {"proc_seq_ops": "proc_seq_fops", "proc_single_ops": "proc_single_fops", "proc_net_seq_ops": "proc_net_seq_fops",
                   "proc_net_single_ops": "proc_net_single_fops"}
VARIABLES = {"log_first_seq": "u64", "log_next_seq": "u64", "log_first_idx": "u32", "log_next_idx": "u32"}


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

    def drop(self, kind):
        """Takes a type away."""
        self.replace(self.document(kind) + r"(?:---\n)?", "", kind)

    def address(self, symbol):
        """A symbol's address, as linked."""
        found = re.search(rf"^  {symbol}: (0x[0-9a-f]+) ", self.text, re.MULTILINE)
        if found is None:
            raise Trouble(f"the profile has no symbol `{symbol}`")
        return int(found.group(1), 16)


def rewrite_profile(text, variables):
    """The profile of 5.10 as one of 4.19. `variables`: what is new in memory, by name: how far it is from `ROOM`, its bytes, its type."""
    profile = Profile(text)
    room = profile.address(ROOM)
    for old, new in RENAMED_TYPES.items():
        profile.replace(rf"\bstruct {old}\b", f"struct {new}", f"struct {old}")
    for (owner, member), (name, kind) in MEMBERS.items():
        end = r"\2" if kind is None else kind
        profile.in_document(f"struct {owner}", rf"^    {member}: (\S+) (.*)$", rf"    {name}: \1 {end}")
    # 5.7: bfea9a8574f3
    offset = re.search(r"^    ksym: (0x[0-9a-f]+) ", profile.text, re.MULTILINE)
    lnode = re.search(r"^    lnode: (0x[0-9a-f]+) ", profile.text, re.MULTILINE)
    linked = int(offset.group(1), 16) + int(lnode.group(1), 16)
    profile.in_document("struct bpf_prog_aux", r"^    ksym: .*$", f"    ksym_lnode: {linked:#x} struct list_head")
    for owner, members in DROPPED_MEMBERS.items():
        for member in members:
            profile.in_document(f"struct {owner}", rf"^    {member}: .*\n", "")
    for name in DROPPED_TYPES:
        profile.drop(f"struct {name}")
    for kind, definition in TYPES.items():
        if definition is None:
            profile.drop(kind)
        else:
            profile.define(kind, *definition)
    for old, (name, kind) in RENAMED_SYMBOLS.items():
        profile.replace(rf"^  {old}: (\S+ \S+ \S+) .*$", rf"  {name}: \1 {kind}", old)
    for old, new in RENAMED_ENUMERATORS.items():
        profile.replace(rf"^(\s+){old}: ", rf"\g<1>{new}: ", old)
    for name in DROPPED_SYMBOLS:
        profile.text = re.sub(rf"^  {name}: .*\n", "", profile.text, flags=re.MULTILINE)
    for name, (distance, size, kind) in variables.items():
        profile.text += f"  {name}: {room + distance:#x} data {size} {kind}\n"
    # Symbols are looked up by their order.
    head, symbols = profile.text.split("\nsymbols:\n")
    return f"{head}\nsymbols:\n" + "".join(f"{line}\n" for line in sorted(symbols.splitlines(), key=name_of))


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
    """Marks of xarray nodes and values become those of radix trees; returns how many nodes and entries were written.
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
    return len(nodes), written


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


def make(folder, output, programs):
    """Makes a guest's folder of a stopped one of 5.10; returns what was written, in words."""
    folder, output = pathlib.Path(folder), pathlib.Path(output)
    if not (folder / "core.elf").exists():
        raise Trouble(f"{folder} has no core.elf: boot it with --core")
    meta = json.loads((folder / "meta.json").read_text())
    if meta["version"] != VERSION:
        raise Trouble(f"{folder} is a guest of {meta['version']}: only one of {VERSION} can be made older")
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    shutil.copy(folder / "image-map", output)
    (output / "meta.json").write_text(json.dumps(meta | {"older": OLDER, "lacks": LACKS}, indent=2))
    (output / "core.elf").symlink_to((folder / "core.elf").resolve())
    (output / "truth").symlink_to((folder / "truth").resolve())
    (output / "kernel").symlink_to((folder / "kernel").resolve())
    run("cp", "--sparse=always", "--reflink=auto", folder / "ram", output / "ram")
    memory = Memory(folder, Ram(output / "ram", (folder / "image-map").read_text().strip()))
    room = memory.program.symbol(ROOM)
    half = room.size // 2
    nodes, marks = rewrite_trees(memory)
    said = [f"{nodes} nodes of radix trees with {marks} marks", f"{rewrite_log(memory, room.address, half)} records of the log"]
    files, operations = rewrite_proc(memory, room.address + half, room.address + room.size)
    said.append(f"{files} files below /proc with {len(operations)} tables of functions")
    said.append(f"{rewrite_listeners(memory)} chains of listening sockets")
    said.append(f"{rewrite_waiters(memory)} waiting locks")
    said.append(f"{rewrite_free_lists(memory)} links of free objects")
    said.append(f"{rewrite_sockets(memory)} sockets")
    said.append(f"{rewrite_module_symbols(memory)} symbols of modules")
    said.append(f"{rewrite_routes(memory)} routes of IPv6 with a gateway")
    variables = {name: (8 * place, 8, kind) for place, (name, kind) in enumerate(VARIABLES.items())}
    for was, name in PROC_OPERATIONS.items():
        made = operations.get(memory.program.symbol(was).address)
        if made is not None:
            variables[name] = (made - room.address, memory.program.type("struct file_operations").size, "struct file_operations")
    text = rewrite_profile(programs.profile(prepare(VERSION)).read_text(), variables)
    (output / "profile.yaml").write_text(text)
    return said
