"""NQ expressions and queries, each with the same value computed by drgn from the guest's core, or by hand where no memory is needed."""

import hashlib
import json
import re
import statistics

import drgn
from drgn.helpers.linux.cgroup import cgroup_path, css_for_each_descendant_pre
from drgn.helpers.linux.fs import for_each_file, for_each_mount, inode_for_each_page
from drgn.helpers.linux.list import hlist_for_each_entry, list_for_each_entry
from drgn.helpers.linux.mm import access_remote_vm, follow_phys, for_each_vma, page_to_pfn, phys_to_virt
from drgn.helpers.linux.percpu import per_cpu, per_cpu_ptr
from drgn.helpers.linux.pid import find_task, for_each_pid
from drgn.helpers.linux.plist import plist_for_each_entry
from drgn.helpers.linux.rbtree import rbtree_inorder_for_each_entry
from drgn.helpers.linux.wait import waitqueue_for_each_task
from drgn.helpers.linux.xarray import xa_for_each


class Memory:
    """A guest's memory as drgn sees it."""

    def __init__(self, folder):
        self.program = drgn.Program()
        self.program.set_core_dump(str(folder / "core.elf"))
        self.program.load_debug_info([str(folder / "kernel/vmlinux")])
        self.init = self.program["init_task"]
        self.tasks = [self.init, *(task[0] for task in list_for_each_entry("struct task_struct", self.init.tasks.address_of_(), "tasks"))]
        self.first = find_task(self.program, 1)
        self.cache = {}
        self.levels = json.loads((folder / "meta.json").read_text())["levels"]

    def address(self, name):
        """The address of a symbol."""
        return self.program.symbol(name).address

    def bytes(self, address, length):
        """Bytes of kernel memory."""
        return self.program.read(address, length)

    def uid(self, task):
        """A task's user."""
        return number(task.cred.uid.val)

    def threads(self, task):
        """The threads of a process."""
        return list(list_for_each_entry("struct task_struct", task.signal.thread_head.address_of_(), "thread_node"))

    def state(self, task):
        """The name of its state's member differs."""
        return number(task.__state if hasattr(task, "__state") else getattr(task, "state"))

    def modules(self):
        """Loaded modules, as the list has them."""
        return list(list_for_each_entry("struct module", self.program["modules"].address_of_(), "list"))


def number(thing):
    """A drgn object as a number."""
    return int(thing.value_())


def text(thing):
    """An array of characters as text."""
    return thing.string_().decode(errors="backslashreplace")


def file_systems(m):
    """The chain of registered file systems."""
    found, kind = [], m.program["file_systems"]
    if kind.type_.kind != drgn.TypeKind.POINTER:
        raise LookupError("file systems are no chain on this kernel")
    while kind:
        found.append(text(kind.name))
        kind = kind.next
    return found


def children(m, task):
    """The tree of processes below a task, depth first, itself first, by its own children only."""
    yield task
    for child in list_for_each_entry("struct task_struct", task.children.address_of_(), "sibling"):
        yield from children(m, child)


def mappings(m):
    """Starts of init's mappings, by drgn's own helper."""
    if not hasattr(m.first.mm, "mm_mt"):
        raise LookupError("mappings are in no maple tree on this kernel")
    return [number(vma.vm_start) for vma in for_each_vma(m.first.mm)]


