// SPDX-License-Identifier: Apache-2.0
#include "exporter/node/node_statfs.h"

#include <errno.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/test.h"

#define TIMEOUT_MS 5000 // is waited for to its end, and threads of a busy machine begin late
#define LONG_MS 60000   // is not

// A machine of mounts: those whose path begins with "/stuck" answer when they are let go.
static struct {
    Lock lock; // guards all below
    Condition changed;
    bool is_let_go;
    int calls;
    int inside; // calls that are stuck
} machine;

static int fake_statfs(const char *path, struct statfs *out)
{
    bool is_stuck = strncmp(path, "/stuck", 6) == 0;
    lock_take(&machine.lock);
    machine.calls++;
    machine.inside += is_stuck;
    while (is_stuck && !machine.is_let_go)
        condition_wait(&machine.changed, &machine.lock);
    machine.inside -= is_stuck;
    condition_broadcast(&machine.changed);
    lock_give(&machine.lock);
    if (strcmp(path, "/denied") == 0) {
        errno = EACCES;
        return -1;
    }
    out->f_blocks = strlen(path);
    return 0;
}

static void machine_start(void)
{
    lock_init(&machine.lock, "test_machine", 990);
    condition_init(&machine.changed);
    machine.is_let_go = false;
    machine.calls = machine.inside = 0;
}

// Lets stuck calls go and waits until they are over.
static void machine_let_go(void)
{
    lock_take(&machine.lock);
    machine.is_let_go = true;
    condition_broadcast(&machine.changed);
    while (machine.inside)
        condition_wait(&machine.changed, &machine.lock);
    lock_give(&machine.lock);
}

static int machine_calls(void)
{
    lock_take(&machine.lock);
    int calls = machine.calls;
    lock_give(&machine.lock);
    return calls;
}

static void fill(StatfsRequest *requests, const char *const *paths, size_t count)
{
    for (size_t i = 0; i < count; i++)
        requests[i] = (StatfsRequest){.path = paths[i], .tag = i};
}

static const StatfsRequest *of_tag(const StatfsRequest *requests, size_t count, size_t tag)
{
    for (size_t i = 0; i < count; i++)
        if (requests[i].tag == tag)
            return &requests[i];
    CHECK_FAIL_("no request with tag %zu", tag);
    return NULL;
}

TEST(node_statfs, answers_every_mount)
{
    static const char *const paths[] = {"/", "/denied", "/home"};
    StatfsRequest requests[3];
    Error err = {0};
    machine_start();
    NodeStatfs *pool = node_statfs_new(4, LONG_MS, fake_statfs);

    for (int round = 0; round < 50; round++) {
        fill(requests, paths, 3);
        CHECK_OK(node_statfs_run(pool, requests, 3, &err), err);
        for (size_t i = 0; i < 3; i++)
            CHECK_EQ(of_tag(requests, 3, i)->state, STATFS_DONE);
        CHECK_EQ(of_tag(requests, 3, 1)->error_number, EACCES);
        CHECK_EQ(of_tag(requests, 3, 2)->result.f_blocks, 5);
    }
    CHECK_OK(node_statfs_run(pool, requests, 0, &err), err);

    node_statfs_free(pool);
}

TEST(node_statfs, a_stuck_mount_holds_up_only_itself)
{
    static const char *const paths[] = {"/a", "/stuck", "/b"};
    StatfsRequest requests[3];
    Error err = {0};
    machine_start();
    NodeStatfs *pool = node_statfs_new(4, TIMEOUT_MS, fake_statfs);

    fill(requests, paths, 3);
    CHECK_OK(node_statfs_run(pool, requests, 3, &err), err);
    CHECK_EQ(of_tag(requests, 3, 0)->state, STATFS_DONE);
    CHECK_EQ(of_tag(requests, 3, 1)->state, STATFS_RUNNING);
    CHECK_EQ(of_tag(requests, 3, 2)->state, STATFS_DONE);

    // The next scrape does not ask it again, and does not wait for it.
    int calls = machine_calls();
    int64_t start_mono_ns = clock_mono_ns(&clock_system);
    fill(requests, paths, 3);
    CHECK_OK(node_statfs_run(pool, requests, 3, &err), err);
    CHECK_EQ(of_tag(requests, 3, 1)->state, STATFS_STUCK);
    CHECK_EQ(of_tag(requests, 3, 2)->state, STATFS_DONE);
    CHECK_EQ(machine_calls(), calls + 2);
    CHECK(clock_mono_ns(&clock_system) - start_mono_ns < (int64_t)TIMEOUT_MS * 1000000);

    // Once it has answered it is asked like any other.
    machine_let_go();
    for (int tries = 0; tries < 1000; tries++) {
        fill(requests, paths, 3);
        CHECK_OK(node_statfs_run(pool, requests, 3, &err), err);
        if (of_tag(requests, 3, 1)->state == STATFS_DONE)
            break;
    }
    CHECK_EQ(of_tag(requests, 3, 1)->state, STATFS_DONE);
    node_statfs_free(pool);
}

TEST(node_statfs, workers_are_limited)
{
    static const char *const paths[] = {"/stuck1", "/stuck2", "/late"};
    StatfsRequest requests[3];
    Error err = {0};
    machine_start();
    NodeStatfs *pool = node_statfs_new(2, TIMEOUT_MS, fake_statfs);

    fill(requests, paths, 3);
    CHECK_OK(node_statfs_run(pool, requests, 3, &err), err);

    CHECK_EQ(of_tag(requests, 3, 0)->state, STATFS_RUNNING);
    CHECK_EQ(of_tag(requests, 3, 1)->state, STATFS_RUNNING);
    CHECK_EQ(of_tag(requests, 3, 2)->state, STATFS_WAITING);
    CHECK_EQ(machine_calls(), 2);
    // A stuck worker outlives the pool, and cleans up behind it.
    node_statfs_free(pool);
    machine_let_go();
}

TEST_MAIN(node_statfs, TEST_ROW(node_statfs, answers_every_mount),
          TEST_ROW(node_statfs, a_stuck_mount_holds_up_only_itself),
          TEST_ROW(node_statfs, workers_are_limited))
