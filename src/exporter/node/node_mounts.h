// SPDX-License-Identifier: Apache-2.0
// node_mounts.h: the mounts that the filesystem collector shows, out of mountinfo. Parsed again only when the text has changed.
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "exporter/node/node_filter.h"

typedef struct NodeMount {
    Str device;
    Str mountpoint; // without rootfs in front
    Str type;
    Str major;
    Str minor;
    bool is_readonly;
    const char *path; // to ask, with rootfs in front
} NodeMount;

typedef struct NodeMounts {
    Arena arena; // holds all below
    Str text;    // that was parsed
    NodeMount *list;
    size_t count;
    NodeFilter points;
    NodeFilter types;
} NodeMounts;

void node_mounts_deinit(NodeMounts *mounts);
// Takes the text of /proc/PID/mountinfo. Mounts that the filters leave out, and those that say the same as an earlier one, are not in
// the list.
bool node_mounts_update(NodeMounts *mounts, Str text, Str rootfs, Error *err) MUST_CHECK;
