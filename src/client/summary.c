// SPDX-License-Identifier: Apache-2.0
#include "client/summary.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/lock.h"

#define SUMMARY_LOCK_RANK 899
#define LABELS_MAX 4
#define KEY_SEPARATOR '\xff' // between label values: never a byte of UTF-8

struct SummaryMetric {
    Summary *summary;
    char *label_value;
    double sum;
    uint64_t count;
    double kept[SUMMARY_KEPT]; // a ring
    int64_t at_ns[SUMMARY_KEPT];
    SummaryMetric *next;
};

struct Summary {
    const char *name;
    const char *help;
    const char *label;
    const char *const *quantiles;
    Lock lock;
    SummaryMetric *metrics GUARDED_BY(lock);
};

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static size_t sorted_recent(const SummaryMetric *metric, double *out)
{
    int64_t oldest_ns = clock_mono_ns(&clock_system) - SUMMARY_AGE_MS * INT64_C(1000000);
    size_t held = metric->count < SUMMARY_KEPT ? (size_t)metric->count : SUMMARY_KEPT;
    size_t count = 0;
    for (size_t i = 0; i < held; i++)
        if (metric->at_ns[i] >= oldest_ns)
            out[count++] = metric->kept[i];
    qsort(out, count, sizeof *out, compare_doubles);
    return count;
}

// Names and values of a child, side by side; returns how many labels there are.
static size_t label_pairs(const SummaryMetric *metric, Str *pairs)
{
    Str names = str_from_c(metric->summary->label);
    Str values = str_from_c(metric->label_value);
    size_t count = 0;
    for (Str name; count < LABELS_MAX && str_split_next(&names, ',', &name); count++) {
        pairs[2 * count] = name;
        pairs[2 * count + 1] = STR_NONE;
        (void)str_split_next(&values, KEY_SEPARATOR, &pairs[2 * count + 1]); // fewer: empty
    }
    return count;
}

static void collect_one(const Summary *summary, const SummaryMetric *metric, Collection *collection)
{
    double recent[SUMMARY_KEPT];
    size_t count = sorted_recent(metric, recent);
    Str pairs[2 * LABELS_MAX + 2];
    size_t labels = label_pairs(metric, pairs);
    Str *quantile = pairs + 2 * labels; // the last, as in the original
    quantile[0] = S("quantile");
    for (size_t i = 0; summary->quantiles[i]; i++) {
        double q = strtod(summary->quantiles[i], NULL);
        quantile[1] = str_from_c(summary->quantiles[i]);
        collection_add(collection, pairs, 1 + labels,
                       count ? recent[(size_t)(q * (double)(count - 1))] : (double)NAN);
    }
    collection_add_suffixed(collection, "_sum", pairs, labels, metric->sum);
    collection_add_suffixed(collection, "_count", pairs, labels, (double)metric->count);
}

static void collect(void *arg, Collection *collection)
{
    Summary *summary = arg;
    lock_take(&summary->lock);
    if (summary->metrics)
        collection_family(collection, summary->name, FAMILY_SUMMARY, summary->help);
    for (const SummaryMetric *m = summary->metrics; m; m = m->next)
        collect_one(summary, m, collection);
    lock_give(&summary->lock);
}

Summary *summary_new(Registry *registry, const char *name, const char *help, const char *label,
                     const char *const *quantiles)
{
    Summary *summary = X_NEW(Summary);
    summary->name = name;
    summary->help = help;
    summary->label = label;
    summary->quantiles = quantiles;
    lock_init(&summary->lock, "summary", SUMMARY_LOCK_RANK);
    registry_collector(registry, collect, summary);
    return summary;
}

static void metric_free(SummaryMetric *metric)
{
    free(metric->label_value);
    free(metric);
}

void summary_free(Summary *summary)
{
    if (!summary)
        return;
    while (summary->metrics) {
        SummaryMetric *metric = summary->metrics;
        summary->metrics = metric->next;
        metric_free(metric);
    }
    lock_deinit(&summary->lock);
    free(summary);
}

Str summary_key(Arena *arena, const Str *label_values, size_t count)
{
    CLEANUP(buf_deinit) Buf key = {0};
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_add_char(&key, KEY_SEPARATOR);
        buf_add_str(&key, label_values[i]);
    }
    return arena_str(arena, buf_str(&key));
}

SummaryMetric *summary_of(Summary *summary, Str label_value)
{
    SummaryMetric *metric;
    lock_take(&summary->lock);
    for (metric = summary->metrics; metric; metric = metric->next)
        if (str_is(label_value, metric->label_value))
            break;
    if (!metric) {
        metric = X_NEW(SummaryMetric);
        metric->summary = summary;
        metric->label_value = x_calloc(1, label_value.len + 1);
        if (label_value.len)
            memcpy(metric->label_value, label_value.ptr, label_value.len);
        metric->next = summary->metrics;
        summary->metrics = metric;
    }
    lock_give(&summary->lock);
    return metric;
}

void summary_remove(Summary *summary, Str label_value)
{
    lock_take(&summary->lock);
    for (SummaryMetric **at = &summary->metrics; *at; at = &(*at)->next)
        if (str_is(label_value, (*at)->label_value)) {
            SummaryMetric *metric = *at;
            *at = metric->next;
            metric_free(metric);
            break;
        }
    lock_give(&summary->lock);
}

void summary_observe(SummaryMetric *metric, double v)
{
    lock_take(&metric->summary->lock);
    size_t at = metric->count % SUMMARY_KEPT;
    metric->kept[at] = v;
    metric->at_ns[at] = clock_mono_ns(&clock_system);
    metric->sum += v;
    metric->count++;
    lock_give(&metric->summary->lock);
}
