// SPDX-License-Identifier: Apache-2.0
// Appenders gather and judge; the leader of the queue logs and applies.
#include <stdlib.h>

#include "tsdb/head_internal.h"

#define RECORD_SAMPLES 16384 // in one record
#define RECORD_HISTOGRAM_BYTES 1000000
#define UNLOGGED_RECORD_BYTES 1000000
#define FREE_APPENDERS_MAX 16
#define KEEP_BYTES (1024 * 1024)  // of a buffer in a free appender
#define CHUNK_RETRY_NS 1000000000 // after the disk has refused one
#define BATCH 64                  // samples looked up ahead

// --- series ---

static int64_t next_cut(const Head *head, int64_t t_ms)
{
    int64_t end;
    int64_t start = range_start(t_ms, head->options.min_block_ms);
    return __builtin_add_overflow(start, head->options.min_block_ms, &end) ? INT64_MAX : end;
}

static void set_left(Series *series, int64_t next_at)
{
    uint64_t left =
        next_at > series->xor_state.t_ms ? (uint64_t)next_at - (uint64_t)series->xor_state.t_ms : 0;
    series->left_ms = (uint32_t)MIN(left, UINT32_MAX);
}

SeriesExtra *head_extra(Head *head, uint64_t ref, Series *series, bool make)
{
    RefMap *map = &head->extras[series_stripe(ref)];

    if (series_flags(series) & SERIES_HAS_EXTRA)
        return ref_map_pointer(map, ref);
    if (!make)
        return NULL;
    SeriesExtra *extra = X_NEW(SeriesExtra);
    ref_map_put(map, ref, (uint64_t)(uintptr_t)extra);
    series_set_flags(series, SERIES_HAS_EXTRA, 0);
    return extra;
}

void head_extra_free(SeriesExtra *extra)
{
    if (!extra)
        return;
    chunk_histogram_free(extra->histogram);
    for (uint32_t i = 0; i < extra->buffer_count; i++)
        free(extra->buffer[i].histogram);
    free(extra->buffer);
    free(extra->chunks);
    intervals_deinit(&extra->deleted);
    free(extra->starts);
    free(extra);
}

// An end so that about as many chunks of the wanted size follow each other evenly, as head_append.go's computeChunkEndTime.
static int64_t even_end(int64_t start, int64_t now, int64_t end)
{
    uint64_t spent = ((uint64_t)now - (uint64_t)start + 1) * 4;
    uint64_t span = (uint64_t)end - (uint64_t)start;
    uint64_t parts = spent ? span / spent : 0;
    return parts <= 1 ? end : (int64_t)((uint64_t)start + span / parts);
}

static bool write_full_as_is(Head *head, uint64_t ref, Series *series, int64_t min_t, int64_t max_t,
                             ChunkEncoding encoding, Str bytes)
{
    FullChunk full = {0, min_t, max_t};
    Error err = {0};

    int64_t retry_ns = GET(head->chunk_retry_ns);
    if (retry_ns && clock_mono_ns(head->options.clock) < retry_ns)
        return false;
    if (head_full_count(&head->pool, series->full) >= UINT16_MAX ||
        !head_chunks_write(head->chunks, ref, min_t, max_t, encoding, false, bytes, &full.ref,
                           &err)) {
        COUNT(head, chunk_writes_failed, 1);
        SET(head->chunk_retry_ns, clock_mono_ns(head->options.clock) + CHUNK_RETRY_NS);
        int64_t now = clock_now_ms(head->options.clock);
        if (now - GET(head->chunk_error_logged_ms) >= 60000) {
            SET(head->chunk_error_logged_ms, now);
            log_warn("cannot write a full chunk, keeping it in memory and retrying",
                     KV("err", err.text));
        }
        return false;
    }
    if (retry_ns)
        SET(head->chunk_retry_ns, INT64_C(0));
    COUNT(head, mmap_chunks, 1);
    PoolHandle list = head_full_add(&head->pool, series->full, full);
    if (!list)
        return false;
    series->full = list;
    return true;
}

static bool write_full(Head *head, uint64_t ref, Series *series, int64_t min_t, int64_t max_t,
                       ChunkEncoding encoding, Str bytes)
{
    if (LIKELY(!(series_flags(series) & SERIES_HAS_STARTS)))
        return write_full_as_is(head, ref, series, min_t, max_t, encoding, bytes);
    Arena arena = {0};
    SeriesExtra *extra = head_extra(head, ref, series, false);
    head_starts_weave(extra->starts, extra->start_count, &arena, &encoding, &bytes);
    bool ok = write_full_as_is(head, ref, series, min_t, max_t, encoding, bytes);
    if (ok) {
        head_starts_clear(series, extra);
        series_set_flags(series, SERIES_FULL_HISTOGRAM, 0);
    }
    arena_deinit(&arena);
    return ok;
}

bool head_append_finish_chunk(Head *head, uint64_t ref, Series *series)
{
    unsigned flags = series_flags(series);

    if (flags & SERIES_HAS_HISTOGRAM) {
        SeriesExtra *extra = head_extra(head, ref, series, false);
        ChunkHistogram *open = extra->histogram;
        if (!write_full(head, ref, series, chunk_histogram_min_t(open), chunk_histogram_max_t(open),
                        chunk_histogram_encoding(open), chunk_histogram_str(open)))
            return false;
        chunk_histogram_free(open);
        extra->histogram = NULL;
        series_set_flags(series, 0, SERIES_HAS_HISTOGRAM);
        return true;
    }
    if (!series->chunk)
        return true;
    uint8_t few[2048];
    size_t len = head_open_bytes(&head->pool, series->chunk, &series->xor_state);
    uint8_t *bytes = len <= sizeof few ? few : x_malloc(len);
    head_open_copy(&head->pool, series->chunk, &series->xor_state, len, bytes);
    bool ok = write_full(head, ref, series, head_open_first_time(&head->pool, series->chunk),
                         series->xor_state.t_ms, CHUNK_XOR, (Str){(const char *)bytes, len});
    if (ok) {
        head_open_free(&head->pool, series->chunk);
        series->chunk = 0;
    }
    if (bytes != few)
        free(bytes);
    return ok;
}

