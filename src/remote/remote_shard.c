// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/number.h"
#include "remote/remote_queue.h"

#define ANSWER_BYTES_MAX ((size_t)1 << 20)
#define LOGGED_SERIES_MAX 100 // of one refused request

// Life -------------------------------------------------------------------------------------------------------------------------------

static void on_retry(void *arg)
{
    RemoteShard *shard = arg;
    shard->waiting = false;
    remote_shard_pump(shard);
}

void remote_shard_init(RemoteShard *shard, RemoteQueue *queue, const RemoteShardPlace *place)
{
    *shard = (RemoteShard){.queue = queue, .backoff_ms = queue->config->queue.min_backoff_ms};
    shard->last = &shard->first;
    remote_request_init(&shard->open, queue->v2, queue->v2 ? NULL : &queue->table.pairs);
    shard->timer = loop_timer_new(queue->loop, on_retry, shard);
    for (size_t i = 0; i < FEED_LANES; i++) {
        shard->acked[i] = place->acked[i];
        shard->again_to[i] = place->sending[i];
        shard->again |= feed_place_before(place->acked[i], place->sending[i]);
    }
}

static void batch_free(RemoteBatch *batch)
{
    buf_deinit(&batch->body);
    free(batch);
}

void remote_shard_deinit(RemoteShard *shard)
{
    if (shard->call)
        http_call_cancel(shard->call);
    for (RemoteBatch *batch = shard->first; batch;) {
        RemoteBatch *next = batch->next;
        batch_free(batch);
        batch = next;
    }
    loop_timer_free(shard->timer);
    remote_request_deinit(&shard->open);
}

// Filling ----------------------------------------------------------------------------------------------------------------------------

bool remote_shard_is_full(const RemoteShard *shard)
{
    const RemoteQueue *queue = shard->queue;
    // What was one request before a restart is one again, whatever the limits say now.
    return !shard->again &&
           shard->held >= MAX((size_t)queue->config->queue.capacity, queue->samples_max);
}

// The reading has passed what was under way at the end of the last process.
static bool passed_again(const RemoteShard *shard)
{
    FeedPlace at[FEED_LANES];
    remote_queue_place(shard->queue, at);
    for (size_t i = 0; i < FEED_LANES; i++)
        if (feed_place_before(shard->acked[i], shard->again_to[i]) &&
            feed_place_before(at[i], shard->again_to[i]))
            return false;
    return true;
}

void remote_shard_seal(RemoteShard *shard)
{
    if (shard->again && !passed_again(shard))
        return;
    shard->again = false;
    if (remote_request_count(&shard->open) == 0)
        return;
    RemoteBatch *batch = X_NEW(RemoteBatch);
    batch->samples = shard->open.samples;
    batch->histograms = shard->open.histograms;
    batch->exemplars = shard->open.exemplars;
    batch->newest_t_ms = shard->open.newest_t_ms;
    remote_queue_place(shard->queue, batch->end);
    remote_request_finish(&shard->open, &batch->body, NULL);
    remote_request_reset(&shard->open);
    shard->open_since_ns = 0;
    *shard->last = batch;
    shard->last = &batch->next;
    remote_shard_pump(shard);
}

void remote_shard_added(RemoteShard *shard)
{
    RemoteQueue *queue = shard->queue;
    shard->held++;
    if (shard->open_since_ns == 0)
        shard->open_since_ns = clock_mono_ns(&clock_system);
    if (remote_request_count(&shard->open) >= queue->samples_max)
        remote_shard_seal(shard);
}

// Sending ----------------------------------------------------------------------------------------------------------------------------

// RFC 9110 10.2.3: seconds or a date. -1: none.
static int64_t retry_after_ms(Str text, int64_t now_ms)
{
    int64_t seconds;
    char date[64];
    struct tm tm = {0};
    if (text.len == 0)
        return -1;
    if (number_parse_i64(text, &seconds))
        return MIN(MAX(seconds, INT64_C(0)), INT64_C(86400)) * 1000;
    if (text.len >= sizeof date)
        return -1;
    memcpy(date, text.ptr, text.len);
    date[text.len] = 0;
    if (!strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &tm))
        return -1;
    int64_t wait_ms = (int64_t)timegm(&tm) * 1000 - now_ms;
    return MIN(MAX(wait_ms, INT64_C(0)), INT64_C(86400) * 1000);
}

