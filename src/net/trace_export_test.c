// SPDX-License-Identifier: Apache-2.0
// The exporter against a receiver over HTTP. gRPC has a real one in tests/e2e/test_tracing.py.
#include "net/trace_export.h"

#include <stdatomic.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/test.h"
#include "codec/compress.h"
#include "codec/protobuf.h"
#include "net/http_server.h"

typedef struct Receiver {
    HttpServer *server;
    int port;
    int refusals, refusal_status; // of the first requests
    Str answer;

    Lock lock; // guards all below
    Condition came;
    size_t requests, spans;
    char path[100], type[100], encoding[20], mine[20], names[400], resource[400];
} Receiver;

static void read_resource(Receiver *r, Str bytes)
{
    ProtoReader attributes = proto_reader(bytes);
    r->resource[0] = 0;
    while (proto_next(&attributes)) {
        ProtoReader pair = proto_reader(attributes.bytes);
        while (proto_next(&pair)) {
            size_t len = strlen(r->resource);
            Str text = pair.bytes;
            if (pair.field == 2) {
                ProtoReader any = proto_reader(pair.bytes);
                CHECK(proto_next(&any));
                text = any.bytes;
            }
            snprintf(r->resource + len, sizeof r->resource - len, STR_FMT "%c", STR_ARG(text),
                     pair.field == 1 ? '=' : ' ');
        }
    }
}

static void read_scope_spans(Receiver *r, Str bytes)
{
    ProtoReader scope_spans = proto_reader(bytes);
    while (proto_next(&scope_spans)) {
        if (scope_spans.field != 2)
            continue;
        ProtoReader span = proto_reader(scope_spans.bytes);
        r->spans++;
        while (proto_next(&span)) {
            size_t len = strlen(r->names);
            if (span.field == 5)
                snprintf(r->names + len, sizeof r->names - len, STR_FMT " ", STR_ARG(span.bytes));
        }
        CHECK(!span.failed);
    }
    CHECK(!scope_spans.failed);
}

static void read_request(Receiver *r, Str bytes)
{
    ProtoReader request = proto_reader(bytes);
    while (proto_next(&request)) {
        ProtoReader resource_spans = proto_reader(request.bytes);
        while (proto_next(&resource_spans)) {
            if (resource_spans.field == 1)
                read_resource(r, resource_spans.bytes);
            else if (resource_spans.field == 2)
                read_scope_spans(r, resource_spans.bytes);
        }
        CHECK(!resource_spans.failed);
    }
    CHECK(!request.failed);
}

static void keep(char *out, size_t room, Str text)
{
    snprintf(out, room, STR_FMT, STR_ARG(text));
}

static void handle(void *arg, HttpRequest *request)
{
    Receiver *r = arg;
    Buf plain = {0};
    Error err;
    lock_take(&r->lock);
    r->requests++;
    if (r->refusals && r->refusals--) {
        http_reply(request, r->refusal_status, S("text/plain"), S("come back"));
    } else {
        keep(r->path, sizeof r->path, request->path);
        keep(r->type, sizeof r->type, http_header(request, S("Content-Type")));
        keep(r->encoding, sizeof r->encoding, http_header(request, S("Content-Encoding")));
        keep(r->mine, sizeof r->mine, http_header(request, S("X-Mine")));
        if (r->encoding[0])
            CHECK_OK(gzip_decode(request->body, 1 << 20, &plain, &err), err);
        read_request(r, r->encoding[0] ? buf_str(&plain) : request->body);
        http_reply(request, 200, S("application/x-protobuf"), r->answer);
    }
    condition_broadcast(&r->came);
    lock_give(&r->lock);
    buf_deinit(&plain);
}

static void listen_for_traces(Receiver *r)
{
    HttpServerOptions options;
    Error err;
    *r = (Receiver){0};
    lock_init(&r->lock, "receiver", 100);
    condition_init(&r->came);
    http_server_options_default(&options);
    options.listen_address = S("127.0.0.1:0");
    options.handle = handle;
    options.arg = r;
    CHECK_OK(http_server_start(&options, &r->server, &r->port, &err), err);
}

static void stop_listening(Receiver *r)
{
    http_server_stop(r->server);
    condition_deinit(&r->came);
    lock_deinit(&r->lock);
}

static void wait_for(Receiver *r, const size_t *what, size_t count)
{
    lock_take(&r->lock);
    while (*what < count)
        CHECK(condition_wait_ms(&r->came, &r->lock, 60000));
    lock_give(&r->lock);
}

typedef struct Fixture {
    Receiver receiver;
    Tracer *tracer;
    Registry *registry;
    TraceExport *exporter;
    char endpoint[40];
    TraceConfig config;
    _Atomic int errors;
    char error[500]; // the last
} Fixture;

