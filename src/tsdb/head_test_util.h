// SPDX-License-Identifier: Apache-2.0
// head_test_util.h: what the tests of the head share.
#pragma once

#include <ftw.h>
#include <unistd.h>

#include "base/random.h"
#include "base/test.h"
#include "tsdb/head_internal.h"

#define HOUR_MS 3600000LL

static inline HeadOptions test_head_options(const char *dir)
{
    return (HeadOptions){.dir = str_from_c(dir),
                         .fs = &fs_system,
                         .clock = &clock_system,
                         .min_block_ms = 2 * HOUR_MS,
                         .min_valid_t_ms = INT64_MIN,
                         .wal_segment_bytes = 128u << 20,
                         .wal_compression = TSDB_COMPRESSION_SNAPPY,
                         .wal_sync = TSDB_SYNC_NONE,
                         .samples_per_chunk = 120};
}

static inline int test_remove_one(const char *path, const struct stat *st, int type,
                                  struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

// A fresh folder; remove it with test_dir_remove.
static inline void test_dir_make(char *dir, size_t cap)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, cap, "%s/narthex-head-XXXXXX", tmp ? tmp : "/tmp");
    CHECK(mkdtemp(dir) != NULL);
}

static inline void test_dir_remove(const char *dir)
{
    nftw(dir, test_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

// The folder and what is in it, anew at `to`.
static inline void test_copy_tree(const char *from, const char *to)
{
    Arena arena = {0};
    FsList list;
    Error err = {0};

    CHECK_OK(fs_make_dirs(&fs_system, str_from_c(to), &err), err);
    CHECK_OK(fs_list(&fs_system, str_from_c(from), &arena, &list, &err), err);
    for (size_t i = 0; i < list.count; i++) {
        char a[512];
        char b[512];
        Str bytes;
        snprintf(a, sizeof a, "%s/" STR_FMT, from, STR_ARG(list.entries[i].name));
        snprintf(b, sizeof b, "%s/" STR_FMT, to, STR_ARG(list.entries[i].name));
        if (list.entries[i].is_dir) {
            test_copy_tree(a, b);
            continue;
        }
        CHECK_OK(fs_read_file(&fs_system, str_from_c(a), &arena, 1 << 30, &bytes, &err), err);
        CHECK_OK(fs_write_atomic(&fs_system, str_from_c(b), bytes, &err), err);
    }
    arena_deinit(&arena);
}

// Another digest for each word and each order of words.
static inline uint64_t test_mix(uint64_t digest, uint64_t word)
{
    return (digest ^ word) * 0x9e3779b97f4a7c15u + (digest >> 29);
}

static inline Head *test_head_open(const HeadOptions *options)
{
    Head *head = NULL;
    Error err = {0};
    CHECK_OK(head_open(options, &head, &err), err);
    return head;
}

// {__name__="m", i="<i>"}
static inline Labels test_labels(Label pairs[2], char text[24], int i)
{
    snprintf(text, 24, "%d", i);
    pairs[0] = (Label){S("__name__"), S("m")};
    pairs[1] = (Label){S("i"), str_from_c(text)};
    return (Labels){pairs, 2};
}

static inline SeriesRef test_series_created(Appender *app, int i, bool *ret_created)
{
    Label pairs[2];
    char text[24];
    Error err = {0};
    SeriesRef ref = app->series(app, test_labels(pairs, text, i), ret_created, &err);
    CHECK_OK(ref != 0, err);
    return ref;
}

static inline SeriesRef test_series(Appender *app, int i)
{
    return test_series_created(app, i, NULL);
}

static inline AppendStatus test_append(Appender *app, SeriesRef ref, int64_t t_ms, double value)
{
    SinkSample s = {.ref = ref, .t_ms = t_ms, .value = value};
    app->append(app, &s, 1);
    return s.status;
}

static inline void test_commit(Appender *app)
{
    Error err = {0};
    CHECK_OK(app->commit(app, &err), err);
}

static inline Appender *test_begin(Head *head)
{
    return head_sink(head)->begin(head_sink(head));
}

// One sample of series i in a commit of its own.
static inline AppendStatus test_put(Head *head, int i, int64_t t_ms, double value)
{
    Appender *app = test_begin(head);
    AppendStatus status = test_append(app, test_series(app, i), t_ms, value);
    test_commit(app);
    return status;
}

static inline Querier *test_query(Head *head, int64_t min_t, int64_t max_t)
{
    Querier *q;
    Error err = {0};
    CHECK_OK(head_source(head)->open(head_source(head), min_t, max_t, &q, &err), err);
    return q;
}

// Samples of series i as the Querier sees them; count 0 if there is no such series.
static inline SampleColumns test_read_from(Querier *q, int i, Arena *arena)
{
    char text[24];
    Matcher matchers[2];
    SeriesList list;
    SampleColumns columns = {0};
    Error err = {0};

    snprintf(text, sizeof text, "%d", i);
    CHECK_OK(matcher_init(&matchers[0], MATCH_EQUAL, S("__name__"), S("m"), arena, &err), err);
    CHECK_OK(matcher_init(&matchers[1], MATCH_EQUAL, S("i"), str_from_c(text), arena, &err), err);
    CHECK_OK(q->select(q, matchers, 2, NULL, arena, &list, &err), err);
    CHECK(list.count <= 1);
    if (list.count)
        CHECK_OK(q->read(q, list.series[0].handle, INT64_MIN, INT64_MAX, arena, &columns, &err),
                 err);
    matcher_deinit(&matchers[0]);
    matcher_deinit(&matchers[1]);
    return columns;
}

// Those that ended leave the head, which takes three looks at them.
static inline void test_drop_stale(Head *head)
{
    Error err = {0};

    for (int looks = 0; looks < 3; looks++) {
        HeadStale stale;
        head_stale_look(head, true, &stale);
        CHECK_OK(head_truncate_stale(head, &stale, &err), err);
        head_stale_free(&stale);
    }
}

static inline SampleColumns test_read(Head *head, int i, Arena *arena)
{
    Querier *q = test_query(head, INT64_MIN, INT64_MAX);
    SampleColumns columns = test_read_from(q, i, arena);
    q->close(q);
    return columns;
}
