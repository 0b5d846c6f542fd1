/*
 * Processes that look like those of a small web server, for the demo that ships with nettlp-q: names, owners, command
 * lines, threads, files and sockets are what one would find there. Every one is a copy of this program under the path of
 * the program that it plays; what it plays is a row of the table below.
 */
#define _GNU_SOURCE
#include "objects.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#define MOST 8

enum special {
    LISTENS_TCP = 1,   /* `port` on every address */
    LISTENS_LOCAL = 2, /* `port` on 127.0.0.1 */
    CONNECTS = 4,      /* to `port` on 127.0.0.1 */
    POLLS = 8,         /* epoll, timerfd, signalfd, as an event loop has */
    REMOVED = 16,      /* its program's file and its open files are deleted once it runs, and it has memory that it can write and run */
    TERMINAL = 32,     /* /dev/pts/0 as its input and output */
    WAKES = 128,       /* a pipe that it wakes itself with, in which something waits */
    STARTS = 64,       /* waits, uninterruptibly, for a child to run another program */
};

struct daemon {
    const char *name;    /* for the parent column; comm is the last part of exe, unless comm says otherwise */
    const char *parent;  /* NULL: PID 1 */
    const char *exe;
    const char *comm;
    uid_t user;
    int special, port;
    const char *words[MOST];   /* the command line */
    const char *threads[MOST]; /* names of further threads */
    const char *files[MOST];   /* opened for appending */
    const char *socket;        /* a UNIX socket that it listens on */
};

#define SYSTEMD "/usr/lib/systemd/"
#define POSTGRES "/usr/lib/postgresql/15/bin/postgres"

