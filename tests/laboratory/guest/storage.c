/* Disks: one with partitions, one that can only be read, and one of which a part is cached; and a file in huge pages. */
#define _GNU_SOURCE
#include "objects.h"

#include <fcntl.h>
#include <linux/blkpg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096
#define PAGES 300
#define HUGE_PAGES 1024

/* A partition of a disk by its place alone: no table is written. */
static void add_partition(const char *disk, int number, long long start, long long length)
{
    int fd = check(open(disk, O_RDWR), disk);
    struct blkpg_partition partition = {.start = start, .length = length, .pno = number};
    struct blkpg_ioctl_arg argument = {.op = BLKPG_ADD_PARTITION, .datalen = sizeof partition, .data = &partition};
    check(ioctl(fd, BLKPG, &argument), "BLKPG");
    close(fd);
}

/* What the disk that is partly cached is made of: pages that each begin with their number. */
static void make_pages(const char *path, int count)
{
    char page[PAGE];
    int fd = check(open(path, O_WRONLY | O_CREAT, 0644), path);
    for (int at = 0; at < count; at++) {
        memset(page, 'a' + at % 26, PAGE);
        sprintf(page, "page %d of a disk that is partly cached", at);
        check(write(fd, page, PAGE), "write");
    }
    close(fd);
}

/* The same in huge pages, where the kernel has some. */
static void make_huge_pages(void)
{
    check(mkdir("/tmp/huge", 0755), "/tmp/huge");
    if (mount("huge", "/tmp/huge", "tmpfs", 0, "huge=always") == 0)
        make_pages("/tmp/huge/pages", HUGE_PAGES);
}

/* Reads the disk's begin, a stretch in its middle, and its end. */
static void with_cached_pages(void *unused)
{
    (void)unused;
    char page[PAGE];
    int fd = check(open(PARTLY_CACHED, O_RDONLY), PARTLY_CACHED);
    open("/tmp/huge/pages", O_RDONLY);
    posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    for (int at = 0; at < PAGES; at++)
        if (at < 5 || (at > 70 && at < 140) || at > 295)
            check(pread(fd, page, PAGE, (off_t)at * PAGE), "pread");
    settle_and_sleep();
}

void make_storage(void)
{
    make_huge_pages();
    make_pages("/tmp/pages", PAGES);
    if (system("dd if=/dev/zero of=/tmp/parts bs=65536 count=32 2>/dev/null && losetup /dev/loop1 /tmp/parts && "
               "losetup -r /dev/loop2 /tmp/parts && losetup /dev/loop3 /tmp/pages") != 0)
        die("disks");
    add_partition("/dev/loop1", 1, 65536, 524288);
    add_partition("/dev/loop1", 2, 65536 + 524288, 1048576);
    spawn("with-cached", with_cached_pages, NULL);
}