static void start_float_chunk(Head *head, Series *series, int64_t t_ms, double value)
{
    series->chunk = head_open_start(&head->pool, &series->xor_state, t_ms, value);
    set_left(series, next_cut(head, t_ms));
    COUNT(head, chunks_created, 1);
    COUNT(head, chunks, 1);
}

// The open chunk ends before this sample. While the disk refuses full chunks it goes on, up to a limit.
static bool end_chunk(Head *head, uint64_t ref, Series *series, uint64_t delta)
{
    if (head_append_finish_chunk(head, ref, series))
        return true;
    if (series->xor_state.count >= CHUNK_SAMPLES_MAX - 1)
        return false;
    series->left_ms = (uint32_t)MIN(delta + 60000, UINT32_MAX);
    return true;
}

// After a quarter of the wanted samples the end is moved so that the chunks up to it are of like size.
static void forecast_end(Head *head, Series *series)
{
    int64_t end;
    if (!__builtin_add_overflow(series->xor_state.t_ms, (int64_t)series->left_ms, &end))
        set_left(series, even_end(head_open_first_time(&head->pool, series->chunk),
                                  series->xor_state.t_ms, end));
}

bool head_append_float(Head *head, uint64_t ref, Series *series, int64_t t_ms, double value)
{
    ChunkXor *state = &series->xor_state;
    uint64_t delta = (uint64_t)t_ms - (uint64_t)state->t_ms;

    if (LIKELY(series->chunk)) {
        if (UNLIKELY(state->count == head->options.samples_per_chunk / 4))
            forecast_end(head, series);
        if (UNLIKELY(delta >= series->left_ms ||
                     state->count >= head->options.samples_per_chunk * 2) &&
            !end_chunk(head, ref, series, delta))
            return false;
    }
    if (UNLIKELY(!series->chunk)) {
        if (series_flags(series) & SERIES_HAS_HISTOGRAM &&
            !head_append_finish_chunk(head, ref, series))
            return false;
        start_float_chunk(head, series, t_ms, value);
        series_set_flags(series, SERIES_HAS_SAMPLES | SERIES_HAS_VALUE, 0);
        return true;
    }
    PoolHandle newest = head_open_append(&head->pool, series->chunk, state, t_ms, value);
    series->left_ms -= (uint32_t)delta;
    if (UNLIKELY(newest != series->chunk)) {
        series->chunk = newest;
        if (head_open_bytes(&head->pool, newest, state) > CHUNK_XOR_BYTES_TARGET - OPEN_BLOCK_DATA)
            series->left_ms = 0; // the next sample starts a new one
    }
    return true;
}

static void start_histogram_chunk(Head *head, Series *series, SeriesExtra *extra, int64_t t_ms,
                                  const Histogram *h, const ChunkHistogram *previous)
{
    extra->histogram = chunk_histogram_new(h, previous);
    ChunkHistogramAppend taken = chunk_histogram_append(extra->histogram, t_ms, h);
    ASSERT(taken == CHUNK_HISTOGRAM_TAKEN);
    series->xor_state.t_ms = t_ms;
    set_left(series, next_cut(head, t_ms));
    series_set_flags(series, SERIES_HAS_SAMPLES | SERIES_HAS_HISTOGRAM | SERIES_FULL_HISTOGRAM,
                     SERIES_HAS_VALUE);
    COUNT(head, chunks_created, 1);
    COUNT(head, chunks, 1);
}

bool head_append_histogram(Head *head, uint64_t ref, Series *series, int64_t t_ms,
                           const Histogram *h)
{
    if (series->chunk && !head_append_finish_chunk(head, ref, series))
        return false;
    SeriesExtra *extra = head_extra(head, ref, series, true);
    ChunkHistogram *open = extra->histogram;
    if (!open) {
        start_histogram_chunk(head, series, extra, t_ms, h, NULL);
        return true;
    }
    uint64_t delta = (uint64_t)t_ms - (uint64_t)series->xor_state.t_ms;
    bool large = chunk_histogram_str(open).len > CHUNK_HISTOGRAM_BYTES_TARGET &&
                 chunk_histogram_count(open) >= CHUNK_HISTOGRAM_SAMPLES_MIN;
    if (delta < series->left_ms && !large && chunk_histogram_count(open) < CHUNK_SAMPLES_MAX - 1 &&
        chunk_histogram_append(open, t_ms, h) == CHUNK_HISTOGRAM_TAKEN) {
        series->xor_state.t_ms = t_ms;
        series->left_ms -= (uint32_t)delta;
        return true;
    }
    // The new chunk's header is told by the end of the old one, which must go to disk first.
    if (!write_full(head, ref, series, chunk_histogram_min_t(open), chunk_histogram_max_t(open),
                    chunk_histogram_encoding(open), chunk_histogram_str(open)))
        return false;
    start_histogram_chunk(head, series, extra, t_ms, h, open);
    chunk_histogram_free(open);
    return true;
}

