// SPDX-License-Identifier: Apache-2.0
// What is counted when somebody asks: the stores, and the instances that share them. The original's names for its gossip say what
// stands for them here: a message is a row of the shared database. What has nothing to stand for it is 0.
#include "alertmanager/am_internal.h"

typedef struct Row {
    const char *name;
    FamilyKind kind;
    const char *help;
    double value;
} Row;

static void add_rows(Collection *c, const Row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        collection_family(c, rows[i].name, rows[i].kind, rows[i].help);
        collection_add(c, NULL, 0, rows[i].value);
    }
}

static void add_pair(Collection *c, const char *name, const char *help, const char *label,
                     const char *const *values, const double *numbers, size_t count)
{
    collection_family(c, name, FAMILY_COUNTER, help);
    for (size_t i = 0; i < count; i++) {
        Str pair[] = {str_from_c(label), str_from_c(values[i])};
        collection_add(c, pair, 1, numbers[i]);
    }
}

static void collect_messages(Collection *c, const AmSharedState *s)
{
    static const char *const types[] = {"full_state", "update"};
    static const char *const keys[] = {"nfl", "sil"};
    static const double none[] = {0, 0};
    const double received[] = {(double)s->connects, (double)s->rows};
    const double received_bytes[] = {0, (double)s->row_bytes};
    const double sent[] = {0, (double)s->writes};
    const double sent_bytes[] = {0, (double)s->write_bytes};
    add_pair(c, "alertmanager_cluster_messages_received_total",
             "Total number of cluster messages received.", "msg_type", types, received, 2);
    add_pair(c, "alertmanager_cluster_messages_received_size_total",
             "Total size of cluster messages received.", "msg_type", types, received_bytes, 2);
    add_pair(c, "alertmanager_cluster_messages_sent_total",
             "Total number of cluster messages sent.", "msg_type", types, sent, 2);
    add_pair(c, "alertmanager_cluster_messages_sent_size_total",
             "Total size of cluster messages sent.", "msg_type", types, sent_bytes, 2);
    add_pair(c, "alertmanager_oversized_gossip_message_sent_total",
             "Oversized gossip messages sent; nothing is gossiped.", "key", keys, none, 2);
    add_pair(c, "alertmanager_oversized_gossip_message_failure_total",
             "Oversized gossip messages that failed; nothing is gossiped.", "key", keys, none, 2);
    add_pair(c, "alertmanager_oversized_gossip_message_dropped_total",
             "Oversized gossip messages that were dropped; nothing is gossiped.", "key", keys, none,
             2);
}

static void collect_members(Collection *c, const AmSharedState *s)
{
    collection_family(c, "alertmanager_cluster_peer_info", FAMILY_GAUGE,
                      "A metric with a constant '1' value labeled by peer name.");
    for (size_t i = 0; i < s->member_count; i++) {
        Str pair[] = {S("peer"), s->members[i].name};
        collection_add(c, pair, 1, 1);
    }
    collection_family(c, "alertmanager_cluster_alive_messages_total", FAMILY_COUNTER,
                      "Heartbeats of this instance.");
    Str own[] = {S("peer"), s->name};
    collection_add(c, own, 1, (double)s->beats);
}

static void collect_claims(Collection *c, const AmSharedState *s)
{
    static const char *const names[AM_CLAIM_VERDICTS] = {"granted", "stale", "busy", "alone"};
    double counts[AM_CLAIM_VERDICTS];
    for (int i = 0; i < AM_CLAIM_VERDICTS; i++)
        counts[i] = (double)s->claims[i];
    add_pair(c, "narthex_alertmanager_shared_claims_total",
             "Claims of the right to notify by their answer; alone: the database was away.",
             "answer", names, counts, AM_CLAIM_VERDICTS);
    const Row rows[] = {
        {"narthex_alertmanager_shared_up", FAMILY_GAUGE,
         "Whether the database that instances share answers.", s->up},
        {"narthex_alertmanager_shared_failures_total", FAMILY_COUNTER,
         "Requests to the shared database that failed.", (double)s->failures},
        {"narthex_alertmanager_shared_lapses_total", FAMILY_COUNTER,
         "How often the lease of this instance ran out.", (double)s->lapses},
        {"narthex_alertmanager_shared_waiting", FAMILY_GAUGE,
         "Rows that wait to be written to the shared database.", (double)s->waiting},
    };
    add_rows(c, rows, COUNT_OF(rows));
}

