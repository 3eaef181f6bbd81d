// SPDX-License-Identifier: Apache-2.0
#include "tsdb/head_test_util.h"

TEST(head, gives_back_what_was_committed)
{
    char dir[200];
    Arena arena = {0};
    test_dir_make(dir, sizeof dir);
    HeadOptions options = test_head_options(dir);
    Head *head = test_head_open(&options);

    for (int t = 0; t < 1000; t++) {
        Appender *app = test_begin(head);
        for (int i = 0; i < 10; i++)
            CHECK_EQ(test_append(app, test_series(app, i), 1000000 + t * 15000, i * 1000 + t),
                     APPEND_OK);
        test_commit(app);
    }

    for (int i = 0; i < 10; i++) {
        SampleColumns c = test_read(head, i, &arena);
        CHECK_EQ(c.count, 1000);
        for (int t = 0; t < 1000; t++) {
            CHECK_EQ(c.t_ms[t], 1000000 + t * 15000);
            CHECK_DOUBLE(c.value[t], i * 1000 + t);
        }
    }
    head_check(head);
    head_close(head);
    arena_deinit(&arena);
    test_dir_remove(dir);
}

TEST(head, replays_what_was_committed)
{
    char dir[200];
    Arena arena = {0};
    test_dir_make(dir, sizeof dir);
    HeadOptions options = test_head_options(dir);
    Head *head = test_head_open(&options);

    for (int round = 0; round < 4; round++) {
        for (int t = 0; t < 300; t++) {
            Appender *app = test_begin(head);
            for (int i = 0; i < 10; i++)
                CHECK_EQ(
                    test_append(app, test_series(app, i), (round * 300 + t) * 15000, i * 1000 + t),
                    APPEND_OK);
            test_commit(app);
        }
        head_close(head);
        head = test_head_open(&options);
        head_check(head);
        for (int i = 0; i < 10; i++) {
            SampleColumns c = test_read(head, i, &arena);
            CHECK_EQ(c.count, (round + 1) * 300);
            for (int t = 0; t < (round + 1) * 300; t++) {
                CHECK_EQ(c.t_ms[t], t * 15000);
                CHECK_DOUBLE(c.value[t], i * 1000 + t % 300);
            }
        }
    }

    head_close(head);
    arena_deinit(&arena);
    test_dir_remove(dir);
}

TEST(head, judges_as_prometheus_does)
{
    static const struct {
        const char *name;
        int64_t window_ms;
        int64_t t_ms;
        double value;
        AppendStatus want;
    } cases[] = {
        {"newer", 0, 9000001, 1, APPEND_OK},
        {"same time and value", 0, 9000000, 7, APPEND_OK},
        {"same time, other value", 0, 9000000, 8, APPEND_DUPLICATE},
        {"older", 0, 8999999, 1, APPEND_OUT_OF_ORDER},
        {"older than half a block", 0, 1, 1, APPEND_OUT_OF_BOUNDS},
        {"older, in the window", 3600000, 5400001, 1, APPEND_OK},
        {"older, beyond the window", 3600000, 5399999, 1, APPEND_TOO_OLD},
        {"window of a hundred years", 3153600000000, -5, 1, APPEND_OK},
    };

    EACH_CASE(c, cases) {
        char dir[200];
        test_dir_make(dir, sizeof dir);
        HeadOptions options = test_head_options(dir);
        options.out_of_order_window_ms = c->window_ms;
        Head *head = test_head_open(&options);
        CHECK_EQ(test_put(head, 1, 9000000, 7), APPEND_OK);

        AppendStatus got = test_put(head, 1, c->t_ms, c->value);

        CHECK_EQ(got, c->want);
        head_close(head);
        test_dir_remove(dir);
    }
    test_case_name = "";
}

TEST(head, refuses_bad_label_sets)
{
    char dir[200];
    test_dir_make(dir, sizeof dir);
    HeadOptions options = test_head_options(dir);
    Head *head = test_head_open(&options);
    Appender *app = test_begin(head);
    Label twice[] = {{S("a"), S("1")}, {S("a"), S("2")}};
    Label unsorted[] = {{S("b"), S("1")}, {S("a"), S("2")}};
    Label empty[] = {{S("a"), S("")}};
    Error err = {0};

    CHECK_EQ(app->series(app, LABELS_NONE, NULL, &err), 0);
    CHECK_EQ(app->series(app, (Labels){twice, 2}, NULL, &err), 0);
    CHECK_HAS(err.text, "twice");
    CHECK_EQ(app->series(app, (Labels){unsorted, 2}, NULL, &err), 0);
    CHECK_HAS(err.text, "out of order");
    CHECK_EQ(app->series(app, (Labels){empty, 1}, NULL, &err), 0);

    app->rollback(app);
    head_close(head);
    test_dir_remove(dir);
}

