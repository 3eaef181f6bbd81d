// SPDX-License-Identifier: Apache-2.0
#include "tsdb/chunk_batch.h"

void chunk_batch_init(ChunkBatch *batch, size_t series_max, Arena *scratch)
{
    *batch = (ChunkBatch){
        .scratch = scratch,
        .series = ARENA_ARRAY(scratch, ChunkBatchSeries, series_max),
        .series_cap = series_max,
    };
}

static ChunkBatchSeries *at_hand(ChunkBatch *batch)
{
    return &batch->series[batch->series_count - 1];
}

void chunk_batch_begin(ChunkBatch *batch)
{
    ASSERT(batch->series_count < batch->series_cap);
    batch->series[batch->series_count++] = (ChunkBatchSeries){.first = batch->job_count,
                                                              .narrow = SIZE_MAX,
                                                              .min_t_ms = INT64_MIN,
                                                              .max_t_ms = INT64_MAX,
                                                              .is_plain = true};
}

void chunk_batch_narrow(ChunkBatch *batch, int64_t min_t_ms, int64_t max_t_ms)
{
    ChunkBatchSeries *series = at_hand(batch);

    series->narrow = series->count;
    series->min_t_ms = min_t_ms;
    series->max_t_ms = max_t_ms;
}

void chunk_batch_refuse(ChunkBatch *batch)
{
    ChunkBatchSeries *series = at_hand(batch);

    series->is_plain = false;
    series->count = 0;
    batch->job_count = series->first;
}

void chunk_batch_add(ChunkBatch *batch, ChunkEncoding encoding, Str bytes)
{
    ChunkBatchSeries *series = at_hand(batch);
    size_t samples = chunk_xor_count(bytes);

    if (!series->is_plain)
        return;
    // Two bits are the least that a sample takes: a count beyond cannot be.
    if (encoding != CHUNK_XOR || samples > bytes.len * 8) {
        chunk_batch_refuse(batch);
        return;
    }
    if (samples == 0)
        return;
    if (batch->job_count == batch->job_cap) {
        size_t cap = batch->job_cap ? 2 * batch->job_cap : 64;
        batch->jobs = arena_grow(batch->scratch, batch->jobs, batch->job_cap * sizeof(ChunkXorJob),
                                 cap * sizeof(ChunkXorJob));
        batch->job_cap = cap;
    }
    batch->jobs[batch->job_count++] = (ChunkXorJob){.chunk = bytes, .max = samples};
    series->count++;
}

// Room for the samples of one series, which its jobs share.
static bool make_room(ChunkXorJob *jobs, size_t count, Arena *arena, SampleColumns *ret_columns,
                      Error *err)
{
    size_t samples = 0;

    for (size_t i = 0; i < count; i++)
        samples += jobs[i].max;
    if (!arena_reserve(arena, samples * 2 * sizeof(int64_t) + 2 * ARENA_ALIGN, err))
        return false;
    *ret_columns = (SampleColumns){.t_ms = ARENA_ARRAY(arena, int64_t, samples),
                                   .value = ARENA_ARRAY(arena, double, samples)};
    samples = 0;
    for (size_t i = 0; i < count; i++) {
        jobs[i].t_ms = ret_columns->t_ms + samples;
        jobs[i].value = ret_columns->value + samples;
        samples += jobs[i].max;
    }
    return true;
}

static size_t first_not_below(const int64_t *t_ms, size_t count, int64_t min_t_ms)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (t_ms[middle] < min_t_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_whole(const ChunkXorJob *job, int64_t until_ms)
{
    return job->done == job->max || (job->done > 0 && job->t_ms[job->done - 1] > until_ms);
}

// Sees to the window of the last jobs, whose samples are the last of the column. False: it cuts into the middle.
static bool narrow(const ChunkBatchSeries *series, const ChunkXorJob *jobs, SampleColumns *columns,
                   int64_t *min_t_ms)
{
    if (series->narrow >= series->count)
        return true;
    size_t from = (size_t)(jobs[series->narrow].t_ms - columns->t_ms);
    while (columns->count > from && columns->t_ms[columns->count - 1] > series->max_t_ms)
        columns->count--;
    if (columns->count <= from || columns->t_ms[from] >= series->min_t_ms)
        return true;
    *min_t_ms = MAX(*min_t_ms, series->min_t_ms);
    return series->narrow == 0;
}

// The jobs' samples as one column in the time range. False: a chunk is torn or not behind the one before.
static bool join(const ChunkBatchSeries *series, const ChunkXorJob *jobs, int64_t min_t_ms,
                 int64_t max_t_ms, SampleColumns *columns)
{
    size_t end = 0;
    int64_t last_ms = INT64_MIN;

    for (size_t i = 0; i < series->count; i++) {
        const ChunkXorJob *job = &jobs[i];
        if (!is_whole(job, max_t_ms) || (i > 0 && job->t_ms[0] <= last_ms))
            return false;
        last_ms = job->t_ms[job->done - 1];
        // One before it that was not decoded to its end ends too late, and so does all behind that.
        if ((size_t)(job->t_ms - columns->t_ms) == end)
            end += job->done;
    }
    columns->count = end;
    while (columns->count > 0 && columns->t_ms[columns->count - 1] > max_t_ms)
        columns->count--;
    if (!narrow(series, jobs, columns, &min_t_ms))
        return false;
    size_t from = first_not_below(columns->t_ms, columns->count, min_t_ms);
    columns->t_ms += from;
    columns->value += from;
    columns->count -= from;
    return true;
}

bool chunk_batch_decode(ChunkBatch *batch, int64_t min_t_ms, int64_t max_t_ms, Arena *arena,
                        SampleColumns *ret_columns, bool *ret_done, Error *err)
{
    for (size_t i = 0; i < batch->series_count; i++) {
        const ChunkBatchSeries *series = &batch->series[i];
        ret_columns[i] = (SampleColumns){0};
        if (series->is_plain && series->count &&
            !make_room(batch->jobs + series->first, series->count, arena, &ret_columns[i], err))
            return false;
    }
    if (batch->job_count)
        chunk_xor_decode_many(batch->jobs, batch->job_count, max_t_ms);
    for (size_t i = 0; i < batch->series_count; i++) {
        const ChunkBatchSeries *series = &batch->series[i];
        ret_done[i] =
            series->is_plain && (!series->count || join(series, batch->jobs + series->first,
                                                        min_t_ms, max_t_ms, &ret_columns[i]));
    }
    return true;
}
