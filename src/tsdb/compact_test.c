// SPDX-License-Identifier: Apache-2.0
#include "tsdb/compact.h"

#include "base/test.h"
#include "tsdb/block_fake.h"
#include "tsdb/compact_uploads.h"
#include "tsdb/retention.h"

#define STEP_MS 15000

TEST(compact, ranges_grow_threefold)
{
    int64_t ranges[COMPACT_RANGES_MAX];

    CHECK_EQ(compact_ranges(7200000, 36 * 3600000, ranges), 3);
    CHECK_EQ(ranges[1], 6 * 3600000);
    CHECK_EQ(ranges[2], 18 * 3600000);
    CHECK_EQ(compact_ranges(7200000, 7200000, ranges), 1);
    CHECK_EQ(compact_ranges(7200000, INT64_MAX / 2, ranges), COMPACT_RANGES_MAX);
}

#define BLOCKS_MAX 12

// Rows as in compact_test.go of Prometheus: ranges 20, 60, 180, ...
TEST(compact, plans_as_prometheus_does)
{
    static const struct {
        const char *name;
        int64_t times[BLOCKS_MAX][2];
        int count;
        size_t want[BLOCKS_MAX];
        size_t want_count;
        bool leaves_overlaps;
    } cases[] = {
        {"one block waits", {{0, 20}}, 1, {0}, 0},
        {"the newest is left out", {{0, 20}, {20, 40}, {40, 60}}, 3, {0}, 0},
        {"a full range with one behind it",
         {{0, 20}, {20, 40}, {40, 60}, {60, 80}},
         4,
         {0, 1, 2},
         3},
        {"a gap in a closed range", {{0, 20}, {40, 60}, {60, 80}}, 3, {0, 1}, 2},
        {"a range that is older than the newest",
         {{0, 20}, {20, 40}, {60, 80}, {80, 100}},
         4,
         {0, 1},
         2},
        {"one block in its range stays", {{20, 40}, {60, 80}, {80, 100}}, 3, {0}, 0},
        {"larger ones when they fill up",
         {{0, 60}, {60, 120}, {120, 180}, {180, 200}},
         4,
         {0, 1, 2},
         3},
        {"overlapping ones come first", {{0, 20}, {19, 40}, {40, 60}}, 3, {0, 1}, 2},
        {"only one group of overlapping ones",
         {{0, 20}, {10, 40}, {40, 60}, {50, 80}},
         4,
         {0, 1},
         2},
        {"overlapping ones are left", {{0, 20}, {19, 40}, {40, 60}}, 3, {0}, 0, true},
        {"their range is merged in its turn",
         {{0, 20}, {19, 40}, {40, 60}, {60, 80}},
         4,
         {0, 1, 2},
         3,
         true},
        {"one that reaches over all", {{0, 100}, {20, 40}, {60, 80}}, 3, {0, 1, 2}, 3},
        {"negative times", {{-60, -40}, {-40, -20}, {-20, 0}, {0, 20}}, 4, {0, 1, 2}, 3},
    };
    static const int64_t ranges[] = {20, 60, 180, 540, 1620};

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {.next = NULL};
        BlockMeta metas[BLOCKS_MAX] = {{.level = 1}};
        const BlockMeta *pointers[BLOCKS_MAX];
        for (int i = 0; i < c->count; i++) {
            metas[i] =
                (BlockMeta){.min_t_ms = c->times[i][0], .max_t_ms = c->times[i][1], .level = 1};
            pointers[i] = &metas[i];
        }

        const CompactRules rules = {ranges, COUNT_OF(ranges), c->leaves_overlaps};
        CompactPlan plan = compact_plan(pointers, (size_t)c->count, &rules, &arena);

        CHECK_EQ(plan.count, c->want_count);
        for (size_t i = 0; i < plan.count; i++)
            CHECK_EQ(plan.indices[i], c->want[i]);
    }
}

