// SPDX-License-Identifier: Apache-2.0
// Samples older than their series' newest: a sorted buffer for each series, then chunks with the out-of-order mark, then blocks.
#include <stdlib.h>

#include "base/log.h"
#include "tsdb/chunk_start.h"
#include "tsdb/head_internal.h"

// One piece: the struct, then its arrays.
Histogram *head_histogram_copy(const Histogram *h)
{
    size_t spans =
        ((size_t)h->positive_span_count + h->negative_span_count) * sizeof(HistogramSpan);
    size_t doubles =
        ((size_t)h->positive_count + h->negative_count + h->custom_count) * sizeof(double);
    Histogram *copy = x_malloc(sizeof *copy + doubles + spans);
    char *at = (char *)(copy + 1);

    *copy = *h;
#define PLACE(member, n)                                                                           \
    do {                                                                                           \
        size_t bytes_ = (size_t)(n) * sizeof *h->member;                                           \
        if (bytes_)                                                                                \
            memcpy(at, h->member, bytes_);                                                         \
        copy->member = (const void *)at;                                                           \
        at += bytes_;                                                                              \
    } while (0)
    PLACE(positive_buckets, h->positive_count);
    PLACE(negative_buckets, h->negative_count);
    PLACE(custom_bounds, h->custom_count);
    PLACE(positive_spans, h->positive_span_count);
    PLACE(negative_spans, h->negative_span_count);
#undef PLACE
    return copy;
}

bool head_out_of_order_open_log(Head *head, Error *err)
{
    return head->wbl ||
           wal_open(head->fs, head->wbl_dir, head->options.wal_segment_bytes, &head->wbl, err);
}

// --- the buffer ---

typedef struct ChunkParts {
    Head *head;
    uint64_t ref;
    SeriesExtra *extra;
    WalRecordWriter *markers;
} ChunkParts;

// The chunk of the samples [from, to).
static bool add_chunk(const ChunkParts *p, ChunkEncoding encoding, uint32_t from, uint32_t to,
                      Str bytes)
{
    SeriesExtra *extra = p->extra;
    const OutOfOrderSample *s = extra->buffer;
    int64_t min_t = s[from].t_ms, max_t = s[to - 1].t_ms;
    OutOfOrderChunk chunk = {0, min_t, max_t};
    int64_t start_ms[OUT_OF_ORDER_BUFFER_MAX];
    Arena arena = {0};
    bool any = false;

    for (uint32_t i = from; i < to; i++)
        any |= (start_ms[i - from] = s[i].start_ms) != 0;
    if (any)
        (void)chunk_start_weave(&arena, &encoding, &bytes, start_ms);
    Error err = {0};

    bool ok = head_chunks_write(p->head->chunks, p->ref, min_t, max_t, encoding, true, bytes,
                                &chunk.ref, &err);
    arena_deinit(&arena);
    if (!ok) {
        COUNT(p->head, chunk_writes_failed, 1);
        return false;
    }
    if (extra->chunk_count == extra->chunk_cap) {
        extra->chunk_cap = extra->chunk_cap ? extra->chunk_cap * 2 : 4;
        extra->chunks = x_realloc(extra->chunks, extra->chunk_cap * sizeof *extra->chunks);
    }
    extra->chunks[extra->chunk_count++] = chunk;
    // A Prometheus forgets the chunks of a series at the log's second ref for it, and would still believe a marker. Without one we, too, have
    // the samples from the log.
    if (p->markers && !ref_map_get(&p->head->twinned, p->ref))
        wal_record_marker(p->markers, p->ref, chunk.ref);
    COUNT(p->head, mmap_chunks, 1);
    COUNT(p->head, chunks_created, 1);
    COUNT(p->head, chunks, 1);
    return true;
}

// One chunk of the samples [from, to).
static bool flush_floats(const ChunkParts *p, uint32_t from, uint32_t to)
{
    uint8_t bytes[CHUNK_XOR_HEADER_BYTES + OUT_OF_ORDER_BUFFER_MAX * CHUNK_XOR_SAMPLE_BYTES_MAX];
    const OutOfOrderSample *s = p->extra->buffer;
    ChunkXor state;

    ASSERT(to - from <= OUT_OF_ORDER_BUFFER_MAX);
    chunk_xor_start(&state, bytes);
    for (uint32_t i = from; i < to; i++) {
        bool fits = chunk_xor_append(&state, bytes, sizeof bytes, s[i].t_ms, s[i].value);
        ASSERT(fits);
    }
    return add_chunk(p, CHUNK_XOR, from, to, (Str){(const char *)bytes, chunk_xor_bytes(&state)});
}