TEST(head, a_querier_sees_nothing_committed_after_it_was_opened)
{
    char dir[200];
    Arena arena = {0};
    test_dir_make(dir, sizeof dir);
    HeadOptions options = test_head_options(dir);
    options.out_of_order_window_ms = HOUR_MS;
    Head *head = test_head_open(&options);
    Querier *views[50];

    for (int t = 0; t < 50; t++) {
        test_put(head, 1, 1000000 + t * 60000, t);
        if (t % 3 == 0)
            test_put(head, 2, 1000000 + t * 60000, t);
        views[t] = test_query(head, INT64_MIN, INT64_MAX);
    }
    test_put(head, 1, 1000001, 5); // out of order

    for (int t = 0; t < 50; t++) {
        CHECK_EQ(test_read_from(views[t], 1, &arena).count, t + 1);
        CHECK_EQ(test_read_from(views[t], 2, &arena).count, t / 3 + 1);
    }
    CHECK_EQ(test_read(head, 1, &arena).count, 51);
    for (int t = 0; t < 50; t++)
        views[t * 7 % 50]->close(views[t * 7 % 50]);
    test_put(head, 1, 1000000 + 51 * 60000, 5);
    CHECK_EQ(head->undo.base, head->undo.next);
    head_close(head);
    arena_deinit(&arena);
    test_dir_remove(dir);
}

TEST(head, rolled_back_samples_are_not_there)
{
    char dir[200];
    Arena arena = {0};
    test_dir_make(dir, sizeof dir);
    HeadOptions options = test_head_options(dir);
    Head *head = test_head_open(&options);

    Appender *app = test_begin(head);
    CHECK_EQ(test_append(app, test_series(app, 1), 1000, 1), APPEND_OK);
    app->rollback(app);

    CHECK_EQ(test_read(head, 1, &arena).count, 0);
    head_close(head);
    arena_deinit(&arena);
    test_dir_remove(dir);
}

TEST(head, out_of_order_samples_merge_and_survive)
{
    char dir[200];
    Arena arena = {0};
    test_dir_make(dir, sizeof dir);
    HeadOptions options = test_head_options(dir);
    options.out_of_order_window_ms = 100LL * 365 * 24 * HOUR_MS;
    Head *head = test_head_open(&options);

    // Even minutes rising, then odd ones falling and before 1970.
    for (int t = 0; t < 500; t++)
        CHECK_EQ(test_put(head, 1, t * 120000, 2 * t), APPEND_OK);
    for (int t = 499; t >= -100; t--)
        CHECK_EQ(test_put(head, 1, t * 120000 + 60000, 2 * t + 1), APPEND_OK);

    for (int round = 0; round < 3; round++) {
        SampleColumns c = test_read(head, 1, &arena);
        CHECK_EQ(c.count, 1100);
        for (size_t i = 1; i < c.count; i++)
            CHECK(c.t_ms[i] > c.t_ms[i - 1]);
        for (size_t i = 0; i < c.count; i++)
            CHECK_DOUBLE(c.value[i], (double)(c.t_ms[i] / 60000));
        head_close(head);
        head = test_head_open(&options);
    }
    head_close(head);
    arena_deinit(&arena);
    test_dir_remove(dir);
}

TEST(head, one_commit_may_bring_many_old_samples_of_a_series)
{
    char dir[200];
    Arena arena = {0};
    test_dir_make(dir, sizeof dir);
    HeadOptions options = test_head_options(dir);
    options.out_of_order_window_ms = 100LL * 365 * 24 * HOUR_MS;
    Head *head = test_head_open(&options);
    test_put(head, 1, 100 * HOUR_MS, 1);

    for (int round = 0; round < 5; round++) {
        Appender *app = test_begin(head);
        SeriesRef ref = test_series(app, 1);
        for (int t = 0; t < 700; t++)
            CHECK_EQ(test_append(app, ref, (round * 700 + t) * 1000, t), APPEND_OK);
        test_commit(app);
        CHECK_EQ(test_read(head, 1, &arena).count, (round + 1) * 700 + 1);
        head_close(head);
        head = test_head_open(&options);
        CHECK_EQ(test_read(head, 1, &arena).count, (round + 1) * 700 + 1);
    }
    head_close(head);
    arena_deinit(&arena);
    test_dir_remove(dir);
}

