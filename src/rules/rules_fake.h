// SPDX-License-Identifier: Apache-2.0
// rules_fake.h: for this room's tests: a store in memory that is Sink and Source, and a laboratory of engine, clock and manager around it.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/number.h"
#include "rules/rules_internal.h"

#define FAKE_SERIES_MAX 4000

typedef struct FakeSeries {
    Labels labels;
    SinkSample *samples;
    size_t count;
} FakeSeries;

typedef struct FakeStore {
    Sink sink;
    Source source;
    Lock lock; // rank 500
    Arena arena;
    FakeSeries series[FAKE_SERIES_MAX]; // ref - 1
    size_t count;
    size_t asked; // label sets that were looked up
    bool refuse_commit;
    size_t gone_below; // refs below are APPEND_GONE
} FakeStore;

typedef struct FakeAppender {
    Appender appender;
    FakeStore *store;
    SinkSample *pending;
    size_t count;
} FakeAppender;

typedef struct FakeQuerier {
    Querier querier;
    FakeStore *store;
    int64_t min_t_ms, max_t_ms;
} FakeQuerier;

static inline SeriesRef fake_series(Appender *appender, Labels labels, bool *ret_created,
                                    Error *err)
{
    FakeStore *store = ((FakeAppender *)appender)->store;
    SeriesRef ref = 0;
    lock_take(&store->lock);
    store->asked++;
    for (size_t i = store->gone_below ? store->gone_below - 1 : 0; i < store->count && !ref; i++)
        if (labels_equal(store->series[i].labels, labels))
            ref = i + 1;
    *ret_created = ref == 0;
    if (!ref && store->count < FAKE_SERIES_MAX) {
        store->series[store->count].labels = labels_copy(&store->arena, labels);
        ref = ++store->count;
    } else if (!ref) {
        error_set(err, ERR_LIMIT, "no more series");
    }
    lock_give(&store->lock);
    return ref;
}

static inline AppendStatus fake_judge(const FakeStore *store, const SinkSample *sample)
{
    const FakeSeries *series = &store->series[sample->ref - 1];
    const SinkSample *last = series->count ? &series->samples[series->count - 1] : NULL;
    if (sample->ref < store->gone_below)
        return APPEND_GONE;
    if (last && sample->t_ms < last->t_ms)
        return APPEND_OUT_OF_ORDER;
    if (last && sample->t_ms == last->t_ms)
        return double_bits(last->value) == double_bits(sample->value) ? APPEND_OK
                                                                      : APPEND_DUPLICATE;
    return APPEND_OK;
}

static inline size_t fake_append(Appender *appender, SinkSample *samples, size_t count)
{
    FakeAppender *mine = (FakeAppender *)appender;
    size_t taken = 0;
    mine->pending = x_realloc(mine->pending, (mine->count + count + 1) * sizeof(SinkSample));
    lock_take(&mine->store->lock);
    for (size_t i = 0; i < count; i++) {
        samples[i].status = fake_judge(mine->store, &samples[i]);
        if (samples[i].status != APPEND_OK)
            continue;
        mine->pending[mine->count++] = samples[i];
        taken++;
    }
    lock_give(&mine->store->lock);
    return taken;
}

static inline void fake_rollback(Appender *appender)
{
    free(((FakeAppender *)appender)->pending);
    free(appender);
}

static inline bool fake_commit(Appender *appender, Error *err)
{
    FakeAppender *mine = (FakeAppender *)appender;
    FakeStore *store = mine->store;
    bool ok = !store->refuse_commit || error_set(err, ERR_IO, "the disk is full");
    lock_take(&store->lock);
    for (size_t i = 0; ok && i < mine->count; i++) {
        FakeSeries *series = &store->series[mine->pending[i].ref - 1];
        if (series->count && series->samples[series->count - 1].t_ms == mine->pending[i].t_ms)
            continue;
        series->samples = x_realloc(series->samples, (series->count + 1) * sizeof(SinkSample));
        series->samples[series->count++] = mine->pending[i];
    }
    lock_give(&store->lock);
    fake_rollback(appender);
    return ok;
}

static inline Appender *fake_begin(Sink *sink)
{
    FakeAppender *mine = X_NEW(FakeAppender);
    mine->store = CONTAINER_OF(sink, FakeStore, sink);
    mine->appender = (Appender){.series = fake_series,
                                .append = fake_append,
                                .commit = fake_commit,
                                .rollback = fake_rollback};
    return &mine->appender;
}

