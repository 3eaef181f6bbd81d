// SPDX-License-Identifier: Apache-2.0
// Names and help as in the original: existing dashboards and alerts ask for them. prometheus.md section 10.1, "Remote storage".
#include "remote/remote_queue.h"

typedef struct MetricRow {
    const char *name, *help;
} MetricRow;

static const MetricRow counter_rows[RM_COUNTERS] = {
    [RM_SAMPLES] = {"prometheus_remote_storage_samples_total", "Samples sent to remote storage."},
    [RM_EXEMPLARS] = {"prometheus_remote_storage_exemplars_total",
                      "Exemplars sent to remote storage."},
    [RM_HISTOGRAMS] = {"prometheus_remote_storage_histograms_total",
                       "Histograms sent to remote storage."},
    [RM_METADATA] = {"prometheus_remote_storage_metadata_total",
                     "Metadata entries sent to remote storage."},
    [RM_SAMPLES_FAILED] = {"prometheus_remote_storage_samples_failed_total",
                           "Samples that the remote storage refused for good."},
    [RM_EXEMPLARS_FAILED] = {"prometheus_remote_storage_exemplars_failed_total",
                             "Exemplars that the remote storage refused for good."},
    [RM_HISTOGRAMS_FAILED] = {"prometheus_remote_storage_histograms_failed_total",
                              "Histograms that the remote storage refused for good."},
    [RM_METADATA_FAILED] = {"prometheus_remote_storage_metadata_failed_total",
                            "Metadata entries that the remote storage refused for good."},
    [RM_SAMPLES_RETRIED] = {"prometheus_remote_storage_samples_retried_total",
                            "Samples sent again after a failure that may pass."},
    [RM_EXEMPLARS_RETRIED] = {"prometheus_remote_storage_exemplars_retried_total",
                              "Exemplars sent again after a failure that may pass."},
    [RM_HISTOGRAMS_RETRIED] = {"prometheus_remote_storage_histograms_retried_total",
                               "Histograms sent again after a failure that may pass."},
    [RM_METADATA_RETRIED] = {"prometheus_remote_storage_metadata_retried_total",
                             "Metadata entries sent again after a failure that may pass."},
    [RM_ENQUEUE_RETRIES] = {"prometheus_remote_storage_enqueue_retries_total",
                            "Times that a full shard stopped the reading of the log."},
    [RM_BYTES] = {"prometheus_remote_storage_bytes_total",
                  "Bytes of samples, exemplars and histograms sent, compressed."},
    [RM_METADATA_BYTES] = {"prometheus_remote_storage_metadata_bytes_total",
                           "Bytes of metadata sent, compressed."},
};

static const MetricRow gauge_rows[RG_GAUGES] = {
    [RG_SAMPLES_PENDING] = {"prometheus_remote_storage_samples_pending",
                            "Samples in the shards that are not sent yet."},
    [RG_EXEMPLARS_PENDING] = {"prometheus_remote_storage_exemplars_pending",
                              "Exemplars in the shards that are not sent yet."},
    [RG_HISTOGRAMS_PENDING] = {"prometheus_remote_storage_histograms_pending",
                               "Histograms in the shards that are not sent yet."},
    [RG_HIGHEST] = {"prometheus_remote_storage_queue_highest_timestamp_seconds",
                    "Highest timestamp that was read for this queue."},
    [RG_HIGHEST_SENT] = {"prometheus_remote_storage_queue_highest_sent_timestamp_seconds",
                         "Highest timestamp that this queue has sent."},
    [RG_SHARDS] = {"prometheus_remote_storage_shards", "Shards, each with a request at a time."},
    [RG_SHARDS_MIN] = {"prometheus_remote_storage_shards_min", "Fewest shards."},
    [RG_SHARDS_MAX] = {"prometheus_remote_storage_shards_max", "Most shards."},
    [RG_SHARDS_DESIRED] = {"prometheus_remote_storage_shards_desired",
                           "Shards that the rates of samples in and out ask for."},
    [RG_SHARD_CAPACITY] = {"prometheus_remote_storage_shard_capacity",
                           "Samples that a shard may hold."},
    [RG_MAX_SAMPLES] = {"prometheus_remote_storage_max_samples_per_send",
                        "Most samples in one request."},
};

static const MetricRow dropped_rows[POINTS] = {
    [POINT_SAMPLE] = {"prometheus_remote_storage_samples_dropped_total",
                      "Samples read from the log that were not sent, by reason."},
    [POINT_EXEMPLAR] = {"prometheus_remote_storage_exemplars_dropped_total",
                        "Exemplars read from the log that were not sent, by reason."},
    [POINT_HISTOGRAM] = {"prometheus_remote_storage_histograms_dropped_total",
                         "Histograms read from the log that were not sent, by reason."},
};

static const MetricRow in_rows[POINTS] = {
    [POINT_SAMPLE] = {"prometheus_remote_storage_samples_in_total",
                      "Samples in to remote storage: read from the log."},
    [POINT_EXEMPLAR] = {"prometheus_remote_storage_exemplars_in_total",
                        "Exemplars in to remote storage: read from the log."},
    [POINT_HISTOGRAM] = {"prometheus_remote_storage_histograms_in_total",
                         "Histograms in to remote storage: read from the log."},
};

static const MetricRow watcher_rows[RW_COUNTERS] = {
    [RW_PRE_TAILING] = {"prometheus_wal_watcher_samples_sent_pre_tailing_total",
                        "Batches of samples that were read before the end of the log was reached."},
    [RW_DECODE_FAILURES] = {"prometheus_wal_watcher_record_decode_failures_total",
                            "Records of the log that could not be read."},
    [RW_SKIPPED] = {"prometheus_wal_watcher_notifications_skipped_total",
                    "Always 0: no notice of the log's writer is skipped here."},
};

