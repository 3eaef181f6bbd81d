// SPDX-License-Identifier: Apache-2.0
#include "tsdb/tsdb.h"

#include <sched.h>

#include "base/log.h"
#include "base/reader.h"
#include "base/test.h"
#include "base/thread.h"
#include "tsdb/block_fake.h"
#include "tsdb/tsdb_internal.h"

#define SERIES 30
#define STEP_MS 15000
#define HOUR_MS INT64_C(3600000)
#define START_MS (INT64_C(472222) * HOUR_MS) // even: aligned to two hours

typedef struct Store {
    Scratch scratch;
    Tsdb *tsdb;
    TsdbOptions options;
    ClockFake clock;
} Store;

static void store_open(Store *s)
{
    Error err = {0};
    CHECK_OK(tsdb_open(&s->options, &s->tsdb, &err), err);
}

static void store_init(Store *s)
{
    s->scratch = scratch_new();
    clock_fake_init(&s->clock, START_MS);
    tsdb_options_default(&s->options);
    s->options.dir = str_from_c(s->scratch.path);
    s->options.clock = &s->clock.clock;
    s->options.wal_sync = TSDB_SYNC_NONE;
    store_open(s);
}

static void store_deinit(Store *s)
{
    tsdb_close(s->tsdb);
    scratch_remove(&s->scratch);
}

static void store_reopen(Store *s)
{
    tsdb_close(s->tsdb);
    store_open(s);
}

// Pours the source's samples in, one commit per time.
static void pour(Tsdb *tsdb, FakeSource *f)
{
    Sink *sink = tsdb_sink(tsdb);
    SeriesRef *refs = X_ARRAY(SeriesRef, f->count);
    SinkSample *samples = X_ARRAY(SinkSample, f->count);
    Error err = {0};

    for (int64_t t = f->from_t_ms; t < f->to_t_ms; t += f->step_ms) {
        CLEANUP(arena_deinit) Arena arena = {.next = NULL};
        Appender *a = sink->begin(sink);
        for (size_t i = 0; i < f->count; i++) {
            bool created;
            uint64_t series = f->entries[i].handle;
            if (t == f->from_t_ms)
                refs[i] = a->series(a, f->entries[i].labels, &created, &err);
            CHECK(refs[i] != 0);
            samples[i] =
                (SinkSample){.ref = refs[i], .t_ms = t, .value = fake_value(series, t) + f->offset};
            if (f->histograms && fake_has_histograms(series))
                samples[i].histogram = fake_histogram(&arena, series, t);
        }
        CHECK_EQ(a->append(a, samples, f->count), f->count);
        CHECK_OK(a->commit(a, &err), err);
    }
    free(refs);
    free(samples);
}

static size_t count_blocks(Tsdb *tsdb)
{
    CLEANUP(buf_deinit) Buf text = {.ptr = NULL};
    JsonWriter json;
    size_t count = 0;

    json_writer_init(&json, &text);
    tsdb_blocks_json(tsdb, &json);
    for (Str rest = buf_str(&text); str_find(rest, S("\"minTime\":")) != STR_NOT_FOUND;) {
        rest = str_skip(rest, str_find(rest, S("\"minTime\":")) + 5);
        count++;
    }
    // Parents would be counted too; there are none of them here.
    return count;
}

// The store holds the source's samples between both times and nothing else there.
static void check_holds(Tsdb *tsdb, FakeSource *f, int64_t min_t_ms, int64_t max_t_ms)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Source *source = tsdb_source(tsdb);
    Querier *got;
    SeriesList a, b;
    Error err = {0};

    CHECK_OK(source->open(source, min_t_ms, max_t_ms, &got, &err), err);
    CHECK_OK(got->select(got, NULL, 0, NULL, &arena, &a, &err), err);
    CHECK_OK(fake_select(&f->querier, NULL, 0, NULL, &arena, &b, &err), err);
    CHECK_EQ(a.count, b.count);
    for (size_t i = 0; i < a.count; i++) {
        SampleColumns x, y;
        CHECK(labels_equal(a.series[i].labels, b.series[i].labels));
        CHECK_OK(got->read(got, a.series[i].handle, min_t_ms, max_t_ms, &arena, &x, &err), err);
        CHECK_OK(fake_read(&f->querier, b.series[i].handle, min_t_ms, max_t_ms, &arena, &y, &err),
                 err);
        CHECK_EQ(x.count, y.count);
        for (size_t k = 0; k < x.count; k++) {
            CHECK_EQ(x.t_ms[k], y.t_ms[k]);
            if (x.histograms && x.histograms[k])
                CHECK_DOUBLE(x.histograms[k]->count, y.histograms[k]->count);
            else
                CHECK_DOUBLE(x.value[k], y.value[k]);
        }
    }
    got->close(got);
}