static inline int fake_compare(const void *a, const void *b)
{
    return labels_compare(((const SeriesEntry *)a)->labels, ((const SeriesEntry *)b)->labels);
}

static inline bool fake_select(Querier *querier, const Matcher *matchers, size_t count,
                               const SelectHints *hints, Arena *arena, SeriesList *ret_list,
                               Error *err)
{
    FakeStore *store = ((FakeQuerier *)querier)->store;
    (void)hints;
    (void)err;
    lock_take(&store->lock);
    SeriesList list = {ARENA_ARRAY(arena, SeriesEntry, store->count + 1), 0};
    for (size_t i = 0; i < store->count; i++)
        if (store->series[i].count && matchers_match(matchers, count, store->series[i].labels))
            list.series[list.count++] = (SeriesEntry){store->series[i].labels, i};
    lock_give(&store->lock);
    qsort(list.series, list.count, sizeof *list.series, fake_compare);
    *ret_list = list;
    return true;
}

static inline bool fake_read(Querier *querier, uint64_t handle, int64_t min_t_ms, int64_t max_t_ms,
                             Arena *arena, SampleColumns *ret_columns, Error *err)
{
    FakeQuerier *mine = (FakeQuerier *)querier;
    (void)err;
    min_t_ms = MAX(min_t_ms, mine->min_t_ms);
    max_t_ms = MIN(max_t_ms, mine->max_t_ms);
    lock_take(&mine->store->lock);
    const FakeSeries *series = &mine->store->series[handle];
    SampleColumns columns = {ARENA_ARRAY(arena, int64_t, series->count + 1),
                             ARENA_ARRAY(arena, double, series->count + 1), NULL, 0};
    for (size_t i = 0; i < series->count; i++) {
        if (series->samples[i].t_ms < min_t_ms || series->samples[i].t_ms > max_t_ms)
            continue;
        columns.t_ms[columns.count] = series->samples[i].t_ms;
        columns.value[columns.count++] = series->samples[i].value;
    }
    lock_give(&mine->store->lock);
    *ret_columns = columns;
    return true;
}

static inline void fake_close(Querier *querier)
{
    free(querier);
}

static inline bool fake_open(Source *source, int64_t min_t_ms, int64_t max_t_ms,
                             Querier **ret_querier, Error *err)
{
    FakeQuerier *mine = X_NEW(FakeQuerier);
    (void)err;
    *mine =
        (FakeQuerier){.querier = {.select = fake_select, .read = fake_read, .close = fake_close},
                      .store = CONTAINER_OF(source, FakeStore, source),
                      .min_t_ms = min_t_ms,
                      .max_t_ms = max_t_ms};
    *ret_querier = &mine->querier;
    return true;
}

static inline FakeStore *fake_store_new(void)
{
    FakeStore *store = X_NEW(FakeStore);
    store->sink.begin = fake_begin;
    store->source.open = fake_open;
    lock_init(&store->lock, "fake store", 500);
    return store;
}

static inline void fake_store_free(FakeStore *store)
{
    for (size_t i = 0; i < store->count; i++)
        free(store->series[i].samples);
    lock_deinit(&store->lock);
    arena_deinit(&store->arena);
    free(store);
}

// "m{a="1"}" = labels of a text that promql reads as a selector of equalities.
static inline Labels fake_labels(Str text, Arena *arena)
{
    Matcher *matchers;
    size_t count;
    Error err;
    bool ok = promql_parse_selector(text, arena, &matchers, &count, &err);
    ASSERT(ok);
    LabelsBuilder builder;
    labels_builder_init(&builder, arena, LABELS_NONE);
    for (size_t i = 0; i < count; i++)
        labels_builder_set(&builder, matchers[i].name, matchers[i].value);
    promql_matchers_free(matchers, count);
    return labels_builder_finish(&builder);
}

static inline void fake_put(FakeStore *store, const char *series, int64_t t_ms, double value)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Appender *appender = store->sink.begin(&store->sink);
    bool created;
    Error err;
    SinkSample sample = {
        .ref = appender->series(appender, fake_labels(str_from_c(series), &arena), &created, &err),
        .t_ms = t_ms,
        .value = value};
    (void)appender->append(appender, &sample, 1);
    bool ok = appender->commit(appender, &err);
    ASSERT(ok);
}