static const struct daemon daemons[] = {
    {"journald", NULL, SYSTEMD "systemd-journald", NULL, 0, POLLS, 0, {SYSTEMD "systemd-journald"}, {0},
     {"/var/log/journal/system.journal", "/dev/kmsg"}, "/run/systemd/journal/stdout"},
    {"udevd", NULL, SYSTEMD "systemd-udevd", NULL, 0, POLLS, 0, {SYSTEMD "systemd-udevd"}, {0}, {0}, "/run/udev/control"},
    {"timesyncd", NULL, SYSTEMD "systemd-timesyncd", NULL, 997, POLLS, 0, {SYSTEMD "systemd-timesyncd"}, {"sd-resolve"}, {0}, NULL},
    {"cron", NULL, "/usr/sbin/cron", NULL, 0, 0, 0, {"/usr/sbin/cron", "-f"}, {0}, {"/run/crond.pid"}, NULL},
    {"job", "cron", "/usr/bin/dash", "sh", 0, STARTS, 0, {"/bin/sh", "-c", "test -x /usr/sbin/anacron || run-parts /etc/cron.daily"},
     {0}, {0}, NULL},
    {"dbus", NULL, "/usr/bin/dbus-daemon", NULL, 100, POLLS, 0,
     {"/usr/bin/dbus-daemon", "--system", "--address=systemd:", "--nofork", "--nopidfile", "--systemd-activation", "--syslog-only"},
     {0}, {0}, "/run/dbus/system_bus_socket"},
    {"logind", NULL, SYSTEMD "systemd-logind", NULL, 0, POLLS, 0, {SYSTEMD "systemd-logind"}, {0}, {0}, NULL},
    {"rsyslogd", NULL, "/usr/sbin/rsyslogd", NULL, 0, 0, 0, {"/usr/sbin/rsyslogd", "-n", "-iNONE"},
     {"in:imuxsock", "in:imklog", "rs:main Q:Reg"}, {"/var/log/syslog", "/var/log/auth.log", "/var/log/kern.log"}, NULL},
    {"agetty1", NULL, "/usr/sbin/agetty", NULL, 0, 0, 0, {"/sbin/agetty", "-o", "-p -- \\u", "--noclear", "-", "linux"}, {0}, {0}, NULL},
    {"exporter", NULL, "/usr/bin/prometheus-node-exporter", NULL, 104, LISTENS_TCP | POLLS, 9100,
     {"/usr/bin/prometheus-node-exporter"}, {"node_exporter", "node_exporter", "node_exporter", "node_exporter"}, {0}, NULL},
    {"sshd", NULL, "/usr/sbin/sshd", NULL, 0, LISTENS_TCP, 22, {"sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups"}, {0}, {0}, NULL},
    {"session", "sshd", "/usr/sbin/sshd", NULL, 0, CONNECTS, 22, {"sshd: alice [priv]"}, {0}, {0}, NULL},
    {"channel", "session", "/usr/sbin/sshd", NULL, 1000, TERMINAL, 0, {"sshd: alice@pts/0"}, {0}, {0}, NULL},
    {"shell", "channel", "/usr/bin/bash", NULL, 1000, TERMINAL, 0, {"-bash"}, {0}, {"/home/alice/.bash_history"}, NULL},
    {"editor", "shell", "/usr/bin/vim.basic", "vim", 1000, TERMINAL, 0, {"vim", "notes.txt"}, {0}, {"/home/alice/.notes.txt.swp"}, NULL},
    {"user", NULL, SYSTEMD "systemd", NULL, 1000, POLLS, 0, {SYSTEMD "systemd", "--user"}, {0}, {0}, "/run/user/1000/systemd/private"},
    {"pam", "user", SYSTEMD "systemd", "(sd-pam)", 1000, 0, 0, {"(sd-pam)"}, {0}, {0}, NULL},
    {"nginx", NULL, "/usr/sbin/nginx", NULL, 0, LISTENS_TCP, 80,
     {"nginx: master process /usr/sbin/nginx -g daemon on; master_process on;"}, {0},
     {"/var/log/nginx/access.log", "/var/log/nginx/error.log"}, NULL},
    {"nginx1", "nginx", "/usr/sbin/nginx", NULL, 33, POLLS, 0, {"nginx: worker process"}, {0},
     {"/var/log/nginx/access.log", "/var/log/nginx/error.log"}, NULL},
    {"nginx2", "nginx", "/usr/sbin/nginx", NULL, 33, POLLS, 0, {"nginx: worker process"}, {0},
     {"/var/log/nginx/access.log", "/var/log/nginx/error.log"}, NULL},
    {"postgres", NULL, POSTGRES, NULL, 105, LISTENS_LOCAL, 5432,
     {POSTGRES, "-D", "/var/lib/postgresql/15/main", "-c", "config_file=/etc/postgresql/15/main/postgresql.conf"}, {0},
     {"/var/log/postgresql/postgresql-15-main.log"}, "/run/postgresql/.s.PGSQL.5432"},
    {"pg1", "postgres", POSTGRES, NULL, 105, POLLS, 0, {"postgres: 15/main: checkpointer "}, {0},
     {"/var/lib/postgresql/15/main/pg_wal/000000010000000000000001"}, NULL},
    {"pg2", "postgres", POSTGRES, NULL, 105, POLLS, 0, {"postgres: 15/main: background writer "}, {0}, {0}, NULL},
    {"pg3", "postgres", POSTGRES, NULL, 105, POLLS, 0, {"postgres: 15/main: walwriter "}, {0},
     {"/var/lib/postgresql/15/main/pg_wal/000000010000000000000001"}, NULL},
    {"pg4", "postgres", POSTGRES, NULL, 105, POLLS, 0, {"postgres: 15/main: autovacuum launcher "}, {0}, {0}, NULL},
    {"pg5", "postgres", POSTGRES, NULL, 105, POLLS, 0, {"postgres: 15/main: app app 127.0.0.1(41234) idle"}, {0},
     {"/var/lib/postgresql/15/main/base/16384/2619"}, NULL},
    {"app", NULL, "/usr/bin/python3.11", "gunicorn", 33, LISTENS_LOCAL | WAKES, 8000,
     {"/usr/bin/python3", "/usr/bin/gunicorn", "-w", "2", "shop.wsgi"}, {0}, {"/var/log/shop.log"}, NULL},
    {"app1", "app", "/usr/bin/python3.11", "gunicorn", 33, CONNECTS, 5432, {"/usr/bin/python3", "/usr/bin/gunicorn", "-w", "2", "shop.wsgi"},
     {"ThreadPoolExec", "ThreadPoolExec"}, {"/var/log/shop.log"}, NULL},
    /* What an investigator looks for: it calls itself a kernel thread, but it has a program, which is deleted. */
    {"intruder", "app1", "/dev/shm/.cache/kdevtmpfsi", "kworker/0:3-eve", 33, CONNECTS | REMOVED, 9100, {"[kworker/0:3-events]"},
     {"kworker/0:3-eve"}, {"/dev/shm/.cache/log"}, NULL},
};

#define COUNT (sizeof daemons / sizeof *daemons)

static void start(const struct daemon *daemon);

/* Makes the folders on the way to a file. */
static void folders_to(const char *path)
{
    char part[256];
    for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        mkdir(part, 0755);
    }
}

static struct sockaddr_in address(const char *text, int port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, text, &name.sin_addr);
    return name;
}

static void open_network(const struct daemon *daemon)
{
    struct sockaddr_in name = address(daemon->special & LISTENS_TCP ? "0.0.0.0" : "127.0.0.1", daemon->port);
    int yes = 1, fd = check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (daemon->special & CONNECTS) {
        check(connect(fd, (struct sockaddr *)&name, sizeof name), daemon->name);
    } else {
        check(bind(fd, (struct sockaddr *)&name, sizeof name), daemon->name);
        check(listen(fd, 128), "listen");
    }
}

static void open_events(void)
{
    struct epoll_event event = {.events = EPOLLIN};
    sigset_t signals;
    sigemptyset(&signals);
    int poll = check(epoll_create1(EPOLL_CLOEXEC), "epoll");
    int sources[] = {
        check(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), "timerfd"), check(signalfd(-1, &signals, SFD_CLOEXEC), "signalfd"),
        check(eventfd(0, EFD_CLOEXEC), "eventfd"),
    };
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        check(epoll_ctl(poll, EPOLL_CTL_ADD, sources[i], &event), "epoll_ctl");
}

