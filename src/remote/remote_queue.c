// SPDX-License-Identifier: Apache-2.0
#include "remote/remote_queue.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/log.h"

enum {
    TICK_MS = 100,        // how often an idle feed is asked
    SLICE_MS = 5,         // of reading, between looks at the network
    FEED_PAUSE_MS = 5000, // after a failure of the feed
};

// Places -----------------------------------------------------------------------------------------------------------------------------

void remote_queue_place(const RemoteQueue *queue, FeedPlace ret_places[FEED_LANES])
{
    memcpy(ret_places, queue->at, sizeof queue->at);
    if (!queue->has_batch)
        return;
    const FeedBatch *batch = &queue->batch;
    FeedPlace inside = batch->start;
    inside.entry = (uint32_t)queue->entry;
    FeedPlace *place = &ret_places[batch->lane];
    FeedPlace here = queue->entry < batch->count ? inside : batch->end;
    if (feed_place_before(*place, here))
        *place = here;
}

static void fill_place(const RemoteQueue *queue, const RemoteShard *shard, RemoteShardPlace *place)
{
    memcpy(place->acked, shard->acked, sizeof place->acked);
    if (shard->again)
        memcpy(place->sending, shard->again_to, sizeof place->sending);
    else if (shard->first)
        memcpy(place->sending, shard->first->end, sizeof place->sending);
    else
        memcpy(place->sending, place->acked, sizeof place->sending);
    if (shard->again || !remote_shard_is_idle(shard))
        return;
    // Nothing waits: what was read is done with.
    FeedPlace at[FEED_LANES];
    remote_queue_place(queue, at);
    for (size_t i = 0; i < FEED_LANES; i++)
        if (feed_place_before(place->acked[i], at[i]))
            place->acked[i] = place->sending[i] = at[i];
}

void remote_queue_keep(RemoteQueue *queue)
{
    Error err;
    for (size_t i = 0; i < queue->shard_count; i++)
        fill_place(queue, &queue->shards[i], &queue->places_scratch[i]);
    uint32_t needed = UINT32_MAX;
    for (size_t i = 0; i < queue->shard_count; i++)
        needed = MIN(needed, queue->places_scratch[i].acked[0].segment);
    atomic_store(&queue->needed_segment, needed);
    bool ok = remote_places_write(&queue->places, queue->places_scratch, queue->shard_count, &err);
    if (!ok && !queue->places_failed)
        log_error("cannot keep the place of remote write, a restart will send again what it has "
                  "sent; retrying",
                  KV("remote_name", queue->name), KV("err", &err));
    queue->places_failed = !ok;
}

// Series -----------------------------------------------------------------------------------------------------------------------------

// External labels come in where the series has none, then write_relabel_configs have their say.
static RemoteSeries *make_series(RemoteQueue *queue, uint64_t ref, Labels labels)
{
    const RemoteWriteConfig *config = queue->config;
    LabelsBuilder builder;
    arena_reset(&queue->scratch);
    labels_builder_init(&builder, &queue->scratch, labels);
    for (size_t i = 0; i < queue->owner.external.count; i++) {
        const Label *pair = &queue->owner.external.pairs[i];
        if (labels_builder_get(&builder, pair->name).len == 0)
            labels_builder_set(&builder, pair->name, pair->value);
    }
    if (config->write_relabel.count &&
        !relabel_apply(config->write_relabel.items, config->write_relabel.count, &builder))
        return remote_series_new_dropped(ref);
    Labels done = labels_builder_finish(&builder);
    if (done.count == 0)
        return remote_series_new_dropped(ref);
    RemoteSeries *series = remote_series_new(queue->v2 ? NULL : &queue->table.pairs, ref, done);
    if (queue->v2)
        series->v2->metadata =
            remote_table_metadata(&queue->table, labels_get(labels, LABEL_METRIC_NAME));
    return series;
}

static void take_series(RemoteQueue *queue, const FeedBatch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        RemoteSeries *known = remote_table_get(&queue->table, batch->refs[i]);
        if (!known) {
            known = make_series(queue, batch->refs[i], batch->labels[i]);
            remote_table_put(&queue->table, known);
        }
        known->segment = batch->segment;
    }
}

