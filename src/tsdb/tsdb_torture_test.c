// SPDX-License-Identifier: Apache-2.0
// A long random soak: random deeds on a storage whose disk fails, fills up, stops and loses power at random, against a naive model.
//
//     NARTHEX_TORTURE_S=3600 NARTHEX_TORTURE_SEED=7 tsdb_torture_test       (./dev torture S=3600 SEED=7)
//
// Each round has a seed of its own, which a failure names: NARTHEX_TORTURE_SEED=<it> plays that round first, NARTHEX_TORTURE_LAST=<seed> ends
// the soak there. Without any, rounds of fixed seeds are played for a few seconds' work.
#include <errno.h>

#include "base/test.h"
#include "tsdb/tsdb.h"
#include "tsdb/tsdb_rig.h"

#define ROUNDS_SHORT 40
#define CUTS 12

static void arm(Rig *rig)
{
    static const int errors[] = {EIO, ENOSPC, ENOMEM, EACCES};
    static const unsigned kinds[] = {0,
                                     FS_CALLS_ALL,
                                     FS_CALL_WRITE,
                                     FS_CALL_SYNC,
                                     FS_CALL_RENAME | FS_CALL_UNLINK,
                                     FS_CALL_OPEN | FS_CALL_MKDIR};
    Random *r = &rig->random;

    rig->fault = (FsFault){0};
    uint64_t what = random_below(r, 4);
    if (what == 0) { // full
        rig->fault.limited = true;
        rig->fault.space_bytes = (int64_t)random_below(r, 8000);
    } else if (what < 3) {
        rig->fault.dead = what == 1; // gone from some call on: the process dies there
        rig->fault.fail_at = 1 + random_below(r, 400);
        rig->fault.error_number = errors[random_below(r, COUNT_OF(errors))];
        rig->fault.torn_bytes = random_below(r, 3) ? random_below(r, 600) : 0;
        rig->fault.kinds = rig->fault.dead ? 0 : kinds[random_below(r, COUNT_OF(kinds))];
    }
}

static void delete_some(Rig *rig)
{
    int64_t span = rig->now_ms - RIG_START_MS;
    if (span <= 0)
        return;
    int64_t from = RIG_START_MS + (int64_t)random_below(&rig->random, (uint64_t)span);
    rig_delete(rig, (int)random_below(&rig->random, RIG_SERIES), from,
               from + (int64_t)random_below(&rig->random, 3 * RIG_HOUR_MS));
}

static void snapshot(Rig *rig)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Error err = {0};
    Str name;

    rig_note(rig, tsdb_snapshot(rig->tsdb, random_below(&rig->random, 2), &arena, &name, &err),
             &err);
}

static void one_deed(Rig *rig)
{
    uint64_t n;

    switch (random_below(&rig->random, 16)) {
    case 0:
        rig_sync(rig);
        break;
    case 1:
    case 2:
        rig_compact(rig);
        break;
    case 3:
        delete_some(rig);
        break;
    case 4:
        rig_clean(rig);
        break;
    case 5:
        if (random_below(&rig->random, 4) == 0)
            snapshot(rig);
        break;
    case 6:
        rig_close(rig);
        (void)rig_open(rig);
        break;
    default:
        n = 1 + random_below(&rig->random, 12);
        for (uint64_t i = 0; i < n; i++)
            rig_append(rig, random_below(&rig->random, 2), random_below(&rig->random, 2));
    }
}

// The disk is well again; the storage goes on as it is, or is started anew after a crash.
static void recover(Rig *rig)
{
    bool crashed = rig->fault.dead && rig->fault.fail_at && rig->fault.calls >= rig->fault.fail_at;

    if (crashed)
        rig_close(rig);
    rig->fault = (FsFault){0};
    if (!rig->tsdb)
        RIG_REQUIRE(rig, rig_open(rig), "does not open again");
    rig_check_now(rig);
}

// `settles`: also what a start need not read is written down (head_settled.h).
static void play_round(uint64_t seed, bool settles)
{
    Rig rig;

    rig_init(&rig, seed, seed % 2);
    snprintf(rig.point, sizeof rig.point, "torture");
    rig.options.wal_sync = random_below(&rig.random, 3) ? TSDB_SYNC_NONE : TSDB_SYNC_COMMIT;
    rig.options.wal_compression = (TsdbCompression)random_below(&rig.random, 3);
    rig.options.image_series_min = seed % 5 < 3 ? 1 : UINT64_MAX;
    rig.options.settled_step_bytes = settles ? 1 : UINT64_MAX;
    rig.options.stale.ratio = seed % 7 == 3 ? 0.2 : 0;
    rig.options.snapshot_at_close = seed / 2 % 5 == 0;
    uint64_t deeds = 20 + random_below(&rig.random, 80);
    recover(&rig);
    for (uint64_t i = 0; i < deeds; i++) {
        if (random_below(&rig.random, 6) == 0)
            arm(&rig);
        one_deed(&rig);
        if (!rig.tsdb || random_below(&rig.random, 8) == 0)
            recover(&rig);
    }
    recover(&rig);
    if (rig.fs.journal) {
        size_t calls = fs_journal_length(rig.fs.journal);
        for (int i = 0; i < CUTS; i++)
            rig_check_cut(&rig, random_below(&rig.random, calls + 1),
                          (FsLoss)random_below(&rig.random, FS_LOSS_COUNT));
    }
    rig_deinit(&rig);
}

// Each has found something that is mended.
TEST(tsdb_torture, what_once_went_wrong_goes_right)
{
    static const uint64_t seeds[] = {7,    137,  397,  847,  1133,  1152,  1153,      1195,
                                     1468, 3305, 5071, 5414, 15797, 60048, 1795261911};
    static const uint64_t settling_seeds[] = {50199, 50501, 92109};

    rig_be_quiet();
    for (size_t i = 0; i < COUNT_OF(seeds); i++)
        play_round(seeds[i], false);
    for (size_t i = 0; i < COUNT_OF(settling_seeds); i++)
        play_round(settling_seeds[i], true);
}

TEST(tsdb_torture, nothing_is_lost_whatever_the_disk_does)
{
    const char *seconds_text = getenv("NARTHEX_TORTURE_S"),
               *seed_text = getenv("NARTHEX_TORTURE_SEED"),
               *last_text = getenv("NARTHEX_TORTURE_LAST");
    int64_t seconds = seconds_text ? strtoll(seconds_text, NULL, 10) : 0;
    int64_t start_ns = clock_mono_ns(&clock_system);
    uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : 1, rounds = 0;

    rig_be_quiet();
    if (seconds && !seed_text)
        random_system(&seed, sizeof seed);
    print_message("first seed %" PRIu64 "\n", seed);
    uint64_t last = last_text ? strtoull(last_text, NULL, 10) : UINT64_MAX;
    while (seed > last ? false
           : seconds   ? clock_mono_ns(&clock_system) - start_ns < seconds * 1000000000
                       : rounds < ROUNDS_SHORT) {
        play_round(seed, seed / 3 % 4 != 0);
        seed++;
        rounds++;
    }
    print_message("%" PRIu64 " rounds\n", rounds);
}

TEST_MAIN(tsdb_torture, TEST_ROW(tsdb_torture, what_once_went_wrong_goes_right),
          TEST_ROW(tsdb_torture, nothing_is_lost_whatever_the_disk_does))
