// SPDX-License-Identifier: Apache-2.0
// am_alert.h: alerts and the store of those that stand, by fingerprint.
//
// (1) An AmAlert never changes: an update makes a new one. Whoever holds a reference may read it on any thread.
// (2) The store keeps one alert per label set: what arrives is merged with what is there (alertmanager.md section 13).
//
// Thread: the store belongs to the lock of Am.
#pragma once

#include "alertmanager/am_pair.h"
#include "alertmanager/am_table.h"
#include "alertmanager/am_time.h"
#include "metric/labels.h"

typedef struct AmAlert {
    _Atomic int refs;
    bool is_timeout; // ends_ns was derived from resolve_timeout
    uint32_t label_count, annotation_count;
    uint64_t fingerprint;
    uint64_t hash; // in the notification log
    int64_t starts_ns, ends_ns, updated_ns;
    AmPair
        *pairs[]; // labels, annotations as am_text.h keeps them, the generator URL without a name
} AmAlert;

// What a client sends. Times that are not set are AM_TIME_ZERO.
typedef struct AmAlertInput {
    Labels labels; // sorted, no empty values
    Labels annotations;
    Str generator_url;
    int64_t starts_ns, ends_ns;
} AmAlertInput;

// FNV-1a 64 and XXH64 over `name 0xFF value 0xFF`: the original's fingerprint and hash.
uint64_t am_alert_fingerprint(Labels labels);
uint64_t am_alert_hash(Labels labels);

// Keeps nothing of what was passed; times and is_timeout as given.
AmAlert *am_alert_new(const AmAlertInput *input, int64_t updated_ns, bool is_timeout);
AmAlert *am_alert_ref(AmAlert *alert);
void am_alert_unref(AmAlert *alert); // accepts NULL

// Good as long as both the alert and the arena are.
Labels am_alert_labels(const AmAlert *alert, Arena *arena);
Labels am_alert_annotations(const AmAlert *alert, Arena *arena);
// Whether the alert has this label of another / this annotation. An empty value is the same as none.
bool am_alert_has_label(const AmAlert *alert, const AmPair *pair);
bool am_alert_has_annotation(const AmAlert *alert, Label annotation);
Str am_alert_url(const AmAlert *alert);
// The value of a label; empty without it.
Str am_alert_value(const AmAlert *alert, Str name);

static inline bool am_alert_resolved_at(const AmAlert *alert, int64_t now_ns)
{
    return !am_time_is_zero(alert->ends_ns) && alert->ends_ns <= now_ns;
}

// Fills in what a client left out. ERR_INVALID as the original words it.
bool am_alert_complete(AmAlertInput *input, int64_t now_ns, int64_t resolve_timeout_ns,
                       bool *ret_is_timeout, Error *err) MUST_CHECK;
// Names must be valid; `utf8`: any UTF-8 name is.
bool am_alert_check(const AmAlertInput *input, bool utf8, Error *err) MUST_CHECK;

// The order of alerts in notifications: job, instance, then label sets.
int am_alert_compare(const AmAlert *a, const AmAlert *b);
// Prints {a="b", c="d"} as the original's label sets.
void am_labels_print(Buf *buf, Labels labels);

typedef struct AmAlertStore {
    AmTable alerts;         // fingerprint to AmAlert
    AmTable names;          // hash of alertname to AmNameCount; only with a limit
    int64_t per_name_limit; // 0: none
} AmAlertStore;

void am_alert_store_deinit(AmAlertStore *store);
// Merges `alert` with what is stored (takes over the reference). Returns the stored one, not referenced for the caller, or NULL
// if the limit per alertname refused it.
AmAlert *am_alert_store_put(AmAlertStore *store, AmAlert *alert, int64_t now_ns);
AmAlert *am_alert_store_get(const AmAlertStore *store, uint64_t fingerprint);
// Drops alerts that are resolved. Returns how many.
size_t am_alert_store_collect(AmAlertStore *store, int64_t now_ns);
