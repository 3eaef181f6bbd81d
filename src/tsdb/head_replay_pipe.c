// SPDX-License-Identifier: Apache-2.0
#include "tsdb/head_replay_pipe.h"

#include <stdlib.h>

#include "base/thread.h"
#include "tsdb/head_replay_ring.h"

#define BATCHES 32
#define BATCH_BYTES (128u * 1024)
#define KEEP_BYTES (2 * BATCH_BYTES) // of a batch's buffer: a record may be far longer

typedef struct Batch {
    Buf bytes;
    size_t *ends; // of each record
    size_t count;
    size_t cap;
} Batch;

struct ReplayPipe {
    ReplayPipeUser user;
    Thread thread;
    ReplayRing ring;
    Batch batches[BATCHES];
    Batch *filling; // NULL: none
};

static void empty_batch(const ReplayPipeUser *user, Batch *batch)
{
    size_t start = 0;

    for (size_t i = 0; i < batch->count; i++) {
        user->each(user->arg, str_sub(buf_str(&batch->bytes), start, batch->ends[i] - start));
        start = batch->ends[i];
    }
    batch->count = 0;
    if (batch->bytes.cap > KEEP_BYTES)
        buf_deinit(&batch->bytes);
    buf_reset(&batch->bytes);
}

static void run(void *arg)
{
    ReplayPipe *pipe = arg;
    unsigned place;

    pipe->user.begin(pipe->user.arg);
    while (replay_ring_empty(&pipe->ring, &place)) {
        empty_batch(&pipe->user, &pipe->batches[place]);
        replay_ring_emptied(&pipe->ring);
    }
    pipe->user.end(pipe->user.arg);
}

static void free_pipe(ReplayPipe *pipe)
{
    for (size_t i = 0; i < BATCHES; i++) {
        buf_deinit(&pipe->batches[i].bytes);
        free(pipe->batches[i].ends);
    }
    replay_ring_deinit(&pipe->ring);
    free(pipe);
}

bool replay_pipe_start(const ReplayPipeUser *user, ReplayPipe **ret_pipe, Error *err)
{
    ReplayPipe *pipe = X_NEW(ReplayPipe);

    pipe->user = *user;
    replay_ring_init(&pipe->ring, "replay records", BATCHES);
    if (!thread_start(&pipe->thread, "replay-define", run, pipe, err)) {
        free_pipe(pipe);
        return false;
    }
    *ret_pipe = pipe;
    return true;
}

bool replay_pipe_read(ReplayPipe *pipe, WalReader *reader)
{
    if (!pipe->filling)
        pipe->filling = &pipe->batches[replay_ring_fill(&pipe->ring)];
    Batch *batch = pipe->filling;
    size_t before = batch->bytes.len;
    if (!wal_reader_next_into(reader, &batch->bytes))
        return false;
    if (batch->bytes.len == before)
        return true;
    if (batch->count == batch->cap) {
        batch->cap = batch->cap ? batch->cap * 2 : 64;
        batch->ends = x_realloc(batch->ends, batch->cap * sizeof *batch->ends);
    }
    batch->ends[batch->count++] = batch->bytes.len;
    if (batch->bytes.len >= BATCH_BYTES) {
        pipe->filling = NULL;
        replay_ring_filled(&pipe->ring);
    }
    return true;
}

void replay_pipe_finish(ReplayPipe *pipe)
{
    if (!pipe)
        return;
    if (pipe->filling && pipe->filling->count)
        replay_ring_filled(&pipe->ring);
    replay_ring_end(&pipe->ring);
    thread_join(&pipe->thread);
    free_pipe(pipe);
}
