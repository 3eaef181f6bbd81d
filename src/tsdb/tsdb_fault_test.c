// SPDX-License-Identifier: Apache-2.0
// A life of a storage with everything in it, in which each call to the disk fails, is torn, is the last one, or is followed by a power cut.
//
// The tests take every NARTHEX_FAULT_STRIDE-th point (a prime; 1 takes all) and say how many they took.
#include <errno.h>

#include "base/test.h"
#include "tsdb/tsdb.h"
#include "tsdb/tsdb_rig.h"

static uint64_t stride(uint64_t usual)
{
    const char *text = getenv("NARTHEX_FAULT_STRIDE");
    return text ? MAX(strtoull(text, NULL, 10), 1) : usual;
}

static void append_many(Rig *rig, int count, bool late)
{
    for (int i = 0; i < count && rig->tsdb; i++)
        rig_append(rig, late, true);
}

static void reopen(Rig *rig)
{
    rig_close(rig);
    for (int i = 0; i < 3 && !rig->tsdb; i++) // one call fails, not three
        rig_open(rig);
}

static void snapshot(Rig *rig)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Error err = {0};
    Str name;

    rig_note(rig, tsdb_snapshot(rig->tsdb, false, &arena, &name, &err), &err);
}

// Nobody asks for what has ended: two looks later it leaves the head.
static void let_ended_go(Rig *rig)
{
    for (int i = 0; i < RIG_SERIES; i++)
        if (rig->rests[i])
            rig->rests[i] = MAX(rig->rests[i], 5);
    for (int i = 0; i < 3 && rig->tsdb; i++) {
        append_many(rig, 1, false);
        rig_compact(rig);
    }
}

// Newest samples of those that have ended: of blocks, and not of the head, where these had left it.
static void delete_of_ended(Rig *rig)
{
    for (int i = 0; i < RIG_SERIES; i++)
        if (rig->rests[i])
            rig_delete(rig, i, rig->now_ms - 9 * RIG_STEP_MS, rig->now_ms - 4 * RIG_STEP_MS);
}

// Appends, late samples, histograms, exemplars, series that end, leave the head early and come back, blocks, merges of blocks, deletion in head
// and blocks, its clean-up, a snapshot, three restarts, retention.
static void live(Rig *rig)
{
    if (!rig_open(rig) && !rig_open(rig))
        return;
    append_many(rig, 20, false);
    rig_sync(rig);
    rig_compact(rig);
    append_many(rig, 3, true);
    let_ended_go(rig);
    delete_of_ended(rig);
    append_many(rig, 5, true);
    rig_delete(rig, 1, rig->now_ms - 5 * RIG_STEP_MS, rig->now_ms - 3 * RIG_STEP_MS);
    rig_sync(rig);
    append_many(rig, 12, true);
    rig_compact(rig);
    rig_delete(rig, 2, RIG_START_MS, RIG_START_MS + RIG_HOUR_MS);
    rig_clean(rig);
    snapshot(rig);
    append_many(rig, 3, false);
    reopen(rig);
    if (!rig->tsdb)
        return;
    append_many(rig, 15, true);
    rig_sync(rig);
    rig_compact(rig);
    let_ended_go(rig);
    delete_of_ended(rig);
    append_many(rig, 10, true);
    rig_compact(rig);
    let_ended_go(rig);
    append_many(rig, 2, true);
    reopen(rig);
    if (!rig->tsdb)
        return;
    append_many(rig, 20, false);
    rig_compact(rig);
    append_many(rig, 60, true);
    rig_compact(rig);
    rig_sync(rig);
    append_many(rig, 2, true);
    let_ended_go(rig);
    reopen(rig);
    append_many(rig, 2, true);
}

typedef struct Plan {
    const char *name;
    FsFault fault;
    unsigned refused_max; // acts that may fail; 0: any
    TsdbSync sync;
    uint64_t stride;
} Plan;

