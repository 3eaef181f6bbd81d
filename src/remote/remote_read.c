// SPDX-License-Identifier: Apache-2.0
#include "remote/remote_read.h"

#include <stdlib.h>

#include "codec/compress.h"
#include "remote/remote_read_internal.h"

enum { WAIT_MS = 50 };

RemoteRead *remote_read_new(const RemoteReadOptions *options)
{
    RemoteRead *remote = X_NEW(RemoteRead);
    remote->options = *options;
    lock_init(&remote->lock, "remote.read", 780);
    condition_init(&remote->freed);
    if (options->registry) {
        remote->queries =
            gauge_of(registry_gauge(options->registry, "prometheus_remote_read_handler_queries",
                                    "The current number of remote read queries that are either in "
                                    "execution or queued on the handler.",
                                    NULL),
                     NULL);
        remote->samples = counter_of(
            registry_counter(options->registry, "narthex_remote_read_sent_samples_total",
                             "Samples and histograms sent in answers to remote read.", NULL),
            NULL);
    }
    return remote;
}

void remote_read_free(RemoteRead *remote)
{
    if (!remote)
        return;
    condition_deinit(&remote->freed);
    lock_deinit(&remote->lock);
    free(remote);
}

// ---- the gate ----

static bool enter(RemoteRead *remote, const RemoteReadReply *reply, Error *err)
{
    int most = remote->options.concurrent_max;
    bool ok = true;
    lock_take(&remote->lock);
    while (most > 0 && remote->running >= most && ok) {
        (void)condition_wait_ms(&remote->freed, &remote->lock, WAIT_MS);
        if (reply->is_gone(reply->arg))
            ok = error_set(err, ERR_CANCELED, "remote read was canceled while it waited");
    }
    if (ok)
        remote->running++;
    lock_give(&remote->lock);
    return ok;
}

static void leave(RemoteRead *remote)
{
    lock_take(&remote->lock);
    remote->running--;
    condition_signal(&remote->freed);
    lock_give(&remote->lock);
}

// ---- what both kinds of answer need ----

bool read_buf_reserve(ReadBuf *out, size_t more, Error *err)
{
    Buf *buf = &out->buf;
    if (buf->cap - buf->len >= more)
        return true;
    size_t need = buf->len + more;
    size_t grown = MAX(need, buf->cap + buf->cap / 2);
    if (out->budget && !budget_try(out->budget, grown - buf->cap)) {
        grown = need;
        if (!budget_take(out->budget, grown - buf->cap, err))
            return false;
    }
    out->counted += grown - buf->cap;
    buf->ptr = x_realloc(buf->ptr, grown);
    buf->cap = grown;
    return true;
}

void read_buf_free(ReadBuf *out)
{
    if (out->budget)
        budget_give(out->budget, out->counted);
    buf_deinit(&out->buf);
}

Labels read_labels(const ReadRun *run, Arena *arena, Labels labels)
{
    size_t missing = 0;
    for (size_t i = 0; i < run->external.count; i++)
        missing += labels_get(labels, run->external.pairs[i].name).len == 0;
    if (missing == 0)
        return labels;
    Label *pairs = ARENA_ARRAY(arena, Label, labels.count + missing);
    size_t count = 0;
    size_t own = 0;
    for (size_t i = 0; i < run->external.count; i++) {
        const Label *external = &run->external.pairs[i];
        if (labels_get(labels, external->name).len)
            continue;
        while (own < labels.count && str_compare(labels.pairs[own].name, external->name) < 0)
            pairs[count++] = labels.pairs[own++];
        pairs[count++] = *external;
    }
    while (own < labels.count)
        pairs[count++] = labels.pairs[own++];
    return (Labels){pairs, count};
}

size_t read_labels_bytes(Labels labels)
{
    size_t bytes = 0;
    for (size_t i = 0; i < labels.count; i++)
        bytes += labels.pairs[i].name.len + labels.pairs[i].value.len + 24; // tags and lengths
    return bytes;
}

