// SPDX-License-Identifier: Apache-2.0
// A request is decoded, its series are looked up by the hash of their label bytes (so that known series' labels are not even read), and all
// samples go to the Sink in one batch.
#include <stdlib.h>

#include "base/lock.h"
#include "base/log.h"
#include "base/random.h"
#include "codec/compress.h"
#include "remote/remote.h"
#include "remote/remote_write_decode.h"

#define CACHE_SHARDS 16
#define CACHE_SHARD_SLOTS_MAX ((size_t)1 << 17) // 2 M series in all, 24 bytes each
#define FUTURE_MS_MAX (10 * 60 * 1000)
#define RANK_WRITE_CACHE 200

typedef struct CacheSlot {
    uint64_t key[2];
    SeriesRef ref; // 0: empty
} CacheSlot;

typedef struct CacheShard {
    Lock lock;
    CacheSlot *slots GUARDED_BY(lock);
    size_t count GUARDED_BY(lock), size GUARDED_BY(lock);
} CacheShard;

struct RemoteWriteReceiver {
    RemoteWriteOptions options;
    uint64_t seed[2]; // secret, so that nobody can make two label sets meet
    CacheShard shards[CACHE_SHARDS];
    Counter *invalid_labels;
    Counter *samples_in;
    Counter *out_of_order_exemplars;
};

RemoteWriteReceiver *remote_write_receiver_new(const RemoteWriteOptions *options)
{
    RemoteWriteReceiver *receiver = X_NEW(RemoteWriteReceiver);
    receiver->options = *options;
    random_system(receiver->seed, sizeof receiver->seed);
    for (size_t i = 0; i < CACHE_SHARDS; i++)
        lock_init(&receiver->shards[i].lock, "write_cache", RANK_WRITE_CACHE);
    if (options->registry) {
        receiver->invalid_labels = counter_of(
            registry_counter(
                options->registry, "prometheus_api_remote_write_invalid_labels_samples_total",
                "Samples skipped because the labels of their series were invalid.", NULL),
            NULL);
        receiver->samples_in =
            counter_of(registry_counter(options->registry, "narthex_remote_write_samples_in_total",
                                        "Samples and histograms taken by remote write.", NULL),
                       NULL);
        receiver->out_of_order_exemplars = counter_of(
            registry_counter(options->registry, "narthex_remote_write_exemplars_refused_total",
                             "Exemplars that came by remote write and were not taken.", NULL),
            NULL);
    }
    return receiver;
}

void remote_write_receiver_free(RemoteWriteReceiver *receiver)
{
    if (!receiver)
        return;
    for (size_t i = 0; i < CACHE_SHARDS; i++) {
        free(receiver->shards[i].slots);
        lock_deinit(&receiver->shards[i].lock);
    }
    free(receiver);
}

static void count(Counter *counter, double n)
{
    if (counter)
        counter_add(counter, n);
}

// The cache --------------------------------------------------------------------------------------------------------------------------

static CacheSlot *cache_slot(CacheSlot *slots, size_t size, const uint64_t key[2])
{
    size_t i = key[0] & (size - 1);
    while (slots[i].ref && (slots[i].key[0] != key[0] || slots[i].key[1] != key[1]))
        i = (i + 1) & (size - 1);
    return &slots[i];
}

static SeriesRef cache_get(RemoteWriteReceiver *receiver, const uint64_t key[2])
{
    CacheShard *shard = &receiver->shards[key[1] % CACHE_SHARDS];
    lock_take(&shard->lock);
    SeriesRef ref = shard->size ? cache_slot(shard->slots, shard->size, key)->ref : 0;
    lock_give(&shard->lock);
    return ref;
}

