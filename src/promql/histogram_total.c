// SPDX-License-Identifier: Apache-2.0
#include "promql/histogram_total.h"

void histogram_total_begin(HistogramTotal *total, bool average)
{
    *total = (HistogramTotal){
        .arenas = {total->arenas[0], total->arenas[1]},
        .average = average,
    };
}

// Adds h / divisor to sum * factor.
static bool add_scaled(HistogramTotal *total, const Histogram *h, double factor, double divisor)
{
    Arena *arena = &total->arenas[total->side ^ 1];
    arena_reset(arena);
    const Histogram *sum = total->sum, *compensation = total->compensation;
    if (divisor != 1) {
        sum = histogram_scale(arena, sum, factor);
        compensation = compensation ? histogram_scale(arena, compensation, factor) : NULL;
        h = histogram_div(arena, h, divisor);
    }
    Histogram *next, *next_compensation = NULL;
    bool mismatch = false;
    if (!histogram_add_kahan(arena, sum, h, compensation, &next, &next_compensation, &mismatch))
        return false;
    total->mismatch |= mismatch;
    total->sum = next;
    total->compensation = next_compensation;
    total->side ^= 1;
    return true;
}

// Goes back to the sum before the last addition, which is still in the other arena, and makes a mean of it.
static void become_mean(HistogramTotal *total, const Histogram *sum, const Histogram *compensation)
{
    Arena *arena = &total->arenas[total->side]; // holds the overflown sum
    double count = total->count - 1;
    total->is_mean = true;
    total->sum = histogram_div(arena, sum, count);
    total->compensation = compensation ? histogram_div(arena, compensation, count) : NULL;
}

bool histogram_total_add(HistogramTotal *total, const Histogram *h)
{
    total->reset_hint |= h->hint == HINT_RESET;
    total->no_reset_hint |= h->hint == HINT_NO_RESET;
    total->count++;
    if (!total->sum) {
        total->sum = h;
        return true;
    }
    if (!total->is_mean) {
        const Histogram *sum = total->sum, *compensation = total->compensation;
        if (!add_scaled(total, h, 1, 1))
            return false;
        if (!total->average || !histogram_has_overflow(total->sum))
            return true;
        become_mean(total, sum, compensation);
    }
    return add_scaled(total, h, (total->count - 1) / total->count, total->count);
}

const Histogram *histogram_total_end(HistogramTotal *total)
{
    Arena *arena = &total->arenas[total->side ^ 1];
    arena_reset(arena);
    const Histogram *sum = total->sum, *compensation = total->compensation;
    if (total->average && !total->is_mean && total->count > 1) {
        sum = histogram_div(arena, sum, total->count);
        compensation = compensation ? histogram_div(arena, compensation, total->count) : NULL;
    }
    Histogram *exact;
    bool mismatch = false;
    if (compensation && histogram_add(arena, sum, compensation, &exact, &mismatch)) {
        total->mismatch |= mismatch;
        exact->hint = sum->hint;
        sum = exact;
    }
    return sum;
}

void histogram_total_deinit(HistogramTotal *total)
{
    arena_deinit(&total->arenas[0]);
    arena_deinit(&total->arenas[1]);
}
