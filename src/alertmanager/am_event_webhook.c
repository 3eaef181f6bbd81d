// SPDX-License-Identifier: Apache-2.0
// Events to a web server: each in a request of its own, or several as one JSON array.
//
//     take --> queue --> request (at most `workers`) --fails--> backoff --> request ... until max_retries
#include <stdlib.h>

#include "alertmanager/alertmanager.h"
#include "alertmanager/am_event_output.h"
#include "alertmanager/am_time.h"
#include "base/log.h"
#include "net/url.h"

#define QUEUE_MAX 1024
#define TIMEOUT_MS 10000
#define WORKERS 4
#define RETRIES 3
#define BACKOFF_MS 500
#define BACKOFF_MS_MAX 30000
#define BATCH_EVENTS 100
#define BATCH_BYTES ((size_t)1 << 20)
#define BATCH_WAIT_MS 100
#define ANSWER_BYTES_MAX ((size_t)1 << 20)

typedef struct Webhook Webhook;

typedef struct Post {
    struct Post *next;
    Webhook *webhook;
    Buf body;
    size_t events, attempts;
    HttpCall *call;
    LoopTimer *backoff;
} Post;

struct Webhook {
    AmEventOutput *output;
    HttpClient *client;
    AmEventLine *queue[QUEUE_MAX]; // a ring
    size_t first, count, bytes;
    Post *posts; // under way, or about to be tried again
    size_t post_count;
    LoopTimer *batch_timer;
    bool batch_timer_is_set, batch_is_due, is_closing, is_gone;
};

static const AmEventWebhook *settings_of(const Webhook *webhook)
{
    return webhook->output->settings;
}

static size_t or_default(uint64_t value, size_t otherwise)
{
    return value ? (size_t)value : otherwise;
}

// ---- the end ----

static void free_post(Post *post)
{
    Post **at = &post->webhook->posts;
    while (*at != post)
        at = &(*at)->next;
    *at = post->next;
    post->webhook->post_count--;
    loop_timer_free(post->backoff);
    buf_deinit(&post->body);
    free(post);
}

static AmEventLine *take_first(Webhook *webhook)
{
    AmEventLine *line = webhook->queue[webhook->first];
    webhook->first = (webhook->first + 1) % QUEUE_MAX;
    webhook->count--;
    webhook->bytes -= line->len;
    return line;
}

static void free_webhook(void *arg)
{
    Webhook *webhook = arg;
    AmEventOutput *output = webhook->output;
    while (webhook->count)
        am_event_line_unref(take_first(webhook));
    http_client_free(webhook->client);
    loop_timer_free(webhook->batch_timer);
    free(webhook);
    am_event_output_gone(output);
}

// ---- requests ----

static void pump(Webhook *webhook);
static void send_post(Post *post);

static void end_post(Post *post)
{
    Webhook *webhook = post->webhook;
    free_post(post);
    pump(webhook);
}

static void on_backoff(void *arg)
{
    send_post(arg);
}

static void failed(Post *post, int status, const Error *fault)
{
    const AmEventWebhook *settings = settings_of(post->webhook);
    Str name = post->webhook->output->name;
    Error err = {0};
    if (fault)
        err = *fault;
    else
        error_set(&err, ERR_UNAVAILABLE, "HTTP status %d", status);
    if (post->attempts >= or_default(settings->max_retries, RETRIES) || post->webhook->is_gone) {
        log_error("events could not be posted, skipping", KV("output", name),
                  KV("events", post->events), KV("attempts", post->attempts), KV("err", &err));
        end_post(post);
        return;
    }
    log_warn("events could not be posted, retrying", KV("output", name),
             KV("attempt", post->attempts), KV("err", &err));
    size_t shift = MIN(post->attempts - 1, (size_t)16);
    int64_t first_ms = settings->retry_backoff ? settings->retry_backoff : BACKOFF_MS;
    int64_t wait_ms = MIN(MIN(first_ms, BACKOFF_MS_MAX) << shift, BACKOFF_MS_MAX);
    loop_timer_set(post->backoff, clock_mono_ns(&clock_system) + wait_ms * AM_MS_NS);
}

static void on_response(void *arg, const HttpResponse *response)
{
    Post *post = arg;
    post->call = NULL;
    if (response->err || response->status / 100 != 2)
        failed(post, response->status, response->err);
    else
        end_post(post);
}

static void send_post(Post *post)
{
    static const Str headers[] = {STR("Content-Type: application/json"),
                                  STR("User-Agent: Alertmanager/" AM_VERSION)};
    const AmEventWebhook *settings = settings_of(post->webhook);
    HttpCallOptions request = {
        .method = S("POST"),
        .url = settings->url,
        .headers = headers,
        .header_count = COUNT_OF(headers),
        .body = buf_str(&post->body),
        .timeout_ms = settings->timeout ? settings->timeout : TIMEOUT_MS,
        .body_bytes_max = ANSWER_BYTES_MAX,
        .done = on_response,
        .arg = post,
    };
    post->attempts++;
    post->call = http_call(post->webhook->client, &request);
}

// ---- the queue ----

static void add_line(Post *post, AmEventLine *line)
{
    buf_add_str(&post->body, am_event_line_json(line));
    post->events++;
    am_event_line_unref(line);
}