void head_append_note_time(Head *head, int64_t t_ms)
{
    if (t_ms < GET(head->min_t))
        SET(head->min_t, t_ms);
    if (t_ms > GET(head->max_t))
        SET(head->max_t, t_ms);
}

// --- finding and creating series ---

static void log_series(Head *head, uint64_t ref, Labels labels)
{
    lock_take(&head->unlogged_lock);
    Buf *out = &head->unlogged;
    size_t n = head->unlogged_count;
    if (!n || out->len - head->unlogged_starts[n - 1] > UNLOGGED_RECORD_BYTES) {
        if (n == head->unlogged_cap) {
            head->unlogged_cap = n ? n * 2 : 4;
            head->unlogged_starts =
                x_realloc(head->unlogged_starts, head->unlogged_cap * sizeof(size_t));
        }
        head->unlogged_starts[head->unlogged_count++] = out->len;
        (void)wal_record_begin(out, WAL_SERIES);
    }
    WalRecordWriter writer = {.out = out, .count = 1};
    wal_record_series(&writer, ref, labels);
    lock_give(&head->unlogged_lock);
}

SeriesSlot head_append_create(Head *head, Labels labels, LabelKey *key, uint64_t ref, bool log)
{
    SeriesSlot slot = head_index_add(&head->index, labels, key, ref);
    Series *series = series_at(&head->index.series, slot);

    series_touch(series, GET(head->generation));
    ref = series_ref(series);
    if (log)
        log_series(head, ref, labels);
    series_table_publish(&head->index.series, ref, slot);
    COUNT(head, series_created, 1);
    COUNT(head, series, 1);
    return slot;
}

static bool labels_acceptable(Labels labels, Error *err)
{
    if (labels.count == 0)
        return error_set(err, ERR_INVALID, "a series needs at least one label");
    if (labels.count > HEAD_LABELS_MAX)
        return error_set(err, ERR_LIMIT, "%zu labels in one series, at most %d are taken",
                         labels.count, HEAD_LABELS_MAX);
    for (size_t i = 0; i < labels.count; i++) {
        Label l = labels.pairs[i];
        if (l.name.len > HEAD_LABEL_BYTES_MAX || l.value.len > HEAD_LABEL_BYTES_MAX)
            return error_set(err, ERR_LIMIT, "label \"%.*s\" is longer than %d bytes",
                             (int)MIN(l.name.len, (size_t)64), l.name.ptr, HEAD_LABEL_BYTES_MAX);
        if (l.name.len == 0 || l.value.len == 0)
            return error_set(err, ERR_INVALID, "a label has an empty name or value");
        int order = i ? str_compare(labels.pairs[i - 1].name, l.name) : -1;
        if (order >= 0)
            return error_set(err, ERR_INVALID, "label \"" STR_FMT "\" %s", STR_ARG(l.name),
                             order ? "is out of order" : "stands twice");
    }
    return true;
}

static SeriesRef find_or_create(Appender *base, Labels labels, bool *ret_created, Error *err)
{
    HeadAppender *app = CONTAINER_OF(base, HeadAppender, appender);
    Head *head = app->head;

    if (ret_created)
        *ret_created = false;
    if (UNLIKELY(labels.count == 0 || labels.count > HEAD_LABELS_MAX)) {
        (void)labels_acceptable(labels, err);
        return 0;
    }
    rwlock_take_read(&head->index_lock);
    SeriesSlot slot = head_index_find(&head->index, labels, &app->key);
    SeriesRef ref = slot ? series_ref(series_at(&head->index.series, slot)) : 0;
    if (slot) {
        Lock *stripe = &head->stripes[series_stripe(ref)];
        lock_take(stripe);
        series_touch(series_at(&head->index.series, slot), GET(head->generation));
        lock_give(stripe);
    }
    uint64_t version = head->index.version;
    rwlock_give(&head->index_lock);
    if (ref)
        return ref;
    if (!labels_acceptable(labels, err))
        return 0;
    rwlock_take_write(&head->index_lock);
    if (head->index.version != version) // somebody was here in between
        slot = head_index_find(&head->index, labels, &app->key);
    if (!slot && head->index.next_ref > SERIES_REF_MAX) {
        error_set(err, ERR_LIMIT, "all series refs are used up: restart with an empty log");
    } else {
        if (!slot && ret_created)
            *ret_created = true;
        if (!slot)
            slot = head_append_create(head, labels, &app->key, 0, true);
        ref = series_ref(series_at(&head->index.series, slot));
    }
    rwlock_give(&head->index_lock);
    return ref;
}

// --- judging ---

static AppendStatus judge_equal_time(Head *head, uint64_t ref, Series *series,
                                     const SinkSample *sample, bool *ret_same)
{
    unsigned flags = series_flags(series);
    bool same;

    if (sample->histogram) {
        SeriesExtra *extra =
            flags & SERIES_HAS_HISTOGRAM ? head_extra(head, ref, series, false) : NULL;
        same = extra && extra->histogram &&
               histogram_equal(chunk_histogram_last(extra->histogram), sample->histogram);
    } else {
        same =
            flags & SERIES_HAS_VALUE && chunk_xor_to_bits(sample->value) == series->xor_state.value;
    }
    *ret_same = same;
    return same ? APPEND_OK : APPEND_DUPLICATE;
}

typedef enum Verdict { VERDICT_REFUSED, VERDICT_IN_ORDER, VERDICT_SAME, VERDICT_LATE } Verdict;

