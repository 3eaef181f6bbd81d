// SPDX-License-Identifier: Apache-2.0
// Claim: a range query costs little more than a look at each sample. Prints milliseconds per query and nanoseconds per sample that the
// query selects, over a Source in memory (1000 counters, one sample each 15 s for 3 h; a query of 60 steps).
#include <stdio.h>
#include <stdlib.h>

#include "promql/promql.h"

enum { SERIES = 1000, SAMPLES = 720, STEP_MS = 15000, ROUNDS = 5 };

typedef struct BenchSource {
    Source source;
    Querier querier;
    Labels labels[SERIES];
    int64_t t_ms[SAMPLES];
    double value[SAMPLES];
} BenchSource;

static bool bench_select(Querier *querier, const Matcher *matchers, size_t count,
                         const SelectHints *hints, Arena *arena, SeriesList *ret_list, Error *err)
{
    (void)hints;
    (void)err;
    BenchSource *bench = CONTAINER_OF(querier, BenchSource, querier);
    SeriesList list = {ARENA_ARRAY(arena, SeriesEntry, SERIES), 0};
    for (size_t i = 0; i < SERIES; i++)
        if (matchers_match(matchers, count, bench->labels[i]))
            list.series[list.count++] = (SeriesEntry){bench->labels[i], i};
    *ret_list = list;
    return true;
}

static bool bench_read(Querier *querier, uint64_t handle, int64_t min_t_ms, int64_t max_t_ms,
                       Arena *arena, SampleColumns *ret_columns, Error *err)
{
    (void)handle;
    (void)err;
    const BenchSource *bench = CONTAINER_OF(querier, BenchSource, querier);
    SampleColumns columns = {ARENA_ARRAY(arena, int64_t, SAMPLES),
                             ARENA_ARRAY(arena, double, SAMPLES), NULL, 0};
    for (size_t i = 0; i < SAMPLES; i++) {
        if (bench->t_ms[i] < min_t_ms || bench->t_ms[i] > max_t_ms)
            continue;
        columns.t_ms[columns.count] = bench->t_ms[i];
        columns.value[columns.count++] = bench->value[i];
    }
    *ret_columns = columns;
    return true;
}

static void bench_close(Querier *querier)
{
    (void)querier;
}

static bool bench_open(Source *source, int64_t min_t_ms, int64_t max_t_ms, Querier **ret_querier,
                       Error *err)
{
    (void)min_t_ms;
    (void)max_t_ms;
    (void)err;
    BenchSource *bench = CONTAINER_OF(source, BenchSource, source);
    bench->querier = (Querier){.select = bench_select, .read = bench_read, .close = bench_close};
    *ret_querier = &bench->querier;
    return true;
}

static void fill(BenchSource *bench, Arena *arena)
{
    bench->source.open = bench_open;
    for (size_t i = 0; i < SERIES; i++) {
        LabelsBuilder builder;
        labels_builder_init(&builder, arena, LABELS_NONE);
        labels_builder_set(&builder, S("__name__"), S("http_requests_total"));
        labels_builder_set(&builder, S("instance"), arena_printf(arena, "10.0.0.%zu:8080", i / 10));
        labels_builder_set(&builder, S("job"), S("api"));
        labels_builder_set(&builder, S("code"), arena_printf(arena, "%zu", 200 + i % 10));
        bench->labels[i] = labels_builder_finish(&builder);
    }
    for (size_t i = 0; i < SAMPLES; i++) {
        bench->t_ms[i] = (int64_t)i * STEP_MS;
        bench->value[i] = (double)i * 17;
    }
}

int main(void)
{
    static const char *const queries[] = {
        "http_requests_total",
        "rate(http_requests_total[5m])",
        "sum by (code) (rate(http_requests_total[5m]))",
        "avg_over_time(http_requests_total[1h])",
        "max by (instance) (http_requests_total)",
        "topk(5, rate(http_requests_total[5m]))",
        "http_requests_total / on (instance, code) http_requests_total",
        "max_over_time(sum(rate(http_requests_total[5m]))[30m:1m])",
    };
    Arena arena = {0};
    BenchSource *bench = X_NEW(BenchSource);
    fill(bench, &arena);
    EngineOptions options;
    engine_options_default(&options);
    Engine *engine = engine_new(&options);

    printf("%-66s %10s %12s\n", "query", "ms", "ns/sample");
    for (size_t q = 0; q < COUNT_OF(queries); q++) {
        double best_ms = 1e9;
        uint64_t samples = 0;
        for (int round = 0; round < ROUNDS; round++) {
            Arena results = {0};
            QueryResult result;
            Error err = {0};
            QueryRequest request = {
                .query = str_from_c(queries[q]),
                .is_range = true,
                .start_ms = 7200000,
                .end_ms = 10740000,
                .step_ms = 60000,
            };
            int64_t began_ns = clock_mono_ns(&clock_system);
            if (!engine_query(engine, &bench->source, &request, &results, &result, &err)) {
                fprintf(stderr, "%s: %s\n", queries[q], err.text);
                return 1;
            }
            double ms = (double)(clock_mono_ns(&clock_system) - began_ns) / 1e6;
            best_ms = MIN(best_ms, ms);
            samples = result.stats.samples_total;
            arena_deinit(&results);
        }
        printf("%-66s %10.2f %12.2f\n", queries[q], best_ms, best_ms * 1e6 / (double)samples);
    }
    engine_free(engine);
    free(bench);
    arena_deinit(&arena);
    return 0;
}