TEST(tsdb, cuts_the_head_into_blocks_and_keeps_every_sample)
{
    Store s;
    FakeSource f;
    Error err = {0};
    store_init(&s);
    fake_init(&f, SERIES, START_MS, START_MS + 7 * HOUR_MS, STEP_MS);
    f.histograms = true;

    pour(s.tsdb, &f);
    check_holds(s.tsdb, &f, INT64_MIN, INT64_MAX);
    CHECK_EQ(count_blocks(s.tsdb), 0);
    CHECK_OK(tsdb_compact(s.tsdb, &err), err);

    CHECK_EQ(count_blocks(s.tsdb), 2); // two of two hours; three hours stay in the head
    check_holds(s.tsdb, &f, INT64_MIN, INT64_MAX);
    check_holds(s.tsdb, &f, START_MS + HOUR_MS, START_MS + 5 * HOUR_MS);
    store_reopen(&s);
    CHECK_EQ(count_blocks(s.tsdb), 2);
    check_holds(s.tsdb, &f, INT64_MIN, INT64_MAX);

    store_deinit(&s);
    fake_deinit(&f);
}

TEST(tsdb, compacts_blocks_and_removes_what_they_were_made_of)
{
    Store s;
    FakeSource f;
    Error err = {0};
    FsList list;
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    store_init(&s);
    fake_init(&f, 5, START_MS - START_MS % (6 * HOUR_MS),
              START_MS - START_MS % (6 * HOUR_MS) + 14 * HOUR_MS, 60000);

    pour(s.tsdb, &f);
    CHECK_OK(tsdb_compact(s.tsdb, &err), err);

    check_holds(s.tsdb, &f, INT64_MIN, INT64_MAX);
    size_t dirs = 0;
    CHECK_OK(fs_list(&fs_system, s.options.dir, &arena, &list, &err), err);
    for (size_t i = 0; i < list.count; i++) {
        Ulid ulid;
        dirs += ulid_parse(list.entries[i].name, &ulid);
        CHECK(!str_ends_with(list.entries[i].name, S(".tmp-for-deletion")));
    }
    // 12 hours were cut: two of two hours each wait for the newest of theirs, or three make one of six.
    CHECK_EQ(dirs, 1 + 3);
    store_reopen(&s);
    check_holds(s.tsdb, &f, INT64_MIN, INT64_MAX);

    store_deinit(&s);
    fake_deinit(&f);
}

TEST(tsdb, a_second_process_is_refused)
{
    Store s;
    Tsdb *second = NULL;
    Error err = {0};
    store_init(&s);

    CHECK(!tsdb_open(&s.options, &second, &err));
    CHECK_EQ(err.code, ERR_CONFLICT);
    CHECK_HAS(err.text, "in use");

    store_deinit(&s);
}

TEST(tsdb, deletes_in_head_and_blocks_and_cleans_up)
{
    Store s;
    FakeSource f;
    Error err = {0};
    Matcher m;
    SeriesList list;
    SampleColumns columns;
    Querier *querier;
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    store_init(&s);
    fake_init(&f, SERIES, START_MS, START_MS + 5 * HOUR_MS, STEP_MS);
    pour(s.tsdb, &f);
    CHECK_OK(tsdb_compact(s.tsdb, &err), err);
    CHECK_OK(matcher_init(&m, MATCH_EQUAL, S("instance"), S("host-7"), &arena, &err), err);

    CHECK_OK(tsdb_delete(s.tsdb, &m, 1, START_MS + HOUR_MS, START_MS + 4 * HOUR_MS, &err), err);
    for (int round = 0; round < 3; round++) {
        Source *source = tsdb_source(s.tsdb);
        CHECK_OK(source->open(source, INT64_MIN, INT64_MAX, &querier, &err), err);
        CHECK_OK(querier->select(querier, &m, 1, NULL, &arena, &list, &err), err);
        CHECK_EQ(list.count, 1);
        CHECK_OK(querier->read(querier, list.series[0].handle, INT64_MIN, INT64_MAX, &arena,
                               &columns, &err),
                 err);
        CHECK_EQ(columns.count, 2 * 240 - 1);
        CHECK_EQ(columns.t_ms[239], START_MS + HOUR_MS - STEP_MS);
        CHECK_EQ(columns.t_ms[240], START_MS + 4 * HOUR_MS + STEP_MS);
        querier->close(querier);
        if (round == 0)
            CHECK_OK(tsdb_clean_tombstones(s.tsdb, &err), err);
        else if (round == 1)
            store_reopen(&s);
    }

    matcher_deinit(&m);
    store_deinit(&s);
    fake_deinit(&f);
}

