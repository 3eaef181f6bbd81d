// SPDX-License-Identifier: Apache-2.0
#include "tsdb/tsdb_offline.h"
#include "tsdb/tsdb_test_util.h"

#define REPAIR_SERIES 5
#define SAMPLES 240 // of each
#define DELETED 10
#define ALL (REPAIR_SERIES * SAMPLES)

// One block of all that f has, without a log, and some of a series deleted; its folder lies in the arena.
static Str make_block(Store *s, FakeSource *f, Arena *arena)
{
    Error err = {0};
    Block *block;
    Matcher m;
    Str ulid;

    fake_init(f, REPAIR_SERIES, START_MS, START_MS + SAMPLES * STEP_MS, STEP_MS);
    CHECK_OK(tsdb_offline_write_block(&fs_system, s->options.dir, &f->source, f->from_t_ms,
                                      START_MS + 2 * HOUR_MS, arena, &ulid, &err),
             err);
    Str dir = fs_join(arena, s->options.dir, ulid);
    CHECK_OK(block_open(&fs_system, dir, &block, &err), err);
    CHECK_OK(matcher_init(&m, MATCH_EQUAL, S("instance"), S("host-2"), arena, &err), err);
    CHECK_OK(block_delete(block, &m, 1, START_MS, START_MS + (DELETED - 1) * STEP_MS, &err), err);
    matcher_deinit(&m);
    block_unref(block);
    return dir;
}

typedef enum Damage { GONE, GARBAGE, HALF, LAST_BIT, REF_BIT } Damage;

static void damage(Str path, Damage how, Arena *arena)
{
    Error err = {0};
    Str old;

    if (how == GONE) {
        CHECK_OK(fs_unlink(&fs_system, path, &err), err);
        return;
    }
    CHECK_OK(fs_read_file(&fs_system, path, arena, 1 << 20, &old, &err), err);
    char *bytes = memcpy(arena_alloc(arena, old.len), old.ptr, old.len);
    Str text = {bytes, how == HALF ? old.len / 2 : old.len};
    if (how == GARBAGE)
        memset(bytes, 'x', old.len);
    else if (how == LAST_BIT)
        bytes[old.len - 1] ^= 1;
    else if (how == REF_BIT)
        bytes[5] ^= 0x40;
    CHECK_OK(fs_write_atomic(&fs_system, path, text, &err), err);
}

// How many there are; each has its value.
static size_t count_right_samples(Tsdb *tsdb, const FakeSource *f)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Source *source = tsdb_source(tsdb);
    Querier *q;
    SeriesList list;
    Error err = {0};
    size_t count = 0;

    CHECK_OK(source->open(source, INT64_MIN, INT64_MAX, &q, &err), err);
    CHECK_OK(q->select(q, NULL, 0, NULL, &arena, &list, &err), err);
    for (size_t i = 0; i < list.count; i++) {
        SampleColumns x;
        CHECK(labels_equal(list.series[i].labels, f->entries[i].labels));
        CHECK_OK(q->read(q, list.series[i].handle, INT64_MIN, INT64_MAX, &arena, &x, &err), err);
        for (size_t k = 0; k < x.count; k++)
            CHECK_DOUBLE(x.value[k], fake_value(f->entries[i].handle, x.t_ms[k]));
        count += x.count;
    }
    q->close(q);
    return count;
}

static void check_made_up_meta(const BlockMeta *meta, size_t samples)
{
    CHECK_EQ(meta->min_t_ms, START_MS);
    CHECK_EQ(meta->max_t_ms, START_MS + (SAMPLES - 1) * STEP_MS + 1);
    CHECK_EQ(meta->level, 1);
    CHECK_EQ(meta->source_count, 1);
    CHECK(ulid_equal(&meta->sources[0], &meta->ulid));
    CHECK(block_meta_is_late(meta));
    CHECK_EQ(meta->stats.samples, samples);
    CHECK_EQ(meta->stats.series, REPAIR_SERIES);
}