// A full cache starts anew: it only saves time.
static void cache_put(RemoteWriteReceiver *receiver, const uint64_t key[2], SeriesRef ref)
{
    CacheShard *shard = &receiver->shards[key[1] % CACHE_SHARDS];
    lock_take(&shard->lock);
    if ((shard->count + 1) * 4 > shard->size * 3) {
        size_t size = shard->size ? shard->size * 2 : 64;
        bool keep = size <= CACHE_SHARD_SLOTS_MAX;
        size = MIN(size, CACHE_SHARD_SLOTS_MAX);
        CacheSlot *slots = X_ARRAY(CacheSlot, size);
        for (size_t i = 0; keep && i < shard->size; i++)
            if (shard->slots[i].ref)
                *cache_slot(slots, size, shard->slots[i].key) = shard->slots[i];
        free(shard->slots);
        shard->slots = slots;
        shard->size = size;
        shard->count = keep ? shard->count : 0;
    }
    CacheSlot *slot = cache_slot(shard->slots, shard->size, key);
    shard->count += slot->ref == 0;
    *slot = (CacheSlot){
        {key[0], key[1]},
        ref
    };
    lock_give(&shard->lock);
}

// One request --------------------------------------------------------------------------------------------------------------------------

typedef struct ReceiveRun {
    RemoteWriteReceiver *receiver;
    WriteMessage *message;
    Arena *arena;
    Appender *appender;
    bool is_v2;
    int64_t future_t_ms;
    SinkSample *samples;
    uint32_t *series_of_sample;
    size_t count, cap;
    WriteSeries *series;
    SeriesRef *refs;
    size_t series_count, series_cap;
    RemoteWriteReply *reply;
    bool store_failed; // the sink takes nothing more: 500
} ReceiveRun;

// Remembers the first thing that was wrong with the samples.
static void blame(ReceiveRun *run, const char *what)
{
    if (run->reply->status == 204)
        error_set(&run->reply->err, ERR_INVALID, "%s", what);
    run->reply->status = 400;
}

static SeriesRef resolve(ReceiveRun *run, const WriteSeries *series, Error *err)
{
    Labels labels;
    bool created;
    if (!write_message_labels(run->message, series, &labels, err))
        return 0;
    SeriesRef ref = run->appender->series(run->appender, labels, &created, err);
    if (ref == 0)
        run->store_failed = true;
    else
        cache_put(run->receiver, series->key, ref);
    return ref;
}

static void grow_samples(ReceiveRun *run, size_t more)
{
    if (run->count + more <= run->cap)
        return;
    size_t cap = MAX(run->cap * 2, run->count + more);
    cap = MAX(cap, (size_t)1024);
    run->samples = arena_grow(run->arena, run->samples, run->cap * sizeof *run->samples,
                              cap * sizeof *run->samples);
    run->series_of_sample = arena_grow(run->arena, run->series_of_sample,
                                       run->cap * sizeof(uint32_t), cap * sizeof(uint32_t));
    run->cap = cap;
}

static uint32_t add_series(ReceiveRun *run, const WriteSeries *series, SeriesRef ref)
{
    if (run->series_count == run->series_cap) {
        size_t cap = run->series_cap ? run->series_cap * 2 : 256;
        run->series = arena_grow(run->arena, run->series, run->series_cap * sizeof *run->series,
                                 cap * sizeof *run->series);
        run->refs = arena_grow(run->arena, run->refs, run->series_cap * sizeof *run->refs,
                               cap * sizeof *run->refs);
        run->series_cap = cap;
    }
    run->series[run->series_count] = *series;
    run->refs[run->series_count] = ref;
    return (uint32_t)run->series_count++;
}

// A histogram that the storage can take: checked, and of a schema that it knows.
static bool finish_histogram(ReceiveRun *run, const Histogram **histogram)
{
    Error err = {0};
    const Histogram *h = *histogram;
    if (h->schema > HISTOGRAM_SCHEMA_MAX && h->schema <= 52)
        h = histogram_reduce(run->arena, h, HISTOGRAM_SCHEMA_MAX);
    if (!histogram_validate(h, &err)) {
        blame(run, err.text);
        return false;
    }
    *histogram = h;
    return true;
}