TEST(tsdb, a_snapshot_holds_everything)
{
    Store s;
    FakeSource f;
    Error err = {0};
    Str name;
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    store_init(&s);
    fake_init(&f, SERIES, START_MS, START_MS + 5 * HOUR_MS, STEP_MS);
    f.histograms = true;
    pour(s.tsdb, &f);
    CHECK_OK(tsdb_compact(s.tsdb, &err), err);

    CHECK_OK(tsdb_snapshot(s.tsdb, false, &arena, &name, &err), err);
    TsdbOptions copy = s.options;
    copy.dir = fs_join(&arena, fs_join(&arena, s.options.dir, S("snapshots")), name);
    Tsdb *tsdb;
    CHECK_OK(tsdb_open(&copy, &tsdb, &err), err);
    CHECK_EQ(count_blocks(tsdb), 2);
    check_holds(tsdb, &f, INT64_MIN, INT64_MAX);
    tsdb_close(tsdb);

    CHECK_OK(tsdb_snapshot(s.tsdb, true, &arena, &name, &err), err);
    copy.dir = fs_join(&arena, fs_join(&arena, s.options.dir, S("snapshots")), name);
    CHECK_OK(tsdb_open(&copy, &tsdb, &err), err);
    CHECK_EQ(count_blocks(tsdb), 1);
    tsdb_close(tsdb);

    store_deinit(&s);
    fake_deinit(&f);
}

TEST(tsdb, a_snapshot_holds_what_came_late_and_nothing_that_was_deleted)
{
    Store s;
    FakeSource f, late, early, kept;
    Error err = {0};
    Str name;
    Tsdb *copy;
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    store_init(&s);
    s.options.out_of_order_window_ms = 100 * HOUR_MS;
    store_reopen(&s);
    fake_init(&f, SERIES, START_MS, START_MS + 7 * HOUR_MS, STEP_MS);
    fake_init(&early, SERIES, START_MS + 3 * HOUR_MS, START_MS + 7 * HOUR_MS, STEP_MS);
    fake_init(&late, SERIES, START_MS, START_MS + 3 * HOUR_MS, STEP_MS);
    fake_init(&kept, SERIES, START_MS, START_MS + 5 * HOUR_MS, STEP_MS);
    f.histograms = early.histograms = late.histograms = kept.histograms = true;
    pour(s.tsdb, &early);
    pour(s.tsdb, &late);

    CHECK_OK(tsdb_snapshot(s.tsdb, false, &arena, &name, &err), err);
    TsdbOptions options = s.options;
    options.dir = fs_join(&arena, fs_join(&arena, s.options.dir, S("snapshots")), name);
    CHECK_OK(tsdb_open(&options, &copy, &err), err);
    check_holds(copy, &f, INT64_MIN, INT64_MAX);
    tsdb_close(copy);
    CHECK_OK(tsdb_delete(s.tsdb, NULL, 0, START_MS + 5 * HOUR_MS, INT64_MAX, &err), err);
    CHECK_OK(tsdb_snapshot(s.tsdb, false, &arena, &name, &err), err);
    options.dir = fs_join(&arena, fs_join(&arena, s.options.dir, S("snapshots")), name);
    CHECK_OK(tsdb_open(&options, &copy, &err), err);
    check_holds(copy, &kept, INT64_MIN, INT64_MAX);
    tsdb_close(copy);

    store_deinit(&s);
    fake_deinit(&f);
    fake_deinit(&late);
    fake_deinit(&early);
    fake_deinit(&kept);
}