static Histogram make_histogram(double n, bool is_integer, const HistogramSpan *span,
                                const double *buckets)
{
    return (Histogram){.is_integer = is_integer,
                       .schema = 1,
                       .zero_threshold = 0.001,
                       .zero_count = n,
                       .count = n + buckets[0] + buckets[1],
                       .sum = n * 1.5,
                       .positive_spans = span,
                       .positive_span_count = 1,
                       .positive_buckets = buckets,
                       .positive_count = 2};
}

TEST(head, histograms_and_floats_share_a_series)
{
    static const HistogramSpan span = {0, 2};
    char dir[200];
    Arena arena = {0};
    test_dir_make(dir, sizeof dir);
    HeadOptions options = test_head_options(dir);
    options.out_of_order_window_ms = 100 * HOUR_MS;
    Head *head = test_head_open(&options);

    // 0-99 integer, 100-199 floats, 200-299 float histograms; all in one commit, then one late of each kind.
    Appender *app = test_begin(head);
    SeriesRef ref = test_series(app, 1);
    for (int t = 0; t < 300; t++) {
        double buckets[2] = {t, t + 3};
        Histogram h = make_histogram(t, t < 100, &span, buckets);
        SinkSample s = {.ref = ref,
                        .t_ms = t * 1000 + 500000,
                        .value = t,
                        .histogram = t < 100 || t >= 200 ? &h : NULL};
        CHECK_EQ(app->append(app, &s, 1), 1);
    }
    test_commit(app);
    app = test_begin(head);
    double buckets[2] = {5, 6};
    Histogram late = make_histogram(4, true, &span, buckets);
    SinkSample old[] = {{.ref = ref, .t_ms = 1000, .histogram = &late},
                        {.ref = ref, .t_ms = 2000, .value = 4}};
    CHECK_EQ(app->append(app, old, 2), 2);
    test_commit(app);

    for (int round = 0; round < 2; round++) {
        SampleColumns c = test_read(head, 1, &arena);
        CHECK_EQ(c.count, 302);
        CHECK(c.histograms != NULL);
        CHECK(histogram_equal(c.histograms[0], &late));
        CHECK_DOUBLE(c.value[1], 4);
        CHECK(!c.histograms[1]);
        for (int t = 0; t < 300; t++) {
            double b[2] = {t, t + 3};
            Histogram want = make_histogram(t, t < 100, &span, b);
            if (t >= 100 && t < 200) {
                CHECK(!c.histograms[t + 2]);
                CHECK_DOUBLE(c.value[t + 2], t);
            } else {
                CHECK(histogram_equal(c.histograms[t + 2], &want));
            }
        }
        head_close(head);
        head = test_head_open(&options);
    }
    head_close(head);
    arena_deinit(&arena);
    test_dir_remove(dir);
}

TEST(head, deleted_samples_stay_deleted)
{
    char dir[200];
    Arena arena = {0};
    Error err = {0};
    Matcher matcher;
    test_dir_make(dir, sizeof dir);
    HeadOptions options = test_head_options(dir);
    Head *head = test_head_open(&options);
    for (int t = 0; t < 100; t++)
        for (int i = 0; i < 2; i++)
            test_put(head, i, t * 1000, t);

    CHECK_OK(matcher_init(&matcher, MATCH_EQUAL, S("i"), S("1"), &arena, &err), err);
    CHECK_OK(head_delete(head, &matcher, 1, 10000, 19000, &err), err);
    matcher_deinit(&matcher);

    for (int round = 0; round < 2; round++) {
        CHECK_EQ(test_read(head, 0, &arena).count, 100);
        SampleColumns c = test_read(head, 1, &arena);
        CHECK_EQ(c.count, 90);
        CHECK_EQ(c.t_ms[9], 9000);
        CHECK_EQ(c.t_ms[10], 20000);
        head_close(head);
        head = test_head_open(&options);
    }
    head_close(head);
    arena_deinit(&arena);
    test_dir_remove(dir);
}