RemoteVerdict remote_verdict(const HttpResponse *response, bool retry_429, int64_t now_ms,
                             int64_t *ret_retry_after_ms, Error *err)
{
    *ret_retry_after_ms = -1;
    if (response->err) {
        *err = *response->err;
        return VERDICT_AGAIN;
    }
    if (response->status / 100 == 2)
        return VERDICT_DONE;
    Str line = response->body;
    line = str_trim(str_sub(line, 0, MIN(str_find_char(line, '\n'), (size_t)200)));
    error_set(err, ERR_IO, "server returned HTTP status %d: " STR_FMT, response->status,
              STR_ARG(line));
    if (response->status / 100 != 5 && !(response->status == 429 && retry_429))
        return VERDICT_DROP;
    *ret_retry_after_ms = retry_after_ms(http_response_header(response, S("Retry-After")), now_ms);
    return VERDICT_AGAIN;
}

// What a 2.0 receiver says it has written.
static size_t written(const HttpResponse *response, const char *header)
{
    uint64_t count = 0;
    (void)!number_parse_u64(str_trim(http_response_header(response, str_from_c(header))), &count);
    return (size_t)count;
}

static void count_failed(const RemoteQueue *queue, const RemoteBatch *batch)
{
    remote_count(&queue->metrics, RM_SAMPLES_FAILED, batch->samples);
    remote_count(&queue->metrics, RM_EXEMPLARS_FAILED, batch->exemplars);
    remote_count(&queue->metrics, RM_HISTOGRAMS_FAILED, batch->histograms);
}

static void count_part(const RemoteQueue *queue, RemoteMetric done, RemoteMetric failed,
                       size_t sent, size_t taken)
{
    remote_count(&queue->metrics, done, MIN(sent, taken));
    remote_count(&queue->metrics, failed, sent - MIN(sent, taken));
}

// A 2.0 receiver tells what it took; one that tells of nothing has probably not understood the message.
static void count_v2(const RemoteQueue *queue, const RemoteBatch *batch,
                     const HttpResponse *response)
{
    size_t samples = written(response, "X-Prometheus-Remote-Write-Samples-Written");
    size_t histograms = written(response, "X-Prometheus-Remote-Write-Histograms-Written");
    size_t exemplars = written(response, "X-Prometheus-Remote-Write-Exemplars-Written");
    if (samples + histograms + exemplars == 0)
        log_error("the receiver answered 2xx but says that it has written nothing: does it know "
                  "remote write 2.0? Skipping",
                  KV("remote_name", queue->name), KV("url", queue->shown_url));
    count_part(queue, RM_SAMPLES, RM_SAMPLES_FAILED, batch->samples, samples);
    count_part(queue, RM_HISTOGRAMS, RM_HISTOGRAMS_FAILED, batch->histograms, histograms);
    count_part(queue, RM_EXEMPLARS, RM_EXEMPLARS_FAILED, batch->exemplars, exemplars);
}

static void count_done(RemoteQueue *queue, const RemoteBatch *batch, const HttpResponse *response)
{
    if (queue->v2) {
        count_v2(queue, batch, response);
    } else {
        remote_count(&queue->metrics, RM_SAMPLES, batch->samples);
        remote_count(&queue->metrics, RM_EXEMPLARS, batch->exemplars);
        remote_count(&queue->metrics, RM_HISTOGRAMS, batch->histograms);
    }
    queue->highest_sent_t_ms = MAX(queue->highest_sent_t_ms, batch->newest_t_ms);
}

static size_t batch_count(const RemoteBatch *batch)
{
    return batch->samples + batch->histograms + batch->exemplars;
}

