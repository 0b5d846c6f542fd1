"""What the releases from 4.20 to 5.10 changed in the kernel's types and symbols, and a profile with those changes taken back."""

import dataclasses
import re

from .packages import version_key
from .places import Trouble


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
    # include/linux/bpf.h: programs were in the list of bpf_kallsyms themselves. include/linux/bpf-cgroup.h, mm/slub.c
    Step("5.7", members={("bpf_prog_aux", "ksym.lnode"): ("ksym_lnode", None)}, defined=absent("bpf_ksym"),
         later_members={"bpf_prog_list": ["link"]}),
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
# Where what is new is put: room that nothing of an older kernel uses.
ROOM = "_printk_rb_static_infos"


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
