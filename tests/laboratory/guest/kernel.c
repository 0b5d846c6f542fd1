/* Objects that belong to the kernel rather than to a process: locks, IPC, BPF, probes, swap, timers. */
#define _GNU_SOURCE
#include "objects.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/perf_event.h>
#include <net/if.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define LOCKED "/tmp/locked"

static int locked_file(void)
{
    return check(open(LOCKED, O_RDWR | O_CREAT, 0644), LOCKED);
}

static void set_lock(int fd, int command, short type, off_t start, off_t length)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    check(fcntl(fd, command, &lock), "fcntl lock");
}

/* Whole-file, ranges, to the end, of the open file, and leases. */
static void locker(void *unused)
{
    (void)unused;
    int fd = locked_file();
    check(ftruncate(fd, 4096), "ftruncate");
    set_lock(fd, F_SETLK, F_WRLCK, 0, 10);
    set_lock(fd, F_SETLK, F_RDLCK, 100, 0);
    int other = locked_file();
    set_lock(other, F_OFD_SETLK, F_WRLCK, 50, 25);
    int whole = check(open("/tmp/locked-whole", O_RDWR | O_CREAT, 0644), "open");
    check(flock(whole, LOCK_EX), "flock");
    int shared = check(open("/tmp/locked-shared", O_RDWR | O_CREAT, 0644), "open");
    check(flock(shared, LOCK_SH), "flock");
    int leased = check(open("/tmp/leased", O_RDONLY | O_CREAT, 0644), "open");
    check(fcntl(leased, F_SETLEASE, F_RDLCK), "F_SETLEASE");
    settle_and_sleep();
}

/* Waits for a lock of the locker. */
static void waiter(void *unused)
{
    (void)unused;
    int fd = locked_file();
    settled();
    set_lock(fd, F_SETLKW, F_WRLCK, 5, 10);
}

static void make_ipc(void)
{
    int sems = check(semget(0x1234, 5, IPC_CREAT | 0640), "semget");
    check(semctl(sems, 2, SETVAL, 7), "semctl");
    check(semget(IPC_PRIVATE, 1, 0600), "semget");
    int queue = check(msgget(0x4321, IPC_CREAT | 0666), "msgget");
    struct {
        long type;
        char text[40];
    } message = {3, "a message that nobody reads"};
    for (int i = 0; i < 3; i++)
        check(msgsnd(queue, &message, 20 + i, 0), "msgsnd");
    int segment = check(shmget(0x99, 65536, IPC_CREAT | 0600), "shmget");
    char *bytes = shmat(segment, NULL, 0);
    if (bytes == (void *)-1)
        die("shmat");
    bytes[5000] = 1;
    check(shmget(IPC_PRIVATE, 5000, 0644), "shmget");
}

static int bpf(int command, union bpf_attr *attributes)
{
    return syscall(SYS_bpf, command, attributes, sizeof *attributes);
}

/* A program that returns 1, of a type and for a place; -1 where the kernel refuses it. */
static int bpf_program(unsigned type, unsigned place, const char *name)
{
    static const struct bpf_insn program[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1}, {.code = BPF_JMP | BPF_EXIT},
    };
    union bpf_attr attributes = {.prog_type = type, .expected_attach_type = place, .insns = (uintptr_t)program, .insn_cnt = 2,
                                 .license = (uintptr_t)"GPL"};
    strcpy(attributes.prog_name, name);
    return bpf(BPF_PROG_LOAD, &attributes);
}

/* Links and programs at a cgroup that holds nobody; links to a tracepoint where nothing passes, and to a device. */
static void make_bpf_links(void)
{
    mkdir("/sys/fs/cgroup/linked", 0755);
    int group = open("/sys/fs/cgroup/linked", O_RDONLY | O_DIRECTORY);
    union bpf_attr to_group = {.link_create = {
        .prog_fd = bpf_program(BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS, "lab_egress"),
        .target_fd = group, .attach_type = BPF_CGROUP_INET_EGRESS}};
    if (bpf(BPF_LINK_CREATE, &to_group) < 0)
        fprintf(stderr, "laboratory: no link to a cgroup: %s\n", strerror(errno));
    static const char *const names[] = {"lab_first", "lab_second"};
    for (int number = 0; number < 2; number++) {
        union bpf_attr attached = {
            .target_fd = group, .attach_type = BPF_CGROUP_INET_INGRESS, .attach_flags = BPF_F_ALLOW_MULTI,
            .attach_bpf_fd = bpf_program(BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_INGRESS, names[number])};
        if (bpf(BPF_PROG_ATTACH, &attached) < 0)
            fprintf(stderr, "laboratory: no program attached to a cgroup: %s\n", strerror(errno));
    }
    union bpf_attr to_tracepoint = {.raw_tracepoint = {
        .name = (uintptr_t)"module_load", .prog_fd = bpf_program(BPF_PROG_TYPE_RAW_TRACEPOINT, 0, "lab_raw")}};
    if (bpf(BPF_RAW_TRACEPOINT_OPEN, &to_tracepoint) < 0)
        fprintf(stderr, "laboratory: no link to a tracepoint: %s\n", strerror(errno));
    union bpf_attr to_device = {.link_create = {
        .prog_fd = bpf_program(BPF_PROG_TYPE_XDP, BPF_XDP, "lab_xdp"), .target_ifindex = if_nametoindex("br0"),
        .attach_type = BPF_XDP, .flags = XDP_FLAGS_SKB_MODE}};
    if (bpf(BPF_LINK_CREATE, &to_device) < 0)
        fprintf(stderr, "laboratory: no link to a device: %s\n", strerror(errno));
}

