// SPDX-License-Identifier: Apache-2.0
// Two threads: the owner's (trace_export_*), and while there is something to send to a loop of its own, whose thread has all of Sender.
#include "net/trace_export.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/lock.h"
#include "base/number.h"
#include "codec/compress.h"
#include "codec/protobuf.h"
#include "net/loop.h"

enum {
    BATCH_SPANS_MAX = 512,
    TIMEOUT_MS = 10000,
    BATCH_MS = 5000,
    RETRY_MS = 5000,
    FLUSH_MS = 5000,
    ANSWER_BYTES_MAX = 4 << 20,
    GZIP_LEVEL = 6,
    RANK_FLUSH = 895,
};
static const int64_t RETRY_MAX_NS = 30000000000;
static const int64_t RETRY_GIVE_UP_NS = 60000000000;

#define HTTP_PATH "/v1/traces"
#define GRPC_PATH "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

// One configuration at work.
typedef struct Sender {
    TraceExport *exporter;
    Arena arena; // of the configuration
    TraceConfig config;
    HttpClientConfig http;
    Str url;
    Str *headers;
    size_t header_count;
    Loop *loop;

    // The loop's thread.
    HttpClient *client;
    LoopTimer *timer;
    HttpCall *call;
    Buf spans, body, wire;
    size_t span_count;      // in `wire`; 0: there is none
    int64_t first_tried_ns; // the request in `wire`
    int64_t retry_wait_ns;
    bool flushing;

    Lock lock; // guards `flushed`
    Condition idle;
    bool flushed GUARDED_BY(lock);
} Sender;

struct TraceExport {
    TraceExportOptions options;
    Arena arena;
    Sender *sender;  // NULL: off
    Str fingerprint; // of its configuration
    Counter *sent, *failed, *dropped;
    uint64_t dropped_seen;
};

static void send_next(Sender *sender);

// ---- requests: collector trace service's ExportTraceServiceRequest ----

static void add_resource(Sender *sender, Buf *buf)
{
    const TraceExportOptions *options = &sender->exporter->options;
    size_t resource = proto_begin(buf, 1);
    span_add_attribute(buf, 1, "service.name", options->service_name);
    span_add_attribute(buf, 1, "service.version", options->service_version);
    span_add_attribute(buf, 1, "process.runtime.description",
                       S("narthex " NARTHEX_VERSION ", " __VERSION__));
    span_add_attribute(buf, 1, "telemetry.sdk.language", S("c"));
    span_add_attribute(buf, 1, "telemetry.sdk.name", S("narthex"));
    span_add_attribute(buf, 1, "telemetry.sdk.version", S(NARTHEX_VERSION));
    proto_end(buf, resource);
}

static bool is_grpc(const Sender *sender)
{
    return sender->config.client_type == TRACE_GRPC;
}

static bool compresses(const Sender *sender)
{
    return sender->config.compression.len > 0;
}

// gRPC puts a byte (compressed?) and a length in front of each message.
static void frame(Sender *sender, Str message)
{
    buf_add_char(&sender->wire, (char)compresses(sender));
    buf_add_u32be(&sender->wire, (uint32_t)message.len);
    buf_add_str(&sender->wire, message);
}

// Takes spans and makes the request of them. False: there are none.
static bool build(Sender *sender)
{
    buf_reset(&sender->spans);
    buf_reset(&sender->body);
    buf_reset(&sender->wire);
    sender->span_count =
        tracer_take(sender->exporter->options.tracer, BATCH_SPANS_MAX, &sender->spans, 2);
    if (!sender->span_count)
        return false;
    size_t resource_spans = proto_begin(&sender->body, 1);
    add_resource(sender, &sender->body);
    size_t scope_spans = proto_begin(&sender->body, 2);
    size_t scope = proto_begin(&sender->body, 1);
    proto_add_bytes(&sender->body, 1, S("narthex"));
    proto_add_bytes(&sender->body, 2, S(NARTHEX_VERSION));
    proto_end(&sender->body, scope);
    buf_add_str(&sender->body, buf_str(&sender->spans));
    proto_end(&sender->body, scope_spans);
    proto_end(&sender->body, resource_spans);
    Str message = buf_str(&sender->body);
    if (compresses(sender)) {
        buf_reset(&sender->spans);
        gzip_encode(message, GZIP_LEVEL, &sender->spans);
        message = buf_str(&sender->spans);
    }
    if (is_grpc(sender))
        frame(sender, message);
    else
        buf_add_str(&sender->wire, message);
    return true;
}

// ---- answers ----

static void tell(Sender *sender, const Error *err)
{
    const TraceExportOptions *options = &sender->exporter->options;
    if (options->on_error)
        options->on_error(options->arg, err);
}

