// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "exporter/node/node_collectors.h"
#include "exporter/node/node_filter.h"
#include "exporter/node/node_netlink.h"

#define PARTS_MAX 4

// A counter is a sum of the kernel's. Offsets + 1 into rtnl_link_stats64, so that 0 is none; column: in /proc/net/dev, from 1.
#define AT(member) (offsetof(struct rtnl_link_stats64, member) + 1)
typedef struct Counter {
    const char *name;
    size_t parts[PARTS_MAX];
    int column;
} Counter;

// The names that dashboards know: those of /proc/net/dev, which adds up the kernel's own.
static const Counter plain[] = {
    {"receive_bytes", {AT(rx_bytes)}, 1},
    {"receive_packets", {AT(rx_packets)}, 2},
    {"receive_errs", {AT(rx_errors)}, 3},
    {"receive_drop", {AT(rx_dropped), AT(rx_missed_errors)}, 4},
    {"receive_fifo", {AT(rx_fifo_errors)}, 5},
    {"receive_frame",
     {AT(rx_frame_errors), AT(rx_length_errors), AT(rx_over_errors), AT(rx_crc_errors)},
     6},
    {"receive_compressed", {AT(rx_compressed)}, 7},
    {"receive_multicast", {AT(multicast)}, 8},
    {"receive_nohandler", {AT(rx_nohandler)}, 0},
    {"transmit_bytes", {AT(tx_bytes)}, 9},
    {"transmit_packets", {AT(tx_packets)}, 10},
    {"transmit_errs", {AT(tx_errors)}, 11},
    {"transmit_drop", {AT(tx_dropped)}, 12},
    {"transmit_fifo", {AT(tx_fifo_errors)}, 13},
    {"transmit_colls", {AT(collisions)}, 14},
    {"transmit_carrier",
     {AT(tx_carrier_errors), AT(tx_aborted_errors), AT(tx_heartbeat_errors), AT(tx_window_errors)},
     15},
    {"transmit_compressed", {AT(tx_compressed)}, 16},
};

// With --collector.netdev.enable-detailed-metrics.
static const Counter detailed[] = {
    {"receive_bytes", {AT(rx_bytes)}, 1},
    {"receive_packets", {AT(rx_packets)}, 2},
    {"receive_errors", {AT(rx_errors)}, 3},
    {"receive_dropped", {AT(rx_dropped)}, 4},
    {"multicast", {AT(multicast)}, 0},
    {"collisions", {AT(collisions)}, 0},
    {"receive_length_errors", {AT(rx_length_errors)}, 0},
    {"receive_over_errors", {AT(rx_over_errors)}, 0},
    {"receive_crc_errors", {AT(rx_crc_errors)}, 0},
    {"receive_frame_errors", {AT(rx_frame_errors)}, 0},
    {"receive_fifo_errors", {AT(rx_fifo_errors)}, 0},
    {"receive_missed_errors", {AT(rx_missed_errors)}, 0},
    {"receive_compressed", {AT(rx_compressed)}, 7},
    {"receive_nohandler", {AT(rx_nohandler)}, 0},
    {"transmit_bytes", {AT(tx_bytes)}, 9},
    {"transmit_packets", {AT(tx_packets)}, 10},
    {"transmit_errors", {AT(tx_errors)}, 11},
    {"transmit_dropped", {AT(tx_dropped)}, 12},
    {"transmit_aborted_errors", {AT(tx_aborted_errors)}, 0},
    {"transmit_carrier_errors", {AT(tx_carrier_errors)}, 0},
    {"transmit_fifo_errors", {AT(tx_fifo_errors)}, 0},
    {"transmit_heartbeat_errors", {AT(tx_heartbeat_errors)}, 0},
    {"transmit_window_errors", {AT(tx_window_errors)}, 0},
    {"transmit_compressed", {AT(tx_compressed)}, 16},
    // What only /proc/net/dev has under these names.
    {"receive_fifo", {0}, 5},
    {"receive_frame", {0}, 6},
    {"receive_multicast", {0}, 8},
    {"transmit_fifo", {0}, 13},
    {"transmit_colls", {0}, 14},
    {"transmit_carrier", {0}, 15},
};