// The same; *to moves to the first that did not fit.
static bool flush_histograms(const ChunkParts *p, uint32_t from, uint32_t *to)
{
    const OutOfOrderSample *s = p->extra->buffer;
    ChunkHistogram *chunk = chunk_histogram_new(s[from].histogram, NULL);
    uint32_t i = from;

    while (i < *to &&
           chunk_histogram_append(chunk, s[i].t_ms, s[i].histogram) == CHUNK_HISTOGRAM_TAKEN)
        i++;
    ASSERT(i > from);
    bool ok = add_chunk(p, chunk_histogram_encoding(chunk), from, i, chunk_histogram_str(chunk));
    chunk_histogram_free(chunk);
    *to = i;
    return ok;
}

bool head_out_of_order_flush(Head *head, uint64_t ref, Series *series, SeriesExtra *extra,
                             WalRecordWriter *markers)
{
    ChunkParts parts = {head, ref, extra, markers};
    uint32_t done = 0;
    bool ok = true;

    (void)series;
    while (ok && done < extra->buffer_count) {
        uint32_t end = done;
        bool is_histogram = extra->buffer[done].histogram != NULL;
        while (end < extra->buffer_count &&
               (extra->buffer[end].histogram != NULL) == is_histogram &&
               end - done < OUT_OF_ORDER_BUFFER_MAX)
            end++;
        ok = is_histogram ? flush_histograms(&parts, done, &end) : flush_floats(&parts, done, end);
        for (uint32_t i = done; ok && i < end; i++)
            free(extra->buffer[i].histogram);
        done = ok ? end : done;
    }
    extra->buffer_count -= done;
    memmove(extra->buffer, extra->buffer + done, extra->buffer_count * sizeof *extra->buffer);
    if (!extra->buffer_count) {
        free(extra->buffer);
        extra->buffer = NULL;
        extra->buffer_cap = 0;
    }
    return ok;
}

bool head_out_of_order_insert(Head *head, uint64_t ref, Series *series,
                              const OutOfOrderSample *sample)
{
    int64_t t_ms = sample->t_ms;
    SeriesExtra *extra = head_extra(head, ref, series, true);
    uint32_t low = 0;
    uint32_t high = extra->buffer_count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (extra->buffer[middle].t_ms < t_ms)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < extra->buffer_count && extra->buffer[low].t_ms == t_ms) {
        extra->buffer[low].stranded = false; // it stands in the log once more
        return false;
    }
    if (extra->buffer_count == extra->buffer_cap) {
        extra->buffer_cap = extra->buffer_cap ? extra->buffer_cap * 2 : 4;
        extra->buffer = x_realloc(extra->buffer, extra->buffer_cap * sizeof *extra->buffer);
    }
    memmove(extra->buffer + low + 1, extra->buffer + low,
            (extra->buffer_count - low) * sizeof *extra->buffer);
    extra->buffer[low] = *sample;
    if (sample->histogram)
        extra->buffer[low].histogram = head_histogram_copy(sample->histogram);
    extra->buffer_count++;
    if (t_ms < GET(head->ooo_min_t))
        SET(head->ooo_min_t, t_ms);
    if (t_ms > GET(head->ooo_max_t))
        SET(head->ooo_max_t, t_ms);
    return true;
}

// A full buffer becomes a chunk, unless an open Querier must not see its newest samples: chunks have no epochs.
static bool due(const SeriesExtra *extra, uint64_t oldest)
{
    if (extra->buffer_count < OUT_OF_ORDER_BUFFER)
        return false;
    if (extra->buffer_count >= OUT_OF_ORDER_BUFFER_MAX || oldest == UINT64_MAX)
        return true;
    for (uint32_t i = 0; i < extra->buffer_count; i++)
        if ((int32_t)(extra->buffer[i].epoch - (uint32_t)oldest) > 0)
            return false;
    return true;
}

