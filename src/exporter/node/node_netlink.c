// SPDX-License-Identifier: Apache-2.0
#include "exporter/node/node_netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define RECEIVE_BYTES 32768 // what the kernel fills at most in one go
#define REPLY_TIMEOUT_S 2

void node_netlink_close(NodeNetlink *netlink)
{
    if (netlink->fd >= 0)
        close(netlink->fd);
    netlink->fd = -1;
}

static bool netlink_open(NodeNetlink *netlink, Error *err)
{
    if (netlink->fd >= 0)
        return true;
    netlink->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    struct timeval timeout = {.tv_sec = REPLY_TIMEOUT_S};
    if (netlink->fd >= 0 &&
        setsockopt(netlink->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) == 0)
        return true;
    int number = errno;
    node_netlink_close(netlink);
    return error_set_errno(err, number, "rtnetlink socket");
}

static bool request_links(NodeNetlink *netlink, Error *err)
{
    struct {
        struct nlmsghdr header;
        struct ifinfomsg info;
    } request = {
        .header = {.nlmsg_len = sizeof request,
                   .nlmsg_type = RTM_GETLINK,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                   .nlmsg_seq = ++netlink->sequence},
        .info = {.ifi_family = AF_UNSPEC},
    };
    if (send(netlink->fd, &request, sizeof request, 0) != (ssize_t)sizeof request)
        return error_set_errno(err, errno, "rtnetlink request");
    return true;
}

// A name or alias without its NUL.
static Str attribute_text(const char *data, size_t bytes)
{
    return str_make(data, strnlen(data, bytes));
}

// Walks the attributes behind the ifinfomsg. Lengths come from the kernel, and are checked all the same.
static void take_link(const char *at, size_t bytes, void (*each)(void *arg, const NodeLink *link),
                      void *arg)
{
    NodeLink link = {0};
    struct rtnl_link_stats64 stats = {0};
    while (bytes >= sizeof(struct nlattr)) {
        struct nlattr head;
        memcpy(&head, at, sizeof head);
        if (head.nla_len < sizeof head || head.nla_len > bytes)
            return;
        const char *data = at + sizeof head;
        size_t data_bytes = head.nla_len - sizeof head;
        int type = head.nla_type & NLA_TYPE_MASK;
        if (type == IFLA_IFNAME)
            link.name = attribute_text(data, data_bytes);
        else if (type == IFLA_IFALIAS)
            link.alias = attribute_text(data, data_bytes);
        else if (type == IFLA_STATS64) {
            memcpy(&stats, data, MIN(data_bytes, sizeof stats)); // older kernels tell less
            link.stats = &stats;
        }
        size_t step = MIN(bytes, (size_t)NLA_ALIGN(head.nla_len));
        at += step;
        bytes -= step;
    }
    if (link.name.len && link.stats)
        each(arg, &link);
}

// One datagram of messages. *ret_done is true at the end of the dump.
static bool take_messages(const NodeNetlink *netlink, Str bytes,
                          void (*each)(void *arg, const NodeLink *link), void *arg, bool *ret_done,
                          Error *err)
{
    while (bytes.len >= sizeof(struct nlmsghdr)) {
        struct nlmsghdr header;
        memcpy(&header, bytes.ptr, sizeof header);
        if (header.nlmsg_len < sizeof header || header.nlmsg_len > bytes.len)
            return error_set(err, ERR_CORRUPT,
                             "rtnetlink: a message of %u bytes in a datagram with %zu left",
                             header.nlmsg_len, bytes.len);
        Str body = str_sub(bytes, NLMSG_HDRLEN, header.nlmsg_len - NLMSG_HDRLEN);
        bytes = str_skip(bytes, NLMSG_ALIGN(header.nlmsg_len));
        if (header.nlmsg_seq != netlink->sequence)
            continue; // the rest of a dump that was given up
        if (header.nlmsg_type == NLMSG_DONE) {
            *ret_done = true;
            return true;
        }
        if (header.nlmsg_type == NLMSG_ERROR) {
            int number = 0;
            memcpy(&number, body.ptr, MIN(body.len, sizeof number));
            return error_set_errno(err, -number, "rtnetlink: links");
        }
        size_t fixed = NLMSG_ALIGN(sizeof(struct ifinfomsg));
        if (header.nlmsg_type == RTM_NEWLINK && body.len >= fixed)
            take_link(body.ptr + fixed, body.len - fixed, each, arg);
    }
    return true;
}

static bool take_dump(NodeNetlink *netlink, Buf *text,
                      void (*each)(void *arg, const NodeLink *link), void *arg, Error *err)
{
    bool done = false;
    buf_reset(text);
    char *room = buf_reserve(text, RECEIVE_BYTES);
    while (!done) {
        ssize_t n = recv(netlink->fd, room, RECEIVE_BYTES, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(err, errno, "rtnetlink: links");
        if (!take_messages(netlink, str_make(room, (size_t)n), each, arg, &done, err))
            return false;
    }
    return true;
}

bool node_netlink_links(NodeNetlink *netlink, Buf *text,
                        void (*each)(void *arg, const NodeLink *link), void *arg, Error *err)
{
    if (netlink_open(netlink, err) && request_links(netlink, err) &&
        take_dump(netlink, text, each, arg, err))
        return true;
    node_netlink_close(netlink); // the next scrape begins anew
    return false;
}
