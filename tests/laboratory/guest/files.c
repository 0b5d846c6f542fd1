/* Open files of every kind that /proc/PID/fd names differently. */
#define _GNU_SOURCE
#include "objects.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define FOLDER "/tmp/files"

static int make(const char *path, int flags)
{
    return check(open(path, flags | O_CREAT, 0644), path);
}

/* Regular files: modes, offsets, deleted ones, names that need care. */
static void plain_files(void *unused)
{
    (void)unused;
    int fd = make(FOLDER "/plain", O_RDWR);
    check(write(fd, "0123456789", 10), "write");
    check(lseek(fd, 4, SEEK_SET), "lseek");
    make(FOLDER "/append only", O_WRONLY | O_APPEND);
    make(FOLDER "/line\nbreak \033[1m\xff", O_RDONLY);
    make(FOLDER "/deleted", O_RDWR);
    check(unlink(FOLDER "/deleted"), "unlink");
    make(FOLDER "/named (deleted)", O_RDWR);
    mkdir(FOLDER "/gone", 0755);
    make(FOLDER "/gone/deep", O_RDWR);
    check(open(FOLDER "/gone", O_RDONLY | O_DIRECTORY), "open a folder");
    check(unlink(FOLDER "/gone/deep"), "unlink");
    check(rmdir(FOLDER "/gone"), "rmdir");
    make(FOLDER "/before", O_RDWR);
    check(rename(FOLDER "/before", FOLDER "/after"), "rename");
    check(open(FOLDER, O_RDWR | O_TMPFILE, 0600), "O_TMPFILE");
    check(open(FOLDER "/plain", O_PATH), "O_PATH");
    check(open("/", O_RDONLY | O_DIRECTORY), "open /");
    check(dup3(fd, 20, O_CLOEXEC), "dup3");
    settle_and_sleep();
}

/* Names of 255 bytes, 24 folders deep: longer than any inline name and than one small buffer. */
static void long_paths(void *unused)
{
    (void)unused;
    char name[256];
    memset(name, 'n', 250);
    name[250] = '\0';
    check(chdir(FOLDER), "chdir");
    for (int depth = 0; depth < 8; depth++) {
        mkdir(name, 0755);
        check(chdir(name), "chdir");
    }
    make("at-the-bottom", O_RDWR);
    check(chdir("/"), "chdir");
    char path[512] = FOLDER;
    for (int depth = 0; depth < 24; depth++) {
        sprintf(path + strlen(path), "/d%d", depth);
        mkdir(path, 0755);
    }
    strcat(path, "/leaf");
    make(path, O_RDWR);
    settle_and_sleep();
}

/* Files under mounts in mounts, bind mounts, overlays, and other file systems. */
static void mounted_files(void *unused)
{
    (void)unused;
    mkdir("/mnt/outer", 0755);
    check(mount("outer", "/mnt/outer", "tmpfs", 0, "size=1m"), "mount outer");
    mkdir("/mnt/outer/inner", 0755);
    check(mount("inner", "/mnt/outer/inner", "tmpfs", MS_NOEXEC, "size=1m"), "mount inner");
    make("/mnt/outer/inner/file", O_RDWR);
    mkdir(FOLDER "/bound", 0755);
    check(mount("/mnt/outer", FOLDER "/bound", NULL, MS_BIND | MS_REC, NULL), "bind");
    make(FOLDER "/bound/through-bind", O_RDWR);
    make(FOLDER "/bound/inner/through-both", O_RDWR);
    make(FOLDER "/bound-file", O_RDWR);
    check(mount("/mnt/outer/inner/file", FOLDER "/bound-file", NULL, MS_BIND, NULL), "bind a file");
    check(open(FOLDER "/bound-file", O_RDONLY), "open a bound file");
    mkdir("/mnt/lazy", 0755);
    check(mount("lazy", "/mnt/lazy", "tmpfs", 0, NULL), "mount lazy");
    make("/mnt/lazy/unreachable", O_RDWR);
    check(umount2("/mnt/lazy", MNT_DETACH), "detach");
    check(open("/proc/1/status", O_RDONLY), "proc");
    check(open("/sys/kernel/mm", O_RDONLY), "sysfs");
    check(open("/sys/fs/cgroup/cgroup.procs", O_RDONLY), "cgroup");
    check(open("/dev/null", O_RDWR), "null");
    check(open("/dev/shm", O_RDONLY), "shm");
    settle_and_sleep();
}

static void overlaid_file(void *unused)
{
    (void)unused;
    mkdir("/mnt/layers", 0755);
    check(mount("layers", "/mnt/layers", "tmpfs", 0, NULL), "mount layers");
    mkdir("/mnt/layers/lower", 0755);
    mkdir("/mnt/layers/upper", 0755);
    mkdir("/mnt/layers/work", 0755);
    mkdir("/mnt/merged", 0755);
    write_file("/mnt/layers/lower/below", "from the lower layer\n");
    const char *options = "lowerdir=/mnt/layers/lower,upperdir=/mnt/layers/upper,workdir=/mnt/layers/work";
    if (mount("overlay", "/mnt/merged", "overlay", 0, options) == 0) {
        check(open("/mnt/merged/below", O_RDONLY), "open below");
        make("/mnt/merged/above", O_RDWR);
    }
    settle_and_sleep();
}

