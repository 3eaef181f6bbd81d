// SPDX-License-Identifier: Apache-2.0
// Metadata of protocol 1.0: all of it every interval, in requests of its own.
#include "base/log.h"
#include "remote/remote_queue.h"

#define ANSWER_BYTES_MAX ((size_t)1 << 20)

static void send_next(RemoteQueue *queue);

static void again_in(RemoteQueue *queue, int64_t wait_ms)
{
    loop_timer_set(queue->metadata.timer, clock_mono_ns(&clock_system) + wait_ms * 1000000);
}

// The round is over, done or not: what failed comes again with the next one.
static void end_round(RemoteQueue *queue)
{
    RemoteMetadataSender *sender = &queue->metadata;
    int64_t wait_ms = (sender->due_ns - clock_mono_ns(&clock_system)) / 1000000;
    sender->count = sender->next = 0;
    arena_reset(&sender->arena);
    again_in(queue, MAX(wait_ms, INT64_C(0)));
}

static void on_answer(void *arg, const HttpResponse *response)
{
    RemoteQueue *queue = arg;
    RemoteMetadataSender *sender = &queue->metadata;
    const RemoteQueueConfig *config = &queue->config->queue;
    Error err = {0};
    int64_t wait_ms;
    sender->call = NULL;
    if (response->err && response->err->code == ERR_CANCELED)
        return;
    remote_count(&queue->metrics, RM_METADATA_BYTES, sender->body.len);
    RemoteVerdict verdict = remote_verdict(response, config->retry_on_http_429,
                                           clock_now_ms(queue->options->clock), &wait_ms, &err);
    if (verdict == VERDICT_AGAIN) {
        remote_count(&queue->metrics, RM_METADATA_RETRIED, sender->sending);
        if (clock_mono_ns(&clock_system) > sender->due_ns) {
            end_round(queue);
            return;
        }
        again_in(queue, wait_ms >= 0 ? wait_ms : sender->backoff_ms);
        sender->backoff_ms = MIN(sender->backoff_ms * 2, config->max_backoff_ms);
        return;
    }
    sender->backoff_ms = config->min_backoff_ms;
    remote_count(&queue->metrics, verdict == VERDICT_DONE ? RM_METADATA : RM_METADATA_FAILED,
                 sender->sending);
    if (verdict == VERDICT_DROP)
        log_error("non-recoverable error while sending metadata, dropping",
                  KV("remote_name", queue->name), KV("count", sender->sending), KV("err", &err));
    sender->next += sender->sending;
    send_next(queue);
}

static void send_next(RemoteQueue *queue)
{
    RemoteMetadataSender *sender = &queue->metadata;
    RemoteRequest request;
    if (sender->next == sender->count) {
        end_round(queue);
        return;
    }
    sender->sending =
        MIN(sender->count - sender->next, (size_t)queue->config->metadata.max_samples_per_send);
    remote_request_init(&request, false, NULL);
    for (size_t i = 0; i < sender->sending; i++) {
        const RemoteMetricMetadata *item = &sender->items[sender->next + i];
        remote_request_metadata(&request, item->metric, item->metadata);
    }
    buf_reset(&sender->body);
    remote_request_finish(&request, &sender->body, NULL);
    remote_request_deinit(&request);
    HttpCallOptions options = {
        .method = S("POST"),
        .url = queue->config->url,
        .headers = queue->headers,
        .header_count = queue->header_count,
        .body = buf_str(&sender->body),
        .timeout_ms = queue->config->remote_timeout_ms,
        .body_bytes_max = ANSWER_BYTES_MAX,
        .done = on_answer,
        .arg = queue,
    };
    sender->call = http_call(queue->client, &options);
}

static void on_timer(void *arg)
{
    RemoteQueue *queue = arg;
    RemoteMetadataSender *sender = &queue->metadata;
    if (sender->count == 0) {
        sender->due_ns =
            clock_mono_ns(&clock_system) + queue->config->metadata.send_interval_ms * 1000000;
        sender->backoff_ms = queue->config->queue.min_backoff_ms;
        queue->options->metadata(queue->options->metadata_arg, &sender->arena, &sender->items,
                                 &sender->count);
    }
    send_next(queue);
}

void remote_metadata_start(RemoteQueue *queue)
{
    if (queue->v2 || !queue->config->metadata.send || !queue->options->metadata)
        return;
    queue->metadata.timer = loop_timer_new(queue->loop, on_timer, queue);
    again_in(queue, queue->config->metadata.send_interval_ms);
}

void remote_metadata_stop(RemoteQueue *queue)
{
    RemoteMetadataSender *sender = &queue->metadata;
    if (sender->call)
        http_call_cancel(sender->call);
    if (sender->timer)
        loop_timer_free(sender->timer);
    arena_deinit(&sender->arena);
    buf_deinit(&sender->body);
    *sender = (RemoteMetadataSender){0};
}