TEST(compact, plans_a_block_of_which_much_was_deleted)
{
    static const int64_t ranges[] = {20, 60, 180};
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    BlockMeta metas[] = {
        {.min_t_ms = 0, .max_t_ms = 540, .stats = {.series = 10, .tombstones = 3}},
        {.min_t_ms = 540, .max_t_ms = 560},
    };
    const BlockMeta *pointers[] = {&metas[0], &metas[1]};

    const CompactRules rules = {ranges, COUNT_OF(ranges), false};
    CompactPlan plan = compact_plan(pointers, 2, &rules, &arena);
    CHECK_EQ(plan.count, 1);
    CHECK_EQ(plan.indices[0], 0);
    metas[0].stats.series = 1000;
    CHECK_EQ(compact_plan(pointers, 2, &rules, &arena).count, 0);
}

TEST(compact, waits_for_uploads)
{
    static const struct {
        const char *name, *json;
        size_t done; // of five: the third has been merged before
        bool ok;
    } cases[] = {
        {"none", "{\"version\":1,\"uploaded\":[]}", 0, true},
        {"no list", "{\"version\":1}", 0, true},
        {"null", "{\"uploaded\":null}", 0, true},
        {"the first", "{\"uploaded\":[\"01JZ0000000000000000000001\"]}", 1, true},
        {"two, and what was merged",
         "{\"uploaded\":[\"01JZ0000000000000000000002\",\"01JZ0000000000000000000001\"]}", 3, true},
        {"a gap", "{\"uploaded\":[\"01JZ0000000000000000000001\",\"01JZ0000000000000000000004\"]}",
         1, true},
        {"strangers", "{\"uploaded\":[1,\"x\",\"01JZ0000000000000000000009\"]}", 0, true},
        {"no JSON", "{", 0, false},
        {"no object", "[]", 0, false},
        {"no array", "{\"uploaded\":{}}", 0, false},
        {"no file", NULL, 0, false},
    };
    static const char *const ulids[] = {"01JZ0000000000000000000001", "01JZ0000000000000000000002",
                                        "01JZ0000000000000000000003", "01JZ0000000000000000000004",
                                        "01JZ0000000000000000000005"};
    BlockMeta metas[COUNT_OF(ulids)];
    const BlockMeta *pointers[COUNT_OF(ulids)];
    for (size_t i = 0; i < COUNT_OF(ulids); i++) {
        metas[i] = (BlockMeta){.level = i == 2 ? 2 : 1};
        CHECK(ulid_parse(str_from_c(ulids[i]), &metas[i].ulid));
        pointers[i] = &metas[i];
    }

    EACH_CASE(c, cases) {
        CLEANUP(scratch_remove) Scratch scratch = scratch_new();
        CLEANUP(arena_deinit) Arena arena = {.next = NULL};
        Str path = fs_join(&arena, str_from_c(scratch.path), S("shipper.json"));
        size_t done = 99;
        Error err = {0};
        if (c->json)
            CHECK_OK(fs_write_atomic(&fs_system, path, str_from_c(c->json), &err), err);

        bool ok = compact_uploads_done(&fs_system, path, pointers, COUNT_OF(ulids), &done, &err);

        CHECK_EQ(ok, c->ok);
        CHECK_EQ(done, c->ok ? c->done : 99);
    }
}

static void check_same_samples(Querier *got, Querier *want)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    SeriesList a, b;
    Error err = {0};

    CHECK_OK(got->select(got, NULL, 0, NULL, &arena, &a, &err), err);
    CHECK_OK(want->select(want, NULL, 0, NULL, &arena, &b, &err), err);
    CHECK_EQ(a.count, b.count);
    for (size_t i = 0; i < a.count; i++) {
        SampleColumns x, y;
        CHECK(labels_equal(a.series[i].labels, b.series[i].labels));
        CHECK_OK(got->read(got, a.series[i].handle, INT64_MIN, INT64_MAX, &arena, &x, &err), err);
        CHECK_OK(want->read(want, b.series[i].handle, INT64_MIN, INT64_MAX, &arena, &y, &err), err);
        CHECK_EQ(x.count, y.count);
        for (size_t k = 0; k < x.count; k++) {
            CHECK_EQ(x.t_ms[k], y.t_ms[k]);
            if (x.histograms)
                CHECK_DOUBLE(x.histograms[k]->count, y.histograms[k]->count);
            else
                CHECK_DOUBLE(x.value[k], y.value[k]);
        }
    }
}

