/* Tasks: states, names, owners, threads, trees, namespaces. */
#define _GNU_SOURCE
#include "objects.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void sleeper(void *unused)
{
    (void)unused;
    settle_and_sleep();
}

/* Names that a careless reader breaks on: terminals, UTF-8, and parsers of /proc/PID/stat. */
static const char *const names[] = {
    "\033[31mred\033[0m", "bad\xff\xfe\x80name", "two words (x)", ") R 1 2 3", "tab\tnew\nline", "back\\slash \"q\"",
    "exactly15chars!", "gr\303\274n \342\202\254 \360\237\220\247", "bidi\342\200\256txet", "cut in middle \342\202\254", "c1\302\233" "31m\177", "\x01", "",
};

static void make_names(void)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        spawn(names[i], sleeper, NULL);
}

static void ends(void *unused)
{
    (void)unused;
    settled();
    _exit(7);
}

static void stopped(void *unused)
{
    (void)unused;
    settled();
    raise(SIGSTOP);
}

static void traced(void *unused)
{
    (void)unused;
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    settled();
    raise(SIGSTOP);
}

static void tracer(void *unused)
{
    (void)unused;
    pid_t pid = spawn("traced", traced, NULL);
    check(waitpid(pid, NULL, WUNTRACED), "wait for the traced child");
    settle_and_sleep();
}

/* While its vfork child lives, the parent sleeps uninterruptibly: state D. */
static void in_vfork(void *unused)
{
    (void)unused;
    settled();
    if (vfork() == 0) {
        for (;;)
            pause();
    }
}

/* The kernel writes to a page that nobody provides: it waits in an exception that came while it ran. */
static void in_fault(void *unused)
{
    (void)unused;
    long page = sysconf(_SC_PAGESIZE);
    int faults = check(syscall(SYS_userfaultfd, O_CLOEXEC), "userfaultfd");
    struct uffdio_api api = {.api = UFFD_API};
    check(ioctl(faults, UFFDIO_API, &api), "UFFDIO_API");
    void *missing = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct uffdio_register range = {.range = {.start = (unsigned long)missing, .len = page}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    check(ioctl(faults, UFFDIO_REGISTER, &range), "UFFDIO_REGISTER");
    int zeroes = check(open("/dev/zero", O_RDONLY), "open /dev/zero");
    settled();
    check(read(zeroes, missing, page), "read into the missing page");
}

/* Waits in a module's code for a packet that never comes. */
static void in_module(void *unused)
{
    (void)unused;
    char packet[2048];
    int tunnel = check(open("/dev/net/tun", O_RDWR), "open /dev/net/tun");
    struct ifreq request = {.ifr_name = "waits", .ifr_flags = IFF_TUN | IFF_NO_PI};
    check(ioctl(tunnel, TUNSETIFF, &request), "TUNSETIFF");
    settled();
    check(read(tunnel, packet, sizeof packet), "read a packet");
}

static void make_states(void)
{
    spawn("zombie", ends, NULL);
    spawn("zombie \033[5m", ends, NULL);
    spawn("stopped", stopped, NULL);
    spawn("tracer", tracer, NULL);
    spawn("in-vfork", in_vfork, NULL);
    spawn("in-fault", in_fault, NULL);
    spawn_with(CLONE_NEWNET, "in-module", in_module, NULL);
}

struct owner {
    const char *name;
    uid_t real, effective, saved;
    gid_t group;
};

static void owned(void *argument)
{
    const struct owner *owner = argument;
    gid_t groups[] = {4, 24, 27, 100};
    check(setgroups(4, groups), "setgroups");
    check(setresgid(owner->group, owner->group, owner->group), "setresgid");
    check(setresuid(owner->real, owner->effective, owner->saved), "setresuid");
    settle_and_sleep();
}

static void make_owners(void)
{
    static struct owner owners[] = {
        {"uid-1000", 1000, 1000, 1000, 1000}, {"uid-nobody", 65534, 65534, 65534, 65534}, {"uid-mixed", 1000, 1001, 1002, 50},
        {"uid-large", 4000000000u, 4000000000u, 4000000000u, 3000000000u}, {"gid-only", 0, 0, 0, 1000},
    };
    for (size_t i = 0; i < sizeof owners / sizeof *owners; i++)
        spawn(owners[i].name, owned, &owners[i]);
}

static void *named_thread(void *argument)
{
    char name[16];
    snprintf(name, sizeof name, "worker/%ld", (long)argument);
    name_me(name);
    for (;;)
        pause();
    return NULL;
}

static void *plain_thread(void *argument)
{
    (void)argument;
    for (;;)
        pause();
    return NULL;
}

static void start_threads(int count, void *(*body)(void *))
{
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 * 1024);
    for (long i = 0; i < count; i++) {
        pthread_t thread;
        if (pthread_create(&thread, &small, body, (void *)i) != 0)
            die("pthread_create");
    }
    usleep(50000);
}

static void pool(void *unused)
{
    (void)unused;
    start_threads(12, named_thread);
    settle_and_sleep();
}

static void *forking_thread(void *unused)
{
    (void)unused;
    name_me("forking-thread");
    if (fork() == 0)
        name_me("of-a-thread");
    for (;;)
        pause();
    return NULL;
}

/* A child that a thread made hangs from the thread, not from the leader. */
static void forking_pool(void *unused)
{
    (void)unused;
    start_threads(2, forking_thread);
    settle_and_sleep();
}