// The block is good but for one file.
TEST(tsdb_repair, what_can_be_read_stays_whichever_file_is_damaged)
{
    static const struct {
        const char *name;
        Str file;
        Damage how;
        bool aside; // the server has put it aside before
        size_t samples;
        const char *told, *done;
    } cases[] = {
        {"meta gone", STR("meta.json"), GONE, false, ALL - DELETED, "meta.json", "meta.json made"},
        {"meta garbage", STR("meta.json"), GARBAGE, false, ALL - DELETED, "meta.json",
         "meta.json made"},
        {"meta cut", STR("meta.json"), HALF, false, ALL - DELETED, "meta.json", "meta.json made"},
        {"meta cut, aside", STR("meta.json"), HALF, true, ALL - DELETED, "meta.json",
         "meta.json made"},
        {"tombstones garbage", STR("tombstones"), GARBAGE, false, ALL,
         "tombstones: ", "0 tombstones are good, samples that others had deleted are back"},
        {"tombstones of no series", STR("tombstones"), REF_BIT, true, ALL, "wrong checksum",
         "0 tombstones are good"},
        {"checksum of tombstones", STR("tombstones"), LAST_BIT, false, ALL - DELETED,
         "wrong checksum", "1 tombstones are good"},
        {"index garbage", STR("index"), GARBAGE, false, 0, "index", "put aside"},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {.next = NULL};
        Store s;
        FakeSource f;
        TsdbFindings findings;
        Error err = {0};
        store_init(&s);
        Str dir = make_block(&s, &f, &arena);
        Str aside = arena_printf(&arena, STR_FMT ".corrupt", STR_ARG(dir));
        tsdb_close(s.tsdb);
        damage(fs_join(&arena, dir, c->file), c->how, &arena);
        if (c->aside)
            CHECK_OK(fs_rename(&fs_system, dir, aside, &err), err);

        CHECK_OK(tsdb_offline_repair(&fs_system, s.options.dir, &arena, &findings, &err), err);

        CHECK_EQ(findings.faults, 1);
        CHECK_HAS(arena_printf(&arena, STR_FMT, STR_ARG(findings.items[0].text)).ptr, c->told);
        CHECK_HAS(arena_printf(&arena, STR_FMT, STR_ARG(findings.items[0].done)).ptr, c->done);
        CHECK(!fs_exists(&fs_system, dir));
        CHECK(fs_exists(&fs_system, aside));
        store_open(&s);
        CHECK_EQ(count_right_samples(s.tsdb, &f), c->samples);
        TsdbBlocks blocks = tsdb_blocks_take(s.tsdb);
        CHECK_EQ(blocks.count, c->samples ? 1 : 0);
        if (str_is(c->file, "meta.json"))
            check_made_up_meta(block_meta(blocks.items[0]), c->samples);
        else if (blocks.count)
            CHECK(!block_meta_is_late(block_meta(blocks.items[0])));
        tsdb_blocks_give(&blocks);
        tsdb_close(s.tsdb);
        CHECK_OK(tsdb_offline_verify(&fs_system, s.options.dir, &arena, &findings, &err), err);
        CHECK_EQ(findings.faults, c->samples ? 0 : 1);
        store_open(&s);
        fake_deinit(&f);
        store_deinit(&s);
    }
}

// Whether it had all in-order samples up to its end is not known: the log has the others.
TEST(tsdb_repair, a_block_without_its_meta_hides_no_sample_of_the_log)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Store s;
    FakeSource f, some;
    TsdbFindings findings;
    Error err = {0};
    store_init(&s);
    fake_init(&f, SERIES, START_MS, START_MS + SAMPLES * STEP_MS, STEP_MS);
    test_pour(s.tsdb, &f);
    Str dir = make_block(&s, &some, &arena);
    tsdb_close(s.tsdb);
    damage(fs_join(&arena, dir, S("meta.json")), GONE, &arena);

    CHECK_OK(tsdb_offline_repair(&fs_system, s.options.dir, &arena, &findings, &err), err);
    store_open(&s);

    CHECK_EQ(test_count_blocks(s.tsdb), 1);
    test_check_holds(s.tsdb, &f, INT64_MIN, INT64_MAX);
    fake_deinit(&some);
    fake_deinit(&f);
    store_deinit(&s);
}

TEST_MAIN(tsdb_repair, TEST_ROW(tsdb_repair, what_can_be_read_stays_whichever_file_is_damaged),
          TEST_ROW(tsdb_repair, a_block_without_its_meta_hides_no_sample_of_the_log))