typedef struct Pair {
    FakeSource first;
    FakeSource second;
    FakeSource whole;
    Block *blocks[2];
} Pair;

static void pair_init(Pair *pair, Str dir, int64_t first_end, int64_t second_begin)
{
    fake_init(&pair->first, 60, 0, first_end, STEP_MS);
    fake_init(&pair->second, 60, second_begin, 2400000, STEP_MS);
    fake_init(&pair->whole, 60, 0, 2400000, STEP_MS);
    pair->first.histograms = pair->second.histograms = pair->whole.histograms = true;
    pair->blocks[0] = fake_block(&pair->first, &fs_system, dir, 1000);
    pair->blocks[1] = fake_block(&pair->second, &fs_system, dir, 2000);
}

static void pair_deinit(Pair *pair)
{
    block_unref(pair->blocks[0]);
    block_unref(pair->blocks[1]);
    fake_deinit(&pair->first);
    fake_deinit(&pair->second);
    fake_deinit(&pair->whole);
}

TEST(compact, makes_one_block_of_two)
{
    static const struct {
        const char *name;
        int64_t first_end, second_begin;
    } cases[] = {
        {"side by side", 1200000, 1200000},
        {"overlapping by half", 1800000, 600000},
        {"one within the other", 2400000, 900000},
    };

    EACH_CASE(c, cases) {
        CLEANUP(scratch_remove) Scratch scratch = scratch_new();
        CLEANUP(arena_deinit) Arena arena = {.next = NULL};
        Str dir = str_from_c(scratch.path);
        Error err = {0};
        const CompactOutput output = {
            .fs = &fs_system, .dir = dir, .ulid = ulid_new(3000), .samples_per_chunk = 120};
        bool made = false;
        Pair pair;
        pair_init(&pair, dir, c->first_end, c->second_begin);

        CHECK_OK(compact_blocks(&output, pair.blocks, 2, NULL, &made, &err), err);

        Block *block = NULL;
        CHECK(made);
        CHECK_OK(block_open(&fs_system, fs_join(&arena, dir, ulid_str(&output.ulid)), &block, &err),
                 err);
        const BlockMeta *meta = block_meta(block);
        CHECK_EQ(meta->level, 2);
        CHECK_EQ(meta->source_count, 2);
        CHECK_EQ(meta->parent_count, 2);
        CHECK_EQ(meta->min_t_ms, 0);
        CHECK_EQ(meta->max_t_ms, 2400000);
        CHECK_EQ(meta->stats.samples, 60 * 160);
        Querier *querier = merge_querier_new(NULL, &block, 1, INT64_MIN, INT64_MAX);
        check_same_samples(querier, &pair.whole.querier);
        querier->close(querier);
        block_unref(block);
        pair_deinit(&pair);
    }
}

TEST(compact, leaves_out_what_was_deleted)
{
    CLEANUP(scratch_remove) Scratch scratch = scratch_new();
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Str dir = str_from_c(scratch.path);
    Error err = {0};
    CompactOutput output = {
        .fs = &fs_system, .dir = dir, .ulid = ulid_new(3000), .samples_per_chunk = 120};
    Matcher one, all;
    bool made = false;
    Pair pair;
    pair_init(&pair, dir, 1200000, 1200000);
    CHECK_OK(matcher_init(&one, MATCH_EQUAL, S("instance"), S("host-7"), &arena, &err), err);
    CHECK_OK(matcher_init(&all, MATCH_EQUAL, S("job"), S("test"), &arena, &err), err);
    CHECK_OK(block_delete(pair.blocks[0], &one, 1, 0, 599999, &err), err);
    CHECK_OK(block_delete(pair.blocks[1], &one, 1, 0, INT64_MAX, &err), err);

    CHECK_OK(compact_blocks(&output, pair.blocks, 2, NULL, &made, &err), err);

    Block *block = NULL;
    CHECK_OK(block_open(&fs_system, fs_join(&arena, dir, ulid_str(&output.ulid)), &block, &err),
             err);
    CHECK_EQ(block_meta(block)->stats.samples, 60 * 160 - 40 - 80);
    CHECK_EQ(block_tombstone_count(block), 0);

    CHECK_OK(block_delete(block, &all, 1, INT64_MIN, INT64_MAX, &err), err);
    output.ulid = ulid_new(4000);
    CHECK_OK(compact_blocks(&output, &block, 1, NULL, &made, &err), err);
    CHECK(!made);
    matcher_deinit(&one);
    matcher_deinit(&all);
    block_unref(block);
    pair_deinit(&pair);
}

