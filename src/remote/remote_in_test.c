// SPDX-License-Identifier: Apache-2.0
#include "remote/remote_in.h"

#include <unistd.h>

#include "base/crc32c.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/test.h"
#include "codec/compress.h"
#include "codec/protobuf.h"
#include "net/http_server.h"
#include "remote/remote_answer.h"

// A local store with one series {__name__="m", i="1"} and samples at 1000 and 3000.
typedef struct Local {
    Source source;
    Querier querier;
} Local;

static bool local_select(Querier *querier, const Matcher *matchers, size_t count,
                         const SelectHints *hints, Arena *arena, SeriesList *ret_list, Error *err)
{
    static const Label pairs[] = {{STR("__name__"), STR("m")}, {STR("i"), STR("1")}};
    (void)querier;
    (void)matchers;
    (void)count;
    (void)hints;
    (void)err;
    SeriesEntry *series = ARENA_NEW(arena, SeriesEntry);
    *series = (SeriesEntry){{pairs, 2}, 1};
    *ret_list = (SeriesList){series, 1};
    return true;
}

static bool local_read(Querier *querier, uint64_t handle, int64_t min_t_ms, int64_t max_t_ms,
                       Arena *arena, SampleColumns *ret_columns, Error *err)
{
    (void)querier;
    (void)min_t_ms;
    (void)max_t_ms;
    (void)err;
    CHECK_EQ(handle, 1);
    SampleColumns columns = {
        .t_ms = ARENA_ARRAY(arena, int64_t, 2), .value = ARENA_ARRAY(arena, double, 2), .count = 2};
    columns.t_ms[0] = 1000;
    columns.t_ms[1] = 3000;
    columns.value[0] = columns.value[1] = 1;
    *ret_columns = columns;
    return true;
}

static void local_close(Querier *querier)
{
    (void)querier;
}

static bool local_open(Source *source, int64_t min_t_ms, int64_t max_t_ms, Querier **ret_querier,
                       Error *err)
{
    (void)min_t_ms;
    (void)max_t_ms;
    (void)err;
    *ret_querier = &CONTAINER_OF(source, Local, source)->querier;
    return true;
}

// A chunk of the test: 16 bytes a sample, time and value.
static bool decode(int encoding, Str chunk, int64_t min_t_ms, int64_t max_t_ms, Arena *arena,
                   SampleColumns *ret_samples, Error *err)
{
    size_t count = chunk.len / 16;
    SampleColumns columns = {.t_ms = ARENA_ARRAY(arena, int64_t, count),
                             .value = ARENA_ARRAY(arena, double, count)};
    if (encoding != 1)
        return error_set(err, ERR_INVALID, "encoding");
    for (size_t i = 0; i < count; i++) {
        int64_t t_ms;
        memcpy(&t_ms, chunk.ptr + 16 * i, 8);
        if (t_ms < min_t_ms || t_ms > max_t_ms)
            continue;
        columns.t_ms[columns.count] = t_ms;
        memcpy(&columns.value[columns.count++], chunk.ptr + 16 * i + 8, 8);
    }
    *ret_samples = columns;
    return true;
}

static void add_label(Buf *buf, const char *name, const char *value)
{
    size_t begin = proto_begin(buf, 1);
    proto_add_bytes(buf, 1, str_from_c(name));
    proto_add_bytes(buf, 2, str_from_c(value));
    proto_end(buf, begin);
}

// Series i="2" and i="1", unsorted, each with samples at 2000 and 3000 of value 2, and zone="z".
static void sampled_answer(Buf *out)
{
    Buf plain = {0};
    size_t result = proto_begin(&plain, 1);
    for (int i = 2; i > 0; i--) {
        size_t series = proto_begin(&plain, 1);
        add_label(&plain, "__name__", "m");
        add_label(&plain, "i", i == 2 ? "2" : "1");
        add_label(&plain, "zone", "z");
        for (int64_t t = 2000; t <= 3000; t += 1000) {
            size_t sample = proto_begin(&plain, 2);
            proto_add_double(&plain, 1, 2);
            proto_add_varint(&plain, 2, (uint64_t)t);
            proto_end(&plain, sample);
        }
        proto_end(&plain, series);
    }
    proto_end(&plain, result);
    snappy_encode(buf_str(&plain), out);
    buf_deinit(&plain);
}