static void note_error(void *arg, const Error *err)
{
    Fixture *f = arg;
    snprintf(f->error, sizeof f->error, "%s", err->text);
    atomic_fetch_add(&f->errors, 1);
}

static void start_slow(Fixture *f, int64_t batch_ms)
{
    *f = (Fixture){0};
    listen_for_traces(&f->receiver);
    snprintf(f->endpoint, sizeof f->endpoint, "127.0.0.1:%d", f->receiver.port);
    f->tracer = tracer_new();
    f->registry = registry_new();
    f->exporter = trace_export_new(&(TraceExportOptions){.tracer = f->tracer,
                                                         .service_name = S("prometheus"),
                                                         .service_version = S("3.14.0"),
                                                         .registry = f->registry,
                                                         .batch_ms = batch_ms,
                                                         .retry_ms = 20,
                                                         .on_error = note_error,
                                                         .arg = f});
    f->config = (TraceConfig){.client_type = TRACE_HTTP,
                              .endpoint = str_from_c(f->endpoint),
                              .sampling_fraction = 1,
                              .insecure = true};
}

static void start(Fixture *f)
{
    start_slow(f, 20);
}

static void apply(Fixture *f)
{
    Error err;
    CHECK_OK(trace_export_apply(f->exporter, &f->config, &err), err);
}

static double spans_of(Fixture *f, Str outcome)
{
    static const char *const by_outcome[] = {"outcome", NULL};
    return counter_value(
        counter_of(registry_counter(f->registry, "narthex_trace_spans_total",
                                    "Spans that were sampled, by what became of them.", by_outcome),
                   &outcome));
}

static void stop(Fixture *f)
{
    trace_export_free(f->exporter);
    tracer_free(f->tracer);
    registry_free(f->registry);
    stop_listening(&f->receiver);
}

static void record(Fixture *f, const char *name)
{
    Span span;
    span_begin(&span, f->tracer, NULL, SPAN_SERVER, str_from_c(name));
    span_end(&span);
}

TEST(trace_export, spans_arrive_with_what_was_configured)
{
    static const struct {
        const char *name;
        Str compression;
    } cases[] = {{"plain", STR("")}, {"gzip", STR("gzip")}};
    EACH_CASE(c, cases) {
        Fixture f;
        Str key = S("X-Mine"), value = S("yes");
        start(&f);
        f.config.compression = c->compression;
        f.config.headers = (ConfigStrMap){&key, &value, 1};
        apply(&f);

        record(&f, "one");
        record(&f, "two");
        wait_for(&f.receiver, &f.receiver.spans, 2);

        CHECK_STR(str_from_c(f.receiver.path), S("/v1/traces"));
        CHECK_STR(str_from_c(f.receiver.type), S("application/x-protobuf"));
        CHECK_STR(str_from_c(f.receiver.encoding), c->compression);
        CHECK_STR(str_from_c(f.receiver.mine), S("yes"));
        CHECK_STR(str_from_c(f.receiver.names), S("one two "));
        CHECK_HAS(f.receiver.resource, "service.name=prometheus service.version=3.14.0 ");
        stop(&f);
        CHECK_EQ(f.errors, 0);
    }
}

TEST(trace_export, many_spans_come_in_batches_and_the_end_sends_the_rest)
{
    Fixture f;
    start(&f);
    apply(&f);

    for (int i = 0; i < 1200; i++)
        record(&f, "x");
    trace_export_free(f.exporter);
    f.exporter = NULL;

    CHECK_EQ(f.receiver.spans, 1200);
    CHECK(f.receiver.requests >= 3);
    CHECK_EQ((int)spans_of(&f, S("sent")), 1200);
    record(&f, "after");
    CHECK_EQ(tracer_stats(f.tracer).ended, 1200);
    stop(&f);
}

TEST(trace_export, what_is_refused_is_tried_again_or_told)
{
    static const struct {
        const char *name;
        int status;
        size_t requests, spans;
        int errors;
    } cases[] = {
        {"unavailable", 503, 3, 1, 0},
        {"too many", 429, 3, 1, 0},
        {"bad request", 400, 2, 0, 2},
        {"internal", 500, 2, 0, 2},
    };
    EACH_CASE(c, cases) {
        Fixture f;
        start(&f);
        f.receiver.refusals = 2;
        f.receiver.refusal_status = c->status;
        apply(&f);

        record(&f, "one");
        wait_for(&f.receiver, &f.receiver.requests, c->errors ? 1 : 3);
        if (c->errors) {
            record(&f, "two");
            wait_for(&f.receiver, &f.receiver.requests, 2);
        }
        trace_export_free(f.exporter);
        f.exporter = NULL;

        CHECK_EQ(f.receiver.requests, c->requests);
        CHECK_EQ(f.receiver.spans, c->spans);
        CHECK_EQ(f.errors, c->errors);
        if (c->errors)
            CHECK_HAS(f.error, "come back");
        CHECK_EQ((int)spans_of(&f, S("failed")), c->errors);
        stop(&f);
    }
}