static void gather_series(ReceiveRun *run, const WriteSeries *series)
{
    Error err = {0};
    SeriesRef ref = cache_get(run->receiver, series->key);
    if (ref == 0)
        ref = resolve(run, series, &err);
    if (ref == 0) {
        count(run->receiver->invalid_labels, (double)series->sample_count);
        if (run->store_failed || run->is_v2)
            blame(run, err.text);
        return;
    }
    if (run->is_v2 && series->sample_count == 0) {
        blame(run, "TimeSeries must contain at least one sample or histogram");
        return;
    }
    uint32_t index = add_series(run, series, ref);
    grow_samples(run, series->sample_count);
    for (size_t i = 0; i < series->sample_count; i++) {
        WriteSample *sample = &series->samples[i];
        if (sample->t_ms > run->future_t_ms) {
            blame(run, "out of bounds");
            continue;
        }
        if (sample->histogram && !finish_histogram(run, &sample->histogram))
            continue;
        run->series_of_sample[run->count] = index;
        run->samples[run->count++] = (SinkSample){.ref = ref,
                                                  .t_ms = sample->t_ms,
                                                  .value = sample->value,
                                                  .histogram = sample->histogram};
    }
}

static const char *status_text(AppendStatus status)
{
    switch (status) {
    case APPEND_OUT_OF_ORDER:
        return "out of order sample";
    case APPEND_TOO_OLD:
        return "too old sample";
    case APPEND_OUT_OF_BOUNDS:
        return "out of bounds";
    case APPEND_DUPLICATE:
        return "duplicate sample for timestamp";
    default:
        return "the storage takes no more samples";
    }
}

// Samples of series that were dropped since they were cached: their labels are looked up after all.
static void append_again(ReceiveRun *run)
{
    SinkSample *again = ARENA_ARRAY(run->arena, SinkSample, run->count);
    size_t *where = ARENA_ARRAY(run->arena, size_t, run->count);
    size_t n = 0;
    SeriesRef *fresh = arena_zalloc(run->arena, run->series_count * sizeof *fresh);
    for (size_t i = 0; i < run->count; i++) {
        if (run->samples[i].status != APPEND_GONE)
            continue;
        uint32_t s = run->series_of_sample[i];
        Error err = {0};
        if (fresh[s] == 0)
            fresh[s] = resolve(run, &run->series[s], &err);
        if (fresh[s] == 0) {
            blame(run, err.text);
            continue;
        }
        run->refs[s] = fresh[s];
        again[n] = run->samples[i];
        again[n].ref = fresh[s];
        where[n++] = i;
    }
    (void)run->appender->append(run->appender, again, n);
    for (size_t i = 0; i < n; i++)
        run->samples[where[i]] = again[i];
}

static void judge(ReceiveRun *run)
{
    bool any_gone = false;
    for (size_t i = 0; i < run->count; i++)
        any_gone |= run->samples[i].status == APPEND_GONE;
    if (any_gone)
        append_again(run);
    for (size_t i = 0; i < run->count; i++) {
        AppendStatus status = run->samples[i].status;
        if (status == APPEND_OK) {
            if (run->samples[i].histogram)
                run->reply->histograms_written++;
            else
                run->reply->samples_written++;
            continue;
        }
        run->store_failed |= status == APPEND_LIMIT || status == APPEND_GONE;
        blame(run, status_text(status));
    }
}

static void pour_extras(ReceiveRun *run)
{
    for (size_t s = 0; s < run->series_count; s++) {
        const WriteSeries *series = &run->series[s];
        if (series->has_metadata && run->appender->metadata)
            run->appender->metadata(run->appender, run->refs[s], series->metadata);
        for (size_t e = 0; e < series->exemplar_count && run->appender->exemplar; e++) {
            if (run->appender->exemplar(run->appender, run->refs[s], &series->exemplars[e]) ==
                APPEND_OK)
                run->reply->exemplars_written++;
            else
                count(run->receiver->out_of_order_exemplars, 1);
        }
    }
}