static void take_metadata(RemoteQueue *queue, const FeedBatch *batch)
{
    for (size_t i = 0; queue->v2 && i < batch->count; i++) {
        const RemoteSeries *series = remote_table_get(&queue->table, batch->refs[i]);
        if (series && series->v2 && series->v2->metadata)
            remote_metadata_set(remote_table_metadata(&queue->table, series->v2->metadata->name),
                                batch->metadata[i]);
    }
}

// Entries ----------------------------------------------------------------------------------------------------------------------------

static RemotePoint point_of(FeedKind kind)
{
    return kind == FEED_HISTOGRAMS  ? POINT_HISTOGRAM
           : kind == FEED_EXEMPLARS ? POINT_EXEMPLAR
                                    : POINT_SAMPLE;
}

static void drop(RemoteQueue *queue, RemotePoint point, RemoteDrop reason)
{
    queue->rates.dropped.events++;
    if (queue->metrics.dropped[point][reason])
        counter_inc(queue->metrics.dropped[point][reason]);
}

// The series of the entry, if the entry is to be sent; NULL: it was counted as dropped.
static const RemoteSeries *judge(RemoteQueue *queue, const FeedBatch *batch, size_t i,
                                 int64_t oldest_ms)
{
    RemotePoint point = point_of(batch->kind);
    const RemoteSeries *series = remote_table_get(&queue->table, batch->refs[i]);
    if (UNLIKELY(!series || series->is_dropped)) {
        drop(queue, point, series ? DROP_SERIES : DROP_UNKNOWN);
        return NULL;
    }
    if (UNLIKELY(batch->t_ms && batch->t_ms[i] < oldest_ms)) {
        drop(queue, point, DROP_TOO_OLD);
        return NULL;
    }
    if (point == POINT_HISTOGRAM && !queue->v2 &&
        batch->histograms[i]->schema == HISTOGRAM_SCHEMA_CUSTOM) {
        drop(queue, point, DROP_NHCB);
        return NULL;
    }
    return series;
}

static void add_entry(RemoteQueue *queue, RemoteShard *shard, const RemoteSeries *series, size_t i)
{
    const FeedBatch *batch = &queue->batch;
    int64_t start_ms = batch->start_ms ? batch->start_ms[i] : 0;
    if (batch->kind == FEED_SAMPLES)
        remote_request_sample(&shard->open, series, batch->t_ms[i], batch->values[i], start_ms);
    else if (batch->kind == FEED_HISTOGRAMS)
        remote_request_histogram(&shard->open, series, batch->t_ms[i], batch->histograms[i],
                                 start_ms);
    else
        remote_request_exemplar(&shard->open, series, &batch->exemplars[i]);
    queue->pending[point_of(batch->kind)]++;
    queue->entry++;
    remote_shard_added(shard);
}

// It was sent before the restart.
static bool was_sent(const RemoteQueue *queue, const RemoteShard *shard)
{
    FeedPlace place = queue->batch.start;
    place.entry = (uint32_t)queue->entry;
    return feed_place_before(place, shard->acked[queue->batch.lane]);
}

// Gives the rest of the batch to the shards. False: one is full.
static bool route(RemoteQueue *queue)
{
    const FeedBatch *batch = &queue->batch;
    int64_t age_ms = queue->config->queue.sample_age_limit_ms;
    int64_t oldest_ms = age_ms ? clock_now_ms(queue->options->clock) - age_ms : INT64_MIN;
    while (queue->entry < batch->count) {
        size_t i = queue->entry;
        RemoteShard *shard = &queue->shards[batch->refs[i] % queue->shard_count];
        if (UNLIKELY(queue->is_resuming)) {
            if (was_sent(queue, shard)) {
                queue->entry++;
                continue;
            }
            if (shard->again)
                remote_shard_seal(shard);
        }
        if (remote_shard_is_full(shard)) {
            remote_count(&queue->metrics, RM_ENQUEUE_RETRIES, 1);
            return false;
        }
        const RemoteSeries *series = judge(queue, batch, i, oldest_ms);
        queue->rates.in.events++;
        if (batch->t_ms && batch->t_ms[i] > queue->highest_t_ms)
            queue->highest_t_ms = batch->t_ms[i];
        if (series)
            add_entry(queue, shard, series, i);
        else
            queue->entry++;
    }
    return true;
}

// Reading ----------------------------------------------------------------------------------------------------------------------------

