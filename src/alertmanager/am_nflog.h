// SPDX-License-Identifier: Apache-2.0
// am_nflog.h: the notification log: what each integration of a group has been told last: alertmanager.md section 11.
//
// Thread: belongs to the lock of Am.
#pragma once

#include "alertmanager/am_shared.h"
#include "alertmanager/am_store.h"
#include "alertmanager/am_wire.h"
#include "base/map.h"
#include "client/registry.h"

typedef struct AmLogEntry {
    Str key; // group key:receiver/integration/index
    AmLogData data;
    bool in_engine; // the shared engine has it, or will
    // What it points to stands behind the struct.
} AmLogEntry;

typedef struct AmLog {
    Map entries;                    // AmLogEntry by key
    HistogramMetric *query_seconds; // may be NULL
    AmStore *store;                 // NULL: kept in memory alone
    AmShared *shared;               // NULL: this instance is the only one
    uint64_t queries, query_misses;
} AmLog;

void am_log_deinit(AmLog *log);
// Reads what the store has; entries that are over at now_ns are left out.
bool am_log_load(AmLog *log, int64_t now_ns, Error *err) MUST_CHECK;
// Takes over the file of the original.
bool am_log_import(AmLog *log, Str bytes, int64_t now_ns, size_t *ret_count, Error *err) MUST_CHECK;

const AmLogEntry *am_log_find(AmLog *log, Str group_key, Str receiver, const char *integration,
                              uint32_t index, int64_t now_ns);
// Copies `data`; hashes are sorted in the copy. An entry that is newer stays. `claim` (may be NULL) ends with it, and is freed.
void am_log_put(AmLog *log, const AmLogData *data, AmClaim *claim);
// Takes over what another instance has written: the newer one counts.
bool am_log_merge(AmLog *log, Str message, int64_t now_ns, Error *err) MUST_CHECK;
// Gives the shared engine what it does not have.
void am_log_share(AmLog *log);
// The key of an entry, in the buffer.
Str am_log_key(Buf *buf, Str group_key, Str receiver, const char *integration, uint32_t index);
// Drops entries that are over. Returns how many.
size_t am_log_collect(AmLog *log, int64_t now_ns);

// Whether all of `part` (sorted) stands in `whole` (sorted).
bool am_log_is_subset(const uint64_t *part, size_t part_count, const uint64_t *whole,
                      size_t whole_count);
