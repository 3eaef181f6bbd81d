// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_metrics.h"

#include <stdlib.h>

#include "alertmanager/am_internal.h"

static Counter *one_counter(Registry *registry, const char *name, const char *help)
{
    return counter_of(registry_counter(registry, name, help, NULL), NULL);
}

static Gauge *one_gauge(Registry *registry, const char *name, const char *help)
{
    return gauge_of(registry_gauge(registry, name, help, NULL), NULL);
}

static Counter *labelled(Registry *registry, const char *name, const char *help, const char *label,
                         const char *value)
{
    const char *const names[] = {label, NULL};
    Str v = str_from_c(value);
    return counter_of(registry_counter(registry, name, help, names), &v);
}

static void init_integrations(AmMetrics *m, Registry *registry, bool by_receiver)
{
    static const char *const labels[] = {"integration", "receiver_name", NULL};
    static const char *const labels_and_reason[] = {"integration", "reason", "receiver_name", NULL};
    static const char *const by_kind[] = {"integration", NULL};
    static const char *const by_kind_and_reason[] = {"integration", "reason", NULL};
    static const double latency[] = {1, 5, 10, 15, 20};
    const char *const *names = by_receiver ? labels : by_kind;
    AmIntegrationFamilies *f = &m->integration;
    f->by_receiver = by_receiver;
    f->notifications = registry_counter(registry, "alertmanager_notifications_total",
                                        "The total number of attempted notifications.", names);
    f->failed = registry_counter(registry, "alertmanager_notifications_failed_total",
                                 "The total number of failed notifications.",
                                 by_receiver ? labels_and_reason : by_kind_and_reason);
    f->requests = registry_counter(registry, "alertmanager_notification_requests_total",
                                   "The total number of attempted notification requests.", names);
    f->requests_failed =
        registry_counter(registry, "alertmanager_notification_requests_failed_total",
                         "The total number of failed notification requests.", names);
    f->latency = registry_histogram(registry, "alertmanager_notification_latency_seconds",
                                    "The latency of notifications in seconds.", names, latency,
                                    COUNT_OF(latency));
    AmIntegrationMetrics unused;
    for (int k = 0; !by_receiver && k < AM_KIND_COUNT; k++)
        am_metrics_of(m, am_receiver_kinds[k]->name, STR_NONE, &unused);
}

void am_metrics_of(const AmMetrics *m, const char *kind, Str receiver, AmIntegrationMetrics *ret)
{
    const AmIntegrationFamilies *f = &m->integration;
    const Str values[] = {str_from_c(kind), receiver};
    ret->notifications = counter_of(f->notifications, values);
    ret->requests = counter_of(f->requests, values);
    ret->requests_failed = counter_of(f->requests_failed, values);
    ret->latency = histogram_of(f->latency, values);
    for (int i = 0; i < AM_FAILURE_COUNT; i++) {
        const Str with_reason[] = {values[0], str_from_c(am_failure_names[i]), receiver};
        ret->failed[i] = counter_of(f->failed, with_reason);
    }
}

void am_metrics_limited(const AmMetrics *m, Str alertname)
{
    counter_inc(counter_of(m->limited, m->limited_by_name ? &alertname : NULL));
}

static void init_alerts(AmMetrics *m, Registry *registry, bool limited_by_name)
{
    static const char *const by_name[] = {"alertname", NULL};
    static const char *const by_status[] = {"status", "version", NULL};
    static const char suppressed[] = "alertmanager_notifications_suppressed_total";
    static const char suppressed_help[] = "The total number of notifications suppressed for being "
                                          "silenced, inhibited, outside of active time "
                                          "intervals or within muted time intervals.";
    Family *received = registry_counter(registry, "alertmanager_alerts_received_total",
                                        "The total number of received alerts.", by_status);
    Str firing[] = {S("firing"), S("v2")};
    Str resolved[] = {S("resolved"), S("v2")};
    m->received_firing = counter_of(received, firing);
    m->received_resolved = counter_of(received, resolved);
    m->invalid =
        labelled(registry, "alertmanager_alerts_invalid_total",
                 "The total number of received alerts that were invalid.", "version", "v2");
    m->limited_by_name = limited_by_name;
    m->limited = registry_counter(
        registry, "alertmanager_alerts_limited_total",
        "The total number of alerts that were dropped due to per alert name limit.",
        limited_by_name ? by_name : NULL);
    if (!limited_by_name)
        (void)counter_of(m->limited, NULL);
    m->suppressed_inhibition =
        labelled(registry, suppressed, suppressed_help, "reason", "inhibition");
    m->suppressed_silence = labelled(registry, suppressed, suppressed_help, "reason", "silence");
    m->suppressed_active =
        labelled(registry, suppressed, suppressed_help, "reason", "active_time_interval");
    m->suppressed_mute =
        labelled(registry, suppressed, suppressed_help, "reason", "mute_time_interval");
    static const char writes[] = "alertmanager_alerts_subscriber_channel_writes_total";
    static const char writes_help[] =
        "Number of times alerts were handed to those who wait for them.";
    m->writes_dispatcher = labelled(registry, writes, writes_help, "subscriber", "dispatcher");
    m->writes_inhibitor = labelled(registry, writes, writes_help, "subscriber", "inhibitor");
}

