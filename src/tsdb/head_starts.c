// SPDX-License-Identifier: Apache-2.0
// Start timestamps in the head. The open chunk of a series is the same with and without them: they stand beside it in runs, one for
// as long as a counter lives, and are woven into the chunk when it is read or full. Series without pay nothing.
#include <stdlib.h>

#include "tsdb/chunk_start.h"
#include "tsdb/head_internal.h"

void head_starts_note_slow(Head *head, uint64_t ref, Series *series, int64_t start_ms)
{
    SeriesExtra *extra = head_extra(head, ref, series, true);
    unsigned flags = series_flags(series);
    size_t count = flags & SERIES_HAS_HISTOGRAM ? chunk_histogram_count(extra->histogram)
                                                : series->xor_state.count;
    int64_t newest = extra->start_count ? extra->starts[extra->start_count - 1].start_ms : 0;

    if (start_ms == newest)
        return;
    if (extra->start_count == extra->start_cap) {
        extra->start_cap = extra->start_cap ? extra->start_cap * 2 : 1;
        extra->starts = x_realloc(extra->starts, extra->start_cap * sizeof *extra->starts);
    }
    extra->starts[extra->start_count++] = (StartRun){(uint32_t)count - 1, start_ms};
    series_set_flags(series, SERIES_HAS_STARTS, 0);
}

void head_starts_clear(Series *series, SeriesExtra *extra)
{
    if (!(series_flags(series) & SERIES_HAS_STARTS))
        return;
    series_set_flags(series, 0, SERIES_HAS_STARTS);
    extra->start_count = 0;
    if (extra->start_cap > 1) { // one run is what most need next
        free(extra->starts);
        extra->starts = NULL;
        extra->start_cap = 0;
    }
}

void head_starts_weave(const StartRun *runs, size_t run_count, Arena *arena,
                       ChunkEncoding *encoding, Str *chunk)
{
    size_t count = chunk_sample_count(*encoding, *chunk);

    if (!run_count || !count)
        return;
    int64_t *start_ms = ARENA_ARRAY(arena, int64_t, count);
    size_t at = 0;
    int64_t now = 0;
    for (size_t i = 0; i < count; i++) {
        if (at < run_count && runs[at].from == i)
            now = runs[at++].start_ms;
        start_ms[i] = now;
    }
    (void)chunk_start_weave(arena, encoding, chunk, start_ms);
}