void am_metrics_collect_cluster(Am *am, Collection *c)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    AmMember self = {am->options.peer_name, am->options.peer_address};
    AmSharedState s = {.members = &self, .member_count = 1, .name = self.name};
    if (am->shared)
        s = am_shared_state(am->shared, &arena);
    double lost = am->shared && !s.up;
    const Row rows[] = {
        {"alertmanager_cluster_enabled", FAMILY_GAUGE,
         "Indicates whether the clustering is enabled or not.", am->shared != NULL},
        {"alertmanager_cluster_members", FAMILY_GAUGE,
         "Number indicating current number of members in cluster.", (double)s.member_count},
        {"alertmanager_cluster_failed_peers", FAMILY_GAUGE,
         "Number indicating the current number of failed peers in the cluster.",
         (double)s.failed_peers},
        {"alertmanager_cluster_health_score", FAMILY_GAUGE,
         "Health score of the cluster: zero is healthy, one is cut off from the shared database.",
         lost},
        {"alertmanager_cluster_messages_queued", FAMILY_GAUGE,
         "Number of cluster messages which are queued.", (double)s.waiting},
        {"alertmanager_cluster_messages_pruned_total", FAMILY_COUNTER,
         "Total number of cluster messages pruned.", 0},
        {"alertmanager_cluster_peer_name_conflicts_total", FAMILY_COUNTER,
         "Total number of times memberlist has noticed conflicting peer names; names may be "
         "shared.",
         0},
        {"alertmanager_cluster_peers_joined_total", FAMILY_COUNTER,
         "A counter of the number of peers that have joined.", (double)s.joined},
        {"alertmanager_cluster_peers_left_total", FAMILY_COUNTER,
         "A counter of the number of peers that have left.", (double)s.left},
        {"alertmanager_cluster_peers_update_total", FAMILY_COUNTER,
         "A counter of the number of peers that have updated metadata.", 0},
        {"alertmanager_cluster_reconnections_total", FAMILY_COUNTER,
         "Connections to the shared database after the first.",
         (double)(s.connects ? s.connects - 1 : 0)},
        {"alertmanager_cluster_reconnections_failed_total", FAMILY_COUNTER,
         "Connections to the shared database that failed.", (double)s.failures},
        {"alertmanager_cluster_refresh_join_total", FAMILY_COUNTER,
         "A counter of the number of cluster peer joined via refresh.", 0},
        {"alertmanager_cluster_refresh_join_failed_total", FAMILY_COUNTER,
         "A counter of the number of cluster peer joined attempts via refresh.", 0},
        {"alertmanager_peer_position", FAMILY_GAUGE,
         "Position of this instance among the members by name.", (double)s.position},
    };
    add_rows(c, rows, COUNT_OF(rows));
    collect_members(c, &s);
    collect_messages(c, &s);
    if (am->shared)
        collect_claims(c, &s);
}

void am_metrics_collect_stores(Am *am, Collection *c)
{
    static const char *const stages[] = {"index", "load_snapshot"};
    const double compile_errors[] = {0, (double)am->silences.unreadable};
    size_t indexed = am->silences.index.count + am->silences.other_count;
    const Row rows[] = {
        {"alertmanager_alerts_per_alert_limit", FAMILY_GAUGE,
         "Current limit on number of alerts per alert name",
         (double)am->options.per_alertname_limit},
        {"alertmanager_dispatcher_aggregation_group_limit_reached_total", FAMILY_COUNTER,
         "Number of times a limit on aggregation groups was reached; there is none.", 0},
        {"alertmanager_dispatcher_aggregation_group_creation_retries_total", FAMILY_COUNTER,
         "Number of times the making of a group was tried again; it cannot fail.", 0},
        {"alertmanager_dispatcher_aggregation_group_creation_given_up_total", FAMILY_COUNTER,
         "Number of times the making of a group was given up; it cannot fail.", 0},
        {"alertmanager_nflog_maintenance_errors_total", FAMILY_COUNTER,
         "How many maintenances were executed for the notification log that failed.", 0},
        {"alertmanager_nflog_snapshot_size_bytes", FAMILY_GAUGE,
         "Size of the last snapshot; each change is written at once, none are made.", 0},
        {"alertmanager_nflog_gossip_messages_propagated_total", FAMILY_COUNTER,
         "Number of received gossip messages that have been further gossiped.", 0},
        {"alertmanager_silences_maintenance_errors_total", FAMILY_COUNTER,
         "How many maintenances were executed for silences that failed.", 0},
        {"alertmanager_silences_snapshot_size_bytes", FAMILY_GAUGE,
         "Size of the last snapshot; each change is written at once, none are made.", 0},
        {"alertmanager_silences_gossip_messages_propagated_total", FAMILY_COUNTER,
         "Number of received gossip messages that have been further gossiped.", 0},
        {"alertmanager_silences_gc_errors_total", FAMILY_COUNTER,
         "How many silence GC errors were encountered.", 0},
        {"alertmanager_silences_query_errors_total", FAMILY_COUNTER,
         "How many silence received queries did not succeed.", 0},
        {"alertmanager_silences_query_silences_skipped_total", FAMILY_COUNTER,
         "Silences that an index spared queries to look at.", (double)am->silences.skipped},
        {"alertmanager_silences_state_size", FAMILY_GAUGE,
         "The number of silences in the state map.", (double)am->silences.by_id.count},
        {"alertmanager_silences_matcher_index_size", FAMILY_GAUGE,
         "The number of entries in the matcher index.", (double)indexed},
        {"alertmanager_silences_version_index_size", FAMILY_GAUGE,
         "The number of entries in the version index; silences are found by their matchers.", 0},
    };
    add_rows(c, rows, COUNT_OF(rows));
    add_pair(c, "alertmanager_silences_matcher_compile_errors_total",
             "How many silence matcher compilations failed.", "stage", stages, compile_errors, 2);
}
