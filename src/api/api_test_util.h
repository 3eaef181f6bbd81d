// SPDX-License-Identifier: Apache-2.0
// api_test_util.h: a small store and requests to it, for the tests of api_*.c.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include "api/api.h"
#include "base/test.h"

#define T0_MS 1700000000000

typedef struct Fixture {
    char dir[64];
    Tsdb *tsdb;
    Engine *engine;
    ClockFake clock;
    ApiContext api;
    ApiPhase phase;
    int reloads, quits;
    bool reload_fails;
    Arena arena;
    HttpRequest request;
    HttpFakeReply reply;
} Fixture;

static inline ApiPhase phase_of(void *owner)
{
    return ((Fixture *)owner)->phase;
}

static inline bool do_reload(void *owner, Error *err)
{
    Fixture *f = owner;
    f->reloads++;
    return !f->reload_fails || error_set(err, ERR_INVALID, "prometheus.yml:1:1: no good");
}

static inline void do_quit(void *owner)
{
    ((Fixture *)owner)->quits++;
}

static inline void write_yaml(void *owner, Buf *out)
{
    (void)owner;
    buf_add_c(out, "global:\n  scrape_interval: 1m\n");
}

static inline Labels externals(void *owner, Arena *arena)
{
    static const Label pairs[] = {{STR("replica"), STR("a")}};
    (void)owner;
    (void)arena;
    return (Labels){pairs, 1};
}

static inline void add(Tsdb *tsdb, const Label *pairs, size_t count, int64_t t_ms, double value)
{
    Error err;
    bool created;
    Sink *sink = tsdb_sink(tsdb);
    Appender *appender = sink->begin(sink);
    SeriesRef ref = appender->series(appender, (Labels){pairs, count}, &created, &err);
    SinkSample sample = {.ref = ref, .t_ms = t_ms, .value = value};
    CHECK(ref != 0);
    CHECK_EQ(appender->append(appender, &sample, 1), 1);
    CHECK_OK(appender->commit(appender, &err), err);
}

static inline void fill(Tsdb *tsdb)
{
    const Label m1[] = {{STR("__name__"), STR("m")}, {STR("a"), STR("1")}};
    const Label m2[] = {
        {STR("__name__"), STR("m")}, {STR("a"), STR("2")}, {STR("q"), STR("\"<\n")}};
    const Label dotted[] = {{STR("__name__"), STR("d.x")}, {STR("l e"), STR("v")}};
    for (int i = 0; i <= 10; i++) {
        add(tsdb, m1, 2, T0_MS + i * 1000, i * 0.5);
        add(tsdb, m2, 3, T0_MS + i * 1000, -i);
    }
    add(tsdb, dotted, 2, T0_MS + 10000, 1e-7);
}

static inline void start(Fixture *f)
{
    Error err;
    *f = (Fixture){.phase = API_READY};
    strcpy(f->dir, "/tmp/api_test.XXXXXX");
    CHECK(mkdtemp(f->dir) != NULL);
    clock_fake_init(&f->clock, T0_MS + 10500);
    TsdbOptions tsdb;
    tsdb_options_default(&tsdb);
    tsdb.dir = str_from_c(f->dir);
    tsdb.clock = &f->clock.clock;
    CHECK_OK(tsdb_open(&tsdb, &f->tsdb, &err), err);
    EngineOptions engine;
    engine_options_default(&engine);
    engine.clock = &f->clock.clock;
    f->engine = engine_new(&engine);
    fill(f->tsdb);

    static const HttpPair flags[] = {{STR("config.file"), STR("x.yml")}};
    f->api = (ApiContext){
        .tsdb = f->tsdb,
        .engine = f->engine,
        .registry = registry_new(),
        .clock = &f->clock.clock,
        .owner = f,
        .phase = phase_of,
        .config_yaml = write_yaml,
        .external_labels = externals,
        .reload = do_reload,
        .quit = do_quit,
        .flags = flags,
        .flag_count = 1,
        .started_at_ms = T0_MS,
        .lookback_ms = 300000,
        .enable_lifecycle = true,
        .enable_admin = true,
        .enable_remote_write = true,
        .accept_write_v1 = true,
        .accept_write_v2 = true,
        .external_url = STR("http://outside:9090"),
        .page_title = STR("A <title>"),
    };
    CHECK_OK(api_init(&f->api, &err), err);
}

static inline void stop(Fixture *f)
{
    Error err;
    api_deinit(&f->api);
    engine_free(f->engine);
    tsdb_close(f->tsdb);
    registry_free(f->api.registry);
    buf_deinit(&f->reply.body);
    arena_deinit(&f->arena);
    CHECK_OK(fs_remove_tree(&fs_system, str_from_c(f->dir), &err), err);
}

// The body, with a NUL behind it.
static inline const char *ask(Fixture *f, const char *method, const char *target, const char *form)
{
    buf_deinit(&f->reply.body);
    http_fake_request(&f->request, &f->reply, &f->arena, str_from_c(method), str_from_c(target),
                      str_from_c(form));
    api_handle(&f->api, &f->request);
    CHECK(f->reply.status != 0);
    CHECK(f->reply.ended);
    buf_add_char(&f->reply.body, '\0');
    return f->reply.body.ptr;
}

static inline const char *get(Fixture *f, const char *target)
{
    return ask(f, "GET", target, "");
}

static inline Str header(Fixture *f, const char *name)
{
    for (size_t i = 0; i < f->reply.headers.count; i++)
        if (str_equal_nocase(f->reply.headers.items[i].name, str_from_c(name)))
            return f->reply.headers.items[i].value;
    return STR_NONE;
}