static void set_options(Rig *rig, TsdbSync sync)
{
    rig->options.wal_sync = sync;
    rig->options.snapshot_at_close = true;
    rig->options.stale = (TsdbStaleLimits){.ratio = 0.2, .series_min = 2};
    rig->options.retention.ms = 20 * RIG_HOUR_MS;
}

// One life with the fault at one call. False: the call is never made.
static bool try_point(const Plan *plan, uint64_t fail_at)
{
    Rig rig;

    rig_init(&rig, 1, false);
    set_options(&rig, plan->sync);
    rig.fault = plan->fault;
    rig.fault.fail_at = fail_at;
    snprintf(rig.point, sizeof rig.point, "%s at call %" PRIu64, plan->name, fail_at);
    live(&rig);
    bool hit = rig.fault.calls >= fail_at;
    RIG_REQUIRE(&rig, plan->fault.dead || rig.failed <= 3, "%u failed after one fault",
                (unsigned)rig.failed);
    if (rig.tsdb && !plan->fault.dead) {
        rig.fault.fail_at = 0;
        rig_check_now(&rig);
    }
    rig_close(&rig);
    rig_recover(&rig);
    rig_deinit(&rig);
    return hit;
}

static void try_all(const Plan *plan)
{
    uint64_t tried = 0, step = stride(plan->stride);

    rig_be_quiet();
    for (uint64_t fail_at = 1 + plan->stride % 5; try_point(plan, fail_at); fail_at += step)
        tried++;
    print_message("%s: %u points\n", plan->name, (unsigned)tried);
    fflush(stdout);
    CHECK(tried > (getenv("NARTHEX_FAULT_STRIDE") ? 0 : 10));
}

TEST(tsdb_fault, a_crash_at_any_call_loses_nothing_acknowledged)
{
    static const Plan plans[] = {
        {"crash", {.error_number = EIO, .dead = true}, .stride = 31},
        {"crash in a torn write",
         {.error_number = EIO, .torn_bytes = 61, .dead = true},
         .stride = 37},
        {"crash, synced",
         {.error_number = EIO, .dead = true},
         .sync = TSDB_SYNC_COMMIT,
         .stride = 97},
    };
    for (size_t i = 0; i < COUNT_OF(plans); i++)
        try_all(&plans[i]);
}

TEST(tsdb_fault, one_call_that_fails_costs_nothing_that_was_acknowledged)
{
    static const Plan plans[] = {
        {"I/O error", {.error_number = EIO}, .stride = 41},
        {"short write, no space", {.error_number = ENOSPC, .torn_bytes = 100}, .stride = 43},
        {"I/O error, synced", {.error_number = EIO}, .sync = TSDB_SYNC_COMMIT, .stride = 97},
        {"open or read",
         {.error_number = EIO, .kinds = FS_CALL_OPEN_READ | FS_CALL_READ},
         .stride = 29},
        {"no memory to map", {.error_number = ENOMEM, .kinds = FS_CALL_MAP}, .stride = 11},
        {"readdir", {.error_number = EIO, .kinds = FS_CALL_LIST}, .stride = 11},
    };
    for (size_t i = 0; i < COUNT_OF(plans); i++)
        try_all(&plans[i]);
}

