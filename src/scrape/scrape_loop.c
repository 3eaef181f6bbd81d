// SPDX-License-Identifier: Apache-2.0
#include "scrape/scrape_loop.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "scrape/target.h"
#include "trace/trace.h"

#define BODIES_THINNED_AFTER 100    // scrapes
#define BODIES_KEPT 16              // buffers that wait for the next scrape
#define BODY_BYTES_KEPT (64u << 20) // larger ones are given back
#define BODY_BYTES_MAX (1u << 30)   // of one answer when the job has no limit
#define MAKE_UP_DOWN_MS_MAX 5000    // a longer time has left a hole anyway
#define MAKE_UP_UNDER_WAY_MS                                                                       \
    1000 // as long before its last work a process may have begun what it did not end
#define ALIGN_TOLERANCE_MS 2 // a scrape that starts so late counts as punctual
#define NS_PER_MS 1000000LL

struct ScrapeThread {
    ScrapeShared *shared;
    Loop *loop;
    size_t index;
    ScrapeWork work;
    ScrapeTarget *targets; // all that live on this thread
    Buf *bodies[BODIES_KEPT];
    size_t body_count;
    size_t bodies_idle; // the least body_count since they were thinned out
    unsigned bodies_given;
};

// Of the scrape that is running.
typedef struct ScrapeTrace {
    Span whole, request;
} ScrapeTrace;

struct ScrapeTarget {
    ScrapeThread *thread;
    ScrapePool *pool;
    Arena arena; // of spec and headers
    TargetSpec spec;
    Str headers[4];
    size_t header_count;
    ScrapeTarget *next; // in the thread's list
    ScrapeTarget **at;

    // The thread's alone.
    ScrapeState state;
    LoopTimer *timer;
    HttpCall *call;
    ScrapeTrace *trace; // NULL: there is no tracing
    Buf *body;
    int64_t phase_ns;    // target_phase_ns
    int64_t grid_ns;     // target_grid_ns as it was started
    int64_t due_ns;      // monotonic time of the scrape that is running or comes next
    int64_t started_ns;  // monotonic
    int64_t previous_ns; // start of the scrape before; 0: none
    int64_t aligned_ms;  // wall time on the grid; 0: no scrape yet
    int64_t t_ms;        // of the running scrape
    bool makes_up;       // what comes next is a scrape that was missed
    bool stopping;
    bool mark_stale;

    size_t metadata_told, metadata_bytes_told; // what the pool's gauges have of it

    // For the API.
    char *last_error;
    int64_t last_scrape_ms;
    double last_duration_s;
    TargetHealth health;
};

// ---- pools ----

ScrapePool *scrape_pool_ref(ScrapePool *pool)
{
    atomic_fetch_add_explicit(&pool->refs, 1, memory_order_relaxed);
    return pool;
}