TEST(head, metadata_and_exemplars_survive)
{
    char dir[200];
    Arena arena = {0};
    Error err = {0};
    Matcher matcher;
    Metadata got;
    TsdbExemplars exemplars;
    Label trace = {S("trace_id"), S("abc")};
    test_dir_make(dir, sizeof dir);
    HeadOptions options = test_head_options(dir);
    options.max_exemplars = 3;
    Head *head = test_head_open(&options);

    Appender *app = test_begin(head);
    SeriesRef ref = test_series(app, 1);
    CHECK_EQ(test_append(app, ref, 1000, 1), APPEND_OK);
    app->metadata(app, ref, (Metadata){METRIC_COUNTER, S("what it counts"), S("bytes")});
    for (int t = 0; t < 5; t++) {
        Exemplar e = {{&trace, 1}, t, 1000 + t, true};
        CHECK_EQ(app->exemplar(app, ref, &e), APPEND_OK);
    }
    test_commit(app);

    for (int round = 0; round < 2; round++) {
        CHECK(head_metadata(head, S("m"), &arena, &got));
        CHECK_EQ(got.type, METRIC_COUNTER);
        CHECK_STR(got.help, S("what it counts"));
        CHECK_STR(got.unit, S("bytes"));
        CHECK_OK(matcher_init(&matcher, MATCH_EQUAL, S("i"), S("1"), &arena, &err), err);
        CHECK_OK(head_exemplars(head, &matcher, 1, 0, 1003, &arena, &exemplars, &err), err);
        matcher_deinit(&matcher);
        CHECK_EQ(exemplars.count, 1);
        CHECK_EQ(exemplars.exemplar_counts[0], 2); // a ring of three, the newest is out of range
        CHECK_DOUBLE(exemplars.exemplars[0][1].value, 3);
        CHECK_STR(exemplars.exemplars[0][1].labels.pairs[0].value, S("abc"));
        head_close(head);
        head = test_head_open(&options);
    }
    head_close(head);
    arena_deinit(&arena);
    test_dir_remove(dir);
}

TEST(head, truncation_drops_what_is_old_and_the_rest_survives)
{
    char dir[200];
    Arena arena = {0};
    Error err = {0};
    int64_t min_t;
    int64_t max_t;
    test_dir_make(dir, sizeof dir);
    HeadOptions options = test_head_options(dir);
    options.wal_segment_bytes = 65536;
    options.wal_compression = TSDB_COMPRESSION_NONE;
    Head *head = test_head_open(&options);

    // Series 0-9 last 6 hours, 10-19 only the first hour.
    for (int t = 0; t < 6 * 240; t++) {
        Appender *app = test_begin(head);
        for (int i = 0; i < (t < 240 ? 20 : 10); i++)
            CHECK_EQ(test_append(app, test_series(app, i), t * 15000, i + t * 0.1), APPEND_OK);
        test_commit(app);
    }
    CHECK(head_compactable(head, &min_t, &max_t));
    CHECK_EQ(min_t, 0);
    CHECK_EQ(max_t, 2 * HOUR_MS);
    for (int64_t cut = 2 * HOUR_MS; cut <= 4 * HOUR_MS; cut += 2 * HOUR_MS)
        CHECK_OK(head_truncate(head, cut, &err), err);
    CHECK(!head_compactable(head, &min_t, &max_t));
    head_check(head);

    for (int round = 0; round < 3; round++) {
        HeadCounters counters;
        head_counters(head, &counters);
        CHECK_EQ(counters.series, 10);
        SampleColumns c = test_read(head, 3, &arena);
        CHECK_EQ(c.count, 2 * 240);
        CHECK_EQ(c.t_ms[0], 4 * HOUR_MS);
        CHECK_EQ(test_read(head, 15, &arena).count, 0);
        CHECK(counters.wal_bytes < 900000);
        options.min_valid_t_ms = 4 * HOUR_MS; // what the newest block says
        head_close(head);
        head = test_head_open(&options);
    }
    CHECK_EQ(test_put(head, 15, 6 * HOUR_MS, 1), APPEND_OK);
    CHECK_EQ(test_read(head, 15, &arena).count, 1);
    head_check(head);
    head_close(head);
    arena_deinit(&arena);
    test_dir_remove(dir);
}