// The disk is full for a while: everything is told, nothing that was acknowledged is lost, and when there is space again it goes on by itself.
static void fill_disk(int64_t space_bytes, TsdbSync sync)
{
    Rig rig;
    uint64_t refused = 0;

    rig_init(&rig, 1, false);
    snprintf(rig.point, sizeof rig.point, "disk with %" PRId64 " bytes", space_bytes);
    rig.options.wal_sync = sync;
    rig.options.retention.ms = 24 * RIG_HOUR_MS;
    RIG_REQUIRE(&rig, rig_open(&rig), "open");
    append_many(&rig, 20, true);
    rig.fault.limited = true;
    rig.fault.space_bytes = space_bytes;
    for (int i = 0; i < 60; i++) {
        refused += !rig_append(&rig, true, true);
        if (i % 12 == 11)
            rig_compact(&rig);
        if (i % 20 == 19)
            rig_check_now(&rig);
    }
    RIG_REQUIRE(&rig, refused > 0, "the disk was never full");
    RIG_REQUIRE(&rig, strstr(rig.last_error, "No space left on device"), "the error is silent");
    rig_check_now(&rig);

    rig.fault.limited = false; // somebody made room; nothing is restarted
    RIG_REQUIRE(&rig, rig_append(&rig, true, true), "does not go on by itself");
    RIG_REQUIRE(&rig, rig_compact(&rig), "does not compact by itself");
    append_many(&rig, 30, true);
    RIG_REQUIRE(&rig, rig_compact(&rig), "does not compact later");
    rig_check_now(&rig);
    rig_close(&rig);
    rig_recover(&rig);
    rig_deinit(&rig);
}

TEST(tsdb_fault, a_full_disk_is_told_and_left_behind_without_a_restart)
{
    rig_be_quiet();
    for (int64_t bytes = 0; bytes < 12000; bytes += 617)
        fill_disk(bytes, bytes % 2 ? TSDB_SYNC_NONE : TSDB_SYNC_COMMIT);
}

// Only the merged block tells that those it was made of are to be gone: it must not go while one of them may come back.
TEST(tsdb_fault, nothing_is_merged_away_while_the_disk_keeps_what_it_was_made_of)
{
    Rig rig;

    rig_be_quiet();
    rig_init(&rig, 3, false);
    snprintf(rig.point, sizeof rig.point, "folders that stay");
    RIG_REQUIRE(&rig, rig_open(&rig), "open");
    append_many(&rig, 60, false);
    RIG_REQUIRE(&rig, rig_compact(&rig), "compact");
    rig_delete(&rig, 1, RIG_START_MS, RIG_START_MS + RIG_HOUR_MS);
    rig.fault = (FsFault){.fail_at = 1, .error_number = EIO, .dead = true, .kinds = FS_CALL_UNLINK};

    CHECK(rig_clean(&rig)); // done, but the old folder is still there
    CHECK(rig.tsdb->unsettled);
    rig_delete(&rig, 1, RIG_START_MS, RIG_START_MS + 2 * RIG_HOUR_MS);
    CHECK(!rig_clean(&rig));
    CHECK(!rig_compact(&rig));
    CHECK(strstr(rig.last_error, "does not let blocks go") != NULL);
    rig_check_now(&rig);

    rig.fault = (FsFault){0};
    CHECK(rig_clean(&rig) && rig_compact(&rig));
    CHECK(!rig.tsdb->unsettled);
    rig_recover(&rig);
    rig_deinit(&rig);
}

TEST(tsdb_fault, nothing_is_deleted_beside_a_block_that_cannot_be_opened_now)
{
    Rig rig;
    Error err = {0};

    rig_be_quiet();
    rig_init(&rig, 4, false);
    snprintf(rig.point, sizeof rig.point, "a block that does not open");
    RIG_REQUIRE(&rig, rig_open(&rig), "open");
    append_many(&rig, 40, false);
    RIG_REQUIRE(&rig, rig_compact(&rig), "compact");
    for (uint64_t at = 1; !rig.tsdb->counters.blocks_unreadable; at++) {
        RIG_REQUIRE(&rig, at < 100, "each block opens");
        rig_close(&rig);
        rig.fault = (FsFault){.error_number = ENOMEM, .kinds = FS_CALL_MAP, .fail_at = at};
        while (!tsdb_open(&rig.options, &rig.tsdb, &err))
            continue;
    }
    rig.fault = (FsFault){.error_number = ENOMEM, .kinds = FS_CALL_MAP, .fail_at = 1, .dead = true};

    CHECK(!rig_delete(&rig, 1, RIG_START_MS, RIG_START_MS + RIG_HOUR_MS));

    rig.fault = (FsFault){0};
    CHECK(rig_delete(&rig, 1, RIG_START_MS, RIG_START_MS + RIG_HOUR_MS));
    rig_check_now(&rig);
    rig_deinit(&rig);
}

