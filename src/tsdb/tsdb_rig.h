// SPDX-License-Identifier: Apache-2.0
// tsdb_rig.h: for tests: a storage on a disk that can be made to fail, and a naive model of what it was told.
//
// Time is counted in positions: calls noted by the journal of the disk if there is one, deeds of the rig else. Of each sample the model
// knows from which position on it may be seen, must survive a crash of the process, must survive a power cut; and the same of its deletion.
// The value of a sample is told by its series and its time, so whatever is read can be judged.
#pragma once

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fs_journal.h"
#include "base/log.h"
#include "base/number.h"
#include "base/random.h"
#include "tsdb/tsdb_internal.h"

#define RIG_SERIES 8    // the last two have histograms
#define RIG_FLOATS 6    // the others
#define RIG_EXEMPLARS 0 // the series that has them
#define RIG_STEP_MS 600000
#define RIG_HOUR_MS INT64_C(3600000)
#define RIG_START_MS (INT64_C(472224) * RIG_HOUR_MS) // aligned to six hours
#define RIG_NEVER UINT64_MAX

typedef struct RigSample {
    int64_t t_ms;
    uint64_t born;         // may be seen from here
    uint64_t acked;        // must survive a crash of the process
    uint64_t synced;       // must survive a power cut
    uint64_t dying;        // may be gone from here
    uint64_t deleted;      // must be gone after a crash of the process
    uint64_t deleted_sync; // must be gone after a power cut
} RigSample;

typedef struct RigSeries {
    RigSample *items; // rising
    size_t count, cap;
} RigSeries;

typedef struct RigSpan {
    int series;
    int64_t min_t_ms, max_t_ms;
} RigSpan;

typedef struct Rig {
    char root[100]; // scratch; the storage lives in root/db
    Str dir;
    FsFault fault;
    Fs fs;
    ClockFake clock;
    TsdbOptions options;
    Tsdb *tsdb; // NULL: closed
    Random random;
    uint64_t seed;
    int64_t now_ms;
    RigSeries series[RIG_SERIES];
    RigSeries exemplars;
    int rests[RIG_SERIES]; // commits that a series stays away from, as it has ended
    uint64_t left_early;   // times that ended series left the head before a cut of it
    RigSpan *deleted;      // no sample is given to them any more
    size_t deleted_count, deleted_cap;
    uint64_t tick;
    uint64_t failed; // deeds that told an error
    char last_error[500];
    char point[100]; // what is being tried, for messages
    Arena arena;
} Rig;

#define RIG_REQUIRE(rig, condition, ...)                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "rig: seed %" PRIu64 ", %s: ", (rig)->seed, (rig)->point);             \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fprintf(stderr, "; last error: %s; %s\n", (rig)->last_error, (rig)->root);             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static inline uint64_t rig_position(Rig *rig)
{
    return rig->fs.journal ? fs_journal_length(rig->fs.journal) : ++rig->tick;
}

static inline void rig_be_quiet(void)
{
    log_setup(LOG_ERROR + 1, LOG_LOGFMT);
}

// --- life ---