TEST(head, a_ref_of_a_dropped_series_is_gone)
{
    char dir[200];
    Error err = {0};
    test_dir_make(dir, sizeof dir);
    HeadOptions options = test_head_options(dir);
    Head *head = test_head_open(&options);
    Appender *app = test_begin(head);
    SeriesRef old = test_series(app, 1);
    CHECK_EQ(test_append(app, old, 1000, 1), APPEND_OK);
    test_commit(app);
    test_put(head, 2, 10 * HOUR_MS, 1);
    CHECK_OK(head_truncate(head, 9 * HOUR_MS, &err), err);
    CHECK_OK(head_truncate(head, 9 * HOUR_MS, &err), err);

    app = test_begin(head);
    CHECK_EQ(test_append(app, old, 10 * HOUR_MS, 1), APPEND_GONE);
    SeriesRef fresh = test_series(app, 1);
    CHECK(fresh != old);
    CHECK_EQ(test_append(app, fresh, 10 * HOUR_MS, 1), APPEND_OK);
    CHECK_EQ(test_append(app, old, 10 * HOUR_MS, 1), APPEND_GONE);
    test_commit(app);

    head_check(head);
    head_close(head);
    test_dir_remove(dir);
}

static const char *const zones[] = {"a", "b", "", "ab"};

// Dropped while it was empty, it came back under another ref; the start after that goes on with the first ref.
// Those that were stale when it was looked go on by now: there is nothing to log, so nobody waits for the disk.
TEST(head, no_stale_series_no_call_to_the_disk)
{
    char dir[200];
    Error err = {0};
    FsFault counted = {.kinds = FS_CALL_WRITE | FS_CALL_SYNC};
    Fs fs = {.fault = &counted};
    uint64_t refs[] = {1, 2, 77}; // the last one is gone
    const HeadStale stale = {.refs = refs, .count = COUNT_OF(refs)};
    test_dir_make(dir, sizeof dir);
    HeadOptions options = test_head_options(dir);
    options.fs = &fs;
    Head *head = test_head_open(&options);
    test_put(head, 1, 1000, 1);
    test_put(head, 2, 1000, 1);
    uint64_t before = counted.calls;

    CHECK_OK(head_truncate_stale(head, &stale, &err), err);

    CHECK_EQ(counted.calls, before);
    CHECK_EQ(head->index.series.count, 2);
    head_close(head);
    test_dir_remove(dir);
}

TEST(head, a_series_that_came_back_keeps_its_chunks_through_restarts)
{
    char dir[100];
    Arena arena = {0};

    test_dir_make(dir, sizeof dir);
    HeadOptions options = test_head_options(dir);
    options.samples_per_chunk = 4;
    Head *head = test_head_open(&options);
    Appender *app = test_begin(head);
    SeriesRef first = test_series(app, 1);
    test_append(app, test_series(app, 0), 1000, 0);
    test_commit(app);
    for (int start = 0; start < 4; start++) {
        head_close(head);
        head = test_head_open(&options);
        for (int i = 0; i < 20; i++)
            CHECK_EQ(test_put(head, 1, start * 100000 + i * 1000, i), APPEND_OK);
        app = test_begin(head);
        CHECK((test_series(app, 1) == first) == (start > 0));
        app->rollback(app);
    }
    head_close(head);
    head = test_head_open(&options);

    SampleColumns c = test_read(head, 1, &arena);

    CHECK_EQ(c.count, 80);
    for (size_t i = 0; i < c.count; i++)
        CHECK_EQ(c.t_ms[i], (int64_t)(i / 20 * 100000 + i % 20 * 1000));
    head_check(head);
    head_close(head);
    arena_deinit(&arena);
    test_dir_remove(dir);
}

