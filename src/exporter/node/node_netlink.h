// SPDX-License-Identifier: Apache-2.0
// node_netlink.h: asks the kernel for all network devices by rtnetlink.
#pragma once

#include <linux/if_link.h>

#include "base/buf.h"
#include "base/error.h"

typedef struct NodeNetlink {
    int fd; // -1: not open
    uint32_t sequence;
} NodeNetlink;

typedef struct NodeLink {
    Str name;
    Str alias;
    const struct rtnl_link_stats64 *stats; // aligned copy, good during the call
} NodeLink;

// Calls `each` for every link that has statistics. `text` is scratch.
bool node_netlink_links(NodeNetlink *netlink, Buf *text,
                        void (*each)(void *arg, const NodeLink *link), void *arg,
                        Error *err) MUST_CHECK;
void node_netlink_close(NodeNetlink *netlink);
