// SPDX-License-Identifier: Apache-2.0
#include "tsdb/head_replay_shards.h"

#include <stdlib.h>

#include "tsdb/head_replay_ring.h"

#define SHARD_BATCHES 4
#define BATCH_SAMPLES 4096
#define KEEP_BYTES (1024 * 1024) // of a batch's arena

// What few samples have.
typedef struct RichSample {
    const Histogram *histogram; // in the batch's arena; NULL: a float
    int64_t start_ms;
} RichSample;

typedef struct ShardSample {
    int64_t t_ms;
    double value;
    SeriesSlot slot;
    uint32_t rich; // 1 + place in the batch's list; 0: none
} ShardSample;

typedef struct ShardBatch {
    ShardSample *samples; // BATCH_SAMPLES
    size_t count;
    RichSample *rich;
    size_t rich_count;
    size_t rich_cap;
    Arena arena;
} ShardBatch;

typedef struct Shard {
    Head *head;
    Thread thread;
    ReplayRing ring;
    ShardBatch batches[SHARD_BATCHES];
    ShardBatch *filling; // NULL: none
    ReplayApplied applied;
} Shard;

struct ReplayShards {
    Head *head;
    Lock pool_lock;
    Pool part; // of the thread that fills
    int count;
    Shard shards[REPLAY_SHARDS_MAX];
};

// --- a shard's thread ---

static void apply_sample(Shard *shard, const ShardBatch *batch, const ShardSample *sample,
                         uint64_t ref, Series *series)
{
    Head *head = shard->head;
    const RichSample *rich = sample->rich ? &batch->rich[sample->rich - 1] : NULL;
    const Histogram *h = rich ? rich->histogram : NULL;
    bool has = series_flags(series) & SERIES_HAS_SAMPLES;

    if (has && sample->t_ms <= series->xor_state.t_ms) {
        // The newest of the full chunks: its value tells duplicates from now on.
        if (sample->t_ms == series->xor_state.t_ms && !series->chunk && !h) {
            series->xor_state.value = chunk_xor_to_bits(sample->value);
            series_set_flags(series, SERIES_HAS_VALUE, 0);
        }
        return;
    }
    bool ok = h ? head_append_histogram(head, ref, series, sample->t_ms, h)
                : head_append_float(head, ref, series, sample->t_ms, sample->value);
    if (UNLIKELY(!ok)) {
        shard->applied.refused++;
        return;
    }
    head_starts_note(head, ref, series, rich ? rich->start_ms : 0);
    shard->applied.min_t_ms = MIN(shard->applied.min_t_ms, sample->t_ms);
    shard->applied.max_t_ms = MAX(shard->applied.max_t_ms, sample->t_ms);
    shard->applied.samples++;
    shard->applied.filled += !has;
}

// Two steps ahead: the record, then, by what stands in it, the newest block of its open chunk.
static void look_ahead(const Head *head, const ShardBatch *batch, size_t i)
{
    if (i + 16 < batch->count)
        __builtin_prefetch(series_at(&head->index.series, batch->samples[i + 16].slot), 1);
    if (i + 8 < batch->count) {
        const Series *series = series_at(&head->index.series, batch->samples[i + 8].slot);
        if (series->chunk)
            __builtin_prefetch(pool_at(&head->pool, series->chunk), 1);
    }
}

static void apply_batch(Shard *shard, ShardBatch *batch)
{
    Head *head = shard->head;
    unsigned held = SERIES_STRIPES;

    for (size_t i = 0; i < batch->count; i++) {
        Series *series = series_at(&head->index.series, batch->samples[i].slot);
        uint64_t ref = series_ref(series);
        look_ahead(head, batch, i);
        head_hold_stripe(head, &held, ref);
        apply_sample(shard, batch, &batch->samples[i], ref, series);
    }
    head_give_stripe(head, held);
    batch->count = batch->rich_count = 0;
    if (batch->arena.held_bytes > KEEP_BYTES)
        arena_deinit(&batch->arena);
    else
        arena_reset(&batch->arena);
}

static void run_shard(void *arg)
{
    Shard *shard = arg;
    Pool part;
    unsigned place;

    pool_part_begin(&shard->head->pool, &part);
    while (replay_ring_empty(&shard->ring, &place)) {
        apply_batch(shard, &shard->batches[place]);
        replay_ring_emptied(&shard->ring);
    }
    pool_part_end(&shard->head->pool, &part);
}

// --- the thread that fills ---

static void free_shard(Shard *shard)
{
    for (size_t i = 0; i < SHARD_BATCHES; i++) {
        free(shard->batches[i].samples);
        free(shard->batches[i].rich);
        arena_deinit(&shard->batches[i].arena);
    }
    replay_ring_deinit(&shard->ring);
}

