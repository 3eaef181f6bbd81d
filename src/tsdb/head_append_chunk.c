// SPDX-License-Identifier: Apache-2.0
// A sample on its way into its series' open chunk, and a full chunk on its way to disk.
#include <stdlib.h>

#include "tsdb/head_internal.h"

#define CHUNK_RETRY_NS 1000000000 // after the disk has refused one

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

void head_append_begin_floats(Head *head, Series *series, int64_t t_ms, double value)
{
    series->chunk = head_open_start(&head->pool, &series->xor_state, t_ms, value);
    set_left(series, next_cut(head, t_ms));
    series_set_flags(series, SERIES_HAS_SAMPLES | SERIES_HAS_VALUE, SERIES_ENDED | SERIES_LEARNED);
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
        head_append_begin_floats(head, series, t_ms, value);
        COUNT(head, chunks_created, 1);
        COUNT(head, chunks, 1);
        return true;
    }
    PoolHandle newest = head_open_append(&head->pool, series->chunk, state, t_ms, value);
    series->left_ms -= (uint32_t)delta;
    if (UNLIKELY(newest != series->chunk)) {
        series->chunk = newest;
        // Few samples cannot be that long.
        size_t long_bytes = CHUNK_XOR_BYTES_TARGET - OPEN_BLOCK_DATA;
        size_t most = CHUNK_XOR_HEADER_BYTES + (size_t)state->count * CHUNK_XOR_SAMPLE_BYTES_MAX;
        if (most > long_bytes && head_open_bytes(&head->pool, newest, state) > long_bytes)
            series->left_ms = 0; // the next sample starts a new one
    }
    return true;
}

// How many samples the open chunk takes before something has to be looked at.
static size_t plain_room(const Head *head, const Series *series)
{
    uint32_t count = series->xor_state.count;
    uint32_t quarter = (uint32_t)head->options.samples_per_chunk / 4;
    uint32_t end = count < quarter ? quarter : (uint32_t)head->options.samples_per_chunk * 2;

    return !series->chunk || count < 2 || count == quarter || count >= end ? 0 : end - count;
}

size_t head_append_floats(Head *head, uint64_t ref, Series *series, const int64_t *t_ms,
                          const double *value, size_t count)
{
    size_t done = 0;

    while (done < count) {
        size_t room = plain_room(head, series);
        if (room && count - done > 1)
            done += chunk_xor_append_run(
                &series->xor_state, head_open_at(&head->pool, series->chunk), OPEN_BLOCK_CAP,
                t_ms + done, value + done, MIN(room, count - done), &series->left_ms);
        if (done == count)
            break;
        if (!head_append_float(head, ref, series, t_ms[done], value[done]))
            break;
        done++;
    }
    return done;
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
                     SERIES_HAS_VALUE | SERIES_ENDED | SERIES_LEARNED);
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