TEST(trace_export, spans_that_the_receiver_left_out_are_told)
{
    Fixture f;
    Buf answer = {0};
    start(&f);
    size_t partial = proto_begin(&answer, 1);
    proto_add_varint(&answer, 1, 7);
    proto_add_bytes(&answer, 2, S("too old"));
    proto_end(&answer, partial);
    f.receiver.answer = buf_str(&answer);
    apply(&f);

    record(&f, "one");
    trace_export_free(f.exporter);
    f.exporter = NULL;

    CHECK_EQ(f.errors, 1);
    CHECK_STR(str_from_c(f.error), S("OTLP partial success: too old (7 spans rejected)"));
    stop(&f);
    buf_deinit(&answer);
}

TEST(trace_export, a_receiver_that_is_away_holds_nobody_up)
{
    Fixture f;
    start(&f);
    f.config.endpoint = S("127.0.0.1:1");
    apply(&f);

    for (int i = 0; i < 5000; i++)
        record(&f, "x");
    TracerStats stats = tracer_stats(f.tracer);
    CHECK(stats.waiting <= 2048);
    trace_export_free(f.exporter);
    f.exporter = NULL;

    CHECK(f.errors >= 1);
    CHECK_HAS(f.error, "traces export: ");
    CHECK_EQ((int)(spans_of(&f, S("failed")) + spans_of(&f, S("dropped"))), 5000);
    stop(&f);
}

TEST(trace_export, a_reload_changes_what_changed)
{
    Fixture f;
    Error err;
    start_slow(&f, 3600 * 1000);
    apply(&f);
    record(&f, "one");
    apply(&f);
    CHECK_EQ(f.receiver.requests, 0); // as it was, it goes on
    f.config.sampling_fraction = 0.5;
    apply(&f);
    CHECK_EQ(f.receiver.spans, 1);
    CHECK_OK(trace_export_apply(f.exporter, NULL, &err), err);
    record(&f, "two");
    CHECK_EQ(tracer_stats(f.tracer).ended, 1);
    f.config.sampling_fraction = 1;
    apply(&f);
    record(&f, "three");
    CHECK_OK(trace_export_apply(f.exporter, NULL, &err), err);
    CHECK_STR(str_from_c(f.receiver.names), S("one three "));
    stop(&f);
}

TEST(trace_export, the_block_is_checked_as_the_original_does)
{
    static const struct {
        const char *name; // and text
        const char *want; // of the error; NULL: none
    } cases[] = {
        {"endpoint: a:1", NULL},
        {"endpoint: a:1\nclient_type: http\nsampling_fraction: 0.5\ninsecure: true\ncompression: "
         "gzip\ntimeout: 3s\nheaders: {a: b}\ntls_config: {server_name: x}",
         NULL},
        {"client_type: http", "tracing endpoint must be set"},
        {"endpoint: a:1\nclient_type: tcp", "x.yml:2:14: "},
        {"endpoint: a:1\ncompression: snappy",
         "invalid compression type snappy provided, valid options: gzip"},
        {"endpoint: a:1\nheaders: {Authorization: x}",
         "custom authorization header configuration is not yet supported"},
        {"endpoint: a:1\nheaders: {Host: x}", "Host is a reserved header. It must not be changed"},
        {"endpoint: a:1\nheaders: {a: \"x\\r\\ny\"}", "header a has a line break"},
        {"endpoint: a:1\nsampling: 1", "field sampling not found"},
    };
    EACH_CASE(c, cases) {
        Arena arena = {0};
        YamlNode *root;
        TraceConfig config;
        Error err = {0};
        ConfigReader reader = {.arena = &arena, .file_name = S("x.yml")};
        CHECK_OK(yaml_parse(str_from_c(c->name), S("x.yml"), &arena, &root, &err), err);
        bool ok = config_decode(&reader, &trace_config_table, root, &config, &err);
        CHECK_EQ(ok, c->want == NULL);
        CHECK_HAS(err.text, c->want ? c->want : "");
        arena_deinit(&arena);
    }
}

TEST_MAIN(trace_export, TEST_ROW(trace_export, spans_arrive_with_what_was_configured),
          TEST_ROW(trace_export, many_spans_come_in_batches_and_the_end_sends_the_rest),
          TEST_ROW(trace_export, what_is_refused_is_tried_again_or_told),
          TEST_ROW(trace_export, spans_that_the_receiver_left_out_are_told),
          TEST_ROW(trace_export, a_receiver_that_is_away_holds_nobody_up),
          TEST_ROW(trace_export, a_reload_changes_what_changed),
          TEST_ROW(trace_export, the_block_is_checked_as_the_original_does))