// The same as two frames of chunks for i="1" and one for i="2".
static void chunked_answer(Buf *out)
{
    static const int64_t times[] = {2000, 3000, 2000};
    for (int f = 0; f < 3; f++) {
        Buf frame = {0};
        Buf samples = {0};
        double value = 2;
        for (int64_t t = times[f]; t <= (f == 2 ? 3000 : times[f]); t += 1000) {
            buf_add(&samples, &t, 8);
            buf_add(&samples, &value, 8);
        }
        size_t series = proto_begin(&frame, 1);
        add_label(&frame, "__name__", "m");
        add_label(&frame, "i", f == 2 ? "2" : "1");
        add_label(&frame, "zone", "z");
        size_t chunk = proto_begin(&frame, 2);
        proto_add_varint(&frame, 1, (uint64_t)times[f]);
        proto_add_varint(&frame, 2, f == 2 ? 3000 : (uint64_t)times[f]);
        proto_add_varint(&frame, 3, 1);
        proto_add_bytes(&frame, 4, buf_str(&samples));
        proto_end(&frame, chunk);
        proto_end(&frame, series);
        buf_add_uvarint(out, frame.len);
        buf_add_u32be(out, crc32c(buf_str(&frame)));
        buf_add_str(out, buf_str(&frame));
        buf_deinit(&frame);
        buf_deinit(&samples);
    }
}

typedef struct Rig {
    Local local;
    HttpServer *server;
    int port;
    Lock lock;
    Arena arena;
    Str question; // decompressed
    int requests;
    bool chunked;
    int status;
    int64_t start_ms;
    RemoteReadConfig config;
    RemoteIn *in;
} Rig;

static void answer(void *arg, HttpRequest *request)
{
    Rig *rig = arg;
    Buf body = {0};
    Buf question = {0};
    Error err;
    CHECK_OK(snappy_decode(request->body, 1 << 20, &question, &err), err);
    lock_take(&rig->lock);
    rig->requests++;
    rig->question = arena_str(&rig->arena, buf_str(&question));
    lock_give(&rig->lock);
    if (rig->chunked)
        chunked_answer(&body);
    else
        sampled_answer(&body);
    http_reply(request, rig->status,
               rig->chunked
                   ? S("application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse")
                   : S("application/x-protobuf"),
               buf_str(&body));
    buf_deinit(&body);
    buf_deinit(&question);
}

static int64_t start_of(void *arg)
{
    return ((Rig *)arg)->start_ms;
}

static Rig *rig_new(void)
{
    Rig *rig = X_NEW(Rig);
    HttpServerOptions options;
    Error err;
    log_setup(LOG_ERROR, LOG_LOGFMT);
    rig->local.source.open = local_open;
    rig->local.querier =
        (Querier){.select = local_select, .read = local_read, .close = local_close};
    rig->status = 200;
    rig->start_ms = INT64_MAX;
    lock_init(&rig->lock, "rig", 950);
    http_server_options_default(&options);
    options.listen_address = S("127.0.0.1:0");
    options.workers = 2;
    options.handle = answer;
    options.arg = rig;
    CHECK_OK(http_server_start(&options, &rig->server, &rig->port, &err), err);
    config_defaults(&rig->arena, &remote_read_config_table, &rig->config);
    rig->config.url = arena_printf(&rig->arena, "http://127.0.0.1:%d/read", rig->port);
    RemoteInOptions in = {.clock = &clock_system,
                          .local = &rig->local.source,
                          .local_start_ms = start_of,
                          .arg = rig,
                          .decode = decode};
    CHECK_OK(remote_in_new(&in, &rig->in, &err), err);
    return rig;
}

static void apply(Rig *rig, size_t reads)
{
    static const Label external[] = {{STR("zone"), STR("z")}};
    Error err;
    RemoteInConfig config = {.reads = {&rig->config, reads}, .external = {external, 1}};
    CHECK_OK(remote_in_apply(rig->in, &config, &err), err);
}

static void rig_free(Rig *rig)
{
    remote_in_free(rig->in);
    http_server_stop(rig->server);
    lock_deinit(&rig->lock);
    arena_deinit(&rig->arena);
    free(rig);
}

// "m{i="1"} 1000:1 3000:1 | ..."
static void query(Rig *rig, Buf *out)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Querier *querier;
    SeriesList list;
    Matcher matcher;
    Error err;
    buf_reset(out);
    CHECK_OK(matcher_init(&matcher, MATCH_EQUAL, S("__name__"), S("m"), &arena, &err), err);
    Source *source = remote_in_source(rig->in);
    CHECK_OK(source->open(source, 0, 10000, &querier, &err), err);
    CHECK_OK(querier->select(querier, &matcher, 1, NULL, &arena, &list, &err), err);
    for (size_t i = 0; i < list.count; i++) {
        SampleColumns columns;
        labels_print_metric(out, list.series[i].labels);
        CHECK_OK(querier->read(querier, list.series[i].handle, 0, 10000, &arena, &columns, &err),
                 err);
        for (size_t k = 0; k < columns.count; k++)
            buf_printf(out, " %lld:%g", (long long)columns.t_ms[k], columns.value[k]);
        buf_add_c(out, i + 1 < list.count ? " | " : "");
    }
    querier->close(querier);
    matcher_deinit(&matcher);
}

