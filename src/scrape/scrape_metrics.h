// SPDX-License-Identifier: Apache-2.0
// scrape_metrics.h: what the room counts about itself, under the names of the original. Facts: prometheus.md section 10.
#pragma once

#include "base/lock.h"
#include "client/registry.h"
#include "client/summary.h"
#include "scrape/scrape_append.h"

#define INTERVAL_SAMPLES 512 // kept per interval for its quantiles
#define INTERVALS_MAX 32     // different scrape intervals that are told apart

// Actual times between scrapes of one configured interval.
typedef struct IntervalLengths {
    int64_t interval_ms;
    double sum_s;
    uint64_t count;
    double newest_s[INTERVAL_SAMPLES]; // a ring
    HistogramMetric *histogram;
} IntervalLengths;

typedef struct ScrapeMetrics {
    Counter *out_of_order;
    Counter *duplicate_timestamp;
    Counter *out_of_bounds;
    Counter *exemplar_out_of_order;
    Counter *sample_limit;
    Counter *body_limit;
    Counter *bucket_limit;
    Counter *label_limit; // of the pools: exceeded_label_limits
    Counter *target_limit;
    Counter *pools;
    Counter *pools_failed;
    Counter *pool_reloads;
    Counter *pool_reloads_failed;
    Counter *samples;          // narthex_scrape_samples_total
    Family *pool_targets;      // {scrape_job}
    Family *pool_syncs;        // {scrape_job}
    Family *pool_target_limit; // {scrape_job}
    Family *sync_failed;       // {scrape_job}
    Family *metadata_entries;  // {scrape_job}
    Summary *sync_lengths;     // {scrape_job}
    Family *metadata_bytes;    // {scrape_job}
    Family *symbols;           // {scrape_job}
    Family *interval_lengths;  // {interval}
    Family *sync_histogram;    // {scrape_job}
    Summary *reload_lengths;   // {interval}
    HistogramMetric *duration;
    Lock lock;
    IntervalLengths *intervals GUARDED_BY(lock);
    size_t interval_count GUARDED_BY(lock);
} ScrapeMetrics;

// The metrics stay in the registry, so it must outlive them.
void scrape_metrics_init(ScrapeMetrics *metrics, Registry *registry);
void scrape_metrics_deinit(ScrapeMetrics *metrics);
void scrape_metrics_result(ScrapeMetrics *metrics, const ScrapeResult *result, double duration_s);
// A job's targets were told anew; a job was taken over with another configuration.
void scrape_metrics_sync(ScrapeMetrics *metrics, Str job, double length_s);
void scrape_metrics_reload(ScrapeMetrics *metrics, int64_t interval_ms, double length_s);
void scrape_metrics_interval(ScrapeMetrics *metrics, int64_t interval_ms, double length_s);
