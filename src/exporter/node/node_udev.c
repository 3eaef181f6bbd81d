// SPDX-License-Identifier: Apache-2.0
#include "exporter/node/node_udev.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/number.h"

#define RECORD_BYTES_MAX 32768

enum {
    DM_LV_LAYER,
    DM_LV_NAME,
    DM_NAME,
    DM_UUID,
    DM_VG_NAME,
    ID_ATA,
    ID_ATA_ROTATION_RATE_RPM,
    ID_ATA_WRITE_CACHE,
    ID_ATA_WRITE_CACHE_ENABLED,
    ID_FS_TYPE,
    ID_FS_USAGE,
    ID_FS_UUID,
    ID_FS_VERSION,
    ID_MODEL,
    ID_PATH,
    ID_REVISION,
    ID_SCSI_SERIAL,
    ID_SERIAL,
    ID_SERIAL_SHORT,
    ID_WWN,
    KEYS
};
static const char *const keys[KEYS] = {
    "DM_LV_LAYER",
    "DM_LV_NAME",
    "DM_NAME",
    "DM_UUID",
    "DM_VG_NAME",
    "ID_ATA",
    "ID_ATA_ROTATION_RATE_RPM",
    "ID_ATA_WRITE_CACHE",
    "ID_ATA_WRITE_CACHE_ENABLED",
    "ID_FS_TYPE",
    "ID_FS_USAGE",
    "ID_FS_UUID",
    "ID_FS_VERSION",
    "ID_MODEL",
    "ID_PATH",
    "ID_REVISION",
    "ID_SCSI_SERIAL",
    "ID_SERIAL",
    "ID_SERIAL_SHORT",
    "ID_WWN",
};

// ATA attributes that are exposed as numbers.
static const struct {
    int key;
    const char *name;
    const char *help;
} ata[] = {
    {ID_ATA_WRITE_CACHE, "node_disk_ata_write_cache",
     "Whether the disk has a write cache: 1 or 0."},
    {ID_ATA_WRITE_CACHE_ENABLED, "node_disk_ata_write_cache_enabled",
     "Whether the disk's write cache is in use: 1 or 0."},
    {ID_ATA_ROTATION_RATE_RPM, "node_disk_ata_rotation_rate_rpm",
     "How fast the disk turns, in RPM; 0 of an SSD."},
};

struct NodeUdev {
    char *data;  // udev's folder
    char *block; // /sys/block
    NodeFamily *info;
    NodeFamily *filesystem_info;
    NodeFamily *device_mapper_info;
    NodeFamily *ata[COUNT_OF(ata)];
    char record[RECORD_BYTES_MAX]; // of the device at hand
};

NodeUdev *node_udev_new(NodeScrape *scrape)
{
    NodeUdev *udev = X_NEW(NodeUdev);
    udev->data = node_path(scrape->options->path_udev_data, "");
    udev->block = node_path(scrape->options->path_sysfs, "block/");
    udev->info =
        node_gauge(scrape->sink, "node_disk_info", "What is known of a block device; always 1.");
    udev->filesystem_info = node_gauge(scrape->sink, "node_disk_filesystem_info",
                                       "The file system on a block device; always 1.");
    udev->device_mapper_info =
        node_gauge(scrape->sink, "node_disk_device_mapper_info",
                   "What the device mapper knows of a block device; always 1.");
    for (size_t i = 0; i < COUNT_OF(ata); i++)
        udev->ata[i] = node_gauge(scrape->sink, ata[i].name, ata[i].help);
    return udev;
}

void node_udev_free(NodeUdev *udev)
{
    if (!udev)
        return;
    free(udev->data);
    free(udev->block);
    free(udev);
}

// Lines "E:KEY=VALUE" of the device's record; what is not there stays empty.
static void read_record(NodeUdev *udev, unsigned major, unsigned minor, Str *values)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%sb%u:%u", udev->data, major, minor);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = read(fd, udev->record, sizeof udev->record);
    close(fd);
    Str text = str_make(udev->record, n > 0 ? (size_t)n : 0);
    Str line;
    Str key;
    while (scan_line(&text, &line)) {
        if (!str_starts_with(line, S("E:")))
            continue;
        Str value = str_skip(line, 2);
        if (!str_split_next(&value, '=', &key))
            continue;
        for (size_t i = 0; i < KEYS; i++)
            if (str_is(key, keys[i]))
                values[i] = value;
    }
}

static Str read_rotational(const NodeUdev *udev, Str device)
{
    char path[PATH_MAX];
    char line[16];
    Str text;
    snprintf(path, sizeof path, "%s" STR_FMT "/queue/rotational", udev->block, STR_ARG(device));
    // sysfs writes a '/' within a device's name ("cciss/c0d0") as '!'.
    for (char *c = path + strlen(udev->block); c < path + strlen(udev->block) + device.len; c++)
        if (*c == '/')
            *c = '!';
    return node_file_peek(path, line, sizeof line, &text) && str_is(text, "1") ? S("1") : S("0");
}

static Str serial_of(const Str *values)
{
    return values[ID_SCSI_SERIAL].len    ? values[ID_SCSI_SERIAL]
           : values[ID_SERIAL_SHORT].len ? values[ID_SERIAL_SHORT]
                                         : values[ID_SERIAL];
}

void node_udev_write(NodeUdev *udev, Str device, unsigned major, unsigned minor, NodeLabels labels,
                     NodeSink *sink)
{
    Str values[KEYS] = {0};
    read_record(udev, major, minor, values);
    char major_text[12];
    char minor_text[12];
    snprintf(major_text, sizeof major_text, "%u", major);
    snprintf(minor_text, sizeof minor_text, "%u", minor);
    node_sample(udev->info,
                NODE_LABELS(sink, {"device", device}, {"major", str_from_c(major_text)},
                            {"minor", str_from_c(minor_text)}, {"model", values[ID_MODEL]},
                            {"path", values[ID_PATH]}, {"revision", values[ID_REVISION]},
                            {"rotational", read_rotational(udev, device)},
                            {"serial", serial_of(values)}, {"wwn", values[ID_WWN]}),
                1);
    if (values[ID_FS_TYPE].len)
        node_sample(udev->filesystem_info,
                    NODE_LABELS(sink, {"device", device}, {"type", values[ID_FS_TYPE]},
                                {"usage", values[ID_FS_USAGE]}, {"uuid", values[ID_FS_UUID]},
                                {"version", values[ID_FS_VERSION]}),
                    1);
    if (values[DM_NAME].len)
        node_sample(udev->device_mapper_info,
                    NODE_LABELS(sink, {"device", device}, {"lv_layer", values[DM_LV_LAYER]},
                                {"lv_name", values[DM_LV_NAME]}, {"name", values[DM_NAME]},
                                {"uuid", values[DM_UUID]}, {"vg_name", values[DM_VG_NAME]}),
                    1);
    for (size_t i = 0; values[ID_ATA].len && i < COUNT_OF(ata); i++) {
        double value;
        if (number_parse_double(values[ata[i].key], &value))
            node_sample(udev->ata[i], labels, value);
    }
}
