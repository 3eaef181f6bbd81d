// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "exporter/node/node_collectors.h"
#include "exporter/node/node_mounts.h"
#include "exporter/node/node_statfs.h"

typedef struct Filesystem {
    NodeFile file;
    NodeMounts mounts;
    NodeStatfs *statfs;
    StatfsRequest *requests; // as many as mounts; the pool may change their order
    size_t room;
    NodeFamily *size;
    NodeFamily *free;
    NodeFamily *avail;
    NodeFamily *files;
    NodeFamily *files_free;
    NodeFamily *purgeable;
    NodeFamily *readonly;
    NodeFamily *device_error;
    NodeFamily *mount_info;
} Filesystem;

static int call_statfs(const char *path, struct statfs *out)
{
    return statfs(path, out);
}

static bool filesystem_open(void *state, NodeScrape *scrape, Error *err)
{
    Filesystem *self = state;
    const NodeExporterOptions *options = scrape->options;
    NodeSink *sink = scrape->sink;
    self->size =
        node_gauge(sink, "node_filesystem_size_bytes", "Size of the file system in bytes.");
    self->free = node_gauge(sink, "node_filesystem_free_bytes", "Free bytes of the file system.");
    self->avail = node_gauge(sink, "node_filesystem_avail_bytes",
                             "Bytes that users other than root can still use.");
    self->files =
        node_gauge(sink, "node_filesystem_files", "How many file nodes the file system has.");
    self->files_free =
        node_gauge(sink, "node_filesystem_files_free", "How many file nodes are free.");
    self->purgeable = node_gauge(sink, "node_filesystem_purgeable_bytes",
                                 "Bytes that the system could give back (macOS); 0 on Linux.");
    self->readonly = node_gauge(sink, "node_filesystem_readonly",
                                "Whether the file system is read-only: 1 or 0.");
    self->device_error =
        node_gauge(sink, "node_filesystem_device_error",
                   "Whether asking the file system for its statistics failed: 1 or 0.");
    self->mount_info =
        node_gauge(sink, "node_filesystem_mount_info", "Device numbers of a mount; always 1.");

    // The first process sees the mounts of the machine, and not only those of our container.
    node_file_init(&self->file, options->path_procfs, "1/mountinfo");
    if (access(self->file.path, R_OK) != 0) {
        node_file_deinit(&self->file);
        node_file_init(&self->file, options->path_procfs, "self/mountinfo");
    }
    if (!node_filter_init(&self->mounts.points, "collector.filesystem.mount-points-include",
                          options->filesystem_mounts_include,
                          "collector.filesystem.mount-points-exclude",
                          options->filesystem_mounts_exclude, err) ||
        !node_filter_init(&self->mounts.types, "collector.filesystem.fs-types-include",
                          options->filesystem_types_include,
                          "collector.filesystem.fs-types-exclude",
                          options->filesystem_types_exclude, err))
        return false;
    self->statfs = node_statfs_new((size_t)options->filesystem_workers,
                                   options->filesystem_timeout_ms, call_statfs);
    return true;
}

static bool read_mounts(Filesystem *self, NodeScrape *scrape, Error *err)
{
    Str text;
    if (!node_file_read(&self->file, &scrape->text, &text, err)) {
        // What could be opened at start may be forbidden to read.
        if (str_ends_with(str_from_c(self->file.path), S("/self/mountinfo")))
            return false;
        node_file_deinit(&self->file);
        node_file_init(&self->file, scrape->options->path_procfs, "self/mountinfo");
        if (!node_file_read(&self->file, &scrape->text, &text, err))
            return false;
    }
    return node_mounts_update(&self->mounts, text, scrape->options->path_rootfs, err);
}

static const char *error_of(const StatfsRequest *request, char *text, size_t bytes)
{
    switch (request->state) {
    case STATFS_RUNNING:
    case STATFS_STUCK:
        return "mountpoint timeout";
    case STATFS_WAITING:
        return "no free stat worker";
    case STATFS_DONE:
        break;
    }
    if (request->error_number == 0)
        return "";
    // The original shows Go's texts, which are libc's without the capital.
    (void)snprintf(text, bytes, "%s", strerrordesc_np(request->error_number));
    text[0] = (char)tolower((unsigned char)text[0]);
    return text;
}

static void write_mount(Filesystem *self, const NodeMount *mount, const StatfsRequest *request,
                        NodeSink *sink)
{
    char text[100];
    Str error = str_from_c(error_of(request, text, sizeof text));
    NodeLabels labels = NODE_LABELS(sink, {"device", mount->device}, {"device_error", error},
                                    {"fstype", mount->type}, {"mountpoint", mount->mountpoint});
    node_sample(self->device_error, labels, error.len > 0);
    node_sample(self->readonly, labels, mount->is_readonly);
    if (error.len)
        return;
    double block_bytes = (double)request->result.f_bsize;
    node_sample(self->size, labels, (double)request->result.f_blocks * block_bytes);
    node_sample(self->free, labels, (double)request->result.f_bfree * block_bytes);
    node_sample(self->avail, labels, (double)request->result.f_bavail * block_bytes);
    node_sample(self->files, labels, (double)request->result.f_files);
    node_sample(self->files_free, labels, (double)request->result.f_ffree);
    node_sample(self->purgeable, labels, 0);
    node_sample(self->mount_info,
                NODE_LABELS(sink, {"device", mount->device}, {"major", mount->major},
                            {"minor", mount->minor}, {"mountpoint", mount->mountpoint}),
                1);
}

static bool filesystem_write(void *state, NodeScrape *scrape, Error *err)
{
    Filesystem *self = state;
    if (!read_mounts(self, scrape, err))
        return false;
    size_t count = self->mounts.count;
    if (self->room < count) {
        self->room = count;
        self->requests = x_realloc(self->requests, count * sizeof(StatfsRequest));
    }
    for (size_t i = 0; i < count; i++)
        self->requests[i] = (StatfsRequest){.path = self->mounts.list[i].path, .tag = i};
    if (!node_statfs_run(self->statfs, self->requests, count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        const StatfsRequest *request = &self->requests[i];
        const NodeMount *mount = &self->mounts.list[request->tag];
        write_mount(self, mount, request, scrape->sink);
        if (request->state == STATFS_RUNNING)
            log_warn("mount does not answer, skipping it until it does",
                     KV("mountpoint", mount->mountpoint),
                     KV("timeout_ms", scrape->options->filesystem_timeout_ms));
    }
    return true;
}

static void filesystem_close(void *state)
{
    Filesystem *self = state;
    node_statfs_free(self->statfs);
    node_file_deinit(&self->file);
    node_mounts_deinit(&self->mounts);
    free(self->requests);
}

const NodeCollector node_filesystem = {
    "filesystem", true, sizeof(Filesystem), filesystem_open, filesystem_write, filesystem_close};