// Whether some shard is still ahead of the reading.
static void look_at_resuming(RemoteQueue *queue)
{
    FeedPlace at[FEED_LANES];
    remote_queue_place(queue, at);
    bool resuming = false;
    for (size_t i = 0; i < queue->shard_count; i++) {
        RemoteShard *shard = &queue->shards[i];
        if (shard->again)
            remote_shard_seal(shard);
        resuming |= shard->again;
        for (size_t k = 0; k < FEED_LANES; k++)
            resuming |= feed_place_before(at[k], shard->acked[k]);
    }
    queue->is_resuming = resuming;
}

static void end_batch(RemoteQueue *queue)
{
    const FeedBatch *batch = &queue->batch;
    if (feed_place_before(queue->at[batch->lane], batch->end))
        queue->at[batch->lane] = batch->end;
    queue->has_batch = false;
    if (UNLIKELY(queue->is_resuming))
        look_at_resuming(queue);
}

static bool wanted(const RemoteQueue *queue, FeedKind kind)
{
    return kind == FEED_SAMPLES || (kind == FEED_HISTOGRAMS && queue->sends_histograms) ||
           (kind == FEED_EXEMPLARS && queue->config->send_exemplars);
}

static void count_watcher(const RemoteQueue *queue, int counter)
{
    if (queue->metrics.watcher[counter])
        counter_inc(queue->metrics.watcher[counter]);
}

static void count_in(const RemoteQueue *queue, const FeedBatch *batch)
{
    const RemoteFamilies *families = queue->families;
    if (queue->metrics.records_read[batch->kind])
        counter_inc(queue->metrics.records_read[batch->kind]);
    if (batch->kind == FEED_SAMPLES && !queue->is_tailing)
        count_watcher(queue, RW_PRE_TAILING);
    if (queue->is_first && families->registry && batch->t_ms)
        counter_add(families->in[point_of(batch->kind)], (double)batch->count);
}

static void begin_batch(RemoteQueue *queue)
{
    const FeedBatch *batch = &queue->batch;
    count_in(queue, batch);
    switch (batch->kind) {
    case FEED_SERIES:
        take_series(queue, batch);
        break;
    case FEED_METADATA:
        take_metadata(queue, batch);
        break;
    case FEED_ALIVE:
        remote_table_keep(&queue->table, batch->refs, batch->count, batch->segment);
        return;
    case FEED_SAMPLES:
    case FEED_HISTOGRAMS:
    case FEED_EXEMPLARS:
        break;
    }
    queue->has_batch = true;
    queue->entry = wanted(queue, batch->kind) ? 0 : batch->count;
}

static void tell_losses(RemoteQueue *queue)
{
    const FeedReader *reader = queue->reader;
    if (reader->lost_bytes != queue->lost_told) {
        count_watcher(queue, RW_DECODE_FAILURES);
        log_error("the log is damaged, skipping", KV("remote_name", queue->name),
                  KV("lost_bytes", reader->lost_bytes - queue->lost_told));
    }
    if (reader->lost_places != queue->lost_places_told)
        log_warn("the log no longer goes back to where remote write stopped, going on with the "
                 "oldest that is left",
                 KV("remote_name", queue->name));
    queue->lost_told = reader->lost_bytes;
    queue->lost_places_told = reader->lost_places;
}

// False: nothing to do now.
static bool read_one(RemoteQueue *queue)
{
    Error err = {0};
    if (!queue->has_batch) {
        bool found = queue->reader->next(queue->reader, &queue->batch, &err);
        tell_losses(queue);
        queue->is_tailing |= !found && err.code == ERR_NONE;
        if (!found && err.code != ERR_NONE) {
            log_error("cannot read the log for remote write, retrying",
                      KV("remote_name", queue->name), KV("err", &err));
            queue->pause_to_ns = clock_mono_ns(&clock_system) + FEED_PAUSE_MS * INT64_C(1000000);
        }
        if (!found)
            return false;
        begin_batch(queue);
        if (!queue->has_batch)
            return true;
    }
    if (!route(queue))
        return false;
    end_batch(queue);
    return true;
}

// Shards -----------------------------------------------------------------------------------------------------------------------------

