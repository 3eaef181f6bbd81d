// SPDX-License-Identifier: Apache-2.0
// Series that have ended: their newest sample is a staleness marker. They are counted, and if so configured given to blocks early.
#include <stdlib.h>

#include "tsdb/head_internal.h"

typedef struct Look {
    Head *head;
    uint64_t stale, histogram_series, histogram_buckets;
    bool want_refs;
    HeadStale *out;
    size_t cap;
} Look;

bool head_stale_is(const Series *series, const SeriesExtra *extra)
{
    unsigned flags = series_flags(series);

    if (!series->chunk && !series->full && !(flags & SERIES_HAS_HISTOGRAM))
        return false; // it holds nothing
    if (flags & SERIES_HAS_HISTOGRAM) {
        const Histogram *last = chunk_histogram_last(extra->histogram);
        return last && is_stale_nan(last->sum);
    }
    return flags & SERIES_ENDED ||
           (flags & SERIES_HAS_VALUE && is_stale_nan(chunk_xor_value(&series->xor_state)));
}

bool head_stale_goes(Head *head, uint64_t ref, Series *series)
{
    const SeriesExtra *extra = head_extra(head, ref, series, false);
    // Asked for since the look before the last one: somebody may hold its ref and a sample.
    bool young = (uint8_t)(GET(head->generation) - series_generation(series)) < 2;

    // Exemplars are in no block: a restart reads them from the log, where their series must be.
    return !young && head_stale_is(series, extra) &&
           !(extra && (extra->buffer_count || extra->chunk_count)) &&
           !(head_exemplars_max(head->exemplars) && head_exemplars_knows(head->exemplars, ref));
}

static void note(Look *look, uint64_t ref, Series *series)
{
    HeadStale *out = look->out;

    if (out->count == look->cap) {
        look->cap = look->cap ? look->cap * 2 : 1024;
        out->refs = x_realloc(out->refs, look->cap * sizeof *out->refs);
    }
    out->refs[out->count++] = ref;
    out->min_t_ms = MIN(out->min_t_ms, head_first_time(look->head, series,
                                                       head_extra(look->head, ref, series, false)));
    out->max_t_ms = MAX(out->max_t_ms, series->xor_state.t_ms);
}

static bool look_at(void *arg, uint64_t ref, Series *series)
{
    Look *look = arg;
    const SeriesExtra *extra = head_extra(look->head, ref, series, false);

    head_newest_learn(look->head, series);
    if (series_flags(series) & SERIES_HAS_HISTOGRAM) {
        const Histogram *last = chunk_histogram_last(extra->histogram);
        look->histogram_series++;
        look->histogram_buckets += last ? last->positive_count + last->negative_count : 0;
    }
    if (!head_stale_is(series, extra))
        return true;
    look->stale++;
    if (look->want_refs && head_stale_goes(look->head, ref, series))
        note(look, ref, series);
    return true;
}

void head_stale_look(Head *head, bool want_refs, HeadStale *ret_stale)
{
    HeadStale stale = {
        .series = GET(head->counters.series), .min_t_ms = INT64_MAX, .max_t_ms = INT64_MIN};
    Look look = {.head = head, .want_refs = want_refs, .out = &stale};

    if (want_refs)
        SET(head->generation, (uint8_t)(GET(head->generation) + 1));
    head_each_series(head, look_at, &look);
    SET(head->counters.stale_series, look.stale);
    SET(head->counters.native_histogram_series, look.histogram_series);
    SET(head->counters.native_histogram_buckets, look.histogram_buckets);
    *ret_stale = stale;
}

void head_stale_free(HeadStale *stale)
{
    free(stale->refs);
    *stale = (HeadStale){0};
}