static void init_http(AmMetrics *m, Registry *registry)
{
    static const char *const by_handler[] = {"handler", "method", "code", NULL};
    static const char *const by_handler_only[] = {"handler", "method", NULL};
    static const double seconds[] = {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};
    static const double bytes[] = {100, 1000, 10000, 100000, 1e6, 1e7, 1e8};
    m->http_duration = registry_histogram(registry, "alertmanager_http_request_duration_seconds",
                                          "Histogram of latencies for HTTP requests.", by_handler,
                                          seconds, COUNT_OF(seconds));
    m->http_size = registry_histogram(registry, "alertmanager_http_response_size_bytes",
                                      "Histogram of response size for HTTP requests.",
                                      by_handler_only, bytes, COUNT_OF(bytes));
    static const char *const by_method[] = {"method", NULL};
    Str get = S("get");
    m->gets_in_flight =
        gauge_of(registry_gauge(registry, "alertmanager_http_requests_in_flight",
                                "Current number of HTTP requests being processed.", by_method),
                 &get);
    m->gets_refused =
        counter_of(registry_counter(
                       registry, "alertmanager_http_concurrency_limit_exceeded_total",
                       "Total number of times an HTTP request failed because the concurrency limit "
                       "was reached.",
                       by_method),
                   &get);
}

// ---- what is counted when somebody asks ----

// As the original orders them where groups differ: what comes first wins.
typedef enum AlertState { STATE_SUPPRESSED, STATE_ACTIVE, STATE_UNPROCESSED, STATES } AlertState;

static AlertState state_of(uint8_t marks)
{
    if (marks & (AM_GROUP_INHIBITED | AM_GROUP_SILENCED))
        return STATE_SUPPRESSED;
    return marks & AM_GROUP_SEEN ? STATE_ACTIVE : STATE_UNPROCESSED;
}

static void count_group(const AmGroup *group, int64_t now_ns, size_t counts[STATES])
{
    for (AmTableSlot *s = NULL; (s = am_table_next(&group->alerts, s));)
        if (!am_alert_resolved_at(s->value, now_ns))
            counts[state_of(*am_table_mark(&group->alerts, s))]++;
}

// An alert may be in several groups: the marks of the store, which have no other use, gather what those say.
static void count_all(const Am *am, int64_t now_ns, size_t counts[STATES])
{
    const AmTable *alerts = &am->alerts.alerts;
    const AmDispatch *dispatch = &am->generation->dispatch;
    for (size_t i = 0; i < dispatch->heap_count; i++) {
        const AmTable *group = &dispatch->heap[i]->alerts;
        for (AmTableSlot *s = NULL; (s = am_table_next(group, s));) {
            const AmTableSlot *slot = am_table_find(alerts, s->key);
            if (slot)
                *am_table_mark(alerts, slot) |= *am_table_mark(group, s);
        }
    }
    for (AmTableSlot *s = NULL; (s = am_table_next(alerts, s));) {
        if (!am_alert_resolved_at(s->value, now_ns))
            counts[state_of(*am_table_mark(alerts, s))]++;
        *am_table_mark(alerts, s) = 0;
    }
}