static void add_shards(RemoteQueue *queue, const RemoteShardPlace *places, size_t count)
{
    queue->shards = X_ARRAY(RemoteShard, count);
    queue->shard_count = count;
    queue->places_scratch = x_realloc(queue->places_scratch, count * sizeof *queue->places_scratch);
    for (size_t i = 0; i < count; i++)
        remote_shard_init(&queue->shards[i], queue, &places[i]);
    remote_gauge(&queue->metrics, RG_SHARDS, (double)count);
}

static void remove_shards(RemoteQueue *queue)
{
    for (size_t i = 0; i < queue->shard_count; i++)
        remote_shard_deinit(&queue->shards[i]);
    free(queue->shards);
    queue->shards = NULL;
    queue->shard_count = 0;
}

static bool all_idle(const RemoteQueue *queue)
{
    for (size_t i = 0; i < queue->shard_count; i++)
        if (!remote_shard_is_idle(&queue->shards[i]))
            return false;
    return true;
}

static void seal_all(RemoteQueue *queue)
{
    for (size_t i = 0; i < queue->shard_count; i++)
        remote_shard_seal(&queue->shards[i]);
}

// With other shards from here on: the old ones have nothing left.
static void reshard(RemoteQueue *queue)
{
    size_t count = queue->reshard_to;
    RemoteShardPlace *places = X_ARRAY(RemoteShardPlace, count);
    for (size_t i = 0; i < count; i++) {
        remote_queue_place(queue, places[i].acked);
        memcpy(places[i].sending, places[i].acked, sizeof places[i].sending);
    }
    remove_shards(queue);
    add_shards(queue, places, count);
    free(places);
    queue->reshard_to = 0;
    remote_queue_keep(queue);
}

static bool any_failing(const RemoteQueue *queue)
{
    for (size_t i = 0; i < queue->shard_count; i++)
        if (queue->shards[i].failing)
            return true;
    return false;
}

static void on_reshard(void *arg)
{
    RemoteQueue *queue = arg;
    const RemoteQueueConfig *config = &queue->config->queue;
    double desired;
    loop_timer_set(queue->reshard_timer,
                   clock_mono_ns(&clock_system) + REMOTE_RATES_MS * INT64_C(1000000));
    remote_rates_tick(&queue->rates);
    int64_t behind_ms =
        queue->highest_sent_t_ms ? queue->highest_t_ms - queue->highest_sent_t_ms : 0;
    RemoteShardsNow now = {(int64_t)queue->shard_count, config->min_shards, config->max_shards,
                           (double)behind_ms / 1000};
    int64_t count = remote_rates_shards(&queue->rates, now, &desired);
    remote_gauge(&queue->metrics, RG_SHARDS_DESIRED, desired);
    if (count == (int64_t)queue->shard_count || queue->reshard_to || queue->stopping ||
        queue->is_resuming || any_failing(queue))
        return;
    log_info("remote write changes its number of shards", KV("remote_name", queue->name),
             KV("from", queue->shard_count), KV("to", count));
    queue->reshard_to = (size_t)count;
    seal_all(queue);
    remote_queue_wake(queue);
}

// The loop ---------------------------------------------------------------------------------------------------------------------------

void remote_queue_show(RemoteQueue *queue)
{
    const RemoteMetrics *metrics = &queue->metrics;
    remote_gauge(metrics, RG_SAMPLES_PENDING, (double)queue->pending[POINT_SAMPLE]);
    remote_gauge(metrics, RG_EXEMPLARS_PENDING, (double)queue->pending[POINT_EXEMPLAR]);
    remote_gauge(metrics, RG_HISTOGRAMS_PENDING, (double)queue->pending[POINT_HISTOGRAM]);
    remote_gauge(metrics, RG_HIGHEST, (double)queue->highest_t_ms / 1000);
    remote_gauge(metrics, RG_HIGHEST_SENT, (double)queue->highest_sent_t_ms / 1000);
    if (metrics->current_segment && queue->reader)
        gauge_set(metrics->current_segment, (double)queue->reader->at[0].segment);
    if (queue->is_first && queue->families->highest_in)
        gauge_set(queue->families->highest_in, (double)queue->highest_t_ms / 1000);
}