// The rules of head_append.go's appendable (prometheus.md 6.8). The stripe is held.
static Verdict judge(HeadAppender *app, uint64_t ref, Series *series, SinkSample *sample)
{
    Head *head = app->head;
    int64_t t = sample->t_ms;
    int64_t window = GET(head->window_ms);

    sample->status = APPEND_OK;
    if (LIKELY(t >= app->min_valid_t)) {
        if (!(series_flags(series) & SERIES_HAS_SAMPLES) || t > series->xor_state.t_ms)
            return VERDICT_IN_ORDER;
        if (t == series->xor_state.t_ms) {
            bool same = false;
            sample->status = judge_equal_time(head, ref, series, sample, &same);
            if (!same)
                COUNT(head, duplicates, 1);
            return same ? VERDICT_SAME : VERDICT_REFUSED;
        }
    }
    if (window > 0 && t >= time_minus(app->max_t, window))
        return VERDICT_LATE;
    if (window > 0) {
        sample->status = APPEND_TOO_OLD;
        COUNT(head, too_old, 1);
    } else if (t < app->min_valid_t) {
        sample->status = APPEND_OUT_OF_BOUNDS;
        COUNT(head, out_of_bounds, 1);
    } else {
        sample->status = APPEND_OUT_OF_ORDER;
        COUNT(head, out_of_order_refused, 1);
    }
    return VERDICT_REFUSED;
}

static void cut_run(HeadAppender *app)
{
    if (app->cut_count == app->cut_cap) {
        app->cut_cap = app->cut_cap ? app->cut_cap * 2 : 8;
        app->cuts = x_realloc(app->cuts, app->cut_cap * sizeof(size_t));
    }
    app->cuts[app->cut_count++] = app->count;
    app->kinds = 0;
}

// Floats and histograms go to records of their own. Where one series has both, a new run of records keeps them in order.
static void keep_order(HeadAppender *app, const Series *series, bool is_histogram)
{
    unsigned kind = is_histogram ? 2 : 1;
    unsigned flags = series_flags(series);
    bool fresh = !(flags & SERIES_HAS_SAMPLES);
    bool switches = !fresh && is_histogram != ((flags & SERIES_HAS_HISTOGRAM) != 0);

    app->strict_order |= switches;
    if (app->kinds && app->kinds != kind && (app->strict_order || fresh))
        cut_run(app);
    app->kinds |= kind;
}

// The column of starts comes into being with the first one.
static void take_start(HeadAppender *app, const SinkSample *sample)
{
    const HeadOptions *options = &app->head->options;
    int64_t start_ms = sample->start_ms;

    if (!options->start_timestamps || (sample->histogram && !options->histogram_start_timestamps))
        start_ms = 0;
    if (!start_ms && !app->has_starts)
        return;
    if (app->start_cap < app->cap) {
        app->starts = x_realloc(app->starts, app->cap * sizeof *app->starts);
        app->start_cap = app->cap;
    }
    if (!app->has_starts)
        memset(app->starts, 0, app->count * sizeof *app->starts);
    app->has_starts = true;
    app->starts[app->count] = start_ms;
}

static void take(HeadAppender *app, SeriesSlot slot, const SinkSample *sample, bool late)
{
    PendingExtra place = {slot, late ? PENDING_LATE : 0};

    if (sample->histogram) {
        if (app->histogram_count == app->histogram_cap) {
            app->histogram_cap = app->histogram_cap ? app->histogram_cap * 2 : 16;
            app->histograms =
                x_realloc(app->histograms, app->histogram_cap * sizeof *app->histograms);
        }
        app->histograms[app->histogram_count++] = histogram_copy(&app->arena, sample->histogram);
        place.histogram |= (uint32_t)app->histogram_count;
    }
    if (UNLIKELY(sample->start_ms || app->has_starts))
        take_start(app, sample);
    app->late += late;
    app->samples[app->count] = (WalSample){sample->ref, sample->t_ms, sample->value};
    app->places[app->count++] = place;
}

static void reserve(HeadAppender *app, size_t more)
{
    if (app->count + more <= app->cap)
        return;
    app->cap = MAX(app->cap * 2, app->count + more);
    app->samples = x_realloc(app->samples, app->cap * sizeof *app->samples);
    app->places = x_realloc(app->places, app->cap * sizeof *app->places);
}

// The first samples a head ever sees set the scene for the bounds.
static void set_bounds(HeadAppender *app, int64_t first_t)
{
    Head *head = app->head;
    int64_t max_t = GET(head->max_t);

    if (max_t == INT64_MIN)
        max_t = first_t;
    app->max_t = max_t;
    app->min_valid_t =
        MAX(GET(head->min_valid_t), time_minus(max_t, head->options.min_block_ms / 2));
}

static bool histogram_acceptable(const Histogram *h)
{
    Error err = {0};
    return is_stale_nan(h->sum) || histogram_validate(h, &err);
}

static size_t append_batch(HeadAppender *app, SinkSample *samples, size_t count)
{
    Head *head = app->head;
    SeriesSlot slots[BATCH];
    unsigned held = SERIES_STRIPES;
    size_t taken = 0;

    for (size_t i = 0; i < count; i++) {
        slots[i] = series_slot(&head->index.series, samples[i].ref);
        __builtin_prefetch(series_at(&head->index.series, slots[i]));
    }
    for (size_t i = 0; i < count; i++) {
        SinkSample *sample = &samples[i];
        Series *series = series_at(&head->index.series, slots[i]);
        if (!slots[i]) {
            sample->status = APPEND_GONE;
            continue;
        }
        head_hold_stripe(head, &held, sample->ref);
        if (UNLIKELY(series_ref(series) != sample->ref)) {
            sample->status = APPEND_GONE;
            continue;
        }
        series_touch(series, GET(head->generation));
        if (UNLIKELY(sample->histogram && !histogram_acceptable(sample->histogram))) {
            sample->status = APPEND_OUT_OF_BOUNDS;
            continue;
        }
        Verdict verdict = judge(app, sample->ref, series, sample);
        taken += verdict != VERDICT_REFUSED;
        if (verdict == VERDICT_IN_ORDER || verdict == VERDICT_LATE) {
            keep_order(app, series, sample->histogram != NULL);
            take(app, slots[i], sample, verdict == VERDICT_LATE);
        }
    }
    head_give_stripe(head, held);
    return taken;
}

