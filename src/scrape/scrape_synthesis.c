// SPDX-License-Identifier: Apache-2.0
#include "scrape/scrape_synthesis.h"

#include <stdlib.h>

#define SLOTS_MIN 64

// A histogram that is kept. Its arena is its own.
typedef struct Kept {
    Arena arena;
    Histogram *histogram; // NULL: none
} Kept;

typedef struct KeptHistograms {
    Kept first, newest, before; // `before` is what was the newest when the round began
} KeptHistograms;

// What a sample is measured by.
typedef struct Reference {
    int64_t start_ms;
    int64_t newest_ms;
    double first, newest;
    bool is_reset; // since its beginning: nothing is taken off
    bool known;    // there was a sample
} Reference;

struct SynthesisSeries {
    uint64_t hash;
    uint32_t round; // in which it was seen last
    Reference now, before;
    KeptHistograms *histograms; // NULL: a float
};

// ---- the map ----

static void series_free(SynthesisSeries *series)
{
    if (!series)
        return;
    if (series->histograms) {
        arena_deinit(&series->histograms->first.arena);
        arena_deinit(&series->histograms->newest.arena);
        arena_deinit(&series->histograms->before.arena);
        free(series->histograms);
    }
    free(series);
}

static size_t place_of(const Synthesis *synthesis, uint64_t hash)
{
    size_t at = hash & (synthesis->slot_count - 1);
    while (synthesis->slots[at] && synthesis->slots[at]->hash != hash)
        at = (at + 1) & (synthesis->slot_count - 1);
    return at;
}

// Moves what is kept to a table of the size for it.
static void rebuild(Synthesis *synthesis, size_t slot_count)
{
    SynthesisSeries **old = synthesis->slots;
    size_t old_count = synthesis->slot_count;
    synthesis->slots = X_ARRAY(SynthesisSeries *, slot_count);
    synthesis->slot_count = slot_count;
    for (size_t i = 0; i < old_count; i++)
        if (old[i])
            synthesis->slots[place_of(synthesis, old[i]->hash)] = old[i];
    free(old);
}

static SynthesisSeries *find_or_add(Synthesis *synthesis, uint64_t hash)
{
    if ((synthesis->count + 1) * 2 > synthesis->slot_count)
        rebuild(synthesis, MAX((size_t)SLOTS_MIN, synthesis->slot_count * 2));
    size_t at = place_of(synthesis, hash);
    if (!synthesis->slots[at]) {
        synthesis->slots[at] = X_NEW(SynthesisSeries);
        synthesis->slots[at]->hash = hash;
        synthesis->count++;
    }
    return synthesis->slots[at];
}

bool synthesis_knows(const Synthesis *synthesis, uint64_t hash)
{
    return synthesis->slot_count && synthesis->slots[place_of(synthesis, hash)];
}

// What it was is forgotten, the place is kept until the round ends.
void synthesis_forget(Synthesis *synthesis, uint64_t hash)
{
    if (!synthesis_knows(synthesis, hash))
        return;
    SynthesisSeries *series = synthesis->slots[place_of(synthesis, hash)];
    series->now = series->before = (Reference){0};
}

void synthesis_end_round(Synthesis *synthesis, bool failed)
{
    size_t kept = 0;
    for (size_t i = 0; i < synthesis->slot_count; i++) {
        SynthesisSeries *series = synthesis->slots[i];
        if (series && (failed || series->round != synthesis->round)) {
            series_free(series);
            synthesis->slots[i] = NULL;
        } else if (series) {
            kept++;
        }
    }
    if (kept != synthesis->count) { // holes would end the search for others
        synthesis->count = kept;
        rebuild(synthesis, synthesis->slot_count);
    }
    synthesis->round++;
}

void synthesis_deinit(Synthesis *synthesis)
{
    for (size_t i = 0; i < synthesis->slot_count; i++)
        series_free(synthesis->slots[i]);
    free(synthesis->slots);
    *synthesis = (Synthesis){0};
}

// ---- samples ----

bool synthesis_wants(MetricType type, Str name)
{
    return type == METRIC_COUNTER || type == METRIC_HISTOGRAM ||
           (type == METRIC_SUMMARY &&
            (str_ends_with(name, S("_count")) || str_ends_with(name, S("_sum"))));
}

static void keep(Kept *kept, const Histogram *histogram)
{
    arena_reset(&kept->arena);
    kept->histogram = histogram_copy(&kept->arena, histogram);
}

static void begin_sample(SynthesisSeries *series, const SinkSample *sample, uint32_t round)
{
    bool again =
        series->round == round && series->now.known && series->now.newest_ms == sample->t_ms;
    if (again) {
        series->now = series->before;
    } else {
        series->before = series->now;
        if (series->histograms) {
            Kept kept = series->histograms->before;
            series->histograms->before = series->histograms->newest;
            series->histograms->newest = kept;
        }
    }
    series->round = round;
}

static void take_float(SynthesisSeries *series, SinkSample *sample)
{
    Reference *now = &series->now;
    if (!now->known) {
        now->first = sample->value;
        now->start_ms = sample->t_ms;
    } else if (sample->value < now->newest) {
        now->is_reset = true;
        now->start_ms = sample->t_ms - 1;
    }
    now->newest = sample->value;
    if (!now->is_reset)
        sample->value -= now->first;
}

static void take_histogram(SynthesisSeries *series, SinkSample *sample, Arena *arena)
{
    Reference *now = &series->now;
    if (!series->histograms)
        series->histograms = X_NEW(KeptHistograms);
    KeptHistograms *kept = series->histograms;
    const Histogram *scraped = sample->histogram;
    Histogram *difference;
    if (!now->known || !kept->before.histogram) {
        keep(&kept->first, scraped);
        now->start_ms = sample->t_ms;
        now->known = false;
    } else if (histogram_detect_reset(kept->before.histogram, scraped)) {
        now->is_reset = true;
        now->start_ms = sample->t_ms - 1;
    } else if (!now->is_reset &&
               histogram_sub(arena, scraped, kept->first.histogram, &difference, NULL)) {
        bool is_integer = scraped->is_integer;
        difference = histogram_compact(arena, difference, 0);
        difference->hint = scraped->hint;
        difference->is_integer = is_integer;
        sample->histogram = difference;
    }
    keep(&kept->newest, scraped);
}

SynthesisVerdict synthesis_take(Synthesis *synthesis, uint64_t hash, SinkSample *sample,
                                Arena *arena)
{
    SynthesisSeries *series = find_or_add(synthesis, hash);
    if (series->now.known && sample->t_ms < series->now.newest_ms) {
        series->now = series->before = (Reference){0};
        series->round = synthesis->round;
        return SYNTHESIS_LATE;
    }
    begin_sample(series, sample, synthesis->round);
    if (sample->histogram)
        take_histogram(series, sample, arena);
    else
        take_float(series, sample);
    bool is_first = !series->now.known;
    series->now.known = true;
    series->now.newest_ms = sample->t_ms;
    sample->start_ms = series->now.start_ms;
    return is_first ? SYNTHESIS_FIRST : SYNTHESIS_STORE;
}