static void finish(ReceiveRun *run)
{
    RemoteWriteReply *reply = run->reply;
    bool keep = !run->store_failed && (run->is_v2 || reply->status == 204);
    if (keep) {
        Error err = {0};
        pour_extras(run);
        if (run->appender->commit(run->appender, &err)) {
            count(run->receiver->samples_in,
                  (double)(reply->samples_written + reply->histograms_written));
        } else {
            reply->err = err;
            run->store_failed = true;
        }
    } else {
        run->appender->rollback(run->appender);
    }
    if (run->store_failed)
        reply->status = 500;
    // 1.0 senders learn nothing from the counts; the original sends zeros.
    if (run->store_failed || !run->is_v2)
        reply->samples_written = reply->histograms_written = reply->exemplars_written = 0;
}

static void pour_message(ReceiveRun *run)
{
    run->appender = run->receiver->options.sink->begin(run->receiver->options.sink);
    while (!run->store_failed && write_message_next(run->message))
        gather_series(run, &run->message->series);
    if (run->message->failed) {
        run->appender->rollback(run->appender);
        run->reply->status = 400;
        run->reply->err = run->message->err;
        run->reply->samples_written = run->reply->histograms_written = 0;
        return;
    }
    for (size_t i = 0; i < run->count; i++)
        run->samples[i].status = APPEND_GONE;
    (void)run->appender->append(run->appender, run->samples, run->count);
    judge(run);
    finish(run);
}

// 1 or 2, 0 if the message is not taken.
static int message_version(const RemoteWriteReceiver *receiver, Str content_type)
{
    if (content_type.len == 0)
        return receiver->options.accept_v1 ? 1 : 0;
    Str rest = content_type;
    Str part;
    if (!str_split_next(&rest, ';', &part) ||
        !str_equal_nocase(str_trim(part), S("application/x-protobuf")))
        return 0;
    int version = 1;
    while (str_split_next(&rest, ';', &part)) {
        part = str_trim(part);
        if (!str_starts_with(part, S("proto=")))
            continue;
        Str proto = str_skip(part, 6);
        version = str_is(proto, "prometheus.WriteRequest")          ? 1
                  : str_is(proto, "io.prometheus.write.v2.Request") ? 2
                                                                    : 0;
    }
    bool accepted =
        version == 1 ? receiver->options.accept_v1 : version == 2 && receiver->options.accept_v2;
    return accepted ? version : 0;
}

static void refuse(RemoteWriteReply *reply, int status, const char *fmt, Str what)
{
    reply->status = status;
    Arena scratch = {0};
    error_set(&reply->err, ERR_INVALID, "%s: \"%s\"", fmt,
              str_to_c(&scratch, str_sub(what, 0, 200)));
    arena_deinit(&scratch);
}

void remote_write_receive(RemoteWriteReceiver *receiver, Str content_type, Str content_encoding,
                          Str body, Arena *arena, RemoteWriteReply *ret_reply)
{
    *ret_reply = (RemoteWriteReply){.status = 204};
    int version = message_version(receiver, content_type);
    if (version == 0) {
        refuse(ret_reply, 415, "this content type is not accepted", content_type);
        return;
    }
    if (content_encoding.len && !str_equal_nocase(content_encoding, S("snappy"))) {
        refuse(ret_reply, 415, "this content encoding is not accepted, only snappy is",
               content_encoding);
        return;
    }

    Buf bytes = {.max = WRITE_BODY_BYTES_MAX};
    WriteMessage message;
    if (!snappy_decode(body, WRITE_BODY_BYTES_MAX, &bytes, &ret_reply->err) ||
        !write_message_init(&message, buf_str(&bytes), version == 2, receiver->seed, arena,
                            &ret_reply->err)) {
        ret_reply->status = 400;
        buf_deinit(&bytes);
        return;
    }
    ReceiveRun run = {
        .receiver = receiver,
        .message = &message,
        .arena = arena,
        .is_v2 = version == 2,
        .future_t_ms = clock_now_ms(receiver->options.clock) + FUTURE_MS_MAX,
        .reply = ret_reply,
    };
    pour_message(&run);
    buf_deinit(&bytes);
}