TEST(head, select_agrees_with_the_matchers)
{
    static const struct {
        const char *name;
        struct {
            MatchKind kind;
            Str name, value;
        } matchers[3];
    } cases[] = {
        {"equal", {{MATCH_EQUAL, STR("i"), STR("7")}}},
        {"equal none", {{MATCH_EQUAL, STR("i"), STR("x")}}},
        {"equal empty", {{MATCH_EQUAL, STR("zone"), STR("")}}},
        {"unknown empty", {{MATCH_EQUAL, STR("nope"), STR("")}}},
        {"not equal", {{MATCH_NOT_EQUAL, STR("zone"), STR("a")}}},
        {"not empty", {{MATCH_NOT_EQUAL, STR("zone"), STR("")}}},
        {"unknown not empty", {{MATCH_NOT_EQUAL, STR("nope"), STR("")}}},
        {"regex", {{MATCH_REGEX, STR("zone"), STR("a.*")}}},
        {"literals", {{MATCH_REGEX, STR("zone"), STR("a|b|c")}}},
        {"literals, empty", {{MATCH_REGEX, STR("zone"), STR("a|")}}},
        {"regex all", {{MATCH_REGEX, STR("zone"), STR(".*")}}},
        {"regex some", {{MATCH_REGEX, STR("zone"), STR(".+")}}},
        {"not regex", {{MATCH_NOT_REGEX, STR("zone"), STR("a.*")}}},
        {"not regex some", {{MATCH_NOT_REGEX, STR("zone"), STR(".+")}}},
        {"three",
         {{MATCH_EQUAL, STR("__name__"), STR("m")},
          {MATCH_REGEX, STR("i"), STR("1.*|2")},
          {MATCH_NOT_EQUAL, STR("zone"), STR("b")}}},
        {"narrow, then wide",
         {{MATCH_EQUAL, STR("i"), STR("12")},
          {MATCH_REGEX, STR("__name__"), STR("m|n")},
          {MATCH_NOT_REGEX, STR("zone"), STR("b+")}}},
    };
    enum { SERIES = 300 };
    char dir[200];
    Arena arena = {0};
    Error err = {0};
    static Label pairs[SERIES][3];
    static char texts[SERIES][8];
    Labels all[SERIES];
    test_dir_make(dir, sizeof dir);
    HeadOptions options = test_head_options(dir);
    Head *head = test_head_open(&options);
    Appender *app = test_begin(head);
    for (int i = 0; i < SERIES; i++) {
        const char *zone = zones[i % 4];
        snprintf(texts[i], sizeof texts[i], "%d", i);
        pairs[i][0] = (Label){S("__name__"), i % 5 ? S("m") : S("n")};
        pairs[i][1] = (Label){S("i"), str_from_c(texts[i])};
        pairs[i][2] = (Label){S("zone"), str_from_c(zone)};
        all[i] = (Labels){pairs[i], *zone ? 3 : 2};
        CHECK_EQ(test_append(app, app->series(app, all[i], NULL, &err), 1000, i), APPEND_OK);
    }
    test_commit(app);
    Querier *q = test_query(head, 0, 2000);

    EACH_CASE(c, cases) {
        Matcher matchers[3];
        size_t count = 0;
        size_t want = 0;
        SeriesList list;
        for (; count < 3 && c->matchers[count].name.len; count++)
            CHECK_OK(matcher_init(&matchers[count], c->matchers[count].kind,
                                  c->matchers[count].name, c->matchers[count].value, &arena, &err),
                     err);

        CHECK_OK(q->select(q, matchers, count, NULL, &arena, &list, &err), err);

        for (int i = 0; i < SERIES; i++)
            want += matchers_match(matchers, count, all[i]);
        CHECK_EQ(list.count, want);
        for (size_t i = 0; i < list.count; i++) {
            CHECK(matchers_match(matchers, count, list.series[i].labels));
            CHECK(!i || labels_compare(list.series[i - 1].labels, list.series[i].labels) < 0);
        }
        StrList values;
        CHECK_OK(q->label_values(q, S("i"), matchers, count, 0, &arena, &values, &err), err);
        CHECK_EQ(values.count, want);
        for (size_t i = 0; i < count; i++)
            matcher_deinit(&matchers[i]);
    }
    test_case_name = "";

    StrList names;
    CHECK_OK(q->label_names(q, NULL, 0, 0, &arena, &names, &err), err);
    CHECK_EQ(names.count, 3);
    CHECK_STR(names.items[2], S("zone"));
    CHECK_OK(q->label_values(q, S("zone"), NULL, 0, 2, &arena, &names, &err), err);
    CHECK_EQ(names.count, 2);
    CHECK_STR(names.items[1], S("ab"));

    // What has been told once is told anew when there is more.
    app = test_begin(head);
    pairs[0][2] = (Label){S("zone"), S("aa")};
    all[0] = (Labels){pairs[0], 3};
    CHECK_EQ(test_append(app, app->series(app, all[0], NULL, &err), 1000, 0), APPEND_OK);
    test_commit(app);
    CHECK_OK(q->label_values(q, S("zone"), NULL, 0, 2, &arena, &names, &err), err);
    CHECK_EQ(names.count, 2);
    CHECK_STR(names.items[1], S("aa"));
    q->close(q);
    head_close(head);
    arena_deinit(&arena);
    test_dir_remove(dir);
}