// The log has what the block has, but not what was deleted of it.
TEST(tsdb_fault, nothing_deleted_comes_back_beside_a_block_that_cannot_be_opened_now)
{
    bool more = true;

    rig_be_quiet();
    for (uint64_t at = 1; more; at++) {
        Rig rig;
        Error err = {0};
        rig_init(&rig, 4, false);
        snprintf(rig.point, sizeof rig.point, "map %d of a start", (int)at);
        RIG_REQUIRE(&rig, rig_open(&rig), "open");
        append_many(&rig, 40, false);
        RIG_REQUIRE(&rig, rig_compact(&rig), "compact");
        CHECK(rig_delete(&rig, 1, RIG_START_MS, RIG_START_MS + 20 * RIG_HOUR_MS));
        rig_check_now(&rig);
        rig_close(&rig);

        rig.fault = (FsFault){.error_number = ENOMEM, .kinds = FS_CALL_MAP, .fail_at = at};
        if (tsdb_open(&rig.options, &rig.tsdb, &err)) {
            more = rig.fault.calls >= at;
            rig.fault = (FsFault){0};
            RIG_REQUIRE(&rig, rig_compact(&rig), "compact");
            rig_check_now(&rig);
            rig_close(&rig);
        }

        rig.fault = (FsFault){0};
        RIG_REQUIRE(&rig, rig_open(&rig), "open");
        rig_check_now(&rig);
        rig_deinit(&rig);
    }
}

static void cut_everywhere(TsdbSync sync, uint64_t usual)
{
    Rig rig;
    uint64_t tried = 0;

    rig_be_quiet();
    rig_init(&rig, 1, true);
    set_options(&rig, sync);
    live(&rig);
    RIG_REQUIRE(&rig, rig.failed == 0, "the life itself failed");
    RIG_REQUIRE(&rig, rig.left_early >= 5, "the script does not reach what it is to try");
    size_t calls = fs_journal_length(rig.fs.journal);
    uint64_t step = stride(usual);
    // The losses take turns at a point, and the points are taken in turns with them.
    for (size_t at = 0; at <= calls; at += step) {
        for (int loss = 0; loss < FS_LOSS_COUNT; loss++) {
            rig_check_cut(&rig, at, (FsLoss)loss);
            tried++;
        }
    }
    rig_deinit(&rig);
    print_message("power cuts: %u points of %zu calls\n", (unsigned)tried, calls);
}

TEST(tsdb_fault, a_power_cut_behind_any_call_loses_nothing_synced)
{
    cut_everywhere(TSDB_SYNC_NONE, 61);
    cut_everywhere(TSDB_SYNC_COMMIT, 89);
}

TEST_MAIN(tsdb_fault, TEST_ROW(tsdb_fault, a_crash_at_any_call_loses_nothing_acknowledged),
          TEST_ROW(tsdb_fault, one_call_that_fails_costs_nothing_that_was_acknowledged),
          TEST_ROW(tsdb_fault, a_full_disk_is_told_and_left_behind_without_a_restart),
          TEST_ROW(tsdb_fault, nothing_is_merged_away_while_the_disk_keeps_what_it_was_made_of),
          TEST_ROW(tsdb_fault, nothing_is_deleted_beside_a_block_that_cannot_be_opened_now),
          TEST_ROW(tsdb_fault, nothing_deleted_comes_back_beside_a_block_that_cannot_be_opened_now),
          TEST_ROW(tsdb_fault, a_power_cut_behind_any_call_loses_nothing_synced))