void head_out_of_order_gather(Head *head, uint64_t ref, const OutOfOrderSample *sample)
{
    if (head->late_count == head->late_cap) {
        head->late_cap = head->late_cap ? head->late_cap * 2 : 64;
        head->late = x_realloc(head->late, head->late_cap * sizeof *head->late);
        head->late_refs = x_realloc(head->late_refs, head->late_cap * sizeof *head->late_refs);
    }
    head->late_refs[head->late_count] = ref;
    head->late[head->late_count++] = *sample;
}

static WalRecordType record_type(const OutOfOrderSample *s)
{
    if (s->histogram)
        return wal_record_histogram_type(s->histogram, s->start_ms != 0);
    return s->start_ms ? WAL_SAMPLES_V2 : WAL_SAMPLES;
}

static bool log_late(Head *head, Error *err)
{
    Buf raw = {0};
    Buf packed = {0};
    bool ok = true;

    // A record of its own for each stretch of one kind keeps them in order.
    for (size_t i = 0; ok && i < head->late_count;) {
        WalRecordType type = record_type(&head->late[i]);
        WalRecordWriter writer = wal_record_begin(&raw, type);
        for (; i < head->late_count && writer.count < 16384 && raw.len < 1000000; i++) {
            const OutOfOrderSample *s = &head->late[i];
            WalSample sample = {head->late_refs[i], s->t_ms, s->value};
            if (record_type(s) != type)
                break;
            if (s->histogram)
                wal_record_histogram(&writer, sample.ref, s->t_ms, s->start_ms, s->histogram);
            else if (s->start_ms)
                wal_record_samples_v2(&writer, &sample, &s->start_ms, 1);
            else
                wal_record_samples(&writer, &sample, 1);
        }
        WalRecord record = {.flags =
                                wal_compress(head->options.wal_compression, buf_str(&raw), &packed),
                            .raw_bytes = raw.len};
        record.bytes = buf_str(&packed);
        ok = wal_write(head->wbl, &record, 1, err);
        buf_reset(&raw);
        buf_reset(&packed);
    }
    buf_deinit(&raw);
    buf_deinit(&packed);
    return ok;
}

// Makes chunks of the buffers that are full. The markers go to the log before the samples that come now: at replay a marker says that
// what was logged before it is in the chunk. So the kernel has the chunk first; one without a marker is dropped at replay, where its samples
// are still in the log.
static bool flush_due(Head *head, uint64_t oldest, Error *err)
{
    Buf raw = {0};
    Error later = {0};
    bool ok = true;
    WalRecordWriter markers = wal_record_begin(&raw, WAL_MMAP_MARKERS);

    for (size_t i = 0; i < head->late_count; i++) {
        uint64_t ref = head->late_refs[i];
        Series *series = series_at(&head->index.series, series_slot(&head->index.series, ref));
        lock_take(&head->stripes[series_stripe(ref)]);
        SeriesExtra *extra =
            series_ref(series) == ref ? head_extra(head, ref, series, false) : NULL;
        if (extra && due(extra, oldest))
            (void)head_out_of_order_flush(head, ref, series, extra,
                                          &markers); // else it stays in the buffer
        lock_give(&head->stripes[series_stripe(ref)]);
    }
    if (markers.count && head_chunks_flush(head->chunks, &later)) {
        WalRecord record = {.bytes = buf_str(&raw), .flags = WAL_RAW};
        ok = wal_write(head->wbl, &record, 1, err);
    }
    buf_deinit(&raw);
    return ok;
}

static void insert_late(Head *head, uint32_t epoch)
{
    for (size_t i = 0; i < head->late_count; i++) {
        uint64_t ref = head->late_refs[i];
        OutOfOrderSample *s = &head->late[i];
        Series *series = series_at(&head->index.series, series_slot(&head->index.series, ref));
        lock_take(&head->stripes[series_stripe(ref)]);
        if (series_ref(series) == ref) {
            s->epoch = epoch;
            if (head_out_of_order_insert(head, ref, series, s))
                COUNT(head, out_of_order_appended, 1);
            else
                COUNT(head, duplicates, 1);
        }
        lock_give(&head->stripes[series_stripe(ref)]);
    }
}