static size_t append(Appender *base, SinkSample *samples, size_t count)
{
    HeadAppender *app = CONTAINER_OF(base, HeadAppender, appender);
    size_t taken = 0;

    if (!count)
        return 0;
    if (app->max_t == INT64_MIN)
        set_bounds(app, samples[0].t_ms);
    reserve(app, count);
    for (size_t i = 0; i < count; i += BATCH)
        taken += append_batch(app, samples + i, MIN(count - i, (size_t)BATCH));
    return taken;
}

static void metadata(Appender *base, SeriesRef ref, Metadata metadata)
{
    HeadAppender *app = CONTAINER_OF(base, HeadAppender, appender);
    Head *head = app->head;
    Str name = STR_NONE;

    rwlock_take_read(&head->index_lock);
    SeriesSlot slot = series_slot(&head->index.series, ref);
    if (slot) {
        uint32_t metric = head_index_name(&head->index, LABEL_METRIC_NAME);
        LabelWalk walk =
            head_index_walk(&head->index, series_at(&head->index.series, slot)->labels);
        for (uint32_t pair; (pair = head_index_walk_next(&walk));)
            if (head->index.pairs[pair].name == metric)
                name = arena_str(&app->arena,
                                 head_index_text(&head->index, head->index.pairs[pair].value));
    }
    rwlock_give(&head->index_lock);
    if (!name.len || !head_metadata_put(head, name, metadata))
        return;
    if (app->metadata_count == app->metadata_cap) {
        app->metadata_cap = app->metadata_cap ? app->metadata_cap * 2 : 16;
        app->metadata = x_realloc(app->metadata, app->metadata_cap * sizeof *app->metadata);
    }
    Metadata copy = {metadata.type, arena_str(&app->arena, metadata.help),
                     arena_str(&app->arena, metadata.unit)};
    app->metadata[app->metadata_count++] = (PendingMetadata){ref, name, copy};
}

static AppendStatus exemplar(Appender *base, SeriesRef ref, const Exemplar *exemplar)
{
    HeadAppender *app = CONTAINER_OF(base, HeadAppender, appender);
    Head *head = app->head;

    if (!head->exemplars)
        return APPEND_OK;
    if (!series_slot(&head->index.series, ref))
        return APPEND_GONE;
    AppendStatus status =
        head_exemplars_judge(head->exemplars, ref, exemplar, GET(head->window_ms));
    if (status == APPEND_OUT_OF_ORDER)
        COUNT(head, exemplars_out_of_order, 1);
    if (status != APPEND_OK)
        return status;
    if (app->exemplar_count == app->exemplar_cap) {
        app->exemplar_cap = app->exemplar_cap ? app->exemplar_cap * 2 : 16;
        app->exemplars = x_realloc(app->exemplars, app->exemplar_cap * sizeof *app->exemplars);
    }
    PendingExemplar pending = {ref, *exemplar};
    pending.exemplar.labels = labels_copy(&app->arena, exemplar->labels);
    app->exemplars[app->exemplar_count++] = pending;
    return APPEND_OK;
}

// --- records ---

static void pack(HeadAppender *app)
{
    RecordSpan span = {.start = app->packed.len};

    span.flags = wal_compress(app->head->options.wal_compression, buf_str(&app->raw), &app->packed);
    span.len = app->packed.len - span.start;
    buf_reset(&app->raw);
    if (app->record_count == app->record_cap) {
        app->record_cap = app->record_cap ? app->record_cap * 2 : 16;
        app->records = x_realloc(app->records, app->record_cap * sizeof *app->records);
    }
    app->records[app->record_count++] = span;
}

// Neighbours that go into one record as they are.
static size_t float_stretch(const HeadAppender *app, size_t from, size_t to)
{
    size_t i = from;

    if (!app->late && !app->histogram_count)
        return to;
    while (i < to && app->places[i].histogram == 0)
        i++;
    return i;
}

static void encode_floats(HeadAppender *app, size_t from, size_t to)
{
    WalRecordType type = app->has_starts ? WAL_SAMPLES_V2 : WAL_SAMPLES;
    WalRecordWriter writer = wal_record_begin(&app->raw, type);

    while (from < to) {
        size_t end = MIN(float_stretch(app, from, to), from + (RECORD_SAMPLES - writer.count));
        if (app->has_starts)
            wal_record_samples_v2(&writer, app->samples + from, app->starts + from, end - from);
        else
            wal_record_samples(&writer, app->samples + from, end - from);
        if (writer.count == RECORD_SAMPLES) {
            pack(app);
            writer = wal_record_begin(&app->raw, type);
        } else if (end < to) {
            end++; // a histogram, or late
        }
        from = end;
    }
    if (writer.count)
        pack(app);
    buf_reset(&app->raw);
}