static void step(void *arg)
{
    RemoteQueue *queue = arg;
    int64_t begin_ns = clock_mono_ns(&clock_system);
    queue->step_posted = false;
    if (queue->reshard_to && all_idle(queue))
        reshard(queue);
    if (queue->reshard_to || begin_ns < queue->pause_to_ns || !queue->reader)
        return;
    while (!queue->stopping && read_one(queue)) {
        if (clock_mono_ns(&clock_system) - begin_ns > SLICE_MS * INT64_C(1000000)) {
            remote_queue_wake(queue);
            return;
        }
    }
}

void remote_queue_wake(RemoteQueue *queue)
{
    if (queue->step_posted)
        return;
    queue->step_posted = true;
    loop_post(queue->loop, step, queue);
}

// What is open long enough is sent as it is.
static void look_at_deadlines(RemoteQueue *queue)
{
    int64_t now_ns = clock_mono_ns(&clock_system);
    int64_t wait_ns = queue->config->queue.batch_send_deadline_ms * 1000000;
    for (size_t i = 0; i < queue->shard_count; i++) {
        RemoteShard *shard = &queue->shards[i];
        if (shard->open_since_ns && now_ns - shard->open_since_ns >= wait_ns)
            remote_shard_seal(shard);
    }
}

// Stopping waits for what can be sent at once, not for an endpoint that is away: that is sent after the next start.
static bool has_drained(const RemoteQueue *queue)
{
    for (size_t i = 0; i < queue->shard_count; i++)
        if (!queue->shards[i].failing && queue->shards[i].first)
            return false;
    return true;
}

static void on_tick(void *arg)
{
    RemoteQueue *queue = arg;
    int64_t tick_ms = MIN((int64_t)TICK_MS, queue->config->queue.batch_send_deadline_ms);
    loop_timer_set(queue->tick, clock_mono_ns(&clock_system) + tick_ms * 1000000);
    look_at_deadlines(queue);
    remote_queue_wake(queue);
    remote_queue_show(queue);
    if (queue->stopping)
        atomic_store(&queue->drained, has_drained(queue));
}

// Life -------------------------------------------------------------------------------------------------------------------------------

static void make_headers(RemoteQueue *queue)
{
    const ConfigStrMap *own = &queue->config->headers;
    static const Str v1[] = {STR("Content-Encoding: snappy"),
                             STR("Content-Type: application/x-protobuf"),
                             STR("User-Agent: narthex/" NARTHEX_VERSION),
                             STR("X-Prometheus-Remote-Write-Version: 0.1.0")};
    static const Str v2[] = {
        STR("Content-Encoding: snappy"),
        STR("Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request"),
        STR("User-Agent: narthex/" NARTHEX_VERSION),
        STR("X-Prometheus-Remote-Write-Version: 2.0.0")};
    queue->headers = ARENA_ARRAY(&queue->arena, Str, COUNT_OF(v1) + own->count + 1);
    memcpy(queue->headers, queue->v2 ? v2 : v1, sizeof v1);
    queue->header_count = COUNT_OF(v1);
    for (size_t i = 0; i < own->count; i++)
        queue->headers[queue->header_count++] = arena_printf(
            &queue->arena, STR_FMT ": " STR_FMT, STR_ARG(own->keys[i]), STR_ARG(own->values[i]));
}

static bool open_feed(RemoteQueue *queue, Error *err)
{
    RemoteShardPlace *places;
    size_t count;
    FeedPlace from[FEED_LANES];
    if (!remote_places_open(queue->options->fs, queue->path, &queue->arena, &queue->places, &places,
                            &count, err))
        return false;
    for (size_t k = 0; k < FEED_LANES && count; k++) {
        from[k] = places[0].acked[k];
        for (size_t i = 1; i < count; i++)
            if (feed_place_before(places[i].acked[k], from[k]))
                from[k] = places[i].acked[k];
    }
    if (!queue->feed->open(queue->feed, count ? from : NULL, &queue->reader, err))
        return false;
    memcpy(queue->at, queue->reader->at, sizeof queue->at);
    if (count) {
        add_shards(queue, places, count);
    } else {
        size_t shards = (size_t)queue->config->queue.min_shards;
        RemoteShardPlace *fresh = X_ARRAY(RemoteShardPlace, shards);
        for (size_t i = 0; i < shards; i++) {
            memcpy(fresh[i].acked, queue->at, sizeof queue->at);
            memcpy(fresh[i].sending, queue->at, sizeof queue->at);
        }
        add_shards(queue, fresh, shards);
        free(fresh);
    }
    look_at_resuming(queue);
    remote_queue_keep(queue);
    return true;
}