static void open_pipe(void)
{
    int ends[2];
    check(pipe2(ends, O_CLOEXEC | O_NONBLOCK), "pipe");
    check(write(ends[1], ".", 1), "write to the pipe");
}

static void open_files(const struct daemon *daemon)
{
    for (int i = 0; i < MOST && daemon->files[i] != NULL; i++) {
        folders_to(daemon->files[i]);
        check(open(daemon->files[i], O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644), daemon->files[i]);
    }
    if (daemon->socket != NULL) {
        struct sockaddr_un name = {.sun_family = AF_UNIX};
        strncpy(name.sun_path, daemon->socket, sizeof name.sun_path - 1);
        folders_to(daemon->socket);
        int fd = check(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
        check(bind(fd, (struct sockaddr *)&name, sizeof name), daemon->socket);
        check(listen(fd, 128), "listen");
    }
}

static void *thread(void *name)
{
    name_me(name);
    for (;;)
        pause();
    return NULL;
}

static void start_threads(const struct daemon *daemon)
{
    for (int i = 0; i < MOST && daemon->threads[i] != NULL; i++) {
        pthread_t started;
        if (pthread_create(&started, NULL, thread, (void *)daemon->threads[i]) != 0)
            die("pthread_create");
    }
}

static void start_children(const char *parent)
{
    for (size_t i = 0; i < COUNT; i++) {
        const char *wanted = daemons[i].parent;
        if (wanted == parent || (wanted != NULL && parent != NULL && strcmp(wanted, parent) == 0))
            start(&daemons[i]);
    }
}

static void cover_tracks(const struct daemon *daemon)
{
    check(unlink(daemon->exe), daemon->exe);
    for (int i = 0; i < MOST && daemon->files[i] != NULL; i++)
        check(unlink(daemon->files[i]), daemon->files[i]);
    void *code = mmap(NULL, 16 * 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (code == MAP_FAILED)
        die("mmap");
    memset(code, 0xcc, 4096);
}

/* What a daemon does once it runs under its own program's path. */
static void play(const struct daemon *daemon)
{
    clearenv();
    if (daemon->comm != NULL)
        name_me(daemon->comm);
    if (daemon->special & (LISTENS_TCP | LISTENS_LOCAL | CONNECTS))
        open_network(daemon);
    if (daemon->special & POLLS)
        open_events();
    if (daemon->special & WAKES)
        open_pipe();
    open_files(daemon);
    start_children(daemon->name);
    if (daemon->special & REMOVED)
        cover_tracks(daemon);
    if (daemon->user != 0) {
        gid_t group = daemon->user;
        check(setgroups(1, &group), "setgroups");
        check(setresgid(group, group, group), "setresgid");
        check(setresuid(daemon->user, daemon->user, daemon->user), "setresuid");
    }
    start_threads(daemon);
    if (daemon->special & STARTS) {
        settled();
        if (vfork() == 0) {
            for (;;)
                pause();
        }
    }
    settle_and_sleep();
}

/* Gives a new process its input and output, and turns it into the program that it plays. */
static void become(void *argument)
{
    const struct daemon *daemon = argument;
    char role[32], pipe[32];
    snprintf(role, sizeof role, "DAEMON=%zu", (size_t)(daemon - daemons));
    char *environment[] = {role, pipe, NULL};
    for (int fd = 60; fd < 70; fd++) {
        if (fcntl(fd, F_GETFD) == FD_CLOEXEC) {
            fcntl(fd, F_SETFD, 0);
            snprintf(pipe, sizeof pipe, "SETTLED_PIPE=%d", fd);
        }
    }
    setsid();
    int fd = check(open(daemon->special & TERMINAL ? "/dev/pts/0" : "/dev/null", O_RDWR), "input and output");
    for (int number = 0; number < 3; number++)
        dup2(fd, number);
    close(fd);
    check(chdir("/"), "chdir");
    if (daemon->special & REMOVED) {
        char command[256];
        folders_to(daemon->exe);
        snprintf(command, sizeof command, "cp /usr/sbin/objects-dynamic %s", daemon->exe);
        if (system(command) != 0)
            die(daemon->exe);
    }
    execve(daemon->exe, (char **)daemon->words, environment);
    die(daemon->exe);
}

static void start(const struct daemon *daemon)
{
    spawn(daemon->name, become, (void *)daemon);
}

void play_daemon(const char *number)
{
    play(&daemons[atoi(number)]);
}

void list_programs(void)
{
    for (size_t i = 0; i < COUNT; i++)
        if (!(daemons[i].special & REMOVED))
            puts(daemons[i].exe);
}

void make_demo(void)
{
    int terminal = check(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), "posix_openpt");
    check(unlockpt(terminal), "unlockpt");
    open_events();
    start_children(NULL);
}