static void encode_histograms(HeadAppender *app, size_t from, size_t to)
{
    WalRecordWriter writer = {0};
    WalRecordType open = 0;

    for (size_t i = from; i < to; i++) {
        uint32_t place = app->places[i].histogram;
        if (!place || place & PENDING_LATE)
            continue;
        const Histogram *h = app->histograms[place - 1];
        WalRecordType type = wal_record_histogram_type(h, app->has_starts);
        if (open && (type != open || app->raw.len > RECORD_HISTOGRAM_BYTES)) {
            pack(app);
            open = 0;
        }
        if (!open)
            writer = wal_record_begin(&app->raw, open = type);
        wal_record_histogram(&writer, app->samples[i].ref, app->samples[i].t_ms,
                             app->has_starts ? app->starts[i] : 0, h);
    }
    if (open)
        pack(app);
    buf_reset(&app->raw);
}

static void encode_rest(HeadAppender *app)
{
    if (app->exemplar_count) {
        WalRecordWriter writer = wal_record_begin(&app->raw, WAL_EXEMPLARS);
        for (size_t i = 0; i < app->exemplar_count; i++)
            wal_record_exemplar(&writer, app->exemplars[i].ref, &app->exemplars[i].exemplar);
        pack(app);
    }
    if (app->metadata_count) {
        WalRecordWriter writer = wal_record_begin(&app->raw, WAL_METADATA);
        for (size_t i = 0; i < app->metadata_count; i++)
            wal_record_metadata(&writer, app->metadata[i].ref, app->metadata[i].metadata);
        pack(app);
    }
}

static void encode(HeadAppender *app)
{
    size_t from = 0;

    for (size_t i = 0; i <= app->cut_count; i++) {
        size_t to = i < app->cut_count ? app->cuts[i] : app->count;
        encode_floats(app, from, to);
        if (app->histogram_count)
            encode_histograms(app, from, to);
        from = to;
    }
    encode_rest(app);
}

// --- the leader ---

static void keep_late(Head *head, const WalSample *sample, const Histogram *h, int64_t start_ms)
{
    if (head->late_count == head->late_cap) {
        head->late_cap = head->late_cap ? head->late_cap * 2 : 64;
        head->late = x_realloc(head->late, head->late_cap * sizeof *head->late);
        head->late_refs = x_realloc(head->late_refs, head->late_cap * sizeof *head->late_refs);
    }
    OutOfOrderSample late = {.t_ms = sample->t_ms, .value = sample->value, .start_ms = start_ms};
    late.histogram = h ? head_histogram_copy(h) : NULL;
    head->late_refs[head->late_count] = sample->ref;
    head->late[head->late_count++] = late;
}

// What the commit before this one in the queue may have changed since the sample was judged.
static bool still_in_order(Head *head, const Series *series, const WalSample *sample,
                           const Histogram *h, bool *ret_late)
{
    bool has = series_flags(series) & SERIES_HAS_SAMPLES;
    bool above = !has || sample->t_ms > series->xor_state.t_ms;

    *ret_late = false;
    if (above && sample->t_ms >= GET(head->min_valid_t))
        return true;
    if (has && sample->t_ms == series->xor_state.t_ms && !h) {
        COUNT(head, duplicates, 1);
        return false;
    }
    *ret_late = GET(head->window_ms) > 0;
    if (!*ret_late)
        COUNT(head, out_of_order_refused, 1);
    return false;
}

typedef struct Applied {
    uint64_t floats, histograms, refused, gone;
    int64_t min_t, max_t;
} Applied;

static void apply_one(Head *head, HeadAppender *app, size_t i, uint32_t newest_reader,
                      uint32_t epoch, Applied *done)
{
    const WalSample *sample = &app->samples[i];
    PendingExtra place = app->places[i];
    Series *series = series_at(&head->index.series, place.slot);
    uint32_t number = place.histogram & ~PENDING_LATE;
    const Histogram *h = number ? app->histograms[number - 1] : NULL;
    bool late = place.histogram & PENDING_LATE;
    int64_t start_ms = app->has_starts ? app->starts[i] : 0;

    if (UNLIKELY(series_ref(series) != sample->ref)) {
        done->gone++;
        return;
    }
    if (UNLIKELY(late || !still_in_order(head, series, sample, h, &late))) {
        if (late)
            keep_late(head, sample, h, start_ms);
        return;
    }
    if ((int32_t)(series->epoch - newest_reader) <= 0)
        head_undo_push(&head->undo, place.slot, series);
    series->epoch = epoch;
    bool ok = h ? head_append_histogram(head, sample->ref, series, sample->t_ms, h)
                : head_append_float(head, sample->ref, series, sample->t_ms, sample->value);
    if (UNLIKELY(!ok)) {
        done->refused++;
        return;
    }
    head_starts_note(head, sample->ref, series, start_ms);
    done->floats += h == NULL;
    done->histograms += h != NULL;
    done->min_t = MIN(done->min_t, sample->t_ms);
    done->max_t = MAX(done->max_t, sample->t_ms);
}

// Two steps ahead: the record, then, by what stands in it, the newest block of its open chunk.
static void look_ahead(const Head *head, const HeadAppender *app, size_t i)
{
    if (i + 16 < app->count)
        __builtin_prefetch(series_at(&head->index.series, app->places[i + 16].slot));
    if (i + 8 < app->count) {
        const Series *series = series_at(&head->index.series, app->places[i + 8].slot);
        if (series->chunk)
            __builtin_prefetch(pool_at(&head->pool, series->chunk), 1);
    }
}