// As after a long time in which no block could be written, and one in which nothing came.
TEST(tsdb, a_head_of_many_hours_becomes_aligned_blocks)
{
    Store s;
    FakeSource before, after;
    Error err = {0};
    int64_t min_t_ms, max_t_ms;
    store_init(&s);
    s.options.max_block_ms = s.options.min_block_ms;
    store_reopen(&s);
    fake_init(&before, SERIES, START_MS, START_MS + 9 * HOUR_MS, 60000);
    fake_init(&after, SERIES, START_MS + 40 * HOUR_MS, START_MS + 53 * HOUR_MS, 60000);
    before.histograms = after.histograms = true;
    pour(s.tsdb, &before);
    pour(s.tsdb, &after);

    CHECK_OK(tsdb_compact(s.tsdb, &err), err);

    TsdbBlocks all = tsdb_blocks_take(s.tsdb);
    CHECK(all.count >= 10 && all.count <= 12);
    for (size_t i = 0; i < all.count; i++) {
        const BlockMeta *meta = block_meta(all.items[i]);
        CHECK_EQ(meta->min_t_ms / (2 * HOUR_MS), (meta->max_t_ms - 1) / (2 * HOUR_MS));
        CHECK(meta->stats.samples > 0);
    }
    tsdb_blocks_give(&all);
    CHECK(head_time_range(s.tsdb->head, &min_t_ms, &max_t_ms));
    CHECK(max_t_ms - min_t_ms <= 3 * HOUR_MS);
    for (int turn = 0; turn < 2; turn++, store_reopen(&s)) {
        check_holds(s.tsdb, &before, INT64_MIN, START_MS + 20 * HOUR_MS);
        check_holds(s.tsdb, &after, START_MS + 20 * HOUR_MS, INT64_MAX);
    }

    store_deinit(&s);
    fake_deinit(&before);
    fake_deinit(&after);
}

TEST(tsdb, late_samples_become_blocks_of_their_own_and_merge)
{
    Store s;
    FakeSource f, late, early;
    Error err = {0};
    store_init(&s);
    s.options.out_of_order_window_ms = 100 * HOUR_MS;
    store_reopen(&s);
    fake_init(&f, SERIES, START_MS, START_MS + 7 * HOUR_MS, STEP_MS);
    fake_init(&early, SERIES, START_MS + 6 * HOUR_MS, START_MS + 7 * HOUR_MS, STEP_MS);
    fake_init(&late, SERIES, START_MS, START_MS + 6 * HOUR_MS, STEP_MS);

    pour(s.tsdb, &early);
    pour(s.tsdb, &late);
    check_holds(s.tsdb, &f, INT64_MIN, INT64_MAX);
    CHECK_OK(tsdb_compact(s.tsdb, &err), err);

    CHECK(count_blocks(s.tsdb) >= 1);
    check_holds(s.tsdb, &f, INT64_MIN, INT64_MAX);
    store_reopen(&s);
    check_holds(s.tsdb, &f, INT64_MIN, INT64_MAX);

    store_deinit(&s);
    fake_deinit(&f);
    fake_deinit(&late);
    fake_deinit(&early);
}

TEST(tsdb, retention_removes_old_blocks_only)
{
    Store s;
    FakeSource f;
    Error err = {0};
    int64_t min_t_ms, max_t_ms;
    store_init(&s);
    fake_init(&f, 5, START_MS, START_MS + 9 * HOUR_MS, 60000);
    pour(s.tsdb, &f);

    tsdb_reconfigure(s.tsdb, 3 * HOUR_MS, 0, 0, (TsdbStaleLimits){0});
    CHECK_OK(tsdb_compact(s.tsdb, &err), err);

    CHECK(tsdb_time_range(s.tsdb, &min_t_ms, &max_t_ms));
    CHECK(min_t_ms > START_MS);
    CHECK_EQ(max_t_ms, START_MS + 9 * HOUR_MS - 60000);
    fake_deinit(&f);
    store_deinit(&s);
}

TEST(tsdb, a_damaged_block_is_put_aside_and_never_deleted)
{
    Store s;
    FakeSource f;
    Error err = {0};
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    FsList list;
    store_init(&s);
    fake_init(&f, 5, START_MS, START_MS + 5 * HOUR_MS, 60000);
    pour(s.tsdb, &f);
    CHECK_OK(tsdb_compact(s.tsdb, &err), err);
    CHECK_EQ(count_blocks(s.tsdb), 1);
    CHECK_OK(fs_list(&fs_system, s.options.dir, &arena, &list, &err), err);
    Str dir = fs_join(&arena, s.options.dir, list.entries[0].name);
    CHECK_OK(fs_write_atomic(&fs_system, fs_join(&arena, dir, S("index")), S("nonsense"), &err),
             err);

    store_reopen(&s);

    CHECK_EQ(count_blocks(s.tsdb), 0);
    CHECK_OK(tsdb_compact(s.tsdb, &err), err);
    CHECK(!fs_exists(&fs_system, dir));
    CHECK(fs_exists(&fs_system, arena_printf(&arena, STR_FMT ".corrupt/index", STR_ARG(dir))));
    CHECK_EQ(s.tsdb->counters.blocks_quarantined, 1);
    fake_deinit(&f);
    store_deinit(&s);
}

