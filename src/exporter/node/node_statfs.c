// SPDX-License-Identifier: Apache-2.0
#include "exporter/node/node_statfs.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/thread.h"

#define RANK_NODE_STATFS 510
#define SLOW_MS 50 // a call that takes longer gets company

typedef struct Worker {
    NodeStatfs *pool;
    bool busy;
    bool is_stuck;
    uint64_t round; // which run its request belongs to
    size_t index;
    char path[PATH_MAX];
} Worker;

struct NodeStatfs {
    Lock lock;      // guards all below
    Condition work; // there may be a request, or the end
    Condition answer;
    int (*call)(const char *path, struct statfs *out);
    int64_t timeout_ms;
    bool ended;
    size_t references; // the owner's and one for each worker
    Worker **workers;
    size_t worker_count;
    size_t workers_max;
    uint64_t round;
    StatfsRequest *requests; // the collector's, of this round
    size_t count;
    size_t next; // first that no worker has taken
    size_t open; // that can still be answered in this round
};

NodeStatfs *node_statfs_new(size_t workers_max, int64_t timeout_ms,
                            int (*call)(const char *path, struct statfs *out))
{
    NodeStatfs *pool = X_NEW(NodeStatfs);
    lock_init(&pool->lock, "node_statfs", RANK_NODE_STATFS);
    condition_init(&pool->work);
    condition_init(&pool->answer);
    pool->call = call;
    pool->timeout_ms = timeout_ms;
    pool->references = 1;
    pool->workers_max = workers_max;
    pool->workers = X_ARRAY(Worker *, workers_max);
    return pool;
}

// Gives one reference back and leaves the lock.
static void release(NodeStatfs *pool) RELEASE(pool->lock)
{
    bool is_last = --pool->references == 0;
    lock_give(&pool->lock);
    if (!is_last)
        return;
    for (size_t i = 0; i < pool->worker_count; i++)
        free(pool->workers[i]);
    free(pool->workers);
    condition_deinit(&pool->work);
    condition_deinit(&pool->answer);
    lock_deinit(&pool->lock);
    free(pool);
}

void node_statfs_free(NodeStatfs *pool)
{
    if (!pool)
        return;
    lock_take(&pool->lock);
    pool->ended = true;
    condition_broadcast(&pool->work);
    release(pool);
}

static bool has_request(const NodeStatfs *pool)
{
    return pool->next < pool->count;
}

static void take_request(NodeStatfs *pool, Worker *worker)
{
    StatfsRequest *request = &pool->requests[pool->next];
    worker->index = pool->next++;
    worker->round = pool->round;
    worker->busy = true;
    request->state = STATFS_RUNNING;
    size_t bytes = MIN(strlen(request->path), sizeof worker->path - 1);
    memcpy(worker->path, request->path, bytes);
    worker->path[bytes] = 0;
}

static void give_answer(NodeStatfs *pool, Worker *worker, int error_number,
                        const struct statfs *result)
{
    worker->busy = false;
    worker->is_stuck = false;
    if (worker->round != pool->round || worker->index >= pool->count)
        return; // nobody waits any more
    StatfsRequest *request = &pool->requests[worker->index];
    request->state = STATFS_DONE;
    request->error_number = error_number;
    request->result = *result;
    if (--pool->open == 0)
        condition_signal(&pool->answer);
}

static void worker_run(void *arg)
{
    Worker *worker = arg;
    NodeStatfs *pool = worker->pool;
    lock_take(&pool->lock);
    while (!pool->ended) {
        if (!has_request(pool)) {
            condition_wait(&pool->work, &pool->lock);
            continue;
        }
        take_request(pool, worker);
        lock_give(&pool->lock);
        struct statfs result = {0};
        int error_number = pool->call(worker->path, &result) == 0 ? 0 : errno;
        lock_take(&pool->lock);
        give_answer(pool, worker, error_number, &result);
    }
    release(pool);
}

static bool start_worker(NodeStatfs *pool, Error *err)
{
    Worker *worker = X_NEW(Worker);
    Thread thread = {0};
    worker->pool = pool;
    pool->workers[pool->worker_count++] = worker;
    pool->references++;
    if (thread_start(&thread, "node-statfs", worker_run, worker, err)) {
        pthread_detach(thread.handle);
        return true;
    }
    pool->references--;
    pool->worker_count--;
    free(worker);
    return false;
}

static size_t count_idle(const NodeStatfs *pool)
{
    size_t idle = 0;
    for (size_t i = 0; i < pool->worker_count; i++)
        idle += !pool->workers[i]->busy;
    return idle;
}

// One more worker at the requests that wait, if there may be one.
static bool add_help(NodeStatfs *pool, Error *err)
{
    if (!has_request(pool))
        return true;
    if (count_idle(pool) > 0)
        condition_signal(&pool->work);
    else if (pool->worker_count < pool->workers_max)
        return start_worker(pool, err);
    return true;
}

static bool holds_worker(const NodeStatfs *pool, const char *path)
{
    for (size_t i = 0; i < pool->worker_count; i++)
        if (pool->workers[i]->is_stuck && strcmp(pool->workers[i]->path, path) == 0)
            return true;
    return false;
}

static void begin_round(NodeStatfs *pool, StatfsRequest *requests, size_t count)
{
    pool->round++;
    pool->requests = requests;
    pool->next = 0;
    pool->open = 0;
    pool->count = 0;
    for (size_t i = 0; i < count; i++)
        requests[i].state = holds_worker(pool, requests[i].path) ? STATFS_STUCK : STATFS_WAITING;
    // Swap the stuck ones behind the others: workers see only the first pool->count.
    for (size_t i = 0; i < count; i++)
        if (requests[i].state == STATFS_WAITING) {
            StatfsRequest moved = requests[i];
            requests[i] = requests[pool->count];
            requests[pool->count++] = moved;
        }
    pool->open = pool->count;
}

static void end_round(NodeStatfs *pool)
{
    for (size_t i = 0; i < pool->worker_count; i++)
        pool->workers[i]->is_stuck = pool->workers[i]->busy;
    pool->requests = NULL;
    pool->count = 0;
    pool->next = 0;
}

bool node_statfs_run(NodeStatfs *pool, StatfsRequest *requests, size_t count, Error *err)
{
    bool ok = true;
    int64_t end_mono_ns = clock_mono_ns(&clock_system) + pool->timeout_ms * 1000000;
    lock_take(&pool->lock);
    begin_round(pool, requests, count);
    while (pool->open) {
        int64_t left_ms = (end_mono_ns - clock_mono_ns(&clock_system)) / 1000000;
        // Without its first worker nothing moves; more of them only make it faster.
        if (left_ms <= 0 || (!add_help(pool, err) && pool->worker_count == 0)) {
            ok = pool->worker_count > 0;
            break;
        }
        (void)condition_wait_ms(&pool->answer, &pool->lock, MIN(left_ms, (int64_t)SLOW_MS));
    }
    end_round(pool);
    lock_give(&pool->lock);
    return ok;
}
