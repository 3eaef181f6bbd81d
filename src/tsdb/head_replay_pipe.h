// SPDX-License-Identifier: Apache-2.0
// head_replay_pipe.h: the records of a log on their way from the thread that reads, checks and decompresses them to the one that
// understands them.
//
//     caller  -->  ring of batches, about 128 KiB each  -->  thread "replay-define"
//
// A full ring makes the caller wait: that bounds the memory, whatever the log's length.
#pragma once

#include "base/error.h"
#include "tsdb/wal.h"

typedef struct ReplayPipe ReplayPipe;

// Calls each(arg, record) on the thread, in order; `begin` before the first and `end` behind the last.
typedef struct ReplayPipeUser {
    void (*begin)(void *arg);
    void (*each)(void *arg, Str record);
    void (*end)(void *arg);
    void *arg;
} ReplayPipeUser;

bool replay_pipe_start(const ReplayPipeUser *user, ReplayPipe **ret_pipe, Error *err) MUST_CHECK;
// Takes the reader's next record. False: it has none any more.
bool replay_pipe_read(ReplayPipe *pipe, WalReader *reader);
// Returns when all is understood; the thread is gone then. Accepts NULL.
void replay_pipe_finish(ReplayPipe *pipe);
