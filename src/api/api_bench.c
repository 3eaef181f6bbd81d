// SPDX-License-Identifier: Apache-2.0
// api_bench.c: a dashboard's range query, from the request to the last byte of JSON: nanoseconds of CPU a point, and what of it is
// the query engine's.
#include "api/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SERIES = 200, SAMPLES = 1000, ROUNDS = 10 };
#define T0_MS 1700000000000

static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void fill(Tsdb *tsdb)
{
    Error err;
    Sink *sink = tsdb_sink(tsdb);
    Appender *appender = sink->begin(sink);
    for (int s = 0; s < SERIES; s++) {
        char instance[32];
        int len = snprintf(instance, sizeof instance, "10.0.0.%d:9100", s);
        Label pairs[] = {{STR("__name__"), STR("node_load1")},
                         {STR("instance"), {instance, (size_t)len}},
                         {STR("job"), STR("node")}};
        bool created;
        SeriesRef ref = appender->series(appender, (Labels){pairs, 3}, &created, &err);
        for (int i = 0; i < SAMPLES; i++) {
            SinkSample sample = {
                .ref = ref, .t_ms = T0_MS + i * 15000, .value = (s + 1) * 0.37 + i * 0.01};
            size_t taken = appender->append(appender, &sample, 1);
            ASSERT(taken == 1);
        }
    }
    bool ok = appender->commit(appender, &err);
    ASSERT(ok);
}

int main(void)
{
    char dir[] = "/tmp/api_bench.XXXXXX";
    Error err = {0};
    char *made = mkdtemp(dir);
    ASSERT(made);
    ClockFake clock;
    clock_fake_init(&clock, T0_MS + SAMPLES * 15000);
    TsdbOptions tsdb_options;
    tsdb_options_default(&tsdb_options);
    tsdb_options.dir = str_from_c(dir);
    tsdb_options.clock = &clock.clock;
    Tsdb *tsdb;
    bool ok = tsdb_open(&tsdb_options, &tsdb, &err);
    ASSERT(ok);
    fill(tsdb);
    EngineOptions engine_options;
    engine_options_default(&engine_options);
    engine_options.clock = &clock_system;
    ApiContext api = {.tsdb = tsdb, .engine = engine_new(&engine_options), .clock = &clock_system};
    ok = api_init(&api, &err);
    ASSERT(ok);

    Arena arena = {0};
    size_t bytes = 0;
    int64_t query_ns = 0;
    int64_t api_ns = 0;
    for (int round = 0; round < ROUNDS; round++) {
        QueryRequest query = {.query = STR("node_load1"),
                              .is_range = true,
                              .start_ms = T0_MS,
                              .end_ms = T0_MS + (SAMPLES - 1) * 15000,
                              .step_ms = 15000};
        QueryResult result;
        int64_t start_ns = cpu_ns();
        arena_reset(&arena);
        ok = engine_query(api.engine, tsdb_source(tsdb), &query, &arena, &result, &err);
        ASSERT(ok);
        query_ns += cpu_ns() - start_ns;

        HttpRequest request;
        HttpFakeReply reply;
        arena_reset(&arena);
        http_fake_request(
            &request, &reply, &arena, S("GET"),
            S("/api/v1/query_range?query=node_load1&start=1700000000&end=1700014985&step=15"),
            STR_NONE);
        start_ns = cpu_ns();
        api_handle(&api, &request);
        api_ns += cpu_ns() - start_ns;
        ASSERT(reply.status == 200);
        bytes = reply.body.len;
        buf_deinit(&reply.body);
    }
    double points = (double)SERIES * SAMPLES * ROUNDS;
    printf("%d series x %d points, %zu bytes: %.1f ns of CPU a point, of which the engine %.1f\n",
           SERIES, SAMPLES, bytes, (double)api_ns / points, (double)query_ns / points);
    api_deinit(&api);
    engine_free(api.engine);
    tsdb_close(tsdb);
    arena_deinit(&arena);
    ok = fs_remove_tree(&fs_system, str_from_c(dir), &err);
    ASSERT(ok);
    return 0;
}