// Counts the chunks of each encoding in the first segment of each block: 8 bytes, then uvarint length, encoding, bytes, CRC.
static void count_encodings(Store *s, size_t counts[8])
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    FsList list;
    Error err = {0};
    memset(counts, 0, 8 * sizeof *counts);
    CHECK_OK(fs_list(&fs_system, s->options.dir, &arena, &list, &err), err);
    for (size_t i = 0; i < list.count; i++) {
        Str bytes;
        if (list.entries[i].name.len != 26)
            continue; // no block
        Str dir = fs_join(&arena, s->options.dir, list.entries[i].name);
        CHECK_OK(fs_read_file(&fs_system, fs_join(&arena, dir, S("chunks/000001")), &arena, 1 << 24,
                              &bytes, &err),
                 err);
        Reader r = reader_from(str_skip(bytes, 8));
        while (r.at < r.end) {
            uint64_t len = reader_uvarint(&r);
            counts[*r.at & 7]++;
            r.at += 1 + len + 4;
        }
        CHECK(!r.failed);
    }
}

TEST(tsdb, floats_are_packed_in_blocks_as_the_configuration_says)
{
    Store s;
    FakeSource f;
    Error err = {0};
    size_t counts[8];
    store_init(&s);
    s.options.out_of_order_window_ms = 100 * HOUR_MS;
    store_reopen(&s);
    fake_init(&f, SERIES, START_MS, START_MS + 7 * HOUR_MS, STEP_MS);
    FakeSource early, late;
    fake_init(&early, SERIES, START_MS + 3 * HOUR_MS, START_MS + 7 * HOUR_MS, STEP_MS);
    fake_init(&late, SERIES, START_MS, START_MS + 3 * HOUR_MS, STEP_MS);

    tsdb_pack_xor2(s.tsdb, true);
    pour(s.tsdb, &early);
    pour(s.tsdb, &late);
    CHECK_OK(tsdb_compact(s.tsdb, &err), err);
    count_encodings(&s, counts);
    CHECK_EQ(counts[CHUNK_XOR], 0);
    CHECK(counts[CHUNK_XOR2] >= SERIES);
    check_holds(s.tsdb, &f, INT64_MIN, INT64_MAX);
    store_reopen(&s); // without
    check_holds(s.tsdb, &f, INT64_MIN, INT64_MAX);

    store_deinit(&s);
    fake_deinit(&f);
    fake_deinit(&late);
    fake_deinit(&early);
}

// Turns a byte in the middle of the first segment.
static void damage_chunks(Str block, Arena *arena)
{
    File file = FILE_NONE;
    Error err = {0};
    uint64_t bytes;
    char byte;
    size_t got;
    Str path = fs_join(arena, block, S("chunks/000001"));

    CHECK_OK(fs_open(&fs_system, path, FS_READ_WRITE, &file, &err), err);
    CHECK_OK(file_size(&file, &bytes, &err), err);
    CHECK_OK(file_read_at(&file, bytes / 2, &byte, 1, &got, &err), err);
    byte = (char)(byte ^ 0x55);
    CHECK_OK(file_write_at(&file, bytes / 2, (Str){&byte, 1}, &err), err);
    file_close(&file);
}

TEST(tsdb, compaction_goes_on_without_a_damaged_block)
{
    Store s;
    FakeSource f;
    Error err = {0};
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    store_init(&s);
    int64_t start = START_MS - START_MS % (6 * HOUR_MS);
    fake_init(&f, 5, start, start + 7 * HOUR_MS, 60000);
    pour(s.tsdb, &f);
    CHECK_OK(tsdb_compact(s.tsdb, &err),
             err); // blocks of two hours: three of them, the first two closed
    size_t before = s.tsdb->block_count;
    CHECK(before >= 2);
    damage_chunks(block_dir(s.tsdb->blocks[0]), &arena);
    Ulid damaged = block_meta(s.tsdb->blocks[0])->ulid;
    f.from_t_ms = start + 7 * HOUR_MS;
    f.to_t_ms = start + 26 * HOUR_MS;
    pour(s.tsdb, &f);

    CHECK(!tsdb_compact(s.tsdb, &err)); // says so once

    CHECK_EQ(err.code, ERR_CORRUPT);
    CHECK_EQ(s.tsdb->unfit_count, 1);
    CHECK(ulid_equal(&s.tsdb->unfit[0], &damaged));
    CHECK_OK(tsdb_compact(s.tsdb, &err), err);
    bool merged = false;
    for (size_t i = 0; i < s.tsdb->block_count; i++)
        merged |= block_meta(s.tsdb->blocks[i])->level > 1;
    CHECK(merged);
    check_holds(s.tsdb, &f, f.from_t_ms, f.to_t_ms);
    store_deinit(&s);
    fake_deinit(&f);
}