static inline void rig_init(Rig *rig, uint64_t seed, bool journal)
{
    const char *tmp = getenv("TMPDIR");

    *rig = (Rig){.seed = seed};
    random_seed(&rig->random, seed);
    random_system_pretend(&seed); // names of blocks decide in which order the disk is asked
    // In memory where there is such a folder: syncs are not done anyway, and there are hundreds of thousands of small files.
    if (!tmp)
        tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(rig->root, sizeof rig->root, "%s/narthex-rig-XXXXXX", tmp);
    ASSERT(mkdtemp(rig->root) != NULL);
    rig->dir = arena_printf(&rig->arena, "%s/db", rig->root);
    rig->fs = (Fs){.fault = &rig->fault, .skip_sync = true};
    if (journal)
        rig->fs.journal = fs_journal_new(str_from_c(rig->root));
    rig->now_ms = RIG_START_MS;
    clock_fake_init(&rig->clock, rig->now_ms);
    tsdb_options_default(&rig->options);
    rig->options.dir = rig->dir;
    rig->options.fs = &rig->fs;
    rig->options.clock = &rig->clock.clock;
    rig->options.no_lockfile = true;
    rig->options.max_block_ms = 18 * RIG_HOUR_MS;
    rig->options.retention.ms = 24 * RIG_HOUR_MS;
    rig->options.out_of_order_window_ms = 6 * RIG_HOUR_MS;
    rig->options.wal_segment_bytes = 65536;
    rig->options.wal_sync = TSDB_SYNC_NONE; // rig_sync does it
    rig->options.samples_per_chunk = 5;
    rig->options.settled_step_bytes = 1; // looks each time
    rig->options.max_exemplars = 10000;
}

static inline void rig_note(Rig *rig, bool ok, const Error *err)
{
    if (ok)
        return;
    rig->failed++;
    snprintf(rig->last_error, sizeof rig->last_error, "%s", err->text);
}

static inline bool rig_open(Rig *rig)
{
    Error err = {0};
    bool ok = tsdb_open(&rig->options, &rig->tsdb, &err);

    rig_note(rig, ok, &err);
    if (ok && rig->tsdb->counters.blocks_unreadable) { // told as well, and tried again each minute
        rig->failed++;
        if (!tsdb_compact(rig->tsdb, &err))
            rig_note(rig, false, &err);
    }
    return ok;
}

static inline void rig_close(Rig *rig)
{
    tsdb_close(rig->tsdb);
    rig->tsdb = NULL;
}

// Removes a folder; or puts every NARTHEX_RIG_KEEP_EACH-th into the folder NARTHEX_RIG_KEEP, for other programs to look at.
static inline void rig_remove(Rig *rig, Str root)
{
    static unsigned long count;
    const char *keep = getenv("NARTHEX_RIG_KEEP"), *each = getenv("NARTHEX_RIG_KEEP_EACH");
    unsigned long step = each ? strtoul(each, NULL, 10) : 1;
    Error err = {0};

    count++;
    if (keep && step && count % step == 0) {
        Str to = arena_printf(&rig->arena, "%s/%lu", keep, count);
        if (fs_rename(&fs_system, root, to, &err))
            return;
        fprintf(stderr, "rig: not kept: %s\n", err.text);
    }
    bool ok = fs_remove_tree(&fs_system, root, &err);
    (void)ok; // a scratch folder that stays harms nobody
}

static inline void rig_deinit(Rig *rig)
{
    rig_close(rig);
    random_system_pretend(NULL);
    rig_remove(rig, str_from_c(rig->root));
    fs_journal_free(rig->fs.journal);
    for (int i = 0; i < RIG_SERIES; i++)
        free(rig->series[i].items);
    free(rig->exemplars.items);
    free(rig->deleted);
    arena_deinit(&rig->arena);
}

// --- the model ---