// The first batch is done with, one way or another.
static void finish_first(RemoteShard *shard)
{
    RemoteQueue *queue = shard->queue;
    RemoteBatch *batch = shard->first;
    queue->rates.out.events += batch_count(batch);
    queue->rates.busy_ns.events += (uint64_t)(clock_mono_ns(&clock_system) - batch->first_sent_ns);
    queue->last_send_ns = clock_mono_ns(&clock_system);
    queue->pending[POINT_SAMPLE] -= batch->samples;
    queue->pending[POINT_HISTOGRAM] -= batch->histograms;
    queue->pending[POINT_EXEMPLAR] -= batch->exemplars;
    memcpy(shard->acked, batch->end, sizeof shard->acked);
    shard->held -= MIN(shard->held, batch_count(batch));
    shard->first = batch->next;
    if (!shard->first)
        shard->last = &shard->first;
    shard->failing = false;
    shard->backoff_ms = queue->config->queue.min_backoff_ms;
    batch_free(batch);
}

static void try_again(RemoteShard *shard, int64_t wait_ms, const Error *err)
{
    RemoteQueue *queue = shard->queue;
    RemoteBatch *batch = shard->first;
    if (!shard->failing)
        log_warn("failed to send batch, retrying", KV("remote_name", queue->name),
                 KV("url", queue->shown_url), KV("err", err));
    shard->failing = true;
    batch->tries++;
    remote_count(&queue->metrics, RM_SAMPLES_RETRIED, batch->samples);
    remote_count(&queue->metrics, RM_EXEMPLARS_RETRIED, batch->exemplars);
    remote_count(&queue->metrics, RM_HISTOGRAMS_RETRIED, batch->histograms);
    if (wait_ms < 0)
        wait_ms = shard->backoff_ms;
    shard->backoff_ms = MIN(shard->backoff_ms * 2, queue->config->queue.max_backoff_ms);
    shard->waiting = true;
    loop_timer_set(shard->timer, clock_mono_ns(&clock_system) + wait_ms * 1000000);
}

static void begin_spans(RemoteShard *shard, const RemoteBatch *batch)
{
    const RemoteQueue *queue = shard->queue;
    Span *span = &shard->batch_span;
    span_begin(span, queue->options->tracer, NULL, SPAN_INTERNAL, S("Remote Send Batch"));
    span_i64(span, "request_size", (int64_t)batch->body.len);
    span_i64(span, "samples", (int64_t)batch->samples);
    span_i64(span, "try", batch->tries);
    span_str(span, "remote_name", queue->name);
    span_str(span, "remote_url", queue->shown_url);
    if (batch->exemplars)
        span_i64(span, "exemplars", (int64_t)batch->exemplars);
    if (batch->histograms)
        span_i64(span, "histograms", (int64_t)batch->histograms);
    if (batch->tries)
        span_i64(span, "http.request.resend_count", batch->tries);
    span_child(&shard->store_span, span, SPAN_CLIENT, S("Remote Store"));
}

static void end_spans(RemoteShard *shard, const Error *err)
{
    if (err->code)
        span_fail(&shard->batch_span, str_from_c(err->text));
    span_end(&shard->store_span);
    span_end(&shard->batch_span);
}

static void log_refused(const RemoteQueue *queue, const RemoteBatch *batch)
{
    CLEANUP(buf_deinit) Buf series = {0};
    if (!queue->v2 || !queue->config->failed_request_logging || !log_enabled(LOG_DEBUG))
        return;
    remote_request_print_v2(buf_str(&batch->body), LOGGED_SERIES_MAX, &series);
    log_debug("the request that was refused", KV("remote_name", queue->name),
              KV("url", queue->shown_url), KV("series", buf_str(&series)));
}