static void add_counts(Collection *c, const size_t counts[STATES], const AmGroup *group)
{
    static const struct {
        const char *name;
        AlertState state;
    } rows[] = {{"active", STATE_ACTIVE},
                {"suppressed", STATE_SUPPRESSED},
                {"unprocessed", STATE_UNPROCESSED}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const Str pairs[] = {S("group_key"), group ? group->key : STR_NONE, S("state"),
                             str_from_c(rows[i].name)};
        collection_add(c, pairs + (group ? 0 : 2), group ? 2 : 1, (double)counts[rows[i].state]);
    }
}

static void collect_alerts(Am *am, Collection *c)
{
    int64_t now_ns = am_now_ns(am->clock);
    const AmDispatch *dispatch = &am->generation->dispatch;
    collection_family(c, "alertmanager_alerts", FAMILY_GAUGE, "How many alerts by state.");
    if (!am->options.group_keys_in_metrics) {
        size_t counts[STATES] = {0};
        count_all(am, now_ns, counts);
        add_counts(c, counts, NULL);
        return;
    }
    for (size_t i = 0; i < dispatch->heap_count; i++) {
        size_t counts[STATES] = {0};
        count_group(dispatch->heap[i], now_ns, counts);
        add_counts(c, counts, dispatch->heap[i]);
    }
}

static void collect_silences(Am *am, Collection *c)
{
    size_t counts[3] = {0};
    int64_t now_ns = am_now_ns(am->clock);
    for (MapEntry *e = NULL; (e = map_next(&am->silences.by_id, e));)
        counts[am_silence_state(&((AmSilence *)e->value)->data, now_ns)]++;
    collection_family(c, "alertmanager_silences", FAMILY_GAUGE, "How many silences by state.");
    for (int i = 0; i < 3; i++) {
        Str pair[] = {S("state"), str_from_c(am_silence_state_name((AmSilenceState)i))};
        collection_add(c, pair, 1, (double)counts[i]);
    }
}

static void collect_one(Collection *c, const char *name, FamilyKind kind, const char *help,
                        double value)
{
    collection_family(c, name, kind, help);
    collection_add(c, NULL, 0, value);
}

static void collect(void *arg, Collection *c)
{
    Am *am = arg;
    lock_take(&am->lock);
    if (am->generation) {
        collect_alerts(am, c);
        collect_silences(am, c);
        collect_one(c, "alertmanager_dispatcher_aggregation_groups", FAMILY_GAUGE,
                    "Number of active aggregation groups",
                    (double)am->generation->dispatch.groups.count);
        collect_one(c, "alertmanager_nflog_queries_total", FAMILY_COUNTER,
                    "Number of notification log queries were received.", (double)am->log.queries);
        collect_one(c, "alertmanager_nflog_query_errors_total", FAMILY_COUNTER,
                    "Number notification log received queries that failed.",
                    (double)am->log.query_misses);
        collect_one(c, "narthex_alertmanager_nflog_entries", FAMILY_GAUGE,
                    "Entries of the notification log.", (double)am->log.entries.count);
        collect_one(c, "alertmanager_silences_queries_total", FAMILY_COUNTER,
                    "How many silence queries were received.", (double)am->silences.queries);
        collect_one(c, "alertmanager_silences_query_silences_scanned_total", FAMILY_COUNTER,
                    "Silences that were looked at to answer queries.",
                    (double)am->silences.scanned);
    }
    am_metrics_collect_stores(am, c);
    lock_give(&am->lock);
    am_metrics_collect_cluster(am, c);
    if (!am->store)
        return;
    AmStoreCounts counts = am_store_counts(am->store);
    collect_one(c, "narthex_alertmanager_store_commits_total", FAMILY_COUNTER,
                "Commits of silences and notification log.", (double)counts.commits);
    collect_one(c, "narthex_alertmanager_store_failures_total", FAMILY_COUNTER,
                "Commits that failed and were tried again.", (double)counts.failures);
    collect_one(c, "narthex_alertmanager_store_waiting", FAMILY_GAUGE,
                "Writes that wait for a commit.", (double)counts.waiting);
}

static SummaryMetric *one_summary(Registry *registry, Summary **summary, const char *name,
                                  const char *help)
{
    static const char *const quantiles[] = {NULL};
    *summary = summary_new(registry, name, help, NULL, quantiles);
    return summary_of(*summary, STR_NONE);
}