static const Str drop_reasons[DROP_REASONS] = {
    [DROP_TOO_OLD] = STR("too_old"),
    [DROP_SERIES] = STR("dropped_series"),
    [DROP_UNKNOWN] = STR("unintentionally_dropped_series"),
    [DROP_NHCB] = STR("nhcb_in_rw1_not_supported"),
};

static const Str kind_names[FEED_KINDS] = {
    [FEED_SERIES] = STR("series"),         [FEED_SAMPLES] = STR("samples"),
    [FEED_HISTOGRAMS] = STR("histograms"), [FEED_EXEMPLARS] = STR("exemplars"),
    [FEED_METADATA] = STR("metadata"),     [FEED_ALIVE] = STR("checkpoint"),
};

void remote_families_init(RemoteFamilies *families, Registry *registry)
{
    static const char *const labels[] = {"remote_name", "url", NULL};
    static const char *const reason_labels[] = {"remote_name", "url", "reason", NULL};
    static const char *const type_labels[] = {"consumer", "type", NULL};
    static const char *const consumer_labels[] = {"consumer", NULL};
    static const double bounds[] = {.005, .01, .025, .05, .1, .25, .5, 1,
                                    2.5,  5,   10,   25,  60, 120, 300};
    *families = (RemoteFamilies){.registry = registry};
    if (!registry)
        return;
    for (size_t i = 0; i < RM_COUNTERS; i++)
        families->counters[i] =
            registry_counter(registry, counter_rows[i].name, counter_rows[i].help, labels);
    for (size_t i = 0; i < RG_GAUGES; i++)
        families->gauges[i] =
            registry_gauge(registry, gauge_rows[i].name, gauge_rows[i].help, labels);
    for (size_t i = 0; i < POINTS; i++) {
        families->dropped[i] =
            registry_counter(registry, dropped_rows[i].name, dropped_rows[i].help, reason_labels);
        families->in[i] =
            counter_of(registry_counter(registry, in_rows[i].name, in_rows[i].help, NULL), NULL);
    }
    families->highest_in =
        gauge_of(registry_gauge(registry, "prometheus_remote_storage_highest_timestamp_in_seconds",
                                "Highest timestamp that has come into remote storage.", NULL),
                 NULL);
    families->sent_seconds = registry_histogram(
        registry, "prometheus_remote_storage_sent_batch_duration_seconds",
        "Duration of requests to the remote storage.", labels, bounds, COUNT_OF(bounds));
    families->records_read =
        registry_counter(registry, "prometheus_wal_watcher_records_read_total",
                         "Records read by the reader of the log.", type_labels);
    families->current_segment = registry_gauge(registry, "prometheus_wal_watcher_current_segment",
                                               "Segment of the log that is read.", consumer_labels);
    for (size_t i = 0; i < RW_COUNTERS; i++)
        families->watcher[i] =
            registry_counter(registry, watcher_rows[i].name, watcher_rows[i].help, consumer_labels);
    (void)counter_of(
        registry_counter(registry,
                         "prometheus_remote_storage_string_interner_zero_reference_releases_total",
                         "Always 0: there is no interner of strings here.", NULL),
        NULL);
}

void remote_metrics_init(RemoteMetrics *metrics, const RemoteFamilies *families, Str name, Str url)
{
    const Str values[] = {name, url};
    *metrics = (RemoteMetrics){0};
    if (!families->registry)
        return;
    for (size_t i = 0; i < RM_COUNTERS; i++)
        metrics->counters[i] = counter_of(families->counters[i], values);
    for (size_t i = 0; i < RG_GAUGES; i++)
        metrics->gauges[i] = gauge_of(families->gauges[i], values);
    for (size_t i = 0; i < POINTS; i++) {
        for (size_t k = 0; k < DROP_REASONS; k++) {
            const Str of_reason[] = {name, url, drop_reasons[k]};
            metrics->dropped[i][k] = counter_of(families->dropped[i], of_reason);
        }
    }
    metrics->sent_seconds = histogram_of(families->sent_seconds, values);
    for (size_t i = 0; i < FEED_KINDS; i++) {
        const Str of_kind[] = {name, kind_names[i]};
        metrics->records_read[i] = counter_of(families->records_read, of_kind);
    }
    metrics->current_segment = gauge_of(families->current_segment, &name);
    for (size_t i = 0; i < RW_COUNTERS; i++)
        metrics->watcher[i] = counter_of(families->watcher[i], &name);
}

void remote_metrics_remove(const RemoteFamilies *families, Str name, Str url)
{
    const Str values[] = {name, url};
    if (!families->registry)
        return;
    for (size_t i = 0; i < RM_COUNTERS; i++)
        family_remove(families->counters[i], values);
    for (size_t i = 0; i < RG_GAUGES; i++)
        family_remove(families->gauges[i], values);
    for (size_t i = 0; i < POINTS; i++) {
        for (size_t k = 0; k < DROP_REASONS; k++) {
            const Str of_reason[] = {name, url, drop_reasons[k]};
            family_remove(families->dropped[i], of_reason);
        }
    }
    family_remove(families->sent_seconds, values);
    for (size_t i = 0; i < FEED_KINDS; i++) {
        const Str of_kind[] = {name, kind_names[i]};
        family_remove(families->records_read, of_kind);
    }
    family_remove(families->current_segment, &name);
    for (size_t i = 0; i < RW_COUNTERS; i++)
        family_remove(families->watcher[i], &name);
}