TEST(compact, a_failure_leaves_the_inputs_readable_and_nothing_else)
{
    CLEANUP(scratch_remove) Scratch scratch = scratch_new();
    Str dir = str_from_c(scratch.path);
    Pair pair;
    pair_init(&pair, dir, 1800000, 600000);

    for (uint64_t fail_at = 1;; fail_at++) {
        CLEANUP(arena_deinit) Arena arena = {.next = NULL};
        FsFault fault = {.fail_at = fail_at, .error_number = 28, .torn_bytes = 11};
        Fs fs = {&fault};
        const CompactOutput output = {
            .fs = &fs, .dir = dir, .ulid = ulid_new(3000), .samples_per_chunk = 120};
        Error err = {0};
        FsList list;
        bool made = false;

        bool ok = compact_blocks(&output, pair.blocks, 2, NULL, &made, &err);

        Error ignored = {0};
        CHECK_OK(fs_list(&fs_system, dir, &arena, &list, &ignored), ignored);
        CHECK_EQ(list.count, ok ? 3 : 2);
        if (ok) {
            CHECK(fail_at > 10);
            break;
        }
        CHECK_EQ(err.code, ERR_IO);
        Querier *querier = merge_querier_new(NULL, pair.blocks, 2, INT64_MIN, INT64_MAX);
        if (fail_at % 10 == 1)
            check_same_samples(querier, &pair.whole.querier);
        querier->close(querier);
    }
    pair_deinit(&pair);
}

TEST(retention, chooses_the_oldest_and_keeps_the_newest)
{
    static const struct {
        const char *name;
        RetentionLimits limits;
        uint64_t other;
        size_t by_time, by_size;
    } cases[] = {
        {"no limits", {0, 0}, 0, 0, 0},
        {"exactly as old as allowed goes", {300, 0}, 0, 1, 1},
        {"a little younger stays", {301, 0}, 0, 0, 0},
        {"two are too old", {150, 0}, 0, 2, 2},
        {"the newest always stays", {1, 0}, 0, 3, 3},
        {"all fit", {0, 40}, 0, 0, 0},
        {"one too many", {0, 39}, 0, 0, 1},
        {"the log counts", {0, 40}, 1, 0, 1},
        {"the newest stays, too large as it is", {0, 1}, 100, 0, 3},
        {"time first, then size", {150, 15}, 0, 2, 3},
    };
    static const RetentionBlock blocks[] = {{100, 10}, {200, 10}, {300, 10}, {400, 10}};

    EACH_CASE(c, cases) {
        RetentionChoice choice = retention_choose(blocks, 4, c->limits, c->other);

        CHECK_EQ(choice.by_time, c->by_time);
        CHECK_EQ(choice.by_size, c->by_size);
    }
    CHECK_EQ(retention_choose(NULL, 0, (RetentionLimits){1, 1}, 5).by_size, 0);
}

TEST_MAIN(compact, TEST_ROW(compact, ranges_grow_threefold),
          TEST_ROW(compact, plans_as_prometheus_does), TEST_ROW(compact, waits_for_uploads),
          TEST_ROW(compact, plans_a_block_of_which_much_was_deleted),
          TEST_ROW(compact, makes_one_block_of_two), TEST_ROW(compact, leaves_out_what_was_deleted),
          TEST_ROW(compact, a_failure_leaves_the_inputs_readable_and_nothing_else),
          TEST_ROW(retention, chooses_the_oldest_and_keeps_the_newest))