static HistogramMetric *query_seconds(Registry *registry, const char *name, const char *help)
{
    static const double bounds[] = {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};
    return histogram_of(registry_histogram(registry, name, help, NULL, bounds, COUNT_OF(bounds)),
                        NULL);
}

static void init_durations(AmMetrics *m, Am *am)
{
    static const char *const by_key[] = {"key", NULL};
    static const double bounds[] = {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};
    Registry *r = am->options.registry;
    m->processing_one =
        one_summary(r, &m->processing, "alertmanager_dispatcher_alert_processing_duration_seconds",
                    "Summary of latencies for the processing of alerts.");
    m->log_gc_one = one_summary(r, &m->log_gc, "alertmanager_nflog_gc_duration_seconds",
                                "Duration of the last notification log garbage collection cycle.");
    m->silences_gc_one =
        one_summary(r, &m->silences_gc, "alertmanager_silences_gc_duration_seconds",
                    "Duration of the last silence garbage collection cycle.");
    (void)one_summary(r, &m->log_snapshot, "alertmanager_nflog_snapshot_duration_seconds",
                      "Duration of snapshots; each change is written at once, none are made.");
    (void)one_summary(r, &m->silences_snapshot, "alertmanager_silences_snapshot_duration_seconds",
                      "Duration of snapshots; each change is written at once, none are made.");
    am->log.query_seconds = query_seconds(r, "alertmanager_nflog_query_duration_seconds",
                                          "Duration of notification log query evaluation.");
    am->silences.query_seconds = query_seconds(r, "alertmanager_silences_query_duration_seconds",
                                               "Duration of silence query evaluation.");
    Family *oversize =
        registry_histogram(r, "alertmanager_oversize_gossip_message_duration_seconds",
                           "Duration of oversized gossip messages; nothing is gossiped.", by_key,
                           bounds, COUNT_OF(bounds));
    (void)histogram_of(oversize, (Str[]){S("nfl")});
    (void)histogram_of(oversize, (Str[]){S("sil")});
}

static void init_scrapes(AmMetrics *m, Registry *registry)
{
    static const char *const by_code[] = {"code", NULL};
    static const char *const codes[] = {"200", "500", "503"};
    m->scrapes_running = one_gauge(registry, "promhttp_metric_handler_requests_in_flight",
                                   "Current number of scrapes being served.");
    Family *scrapes = registry_counter(registry, "promhttp_metric_handler_requests_total",
                                       "Total number of scrapes by HTTP status code.", by_code);
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        Str code = str_from_c(codes[i]);
        m->scrapes[i] = counter_of(scrapes, &code);
    }
}

void am_metrics_init(AmMetrics *m, Am *am)
{
    Registry *r = am->options.registry;
    init_integrations(m, r, am->options.receiver_names_in_metrics);
    init_alerts(m, r, am->options.alert_names_in_metrics);
    init_http(m, r);
    m->config_hash = one_gauge(r, "alertmanager_config_hash",
                               "Hash of the currently loaded alertmanager configuration.");
    m->config_ok = one_gauge(r, "alertmanager_config_last_reload_successful",
                             "Whether the last configuration reload attempt was successful.");
    m->config_at = one_gauge(r, "alertmanager_config_last_reload_success_timestamp_seconds",
                             "Timestamp of the last successful configuration reload.");
    m->receivers = one_gauge(r, "alertmanager_receivers", "Number of configured receivers.");
    m->integrations =
        one_gauge(r, "alertmanager_integrations", "Number of configured integrations.");
    m->inhibition_rules =
        one_gauge(r, "alertmanager_inhibition_rules", "Number of configured inhibition rules.");
    m->log_maintenance =
        one_counter(r, "alertmanager_nflog_maintenance_total",
                    "How many maintenances were executed for the notification log.");
    m->silences_maintenance = one_counter(r, "alertmanager_silences_maintenance_total",
                                          "How many maintenances were executed for silences.");
    init_durations(m, am);
    init_scrapes(m, r);
    registry_build_info(r, "alertmanager_build_info", AM_VERSION);
    registry_collector(r, collect, am);
}

void am_metrics_deinit(AmMetrics *m)
{
    Summary *all[] = {m->processing, m->log_gc, m->silences_gc, m->log_snapshot,
                      m->silences_snapshot};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        summary_free(all[i]);
}