def signed(value, bits):
    """A number as a signed one of so many bits."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def frames(m):
    """Frames of all threads that do not run and have a stack, inlined functions left out, up to where a program ran."""
    found = []
    for task in [thread for leader in m.tasks for thread in m.threads(leader)]:
        if task.on_cpu or not task.stack:
            continue
        for frame in m.program.stack_trace(task):
            if not frame.pc >> 63:
                break
            if not frame.is_inline:
                found.append([number(task), frame.pc, frame.sp, frame.interrupted])
    return found


FLAGS = "init_task.flags"
FIRST = "task(1)"

# One value each: NQ, and what it must be.
VALUES = [
    # Arithmetic on members.
    ("init_task.prio + 1", lambda m: number(m.init.prio) + 1),
    ("init_task.prio * 3 - 7", lambda m: number(m.init.prio) * 3 - 7),
    ("init_task.prio / 7", lambda m: number(m.init.prio) // 7),
    ("init_task.prio % 7", lambda m: number(m.init.prio) % 7),
    ("-init_task.prio", lambda m: -number(m.init.prio)),
    ("-init_task.prio / 7", lambda m: -(number(m.init.prio) // 7)),
    ("-init_task.prio % 7", lambda m: -(number(m.init.prio) % 7)),
    (f"{FLAGS} & 0xff00", lambda m: number(m.init.flags) & 0xff00),
    (f"{FLAGS} | 1", lambda m: number(m.init.flags) | 1),
    (f"{FLAGS} ^ 0xffff", lambda m: number(m.init.flags) ^ 0xffff),
    (f"{FLAGS} << 3", lambda m: number(m.init.flags) << 3),
    (f"{FLAGS} >> 2", lambda m: number(m.init.flags) >> 2),
    (f"~{FLAGS}", lambda m: number(~m.init.flags)),
    ("init_task.prio - init_task.static_prio * 2 + 3 << 1", lambda m: number(m.init.prio) - number(m.init.static_prio) * 2 + 3 << 1),
    ("init_task.prio / 0 is null", lambda m: True),
    ("0x7fffffffffffffff + 0x7fffffffffffffff + 2 is null", lambda m: True),
    ("1.5 * init_task.prio", lambda m: 1.5 * number(m.init.prio)),
    # Comparisons and logic.
    ("init_task.prio = 120", lambda m: number(m.init.prio) == 120),
    ("init_task.prio != 120 or init_task.pid = 0", lambda m: True),
    ("init_task.prio between 100 and 139", lambda m: 100 <= number(m.init.prio) <= 139),
    ("init_task.prio not between 100 and 139", lambda m: not 100 <= number(m.init.prio) <= 139),
    ("not (init_task.pid = 0)", lambda m: False),
    ("init_task.pid in (0, 5)", lambda m: True),
    (f"{FLAGS} has 0x200000", lambda m: number(m.init.flags) & 0x200000 == 0x200000),
    ("init_task.pid ? 'some' : 'none'", lambda m: "none"),
    ("*(int *)0 ?? init_task.prio", lambda m: number(m.init.prio)),
    ("init_task.mm is null", lambda m: False),
    ("init_task.mm = 0", lambda m: number(m.init.mm) == 0),
    # Casts, layouts, places.
    (f"(unsigned char){FLAGS}", lambda m: number(m.init.flags) & 0xff),
    (f"(short)({FLAGS} >> 4)", lambda m: signed(number(m.init.flags) >> 4, 16)),
    ("(signed char)200", lambda m: -56),
    ("(unsigned int)-1", lambda m: 0xffffffff),
    ("((struct task_struct *)&init_task).prio", lambda m: number(m.init.prio)),
    ("((unsigned long *)&init_task.stack)[0]", lambda m: number(m.init.stack)),
    ("*(unsigned int *)&init_task.flags", lambda m: number(m.init.flags)),
    ("sizeof(struct task_struct)", lambda m: drgn.sizeof(m.init)),
    ("sizeof(init_task.comm)", lambda m: 16),
    ("sizeof(struct module)", lambda m: drgn.sizeof(m.program.type("struct module"))),
    ("offsetof(struct task_struct, comm)", lambda m: drgn.offsetof(m.init.type_, "comm")),
    ("offsetof(struct task_struct, se.vruntime)", lambda m: drgn.offsetof(m.init.type_, "se.vruntime")),
    ("&init_task", lambda m: m.address("init_task")),
    ("&init_task.tasks", lambda m: m.init.tasks.address_),
    ("container_of(&init_task.tasks, struct task_struct, tasks).comm", lambda m: text(m.init.comm)),
    ("container_of(init_task.tasks.next, struct task_struct, tasks).pid", lambda m: number(m.tasks[1].pid)),
    ("&init_task.signal.rlim[3]", lambda m: m.init.signal.rlim[3].address_),
    ("init_task.signal.rlim[3].rlim_cur", lambda m: number(m.init.signal.rlim[3].rlim_cur)),
    ("init_task.signal.rlim[7].rlim_max", lambda m: number(m.init.signal.rlim[7].rlim_max)),
    ("&init_task.tasks - 8", lambda m: m.init.tasks.address_ - 8 * 16),
    ("&init_task + 1", lambda m: m.address("init_task") + drgn.sizeof(m.init)),
    ("init_task.nsproxy.uts_ns.name.release", lambda m: text(m.init.nsproxy.uts_ns.name.release)),
    ("init_task.real_parent.pid", lambda m: number(m.init.real_parent.pid)),
    ("init_task.cred->uid.val", lambda m: number(m.init.cred.uid.val)),
    ("init_task.thread_pid.numbers[0].nr", lambda m: number(m.init.thread_pid.numbers[0].nr)),
    # Bit fields and enumerators.
    ("init_task.sched_reset_on_fork", lambda m: number(m.init.sched_reset_on_fork)),
    ("init_task.in_execve", lambda m: number(m.init.in_execve)),
    (f"{FIRST}.no_cgroup_migration", lambda m: number(m.first.no_cgroup_migration)),
    (f"{FIRST}.signal.is_child_subreaper", lambda m: m.first.signal.is_child_subreaper.value_()),
    ("system_state", lambda m: m.program["system_state"].format_(type_name=False)),
    ("system_state = SYSTEM_RUNNING", lambda m: True),
    ("system_state + 0", lambda m: number(m.program["system_state"])),
    ("PIDTYPE_MAX + 0", lambda m: number(m.program["PIDTYPE_MAX"])),
    ("(enum pid_type)1 = PIDTYPE_TGID", lambda m: number(m.program["PIDTYPE_TGID"]) == 1),
    # Texts and bytes.
    ("init_task.comm", lambda m: text(m.init.comm)),
    ("str(&init_task.comm)", lambda m: text(m.init.comm)),
    ("str(&init_task.comm, 4)", lambda m: text(m.init.comm)[:4]),
    ("str(saved_command_line)", lambda m: text(m.program["saved_command_line"])),
    ("len(init_task.comm)", lambda m: len(text(m.init.comm))),
    ("upper(init_task.comm)", lambda m: text(m.init.comm).upper()),
    ("lower(init_uts_ns.name.sysname)", lambda m: text(m.program["init_uts_ns"].name.sysname).lower()),
    ("substr(init_uts_ns.name.release, 2, 3)", lambda m: text(m.program["init_uts_ns"].name.release)[2:5]),
    ("init_uts_ns.name.sysname + ' ' + init_uts_ns.name.machine",
     lambda m: text(m.program["init_uts_ns"].name.sysname) + " " + text(m.program["init_uts_ns"].name.machine)),
    ("init_task.comm like 'swap%/_'", lambda m: True),
    ("init_task.comm not like 'swap'", lambda m: True),
    ("init_task.comm matches '^s.*/[0-9]$'", lambda m: bool(re.match(r"^s.*/[0-9]$", text(m.init.comm)))),
    ("format('%s %d %#x %04d', init_task.comm, init_task.prio, init_task.flags, 7)".replace("%#x", "%x"),
     lambda m: "%s %d %x %04d" % (text(m.init.comm), number(m.init.prio), number(m.init.flags), 7)),
    ("hex(init_task.flags)", lambda m: hex(number(m.init.flags))),
    ("bytes(&init_task.comm, 16)", lambda m: m.bytes(m.init.comm.address_, 16)),
    ("hash(&init_task, 4096)", lambda m: hashlib.sha256(m.bytes(m.address("init_task"), 4096)).hexdigest()),
    ("words(h'61 00 62 00')", lambda m: "a b"),
    ("bits(init_task.flags, 23, 8)", lambda m: number(m.init.flags) >> 8 & 0xffff),
    ("popcount(init_task.flags)", lambda m: number(m.init.flags).bit_count()),
    ("fls(init_task.flags)", lambda m: number(m.init.flags).bit_length()),
    ("abs(-init_task.prio)", lambda m: number(m.init.prio)),
    ("ntohs(init_task.prio)", lambda m: int.from_bytes(number(m.init.prio).to_bytes(2, "little"), "big")),
    ("ntohl(init_task.prio)", lambda m: int.from_bytes(number(m.init.prio).to_bytes(4, "little"), "big")),
    ("typeof(init_task.mm)", lambda m: "struct mm_struct *"),
    # Symbols, CPUs, addresses.
    ("symbol('init_task')", lambda m: m.address("init_task")),
    ("sym(&init_task)", lambda m: "init_task"),
    ("offset_of_symbol(&init_task.comm)", lambda m: m.init.comm.address_ - m.address("init_task")),
    ("percpu(@runqueues, 0).nr_running", lambda m: number(per_cpu(m.program["runqueues"], 0).nr_running)),
    ("percpu(@runqueues, 1).cpu", lambda m: number(per_cpu(m.program["runqueues"], 1).cpu)),
    ("&percpu(@runqueues, 1)", lambda m: per_cpu(m.program["runqueues"], 1).address_),
    ("percpu(@runqueues, 1).curr.pid", lambda m: number(per_cpu(m.program["runqueues"], 1).curr.pid)),
    ("percpu(@runqueues, 1).idle.comm", lambda m: text(per_cpu(m.program["runqueues"], 1).idle.comm)),
    ("phys(&init_task)", lambda m: number(follow_phys(m.program["init_mm"].address_of_(), m.address("init_task")))),
    ("phys(init_task.stack)", lambda m: number(follow_phys(m.program["init_mm"].address_of_(), m.init.stack))),
    ("virt(0x1000)", lambda m: number(phys_to_virt(m.program, 0x1000))),
    (f"phys({FIRST})", lambda m: number(follow_phys(m.program["init_mm"].address_of_(), m.first))),
    (f"{FIRST}.comm", lambda m: text(m.first.comm)),
    (f"user({FIRST}, {FIRST}.mm.arg_start, {FIRST}.mm.arg_end - {FIRST}.mm.arg_start)",
     lambda m: access_remote_vm(m.first.mm, m.first.mm.arg_start, m.first.mm.arg_end - m.first.mm.arg_start)),
    (f"since_boot({FIRST}.start_boottime)", lambda m: number(m.first.start_boottime)),
    # Lists, aggregates of lists.
    ("count((walk tasks select pid))", lambda m: len(m.tasks)),
    ("max((walk tasks select pid))", lambda m: max(number(task.pid) for task in m.tasks)),
    ("sum((walk tasks select pid))", lambda m: sum(number(task.pid) for task in m.tasks)),
    ("join((walk modules select name), '+')", lambda m: "+".join(text(module.name) for module in m.modules())),
    ("len((walk modules select name))", lambda m: len(m.modules())),
]


def groups(m, key):
    """Processes by a key, each with its tasks."""
    found = {}
    for task in m.tasks:
        found.setdefault(key(task), []).append(number(task.pid))
    return found


def pids(m, wanted=lambda task: True):
    """A row with its pid for each process that is wanted."""
    return [[number(task.pid)] for task in m.tasks if wanted(task)]


def control_groups(m):
    """Paths and levels of the groups of the unified hierarchy."""
    root = m.program["cgrp_dfl_root"].cgrp
    for css in css_for_each_descendant_pre(root.self.address_of_()):
        yield [cgroup_path(css.cgroup).decode(), number(css.cgroup.level)]


def group_programs(m):
    """BPF programs that are attached to control groups: path, place, program, whether a link holds it."""
    for css in css_for_each_descendant_pre(m.program["cgrp_dfl_root"].cgrp.self.address_of_()):
        for place, entries in enumerate(css.cgroup.bpf.progs):
            each = hlist_for_each_entry if hasattr(entries, "first") else list_for_each_entry
            for entry in each("struct bpf_prog_list", entries.address_of_(), "node"):
                program = entry.prog or entry.link.link.prog
                yield [cgroup_path(css.cgroup).decode(), place, number(program.aux.id), text(program.aux.name), not entry.prog]


def waiting_for_swap(m):
    """Tasks in the queues that wake what reclaims memory."""
    return [[number(task.pid)] for task in waitqueue_for_each_task(m.program["node_data"][0].kswapd_wait.address_of_())]


def events(m):
    """Performance events of all processes' leaders."""
    return [[number(task.pid), number(event.attr.type), number(event.attr.config), number(event.cpu)] for task in m.tasks
            for event in list_for_each_entry("struct perf_event", task.perf_event_list.address_of_(), "owner_entry")]