static void fill_batch(Webhook *webhook, Post *post)
{
    size_t events_max = or_default(settings_of(webhook)->batch_max_events, BATCH_EVENTS);
    size_t bytes_max = or_default(settings_of(webhook)->batch_max_bytes, BATCH_BYTES);
    buf_add_char(&post->body, '[');
    while (webhook->count && post->events < events_max) {
        const AmEventLine *line = webhook->queue[webhook->first];
        if (post->events && post->body.len + line->len + 1 > bytes_max)
            break;
        if (post->events)
            buf_add_char(&post->body, ',');
        add_line(post, take_first(webhook));
    }
    buf_add_char(&post->body, ']');
}

// Whether there is enough for a request; sets the timer if not.
static bool is_ready(Webhook *webhook)
{
    const AmEventWebhook *settings = settings_of(webhook);
    if (webhook->count == 0)
        return false;
    if (!settings->batch || webhook->is_closing || webhook->batch_is_due ||
        webhook->count >= or_default(settings->batch_max_events, BATCH_EVENTS) ||
        webhook->bytes >= or_default(settings->batch_max_bytes, BATCH_BYTES))
        return true;
    int64_t wait_ms =
        settings->batch_flush_interval ? settings->batch_flush_interval : BATCH_WAIT_MS;
    if (!webhook->batch_timer_is_set)
        loop_timer_set(webhook->batch_timer, clock_mono_ns(&clock_system) + wait_ms * AM_MS_NS);
    webhook->batch_timer_is_set = true;
    return false;
}

static void start_post(Webhook *webhook)
{
    Post *post = X_NEW(Post);
    post->webhook = webhook;
    post->next = webhook->posts;
    post->backoff = loop_timer_new(webhook->output->loop, on_backoff, post);
    webhook->posts = post;
    webhook->post_count++;
    if (settings_of(webhook)->batch)
        fill_batch(webhook, post);
    else
        add_line(post, take_first(webhook));
    send_post(post);
}

static void pump(Webhook *webhook)
{
    if (webhook->is_gone)
        return;
    while (webhook->post_count < or_default(settings_of(webhook)->workers, WORKERS) &&
           is_ready(webhook))
        start_post(webhook);
    if (webhook->count == 0)
        webhook->batch_is_due = false;
    if (webhook->is_closing && webhook->count == 0 && webhook->post_count == 0) {
        webhook->is_gone = true;
        // Not from inside of what its client has called.
        loop_post(webhook->output->loop, free_webhook, webhook);
    }
}

static void on_batch_timer(void *arg)
{
    Webhook *webhook = arg;
    webhook->batch_timer_is_set = false;
    webhook->batch_is_due = webhook->count > 0;
    pump(webhook);
}

// ---- the kind ----

static Str name_of(const void *settings, Arena *arena)
{
    Str url = ((const AmEventWebhook *)settings)->url;
    size_t end = MIN(str_find_char(url, '?'), str_find_char(url, '#'));
    url = str_sub(url, 0, MIN(end, url.len));
    size_t host = str_find(url, S("://")) + 3;
    Str rest = str_skip(url, host);
    size_t slash = MIN(str_find_char(rest, '/'), rest.len);
    size_t at = str_rfind_char(str_sub(rest, 0, slash), '@');
    if (at != STR_NOT_FOUND)
        rest = str_skip(rest, at + 1);
    return arena_printf(arena, "webhook:" STR_FMT STR_FMT, STR_ARG(str_sub(url, 0, host)),
                        STR_ARG(rest));
}

static bool open_webhook(AmEventOutput *output, Error *err)
{
    HttpClient *client;
    const AmEventWebhook *settings = output->settings;
    if (!http_client_new(output->loop, settings->http_config, &client, err))
        return false;
    Webhook *webhook = X_NEW(Webhook);
    webhook->output = output;
    webhook->client = client;
    webhook->batch_timer = loop_timer_new(output->loop, on_batch_timer, webhook);
    output->state = webhook;
    return true;
}

static bool take(AmEventOutput *output, AmEventLine *lines, Error *err)
{
    Webhook *webhook = output->state;
    (void)err;
    for (AmEventLine *line = lines; line; line = line->next) {
        if (webhook->count == QUEUE_MAX) {
            am_event_output_dropped(output);
            continue;
        }
        webhook->queue[(webhook->first + webhook->count) % QUEUE_MAX] = am_event_line_ref(line);
        webhook->count++;
        webhook->bytes += line->len;
        // What goes out at once leaves room.
        if (webhook->count == QUEUE_MAX)
            pump(webhook);
    }
    pump(webhook);
    return true;
}

static void close_webhook(AmEventOutput *output)
{
    Webhook *webhook = output->state;
    webhook->is_closing = true;
    pump(webhook);
}

static void abort_webhook(AmEventOutput *output)
{
    Webhook *webhook = output->state;
    bool was_gone = webhook->is_gone;
    size_t left = webhook->count;
    webhook->is_gone = true;
    for (Post *post = webhook->posts, *next; post; post = next) {
        next = post->next;
        if (post->call) {
            http_call_cancel(post->call);
            continue;
        }
        left += post->events;
        free_post(post);
    }
    if (left)
        log_error("events were not posted before the end, skipping", KV("output", output->name),
                  KV("events", left));
    if (!was_gone)
        free_webhook(webhook);
}

const AmEventOutputKind am_event_webhook = {
    "webhook", &am_event_webhook_table, name_of,      NULL, open_webhook,
    take,      close_webhook,           abort_webhook};