static void on_answer(void *arg, const HttpResponse *response)
{
    RemoteShard *shard = arg;
    RemoteQueue *queue = shard->queue;
    RemoteBatch *batch = shard->first;
    Error err = {0};
    int64_t wait_ms;
    shard->call = NULL;
    if (response->err && response->err->code == ERR_CANCELED) {
        end_spans(shard, response->err);
        return;
    }
    if (queue->metrics.sent_seconds)
        histogram_observe(queue->metrics.sent_seconds, (double)response->took_ns / 1e9);
    remote_count(&queue->metrics, RM_BYTES, batch->body.len);
    RemoteVerdict verdict = remote_verdict(response, queue->config->queue.retry_on_http_429,
                                           clock_now_ms(queue->options->clock), &wait_ms, &err);
    end_spans(shard, &err);
    if (verdict == VERDICT_AGAIN) {
        try_again(shard, wait_ms, &err);
        return;
    }
    if (verdict == VERDICT_DONE) {
        count_done(queue, batch, response);
    } else {
        log_error("non-recoverable error, dropping", KV("remote_name", queue->name),
                  KV("url", queue->shown_url), KV("count", batch_count(batch)), KV("err", &err));
        log_refused(queue, batch);
        count_failed(queue, batch);
    }
    finish_first(shard);
    if (shard->first)
        remote_shard_pump(shard); // keeps the places
    else
        remote_queue_keep(queue);
    remote_queue_wake(queue);
}

// Entries that have become too old while they waited. False: nothing is left.
static bool drop_old(RemoteShard *shard, RemoteBatch *batch)
{
    RemoteQueue *queue = shard->queue;
    int64_t limit_ms = queue->config->queue.sample_age_limit_ms;
    RemoteRequestCounts left;
    Error err;
    if (limit_ms == 0 || batch->tries == 0)
        return true;
    if (!remote_request_drop_old(&batch->body, queue->v2,
                                 clock_now_ms(queue->options->clock) - limit_ms, &left, &err))
        return true; // cannot be: it is our own
    const size_t lost[POINTS] = {[POINT_SAMPLE] = batch->samples - left.samples,
                                 [POINT_EXEMPLAR] = batch->exemplars - left.exemplars,
                                 [POINT_HISTOGRAM] = batch->histograms - left.histograms};
    for (size_t i = 0; i < POINTS; i++) {
        queue->pending[i] -= lost[i];
        shard->held -= MIN(shard->held, lost[i]);
        if (lost[i] && queue->metrics.dropped[i][DROP_TOO_OLD])
            counter_add(queue->metrics.dropped[i][DROP_TOO_OLD], (double)lost[i]);
    }
    batch->samples = left.samples;
    batch->exemplars = left.exemplars;
    batch->histograms = left.histograms;
    return batch_count(batch) > 0;
}

static void send(RemoteShard *shard)
{
    RemoteQueue *queue = shard->queue;
    RemoteBatch *batch = shard->first;
    char attempt[48];
    size_t count = queue->header_count;
    if (batch->tries) {
        int len = snprintf(attempt, sizeof attempt, "Retry-Attempt: %d", batch->tries);
        queue->headers[count++] = (Str){attempt, (size_t)len};
    } else {
        batch->first_sent_ns = clock_mono_ns(&clock_system);
    }
    begin_spans(shard, batch);
    HttpCallOptions options = {
        .method = S("POST"),
        .url = queue->config->url,
        .headers = queue->headers,
        .header_count = count,
        .body = buf_str(&batch->body),
        .connect_address = remote_resolver_next(&queue->resolver),
        .timeout_ms = queue->config->remote_timeout_ms,
        .body_bytes_max = ANSWER_BYTES_MAX,
        .span = &shard->store_span,
        .done = on_answer,
        .arg = shard,
    };
    shard->call = http_call(queue->client, &options);
}

void remote_shard_pump(RemoteShard *shard)
{
    if (shard->call || shard->waiting || !shard->first)
        return;
    // Before the first try, so that the same request is made again after a kill.
    if (shard->first->tries == 0)
        remote_queue_keep(shard->queue);
    while (shard->first && !drop_old(shard, shard->first))
        finish_first(shard);
    if (shard->first)
        send(shard);
}