def page_entries(m):
    """Entries of all processes' page tables, read table by table: pid, first address, bytes, entry."""
    page_size = 4096
    levels = 5 if m.levels == 5 else 4

    def below(table, level, start, limit):
        entries = m.program.read(table, page_size)
        for at in range(limit):
            entry = int.from_bytes(entries[at * 8:at * 8 + 8], "little")
            first, size = start + (at << 12 + 9 * (level - 1)), page_size << 9 * (level - 1)
            if entry and (level == 1 or level <= 3 and (not entry & 1 or entry & 0x80)):
                yield first, size, entry
            elif entry & 1:
                yield from below(number(phys_to_virt(m.program, entry & 0xffffffffff000)), level - 1, first, 512)

    for task in m.tasks:
        if task.mm:
            for first, size, entry in below(number(task.mm.pgd), levels, 0, 256):
                here = entry & 1
                perms = "".join(letter if here and allowed else "-" for letter, allowed in
                                (("r", True), ("w", entry & 2), ("x", not entry >> 63)))
                yield [number(task.pid), first, size, entry, perms, *(bool(here and entry & bit) for bit in (4, 0x20, 0x40))]


def known(m, name):
    """Whether the kernel has a symbol."""
    try:
        return bool(m.program.symbol(name))
    except LookupError:
        return False