TEST(remote_in, what_others_hold_joins_what_is_ours)
{
    static const struct {
        const char *name;
        bool chunked;
    } cases[] = {
        {"samples", false},
        {"chunks", true},
    };

    EACH_CASE(c, cases) {
        Rig *rig = rig_new();
        Buf got = {0};
        rig->chunked = c->chunked;
        apply(rig, 1);
        query(rig, &got);
        // At 3000 ours counts; the label that was asked for in our name is gone.
        CHECK_STR(buf_str(&got), S("m{i=\"1\"} 1000:1 2000:2 3000:1 | m{i=\"2\"} 2000:2 3000:2"));
        CHECK_HAS(
            str_to_c(&rig->arena, str_skip(rig->question, str_find(rig->question, S("zone")))),
            "zone");
        buf_deinit(&got);
        rig_free(rig);
    }
}

TEST(remote_in, asks_only_when_it_should)
{
    static Str keys[] = {STR("__name__")};
    static Str match[] = {STR("m")};
    static Str other[] = {STR("n")};
    static const struct {
        const char *name;
        size_t reads;
        int64_t start_ms;
        bool recent;
        Str *required;
        int want_requests;
    } cases[] = {
        {"no endpoint", 0, INT64_MAX, true, NULL, 0},
        {"older than what is local", 1, 5000, false, NULL, 1},
        {"all of it is local", 1, 0, false, NULL, 0},
        {"all of it is local, but recent", 1, 0, true, NULL, 1},
        {"has the required matcher", 1, INT64_MAX, false, match, 1},
        {"lacks the required matcher", 1, INT64_MAX, false, other, 0},
    };

    EACH_CASE(c, cases) {
        Rig *rig = rig_new();
        Buf got = {0};
        rig->start_ms = c->start_ms;
        rig->config.read_recent = c->recent;
        if (c->required)
            rig->config.required_matchers = (ConfigStrMap){keys, c->required, 1};
        apply(rig, c->reads);
        query(rig, &got);
        CHECK_EQ(rig->requests, c->want_requests);
        buf_deinit(&got);
        rig_free(rig);
    }
}

TEST(remote_in, an_endpoint_that_fails_leaves_what_is_ours)
{
    Rig *rig = rig_new();
    Buf got = {0};
    rig->status = 500;
    apply(rig, 1);
    query(rig, &got);
    CHECK_STR(buf_str(&got), S("m{i=\"1\"} 1000:1 3000:1"));
    buf_deinit(&got);
    rig_free(rig);
}

TEST(remote_answer, refuses_what_is_malformed)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Buf good = {0};
    RemoteAnswer answer_of;
    Error err;
    Str type = S("application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse");
    chunked_answer(&good);

    CHECK_OK(
        remote_answer_decode(type, buf_str(&good), 1 << 20, LABELS_NONE, &arena, &answer_of, &err),
        err);
    CHECK_EQ(answer_of.count, 2);
    // Every cut but one at a frame's end, and every flipped byte.
    size_t whole = 0;
    for (size_t len = 1; len < good.len; len++)
        whole += remote_answer_decode(type, str_sub(buf_str(&good), 0, len), 1 << 20, LABELS_NONE,
                                      &arena, &answer_of, &err);
    CHECK_EQ(whole, 2);
    for (size_t i = 1; i < good.len; i++) {
        good.ptr[i] ^= 1;
        CHECK(!remote_answer_decode(type, buf_str(&good), 1 << 20, LABELS_NONE, &arena, &answer_of,
                                    &err) ||
              i == 0);
        good.ptr[i] ^= 1;
    }
    CHECK(!remote_answer_decode(type, buf_str(&good), 10, LABELS_NONE, &arena, &answer_of, &err));
    CHECK_EQ(err.code, ERR_LIMIT);
    CHECK(!remote_answer_decode(S("text/html"), buf_str(&good), 1 << 20, LABELS_NONE, &arena,
                                &answer_of, &err));
    buf_deinit(&good);
}

TEST_MAIN(remote_in, TEST_ROW(remote_in, what_others_hold_joins_what_is_ours),
          TEST_ROW(remote_in, asks_only_when_it_should),
          TEST_ROW(remote_in, an_endpoint_that_fails_leaves_what_is_ours),
          TEST_ROW(remote_answer, refuses_what_is_malformed))
