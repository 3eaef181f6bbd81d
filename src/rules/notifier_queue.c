// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "base/log.h"
#include "rules/notifier_internal.h"

void notifier_item_unref(NotifierItem *item)
{
    if (--item->refs == 0)
        free(item);
}

static void add_metrics(Alertmanager *am)
{
    NotifierMetrics *metrics = &am->notifier->metrics;
    if (!metrics->sent)
        return;
    am->sent = counter_of(metrics->sent, &am->url);
    am->errors = counter_of(metrics->errors, &am->url);
    am->dropped = counter_of(metrics->dropped, &am->url);
    am->queue_length = gauge_of(metrics->queue_length, &am->url);
    am->latency_histogram = histogram_of(metrics->latency_histogram, &am->url);
    am->latency = summary_of(metrics->latency, am->url);
}

void alertmanager_forget_metrics(Notifier *notifier, Str url)
{
    NotifierMetrics *metrics = &notifier->metrics;
    if (!metrics->sent)
        return;
    family_remove(metrics->sent, &url);
    family_remove(metrics->errors, &url);
    family_remove(metrics->dropped, &url);
    family_remove(metrics->queue_length, &url);
    family_remove(metrics->latency_histogram, &url);
    summary_remove(metrics->latency, url);
}

Alertmanager *alertmanager_new(Notifier *notifier, Str url)
{
    Alertmanager *am = X_NEW(Alertmanager);
    am->notifier = notifier;
    am->url = (Str){memcpy(x_malloc(url.len + 1), url.ptr, url.len), url.len};
    add_metrics(am);
    return am;
}

static void count(Counter *counter, size_t n)
{
    if (counter)
        counter_add(counter, (double)n);
}

static void show_length(const Alertmanager *am)
{
    if (am->queue_length)
        gauge_set(am->queue_length, (double)am->count);
}

static NotifierItem *take(Alertmanager *am)
{
    NotifierItem *item = am->queue[am->head];
    am->head = (am->head + 1) % am->cap;
    am->count--;
    return item;
}

static void drop_oldest(Alertmanager *am, size_t n, const char *why)
{
    if (n == 0)
        return;
    log_warn(why, KV("alertmanager", am->url), KV("num_dropped", n));
    count(am->dropped, n);
    while (n--)
        notifier_item_unref(take(am));
}

void alertmanager_free(Alertmanager *am)
{
    union {
        const char *view;
        void *heap;
    } url = {am->url.ptr};
    am->draining = true;
    if (am->call)
        http_call_cancel(am->call);
    drop_oldest(am, am->count, "alerts of an Alertmanager that is not used any more, dropping");
    free(am->queue);
    buf_deinit(&am->body);
    free(url.heap);
    free(am);
}

bool alertmanager_is_idle(const Alertmanager *am)
{
    return !am->call && am->count == 0;
}

static void grow(Alertmanager *am, size_t needed)
{
    size_t cap = MAX(am->cap, 64u);
    while (cap < needed)
        cap *= 2;
    if (cap == am->cap)
        return;
    NotifierItem **queue = X_ARRAY(NotifierItem *, cap);
    for (size_t i = 0; i < am->count; i++)
        queue[i] = am->queue[(am->head + i) % am->cap];
    free(am->queue);
    am->queue = queue;
    am->head = 0;
    am->cap = cap;
}

void alertmanager_add(Alertmanager *am, NotifierItem *const *items, size_t n)
{
    size_t capacity = am->notifier->options.queue_capacity;
    if (n > capacity) {
        log_warn("more alerts at once than the queue may hold, dropping",
                 KV("alertmanager", am->url), KV("num_dropped", n - capacity));
        count(am->dropped, n - capacity);
        items += n - capacity;
        n = capacity;
    }
    if (am->count + n > capacity)
        drop_oldest(am, am->count + n - capacity, "alert notification queue full, dropping");
    grow(am, am->count + n);
    for (size_t i = 0; i < n; i++) {
        items[i]->refs++;
        am->queue[(am->head + am->count++) % am->cap] = items[i];
    }
    show_length(am);
    alertmanager_pump(am);
}

static bool is_success(const HttpResponse *response, Error *err)
{
    if (response->err)
        return error_set(err, response->err->code, "%s", response->err->text);
    if (response->status / 100 != 2)
        return error_set(err, ERR_IO, "bad response status %d", response->status);
    return true;
}

static void on_answer(void *arg, const HttpResponse *response)
{
    Alertmanager *am = arg;
    Error err = {0};
    bool ok = is_success(response, &err);
    am->call = NULL;
    count(am->sent, am->sending);
    if (ok && am->latency) {
        summary_observe(am->latency, (double)response->took_ns / 1e9);
        histogram_observe(am->latency_histogram, (double)response->took_ns / 1e9);
    }
    if (!ok) {
        log_error("error sending alerts, dropping", KV("alertmanager", am->url),
                  KV("count", am->sending), KV("err", &err));
        count(am->errors, am->sending);
        count(am->dropped, am->sending);
        if (am->draining)
            drop_oldest(am, am->count, "Alertmanager cannot be reached at the end, dropping");
    }
    am->sending = 0;
    alertmanager_pump(am);
    notifier_note_idle(am->notifier);
}

// The next batch as one JSON array.
static void fill_body(Alertmanager *am)
{
    buf_reset(&am->body);
    am->sending = MIN(am->count, am->notifier->options.batch_size);
    buf_add_char(&am->body, '[');
    for (size_t i = 0; i < am->sending; i++) {
        NotifierItem *item = take(am);
        if (i)
            buf_add_char(&am->body, ',');
        buf_add(&am->body, item->json, item->len);
        notifier_item_unref(item);
    }
    buf_add_char(&am->body, ']');
    show_length(am);
}

void alertmanager_pump(Alertmanager *am)
{
    static const Str headers[] = {STR("Content-Type: application/json"),
                                  STR("User-Agent: narthex/" NARTHEX_VERSION)};
    // Without a set it waits to be taken up by a new one.
    if (am->call || am->count == 0 || !am->set || !am->set->client)
        return;
    fill_body(am);
    HttpCallOptions options = {
        .method = S("POST"),
        .url = am->url,
        .headers = headers,
        .header_count = COUNT_OF(headers),
        .body = buf_str(&am->body),
        .timeout_ms = am->set->config->timeout_ms,
        .body_bytes_max = NOTIFIER_ANSWER_BYTES_MAX,
        .done = on_answer,
        .arg = am,
    };
    am->call = http_call(am->set->client, &options);
}