#define COUNTERS_MAX COUNT_OF(detailed)
#define PROC_COLUMNS 16

typedef struct Netdev {
    NodeFile file; // without netlink
    NodeNetlink netlink;
    NodeFilter filter;
    const Counter *counters;
    size_t count;
    NodeFamily *families[COUNTERS_MAX];
    NodeFamily *addresses; // NULL: not asked for
} Netdev;

static bool netdev_open(void *state, NodeScrape *scrape, Error *err)
{
    Netdev *self = state;
    const NodeExporterOptions *options = scrape->options;
    self->netlink.fd = -1;
    node_file_init(&self->file, options->path_procfs, "net/dev");
    self->counters = options->netdev_detailed ? detailed : plain;
    self->count = options->netdev_detailed ? COUNT_OF(detailed) : COUNT_OF(plain);
    for (size_t i = 0; i < self->count; i++) {
        char name[80];
        char help[100];
        snprintf(name, sizeof name, "node_network_%s_total", self->counters[i].name);
        snprintf(help, sizeof help, "Network device statistic %s.", self->counters[i].name);
        self->families[i] = node_counter(scrape->sink, name, help);
    }
    if (options->netdev_address_info)
        self->addresses = node_gauge(scrape->sink, "node_network_address_info",
                                     "Addresses of network devices; always 1.");
    return node_filter_init(&self->filter, "collector.netdev.device-include",
                            options->netdev_devices_include, "collector.netdev.device-exclude",
                            options->netdev_devices_exclude, err);
}

typedef struct LinkVisit {
    Netdev *self;
    NodeScrape *scrape;
} LinkVisit;

static void write_link(void *arg, const NodeLink *link)
{
    const LinkVisit *visit = arg;
    Netdev *self = visit->self;
    if (!node_filter_takes(&self->filter, link->name))
        return;
    NodeSink *sink = visit->scrape->sink;
    NodeLabels labels = visit->scrape->options->netdev_ifalias
                            ? NODE_LABELS(sink, {"device", link->name}, {"ifalias", link->alias})
                            : NODE_LABELS(sink, {"device", link->name});
    for (size_t i = 0; i < self->count; i++) {
        const Counter *counter = &self->counters[i];
        uint64_t sum = 0;
        for (size_t p = 0; p < PARTS_MAX && counter->parts[p]; p++) {
            uint64_t part;
            memcpy(&part, (const char *)link->stats + counter->parts[p] - 1, sizeof part);
            sum += part;
        }
        if (counter->parts[0])
            node_sample(self->families[i], labels, (double)sum);
    }
}

static NodeLabels proc_labels(const NodeScrape *scrape, Str device)
{
    if (!scrape->options->netdev_ifalias)
        return NODE_LABELS(scrape->sink, {"device", device});
    char line[300];
    char path[64];
    Str alias = STR_NONE;
    snprintf(path, sizeof path, "class/net/" STR_FMT "/ifalias",
             STR_ARG(str_sub(device, 0, IFNAMSIZ)));
    char *full = node_path(scrape->options->path_sysfs, path);
    if (!node_file_peek(full, line, sizeof line, &alias))
        alias = STR_NONE;
    free(full);
    return NODE_LABELS(scrape->sink, {"device", device}, {"ifalias", alias});
}

// "  eth0: 1 2 3 ..."; behind the two lines of headings.
static bool write_proc_line(Netdev *self, Str line, NodeScrape *scrape)
{
    size_t colon = str_rfind_char(line, ':');
    if (colon == STR_NOT_FOUND)
        return false;
    Str device = str_trim(str_sub(line, 0, colon));
    line = str_skip(line, colon + 1);
    uint64_t values[PROC_COLUMNS];
    for (size_t i = 0; i < PROC_COLUMNS; i++)
        if (!scan_u64(&line, &values[i]))
            return false;
    if (!node_filter_takes(&self->filter, device))
        return true;
    NodeLabels labels = proc_labels(scrape, device);
    for (size_t i = 0; i < self->count; i++)
        if (self->counters[i].column)
            node_sample(self->families[i], labels, (double)values[self->counters[i].column - 1]);
    return true;
}

