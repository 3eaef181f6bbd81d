// SPDX-License-Identifier: Apache-2.0
// am_metrics.h: what the Alertmanager measures itself with, under the original's names: alertmanager.md section 17.
#pragma once

#include "client/registry.h"
#include "client/summary.h"

typedef struct AmIntegrationMetrics {
    Counter *notifications, *requests, *requests_failed;
    Counter *failed[7]; // by AmFailure
    HistogramMetric *latency;
} AmIntegrationMetrics;

// By integration and, if so asked, receiver_name.
typedef struct AmIntegrationFamilies {
    bool by_receiver;
    Family *notifications, *failed, *requests, *requests_failed, *latency;
} AmIntegrationFamilies;

typedef struct AmMetrics {
    AmIntegrationFamilies integration;
    Counter *received_firing, *received_resolved, *invalid;
    Family *limited; // by alertname, if so asked
    bool limited_by_name;
    Counter *suppressed_inhibition, *suppressed_silence, *suppressed_active, *suppressed_mute;
    Gauge *config_hash, *config_ok, *config_at, *receivers, *integrations, *inhibition_rules;
    Counter *log_maintenance, *silences_maintenance;
    Summary *processing, *log_gc, *silences_gc, *log_snapshot, *silences_snapshot;
    SummaryMetric *processing_one, *log_gc_one, *silences_gc_one;
    Gauge *scrapes_running;
    Counter *scrapes[3]; // 200, 500, 503
    Family *http_duration, *http_size;
    Gauge *gets_in_flight;
    Counter *gets_refused;
    Counter *writes_dispatcher, *writes_inhibitor;
} AmMetrics;

struct Am;
void am_metrics_init(AmMetrics *metrics, struct Am *am);
// Those of an integration of a receiver. A receiver that a reload drops keeps its series, as one of the same name may come back.
void am_metrics_of(const AmMetrics *metrics, const char *kind, Str receiver,
                   AmIntegrationMetrics *ret_metrics);
// An alert was dropped for being one too many of its name.
void am_metrics_limited(const AmMetrics *metrics, Str alertname);
// am_metrics_state.c. The stores: with the lock of Am.
void am_metrics_collect_cluster(struct Am *am, Collection *collection);
void am_metrics_collect_stores(struct Am *am, Collection *collection);
void am_metrics_deinit(AmMetrics *metrics);