// A copy of what Prometheus 2.42 left behind after kill -9: 374 series and 2594 samples, 170 of them out of order in wbl/ and chunks_head/.
// The sums are what Prometheus itself answers after a restart on it.
TEST(head, takes_over_what_prometheus_wrote)
{
    static const char *const files[] = {"wal/00000000", "wbl/00000000", "chunks_head/000001"};
    static const struct {
        const char *i;
        size_t count;
        double sum;
    } pushed[] = {{"0", 200, 19900}, {"1", 300, 15050}, {"2", 270, 17685}};
    char dir[200];
    Arena arena = {0};
    Error err = {0};
    Str here = str_from_c(__FILE__);
    here = str_sub(here, 0, str_rfind_char(here, '/'));
    Str places[] = {fs_join(&arena, here, S("../../tests/corpus/head/prometheus-2.42")),
                    S("tests/corpus/head/prometheus-2.42")};
    Str from = fs_exists(&fs_system, places[0]) ? places[0] : places[1];
    test_dir_make(dir, sizeof dir);
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        Str bytes;
        Str to = fs_join(&arena, str_from_c(dir), str_from_c(files[i]));
        CHECK_OK(fs_make_dirs(&fs_system, str_sub(to, 0, str_rfind_char(to, '/')), &err), err);
        CHECK_OK(fs_read_file(&fs_system, fs_join(&arena, from, str_from_c(files[i])), &arena,
                              1 << 20, &bytes, &err),
                 err);
        CHECK_OK(fs_write_atomic(&fs_system, to, bytes, &err), err);
    }
    HeadOptions options = test_head_options(dir);
    options.out_of_order_window_ms = HOUR_MS;

    for (int round = 0; round < 2; round++) {
        Head *head = test_head_open(&options);
        Querier *q = test_query(head, INT64_MIN, INT64_MAX);
        SeriesList list;
        size_t samples = 0;
        CHECK_OK(q->select(q, NULL, 0, NULL, &arena, &list, &err), err);
        CHECK_EQ(list.count, 374);
        for (size_t i = 0; i < list.count; i++) {
            SampleColumns c;
            double sum = 0;
            CHECK_OK(q->read(q, list.series[i].handle, INT64_MIN, INT64_MAX, &arena, &c, &err),
                     err);
            samples += c.count;
            for (size_t k = 0; k < c.count; k++)
                sum += c.value[k];
            if (!str_is(labels_get(list.series[i].labels, LABEL_METRIC_NAME), "pushed"))
                continue;
            for (size_t k = 0; k < COUNT_OF(pushed); k++) {
                if (!str_is(labels_get(list.series[i].labels, S("i")), pushed[k].i))
                    continue;
                CHECK_EQ(c.count, pushed[k].count);
                CHECK_DOUBLE(sum, pushed[k].sum);
            }
        }
        CHECK_EQ(samples, 2594);
        q->close(q);
        head_check(head);
        head_close(head);
    }
    arena_deinit(&arena);
    test_dir_remove(dir);
}

TEST_MAIN(head, TEST_ROW(head, gives_back_what_was_committed),
          TEST_ROW(head, replays_what_was_committed), TEST_ROW(head, judges_as_prometheus_does),
          TEST_ROW(head, refuses_bad_label_sets),
          TEST_ROW(head, a_querier_sees_nothing_committed_after_it_was_opened),
          TEST_ROW(head, rolled_back_samples_are_not_there),
          TEST_ROW(head, out_of_order_samples_merge_and_survive),
          TEST_ROW(head, one_commit_may_bring_many_old_samples_of_a_series),
          TEST_ROW(head, histograms_and_floats_share_a_series),
          TEST_ROW(head, deleted_samples_stay_deleted),
          TEST_ROW(head, metadata_and_exemplars_survive),
          TEST_ROW(head, truncation_drops_what_is_old_and_the_rest_survives),
          TEST_ROW(head, a_ref_of_a_dropped_series_is_gone),
          TEST_ROW(head, no_stale_series_no_call_to_the_disk),
          TEST_ROW(head, a_series_that_came_back_keeps_its_chunks_through_restarts),
          TEST_ROW(head, select_agrees_with_the_matchers),
          TEST_ROW(head, takes_over_what_prometheus_wrote))
