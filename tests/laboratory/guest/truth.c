/*
 * Tells the host what /proc says, through a shared memory device, and stops the machine at the moment that it described.
 *
 * So that nothing moves between the telling and the stop, one real-time thread spins on every other CPU and this
 * program is real-time itself: no other task can run. What interrupts still wake goes from sleeping to running and
 * stays there, so two passes that say the same are soon reached. A last quick sweep reads the states of all tasks again,
 * because a timer may wake one until the very end; its records replace the earlier ones of the same path.
 *
 * The device (ivshmem) holds: a header of 4096 bytes, then records. A record is a line `@ KIND LENGTH PATH`, LENGTH bytes,
 * and a line feed. KIND: F a file's bytes, L a symbolic link's target. The host reads them when `ready` is set.
 */
#define _GNU_SOURCE
#include "objects.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/bpf.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#define DEVICES "/sys/bus/pci/devices"
#define HEADER 4096
#define PASSES 12
#define PVPANIC_PORT 0x505
#define PVPANIC_PANICKED 1

struct header {
    char magic[16];
    volatile uint64_t ready;   /* 1 when the records are complete */
    uint64_t length;           /* bytes of records */
    uint64_t passes;           /* how often everything was described until two descriptions agreed */
    uint64_t settled;          /* 1 if they did, and the last two sweeps of the states */
    uint64_t own_pid;          /* the process that tells */
};

static struct header *header;
static char *records;
static size_t capacity, used;
static uint64_t digest; /* FNV-1a over what must not change from pass to pass */

static void open_device(void)
{
    DIR *devices = opendir(DEVICES);
    if (devices == NULL)
        die(DEVICES);
    struct dirent *entry;
    char path[320] = "";
    while ((entry = readdir(devices)) != NULL) {
        char id[16] = "";
        snprintf(path, sizeof path, DEVICES "/%s/device", entry->d_name);
        int fd = open(path, O_RDONLY);
        if (fd >= 0 && read(fd, id, sizeof id - 1) > 0 && strcmp(id, "0x1110\n") == 0) {
            close(fd);
            snprintf(path, sizeof path, DEVICES "/%s/resource2", entry->d_name);
            break;
        }
        if (fd >= 0)
            close(fd);
        path[0] = '\0';
    }
    closedir(devices);
    int fd = check(open(path, O_RDWR), "the ivshmem device");
    struct stat status;
    check(fstat(fd, &status), "fstat");
    header = mmap(NULL, status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (header == MAP_FAILED)
        die("mmap of the ivshmem device");
    close(fd);
    records = (char *)header + HEADER;
    capacity = status.st_size - HEADER;
}

/* Room behind the record that is written next, where files are read to before their length is known. */
#define GAP 1024
#define ROOM_AT_LEAST 65536

static char *room(size_t *size)
{
    if (used + GAP + ROOM_AT_LEAST > capacity) {
        errno = ENOSPC;
        die("the truth is longer than its device");
    }
    *size = capacity - used - GAP;
    return records + used + GAP;
}

static void put(const void *bytes, size_t length)
{
    memmove(records + used, bytes, length);
    used += length;
}

static void note(const void *bytes, size_t length)
{
    const unsigned char *byte = bytes;
    while (length-- > 0)
        digest = (digest ^ *byte++) * 0x100000001b3;
}

static void put_record(char kind, const char *path, const char *bytes, size_t length)
{
    char line[600];
    put(line, snprintf(line, sizeof line, "@ %c %zu %s\n", kind, length, path));
    put(bytes, length);
    put("\n", 1);
}

/* Reads a whole file behind the records; -1 if it is not there (any more). */
static ssize_t read_whole(const char *path, char **bytes)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK);
    if (fd < 0)
        return -1;
    size_t size, length = 0;
    ssize_t part;
    *bytes = room(&size);
    while (length < size && (part = read(fd, *bytes + length, size - length)) > 0)
        length += part;
    close(fd);
    return length;
}

/* A file of which every byte must stay. */
static void put_file(const char *path)
{
    char *bytes;
    ssize_t length = read_whole(path, &bytes);
    if (length < 0)
        return;
    note(path, strlen(path));
    note(bytes, length);
    put_record('F', path, bytes, length);
}

/* A file with counters and times in it: told, not watched. */
static void put_changing_file(const char *path)
{
    char *bytes;
    ssize_t length = read_whole(path, &bytes);
    if (length >= 0)
        put_record('F', path, bytes, length);
}

