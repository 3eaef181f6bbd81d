// SPDX-License-Identifier: Apache-2.0
// dir_lock.h: <dir>/lock, held with flock(2) as Prometheus holds it, so that a data directory has one process.
#pragma once

#include "base/fs.h"

typedef struct DirLock {
    int fd;        // -1: none
    bool replaced; // a lock file was left behind: the last process did not end cleanly
    char path[4096];
} DirLock;

#define DIR_LOCK_NONE                                                                              \
    {                                                                                              \
        -1, false, ""                                                                              \
    }

// Fails ERR_CONFLICT if another process holds it.
bool dir_lock_take(Str dir, DirLock *ret_lock, Error *err) MUST_CHECK;
// Removes the file; accepts DIR_LOCK_NONE.
void dir_lock_give(DirLock *lock);