static void show_limits(const RemoteQueue *queue)
{
    const RemoteQueueConfig *config = &queue->config->queue;
    remote_gauge(&queue->metrics, RG_SHARDS_MIN, (double)config->min_shards);
    remote_gauge(&queue->metrics, RG_SHARDS_MAX, (double)config->max_shards);
    remote_gauge(&queue->metrics, RG_SHARDS_DESIRED, (double)queue->shard_count);
    remote_gauge(&queue->metrics, RG_SHARD_CAPACITY, (double)config->capacity);
    remote_gauge(&queue->metrics, RG_MAX_SAMPLES, (double)config->max_samples_per_send);
}

typedef struct Start {
    RemoteQueue *queue;
    Error *err;
    bool ok;
} Start;

static void start_on_loop(void *arg)
{
    Start *start = arg;
    RemoteQueue *queue = start->queue;
    if (!http_client_new(queue->loop, &queue->config->http, &queue->client, start->err) ||
        !open_feed(queue, start->err))
        return;
    http_client_track(queue->client, queue->options->registry, S("remote_storage_write_client"));
    show_limits(queue);
    queue->tick = loop_timer_new(queue->loop, on_tick, queue);
    queue->reshard_timer = loop_timer_new(queue->loop, on_reshard, queue);
    loop_timer_set(queue->reshard_timer,
                   clock_mono_ns(&clock_system) + REMOTE_RATES_MS * INT64_C(1000000));
    remote_metadata_start(queue);
    on_tick(queue);
    start->ok = true;
}

bool remote_queue_start(RemoteQueue *queue, Error *err)
{
    const RemoteWriteConfig *config = queue->config;
    queue->v2 = str_equal(config->protobuf_message, REMOTE_WRITE_MESSAGE_V2);
    queue->sends_histograms = queue->v2 || config->send_native_histograms;
    queue->samples_max = (size_t)config->queue.max_samples_per_send;
    if (config->send_exemplars)
        queue->samples_max += queue->samples_max / 10;
    queue->places.file = (File)FILE_NONE;
    make_headers(queue);
    if (config->round_robin_dns)
        remote_resolver_init(&queue->resolver, config->url, &queue->arena);
    queue->shown_url = remote_config_shown_url(config->url, &queue->arena);
    remote_metrics_init(&queue->metrics, queue->families, queue->name, queue->shown_url);
    if (!loop_new("remote-write", &queue->loop, err))
        return false;
    if (!loop_start(queue->loop, err)) {
        loop_free(queue->loop);
        queue->loop = NULL;
        return false;
    }
    Start start = {queue, err, false};
    loop_call(queue->loop, start_on_loop, &start);
    return start.ok;
}

static void stop_on_loop(void *arg)
{
    RemoteQueue *queue = arg;
    queue->stopping = true;
    seal_all(queue);
    remote_metadata_stop(queue);
    atomic_store(&queue->drained, has_drained(queue));
}

void remote_queue_stop(RemoteQueue *queue)
{
    if (queue->loop)
        loop_call(queue->loop, stop_on_loop, queue);
}

static void free_on_loop(void *arg)
{
    RemoteQueue *queue = arg;
    if (queue->shard_count)
        remote_queue_keep(queue);
    remote_metadata_stop(queue);
    remove_shards(queue);
    http_client_free(queue->client);
    if (queue->tick)
        loop_timer_free(queue->tick);
    if (queue->reshard_timer)
        loop_timer_free(queue->reshard_timer);
    if (queue->reader)
        queue->reader->close(queue->reader);
}

void remote_queue_free(RemoteQueue *queue)
{
    if (queue->loop) {
        loop_call(queue->loop, free_on_loop, queue);
        loop_stop(queue->loop);
        loop_join(queue->loop);
        loop_free(queue->loop);
    }
    remote_places_close(&queue->places);
    remote_table_deinit(&queue->table);
    remote_metrics_remove(queue->families, queue->name, queue->shown_url);
    if (queue->owner.unref)
        queue->owner.unref(queue->owner.owner);
    free(queue->places_scratch);
    arena_deinit(&queue->scratch);
    arena_deinit(&queue->arena);
    free(queue);
}