static inline size_t rig_find(const RigSeries *series, int64_t t_ms)
{
    size_t low = 0, high = series->count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (series->items[middle].t_ms < t_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// The sample of that time, made if there is none.
static inline RigSample *rig_sample(RigSeries *series, int64_t t_ms, uint64_t born)
{
    size_t at = rig_find(series, t_ms);

    if (at < series->count && series->items[at].t_ms == t_ms)
        return &series->items[at];
    if (series->count == series->cap) {
        series->cap = series->cap ? series->cap * 2 : 64;
        series->items = (RigSample *)x_realloc(series->items, series->cap * sizeof(RigSample));
    }
    memmove(series->items + at + 1, series->items + at, (series->count - at) * sizeof(RigSample));
    series->count++;
    series->items[at] = (RigSample){.t_ms = t_ms,
                                    .born = born,
                                    .acked = RIG_NEVER,
                                    .synced = RIG_NEVER,
                                    .dying = RIG_NEVER,
                                    .deleted = RIG_NEVER,
                                    .deleted_sync = RIG_NEVER};
    return &series->items[at];
}

// Where stale series are dropped early, each ends now and then.
static inline bool rig_ends(const Rig *rig, int series, int64_t t_ms)
{
    return rig->options.stale.ratio > 0 && t_ms % RIG_STEP_MS == 0 &&
           (t_ms / RIG_STEP_MS + series * 5) % 12 == 0;
}

static inline double rig_value(const Rig *rig, int series, int64_t t_ms)
{
    if (rig_ends(rig, series, t_ms))
        return double_from_bits(NAN_STALE_BITS);
    return (double)(t_ms / 1000 % 1000000) * (series + 1) + 0.5;
}

static inline Histogram *rig_histogram(const Rig *rig, Arena *arena, int series, int64_t t_ms)
{
    Histogram *h = ARENA_NEW(arena, Histogram);
    HistogramSpan *span = ARENA_NEW(arena, HistogramSpan);
    double *counts = ARENA_ARRAY(arena, double, 2);
    double n = (double)(t_ms / 1000 % 1000000);

    if (rig_ends(rig, series, t_ms)) {
        *h = (Histogram){.is_integer = true, .sum = double_from_bits(NAN_STALE_BITS)};
        return h;
    }
    *span = (HistogramSpan){t_ms / 7200000 % 2 ? 1 : 2, 2};
    counts[0] = n;
    counts[1] = n * (series + 1);
    *h = (Histogram){.is_integer = true,
                     .schema = 1,
                     .zero_threshold = 0.001,
                     .zero_count = 1,
                     .count = counts[0] + counts[1] + 1,
                     .sum = n * 2,
                     .positive_spans = span,
                     .positive_span_count = 1,
                     .positive_buckets = counts,
                     .positive_count = 2};
    return h;
}

static inline bool rig_is_deleted(const Rig *rig, int series, int64_t t_ms)
{
    for (size_t i = 0; i < rig->deleted_count; i++)
        if (rig->deleted[i].series == series && rig->deleted[i].min_t_ms <= t_ms &&
            t_ms <= rig->deleted[i].max_t_ms)
            return true;
    return false;
}

// --- deeds ---

static inline Labels rig_labels(Label pairs[2], char text[24], int series)
{
    snprintf(text, 24, "%d", series);
    pairs[0] = (Label){S("__name__"), S("m")};
    pairs[1] = (Label){S("i"), str_from_c(text)};
    return (Labels){pairs, 2};
}

typedef struct RigTaken {
    int series;
    int64_t t_ms;
} RigTaken;

typedef struct RigCommit {
    Appender *appender;
    Arena arena;
    SeriesRef refs[RIG_SERIES];
    RigTaken taken[2 * RIG_SERIES];
    size_t count;
    bool exemplar;
} RigCommit;

static inline void rig_put(Rig *rig, RigCommit *c, int series, int64_t t_ms)
{
    SinkSample s = {.ref = c->refs[series], .t_ms = t_ms};

    if (!s.ref || rig_is_deleted(rig, series, t_ms))
        return;
    if (series < RIG_FLOATS)
        s.value = rig_value(rig, series, t_ms);
    else
        s.histogram = rig_histogram(rig, &c->arena, series, t_ms);
    c->appender->append(c->appender, &s, 1);
    if (s.status != APPEND_OK)
        return;
    c->taken[c->count++] = (RigTaken){series, t_ms};
    if (rig_ends(rig, series, t_ms))
        rig->rests[series] = (int)random_below(&rig->random, 40);
}

static inline void rig_note_commit(Rig *rig, const RigCommit *c, uint64_t born, bool ok)
{
    uint64_t done = rig_position(rig);

    for (size_t i = 0; i < c->count; i++) {
        RigSample *s = rig_sample(&rig->series[c->taken[i].series], c->taken[i].t_ms, born);
        if (!ok)
            continue;
        s->acked = MIN(s->acked, done);
        if (rig->options.wal_sync == TSDB_SYNC_COMMIT)
            s->synced = MIN(s->synced, done);
    }
    if (c->exemplar) {
        RigSample *s = rig_sample(&rig->exemplars, rig->now_ms, born);
        if (ok)
            s->acked = done;
        if (ok && rig->options.wal_sync == TSDB_SYNC_COMMIT)
            s->synced = done;
    }
}

// One commit: a sample of each series at a new time, late ones of some. Without `all` some are left out.
static inline bool rig_append(Rig *rig, bool late, bool all)
{
    RigCommit c = {0};
    Error err = {0};
    Sink *sink = tsdb_sink(rig->tsdb);

    rig->now_ms += RIG_STEP_MS;
    clock_fake_advance(&rig->clock, RIG_STEP_MS);
    uint64_t born = rig_position(rig);
    c.appender = sink->begin(sink);
    for (int i = 0; i < RIG_SERIES; i++) {
        Label pairs[2];
        char text[24];
        if (rig->rests[i] > 0 && rig->rests[i]--)
            continue;
        c.refs[i] = c.appender->series(c.appender, rig_labels(pairs, text, i), NULL, &err);
    }
    for (int i = 0; i < RIG_SERIES; i++) {
        if (all || random_below(&rig->random, 4))
            rig_put(rig, &c, i, rig->now_ms);
        if (late && random_below(&rig->random, 3) == 0)
            rig_put(rig, &c, i,
                    rig->now_ms - (int64_t)random_below(&rig->random, 30) * RIG_STEP_MS - 7);
    }
    // A series without samples may go at any time where stale ones go early; its exemplars are then in no restart's reach.
    bool has_sample =
        c.count && c.taken[0].series == RIG_EXEMPLARS && c.taken[0].t_ms == rig->now_ms;
    if (c.refs[RIG_EXEMPLARS] && (has_sample || rig->options.stale.ratio == 0)) {
        Exemplar e = {.t_ms = rig->now_ms, .value = rig_value(rig, RIG_EXEMPLARS, rig->now_ms)};
        c.exemplar = c.appender->exemplar(c.appender, c.refs[RIG_EXEMPLARS], &e) == APPEND_OK;
    }
    bool ok = c.appender->commit(c.appender, &err);
    rig_note(rig, ok, &err);
    rig_note_commit(rig, &c, born, ok);
    arena_deinit(&c.arena);
    return ok;
}

// What was acknowledged, of all samples or those before t_ms, survives a power cut from now on.
static inline void rig_settle(Rig *rig, int64_t before_t_ms)
{
    uint64_t now = rig_position(rig);

    for (int i = 0; i <= RIG_SERIES; i++) {
        RigSeries *series = i < RIG_SERIES ? &rig->series[i] : &rig->exemplars;
        for (size_t k = 0; k < series->count; k++) {
            RigSample *s = &series->items[k];
            if (s->t_ms >= before_t_ms)
                break;
            if (s->acked != RIG_NEVER)
                s->synced = MIN(s->synced, now);
            if (s->deleted != RIG_NEVER)
                s->deleted_sync = MIN(s->deleted_sync, now);
        }
    }
}

static inline bool rig_sync(Rig *rig)
{
    Error err = {0};
    bool ok = head_sync(rig->tsdb->head, &err);

    head_ease_restart(rig->tsdb->head); // as the maintenance thread does it
    rig_note(rig, ok, &err);
    if (ok)
        rig_settle(rig, INT64_MAX);
    return ok;
}

static inline bool rig_compact(Rig *rig)
{
    Error err = {0};
    uint64_t before = rig->tsdb->counters.stale_compactions;
    bool ok = tsdb_compact(rig->tsdb, &err);

    rig->left_early += rig->tsdb->counters.stale_compactions - before;
    rig_note(rig, ok, &err);
    return ok;
}

static inline bool rig_delete(Rig *rig, int series, int64_t min_t_ms, int64_t max_t_ms)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Error err = {0};
    Matcher matcher;
    char text[24];
    RigSeries *all = &rig->series[series];

    snprintf(text, sizeof text, "%d", series);
    RIG_REQUIRE(rig, matcher_init(&matcher, MATCH_EQUAL, S("i"), str_from_c(text), &arena, &err),
                "matcher");
    if (rig->deleted_count == rig->deleted_cap) {
        rig->deleted_cap = rig->deleted_cap ? 2 * rig->deleted_cap : 16;
        rig->deleted = (RigSpan *)x_realloc(rig->deleted, rig->deleted_cap * sizeof(RigSpan));
    }
    rig->deleted[rig->deleted_count++] = (RigSpan){series, min_t_ms, max_t_ms};
    uint64_t begun = rig_position(rig);
    bool ok = tsdb_delete(rig->tsdb, &matcher, 1, min_t_ms, max_t_ms, &err);
    uint64_t done = rig_position(rig);
    rig_note(rig, ok, &err);
    for (size_t i = 0; i < all->count; i++) {
        RigSample *s = &all->items[i];
        if (s->t_ms < min_t_ms || s->t_ms > max_t_ms)
            continue;
        s->dying = MIN(s->dying, begun);
        if (ok)
            s->deleted = MIN(s->deleted, done);
    }
    matcher_deinit(&matcher);
    return ok;
}

static inline bool rig_clean(Rig *rig)
{
    Error err = {0};
    bool ok = tsdb_clean_tombstones(rig->tsdb, &err);

    rig_note(rig, ok, &err);
    return ok;
}

// --- judging ---

typedef enum RigCrash { RIG_PROCESS_CRASH, RIG_POWER_CUT } RigCrash;

typedef struct RigView {
    uint64_t at; // position of the crash
    RigCrash crash;
    int64_t oldest_ms;         // what is older may have been taken by retention
    int64_t exemplars_from_ms; // older ones may have left the log
} RigView;

static inline bool rig_must_be_there(const RigSample *s, const RigView *view)
{
    uint64_t sure = view->crash == RIG_POWER_CUT ? s->synced : s->acked;
    return sure <= view->at && s->dying > view->at && s->t_ms >= view->oldest_ms;
}

static inline bool rig_must_be_gone(const RigSample *s, const RigView *view)
{
    uint64_t sure = view->crash == RIG_POWER_CUT ? s->deleted_sync : s->deleted;
    // What was never acknowledged may come back also when it was not there to be deleted.
    return (sure <= view->at && s->acked <= view->at) || s->born > view->at;
}

static inline void rig_judge(Rig *rig, const RigSeries *series, const char *what, int number,
                             const int64_t *got, size_t count, const RigView *view)
{
    size_t k = 0;

    for (size_t i = 0; i < series->count; i++) {
        const RigSample *s = &series->items[i];
        bool there = k < count && got[k] == s->t_ms;
        if (there)
            k++;
        RIG_REQUIRE(rig, k >= count || got[k] > s->t_ms,
                    "%s %d at %" PRIu64 ": sample %" PRId64 " comes from nowhere", what, number,
                    view->at, got[k] - RIG_START_MS);
        RIG_REQUIRE(rig, there || !rig_must_be_there(s, view),
                    "%s %d at %" PRIu64 ": lost sample %" PRId64 " (born %" PRIu64
                    ", acked %" PRIu64 ", synced %" PRIu64 ")",
                    what, number, view->at, s->t_ms - RIG_START_MS, s->born, s->acked, s->synced);
        RIG_REQUIRE(rig, !there || !rig_must_be_gone(s, view),
                    "%s %d at %" PRIu64 ": deleted sample %" PRId64 " is there (born %" PRIu64
                    ", deleted %" PRIu64 ")",
                    what, number, view->at, s->t_ms - RIG_START_MS, s->born, s->deleted);
    }
    RIG_REQUIRE(rig, k == count, "%s %d at %" PRIu64 ": sample %" PRId64 " comes from nowhere",
                what, number, view->at, got[k] - RIG_START_MS);
}

static inline void rig_judge_values(Rig *rig, int series, const SampleColumns *c, Arena *arena)
{
    for (size_t i = 0; i < c->count; i++) {
        const Histogram *h = c->histograms ? c->histograms[i] : NULL;
        RIG_REQUIRE(rig, (h != NULL) == (series >= RIG_FLOATS), "series %d: wrong kind", series);
        if (!h) {
            RIG_REQUIRE(rig,
                        double_bits(c->value[i]) == double_bits(rig_value(rig, series, c->t_ms[i])),
                        "series %d: %g at %" PRId64, series, c->value[i], c->t_ms[i]);
            continue;
        }
        Histogram *want = rig_histogram(rig, arena, series, c->t_ms[i]);
        RIG_REQUIRE(rig, h->count == want->count && double_bits(h->sum) == double_bits(want->sum),
                    "series %d: wrong histogram at %" PRId64, series, c->t_ms[i]);
    }
}

static inline void rig_judge_series(Rig *rig, Querier *q, int series, const RigView *view)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Matcher matchers[2];
    SeriesList list;
    SampleColumns columns = {0};
    char text[24];
    Error err = {0};

    snprintf(text, sizeof text, "%d", series);
    RIG_REQUIRE(rig,
                matcher_init(&matchers[0], MATCH_EQUAL, S("__name__"), S("m"), &arena, &err) &&
                    matcher_init(&matchers[1], MATCH_EQUAL, S("i"), str_from_c(text), &arena, &err),
                "matcher");
    RIG_REQUIRE(rig, q->select(q, matchers, 2, NULL, &arena, &list, &err), "select: %s", err.text);
    RIG_REQUIRE(rig, list.count <= 1, "series %d is there twice", series);
    if (list.count)
        RIG_REQUIRE(rig,
                    q->read(q, list.series[0].handle, INT64_MIN, INT64_MAX, &arena, &columns, &err),
                    "read: %s", err.text);
    rig_judge(rig, &rig->series[series], "series", series, columns.t_ms, columns.count, view);
    rig_judge_values(rig, series, &columns, &arena);
    matcher_deinit(&matchers[0]);
    matcher_deinit(&matchers[1]);
}

