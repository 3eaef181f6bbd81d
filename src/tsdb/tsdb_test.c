// SPDX-License-Identifier: Apache-2.0
#include "tsdb/tsdb.h"

#include <sched.h>
#include <unistd.h>

#include "base/thread.h"
#include "tsdb/tsdb_offline.h"
#include "tsdb/tsdb_test_util.h"

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
    test_pour(s.tsdb, &f);
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

static size_t count_samples(Tsdb *tsdb)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Source *source = tsdb_source(tsdb);
    Querier *querier;
    SeriesList list;
    size_t count = 0;
    Error err = {0};

    CHECK_OK(source->open(source, INT64_MIN, INT64_MAX, &querier, &err), err);
    CHECK_OK(querier->select(querier, NULL, 0, NULL, &arena, &list, &err), err);
    for (size_t i = 0; i < list.count; i++) {
        SampleColumns c;
        CHECK_OK(
            querier->read(querier, list.series[i].handle, INT64_MIN, INT64_MAX, &arena, &c, &err),
            err);
        count += c.count;
    }
    querier->close(querier);
    return count;
}

// The log still has it, and only the end of the newest block of in-order samples keeps a start from taking it from there.
TEST(tsdb, what_was_all_that_the_blocks_had_does_not_come_back_from_the_log)
{
    Store s;
    FakeSource f;
    Error err = {0};
    Matcher m;
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    store_init(&s);
    fake_init(&f, SERIES, START_MS, START_MS + 5 * HOUR_MS, STEP_MS);
    test_pour(s.tsdb, &f);
    CHECK_OK(tsdb_compact(s.tsdb, &err), err);
    CHECK_OK(matcher_init(&m, MATCH_EQUAL, S("job"), S("test"), &arena, &err), err);

    CHECK_OK(tsdb_delete(s.tsdb, &m, 1, INT64_MIN, INT64_MAX, &err), err);
    CHECK_EQ(count_samples(s.tsdb), 0);
    CHECK_OK(tsdb_clean_tombstones(s.tsdb, &err), err);
    for (int start = 0; start < 2; start++) {
        store_reopen(&s);
        CHECK_EQ(count_samples(s.tsdb), 0);
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
    test_pour(s.tsdb, &f);
    CHECK_OK(tsdb_compact(s.tsdb, &err), err);

    CHECK_OK(tsdb_snapshot(s.tsdb, false, &arena, &name, &err), err);
    TsdbOptions copy = s.options;
    copy.dir = fs_join(&arena, fs_join(&arena, s.options.dir, S("snapshots")), name);
    Tsdb *tsdb;
    CHECK_OK(tsdb_open(&copy, &tsdb, &err), err);
    CHECK_EQ(test_count_blocks(tsdb), 2);
    test_check_holds(tsdb, &f, INT64_MIN, INT64_MAX);
    tsdb_close(tsdb);

    CHECK_OK(tsdb_snapshot(s.tsdb, true, &arena, &name, &err), err);
    copy.dir = fs_join(&arena, fs_join(&arena, s.options.dir, S("snapshots")), name);
    CHECK_OK(tsdb_open(&copy, &tsdb, &err), err);
    CHECK_EQ(test_count_blocks(tsdb), 1);
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
    test_pour(s.tsdb, &early);
    test_pour(s.tsdb, &late);

    CHECK_OK(tsdb_snapshot(s.tsdb, false, &arena, &name, &err), err);
    TsdbOptions options = s.options;
    options.dir = fs_join(&arena, fs_join(&arena, s.options.dir, S("snapshots")), name);
    CHECK_OK(tsdb_open(&options, &copy, &err), err);
    test_check_holds(copy, &f, INT64_MIN, INT64_MAX);
    tsdb_close(copy);
    CHECK_OK(tsdb_delete(s.tsdb, NULL, 0, START_MS + 5 * HOUR_MS, INT64_MAX, &err), err);
    CHECK_OK(tsdb_snapshot(s.tsdb, false, &arena, &name, &err), err);
    options.dir = fs_join(&arena, fs_join(&arena, s.options.dir, S("snapshots")), name);
    CHECK_OK(tsdb_open(&options, &copy, &err), err);
    test_check_holds(copy, &kept, INT64_MIN, INT64_MAX);
    tsdb_close(copy);

    store_deinit(&s);
    fake_deinit(&f);
    fake_deinit(&late);
    fake_deinit(&early);
    fake_deinit(&kept);
}

TEST(tsdb, retention_removes_old_blocks_only)
{
    Store s;
    FakeSource f;
    Error err = {0};
    int64_t min_t_ms, max_t_ms;
    store_init(&s);
    fake_init(&f, 5, START_MS, START_MS + 9 * HOUR_MS, 60000);
    test_pour(s.tsdb, &f);

    tsdb_reconfigure(s.tsdb, &(TsdbSettings){.retention.ms = 3 * HOUR_MS});
    CHECK_OK(tsdb_compact(s.tsdb, &err), err);

    CHECK(tsdb_time_range(s.tsdb, &min_t_ms, &max_t_ms));
    CHECK(min_t_ms > START_MS);
    CHECK_EQ(max_t_ms, START_MS + 9 * HOUR_MS - 60000);
    fake_deinit(&f);
    store_deinit(&s);
}

TEST(tsdb, nothing_is_merged_that_retention_takes)
{
    static const TsdbRetention limits[] = {{.bytes = 1}, {.ms = 1}};

    for (size_t i = 0; i < COUNT_OF(limits); i++) {
        Store s;
        FakeSource f;
        Error err = {0};
        store_init(&s);
        fake_init(&f, SERIES, START_MS, START_MS + 13 * HOUR_MS, STEP_MS);
        test_pour(s.tsdb, &f);
        tsdb_reconfigure(s.tsdb, &(TsdbSettings){.retention = limits[i]});

        CHECK_OK(tsdb_compact(s.tsdb, &err), err);

        CHECK_EQ(test_count_blocks(s.tsdb), 1);
        CHECK_EQ(s.tsdb->counters.compactions, 5); // each a cut of the head
        fake_deinit(&f);
        store_deinit(&s);
    }
}

static void put_late(Tsdb *tsdb, Labels labels, int64_t t_ms)
{
    Sink *sink = tsdb_sink(tsdb);
    Appender *a = sink->begin(sink);
    Error err = {0};
    SinkSample sample = {
        .ref = a->series(a, labels, &(bool){false}, &err), .t_ms = t_ms, .value = 1};

    CHECK_EQ(a->append(a, &sample, 1), 1);
    CHECK_OK(a->commit(a, &err), err);
}

// A block of late samples may be the newest, and tells nothing of those in order.
TEST(tsdb, what_retention_took_does_not_come_back_from_the_log)
{
    static const TsdbRetention limits[] = {{.bytes = 1}, {.ms = 1}};

    for (size_t i = 0; i < COUNT_OF(limits); i++) {
        Store s;
        FakeSource f;
        Error err = {0};
        store_init(&s);
        fake_init(&f, SERIES, START_MS, START_MS + 7 * HOUR_MS, STEP_MS);
        test_pour(s.tsdb, &f);
        tsdb_reconfigure(s.tsdb, &(TsdbSettings){.out_of_order_window_ms = HOUR_MS});
        put_late(s.tsdb, f.entries[0].labels, START_MS + 7 * HOUR_MS - 2 * STEP_MS - 1);
        CHECK_OK(tsdb_compact(s.tsdb, &err), err);
        size_t whole = count_samples(s.tsdb);
        tsdb_reconfigure(s.tsdb, &(TsdbSettings){.retention = limits[i]});
        CHECK_OK(tsdb_compact(s.tsdb, &err), err);
        size_t kept = count_samples(s.tsdb);
        CHECK(kept < whole);

        store_reopen(&s);

        CHECK_EQ(count_samples(s.tsdb), kept);
        fake_deinit(&f);
        store_deinit(&s);
    }
}

// What the disk holds is not known here; but the smallest share of it is less than a block, and a thousandth is more.
TEST(tsdb, retention_by_share_of_the_disk)
{
    static const struct {
        const char *name;
        TsdbRetention retention;
        size_t blocks;
    } cases[] = {
        {"too little for any", {.percentage = 1e-12}, 1},
        {"enough for all", {.percentage = 0.1}, 3},
        {"instead of the bytes", {.percentage = 0.1, .bytes = 1}, 3},
        {"bytes", {.bytes = 1}, 1},
        {"nothing", {0}, 3},
    };

    EACH_CASE(c, cases) {
        Store s;
        FakeSource f;
        Error err = {0};
        store_init(&s);
        fake_init(&f, 5, START_MS, START_MS + 9 * HOUR_MS, 60000);
        test_pour(s.tsdb, &f);
        tsdb_reconfigure(s.tsdb, &(TsdbSettings){.retention = c->retention});

        CHECK_OK(tsdb_compact(s.tsdb, &err), err);

        CHECK_EQ(test_count_blocks(s.tsdb), c->blocks);
        fake_deinit(&f);
        store_deinit(&s);
    }
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
    test_pour(s.tsdb, &f);
    CHECK_OK(tsdb_compact(s.tsdb, &err), err);
    CHECK_EQ(test_count_blocks(s.tsdb), 1);
    CHECK_OK(fs_list(&fs_system, s.options.dir, &arena, &list, &err), err);
    Str dir = fs_join(&arena, s.options.dir, list.entries[0].name);
    CHECK_OK(fs_write_atomic(&fs_system, fs_join(&arena, dir, S("index")), S("nonsense"), &err),
             err);

    store_reopen(&s);

    CHECK_EQ(test_count_blocks(s.tsdb), 0);
    CHECK_OK(tsdb_compact(s.tsdb, &err), err);
    CHECK(!fs_exists(&fs_system, dir));
    CHECK(fs_exists(&fs_system, arena_printf(&arena, STR_FMT ".corrupt/index", STR_ARG(dir))));
    CHECK_EQ(s.tsdb->counters.blocks_quarantined, 1);
    fake_deinit(&f);
    store_deinit(&s);
}

TEST(tsdb, blocks_wait_for_their_upload)
{
    static const struct {
        const char *name, *json;
        size_t blocks;
    } cases[] = {
        {"no file, none waits", NULL, 2},
        {"all wait", "{\"uploaded\":[]}", 4},
    };

    EACH_CASE(c, cases) {
        Store s;
        FakeSource f;
        Error err = {0};
        CLEANUP(arena_deinit) Arena arena = {.next = NULL};
        store_init(&s);
        s.options.uploads_file = fs_join(&arena, s.options.dir, S("shipper.json"));
        if (c->json)
            CHECK_OK(fs_write_atomic(&fs_system, s.options.uploads_file, str_from_c(c->json), &err),
                     err);
        store_reopen(&s);
        int64_t from_ms = START_MS - START_MS % (6 * HOUR_MS);
        fake_init(&f, 5, from_ms, from_ms + 11 * HOUR_MS, 60000);
        test_pour(s.tsdb, &f);

        CHECK_OK(tsdb_compact(s.tsdb, &err), err);

        CHECK_EQ(s.tsdb->block_count, c->blocks);
        test_check_holds(s.tsdb, &f, INT64_MIN, INT64_MAX);
        fake_deinit(&f);
        store_deinit(&s);
    }
}

TEST(tsdb, overlapping_blocks_are_merged_unless_told_otherwise)
{
    static const struct {
        const char *name;
        bool leaves_overlaps;
        size_t blocks;
    } cases[] = {{"merged", false, 1}, {"left", true, 2}};

    EACH_CASE(c, cases) {
        Store s;
        FakeSource early, late, all;
        Error err = {0};
        store_init(&s);
        s.options.leaves_overlaps = c->leaves_overlaps;
        s.options.out_of_order_window_ms = 100 * HOUR_MS;
        store_reopen(&s);
        fake_init(&all, 5, START_MS, START_MS + 5 * HOUR_MS, 60000);
        fake_init(&early, 5, START_MS + HOUR_MS, START_MS + 5 * HOUR_MS, 60000);
        fake_init(&late, 5, START_MS, START_MS + HOUR_MS, 60000);
        test_pour(s.tsdb, &early);
        CHECK_OK(tsdb_compact(s.tsdb, &err), err);
        test_pour(s.tsdb, &late);

        CHECK_OK(tsdb_compact(s.tsdb, &err), err);

        CHECK_EQ(s.tsdb->block_count, c->blocks);
        test_check_holds(s.tsdb, &all, INT64_MIN, INT64_MAX);
        fake_deinit(&all);
        fake_deinit(&early);
        fake_deinit(&late);
        store_deinit(&s);
    }
}

static void wait_for_blocks(Store *s, size_t count)
{
    for (int i = 0; i < 1000 && test_count_blocks(s->tsdb) != count; i++)
        CHECK_EQ(usleep(10000), 0);
    CHECK_EQ(test_count_blocks(s->tsdb), count);
}

// As backfilling does. A block that is still being copied looks damaged; it must keep its name until it is whole.
TEST(tsdb, blocks_that_come_and_go_while_it_runs_are_seen)
{
    Store s;
    FakeSource f;
    Error err = {0};
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    FsList list;
    Str meta;
    store_init(&s);
    s.options.block_reload_ms = 10;
    store_reopen(&s);
    fake_init(&f, 5, START_MS, START_MS + 5 * HOUR_MS, 60000);
    test_pour(s.tsdb, &f);
    CHECK_OK(tsdb_compact(s.tsdb, &err), err);
    CHECK_OK(fs_list(&fs_system, s.options.dir, &arena, &list, &err), err);
    Str dir = fs_join(&arena, s.options.dir, list.entries[0].name);
    Str away = fs_join(&arena, s.options.dir, S("away"));
    Str meta_path = fs_join(&arena, dir, S("meta.json"));

    CHECK_OK(fs_rename(&fs_system, dir, away, &err), err);
    wait_for_blocks(&s, 0);
    Str away_meta = fs_join(&arena, away, S("meta.json"));
    CHECK_OK(fs_read_file(&fs_system, away_meta, &arena, 1 << 20, &meta, &err), err);
    CHECK_OK(fs_write_atomic(&fs_system, away_meta, str_sub(meta, 0, meta.len / 2), &err), err);
    CHECK_OK(fs_rename(&fs_system, away, dir, &err), err);
    for (int i = 0;
         i < 1000 && !__atomic_load_n(&s.tsdb->counters.blocks_corrupt, __ATOMIC_RELAXED); i++)
        CHECK_EQ(usleep(10000), 0);
    CHECK_EQ(__atomic_load_n(&s.tsdb->counters.blocks_corrupt, __ATOMIC_RELAXED), 1);
    CHECK(fs_exists(&fs_system, dir));
    CHECK_OK(fs_write_atomic(&fs_system, meta_path, meta, &err), err);
    wait_for_blocks(&s, 1);

    CHECK_EQ(__atomic_load_n(&s.tsdb->counters.blocks_corrupt, __ATOMIC_RELAXED), 0);
    test_check_holds(s.tsdb, &f, INT64_MIN, INT64_MAX);
    fake_deinit(&f);
    store_deinit(&s);
}

// A newer Prometheus may have written it: it is told of, keeps its name, and no repair touches it.
TEST(tsdb, a_block_of_an_unknown_version_is_left_alone)
{
    static const struct {
        const char *name;
        Str file, bytes, other;
    } cases[] = {
        {"meta", STR("meta.json"), STR("\"version\":1"), STR("\"version\":9")},
        {"index", STR("index"), STR("\xba\xaa\xd7\0\2"), STR("\xba\xaa\xd7\0\x09")},
        {"chunks", STR("chunks/000001"), STR("\x85\xbd\x40\xdd\1"), STR("\x85\xbd\x40\xdd\x09")},
        {"tombstones", STR("tombstones"), STR("\x01\x30\xba\x30\1"), STR("\x01\x30\xba\x30\x09")},
    };

    EACH_CASE(c, cases) {
        Store s;
        FakeSource f;
        Error err = {0};
        CLEANUP(arena_deinit) Arena arena = {.next = NULL};
        FsList list;
        Str text;
        TsdbFindings findings;
        store_init(&s);
        fake_init(&f, 5, START_MS, START_MS + 5 * HOUR_MS, 60000);
        test_pour(s.tsdb, &f);
        CHECK_OK(tsdb_compact(s.tsdb, &err), err);
        CHECK_OK(fs_list(&fs_system, s.options.dir, &arena, &list, &err), err);
        Str dir = fs_join(&arena, s.options.dir, list.entries[0].name);
        Str path = fs_join(&arena, dir, c->file);
        CHECK_OK(fs_read_file(&fs_system, path, &arena, 1 << 20, &text, &err), err);
        size_t at = str_find(text, c->bytes);
        CHECK(at != STR_NOT_FOUND);
        char *changed = memcpy(arena_alloc(&arena, text.len), text.ptr, text.len);
        memcpy(changed + at, c->other.ptr, c->other.len);
        CHECK_OK(fs_write_atomic(&fs_system, path, (Str){changed, text.len}, &err), err);

        store_reopen(&s);

        CHECK_EQ(test_count_blocks(s.tsdb), 0);
        CHECK_EQ(s.tsdb->counters.blocks_corrupt, 1);
        CHECK_EQ(s.tsdb->counters.blocks_quarantined, 0);
        tsdb_close(s.tsdb);
        CHECK_OK(tsdb_offline_repair(&fs_system, s.options.dir, &arena, &findings, &err), err);
        CHECK_EQ(findings.faults, 1);
        CHECK(fs_exists(&fs_system, path));
        store_open(&s);
        fake_deinit(&f);
        store_deinit(&s);
    }
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
    test_pour(s.tsdb, &f);
    test_pour(s.tsdb, &late);

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
        "retention_limit_percentage gauge",
        "retention_limit_seconds gauge",
        "selected_series_compaction_duration_seconds histogram",
        "selected_series_compactions_failed_total counter",
        "selected_series_compactions_triggered_total counter",
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
        test_pour(s->store.tsdb, &step);
        __atomic_store_n(&s->poured_until, step.to_t_ms, __ATOMIC_RELEASE);
        // The other half comes when blocks are cut, however late that is.
        bool half = t >= s->fake.from_t_ms + (s->fake.to_t_ms - s->fake.from_t_ms) / 2;
        while (half && test_count_blocks(s->store.tsdb) < 2)
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

    CHECK(test_count_blocks(s.store.tsdb) > 1);
    store_deinit(&s.store);
    fake_deinit(&s.fake);
}

TEST_MAIN(tsdb, TEST_ROW(tsdb, a_second_process_is_refused),
          TEST_ROW(tsdb, deletes_in_head_and_blocks_and_cleans_up),
          TEST_ROW(tsdb, what_was_all_that_the_blocks_had_does_not_come_back_from_the_log),
          TEST_ROW(tsdb, a_snapshot_holds_everything),
          TEST_ROW(tsdb, a_snapshot_holds_what_came_late_and_nothing_that_was_deleted),
          TEST_ROW(tsdb, retention_removes_old_blocks_only),
          TEST_ROW(tsdb, nothing_is_merged_that_retention_takes),
          TEST_ROW(tsdb, what_retention_took_does_not_come_back_from_the_log),
          TEST_ROW(tsdb, retention_by_share_of_the_disk),
          TEST_ROW(tsdb, a_damaged_block_is_put_aside_and_never_deleted),
          TEST_ROW(tsdb, blocks_wait_for_their_upload),
          TEST_ROW(tsdb, overlapping_blocks_are_merged_unless_told_otherwise),
          TEST_ROW(tsdb, blocks_that_come_and_go_while_it_runs_are_seen),
          TEST_ROW(tsdb, a_block_of_an_unknown_version_is_left_alone),
          TEST_ROW(tsdb, measures_itself_under_the_known_names),
          TEST_ROW(tsdb, readers_miss_nothing_while_samples_come_and_blocks_are_cut))
