// SPDX-License-Identifier: Apache-2.0
// What the log says besides samples.
//
// One thread is here. Samples that were sent to the shards may not be in their series yet: whoever needs them there drains the shards.
#include "tsdb/head_replay_internal.h"
#include "tsdb/head_replay_shards.h"

#define BATCH 256

// A ref that anything on disk names is not given to another series, also if the log has lost whose it was.
static void keep_ref(Head *head, uint64_t ref)
{
    if (ref <= SERIES_REF_MAX)
        head->index.next_ref = MAX(head->index.next_ref, ref + 1);
}

// --- records ---

static bool labels_sorted(Labels labels)
{
    for (size_t i = 0; i < labels.count; i++) {
        if (!labels.pairs[i].value.len || labels.pairs[i].name.len > HEAD_LABEL_BYTES_MAX ||
            labels.pairs[i].value.len > HEAD_LABEL_BYTES_MAX)
            return false;
        if (i && str_compare(labels.pairs[i - 1].name, labels.pairs[i].name) >= 0)
            return false;
    }
    return labels.count > 0 && labels.count <= HEAD_LABELS_MAX;
}

void replay_series(Replay *r, const WalEntry *e)
{
    Head *head = r->head;

    if (!e->ref || e->ref > SERIES_REF_MAX || !labels_sorted(e->labels)) {
        r->malformed++;
        return;
    }
    SeriesSlot slot = head_index_find(&head->index, e->labels, r->key);
    bool fresh = !slot;
    uint64_t ref = e->ref;
    if (slot) {
        ref = series_ref(series_at(&head->index.series, slot));
        if (ref != e->ref)
            ref_map_put(&head->twins, e->ref, ref);
    } else if (series_slot(&head->index.series, e->ref)) {
        r->malformed++; // two label sets under one ref
        return;
    } else {
        slot = head_append_create(head, e->labels, r->key, e->ref, false);
    }
    r->series++;
    head->index.next_ref = MAX(head->index.next_ref, e->ref + 1);
    if (replay_chunks_has(&r->chunks, e->ref)) {
        if (!fresh && r->shards)
            replay_shards_drain(r->shards);
        lock_take(&head->stripes[series_stripe(ref)]);
        replay_chunks_attach(r, e->ref, ref, series_at(&head->index.series, slot));
        lock_give(&head->stripes[series_stripe(ref)]);
    }
}

// An entry whose series nobody knows, unless that was dropped before the image.
static void count_unknown(Replay *r, uint64_t ref, HeadUnknown kind)
{
    HeadCounters *c = &r->head->counters;
    uint64_t *counts = r->pipe ? c->wal_unknown : c->wbl_unknown;

    if (ref_map_get(&r->head->expired, ref))
        return;
    counts[kind]++;
    if (!ref || ref_map_get(&r->unknown, ref))
        return;
    ref_map_put(&r->unknown, ref, 1);
    counts[HEAD_UNKNOWN_SERIES]++;
}

SeriesSlot replay_find_series(Replay *r, uint64_t *ref, HeadUnknown kind)
{
    SeriesSlot slot = series_slot(&r->head->index.series, *ref);

    if (LIKELY(slot != 0))
        return slot;
    uint64_t *twin = ref_map_get(&r->head->twins, *ref);
    if (twin) {
        *ref = *twin;
        return series_slot(&r->head->index.series, *ref);
    }
    if (UNLIKELY(replay_passed_define(r, *ref)))
        return replay_find_series(r, ref, kind);
    count_unknown(r, *ref, kind);
    keep_ref(r->head, *ref);
    return 0;
}

static void replay_sample(Replay *r, uint64_t ref, int64_t t_ms, double value,
                          const Histogram *histogram, int64_t start_ms)
{
    SeriesSlot slot =
        replay_find_series(r, &ref, histogram ? HEAD_UNKNOWN_HISTOGRAMS : HEAD_UNKNOWN_SAMPLES);

    if (slot && t_ms >= r->head->options.min_valid_t_ms)
        replay_shards_add(r->shards, slot, t_ms, value, histogram, start_ms);
}