bool head_out_of_order_apply(Head *head, uint32_t epoch, Error *err)
{
    uint64_t oldest;
    uint64_t newest;

    head_read_epochs(head, &oldest, &newest);
    bool ok = head_out_of_order_open_log(head, err) && flush_due(head, oldest, err) &&
              log_late(head, err);
    if (ok) {
        insert_late(head, epoch);
        ok = head->options.wal_sync != TSDB_SYNC_COMMIT || wal_sync(head->wbl, err);
    }
    for (size_t i = 0; i < head->late_count; i++)
        free(head->late[i].histogram);
    head->late_count = 0;
    return ok;
}

// --- blocks ---

typedef void (*EachExtra)(void *arg, uint64_t ref, Series *series, SeriesExtra *extra);

// All series that have an extra, each under its stripe. The caller leads: nobody adds one meanwhile.
static void each_extra(Head *head, EachExtra each, void *arg)
{
    for (unsigned s = 0; s < SERIES_STRIPES; s++) {
        lock_take(&head->stripes[s]);
        RefMap *map = &head->extras[s];
        for (size_t i = 0; i < map->size; i++) {
            uint64_t ref = map->entries[i].ref;
            if (!ref)
                continue;
            Series *series = series_at(&head->index.series, series_slot(&head->index.series, ref));
            each(arg, ref, series, (SeriesExtra *)(uintptr_t)map->entries[i].value);
        }
        lock_give(&head->stripes[s]);
    }
}

static void gather_stranded(void *arg, uint64_t ref, Series *series, SeriesExtra *extra)
{
    (void)series;
    for (uint32_t i = 0; i < extra->buffer_count; i++) {
        if (!extra->buffer[i].stranded)
            continue;
        extra->buffer[i].stranded = false;
        head_out_of_order_gather(arg, ref, &extra->buffer[i]);
    }
}

void head_out_of_order_log_stranded(Head *head)
{
    Error err = {0};

    each_extra(head, gather_stranded, head);
    if (head->late_count && !log_late(head, &err))
        log_warn("late samples cannot be logged again, ignoring: a Prometheus would miss them",
                 KV("samples", head->late_count), KV("err", &err));
    head->late_count = 0; // the buffers own the histograms
}

typedef struct Freeze {
    Head *head;
    WalRecordWriter markers;
    int64_t min_t, max_t;
    bool ok;
} Freeze;

static void freeze(void *arg, uint64_t ref, Series *series, SeriesExtra *extra)
{
    Freeze *f = arg;

    if (extra->buffer_count && !head_out_of_order_flush(f->head, ref, series, extra, &f->markers))
        f->ok = false;
    extra->frozen = extra->chunk_count;
    for (uint32_t i = 0; i < extra->chunk_count; i++) {
        f->min_t = MIN(f->min_t, extra->chunks[i].min_t_ms);
        f->max_t = MAX(f->max_t, extra->chunks[i].max_t_ms);
    }
}

static void thaw(void *arg, uint64_t ref, Series *series, SeriesExtra *extra)
{
    (void)arg;
    (void)ref;
    (void)series;
    extra->frozen = 0;
}

bool head_out_of_order_begin(Head *head, bool *ret_any, int64_t *ret_min_t_ms,
                             int64_t *ret_max_t_ms, Error *err)
{
    Buf raw = {0};
    Freeze f = {.head = head, .min_t = INT64_MAX, .max_t = INT64_MIN, .ok = true};
    bool ok = true;

    head_lead(head);
    ASSERT(!head->ooo_frozen);
    bool settled = head_out_of_order_settle(head, err);
    if (!settled || GET(head->ooo_min_t) == INT64_MAX) {
        head_follow(head);
        *ret_any = false;
        return settled;
    }
    f.markers = wal_record_begin(&raw, WAL_MMAP_MARKERS);
    each_extra(head, freeze, &f);
    if (!f.ok)
        ok = error_set(err, ERR_IO, "the disk takes no out-of-order chunks");
    ok = ok && head_chunks_flush(head->chunks, err) && head_out_of_order_open_log(head, err);
    if (ok && f.markers.count) {
        WalRecord record = {.bytes = buf_str(&raw), .flags = WAL_RAW};
        ok = wal_write(head->wbl, &record, 1, err);
    }
    ok = ok && wal_cut(head->wbl, &head->ooo_wbl_segment, err);
    if (!ok)
        each_extra(head, thaw, NULL);
    head->ooo_frozen = ok && f.min_t <= f.max_t;
    head_follow(head);
    buf_deinit(&raw);
    if (!ok)
        return error_context(err, "freeze out-of-order samples");
    *ret_any = f.min_t <= f.max_t;
    *ret_min_t_ms = f.min_t;
    *ret_max_t_ms = f.max_t;
    return true;
}