/* Everything without a path. */
static void special_files(void *unused)
{
    (void)unused;
    int ends[2];
    check(pipe(ends), "pipe");
    check(pipe2(ends, O_NONBLOCK), "pipe2");
    int poll = check(epoll_create1(0), "epoll");
    struct epoll_event event = {.events = EPOLLIN};
    check(epoll_ctl(poll, EPOLL_CTL_ADD, ends[0], &event), "epoll_ctl");
    check(eventfd(42, EFD_SEMAPHORE), "eventfd");
    check(timerfd_create(CLOCK_MONOTONIC, 0), "timerfd");
    sigset_t signals;
    sigfillset(&signals);
    check(signalfd(-1, &signals, 0), "signalfd");
    int notify = check(inotify_init(), "inotify");
    check(inotify_add_watch(notify, FOLDER, IN_CREATE), "inotify_add_watch");
    check(memfd_create("a memory file", 0), "memfd");
    check(memfd_create("", MFD_ALLOW_SEALING), "memfd");
    check(syscall(SYS_pidfd_open, 1, 0), "pidfd_open");
    check(open("/proc/self/ns/net", O_RDONLY), "ns/net");
    check(open("/proc/self/ns/mnt", O_RDONLY), "ns/mnt");
    mkfifo(FOLDER "/fifo", 0644);
    check(open(FOLDER "/fifo", O_RDWR), "fifo");
    settle_and_sleep();
}

/* More descriptors than the first table holds, with gaps. */
static void many_files(void *unused)
{
    (void)unused;
    struct rlimit limit = {4096, 4096};
    check(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
    int fd = make(FOLDER "/many", O_RDWR);
    for (int number = 30; number < 700; number += 7)
        check(dup2(fd, number), "dup2");
    check(dup2(fd, 3999), "dup2");
    settle_and_sleep();
}

static void shares_table(void *unused)
{
    (void)unused;
    settle_and_sleep();
}

/* Two processes, one table. */
static void shared_table(void *unused)
{
    (void)unused;
    make(FOLDER "/shared-table", O_RDWR);
    spawn_with(CLONE_FILES, "shares-table", shares_table, NULL);
    settle_and_sleep();
}

static void no_files(void *unused)
{
    (void)unused;
    settled();
    for (int fd = 0; fd < 128; fd++)
        close(fd);
    settle_and_sleep();
}

/* Pipes with nothing, something and much in them, one of another size, one of which the ring begins in the middle, and a FIFO. */
static void with_pipes(void *unused)
{
    (void)unused;
    static char page[4096];
    int ends[2];
    check(pipe(ends), "pipe");
    check(write(ends[1], "waits in a pipe", 15), "write");
    check(pipe2(ends, O_NONBLOCK), "pipe2");
    check(fcntl(ends[1], F_SETPIPE_SZ, 8192), "F_SETPIPE_SZ");
    while (write(ends[1], page, 1000) > 0)
        ;
    check(pipe(ends), "pipe");
    check(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20), "F_SETPIPE_SZ");
    check(write(ends[1], page, 3), "write");
    check(pipe(ends), "pipe");
    for (int times = 0; times < 41; times++) {
        check(write(ends[1], page, sizeof page), "write");
        if (times >= 6)
            check(read(ends[0], page, sizeof page), "read");
    }
    check(read(ends[0], page, 100), "read");
    check(pipe(ends), "pipe");
    close(ends[0]);
    mkfifo(FOLDER "/filled-fifo", 0600);
    int fifo = check(open(FOLDER "/filled-fifo", O_RDWR), "fifo");
    check(write(fifo, "first in, first out", 19), "write");
    settle_and_sleep();
}

/* A folder of names of every kind, one that is gone but open, and one that was asked for in vain. */
static void with_names(void *unused)
{
    (void)unused;
    struct stat status;
    mkdir(NAMES, 0755);
    mkdir(NAMES "/deep", 0700);
    mkdir(NAMES "/deep/er", 01777);
    mkdir(NAMES "/empty", 0755);
    close(make(NAMES "/file", O_RDWR));
    close(make(NAMES "/deep/er/file", O_RDWR));
    close(make(NAMES "/odd \n\x1b[31m name", O_RDWR));
    check(link(NAMES "/file", NAMES "/deep/hard"), "link");
    check(symlink("deep/er", NAMES "/soft"), "symlink");
    mkfifo(NAMES "/fifo", 0640);
    for (int number = 0; number < 40; number++) {
        char path[64];
        snprintf(path, sizeof path, NAMES "/deep/%d", number);
        close(make(path, O_RDWR));
    }
    make(NAMES "/gone", O_RDWR);
    check(unlink(NAMES "/gone"), "unlink");
    stat(NAMES "/never-there", &status);
    stat("/sys/kernel/never-there", &status);
    check(open(NAMES, O_RDONLY | O_DIRECTORY), NAMES);
    settle_and_sleep();
}

static void locked_file(void *unused)
{
    (void)unused;
    int fd = make(FOLDER "/locked", O_RDWR);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10};
    check(fcntl(fd, F_SETLK, &lock), "lock");
    settle_and_sleep();
}

void make_files(void)
{
    mkdir(FOLDER, 0755);
    spawn("plain-files", plain_files, NULL);
    spawn("long-paths", long_paths, NULL);
    spawn("mounted-files", mounted_files, NULL);
    spawn("overlaid-file", overlaid_file, NULL);
    spawn("special-files", special_files, NULL);
    spawn("many-files", many_files, NULL);
    spawn("shared-table", shared_table, NULL);
    spawn("no-files", no_files, NULL);
    spawn("locked-file", locked_file, NULL);
    spawn("with-pipes", with_pipes, NULL);
    spawn("with-names", with_names, NULL);
}