static void replay_floats(Replay *r, WalRecordReader *reader)
{
    const SeriesTable *table = &r->head->index.series;
    int64_t min_valid_t_ms = r->head->options.min_valid_t_ms;
    WalSample samples[BATCH];
    SeriesSlot slots[BATCH];
    int64_t starts[BATCH];
    int64_t *start_ms = reader->type == WAL_SAMPLES ? NULL : starts;

    for (;;) {
        replay_shards_add_quick(r->shards, reader, min_valid_t_ms);
        size_t n = wal_record_next_samples(reader, samples, start_ms, reader->count ? BATCH : 1);
        if (!n)
            break;
        SeriesNear near = {0};
        int64_t any_start_ms = 0;
        for (size_t i = 0; i < n; i++) {
            slots[i] = series_slot_near(table, samples[i].ref, &near);
            if (UNLIKELY(!slots[i]))
                slots[i] = replay_find_series(r, &samples[i].ref, HEAD_UNKNOWN_SAMPLES);
            slots[i] = samples[i].t_ms >= min_valid_t_ms ? slots[i] : 0;
        }
        for (size_t i = 0; start_ms && i < n; i++)
            any_start_ms |= start_ms[i];
        if (LIKELY(!any_start_ms))
            replay_shards_add_floats(r->shards, slots, samples, n);
        for (size_t i = 0; any_start_ms && i < n; i++)
            if (slots[i])
                replay_shards_add(r->shards, slots[i], samples[i].t_ms, samples[i].value, NULL,
                                  start_ms[i]);
    }
}

// The series left the head here with all it had, which is in a block. What comes behind is of one that has come back; its full chunks are
// there already. (The original ends the interval at INT64_MAX.)
void replay_end_series(Replay *r, uint64_t ref, Series *series, int64_t max_t_ms)
{
    COUNT(r->head, chunks, -head_series_end(r->head, ref, series, max_t_ms));
    if (series->full || series->chunk || series_flags(series) & SERIES_HAS_HISTOGRAM)
        return;
    r->filled -= (series_flags(series) & SERIES_HAS_SAMPLES) != 0;
    series_set_flags(series, 0,
                     SERIES_HAS_SAMPLES | SERIES_HAS_VALUE | SERIES_FULL_HISTOGRAM |
                         SERIES_LEARNED | SERIES_ENDED);
}

void replay_tombstone(Replay *r, const WalEntry *e)
{
    uint64_t ref = e->ref;
    SeriesSlot slot = replay_find_series(r, &ref, HEAD_UNKNOWN_TOMBSTONES);
    bool ended = e->interval.min_t_ms == HEAD_ENDED;

    if (!slot || e->interval.min_t_ms > e->interval.max_t_ms)
        return;
    if (ended)
        replay_shards_drain(r->shards);
    Series *series = series_at(&r->head->index.series, slot);
    lock_take(&r->head->stripes[series_stripe(ref)]);
    if (ended)
        replay_end_series(r, ref, series, e->interval.max_t_ms);
    else
        intervals_add(&head_extra(r->head, ref, series, true)->deleted, e->interval);
    lock_give(&r->head->stripes[series_stripe(ref)]);
}

static void replay_exemplar(Replay *r, const WalEntry *e)
{
    Head *head = r->head;
    uint64_t ref = e->ref;
    SeriesSlot slot = head_exemplars_max(head->exemplars)
                          ? replay_find_series(r, &ref, HEAD_UNKNOWN_EXEMPLARS)
                          : 0;

    if (!slot)
        return;
    Labels labels =
        head_index_labels(&head->index, series_at(&head->index.series, slot)->labels, &r->arena);
    (void)head_exemplars_add(head->exemplars, ref, labels, &e->exemplar, head->window_ms);
}

static void replay_metadata(Replay *r, const WalEntry *e)
{
    Head *head = r->head;
    uint64_t ref = e->ref;
    SeriesSlot slot = replay_find_series(r, &ref, HEAD_UNKNOWN_METADATA);

    if (!slot)
        return;
    Labels labels =
        head_index_labels(&head->index, series_at(&head->index.series, slot)->labels, &r->arena);
    Str name = labels_get(labels, LABEL_METRIC_NAME);
    if (name.len)
        (void)head_metadata_put(head, name, e->metadata);
}

static void replay_entry(Replay *r, WalRecordType type, const WalEntry *e)
{
    switch (type) {
    case WAL_SERIES:
        replay_series(r, e);
        break;
    case WAL_TOMBSTONES:
        replay_tombstone(r, e);
        break;
    case WAL_EXEMPLARS:
        replay_exemplar(r, e);
        break;
    case WAL_METADATA:
        replay_metadata(r, e);
        break;
    case WAL_MMAP_MARKERS:
        break;
    default:
        replay_sample(r, e->ref, e->t_ms, e->value, e->histogram, e->start_ms);
    }
}

void replay_define(Replay *r, Str record)
{
    WalEntry entry;

    arena_reset(&r->arena);
    WalRecordReader reader = wal_record_read(record, &r->arena);
    if (reader.type == WAL_SAMPLES || reader.type == WAL_SAMPLES_V2)
        replay_floats(r, &reader);
    else
        while (wal_record_next(&reader, &entry))
            replay_entry(r, reader.type, &entry);
    r->malformed += reader.failed;
    r->records++;
}