static bool apply_samples(Head *head, HeadAppender *app, bool any_reader, uint32_t newest_reader,
                          uint32_t epoch, Error *err)
{
    Applied done = {.min_t = INT64_MAX, .max_t = INT64_MIN};
    unsigned held = SERIES_STRIPES;
    uint32_t before_all = any_reader
                              ? newest_reader
                              : epoch - (1u << 30); // no record is older than that: nothing to undo

    for (size_t i = 0; i < app->count; i++) {
        look_ahead(head, app, i);
        head_hold_stripe(head, &held, app->samples[i].ref);
        apply_one(head, app, i, before_all, epoch, &done);
    }
    head_give_stripe(head, held);
    if (done.min_t <= done.max_t) {
        head_append_note_time(head, done.min_t);
        head_append_note_time(head, done.max_t);
    }
    COUNT(head, float_samples_appended, done.floats);
    COUNT(head, histogram_samples_appended, done.histograms);
    if (done.gone)
        return error_set(err, ERR_CONFLICT,
                         "%llu samples are of series that were dropped since they were appended",
                         (unsigned long long)done.gone);
    if (done.refused)
        return error_set(err, ERR_IO,
                         "%llu samples found no room: the disk has taken no full chunks for long",
                         (unsigned long long)done.refused);
    return true;
}

static void apply_exemplars(Head *head, HeadAppender *app)
{
    for (size_t i = 0; i < app->exemplar_count; i++) {
        const PendingExemplar *e = &app->exemplars[i];
        Labels labels = LABELS_NONE;
        if (!head_exemplars_knows(head->exemplars, e->ref)) {
            rwlock_take_read(&head->index_lock);
            SeriesSlot slot = series_slot(&head->index.series, e->ref);
            if (slot) // deep: the texts may go with the lock
                labels = labels_copy(&app->arena,
                                     head_index_labels(&head->index,
                                                       series_at(&head->index.series, slot)->labels,
                                                       &app->arena));
            rwlock_give(&head->index_lock);
            if (!slot)
                continue;
        }
        if (head_exemplars_add(head->exemplars, e->ref, labels, &e->exemplar, GET(head->window_ms)))
            COUNT(head, exemplars_appended, 1);
    }
}

static void apply_batch(Head *head, HeadAppender *batch)
{
    uint64_t oldest;
    uint64_t newest;

    lock_take(&head->apply_lock);
    head_read_epochs(head, &oldest, &newest);
    head_undo_cut(&head->undo, oldest);
    uint64_t epoch = head->epoch + 1;
    for (HeadAppender *app = batch; app; app = app->next) {
        app->ok = apply_samples(head, app, oldest != UINT64_MAX, (uint32_t)newest, (uint32_t)epoch,
                                &app->err);
        if (head->late_count && !head_out_of_order_apply(head, (uint32_t)epoch, &app->err))
            app->ok = false;
    }
    head_undo_note(&head->undo, epoch);
    __atomic_store_n(&head->epoch, epoch, __ATOMIC_RELEASE);
    lock_give(&head->apply_lock);
    for (HeadAppender *app = batch; app; app = app->next)
        apply_exemplars(head, app);
}

typedef struct RecordList {
    WalRecord *items;
    size_t count;
    size_t cap;
} RecordList;

static void add_record(RecordList *list, Str bytes, WalFlags flags)
{
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 64;
        list->items = x_realloc(list->items, list->cap * sizeof(WalRecord));
    }
    list->items[list->count++] = (WalRecord){bytes, flags};
}

typedef struct Unlogged {
    Buf raw;
    size_t *starts;
    size_t count;
    Buf packed;
} Unlogged;

static void take_unlogged(Head *head, Unlogged *ret)
{
    *ret = (Unlogged){0};
    lock_take(&head->unlogged_lock);
    if (head->unlogged_count) {
        *ret = (Unlogged){
            .raw = head->unlogged, .starts = head->unlogged_starts, .count = head->unlogged_count};
        head->unlogged = (Buf){0};
        head->unlogged_starts = NULL;
        head->unlogged_count = head->unlogged_cap = 0;
    }
    lock_give(&head->unlogged_lock);
}

static void free_unlogged(Unlogged *u)
{
    buf_deinit(&u->raw);
    buf_deinit(&u->packed);
    free(u->starts);
}

// The log has refused them: they wait for the next write, before what came meanwhile.
static void put_back_unlogged(Head *head, Unlogged *u)
{
    lock_take(&head->unlogged_lock);
    for (size_t i = 0; i < head->unlogged_count; i++) {
        u->starts = x_realloc(u->starts, (u->count + 1) * sizeof(size_t));
        u->starts[u->count++] = u->raw.len + head->unlogged_starts[i];
    }
    buf_add_str(&u->raw, buf_str(&head->unlogged));
    buf_deinit(&head->unlogged);
    free(head->unlogged_starts);
    head->unlogged = u->raw;
    head->unlogged_starts = u->starts;
    head->unlogged_count = head->unlogged_cap = u->count;
    lock_give(&head->unlogged_lock);
    buf_deinit(&u->packed);
}

static void pack_unlogged(Head *head, Unlogged *u, RecordList *list)
{
    RecordSpan *spans = u->count ? X_ARRAY(RecordSpan, u->count) : NULL;

    for (size_t i = 0; i < u->count; i++) {
        size_t end = i + 1 < u->count ? u->starts[i + 1] : u->raw.len;
        spans[i].start = u->packed.len;
        spans[i].flags =
            wal_compress(head->options.wal_compression,
                         str_sub(buf_str(&u->raw), u->starts[i], end - u->starts[i]), &u->packed);
        spans[i].len = u->packed.len - spans[i].start;
    }
    for (size_t i = 0; i < u->count; i++)
        add_record(list, str_sub(buf_str(&u->packed), spans[i].start, spans[i].len),
                   spans[i].flags);
    free(spans);
}