static bool write_proc(Netdev *self, NodeScrape *scrape, Error *err)
{
    Str text;
    Str line;
    if (!node_file_read(&self->file, &scrape->text, &text, err))
        return false;
    for (size_t number = 1; scan_line(&text, &line); number++)
        if (number > 2 && !write_proc_line(self, line, scrape))
            return error_set(err, ERR_CORRUPT, "%s:%zu: not a device with %d counters",
                             self->file.path, number, PROC_COLUMNS);
    return true;
}

static const char *address_scope(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        uint32_t host = ntohl(v4.sin_addr.s_addr);
        return host >> 24 == 127 || host >> 16 == 0xa9fe ? "link-local" : "global";
    }
    struct sockaddr_in6 v6;
    memcpy(&v6, address, sizeof v6);
    return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr) || IN6_IS_ADDR_LINKLOCAL(&v6.sin6_addr)
               ? "link-local"
               : "global";
}

// The bytes of an address or mask.
static size_t address_bytes(const struct sockaddr *address, unsigned char out[16])
{
    bool is_v4 = address->sa_family == AF_INET;
    size_t offset =
        is_v4 ? offsetof(struct sockaddr_in, sin_addr) : offsetof(struct sockaddr_in6, sin6_addr);
    size_t bytes = is_v4 ? 4 : 16;
    memcpy(out, (const char *)address + offset, bytes);
    return bytes;
}

static void write_address(Netdev *self, const struct ifaddrs *one, NodeSink *sink)
{
    unsigned char address[16];
    unsigned char mask[16] = {0};
    char text[INET6_ADDRSTRLEN];
    char prefix[8];
    address_bytes(one->ifa_addr, address);
    unsigned ones = 0;
    size_t mask_bytes = one->ifa_netmask ? address_bytes(one->ifa_netmask, mask) : 0;
    for (size_t i = 0; i < mask_bytes; i++)
        ones += (unsigned)__builtin_popcount(mask[i]);
    snprintf(prefix, sizeof prefix, "%u", ones);
    if (!inet_ntop(one->ifa_addr->sa_family, address, text, sizeof text))
        return;
    node_sample(self->addresses,
                NODE_LABELS(sink, {"address", str_from_c(text)},
                            {"device", str_from_c(one->ifa_name)}, {"netmask", str_from_c(prefix)},
                            {"scope", str_from_c(address_scope(one->ifa_addr))}),
                1);
}

static bool write_addresses(Netdev *self, NodeSink *sink, Error *err)
{
    struct ifaddrs *all;
    if (getifaddrs(&all) != 0)
        return error_set_errno(err, errno, "getifaddrs");
    for (const struct ifaddrs *one = all; one; one = one->ifa_next)
        if (one->ifa_addr &&
            (one->ifa_addr->sa_family == AF_INET || one->ifa_addr->sa_family == AF_INET6) &&
            node_filter_takes(&self->filter, str_from_c(one->ifa_name)))
            write_address(self, one, sink);
    freeifaddrs(all);
    return true;
}

static bool netdev_write(void *state, NodeScrape *scrape, Error *err)
{
    Netdev *self = state;
    LinkVisit visit = {self, scrape};
    bool ok = scrape->options->netdev_netlink
                  ? node_netlink_links(&self->netlink, &scrape->text, write_link, &visit, err)
                  : write_proc(self, scrape, err);
    return ok && (!self->addresses || write_addresses(self, scrape->sink, err));
}

static void netdev_close(void *state)
{
    Netdev *self = state;
    node_file_deinit(&self->file);
    node_filter_deinit(&self->filter);
    node_netlink_close(&self->netlink);
}

const NodeCollector node_netdev = {"netdev",    true,         sizeof(Netdev),
                                   netdev_open, netdev_write, netdev_close};
