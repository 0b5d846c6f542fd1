/* A laboratory guest's objects: what the files of this folder share. */
#ifndef OBJECTS_H
#define OBJECTS_H

#include <stddef.h>
#include <sys/types.h>

/* Prints what failed with errno to the console; stops the machine, so that a half-made guest is never compared. */
void die(const char *what);

/* die(what) if value is -1; else value. */
int check(int value, const char *what);

/* Starts a child that runs body(argument), and waits until it has called settled(). */
pid_t spawn(const char *name, void (*body)(void *), void *argument);

/* As spawn, with flags of clone(2) such as CLONE_NEWNS or CLONE_FILES. */
pid_t spawn_with(int flags, const char *name, void (*body)(void *), void *argument);

/* In a child: tells the parent that everything it is to hold exists. */
void settled(void);

/* settled(), and then nothing for ever. */
void settle_and_sleep(void);

/* Sets the bytes of the caller's name, whatever they are. */
void name_me(const char *name);

/* Writes text to a file that exists, or makes it. */
void write_file(const char *path, const char *text);

/* tasks.c: states, names, owners, threads, trees, namespaces. */
void make_tasks(void);
void make_sleepers(int count);

/* files.c: open files of every kind, and a folder of names. */
#define NAMES "/tmp/names"
void make_files(void);

/* sockets.c */
void make_sockets(void);

/* mappings.c: address spaces. Also the body of the program when run as `objects mappings`. */
void make_mappings(void);
void map_everything(void *unused);

/* nexthops.c: next hops that are objects of their own, and routes that name them. */
void make_nexthops(void);

/* credentials.c: capabilities, groups, filters, signals, limits, scheduling, terminals. */
void make_credentials(void);

/* kernel.c: locks, IPC, BPF, probes, swap, timers. */
void make_kernel_objects(void);

/* storage.c: disks, partitions, and one disk of which a part is cached. */
#define PARTLY_CACHED "/dev/loop3"
void make_storage(void);

/*
 * truth.c: tells the host what /proc says, then stops the machine if `stop`. With `freeze`, nothing else runs from the
 * telling to the stop. Never returns.
 */
void tell_truth(int stop, int freeze);

/* demo.c: processes that look like a server's, and the one that is row `number` of their table. */
void make_demo(void);
void play_daemon(const char *number);

/* Prints the paths of the programs that the demo plays, for the initramfs to have them. */
void list_programs(void);

#endif