def free_for_bpf(m):
    """Objects that BPF's own allocator holds ready, by CPU and size, each in a lock-less list."""
    for cpu in range(2):
        caches = per_cpu_ptr(m.program["bpf_global_ma"].caches, cpu)
        for size, cache in enumerate(caches.cache):
            node = cache.free_llist.first
            while node:
                yield [cpu, size, number(node)]
                node = node.next


def pipes(m):
    """Pipes of all processes, by descriptor."""
    operations = [m.program.symbol(name).address for name in ("pipefifo_fops", "pipeanon_fops") if known(m, name)]
    for task in m.tasks:
        for descriptor, file in for_each_file(task):
            if number(file.f_op) in operations:
                pipe = drgn.cast("struct pipe_inode_info *", file.private_data)
                waiting = [pipe.bufs[(pipe.tail + at) & (pipe.ring_size - 1)] for at in range(number(pipe.head - pipe.tail))]
                yield [number(task.pid), descriptor, number(file.f_inode.i_ino), number(pipe.readers), number(pipe.writers),
                       sum(number(piece.len) for piece in waiting), len(waiting), number(pipe.max_usage) * 4096]


def contents(directory):
    """What hangs below a dentry, without the places that readers of a directory keep."""
    if hasattr(directory, "d_children"):
        found = hlist_for_each_entry("struct dentry", directory.d_children.address_of_(), "d_sib")
    else:
        found = list_for_each_entry("struct dentry", directory.d_subdirs.address_of_(), "d_child")
    return [one for one in found if number(one.d_inode) or one.d_name.name.string_() != b"/"]