TEST(tsdb, measures_itself_under_the_known_names)
{
    Store s;
    FakeSource f, late;
    CLEANUP(buf_deinit) Buf text = {.ptr = NULL};
    Registry *registry = registry_new();
    store_init(&s);
    tsdb_close(s.tsdb);
    s.options.registry = registry;
    s.options.out_of_order_window_ms = HOUR_MS;
    store_open(&s);
    fake_init(&f, 5, START_MS, START_MS + 60000, STEP_MS);
    fake_init(&late, 5, START_MS - 1200000, START_MS - 1200000 + STEP_MS, STEP_MS);
    pour(s.tsdb, &f);
    pour(s.tsdb, &late);

    registry_write(registry, REGISTRY_TEXT, &text);

    buf_add_char(&text, '\0');
    CHECK_HAS(text.ptr, "\nprometheus_tsdb_head_series 5\n");
    CHECK_HAS(text.ptr, "\nprometheus_tsdb_head_samples_appended_total{type=\"float\"} 20\n");
    CHECK_HAS(text.ptr, "\nprometheus_tsdb_clean_start 1\n");
    CHECK_HAS(text.ptr, "\nprometheus_tsdb_compactions_failed_total 0\n");
    CHECK_HAS(text.ptr, "\nprometheus_tsdb_reloads_failures_total 0\n");
    CHECK_HAS(text.ptr, "\nprometheus_tsdb_wal_segment_current ");
    // What the original exposes, so its mixin, dashboards and alerts find.
    static const char *const families[] = {
        "blocks_loaded gauge",
        "checkpoint_creations_failed_total counter",
        "checkpoint_creations_total counter",
        "checkpoint_deletions_failed_total counter",
        "checkpoint_deletions_total counter",
        "clean_start gauge",
        "compaction_chunk_range_seconds histogram",
        "compaction_chunk_samples histogram",
        "compaction_chunk_size_bytes histogram",
        "compaction_duration_seconds histogram",
        "compaction_populating_block gauge",
        "compactions_failed_total counter",
        "compactions_skipped_total counter",
        "compactions_total counter",
        "compactions_triggered_total counter",
        "data_replay_duration_seconds gauge",
        "exemplar_exemplars_appended_total counter",
        "exemplar_exemplars_in_storage gauge",
        "exemplar_last_exemplars_timestamp_seconds gauge",
        "exemplar_max_exemplars gauge",
        "exemplar_out_of_order_exemplars_total counter",
        "exemplar_series_with_exemplars_in_storage gauge",
        "head_active_appenders gauge",
        "head_chunks gauge",
        "head_chunks_created_total counter",
        "head_chunks_removed_total counter",
        "head_chunks_storage_size_bytes gauge",
        "head_gc_duration_seconds summary",
        "head_max_time gauge",
        "head_max_time_seconds gauge",
        "head_min_time gauge",
        "head_min_time_seconds gauge",
        "head_out_of_order_samples_appended_total counter",
        "head_samples_appended_total counter",
        "head_series gauge",
        "head_series_created_total counter",
        "head_series_not_found_total counter",
        "head_series_removed_total counter",
        "head_truncations_failed_total counter",
        "head_truncations_total counter",
        "isolation_high_watermark gauge",
        "isolation_low_watermark gauge",
        "lowest_timestamp gauge",
        "lowest_timestamp_seconds gauge",
        "mmap_chunk_corruptions_total counter",
        "mmap_chunks_total counter",
        "out_of_bound_samples_total counter",
        "out_of_order_samples_total counter",
        "out_of_order_wbl_completed_pages_total counter",
        "out_of_order_wbl_fsync_duration_seconds summary",
        "out_of_order_wbl_page_flushes_total counter",
        "out_of_order_wbl_record_bytes_saved_total counter",
        "out_of_order_wbl_record_part_writes_total counter",
        "out_of_order_wbl_record_parts_bytes_written_total counter",
        "out_of_order_wbl_segment_current gauge",
        "out_of_order_wbl_storage_size_bytes gauge",
        "out_of_order_wbl_truncations_failed_total counter",
        "out_of_order_wbl_truncations_total counter",
        "out_of_order_wbl_writes_failed_total counter",
        "reloads_failures_total counter",
        "reloads_total counter",
        "retention_limit_bytes gauge",
        "retention_limit_seconds gauge",
        "sample_ooo_delta histogram",
        "size_retentions_total counter",
        "snapshot_replay_error_total counter",
        "storage_blocks_bytes gauge",
        "symbol_table_size_bytes gauge",
        "time_retentions_total counter",
        "tombstone_cleanup_seconds histogram",
        "too_old_samples_total counter",
        "vertical_compactions_total counter",
        "wal_completed_pages_total counter",
        "wal_corruptions_total counter",
        "wal_fsync_duration_seconds summary",
        "wal_page_flushes_total counter",
        "wal_record_bytes_saved_total counter",
        "wal_record_part_writes_total counter",
        "wal_record_parts_bytes_written_total counter",
        "wal_segment_current gauge",
        "wal_storage_size_bytes gauge",
        "wal_truncate_duration_seconds summary",
        "wal_truncations_failed_total counter",
        "wal_truncations_total counter",
        "wal_writes_failed_total counter",
    };
    for (size_t i = 0; i < COUNT_OF(families); i++) {
        char line[200];
        snprintf(line, sizeof line, "\n# TYPE prometheus_tsdb_%s\n", families[i]);
        CHECK_HAS(text.ptr, line);
    }
    CHECK_HAS(text.ptr, "\nprometheus_tsdb_isolation_high_watermark 5\n");
    CHECK_HAS(text.ptr, "\nprometheus_tsdb_head_appenders_created_total 5\n");
    CHECK_HAS(text.ptr, "\nprometheus_tsdb_wal_record_part_writes_total 5\n");
    CHECK_HAS(text.ptr, "\nprometheus_tsdb_wal_record_bytes_saved_total{compression=\"snappy\"} ");
    // Twenty minutes before the first of four samples, 45 seconds before the newest.
    CHECK_HAS(text.ptr, "\nprometheus_tsdb_sample_ooo_delta_bucket{le=\"600\"} 0\n");
    CHECK_HAS(text.ptr, "\nprometheus_tsdb_sample_ooo_delta_bucket{le=\"1800\"} 5\n");
    CHECK_HAS(text.ptr, "\nprometheus_tsdb_sample_ooo_delta_bucket{le=\"+Inf\"} 5\n");
    CHECK_HAS(text.ptr, "\nprometheus_tsdb_sample_ooo_delta_sum 6225\n");
    CHECK_HAS(text.ptr, "\nprometheus_tsdb_out_of_order_wbl_record_part_writes_total 1\n");
    CHECK_HAS(text.ptr, "\nnarthex_tsdb_head_memory_bytes{part=\"series\"} 65536\n");
    store_deinit(&s);
    registry_free(registry);
    fake_deinit(&late);
    fake_deinit(&f);
}