static inline void rig_judge_exemplars(Rig *rig, Tsdb *tsdb, RigView *view)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    TsdbExemplars all;
    Error err = {0};
    Matcher matcher;
    size_t count = 0;
    RigView mine = *view;

    RIG_REQUIRE(rig, matcher_init(&matcher, MATCH_EQUAL, S("__name__"), S("m"), &arena, &err),
                "matcher");
    RIG_REQUIRE(rig, tsdb_exemplars(tsdb, &matcher, 1, INT64_MIN, INT64_MAX, &arena, &all, &err),
                "exemplars: %s", err.text);
    if (all.count)
        count = all.exemplar_counts[0];
    int64_t *times = ARENA_ARRAY(&arena, int64_t, count);
    for (size_t i = 0; i < count; i++)
        times[i] = all.exemplars[0][i].t_ms;
    mine.oldest_ms = view->exemplars_from_ms;
    rig_judge(rig, &rig->exemplars, "exemplars", 0, times, count, &mine);
    matcher_deinit(&matcher);
}

static inline int64_t rig_newest(const Rig *rig, uint64_t at)
{
    int64_t newest = RIG_START_MS;

    for (int i = 0; i < RIG_SERIES; i++)
        for (size_t k = rig->series[i].count; k-- > 0;)
            if (rig->series[i].items[k].born <= at) {
                newest = MAX(newest, rig->series[i].items[k].t_ms);
                break;
            }
    return newest;
}

