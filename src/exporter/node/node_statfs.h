// SPDX-License-Identifier: Apache-2.0
// node_statfs.h: statfs(2) of many mounts with a deadline. A mount whose server is gone blocks the call for ever, so only workers make
// it; one that is stuck stays with its mount, which is not asked again before the call returns.
//
//     collector --- requests, in order ---> worker ... worker (at most --collector.filesystem.stat-workers)
//               <-- answers, or the deadline
//
// Workers hold a reference: a stuck one outlives the object that it worked for, and deletes what is left when it returns.
// Thread: one collector.
#pragma once

#include <sys/vfs.h>

#include "base/error.h"
#include "base/str.h"

typedef struct NodeStatfs NodeStatfs;

typedef enum StatfsState {
    STATFS_WAITING, // no worker was free before the deadline
    STATFS_RUNNING, // did not answer before the deadline
    STATFS_STUCK,   // did not answer to an earlier scrape, and has not been asked again
    STATFS_DONE
} StatfsState;

typedef struct StatfsRequest {
    const char *path;
    size_t tag; // the caller's: the order of requests may change
    StatfsState state;
    int error_number; // 0: `result` is filled
    struct statfs result;
} StatfsRequest;

// `call` is statfs(2), or what a test puts in its place.
NodeStatfs *node_statfs_new(size_t workers_max, int64_t timeout_ms,
                            int (*call)(const char *path, struct statfs *out));
void node_statfs_free(NodeStatfs *statfs); // accepts NULL; does not wait for stuck workers
// Answers what can be answered before the deadline.
bool node_statfs_run(NodeStatfs *statfs, StatfsRequest *requests, size_t count,
                     Error *err) MUST_CHECK;
