/* Address spaces: every kind of line that /proc/PID/maps can show. */
#define _GNU_SOURCE
#include "objects.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096UL
#define PATTERN 0x6e65742d746c7071UL /* "qplt-ten" in memory: bytes that a search can find */

static void *map(void *where, size_t length, int protection, int flags, int fd, off_t offset)
{
    void *at = mmap(where, length, protection, flags, fd, offset);
    if (at == MAP_FAILED)
        die("mmap");
    return at;
}

static int file_of(const char *path, size_t pages)
{
    int fd = check(open(path, O_RDWR | O_CREAT, 0755), path);
    check(ftruncate(fd, pages * PAGE), "ftruncate");
    return fd;
}

static void fill(void *at, size_t length)
{
    uint64_t *words = at;
    for (size_t i = 0; i < length / sizeof *words; i++)
        words[i] = PATTERN ^ i;
}

static void map_anonymous(void)
{
    int anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
    fill(map(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, anonymous, -1, 0), 8 * PAGE);
    map(NULL, 3 * PAGE, PROT_NONE, anonymous, -1, 0);
    map(NULL, 5 * PAGE, PROT_READ, anonymous, -1, 0);
    /* No executable memory without a file: that is a finding of `use "integrity"`, and a clean guest has none. */
    map(NULL, 2 * PAGE, PROT_READ, anonymous, -1, 0);
    map(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, anonymous, -1, 0);
    fill(map(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), 4 * PAGE);
    map((void *)0x10000, PAGE, PROT_READ, anonymous | MAP_FIXED, -1, 0);
    map((void *)0x7ffff0000000, PAGE, PROT_READ, anonymous | MAP_FIXED, -1, 0);
    char *huge = map(NULL, 6UL << 20, PROT_READ | PROT_WRITE, anonymous, -1, 0);
    madvise(huge, 6UL << 20, MADV_HUGEPAGE);
    fill(huge + (2UL << 20), 2UL << 20);
    char *named = map(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, anonymous, -1, 0);
    prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, named, 4 * PAGE, "a named mapping");
    fill(named, PAGE);
    char *locked = map(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, anonymous | MAP_LOCKED, -1, 0);
    madvise(locked, PAGE, MADV_DONTFORK);
}

static void map_files(void)
{
    int fd = file_of("/tmp/maps/a file", 16);
    fill(map(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), 16 * PAGE);
    char *private = map(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 4 * PAGE);
    memset(private, 'p', 2 * PAGE);
    mprotect(private + 2 * PAGE, PAGE, PROT_NONE);
    mprotect(private + 4 * PAGE, PAGE, PROT_READ | PROT_EXEC);
    map(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 15 * PAGE);
    close(fd);
    fd = file_of("/tmp/maps/deleted", 2);
    map(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
    unlink("/tmp/maps/deleted");
    close(fd);
    fd = memfd_create("mapped memory file", 0);
    check(ftruncate(fd, 3 * PAGE), "ftruncate");
    map(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    fd = file_of("/dev/shm/segment", 2);
    map(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    fd = check(open("/dev/zero", O_RDWR), "/dev/zero");
    map(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    map(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
}

static void map_special(void)
{
    int segment = shmget(0x4e51, 4 * PAGE, IPC_CREAT | 0600);
    if (segment >= 0)
        shmat(segment, NULL, 0);
    segment = shmget(IPC_PRIVATE, PAGE, 0600);
    if (segment >= 0 && shmat(segment, NULL, SHM_RDONLY) != (void *)-1)
        shmctl(segment, IPC_RMID, NULL);
    aio_context_t context = 0;
    syscall(SYS_io_setup, 8, &context);
    fill(sbrk(40 * PAGE), 40 * PAGE);
    if (malloc(1 << 20) == NULL)
        die("malloc");
}

/* Enough areas for a maple tree or red-black tree of several levels. */
static void map_many(void)
{
    char *at = map(NULL, 1024 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int page = 1; page < 1024; page += 2)
        mprotect(at + page * PAGE, PAGE, PROT_NONE);
}

void map_everything(void *many)
{
    mkdir("/tmp/maps", 0755);
    map_anonymous();
    map_files();
    map_special();
    if (many)
        map_many();
}

static void mappings(void *many)
{
    map_everything(many);
    settle_and_sleep();
}

/* The same program in another form; it finds the pipe to its parent at the number that spawn() gave it. */
static void other_form(void *program)
{
    char text[32];
    for (int fd = 60; fd < 70; fd++) {
        if (fcntl(fd, F_GETFD) == FD_CLOEXEC) {
            fcntl(fd, F_SETFD, 0);
            sprintf(text, "SETTLED_PIPE=%d", fd);
        }
    }
    char *words[] = {program, "mappings", "a word", "", "last", NULL};
    char *environment[] = {text, "HOME=/", NULL};
    execve(program, words, environment);
    die(program);
}

void make_mappings(void)
{
    spawn("mappings", mappings, NULL);
    spawn("many-mappings", mappings, "");
    spawn("dynamic", other_form, "/usr/sbin/objects-dynamic");
    spawn("position-free", other_form, "/usr/sbin/objects-pie");
}