// Every mutating call of a compaction in turn is the last one the process makes; the next start has everything.
TEST(tsdb, a_kill_at_any_moment_of_compaction_loses_nothing)
{
    FakeSource f;
    fake_init(&f, 3, START_MS - START_MS % (6 * HOUR_MS),
              START_MS - START_MS % (6 * HOUR_MS) + 10 * HOUR_MS, 300000);
    log_setup(LOG_ERROR + 1, LOG_LOGFMT);

    uint64_t calls = 1;
    for (uint64_t fail_at = 1; fail_at <= calls; fail_at += 1 + fail_at / 20) {
        FsFault fault = {.error_number = 5, .torn_bytes = 13, .dead = true};
        Fs fs = {&fault};
        Error err = {0};
        Store s;
        store_init(&s);
        tsdb_close(s.tsdb);
        s.options.fs = &fs;
        store_open(&s);
        pour(s.tsdb, &f);

        uint64_t before = fault.calls;
        fault.fail_at = before + fail_at;
        bool ok = tsdb_compact(s.tsdb, &err);
        calls = ok ? fault.calls - before : UINT64_MAX;
        check_holds(s.tsdb, &f, INT64_MIN, INT64_MAX); // what was readable stays readable
        tsdb_close(s.tsdb);

        s.options.fs = &fs_system;
        store_open(&s);
        check_holds(s.tsdb, &f, INT64_MIN, INT64_MAX);
        CHECK_OK(tsdb_compact(s.tsdb, &err), err);
        check_holds(s.tsdb, &f, INT64_MIN, INT64_MAX);
        store_deinit(&s);
    }
    log_setup(LOG_INFO, LOG_LOGFMT);
    fake_deinit(&f);
}

typedef struct Stress {
    Store store;
    FakeSource fake;
    int64_t poured_until; // atomic: commits below this time returned
    bool done;            // atomic
} Stress;