static bool log_batch(Head *head, HeadAppender *batch, Error *err)
{
    RecordList list = {0};
    Unlogged unlogged;

    take_unlogged(head, &unlogged);
    pack_unlogged(head, &unlogged, &list);
    for (HeadAppender *app = batch; app; app = app->next)
        for (size_t i = 0; i < app->record_count; i++)
            add_record(&list,
                       str_sub(buf_str(&app->packed), app->records[i].start, app->records[i].len),
                       app->records[i].flags);
    bool ok = !list.count || wal_write(head->wal, list.items, list.count, err);
    if (ok)
        free_unlogged(&unlogged);
    else if (unlogged.count)
        put_back_unlogged(head, &unlogged);
    free(list.items);
    return ok;
}

// What stands in the log is also in memory, else the two would judge later samples differently: a disk that has the records but does
// not confirm them makes the commits fail, and their samples stay.
static void run_batch(Head *head, HeadAppender *batch)
{
    Error err = {0};

    bool written = log_batch(head, batch, &err);
    bool ok = written && (head->options.wal_sync != TSDB_SYNC_COMMIT || wal_sync(head->wal, &err));
    if (written)
        apply_batch(head, batch);
    for (HeadAppender *app = batch; app && !ok; app = app->next) {
        app->ok = false;
        app->err = err;
    }
}

// Serves the queue until it is empty. commit_lock is held at entry and exit, and given meanwhile.
static void serve(Head *head) NO_THREAD_SAFETY
{
    while (head->queue) {
        HeadAppender *batch = head->queue;
        head->queue = NULL;
        head->queue_tail = &head->queue;
        lock_give(&head->commit_lock);
        run_batch(head, batch);
        lock_take(&head->commit_lock);
        for (HeadAppender *app = batch; app;) {
            HeadAppender *next = app->next; // gone once it is done
            app->done = true;
            app = next;
        }
        condition_broadcast(&head->commit_done);
    }
}

void head_lead(Head *head)
{
    lock_take(&head->commit_lock);
    while (head->led)
        condition_wait(&head->commit_done, &head->commit_lock);
    head->led = true;
    lock_give(&head->commit_lock);
}

void head_follow(Head *head)
{
    lock_take(&head->commit_lock);
    serve(head);
    head->led = false;
    condition_broadcast(&head->commit_done);
    lock_give(&head->commit_lock);
}

static void enqueue(Head *head, HeadAppender *app)
{
    app->next = NULL;
    app->done = false;
    *head->queue_tail = app;
    head->queue_tail = &app->next;
}

// --- life of an appender ---

static void finish(HeadAppender *app)
{
    Head *head = app->head;

    app->count = app->late = app->histogram_count = app->metadata_count = app->exemplar_count = 0;
    app->record_count = app->cut_count = 0;
    app->strict_order = app->has_starts = false;
    app->kinds = 0;
    arena_reset(&app->arena);
    if (app->raw.cap > KEEP_BYTES)
        buf_deinit(&app->raw);
    if (app->packed.cap > KEEP_BYTES)
        buf_deinit(&app->packed);
    buf_reset(&app->raw);
    buf_reset(&app->packed);
    if (app->cap * sizeof(WalSample) > KEEP_BYTES) {
        free(app->samples);
        free(app->places);
        free(app->starts);
        app->starts = NULL;
        app->start_cap = 0;
        app->samples = NULL;
        app->places = NULL;
        app->cap = 0;
    }
    if (app->arena.held_bytes > KEEP_BYTES)
        arena_deinit(&app->arena);
    lock_take(&head->commit_lock);
    head->active_appenders--;
    bool keep = head->free_appender_count < FREE_APPENDERS_MAX;
    if (keep) {
        app->next = head->free_appenders;
        head->free_appenders = app;
        head->free_appender_count++;
    }
    lock_give(&head->commit_lock);
    if (!keep)
        head_append_free(app);
}

static bool commit(Appender *base, Error *err)
{
    HeadAppender *app = CONTAINER_OF(base, HeadAppender, appender);
    Head *head = app->head;

    encode(app);
    lock_take(&head->commit_lock);
    enqueue(head, app);
    if (head->led) {
        while (!app->done && head->led)
            condition_wait(&head->commit_done, &head->commit_lock);
    }
    if (!app->done) {
        head->led = true;
        serve(head);
        head->led = false;
        condition_broadcast(&head->commit_done);
    }
    lock_give(&head->commit_lock);
    bool ok = app->ok;
    if (!ok)
        *err = app->err;
    finish(app);
    return ok;
}

static void rollback(Appender *base)
{
    finish(CONTAINER_OF(base, HeadAppender, appender));
}

Appender *head_append_begin(Sink *sink)
{
    Head *head = CONTAINER_OF(sink, Head, sink);

    lock_take(&head->commit_lock);
    HeadAppender *app = head->free_appenders;
    if (app) {
        head->free_appenders = app->next;
        head->free_appender_count--;
    }
    head->active_appenders++;
    COUNT(head, appenders_created, 1);
    lock_give(&head->commit_lock);
    if (!app) {
        app = X_NEW(HeadAppender);
        app->head = head;
        app->appender = (Appender){find_or_create, append, metadata, exemplar, commit, rollback};
    }
    app->max_t = INT64_MIN;
    if (GET(head->max_t) != INT64_MIN)
        set_bounds(app, 0);
    return &app->appender;
}

void head_append_free(HeadAppender *app)
{
    if (!app)
        return;
    free(app->samples);
    free(app->places);
    free(app->starts);
    free(app->cuts);
    free(app->histograms);
    free(app->metadata);
    free(app->exemplars);
    free(app->records);
    buf_deinit(&app->raw);
    buf_deinit(&app->packed);
    arena_deinit(&app->arena);
    free(app);
}