// The samples of a series as "t:value ..." with t in seconds; a marker is "stale". Empty if there is no such series.
static inline Str fake_show(FakeStore *store, const char *series, Arena *arena)
{
    CLEANUP(buf_deinit) Buf out = {0};
    Labels labels = fake_labels(str_from_c(series), arena);
    for (size_t i = 0; i < store->count; i++)
        for (size_t k = 0;
             labels_equal(labels, store->series[i].labels) && k < store->series[i].count; k++) {
            const SinkSample *sample = &store->series[i].samples[k];
            buf_printf(&out, "%s%g:", out.len ? " " : "", (double)sample->t_ms / 1000);
            if (is_stale_nan(sample->value))
                buf_add_c(&out, "stale");
            else
                buf_add_double_g(&out, sample->value);
        }
    return arena_str(arena, buf_str(&out));
}

// ---- the laboratory ----

typedef struct Lab {
    FakeStore *store;
    ClockFake clock;
    Engine *engine;
    RulesManager *manager;
    Arena arena;
    Buf sent; // "t alertname starts ends", a line for each alert
    int64_t now_ms;
    char dir[64];
    Str path; // of its only rule file
    int64_t query_offset_ms;
    Labels external;
} Lab;

static inline void lab_send(void *arg, const NotifierAlert *alerts, size_t count)
{
    Lab *lab = arg;
    for (size_t i = 0; i < count; i++)
        buf_printf(&lab->sent, "%g " STR_FMT " %g-%g\n", (double)lab->now_ms / 1000,
                   STR_ARG(labels_get(alerts[i].labels, S("alertname"))),
                   (double)alerts[i].starts_at_ms / 1000, (double)alerts[i].ends_at_ms / 1000);
}

static inline void lab_options(Lab *lab, RulesOptions *ret_options)
{
    *ret_options = (RulesOptions){
        .sink = &lab->store->sink,
        .source = &lab->store->source,
        .engine = lab->engine,
        .clock = &lab->clock.clock,
        .outage_tolerance_ms = 3600000,
        .grace_period_ms = 600000,
        .resend_delay_ms = 60000,
        .send = lab_send,
        .send_arg = lab,
    };
}

static inline Lab *lab_new(void)
{
    Lab *lab = X_NEW(Lab);
    EngineOptions engine;
    RulesOptions options;
    lab->store = fake_store_new();
    clock_fake_init(&lab->clock, 0);
    engine_options_default(&engine);
    lab->engine = engine_new(&engine);
    lab_options(lab, &options);
    lab->manager = rules_manager_new(&options);
    snprintf(lab->dir, sizeof lab->dir, "/tmp/rules_test.XXXXXX");
    char *made = mkdtemp(lab->dir);
    ASSERT(made);
    lab->path = arena_printf(&lab->arena, "%s/rules.yml", lab->dir);
    return lab;
}

// Another process over the same store.
static inline void lab_restart(Lab *lab, bool restores)
{
    RulesOptions options;
    rules_manager_free(lab->manager);
    lab_options(lab, &options);
    options.restores = restores;
    lab->manager = rules_manager_new(&options);
}

static inline bool lab_load(Lab *lab, const char *yaml, RuleSet **ret_set, Error *err)
{
    RulesConfig config = {.patterns = &lab->path,
                          .pattern_count = 1,
                          .interval_ms = 60000,
                          .query_offset_ms = lab->query_offset_ms,
                          .external_labels = lab->external,
                          .external_url = S("http://host:9090")};
    return fs_write_atomic(&fs_system, lab->path, str_from_c(yaml), err) &&
           rule_set_load(&config, &lab->arena, ret_set, NULL, err);
}

static inline void lab_apply(Lab *lab, const char *yaml)
{
    RuleSet *set;
    Error err = {0};
    if (!lab_load(lab, yaml, &set, &err)) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    rules_manager_apply(lab->manager, set);
}

static inline bool lab_evaluate(Lab *lab, int64_t t_ms, Error *err)
{
    bool ok = true;
    lab->now_ms = lab->clock.now_ms_value = t_ms;
    for (size_t i = 0; i < lab->manager->group_count; i++)
        ok = rules_manager_evaluate(lab->manager, lab->path, lab->manager->groups[i]->name, t_ms,
                                    err) &&
             ok;
    return ok;
}

static inline void lab_free(Lab *lab)
{
    Error err;
    rules_manager_free(lab->manager);
    engine_free(lab->engine);
    fake_store_free(lab->store);
    bool ok = fs_remove_tree(&fs_system, str_from_c(lab->dir), &err);
    ASSERT(ok);
    buf_deinit(&lab->sent);
    arena_deinit(&lab->arena);
    free(lab);
}
