// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <sys/utsname.h>

#include "exporter/node/node_collectors.h"

typedef struct Uname {
    NodeFamily *info;
} Uname;

static bool uname_open(void *state, NodeScrape *scrape, Error *err)
{
    (void)err;
    ((Uname *)state)->info =
        node_gauge(scrape->sink, "node_uname_info", "What the system call uname tells; always 1.");
    return true;
}

static bool uname_write(void *state, NodeScrape *scrape, Error *err)
{
    struct utsname names;
    if (uname(&names) != 0)
        return error_set_errno(err, errno, "uname");
    NodeLabels labels = NODE_LABELS(
        scrape->sink, {"domainname", str_from_c(names.domainname)},
        {"machine", str_from_c(names.machine)}, {"nodename", str_from_c(names.nodename)},
        {"release", str_from_c(names.release)}, {"sysname", str_from_c(names.sysname)},
        {"version", str_from_c(names.version)});
    node_sample(((Uname *)state)->info, labels, 1);
    return true;
}

const NodeCollector node_uname = {"uname", true, sizeof(Uname), uname_open, uname_write, NULL};
