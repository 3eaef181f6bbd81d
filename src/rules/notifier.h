// SPDX-License-Identifier: Apache-2.0
// notifier.h: sends alerts to every Alertmanager that was discovered, in batches, each from a queue of its own.
//
//     notifier_send --external labels, alert_relabel_configs--> per set: alert_relabel_configs, JSON once
//                                                                  '--> queue of each of its Alertmanagers --> POST /api/v2/alerts
//
// (1) An Alertmanager that is slow or away fills its own queue only; when that is full the oldest alerts are dropped and counted.
// (2) A batch that could not be sent is dropped and counted: an alert that still stands is sent again by its rule.
//
// Thread: any for every function here; requests run on the room's own loop. Facts: prometheus.md sections 1.7, 8.5.
#pragma once

#include "client/registry.h"
#include "config/config.h"
#include "discovery/discovery.h"
#include "metric/relabel_config.h"
#include "metric/source.h"
#include "net/http_client.h"

typedef struct NotifierAlert {
    Labels labels;
    Labels annotations;
    int64_t starts_at_ms;
    int64_t ends_at_ms;
    Str generator_url;
} NotifierAlert;

// One of alerting.alertmanagers.
typedef struct AlertmanagerConfig {
    HttpClientConfig http;
    DiscoveryConfigs discovery;
    Str scheme;
    Str path_prefix;
    int64_t timeout_ms;
    Str api_version;
    ConfigList relabel;       // RelabelRule
    ConfigList alert_relabel; // RelabelRule
} AlertmanagerConfig;

// The block `alerting` of prometheus.yml.
typedef struct AlertingConfig {
    ConfigList alert_relabel; // RelabelRule
    ConfigList alertmanagers; // AlertmanagerConfig
} AlertingConfig;

extern const ConfigTable alertmanager_config_table;
extern const ConfigTable alerting_config_table;

typedef struct NotifierOptions {
    Registry
        *registry; // prometheus_notifications_*, prometheus_sd_* with name "notify"; NULL: none
    size_t queue_capacity; // alerts that wait for one Alertmanager
    size_t batch_size;     // alerts in one request
    // An Alertmanager in this process: gets alerts as they are prepared for all, with external labels and alert_relabel_configs. NULL:
    // none. On the thread of notifier_send.
    void (*here)(void *arg, const NotifierAlert *alerts, size_t count);
    void *here_arg;
} NotifierOptions;

// What a reload may change.
typedef struct NotifierConfig {
    const AlertingConfig *alerting;
    Labels external_labels;
    // The generation in which they live; kept as long as it is in use.
    void *owner;
    void (*ref)(void *owner);
    void (*unref)(void *owner);
} NotifierConfig;

typedef struct Notifier Notifier;

Notifier *notifier_new(const NotifierOptions *options);
// Sets that are the same keep connections and queues. Alertmanagers known at once (static, files) are there when this returns.
void notifier_apply(Notifier *notifier, const NotifierConfig *config);
// `drain`: sends first what waits, to each Alertmanager until a request fails. Accepts NULL.
void notifier_free(Notifier *notifier, bool drain);

// Queues alerts for all; nothing is kept of what was passed. `notifier` is a Notifier, for RulesOptions.send.
void notifier_send(void *notifier, const NotifierAlert *alerts, size_t count);

// URLs that alerts are posted to, and those that relabelling dropped. In the arena.
void notifier_targets(Notifier *notifier, Arena *arena, StrList *ret_active, StrList *ret_dropped);