static void end_all(ReplayShards *shards)
{
    for (int i = 0; i < shards->count; i++)
        replay_ring_end(&shards->shards[i].ring);
    for (int i = 0; i < shards->count; i++) {
        thread_join(&shards->shards[i].thread);
        free_shard(&shards->shards[i]);
    }
    pool_part_end(&shards->head->pool, &shards->part);
    pool_unshare(&shards->head->pool);
    lock_deinit(&shards->pool_lock);
}

static bool start_shard(ReplayShards *shards, Error *err)
{
    Shard *shard = &shards->shards[shards->count];

    *shard =
        (Shard){.head = shards->head, .applied = {.min_t_ms = INT64_MAX, .max_t_ms = INT64_MIN}};
    replay_ring_init(&shard->ring, "replay samples", SHARD_BATCHES);
    for (size_t i = 0; i < SHARD_BATCHES; i++)
        shard->batches[i].samples = X_ARRAY(ShardSample, BATCH_SAMPLES);
    if (!thread_start(&shard->thread, "replay-apply", run_shard, shard, err)) {
        free_shard(shard);
        return false;
    }
    shards->count++;
    return true;
}

bool replay_shards_start(Head *head, int threads, ReplayShards **ret_shards, Error *err)
{
    ReplayShards *shards = X_NEW(ReplayShards);
    int wanted = threads > 0 ? threads : MAX(thread_cores() - 1, 1);

    shards->head = head;
    lock_init(&shards->pool_lock, "head pool", POOL_SHARE_RANK);
    pool_share(&head->pool, &shards->pool_lock);
    pool_part_begin(&head->pool, &shards->part);
    for (int i = 0; i < MIN(wanted, REPLAY_SHARDS_MAX); i++) {
        if (!start_shard(shards, err)) {
            end_all(shards);
            free(shards);
            return false;
        }
    }
    *ret_shards = shards;
    return true;
}

static uint32_t add_rich(ShardBatch *batch, const Histogram *histogram, int64_t start_ms)
{
    if (batch->rich_count == batch->rich_cap) {
        batch->rich_cap = batch->rich_cap ? batch->rich_cap * 2 : 64;
        batch->rich = x_realloc(batch->rich, batch->rich_cap * sizeof *batch->rich);
    }
    batch->rich[batch->rich_count++] =
        (RichSample){histogram ? histogram_copy(&batch->arena, histogram) : NULL, start_ms};
    return (uint32_t)batch->rich_count;
}

static void pass_on(Shard *shard)
{
    shard->filling = NULL;
    replay_ring_filled(&shard->ring);
}

void replay_shards_add(ReplayShards *shards, uint64_t ref, SeriesSlot slot, int64_t t_ms,
                       double value, const Histogram *histogram, int64_t start_ms)
{
    Shard *shard = &shards->shards[series_stripe(ref) % (unsigned)shards->count];

    if (!shard->filling)
        shard->filling = &shard->batches[replay_ring_fill(&shard->ring)];
    ShardBatch *batch = shard->filling;
    ShardSample *sample = &batch->samples[batch->count++];
    *sample = (ShardSample){t_ms, value, slot, 0};
    if (UNLIKELY(histogram || start_ms))
        sample->rich = add_rich(batch, histogram, start_ms);
    if (batch->count == BATCH_SAMPLES || batch->arena.held_bytes > KEEP_BYTES)
        pass_on(shard);
}

void replay_shards_drain(ReplayShards *shards)
{
    for (int i = 0; i < shards->count; i++)
        if (shards->shards[i].filling && shards->shards[i].filling->count)
            pass_on(&shards->shards[i]);
    for (int i = 0; i < shards->count; i++)
        replay_ring_drain(&shards->shards[i].ring);
}

void replay_shards_finish(ReplayShards *shards, ReplayApplied *ret_applied)
{
    *ret_applied = (ReplayApplied){.min_t_ms = INT64_MAX, .max_t_ms = INT64_MIN};
    if (!shards)
        return;
    replay_shards_drain(shards);
    for (int i = 0; i < shards->count; i++) {
        const ReplayApplied *applied = &shards->shards[i].applied;
        ret_applied->samples += applied->samples;
        ret_applied->refused += applied->refused;
        ret_applied->filled += applied->filled;
        ret_applied->min_t_ms = MIN(ret_applied->min_t_ms, applied->min_t_ms);
        ret_applied->max_t_ms = MAX(ret_applied->max_t_ms, applied->max_t_ms);
    }
    end_all(shards);
    free(shards);
}