def names(m):
    """All that is known below the roots of the first process's mounts, depth first."""
    for mount in for_each_mount(m.program):
        waiting = [(mount.mnt.mnt_root, 0)]
        while waiting:
            entry, depth = waiting.pop()
            inode = entry.d_inode
            yield [number(mount.mnt_id), number(entry), depth, entry.d_name.name.string_().decode(errors="backslashreplace"),
                   not inode, number(inode.i_ino) if inode else None, number(inode.i_size) if inode else None]
            waiting += [(one, depth + 1) for one in reversed(contents(entry))]


def program_pages(m):
    """Cached pages of the first process's program."""
    return [[index, number(page_to_pfn(page))] for index, page in inode_for_each_page(m.first.mm.exe_file.f_inode)]


# Whole queries: NQ, its rows, and whether their order counts.
QUERIES = [
    ("walk tasks select pid, comm", lambda m: [[number(task.pid), text(task.comm)] for task in m.tasks], True),
    ("walk tasks where comm like 'kworker/%' select pid", lambda m: pids(m, lambda task: text(task.comm).startswith("kworker/")), True),
    ("walk tasks where comm matches '[0-9]$' and pid > 20 select pid",
     lambda m: pids(m, lambda task: task.comm.string_()[-1:].isdigit() and task.pid > 20), True),
    ("walk tasks where flags has 0x200000 select pid", lambda m: pids(m, lambda task: number(task.flags) & 0x200000), True),
    ("walk tasks select pid order by pid desc limit 5 offset 3",
     lambda m: sorted(pids(m), reverse=True)[3:8], True),
    ("walk tasks select comm, pid order by comm, pid desc limit 20",
     lambda m: sorted(([text(task.comm), number(task.pid)] for task in m.tasks), key=lambda row: (row[0].encode(), -row[1]))[:20], True),
    ("walk tasks select distinct prio", lambda m: [[prio] for prio in dict.fromkeys(number(task.prio) for task in m.tasks)], True),
    ("walk tasks select prio, count(*), min(pid), max(pid), sum(pid) group by prio",
     lambda m: [[key, len(found), min(found), max(found), sum(found)] for key, found in groups(m, lambda task: number(task.prio)).items()], False),
    ("walk tasks select prio, avg(pid) group by prio having count(*) > 1",
     lambda m: [[key, statistics.mean(found)] for key, found in groups(m, lambda task: number(task.prio)).items() if len(found) > 1], False),
    ("walk tasks select prio, collect(pid), first(pid), last(pid) group by prio",
     lambda m: [[key, found, found[0], found[-1]] for key, found in groups(m, lambda task: number(task.prio)).items()], False),
    ("walk tasks as t, threads of t as h select t.pid, h.tid",
     lambda m: [[number(task.pid), number(thread.pid)] for task in m.tasks for thread in m.threads(task)], True),
    ("walk tasks as t, children of t as c optional where t.pid < 5 select t.pid, c.pid as child", lambda m: [
        [number(task.pid), child] for task in m.tasks if task.pid < 5
        for child in [number(one.pid) for one in list_for_each_entry(
            "struct task_struct", task.children.address_of_(), "sibling")] or [None]], True),
    ("walk tasks where pid < 20 select pid union walk tasks where pid between 10 and 40 select pid",
     lambda m: pids(m, lambda task: task.pid <= 40), False),
    ("walk tasks where pid < 20 select pid intersect walk tasks where pid between 10 and 40 select pid",
     lambda m: pids(m, lambda task: 10 <= task.pid < 20), False),
    ("walk tasks where pid < 20 select pid except walk tasks where pid between 10 and 40 select pid",
     lambda m: pids(m, lambda task: task.pid < 10), False),
    ("walk tasks where pid in (walk tasks select ppid) select pid", lambda m: pids(
        m, lambda task: number(task.pid) in {number(other.real_parent.tgid) for other in m.tasks}), True),
    ("walk tasks where exists (walk threads select tid where tid != tgid) select pid",
     lambda m: pids(m, lambda task: len(m.threads(task)) > 1), True),
    ("walk list(struct task_struct.tasks) from init_task select pid", pids, True),
    ("walk list(struct module.list) from modules select name", lambda m: [[text(module.name)] for module in m.modules()], True),
    ("walk hlist(struct task_struct.pid_links[0]) from init_struct_pid.tasks[0] select pid",
     lambda m: [[number(task.pid)] for task in hlist_for_each_entry(
         "struct task_struct", m.program["init_struct_pid"].tasks[0].address_of_(), "pid_links[0]")], True),
    ("walk xarray(struct pid) from init_pid_ns.idr.idr_rt select index",
     lambda m: [[index] for index, _ in xa_for_each(m.program["init_pid_ns"].idr.idr_rt.address_of_())], True),
    ("walk radix(struct pid) from init_pid_ns.idr.idr_rt select numbers[0].nr",
     lambda m: [[number(pid.numbers[0].nr)] for pid in for_each_pid(m.program)], True),
    ("walk rbtree(struct vmap_area.rb_node) from vmap_area_root select va_start",
     lambda m: [[number(area.va_start)] for area in rbtree_inorder_for_each_entry(
         "struct vmap_area", m.program["vmap_area_root"].address_of_(), "rb_node")], True),
    ("walk rbtree(struct ctl_node.node) from sysctl_table_root.default_set.dir.root select header",
     lambda m: [[number(node.header)] for node in rbtree_inorder_for_each_entry(
         "struct ctl_node", m.program["sysctl_table_root"].default_set.dir.root.address_of_(), "node")], True),
    (f"walk maple(struct vm_area_struct) from {FIRST}.mm.mm_mt select vm_start", lambda m: [[start] for start in mappings(m)], True),
    ("walk array(init_task.signal.rlim) select index, rlim_cur",
     lambda m: [[index, number(limit.rlim_cur)] for index, limit in enumerate(m.init.signal.rlim)], True),
    ("walk percpu(runqueues) select index, nr_running",
     lambda m: [[cpu, number(per_cpu(m.program["runqueues"], cpu).nr_running)] for cpu in range(2)], True),
    ("walk chain(struct file_system_type.next) from file_systems select name",
     lambda m: [[name] for name in file_systems(m)], True),
    ("walk tree(struct task_struct.children, struct task_struct.sibling) from init_task select pid",
     lambda m: [[number(task.pid)] for task in children(m, m.init)], True),
    ("walk plist(struct pm_qos_request.node) from cpu_latency_constraints.list select node.prio as prio",
     lambda m: [[number(request.node.prio)] for request in plist_for_each_entry(
         "struct pm_qos_request", m.program["cpu_latency_constraints"].list, "node")], True),
    ("walk percpu(*bpf_global_ma.caches) as c, array(c.cache) as k, llist(struct __call_single_node.llist) from k.free_llist as n "
     "select c.index, k.index, (unsigned long)n.address", lambda m: list(free_for_bpf(m)), True),
    ("walk cgroups select path, level", lambda m: list(control_groups(m)), True),
    ("walk cgroup_bpf as b select b.cgroup, (int)b.attach, b.program, b.name, b.linked", lambda m: list(group_programs(m)), True),
    ("walk nodes as n, waiters of n.kswapd_wait as w where n.node = 0 select w.pid", waiting_for_swap, True),
    ("walk tasks as t, page_tables of t as p select t.pid, p.start, p.size, p.entry, p.perms, p.user, p.accessed, p.dirty",
     lambda m: list(page_entries(m)), True),
    ("walk tasks as t, pipes of t as p select t.pid, p.fd, p.inode, p.readers, p.writers, p.bytes, p.pieces, p.size",
     lambda m: list(pipes(m)), True),
    ("walk mounts as m, dentry_tree of m as d select m.id, d.address, d.depth, d.name, d.negative, d.inode, d.size",
     lambda m: list(names(m)), True),
    ("walk tasks as t, dentries of t.fs.root as d where t.pid = 1 select d.address",
     lambda m: [[number(one)] for one in contents(m.first.fs.root.dentry)], True),
    ("walk tasks as t, perf_events of t as e select t.pid, e.type, e.config, e.cpu", events, True),
    ("walk tasks as t, threads of t as h, frames of h as f select h.address as task, f.value, f.sp, f.interrupted", frames, True),
    (f"walk cached_pages of {FIRST}.mm.exe_file select index, frame", program_pages, True),
    ("walk (walk tasks select pid, prio where prio < 100) as q select count(*)",
     lambda m: [[len(pids(m, lambda task: task.prio < 100))]], True),
]
