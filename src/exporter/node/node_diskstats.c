// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "exporter/node/node_collectors.h"
#include "exporter/node/node_filter.h"
#include "exporter/node/node_udev.h"

#define SECTOR_BYTES 512.0
#define MILLISECONDS 0.001
#define DEVICE_BYTES_MAX 64

// The columns of /proc/diskstats behind the device's name, in their order; older kernels have 11 or 15 of them.
static const struct {
    const char *name;
    NodeType type;
    double scale;
    const char *help;
} columns[] = {
    {"node_disk_reads_completed_total", NODE_COUNTER, 1,
     "The total number of reads completed successfully."},
    {"node_disk_reads_merged_total", NODE_COUNTER, 1, "The total number of reads merged."},
    {"node_disk_read_bytes_total", NODE_COUNTER, SECTOR_BYTES,
     "The total number of bytes read successfully."},
    {"node_disk_read_time_seconds_total", NODE_COUNTER, MILLISECONDS,
     "The total number of seconds that all reads took."},
    {"node_disk_writes_completed_total", NODE_COUNTER, 1,
     "The total number of writes completed successfully."},
    {"node_disk_writes_merged_total", NODE_COUNTER, 1, "The total number of writes merged."},
    {"node_disk_written_bytes_total", NODE_COUNTER, SECTOR_BYTES,
     "The total number of bytes written successfully."},
    {"node_disk_write_time_seconds_total", NODE_COUNTER, MILLISECONDS,
     "The total number of seconds that all writes took."},
    {"node_disk_io_now", NODE_GAUGE, 1, "The number of I/Os in progress."},
    {"node_disk_io_time_seconds_total", NODE_COUNTER, MILLISECONDS,
     "Total seconds spent doing I/Os."},
    {"node_disk_io_time_weighted_seconds_total", NODE_COUNTER, MILLISECONDS,
     "Total seconds spent doing I/Os, times the I/Os under way."},
    {"node_disk_discards_completed_total", NODE_COUNTER, 1,
     "The total number of discards completed successfully."},
    {"node_disk_discards_merged_total", NODE_COUNTER, 1, "The total number of discards merged."},
    {"node_disk_discarded_sectors_total", NODE_COUNTER, 1,
     "The total number of sectors discarded successfully."},
    {"node_disk_discard_time_seconds_total", NODE_COUNTER, MILLISECONDS,
     "The total number of seconds that all discards took."},
    {"node_disk_flush_requests_total", NODE_COUNTER, 1,
     "The total number of flush requests completed successfully."},
    {"node_disk_flush_requests_time_seconds_total", NODE_COUNTER, MILLISECONDS,
     "The total number of seconds that all flush requests took."},
};

#define COLUMNS_MIN 11

typedef struct Diskstats {
    NodeFile file;
    NodeFilter filter;
    NodeFamily *families[COUNT_OF(columns)];
    NodeUdev *udev;
} Diskstats;

static bool diskstats_open(void *state, NodeScrape *scrape, Error *err)
{
    Diskstats *self = state;
    const NodeExporterOptions *options = scrape->options;
    node_file_init(&self->file, options->path_procfs, "diskstats");
    for (size_t i = 0; i < COUNT_OF(columns); i++)
        self->families[i] = node_sink_family(scrape->sink, str_from_c(columns[i].name),
                                             columns[i].type, str_from_c(columns[i].help));
    self->udev = node_udev_new(scrape);
    return node_filter_init(&self->filter, "collector.diskstats.device-include",
                            options->disk_devices_include, "collector.diskstats.device-exclude",
                            options->disk_devices_exclude, err);
}

static bool write_device(Diskstats *self, Str line, NodeScrape *scrape)
{
    uint64_t major;
    uint64_t minor;
    if (!scan_u64(&line, &major) || !scan_u64(&line, &minor))
        return false;
    Str device = scan_word(&line);
    if (device.len == 0 || device.len > DEVICE_BYTES_MAX)
        return false;
    if (!node_filter_takes(&self->filter, device))
        return true;
    NodeLabels labels = NODE_LABELS(scrape->sink, {"device", device});
    size_t count = 0;
    for (uint64_t value; count < COUNT_OF(columns) && scan_u64(&line, &value); count++)
        node_sample(self->families[count], labels, (double)value * columns[count].scale);
    if (count < COLUMNS_MIN)
        return false;
    node_udev_write(self->udev, device, (unsigned)major, (unsigned)minor, labels, scrape->sink);
    return true;
}

static bool diskstats_write(void *state, NodeScrape *scrape, Error *err)
{
    Diskstats *self = state;
    Str text;
    Str line;
    if (!node_file_read(&self->file, &scrape->text, &text, err))
        return false;
    for (size_t number = 1; scan_line(&text, &line); number++)
        if (!write_device(self, line, scrape))
            return error_set(err, ERR_CORRUPT, "%s:%zu: not a device with its counters",
                             self->file.path, number);
    return true;
}

static void diskstats_close(void *state)
{
    Diskstats *self = state;
    node_file_deinit(&self->file);
    node_filter_deinit(&self->filter);
    node_udev_free(self->udev);
}

const NodeCollector node_diskstats = {
    "diskstats", true, sizeof(Diskstats), diskstats_open, diskstats_write, diskstats_close};