typedef struct NextTime {
    int64_t from;
    int64_t t; // INT64_MAX: none
} NextTime;

static void find_next(void *arg, uint64_t ref, Series *series, SeriesExtra *extra)
{
    NextTime *next = arg;

    (void)ref;
    (void)series;
    for (uint32_t i = 0; i < extra->frozen; i++)
        if (extra->chunks[i].max_t_ms >= next->from)
            next->t = MIN(next->t, MAX(extra->chunks[i].min_t_ms, next->from));
}

bool head_out_of_order_next(Head *head, int64_t from_t_ms, int64_t *ret_t_ms)
{
    NextTime next = {from_t_ms, INT64_MAX};

    head_lead(head);
    each_extra(head, find_next, &next);
    head_follow(head);
    if (next.t == INT64_MAX)
        return false;
    *ret_t_ms = next.t;
    return true;
}

typedef struct Drop {
    Head *head;
    int64_t min_t, max_t;
    uint64_t dropped;
} Drop;

static void drop_frozen(void *arg, uint64_t ref, Series *series, SeriesExtra *extra)
{
    Drop *d = arg;

    (void)ref;
    (void)series;
    d->dropped += extra->frozen;
    extra->chunk_count -= extra->frozen;
    if (extra->frozen && extra->chunk_count)
        memmove(extra->chunks, extra->chunks + extra->frozen,
                extra->chunk_count * sizeof *extra->chunks);
    extra->frozen = 0;
    if (!extra->chunk_count) {
        free(extra->chunks);
        extra->chunks = NULL;
        extra->chunk_cap = 0;
    }
    for (uint32_t i = 0; i < extra->chunk_count; i++) {
        d->min_t = MIN(d->min_t, extra->chunks[i].min_t_ms);
        d->max_t = MAX(d->max_t, extra->chunks[i].max_t_ms);
    }
    if (extra->buffer_count) {
        d->min_t = MIN(d->min_t, extra->buffer[0].t_ms);
        d->max_t = MAX(d->max_t, extra->buffer[extra->buffer_count - 1].t_ms);
    }
}

bool head_out_of_order_settle(Head *head, Error *err)
{
    if (!head->ooo_unsettled)
        return true;
    // The folder is synced also if an attempt before this one has removed all of them.
    if (!wal_truncate(head->wbl, head->ooo_wbl_segment, err) ||
        !fs_sync_dir(head->fs, head->wbl_dir, err))
        return error_context(err, "remove out-of-order samples from the log that have a block");
    head->ooo_unsettled = false;
    SET(head->twins_in_wbl, false); // what was there at the start is gone
    return true;
}

bool head_out_of_order_finish(Head *head, bool done, Error *err)
{
    Drop d = {.head = head, .min_t = INT64_MAX, .max_t = INT64_MIN};
    bool ok = true;

    if (done) {
        lock_take(&head->readers_lock);
        uint64_t number = head->reader_number;
        lock_give(&head->readers_lock);
        head_read_wait(head, number, INT64_MAX);
    }
    head_lead(head);
    if (!done) {
        each_extra(head, thaw, NULL);
    } else if (head->ooo_frozen) {
        each_extra(head, drop_frozen, &d);
        SET(head->ooo_min_t, d.min_t);
        SET(head->ooo_max_t, d.max_t);
        COUNT(head, chunks_removed, d.dropped);
        COUNT(head, chunks, -d.dropped);
        head->ooo_unsettled = true;
        ok = head_out_of_order_settle(head, err);
    }
    head->ooo_frozen = false;
    head_follow(head);
    return ok;
}
