// SPDX-License-Identifier: Apache-2.0
// notifier_internal.h: Alertmanagers and their queues as the notifier's files share them. Private to the room.
//
// Everything here belongs to the notifier's loop but for what its lock guards.
#pragma once

#include "base/lock.h"
#include "client/summary.h"
#include "rules/notifier.h"

#define NOTIFIER_ANSWER_BYTES_MAX ((size_t)1 << 20)

// One alert as JSON, shared by all queues in which it waits. Counted on the loop alone.
typedef struct NotifierItem {
    int refs;
    size_t len;
    char json[];
} NotifierItem;

void notifier_item_unref(NotifierItem *item);

typedef struct NotifierMetrics {
    Family *sent;
    Family *errors;
    Family *dropped;
    Family *queue_length;
    Family *latency_histogram;
    Summary *latency;
    Gauge *discovered;
} NotifierMetrics;

typedef struct NotifierSet NotifierSet;

// notifier_queue.c: one receiver of alerts.
typedef struct Alertmanager Alertmanager;
struct Alertmanager {
    Notifier *notifier;
    NotifierSet *set;
    Str url;              // on the heap
    NotifierItem **queue; // a ring
    size_t head;
    size_t count;
    size_t cap;
    HttpCall *call; // the request under way, with `sending` alerts
    size_t sending;
    Buf body;
    bool draining; // it is given up after a request that fails
    Counter *sent;
    Counter *errors;
    Counter *dropped;
    Gauge *queue_length;
    HistogramMetric *latency_histogram;
    SummaryMetric *latency;
    Alertmanager *next;
};

Alertmanager *alertmanager_new(Notifier *notifier, Str url);
// Cancels its request, drops and counts what waits.
void alertmanager_free(Alertmanager *alertmanager);
void alertmanager_forget_metrics(Notifier *notifier, Str url);
// Takes references; begins to send.
void alertmanager_add(Alertmanager *alertmanager, NotifierItem *const *items, size_t count);
void alertmanager_pump(Alertmanager *alertmanager);
bool alertmanager_is_idle(const Alertmanager *alertmanager);

// One block of alerting.alertmanagers.
struct NotifierSet {
    Notifier *notifier;
    Str key;         // "config-0": the job of its discovery
    Str fingerprint; // both on the heap
    const AlertmanagerConfig *config;
    NotifierConfig owner; // keeps the config alive
    HttpClient *client;
    GroupSnapshot *groups;
    Alertmanager *alertmanagers;
    StrList dropped; // in `arena`
    Arena arena;
    NotifierSet *next;
};

// notifier_set.c
NotifierSet *notifier_set_new(Notifier *notifier, const NotifierConfig *owner, size_t index);
void notifier_set_free(NotifierSet *set);
// Takes over the reference: what was discovered.
void notifier_set_take_groups(NotifierSet *set, GroupSnapshot *groups);

// A configuration under which alerts are made ready. Immutable, counted.
typedef struct NotifierRules {
    _Atomic int refs; // starts at 1
    NotifierConfig config;
} NotifierRules;

struct Notifier {
    NotifierOptions options;
    NotifierMetrics metrics;
    Loop *loop;
    Discovery *discovery;
    NotifierSet *sets;     // in the order of the configuration
    Alertmanager *orphans; // of sets that a reload took away, until their place is taken
    bool finishing;

    Lock lock; // rank 130; guards all below
    Condition idle;
    NotifierRules *rules GUARDED_BY(lock);
    bool drained GUARDED_BY(lock);
    Arena shown GUARDED_BY(lock); // of the two lists
    StrList active GUARDED_BY(lock);
    StrList dropped GUARDED_BY(lock);
};

// The lists for notifier_targets and the gauge anew.
void notifier_show(Notifier *notifier);
// Called by a queue that has become empty while draining.
void notifier_note_idle(Notifier *notifier);