void read_add_labels(Buf *buf, Labels labels)
{
    for (size_t i = 0; i < labels.count; i++) {
        size_t begin = proto_begin(buf, 1);
        proto_add_bytes(buf, 1, labels.pairs[i].name);
        proto_add_bytes(buf, 2, labels.pairs[i].value);
        proto_end(buf, begin);
    }
}

// Reading the samples of label lookups would be for nothing, as the original sees it.
static bool wants_samples(const ReadQuery *query)
{
    return !query->has_hints || !str_is(query->hints.func, "series");
}

static bool each_series(const ReadRun *run, const ReadQuery *query, Querier *querier,
                        ReadSeriesFn each, void *arg, Error *err)
{
    SeriesList list = {0};
    int64_t start_ms = query->start_ms;
    int64_t end_ms = query->end_ms;
    if (query->has_hints) {
        start_ms = MAX(start_ms, query->hints.start_ms);
        end_ms = MIN(end_ms, query->hints.end_ms);
    }
    SelectHints hints = query->hints;
    hints.start_ms = start_ms;
    hints.end_ms = end_ms;
    if (!querier->select(querier, query->matchers, query->matcher_count, &hints, run->arena, &list,
                         err))
        return false;
    Arena scratch = {.budget = run->arena->budget};
    bool ok = true;
    for (size_t i = 0; i < list.count && ok; i++) {
        SampleColumns samples = {0};
        const SeriesEntry *series = &list.series[i];
        arena_reset(&scratch);
        if (run->reply->is_gone(run->reply->arg))
            ok = error_set(err, ERR_CANCELED, "remote read was canceled");
        else if (wants_samples(query))
            ok = querier->read(querier, series->handle, start_ms, end_ms, &scratch, &samples, err);
        samples.start_ms = NULL;
        ok = ok &&
             (samples.count == 0 && wants_samples(query)
                  ? true
                  : each(arg, read_labels(run, &scratch, series->labels), &samples, &scratch, err));
    }
    arena_deinit(&scratch);
    return ok;
}

bool read_each_series(const ReadRun *run, const ReadQuery *query, ReadSeriesFn each, void *arg,
                      Error *err)
{
    Querier *querier = NULL;
    if (query->start_ms > query->end_ms)
        return true;
    if (!run->source->open(run->source, query->start_ms, query->end_ms, &querier, err))
        return false;
    bool ok = each_series(run, query, querier, each, arg, err);
    querier->close(querier);
    return ok;
}

// ---- requests ----

static bool decompress(ReadRun *run, Str body, ReadBuf *out, Error *err)
{
    // The promised length is looked at by the decoder before it takes anything; what it takes is counted here.
    Reader reader = reader_from(body);
    uint64_t bytes = reader_uvarint(&reader);
    if (!reader.failed && bytes <= REMOTE_READ_BYTES_MAX &&
        !read_buf_reserve(out, (size_t)bytes + 1, err))
        return false;
    (void)run;
    return snappy_decode(body, REMOTE_READ_BYTES_MAX, &out->buf, err);
}

static bool answer(ReadRun *run, Error *err)
{
    if (run->type == READ_STREAMED_CHUNKS)
        return read_answer_stream(run, err);
    return read_answer_samples(run, err);
}

bool remote_read_handle(RemoteRead *remote, Source *source, Labels external, Str body, Arena *arena,
                        const RemoteReadReply *reply, bool *ret_begun, Error *err)
{
    ReadBuf message = {.budget = arena->budget};
    ReadRun run = {
        .remote = remote, .source = source, .external = external, .arena = arena, .reply = reply};
    if (remote->queries)
        gauge_add(remote->queries, 1);
    bool ok = decompress(&run, body, &message, err) &&
              read_request_decode(&run, buf_str(&message.buf), err);
    if (ok && enter(remote, reply, err)) {
        ok = answer(&run, err);
        leave(remote);
    } else {
        ok = false;
    }
    read_request_free(&run);
    read_buf_free(&message);
    if (remote->queries)
        gauge_add(remote->queries, -1);
    *ret_begun = run.begun;
    return ok;
}
