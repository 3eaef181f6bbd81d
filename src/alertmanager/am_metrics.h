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

typedef struct AmMetrics {
    AmIntegrationMetrics *kinds; // by AmKind
    Counter *received_firing, *received_resolved, *invalid, *limited;
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
// am_metrics_state.c. The stores: with the lock of Am.
void am_metrics_collect_cluster(struct Am *am, Collection *collection);
void am_metrics_collect_stores(struct Am *am, Collection *collection);
void am_metrics_deinit(AmMetrics *metrics);