/* PID (NAME) STATE PPID … of which everything up to PPID must stay. */
static void put_stat(const char *path)
{
    char *bytes;
    ssize_t length = read_whole(path, &bytes);
    if (length < 0)
        return;
    char *end = memrchr(bytes, ')', length);
    if (end != NULL)
        note(bytes, strcspn(end + 4, " ") + 4 + (end - bytes));
    put_record('F', path, bytes, length);
}

static void put_link(const char *path)
{
    size_t size;
    char *bytes = room(&size);
    ssize_t length = readlink(path, bytes, size);
    if (length < 0)
        return;
    note(path, strlen(path));
    note(bytes, length);
    put_record('L', path, bytes, length);
}

static int by_number(const struct dirent **left, const struct dirent **right)
{
    return atoi((*left)->d_name) - atoi((*right)->d_name);
}

static int is_number(const struct dirent *entry)
{
    return isdigit((unsigned char)entry->d_name[0]);
}

/* Calls one(folder/NUMBER) for every entry of a folder that is a number, in order. */
static void each(const char *folder, void (*one)(const char *))
{
    struct dirent **entries;
    int count = scandir(folder, &entries, is_number, by_number);
    for (int i = 0; i < count; i++) {
        char path[320];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        one(path);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

static const char *in(const char *folder, const char *name)
{
    static char path[400];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put_descriptor(const char *path)
{
    put_link(path);
}

static void put_thread(const char *folder)
{
    put_stat(in(folder, "stat"));
    put_file(in(folder, "comm"));
    put_file(in(folder, "children"));
    put_changing_file(in(folder, "status"));
    put_changing_file(in(folder, "wchan"));
    put_changing_file(in(folder, "stack"));
}

static void put_process(const char *folder)
{
    static const char *const links[] = {
        "exe", "cwd", "root", "ns/mnt", "ns/net", "ns/pid", "ns/uts", "ns/user", "ns/ipc", "ns/cgroup", "ns/time",
    };
    put_stat(in(folder, "stat"));
    put_file(in(folder, "comm"));
    put_changing_file(in(folder, "status"));
    put_file(in(folder, "cmdline"));
    put_file(in(folder, "cgroup"));
    put_file(in(folder, "maps"));
    put_file(in(folder, "limits"));
    put_file(in(folder, "environ"));
    put_file(in(folder, "oom_score_adj"));
    put_changing_file(in(folder, "statm"));
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        put_link(in(folder, links[i]));
    char path[400];
    snprintf(path, sizeof path, "%s/fd", folder);
    each(path, put_descriptor);
    snprintf(path, sizeof path, "%s/fdinfo", folder);
    each(path, put_changing_file);
    snprintf(path, sizeof path, "%s/task", folder);
    each(path, put_thread);
}

/* The mounts of a process, where no process with the same namespace and root has spoken before. */
static void put_mounts(const char *folder)
{
    static char seen[64][320];
    static size_t count;
    char place[320] = "";
    if (strcmp(folder, "/proc/1") == 0)
        count = 0;
    ssize_t length = readlink(in(folder, "ns/mnt"), place, 32);
    if (length < 0 || readlink(in(folder, "root"), place + length, sizeof place - 1 - length) < 0)
        return;
    for (size_t i = 0; i < count; i++)
        if (strcmp(seen[i], place) == 0)
            return;
    if (count < 64)
        strcpy(seen[count++], place);
    put_file(in(folder, "mountinfo"));
}

/* A process in its own network namespace speaks for that namespace. */
static void put_namespace(const char *folder)
{
    static const char *const tables[] = {
        "net/tcp", "net/tcp6", "net/udp", "net/udp6", "net/unix", "net/dev", "net/netlink",
        "net/packet", "net/raw", "net/raw6", "net/route", "net/if_inet6", "net/arp",
        "net/fib_trie", "net/ipv6_route",
    };
    static char seen[64][32];
    static size_t count;
    char name[32] = "";
    if (strcmp(folder, "/proc/1") == 0)
        count = 0;
    if (readlink(in(folder, "ns/net"), name, sizeof name - 1) < 0)
        return;
    for (size_t i = 0; i < count; i++)
        if (strcmp(seen[i], name) == 0)
            return;
    if (count < 64)
        strcpy(seen[count++], name);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        put_changing_file(in(folder, tables[i]));
}

static void put_pass(void)
{
    each("/proc", put_process);
    each("/proc", put_mounts);
    each("/proc", put_namespace);
    put_file("/proc/modules");
}

/* All files of a folder, such as the parameters of a module. */
static void put_folder(const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_type == DT_REG)
            put_changing_file(in(folder, entries[i]->d_name));
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

static void put_module_folders(void)
{
    struct dirent **entries;
    int count = scandir("/sys/module", &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[600];
        snprintf(path, sizeof path, "/sys/module/%s/parameters", entries[i]->d_name);
        put_folder(path);
        snprintf(path, sizeof path, "/sys/module/%s/sections", entries[i]->d_name);
        put_folder(path);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

static int bpf(int command, union bpf_attr *attributes)
{
    return syscall(SYS_bpf, command, attributes, sizeof *attributes);
}

/* A line for each BPF program: number, type, tag, name. For each map: number, type, key, value, entries,
 * name. For each link: number, type, program, and the device or the cgroup that it hangs at. */
static void put_bpf(void)
{
    char *lines = malloc(1 << 16);
    size_t length = 0;
    for (union bpf_attr next = {.start_id = 0}; bpf(BPF_PROG_GET_NEXT_ID, &next) == 0; next.start_id = next.next_id) {
        struct bpf_prog_info info = {0};
        union bpf_attr open = {.prog_id = next.next_id};
        int fd = bpf(BPF_PROG_GET_FD_BY_ID, &open);
        union bpf_attr ask = {.info = {.bpf_fd = fd, .info_len = sizeof info, .info = (uintptr_t)&info}};
        if (fd < 0 || bpf(BPF_OBJ_GET_INFO_BY_FD, &ask) != 0)
            continue;
        length += sprintf(lines + length, "%u %u ", info.id, info.type);
        for (int i = 0; i < BPF_TAG_SIZE; i++)
            length += sprintf(lines + length, "%02x", info.tag[i]);
        length += sprintf(lines + length, " %s\n", info.name);
        close(fd);
    }
    put_record('F', "/bpf/programs", lines, length);
    length = 0;
    for (union bpf_attr next = {.start_id = 0}; bpf(BPF_MAP_GET_NEXT_ID, &next) == 0; next.start_id = next.next_id) {
        struct bpf_map_info info = {0};
        union bpf_attr open = {.map_id = next.next_id};
        int fd = bpf(BPF_MAP_GET_FD_BY_ID, &open);
        union bpf_attr ask = {.info = {.bpf_fd = fd, .info_len = sizeof info, .info = (uintptr_t)&info}};
        if (fd < 0 || bpf(BPF_OBJ_GET_INFO_BY_FD, &ask) != 0)
            continue;
        length += sprintf(lines + length, "%u %u %u %u %u %s\n", info.id, info.type, info.key_size, info.value_size,
                          info.max_entries, info.name);
        close(fd);
    }
    put_record('F', "/bpf/maps", lines, length);
    length = 0;
    for (union bpf_attr next = {.start_id = 0}; bpf(BPF_LINK_GET_NEXT_ID, &next) == 0; next.start_id = next.next_id) {
        struct bpf_link_info info = {0};
        union bpf_attr open = {.link_id = next.next_id};
        int fd = bpf(BPF_LINK_GET_FD_BY_ID, &open);
        union bpf_attr ask = {.info = {.bpf_fd = fd, .info_len = sizeof info, .info = (uintptr_t)&info}};
        if (fd < 0 || bpf(BPF_OBJ_GET_INFO_BY_FD, &ask) != 0)
            continue;
        length += sprintf(lines + length, "%u %u %u ", info.id, info.type, info.prog_id);
        if (info.type == BPF_LINK_TYPE_XDP)
            length += sprintf(lines + length, "%u\n", info.xdp.ifindex);
        else if (info.type == BPF_LINK_TYPE_CGROUP)
            length += sprintf(lines + length, "%llu\n", (unsigned long long)info.cgroup.cgroup_id);
        else
            length += sprintf(lines + length, "-\n");
        close(fd);
    }
    put_record('F', "/bpf/links", lines, length);
    free(lines);
}

/* Records a character for each page of a file: 1 if it is cached, else 0. */
static void put_cached_pages(const char *record, const char *path)
{
    int fd = open(path, O_RDONLY);
    off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    if (size <= 0)
        return;
    size_t pages = (size + 4095) / 4096;
    void *mapped = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    unsigned char *cached = malloc(pages);
    if (mapped != MAP_FAILED && mincore(mapped, size, cached) == 0) {
        for (size_t at = 0; at < pages; at++)
            cached[at] = cached[at] & 1 ? '1' : '0';
        put_record('F', record, (char *)cached, pages);
    }
    free(cached);
    munmap(mapped, size);
    close(fd);
}

/* Of each disk: what /proc/partitions and /proc/diskstats do not tell; and which of the pages of a file are cached. */
static void put_storage(void)
{
    static const char *const names[] = {"ro", "removable", "inflight", "range", "hidden"};
    struct dirent **entries;
    int count = scandir("/sys/block", &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[400];
        for (size_t at = 0; at < sizeof names / sizeof *names; at++) {
            snprintf(path, sizeof path, "/sys/block/%s/%s", entries[i]->d_name, names[at]);
            put_changing_file(path);
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    put_cached_pages("/cached", PARTLY_CACHED);
}

#define LINES (4 << 20)
/* Part of the program, so that its heap is as it told. */
static char lines[LINES];
static size_t lines_length;

/* A line for an open pipe or FIFO: process, descriptor, inode, bytes that wait, bytes that fit. */
static void put_pipe(const char *path)
{
    struct stat status;
    int pid, number, waiting = -1;
    if (stat(path, &status) != 0 || !S_ISFIFO(status.st_mode) || sscanf(path, "/proc/%d/fd/%d", &pid, &number) != 2)
        return;
    int fd = open(path, O_RDONLY | O_NONBLOCK);
    if (fd < 0 || lines_length > LINES - 200)
        return;
    check(ioctl(fd, FIONREAD, &waiting), "FIONREAD");
    lines_length += sprintf(lines + lines_length, "%d %d %lu %d %d\n", pid, number, status.st_ino, waiting, fcntl(fd, F_GETPIPE_SZ));
    close(fd);
}

static void put_pipes_of(const char *folder)
{
    char path[400];
    snprintf(path, sizeof path, "%s/fd", folder);
    each(path, put_pipe);
}

/* A line for a name: inode, mode, size, links, path. */
static int put_name(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)kind;
    (void)place;
    if (lines_length < LINES - 600) {
        lines_length += sprintf(lines + lines_length, "%lu %o %ld %lu ", status->st_ino, status->st_mode, status->st_size, status->st_nlink);
        for (const char *byte = path; *byte; byte++)
            lines_length += sprintf(lines + lines_length, "%02x", (unsigned char)*byte);
        lines[lines_length++] = '\n';
    }
    return 0;
}

/* What /proc does not tell of pipes, and the names of a folder. */
static void put_pipes_and_names(void)
{
    lines_length = 0;
    each("/proc", put_pipes_of);
    put_record('F', "/pipes", lines, lines_length);
    lines_length = 0;
    nftw(NAMES, put_name, 16, FTW_PHYS);
    put_record('F', "/names", lines, lines_length);
}

/* Lines for the pages of some processes, by /proc/PID/pagemap: process, page, entry; those that have none are left out. */
static void put_pages_of(const char *folder)
{
    static const char *const names[] = {"mappings", "many-mappings", "dynamic", "position-free", "objects-dynamic", "objects-pie", "init"};
    char *bytes, name[32] = "";
    ssize_t length = read_whole(in(folder, "comm"), &bytes);
    if (length > 0 && length < (ssize_t)sizeof name)
        memcpy(name, bytes, length - 1);
    size_t at = 0;
    while (at < sizeof names / sizeof *names && strcmp(name, names[at]) != 0)
        at++;
    int fd = at < sizeof names / sizeof *names ? open(in(folder, "pagemap"), O_RDONLY) : -1;
    FILE *maps = fd < 0 ? NULL : fopen(in(folder, "maps"), "r");
    char line[8192];
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx", &start, &end) != 2 || start >> 63)
            continue;
        for (unsigned long page = start / 4096; page < end / 4096 && lines_length < LINES - 100; page++) {
            uint64_t entry;
            if (pread(fd, &entry, 8, page * 8) == 8 && entry >> 62 != 0)
                lines_length += sprintf(lines + lines_length, "%d %lx %lx\n", atoi(folder + 6), page, entry);
        }
    }
    if (maps != NULL)
        fclose(maps);
    if (fd >= 0)
        close(fd);
}

/* The pages of some processes; told when nothing else runs. */
static void put_pages(void)
{
    lines_length = 0;
    each("/proc", put_pages_of);
    put_record('F', "/pages", lines, lines_length);
}

/* What describes the machine as a whole; read once, before the tasks. */
static void put_machine(void)
{
    static const char *const files[] = {
        "/proc/version", "/proc/cmdline", "/proc/iomem", "/proc/ioports", "/proc/filesystems", "/proc/cgroups", "/proc/cpuinfo",
        "/proc/devices", "/proc/kallsyms", "/proc/config.gz", "/proc/crypto", "/proc/tty/drivers", "/proc/bus/pci/devices",
        "/proc/partitions", "/proc/misc", "/proc/consoles", "/proc/keys", "/proc/swaps", "/proc/sys/kernel/random/boot_id",
        "/proc/sysvipc/shm", "/proc/sysvipc/sem", "/proc/sysvipc/msg", "/sys/devices/system/cpu/online",
        "/sys/devices/system/cpu/possible", "/sys/devices/system/cpu/present", "/sys/kernel/debug/kprobes/list",
        "/sys/kernel/debug/tracing/enabled_functions",
        "/proc/locks",
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        put_changing_file(files[i]);
    put_module_folders();
    put_bpf();
    put_storage();
    put_pipes_and_names();
}

/* What must rest as soon as nothing else runs. */
static void put_rest(void)
{
    put_file("/proc/slabinfo");
    put_file("/proc/vmallocinfo");
    put_file("/proc/buddyinfo");
}

/* Counters and times that never rest: read last, so that they are as near as they can be. */
static void put_counters(void)
{
    static const char *const files[] = {
        "/proc/zoneinfo", "/proc/vmstat", "/proc/meminfo", "/proc/timer_list", "/proc/loadavg", "/proc/softirqs", "/proc/stat",
        "/proc/interrupts", "/proc/uptime", "/proc/diskstats",
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        put_changing_file(files[i]);
}

/* The kernel's log: one record a read, until there is none. */
static void put_log(void)
{
    int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
    size_t size, length = 0;
    char *bytes = room(&size);
    while (fd >= 0 && length < size - 8192) {
        ssize_t part = read(fd, bytes + length, 8192);
        if (part > 0)
            length += part;
        else if (errno != EPIPE)
            break;
    }
    close(fd);
    put_record('F', "/dev/kmsg", bytes, length);
}

static void *spin(void *unused)
{
    (void)unused;
    for (;;)
        __builtin_ia32_pause();
    return NULL;
}

static void pin(pthread_t thread, int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    struct sched_param parameters = {.sched_priority = 99};
    if (pthread_setaffinity_np(thread, sizeof set, &set) != 0 || pthread_setschedparam(thread, SCHED_FIFO, &parameters) != 0)
        die("pin");
}

/* From here on nothing runs but this thread and its spinning siblings. */
static void stop_others(void)
{
    for (int cpu = 1; cpu < get_nprocs(); cpu++) {
        pthread_t thread;
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, 64 * 1024);
        if (pthread_create(&thread, &attributes, spin, NULL) != 0)
            die("pthread_create");
        pin(thread, cpu);
    }
    pin(pthread_self(), 0);
    usleep(100000);
}

static void put_state(const char *folder)
{
    put_stat(in(folder, "stat"));
}

static void put_states_of(const char *folder)
{
    char path[400];
    snprintf(path, sizeof path, "%s/task", folder);
    each(path, put_state);
}

static void put_states(void)
{
    each("/proc", put_states_of);
}

/* Describes something again and again until two descriptions agree; keeps the last. Returns how often it took. */
static int until_settled(void (*describe)(void))
{
    size_t start = used;
    uint64_t before = 0;
    for (int pass = 1; pass <= PASSES; pass++) {
        used = start;
        digest = 0xcbf29ce484222325;
        describe();
        if (digest == before)
            return pass;
        before = digest;
    }
    return 0;
}

void tell_truth(int stop, int freeze)
{
    /* The heap may grow but not shrink: this program tells of its own address space too. */
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    open_device();
    check(ioperm(PVPANIC_PORT, 1, 1), "ioperm");
    memcpy(header->magic, "nettlp-q truth 1", 16);
    header->own_pid = getpid();
    sleep(2);
    put_machine();
    put_log();
    if (freeze && stop)
        stop_others();
    header->passes = until_settled(put_pass);
    header->settled = header->passes > 0 && until_settled(put_rest) > 0 && until_settled(put_states) > 0;
    if (freeze)
        put_pages();
    put_counters();
    header->length = used;
    header->ready = 1;
    if (!freeze)
        munmap(header, capacity + HEADER);
    if (stop)
        outb(PVPANIC_PANICKED, PVPANIC_PORT);
    for (;;)
        pause();
}
