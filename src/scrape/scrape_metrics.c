// SPDX-License-Identifier: Apache-2.0
#include "scrape/scrape_metrics.h"

#include <stdlib.h>

#include "base/timefmt.h"

#define METRICS_LOCK_RANK 890

static const double quantiles[] = {0.01, 0.05, 0.5, 0.9, 0.99};
static const char *const quantile_texts[] = {"0.01", "0.05", "0.5", "0.9", "0.99"};

static int double_order(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void collect_one(Collection *collection, const IntervalLengths *lengths)
{
    CLEANUP(buf_deinit) Buf text = {0};
    buf_add_duration(&text, lengths->interval_ms);
    double sorted[INTERVAL_SAMPLES];
    size_t count = MIN(lengths->count, INTERVAL_SAMPLES);
    memcpy(sorted, lengths->newest_s, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, double_order);
    Str pairs[] = {S("interval"), buf_str(&text), S("quantile"), STR_NONE};
    for (size_t i = 0; i < COUNT_OF(quantiles); i++) {
        pairs[3] = str_from_c(quantile_texts[i]);
        collection_add(collection, pairs, 2, sorted[(size_t)(quantiles[i] * (double)(count - 1))]);
    }
    collection_add_suffixed(collection, "_sum", pairs, 1, lengths->sum_s);
    collection_add_suffixed(collection, "_count", pairs, 1, (double)lengths->count);
}

static void collect_intervals(void *arg, Collection *collection)
{
    ScrapeMetrics *metrics = arg;
    collection_family(collection, "prometheus_target_interval_length_seconds", FAMILY_SUMMARY,
                      "Actual intervals between scrapes.");
    lock_take(&metrics->lock);
    for (size_t i = 0; i < metrics->interval_count; i++)
        collect_one(collection, &metrics->intervals[i]);
    lock_give(&metrics->lock);
}

static Counter *counter(Registry *registry, const char *name, const char *help)
{
    return counter_of(registry_counter(registry, name, help, NULL), NULL);
}

void scrape_metrics_init(ScrapeMetrics *metrics, Registry *registry)
{
    static const char *const sync_quantiles[] = {"0.01", "0.05", "0.5", "0.9", "0.99", NULL};
    static const char *const by_job[] = {"scrape_job", NULL};
    static const char *const by_interval[] = {"interval", NULL};
    static const double coarse[] = {.01, .1, 1, 10};
    static const double bounds[] = {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};
    *metrics = (ScrapeMetrics){
        .out_of_order =
            counter(registry, "prometheus_target_scrapes_sample_out_of_order_total",
                    "Total number of samples rejected due to not being out of the expected order."),
        .duplicate_timestamp = counter(
            registry, "prometheus_target_scrapes_sample_duplicate_timestamp_total",
            "Total number of samples rejected due to duplicate timestamps but different values."),
        .out_of_bounds = counter(registry, "prometheus_target_scrapes_sample_out_of_bounds_total",
                                 "Total number of samples rejected due to timestamp falling "
                                 "outside of the time bounds."),
        .exemplar_out_of_order = counter(
            registry, "prometheus_target_scrapes_exemplar_out_of_order_total",
            "Total number of exemplar rejected due to not being out of the expected order."),
        .sample_limit =
            counter(registry, "prometheus_target_scrapes_exceeded_sample_limit_total",
                    "Total number of scrapes that hit the sample limit and were rejected."),
        .body_limit = counter(registry, "prometheus_target_scrapes_exceeded_body_size_limit_total",
                              "Total number of scrapes that hit the body size limit"),
        .bucket_limit = counter(
            registry, "prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total",
            "Total number of scrapes that hit the native histogram bucket limit and were "
            "rejected."),
        .label_limit =
            counter(registry, "prometheus_target_scrape_pool_exceeded_label_limits_total",
                    "Total number of times scrape pools hit the label limits, during sync or "
                    "config reload."),
        .target_limit =
            counter(registry, "prometheus_target_scrape_pool_exceeded_target_limit_total",
                    "Total number of times scrape pools hit the target limit, during sync or "
                    "config reload."),
        .pools = counter(registry, "prometheus_target_scrape_pools_total",
                         "Total number of scrape pool creation attempts."),
        .pools_failed = counter(registry, "prometheus_target_scrape_pools_failed_total",
                                "Total number of scrape pool creations that failed."),
        .pool_reloads = counter(registry, "prometheus_target_scrape_pool_reloads_total",
                                "Total number of scrape pool reloads."),
        .pool_reloads_failed =
            counter(registry, "prometheus_target_scrape_pool_reloads_failed_total",
                    "Total number of failed scrape pool reloads."),
        .samples = counter(registry, "narthex_scrape_samples_total", "Samples read from targets."),
        .pool_targets = registry_gauge(registry, "prometheus_target_scrape_pool_targets",
                                       "Current number of targets in this scrape pool.", by_job),
        .pool_syncs =
            registry_counter(registry, "prometheus_target_scrape_pool_sync_total",
                             "Total number of syncs that were executed on a scrape pool.", by_job),
        .pool_target_limit =
            registry_gauge(registry, "prometheus_target_scrape_pool_target_limit",
                           "Maximum number of targets allowed in this scrape pool.", by_job),
        .sync_failed = registry_counter(registry, "prometheus_target_sync_failed_total",
                                        "Total number of target sync failures.", by_job),
        .metadata_entries =
            registry_gauge(registry, "prometheus_target_metadata_cache_entries",
                           "Total number of metric metadata entries in the cache", by_job),
        .metadata_bytes = registry_gauge(
            registry, "prometheus_target_metadata_cache_bytes",
            "The number of bytes that are currently used for storing metric metadata in the cache",
            by_job),
        .symbols = registry_gauge(registry, "prometheus_target_scrape_pool_symboltable_items",
                                  "Always 0: a scrape pool has no table of symbols here.", by_job),
        .interval_lengths = registry_histogram(
            registry, "prometheus_target_interval_length_histogram_seconds",
            "Actual intervals between scrapes.", by_interval, coarse, COUNT_OF(coarse)),
        .sync_histogram = registry_histogram(
            registry, "prometheus_target_sync_length_histogram_seconds",
            "Actual interval to sync the scrape pool.", by_job, coarse, COUNT_OF(coarse)),
        .reload_lengths =
            summary_new(registry, "prometheus_target_reload_length_seconds",
                        "Actual interval to reload the scrape pool with a given configuration.",
                        "interval", sync_quantiles),
        .sync_lengths =
            summary_new(registry, "prometheus_target_sync_length_seconds",
                        "Actual interval to sync the scrape pool.", "scrape_job", sync_quantiles),
        .duration = histogram_of(
            registry_histogram(
                registry, "prometheus_target_scrape_duration_seconds",
                "Total duration of the scrape from start to commit completion in seconds.", NULL,
                bounds, COUNT_OF(bounds)),
            NULL),
        .intervals = X_ARRAY(IntervalLengths, INTERVALS_MAX),
    };
    (void)counter(registry, "prometheus_target_scrapes_cache_flush_forced_total",
                  "Always 0: what a target no longer tells is forgotten scrape by scrape here.");
    lock_init(&metrics->lock, "scrape metrics", METRICS_LOCK_RANK);
    registry_collector(registry, collect_intervals, metrics);
}

void scrape_metrics_deinit(ScrapeMetrics *metrics)
{
    summary_free(metrics->sync_lengths);
    summary_free(metrics->reload_lengths);
    free(metrics->intervals);
    lock_deinit(&metrics->lock);
}

void scrape_metrics_result(ScrapeMetrics *metrics, const ScrapeResult *result, double duration_s)
{
    const ScrapeFaults *faults = &result->faults;
    const struct {
        Counter *counter;
        uint64_t count;
    } rows[] = {
        {metrics->out_of_order, faults->out_of_order},
        {metrics->duplicate_timestamp, faults->duplicate_timestamp},
        {metrics->out_of_bounds, faults->out_of_bounds},
        {metrics->exemplar_out_of_order, faults->exemplar_out_of_order},
        {metrics->sample_limit, faults->sample_limit},
        {metrics->body_limit, faults->body_limit},
        {metrics->bucket_limit, faults->histogram_bucket_limit},
        {metrics->label_limit, faults->label_limit},
        {metrics->samples, result->scraped},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (rows[i].count)
            counter_add(rows[i].counter, (double)rows[i].count);
    histogram_observe(metrics->duration, duration_s);
}

void scrape_metrics_sync(ScrapeMetrics *metrics, Str job, double length_s)
{
    summary_observe(summary_of(metrics->sync_lengths, job), length_s);
    histogram_observe(histogram_of(metrics->sync_histogram, &job), length_s);
}

void scrape_metrics_reload(ScrapeMetrics *metrics, int64_t interval_ms, double length_s)
{
    CLEANUP(buf_deinit) Buf interval = {0};
    buf_add_duration(&interval, interval_ms);
    summary_observe(summary_of(metrics->reload_lengths, buf_str(&interval)), length_s);
}

void scrape_metrics_interval(ScrapeMetrics *metrics, int64_t interval_ms, double length_s)
{
    lock_take(&metrics->lock);
    size_t i = 0;
    while (i < metrics->interval_count && metrics->intervals[i].interval_ms != interval_ms)
        i++;
    if (i < INTERVALS_MAX) {
        IntervalLengths *lengths = &metrics->intervals[i];
        metrics->interval_count = MAX(metrics->interval_count, i + 1);
        if (!lengths->histogram) {
            CLEANUP(buf_deinit) Buf interval = {0};
            buf_add_duration(&interval, interval_ms);
            Str value = buf_str(&interval);
            lengths->histogram = histogram_of(metrics->interval_lengths, &value);
        }
        histogram_observe(lengths->histogram, length_s);
        lengths->interval_ms = interval_ms;
        lengths->newest_s[lengths->count++ % INTERVAL_SAMPLES] = length_s;
        lengths->sum_s += length_s;
    }
    lock_give(&metrics->lock);
}