// ExportTraceServiceResponse: partial_success {rejected_spans, error_message}.
static void read_answer(Sender *sender, Str body)
{
    int64_t rejected = 0;
    Str why = STR_NONE;
    Error err;
    if (is_grpc(sender)) {
        if (body.len < 5 || body.ptr[0] != 0)
            return;
        body = str_skip(body, 5);
    }
    ProtoReader answer = proto_reader(body);
    while (proto_next(&answer)) {
        if (answer.field != 1 || answer.wire != PROTO_BYTES)
            continue;
        ProtoReader partial = proto_reader(answer.bytes);
        while (proto_next(&partial)) {
            if (partial.field == 1 && partial.wire == PROTO_VARINT)
                rejected = (int64_t)partial.number;
            else if (partial.field == 2 && partial.wire == PROTO_BYTES)
                why = partial.bytes;
        }
    }
    if (rejected <= 0 && !why.len)
        return;
    error_set(&err, ERR_INVALID, "OTLP partial success: " STR_FMT " (%lld spans rejected)",
              STR_ARG(str_sub(why.len ? why : S("empty message"), 0, 200)), (long long)rejected);
    tell(sender, &err);
}

typedef enum Verdict { VERDICT_TAKEN, VERDICT_AGAIN, VERDICT_REFUSED } Verdict;

// The status comes in the trailers, or in the headers where there is no message. Which codes may be tried again: OTLP specification,
// "OTLP/gRPC Response".
static Verdict judge_grpc(const HttpResponse *response, Error *err)
{
    static const uint64_t again = 1u << 1 | 1u << 4 | 1u << 10 | 1u << 11 | 1u << 14 | 1u << 15;
    Str code = http_response_header(response, S("grpc-status"));
    uint64_t status = 0;
    if (!number_parse_u64(code, &status) || status > 16) {
        error_set(err, ERR_IO, "the receiver of traces answered without a gRPC status (HTTP %d)",
                  response->status);
        return response->status == 200 ? VERDICT_REFUSED : VERDICT_AGAIN;
    }
    if (status == 0)
        return VERDICT_TAKEN;
    error_set(err, ERR_IO, "the receiver of traces answered with gRPC status %d: " STR_FMT,
              (int)status,
              STR_ARG(str_sub(http_response_header(response, S("grpc-message")), 0, 200)));
    return again >> status & 1 ? VERDICT_AGAIN : VERDICT_REFUSED;
}

static Verdict judge(const Sender *sender, const HttpResponse *response, Error *err)
{
    if (response->err) {
        *err = *response->err;
        error_context(err, "traces export");
        return VERDICT_AGAIN;
    }
    if (is_grpc(sender) && response->status == 200)
        return judge_grpc(response, err);
    if (response->status / 100 == 2)
        return VERDICT_TAKEN;
    error_set(err, ERR_IO, "the receiver of traces answered with HTTP status %d: " STR_FMT,
              response->status, STR_ARG(str_sub(str_trim(response->body), 0, 200)));
    bool again = response->status == 429 || (response->status >= 502 && response->status <= 504);
    return again ? VERDICT_AGAIN : VERDICT_REFUSED;
}

// Waits longer each time, or as long as the receiver says. False: it has had its time.
static bool retry_later(Sender *sender, const HttpResponse *response)
{
    uint64_t told_s = 0;
    int64_t now_ns = loop_now_ns(sender->loop);
    if (sender->flushing)
        return false;
    if (!response->err &&
        number_parse_u64(http_response_header(response, S("Retry-After")), &told_s))
        told_s = MIN(told_s, 60u);
    int64_t wait_ns = MAX(sender->retry_wait_ns, (int64_t)told_s * 1000000000);
    sender->retry_wait_ns = MIN(sender->retry_wait_ns * 3 / 2, RETRY_MAX_NS);
    if (now_ns + wait_ns - sender->first_tried_ns > RETRY_GIVE_UP_NS)
        return false;
    loop_timer_set(sender->timer, now_ns + wait_ns);
    return true;
}

static void on_done(void *arg, const HttpResponse *response)
{
    Sender *sender = arg;
    TraceExport *exporter = sender->exporter;
    Error err = {0};
    sender->call = NULL;
    if (response->err && response->err->code == ERR_CANCELED)
        return; // the end
    Verdict verdict = judge(sender, response, &err);
    if (verdict == VERDICT_AGAIN && retry_later(sender, response))
        return;
    if (verdict == VERDICT_TAKEN)
        read_answer(sender, response->body);
    else
        tell(sender, &err);
    Counter *counter = verdict == VERDICT_TAKEN ? exporter->sent : exporter->failed;
    if (counter)
        counter_add(counter, (double)sender->span_count);
    sender->span_count = 0;
    send_next(sender);
}

