/* What a process may do and how it is treated: capabilities, groups, filters, signals, limits, scheduling, terminals. */
#define _GNU_SOURCE
#include "objects.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Sets the three sets of the caller, by their 64 bits. */
static void set_capabilities(unsigned long long effective, unsigned long long permitted, unsigned long long inheritable)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[2] = {
        {effective, permitted, inheritable}, {effective >> 32, permitted >> 32, inheritable >> 32},
    };
    check(syscall(SYS_capset, &header, data), "capset");
}

/* Every set another one: effective, permitted, inheritable, ambient, bounding. */
static void capable(void *unused)
{
    (void)unused;
    unsigned long long net = 1ull << CAP_NET_ADMIN | 1ull << CAP_NET_RAW, late = 1ull << CAP_BPF | 1ull << CAP_PERFMON;
    check(prctl(PR_CAPBSET_DROP, CAP_SYS_MODULE, 0, 0, 0), "PR_CAPBSET_DROP");
    check(prctl(PR_CAPBSET_DROP, CAP_SYS_BOOT, 0, 0, 0), "PR_CAPBSET_DROP");
    check(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "PR_SET_KEEPCAPS");
    check(setresuid(1234, 1234, 1234), "setresuid");
    set_capabilities(net, net | late, net | 1ull << CAP_CHOWN);
    check(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0), "PR_CAP_AMBIENT_RAISE");
    settle_and_sleep();
}

/* More groups than fit a line of anyone's table. */
static void in_many_groups(void *unused)
{
    (void)unused;
    gid_t groups[300];
    for (int i = 0; i < 300; i++)
        groups[i] = 5000 + 3 * i;
    check(setgroups(300, groups), "setgroups");
    settle_and_sleep();
}

static void filtered(void *unused)
{
    (void)unused;
    struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {1, allow};
    check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS");
    check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0), "PR_SET_SECCOMP");
    settle_and_sleep();
}

/* In strict mode only read, write and exit are left. */
static void strictly_filtered(void *unused)
{
    (void)unused;
    int ends[2];
    char byte;
    check(pipe(ends), "pipe");
    settled();
    check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0), "PR_SET_SECCOMP");
    while (read(ends[0], &byte, 1) > 0)
        ;
}

static void caught(int number)
{
    (void)number;
}

static void *blocking_thread(void *unused)
{
    (void)unused;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    name_me("blocks-usr2");
    syscall(SYS_tkill, syscall(SYS_gettid), SIGUSR2);
    for (;;)
        pause();
    return NULL;
}

/* Signals blocked, ignored, caught; pending for the process, for a thread, and queued more than once. */
static void signalled(void *unused)
{
    (void)unused;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGRTMIN + 3);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGRTMAX, SIG_IGN);
    signal(SIGTERM, caught);
    signal(SIGRTMIN + 1, caught);
    kill(getpid(), SIGUSR1);
    syscall(SYS_tkill, syscall(SYS_gettid), SIGHUP);
    for (int i = 0; i < 3; i++)
        sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = i});
    pthread_t thread;
    if (pthread_create(&thread, NULL, blocking_thread, NULL) != 0)
        die("pthread_create");
    usleep(50000);
    settle_and_sleep();
}

static void limited(void *unused)
{
    (void)unused;
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){100, 200});
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 4096});
    setrlimit(RLIMIT_AS, &(struct rlimit){1ull << 40, RLIM_INFINITY});
    setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){65536, 131072});
    setrlimit(RLIMIT_NICE, &(struct rlimit){30, 40});
    write_file("/proc/self/oom_score_adj", "-500");
    settle_and_sleep();
}

static void victim(void *unused)
{
    (void)unused;
    write_file("/proc/self/oom_score_adj", "1000");
    settle_and_sleep();
}

static void with_policy(void *policy)
{
    check(sched_setscheduler(0, (int)(long)policy, &(struct sched_param){0}), "sched_setscheduler");
    settle_and_sleep();
}

/* sched_setattr(2) has no wrapper everywhere. */
static void with_deadline(void *unused)
{
    (void)unused;
    struct {
        unsigned size, policy;
        unsigned long long flags;
        int nice;
        unsigned priority;
        unsigned long long runtime, deadline, period;
    } attributes = {sizeof attributes, 6, 0, 0, 0, 10000000, 30000000, 30000000};
    if (syscall(SYS_sched_setattr, 0, &attributes, 0) != 0 && errno != EBUSY && errno != EPERM)
        die("sched_setattr");
    settle_and_sleep();
}

static void pinned(void *unused)
{
    (void)unused;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(1, &set);
    sched_setaffinity(0, sizeof set, &set);
    settle_and_sleep();
}

/* A shell's place: leader of a session with a terminal, with a job in its own process group. */
static void job(void *unused)
{
    (void)unused;
    check(setpgid(0, 0), "setpgid");
    settle_and_sleep();
}

static void on_terminal(void *unused)
{
    (void)unused;
    check(setsid(), "setsid");
    int terminal = check(posix_openpt(O_RDWR | O_NOCTTY), "posix_openpt");
    check(unlockpt(terminal), "unlockpt");
    int other = check(open(ptsname(terminal), O_RDWR | O_NOCTTY), "open the other end");
    check(ioctl(other, TIOCSCTTY, 0), "TIOCSCTTY");
    spawn("job", job, NULL);
    settle_and_sleep();
}

/* Has used processor time, of its own and in the kernel. */
static void has_worked(void *unused)
{
    (void)unused;
    volatile unsigned long sum = 0;
    for (unsigned long i = 0; i < 60000000; i++)
        sum += i;
    for (int i = 0; i < 30000; i++)
        getppid();
    settle_and_sleep();
}

void make_credentials(void)
{
    spawn("capable", capable, NULL);
    spawn("in-many-groups", in_many_groups, NULL);
    spawn("filtered", filtered, NULL);
    spawn("strictly", strictly_filtered, NULL);
    spawn("signalled", signalled, NULL);
    spawn("limited", limited, NULL);
    spawn("victim", victim, NULL);
    spawn("batch", with_policy, (void *)(long)SCHED_BATCH);
    spawn("idle-policy", with_policy, (void *)(long)SCHED_IDLE);
    spawn("deadline", with_deadline, NULL);
    spawn("pinned", pinned, NULL);
    spawn("on-terminal", on_terminal, NULL);
    spawn("has-worked", has_worked, NULL);
}