static void plain_pool(void *unused)
{
    (void)unused;
    start_threads(3, plain_thread);
    settle_and_sleep();
}

/* The leader ends and stays as a zombie while its threads live on. */
static void headless(void *unused)
{
    (void)unused;
    start_threads(2, named_thread);
    settled();
    syscall(SYS_exit, 0);
}

/* Stopping a process stops each of its threads. */
static void stopped_pool(void *unused)
{
    (void)unused;
    start_threads(3, named_thread);
    settled();
    raise(SIGSTOP);
}

static void make_threads(void)
{
    spawn("pool", pool, NULL);
    spawn("plain-pool", plain_pool, NULL);
    spawn("forking-pool", forking_pool, NULL);
    spawn("headless", headless, NULL);
    spawn("stopped-pool", stopped_pool, NULL);
}

/* A chain of `depth` parents with two leaves at every step. */
static void branch(void *argument)
{
    long depth = (long)argument;
    char name[48];
    for (int leaf = 0; leaf < 2; leaf++) {
        snprintf(name, sizeof name, "leaf-%ld-%d", depth, leaf);
        spawn(name, sleeper, NULL);
    }
    if (depth > 0) {
        snprintf(name, sizeof name, "branch-%ld", depth - 1);
        spawn(name, branch, (void *)(depth - 1));
    }
    settle_and_sleep();
}

static void orphan_maker(void *unused)
{
    (void)unused;
    spawn("orphan", sleeper, NULL);
    settled();
    _exit(0);
}

static void make_trees(void)
{
    spawn("branch-9", branch, (void *)9L);
    pid_t maker = spawn("orphan-maker", orphan_maker, NULL);
    waitpid(maker, NULL, 0);
}

static void inside_namespaces(void *unused)
{
    (void)unused;
    check(sethostname("inside", 6), "sethostname");
    check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private mounts");
    check(mount("inside", "/mnt", "tmpfs", 0, NULL), "mount inside");
    write_file("/mnt/only-inside", "seen from one namespace\n");
    check(open("/mnt/only-inside", O_RDONLY), "open inside");
    check(mount("proc", "/proc", "proc", 0, NULL), "proc inside");
    check(open("/proc/self/stat", O_RDONLY), "proc file inside");
    spawn("in-namespace-2", sleeper, NULL);
    settle_and_sleep();
}

static void in_user_namespace(void *unused)
{
    (void)unused;
    settle_and_sleep();
}

static void make_namespaces(void)
{
    int all = CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWCGROUP;
    spawn_with(all, "in-namespace-1", inside_namespaces, NULL);
    pid_t pid = spawn_with(CLONE_NEWUSER, "in-user-ns", in_user_namespace, NULL);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/uid_map", pid);
    write_file(path, "0 100000 65536\n");
}

static void in_jail(void *unused)
{
    (void)unused;
    mkdir("/tmp/jail", 0755);
    write_file("/tmp/jail/file", "inside the jail\n");
    check(chroot("/tmp/jail"), "chroot");
    check(chdir("/"), "chdir");
    check(open("/file", O_RDONLY), "open in jail");
    settle_and_sleep();
}

static void in_cgroup(void *unused)
{
    (void)unused;
    mkdir("/sys/fs/cgroup/outer", 0755);
    mkdir("/sys/fs/cgroup/outer/inner slice", 0755);
    write_file("/sys/fs/cgroup/outer/inner slice/cgroup.procs", "0\n");
    settle_and_sleep();
}

static void in_session(void *unused)
{
    (void)unused;
    check(setsid(), "setsid");
    int terminal = check(posix_openpt(O_RDWR), "posix_openpt");
    check(unlockpt(terminal), "unlockpt");
    check(open(ptsname(terminal), O_RDWR), "open the other end");
    settle_and_sleep();
}

static void in_deleted_directory(void *unused)
{
    (void)unused;
    mkdir("/tmp/gone", 0755);
    check(chdir("/tmp/gone"), "chdir");
    check(rmdir("/tmp/gone"), "rmdir");
    settle_and_sleep();
}

static void scheduled(void *unused)
{
    (void)unused;
    struct sched_param parameters = {.sched_priority = 30};
    check(sched_setscheduler(0, SCHED_RR, &parameters), "SCHED_RR");
    settle_and_sleep();
}

static void nice_one(void *unused)
{
    (void)unused;
    check(setpriority(PRIO_PROCESS, 0, 15), "setpriority");
    settle_and_sleep();
}

static void make_places(void)
{
    spawn("in-jail", in_jail, NULL);
    spawn("in-cgroup", in_cgroup, NULL);
    spawn("in-session", in_session, NULL);
    spawn("in-deleted-dir", in_deleted_directory, NULL);
    spawn("real-time", scheduled, NULL);
    spawn("nice", nice_one, NULL);
}

void make_tasks(void)
{
    make_names();
    make_states();
    make_owners();
    make_threads();
    make_trees();
    make_namespaces();
    make_places();
}

static void sleepers(void *argument)
{
    char name[48];
    for (long i = 0; i < (long)argument; i++) {
        snprintf(name, sizeof name, "sleeper-%04ld", i);
        spawn(name, sleeper, NULL);
    }
    settle_and_sleep();
}

void make_sleepers(int count)
{
    if (count > 0)
        spawn("sleepers", sleepers, (void *)(long)count);
}