static void stress_pour(void *arg)
{
    Stress *s = (Stress *)arg;
    FakeSource step = s->fake;

    for (int64_t t = s->fake.from_t_ms; t < s->fake.to_t_ms; t += 20 * s->fake.step_ms) {
        step.from_t_ms = t;
        step.to_t_ms = t + 20 * s->fake.step_ms;
        pour(s->store.tsdb, &step);
        __atomic_store_n(&s->poured_until, step.to_t_ms, __ATOMIC_RELEASE);
        // The other half comes when blocks are cut, however late that is.
        bool half = t >= s->fake.from_t_ms + (s->fake.to_t_ms - s->fake.from_t_ms) / 2;
        while (half && count_blocks(s->store.tsdb) < 2)
            sched_yield();
    }
    __atomic_store_n(&s->done, true, __ATOMIC_RELEASE);
}

static void stress_compact(void *arg)
{
    Stress *s = (Stress *)arg;
    Error err = {0};

    while (!__atomic_load_n(&s->done, __ATOMIC_ACQUIRE))
        CHECK_OK(tsdb_compact(s->store.tsdb, &err), err);
}

// Everything that was committed before the view was opened is in it, without a hole, and nothing twice.
static void check_view(Stress *s)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Source *source = tsdb_source(s->store.tsdb);
    int64_t until = __atomic_load_n(&s->poured_until, __ATOMIC_ACQUIRE);
    Querier *querier;
    SeriesList list;
    Error err = {0};
    size_t common = 0;

    CHECK_OK(source->open(source, INT64_MIN, INT64_MAX, &querier, &err), err);
    CHECK_OK(querier->select(querier, NULL, 0, NULL, &arena, &list, &err), err);
    for (size_t i = 0; i < list.count; i++) {
        SampleColumns c;
        CHECK_OK(
            querier->read(querier, list.series[i].handle, INT64_MIN, INT64_MAX, &arena, &c, &err),
            err);
        for (size_t k = 0; k < c.count; k++)
            CHECK_EQ(c.t_ms[k], s->fake.from_t_ms + (int64_t)k * s->fake.step_ms);
        CHECK((int64_t)c.count >= (until - s->fake.from_t_ms) / s->fake.step_ms);
        CHECK(i == 0 || c.count == common); // commits are seen whole
        common = c.count;
    }
    querier->close(querier);
}

TEST(tsdb, readers_miss_nothing_while_samples_come_and_blocks_are_cut)
{
    Stress s = {.poured_until = START_MS};
    Thread pouring, compacting;
    Error err = {0};
    store_init(&s.store);
    fake_init(&s.fake, 12, START_MS, START_MS + 40 * HOUR_MS, 60000);

    CHECK_OK(thread_start(&pouring, "pour", stress_pour, &s, &err), err);
    CHECK_OK(thread_start(&compacting, "compact", stress_compact, &s, &err), err);
    while (!__atomic_load_n(&s.done, __ATOMIC_ACQUIRE))
        check_view(&s);
    thread_join(&pouring);
    thread_join(&compacting);
    check_view(&s);

    CHECK(count_blocks(s.store.tsdb) > 1);
    store_deinit(&s.store);
    fake_deinit(&s.fake);
}

TEST_MAIN(tsdb, TEST_ROW(tsdb, floats_are_packed_in_blocks_as_the_configuration_says),
          TEST_ROW(tsdb, a_kill_at_any_moment_of_compaction_loses_nothing),
          TEST_ROW(tsdb, readers_miss_nothing_while_samples_come_and_blocks_are_cut),
          TEST_ROW(tsdb, cuts_the_head_into_blocks_and_keeps_every_sample),
          TEST_ROW(tsdb, compacts_blocks_and_removes_what_they_were_made_of),
          TEST_ROW(tsdb, a_second_process_is_refused),
          TEST_ROW(tsdb, deletes_in_head_and_blocks_and_cleans_up),
          TEST_ROW(tsdb, a_snapshot_holds_everything),
          TEST_ROW(tsdb, a_snapshot_holds_what_came_late_and_nothing_that_was_deleted),
          TEST_ROW(tsdb, a_head_of_many_hours_becomes_aligned_blocks),
          TEST_ROW(tsdb, late_samples_become_blocks_of_their_own_and_merge),
          TEST_ROW(tsdb, retention_removes_old_blocks_only),
          TEST_ROW(tsdb, a_damaged_block_is_put_aside_and_never_deleted),
          TEST_ROW(tsdb, compaction_goes_on_without_a_damaged_block),
          TEST_ROW(tsdb, measures_itself_under_the_known_names))
