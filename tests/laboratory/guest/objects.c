/*
 * The program under test of a laboratory guest. As PID 1 it makes many kinds of kernel objects, waits until all of them
 * rest, and has truth.c tell the host what /proc says about them.
 */
#define _GNU_SOURCE
#include "objects.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

static int settled_pipe = -1;

void die(const char *what)
{
    fprintf(stderr, "laboratory: %s: %s\n", what, strerror(errno));
    sync();
    reboot(RB_POWER_OFF);
    _exit(1);
}

int check(int value, const char *what)
{
    if (value == -1)
        die(what);
    return value;
}

void name_me(const char *name)
{
    prctl(PR_SET_NAME, name, 0, 0, 0);
}

void write_file(const char *path, const char *text)
{
    int fd = check(open(path, O_WRONLY | O_CREAT, 0644), path);
    if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        die(path);
    close(fd);
}

void settled(void)
{
    if (settled_pipe >= 0 && write(settled_pipe, "", 1) == 1)
        close(settled_pipe);
    settled_pipe = -1;
}

void settle_and_sleep(void)
{
    settled();
    for (;;)
        pause();
}

pid_t spawn_with(int flags, const char *name, void (*body)(void *), void *argument)
{
    int ends[2];
    check(pipe2(ends, O_CLOEXEC), "pipe");
    /* The write end goes far away, so that a child's interesting descriptors have the low numbers. */
    int far = check(fcntl(ends[1], F_DUPFD_CLOEXEC, 60), "F_DUPFD");
    close(ends[1]);
    pid_t pid = check(syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0), name);
    if (pid == 0) {
        if (!(flags & CLONE_FILES)) {
            close(ends[0]);
            close(settled_pipe);
        }
        settled_pipe = far;
        name_me(name);
        body(argument);
        _exit(0);
    }
    if (!(flags & CLONE_FILES))
        close(far);
    char byte;
    if (read(ends[0], &byte, 1) != 1)
        die(name);
    close(ends[0]);
    return pid;
}

pid_t spawn(const char *name, void (*body)(void *), void *argument)
{
    return spawn_with(0, name, body, argument);
}

static int number(const char *variable)
{
    const char *text = getenv(variable);
    return text ? atoi(text) : 0;
}

static void truth(void *stop)
{
    settled();
    tell_truth(*(int *)stop, 1);
}

/* The pipe to the parent of a program that spawn()'s child became by execve(2). */
static void inherit_pipe(void)
{
    const char *pipe = getenv("SETTLED_PIPE");
    if (pipe != NULL) {
        settled_pipe = atoi(pipe);
        fcntl(settled_pipe, F_SETFD, FD_CLOEXEC);
    }
}

static void become_systemd(void)
{
    static const char path[] = "/usr/lib/systemd/systemd";
    char *words[] = {"/sbin/init", NULL};
    setenv("DAEMON", "init", 1);
    execv(path, words);
    die(path);
}

static void demo(int stop)
{
    make_demo();
    make_sleepers(number("LAB_TASKS"));
    clearenv();
    int null = check(open("/dev/null", O_RDWR), "/dev/null");
    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
    close(null);
    tell_truth(stop, 0);
}

int main(int count, char **words)
{
    int stop = number("LAB_STOP");
    const char *daemon = getenv("DAEMON");
    inherit_pipe();
    if (daemon != NULL && strcmp(daemon, "init") == 0)
        demo(stop);
    if (daemon != NULL)
        play_daemon(daemon);
    if (count > 1 && strcmp(words[1], "mappings") == 0) {
        map_everything(NULL);
        settle_and_sleep();
    }
    if (count > 1 && strcmp(words[1], "programs") == 0) {
        list_programs();
        return 0;
    }
    if (number("LAB_DEMO"))
        become_systemd();
    name_me("init");
    make_tasks();
    make_files();
    make_sockets();
    make_nexthops();
    make_mappings();
    make_credentials();
    make_kernel_objects();
    make_storage();
    make_sleepers(number("LAB_TASKS"));
    spawn("truth", truth, &stop);
    for (;;)
        pause();
}