// Everything that the storage must hold is there, and nothing that it must not.
static inline void rig_check(Rig *rig, Tsdb *tsdb, uint64_t at, RigCrash crash)
{
    // Retention counts from the end of the newest block, which may lie ahead of the newest sample.
    int64_t oldest_ms = rig_newest(rig, at) + rig->options.min_block_ms - rig->options.retention.ms;
    RigView view = {at, crash, oldest_ms, INT64_MIN};
    Querier *q;
    Error err = {0};

    // The head keeps at least half a block; a checkpoint drops exemplars that are older than what it keeps.
    view.exemplars_from_ms = rig_newest(rig, at) - rig->options.min_block_ms / 2;
    RIG_REQUIRE(rig, tsdb_source(tsdb)->open(tsdb_source(tsdb), INT64_MIN, INT64_MAX, &q, &err),
                "querier: %s", err.text);
    for (int i = 0; i < RIG_SERIES; i++)
        rig_judge_series(rig, q, i, &view);
    q->close(q);
    rig_judge_exemplars(rig, tsdb, &view);
    head_check(tsdb->head);
}

static inline void rig_check_now(Rig *rig)
{
    rig_check(rig, rig->tsdb, rig_position(rig), RIG_PROCESS_CRASH);
}

// After the disk is well again: the storage opens, holds everything, takes more, and holds that too.
static inline void rig_recover(Rig *rig)
{
    rig->fault = (FsFault){0};
    uint64_t at = rig_position(rig);
    if (!rig->tsdb)
        RIG_REQUIRE(rig, rig_open(rig), "does not open again");
    rig_check(rig, rig->tsdb, at, RIG_PROCESS_CRASH);
    for (int i = 0; i < 20; i++)
        RIG_REQUIRE(rig, rig_append(rig, true, true), "does not take samples again");
    RIG_REQUIRE(rig, rig_compact(rig), "does not compact again");
    rig_check_now(rig);
    rig_close(rig);
    RIG_REQUIRE(rig, rig_open(rig), "does not open a second time");
    rig_check_now(rig);
}