/* Maps of a few kinds and a program that does nothing; kernels that refuse them go without. */
static void with_bpf(void *unused)
{
    (void)unused;
    static const struct {
        unsigned type, key, value, entries;
        const char *name;
    } maps[] = {
        {BPF_MAP_TYPE_ARRAY, 4, 16, 100, "lab_array"}, {BPF_MAP_TYPE_HASH, 8, 8, 1000, "lab_hash"},
        {BPF_MAP_TYPE_LRU_HASH, 4, 4, 64, "lab_lru"}, {BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, "lab_ring"},
    };
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        union bpf_attr attributes = {.map_type = maps[i].type, .key_size = maps[i].key, .value_size = maps[i].value,
                                     .max_entries = maps[i].entries};
        strcpy(attributes.map_name, maps[i].name);
        bpf(BPF_MAP_CREATE, &attributes);
    }
    static const struct bpf_insn program[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0}, {.code = BPF_JMP | BPF_EXIT},
    };
    static const unsigned types[] = {BPF_PROG_TYPE_SOCKET_FILTER, BPF_PROG_TYPE_XDP, BPF_PROG_TYPE_TRACEPOINT};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        union bpf_attr attributes = {.prog_type = types[i], .insns = (uintptr_t)program, .insn_cnt = 2,
                                     .license = (uintptr_t)"GPL"};
        sprintf(attributes.prog_name, "lab_prog_%zu", i);
        bpf(BPF_PROG_LOAD, &attributes);
    }
    make_bpf_links();
    settle_and_sleep();
}

/*
 * Records of every length, level and facility, with bytes that need care, until the kernel's log has passed its end: the
 * oldest are gone, and one lies partly at its start.
 */
static void fill_log(void)
{
    write_file("/proc/sys/kernel/printk_devkmsg", "on\n");
    write_file("/proc/sys/kernel/printk", "1 4 1 7\n");
    int fd = check(open("/dev/kmsg", O_WRONLY), "/dev/kmsg");
    unsigned seed = 1;
    for (int i = 0; i < 600; i++) {
        char record[1000];
        seed = seed * 1103515245 + 12345;
        size_t length = (seed >> 16) % 800;
        int head = sprintf(record, "<%d>%d:", i % 7 + 1 + 8 * (i % 10), i);
        for (size_t at = 0; at < length; at++)
            record[head + at] = "abcdefgh ijklm\\\n\t\303\274n\x01op"[(seed + at * 7 + at / 5) % 22];
        check(write(fd, record, head + (i % 17 ? length : 0)), "write to the log");
    }
    close(fd);
}

/* Writes to a file if it is there; tracing is not in every kernel. */
static void write_if_there(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_APPEND);
    if (fd < 0)
        return;
    if (write(fd, text, strlen(text)) < 0)
        fprintf(stderr, "laboratory: %s: %s\n", path, strerror(errno));
    close(fd);
}

/* A probe, a traced function and a tracepoint with a function, all where nothing passes while the truth is told. */
static void make_probes(void)
{
#define TRACING "/sys/kernel/debug/tracing/"
    write_if_there(TRACING "kprobe_events", "p:laboratory/reboots kernel_restart\n");
    write_if_there(TRACING "events/laboratory/reboots/enable", "1");
    write_if_there(TRACING "kprobe_events", "r:laboratory/returns kernel_halt\n");
    write_if_there(TRACING "events/laboratory/returns/enable", "1");
    write_if_there(TRACING "events/module/module_load/enable", "1");
}

/* Swap on a loop device on a file in memory: an area that is never used. */
static void make_swap(void)
{
    if (system("dd if=/dev/zero of=/tmp/swap bs=65536 count=16 2>/dev/null && mkswap /tmp/swap >/dev/null && "
               "losetup /dev/loop0 /tmp/swap") != 0)
        die("swap");
    check(swapon("/dev/loop0", SWAP_FLAG_PREFER | 5), "swapon");
}

/* Counts nothing: a clock of its own, and a place in the kernel for a whole CPU, both stopped. */
static void with_perf_events(void *unused)
{
    (void)unused;
    struct perf_event_attr clock = {.type = PERF_TYPE_SOFTWARE, .size = sizeof clock, .config = PERF_COUNT_SW_TASK_CLOCK, .disabled = 1};
    struct perf_event_attr faults = {.type = PERF_TYPE_SOFTWARE, .size = sizeof faults, .config = PERF_COUNT_SW_PAGE_FAULTS, .disabled = 1};
    if (syscall(SYS_perf_event_open, &clock, 0, -1, -1, 0) < 0 || syscall(SYS_perf_event_open, &faults, -1, 1, -1, 0) < 0)
        fprintf(stderr, "laboratory: no performance events: %s\n", strerror(errno));
    settle_and_sleep();
}

static void with_timers(void *unused)
{
    (void)unused;
    struct itimerspec late = {.it_value = {.tv_sec = 30000}, .it_interval = {.tv_sec = 60}};
    int fd = check(timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC), "timerfd_create");
    check(timerfd_settime(fd, 0, &late, NULL), "timerfd_settime");
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    check(timer_create(CLOCK_MONOTONIC, &event, &timer), "timer_create");
    check(timer_settime(timer, 0, &late, NULL), "timer_settime");
    settle_and_sleep();
}

void make_kernel_objects(void)
{
    fill_log();
    spawn("locker", locker, NULL);
    spawn("lock-waiter", waiter, NULL);
    make_ipc();
    spawn("with-bpf", with_bpf, NULL);
    spawn("with-timers", with_timers, NULL);
    spawn("with-perf", with_perf_events, NULL);
    make_probes();
    make_swap();
}