// ---- the rhythm ----

static void post(Sender *sender)
{
    HttpCallOptions options = {
        .method = S("POST"),
        .url = sender->url,
        .headers = sender->headers,
        .header_count = sender->header_count,
        .body = buf_str(&sender->wire),
        .timeout_ms = sender->config.timeout_ms,
        .body_bytes_max = ANSWER_BYTES_MAX,
        .http2_only = is_grpc(sender),
        .done = on_done,
        .arg = sender,
    };
    sender->call = http_call(sender->client, &options);
}

static void tell_flushed(Sender *sender)
{
    lock_take(&sender->lock);
    sender->flushed = true;
    condition_signal(&sender->idle);
    lock_give(&sender->lock);
}

static void note_dropped(TraceExport *exporter)
{
    uint64_t dropped = tracer_stats(exporter->options.tracer).dropped;
    if (exporter->dropped)
        counter_add(exporter->dropped, (double)(dropped - exporter->dropped_seen));
    exporter->dropped_seen = dropped;
}

static void rest_until_batch(Sender *sender)
{
    loop_timer_set(sender->timer,
                   loop_now_ns(sender->loop) + sender->exporter->options.batch_ms * 1000000);
}

// Sends a batch that is there whole, or what is there when its time has come.
static void send_now(Sender *sender)
{
    const TraceExportOptions *options = &sender->exporter->options;
    note_dropped(sender->exporter);
    if (build(sender)) {
        sender->first_tried_ns = loop_now_ns(sender->loop);
        sender->retry_wait_ns = options->retry_ms * 1000000;
        post(sender);
    } else if (sender->flushing) {
        tell_flushed(sender);
    } else {
        rest_until_batch(sender);
    }
}

static void send_next(Sender *sender)
{
    if (sender->flushing ||
        tracer_stats(sender->exporter->options.tracer).waiting >= BATCH_SPANS_MAX)
        send_now(sender);
    else
        rest_until_batch(sender);
}

static void on_timer(void *arg)
{
    Sender *sender = arg;
    if (sender->call)
        return;
    if (sender->span_count)
        post(sender); // once more
    else
        send_now(sender);
}

static void on_full(void *arg)
{
    Sender *sender = arg;
    if (!sender->call && !sender->span_count)
        send_now(sender);
}

// The tracer's lock is held.
static void wake(void *arg)
{
    Sender *sender = arg;
    loop_post(sender->loop, on_full, sender);
}

static void begin_flush(void *arg)
{
    Sender *sender = arg;
    sender->flushing = true;
    if (!sender->call)
        on_timer(sender);
}

// ---- life ----

static void sender_begin(void *arg)
{
    rest_until_batch(arg);
}

static void sender_end(void *arg)
{
    Sender *sender = arg;
    http_client_free(sender->client);
    sender->client = NULL;
    loop_timer_free(sender->timer);
    sender->timer = NULL;
}

static void sender_free(Sender *sender)
{
    if (sender->loop)
        loop_free(sender->loop);
    buf_deinit(&sender->spans);
    buf_deinit(&sender->body);
    buf_deinit(&sender->wire);
    condition_deinit(&sender->idle);
    lock_deinit(&sender->lock);
    arena_deinit(&sender->arena);
    free(sender);
}

static void copy_config(Sender *sender, const TraceConfig *from)
{
    Arena *arena = &sender->arena;
    HttpTlsConfig *tls = &sender->http.tls_config;
    const HttpTlsConfig *other = &from->tls_config;
    sender->config = *from;
    if (!sender->config.timeout_ms)
        sender->config.timeout_ms = TIMEOUT_MS;
    sender->config.compression = arena_str(arena, from->compression);
    http_client_config_default(&sender->http);
    sender->http.follow_redirects = false;
    *tls = *other;
    tls->ca = arena_str(arena, other->ca);
    tls->ca_file = arena_str(arena, other->ca_file);
    tls->cert = arena_str(arena, other->cert);
    tls->cert_file = arena_str(arena, other->cert_file);
    tls->key = arena_str(arena, other->key);
    tls->key_file = arena_str(arena, other->key_file);
    tls->server_name = arena_str(arena, other->server_name);
    sender->url = arena_printf(arena, "%s://" STR_FMT "%s", from->insecure ? "http" : "https",
                               STR_ARG(from->endpoint), is_grpc(sender) ? GRPC_PATH : HTTP_PATH);
}