// Opens what a cut has left.
static inline void rig_check_cut(Rig *rig, size_t at, FsLoss loss)
{
    CLEANUP(arena_deinit) Arena arena = {.next = NULL};
    Error err = {0};
    TsdbOptions options = rig->options;
    Tsdb *tsdb = NULL;
    Str root = arena_printf(&arena, "%s-cut", rig->root);

    RIG_REQUIRE(rig, fs_remove_tree(&fs_system, root, &err), "%s", err.text);
    RIG_REQUIRE(rig, fs_journal_cut(rig->fs.journal, at, loss, at * 31 + (size_t)loss, root, &err),
                "%s", err.text);
    Fs plain = {.skip_sync = true};
    options.fs = &plain;
    options.dir = fs_join(&arena, root, S("db"));
    for (int round = 0; round < 2; round++) {
        RIG_REQUIRE(rig, tsdb_open(&options, &tsdb, &err), "%s", err.text);
        snprintf(rig->point, sizeof rig->point, "cut behind call %zu, loss %d, round %d", at,
                 (int)loss, round);
        rig_check(rig, tsdb, at, loss == FS_LOSS_NONE ? RIG_PROCESS_CRASH : RIG_POWER_CUT);
        if (round == 0)
            RIG_REQUIRE(rig, tsdb_compact(tsdb, &err), "cut %zu, loss %d: %s", at, (int)loss,
                        err.text);
        rig_check(rig, tsdb, at, loss == FS_LOSS_NONE ? RIG_PROCESS_CRASH : RIG_POWER_CUT);
        tsdb_close(tsdb);
    }
    rig_remove(rig, root);
}