void scrape_pool_unref(ScrapePool *pool)
{
    if (!pool || atomic_fetch_sub_explicit(&pool->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (pool->unref_owner)
        pool->unref_owner(pool->owner);
    free(pool);
}

static HttpClient *client_of(ScrapePool *pool, ScrapeThread *thread, Error *err)
{
    HttpClient **client = &pool->clients[thread->index];
    if (*client)
        return *client;
    if (!http_client_new(thread->loop, &pool->config->http, client, err))
        return NULL;
    http_client_track(*client, thread->shared->registry, pool->config->job_name);
    return *client;
}

// ---- bodies ----

static Buf *body_take(ScrapeThread *thread)
{
    if (!thread->body_count)
        return X_NEW(Buf);
    thread->body_count--;
    thread->bodies_idle = MIN(thread->bodies_idle, thread->body_count);
    return thread->bodies[thread->body_count];
}

// Those that were not needed for a while, as only a moment with many answers at once needed them all.
static void thin_bodies_out(ScrapeThread *thread)
{
    for (; thread->bodies_idle; thread->bodies_idle--) {
        Buf *body = thread->bodies[--thread->body_count];
        buf_deinit(body);
        free(body);
    }
    thread->bodies_idle = thread->body_count;
    thread->bodies_given = 0;
}

static void body_give(ScrapeThread *thread, Buf *body)
{
    if (!body)
        return;
    if (thread->body_count == BODIES_KEPT || body->cap > BODY_BYTES_KEPT) {
        buf_deinit(body);
        free(body);
        return;
    }
    buf_reset(body);
    thread->bodies[thread->body_count++] = body;
    if (++thread->bodies_given >= BODIES_THINNED_AFTER)
        thin_bodies_out(thread);
}

// ---- traces ----

static void trace_begin(ScrapeTarget *target)
{
    struct Tracer *tracer = target->thread->shared->tracer;
    if (!tracer_is_on(tracer))
        return;
    target->trace = X_NEW(ScrapeTrace);
    span_begin(&target->trace->whole, tracer, NULL, SPAN_INTERNAL, S("scrape"));
}

static const Span *trace_request(ScrapeTarget *target)
{
    if (!target->trace)
        return NULL;
    Span *span = &target->trace->request;
    span_child(span, &target->trace->whole, SPAN_CLIENT, S("scrapeRequest"));
    span_str(span, "url", target->spec.url);
    return span;
}

static void trace_answer(ScrapeTarget *target, const HttpResponse *response)
{
    if (!target->trace)
        return;
    if (response->err)
        span_fail(&target->trace->request, str_from_c(response->err->text));
    span_end(&target->trace->request);
}

static void trace_end(ScrapeTarget *target, const ScrapeResult *result, size_t body_bytes)
{
    if (!target->trace)
        return;
    Span *span = &target->trace->whole;
    if (result) {
        span_i64(span, "samples_scraped", (int64_t)result->scraped);
        span_i64(span, "samples_added", (int64_t)result->post_relabel);
        span_i64(span, "series_added", (int64_t)result->added);
        span_i64(span, "bytes", (int64_t)body_bytes);
        if (!result->up)
            span_fail(span, str_from_c(result->err.text));
    }
    span_end(span);
    free(target->trace);
    target->trace = NULL;
}

// ---- one scrape ----

static double seconds_since_start(void *arg)
{
    const ScrapeTarget *target = arg;
    return (double)(clock_mono_ns(target->thread->shared->clock) - target->started_ns) / 1e9;
}

static void arm(ScrapeTarget *target)
{
    int64_t interval_ns = target->spec.interval_ms * NS_PER_MS;
    int64_t now_ns = clock_mono_ns(target->thread->shared->clock);
    target->due_ns += interval_ns;
    // After a scrape that took too long the next one follows at once, and then the grid goes on.
    while (target->due_ns + interval_ns <= now_ns)
        target->due_ns += interval_ns;
    loop_timer_set(target->timer, target->due_ns);
}

static void set_error(ScrapeTarget *target, const Error *err)
{
    free(target->last_error);
    target->last_error = err ? strdup(err->text) : NULL;
}

// Texts count for each target, as they would without sharing.
static void tell_metadata(ScrapeTarget *target, const MetadataCache *cache)
{
    size_t entries = cache ? cache->count : 0;
    size_t bytes = 0;
    if (entries == target->metadata_told)
        return;
    for (size_t i = 0; i < entries; i++)
        bytes += cache->slots[i].family->key.len;
    gauge_add(target->pool->metadata_entries, (double)entries - (double)target->metadata_told);
    gauge_add(target->pool->metadata_bytes, (double)bytes - (double)target->metadata_bytes_told);
    target->metadata_told = entries;
    target->metadata_bytes_told = bytes;
}

static void record(ScrapeTarget *target, const ScrapeResult *result)
{
    double duration_s = seconds_since_start(target);
    bool was_down = target->health == TARGET_DOWN;
    target->last_scrape_ms = target->t_ms;
    target->last_duration_s = duration_s;
    target->health = result->up ? TARGET_UP : TARGET_DOWN;
    set_error(target, result->up ? NULL : &result->err);
    tell_metadata(target, &target->state.metadata);
    scrape_metrics_result(target->thread->shared->metrics, result, duration_s);
    if (!result->up && !was_down)
        log_debug("scrape failed", KV("scrape_pool", target->pool->config->job_name),
                  KV("target", target->spec.url), KV("err", &result->err));
    if (!result->up && target->pool->failure_log)
        failure_log_write(target->pool->failure_log, clock_now_ms(target->thread->shared->clock),
                          target->pool->config->job_name, target->spec.url, &result->err);
    if (result->commit_err.code != ERR_NONE)
        log_error("storing a scrape failed", KV("scrape_pool", target->pool->config->job_name),
                  KV("target", target->spec.url), KV("err", &result->commit_err));
}

static void append(ScrapeTarget *target, Str body, ExpositionFormat format, const Error *failed)
{
    ScrapeThread *thread = target->thread;
    ScrapeInput input = {
        .config = target->pool->config,
        .target = &target->spec,
        .body = body,
        .format = format,
        .failed = failed,
        .t_ms = target->t_ms,
        .now_ms = clock_now_ms(thread->shared->clock),
        .start_times = thread->shared->start_times,
        .zero_samples = thread->shared->zero_samples,
        .synthesize = thread->shared->synthesize,
        .type_and_unit_labels = thread->shared->type_and_unit_labels,
    };
    ScrapeResult result;
    if (target->trace)
        span_enter(&target->trace->whole);
    scrape_append(&target->state, &thread->work, thread->shared->sink, &input, seconds_since_start,
                  target, &result);
    trace_end(target, &result, body.len);
    record(target, &result);
    body_give(thread, target->body);
    target->body = NULL;
    arm(target);
}

static const char *status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } rows[] = {
        {201, "Created"},
        {204, "No Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {410, "Gone"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (rows[i].status == status)
            return rows[i].text;
    return "";
}

static bool find_format(const ScrapeConfig *config, Str content_type, ExpositionFormat *ret_format,
                        Error *err)
{
    static const ExpositionFormat formats[SCRAPE_PROTOCOL_COUNT] = {
        [SCRAPE_PROTOBUF] = EXPOSITION_PROTOBUF,
        [SCRAPE_TEXT_0_0_4] = EXPOSITION_TEXT,
        [SCRAPE_TEXT_1_0_0] = EXPOSITION_TEXT,
        [SCRAPE_OPENMETRICS_0_0_1] = EXPOSITION_OPENMETRICS,
        [SCRAPE_OPENMETRICS_1_0_0] = EXPOSITION_OPENMETRICS,
    };
    if (exposition_format_of(content_type, ret_format))
        return true;
    if (config->has_fallback) {
        *ret_format = formats[config->fallback];
        return true;
    }
    if (content_type.len == 0)
        return error_set(err, ERR_INVALID,
                         "non-compliant scrape target sending blank Content-Type and no "
                         "fallback_scrape_protocol "
                         "specified for target");
    return error_set(err, ERR_INVALID,
                     "received unsupported Content-Type \"" STR_FMT
                     "\" and no fallback_scrape_protocol specified for "
                     "target",
                     STR_ARG(content_type));
}

// Judges the answer: its format, or what is wrong with it.
static bool judge(const ScrapeTarget *target, const HttpResponse *response,
                  ExpositionFormat *ret_format, Error *err)
{
    const ScrapeConfig *config = target->pool->config;
    if (response->err && response->err->code == ERR_LIMIT)
        return error_set(err, ERR_LIMIT, "body size limit exceeded");
    if (response->err) {
        *err = *response->err;
        return false;
    }
    if (response->status != 200)
        return error_set(err, ERR_INVALID, "server returned HTTP status %d %s", response->status,
                         status_text(response->status));
    if (config->limits.body_bytes && response->body.len >= config->limits.body_bytes)
        return error_set(err, ERR_LIMIT, "body size limit exceeded");
    return find_format(config, response->content_type, ret_format, err);
}

static void on_answer(void *arg, const HttpResponse *response)
{
    ScrapeTarget *target = arg;
    target->call = NULL;
    trace_answer(target, response);
    if (target->stopping) {
        trace_end(target, NULL, 0);
        body_give(target->thread, target->body);
        target->body = NULL;
        return;
    }
    Error err = {0};
    ExpositionFormat format = EXPOSITION_TEXT;
    bool ok = judge(target, response, &format, &err);
    // A page of nothing is a good one, also where a format has it end with something.
    if (ok && response->body.len == 0)
        format = EXPOSITION_TEXT;
    if (ok)
        append(target, response->body, format, NULL);
    else
        append(target, STR_NONE, format, &err);
}

static Buf *take_body(void *arg)
{
    ScrapeTarget *target = arg;
    target->body = body_take(target->thread);
    return target->body;
}

static void request(ScrapeTarget *target)
{
    const ScrapeConfig *config = target->pool->config;
    Error err = {0};
    HttpClient *client = client_of(target->pool, target->thread, &err);
    if (!client) {
        append(target, STR_NONE, EXPOSITION_TEXT, &err);
        return;
    }
    HttpCallOptions options = {
        .url = target->spec.url,
        .unix_socket = target->spec.unix_socket,
        .headers = target->headers,
        .header_count = target->header_count,
        .timeout_ms = target->spec.timeout_ms,
        .body_bytes_max =
            config->limits.body_bytes ? (size_t)config->limits.body_bytes : BODY_BYTES_MAX,
        .accept_gzip = config->enable_compression,
        .body_take = take_body,
        .span = trace_request(target),
        .done = on_answer,
        .arg = target,
    };
    target->call = http_call(client, &options);
}

static void write_locally(ScrapeTarget *target)
{
    target->body = body_take(target->thread);
    target->pool->local_write(target->pool->local_arg, target->body);
    Error err = {0};
    if (buf_ok(target->body, "the metrics of this process", &err))
        append(target, buf_str(target->body), EXPOSITION_TEXT, NULL);
    else
        append(target, STR_NONE, EXPOSITION_TEXT, &err);
}

// The scheduled time instead of the actual one where they are close, so that samples of a series are equally far apart and take fewer bits.
static int64_t align(ScrapeTarget *target, int64_t now_ms)
{
    int64_t interval_ms = target->spec.interval_ms;
    int64_t tolerance_ms = MIN(interval_ms / 100, ALIGN_TOLERANCE_MS);
    if (target->aligned_ms == 0 || now_ms < target->aligned_ms)
        target->aligned_ms = now_ms;
    target->aligned_ms += (now_ms - target->aligned_ms) / interval_ms * interval_ms;
    // Slightly early is punctual, too.
    if (target->aligned_ms + interval_ms - now_ms <= tolerance_ms)
        target->aligned_ms += interval_ms;
    return llabs(now_ms - target->aligned_ms) <= tolerance_ms ? target->aligned_ms : now_ms;
}

static bool check_target_limit(ScrapeTarget *target)
{
    uint64_t over = atomic_load_explicit(&target->pool->targets_over_limit, memory_order_relaxed);
    if (over == 0)
        return true;
    Error err;
    error_set(&err, ERR_LIMIT, "target_limit exceeded (number of targets: %llu, limit: %llu)",
              (unsigned long long)over, (unsigned long long)target->pool->config->limits.targets);
    append(target, STR_NONE, EXPOSITION_TEXT, &err);
    return false;
}

static void scrape(ScrapeTarget *target)
{
    Clock *clock = target->thread->shared->clock;
    target->started_ns = clock_mono_ns(clock);
    target->t_ms = align(target, clock_now_ms(clock));
    if (target->previous_ns)
        scrape_metrics_interval(target->thread->shared->metrics, target->spec.interval_ms,
                                (double)(target->started_ns - target->previous_ns) / 1e9);
    target->previous_ns = target->started_ns;
    if (target->makes_up) { // it lies beside the grid
        target->makes_up = false;
        target->previous_ns = target->aligned_ms = 0;
    }
    trace_begin(target);
    if (!check_target_limit(target))
        return;
    if (target->pool->local_write)
        write_locally(target);
    else
        request(target);
}

// ---- life of a target ----

static void unlink_target(ScrapeTarget *target)
{
    *target->at = target->next;
    if (target->next)
        target->next->at = target->at;
}

static void target_free(ScrapeTarget *target)
{
    unlink_target(target);
    target->stopping = true;
    if (target->call)
        http_call_cancel(target->call);
    loop_timer_free(target->timer);
    tell_metadata(target, NULL);
    scrape_state_deinit(&target->state, &target->thread->work);
    scrape_pool_unref(target->pool);
    free(target->last_error);
    arena_deinit(&target->arena);
    free(target);
}

// A scrape has been missed: what the target had is stale since the moment of that scrape.
static void bury(ScrapeTarget *target)
{
    ScrapeInput input = {.config = target->pool->config,
                         .target = &target->spec,
                         .t_ms = target->t_ms + target->spec.interval_ms,
                         .now_ms = clock_now_ms(target->thread->shared->clock)};
    scrape_append_stale(&target->state, &target->thread->work, target->thread->shared->sink,
                        &input);
    target_free(target);
}

static void on_timer(void *arg)
{
    ScrapeTarget *target = arg;
    if (target->stopping)
        bury(target);
    else
        scrape(target);
}

// The newest scrape that a process before this one missed comes now, if the server was down for a short time only. The one
// behind it is due as ever.
static int64_t make_up(ScrapeTarget *target, int64_t now_ns, int64_t now_ms)
{
    int64_t interval_ns = target->spec.interval_ms * NS_PER_MS;
    int64_t down_ms = now_ms - target->thread->shared->last_work_ms;
    int64_t since_ns = now_ns - (down_ms + MAKE_UP_UNDER_WAY_MS) * NS_PER_MS;
    int64_t missed_ns = target->due_ns - interval_ns;

    if (down_ms < 0 || down_ms > MAKE_UP_DOWN_MS_MAX || missed_ns < since_ns ||
        now_ns - missed_ns > interval_ns / 2)
        return target->due_ns;
    target->makes_up = true;
    target->due_ns = missed_ns;
    return now_ns + target_make_up_ns(missed_ns, since_ns, target->grid_ns);
}

static void start_on_thread(void *arg)
{
    ScrapeTarget *target = arg;
    ScrapeThread *thread = target->thread;
    target->at = &thread->targets;
    target->next = thread->targets;
    if (target->next)
        target->next->at = &target->next;
    thread->targets = target;

    Clock *clock = thread->shared->clock;
    target->timer = loop_timer_new(thread->loop, on_timer, target);
    int64_t now_ns = clock_mono_ns(clock), now_ms = clock_now_ms(clock);
    target->due_ns =
        now_ns + target_offset_ns(target->phase_ns, target->spec.interval_ms * NS_PER_MS,
                                  now_ns - thread->shared->wall_zero_ns);
    loop_timer_set(target->timer, make_up(target, now_ns, now_ms));
}

static void stop_on_thread(void *arg)
{
    ScrapeTarget *target = arg;
    target->stopping = true;
    if (target->call)
        http_call_cancel(target->call);
    if (!target->mark_stale || target->last_scrape_ms == 0) {
        target_free(target);
        return;
    }
    // One more tick and a bit: samples of a target that took its place come first and make the markers out of order, which is harmless.
    int64_t interval_ns = target->spec.interval_ms * NS_PER_MS;
    loop_timer_set(target->timer, target->due_ns + interval_ns + interval_ns / 10);
}

static void add_header(ScrapeTarget *target, const char *name, Str value)
{
    target->headers[target->header_count++] =
        arena_printf(&target->arena, "%s: " STR_FMT, name, STR_ARG(value));
}

static void copy_spec(ScrapeTarget *target, const TargetSpec *spec)
{
    target->spec = *spec;
    target->spec.discovered = LABELS_NONE;
    target->spec.labels = labels_copy(&target->arena, spec->labels);
    target->spec.all = LABELS_NONE; // its hash is all that is needed
    target->spec.url = arena_str(&target->arena, spec->url);
}

ScrapeTarget *scrape_target_start(ScrapeThread *thread, ScrapePool *pool, const TargetSpec *spec,
                                  int64_t phase_ns, int64_t grid_ns)
{
    ScrapeTarget *target = X_NEW(ScrapeTarget);
    target->phase_ns = phase_ns;
    target->grid_ns = grid_ns;
    target->thread = thread;
    target->pool = scrape_pool_ref(pool);
    copy_spec(target, spec);
    add_header(target, "Accept", pool->config->accept);
    add_header(target, "User-Agent", S("narthex/" NARTHEX_VERSION));
    add_header(target, "X-Prometheus-Scrape-Timeout-Seconds",
               arena_printf(&target->arena, "%.15g", (double)spec->timeout_ms / 1000));
    if (!pool->config->enable_compression)
        add_header(target, "Accept-Encoding", S("identity"));
    loop_post(thread->loop, start_on_thread, target);
    return target;
}

void scrape_target_stop(ScrapeTarget *target, bool mark_stale)
{
    target->mark_stale = mark_stale; // not read before the post arrives
    loop_post(target->thread->loop, stop_on_thread, target);
}

const TargetSpec *scrape_target_spec(const ScrapeTarget *target)
{
    return &target->spec;
}

ScrapeThread *scrape_target_thread(const ScrapeTarget *target)
{
    return target->thread;
}

void scrape_target_status(const ScrapeTarget *target, Arena *arena, TargetInfo *info)
{
    info->last_error = arena_str(arena, str_from_c(target->last_error));
    info->last_scrape_ms = target->last_scrape_ms;
    info->last_duration_s = target->last_duration_s;
    info->health = target->health;
}

const MetadataCache *scrape_target_metadata(const ScrapeTarget *target)
{
    return &target->state.metadata;
}

const MetadataPool *scrape_thread_metadata(const ScrapeThread *thread)
{
    return &thread->work.metadata;
}

// ---- threads ----

bool scrape_thread_new(ScrapeShared *shared, size_t index, ScrapeThread **ret_thread, Error *err)
{
    char name[16];
    Loop *loop;
    snprintf(name, sizeof name, "scrape-%zu", index % 1000);
    if (!loop_new(name, &loop, err))
        return false;
    if (!loop_start(loop, err)) {
        loop_free(loop);
        return false;
    }
    ScrapeThread *thread = X_NEW(ScrapeThread);
    thread->shared = shared;
    thread->loop = loop;
    thread->index = index;
    *ret_thread = thread;
    return true;
}

static void free_targets(void *arg)
{
    ScrapeThread *thread = arg;
    for (ScrapeTarget *target = thread->targets, *next; target; target = next) {
        next = target->next;
        target_free(target);
    }
}

void scrape_thread_free(ScrapeThread *thread)
{
    if (!thread)
        return;
    loop_call(thread->loop, free_targets, thread);
    loop_stop(thread->loop);
    loop_join(thread->loop);
    loop_free(thread->loop);
    scrape_work_deinit(&thread->work);
    for (size_t i = 0; i < thread->body_count; i++) {
        buf_deinit(thread->bodies[i]);
        free(thread->bodies[i]);
    }
    free(thread);
}

void scrape_thread_call(ScrapeThread *thread, void (*fn)(void *arg), void *arg)
{
    loop_call(thread->loop, fn, arg);
}

typedef struct LeaveCall {
    ScrapeThread *thread;
    ScrapePool *pool;
} LeaveCall;

static void leave_on_thread(void *arg)
{
    LeaveCall *call = arg;
    http_client_free(call->pool->clients[call->thread->index]);
    call->pool->clients[call->thread->index] = NULL;
    scrape_pool_unref(call->pool);
    free(call);
}

void scrape_thread_leave(ScrapeThread *thread, ScrapePool *pool)
{
    LeaveCall *call = X_NEW(LeaveCall);
    *call = (LeaveCall){thread, scrape_pool_ref(pool)};
    loop_post(thread->loop, leave_on_thread, call);
}