static void gather_headers(Sender *sender, const TraceConfig *from)
{
    Arena *arena = &sender->arena;
    Str *lines = ARENA_ARRAY(arena, Str, from->headers.count + 5);
    size_t count = 0;
    lines[count++] = S("User-Agent: narthex/" NARTHEX_VERSION);
    if (is_grpc(sender)) {
        lines[count++] = S("Content-Type: application/grpc");
        lines[count++] = S("TE: trailers");
        lines[count++] =
            arena_printf(arena, "grpc-timeout: %lldm", (long long)sender->config.timeout_ms);
        if (compresses(sender))
            lines[count++] = S("grpc-encoding: gzip");
    } else {
        lines[count++] = S("Content-Type: application/x-protobuf");
        if (compresses(sender))
            lines[count++] = S("Content-Encoding: gzip");
    }
    for (size_t i = 0; i < from->headers.count; i++)
        lines[count++] = arena_printf(arena, STR_FMT ": " STR_FMT, STR_ARG(from->headers.keys[i]),
                                      STR_ARG(from->headers.values[i]));
    sender->headers = lines;
    sender->header_count = count;
}

static bool sender_new(TraceExport *exporter, const TraceConfig *config, Sender **ret_sender,
                       Error *err)
{
    Sender *sender = X_NEW(Sender);
    sender->exporter = exporter;
    lock_init(&sender->lock, "traces.flush", RANK_FLUSH);
    condition_init(&sender->idle);
    copy_config(sender, config);
    gather_headers(sender, config);
    if (!loop_new("traces", &sender->loop, err) ||
        !http_client_new(sender->loop, &sender->http, &sender->client, err)) {
        sender_free(sender);
        return false;
    }
    sender->timer = loop_timer_new(sender->loop, on_timer, sender);
    if (!loop_start(sender->loop, err)) {
        sender_end(sender);
        sender_free(sender);
        return false;
    }
    loop_post(sender->loop, sender_begin, sender);
    *ret_sender = sender;
    return true;
}

// Nobody records any more; what waits goes out, or not.
static void switch_off(TraceExport *exporter)
{
    Sender *sender = exporter->sender;
    if (!sender)
        return;
    tracer_set(exporter->options.tracer, false, 0);
    tracer_set_wake(exporter->options.tracer, 0, NULL, NULL);
    loop_post(sender->loop, begin_flush, sender);
    lock_take(&sender->lock);
    for (bool in_time = true; !sender->flushed && in_time;)
        in_time = condition_wait_ms(&sender->idle, &sender->lock, FLUSH_MS);
    lock_give(&sender->lock);
    loop_call(sender->loop, sender_end, sender);
    loop_stop(sender->loop);
    loop_join(sender->loop);
    sender_free(sender);
    exporter->sender = NULL;
}

static bool names_certificates(const TraceConfig *config)
{
    const HttpTlsConfig *tls = &config->tls_config;
    return tls->ca_file.len || tls->cert_file.len || tls->key_file.len;
}

bool trace_export_apply(TraceExport *exporter, const TraceConfig *config, Error *err)
{
    Arena arena = {0};
    Str fingerprint = config ? config_fingerprint(&arena, &trace_config_table, config) : STR_NONE;
    bool same = config ? exporter->sender && str_equal(fingerprint, exporter->fingerprint) &&
                             !names_certificates(config)
                       : !exporter->sender;
    bool ok = true;
    if (!same) {
        switch_off(exporter);
        arena_reset(&exporter->arena);
        exporter->fingerprint = arena_str(&exporter->arena, fingerprint);
        if (config)
            ok = sender_new(exporter, config, &exporter->sender, err);
        if (exporter->sender) {
            tracer_set_wake(exporter->options.tracer, BATCH_SPANS_MAX, wake, exporter->sender);
            tracer_set(exporter->options.tracer, true, config->sampling_fraction);
        }
    }
    arena_deinit(&arena);
    return ok;
}

TraceExport *trace_export_new(const TraceExportOptions *options)
{
    static const char *const by_outcome[] = {"outcome", NULL};
    TraceExport *exporter = X_NEW(TraceExport);
    exporter->options = *options;
    if (!options->batch_ms)
        exporter->options.batch_ms = BATCH_MS;
    if (!options->retry_ms)
        exporter->options.retry_ms = RETRY_MS;
    if (options->registry) {
        Family *family =
            registry_counter(options->registry, "narthex_trace_spans_total",
                             "Spans that were sampled, by what became of them.", by_outcome);
        exporter->sent = counter_of(family, &S("sent"));
        exporter->failed = counter_of(family, &S("failed"));
        exporter->dropped = counter_of(family, &S("dropped"));
    }
    return exporter;
}

void trace_export_free(TraceExport *exporter)
{
    if (!exporter)
        return;
    switch_off(exporter);
    arena_deinit(&exporter->arena);
    free(exporter);
}
