/* Next hops that are objects of their own (ip nexthop), a group of them, and routes that name them. */
#include "objects.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

struct request {
    struct nlmsghdr header;
    union {
        struct nhmsg hop;
        struct rtmsg route;
    };
    char attributes[128];
};

static void add(struct request *request, int type, const void *data, int length)
{
    struct rtattr *attribute = (void *)((char *)request + NLMSG_ALIGN(request->header.nlmsg_len));
    attribute->rta_type = type;
    attribute->rta_len = RTA_LENGTH(length);
    memcpy(RTA_DATA(attribute), data, length);
    request->header.nlmsg_len = NLMSG_ALIGN(request->header.nlmsg_len) + RTA_ALIGN(attribute->rta_len);
}

/* Sends a request and waits until the kernel says that it was done. */
static void ask(int fd, struct request *request, const char *what)
{
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
        char rest[256];
    } answer;
    request->header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE;
    check(send(fd, request, request->header.nlmsg_len, 0), what);
    check(recv(fd, &answer, sizeof answer, 0), what);
    errno = -answer.error.error;
    check(errno == 0 ? 0 : -1, what);
}

static struct request hop(unsigned id, int family)
{
    struct request request = {.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct nhmsg)), .nlmsg_type = RTM_NEWNEXTHOP}};
    request.hop.nh_family = family;
    request.hop.nh_protocol = RTPROT_STATIC;
    add(&request, NHA_ID, &id, sizeof id);
    return request;
}

static void add_hop(int fd, unsigned id, int family, const char *gateway)
{
    struct request request = hop(id, family);
    unsigned device = if_nametoindex("dummy0");
    char address[16];
    inet_pton(family, gateway, address);
    add(&request, NHA_OIF, &device, sizeof device);
    add(&request, NHA_GATEWAY, address, family == AF_INET ? 4 : 16);
    ask(fd, &request, "next hop");
}

static void add_group(int fd, unsigned id, unsigned first, unsigned second)
{
    struct request request = hop(id, AF_UNSPEC);
    struct nexthop_grp members[2] = {{.id = first}, {.id = second, .weight = 2}};
    add(&request, NHA_GROUP, members, sizeof members);
    ask(fd, &request, "group of next hops");
}

static void add_route(int fd, int family, const char *to, int bits, unsigned id)
{
    struct request request = {.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)), .nlmsg_type = RTM_NEWROUTE}};
    request.route = (struct rtmsg){.rtm_family = family, .rtm_dst_len = bits, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_STATIC,
                                   .rtm_scope = RT_SCOPE_UNIVERSE, .rtm_type = RTN_UNICAST};
    char address[16];
    inet_pton(family, to, address);
    add(&request, RTA_DST, address, family == AF_INET ? 4 : 16);
    add(&request, RTA_NH_ID, &id, sizeof id);
    ask(fd, &request, "route with a next hop");
}

/* Not on 5.10, of which `lab older` makes guests of kernels that have no such objects. */
void make_nexthops(void)
{
    struct utsname kernel;
    check(uname(&kernel), "uname");
    if (strncmp(kernel.release, "5.10.", 5) == 0)
        return;
    int fd = check(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), "routes");
    add_hop(fd, 1, AF_INET, "192.0.2.249");
    add_hop(fd, 2, AF_INET, "192.0.2.248");
    add_hop(fd, 6, AF_INET6, "2001:db8::6");
    add_group(fd, 12, 1, 2);
    add_route(fd, AF_INET, "10.20.0.0", 16, 1);
    add_route(fd, AF_INET, "10.21.0.0", 16, 12);
    add_route(fd, AF_INET6, "2001:db8:20::", 48, 6);
    close(fd);
}
