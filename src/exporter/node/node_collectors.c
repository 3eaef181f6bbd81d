// SPDX-License-Identifier: Apache-2.0
#include "exporter/node/node_collectors.h"

const NodeCollector *const node_collectors[] = {
    &node_cpu,     &node_diskstats, &node_filefd,  &node_filesystem, &node_loadavg,
    &node_meminfo, &node_netdev,    &node_netstat, &node_pressure,   &node_sockstat,
    &node_stat,    &node_time,      &node_uname,   &node_vmstat,
};
const size_t node_collector_count = COUNT_OF(node_collectors);
_Static_assert(COUNT_OF(node_collectors) <= NODE_COLLECTORS_MAX,
               "a selection has a bit for each collector");

const char *const node_absent_collectors[] = {
    "arp",
    "bcache",
    "bcachefs",
    "bonding",
    "btrfs",
    "buddyinfo",
    "cgroups",
    "conntrack",
    "cpu_vulnerabilities",
    "cpufreq",
    "dmi",
    "dmmultipath",
    "drbd",
    "drm",
    "edac",
    "entropy",
    "ethtool",
    "fibrechannel",
    "hwmon",
    "infiniband",
    "interrupts",
    "ipvs",
    "kernel_hung",
    "ksmd",
    "lnstat",
    "logind",
    "mdadm",
    "meminfo_numa",
    "mountstats",
    "netclass",
    "network_route",
    "nfs",
    "nfsd",
    "ntp",
    "nvme",
    "nvmesubsystem",
    "os",
    "pcidevice",
    "perf",
    "powersupplyclass",
    "processes",
    "qdisc",
    "rapl",
    "runit",
    "schedstat",
    "selinux",
    "slabinfo",
    "softirqs",
    "softnet",
    "supervisord",
    "swap",
    "sysctl",
    "systemd",
    "tapestats",
    "tcpstat",
    "textfile",
    "thermal_zone",
    "timex",
    "udp_queues",
    "watchdog",
    "wifi",
    "xfrm",
    "xfs",
    "zfs",
    "zoneinfo",
};
const size_t node_absent_count = COUNT_OF(node_absent_collectors);
_Static_assert(COUNT_OF(node_absent_collectors) <= NODE_ABSENT_MAX,
               "NodeExporterOptions.absent has room for all");

bool node_scrape_stat(NodeScrape *scrape, Str *ret_text, Error *err)
{
    Str text;
    if (!scrape->has_proc_stat &&
        !node_file_read(&scrape->proc_stat, &scrape->proc_stat_text, &text, err))
        return false;
    scrape->has_proc_stat = true;
    *ret_text = buf_str(&scrape->proc_stat_text);
    return true;
}
