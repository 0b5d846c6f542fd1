/* Sockets in known states. */
#define _GNU_SOURCE
#include "objects.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_in ip4(const char *address, int port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, address, &name.sin_addr);
    return name;
}

static struct sockaddr_in6 ip6(const char *address, int port)
{
    struct sockaddr_in6 name = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    inet_pton(AF_INET6, address, &name.sin6_addr);
    return name;
}

static int bound(int family, int type, void *name, socklen_t length)
{
    int fd = check(socket(family, type, 0), "socket");
    int yes = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    check(bind(fd, name, length), "bind");
    return fd;
}

static int listening(int family, void *name, socklen_t length, int backlog)
{
    int fd = bound(family, SOCK_STREAM, name, length);
    check(listen(fd, backlog), "listen");
    return fd;
}

static int connected(int family, void *name, socklen_t length)
{
    int fd = check(socket(family, SOCK_STREAM, 0), "socket");
    check(connect(fd, name, length), "connect");
    return fd;
}

/* Listening, established with bytes waiting on both sides, half closed, time wait, not accepted. */
static void tcp4(void *unused)
{
    (void)unused;
    struct sockaddr_in name = ip4("127.0.0.1", 7001);
    int listener = listening(AF_INET, &name, sizeof name, 5);
    int client = connected(AF_INET, &name, sizeof name);
    int server = check(accept(listener, NULL, NULL), "accept");
    check(write(client, "from the client", 15), "write");
    check(write(server, "from the server to the client", 29), "write");
    int yes = 1;
    check(setsockopt(client, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes), "SO_KEEPALIVE");
    int half = connected(AF_INET, &name, sizeof name);
    check(accept(listener, NULL, NULL), "accept");
    check(shutdown(half, SHUT_WR), "shutdown");
    int gone = connected(AF_INET, &name, sizeof name);
    int gone_too = check(accept(listener, NULL, NULL), "accept");
    close(gone);
    close(gone_too);
    connected(AF_INET, &name, sizeof name);
    struct sockaddr_in any = ip4("0.0.0.0", 7080);
    listening(AF_INET, &any, sizeof any, 128);
    struct sockaddr_in outside = ip4("192.0.2.1", 7443);
    listening(AF_INET, &outside, sizeof outside, 1);
    check(socket(AF_INET, SOCK_STREAM, 0), "socket that is never bound");
    settle_and_sleep();
}

/* Timers: of a writer whose reader has no room, and of a connection to a machine that never answers. */
static void timers(void *unused)
{
    (void)unused;
    struct sockaddr_in name = ip4("127.0.0.1", 7004);
    int listener = listening(AF_INET, &name, sizeof name, 5);
    int writer = connected(AF_INET, &name, sizeof name);
    check(accept(listener, NULL, NULL), "accept");
    char block[4096] = {0};
    check(fcntl(writer, F_SETFL, O_NONBLOCK), "O_NONBLOCK");
    while (write(writer, block, sizeof block) > 0)
        ;
    struct sockaddr_in silent = ip4("192.0.2.77", 7005);
    int caller = check(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), "socket");
    if (connect(caller, (struct sockaddr *)&silent, sizeof silent) == 0 || errno != EINPROGRESS)
        die("connect to a machine that does not answer");
    settle_and_sleep();
}

static void tcp6(void *unused)
{
    (void)unused;
    struct sockaddr_in6 name = ip6("::1", 7002);
    int listener = listening(AF_INET6, &name, sizeof name, 5);
    connected(AF_INET6, &name, sizeof name);
    check(accept(listener, NULL, NULL), "accept");
    struct sockaddr_in6 any = ip6("::", 7003);
    int both = listening(AF_INET6, &any, sizeof any, 5);
    struct sockaddr_in mapped = ip4("127.0.0.1", 7003);
    connected(AF_INET, &mapped, sizeof mapped);
    check(accept(both, NULL, NULL), "accept");
    settle_and_sleep();
}

static void udp(void *unused)
{
    (void)unused;
    struct sockaddr_in name = ip4("127.0.0.1", 7004);
    bound(AF_INET, SOCK_DGRAM, &name, sizeof name);
    int peer = check(socket(AF_INET, SOCK_DGRAM, 0), "socket");
    check(connect(peer, (struct sockaddr *)&name, sizeof name), "connect");
    check(write(peer, "queued datagram", 15), "write");
    struct sockaddr_in6 any = ip6("::", 7005);
    bound(AF_INET6, SOCK_DGRAM, &any, sizeof any);
    check(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), "raw socket");
    check(socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6), "raw socket of IPv6");
    struct sockaddr_in someone = ip4("192.0.2.78", 7009);
    int to_nobody = check(socket(AF_INET, SOCK_DGRAM, 0), "socket");
    check(connect(to_nobody, (struct sockaddr *)&someone, sizeof someone), "connect");
    send(to_nobody, "who has it", 10, 0);
    settle_and_sleep();
}

static int unix_socket(int type, const char *path, size_t length)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    memcpy(name.sun_path, path, length);
    return bound(AF_UNIX, type, &name, offsetof(struct sockaddr_un, sun_path) + length);
}

static void unix_sockets(void *unused)
{
    (void)unused;
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "/run/laboratory.sock"};
    int listener = listening(AF_UNIX, &name, sizeof name, 5);
    connected(AF_UNIX, &name, sizeof name);
    check(accept(listener, NULL, NULL), "accept");
    unix_socket(SOCK_DGRAM, "\0abstract name", 14);
    unix_socket(SOCK_DGRAM, "\0with\0zeros", 11);
    unix_socket(SOCK_SEQPACKET, "/run/sequenced packets", 23);
    int pair[2];
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
    check(write(pair[0], "in the pair", 11), "write");
    check(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), "socketpair");
    settle_and_sleep();
}

static void link_sockets(void *unused)
{
    (void)unused;
    struct sockaddr_nl name = {.nl_family = AF_NETLINK, .nl_groups = 1};
    bound(AF_NETLINK, SOCK_RAW, &name, sizeof name);
    int kernel = check(socket(AF_NETLINK, SOCK_DGRAM, NETLINK_KOBJECT_UEVENT), "netlink");
    (void)kernel;
    check(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ARP)), "packet");
    settle_and_sleep();
}

void make_sockets(void)
{
    spawn("tcp4", tcp4, NULL);
    spawn("tcp6", tcp6, NULL);
    spawn("tcp-timers", timers, NULL);
    spawn("udp", udp, NULL);
    spawn("unix", unix_sockets, NULL);
    spawn("link-sockets", link_sockets, NULL);
}
